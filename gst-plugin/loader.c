/* Loading in the background: see loader.h.
 *
 * The lock guards what is marked so. It is not held while loading, posting, or telling that the
 * engine is there.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "loader.h"

#define PROGRESS_CODE "loading"

/* A cancelled thread is waited for this long, because most models are read in less, and one that waits for another's load
 * ends at once; one that takes longer is left to itself, but no more than so many at a time. */
#define PATIENCE (50 * G_TIME_SPAN_MILLISECOND)
#define MAX_LEFT 16

/* A state change waits this long for a failure: a missing file, a missing driver and, on the CPU, a malformed file are
 * found in much less. Elements that load the same model at the same time share that time. */
#define START_PATIENCE (200 * G_TIME_SPAN_MILLISECOND)

static gint n_left; /* atomic: threads that were left to themselves */

/* Those that load the model that was asked for last. */
static GMutex group_lock;
static struct {
  gchar *model;
  guint number, loading; /* of the group; of its members */
  gint64 patience_ends;
} group;

struct _GstCityGuessrLoader {
  gatomicrefcount refs; /* the owner's and the thread's */
  GstElement *element;  /* the thread touches it only when `settling` */
  gchar *model;
  guint group;          /* its number */
  gint64 patience_ends; /* of a state change */
  CgEngineOptions options;
  GstCityGuessrLoaded loaded;
  GThread *thread;

  GMutex lock;
  GCond changed;
  gint cancelled;    /* also atomic: see cg_engine_cancel_get() */
  gboolean settling; /* the thread tells how it went */
  gboolean settled;  /* it does nothing more */
  gboolean left;     /* nobody will join the thread */
  gboolean interrupted;
  CgEngine *engine; /* when settled; NULL if there is none to be had */
};

static void
loader_unref (GstCityGuessrLoader *loader)
{
  if (!g_atomic_ref_count_dec (&loader->refs))
    return;
  g_clear_pointer (&loader->engine, cg_engine_unref);
  g_mutex_clear (&loader->lock);
  g_cond_clear (&loader->changed);
  g_free (loader->model);
  g_free (loader);
}

static void
post_progress (GstCityGuessrLoader *loader, GstProgressType type, const gchar *text)
{
  gst_element_post_message (loader->element, gst_message_new_progress (GST_OBJECT (loader->element),
                                                                       type, PROGRESS_CODE, text));
}

static void
post_error (GstCityGuessrLoader *loader, const GError *error)
{
  gint code = GST_RESOURCE_ERROR_FAILED;

  if (error->domain == CG_ERROR) {
    switch ((CgErrorCode)error->code) {
    case CG_ERROR_NOT_FOUND:
      code = GST_RESOURCE_ERROR_NOT_FOUND;
      break;
    case CG_ERROR_READ:
      code = GST_RESOURCE_ERROR_OPEN_READ;
      break;
    case CG_ERROR_FORMAT:
    case CG_ERROR_CONFIG:
    case CG_ERROR_PLACES:
    case CG_ERROR_TENSOR:
      code = GST_RESOURCE_ERROR_READ;
      break;
    case CG_ERROR_UNSUPPORTED:
      code = GST_RESOURCE_ERROR_SETTINGS;
      break;
    default:
      break;
    }
  }
  gst_element_message_full (loader->element, GST_MESSAGE_ERROR, GST_RESOURCE_ERROR, code,
                            g_strdup (error->message),
                            g_strdup_printf ("no engine for the model “%s”", loader->model),
                            __FILE__, GST_FUNCTION, __LINE__);
}

/* The CPU computes where a GPU was to be expected. */
static void
post_note (GstCityGuessrLoader *loader, const gchar *note)
{
  gst_element_message_full (
      loader->element, GST_MESSAGE_WARNING, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_SETTINGS,
      g_strdup_printf ("%s. The CPU computes.", note), NULL, __FILE__, GST_FUNCTION, __LINE__);
}

static void
join_group (GstCityGuessrLoader *loader)
{
  g_mutex_lock (&group_lock);
  if (group.loading == 0 || !g_str_equal (group.model, loader->model)) {
    g_free (group.model);
    group.model = g_strdup (loader->model);
    group.number++;
    group.loading = 0;
    group.patience_ends = g_get_monotonic_time () + START_PATIENCE;
  }
  group.loading++;
  loader->group = group.number;
  loader->patience_ends = group.patience_ends;
  g_mutex_unlock (&group_lock);
}

static void
leave_group (GstCityGuessrLoader *loader)
{
  g_mutex_lock (&group_lock);
  if (loader->group == group.number)
    group.loading--;
  g_mutex_unlock (&group_lock);
}

