/* Engines and their clients, over the null backend and over a backend that computes only
 * when the test lets it.
 *
 * With CG_TEST_CUDA that backend has the CUDA engine do the work, and it stands for the null backend
 * where nothing but that one's answers is asked for: over the fakes of tests/cuda.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include <string.h>

#include "model/engine-private.h"
#include "model/engine.h"
#include "model/generate.h"

#ifdef CG_TEST_CUDA
#include "cuda/module.h"
#include "model/cuda.h"
#include "tests/cuda/fake/engine.h"

#define STEPS 20 /* emulated kernels are slow */
#else
#define STEPS 300
#endif

#define HOUR_US (3600u * 1000000u)

static CgModel *model; /* "tiny", or smaller, for all tests */
static CgNetwork *network;

static guint
frames_of (const CgEngine *engine)
{
  return cg_engine_model (engine)->geometry.frames;
}

/* ---- a backend with a gate ----
 *
 * The n-th run waits for the test to let it through, even when it is cancelled, and then notes
 * which windows it got: the tag of a window is the first byte of its first sample's picture. The
 * work is another backend's, if there is one. */

typedef struct {
  guint8 tag;
  gpointer room; /* the worker's */
} GateSample;

typedef struct {
  GMutex lock;
  GCond changed;
  guint runs, allowed;   /* runs that began; that may go through */
  GString *log;          /* tags of the windows of each run, " " between runs, "!" if cancelled */
  gint lose_on, fail_on; /* the tag that loses the device; the tag that fails; -1: none */
  guint rooms, engines;  /* alive */
  guint frames;
  const CgBackend *worker; /* NULL: nobody does any work */
  gpointer work;           /* the worker's engine, or NULL */
} Gate;

#define ALL G_MAXUINT

static Gate gate;

static gpointer
gate_open_backend (const CgModel *model_, const CgNetwork *network_, const CgEngineOptions *options,
                   GError **error)
{
  const CgEngineOptions plain = { .precision = CG_PRECISION_FP32 };

  gate.engines++;
  gate.frames = model_->geometry.frames;
  gate.work =
      gate.worker && model_ == model ? gate.worker->open (model_, network_, &plain, error) : NULL;
  return &gate;
}

static void
gate_close_backend (gpointer self)
{
  if (gate.work)
    gate.worker->close (g_steal_pointer (&gate.work));
  gate.engines--;
}

static const char *
gate_describe (gpointer self)
{
  return "gate, for tests";
}

static gpointer
gate_sample_new (gpointer self, GError **error)
{
  g_mutex_lock (&gate.lock);
  gate.rooms++;
  g_mutex_unlock (&gate.lock);
  GateSample *sample = g_new0 (GateSample, 1);
  sample->room = gate.work ? gate.worker->sample_new (gate.work, error) : NULL;
  return sample;
}

static void
gate_sample_free (gpointer self, gpointer data)
{
  GateSample *sample = data;

  if (gate.work)
    gate.worker->sample_free (gate.work, sample->room);
  g_mutex_lock (&gate.lock);
  gate.rooms--;
  g_mutex_unlock (&gate.lock);
  g_free (sample);
}

static gboolean
gate_sample_put (gpointer self, gpointer data, const CgFrame *frame, GError **error)
{
  GateSample *sample = data;

  if (!frame->plane[0]) {
    g_set_error (error, CG_ERROR, CG_ERROR_INPUT, "no picture");
    return FALSE;
  }
  sample->tag = frame->plane[0][0];
  return !gate.work || gate.worker->sample_put (gate.work, sample->room, frame, error);
}

static void
do_the_work (gpointer const *samples, guint n, CgOutputs *const *outputs)
{
  g_autofree gpointer *rooms = g_new (gpointer, n * gate.frames);
  g_autoptr (GError) error = NULL;
  const gint cancel = 0;

  for (guint i = 0; i < n * gate.frames; i++)
    rooms[i] = ((const GateSample *)samples[i])->room;
  gate.worker->run (gate.work, rooms, n, outputs, &cancel, &error);
  g_assert_no_error (error);
}

