/* LayerNorm without affine: one warp for each row.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "common.cuh"

#define ROWS 8 /* of a block */

/* The row stays in registers, QUADS times 4 floats in each lane, so that the variance is that of the
 * differences from the mean, and x is read once. */
template <typename T, int QUADS>
static __global__ void
__launch_bounds__ (ROWS *WARP) layer_norm_quads (const float *__restrict__ x, size_t rows,
                                                 unsigned width, float eps, T *__restrict__ out)
{
  const size_t row = (size_t)blockIdx.x * ROWS + threadIdx.x / WARP;
  const unsigned lane = threadIdx.x % WARP, quads = width / 4;
  Pack<float, 4> value[QUADS];
  float sum = 0, squares = 0;

  if (row >= rows)
    return;
#pragma unroll
  for (int k = 0; k < QUADS; k++) {
    const unsigned i = lane + k * WARP;
    if (i < quads) {
      value[k] = load_pack<4> (x + row * width + 4 * i);
      sum +=
          (value[k].element[0] + value[k].element[1]) + (value[k].element[2] + value[k].element[3]);
    }
  }
  const float mean = warp_sum (sum) / (float)width;

#pragma unroll
  for (int k = 0; k < QUADS; k++)
    if (lane + k * WARP < quads)
      for (int e = 0; e < 4; e++) {
        const float difference = value[k].element[e] - mean;
        squares += difference * difference;
      }
  const float scale = 1 / sqrtf (warp_sum (squares) / (float)width + eps);

#pragma unroll
  for (int k = 0; k < QUADS; k++) {
    const unsigned i = lane + k * WARP;
    Pack<T, 4> result;
    if (i < quads) {
      for (int e = 0; e < 4; e++)
        result.element[e] = narrow<T> ((value[k].element[e] - mean) * scale);
      store_pack (out + row * width + 4 * i, result);
    }
  }
}

/* Any width: the row is read three times. */
template <typename T>
static __global__ void
__launch_bounds__ (ROWS *WARP) layer_norm_any (const float *__restrict__ x, size_t rows,
                                               unsigned width, float eps, T *__restrict__ out)
{
  const size_t row = (size_t)blockIdx.x * ROWS + threadIdx.x / WARP;
  const unsigned lane = threadIdx.x % WARP;
  float sum = 0, squares = 0;

  if (row >= rows)
    return;
  x += row * width;
  out += row * width;
  for (unsigned i = lane; i < width; i += WARP)
    sum += x[i];
  const float mean = warp_sum (sum) / (float)width;
  for (unsigned i = lane; i < width; i += WARP)
    squares += (x[i] - mean) * (x[i] - mean);
  const float scale = 1 / sqrtf (warp_sum (squares) / (float)width + eps);
  for (unsigned i = lane; i < width; i += WARP)
    out[i] = narrow<T> ((x[i] - mean) * scale);
}

template <typename T>
static cudaError_t
launch (const float *x, size_t rows, unsigned width, float eps, T *out, cudaStream_t stream)
{
  const dim3 grid (blocks_for (rows, ROWS)), block (ROWS * WARP);

  if (width % 4 == 0 && width <= 3 * 4 * WARP) /* Small */
    return CG_CUDA_LAUNCH ((layer_norm_quads<T, 3>), grid, block, 0, stream, x, rows, width, eps,
                           out);
  if (width % 4 == 0 && width <= 6 * 4 * WARP) /* Base */
    return CG_CUDA_LAUNCH ((layer_norm_quads<T, 6>), grid, block, 0, stream, x, rows, width, eps,
                           out);
  if (width % 4 == 0 && width <= 10 * 4 * WARP) /* Large, Huge */
    return CG_CUDA_LAUNCH ((layer_norm_quads<T, 10>), grid, block, 0, stream, x, rows, width, eps,
                           out);
  return CG_CUDA_LAUNCH ((layer_norm_any<T>), grid, block, 0, stream, x, rows, width, eps, out);
}

extern "C" cudaError_t
cg_cuda_layer_norm (const float *x, size_t rows, unsigned width, float eps, CgCudaType type,
                    void *out, cudaStream_t stream)
{
  if (rows == 0)
    return cudaSuccess;
  if (!is_array (x) || !is_array (out) || width == 0 || rows > MAX_ROWS)
    return cudaErrorInvalidValue;
  RETURN_FOR_TYPE (type, launch<T> (x, rows, width, eps, static_cast<T *> (out), stream));
}
