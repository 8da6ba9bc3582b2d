/* The collapsed Self-Cross Attention over logits (model/network.h): one warp for each result.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "common.cuh"

#define RESULTS 8 /* of a block */
#define THREADS (RESULTS * WARP)

/* Exponents are t (x_j - x_e), x_e the logit of the largest: none is positive. */
static __global__ void
__launch_bounds__ (THREADS)
    self_cross_attention (const float *__restrict__ logits, unsigned stride, unsigned labels,
                          CgCudaSca sca, float *__restrict__ out)
{
  const unsigned i = blockIdx.x * RESULTS + threadIdx.x / WARP, lane = threadIdx.x % WARP;
  const float *x = logits + (size_t)blockIdx.y * stride;
  float least = INFINITY, most = -INFINITY, result = sca.delta;

  if (i >= labels)
    return;
  for (unsigned j = lane; j < labels; j += WARP) {
    least = fminf (least, x[j]);
    most = fmaxf (most, x[j]);
  }
  least = -warp_max (-least);
  most = warp_max (most);

  for (int h = 0; h < 2; h++) {
    const float slope = (x[i] * sca.alpha[h] + sca.beta[h]) * 1.44269504f; /* log2 e */
    const float extreme = slope < 0 ? least : most;
    float sum = 0, moment = 0;
    for (unsigned j = lane; j < labels; j += WARP) {
      const float p = exp2f (slope * (x[j] - extreme));
      sum += p;
      moment += p * x[j];
    }
    result += sca.gamma[h] * (warp_sum (moment) / warp_sum (sum));
  }
  if (lane == 0)
    out[(size_t)blockIdx.y * labels + i] = result;
}

extern "C" cudaError_t
cg_cuda_sca (const float *logits, unsigned logits_stride, unsigned labels, const CgCudaSca *sca,
             float *out, unsigned batch, cudaStream_t stream)
{
  if (batch == 0)
    return cudaSuccess;
  if (logits == NULL || sca == NULL || out == NULL || labels == 0 || logits_stride < labels ||
      batch > MAX_GRID_Y)
    return cudaErrorInvalidValue;
  return CG_CUDA_LAUNCH (self_cross_attention, dim3 (blocks_for (labels, RESULTS), batch),
                         dim3 (THREADS), 0, stream, logits, logits_stride, labels, *sca, out);
}
