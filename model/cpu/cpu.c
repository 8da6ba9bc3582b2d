/* The CPU engine: the folded network (network.h) over the kernels of one instruction set.
 *
 * A window is computed in stages of independent jobs, two for each block:
 *
 *   embed      for some rows:  pixels -> patch embedding + position -> x -> LN -> q, k, v
 *   attention  for one head and one block of queries:  q, k, v -> attended (in the place of q)
 *   rows       for some rows:  attended -> proj + x -> LN -> fc1 -> gelu -> fc2 + x -> LN -> q, k, v
 *              of the next block
 *
 * Only attention looks at other rows. Everything else is one chain over some hundred rows whose
 * activations stay in the second-level cache, while the weights stream past. The last block ends
 * with sums of gelu over tokens, and its fc2 is applied to their mean.
 *
 * The result is the same to the last bit whatever the number of threads and however the rows are
 * cut into jobs: rows are computed in tiles of fixed position, and the sums over tokens are kept
 * for each tile and added in their order.
 *
 * Windows of a batch are computed one after the other: one window keeps all threads busy, and a
 * second one would only push its activations out of the caches.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "cpu.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../storage.h"
#include "kernels.h"
#include "pool.h"

/* Rows of a job at most, in tiles, and hidden columns of the feed-forward part that are computed at
 * once: with these, what a row job works on fits a second-level cache of 1 MiB up to a
 * width of 768. */
#define MAX_JOB_TILES 8
#define MLP_CHUNK 512

/* Buffers and weights that hold operands (kernels.h) are declared as float, which they are in fp32;
 * only kernels look into them, and at() steps through them. */
typedef struct {
  float *query, *key, *value, *proj, *fc1, *fc2; /* packed; in the last block fc2 is not packed */
  float *query_bias, *proj_bias, *fc1_bias, *fc2_bias; /* padded to panels */
} Block;

/* What one thread works in. */
typedef struct {
  float *rows; /* operands [job rows][row stride]: what LayerNorm gives */
  float *wide; /* operands [job rows][wide stride]: patches, hidden values, keys, values in turn */
  float *attention;
} Scratch;

typedef struct {
  CgGeometry geometry;
  CgIsa isa;
  const CgKernels *kernels;
  CgPool *pool;
  char *description;
  CgFolded aux; /* only what cg_folded_aux() reads, in our own storage */

  guint tokens, tiles, job_tiles;
  guint patch_inputs; /* padded */
  guint mlp_chunk;
  gsize row_stride; /* of x, queries and scratch rows: width, padded to panels */
  gsize wide_stride;
  guint key_room; /* keys of a head, padded */

  float *storage;
  float *patch_weight, *position; /* packed; [tokens][row stride] */
  Block *blocks;
  float *heads_weight, *heads_bias;
  float *x;             /* [rows][row stride] float */
  float *queries;       /* operands [rows][row stride]; attention overwrites them with its result */
  float *keys, *values; /* operands [heads][key room][head width] */
  float *x_sums;        /* [tiles][row stride]: over the tokens of a tile */
  float *gelu_sums;     /* [tiles][mlp, padded], likewise */
  float *x_mean, *gelu_mean;
  Scratch *scratch; /* of each thread */

  /* The run in progress. */
  guint8 *const *frames;
  const gint *cancel;
  gint cancelled;
  guint block;
  CgCpuStages stages;
} Cpu;

static inline void *
at (const Cpu *self, const float *operands, gsize i)
{
  return (char *)operands + i * self->kernels->operand_size;
}

static gsize
round_up (gsize n, gsize multiple)
{
  return (n + multiple - 1) / multiple * multiple;
}

static guint
query_blocks (const Cpu *self)
{
  return (self->tokens + self->kernels->queries - 1) / self->kernels->queries;
}

/* ---- the row chain ---- */

