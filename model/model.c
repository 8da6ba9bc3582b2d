/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model.h"

#include "generate.h"
#include "json.h"

#include <stdlib.h>
#include <string.h>

#define VERSION "1"
#define RESIZE "squash-bilinear"
#define MAX_SCENES 1024
#define MAX_NAME 256
#define MAX_TEXT 4096
#define DATA_ALIGNMENT 64

static const char *const config_keys[] = {
  "name",  "provenance",      "licence", "demo",         "geometry",
  "input", "sample_interval", "scenes",  "temperatures", NULL
};
static const char *const geometry_keys[] = {
  "frames", "tubelet",        "image",        "patch",       "width",      "depth", "heads",
  "mlp",    "layer_norm_eps", "scene_hidden", "text_hidden", "text_width", NULL
};
static const char *const input_keys[] = { "scale", "mean", "std", "resize", NULL };

/* The second level of the Places365 scene hierarchy, in the order of its sheet. */
static const char *const default_scenes[] = {
  "indoor: shopping and dining",
  "indoor: workplace",
  "indoor: home or hotel",
  "indoor: transportation",
  "indoor: sports and leisure",
  "indoor: cultural",
  "outdoor, natural: water, ice, snow",
  "outdoor, natural: mountains, hills, desert, sky",
  "outdoor, natural: forest, field, jungle",
  "outdoor, natural: man-made elements",
  "outdoor, man-made: transportation",
  "outdoor, man-made: cultural or historical building or place",
  "outdoor, man-made: sports fields, parks, leisure spaces",
  "outdoor, man-made: industrial and construction",
  "outdoor, man-made: houses, cabins, gardens, farms",
  "outdoor, man-made: commercial buildings, shops, markets, cities, towns",
};

static CgModel *
model_new (const char *path)
{
  CgModel *model = g_new0 (CgModel, 1);

  g_atomic_ref_count_init (&model->refs);
  model->path = g_strdup (path);
  return model;
}

CgModel *
cg_model_ref (CgModel *model)
{
  g_atomic_ref_count_inc (&model->refs);
  return model;
}

void
cg_model_unref (CgModel *model)
{
  if (!model || !g_atomic_ref_count_dec (&model->refs))
    return;
  cg_places_free (model->places);
  g_strfreev (model->scenes);
  g_free (model->licence);
  g_free (model->provenance);
  g_free (model->name);
  g_free (model->path);
  g_free (model);
}

/* ---- reading the config ---- */

static gboolean
read_text (const CgJsonValue *object, const char *key, guint min, guint max, char **out,
           GError **error)
{
  const char *text;

  if (!cg_json_string (cg_json_member (object, key), min, max, &text, error))
    return FALSE;
  *out = g_strdup (text);
  return TRUE;
}

static gboolean
read_numbers (const CgJsonValue *object, const char *key, guint n, gdouble min, gdouble max,
              gdouble *out, GError **error)
{
  CgJsonValue array = cg_json_member (object, key);
  guint length;

  if (!cg_json_array (&array, n, n, &length, error))
    return FALSE;
  for (guint i = 0; i < n; i++)
    if (!cg_json_number (cg_json_element (&array, i), min, max, &out[i], error))
      return FALSE;
  return TRUE;
}

/* Sizes get their exact limits from cg_geometry_check(); here they only have to fit. */
static gboolean
read_size (CgJsonValue value, gint64 min, guint *out, GError **error)
{
  gint64 size;

  if (!cg_json_integer (value, min, G_MAXUINT16, &size, error))
    return FALSE;
  *out = (guint)size;
  return TRUE;
}

/* The hidden sizes at @key between the labels and @last outputs; no outputs, no layers. */
static gboolean
read_mlp (const CgJsonValue *geometry, const char *key, guint inputs, guint last, CgMlp *mlp,
          GError **error)
{
  CgJsonValue array = cg_json_member (geometry, key);
  guint n;

  if (!cg_json_array (&array, 0, CG_MAX_MLP_LAYERS - 1, &n, error))
    return FALSE;
  if (last == 0)
    return n == 0 || cg_json_fail (&array, error, "[], because nothing comes out of these layers");
  mlp->layers = n + 1;
  mlp->size[0] = inputs;
  for (guint i = 0; i < n; i++)
    if (!read_size (cg_json_element (&array, i), 1, &mlp->size[i + 1], error))
      return FALSE;
  mlp->size[n + 1] = last;
  return TRUE;
}

