/* The request pads: that they come and go at any moment, alone and among real neighbours.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "outputs-fixture.h"
#include "system-plugins.h"

#include <glib/gstdio.h>

/* ---- pads that come and go ---- */

/* Given a pad that is requested in the middle, it hears the stream's beginning and the rest of the caption. */
GST_START_TEST (test_request_in_the_middle)
{
  Bench bench;

  bench_init (&bench);
  begin_stream (&bench);
  answer (&bench, "Rome", 0, 0);
  frames (&bench, 0, 1240);
  open_text (&bench, UTF8);
  open_json (&bench);
  expect_in_log (&bench.text, "1200+");
  frames (&bench, 1240, 2040);
  answer (&bench, "Paris", 0, 0);
  send_event (&bench, gst_event_new_eos ());
  expect_in_log (&bench.text, "2000+1000 Rome\neos\n");
  expect_in_log (&bench.json, "gap 1200+0\n");
  expect_in_log (&bench.json, "2000\neos\n");
  release (&bench, &bench.text_src);
  release (&bench, &bench.json_src);
  reader_clear (&bench.text);
  reader_clear (&bench.json);
  open_text (&bench, UTF8);
  expect_in_log (&bench.text, "eos\n");
  bench_end (&bench);
}
GST_END_TEST;

/* Given a pad that was switched off and on behind our back, so that it has lost how its stream began, it says nothing
 * that GStreamer would take for a fault ("data flow before stream-start"), until the element starts again. */
GST_START_TEST (test_switched_off_and_on)
{
  Bench bench;

  bench_init (&bench);
  begin_stream (&bench);
  open_text (&bench, UTF8);
  answer (&bench, "Rome", 0, 0);
  frames (&bench, 0, 1240);
  expect_in_log (&bench.text, "1000+1000 Rome\n");
  fail_unless (gst_pad_set_active (bench.text_src, FALSE));
  fail_unless (gst_pad_set_active (bench.text_src, TRUE));
  frames (&bench, 1240, 3040);
  gst_element_set_state (bench.element, GST_STATE_READY);
  gst_element_set_state (bench.element, GST_STATE_PLAYING);
  begin_stream (&bench);
  answer (&bench, "Paris", 0, 0);
  frames (&bench, 0, 1240);
  expect_in_log (&bench.text, "1000+1000 Paris\n");
  g_mutex_lock (&bench.text.lock);
  fail_if (strstr (bench.text.log->str, "2000+"), "%s", bench.text.log->str);
  g_mutex_unlock (&bench.text.lock);
  bench_end (&bench);
}
GST_END_TEST;

/* Given windows that time the captions, or did until a moment ago, such a pad hears just how far time has come. */
GST_START_TEST (test_request_amid_windows)
{
  Bench bench;

  bench_init (&bench);
  gst_city_guessr_outputs_set_caption_timing (bench.outputs, GST_CITY_GUESSR_CAPTION_WINDOW);
  begin_stream (&bench);
  answer (&bench, "Rome", 0, 10000);
  frames (&bench, 0, 1240);
  if (__i__)
    gst_city_guessr_outputs_set_caption_timing (bench.outputs, GST_CITY_GUESSR_CAPTION_VIDEO);
  open_text (&bench, UTF8);
  send_event (&bench, gst_event_new_eos ());
  expect_in_log (&bench.text, "gap 1200+0\neos\n");
  g_mutex_lock (&bench.text.lock);
  fail_unless_equals_int (bench.text.texts, 0);
  g_mutex_unlock (&bench.text.lock);
  bench_end (&bench);
}
GST_END_TEST;

/* There is one pad of each name. */
GST_START_TEST (test_one_pad_each)
{
  Bench bench;
  GstPad *again;

  bench_init (&bench);
  open_text (&bench, UTF8);
  open_json (&bench);
  again = gst_city_guessr_outputs_request_pad (bench.outputs, GST_PAD_PAD_TEMPLATE (bench.text_src),
                                               NULL);
  fail_unless (again == NULL);
  release (&bench, &bench.text_src);
  again = request (&bench, "text_src");
  fail_unless_equals_string (GST_PAD_NAME (again), "text_src");
  bench_end (&bench);
}
GST_END_TEST;

/* Given a reader that keeps the task, the pad can be released, linked or not: the reader is flushed. */
GST_START_TEST (test_release_while_blocked)
{
  Bench bench;

  bench_begin (&bench);
  reader_set_block (&bench.text, TRUE);
  frames (&bench, 0, 40);
  wait_until_blocked (&bench.text);
  if (__i__)
    gst_pad_unlink (bench.text_src, bench.text.pad);
  release (&bench, &bench.text_src);
  expect_log (&bench.text, TEXT_BEGINS "gap 0+1000\nflush-start\nflush-stop\n");
  bench_end (&bench);
}
GST_END_TEST;