static gboolean
gate_run (gpointer self, gpointer const *samples, guint n, CgOutputs *const *outputs,
          const gint *cancel, GError **error)
{
  gboolean lost = FALSE, failed = FALSE;

  if (gate.work)
    do_the_work (samples, n, outputs);
  g_mutex_lock (&gate.lock);
  const guint run = ++gate.runs;
  g_cond_broadcast (&gate.changed);
  while (gate.allowed < run)
    g_cond_wait (&gate.changed, &gate.lock);
  if (gate.log->len > 0)
    g_string_append_c (gate.log, ' ');
  for (guint i = 0; i < n; i++) {
    const gint tag = ((const GateSample *)samples[i * gate.frames])->tag;
    g_string_append_c (gate.log, tag);
    outputs[i]->logits[0] = tag;
    lost |= tag == gate.lose_on;
    failed |= tag == gate.fail_on;
  }
  if (g_atomic_int_get (cancel))
    g_string_append_c (gate.log, '!');
  g_mutex_unlock (&gate.lock);

  if (lost)
    g_set_error (error, CG_ERROR, CG_ERROR_DEVICE_LOST, "the device is gone");
  else if (failed)
    g_set_error (error, CG_ERROR, CG_ERROR_COMPUTE, "a window is bad");
  return !lost && !failed;
}

static CgBackend gate_backend = {
  .abi = CG_BACKEND_ABI,
  .name = "gate",
  .max_batch = 4,
  .open = gate_open_backend,
  .close = gate_close_backend,
  .describe = gate_describe,
  .sample_new = gate_sample_new,
  .sample_free = gate_sample_free,
  .sample_put = gate_sample_put,
  .run = gate_run,
};

/* Lets the first @runs runs through. */
static void
gate_allow (guint runs)
{
  g_mutex_lock (&gate.lock);
  gate.allowed = runs;
  g_cond_broadcast (&gate.changed);
  g_mutex_unlock (&gate.lock);
}

/* Waits until @runs runs began in all. */
static void
gate_wait (guint runs)
{
  g_mutex_lock (&gate.lock);
  while (gate.runs < runs)
    g_cond_wait (&gate.changed, &gate.lock);
  g_mutex_unlock (&gate.lock);
}

/* ---- fixtures ---- */

static CgEngine *
gate_engine (guint max_batch)
{
  g_autoptr (GError) error = NULL;
  const CgEngineOptions options = { .device = CG_DEVICE_NULL };

  g_assert_cmpuint (gate.engines, ==, 0);
  g_assert_cmpuint (gate.rooms, ==, 0);
  gate.runs = gate.allowed = 0;
  gate.lose_on = gate.fail_on = -1;
  g_string_truncate (gate.log, 0);
  gate_backend.max_batch = max_batch;

  CgEngine *engine = cg_engine_new_with_backend (&gate_backend, model, network, &options, &error);
  g_assert_no_error (error);
  return engine;
}

static CgEngine *
null_engine (guint delay_us, guint fail_at)
{
  g_autoptr (GError) error = NULL;
  const CgEngineOptions options = { .device = CG_DEVICE_NULL,
                                    .null_delay_us = delay_us,
                                    .null_fail_at = fail_at };
  CgEngine *engine =
      gate.worker && !delay_us && !fail_at
          ? cg_engine_new_with_backend (gate.worker, model, network, &options, &error)
          : cg_engine_new (model, network, &options, &error);
  g_assert_no_error (error);
  return engine;
}

/* A sample of a picture that is @tag all over. */
static CgSample *
new_sample (CgEngine *engine, guint8 tag)
{
  g_autoptr (GError) error = NULL;
  guint8 pixels[4 * 4];
  memset (pixels, tag, sizeof pixels);
  const CgFrame frame = { .format = CG_FORMAT_GRAY8,
                          .width = 4,
                          .height = 4,
                          .plane = { pixels },
                          .stride = { 4 },
                          .full_range = TRUE };
  CgSample *sample = cg_sample_new (engine, &frame, &error);
  g_assert_no_error (error);
  return sample;
}

/* A window of one sample, again and again. */
static CgWindow *
new_window (CgEngine *engine, guint8 tag, gpointer data, GDestroyNotify destroy)
{
  g_autoptr (CgSample) sample = new_sample (engine, tag);
  CgSample *samples[CG_MAX_FRAMES];
  for (guint i = 0; i < frames_of (engine); i++)
    samples[i] = sample;
  return cg_window_new (samples, frames_of (engine), data, destroy);
}

