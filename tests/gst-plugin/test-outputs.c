/* The request pads: what is said on them and when, and that nobody ever waits for who reads them.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "outputs-fixture.h"

#include "answer-json.h"
#include "system-plugins.h"

#include <glib/gstdio.h>
#include <gst/check/gstharness.h>

/* ---- captions ---- */

/* Given frames and answers, captions and GAPs cover the time step by step, each caption from where the one before ends;
 * the answer that is given before a frame counts at this frame. */
GST_START_TEST (test_captions)
{
  Bench bench;

  bench_begin (&bench);
  frames (&bench, 0, 1000);
  expect_log (&bench.text, TEXT_BEGINS "gap 0+1000\n");
  answer (&bench, "Rome", 0, 1000);
  frames (&bench, 1000, 2520);
  answer (&bench, "Paris", 0, 2520);
  frames (&bench, 2520, 4000);
  answer (&bench, NULL, 2000, 2000);
  frames (&bench, 4000, 5040);
  send (&bench, gst_event_new_eos ());
  expect_log (
      &bench.text,
      "text* 1000+1000 Rome\ntext 2000+1000 Rome\ntext 3000+1000 Paris\ngap 4000+2000\neos\n");
  bench_end (&bench);
}
GST_END_TEST;

/* Given frames that are not on the grid, and fewer than one to a step, nothing is left uncovered. */
GST_START_TEST (test_coarse_frames)
{
  static const guint times[] = { 100, 1350, 2090, 5200, 6099, 6100 };
  Bench bench;

  bench_begin (&bench);
  for (guint i = 0; i < G_N_ELEMENTS (times); i++) {
    gst_city_guessr_outputs_advance (bench.outputs, times[i] * GST_MSECOND, GST_CLOCK_TIME_NONE);
    answer (&bench, "Rome", 100, 10);
  }
  send (&bench, gst_event_new_eos ());
  expect_log (&bench.text, TEXT_BEGINS "gap 100+1000\ntext* 1100+1000 Rome\ntext 2100+4000 Rome\n"
                                       "text 6100+1000 Rome\neos\n");
  bench_end (&bench);
}
GST_END_TEST;

/* Given a frame that is early by a rounding error, it counts as the one that is due: textoverlay may round it up. */
GST_START_TEST (test_rounded_time)
{
  Bench bench;

  bench_begin (&bench);
  frames (&bench, 0, 40);
  gst_city_guessr_outputs_advance (bench.outputs, GST_SECOND - 1, GST_CLOCK_TIME_NONE);
  expect_log (&bench.text, TEXT_BEGINS "gap 0+2000\n");
  bench_end (&bench);
}
GST_END_TEST;

/* Given a break, the caption ends, the grid begins anew, and a late answer of before is not shown. */
GST_START_TEST (test_forget)
{
  Bench bench;

  bench_begin (&bench);
  answer (&bench, "Rome", 0, 0);
  frames (&bench, 0, 1200);
  forget (&bench);
  answer (&bench, "Oslo", 0, 1000);
  frames (&bench, 1200, 1240);
  answer (&bench, "Oslo", 200, 1000);
  frames (&bench, 1240, 3000);
  answer (&bench, "Paris", 1200, 1000);
  frames (&bench, 3000, 3240);
  send (&bench, gst_event_new_eos ());
  expect_log (&bench.text, TEXT_BEGINS "text* 0+1000 Rome\ntext 1000+1000 Rome\ngap 2000+1200\n"
                                       "text 3200+1000 Paris\neos\n");
  bench_end (&bench);
}
GST_END_TEST;

/* Given time that jumps back within a segment, nothing is said a second time. */
GST_START_TEST (test_never_backwards)
{
  Bench bench;

  bench_begin (&bench);
  open_json (&bench);
  frames (&bench, 3000, 3040);
  forget (&bench);
  frames (&bench, 0, 3960);
  answer (&bench, "Rome", 0, 1000);
  frames (&bench, 3960, 4040);
  send (&bench, gst_event_new_eos ());
  expect_log (&bench.text, TEXT_BEGINS "gap 3000+1000\ntext* 4000+1000 Rome\neos\n");
  expect_log (&bench.json, JSON_BEGINS "gap 3000+0\nline* 3920\ngap 3920+80\neos\n");
  bench_end (&bench);
}
GST_END_TEST;

