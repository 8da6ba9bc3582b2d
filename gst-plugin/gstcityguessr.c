/**
 * SECTION:element-cityguessr
 * @title: cityguessr
 * @short_description: tells where in the world a video was filmed
 *
 * Takes samples of the video by their timestamps, gathers them into windows (16 samples, about 21
 * s, with the models of the paper), has a network name the city, state, country and continent of
 * each window, and says so in an element message `cityguessr` on the bus. The same fields ride on a
 * buffer as a #GstCustomMeta named `GstCityGuessrMeta`. The video itself passes through untouched
 * and uncopied. An interlaced frame is taken as it is, both fields woven.
 *
 * ## Messages
 *
 * One for each window, in order, and all of them before EOS. The fields:
 *
 * * #guint64 `timestamp`, `stream-time`, `running-time`, `duration`: the window, from its first
 *   sample to the end of its last one, in nanoseconds
 * * #guint64 `window-id`; #guint `samples`; #gboolean `partial`: there were fewer samples than the
 *   model takes
 * * #gchararray `city`, `state`, `country`, `country-code` (ISO 3166-1 alpha-2), `continent`:
 *   absent when withheld, see #GstCityGuessr:min-confidence
 * * #gdouble `city-confidence`, `state-confidence`, `country-confidence`, `continent-confidence`:
 *   0 … 1, calibrated, also of a level that is withheld
 * * #gdouble `latitude`, `longitude`, `horizontal-error`: degrees (WGS84); metres that hold 90 %
 * * #gchararray `scene`, #gdouble `scene-confidence`: if the model knows scenes
 * * #GstValueArray `predictions` of structures with `level`, `rank`, `label`, `name`,
 *   `confidence`, `latitude`, `longitude`: the #GstCityGuessr:top-k best of each level
 * * #gchararray `device`, `model`; #gboolean `demo`
 * * #guint64 `latency`: from the last sample in to the answer out, in nanoseconds
 *
 * ## Windows
 *
 * The first frame is a sample, and from there on the first frame at or after each multiple of
 * #GstCityGuessr:sample-interval. Each window begins #GstCityGuessr:hop samples after the one
 * before. A DISCONT flag, a PTS that runs backwards, a gap of more than two intervals, a new
 * segment and EOS end the window; what no window has covered then makes one more, from
 * #GstCityGuessr:min-samples samples on. A flush discards it. A change of caps ends nothing. Frames
 * without PTS, buffers with the GAP flag and frames played backwards pass through unseen.
 *
 * ## Live and offline
 *
 * Live (#GstCityGuessr:processing-mode), video never waits: if a window is still waiting for the
 * engine when the next one is complete, it is dropped and a QOS message says so (its numbers count
 * windows); the meta rides on the first buffer after the answer. Offline no window is dropped: the
 * buffer that completes a window waits for the answer and carries it, so that the same file gives
 * the same answers every time. A window that the end of a stretch completes rides on no buffer. In
 * both modes EOS, SEGMENT_DONE and GAP events wait until everything is answered. The element adds
 * nothing to the latency of the pipeline.
 *
 * A window that cannot be computed is a WARNING and a missing message; the pipeline goes on.
 *
 * ## Example launch line
 * |[
 * gst-launch-1.0 -m filesrc location=dashcam.mp4 ! decodebin ! cityguessr ! fakesink
 * ]|
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

/* Threads and locks
 *
 *   streaming thread   everything marked "streaming" below; serialized by the pad's stream lock
 *   answering thread   inside `answers`, which has a lock of its own: see answers.h
 *   other threads      properties, state changes, FLUSH_START and LATENCY events
 *
 * The object lock guards what is marked so. It is never held while calling `answers`, posting,
 * pushing, querying or converting: a bus sync handler or a neighbour may call back into the
 * element.
 *
 * The streaming thread waits in `answers` alone. That wait ends when all is answered, at
 * FLUSH_START, and when the state change PAUSED->READY begins, which is why that is announced
 * before the pads are deactivated.
 */
#include "gstcityguessr.h"

#include "answers.h"
#include "frame.h"
#include "report.h"
#include "sampler.h"
#include "settings.h"

GST_DEBUG_CATEGORY_STATIC (city_guessr_debug);
#define GST_CAT_DEFAULT city_guessr_debug

/* After this many frames without a single timestamp the user is told. */
#define UNTIMED_PATIENCE 50