static void
submit (CgClient *client, CgEngine *engine, const char *tags)
{
  for (; *tags; tags++)
    cg_client_submit (client, new_window (engine, *tags, GINT_TO_POINTER ((guint8)*tags), NULL));
}

/* Pops as many windows as there are @tags, and checks that they are these, computed. */
static void
expect (CgClient *client, const char *tags)
{
  for (; *tags; tags++) {
    g_autoptr (CgWindow) window = cg_client_pop (client, -1);
    g_assert_nonnull (window);
    g_assert_no_error (window->error);
    g_assert_nonnull (window->outputs);
    g_assert_cmpint (GPOINTER_TO_INT (window->data), ==, (guint8)*tags);
    g_assert_cmpint (window->submitted, <=, window->started);
    g_assert_cmpint (window->started, <=, window->finished);
  }
}

static void
expect_pending (CgClient *client, guint waiting, guint running, guint finished)
{
  guint w, r, f;
  cg_client_pending (client, &w, &r, &f);
  g_assert_cmpuint (w, ==, waiting);
  g_assert_cmpuint (r, ==, running);
  g_assert_cmpuint (f, ==, finished);
}

static void
expect_error (CgClient *client, gint tag, CgErrorCode code)
{
  g_autoptr (CgWindow) window = cg_client_pop (client, -1);
  g_assert_nonnull (window);
  g_assert_error (window->error, CG_ERROR, (gint)code);
  g_assert_null (window->outputs);
  g_assert_cmpint (GPOINTER_TO_INT (window->data), ==, tag);
}

/* ---- the queue ---- */

static void
test_order (void)
{
  /* Given one client with more windows than a batch takes */
  CgEngine *engine = null_engine (0, 0);
  CgClient *client = cg_client_new (engine);
  submit (client, engine, "abcdefghijklmnopqrstuvwxyz");

  /* then they come back in order, and are counted. */
  expect (client, "abcdefghijklmnopqrstuvwxyz");
  expect_pending (client, 0, 0, 0);
  g_assert_null (cg_client_pop (client, 0));
  g_assert_null (cg_client_pop (client, 1000));

  CgEngineStats stats;
  cg_engine_stats (engine, &stats);
  g_assert_cmpuint (stats.windows, ==, 26);
  g_assert_cmpuint (stats.failed, ==, 0);
  g_assert_cmpuint (stats.cancelled, ==, 0);
  const guint most = gate.worker ? gate.worker->max_batch : 8;
  g_assert_cmpuint (stats.batches, >=, (26 + most - 1) / most);
  g_assert_cmpuint (stats.largest_batch, <=, most);

  cg_client_free (client);
  cg_engine_unref (engine);
}

static void
test_fair (void)
{
  /* Given a client with many windows, the first of which runs, and then two with a few */
  CgEngine *engine = gate_engine (1);
  CgClient *a = cg_client_new (engine), *b = cg_client_new (engine), *c = cg_client_new (engine);
  submit (a, engine, "A");
  gate_wait (1);
  submit (a, engine, "BCDEF");
  submit (b, engine, "123");
  submit (c, engine, "x");

  /* when all may run */
  gate_allow (ALL);
  expect (a, "ABCDEF");
  expect (b, "123");
  expect (c, "x");

  /* then they took turns, one window each. */
  g_assert_cmpstr (gate.log->str, ==, "A B 1 x C 2 D 3 E F");
  cg_client_free (a);
  cg_client_free (b);
  cg_client_free (c);
  cg_engine_unref (engine);
}

static void
test_batch (void)
{
  /* Given the same over a backend that takes four windows at a time */
  CgEngine *engine = gate_engine (4);
  CgClient *a = cg_client_new (engine), *b = cg_client_new (engine);
  submit (a, engine, "A");
  gate_wait (1);
  submit (a, engine, "BCDEF");
  submit (b, engine, "12");
  gate_allow (ALL);
  expect (a, "ABCDEF");
  expect (b, "12");

  /* then what waits is batched, fairly; and the first did not wait for others. */
  g_assert_cmpstr (gate.log->str, ==, "A B1C2 DEF");
  CgEngineStats stats;
  cg_engine_stats (engine, &stats);
  g_assert_cmpuint (stats.batches, ==, 3);
  g_assert_cmpuint (stats.largest_batch, ==, 4);
  cg_client_free (a);
  cg_client_free (b);
  cg_engine_unref (engine);
}

