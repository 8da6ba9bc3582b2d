/* What all kernels share: launches, element types, loads of several elements, sums over a warp.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <stdint.h>

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include "cuda/kernels.h"

/* The emulator of tests/cuda has its own. The value is the launch's error; work before it may have left one. */
#ifndef CG_CUDA_EMULATOR
#define CG_CUDA_LAUNCH(kernel, grid, block, shared, stream, ...) \
  (kernel<<<(grid), (block), (shared), (stream)>>> (__VA_ARGS__), cudaGetLastError ())

/* A block's shared memory, as much as the launch gave it. */
#define CG_CUDA_SHARED(type, name)                                 \
  extern __shared__ __align__ (16) unsigned char cg_cuda_shared[]; \
  type *name = reinterpret_cast<type *> (cg_cuda_shared)
#endif

#define WARP 32
#define ALL_LANES 0xffffffffu

/* Returns an expression of the element type T, or that @type is none. */
#define RETURN_FOR_TYPE(type, ...) \
  do {                             \
    if ((type) == CG_CUDA_FP32) {  \
      using T = float;             \
      return __VA_ARGS__;          \
    }                              \
    if ((type) == CG_CUDA_FP16) {  \
      using T = __half;            \
      return __VA_ARGS__;          \
    }                              \
    if ((type) == CG_CUDA_BF16) {  \
      using T = __nv_bfloat16;     \
      return __VA_ARGS__;          \
    }                              \
    return cudaErrorInvalidValue;  \
  } while (0)

/* ---- elements ---- */

__device__ inline float
widen (float x)
{
  return x;
}

__device__ inline float
widen (__half x)
{
  return __half2float (x);
}

__device__ inline float
widen (__nv_bfloat16 x)
{
  return __bfloat162float (x);
}

template <typename T> __device__ inline T narrow (float x);

template <>
__device__ inline float
narrow<float> (float x)
{
  return x;
}

template <>
__device__ inline __half
narrow<__half> (float x)
{
  return __float2half_rn (x);
}

template <>
__device__ inline __nv_bfloat16
narrow<__nv_bfloat16> (float x)
{
  return __float2bfloat16_rn (x);
}

/* N elements that are read and written at once, 16 bytes at a time if there are so many. */
template <typename T, int N> struct alignas (sizeof (T) * N < 16 ? sizeof (T) * N : 16) Pack {
  T element[N];
};

template <int N, typename T>
__device__ inline Pack<T, N>
load_pack (const T *p)
{
  return *reinterpret_cast<const Pack<T, N> *> (p);
}

template <typename T, int N>
__device__ inline void
store_pack (T *p, const Pack<T, N> &pack)
{
  *reinterpret_cast<Pack<T, N> *> (p) = pack;
}

/* Elements of 16 bytes. */
template <typename T> constexpr int pack_size = 16 / (int)sizeof (T);

static inline bool
is_aligned (const void *p, size_t bytes)
{
  return reinterpret_cast<uintptr_t> (p) % bytes == 0;
}

/* What a launcher asks of an array: there, and aligned. */
static inline bool
is_array (const void *p)
{
  return p != NULL && is_aligned (p, 16);
}

/* ---- warps: all lanes get the result ---- */

__device__ inline float
warp_sum (float x)
{
  for (int lane = WARP / 2; lane > 0; lane /= 2)
    x += __shfl_xor_sync (ALL_LANES, x, lane);
  return x;
}

/* NaN loses against a number. */
__device__ inline float
warp_max (float x)
{
  for (int lane = WARP / 2; lane > 0; lane /= 2)
    x = fmaxf (x, __shfl_xor_sync (ALL_LANES, x, lane));
  return x;
}

/* ---- launch geometry ---- */

#define MAX_ROWS 0x3fffffffu /* far below what a grid can hold */
#define MAX_GRID_Y 65535u

static inline unsigned
blocks_for (size_t n, size_t in_block)
{
  return (unsigned)((n + in_block - 1) / in_block);
}
