/* The time rule: from timestamps to samples, from samples to windows.
 *
 * A frame is its own number, so that a window can be compared with the frames it ought to hold.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include <gst/check/gstcheck.h>

#include "sampler.h"

#define FRAMES 16
#define MAX_WINDOWS 64

/* What came out of a stream. */
typedef struct {
  GstCityGuessrSampler *sampler;
  guint hop, min_samples;
  guint next_frame;
  guint n_windows;
  struct {
    guint frames[FRAMES];
    guint distinct;
    gboolean partial, last;
    GstClockTime start, end;
    guint completed_by; /* the frame during which it came */
  } windows[MAX_WINDOWS];
} Stream;

static gint n_alive; /* samples not yet released */

static void
release (gpointer sample)
{
  n_alive--;
}

static void
stream_init (Stream *stream, GstClockTime interval)
{
  *stream = (Stream){ .hop = 2, .min_samples = 4 };
  stream->sampler = gst_city_guessr_sampler_new (FRAMES, interval, release);
}

static void
stream_clear (Stream *stream)
{
  gst_city_guessr_sampler_free (stream->sampler);
  fail_unless_equals_int (n_alive, 0);
}

static void
stream_note (Stream *stream, const GstCityGuessrSpan *span, gboolean last)
{
  guint n = stream->n_windows++;

  fail_unless (n < MAX_WINDOWS);
  for (guint i = 0; i < FRAMES; i++)
    stream->windows[n].frames[i] = GPOINTER_TO_UINT (span->samples[i]) - 1;
  stream->windows[n].distinct = span->distinct;
  stream->windows[n].partial = span->partial;
  stream->windows[n].last = last;
  stream->windows[n].start = span->start;
  stream->windows[n].end = span->end;
  stream->windows[n].completed_by = stream->next_frame;
}

static void
stream_end (Stream *stream)
{
  GstCityGuessrSpan span;

  if (gst_city_guessr_sampler_last_window (stream->sampler, stream->min_samples, &span))
    stream_note (stream, &span, TRUE);
  gst_city_guessr_sampler_restart (stream->sampler);
}

static void
stream_push_full (Stream *stream, GstClockTime pts, GstClockTime duration, gboolean picture)
{
  GstCityGuessrSpan span;
  guint frame = stream->next_frame;

  if (gst_city_guessr_sampler_is_break (stream->sampler, pts))
    stream_end (stream);
  if (gst_city_guessr_sampler_advance (stream->sampler, pts, duration) && picture) {
    n_alive++;
    if (gst_city_guessr_sampler_add (stream->sampler, GUINT_TO_POINTER (frame + 1), stream->hop,
                                     &span))
      stream_note (stream, &span, FALSE);
  }
  stream->next_frame++;
}

static void
stream_push (Stream *stream, GstClockTime pts, GstClockTime duration)
{
  stream_push_full (stream, pts, duration, TRUE);
}

/* @n frames at @rate_n / @rate_d, with rounded timestamps, from @start on. */
static void
stream_push_rate (Stream *stream, guint n, gint rate_n, gint rate_d, GstClockTime start)
{
  for (guint i = 0; i < n; i++) {
    GstClockTime pts = start + gst_util_uint64_scale (i, GST_SECOND * rate_d, rate_n);
    GstClockTime next = start + gst_util_uint64_scale (i + 1, GST_SECOND * rate_d, rate_n);

    stream_push (stream, pts, next - pts);
  }
}

#define assert_steps(stream, window, first, step)                                           \
  G_STMT_START                                                                              \
  {                                                                                         \
    fail_unless ((window) < (stream)->n_windows, "there are only %u windows",               \
                 (stream)->n_windows);                                                      \
    for (guint i_ = 0; i_ < FRAMES; i_++)                                                   \
      fail_unless_equals_int ((stream)->windows[window].frames[i_], (first) + i_ * (step)); \
  }                                                                                         \
  G_STMT_END

/* ---- which frames ---- */

static const gint rates[][2] = { { 30, 1 }, { 25, 1 },  { 5, 1 },        { 30000, 1001 },
                                 { 24, 1 }, { 60, 1 },  { 24000, 1001 }, { 120, 1 },
                                 { 1, 1 },  { 999, 1 }, { 60000, 1001 }, { 50, 1 } };

/* Complaint 11: the interval is ignored. Given f frames a second and an interval of 5/f, the windows are the frames 0, 5, …, 75 and then
 * those a hop of two samples later, each complete with its last frame. */