static void
submit_repeatable (CgClient *client, CgEngine *engine, const char *tags)
{
  for (; *tags; tags++) {
    CgWindow *window = new_window (engine, *tags, GINT_TO_POINTER ((guint8)*tags), NULL);
    window->repeatable = TRUE;
    cg_client_submit (client, window);
  }
}

/* Windows that are to have the same bits every time, and others, over a backend whose answers show the batch */
static void
test_repeatable (void)
{
  for (guint shows = 0; shows < 2; shows++) {
    gate_backend.batch_shows = shows;
    CgEngine *engine = gate_engine (4);
    CgClient *a = cg_client_new (engine), *b = cg_client_new (engine), *c = cg_client_new (engine);
    submit (a, engine, "A");
    gate_wait (1);
    submit_repeatable (a, engine, "BC");
    submit (b, engine, "123");
    submit_repeatable (c, engine, "x");
    gate_allow (ALL);
    expect (a, "ABC");
    expect (b, "123");
    expect (c, "x");

    /* are computed by themselves, in their turn; but where nothing shows, in company. */
    g_assert_cmpstr (gate.log->str, ==, shows ? "A B 1 x C 23" : "A B1xC 23");
    cg_client_free (a);
    cg_client_free (b);
    cg_client_free (c);
    cg_engine_unref (engine);
  }
  gate_backend.batch_shows = FALSE;
}

static void
test_drop_oldest (void)
{
  CgEngine *engine = gate_engine (1);
  CgClient *client = cg_client_new (engine);
  g_assert_null (cg_client_drop_oldest (client));
  submit (client, engine, "a");
  gate_wait (1);
  submit (client, engine, "bcd");
  expect_pending (client, 3, 1, 0);

  /* The running window is not taken back; of the others the oldest comes first. */
  for (const char *tag = "bc"; *tag; tag++) {
    g_autoptr (CgWindow) window = cg_client_drop_oldest (client);
    g_assert_nonnull (window);
    g_assert_cmpint (GPOINTER_TO_INT (window->data), ==, (guint8)*tag);
    g_assert_null (window->outputs);
    g_assert_no_error (window->error);
  }
  expect_pending (client, 1, 1, 0);
  gate_allow (2);
  expect (client, "ad");

  /* A client that was emptied so is served again. */
  submit (client, engine, "e");
  gate_wait (3);
  submit (client, engine, "f");
  cg_window_free (cg_client_drop_oldest (client));
  g_assert_null (cg_client_drop_oldest (client));
  submit (client, engine, "g");
  gate_allow (ALL);
  expect (client, "eg");
  g_assert_cmpstr (gate.log->str, ==, "a d e g");
  cg_client_free (client);
  cg_engine_unref (engine);
}

/* ---- cancellation ---- */

typedef struct {
  CgEngine *engine;
  GThread *thread;
  guint n;
} Freed;

/* The user's function may call the library: no lock is held. It runs in the thread that flushed. */
static void
count_freed (gpointer data)
{
  Freed *freed = data;
  CgEngineStats stats;
  cg_engine_stats (freed->engine, &stats);
  g_assert_true (g_thread_self () == freed->thread);
  freed->n++;
}

static void
test_flush_while_running (void)
{
  /* Given a finished window, a running one that does not heed cancellation, and two that wait */
  CgEngine *engine = gate_engine (1);
  CgClient *client = cg_client_new (engine);
  Freed freed = { engine, g_thread_self (), 0 };
  for (guint i = 0; i < 4; i++)
    cg_client_submit (client, new_window (engine, 'a' + i, &freed, count_freed));
  gate_allow (1);
  gate_wait (2);
  expect_pending (client, 2, 1, 1);

  /* when the client is flushed */
  cg_client_flush (client);

  /* then all four are freed at once, the engine is told, and only later windows are answered. */
  g_assert_cmpuint (freed.n, ==, 4);
  expect_pending (client, 0, 0, 0);
  submit (client, engine, "z");
  gate_allow (ALL);
  expect (client, "z");
  g_assert_cmpstr (gate.log->str, ==, "a b! z");
  g_assert_null (cg_client_pop (client, 0));

  CgEngineStats stats;
  cg_engine_stats (engine, &stats);
  g_assert_cmpuint (stats.windows, ==, 2);
  g_assert_cmpuint (stats.cancelled, ==, 3);
  cg_client_free (client);
  cg_engine_unref (engine);
}

