/* Attention over packed queries, keys and values.
 *
 *   out[b][i][h] = sum_j softmax_j (scale q[b][i][h] · k[b][j][h]) v[b][j][h]
 *
 * qkv is [batch][tokens][3][heads][head width], out [batch][tokens][heads][head width], both of the operands' type.
 * cuDNN computes it in one operation, without ever storing the scores, where it can: fp16 and bf16, head widths that
 * are multiples of 8, sm 80 and later. Else cuBLASLt computes the scores of some heads at a time, our own softmax
 * kernel turns them into probabilities, and cuBLASLt weighs the values.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "matmul.h"

/** CG_CUDA_SDPA_PROPOSALS: of cuDNN that are timed: all that it has, as of 9.24. */
#define CG_CUDA_SDPA_PROPOSALS 4

/** CgCudaAttentionShape: @scale: of the products before softmax with base e. The folded network's queries carry
 * log2 e / sqrt (head width), so its scale is ln 2. */
typedef struct {
  CgCudaType type;
  unsigned batch, tokens, heads, head_width;
  float scale;
} CgCudaAttentionShape;

typedef struct _CgCudaAttention CgCudaAttention;

/** cg_cuda_attention_uses_dnn: whether cuDNN may compute such a shape on @device: that depends on its @type and
 * @head_width. */
bool cg_cuda_attention_uses_dnn (const CgCudaDevice *device, const CgCudaAttentionShape *shape);

/** cg_cuda_attention_scores_size: bytes that cuBLASLt's way needs for scores and probabilities. */
size_t cg_cuda_attention_scores_size (const CgCudaAttentionShape *shape);

/** cg_cuda_attention_new: a plan, as @choice says. NULL with UNSUPPORTED if there is no such proposal.
 * @scores: for cuBLASLt, of cg_cuda_attention_scores_size() bytes, as long as the plan; plans that run one after the
 * other may share it. cg_cuda_attention_free(). */
CgCudaAttention *cg_cuda_attention_new (const CgCudaDevice *device,
                                        const CgCudaAttentionShape *shape, CgCudaChoice choice,
                                        void *scores, CgCudaError *error);
void cg_cuda_attention_free (CgCudaAttention *attention);

/** cg_cuda_attention_provider: who computes it. */
CgCudaProvider cg_cuda_attention_provider (const CgCudaAttention *attention);

/** cg_cuda_attention_run: on the device's stream; may be captured. */
bool cg_cuda_attention_run (const CgCudaAttention *attention, const void *qkv, void *out,
                            CgCudaError *error);
