/* Windows on their way through the engine: see answers.h.
 *
 * One lock guards all that changes between open and close. It may be held while calling the client,
 * whose functions return at once and call back nothing but g_free(). It is never held while
 * posting, decoding, or waiting for the thread: a bus sync handler may call back into the element.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "answers.h"

#include "report.h"

/* What a window carries through the engine. */
typedef struct {
  guint64 id, generation;
  GstSegment segment;
  GstClockTime start, end;
  guint samples;
  gboolean partial, closing;
  gint64 arrived;
} Job;

struct _GstCityGuessrAnswers {
  GstElement *element;
  CgEngine *engine; /* from open to close */
  CgClient *client; /* from open to close */
  GThread *thread;

  GMutex lock;
  GCond changed;
  gboolean flushing, cancelled, lost;
  guint64 generation; /* a flush begins a new one; answers of older ones are thrown away */
  GstCityGuessrAnswersStats stats;
  CgDecodeOptions options;
  GstStructure *news;
};

GstCityGuessrAnswers *
gst_city_guessr_answers_new (GstElement *element)
{
  GstCityGuessrAnswers *answers = g_new0 (GstCityGuessrAnswers, 1);

  answers->element = element;
  answers->cancelled = TRUE;
  answers->stats.latency = GST_CLOCK_TIME_NONE;
  g_mutex_init (&answers->lock);
  g_cond_init (&answers->changed);
  return answers;
}

void
gst_city_guessr_answers_free (GstCityGuessrAnswers *answers)
{
  g_mutex_clear (&answers->lock);
  g_cond_clear (&answers->changed);
  g_free (answers);
}

/* ---- the answering thread ---- */

static GstStructure *
answer_window (GstCityGuessrAnswers *answers, const CgWindow *window, GstClockTime latency,
               GError **error)
{
  const CgModel *model = cg_engine_model (answers->engine);
  const Job *job = window->data;
  GstCityGuessrReport report = {
    .start = job->start,
    .end = job->end,
    .segment = &job->segment,
    .window_id = job->id,
    .samples = job->samples,
    .partial = job->partial,
    .device = cg_engine_device (answers->engine),
    .latency = latency,
  };
  CgDecodeOptions options;
  CgAnswer answer;

  if (window->error) {
    g_propagate_error (error, g_error_copy (window->error));
    return NULL;
  }
  g_mutex_lock (&answers->lock);
  options = answers->options;
  g_mutex_unlock (&answers->lock);
  if (!cg_decode (model, window->outputs, &options, &answer, error))
    return NULL;
  return gst_city_guessr_report_new (&report, model, &answer);
}

void
gst_city_guessr_answers_lose (GstCityGuessrAnswers *answers, const GError *error)
{
  gboolean first;

  g_mutex_lock (&answers->lock);
  first = !answers->lost;
  answers->lost = TRUE;
  g_mutex_unlock (&answers->lock);
  if (first)
    GST_ELEMENT_ERROR (answers->element, RESOURCE, FAILED, ("%s", error->message),
                       ("the engine %s is lost", cg_engine_describe (answers->engine)));
}

static void
post (GstCityGuessrAnswers *answers, const Job *job, const GstStructure *structure,
      const GError *error)
{
  if (structure)
    gst_element_post_message (
        answers->element,
        gst_message_new_element (GST_OBJECT (answers->element), gst_structure_copy (structure)));
  else if (g_error_matches (error, CG_ERROR, CG_ERROR_DEVICE_LOST))
    gst_city_guessr_answers_lose (answers, error);
  else
    GST_ELEMENT_WARNING (answers->element, STREAM, FAILED, ("%s", error->message),
                         ("window %" G_GUINT64_FORMAT " at %" GST_TIME_FORMAT " has no answer",
                          job->id, GST_TIME_ARGS (job->start)));
}

static gboolean
is_current (GstCityGuessrAnswers *answers, const Job *job)
{
  gboolean current;

  g_mutex_lock (&answers->lock);
  current = job->generation == answers->generation;
  g_mutex_unlock (&answers->lock);
  return current;
}