static void
test_cancel_only_unwanted (void)
{
  /* Given a running batch of two clients, one of which flushes */
  CgEngine *engine = gate_engine (2);
  CgClient *a = cg_client_new (engine), *b = cg_client_new (engine);
  submit (a, engine, "A");
  gate_wait (1);
  submit (a, engine, "B");
  submit (b, engine, "1");
  gate_allow (1);
  gate_wait (2);
  expect (a, "A");
  cg_client_flush (a);

  /* then the other one gets its answer, */
  submit (a, engine, "C");
  gate_allow (2);
  gate_wait (3);
  expect (b, "1");

  /* and a batch is cancelled when both have left it. */
  submit (a, engine, "D");
  submit (b, engine, "2");
  gate_allow (3);
  gate_wait (4);
  expect (a, "C");
  cg_client_flush (a);
  cg_client_free (b);
  submit (a, engine, "E");
  gate_allow (ALL);
  expect (a, "E");
  g_assert_cmpstr (gate.log->str, ==, "A B1 C D2! E");
  cg_client_free (a);
  cg_engine_unref (engine);
}

static void
test_free_while_running (void)
{
  /* Given a client whose window is being computed */
  CgEngine *engine = gate_engine (1);
  CgClient *client = cg_client_new (engine);
  Freed freed = { engine, g_thread_self (), 0 };
  cg_client_submit (client, new_window (engine, 'a', &freed, count_freed));
  cg_client_submit (client, new_window (engine, 'b', &freed, count_freed));
  gate_wait (1);

  /* when it is freed, it does not wait; the engine goes on for others */
  cg_client_free (client);
  g_assert_cmpuint (freed.n, ==, 2);
  client = cg_client_new (engine);
  submit (client, engine, "c");
  gate_allow (ALL);
  expect (client, "c");
  g_assert_cmpstr (gate.log->str, ==, "a! c");
  cg_client_free (client);
  cg_engine_unref (engine);
  g_assert_cmpuint (gate.rooms, ==, 0);
}

static gpointer
pop_for_ever (gpointer client)
{
  return cg_client_pop (client, -1);
}

static void
test_close_wakes_pop (void)
{
  CgEngine *engine = gate_engine (1);
  CgClient *client = cg_client_new (engine);
  Freed freed = { engine, g_thread_self (), 0 };
  GThread *thread = g_thread_new ("pop", pop_for_ever, client);
  cg_client_submit (client, new_window (engine, 'a', &freed, count_freed));
  gate_wait (1);

  cg_client_close (client);
  g_assert_null (g_thread_join (thread));
  g_assert_cmpuint (freed.n, ==, 1);

  /* A closed client takes nothing any more. */
  cg_client_submit (client, new_window (engine, 'b', &freed, count_freed));
  g_assert_cmpuint (freed.n, ==, 2);
  g_assert_null (cg_client_pop (client, -1));
  gate_allow (ALL);
  cg_client_free (client);
  cg_engine_unref (engine);
  g_assert_cmpstr (gate.log->str, ==, "a!");
}

static void
test_last_unref_cancels (void)
{
  /* Given an engine that would compute for an hour */
  CgEngine *engine = null_engine (HOUR_US, 0);
  CgClient *client = cg_client_new (engine);
  submit (client, engine, "ab");
  guint running = 0;
  while (running == 0)
    cg_client_pending (client, NULL, &running, NULL);

  /* then letting go of it takes no hour. */
  const gint64 start = g_get_monotonic_time ();
  cg_client_free (client);
  cg_engine_unref (engine);
  g_assert_cmpint (g_get_monotonic_time () - start, <, 60 * G_USEC_PER_SEC);
}

/* ---- failures ---- */

