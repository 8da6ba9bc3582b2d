/* The whole CUDA engine without a GPU: its own C, its own kernels emulated, and fakes of NVIDIA's libraries.
 *
 * Bounds are relative L2 distances |a - b| / |b| of the features to the reference in double: 8e-4 for fp16, 6e-3 for
 * bf16, 1e-5 for fp32; of the logits twice that.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include <cublasLt.h>
#include <glib/gstdio.h>
#include <math.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cuda/frames.h"
#include "fake/engine.h"
#include "model/cpu/cpu.h"
#include "model/engine.h"
#include "model/generate.h"

static CgFakeModel model; /* heads of 24, for all tests but parity */

static const CgCudaOptions plain = { .precision = CG_CUDA_PRECISION_FP16,
                                     .no_tuning = true,
                                     .chunk = 4 };

static void
open_engine (CgFakeEngine *engine, const CgFakeModel *of, const CgCudaOptions *options,
             guint windows)
{
  CgCudaError error = { 0 };
  if (!cg_fake_engine_open (engine, of, options, windows, &error))
    g_error ("%s", error.message);
}

static void
run_engine (CgFakeEngine *engine, guint n)
{
  CgCudaError error = { 0 };
  if (!cg_fake_engine_run (engine, n, &error))
    g_error ("%s", error.message);
}

/* How often @line stands in @log. */
static guint
count (const char *log, const char *line)
{
  g_autofree char *whole = g_strdup_printf ("\n%s\n", line);
  g_autofree char *text = g_strdup_printf ("\n%s", log);
  guint n = 0;
  for (const char *at = strstr (text, whole); at; at = strstr (at + 1, whole))
    n++;
  return n;
}

/* ---- parity ---- */

static void
check (const char *what, const char *part, const float *found, const gdouble *expected, guint n,
       gdouble bound)
{
  const gdouble distance = cg_fake_distance (found, expected, n);
  g_test_message ("%s, %s: distance %.2e", what, part, distance);
  if (!(distance <= bound)) {
    g_test_message ("which is more than %.0e", bound);
    g_test_fail ();
  }
}

static void
check_same (const char *what, const char *part, const float *found, const float *expected, guint n)
{
  g_autofree gdouble *wide = g_new (gdouble, n);
  for (guint i = 0; i < n; i++)
    wide[i] = expected[i];
  check (what, part, found, wide, n, 1e-5);
}

/* Features and logits against the reference; scene and text against what the host makes of the same logits, because
 * self-cross attention over made-up weights enlarges the logits' own error. */
static void
check_outputs (const char *what, const CgFakeModel *of, const CgOutputs *found, guint64 window,
               gdouble bound)
{
  const CgGeometry *g = &of->geometry;
  g_autofree CgReferenceOutputs *expected = cg_fake_model_reference (of, window);
  g_autofree CgOutputs *aux = cg_outputs_new (g, TRUE);

  check (what, "features", found->features, expected->features, g->width, bound);
  check (what, "logits", found->logits, expected->logits, cg_geometry_total_labels (g), 2 * bound);
  cg_folded_aux (of->folded, found->logits, aux->scene, aux->text);
  check_same (what, "scene", found->scene, aux->scene, g->scene.size[g->scene.layers]);
  check_same (what, "text", found->text, aux->text, g->text.size[g->text.layers]);
}

/* On each kind of device, tuned in several ways and not at all. */
static void
check_parity (guint heads, guint head_width, guint tokens_side)
{
  static const struct {
    CgCudaPrecision precision;
    gdouble bound;
    guint capability;
    bool no_tuning;
  } runs[] = {
    { CG_CUDA_PRECISION_FP16, 8e-4, 90, true },  { CG_CUDA_PRECISION_FP16, 8e-4, 90, false },
    { CG_CUDA_PRECISION_FP16, 8e-4, 80, false }, { CG_CUDA_PRECISION_FP16, 8e-4, 75, false },
    { CG_CUDA_PRECISION_BF16, 6e-3, 90, false }, { CG_CUDA_PRECISION_FP32, 1e-5, 90, false },
    { CG_CUDA_PRECISION_FP32, 1e-5, 75, true },  { CG_CUDA_PRECISION_AUTO, 8e-4, 120, false },
  };
  static const int strict_c[] = { CUBLAS_STATUS_NOT_SUPPORTED, CUBLAS_STATUS_SUCCESS,
                                  CUBLAS_STATUS_INVALID_VALUE };
  CgFakeModel here = { 0 };

  cg_fake_model_new (&here, heads, head_width, tokens_side, 2);
  for (guint i = 0; i < G_N_ELEMENTS (runs); i++) {
    const CgCudaOptions options = { .precision = runs[i].precision,
                                    .no_tuning = runs[i].no_tuning,
                                    .chunk = 2 };
    CgFakeEngine engine;

    cg_fake_settings.capability = runs[i].capability;
    cg_fake_settings.seed = i;
    cg_fake_settings.strict_c = strict_c[i % G_N_ELEMENTS (strict_c)];
    open_engine (&engine, &here, &options, 3);
    run_engine (&engine, 3);
    g_autofree char *what =
        g_strdup_printf ("%ux%u, sm_%u, %s", heads, head_width, runs[i].capability,
                         engine.module->describe (engine.engine));
    for (guint w = 0; w < 3; w++)
      check_outputs (what, &here, engine.outputs[w], w, runs[i].bound);
    cg_fake_engine_close (&engine);
    cg_fake_expect_clean ();
  }
  cg_fake_model_clear (&here);
}

static void
test_parity_24 (void)
{
  check_parity (2, 24, 3);
}

static void
test_parity_64 (void)
{
  check_parity (1, 64, 4);
}

/* Heads that cuDNN does not take, on a device where it takes others. */
static void
test_parity_12 (void)
{
  check_parity (4, 12, 2);
}

/* ---- batches ---- */

static void
test_batches (void)
{
  CgOutputs *alone[CG_FAKE_WINDOWS];
  CgFakeEngine engine;

  open_engine (&engine, &model, &plain, CG_FAKE_WINDOWS);

  /* Given each window's answers alone */
  for (guint w = 0; w < CG_FAKE_WINDOWS; w++) {
    CgFakeEngine one = engine;
    memmove (one.samples, engine.samples + w * model.geometry.frames,
             model.geometry.frames * sizeof *one.samples);
    run_engine (&one, 1);
    alone[w] = cg_fake_outputs_copy (&model, one.outputs[0]);
    for (guint v = 0; v < w; v++)
      g_assert_false (cg_fake_outputs_equal (&model, alone[w], alone[v]));
  }
  check_outputs ("alone", &model, alone[8], 8, 8e-4);

  /* when they run together, padded to a power of two and cut into chunks, then nothing changes. */
  for (guint n = 1; n <= CG_FAKE_WINDOWS; n++) {
    run_engine (&engine, n);
    for (guint w = 0; w < n; w++)
      g_assert_true (cg_fake_outputs_equal (&model, engine.outputs[w], alone[w]));
  }
  for (guint w = 0; w < CG_FAKE_WINDOWS; w++)
    g_free (alone[w]);
  cg_fake_engine_close (&engine);
  cg_fake_expect_clean ();
}