/* A window counts as answered only when its message is on the bus: then EOS may pass.
 * @structure: (transfer full) (nullable) */
static void
settle (GstCityGuessrAnswers *answers, const Job *job, GstStructure *structure,
        GstClockTime latency)
{
  GstCityGuessrAnswersStats *stats = &answers->stats;

  g_mutex_lock (&answers->lock);
  if (job->generation == answers->generation) {
    stats->pending--;
    if (structure) {
      stats->answered++;
      stats->latency = latency;
      stats->max_latency = MAX (stats->max_latency, latency);
    } else {
      stats->failed++;
    }
    if (structure && !job->closing) {
      g_clear_pointer (&answers->news, gst_structure_free);
      answers->news = g_steal_pointer (&structure);
    }
    g_cond_broadcast (&answers->changed);
  }
  g_mutex_unlock (&answers->lock);
  g_clear_pointer (&structure, gst_structure_free);
}

static gpointer
answer_loop (gpointer data)
{
  GstCityGuessrAnswers *answers = data;
  CgWindow *window;

  while ((window = cg_client_pop (answers->client, -1))) {
    const Job *job = window->data;
    GstClockTime latency = (g_get_monotonic_time () - job->arrived) * GST_USECOND;
    g_autoptr (GError) error = NULL;
    GstStructure *structure = answer_window (answers, window, latency, &error);

    if (is_current (answers, job))
      post (answers, job, structure, error);
    settle (answers, job, structure, latency);
    cg_window_free (window);
  }
  return NULL;
}

/* ---- opening, cancelling, flushing ---- */

gboolean
gst_city_guessr_answers_open (GstCityGuessrAnswers *answers, CgEngine *engine, GError **error)
{
  g_mutex_lock (&answers->lock);
  answers->engine = cg_engine_ref (engine);
  answers->client = cg_client_new (engine);
  answers->flushing = answers->cancelled = answers->lost = FALSE;
  answers->stats = (GstCityGuessrAnswersStats){ .latency = GST_CLOCK_TIME_NONE };
  g_mutex_unlock (&answers->lock);
  answers->thread = g_thread_try_new ("cityguessr", answer_loop, answers, error);
  if (answers->thread == NULL)
    gst_city_guessr_answers_close (answers);
  return answers->thread != NULL;
}

/* With the lock held. */
static void
forget_pending (GstCityGuessrAnswers *answers)
{
  answers->generation++;
  answers->stats.flushed += answers->stats.pending;
  answers->stats.pending = 0;
  g_clear_pointer (&answers->news, gst_structure_free);
  g_cond_broadcast (&answers->changed);
}

void
gst_city_guessr_answers_cancel (GstCityGuessrAnswers *answers)
{
  g_mutex_lock (&answers->lock);
  answers->cancelled = TRUE;
  forget_pending (answers);
  if (answers->client)
    cg_client_close (answers->client);
  g_mutex_unlock (&answers->lock);
}

void
gst_city_guessr_answers_close (GstCityGuessrAnswers *answers)
{
  CgClient *client;

  gst_city_guessr_answers_cancel (answers);
  g_clear_pointer (&answers->thread, g_thread_join);
  g_mutex_lock (&answers->lock);
  client = g_steal_pointer (&answers->client);
  g_mutex_unlock (&answers->lock);
  g_clear_pointer (&client, cg_client_free);
  g_clear_pointer (&answers->engine, cg_engine_unref);
}

void
gst_city_guessr_answers_begin_flush (GstCityGuessrAnswers *answers)
{
  g_mutex_lock (&answers->lock);
  answers->flushing = TRUE;
  forget_pending (answers);
  if (answers->client)
    cg_client_flush (answers->client);
  g_mutex_unlock (&answers->lock);
}

void
gst_city_guessr_answers_end_flush (GstCityGuessrAnswers *answers)
{
  g_mutex_lock (&answers->lock);
  answers->flushing = FALSE;
  g_mutex_unlock (&answers->lock);
}

/* ---- the streaming thread ---- */

