/* The request pads: that nobody ever waits for who reads them, whatever that one takes, refuses or leaves lying.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "outputs-fixture.h"
#include "side-pad.h"

#include <gst/check/gstharness.h>

/* ---- caps ---- */

/* Given what the peer prefers, that is what it gets; markup is escaped, plain text is not. */
GST_START_TEST (test_formats)
{
  static const struct {
    const gchar *caps, *format, *text;
  } cases[] = {
    { UTF8, "utf8", "A & B" },
    { MARKUP, "pango-markup", "A &amp; B" },
    { "text/x-raw, format = { pango-markup, utf8 }", "pango-markup", "A &amp; B" },
    { "text/x-raw, format = { utf8, pango-markup }", "utf8", "A & B" },
    { "ANY", "utf8", "A & B" },
  };
  g_autofree gchar *expected = g_strdup_printf (
      "stream-start video/text 7 sparse\ncaps text/x-raw %s\nsegment 0 1\ntext* 0+1000 %s\n",
      cases[__i__].format, cases[__i__].text);
  Bench bench;

  bench_init (&bench);
  open_text (&bench, cases[__i__].caps);
  begin_stream (&bench);
  answer (&bench, "A & B", 0, 0);
  frames (&bench, 0, 40);
  expect_log (&bench.text, expected);
  bench_end (&bench);
}
GST_END_TEST;

/* Given a peer that changes its mind, the next caption is as it likes it. */
GST_START_TEST (test_renegotiation)
{
  Bench bench;

  bench_begin (&bench);
  answer (&bench, "A & B", 0, 0);
  frames (&bench, 0, 40);
  expect_log (&bench.text, TEXT_BEGINS "text* 0+1000 A & B\n");
  reader_set_caps (&bench.text, MARKUP);
  fail_unless (gst_pad_push_event (bench.text.pad, gst_event_new_reconfigure ()));
  frames (&bench, 40, 1040);
  expect_log (&bench.text, "caps text/x-raw pango-markup\ntext 1000+1000 A &amp; B\n");
  bench_end (&bench);
}
GST_END_TEST;

static void
wait_for_flow (Bench *bench, GstFlowReturn flow)
{
  gint64 end = deadline ();

  while (gst_city_guessr_outputs_get_flow (bench->outputs) != flow && g_get_monotonic_time () < end)
    g_usleep (500);
  fail_unless_equals_int (gst_city_guessr_outputs_get_flow (bench->outputs), flow);
}

/* Given a peer that takes neither, there is one ERROR that says so, and the flow of the video hears of it. */
GST_START_TEST (test_not_negotiated)
{
  Bench bench;

  bench_init (&bench);
  reader_init (&bench.text, "text/x-raw, format = iso-8859-1");
  bench.text_src = request (&bench, "text_src");
  fail_unless_equals_int (
      gst_pad_link_full (bench.text_src, bench.text.pad, GST_PAD_LINK_CHECK_NOTHING),
      GST_PAD_LINK_OK);
  begin_stream (&bench);
  frames (&bench, 0, 3000);
  expect_message (&bench, GST_MESSAGE_ERROR, "text_src");
  wait_for_flow (&bench, GST_FLOW_NOT_NEGOTIATED);
  send_event (&bench, gst_event_new_eos ());
  expect_log (&bench.text, "stream-start video/text 7 sparse\n");
  bench_end (&bench);
}
GST_END_TEST;

/* ---- flow returns ---- */

/* Given a peer that fails, there is one ERROR; a flush lets it try again. */
GST_START_TEST (test_failing_reader)
{
  Bench bench;

  bench_begin (&bench);
  answer (&bench, "Rome", 0, 0);
  bench.text.flow = GST_FLOW_ERROR;
  frames (&bench, 0, 40);
  wait_for_flow (&bench, GST_FLOW_ERROR);
  expect_message (&bench, GST_MESSAGE_ERROR, "text_src");
  frames (&bench, 40, 3000);
  g_mutex_lock (&bench.text.lock);
  bench.text.flow = GST_FLOW_OK;
  g_mutex_unlock (&bench.text.lock);
  send_event (&bench, gst_event_new_flush_start ());
  send_event (&bench, gst_event_new_flush_stop (TRUE));
  fail_unless_equals_int (gst_city_guessr_outputs_get_flow (bench.outputs), GST_FLOW_OK);
  send_segment (&bench, 0, GST_CLOCK_TIME_NONE, 1);
  frames (&bench, 0, 40);
  expect_log (&bench.text,
              TEXT_BEGINS "text* 0+1000 Rome\nflush-start\nflush-stop\nsegment 0 1\ngap 0+1000\n");
  bench_end (&bench);
}
GST_END_TEST;

