/* What is said on the request pads, and when: see outputs.h.
 *
 * Time on both pads is the video's PTS. A grid divides it into steps, from the first frame on, or from the first after
 * what was said was forgotten, so that it is the grid of the samples. A frame that reaches its next point ("due") has
 * the captions cover the time to the point after that, with a caption or a GAP, and the JSON pad hear that time has
 * come so far. The answer that a frame completes is given before the frame comes, so its caption begins here.
 *
 * The lock guards everything but what stands before it. The pads' own locks are below it; nothing that could come back
 * here is called with it held.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "outputs.h"

#include "answer-json.h"
#include "caption-text.h"
#include "report.h"
#include "side-pad.h"

/* A frame may be that much early for a point, at most an eighth of a step: as with the samples (sampler.h), and so
 * that rounding to running time in textoverlay cannot have it wait for a caption that is not due yet. */
#define TOLERANCE GST_MSECOND

/* A GAP that is longer is taken for one that does not know its end. */
#define LONGEST_GAP (24 * 60 * 60 * GST_SECOND)

/* A caption from @start to @end at most. */
typedef struct {
  GstCityGuessrCaptionText text;
  GstClockTime start, end;
} Cue;

struct _GstCityGuessrOutputs {
  GstElement *element;

  GMutex lock;
  GstCityGuessrSidePad *text, *json; /* NULL unless requested */
  GstCityGuessrCaption *caption;
  GstCityGuessrCaptionTiming timing;
  gboolean started;
  GstClockTime step;

  /* the stream, as a pad that comes later has to hear it */
  GstEvent *stream_start, *segment_event, *eos;
  GstSegment segment;

  /* the answer in force, and its text once it is asked for */
  GstStructure *answer;
  gboolean formatted;
  GstCityGuessrCaptionText said;

  /* PTS, or NONE at the beginning of a segment */
  GstClockTime position; /* the newest frame */
  GstClockTime origin;   /* of the grid */
  GstClockTime due;      /* the grid's next point */
  GstClockTime text_end; /* so far captions are said */
  GstClockTime json_end; /* so far JSON is */
  gboolean begun;        /* a frame of the segment has passed */

  Cue pending;       /* timing by windows: waits to be known to its end */
  GQueue early_json; /* of GBytes: answers before the first frame */
};

static GstStaticPadTemplate text_template = GST_STATIC_PAD_TEMPLATE (
    GST_CITY_GUESSR_TEXT_PAD, GST_PAD_SRC, GST_PAD_REQUEST,
    GST_STATIC_CAPS ("text/x-raw, format = (string) { utf8, pango-markup }"));
static GstStaticPadTemplate json_template = GST_STATIC_PAD_TEMPLATE (
    GST_CITY_GUESSR_JSON_PAD, GST_PAD_SRC, GST_PAD_REQUEST, GST_STATIC_CAPS ("application/x-json"));

/* ---- all below: with the lock held, unless it says otherwise ---- */

static void
forget_answer (GstCityGuessrOutputs *outputs)
{
  g_clear_pointer (&outputs->answer, gst_structure_free);
  gst_city_guessr_caption_text_clear (&outputs->said);
  outputs->formatted = FALSE;
}

/* What the answer in force says: owned by @outputs. */
static const GstCityGuessrCaptionText *
get_said (GstCityGuessrOutputs *outputs)
{
  if (outputs->formatted || outputs->answer == NULL || outputs->caption == NULL)
    return &outputs->said;
  gst_city_guessr_caption_text_clear (&outputs->said);
  outputs->formatted = TRUE;
  outputs->said = gst_city_guessr_caption_text_new (outputs->caption, outputs->answer);
  return &outputs->said;
}

static gboolean
runs_forwards (const GstCityGuessrOutputs *outputs)
{
  return outputs->segment_event && outputs->segment.rate > 0;
}

/* Cuts [@start, @end) to the segment. Returns whether anything is left. */
static gboolean
clip (const GstCityGuessrOutputs *outputs, GstClockTime *start, GstClockTime *end)
{
  const GstSegment *segment = &outputs->segment;

  if (segment->format == GST_FORMAT_TIME) {
    *start = MAX (*start, segment->start);
    *end = MIN (*end, segment->stop); /* NONE is the greatest */
  }
  return *start < *end;
}

