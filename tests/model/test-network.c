/* The geometry: its rules, its figures, the tensors it implies and where they lie.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "model/network.h"

#include <math.h>
#include <string.h>

#define WHERE "bad.safetensors: config"

static CgGeometry
preset (const char *name)
{
  CgGeometry geometry;
  g_autoptr (GError) error = NULL;
  g_assert_true (cg_geometry_preset (name, &geometry, &error));
  g_assert_no_error (error);
  return geometry;
}

static gsize
elements (const CgTensorSpec *spec)
{
  gsize product = 1;
  for (guint i = 0; i < spec->rank; i++)
    product *= spec->shape[i];
  return product;
}

/* ---- presets ---- */

/* Parameters and operations of VideoMAE Small and Base as their papers and checkpoints have them, plus the
 * heads (161 700 for Small), SCA (211), FFN_s (151 808) and FFN_t (435 290) of CityGuessr. */
static void
test_presets (void)
{
  static const struct {
    const char *name;
    guint tokens, heads, head_width;
    gdouble eps, giga_flops;
    gsize parameters; /* 0: not compared */
  } expected[] = {
    { "small-16", 1568, 16, 24, 1e-12, 113.756, 21879168 + 161700 + 211 + 151808 + 435290 },
    { "small-6", 1568, 6, 64, 1e-6, 113.756, 22628177 },
    { "base", 1568, 12, 64, 1e-12, 360.689, 86225664 + 769 * 420 + 211 + 151808 + 435290 },
    { "large", 1568, 16, 64, 1e-12, 0, 0 },
    { "tiny", 64, 4, 16, 1e-6, 0, 0 },
  };

  for (guint i = 0; i < G_N_ELEMENTS (expected); i++) {
    CgGeometry g = preset (expected[i].name);
    g_autoptr (GError) error = NULL;
    guint n;
    gsize parameters = 0;

    g_assert_true (cg_geometry_check (&g, WHERE, &error));
    g_assert_no_error (error);
    g_assert_cmpuint (cg_geometry_tokens (&g), ==, expected[i].tokens);
    g_assert_cmpuint (g.heads, ==, expected[i].heads);
    g_assert_cmpuint (g.width / g.heads, ==, expected[i].head_width);
    g_assert_cmpfloat (g.layer_norm_eps, ==, expected[i].eps);
    g_assert_cmpuint (cg_geometry_patch_values (&g), ==, 1536);
    g_assert_cmpuint (cg_geometry_total_labels (&g), ==, 420);
    g_assert_true (cg_geometry_has_sca (&g));

    g_autofree CgTensorSpec *table = cg_geometry_tensors (&g, &n);
    for (guint t = 0; t < n; t++)
      parameters += elements (&table[t]);
    g_test_message ("%s: %" G_GSIZE_FORMAT " parameters, %.3f GFLOP", expected[i].name, parameters,
                    cg_geometry_flops (&g) / 1e9);
    if (expected[i].parameters > 0) {
      g_assert_cmpuint (parameters, ==, expected[i].parameters);
      g_assert_cmpfloat_with_epsilon (cg_geometry_flops (&g) / 1e9, expected[i].giga_flops, 0.0005);
    }
  }
}

static void
test_unknown_preset (void)
{
  CgGeometry geometry;
  g_autoptr (GError) error = NULL;

  g_assert_false (cg_geometry_preset ("huge", &geometry, &error));
  g_assert_error (error, CG_ERROR, CG_ERROR_CONFIG);
  g_assert_cmpstr (
      error->message, ==,
      "no geometry preset \"huge\", expected one of small-16, small-6, base, large, tiny");
}

/* ---- the rules ---- */

