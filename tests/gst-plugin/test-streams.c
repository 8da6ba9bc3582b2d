/* Many streams on one engine: they are batched, none starves, and none feels what happens to another.
 *
 * All elements of a test ask for the same engine, and so share one. That the engine takes one window
 * of each client in turn, and how many go into a batch, test-engine.c sees exactly; here it is seen
 * from outside.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "element-fixture.h"

#include <gst/video/video.h>

#define MAX_STREAMS 32

/* Frames that make @n windows. */
#define FRAMES_OF(n) (36 + 10 * ((n)-1))

typedef struct {
  Fixture fixture;
  guint n_windows;
  guint begin; /* the first picture: streams differ in it */
} Stream;

static void
stream_start (Stream *stream, guint i, guint delay_us, guint n_windows)
{
  stream->n_windows = n_windows;
  stream->begin = i;
  fixture_start (&stream->fixture, element_new (delay_us), "offline");
}

/* Pushes everything and EOS. */
static gpointer
stream_run (gpointer data)
{
  Stream *stream = data;

  push (&stream->fixture, stream->begin, FRAMES_OF (stream->n_windows));
  push_event (&stream->fixture, gst_event_new_eos ());
  return NULL;
}

static void
run_all (Stream *streams, guint n)
{
  GThread *threads[MAX_STREAMS];

  for (guint i = 0; i < n; i++)
    threads[i] = g_thread_new ("stream", stream_run, &streams[i]);
  for (guint i = 0; i < n; i++)
    g_thread_join (threads[i]);
}

/* (transfer full): the answers of a stream that has the engine to itself. */
static gchar *
answers_alone (guint begin, guint n_windows)
{
  Stream stream;
  gchar *text;

  stream_start (&stream, begin, 0, n_windows);
  stream_run (&stream);
  text = take_answers (stream.fixture.bus);
  fixture_clear (&stream.fixture);
  fail_unless (strlen (text) > 100, "no answers: %s", text);
  return text;
}

static void
assert_answers_as_alone (Stream *stream)
{
  g_autofree gchar *expected = answers_alone (stream->begin, stream->n_windows);
  g_autofree gchar *found = take_answers (stream->fixture.bus);

  fail_unless_equals_string (found, expected);
}

/* Complaint 7: hangs and crashes with many streams. Given 1, 2, 8 and 32 streams at the same time, each
 * is answered as if it were alone, to the bit. */
GST_START_TEST (test_many)
{
  static const guint numbers[] = { 1, 2, 8, 32 };
  guint n = numbers[__i__];
  Stream streams[MAX_STREAMS];

  for (guint i = 0; i < n; i++)
    stream_start (&streams[i], i, 1000, 4);
  run_all (streams, n);
  for (guint i = 0; i < n; i++) {
    assert_answers_as_alone (&streams[i]);
    assert_no_message (&streams[i].fixture, TOLD);
    fixture_clear (&streams[i].fixture);
  }
}
GST_END_TEST;

/* Given 16 streams and an engine that takes 0.3 s for a batch of up to 8, 64 windows take less than half of
 * the 19.2 s that they would take one by one: batches take 2.4 s or a little more, and the rest is for slow
 * machines and sanitizers. */
GST_START_TEST (test_batched)
{
  const guint n = 16, n_windows = 4, delay_us = 300000;
  Stream streams[MAX_STREAMS];
  gint64 taken;

  for (guint i = 0; i < n; i++)
    stream_start (&streams[i], i, delay_us, n_windows);
  taken = g_get_monotonic_time ();
  run_all (streams, n);
  taken = g_get_monotonic_time () - taken;
  fail_unless (taken < n * n_windows * delay_us / 2, "%" G_GINT64_FORMAT " us for %u windows",
               taken, n * n_windows);
  for (guint i = 0; i < n; i++) {
    fail_unless_equals_uint64 (total (&streams[i].fixture, "answered"), n_windows);
    fixture_clear (&streams[i].fixture);
  }
}
GST_END_TEST;

/* ---- fairness ---- */

