/* The model file as a whole: metadata, config, places and tensors together; loading, generating, saving.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "model/model.h"

#include "model-file.h"

#include <unistd.h>
#include <glib/gstdio.h>
#include <math.h>
#include <sys/stat.h>

#define CONFIG                                                                                    \
  "{\"name\":\"test\",\"provenance\":\"made here\",\"licence\":\"none\",\"demo\":true,"           \
  "\"geometry\":{\"frames\":2,\"tubelet\":2,\"image\":16,\"patch\":8,\"width\":32,\"depth\":1,"   \
  "\"heads\":2,"                                                                                  \
  "\"mlp\":16,\"layer_norm_eps\":1e-6,\"scene_hidden\":[5],\"text_hidden\":[],\"text_width\":3}," \
  "\"input\":{\"scale\":0.5,\"mean\":[1,2,3],\"std\":[4,5,6],\"resize\":\"squash-bilinear\"},"    \
  "\"sample_interval\":0.7,\"scenes\":[\"in\",\"out\"],\"temperatures\":[1,1.5,2,2.5]}"
#define PLACES                                                                                \
  "{\"version\":1,\"name\":\"p\",\"continents\":[{\"label\":\"Z\"}],"                         \
  "\"countries\":[{\"label\":\"Y\",\"code\":\"YY\",\"continent\":0}],\"states\":[{\"label\":" \
  "\"X\",\"country\":0}],"                                                                    \
  "\"cities\":[{\"label\":\"V\",\"state\":0,\"latitude\":1,\"longitude\":2},"                 \
  "{\"label\":\"W\",\"name\":\"w\",\"state\":0,\"latitude\":3,\"longitude\":4}]}"

static const CgGeometry small = {
  .frames = 2,
  .tubelet = 2,
  .image = 16,
  .patch = 8,
  .width = 32,
  .depth = 1,
  .heads = 2,
  .mlp = 16,
  .layer_norm_eps = 1e-6,
  .labels = { 2, 1, 1, 1 },
  .scene = { 2, { 5, 5, 2 } },
  .text = { 1, { 5, 3 } },
};

/* Recipe: a file of the geometry `small`, with what the test wants changed.
 * @version, @config, @places: NULL leaves the string out
 * @dtype: of all tensors
 * @omit: a tensor that is left out; @misshapen: one whose first extents are swapped
 * @extra: adds a tensor of this name; @nan: a tensor whose last value is NaN (F32 only) */
typedef struct {
  const char *version, *config, *places, *dtype;
  const char *omit, *misshapen, *extra, *nan;
} Recipe;

static const Recipe good = { "1", CONFIG, PLACES, "F32", NULL, NULL, NULL, NULL };

/* Value @i of a tensor: exact in all three dtypes. */
static float
value_at (gsize i)
{
  return (float)(i % 64) / 16 - 2;
}

static void
append_value (GByteArray *data, const char *dtype, float value)
{
  guint32 bits;
  guint16 half;

  memcpy (&bits, &value, sizeof bits);
  if (strcmp (dtype, "F32") == 0) {
    bits = GUINT32_TO_LE (bits);
    g_byte_array_append (data, (const guint8 *)&bits, 4);
    return;
  }
  half = (guint16)(bits >> 16);
  if (strcmp (dtype, "F16") == 0 && value != 0)
    half = (guint16)((bits >> 16 & 0x8000) | ((bits >> 23 & 255) - 127 + 15) << 10 |
                     (bits >> 13 & 1023));
  half = GUINT16_TO_LE (half);
  g_byte_array_append (data, (const guint8 *)&half, 2);
}

static void
append_metadata (GString *header, const char *key, const char *value)
{
  g_autofree char *escaped = value ? g_strescape (value, NULL) : NULL;

  if (value)
    g_string_append_printf (header, "%s\"%s\":\"%s\"",
                            g_str_has_suffix (header->str, "{") ? "" : ",", key, escaped);
}

