/* The `cityguessr` command: looks into model files, makes untrained ones, measures the engines and the element.
 *
 *   cityguessr inspect FILE [--tensors] [--json]
 *   cityguessr generate PRESET -o FILE [--seed N]
 *   cityguessr bench ...
 *   cityguessr bench-element ...
 *
 * Exit status: 0, 1 if it could not be done, 2 if it was called wrongly.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include <errno.h>
#include <json-glib/json-glib.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench-element.h"
#include "bench.h"
#include "model/model.h"
#include "model/weights.h"

#define EXIT_USAGE 2

/* ---- messages ---- */

static int
failed (const GError *error)
{
  fprintf (stderr, "%s: %s\n", g_get_prgname (), error->message);
  return EXIT_FAILURE;
}

G_GNUC_PRINTF (1, 2)
static int
misused (const char *format, ...)
{
  va_list args;

  fprintf (stderr, "%s: ", g_get_prgname ());
  va_start (args, format);
  vfprintf (stderr, format, args);
  va_end (args);
  fprintf (stderr, "\nTry: %s --help\n", g_get_prgname ());
  return EXIT_USAGE;
}

/* ---- inspect ---- */

/* A model file, twice: as a model, and as the tensors that it holds. */
typedef struct {
  const char *path;
  CgModel *model;
  CgWeights *weights;
} File;

static guint64
count_parameters (const File *file)
{
  guint64 parameters = 0;
  for (guint i = 0; i < cg_weights_n_tensors (file->weights); i++)
    parameters += cg_tensor_spec_elements (cg_weights_tensor (file->weights, i, NULL));
  return parameters;
}

static void
print_tensors (const File *file)
{
  for (guint i = 0; i < cg_weights_n_tensors (file->weights); i++) {
    const char *type;
    const CgTensorSpec *tensor = cg_weights_tensor (file->weights, i, &type);
    printf ("  %-4s %s ", type, tensor->name);
    for (guint d = 0; d < tensor->rank; d++)
      printf ("[%" G_GSIZE_FORMAT "]", tensor->shape[d]);
    putchar ('\n');
  }
}

/* "F32", or "F16 and F32" */
static char *
list_types (const File *file)
{
  static const char *const types[] = { "BF16", "F16", "F32" };
  GString *list = g_string_new (NULL);
  for (guint t = 0; t < G_N_ELEMENTS (types); t++) {
    for (guint i = 0; i < cg_weights_n_tensors (file->weights); i++) {
      const char *type;
      cg_weights_tensor (file->weights, i, &type);
      if (g_str_equal (type, types[t])) {
        g_string_append_printf (list, "%s%s", list->len > 0 ? " and " : "", type);
        break;
      }
    }
  }
  return g_string_free (list, FALSE);
}

static void
print_mlp (const char *title, const CgMlp *mlp)
{
  printf ("%-17s", title);
  if (mlp->layers == 0)
    fputs ("none", stdout);
  for (guint i = 0; mlp->layers > 0 && i <= mlp->layers; i++)
    printf ("%s%u", i > 0 ? " -> " : "", mlp->size[i]);
  putchar ('\n');
}

static void
print_text (const File *file, gboolean with_tensors)
{
  const CgModel *model = file->model;
  const CgGeometry *g = &model->geometry;
  const CgPlaces *places = model->places;
  const CgInput *input = &model->input;
  g_autofree char *types = list_types (file);

  printf ("%s\n\n", file->path);
  printf ("name             %s%s\n", model->name, model->demo ? " (a demonstration model)" : "");
  printf ("provenance       %s\n", model->provenance);
  printf ("licence          %s\n", model->licence);
  printf ("places           %s: %u cities, %u states, %u countries, %u continents\n",
          cg_places_name (places), cg_places_count (places, CG_CITY),
          cg_places_count (places, CG_STATE), cg_places_count (places, CG_COUNTRY),
          cg_places_count (places, CG_CONTINENT));
  printf ("window           %u samples, one every %g s: %g s\n", g->frames, model->sample_interval,
          (g->frames - 1) * model->sample_interval);
  printf ("input            %ux%u pixels, (pixel * %g - (%g, %g, %g)) / (%g, %g, %g)\n", g->image,
          g->image, input->scale, input->mean[0], input->mean[1], input->mean[2], input->std[0],
          input->std[1], input->std[2]);
  printf ("network          %u tokens (%u frames of %ux%u pixels each), width %u, depth %u,\n",
          cg_geometry_tokens (g), g->tubelet, g->patch, g->patch, g->width, g->depth);
  printf ("                 %u heads of %u, mlp %u, LayerNorm eps %g\n", g->heads,
          g->width / g->heads, g->mlp, g->layer_norm_eps);
  printf ("temperatures     city %g, state %g, country %g, continent %g\n",
          model->temperatures[CG_CITY], model->temperatures[CG_STATE],
          model->temperatures[CG_COUNTRY], model->temperatures[CG_CONTINENT]);
  print_mlp ("scene head", &g->scene);
  for (guint i = 0; i < model->n_scenes; i++)
    printf ("%17s%s\n", "", model->scenes[i]);
  print_mlp ("text head", &g->text);
  printf ("tensors          %u, %s\n", cg_weights_n_tensors (file->weights), types);
  printf ("parameters       %.1f million\n", count_parameters (file) / 1e6);
  printf ("work             %.1f GFLOP per window\n", cg_geometry_flops (g) / 1e9);
  if (with_tensors) {
    putchar ('\n');
    print_tensors (file);
  }
}