static void
push_gap (GstCityGuessrSidePad *pad, GstClockTime start, GstClockTime duration)
{
  if (pad)
    gst_city_guessr_side_pad_push_event (pad, gst_event_new_gap (start, duration));
}

/* Says @text over [@start, @end). */
static void
say (GstCityGuessrOutputs *outputs, const GstCityGuessrCaptionText *text, GstClockTime start,
     GstClockTime end)
{
  if (outputs->text == NULL || !clip (outputs, &start, &end))
    return;
  if (text->plain)
    gst_city_guessr_side_pad_push_text (outputs->text, start, end - start, text->plain,
                                        text->markup);
  else
    push_gap (outputs->text, start, end - start);
}

/* ---- captions timed by windows ---- */

/* The pending cue ends at @end, or before. */
static void
close_cue (GstCityGuessrOutputs *outputs, GstClockTime end)
{
  Cue *cue = &outputs->pending;

  end = MIN (end, cue->end);
  if (cue->text.plain && cue->start < end) {
    say (outputs, &cue->text, cue->start, end);
    outputs->text_end = end;
  }
  gst_city_guessr_caption_text_clear (&cue->text);
}

/* Whether its window lies in this segment. Live, the answer to an older one may come late; then its
 * times say nothing here. */
static gboolean
is_of_segment (const GstCityGuessrOutputs *outputs, const GstStructure *answer)
{
  guint64 start, said;
  GstClockTime stream_time, running_time;

  if (outputs->segment_event == NULL)
    return FALSE;
  if (!gst_structure_get_uint64 (answer, "timestamp", &start) ||
      !gst_structure_get_uint64 (answer, "running-time", &said))
    return TRUE;
  gst_city_guessr_report_times (&outputs->segment, start, &stream_time, &running_time);
  return running_time == said;
}

/* Whether its window is of the stretch that goes on now, not of one that was forgotten since. */
static gboolean
is_of_stretch (const GstCityGuessrOutputs *outputs, const GstStructure *answer)
{
  guint64 start;

  if (!GST_CLOCK_TIME_IS_VALID (outputs->origin))
    return !GST_CLOCK_TIME_IS_VALID (outputs->due);
  return !gst_structure_get_uint64 (answer, "timestamp", &start) || start >= outputs->origin;
}

/* The answer in force is new: it ends the pending cue, or goes on with it. */
static void
take_cue (GstCityGuessrOutputs *outputs)
{
  const GstCityGuessrCaptionText *text = get_said (outputs);
  guint64 start = GST_CLOCK_TIME_NONE, duration = GST_CLOCK_TIME_NONE, end;
  Cue *cue = &outputs->pending;

  gst_structure_get_uint64 (outputs->answer, "timestamp", &start);
  gst_structure_get_uint64 (outputs->answer, "duration", &duration);
  if (!GST_CLOCK_TIME_IS_VALID (start) || !GST_CLOCK_TIME_IS_VALID (duration))
    return;
  end = start + duration;
  if (cue->text.plain && start <= cue->end &&
      gst_city_guessr_caption_text_equal (text, &cue->text)) {
    cue->end = MAX (cue->end, end);
    return;
  }
  close_cue (outputs, start);
  if (GST_CLOCK_TIME_IS_VALID (outputs->text_end))
    start = MAX (start, outputs->text_end);
  *cue = (Cue){ gst_city_guessr_caption_text_ref (text), start, end };
}

/* ---- JSON ---- */

/* Neither before the segment's start nor before what was said, nor at the segment's stop, where a sink drops it. */
static GstClockTime
json_time (const GstCityGuessrOutputs *outputs, GstClockTime pts)
{
  const GstSegment *segment = &outputs->segment;

  if (GST_CLOCK_TIME_IS_VALID (outputs->json_end))
    pts = MAX (pts, outputs->json_end);
  if (segment->format != GST_FORMAT_TIME)
    return pts;
  pts = MAX (pts, segment->start);
  return segment->stop > segment->start ? MIN (pts, segment->stop - 1) : pts;
}