static gboolean
read_geometry (const CgJsonValue *config, CgModel *model, GError **error)
{
  CgJsonValue value = cg_json_member (config, "geometry");
  CgGeometry *geometry = &model->geometry;
  const struct {
    const char *key;
    guint *size;
  } sizes[] = {
    { "frames", &geometry->frames }, { "tubelet", &geometry->tubelet },
    { "image", &geometry->image },   { "patch", &geometry->patch },
    { "width", &geometry->width },   { "depth", &geometry->depth },
    { "heads", &geometry->heads },   { "mlp", &geometry->mlp },
  };
  guint inputs, text_width;

  if (!cg_json_object (&value, geometry_keys, error))
    return FALSE;
  for (guint i = 0; i < G_N_ELEMENTS (sizes); i++)
    if (!read_size (cg_json_member (&value, sizes[i].key), 1, sizes[i].size, error))
      return FALSE;
  for (guint level = 0; level < CG_LEVELS; level++)
    geometry->labels[level] = cg_places_count (model->places, (CgLevel)level);
  inputs = cg_geometry_total_labels (geometry);
  return cg_json_number (cg_json_member (&value, "layer_norm_eps"), 1e-30, 1e-2,
                         &geometry->layer_norm_eps, error) &&
         read_size (cg_json_member (&value, "text_width"), 0, &text_width, error) &&
         read_mlp (&value, "scene_hidden", inputs, model->n_scenes, &geometry->scene, error) &&
         read_mlp (&value, "text_hidden", inputs, text_width, &geometry->text, error);
}

static gboolean
read_input (const CgJsonValue *config, CgInput *input, GError **error)
{
  CgJsonValue value = cg_json_member (config, "input");
  CgJsonValue resize = cg_json_member (&value, "resize");
  const char *rule;

  if (!cg_json_object (&value, input_keys, error) ||
      !cg_json_number (cg_json_member (&value, "scale"), 1e-6, 1e6, &input->scale, error) ||
      !read_numbers (&value, "mean", 3, -1e6, 1e6, input->mean, error) ||
      !read_numbers (&value, "std", 3, 1e-6, 1e6, input->std, error) ||
      !cg_json_string (resize, 0, MAX_NAME, &rule, error))
    return FALSE;
  return strcmp (rule, RESIZE) == 0 || cg_json_fail (&resize, error, "\"%s\"", RESIZE);
}

static gboolean
read_scenes (const CgJsonValue *config, CgModel *model, GError **error)
{
  CgJsonValue array = cg_json_member (config, "scenes");

  if (!cg_json_array (&array, 0, MAX_SCENES, &model->n_scenes, error))
    return FALSE;
  model->scenes = g_new0 (char *, model->n_scenes + 1);
  for (guint i = 0; i < model->n_scenes; i++) {
    const char *name;
    if (!cg_json_string (cg_json_element (&array, i), 1, MAX_NAME, &name, error))
      return FALSE;
    model->scenes[i] = g_strdup (name);
  }
  return TRUE;
}

static gboolean
read_config (CgModel *model, const char *text, const char *where, GError **error)
{
  g_autoptr (CgJson) json = cg_json_parse (text, strlen (text), where, CG_ERROR_CONFIG, error);
  CgJsonValue root;

  if (!json)
    return FALSE;
  root = cg_json_root (json);
  return cg_json_object (&root, config_keys, error) &&
         read_text (&root, "name", 1, MAX_NAME, &model->name, error) &&
         read_text (&root, "provenance", 0, MAX_TEXT, &model->provenance, error) &&
         read_text (&root, "licence", 0, MAX_TEXT, &model->licence, error) &&
         cg_json_boolean (cg_json_member (&root, "demo"), &model->demo, error) &&
         read_scenes (&root, model, error) && read_geometry (&root, model, error) &&
         read_input (&root, &model->input, error) &&
         cg_json_number (cg_json_member (&root, "sample_interval"), 0.001, 3600,
                         &model->sample_interval, error) &&
         read_numbers (&root, "temperatures", CG_LEVELS, 0.01, 100, model->temperatures, error) &&
         cg_geometry_check (&model->geometry, where, error);
}