static JsonObject *
places_to_json (const CgPlaces *places)
{
  static const char *const names[CG_LEVELS] = { "cities", "states", "countries", "continents" };
  JsonObject *object = json_object_new ();
  json_object_set_string_member (object, "name", cg_places_name (places));
  for (guint level = CG_CITY; level < CG_LEVELS; level++)
    json_object_set_int_member (object, names[level], cg_places_count (places, level));
  return object;
}

static JsonArray *
tensors_to_json (const CgWeights *weights)
{
  JsonArray *array = json_array_new ();
  for (guint i = 0; i < cg_weights_n_tensors (weights); i++) {
    const char *type;
    const CgTensorSpec *tensor = cg_weights_tensor (weights, i, &type);
    JsonObject *object = json_object_new ();
    JsonArray *shape = json_array_new ();
    for (guint d = 0; d < tensor->rank; d++)
      json_array_add_int_element (shape, tensor->shape[d]);
    json_object_set_string_member (object, "name", tensor->name);
    json_object_set_string_member (object, "dtype", type);
    json_object_set_array_member (object, "shape", shape);
    json_array_add_object_element (array, object);
  }
  return array;
}

/* The config of the file, and beside its keys what else there is to know. */
static gboolean
print_json (const File *file, GError **error)
{
  g_autofree char *config = cg_model_config_to_json (file->model);
  g_autofree char *path = g_filename_display_name (file->path);
  g_autoptr (JsonNode) root = json_from_string (config, error);
  if (!root)
    return FALSE;

  JsonObject *object = json_node_get_object (root);
  json_object_set_string_member (object, "file", path);
  json_object_set_int_member (object, "parameters", count_parameters (file));
  json_object_set_double_member (object, "flops", cg_geometry_flops (&file->model->geometry));
  json_object_set_object_member (object, "places", places_to_json (file->model->places));
  json_object_set_array_member (object, "tensors", tensors_to_json (file->weights));
  g_autofree char *text = json_to_string (root, TRUE);
  puts (text);
  return TRUE;
}

static int
inspect (int argc, char **argv)
{
  gboolean json = FALSE, tensors = FALSE;
  g_auto (GStrv) paths = NULL;
  const GOptionEntry entries[] = {
    { "json", 0, 0, G_OPTION_ARG_NONE, &json, "Print everything, tensors too, as JSON", NULL },
    { "tensors", 0, 0, G_OPTION_ARG_NONE, &tensors, "List every tensor", NULL },
    { G_OPTION_REMAINING, 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &paths, NULL, "FILE" },
    G_OPTION_ENTRY_NULL,
  };
  g_autoptr (GOptionContext) context = g_option_context_new (NULL);
  g_autoptr (GError) error = NULL;

  g_option_context_set_summary (context, "Checks a model file and shows what it holds.");
  g_option_context_add_main_entries (context, entries, NULL);
  if (!g_option_context_parse (context, &argc, &argv, &error))
    return misused ("%s", error->message);
  if (!paths || g_strv_length (paths) != 1)
    return misused ("expected one model file");

  g_autoptr (CgModel) model = cg_model_load (paths[0], NULL, &error);
  g_autoptr (CgWeights) weights = model ? cg_weights_open (paths[0], &error) : NULL;
  if (!weights)
    return failed (error);

  const File file = { paths[0], model, weights };
  if (!json)
    print_text (&file, tensors);
  else if (!print_json (&file, &error))
    return failed (error);
  return EXIT_SUCCESS;
}