/* For tests only: data of the GObject (GUINT_TO_POINTER) that become options of the null engine,
 * read in start(). */
#define NULL_DELAY_DATA "cityguessr-null-delay-us"
#define NULL_FAIL_DATA "cityguessr-null-fail-at"

enum { PROP_ACTIVE_DEVICE = GST_CITY_GUESSR_SETTING_END, PROP_STATS, N_PROPERTIES };

static GParamSpec *properties[N_PROPERTIES];

/* Totals since READY->PAUSED. */
typedef struct {
  guint64 frames, untimed_frames;
  guint64 samples, failed_samples;
} Counts;

struct _GstCityGuessr {
  GstBaseTransform parent;

  GstCityGuessrAnswers *answers; /* as long as the element */

  /* object lock */
  GstCityGuessrSettings settings;
  gchar *active_device;
  Counts counts;
  gboolean live;

  CgEngine *engine; /* set and cleared by state changes, while no other thread runs */

  /* streaming */
  GstVideoInfo info;
  GstSegment segment;
  GstCityGuessrSampler *sampler;
  gint64 last_sample_arrived;
  guint consecutive_failures;
  gboolean told_untimed, told_backwards;

  gint mode_changed; /* atomic: ask again whether to work live */
};

G_DEFINE_TYPE (GstCityGuessr, gst_city_guessr, GST_TYPE_BASE_TRANSFORM)
GST_ELEMENT_REGISTER_DEFINE (cityguessr, "cityguessr", GST_RANK_NONE, GST_TYPE_CITY_GUESSR)

static GstStaticPadTemplate sink_template = GST_STATIC_PAD_TEMPLATE (
    "sink", GST_PAD_SINK, GST_PAD_ALWAYS, GST_STATIC_CAPS (GST_CITY_GUESSR_CAPS));
static GstStaticPadTemplate src_template = GST_STATIC_PAD_TEMPLATE (
    "src", GST_PAD_SRC, GST_PAD_ALWAYS, GST_STATIC_CAPS (GST_CITY_GUESSR_CAPS));

/* ---- samples and windows: streaming ---- */

static GstFlowReturn
submit (GstCityGuessr *self, const GstCityGuessrSpan *span, gboolean closing)
{
  GST_LOG_OBJECT (self, "window %" GST_TIME_FORMAT " to %" GST_TIME_FORMAT ", %u samples%s",
                  GST_TIME_ARGS (span->start), GST_TIME_ARGS (span->end), span->distinct,
                  closing ? ", closing" : "");
  return gst_city_guessr_answers_submit (self->answers, span, &self->segment,
                                         self->last_sample_arrived, closing, self->live);
}

/* The stretch ends here: what no window has covered makes one more. */
static GstFlowReturn
end_stretch (GstCityGuessr *self)
{
  GstFlowReturn flow = GST_FLOW_OK;
  GstCityGuessrSpan span;
  guint min_samples;

  GST_OBJECT_LOCK (self);
  min_samples = self->settings.min_samples;
  GST_OBJECT_UNLOCK (self);
  if (gst_city_guessr_sampler_last_window (self->sampler, min_samples, &span))
    flow = submit (self, &span, TRUE);
  gst_city_guessr_sampler_restart (self->sampler);
  return flow;
}

static void
update_mode (GstCityGuessr *self)
{
  GstCityGuessrMode mode;
  gboolean live;

  if (!g_atomic_int_compare_and_exchange (&self->mode_changed, TRUE, FALSE))
    return;
  GST_OBJECT_LOCK (self);
  mode = self->settings.mode;
  GST_OBJECT_UNLOCK (self);

  live = mode == GST_CITY_GUESSR_MODE_LIVE;
  if (mode == GST_CITY_GUESSR_MODE_AUTO) {
    GstQuery *query = gst_query_new_latency ();

    if (gst_pad_peer_query (GST_BASE_TRANSFORM_SINK_PAD (self), query))
      gst_query_parse_latency (query, &live, NULL, NULL);
    gst_query_unref (query);
  }
  GST_DEBUG_OBJECT (self, "processing %s", live ? "live" : "offline");
  GST_OBJECT_LOCK (self);
  self->live = live;
  GST_OBJECT_UNLOCK (self);
}

