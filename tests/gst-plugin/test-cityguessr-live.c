/* The element under time pressure: live streams, and waits that have to end.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "element-fixture.h"

/* ---- live ---- */

static gboolean
is_live (Fixture *fixture)
{
  GstStructure *stats = NULL;
  gboolean live = FALSE;

  g_object_get (fixture->element, "stats", &stats, NULL);
  fail_unless (gst_structure_get_boolean (stats, "live", &live));
  gst_structure_free (stats);
  return live;
}

/* Given processing-mode=auto, the live flag of upstream decides, also when it changes. */
GST_START_TEST (test_auto_mode)
{
  Fixture fixture;
  GstElement *element = element_new (0);

  fixture_start (&fixture, element, "auto");
  gst_harness_set_live (fixture.harness, FALSE);
  push (&fixture, 0, 1);
  fail_if (is_live (&fixture));

  gst_harness_set_live (fixture.harness, TRUE);
  push (&fixture, 1, 1);
  fail_if (is_live (&fixture), "asked again without a reason");
  gst_harness_push_upstream_event (fixture.harness, gst_event_new_latency (0));
  push (&fixture, 2, 1);
  fail_unless (is_live (&fixture));

  gst_util_set_object_arg (G_OBJECT (element), "processing-mode", "offline");
  push (&fixture, 3, 1);
  fail_if (is_live (&fixture));
  fixture_clear (&fixture);
}
GST_END_TEST;

/* Given an engine that is far behind, video does not wait: of six windows the engine computes at most
 * the first one, the newest one waits, those between are dropped and counted. The newest answer rides on the
 * next buffer. */
GST_START_TEST (test_live_drops)
{
  Fixture fixture;
  GstMessage *message;
  GstBuffer *buffer;
  guint64 dropped, id = 0;
  gint64 begun = g_get_monotonic_time ();

  fixture_start (&fixture, element_new (3 * SECONDS_TO_US), "live");
  push (&fixture, 0, 86);
  fail_unless (g_get_monotonic_time () - begun < 3 * SECONDS_TO_US, "video waited");
  dropped = total (&fixture, "dropped");
  fail_unless_equals_uint64 (total (&fixture, "windows"), 6);
  fail_unless (dropped == 4 || dropped == 5, "%" G_GUINT64_FORMAT " dropped", dropped);
  fail_unless_equals_uint64 (total (&fixture, "pending"), 6 - dropped);
  for (guint i = 0; i < dropped; i++) {
    message = next_message (&fixture, GST_MESSAGE_QOS);
    fail_unless (message != NULL, "%u QOS messages, %" G_GUINT64_FORMAT " dropped", i, dropped);
    gst_message_unref (message);
  }

  wait_for_total (&fixture, "answered", 6 - dropped);
  fail_unless_equals_uint64 (total (&fixture, "pending"), 0);
  fail_unless_equals_uint64 (total (&fixture, "answered"), 6 - dropped);
  while ((message = next_message (&fixture, GST_MESSAGE_ELEMENT))) {
    id = get_uint64 (gst_message_get_structure (message), "window-id");
    gst_message_unref (message);
  }
  fail_unless_equals_uint64 (id, 5);

  push (&fixture, 86, 1);
  for (guint i = 0; i < 87; i++) {
    buffer = gst_harness_pull (fixture.harness);
    fail_unless ((meta_of (buffer) != NULL) == (i == 86), "buffer %u", i);
    gst_buffer_unref (buffer);
  }
  fixture_clear (&fixture);
}
GST_END_TEST;

