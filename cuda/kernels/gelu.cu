/* gelu (h + bias) in place, for matrix products whose epilogue has no exact GELU.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "common.cuh"

#define THREADS 64
#define ROWS 4 /* of a thread, which keeps its bias for them */

/* Thread (x, y): N columns of the rows y, y + grid, ... */
template <typename T, int N>
static __global__ void
__launch_bounds__ (THREADS)
    add_bias_gelu (T *h, size_t rows, unsigned columns, const float *__restrict__ bias)
{
  const size_t column = ((size_t)blockIdx.x * THREADS + threadIdx.x) * N;
  float add[N];

  if (column >= columns)
    return;
  const Pack<float, N> none = {}, shared = bias != NULL ? load_pack<N> (bias + column) : none;
  for (int e = 0; e < N; e++)
    add[e] = shared.element[e];
  for (size_t row = blockIdx.y; row < rows; row += gridDim.y) {
    Pack<T, N> pack = load_pack<N> (h + row * columns + column);
#pragma unroll
    for (int e = 0; e < N; e++) {
      const float x = widen (pack.element[e]) + add[e];
      pack.element[e] = narrow<T> (0.5f * x * (1 + erff (x * 0.70710678f)));
    }
    store_pack (h + row * columns + column, pack);
  }
}

template <typename T>
static cudaError_t
launch (T *h, size_t rows, unsigned columns, const float *bias, cudaStream_t stream)
{
  constexpr int n = pack_size<T>;
  const size_t turns = (rows + ROWS - 1) / ROWS;
  const unsigned y = turns < MAX_GRID_Y ? (unsigned)turns : MAX_GRID_Y;

  if (columns % n == 0)
    return CG_CUDA_LAUNCH ((add_bias_gelu<T, n>), dim3 (blocks_for (columns / n, THREADS), y),
                           dim3 (THREADS), 0, stream, h, rows, columns, bias);
  return CG_CUDA_LAUNCH ((add_bias_gelu<T, 1>), dim3 (blocks_for (columns, THREADS), y),
                         dim3 (THREADS), 0, stream, h, rows, columns, bias);
}

extern "C" cudaError_t
cg_cuda_add_bias_gelu (CgCudaType type, void *h, size_t rows, unsigned columns, const float *bias,
                       cudaStream_t stream)
{
  if (rows == 0)
    return cudaSuccess;
  if (!is_array (h) || !is_aligned (bias, 16) || columns == 0)
    return cudaErrorInvalidValue;
  RETURN_FOR_TYPE (type, launch<T> (static_cast<T *> (h), rows, columns, bias, stream));
}
