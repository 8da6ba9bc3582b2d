/* Small matrix-vector products in float: features, classifiers, the stacks behind SCA.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "common.cuh"

#define OUTPUTS 4 /* of a block: one for each warp */
#define BATCH 8   /* vectors that a row of weights is read for */
#define LOADS 16  /* weights that a lane asks for at once: they come from far */
#define THREADS (OUTPUTS * WARP)

template <int N>
static __global__ void
__launch_bounds__ (THREADS)
    affine (const float *__restrict__ weight, const float *__restrict__ bias, unsigned outputs,
            unsigned inputs, const float *__restrict__ x, unsigned x_stride, const float *residual,
            float *y, unsigned y_stride, unsigned batch, int relu)
{
  const unsigned output = blockIdx.x * OUTPUTS + threadIdx.x / WARP, lane = threadIdx.x % WARP;
  const unsigned first = blockIdx.y * BATCH;
  const unsigned n = batch - first < BATCH ? batch - first : BATCH;
  float sum[BATCH] = {};

  if (output >= outputs)
    return;
  const float offset = bias != NULL ? bias[output] : 0;
  weight += (size_t)output * inputs;
  x += (size_t)first * x_stride;
  for (unsigned i = lane * N; i < inputs; i += LOADS * WARP) {
    Pack<float, N> w[LOADS / N] = {};
#pragma unroll
    for (unsigned u = 0; u < LOADS / N; u++)
      if (i + u * WARP * N < inputs)
        w[u] = load_pack<N> (weight + i + u * WARP * N);
#pragma unroll
    for (unsigned b = 0; b < BATCH; b++)
      if (b < n)
#pragma unroll
        for (unsigned u = 0; u < LOADS / N; u++)
          if (i + u * WARP * N < inputs) {
            const Pack<float, N> value = load_pack<N> (x + (size_t)b * x_stride + i + u * WARP * N);
            for (int e = 0; e < N; e++)
              sum[b] += w[u].element[e] * value.element[e];
          }
  }

#pragma unroll
  for (unsigned b = 0; b < BATCH; b++) {
    if (b >= n)
      break;
    float value = warp_sum (sum[b]) + offset;
    if (lane == 0) {
      const size_t at = (size_t)(first + b) * y_stride + output;
      value += residual != NULL ? residual[at] : 0;
      y[at] = relu && value < 0 ? 0 : value;
    }
  }
}

extern "C" cudaError_t
cg_cuda_affine (const float *weight, const float *bias, unsigned outputs, unsigned inputs,
                const float *x, unsigned x_stride, const float *residual, float *y,
                unsigned y_stride, unsigned batch, int relu, cudaStream_t stream)
{
  const dim3 grid (blocks_for (outputs, OUTPUTS), blocks_for (batch, BATCH)), block (THREADS);

  if (batch == 0)
    return cudaSuccess;
  if (weight == NULL || x == NULL || y == NULL || outputs == 0 || inputs == 0 ||
      x_stride < inputs || y_stride < outputs || grid.y > MAX_GRID_Y)
    return cudaErrorInvalidValue;
  if (inputs % 4 == 0 && x_stride % 4 == 0 && is_aligned (weight, 16) && is_aligned (x, 16))
    return CG_CUDA_LAUNCH (affine<4>, grid, block, 0, stream, weight, bias, outputs, inputs, x,
                           x_stride, residual, y, y_stride, batch, relu);
  if (inputs % 2 == 0 && x_stride % 2 == 0 && is_aligned (weight, 8) && is_aligned (x, 8))
    return CG_CUDA_LAUNCH (affine<2>, grid, block, 0, stream, weight, bias, outputs, inputs, x,
                           x_stride, residual, y, y_stride, batch, relu);
  return CG_CUDA_LAUNCH (affine<1>, grid, block, 0, stream, weight, bias, outputs, inputs, x,
                         x_stride, residual, y, y_stride, batch, relu);
}