/* Given a dropped window, the QOS message carries its times and the totals. */
GST_START_TEST (test_qos_message)
{
  Fixture fixture;
  GstMessage *message;
  gboolean live;
  guint64 running_time, stream_time, timestamp, duration, processed, dropped;
  GstFormat format;

  fixture_start (&fixture, element_new (20 * SECONDS_TO_US), "live");
  push (&fixture, 0, 66); /* windows 0 … 3; at most 0 is computed, 1 or 2 have to go */
  message = next_message (&fixture, GST_MESSAGE_QOS);
  fail_unless (message != NULL);
  gst_message_parse_qos (message, &live, &running_time, &stream_time, &timestamp, &duration);
  fail_unless (live);
  fail_unless (timestamp == 0 || timestamp == 10 * FRAME_TIME);
  fail_unless_equals_uint64 (running_time, timestamp);
  fail_unless_equals_uint64 (stream_time, timestamp);
  fail_unless_equals_uint64 (duration, 36 * FRAME_TIME);
  gst_message_parse_qos_stats (message, &format, &processed, &dropped);
  fail_unless_equals_int (format, GST_FORMAT_DEFAULT);
  fail_unless_equals_uint64 (processed, 0);
  fail_unless_equals_uint64 (dropped, 1);
  gst_message_unref (message);
  fixture_clear (&fixture); /* and none of it waits for the engine */
}
GST_END_TEST;

/* ---- waits end ---- */

static gpointer
push_in_thread (gpointer data)
{
  Fixture *fixture = data;
  GstFlowReturn flow = GST_FLOW_OK;

  for (guint i = 0; i < 36 && flow == GST_FLOW_OK; i++)
    flow = gst_harness_push (fixture->harness, picture_new (i));
  return GINT_TO_POINTER (flow);
}

static gpointer
push_short_in_thread (gpointer data)
{
  Fixture *fixture = data;

  push (fixture, 0, 10);
  gst_harness_push_event (fixture->harness, gst_event_new_eos ());
  return GINT_TO_POINTER (GST_FLOW_OK);
}

/* The streaming thread is in its wait, or about to enter it. */
static void
wait_until_pending (Fixture *fixture)
{
  while (total (fixture, "pending") == 0)
    g_thread_yield ();
}

/* Given a streaming thread that waits for an answer, a flush wakes it; the window is never
 * answered, and after the flush the stream begins anew. */
GST_START_TEST (test_flush)
{
  Fixture fixture;
  GstSegment segment;
  GThread *thread;
  gint64 begun = g_get_monotonic_time ();

  fixture_start (&fixture, element_new (100 * SECONDS_TO_US), "offline");
  thread = g_thread_new ("streaming", push_in_thread, &fixture);
  wait_until_pending (&fixture);
  push_event (&fixture, gst_event_new_flush_start ());
  fail_unless_equals_int (GPOINTER_TO_INT (g_thread_join (thread)), GST_FLOW_FLUSHING);
  push_event (&fixture, gst_event_new_flush_stop (TRUE));
  fail_unless_equals_uint64 (total (&fixture, "pending"), 0);
  fail_unless_equals_uint64 (total (&fixture, "flushed"), 1);

  gst_segment_init (&segment, GST_FORMAT_TIME);
  push_event (&fixture, gst_event_new_segment (&segment));
  push (&fixture, 0, 3); /* with what was flushed, it would be more than min-samples */
  push_event (&fixture, gst_event_new_eos ());
  assert_no_message (&fixture, TOLD);
  fail_unless (g_get_monotonic_time () - begun < 50 * SECONDS_TO_US);
  fixture_clear (&fixture);
}
GST_END_TEST;

/* Given samples and a flush, they are forgotten: neither the new segment nor EOS answers them. */
GST_START_TEST (test_flush_forgets)
{
  Fixture fixture;
  GstSegment segment;

  fixture_start (&fixture, element_new (0), "offline");
  push (&fixture, 0, 10);
  push_event (&fixture, gst_event_new_flush_start ());
  push_event (&fixture, gst_event_new_flush_stop (TRUE));
  gst_segment_init (&segment, GST_FORMAT_TIME);
  push_event (&fixture, gst_event_new_segment (&segment));
  assert_no_message (&fixture, TOLD);
  push (&fixture, 10, 3); /* with what was flushed, more than min-samples */
  push_event (&fixture, gst_event_new_eos ());
  assert_no_message (&fixture, GST_MESSAGE_ELEMENT);
  fixture_clear (&fixture);
}
GST_END_TEST;

/* Holds the poster of the first answer until it is let go. */
typedef struct {
  GMutex lock;
  GCond changed;
  gboolean holds, let_go;
} Gate;

