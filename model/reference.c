/* The forward pass as the paper has it, in double. Read it beside the formulas at the head of
 * network.h.
 *
 * Every sum of products is one call of products(). All else is a plain loop over tokens.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "reference.h"

#include <math.h>
#include <string.h>

#define BLOCK \
  64 /* rows of weights, or queries, that are worked on at a time: they stay in the cache */

/* Scratch, in one allocation. @inputs is the widest layer's input, @tokens the longest sequence: of
 * the encoder or of SCA. */
typedef struct {
  gdouble *patches;  /* [encoder tokens][patch values] */
  gdouble *normed;   /* [encoder tokens][width] */
  gdouble *qkv;      /* [encoder tokens][3 width] */
  gdouble *attended; /* [encoder tokens][width] */
  gdouble *hidden;   /* [encoder tokens][mlp] */
  gdouble *change;   /* [encoder tokens][width]: what a branch adds to x */
  gdouble *weight;   /* [BLOCK][inputs] */
  gdouble *q, *k;    /* [tokens][head width], of one head */
  gdouble *v;        /* [head width][tokens], of one head */
  gdouble *scores;   /* [BLOCK][tokens] */
} Work;

/* ---- memory ---- */

static guint
widest_input (const CgGeometry *g)
{
  guint widest = MAX (MAX (cg_geometry_patch_values (g), g->mlp), MAX (g->width, CG_SCA_WIDTH));
  for (guint i = 0; i < g->scene.layers; i++)
    widest = MAX (widest, g->scene.size[i]);
  for (guint i = 0; i < g->text.layers; i++)
    widest = MAX (widest, g->text.size[i]);
  return widest;
}

static Work *
work_new (const CgGeometry *g, GError **error)
{
  gsize encoder = cg_geometry_tokens (g), width = g->width;
  gsize tokens = MAX (encoder, cg_geometry_total_labels (g));
  gsize head = MAX (width / g->heads, CG_SCA_WIDTH / CG_SCA_HEADS);
  Work layout;
  const struct {
    gdouble **part;
    gsize rows, columns;
  } parts[] = {
    { &layout.patches, encoder, cg_geometry_patch_values (g) },
    { &layout.normed, encoder, width },
    { &layout.qkv, encoder, 3 * width },
    { &layout.attended, encoder, width },
    { &layout.hidden, encoder, g->mlp },
    { &layout.change, encoder, width },
    { &layout.weight, BLOCK, widest_input (g) },
    { &layout.q, tokens, head },
    { &layout.k, tokens, head },
    { &layout.v, tokens, head },
    { &layout.scores, BLOCK, tokens },
  };

  guint64 size = 0; /* doubles; the largest geometry's is far from overflowing 64 bits */
  for (guint i = 0; i < G_N_ELEMENTS (parts); i++)
    size += (guint64)parts[i].rows * parts[i].columns;
  Work *work = NULL;
  if (size <= (G_MAXSIZE - sizeof *work) / sizeof (gdouble))
    work = g_try_malloc (sizeof *work + size * sizeof (gdouble));
  if (work == NULL) {
    g_set_error (error, CG_ERROR, CG_ERROR_MEMORY,
                 "out of memory: the reference needs %" G_GUINT64_FORMAT " MiB",
                 size * sizeof (gdouble) / 1048576 + 1);
    return NULL;
  }

  gdouble *next = (gdouble *)(work + 1);
  for (guint i = 0; i < G_N_ELEMENTS (parts); i++) {
    *parts[i].part = next;
    next += parts[i].rows * parts[i].columns;
  }
  *work = layout;
  return work;
}

static CgReferenceOutputs *
outputs_new (const CgGeometry *g, GError **error)
{
  gsize tokens = (gsize)cg_geometry_tokens (g) * g->width, labels = cg_geometry_total_labels (g);
  guint scene = g->scene.layers > 0 ? g->scene.size[g->scene.layers] : 0;
  guint text = g->text.layers > 0 ? g->text.size[g->text.layers] : 0;
  gsize size = tokens + g->width + labels + scene + text;

  CgReferenceOutputs *outputs = g_try_malloc0 (sizeof *outputs + size * sizeof (gdouble));
  if (outputs == NULL) {
    g_set_error_literal (error, CG_ERROR, CG_ERROR_MEMORY,
                         "out of memory: the reference's outputs");
    return NULL;
  }
  outputs->tokens = (gdouble *)(outputs + 1);
  outputs->features = outputs->tokens + tokens;
  outputs->logits = outputs->features + g->width;
  outputs->scene = scene > 0 ? outputs->logits + labels : NULL;
  outputs->text = text > 0 ? outputs->logits + labels + scene : NULL;
  return outputs;
}