/* One field of "small-16" is changed; the message must name the field, what was found and what is right. */
static const struct {
  const char *title;
  gsize offset;
  guint value;
  const char *message;
} refused[] = {
#define FIELD(field) G_STRUCT_OFFSET (CgGeometry, field)
  { "tubelet-0", FIELD (tubelet), 0, "geometry.tubelet is 0, expected 1..8" },
  { "tubelet-9", FIELD (tubelet), 9, "geometry.tubelet is 9, expected 1..8" },
  { "frames-1", FIELD (frames), 1, "geometry.frames is 1, expected 2..64" },
  { "frames-66", FIELD (frames), 66, "geometry.frames is 66, expected 2..64" },
  { "frames-17", FIELD (frames), 17, "geometry.frames is 17, expected a multiple of 2 (tubelet)" },
  { "patch-0", FIELD (patch), 0, "geometry.patch is 0, expected 4..32" },
  { "patch-33", FIELD (patch), 33, "geometry.patch is 33, expected 4..32" },
  { "image-8", FIELD (image), 8, "geometry.image is 8, expected 16..512" },
  { "image-528", FIELD (image), 528, "geometry.image is 528, expected 16..512" },
  { "image-225", FIELD (image), 225, "geometry.image is 225, expected a multiple of 16 (patch)" },
  { "width-16", FIELD (width), 16, "geometry.width is 16, expected 32..1280" },
  { "width-1296", FIELD (width), 1296, "geometry.width is 1296, expected 32..1280" },
  { "width-390", FIELD (width), 390, "geometry.width is 390, expected a multiple of 16" },
  { "depth-0", FIELD (depth), 0, "geometry.depth is 0, expected 1..48" },
  { "depth-49", FIELD (depth), 49, "geometry.depth is 49, expected 1..48" },
  { "heads-0", FIELD (heads), 0, "geometry.heads is 0, expected 1..96" },
  { "heads-97", FIELD (heads), 97, "geometry.heads is 97, expected 1..96" },
  { "heads-5", FIELD (heads), 5, "geometry.heads is 5, expected a divisor of the width 384" },
  { "head-width-6", FIELD (heads), 64,
    "geometry.heads is 64, expected a divisor of the width 384" },
  { "head-width-192", FIELD (heads), 2,
    "geometry.heads is 2, expected a divisor of the width 384" },
  { "mlp-0", FIELD (mlp), 0, "geometry.mlp is 0, expected 16..8192" },
  { "mlp-8208", FIELD (mlp), 8208, "geometry.mlp is 8208, expected 16..8192" },
  { "mlp-100", FIELD (mlp), 100, "geometry.mlp is 100, expected a multiple of 16" },
  { "no-city", FIELD (labels[CG_CITY]), 0, "geometry.labels[city] is 0, expected 1..65535" },
  { "continents", FIELD (labels[CG_CONTINENT]), 65536,
    "geometry.labels[continent] is 65536, expected 1..65535" },
  { "other-labels", FIELD (labels[CG_STATE]), 158,
    "geometry.scene.size[0] is 420, expected 421, the number of labels of all levels" },
  { "scene-layers", FIELD (scene.layers), 9, "geometry.scene.layers is 9, expected 0..8" },
  { "scene-size", FIELD (scene.size[3]), 0, "geometry.scene.size[3] is 0, expected 1..8192" },
  { "text-inputs", FIELD (text.size[0]), 1, "geometry.text.size[0] is 1, expected 420" },
  { "text-size", FIELD (text.size[2]), 8193, "geometry.text.size[2] is 8193, expected 1..8192" },
#undef FIELD
};

static void
test_refused (gconstpointer data)
{
  guint i = GPOINTER_TO_UINT (data);
  CgGeometry g = preset ("small-16");
  g_autoptr (GError) error = NULL;

  G_STRUCT_MEMBER (guint, &g, refused[i].offset) = refused[i].value;
  g_assert_false (cg_geometry_check (&g, WHERE, &error));
  g_assert_error (error, CG_ERROR, CG_ERROR_CONFIG);
  g_test_message ("%s", error->message);
  g_assert_true (g_str_has_prefix (error->message, WHERE ": "));
  g_assert_true (g_str_has_prefix (error->message + strlen (WHERE ": "), refused[i].message));
}

