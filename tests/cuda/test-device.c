/* The CUDA engine on a GPU. Without one every test is skipped, and says why.
 *
 * CG_TEST_DEVICE=full also holds the full-size networks against the CPU engine in fp32, with CG_TEST_WINDOWS windows
 * (default 100); CG_TEST_DEVICE=short is little enough for compute-sanitizer.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include <dlfcn.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/cpu/cpu.h"
#include "model/cuda.h"
#include "model/engine-private.h"
#include "model/generate.h"
#include "model/reference.h"

#ifdef CG_TEST_FAKES
#include "cuda/module.h"
#include "fake/engine.h"
#endif

#define SEED 1
#define MOST_WINDOWS 32

static const char *no_device; /* why there is none */

static gboolean
skipped (void)
{
  if (no_device)
    g_test_skip (no_device);
  return no_device != NULL;
}

static gboolean
asked_for (const char *what)
{
  return g_strcmp0 (g_getenv ("CG_TEST_DEVICE"), what) == 0;
}

/* ---- models and windows ---- */

typedef struct {
  CgModel *model;
  CgNetwork *network;
} Net;

static void
net_preset (Net *net, const char *preset)
{
  g_autoptr (GError) error = NULL;
  net->model = cg_model_generate (preset, SEED, &net->network, &error);
  g_assert_no_error (error);
}

/* The tiny preset with other heads, on pictures of @image pixels. */
static void
net_heads (Net *net, guint heads, guint head_width, guint image)
{
  g_autoptr (GError) error = NULL;
  net->model = cg_model_generate ("tiny", SEED, NULL, &error);
  g_assert_no_error (error);
  CgGeometry *g = &net->model->geometry;
  g->frames = 4;
  g->image = image;
  g->heads = heads;
  g->width = heads * head_width;
  g->mlp = 4 * g->width;
  g_assert_true (cg_geometry_check (g, "test", &error));
  net->network = cg_network_new (g, &error);
  g_assert_no_error (error);
  cg_generate_weights (net->network, SEED);
}

static void
net_clear (Net *net)
{
  g_clear_pointer (&net->network, cg_network_free);
  g_clear_pointer (&net->model, cg_model_unref);
}

/* An open backend with the samples of some windows in it. */
typedef struct {
  const Net *net;
  const CgBackend *backend;
  gpointer engine;
  guint windows;
  gpointer samples[MOST_WINDOWS * CG_MAX_FRAMES];
  CgOutputs *outputs[MOST_WINDOWS];
} Run;

static void
put (const Run *run, gpointer sample, guint64 window, guint i)
{
  const guint image = run->net->model->geometry.image;
  g_autofree guint8 *pixels = g_malloc ((gsize)3 * image * image);
  const CgFrame frame = cg_frame_of_sample (image, pixels);
  g_autoptr (GError) error = NULL;

  cg_generate_frame (SEED, window, i, image, pixels);
  run->backend->sample_put (run->engine, sample, &frame, &error);
  g_assert_no_error (error);
}

static void
put_windows (const Run *run, guint64 first)
{
  const guint frames = run->net->model->geometry.frames;
  for (guint i = 0; i < run->windows * frames; i++)
    put (run, run->samples[i], first + i / frames, i % frames);
}

static void
run_open (Run *run, const Net *net, const CgBackend *backend, CgPrecision precision, guint windows)
{
  const CgEngineOptions options = { .precision = precision };
  g_autoptr (GError) error = NULL;

  *run = (Run){ .net = net, .backend = backend, .windows = windows };
  run->engine = backend->open (net->model, net->network, &options, &error);
  g_assert_no_error (error);
  for (guint i = 0; i < windows; i++)
    run->outputs[i] = cg_outputs_new (&net->model->geometry, TRUE);
  for (guint i = 0; i < windows * net->model->geometry.frames; i++) {
    run->samples[i] = backend->sample_new (run->engine, &error);
    g_assert_no_error (error);
  }
  put_windows (run, 0);
}