/* Given a peer that wants no more, the rest is dropped without a word; it still gets EOS, or another segment. */
GST_START_TEST (test_sated_reader)
{
  Bench bench;

  bench_begin (&bench);
  answer (&bench, "Rome", 0, 0);
  bench.text.flow = GST_FLOW_EOS;
  frames (&bench, 0, 1040);
  fail_unless_equals_int (gst_city_guessr_outputs_get_flow (bench.outputs), GST_FLOW_OK);
  send_segment (&bench, 40, GST_CLOCK_TIME_NONE, 1);
  frames (&bench, 40, 3000);
  send_event (&bench, gst_event_new_eos ());
  expect_log (&bench.text,
              TEXT_BEGINS "text* 0+1000 Rome\nsegment 40 1\ntext* 40+1000 Rome\neos\n");
  bench_end (&bench);
}
GST_END_TEST;

static GstPadProbeReturn
count_buffer (GstPad *pad, GstPadProbeInfo *info, gpointer count)
{
  g_atomic_int_inc ((gint *)count);
  return GST_PAD_PROBE_OK;
}

/* Given no peer, nothing happens; one that comes later gets the sticky events, a GAP to preroll with, and the rest. */
GST_START_TEST (test_late_link)
{
  gint64 end = deadline ();
  gint said = 0;
  Bench bench;

  bench_init (&bench);
  bench.text_src = request (&bench, "text_src");
  gst_pad_add_probe (bench.text_src, GST_PAD_PROBE_TYPE_BUFFER, count_buffer, &said, NULL);
  begin_stream (&bench);
  answer (&bench, "A & B", 0, 0);
  frames (&bench, 0, 2040);
  while (g_atomic_int_get (&said) < 3 && g_get_monotonic_time () < end)
    g_usleep (500);
  fail_unless_equals_int (g_atomic_int_get (&said), 3);
  fail_unless_equals_int (gst_city_guessr_outputs_get_flow (bench.outputs), GST_FLOW_OK);
  reader_init (&bench.text, MARKUP);
  fail_unless_equals_int (gst_pad_link (bench.text_src, bench.text.pad), GST_PAD_LINK_OK);
  expect_in_log (&bench.text, "2000+");
  frames (&bench, 2040, 3040);
  send_event (&bench, gst_event_new_eos ());
  expect_in_log (&bench.text, " 3000+1000 A &amp; B\neos\n");
  g_mutex_lock (&bench.text.lock);
  fail_unless (g_str_has_prefix (bench.text.log->str,
                                 "stream-start video/text 7 sparse\ncaps text/x-raw pango-markup\n"
                                 "segment 0 1\n"),
               "%s", bench.text.log->str);
  g_mutex_unlock (&bench.text.lock);
  bench_end (&bench);
}
GST_END_TEST;

/* Given a pad that is unlinked and linked to another peer in the middle, that one gets what it needs. */
GST_START_TEST (test_relink)
{
  Bench bench;

  bench_begin (&bench);
  answer (&bench, "Rome", 0, 0);
  frames (&bench, 0, 40);
  expect_log (&bench.text, TEXT_BEGINS "text* 0+1000 Rome\n");
  gst_pad_unlink (bench.text_src, bench.text.pad);
  reader_init (&bench.json, UTF8);
  fail_unless_equals_int (gst_pad_link (bench.text_src, bench.json.pad), GST_PAD_LINK_OK);
  frames (&bench, 40, 1040);
  expect_log (&bench.json, TEXT_BEGINS "text 1000+1000 Rome\n");
  bench_end (&bench);
}
GST_END_TEST;

/* ---- flushes, and slow readers ---- */

/* Given a flush while the reader keeps the task, the reader is freed, what waited is gone, and nothing of before is said
 * after it. */
