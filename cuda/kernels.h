/* The engine's own kernels: what neither cuBLASLt nor cuDNN computes. One launcher for each.
 *
 * All pointers are device memory. A launcher only puts work on @stream: it allocates nothing, waits for
 * nothing and copies nothing, so that any of them may be captured into a graph. It returns what the
 * launch gave (errors of earlier work of the context included, as everywhere in CUDA), or
 * cudaErrorInvalidValue for arguments outside the bounds below. Any thread; the context is the caller's.
 *
 * "type" is the element type of a void pointer. Arithmetic is float throughout; a result is rounded
 * once, to nearest even, when it is stored. Every sum has a fixed order: the same input gives the same
 * bits on one GPU, whatever else runs.
 *
 * Alignment: arrays of floats and of elements are 16-byte aligned (allocations are), unless a launcher
 * says otherwise. Sizes need no alignment; multiples of 8 elements are fast.
 * Zero rows (windows, elements) is no work and no error.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <cuda_runtime_api.h>

#include "model/frame.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum { CG_CUDA_FP32, CG_CUDA_FP16, CG_CUDA_BF16 } CgCudaType;

/* ---- frames ---- */

#define CG_CUDA_MAX_SIDE 32768 /* of a picture */
#define CG_CUDA_MIN_IMAGE 16   /* of a model frame, as in CgGeometry */
#define CG_CUDA_MAX_IMAGE 512

/** CgCudaPicture: a CgFrame (model/frame.h) whose planes are device memory. No alignment is asked of
 * planes and strides; nothing outside the rows is read. */
typedef struct {
  CgPixelFormat format;
  unsigned width, height; /* 1..CG_CUDA_MAX_SIDE */
  const uint8_t *plane[3];
  int stride[3]; /* bytes, may be negative */
  CgMatrix matrix;
  int full_range;
  int cosited_h, cosited_v;
} CgCudaPicture;

/** cg_cuda_preprocess_scratch: the bytes of scratch that cg_cuda_preprocess() wants for a picture of
 * this size: Pillow's coefficients of both axes. Grows with width + height; 0 if the size is out of
 * bounds. No device is touched. */
size_t cg_cuda_preprocess_scratch (unsigned width, unsigned height, unsigned image);

/** cg_cuda_preprocess: a picture of any size and format to a model frame, by the rule of cg_preprocess()
 * (model/cpu): to bytes of R'G'B' pixel by pixel, then Pillow's antialiased bilinear, aspect not kept.
 * The bytes are those of Pillow's arithmetic in every format: cg_preprocess()'s to the bit where that is
 * exact (RGB, GRAY8, and Y'CbCr unless both sides shrink 2.5 to 20 times), within one grey level elsewhere.
 * @scratch: 16-byte aligned; not shared with another call that may run at the same time. Keeps the coefficients
 * @same_size: the last call with this @scratch was of such a size, on the same stream: they are taken as they are
 * @scratch_size: of @scratch; less than cg_cuda_preprocess_scratch() is cudaErrorInvalidValue
 * @out: [image][image][3] R, G, B */
cudaError_t cg_cuda_preprocess (const CgCudaPicture *picture, unsigned image, void *scratch,
                                size_t scratch_size, int same_size, uint8_t *out,
                                cudaStream_t stream);

/** CgCudaPatches: the cut of windows into tokens (CgGeometry).
 * @stride: elements from one row of patches to the next, at least tubelet * patch * patch * 3 */
typedef struct {
  unsigned frames, tubelet, image, patch;
  unsigned stride;
} CgCudaPatches;

/** cg_cuda_gather_patches: model frames to rows of operands. Bytes become the same integers.
 * @samples: device array [windows * frames] of model frames [image][image][3], 16-byte aligned each
 * @patches: type [windows * tokens][stride]; a row is [tubelet][patch][patch][3], as CgFolded's
 *   patch_weight, then zeros up to @stride. Tokens are ordered by time, then row, then column. */
cudaError_t cg_cuda_gather_patches (const uint8_t *const *samples, unsigned windows,
                                    const CgCudaPatches *geometry, CgCudaType type, void *patches,
                                    cudaStream_t stream);