static void
run_close (Run *run)
{
  for (guint i = 0; i < run->windows * run->net->model->geometry.frames; i++)
    run->backend->sample_free (run->engine, run->samples[i]);
  for (guint i = 0; i < run->windows; i++)
    g_free (run->outputs[i]);
  run->backend->close (run->engine);
}

static void
run_go (const Run *run, guint first, guint n)
{
  const gint cancel = 0;
  g_autoptr (GError) error = NULL;
  run->backend->run (run->engine, run->samples + first * run->net->model->geometry.frames, n,
                     run->outputs + first, &cancel, &error);
  g_assert_no_error (error);
}

/* ---- comparisons ---- */

static gdouble
distance (const float *a, const float *b, guint n)
{
  gdouble difference = 0, norm = 0;
  for (guint i = 0; i < n; i++) {
    difference += ((gdouble)a[i] - b[i]) * ((gdouble)a[i] - b[i]);
    norm += (gdouble)b[i] * b[i];
  }
  return sqrt (difference / norm);
}

static void
expect_near (const char *what, gdouble found, gdouble bound)
{
  g_test_message ("%s: %.2e, bound %.0e", what, found, bound);
  if (!(found <= bound))
    g_test_fail ();
}

static const struct {
  CgPrecision precision;
  gdouble bound;
} precisions[] = {
  { CG_PRECISION_FP16, 8e-4 },
  { CG_PRECISION_BF16, 6e-3 },
  { CG_PRECISION_FP32, 1e-5 },
};

/* Against the reference in double. */
static void
check_reference (const Run *run, guint window, gdouble bound)
{
  const CgGeometry *g = &run->net->model->geometry;
  const gsize size = (gsize)3 * g->image * g->image;
  g_autofree guint8 *frames = g_malloc (size * g->frames);
  g_autofree float *features = g_new (float, g->width);
  g_autoptr (GError) error = NULL;

  for (guint i = 0; i < g->frames; i++)
    cg_generate_frame (SEED, window, i, g->image, frames + i * size);
  g_autofree CgReferenceOutputs *expected =
      cg_reference_run (run->net->network, &run->net->model->input, frames, &error);
  g_assert_no_error (error);
  for (guint i = 0; i < g->width; i++)
    features[i] = (float)expected->features[i];
  expect_near (run->backend->describe (run->engine),
               distance (run->outputs[window]->features, features, g->width), bound);
}

/* ---- tests ---- */

static void
check_heads (guint heads, guint head_width, guint image)
{
  Net net;
  Run run;

  net_heads (&net, heads, head_width, image);
  for (guint p = 0; p < (asked_for ("short") ? 1 : G_N_ELEMENTS (precisions)); p++) {
    run_open (&run, &net, cg_backend_cuda (), precisions[p].precision, 3);
    run_go (&run, 0, 3);
    check_reference (&run, 0, precisions[p].bound);
    check_reference (&run, 2, precisions[p].bound);
    run_close (&run);
  }
  net_clear (&net);
}

static void
test_parity (void)
{
  if (skipped ())
    return;
  check_heads (2, 24, 48);
  check_heads (1, 64, 32);
}