/* How often each stream was answered while a window of another one was on its way. */
typedef struct {
  GMutex lock;
  Stream *streams;
  guint n;
  guint overtaken[MAX_STREAMS][MAX_STREAMS]; /* [who waits][who was answered] */
  guint most;
} Race;

typedef struct {
  Race *race;
  guint i;
} Lane;

static GstBusSyncReply
count_overtaking (GstBus *bus, GstMessage *message, gpointer data)
{
  const Lane *lane = data;
  Race *race = lane->race;

  if (GST_MESSAGE_TYPE (message) != GST_MESSAGE_ELEMENT)
    return GST_BUS_PASS;
  g_mutex_lock (&race->lock);
  for (guint i = 0; i < race->n; i++) {
    if (i != lane->i && total (&race->streams[i].fixture, "pending") > 0) {
      guint times = ++race->overtaken[i][lane->i];

      race->most = MAX (race->most, times);
    }
    race->overtaken[lane->i][i] = 0;
  }
  g_mutex_unlock (&race->lock);
  return GST_BUS_PASS;
}

/* Given 20 streams that always have a window waiting, and batches of at most 8, no stream starves: while
 * one of its windows is on its way, any other stream is answered 3 times at most (in the batch that
 * runs, before it in the queue, in the same batch). 8 times are allowed, for a machine that gives an
 * answering thread no time; starving would be 20. */
GST_START_TEST (test_fair)
{
  Stream streams[MAX_STREAMS];
  Race race = { .streams = streams, .n = 20 };
  Lane lanes[MAX_STREAMS];

  for (guint i = 0; i < race.n; i++) {
    lanes[i] = (Lane){ &race, i };
    stream_start (&streams[i], i, 50000, 20);
    gst_bus_set_sync_handler (streams[i].fixture.bus, count_overtaking, &lanes[i], NULL);
  }
  run_all (streams, race.n);
  fail_unless (race.most >= 1, "nobody ever waited for another: nothing was tested");
  fail_unless (race.most <= 8, "a stream was overtaken %u times by another", race.most);
  for (guint i = 0; i < race.n; i++) {
    fail_unless_equals_uint64 (total (&streams[i].fixture, "answered"), 20);
    gst_bus_set_sync_handler (streams[i].fixture.bus, NULL, NULL, NULL);
    fixture_clear (&streams[i].fixture);
  }
}
GST_END_TEST;

/* ---- one stream's trouble is nobody else's ---- */

static void
push_broken_pictures (Fixture *fixture)
{
  for (guint i = 0; i < 50; i++) {
    GstBuffer *buffer = picture_new (i);

    gst_buffer_set_size (buffer, 10);
    gst_harness_push (fixture->harness, buffer);
  }
}

static void
flush_again_and_again (Fixture *fixture)
{
  GstSegment segment;

  gst_segment_init (&segment, GST_FORMAT_TIME);
  for (guint i = 0; i < 20; i++) {
    push (fixture, 0, 20);
    push_event (fixture, gst_event_new_flush_start ());
    push_event (fixture, gst_event_new_flush_stop (TRUE));
    push_event (fixture, gst_event_new_segment (&segment));
  }
}

static void
end_early (Fixture *fixture)
{
  push (fixture, 0, 10);
  push_event (fixture, gst_event_new_eos ());
}

static void
restart_again_and_again (Fixture *fixture)
{
  gst_util_set_object_arg (G_OBJECT (fixture->element), "processing-mode", "live");
  for (guint i = 0; i < 20; i++) {
    gst_harness_set_src_caps_str (fixture->harness, CAPS);
    push (fixture, 0, 40);
    gst_element_set_state (fixture->element, GST_STATE_NULL);
    gst_element_set_state (fixture->element, GST_STATE_PLAYING);
  }
}

static void
change_settings (Fixture *fixture)
{
  for (guint i = 0; i < 200; i++) {
    g_object_set (fixture->element, "top-k", i % 20, "min-confidence", 1.0, "hop", 1 + i % 3, NULL);
    push (fixture, i, 1);
  }
}

/* Complaint 14: one stream's failure takes the others with it. Given a neighbour on the same engine whose
 * pictures cannot be read, that flushes, ends, starts and stops, or is set otherwise, a stream's
 * answers are those it has alone, to the bit. */
