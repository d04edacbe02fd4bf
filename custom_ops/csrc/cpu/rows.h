// The row filters of filtered_lrelu.cpp: up, activate, down. Widths are in pixels of 16 channels.
#pragma once

#include <algorithm>
#include <cmath>

#include "simd.h"

// One axis: mid[m] = sum_i in[i] f_up[i up + before_up - m],
// out[j] = sum_m mid[m] f_down[m + before_down - j down]; filters as correlation kernels.
struct Axis {
  int64_t in, mid, out, up, down, before_up, before_down, taps_up, taps_down;
  const float *f_up, *f_down;  // y only, if a matrix: [y.taps][x.taps]
};

enum Mode : int64_t { kForward = 0, kForwardSave = 1, kMasked = 2, kLinear = 3 };

struct Call {
  Axis y, x;
  int64_t batch, channels, is_bfloat16, mode, threads;
  const void* input;   // [batch, y.in, x.in, channels]
  const float* bias;   // [channels] or null
  const float* scale;  // [batch, channels], a factor before the bias, or null
  void* output;        // [batch, y.out, x.out, channels]
  uint32_t* mask;      // [batch, blocks, y.mid, x.mid + 2 kMargin]: positive, inside << 16
  double* sums;        // [batch, blocks, bands, 16]: sums of the output, or null
  int64_t bands, up_is_matrix, down_is_matrix;
  float gain, slope, clamp;  // clamp < 0: none
};

// Columns of the mask on either side of a row: groups of `up` columns may reach over the edge.
constexpr int64_t kMargin = 8;

INLINE int64_t ceil_div(int64_t a, int64_t b) { return a >= 0 ? (a + b - 1) / b : -(-a / b); }

INLINE int64_t count_blocks(const Call& call) { return ceil_div(call.channels, kLanes); }

struct Activation {
  v16 positive, negative, low, high;
};

INLINE Activation make_activation(const Call& call) {
  const v16 zero = {}, bound = zero + (call.clamp >= 0 ? call.clamp : INFINITY);
  return {zero + call.gain, zero + call.gain * call.slope, -bound, bound};
}

template <Mode mode>
INLINE v16 activate(v16 v, Activation act, uint32_t* mask) {
  const v16 zero = {};
  if (mode == kMasked) {
    const v16 slope = pick(load_low(mask), act.positive, act.negative);
    return pick(load_high(mask), v * slope, zero);
  }
  if (mode == kLinear) return v * act.positive;
  const Bits positive = greater(v, zero);
  const v16 scaled = v * pick(positive, act.positive, act.negative);
  // In this order of operands both are one instruction that lets a NaN through.
  const v16 capped = act.high < scaled ? act.high : scaled;
  const v16 result = act.low > capped ? act.low : capped;
  if (mode == kForwardSave) store_bits(mask, positive, equal(scaled, result));
  return result;
}

// Polyphase upsampling in groups: group o makes the samples before_up + up (o - 1) + 1 + r,
// r = 0 .. up - 1, each from the inputs o .. o + taps - 1 with weights c[t up + r].
struct Up {
  int64_t up, taps, first, last;  // groups first .. last cover mid[0] .. mid[mid - 1]

  explicit Up(const Axis& a)
      : up(a.up),
        taps(ceil_div(a.taps_up, up)),
        first(ceil_div(-a.before_up, up)),
        last(ceil_div(a.mid - 1 - a.before_up, up)) {}

  int64_t groups() const { return last - first + 1; }
  int64_t size() const { return taps * up; }  // of c; the filter, and zeros to fill the last tap
  int64_t source(int64_t t, int64_t r) const { return up - 1 - r + up * t; }

  void arrange(const float* f, int64_t count, float* c) const {
    for (int64_t t = 0; t < taps; ++t)
      for (int64_t r = 0; r < up; ++r)
        c[t * up + r] = source(t, r) < count ? f[source(t, r)] : 0.f;
  }
};

// The same for a matrix: out[r_y][t_y] are the weights c of one line for one row of a group.
INLINE void arrange_matrix(const Call& call, const Up& y, const Up& x, float* out) {
  const int64_t count = call.x.taps_up;
  for (int64_t r = 0; r < y.up; ++r)
    for (int64_t t = 0; t < y.taps; ++t, out += x.size()) {
      const int64_t k = y.source(t, r);
      if (k < call.y.taps_up)
        x.arrange(call.y.f_up + k * count, count, out);
      else
        std::fill(out, out + x.size(), 0.f);
    }
}

// The lines that a row of the upsampled picture is the sum of, each with its weights.
struct Source {
  const v16* const* lines;
  int64_t count;
  const float* c;  // [count][u.size()]
};

template <int U, int J, Mode mode>
INLINE void up_block(const Up& u, int64_t r0, const Source& from, int64_t x, v16* mid,
                     uint32_t* mask, Activation act) {
  v16 sum[J][U] = {};
  const float* c = from.c + r0;
  for (int64_t s = 0; s < from.count; ++s) {
    const v16* line = from.lines[s] + x;
    for (int64_t t = 0; t < u.taps; ++t, c += u.up)
      for (int j = 0; j < J; ++j)
        for (int r = 0; r < U; ++r) sum[j][r] += line[j + t] * c[r];
  }
  for (int j = 0; j < J; ++j)
    for (int r = 0; r < U; ++r) {
      const int64_t at = (x + j) * u.up + r0 + r;
      mid[at] = activate<mode>(sum[j][r], act, mask + at);
    }
}

