/* The engine: its thread, the queues of its clients, and its samples.
 *
 * CgEngine.lock guards the queues of all clients of the engine, the running batch, the pool and the
 * totals. It is never held while the backend computes or while a function of the user's runs.
 *
 * Who frees what. The running batch borrows: it holds a use of each CgSample, and outputs of its
 * own, but no window. A window that is taken back while it runs is therefore freed at once, by the
 * thread that took it back, and the engine's thread never drops anything whose end could reach the
 * user's code or the last reference to the engine.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "engine.h"
#include "cuda.h"
#include "engine-private.h"

/* More windows than this in one batch only add latency. */
#define MAX_BATCH 64

struct _CgSample {
  gatomicrefcount refs; /* the users' */
  CgEngine *engine;     /* a reference, while there are users */
  gpointer room;        /* CgBackend.sample_new () */
  guint uses; /* engine lock: one for all users together, one for each place in the batch */
};

struct _CgClient {
  CgEngine *engine; /* a reference */
  GQueue waiting;   /* of CgWindow, oldest first; the engine's lock guards this and the rest */
  GQueue finished;  /* of CgWindow, oldest first */
  GCond changed;    /* a window finished, or the client was closed */
  gboolean closed;
};

/* One place in the running batch. Both are NULL once the client has taken its window back. */
typedef struct {
  CgClient *client;
  CgWindow *window;
} Place;

struct _CgEngine {
  gatomicrefcount refs;
  CgModel *model;
  const CgBackend *backend;
  gpointer self; /* the backend's */
  guint frames, max_batch, max_pool;
  GThread *thread;
  gint cancel; /* atomic: nobody wants the running batch any more */
  gint lost;   /* atomic: `loss` is set, for the registry */

  /* Of the engine's thread: the running batch as the backend takes it. */
  CgSample **samples;  /* [max_batch][frames] */
  gpointer *rooms;     /* [max_batch][frames] */
  CgOutputs **outputs; /* [max_batch] */
  GError **errors;     /* [max_batch] */

  GMutex lock;
  GCond work;   /* `ready` is no longer empty, or `quit` */
  GQueue ready; /* of CgClient with waiting windows; the head is next */
  Place *batch; /* [max_batch] */
  guint n_batch;
  GQueue pool; /* of CgSample without users */
  GError *loss;
  gboolean quit;
  CgEngineStats stats;
};

/* ---- cancellation ---- */

static GMutex cancel_lock;
static GCond cancel_cond;

static void
cancel_set (gint *cancel)
{
  g_mutex_lock (&cancel_lock);
  g_atomic_int_set (cancel, 1);
  g_cond_broadcast (&cancel_cond);
  g_mutex_unlock (&cancel_lock);
}

gboolean
cg_cancel_wait (const gint *cancel, gint64 deadline)
{
  g_mutex_lock (&cancel_lock);
  while (!g_atomic_int_get (cancel) && g_cond_wait_until (&cancel_cond, &cancel_lock, deadline))
    ;
  g_mutex_unlock (&cancel_lock);
  return g_atomic_int_get (cancel) != 0;
}

/* ---- samples ---- */

static void
sample_destroy (CgEngine *engine, CgSample *sample)
{
  engine->backend->sample_free (engine->self, sample->room);
  g_free (sample);
}

/* Lock held. Takes one use back; returns @sample if it is to be destroyed, which the caller does
 * without the lock. */
static CgSample *
sample_release (CgEngine *engine, CgSample *sample)
{
  if (--sample->uses > 0)
    return NULL;
  if (engine->pool.length >= engine->max_pool)
    return sample;
  g_queue_push_head (&engine->pool, sample);
  return NULL;
}

/* Lock held. */
static void
engine_set_lost (CgEngine *engine, const GError *loss)
{
  if (engine->loss)
    return;
  engine->loss = g_error_copy (loss);
  g_atomic_int_set (&engine->lost, 1);
}

