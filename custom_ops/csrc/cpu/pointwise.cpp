// y = clip(gain act(x s + b)) with a factor per sample and channel and a bias per channel, padded
// with zeros; and its derivative. One pass over memory each, sums over pixels included.
//
// Vectors of 16 run along the channels of channels-last pictures, or along the pixels of planes.
#include <algorithm>
#include <cmath>
#include <omp.h>
#include <vector>

#include "activations.h"

namespace {

struct Call {
  // pictures [batch, rows, width, channels]; planar: [batch, channels, rows, width]
  int64_t batch, rows, width, channels;
  int64_t padding;  // zeros on every side of y and dy; only if not planar
  int64_t bands;    // tasks per sample
  int64_t is_planar, is_bfloat16, act, threads;
  const float *scale, *bias;  // [batch, channels] and [channels], or null
  const void* x;
  void* y;                         // forward: written
  const void* dy;                  // backward: dx and the sums are written
  void* dx;
  double *sums_scale, *sums_bias;  // [batch, bands, channels], of du x and of du; or null
  float alpha, gain, clamp;        // clamp: NaN is none

  bool is_backward() const { return dy; }
};

// What the pixels of a task share, in blocks of 16 channels: u = x scale + bias; sums of du x, du.
struct Blocks {
  std::vector<v16> scale, bias, sums_scale, sums_bias;

  explicit Blocks(int64_t count) : scale(count), bias(count), sums_scale(count), sums_bias(count) {}

