/* See generate.h, which holds every formula.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "generate.h"

#include "hash.h"

#include <math.h>
#include <string.h>

guint64
cg_generate_key (guint64 seed, const char *name)
{
  return cg_fnv (name) ^ cg_mix (seed);
}

guint64
cg_generate_draw (guint64 key, guint64 i)
{
  return cg_hash (key, i);
}

static gdouble
unit (guint64 key, guint64 i)
{
  gint64 centred = (gint64)(cg_generate_draw (key, i) >> 40) - (1 << 23);
  return (2 * centred + 1) / 16777216.0;
}

/* ---- weights ---- */

static void
fill (float *tensor, guint64 key, gsize from, gsize to, gdouble mean, gdouble scale)
{
  for (gsize i = from; i < to; i++)
    tensor[i] = (float)(mean + scale * unit (key, i));
}

/* The factor of sqrt (3/n) in the scale of a weight matrix; for qkv that of the rows of v. */
static gdouble
matrix_gain (const char *name)
{
  if (g_str_has_prefix (name, "patch_embed."))
    return 12;
  if (g_str_has_prefix (name, "heads."))
    return 2;
  if (g_str_has_prefix (name, "sca.") || g_str_has_suffix (name, ".attn.proj.weight"))
    return 0.7;
  if (g_str_has_prefix (name, "scene.") || g_str_has_prefix (name, "text."))
    return 1.4;
  return 1;
}

static void
fill_tensor (float *tensor, const CgTensorSpec *spec, guint64 seed)
{
  guint64 key = cg_generate_key (seed, spec->name);
  gsize elements = cg_tensor_spec_elements (spec);

  if (g_str_has_suffix (spec->name, "bias")) {
    fill (tensor, key, 0, elements, 0, 0.1);
  } else if (spec->rank == 1) {
    fill (tensor, key, 0, elements, 1, 0.25);
  } else {
    gsize inputs = elements / spec->shape[0];
    gdouble base = sqrt (3.0 / (gdouble)inputs);
    gsize queries_and_keys = g_str_has_suffix (spec->name, ".qkv.weight") ? elements / 3 * 2 : 0;
    fill (tensor, key, 0, queries_and_keys, 0, 2 * base);
    fill (tensor, key, queries_and_keys, elements, 0, matrix_gain (spec->name) * base);
  }
}

void
cg_generate_weights (CgNetwork *network, guint64 seed)
{
  guint n;
  g_autofree CgTensorSpec *table = cg_geometry_tensors (&network->geometry, &n);
  for (guint i = 0; i < n; i++)
    fill_tensor (cg_network_tensor (network, i), &table[i], seed);
}

/* ---- frames ---- */

void
cg_generate_frame (guint64 seed, guint64 window, guint sample, guint image, guint8 *out)
{
  guint64 tint_key = cg_generate_key (seed, "tint");
  guint64 block_key = cg_generate_key (seed, "block");
  guint64 noise_key = cg_generate_key (seed, "noise");

  guint tint[3];
  for (guint c = 0; c < 3; c++) {
    guint level = cg_generate_draw (tint_key, 3 * window + c) >> 56;
    tint[c] = 15 + level * level * 240 / 65025;
  }

  for (guint y = 0; y < image; y++) {
    for (guint x = 0; x < image; x++) {
      guint64 square = (8 * window + sample / 4) * 4096 + 64 * (y / 32) + x / 32;
      guint64 pixel = ((16 * window + sample) * image + y) * image + x;
      for (guint c = 0; c < 3; c++) {
        guint block = cg_generate_draw (block_key, 3 * square + c) >> 56;
        guint noise = cg_generate_draw (noise_key, 3 * pixel + c) >> 59;
        *out++ = block * tint[c] / 290 + noise;
      }
    }
  }
}