/* A job that finds the window cancelled returns at once; cpu_run() then throws the rest away. */
static gboolean
is_cancelled (Cpu *self)
{
  if (self->cancel == NULL || g_atomic_int_get (self->cancel) == 0)
    return FALSE;
  g_atomic_int_set (&self->cancelled, 1);
  return TRUE;
}

typedef struct {
  guint first, rows; /* rows of whole tiles */
  guint tokens;      /* of them; the others are padding and go nowhere */
} Span;

static Span
span_of_job (const Cpu *self, guint job)
{
  const guint tile = self->kernels->tile_rows;
  const guint first_tile = job * self->job_tiles;
  const guint tiles = MIN (self->job_tiles, self->tiles - first_tile);
  const guint first = first_tile * tile;

  return (Span){ first, tiles * tile, MIN (tiles * tile, self->tokens - first) };
}

/* x -> LN -> scratch->rows */
static void
normalise (const Cpu *self, const Span *span, const Scratch *scratch)
{
  self->kernels->layer_norm (self->x + span->first * self->row_stride, self->row_stride, span->rows,
                             self->geometry.width, (float)self->geometry.layer_norm_eps,
                             scratch->rows, self->row_stride);
}

/* x -> LN -> q, k, v of @block */
static void
query_key_value (const Cpu *self, const Span *span, const Block *block, const Scratch *scratch)
{
  const CgGeometry *g = &self->geometry;
  const CgKernels *k = self->kernels;
  CgLinearJob linear = { .epilogue = CG_EPILOGUE_STORE,
                         .rows = span->rows,
                         .inputs = g->width,
                         .columns = self->row_stride,
                         .input = scratch->rows,
                         .input_stride = self->row_stride,
                         .panel_stride = (gsize)g->width * k->panel };

  normalise (self, span, scratch);

  linear.weight = block->query;
  linear.bias = block->query_bias;
  linear.output = at (self, self->queries, span->first * self->row_stride);
  linear.output_stride = self->row_stride;
  k->linear (&linear);

  linear.bias = NULL;
  linear.output = scratch->wide;
  linear.output_stride = self->wide_stride;
  linear.weight = block->key;
  k->linear (&linear);
  k->scatter_keys (scratch->wide, self->wide_stride, span->tokens, span->first, self->key_room,
                   g->heads, g->width / g->heads, self->keys);

  linear.weight = block->value;
  k->linear (&linear);
  k->scatter_values (scratch->wide, self->wide_stride, span->tokens, span->first, self->key_room,
                     g->heads, g->width / g->heads, self->values);
}

/* One token's pixels, [tubelet][patch][patch][3], as operands. */
static void
gather_patch (const Cpu *self, guint token, void *out)
{
  const CgGeometry *g = &self->geometry;
  const guint side = g->image / g->patch;
  const guint time = token / (side * side), row = token / side % side, column = token % side;
  const guint bytes = 3 * g->patch;
  char *to = out;

  for (guint t = 0; t < g->tubelet; t++)
    for (guint y = 0; y < g->patch; y++) {
      const gsize pixel = (gsize)(row * g->patch + y) * g->image + column * g->patch;

      self->kernels->widen (self->frames[time * g->tubelet + t] + 3 * pixel, bytes, to);
      to += bytes * self->kernels->operand_size;
    }
  memset (to, 0, (self->patch_inputs - cg_geometry_patch_values (g)) * self->kernels->operand_size);
}

