/* The exact folds (network.h lists them) and the network's tail that every engine shares.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "network.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "storage.h"

/* ---- memory ---- */

static void
add_mlp (CgStorage *storage, CgLinear *layers, const CgMlp *mlp)
{
  for (guint i = 0; i < mlp->layers; i++) {
    cg_storage_add (storage, &layers[i].weight, mlp->size[i + 1], mlp->size[i]);
    cg_storage_add (storage, &layers[i].bias, mlp->size[i + 1], 1);
  }
}

static CgFolded *
folded_new (const CgGeometry *g, GError **error)
{
  g_autoptr (CgFolded) folded = g_new0 (CgFolded, 1);
  CgStorage storage;

  folded->geometry = *g;
  folded->blocks = g_new0 (CgFoldedBlock, g->depth);

  cg_storage_init (&storage);
  cg_storage_add (&storage, &folded->patch_weight, g->width, cg_geometry_patch_values (g));
  cg_storage_add (&storage, &folded->position, cg_geometry_tokens (g), g->width);
  for (guint i = 0; i < g->depth; i++) {
    CgFoldedBlock *block = &folded->blocks[i];
    cg_storage_add (&storage, &block->qkv_weight, 3 * g->width, g->width);
    cg_storage_add (&storage, &block->q_bias, g->width, 1);
    cg_storage_add (&storage, &block->proj_weight, g->width, g->width);
    cg_storage_add (&storage, &block->proj_bias, g->width, 1);
    cg_storage_add (&storage, &block->fc1_weight, g->mlp, g->width);
    cg_storage_add (&storage, &block->fc1_bias, g->mlp, 1);
    cg_storage_add (&storage, &block->fc2_weight, g->width, g->mlp);
    cg_storage_add (&storage, &block->fc2_bias, g->width, 1);
  }
  cg_storage_add (&storage, &folded->heads_weight, cg_geometry_total_labels (g), g->width);
  cg_storage_add (&storage, &folded->heads_bias, cg_geometry_total_labels (g), 1);
  add_mlp (&storage, folded->scene, &g->scene);
  add_mlp (&storage, folded->text, &g->text);

  folded->storage_size = storage.size;
  folded->storage = cg_storage_allocate (&storage, "the folded network", error);
  return folded->storage != NULL ? g_steal_pointer (&folded) : NULL;
}

void
cg_folded_free (CgFolded *folded)
{
  if (folded == NULL)
    return;
  free (folded->storage);
  g_free (folded->blocks);
  g_free (folded);
}

/* ---- folds ---- */

static gdouble
dot (const float *a, const float *b, gsize n)
{
  gdouble sum = 0;
  for (gsize i = 0; i < n; i++)
    sum += (gdouble)a[i] * b[i];
  return sum;
}

/* Input scaling into the patch weights and bias, the bias into the positions; and the weights from
 * the file's channel-major order into the order in which a model frame's bytes lie. */
static void
fold_patches (CgFolded *folded, const CgNetwork *network, const CgInput *input)
{
  const CgGeometry *g = &network->geometry;
  gsize pixels = (gsize)g->tubelet * g->patch * g->patch; /* of one channel */
  guint tokens = cg_geometry_tokens (g);

  for (guint o = 0; o < g->width; o++) {
    const float *from = network->patch_weight + o * 3 * pixels;
    float *to = folded->patch_weight + o * 3 * pixels;
    gdouble bias = network->patch_bias[o];

    for (guint c = 0; c < 3; c++) {
      for (gsize i = 0; i < pixels; i++) {
        gdouble weight = from[c * pixels + i] / input->std[c];
        to[3 * i + c] = (float)(weight * input->scale);
        bias -= weight * input->mean[c];
      }
    }
    for (guint p = 0; p < tokens; p++)
      folded->position[(gsize)p * g->width + o] = (float)(cg_position (p, o, g->width) + bias);
  }
}

/* LayerNorm's weight and bias into one row of the linear layer behind it, times @factor.
 * Returns: the row's bias: @factor * (@bias + row . norm_bias), unrounded. */
static gdouble
fold_row (float *to, const float *row, gdouble bias, const float *norm_weight,
          const float *norm_bias, guint width, gdouble factor)
{
  for (guint i = 0; i < width; i++)
    to[i] = (float)((gdouble)row[i] * norm_weight[i] * factor);
  return (bias + dot (row, norm_bias, width)) * factor;
}

