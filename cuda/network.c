/* The encoder: see network.h.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "network.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "geometry.h"

#define LT_PROPOSALS 16 /* that are timed */

/* ---- plans ---- */

/* A shape that the tuner is asked about, and what its candidates are run with. */
typedef struct {
  const CgCudaNetwork *network;
  CgCudaMatmulShape shape;
  const void *x, *weight, *bias;
  const float *addend;
  void *y;
} MatmulTrial;

static void *
make_matmul (void *data, CgCudaChoice choice, CgCudaError *error)
{
  const MatmulTrial *trial = data;

  return cg_cuda_matmul_new (trial->network->device, &trial->shape, choice, error);
}

static bool
run_matmul (void *data, void *plan, CgCudaError *error)
{
  const MatmulTrial *trial = data;

  return cg_cuda_matmul_run (plan, trial->x, trial->weight, trial->bias, trial->addend, trial->y,
                             error);
}

static void
free_matmul (void *plan)
{
  cg_cuda_matmul_free (plan);
}

static bool
choose_matmul (CgCudaTuner *tuner, MatmulTrial *trial, CgCudaMatmul **plan, CgCudaError *error)
{
  static const char *const epilogues[] = { "store", "gelu", "add", "table" };
  const CgCudaMatmulShape *s = &trial->shape;
  char name[128];
  const bool table = s->epilogue == CG_CUDA_EPILOGUE_TABLE;
  CgCudaCandidates candidates = {
    .name = name,
    /* Where cuBLASLt has the whole epilogue too, cuDNN is not worth the time of its compiler. */
    .last_resort = table || s->epilogue == CG_CUDA_EPILOGUE_STORE,
    .make = make_matmul,
    .run = run_matmul,
    .free = free_matmul,
    .data = trial
  };
  unsigned n = 0;

  candidates.providers[n].provider = CG_CUDA_PROVIDER_LT;
  candidates.providers[n++].proposals = LT_PROPOSALS;
  if (table) {
    candidates.providers[n].provider = CG_CUDA_PROVIDER_LT_COPY;
    candidates.providers[n++].proposals = LT_PROPOSALS;
  }
  if (s->type != CG_CUDA_FP32) { /* cuDNN would take TF32 */
    candidates.providers[n].provider = CG_CUDA_PROVIDER_DNN;
    candidates.providers[n].proposals = CG_CUDA_DNN_PROPOSALS;
  }
  snprintf (name, sizeof name, "matmul %s %s %ux%u %u->%u", cg_cuda_type_name (s->type),
            epilogues[s->epilogue], s->batch, s->rows, s->inputs, s->outputs);
  *plan = cg_cuda_tuner_choose (tuner, &candidates, error);
  return *plan != NULL;
}

typedef struct {
  CgCudaNetwork *network;
  CgCudaAttentionShape shape;
} AttentionTrial;

static void *
make_attention (void *data, CgCudaChoice choice, CgCudaError *error)
{
  AttentionTrial *trial = data;
  CgCudaNetwork *network = trial->network;

  /* The scores of cuBLASLt's way take room, which is made when it is first needed. */
  if (choice.provider == CG_CUDA_PROVIDER_LT && network->scores.block == NULL) {
    void *unused;

    cg_cuda_arena_add (&network->scores, &unused, 1, cg_cuda_attention_scores_size (&trial->shape));
    if (!cg_cuda_arena_allocate (&network->scores, "attention", error))
      return NULL;
  }
  return cg_cuda_attention_new (network->device, &trial->shape, choice, network->scores.block,
                                error);
}

static bool
run_attention (void *data, void *plan, CgCudaError *error)
{
  const AttentionTrial *trial = data;

  return cg_cuda_attention_run (plan, trial->network->qkv, trial->network->attended, error);
}

static void
free_attention (void *plan)
{
  cg_cuda_attention_free (plan);
}