static void
embed_job (gpointer data, guint job, guint worker)
{
  Cpu *self = data;
  const Scratch *scratch = &self->scratch[worker];
  const Span span = span_of_job (self, job);
  float *x = self->x + span.first * self->row_stride;
  const CgLinearJob linear = { .epilogue = CG_EPILOGUE_ADD,
                               .rows = span.rows,
                               .inputs = self->patch_inputs,
                               .columns = self->row_stride,
                               .input = scratch->wide,
                               .input_stride = self->wide_stride,
                               .weight = self->patch_weight,
                               .panel_stride = (gsize)self->patch_inputs * self->kernels->panel,
                               .output = x,
                               .output_stride = self->row_stride };

  if (is_cancelled (self))
    return;
  memcpy (x, self->position + span.first * self->row_stride,
          span.tokens * self->row_stride * sizeof (float));
  memset (x + span.tokens * self->row_stride, 0,
          (span.rows - span.tokens) * self->row_stride * sizeof (float));
  for (guint i = 0; i < span.tokens; i++)
    gather_patch (self, span.first + i, at (self, scratch->wide, i * self->wide_stride));
  for (guint i = span.tokens; i < span.rows; i++)
    memset (at (self, scratch->wide, i * self->wide_stride), 0,
            self->patch_inputs * self->kernels->operand_size);

  self->kernels->linear (&linear);
  query_key_value (self, &span, &self->blocks[0], scratch);
}

static void
attention_job (gpointer data, guint job, guint worker)
{
  Cpu *self = data;
  const guint blocks = query_blocks (self);
  const guint head = job / blocks;
  const guint head_width = self->geometry.width / self->geometry.heads;
  const gsize head_start = (gsize)head * self->key_room * head_width;
  const gsize query_start = (gsize)(job % blocks) * self->kernels->queries * self->row_stride;
  const CgAttentionJob attention = {
    .tokens = self->tokens,
    .head_width = head_width,
    .keys = at (self, self->keys, head_start),
    .values = at (self, self->values, head_start),
    .queries = at (self, self->queries, query_start + head * head_width),
    .stride = self->row_stride,
    .scratch = self->scratch[worker].attention,
  };

  if (!is_cancelled (self))
    self->kernels->attention (&attention);
}

/* x += attended · proj */
static void
project (const Cpu *self, const Span *span, const Block *block)
{
  const CgLinearJob linear = { .epilogue = CG_EPILOGUE_ADD,
                               .rows = span->rows,
                               .inputs = self->geometry.width,
                               .columns = self->row_stride,
                               .input = at (self, self->queries, span->first * self->row_stride),
                               .input_stride = self->row_stride,
                               .weight = block->proj,
                               .panel_stride = (gsize)self->geometry.width * self->kernels->panel,
                               .bias = block->proj_bias,
                               .output = self->x + span->first * self->row_stride,
                               .output_stride = self->row_stride };

  self->kernels->linear (&linear);
}

/* fc1 and gelu for the hidden columns from @first on: what both kinds of block begin with. */
static CgLinearJob
hidden_columns (const Cpu *self, const Span *span, const Block *block, const Scratch *scratch,
                guint first, guint columns)
{
  return (CgLinearJob){ .rows = span->rows,
                        .inputs = self->geometry.width,
                        .columns = round_up (columns, self->kernels->panel),
                        .counted_rows = span->tokens,
                        .input = scratch->rows,
                        .input_stride = self->row_stride,
                        .weight = at (self, block->fc1, (gsize)first * self->geometry.width),
                        .panel_stride = (gsize)self->geometry.width * self->kernels->panel,
                        .bias = block->fc1_bias + first };
}

/* x += fc2 · gelu (fc1 · LN x), some hidden columns at a time */
static void
feed_forward (const Cpu *self, const Span *span, const Block *block, const Scratch *scratch)
{
  const CgGeometry *g = &self->geometry;
  const guint panel = self->kernels->panel;

  normalise (self, span, scratch);
  for (guint first = 0; first < g->mlp; first += self->mlp_chunk) {
    const guint columns = MIN (self->mlp_chunk, g->mlp - first);
    CgLinearJob fc1 = hidden_columns (self, span, block, scratch, first, columns);
    const CgLinearJob fc2 = { .epilogue = CG_EPILOGUE_ADD,
                              .rows = span->rows,
                              .inputs = columns,
                              .columns = self->row_stride,
                              .input = scratch->wide,
                              .input_stride = self->wide_stride,
                              .weight = at (self, block->fc2, (gsize)first * panel),
                              .panel_stride = (gsize)g->mlp * panel,
                              .bias = first == 0 ? block->fc2_bias : NULL,
                              .output = self->x + span->first * self->row_stride,
                              .output_stride = self->row_stride };

    fc1.epilogue = CG_EPILOGUE_GELU;
    fc1.output = scratch->wide;
    fc1.output_stride = self->wide_stride;
    self->kernels->linear (&fc1);
    self->kernels->linear (&fc2);
  }
}