CgFrame
cg_frame_of_sample (guint image, const guint8 *pixels)
{
  return (CgFrame){ .format = CG_FORMAT_RGB,
                    .width = image,
                    .height = image,
                    .plane = { pixels },
                    .stride = { 3 * (gint)image },
                    .full_range = TRUE };
}

CgSample *
cg_sample_new (CgEngine *engine, const CgFrame *frame, GError **error)
{
  g_return_val_if_fail (engine && frame, NULL);

  if (!cg_engine_reads (engine, frame->memory)) {
    g_set_error (error, CG_ERROR, CG_ERROR_UNSUPPORTED,
                 "The picture is in a GPU's memory, and the %s engine reads system memory: put "
                 "cudadownload before it",
                 engine->backend->name);
    return NULL;
  }
  g_mutex_lock (&engine->lock);
  GError *loss = engine->loss ? g_error_copy (engine->loss) : NULL;
  CgSample *sample = loss ? NULL : g_queue_pop_head (&engine->pool);
  g_mutex_unlock (&engine->lock);
  if (loss) {
    g_propagate_error (error, loss);
    return NULL;
  }

  if (!sample) {
    gpointer room = engine->backend->sample_new (engine->self, error);
    if (!room)
      return NULL;
    sample = g_new0 (CgSample, 1);
    sample->room = room;
  }
  sample->uses = 1;

  GError *failure = NULL;
  if (!engine->backend->sample_put (engine->self, sample->room, frame, &failure)) {
    g_mutex_lock (&engine->lock);
    if (g_error_matches (failure, CG_ERROR, CG_ERROR_DEVICE_LOST))
      engine_set_lost (engine, failure);
    CgSample *surplus = sample_release (engine, sample);
    g_mutex_unlock (&engine->lock);
    if (surplus)
      sample_destroy (engine, surplus);
    g_propagate_error (error, failure);
    return NULL;
  }

  g_atomic_ref_count_init (&sample->refs);
  sample->engine = cg_engine_ref (engine);
  return sample;
}

gboolean
cg_sample_describe (CgSample *sample, const CgFrame *frame, CgShotSignature *signature,
                    GError **error)
{
  CgEngine *engine = sample->engine;
  const guint image = engine->model->geometry.image;
  GError *failure = NULL;

  if (frame->memory == CG_MEMORY_SYSTEM) {
    cg_shot_describe (frame, signature);
    return TRUE;
  }
  g_autofree guint8 *pixels = g_malloc ((gsize)3 * image * image);
  const CgFrame seen = cg_frame_of_sample (image, pixels);
  if (engine->backend->sample_get (engine->self, sample->room, pixels, &failure)) {
    cg_shot_describe (&seen, signature);
    return TRUE;
  }
  if (g_error_matches (failure, CG_ERROR, CG_ERROR_DEVICE_LOST)) {
    g_mutex_lock (&engine->lock);
    engine_set_lost (engine, failure);
    g_mutex_unlock (&engine->lock);
  }
  g_propagate_error (error, failure);
  return FALSE;
}

CgSample *
cg_sample_ref (CgSample *sample)
{
  g_atomic_ref_count_inc (&sample->refs);
  return sample;
}

void
cg_sample_unref (CgSample *sample)
{
  if (!g_atomic_ref_count_dec (&sample->refs))
    return;

  CgEngine *engine = g_steal_pointer (&sample->engine);
  g_mutex_lock (&engine->lock);
  CgSample *surplus = sample_release (engine, sample);
  g_mutex_unlock (&engine->lock);
  if (surplus)
    sample_destroy (engine, surplus);
  cg_engine_unref (engine);
}

/* ---- windows ---- */

CgWindow *
cg_window_new (CgSample *const *samples, guint n, gpointer data, GDestroyNotify destroy)
{
  g_return_val_if_fail (samples && n > 0, NULL);
  g_return_val_if_fail (n == samples[0]->engine->frames, NULL);

  CgWindow *window = g_new0 (CgWindow, 1);
  for (guint i = 0; i < n; i++)
    window->samples[i] = cg_sample_ref (samples[i]);
  window->n_samples = n;
  window->data = data;
  window->destroy = destroy;
  return window;
}