/* More windows than have samples of their own, up to as many as there may be. */
static void
test_largest (void)
{
  const guint frames = model.geometry.frames;
  CgOutputs *outputs[CG_CUDA_MAX_BATCH], *alone[CG_FAKE_WINDOWS];
  CgCudaSample *samples[CG_CUDA_MAX_BATCH * CG_MAX_FRAMES];
  CgFakeEngine engine;
  CgCudaError error = { 0 };

  open_engine (&engine, &model, &plain, CG_FAKE_WINDOWS);
  run_engine (&engine, CG_FAKE_WINDOWS);
  for (guint w = 0; w < CG_FAKE_WINDOWS; w++)
    alone[w] = cg_fake_outputs_copy (&model, engine.outputs[w]);
  for (guint w = 0; w < CG_CUDA_MAX_BATCH; w++) {
    outputs[w] = cg_outputs_new (&model.geometry, TRUE);
    memcpy (samples + (gsize)w * frames, engine.samples + (gsize)(w % CG_FAKE_WINDOWS) * frames,
            frames * sizeof *samples);
  }

  /* The first that is padded to 32, and 32. */
  for (guint n = 17; n <= CG_CUDA_MAX_BATCH; n += 15) {
    if (!engine.module->run (engine.engine, samples, n, outputs, NULL, &error))
      g_error ("%s", error.message);
    for (guint w = 0; w < n; w++)
      g_assert_true (cg_fake_outputs_equal (&model, outputs[w], alone[w % CG_FAKE_WINDOWS]));
  }
  for (guint w = 0; w < CG_CUDA_MAX_BATCH; w++)
    g_free (outputs[w]);
  for (guint w = 0; w < CG_FAKE_WINDOWS; w++)
    g_free (alone[w]);
  cg_fake_engine_close (&engine);
  cg_fake_expect_clean ();
}

static void
test_counts (void)
{
  CgFakeEngine engine;
  CgCudaError error = { 0 };
  CgCudaOptions options = plain;

  open_engine (&engine, &model, &plain, 1);
  g_assert_false (
      engine.module->run (engine.engine, engine.samples, 0, engine.outputs, NULL, &error));
  g_assert_cmpint (error.status, ==, CG_CUDA_COMPUTE);
  g_assert_false (engine.module->run (engine.engine, engine.samples, CG_CUDA_MAX_BATCH + 1,
                                      engine.outputs, NULL, &error));
  g_assert_cmpint (error.status, ==, CG_CUDA_COMPUTE);
  cg_fake_engine_close (&engine);

  options.chunk = 3;
  g_assert_false (cg_fake_engine_open (&engine, &model, &options, 1, &error));
  g_assert_cmpint (error.status, ==, CG_CUDA_UNSUPPORTED);
  engine.module = cg_cuda_module ();
  engine.module->close (NULL);
  cg_fake_expect_clean ();
}

static void
test_without_auxiliary (void)
{
  CgFakeEngine engine;
  CgCudaError error = { 0 };
  g_autofree CgOutputs *bare = cg_outputs_new (&model.geometry, FALSE);

  open_engine (&engine, &model, &plain, 1);
  run_engine (&engine, 1);
  g_assert_true (engine.module->run (engine.engine, engine.samples, 1, &bare, NULL, &error));
  g_assert_cmpint (memcmp (bare->logits, engine.outputs[0]->logits,
                           cg_geometry_total_labels (&model.geometry) * sizeof (float)),
                   ==, 0);
  g_assert_null (bare->scene);
  cg_fake_engine_close (&engine);
  cg_fake_expect_clean ();
}

static void
test_cancel (void)
{
  CgFakeEngine engine;
  CgCudaError error = { 0 };
  const gint cancel = 1;

  open_engine (&engine, &model, &plain, 1);
  const guint64 before = cg_fake_ops ();
  g_assert_false (
      engine.module->run (engine.engine, engine.samples, 1, engine.outputs, &cancel, &error));
  g_assert_cmpint (error.status, ==, CG_CUDA_COMPUTE);
  g_assert_cmpuint (cg_fake_ops (), ==, before);
  run_engine (&engine, 1);
  check_outputs ("after a cancelled run", &model, engine.outputs[0], 0, 8e-4);
  cg_fake_engine_close (&engine);
  cg_fake_expect_clean ();
}

/* ---- samples ---- */

static void
test_samples (void)
{
  const guint frames = model.geometry.frames;
  CgFakeEngine engine;
  CgCudaError error = { 0 };

  open_engine (&engine, &model, &plain, 2);
  run_engine (&engine, 2);
  g_autofree CgOutputs *first = cg_fake_outputs_copy (&model, engine.outputs[0]);
  g_autofree CgOutputs *second = cg_fake_outputs_copy (&model, engine.outputs[1]);

  /* A sample that is put twice before anything ran holds the later picture. */
  for (guint i = 0; i < frames; i++)
    for (guint window = 0; window < 2; window++)
      g_assert_true (cg_fake_engine_put (&engine, engine.samples[i], window, i, &error));
  run_engine (&engine, 1);
  g_assert_true (cg_fake_outputs_equal (&model, engine.outputs[0], second));

  /* A sample that is given back comes again, empty, and takes another picture. */
  for (guint i = 0; i < frames; i++) {
    engine.module->sample_free (engine.engine, engine.samples[i]);
    engine.samples[i] = engine.module->sample_new (engine.engine, &error);
    g_assert_nonnull (engine.samples[i]);
    g_assert_true (cg_fake_engine_put (&engine, engine.samples[i], 0, i, &error));
  }
  run_engine (&engine, 2);
  g_assert_true (cg_fake_outputs_equal (&model, engine.outputs[0], first));
  g_assert_true (cg_fake_outputs_equal (&model, engine.outputs[1], second));

  /* One sample may stand in several places of several windows. */
  CgCudaSample *own[CG_MAX_FRAMES];
  memcpy (own, engine.samples, frames * sizeof *own);
  for (guint i = 0; i < frames; i++)
    engine.samples[i] = own[0];
  run_engine (&engine, 2);
  g_assert_true (cg_fake_outputs_equal (&model, engine.outputs[1], second));
  g_assert_false (cg_fake_outputs_equal (&model, engine.outputs[0], first));
  memcpy (engine.samples, own, frames * sizeof *own);

  /* More samples than the engine began with. */
  CgCudaSample *many[70];
  for (guint i = 0; i < G_N_ELEMENTS (many); i++) {
    many[i] = engine.module->sample_new (engine.engine, &error);
    g_assert_nonnull (many[i]);
    g_assert_true (cg_fake_engine_put (&engine, many[i], i, 0, &error));
  }
  run_engine (&engine, 2);
  g_assert_true (cg_fake_outputs_equal (&model, engine.outputs[0], first));
  for (guint i = 0; i < G_N_ELEMENTS (many); i++)
    engine.module->sample_free (engine.engine, many[i]);
  cg_fake_engine_close (&engine);
  cg_fake_expect_clean ();
}

/* Given pictures of one size from a single thread, none waits for another, and no call for its own; until all uploaders
 * are in use. */
static void
test_uploaders (void)
{
  CgFakeEngine engine;
  CgCudaError error = { 0 };

  open_engine (&engine, &model, &plain, 2);
  run_engine (&engine, 2);
  for (guint round = 0; round < 2; round++) {
    const guint64 before = cg_fake_ops ();
    for (guint i = 0; i < CG_CUDA_UPLOADERS; i++)
      g_assert_true (cg_fake_engine_put (&engine, engine.samples[i], 0, i, &error));
    g_assert_cmpuint (cg_fake_ops (), ==, before);
    g_assert_true (cg_fake_engine_put (&engine, engine.samples[CG_CUDA_UPLOADERS], 1, 0, &error));
    g_assert_cmpuint (cg_fake_ops (), >, before);
    run_engine (&engine, 2);
  }
  check_outputs ("from uploaders in turn", &model, engine.outputs[0], 0, 8e-4);
  cg_fake_engine_close (&engine);
  cg_fake_expect_clean ();
}