static void
test_batches (void)
{
  const guint most = asked_for ("short") ? 5 : 9;
  g_autoptr (GError) error = NULL;
  CgOutputs *alone[MOST_WINDOWS];
  Net net;
  Run run;

  if (skipped ())
    return;
  net_heads (&net, 2, 24, 32);
  run_open (&run, &net, cg_backend_cuda (), CG_PRECISION_FP16, most);
  const guint width = net.model->geometry.width;
  for (guint w = 0; w < most; w++) {
    run_go (&run, w, 1);
    alone[w] = cg_outputs_new (&net.model->geometry, FALSE);
    memcpy (alone[w]->features, run.outputs[w]->features, width * sizeof (float));
  }
  /* Other batch sizes may be computed in other ways: as near as the precision is. */
  for (guint n = 2; n <= most; n++) {
    run_go (&run, 0, n);
    for (guint w = 0; w < n; w++)
      expect_near ("a window in a batch and alone",
                   distance (run.outputs[w]->features, alone[w]->features, width), 1e-3);
  }
  /* More windows than have samples of their own. */
  const guint frames = net.model->geometry.frames;
  gpointer samples[MOST_WINDOWS * CG_MAX_FRAMES];
  CgOutputs *outputs[MOST_WINDOWS];
  for (guint w = 0; w < MOST_WINDOWS; w++) {
    outputs[w] = cg_outputs_new (&net.model->geometry, TRUE);
    memcpy (samples + (gsize)w * frames, run.samples + (gsize)(w % most) * frames,
            frames * sizeof *samples);
  }
  for (guint n = 17; n <= MOST_WINDOWS; n += 15) {
    run.backend->run (run.engine, samples, n, outputs, NULL, &error);
    g_assert_no_error (error);
    for (guint w = 0; w < n; w++)
      expect_near ("a window in a large batch and alone",
                   distance (outputs[w]->features, alone[w % most]->features, width), 1e-3);
  }
  for (guint w = 0; w < MOST_WINDOWS; w++)
    g_free (outputs[w]);
  /* The same batch again: the same bits. */
  memcpy (alone[1]->features, run.outputs[1]->features, width * sizeof (float));
  run_go (&run, 0, most);
  g_assert_cmpint (memcmp (alone[1]->features, run.outputs[1]->features, width * sizeof (float)),
                   ==, 0);
  for (guint w = 0; w < most; w++)
    g_free (alone[w]);
  run_close (&run);
  net_clear (&net);
}

/* ---- pictures in the GPU's memory ---- */

#define SIDE_X 322
#define SIDE_Y 178
#define PICTURE_BYTES (SIDE_X * SIDE_Y * 3 / 2)

static CgFrame
nv12 (const guint8 *planes, CgMemory memory)
{
  return (CgFrame){ .format = CG_FORMAT_NV12,
                    .width = SIDE_X,
                    .height = SIDE_Y,
                    .plane = { planes, planes + SIDE_X * SIDE_Y },
                    .stride = { SIDE_X, SIDE_X },
                    .matrix = CG_MATRIX_BT709,
                    .cosited_h = TRUE,
                    .memory = memory };
}

/* What @sample holds is @expected; then it is made something else. */
static void
expect_sample (const Run *run, gpointer sample, const guint8 *expected, gsize size)
{
  g_autofree guint8 *found = g_malloc (size);
  g_autoptr (GError) error = NULL;
  const guint8 grey[2 * 2 * 3] = { 128 };
  const CgFrame other = cg_frame_of_sample (2, grey);

  run->backend->sample_get (run->engine, sample, found, &error);
  g_assert_no_error (error);
  g_assert_cmpmem (found, size, expected, size);
  run->backend->sample_put (run->engine, sample, &other, &error);
  g_assert_no_error (error);
}

