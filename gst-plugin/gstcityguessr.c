/**
 * SECTION:element-cityguessr
 * @title: cityguessr
 * @short_description: tells where in the world a video was filmed
 *
 * Takes samples of the video by their timestamps, gathers them into windows (16 samples, about 21 s, with the models
 * of the paper), has a network name the city, state, country and continent of each window, and says so in an element
 * message `cityguessr` on the bus. The same fields ride on a buffer as a #GstCustomMeta named `GstCityGuessrMeta`.
 * The video itself passes through untouched and uncopied. An interlaced frame is taken as it is, both fields woven.
 *
 * ## Messages
 *
 * One for each window, in order, and all of them before EOS. The fields:
 *
 * * #guint64 `timestamp`, `stream-time`, `running-time`, `duration`: the window, from its first
 *   sample to the end of its last one, in nanoseconds
 * * #guint64 `window-id`; #guint `samples`; #gboolean `partial`: fewer samples than the model takes, or an early result
 * * #gchararray `city`, `state`, `country`, `country-code` (ISO 3166-1 alpha-2), `continent`:
 *   absent when withheld, see #GstCityGuessr:min-confidence
 * * #gdouble `city-confidence`, `state-confidence`, `country-confidence`, `continent-confidence`:
 *   0 … 1, calibrated, also of a level that is withheld
 * * #gdouble `latitude`, `longitude`, `horizontal-error`: degrees (WGS84); metres that hold 90 %
 * * #gchararray `scene`, #gdouble `scene-confidence`: if the model knows scenes
 * * #gboolean `stable`, #GstStructure `tracked`: the place as a filter over time sees it
 *   (#GstCityGuessr:track-memory), with fields `city` to `horizontal-error` as above, and whether it has settled.
 *   Captions and tags tell this one
 * * #GstValueArray `predictions` of structures with `level`, `rank`, `label`, `name`, `confidence`, `latitude`,
 *   `longitude`: the #GstCityGuessr:top-k best of each level
 * * #gchararray `device`, `model`; #gboolean `demo`
 * * #guint64 `latency`: from the last sample in to the answer out, in nanoseconds
 *
 * ## Captions, JSON lines and tags
 *
 * The request pad `text_src` gives captions (text/x-raw), written by #GstCityGuessr:caption-template; the request pad
 * `json_src` gives each answer as one line of JSON (application/x-json). Both keep time with the video, with GAP
 * events while there is nothing to say. #GstCityGuessr:post-tags sends the place as GStreamer's geo tags. With
 * GStreamer 1.24 and later the buffers also carry it as GstAnalyticsRelationMeta.
 *
 * ## The model
 *
 * It is loaded in the background from READY->PAUSED on (PROGRESS messages, code `loading`). Live video flows meanwhile,
 * unseen; offline the first frame waits. One that cannot be loaded is an ERROR, and fails the state change if soon seen.
 *
 * ## Windows
 *
 * The first frame is a sample, and from there on the first frame at or after each multiple of
 * #GstCityGuessr:sample-interval. Each window begins #GstCityGuessr:hop samples after the one before. A PTS that runs
 * backwards, a gap of more than two intervals, a new segment and EOS end the window; what no window has covered then
 * makes one more, from #GstCityGuessr:min-samples samples on. #GstCityGuessr:early-results gives answers before the
 * first window is full. A flush discards it. Other caps end nothing, nor does the DISCONT flag, which each frame after
 * a dropped one has. Frames without PTS, buffers with the GAP flag and frames played backwards pass through unseen. A
 * video that ends without a window is a WARNING that says why.
 *
 * ## Live and offline
 *
 * Live (#GstCityGuessr:processing-mode), video never waits: if a window is still waiting for the engine when the next
 * one is complete, it is dropped and a QOS message says so (its numbers count windows); the meta rides on the first
 * buffer after the answer. Offline no window is dropped: the buffer that completes a window waits for the answer and
 * carries it, so that the same file gives the same answers every time, to the bit: each is computed by itself,
 * whatever else the engine has to do; nor do QOS events go upstream, where late frames would be dropped. A window that
 * the end of a stretch completes rides on no buffer. In both modes EOS and SEGMENT_DONE wait until everything is
 * answered. The element adds nothing to the latency of the pipeline. A window that cannot be computed is a WARNING and
 * a missing message; the pipeline goes on.
 *
 * ## Pictures in a GPU's memory
 *
 * Pictures may be in `memory:CUDAMemory`, as NVIDIA's decoders of GStreamer 1.22 and later give them. With device
 * "cuda" a sample is made of them on the GPU; with others GStreamer downloads what becomes a sample. What comes after
 * the element has to take such pictures, too, or `cudadownload` goes between.
 *
 * ## Example launch line
 * |[
 * gst-launch-1.0 -m filesrc location=dashcam.mp4 ! decodebin ! cityguessr ! fakesink
 * ]|
 * |[
 * gst-launch-1.0 filesrc location=dashcam.mp4 ! decodebin ! cityguessr name=guess ! fakesink \
 *     guess.json_src ! filesink location=dashcam.json
 * ]|
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

/* Threads and locks
 *
 *   streaming thread   chain, serialized events; what it does with frames is in analysis.c
 *   answering thread   inside `analysis`: see answers.h
 *   loading thread     inside `analysis`: see loader.h; calls set_active_device()
 *   tasks of the pads  inside `outputs`: see side-pad.h
 *   other threads      properties, state changes, request pads, FLUSH_START and LATENCY events
 *
 * The object lock guards what is marked so. It is never held while calling another room, posting,
 * pushing or querying: a bus sync handler or a neighbour may call back into the element.
 */
