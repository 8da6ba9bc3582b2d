/* From frames to windows: see analysis.h.
 *
 * The object lock of the element guards the settings and the totals. It is never held while calling
 * another room, posting, querying or converting: a bus sync handler or a neighbour may call back
 * into the element.
 *
 * The streaming thread waits in `loader` and in `answers` alone. Those waits end when the engine is
 * there or all is answered, at FLUSH_START, and when the state change PAUSED->READY begins, which is
 * why that is announced before the pads are deactivated.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "analysis.h"

#include "frame.h"
#include "model/shot.h"
#include "sampler.h"

/* After this many frames, most of them without a timestamp, the user is told. */
#define UNTIMED_PATIENCE 50

/* What the sampler holds. */
typedef struct {
  CgSample *sample;
  guint64 number; /* counts up from 1 since the engine was opened */
} Shot;

struct _GstCityGuessrAnalysis {
  GstElement *element;
  const GstCityGuessrSettings *settings;
  GstCityGuessrOutputs *outputs;
  GstCityGuessrLoaded loaded;
  GstCityGuessrAnswers *answers;

  GMutex lock; /* for these three: a loader may be interrupted while a loss replaces it */
  GstCityGuessrLoader *loader; /* from start to stop */
  gboolean cancelled, flushing;

  CgEngine *engine; /* of the streaming thread; kept from stop to start */
  CgEngineOptions options;
  gboolean opened; /* `sampler` and `answers` are at work with `engine` */

  /* object lock */
  GstCityGuessrAnalysisStats stats; /* all but `windows` */

  /* streaming */
  GstVideoInfo info;
  GstSegment segment;
  GstCityGuessrSampler *sampler;
  guint64 n_samples, cut, stretch;
  CgShotSignature signature; /* of the newest sample of the stretch, if `has_signature` */
  gboolean has_signature;
  gint64 last_sample_arrived;
  guint64 n_windows; /* since start */
  guint consecutive_failures;
  gboolean told_untimed, told_backwards, told_loss, told_nothing;

  gint mode_changed; /* atomic: ask again whether to work live */
};

GstCityGuessrAnalysis *
gst_city_guessr_analysis_new (GstElement *element, const GstCityGuessrSettings *settings,
                              GstCityGuessrOutputs *outputs, GstCityGuessrLoaded loaded)
{
  GstCityGuessrAnalysis *analysis = g_new0 (GstCityGuessrAnalysis, 1);

  analysis->element = element;
  analysis->settings = settings;
  analysis->outputs = outputs;
  analysis->loaded = loaded;
  analysis->answers = gst_city_guessr_answers_new (element, outputs);
  gst_segment_init (&analysis->segment, GST_FORMAT_UNDEFINED);
  g_mutex_init (&analysis->lock);
  return analysis;
}

void
gst_city_guessr_analysis_free (GstCityGuessrAnalysis *analysis)
{
  gst_city_guessr_analysis_close (analysis);
  gst_city_guessr_answers_free (analysis->answers);
  g_mutex_clear (&analysis->lock);
  g_free (analysis);
}

GstCityGuessrAnswers *
gst_city_guessr_analysis_get_answers (GstCityGuessrAnalysis *analysis)
{
  return analysis->answers;
}

/* ---- the engine ---- */

/* Begins to load. Returns FALSE, with an ERROR message posted, if that cannot even begin. */
static gboolean
load (GstCityGuessrAnalysis *analysis)
{
  g_autofree gchar *model = NULL;
  GstCityGuessrLoader *loader;

  GST_OBJECT_LOCK (analysis->element);
  model = g_strdup (analysis->settings->model);
  GST_OBJECT_UNLOCK (analysis->element);
  if (model == NULL || *model == '\0') {
    GST_ELEMENT_ERROR (analysis->element, RESOURCE, NOT_FOUND,
                       ("No model is set. Set the property “model” of cityguessr, or the "
                        "environment variable " GST_CITY_GUESSR_MODEL_VARIABLE
                        ", to a model file (.safetensors), "
                        "or to “generated:small-16:1” for an untrained one."),
                       ("the property “model” is empty"));
    return FALSE;
  }
  loader =
      gst_city_guessr_loader_start (analysis->element, model, &analysis->options, analysis->loaded);
  if (loader == NULL)
    return FALSE;
  g_mutex_lock (&analysis->lock);
  analysis->loader = loader;
  gst_city_guessr_loader_interrupt (loader, analysis->cancelled || analysis->flushing);
  g_mutex_unlock (&analysis->lock);
  return TRUE;
}