void
cg_window_free (CgWindow *window)
{
  if (!window)
    return;
  if (window->destroy)
    window->destroy (window->data);
  for (guint i = 0; i < window->n_samples; i++)
    cg_sample_unref (window->samples[i]);
  g_free (window->outputs);
  g_clear_error (&window->error);
  g_free (window);
}

/* ---- the engine's thread ---- */

/* Lock held. */
static void
window_finish (CgEngine *engine, CgClient *client, CgWindow *window, CgOutputs *outputs,
               GError *error)
{
  window->outputs = outputs;
  window->error = error;
  window->finished = g_get_monotonic_time ();
  if (error)
    engine->stats.failed++;
  else
    engine->stats.windows++;
  g_queue_push_tail (&client->finished, window);
  g_cond_signal (&client->changed);
}

/* Lock held. A lost engine answers everything that waits with its loss. */
static void
fail_waiting (CgEngine *engine)
{
  CgClient *client;
  while ((client = g_queue_pop_head (&engine->ready))) {
    CgWindow *window;
    while ((window = g_queue_pop_head (&client->waiting))) {
      window->started = g_get_monotonic_time ();
      window_finish (engine, client, window, NULL, g_error_copy (engine->loss));
    }
  }
}

/* Lock held. One window of each ready client in turn, oldest first, until the batch is full. A repeatable one whose
 * company would show makes a batch by itself. */
static void
batch_take (CgEngine *engine)
{
  const gint64 now = g_get_monotonic_time ();
  gboolean alone = FALSE;
  CgClient *client;

  g_atomic_int_set (&engine->cancel, 0);
  while (!alone && engine->n_batch < engine->max_batch &&
         (client = g_queue_peek_head (&engine->ready))) {
    CgWindow *window = g_queue_peek_head (&client->waiting);
    alone = engine->backend->batch_shows && window->repeatable;
    if (alone && engine->n_batch > 0)
      break;
    g_queue_pop_head (&engine->ready);
    g_queue_pop_head (&client->waiting);
    if (!g_queue_is_empty (&client->waiting))
      g_queue_push_tail (&engine->ready, client);

    const guint i = engine->n_batch++;
    for (guint s = 0; s < engine->frames; s++) {
      CgSample *sample = window->samples[s];
      sample->uses++;
      engine->samples[i * engine->frames + s] = sample;
      engine->rooms[i * engine->frames + s] = sample->room;
    }
    engine->outputs[i] = cg_outputs_new (&engine->model->geometry, window->auxiliary);
    engine->errors[i] = NULL;
    engine->batch[i] = (Place){ client, window };
    window->started = now;
  }
}

/* Windows @first to @first + @n of the batch in one call of the backend. */
static gboolean
batch_compute (CgEngine *engine, guint first, guint n, GError **error)
{
  const gint64 start = g_get_monotonic_time ();
  const gboolean done = engine->backend->run (engine->self, engine->rooms + first * engine->frames,
                                              n, engine->outputs + first, &engine->cancel, error);
  const gint64 end = g_get_monotonic_time ();

  g_mutex_lock (&engine->lock);
  engine->stats.batches++;
  engine->stats.busy_us += end - start;
  engine->stats.largest_batch = MAX (engine->stats.largest_batch, n);
  g_mutex_unlock (&engine->lock);
  return done;
}

