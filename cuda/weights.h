/* The folded network's weights on the device.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "arena.h"

/** CgCudaBlock: shapes as in CgFoldedBlock; matrices are operands. @qkv_bias: operands [3 width]: the bias of q, and
 * zeros. @fc2 of the last block stays fp32, for it is applied to means. */
typedef struct {
  void *qkv, *proj, *fc1, *fc2;
  void *qkv_bias;
  float *proj_bias, *fc1_bias, *fc2_bias;
} CgCudaBlock;

/** CgCudaWeights: @type: of operands
 * @patch_inputs: columns of @patch, padded with zeros to a multiple of 8
 * @patch_shift: @patch is multiplied by 2 to this power: for pixels of 0..255 its values are so small that fp16 would
 *   have lost bits of them */
typedef struct {
  CgCudaType type;
  unsigned patch_inputs, patch_shift;
  void *patch;
  float *position;
  CgCudaBlock *blocks;
  float *heads, *heads_bias;
  CgLinear scene[CG_MAX_MLP_LAYERS], text[CG_MAX_MLP_LAYERS];
  CgCudaSca sca;
  CgCudaArena arena;
} CgCudaWeights;

/** cg_cuda_weights_upload: @weights is zeroed; cg_cuda_weights_free() in any case. @folded is read until this returns. */
bool cg_cuda_weights_upload (CgCudaWeights *weights, const CgCudaDevice *device,
                             const CgFolded *folded, CgCudaType type, CgCudaError *error);
void cg_cuda_weights_free (CgCudaWeights *weights);

/** cg_cuda_weights_forget: see cg_cuda_answers_forget(). */
void cg_cuda_weights_forget (CgCudaWeights *weights);