static void
test_refused_eps (void)
{
  const gdouble bad[] = { 0, -1e-6, 0.011, INFINITY, NAN };

  for (guint i = 0; i < G_N_ELEMENTS (bad); i++) {
    CgGeometry g = preset ("tiny");
    g_autoptr (GError) error = NULL;

    g.layer_norm_eps = bad[i];
    g_assert_false (cg_geometry_check (&g, WHERE, &error));
    g_assert_error (error, CG_ERROR, CG_ERROR_CONFIG);
    g_assert_nonnull (strstr (error->message, "geometry.layer_norm_eps is "));
    g_assert_nonnull (strstr (error->message, "expected more than 0 and at most 0.01"));
  }
}

static void
test_refused_tokens (void)
{
  CgGeometry g = preset ("tiny");
  g_autoptr (GError) error = NULL;

  g.frames = 64;
  g.tubelet = 1;
  g.image = 512;
  g.patch = 4;
  g_assert_false (cg_geometry_check (&g, WHERE, &error));
  g_assert_error (error, CG_ERROR, CG_ERROR_CONFIG);
  g_assert_nonnull (strstr (error->message, "is 1048576, expected at most 32768 tokens"));
}

static void
test_limits (void)
{
  /* given the smallest and the largest of everything that can go together */
  CgGeometry least = { 2, 1, 16, 4, 32, 1, 1, 16, 1e-300, { 1, 1, 1, 1 }, { 0 }, { 0 } };
  CgGeometry most = { 64,    8,    512,  16,   1280,
                      48,    10,   8192, 1e-2, { 65535, 65535, 65535, 65535 },
                      { 0 }, { 0 } };
  g_autoptr (GError) error = NULL;

  g_assert_true (cg_geometry_check (&least, WHERE, &error));
  g_assert_no_error (error);
  g_assert_false (cg_geometry_has_sca (&least));
  g_assert_true (cg_geometry_check (&most, WHERE, &error));
  g_assert_no_error (error);
  g_assert_cmpuint (cg_geometry_total_labels (&most), ==, 262140);
}

/* ---- tensors ---- */

static void
assert_spec (const CgTensorSpec *spec, const char *expected)
{
  g_autoptr (GString) found = g_string_new (spec->name);
  for (guint i = 0; i < spec->rank; i++)
    g_string_append_printf (found, " %" G_GSIZE_FORMAT, spec->shape[i]);
  g_assert_cmpstr (found->str, ==, expected);
}

static void
test_table (void)
{
  static const char *const first[] = {
    "patch_embed.weight 64 3 2 16 16", "patch_embed.bias 64",
    "blocks.0.norm1.weight 64",        "blocks.0.norm1.bias 64",
    "blocks.0.attn.qkv.weight 192 64", "blocks.0.attn.q_bias 64",
    "blocks.0.attn.v_bias 64",         "blocks.0.attn.proj.weight 64 64",
    "blocks.0.attn.proj.bias 64",      "blocks.0.norm2.weight 64",
    "blocks.0.norm2.bias 64",          "blocks.0.mlp.fc1.weight 256 64",
    "blocks.0.mlp.fc1.bias 256",       "blocks.0.mlp.fc2.weight 64 256",
    "blocks.0.mlp.fc2.bias 64",        "blocks.1.norm1.weight 64",
  };
  static const char *const after_blocks[] = {
    "heads.city.weight 166 64",    "heads.city.bias 166",
    "heads.state.weight 157 64",   "heads.state.bias 157",
    "heads.country.weight 91 64",  "heads.country.bias 91",
    "heads.continent.weight 6 64", "heads.continent.bias 6",
    "sca.query.weight 6 1",        "sca.query.bias 6",
    "sca.key.weight 6 1",          "sca.key.bias 6",
    "sca.value.weight 6 1",        "sca.value.bias 6",
    "sca.in_proj.weight 18 6",     "sca.in_proj.bias 18",
    "sca.out_proj.weight 6 6",     "sca.out_proj.bias 6",
    "sca.final.weight 1 6",        "sca.final.bias 1",
    "scene.0.weight 256 420",      "scene.0.bias 256",
    "scene.1.weight 128 256",
  };
  CgGeometry g = preset ("tiny");
  guint n;
  g_autofree CgTensorSpec *table = cg_geometry_tensors (&g, &n);

  g_assert_cmpuint (n, ==, 2 + 2 * 13 + 8 + 12 + 2 * 6 + 2 * 2);
  for (guint i = 0; i < G_N_ELEMENTS (first); i++)
    assert_spec (&table[i], first[i]);
  for (guint i = 0; i < G_N_ELEMENTS (after_blocks); i++)
    assert_spec (&table[2 + 2 * 13 + i], after_blocks[i]);
  assert_spec (&table[n - 5], "scene.5.bias 16");
  assert_spec (&table[n - 4], "text.0.weight 466 420");
  assert_spec (&table[n - 1], "text.1.bias 512");
}