/* ---- layers ---- */

/* Two neighbours in a row, added and multiplied together. */
typedef gdouble Pair __attribute__ ((vector_size (16)));

static inline Pair
pair (const gdouble *x)
{
  Pair both;
  memcpy (&both, x, sizeof both);
  return both;
}

/* y[i][j] = a[i] . b[j] for all @rows i of @a and @columns j of @b, each @n long and densely packed; rows of
 * @y lie @stride apart.
 *
 * ROWS x COLUMNS of them at a time, each sum in an even and an odd half: sixteen sums that do not wait for
 * each other, and three reads for four products. A compiler may not do that by itself, because it changes the
 * order of additions. At the edges the last row or column stands in for missing ones: the same number is
 * then written more than once. */
static void
products (const gdouble *a, gsize rows, const gdouble *b, gsize columns, gsize n, gdouble *y,
          gsize stride)
{
  enum { ROWS = 2, COLUMNS = 4 };

  for (gsize i = 0; i < rows; i += ROWS) {
    for (gsize j = 0; j < columns; j += COLUMNS) {
      const gdouble *row[ROWS], *column[COLUMNS];
      Pair sum[ROWS][COLUMNS] = { 0 };
      gsize k = 0;

      for (guint r = 0; r < ROWS; r++)
        row[r] = a + MIN (i + r, rows - 1) * n;
      for (guint c = 0; c < COLUMNS; c++)
        column[c] = b + MIN (j + c, columns - 1) * n;

      for (; k + 2 <= n; k += 2)
        for (guint r = 0; r < ROWS; r++)
          for (guint c = 0; c < COLUMNS; c++)
            sum[r][c] += pair (row[r] + k) * pair (column[c] + k);

      for (guint r = 0; r < ROWS; r++) {
        for (guint c = 0; c < COLUMNS; c++) {
          gdouble odd = k < n ? row[r][k] * column[c][k] : 0;
          y[MIN (i + r, rows - 1) * stride + MIN (j + c, columns - 1)] =
              sum[r][c][0] + sum[r][c][1] + odd;
        }
      }
    }
  }
}

/* y [rows][outputs] = x [rows][inputs] weight^T + bias. @bias may be NULL. */
static void
linear (Work *work, const gdouble *x, gsize rows, const float *weight, const float *bias,
        gsize outputs, gsize inputs, gdouble *y)
{
  for (gsize from = 0; from < outputs; from += BLOCK) {
    gsize n = MIN (BLOCK, outputs - from);
    for (gsize i = 0; i < n * inputs; i++)
      work->weight[i] = weight[from * inputs + i];
    products (x, rows, work->weight, n, inputs, y + from, outputs);
  }
  for (gsize i = 0; bias != NULL && i < rows; i++)
    for (gsize o = 0; o < outputs; o++)
      y[i * outputs + o] += bias[o];
}

static void
layer_norm (const gdouble *x, gsize tokens, gsize width, const float *weight, const float *bias,
            gdouble eps, gdouble *y)
{
  for (gsize i = 0; i < tokens; i++, x += width, y += width) {
    gdouble mean = 0, variance = 0;
    for (gsize c = 0; c < width; c++)
      mean += x[c];
    mean /= width;
    for (gsize c = 0; c < width; c++)
      variance += (x[c] - mean) * (x[c] - mean);
    variance /= width;
    for (gsize c = 0; c < width; c++)
      y[c] = (x[c] - mean) / sqrt (variance + eps) * weight[c] + bias[c];
  }
}

static void
softmax (gdouble *x, gsize n)
{
  gdouble largest = x[0], sum = 0;
  for (gsize i = 1; i < n; i++)
    largest = MAX (largest, x[i]);
  for (gsize i = 0; i < n; i++)
    sum += x[i] = exp (x[i] - largest);
  for (gsize i = 0; i < n; i++)
    x[i] /= sum;
}