#include "gstcityguessr.h"

#include "analysis.h"
#include "analytics.h"
#include "frame.h"
#include "outputs.h"
#include "report.h"
#include "tags.h"

GST_DEBUG_CATEGORY_STATIC (city_guessr_debug);
#define GST_CAT_DEFAULT city_guessr_debug

/* From caption to caption. */
#define CAPTION_STEP GST_SECOND

/* For tests only: data of the GObject (GUINT_TO_POINTER) that become options of the null engine,
 * read at READY->PAUSED. */
#define NULL_DELAY_DATA "cityguessr-null-delay-us"
#define NULL_FAIL_DATA "cityguessr-null-fail-at"
#define NULL_LOSE_DATA "cityguessr-null-lose-at"
#define NULL_LOAD_DATA "cityguessr-null-load-us"

enum { PROP_ACTIVE_DEVICE = GST_CITY_GUESSR_SETTING_END, PROP_STATS, N_PROPERTIES };

static GParamSpec *properties[N_PROPERTIES];

struct _GstCityGuessr {
  GstBaseTransform parent;

  GstCityGuessrOutputs *outputs;   /* as long as the element */
  GstCityGuessrAnalysis *analysis; /* the same */

  /* object lock */
  GstCityGuessrSettings settings;
  gchar *active_device;

  GstPadEventFunction base_event; /* GstBaseTransform's */

  /* streaming */
  gboolean started;
  gchar *tagged_place; /* the place that the last tags told */
};

G_DEFINE_TYPE_WITH_CODE (GstCityGuessr, gst_city_guessr, GST_TYPE_BASE_TRANSFORM,
                         G_IMPLEMENT_INTERFACE (GST_TYPE_PRESET, NULL))
GST_ELEMENT_REGISTER_DEFINE (cityguessr, "cityguessr", GST_RANK_NONE, GST_TYPE_CITY_GUESSR)

static GstStaticPadTemplate sink_template = GST_STATIC_PAD_TEMPLATE (
    "sink", GST_PAD_SINK, GST_PAD_ALWAYS, GST_STATIC_CAPS (GST_CITY_GUESSR_CAPS));
