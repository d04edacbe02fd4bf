// bias_act and its derivatives: y = a f^(n)(x + b), elementwise, 16 bytes per thread.
#include "platform.h"

enum Act { kIdentity = 0, kRelu, kLrelu, kTanh, kSigmoid, kSoftplus, kSwish };

struct Call {
  const void *a, *x;  // a: null for 1
  const float* b;     // [channels] or null
  void* y;
  unsigned count, inner, channels;  // element i has the bias of channel i / inner % channels
  int aligned;                      // whether all addresses are multiples of 16
  float alpha, gain, clamp;
};

template <int n>
DEVICE float sigmoid(float x) {
  const float s = 1 / (1 + expf(-x));
  if constexpr (n == 0) return s;
  if constexpr (n == 1) return s * (1 - s);
  if constexpr (n == 2) return s * (1 - s) * (1 - 2 * s);
  return s * (1 - s) * (1 - 6 * s * (1 - s));
}

template <int n>
DEVICE float hyperbolic(float x) {
  const float t = tanhf(x), slope = 1 - t * t;
  return n == 0 ? t : n == 1 ? slope : n == 2 ? -2 * t * slope : slope * (6 * t * t - 2);
}

// The n-th derivative of the activation.
template <int act, int n>
DEVICE float derivative(float x, float alpha) {
  if constexpr (act == kTanh) return hyperbolic<n>(x);
  if constexpr (act == kSigmoid) return sigmoid<n>(x);
  if constexpr (act == kSoftplus && n == 0) return x > 20 ? x : log1pf(expf(x));
  if constexpr (act == kSoftplus && n > 0) return sigmoid<n - 1>(x);
  if constexpr (act == kSwish && n == 0) return x * sigmoid<0>(x);
  if constexpr (act == kSwish && n > 0) return n * sigmoid<n - 1>(x) + x * sigmoid<n>(x);
  const float slope = act == kIdentity || x > 0 ? 1 : act == kLrelu ? alpha : 0;
  if constexpr (n == 0) return act == kRelu ? (x < 0 ? 0 : x) : x * slope;  // a NaN stays
  return n == 1 ? slope : 0;
}

template <class T>
struct alignas(16) Pack {
  static constexpr unsigned kSize = 16 / sizeof(T);
  T values[kSize];
};

template <class T>
DEVICE void read(Pack<T>& to, const void* from, unsigned first, const Call& call) {
  const T* at = (const T*)from + first;
  if (call.aligned && call.count - first >= to.kSize) {
    to = *(const Pack<T>*)at;
  } else {
    for (unsigned i = 0; i < to.kSize; ++i) to.values[i] = call.count - first > i ? at[i] : T();
  }
}

template <class T>
DEVICE void write(const Pack<T>& from, void* to, unsigned first, const Call& call) {
  T* at = (T*)to + first;
  if (call.aligned && call.count - first >= from.kSize) {
    *(Pack<T>*)at = from;
  } else {
    for (unsigned i = 0; i < from.kSize && call.count - first > i; ++i) at[i] = from.values[i];
  }
}

template <int act, int n>
DEVICE float evaluate(float x, const Call& call) {
  const float y = call.gain * derivative<act, 0>(x, call.alpha);
  const bool above = y >= call.clamp, below = y <= -call.clamp;
  if constexpr (n == 0) return above ? call.clamp : below ? -call.clamp : y;
  return above || below ? 0 : call.gain * derivative<act, n>(x, call.alpha);
}

template <class T, int act, int n>
KERNEL(4) bias_act(const Call call) {
  phase([&](int thread) {
    constexpr unsigned kSize = Pack<T>::kSize;
    const unsigned first = (block_index() * kThreads + thread) * kSize;
    if (first >= call.count) return;
    Pack<T> x, a;
    read(x, call.x, first, call);
    if (n > 0) read(a, call.a, first, call);
    unsigned channel = first / call.inner % call.channels, rest = first % call.inner;
    float bias = call.b ? call.b[channel] : 0;
    UNROLL for (unsigned i = 0; i < kSize; ++i) {
      const float y = evaluate<act, n>(to_float(x.values[i]) + bias, call);
      convert(n > 0 ? y * to_float(a.values[i]) : y, x.values[i]);
      if (++rest < call.inner || !call.b) continue;
      rest = 0;
      channel = channel + 1 < call.channels ? channel + 1 : 0;
      bias = call.b[channel];
    }
    write(x, call.y, first, call);
  });
}