static void
tell_untimed (GstCityGuessr *self)
{
  if (self->told_untimed)
    return;
  self->told_untimed = TRUE;
  GST_ELEMENT_WARNING (self, STREAM, FORMAT,
                       ("The video has no timestamps, so no place can be told. Put an element that "
                        "makes them (videoparse, a parser or a live source with "
                        "do-timestamp=true) before cityguessr."),
                       ("no buffer had a PTS"));
}

/* Counts the frame, and tells when none so far had a timestamp. */
static void
count_frame (GstCityGuessr *self, gboolean timed)
{
  Counts counts;

  GST_OBJECT_LOCK (self);
  self->counts.frames++;
  self->counts.untimed_frames += !timed;
  counts = self->counts;
  GST_OBJECT_UNLOCK (self);
  if (counts.untimed_frames == counts.frames && counts.frames >= UNTIMED_PATIENCE)
    tell_untimed (self);
}

static GstClockTime
frame_duration (GstCityGuessr *self, GstBuffer *buffer)
{
  if (GST_BUFFER_DURATION_IS_VALID (buffer) || GST_VIDEO_INFO_FPS_N (&self->info) <= 0)
    return GST_BUFFER_DURATION (buffer);
  return gst_util_uint64_scale_int (GST_SECOND, GST_VIDEO_INFO_FPS_D (&self->info),
                                    GST_VIDEO_INFO_FPS_N (&self->info));
}

/* Whether the frame takes part: it has a time, plays forwards, and lies in the segment. */
static gboolean
is_visible (GstCityGuessr *self, GstClockTime pts, GstClockTime duration)
{
  if (!GST_CLOCK_TIME_IS_VALID (pts))
    return FALSE;
  if (self->segment.rate < 0) {
    if (!self->told_backwards)
      GST_ELEMENT_WARNING (self, STREAM, NOT_IMPLEMENTED,
                           ("The video is played backwards: no place is told until it runs "
                            "forwards again."),
                           ("segment rate %f", self->segment.rate));
    self->told_backwards = TRUE;
    return FALSE;
  }
  return self->segment.format != GST_FORMAT_TIME ||
         gst_segment_clip (&self->segment, GST_FORMAT_TIME, pts,
                           GST_CLOCK_TIME_IS_VALID (duration) ? pts + duration : pts, NULL, NULL);
}

static CgSample *
convert (GstCityGuessr *self, GstBuffer *buffer, GError **error)
{
  GstVideoFrame video;
  CgSample *sample = NULL;
  CgFrame frame;

  if (!gst_video_frame_map (&video, &self->info, buffer,
                            GST_MAP_READ | GST_VIDEO_FRAME_MAP_FLAG_NO_REF)) {
    g_set_error (error, CG_ERROR, CG_ERROR_INPUT, "The picture's memory cannot be read");
    return NULL;
  }
  if (gst_city_guessr_frame_describe (&video, &frame))
    sample = cg_sample_new (self->engine, &frame, error);
  else
    g_set_error (error, CG_ERROR, CG_ERROR_INPUT, "The crop rectangle is not inside the picture");
  gst_video_frame_unmap (&video);
  return sample;
}

/* A picture that cannot be converted: the next one takes its place. One WARNING for each row of
 * them. */
static GstFlowReturn
skip_sample (GstCityGuessr *self, GstClockTime pts, const GError *error)
{
  GST_OBJECT_LOCK (self);
  self->counts.failed_samples++;
  GST_OBJECT_UNLOCK (self);
  if (g_error_matches (error, CG_ERROR, CG_ERROR_DEVICE_LOST)) {
    gst_city_guessr_answers_lose (self->answers, error);
    return GST_FLOW_ERROR;
  }
  if (self->consecutive_failures++ == 0)
    GST_ELEMENT_WARNING (self, STREAM, DECODE, ("%s", error->message),
                         ("the sample at %" GST_TIME_FORMAT " is lost", GST_TIME_ARGS (pts)));
  return GST_FLOW_OK;
}

static GstFlowReturn
take_sample (GstCityGuessr *self, GstBuffer *buffer)
{
  gint64 arrived = g_get_monotonic_time ();
  g_autoptr (GError) error = NULL;
  CgSample *sample = convert (self, buffer, &error);
  GstCityGuessrSpan span;
  guint hop;

  if (sample == NULL)
    return skip_sample (self, GST_BUFFER_PTS (buffer), error);
  self->consecutive_failures = 0;
  self->last_sample_arrived = arrived;

  GST_OBJECT_LOCK (self);
  self->counts.samples++;
  hop = self->settings.hop;
  GST_OBJECT_UNLOCK (self);
  if (!gst_city_guessr_sampler_add (self->sampler, sample, hop, &span))
    return GST_FLOW_OK;
  return submit (self, &span, FALSE);
}