/* @line: an answer given now. */
static void
say_json (GstCityGuessrOutputs *outputs, GBytes *line)
{
  outputs->json_end = json_time (outputs, outputs->position);
  if (outputs->json)
    gst_city_guessr_side_pad_push_text (outputs->json, outputs->json_end, GST_CLOCK_TIME_NONE, line,
                                        NULL);
}

static void
say_early_json (GstCityGuessrOutputs *outputs)
{
  GBytes *line;

  while ((line = g_queue_pop_head (&outputs->early_json))) {
    say_json (outputs, line);
    g_bytes_unref (line);
  }
}

static void
clear_early_json (GstCityGuessrOutputs *outputs)
{
  g_queue_clear_full (&outputs->early_json, (GDestroyNotify)g_bytes_unref);
}

/* ---- the passing of time ---- */

static void
forget_times (GstCityGuessrOutputs *outputs)
{
  outputs->position = outputs->origin = outputs->due = GST_CLOCK_TIME_NONE;
  outputs->text_end = outputs->json_end = GST_CLOCK_TIME_NONE;
}

/* Whether the video has jumped back to @pts. By less than a step it runs on, as with frames out of order. */
static gboolean
jumps_back (const GstCityGuessrOutputs *outputs, GstClockTime pts)
{
  return GST_CLOCK_TIME_IS_VALID (outputs->position) && pts < outputs->position &&
         outputs->position - pts > outputs->step;
}

/* The grid's first point after @time, which is not before the origin. */
static GstClockTime
next_point (const GstCityGuessrOutputs *outputs, GstClockTime time)
{
  return outputs->origin + ((time - outputs->origin) / outputs->step + 1) * outputs->step;
}

/* The JSON pad hears that time has come to @pts. */
static void
pass_json_time (GstCityGuessrOutputs *outputs, GstClockTime pts)
{
  GstClockTime end = json_time (outputs, pts);
  GstClockTime start = GST_CLOCK_TIME_IS_VALID (outputs->json_end) ? outputs->json_end : end;

  outputs->json_end = end;
  push_gap (outputs->json, start, end - start);
}

/* Time has come to @pts, and up to @end (the same, but for a GAP) there is no other frame. */
static void
reach (GstCityGuessrOutputs *outputs, GstClockTime pts, GstClockTime end)
{
  const GstClockTime early = pts + MIN (TOLERANCE, outputs->step / 8);
  GstClockTime start;
  gboolean first;

  if (!runs_forwards (outputs))
    return;
  if (jumps_back (outputs, pts))
    forget_times (outputs);
  first = !GST_CLOCK_TIME_IS_VALID (outputs->due);
  start = first ? pts : outputs->due;
  outputs->begun = TRUE;
  if (!GST_CLOCK_TIME_IS_VALID (outputs->origin))
    outputs->origin = pts;
  outputs->position = pts;
  if (first)
    say_early_json (outputs);
  outputs->position = end;
  if (!first && early < outputs->due && end <= outputs->due)
    return;

  outputs->due = next_point (outputs, MAX (start, end > pts ? MAX (early, end - 1) : early));
  pass_json_time (outputs, end);
  if (GST_CLOCK_TIME_IS_VALID (outputs->text_end))
    start = MAX (start, outputs->text_end);
  if (outputs->timing == GST_CITY_GUESSR_CAPTION_VIDEO) {
    say (outputs, get_said (outputs), start, outputs->due);
    outputs->text_end = MAX (start, outputs->due);
  } else if (first) {
    push_gap (outputs->text, MAX (start, outputs->segment.start), 0);
  }
}

static void
begin_segment (GstCityGuessrOutputs *outputs, GstEvent *event)
{
  gst_event_replace (&outputs->segment_event, event);
  gst_event_copy_segment (event, &outputs->segment);
  gst_clear_event (&outputs->eos);
  outputs->begun = FALSE;
  forget_times (outputs);
}

/* ---- what a pad hears ---- */

static void
push_event (GstCityGuessrSidePad *pad, GstEvent *event)
{
  if (pad && event)
    gst_city_guessr_side_pad_push_event (pad, gst_event_ref (event));
}

static void
push_stream_start (GstCityGuessrSidePad *pad, GstEvent *video, const gchar *name)
{
  if (pad && video)
    gst_city_guessr_side_pad_push_stream_start (pad, video, name);
}