static void
fold_block (CgFoldedBlock *to, const CgBlock *from, const CgGeometry *g)
{
  guint width = g->width;
  gdouble q_factor = 1 / (sqrt ((gdouble)width / g->heads) * G_LN2); /* log2 e = 1 / ln 2 */
  g_autofree gdouble *v_bias = g_new (gdouble, width);

  for (guint part = 0; part < 3; part++) { /* q, k, v */
    for (guint i = 0; i < width; i++) {
      gsize row = ((gsize)part * width + i) * width;
      gdouble bias = part == 0 ? from->q_bias[i] : part == 2 ? from->v_bias[i] : 0;
      bias = fold_row (to->qkv_weight + row, from->qkv_weight + row, bias, from->norm1_weight,
                       from->norm1_bias, width, part == 0 ? q_factor : 1);
      if (part == 0)
        to->q_bias[i] = (float)bias;
      else if (part == 2)
        v_bias[i] = bias;
    }
  }

  memcpy (to->proj_weight, from->proj_weight, (gsize)width * width * sizeof (float));
  for (guint o = 0; o < width; o++) {
    gdouble bias = from->proj_bias[o];
    for (guint i = 0; i < width; i++)
      bias += from->proj_weight[(gsize)o * width + i] * v_bias[i];
    to->proj_bias[o] = (float)bias;
  }

  for (guint o = 0; o < g->mlp; o++) {
    gsize row = (gsize)o * width;
    to->fc1_bias[o] =
        (float)fold_row (to->fc1_weight + row, from->fc1_weight + row, from->fc1_bias[o],
                         from->norm2_weight, from->norm2_bias, width, 1);
  }
  memcpy (to->fc2_weight, from->fc2_weight, (gsize)width * g->mlp * sizeof (float));
  memcpy (to->fc2_bias, from->fc2_bias, width * sizeof (float));
}

/* SCA's tokens are numbers, so query, key and value are each a x + b with 6-vectors a and b: the
 * layer 1 -> 6 followed by its rows of in_proj. */
static void
compose_affine (const CgLinear *first, const CgLinear *in_proj, guint part, gdouble a[CG_SCA_WIDTH],
                gdouble b[CG_SCA_WIDTH])
{
  for (guint o = 0; o < CG_SCA_WIDTH; o++) {
    guint row = part * CG_SCA_WIDTH + o;
    a[o] = dot (in_proj->weight + row * CG_SCA_WIDTH, first->weight, CG_SCA_WIDTH);
    b[o] =
        dot (in_proj->weight + row * CG_SCA_WIDTH, first->bias, CG_SCA_WIDTH) + in_proj->bias[row];
  }
}

/* The score of tokens i and j in head h is (aq x_i + bq) . (ak x_j + bk) / sqrt 3. What does not
 * depend on j cancels in softmax, which leaves (alpha x_i + beta) x_j. The value is av x_j + bv;
 * out_proj and final are one row of six weights on it. */
static void
fold_sca (CgFolded *folded, const CgNetwork *network)
{
  enum { HEAD_WIDTH = CG_SCA_WIDTH / CG_SCA_HEADS };
  gdouble aq[CG_SCA_WIDTH], bq[CG_SCA_WIDTH], ak[CG_SCA_WIDTH], bk[CG_SCA_WIDTH], av[CG_SCA_WIDTH],
      bv[CG_SCA_WIDTH];
  const CgLinear *out_proj = &network->sca_out_proj, *final = &network->sca_final;

  compose_affine (&network->sca_query, &network->sca_in_proj, 0, aq, bq);
  compose_affine (&network->sca_key, &network->sca_in_proj, 1, ak, bk);
  compose_affine (&network->sca_value, &network->sca_in_proj, 2, av, bv);

  gdouble delta = final->bias[0] + dot (final->weight, out_proj->bias, CG_SCA_WIDTH);
  for (guint h = 0; h < CG_SCA_HEADS; h++) {
    gdouble alpha = 0, beta = 0, gamma = 0;
    for (guint i = h * HEAD_WIDTH; i < (h + 1) * HEAD_WIDTH; i++) {
      gdouble output = 0; /* of component i, through out_proj and final */
      for (guint o = 0; o < CG_SCA_WIDTH; o++)
        output += (gdouble) final->weight[o] * out_proj->weight[o * CG_SCA_WIDTH + i];
      alpha += aq[i] * ak[i];
      beta += bq[i] * ak[i];
      gamma += output * av[i];
      delta += output * bv[i];
    }
    folded->sca_alpha[h] = (float)(alpha / sqrt (HEAD_WIDTH));
    folded->sca_beta[h] = (float)(beta / sqrt (HEAD_WIDTH));
    folded->sca_gamma[h] = (float)gamma;
  }
  folded->sca_delta = (float)delta;
}

