/* What the tests of the element share: an element over the null engine (no arithmetic, and answers
 * that tell the pictures of their window apart) in a harness, with a bus.
 *
 * The model is "generated:tiny:1": 8 samples to a window. The pictures are numbered: every byte of
 * frame i is i.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <gst/check/gstcheck.h>
#include <gst/check/gstharness.h>

#include "system-plugins.h"

#define MODEL "generated:tiny:1"
#define FRAMES 8
#define FPS 25
#define FRAME_TIME (GST_SECOND / FPS)
#define CAPS "video/x-raw,format=RGB,width=16,height=16,framerate=25/1"
#define SIZE (16 * 16 * 3)
#define SECONDS_TO_US 1000000

/* What the element says to the user; GStreamer itself posts state changes and the like. */
#define TOLD                                                                         \
  (GST_MESSAGE_ELEMENT | GST_MESSAGE_WARNING | GST_MESSAGE_ERROR | GST_MESSAGE_QOS | \
   GST_MESSAGE_INFO)

/* ---- an element and what goes in ---- */

typedef struct {
  GstHarness *harness;
  GstElement *element;
  GstBus *bus;
  GstMessage *answer_at_eos;
} Fixture;

/** element_new: (transfer full): its engine takes @delay_us for a batch. */
GstElement *element_new (guint delay_us);

/** fixture_start: starts @element (transfer full) in @mode, with an interval of 5 frames: a window
 * spans the frames 0 … 35. Waits until its engine is there. fixture_begin: does not wait. */
void fixture_start (Fixture *fixture, GstElement *element, const gchar *mode);
void fixture_begin (Fixture *fixture, GstElement *element, const gchar *mode);

/** fixture_clear: stops it, and checks that nobody else holds it. */
void fixture_clear (Fixture *fixture);

/** picture_new: frame @i, with its time. */
GstBuffer *picture_new (guint i);

/** push, push_event: frames in a row; an event. They have to be taken. */
void push (Fixture *fixture, guint begin, guint n);
void push_event (Fixture *fixture, GstEvent *event);

/* ---- waiting ---- */

/** WAIT_SECONDS: the patience of every wait. What takes longer is a hang. */
#define WAIT_SECONDS 30

/** wait_until: whether @condition of @data becomes TRUE in time. */
gboolean wait_until (gboolean (*condition) (gpointer data), gpointer data);

/** wait_for_engine: until the engine of @element is there. */
void wait_for_engine (GstElement *element);

/** wait_for_total: until the number @field of "stats" is at least @least. */
void wait_for_total (Fixture *fixture, const gchar *field, guint64 least);

/** thread_count: of this process. wait_for_threads: until it is no more than @most: a thread that was joined
 * may still be there, and a load that was given up goes on for a while. */
guint thread_count (void);
void wait_for_threads (guint most);

/* ---- what comes out ---- */

/** next_message: the next one of @type, or NULL; others before it are dropped. */
GstMessage *next_message (Fixture *fixture, GstMessageType type);

/** next_answer: the structure (transfer full) of the answer that is next among what is TOLD, where
 * it has to be. */
GstStructure *next_answer (Fixture *fixture);
void assert_no_message (Fixture *fixture, GstMessageType type);

/** expect_told: the next among what is TOLD is of @type, GST_MESSAGE_WARNING or GST_MESSAGE_ERROR, and says @text. */
void expect_told (Fixture *fixture, GstMessageType type, const gchar *text);

/** take_answers: all answers on the bus, one a line, without the time they took. (transfer full) */
gchar *take_answers (GstBus *bus);

/** get_uint64: a field that has to be there. total: the same of the property "stats". */
guint64 get_uint64 (const GstStructure *structure, const gchar *field);
guint64 total (Fixture *fixture, const gchar *field);

/** assert_frames: the answer is the one for these very frames, [FRAMES], bit for bit. */
void assert_frames (const GstStructure *structure, const guint *frames);

/** assert_window: it is the answer (transfer full) for the frames @step apart from @begin on, with
 * its times in a plain segment. */
void assert_window (GstStructure *structure, guint begin, guint step);

/** meta_of: the fields that ride on @buffer, or NULL. */
const GstStructure *meta_of (GstBuffer *buffer);

/* ---- the tests of the other files ---- */

void add_live_tests (Suite *suite);     /* test-cityguessr-live.c */
void add_settings_tests (Suite *suite); /* test-cityguessr-settings.c */