static void
test_failed_window (void)
{
  /* Given a batch of four with a bad window in it */
  CgEngine *engine = gate_engine (4);
  CgClient *client = cg_client_new (engine);
  gate.fail_on = 'c';
  submit (client, engine, "a");
  gate_wait (1);
  submit (client, engine, "bcdef");
  gate_allow (ALL);

  /* then only that one fails, in its place, and the engine goes on. */
  expect (client, "ab");
  expect_error (client, 'c', CG_ERROR_COMPUTE);
  expect (client, "def");
  g_assert_cmpstr (gate.log->str, ==, "a bcde b c d e f");

  CgEngineStats stats;
  cg_engine_stats (engine, &stats);
  g_assert_cmpuint (stats.windows, ==, 5);
  g_assert_cmpuint (stats.failed, ==, 1);
  cg_client_free (client);
  cg_engine_unref (engine);
}

static void
test_null_fail_at (void)
{
  /* Whatever the batches are, it is the fifth window that fails. */
  for (guint round = 0; round < 20; round++) {
    CgEngine *engine = null_engine (round % 2 ? 500 : 0, 5);
    CgClient *client = cg_client_new (engine);
    submit (client, engine, "abcdefghij");
    expect (client, "abcd");
    expect_error (client, 'e', CG_ERROR_COMPUTE);
    expect (client, "fghij");
    cg_client_free (client);
    cg_engine_unref (engine);
  }
}

static void
test_lost_device (void)
{
  /* Given a device that is lost with the second window of three, and one that waits */
  CgEngine *engine = gate_engine (1);
  CgClient *a = cg_client_new (engine), *b = cg_client_new (engine);
  g_autoptr (GError) error = NULL;
  gate.lose_on = 'b';
  submit (a, engine, "a");
  gate_wait (1);
  submit (a, engine, "bc");
  submit (b, engine, "1");
  g_autoptr (CgWindow) late = new_window (engine, 'd', GINT_TO_POINTER ('d'), NULL);
  g_assert_false (cg_engine_is_lost (engine));
  gate_allow (ALL);

  /* then that one and all later ones fail, without another run, */
  expect (a, "a");
  expect_error (a, 'b', CG_ERROR_DEVICE_LOST);
  expect_error (a, 'c', CG_ERROR_DEVICE_LOST);
  g_assert_true (cg_engine_is_lost (engine));
  cg_client_submit (a, g_steal_pointer (&late));
  expect_error (a, 'd', CG_ERROR_DEVICE_LOST);
  expect_error (b, '1', CG_ERROR_DEVICE_LOST);
  const guint8 pixel = 0;
  const CgFrame frame = {
    .format = CG_FORMAT_GRAY8, .width = 1, .height = 1, .plane = { &pixel }, .stride = { 1 }
  };
  g_assert_null (cg_sample_new (engine, &frame, &error));
  g_assert_error (error, CG_ERROR, CG_ERROR_DEVICE_LOST);
  g_assert_cmpstr (gate.log->str, ==, "a b");
  cg_client_free (a);
  cg_client_free (b);
  cg_engine_unref (engine);
}

static void
test_lost_in_a_batch (void)
{
  /* Given a batch that fails, and when its windows are tried one by one the device is lost */
  CgEngine *engine = gate_engine (4);
  CgClient *client = cg_client_new (engine);
  submit (client, engine, "a");
  gate_wait (1);
  submit (client, engine, "bcde");
  gate.fail_on = 'b';
  gate_allow (2);
  gate_wait (3);
  g_mutex_lock (&gate.lock);
  gate.fail_on = -1;
  gate.lose_on = 'c';
  g_mutex_unlock (&gate.lock);
  gate_allow (ALL);

  /* then the ones before are answered and the rest is lost. */
  expect (client, "ab");
  for (const char *tag = "cde"; *tag; tag++)
    expect_error (client, *tag, CG_ERROR_DEVICE_LOST);
  g_assert_cmpstr (gate.log->str, ==, "a bcde b c");
  cg_client_free (client);
  cg_engine_unref (engine);
}