/* The pointer of @network that the tensor called @name must have. */
static const float *
member (const CgNetwork *network, const char *name)
{
  const CgBlock *block = &network->blocks[1];
  const struct {
    const char *name;
    const float *pointer;
  } members[] = {
    { "patch_embed.weight", network->patch_weight },
    { "patch_embed.bias", network->patch_bias },
    { "blocks.1.norm1.weight", block->norm1_weight },
    { "blocks.1.norm1.bias", block->norm1_bias },
    { "blocks.1.attn.qkv.weight", block->qkv_weight },
    { "blocks.1.attn.q_bias", block->q_bias },
    { "blocks.1.attn.v_bias", block->v_bias },
    { "blocks.1.attn.proj.weight", block->proj_weight },
    { "blocks.1.attn.proj.bias", block->proj_bias },
    { "blocks.1.norm2.weight", block->norm2_weight },
    { "blocks.1.norm2.bias", block->norm2_bias },
    { "blocks.1.mlp.fc1.weight", block->fc1_weight },
    { "blocks.1.mlp.fc1.bias", block->fc1_bias },
    { "blocks.1.mlp.fc2.weight", block->fc2_weight },
    { "blocks.1.mlp.fc2.bias", block->fc2_bias },
    { "heads.city.weight", network->heads[CG_CITY].weight },
    { "heads.state.bias", network->heads[CG_STATE].bias },
    { "heads.country.weight", network->heads[CG_COUNTRY].weight },
    { "heads.continent.bias", network->heads[CG_CONTINENT].bias },
    { "sca.query.weight", network->sca_query.weight },
    { "sca.key.bias", network->sca_key.bias },
    { "sca.value.weight", network->sca_value.weight },
    { "sca.in_proj.weight", network->sca_in_proj.weight },
    { "sca.out_proj.bias", network->sca_out_proj.bias },
    { "sca.final.weight", network->sca_final.weight },
    { "scene.0.weight", network->scene[0].weight },
    { "scene.5.bias", network->scene[5].bias },
    { "text.1.weight", network->text[1].weight },
  };
  for (guint i = 0; i < G_N_ELEMENTS (members); i++)
    if (strcmp (members[i].name, name) == 0)
      return members[i].pointer;
  return NULL;
}

static void
test_storage (void)
{
  CgGeometry g = preset ("tiny");
  g_autoptr (GError) error = NULL;
  g_autoptr (CgNetwork) network = cg_network_new (&g, &error);
  guint n, named = 0;
  g_autofree CgTensorSpec *table = cg_geometry_tensors (&g, &n);
  const float *end = network->storage;

  g_assert_no_error (error);
  g_assert_cmpuint (network->n_tensors, ==, n);
  for (guint i = 0; i < n; i++) {
    const float *tensor = cg_network_tensor (network, i),
                *expected = member (network, table[i].name);

    g_assert_cmpuint ((guintptr)tensor % 64, ==, 0);
    g_assert_true (tensor >= end);
    g_assert_cmpint (tensor - end, <, 16);
    end = tensor + elements (&table[i]);
    if (expected != NULL) {
      g_test_message ("%s", table[i].name);
      g_assert_true (expected == tensor);
      named++;
    }
  }
  g_assert_cmpuint (named, ==, 28);
  g_assert_cmpint (end - network->storage, <=, network->storage_size);
  for (gsize i = 0; i < network->storage_size; i++)
    g_assert_cmpfloat (network->storage[i], ==, 0);
}

