/* The weights on the device: see weights.h.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "weights.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "geometry.h"

#define MAX_SHIFT 24

/* What an upload works with: @staging holds one matrix in fp32, of at most @staging_size values. */
typedef struct {
  const CgCudaDevice *device;
  CgCudaType type;
  float *staging;
  size_t staging_size;
  CgCudaError *error;
} Upload;

static size_t
largest (size_t a, size_t b)
{
  return a > b ? a : b;
}

/* ---- room ---- */

static void
add_mlp (CgCudaArena *arena, CgLinear *layers, const CgMlp *mlp)
{
  for (unsigned i = 0; i < mlp->layers; i++) {
    cg_cuda_arena_add (arena, &layers[i].weight, (size_t)mlp->size[i + 1] * mlp->size[i],
                       sizeof (float));
    cg_cuda_arena_add (arena, &layers[i].bias, mlp->size[i + 1], sizeof (float));
  }
}

static bool
allocate (CgCudaWeights *weights, const CgGeometry *g, CgCudaError *error)
{
  CgCudaArena *arena = &weights->arena;
  const size_t size = cg_cuda_type_size (weights->type), width = g->width, mlp = g->mlp;

  cg_cuda_arena_add (arena, &weights->patch, width * weights->patch_inputs, size);
  cg_cuda_arena_add (arena, &weights->position, cg_cuda_tokens (g) * width, sizeof (float));
  for (unsigned i = 0; i < g->depth; i++) {
    CgCudaBlock *block = &weights->blocks[i];

    cg_cuda_arena_add (arena, &block->qkv, 3 * width * width, size);
    cg_cuda_arena_add (arena, &block->proj, width * width, size);
    cg_cuda_arena_add (arena, &block->fc1, mlp * width, size);
    cg_cuda_arena_add (arena, &block->fc2, width * mlp, i + 1 < g->depth ? size : sizeof (float));
    cg_cuda_arena_add (arena, &block->qkv_bias, 3 * width, size);
    cg_cuda_arena_add (arena, &block->proj_bias, width, sizeof (float));
    cg_cuda_arena_add (arena, &block->fc1_bias, mlp, sizeof (float));
    cg_cuda_arena_add (arena, &block->fc2_bias, width, sizeof (float));
  }
  cg_cuda_arena_add (arena, &weights->heads, (size_t)cg_cuda_total_labels (g) * width,
                     sizeof (float));
  cg_cuda_arena_add (arena, &weights->heads_bias, cg_cuda_total_labels (g), sizeof (float));
  add_mlp (arena, weights->scene, &g->scene);
  add_mlp (arena, weights->text, &g->text);
  return cg_cuda_arena_allocate (arena, "the model's weights", error);
}

/* ---- upload ---- */

static bool
put_floats (const Upload *upload, float *to, const float *from, size_t n)
{
  return cg_cuda_check (cudaMemcpyAsync (to, from, n * sizeof (float), cudaMemcpyHostToDevice,
                                         upload->device->stream),
                        "upload weights", upload->error);
}

static bool
put_operands (const Upload *upload, void *to, const float *from, size_t n)
{
  if (upload->type == CG_CUDA_FP32)
    return put_floats (upload, to, from, n);
  return put_floats (upload, upload->staging, from, n) &&
         cg_cuda_check (
             cg_cuda_convert (upload->staging, n, upload->type, to, upload->device->stream),
             "convert weights", upload->error);
}

static bool
put_block (const Upload *upload, const CgCudaBlock *to, const CgFoldedBlock *from,
           const CgGeometry *g, const float *qkv_bias, bool last)
{
  const size_t width = g->width, mlp = g->mlp;

  return put_operands (upload, to->qkv, from->qkv_weight, 3 * width * width) &&
         put_operands (upload, to->proj, from->proj_weight, width * width) &&
         put_operands (upload, to->fc1, from->fc1_weight, mlp * width) &&
         (last ? put_floats (upload, to->fc2, from->fc2_weight, width * mlp)
               : put_operands (upload, to->fc2, from->fc2_weight, width * mlp)) &&
         put_operands (upload, to->qkv_bias, qkv_bias, 3 * width) &&
         put_floats (upload, to->proj_bias, from->proj_bias, width) &&
         put_floats (upload, to->fc1_bias, from->fc1_bias, mlp) &&
         put_floats (upload, to->fc2_bias, from->fc2_bias, width);
}

static bool
put_layers (const Upload *upload, const CgLinear *to, const CgLinear *from, const CgMlp *mlp)
{
  for (unsigned i = 0; i < mlp->layers; i++)
    if (!put_floats (upload, to[i].weight, from[i].weight,
                     (size_t)mlp->size[i + 1] * mlp->size[i]) ||
        !put_floats (upload, to[i].bias, from[i].bias, mlp->size[i + 1]))
      return false;
  return true;
}