static void
test_lost_not_shared (void)
{
  /* Given an engine that lost its device */
  g_autoptr (GError) error = NULL;
  const CgEngineOptions options = { .device = CG_DEVICE_NULL };
  cg_engine_unref (gate_engine (1));
  CgEngine *lost = cg_engine_get_with_backend (&gate_backend, "generated:tiny:1", &options, &error);
  g_assert_no_error (error);
  CgClient *client = cg_client_new (lost);
  gate.lose_on = 'a';
  gate_allow (ALL);
  submit (client, lost, "a");
  expect_error (client, 'a', CG_ERROR_DEVICE_LOST);

  /* then the next user gets another one, which outlives it in the registry. */
  CgEngine *fresh =
      cg_engine_get_with_backend (&gate_backend, "generated:tiny:1", &options, &error);
  g_assert_no_error (error);
  g_assert_true (fresh != lost);
  cg_client_free (client);
  cg_engine_unref (lost);
  CgEngine *same = cg_engine_get_with_backend (&gate_backend, "generated:tiny:1", &options, &error);
  g_assert_true (fresh == same);
  cg_engine_unref (fresh);
  cg_engine_unref (same);
  g_assert_cmpuint (gate.engines, ==, 0);
}

static void
test_refused (void)
{
  g_autoptr (GError) error = NULL;
  const CgEngineOptions options = { .device = (CgDevice)77 };

  CgBackend other = gate_backend;
  other.abi = CG_BACKEND_ABI + 1;
  g_assert_null (cg_engine_new_with_backend (&other, model, network, &options, &error));
  g_assert_error (error, CG_ERROR, CG_ERROR_UNSUPPORTED);
  g_assert_nonnull (strstr (error->message, "interface 3"));
  g_clear_error (&error);

  g_assert_null (cg_engine_new (model, network, &options, &error));
  g_assert_error (error, CG_ERROR, CG_ERROR_UNSUPPORTED);
}

/* ---- samples ---- */

static void
test_samples (void)
{
  CgEngine *engine = gate_engine (1);
  CgSample *samples[100];
  for (guint i = 0; i < 100; i++)
    samples[i] = new_sample (engine, i);
  g_assert_cmpuint (gate.rooms, ==, 100);

  /* A freed sample makes room for the next, and the pool is bounded. */
  for (guint i = 0; i < 100; i++)
    cg_sample_unref (samples[i]);
  g_assert_cmpuint (gate.rooms, >, 0);
  g_assert_cmpuint (gate.rooms, <=, 2 * frames_of (engine));
  const guint pooled = gate.rooms;
  CgSample *sample = new_sample (engine, 1);
  g_assert_cmpuint (gate.rooms, ==, pooled);

  /* A picture that cannot be read gives an error and no sample. */
  g_autoptr (GError) error = NULL;
  const CgFrame nothing = { .format = CG_FORMAT_GRAY8, .width = 1, .height = 1 };
  g_assert_null (cg_sample_new (engine, &nothing, &error));
  g_assert_error (error, CG_ERROR, CG_ERROR_INPUT);
  g_assert_cmpuint (gate.rooms, ==, pooled);

  /* Nor does one in a GPU's memory, for an engine that cannot look there. */
  g_clear_error (&error);
  const guint8 unreadable = 0;
  const CgFrame elsewhere = { .format = CG_FORMAT_GRAY8,
                              .width = 1,
                              .height = 1,
                              .plane = { &unreadable },
                              .stride = { 1 },
                              .memory = CG_MEMORY_CUDA };
  g_assert_false (cg_engine_reads (engine, CG_MEMORY_CUDA));
  g_assert_true (cg_engine_reads (engine, CG_MEMORY_SYSTEM));
  g_assert_null (cg_sample_new (engine, &elsewhere, &error));
  g_assert_error (error, CG_ERROR, CG_ERROR_UNSUPPORTED);
  g_assert_nonnull (strstr (error->message, "cudadownload"));

  /* A sample keeps its engine. */
  cg_engine_unref (engine);
  g_assert_cmpuint (gate.engines, ==, 1);
  cg_sample_unref (cg_sample_ref (sample));
  g_assert_cmpuint (gate.engines, ==, 1);
  cg_sample_unref (sample);
  g_assert_cmpuint (gate.engines, ==, 0);
  g_assert_cmpuint (gate.rooms, ==, 0);
}

/* ---- everything at once ---- */

#define USERS 4