/* Nothing is said while video runs backwards; this lets a sink preroll. */
static void
push_backwards_gap (GstCityGuessrOutputs *outputs, GstCityGuessrSidePad *pad)
{
  const GstSegment *segment = &outputs->segment;

  if (outputs->segment_event && segment->rate < 0 && segment->format == GST_FORMAT_TIME)
    push_gap (pad, segment->start,
              GST_CLOCK_TIME_IS_VALID (segment->stop) ? segment->stop - segment->start
                                                      : GST_CLOCK_TIME_NONE);
}

/* There is nothing to say yet; this lets a sink preroll, as the video's does. */
static void
push_first_gap (GstCityGuessrOutputs *outputs, GstCityGuessrSidePad *pad)
{
  if (runs_forwards (outputs) && outputs->segment.format == GST_FORMAT_TIME)
    push_gap (pad, outputs->segment.start, 0);
}

static void
push_to_both (GstCityGuessrOutputs *outputs, GstEvent *event)
{
  push_event (outputs->text, event);
  push_event (outputs->json, event);
}

/* A pad that was requested in the middle: the text's first caption ends where it would have. */
static void
catch_up (GstCityGuessrOutputs *outputs, GstCityGuessrSidePad *pad)
{
  GstClockTime position = outputs->position, end = outputs->text_end;

  push_stream_start (pad, outputs->stream_start, pad == outputs->text ? "text" : "json");
  push_event (pad, outputs->segment_event);
  push_backwards_gap (outputs, pad);
  if (GST_CLOCK_TIME_IS_VALID (position)) {
    if (pad == outputs->json)
      push_gap (pad, json_time (outputs, position), 0);
    else if (outputs->timing == GST_CITY_GUESSR_CAPTION_VIDEO && GST_CLOCK_TIME_IS_VALID (end) &&
             position < end)
      say (outputs, get_said (outputs), position, end);
    else
      push_gap (pad, MAX (position, outputs->segment.start), 0);
  } else if (outputs->begun) {
    push_first_gap (outputs, pad);
  }
  push_event (pad, outputs->eos);
}

/* ---- events ---- */

/* The end of a stretch: what waits is said, if there is a time at which it can be. */
static void
finish (GstCityGuessrOutputs *outputs)
{
  close_cue (outputs, GST_CLOCK_TIME_NONE);
  if (outputs->segment_event == NULL)
    return;
  if (!GST_CLOCK_TIME_IS_VALID (outputs->position))
    outputs->position = 0; /* json_time() makes it the segment's start */
  say_early_json (outputs);
}

static gboolean
is_same_stream (GstEvent *a, GstEvent *b)
{
  const gchar *a_id, *b_id;
  guint a_group = 0, b_group = 0;

  if (a == NULL)
    return FALSE;
  gst_event_parse_stream_start (a, &a_id);
  gst_event_parse_stream_start (b, &b_id);
  gst_event_parse_group_id (a, &a_group);
  gst_event_parse_group_id (b, &b_group);
  return g_str_equal (a_id, b_id) && a_group == b_group;
}

static void
forget_segment (GstCityGuessrOutputs *outputs)
{
  gst_clear_event (&outputs->segment_event);
  gst_clear_event (&outputs->eos);
  gst_segment_init (&outputs->segment, GST_FORMAT_UNDEFINED);
  outputs->begun = FALSE;
  forget_times (outputs);
}

static void
take_stream_start (GstCityGuessrOutputs *outputs, GstEvent *event)
{
  /* The same one again, as when it is sent anew to a new neighbour, changes nothing. */
  if (outputs->eos == NULL && is_same_stream (outputs->stream_start, event))
    return;
  finish (outputs);
  forget_answer (outputs);
  forget_segment (outputs);
  gst_event_replace (&outputs->stream_start, event);
  push_stream_start (outputs->text, event, "text");
  push_stream_start (outputs->json, event, "json");
}

static void
take_segment (GstCityGuessrOutputs *outputs, GstEvent *event)
{
  const GstSegment *segment;

  gst_event_parse_segment (event, &segment);
  if (outputs->segment_event && outputs->eos == NULL &&
      gst_segment_is_equal (segment, &outputs->segment))
    return;
  finish (outputs);
  begin_segment (outputs, event);
  push_to_both (outputs, event);
  push_backwards_gap (outputs, outputs->text);
  push_backwards_gap (outputs, outputs->json);
}

