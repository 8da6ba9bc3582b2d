/* The element: which windows it answers, and that it leaves pictures alone.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "element-fixture.h"

#include <gst/video/video.h>

/* ---- windows and answers ---- */

/* Given frames at 5 to an interval, the windows are the frames 0, 5, …, 35, then 10, …, 45; each
 * is on the bus, and rides on the buffer that completed it, before the next buffer goes in. */
GST_START_TEST (test_windows)
{
  Fixture fixture;

  fixture_start (&fixture, element_new (0), "offline");
  for (guint i = 0; i < 56; i++) {
    gboolean completes = i == 35 || i == 45 || i == 55;
    GstBuffer *buffer;

    push (&fixture, i, 1);
    buffer = gst_harness_pull (fixture.harness);
    fail_unless ((meta_of (buffer) != NULL) == completes, "frame %u", i);
    if (completes) {
      GstStructure *answer = next_answer (&fixture);
      GstStructure *meta = gst_structure_copy (meta_of (buffer));

      gst_structure_set_name (meta, "cityguessr");
      fail_unless (gst_structure_is_equal (meta, answer), "frame %u", i);
      fail_unless_equals_uint64 (get_uint64 (answer, "window-id"), (i - 35) / 10);
      gst_structure_free (meta);
      assert_window (answer, i - 35, 5);
    }
    assert_no_message (&fixture, TOLD);
    gst_buffer_unref (buffer);
  }
  fixture_clear (&fixture);
}
GST_END_TEST;

/* Complaint 26: defaults that make windows of a moment. Given no settings but the model, the interval is the model's
 * 1.4 s. */
GST_START_TEST (test_model_interval)
{
  Fixture fixture;
  GstElement *element = element_new (0);
  GstStructure *answer;

  fixture_start (&fixture, element, "offline");
  gst_element_set_state (element, GST_STATE_READY);
  g_object_set (element, "sample-interval", (guint64)0, NULL);
  gst_element_set_state (element, GST_STATE_PLAYING);
  gst_harness_set_src_caps_str (fixture.harness, CAPS);
  push (&fixture, 0, 7 * 35);
  assert_no_message (&fixture, GST_MESSAGE_ELEMENT);
  push (&fixture, 7 * 35, 1);
  answer = next_answer (&fixture);
  assert_window (answer, 0, 35);
  fixture_clear (&fixture);
}
GST_END_TEST;

/* Given a short stream, EOS answers it before it passes: the message is there when EOS arrives. */
static GstPadProbeReturn
take_answer_at_eos (GstPad *pad, GstPadProbeInfo *info, gpointer data)
{
  Fixture *fixture = data;

  if (GST_EVENT_TYPE (GST_PAD_PROBE_INFO_EVENT (info)) == GST_EVENT_EOS) {
    fail_unless_equals_uint64 (total (fixture, "answered"), 1);
    fixture->answer_at_eos = gst_bus_pop_filtered (fixture->bus, GST_MESSAGE_ELEMENT);
  }
  return GST_PAD_PROBE_OK;
}

GST_START_TEST (test_eos_comes_last)
{
  static const gchar *const modes[] = { "offline", "live" };
  static const guint spread[FRAMES] = { 0, 1, 3, 4, 5, 6, 8, 9 };
  Fixture fixture;
  const GstStructure *answer;
  GstPad *pad;
  gboolean partial = FALSE;

  fixture_start (&fixture, element_new (50000), modes[__i__]);
  pad = gst_element_get_static_pad (fixture.element, "src");
  gst_pad_add_probe (pad, GST_PAD_PROBE_TYPE_EVENT_DOWNSTREAM, take_answer_at_eos, &fixture, NULL);
  push (&fixture, 0, 10);
  push_event (&fixture, gst_event_new_eos ());
  fail_unless (fixture.answer_at_eos != NULL, "EOS came before the answer");
  answer = gst_message_get_structure (fixture.answer_at_eos);
  assert_frames (answer, spread);
  fail_unless (gst_structure_get_boolean (answer, "partial", &partial));
  fail_if (partial);
  /* Complaint 24: how does one learn the latency? It stands in each answer. */
  fail_unless (get_uint64 (answer, "latency") >= 50 * GST_MSECOND);
  gst_message_unref (fixture.answer_at_eos);
  gst_object_unref (pad);
  fixture_clear (&fixture);
}
GST_END_TEST;