/* out = softmax (q k^T / sqrt (head width)) v, head by head. @q, @k, @v: [tokens][width] in rows
 * that lie
 * @stride apart; a head is a run of width / heads columns. @out: [tokens][width], dense. */
static void
attention (Work *work, const gdouble *q, const gdouble *k, const gdouble *v, gsize stride,
           gsize tokens, gsize width, guint heads, gdouble *out)
{
  gsize head = width / heads;

  for (gsize first = 0; first < width; first += head) {
    for (gsize i = 0; i < tokens; i++) {
      for (gsize c = 0; c < head; c++) {
        work->q[i * head + c] = q[i * stride + first + c] / sqrt (head);
        work->k[i * head + c] = k[i * stride + first + c];
        work->v[c * tokens + i] = v[i * stride + first + c];
      }
    }
    for (gsize from = 0; from < tokens; from += BLOCK) {
      gsize n = MIN (BLOCK, tokens - from);
      products (work->q + from * head, n, work->k, tokens, head, work->scores, tokens);
      for (gsize i = 0; i < n; i++)
        softmax (work->scores + i * tokens, tokens);
      products (work->scores, n, work->v, head, tokens, out + from * width + first, width);
    }
  }
}

static void
add (gdouble *x, const gdouble *change, gsize n)
{
  for (gsize i = 0; i < n; i++)
    x[i] += change[i];
}

/* ---- the encoder ---- */

/* Conv3d whose kernel is its stride is a linear layer on each tubelet of pixels, in the order
 * channel, frame, row, column. */
static void
embed (Work *work, const CgNetwork *network, const CgInput *input, const guint8 *frames, gdouble *x)
{
  const CgGeometry *g = &network->geometry;
  guint side = g->image / g->patch, tokens = cg_geometry_tokens (g);
  gdouble *value = work->patches;

  for (guint token = 0; token < tokens; token++) {
    guint column = token % side, row = token / side % side, time = token / side / side;
    for (guint c = 0; c < 3; c++) {
      for (guint t = time * g->tubelet; t < (time + 1) * g->tubelet; t++) {
        for (guint y = row * g->patch; y < (row + 1) * g->patch; y++) {
          for (guint px = column * g->patch; px < (column + 1) * g->patch; px++) {
            guint8 pixel = frames[(((gsize)t * g->image + y) * g->image + px) * 3 + c];
            *value++ = (pixel * input->scale - input->mean[c]) / input->std[c];
          }
        }
      }
    }
  }
  linear (work, work->patches, tokens, network->patch_weight, network->patch_bias, g->width,
          cg_geometry_patch_values (g), x);
  for (guint token = 0; token < tokens; token++)
    for (guint c = 0; c < g->width; c++)
      x[(gsize)token * g->width + c] += cg_position (token, c, g->width);
}

static void
attention_branch (Work *work, const CgGeometry *g, const CgBlock *block, gdouble *x)
{
  gsize tokens = cg_geometry_tokens (g), width = g->width;

  layer_norm (x, tokens, width, block->norm1_weight, block->norm1_bias, g->layer_norm_eps,
              work->normed);
  linear (work, work->normed, tokens, block->qkv_weight, NULL, 3 * width, width, work->qkv);
  for (gsize i = 0; i < tokens; i++) {
    for (gsize c = 0; c < width; c++) {
      work->qkv[i * 3 * width + c] += block->q_bias[c];
      work->qkv[i * 3 * width + 2 * width + c] += block->v_bias[c];
    }
  }
  attention (work, work->qkv, work->qkv + width, work->qkv + 2 * width, 3 * width, tokens, width,
             g->heads, work->attended);
  linear (work, work->attended, tokens, block->proj_weight, block->proj_bias, width, width,
          work->change);
  add (x, work->change, tokens * width);
}

static gdouble
gelu (gdouble x)
{
  return x / 2 * (1 + erf (x / G_SQRT2));
}

static void
mlp_branch (Work *work, const CgGeometry *g, const CgBlock *block, gdouble *x)
{
  gsize tokens = cg_geometry_tokens (g), width = g->width;

  layer_norm (x, tokens, width, block->norm2_weight, block->norm2_bias, g->layer_norm_eps,
              work->normed);
  linear (work, work->normed, tokens, block->fc1_weight, block->fc1_bias, g->mlp, width,
          work->hidden);
  for (gsize i = 0; i < tokens * g->mlp; i++)
    work->hidden[i] = gelu (work->hidden[i]);
  linear (work, work->hidden, tokens, block->fc2_weight, block->fc2_bias, width, g->mlp,
          work->change);
  add (x, work->change, tokens * width);
}