GST_START_TEST (test_constant_rate)
{
  const gint *rate = rates[__i__];
  GstClockTime interval = gst_util_uint64_scale_round (5 * GST_SECOND, rate[1], rate[0]);
  GstClockTime starts[] = { 0, 1, 3600 * GST_SECOND + 123456789 };

  for (guint s = 0; s < G_N_ELEMENTS (starts); s++) {
    Stream stream;

    stream_init (&stream, interval);
    stream_push_rate (&stream, 106, rate[0], rate[1], starts[s]);
    fail_unless_equals_int (stream.n_windows, 4);
    for (guint w = 0; w < 4; w++) {
      assert_steps (&stream, w, 10 * w, 5);
      fail_unless_equals_int (stream.windows[w].completed_by, 75 + 10 * w);
      fail_unless_equals_int (stream.windows[w].distinct, FRAMES);
      fail_if (stream.windows[w].partial);
      fail_unless_equals_uint64 (stream.windows[w].start,
                                 starts[s] +
                                     gst_util_uint64_scale (10 * w, GST_SECOND * rate[1], rate[0]));
      fail_unless_equals_uint64 (
          stream.windows[w].end,
          starts[s] + gst_util_uint64_scale (76 + 10 * w, GST_SECOND * rate[1], rate[0]));
    }
    stream_clear (&stream);
  }
}
GST_END_TEST;

/* Given timestamps in whole milliseconds, as Matroska has them, the same frames are chosen. */
GST_START_TEST (test_millisecond_timestamps)
{
  Stream stream;

  stream_init (&stream, gst_util_uint64_scale_round (5 * GST_SECOND, 1001, 30000));
  for (guint i = 0; i < 76; i++)
    stream_push (&stream, (i * 1001 + 15) / 30 * GST_MSECOND, 33 * GST_MSECOND);
  fail_unless_equals_int (stream.n_windows, 1);
  assert_steps (&stream, 0, 0, 5);
  stream_clear (&stream);
}
GST_END_TEST;

/* The rule itself, plainly: the sample of target k is the first frame with PTS >= t0 + k interval -
 * tolerance; a frame that is first for several targets is one sample. */
static guint
plain_samples (const GstClockTime *pts, guint n, GstClockTime interval, guint *out)
{
  GstClockTime tolerance = MIN (GST_MSECOND, interval / 8);
  guint64 target = 0;
  guint samples = 0;

  for (guint i = 0; i < n; i++) {
    if (pts[i] + tolerance < pts[0] + target * interval)
      continue;
    out[samples++] = i;
    while (pts[i] + tolerance >= pts[0] + target * interval)
      target++;
  }
  return samples;
}

/* Given any variable frame rate (no frame longer than the allowed gap), the windows are what the
 * plain rule says. */
static void
check_variable_rate (guint seed)
{
  g_autoptr (GRand) random = g_rand_new_with_seed (seed);
  GstClockTime interval = g_rand_int_range (random, 1, 2000) * GST_MSECOND / 7;
  GstClockTime pts[2000];
  guint samples[2000], n = G_N_ELEMENTS (pts), n_samples;
  Stream stream;

  pts[0] = g_rand_int (random);
  for (guint i = 1; i < n; i++)
    pts[i] = pts[i - 1] + (guint64)(g_rand_double (random) * g_rand_double (random) * interval);
  n_samples = plain_samples (pts, n, interval, samples);
  fail_unless (n_samples >= FRAMES, "only %u samples", n_samples);

  stream_init (&stream, interval);
  stream.hop = 1 + seed % 20;
  for (guint i = 0; i < n && stream.n_windows < MAX_WINDOWS; i++)
    stream_push (&stream, pts[i], GST_CLOCK_TIME_NONE);
  for (guint w = 0; w < stream.n_windows; w++) {
    for (guint i = 0; i < FRAMES; i++)
      fail_unless (stream.windows[w].frames[i] == samples[w * stream.hop + i],
                   "seed %u, window %u, sample %u: frame %u, not %u", seed, w, i,
                   stream.windows[w].frames[i], samples[w * stream.hop + i]);
    fail_unless_equals_int (stream.windows[w].completed_by, samples[w * stream.hop + FRAMES - 1]);
  }
  fail_unless_equals_int (stream.n_windows,
                          MIN (MAX_WINDOWS, 1 + (n_samples - FRAMES) / stream.hop));
  stream_clear (&stream);
}