/* Given fewer samples than the model takes, the answer says so; fewer than min-samples, a WARNING. */
GST_START_TEST (test_partial)
{
  static const guint spread[FRAMES] = { 0, 1, 1, 2, 2, 3, 3, 4 };
  Fixture fixture;
  GstStructure *answer;
  gboolean partial = FALSE;
  guint samples = 0;

  fixture_start (&fixture, element_new (0), "offline");
  push (&fixture, 0, 5);
  push_event (&fixture, gst_event_new_eos ());
  answer = next_answer (&fixture);
  assert_frames (answer, spread);
  fail_unless (gst_structure_get_boolean (answer, "partial", &partial) && partial);
  fail_unless (gst_structure_get_uint (answer, "samples", &samples));
  fail_unless_equals_int (samples, 5);
  gst_structure_free (answer);
  fixture_clear (&fixture);

  fixture_start (&fixture, element_new (0), "offline");
  push (&fixture, 0, 3);
  push_event (&fixture, gst_event_new_eos ());
  expect_told (&fixture, GST_MESSAGE_WARNING, "3 frames; cityguessr needs 4 (min-samples)");
  assert_no_message (&fixture, TOLD);
  fixture_clear (&fixture);
}
GST_END_TEST;

/* Given SEGMENT_DONE, as in a segment seek, the rest is answered before it passes. */
GST_START_TEST (test_segment_done)
{
  Fixture fixture;

  fixture_start (&fixture, element_new (20000), "live");
  push (&fixture, 0, 10);
  push_event (&fixture, gst_event_new_segment_done (GST_FORMAT_TIME, 10 * FRAME_TIME));
  gst_structure_free (next_answer (&fixture));
  fixture_clear (&fixture);
}
GST_END_TEST;

/* Given a GAP event, as for each lost packet of a live stream, it passes while a window is under way, which goes on. */
GST_START_TEST (test_gap_event)
{
  Fixture fixture;

  fixture_start (&fixture, element_new (SECONDS_TO_US), "live");
  push (&fixture, 0, 36);
  push_event (&fixture, gst_event_new_gap (36 * FRAME_TIME, 2 * FRAME_TIME));
  fail_unless_equals_uint64 (total (&fixture, "answered"), 0);
  wait_for_total (&fixture, "answered", 1);
  assert_window (next_answer (&fixture), 0, 5);
  push (&fixture, 38, 8);
  push_event (&fixture, gst_event_new_eos ());
  assert_window (next_answer (&fixture), 10, 5);
  fixture_clear (&fixture);
}
GST_END_TEST;

/* Given frames after dropped ones, which have the DISCONT flag, the window goes on: time alone tells a break. */
GST_START_TEST (test_discont)
{
  Fixture fixture;

  fixture_start (&fixture, element_new (0), "offline");
  for (guint i = 0; i < 36; i++) {
    GstBuffer *buffer = picture_new (i);

    GST_BUFFER_FLAG_SET (buffer, GST_BUFFER_FLAG_DISCONT);
    gst_harness_push (fixture.harness, buffer);
  }
  assert_window (next_answer (&fixture), 0, 5);
  fixture_clear (&fixture);
}
GST_END_TEST;

/* Given a break (see test-sampler.c for all kinds), what was there is answered by itself. */
GST_START_TEST (test_break)
{
  static const guint before[FRAMES] = { 0, 1, 3, 4, 5, 6, 8, 9 };
  static const guint after[FRAMES] = { 10, 11, 13, 14, 15, 16, 18, 19 };
  Fixture fixture;
  GstStructure *answer;
  GstBuffer *buffer;

  fixture_start (&fixture, element_new (0), "offline");
  push (&fixture, 0, 10);
  for (guint i = 10; i < 20; i++) {
    buffer = picture_new (i);
    GST_BUFFER_PTS (buffer) += 60 * GST_SECOND;
    gst_harness_push (fixture.harness, buffer);
    if (i > 10)
      continue;
    answer = next_answer (&fixture);
    assert_frames (answer, before);
    gst_structure_free (answer);
  }
  push_event (&fixture, gst_event_new_eos ());
  answer = next_answer (&fixture);
  assert_frames (answer, after);
  gst_structure_free (answer);
  while ((buffer = gst_harness_try_pull (fixture.harness))) {
    fail_if (meta_of (buffer), "a window that a break completed rides on a buffer");
    gst_buffer_unref (buffer);
  }
  fixture_clear (&fixture);
}
GST_END_TEST;

