// The activations of bias_act and their first derivatives, sixteen values at once.
#pragma once

#include "simd.h"

enum Act : int64_t { kLinear, kRelu, kLrelu, kTanh, kSigmoid, kSoftplus, kSwish };

INLINE v16 all(float value) { return v16{} + value; }
INLINE v16 absolute(v16 x) { return (v16)((i16)x & 0x7fffffff); }
INLINE v16 with_sign(v16 x, v16 sign) { return (v16)((i16)x | ((i16)sign & INT32_MIN)); }

// e^x = 2^k e^r with |r| <= ln 2 / 2 and e^r by its series to r^7. A NaN stays one.
INLINE v16 exponential(v16 x) {
  const v16 low = all(-87.f), high = all(88.f), shift = all(12582912.f);  // 1.5 2^23: rounds
  x = low > x ? low : x;
  x = high < x ? high : x;
  const v16 k = (x * 1.44269504f + shift) - shift;
  const v16 r = x - k * 0.693359375f + k * 2.12194440e-4f;
  v16 p = all(1.f / 5040);
  for (float factorial : {720.f, 120.f, 24.f, 6.f, 2.f, 1.f, 1.f}) p = p * r + 1.f / factorial;
  return p * (v16)((__builtin_convertvector(k, i16) + 127) << 23);
}

// e^x - 1 for x <= 0; where it is small, the difference would be all rounding.
INLINE v16 exponential_minus_one(v16 x) {
  v16 p = all(1.f / 5040);
  for (float factorial : {720.f, 120.f, 24.f, 6.f, 2.f, 1.f}) p = p * x + 1.f / factorial;
  return pick(greater(x, all(-0.34f)), p * x, exponential(x) - 1.f);
}

// log(1 + t) for 0 <= t <= 1: twice the area tangent of s = t / (2 + t) <= 1 / 3.
INLINE v16 log_one_plus(v16 t) {
  const v16 s = t / (t + 2.f), square = s * s;
  v16 p = all(1.f / 15);
  for (float odd : {13.f, 11.f, 9.f, 7.f, 5.f, 3.f, 1.f}) p = p * square + 1.f / odd;
  return 2.f * s * p;
}

INLINE v16 sigmoid(v16 x) { return 1.f / (1.f + exponential(-x)); }

template <Act act>
INLINE v16 activate(v16 x, float alpha) {
  const v16 zero = {};
  if (act == kRelu) return pick(greater(zero, x), zero, x);
  if (act == kLrelu) return x * pick(greater(x, zero), all(1.f), all(alpha));
  if (act == kSigmoid) return sigmoid(x);
  if (act == kSwish) return x * sigmoid(x);
  if (act == kTanh) {
    const v16 e = exponential_minus_one(-2.f * absolute(x));
    return with_sign(-e / (2.f + e), x);
  }
  if (act == kSoftplus)
    return pick(greater(zero, x), zero, x) + log_one_plus(exponential(-absolute(x)));
  return x;
}

template <Act act>
INLINE v16 slope_at(v16 x, float alpha) {
  const v16 zero = {}, one = all(1.f);
  if (act == kRelu) return pick(greater(x, zero), one, zero);
  if (act == kLrelu) return pick(greater(x, zero), one, all(alpha));
  if (act == kSoftplus) return sigmoid(x);
  if (act == kSwish) return sigmoid(x) * (1.f + x * sigmoid(-x));
  if (act == kTanh || act == kSigmoid) {
    const v16 e = exponential((act == kTanh ? -2.f : -1.f) * absolute(x));
    return (act == kTanh ? 4.f : 1.f) * e / ((1.f + e) * (1.f + e));
  }
  return one;
}