static gpointer
load (gpointer data)
{
  GstCityGuessrLoader *loader = data;
  g_autoptr (GError) error = NULL;
  g_autofree gchar *note = NULL;
  g_autoptr (CgEngine) engine =
      cg_engine_get_noting (loader->model, &loader->options, &loader->cancelled, &note, &error);
  gboolean wanted;

  leave_group (loader);
  g_mutex_lock (&loader->lock);
  wanted = loader->settling = !g_atomic_int_get (&loader->cancelled);
  g_mutex_unlock (&loader->lock);

  /* A failure is told before the state change or the stream fails by it, and nothing is posted after that, so that
   * joining this thread waits for nobody; but who hears that the engine is there, finds it. */
  if (wanted && engine == NULL) {
    post_error (loader, error);
    post_progress (loader, GST_PROGRESS_TYPE_ERROR, error->message);
  }
  if (wanted && note)
    post_note (loader, note);

  g_mutex_lock (&loader->lock);
  if (loader->left)
    g_atomic_int_add (&n_left, -1);
  else if (engine)
    loader->engine = cg_engine_ref (engine);
  loader->settled = TRUE;
  g_cond_broadcast (&loader->changed);
  g_mutex_unlock (&loader->lock);

  if (wanted && engine) {
    loader->loaded (loader->element, engine);
    post_progress (loader, GST_PROGRESS_TYPE_COMPLETE, cg_engine_describe (engine));
  }
  loader_unref (loader);
  return NULL;
}

GstCityGuessrLoader *
gst_city_guessr_loader_start (GstElement *element, const gchar *model,
                              const CgEngineOptions *options, GstCityGuessrLoaded loaded)
{
  GstCityGuessrLoader *loader = g_new0 (GstCityGuessrLoader, 1);
  g_autofree gchar *text = g_strdup_printf ("Loading the model %s", model);
  g_autoptr (GError) error = NULL;

  g_atomic_ref_count_init (&loader->refs);
  loader->element = element;
  loader->model = g_strdup (model);
  loader->options = *options;
  loader->loaded = loaded;
  g_mutex_init (&loader->lock);
  g_cond_init (&loader->changed);

  post_progress (loader, GST_PROGRESS_TYPE_START, text);
  join_group (loader);
  g_atomic_ref_count_inc (&loader->refs);
  loader->thread = g_thread_try_new ("cityguessr-load", load, loader, &error);
  if (loader->thread)
    return loader;
  GST_ELEMENT_ERROR (element, RESOURCE, FAILED,
                     ("The thread that loads the model could not be started: %s", error->message),
                     (NULL));
  post_progress (loader, GST_PROGRESS_TYPE_ERROR, error->message);
  leave_group (loader);
  loader_unref (loader);
  loader_unref (loader);
  return NULL;
}

gboolean
gst_city_guessr_loader_fails_at_once (GstCityGuessrLoader *loader)
{
  gboolean fails;

  g_mutex_lock (&loader->lock);
  while (!loader->settled &&
         g_cond_wait_until (&loader->changed, &loader->lock, loader->patience_ends))
    ;
  fails = loader->settled && loader->engine == NULL;
  g_mutex_unlock (&loader->lock);
  return fails;
}

/* Whether one more thread may be left to itself; if so, it counts. */
static gboolean
may_leave (void)
{
  if (g_atomic_int_add (&n_left, 1) < MAX_LEFT)
    return TRUE;
  g_atomic_int_add (&n_left, -1);
  return FALSE;
}

CgEngine *
gst_city_guessr_loader_cancel (GstCityGuessrLoader *loader)
{
  const gint64 deadline = g_get_monotonic_time () + PATIENCE;
  CgEngine *engine = NULL;
  gboolean told;

  g_mutex_lock (&loader->lock);
  cg_engine_cancel_get (&loader->cancelled);
  told = loader->settling;
  while (!told && !loader->settled && g_cond_wait_until (&loader->changed, &loader->lock, deadline))
    ;
  loader->left = !told && !loader->settled && may_leave ();
  g_mutex_unlock (&loader->lock);

  if (loader->left) {
    g_thread_unref (loader->thread);
  } else {
    g_thread_join (loader->thread);
    engine = g_steal_pointer (&loader->engine);
  }
  if (!told)
    post_progress (loader, GST_PROGRESS_TYPE_CANCELED, "Nobody waits for the model any more");
  loader_unref (loader);
  return engine;
}

CgEngine *
gst_city_guessr_loader_get_engine (GstCityGuessrLoader *loader, gboolean *failed)
{
  CgEngine *engine;

  g_mutex_lock (&loader->lock);
  engine = loader->engine ? cg_engine_ref (loader->engine) : NULL;
  *failed = loader->settled && engine == NULL;
  g_mutex_unlock (&loader->lock);
  return engine;
}

CgEngine *
gst_city_guessr_loader_wait (GstCityGuessrLoader *loader, gboolean *failed)
{
  g_mutex_lock (&loader->lock);
  while (!loader->settled && !loader->interrupted)
    g_cond_wait (&loader->changed, &loader->lock);
  g_mutex_unlock (&loader->lock);
  return gst_city_guessr_loader_get_engine (loader, failed);
}

void
gst_city_guessr_loader_interrupt (GstCityGuessrLoader *loader, gboolean interrupted)
{
  g_mutex_lock (&loader->lock);
  loader->interrupted = interrupted;
  g_cond_broadcast (&loader->changed);
  g_mutex_unlock (&loader->lock);
}