/* Given a new segment, the stretch ends, and its answer's times are those of the old segment. */
GST_START_TEST (test_new_segment)
{
  Fixture fixture;
  GstSegment segment;
  GstStructure *answer;

  fixture_start (&fixture, element_new (0), "offline");
  gst_segment_init (&segment, GST_FORMAT_TIME);
  segment.base = 100 * GST_SECOND;
  segment.time = 7 * GST_SECOND;
  push_event (&fixture, gst_event_new_segment (&segment));
  push (&fixture, 0, 10);
  push_event (&fixture, gst_event_new_segment (&segment));
  assert_no_message (&fixture, TOLD); /* the same one again ends nothing */

  segment.base = 200 * GST_SECOND;
  segment.time = 0;
  push_event (&fixture, gst_event_new_segment (&segment));
  answer = next_answer (&fixture);
  fail_unless_equals_uint64 (get_uint64 (answer, "timestamp"), 0);
  fail_unless_equals_uint64 (get_uint64 (answer, "stream-time"), 7 * GST_SECOND);
  fail_unless_equals_uint64 (get_uint64 (answer, "running-time"), 100 * GST_SECOND);
  fail_unless_equals_uint64 (get_uint64 (answer, "duration"), 10 * FRAME_TIME);
  gst_structure_free (answer);

  push (&fixture, 10, 10);
  push_event (&fixture, gst_event_new_stream_start ("another"));
  answer = next_answer (&fixture);
  fail_unless_equals_uint64 (get_uint64 (answer, "running-time"),
                             200 * GST_SECOND + 10 * FRAME_TIME);
  gst_structure_free (answer);
  fixture_clear (&fixture);
}
GST_END_TEST;

/* Given frames outside the segment, as a decoder sends them after an accurate seek, they take no
 * part. */
GST_START_TEST (test_outside_segment)
{
  Fixture fixture;
  GstSegment segment;
  GstStructure *answer;

  fixture_start (&fixture, element_new (0), "offline");
  gst_segment_init (&segment, GST_FORMAT_TIME);
  segment.start = segment.time = 20 * FRAME_TIME;
  push_event (&fixture, gst_event_new_segment (&segment));
  push (&fixture, 0, 56);
  answer = next_answer (&fixture);
  fail_unless_equals_uint64 (get_uint64 (answer, "timestamp"), 20 * FRAME_TIME);
  gst_structure_free (answer);
  fixture_clear (&fixture);
}
GST_END_TEST;

/* Given a change of size and format in the middle, the window goes on over it. */
GST_START_TEST (test_caps_change)
{
  Fixture fixture;
  GstStructure *answer;

  fixture_start (&fixture, element_new (0), "offline");
  push (&fixture, 0, 20);
  gst_harness_set_src_caps_str (fixture.harness,
                                "video/x-raw,format=NV12,width=64,height=36,framerate=25/1");
  for (guint i = 20; i < 36; i++) {
    GstBuffer *buffer = gst_buffer_new_and_alloc (64 * 36 * 3 / 2);

    gst_buffer_memset (buffer, 0, i, -1);
    GST_BUFFER_PTS (buffer) = i * FRAME_TIME;
    GST_BUFFER_DURATION (buffer) = FRAME_TIME;
    fail_unless_equals_int (gst_harness_push (fixture.harness, buffer), GST_FLOW_OK);
  }
  /* The null engine takes the bytes as they are, so that equal bytes look alike in both formats. */
  answer = next_answer (&fixture);
  assert_window (answer, 0, 5);
  fixture_clear (&fixture);
}
GST_END_TEST;