static void
append_tensor (GString *header, GByteArray *data, const Recipe *recipe, const CgTensorSpec *spec)
{
  gsize n = cg_tensor_spec_elements (spec);
  gboolean swap = g_strcmp0 (recipe->misshapen, spec->name) == 0;
  guint begin = data->len;

  g_string_append_printf (header, ",\"%s\":{\"dtype\":\"%s\",\"shape\":[", spec->name,
                          recipe->dtype);
  for (guint i = 0; i < spec->rank; i++)
    g_string_append_printf (header, "%s%zu", i > 0 ? "," : "",
                            spec->shape[swap && i < 2 ? 1 - i : i]);
  for (gsize i = 0; i < n; i++)
    append_value (data, recipe->dtype,
                  i == n - 1 && g_strcmp0 (recipe->nan, spec->name) == 0 ? (float)NAN
                                                                         : value_at (i));
  g_string_append_printf (header, "],\"data_offsets\":[%u,%u]}", begin, data->len);
}

static GBytes *
build (const Recipe *recipe)
{
  g_autoptr (GString) header = g_string_new ("{\"__metadata__\":{");
  g_autoptr (GByteArray) data = g_byte_array_new ();
  g_autofree CgTensorSpec *table = NULL;
  GByteArray *file;
  guint n;

  append_metadata (header, "cityguessr.version", recipe->version);
  append_metadata (header, "cityguessr.config", recipe->config);
  append_metadata (header, "cityguessr.places", recipe->places);
  append_metadata (header, "format", "pt");
  g_string_append_c (header, '}');
  table = cg_geometry_tensors (&small, &n);
  for (guint i = 0; i < n; i++)
    if (g_strcmp0 (recipe->omit, table[i].name) != 0)
      append_tensor (header, data, recipe, &table[i]);
  if (recipe->extra) {
    CgTensorSpec extra = { .rank = 2, .shape = { 2, 3 } };
    g_strlcpy (extra.name, recipe->extra, sizeof extra.name);
    append_tensor (header, data, recipe, &extra);
  }
  g_string_append_c (header, '}');
  file = file_new (header->str, header->len, 0);
  g_byte_array_append (file, data->data, data->len);
  return g_byte_array_free_to_bytes (file);
}

static CgModel *
load (const Recipe *recipe, CgNetwork **network, GError **error)
{
  g_autoptr (GBytes) bytes = build (recipe);

  return cg_model_load_bytes (bytes, BAD_FILE, network, error);
}

/* ---- good files ---- */

static void
test_loaded (gconstpointer dtype)
{
  Recipe recipe = good;
  g_autoptr (CgNetwork) network = NULL;
  g_autoptr (CgModel) model = NULL;
  g_autoptr (GError) error = NULL;
  g_autofree CgTensorSpec *table = NULL;
  guint n;

  recipe.dtype = dtype;
  model = load (&recipe, &network, &error);
  g_assert_no_error (error);
  g_assert_cmpstr (model->path, ==, BAD_FILE);
  g_assert_cmpstr (model->name, ==, "test");
  g_assert_cmpstr (model->provenance, ==, "made here");
  g_assert_cmpstr (model->licence, ==, "none");
  g_assert_true (model->demo);
  g_assert_cmpuint (model->geometry.frames, ==, 2);
  g_assert_cmpuint (model->geometry.heads, ==, 2);
  g_assert_cmpuint (model->geometry.labels[CG_CITY], ==, 2);
  g_assert_cmpuint (model->geometry.scene.layers, ==, 2);
  g_assert_cmpuint (model->geometry.scene.size[0], ==, 5);
  g_assert_cmpuint (model->geometry.scene.size[2], ==, 2);
  g_assert_cmpuint (model->geometry.text.layers, ==, 1);
  g_assert_cmpuint (model->geometry.text.size[1], ==, 3);
  g_assert_cmpfloat (model->geometry.layer_norm_eps, ==, 1e-6);
  g_assert_cmpfloat (model->input.scale, ==, 0.5);
  g_assert_cmpfloat (model->input.mean[2], ==, 3);
  g_assert_cmpfloat (model->input.std[0], ==, 4);
  g_assert_cmpfloat (model->sample_interval, ==, 0.7);
  g_assert_cmpfloat (model->temperatures[CG_CONTINENT], ==, 2.5);
  g_assert_cmpuint (model->n_scenes, ==, 2);
  g_assert_cmpstr (model->scenes[1], ==, "out");
  g_assert_null (model->scenes[2]);
  g_assert_cmpstr (cg_places_get (model->places, CG_CITY, 1)->name, ==, "w");

  table = cg_geometry_tensors (&small, &n);
  for (guint i = 0; i < n; i++) {
    const float *values = cg_network_tensor (network, i);
    for (gsize j = 0; j < cg_tensor_spec_elements (&table[i]); j++)
      g_assert_cmpfloat (values[j], ==, value_at (j));
  }
}

