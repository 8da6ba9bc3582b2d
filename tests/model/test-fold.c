/* The folds are exact: the folded network, evaluated plainly in double, is the reference; the collapsed SCA
 * is the literal one.
 *
 * Distances are max |a - b| / max |b| over an output. What remains is that folded weights are rounded to
 * float32 once more: some 1e-7 each.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include <math.h>
#include <string.h>

#include "model/generate.h"
#include "model/reference.h"

static const CgInput plain_input = { 1 / 255.0, { 0, 0, 0 }, { 1, 1, 1 } };
static const CgInput scaled_input = { 1 / 255.0, { 0.485, 0.456, 0.406 }, { 0.229, 0.224, 0.225 } };

static const CgMlp no_mlp = { 0 };

/* Nothing in it is a round number: 27 tokens, 3 heads of 16, labels of no multiple of anything. */
static const CgGeometry odd_geometry = {
  .frames = 6,
  .tubelet = 2,
  .image = 36,
  .patch = 12,
  .width = 48,
  .depth = 3,
  .heads = 3,
  .mlp = 80,
  .layer_norm_eps = 1e-5,
  .labels = { 13, 7, 5, 2 },
  .scene = { 2, { 27, 19, 3 } },
  .text = { 1, { 27, 21 } },
};

static CgNetwork *
network_new (const CgGeometry *geometry, guint64 seed)
{
  g_autoptr (GError) error = NULL;

  g_assert_true (cg_geometry_check (geometry, "test", &error));
  g_assert_no_error (error);
  CgNetwork *network = cg_network_new (geometry, &error);
  g_assert_no_error (error);
  cg_generate_weights (network, seed);
  return network;
}

static CgFolded *
fold (const CgNetwork *network, const CgInput *input)
{
  g_autoptr (GError) error = NULL;
  CgFolded *folded = cg_network_fold (network, input, &error);
  g_assert_no_error (error);
  return folded;
}

static guint8 *
frames_new (const CgGeometry *g, guint64 window)
{
  gsize bytes = (gsize)g->image * g->image * 3;
  guint8 *frames = g_malloc (g->frames * bytes);
  for (guint s = 0; s < g->frames; s++)
    cg_generate_frame (5, window, s, g->image, frames + s * bytes);
  return frames;
}

static void
assert_near (const char *what, const gdouble *found, const gdouble *expected, guint n,
             gdouble bound)
{
  gdouble distance = 0, largest = 0;
  for (guint i = 0; i < n; i++) {
    g_assert_true (isfinite (found[i]));
    distance = MAX (distance, fabs (found[i] - expected[i]));
    largest = MAX (largest, fabs (expected[i]));
  }
  g_test_message ("%s: distance %.2g, bound %.2g", what, distance / largest, bound);
  g_assert_cmpfloat (distance, <=, bound * largest);
}

static void
assert_near_float (const char *what, const float *found, const gdouble *expected, guint n,
                   gdouble bound)
{
  g_autofree gdouble *wide = g_new0 (gdouble, n);
  for (guint i = 0; i < n; i++)
    wide[i] = found[i];
  assert_near (what, wide, expected, n, bound);
}

/* ---- the folded network, evaluated plainly ---- */

/* y[o] = weight[o] . x + bias[o]; @bias may be NULL */
static void
linear (const float *weight, const float *bias, const gdouble *x, guint outputs, guint inputs,
        gdouble *y)
{
  for (guint o = 0; o < outputs; o++) {
    y[o] = bias != NULL ? bias[o] : 0;
    for (guint i = 0; i < inputs; i++)
      y[o] += (gdouble)weight[o * inputs + i] * x[i];
  }
}

/* LayerNorm without weight and bias: those are in the layer behind it. */
static void
normalise (const gdouble *x, guint width, gdouble eps, gdouble *y)
{
  gdouble mean = 0, square = 0;
  for (guint c = 0; c < width; c++)
    mean += x[c] / width;
  for (guint c = 0; c < width; c++)
    square += (x[c] - mean) * (x[c] - mean) / width;
  for (guint c = 0; c < width; c++)
    y[c] = (x[c] - mean) / sqrt (square + eps);
}