GST_START_TEST (test_variable_rate)
{
  for (guint seed = 0; seed < 200; seed++)
    check_variable_rate (seed);
}
GST_END_TEST;

/* Given frames lost on the way, the next one stands in, and the frames after it are those of the
 * unbroken stream. */
GST_START_TEST (test_dropped_frames)
{
  Stream stream;

  stream_init (&stream, GST_SECOND / 5);
  for (guint i = 0; i < 76; i++) {
    stream.next_frame = i;
    if (i != 10 && i != 35 && i != 36)
      stream_push (&stream, i * GST_SECOND / 25, GST_SECOND / 25);
  }
  fail_unless_equals_int (stream.n_windows, 1);
  for (guint i = 0; i < FRAMES; i++)
    fail_unless_equals_int (stream.windows[0].frames[i], i == 2 ? 11 : i == 7 ? 37 : 5 * i);
  stream_clear (&stream);
}
GST_END_TEST;

/* Given fewer frames than targets, every frame is a sample, once. */
GST_START_TEST (test_slow_stream)
{
  Stream stream;

  stream_init (&stream, GST_SECOND / 5);
  stream_push_rate (&stream, 16, 1, 1, 0);
  fail_unless_equals_int (stream.n_windows, 1);
  assert_steps (&stream, 0, 0, 1);
  stream_clear (&stream);
}
GST_END_TEST;

/* Given a buffer without a picture where a sample is due, the next picture is the sample. */
GST_START_TEST (test_no_picture)
{
  Stream stream;

  stream_init (&stream, GST_SECOND / 5);
  for (guint i = 0; i < 77; i++)
    stream_push_full (&stream, i * GST_SECOND / 25, GST_SECOND / 25, i != 0 && i != 11);
  /* t0 is the first picture's PTS: frame 1 */
  fail_unless_equals_int (stream.n_windows, 1);
  for (guint i = 0; i < FRAMES; i++)
    fail_unless_equals_int (stream.windows[0].frames[i], i == 2 ? 12 : 5 * i + 1);
  stream_clear (&stream);
}
GST_END_TEST;

/* ---- how a stretch ends ---- */

/* Given a hop and an end, what no window has covered makes one more window of the last samples. */
GST_START_TEST (test_remainder)
{
  Stream stream;

  stream_init (&stream, GST_SECOND / 5);
  stream.hop = 8;
  stream_push_rate (&stream, 5 * 20 + 1, 25, 1, 0); /* 21 samples */
  fail_unless_equals_int (stream.n_windows, 1);
  stream_end (&stream);
  fail_unless_equals_int (stream.n_windows, 2);
  assert_steps (&stream, 1, 25, 5);
  fail_unless (stream.windows[1].last);
  fail_if (stream.windows[1].partial);

  /* nothing is left over when the last sample completed a window */
  stream_push_rate (&stream, 5 * 15 + 5, 25, 1, 0);
  fail_unless_equals_int (stream.n_windows, 3);
  stream_end (&stream);
  fail_unless_equals_int (stream.n_windows, 3);
  stream_clear (&stream);
}
GST_END_TEST;

/* Given n frames and then the end, the window is spread over them by the documented formula. */
GST_START_TEST (test_short_file)
{
  for (guint n = 0; n < 31; n++) {
    Stream stream;

    /* an interval so long that no frame but the first is on its grid, nor is any forgotten */
    stream_init (&stream, 32 * GST_SECOND);
    stream_push_rate (&stream, n, 1, 1, 0);
    fail_unless_equals_int (stream.n_windows, 0);
    stream_end (&stream);
    fail_unless_equals_int (stream.n_windows, n >= 4);
    for (guint i = 0; i < FRAMES && n >= 4; i++) {
      guint expected = (guint)(i * (n - 1) / (FRAMES - 1.0) + 0.5);
      fail_unless_equals_int (stream.windows[0].frames[i], expected);
    }
    if (n >= 4) {
      fail_unless_equals_int (stream.windows[0].distinct, MIN (n, FRAMES));
      fail_unless_equals_int (stream.windows[0].partial, n < FRAMES);
      fail_unless_equals_uint64 (stream.windows[0].start, 0);
      fail_unless_equals_uint64 (stream.windows[0].end, n * GST_SECOND);
    }
    stream_clear (&stream);
  }
}
GST_END_TEST;

