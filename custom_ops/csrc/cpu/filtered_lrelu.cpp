// y = D(act(U(x s + b))) on channels-last pictures, its linear form with a stored mask, and D(U(x)).
//
// A task is 16 channels of some output rows of one sample. Rows stream: input line -> vertical up
// -> horizontal up and activation -> horizontal down -> vertical down. Buffers hold a few rows at the
// low rate and one row at the high rate; the upsampled picture never exists. A filter that is a
// matrix does both directions in one step; as D it needs as many rows at the high rate as it has.
#include <algorithm>
#include <atomic>
#include <memory>
#include <new>
#include <omp.h>

#include "rows.h"

namespace {

// Where a task reads and writes.
template <class T>
struct Place {
  const T* in;
  T* out;
  uint32_t* mask;  // of row 0, column 0
  double* sums;
  const float* scale;
  int64_t channel;
  int lanes;
};

// One thread's filters and buffers. Buffers start as zeros: what lies outside the picture, and
// outside the upsampled picture, is never written.
template <class T, Mode mode>
struct Worker {
  const Call& call;
  const Activation act;
  const Up up_y, up_x;
  int64_t line_width, mid_first, mid_left, ring_rows, ring_width;
  v16 *lines, *raised, *mid, *ring, *zeros;
  float *c_y, *c_x;  // of the matrix, if it is one: c_x alone, one sheet for each row of a group
  std::unique_ptr<float[]> weights;
  std::unique_ptr<v16[]> memory;
  std::unique_ptr<const v16*[]> line_at, row_at;

  explicit Worker(const Call& c) : call(c), act(make_activation(c)), up_y(c.y), up_x(c.x) {
    const Axis &y = c.y, &x = c.x;
    line_width = up_x.groups() + up_x.taps - 1;
    mid_first = x.before_up + x.up * (up_x.first - 1) + 1;
    mid_left = std::max<int64_t>(x.before_down, 0) + x.up;
    const int64_t reach = (x.out - 1) * x.down - x.before_down + x.taps_down;
    const int64_t mid_width = mid_left + std::max(reach, x.mid) + x.up;
    ring_rows = y.taps_down + y.down + y.up;
    ring_width = c.down_is_matrix ? mid_width : x.out;
    const int64_t widest = std::max(line_width, ring_width);
    line_at.reset(new (std::nothrow) const v16*[up_y.taps]);
    row_at.reset(new (std::nothrow) const v16*[y.taps_down + y.down]);
    memory.reset(new (std::nothrow) v16[(up_y.taps + y.up) * line_width + mid_width +
                                        ring_rows * ring_width + widest]());
    lines = memory.get();
    raised = lines + up_y.taps * line_width;
    mid = raised + y.up * line_width;
    ring = mid + mid_width;
    zeros = ring + ring_rows * ring_width;
    weights.reset(new (std::nothrow) float[up_y.size() * (1 + up_x.size()) + up_x.size()]);
    if (weights) arrange();
  }

  bool ok() const { return weights && memory && line_at && row_at; }

  void arrange() {
    c_y = weights.get();
    c_x = c_y + up_y.size();
    if (call.up_is_matrix) return arrange_matrix(call, up_y, up_x, c_x);
    up_y.arrange(call.y.f_up, call.y.taps_up, c_y);
    up_x.arrange(call.x.f_up, call.x.taps_up, c_x);
  }

  // Input row i times its factor plus its bias, in float32.
  void load_line(const Place<T>& at, int64_t i) {
    const int64_t from = std::max<int64_t>(up_x.first, 0);
    const int64_t to = std::min(up_x.first + line_width, call.x.in);
    v16* line = lines + (i % up_y.taps) * line_width - up_x.first;
    const v16 none = {};
    const v16 bias = call.bias ? load(call.bias + at.channel, at.lanes) : none;
    const v16 scale = at.scale ? load(at.scale, at.lanes) : none + 1.f;
    const T* row = at.in + i * call.x.in * call.channels;
    const int64_t next = i + 1 < call.y.in ? call.x.in * call.channels : 0;
    for (int64_t k = from; k < to; ++k) {
      __builtin_prefetch(row + k * call.channels + next);
      line[k] = load(row + k * call.channels, at.lanes) * scale + bias;
    }
  }

  // The rows of one vertical group, still at the low horizontal rate.
  void raise(int64_t group) {
    for (int64_t t = 0; t < up_y.taps; ++t) {
      const int64_t i = group + t;
      const bool real = i >= 0 && i < call.y.in;
      line_at[t] = real ? lines + (i % up_y.taps) * line_width : zeros;
    }
    if (call.up_is_matrix) return;
    switch (up_y.up) {
      case 2: return up_columns<2>(up_y, c_y, line_at.get(), line_width, raised);
      case 4: return up_columns<4>(up_y, c_y, line_at.get(), line_width, raised);
      default: return up_columns<1>(up_y, c_y, line_at.get(), line_width, raised);
    }
  }

  // Row m of the upsampled picture, the r-th of its group: up, activate, down, into the ring.
  void filter_row(int64_t m, int64_t r, uint32_t* mask) {
    const v16* line = raised + r * line_width;
    const Source all{line_at.get(), up_y.taps, c_x + r * up_y.taps * up_x.size()};
    const Source from = call.up_is_matrix ? all : Source{&line, 1, c_x};
    v16* to = ring + (m % ring_rows) * ring_width;
    v16* row = (call.down_is_matrix ? to : mid) + mid_left;
    switch (up_x.up) {
      case 2: up_row<2, mode>(up_x, from, row + mid_first, mask + mid_first, act); break;
      case 4: up_row<4, mode>(up_x, from, row + mid_first, mask + mid_first, act); break;
      default: up_row<1, mode>(up_x, from, row + mid_first, mask + mid_first, act);
    }
    // Groups may reach over the edges. What they make there is never read: forward, no tap goes
    // beyond mid; backward, it is zero. It is cleared so that equal calls leave equal masks.
    if (mode == kForwardSave) {
      std::fill(mask - kMargin, mask, 0u);
      std::fill(mask + call.x.mid, mask + call.x.mid + kMargin, 0u);
    }
    if (call.down_is_matrix) return;
    row -= call.x.before_down;
    switch (call.x.down) {
      case 1: return down_row<1>(call.x, row, to);
      case 2: return down_row<2>(call.x, row, to);
      case 4: return down_row<4>(call.x, row, to);
      default: return down_row<0>(call.x, row, to);
    }
  }

