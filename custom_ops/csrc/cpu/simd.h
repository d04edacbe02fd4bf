// Sixteen channels at once. GCC vector extensions: one source for AVX-512, AVX2 and plain builds.
#pragma once

#include <cstdint>
#include <cstring>
#if defined(__AVX512F__) || defined(__AVX2__)
#include <immintrin.h>
#endif

#define INLINE static inline __attribute__((always_inline))

typedef float v16 __attribute__((vector_size(64)));
typedef int32_t i16 __attribute__((vector_size(64)));
typedef uint32_t u16 __attribute__((vector_size(64)));
typedef uint16_t half16 __attribute__((vector_size(32)));

constexpr int kLanes = 16;

struct bfloat16 {
  uint16_t bits;
};

INLINE v16 load(const float* from, int lanes) {
  v16 value = {};
  if (lanes == kLanes)
    memcpy(&value, from, sizeof value);
  else
    for (int i = 0; i < lanes; ++i) value[i] = from[i];
  return value;
}

INLINE v16 load(const bfloat16* from, int lanes) {
  half16 bits = {};
  if (lanes == kLanes)
    memcpy(&bits, from, sizeof bits);
  else
    for (int i = 0; i < lanes; ++i) bits[i] = from[i].bits;
#if defined(__AVX512F__)  // GCC 12 makes two halves of the line below
  return (v16)_mm512_slli_epi32(_mm512_cvtepu16_epi32((__m256i)bits), 16);
#else
  return (v16)(__builtin_convertvector(bits, u16) << 16);
#endif
}

INLINE void store(float* to, v16 value, int lanes) {
  if (lanes == kLanes)
    memcpy(to, &value, sizeof value);
  else
    for (int i = 0; i < lanes; ++i) to[i] = value[i];
}

// Round to nearest, ties to even; a NaN stays a NaN (rounding alone could carry it to infinity).
INLINE half16 narrow(v16 value) {
#if defined(__AVX512BF16__)
  return (half16)_mm512_cvtneps_pbh((__m512)value);
#else
  const u16 bits = (u16)value;
  const u16 rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
  return __builtin_convertvector(value == value ? rounded : (bits >> 16) | 0x40, half16);
#endif
}

INLINE void store(bfloat16* to, v16 value, int lanes) {
  const half16 out = narrow(value);
  if (lanes == kLanes)
    memcpy(to, &out, sizeof out);
  else
    for (int i = 0; i < lanes; ++i) to[i].bits = out[i];
}

#if !defined(__AVX512BW__)
INLINE uint32_t to_bits(i16 lanes) {
#if defined(__AVX2__)
  __m256 halves[2];
  memcpy(halves, &lanes, sizeof lanes);
  return _mm256_movemask_ps(halves[0]) | _mm256_movemask_ps(halves[1]) << 8;
#else
  uint32_t bits = 0;
  for (int i = 0; i < kLanes; ++i) bits |= (uint32_t)(lanes[i] & 1) << i;
  return bits;
#endif
}
#endif

// One bit per lane: a > b in the low half of the word, c == d in the high half.
INLINE void store_compare(uint32_t* to, v16 a, v16 b, v16 c, v16 d) {
#if defined(__AVX512BW__)
  const __mmask16 low = _mm512_cmp_ps_mask((__m512)a, (__m512)b, _CMP_GT_OQ);
  const __mmask16 high = _mm512_cmp_ps_mask((__m512)c, (__m512)d, _CMP_EQ_OQ);
  _store_mask32((__mmask32*)to, _mm512_kunpackw(high, low));
#else
  *to = to_bits(a > b) | to_bits(c == d) << 16;
#endif
}

INLINE v16 select(uint32_t bits, v16 yes, v16 no) {
#if defined(__AVX512F__)
  return (v16)_mm512_mask_blend_ps((__mmask16)bits, (__m512)no, (__m512)yes);
#else
  const i16 lane_bit = {1,      1 << 1, 1 << 2,  1 << 3,  1 << 4,  1 << 5,  1 << 6,  1 << 7,
                        1 << 8, 1 << 9, 1 << 10, 1 << 11, 1 << 12, 1 << 13, 1 << 14, 1 << 15};
  const i16 spread = (int32_t)bits & lane_bit;
  return spread != 0 ? yes : no;
#endif
}
