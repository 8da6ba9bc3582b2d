/* The CUDA engine over fakes that fail: each call once, each call as the first of a lost device, each piece of work on
 * the device. What must come of it: an error that says something, or success with the right answers; nothing leaked,
 * nothing freed twice, no fault; and after an error that is not a loss the engine still works.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include <string.h>

#include "cuda/frames.h"
#include "fake/engine.h"
#include "fake/private.h"
#include "model/engine.h"

static CgFakeModel model; /* the smallest */
static CgOutputs *expected;

static const CgCudaOptions plain = { .precision = CG_CUDA_PRECISION_FP16,
                                     .no_tuning = true,
                                     .chunk = 1 };
/* Without the look for overflow, so that a life is short. */
static const CgCudaOptions brief = { .precision = CG_CUDA_PRECISION_BF16,
                                     .no_tuning = true,
                                     .chunk = 2 };
static const CgCudaOptions wide = { .precision = CG_CUDA_PRECISION_FP32,
                                    .no_tuning = true,
                                    .chunk = 2 };
static const CgCudaOptions tuned = { .precision = CG_CUDA_PRECISION_BF16, .chunk = 1 };

static void
expect_error (const CgCudaError *error)
{
  g_assert_cmpint (error->status, !=, CG_CUDA_OK);
  g_assert_cmpstr (error->message, !=, "");
  g_assert_true (g_utf8_validate (error->message, -1, NULL));
}

/* As near as one way to compute is to another. */
static void
expect_answers (const CgFakeEngine *engine)
{
  const guint n = model.geometry.width;
  g_autofree gdouble *values = g_new (gdouble, n);
  for (guint i = 0; i < n; i++)
    values[i] = expected->features[i];
  g_assert_cmpfloat (cg_fake_distance (engine->outputs[0]->features, values, n), <=, 1e-2);
}

/* Opens, fills samples, runs two batches and closes, as the settings let it. */
static void
live (const CgCudaOptions *options)
{
  CgFakeEngine engine;
  CgCudaError error = { 0 };

  if (!cg_fake_engine_open (&engine, &model, options, 1, &error)) {
    expect_error (&error);
    /* A loss is told as one, also if a library, which has other words, met it first. */
    if (cg_fake_settings.lose_at && cg_fake_fail_name () &&
        (g_str_has_prefix (cg_fake_fail_name (), "cublas") ||
         g_str_has_prefix (cg_fake_fail_name (), "cudnn")))
      g_assert_cmpint (error.status, ==, CG_CUDA_LOST);
    return;
  }
  for (guint run = 0; run < 2; run++) {
    error = (CgCudaError){ 0 };
    if (cg_fake_engine_run (&engine, 1, &error)) {
      expect_answers (&engine);
      continue;
    }
    expect_error (&error);
    if (error.status == CG_CUDA_LOST) { /* and it stays so, without a call of the device */
      const guint64 calls = cg_fake_calls ();
      g_assert_false (cg_fake_engine_run (&engine, 1, &error));
      g_assert_cmpint (error.status, ==, CG_CUDA_LOST);
      g_assert_false (cg_fake_engine_put (&engine, engine.samples[0], 0, 0, &error));
      g_assert_cmpint (error.status, ==, CG_CUDA_LOST);
      g_assert_cmpuint (cg_fake_calls (), ==, calls);
      break;
    }
    /* A run that failed in itself: the next one works. */
    error = (CgCudaError){ 0 };
    if (!cg_fake_engine_run (&engine, 1, &error))
      g_error ("after a failure: %s", error.message);
    expect_answers (&engine);
  }
  cg_fake_engine_close (&engine);
}

typedef enum { FAIL, LOSE, LOSE_WORK } How;

/* A life repeats itself: the same calls for each size of a batch and each chunk of it. Of calls of one name, behind the
 * same calls, so many fail. */
#define ALIKE 2
#define BEHIND 3

/* With the sanitizers a life takes many times as long: every so many-th of these. A prime, so that all kinds of calls have
 * their turn. */
#ifdef __SANITIZE_ADDRESS__
#define SPARSELY 7
#else
#define SPARSELY 1
#endif