static void
test_pictures (void)
{
  CgFakeEngine engine;
  CgCudaError error = { 0 };
  guint8 byte = 0;
  const CgFrame bad[] = {
    { .format = CG_N_FORMATS, .width = 1, .height = 1, .plane = { &byte }, .stride = { 1 } },
    { .format = CG_FORMAT_GRAY8, .width = 0, .height = 1, .plane = { &byte }, .stride = { 1 } },
    { .format = CG_FORMAT_GRAY8, .width = 1, .height = 40000, .plane = { &byte }, .stride = { 1 } },
    { .format = CG_FORMAT_RGB, .width = 1, .height = 1, .plane = { &byte }, .stride = { 2 } },
    { .format = CG_FORMAT_NV12, .width = 1, .height = 1, .plane = { &byte }, .stride = { 1, 2 } },
    { .format = CG_FORMAT_GRAY8, .width = 1, .height = 0, .plane = { &byte }, .stride = { 1 } },
    { .format = CG_FORMAT_GRAY8,
      .width = 32769,
      .height = 1,
      .plane = { &byte },
      .stride = { 40000 } },
    { .format = CG_FORMAT_RGB, .width = 1, .height = 1, .plane = { &byte }, .stride = { -2 } },
    { .format = CG_FORMAT_RGB, .width = 1, .height = 1, .stride = { 3 } },
    { .format = CG_FORMAT_RGB,
      .width = 1,
      .height = 1,
      .plane = { &byte },
      .stride = { 3 },
      .matrix = 3 },
    { .format = CG_FORMAT_NV12,
      .width = 1,
      .height = 1,
      .plane = { &byte, &byte },
      .stride = { 1, 1 } },
    { .format = CG_FORMAT_I420,
      .width = 1,
      .height = 1,
      .plane = { &byte, &byte },
      .stride = { 1, 1, 1 } },
  };

  open_engine (&engine, &model, &plain, 1);
  for (guint i = 0; i < G_N_ELEMENTS (bad); i++) {
    error = (CgCudaError){ 0 };
    g_assert_false (engine.module->sample_put (engine.engine, engine.samples[0], &bad[i], &error));
    g_assert_cmpint (error.status, ==, CG_CUDA_INPUT);
    g_assert_cmpstr (error.message, !=, "");

    /* nor is it copied or timed */
    CgFrame copy;
    float time;
    error = (CgCudaError){ 0 };
    g_assert_false (engine.module->picture_new (engine.engine, &bad[i], FALSE, &copy, &error));
    g_assert_cmpint (error.status, ==, CG_CUDA_INPUT);
    error = (CgCudaError){ 0 };
    g_assert_false (engine.module->time_put (engine.engine, engine.samples[0], &bad[i], 1, 1, 1,
                                             &time, &error));
    g_assert_cmpint (error.status, ==, CG_CUDA_INPUT);
  }
  run_engine (&engine, 1);
  check_outputs ("after bad pictures", &model, engine.outputs[0], 0, 8e-4);
  cg_fake_engine_close (&engine);
  cg_fake_expect_clean ();
}

/* Given pictures of each format that take no byte more than they must, upside down too, in system memory or a copy in the
 * device's, they become what the CPU engine makes of them. */
static void
test_formats (void)
{
  /* Of the first plane's pixels, and of what two columns of the others share. */
  static const guint bytes[CG_N_FORMATS][3] = {
    { 1, 2 }, { 1, 1, 1 }, { 1, 1, 1 }, { 2, 4 }, { 1 }, { 3 }, { 3 }, { 4 },
    { 4 },    { 4 },       { 4 },       { 4 },    { 4 }, { 4 }, { 4 }
  };
  const guint width = 49, height = 37, image = model.geometry.image;
  const gsize size = 3 * (gsize)image * image;
  g_autofree guint8 *expected = g_malloc (size), *found = g_malloc (size);
  CgFakeEngine engine;

  open_engine (&engine, &model, &plain, 1);
  for (guint k = 0; k < 2 * CG_N_FORMATS; k++) {
    CgFrame copy, frame = { .format = k / 2, .width = width, .height = height };
    guint8 *planes[3] = { NULL };
    CgCudaError error = { 0 };
    g_autoptr (GError) problem = NULL;

    for (guint p = 0; p < 3 && bytes[k / 2][p]; p++) {
      const guint row = (p ? (width + 1) / 2 : width) * bytes[k / 2][p];
      const guint rows = p ? (height + 1) / 2 : height;
      planes[p] = g_malloc ((gsize)row * rows);
      for (guint b = 0; b < row * rows; b++)
        planes[p][b] = (guint8)(cg_generate_draw (p, b) >> 56) &
                       (k / 2 == CG_FORMAT_P010 && b % 2 == 0 ? 0xc0 : 0xff); /* 10 bits of 16 */
      frame.plane[p] = planes[p] + (k % 2 ? (gsize)row * (rows - 1) : 0);
      frame.stride[p] = k % 2 ? -(gint)row : (gint)row;
    }
    cg_preprocess (&frame, image, NULL, expected, &problem);
    g_assert_no_error (problem);
    if (!engine.module->sample_put (engine.engine, engine.samples[0], &frame, &error) ||
        !engine.module->sample_get (engine.engine, engine.samples[0], found, &error))
      g_error ("%s", error.message);
    g_assert_cmpmem (found, size, expected, size);
    if (!engine.module->picture_new (engine.engine, &frame, FALSE, &copy, &error) ||
        !engine.module->sample_put (engine.engine, engine.samples[1], &copy, &error) ||
        !engine.module->sample_get (engine.engine, engine.samples[1], found, &error))
      g_error ("%s", error.message);
    g_assert_cmpmem (found, size, expected, size);
    engine.module->picture_free (engine.engine, &copy);
    for (guint p = 0; p < 3; p++)
      g_free (planes[p]);
  }
  cg_fake_engine_close (&engine);
  cg_fake_expect_clean ();
}

/* Given pictures of the last one's size, their coefficients are computed once by each uploader, and not again. */
static void
test_coefficients (void)
{
  static const struct {
    guint width, height, computed;
  } pictures[] = { { 49, 37, CG_CUDA_UPLOADERS },
                   { 49, 37, 0 },
                   { 49, 38, CG_CUDA_UPLOADERS },
                   { 48, 38, CG_CUDA_UPLOADERS },
                   { 48, 38, 0 } };
  g_autofree guint8 *pixels = g_malloc0 (49 * 38 * 3);
  CgFakeEngine engine;
  CgCudaError error = { 0 };

  open_engine (&engine, &model, &plain, 1);
  for (guint i = 0; i < G_N_ELEMENTS (pictures); i++) {
    const CgFrame frame = { .format = CG_FORMAT_RGB,
                            .width = pictures[i].width,
                            .height = pictures[i].height,
                            .plane = { pixels },
                            .stride = { 3 * (gint)pictures[i].width } };
    g_free (cg_fake_log (TRUE));
    for (guint k = 0; k < CG_CUDA_UPLOADERS; k++)
      g_assert_true (engine.module->sample_put (engine.engine, engine.samples[0], &frame, &error));
    g_autofree char *log = cg_fake_log (FALSE);
    g_assert_cmpuint (count (log, "coefficients"), ==, pictures[i].computed);
  }
  cg_fake_engine_close (&engine);
  cg_fake_expect_clean ();
}

/* ---- pictures in device memory ---- */

#define SIDE_X 50
#define SIDE_Y 38

static int (*push) (void *), (*pop) (void **), (*current) (void **);

static void
find_driver (void)
{
  const struct {
    const char *name;
    void *slot;
  } functions[] = { { "cuCtxPushCurrent", &push },
                    { "cuCtxPopCurrent", &pop },
                    { "cuCtxGetCurrent", &current } };

  for (guint i = 0; i < G_N_ELEMENTS (functions); i++) {
    enum cudaDriverEntryPointQueryResult found;
    void *function;
    g_assert_cmpint (
        cudaGetDriverEntryPointByVersion (functions[i].name, &function, 12000, 0, &found), ==, 0);
    memcpy (functions[i].slot, &function, sizeof function);
  }
}