static GstStaticPadTemplate src_template = GST_STATIC_PAD_TEMPLATE (
    "src", GST_PAD_SRC, GST_PAD_ALWAYS, GST_STATIC_CAPS (GST_CITY_GUESSR_CAPS));

/* ---- frames: streaming ---- */

/* The names of @place on all levels, to tell places apart. */
static gchar *
identify_place (const GstStructure *place)
{
  GString *names = g_string_new (NULL);

  for (guint level = CG_CITY; level < CG_LEVELS; level++) {
    const gchar *name = gst_structure_get_string (place, cg_level_name (level));

    g_string_append_printf (names, "%s\n", name ? name : "");
  }
  return g_string_free (names, FALSE);
}

/* The tags of GLOBAL scope that upstream has sent last. Returns: (transfer full) (nullable). */
static GstTagList *
get_upstream_tags (GstCityGuessr *self)
{
  GstTagList *found = NULL;
  GstEvent *event;

  for (guint i = 0;
       found == NULL &&
       (event = gst_pad_get_sticky_event (GST_BASE_TRANSFORM_SINK_PAD (self), GST_EVENT_TAG, i));
       i++) {
    GstTagList *tags;

    gst_event_parse_tag (event, &tags);
    if (gst_tag_list_get_scope (tags) == GST_TAG_SCOPE_GLOBAL)
      found = gst_tag_list_ref (tags);
    gst_event_unref (event);
  }
  return found;
}

/* Sends the tracked place of @answer as tags, unless they told it already. What upstream says of the
 * whole file goes with them, because they replace it; and what it knows of the place is not
 * overruled by a guess. */
static void
send_tags (GstCityGuessr *self, const GstStructure *answer)
{
  g_autoptr (GstTagList) guessed = NULL, known = NULL;
  g_autoptr (GstStructure) place = NULL;
  g_autofree gchar *told = NULL;
  GstTagList *merged;
  gboolean demo = FALSE;

  gst_structure_get (answer, "tracked", GST_TYPE_STRUCTURE, &place, "demo", G_TYPE_BOOLEAN, &demo,
                     NULL);
  told = identify_place (place);
  if (g_strcmp0 (told, self->tagged_place) == 0)
    return;
  g_free (self->tagged_place);
  self->tagged_place = g_steal_pointer (&told);
  guessed = gst_city_guessr_tags_new (place, demo);
  if (guessed == NULL)
    return;
  known = get_upstream_tags (self);
  merged = gst_tag_list_merge (known, guessed, GST_TAG_MERGE_KEEP);
  gst_tag_list_set_scope (merged, GST_TAG_SCOPE_GLOBAL);
  gst_pad_push_event (GST_BASE_TRANSFORM_SRC_PAD (self), gst_event_new_tag (merged));
}

static GstCityGuessrPostTags
get_post_tags (GstCityGuessr *self)
{
  GstCityGuessrPostTags post_tags;

  GST_OBJECT_LOCK (self);
  post_tags = self->settings.post_tags;
  GST_OBJECT_UNLOCK (self);
  return post_tags;
}

static gboolean
is_stable (const GstStructure *answer)
{
  gboolean stable;

  return gst_structure_get_boolean (answer, "stable", &stable) && stable;
}

/* The newest answer, if no buffer carries it yet, goes with @buffer. */
static void
carry_news (GstCityGuessr *self, GstBuffer *buffer)
{
  GstCityGuessrAnswers *answers = gst_city_guessr_analysis_get_answers (self->analysis);
  g_autoptr (GstStructure) news = gst_city_guessr_answers_take_news (answers);

  if (news == NULL)
    return;
  gst_city_guessr_report_attach (buffer, news);
  gst_city_guessr_analytics_attach (buffer, news);
  if (get_post_tags (self) == GST_CITY_GUESSR_TAGS_ON_CHANGE && is_stable (news))
    send_tags (self, news);
}

