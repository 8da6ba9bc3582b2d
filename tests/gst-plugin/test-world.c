/* The element `cityguessrtestsrc`: formats, times, seeks, live, errors, tags; and the program draw-world.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include <gst/check/gstcheck.h>
#include <gst/check/gstharness.h>
#include <gst/video/video.h>

#include <gio/gio.h>
#include <string.h>

static GstHarness *
harness_new (const gchar *caps, const gchar *first_property, ...)
{
  GstElement *src = gst_element_factory_make ("cityguessrtestsrc", NULL);
  GstHarness *harness;
  va_list args;

  fail_unless (src != NULL, "no element: is GST_PLUGIN_PATH_1_0 set?");
  va_start (args, first_property);
  g_object_set_valist (G_OBJECT (src), first_property, args);
  va_end (args);
  harness = gst_harness_new_with_element (src, NULL, "src");
  gst_object_unref (src);
  gst_harness_set_sink_caps_str (harness, caps);
  return harness;
}

static GBytes *
bytes_of (GstBuffer *buffer)
{
  gpointer data;
  gsize size;

  gst_buffer_extract_dup (buffer, 0, gst_buffer_get_size (buffer), &data, &size);
  return g_bytes_new_take (data, size);
}

GST_START_TEST (test_times_without_drift)
{
  GstHarness *h = harness_new ("video/x-raw,format=RGB,width=16,height=12,framerate=30000/1001",
                               "city", "Oslo", NULL);

  /* An unknown city is only looked for at the start. */
  g_object_set (h->element, "city", "Athens", "num-buffers", 7, NULL);
  gst_harness_play (h);
  for (guint i = 0; i < 7; i++) {
    GstBuffer *buffer = gst_harness_pull (h);

    fail_unless_equals_uint64 (GST_BUFFER_PTS (buffer),
                               gst_util_uint64_scale (i, 1001 * GST_SECOND, 30000));
    fail_unless_equals_uint64 (GST_BUFFER_PTS (buffer) + GST_BUFFER_DURATION (buffer),
                               gst_util_uint64_scale (i + 1, 1001 * GST_SECOND, 30000));
    fail_unless_equals_uint64 (GST_BUFFER_OFFSET (buffer), i);
    fail_unless_equals_uint64 (gst_buffer_get_size (buffer), 16 * 12 * 3);
    gst_buffer_unref (buffer);
  }
  gst_harness_teardown (h);
}
GST_END_TEST;

GST_START_TEST (test_variable_frame_rate)
{
  GstHarness *h = harness_new ("video/x-raw,format=BGRx,width=16,height=16,framerate=0/1", "city",
                               "Berlin", NULL);

  gst_harness_play (h);
  for (guint i = 0; i < 3; i++) {
    GstBuffer *buffer = gst_harness_pull (h);

    fail_unless_equals_uint64 (GST_BUFFER_PTS (buffer), i * GST_SECOND);
    fail_unless (!GST_BUFFER_DURATION_IS_VALID (buffer));
    gst_buffer_unref (buffer);
  }
  gst_harness_teardown (h);
}
GST_END_TEST;

/* The same time shows the same picture at any frame rate. */
GST_START_TEST (test_picture_does_not_depend_on_the_frame_rate)
{
  GBytes *at[2] = { NULL, NULL };

  for (guint k = 0; k < 2; k++) {
    GstHarness *h =
        harness_new (k == 0 ? "video/x-raw,format=RGB,width=64,height=36,framerate=10/1"
                            : "video/x-raw,format=RGB,width=64,height=36,framerate=50/1",
                     "city", "Seoul", "drive", G_GUINT64_CONSTANT (4), NULL);

    gst_harness_play (h);
    for (guint i = 0; at[k] == NULL; i++) {
      GstBuffer *buffer = gst_harness_pull (h);

      if (GST_BUFFER_PTS (buffer) == 500 * GST_MSECOND)
        at[k] = bytes_of (buffer);
      gst_buffer_unref (buffer);
    }
    gst_harness_teardown (h);
  }
  fail_unless (g_bytes_equal (at[0], at[1]));
  g_bytes_unref (at[0]);
  g_bytes_unref (at[1]);
}
GST_END_TEST;

