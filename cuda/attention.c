/* Attention: see attention.h.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "attention.h"

#include <stdlib.h>

#include "dnn.h"
#include "lt.h"

/* Scores of so many bytes stay in the second-level cache between the three steps. */
#define SCORES_SIZE ((size_t)32 << 20)

struct _CgCudaAttention {
  const CgCudaDevice *device;
  CgCudaAttentionShape shape;
  CgCudaDnn *dnn; /* or: */
  CgCudaLt *products, *sums;
  unsigned group; /* heads at a time */
  size_t row;     /* elements from one query's scores to the next's */
  float *scores;  /* [group][tokens][row] */
  void *weights;  /* operands, likewise; the scores themselves in fp32 */
};

/* ---- cuDNN ---- */

bool
cg_cuda_attention_uses_dnn (const CgCudaDevice *device, const CgCudaAttentionShape *shape)
{
  return device->sm >= 80 && shape->type != CG_CUDA_FP32 && shape->head_width % 8 == 0;
}

static CgCudaDnn *
dnn_new (const CgCudaDevice *device, const CgCudaAttentionShape *shape, unsigned index,
         CgCudaError *error)
{
  const int64_t width = (int64_t)shape->heads * shape->head_width, tokens = shape->tokens;
  const CgCudaDnnTensor packed = {
    .type = cg_cuda_dnn_type (shape->type),
    .n = 4,
    .dimensions = { shape->batch, shape->heads, tokens, shape->head_width },
    .strides = { tokens * 3 * width, shape->head_width, 3 * width, 1 },
  };
  const CgCudaDnnTensor scale = { .type = CUDNN_DATA_FLOAT,
                                  .n = 4,
                                  .dimensions = { 1, 1, 1, 1 },
                                  .strides = { 1, 1, 1, 1 },
                                  .by_value = true };
  CgCudaDnnTensor out = packed;
  CgCudaDnn *dnn = cg_cuda_dnn_new (device);
  unsigned q, k, v, o, s;

  if (!dnn) {
    cg_cuda_fail (error, CG_CUDA_MEMORY, "Out of memory for the attention's plan");
    return NULL;
  }
  out.strides[0] = tokens * width;
  out.strides[2] = width;
  q = cg_cuda_dnn_tensor (dnn, &packed);
  k = cg_cuda_dnn_tensor (dnn, &packed);
  v = cg_cuda_dnn_tensor (dnn, &packed);
  o = cg_cuda_dnn_tensor (dnn, &out);
  s = cg_cuda_dnn_tensor (dnn, &scale);
  cg_cuda_dnn_sdpa (dnn, q, k, v, o, s);
  if (cg_cuda_dnn_build (dnn, index, error))
    return dnn;
  cg_cuda_dnn_free (dnn);
  return NULL;
}

/* ---- cuBLASLt and softmax ---- */

static size_t
score_row (const CgCudaAttentionShape *shape)
{
  return (shape->tokens + 7) / 8 * 8;
}

static unsigned
heads_at_a_time (const CgCudaAttentionShape *shape)
{
  const size_t head = shape->tokens * score_row (shape) * sizeof (float);
  unsigned group = shape->heads;

  while (group > 1 && (shape->heads % group != 0 || group * head > SCORES_SIZE))
    group--;
  return group;
}

static size_t
aligned (size_t bytes)
{
  return (bytes + 255) / 256 * 256;
}

size_t
cg_cuda_attention_scores_size (const CgCudaAttentionShape *shape)
{
  const size_t values = heads_at_a_time (shape) * shape->tokens * score_row (shape);

  return aligned (values * sizeof (float)) +
         (shape->type == CG_CUDA_FP32 ? 0 : values * cg_cuda_type_size (shape->type));
}