/* Given a buffer with the GAP flag where a sample is due, the next picture is the sample. */
GST_START_TEST (test_gap_flag)
{
  static const guint frames[FRAMES] = { 0, 5, 11, 15, 20, 25, 30, 35 };
  Fixture fixture;
  GstStructure *answer;
  GstBuffer *buffer = picture_new (10);

  fixture_start (&fixture, element_new (0), "offline");
  push (&fixture, 0, 10);
  GST_BUFFER_FLAG_SET (buffer, GST_BUFFER_FLAG_GAP);
  gst_harness_push (fixture.harness, buffer);
  push (&fixture, 11, 25);
  answer = next_answer (&fixture);
  assert_frames (answer, frames);
  gst_structure_free (answer);
  fixture_clear (&fixture);
}
GST_END_TEST;

/* Given frames without duration, the frame rate of the caps gives it. */
GST_START_TEST (test_no_duration)
{
  Fixture fixture;

  fixture_start (&fixture, element_new (0), "offline");
  for (guint i = 0; i < 36; i++) {
    GstBuffer *buffer = picture_new (i);

    GST_BUFFER_DURATION (buffer) = GST_CLOCK_TIME_NONE;
    gst_harness_push (fixture.harness, buffer);
  }
  assert_window (next_answer (&fixture), 0, 5);
  fixture_clear (&fixture);
}
GST_END_TEST;

/* Given the caps 0/1, the frames go by their timestamps. */
GST_START_TEST (test_variable_rate_caps)
{
  Fixture fixture;

  fixture_start (&fixture, element_new (0), "offline");
  gst_harness_set_src_caps_str (fixture.harness,
                                "video/x-raw,format=RGB,width=16,height=16,framerate=0/1");
  push (&fixture, 0, 36);
  assert_window (next_answer (&fixture), 0, 5);
  fixture_clear (&fixture);
}
GST_END_TEST;

/* Given frames without any timestamp, they pass, are counted, and the user is told once. */
GST_START_TEST (test_untimed)
{
  Fixture fixture;
  GstMessage *message;

  fixture_start (&fixture, element_new (0), "offline");
  for (guint i = 0; i < 10; i++) {
    GstBuffer *buffer = picture_new (i);

    GST_BUFFER_PTS (buffer) = GST_CLOCK_TIME_NONE;
    fail_unless_equals_int (gst_harness_push (fixture.harness, buffer), GST_FLOW_OK);
  }
  assert_no_message (&fixture, TOLD);
  push_event (&fixture, gst_event_new_eos ());
  message = next_message (&fixture, GST_MESSAGE_WARNING);
  fail_unless (message != NULL);
  gst_message_unref (message);
  assert_no_message (&fixture, TOLD);
  fail_unless_equals_uint64 (total (&fixture, "frames"), 10);
  fail_unless_equals_uint64 (total (&fixture, "untimed-frames"), 10);
  fail_unless_equals_int (gst_harness_buffers_in_queue (fixture.harness), 10);
  fixture_clear (&fixture);
}
GST_END_TEST;

/* Given a first frame with a timestamp and none after it, as of a stream of JPEGs, the user is told, before it ends. */
GST_START_TEST (test_mostly_untimed)
{
  Fixture fixture;

  fixture_start (&fixture, element_new (0), "offline");
  push (&fixture, 0, 1);
  for (guint i = 1; i < 60; i++) {
    GstBuffer *buffer = picture_new (i);

    GST_BUFFER_PTS (buffer) = GST_CLOCK_TIME_NONE;
    gst_harness_push (fixture.harness, buffer);
  }
  expect_told (&fixture, GST_MESSAGE_WARNING, "has no timestamps");
  push_event (&fixture, gst_event_new_eos ());
  assert_no_message (&fixture, TOLD);
  fixture_clear (&fixture);
}
GST_END_TEST;