/* The power of 2 that brings the largest of @n values to about 1. */
static unsigned
shift_for (const float *values, size_t n)
{
  float most = 0;
  int exponent;

  for (size_t i = 0; i < n; i++)
    most = fmaxf (most, fabsf (values[i]));
  frexpf (most, &exponent);
  return most > 0 && exponent < 0 ? (unsigned)(exponent > -MAX_SHIFT ? -exponent : MAX_SHIFT) : 0;
}

/* @patch: [width][patch_inputs]; @qkv_bias: [depth][3 width]: made here, in host memory. */
static bool
put_all (const Upload *upload, const CgCudaWeights *weights, const CgFolded *folded, float *patch,
         float *qkv_bias)
{
  const CgGeometry *g = &folded->geometry;
  const size_t width = g->width, n = cg_cuda_patch_values (g);

  for (size_t o = 0; o < width; o++)
    for (size_t i = 0; i < n; i++)
      patch[o * weights->patch_inputs + i] =
          ldexpf (folded->patch_weight[o * n + i], (int)weights->patch_shift);
  if (!put_operands (upload, weights->patch, patch, width * weights->patch_inputs) ||
      !put_floats (upload, weights->position, folded->position, cg_cuda_tokens (g) * width))
    return false;
  for (unsigned i = 0; i < g->depth; i++) {
    memcpy (qkv_bias + i * 3 * width, folded->blocks[i].q_bias, width * sizeof (float));
    if (!put_block (upload, &weights->blocks[i], &folded->blocks[i], g, qkv_bias + i * 3 * width,
                    i + 1 == g->depth))
      return false;
  }
  return put_floats (upload, weights->heads, folded->heads_weight,
                     cg_cuda_total_labels (g) * width) &&
         put_floats (upload, weights->heads_bias, folded->heads_bias, cg_cuda_total_labels (g)) &&
         put_layers (upload, weights->scene, folded->scene, &g->scene) &&
         put_layers (upload, weights->text, folded->text, &g->text);
}

bool
cg_cuda_weights_upload (CgCudaWeights *weights, const CgCudaDevice *device, const CgFolded *folded,
                        CgCudaType type, CgCudaError *error)
{
  const CgGeometry *g = &folded->geometry;
  const size_t width = g->width;
  CgCudaArena staging = { 0 };
  Upload upload = { .device = device, .type = type, .error = error };
  float *patch, *qkv_bias;
  bool done;

  weights->type = type;
  weights->patch_inputs = (unsigned)(cg_cuda_patch_values (g) + 7) / 8 * 8;
  if (type != CG_CUDA_FP32)
    weights->patch_shift = shift_for (folded->patch_weight, width * cg_cuda_patch_values (g));
  weights->blocks = calloc (g->depth, sizeof *weights->blocks);
  for (unsigned h = 0; h < CG_SCA_HEADS; h++) {
    weights->sca.alpha[h] = folded->sca_alpha[h];
    weights->sca.beta[h] = folded->sca_beta[h];
    weights->sca.gamma[h] = folded->sca_gamma[h];
  }
  weights->sca.delta = folded->sca_delta;

  upload.staging_size =
      largest (width * weights->patch_inputs, largest (3 * width * width, width * (size_t)g->mlp));
  cg_cuda_arena_add (&staging, &upload.staging, upload.staging_size, sizeof (float));
  patch = calloc (width * weights->patch_inputs, sizeof *patch);
  qkv_bias = calloc (g->depth * 3 * width, sizeof *qkv_bias);
  if (!weights->blocks || !patch || !qkv_bias)
    done = cg_cuda_fail (error, CG_CUDA_MEMORY, "Out of memory for the model's weights");
  else
    done = allocate (weights, g, error) &&
           cg_cuda_arena_allocate (&staging, "the upload of weights", error) &&
           put_all (&upload, weights, folded, patch, qkv_bias);
  /* Whatever was begun reads host memory until here. */
  if (!cg_cuda_check (cudaStreamSynchronize (device->stream), "upload weights",
                      done ? error : NULL))
    done = false;
  cg_cuda_arena_clear (&staging);
  free (qkv_bias);
  free (patch);
  return done;
}

void
cg_cuda_weights_free (CgCudaWeights *weights)
{
  cg_cuda_arena_clear (&weights->arena);
  free (weights->blocks);
  *weights = (CgCudaWeights){ 0 };
}

void
cg_cuda_weights_forget (CgCudaWeights *weights)
{
  weights->arena.block = NULL;
}
