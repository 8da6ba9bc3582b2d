/* The counter generator: the same numbers as its Python twin, which wrote golden/generate.txt, and the
 * spread that generate.h promises.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "model/generate.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define SEED 1

static CgNetwork *
network_of (const char *preset, guint64 seed)
{
  CgGeometry geometry;
  g_autoptr (GError) error = NULL;

  g_assert_true (cg_geometry_preset (preset, &geometry, &error));
  CgNetwork *network = cg_network_new (&geometry, &error);
  g_assert_no_error (error);
  cg_generate_weights (network, seed);
  return network;
}

static gdouble
unit (guint64 draw)
{
  return (2 * ((gdouble)(draw >> 40) - 8388608) + 1) / 16777216;
}

/* ---- against the twin ---- */

static void
check_weight (GHashTable *networks, char **words)
{
  CgNetwork *network = g_hash_table_lookup (networks, words[1]);
  guint n;

  if (network == NULL) {
    network = network_of (words[1], SEED);
    g_hash_table_insert (networks, g_strdup (words[1]), network);
  }
  g_autofree CgTensorSpec *table = cg_geometry_tensors (&network->geometry, &n);
  for (guint i = 0; i < n; i++) {
    if (strcmp (table[i].name, words[2]) == 0) {
      guint64 element = g_ascii_strtoull (words[3], NULL, 10);
      g_assert_cmpuint (element, <, cg_tensor_spec_elements (&table[i]));
      g_assert_cmpfloat (cg_network_tensor (network, i)[element], ==,
                         (float)g_ascii_strtod (words[4], NULL));
      return;
    }
  }
  g_error ("%s has no tensor %s", words[1], words[2]);
}

static void
check_frame (char **words)
{
  guint64 number[9];
  for (guint i = 1; i < G_N_ELEMENTS (number); i++)
    number[i] = g_ascii_strtoull (words[i], NULL, 10);
  guint64 image = number[4], y = number[5], x = number[6], c = number[7];

  g_autofree guint8 *frame = g_malloc (image * image * 3);
  cg_generate_frame (number[1], number[2], number[3], image, frame);
  g_assert_cmpuint (frame[(y * image + x) * 3 + c], ==, number[8]);
}

static void
test_twin (void)
{
  const char *folder = g_getenv ("CG_GOLDEN_DIR");
  if (folder == NULL) {
    g_test_skip ("CG_GOLDEN_DIR does not name the folder of generate.txt");
    return;
  }
  g_autofree char *path = g_build_filename (folder, "generate.txt", NULL), *text = NULL;
  g_autoptr (GError) error = NULL;
  g_file_get_contents (path, &text, NULL, &error);
  g_assert_no_error (error);

  g_autoptr (GHashTable) networks =
      g_hash_table_new_full (g_str_hash, g_str_equal, g_free, (GDestroyNotify)cg_network_free);
  g_auto (GStrv) lines = g_strsplit (text, "\n", -1);
  guint keys = 0, units = 0, weights = 0, frames = 0;

  for (guint i = 0; lines[i] != NULL; i++) {
    g_auto (GStrv) words = g_strsplit (lines[i], " ", -1);
    guint n = g_strv_length (words);
    if (n == 0 || words[0][0] == '#' || words[0][0] == '\0')
      continue;
    g_test_message ("%s", lines[i]);
    if (strcmp (words[0], "key") == 0 && n == 3) {
      g_assert_cmpuint (cg_generate_key (SEED, words[1]), ==,
                        g_ascii_strtoull (words[2], NULL, 10));
      keys++;
    } else if (strcmp (words[0], "unit") == 0 && n == 4) {
      guint64 draw = cg_generate_draw (cg_generate_key (SEED, words[1]),
                                       g_ascii_strtoull (words[2], NULL, 10));
      g_assert_cmpfloat (unit (draw), ==, g_ascii_strtod (words[3], NULL));
      units++;
    } else if (strcmp (words[0], "weight") == 0 && n == 5) {
      check_weight (networks, words);
      weights++;
    } else if (strcmp (words[0], "frame") == 0 && n == 9) {
      check_frame (words);
      frames++;
    } else {
      g_error ("%s: cannot read \"%s\"", path, lines[i]);
    }
  }
  g_assert_cmpuint (keys, >=, 3);
  g_assert_cmpuint (units, >=, 3);
  g_assert_cmpuint (weights, >=, 10);
  g_assert_cmpuint (frames, >=, 10);
}

/* ---- the spread ---- */

typedef struct {
  gdouble mean, deviation, largest;
} Spread;

static Spread
spread (const float *values, gsize n)
{
  Spread s = { 0 };
  for (gsize i = 0; i < n; i++) {
    s.mean += values[i] / n;
    s.largest = MAX (s.largest, fabs ((gdouble)values[i]));
  }
  for (gsize i = 0; i < n; i++)
    s.deviation += (values[i] - s.mean) * (values[i] - s.mean) / n;
  s.deviation = sqrt (s.deviation);
  return s;
}

/* @scale is the half-width. With n uniform numbers the standard error of the deviation is under
 * scale / sqrt (4 n) and that of the mean scale / sqrt (3 n): five of them are allowed. */
