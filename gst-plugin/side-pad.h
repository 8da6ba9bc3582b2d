/* A source pad beside the video: it has a task and a queue of its own, so that who says something on it never waits for
 * who reads it. The task negotiates, pushes and tells of failures; it holds no lock while it does.
 *
 * Each item that lasts is followed by a GAP of no length at its end.
 *
 * What nobody reads is dropped quietly: while the pad is not linked (a peer that comes later gets the sticky events,
 * and a GAP with which a sink can preroll), and after the peer has returned EOS. If a peer keeps the task and more
 * than some thousand items wait, the oldest are dropped, with one WARNING.
 *
 * Any thread, unless it says otherwise.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <gst/gst.h>

G_BEGIN_DECLS

/** GST_TYPE_CITY_GUESSR_SIDE_PAD: the type of the pad. */
#define GST_TYPE_CITY_GUESSR_SIDE_PAD (gst_city_guessr_side_pad_get_type ())
G_DECLARE_FINAL_TYPE (GstCityGuessrSidePad, gst_city_guessr_side_pad, GST, CITY_GUESSR_SIDE_PAD,
                      GstPad)

/** GST_CITY_GUESSR_SIDE_PAD_MAX_QUEUED: so many items may wait. */
#define GST_CITY_GUESSR_SIDE_PAD_MAX_QUEUED 4096

/** gst_city_guessr_side_pad_new: @templ: names the pad; of its caps, the peer's first choice is
 * taken, its own first choice if the peer has none.
 * Returns: (transfer floating). Inactive: it takes nothing until it is activated. */
GstCityGuessrSidePad *gst_city_guessr_side_pad_new (GstPadTemplate *templ);

/** gst_city_guessr_side_pad_close: deactivates it for good, before it is removed from its element.
 * If its element activates it all the same, because just then it starts, that is without effect. */
void gst_city_guessr_side_pad_close (GstCityGuessrSidePad *self);

/** gst_city_guessr_side_pad_is_blank: whether it is active and was given no STREAM_START since: until then it takes
 * nothing else. */
gboolean gst_city_guessr_side_pad_is_blank (GstCityGuessrSidePad *self);

/** gst_city_guessr_side_pad_push_event: queues @event (transfer full), serialised and not CAPS.
 * A GAP that begins where the one before it ended makes one with it. Neither blocks nor fails. */
void gst_city_guessr_side_pad_push_event (GstCityGuessrSidePad *self, GstEvent *event);

/** gst_city_guessr_side_pad_push_stream_start: queues a STREAM_START of the pad's own, in the group of the @video's
 * (STREAM_START, borrowed). @name: of the stream beside that, as in "video-id/name" */
void gst_city_guessr_side_pad_push_stream_start (GstCityGuessrSidePad *self, GstEvent *video,
                                                 const gchar *name);

/** gst_city_guessr_side_pad_push_text: queues a buffer. Neither blocks nor fails.
 * @pts: valid; @duration: may be GST_CLOCK_TIME_NONE
 * @plain: its bytes, borrowed
 * @markup: the bytes if "pango-markup" is what was negotiated, borrowed; or NULL: @plain */
void gst_city_guessr_side_pad_push_text (GstCityGuessrSidePad *self, GstClockTime pts,
                                         GstClockTime duration, GBytes *plain, GBytes *markup);

/** gst_city_guessr_side_pad_begin_flush, _end_flush: what waits is thrown away, and @event
 * (FLUSH_START, FLUSH_STOP; borrowed) goes to the peer at once. Between the two nothing is taken;
 * after them the stream begins anew with a SEGMENT. */
void gst_city_guessr_side_pad_begin_flush (GstCityGuessrSidePad *self, GstEvent *event);
void gst_city_guessr_side_pad_end_flush (GstCityGuessrSidePad *self, GstEvent *event);

/** gst_city_guessr_side_pad_get_flow: GST_FLOW_NOT_NEGOTIATED or GST_FLOW_ERROR once the peer
 * failed, which is on the bus as an ERROR then, until a flush or the next activation; else
 * GST_FLOW_OK. */
GstFlowReturn gst_city_guessr_side_pad_get_flow (GstCityGuessrSidePad *self);

/** gst_city_guessr_side_pad_tell: posts the WARNING that something was dropped, if it is due; so
 * pushing itself posts nothing. Not with a lock held. */
void gst_city_guessr_side_pad_tell (GstCityGuessrSidePad *self);

G_END_DECLS