static bool
lt_open (CgCudaAttention *self, unsigned index, CgCudaError *error)
{
  const CgCudaAttentionShape *s = &self->shape;
  const size_t width = (size_t)s->heads * s->head_width;
  const size_t head = s->head_width * cg_cuda_type_size (s->type);
  const unsigned alignment = (unsigned)(head & -head) < 16 ? (unsigned)(head & -head) : 16;
  const CgCudaLtShape products = { .in = s->type,
                                   .out = CG_CUDA_FP32,
                                   .transposed = true,
                                   .m = s->tokens,
                                   .n = s->tokens,
                                   .k = s->head_width,
                                   .batch = self->group,
                                   .x_row = 3 * width,
                                   .w_row = 3 * width,
                                   .y_row = self->row,
                                   .x_step = s->head_width,
                                   .w_step = s->head_width,
                                   .y_step = s->tokens * self->row,
                                   .alpha = 1,
                                   .alignment = alignment };
  const CgCudaLtShape sums = { .in = s->type,
                               .out = s->type,
                               .m = s->tokens,
                               .n = s->head_width,
                               .k = s->tokens,
                               .batch = self->group,
                               .x_row = self->row,
                               .w_row = 3 * width,
                               .y_row = width,
                               .x_step = s->tokens * self->row,
                               .w_step = s->head_width,
                               .y_step = s->head_width,
                               .alpha = 1,
                               .alignment = alignment };

  self->products = cg_cuda_lt_new (self->device, &products, index, error);
  self->sums = self->products ? cg_cuda_lt_new (self->device, &sums, index, error) : NULL;
  return self->sums != NULL;
}

/* The heads from @first on of one window. */
static bool
run_group (const CgCudaAttention *self, const char *qkv, char *out, unsigned first,
           CgCudaError *error)
{
  const CgCudaAttentionShape *s = &self->shape;
  const size_t size = cg_cuda_type_size (s->type);
  const size_t width = (size_t)s->heads * s->head_width * size;
  const size_t start = first * s->head_width * size;

  return cg_cuda_lt_run (self->products, qkv + start, qkv + width + start, NULL, NULL, self->scores,
                         error) &&
         cg_cuda_check (cg_cuda_softmax (s->type, self->scores, (size_t)self->group * s->tokens,
                                         s->tokens, (unsigned)self->row, s->scale, self->weights,
                                         self->device->stream),
                        "compute softmax", error) &&
         cg_cuda_lt_run (self->sums, self->weights, qkv + 2 * width + start, NULL, NULL,
                         out + start, error);
}

/* ---- either ---- */

CgCudaAttention *
cg_cuda_attention_new (const CgCudaDevice *device, const CgCudaAttentionShape *shape,
                       CgCudaChoice choice, void *scores, CgCudaError *error)
{
  CgCudaAttention *self = calloc (1, sizeof *self);

  if (!self) {
    cg_cuda_fail (error, CG_CUDA_MEMORY, "Out of memory for the attention's plan");
    return NULL;
  }
  self->device = device;
  self->shape = *shape;
  if (choice.provider == CG_CUDA_PROVIDER_DNN) {
    self->dnn = dnn_new (device, shape, choice.index, error);
    if (self->dnn)
      return self;
  } else {
    self->group = heads_at_a_time (shape);
    self->row = score_row (shape);
    self->scores = scores;
    self->weights = scores;
    if (shape->type != CG_CUDA_FP32)
      self->weights =
          (char *)scores + aligned (self->group * shape->tokens * self->row * sizeof (float));
    if (lt_open (self, choice.index, error))
      return self;
  }
  cg_cuda_attention_free (self);
  return NULL;
}

void
cg_cuda_attention_free (CgCudaAttention *self)
{
  if (!self)
    return;
  cg_cuda_dnn_free (self->dnn);
  cg_cuda_lt_free (self->products);
  cg_cuda_lt_free (self->sums);
  free (self);
}

CgCudaProvider
cg_cuda_attention_provider (const CgCudaAttention *self)
{
  return self->dnn ? CG_CUDA_PROVIDER_DNN : CG_CUDA_PROVIDER_LT;
}

bool
cg_cuda_attention_run (const CgCudaAttention *self, const void *qkv, void *out, CgCudaError *error)
{
  const CgCudaAttentionShape *s = &self->shape;
  const size_t size = cg_cuda_type_size (s->type);
  const size_t width = (size_t)s->heads * s->head_width * size;

  if (self->dnn) {
    float scale = s->scale;
    char *packed = (char *)qkv;
    void *pointers[] = { packed, packed + width, packed + 2 * width, out, &scale };

    return cg_cuda_dnn_run (self->dnn, pointers, error);
  }
  for (unsigned window = 0; window < s->batch; window++)
    for (unsigned head = 0; head < s->heads; head += self->group)
      if (!run_group (self, (const char *)qkv + window * s->tokens * 3 * width,
                      (char *)out + window * s->tokens * width, head, error))
        return false;
  return true;
}