  // Output row j, or j and j + 1 if `pair`.
  void emit(const Place<T>& at, int64_t j, bool pair) {
    const Axis& y = call.y;
    const v16* first = ring + (call.down_is_matrix ? mid_left - call.x.before_down : 0);
    for (int64_t k = 0; k < y.taps_down + (pair ? y.down : 0); ++k) {
      const int64_t m = j * y.down - y.before_down + k;
      row_at[k] = m >= 0 && m < y.mid ? first + (m % ring_rows) * ring_width : zeros;
    }
    if (!call.down_is_matrix) return write<kColumn>(at, j, pair);
    switch (call.x.down) {
      case 1: return write<kMatrix1>(at, j, pair);
      case 2: return write<kMatrix2>(at, j, pair);
      default: return write<kMatrixAny>(at, j, pair);
    }
  }

  template <Shape shape>
  void write(const Place<T>& at, int64_t j, bool pair) {
    const bool full = at.lanes == kLanes;
    const auto one = full ? down_columns<shape, 1, true, T> : down_columns<shape, 1, false, T>;
    const auto two = full ? down_columns<shape, 2, true, T> : down_columns<shape, 2, false, T>;
    T* row = at.out + j * call.x.out * call.channels;
    (pair ? two : one)(call, row_at.get(), row, at.lanes, at.sums);
  }

  Place<T> place(int64_t n, int64_t block, int64_t band) const {
    const int64_t blocks = count_blocks(call), plane = n * blocks + block;
    const int64_t lanes = std::min<int64_t>(call.channels, kLanes);
    // The last block overlaps the one before instead of being narrow; both write equal values.
    const int64_t channel = std::min(block * kLanes, call.channels - lanes);
    const int64_t pixels_in = call.y.in * call.x.in, pixels_out = call.y.out * call.x.out;
    const int64_t mask_size = call.y.mid * (call.x.mid + 2 * kMargin);
    return {(const T*)call.input + n * pixels_in * call.channels + channel,
            (T*)call.output + n * pixels_out * call.channels + channel,
            call.mask ? call.mask + plane * mask_size + kMargin : nullptr,
            call.sums ? call.sums + (plane * call.bands + band) * kLanes : nullptr,
            call.scale ? call.scale + n * call.channels + channel : nullptr,
            channel,
            (int)lanes};
  }

  // Output rows from `j` to `end`.
  void run(const Place<T>& at, int64_t j, int64_t end) {
    const Axis& y = call.y;
    const int64_t step = y.taps_down >= y.down ? 2 : 1;  // rows that overlap go out in pairs
    const int64_t reach = y.taps_down - 1 - y.before_down;
    const int64_t low = std::max<int64_t>(j * y.down - y.before_down, 0);
    const int64_t high = std::min((end - 1) * y.down + reach, y.mid - 1);
    const int64_t last = low <= high ? ceil_div(high - y.before_up, y.up) : INT64_MIN;
    int64_t loaded = ceil_div(low - y.before_up, y.up);
    for (int64_t group = loaded; group <= last; ++group) {
      for (; loaded < group + up_y.taps; ++loaded)
        if (loaded >= 0 && loaded < y.in) load_line(at, loaded);
      raise(group);
      const int64_t first = y.before_up + y.up * (group - 1) + 1;
      for (int64_t m = std::max(first, low); m < first + y.up && m <= high; ++m)
        filter_row(m, m - first, at.mask + m * (call.x.mid + 2 * kMargin));
      for (; j + step <= end && (j + step - 1) * y.down + reach < first + y.up; j += step)
        emit(at, j, step == 2);
    }
    for (; j < end; ++j) emit(at, j, false);
  }
};

template <class T, Mode mode>
int run_all(const Call& call) {
  const int64_t blocks = count_blocks(call), tasks = call.batch * blocks * call.bands;
  std::atomic<int> failed{0};
#pragma omp parallel num_threads((int)call.threads)
  {
    Worker<T, mode> worker(call);
    if (!worker.ok()) failed = 1;
#pragma omp for schedule(dynamic)
    for (int64_t task = 0; task < tasks; ++task) {
      if (failed) continue;
      const int64_t plane = task / call.bands, band = task % call.bands;
      const Place<T> at = worker.place(plane / blocks, plane % blocks, band);
      worker.run(at, call.y.out * band / call.bands, call.y.out * (band + 1) / call.bands);
    }
  }
  return failed;
}

template <class T>
int run_mode(const Call& call) {
  switch ((Mode)call.mode) {
    case kForward: return run_all<T, kForward>(call);
    case kForwardSave: return run_all<T, kForwardSave>(call);
    case kMasked: return run_all<T, kMasked>(call);
    case kLinear: return run_all<T, kLinear>(call);
  }
  return 2;
}

}  // namespace

// 0: done; 1: out of memory; 2: unknown mode.
extern "C" int irodori_filtered_lrelu(const Call* call) {
  return call->is_bfloat16 ? run_mode<bfloat16>(*call) : run_mode<float>(*call);
}