/* The last block: sums over the tokens of each tile, of x and of gelu (fc1 · LN x). */
static void
feed_forward_sums (const Cpu *self, const Span *span, const Block *block, const Scratch *scratch)
{
  const guint tile = self->kernels->tile_rows;
  const guint first_tile = span->first / tile;
  CgLinearJob fc1 = hidden_columns (self, span, block, scratch, 0, self->geometry.mlp);
  const gsize hidden_stride = fc1.columns;

  normalise (self, span, scratch);
  fc1.epilogue = CG_EPILOGUE_GELU_SUMS;
  fc1.output = self->gelu_sums + first_tile * hidden_stride;
  fc1.output_stride = hidden_stride;
  self->kernels->linear (&fc1);

  for (guint row = 0; row < span->tokens; row += tile)
    self->kernels->column_sums (self->x + (span->first + row) * self->row_stride, self->row_stride,
                                MIN (tile, span->tokens - row), self->geometry.width,
                                self->x_sums + (span->first + row) / tile * self->row_stride);
}

static void
rows_job (gpointer data, guint job, guint worker)
{
  Cpu *self = data;
  const Scratch *scratch = &self->scratch[worker];
  const Span span = span_of_job (self, job);
  const Block *block = &self->blocks[self->block];

  if (is_cancelled (self))
    return;
  project (self, &span, block);
  if (self->block + 1 < self->geometry.depth) {
    feed_forward (self, &span, block, scratch);
    query_key_value (self, &span, block + 1, scratch);
  } else
    feed_forward_sums (self, &span, block, scratch);
}

/* ---- a window ---- */

/* @mean = the mean over tokens from sums over tiles [tiles][@stride], added in double in their
 * order. */
static void
mean_of_sums (const Cpu *self, const float *sums, gsize stride, guint columns, float *mean)
{
  gdouble sum[64];

  for (guint first = 0; first < columns; first += G_N_ELEMENTS (sum)) {
    const guint n = MIN (columns - first, G_N_ELEMENTS (sum));

    memset (sum, 0, sizeof sum);
    for (guint tile = 0; tile < self->tiles; tile++)
      for (guint i = 0; i < n; i++)
        sum[i] += sums[tile * stride + first + i];
    for (guint i = 0; i < n; i++)
      mean[first + i] = (float)(sum[i] / self->tokens);
  }
}

/* Sums over tokens -> features -> logits (-> scene, text). Well under a hundredth of the work: one
 * thread. */
static void
finish (Cpu *self, CgOutputs *outputs)
{
  const CgGeometry *g = &self->geometry;
  const Block *last = &self->blocks[g->depth - 1];
  const CgKernels *k = self->kernels;

  mean_of_sums (self, self->x_sums, self->row_stride, g->width, self->x_mean);
  mean_of_sums (self, self->gelu_sums, round_up (g->mlp, k->panel), g->mlp, self->gelu_mean);
  k->matvec (last->fc2, last->fc2_bias, self->gelu_mean, g->width, g->mlp, outputs->features);
  for (guint i = 0; i < g->width; i++)
    outputs->features[i] += self->x_mean[i];
  k->matvec (self->heads_weight, self->heads_bias, outputs->features, cg_geometry_total_labels (g),
             g->width, outputs->logits);
  cg_folded_aux (&self->aux, outputs->logits, outputs->scene, outputs->text);
}