/* Given a video that jumps too often for a single window, its end says so, once. */
GST_START_TEST (test_nothing_told)
{
  Fixture fixture;

  fixture_start (&fixture, element_new (0), "offline");
  for (guint i = 0; i < 20; i++) {
    GstBuffer *buffer = picture_new (i);

    GST_BUFFER_PTS (buffer) = i * 10 * GST_SECOND;
    gst_harness_push (fixture.harness, buffer);
  }
  push_event (&fixture, gst_event_new_segment_done (GST_FORMAT_TIME, 200 * GST_SECOND));
  expect_told (&fixture, GST_MESSAGE_WARNING,
               "each piece of it between jumps in time, was too short");
  push_event (&fixture, gst_event_new_eos ());
  assert_no_message (&fixture, TOLD);
  fixture_clear (&fixture);
}
GST_END_TEST;

/* Given single frames without timestamp, they pass unseen, and nobody is told. */
GST_START_TEST (test_untimed_in_the_middle)
{
  Fixture fixture;
  GstBuffer *buffer = picture_new (99);

  fixture_start (&fixture, element_new (0), "offline");
  push (&fixture, 0, 10);
  GST_BUFFER_PTS (buffer) = GST_CLOCK_TIME_NONE;
  gst_harness_push (fixture.harness, buffer);
  push (&fixture, 10, 26);
  assert_window (next_answer (&fixture), 0, 5);
  assert_no_message (&fixture, GST_MESSAGE_WARNING);
  fail_unless_equals_uint64 (total (&fixture, "untimed-frames"), 1);
  fixture_clear (&fixture);
}
GST_END_TEST;

/* Given reverse playback, frames pass, nothing is told, and one WARNING says why. */
GST_START_TEST (test_backwards)
{
  Fixture fixture;
  GstSegment segment;
  GstMessage *message;

  fixture_start (&fixture, element_new (0), "offline");
  gst_segment_init (&segment, GST_FORMAT_TIME);
  segment.rate = -1.0;
  segment.stop = 100 * GST_SECOND;
  push_event (&fixture, gst_event_new_segment (&segment));
  push (&fixture, 0, 40);
  message = next_message (&fixture, GST_MESSAGE_WARNING);
  fail_unless (message != NULL);
  gst_message_unref (message);
  assert_no_message (&fixture, TOLD);
  fixture_clear (&fixture);
}
GST_END_TEST;

/* Complaint 6: nobody says who waits for whom. Offline the video waits for the answers: given the same stream twice,
 * no window is lost, and the answers are the same, but for the time they took. */
GST_START_TEST (test_repeatable)
{
  GString *texts[2];

  for (guint run = 0; run < 2; run++) {
    Fixture fixture;
    GstMessage *message;

    texts[run] = g_string_new (NULL);
    fixture_start (&fixture, element_new (0), "offline");
    push (&fixture, 0, 123);
    push_event (&fixture, gst_event_new_eos ());
    while ((message = next_message (&fixture, GST_MESSAGE_ELEMENT))) {
      GstStructure *structure = gst_structure_copy (gst_message_get_structure (message));
      gchar *text;

      gst_structure_remove_field (structure, "latency");
      text = gst_structure_to_string (structure);
      g_string_append_printf (texts[run], "%s\n", text);
      g_free (text);
      gst_structure_free (structure);
      gst_message_unref (message);
    }
    fixture_clear (&fixture);
  }
  fail_unless (strlen (texts[0]->str) > 1000);
  fail_unless_equals_string (texts[0]->str, texts[1]->str);
  g_string_free (texts[0], TRUE);
  g_string_free (texts[1], TRUE);
}
GST_END_TEST;

/* ---- pictures stay where they are ---- */

/* A neighbour that offers a pool. */
static gboolean
offer_pool (GstPad *pad, GstObject *parent, GstQuery *query)
{
  GstBufferPool *pool;
  GstStructure *config;
  GstCaps *caps;

  if (GST_QUERY_TYPE (query) != GST_QUERY_ALLOCATION)
    return gst_pad_query_default (pad, parent, query);
  gst_query_parse_allocation (query, &caps, NULL);
  pool = gst_buffer_pool_new ();
  config = gst_buffer_pool_get_config (pool);
  gst_buffer_pool_config_set_params (config, caps, SIZE, 2, 0);
  gst_buffer_pool_set_config (pool, config);
  gst_query_add_allocation_pool (query, pool, SIZE, 2, 0);
  gst_object_unref (pool);
  return TRUE;
}