/* Which calls (or pieces of work, for LOSE_WORK) of a life to fail, from 1; the last one is past the end. */
static GArray *
choose_points (const CgCudaOptions *options, How how)
{
  g_autoptr (GPtrArray) calls = g_ptr_array_new (), ops = g_ptr_array_new ();
  g_autoptr (GHashTable) seen = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  GPtrArray *all = how == LOSE_WORK ? ops : calls;
  GArray *points = g_array_new (FALSE, FALSE, sizeof (guint64));
  guint64 at;

  cg_fake_trace (calls, ops);
  live (options);
  cg_fake_trace (NULL, NULL);
  cg_fake_expect_clean ();
  for (at = 1; at <= all->len; at++) {
    GString *key = g_string_new (NULL);
    for (guint64 i = at > BEHIND ? at - BEHIND - 1 : 0; i < at; i++)
      g_string_append_printf (key, "%s ", (const char *)all->pdata[i]);
    const guint n = GPOINTER_TO_UINT (g_hash_table_lookup (seen, key->str)) + 1;
    g_hash_table_insert (seen, g_string_free (key, FALSE), GUINT_TO_POINTER (n));
    if (n <= ALIKE)
      g_array_append_val (points, at);
  }
  g_array_append_val (points, at);
  g_test_message ("%u of %u", points->len, all->len);
  return points;
}

/* Fails every @step-th of these, each in a life of its own. */
static void
fail_each (const CgCudaOptions *options, How how, guint step)
{
  g_autoptr (GArray) points = choose_points (options, how);
  guint tried = 0;

  for (guint i = 0; i < points->len; i += step * SPARSELY, tried++) {
    const guint64 at = g_array_index (points, guint64, i);
    if (how == FAIL)
      cg_fake_settings.fail_at = at;
    else if (how == LOSE)
      cg_fake_settings.lose_at = at;
    else
      cg_fake_settings.lose_op_at = at;
    live (options);
    g_autofree char *faults = cg_fake_faults ();
    g_autofree char *leaks = cg_fake_leaks ();
    if (*faults || *leaks)
      g_error ("failure %" G_GUINT64_FORMAT " (%s): faults \"%s\", leaks \"%s\"", at,
               cg_fake_fail_name (), faults, leaks);
    g_assert_true (cg_fake_fail_name () != NULL || i + 1 == points->len);
    cg_fake_reset ();
  }
  g_test_message ("%u lives", tried);
}

static void
test_calls_fail (void)
{
  fail_each (&brief, FAIL, 1);
}

static void
test_calls_fail_fp16 (void)
{
  fail_each (&plain, FAIL, 3);
}

static void
test_calls_fail_fp32 (void)
{
  fail_each (&wide, FAIL, 1);
}

static void
test_calls_fail_tuning (void)
{
  fail_each (&tuned, FAIL, 7);
}

static void
test_device_lost (void)
{
  fail_each (&brief, LOSE, 1);
}

static void
test_work_lost (void)
{
  fail_each (&brief, LOSE_WORK, 1);
}

static void
test_work_lost_tuning (void)
{
  fail_each (&tuned, LOSE_WORK, 7);
}

/* ---- samples that are read, pictures in device memory, times ---- */

#define SIDE 40 /* of a picture; of the model's frames it is 16 */

/* A picture in device memory, here and as if it lay in another context, into a sample and back; then a batch on the clock.
 * FALSE after the first of these that fails. @pixels: (out): what the sample held last. */
static gboolean
measure (CgFakeEngine *engine, guint8 *pixels, CgCudaError *error)
{
  const CgCudaModule *m = engine->module;
  g_autofree guint8 *rows = g_malloc (3 * SIDE * SIDE);
  const CgFrame frame = cg_frame_of_sample (SIDE, rows);
  float times[2] = { 0 };
  gboolean done;
  CgFrame copy;

  for (guint i = 0; i < 3 * SIDE * SIDE; i++)
    rows[i] = (guint8)(i * i / 7);
  if (!m->picture_new (engine->engine, &frame, TRUE, &copy, error))
    return FALSE;
  done = m->sample_put (engine->engine, engine->samples[0], &copy, error) &&
         m->time_put (engine->engine, engine->samples[0], &copy, 1, 2, 2, times, error) &&
         m->sample_get (engine->engine, engine->samples[0], pixels, error) &&
         m->time (engine->engine, engine->samples, 1, 1, 2, times, error);
  m->picture_free (engine->engine, &copy);
  return done;
}