static void
test_without_auxiliary (void)
{
  /* given a network with neither scene nor text */
  CgGeometry g = preset ("tiny");
  g.scene.layers = g.text.layers = 0;

  /* then it has no SCA either */
  g_autoptr (GError) error = NULL;
  g_autoptr (CgNetwork) network = cg_network_new (&g, &error);
  guint n;
  g_autofree CgTensorSpec *table = cg_geometry_tensors (&g, &n);
  g_assert_true (cg_geometry_check (&g, WHERE, &error));
  g_assert_no_error (error);
  g_assert_cmpuint (n, ==, 2 + 2 * 13 + 8);
  assert_spec (&table[n - 1], "heads.continent.bias 6");
  g_assert_null (network->sca_query.weight);
  g_assert_null (network->scene[0].weight);

  /* and with text alone it does */
  g.text.layers = 2;
  g_autofree CgTensorSpec *with_text = cg_geometry_tensors (&g, &n);
  g_assert_cmpuint (n, ==, 2 + 2 * 13 + 8 + 12 + 4);
  assert_spec (&with_text[n - 4], "text.0.weight 466 420");
}

/* ---- small things ---- */

static void
test_position (void)
{
  g_assert_cmpfloat (cg_position (0, 0, 64), ==, 0);
  g_assert_cmpfloat (cg_position (0, 63, 64), ==, 1);
  g_assert_cmpfloat_with_epsilon (cg_position (3, 2, 64), 0.7782725224195125, 1e-14);
  g_assert_cmpfloat_with_epsilon (cg_position (1567, 383, 384), 0.986516697178984, 1e-14);
  g_assert_cmpfloat_with_epsilon (cg_position (5, 1, 384), 0.28366218546322625, 1e-14);
}

static void
test_outputs (void)
{
  CgGeometry g = preset ("tiny");
  g_autofree CgOutputs *whole = cg_outputs_new (&g, TRUE), *plain = cg_outputs_new (&g, FALSE);

  g_assert_true (whole->logits == whole->features + 64);
  g_assert_true (whole->scene == whole->logits + 420);
  g_assert_true (whole->text == whole->scene + 16);
  for (guint i = 0; i < 64 + 420 + 16 + 512; i++)
    g_assert_cmpfloat (whole->features[i], ==, 0);
  g_assert_nonnull (plain->logits);
  g_assert_null (plain->scene);
  g_assert_null (plain->text);

  g.scene.layers = 0;
  g_autofree CgOutputs *text_only = cg_outputs_new (&g, TRUE);
  g_assert_null (text_only->scene);
  g_assert_true (text_only->text == text_only->logits + 420);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/network/presets", test_presets);
  g_test_add_func ("/network/unknown-preset", test_unknown_preset);
  for (guint i = 0; i < G_N_ELEMENTS (refused); i++) {
    g_autofree char *path = g_strdup_printf ("/network/refused/%s", refused[i].title);
    g_test_add_data_func (path, GUINT_TO_POINTER (i), test_refused);
  }
  g_test_add_func ("/network/refused/eps", test_refused_eps);
  g_test_add_func ("/network/refused/tokens", test_refused_tokens);
  g_test_add_func ("/network/limits", test_limits);
  g_test_add_func ("/network/table", test_table);
  g_test_add_func ("/network/storage", test_storage);
  g_test_add_func ("/network/without-auxiliary", test_without_auxiliary);
  g_test_add_func ("/network/position", test_position);
  g_test_add_func ("/network/outputs", test_outputs);
  return g_test_run ();
}