/* Like one of GStreamer's: all planes in one allocation, with the pitch of the first one. */
static const struct {
  CgPixelFormat format;
  guint planes, bytes, rows[3]; /* of a pixel of the first plane; of each plane */
} lying[] = {
  { CG_FORMAT_NV12, 2, 1, { SIDE_Y, SIDE_Y / 2 } },
  { CG_FORMAT_P010, 2, 2, { SIDE_Y, SIDE_Y / 2 } },
  { CG_FORMAT_I420, 3, 1, { SIDE_Y, SIDE_Y / 2, SIDE_Y / 2 } },
  { CG_FORMAT_RGB, 1, 3, { SIDE_Y } },
  { CG_FORMAT_BGRA, 1, 4, { SIDE_Y } },
};

/* @data: where the allocation is. Returns its size. */
static gsize
lying_frame (guint i, guint8 *data, gboolean upside_down, CgFrame *frame)
{
  const gint pitch = (gint)(SIDE_X * lying[i].bytes + 27) / 16 * 16;
  gsize size = 0;

  *frame = (CgFrame){ .format = lying[i].format,
                      .width = SIDE_X,
                      .height = SIDE_Y,
                      .matrix = CG_MATRIX_BT709,
                      .cosited_h = TRUE };
  for (guint p = 0; p < lying[i].planes; p++) {
    const gsize bytes = (gsize)pitch * lying[i].rows[p];
    frame->plane[p] = data + size + (upside_down ? bytes - (gsize)pitch : 0);
    frame->stride[p] = upside_down ? -pitch : pitch;
    size += bytes;
  }
  return size;
}

typedef enum { HERE, ELSEWHERE, NOWHERE, OTHER_DEVICE } Where;

/* A picture of format @i that lies @where becomes what it becomes from system memory; the owner may take it back at
 * once. */
static void
check_lying (CgFakeEngine *engine, gpointer ours, gpointer theirs, guint i, Where where,
             gboolean upside_down)
{
  const gsize image = model.geometry.image, bytes = 3 * image * image;
  g_autofree guint8 *expected = g_malloc (bytes), *found = g_malloc (bytes);
  guint8 *host = g_malloc (8 * SIDE_X * SIDE_Y), *device;
  CgCudaError error = { 0 };
  CgFrame frame;
  gpointer out;

  /* Given a picture in system memory, and what it becomes */
  const gsize size = lying_frame (i, host, upside_down, &frame);
  for (gsize b = 0; b < size; b++)
    host[b] = (guint8)(cg_generate_draw (i, b) >> 56);
  if (!engine->module->sample_put (engine->engine, engine->samples[0], &frame, &error) ||
      !engine->module->sample_get (engine->engine, engine->samples[0], expected, &error))
    g_error ("%s", error.message);

  /* when the same is in device memory, of exactly its size */
  push (where == HERE ? ours : theirs);
  g_assert_cmpint (cudaMalloc ((void **)&device, size), ==, 0);
  memcpy (device, host, size);
  pop (&out);
  if (where == NOWHERE)
    cg_fake_disown (device);
  lying_frame (i, device, upside_down, &frame);
  frame.memory = CG_MEMORY_CUDA;
  g_free (cg_fake_log (TRUE));
  if (!engine->module->sample_put (engine->engine, engine->samples[1], &frame, &error))
    g_error ("%s", error.message);
  g_autofree char *log = cg_fake_log (FALSE);
  memset (device, 0, size); /* as a decoder would, which has it back */

  /* then it becomes the same, and was copied only where it had to be; never by way of the host. */
  if (!engine->module->sample_get (engine->engine, engine->samples[1], found, &error))
    g_error ("%s", error.message);
  g_assert_cmpmem (found, bytes, expected, bytes);
  g_assert_null (strstr (log, "-> cudaMemcpyAsync"));
  guint copies = 0;
  for (const char *at = log; (at = strstr (at, "-> cuMemcpyPeerAsync")); at++)
    copies++;
  g_assert_cmpuint (copies, ==, where == HERE || where == NOWHERE ? 0 : lying[i].planes);
  push (theirs);
  cudaFree (device);
  pop (&out);
  g_free (host);
}

static void
test_device_pictures (void)
{
  gpointer ours = cg_fake_context_new (0), theirs = cg_fake_context_new (0);
  CgCudaOptions options = plain;
  CgFakeEngine engine;
  CgCudaError error = { 0 };
  guint8 byte = 0;
  gpointer out;
  CgFrame frame;

  cg_fake_settings.devices = 2;
  gpointer other = cg_fake_context_new (1);
  options.context = ours;
  open_engine (&engine, &model, &options, 1);
  for (guint i = 0; i < G_N_ELEMENTS (lying); i++) {
    check_lying (&engine, ours, theirs, i, HERE, FALSE);
    check_lying (&engine, ours, theirs, i, ELSEWHERE, FALSE);
    check_lying (&engine, ours, theirs, i, NOWHERE, FALSE);
    check_lying (&engine, ours, other, i, OTHER_DEVICE, FALSE);
    check_lying (&engine, ours, theirs, i, ELSEWHERE, TRUE);
  }

  /* What is in no GPU's memory, and pooled memory of another device, is refused with words. */
  frame = (CgFrame){ .format = CG_FORMAT_GRAY8,
                     .width = 1,
                     .height = 1,
                     .plane = { &byte },
                     .stride = { 1 },
                     .memory = CG_MEMORY_CUDA };
  g_assert_false (engine.module->sample_put (engine.engine, engine.samples[0], &frame, &error));
  g_assert_cmpint (error.status, ==, CG_CUDA_INPUT);
  guint8 *pinned;
  g_assert_cmpint (cudaHostAlloc ((void **)&pinned, 1, cudaHostAllocDefault), ==, 0);
  frame.plane[0] = pinned;
  error = (CgCudaError){ 0 };
  g_assert_false (engine.module->sample_put (engine.engine, engine.samples[0], &frame, &error));
  g_assert_cmpint (error.status, ==, CG_CUDA_INPUT);
  cudaFreeHost (pinned);
  push (other);
  guint8 *pooled;
  g_assert_cmpint (cudaMalloc ((void **)&pooled, 1), ==, 0);
  cg_fake_disown (pooled);
  frame.plane[0] = pooled;
  error = (CgCudaError){ 0 };
  g_assert_false (engine.module->sample_put (engine.engine, engine.samples[0], &frame, &error));
  g_assert_cmpint (error.status, ==, CG_CUDA_UNSUPPORTED);
  g_assert_nonnull (strstr (error.message, "cudadownload"));
  cudaFree (pooled);
  pop (&out);

  /* The engine still works, and nobody's context is current. */
  for (guint i = 0; i < model.geometry.frames; i++)
    g_assert_true (cg_fake_engine_put (&engine, engine.samples[i], 0, i, &error));
  run_engine (&engine, 1);
  check_outputs ("after pictures in device memory", &model, engine.outputs[0], 0, 8e-4);
  g_assert_cmpint (current (&out), ==, 0);
  g_assert_null (out);
  cg_fake_engine_close (&engine);
  cg_fake_context_free (ours);
  cg_fake_context_free (theirs);
  cg_fake_context_free (other);
  cg_fake_expect_clean ();
}

/* A benchmark's pictures: copies in the engine's context are read in place, those apart are copied, out of a context that
 * goes with them. */