/* Each call of that fails once; then all of it is done again, or is lost for good. @how: FAIL or LOSE. */
static void
fail_measuring (How how)
{
  const gsize bytes = 3 * (gsize)model.geometry.image * model.geometry.image;
  g_autofree guint8 *right = g_malloc (bytes), *found = g_malloc (bytes);
  gboolean struck = TRUE;
  guint tried = 0;

  for (guint64 at = 0; struck; at += at > 0 ? SPARSELY : 1, tried++) {
    CgFakeEngine engine;
    CgCudaError error = { 0 };

    g_assert_true (cg_fake_engine_open (&engine, &model, &brief, 1, &error));
    if (at > 0 && how == FAIL)
      cg_fake_settings.fail_at = cg_fake_calls () + at;
    else if (at > 0)
      cg_fake_settings.lose_at = cg_fake_calls () + at;
    if (!measure (&engine, at > 0 ? found : right, &error))
      expect_error (&error);
    else /* or it was one that may fail */
      g_assert_cmpint (error.status, ==, CG_CUDA_OK);
    struck = at == 0 || cg_fake_fail_name () != NULL;
    cg_fake_settings.fail_at = cg_fake_settings.lose_at = 0;
    const bool stays = error.status == CG_CUDA_LOST || (how == LOSE && at > 0 && struck);
    error = (CgCudaError){ 0 };
    if (stays) {
      g_assert_false (measure (&engine, found, &error));
      g_assert_cmpint (error.status, ==, CG_CUDA_LOST);
    } else {
      if (!measure (&engine, found, &error))
        g_error ("after a failed %s: %s", cg_fake_fail_name (), error.message);
      g_assert_cmpmem (found, bytes, right, bytes);
    }
    cg_fake_engine_close (&engine);
    cg_fake_expect_clean ();
  }
  g_test_message ("%u engines", tried);
}

static void
test_measuring_fails (void)
{
  fail_measuring (FAIL);
}

static void
test_measuring_lost (void)
{
  fail_measuring (LOSE);
}

/* Somebody resets the device under an engine that lives. */
static void
test_context_gone (void)
{
  const guint64 window = 0;
  CgFakeEngine engine;
  CgCudaError error = { 0 };

  for (guint first = 0; first < 3; first++) {
    /* Given an engine that has worked, and with work that waits on its streams */
    g_assert_true (cg_fake_engine_open (&engine, &model, &plain, 1, &error));
    g_assert_true (cg_fake_engine_run (&engine, 1, &error));
    g_assert_true (cg_fake_engine_put (&engine, engine.samples[0], window, 0, &error));

    /* when its context goes, then the first call that needs it says so, */
    cg_fake_contexts_vanish ();
    error = (CgCudaError){ 0 };
    if (first == 0)
      g_assert_false (cg_fake_engine_put (&engine, engine.samples[0], window, 0, &error));
    else if (first == 1)
      g_assert_false (cg_fake_engine_run (&engine, 1, &error));
    if (first < 2)
      g_assert_cmpint (error.status, ==, CG_CUDA_LOST);

    /* and later ones say the same, without another try; */
    if (first < 2) {
      g_free (cg_fake_log (TRUE));
      g_assert_false (cg_fake_engine_run (&engine, 1, &error));
      g_assert_cmpint (error.status, ==, CG_CUDA_LOST);
      g_assert_null (engine.module->sample_new (engine.engine, &error));
      g_assert_cmpint (error.status, ==, CG_CUDA_LOST);
      g_autofree char *log = cg_fake_log (FALSE);
      g_assert_cmpstr (log, ==, "");
    }

    /* and closing frees what is the host's, and nothing else. */
    cg_fake_engine_close (&engine);
    cg_fake_expect_clean ();
  }
}

/* Nor can one be opened there, and what was taken for it is given back. */
static void
test_context_never (void)
{
  CgFakeEngine engine;
  CgCudaError error = { 0 };

  cg_fake_contexts_vanish ();
  g_assert_false (cg_fake_engine_open (&engine, &model, &plain, 1, &error));
  g_assert_cmpint (error.status, ==, CG_CUDA_LOST);
  cg_fake_expect_clean ();
}

/* ---- which errors are losses ---- */

