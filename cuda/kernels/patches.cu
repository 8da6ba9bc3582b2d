/* Model frames to rows of operands: the input of the patch embedding. One block for each token.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "common.cuh"

#define MOST_THREADS 256

/* Token (tubelet, row, column), tubelets of all windows; a row of patches is [tubelet][patch][patch][3]. N elements at a
 * time never cross the end of a patch's line of pixels. */
template <typename T, int N>
static __global__ void
__launch_bounds__ (MOST_THREADS) gather_patches (const uint8_t *const *__restrict__ samples,
                                                 CgCudaPatches g, T *__restrict__ patches)
{
  const unsigned tubelet = blockIdx.x, row = blockIdx.y, column = blockIdx.z;
  const unsigned line = 3 * g.patch, inputs = g.tubelet * g.patch * line;

  samples += (size_t)tubelet * g.tubelet;
  patches += (((size_t)tubelet * gridDim.y + row) * gridDim.z + column) * g.stride;
  for (unsigned i = threadIdx.x * N; i < g.stride; i += blockDim.x * N) {
    Pack<T, N> result = {};

    if (i < inputs) {
      const unsigned x = i % line, y = i / line % g.patch, t = i / line / g.patch;
      const size_t at = (size_t)(row * g.patch + y) * 3 * g.image + column * line + x;
      const Pack<uint8_t, N> bytes = load_pack<N> (samples[t] + at);
      for (int e = 0; e < N; e++)
        result.element[e] = narrow<T> ((float)bytes.element[e]);
    }
    store_pack (patches + i, result);
  }
}

template <typename T, int N>
static cudaError_t
launch (const uint8_t *const *samples, size_t tubelets, const CgCudaPatches *g, T *patches,
        cudaStream_t stream)
{
  const unsigned threads = blocks_for (g->stride / N, WARP) * WARP, side = g->image / g->patch;

  return CG_CUDA_LAUNCH ((gather_patches<T, N>), dim3 ((unsigned)tubelets, side, side),
                         dim3 (threads < MOST_THREADS ? threads : MOST_THREADS), 0, stream, samples,
                         *g, patches);
}

extern "C" cudaError_t
cg_cuda_gather_patches (const uint8_t *const *samples, unsigned windows,
                        const CgCudaPatches *geometry, CgCudaType type, void *patches,
                        cudaStream_t stream)
{
  const CgCudaPatches *g = geometry;

  if (windows == 0)
    return cudaSuccess;
  if (samples == NULL || g == NULL || !is_array (patches) || g->tubelet == 0 || g->patch == 0 ||
      g->frames == 0 || g->frames % g->tubelet != 0 || g->image == 0 ||
      g->image > CG_CUDA_MAX_IMAGE || g->image % g->patch != 0 || g->frames > 4096 ||
      g->stride / 3 < (size_t)g->tubelet * g->patch * g->patch)
    return cudaErrorInvalidValue;

  const unsigned side = g->image / g->patch;
  const size_t tubelets = (size_t)windows * (g->frames / g->tubelet);
  if (tubelets * side * side > MAX_ROWS)
    return cudaErrorInvalidValue;
  if (3 * g->patch % 8 == 0 && g->stride % 8 == 0)
    RETURN_FOR_TYPE (type, launch<T, 8> (samples, tubelets, g, static_cast<T *> (patches), stream));
  RETURN_FOR_TYPE (type, launch<T, 1> (samples, tubelets, g, static_cast<T *> (patches), stream));
}