static void
test_copies (void)
{
  const gsize image = model.geometry.image, bytes = 3 * image * image;
  g_autofree guint8 *expected = g_malloc (bytes), *found = g_malloc (bytes);
  guint8 *host = g_malloc (8 * SIDE_X * SIDE_Y);
  CgFakeEngine engine;
  CgCudaError error = { 0 };
  CgFrame frame, copy;
  float time;

  open_engine (&engine, &model, &plain, 1);
  for (guint i = 0; i < 2 * G_N_ELEMENTS (lying); i++) {
    const gboolean apart = i % 2;
    const gsize size = lying_frame (i / 2, host, FALSE, &frame);
    for (gsize b = 0; b < size; b++)
      host[b] = (guint8)(cg_generate_draw (i, b) >> 56);
    g_assert_true (engine.module->sample_put (engine.engine, engine.samples[0], &frame, &error) &&
                   engine.module->sample_get (engine.engine, engine.samples[0], expected, &error));
    if (!engine.module->picture_new (engine.engine, &frame, apart, &copy, &error))
      g_error ("%s", error.message);
    g_free (cg_fake_log (TRUE));
    if (!engine.module->time_put (engine.engine, engine.samples[1], &copy, 1, 1, 1, &time, &error))
      g_error ("%s", error.message);
    g_autofree char *log = cg_fake_log (FALSE);
    g_assert_true ((strstr (log, "-> cuMemcpyPeerAsync") != NULL) == apart);
    engine.module->picture_free (engine.engine, &copy);
    g_assert_null (copy.plane[0]);
    g_assert_true (engine.module->sample_get (engine.engine, engine.samples[1], found, &error));
    g_assert_cmpmem (found, bytes, expected, bytes);
  }
  g_free (host);

  /* Without memory, or a context, nothing is left behind. */
  for (guint i = 0; i < 4; i++) {
    cg_fake_settings.fail_call = (const char *[]){ "create_context", "cudaStreamCreateWithPriority",
                                                   "cudaMalloc", "cudaMemcpyAsync" }[i];
    g_assert_false (engine.module->picture_new (engine.engine, &frame, TRUE, &copy, &error));
    g_assert_null (cg_fake_settings.fail_call);
  }
  cg_fake_engine_close (&engine);
  cg_fake_expect_clean ();
}

/* ---- threads ---- */

typedef struct {
  CgFakeEngine *engine;
  guint first;
  gint *stop;
} Putter;

static gpointer
put_again_and_again (gpointer data)
{
  const Putter *putter = data;
  CgCudaError error = { 0 };
  const guint frames = model.geometry.frames;

  for (guint round = 0; !g_atomic_int_get (putter->stop) || round < 3; round++)
    for (guint i = 0; i < frames; i++)
      if (!cg_fake_engine_put (putter->engine, putter->engine->samples[putter->first + i], round, i,
                               &error))
        g_error ("%s", error.message);
  return NULL;
}

#define PUTTERS 6 /* more than CG_CUDA_UPLOADERS */

/* Some threads fill samples of windows that no run takes, while windows run. */
static void
test_threads (void)
{
  const guint frames = model.geometry.frames;
  CgFakeEngine engine;
  GThread *threads[PUTTERS];
  Putter putters[PUTTERS];
  gint stop = 0;

  open_engine (&engine, &model, &plain, 2 + PUTTERS);
  run_engine (&engine, 2);
  g_autofree CgOutputs *expected = cg_fake_outputs_copy (&model, engine.outputs[1]);
  for (guint i = 0; i < PUTTERS; i++) {
    putters[i] = (Putter){ &engine, (2 + i) * frames, &stop };
    threads[i] = g_thread_new ("putter", put_again_and_again, &putters[i]);
  }
  for (guint round = 0; round < 5; round++) {
    run_engine (&engine, 2);
    g_assert_true (cg_fake_outputs_equal (&model, engine.outputs[1], expected));
  }
  g_atomic_int_set (&stop, 1);
  for (guint i = 0; i < PUTTERS; i++)
    g_thread_join (threads[i]);
  cg_fake_engine_close (&engine);
  cg_fake_expect_clean ();
}

/* ---- lifetimes ---- */

/* All that a run writes on the device could as well be NaN before the next one. */
static void
test_written_before_read (void)
{
  CgFakeEngine engine;
  CgCudaOptions options = plain;

  for (guint i = 0; i < 3; i++) {
    options.precision = (CgCudaPrecision[]){ CG_CUDA_PRECISION_FP16, CG_CUDA_PRECISION_FP16,
                                             CG_CUDA_PRECISION_FP32 }[i];
    options.no_tuning = i != 1;
    cg_fake_settings.seed = 3;
    open_engine (&engine, &model, &options, 3);
    for (guint n = 1; n <= 3; n++) {
      run_engine (&engine, n);
      g_autofree CgOutputs *before = cg_fake_outputs_copy (&model, engine.outputs[n - 1]);
      cg_fake_snapshot ();
      cg_fake_poison_changed (); /* nothing was changed yet */
      /* A run with other numbers in its buffers shows what it writes. */
      const guint frames = model.geometry.frames;
      CgFakeEngine other = engine;
      for (guint s = 0; s < n * frames; s++)
        other.samples[s] = engine.samples[(s + frames) % (3 * frames)];
      cg_fake_snapshot ();
      run_engine (&other, n);
      g_assert_cmpuint (cg_fake_poison_changed (), >, n * frames * 8);
      run_engine (&engine, n);
      g_assert_true (cg_fake_outputs_equal (&model, engine.outputs[n - 1], before));
    }
    cg_fake_engine_close (&engine);
    cg_fake_expect_clean ();
  }
}

/* What a run calls: one launch and one wait, whatever the batch; no allocation, nothing of the libraries. */
static void
test_calls_of_a_run (void)
{
  static const char *const allowed[] = { "cudaStreamWaitEvent", "cudaGraphLaunch",
                                         "cudaEventRecord",     "cudaEventQuery",
                                         "push_current",        "pop_current" };
  CgFakeEngine engine;

  open_engine (&engine, &model, &plain, CG_FAKE_WINDOWS);
  for (guint round = 0; round < 2; round++)
    for (guint n = 1; n <= CG_FAKE_WINDOWS; n += 4) {
      g_free (cg_fake_log (TRUE));
      run_engine (&engine, n);
      g_autofree char *log = cg_fake_log (FALSE);
      g_auto (GStrv) lines = g_strsplit (log, "\n", -1);
      for (guint i = 0; lines[i] && *lines[i]; i++) {
        gboolean fine = g_str_has_prefix (lines[i], "-> ");
        for (guint k = 0; k < G_N_ELEMENTS (allowed); k++)
          fine |= g_str_equal (lines[i], allowed[k]);
        if (!fine)
          g_error ("a run of %u windows calls %s", n, lines[i]);
      }
      g_assert_cmpuint (count (log, "cudaGraphLaunch"), ==, 1);
      g_assert_cmpuint (count (log, "cudaEventQuery"), >, 0);
      if (round > 0) /* all pictures are known to be there */
        g_assert_cmpuint (count (log, "cudaStreamWaitEvent"), ==, 0);
    }
  cg_fake_engine_close (&engine);
  cg_fake_expect_clean ();
}