/* An engine that came in time is kept: the next start is then quick. */
static void
unload (GstCityGuessrAnalysis *analysis)
{
  GstCityGuessrLoader *loader;
  CgEngine *engine;

  g_mutex_lock (&analysis->lock);
  loader = g_steal_pointer (&analysis->loader);
  g_mutex_unlock (&analysis->lock);
  engine = loader ? gst_city_guessr_loader_cancel (loader) : NULL;
  if (engine == NULL)
    return;
  g_clear_pointer (&analysis->engine, cg_engine_unref);
  analysis->engine = engine;
}

/* @flag: `cancelled` or `flushing`. */
static void
interrupt_load (GstCityGuessrAnalysis *analysis, gboolean *flag, gboolean value)
{
  g_mutex_lock (&analysis->lock);
  *flag = value;
  if (analysis->loader)
    gst_city_guessr_loader_interrupt (analysis->loader, analysis->cancelled || analysis->flushing);
  g_mutex_unlock (&analysis->lock);
}

static void
shot_free (gpointer data)
{
  Shot *shot = data;

  cg_sample_unref (shot->sample);
  g_free (shot);
}

static void
forget_stretch (GstCityGuessrAnalysis *analysis)
{
  if (analysis->sampler)
    gst_city_guessr_sampler_restart (analysis->sampler);
  analysis->stretch++;
  analysis->cut = 0;
  analysis->has_signature = FALSE;
}

static void
close_engine (GstCityGuessrAnalysis *analysis)
{
  if (!analysis->opened)
    return;
  gst_city_guessr_answers_close (analysis->answers);
  g_clear_pointer (&analysis->sampler, gst_city_guessr_sampler_free);
  analysis->opened = FALSE;
}

/* Goes to work with @engine (transfer full). */
static GstFlowReturn
open_engine (GstCityGuessrAnalysis *analysis, CgEngine *engine)
{
  const CgModel *model = cg_engine_model (engine);
  g_autoptr (GError) error = NULL;
  GstClockTime interval;

  /* The old one is given back only now: if it is the same, nothing was loaded again. */
  g_clear_pointer (&analysis->engine, cg_engine_unref);
  analysis->engine = engine;
  GST_OBJECT_LOCK (analysis->element);
  interval = analysis->settings->sample_interval;
  GST_OBJECT_UNLOCK (analysis->element);
  if (interval == 0)
    interval = (GstClockTime)(model->sample_interval * GST_SECOND + 0.5);

  if (!gst_city_guessr_answers_open (analysis->answers, engine, &error)) {
    GST_ELEMENT_ERROR (analysis->element, RESOURCE, FAILED,
                       ("The thread that answers could not be started: %s", error->message),
                       (NULL));
    return GST_FLOW_ERROR;
  }
  analysis->sampler = gst_city_guessr_sampler_new (model->geometry.frames, interval, shot_free);
  analysis->n_samples = 0;
  forget_stretch (analysis);
  analysis->opened = TRUE;

  /* A flush or a cancel that came meanwhile found no answers to stop. */
  g_mutex_lock (&analysis->lock);
  if (analysis->cancelled)
    gst_city_guessr_answers_cancel (analysis->answers);
  else if (analysis->flushing)
    gst_city_guessr_answers_begin_flush (analysis->answers);
  g_mutex_unlock (&analysis->lock);
  return GST_FLOW_OK;
}

/* Sees to it that `opened` is TRUE if there is an engine. Offline that is waited for. */
static GstFlowReturn
require_engine (GstCityGuessrAnalysis *analysis)
{
  GstCityGuessrLoader *loader;
  gboolean failed = FALSE;
  CgEngine *engine;

  if (analysis->opened)
    return GST_FLOW_OK;
  g_mutex_lock (&analysis->lock);
  loader = analysis->loader; /* lives as long as this thread is in here */
  g_mutex_unlock (&analysis->lock);
  if (loader == NULL)
    return GST_FLOW_FLUSHING;
  if (analysis->stats.live)
    engine = gst_city_guessr_loader_get_engine (loader, &failed);
  else
    engine = gst_city_guessr_loader_wait (loader, &failed);
  if (engine)
    return open_engine (analysis, engine);
  if (failed)
    return GST_FLOW_ERROR;
  return analysis->stats.live ? GST_FLOW_OK : GST_FLOW_FLUSHING;
}