static void
add_patches (const CgFolded *folded, const guint8 *frames, gdouble *x)
{
  const CgGeometry *g = &folded->geometry;
  guint side = g->image / g->patch, values = cg_geometry_patch_values (g);
  g_autofree gdouble *pixels = g_new0 (gdouble, values), *token = g_new0 (gdouble, g->width);

  for (guint p = 0; p < cg_geometry_tokens (g); p++) {
    guint column = p % side, row = p / side % side, time = p / side / side, n = 0;
    for (guint t = 0; t < g->tubelet; t++) {
      for (guint y = 0; y < g->patch; y++) {
        /* A row of a patch lies in a frame as it does in the weights. */
        guint line = (time * g->tubelet + t) * g->image + row * g->patch + y;
        const guint8 *bytes = frames + (line * g->image + column * g->patch) * 3;
        for (guint i = 0; i < 3 * g->patch; i++)
          pixels[n++] = bytes[i];
      }
    }
    linear (folded->patch_weight, folded->position + p * g->width, pixels, g->width, values, token);
    memcpy (x + p * g->width, token, g->width * sizeof *x);
  }
}

static void
add_attention (const CgFoldedBlock *block, const CgGeometry *g, gdouble *x)
{
  guint tokens = cg_geometry_tokens (g), width = g->width, head = width / g->heads;
  g_autofree gdouble *normed = g_new0 (gdouble, width), *q = g_new0 (gdouble, tokens * width),
                     *k = g_new0 (gdouble, tokens * width), *v = g_new0 (gdouble, tokens * width),
                     *score = g_new0 (gdouble, tokens), *mixed = g_new0 (gdouble, width),
                     *change = g_new0 (gdouble, width);

  for (guint i = 0; i < tokens; i++) {
    normalise (x + i * width, width, g->layer_norm_eps, normed);
    linear (block->qkv_weight, block->q_bias, normed, width, width, q + i * width);
    linear (block->qkv_weight + width * width, NULL, normed, width, width, k + i * width);
    linear (block->qkv_weight + 2 * width * width, NULL, normed, width, width, v + i * width);
  }
  for (guint i = 0; i < tokens; i++) {
    for (guint first = 0; first < width; first += head) {
      gdouble largest = -INFINITY, sum = 0;
      for (guint j = 0; j < tokens; j++) {
        score[j] = 0;
        for (guint c = first; c < first + head; c++)
          score[j] += q[i * width + c] * k[j * width + c];
        largest = MAX (largest, score[j]);
      }
      memset (mixed + first, 0, head * sizeof *mixed);
      for (guint j = 0; j < tokens; j++) {
        gdouble p = exp2 (score[j] - largest);
        sum += p;
        for (guint c = first; c < first + head; c++)
          mixed[c] += p * v[j * width + c];
      }
      for (guint c = first; c < first + head; c++)
        mixed[c] /= sum;
    }
    linear (block->proj_weight, block->proj_bias, mixed, width, width, change);
    for (guint c = 0; c < width; c++)
      x[i * width + c] += change[c];
  }
}

/* @mean: NULL to add the branch to each token; else only its mean over tokens is made, behind fc2's back. */
static void
add_mlp (const CgFoldedBlock *block, const CgGeometry *g, gdouble *x, gdouble *mean)
{
  guint tokens = cg_geometry_tokens (g), width = g->width;
  g_autofree gdouble *normed = g_new0 (gdouble, width), *hidden = g_new0 (gdouble, g->mlp),
                     *change = g_new0 (gdouble, width), *pooled = g_new0 (gdouble, g->mlp);

  for (guint i = 0; i < tokens; i++) {
    normalise (x + i * width, width, g->layer_norm_eps, normed);
    linear (block->fc1_weight, block->fc1_bias, normed, g->mlp, width, hidden);
    for (guint o = 0; o < g->mlp; o++) {
      hidden[o] *= 0.5 * (1 + erf (hidden[o] / G_SQRT2));
      pooled[o] += hidden[o] / tokens;
    }
    linear (block->fc2_weight, block->fc2_bias, hidden, width, g->mlp, change);
    for (guint c = 0; mean == NULL && c < width; c++)
      x[i * width + c] += change[c];
  }
  if (mean != NULL) {
    linear (block->fc2_weight, block->fc2_bias, pooled, width, g->mlp, mean);
    for (guint i = 0; i < tokens; i++)
      for (guint c = 0; c < width; c++)
        mean[c] += x[i * width + c] / tokens;
  }
}

static void
run_folded (const CgFolded *folded, const guint8 *frames, gdouble *features, gdouble *logits)
{
  const CgGeometry *g = &folded->geometry;
  g_autofree gdouble *x = g_new0 (gdouble, cg_geometry_tokens (g) * g->width);

  add_patches (folded, frames, x);
  for (guint i = 0; i < g->depth; i++) {
    add_attention (&folded->blocks[i], g, x);
    add_mlp (&folded->blocks[i], g, x, i + 1 == g->depth ? features : NULL);
  }
  linear (folded->heads_weight, folded->heads_bias, features, cg_geometry_total_labels (g),
          g->width, logits);
}