static void
test_losses (void)
{
  /* After these the context is of no use, as driver_types.h says of each, or as it is with whoever holds it. */
  static const cudaError_t losses[] = {
    cudaErrorDevicesUnavailable,
    cudaErrorECCUncorrectable,
    cudaErrorNvlinkUncorrectable,
    cudaErrorContained,
    cudaErrorIllegalAddress,
    cudaErrorLaunchTimeout,
    cudaErrorContextIsDestroyed,
    cudaErrorAssert,
    cudaErrorHardwareStackError,
    cudaErrorIllegalInstruction,
    cudaErrorMisalignedAddress,
    cudaErrorInvalidAddressSpace,
    cudaErrorInvalidPc,
    cudaErrorLaunchFailure,
    cudaErrorTensorMemoryLeak,
    cudaErrorMpsConnectionFailed,
    cudaErrorMpsRpcFailure,
    cudaErrorMpsServerNotReady,
    cudaErrorMpsClientTerminated,
    cudaErrorExternalDevice,
    cudaErrorUnknown,
  };

  for (int code = 1; code <= 1000; code++) {
    CgCudaError error = { 0 }, lt = { 0 }, dnn = { 0 };
    CgCudaStatus status = code == cudaErrorMemoryAllocation ? CG_CUDA_MEMORY : CG_CUDA_COMPUTE;

    for (guint i = 0; i < G_N_ELEMENTS (losses); i++)
      if ((int)losses[i] == code)
        status = CG_CUDA_LOST;
    g_assert_false (cg_cuda_check ((cudaError_t)code, "try", &error));
    if (error.status != status)
      g_error ("%d: %u, expected %u", code, error.status, status);
    g_assert_nonnull (strstr (error.message, "try"));
    g_assert_true (g_str_has_prefix (error.message, "The GPU is lost") == (status == CG_CUDA_LOST));

    /* A library's own failure is told by what is behind it, if that explains it. */
    cg_fake_return ((cudaError_t)code);
    g_assert_false (cg_cuda_check_lt (CUBLAS_STATUS_EXECUTION_FAILED, "try", &lt));
    g_assert_cmpint (lt.status, ==, status);
    cg_fake_return ((cudaError_t)code);
    g_assert_false (cg_cuda_check_dnn (CUDNN_STATUS_EXECUTION_FAILED, "try", &dnn));
    g_assert_cmpint (dnn.status, ==, status);
    g_assert_true (g_str_has_prefix (lt.message, "cuBLASLt") == (status == CG_CUDA_COMPUTE));
    g_assert_true (g_str_has_prefix (dnn.message, "cuDNN") == (status == CG_CUDA_COMPUTE));
    g_assert_cmpint (cudaGetLastError (), ==, cudaSuccess);
  }
  g_assert_true (cg_cuda_check (cudaSuccess, "try", NULL));
  g_assert_true (cg_cuda_check_lt (CUBLAS_STATUS_SUCCESS, "try", NULL));
  g_assert_true (cg_cuda_check_dnn (CUDNN_STATUS_SUCCESS, "try", NULL));
}

/* The next call of @name, if not NULL, fails with @code while a picture of another context is put. */
static CgCudaStatus
put_while (CgFakeEngine *engine, const CgFrame *picture, const char *name, cudaError_t code)
{
  CgCudaError error = { 0 };

  cg_fake_settings.fail_call = name;
  cg_fake_settings.fail_as = (int)code;
  if (!engine->module->sample_put (engine->engine, engine->samples[0], picture, &error))
    expect_error (&error);
  g_assert_null (cg_fake_settings.fail_call);
  cg_fake_settings.fail_as = 0;
  return error.status;
}

/* The end of somebody else's context is a picture that can't be read, and nothing worse; that of ours is a loss. */
static void
test_foreign_context_gone (void)
{
  gpointer theirs = cg_fake_context_new (0);
  CgFakeEngine engine;
  CgCudaError error = { 0 };
  guint8 *pixels;

  g_assert_true (cg_fake_engine_open (&engine, &model, &plain, 1, &error));
  cg_fake_context_push (theirs);
  g_assert_cmpint (cudaMalloc ((void **)&pixels, 12), ==, 0);
  cg_fake_context_pop ();
  CgFrame picture = cg_frame_of_sample (2, pixels);
  picture.memory = CG_MEMORY_CUDA;
  g_assert_cmpint (put_while (&engine, &picture, NULL, 0), ==, CG_CUDA_OK);
  g_assert_cmpint (put_while (&engine, &picture, "cg_fake_peer_copy", cudaErrorDeviceUninitialized),
                   ==, CG_CUDA_INPUT);
  g_assert_cmpint (put_while (&engine, &picture, "pointer_attribute", 0), ==, CG_CUDA_COMPUTE);
  g_assert_true (cg_fake_engine_put (&engine, engine.samples[0], 0, 0, &error));
  g_assert_true (cg_fake_engine_run (&engine, 1, &error));
  expect_answers (&engine);
  g_assert_cmpint (put_while (&engine, &picture, "cg_fake_peer_copy", cudaErrorContextIsDestroyed),
                   ==, CG_CUDA_LOST);
  g_assert_false (cg_fake_engine_run (&engine, 1, &error));
  g_assert_cmpint (error.status, ==, CG_CUDA_LOST);
  cg_fake_engine_close (&engine);
  cg_fake_context_push (theirs);
  cudaFree (pixels);
  cg_fake_context_pop ();
  cg_fake_context_free (theirs);
  cg_fake_expect_clean ();
}

