/* The reference against PyTorch in double, on the golden files that golden/make_golden.py wrote.
 *
 * The distance is max |a - b| / max |b| over an output; the bound is 1e-10. Two orders of summation in
 * double differ by some 1e-15, float32 anywhere in between by some 1e-7.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "model/reference.h"

#include <math.h>
#include <string.h>

#include "model/generate.h"

#define SEED 1
#define WINDOW 0
#define BOUND 1e-10

static const CgInput plain_input = { 1 / 255.0, { 0, 0, 0 }, { 1, 1, 1 } };

static CgReferenceOutputs *
run_reference (const char *preset, CgGeometry *g)
{
  g_autoptr (GError) error = NULL;

  g_assert_true (cg_geometry_preset (preset, g, &error));
  g_autoptr (CgNetwork) network = cg_network_new (g, &error);
  g_assert_no_error (error);
  cg_generate_weights (network, SEED);

  gsize bytes = (gsize)g->image * g->image * 3;
  g_autofree guint8 *frames = g_malloc (g->frames * bytes);
  for (guint s = 0; s < g->frames; s++)
    cg_generate_frame (SEED, WINDOW, s, g->image, frames + s * bytes);

  gint64 start = g_get_monotonic_time ();
  CgReferenceOutputs *outputs = cg_reference_run (network, &plain_input, frames, &error);
  g_assert_no_error (error);
  g_test_message ("%s: %.1f s", preset, (g_get_monotonic_time () - start) / 1e6);
  return outputs;
}

/* One line of a golden file: a name, a count, and that many numbers. */
static void
compare (const char *line, const char *name, const gdouble *found, guint n)
{
  char *next = (char *)line + strlen (name);
  gdouble distance = 0, largest = 0;

  g_assert_cmpuint (g_ascii_strtoull (next, &next, 10), ==, n);
  for (guint i = 0; i < n; i++) {
    const char *from = next;
    gdouble expected = g_ascii_strtod (from, &next);
    g_assert_true (next > from);
    g_assert_true (isfinite (found[i]));
    distance = MAX (distance, fabs (found[i] - expected));
    largest = MAX (largest, fabs (expected));
  }
  g_assert_cmpstr (next, ==, "");
  g_test_message ("%s: distance %.2g", name, distance / largest);
  g_assert_cmpfloat (distance / largest, <=, BOUND);
}

static void
test_golden (gconstpointer data)
{
  const char *preset = data, *folder = g_getenv ("CG_GOLDEN_DIR");
  if (folder == NULL) {
    g_test_skip ("CG_GOLDEN_DIR does not name the folder of the golden files");
    return;
  }
  g_autofree char *file = g_strconcat (preset, ".txt", NULL), *text = NULL;
  g_autofree char *path = g_build_filename (folder, file, NULL);
  g_autofree char *header =
      g_strdup_printf ("# geometry %s seed %d window %d dtype float64", preset, SEED, WINDOW);
  g_autoptr (GError) error = NULL;
  g_file_get_contents (path, &text, NULL, &error);
  g_assert_no_error (error);
  g_assert_true (g_str_has_prefix (text, header));

  CgGeometry g;
  g_autofree CgReferenceOutputs *outputs = run_reference (preset, &g);
  const struct {
    const char *name;
    const gdouble *values;
    guint n;
  } expected[] = {
    { "features ", outputs->features, g.width },
    { "logits ", outputs->logits, cg_geometry_total_labels (&g) },
    { "scene ", outputs->scene, g.scene.size[g.scene.layers] },
    { "text ", outputs->text, g.text.size[g.text.layers] },
  };

  g_auto (GStrv) lines = g_strsplit (text, "\n", -1);
  guint compared = 0;
  for (guint i = 0; lines[i] != NULL; i++) {
    for (guint e = 0; e < G_N_ELEMENTS (expected); e++) {
      if (g_str_has_prefix (lines[i], expected[e].name)) {
        compare (lines[i], expected[e].name, expected[e].values, expected[e].n);
        compared++;
      }
    }
  }
  g_assert_cmpuint (compared, ==, 4);
}

/* The feature is the mean over the tokens that are also given. */
static void
test_features (void)
{
  CgGeometry g;
  g_autofree CgReferenceOutputs *outputs = run_reference ("tiny", &g);
  guint tokens = cg_geometry_tokens (&g);

  for (guint c = 0; c < g.width; c++) {
    gdouble mean = 0;
    for (guint i = 0; i < tokens; i++)
      mean += outputs->tokens[i * g.width + c] / tokens;
    g_assert_cmpfloat_with_epsilon (outputs->features[c], mean, 1e-12);
  }
}

/* Without blocks that do anything the tokens are the embedding: pixels in the order channel, frame, row,
 * column of the weights, scaled, plus bias and position. */
static void
test_embedding (void)
{
  CgGeometry g;
  g_autoptr (GError) error = NULL;
  g_assert_true (cg_geometry_preset ("tiny", &g, &error));
  g.scene.layers = g.text.layers = 0;
  g_autoptr (CgNetwork) network = cg_network_new (&g, &error);
  g_assert_no_error (error);

  /* given one weight: output 5 sees channel 2 of the tubelet's second frame, row 3, column 9 */
  network->patch_weight[(((5 * 3 + 2) * 2 + 1) * 16 + 3) * 16 + 9] = 0.5f;
  network->patch_bias[5] = 0.25f;
  gsize bytes = 64 * 64 * 3;
  g_autofree guint8 *frames = g_malloc0 (8 * bytes);
  /* and one bright pixel, in frame 7, patch row 1, patch column 2 */
  frames[7 * bytes + ((16 + 3) * 64 + 32 + 9) * 3 + 2] = 200;
  CgInput input = { 0.01, { 9, 9, 0.5 }, { 9, 9, 0.75 } };

  /* when */
  g_autofree CgReferenceOutputs *outputs = cg_reference_run (network, &input, frames, &error);
  g_assert_no_error (error);

  /* then the token of time 3, row 1, column 2 stands out */
  for (guint token = 0; token < 64; token++) {
    gdouble pixel = token == 3 * 16 + 1 * 4 + 2 ? 2.0 : 0.0;
    gdouble expected = (pixel - 0.5) / 0.75 * 0.5 + 0.25 + cg_position (token, 5, 64);
    g_assert_cmpfloat_with_epsilon (outputs->tokens[token * 64 + 5], expected, 1e-12);
    g_assert_cmpfloat_with_epsilon (outputs->tokens[token * 64 + 6], cg_position (token, 6, 64),
                                    1e-12);
  }
  g_assert_null (outputs->scene);
  g_assert_null (outputs->text);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/reference/embedding", test_embedding);
  g_test_add_func ("/reference/features", test_features);
  g_test_add_data_func ("/reference/golden/tiny", "tiny", test_golden);
  g_test_add_data_func ("/reference/golden/small-16", "small-16", test_golden);
  g_test_add_data_func ("/reference/golden/small-6", "small-6", test_golden);
  g_test_add_data_func ("/reference/golden/base", "base", test_golden);
  return g_test_run ();
}
