/* `cityguessr bench --engine cuda`: see bench-cuda.h.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "bench-cuda.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/cuda.h"
#include "model/generate.h"
#include "model/shot.h"

#define SEED 1
#define SETS 4
#define MOST 32 /* windows */
#define STREAM_SECONDS 10
#define HOP 2 /* samples */

static const guint batches[] = { 1, 2, 4, 8, 16, 32 };

/* One network in one precision. @samples: [SETS][MOST][frames]. @device, @apart: in the GPU's memory, of the engine's context
 * and of others. */
typedef struct {
  const BenchOptions *options;
  const char *geometry;
  const BenchCudaScale *scale;
  guint repeats, frames, most;
  CgModel *model;
  CgNetwork *network;
  gpointer backend;
  GPtrArray *samples;
  guint8 *planes[SETS];
  CgFrame system[SETS], device[SETS], apart[SETS];
  CgOutputs *outputs;
  float *microseconds; /* [repeats] */
  JsonObject *root;
} CudaBench;

/* ---- what is found ---- */

/* One more object in the list @name; with what it was measured on. */
static JsonObject *
add_entry (const CudaBench *b, const char *name)
{
  JsonObject *entry = json_object_new ();

  json_object_set_string_member (entry, "geometry", b->geometry);
  json_object_set_string_member (entry, "engine", cg_backend_cuda ()->describe (b->backend));
  json_array_add_object_element (json_object_get_array_member (b->root, name), entry);
  return entry;
}

/* @times, of @repeats, in thousandths of @unit ("ms") if @scale is 1000. */
static BenchSummary
set_times (JsonObject *entry, const float *times, guint repeats, gdouble scale, const char *unit)
{
  static const char *const names[] = { "min", "median", "p99" };
  g_autoptr (GArray) sorted = g_array_new (FALSE, FALSE, sizeof (gdouble));

  for (guint i = 0; i < repeats; i++) {
    gdouble time = (gdouble)times[i] / scale;
    g_array_append_val (sorted, time);
  }
  const BenchSummary s = bench_summarise (sorted);
  const gdouble found[] = { s.min, s.median, s.p99 };
  for (guint i = 0; i < G_N_ELEMENTS (names); i++) {
    g_autofree char *member = g_strdup_printf ("%s_%s", names[i], unit);
    json_object_set_double_member (entry, member, found[i]);
  }
  json_object_set_int_member (entry, "repeats", repeats);
  return s;
}

/* ---- inputs ---- */

static CgModel *
get_model (const CudaBench *b, CgNetwork **network, GError **error)
{
  return b->options->model ? cg_model_load (b->options->model, network, error)
                           : cg_model_generate (b->geometry, SEED, network, error);
}

static void
fill_random (GRand *rand, guint8 *bytes, gsize n)
{
  gsize i = 0;

  for (; i + 4 <= n; i += 4) {
    const guint32 word = g_rand_int (rand);
    memcpy (bytes + i, &word, 4);
  }
  for (; i < n; i++)
    bytes[i] = (guint8)g_rand_int (rand);
}

static gboolean
make_samples (CudaBench *b, GRand *rand, GError **error)
{
  const guint image = b->model->geometry.image;
  const gsize size = (gsize)3 * image * image;
  g_autofree guint8 *pixels = g_malloc (size);
  const CgFrame frame = cg_frame_of_sample (image, pixels);

  for (guint i = 0; i < SETS * b->most * b->frames; i++) {
    gpointer sample = cg_backend_cuda ()->sample_new (b->backend, error);
    if (sample == NULL)
      return FALSE;
    g_ptr_array_add (b->samples, sample);
    fill_random (rand, pixels, size);
    if (!cg_backend_cuda ()->sample_put (b->backend, sample, &frame, error))
      return FALSE;
  }
  return TRUE;
}

/* NV12, as decoders give it. */
static gboolean
make_pictures (CudaBench *b, GRand *rand, GError **error)
{
  const guint width = b->scale->width, height = b->scale->height;
  const gsize luma = (gsize)width * height;
  const gsize size = luma + (gsize)width * ((height + 1) / 2);

  for (guint i = 0; i < SETS; i++) {
    b->planes[i] = g_malloc (size);
    fill_random (rand, b->planes[i], size);
    b->system[i] = (CgFrame){ .format = CG_FORMAT_NV12,
                              .width = width,
                              .height = height,
                              .plane = { b->planes[i], b->planes[i] + luma },
                              .stride = { (gint)width, (gint)width },
                              .matrix = CG_MATRIX_BT709,
                              .cosited_h = TRUE };
    if (!cg_cuda_picture_new (b->backend, &b->system[i], FALSE, &b->device[i], error) ||
        !cg_cuda_picture_new (b->backend, &b->system[i], TRUE, &b->apart[i], error))
      return FALSE;
  }
  return TRUE;
}