static void
take_gap (GstCityGuessrOutputs *outputs, GstEvent *event)
{
  GstClockTime pts, duration;

  gst_event_parse_gap (event, &pts, &duration);
  if (duration > LONGEST_GAP) /* or NONE, the greatest */
    duration = 0;
  if (GST_CLOCK_TIME_IS_VALID (pts))
    reach (outputs, pts, pts + MIN (duration, GST_CLOCK_TIME_NONE - 1 - pts));
}

static void
take_end (GstCityGuessrOutputs *outputs, GstEvent *event)
{
  finish (outputs);
  if (GST_EVENT_TYPE (event) == GST_EVENT_EOS)
    gst_event_replace (&outputs->eos, event);
  push_to_both (outputs, event);
}

static void
take_flush_stop (GstCityGuessrOutputs *outputs)
{
  gst_city_guessr_caption_text_clear (&outputs->pending.text);
  clear_early_json (outputs);
  forget_answer (outputs);
  forget_segment (outputs);
}

/* ---- without the lock ---- */

static void
begin_flush (GstCityGuessrOutputs *outputs, GstCityGuessrSidePad *pad, gpointer event)
{
  gst_city_guessr_side_pad_begin_flush (pad, event);
}

static void
end_flush (GstCityGuessrOutputs *outputs, GstCityGuessrSidePad *pad, gpointer event)
{
  gst_city_guessr_side_pad_end_flush (pad, event);
}

/* What pushing left to be told. */
static void
tell (GstCityGuessrOutputs *outputs, GstCityGuessrSidePad *pad, gpointer unused)
{
  gst_city_guessr_side_pad_tell (pad);
}

/* The pad is active between start and stop. Either may come while it is requested, and what it had heard until then is
 * lost. */
static void
settle_activity (GstCityGuessrOutputs *outputs, GstCityGuessrSidePad *pad, gpointer unused)
{
  gboolean started, settled = FALSE;

  while (!settled) {
    g_mutex_lock (&outputs->lock);
    started = outputs->started;
    g_mutex_unlock (&outputs->lock);
    gst_pad_set_active (GST_PAD (pad), started);
    g_mutex_lock (&outputs->lock);
    settled = started == outputs->started;
    if (settled && gst_city_guessr_side_pad_is_blank (pad))
      catch_up (outputs, pad);
    g_mutex_unlock (&outputs->lock);
  }
}

typedef void (*PadFunction) (GstCityGuessrOutputs *outputs, GstCityGuessrSidePad *pad,
                             gpointer data);

static void
for_each_pad (GstCityGuessrOutputs *outputs, PadFunction function, gpointer data)
{
  GstCityGuessrSidePad *pads[2];

  g_mutex_lock (&outputs->lock);
  pads[0] = outputs->text ? gst_object_ref (outputs->text) : NULL;
  pads[1] = outputs->json ? gst_object_ref (outputs->json) : NULL;
  g_mutex_unlock (&outputs->lock);
  for (guint i = 0; i < G_N_ELEMENTS (pads); i++) {
    if (pads[i])
      function (outputs, pads[i], data);
    gst_clear_object (&pads[i]);
  }
}

void
gst_city_guessr_outputs_event (GstCityGuessrOutputs *outputs, GstEvent *event)
{
  if (GST_EVENT_TYPE (event) == GST_EVENT_FLUSH_START) {
    for_each_pad (outputs, begin_flush, event);
    return;
  }
  g_mutex_lock (&outputs->lock);
  switch (GST_EVENT_TYPE (event)) {
  case GST_EVENT_STREAM_START:
    take_stream_start (outputs, event);
    break;
  case GST_EVENT_SEGMENT:
    take_segment (outputs, event);
    break;
  case GST_EVENT_GAP:
    take_gap (outputs, event);
    break;
  case GST_EVENT_EOS:
  case GST_EVENT_SEGMENT_DONE:
    take_end (outputs, event);
    break;
  case GST_EVENT_FLUSH_STOP:
    take_flush_stop (outputs);
    break;
  default:
    break;
  }
  g_mutex_unlock (&outputs->lock);
  if (GST_EVENT_TYPE (event) == GST_EVENT_FLUSH_STOP)
    for_each_pad (outputs, end_flush, event);
  for_each_pad (outputs, tell, NULL);
}