static GstBusSyncReply
hold_first_answer (GstBus *bus, GstMessage *message, gpointer data)
{
  Gate *gate = data;

  if (GST_MESSAGE_TYPE (message) != GST_MESSAGE_ELEMENT)
    return GST_BUS_PASS;
  g_mutex_lock (&gate->lock);
  gate->holds = TRUE;
  g_cond_broadcast (&gate->changed);
  while (!gate->let_go)
    g_cond_wait (&gate->changed, &gate->lock);
  g_mutex_unlock (&gate->lock);
  return GST_BUS_PASS;
}

/* Given a flush while an answer is being posted, the flush does not wait, and that answer counts
 * as flushed: it is not taken for the answer of a window after the flush. */
GST_START_TEST (test_flush_while_posting)
{
  Fixture fixture;
  GstSegment segment;
  Gate gate = { 0 };

  fixture_start (&fixture, element_new (0), "live");
  gst_bus_set_sync_handler (fixture.bus, hold_first_answer, &gate, NULL);
  push (&fixture, 0, 36);
  g_mutex_lock (&gate.lock);
  while (!gate.holds)
    g_cond_wait (&gate.changed, &gate.lock);
  g_mutex_unlock (&gate.lock);

  push_event (&fixture, gst_event_new_flush_start ());
  push_event (&fixture, gst_event_new_flush_stop (TRUE));
  gst_segment_init (&segment, GST_FORMAT_TIME);
  push_event (&fixture, gst_event_new_segment (&segment));
  push (&fixture, 40, 36);
  g_mutex_lock (&gate.lock);
  gate.let_go = TRUE;
  g_cond_broadcast (&gate.changed);
  g_mutex_unlock (&gate.lock);
  push_event (&fixture, gst_event_new_eos ());

  assert_window (next_answer (&fixture), 0, 5); /* it was on its way already */
  assert_window (next_answer (&fixture), 40, 5);
  fail_unless_equals_uint64 (total (&fixture, "windows"), 2);
  fail_unless_equals_uint64 (total (&fixture, "flushed"), 1);
  fail_unless_equals_uint64 (total (&fixture, "answered"), 1);
  fixture_clear (&fixture);
}
GST_END_TEST;

/* Given an EOS that waits, a flush lets it go. */
GST_START_TEST (test_flush_during_drain)
{
  Fixture fixture;
  GThread *thread;

  fixture_start (&fixture, element_new (100 * SECONDS_TO_US), "offline");
  thread = g_thread_new ("streaming", push_short_in_thread, &fixture);
  wait_until_pending (&fixture);
  push_event (&fixture, gst_event_new_flush_start ());
  g_thread_join (thread);
  push_event (&fixture, gst_event_new_flush_stop (TRUE));
  assert_no_message (&fixture, GST_MESSAGE_ELEMENT);
  fixture_clear (&fixture);
}
GST_END_TEST;

/* Given a window that takes very long, the state change to NULL does not wait for it, whether the
 * streaming thread waits for an answer (offline, or in EOS) or not (live). */
GST_START_TEST (test_stop_while_computing)
{
  static const gchar *const modes[] = { "offline", "live", "offline" };
  Fixture fixture;
  GThread *thread;
  gint64 begun = g_get_monotonic_time ();

  fixture_start (&fixture, element_new (100 * SECONDS_TO_US), modes[__i__]);
  thread = g_thread_new ("streaming", __i__ == 2 ? push_short_in_thread : push_in_thread, &fixture);
  wait_until_pending (&fixture);
  fail_unless_equals_int (gst_element_set_state (fixture.element, GST_STATE_NULL),
                          GST_STATE_CHANGE_SUCCESS);
  g_thread_join (thread);
  assert_no_message (&fixture, GST_MESSAGE_ELEMENT);
  fail_unless (g_get_monotonic_time () - begun < 50 * SECONDS_TO_US);
  fixture_clear (&fixture);
}
GST_END_TEST;

/* Given a source pad that is shut already, as in the middle of PLAYING->READY, upstream hears FLUSHING
 * with whatever comes, not a failure that it would tell the user: "Internal data stream error". */
