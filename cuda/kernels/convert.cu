/* Conversion of weights, and a look at what was computed.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "common.cuh"

#define THREADS 256
#define MOST_BLOCKS 2048 /* enough to fill any GPU; more work is done in turns */

static unsigned
few_blocks (size_t n)
{
  const size_t blocks = (n + THREADS - 1) / THREADS;

  return blocks < MOST_BLOCKS ? (unsigned)blocks : MOST_BLOCKS;
}

template <typename T>
static __global__ void
__launch_bounds__ (THREADS) convert (const float *__restrict__ in, size_t n, T *__restrict__ out)
{
  const size_t step = (size_t)gridDim.x * THREADS;

  for (size_t i = (size_t)blockIdx.x * THREADS + threadIdx.x; i < n; i += step)
    out[i] = narrow<T> (in[i]);
}

extern "C" cudaError_t
cg_cuda_convert (const float *in, size_t n, CgCudaType type, void *out, cudaStream_t stream)
{
  if (n == 0)
    return cudaSuccess;
  if (!is_array (in) || !is_array (out))
    return cudaErrorInvalidValue;
  RETURN_FOR_TYPE (type, CG_CUDA_LAUNCH (convert<T>, dim3 (few_blocks (n)), dim3 (THREADS), 0,
                                         stream, in, n, static_cast<T *> (out)));
}

/* Magnitudes are compared as the integers that their bits are: NaN is above infinity. A largest value does
 * not depend on the order in which it is found. */
template <typename T>
static __global__ void
__launch_bounds__ (THREADS) max_abs (const T *__restrict__ values, size_t n, int *result)
{
  const size_t step = (size_t)gridDim.x * THREADS;
  int most = 0;

  for (size_t i = (size_t)blockIdx.x * THREADS + threadIdx.x; i < n; i += step) {
    const int bits = (int)(__float_as_uint (widen (values[i])) & 0x7fffffffu);
    most = bits > most ? bits : most;
  }
  for (int lane = WARP / 2; lane > 0; lane /= 2) {
    const int other = __shfl_xor_sync (ALL_LANES, most, lane);
    most = other > most ? other : most;
  }
  if (threadIdx.x % WARP == 0)
    atomicMax (result, most);
}

extern "C" cudaError_t
cg_cuda_max_abs (CgCudaType type, const void *values, size_t n, float *result, cudaStream_t stream)
{
  if (n == 0)
    return cudaSuccess;
  if (!is_array (values) || result == NULL)
    return cudaErrorInvalidValue;
  RETURN_FOR_TYPE (type, CG_CUDA_LAUNCH (max_abs<T>, dim3 (few_blocks (n)), dim3 (THREADS), 0,
                                         stream, static_cast<const T *> (values), n,
                                         reinterpret_cast<int *> (result)));
}