/* Given engines on two devices, when one of these is lost, then the other engine computes on. */
static void
test_other_device (void)
{
  CgFakeEngine engines[2];
  CgCudaError error = { 0 };

  cg_fake_settings.devices = 2;
  for (guint i = 0; i < 2; i++) {
    CgCudaOptions options = plain;
    options.device = (int)i;
    g_assert_true (cg_fake_engine_open (&engines[i], &model, &options, 1, &error));
    g_assert_true (cg_fake_engine_run (&engines[i], 1, &error));
    g_assert_true (cg_fake_engine_put (&engines[i], engines[i].samples[0], 0, 0, &error));
  }
  cg_fake_lose_device (0);
  g_assert_false (cg_fake_engine_run (&engines[0], 1, &error));
  g_assert_cmpint (error.status, ==, CG_CUDA_LOST);
  for (guint round = 0; round < 2; round++) {
    if (!cg_fake_engine_put (&engines[1], engines[1].samples[0], 0, 0, &error) ||
        !cg_fake_engine_run (&engines[1], 1, &error))
      g_error ("%s", error.message);
    expect_answers (&engines[1]);
    if (round == 0) /* also when the lost one is closed */
      cg_fake_engine_close (&engines[0]);
  }
  cg_fake_engine_close (&engines[1]);
  cg_fake_expect_clean ();
}

/* ---- a device that does not answer ---- */

/* What waits first: after HALF_A_PUT, what is told is another failure; before CLOSE_A_RUN a run failed behind its launch. */
typedef enum { RUN, PUT, PUT_ON_DEVICE, GET, HALF_A_PUT, CLOSE, CLOSE_A_RUN, FIRSTS } First;

/* A picture in the device's memory. */
static CgFrame
device_picture (CgFakeEngine *engine, guint8 *pixels)
{
  CgFrame system = cg_frame_of_sample (2, pixels), device;
  CgCudaError error = { 0 };
  g_assert_true (engine->module->picture_new (engine->engine, &system, FALSE, &device, &error));
  return device;
}

static gboolean
call_first (CgFakeEngine *engine, First first, const CgFrame *picture, CgCudaError *error)
{
  g_autofree guint8 *pixels = g_malloc ((gsize)3 * model.geometry.image * model.geometry.image);

  switch (first) {
  case RUN:
    return cg_fake_engine_run (engine, 1, error);
  case PUT: /* until one waits */
    for (guint i = 0; i <= CG_CUDA_UPLOADERS; i++)
      if (!cg_fake_engine_put (engine, engine->samples[0], 0, 0, error))
        return FALSE;
    return TRUE;
  case PUT_ON_DEVICE:
    return engine->module->sample_put (engine->engine, engine->samples[0], picture, error);
  case HALF_A_PUT:
    cg_fake_settings.fail_call = "coefficients";
    return engine->module->sample_put (engine->engine, engine->samples[0], picture, error);
  case GET:
    return engine->module->sample_get (engine->engine, engine->samples[0], pixels, error);
  default:
    return FALSE; /* closing waits */
  }
}

/* Given a device that does no more work, whoever waits is told after a while; then nothing of the engine calls it any
 * more, and closing neither waits nor frees what the device could still be writing to. */