/* Given a GAP of the video, the caption goes on through it. */
GST_START_TEST (test_video_gap)
{
  Bench bench;

  bench_begin (&bench);
  answer (&bench, "Rome", 0, 0);
  frames (&bench, 0, 40);
  send (&bench, gst_event_new_gap (40 * GST_MSECOND, 1960 * GST_MSECOND));
  answer (&bench, "Paris", 0, 0);
  send (&bench, gst_event_new_gap (2000 * GST_MSECOND, GST_CLOCK_TIME_NONE));
  send (&bench, gst_event_new_eos ());
  expect_log (&bench.text,
              TEXT_BEGINS "text* 0+1000 Rome\ntext 1000+1000 Rome\ntext 2000+1000 Paris\neos\n");
  bench_end (&bench);
}
GST_END_TEST;

/* Given another segment, captions go on in its time; the same one again changes nothing. What is said stays inside. */
GST_START_TEST (test_segments)
{
  Bench bench;

  bench_begin (&bench);
  answer (&bench, "Rome", 0, 0);
  frames (&bench, 0, 520);
  send_segment (&bench, 0, GST_CLOCK_TIME_NONE, 1);
  send (&bench, stream_start_new ("video"));
  frames (&bench, 520, 1040);
  send_segment (&bench, 5020, 6 * GST_SECOND, 1);
  frames (&bench, 5000, 6000);
  send (&bench, gst_event_new_segment_done (GST_FORMAT_TIME, 6 * GST_SECOND));
  send (&bench, stream_start_new ("next"));
  send_segment (&bench, 0, GST_CLOCK_TIME_NONE, 1);
  frames (&bench, 0, 40);
  send (&bench, gst_event_new_eos ());
  expect_log (&bench.text, TEXT_BEGINS
              "text* 0+1000 Rome\ntext 1000+1000 Rome\nsegment 5020 1\ntext* 5020+980 Rome\n"
              "segment-done\nstream-start next/text 7 sparse\nsegment 0 1\ngap 0+1000\neos\n");
  bench_end (&bench);
}
GST_END_TEST;

/* Given video that runs backwards, nothing is said of it but one GAP. */
GST_START_TEST (test_backwards)
{
  Bench bench;

  bench_init (&bench);
  open_text (&bench, UTF8);
  open_json (&bench);
  send (&bench, stream_start_new ("video"));
  send_segment (&bench, 0, 10 * GST_SECOND, -1);
  answer (&bench, "Rome", 0, 0);
  for (guint t = 10000; t > 0; t -= 500)
    frames (&bench, t, t + 40);
  send (&bench, gst_event_new_gap (0, 10 * GST_SECOND));
  send (&bench, gst_event_new_eos ());
  expect_log (&bench.text, "stream-start video/text 7 sparse\ncaps text/x-raw utf8\n"
                           "segment 0 -1\ngap 0+10000\neos\n");
  bench_end (&bench);
}
GST_END_TEST;

/* Given another template while it plays, the next caption heeds it. */
GST_START_TEST (test_template)
{
  Bench bench;

  bench_begin (&bench);
  answer (&bench, "Rome", 0, 0);
  frames (&bench, 0, 40);
  gst_city_guessr_outputs_set_caption (bench.outputs, caption_new ("in {city}"));
  frames (&bench, 40, 1040);
  expect_log (&bench.text, TEXT_BEGINS "text* 0+1000 Rome\ntext 1000+1000 in Rome\n");
  bench_end (&bench);
}
GST_END_TEST;

/* ---- captions timed by windows ---- */

