// filtered_lrelu, its derivatives and upfirdn2d: one kernel, one tile of one plane per block.
//
//   input -> X -> V (up, along y) -> M (up, along x; activation) -> H (down, along x) -> output
//
// All of X, V, M and H is shared memory: the upsampled picture never exists anywhere else. Two-
// dimensional filters go from X to M, or from M to the output, in one step. The layout is NCHW: a
// tile of one plane is read once, in rows, while in channels-last a tile as large as the filters
// need (their reach is lost at every edge) would fit shared memory for one or two channels only,
// 2 to 4 useful bytes of every 32 fetched.
#include "filter_runs.h"

enum Mode { kForward = 0, kForwardSave = 1, kMasked = 2, kLinear = 3 };

// One axis: mid[m] = sum_i in[i] up[i up + before_up - m],
// out[j] = sum_m mid[m] down[m + before_down - j down].
struct Axis {
  int in, mid, out, up, down, before_up, before_down, taps_up, taps_down;
  int tile, tiles, tile_mid, tile_in;  // outputs per tile, tiles, samples of M and of X per tile
};

struct Call {
  Axis y, x;
  Filter up, down;
  const void* input;     // [planes, y.in, x.in]
  const float* bias;     // [channels] or null
  void* output;          // [planes, y.out, x.out]
  unsigned short* mask;  // [planes, y.mid, mask_pitch], 8 samples each: sign, then inside
  float* sums;           // [planes, tiles]: sums of the output, for kMasked
  int channels, mask_start, mask_pitch;  // the first mask unit begins at sample x = mask_start
  int pitch_mid, pitch_side, size_mid, size_side;  // of the two buffers, in floats
  float gain, slope, clamp;
};

// Where a tile begins. M begins with a whole group of `up` samples, `lead` before the first needed.
struct Place {
  int out, mid, in, lead;
};

DEVICE Place place(const Axis& a, int tile) {
  const int out = tile * a.tile, needed = out * a.down - a.before_down;
  const int in = ceil_div(needed - a.before_up, a.up);
  const int mid = a.before_up + a.up * (in - 1) + 1;
  return {out, mid, in, needed - mid};
}

// U, D: factors, K: taps of a phase of the upsampling filter, TD: taps of the other one, PM and PS:
// pitches of the two buffers, odd so that a warp that walks along 32 rows meets 32 banks. All are 0
// in the instance that does whatever has no instance of its own.
template <class T, int mode, int U, int K, int D, int TD, bool up_2d, bool down_2d, int PM, int PS>
struct Tile {
  // upfirdn2d has one filter: if it upsamples, that one, and else the other one.
  static constexpr bool kKeep = mode == kLinear && U == 1 && K == 1;               // X is M
  static constexpr bool kTake = mode == kLinear && U > 1 && D == 1 && TD == 1;  // M is H
  static constexpr int kOut = down_2d ? 8 : 4;                        // outputs per thread and step

  const Call& call;
  const Axis &y, &x;
  const int plane, tile;  // the tile's number within the plane
  const Place at_y, at_x;
  const int taps_y, taps_x;  // of one phase of the upsampling filter
  const int pitch_mid, pitch_side;
  float *const mid, *const side;  // X and M share a buffer, V and H the other one
  float *const up_y, *const up_x, *const down_y, *const down_x;

  DEVICE explicit Tile(const Call& c)
      : call(c), y(c.y), x(c.x),
        plane(block_index() / (y.tiles * x.tiles)), tile(block_index() % (y.tiles * x.tiles)),
        at_y(place(y, tile / x.tiles)), at_x(place(x, tile % x.tiles)),
        taps_y(ceil_div(y.taps_up, y.up)), taps_x(ceil_div(x.taps_up, x.up)),
        pitch_mid(PM ? PM : c.pitch_mid), pitch_side(PS ? PS : c.pitch_side),
        mid(shared), side(mid + c.size_mid), up_y(side + c.size_side),
        up_x(up_y + taps_y * y.up), down_y(up_y + up_size()), down_x(down_y + y.taps_down) {}

  DEVICE int up_size() const {
    const int rows = taps_y * y.up, columns = taps_x * x.up;
    return up_2d ? rows * columns : rows + columns;
  }

  // M's columns, even ones first where lanes read every other one: no two of a bank.
  DEVICE int column(int m) const {
    return down_2d && D == 2 ? (m & 1) * (PM / 2) + (m >> 1) : m;
  }

  // Every (lane, run) once; neighbouring threads have neighbouring lanes.
  template <class Work>
  DEVICE void each(int lanes, int runs, Work work) const {
    phase([&](int thread) {
      const float inverse = 1.f / lanes;
      for (int i = thread; i < lanes * runs; i += kThreads) {
        const int run = (int)((i + 0.5f) * inverse);  // i / lanes: exact below 2^20
        work(i - run * lanes, run);
      }
    });
  }