/* As a decoder of GStreamer has it: memory of a context of its own, current or not. */
static void
check_foreign (const Run *run, const guint8 *planes, const guint8 *expected, gsize size)
{
#ifndef CG_TEST_FAKES
  int (*create) (void **context, guint flags, int device), (*destroy) (void *context);
  int (*pop) (void **context), (*current) (void **context);
  int (*allocate) (guint64 * memory, gsize size), (*upload) (guint64 to, const void *from, gsize);
  void *driver = dlopen ("libcuda.so.1", RTLD_LAZY);
  const struct {
    const char *name;
    void *slot;
  } * function, functions[] = {
    { "cuCtxCreate_v2", &create },  { "cuCtxDestroy_v2", &destroy },
    { "cuCtxPopCurrent_v2", &pop }, { "cuCtxGetCurrent", &current },
    { "cuMemAlloc_v2", &allocate }, { "cuMemcpyHtoD_v2", &upload },
  };
  g_autoptr (GError) error = NULL;
  guint64 memory = 0;
  void *theirs = NULL, *before = NULL, *now = NULL;

  g_assert_nonnull (driver);
  for (function = functions; function < functions + G_N_ELEMENTS (functions); function++) {
    void *symbol = dlsym (driver, function->name);
    g_assert_nonnull (symbol);
    memcpy (function->slot, &symbol, sizeof symbol);
  }
  g_assert_cmpint (current (&before), ==, 0);
  g_assert_cmpint (create (&theirs, 0, 0), ==, 0); /* and makes it current */
  g_assert_cmpint (allocate (&memory, PICTURE_BYTES), ==, 0);
  g_assert_cmpint (upload (memory, planes, PICTURE_BYTES), ==, 0);
  const CgFrame frame = nv12 ((const guint8 *)(gsize)memory, CG_MEMORY_CUDA);
  for (guint i = 0; i < 2; i++) {
    run->backend->sample_put (run->engine, run->samples[0], &frame, &error);
    g_assert_no_error (error);
    expect_sample (run, run->samples[0], expected, size);
    g_assert_cmpint (current (&now), ==, 0);
    g_assert_true (now == (i == 0 ? theirs : before));
    if (i == 0)
      g_assert_cmpint (pop (&now), ==, 0);
  }
  /* The engine does not need the context once the call has returned. */
  g_assert_cmpint (destroy (theirs), ==, 0);
  run_go (run, 0, 1);
#endif
}

/* Pictures of several shapes, some like the one before, become what the CPU engine makes of them: to the byte where its
 * arithmetic is Pillow's, within a grey level elsewhere. */
static void
check_resized (const Run *run)
{
  static const struct {
    CgPixelFormat format;
    guint width, height, bound;
  } cases[] = { { CG_FORMAT_NV12, 1920, 1080, 1 }, { CG_FORMAT_NV12, 1920, 1080, 1 },
                { CG_FORMAT_RGB, 640, 360, 0 },    { CG_FORMAT_RGB, 90, 900, 0 },
                { CG_FORMAT_NV12, 1920, 1080, 1 }, { CG_FORMAT_P010, 321, 243, 0 } };
  const guint image = run->net->model->geometry.image;
  const gsize size = (gsize)3 * image * image;
  g_autofree guint8 *expected = g_malloc (size), *found = g_malloc (size);
  g_autoptr (GError) error = NULL;

  for (guint c = 0; c < G_N_ELEMENTS (cases); c++) {
    const guint width = cases[c].width, height = cases[c].height;
    const guint bytes = cases[c].format == CG_FORMAT_RGB    ? 3
                        : cases[c].format == CG_FORMAT_P010 ? 2
                                                            : 1;
    const guint stride = (width + 1) / 2 * 2 * bytes;
    const gsize luma = (gsize)stride * height, all = luma + (gsize)stride * ((height + 1) / 2);
    g_autofree guint8 *planes = g_malloc (all);
    const CgFrame frame = { .format = cases[c].format,
                            .width = width,
                            .height = height,
                            .plane = { planes, planes + luma },
                            .stride = { (gint)stride, (gint)stride },
                            .matrix = CG_MATRIX_BT709,
                            .cosited_h = TRUE };
    guint most = 0;

    for (gsize i = 0; i < all; i++)
      planes[i] =
          (guint8)(cg_generate_draw (c, i) >> 56) &
          (cases[c].format == CG_FORMAT_P010 && i % 2 == 0 ? 0xc0 : 0xff); /* 10 bits of 16 */
    cg_preprocess (&frame, image, NULL, expected, &error);
    g_assert_no_error (error);
    run->backend->sample_put (run->engine, run->samples[0], &frame, &error);
    g_assert_no_error (error);
    run->backend->sample_get (run->engine, run->samples[0], found, &error);
    g_assert_no_error (error);
    for (gsize i = 0; i < size; i++)
      most = MAX (most, (guint)ABS (found[i] - expected[i]));
    g_test_message ("%ux%u to %u: the CPU engine's bytes at a distance of %u at most", width,
                    height, image, most);
    g_assert_cmpuint (most, <=, cases[c].bound);
  }
}