static bool
choose_attention (CgCudaTuner *tuner, AttentionTrial *trial, CgCudaAttention **plan,
                  CgCudaError *error)
{
  const CgCudaAttentionShape *s = &trial->shape;
  char name[128];
  CgCudaCandidates candidates = { .name = name,
                                  .last_resort = true,
                                  .make = make_attention,
                                  .run = run_attention,
                                  .free = free_attention,
                                  .data = trial };
  unsigned n = 0;

  snprintf (name, sizeof name, "attention %s %ux%u %ux%u", cg_cuda_type_name (s->type), s->batch,
            s->tokens, s->heads, s->head_width);
  if (cg_cuda_attention_uses_dnn (trial->network->device, s)) {
    candidates.providers[n].provider = CG_CUDA_PROVIDER_DNN;
    candidates.providers[n++].proposals = CG_CUDA_SDPA_PROPOSALS;
  }
  candidates.providers[n].provider = CG_CUDA_PROVIDER_LT;
  candidates.providers[n].proposals = LT_PROPOSALS;
  *plan = cg_cuda_tuner_choose (tuner, &candidates, error);
  return *plan != NULL;
}

static CgCudaMatmulShape
shape_of (const CgCudaNetwork *network, CgCudaEpilogue epilogue, unsigned windows, unsigned inputs,
          unsigned outputs)
{
  const unsigned tokens = (unsigned)cg_cuda_tokens (&network->geometry);

  return (
      CgCudaMatmulShape){ network->weights->type, epilogue, windows, tokens, inputs, outputs, 0 };
}

static bool
make_plans (CgCudaNetwork *n, CgCudaPlans *plans, unsigned windows, CgCudaTuner *tuner,
            CgCudaError *error)
{
  const CgGeometry *g = &n->geometry;
  const CgCudaWeights *w = n->weights;
  const CgCudaBlock *block = &w->blocks[0];
  MatmulTrial patch = { n,
                        shape_of (n, CG_CUDA_EPILOGUE_TABLE, windows, w->patch_inputs, g->width),
                        .x = n->patches,
                        .weight = w->patch,
                        .addend = w->position,
                        .y = n->x[0] };
  MatmulTrial qkv = { n,
                      shape_of (n, CG_CUDA_EPILOGUE_STORE, windows, g->width, 3 * g->width),
                      .x = n->normalised,
                      .weight = block->qkv,
                      .bias = block->qkv_bias,
                      .y = n->qkv };
  MatmulTrial proj = { n,
                       shape_of (n, CG_CUDA_EPILOGUE_ADD, windows, g->width, g->width),
                       .x = n->attended,
                       .weight = block->proj,
                       .bias = block->proj_bias,
                       .addend = n->x[0],
                       .y = n->x[1] };
  MatmulTrial fc1 = { n,
                      shape_of (n, CG_CUDA_EPILOGUE_GELU, windows, g->width, g->mlp),
                      .x = n->normalised,
                      .weight = block->fc1,
                      .bias = block->fc1_bias,
                      .y = n->hidden };
  MatmulTrial fc2 = { n,
                      shape_of (n, CG_CUDA_EPILOGUE_ADD, windows, g->mlp, g->width),
                      .x = n->hidden,
                      .weight = block->fc2,
                      .bias = block->fc2_bias,
                      .addend = n->x[0],
                      .y = n->x[1] };
  AttentionTrial attention = { n,
                               { w->type, windows, (unsigned)cg_cuda_tokens (g), g->heads,
                                 g->width / g->heads, (float)M_LN2 } };

  patch.shape.shift = w->patch_shift;
  /* A single block's fc2 is for means alone, and there is no other to be timed with. */
  return choose_matmul (tuner, &patch, &plans->patch, error) &&
         choose_matmul (tuner, &qkv, &plans->qkv, error) &&
         choose_attention (tuner, &attention, &plans->attention, error) &&
         choose_matmul (tuner, &proj, &plans->proj, error) &&
         choose_matmul (tuner, &fc1, &plans->fc1, error) &&
         (g->depth == 1 || choose_matmul (tuner, &fc2, &plans->fc2, error));
}

/* ---- life ---- */