static void
check_fold (const CgGeometry *g, const CgInput *input, guint64 seed)
{
  g_autoptr (CgNetwork) network = network_new (g, seed);
  g_autoptr (CgFolded) folded = fold (network, input);
  g_autofree guint8 *frames = frames_new (g, seed);
  g_autoptr (GError) error = NULL;
  guint labels = cg_geometry_total_labels (g);

  g_autofree CgReferenceOutputs *expected = cg_reference_run (network, input, frames, &error);
  g_assert_no_error (error);

  g_autofree gdouble *features = g_new0 (gdouble, g->width), *logits = g_new0 (gdouble, labels);
  run_folded (folded, frames, features, logits);
  assert_near ("features", features, expected->features, g->width, 1e-6);
  assert_near ("logits", logits, expected->logits, labels, 1e-6);

  g_autofree float *narrow = g_new0 (float, labels);
  for (guint i = 0; i < labels; i++)
    narrow[i] = (float)expected->logits[i];
  guint scenes = g->scene.size[g->scene.layers], values = g->text.size[g->text.layers];
  g_autofree float *scene = g_new0 (float, scenes), *text = g_new0 (float, values);
  cg_folded_aux (folded, narrow, scene, text);
  assert_near_float ("scene", scene, expected->scene, scenes, 2e-6);
  assert_near_float ("text", text, expected->text, values, 2e-6);
}

static void
test_tiny (void)
{
  CgGeometry g;
  g_assert_true (cg_geometry_preset ("tiny", &g, NULL));
  check_fold (&g, &plain_input, 1);
  check_fold (&g, &scaled_input, 2);
}

static void
test_odd (void)
{
  check_fold (&odd_geometry, &plain_input, 3);
  check_fold (&odd_geometry, &scaled_input, 4);
}

/* ---- the collapsed SCA ---- */

enum { LABELS = 421 };

/* A network whose logits are what heads[].bias says, whatever it sees, and whose text output is PV'. */
static CgNetwork *
sca_network (const gdouble *logits, guint64 seed)
{
  const CgGeometry g = {
    .frames = 2,
    .tubelet = 2,
    .image = 16,
    .patch = 16,
    .width = 32,
    .depth = 1,
    .heads = 1,
    .mlp = 16,
    .layer_norm_eps = 1e-6,
    .labels = { 167, 157, 91, 6 },
    .scene = no_mlp,
    .text = { 1, { LABELS, LABELS } },
  };
  CgNetwork *network = network_new (&g, seed);

  for (guint level = 0, label = 0; level < CG_LEVELS; level++) {
    memset (network->heads[level].weight, 0, g.labels[level] * g.width * sizeof (float));
    for (guint i = 0; i < g.labels[level]; i++)
      network->heads[level].bias[i] = (float)logits[label++];
  }
  for (guint o = 0; o < LABELS; o++) {
    network->text[0].bias[o] = 0;
    for (guint i = 0; i < LABELS; i++)
      network->text[0].weight[o * LABELS + i] = o == i;
  }
  return network;
}

static void
draw_logits (gdouble *logits, guint64 seed, gdouble spread)
{
  guint64 key = cg_generate_key (seed, "logits");
  for (guint i = 0; i < LABELS; i++)
    logits[i] = spread * ((cg_generate_draw (key, i) >> 11) / 4503599627370496.0 - 1);
}

/* A window's logits spread over some eight units; a confident network's over more. */
static void
test_sca (void)
{
  const gdouble spreads[] = { 0, 0.5, 8, 20, 40 };

  for (guint n = 0; n < G_N_ELEMENTS (spreads); n++) {
    for (guint64 seed = 1; seed <= 4; seed++) {
      gdouble logits[LABELS];
      float narrow[LABELS], found[LABELS];
      guint8 frames[2 * 16 * 16 * 3] = { 0 };
      g_autoptr (GError) error = NULL;

      draw_logits (logits, seed, spreads[n]);
      for (guint i = 0; i < LABELS; i++)
        narrow[i] = (float)logits[i];
      g_autoptr (CgNetwork) network = sca_network (logits, seed);
      g_autoptr (CgFolded) folded = fold (network, &plain_input);
      g_autofree CgReferenceOutputs *expected =
          cg_reference_run (network, &plain_input, frames, &error);
      g_assert_no_error (error);

      cg_folded_aux (folded, narrow, NULL, found);
      g_autofree char *what = g_strdup_printf ("spread %g, seed %d", spreads[n], (int)seed);
      assert_near_float (what, found, expected->text, LABELS, 1e-6);
    }
  }
}