/* Every format holds the same picture. */
GST_START_TEST (test_formats)
{
  static const gchar *const formats[] = { "RGB", "BGR", "BGRx", "RGBx", "xRGB", "xBGR" };
  guint8 first[3] = { 0 };

  for (guint i = 0; i < G_N_ELEMENTS (formats); i++) {
    g_autofree gchar *caps =
        g_strdup_printf ("video/x-raw,format=%s,width=33,height=17,framerate=25/1", formats[i]);
    GstHarness *h = harness_new (caps, "city", "Cairo", NULL);
    GstBuffer *buffer;
    GstVideoInfo info;
    GstVideoFrame frame;
    guint8 pixel[3];

    gst_harness_play (h);
    buffer = gst_harness_pull (h);
    gst_video_info_set_format (&info, gst_video_format_from_string (formats[i]), 33, 17);
    fail_unless (gst_video_frame_map (&frame, &info, buffer, GST_MAP_READ));
    for (guint c = 0; c < 3; c++)
      pixel[c] = ((guint8 *)GST_VIDEO_FRAME_COMP_DATA (
          &frame, c))[9 * GST_VIDEO_FRAME_COMP_STRIDE (&frame, c) +
                      20 * GST_VIDEO_FRAME_COMP_PSTRIDE (&frame, c)];
    if (i == 0)
      memcpy (first, pixel, 3);
    fail_unless (memcmp (first, pixel, 3) == 0, "%s", formats[i]);
    gst_video_frame_unmap (&frame);
    gst_buffer_unref (buffer);
    gst_harness_teardown (h);
  }
}
GST_END_TEST;

GST_START_TEST (test_seek)
{
  GstHarness *h = harness_new ("video/x-raw,format=RGB,width=32,height=18,framerate=25/1", "city",
                               "Lima", NULL);
  GBytes *before, *after;
  GstBuffer *buffer;

  gst_harness_play (h);
  for (guint i = 0; i < 30; i++)
    gst_buffer_unref (gst_harness_pull (h));
  buffer = gst_harness_pull (h);
  fail_unless_equals_uint64 (GST_BUFFER_PTS (buffer), 30 * 40 * GST_MSECOND);
  before = bytes_of (buffer);
  gst_buffer_unref (buffer);

  fail_unless (gst_element_seek (h->element, 1.0, GST_FORMAT_TIME, GST_SEEK_FLAG_FLUSH,
                                 GST_SEEK_TYPE_SET, 30 * 40 * GST_MSECOND, GST_SEEK_TYPE_NONE, 0));
  do { /* what was in the queue when it was flushed may still come */
    buffer = gst_harness_pull (h);
    if (GST_BUFFER_PTS (buffer) == 30 * 40 * GST_MSECOND)
      break;
    gst_buffer_unref (buffer);
  } while (TRUE);
  after = bytes_of (buffer);
  gst_buffer_unref (buffer);
  fail_unless (g_bytes_equal (before, after));
  g_bytes_unref (before);
  g_bytes_unref (after);
  gst_harness_teardown (h);
}
GST_END_TEST;

