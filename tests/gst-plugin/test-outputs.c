/* The request pads: what is said on them, and when.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "answer-json.h"
#include "outputs-fixture.h"

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
  send_event (&bench, gst_event_new_eos ());
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
    gst_city_guessr_outputs_advance (bench.outputs, times[i] * GST_MSECOND);
    answer (&bench, "Rome", 100, 10);
  }
  send_event (&bench, gst_event_new_eos ());
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
  gst_city_guessr_outputs_advance (bench.outputs, GST_SECOND - 1);
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
  send_event (&bench, gst_event_new_eos ());
  expect_log (&bench.text, TEXT_BEGINS "text* 0+1000 Rome\ntext 1000+1000 Rome\ngap 2000+1200\n"
                                       "text 3200+1000 Paris\neos\n");
  bench_end (&bench);
}
GST_END_TEST;

/* Given time that runs back within a segment by less than a step, nothing is said a second time. */
GST_START_TEST (test_never_backwards)
{
  Bench bench;

  bench_begin (&bench);
  open_json (&bench);
  frames (&bench, 3000, 3960);
  answer (&bench, "Rome", 3000, 960);
  frames (&bench, 2960, 3000);
  frames (&bench, 3960, 4040);
  send_event (&bench, gst_event_new_eos ());
  expect_log (&bench.text, TEXT_BEGINS "gap 3000+1000\ntext* 4000+1000 Rome\neos\n");
  bench_end (&bench);
}
GST_END_TEST;

/* Given time that jumps back, the pads go with the video. */
GST_START_TEST (test_jump_back)
{
  Bench bench;

  bench_begin (&bench);
  open_json (&bench);
  frames (&bench, 3000, 3040);
  forget (&bench);
  frames (&bench, 0, 3960);
  answer (&bench, "Rome", 0, 1000);
  frames (&bench, 3960, 4040);
  send_event (&bench, gst_event_new_eos ());
  expect_log (&bench.text, TEXT_BEGINS "gap 3000+1000\ngap 0+4000\ntext* 4000+1000 Rome\neos\n");
  expect_log (&bench.json, JSON_BEGINS "gap 3000+0\ngap 0+3000\nline* 3920\ngap 3920+80\neos\n");
  bench_end (&bench);
}
GST_END_TEST;

/* Given frames without a time before all others, each pad hears of the first, so that its sink can preroll. */
GST_START_TEST (test_begin)
{
  Bench bench;

  bench_begin (&bench);
  open_json (&bench);
  gst_city_guessr_outputs_begin (bench.outputs);
  gst_city_guessr_outputs_begin (bench.outputs);
  expect_log (&bench.text, TEXT_BEGINS "gap 0+0\n");
  expect_log (&bench.json, JSON_BEGINS "gap 0+0\n");
  frames (&bench, 0, 40);
  gst_city_guessr_outputs_begin (bench.outputs);
  expect_log (&bench.text, "gap 0+1000\n");
  bench_end (&bench);
}
GST_END_TEST;

/* Given a GAP that reaches the end of the segment, JSON is still said where a sink takes it; one that would reach beyond
 * all time ends nowhere. */
GST_START_TEST (test_long_gaps)
{
  GstSegment segment;
  Bench bench;

  bench_begin (&bench);
  open_json (&bench);
  gst_segment_init (&segment, GST_FORMAT_TIME);
  segment.stop = 2 * GST_SECOND;
  send_event (&bench, gst_event_new_segment (&segment));
  frames (&bench, 0, 1800);
  send_event (&bench, gst_event_new_gap (1800 * GST_MSECOND, GST_CLOCK_TIME_NONE - 2));
  send_event (&bench, gst_event_new_gap (1800 * GST_MSECOND, 200 * GST_MSECOND));
  answer (&bench, "Rome", 0, 2000);
  send_event (&bench, gst_event_new_eos ());
  expect_in_log (&bench.json, "line* 1999999999ns\n");
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
  send_event (&bench, gst_event_new_gap (40 * GST_MSECOND, 1960 * GST_MSECOND));
  answer (&bench, "Paris", 0, 0);
  send_event (&bench, gst_event_new_gap (2000 * GST_MSECOND, GST_CLOCK_TIME_NONE));
  send_event (&bench, gst_event_new_eos ());
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
  send_event (&bench, stream_start_new ("video"));
  frames (&bench, 520, 1040);
  send_segment (&bench, 5020, 6 * GST_SECOND, 1);
  frames (&bench, 5000, 6000);
  send_event (&bench, gst_event_new_segment_done (GST_FORMAT_TIME, 6 * GST_SECOND));
  send_event (&bench, stream_start_new ("next"));
  send_segment (&bench, 0, GST_CLOCK_TIME_NONE, 1);
  frames (&bench, 0, 40);
  send_event (&bench, gst_event_new_eos ());
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
  send_event (&bench, stream_start_new ("video"));
  send_segment (&bench, 0, 10 * GST_SECOND, -1);
  answer (&bench, "Rome", 0, 0);
  for (guint t = 10000; t > 0; t -= 500)
    frames (&bench, t, t + 40);
  send_event (&bench, gst_event_new_gap (0, 10 * GST_SECOND));
  send_event (&bench, gst_event_new_eos ());
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
  send_event (&bench, gst_event_new_eos ());
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
  send_event (&bench, gst_event_new_eos ());
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
  send_event (&bench, gst_event_new_segment_done (GST_FORMAT_TIME, 2500 * GST_MSECOND));
  answer (&bench, "Oslo", 2500, 1000);
  send_segment (&bench, 100, GST_CLOCK_TIME_NONE, 2);
  answer (&bench, "Bern", 2500, 1000); /* its running time was another */
  frames (&bench, 100, 140);
  send_event (&bench, gst_event_new_eos ());
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
  send_event (&bench, gst_event_new_eos ());
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
  send_event (&bench, gst_event_new_eos ());
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
  send_event (&bench, stream_start_new ("video"));
  answer (&bench, "Rome", 0, 0);
  send_segment (&bench, 40, GST_CLOCK_TIME_NONE, 1);
  send_event (&bench, gst_event_new_eos ());
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
  send_event (&bench, stream_start_new ("next"));
  answer (&bench, "Rome", 0, 1000);
  answer (&bench, "Paris", 1000, 1000);
  forget (&bench);
  send_segment (&bench, 0, GST_CLOCK_TIME_NONE, 1);
  frames (&bench, 0, 40);
  expect_log (&bench.text, "stream-start next/text 7 sparse\nsegment 0 1\ngap 0+0\n");
  bench_end (&bench);
}
GST_END_TEST;

static Suite *
outputs_suite (void)
{
  Suite *suite = suite_create ("outputs");
  TCase *says = tcase_create ("what is said");

  suite_add_tcase (suite, says);
  tcase_add_test (says, test_captions);
  tcase_add_test (says, test_coarse_frames);
  tcase_add_test (says, test_rounded_time);
  tcase_add_test (says, test_forget);
  tcase_add_test (says, test_never_backwards);
  tcase_add_test (says, test_jump_back);
  tcase_add_test (says, test_begin);
  tcase_add_test (says, test_long_gaps);
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

  add_reader_tests (suite);
  add_pad_tests (suite);
  return suite;
}

GST_CHECK_MAIN (outputs)