static void
test_silence (void)
{
  const gint64 patience = cg_cuda_patience;
  guint8 pixels[2 * 2 * 3] = { 0 };

  for (First first = RUN; first < FIRSTS; first++) {
    CgFakeEngine engine;
    CgCudaError error = { 0 };

    g_assert_true (cg_fake_engine_open (&engine, &model, &plain, 1, &error));
    g_assert_true (cg_fake_engine_run (&engine, 1, &error));
    CgFrame picture = device_picture (&engine, pixels);
    for (guint i = 0; i < CG_CUDA_UPLOADERS; i++) /* whatever is under way */
      g_assert_true (call_first (&engine, GET, &picture, &error));
    if (first < GET || first == CLOSE) /* others are to wait for themselves */
      g_assert_true (cg_fake_engine_put (&engine, engine.samples[0], 0, 0, &error));
    if (first == CLOSE_A_RUN) {
      cg_fake_settings.fail_call = "cudaEventRecord";
      g_assert_false (cg_fake_engine_run (&engine, 1, &error));
    }
    cg_cuda_patience = 20000;
    cg_fake_settings.silent = TRUE;

    const gint64 start = g_get_monotonic_time ();
    g_assert_false (call_first (&engine, first, &picture, &error));
    if (first < CLOSE) {
      g_assert_cmpint (g_get_monotonic_time () - start, >=, cg_cuda_patience);
      g_assert_cmpint (error.status, ==, first == HALF_A_PUT ? CG_CUDA_COMPUTE : CG_CUDA_LOST);
      if (first != HALF_A_PUT)
        g_assert_true (g_str_has_prefix (error.message, "The GPU does not answer"));
      g_free (cg_fake_log (TRUE));
      for (First again = RUN; again < CLOSE; again++)
        g_assert_false (call_first (&engine, again, &picture, &error));
      g_assert_cmpint (error.status, ==, CG_CUDA_LOST);
      g_assert_null (engine.module->sample_new (engine.engine, &error));
      engine.module->picture_free (engine.engine, &picture);
    }
    cg_cuda_patience = first < CLOSE ? patience : cg_cuda_patience;
    cg_fake_engine_close (&engine);
    if (first < CLOSE) { /* descriptions in host memory are freed, and that is all */
      g_autofree char *log = cg_fake_log (FALSE);
      g_auto (GStrv) lines = g_strsplit (log, "\n", -1);
      for (guint i = 0; lines[i] && *lines[i]; i++)
        if (!g_str_has_prefix (lines[i], "cublasLtMat"))
          g_error ("a device that does not answer is called: %s", lines[i]);
    }
    cg_cuda_patience = patience;
    cg_fake_contexts_vanish ();
    cg_fake_expect_clean ();
  }
}

/* ---- machines that can't ---- */

static void
expect_refusal (CgCudaStatus status, const char *part)
{
  CgCudaError error = { 0 };
  CgFakeEngine engine;

  g_assert_false (cg_fake_engine_open (&engine, &model, &plain, 1, &error));
  g_test_message ("%s", error.message);
  g_assert_cmpint (error.status, ==, status);
  g_assert_nonnull (strstr (error.message, part));
  g_assert_nonnull (strstr (error.message, "or use device=cpu"));
  if (status != CG_CUDA_MEMORY) {
    CgCudaError probed = { 0 };
    g_assert_false (cg_cuda_module ()->probe (0, &probed));
    g_assert_cmpint (probed.status, ==, status);
    g_assert_cmpstr (probed.message, ==, error.message);
  }
  cg_fake_expect_clean ();
}

static void
test_refusals (void)
{
  cg_fake_settings.driver = -1;
  expect_refusal (CG_CUDA_ABSENT, "no NVIDIA driver on this machine: install one (580 or later)");
  cg_fake_settings.devices = 0;
  expect_refusal (CG_CUDA_ABSENT, "no NVIDIA GPU on this machine");
  cg_fake_settings.devices = -1;
  expect_refusal (CG_CUDA_UNSUPPORTED, "The NVIDIA driver is too old: it knows CUDA 11.4, and the "
                                       "CUDA engine needs 13.0. Install driver 580 or later");
  cg_fake_settings.capability = 70;
  expect_refusal (CG_CUDA_UNSUPPORTED, "The GPU Fake GPU 0 is too old: its compute capability is "
                                       "7.0, and the CUDA engine needs 7.5");
  cg_fake_settings.dnn = 91801;
  expect_refusal (CG_CUDA_UNSUPPORTED, "libcudnn.so.9 is too old: it is 9.18.1, and the CUDA "
                                       "engine needs 9.19. Install a later cuDNN");
  cg_fake_settings.fail_call = "primary_retain";
  expect_refusal (CG_CUDA_MEMORY, "The GPU Fake GPU 0 gives no context");
  cg_fake_settings.memory = 1 << 20;
  expect_refusal (CG_CUDA_MEMORY, "The GPU has too little memory free: CUDA could not allocate a "
                                  "workspace. Close other programs");
  cg_fake_settings.memory = CG_CUDA_WORKSPACE + (64 << 10);
  expect_refusal (CG_CUDA_MEMORY, "The GPU has too little memory free for ");

  CgCudaError error = { 0 };
  CgCudaOptions second = plain;
  CgFakeEngine engine;
  second.device = 1;
  g_assert_false (cg_fake_engine_open (&engine, &model, &second, 1, &error));
  g_assert_cmpint (error.status, ==, CG_CUDA_ABSENT);
  g_assert_nonnull (strstr (error.message, "There is no GPU 1: this program sees 1"));
  g_assert_nonnull (strstr (error.message, "or use device=cpu"));
  g_assert_true (cg_cuda_module ()->probe (0, &error));
  cg_fake_settings.dnn = 91900; /* the oldest that will do */
  g_assert_true (cg_cuda_module ()->probe (0, &error));
  cg_fake_expect_clean ();
}