/* The samples and windows that follow from one more frame. */
static GstFlowReturn
look_at (GstCityGuessr *self, GstBuffer *buffer)
{
  GstClockTime pts = GST_BUFFER_PTS (buffer), duration = frame_duration (self, buffer);
  GstFlowReturn flow = GST_FLOW_OK;
  gboolean wanted;

  if (!is_visible (self, pts, duration))
    return GST_FLOW_OK;
  if (gst_city_guessr_sampler_is_break (self->sampler, pts,
                                        GST_BUFFER_FLAG_IS_SET (buffer, GST_BUFFER_FLAG_DISCONT)))
    flow = end_stretch (self);
  if (flow != GST_FLOW_OK)
    return flow;
  wanted = gst_city_guessr_sampler_advance (self->sampler, pts, duration);
  if (!wanted || GST_BUFFER_FLAG_IS_SET (buffer, GST_BUFFER_FLAG_GAP))
    return GST_FLOW_OK;
  return take_sample (self, buffer);
}

static GstFlowReturn
gst_city_guessr_transform_ip (GstBaseTransform *trans, GstBuffer *buffer)
{
  GstCityGuessr *self = GST_CITY_GUESSR (trans);
  GstStructure *news;
  GstFlowReturn flow;

  update_mode (self);
  count_frame (self, GST_BUFFER_PTS_IS_VALID (buffer));
  flow = look_at (self, buffer);
  news = gst_city_guessr_answers_take_news (self->answers);
  if (news) {
    gst_city_guessr_report_attach (buffer, news);
    gst_structure_free (news);
  }
  return flow;
}

static gboolean
gst_city_guessr_set_caps (GstBaseTransform *trans, GstCaps *in, GstCaps *out)
{
  GstCityGuessr *self = GST_CITY_GUESSR (trans);

  if (gst_video_info_from_caps (&self->info, in))
    return TRUE;
  GST_ELEMENT_ERROR (self, STREAM, FORMAT, ("The video format is not understood."),
                     ("caps %" GST_PTR_FORMAT, in));
  return FALSE;
}

/* The picture stays where it is, so the neighbours agree on its memory among themselves. An element
 * that works in place never asks downstream for a pool of its own. */
static gboolean
gst_city_guessr_propose_allocation (GstBaseTransform *trans, GstQuery *decide, GstQuery *query)
{
  return gst_pad_peer_query (GST_BASE_TRANSFORM_SRC_PAD (trans), query);
}

/* ---- events ---- */

static void
adopt_segment (GstCityGuessr *self, const GstSegment *segment)
{
  /* The same one again, as when it is sent anew to a new neighbour, changes nothing. */
  if (gst_segment_is_equal (segment, &self->segment))
    return;
  end_stretch (self);
  gst_segment_copy_into (segment, &self->segment);
  self->told_backwards = FALSE;
}

static void
drain (GstCityGuessr *self)
{
  Counts counts;

  end_stretch (self);
  gst_city_guessr_answers_wait (self->answers);

  GST_OBJECT_LOCK (self);
  counts = self->counts;
  GST_OBJECT_UNLOCK (self);
  if (counts.frames > 0 && counts.untimed_frames == counts.frames)
    tell_untimed (self);
}

static gboolean
gst_city_guessr_sink_event (GstBaseTransform *trans, GstEvent *event)
{
  GstCityGuessr *self = GST_CITY_GUESSR (trans);
  const GstSegment *segment;

  switch (GST_EVENT_TYPE (event)) {
  case GST_EVENT_FLUSH_START:
    gst_city_guessr_answers_begin_flush (self->answers);
    break;
  case GST_EVENT_FLUSH_STOP:
    gst_city_guessr_sampler_restart (self->sampler);
    gst_segment_init (&self->segment, GST_FORMAT_UNDEFINED);
    gst_city_guessr_answers_end_flush (self->answers);
    break;
  case GST_EVENT_STREAM_START:
    end_stretch (self);
    gst_segment_init (&self->segment, GST_FORMAT_UNDEFINED);
    g_atomic_int_set (&self->mode_changed, TRUE);
    break;
  case GST_EVENT_SEGMENT:
    gst_event_parse_segment (event, &segment);
    adopt_segment (self, segment);
    break;
  case GST_EVENT_EOS:
  case GST_EVENT_SEGMENT_DONE:
    drain (self);
    break;
  case GST_EVENT_GAP:
    gst_city_guessr_answers_wait (self->answers);
    break;
  default:
    break;
  }
  return GST_BASE_TRANSFORM_CLASS (gst_city_guessr_parent_class)->sink_event (trans, event);
}

