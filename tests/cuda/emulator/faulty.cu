/* Kernels with the faults that the emulator must find. Each takes what it does wrong as a number.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "faulty.h"

/* 1: one thread ends before the barrier. 2: odd threads stand at another one. */
static __global__ void
barriers (int fault, int *out)
{
  if (fault == 1 && threadIdx.x == 5)
    return;
  if (fault == 2 && threadIdx.x % 2)
    __syncthreads ();
  else
    __syncthreads ();
  out[threadIdx.x] = 1;
}

/* 1: a lane leaves. 2: the mask names lanes that the block does not have. */
static __global__ void
lanes (int fault, int *out)
{
  if (fault == 1 && threadIdx.x == 3)
    return;
  out[threadIdx.x] = __shfl_xor_sync (0xffffffffu, (int)threadIdx.x, 1);
}

/* 1: no barrier between writing and reading. 2: reads what nobody wrote. */
static __global__ void
memory (int fault, int *out)
{
  CG_CUDA_SHARED (int, shared);
  const unsigned n = blockDim.x;

  if (fault != 2)
    shared[threadIdx.x] = (int)threadIdx.x;
  if (fault != 1)
    __syncthreads ();
  out[blockIdx.x * n + threadIdx.x] = shared[n - 1 - threadIdx.x];
}

extern "C" cudaError_t
cg_faulty_barriers (int fault, unsigned threads, int *out)
{
  return CG_CUDA_LAUNCH (barriers, dim3 (1), dim3 (threads), 0, 0, fault, out);
}

extern "C" cudaError_t
cg_faulty_lanes (int fault, unsigned threads, int *out)
{
  return CG_CUDA_LAUNCH (lanes, dim3 (1), dim3 (threads), 0, 0, fault, out);
}

extern "C" cudaError_t
cg_faulty_memory (int fault, unsigned blocks, unsigned threads, size_t shared, int *out)
{
  return CG_CUDA_LAUNCH (memory, dim3 (blocks), dim3 (threads), shared, 0, fault, out);
}