/* The order of a graph's parts is the network's. */
static void
test_order (void)
{
  CgFakeEngine engine;

  open_engine (&engine, &model, &plain, 1);
  run_engine (&engine, 1);
  g_free (cg_fake_log (TRUE));
  run_engine (&engine, 1);
  g_autofree char *log = cg_fake_log (FALSE);
  g_auto (GStrv) lines = g_strsplit (log, "\n", -1);
  g_autoptr (GString) work = g_string_new (NULL);
  for (guint i = 0; lines[i]; i++)
    if (g_str_has_prefix (lines[i], "-> ") && !g_str_has_prefix (lines[i], "-> cudaGraphLaunch"))
      g_string_append_printf (work, "%s\n", lines[i] + 3);
  g_test_message ("%s", work->str);
  /* One copy in, one out; per block two products and attention, and proj and fc1 (with its kernel); fc2 of the last
   * block is not among the products. */
  g_assert_cmpuint (count (work->str, "cudaMemcpyAsync"), ==, 2);
  g_assert_cmpuint (count (work->str, "cudnnBackendExecute"), ==, model.geometry.depth);
  g_assert_cmpuint (count (work->str, "cublasLtMatmul"), ==,
                    1 + 3 * model.geometry.depth + model.geometry.depth - 1);
  g_assert_true (g_str_has_prefix (work->str, "cudaMemcpyAsync\n"));
  g_assert_true (g_str_has_suffix (work->str, "\ncudaMemcpyAsync\n"));
  cg_fake_engine_close (&engine);
  cg_fake_expect_clean ();
}

/* ---- somebody else's context ---- */

static void
test_context (void)
{
  gpointer theirs = cg_fake_context_new (0), other = cg_fake_context_new (0);
  CgCudaOptions options = plain;
  CgFakeEngine engine;
  void *function;

  /* Given a thread with a context of its own, when an engine lives in yet another one */
  options.context = theirs;
  push (other);
  g_free (cg_fake_log (TRUE));
  open_engine (&engine, &model, &options, 2);
  run_engine (&engine, 2);
  check_outputs ("in a given context", &model, engine.outputs[1], 1, 8e-4);
  cg_fake_engine_close (&engine);

  /* then the thread's is the same as before, and no cudaSetDevice touched it. */
  g_autofree char *log = cg_fake_log (FALSE);
  g_assert_cmpuint (count (log, "cudaSetDevice"), ==, 0);
  g_assert_cmpint (current (&function), ==, 0);
  g_assert_true (function == other);
  pop (&function);
  g_assert_cmpint (current (&function), ==, 0);
  g_assert_null (function);
  cg_fake_context_free (theirs);
  cg_fake_context_free (other);
  cg_fake_expect_clean ();
}

static void
test_two_engines (void)
{
  CgFakeEngine a, b;
  CgCudaOptions second = plain;

  cg_fake_settings.devices = 2;
  second.device = 1;
  open_engine (&a, &model, &plain, 2);
  open_engine (&b, &model, &second, 2);
  run_engine (&a, 1);
  run_engine (&b, 2);
  run_engine (&a, 2);
  g_assert_true (cg_fake_outputs_equal (&model, a.outputs[1], b.outputs[1]));
  cg_fake_engine_close (&a);
  run_engine (&b, 1);
  g_assert_nonnull (strstr (b.module->describe (b.engine), "Fake GPU 1"));
  cg_fake_engine_close (&b);
  cg_fake_expect_clean ();
}

/* ---- precision, tuning, timing ---- */

static void
test_overflow (void)
{
  CgFakeModel wild = { 0 };
  CgFakeEngine engine;
  CgCudaOptions options = plain;

  cg_fake_model_new (&wild, 2, 24, 3, 2);
  for (guint i = 0; i < wild.geometry.mlp; i++)
    wild.network->blocks[1].fc1_bias[i] = i == 5 ? 1e5f : 0;
  cg_fake_model_fold (&wild);

  options.precision = CG_CUDA_PRECISION_AUTO;
  open_engine (&engine, &wild, &options, 2);
  const char *description = engine.module->describe (engine.engine);
  g_test_message ("%s", description);
  g_assert_nonnull (strstr (description, "bf16"));
  g_assert_nonnull (strstr (description, "block 1"));
  g_assert_nonnull (strstr (description, "fc1"));
  run_engine (&engine, 2);
  check_outputs ("too large for fp16", &wild, engine.outputs[1], 1, 6e-3);
  cg_fake_engine_close (&engine);

  cg_fake_settings.capability = 75; /* which has no bf16 */
  open_engine (&engine, &wild, &options, 1);
  g_assert_nonnull (strstr (engine.module->describe (engine.engine), "fp32"));
  cg_fake_engine_close (&engine);
  CgCudaError error = { 0 };
  options.precision = CG_CUDA_PRECISION_BF16;
  g_assert_false (cg_fake_engine_open (&engine, &wild, &options, 1, &error));
  g_assert_cmpint (error.status, ==, CG_CUDA_UNSUPPORTED);
  cg_fake_model_clear (&wild);
  cg_fake_expect_clean ();
}

/* Given a single value that is too large, the last one of the last token, it is found, in either layer. */
static void
test_overflow_anywhere (void)
{
  for (guint fc1 = 0; fc1 < 2; fc1++) {
    CgFakeModel wild = { 0 };
    CgFakeEngine engine;

    cg_fake_model_new (&wild, 2, 24, 3, 2);
    const guint width = wild.geometry.width, last = cg_geometry_tokens (&wild.geometry) - 1;
    CgFoldedBlock *block = &wild.folded->blocks[fc1];
    float *row = fc1 ? block->fc1_weight + (wild.geometry.mlp - 1) * width
                     : block->qkv_weight + (3 * width - 1) * width;
    /* Only there does normalising leave more than 4 at the beginning. */
    wild.folded->position[last * width] += 1000;
    for (guint i = 0; i < width; i++)
      row[i] = i == 0 ? 7000 : 0;
    open_engine (&engine, &wild, &plain, 1);
    const char *description = engine.module->describe (engine.engine);
    g_test_message ("%s", description);
    g_assert_nonnull (strstr (description, fc1 ? "(block 1, fc1 is" : "(block 0, qkv is"));
    cg_fake_engine_close (&engine);
    cg_fake_model_clear (&wild);
    cg_fake_expect_clean ();
  }
}

/* What fp16 is tried with: the first samples of a new engine still hold it, the last picture first. */
static void
test_overflow_pictures (void)
{
  const guint image = model.geometry.image, n = 3 * image * image;
  g_autofree guint8 *pixels = g_malloc (n);
  CgFakeEngine engine;
  CgCudaError error = { 0 };
  guint sum = 0, colours = 0;

  open_engine (&engine, &model, &plain, 0);
  for (guint kind = 6; kind-- > 0;) {
    engine.samples[kind] = engine.module->sample_new (engine.engine, &error);
    g_assert_true (engine.module->sample_get (engine.engine, engine.samples[kind], pixels, &error));
    for (guint i = 0; i < n; i++) {
      const guint x = i / 3 % image, y = i / 3 / image;
      const guint expected[6] = { 0, 0, 255, 255 * x / image, 255 * y / image };
      if (kind == 0)
        sum += pixels[i];
      else if (kind < 5)
        g_assert_cmpuint (pixels[i], ==, expected[kind]);
      else
        g_assert_true (pixels[i] == 0 || pixels[i] == 255);
      if (kind == 5 && i % 3 == 0)
        colours |= 1u << (pixels[i] % 2 + pixels[i + 1] % 2 * 2 + pixels[i + 2] % 2 * 4);
    }
  }
  g_assert_cmpuint (sum / n, >, 120);
  g_assert_cmpuint (sum / n, <, 136);
  g_assert_cmphex (colours, ==, 0xff);
  cg_fake_engine_close (&engine);
  cg_fake_expect_clean ();
}