/* Runs one stage and adds its time to @stage. */
static gboolean
run_stage (Cpu *self, guint jobs, CgPoolFunction function, gdouble *stage, GError **error)
{
  const gint64 start = g_get_monotonic_time ();

  cg_pool_run (self->pool, jobs, function, self);
  *stage += g_get_monotonic_time () - start;
  if (!is_cancelled (self) && !g_atomic_int_get (&self->cancelled))
    return TRUE;
  g_set_error_literal (error, CG_ERROR, CG_ERROR_COMPUTE, "The window was cancelled");
  return FALSE;
}

static gboolean
all_finite (const float *values, guint n)
{
  for (guint i = 0; i < n; i++)
    if (!isfinite (values[i]))
      return FALSE;
  return TRUE;
}

static gboolean
run_window (Cpu *self, CgOutputs *outputs, GError **error)
{
  const CgGeometry *g = &self->geometry;
  const guint row_jobs = (self->tiles + self->job_tiles - 1) / self->job_tiles;
  const guint attention_jobs = g->heads * query_blocks (self);
  gint64 start;

  if (!run_stage (self, row_jobs, embed_job, &self->stages.embed, error))
    return FALSE;
  for (self->block = 0; self->block < g->depth; self->block++)
    if (!run_stage (self, attention_jobs, attention_job, &self->stages.attention, error) ||
        !run_stage (self, row_jobs, rows_job, &self->stages.rows, error))
      return FALSE;

  start = g_get_monotonic_time ();
  finish (self, outputs);
  self->stages.heads += g_get_monotonic_time () - start;

  /* A value that is not finite anywhere on the way reaches every feature. */
  if (all_finite (outputs->features, g->width) &&
      all_finite (outputs->logits, cg_geometry_total_labels (g)))
    return TRUE;
  g_set_error_literal (error, CG_ERROR, CG_ERROR_COMPUTE,
                       "The network gave a value that is not finite: its weights overflow");
  return FALSE;
}

static gboolean
cpu_run (gpointer data, gpointer const *samples, guint n, CgOutputs *const *outputs,
         const gint *cancel, GError **error)
{
  Cpu *self = data;

  self->stages = (CgCpuStages){ 0 };
  self->cancel = cancel;
  g_atomic_int_set (&self->cancelled, 0);
  for (guint i = 0; i < n; i++) {
    self->frames = (guint8 *const *)samples + i * self->geometry.frames;
    if (!run_window (self, outputs[i], error))
      return FALSE;
  }
  return TRUE;
}

/* ---- opening ---- */

/* How many tiles a row job has: as many as keep the weights' way from memory short, and few enough
 * that the last round of jobs does not leave threads idle. */
static guint
choose_job_tiles (guint tiles, guint threads)
{
  guint best = 1;
  gdouble least = G_MAXDOUBLE;

  for (guint n = 1; n <= MAX_JOB_TILES; n++) {
    const guint jobs = (tiles + n - 1) / n;
    const guint rounds = (jobs + threads - 1) / threads;
    const gdouble cost =
        rounds * (n + 0.3); /* a job's weights cost about as much as a third of a tile */

    if (cost <= least) {
      least = cost;
      best = n;
    }
  }
  return best;
}

/* Plans room for operands; rows are whole panels or multiples of 16, so they are whole floats. */
static void
add_operands (Cpu *self, CgStorage *storage, float **slot, gsize rows, gsize columns)
{
  cg_storage_add (storage, slot, rows, columns * self->kernels->operand_size / sizeof (float));
}