/* Given a buffer of our own, the same buffer comes out; given a shared one, another buffer with
 * the same memory, even if downstream offers a pool to copy into. */
GST_START_TEST (test_no_copy)
{
  Fixture fixture;
  GstBuffer *in, *out;
  GstMemory *memory;

  fixture_start (&fixture, element_new (0), "offline");
  gst_pad_set_query_function (fixture.harness->sinkpad, offer_pool);
  gst_harness_push_upstream_event (fixture.harness, gst_event_new_reconfigure ());
  push (&fixture, 0, 35);
  for (guint i = 0; i < 35; i++)
    gst_buffer_unref (gst_harness_pull (fixture.harness));

  in = picture_new (35); /* completes a window: carries the meta */
  memory = gst_buffer_peek_memory (in, 0);
  gst_harness_push (fixture.harness, gst_buffer_ref (in));
  out = gst_harness_pull (fixture.harness);
  fail_unless (out != in);
  fail_unless (meta_of (out) != NULL);
  fail_if (meta_of (in), "the meta is on the buffer of another branch");
  fail_unless (gst_buffer_peek_memory (out, 0) == memory, "the picture was copied");
  ASSERT_BUFFER_REFCOUNT (in, "in", 1);
  gst_buffer_unref (out);
  gst_buffer_unref (in);

  in = picture_new (36);
  gst_harness_push (fixture.harness, in);
  out = gst_harness_pull (fixture.harness);
  fail_unless (out == in);
  ASSERT_BUFFER_REFCOUNT (out, "out", 1);
  gst_buffer_unref (out);
  fixture_clear (&fixture);
}
GST_END_TEST;

static guint n_metas, n_seen;

static void
count_metas (GstElement *sink, GstBuffer *buffer, GstPad *pad, gpointer data)
{
  n_seen++;
  n_metas += meta_of (buffer) != NULL;
}

static GstPadProbeReturn
remember_memory (GstPad *pad, GstPadProbeInfo *info, gpointer data)
{
  g_ptr_array_add (data, gst_buffer_peek_memory (GST_PAD_PROBE_INFO_BUFFER (info), 0));
  return GST_PAD_PROBE_OK;
}

/* Given a tee before the element and conversion, scaling and a queue behind it, no picture is copied
 * by the element, and the meta arrives at the end. */
GST_START_TEST (test_meta_survives)
{
  GError *error = NULL;
  GstElement *pipeline;
  GPtrArray *before = g_ptr_array_new (), *after = g_ptr_array_new ();
  GstElement *guess, *sink;
  GstPad *pad;
  GstBus *bus;
  GstMessage *message;

  need_plugins ("coreelements", "videotestsrc", "videoconvertscale", NULL);
  pipeline = gst_parse_launch (
      "videotestsrc num-buffers=60 ! video/x-raw,format=I420,width=64,height=48,framerate=25/1 ! "
      "tee name=t t. ! queue ! fakesink t. ! queue ! "
      "cityguessr name=guess device=null model=" MODEL " sample-interval=200000000 ! "
      "queue ! videoconvert ! video/x-raw,format=RGB ! videoscale ! "
      "video/x-raw,width=32,height=24 ! fakesink name=sink signal-handoffs=true",
      &error);
  fail_unless (error == NULL, "%s", error ? error->message : "");
  guess = gst_bin_get_by_name (GST_BIN (pipeline), "guess");
  sink = gst_bin_get_by_name (GST_BIN (pipeline), "sink");
  n_metas = n_seen = 0;
  g_signal_connect (sink, "handoff", G_CALLBACK (count_metas), NULL);
  pad = gst_element_get_static_pad (guess, "sink");
  gst_pad_add_probe (pad, GST_PAD_PROBE_TYPE_BUFFER, remember_memory, before, NULL);
  gst_object_unref (pad);
  pad = gst_element_get_static_pad (guess, "src");
  gst_pad_add_probe (pad, GST_PAD_PROBE_TYPE_BUFFER, remember_memory, after, NULL);
  gst_object_unref (pad);

  gst_element_set_state (pipeline, GST_STATE_PLAYING);
  bus = gst_element_get_bus (pipeline);
  message = gst_bus_timed_pop_filtered (bus, 60 * GST_SECOND, GST_MESSAGE_EOS | GST_MESSAGE_ERROR);
  fail_unless (message && GST_MESSAGE_TYPE (message) == GST_MESSAGE_EOS, "no EOS");
  gst_message_unref (message);
  gst_element_set_state (pipeline, GST_STATE_NULL);

  fail_unless_equals_int (n_seen, 60);
  fail_unless_equals_int (n_metas, 3); /* completed by the frames 35, 45, 55 */
  fail_unless_equals_int (before->len, after->len);
  for (guint i = 0; i < before->len; i++)
    fail_unless (before->pdata[i] == after->pdata[i], "frame %u was copied", i);

  g_ptr_array_free (before, TRUE);
  g_ptr_array_free (after, TRUE);
  gst_object_unref (bus);
  gst_object_unref (guess);
  gst_object_unref (sink);
  gst_object_unref (pipeline);
}
GST_END_TEST;

