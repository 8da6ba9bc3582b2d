/* Means over tokens: a block sums the columns of one warp of one window.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "common.cuh"

#define LINES 16 /* of threads; line l takes the tokens l, l + LINES, ... */
#define THREADS (LINES * WARP)

/* Shared: the lines' sums, [LINES][WARP * N]. They are added in their order. */
template <typename T, int N>
static __global__ void
__launch_bounds__ (THREADS) column_means (const T *__restrict__ in, unsigned tokens,
                                          unsigned columns, float *__restrict__ out)
{
  CG_CUDA_SHARED (float, sums);
  const unsigned column = (blockIdx.x * WARP + threadIdx.x) * N;
  float sum[N] = {};

  if (column < columns) {
    const T *from = in + (size_t)blockIdx.y * tokens * columns + column;
#pragma unroll 4
    for (unsigned token = threadIdx.y; token < tokens; token += LINES) {
      const Pack<T, N> pack = load_pack<N> (from + (size_t)token * columns);
      for (int e = 0; e < N; e++)
        sum[e] += widen (pack.element[e]);
    }
  }
  for (int e = 0; e < N; e++)
    sums[(threadIdx.y * N + e) * WARP + threadIdx.x] = sum[e];
  __syncthreads ();

  if (threadIdx.y == 0 && column < columns)
    for (int e = 0; e < N; e++) {
      float total = 0;
      for (int line = 0; line < LINES; line++)
        total += sums[(line * N + e) * WARP + threadIdx.x];
      out[(size_t)blockIdx.y * columns + column + e] = total / (float)tokens;
    }
}

template <typename T, int N>
static cudaError_t
launch (const T *in, unsigned windows, unsigned tokens, unsigned columns, float *out,
        cudaStream_t stream)
{
  return CG_CUDA_LAUNCH ((column_means<T, N>), dim3 (blocks_for (columns, WARP * N), windows),
                         dim3 (WARP, LINES), LINES * WARP * N * sizeof (float), stream, in, tokens,
                         columns, out);
}

extern "C" cudaError_t
cg_cuda_column_means (CgCudaType type, const void *in, unsigned windows, unsigned tokens,
                      unsigned columns, float *out, cudaStream_t stream)
{
  if (windows == 0)
    return cudaSuccess;
  if (!is_array (in) || !is_array (out) || tokens == 0 || columns == 0 || windows > MAX_GRID_Y)
    return cudaErrorInvalidValue;
  /* A warp reads 128 bytes of a row. */
  if (columns % 2 == 0 && type != CG_CUDA_FP32)
    RETURN_FOR_TYPE (
        type, launch < T,
        sizeof (T) == 2 ? 2
                        : 1 > (static_cast<const T *> (in), windows, tokens, columns, out, stream));
  RETURN_FOR_TYPE (
      type, launch<T, 1> (static_cast<const T *> (in), windows, tokens, columns, out, stream));
}