/* A file is checked whole even if nobody wants its weights. */
static void
test_without_network (void)
{
  Recipe recipe = good;
  g_autoptr (GError) error = NULL;
  g_autoptr (CgModel) model = load (&good, NULL, &error);

  g_assert_no_error (error);
  g_assert_nonnull (model);
  recipe.nan = "heads.city.bias";
  g_assert_null (load (&recipe, NULL, &error));
  CHECK_ERROR (error, CG_ERROR_TENSOR, BAD_FILE, "\"heads.city.bias\"", "found NaN at index 1");
}

/* Given no scenes and no text, there are no such heads and no SCA: the tensors are then extra. */
static void
test_without_auxiliary (void)
{
  Recipe recipe = good;
  g_autoptr (GError) error = NULL;
  g_auto (GStrv) parts =
      g_strsplit (CONFIG, "\"scene_hidden\":[5],\"text_hidden\":[],\"text_width\":3", 2);
  g_autofree char *joined =
      g_strjoinv ("\"scene_hidden\":[],\"text_hidden\":[],\"text_width\":0", parts);
  g_auto (GStrv) again = g_strsplit (joined, "[\"in\",\"out\"]", 2);
  g_autofree char *config = g_strjoinv ("[]", again);

  recipe.config = config;
  g_assert_null (load (&recipe, NULL, &error));
  CHECK_ERROR (error, CG_ERROR_TENSOR, BAD_FILE, "tensor \"s", "expected no tensor of this name");
}

/* ---- bad metadata ---- */

static void
test_metadata (void)
{
  static const char bad_utf8[] = "{\"__metadata__\":{\"cityguessr.version\":\"\xff\"}}";
  Recipe recipe = good;
  g_autoptr (GBytes) bytes = file_bytes (bad_utf8, 0);
  g_autoptr (GError) error = NULL;

  recipe.version = NULL;
  g_assert_null (load (&recipe, NULL, &error));
  CHECK_ERROR (error, CG_ERROR_FORMAT, BAD_FILE, "found no \"cityguessr.version\"",
               "expected a CityGuessr model file");
  recipe.version = "2";
  g_assert_null (load (&recipe, NULL, &error));
  CHECK_ERROR (error, CG_ERROR_UNSUPPORTED, BAD_FILE, "version \"2\"", "expected \"1\"",
               "this build reads");
  recipe = good;
  recipe.config = NULL;
  g_assert_null (load (&recipe, NULL, &error));
  CHECK_ERROR (error, CG_ERROR_FORMAT, BAD_FILE, "found no \"cityguessr.config\"");
  recipe = good;
  recipe.places = NULL;
  g_assert_null (load (&recipe, NULL, &error));
  CHECK_ERROR (error, CG_ERROR_FORMAT, BAD_FILE, "found no \"cityguessr.places\"");
  recipe.places = "{}";
  g_assert_null (load (&recipe, NULL, &error));
  CHECK_ERROR (error, CG_ERROR_PLACES, BAD_FILE ": cityguessr.places: version: found nothing");
  recipe = good;
  recipe.config = "[1]";
  g_assert_null (load (&recipe, NULL, &error));
  CHECK_ERROR (error, CG_ERROR_CONFIG, BAD_FILE ": cityguessr.config: at byte 0: found '['");
  g_assert_null (cg_model_load_bytes (bytes, BAD_FILE, NULL, &error));
  CHECK_ERROR (error, CG_ERROR_FORMAT, BAD_FILE, "0xff", "valid UTF-8");
}