/* The engine is gone: the CPU takes over, or the stream ends. Frames and an EOS that come after the end
 * meet the same loss: it is told once. */
static GstFlowReturn
replace_lost (GstCityGuessrAnalysis *analysis, const GError *loss)
{
  GstCityGuessrOnDeviceLoss policy;

  GST_OBJECT_LOCK (analysis->element);
  policy = analysis->settings->on_device_loss;
  GST_OBJECT_UNLOCK (analysis->element);
  if (policy == GST_CITY_GUESSR_LOSS_ERROR || analysis->options.device == CG_DEVICE_CPU) {
    if (analysis->told_loss)
      return GST_FLOW_ERROR;
    analysis->told_loss = TRUE;
    GST_ELEMENT_ERROR (analysis->element, RESOURCE, FAILED, ("%s", loss->message),
                       ("the engine %s is lost", cg_engine_describe (analysis->engine)));
    return GST_FLOW_ERROR;
  }
  GST_ELEMENT_WARNING (
      analysis->element, RESOURCE, FAILED,
      ("%s. The CPU takes over; windows that were under way have no answer.", loss->message),
      ("the engine %s is lost", cg_engine_describe (analysis->engine)));
  close_engine (analysis);
  unload (analysis);
  analysis->options.device = CG_DEVICE_CPU;
  analysis->options.precision = CG_PRECISION_AUTO;
  return load (analysis) ? GST_FLOW_OK : GST_FLOW_ERROR;
}

gboolean
gst_city_guessr_analysis_start (GstCityGuessrAnalysis *analysis, const CgEngineOptions *options)
{
  analysis->options = *options;
  g_mutex_lock (&analysis->lock);
  analysis->cancelled = analysis->flushing = FALSE;
  g_mutex_unlock (&analysis->lock);
  gst_city_guessr_answers_reset_stats (analysis->answers);
  gst_segment_init (&analysis->segment, GST_FORMAT_UNDEFINED);
  gst_video_info_init (&analysis->info);
  analysis->n_windows = 0;
  analysis->consecutive_failures = 0;
  analysis->told_untimed = analysis->told_backwards = FALSE;
  analysis->told_loss = analysis->told_nothing = FALSE;
  GST_OBJECT_LOCK (analysis->element);
  analysis->stats = (GstCityGuessrAnalysisStats){ 0 };
  GST_OBJECT_UNLOCK (analysis->element);
  gst_city_guessr_analysis_settings_changed (analysis);
  gst_city_guessr_analysis_latency_changed (analysis);
  if (!load (analysis))
    return FALSE;
  if (!gst_city_guessr_loader_fails_at_once (analysis->loader))
    return TRUE;
  unload (analysis);
  return FALSE;
}

void
gst_city_guessr_analysis_cancel (GstCityGuessrAnalysis *analysis)
{
  interrupt_load (analysis, &analysis->cancelled, TRUE);
  gst_city_guessr_answers_cancel (analysis->answers);
}

void
gst_city_guessr_analysis_stop (GstCityGuessrAnalysis *analysis)
{
  gst_city_guessr_analysis_cancel (analysis);
  close_engine (analysis);
  unload (analysis);
}

void
gst_city_guessr_analysis_close (GstCityGuessrAnalysis *analysis)
{
  g_clear_pointer (&analysis->engine, cg_engine_unref);
}

void
gst_city_guessr_analysis_begin_flush (GstCityGuessrAnalysis *analysis)
{
  interrupt_load (analysis, &analysis->flushing, TRUE);
  gst_city_guessr_answers_begin_flush (analysis->answers);
}

void
gst_city_guessr_analysis_end_flush (GstCityGuessrAnalysis *analysis)
{
  forget_stretch (analysis);
  gst_segment_init (&analysis->segment, GST_FORMAT_UNDEFINED);
  interrupt_load (analysis, &analysis->flushing, FALSE);
  gst_city_guessr_answers_end_flush (analysis->answers);
}