GstFlowReturn
gst_city_guessr_answers_wait (GstCityGuessrAnswers *answers)
{
  GstFlowReturn flow = GST_FLOW_OK;

  g_mutex_lock (&answers->lock);
  while (answers->stats.pending > 0 && !answers->flushing && !answers->cancelled)
    g_cond_wait (&answers->changed, &answers->lock);
  if (answers->flushing || answers->cancelled)
    flow = GST_FLOW_FLUSHING;
  else if (answers->lost)
    flow = GST_FLOW_ERROR;
  g_mutex_unlock (&answers->lock);
  return flow;
}

static void
post_dropped (GstCityGuessrAnswers *answers, const CgWindow *window,
              const GstCityGuessrAnswersStats *stats)
{
  const Job *job = window->data;
  GstClockTime stream_time, running_time;
  GstMessage *message;

  gst_city_guessr_report_times (&job->segment, job->start, &stream_time, &running_time);
  message = gst_message_new_qos (GST_OBJECT (answers->element), TRUE, running_time, stream_time,
                                 job->start, job->end - job->start);
  gst_message_set_qos_values (message, (g_get_monotonic_time () - window->submitted) * GST_USECOND,
                              1.0, 1000000);
  gst_message_set_qos_stats (message, GST_FORMAT_DEFAULT, stats->answered, stats->dropped);
  gst_element_post_message (answers->element, message);
}

GstFlowReturn
gst_city_guessr_answers_submit (GstCityGuessrAnswers *answers, const GstCityGuessrSpan *span,
                                const GstSegment *segment, gint64 arrived, gboolean closing,
                                gboolean live)
{
  const CgModel *model = cg_engine_model (answers->engine);
  Job *job = g_new (Job, 1);
  CgWindow *window =
      cg_window_new ((CgSample *const *)span->samples, model->geometry.frames, job, g_free);
  g_autoptr (CgWindow) dropped = NULL;
  GstFlowReturn flow = GST_FLOW_OK;
  GstCityGuessrAnswersStats stats;

  window->auxiliary = model->n_scenes > 0;
  *job = (Job){
    .segment = *segment,
    .start = span->start,
    .end = span->end,
    .samples = span->distinct,
    .partial = span->partial,
    .closing = closing,
    .arrived = arrived,
  };

  g_mutex_lock (&answers->lock);
  if (answers->flushing || answers->cancelled)
    flow = GST_FLOW_FLUSHING;
  else if (answers->lost)
    flow = GST_FLOW_ERROR;
  if (flow == GST_FLOW_OK) {
    if (live && (dropped = cg_client_drop_oldest (answers->client))) {
      answers->stats.dropped++;
      answers->stats.pending--;
    }
    job->id = answers->stats.windows++;
    job->generation = answers->generation;
    answers->stats.pending++;
    cg_client_submit (answers->client, g_steal_pointer (&window));
  }
  stats = answers->stats;
  g_mutex_unlock (&answers->lock);

  g_clear_pointer (&window, cg_window_free);
  if (dropped)
    post_dropped (answers, dropped, &stats);
  if (flow != GST_FLOW_OK || live)
    return flow;
  return gst_city_guessr_answers_wait (answers);
}

GstStructure *
gst_city_guessr_answers_take_news (GstCityGuessrAnswers *answers)
{
  GstStructure *news;

  g_mutex_lock (&answers->lock);
  news = g_steal_pointer (&answers->news);
  g_mutex_unlock (&answers->lock);
  return news;
}

/* ---- settings and numbers ---- */

void
gst_city_guessr_answers_set_options (GstCityGuessrAnswers *answers, const CgDecodeOptions *options)
{
  g_mutex_lock (&answers->lock);
  answers->options = *options;
  g_mutex_unlock (&answers->lock);
}

void
gst_city_guessr_answers_get_stats (GstCityGuessrAnswers *answers, GstCityGuessrAnswersStats *stats)
{
  g_mutex_lock (&answers->lock);
  *stats = answers->stats;
  g_mutex_unlock (&answers->lock);
}