static gboolean
gst_city_guessr_src_event (GstBaseTransform *trans, GstEvent *event)
{
  if (GST_EVENT_TYPE (event) == GST_EVENT_LATENCY)
    g_atomic_int_set (&GST_CITY_GUESSR (trans)->mode_changed, TRUE);
  return GST_BASE_TRANSFORM_CLASS (gst_city_guessr_parent_class)->src_event (trans, event);
}

/* ---- states ---- */

static void
set_active_device (GstCityGuessr *self, const gchar *device)
{
  gboolean changed;

  GST_OBJECT_LOCK (self);
  changed = g_strcmp0 (self->active_device, device) != 0;
  if (changed) {
    g_free (self->active_device);
    self->active_device = g_strdup (device);
  }
  GST_OBJECT_UNLOCK (self);
  if (changed)
    g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_ACTIVE_DEVICE]);
}

static void
post_no_engine (GstCityGuessr *self, const gchar *model, const GError *error)
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
  gst_element_message_full (
      GST_ELEMENT (self), GST_MESSAGE_ERROR, GST_RESOURCE_ERROR, code, g_strdup (error->message),
      g_strdup_printf ("no engine for the model “%s”", model), __FILE__, GST_FUNCTION, __LINE__);
}

/* Opens the engine for the settings, or says why not. */
static gboolean
open_engine (GstCityGuessr *self)
{
  CgEngineOptions options = {
    .null_delay_us = GPOINTER_TO_UINT (g_object_get_data (G_OBJECT (self), NULL_DELAY_DATA)),
    .null_fail_at = GPOINTER_TO_UINT (g_object_get_data (G_OBJECT (self), NULL_FAIL_DATA)),
  };
  g_autofree gchar *model = NULL;
  g_autoptr (GError) error = NULL;
  CgEngine *engine;

  GST_OBJECT_LOCK (self);
  model = g_strdup (self->settings.model);
  options.device = self->settings.device;
  options.precision = self->settings.precision;
  options.threads = self->settings.cpu_threads;
  GST_OBJECT_UNLOCK (self);

  if (model == NULL || *model == '\0') {
    GST_ELEMENT_ERROR (self, RESOURCE, NOT_FOUND,
                       ("No model is set. Set the property “model” of cityguessr, or the "
                        "environment variable " GST_CITY_GUESSR_MODEL_VARIABLE
                        ", to a model file (.safetensors), "
                        "or to “generated:small-16:1” for an untrained one."),
                       ("the property “model” is empty"));
    return FALSE;
  }
  engine = cg_engine_get (model, &options, &error);
  if (engine == NULL) {
    post_no_engine (self, model, error);
    return FALSE;
  }
  /* The old one is given back only now: if it is the same, nothing is loaded again. */
  g_clear_pointer (&self->engine, cg_engine_unref);
  self->engine = engine;
  set_active_device (self, cg_engine_describe (engine));
  return TRUE;
}

static gboolean
gst_city_guessr_start (GstBaseTransform *trans)
{
  GstCityGuessr *self = GST_CITY_GUESSR (trans);
  g_autoptr (GError) error = NULL;
  GstClockTime interval;
  const CgModel *model;

  if (!open_engine (self))
    return FALSE;
  model = cg_engine_model (self->engine);
  GST_OBJECT_LOCK (self);
  interval = self->settings.sample_interval;
  self->counts = (Counts){ 0 };
  self->live = FALSE;
  GST_OBJECT_UNLOCK (self);
  if (interval == 0)
    interval = (GstClockTime)(model->sample_interval * GST_SECOND + 0.5);

  self->sampler = gst_city_guessr_sampler_new (model->geometry.frames, interval,
                                               (GDestroyNotify)cg_sample_unref);
  gst_segment_init (&self->segment, GST_FORMAT_UNDEFINED);
  self->consecutive_failures = 0;
  self->told_untimed = self->told_backwards = FALSE;
  g_atomic_int_set (&self->mode_changed, TRUE);
  if (gst_city_guessr_answers_open (self->answers, self->engine, &error))
    return TRUE;
  GST_ELEMENT_ERROR (self, RESOURCE, FAILED,
                     ("The thread that answers could not be started: %s", error->message), (NULL));
  g_clear_pointer (&self->sampler, gst_city_guessr_sampler_free);
  return FALSE;
}