static gboolean
allocate (Cpu *self, GError **error)
{
  const CgGeometry *g = &self->geometry;
  const CgKernels *k = self->kernels;
  const guint labels = cg_geometry_total_labels (g);
  const guint threads = cg_pool_threads (self->pool);
  const guint job_rows = self->job_tiles * k->tile_rows;
  const gsize mlp_columns = round_up (g->mlp, k->panel);
  const gsize rows =
      MAX (round_up (self->tokens, k->tile_rows), round_up (self->tokens, k->queries));
  CgStorage storage;

  cg_storage_init (&storage);
  add_operands (self, &storage, &self->patch_weight, self->row_stride, self->patch_inputs);
  cg_storage_add (&storage, &self->position, self->tokens, self->row_stride);
  for (guint i = 0; i < g->depth; i++) {
    Block *block = &self->blocks[i];

    add_operands (self, &storage, &block->query, self->row_stride, g->width);
    add_operands (self, &storage, &block->key, self->row_stride, g->width);
    add_operands (self, &storage, &block->value, self->row_stride, g->width);
    add_operands (self, &storage, &block->proj, self->row_stride, g->width);
    add_operands (self, &storage, &block->fc1, mlp_columns, g->width);
    if (i + 1 < g->depth)
      add_operands (self, &storage, &block->fc2, self->row_stride, g->mlp);
    else
      cg_storage_add (&storage, &block->fc2, g->width, g->mlp);
    cg_storage_add (&storage, &block->query_bias, self->row_stride, 1);
    cg_storage_add (&storage, &block->proj_bias, self->row_stride, 1);
    cg_storage_add (&storage, &block->fc1_bias, mlp_columns, 1);
    cg_storage_add (&storage, &block->fc2_bias, self->row_stride, 1);
  }
  cg_storage_add (&storage, &self->heads_weight, labels, g->width);
  cg_storage_add (&storage, &self->heads_bias, labels, 1);
  for (guint i = 0; i < g->scene.layers; i++) {
    cg_storage_add (&storage, &self->aux.scene[i].weight, g->scene.size[i + 1], g->scene.size[i]);
    cg_storage_add (&storage, &self->aux.scene[i].bias, g->scene.size[i + 1], 1);
  }
  for (guint i = 0; i < g->text.layers; i++) {
    cg_storage_add (&storage, &self->aux.text[i].weight, g->text.size[i + 1], g->text.size[i]);
    cg_storage_add (&storage, &self->aux.text[i].bias, g->text.size[i + 1], 1);
  }

  cg_storage_add (&storage, &self->x, rows, self->row_stride);
  add_operands (self, &storage, &self->queries, rows, self->row_stride);
  add_operands (self, &storage, &self->keys, self->key_room, g->width);
  add_operands (self, &storage, &self->values, self->key_room, g->width);
  cg_storage_add (&storage, &self->x_sums, self->tiles, self->row_stride);
  cg_storage_add (&storage, &self->gelu_sums, self->tiles, mlp_columns);
  cg_storage_add (&storage, &self->x_mean, g->width, 1);
  cg_storage_add (&storage, &self->gelu_mean, g->mlp, 1);
  for (guint i = 0; i < threads; i++) {
    add_operands (self, &storage, &self->scratch[i].rows, job_rows, self->row_stride);
    add_operands (self, &storage, &self->scratch[i].wide, job_rows, self->wide_stride);
    cg_storage_add (&storage, &self->scratch[i].attention, k->attention_scratch / sizeof (float),
                    1);
  }
  self->storage = cg_storage_allocate (&storage, "the CPU engine", error);
  return self->storage != NULL;
}

static void
copy_layers (CgLinear *to, const CgLinear *from, const CgMlp *mlp)
{
  for (guint i = 0; i < mlp->layers; i++) {
    memcpy (to[i].weight, from[i].weight, (gsize)mlp->size[i + 1] * mlp->size[i] * sizeof (float));
    memcpy (to[i].bias, from[i].bias, mlp->size[i + 1] * sizeof (float));
  }
}