/* Given windows that overlap, each is a cue until the next one begins or it ends itself, equal ones that touch are one,
 * and the last one lasts to its end. */
GST_START_TEST (test_window_cues)
{
  Bench bench;

  bench_init (&bench);
  open_text (&bench, UTF8);
  gst_city_guessr_outputs_set_caption_timing (bench.outputs, GST_CITY_GUESSR_CAPTION_WINDOW);
  begin_stream (&bench);
  frames (&bench, 0, 4000);
  expect_log (&bench.text, TEXT_BEGINS "gap 0+0\n");
  answer (&bench, "Rome", 0, 4000);
  answer (&bench, "Rome", 2000, 4000);
  frames (&bench, 4000, 9000);
  answer (&bench, "Paris", 5000, 4000);
  expect_log (&bench.text, "text* 0+5000 Rome\n");
  answer (&bench, "Paris", 9000, 3000);  /* touches */
  answer (&bench, "Paris", 12040, 3000); /* does not */
  expect_log (&bench.text, "text 5000+7000 Paris\n");
  answer (&bench, NULL, 14000, 4000); /* withheld */
  expect_log (&bench.text, "text 12040+1960 Paris\n");
  answer (&bench, "Oslo", 20000, 4000);
  send (&bench, gst_event_new_eos ());
  expect_log (&bench.text, "text 20000+4000 Oslo\neos\n");
  bench_end (&bench);
}
GST_END_TEST;

/* Given early answers from the same start, the better one takes the place of the worse; cues never run backwards. */
GST_START_TEST (test_window_early_answers)
{
  Bench bench;

  bench_init (&bench);
  open_text (&bench, UTF8);
  gst_city_guessr_outputs_set_caption_timing (bench.outputs, GST_CITY_GUESSR_CAPTION_WINDOW);
  begin_stream (&bench);
  frames (&bench, 0, 9000);
  answer (&bench, "Oslo", 0, 1000);
  answer (&bench, "Bern", 0, 2000);
  answer (&bench, "Rome", 0, 4000);
  answer (&bench, "Paris", 2000, 4000);
  answer (&bench, "Kyiv", 1000, 4000);
  send (&bench, gst_event_new_eos ());
  expect_log (&bench.text, TEXT_BEGINS "gap 0+0\ntext* 0+2000 Rome\ntext 2000+3000 Kyiv\neos\n");
  bench_end (&bench);
}
GST_END_TEST;

/* Given a break, a new segment or the end of one, the cue that waits is said; an answer that comes too late for its
 * segment is not. */
GST_START_TEST (test_window_stretches)
{
  Bench bench;

  bench_init (&bench);
  open_text (&bench, UTF8);
  gst_city_guessr_outputs_set_caption_timing (bench.outputs, GST_CITY_GUESSR_CAPTION_WINDOW);
  begin_stream (&bench);
  frames (&bench, 0, 1000);
  answer (&bench, "Rome", 0, 1000);
  forget (&bench);
  frames (&bench, 1500, 2500);
  answer (&bench, "Paris", 1500, 1000);
  send (&bench, gst_event_new_segment_done (GST_FORMAT_TIME, 2500 * GST_MSECOND));
  answer (&bench, "Oslo", 2500, 1000);
  send_segment (&bench, 100, GST_CLOCK_TIME_NONE, 2);
  answer (&bench, "Bern", 2500, 1000); /* its running time was another */
  frames (&bench, 100, 140);
  send (&bench, gst_event_new_eos ());
  expect_log (&bench.text,
              TEXT_BEGINS "gap 0+0\ntext* 0+1000 Rome\ntext 1500+1000 Paris\nsegment-done\n"
                          "text 2500+1000 Oslo\nsegment 100 2\ngap 100+0\neos\n");
  bench_end (&bench);
}
GST_END_TEST;