/* A second engine does what the first one found out. */
static void
test_cache (void)
{
  g_autofree char *folder = g_dir_make_tmp ("cityguessr-test-XXXXXX", NULL);
  g_autofree char *file = g_build_filename (folder, "tuning", NULL);
  const CgCudaOptions options = { .cache = file, .chunk = 2 };
  CgFakeEngine engine;
  GStatBuf before, after;

  open_engine (&engine, &model, &options, 1);
  run_engine (&engine, 1);
  g_autofree CgOutputs *expected = cg_fake_outputs_copy (&model, engine.outputs[0]);
  const guint64 tuned = cg_fake_ops ();
  cg_fake_engine_close (&engine);
  cg_fake_expect_clean ();
  g_assert_cmpint (g_stat (file, &before), ==, 0);
  g_assert_cmpint (before.st_mode & 0777, ==, 0600);

  open_engine (&engine, &model, &options, 1);
  run_engine (&engine, 1);
  g_assert_true (cg_fake_outputs_equal (&model, engine.outputs[0], expected));
  g_assert_cmpuint (cg_fake_ops (), <, tuned / 2);
  cg_fake_engine_close (&engine);
  cg_fake_expect_clean ();
  g_assert_cmpint (g_stat (file, &after), ==, 0);
  g_assert_cmpint (after.st_ino, ==, before.st_ino);

  /* What others could have written is not read; nonsense is tuned again. */
  g_assert_cmpint (g_chmod (file, 0666), ==, 0);
  open_engine (&engine, &model, &options, 1);
  g_assert_cmpuint (cg_fake_ops (), >, tuned / 2);
  cg_fake_engine_close (&engine);
  cg_fake_expect_clean ();
  g_assert_true (g_file_set_contents (file, "nonsense \t\xff\n\n1 2 3\n", -1, NULL));
  open_engine (&engine, &model, &options, 1);
  run_engine (&engine, 1);
  g_assert_true (cg_fake_outputs_equal (&model, engine.outputs[0], expected));
  cg_fake_engine_close (&engine);
  cg_fake_expect_clean ();
  g_unlink (file);
  g_rmdir (folder);
}

/* ---- what the choices depend on ---- */

static uid_t other_user; /* 0: who we are */

/* Instead of libc's. */
uid_t
geteuid (void)
{
  return other_user ? other_user : (uid_t)syscall (SYS_geteuid);
}

/* How much work it is to open an engine with the choices in @file. */
static guint64
work_to_open (const CgFakeModel *of, const char *file)
{
  const CgCudaOptions options = { .cache = file, .precision = CG_CUDA_PRECISION_BF16, .chunk = 1 };
  const guint64 before = cg_fake_ops ();
  CgFakeEngine engine;

  open_engine (&engine, of, &options, 1);
  const guint64 work = cg_fake_ops () - before;
  cg_fake_engine_close (&engine);
  return work;
}

/* One thing that the choices depend on becomes another. */
static void
change (guint what, const char *release)
{
  switch (what) {
  case 0:
    cg_fake_settings.name = "Another GPU";
    break;
  case 1:
    cg_fake_settings.processors = 66;
    break;
  case 2:
    cg_fake_settings.capability = 100;
    break;
  case 3:
    cg_fake_settings.driver = 13010;
    break;
  case 4:
    cg_fake_settings.lt = 130300;
    break;
  case 5:
    cg_fake_settings.dnn = 91900;
    break;
  default:
    cg_cuda_release_file = release;
  }
}

static void
test_cache_key (void)
{
  g_autofree char *folder = g_dir_make_tmp ("cityguessr-test-XXXXXX", NULL);
  g_autofree char *file = g_build_filename (folder, "tuning", NULL);
  g_autofree char *release = g_build_filename (folder, "version", NULL);
  const char *usual = cg_cuda_release_file;

  cg_cuda_release_file = "/nowhere";
  g_assert_true (g_file_set_contents (release, "580.65.06\tRelease Build\n", -1, NULL));

  /* Given choices that were made, and are remembered, */
  const guint64 tuned = work_to_open (&model, file), recalled = work_to_open (&model, file);
  g_assert_cmpuint (recalled, <, tuned / 2);

  /* when a GPU, a driver or a library is another, then they are made anew, and remembered as well. */
  for (guint what = 0; what < 7; what++) {
    change (what, release);
    g_assert_cmpuint (work_to_open (&model, file), >, tuned / 2);
    g_assert_cmpuint (work_to_open (&model, file), <, tuned / 2);
    cg_fake_expect_clean ();
    cg_cuda_release_file = "/nowhere";
    g_assert_cmpuint (work_to_open (&model, file), ==, recalled);
  }
  g_autofree char *text = NULL;
  g_assert_true (g_file_get_contents (file, &text, NULL, NULL));
  g_assert_nonnull (strstr (text, " driver13000-580.65.06 cublaslt"));

  /* Of another user's file nothing is believed. */
  other_user = geteuid () + 1;
  g_assert_cmpuint (work_to_open (&model, file), >, tuned / 2);
  other_user = 0;
  cg_fake_expect_clean ();
  cg_cuda_release_file = usual;
  g_unlink (release);
  g_unlink (file);
  g_rmdir (folder);
}

/* ---- while a graph is captured ---- */

static gpointer (*meanwhile) (gpointer data);
static gpointer meanwhile_data;

/* In another thread, as elements are. */
static void
run_meanwhile (void)
{
  cg_fake_settings.captured = NULL;
  g_thread_join (g_thread_new ("meanwhile", meanwhile, meanwhile_data));
  cg_fake_settings.captured = run_meanwhile;
}

typedef struct {
  const CgFakeModel *of;
  const char *file;
  guint opened;
} Other;

static gpointer
open_other (gpointer data)
{
  Other *other = data;

  if (other->opened++ == 0)
    work_to_open (other->of, other->file);
  return NULL;
}

/* Given two engines that tune at once, each with other shapes, the choices of both are remembered. */
static void
test_cache_shared (void)
{
  g_autofree char *folder = g_dir_make_tmp ("cityguessr-test-XXXXXX", NULL);
  g_autofree char *file = g_build_filename (folder, "tuning", NULL);
  CgFakeModel small = { 0 };
  Other other = { &small, file, 0 };

  cg_fake_model_new (&small, 2, 24, 2, 2);
  meanwhile = open_other;
  meanwhile_data = &other;
  cg_fake_settings.captured = run_meanwhile;
  const guint64 both = work_to_open (&model, file);
  cg_fake_settings.captured = NULL;
  g_assert_cmpuint (other.opened, >, 1);
  g_assert_cmpuint (work_to_open (&model, file) + work_to_open (&small, file), <, both / 2);
  cg_fake_model_clear (&small);
  cg_fake_expect_clean ();
  g_unlink (file);
  g_rmdir (folder);
}

typedef struct {
  CgFakeEngine *engine;
  guint puts;
} Grower;

/* A picture larger than all before, which takes more memory. */
static gpointer
put_larger (gpointer data)
{
  Grower *grower = data;
  const guint side = 64 + 8 * grower->puts++;
  g_autofree guint8 *pixels = g_malloc0 ((gsize)3 * side * side);
  const CgFrame frame = cg_frame_of_sample (side, pixels);
  CgCudaError error = { 0 };

  if (!grower->engine->module->sample_put (grower->engine->engine, grower->engine->samples[0],
                                           &frame, &error))
    g_error ("%s", error.message);
  return NULL;
}