static void
copy_weights (Cpu *self, const CgFolded *folded)
{
  const CgGeometry *g = &self->geometry;
  const CgKernels *k = self->kernels;
  const guint labels = cg_geometry_total_labels (g);
  const guint patch = cg_geometry_patch_values (g);

  k->pack_weight (folded->patch_weight, g->width, patch, self->patch_inputs, self->patch_weight);
  for (guint i = 0; i < self->tokens; i++)
    memcpy (self->position + i * self->row_stride, folded->position + (gsize)i * g->width,
            g->width * sizeof (float));

  for (guint i = 0; i < g->depth; i++) {
    const CgFoldedBlock *from = &folded->blocks[i];
    const gsize square = (gsize)g->width * g->width;
    Block *to = &self->blocks[i];

    k->pack_weight (from->qkv_weight, g->width, g->width, g->width, to->query);
    k->pack_weight (from->qkv_weight + square, g->width, g->width, g->width, to->key);
    k->pack_weight (from->qkv_weight + 2 * square, g->width, g->width, g->width, to->value);
    k->pack_weight (from->proj_weight, g->width, g->width, g->width, to->proj);
    k->pack_weight (from->fc1_weight, g->mlp, g->width, g->width, to->fc1);
    if (i + 1 < g->depth)
      k->pack_weight (from->fc2_weight, g->width, g->mlp, g->mlp, to->fc2);
    else
      memcpy (to->fc2, from->fc2_weight, (gsize)g->width * g->mlp * sizeof (float));
    memcpy (to->query_bias, from->q_bias, g->width * sizeof (float));
    memcpy (to->proj_bias, from->proj_bias, g->width * sizeof (float));
    memcpy (to->fc1_bias, from->fc1_bias, g->mlp * sizeof (float));
    memcpy (to->fc2_bias, from->fc2_bias, g->width * sizeof (float));
  }
  memcpy (self->heads_weight, folded->heads_weight, (gsize)labels * g->width * sizeof (float));
  memcpy (self->heads_bias, folded->heads_bias, labels * sizeof (float));

  self->aux.geometry = *g;
  memcpy (self->aux.sca_alpha, folded->sca_alpha, sizeof self->aux.sca_alpha);
  memcpy (self->aux.sca_beta, folded->sca_beta, sizeof self->aux.sca_beta);
  memcpy (self->aux.sca_gamma, folded->sca_gamma, sizeof self->aux.sca_gamma);
  self->aux.sca_delta = folded->sca_delta;
  copy_layers (self->aux.scene, folded->scene, &g->scene);
  copy_layers (self->aux.text, folded->text, &g->text);
}

/* The kernels for @options: its instruction set, in its precision. */
static gboolean
choose_kernels (Cpu *self, const CgEngineOptions *options, GError **error)
{
  gboolean bf16;

  if (options->precision == CG_PRECISION_FP16) {
    g_set_error_literal (error, CG_ERROR, CG_ERROR_UNSUPPORTED,
                         "Precision fp16 needs a GPU. Use precision fp32 or auto on the CPU");
    return FALSE;
  }
  if (!cg_isa_from_name (options->isa, &self->isa, error))
    return FALSE;
  bf16 = cg_isa_has_bf16 (self->isa) &&
         (options->precision == CG_PRECISION_BF16 ||
          (options->precision == CG_PRECISION_AUTO && (options->isa || cg_isa_bf16_pays ())));
  if (options->precision == CG_PRECISION_BF16 && !bf16) {
    g_set_error (error, CG_ERROR, CG_ERROR_UNSUPPORTED,
                 "Precision bf16 needs a CPU with AVX512_BF16; the instruction set here is %s. "
                 "Use precision fp32 or auto",
                 cg_isa_name (self->isa));
    return FALSE;
  }
  if (!bf16)
    self->isa = cg_isa_plain (self->isa);
  self->kernels = cg_kernels_get (self->isa, bf16);
  return TRUE;
}