/* Without the lock. Fills `outputs` or `errors`. */
static void
batch_run (CgEngine *engine)
{
  GError *error = NULL;
  const guint n = engine->n_batch;

  if (batch_compute (engine, 0, n, &error))
    return;

  /* One bad window must not take the others with it, and less may fit where all did not: each one
   * again by itself, unless the device is gone or nobody wants the batch any more. */
  gboolean alone = n > 1 && !g_error_matches (error, CG_ERROR, CG_ERROR_DEVICE_LOST);
  for (guint i = 0; i < n; i++) {
    if (alone) {
      if (g_atomic_int_get (&engine->cancel))
        break;
      g_clear_error (&error);
      if (batch_compute (engine, i, 1, &error))
        continue;
      alone = !g_error_matches (error, CG_ERROR, CG_ERROR_DEVICE_LOST);
    }
    engine->errors[i] = g_error_copy (error);
  }
  g_clear_error (&error);
}

/* Lock held. Hands the results to the clients that still want them. @surplus: (out) samples to
 * destroy. */
static void
batch_finish (CgEngine *engine, GQueue *surplus)
{
  for (guint i = 0; i < engine->n_batch; i++) {
    if (g_error_matches (engine->errors[i], CG_ERROR, CG_ERROR_DEVICE_LOST))
      engine_set_lost (engine, engine->errors[i]);
    if (engine->errors[i])
      g_clear_pointer (&engine->outputs[i], g_free);

    const Place *place = &engine->batch[i];
    if (place->window) {
      window_finish (engine, place->client, place->window, engine->outputs[i], engine->errors[i]);
    } else {
      g_free (engine->outputs[i]);
      g_clear_error (&engine->errors[i]);
    }
  }
  for (guint i = 0; i < engine->n_batch * engine->frames; i++) {
    CgSample *sample = sample_release (engine, engine->samples[i]);
    if (sample)
      g_queue_push_tail (surplus, sample);
  }
  engine->n_batch = 0;
}

static gpointer
engine_thread (gpointer data)
{
  CgEngine *engine = data;

  g_mutex_lock (&engine->lock);
  while (!engine->quit) {
    if (g_queue_is_empty (&engine->ready)) {
      g_cond_wait (&engine->work, &engine->lock);
    } else if (engine->loss) {
      fail_waiting (engine);
    } else {
      GQueue surplus = G_QUEUE_INIT;
      CgSample *sample;

      batch_take (engine);
      g_mutex_unlock (&engine->lock);
      batch_run (engine);
      g_mutex_lock (&engine->lock);
      batch_finish (engine, &surplus);
      g_mutex_unlock (&engine->lock);
      while ((sample = g_queue_pop_head (&surplus)))
        sample_destroy (engine, sample);
      g_mutex_lock (&engine->lock);
    }
  }
  g_mutex_unlock (&engine->lock);
  return NULL;
}

/* ---- clients ---- */

CgClient *
cg_client_new (CgEngine *engine)
{
  CgClient *client = g_new0 (CgClient, 1);
  client->engine = cg_engine_ref (engine);
  g_cond_init (&client->changed);
  return client;
}

/* Takes back every window that was not popped, and frees them without the lock. */
static void
client_empty (CgClient *client, gboolean close)
{
  CgEngine *engine = client->engine;
  GQueue windows = G_QUEUE_INIT;
  CgWindow *window;

  g_mutex_lock (&engine->lock);
  if (!g_queue_is_empty (&client->waiting))
    g_queue_remove (&engine->ready, client);
  engine->stats.cancelled += client->waiting.length;
  while ((window = g_queue_pop_head (&client->waiting)))
    g_queue_push_tail (&windows, window);
  while ((window = g_queue_pop_head (&client->finished)))
    g_queue_push_tail (&windows, window);

  guint wanted = 0;
  for (guint i = 0; i < engine->n_batch; i++) {
    Place *place = &engine->batch[i];
    if (place->client == client) {
      g_queue_push_tail (&windows, place->window);
      *place = (Place){ NULL, NULL };
      engine->stats.cancelled++;
    }
    if (place->window)
      wanted++;
  }
  if (engine->n_batch > 0 && wanted == 0)
    cancel_set (&engine->cancel);

  if (close) {
    client->closed = TRUE;
    g_cond_broadcast (&client->changed);
  }
  g_mutex_unlock (&engine->lock);

  while ((window = g_queue_pop_head (&windows)))
    cg_window_free (window);
}