/* CONFIG with @from replaced by @to. */
static const struct {
  const char *title, *from, *to, *parts[2];
} bad_configs[] = {
  { "unknown-key",
    "{\"name\"",
    "{\"color\":1,\"name\"",
    { "unknown key \"color\"", "expected only name" } },
  { "name-missing", "\"name\":\"test\",", "", { "name: found nothing", "a string" } },
  { "name-empty", "\"name\":\"test\"", "\"name\":\"\"", { "name: found \"\"", "1..256 bytes" } },
  { "provenance-number", "\"made here\"", "7", { "provenance: found 7", "a string" } },
  { "licence-null", "\"none\"", "null", { "licence: found null", "a string" } },
  { "demo-number", "\"demo\":true", "\"demo\":1", { "demo: found 1", "true or false" } },
  { "geometry-unknown-key",
    "\"frames\"",
    "\"size\":1,\"frames\"",
    { "geometry: found the unknown key \"size\"" } },
  { "geometry-array",
    "\"geometry\":{",
    "\"geometry\":[],\"input2\":{",
    { "unknown key \"input2\"" } },
  { "heads-missing", "\"heads\":2,", "", { "geometry.heads: found nothing", "an integer" } },
  { "heads-string",
    "\"heads\":2",
    "\"heads\":\"2\"",
    { "geometry.heads: found \"2\" (string)", "an integer" } },
  { "heads-real", "\"heads\":2", "\"heads\":2.0", { "geometry.heads: found 2,", "an integer" } },
  { "heads-no-divisor", "\"heads\":2", "\"heads\":3", { "geometry.heads", "3" } },
  { "heads-zero", "\"heads\":2", "\"heads\":0", { "geometry.heads: found 0", "1.." } },
  { "frames-odd", "\"frames\":2", "\"frames\":3", { "geometry.frames", "3" } },
  { "frames-many", "\"frames\":2", "\"frames\":66", { "geometry.frames", "66" } },
  { "tubelet-zero", "\"tubelet\":2", "\"tubelet\":0", { "geometry.tubelet: found 0" } },
  { "image-no-multiple", "\"image\":16", "\"image\":20", { "geometry.image", "20" } },
  { "patch-negative", "\"patch\":8", "\"patch\":-8", { "geometry.patch: found -8" } },
  { "width-small", "\"width\":32", "\"width\":16", { "geometry.width", "16" } },
  { "depth-large", "\"depth\":1", "\"depth\":49", { "geometry.depth", "49" } },
  { "mlp-huge", "\"mlp\":16", "\"mlp\":99999999999", { "geometry.mlp: found 99999999999" } },
  { "eps-zero", "1e-6", "0", { "geometry.layer_norm_eps: found 0", "0.01" } },
  { "eps-large", "1e-6", "0.02", { "geometry.layer_norm_eps: found 0.02", "0.01" } },
  { "hidden-many",
    "[5]",
    "[1,1,1,1,1,1,1,1]",
    { "geometry.scene_hidden: found an array of 8", "0..7" } },
  { "hidden-zero", "[5]", "[0]", { "geometry.scene_hidden[0]: found 0", "an integer" } },
  { "hidden-without-scenes",
    "[\"in\",\"out\"]",
    "[]",
    { "geometry.scene_hidden: found an array of 1", "expected []" } },
  { "text-width-negative",
    "\"text_width\":3",
    "\"text_width\":-3",
    { "geometry.text_width: found -3" } },
  { "input-unknown-key",
    "\"scale\"",
    "\"gamma\":1,\"scale\"",
    { "input: found the unknown key \"gamma\"" } },
  { "scale-zero", "0.5", "0", { "input.scale: found 0", "a number" } },
  { "mean-short", "[1,2,3]", "[1,2]", { "input.mean: found an array of 2", "an array of 3" } },
  { "std-zero", "[4,5,6]", "[4,0,6]", { "input.std[1]: found 0", "a number" } },
  { "std-infinite", "[4,5,6]", "[4,5,1e999]", { "input.std[2]: found inf", "a number" } },
  { "resize-unknown",
    "squash-bilinear",
    "crop",
    { "input.resize: found \"crop\"", "\"squash-bilinear\"" } },
  { "interval-zero", "0.7", "0", { "sample_interval: found 0", "0.001..3600" } },
  { "interval-long", "0.7", "3601", { "sample_interval: found 3601", "0.001..3600" } },
  { "scene-number", "\"out\"", "1", { "scenes[1]: found 1", "a string" } },
  { "temperature-zero", "2.5]", "0]", { "temperatures[3]: found 0", "0.01..100" } },
  { "temperatures-five",
    "2.5]",
    "2.5,3]",
    { "temperatures: found an array of 5", "an array of 4" } },
  { "key-twice", "{\"name\"", "{\"demo\":false,\"name\"", { "\"demo\" twice", "once" } },
};