static void
test_pictures (void)
{
  g_autoptr (GError) error = NULL;
  guint8 *planes;
  CgFrame device, apart;
  float time = 0;
  Net net;
  Run run;

  if (skipped ())
    return;
  net_heads (&net, 2, 24, 112);
  run_open (&run, &net, cg_backend_cuda (), CG_PRECISION_FP16, 1);
  const gsize size = 3 * 112 * 112;
  g_autofree guint8 *expected = g_malloc (size);
  planes = g_malloc (PICTURE_BYTES);
  for (gsize i = 0; i < PICTURE_BYTES; i++)
    planes[i] = (guint8)(cg_generate_draw (1, i) >> 56);

  /* Given what a picture becomes from system memory, it becomes the same from the device's, */
  const CgFrame system = nv12 (planes, CG_MEMORY_SYSTEM);
  run.backend->sample_put (run.engine, run.samples[0], &system, &error);
  g_assert_no_error (error);
  run.backend->sample_get (run.engine, run.samples[0], expected, &error);
  g_assert_no_error (error);
  cg_cuda_picture_new (run.engine, &system, FALSE, &device, &error);
  g_assert_no_error (error);
  run.backend->sample_put (run.engine, run.samples[0], &device, &error);
  g_assert_no_error (error);
  expect_sample (&run, run.samples[0], expected, size);

  /* also from other contexts. */
  cg_cuda_picture_new (run.engine, &system, TRUE, &apart, &error);
  g_assert_no_error (error);
  for (guint i = 0; i < 2; i++) {
    cg_cuda_time_put (run.engine, run.samples[0], i == 0 ? &device : &apart, 1, 1, 1, &time,
                      &error);
    g_assert_no_error (error);
    g_assert_cmpfloat (time, >, 0);
    expect_sample (&run, run.samples[0], expected, size);
  }
  cg_cuda_picture_free (run.engine, &apart);
  check_foreign (&run, planes, expected, size);
  check_resized (&run);

  cg_cuda_picture_free (run.engine, &device);
  g_free (planes);
  run_close (&run);
  net_clear (&net);
}

/* Two clients of one engine: its queue, its batches, and a flush while it runs. */
static void
test_clients (void)
{
  g_autoptr (GError) error = NULL;
  const CgEngineOptions options = { .device = CG_DEVICE_CUDA };
  guint8 pixels[64 * 64 * 3] = { 0 };
  const CgFrame frame = cg_frame_of_sample (64, pixels);
  Net net;

  if (skipped ())
    return;
  net_preset (&net, "tiny");
  CgEngine *engine =
      cg_engine_new_with_backend (cg_backend_cuda (), net.model, net.network, &options, &error);
  g_assert_no_error (error);
  CgClient *clients[2] = { cg_client_new (engine), cg_client_new (engine) };
  for (guint i = 0; i < 12; i++) {
    CgSample *samples[CG_MAX_FRAMES];
    memset (pixels, (gint)(i / 2), sizeof pixels);
    g_autoptr (CgSample) sample = cg_sample_new (engine, &frame, &error);
    g_assert_no_error (error);
    for (guint s = 0; s < net.model->geometry.frames; s++)
      samples[s] = sample;
    cg_client_submit (clients[i % 2],
                      cg_window_new (samples, net.model->geometry.frames, NULL, NULL));
  }
  float first[2];
  for (guint i = 0; i < 12; i++) {
    g_autoptr (CgWindow) window = cg_client_pop (clients[i % 2], -1);
    g_assert_nonnull (window);
    g_assert_no_error (window->error);
    g_assert_true (isfinite (window->outputs->logits[0]));
    first[i % 2] = window->outputs->logits[0];
    if (i % 2) /* both clients sent the same pictures */
      g_assert_cmpfloat (fabsf (first[0] - first[1]), <=, 1e-2f * (1 + fabsf (first[0])));
  }
  cg_client_flush (clients[0]);
  cg_client_free (clients[0]);
  cg_client_free (clients[1]);
  cg_engine_unref (engine);
  net_clear (&net);
}