GST_START_TEST (test_trouble_next_door)
{
  static void (*const troubles[]) (Fixture * neighbour) = {
    push_broken_pictures, flush_again_and_again, end_early, restart_again_and_again, change_settings
  };
  Stream stream;
  Fixture neighbour;
  GThread *thread;

  stream_start (&stream, 3, 2000, 20);
  fixture_start (&neighbour, element_new (2000), "offline");
  thread = g_thread_new ("stream", stream_run, &stream);
  troubles[__i__](&neighbour);
  g_thread_join (thread);
  assert_answers_as_alone (&stream);
  assert_no_message (&stream.fixture, TOLD);
  fixture_clear (&neighbour);
  fixture_clear (&stream.fixture);
}
GST_END_TEST;

/* Complaint 14. Given a window of one stream that the engine cannot compute, that stream has a WARNING,
 * and the other one all its answers. */
GST_START_TEST (test_failing_window_next_door)
{
  g_autofree gchar *expected = answers_alone (0, 2), *found = NULL;
  Fixture fixtures[2];
  GstMessage *message;

  for (guint i = 0; i < 2; i++) {
    GstElement *element = element_new (0);

    g_object_set_data (G_OBJECT (element), "cityguessr-null-fail-at", GUINT_TO_POINTER (2));
    fixture_start (&fixtures[i], element, "offline");
  }
  push (&fixtures[0], 0, 36); /* the engine's window 1 */
  push (&fixtures[1], 0, 36); /* its window 2 */
  push (&fixtures[0], 36, 10);
  push_event (&fixtures[0], gst_event_new_eos ());
  message = next_message (&fixtures[1], TOLD);
  fail_unless (message != NULL, "the engine is not shared: its window 2 did not fail");
  fail_unless_equals_string (GST_MESSAGE_TYPE_NAME (message), "warning");
  gst_message_unref (message);
  found = take_answers (fixtures[0].bus);
  fail_unless_equals_string (found, expected);
  for (guint i = 0; i < 2; i++)
    fixture_clear (&fixtures[i]);
}
GST_END_TEST;

static gpointer
push_eos (gpointer data)
{
  Fixture *fixture = data;

  gst_harness_push_event (fixture->harness, gst_event_new_eos ());
  return NULL;
}

/* Given two streams whose EOS waits for a very long window, the one that is stopped does not wait for the
 * engine, and the other one is left alone. */
GST_START_TEST (test_stop_next_door)
{
  Fixture fixtures[2];
  GThread *threads[2];
  gint64 begun = g_get_monotonic_time ();

  for (guint i = 0; i < 2; i++) {
    fixture_start (&fixtures[i], element_new (100 * SECONDS_TO_US), "live");
    push (&fixtures[i], 0, 36);
    threads[i] = g_thread_new ("end", push_eos, &fixtures[i]);
  }
  for (guint i = 0; i < 2; i++) {
    fail_unless_equals_uint64 (total (&fixtures[1], "pending"), 1);
    fail_unless_equals_int (gst_element_set_state (fixtures[i].element, GST_STATE_NULL),
                            GST_STATE_CHANGE_SUCCESS);
    g_thread_join (threads[i]);
  }
  fail_unless (g_get_monotonic_time () - begun < 50 * SECONDS_TO_US);
  for (guint i = 0; i < 2; i++)
    fixture_clear (&fixtures[i]);
}
GST_END_TEST;

/* ---- coming and going ---- */

#define STREAM                                                                             \
  "videotestsrc pattern=%s ! video/x-raw,format=I420,width=32,height=32,framerate=25/1 ! " \
  "cityguessr name=guess device=null model=" MODEL " processing-mode=offline "             \
  "sample-interval=200000000 ! fakesink sync=false"