  DEVICE void load_filters(int thread) const {
    const int rows = taps_y * y.up, columns = taps_x * x.up;
    for (int i = thread; up_2d && i < rows * columns; i += kThreads)
      up_y[i] = tap(call.up, polyphase(i / columns, y.up), polyphase(i % columns, x.up),
                    y.taps_up, x.taps_up);
    for (int i = thread; !up_2d && i < rows; i += kThreads)
      up_y[i] = call.up.scale_y * tap(call.up, polyphase(i, y.up), y.taps_up);
    for (int i = thread; !up_2d && i < columns; i += kThreads)
      up_x[i] = call.up.scale_x * tap(call.up, polyphase(i, x.up), x.taps_up);
    for (int i = thread; down_2d && i < y.taps_down * x.taps_down; i += kThreads)
      down_y[i] = tap(call.down, i % y.taps_down, i / y.taps_down, y.taps_down, x.taps_down);
    for (int i = thread; !down_2d && i < y.taps_down; i += kThreads)
      down_y[i] = call.down.scale_y * tap(call.down, i, y.taps_down);
    for (int i = thread; !down_2d && i < x.taps_down; i += kThreads)
      down_x[i] = call.down.scale_x * tap(call.down, i, x.taps_down);
  }

  DEVICE void load() const {
    phase([&](int thread) { load_filters(thread); });
    float* const to = up_2d ? side : mid;
    const int pitch = kKeep ? pitch_mid : pitch_side;
    const T* from = (const T*)call.input + (int64)plane * y.in * x.in;
    const float bias = call.bias ? call.bias[plane % call.channels] : 0;
    each(x.tile_in, ceil_div(y.tile_in, kRun), [&](int lane, int run) {
      const int column_in = at_x.in + lane;
      UNROLL for (int s = 0; s < kRun; ++s) {
        const int row = run * kRun + s, row_in = at_y.in + row;
        const bool exists = within(column_in, x.in) && within(row_in, y.in);
        const float value = exists ? to_float(from[row_in * x.in + column_in]) + bias : 0;
        if (row < y.tile_in) to[row * pitch + (kKeep ? column(lane) : lane)] = value;
      }
    });
  }

  DEVICE void raise() const {
    if constexpr (!up_2d) {
      const Weights<U * K> c(up_y);
      each(x.tile_in, y.tile_mid / kRun, [&](int lane, int run) {
        float sum[kRun] = {};
        up_run<U, K>(sum, mid + lane, pitch_side, run * kRun, c, y.up, taps_y);
        UNROLL for (int s = 0; s < kRun; ++s) side[(run * kRun + s) * pitch_side + lane] = sum[s];
      });
    }
    const Weights<up_2d ? 0 : U * K> c(up_x);
    each(y.tile_mid, x.tile_mid / kRun, [&](int row, int run) {
      float sum[kRun] = {};
      if constexpr (up_2d)
        raise_2d(sum, row, run);
      else
        up_run<U, K>(sum, side + row * pitch_side, 1, run * kRun, c, x.up, taps_x);
      activate(sum, row, run * kRun);
      UNROLL for (int s = 0; s < kRun; ++s) mid[row * pitch_mid + column(run * kRun + s)] = sum[s];
    });
  }

  DEVICE void raise_2d(float (&sum)[kRun], int row, int run) const {
    const int group = row / y.up, r = row % y.up;
    for (int t = 0; t < taps_y; ++t) {
      const Weights<U * K> c(up_y + (t * y.up + r) * taps_x * x.up);
      up_run<U, K>(sum, side + (group + t) * pitch_side, 1, run * kRun, c, x.up, taps_x);
    }
  }

  // Samples outside of 0 .. mid - 1 may get any value: `down` reads none of them in a forward pass,
  // and no input reaches them in a transposed one.
  DEVICE void activate(float (&v)[kRun], int row, int column) const {
    if (mode == kLinear) return;
    const int m_y = at_y.mid + row, m_x = at_x.mid + column;
    unsigned bits = mode == kMasked ? read_mask(m_y, m_x) : 0;
    UNROLL for (int s = 0; s < kRun; ++s) {
      if (mode == kMasked) {
        const float scaled = v[s] * (bits >> 2 * s & 1 ? call.gain : call.gain * call.slope);
        v[s] = bits >> (2 * s + 1) & 1 ? scaled : 0;
      } else {
        const bool positive = v[s] > 0;
        const float scaled = v[s] * (positive ? call.gain : call.gain * call.slope);
        const bool above = scaled >= call.clamp, below = scaled <= -call.clamp;
        v[s] = above ? call.clamp : below ? -call.clamp : scaled;  // a NaN stays
        bits |= (positive | !(above | below) << 1) << 2 * s;
      }
    }
    if (mode == kForwardSave) write_mask(bits, m_y, m_x);
  }