/* ---- the full-size networks, against the CPU engine in fp32 ---- */

static guint
argmax (const float *values, guint n)
{
  guint best = 0;
  for (guint i = 1; i < n; i++)
    best = values[i] > values[best] ? i : best;
  return best;
}

static void
check_full (const char *preset, CgPrecision precision, gdouble bound, guint windows)
{
  Net net;
  Run gpu, cpu;
  gdouble worst = 0;
  guint same = 0;

  net_preset (&net, preset);
  const CgGeometry *g = &net.model->geometry;
  run_open (&gpu, &net, cg_backend_cuda (), precision, 8);
  run_open (&cpu, &net, cg_backend_cpu (), CG_PRECISION_FP32, 8);
  for (guint first = 0; first < windows; first += 8) {
    const guint n = MIN (8, windows - first);
    put_windows (&gpu, first);
    put_windows (&cpu, first);
    run_go (&gpu, 0, n);
    run_go (&cpu, 0, n);
    for (guint w = 0; w < n; w++) {
      const float *a = gpu.outputs[w]->logits, *b = cpu.outputs[w]->logits;
      const guint cities = g->labels[CG_CITY], expected = argmax (b, cities);
      worst = MAX (worst, distance (gpu.outputs[w]->features, cpu.outputs[w]->features, g->width));
      if (argmax (a, cities) == expected)
        same++;
      else
        g_test_message ("%s, window %u: city %u and %u are near, %g and %g", preset, first + w,
                        argmax (a, cities), expected, b[argmax (a, cities)], b[expected]);
    }
  }
  g_autofree char *what =
      g_strdup_printf ("%s, %s, worst of %u", preset, gpu.backend->describe (gpu.engine), windows);
  expect_near (what, worst, bound);
  g_test_message ("%s: the same city in %u of %u windows", preset, same, windows);
  if (same < ceil (0.995 * windows))
    g_test_fail ();
  run_close (&gpu);
  run_close (&cpu);
  net_clear (&net);
}

static void
test_full (void)
{
  const char *text = g_getenv ("CG_TEST_WINDOWS");
  const guint windows = text ? (guint)MAX (1, atoi (text)) : 100;

  if (skipped ())
    return;
  if (!asked_for ("full")) {
    g_test_skip ("CG_TEST_DEVICE=full asks for it");
    return;
  }
  check_full ("small-16", CG_PRECISION_FP16, 8e-4, windows);
  check_full ("small-6", CG_PRECISION_FP16, 8e-4, 8);
  check_full ("base", CG_PRECISION_FP16, 8e-4, 8);
  check_full ("small-16", CG_PRECISION_BF16, 6e-3, 8);
  check_full ("small-16", CG_PRECISION_FP32, 1e-5, 8);
}

int
main (int argc, char **argv)
{
  g_autoptr (GError) error = NULL;

  g_test_init (&argc, &argv, NULL);
#ifdef CG_TEST_FAKES
  cg_fake_emulate ();
  cg_cuda_use_module (cg_cuda_module ());
#endif
  if (!cg_cuda_probe (0, &error))
    no_device = error->message;
  g_test_add_func ("/cuda/device/parity", test_parity);
  g_test_add_func ("/cuda/device/batches", test_batches);
  g_test_add_func ("/cuda/device/pictures", test_pictures);
  g_test_add_func ("/cuda/device/clients", test_clients);
  g_test_add_func ("/cuda/device/full", test_full);
  return g_test_run ();
}