GST_START_TEST (test_flush)
{
  Bench bench;

  bench_begin (&bench);
  open_json (&bench);
  answer (&bench, "Rome", 0, 0);
  reader_set_block (&bench.text, TRUE);
  frames (&bench, 0, 10000);
  expect_in_log (&bench.json, JSON_BEGINS);
  wait_until_blocked (&bench.text);
  send_event (&bench, gst_event_new_flush_start ());
  frames (&bench, 10000, 12000); /* taken by nobody */
  send_event (&bench, gst_event_new_flush_stop (TRUE));
  reader_set_block (&bench.text, FALSE);
  send_segment (&bench, 5000, GST_CLOCK_TIME_NONE, 1);
  frames (&bench, 5000, 5040);
  send_event (&bench, gst_event_new_eos ());
  expect_log (&bench.text, TEXT_BEGINS "text* 0+1000 Rome\nflush-start\nflush-stop\n"
                                       "segment 5000 1\ngap 5000+1000\neos\n");
  expect_in_log (&bench.json, "flush-stop\nsegment 5000 1\ngap 5000+0\neos\n");
  bench_end (&bench);
}
GST_END_TEST;

/* Given another stream that begins behind a reader that keeps the task, a flush does not take it away. */
GST_START_TEST (test_flush_keeps_stream)
{
  Bench bench;

  bench_begin (&bench);
  reader_set_block (&bench.text, TRUE);
  frames (&bench, 0, 40);
  wait_until_blocked (&bench.text);
  send_event (&bench, stream_start_new ("next"));
  send_segment (&bench, 0, GST_CLOCK_TIME_NONE, 1);
  send_event (&bench, gst_event_new_flush_start ());
  send_event (&bench, gst_event_new_flush_stop (TRUE));
  reader_set_block (&bench.text, FALSE);
  send_segment (&bench, 1000, GST_CLOCK_TIME_NONE, 1);
  expect_log (&bench.text, TEXT_BEGINS "gap 0+1000\nflush-start\nflush-stop\n"
                                       "stream-start next/text 7 sparse\nsegment 1000 1\n");
  bench_end (&bench);
}
GST_END_TEST;

/* Given EOS that waits behind a reader that keeps the task, a flush takes it back. */
GST_START_TEST (test_flush_after_eos)
{
  Bench bench;

  bench_begin (&bench);
  reader_set_block (&bench.text, TRUE);
  frames (&bench, 0, 40);
  wait_until_blocked (&bench.text);
  send_event (&bench, gst_event_new_eos ());
  send_event (&bench, gst_event_new_flush_start ());
  send_event (&bench, gst_event_new_flush_stop (TRUE));
  reader_set_block (&bench.text, FALSE);
  send_segment (&bench, 0, GST_CLOCK_TIME_NONE, 1);
  frames (&bench, 0, 40);
  send_event (&bench, gst_event_new_eos ());
  expect_log (&bench.text,
              TEXT_BEGINS "gap 0+1000\nflush-start\nflush-stop\nsegment 0 1\ngap 0+1000\neos\n");
  bench_end (&bench);
}
GST_END_TEST;

/* Given a reader that was unlinked while it kept the task, a flush of the stream ends all the same. */
GST_START_TEST (test_flush_after_unlink)
{
  Bench bench;

  bench_begin (&bench);
  reader_set_block (&bench.text, TRUE);
  frames (&bench, 0, 40);
  wait_until_blocked (&bench.text);
  gst_pad_unlink (bench.text_src, bench.text.pad);
  send_event (&bench, gst_event_new_flush_start ());
  send_event (&bench, gst_event_new_flush_stop (TRUE));
  expect_log (&bench.text, TEXT_BEGINS "gap 0+1000\nflush-start\nflush-stop\n");
  bench_end (&bench);
}
GST_END_TEST;