/* Given a harness whose clock is the test's: pictures are stamped with when they were due. */
GST_START_TEST (test_live)
{
  GstHarness *h = harness_new ("video/x-raw,format=RGB,width=16,height=9,framerate=25/1", "city",
                               "Nairobi", "is-live", TRUE, NULL);
  GstQuery *query = gst_query_new_latency ();
  gboolean live;
  GstClockTime min, max;

  gst_harness_use_testclock (h);
  gst_harness_play (h);
  for (guint i = 0; i < 4; i++) {
    GstBuffer *buffer;

    fail_unless (gst_harness_crank_single_clock_wait (h));
    buffer = gst_harness_pull (h);
    fail_unless_equals_uint64 (GST_BUFFER_PTS (buffer), i * 40 * GST_MSECOND);
    gst_buffer_unref (buffer);
  }
  fail_unless (gst_element_query (h->element, query));
  gst_query_parse_latency (query, &live, &min, &max);
  fail_unless (live);
  fail_unless_equals_uint64 (min, 40 * GST_MSECOND);
  gst_query_unref (query);
  gst_harness_teardown (h);
}
GST_END_TEST;

GST_START_TEST (test_unknown_city)
{
  GstElement *src = gst_element_factory_make ("cityguessrtestsrc", NULL);
  GstBus *bus = gst_bus_new ();
  GstMessage *message;
  g_autoptr (GError) error = NULL;

  gst_element_set_bus (src, bus);
  g_object_set (src, "city", "Atlantis", NULL);
  fail_unless_equals_int (gst_element_set_state (src, GST_STATE_PAUSED), GST_STATE_CHANGE_FAILURE);
  message = gst_bus_pop_filtered (bus, GST_MESSAGE_ERROR);
  fail_unless (message != NULL);
  gst_message_parse_error (message, &error, NULL);
  fail_unless (strstr (error->message, "Atlantis") != NULL &&
                   strstr (error->message, "Lisbon") != NULL,
               "%s", error->message);
  gst_message_unref (message);
  gst_element_set_state (src, GST_STATE_NULL);

  /* And after it has been set right, it goes. */
  g_object_set (src, "city", "rio de janeiro", NULL);
  fail_unless (gst_element_set_state (src, GST_STATE_READY) == GST_STATE_CHANGE_SUCCESS);
  gst_element_set_state (src, GST_STATE_NULL);
  gst_element_set_bus (src, NULL);
  gst_bus_set_flushing (bus, TRUE);
  gst_object_unref (bus);
  gst_object_unref (src);
}
GST_END_TEST;

static GstTagList *
tags_of (gboolean post_truth)
{
  GstHarness *h = harness_new ("video/x-raw,format=RGB,width=16,height=16,framerate=25/1", "city",
                               "Melbourne", "post-truth", post_truth, NULL);
  GstTagList *tags = NULL;
  GstEvent *event;

  gst_harness_play (h);
  gst_buffer_unref (gst_harness_pull (h));
  while ((event = gst_harness_try_pull_event (h)) != NULL) {
    if (GST_EVENT_TYPE (event) == GST_EVENT_TAG && tags == NULL) {
      gst_event_parse_tag (event, &tags);
      tags = gst_tag_list_ref (tags);
    }
    gst_event_unref (event);
  }
  gst_harness_teardown (h);
  return tags;
}

GST_START_TEST (test_truth_is_told_only_if_asked_for)
{
  GstTagList *tags = tags_of (TRUE);
  g_autofree gchar *city = NULL, *country = NULL;
  gdouble latitude;

  fail_unless (tags_of (FALSE) == NULL);
  fail_unless (tags != NULL);
  fail_unless (gst_tag_list_get_string (tags, GST_TAG_GEO_LOCATION_CITY, &city));
  fail_unless (gst_tag_list_get_string (tags, GST_TAG_GEO_LOCATION_COUNTRY, &country));
  fail_unless (gst_tag_list_get_double (tags, GST_TAG_GEO_LOCATION_LATITUDE, &latitude));
  fail_unless_equals_string (city, "Melbourne");
  fail_unless_equals_string (country, "Australia");
  fail_unless (latitude < -37.0 && latitude > -38.5);
  gst_tag_list_unref (tags);
}
GST_END_TEST;