/* Given a file longer than 2 * frames dense samples but shorter than a window, its samples lie on
 * one grid of spacing interval / 2^L, the finest that they fit. */
GST_START_TEST (test_coarsening)
{
  /* Interval 32 s at 1 frame/s: the grids are 1, 2, 4, … frames apart. */
  static const guint lengths[][2] = { { 31, 1 },  { 32, 2 },  { 33, 2 },   { 62, 2 },  { 63, 4 },
                                      { 124, 4 }, { 125, 8 }, { 249, 16 }, { 480, 16 } };

  for (guint l = 0; l < G_N_ELEMENTS (lengths); l++) {
    guint n = lengths[l][0], step = lengths[l][1];
    guint held = (n + step - 1) / step;
    Stream stream;

    stream_init (&stream, 32 * GST_SECOND);
    stream_push_rate (&stream, n, 1, 1, 0);
    fail_unless_equals_int (stream.n_windows, 0);
    stream_end (&stream);
    fail_unless_equals_int (stream.n_windows, 1);
    for (guint i = 0; i < FRAMES; i++)
      fail_unless_equals_int (stream.windows[0].frames[i],
                              step * ((2 * i * (held - 1) + FRAMES - 1) / (2 * (FRAMES - 1))));
    stream_clear (&stream);
  }
}
GST_END_TEST;

typedef struct {
  const gchar *what;
  gint64 offset; /* of the second part, from where the first one ends (ns) */
  gboolean breaks;
} Break;

static const Break breaks[] = {
  { "runs on", 0, FALSE },
  { "backwards", -(gint64)GST_SECOND, TRUE },
  { "the same time again", -(gint64)GST_SECOND / 25, FALSE },
  { "one frame missing", GST_SECOND / 25, FALSE },
  { "gap of exactly two intervals", 2 * GST_SECOND / 5, FALSE },
  { "gap of more", 2 * GST_SECOND / 5 + 1, TRUE },
};

/* Given two parts of 60 frames, each too short for a window of 76, a break between them gives one
 * spread window of each; without a break they are one stream with a full window. */
GST_START_TEST (test_break)
{
  const Break *this = &breaks[__i__];
  GstClockTime end = 60 * GST_SECOND / 25;
  Stream stream;

  stream_init (&stream, GST_SECOND / 5);
  stream_push_rate (&stream, 60, 25, 1, 0);
  stream_push (&stream, end + this->offset, GST_SECOND / 25);
  stream_push_rate (&stream, 59, 25, 1, end + this->offset + GST_SECOND / 25);

  if (this->breaks) {
    fail_unless_equals_int (stream.n_windows, 1);
    fail_unless (stream.windows[0].last, "%s", this->what);
    fail_unless_equals_int (stream.windows[0].completed_by, 60);
    fail_unless (stream.windows[0].frames[FRAMES - 1] < 60, "%s", this->what);
    stream_end (&stream);
    fail_unless_equals_int (stream.n_windows, 2);
    fail_unless_equals_int (stream.windows[1].frames[0], 60);
  } else {
    fail_unless (stream.n_windows >= 1, "%s: no window", this->what);
    fail_if (stream.windows[0].last, "%s", this->what);
    fail_unless (stream.windows[0].frames[FRAMES - 1] >= 60, "%s", this->what);
  }
  stream_clear (&stream);
}
GST_END_TEST;

/* Given frames without durations, further apart than two intervals, as of a slow camera, they are one stretch from the
 * third on, and what is missing between them is a gap. */
GST_START_TEST (test_slow_frames)
{
  const GstClockTime apart = 3 * GST_SECOND;
  Stream stream;

  stream_init (&stream, GST_SECOND);
  for (guint i = 0; i < FRAMES + 1; i++)
    stream_push (&stream, i * apart, GST_CLOCK_TIME_NONE);
  fail_unless_equals_int (stream.n_windows, 1);
  fail_if (stream.windows[0].last);
  fail_unless_equals_uint64 (stream.windows[0].start, apart);
  fail_unless_equals_uint64 (stream.windows[0].end, FRAMES * apart);
  fail_if (
      gst_city_guessr_sampler_is_break (stream.sampler, (FRAMES + 1) * apart + 2 * GST_SECOND));
  fail_unless (
      gst_city_guessr_sampler_is_break (stream.sampler, (FRAMES + 1) * apart + 2 * GST_SECOND + 1));
  stream_clear (&stream);
}
GST_END_TEST;