/* EOS: the tags that are still due. */
static void
send_last_tags (GstCityGuessr *self)
{
  GstCityGuessrAnswers *answers = gst_city_guessr_analysis_get_answers (self->analysis);
  g_autoptr (GstStructure) newest = gst_city_guessr_answers_get_newest (answers);
  GstCityGuessrPostTags post_tags = get_post_tags (self);

  if (newest == NULL)
    return;
  if (post_tags == GST_CITY_GUESSR_TAGS_FINAL ||
      (post_tags == GST_CITY_GUESSR_TAGS_ON_CHANGE && is_stable (newest)))
    send_tags (self, newest);
}

static GstFlowReturn
gst_city_guessr_transform_ip (GstBaseTransform *trans, GstBuffer *buffer)
{
  GstCityGuessr *self = GST_CITY_GUESSR (trans);
  gboolean visible;
  GstFlowReturn flow = gst_city_guessr_analysis_take_frame (self->analysis, buffer, &visible);

  if (flow != GST_FLOW_OK)
    return flow;
  carry_news (self, buffer);
  if (visible)
    gst_city_guessr_outputs_advance (self->outputs, GST_BUFFER_PTS (buffer));
  else
    gst_city_guessr_outputs_begin (self->outputs);
  return gst_city_guessr_outputs_get_flow (self->outputs);
}

static gboolean
gst_city_guessr_set_caps (GstBaseTransform *trans, GstCaps *in, GstCaps *out)
{
  GstCityGuessr *self = GST_CITY_GUESSR (trans);
  GstVideoInfo info;

  if (!gst_video_info_from_caps (&info, in)) {
    GST_ELEMENT_ERROR (self, STREAM, FORMAT, ("The video format is not understood."),
                       ("caps %" GST_PTR_FORMAT, in));
    return FALSE;
  }
  gst_city_guessr_analysis_set_format (self->analysis, &info);
  return TRUE;
}

/* The picture stays where it is, so the neighbours agree on its memory among themselves. An element
 * that works in place never asks downstream for a pool of its own. */
static gboolean
gst_city_guessr_propose_allocation (GstBaseTransform *trans, GstQuery *decide, GstQuery *query)
{
  return gst_pad_peer_query (GST_BASE_TRANSFORM_SRC_PAD (trans), query);
}

/* ---- events ---- */

static gboolean
gst_city_guessr_sink_event (GstBaseTransform *trans, GstEvent *event)
{
  GstCityGuessr *self = GST_CITY_GUESSR (trans);
  const GstSegment *segment;

  switch (GST_EVENT_TYPE (event)) {
  case GST_EVENT_FLUSH_START:
    gst_city_guessr_analysis_begin_flush (self->analysis);
    break;
  case GST_EVENT_FLUSH_STOP:
    gst_city_guessr_analysis_end_flush (self->analysis);
    break;
  case GST_EVENT_STREAM_START:
    gst_city_guessr_analysis_new_stream (self->analysis);
    g_clear_pointer (&self->tagged_place, g_free);
    break;
  case GST_EVENT_SEGMENT:
    gst_event_parse_segment (event, &segment);
    gst_city_guessr_analysis_set_segment (self->analysis, segment);
    break;
  case GST_EVENT_EOS:
    gst_city_guessr_analysis_drain (self->analysis);
    send_last_tags (self);
    break;
  case GST_EVENT_SEGMENT_DONE:
    gst_city_guessr_analysis_drain (self->analysis);
    break;
  default:
    break;
  }
  gst_city_guessr_outputs_event (self->outputs, event);
  return GST_BASE_TRANSFORM_CLASS (gst_city_guessr_parent_class)->sink_event (trans, event);
}

/* Offline, frames come late at a sink because windows are waited for. Who hears of that drops frames until they are in
 * time, and with them the answers. */
