/* The encoder on the device: from samples to means over tokens.
 *
 * Some windows go through the network at once: 1, 2, 4, ... up to the chunk. For each of these numbers there is a plan
 * of each kind of matrix product and of attention, shared by all blocks; the buffers are shared by all.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "attention.h"
#include "tune.h"
#include "weights.h"

#define CG_CUDA_SIZES 6 /* 1, 2, 4, 8, 16, 32 windows */

typedef struct {
  CgCudaMatmul *patch, *qkv, *proj, *fc1, *fc2;
  CgCudaAttention *attention;
} CgCudaPlans;

/** CgCudaNetwork: with R rows = chunk x tokens of the geometry:
 * @samples: device array [CG_CUDA_MAX_BATCH][frames] of pointers to model frames
 * @patches: operands [R][patch_inputs]; @normalised, @attended: [R][width]; @qkv: [R][3 width]; @hidden: [R][mlp]
 * @x: fp32 [R][width]: the residual stream, and where it goes if a product cannot add in place
 * @x_means: [CG_CUDA_MAX_BATCH][width]; @hidden_means: [CG_CUDA_MAX_BATCH][mlp] */
typedef struct {
  CgCudaDevice *device;
  const CgCudaWeights *weights;
  CgGeometry geometry;
  unsigned chunk;
  CgCudaPlans plans[CG_CUDA_SIZES];
  const uint8_t **samples;
  void *patches, *normalised, *qkv, *attended, *hidden;
  float *x[2];
  float *x_means, *hidden_means;
  CgCudaArena buffers, scores;
} CgCudaNetwork;

/** CgCudaLayer: what fp16 may overflow in a block: q, k and v; the weighted v; gelu (fc1). */
typedef enum { CG_CUDA_LAYER_QKV, CG_CUDA_LAYER_ATTENTION, CG_CUDA_LAYER_FC1 } CgCudaLayer;
#define CG_CUDA_LAYERS 3

/** CgCudaWatch: @seen is shown what each of these layers gives: @n values on the device, complete in the order of the
 * device's stream. @block counts from 0 */
typedef struct {
  bool (*seen) (void *data, unsigned block, CgCudaLayer layer, CgCudaType type, const void *values,
                size_t n, CgCudaError *error);
  void *data;
} CgCudaWatch;

/** cg_cuda_network_open: @network is zeroed; cg_cuda_network_close() in any case. @device and @weights outlive it.
 * @chunk: a power of two. @tuned: whether @tuner times plans, for which the buffers get some contents. */
bool cg_cuda_network_open (CgCudaNetwork *network, CgCudaDevice *device,
                           const CgCudaWeights *weights, const CgGeometry *geometry, unsigned chunk,
                           CgCudaTuner *tuner, bool tuned, CgCudaError *error);

/** cg_cuda_network_close: nothing of it may still be running. */
void cg_cuda_network_close (CgCudaNetwork *network);

/** cg_cuda_network_forget: see cg_cuda_answers_forget(). */
void cg_cuda_network_forget (CgCudaNetwork *network);

/** cg_cuda_network_run: @windows, a power of two up to the chunk, from number @first of @samples on, to the same
 * numbers of the means. @watch: NULL, nobody watches. On the device's stream; may be captured. */
bool cg_cuda_network_run (CgCudaNetwork *network, unsigned first, unsigned windows,
                          const CgCudaWatch *watch, CgCudaError *error);