static void
cpu_close (gpointer data)
{
  Cpu *self = data;

  if (self == NULL)
    return;
  cg_pool_free (self->pool);
  free (self->storage);
  g_free (self->blocks);
  g_free (self->scratch);
  g_free (self->description);
  g_free (self);
}

static gpointer
cpu_open (const CgModel *model, const CgNetwork *network, const CgEngineOptions *options,
          GError **error)
{
  const CgGeometry *g = &network->geometry;
  Cpu *self = g_new0 (Cpu, 1);
  g_autoptr (CgFolded) folded = NULL;
  const CgKernels *k;
  guint threads;

  self->geometry = *g;
  if (!choose_kernels (self, options, error))
    goto failed;
  self->pool = cg_pool_new (options->threads, error);
  if (self->pool == NULL)
    goto failed;

  k = self->kernels;
  threads = cg_pool_threads (self->pool);
  self->blocks = g_new0 (Block, g->depth);
  self->scratch = g_new0 (Scratch, threads);
  self->tokens = cg_geometry_tokens (g);
  self->tiles = (self->tokens + k->tile_rows - 1) / k->tile_rows;
  self->job_tiles = choose_job_tiles (self->tiles, threads);
  self->patch_inputs = round_up (cg_geometry_patch_values (g), 16);
  self->mlp_chunk = MIN (MLP_CHUNK, round_up (g->mlp, k->panel));
  self->row_stride = round_up (g->width, k->panel);
  self->wide_stride = MAX (MAX (self->row_stride, self->mlp_chunk), self->patch_inputs);
  self->key_room = round_up (self->tokens, k->key_tile);
  if ((guint64)g->heads * query_blocks (self) > CG_POOL_MAX_JOBS) {
    g_set_error (error, CG_ERROR, CG_ERROR_UNSUPPORTED,
                 "%u tokens with %u attention heads are more than the CPU engine can divide up",
                 self->tokens, g->heads);
    goto failed;
  }

  folded = cg_network_fold (network, &model->input, error);
  if (folded == NULL || !allocate (self, error))
    goto failed;
  copy_weights (self, folded);

  self->description =
      g_strdup_printf ("cpu %s %s, %u thread%s", cg_isa_name (self->isa),
                       k->operand_size == 2 ? "bf16" : "fp32", threads, threads == 1 ? "" : "s");
  return self;

failed:
  cpu_close (self);
  return NULL;
}

static const char *
cpu_describe (gpointer data)
{
  const Cpu *self = data;

  return self->description;
}

/* ---- samples: [image][image][3] bytes on a 64-byte line ---- */

static gpointer
cpu_sample_new (gpointer data, GError **error)
{
  const Cpu *self = data;
  const gsize size = (gsize)self->geometry.image * self->geometry.image * 3;
  void *sample = NULL;

  if (posix_memalign (&sample, 64, size) == 0)
    return sample;
  g_set_error (error, CG_ERROR, CG_ERROR_MEMORY,
               "Out of memory for a sample of %" G_GSIZE_FORMAT " bytes", size);
  return NULL;
}

static void
cpu_sample_free (gpointer data, gpointer sample)
{
  free (sample);
}

static gboolean
cpu_sample_put (gpointer data, gpointer sample, const CgFrame *frame, GError **error)
{
  const Cpu *self = data;

  return cg_preprocess (frame, self->geometry.image, cg_isa_name (self->isa), sample, error);
}

void
cg_cpu_stages (gpointer self, CgCpuStages *stages)
{
  *stages = ((const Cpu *)self)->stages;
}

const CgBackend *
cg_backend_cpu (void)
{
  static const CgBackend backend = {
    .abi = CG_BACKEND_ABI,
    .name = "cpu",
    .max_batch = 1,
    .open = cpu_open,
    .close = cpu_close,
    .describe = cpu_describe,
    .sample_new = cpu_sample_new,
    .sample_free = cpu_sample_free,
    .sample_put = cpu_sample_put,
    .run = cpu_run,
  };
  return &backend;
}