static gboolean
gst_city_guessr_src_event (GstBaseTransform *trans, GstEvent *event)
{
  GstCityGuessrAnalysis *analysis = GST_CITY_GUESSR (trans)->analysis;

  if (GST_EVENT_TYPE (event) == GST_EVENT_LATENCY)
    gst_city_guessr_analysis_latency_changed (analysis);
  if (GST_EVENT_TYPE (event) == GST_EVENT_QOS && !gst_city_guessr_analysis_is_live (analysis)) {
    gst_event_unref (event);
    return TRUE;
  }
  return GST_BASE_TRANSFORM_CLASS (gst_city_guessr_parent_class)->src_event (trans, event);
}

/* An event that finds the source pad shut, as while the element goes to READY, met no failure: upstream
 * has to hear FLUSHING, where GstBaseTransform has it hear ERROR and tell the user. The same before
 * start(), which would forget the event: a pad that is being activated takes events already. */
static GstFlowReturn
gst_city_guessr_take_event (GstPad *pad, GstObject *parent, GstEvent *event)
{
  GstCityGuessr *self = GST_CITY_GUESSR (parent);
  const gboolean is_caps = GST_EVENT_TYPE (event) == GST_EVENT_CAPS;
  const gboolean serialized = GST_EVENT_IS_SERIALIZED (event);

  if (serialized && !self->started) {
    gst_event_unref (event);
    return GST_FLOW_FLUSHING;
  }
  if (self->base_event (pad, parent, event))
    return GST_FLOW_OK;
  if (serialized && GST_PAD_IS_FLUSHING (GST_BASE_TRANSFORM_SRC_PAD (self)))
    return GST_FLOW_FLUSHING;
  return is_caps ? GST_FLOW_NOT_NEGOTIATED : GST_FLOW_ERROR;
}

/* ---- request pads ---- */

static GstPad *
gst_city_guessr_request_new_pad (GstElement *element, GstPadTemplate *templ, const gchar *name,
                                 const GstCaps *caps)
{
  return gst_city_guessr_outputs_request_pad (GST_CITY_GUESSR (element)->outputs, templ, name);
}