static gpointer
use_engine (gpointer data)
{
  CgEngine *engine = data;
  CgClient *client = cg_client_new (engine);
  GRand *random = g_rand_new_with_seed (GPOINTER_TO_UINT (g_thread_self ()));
  guint popped = 0;

  for (guint step = 0; step < STEPS; step++) {
    submit (client, engine, "ab");
    switch (g_rand_int_range (random, 0, 6)) {
    case 0:
      cg_client_flush (client);
      break;
    case 1:
      cg_window_free (cg_client_drop_oldest (client));
      break;
    case 2:
      cg_client_free (client);
      client = cg_client_new (engine);
      break;
    default: {
      g_autoptr (CgWindow) window = cg_client_pop (client, 10 * G_USEC_PER_SEC);
      g_assert_nonnull (window);
      g_assert_no_error (window->error);
      popped++;
    }
    }
  }
  g_rand_free (random);
  cg_client_free (client);
  return GUINT_TO_POINTER (popped);
}

static void
test_many_users (void)
{
  CgEngine *engine = null_engine (20, 0);
  GThread *threads[USERS];
  guint popped = 0;

  for (guint i = 0; i < USERS; i++)
    threads[i] = g_thread_new ("user", use_engine, engine);
  for (guint i = 0; i < USERS; i++)
    popped += GPOINTER_TO_UINT (g_thread_join (threads[i]));

  CgEngineStats stats;
  cg_engine_stats (engine, &stats);
  g_assert_cmpuint (stats.windows, >=, popped);
  g_assert_cmpuint (stats.failed, ==, 0);
  g_assert_cmpuint (stats.windows + stats.cancelled, <=, USERS * STEPS * 2);
  cg_engine_unref (engine);
}

/* Smaller than any preset. */
static void
shrink_model (void)
{
  g_autoptr (GError) error = NULL;
  CgGeometry *g = &model->geometry;

  g->frames = 4;
  g->patch = 8;
  g->image = 16;
  g->heads = 2;
  g->width = 48;
  g->mlp = 96;
  g->depth = 1;
  cg_geometry_check (g, "test", &error);
  g_assert_no_error (error);
  cg_network_free (network);
  network = cg_network_new (g, &error);
  g_assert_no_error (error);
  cg_generate_weights (network, 1);
}

/* With CG_TEST_CUDA and CG_TEST_MODULE: the CUDA engine out of its file, on a GPU. */
static const char *no_device; /* why there is none */

static void
skip (void)
{
  g_test_skip (no_device);
}

static void
add (const char *path, GTestFunc test)
{
  g_test_add_func (path, no_device ? skip : test);
}

int
main (int argc, char **argv)
{
  g_autoptr (GError) error = NULL;

  g_test_init (&argc, &argv, NULL);
  model = cg_model_generate ("tiny", 1, &network, &error);
  g_assert_no_error (error);
  shrink_model ();
#ifdef CG_TEST_CUDA
#ifdef CG_TEST_MODULE
  if (!cg_cuda_probe (0, &error))
    no_device = error->message;
#else
  cg_fake_emulate ();
  cg_cuda_use_module (cg_cuda_module ());
#endif
  gate.worker = cg_backend_cuda ();
#endif
  gate.log = g_string_new (NULL);

  add ("/engine/order", test_order);
  add ("/engine/fair", test_fair);
  add ("/engine/batch", test_batch);
  add ("/engine/repeatable", test_repeatable);
  add ("/engine/drop-oldest", test_drop_oldest);
  add ("/engine/flush-while-running", test_flush_while_running);
  add ("/engine/cancel-only-unwanted", test_cancel_only_unwanted);
  add ("/engine/free-while-running", test_free_while_running);
  add ("/engine/close-wakes-pop", test_close_wakes_pop);
  add ("/engine/last-unref-cancels", test_last_unref_cancels);
  add ("/engine/failed-window", test_failed_window);
  add ("/engine/null-fail-at", test_null_fail_at);
  add ("/engine/lost-device", test_lost_device);
  add ("/engine/lost-in-a-batch", test_lost_in_a_batch);
  add ("/engine/lost-not-shared", test_lost_not_shared);
  add ("/engine/refused", test_refused);
  add ("/engine/samples", test_samples);
  add ("/engine/many-users", test_many_users);

  const int result = g_test_run ();
  g_string_free (gate.log, TRUE);
#if defined CG_TEST_CUDA && !defined CG_TEST_MODULE
  cg_fake_expect_clean ();
#endif
  cg_network_free (network);
  cg_model_unref (model);
  return result;
}