static void
test_bad_config (gconstpointer data)
{
  guint i = GPOINTER_TO_UINT (data);
  g_auto (GStrv) parts = g_strsplit (CONFIG, bad_configs[i].from, 2);
  g_autofree char *config = g_strjoinv (bad_configs[i].to, parts);
  Recipe recipe = good;
  g_autoptr (GError) error = NULL;

  g_assert_cmpuint (g_strv_length (parts), ==, 2);
  recipe.config = config;
  g_assert_null (load (&recipe, NULL, &error));
  CHECK_ERROR (error, CG_ERROR_CONFIG, BAD_FILE, "cityguessr.config", bad_configs[i].parts[0],
               bad_configs[i].parts[1] ? bad_configs[i].parts[1] : "expected");
}

/* ---- tensors against the geometry ---- */

static void
test_bad_tensors (void)
{
  Recipe recipe = good;
  g_autoptr (GError) error = NULL;

  recipe.omit = "blocks.0.attn.v_bias";
  g_assert_null (load (&recipe, NULL, &error));
  CHECK_ERROR (error, CG_ERROR_TENSOR, BAD_FILE, "\"blocks.0.attn.v_bias\"", "found nothing",
               "expected a tensor of shape [32]");
  recipe = good;
  recipe.extra = "blocks.0.attn.k_bias";
  g_assert_null (load (&recipe, NULL, &error));
  CHECK_ERROR (error, CG_ERROR_TENSOR, BAD_FILE, "\"blocks.0.attn.k_bias\"", "found shape [2, 3]",
               "expected no tensor of this name");
  recipe = good;
  recipe.misshapen = "blocks.0.mlp.fc1.weight";
  g_assert_null (load (&recipe, NULL, &error));
  CHECK_ERROR (error, CG_ERROR_TENSOR, BAD_FILE, "\"blocks.0.mlp.fc1.weight\"",
               "found shape [32, 16]", "expected [16, 32]");
  recipe = good;
  recipe.nan = "patch_embed.weight";
  g_assert_null (load (&recipe, NULL, &error));
  CHECK_ERROR (error, CG_ERROR_TENSOR, BAD_FILE, "\"patch_embed.weight\"",
               "found NaN at index 12287", "expected a finite number");
}

/* A geometry of gigabytes over a small file is refused before anything is allocated for it. */
static void
test_large_geometry_small_file (void)
{
  g_auto (GStrv) parts = g_strsplit (CONFIG, "\"width\":32,\"depth\":1,\"heads\":2,\"mlp\":16", 2);
  g_autofree char *config =
      g_strjoinv ("\"width\":1280,\"depth\":48,\"heads\":16,\"mlp\":8192", parts);
  Recipe recipe = good;
  g_autoptr (GError) error = NULL;

  recipe.config = config;
  g_assert_null (load (&recipe, NULL, &error));
  CHECK_ERROR (error, CG_ERROR_TENSOR, BAD_FILE, "\"patch_embed.weight\"",
               "found shape [32, 3, 2, 8, 8]", "expected [1280, 3, 2, 8, 8]");
}