/* ---- windows ---- */

static GstFlowReturn
submit (GstCityGuessrAnalysis *analysis, const GstCityGuessrSpan *span, gboolean closing)
{
  const guint frames = cg_engine_model (analysis->engine)->geometry.frames;
  CgSample *samples[CG_MAX_FRAMES];
  guint64 numbers[CG_MAX_FRAMES];
  GstCityGuessrWindow window = {
    .samples = samples,
    .numbers = numbers,
    .cut = analysis->cut,
    .stretch = analysis->stretch,
    .distinct = span->distinct,
    .partial = span->partial,
    .closing = closing,
    .start = span->start,
    .end = span->end,
    .segment = &analysis->segment,
    .arrived = analysis->last_sample_arrived,
  };

  for (guint i = 0; i < frames; i++) {
    const Shot *shot = span->samples[i];

    samples[i] = shot->sample;
    numbers[i] = shot->number;
  }
  analysis->n_windows++;
  GST_LOG_OBJECT (analysis->element,
                  "window %" GST_TIME_FORMAT " to %" GST_TIME_FORMAT ", %u samples%s",
                  GST_TIME_ARGS (span->start), GST_TIME_ARGS (span->end), span->distinct,
                  closing ? ", closing" : "");
  return gst_city_guessr_answers_submit (analysis->answers, &window, analysis->stats.live);
}

/* The stretch ends here: what no window has covered makes one more. */
static GstFlowReturn
end_stretch (GstCityGuessrAnalysis *analysis)
{
  GstFlowReturn flow = GST_FLOW_OK;
  GstCityGuessrSpan span;
  guint min_samples;

  GST_OBJECT_LOCK (analysis->element);
  min_samples = analysis->settings->min_samples;
  GST_OBJECT_UNLOCK (analysis->element);
  if (analysis->opened &&
      gst_city_guessr_sampler_last_window (analysis->sampler, min_samples, &span))
    flow = submit (analysis, &span, TRUE);
  forget_stretch (analysis);
  return flow;
}

/* ---- samples ---- */

/* Returns a sample and, in @signature, what its shot is told by. */
static CgSample *
convert (GstCityGuessrAnalysis *analysis, GstBuffer *buffer, CgShotSignature *signature,
         GError **error)
{
  GstVideoFrame video;
  CgSample *sample = NULL;
  CgFrame frame;

  if (!gst_city_guessr_frame_map (&video, &analysis->info, buffer,
                                  cg_engine_reads (analysis->engine, CG_MEMORY_CUDA), &frame,
                                  error))
    return NULL;
  sample = cg_sample_new (analysis->engine, &frame, error);
  if (sample && !cg_sample_describe (sample, &frame, signature, error))
    g_clear_pointer (&sample, cg_sample_unref);
  gst_video_frame_unmap (&video);
  return sample;
}

/* A picture that cannot be converted: the next one takes its place. One WARNING for each row of
 * them. */
static GstFlowReturn
skip_sample (GstCityGuessrAnalysis *analysis, GstClockTime pts, const GError *error)
{
  GST_OBJECT_LOCK (analysis->element);
  analysis->stats.failed_samples++;
  GST_OBJECT_UNLOCK (analysis->element);
  if (g_error_matches (error, CG_ERROR, CG_ERROR_DEVICE_LOST))
    return replace_lost (analysis, error);
  if (analysis->consecutive_failures++ == 0)
    GST_ELEMENT_WARNING (analysis->element, STREAM, DECODE, ("%s", error->message),
                         ("the sample at %" GST_TIME_FORMAT " is lost", GST_TIME_ARGS (pts)));
  return GST_FLOW_OK;
}

/* A new sample of the stretch: does a new shot begin with it? */
static void
notice_cut (GstCityGuessrAnalysis *analysis, const CgShotSignature *signature)
{
  gboolean cut = analysis->has_signature && cg_shot_is_cut (&analysis->signature, signature);

  analysis->signature = *signature;
  analysis->has_signature = TRUE;
  if (!cut)
    return;
  analysis->cut = analysis->n_samples;
  GST_OBJECT_LOCK (analysis->element);
  analysis->stats.cuts++;
  GST_OBJECT_UNLOCK (analysis->element);
}