/* Given another timing while it plays, the captions go on from where they are. */
GST_START_TEST (test_change_of_timing)
{
  Bench bench;

  bench_begin (&bench);
  answer (&bench, "Rome", 0, 0);
  frames (&bench, 0, 1240);
  gst_city_guessr_outputs_set_caption_timing (bench.outputs, GST_CITY_GUESSR_CAPTION_WINDOW);
  answer (&bench, "Paris", 1000, 4000);
  frames (&bench, 1240, 5240);
  gst_city_guessr_outputs_set_caption_timing (bench.outputs, GST_CITY_GUESSR_CAPTION_VIDEO);
  frames (&bench, 5240, 6040);
  send (&bench, gst_event_new_eos ());
  expect_log (&bench.text, TEXT_BEGINS "text* 0+1000 Rome\ntext 1000+1000 Rome\n"
                                       "text 2000+3000 Paris\ntext 6000+1000 Paris\neos\n");
  bench_end (&bench);
}
GST_END_TEST;

/* ---- JSON ---- */

/* Given answers, each is a line at the video's position; GAPs tell in between how far time has come. */
GST_START_TEST (test_json)
{
  Bench bench;

  bench_init (&bench);
  open_json (&bench);
  begin_stream (&bench);
  answer (&bench, "Oslo", 0, 0);
  answer (&bench, "Bern", 0, 0);
  frames (&bench, 120, 1040);
  answer (&bench, "Rome", 0, 1000);
  frames (&bench, 1040, 2160);
  answer (&bench, "Paris", 0, 1000);
  send (&bench, gst_event_new_eos ());
  expect_log (&bench.json, JSON_BEGINS "line* 120\nline 120\ngap 120+0\nline 1000\n"
                                       "gap 1000+1120\nline 2120\neos\n");
  bench_end (&bench);
}
GST_END_TEST;

/* Given an answer and no frame at all, its line comes at the segment's start. */
GST_START_TEST (test_json_without_frames)
{
  Bench bench;

  bench_init (&bench);
  open_json (&bench);
  send (&bench, stream_start_new ("video"));
  answer (&bench, "Rome", 0, 0);
  send_segment (&bench, 40, GST_CLOCK_TIME_NONE, 1);
  send (&bench, gst_event_new_eos ());
  expect_log (&bench.json, "stream-start video/json 7 sparse\ncaps application/x-json\n"
                           "segment 40 1\nline* 40\neos\n");
  bench_end (&bench);
}
GST_END_TEST;

/* A buffer is one answer as JSON, and nothing else. */
GST_START_TEST (test_json_line)
{
  g_autoptr (GstStructure) rome = answer_new ("Rome", 0, GST_SECOND);
  g_autofree gchar *expected = gst_city_guessr_answer_to_json (rome);
  Bench bench;

  bench_init (&bench);
  open_json (&bench);
  begin_stream (&bench);
  gst_city_guessr_outputs_answer (bench.outputs, rome);
  frames (&bench, 0, 40);
  expect_log (&bench.json, JSON_BEGINS "line* 0\ngap 0+0\n");
  fail_unless_equals_string (bench.json.last, expected);
  bench_end (&bench);
}
GST_END_TEST;