  DEVICE unsigned short* mask_row(int m_y) const {
    return call.mask + ((int64)plane * y.mid + m_y) * call.mask_pitch;
  }

  DEVICE unsigned read_mask(int m_y, int m_x) const {
    if (!within(m_y, y.mid)) return 0;
    const int first = m_x - call.mask_start, unit = first >> 3;
    const unsigned short* from = mask_row(m_y);
    const unsigned low = within(unit, call.mask_pitch) ? from[unit] : 0;
    const unsigned high = within(unit + 1, call.mask_pitch) ? from[unit + 1] : 0;
    return (low | high << 16) >> 2 * (first & 7);
  }

  // Tiles overlap in M; each writes the samples up to the next tile's first, the last one the rest.
  DEVICE void write_mask(unsigned bits, int m_y, int m_x) const {
    const int unit = (m_x - call.mask_start) >> 3;
    const bool mine_y = m_y < (at_y.out + y.tile) * y.down || tile / x.tiles + 1 == y.tiles;
    const bool mine_x = unit * 8 < (at_x.out + x.tile) * x.down || tile % x.tiles + 1 == x.tiles;
    if (mine_y && mine_x && within(m_y, y.mid) && within(unit, call.mask_pitch))
      mask_row(m_y)[unit] = (unsigned short)bits;
  }

  DEVICE void lower_rows() const {
    const Weights<TD> c(down_x);
    each(y.tile_mid, x.tile / kOut, [&](int row, int run) {
      float sum[kOut] = {};
      const float* line = mid + row * pitch_mid + at_x.lead;
      down_run<D, TD>(sum, line, 1, run * kOut, c, x.down, x.taps_down);
      UNROLL for (int r = 0; r < kOut; ++r) side[row * pitch_side + run * kOut + r] = sum[r];
    });
  }

  DEVICE void lower_columns() const {
    const Weights<down_2d ? 0 : TD> c(down_y);
    const float* from = kTake ? mid + at_y.lead * pitch_mid + at_x.lead
                              : side + at_y.lead * pitch_side;
    const int pitch = kTake ? pitch_mid : pitch_side;
    each(x.tile, y.tile / kOut, [&](int lane, int run) {
      float sum[kOut] = {};
      if constexpr (down_2d)
        lower_2d(sum, lane, run);
      else
        down_run<D, TD>(sum, from + lane, pitch, run * kOut, c, y.down, y.taps_down);
      store(sum, lane, run);
    });
  }

  DEVICE void lower_2d(float (&sum)[kOut], int lane, int run) const {
    const float* from = mid + at_y.lead * pitch_mid;
    for (int k = 0; k < x.taps_down; ++k) {
      const Weights<TD> c(down_y + k * y.taps_down);
      const float* line = from + column(at_x.lead + lane * x.down + k);
      down_run<D, TD>(sum, line, pitch_mid, run * kOut, c, y.down, y.taps_down);
    }
  }

  // The buffer that the last step does not read.
  DEVICE float* spare() const { return down_2d || kTake ? side : mid; }

  DEVICE void store(const float (&sum)[kOut], int lane, int run) const {
    T* to = (T*)call.output + (int64)plane * y.out * x.out;
    const int column_out = at_x.out + lane;
    float total = 0;
    UNROLL for (int r = 0; r < kOut; ++r) {
      const int row_out = at_y.out + run * kOut + r;
      if (column_out < x.out && row_out < y.out) {
        convert(sum[r], to[row_out * x.out + column_out]);
        total += sum[r];
      }
    }
    if (mode == kMasked) spare()[run * x.tile + lane] = total;
  }

  DEVICE void reduce() const {
    const int count = x.tile * (y.tile / kOut);
    float* const totals = spare();
    phase([&](int thread) {
      if (thread >= 32) return;
      float total = 0;
      for (int i = thread; i < count; i += 32) total += totals[i];
      totals[count + thread] = total;
    });
    phase([&](int thread) {
      if (thread > 0) return;
      float total = 0;
      for (int i = 0; i < 32; ++i) total += totals[count + i];
      call.sums[(int64)plane * y.tiles * x.tiles + tile] = total;
    });
  }
};

template <class T, int mode, int U, int K, int D, int TD, bool up_2d, bool down_2d, int PM, int PS>
KERNEL(U == 0 || (U == 4 && down_2d) ? 3 : 4)  // blocks per multiprocessor; more would spill
filter_tile(const Call call) {
  const Tile<T, mode, U, K, D, TD, up_2d, down_2d, PM, PS> tile(call);
  tile.load();
  if constexpr (!tile.kKeep) tile.raise();
  if constexpr (!down_2d && !tile.kTake) tile.lower_rows();
  tile.lower_columns();
  if constexpr (mode == kMasked) tile.reduce();
}
