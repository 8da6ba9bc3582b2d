/* Softmax of rows, for attention without cuDNN: one warp for each row.
 *
 * The row is read three times, twice out of the first-level cache: its maximum, the sum, the result. A lane writes only
 * what it alone has read, so the result may take the place of the scores.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "common.cuh"

#define ROWS 4 /* of a block */

template <typename T, int N>
static __global__ void
__launch_bounds__ (ROWS *WARP) softmax (const float *scores, size_t rows, unsigned columns,
                                        unsigned stride, float factor, T *out)
{
  const size_t row = (size_t)blockIdx.x * ROWS + threadIdx.x / WARP;
  const unsigned first = threadIdx.x % WARP * N;
  float most = -INFINITY, sum = 0;

  if (row >= rows)
    return;
  scores += row * stride;
  out += row * stride;
  for (unsigned i = first; i < columns; i += WARP * N) {
    const Pack<float, N> pack = load_pack<N> (scores + i);
    for (int e = 0; e < N; e++)
      most = fmaxf (most, pack.element[e]);
  }
  most = warp_max (most);

  for (unsigned i = first; i < columns; i += WARP * N) {
    const Pack<float, N> pack = load_pack<N> (scores + i);
    for (int e = 0; e < N; e++)
      sum += exp2f ((pack.element[e] - most) * factor);
  }
  const float scale = 1 / warp_sum (sum);

  for (unsigned i = first; i < columns; i += WARP * N) {
    const Pack<float, N> pack = load_pack<N> (scores + i);
    Pack<T, N> result;
    for (int e = 0; e < N; e++)
      result.element[e] = narrow<T> (exp2f ((pack.element[e] - most) * factor) * scale);
    store_pack (out + i, result);
  }
}

template <typename T>
static cudaError_t
launch (const float *scores, size_t rows, unsigned columns, unsigned stride, float scale, T *out,
        cudaStream_t stream)
{
  const dim3 grid (blocks_for (rows, ROWS)), block (ROWS * WARP);
  const float factor = scale * 1.44269504f; /* log2 e */

  if (columns % 4 == 0 && stride % 4 == 0)
    return CG_CUDA_LAUNCH ((softmax<T, 4>), grid, block, 0, stream, scores, rows, columns, stride,
                           factor, out);
  return CG_CUDA_LAUNCH ((softmax<T, 1>), grid, block, 0, stream, scores, rows, columns, stride,
                         factor, out);
}

extern "C" cudaError_t
cg_cuda_softmax (CgCudaType type, const float *scores, size_t rows, unsigned columns,
                 unsigned stride, float scale, void *out, cudaStream_t stream)
{
  if (rows == 0)
    return cudaSuccess;
  if (!is_array (scores) || !is_array (out) || columns == 0 || columns > stride ||
      rows > MAX_ROWS || !(scale > 0) || (scores == out && type != CG_CUDA_FP32))
    return cudaErrorInvalidValue;
  RETURN_FOR_TYPE (
      type, launch<T> (scores, rows, columns, stride, scale, static_cast<T *> (out), stream));
}