static gboolean
bench_open (CudaBench *b, CgPrecision precision, GError **error)
{
  const CgEngineOptions options = { .device = CG_DEVICE_CUDA, .precision = precision };
  g_autoptr (GRand) rand = g_rand_new_with_seed (SEED);

  b->model = get_model (b, &b->network, error);
  b->backend = b->model ? cg_backend_cuda ()->open (b->model, b->network, &options, error) : NULL;
  if (b->backend == NULL)
    return FALSE;
  b->frames = b->model->geometry.frames;
  b->outputs = cg_outputs_new (&b->model->geometry, TRUE);
  return make_samples (b, rand, error) && make_pictures (b, rand, error);
}

static void
bench_close (CudaBench *b)
{
  for (guint i = 0; i < b->samples->len; i++)
    cg_backend_cuda ()->sample_free (b->backend, b->samples->pdata[i]);
  for (guint i = 0; i < SETS; i++) {
    if (b->device[i].plane[0])
      cg_cuda_picture_free (b->backend, &b->device[i]);
    if (b->apart[i].plane[0])
      cg_cuda_picture_free (b->backend, &b->apart[i]);
    g_free (b->planes[i]);
  }
  g_ptr_array_unref (b->samples);
  g_free (b->outputs);
  g_free (b->microseconds);
  cg_backend_cuda ()->close (b->backend);
  g_clear_pointer (&b->network, cg_network_free);
  g_clear_pointer (&b->model, cg_model_unref);
}

/* ---- what is measured ---- */

static gboolean
measure_batch (CudaBench *b, guint n, GError **error)
{
  const guint warm = b->repeats / 10;
  gpointer const *samples = b->samples->pdata;

  if (!cg_cuda_time (b->backend, samples, SETS, n, warm, b->microseconds, error) ||
      !cg_cuda_time (b->backend, samples, SETS, n, b->repeats, b->microseconds, error))
    return FALSE;
  JsonObject *entry = add_entry (b, "results");
  json_object_set_int_member (entry, "batch", n);
  const BenchSummary s = set_times (entry, b->microseconds, b->repeats, 1000, "ms");
  json_object_set_double_member (entry, "windows_per_s", 1000 * n / s.median);
  return TRUE;
}

static gboolean
measure_batches (CudaBench *b, GError **error)
{
  if (b->options->batch > 0)
    return measure_batch (b, (guint)b->options->batch, error);
  for (guint i = 0; i < G_N_ELEMENTS (batches); i++)
    if (!measure_batch (b, batches[i], error))
      return FALSE;
  return TRUE;
}

static void
add_picture (CudaBench *b, const char *from)
{
  JsonObject *entry = add_entry (b, "pictures");

  json_object_set_string_member (entry, "from", from);
  json_object_set_int_member (entry, "width", b->scale->width);
  json_object_set_int_member (entry, "height", b->scale->height);
  json_object_set_int_member (entry, "image", b->model->geometry.image);
  set_times (entry, b->microseconds, b->repeats, 1, "us");
}

/* Pictures in the GPU's memory: one at a time; one behind the other, as many streams give them; and in another context,
 * as a decoder's are. */
static gboolean
measure_device_pictures (CudaBench *b, GError **error)
{
  const struct {
    const char *name;
    const CgFrame *pictures;
    guint row;
  } ways[] = { { "device", b->device, 1 },
               { "device-in-a-row", b->device, 20 },
               { "device-apart", b->apart, 1 } };
  gpointer sample = b->samples->pdata[0];

  for (guint i = 0; i < G_N_ELEMENTS (ways); i++) {
    if (!cg_cuda_time_put (b->backend, sample, ways[i].pictures, SETS, ways[i].row, b->repeats / 10,
                           b->microseconds, error) ||
        !cg_cuda_time_put (b->backend, sample, ways[i].pictures, SETS, ways[i].row, b->repeats,
                           b->microseconds, error))
      return FALSE;
    add_picture (b, ways[i].name);
  }
  return TRUE;
}

static gboolean
measure_pictures (CudaBench *b, GError **error)
{
  const CgBackend *cuda = cg_backend_cuda ();
  gpointer sample = b->samples->pdata[0];

  if (!measure_device_pictures (b, error))
    return FALSE;
  for (guint i = 0; i < b->repeats + b->repeats / 10; i++) {
    const gint64 start = g_get_monotonic_time ();
    if (!cuda->sample_put (b->backend, sample, &b->system[i % SETS], error))
      return FALSE;
    b->microseconds[i % b->repeats] = (float)(g_get_monotonic_time () - start);
  }
  add_picture (b, "system");
  return TRUE;
}