static void
test_truncated (void)
{
  g_autoptr (GBytes) whole = build (&good);
  gsize size = g_bytes_get_size (whole);

  for (gsize n = 0; n < size; n += n < 4096 ? 1 : 997) {
    g_autoptr (GBytes) bytes = g_bytes_new_from_bytes (whole, 0, n);
    g_autoptr (GError) error = NULL;
    g_assert_null (cg_model_load_bytes (bytes, BAD_FILE, NULL, &error));
    g_assert_nonnull (error);
    g_assert_nonnull (strstr (error->message, BAD_FILE));
  }
}

static void
test_missing_file (void)
{
  g_autoptr (GError) error = NULL;

  g_assert_null (cg_model_load ("/nowhere/a.safetensors", NULL, &error));
  CHECK_ERROR (error, CG_ERROR_NOT_FOUND, "/nowhere/a.safetensors");
}

/* ---- generating and saving ---- */

static void
test_generated (void)
{
  static const char *const presets[] = { "small-16", "small-6", "base", "large", "tiny" };
  g_autoptr (GError) error = NULL;

  for (guint i = 0; i < G_N_ELEMENTS (presets); i++) {
    g_autoptr (CgModel) model = cg_model_generate (presets[i], 7, NULL, &error);
    g_autofree char *path = g_strdup_printf ("generated:%s:7", presets[i]);
    g_autofree char *name = g_strdup_printf ("generated %s", presets[i]);
    g_assert_no_error (error);
    g_assert_cmpstr (model->path, ==, path);
    g_assert_cmpstr (model->name, ==, name);
    g_assert_nonnull (strstr (model->provenance, "ntrained"));
    g_assert_false (model->demo);
    g_assert_cmpfloat (model->input.scale, ==, 1.0 / 255);
    g_assert_cmpfloat (model->sample_interval, ==, 1.4);
    g_assert_cmpuint (cg_geometry_total_labels (&model->geometry), ==, 420);
    for (guint level = 0; level < CG_LEVELS; level++)
      g_assert_cmpuint (cg_places_count (model->places, (CgLevel)level), ==,
                        model->geometry.labels[level]);
    g_assert_cmpuint (model->n_scenes, ==, 16);
    g_assert_cmpuint (model->geometry.scene.size[model->geometry.scene.layers], ==, 16);
    g_assert_cmpuint (g_strv_length (model->scenes), ==, 16);
  }
  g_assert_null (cg_model_generate ("huge", 1, NULL, &error));
  g_assert_nonnull (error);
  g_assert_true (error->domain == CG_ERROR);
  g_assert_nonnull (strstr (error->message, "small-16"));
}

static guint
count_files (const char *folder)
{
  GDir *dir = g_dir_open (folder, 0, NULL);
  guint n = 0;

  while (g_dir_read_name (dir))
    n++;
  g_dir_close (dir);
  return n;
}

/* What is saved is loaded again the same, and saving that gives the same file. */
static void
test_saved (void)
{
  g_autofree char *folder = g_dir_make_tmp ("cityguessr-XXXXXX", NULL);
  g_autofree char *path = g_build_filename (folder, "a.safetensors", NULL);
  g_autofree char *first = NULL, *second = NULL, *config = NULL, *config_again = NULL;
  g_autoptr (CgNetwork) network = NULL, network_again = NULL;
  g_autoptr (GError) error = NULL;
  g_autoptr (CgModel) model = cg_model_generate ("tiny", 3, &network, &error);
  g_autoptr (CgModel) again = NULL;
  g_autofree CgTensorSpec *table = NULL;
  gsize first_size, second_size;
  struct stat info;
  mode_t mask = umask (027);
  guint n;

  g_assert_no_error (error);
  g_assert_true (cg_model_save (model, network, path, &error));
  g_assert_no_error (error);
  umask (mask);
  g_assert_cmpint (g_stat (path, &info), ==, 0);
  g_assert_cmpint (info.st_mode & 0777, ==, 0640);
  g_assert_cmpuint (count_files (folder), ==, 1);

  again = cg_model_load (path, &network_again, &error);
  g_assert_no_error (error);
  g_assert_cmpstr (again->path, ==, path);
  config = cg_model_config_to_json (model);
  config_again = cg_model_config_to_json (again);
  g_assert_cmpstr (config, ==, config_again);
  table = cg_geometry_tensors (&model->geometry, &n);
  for (guint i = 0; i < n; i++) {
    gsize size = cg_tensor_spec_elements (&table[i]) * sizeof (float);
    g_assert_cmpmem (cg_network_tensor (network, i), size, cg_network_tensor (network_again, i),
                     size);
  }

  g_assert_true (g_file_get_contents (path, &first, &first_size, &error));
  /* Data begin on a multiple of 64 bytes. */
  g_assert_cmpuint (
      (8 + (guint8)first[0] + 256u * (guint8)first[1] + 65536u * (guint8)first[2]) % 64, ==, 0);
  g_assert_true (cg_model_save (again, network_again, path, &error));
  g_assert_true (g_file_get_contents (path, &second, &second_size, &error));
  g_assert_cmpmem (first, first_size, second, second_size);
  g_unlink (path);
  g_rmdir (folder);
}