void
gst_city_guessr_outputs_advance (GstCityGuessrOutputs *outputs, GstClockTime pts)
{
  g_mutex_lock (&outputs->lock);
  reach (outputs, pts, pts);
  g_mutex_unlock (&outputs->lock);
  for_each_pad (outputs, tell, NULL);
}

void
gst_city_guessr_outputs_begin (GstCityGuessrOutputs *outputs)
{
  g_mutex_lock (&outputs->lock);
  if (!outputs->begun) {
    push_first_gap (outputs, outputs->text);
    push_first_gap (outputs, outputs->json);
    outputs->begun = TRUE;
  }
  g_mutex_unlock (&outputs->lock);
  for_each_pad (outputs, tell, NULL);
}

/* @answer: said at once. */
static void
take_json (GstCityGuessrOutputs *outputs, const GstStructure *answer)
{
  gchar *json = gst_city_guessr_answer_to_json (answer);
  GBytes *line = g_bytes_new_take (json, strlen (json));

  if (!GST_CLOCK_TIME_IS_VALID (outputs->position)) {
    g_queue_push_tail (&outputs->early_json, line);
    return;
  }
  say_json (outputs, line);
  g_bytes_unref (line);
}

/* @answer: the one in force from now on. */
static void
take_caption (GstCityGuessrOutputs *outputs, const GstStructure *answer)
{
  const gboolean by_window = outputs->timing == GST_CITY_GUESSR_CAPTION_WINDOW;

  if (!is_of_segment (outputs, answer) || (!by_window && !is_of_stretch (outputs, answer)))
    return;
  forget_answer (outputs);
  outputs->answer = gst_structure_copy (answer);
  if (by_window && outputs->text)
    take_cue (outputs);
}

void
gst_city_guessr_outputs_answer (GstCityGuessrOutputs *outputs, const GstStructure *answer)
{
  g_mutex_lock (&outputs->lock);
  if (outputs->json)
    take_json (outputs, answer);
  take_caption (outputs, answer);
  g_mutex_unlock (&outputs->lock);
}

void
gst_city_guessr_outputs_forget (GstCityGuessrOutputs *outputs)
{
  g_mutex_lock (&outputs->lock);
  close_cue (outputs, GST_CLOCK_TIME_NONE);
  forget_answer (outputs);
  outputs->origin = GST_CLOCK_TIME_NONE;
  g_mutex_unlock (&outputs->lock);
  for_each_pad (outputs, tell, NULL);
}

GstFlowReturn
gst_city_guessr_outputs_get_flow (GstCityGuessrOutputs *outputs)
{
  GstFlowReturn flow = GST_FLOW_OK;

  g_mutex_lock (&outputs->lock);
  if (outputs->text)
    flow = gst_city_guessr_side_pad_get_flow (outputs->text);
  if (outputs->json)
    flow = MIN (flow, gst_city_guessr_side_pad_get_flow (outputs->json));
  g_mutex_unlock (&outputs->lock);
  return flow;
}

/* ---- pads ---- */

void
gst_city_guessr_outputs_add_templates (GstElementClass *klass)
{
  gst_element_class_add_static_pad_template (klass, &text_template);
  gst_element_class_add_static_pad_template (klass, &json_template);
}

/* Where the pad of that template stands, or NULL. */
static GstCityGuessrSidePad **
slot_of (GstCityGuessrOutputs *outputs, const gchar *name)
{
  if (g_strcmp0 (name, GST_CITY_GUESSR_TEXT_PAD) == 0)
    return &outputs->text;
  if (g_strcmp0 (name, GST_CITY_GUESSR_JSON_PAD) == 0)
    return &outputs->json;
  return NULL;
}