static void
copy_linear (float *weight, float *bias, const CgLinear *from, gsize outputs, gsize inputs)
{
  memcpy (weight, from->weight, outputs * inputs * sizeof (float));
  memcpy (bias, from->bias, outputs * sizeof (float));
}

static void
copy_mlp (CgLinear *to, const CgLinear *from, const CgMlp *mlp)
{
  for (guint i = 0; i < mlp->layers; i++)
    copy_linear (to[i].weight, to[i].bias, &from[i], mlp->size[i + 1], mlp->size[i]);
}

static gboolean
all_finite (const float *values, gsize n)
{
  for (gsize i = 0; i < n; i++)
    if (!isfinite (values[i]))
      return FALSE;
  return TRUE;
}

static gboolean
check_finite (const CgFolded *folded, GError **error)
{
  if (all_finite (folded->storage, folded->storage_size) &&
      all_finite (folded->sca_alpha, CG_SCA_HEADS) && all_finite (folded->sca_beta, CG_SCA_HEADS) &&
      all_finite (folded->sca_gamma, CG_SCA_HEADS) && isfinite (folded->sca_delta))
    return TRUE;
  g_set_error_literal (
      error, CG_ERROR, CG_ERROR_TENSOR,
      "the weights are finite but too large: a product of two of them, or of one and the "
      "input scaling, overflows a 32-bit float");
  return FALSE;
}

CgFolded *
cg_network_fold (const CgNetwork *network, const CgInput *input, GError **error)
{
  const CgGeometry *g = &network->geometry;
  g_autoptr (CgFolded) folded = folded_new (g, error);
  if (folded == NULL)
    return NULL;

  fold_patches (folded, network, input);
  for (guint i = 0; i < g->depth; i++)
    fold_block (&folded->blocks[i], &network->blocks[i], g);

  for (guint level = 0, label = 0; level < CG_LEVELS; label += g->labels[level++])
    copy_linear (folded->heads_weight + (gsize)label * g->width, folded->heads_bias + label,
                 &network->heads[level], g->labels[level], g->width);
  if (cg_geometry_has_sca (g))
    fold_sca (folded, network);
  copy_mlp (folded->scene, network->scene, &g->scene);
  copy_mlp (folded->text, network->text, &g->text);

  return check_finite (folded, error) ? g_steal_pointer (&folded) : NULL;
}

/* ---- the tail: SCA, FFN_s, FFN_t ---- */

/* Four numbers side by side: a compiler may not reorder a plain floating point sum by itself. */
#define LANES 4
typedef float Lanes __attribute__ ((vector_size (LANES * sizeof (float))));
typedef guint32 Bits __attribute__ ((vector_size (LANES * sizeof (guint32))));

static inline Lanes
load (const float *x)
{
  Lanes lanes;
  memcpy (&lanes, x, sizeof lanes);
  return lanes;
}

static inline Lanes
choose (Bits mask, Lanes where_set, Lanes elsewhere)
{
  return (Lanes)((mask & (Bits)where_set) | (~mask & (Bits)elsewhere));
}

/* 2^x for x <= 0, relative error under 2e-7; below -126 it stays at 1e-38. */
static inline Lanes
exp2_nonpositive (Lanes x)
{
  /* Adding 1.5 2^23 rounds to the nearest integer and leaves that integer in the low bits. */
  const float round = 12582912.0f;
  const Lanes least = { -126, -126, -126, -126 };
  Lanes clamped = choose ((Bits)(x < least), least, x);
  Lanes shifted = clamped + round;
  Lanes fraction = clamped - (shifted - round); /* -0.5 .. 0.5 */

  /* Taylor series of 2^f = e^(f ln 2): the next term is under (ln 2 / 2)^7 / 7! = 1.2e-7 */
  Lanes p = fraction * 1.5403530e-4f + 1.3333558e-3f;
  p = p * fraction + 9.6181291e-3f;
  p = p * fraction + 5.5504109e-2f;
  p = p * fraction + 2.4022651e-1f;
  p = p * fraction + 6.9314718e-1f;
  p = p * fraction + 1.0f;
  return p * (Lanes)(((Bits)shifted << 23) + 0x3F800000u);
}

