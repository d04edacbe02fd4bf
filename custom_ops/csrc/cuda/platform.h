// What the kernels need of the machine, twice: for CUDA, and for a plain C++ compiler, so that the
// same kernels can be tested without a GPU.
//
// A kernel is a sequence of phases; `phase` runs one for every thread of the block and ends with a
// barrier. What outlives a phase lives in shared memory, so the C++ version is a loop over threads.
#pragma once

typedef long long int64;
constexpr int kThreads = 256;

struct half {
  unsigned short bits;
};
struct bfloat16 {
  unsigned short bits;
};

#ifdef __CUDACC_RTC__

#define DEVICE __device__ __forceinline__
#define UNROLL _Pragma("unroll")
#define KERNEL(blocks) __global__ void __launch_bounds__(kThreads, blocks)

extern __shared__ float shared[];

DEVICE unsigned block_index() { return blockIdx.x; }

template <class Work>
DEVICE void phase(Work work) {
  work((int)threadIdx.x);
  __syncthreads();
}

// Instructions instead of cuda_fp16.h: NVRTC needs no folder of headers then.
DEVICE float to_float(half value) {
  float result;
  asm("cvt.f32.f16 %0, %1;" : "=f"(result) : "h"(value.bits));
  return result;
}

DEVICE void convert(float value, half& result) {
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(result.bits) : "f"(value));
}

DEVICE unsigned as_bits(float value) { return __float_as_uint(value); }
DEVICE float as_float(unsigned bits) { return __uint_as_float(bits); }

#else

#include <cmath>
#include <cstring>

#define DEVICE inline
#define UNROLL
#define KERNEL(blocks) void

// Set by the launcher before each block.
inline float* shared;
inline unsigned current_block;
inline bool reversed;  // the order of threads must not matter: it does not on a GPU

inline unsigned block_index() { return current_block; }

template <class Work>
void phase(Work work) {
  for (int i = 0; i < kThreads; ++i) work(reversed ? kThreads - 1 - i : i);
}

inline float to_float(half value) {
  _Float16 wide;
  memcpy(&wide, &value, sizeof value);
  return wide;
}

inline void convert(float value, half& result) {
  const _Float16 narrow = value;
  memcpy(&result, &narrow, sizeof result);
}

inline unsigned as_bits(float value) {
  unsigned bits;
  memcpy(&bits, &value, sizeof bits);
  return bits;
}

inline float as_float(unsigned bits) {
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

// Runs `kernel` for every block. Shared memory begins as NaN: what is read before it is written
// shows in the answer.
template <class Call>
void launch(void (*kernel)(Call), const Call& call, unsigned blocks, unsigned shared_bytes) {
  const unsigned words = shared_bytes / sizeof(float);
  shared = new float[words];
  for (current_block = 0; current_block < blocks; ++current_block) {
    for (unsigned i = 0; i < words; ++i) shared[i] = NAN;
    kernel(call);
  }
  delete[] shared;
}

#endif

DEVICE float to_float(float value) { return value; }
DEVICE void convert(float value, float& result) { result = value; }

DEVICE float to_float(bfloat16 value) { return as_float((unsigned)value.bits << 16); }

// Round to nearest, ties to even; a NaN stays a NaN (rounding alone could carry it to infinity).
DEVICE void convert(float value, bfloat16& result) {
  const unsigned bits = as_bits(value), rounded = bits + 0x7fff + ((bits >> 16) & 1);
  result.bits = (unsigned short)((value == value ? rounded : bits | 0x400000) >> 16);
}