/* Given min-samples, a stretch of fewer is not answered. */
GST_START_TEST (test_min_samples)
{
  for (guint min_samples = 1; min_samples < 8; min_samples++) {
    Stream stream;

    stream_init (&stream, GST_SECOND);
    stream.min_samples = min_samples;
    stream_push_rate (&stream, 5, 25, 1, 0);
    stream_end (&stream);
    fail_unless_equals_int (stream.n_windows, min_samples <= 5);
    stream_clear (&stream);
  }
}
GST_END_TEST;

/* Given the largest and the smallest times, no arithmetic overflows into a wrong answer. */
GST_START_TEST (test_extreme_times)
{
  Stream stream;
  GstClockTime late = GST_CLOCK_TIME_NONE - 1000 * GST_SECOND;

  stream_init (&stream, 1);
  stream_push_rate (&stream, 16, 25, 1, late);
  fail_unless_equals_int (stream.n_windows, 1);
  assert_steps (&stream, 0, 0, 1);
  stream_clear (&stream);

  stream_init (&stream, 3600 * GST_SECOND);
  stream_push_rate (&stream, 16, 1, 3600, 0);
  fail_unless_equals_int (stream.n_windows, 1);
  assert_steps (&stream, 0, 0, 1);
  stream_clear (&stream);
}
GST_END_TEST;

/* Given @rate frames a second, early windows are due when the stretch is one interval long, and when
 * that has doubled; never after a full window; always partial, and from no fewer samples than asked
 * for. */
GST_START_TEST (test_early_windows)
{
  static const guint due[] = { 5, 10, 20, 40 };
  GstCityGuessrSampler *sampler = gst_city_guessr_sampler_new (FRAMES, GST_SECOND / 5, release);
  guint next = 0;

  for (guint i = 0; i < 200; i++) {
    GstClockTime pts = i * GST_SECOND / 25;
    GstCityGuessrSpan span;

    if (!gst_city_guessr_sampler_advance (sampler, pts, GST_SECOND / 25))
      continue;
    n_alive++;
    if (gst_city_guessr_sampler_add (sampler, GUINT_TO_POINTER (i + 1), 2, &span)) {
      fail_unless (next == G_N_ELEMENTS (due), "full before %u", due[next]);
      fail_if (span.partial);
    }
    if (gst_city_guessr_sampler_early_window (sampler, 6, &span)) {
      fail_unless (next < G_N_ELEMENTS (due) && i == due[next], "early at %u", i);
      fail_unless (span.partial);
      fail_unless_equals_int (span.distinct, MIN (i + 1, FRAMES));
      fail_unless_equals_uint64 (span.start, 0);
      fail_unless_equals_uint64 (span.end, pts + GST_SECOND / 25);
      fail_if (gst_city_guessr_sampler_early_window (sampler, 6, &span), "twice at %u", i);
      fail_if (gst_city_guessr_sampler_last_window (sampler, 6, &span), "covered at %u", i);
      next++;
    }
  }
  fail_unless_equals_int (next, G_N_ELEMENTS (due));
  gst_city_guessr_sampler_free (sampler);
  fail_unless_equals_int (n_alive, 0);
}
GST_END_TEST;

static Suite *
sampler_suite (void)
{
  Suite *suite = suite_create ("sampler");
  TCase *frames = tcase_create ("which frames");
  TCase *ends = tcase_create ("how a stretch ends");

  suite_add_tcase (suite, frames);
  tcase_add_loop_test (frames, test_constant_rate, 0, G_N_ELEMENTS (rates));
  tcase_add_test (frames, test_millisecond_timestamps);
  tcase_add_test (frames, test_variable_rate);
  tcase_add_test (frames, test_dropped_frames);
  tcase_add_test (frames, test_slow_stream);
  tcase_add_test (frames, test_no_picture);
  tcase_add_test (frames, test_extreme_times);
  suite_add_tcase (suite, ends);
  tcase_add_test (ends, test_remainder);
  tcase_add_test (ends, test_short_file);
  tcase_add_test (ends, test_coarsening);
  tcase_add_loop_test (ends, test_break, 0, G_N_ELEMENTS (breaks));
  tcase_add_test (ends, test_slow_frames);
  tcase_add_test (ends, test_min_samples);
  tcase_add_test (ends, test_early_windows);
  return suite;
}

GST_CHECK_MAIN (sampler)
