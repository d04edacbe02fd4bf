// The arithmetic of one thread: short runs of samples along a line, from registers where the
// factor and the number of taps are template arguments (0: known at run time only).
#pragma once

#include "platform.h"

constexpr int kRun = 8;  // upsampled samples per thread and step; the unit of the mask

DEVICE int ceil_div(int a, int b) { return a >= 0 ? (a + b - 1) / b : -(-a / b); }

DEVICE bool within(int i, int size) { return (unsigned)i < (unsigned)size; }

// A correlation kernel. `taps` null: the identity. `flip`: the taps are stored in this order.
struct Filter {
  const float* taps;
  int flip;
  float scale_y, scale_x;
};

DEVICE float tap(const Filter& f, int k, int count) {
  return k >= count ? 0 : f.taps ? f.taps[f.flip ? k : count - 1 - k] : 1;
}

DEVICE float tap(const Filter& f, int ky, int kx, int rows, int columns) {
  if (ky >= rows || kx >= columns) return 0;
  if (!f.flip) ky = rows - 1 - ky, kx = columns - 1 - kx;
  return f.taps[ky * columns + kx] * f.scale_y * f.scale_x;
}

// Polyphase order: entry t up + r is the weight of input t of a group for its sample r.
DEVICE int polyphase(int i, int up) { return up - 1 - i % up + up * (i / up); }

// N weights in registers, or in shared memory where N is 0.
template <int N>
struct Weights {
  float values[N];
  DEVICE explicit Weights(const float* from) {
    UNROLL for (int i = 0; i < N; ++i) values[i] = from[i];
  }
  DEVICE float operator[](int i) const { return values[i]; }
};

template <>
struct Weights<0> {
  const float* values;
  DEVICE explicit Weights(const float* from) : values(from) {}
  DEVICE float operator[](int i) const { return values[i]; }
};

// sum[s] += sample `first + s`; sample m comes from the inputs m / up .. m / up + taps - 1.
template <int U, int K>
DEVICE void up_run(float (&sum)[kRun], const float* line, int step, int first,
                   const Weights<U * K>& c, int up, int taps) {
  if constexpr (U > 0) {
    const float* from = line + first / U * step;
    UNROLL for (int i = 0; i < kRun / U + K - 1; ++i) {
      const float value = from[i * step];
      UNROLL for (int s = 0; s < kRun; ++s) {
        const int t = i - s / U;
        if (t >= 0 && t < K) sum[s] += value * c[t * U + s % U];
      }
    }
  } else {
    for (int s = 0; s < kRun; ++s) {
      const int group = (first + s) / up, r = (first + s) % up;
      for (int t = 0; t < taps; ++t) sum[s] += line[(group + t) * step] * c[t * up + r];
    }
  }
}

// sum[r] += output `first + r`; output j comes from the samples j down .. j down + taps - 1.
template <int D, int TD, int R>
DEVICE void down_run(float (&sum)[R], const float* line, int step, int first,
                     const Weights<TD>& c, int down, int taps) {
  if constexpr (D > 0) {
    const float* from = line + first * D * step;
    UNROLL for (int i = 0; i < (R - 1) * D + TD; ++i) {
      const float value = from[i * step];
      UNROLL for (int r = 0; r < R; ++r) {
        const int k = i - r * D;
        if (k >= 0 && k < TD) sum[r] += value * c[k];
      }
    }
  } else {
    for (int r = 0; r < R; ++r)
      for (int k = 0; k < taps; ++k) sum[r] += line[((first + r) * down + k) * step] * c[k];
  }
}