GstPad *
gst_city_guessr_outputs_request_pad (GstCityGuessrOutputs *outputs, GstPadTemplate *templ,
                                     const gchar *name)
{
  GstCityGuessrSidePad **slot = slot_of (outputs, GST_PAD_TEMPLATE_NAME_TEMPLATE (templ));
  GstCityGuessrSidePad *pad;
  gboolean taken;

  if (slot == NULL)
    return NULL;
  pad = gst_object_ref_sink (gst_city_guessr_side_pad_new (templ));
  /* An inactive pad would take nothing, and must not be added to an element that runs. */
  gst_pad_set_active (GST_PAD (pad), TRUE);
  g_mutex_lock (&outputs->lock);
  taken = *slot != NULL;
  if (!taken) {
    *slot = gst_object_ref (pad);
    catch_up (outputs, pad);
  }
  g_mutex_unlock (&outputs->lock);
  if (taken) {
    gst_city_guessr_side_pad_close (pad);
    GST_WARNING_OBJECT (outputs->element, "there is only one pad %s", GST_PAD_NAME (pad));
  } else {
    gst_element_add_pad (outputs->element, GST_PAD (pad));
    settle_activity (outputs, pad, NULL);
  }
  /* The element holds it now, and the slot. */
  gst_object_unref (pad);
  return taken ? NULL : GST_PAD (pad);
}

void
gst_city_guessr_outputs_release_pad (GstCityGuessrOutputs *outputs, GstPad *pad)
{
  GstCityGuessrSidePad *ours = NULL;

  g_mutex_lock (&outputs->lock);
  if (GST_PAD (outputs->text) == pad)
    ours = g_steal_pointer (&outputs->text);
  else if (GST_PAD (outputs->json) == pad)
    ours = g_steal_pointer (&outputs->json);
  g_mutex_unlock (&outputs->lock);
  if (ours == NULL)
    return;
  gst_city_guessr_side_pad_close (ours);
  gst_element_remove_pad (outputs->element, pad);
  gst_object_unref (ours);
}

/* ---- settings ---- */

void
gst_city_guessr_outputs_set_caption (GstCityGuessrOutputs *outputs, GstCityGuessrCaption *caption)
{
  g_mutex_lock (&outputs->lock);
  g_clear_pointer (&outputs->caption, gst_city_guessr_caption_free);
  outputs->caption = caption;
  outputs->formatted = FALSE;
  g_mutex_unlock (&outputs->lock);
}

void
gst_city_guessr_outputs_set_caption_timing (GstCityGuessrOutputs *outputs,
                                            GstCityGuessrCaptionTiming timing)
{
  g_mutex_lock (&outputs->lock);
  close_cue (outputs, GST_CLOCK_TIME_NONE);
  outputs->timing = timing;
  g_mutex_unlock (&outputs->lock);
}

/* ---- life ---- */

static void
reset (GstCityGuessrOutputs *outputs)
{
  gst_clear_event (&outputs->stream_start);
  take_flush_stop (outputs);
}

void
gst_city_guessr_outputs_start (GstCityGuessrOutputs *outputs, GstClockTime step)
{
  g_mutex_lock (&outputs->lock);
  reset (outputs);
  outputs->step = step;
  outputs->started = TRUE;
  g_mutex_unlock (&outputs->lock);
  for_each_pad (outputs, settle_activity, NULL);
}

void
gst_city_guessr_outputs_stop (GstCityGuessrOutputs *outputs)
{
  g_mutex_lock (&outputs->lock);
  outputs->started = FALSE;
  reset (outputs);
  g_mutex_unlock (&outputs->lock);
  for_each_pad (outputs, settle_activity, NULL);
}

GstCityGuessrOutputs *
gst_city_guessr_outputs_new (GstElement *element)
{
  GstCityGuessrOutputs *outputs = g_new0 (GstCityGuessrOutputs, 1);

  outputs->element = element;
  outputs->step = GST_SECOND;
  g_mutex_init (&outputs->lock);
  g_queue_init (&outputs->early_json);
  reset (outputs);
  return outputs;
}

void
gst_city_guessr_outputs_free (GstCityGuessrOutputs *outputs)
{
  reset (outputs);
  gst_clear_object (&outputs->text);
  gst_clear_object (&outputs->json);
  g_clear_pointer (&outputs->caption, gst_city_guessr_caption_free);
  g_mutex_clear (&outputs->lock);
  g_free (outputs);
}