void
cg_client_flush (CgClient *client)
{
  client_empty (client, FALSE);
}

void
cg_client_close (CgClient *client)
{
  client_empty (client, TRUE);
}

void
cg_client_free (CgClient *client)
{
  if (!client)
    return;
  client_empty (client, TRUE);
  g_cond_clear (&client->changed);
  cg_engine_unref (client->engine);
  g_free (client);
}

void
cg_client_submit (CgClient *client, CgWindow *window)
{
  CgEngine *engine = client->engine;
  g_return_if_fail (window && window->samples[0]->engine == engine);

  window->submitted = g_get_monotonic_time ();
  g_mutex_lock (&engine->lock);
  const gboolean closed = client->closed;
  if (!closed) {
    if (g_queue_is_empty (&client->waiting))
      g_queue_push_tail (&engine->ready, client);
    g_queue_push_tail (&client->waiting, window);
    g_cond_signal (&engine->work);
  }
  g_mutex_unlock (&engine->lock);

  if (closed)
    cg_window_free (window);
}

CgWindow *
cg_client_pop (CgClient *client, gint64 timeout_us)
{
  CgEngine *engine = client->engine;
  const gint64 now = g_get_monotonic_time ();
  const gboolean for_ever = timeout_us < 0 || timeout_us > G_MAXINT64 - now;
  CgWindow *window = NULL;

  g_mutex_lock (&engine->lock);
  while (!client->closed && !(window = g_queue_pop_head (&client->finished))) {
    if (for_ever)
      g_cond_wait (&client->changed, &engine->lock);
    else if (!g_cond_wait_until (&client->changed, &engine->lock, now + timeout_us)) {
      window = client->closed ? NULL : g_queue_pop_head (&client->finished);
      break;
    }
  }
  g_mutex_unlock (&engine->lock);
  return window;
}

CgWindow *
cg_client_drop_oldest (CgClient *client)
{
  CgEngine *engine = client->engine;

  g_mutex_lock (&engine->lock);
  CgWindow *window = g_queue_pop_head (&client->waiting);
  if (window && g_queue_is_empty (&client->waiting))
    g_queue_remove (&engine->ready, client);
  g_mutex_unlock (&engine->lock);
  return window;
}

void
cg_client_pending (CgClient *client, guint *waiting, guint *running, guint *finished)
{
  CgEngine *engine = client->engine;

  g_mutex_lock (&engine->lock);
  guint n = 0;
  for (guint i = 0; i < engine->n_batch; i++)
    n += engine->batch[i].client == client;
  if (waiting)
    *waiting = client->waiting.length;
  if (running)
    *running = n;
  if (finished)
    *finished = client->finished.length;
  g_mutex_unlock (&engine->lock);
}

/* ---- engines ---- */

const CgBackend *
cg_backend_for (CgDevice device, GError **error)
{
  switch (device) {
  case CG_DEVICE_AUTO:
  case CG_DEVICE_CPU:
    return cg_backend_cpu ();
  case CG_DEVICE_NULL:
    return cg_backend_null ();
  case CG_DEVICE_CUDA:
    return cg_backend_cuda ();
  }
  g_set_error (error, CG_ERROR, CG_ERROR_UNSUPPORTED,
               "Device %d is not one that this build knows: expected auto, cpu, cuda or null",
               device);
  return NULL;
}