GST_START_TEST (test_properties)
{
  GstElement *src = gst_element_factory_make ("cityguessrtestsrc", NULL);
  g_autofree gchar *city = NULL;
  guint64 drive;
  gboolean live, truth;

  g_object_get (src, "city", &city, "drive", &drive, "is-live", &live, "post-truth", &truth, NULL);
  fail_unless_equals_string (city, "Chicago");
  fail_unless_equals_uint64 (drive, 1);
  fail_unless (!live && !truth);
  g_object_set (src, "drive", G_MAXUINT64, "is-live", TRUE, NULL);
  g_object_get (src, "drive", &drive, "is-live", &live, NULL);
  fail_unless_equals_uint64 (drive, G_MAXUINT64);
  fail_unless (live);
  gst_object_unref (src);
}
GST_END_TEST;

/* ---- draw-world ---- */

typedef struct {
  gint status;
  GBytes *out;
  gchar *err;
} Run;

static Run
run_command (const gchar *input, const gchar *const *command)
{
  Run run = { 0 };
  g_autoptr (GError) error = NULL;
  g_autoptr (GSubprocessLauncher) launcher =
      g_subprocess_launcher_new (G_SUBPROCESS_FLAGS_STDIN_PIPE | G_SUBPROCESS_FLAGS_STDOUT_PIPE |
                                 G_SUBPROCESS_FLAGS_STDERR_PIPE);
  g_autoptr (GSubprocess) process = NULL;
  g_autoptr (GBytes) in = g_bytes_new (input, strlen (input));
  g_autoptr (GBytes) err = NULL;

  /* What fontconfig keeps is no leak of ours; see above. */
  g_subprocess_launcher_setenv (launcher, "LSAN_OPTIONS", "detect_leaks=0", TRUE);
  process = g_subprocess_launcher_spawnv (launcher, command, &error);
  fail_unless (process != NULL, "%s", error ? error->message : "");
  fail_unless (g_subprocess_communicate (process, in, NULL, &run.out, &err, NULL));
  run.status = g_subprocess_get_exit_status (process);
  run.err = g_strndup (g_bytes_get_data (err, NULL), g_bytes_get_size (err));
  return run;
}

static Run
run_with (const gchar *input, const gchar *argument)
{
  return run_command (input, (const gchar *const[]){ DRAW_WORLD, argument, NULL });
}

static void
run_clear (Run *run)
{
  g_bytes_unref (run->out);
  g_free (run->err);
}

/* It draws what the element draws. */
GST_START_TEST (test_program_equals_element)
{
  GstHarness *h = harness_new ("video/x-raw,format=RGB,width=48,height=27,framerate=1/1", "city",
                               "Dubai", "drive", G_GUINT64_CONSTANT (9), NULL);
  Run run = run_with ("Dubai\t9\t1000000000\t48\t27\nDubai\t9\t0\t48\t27\n", NULL);
  g_autoptr (GBytes) at_start = g_bytes_new_from_bytes (run.out, 48 * 27 * 3, 48 * 27 * 3);
  GstBuffer *buffer;
  GBytes *shown;

  fail_unless_equals_int (run.status, 0);
  fail_unless_equals_uint64 (g_bytes_get_size (run.out), 2 * 48 * 27 * 3);
  gst_harness_play (h);
  buffer = gst_harness_pull (h);
  shown = bytes_of (buffer);
  gst_buffer_unref (buffer);
  fail_unless (g_bytes_equal (shown, at_start));
  g_bytes_unref (shown);
  run_clear (&run);
  gst_harness_teardown (h);
}
GST_END_TEST;