/* ---- loading ---- */

/* The metadata string @key, or NULL and an error. */
static const char *
require_metadata (const CgWeights *weights, const char *key, GError **error)
{
  const char *value = cg_weights_metadata (weights, key);

  if (!value)
    g_set_error (error, CG_ERROR, CG_ERROR_FORMAT,
                 "%s: found no \"%s\" in __metadata__, expected a CityGuessr model file",
                 cg_weights_name (weights), key);
  return value;
}

static gboolean
check_version (const CgWeights *weights, GError **error)
{
  const char *version = require_metadata (weights, "cityguessr.version", error);
  g_autofree char *start = NULL;

  if (!version || strcmp (version, VERSION) == 0)
    return version != NULL;
  start = g_utf8_substring (version, 0, MIN (g_utf8_strlen (version, -1), 20));
  g_set_error (
      error, CG_ERROR, CG_ERROR_UNSUPPORTED,
      "%s: found model file version \"%s\", expected \"%s\", the one that this build reads",
      cg_weights_name (weights), start, VERSION);
  return FALSE;
}

/* Everything but the tensors' values. */
static gboolean
read_metadata (CgModel *model, const CgWeights *weights, GError **error)
{
  const char *name = cg_weights_name (weights);
  g_autofree char *config_name = g_strconcat (name, ": cityguessr.config", NULL);
  g_autofree char *places_name = g_strconcat (name, ": cityguessr.places", NULL);
  const char *config, *places;

  if (!check_version (weights, error) ||
      !(places = require_metadata (weights, "cityguessr.places", error)) ||
      !(config = require_metadata (weights, "cityguessr.config", error)))
    return FALSE;
  model->places = cg_places_parse (places, strlen (places), places_name, error);
  return model->places && read_config (model, config, config_name, error);
}

/* The table is checked against the file before anything is sized by the geometry. */
static CgNetwork *
read_network (const CgGeometry *geometry, const CgWeights *weights, GError **error)
{
  guint n;
  g_autofree CgTensorSpec *table = cg_geometry_tensors (geometry, &n);
  g_autoptr (CgNetwork) network = NULL;

  if (!cg_weights_check (weights, table, n, error))
    return NULL;
  network = cg_network_new (geometry, error);
  for (guint i = 0; network && i < n; i++)
    if (!cg_weights_read (weights, &table[i], cg_network_tensor (network, i), error))
      return NULL;
  return g_steal_pointer (&network);
}

/* Takes @weights, NULL if they could not be opened. */
static CgModel *
load (CgWeights *opened, const char *path, CgNetwork **network_out, GError **error)
{
  g_autoptr (CgWeights) weights = opened;
  g_autoptr (CgModel) model = NULL;
  g_autoptr (CgNetwork) network = NULL;

  if (!weights)
    return NULL;
  model = model_new (path);
  if (!read_metadata (model, weights, error) ||
      !(network = read_network (&model->geometry, weights, error)))
    return NULL;
  if (network_out)
    *network_out = g_steal_pointer (&network);
  return g_steal_pointer (&model);
}

CgModel *
cg_model_load (const char *path, CgNetwork **network, GError **error)
{
  return load (cg_weights_open (path, error), path, network, error);
}

CgModel *
cg_model_load_bytes (GBytes *bytes, const char *name, CgNetwork **network, GError **error)
{
  return load (cg_weights_open_bytes (bytes, name, error), name, network, error);
}

/* ---- generating ---- */