static GstElement *
add_stream (GstElement *pipeline, const gchar *pattern)
{
  g_autofree gchar *line = g_strdup_printf (STREAM, pattern);
  GError *error = NULL;
  GstElement *bin = gst_parse_bin_from_description (line, FALSE, &error);

  fail_unless (error == NULL, "%s", error ? error->message : "");
  fail_unless (gst_bin_add (GST_BIN (pipeline), bin));
  fail_unless (gst_element_sync_state_with_parent (bin));
  return bin;
}

static void
remove_stream (GstElement *pipeline, GstElement *bin)
{
  gst_object_ref (bin);
  fail_unless (gst_bin_remove (GST_BIN (pipeline), bin));
  fail_unless_equals_int (gst_element_set_state (bin, GST_STATE_NULL), GST_STATE_CHANGE_SUCCESS);
  gst_object_unref (bin);
}

typedef struct {
  GstElement *guess;
  guint64 answered;
} Progress;

static gboolean
went_on (gpointer data)
{
  const Progress *progress = data;
  GstStructure *stats = NULL;
  guint64 answered;

  g_object_get (progress->guess, "stats", &stats, NULL);
  answered = get_uint64 (stats, "answered");
  gst_structure_free (stats);
  return answered > progress->answered;
}

/* A new answer of @bin comes. */
static void
assert_goes_on (GstElement *bin)
{
  GstElement *guess = gst_bin_get_by_name (GST_BIN (bin), "guess");
  Progress progress = { guess, 0 };
  GstStructure *stats = NULL;

  g_object_get (guess, "stats", &stats, NULL);
  progress.answered = get_uint64 (stats, "answered");
  gst_structure_free (stats);
  fail_unless (wait_until (went_on, &progress), "no more answers after %" G_GUINT64_FORMAT,
               progress.answered);
  gst_object_unref (guess);
}

/* Complaints 8 and 9: a pipeline is stuck after a source was removed, and says no EOS any more. Given a
 * stream that stays and others that come and go while it plays, it goes on being answered, so do
 * they, and EOS comes at the end. */
GST_START_TEST (test_coming_and_going)
{
  GstElement *pipeline = gst_pipeline_new (NULL), *stays, *others[4] = { NULL };
  GstBus *bus = gst_element_get_bus (pipeline);
  GstMessage *message;

  need_plugins ("coreelements", "videotestsrc", NULL);
  stays = add_stream (pipeline, "ball");
  gst_element_set_state (pipeline, GST_STATE_PLAYING);
  assert_goes_on (stays);
  for (guint i = 0; i < 20; i++) {
    GstElement **other = &others[i % 4];

    if (*other)
      remove_stream (pipeline, *other);
    *other = add_stream (pipeline, "snow");
    assert_goes_on (*other);
    assert_goes_on (stays);
  }
  for (guint i = 0; i < 4; i++)
    remove_stream (pipeline, others[i]);
  assert_goes_on (stays);

  fail_unless (gst_element_send_event (pipeline, gst_event_new_eos ()));
  message = gst_bus_timed_pop_filtered (bus, WAIT_SECONDS * GST_SECOND,
                                        GST_MESSAGE_EOS | GST_MESSAGE_ERROR);
  fail_unless (message != NULL, "no EOS");
  fail_unless_equals_string (GST_MESSAGE_TYPE_NAME (message), "eos");
  gst_message_unref (message);
  fail_unless_equals_int (gst_element_set_state (pipeline, GST_STATE_NULL),
                          GST_STATE_CHANGE_SUCCESS);
  gst_object_unref (bus);
  gst_object_unref (pipeline);
}
GST_END_TEST;

static Suite *
streams_suite (void)
{
  Suite *suite = suite_create ("streams");
  TCase *many = tcase_create ("many"), *apart = tcase_create ("apart");

  suite_add_tcase (suite, many);
  tcase_add_loop_test (many, test_many, 0, 4);
  tcase_add_test (many, test_batched);
  tcase_add_test (many, test_fair);
  tcase_add_test (many, test_coming_and_going);

  suite_add_tcase (suite, apart);
  tcase_add_loop_test (apart, test_trouble_next_door, 0, 5);
  tcase_add_test (apart, test_failing_window_next_door);
  tcase_add_test (apart, test_stop_next_door);
  return suite;
}

GST_CHECK_MAIN (streams)