CgEngine *
cg_engine_new_with_backend (const CgBackend *backend, CgModel *model, const CgNetwork *network,
                            const CgEngineOptions *options, GError **error)
{
  if (backend->abi != CG_BACKEND_ABI) {
    g_set_error (error, CG_ERROR, CG_ERROR_UNSUPPORTED,
                 "The %s engine was built for interface %u, this program has interface %u: install "
                 "both from the same release",
                 backend->name, backend->abi, CG_BACKEND_ABI);
    return NULL;
  }

  gpointer self = backend->open (model, network, options, error);
  if (!self)
    return NULL;

  CgEngine *engine = g_new0 (CgEngine, 1);
  g_atomic_ref_count_init (&engine->refs);
  engine->model = cg_model_ref (model);
  engine->backend = backend;
  engine->self = self;
  engine->frames = model->geometry.frames;
  engine->max_batch = CLAMP (backend->max_batch, 1, MAX_BATCH);
  engine->max_pool = 2 * engine->frames;
  engine->samples = g_new0 (CgSample *, engine->max_batch * engine->frames);
  engine->rooms = g_new0 (gpointer, engine->max_batch * engine->frames);
  engine->outputs = g_new0 (CgOutputs *, engine->max_batch);
  engine->errors = g_new0 (GError *, engine->max_batch);
  engine->batch = g_new0 (Place, engine->max_batch);
  g_mutex_init (&engine->lock);
  g_cond_init (&engine->work);

  GError *failure = NULL;
  engine->thread = g_thread_try_new ("cg-engine", engine_thread, engine, &failure);
  if (!engine->thread) {
    g_set_error (error, CG_ERROR, CG_ERROR_MEMORY,
                 "Could not start the thread of the %s engine: %s", backend->name,
                 failure->message);
    g_error_free (failure);
    cg_engine_unref (engine);
    return NULL;
  }
  return engine;
}

CgEngine *
cg_engine_new (CgModel *model, const CgNetwork *network, const CgEngineOptions *options,
               GError **error)
{
  const CgBackend *backend = cg_backend_for (options->device, error);
  return backend ? cg_engine_new_with_backend (backend, model, network, options, error) : NULL;
}

CgEngine *
cg_engine_ref (CgEngine *engine)
{
  g_atomic_ref_count_inc (&engine->refs);
  return engine;
}

/* Nobody refers to @engine any more, so it has no client and no sample with users, and what its
 * thread may still be computing was cancelled when the last client took its windows back. */
static void
engine_destroy (CgEngine *engine)
{
  if (engine->thread) {
    g_mutex_lock (&engine->lock);
    engine->quit = TRUE;
    g_cond_signal (&engine->work);
    g_mutex_unlock (&engine->lock);
    g_thread_join (engine->thread);
  }

  CgSample *sample;
  while ((sample = g_queue_pop_head (&engine->pool)))
    sample_destroy (engine, sample);
  engine->backend->close (engine->self);
  cg_model_unref (engine->model);
  g_clear_error (&engine->loss);
  g_cond_clear (&engine->work);
  g_mutex_clear (&engine->lock);
  g_free (engine->batch);
  g_free (engine->errors);
  g_free (engine->outputs);
  g_free (engine->rooms);
  g_free (engine->samples);
  g_free (engine);
}

void
cg_engine_unref (CgEngine *engine)
{
  if (engine && cg_registry_release (engine, &engine->refs))
    engine_destroy (engine);
}

gboolean
cg_engine_is_lost (CgEngine *engine)
{
  return g_atomic_int_get (&engine->lost);
}

const CgModel *
cg_engine_model (const CgEngine *engine)
{
  return engine->model;
}

const char *
cg_engine_describe (const CgEngine *engine)
{
  return engine->backend->describe (engine->self);
}

const char *
cg_engine_device (const CgEngine *engine)
{
  return engine->backend->name;
}

gboolean
cg_engine_reads (const CgEngine *engine, CgMemory memory)
{
  return memory == CG_MEMORY_SYSTEM || (memory == CG_MEMORY_CUDA && engine->backend->reads_cuda);
}

void
cg_engine_stats (CgEngine *engine, CgEngineStats *stats)
{
  g_mutex_lock (&engine->lock);
  *stats = engine->stats;
  g_mutex_unlock (&engine->lock);
}