/* ---- rows ---- */

/** cg_cuda_layer_norm: out = (x - mean) / sqrt (variance + eps) of each row, no affine (it is folded).
 * @x: [rows][width]   @out: type [rows][width], not @x
 * A row with a value that is not finite becomes NaN throughout. */
cudaError_t cg_cuda_layer_norm (const float *x, size_t rows, unsigned width, float eps,
                                CgCudaType type, void *out, cudaStream_t stream);

/** cg_cuda_add_bias_gelu: h = gelu (h + bias) in place; gelu (x) = x/2 (1 + erf (x / sqrt 2)).
 * @h: type [rows][columns]   @bias: [columns], or NULL: none
 * NaN stays NaN; +inf stays; -inf becomes NaN (-inf * 0), as the formula has it. */
cudaError_t cg_cuda_add_bias_gelu (CgCudaType type, void *h, size_t rows, unsigned columns,
                                   const float *bias, cudaStream_t stream);

/** cg_cuda_softmax: row by row: p_j = exp (scale s_j) / sum_k exp (scale s_k), scale > 0.
 * CgFolded's queries carry 1 / (sqrt (d) ln 2), so that scores are exponents of 2: scale is ln 2.
 * @scores: [rows][stride], of which the first @columns are taken
 * @out: type [rows][stride], of which the first @columns are written; for fp32 it may be @scores
 * A row with NaN or +inf, or of -inf only, becomes NaN; -inf among finite values becomes 0. */
cudaError_t cg_cuda_softmax (CgCudaType type, const float *scores, size_t rows, unsigned columns,
                             unsigned stride, float scale, void *out, cudaStream_t stream);

/** cg_cuda_column_means: out[w][c] = mean over tokens of in[w][token][c].
 * @in: type [windows][tokens][columns]   @out: [windows][columns] */
cudaError_t cg_cuda_column_means (CgCudaType type, const void *in, unsigned windows,
                                  unsigned tokens, unsigned columns, float *out,
                                  cudaStream_t stream);

/* ---- the tail: features, logits, scene, text; all float ---- */

/** cg_cuda_affine: y[b] = weight x[b] + bias (+ residual[b]), then max (0, .) if @relu (NaN stays NaN).
 * @weight: [outputs][inputs]   @bias: [outputs], or NULL   @x: [batch][x_stride]
 * @residual: [batch][y_stride], or NULL; may be @y
 * @y: [batch][y_stride], otherwise distinct from the inputs
 * The pointers need only be aligned to 4 bytes. */
cudaError_t cg_cuda_affine (const float *weight, const float *bias, unsigned outputs,
                            unsigned inputs, const float *x, unsigned x_stride,
                            const float *residual, float *y, unsigned y_stride, unsigned batch,
                            int relu, cudaStream_t stream);

/** CgCudaSca: the collapsed Self-Cross Attention, out of CgFolded (model/network.h). */
typedef struct {
  float alpha[2], beta[2], gamma[2], delta;
} CgCudaSca;

/** cg_cuda_sca: out_i = sum_h gamma_h m_h (i) + delta, m_h (i) the mean of x weighed by
 * softmax_j ((alpha_h x_i + beta_h) x_j).
 * @logits: [batch][logits_stride], of which the first @labels are x   @out: [batch][labels]
 * The pointers need only be aligned to 4 bytes. NaN or infinity in a row makes all its results NaN. */
cudaError_t cg_cuda_sca (const float *logits, unsigned logits_stride, unsigned labels,
                         const CgCudaSca *sca, float *out, unsigned batch, cudaStream_t stream);

/* ---- helpers ---- */

/** cg_cuda_convert: n floats to @type; what fp16 cannot hold becomes infinite. @out may not overlap. */
cudaError_t cg_cuda_convert (const float *in, size_t n, CgCudaType type, void *out,
                             cudaStream_t stream);

/** cg_cuda_max_abs: *result = max (*result, |values|); set it to 0 first. NaN if a value is NaN, so
 * test for !(result < bound). */
cudaError_t cg_cuda_max_abs (CgCudaType type, const void *values, size_t n, float *result,
                             cudaStream_t stream);

#ifdef __cplusplus
}
#endif