/* A line of 16 numbers for each drive. */
GST_START_TEST (test_program_tells_scenes)
{
  Run run = run_with ("Dubai\t9\nmoscow\t3\n", "--scenes");
  g_autofree gchar *out = g_strndup (g_bytes_get_data (run.out, NULL), g_bytes_get_size (run.out));
  g_auto (GStrv) lines = g_strsplit (out, "\n", 0);

  fail_unless_equals_int (run.status, 0);
  fail_unless_equals_int (g_strv_length (lines), 3); /* the last is empty */
  for (guint i = 0; i < 2; i++) {
    g_auto (GStrv) numbers = g_strsplit (lines[i], " ", 0);
    gdouble sum = 0.0;

    fail_unless_equals_int (g_strv_length (numbers), 16);
    for (guint k = 0; k < 16; k++)
      sum += g_ascii_strtod (numbers[k], NULL);
    fail_unless (sum > 1.0 - 1e-9 && sum < 1.0 + 1e-9, "%s", lines[i]);
  }
  run_clear (&run);
}
GST_END_TEST;

GST_START_TEST (test_program_errors)
{
  static const gchar *const lines[][2] = {
    { "Atlantis\t1\t0\t8\t8\n", "no such city" },
    { "Dubai\t1\t0\t8\n", "tabs" },
    { "Dubai\t-1\t0\t8\t8\n", "-1" },
    { "Dubai\t1\tnow\t8\t8\n", "now" },
    { "Dubai\t1\t0\t0\t8\n", "0" },
    { "Dubai\t1\t0\t8\t9000\n", "9000" },
    { "Dubai\t1\t0\t8\t8\t8\n", "tabs" },
  };
  Run run;

  for (guint i = 0; i < G_N_ELEMENTS (lines); i++) {
    run = run_with (lines[i][0], NULL);
    fail_unless_equals_int (run.status, 2);
    fail_unless (strstr (run.err, lines[i][1]) != NULL, "%s", run.err);
    fail_unless_equals_uint64 (g_bytes_get_size (run.out), 0);
    run_clear (&run);
  }
  run = run_with ("", "--aspect=wide");
  fail_unless_equals_int (run.status, 2);
  run_clear (&run);
  run = run_with ("", "--list");
  fail_unless_equals_int (run.status, 0);
  fail_unless (g_strstr_len (g_bytes_get_data (run.out, NULL), (gssize)g_bytes_get_size (run.out),
                             "\"held_out\": true, \"scene\": [") != NULL);
  run_clear (&run);
  run = run_with ("Dubai\n", "--scenes");
  fail_unless_equals_int (run.status, 2);
  run_clear (&run);
}
GST_END_TEST;

/* The sanitizers themselves take more than any limit that would refuse a picture. */
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
GST_START_TEST (test_program_without_memory)
{
  const gchar *const command[] = { "/bin/sh", "-c", "ulimit -v 500000 && exec \"$0\"", DRAW_WORLD,
                                   NULL };
  Run run = run_command ("Dubai\t9\t0\t48\t27\nDubai\t9\t0\t8192\t8192\n", command);

  fail_unless_equals_int (run.status, 2);
  fail_unless (strstr (run.err, "no memory for a picture of 8192 x 8192") != NULL, "%s", run.err);
  fail_unless_equals_uint64 (g_bytes_get_size (run.out), 48 * 27 * 3);
  run_clear (&run);
}
GST_END_TEST;
#endif

static Suite *
world_suite (void)
{
  Suite *s = suite_create ("world");
  TCase *tc = tcase_create ("general");

  suite_add_tcase (s, tc);
  tcase_add_test (tc, test_properties);
  tcase_add_test (tc, test_times_without_drift);
  tcase_add_test (tc, test_variable_frame_rate);
  tcase_add_test (tc, test_picture_does_not_depend_on_the_frame_rate);
  tcase_add_test (tc, test_formats);
  tcase_add_test (tc, test_seek);
  tcase_add_test (tc, test_live);
  tcase_add_test (tc, test_unknown_city);
  tcase_add_test (tc, test_truth_is_told_only_if_asked_for);
  tcase_add_test (tc, test_program_equals_element);
  tcase_add_test (tc, test_program_tells_scenes);
  tcase_add_test (tc, test_program_errors);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
  tcase_add_test (tc, test_program_without_memory);
#endif
  return s;
}

GST_CHECK_MAIN (world)