/* Given answers that come when there is no segment, nothing is said outside one. */
GST_START_TEST (test_answers_without_segment)
{
  Bench bench;

  bench_begin (&bench);
  gst_city_guessr_outputs_set_caption_timing (bench.outputs, GST_CITY_GUESSR_CAPTION_WINDOW);
  expect_log (&bench.text, TEXT_BEGINS);
  send (&bench, stream_start_new ("next"));
  answer (&bench, "Rome", 0, 1000);
  answer (&bench, "Paris", 1000, 1000);
  forget (&bench);
  send_segment (&bench, 0, GST_CLOCK_TIME_NONE, 1);
  frames (&bench, 0, 40);
  expect_log (&bench.text, "stream-start next/text 7 sparse\nsegment 0 1\ngap 0+0\n");
  bench_end (&bench);
}
GST_END_TEST;

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
  send (&bench, gst_event_new_eos ());
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
  send (&bench, gst_event_new_flush_start ());
  send (&bench, gst_event_new_flush_stop (TRUE));
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
  send (&bench, gst_event_new_eos ());
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
  send (&bench, gst_event_new_eos ());
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
  send (&bench, gst_event_new_eos ());
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
  send (&bench, gst_event_new_eos ());
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
  send (&bench, gst_event_new_flush_start ());
  frames (&bench, 10000, 12000); /* taken by nobody */
  send (&bench, gst_event_new_flush_stop (TRUE));
  reader_set_block (&bench.text, FALSE);
  send_segment (&bench, 5000, GST_CLOCK_TIME_NONE, 1);
  frames (&bench, 5000, 5040);
  send (&bench, gst_event_new_eos ());
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
  send (&bench, stream_start_new ("next"));
  send_segment (&bench, 0, GST_CLOCK_TIME_NONE, 1);
  send (&bench, gst_event_new_flush_start ());
  send (&bench, gst_event_new_flush_stop (TRUE));
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
  send (&bench, gst_event_new_eos ());
  send (&bench, gst_event_new_flush_start ());
  send (&bench, gst_event_new_flush_stop (TRUE));
  reader_set_block (&bench.text, FALSE);
  send_segment (&bench, 0, GST_CLOCK_TIME_NONE, 1);
  frames (&bench, 0, 40);
  send (&bench, gst_event_new_eos ());
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
  send (&bench, gst_event_new_flush_start ());
  send (&bench, gst_event_new_flush_stop (TRUE));
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
    gst_city_guessr_outputs_advance (bench.outputs, i * STEP, FRAME_MS * GST_MSECOND);
  fail_unless (take_message (&bench) == NULL, "GAPs were not joined");
  answer (&bench, "Rome", 0, 0);
  for (guint i = begin + gaps; i < last; i++)
    gst_city_guessr_outputs_advance (bench.outputs, i * STEP, FRAME_MS * GST_MSECOND);
  expect_message (&bench, GST_MESSAGE_WARNING, "text_src");
  send (&bench, gst_event_new_eos ()); /* takes the place of one more */
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
  send (&bench, stream_start_new ("video"));
  threads[0] = g_thread_new ("text", request_and_release, &text);
  threads[1] = g_thread_new ("json", request_and_release, &json);
  threads[2] = g_thread_new ("answers", answer_and_set, &text);
  for (guint i = 0; i < 100; i++) {
    send_segment (&bench, 0, GST_CLOCK_TIME_NONE, 1);
    frames (&bench, 0, 4000);
    if (i % 5 == 0)
      forget (&bench);
    if (i % 9 == 0)
      send (&bench, gst_event_new_eos ());
    send (&bench, gst_event_new_flush_start ());
    send (&bench, gst_event_new_flush_stop (TRUE));
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

static Suite *
outputs_suite (void)
{
  Suite *suite = suite_create ("outputs");
  TCase *says = tcase_create ("what is said"), *flows = tcase_create ("who reads it"),
        *pads = tcase_create ("pads"), *neighbours = tcase_create ("neighbours");

  suite_add_tcase (suite, says);
  tcase_add_test (says, test_captions);
  tcase_add_test (says, test_coarse_frames);
  tcase_add_test (says, test_rounded_time);
  tcase_add_test (says, test_forget);
  tcase_add_test (says, test_never_backwards);
  tcase_add_test (says, test_video_gap);
  tcase_add_test (says, test_segments);
  tcase_add_test (says, test_backwards);
  tcase_add_test (says, test_template);
  tcase_add_test (says, test_window_cues);
  tcase_add_test (says, test_window_early_answers);
  tcase_add_test (says, test_window_stretches);
  tcase_add_test (says, test_change_of_timing);
  tcase_add_test (says, test_json);
  tcase_add_test (says, test_json_without_frames);
  tcase_add_test (says, test_json_line);
  tcase_add_test (says, test_answers_without_segment);

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
  return suite;
}

GST_CHECK_MAIN (outputs)