static void
gst_city_guessr_release_pad (GstElement *element, GstPad *pad)
{
  gst_city_guessr_outputs_release_pad (GST_CITY_GUESSR (element)->outputs, pad);
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
engine_loaded (GstElement *element, CgEngine *engine)
{
  set_active_device (GST_CITY_GUESSR (element), cg_engine_describe (engine));
}

/* Puts the property "caption-template" into force. */
static gboolean
adopt_caption (GstCityGuessr *self, GError **error)
{
  g_autofree gchar *text = NULL;
  GstCityGuessrCaption *caption;

  GST_OBJECT_LOCK (self);
  text = g_strdup (self->settings.caption_template);
  GST_OBJECT_UNLOCK (self);
  caption = gst_city_guessr_caption_new (text ? text : "", error);
  if (caption)
    gst_city_guessr_outputs_set_caption (self->outputs, caption);
  return caption != NULL;
}

static guint
null_option (GstCityGuessr *self, const gchar *name)
{
  return GPOINTER_TO_UINT (g_object_get_data (G_OBJECT (self), name));
}

static gboolean
start (GstCityGuessr *self)
{
  CgEngineOptions options = {
    .null_delay_us = null_option (self, NULL_DELAY_DATA),
    .null_fail_at = null_option (self, NULL_FAIL_DATA),
    .null_lose_at = null_option (self, NULL_LOSE_DATA),
    .null_load_us = null_option (self, NULL_LOAD_DATA),
  };
  g_autoptr (GError) error = NULL;

  if (!adopt_caption (self, &error)) {
    GST_ELEMENT_ERROR (self, RESOURCE, SETTINGS,
                       ("The property “caption-template” is wrong: %s", error->message), (NULL));
    return FALSE;
  }
  GST_OBJECT_LOCK (self);
  options.device = self->settings.device;
  options.precision = self->settings.precision;
  options.cuda_device = self->settings.cuda_device_id;
  options.threads = self->settings.cpu_threads;
  GST_OBJECT_UNLOCK (self);
  g_clear_pointer (&self->tagged_place, g_free);
  if (!gst_city_guessr_analysis_start (self->analysis, &options))
    return FALSE;
  gst_city_guessr_outputs_start (self->outputs, CAPTION_STEP);
  return TRUE;
}

/* A pad that is being activated takes buffers already before this is called: the stream lock keeps
 * them out. */
static gboolean
gst_city_guessr_start (GstBaseTransform *trans)
{
  gboolean started;

  GST_PAD_STREAM_LOCK (GST_BASE_TRANSFORM_SINK_PAD (trans));
  GST_CITY_GUESSR (trans)->started = started = start (GST_CITY_GUESSR (trans));
  GST_PAD_STREAM_UNLOCK (GST_BASE_TRANSFORM_SINK_PAD (trans));
  return started;
}

static gboolean
gst_city_guessr_stop (GstBaseTransform *trans)
{
  GstCityGuessr *self = GST_CITY_GUESSR (trans);

  gst_city_guessr_analysis_stop (self->analysis);
  gst_city_guessr_outputs_stop (self->outputs);
  self->started = FALSE; /* streaming has ended */
  return TRUE;
}

static GstStateChangeReturn
gst_city_guessr_change_state (GstElement *element, GstStateChange transition)
{
  GstCityGuessr *self = GST_CITY_GUESSR (element);
  GstStateChangeReturn result;

  if (transition == GST_STATE_CHANGE_PAUSED_TO_READY)
    gst_city_guessr_analysis_cancel (self->analysis);
  result = GST_ELEMENT_CLASS (gst_city_guessr_parent_class)->change_state (element, transition);
  if (transition == GST_STATE_CHANGE_READY_TO_NULL) {
    gst_city_guessr_analysis_close (self->analysis);
    set_active_device (self, NULL);
  }
  return result;
}

/* ---- properties ---- */

static GstStructure *
stats_to_structure (GstCityGuessr *self)
{
  GstCityGuessrAnalysisStats stats;

  gst_city_guessr_analysis_get_stats (self->analysis, &stats);
  /* clang-format off */
  return gst_structure_new ("cityguessr-stats",
                            "frames", G_TYPE_UINT64, stats.frames,
                            "untimed-frames", G_TYPE_UINT64, stats.untimed_frames,
                            "unseen-frames", G_TYPE_UINT64, stats.unseen_frames,
                            "samples", G_TYPE_UINT64, stats.samples,
                            "failed-samples", G_TYPE_UINT64, stats.failed_samples,
                            "cuts", G_TYPE_UINT64, stats.cuts,
                            "windows", G_TYPE_UINT64, stats.windows.windows,
                            "answered", G_TYPE_UINT64, stats.windows.answered,
                            "failed", G_TYPE_UINT64, stats.windows.failed,
                            "dropped", G_TYPE_UINT64, stats.windows.dropped,
                            "flushed", G_TYPE_UINT64, stats.windows.flushed,
                            "pending", G_TYPE_UINT, stats.windows.pending,
                            "live", G_TYPE_BOOLEAN, stats.live,
                            "latency", G_TYPE_UINT64, stats.windows.latency,
                            "max-latency", G_TYPE_UINT64, stats.windows.max_latency,
                            NULL);
  /* clang-format on */
}

/* What takes more than to be stored. */
static void
put_into_force (GstCityGuessr *self, guint id)
{
  g_autoptr (GError) error = NULL;
  GstCityGuessrCaptionTiming timing;

  switch (id) {
  case GST_CITY_GUESSR_SETTING_PROCESSING_MODE:
    gst_city_guessr_analysis_latency_changed (self->analysis);
    break;
  case GST_CITY_GUESSR_SETTING_CAPTION_TEMPLATE:
    /* Before READY->PAUSED it is told as an ERROR, there. */
    if (!adopt_caption (self, &error) && GST_STATE (self) >= GST_STATE_PAUSED)
      GST_ELEMENT_WARNING (self, RESOURCE, SETTINGS,
                           ("The property “caption-template” is wrong, and the one before stays in "
                            "force: %s",
                            error->message),
                           (NULL));
    break;
  case GST_CITY_GUESSR_SETTING_CAPTION_TIMING:
    GST_OBJECT_LOCK (self);
    timing = self->settings.caption_timing;
    GST_OBJECT_UNLOCK (self);
    gst_city_guessr_outputs_set_caption_timing (self->outputs, timing);
    break;
  default:
    gst_city_guessr_analysis_settings_changed (self->analysis);
    break;
  }
}

static void
gst_city_guessr_set_property (GObject *object, guint id, const GValue *value, GParamSpec *pspec)
{
  GstCityGuessr *self = GST_CITY_GUESSR (object);

  if (id >= GST_CITY_GUESSR_SETTING_END) {
    G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
    return;
  }
  GST_OBJECT_LOCK (self);
  gst_city_guessr_settings_set (&self->settings, id, value);
  GST_OBJECT_UNLOCK (self);
  put_into_force (self, id);
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
  GstPad *sink = GST_BASE_TRANSFORM_SINK_PAD (self);

  gst_city_guessr_settings_init (&self->settings);
  self->outputs = gst_city_guessr_outputs_new (GST_ELEMENT (self));
  self->analysis = gst_city_guessr_analysis_new (GST_ELEMENT (self), &self->settings, self->outputs,
                                                 engine_loaded);
  adopt_caption (self, NULL);
  gst_base_transform_set_in_place (GST_BASE_TRANSFORM (self), TRUE);
  self->base_event = GST_PAD_EVENTFUNC (sink);
  gst_pad_set_event_full_function (sink, gst_city_guessr_take_event);
}

static void
gst_city_guessr_finalize (GObject *object)
{
  GstCityGuessr *self = GST_CITY_GUESSR (object);

  gst_city_guessr_analysis_free (self->analysis);
  gst_city_guessr_outputs_free (self->outputs);
  gst_city_guessr_settings_clear (&self->settings);
  g_free (self->active_device);
  g_free (self->tagged_place);
  G_OBJECT_CLASS (gst_city_guessr_parent_class)->finalize (object);
}

static void
install_read_only_properties (GObjectClass *klass)
{
  /**
   * GstCityGuessr:active-device:
   *
   * What computes now, as in "cpu avx512 fp32, 2 threads"; NULL while there is no engine (until the
   * model is loaded, and after READY->NULL).
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
   * * #guint64 `frames`; of these `untimed-frames` had no PTS, and `unseen-frames` came live before
   * the model was loaded
   * * #guint64 `samples`; `failed-samples`: pictures that could not be converted; `cuts`: samples
   * with which a new shot began
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
  gst_city_guessr_tags_register ();

  object_class->set_property = gst_city_guessr_set_property;
  object_class->get_property = gst_city_guessr_get_property;
  object_class->finalize = gst_city_guessr_finalize;
  gst_city_guessr_settings_install (object_class);
  install_read_only_properties (object_class);

  element_class->change_state = gst_city_guessr_change_state;
  element_class->request_new_pad = gst_city_guessr_request_new_pad;
  element_class->release_pad = gst_city_guessr_release_pad;
  gst_element_class_set_static_metadata (
      element_class, "CityGuessr", "Filter/Analyzer/Video",
      "Tells the city, state, country and continent where a video was filmed",
      "The CityGuessr for GStreamer authors");
  gst_element_class_add_static_pad_template (element_class, &sink_template);
  gst_element_class_add_static_pad_template (element_class, &src_template);
  gst_city_guessr_outputs_add_templates (element_class);

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