/* Given a reader that keeps the task, the element can be stopped. */
GST_START_TEST (test_stop_while_blocked)
{
  Bench bench;

  bench_begin (&bench);
  reader_set_block (&bench.text, TRUE);
  frames (&bench, 0, 40);
  wait_until_blocked (&bench.text);
  fail_unless_equals_int (gst_element_set_state (bench.element, GST_STATE_READY),
                          GST_STATE_CHANGE_SUCCESS);
  reader_set_block (&bench.text, FALSE);
  expect_log (&bench.text, TEXT_BEGINS "gap 0+1000\nflush-start\nflush-stop\n");
  gst_element_set_state (bench.element, GST_STATE_PLAYING);
  begin_stream (&bench);
  expect_log (&bench.text, TEXT_BEGINS);
  bench_end (&bench);
}
GST_END_TEST;

static GstPadProbeReturn
release_from_probe (GstPad *pad, GstPadProbeInfo *info, gpointer data)
{
  Bench *bench = data;

  gst_element_release_request_pad (bench->element, pad);
  g_atomic_pointer_set (&bench->text_src, NULL);
  return GST_PAD_PROBE_REMOVE;
}

/* Given a probe on the pad itself that releases it, as applications do, the thread does not wait for itself. */
GST_START_TEST (test_release_from_probe)
{
  gint gone = FALSE;
  gint64 end = deadline ();
  Bench bench;

  bench_begin (&bench);
  expect_log (&bench.text, TEXT_BEGINS);
  gst_pad_add_probe (bench.text_src, GST_PAD_PROBE_TYPE_EVENT_DOWNSTREAM, release_from_probe,
                     &bench, NULL);
  g_object_weak_ref (G_OBJECT (bench.text_src), is_gone, &gone);
  frames (&bench, 0, 40);
  while (!g_atomic_int_get (&gone) && g_get_monotonic_time () < end)
    g_usleep (500);
  fail_unless (g_atomic_int_get (&gone), "the pad is still there");
  /* It was let go by another thread, which may hold the element for a moment longer. */
  while (GST_OBJECT_REFCOUNT_VALUE (bench.element) > 1 && g_get_monotonic_time () < end)
    g_usleep (500);
  bench_end (&bench);
}
GST_END_TEST;

/* Given pads that are requested before it starts, and starts and stops, each start is a stream of its own. */
GST_START_TEST (test_states)
{
  Bench bench;

  bench_init (&bench);
  gst_element_set_state (bench.element, GST_STATE_NULL);
  open_text (&bench, UTF8);
  for (guint i = 0; i < 20; i++) {
    gst_element_set_state (bench.element, GST_STATE_PLAYING);
    begin_stream (&bench);
    answer (&bench, "Rome", 0, 0);
    frames (&bench, 0, 40);
    expect_log (&bench.text, TEXT_BEGINS "text* 0+1000 Rome\n");
    gst_element_set_state (bench.element, i % 2 ? GST_STATE_NULL : GST_STATE_READY);
  }
  bench_end (&bench);
}
GST_END_TEST;

/* ---- storms ---- */

typedef struct {
  Bench *bench;
  const gchar *name, *caps;
  guint rounds;
} Storm;

/* Requests, links, unlinks and releases a pad, over and over. */
static gpointer
request_and_release (gpointer data)
{
  const Storm *storm = data;

  for (guint i = 0; i < storm->rounds; i++) {
    GstPad *pad = gst_element_request_pad_simple (storm->bench->element, storm->name);
    Reader reader;

    fail_unless (pad != NULL, "round %u", i);
    reader_init (&reader, storm->caps);
    if (i % 4)
      gst_pad_link (pad, reader.pad);
    if (i % 3 == 0)
      g_thread_yield ();
    if (i % 8 == 1)
      gst_pad_unlink (pad, reader.pad);
    gst_element_release_request_pad (storm->bench->element, pad);
    gst_object_unref (pad);
    reader_clear (&reader);
  }
  return NULL;
}

