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

// The first `lanes` values; the others are zeros. Memory beyond them is never touched.
INLINE v16 load(const float* from, int lanes) {
  v16 value = {};
  if (lanes == kLanes) {
    memcpy(&value, from, sizeof value);
    return value;
  }
#if defined(__AVX512BW__)
  return (v16)_mm512_maskz_loadu_ps((__mmask16)((1u << lanes) - 1), from);
#else
  for (int i = 0; i < lanes; ++i) value[i] = from[i];
  return value;
#endif
}

INLINE v16 load(const bfloat16* from, int lanes) {
  half16 bits = {};
  if (lanes == kLanes)
    memcpy(&bits, from, sizeof bits);
  else
#if defined(__AVX512BW__) && defined(__AVX512VL__)
    bits = (half16)_mm256_maskz_loadu_epi16((__mmask16)((1u << lanes) - 1), from);
#else
    for (int i = 0; i < lanes; ++i) bits[i] = from[i].bits;
#endif
#if defined(__AVX512F__)  // GCC 12 makes two halves of the line below
  return (v16)((u16)_mm512_maskz_cvtepu16_epi32(0xffff, (__m256i)bits) << 16);
#else
  return (v16)(__builtin_convertvector(bits, u16) << 16);
#endif
}

INLINE void store(float* to, v16 value, int lanes) {
  if (lanes == kLanes)
    memcpy(to, &value, sizeof value);
  else
#if defined(__AVX512BW__)
    _mm512_mask_storeu_ps(to, (__mmask16)((1u << lanes) - 1), (__m512)value);
#else
    for (int i = 0; i < lanes; ++i) to[i] = value[i];
#endif
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
#if defined(__AVX512BW__) && defined(__AVX512VL__)
    _mm256_mask_storeu_epi16(to, (__mmask16)((1u << lanes) - 1), (__m256i)out);
#else
    for (int i = 0; i < lanes; ++i) to[i].bits = out[i];
#endif
}

// One truth value per lane: a mask register where there is one, else a vector of 0 and -1. Two of
// them are kept as one 32-bit word, `low` in its lower half.
#if defined(__AVX512BW__)

typedef __mmask16 Bits;

INLINE Bits greater(v16 a, v16 b) {
  return _mm512_cmp_ps_mask((__m512)a, (__m512)b, _CMP_GT_OQ);
}
INLINE Bits equal(v16 a, v16 b) {
  return _mm512_cmp_ps_mask((__m512)a, (__m512)b, _CMP_EQ_OQ);
}
INLINE v16 pick(Bits bits, v16 yes, v16 no) {
  return (v16)_mm512_mask_blend_ps(bits, (__m512)no, (__m512)yes);
}
INLINE void store_bits(uint32_t* to, Bits low, Bits high) {
  _store_mask32((__mmask32*)to, _mm512_kunpackw(high, low));
}
INLINE Bits load_low(const uint32_t* from) { return (Bits)*from; }
INLINE Bits load_high(const uint32_t* from) { return (Bits)(*from >> 16); }

#else

typedef i16 Bits;

INLINE Bits greater(v16 a, v16 b) { return a > b; }
INLINE Bits equal(v16 a, v16 b) { return a == b; }
INLINE v16 pick(Bits bits, v16 yes, v16 no) { return bits ? yes : no; }
INLINE uint32_t pack(Bits bits) {
#if defined(__AVX2__)
  __m256 halves[2];
  memcpy(halves, &bits, sizeof bits);
  return _mm256_movemask_ps(halves[0]) | _mm256_movemask_ps(halves[1]) << 8;
#else
  uint32_t word = 0;
  for (int i = 0; i < kLanes; ++i) word |= (uint32_t)(bits[i] & 1) << i;
  return word;
#endif
}
INLINE Bits unpack(uint32_t word) {
  const i16 lane = {1,      1 << 1, 1 << 2,  1 << 3,  1 << 4,  1 << 5,  1 << 6,  1 << 7,
                    1 << 8, 1 << 9, 1 << 10, 1 << 11, 1 << 12, 1 << 13, 1 << 14, 1 << 15};
  return ((int32_t)word & lane) != 0;
}
INLINE void store_bits(uint32_t* to, Bits low, Bits high) { *to = pack(low) | pack(high) << 16; }
INLINE Bits load_low(const uint32_t* from) { return unpack(*from & 0xffff); }
INLINE Bits load_high(const uint32_t* from) { return unpack(*from >> 16); }

#endif
