// y = D(act(U(x + b))) on channels-last pictures, and its linear form with a stored mask.
//
// A task is 16 channels of some output rows of one sample. Rows stream: input line -> vertical up ->
// horizontal up and activation -> horizontal down -> vertical down. Buffers hold a few rows at the
// low rate and one row at the high rate; the upsampled picture never exists.
#include <cmath>
#include <cstdlib>
#include <new>
#include <omp.h>

#include "simd.h"

// One axis: mid[m] = sum_i in[i] f_up[i up + before_up - m],
// out[j] = sum_m mid[m] f_down[m + before_down - j down]; filters as correlation kernels.
struct Axis {
  int64_t in, mid, out, up, down, before_up, before_down, taps_up, taps_down;
  const float *f_up, *f_down;
};

enum Mode : int64_t { kForward = 0, kForwardSave = 1, kMasked = 2, kLinear = 3 };

struct Call {
  Axis y, x;
  int64_t batch, channels, is_bfloat16, mode, threads;
  const void* input;   // [batch, y.in, x.in, channels]
  const float* bias;   // [channels] or null
  void* output;        // [batch, y.out, x.out, channels]
  uint32_t* mask;      // [batch, blocks, y.mid, x.mid + 2 kMargin]: positive, inside << 16
  double* sums;        // [batch, blocks, bands, 16]: sums of the output, or null
  int64_t bands;
  float gain, slope, clamp;  // clamp < 0: none
};

// Columns of the mask on either side of a row: groups of `up` columns may reach over the edge.
constexpr int64_t kMargin = 8;

namespace {

int64_t ceil_div(int64_t a, int64_t b) { return a >= 0 ? (a + b - 1) / b : -(-a / b); }

struct Activation {
  v16 positive, negative, low, high;
};

Activation make_activation(const Call& call) {
  const v16 zero = {}, bound = zero + (call.clamp >= 0 ? call.clamp : INFINITY);
  return {zero + call.gain, zero + call.gain * call.slope, -bound, bound};
}

template <Mode mode>
INLINE v16 activate(v16 v, Activation act, uint32_t* mask) {
  if (mode == kLinear) return v;
  const v16 zero = {};
  if (mode == kMasked) {
    const v16 slope = select(*mask & 0xffff, act.positive, act.negative);
    return select(*mask >> 16, v * slope, zero);
  }
  const v16 scaled = v * (v > zero ? act.positive : act.negative);
  // In this order of operands both are one instruction that lets a NaN through.
  const v16 capped = act.high < scaled ? act.high : scaled;
  const v16 result = act.low > capped ? act.low : capped;
  if (mode == kForwardSave) store_compare(mask, v, zero, scaled, result);
  return result;
}

// Polyphase upsampling in groups: group o makes the samples before_up + up (o - 1) + 1 + r,
// r = 0 .. up - 1, each from the inputs o .. o + taps - 1 with weights c[t up + r].
struct Up {
  int64_t up, taps, first, last;  // groups first .. last cover mid[0] .. mid[mid - 1]
  float* c;