static GstFlowReturn
take_sample (GstCityGuessrAnalysis *analysis, GstBuffer *buffer)
{
  gint64 arrived = g_get_monotonic_time ();
  g_autoptr (GError) error = NULL;
  CgShotSignature signature;
  CgSample *sample = convert (analysis, buffer, &signature, &error);
  GstCityGuessrSpan span;
  guint hop, min_samples;
  gboolean early;
  Shot *shot;

  if (sample == NULL)
    return skip_sample (analysis, GST_BUFFER_PTS (buffer), error);
  analysis->consecutive_failures = 0;
  analysis->last_sample_arrived = arrived;
  shot = g_new (Shot, 1);
  *shot = (Shot){ sample, ++analysis->n_samples };
  notice_cut (analysis, &signature);

  GST_OBJECT_LOCK (analysis->element);
  analysis->stats.samples++;
  hop = analysis->settings->hop;
  early = analysis->settings->early_results;
  min_samples = analysis->settings->min_samples;
  GST_OBJECT_UNLOCK (analysis->element);
  if (gst_city_guessr_sampler_add (analysis->sampler, shot, hop, &span) ||
      (early && gst_city_guessr_sampler_early_window (analysis->sampler, min_samples, &span)))
    return submit (analysis, &span, FALSE);
  return GST_FLOW_OK;
}

/* ---- frames ---- */

static void
update_mode (GstCityGuessrAnalysis *analysis)
{
  GstCityGuessrMode mode;
  gboolean live;

  if (!g_atomic_int_compare_and_exchange (&analysis->mode_changed, TRUE, FALSE))
    return;
  GST_OBJECT_LOCK (analysis->element);
  mode = analysis->settings->mode;
  GST_OBJECT_UNLOCK (analysis->element);

  live = mode == GST_CITY_GUESSR_MODE_LIVE;
  if (mode == GST_CITY_GUESSR_MODE_AUTO) {
    GstPad *pad = gst_element_get_static_pad (analysis->element, "sink");
    GstQuery *query = gst_query_new_latency ();

    if (gst_pad_peer_query (pad, query))
      gst_query_parse_latency (query, &live, NULL, NULL);
    gst_query_unref (query);
    gst_object_unref (pad);
  }
  GST_DEBUG_OBJECT (analysis->element, "processing %s", live ? "live" : "offline");
  GST_OBJECT_LOCK (analysis->element);
  analysis->stats.live = live;
  GST_OBJECT_UNLOCK (analysis->element);
}

static void
tell_untimed (GstCityGuessrAnalysis *analysis)
{
  if (analysis->told_untimed)
    return;
  analysis->told_untimed = TRUE;
  GST_ELEMENT_WARNING (
      analysis->element, STREAM, FORMAT,
      ("Most of the video has no timestamps, so no place can be told of it. Put an "
       "element that makes them (videoparse, a parser or a live source with "
       "do-timestamp=true) before cityguessr."),
      ("%" G_GUINT64_FORMAT " of %" G_GUINT64_FORMAT " buffers had no PTS",
       analysis->stats.untimed_frames, analysis->stats.frames));
}

static gboolean
is_mostly_untimed (const GstCityGuessrAnalysisStats *stats)
{
  return stats->untimed_frames > stats->frames / 2;
}

/* Counts the frame, and tells when most so far had no timestamp. */
static void
count_frame (GstCityGuessrAnalysis *analysis, gboolean timed)
{
  GST_OBJECT_LOCK (analysis->element);
  analysis->stats.frames++;
  analysis->stats.untimed_frames += !timed;
  GST_OBJECT_UNLOCK (analysis->element);
  if (analysis->stats.frames >= UNTIMED_PATIENCE && is_mostly_untimed (&analysis->stats))
    tell_untimed (analysis);
}

static void
count_unseen (GstCityGuessrAnalysis *analysis)
{
  GST_OBJECT_LOCK (analysis->element);
  analysis->stats.unseen_frames++;
  GST_OBJECT_UNLOCK (analysis->element);
}