template <int U, Mode mode>
void up_row(const Up& u, const Source& from, v16* mid, uint32_t* mask, const Activation& shared) {
  constexpr int J = U == 4 ? 4 : U == 2 ? 6 : 8;
  const Activation act = shared;  // a copy that the stores below cannot alias stays in registers
  for (int64_t r0 = 0; r0 < u.up; r0 += U) {
    int64_t x = 0;
    for (; x + J <= u.groups(); x += J) up_block<U, J, mode>(u, r0, from, x, mid, mask, act);
    for (; x < u.groups(); ++x) up_block<U, 1, mode>(u, r0, from, x, mid, mask, act);
  }
}

template <int U, int J>
INLINE void up_column_block(const Up& u, const float* c, int64_t r0, const v16* const* lines,
                            int64_t x, v16* out, int64_t width) {
  v16 sum[U][J] = {};
  for (int64_t t = 0; t < u.taps; ++t) {
    const v16* line = lines[t] + x;
    for (int r = 0; r < U; ++r)
      for (int j = 0; j < J; ++j) sum[r][j] += line[j] * c[t * u.up + r0 + r];
  }
  for (int r = 0; r < U; ++r)
    for (int j = 0; j < J; ++j) out[(r0 + r) * width + x + j] = sum[r][j];
}

template <int U>
void up_columns(const Up& u, const float* c, const v16* const* lines, int64_t width, v16* out) {
  constexpr int J = U == 4 ? 4 : U == 2 ? 6 : 8;
  for (int64_t r0 = 0; r0 < u.up; r0 += U) {
    int64_t x = 0;
    for (; x + J <= width; x += J) up_column_block<U, J>(u, c, r0, lines, x, out, width);
    for (; x < width; ++x) up_column_block<U, 1>(u, c, r0, lines, x, out, width);
  }
}

template <int D, int J>
INLINE void down_block(const Axis& a, const v16* mid, v16* out) {
  const int64_t step = D ? D : a.down;
  v16 sum[J] = {};
  for (int64_t k = 0; k < a.taps_down; ++k)
    for (int j = 0; j < J; ++j) sum[j] += mid[j * step + k] * a.f_down[k];
  for (int j = 0; j < J; ++j) out[j] = sum[j];
}

template <int D>
void down_row(const Axis& a, const v16* mid, v16* out) {
  const int64_t step = D ? D : a.down;
  int64_t j = 0;
  for (; j + 8 <= a.out; j += 8) down_block<D, 8>(a, mid + j * step, out + j);
  for (; j < a.out; ++j) down_block<D, 1>(a, mid + j * step, out + j);
}

// How the vertical filter reads a row: as it is, or with the columns of a matrix every `step`.
enum Shape { kColumn, kMatrix1, kMatrix2, kMatrixAny };

// Add a filter row to the sums of an output row (weights f), of the next one (weights g), or both.
template <Shape shape, bool one, bool other, int R, int J>
INLINE void add_row(const Call& call, v16 (&sum)[R][J], const v16* row, const float* f,
                    const float* g) {
  const int64_t columns = shape == kColumn ? 1 : call.x.taps_down;
  const int64_t step = shape == kMatrixAny ? call.x.down : shape == kMatrix2 ? 2 : 1;
  v16 fresh[R][J] = {};  // one sum of all taps of a matrix would round hundreds of times
  v16(&part)[R][J] = shape == kColumn ? sum : fresh;
  for (int64_t l = 0; l < columns; ++l)
    for (int j = 0; j < J; ++j) {
      const v16 value = row[j * step + l];
      if (one) part[0][j] += value * f[l];
      if (other) part[R - 1][j] += value * g[l];
    }
  if (shape == kColumn) return;
  for (int j = 0; j < J; ++j) {
    if (one) sum[0][j] += part[0][j];
    if (other) sum[R - 1][j] += part[R - 1][j];
  }
}

// R output rows at once: they share most of their input rows, which come from the second cache.
template <Shape shape, int R, int J, class T>
INLINE v16 down_column_block(const Call& call, const v16* const* rows, int64_t x, T* out,
                             int lanes) {
  v16 sum[R][J] = {};
  const int64_t shift = R == 1 ? 0 : call.y.down, taps = call.y.taps_down;
  const int64_t columns = shape == kColumn ? 1 : call.x.taps_down;
  const int64_t first = x * (shape == kColumn ? 1 : call.x.down);
  const float *f = call.y.f_down, *g = f - shift * columns;
  for (int64_t k = 0; k < taps + shift; ++k, f += columns, g += columns) {
    const v16* row = rows[k] + first;
    if (k < shift)
      add_row<shape, true, false>(call, sum, row, f, g);
    else if (k < taps)
      add_row<shape, true, R == 2>(call, sum, row, f, g);
    else
      add_row<shape, false, true>(call, sum, row, f, g);
  }
  v16 total = {};
  const int64_t width = call.x.out, pixel = call.channels;
  for (int r = 0; r < R; ++r)
    for (int j = 0; j < J; ++j) {
      store(out + (r * width + x + j) * pixel, sum[r][j], lanes);
      total += sum[r][j];
    }
  return total;
}

template <Shape shape, int R, bool full, class T>
void down_columns(const Call& call, const v16* const* rows, T* out, int some, double* sums) {
  const int lanes = full ? kLanes : some;
  const int64_t width = call.x.out;
  v16 total = {};
  int64_t x = 0;
  for (; x + 8 <= width; x += 8)
    total += down_column_block<shape, R, 8>(call, rows, x, out, lanes);
  for (; x < width; ++x) total += down_column_block<shape, R, 1>(call, rows, x, out, lanes);
  if (sums)
    for (int i = 0; i < lanes; ++i) sums[i] += total[i];
}