/* While an engine captures its graphs, another one takes more and more memory, and neither sees anything of it. */
static void
test_capture_alone (void)
{
  const CgCudaOptions tuned = { .precision = CG_CUDA_PRECISION_BF16, .chunk = 1 };
  CgFakeEngine first, second;
  Grower grower = { &first, 0 };

  open_engine (&first, &model, &plain, 1);
  meanwhile = put_larger;
  meanwhile_data = &grower;
  cg_fake_settings.captured = run_meanwhile;
  open_engine (&second, &model, &tuned, 1);
  cg_fake_settings.captured = NULL;
  /* Each graph was captured once: none was disturbed. */
  g_test_message ("%u captures", grower.puts);
  const guint captures = grower.puts;
  cg_fake_engine_close (&second);
  g_free (cg_fake_log (TRUE));
  open_engine (&second, &model, &tuned, 1);
  g_autofree char *log = cg_fake_log (FALSE);
  g_assert_cmpuint (count (log, "cudaStreamBeginCapture"), ==, captures);
  run_engine (&second, 1);
  check_outputs ("captured alone", &model, second.outputs[0], 0, 6e-3);
  cg_fake_engine_close (&second);
  cg_fake_engine_close (&first);
  cg_fake_expect_clean ();
}

/* Given a library that cannot load its code while a graph is captured, the work runs once before, and nobody takes the
 * refusal for want of memory. */
static void
test_lazy_library (void)
{
  for (guint tuned = 0; tuned < 2; tuned++) {
    CgCudaOptions options = plain;
    CgFakeEngine engine;

    options.no_tuning = !tuned;
    /* In fp16 a run before all graphs looks for overflow. */
    options.precision = tuned ? CG_CUDA_PRECISION_FP16 : CG_CUDA_PRECISION_FP32;
    options.chunk = 1; /* with more it would try less */
    cg_fake_settings.lazy = TRUE;
    open_engine (&engine, &model, &options, 1);
    g_assert_false (cg_fake_settings.lazy);
    run_engine (&engine, 1);
    check_outputs ("over a lazy library", &model, engine.outputs[0], 0, 8e-4);
    cg_fake_engine_close (&engine);
    cg_fake_expect_clean ();
  }
}

/* A piece of work takes the fake device a microsecond, a library's some more. */
static void
test_time (void)
{
  const guint frames = model.geometry.frames;
  CgFakeEngine engine;
  CgCudaError error = { 0 };
  float times[7] = { 0 }, twice = 0;

  open_engine (&engine, &model, &plain, 8);
  g_free (cg_fake_log (TRUE));
  g_assert_true (engine.module->time (engine.engine, engine.samples, 2, 2, 7, times, &error));
  g_autofree char *log = cg_fake_log (FALSE);
  for (guint i = 0; i < 7; i++)
    g_assert_cmpfloat (times[i], >, 1);
  /* Both sets had their turn: of each sample it is waited once until its picture is there. */
  g_assert_cmpuint (count (log, "cudaGraphLaunch"), ==, 7);
  g_assert_cmpuint (count (log, "cudaStreamWaitEvent"), ==, 2 * 2 * frames);

  /* Two chunks take twice as long as one. */
  g_assert_true (engine.module->time (engine.engine, engine.samples, 1, 4, 1, times, &error));
  g_assert_true (engine.module->time (engine.engine, engine.samples, 1, 8, 1, &twice, &error));
  g_assert_cmpfloat (twice, >, 1.7 * times[0]);
  g_assert_cmpfloat (twice, <, 2.3 * times[0]);
  run_engine (&engine, 1);
  check_outputs ("after timing", &model, engine.outputs[0], 0, 8e-4);
  cg_fake_engine_close (&engine);
  cg_fake_expect_clean ();
}

/* Of a picture in the GPU's memory: one kernel if its size is the last one's, else two, and a copy if it lies apart. */
static void
test_time_put (void)
{
  static const struct {
    guint sets;
    gboolean apart;
    guint row;
    float expected; /* from the second one on */
  } ways[] = { { 1, FALSE, 1, 1 }, { 1, FALSE, 4, 1 }, { 1, TRUE, 1, 2 },      { 1, TRUE, 4, 2 },
               { 2, FALSE, 1, 2 }, { 2, TRUE, 1, 3 },  { 2, FALSE, 4, 1.25f }, { 3, FALSE, 1, 2 } };
  guint8 pixels[3 * 52 * 40] = { 0 };
  CgFrame pictures[3], copies[2][3]; /* in the engine's context, and apart */
  CgFakeEngine engine;
  CgCudaError error = { 0 };
  float times[5];

  open_engine (&engine, &model, &plain, 1);
  for (guint i = 0; i < 3; i++) {
    pictures[i] = (CgFrame){ .format = CG_FORMAT_RGB,
                             .width = 50 + i,
                             .height = 40,
                             .plane = { pixels },
                             .stride = { 3 * (50 + (gint)i) } };
    for (guint apart = 0; apart < 2; apart++)
      g_assert_true (engine.module->picture_new (engine.engine, &pictures[i], apart,
                                                 &copies[apart][i], &error));
  }
  for (guint k = 0; k < G_N_ELEMENTS (ways); k++) {
    if (!engine.module->time_put (engine.engine, engine.samples[0], copies[ways[k].apart],
                                  ways[k].sets, ways[k].row, 5, times, &error))
      g_error ("%s", error.message);
    for (guint i = 1; i < 5; i++)
      g_assert_cmpfloat_with_epsilon (times[i], ways[k].expected, 1e-3f);
  }
  for (guint i = 0; i < 6; i++)
    engine.module->picture_free (engine.engine, &copies[i % 2][i / 2]);
  cg_fake_engine_close (&engine);
  cg_fake_expect_clean ();
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  cg_fake_emulate ();
  find_driver ();
  cg_fake_model_new (&model, 2, 24, 3, 2);
  g_test_add_func ("/cuda/engine/parity/24", test_parity_24);
  g_test_add_func ("/cuda/engine/parity/64", test_parity_64);
  g_test_add_func ("/cuda/engine/parity/12", test_parity_12);
  g_test_add_func ("/cuda/engine/batches", test_batches);
  g_test_add_func ("/cuda/engine/largest", test_largest);
  g_test_add_func ("/cuda/engine/counts", test_counts);
  g_test_add_func ("/cuda/engine/without-auxiliary", test_without_auxiliary);
  g_test_add_func ("/cuda/engine/cancel", test_cancel);
  g_test_add_func ("/cuda/engine/samples", test_samples);
  g_test_add_func ("/cuda/engine/uploaders", test_uploaders);
  g_test_add_func ("/cuda/engine/pictures", test_pictures);
  g_test_add_func ("/cuda/engine/formats", test_formats);
  g_test_add_func ("/cuda/engine/coefficients", test_coefficients);
  g_test_add_func ("/cuda/engine/device-pictures", test_device_pictures);
  g_test_add_func ("/cuda/engine/copies", test_copies);
  g_test_add_func ("/cuda/engine/threads", test_threads);
  g_test_add_func ("/cuda/engine/written-before-read", test_written_before_read);
  g_test_add_func ("/cuda/engine/calls-of-a-run", test_calls_of_a_run);
  g_test_add_func ("/cuda/engine/order", test_order);
  g_test_add_func ("/cuda/engine/context", test_context);
  g_test_add_func ("/cuda/engine/two-engines", test_two_engines);
  g_test_add_func ("/cuda/engine/overflow", test_overflow);
  g_test_add_func ("/cuda/engine/overflow-anywhere", test_overflow_anywhere);
  g_test_add_func ("/cuda/engine/overflow-pictures", test_overflow_pictures);
  g_test_add_func ("/cuda/engine/cache", test_cache);
  g_test_add_func ("/cuda/engine/cache/key", test_cache_key);
  g_test_add_func ("/cuda/engine/cache/shared", test_cache_shared);
  g_test_add_func ("/cuda/engine/capture-alone", test_capture_alone);
  g_test_add_func ("/cuda/engine/lazy-library", test_lazy_library);
  g_test_add_func ("/cuda/engine/time", test_time);
  g_test_add_func ("/cuda/engine/time-put", test_time_put);
  const int result = g_test_run ();
  cg_fake_model_clear (&model);
  return result;
}