static bool
allocate (CgCudaNetwork *network, CgCudaError *error)
{
  const CgGeometry *g = &network->geometry;
  const size_t rows = network->chunk * cg_cuda_tokens (g);
  const size_t size = cg_cuda_type_size (network->weights->type);
  CgCudaArena *arena = &network->buffers;

  cg_cuda_arena_add (arena, &network->samples, (size_t)CG_CUDA_MAX_BATCH * g->frames,
                     sizeof *network->samples);
  cg_cuda_arena_add (arena, &network->patches, rows * network->weights->patch_inputs, size);
  cg_cuda_arena_add (arena, &network->normalised, rows * g->width, size);
  cg_cuda_arena_add (arena, &network->qkv, rows * 3 * g->width, size);
  cg_cuda_arena_add (arena, &network->attended, rows * g->width, size);
  cg_cuda_arena_add (arena, &network->hidden, rows * g->mlp, size);
  cg_cuda_arena_add (arena, &network->x[0], rows * g->width, sizeof (float));
  cg_cuda_arena_add (arena, &network->x[1], rows * g->width, sizeof (float));
  cg_cuda_arena_add (arena, &network->x_means, (size_t)CG_CUDA_MAX_BATCH * g->width,
                     sizeof (float));
  cg_cuda_arena_add (arena, &network->hidden_means, (size_t)CG_CUDA_MAX_BATCH * g->mlp,
                     sizeof (float));
  return cg_cuda_arena_allocate (arena, "the network's activations", error);
}

bool
cg_cuda_network_open (CgCudaNetwork *network, CgCudaDevice *device, const CgCudaWeights *weights,
                      const CgGeometry *geometry, unsigned chunk, CgCudaTuner *tuner, bool tuned,
                      CgCudaError *error)
{
  network->device = device;
  network->weights = weights;
  network->geometry = *geometry;
  network->chunk = chunk;
  if (!allocate (network, error))
    return false;
  /* Bytes of 0x3c are about 1 in fp16 and a hundredth in the others: zeros would run too fast. */
  if (tuned && !cg_cuda_check (cudaMemsetAsync (network->buffers.block, 0x3c, network->buffers.size,
                                                device->stream),
                               "fill buffers", error))
    return false;
  for (unsigned i = 0; 1u << i <= chunk; i++)
    if (!make_plans (network, &network->plans[i], 1u << i, tuner, error))
      return false;
  return true;
}

void
cg_cuda_network_close (CgCudaNetwork *network)
{
  for (unsigned i = 0; i < CG_CUDA_SIZES; i++) {
    CgCudaPlans *plans = &network->plans[i];

    cg_cuda_matmul_free (plans->patch);
    cg_cuda_matmul_free (plans->qkv);
    cg_cuda_matmul_free (plans->proj);
    cg_cuda_matmul_free (plans->fc1);
    cg_cuda_matmul_free (plans->fc2);
    cg_cuda_attention_free (plans->attention);
  }
  cg_cuda_arena_clear (&network->scores);
  cg_cuda_arena_clear (&network->buffers);
  *network = (CgCudaNetwork){ 0 };
}

void
cg_cuda_network_forget (CgCudaNetwork *network)
{
  network->scores.block = network->buffers.block = NULL;
}

/* ---- the pass ---- */

/* One pass through the network. */
typedef struct {
  CgCudaNetwork *network;
  const CgCudaPlans *plans;
  const CgCudaWatch *watch;
  unsigned block;
  size_t rows;
  unsigned at; /* x[at] is the residual stream */
  CgCudaError *error;
} Pass;

static bool
watch (const Pass *pass, CgCudaLayer layer, const void *values, size_t n)
{
  return !pass->watch || pass->watch->seen (pass->watch->data, pass->block, layer,
                                            pass->network->weights->type, values, n, pass->error);
}

static bool
normalise (const Pass *pass)
{
  CgCudaNetwork *n = pass->network;

  return cg_cuda_check (cg_cuda_layer_norm (n->x[pass->at], pass->rows, n->geometry.width,
                                            (float)n->geometry.layer_norm_eps, n->weights->type,
                                            n->normalised, n->device->stream),
                        "normalise", pass->error);
}