static gboolean
gst_city_guessr_stop (GstBaseTransform *trans)
{
  GstCityGuessr *self = GST_CITY_GUESSR (trans);

  gst_city_guessr_answers_close (self->answers);
  g_clear_pointer (&self->sampler, gst_city_guessr_sampler_free);
  return TRUE;
}

static GstStateChangeReturn
gst_city_guessr_change_state (GstElement *element, GstStateChange transition)
{
  GstCityGuessr *self = GST_CITY_GUESSR (element);
  GstStateChangeReturn result;

  if (transition == GST_STATE_CHANGE_PAUSED_TO_READY)
    gst_city_guessr_answers_cancel (self->answers);
  result = GST_ELEMENT_CLASS (gst_city_guessr_parent_class)->change_state (element, transition);
  if (transition == GST_STATE_CHANGE_READY_TO_NULL) {
    g_clear_pointer (&self->engine, cg_engine_unref);
    set_active_device (self, NULL);
  }
  return result;
}

/* ---- properties ---- */

static GstStructure *
stats_to_structure (GstCityGuessr *self)
{
  GstCityGuessrAnswersStats stats;
  Counts counts;
  gboolean live;

  GST_OBJECT_LOCK (self);
  counts = self->counts;
  live = self->live;
  GST_OBJECT_UNLOCK (self);
  gst_city_guessr_answers_get_stats (self->answers, &stats);
  /* clang-format off */
  return gst_structure_new ("cityguessr-stats",
                            "frames", G_TYPE_UINT64, counts.frames,
                            "untimed-frames", G_TYPE_UINT64, counts.untimed_frames,
                            "samples", G_TYPE_UINT64, counts.samples,
                            "failed-samples", G_TYPE_UINT64, counts.failed_samples,
                            "windows", G_TYPE_UINT64, stats.windows,
                            "answered", G_TYPE_UINT64, stats.answered,
                            "failed", G_TYPE_UINT64, stats.failed,
                            "dropped", G_TYPE_UINT64, stats.dropped,
                            "flushed", G_TYPE_UINT64, stats.flushed,
                            "pending", G_TYPE_UINT, stats.pending,
                            "live", G_TYPE_BOOLEAN, live,
                            "latency", G_TYPE_UINT64, stats.latency,
                            "max-latency", G_TYPE_UINT64, stats.max_latency,
                            NULL);
  /* clang-format on */
}

static void
gst_city_guessr_set_property (GObject *object, guint id, const GValue *value, GParamSpec *pspec)
{
  GstCityGuessr *self = GST_CITY_GUESSR (object);
  CgDecodeOptions options;

  if (id >= GST_CITY_GUESSR_SETTING_END) {
    G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
    return;
  }
  GST_OBJECT_LOCK (self);
  gst_city_guessr_settings_set (&self->settings, id, value);
  options = self->settings.decode;
  GST_OBJECT_UNLOCK (self);
  gst_city_guessr_answers_set_options (self->answers, &options);
  if (id == GST_CITY_GUESSR_SETTING_PROCESSING_MODE)
    g_atomic_int_set (&self->mode_changed, TRUE);
}

static void
gst_city_guessr_get_property (GObject *object, guint id, GValue *value, GParamSpec *pspec)
{
  GstCityGuessr *self = GST_CITY_GUESSR (object);

  if (id == PROP_STATS) {
    g_value_take_boxed (value, stats_to_structure (self));
  } else if (id < N_PROPERTIES) {
    GST_OBJECT_LOCK (self);
    if (id == PROP_ACTIVE_DEVICE)
      g_value_set_string (value, self->active_device);
    else
      gst_city_guessr_settings_get (&self->settings, id, value);
    GST_OBJECT_UNLOCK (self);
  } else {
    G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
  }
}