/* What an element does with the @i-th picture, as a sample and for its shot, and the window that it completes. */
static gboolean
answer (CudaBench *b, guint i, gboolean with_window, GError **error)
{
  const gint cancel = 0;
  const guint image = b->model->geometry.image;
  const CgBackend *cuda = cg_backend_cuda ();
  gpointer const *window = b->samples->pdata + (gsize)(i % SETS) * b->frames;
  gpointer sample = window[i % b->frames];
  g_autofree guint8 *pixels = g_malloc ((gsize)3 * image * image);
  const CgFrame seen = cg_frame_of_sample (image, pixels);
  CgShotSignature signature;

  if (!cuda->sample_put (b->backend, sample, &b->device[i % SETS], error) ||
      !cuda->sample_get (b->backend, sample, pixels, error))
    return FALSE;
  cg_shot_describe (&seen, &signature);
  return !with_window || cuda->run (b->backend, window, 1, &b->outputs, &cancel, error);
}

static gboolean
measure_end_to_end (CudaBench *b, GError **error)
{
  for (guint i = 0; i < b->repeats + b->repeats / 10; i++) {
    const gint64 start = g_get_monotonic_time ();
    if (!answer (b, i, TRUE, error))
      return FALSE;
    b->microseconds[i % b->repeats] = (float)(g_get_monotonic_time () - start);
  }
  set_times (add_entry (b, "end_to_end"), b->microseconds, b->repeats, 1000, "ms");
  return TRUE;
}

static gboolean
measure_live (CudaBench *b, GError **error)
{
  const guint pictures = (guint)(b->scale->streams * STREAM_SECONDS / b->model->sample_interval);
  const gint64 start = g_get_monotonic_time ();

  for (guint i = 0; i < pictures; i++)
    if (!answer (b, i, i % HOP == HOP - 1, error))
      return FALSE;
  const gdouble seconds = (gdouble)(g_get_monotonic_time () - start) / G_USEC_PER_SEC;
  JsonObject *entry = add_entry (b, "live");
  json_object_set_int_member (entry, "streams", b->scale->streams);
  json_object_set_int_member (entry, "seconds", STREAM_SECONDS);
  json_object_set_int_member (entry, "pictures", pictures);
  json_object_set_int_member (entry, "windows", pictures / HOP);
  json_object_set_double_member (entry, "share", seconds / STREAM_SECONDS);
  return TRUE;
}

/* The features of generated window 0 by @backend; its samples are freed, but for ours. */
static gboolean
compute_features (const CudaBench *b, const CgBackend *backend, gpointer self, float *features,
                  GError **error)
{
  const CgGeometry *g = &b->model->geometry;
  g_autofree guint8 *pixels = g_malloc ((gsize)3 * g->image * g->image);
  g_autofree CgOutputs *outputs = cg_outputs_new (g, FALSE);
  const CgFrame frame = cg_frame_of_sample (g->image, pixels);
  gpointer samples[CG_MAX_FRAMES] = { NULL };
  const gint cancel = 0;
  gboolean done = TRUE;

  for (guint i = 0; i < g->frames && done; i++) {
    cg_generate_frame (SEED, 0, i, g->image, pixels);
    samples[i] = backend->sample_new (self, error);
    done = samples[i] != NULL && backend->sample_put (self, samples[i], &frame, error);
  }
  done = done && backend->run (self, samples, 1, &outputs, &cancel, error);
  if (done)
    memcpy (features, outputs->features, g->width * sizeof (float));
  for (guint i = 0; i < g->frames; i++)
    if (samples[i] != NULL)
      backend->sample_free (self, samples[i]);
  return done;
}

static gboolean
measure_error (CudaBench *b, GError **error)
{
  const CgEngineOptions options = { .precision = CG_PRECISION_FP32 };
  const guint width = b->model->geometry.width;
  g_autofree float *found = g_new (float, width), *expected = g_new (float, width);
  gpointer cpu = cg_backend_cpu ()->open (b->model, b->network, &options, error);
  gdouble difference = 0, norm = 0;
  gboolean done = cpu != NULL && compute_features (b, cg_backend_cpu (), cpu, expected, error) &&
                  compute_features (b, cg_backend_cuda (), b->backend, found, error);

  if (cpu != NULL)
    cg_backend_cpu ()->close (cpu);
  if (!done)
    return FALSE;
  for (guint i = 0; i < width; i++) {
    difference += pow ((gdouble)found[i] - (gdouble)expected[i], 2);
    norm += pow ((gdouble)expected[i], 2);
  }
  json_object_set_double_member (add_entry (b, "errors"), "relative_error",
                                 sqrt (difference / norm));
  return TRUE;
}