/* ---- the heads and what follows them ---- */

static void
mean_over_tokens (const gdouble *x, gsize tokens, gsize width, gdouble *mean)
{
  for (gsize i = 0; i < tokens; i++)
    add (mean, x + i * width, width);
  for (gsize c = 0; c < width; c++)
    mean[c] /= tokens;
}

/* @pv: [labels], a sequence of tokens of width 1. @attended: [labels], PV'. */
static void
self_cross_attention (Work *work, const CgNetwork *network, const gdouble *pv, gsize labels,
                      gdouble *attended)
{
  enum { WIDTH = CG_SCA_WIDTH };
  const CgLinear *layers[3] = { &network->sca_query, &network->sca_key, &network->sca_value };
  const CgLinear *in_proj = &network->sca_in_proj, *out_proj = &network->sca_out_proj,
                 *final = &network->sca_final;
  g_autofree gdouble *six = g_new (gdouble, labels * WIDTH);
  g_autofree gdouble *qkv = g_new (gdouble, 3 * labels * WIDTH);
  gdouble *q = qkv, *k = qkv + labels * WIDTH, *v = qkv + 2 * labels * WIDTH;

  for (guint part = 0; part < 3; part++) {
    linear (work, pv, labels, layers[part]->weight, layers[part]->bias, WIDTH, 1, six);
    linear (work, six, labels, in_proj->weight + part * WIDTH * WIDTH, in_proj->bias + part * WIDTH,
            WIDTH, WIDTH, qkv + part * labels * WIDTH);
  }
  attention (work, q, k, v, WIDTH, labels, WIDTH, CG_SCA_HEADS, six);
  linear (work, six, labels, out_proj->weight, out_proj->bias, WIDTH, WIDTH, q);
  linear (work, q, labels, final->weight, final->bias, 1, WIDTH, attended);
}

static void
feed_forward (Work *work, const CgLinear *layers, const CgMlp *mlp, const gdouble *input,
              gdouble *output)
{
  g_autofree gdouble *x = g_memdup2 (input, mlp->size[0] * sizeof *input);
  for (guint l = 0; l < mlp->layers; l++) {
    g_autofree gdouble *y = g_new (gdouble, mlp->size[l + 1]);
    linear (work, x, 1, layers[l].weight, layers[l].bias, mlp->size[l + 1], mlp->size[l], y);
    for (guint o = 0; l + 1 < mlp->layers && o < mlp->size[l + 1]; o++)
      y[o] = MAX (y[o], 0.0);
    g_free (x);
    x = g_steal_pointer (&y);
  }
  memcpy (output, x, mlp->size[mlp->layers] * sizeof *x);
}

CgReferenceOutputs *
cg_reference_run (const CgNetwork *network, const CgInput *input, const guint8 *frames,
                  GError **error)
{
  const CgGeometry *g = &network->geometry;
  guint labels = cg_geometry_total_labels (g);
  g_autofree Work *work = work_new (g, error);
  CgReferenceOutputs *out = work != NULL ? outputs_new (g, error) : NULL;
  if (out == NULL)
    return NULL;

  embed (work, network, input, frames, out->tokens);
  for (guint i = 0; i < g->depth; i++) {
    attention_branch (work, g, &network->blocks[i], out->tokens);
    mlp_branch (work, g, &network->blocks[i], out->tokens);
  }
  mean_over_tokens (out->tokens, cg_geometry_tokens (g), g->width, out->features);

  for (guint level = 0, label = 0; level < CG_LEVELS; label += g->labels[level++])
    linear (work, out->features, 1, network->heads[level].weight, network->heads[level].bias,
            g->labels[level], g->width, out->logits + label);

  if (cg_geometry_has_sca (g)) {
    g_autofree gdouble *attended = g_new (gdouble, labels);
    self_cross_attention (work, network, out->logits, labels, attended);
    if (g->scene.layers > 0)
      feed_forward (work, network->scene, &g->scene, attended, out->scene);
    if (g->text.layers > 0)
      feed_forward (work, network->text, &g->text, attended, out->text);
  }
  return out;
}