/* Given an ALLOCATION query, upstream and downstream agree as if the element were not there. */
GST_START_TEST (test_allocation)
{
  Fixture fixture;
  GstCaps *caps = gst_caps_from_string (CAPS);
  GstQuery *query = gst_query_new_allocation (caps, TRUE);
  guint index;

  fixture_start (&fixture, element_new (0), "offline");
  gst_harness_add_propose_allocation_meta (fixture.harness, GST_VIDEO_META_API_TYPE, NULL);
  push (&fixture, 0, 1);
  fail_unless (gst_pad_peer_query (fixture.harness->srcpad, query));
  fail_unless (gst_query_find_allocation_meta (query, GST_VIDEO_META_API_TYPE, &index));
  gst_query_unref (query);
  gst_caps_unref (caps);
  fixture_clear (&fixture);
}
GST_END_TEST;

/* Given a LATENCY query, the element adds nothing. */
GST_START_TEST (test_latency)
{
  Fixture fixture;

  fixture_start (&fixture, element_new (0), "auto");
  gst_harness_set_upstream_latency (fixture.harness, 40 * GST_MSECOND);
  fail_unless_equals_clocktime (gst_harness_query_latency (fixture.harness), 40 * GST_MSECOND);
  fixture_clear (&fixture);
}
GST_END_TEST;

static Suite *
cityguessr_suite (void)
{
  Suite *suite = suite_create ("cityguessr");
  TCase *windows = tcase_create ("windows");
  TCase *pictures = tcase_create ("pictures");

  suite_add_tcase (suite, windows);
  tcase_add_test (windows, test_windows);
  tcase_add_test (windows, test_model_interval);
  tcase_add_loop_test (windows, test_eos_comes_last, 0, 2);
  tcase_add_test (windows, test_partial);
  tcase_add_test (windows, test_segment_done);
  tcase_add_test (windows, test_gap_event);
  tcase_add_test (windows, test_discont);
  tcase_add_test (windows, test_break);
  tcase_add_test (windows, test_new_segment);
  tcase_add_test (windows, test_outside_segment);
  tcase_add_test (windows, test_caps_change);
  tcase_add_test (windows, test_gap_flag);
  tcase_add_test (windows, test_no_duration);
  tcase_add_test (windows, test_variable_rate_caps);
  tcase_add_test (windows, test_untimed);
  tcase_add_test (windows, test_mostly_untimed);
  tcase_add_test (windows, test_nothing_told);
  tcase_add_test (windows, test_untimed_in_the_middle);
  tcase_add_test (windows, test_backwards);
  tcase_add_test (windows, test_repeatable);

  suite_add_tcase (suite, pictures);
  tcase_add_test (pictures, test_no_copy);
  tcase_add_test (pictures, test_meta_survives);
  tcase_add_test (pictures, test_allocation);
  tcase_add_test (pictures, test_latency);

  add_live_tests (suite);
  add_settings_tests (suite);
  return suite;
}

GST_CHECK_MAIN (cityguessr)