/* Less and less memory: it works in smaller chunks, or says that memory is short. */
static void
test_memory (void)
{
  CgCudaOptions large = plain;
  guint opened = 0, refused = 0;

  large.chunk = 32;
  for (gsize memory = CG_CUDA_WORKSPACE + (2 << 20); memory > CG_CUDA_WORKSPACE - (1 << 20);
       memory -= 256 << 10) {
    CgFakeEngine engine;
    CgCudaError error = { 0 };

    cg_fake_settings.memory = memory;
    if (cg_fake_engine_open (&engine, &model, &large, 1, &error)) {
      opened++;
      if (!cg_fake_engine_run (&engine, 1, &error))
        g_error ("%s", error.message);
      expect_answers (&engine);
      cg_fake_engine_close (&engine);
    } else {
      refused++;
      g_assert_cmpint (error.status, ==, CG_CUDA_MEMORY);
      g_assert_cmpstr (error.message, !=, "");
    }
    cg_fake_expect_clean ();
  }
  g_test_message ("%u opened, %u refused", opened, refused);
  g_assert_cmpuint (opened, >, 0);
  g_assert_cmpuint (refused, >, 0);
}

int
main (int argc, char **argv)
{
  CgFakeEngine engine;
  CgCudaError error = { 0 };

  g_test_init (&argc, &argv, NULL);
  cg_fake_emulate ();
  cg_fake_model_new (&model, 2, 24, 2, 1);
  if (!cg_fake_engine_open (&engine, &model, &plain, 1, &error) ||
      !cg_fake_engine_run (&engine, 1, &error))
    g_error ("%s", error.message);
  expected = cg_fake_outputs_copy (&model, engine.outputs[0]);
  cg_fake_engine_close (&engine);
  cg_fake_expect_clean ();

  g_test_add_func ("/cuda/failures/calls", test_calls_fail);
  g_test_add_func ("/cuda/failures/calls-fp16", test_calls_fail_fp16);
  g_test_add_func ("/cuda/failures/calls-fp32", test_calls_fail_fp32);
  g_test_add_func ("/cuda/failures/calls-tuning", test_calls_fail_tuning);
  g_test_add_func ("/cuda/failures/device-lost", test_device_lost);
  g_test_add_func ("/cuda/failures/work-lost", test_work_lost);
  g_test_add_func ("/cuda/failures/work-lost-tuning", test_work_lost_tuning);
  g_test_add_func ("/cuda/failures/measuring", test_measuring_fails);
  g_test_add_func ("/cuda/failures/measuring-lost", test_measuring_lost);
  g_test_add_func ("/cuda/failures/context-gone", test_context_gone);
  g_test_add_func ("/cuda/failures/context-never", test_context_never);
  g_test_add_func ("/cuda/failures/losses", test_losses);
  g_test_add_func ("/cuda/failures/foreign-context-gone", test_foreign_context_gone);
  g_test_add_func ("/cuda/failures/other-device", test_other_device);
  g_test_add_func ("/cuda/failures/silence", test_silence);
  g_test_add_func ("/cuda/failures/refusals", test_refusals);
  g_test_add_func ("/cuda/failures/memory", test_memory);
  const int result = g_test_run ();
  g_free (expected);
  cg_fake_model_clear (&model);
  return result;
}