  void init(const Axis& a, float* storage) {
    up = a.up;
    taps = ceil_div(a.taps_up, up);
    first = ceil_div(-a.before_up, up);
    last = ceil_div(a.mid - 1 - a.before_up, up);
    c = storage;
    for (int64_t t = 0; t < taps; ++t)
      for (int64_t r = 0; r < up; ++r) {
        const int64_t k = up - 1 - r + up * t;
        c[t * up + r] = k < a.taps_up ? a.f_up[k] : 0.f;
      }
  }
  int64_t groups() const { return last - first + 1; }
};

template <int U, int J, Mode mode>
INLINE void up_block(const Up& u, int64_t r0, const v16* line, v16* mid, uint32_t* mask,
                     Activation act) {
  v16 sum[J][U] = {};
  for (int64_t t = 0; t < u.taps; ++t)
    for (int j = 0; j < J; ++j)
      for (int r = 0; r < U; ++r) sum[j][r] += line[j + t] * u.c[t * u.up + r0 + r];
  for (int j = 0; j < J; ++j)
    for (int r = 0; r < U; ++r) {
      const int64_t at = j * u.up + r0 + r;
      mid[at] = activate<mode>(sum[j][r], act, mask + at);
    }
}

template <int U, Mode mode>
void up_row(const Up& u, const v16* line, v16* mid, uint32_t* mask, const Activation& shared) {
  constexpr int J = U == 4 ? 4 : U == 2 ? 6 : 8;
  const Activation act = shared;  // a copy that the stores below cannot alias stays in registers
  for (int64_t r0 = 0; r0 < u.up; r0 += U) {
    int64_t o = 0;
    for (; o + J <= u.groups(); o += J)
      up_block<U, J, mode>(u, r0, line + o, mid + o * u.up, mask + o * u.up, act);
    for (; o < u.groups(); ++o)
      up_block<U, 1, mode>(u, r0, line + o, mid + o * u.up, mask + o * u.up, act);
  }
}

template <int U, int J>
INLINE void up_column_block(const Up& u, int64_t r0, const v16* const* lines, int64_t x, v16* out,
                            int64_t pitch) {
  v16 sum[U][J] = {};
  for (int64_t t = 0; t < u.taps; ++t) {
    const v16* line = lines[t] + x;
    for (int r = 0; r < U; ++r)
      for (int j = 0; j < J; ++j) sum[r][j] += line[j] * u.c[t * u.up + r0 + r];
  }
  for (int r = 0; r < U; ++r)
    for (int j = 0; j < J; ++j) out[(r0 + r) * pitch + x + j] = sum[r][j];
}

template <int U>
void up_columns(const Up& u, const v16* const* lines, int64_t width, v16* out, int64_t pitch) {
  constexpr int J = U == 4 ? 4 : U == 2 ? 6 : 8;
  for (int64_t r0 = 0; r0 < u.up; r0 += U) {
    int64_t x = 0;
    for (; x + J <= width; x += J) up_column_block<U, J>(u, r0, lines, x, out, pitch);
    for (; x < width; ++x) up_column_block<U, 1>(u, r0, lines, x, out, pitch);
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

// R output rows at once: they share most of their input rows, which come from the second cache.
template <int R, int J, class T>
INLINE v16 down_column_block(const Axis& a, const v16* const* rows, int64_t x, T* out,
                             int64_t row_pitch, int64_t pixel, int lanes) {
  v16 sum[R][J] = {};
  const int64_t shift = R == 1 ? 0 : a.down, taps = a.taps_down;
  for (int64_t k = 0; k < shift; ++k)
    for (int j = 0; j < J; ++j) sum[0][j] += rows[k][x + j] * a.f_down[k];
  for (int64_t k = shift; k < taps; ++k)
    for (int j = 0; j < J; ++j) {
      const v16 value = rows[k][x + j];
      sum[0][j] += value * a.f_down[k];
      if (R == 2) sum[R - 1][j] += value * a.f_down[k - shift];
    }
  if (R == 2)
    for (int64_t k = taps; k < taps + shift; ++k)
      for (int j = 0; j < J; ++j) sum[R - 1][j] += rows[k][x + j] * a.f_down[k - shift];
  v16 total = {};
  for (int r = 0; r < R; ++r)
    for (int j = 0; j < J; ++j) {
      store(out + r * row_pitch + (x + j) * pixel, sum[r][j], lanes);
      total += sum[r][j];
    }
  return total;
}

template <int R, bool full, class T>
void down_columns(const Axis& a, const v16* const* rows, int64_t width, T* out, int64_t pixel,
                  int some, double* sums) {
  const int lanes = full ? kLanes : some;
  const int64_t pitch = width * pixel;
  v16 total = {};
  int64_t x = 0;
  for (; x + 8 <= width; x += 8)
    total += down_column_block<R, 8>(a, rows, x, out, pitch, pixel, lanes);
  for (; x < width; ++x) total += down_column_block<R, 1>(a, rows, x, out, pitch, pixel, lanes);
  if (sums)
    for (int i = 0; i < lanes; ++i) sums[i] += total[i];
}

// Everything one thread needs; buffers are cut from one allocation and start as zeros.
template <class T, Mode mode>
struct Worker {
  const Call& call;
  const Activation act;
  Up up_y, up_x;
  int64_t line_width, mid_first, mid_width, mid_left, ring_rows;
  v16 *lines, *raised, *mid, *ring, *zeros;
  const v16 **line_at, **row_at;
  char* memory;

  explicit Worker(const Call& c) : call(c), act(make_activation(c)) {
    const Axis &y = c.y, &x = c.x;
    float* coefficients = (float*)malloc(sizeof(float) * (y.taps_up + y.up + x.taps_up + x.up));
    up_y.init(y, coefficients);
    up_x.init(x, coefficients + y.taps_up + y.up);
    line_width = up_x.groups() + up_x.taps - 1;
    mid_first = x.before_up + x.up * (up_x.first - 1) + 1;
    mid_left = (x.before_down > 0 ? x.before_down : 0) + x.up;
    const int64_t reach = (x.out - 1) * x.down - x.before_down + x.taps_down;
    mid_width = mid_left + (reach > x.mid ? reach : x.mid) + x.up;
    ring_rows = y.taps_down + y.down + y.up;
    const int64_t count = up_y.taps * line_width + y.up * line_width + mid_width +
                          ring_rows * x.out + (line_width > x.out ? line_width : x.out);
    const size_t pointers = sizeof(v16*) * (up_y.taps + y.taps_down + y.down);
    const size_t bytes = (count * sizeof(v16) + pointers + 127) / 64 * 64;
    memory = (char*)aligned_alloc(64, bytes);
    memset(memory, 0, bytes);
    v16* next = (v16*)memory;
    lines = next, next += up_y.taps * line_width;
    raised = next, next += y.up * line_width;
    mid = next, next += mid_width;
    ring = next, next += ring_rows * x.out;
    zeros = next, next += line_width > x.out ? line_width : x.out;
    line_at = (const v16**)next;
    row_at = line_at + up_y.taps;
  }
  Worker(const Worker&) = delete;
  ~Worker() {
    free(memory);
    free(up_y.c);
  }

  // Input row i with its bias, widened to float32; columns outside the picture are zeros.
  void load_line(const T* image, int64_t i, int64_t c0, int lanes) {
    const int64_t end = up_x.first + line_width;
    const int64_t from = up_x.first > 0 ? up_x.first : 0;
    const int64_t to = end < call.x.in ? end : call.x.in;
    v16* line = lines + (i % up_y.taps) * line_width - up_x.first;
    const v16 none = {};
    const v16 bias = call.bias ? load(call.bias + c0, lanes) : none;
    const T* row = image + i * call.x.in * call.channels + c0;
    const int64_t next = i + 1 < call.y.in ? call.x.in * call.channels : 0;
    for (int64_t k = from; k < to; ++k) {
      __builtin_prefetch(row + k * call.channels + next);
      line[k] = load(row + k * call.channels, lanes) + bias;
    }
  }

  void gather_lines(int64_t group) {
    for (int64_t t = 0; t < up_y.taps; ++t) {
      const int64_t i = group + t;
      const bool real = i >= 0 && i < call.y.in;
      line_at[t] = real ? lines + (i % up_y.taps) * line_width : zeros;
    }
  }

  // One row at the high rate: up, activate, down, into the ring.
  void filter_row(const v16* line, int64_t m, uint32_t* mask) {
    v16* row = mid + mid_left + mid_first;
    uint32_t* bits = mask + mid_first;
    switch (up_x.up) {
      case 2: up_row<2, mode>(up_x, line, row, bits, act); break;
      case 4: up_row<4, mode>(up_x, line, row, bits, act); break;
      default: up_row<1, mode>(up_x, line, row, bits, act);
    }
    const v16 zero = {};
    for (int64_t k = mid_first; k < 0; ++k) mid[mid_left + k] = zero;
    for (int64_t k = call.x.mid; k < mid_first + up_x.groups() * up_x.up; ++k)
      mid[mid_left + k] = zero;
    const v16* from = mid + mid_left - call.x.before_down;
    v16* to = ring + (m % ring_rows) * call.x.out;
    switch (call.x.down) {
      case 1: down_row<1>(call.x, from, to); break;
      case 2: down_row<2>(call.x, from, to); break;
      case 4: down_row<4>(call.x, from, to); break;
      default: down_row<0>(call.x, from, to);
    }
  }

  void raise(int64_t group) {
    gather_lines(group);
    switch (up_y.up) {
      case 2: up_columns<2>(up_y, line_at, line_width, raised, line_width); break;
      case 4: up_columns<4>(up_y, line_at, line_width, raised, line_width); break;
      default: up_columns<1>(up_y, line_at, line_width, raised, line_width);
    }
  }

  // Output row j, or j and j + 1 if `pair`.
  void emit(T* image, int64_t j, bool pair, int64_t c0, int lanes, double* sums) {
    const Axis& y = call.y;
    for (int64_t k = 0; k < y.taps_down + (pair ? y.down : 0); ++k) {
      const int64_t m = j * y.down - y.before_down + k;
      row_at[k] = m >= 0 && m < y.mid ? ring + (m % ring_rows) * call.x.out : zeros;
    }
    T* row = image + j * call.x.out * call.channels + c0;
    if (lanes < kLanes)
      (pair ? down_columns<2, false, T> : down_columns<1, false, T>)(
          y, row_at, call.x.out, row, call.channels, lanes, sums);
    else
      (pair ? down_columns<2, true, T> : down_columns<1, true, T>)(
          y, row_at, call.x.out, row, call.channels, lanes, sums);
  }

  // Output rows j0 .. j1 - 1 of sixteen channels from c0 of sample n.
  void run(int64_t n, int64_t block, int64_t band) {
    const Axis& y = call.y;
    const int64_t blocks = (call.channels + kLanes - 1) / kLanes;
    // The last block overlaps the one before it instead of being narrow; both write equal values.
    const int lanes = call.channels < kLanes ? (int)call.channels : kLanes;
    const int64_t c0 = block * kLanes < call.channels - lanes ? block * kLanes : call.channels - lanes;
    const T* in = (const T*)call.input + n * y.in * call.x.in * call.channels;
    T* out = (T*)call.output + n * y.out * call.x.out * call.channels;
    const int64_t plane = (n * blocks + block) * y.mid, pitch = call.x.mid + 2 * kMargin;
    double* sums = call.sums ? call.sums + ((n * blocks + block) * call.bands + band) * kLanes : 0;
    int64_t j = y.out * band / call.bands;
    const int64_t j1 = y.out * (band + 1) / call.bands;
    const int64_t pair = y.taps_down >= y.down ? 2 : 1;  // rows that overlap go out in pairs
    const int64_t reach = y.taps_down - 1 - y.before_down;
    int64_t low = j * y.down - y.before_down;
    int64_t high = (j1 - 1) * y.down + reach;
    if (low < 0) low = 0;
    if (high > y.mid - 1) high = y.mid - 1;
    int64_t loaded = ceil_div(low - y.before_up, y.up);
    for (int64_t group = loaded; low <= high && group <= ceil_div(high - y.before_up, y.up); ++group) {
      for (; loaded < group + up_y.taps; ++loaded)
        if (loaded >= 0 && loaded < y.in) load_line(in, loaded, c0, lanes);
      raise(group);
      for (int64_t r = 0; r < y.up; ++r) {
        const int64_t m = y.before_up + y.up * (group - 1) + 1 + r;
        if (m >= low && m <= high)
          filter_row(raised + r * line_width, m, call.mask + (plane + m) * pitch + kMargin);
      }
      const int64_t done = y.before_up + y.up * group;
      for (; j + pair <= j1 && (j + pair - 1) * y.down + reach <= done; j += pair)
        emit(out, j, pair == 2, c0, lanes, sums);
    }
    for (; j < j1; ++j) emit(out, j, false, c0, lanes, sums);
  }
};

template <class T, Mode mode>
void run_all(const Call& call) {
  const int64_t blocks = (call.channels + kLanes - 1) / kLanes;
  const int64_t tasks = call.batch * blocks * call.bands;
#pragma omp parallel num_threads((int)call.threads)
  {
    Worker<T, mode> worker(call);
#pragma omp for schedule(dynamic)
    for (int64_t task = 0; task < tasks; ++task) {
      const int64_t plane = task / call.bands;
      worker.run(plane / blocks, plane % blocks, task % call.bands);
    }
  }
}

template <class T>
void run_mode(const Call& call) {
  switch ((Mode)call.mode) {
    case kForward: return run_all<T, kForward>(call);
    case kForwardSave: return run_all<T, kForwardSave>(call);
    case kMasked: return run_all<T, kMasked>(call);
    case kLinear: return run_all<T, kLinear>(call);
  }
}

}  // namespace

extern "C" void irodori_filtered_lrelu(const Call* call) {
  if (call->is_bfloat16)
    run_mode<bfloat16>(*call);
  else
    run_mode<float>(*call);
}