static gboolean
measure (CudaBench *b, CgPrecision precision, GError **error)
{
  gboolean done;

  b->samples = g_ptr_array_new ();
  b->microseconds = g_new (float, b->repeats);
  b->most = b->options->batch > 0 ? (guint)b->options->batch : MOST;
  done = bench_open (b, precision, error) && measure_batches (b, error) &&
         measure_pictures (b, error) && measure_end_to_end (b, error) && measure_live (b, error) &&
         measure_error (b, error);
  bench_close (b);
  return done;
}

/* ---- as a table ---- */

static gdouble
number (JsonObject *entry, const char *member)
{
  return json_object_get_double_member (entry, member);
}

static void
print_entry (JsonArray *array, guint index, JsonNode *node, gpointer name)
{
  JsonObject *e = json_node_get_object (node);
  const char *geometry = json_object_get_string_member (e, "geometry");

  if (g_str_equal (name, "results"))
    g_print ("%-10s batch %2d: median %.3f ms, p99 %.3f, min %.3f, %.0f windows/s  (%s)\n",
             geometry, (gint)json_object_get_int_member (e, "batch"), number (e, "median_ms"),
             number (e, "p99_ms"), number (e, "min_ms"), number (e, "windows_per_s"),
             json_object_get_string_member (e, "engine"));
  else if (g_str_equal (name, "pictures"))
    g_print ("%-10s NV12 %dx%d to a model frame, from %s: median %.1f us, p99 %.1f\n", geometry,
             (gint)json_object_get_int_member (e, "width"),
             (gint)json_object_get_int_member (e, "height"),
             json_object_get_string_member (e, "from"), number (e, "median_us"),
             number (e, "p99_us"));
  else if (g_str_equal (name, "end_to_end"))
    g_print ("%-10s from the last picture to the answer: median %.3f ms, p99 %.3f\n", geometry,
             number (e, "median_ms"), number (e, "p99_ms"));
  else if (g_str_equal (name, "live"))
    g_print ("%-10s %d live streams take %.1f %% of the GPU\n", geometry,
             (gint)json_object_get_int_member (e, "streams"), 100 * number (e, "share"));
  else
    g_print ("%-10s relative error of the features %.2e\n", geometry, number (e, "relative_error"));
}

/* ---- the command ---- */

static CgPrecision
precision_from_name (const char *name)
{
  return g_str_equal (name, "fp16")   ? CG_PRECISION_FP16
         : g_str_equal (name, "bf16") ? CG_PRECISION_BF16
         : g_str_equal (name, "fp32") ? CG_PRECISION_FP32
                                      : CG_PRECISION_AUTO;
}

/* All networks in all precisions, into @root. */
static gboolean
measure_all (const BenchOptions *options, const BenchCudaScale *scale, JsonObject *root,
             GError **error)
{
  static const char *const usual[] = { "auto", NULL };
  const char *const *precisions =
      options->precisions ? (const char *const *)options->precisions : usual;

  for (char **geometry = options->geometries; *geometry; geometry++)
    for (const char *const *precision = precisions; *precision; precision++) {
      CudaBench bench = { .options = options,
                          .geometry = *geometry,
                          .scale = scale,
                          .repeats = (guint)options->rounds,
                          .root = root };
      if (!measure (&bench, precision_from_name (*precision), error)) {
        g_prefix_error (error, "%s: ", *geometry);
        return FALSE;
      }
    }
  return TRUE;
}

int
cg_bench_cuda (const BenchOptions *options, const BenchCudaScale *scale)
{
  static const char *const lists[] = { "results", "pictures", "end_to_end", "live", "errors" };
  g_autoptr (JsonNode) node = json_node_new (JSON_NODE_OBJECT);
  g_autoptr (GError) error = NULL;
  JsonObject *root = json_object_new ();
  gboolean done;

  json_node_take_object (node, root);
  if (!cg_cuda_probe (0, &error)) {
    fprintf (stderr, "%s: %s\n", g_get_prgname (), error->message);
    return EXIT_FAILURE;
  }
  for (guint i = 0; i < G_N_ELEMENTS (lists); i++)
    json_object_set_array_member (root, lists[i], json_array_new ());
  done = measure_all (options, scale, root, &error);
  if (!done) {
    fprintf (stderr, "%s: %s\n", g_get_prgname (), error->message);
    json_object_set_string_member (root, "error", error->message);
  }

  /* What was measured before a failure is worth as much. */
  if (options->json) {
    g_autofree char *text = json_to_string (node, TRUE);
    g_print ("%s\n", text);
  } else {
    for (guint i = 0; i < G_N_ELEMENTS (lists); i++)
      json_array_foreach_element (json_object_get_array_member (root, lists[i]), print_entry,
                                  (gpointer)lists[i]);
  }
  return done ? EXIT_SUCCESS : EXIT_FAILURE;
}
