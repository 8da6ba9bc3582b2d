/* What the CUDA engine takes on this GPU, as JSON: for tests/cuda/bundle/run.sh.
 *
 *   bench-device [--repeats=200] [--error] [GEOMETRY...]      default: small-16 small-6 base
 *
 *   { "results": [ { "geometry", "engine", "batch", "repeats", "median_ms", "p99_ms", "min_ms",
 *     "windows_per_s" } ], "errors": [ { "geometry", "relative_error" } ],
 *     "pictures": [ { "width", "height", "median_us" } ], "end_to_end": [ { "geometry", "median_ms" } ] }
 *
 * Milliseconds are of CUDA events around one batch, from sample pointers to outputs in host memory; four sets of
 * random pictures in turn. relative_error: L2, of the features, against our CPU engine in fp32. pictures: a 1080p NV12
 * picture from system memory into a sample, until the call returns. end_to_end: one such picture and one window.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include <dlfcn.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cuda/module.h"
#include "model/cuda.h"
#include "model/engine-private.h"
#include "model/generate.h"

#define SETS 4
#define MOST (SETS * CG_CUDA_MAX_BATCH * CG_MAX_FRAMES)

static const guint batches[] = { 1, 2, 4, 8, 16, 32 };

static gint repeats = 200;
static gboolean with_error;

static const CgCudaModule *
open_module (void)
{
  const char *path = g_getenv (CG_CUDA_MODULE_VARIABLE);
  void *handle = path ? dlopen (path, RTLD_NOW | RTLD_LOCAL) : NULL;
  void *symbol = handle ? dlsym (handle, CG_CUDA_MODULE_SYMBOL) : NULL;
  const CgCudaModule *(*entry) (void);

  memcpy (&entry, &symbol, sizeof entry);
  if (!entry)
    g_printerr ("bench-device: %s: %s\n", path ? path : CG_CUDA_MODULE_VARIABLE,
                path ? dlerror () : "is not set");
  return entry ? entry () : NULL;
}

static int
compare (const void *a, const void *b)
{
  const float x = *(const float *)a, y = *(const float *)b;
  return (x > y) - (x < y);
}

static float
quantile (const float *sorted, guint n, gdouble q)
{
  return sorted[MIN (n - 1, (guint)(q * n))];
}

/* ---- one geometry ---- */

typedef struct {
  const CgCudaModule *module;
  const char *geometry;
  CgModel *model;
  CgNetwork *network;
  CgCudaEngine *engine;
  guint frames, n_samples;
  CgCudaSample *samples[MOST];
} Bench;

static gboolean
complain (const char *what, const CgCudaError *error)
{
  g_printerr ("bench-device: %s: %s\n", what, error->message);
  return FALSE;
}

static gboolean
bench_open (Bench *b, CgCudaError *failure)
{
  g_autoptr (GError) error = NULL;
  const CgCudaOptions options = { .precision = CG_CUDA_PRECISION_AUTO };

  b->model = cg_model_generate (b->geometry, 1, &b->network, &error);
  g_autoptr (CgFolded) folded =
      b->model ? cg_network_fold (b->network, &b->model->input, &error) : NULL;
  if (!folded) {
    g_printerr ("bench-device: %s\n", error->message);
    return FALSE;
  }
  b->engine = b->module->open (folded, &options, failure);
  if (!b->engine)
    return complain (b->geometry, failure);
  b->frames = b->model->geometry.frames;
  b->n_samples = SETS * CG_CUDA_MAX_BATCH * b->frames;

  const guint image = b->model->geometry.image;
  g_autofree guint8 *pixels = g_malloc ((gsize)3 * image * image);
  const CgFrame frame = { .format = CG_FORMAT_RGB,
                          .width = image,
                          .height = image,
                          .plane = { pixels },
                          .stride = { 3 * (gint)image },
                          .full_range = TRUE };
  g_autoptr (GRand) rand = g_rand_new_with_seed (1);
  for (guint i = 0; i < b->n_samples; i++) {
    for (gsize k = 0; k < (gsize)3 * image * image; k++)
      pixels[k] = (guint8)(g_rand_int (rand) >> 24);
    b->samples[i] = b->module->sample_new (b->engine, failure);
    if (!b->samples[i] || !b->module->sample_put (b->engine, b->samples[i], &frame, failure))
      return complain (b->geometry, failure);
  }
  return TRUE;
}

