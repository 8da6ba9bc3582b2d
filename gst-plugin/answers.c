/* Windows on their way through the engine: see answers.h.
 *
 * The window that a loss of the engine hits is failed without a word: who streams tells of the loss.
 *
 * One lock guards all that changes between open and close. It may be held while calling the client,
 * whose functions return at once and call back nothing but g_free(). It is never held while
 * posting, decoding, or waiting for the thread: a bus sync handler may call back into the element.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "answers.h"

#include "model/track.h"
#include "report.h"

/* What a window carries through the engine. */
typedef struct {
  guint64 id, generation;
  guint64 numbers[CG_MAX_FRAMES], cut, stretch;
  GstSegment segment;
  GstClockTime start, end;
  guint frames, samples;
  gboolean partial, closing;
  gint64 arrived;
} Job;

/* What the filter over time has seen last. */
typedef struct {
  CgTrack *filter;
  gdouble *cities; /* [cities]: of the window at hand */
  gboolean begun;  /* the rest is set */
  guint64 generation, stretch, newest;
  GstClockTime start;
} Track;

struct _GstCityGuessrAnswers {
  GstElement *element;
  GstCityGuessrOutputs *outputs;
  CgEngine *engine; /* from open to close */
  CgClient *client; /* from open to close */
  GThread *thread;
  Track track; /* of the answering thread */

  GMutex lock;
  GCond changed;
  gboolean flushing, cancelled;
  GError *loss;
  guint64 generation; /* a flush begins a new one; answers of older ones are thrown away */
  GstCityGuessrAnswersStats stats;
  GstCityGuessrAnswersOptions options;
  GstStructure *newest; /* the newest answer */
  GstStructure *news;   /* the newest one that a buffer is to carry */
};

GstCityGuessrAnswers *
gst_city_guessr_answers_new (GstElement *element, GstCityGuessrOutputs *outputs)
{
  GstCityGuessrAnswers *answers = g_new0 (GstCityGuessrAnswers, 1);

  answers->element = element;
  answers->outputs = outputs;
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

/* How the window of @job lies to the one that the filter has seen before it. */
static void
measure_step (const Track *track, const Job *job, CgTrackStep *step)
{
  guint64 last = G_MAXUINT64;
  guint distinct = 0, fresh = 0, since_cut = 0;

  for (guint i = 0; i < job->frames; i++) {
    if (job->numbers[i] == last)
      continue;
    last = job->numbers[i];
    distinct++;
    fresh += last > track->newest;
    since_cut += last >= job->cut;
  }
  *step = (CgTrackStep){
    .elapsed = track->begun ? ((gdouble)job->start - (gdouble)track->start) / GST_SECOND : 0,
    .duration = (gdouble)(job->end - job->start) / GST_SECOND,
    .fresh = (gdouble)fresh / distinct,
    .cut = job->cut > track->newest,
    .since_cut = (gdouble)since_cut / distinct,
  };
}

/* Returns whether the place is stable. */
static gboolean
follow (Track *track, const Job *job, const GstCityGuessrAnswersOptions *options, CgAnswer *tracked)
{
  CgTrackStep step;

  if (track->generation != job->generation || track->stretch != job->stretch) {
    cg_track_forget (track->filter);
    track->begun = FALSE;
    track->newest = 0;
  }
  measure_step (track, job, &step);
  track->begun = TRUE;
  track->generation = job->generation;
  track->stretch = job->stretch;
  track->newest = job->numbers[job->frames - 1];
  track->start = job->start;
  return cg_track_update (track->filter, track->cities, &step,
                          (gdouble)options->track_memory / GST_SECOND, &options->decode, tracked);
}

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
  GstCityGuessrAnswersOptions options;
  CgAnswer answer, tracked;

  if (window->error) {
    g_propagate_error (error, g_error_copy (window->error));
    return NULL;
  }
  g_mutex_lock (&answers->lock);
  options = answers->options;
  g_mutex_unlock (&answers->lock);
  if (!cg_decode (model, window->outputs, &options.decode, &answer, answers->track.cities, error))
    return NULL;
  report.stable = follow (&answers->track, job, &options, &tracked);
  return gst_city_guessr_report_new (&report, model, &answer, &tracked);
}