static GstClockTime
frame_duration (GstCityGuessrAnalysis *analysis, GstBuffer *buffer)
{
  if (GST_BUFFER_DURATION_IS_VALID (buffer) || GST_VIDEO_INFO_FPS_N (&analysis->info) <= 0)
    return GST_BUFFER_DURATION (buffer);
  return gst_util_uint64_scale_int (GST_SECOND, GST_VIDEO_INFO_FPS_D (&analysis->info),
                                    GST_VIDEO_INFO_FPS_N (&analysis->info));
}

/* Whether the frame takes part: it has a time, plays forwards, and lies in the segment. */
static gboolean
is_visible (GstCityGuessrAnalysis *analysis, GstClockTime pts, GstClockTime duration)
{
  const GstSegment *segment = &analysis->segment;

  if (!GST_CLOCK_TIME_IS_VALID (pts))
    return FALSE;
  if (segment->rate < 0) {
    if (!analysis->told_backwards)
      GST_ELEMENT_WARNING (analysis->element, STREAM, NOT_IMPLEMENTED,
                           ("The video is played backwards: no place is told until it runs "
                            "forwards again."),
                           ("segment rate %f", segment->rate));
    analysis->told_backwards = TRUE;
    return FALSE;
  }
  return segment->format != GST_FORMAT_TIME ||
         gst_segment_clip (segment, GST_FORMAT_TIME, pts,
                           GST_CLOCK_TIME_IS_VALID (duration) ? pts + duration : pts, NULL, NULL);
}

/* The samples and windows that follow from one more visible frame. */
static GstFlowReturn
look_at (GstCityGuessrAnalysis *analysis, GstBuffer *buffer, GstClockTime pts,
         GstClockTime duration)
{
  GstFlowReturn flow = require_engine (analysis);
  gboolean wanted;

  if (flow != GST_FLOW_OK)
    return flow;
  if (!analysis->opened) {
    count_unseen (analysis);
    return GST_FLOW_OK;
  }
  if (gst_city_guessr_sampler_is_break (analysis->sampler, pts)) {
    flow = end_stretch (analysis);
    gst_city_guessr_outputs_forget (analysis->outputs);
  }
  if (flow != GST_FLOW_OK)
    return flow;
  wanted = gst_city_guessr_sampler_advance (analysis->sampler, pts, duration);
  if (!wanted || GST_BUFFER_FLAG_IS_SET (buffer, GST_BUFFER_FLAG_GAP))
    return GST_FLOW_OK;
  return take_sample (analysis, buffer);
}

GstFlowReturn
gst_city_guessr_analysis_take_frame (GstCityGuessrAnalysis *analysis, GstBuffer *buffer,
                                     gboolean *visible)
{
  GstClockTime pts = GST_BUFFER_PTS (buffer), duration = frame_duration (analysis, buffer);
  g_autoptr (GError) loss = NULL;
  GstFlowReturn flow;

  update_mode (analysis);
  count_frame (analysis, GST_CLOCK_TIME_IS_VALID (pts));
  *visible = is_visible (analysis, pts, duration);
  if (!*visible)
    return GST_FLOW_OK;

  /* Live, a loss is found out by the answering thread; offline, while its answer is waited for. */
  loss = gst_city_guessr_answers_get_loss (analysis->answers);
  flow = loss ? replace_lost (analysis, loss) : GST_FLOW_OK;
  if (flow == GST_FLOW_OK)
    flow = look_at (analysis, buffer, pts, duration);
  if (flow == GST_FLOW_ERROR && loss == NULL &&
      (loss = gst_city_guessr_answers_get_loss (analysis->answers)))
    flow = replace_lost (analysis, loss);
  return flow;
}

/* Whether there is no engine to be had, which is told, or nobody waits for one any more. */
static gboolean
is_given_up (GstCityGuessrAnalysis *analysis)
{
  CgEngine *engine = NULL;
  gboolean failed = TRUE, given_up;

  g_mutex_lock (&analysis->lock);
  if (analysis->loader)
    engine = gst_city_guessr_loader_get_engine (analysis->loader, &failed);
  given_up = failed || analysis->cancelled || analysis->flushing;
  g_mutex_unlock (&analysis->lock);
  if (engine)
    cg_engine_unref (engine);
  return given_up;
}