static void
test_not_saved (void)
{
  g_autofree char *folder = g_dir_make_tmp ("cityguessr-XXXXXX", NULL);
  g_autofree char *missing = g_build_filename (folder, "missing", "a.safetensors", NULL);
  g_autofree char *taken = g_build_filename (folder, "taken", NULL);
  g_autoptr (CgNetwork) network = NULL;
  g_autoptr (GError) error = NULL;
  g_autoptr (CgModel) model = cg_model_generate ("tiny", 3, &network, &error);

  g_assert_no_error (error);
  g_assert_false (cg_model_save (model, network, missing, &error));
  CHECK_ERROR (error, CG_ERROR_WRITE, missing);
  g_assert_cmpint (g_mkdir (taken, 0700), ==, 0);
  g_assert_false (cg_model_save (model, network, taken, &error));
  CHECK_ERROR (error, CG_ERROR_WRITE, taken);
  g_assert_cmpuint (count_files (folder), ==, 1);
  g_rmdir (taken);
  /* Nor over a pipe or a device. */
  g_assert_cmpint (mkfifo (taken, 0600), ==, 0);
  g_assert_false (cg_model_save (model, network, taken, &error));
  CHECK_ERROR (error, CG_ERROR_WRITE, taken);
  g_assert_false (g_file_test (taken, G_FILE_TEST_IS_REGULAR));
  g_unlink (taken);
  g_rmdir (folder);
}

/* Through a symbolic link, the file that it leads to is written. */
static void
test_saved_through_link (void)
{
  g_autofree char *folder = g_dir_make_tmp ("cityguessr-XXXXXX", NULL);
  g_autofree char *link = g_build_filename (folder, "link", NULL);
  g_autofree char *path = g_build_filename (folder, "a.safetensors", NULL);
  g_autoptr (CgNetwork) network = NULL;
  g_autoptr (GError) error = NULL;
  g_autoptr (CgModel) model = cg_model_generate ("tiny", 3, &network, &error);

  g_assert_no_error (error);
  g_assert_true (g_file_set_contents (path, "old", -1, NULL));
  g_assert_cmpint (symlink ("a.safetensors", link), ==, 0);
  g_assert_true (cg_model_save (model, network, link, &error));
  g_assert_true (g_file_test (link, G_FILE_TEST_IS_SYMLINK));
  g_autoptr (CgModel) loaded = cg_model_load (path, NULL, &error);
  g_assert_no_error (error);
  g_assert_nonnull (loaded);
  g_unlink (link);
  g_unlink (path);
  g_rmdir (folder);
}