static void
check_shut_source_pad (GstEvent *event)
{
  Fixture fixture;
  GstPad *src;

  fixture_start (&fixture, element_new (0), "offline");
  push (&fixture, 0, 5);
  src = gst_element_get_static_pad (fixture.element, "src");
  fail_unless (gst_pad_set_active (src, FALSE));
  gst_harness_push_event (fixture.harness, gst_event_ref (event));
  fail_unless_equals_string (
      gst_flow_get_name (gst_harness_push (fixture.harness, picture_new (5))), "flushing");
  assert_no_message (&fixture, GST_MESSAGE_ERROR | GST_MESSAGE_WARNING);
  gst_object_unref (src);
  fixture_clear (&fixture);
  gst_event_unref (event);
}

GST_START_TEST (test_shut_source_pad)
{
  g_autoptr (GstCaps) caps = gst_caps_from_string (CAPS ",pixel-aspect-ratio=2/1");
  GstSegment segment;

  gst_segment_init (&segment, GST_FORMAT_TIME);
  segment.start = GST_MSECOND;
  check_shut_source_pad (gst_event_new_stream_start ("another"));
  check_shut_source_pad (gst_event_new_caps (caps));
  check_shut_source_pad (gst_event_new_segment (&segment));
  check_shut_source_pad (gst_event_new_tag (gst_tag_list_new (GST_TAG_TITLE, "another", NULL)));
}
GST_END_TEST;

/* Given PAUSED->READY, all stream state is forgotten: the same frames again give the first window
 * again, under the same number. */
GST_START_TEST (test_restart)
{
  Fixture fixture;

  fixture_start (&fixture, element_new (0), "offline");
  for (guint run = 0; run < 3; run++) {
    GstStructure *answer;

    push (&fixture, 0, 36);
    answer = next_answer (&fixture);
    fail_unless_equals_uint64 (get_uint64 (answer, "window-id"), 0);
    assert_window (answer, 0, 5);
    push (&fixture, 36, 5);
    gst_element_set_state (fixture.element, GST_STATE_READY);
    gst_element_set_state (fixture.element, GST_STATE_PLAYING);
    fail_unless_equals_uint64 (total (&fixture, "frames"), 0);
    gst_harness_set_src_caps_str (fixture.harness, CAPS);
  }
  assert_no_message (&fixture, TOLD);
  fixture_clear (&fixture);
}
GST_END_TEST;

/* Given a thousand state cycles, each with frames, no thread stays behind. */
GST_START_TEST (test_state_cycles)
{
  GstElement *element = element_new (0);
  guint threads;

  fail_unless_equals_int (gst_element_set_state (element, GST_STATE_READY),
                          GST_STATE_CHANGE_SUCCESS);
  threads = thread_count ();
  for (guint i = 0; i < 1000; i++) {
    fail_unless_equals_int (gst_element_set_state (element, GST_STATE_PAUSED),
                            GST_STATE_CHANGE_SUCCESS);
    fail_unless_equals_int (gst_element_set_state (element, GST_STATE_READY),
                            GST_STATE_CHANGE_SUCCESS);
    if (i == 0)
      threads = thread_count (); /* with the engine's own, which stays until NULL */
  }
  wait_for_threads (threads);
  fail_unless_equals_int (gst_element_set_state (element, GST_STATE_NULL),
                          GST_STATE_CHANGE_SUCCESS);
  ASSERT_OBJECT_REFCOUNT (element, "element", 1);
  gst_object_unref (element);
}
GST_END_TEST;

void
add_live_tests (Suite *suite)
{
  TCase *live = tcase_create ("live");
  TCase *waits = tcase_create ("waits");

  suite_add_tcase (suite, live);
  tcase_add_test (live, test_auto_mode);
  tcase_add_test (live, test_live_drops);
  tcase_add_test (live, test_qos_message);

  suite_add_tcase (suite, waits);
  tcase_add_test (waits, test_flush);
  tcase_add_test (waits, test_flush_forgets);
  tcase_add_test (waits, test_flush_while_posting);
  tcase_add_test (waits, test_flush_during_drain);
  tcase_add_loop_test (waits, test_stop_while_computing, 0, 3);
  tcase_add_test (waits, test_shut_source_pad);
  tcase_add_test (waits, test_restart);
  tcase_add_test (waits, test_state_cycles);
}