CgModel *
cg_model_generate (const char *preset, guint64 seed, CgNetwork **network_out, GError **error)
{
  g_autofree char *path = g_strdup_printf ("generated:%s:%" G_GUINT64_FORMAT, preset, seed);
  g_autofree char *places = NULL;
  g_autoptr (CgModel) model = model_new (path);

  if (!cg_geometry_preset (preset, &model->geometry, error))
    return NULL;
  places = cg_places_to_json (cg_places_cityguessr68k ());
  model->places = cg_places_parse (places, strlen (places), path, error);
  if (!model->places)
    return NULL;
  model->name = g_strdup_printf ("generated %s", preset);
  model->provenance = g_strdup_printf ("Untrained: weights from a counter, seed %" G_GUINT64_FORMAT
                                       ". Its answers mean nothing.",
                                       seed);
  model->licence = g_strdup ("Weights: none needed. Places: GeoNames, CC BY 4.0");
  model->input.scale = 1.0 / 255;
  for (guint c = 0; c < 3; c++)
    model->input.std[c] = 1;
  model->sample_interval = 1.4;
  model->n_scenes = G_N_ELEMENTS (default_scenes);
  model->scenes = g_new0 (char *, model->n_scenes + 1);
  for (guint i = 0; i < model->n_scenes; i++)
    model->scenes[i] = g_strdup (default_scenes[i]);
  for (guint level = 0; level < CG_LEVELS; level++)
    model->temperatures[level] = 1;

  if (network_out) {
    CgNetwork *network = cg_network_new (&model->geometry, error);
    if (!network)
      return NULL;
    cg_generate_weights (network, seed);
    *network_out = network;
  }
  return g_steal_pointer (&model);
}

/* ---- saving ---- */

static void
append_numbers (GString *out, const char *key, const gdouble *numbers, guint n)
{
  g_string_append_printf (out, ",\"%s\":[", key);
  for (guint i = 0; i < n; i++) {
    if (i > 0)
      g_string_append_c (out, ',');
    cg_json_append_number (out, numbers[i]);
  }
  g_string_append_c (out, ']');
}

/* The sizes between the labels and the output. */
static void
append_hidden (GString *out, const char *key, const CgMlp *mlp)
{
  g_string_append_printf (out, ",\"%s\":[", key);
  for (guint i = 1; i < mlp->layers; i++)
    g_string_append_printf (out, "%s%u", i > 1 ? "," : "", mlp->size[i]);
  g_string_append_c (out, ']');
}

static void
append_text (GString *out, const char *before, const char *text)
{
  g_string_append (out, before);
  cg_json_append_string (out, text);
}

char *
cg_model_config_to_json (const CgModel *model)
{
  const CgGeometry *g = &model->geometry;
  GString *out = g_string_new (NULL);

  append_text (out, "{\"name\":", model->name);
  append_text (out, ",\"provenance\":", model->provenance);
  append_text (out, ",\"licence\":", model->licence);
  g_string_append_printf (out, ",\"demo\":%s", model->demo ? "true" : "false");
  g_string_append_printf (out,
                          ",\"geometry\":{\"frames\":%u,\"tubelet\":%u,\"image\":%u,\"patch\":%u,"
                          "\"width\":%u,\"depth\":%u,\"heads\":%u,\"mlp\":%u,\"layer_norm_eps\":",
                          g->frames, g->tubelet, g->image, g->patch, g->width, g->depth, g->heads,
                          g->mlp);
  cg_json_append_number (out, g->layer_norm_eps);
  append_hidden (out, "scene_hidden", &g->scene);
  append_hidden (out, "text_hidden", &g->text);
  g_string_append_printf (out, ",\"text_width\":%u}",
                          g->text.layers > 0 ? g->text.size[g->text.layers] : 0);
  g_string_append (out, ",\"input\":{\"scale\":");
  cg_json_append_number (out, model->input.scale);
  append_numbers (out, "mean", model->input.mean, 3);
  append_numbers (out, "std", model->input.std, 3);
  g_string_append (out, ",\"resize\":\"" RESIZE "\"},\"sample_interval\":");
  cg_json_append_number (out, model->sample_interval);
  g_string_append (out, ",\"scenes\":[");
  for (guint i = 0; i < model->n_scenes; i++)
    append_text (out, i > 0 ? "," : "", model->scenes[i]);
  g_string_append_c (out, ']');
  append_numbers (out, "temperatures", model->temperatures, CG_LEVELS);
  g_string_append_c (out, '}');
  return g_string_free (out, FALSE);
}

