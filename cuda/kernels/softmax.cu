/* Softmax of rows in place, for attention without cuDNN: one warp for each row.
 *
 * The row is read three times, twice out of the first-level cache: its maximum, the sum, the result.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "common.cuh"

#define ROWS 4 /* of a block */

template <typename T, int N>
static __global__ void
__launch_bounds__ (ROWS *WARP)
    softmax (T *scores, size_t rows, unsigned columns, unsigned stride, float factor)
{
  const size_t row = (size_t)blockIdx.x * ROWS + threadIdx.x / WARP;
  const unsigned first = threadIdx.x % WARP * N;
  float most = -INFINITY, sum = 0;

  if (row >= rows)
    return;
  scores += row * stride;
  for (unsigned i = first; i < columns; i += WARP * N) {
    const Pack<T, N> pack = load_pack<N> (scores + i);
    for (int e = 0; e < N; e++)
      most = fmaxf (most, widen (pack.element[e]));
  }
  most = warp_max (most);

  for (unsigned i = first; i < columns; i += WARP * N) {
    const Pack<T, N> pack = load_pack<N> (scores + i);
    for (int e = 0; e < N; e++)
      sum += exp2f ((widen (pack.element[e]) - most) * factor);
  }
  const float scale = 1 / warp_sum (sum);

  for (unsigned i = first; i < columns; i += WARP * N) {
    Pack<T, N> pack = load_pack<N> (scores + i);
    for (int e = 0; e < N; e++)
      pack.element[e] = narrow<T> (exp2f ((widen (pack.element[e]) - most) * factor) * scale);
    store_pack (scores + i, pack);
  }
}

template <typename T>
static cudaError_t
launch (T *scores, size_t rows, unsigned columns, unsigned stride, float scale, cudaStream_t stream)
{
  constexpr int n = pack_size<T>;
  const dim3 grid (blocks_for (rows, ROWS)), block (ROWS * WARP);
  const float factor = scale * 1.44269504f; /* log2 e */

  if (columns % n == 0 && stride % n == 0)
    return CG_CUDA_LAUNCH ((softmax<T, n>), grid, block, 0, stream, scores, rows, columns, stride,
                           factor);
  return CG_CUDA_LAUNCH ((softmax<T, 1>), grid, block, 0, stream, scores, rows, columns, stride,
                         factor);
}

extern "C" cudaError_t
cg_cuda_softmax (CgCudaType type, void *scores, size_t rows, unsigned columns, unsigned stride,
                 float scale, cudaStream_t stream)
{
  if (rows == 0)
    return cudaSuccess;
  if (!is_array (scores) || columns == 0 || columns > stride || rows > MAX_ROWS || !(scale > 0))
    return cudaErrorInvalidValue;
  RETURN_FOR_TYPE (type,
                   launch<T> (static_cast<T *> (scores), rows, columns, stride, scale, stream));
}