/* Gives answers and changes settings, as the answering thread and an application do. */
static gpointer
answer_and_set (gpointer data)
{
  const Storm *storm = data;

  for (guint i = 0; i < storm->rounds * 4; i++) {
    answer (storm->bench, i % 3 ? "Rome" : NULL, i, 1000);
    if (i % 7 == 0)
      gst_city_guessr_outputs_set_caption (storm->bench->outputs, caption_new ("in {city}"));
    if (i % 16 == 0)
      gst_city_guessr_outputs_set_caption_timing (storm->bench->outputs,
                                                  i % 32 ? GST_CITY_GUESSR_CAPTION_WINDOW
                                                         : GST_CITY_GUESSR_CAPTION_VIDEO);
    gst_city_guessr_outputs_get_flow (storm->bench->outputs);
  }
  return NULL;
}

/* Given pads that come and go in other threads while a stream runs, with flushes, nothing breaks, hangs or leaks. */
GST_START_TEST (test_storm)
{
  Bench bench;
  Storm text = { &bench, "text_src", "ANY", 150 }, json = { &bench, "json_src", JSON, 150 };
  GThread *threads[3];

  bench_init (&bench);
  send_event (&bench, stream_start_new ("video"));
  threads[0] = g_thread_new ("text", request_and_release, &text);
  threads[1] = g_thread_new ("json", request_and_release, &json);
  threads[2] = g_thread_new ("answers", answer_and_set, &text);
  for (guint i = 0; i < 100; i++) {
    send_segment (&bench, 0, GST_CLOCK_TIME_NONE, 1);
    frames (&bench, 0, 4000);
    if (i % 5 == 0)
      forget (&bench);
    if (i % 9 == 0)
      send_event (&bench, gst_event_new_eos ());
    send_event (&bench, gst_event_new_flush_start ());
    send_event (&bench, gst_event_new_flush_stop (TRUE));
  }
  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    g_thread_join (threads[i]);
  bench_end (&bench);
}
GST_END_TEST;

/* Given pads that come and go while the element starts and stops, no pad is left in the wrong activity. */
GST_START_TEST (test_storm_of_states)
{
  Bench bench;
  Storm text = { &bench, "text_src", "ANY", 150 }, json = { &bench, "json_src", JSON, 150 };
  GThread *threads[2];

  bench_init (&bench);
  threads[0] = g_thread_new ("text", request_and_release, &text);
  threads[1] = g_thread_new ("json", request_and_release, &json);
  for (guint i = 0; i < 100; i++) {
    gst_element_set_state (bench.element, GST_STATE_READY);
    gst_element_set_state (bench.element, GST_STATE_PLAYING);
  }
  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    g_thread_join (threads[i]);
  open_text (&bench, UTF8);
  fail_unless (gst_pad_is_active (bench.text_src));
  gst_element_set_state (bench.element, GST_STATE_READY);
  fail_if (gst_pad_is_active (bench.text_src));
  bench_end (&bench);
}
GST_END_TEST;

/* ---- real neighbours ---- */

static GstElement *
pipeline_new (const gchar *description)
{
  g_autoptr (GError) error = NULL;
  GstElement *pipeline;

  gst_element_register (NULL, "testguessr", GST_RANK_NONE, test_guessr_get_type ());
  pipeline = gst_parse_launch (description, &error);
  fail_unless (error == NULL, "%s: %s", description, error ? error->message : "");
  return pipeline;
}

static void
set_answers (GstElement *pipeline, guint every)
{
  g_autoptr (GstElement) guessr = gst_bin_get_by_name (GST_BIN (pipeline), "g");

  ((TestGuessr *)guessr)->answer_every = every;
}

/* Whether it comes to EOS; says what came instead. */
static void
run_to_eos (GstElement *pipeline)
{
  g_autoptr (GstBus) bus = gst_element_get_bus (pipeline);
  GstMessage *message;

  gst_element_set_state (pipeline, GST_STATE_PLAYING);
  message = gst_bus_timed_pop_filtered (bus, WAIT_SECONDS * GST_SECOND,
                                        GST_MESSAGE_EOS | GST_MESSAGE_ERROR | GST_MESSAGE_WARNING);
  fail_unless (message != NULL, "no EOS after %u s", WAIT_SECONDS);
  fail_unless (GST_MESSAGE_TYPE (message) == GST_MESSAGE_EOS, "%s", describe (message));
  gst_message_unref (message);
}

/* A thread of GStreamer's that finished a change of state may hold it for a moment longer. */
static void
pipeline_end (GstElement *pipeline)
{
  gint64 end = deadline ();

  gst_element_set_state (pipeline, GST_STATE_NULL);
  while (GST_OBJECT_REFCOUNT_VALUE (pipeline) > 1 && g_get_monotonic_time () < end)
    g_usleep (500);
  ASSERT_OBJECT_REFCOUNT (pipeline, "pipeline", 1);
  gst_object_unref (pipeline);
}