static void
bench_close (Bench *b)
{
  for (guint i = 0; i < b->n_samples; i++)
    if (b->samples[i])
      b->module->sample_free (b->engine, b->samples[i]);
  b->module->close (b->engine);
  g_clear_pointer (&b->network, cg_network_free);
  g_clear_pointer (&b->model, cg_model_unref);
}

static gboolean
measure (Bench *b, GString *results)
{
  CgCudaError error = { 0 };
  g_autofree float *times = g_new (float, repeats);

  for (guint i = 0; i < G_N_ELEMENTS (batches); i++) {
    const guint n = batches[i];
    if (!b->module->time (b->engine, b->samples, SETS, n, 20, times, &error) ||
        !b->module->time (b->engine, b->samples, SETS, n, (guint)repeats, times, &error))
      return complain (b->geometry, &error);
    qsort (times, (gsize)repeats, sizeof *times, compare);
    const float median = quantile (times, (guint)repeats, 0.5) / 1000;
    g_string_append_printf (
        results,
        "%s\n    {\"geometry\": \"%s\", \"engine\": \"%s\", \"batch\": %u, \"repeats\": %d, "
        "\"median_ms\": %.4f, \"p99_ms\": %.4f, \"min_ms\": %.4f, \"windows_per_s\": %.1f}",
        results->len ? "," : "", b->geometry, b->module->describe (b->engine), n, repeats,
        (gdouble)median, (gdouble)quantile (times, (guint)repeats, 0.99) / 1000,
        (gdouble)times[0] / 1000, (gdouble)(1000 * (float)n / median));
  }
  return TRUE;
}

/* The first window, here and on the CPU. */
static gboolean
measure_error (Bench *b, GString *errors)
{
  const CgEngineOptions options = { .precision = CG_PRECISION_FP32 };
  const CgGeometry *g = &b->model->geometry;
  const gsize size = (gsize)3 * g->image * g->image;
  g_autoptr (GError) error = NULL;
  CgCudaError failure = { 0 };
  g_autofree guint8 *pixels = g_malloc (size);
  g_autofree CgOutputs *found = cg_outputs_new (g, FALSE), *expected = cg_outputs_new (g, FALSE);
  const CgFrame frame = { .format = CG_FORMAT_RGB,
                          .width = g->image,
                          .height = g->image,
                          .plane = { pixels },
                          .stride = { 3 * (gint)g->image },
                          .full_range = TRUE };
  const CgBackend *cpu = cg_backend_cpu ();
  gpointer samples[CG_MAX_FRAMES], engine = cpu->open (b->model, b->network, &options, &error);
  const gint cancel = 0;
  gboolean done = engine != NULL;

  for (guint i = 0; i < g->frames && done; i++) {
    cg_generate_frame (1, 0, i, g->image, pixels);
    samples[i] = cpu->sample_new (engine, &error);
    done = samples[i] && cpu->sample_put (engine, samples[i], &frame, &error) &&
           b->module->sample_put (b->engine, b->samples[i], &frame, &failure);
  }
  done = done && cpu->run (engine, samples, 1, &expected, &cancel, &error) &&
         b->module->run (b->engine, b->samples, 1, &found, NULL, &failure);
  if (done) {
    gdouble difference = 0, norm = 0;
    for (guint i = 0; i < g->width; i++) {
      difference += pow ((gdouble)found->features[i] - expected->features[i], 2);
      norm += pow (expected->features[i], 2);
    }
    g_string_append_printf (errors, "%s\n    {\"geometry\": \"%s\", \"relative_error\": %.3e}",
                            errors->len ? "," : "", b->geometry, sqrt (difference / norm));
    for (guint i = 0; i < g->frames; i++)
      cpu->sample_free (engine, samples[i]);
    cpu->close (engine);
  } else
    g_printerr ("bench-device: %s: %s\n", b->geometry, error ? error->message : failure.message);
  return done;
}