/* ---- generate ---- */

static int
generate (int argc, char **argv)
{
  gint64 seed = 1;
  g_autofree char *path = NULL;
  g_auto (GStrv) presets = NULL;
  const GOptionEntry entries[] = {
    { "output", 'o', 0, G_OPTION_ARG_FILENAME, &path, "Where to write the model", "FILE" },
    { "seed", 0, 0, G_OPTION_ARG_INT64, &seed, "Other weights for every number (1)", "N" },
    { G_OPTION_REMAINING, 0, 0, G_OPTION_ARG_STRING_ARRAY, &presets, NULL, "PRESET" },
    G_OPTION_ENTRY_NULL,
  };
  g_autoptr (GOptionContext) context = g_option_context_new (NULL);
  g_autoptr (GError) error = NULL;

  g_option_context_set_summary (
      context, "Writes a model file of full size with generated, untrained weights, for\n"
               "benchmarks and for trying out pipelines. PRESET: small-16, small-6, base,\n"
               "large, tiny.");
  g_option_context_add_main_entries (context, entries, NULL);
  if (!g_option_context_parse (context, &argc, &argv, &error))
    return misused ("%s", error->message);
  if (!presets || g_strv_length (presets) != 1)
    return misused ("expected one preset");
  if (!path)
    return misused ("expected -o FILE");
  if (seed < 0)
    return misused ("--seed is %" G_GINT64_FORMAT ", expected 0 or more", seed);

  g_autoptr (CgNetwork) network = NULL;
  g_autoptr (CgModel) model = cg_model_generate (presets[0], seed, &network, &error);
  if (!model || !cg_model_save (model, network, path, &error))
    return failed (error);
  printf ("%s: %s. The weights are generated, not trained: its answers mean nothing.\n", path,
          model->name);
  return EXIT_SUCCESS;
}

/* ---- the command ---- */

static const struct {
  const char *name, *summary;
  int (*run) (int argc, char **argv);
} commands[] = {
  { "inspect", "shows what a model file holds", inspect },
  { "generate", "writes a model file with untrained weights", generate },
  { "bench", "measures the engines on this machine", cg_bench_main },
  { "bench-element", "measures the element in pipelines on this machine", cg_bench_element_main },
};

static GOptionContext *
command_context (const GOptionEntry *entries)
{
  g_autoptr (GString) summary = g_string_new ("Commands:");
  for (guint i = 0; i < G_N_ELEMENTS (commands); i++)
    g_string_append_printf (summary, "\n  %-14s %s", commands[i].name, commands[i].summary);
  g_string_append (summary, "\n\ncityguessr COMMAND --help tells more of each.");

  GOptionContext *context = g_option_context_new ("COMMAND [ARGUMENT...]");
  g_option_context_set_summary (context, summary->str);
  g_option_context_add_main_entries (context, entries, NULL);
  g_option_context_set_strict_posix (context, TRUE); /* what follows COMMAND is the command's own */
  return context;
}

static int
run_command (int argc, char **argv)
{
  gboolean version = FALSE;
  const GOptionEntry entries[] = {
    { "version", 0, 0, G_OPTION_ARG_NONE, &version, "Print the version", NULL },
    G_OPTION_ENTRY_NULL,
  };
  g_autoptr (GOptionContext) context = command_context (entries);
  g_autoptr (GError) error = NULL;

  if (!g_option_context_parse (context, &argc, &argv, &error))
    return misused ("%s", error->message);
  if (version) {
    puts ("cityguessr " PACKAGE_VERSION);
    return EXIT_SUCCESS;
  }
  if (argc < 2)
    return misused ("expected a command");

  for (guint i = 0; i < G_N_ELEMENTS (commands); i++) {
    if (g_str_equal (argv[1], commands[i].name)) {
      g_autofree char *name = g_strdup_printf ("cityguessr %s", commands[i].name);
      g_set_prgname (name); /* for its messages and its --help */
      return commands[i].run (argc - 1, argv + 1);
    }
  }
  return misused ("\"%s\" is not a command", argv[1]);
}

int
main (int argc, char **argv)
{
  setlocale (LC_CTYPE, ""); /* and no more: numbers are written with a point everywhere */
  g_set_prgname ("cityguessr");
  const int status = run_command (argc, argv);

  if (fflush (stdout) != 0 || ferror (stdout)) {
    fprintf (stderr, "cityguessr: could not write the output: %s\n", g_strerror (errno));
    return EXIT_FAILURE;
  }
  return status;
}