/* The frames in which there is something white, a character each, since the last flush. */
static GstPadProbeReturn
look_for_text (GstPad *pad, GstPadProbeInfo *info, gpointer data)
{
  gboolean white = FALSE;
  GstMapInfo map;

  if (GST_PAD_PROBE_INFO_TYPE (info) & GST_PAD_PROBE_TYPE_EVENT_FLUSH) {
    g_string_truncate (data, 0);
    return GST_PAD_PROBE_OK;
  }
  gst_buffer_map (GST_PAD_PROBE_INFO_BUFFER (info), &map, GST_MAP_READ);
  for (gsize i = 0; i < 320 * 64 && !white; i++)
    white = map.data[i] > 128;
  gst_buffer_unmap (GST_PAD_PROBE_INFO_BUFFER (info), &map);
  g_string_append_c (data, white ? 'x' : '.');
  return GST_PAD_PROBE_OK;
}

/* Given a textoverlay that waits for its text, no frame waits in vain, and each shows the caption of its time, at any
 * speed. */
GST_START_TEST (test_textoverlay)
{
  static const gdouble rates[] = { 1, 3, 7 };
  g_autoptr (GString) shown = g_string_new (NULL), expected = g_string_new (NULL);
  g_autoptr (GstElement) overlay = NULL;
  g_autoptr (GstPad) src = NULL;
  GstElement *pipeline;

  need_plugins ("coreelements", "videotestsrc", "pango", NULL);
  pipeline = pipeline_new (
      "videotestsrc pattern=black ! "
      "video/x-raw,format=I420,width=320,height=64,framerate=25/1 ! testguessr name=g ! "
      "o.video_sink g.text_src ! o.text_sink "
      "textoverlay name=o wait-text=true ! fakesink");
  set_answers (pipeline, 50);
  overlay = gst_bin_get_by_name (GST_BIN (pipeline), "o");
  src = gst_element_get_static_pad (overlay, "src");
  gst_pad_add_probe (src, GST_PAD_PROBE_TYPE_BUFFER | GST_PAD_PROBE_TYPE_EVENT_FLUSH, look_for_text,
                     shown, NULL);
  gst_element_set_state (pipeline, GST_STATE_PAUSED);
  fail_unless_equals_int (gst_element_get_state (pipeline, NULL, NULL, WAIT_SECONDS * GST_SECOND),
                          GST_STATE_CHANGE_SUCCESS);
  fail_unless (gst_element_seek (pipeline, rates[__i__], GST_FORMAT_TIME, GST_SEEK_FLAG_FLUSH,
                                 GST_SEEK_TYPE_SET, 0, GST_SEEK_TYPE_SET, 6 * GST_SECOND));
  run_to_eos (pipeline);
  gst_element_set_state (pipeline, GST_STATE_NULL);
  for (guint i = 0; i < 150; i++)
    g_string_append_c (expected, i < 50 ? '.' : 'x');
  fail_unless_equals_string (shown->str, expected->str);
  g_clear_object (&src);
  g_clear_object (&overlay);
  pipeline_end (pipeline);
}
GST_END_TEST;

/* By running time: qtdemux has a segment of its own for what an edit list shifts. GStreamer 1.26's matroskamux writes
 * each GAP as a cue without a byte. */
static void
note_cue (GstElement *sink, GstBuffer *buffer, GstPad *pad, gpointer data)
{
  g_autoptr (GstEvent) event = gst_pad_get_sticky_event (pad, GST_EVENT_SEGMENT, 0);
  g_autofree gchar *time = NULL, *length = ms (GST_BUFFER_DURATION (buffer));
  const GstSegment *segment;
  GstMapInfo map;

  if (gst_buffer_get_size (buffer) == 0)
    return;
  gst_event_parse_segment (event, &segment);
  time = ms (gst_segment_to_running_time (segment, GST_FORMAT_TIME, GST_BUFFER_PTS (buffer)));
  gst_buffer_map (buffer, &map, GST_MAP_READ);
  g_string_append_printf (data, "%s+%s %.*s\n", time, length, (int)map.size,
                          (const char *)map.data);
  gst_buffer_unmap (buffer, &map);
}

/* Given a muxer, the file has the captions at their times, and ends. qtmux interleaves by the pad: it wants some of the
 * next caption before it goes on with video, so that needs a queue. */