/* Strings with quotes, backslashes and letters of all kinds survive two layers of JSON. */
static void
test_strings_survive (void)
{
  static const char text[] = "\"quoted\" back\\slash / Malm\xc3\xb6 \xe6\x9d\xb1\xe4\xba\xac";
  g_autofree char *path = NULL;
  g_autoptr (CgNetwork) network = NULL;
  g_autoptr (GError) error = NULL;
  g_autoptr (CgModel) model = load (&good, &network, &error);
  g_autoptr (CgModel) again = NULL;
  int fd = g_file_open_tmp ("cityguessr-XXXXXX", &path, NULL);

  g_assert_no_error (error);
  g_close (fd, NULL);
  g_free (model->provenance);
  model->provenance = g_strdup (text);
  g_assert_true (cg_model_save (model, network, path, &error));
  again = cg_model_load (path, NULL, &error);
  g_assert_no_error (error);
  g_assert_cmpstr (again->provenance, ==, text);
  g_unlink (path);
}

/* Given places that fill the megabyte of a header by themselves, there is no file rather than one that
 * cannot be read. */
static void
test_too_many_places (void)
{
  g_autofree char *path = NULL;
  g_autofree char *filler = g_strnfill (180, 'x');
  g_autoptr (GString) json =
      g_string_new ("{\"version\":1,\"name\":\"p\",\"continents\":[{\"label\":\"Z\"}],"
                    "\"countries\":[{\"label\":\"Y\",\"continent\":0}],"
                    "\"states\":[{\"label\":\"X\",\"country\":0}],\"cities\":[");
  g_autoptr (GError) error = NULL;
  g_autoptr (CgModel) model = load (&good, NULL, &error);
  g_autoptr (CgNetwork) network = NULL;
  int fd = g_file_open_tmp ("cityguessr-XXXXXX", &path, NULL);

  g_assert_no_error (error);
  g_close (fd, NULL);
  for (guint i = 0; i < 4400; i++)
    g_string_append_printf (json,
                            "%s{\"label\":\"%s%u\",\"state\":0,\"latitude\":0,\"longitude\":0}",
                            i > 0 ? "," : "", filler, i);
  g_string_append (json, "]}");
  cg_places_free (model->places);
  model->places = cg_places_parse (json->str, json->len, "large", &error);
  g_assert_no_error (error);
  model->geometry.labels[CG_CITY] = 4400;
  model->geometry.scene.size[0] = model->geometry.text.size[0] = 4403;
  network = cg_network_new (&model->geometry, &error);
  g_assert_no_error (error);
  g_assert_false (cg_model_save (model, network, path, &error));
  CHECK_ERROR (error, CG_ERROR_FORMAT, path, "the header would take", "at most 1048576");
  g_unlink (path);
}

static void
test_references (void)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (CgModel) model = load (&good, NULL, &error);
  CgModel *second;

  g_assert_no_error (error);
  second = cg_model_ref (model);
  g_assert_true (second == model);
  cg_model_unref (second);
  g_assert_cmpstr (model->name, ==, "test");
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_data_func ("/model/loaded/f32", "F32", test_loaded);
  g_test_add_data_func ("/model/loaded/f16", "F16", test_loaded);
  g_test_add_data_func ("/model/loaded/bf16", "BF16", test_loaded);
  g_test_add_func ("/model/without-network", test_without_network);
  g_test_add_func ("/model/without-auxiliary", test_without_auxiliary);
  g_test_add_func ("/model/refused/metadata", test_metadata);
  for (guint i = 0; i < G_N_ELEMENTS (bad_configs); i++) {
    g_autofree char *path = g_strdup_printf ("/model/refused/config/%s", bad_configs[i].title);
    g_test_add_data_func (path, GUINT_TO_POINTER (i), test_bad_config);
  }
  g_test_add_func ("/model/refused/tensors", test_bad_tensors);
  g_test_add_func ("/model/refused/large-geometry-small-file", test_large_geometry_small_file);
  g_test_add_func ("/model/refused/truncated", test_truncated);
  g_test_add_func ("/model/refused/missing-file", test_missing_file);
  g_test_add_func ("/model/generated", test_generated);
  g_test_add_func ("/model/saved", test_saved);
  g_test_add_func ("/model/not-saved", test_not_saved);
  g_test_add_func ("/model/saved-through-link", test_saved_through_link);
  g_test_add_func ("/model/strings-survive", test_strings_survive);
  g_test_add_func ("/model/too-many-places", test_too_many_places);
  g_test_add_func ("/model/references", test_references);
  return g_test_run ();
}