static void
gst_city_guessr_init (GstCityGuessr *self)
{
  gst_city_guessr_settings_init (&self->settings);
  self->answers = gst_city_guessr_answers_new (GST_ELEMENT (self));
  gst_city_guessr_answers_set_options (self->answers, &self->settings.decode);
  gst_base_transform_set_in_place (GST_BASE_TRANSFORM (self), TRUE);
}

static void
gst_city_guessr_finalize (GObject *object)
{
  GstCityGuessr *self = GST_CITY_GUESSR (object);

  gst_city_guessr_answers_free (self->answers);
  g_clear_pointer (&self->engine, cg_engine_unref);
  gst_city_guessr_settings_clear (&self->settings);
  g_free (self->active_device);
  G_OBJECT_CLASS (gst_city_guessr_parent_class)->finalize (object);
}

static void
install_read_only_properties (GObjectClass *klass)
{
  /**
   * GstCityGuessr:active-device:
   *
   * What computes now, as in "cpu avx512 fp32, 2 threads"; NULL while no engine is open (before
   * READY->PAUSED and after READY->NULL).
   *
   * Since: 0.1
   */
  properties[PROP_ACTIVE_DEVICE] =
      g_param_spec_string ("active-device", "Active device", "What computes now", NULL,
                           G_PARAM_READABLE | G_PARAM_STATIC_STRINGS);

  /**
   * GstCityGuessr:stats:
   *
   * Totals since READY->PAUSED, in a structure "cityguessr-stats":
   *
   * * #guint64 `frames`; of these `untimed-frames` had no PTS
   * * #guint64 `samples`; `failed-samples`: pictures that could not be converted
   * * #guint64 `windows` = `answered` + `failed` + `dropped` (live) + `flushed` (by a flush or a
   * state change) + #guint `pending`
   * * #gboolean `live`: whether windows may be dropped
   * * #guint64 `latency`, `max-latency`: from the last sample in to the answer out in nanoseconds,
   * of the last window (GST_CLOCK_TIME_NONE before the first) and of the slowest
   *
   * Since: 0.1
   */
  properties[PROP_STATS] = g_param_spec_boxed (
      "stats", "Statistics", "Counts of frames, samples and windows, and latencies in nanoseconds",
      GST_TYPE_STRUCTURE, G_PARAM_READABLE | G_PARAM_STATIC_STRINGS);

  g_object_class_install_property (klass, PROP_ACTIVE_DEVICE, properties[PROP_ACTIVE_DEVICE]);
  g_object_class_install_property (klass, PROP_STATS, properties[PROP_STATS]);
}

static void
gst_city_guessr_class_init (GstCityGuessrClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);
  GstElementClass *element_class = GST_ELEMENT_CLASS (klass);
  GstBaseTransformClass *trans_class = GST_BASE_TRANSFORM_CLASS (klass);

  GST_DEBUG_CATEGORY_INIT (city_guessr_debug, "cityguessr", 0, "CityGuessr");
  gst_city_guessr_report_register_meta ();

  object_class->set_property = gst_city_guessr_set_property;
  object_class->get_property = gst_city_guessr_get_property;
  object_class->finalize = gst_city_guessr_finalize;
  gst_city_guessr_settings_install (object_class);
  install_read_only_properties (object_class);

  element_class->change_state = gst_city_guessr_change_state;
  gst_element_class_set_static_metadata (
      element_class, "CityGuessr", "Filter/Analyzer/Video",
      "Tells the city, state, country and continent where a video was filmed",
      "The CityGuessr for GStreamer authors");
  gst_element_class_add_static_pad_template (element_class, &sink_template);
  gst_element_class_add_static_pad_template (element_class, &src_template);

  trans_class->passthrough_on_same_caps = FALSE;
  trans_class->transform_ip_on_passthrough = FALSE;
  trans_class->start = gst_city_guessr_start;
  trans_class->stop = gst_city_guessr_stop;
  trans_class->set_caps = gst_city_guessr_set_caps;
  trans_class->sink_event = gst_city_guessr_sink_event;
  trans_class->src_event = gst_city_guessr_src_event;
  trans_class->propose_allocation = gst_city_guessr_propose_allocation;
  trans_class->transform_ip = gst_city_guessr_transform_ip;
}