static void
assert_spread (const char *name, const float *values, gsize n, gdouble mean, gdouble scale)
{
  Spread s = spread (values, n);
  gdouble allowed = 5 * scale / sqrt (3.0 * n);

  g_test_message ("%s: mean %.5f, deviation %.5f, largest %.5f", name, s.mean, s.deviation,
                  s.largest);
  g_assert_cmpfloat_with_epsilon (s.mean, mean, allowed);
  g_assert_cmpfloat_with_epsilon (s.deviation, scale / sqrt (3), allowed);
  g_assert_cmpfloat (s.largest, <=, mean + scale + 1e-6);
}

static void
test_spread (void)
{
  g_autoptr (CgNetwork) network = network_of ("tiny", 7);
  const CgBlock *block = &network->blocks[1];
  gsize width = 64, square = width * width;
  gdouble base = sqrt (3.0 / width);

  assert_spread ("patch", network->patch_weight, 1536 * width, 0, 12 * sqrt (3.0 / 1536));
  assert_spread ("norm1.weight", block->norm1_weight, width, 1, 0.25);
  assert_spread ("norm2.bias", block->norm2_bias, width, 0, 0.1);
  assert_spread ("q", block->qkv_weight, square, 0, 2 * base);
  assert_spread ("k", block->qkv_weight + square, square, 0, 2 * base);
  assert_spread ("v", block->qkv_weight + 2 * square, square, 0, base);
  assert_spread ("v_bias", block->v_bias, width, 0, 0.1);
  assert_spread ("proj", block->proj_weight, square, 0, 0.7 * base);
  assert_spread ("fc1", block->fc1_weight, 4 * square, 0, base);
  assert_spread ("fc2", block->fc2_weight, 4 * square, 0, sqrt (3.0 / 256));
  assert_spread ("heads.city", network->heads[CG_CITY].weight, 166 * width, 0, 2 * base);
  assert_spread ("sca.in_proj", network->sca_in_proj.weight, 108, 0, 0.7 * sqrt (0.5));
  assert_spread ("text.0", network->text[0].weight, 466 * 420, 0, 1.4 * sqrt (3.0 / 420));
}

static void
test_seeds (void)
{
  g_autoptr (CgNetwork) one = network_of ("tiny", 1), again = network_of ("tiny", 1),
                        two = network_of ("tiny", 2);
  gsize bytes = one->storage_size * sizeof (float), same = 0;

  g_assert_cmpmem (one->storage, bytes, again->storage, bytes);
  for (gsize i = 0; i < 1536 * 64; i++)
    same += one->patch_weight[i] == two->patch_weight[i];
  g_assert_cmpuint (same, <, 10);
}

/* ---- frames ---- */

/* Noise is 0..31 on a colour that is constant in a square of 32 x 32: no value has wrapped around. */
static void
test_squares (void)
{
  enum { IMAGE = 112 };
  guint8 frame[IMAGE * IMAGE * 3];

  for (guint64 window = 0; window < 20; window++) {
    guint least[4][4][3], largest[4][4][3] = { 0 };
    memset (least, 0xff, sizeof least);
    cg_generate_frame (3, window, 5, IMAGE, frame);
    for (guint i = 0; i < G_N_ELEMENTS (frame); i++) {
      guint c = i % 3, x = i / 3 % IMAGE / 32, y = i / 3 / IMAGE / 32;
      least[y][x][c] = MIN (least[y][x][c], frame[i]);
      largest[y][x][c] = MAX (largest[y][x][c], frame[i]);
    }
    for (guint i = 0; i < 4 * 4 * 3; i++) {
      g_assert_cmpuint ((&largest[0][0][0])[i] - (&least[0][0][0])[i], <=, 31);
      g_assert_cmpuint ((&largest[0][0][0])[i] - (&least[0][0][0])[i], >=, 28);
    }
  }
}

static gdouble
difference (const guint8 *a, const guint8 *b, gsize n)
{
  gdouble sum = 0;
  for (gsize i = 0; i < n; i++)
    sum += abs (a[i] - b[i]);
  return sum / n;
}

static void
test_time (void)
{
  enum { IMAGE = 64, BYTES = IMAGE * IMAGE * 3 };
  guint8 first[BYTES], second[BYTES], fifth[BYTES], elsewhere[BYTES];

  cg_generate_frame (SEED, 1, 0, IMAGE, first);
  cg_generate_frame (SEED, 1, 1, IMAGE, second);
  cg_generate_frame (SEED, 1, 4, IMAGE, fifth);
  cg_generate_frame (SEED, 2, 0, IMAGE, elsewhere);

  /* four samples share their squares and differ in noise; the mean of |a - b| of two noises is 32/3 */
  g_assert_cmpfloat_with_epsilon (difference (first, second, BYTES), 32.0 / 3, 0.5);
  g_assert_cmpfloat (difference (first, fifth, BYTES), >, 15);
  g_assert_cmpfloat (difference (first, elsewhere, BYTES), >, 15);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/generate/twin", test_twin);
  g_test_add_func ("/generate/spread", test_spread);
  g_test_add_func ("/generate/seeds", test_seeds);
  g_test_add_func ("/generate/squares", test_squares);
  g_test_add_func ("/generate/time", test_time);
  return g_test_run ();
}
