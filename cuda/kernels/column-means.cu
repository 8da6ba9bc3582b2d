/* Means over tokens: a block sums some columns of one window.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "common.cuh"

#define LANES 16 /* of a line, N columns each: 64 bytes make enough blocks of one window */
#define LINES 28 /* line l takes the tokens l, l + LINES, ... */
#define LOADS 14 /* of a thread, which do not wait for each other: 1568 tokens are four turns */
#define THREADS (LINES * LANES)

/* Shared: the lines' sums, [LINES][N][LANES]. They are added in their order. */
template <typename T, int N>
static __global__ void
__launch_bounds__ (THREADS) column_means (const T *__restrict__ in, unsigned tokens,
                                          unsigned columns, float *__restrict__ out)
{
  CG_CUDA_SHARED (float, sums);
  const unsigned column = (blockIdx.x * LANES + threadIdx.x) * N;
  float sum[N] = {};

  if (column < columns) {
    const size_t step = (size_t)LINES * columns;
    const T *from = in + ((size_t)blockIdx.y * tokens + threadIdx.y) * columns + column;
    unsigned token = threadIdx.y;

    for (; token + (LOADS - 1) * LINES < tokens; token += LOADS * LINES, from += LOADS * step) {
      Pack<T, N> pack[LOADS];
#pragma unroll
      for (int u = 0; u < LOADS; u++)
        pack[u] = load_pack<N> (from + u * step);
#pragma unroll
      for (int u = 0; u < LOADS; u++)
        for (int e = 0; e < N; e++)
          sum[e] += widen (pack[u].element[e]);
    }
    for (; token < tokens; token += LINES, from += step)
      for (int e = 0; e < N; e++)
        sum[e] += widen (load_pack<N> (from).element[e]);
  }
  for (int e = 0; e < N; e++)
    sums[(threadIdx.y * N + e) * LANES + threadIdx.x] = sum[e];
  __syncthreads ();

  if (threadIdx.y == 0 && column < columns)
    for (int e = 0; e < N; e++) {
      float total = 0;
      for (int line = 0; line < LINES; line++)
        total += sums[(line * N + e) * LANES + threadIdx.x];
      out[(size_t)blockIdx.y * columns + column + e] = total / (float)tokens;
    }
}

template <typename T, int N>
static cudaError_t
launch (const T *in, unsigned windows, unsigned tokens, unsigned columns, float *out,
        cudaStream_t stream)
{
  return CG_CUDA_LAUNCH ((column_means<T, N>), dim3 (blocks_for (columns, LANES * N), windows),
                         dim3 (LANES, LINES), THREADS * N * sizeof (float), stream, in, tokens,
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
  /* A line of threads reads 64 bytes. */
  if (columns % 2 == 0 && type != CG_CUDA_FP32)
    RETURN_FOR_TYPE (
        type, launch < T,
        sizeof (T) == 2 ? 2
                        : 1 > (static_cast<const T *> (in), windows, tokens, columns, out, stream));
  RETURN_FOR_TYPE (
      type, launch<T, 1> (static_cast<const T *> (in), windows, tokens, columns, out, stream));
}