/* Scores of 1e8 and more: every exponent is still at most 0, so that PV' is a weighted mean of logits. */
static void
test_extreme_logits (void)
{
  for (guint64 seed = 1; seed <= 4; seed++) {
    gdouble logits[LABELS], limit;
    float narrow[LABELS], found[LABELS];

    draw_logits (logits, seed, 1e4);
    logits[0] = 1e4;
    logits[1] = -1e4;
    logits[2] = 0;
    for (guint i = 0; i < LABELS; i++)
      narrow[i] = (float)logits[i];
    g_autoptr (CgNetwork) network = sca_network (logits, seed);
    g_autoptr (CgFolded) folded = fold (network, &plain_input);
    limit = fabs ((gdouble)folded->sca_delta);
    for (guint h = 0; h < CG_SCA_HEADS; h++)
      limit += fabs ((gdouble)folded->sca_gamma[h]) * 1e4;

    cg_folded_aux (folded, narrow, NULL, found);
    for (guint i = 0; i < LABELS; i++) {
      g_assert_true (isfinite (found[i]));
      g_assert_cmpfloat (fabs ((gdouble)found[i]), <=, limit * (1 + 1e-5));
    }
  }
}

static void
test_without_auxiliary (void)
{
  CgGeometry g = odd_geometry;
  g.scene = g.text = no_mlp;
  g_autoptr (CgNetwork) network = network_new (&g, 1);
  g_autoptr (CgFolded) folded = fold (network, &plain_input);
  float logits[27] = { 1, 2, 3 }, untouched = 42;

  cg_folded_aux (folded, logits, &untouched, &untouched);
  g_assert_cmpfloat (untouched, ==, 42);
}

/* ---- what cannot be folded ---- */

static void
test_overflow (void)
{
  g_autoptr (CgNetwork) network = network_new (&odd_geometry, 1);
  g_autoptr (GError) error = NULL;

  /* given weights that are finite, and whose product is not a float */
  network->blocks[1].norm2_weight[7] = 1e30f;
  network->blocks[1].fc1_weight[7] = 1e30f;

  g_assert_null (cg_network_fold (network, &plain_input, &error));
  g_assert_error (error, CG_ERROR, CG_ERROR_TENSOR);
  g_assert_nonnull (strstr (error->message, "overflows a 32-bit float"));
}

static void
test_alignment (void)
{
  g_autoptr (CgNetwork) network = network_new (&odd_geometry, 1);
  g_autoptr (CgFolded) folded = fold (network, &plain_input);
  const float *tensors[] = { folded->patch_weight,         folded->position,
                             folded->blocks[2].qkv_weight, folded->blocks[2].q_bias,
                             folded->blocks[2].proj_bias,  folded->blocks[2].fc2_weight,
                             folded->heads_weight,         folded->heads_bias,
                             folded->scene[1].weight,      folded->text[0].bias };

  for (guint i = 0; i < G_N_ELEMENTS (tensors); i++)
    g_assert_cmpuint ((guintptr)tensors[i] % 64, ==, 0);
}

/* Printed, not judged: the machine may be busy. */
static void
test_auxiliary_time (void)
{
  CgGeometry g;
  g_assert_true (cg_geometry_preset ("tiny", &g, NULL));
  g_autoptr (CgNetwork) network = network_new (&g, 1);
  g_autoptr (CgFolded) folded = fold (network, &plain_input);
  gdouble logits[LABELS];
  float narrow[LABELS], scene[16] = { 0 }, text[512] = { 0 };
  gint64 best = G_MAXINT64;

  draw_logits (logits, 1, 8);
  for (guint i = 0; i < LABELS; i++)
    narrow[i] = (float)logits[i];
  for (guint i = 0; i < 50; i++) {
    gint64 start = g_get_monotonic_time ();
    cg_folded_aux (folded, narrow, scene, text);
    best = MIN (best, g_get_monotonic_time () - start);
  }
  g_test_message ("SCA, FFN_s and FFN_t: %d microseconds, best of 50", (int)best);
  g_assert_true (isfinite (scene[0]) && isfinite (text[511]));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/fold/tiny", test_tiny);
  g_test_add_func ("/fold/odd", test_odd);
  g_test_add_func ("/fold/sca", test_sca);
  g_test_add_func ("/fold/extreme-logits", test_extreme_logits);
  g_test_add_func ("/fold/without-auxiliary", test_without_auxiliary);
  g_test_add_func ("/fold/overflow", test_overflow);
  g_test_add_func ("/fold/alignment", test_alignment);
  g_test_add_func ("/fold/auxiliary-time", test_auxiliary_time);
  return g_test_run ();
}
