/* What the tests of the request pads share: an element that owns outputs and passes video through, and a Reader, which
 * is linked to a pad and writes down all that comes, one thing a line:
 *
 *   stream-start ID GROUP sparse | caps NAME FORMAT | segment START RATE | gap START+DURATION | text START+DURATION TEXT
 *   line PTS | segment-done | eos | flush-start | flush-stop
 *
 * with times in milliseconds, and a star for DISCONT. GAPs that touch are written as one, as the pad may join them; the
 * GAP that marks the end of each item is checked, but not written.
 *
 * Most tests tell the outputs of frames and answers themselves. The frames are 40 ms apart, the step from caption to
 * caption is 1 s.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <gst/check/gstcheck.h>

#include "outputs.h"

#define FRAME_MS 40
#define STEP GST_SECOND

/** WAIT_SECONDS: the patience of every wait. What takes longer is a hang. */
#define WAIT_SECONDS 30

/* ---- the element ---- */

typedef struct {
  GstElement parent;
  GstPad *sink, *src;
  GstCityGuessrOutputs *outputs;
  guint frames, answer_every; /* "A", "B", "A", … each so many frames; 0: never */
} TestGuessr;

GType test_guessr_get_type (void);

/** caption_new: (transfer full): from a template that has to be good. answer_new: (transfer full): as report.h has it, in
 * a plain segment; @city: NULL if it is withheld. is_gone: a GWeakNotify that sets a gint. */
GstCityGuessrCaption *caption_new (const gchar *text);
GstStructure *answer_new (const gchar *city, GstClockTime start, GstClockTime duration);
void is_gone (gpointer gone, GObject *object);

/* ---- the reader ---- */

typedef struct {
  GstPad *pad;
  GMutex lock;
  GCond changed;
  GString *log;
  GstClockTime gap_start, gap_end; /* of the gap that is the last line; NONE if it is not */
  gsize gap_line;                  /* where that begins */
  GstClockTime mark; /* where a GAP has to mark the end of the last item; NONE if nowhere */
  gboolean block, blocked, flushing, stopped;
  guint texts;
  gchar *last; /* text or line, as it is */
  GstFlowReturn flow;
  GstCaps *caps; /* what it takes */
} Reader;

/** reader_init, reader_clear: its pad takes @caps; clear unlinks it, and checks that nobody else holds it. */
void reader_init (Reader *reader, const gchar *caps);
void reader_clear (Reader *reader);

void reader_set_caps (Reader *reader, const gchar *caps);

/** reader_set_block: whether it holds back what comes; wait_until_blocked: until it does. */
void reader_set_block (Reader *reader, gboolean block);
void wait_until_blocked (Reader *reader);

/** expect_log: waits until the log is @expected; begins a new one. Where more could come, end with an event that the
 * reader gets after it. expect_in_log: waits until the log has @text in it. */
void expect_log (Reader *reader, const gchar *expected);
void expect_in_log (Reader *reader, const gchar *text);

/** ms: (transfer full): a time in milliseconds, or "none". deadline: of g_get_monotonic_time(), for a wait from now. */
gchar *ms (GstClockTime time);
gint64 deadline (void);

/* ---- the bench ---- */

#define UTF8 "text/x-raw, format = utf8"
#define MARKUP "text/x-raw, format = pango-markup"
#define JSON "application/x-json"
#define TEXT_BEGINS "stream-start video/text 7 sparse\ncaps text/x-raw utf8\nsegment 0 1\n"
#define JSON_BEGINS "stream-start video/json 7 sparse\ncaps application/x-json\nsegment 0 1\n"

typedef struct {
  GstElement *element;
  GstCityGuessrOutputs *outputs;
  GstBus *bus;
  GstPad *text_src, *json_src; /* borrowed */
  Reader text, json;
} Bench;

/** bench_init: an element that plays, without pads; bench_begin: with a text pad, in a stream. bench_end: stops
 * everything, and checks that nobody holds anything and nothing was complained of. */
void bench_init (Bench *bench);
void bench_begin (Bench *bench);
void bench_end (Bench *bench);

/** request, release: a pad, which the element holds. open_text, open_json: one that the bench reads. */
GstPad *request (Bench *bench, const gchar *name);
void release (Bench *bench, GstPad **pad);
void open_text (Bench *bench, const gchar *caps);
void open_json (Bench *bench);

/** send_event: (transfer full). stream_start_new: of group 7. begin_stream: that of "video", and a plain segment. */
void send_event (Bench *bench, GstEvent *event);
GstEvent *stream_start_new (const gchar *id);
void send_segment (Bench *bench, guint start_ms, GstClockTime stop, gdouble rate);
void begin_stream (Bench *bench);

/** frames: those in [@from_ms, @to_ms). answer: @city: NULL if it is withheld. forget: the answers. */
void frames (Bench *bench, guint from_ms, guint to_ms);
void answer (Bench *bench, const gchar *city, guint start_ms, guint duration_ms);
void forget (Bench *bench);

/** take_message: (transfer full) (nullable): the next error or warning. describe: (transfer full): it, for a failure
 * that ends the test. expect_message: the next one is of @type and says @text. */
GstMessage *take_message (Bench *bench);
gchar *describe (GstMessage *message);
void expect_message (Bench *bench, GstMessageType type, const gchar *text);

/* ---- the files of this suite ---- */

void add_reader_tests (Suite *suite); /* test-outputs-readers.c */
void add_pad_tests (Suite *suite);    /* test-outputs-pads.c */