/* The header's JSON, padded with spaces so that the data behind it is aligned. */
static GString *
make_header (const CgModel *model, const CgTensorSpec *table, guint n)
{
  g_autofree char *config = cg_model_config_to_json (model);
  g_autofree char *places = cg_places_to_json (model->places);
  GString *out = g_string_new ("{\"__metadata__\":{\"cityguessr.version\":\"" VERSION "\"");
  gsize offset = 0;

  append_text (out, ",\"cityguessr.config\":", config);
  append_text (out, ",\"cityguessr.places\":", places);
  g_string_append_c (out, '}');
  for (guint i = 0; i < n; i++) {
    gsize size = cg_tensor_spec_elements (&table[i]) * sizeof (float);
    append_text (out, ",", table[i].name);
    g_string_append (out, ":{\"dtype\":\"F32\",\"shape\":[");
    for (guint j = 0; j < table[i].rank; j++)
      g_string_append_printf (out, "%s%zu", j > 0 ? "," : "", table[i].shape[j]);
    g_string_append_printf (out, "],\"data_offsets\":[%zu,%zu]}", offset, offset + size);
    offset += size;
  }
  g_string_append_c (out, '}');
  while ((8 + out->len) % DATA_ALIGNMENT != 0)
    g_string_append_c (out, ' ');
  return out;
}

/* @n floats as little-endian bytes; returns what is behind them. */
static guint8 *
put_floats (guint8 *out, const float *values, gsize n)
{
  for (gsize i = 0; i < n; i++) {
    guint32 bits;
    memcpy (&bits, &values[i], sizeof bits);
    bits = GUINT32_TO_LE (bits);
    memcpy (out + i * sizeof bits, &bits, sizeof bits);
  }
  return out + n * sizeof (guint32);
}

/* The file that is to be replaced: @path, or where its links lead. Renaming would put a file in the place of whatever
 * stands there, a device or a link too. */
static char *
find_target (const char *path, const char *name, GError **error)
{
  char *real = g_file_test (path, G_FILE_TEST_EXISTS) ? realpath (path, NULL) : NULL;

  if (real && !g_file_test (real, G_FILE_TEST_IS_REGULAR)) {
    g_set_error (error, CG_ERROR, CG_ERROR_WRITE,
                 "%s: it is there and no regular file: give the name of a file", name);
    free (real);
    return NULL;
  }
  char *target = g_strdup (real ? real : path);
  free (real);
  return target;
}

gboolean
cg_model_save (const CgModel *model, const CgNetwork *network, const char *path, GError **error)
{
  guint n;
  g_autofree CgTensorSpec *table = cg_geometry_tensors (&model->geometry, &n);
  g_autoptr (GString) header = make_header (model, table, n);
  g_autofree char *name = g_filename_display_name (path);
  g_autofree guint8 *file = NULL;
  g_autofree char *target = NULL;
  g_autoptr (GError) write_error = NULL;
  gsize size = 8 + header->len;
  guint8 *at;

  if (header->len > CG_WEIGHTS_MAX_HEADER) {
    g_set_error (error, CG_ERROR, CG_ERROR_FORMAT,
                 "%s: the header would take %zu bytes, expected at most %" G_GUINT64_FORMAT
                 ": too many places",
                 name, header->len, CG_WEIGHTS_MAX_HEADER);
    return FALSE;
  }
  for (guint i = 0; i < n; i++)
    size += cg_tensor_spec_elements (&table[i]) * sizeof (float);
  file = g_try_malloc (size);
  if (!file) {
    g_set_error (error, CG_ERROR, CG_ERROR_MEMORY, "%s: no memory for its %zu bytes", name, size);
    return FALSE;
  }
  for (guint i = 0; i < 8; i++)
    file[i] = (guint8)((guint64)header->len >> (8 * i));
  memcpy (file + 8, header->str, header->len);
  at = file + 8 + header->len;
  for (guint i = 0; i < n; i++)
    at = put_floats (at, cg_network_tensor (network, i), cg_tensor_spec_elements (&table[i]));
  target = find_target (path, name, error);
  if (!target)
    return FALSE;
  if (!g_file_set_contents_full (target, (const char *)file, (gssize)size,
                                 G_FILE_SET_CONTENTS_CONSISTENT | G_FILE_SET_CONTENTS_DURABLE, 0666,
                                 &write_error)) {
    g_set_error (error, CG_ERROR, CG_ERROR_WRITE, "%s: %s", name, write_error->message);
    return FALSE;
  }
  return TRUE;
}