/* Given a reader that takes nothing for hours, the oldest captions go, with one WARNING; GAPs cost nothing. */
GST_START_TEST (test_bounded)
{
  const guint most = GST_CITY_GUESSR_SIDE_PAD_MAX_QUEUED;
  const guint begin = 1, gaps = 10000, last = begin + gaps + 2 * most;
  g_autofree gchar *expected = NULL;
  Bench bench;

  bench_begin (&bench);
  open_json (&bench); /* read all the time */
  answer (&bench, "Rome", 0, 0);
  reader_set_block (&bench.text, TRUE);
  frames (&bench, 0, 40);
  wait_until_blocked (&bench.text);
  answer (&bench, NULL, 0, 0);
  for (guint i = begin; i < begin + gaps; i++)
    gst_city_guessr_outputs_advance (bench.outputs, i * STEP);
  fail_unless (take_message (&bench) == NULL, "GAPs were not joined");
  answer (&bench, "Rome", 0, 0);
  for (guint i = begin + gaps; i < last; i++)
    gst_city_guessr_outputs_advance (bench.outputs, i * STEP);
  expect_message (&bench, GST_MESSAGE_WARNING, "text_src");
  send_event (&bench, gst_event_new_eos ()); /* takes the place of one more */
  reader_set_block (&bench.text, FALSE);
  expected =
      g_strdup_printf (TEXT_BEGINS "text* 0+1000 Rome\ntext %u000+1000 Rome\n", last - most + 1);
  expect_in_log (&bench.text, expected);
  expect_in_log (&bench.text, "eos\n");
  fail_unless_equals_int (bench.text.texts, most);
  bench_end (&bench);
}
GST_END_TEST;

/* ---- upstream ---- */

static GstPadProbeReturn
count_event (GstPad *pad, GstPadProbeInfo *info, gpointer data)
{
  if (GST_EVENT_TYPE (GST_PAD_PROBE_INFO_EVENT (info)) == GST_EVENT_QOS ||
      GST_EVENT_TYPE (GST_PAD_PROBE_INFO_EVENT (info)) == GST_EVENT_RECONFIGURE)
    g_atomic_int_inc ((gint *)data);
  return GST_PAD_PROBE_OK;
}

/* The latency is the video's; QOS and RECONFIGURE of who reads captions are not. */
GST_START_TEST (test_upstream)
{
  GstQuery *query = gst_query_new_latency ();
  GstClockTime least = 0, most = 0;
  gboolean live = FALSE;
  GstHarness *harness;
  GstPad *sink;
  gint events = 0;
  Bench bench;

  bench_init (&bench);
  open_text (&bench, UTF8);
  harness = gst_harness_new_with_element (bench.element, "sink", "src");
  gst_harness_set_upstream_latency (harness, 70 * GST_MSECOND);
  gst_harness_set_live (harness, TRUE);
  fail_unless (gst_pad_peer_query (bench.text.pad, query));
  gst_query_parse_latency (query, &live, &least, &most);
  fail_unless (live);
  fail_unless_equals_uint64 (least, 70 * GST_MSECOND);
  gst_query_unref (query);

  sink = gst_element_get_static_pad (bench.element, "sink");
  gst_pad_add_probe (sink, GST_PAD_PROBE_TYPE_EVENT_UPSTREAM, count_event, &events, NULL);
  gst_pad_push_event (bench.text.pad, gst_event_new_qos (GST_QOS_TYPE_UNDERFLOW, 2., 100, 0));
  gst_pad_push_event (bench.text.pad, gst_event_new_reconfigure ());
  fail_unless_equals_int (g_atomic_int_get (&events), 0);
  gst_object_unref (sink);
  gst_harness_teardown (harness);
  bench_end (&bench);
}
GST_END_TEST;

void
add_reader_tests (Suite *suite)
{
  TCase *flows = tcase_create ("who reads it");

  suite_add_tcase (suite, flows);
  tcase_add_loop_test (flows, test_formats, 0, 5);
  tcase_add_test (flows, test_renegotiation);
  tcase_add_test (flows, test_not_negotiated);
  tcase_add_test (flows, test_failing_reader);
  tcase_add_test (flows, test_sated_reader);
  tcase_add_test (flows, test_late_link);
  tcase_add_test (flows, test_relink);
  tcase_add_test (flows, test_flush);
  tcase_add_test (flows, test_flush_keeps_stream);
  tcase_add_test (flows, test_flush_after_eos);
  tcase_add_test (flows, test_flush_after_unlink);
  tcase_add_test (flows, test_bounded);
  tcase_add_test (flows, test_upstream);
}