GST_START_TEST (test_muxers)
{
  static const struct {
    const gchar *muxer, *demuxer, *format, *queue;
  } cases[] = { { "matroskamux", "matroskademux", "I420", "" },
                { "qtmux", "qtdemux", "UYVY", "queue ! " } };
  g_autofree gchar *folder = g_dir_make_tmp ("cityguessr-XXXXXX", NULL);
  g_autofree gchar *path = g_build_filename (folder, "captions", NULL);
  g_autofree gchar *write = g_strdup_printf (
      "videotestsrc num-buffers=130 ! "
      "video/x-raw,format=%s,width=16,height=16,framerate=25/1 ! testguessr name=g ! %sm. "
      "g.text_src ! m. %s name=m ! filesink location=%s",
      cases[__i__].format, cases[__i__].queue, cases[__i__].muxer, path);
  g_autofree gchar *read =
      g_strdup_printf ("filesrc location=%s ! %s name=d d.subtitle_0 ! fakesink name=s sync=false "
                       "signal-handoffs=true",
                       path, cases[__i__].demuxer);
  g_autoptr (GString) cues = g_string_new (NULL);
  g_autoptr (GstElement) sink = NULL;
  GstElement *pipeline;

  need_plugins ("coreelements", "videotestsrc", "matroska", "isomp4", NULL);
  pipeline = pipeline_new (write);
  set_answers (pipeline, 50);
  run_to_eos (pipeline);
  pipeline_end (pipeline);

  pipeline = pipeline_new (read);
  sink = gst_bin_get_by_name (GST_BIN (pipeline), "s");
  g_signal_connect (sink, "handoff", G_CALLBACK (note_cue), cues);
  run_to_eos (pipeline);
  gst_element_set_state (pipeline, GST_STATE_NULL);
  g_clear_object (&sink);
  fail_unless_equals_string (cues->str, "2000+1000 A\n3000+1000 A\n4000+1000 B\n5000+1000 B\n");
  pipeline_end (pipeline);
  g_unlink (path);
  g_rmdir (folder);
}
GST_END_TEST;

/* Given sinks on all pads, they preroll, also after a seek while paused and backwards, and the stream ends. */
GST_START_TEST (test_preroll)
{
  static const gdouble rates[] = { 1, 2, -1 };
  GstElement *pipeline;

  need_plugins ("coreelements", "videotestsrc", NULL);
  pipeline = pipeline_new ("videotestsrc num-buffers=100 ! "
                           "video/x-raw,format=I420,width=16,height=16,framerate=25/1 ! "
                           "testguessr name=g ! fakesink g.text_src ! fakesink sync=true "
                           "g.json_src ! fakesink");
  set_answers (pipeline, 10);
  gst_element_set_state (pipeline, GST_STATE_PAUSED);
  for (guint i = 0; i < G_N_ELEMENTS (rates); i++) {
    fail_unless_equals_int (gst_element_get_state (pipeline, NULL, NULL, WAIT_SECONDS * GST_SECOND),
                            GST_STATE_CHANGE_SUCCESS);
    fail_unless (gst_element_seek (pipeline, rates[i], GST_FORMAT_TIME, GST_SEEK_FLAG_FLUSH,
                                   GST_SEEK_TYPE_SET, 0, GST_SEEK_TYPE_SET, GST_SECOND));
  }
  fail_unless_equals_int (gst_element_get_state (pipeline, NULL, NULL, WAIT_SECONDS * GST_SECOND),
                          GST_STATE_CHANGE_SUCCESS);
  run_to_eos (pipeline);
  pipeline_end (pipeline);
}
GST_END_TEST;

void
add_pad_tests (Suite *suite)
{
  TCase *pads = tcase_create ("pads"), *neighbours = tcase_create ("neighbours");

  suite_add_tcase (suite, pads);
  tcase_add_test (pads, test_request_in_the_middle);
  tcase_add_loop_test (pads, test_request_amid_windows, 0, 2);
  tcase_add_test (pads, test_one_pad_each);
  tcase_add_loop_test (pads, test_release_while_blocked, 0, 2);
  tcase_add_test (pads, test_stop_while_blocked);
  tcase_add_test (pads, test_release_from_probe);
  tcase_add_test (pads, test_states);
  tcase_add_test (pads, test_storm);
  tcase_add_test (pads, test_switched_off_and_on);
  tcase_add_test (pads, test_storm_of_states);

  suite_add_tcase (suite, neighbours);
  tcase_add_loop_test (neighbours, test_textoverlay, 0, 3);
  tcase_add_loop_test (neighbours, test_muxers, 0, 2);
  tcase_add_test (neighbours, test_preroll);
}