/* At the end of a stream that gave not one window: why, unless something else was told. Of the totals only this thread's
 * own are read. */
static void
tell_nothing (GstCityGuessrAnalysis *analysis)
{
  const GstCityGuessrAnalysisStats *stats = &analysis->stats;
  guint min_samples;

  if (stats->frames == 0 || analysis->n_windows > 0 || analysis->told_nothing ||
      is_given_up (analysis))
    return;
  if (is_mostly_untimed (stats)) {
    tell_untimed (analysis);
    return;
  }
  if (stats->failed_samples > 0 || analysis->told_backwards || analysis->told_loss)
    return;
  analysis->told_nothing = TRUE;
  GST_OBJECT_LOCK (analysis->element);
  min_samples = analysis->settings->min_samples;
  GST_OBJECT_UNLOCK (analysis->element);
  if (stats->unseen_frames == stats->frames)
    GST_ELEMENT_WARNING (analysis->element, STREAM, FAILED,
                         ("The video ended before the model was loaded: no place was told."),
                         ("%" G_GUINT64_FORMAT " frames", stats->frames));
  else
    GST_ELEMENT_WARNING (
        analysis->element, STREAM, FAILED,
        ("No place was told: the video, or each piece of it between jumps in time, was too short. "
         "It had %" G_GUINT64_FORMAT " frames; cityguessr needs %u (min-samples) in a row, with "
         "less than two sample intervals between them.",
         stats->frames, min_samples),
        ("%" G_GUINT64_FORMAT " samples, %" G_GUINT64_FORMAT " frames without PTS", stats->samples,
         stats->untimed_frames));
}

void
gst_city_guessr_analysis_drain (GstCityGuessrAnalysis *analysis)
{
  g_autoptr (GError) loss = NULL;

  end_stretch (analysis);
  if (analysis->opened)
    gst_city_guessr_answers_wait (analysis->answers);
  loss = gst_city_guessr_answers_get_loss (analysis->answers);
  if (loss)
    replace_lost (analysis, loss);
  tell_nothing (analysis);
}

/* ---- the stream and its settings ---- */

void
gst_city_guessr_analysis_set_format (GstCityGuessrAnalysis *analysis, const GstVideoInfo *info)
{
  analysis->info = *info;
}

void
gst_city_guessr_analysis_set_segment (GstCityGuessrAnalysis *analysis, const GstSegment *segment)
{
  /* The same one again, as when it is sent anew to a new neighbour, changes nothing. */
  if (gst_segment_is_equal (segment, &analysis->segment))
    return;
  end_stretch (analysis);
  gst_segment_copy_into (segment, &analysis->segment);
  analysis->told_backwards = FALSE;
}

void
gst_city_guessr_analysis_new_stream (GstCityGuessrAnalysis *analysis)
{
  end_stretch (analysis);
  gst_segment_init (&analysis->segment, GST_FORMAT_UNDEFINED);
  gst_city_guessr_analysis_latency_changed (analysis);
}

void
gst_city_guessr_analysis_latency_changed (GstCityGuessrAnalysis *analysis)
{
  g_atomic_int_set (&analysis->mode_changed, TRUE);
}

void
gst_city_guessr_analysis_settings_changed (GstCityGuessrAnalysis *analysis)
{
  GstCityGuessrAnswersOptions options;

  GST_OBJECT_LOCK (analysis->element);
  options = analysis->settings->answers;
  GST_OBJECT_UNLOCK (analysis->element);
  gst_city_guessr_answers_set_options (analysis->answers, &options);
}

gboolean
gst_city_guessr_analysis_is_live (GstCityGuessrAnalysis *analysis)
{
  gboolean live;

  GST_OBJECT_LOCK (analysis->element);
  live = analysis->stats.live;
  GST_OBJECT_UNLOCK (analysis->element);
  return live;
}

void
gst_city_guessr_analysis_get_stats (GstCityGuessrAnalysis *analysis,
                                    GstCityGuessrAnalysisStats *stats)
{
  GST_OBJECT_LOCK (analysis->element);
  *stats = analysis->stats;
  GST_OBJECT_UNLOCK (analysis->element);
  gst_city_guessr_answers_get_stats (analysis->answers, &stats->windows);
}
