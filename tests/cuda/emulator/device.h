/* What kernels see in the emulator: CUDA's language, as far as cuda/kernels uses it, in plain C++17.
 * Include it before a .cu.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <cstring>
#include <tuple>
#include <type_traits>

#include <math.h>

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <vector_functions.h>
#include <vector_types.h>

#include "emulator.h"

#define CG_CUDA_EMULATOR 1

#undef __global__
#undef __device__
#undef __host__
#undef __forceinline__
#undef __launch_bounds__
#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __launch_bounds__(...)

/* ---- the running thread ---- */

extern "C" {

typedef struct {
  uint3 thread, block;
  dim3 threads, blocks;
  void *shared;
} CgEmulatorPlace;
extern CgEmulatorPlace cg_emulator_place;

typedef enum {
  CG_EMULATOR_SYNC,
  CG_EMULATOR_XOR,
  CG_EMULATOR_DOWN,
  CG_EMULATOR_ANY
} CgEmulatorWarp;

/** cg_emulator_barrier: waits for the block. @line of @file: which barrier. */
void cg_emulator_barrier (const char *file, int line);

/** cg_emulator_warp: waits for the lanes of @mask. Returns: @value of the lane that @lane names. */
unsigned long long cg_emulator_warp (CgEmulatorWarp what, unsigned mask, unsigned long long value,
                                     int lane, const char *file, int line);
}

#define threadIdx (cg_emulator_place.thread)
#define blockIdx (cg_emulator_place.block)
#define blockDim (cg_emulator_place.threads)
#define gridDim (cg_emulator_place.blocks)

template <typename T>
static inline T
cg_emulator_shuffle (CgEmulatorWarp what, unsigned mask, T value, int lane, const char *file,
                     int line)
{
  unsigned long long bits = 0;
  static_assert (sizeof (T) <= sizeof bits, "shuffled values have at most 8 bytes");

  memcpy (&bits, &value, sizeof value);
  bits = cg_emulator_warp (what, mask, bits, lane, file, line);
  memcpy (&value, &bits, sizeof value);
  return value;
}

#define __syncthreads() cg_emulator_barrier (__FILE__, __LINE__)
#define __syncwarp() cg_emulator_warp (CG_EMULATOR_SYNC, ~0u, 0, 0, __FILE__, __LINE__)
#define __shfl_xor_sync(mask, value, lane) \
  cg_emulator_shuffle (CG_EMULATOR_XOR, mask, value, lane, __FILE__, __LINE__)
#define __shfl_down_sync(mask, value, lane) \
  cg_emulator_shuffle (CG_EMULATOR_DOWN, mask, value, lane, __FILE__, __LINE__)
#define __any_sync(mask, value) \
  ((int)cg_emulator_warp (CG_EMULATOR_ANY, mask, (value) != 0, 0, __FILE__, __LINE__))

/* ---- functions that only nvcc has ---- */

template <typename T>
static inline T
__ldg (const T *p)
{
  return *p;
}

static inline int
min (int a, int b)
{
  return a < b ? a : b;
}

static inline unsigned
min (unsigned a, unsigned b)
{
  return a < b ? a : b;
}

static inline int
max (int a, int b)
{
  return a > b ? a : b;
}

static inline unsigned
max (unsigned a, unsigned b)
{
  return a > b ? a : b;
}

static inline double
__dadd_rn (double a, double b)
{
  return a + b;
}

static inline double
__dmul_rn (double a, double b)
{
  return a * b;
}

static inline unsigned
__umulhi (unsigned a, unsigned b)
{
  return (unsigned)((unsigned long long)a * b >> 32);
}

static inline unsigned
__dp4a (unsigned a, unsigned b, unsigned sum)
{
  for (int i = 0; i < 32; i += 8)
    sum += (a >> i & 0xff) * (b >> i & 0xff);
  return sum;
}

static inline int
atomicMax (int *p, int value)
{
  int old = *p;
  *p = old > value ? old : value;
  return old;
}

static inline unsigned
__float_as_uint (float x)
{
  unsigned bits;
  memcpy (&bits, &x, sizeof bits);
  return bits;
}

/* ---- launches ---- */

template <typename... P> struct CgEmulatorCall {
  void (*kernel) (P...);
  std::tuple<P...> arguments;
};

template <typename... P, typename... A>
static inline cudaError_t
cg_emulator_launch (const char *name, void (*kernel) (P...), dim3 grid, dim3 block, size_t shared,
                    cudaStream_t stream, A... arguments)
{
  static_assert ((std::is_trivially_copyable<P>::value && ...), "kernels take plain values");
  const CgEmulatorCall<P...> call = { kernel, std::tuple<P...> (arguments...) };
  CgEmulatorLaunch launch = { name, grid, block, shared, stream, nullptr, &call, sizeof call };

  launch.call = [] (const void *data) {
    const auto *c = static_cast<const CgEmulatorCall<P...> *> (data);
    std::apply (c->kernel, c->arguments);
  };
  return cg_emulator_submit (&launch);
}

#define CG_CUDA_LAUNCH(kernel, grid, block, shared, stream, ...) \
  cg_emulator_launch (#kernel, kernel, grid, block, shared, stream, __VA_ARGS__)

#define CG_CUDA_SHARED(type, name) type *name = static_cast<type *> (cg_emulator_place.shared)
