/* The request pads "text_src" (captions) and "json_src" (answers as JSON lines): what is said on them and when.
 * Each pad has a task and a queue of its own (side-pad.h), so that neither video nor the answering thread ever waits
 * for who reads them.
 *
 * Both are streams of their own in the video's group, timed by the video's PTS, and end with it.
 *
 *   captions  With the first frame, and then whenever the video comes to the end of what is said, the next `step` is said:
 *             a buffer (PTS, duration) if the newest answer has a caption, else a GAP. So there is always something for
 *             a reader that waits (textoverlay, a muxer), and each caption lasts until it is replaced, forgotten, or the
 *             end. An answer that is given before a frame counts at this frame, so a file gives the same captions every
 *             time. Timed by windows instead: one buffer for each run of equal captions, over the windows' own time, when
 *             that is known to its end; no GAPs but one at the start of a segment, and so nothing for who waits.
 *   JSON      A buffer for each answer, without duration, at the position of the video when it was given; in the steps of
 *             the captions, GAPs tell how far time has come.
 *
 * While video runs backwards, nothing is said but one GAP. Where its PTS jumps back by more than a step within a segment,
 * so do the pads' times. Live, the answer to a window of before a break, or before this
 * segment, may come late: then it is no caption.
 *
 * A reader that interleaves by the pad, as qtmux does, needs a queue on the video, like any stream it muxes.
 *
 * Calls marked "streaming" come from the streaming thread, the rest from any thread.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <gst/gst.h>

#include "caption.h"

G_BEGIN_DECLS

/** The names of the pads and of their templates. */
#define GST_CITY_GUESSR_TEXT_PAD "text_src"
#define GST_CITY_GUESSR_JSON_PAD "json_src"

/** GstCityGuessrCaptionTiming: see the property "caption-timing". */
typedef enum {
  GST_CITY_GUESSR_CAPTION_VIDEO,
  GST_CITY_GUESSR_CAPTION_WINDOW
} GstCityGuessrCaptionTiming;

typedef struct _GstCityGuessrOutputs GstCityGuessrOutputs;

/** gst_city_guessr_outputs_new: @element: not referenced, outlives this.
 * Returns: (transfer full): gst_city_guessr_outputs_free(), when the pads are released. */
GstCityGuessrOutputs *gst_city_guessr_outputs_new (GstElement *element);
void gst_city_guessr_outputs_free (GstCityGuessrOutputs *outputs);

/** gst_city_guessr_outputs_add_templates: in class_init. */
void gst_city_guessr_outputs_add_templates (GstElementClass *klass);

/** gst_city_guessr_outputs_request_pad, _release_pad: as GstElementClass's functions, in any state and from any thread, a
 * task of the pads included; each pad once. One that is requested in the middle hears what it has missed of the stream's
 * events. */
GstPad *gst_city_guessr_outputs_request_pad (GstCityGuessrOutputs *outputs, GstPadTemplate *templ,
                                             const gchar *name);
void gst_city_guessr_outputs_release_pad (GstCityGuessrOutputs *outputs, GstPad *pad);

/** gst_city_guessr_outputs_set_caption: takes @caption over (transfer full); heeded from the next caption on. */
void gst_city_guessr_outputs_set_caption (GstCityGuessrOutputs *outputs,
                                          GstCityGuessrCaption *caption);
void gst_city_guessr_outputs_set_caption_timing (GstCityGuessrOutputs *outputs,
                                                 GstCityGuessrCaptionTiming timing);

/** gst_city_guessr_outputs_start, _stop: in READY->PAUSED (before any event) and PAUSED->READY (no other call is
 * under way).
 * @step: from caption to caption, ns, at least 1 */
void gst_city_guessr_outputs_start (GstCityGuessrOutputs *outputs, GstClockTime step);
void gst_city_guessr_outputs_stop (GstCityGuessrOutputs *outputs);

/** gst_city_guessr_outputs_event: streaming (FLUSH_START: any thread): @event (borrowed) came on the sink pad and is
 * about to go on. Heeds STREAM_START, SEGMENT, GAP, EOS, SEGMENT_DONE, FLUSH_START and FLUSH_STOP. */
void gst_city_guessr_outputs_event (GstCityGuessrOutputs *outputs, GstEvent *event);

/** gst_city_guessr_outputs_advance: streaming: video has come to a frame that is about to go on; answers that it
 * completed have been given. @pts: valid, in the segment */
void gst_city_guessr_outputs_advance (GstCityGuessrOutputs *outputs, GstClockTime pts);

/** gst_city_guessr_outputs_begin: streaming: a frame is about to go on whose time says nothing. A sink that prerolls with
 * the first one of a segment can do so on the pads, too. */
void gst_city_guessr_outputs_begin (GstCityGuessrOutputs *outputs);

/** gst_city_guessr_outputs_answer: the newest answer: a structure as in report.h, borrowed. Posts and calls nothing, so
 * it may be called with a lock held that no call here waits for. */
void gst_city_guessr_outputs_answer (GstCityGuessrOutputs *outputs, const GstStructure *answer);

/** gst_city_guessr_outputs_forget: streaming: what was said no longer holds (a discontinuity): the caption ends. */
void gst_city_guessr_outputs_forget (GstCityGuessrOutputs *outputs);

/** gst_city_guessr_outputs_get_flow: the worst flow return of the pads: GST_FLOW_ERROR or
 * GST_FLOW_NOT_NEGOTIATED if one failed (and said so on the bus), else GST_FLOW_OK. */
GstFlowReturn gst_city_guessr_outputs_get_flow (GstCityGuessrOutputs *outputs);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (GstCityGuessrOutputs, gst_city_guessr_outputs_free)

G_END_DECLS