/* x += @from · @weight + @bias */
static bool
add (Pass *pass, const CgCudaMatmul *matmul, const void *from, const void *weight,
     const float *bias)
{
  CgCudaNetwork *n = pass->network;
  const unsigned to = cg_cuda_matmul_in_place (matmul) ? pass->at : 1 - pass->at;

  if (!cg_cuda_matmul_run (matmul, from, weight, bias, n->x[pass->at], n->x[to], pass->error))
    return false;
  pass->at = to;
  return true;
}

/* samples -> patches -> x */
static bool
embed (Pass *pass, unsigned first, unsigned windows)
{
  CgCudaNetwork *n = pass->network;
  const CgGeometry *g = &n->geometry;
  const CgCudaWeights *w = n->weights;
  const CgCudaPatches patches = { g->frames, g->tubelet, g->image, g->patch, w->patch_inputs };

  return cg_cuda_check (cg_cuda_gather_patches (n->samples + (size_t)first * g->frames, windows,
                                                &patches, w->type, n->patches, n->device->stream),
                        "gather patches", pass->error) &&
         cg_cuda_matmul_run (pass->plans->patch, n->patches, w->patch, NULL, w->position,
                             n->x[pass->at], pass->error);
}

/* x += proj · attention (qkv · LN x) */
static bool
attend (Pass *pass, const CgCudaBlock *block)
{
  CgCudaNetwork *n = pass->network;
  const size_t width = n->geometry.width;

  return normalise (pass) &&
         cg_cuda_matmul_run (pass->plans->qkv, n->normalised, block->qkv, block->qkv_bias, NULL,
                             n->qkv, pass->error) &&
         watch (pass, CG_CUDA_LAYER_QKV, n->qkv, pass->rows * 3 * width) &&
         cg_cuda_attention_run (pass->plans->attention, n->qkv, n->attended, pass->error) &&
         watch (pass, CG_CUDA_LAYER_ATTENTION, n->attended, pass->rows * width) &&
         add (pass, pass->plans->proj, n->attended, block->proj, block->proj_bias);
}

/* gelu (fc1 · LN x) */
static bool
expand (Pass *pass, const CgCudaBlock *block)
{
  CgCudaNetwork *n = pass->network;

  return normalise (pass) &&
         cg_cuda_matmul_run (pass->plans->fc1, n->normalised, block->fc1, block->fc1_bias, NULL,
                             n->hidden, pass->error) &&
         watch (pass, CG_CUDA_LAYER_FC1, n->hidden, pass->rows * n->geometry.mlp);
}

bool
cg_cuda_network_run (CgCudaNetwork *n, unsigned first, unsigned windows, const CgCudaWatch *watched,
                     CgCudaError *error)
{
  const CgGeometry *g = &n->geometry;
  const unsigned tokens = (unsigned)cg_cuda_tokens (g);
  Pass pass = { .network = n,
                .plans = &n->plans[__builtin_ctz (windows)],
                .watch = watched,
                .rows = (size_t)windows * tokens,
                .error = error };

  if (!embed (&pass, first, windows))
    return false;
  for (pass.block = 0; pass.block < g->depth; pass.block++) {
    const CgCudaBlock *block = &n->weights->blocks[pass.block];

    if (!attend (&pass, block) || !expand (&pass, block))
      return false;
    if (pass.block + 1 < g->depth &&
        !add (&pass, pass.plans->fc2, n->hidden, block->fc2, block->fc2_bias))
      return false;
  }
  /* The last fc2 waits for the means. */
  return cg_cuda_check (cg_cuda_column_means (n->weights->type, n->hidden, windows, tokens, g->mlp,
                                              n->hidden_means + (size_t)first * g->mlp,
                                              n->device->stream),
                        "average", error) &&
         cg_cuda_check (cg_cuda_column_means (CG_CUDA_FP32, n->x[pass.at], windows, tokens,
                                              g->width, n->x_means + (size_t)first * g->width,
                                              n->device->stream),
                        "average", error);
}