  void clear_sums() {
    std::fill(sums_scale.begin(), sums_scale.end(), v16{});
    std::fill(sums_bias.begin(), sums_bias.end(), v16{});
  }
};

// Where `lanes` values lie, and in which block.
template <class T>
struct Place {
  const T* x;
  T* out;  // y, or dx
  const T* dy;
  int64_t block;
  int lanes;
};

template <class T, Act act>
INLINE void forward(const Call& call, const Blocks& blocks, const Place<T>& at) {
  const v16 high = all(call.clamp), low = -high;
  const v16 u = load(at.x, at.lanes) * blocks.scale[at.block] + blocks.bias[at.block];
  const v16 v = activate<act>(u, call.alpha) * call.gain;
  const v16 capped = high < v ? high : v;  // in this order of operands a NaN passes
  store(at.out, low > capped ? low : capped, at.lanes);
}

template <class T, Act act>
INLINE void backward(const Call& call, Blocks& blocks, const Place<T>& at) {
  const v16 zero = {}, scale = blocks.scale[at.block];
  const v16 x = load(at.x, at.lanes), u = x * scale + blocks.bias[at.block];
  const v16 v = activate<act>(u, call.alpha) * call.gain;
  const v16 slope = slope_at<act>(u, call.alpha) * call.gain;
  const v16 du = load(at.dy, at.lanes) * (absolute(v) >= all(call.clamp) ? zero : slope);
  store(at.out, du * scale, at.lanes);
  blocks.sums_scale[at.block] += du * x;
  blocks.sums_bias[at.block] += du;
}

// `count` pixels of `values` each, in memory one after the other; blocks of a plane are all the
// first one.
template <class T, Act act>
void run_row(const Call& call, Blocks& blocks, Place<T> at, int64_t count, int64_t values) {
  const auto one = [&](int lanes) {
    at.lanes = lanes;
    call.is_backward() ? backward<T, act>(call, blocks, at) : forward<T, act>(call, blocks, at);
    at.x += lanes, at.out += lanes, at.dy += lanes, at.block += !call.is_planar;
  };
  const int rest = (int)(values % kLanes);
  for (int64_t k = 0; k < count; ++k) {
    for (int64_t c = 0; c < values / kLanes; ++c) one(kLanes);
    if (rest) one(rest);
    at.block = 0;
  }
}

template <class T>
Place<T> place(const Call& call, int64_t inner, int64_t outer) {
  if (call.is_backward()) return {(const T*)call.x + inner, (T*)call.dx + inner,
                                  (const T*)call.dy + outer, 0, 0};
  return {(const T*)call.x + inner, (T*)call.y + outer, nullptr, 0, 0};
}

// Some rows of sample n, channels last.
template <class T, Act act>
void run_pixels(const Call& call, int64_t n, int64_t row, int64_t end, int64_t slot) {
  const int64_t channels = call.channels, wide = call.width + 2 * call.padding;
  const int64_t height = call.rows + 2 * call.padding, count = (channels + kLanes - 1) / kLanes;
  Blocks blocks(count);
  for (int64_t c = 0; c < count; ++c) {
    const int64_t at = c * kLanes;
    const int lanes = (int)std::min<int64_t>(kLanes, channels - at);
    blocks.scale[c] = call.scale ? load(call.scale + n * channels + at, lanes) : all(1.f);
    blocks.bias[c] = call.bias ? load(call.bias + at, lanes) : v16{};
  }
  for (; row < end; ++row) {
    const int64_t inner = (n * call.rows + row) * call.width * channels;
    const int64_t outer = ((n * height + row + call.padding) * wide + call.padding) * channels;
    run_row<T, act>(call, blocks, place<T>(call, inner, outer), call.width, channels);
    for (int64_t c = 0; c < channels; ++c) {
      const int64_t to = slot * channels + c;
      if (call.sums_scale) call.sums_scale[to] += blocks.sums_scale[c / kLanes][c % kLanes];
      if (call.sums_bias) call.sums_bias[to] += blocks.sums_bias[c / kLanes][c % kLanes];
    }
    blocks.clear_sums();
  }
}

// Some planes of sample n.
template <class T, Act act>
void run_planes(const Call& call, int64_t n, int64_t channel, int64_t end, int64_t slot) {
  const int64_t size = call.rows * call.width;
  Blocks blocks(1);
  for (; channel < end; ++channel) {
    const int64_t plane = n * call.channels + channel, to = slot * call.channels + channel;
    blocks.scale[0] = all(call.scale ? call.scale[plane] : 1.f);
    blocks.bias[0] = all(call.bias ? call.bias[channel] : 0.f);
    run_row<T, act>(call, blocks, place<T>(call, plane * size, plane * size), 1, size);
    for (int i = 0; i < kLanes; ++i) {
      if (call.sums_scale) call.sums_scale[to] += blocks.sums_scale[0][i];
      if (call.sums_bias) call.sums_bias[to] += blocks.sums_bias[0][i];
    }
    blocks.clear_sums();
  }
}

template <class T>
void clear_border(const Call& call, int64_t n) {
  const int64_t p = call.padding, wide = (call.width + 2 * p) * call.channels;
  T* row = (T*)call.y + n * (call.rows + 2 * p) * wide;
  std::fill(row, row + p * wide, T{});
  row += p * wide;
  for (int64_t k = 0; k < call.rows; ++k, row += wide) {
    std::fill(row, row + p * call.channels, T{});
    std::fill(row + wide - p * call.channels, row + wide, T{});
  }
  std::fill(row, row + p * wide, T{});
}

template <class T, Act act>
int run(const Call& call) {
  const int64_t units = call.is_planar ? call.channels : call.rows;
#pragma omp parallel for schedule(static) num_threads((int)call.threads)
  for (int64_t slot = 0; slot < call.batch * call.bands; ++slot) {
    const int64_t n = slot / call.bands, band = slot % call.bands;
    const int64_t first = units * band / call.bands, end = units * (band + 1) / call.bands;
    if (call.padding && band == 0 && !call.is_backward()) clear_border<T>(call, n);
    (call.is_planar ? run_planes<T, act> : run_pixels<T, act>)(call, n, first, end, slot);
  }
  return 0;
}

template <class T>
int run_act(const Call& call) {
  switch ((Act)call.act) {
    case kLinear: return run<T, kLinear>(call);
    case kRelu: return run<T, kRelu>(call);
    case kLrelu: return run<T, kLrelu>(call);
    case kTanh: return run<T, kTanh>(call);
    case kSigmoid: return run<T, kSigmoid>(call);
    case kSoftplus: return run<T, kSoftplus>(call);
    case kSwish: return run<T, kSwish>(call);
  }
  return 2;
}

}  // namespace

// 0: done; 2: unknown activation. With `dy` the derivative, else the value.
extern "C" int irodori_pointwise(const Call* call) {
  return call->is_bfloat16 ? run_act<bfloat16>(*call) : run_act<float>(*call);
}