/* m (i) of one head, for the four logits in @x: see network.h. All exponents are t (x_j - x_e) with x_e the
 * logit of the largest, so none is positive however large the logits are. Sums of STRETCH terms are added
 * up, so that hundreds of terms lose no more digits than tens. */
static Lanes
attend (Lanes x, const float *logits, guint labels, float least, float largest, float alpha,
        float beta)
{
  enum { STRETCH = 32 };
  const Lanes zero = { 0 };
  Lanes slope = (x * alpha + beta) * (float)(1 / G_LN2); /* t log2 e, for exp2 */
  Lanes extreme = choose ((Bits)(slope < zero), zero + least, zero + largest);
  Lanes sum = zero, moment = zero;

  for (guint from = 0; from < labels; from += STRETCH) {
    guint to = MIN (from + STRETCH, labels);
    Lanes part_sum = zero, part_moment = zero;
    for (guint j = from; j < to; j++) {
      Lanes p = exp2_nonpositive (slope * (logits[j] - extreme));
      part_sum += p;
      part_moment += p * logits[j];
    }
    sum += part_sum;
    moment += part_moment;
  }
  return moment / sum;
}

static void
self_cross_attention (const CgFolded *folded, const float *logits, guint labels, float *attended)
{
  float least = logits[0], largest = logits[0];
  for (guint i = 1; i < labels; i++) {
    least = MIN (least, logits[i]);
    largest = MAX (largest, logits[i]);
  }
  for (guint i = 0; i < labels; i += LANES) {
    guint n = MIN (LANES, labels - i);
    float x[LANES] = { 0 };
    Lanes result = { 0 };

    memcpy (x, logits + i, n * sizeof *x);
    for (guint h = 0; h < CG_SCA_HEADS; h++)
      result += folded->sca_gamma[h] * attend (load (x), logits, labels, least, largest,
                                               folded->sca_alpha[h], folded->sca_beta[h]);
    result += folded->sca_delta;
    memcpy (attended + i, &result, n * sizeof *x);
  }
}

static float
dot_lanes (const float *a, const float *b, guint n)
{
  enum { SUMS = 4 }; /* that do not wait for each other */
  Lanes sum[SUMS] = { 0 };
  float total = 0;
  guint i = 0;

  for (; i + SUMS * LANES <= n; i += SUMS * LANES)
    for (guint s = 0; s < SUMS; s++)
      sum[s] += load (a + i + s * LANES) * load (b + i + s * LANES);
  for (; i < n; i++)
    total += a[i] * b[i];
  sum[0] += sum[1] + sum[2] + sum[3];
  return total + sum[0][0] + sum[0][1] + sum[0][2] + sum[0][3];
}

/* @work: two rows of the widest layer. */
static void
run_mlp (const CgLinear *layers, const CgMlp *mlp, const float *input, float *work, gsize row,
         float *output)
{
  for (guint l = 0; l < mlp->layers; l++) {
    gboolean last = l + 1 == mlp->layers;
    guint inputs = mlp->size[l], outputs = mlp->size[l + 1];
    float *to = last ? output : work + l % 2 * row;
    for (guint o = 0; o < outputs; o++) {
      float value =
          layers[l].bias[o] + dot_lanes (layers[l].weight + (gsize)o * inputs, input, inputs);
      to[o] = last ? value : MAX (value, 0.0f);
    }
    input = to;
  }
}

void
cg_folded_aux (const CgFolded *folded, const float *logits, float *scene, float *text)
{
  const CgGeometry *g = &folded->geometry;
  guint labels = cg_geometry_total_labels (g);

  if (!cg_geometry_has_sca (g) || (scene == NULL && text == NULL))
    return;

  g_autofree float *attended = g_new0 (float, labels + 2 * CG_MAX_MLP_SIZE);
  float *work = attended + labels;
  self_cross_attention (folded, logits, labels, attended);
  if (scene != NULL)
    run_mlp (folded->scene, &g->scene, attended, work, CG_MAX_MLP_SIZE, scene);
  if (text != NULL)
    run_mlp (folded->text, &g->text, attended, work, CG_MAX_MLP_SIZE, text);
}