static void
post (GstCityGuessrAnswers *answers, const Job *job, const GstStructure *structure,
      const GError *error)
{
  if (structure)
    gst_element_post_message (
        answers->element,
        gst_message_new_element (GST_OBJECT (answers->element), gst_structure_copy (structure)));
  else if (!g_error_matches (error, CG_ERROR, CG_ERROR_DEVICE_LOST))
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

/* With the lock held. */
static void
keep_answer (GstCityGuessrAnswers *answers, const Job *job, const GstStructure *structure)
{
  g_clear_pointer (&answers->newest, gst_structure_free);
  answers->newest = gst_structure_copy (structure);
  /* Under the lock, so that no flush comes between: it returns at once, and calls nothing here. */
  gst_city_guessr_outputs_answer (answers->outputs, structure);
  if (job->closing)
    return;
  g_clear_pointer (&answers->news, gst_structure_free);
  answers->news = gst_structure_copy (structure);
}

/* A window counts as answered only when its message is on the bus: then EOS may pass.
 * @structure: (nullable); @error: set if it is NULL */
static void
settle (GstCityGuessrAnswers *answers, const Job *job, const GstStructure *structure,
        GstClockTime latency, const GError *error)
{
  GstCityGuessrAnswersStats *stats = &answers->stats;

  g_mutex_lock (&answers->lock);
  if (job->generation == answers->generation) {
    stats->pending--;
    if (structure) {
      stats->answered++;
      stats->latency = latency;
      stats->max_latency = MAX (stats->max_latency, latency);
      keep_answer (answers, job, structure);
    } else {
      stats->failed++;
    }
    if (answers->loss == NULL && g_error_matches (error, CG_ERROR, CG_ERROR_DEVICE_LOST))
      answers->loss = g_error_copy (error);
    g_cond_broadcast (&answers->changed);
  }
  g_mutex_unlock (&answers->lock);
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
    g_autoptr (GstStructure) structure = answer_window (answers, window, latency, &error);

    if (is_current (answers, job))
      post (answers, job, structure, error);
    settle (answers, job, structure, latency, error);
    cg_window_free (window);
  }
  return NULL;
}

/* ---- opening, cancelling, flushing ---- */

gboolean
gst_city_guessr_answers_open (GstCityGuessrAnswers *answers, CgEngine *engine, GError **error)
{
  const CgModel *model = cg_engine_model (engine);

  answers->track = (Track){
    .filter = cg_track_new (model),
    .cities = g_new (gdouble, cg_places_count (model->places, CG_CITY)),
  };
  g_mutex_lock (&answers->lock);
  answers->engine = cg_engine_ref (engine);
  answers->client = cg_client_new (engine);
  answers->flushing = answers->cancelled = FALSE;
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
  g_clear_pointer (&answers->newest, gst_structure_free);
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
  g_clear_error (&answers->loss);
  g_mutex_unlock (&answers->lock);
  g_clear_pointer (&client, cg_client_free);
  g_clear_pointer (&answers->track.filter, cg_track_free);
  g_clear_pointer (&answers->track.cities, g_free);
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
  else if (answers->loss)
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
gst_city_guessr_answers_submit (GstCityGuessrAnswers *answers, const GstCityGuessrWindow *submitted,
                                gboolean live)
{
  const CgModel *model = cg_engine_model (answers->engine);
  const guint frames = model->geometry.frames;
  Job *job = g_new (Job, 1);
  CgWindow *window = cg_window_new (submitted->samples, frames, job, g_free);
  g_autoptr (CgWindow) dropped = NULL;
  GstFlowReturn flow = GST_FLOW_OK;
  GstCityGuessrAnswersStats stats;

  window->auxiliary = model->n_scenes > 0;
  window->repeatable = !live;
  *job = (Job){
    .cut = submitted->cut,
    .stretch = submitted->stretch,
    .segment = *submitted->segment,
    .start = submitted->start,
    .end = submitted->end,
    .frames = frames,
    .samples = submitted->distinct,
    .partial = submitted->partial,
    .closing = submitted->closing,
    .arrived = submitted->arrived,
  };
  memcpy (job->numbers, submitted->numbers, frames * sizeof *job->numbers);

  g_mutex_lock (&answers->lock);
  if (answers->flushing || answers->cancelled)
    flow = GST_FLOW_FLUSHING;
  else if (answers->loss)
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

GstStructure *
gst_city_guessr_answers_get_newest (GstCityGuessrAnswers *answers)
{
  GstStructure *newest;

  g_mutex_lock (&answers->lock);
  newest = answers->newest ? gst_structure_copy (answers->newest) : NULL;
  g_mutex_unlock (&answers->lock);
  return newest;
}

GError *
gst_city_guessr_answers_get_loss (GstCityGuessrAnswers *answers)
{
  GError *loss;

  g_mutex_lock (&answers->lock);
  loss = answers->loss ? g_error_copy (answers->loss) : NULL;
  g_mutex_unlock (&answers->lock);
  return loss;
}

/* ---- settings and numbers ---- */

void
gst_city_guessr_answers_set_options (GstCityGuessrAnswers *answers,
                                     const GstCityGuessrAnswersOptions *options)
{
  g_mutex_lock (&answers->lock);
  answers->options = *options;
  g_mutex_unlock (&answers->lock);
}

void
gst_city_guessr_answers_reset_stats (GstCityGuessrAnswers *answers)
{
  g_mutex_lock (&answers->lock);
  answers->stats = (GstCityGuessrAnswersStats){ .latency = GST_CLOCK_TIME_NONE };
  g_mutex_unlock (&answers->lock);
}

void
gst_city_guessr_answers_get_stats (GstCityGuessrAnswers *answers, GstCityGuessrAnswersStats *stats)
{
  g_mutex_lock (&answers->lock);
  *stats = answers->stats;
  g_mutex_unlock (&answers->lock);
}