/* A picture as a decoder gives it, and the window that it completes. */
static gboolean
measure_pictures (Bench *b, GString *pictures, GString *end_to_end)
{
  enum { WIDTH = 1920, HEIGHT = 1080 };
  g_autofree guint8 *planes = g_malloc (WIDTH * HEIGHT * 3 / 2);
  g_autofree float *puts = g_new (float, repeats), *all = g_new (float, repeats);
  g_autofree CgOutputs *outputs = cg_outputs_new (&b->model->geometry, TRUE);
  const CgFrame frame = { .format = CG_FORMAT_NV12,
                          .width = WIDTH,
                          .height = HEIGHT,
                          .plane = { planes, planes + WIDTH * HEIGHT },
                          .stride = { WIDTH, WIDTH },
                          .matrix = CG_MATRIX_BT709 };
  CgCudaError error = { 0 };

  for (gsize i = 0; i < WIDTH * HEIGHT * 3 / 2; i++)
    planes[i] = (guint8)(cg_generate_draw (1, i) >> 56);
  for (gint i = -20; i < repeats; i++) {
    const gint64 start = g_get_monotonic_time ();
    if (!b->module->sample_put (b->engine, b->samples[(guint)(i + 20) % b->frames], &frame, &error))
      return complain (b->geometry, &error);
    const gint64 between = g_get_monotonic_time ();
    if (!b->module->run (b->engine, b->samples, 1, &outputs, NULL, &error))
      return complain (b->geometry, &error);
    if (i >= 0) {
      puts[i] = (float)(between - start);
      all[i] = (float)(g_get_monotonic_time () - start) / 1000;
    }
  }
  qsort (puts, (gsize)repeats, sizeof *puts, compare);
  qsort (all, (gsize)repeats, sizeof *all, compare);
  if (!pictures->len)
    g_string_append_printf (pictures, "\n    {\"width\": %d, \"height\": %d, \"median_us\": %.1f}",
                            WIDTH, HEIGHT, (gdouble)quantile (puts, (guint)repeats, 0.5));
  g_string_append_printf (end_to_end, "%s\n    {\"geometry\": \"%s\", \"median_ms\": %.4f}",
                          end_to_end->len ? "," : "", b->geometry,
                          (gdouble)quantile (all, (guint)repeats, 0.5));
  return TRUE;
}

int
main (int argc, char **argv)
{
  g_auto (GStrv) names = NULL;
  const GOptionEntry entries[] = {
    { "repeats", 0, 0, G_OPTION_ARG_INT, &repeats, "Runs of each batch size", "N" },
    { "error", 0, 0, G_OPTION_ARG_NONE, &with_error, "Compare with the CPU engine", NULL },
    { G_OPTION_REMAINING, 0, 0, G_OPTION_ARG_STRING_ARRAY, &names, NULL, "GEOMETRY..." },
    { NULL }
  };
  static const char *const defaults[] = { "small-16", "small-6", "base", NULL };
  g_autoptr (GOptionContext) context = g_option_context_new (NULL);
  g_autoptr (GError) error = NULL;
  g_autoptr (GString) results = g_string_new (NULL), errors = g_string_new (NULL),
                      pictures = g_string_new (NULL), end_to_end = g_string_new (NULL);
  gboolean done = TRUE;

  g_option_context_add_main_entries (context, entries, NULL);
  if (!g_option_context_parse (context, &argc, &argv, &error) || repeats < 1) {
    g_printerr ("bench-device: %s\n", error ? error->message : "--repeats is at least 1");
    return 2;
  }
  const CgCudaModule *module = open_module ();
  if (!module)
    return 1;
  for (const char *const *name = names ? (const char *const *)names : defaults; *name; name++) {
    g_autofree Bench *b = g_new0 (Bench, 1);
    CgCudaError failure = { 0 };
    b->module = module;
    b->geometry = *name;
    done &= bench_open (b, &failure) && measure (b, results) &&
            measure_pictures (b, pictures, end_to_end) &&
            (!with_error || measure_error (b, errors));
    bench_close (b);
  }
  g_print ("{\n  \"results\": [%s],\n  \"errors\": [%s],\n  \"pictures\": [%s],\n  \"end_to_end\": "
           "[%s]\n}\n",
           results->str, errors->str, pictures->str, end_to_end->str);
  return done ? 0 : 1;
}
