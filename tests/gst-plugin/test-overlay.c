/* The bin `cityguessroverlay`: two elements behave as one, the picture is drawn on, and video never waits for words.
 *
 * The pictures are grey, all bytes GREY, so that whatever differs has been drawn.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include <gst/check/gstcheck.h>
#include <gst/check/gstharness.h>
#include <gst/video/video.h>

#include "system-plugins.h"

#define FPS 25
#define FRAME_TIME (GST_SECOND / FPS)
#define WIDTH 320
#define HEIGHT 180
#define CAPS "video/x-raw,format=RGB,width=320,height=180,framerate=25/1"
#define SIZE (WIDTH * HEIGHT * 3)
#define GREY 128
/* Eight samples, five frames apart: the frames 0 … 35. */
#define WINDOW_END 35
#define STEP 5
#define PATIENCE (30 * G_TIME_SPAN_SECOND)

typedef struct {
  GstHarness *harness;
  GstElement *bin;
  GstBus *bus;
} Fixture;

static void
load_plugins (void)
{
  need_plugins ("coreelements", "pango", "videotestsrc", NULL);
}

static GstElement *
bin_new (void)
{
  GstElement *bin = gst_element_factory_make ("cityguessroverlay", NULL);

  fail_unless (bin != NULL, "no element: is GST_PLUGIN_PATH_1_0 set?");
  gst_util_set_object_arg (G_OBJECT (bin), "device", "null");
  g_object_set (bin, "model", "generated:tiny:1", "sample-interval", STEP * FRAME_TIME, NULL);
  return bin;
}

/* Waits until the engine is there: offline the first picture would, live the first ones would go unseen. */
static void
wait_for_engine (GstElement *bin)
{
  gint64 deadline = g_get_monotonic_time () + PATIENCE;
  gchar *device = NULL;

  g_object_get (bin, "active-device", &device, NULL);
  while (device == NULL) {
    fail_unless (g_get_monotonic_time () < deadline, "no engine");
    g_usleep (500);
    g_object_get (bin, "active-device", &device, NULL);
  }
  g_free (device);
}

static void
start_with_caps (Fixture *fixture, const gchar *mode, const gchar *caps)
{
  fixture->bin = bin_new ();
  gst_util_set_object_arg (G_OBJECT (fixture->bin), "processing-mode", mode);
  fixture->bus = gst_bus_new ();
  gst_element_set_bus (fixture->bin, fixture->bus);
  fixture->harness = gst_harness_new_with_element (fixture->bin, "sink", "src");
  gst_harness_set_src_caps_str (fixture->harness, caps);
  wait_for_engine (fixture->bin);
}

static void
start (Fixture *fixture, const gchar *mode)
{
  start_with_caps (fixture, mode, CAPS);
}

static void
clear (Fixture *fixture)
{
  gst_harness_teardown (fixture->harness);
  gst_element_set_bus (fixture->bin, NULL);
  gst_bus_set_flushing (fixture->bus, TRUE);
  gst_object_unref (fixture->bus);
  ASSERT_OBJECT_REFCOUNT (fixture->bin, "bin", 1);
  gst_object_unref (fixture->bin);
}

static GstBuffer *
picture_new (guint i)
{
  GstBuffer *buffer = gst_buffer_new_and_alloc (SIZE);

  gst_buffer_memset (buffer, 0, GREY, SIZE);
  GST_BUFFER_PTS (buffer) = i * FRAME_TIME;
  GST_BUFFER_DURATION (buffer) = FRAME_TIME;
  return buffer;
}

static gboolean
is_drawn (GstBuffer *buffer)
{
  GstMapInfo map;
  gboolean drawn = FALSE;

  fail_unless (gst_buffer_map (buffer, &map, GST_MAP_READ));
  for (gsize i = 0; i < map.size && !drawn; i++)
    drawn = map.data[i] != GREY;
  gst_buffer_unmap (buffer, &map);
  return drawn;
}

/* Pushes the pictures @begin … and returns which of them came out drawn, as in "..####". */
static gchar *
draw (Fixture *fixture, guint begin, guint n)
{
  GString *drawn = g_string_new (NULL);

  for (guint i = begin; i < begin + n; i++) {
    GstBuffer *buffer;

    fail_unless_equals_int (gst_harness_push (fixture->harness, picture_new (i)), GST_FLOW_OK);
    buffer = gst_harness_try_pull (fixture->harness);
    fail_unless (buffer != NULL, "picture %u did not come out", i);
    fail_unless_equals_uint64 (GST_BUFFER_PTS (buffer), i * FRAME_TIME);
    g_string_append_c (drawn, is_drawn (buffer) ? '#' : '.');
    gst_buffer_unref (buffer);
  }
  return g_string_free (drawn, FALSE);
}

static guint
count_messages (Fixture *fixture, const gchar *name)
{
  GstMessage *message;
  guint n = 0;

  while ((message = gst_bus_pop_filtered (fixture->bus, GST_MESSAGE_ELEMENT))) {
    n += gst_message_has_name (message, name);
    gst_message_unref (message);
  }
  return n;
}

static void
assert_no_complaint (Fixture *fixture)
{
  GstMessage *message =
      gst_bus_pop_filtered (fixture->bus, GST_MESSAGE_ERROR | GST_MESSAGE_WARNING);

  fail_unless (message == NULL, "unexpected: %s",
               message ? gst_structure_to_string (gst_message_get_structure (message)) : "");
}

/* ---- properties ---- */

/* Whether both take the same values, seen at @value: a spec changes what it does not take. */
static void
assert_same_range (GParamSpec *a, GParamSpec *b, GValue *value)
{
  GValue copy = G_VALUE_INIT;

  g_value_init (&copy, G_VALUE_TYPE (value));
  g_value_copy (value, &copy);
  g_param_value_validate (a, value);
  g_param_value_validate (b, &copy);
  fail_unless (g_param_values_cmp (a, value, &copy) == 0, "%s: another range", a->name);
  g_value_unset (&copy);
  g_value_unset (value);
}

static void
assert_same_spec (GParamSpec *inner, GParamSpec *own)
{
  GValue value = G_VALUE_INIT;

  fail_unless (own != NULL, "the bin has no property %s", inner->name);
  fail_unless (
      G_PARAM_SPEC_TYPE (inner) == G_PARAM_SPEC_TYPE (own) && inner->value_type == own->value_type,
      "%s is a %s of %s", own->name, G_PARAM_SPEC_TYPE_NAME (own), g_type_name (own->value_type));
  fail_unless (inner->flags == own->flags, "%s has the flags %x, not %x", own->name, own->flags,
               inner->flags);
  fail_unless_equals_string (g_param_spec_get_nick (inner), g_param_spec_get_nick (own));
  fail_unless_equals_string (g_param_spec_get_blurb (inner), g_param_spec_get_blurb (own));
  fail_unless (g_param_values_cmp (inner, g_param_spec_get_default_value (inner),
                                   g_param_spec_get_default_value (own)) == 0,
               "%s has another default", own->name);

  g_value_init (&value, inner->value_type);
  if (inner->value_type == G_TYPE_UINT) {
    g_value_set_uint (&value, G_MAXUINT);
    assert_same_range (inner, own, &value);
    g_value_init (&value, G_TYPE_UINT);
    g_value_set_uint (&value, 0);
    assert_same_range (inner, own, &value);
  } else if (inner->value_type == G_TYPE_UINT64) {
    g_value_set_uint64 (&value, G_MAXUINT64);
    assert_same_range (inner, own, &value);
  } else if (inner->value_type == G_TYPE_DOUBLE) {
    g_value_set_double (&value, G_MAXDOUBLE);
    assert_same_range (inner, own, &value);
    g_value_init (&value, G_TYPE_DOUBLE);
    g_value_set_double (&value, -G_MAXDOUBLE);
    assert_same_range (inner, own, &value);
  } else {
    g_value_unset (&value);
  }
}

/* Every property of the element is one of the bin: the same but for its owner. */
GST_START_TEST (test_same_properties)
{
  GstElement *bin = bin_new (), *guess = gst_bin_get_by_name (GST_BIN (bin), "guess");
  guint n, shared = 0;
  g_autofree GParamSpec **specs = g_object_class_list_properties (G_OBJECT_GET_CLASS (guess), &n);

  for (guint i = 0; i < n; i++) {
    if (specs[i]->owner_type != G_OBJECT_TYPE (guess))
      continue;
    assert_same_spec (specs[i],
                      g_object_class_find_property (G_OBJECT_GET_CLASS (bin), specs[i]->name));
    shared++;
  }
  fail_unless (shared >= 13, "only %u properties", shared);
  gst_object_unref (guess);
  gst_object_unref (bin);
}
GST_END_TEST;

static void
count_up (gpointer object, GParamSpec *pspec, guint *n)
{
  g_atomic_int_inc (n);
}

/* A value set on the bin is the element's and the other way round, and both tell who listens on the bin, once. */
GST_START_TEST (test_values_are_shared)
{
  GstElement *bin = bin_new (), *guess = gst_bin_get_by_name (GST_BIN (bin), "guess");
  guint hop = 0, n = 0;

  g_signal_connect (bin, "notify::hop", G_CALLBACK (count_up), &n);
  g_object_set (bin, "hop", 7, NULL);
  g_object_get (guess, "hop", &hop, NULL);
  fail_unless_equals_int (hop, 7);
  fail_unless_equals_int (n, 1);

  g_object_set (guess, "hop", 3, NULL);
  g_object_get (bin, "hop", &hop, NULL);
  fail_unless_equals_int (hop, 3);
  fail_unless_equals_int (n, 2);
  gst_object_unref (guess);
  gst_object_unref (bin);
}
GST_END_TEST;

/* A read-only property that changes inside is told on the bin. */
GST_START_TEST (test_read_only_notifies)
{
  Fixture fixture;
  guint n = 0;

  fixture.bin = bin_new ();
  gst_object_ref (fixture.bin);
  g_signal_connect (fixture.bin, "notify::active-device", G_CALLBACK (count_up), &n);
  fail_unless_equals_int (gst_element_set_state (fixture.bin, GST_STATE_PAUSED),
                          GST_STATE_CHANGE_SUCCESS);
  wait_for_engine (fixture.bin);
  gst_element_set_state (fixture.bin, GST_STATE_NULL);
  fail_unless_equals_int (g_atomic_int_get (&n), 2);
  gst_object_unref (fixture.bin);
  gst_object_unref (fixture.bin);
}
GST_END_TEST;

/* The two inside are reached by stable names, and are what they should be. */
GST_START_TEST (test_children)
{
  GstElement *bin = bin_new ();
  g_autofree gchar *font = NULL;
  guint hop = 0;

  gst_child_proxy_set (GST_CHILD_PROXY (bin), "caption::font-desc", "Serif 9", "guess::hop", 5,
                       NULL);
  gst_child_proxy_get (GST_CHILD_PROXY (bin), "caption::font-desc", &font, NULL);
  g_object_get (bin, "hop", &hop, NULL);
  fail_unless_equals_string (font, "Serif 9");
  fail_unless_equals_int (hop, 5);
  fail_unless_equals_int (gst_child_proxy_get_children_count (GST_CHILD_PROXY (bin)), 2);
  gst_object_unref (bin);
}
GST_END_TEST;

/* ---- drawing ---- */

/* Given a file, each picture is drawn on without a gap from at most a second after the first answer on, and none before
 * it; there are as many messages as without drawing. Twice, with the same result. */
GST_START_TEST (test_draws)
{
  g_autofree gchar *earlier = NULL;

  for (guint run = 0; run < 2; run++) {
    g_autofree gchar *drawn = NULL;
    const gchar *begin;
    Fixture fixture;

    start (&fixture, "offline");
    drawn = draw (&fixture, 0, 300);
    begin = strchr (drawn, '#');
    fail_unless (begin != NULL, "nothing was drawn");
    fail_unless (begin - drawn >= WINDOW_END && begin - drawn <= WINDOW_END + FPS, "%s", drawn);
    fail_unless (strchr (begin, '.') == NULL, "the caption goes out: %s", drawn);
    fail_unless_equals_int (count_messages (&fixture, "cityguessr"), 27);
    if (run == 0)
      earlier = g_steal_pointer (&drawn);
    else
      fail_unless_equals_string (earlier, drawn);
    assert_no_complaint (&fixture);
    clear (&fixture);
  }
}
GST_END_TEST;

/* Given a live stream, the same: once there is an answer, the caption stays. */
GST_START_TEST (test_draws_live)
{
  gint64 deadline = g_get_monotonic_time () + PATIENCE;
  g_autofree gchar *drawn = NULL;
  const gchar *begin;
  Fixture fixture;

  start (&fixture, "live");
  g_free (draw (&fixture, 0, WINDOW_END + 1));
  while (count_messages (&fixture, "cityguessr") == 0) {
    fail_unless (g_get_monotonic_time () < deadline, "no answer");
    g_usleep (500);
  }
  drawn = draw (&fixture, WINDOW_END + 1, 300);
  begin = strchr (drawn, '#');
  fail_unless (begin != NULL && begin - drawn <= FPS, "%s", drawn);
  fail_unless (strchr (begin, '.') == NULL, "the caption goes out: %s", drawn);
  assert_no_complaint (&fixture);
  clear (&fixture);
}
GST_END_TEST;

/* Given a long stream and never an answer, all of it goes through, untouched, also if the user lets the text be
 * waited for. */
GST_START_TEST (test_silence_never_stalls)
{
  static const gchar *const modes[] = { "live", "offline" };
  gboolean wait = __i__ & 1;
  g_autofree gchar *drawn = NULL;
  Fixture fixture;

  start (&fixture, modes[__i__ >> 1]);
  /* Of the windows that there would be, none is full. */
  g_object_set (fixture.bin, "sample-interval", 3600 * GST_SECOND, NULL);
  gst_element_set_state (fixture.bin, GST_STATE_NULL);
  gst_child_proxy_set (GST_CHILD_PROXY (fixture.bin), "caption::wait-text", wait, NULL);
  gst_harness_play (fixture.harness);
  gst_harness_set_src_caps_str (fixture.harness, CAPS);
  drawn = draw (&fixture, 0, 2000);
  fail_unless (strchr (drawn, '#') == NULL, "%s", drawn);
  fail_unless_equals_int (count_messages (&fixture, "cityguessr"), 0);
  assert_no_complaint (&fixture);
  clear (&fixture);
}
GST_END_TEST;

/* Captions that are timed by windows come a window late, so none can be drawn; video goes on all the same, whichever way
 * they were asked for, and back. */
GST_START_TEST (test_window_timing_never_stalls)
{
  Fixture fixture;
  g_autofree gchar *late = NULL, *back = NULL;

  start (&fixture, "offline");
  if (__i__ == 0)
    gst_util_set_object_arg (G_OBJECT (fixture.bin), "caption-timing", "window");
  else
    gst_child_proxy_set (GST_CHILD_PROXY (fixture.bin), "guess::caption-timing", 1, NULL);
  late = draw (&fixture, 0, 300);
  gst_util_set_object_arg (G_OBJECT (fixture.bin), "caption-timing", "video");
  back = draw (&fixture, 300, 200);
  fail_unless (g_str_has_suffix (back, "##########"), "%s then %s", late, back);
  assert_no_complaint (&fixture);
  clear (&fixture);
}
GST_END_TEST;

/* Given a live stream and a model that takes long to load, video goes on in the meantime. */
GST_START_TEST (test_late_engine)
{
  g_autofree gchar *drawn = NULL;
  g_autofree gchar *device = NULL;
  GstElement *guess;
  Fixture fixture;

  fixture.bin = bin_new ();
  guess = gst_bin_get_by_name (GST_BIN (fixture.bin), "guess");
  g_object_set_data (G_OBJECT (guess), "cityguessr-null-load-us",
                     GUINT_TO_POINTER (100 * G_TIME_SPAN_SECOND));
  gst_object_unref (guess);
  gst_util_set_object_arg (G_OBJECT (fixture.bin), "processing-mode", "live");
  fixture.bus = gst_bus_new ();
  gst_element_set_bus (fixture.bin, fixture.bus);
  fixture.harness = gst_harness_new_with_element (fixture.bin, "sink", "src");
  gst_harness_set_src_caps_str (fixture.harness, CAPS);
  drawn = draw (&fixture, 0, 200);
  fail_unless (strchr (drawn, '#') == NULL, "%s", drawn);
  g_object_get (fixture.bin, "active-device", &device, NULL);
  fail_unless (device == NULL, "video waited for the engine");
  clear (&fixture);
}
GST_END_TEST;

/* Each format of the element goes through and comes out as it went in; one that it does not know is refused. */
GST_START_TEST (test_formats)
{
  static const gchar *const formats[] = { "NV12", "I420", "YV12",  "P010_10LE", "RGB",  "BGR",
                                          "RGBx", "BGRx", "xRGB",  "xBGR",      "RGBA", "BGRA",
                                          "ARGB", "ABGR", "GRAY8", "YUY2" };
  gboolean known = g_str_has_prefix (formats[__i__], "YUY") == FALSE;
  g_autofree gchar *caps =
      g_strdup_printf ("video/x-raw,format=%s,width=320,height=180,framerate=25/1", formats[__i__]);
  GstVideoInfo info;
  GstBuffer *buffer;
  GstFlowReturn flow;
  Fixture fixture;
  guint drawn = 0;

  gst_video_info_set_format (&info, gst_video_format_from_string (formats[__i__]), WIDTH, HEIGHT);
  start_with_caps (&fixture, "offline", caps);
  for (guint i = 0; i < 60; i++) {
    buffer = gst_buffer_new_and_alloc (info.size);
    gst_buffer_memset (buffer, 0, GREY, info.size);
    GST_BUFFER_PTS (buffer) = i * FRAME_TIME;
    GST_BUFFER_DURATION (buffer) = FRAME_TIME;
    flow = gst_harness_push (fixture.harness, buffer);
    if (!known) {
      fail_unless_equals_int (flow, GST_FLOW_NOT_NEGOTIATED);
      break;
    }
    fail_unless_equals_int (flow, GST_FLOW_OK);
    buffer = gst_harness_pull (fixture.harness);
    fail_unless_equals_uint64 (gst_buffer_get_size (buffer), info.size);
    drawn += is_drawn (buffer);
    gst_buffer_unref (buffer);
  }
  fail_unless (known ? drawn >= 10 : drawn == 0, "%s: %u pictures drawn on", formats[__i__], drawn);
  clear (&fixture);
}
GST_END_TEST;

/* ---- events, queries, states ---- */

/* EOS comes out after all pictures, and what was left unanswered is answered before it. */
GST_START_TEST (test_eos)
{
  Fixture fixture;
  GstEvent *event;
  gboolean ended = FALSE;

  start (&fixture, "offline");
  g_free (draw (&fixture, 0, 27));
  fail_unless_equals_int (count_messages (&fixture, "cityguessr"), 0);
  fail_unless (gst_harness_push_event (fixture.harness, gst_event_new_eos ()));
  fail_unless_equals_int (count_messages (&fixture, "cityguessr"), 1);
  while ((event = gst_harness_try_pull_event (fixture.harness))) {
    ended |= GST_EVENT_TYPE (event) == GST_EVENT_EOS;
    gst_event_unref (event);
  }
  fail_unless (ended);
  clear (&fixture);
}
GST_END_TEST;

/* A flush forgets the caption; the stream begins anew behind it. */
GST_START_TEST (test_flush)
{
  g_autofree gchar *before = NULL, *after = NULL;
  Fixture fixture;
  GstSegment segment;

  start (&fixture, "offline");
  before = draw (&fixture, 0, 100);
  fail_unless (g_str_has_suffix (before, "#"), "%s", before);
  fail_unless (gst_harness_push_event (fixture.harness, gst_event_new_flush_start ()));
  fail_unless (gst_harness_push_event (fixture.harness, gst_event_new_flush_stop (TRUE)));
  gst_segment_init (&segment, GST_FORMAT_TIME);
  fail_unless (gst_harness_push_event (fixture.harness, gst_event_new_segment (&segment)));
  after = draw (&fixture, 0, 100);
  fail_unless_equals_string (before, after);
  assert_no_complaint (&fixture);
  clear (&fixture);
}
GST_END_TEST;

/* A segment that begins again from 0, as a file played in a loop gives it, goes through; so does a fast one, and one that
 * is played backwards. */
GST_START_TEST (test_segments)
{
  static const gdouble rates[] = { 1.0, 2.0, -1.0 };
  gdouble rate = rates[__i__];
  Fixture fixture;
  GstSegment segment;

  start (&fixture, "offline");
  g_free (draw (&fixture, 0, 100));
  gst_segment_init (&segment, GST_FORMAT_TIME);
  segment.rate = rate;
  segment.base = 100 * FRAME_TIME;
  segment.stop = 100 * FRAME_TIME;
  if (rate < 0)
    segment.position = segment.stop;
  fail_unless (gst_harness_push_event (fixture.harness, gst_event_new_segment (&segment)));
  if (rate > 0)
    g_free (draw (&fixture, 0, 100));
  for (guint i = 100; rate < 0 && i-- > 0;)
    g_free (draw (&fixture, i, 1));
  clear (&fixture);
}
GST_END_TEST;

/* What comes from downstream goes upstream once, not through each of the two pads that lead there; of lateness offline
 * nobody hears. */
GST_START_TEST (test_upstream_events_once)
{
  static const gchar *const modes[] = { "offline", "live" };
  Fixture fixture;
  GstEvent *event;
  gint seeks = 0, qos = 0;

  start (&fixture, modes[__i__]);
  g_free (draw (&fixture, 0, 10));
  fail_unless (gst_harness_push_upstream_event (
      fixture.harness,
      gst_event_new_seek (1.0, GST_FORMAT_TIME, GST_SEEK_FLAG_FLUSH, GST_SEEK_TYPE_SET, 0,
                          GST_SEEK_TYPE_NONE, GST_CLOCK_TIME_NONE)));
  fail_unless (gst_harness_push_upstream_event (
      fixture.harness, gst_event_new_qos (GST_QOS_TYPE_UNDERFLOW, 1, 0, 0)));
  while ((event = gst_harness_try_pull_upstream_event (fixture.harness))) {
    seeks += GST_EVENT_TYPE (event) == GST_EVENT_SEEK;
    qos += GST_EVENT_TYPE (event) == GST_EVENT_QOS;
    gst_event_unref (event);
  }
  fail_unless_equals_int (seeks, 1);
  fail_unless_equals_int (qos, __i__);
  clear (&fixture);
}
GST_END_TEST;

/* The bin adds nothing to the latency of a live pipeline, and hands on whether it is one. */
GST_START_TEST (test_latency)
{
  GstClockTime min, max;
  gboolean live;
  Fixture fixture;
  GstQuery *query = gst_query_new_latency ();

  start (&fixture, "auto");
  gst_harness_set_live (fixture.harness, TRUE);
  gst_harness_set_upstream_latency (fixture.harness, 40 * GST_MSECOND);
  g_free (draw (&fixture, 0, 1));
  fail_unless (gst_pad_peer_query (fixture.harness->sinkpad, query));
  gst_query_parse_latency (query, &live, &min, &max);
  fail_unless (live);
  fail_unless_equals_uint64 (min, 40 * GST_MSECOND);
  gst_query_unref (query);
  clear (&fixture);
}
GST_END_TEST;

/* Up and down, also with pictures under way, and nothing is left of it. */
GST_START_TEST (test_cycles)
{
  GstElement *pipeline =
      gst_parse_launch ("videotestsrc ! " CAPS " ! cityguessroverlay name=bin ! fakesink", NULL);
  GstElement *bin = gst_bin_get_by_name (GST_BIN (pipeline), "bin");

  gst_util_set_object_arg (G_OBJECT (bin), "device", "null");
  g_object_set (bin, "model", "generated:tiny:1", "sample-interval", FRAME_TIME, NULL);
  for (guint i = 0; i < 50; i++) {
    GstState wanted = i % 2 ? GST_STATE_PLAYING : GST_STATE_PAUSED, state;

    fail_if (gst_element_set_state (pipeline, wanted) == GST_STATE_CHANGE_FAILURE);
    if (i % 5 == 0) {
      fail_unless_equals_int (gst_element_get_state (pipeline, &state, NULL, PATIENCE * 1000),
                              GST_STATE_CHANGE_SUCCESS);
      fail_unless_equals_int (state, wanted);
    }
    fail_unless_equals_int (gst_element_set_state (pipeline, GST_STATE_NULL),
                            GST_STATE_CHANGE_SUCCESS);
  }
  ASSERT_OBJECT_REFCOUNT (bin, "bin", 2);
  gst_object_unref (bin);
  gst_object_unref (pipeline);
}
GST_END_TEST;

/* ---- nothing to draw with ---- */

/* Given no textoverlay, the bin can be made and set, and at the state change it says what is missing, to programs and
 * to people; once it is there, the same bin works. */
GST_START_TEST (test_no_textoverlay)
{
  GstRegistry *registry = gst_registry_get ();
  GstPluginFeature *feature = gst_registry_lookup_feature (registry, "textoverlay");
  GstMessage *message;
  const GstStructure *missing;
  GError *error = NULL;
  Fixture fixture;
  guint hop = 0;

  fail_unless (feature != NULL);
  gst_registry_remove_feature (registry, feature);
  fixture.bin = bin_new ();
  fixture.bus = gst_bus_new ();
  gst_element_set_bus (fixture.bin, fixture.bus);
  g_object_set (fixture.bin, "hop", 9, NULL);
  g_object_get (fixture.bin, "hop", &hop, NULL);
  fail_unless_equals_int (hop, 9);
  fail_unless_equals_int (gst_element_set_state (fixture.bin, GST_STATE_READY),
                          GST_STATE_CHANGE_FAILURE);

  message = gst_bus_pop_filtered (fixture.bus, GST_MESSAGE_ELEMENT);
  fail_unless (message != NULL, "no missing-plugin message");
  missing = gst_message_get_structure (message);
  fail_unless (gst_structure_has_name (missing, "missing-plugin"));
  fail_unless_equals_string (gst_structure_get_string (missing, "type"), "element");
  fail_unless_equals_string (gst_structure_get_string (missing, "detail"), "textoverlay");
  gst_message_unref (message);
  message = gst_bus_pop_filtered (fixture.bus, GST_MESSAGE_ERROR);
  fail_unless (message != NULL, "no ERROR");
  gst_message_parse_error (message, &error, NULL);
  fail_unless (g_error_matches (error, GST_CORE_ERROR, GST_CORE_ERROR_MISSING_PLUGIN));
  fail_unless (strstr (error->message, "gstreamer1.0-x") != NULL, "%s", error->message);
  g_error_free (error);
  gst_message_unref (message);

  gst_registry_add_feature (registry, feature);
  gst_element_set_state (fixture.bin, GST_STATE_NULL);
  fail_unless_equals_int (gst_element_set_state (fixture.bin, GST_STATE_READY),
                          GST_STATE_CHANGE_SUCCESS);
  gst_element_set_state (fixture.bin, GST_STATE_NULL);
  gst_element_set_bus (fixture.bin, NULL);
  gst_object_unref (fixture.bus);
  gst_object_unref (fixture.bin);
}
GST_END_TEST;

/* ---- presets ---- */

static void
assert_setting (GstElement *element, const gchar *preset, const gchar *property,
                const gchar *expected)
{
  GValue value = G_VALUE_INIT;
  g_autofree gchar *seen = NULL;

  g_object_get_property (G_OBJECT (element), property, &value);
  seen = gst_value_serialize (&value);
  g_value_unset (&value);
  fail_unless (g_strcmp0 (seen, expected) == 0, "%s: %s is %s, not %s", preset, property, seen,
               expected);
}

/* Every line of the files is a property with a value that it takes, and is there after loading, on the element and on
 * the bin. */
GST_START_TEST (test_presets)
{
  static const gchar *const factories[] = { "cityguessr", "cityguessroverlay" };
  GstElement *element = gst_element_factory_make (factories[__i__], NULL);
  g_auto (GStrv) names = NULL;
  g_autoptr (GKeyFile) file = g_key_file_new ();
  g_autofree gchar *path =
      g_strdup_printf ("%s/%s.prs", g_getenv ("GST_PRESET_PATH"), G_OBJECT_TYPE_NAME (element));

  fail_unless (GST_IS_PRESET (element), "%s has no presets", factories[__i__]);
  fail_unless (g_key_file_load_from_file (file, path, G_KEY_FILE_NONE, NULL), "%s cannot be read",
               path);
  names = gst_preset_get_preset_names (GST_PRESET (element));
  fail_unless (g_strv_contains ((const gchar *const *)names, "live"),
               "no preset “live” found in %s", path);
  fail_unless (g_strv_contains ((const gchar *const *)names, "archive"),
               "no preset “archive” found in %s", path);

  for (guint i = 0; names[i] != NULL; i++) {
    g_auto (GStrv) keys = g_key_file_get_keys (file, names[i], NULL, NULL);
    g_autofree gchar *comment = NULL;

    if (keys == NULL) /* the user's own */
      continue;
    fail_unless (gst_preset_load_preset (GST_PRESET (element), names[i]), "%s cannot be loaded",
                 names[i]);
    fail_unless (gst_preset_get_meta (GST_PRESET (element), names[i], "comment", &comment));
    fail_unless (comment != NULL && strlen (comment) > 20);
    for (guint k = 0; keys[k] != NULL; k++) {
      g_autofree gchar *value = g_key_file_get_value (file, names[i], keys[k], NULL);

      if (!g_str_has_prefix (keys[k], "_meta"))
        assert_setting (element, names[i], keys[k], value);
    }
  }
  gst_object_unref (element);
}
GST_END_TEST;

/* The folder of the preset files, seen from this file, whose path is relative to the build folder. */
static void
use_source_presets (void)
{
  g_autofree gchar *here = g_path_get_dirname (__FILE__);
  g_autofree gchar *presets = g_build_filename (here, "..", "..", "gst-plugin", "presets", NULL);

  g_setenv ("GST_PRESET_PATH", presets, TRUE);
}

static Suite *
overlay_suite (void)
{
  Suite *suite = suite_create ("overlay");
  TCase *bin = tcase_create ("bin"), *drawing = tcase_create ("drawing"),
        *stream = tcase_create ("stream");

  use_source_presets ();
  suite_add_tcase (suite, bin);
  tcase_add_unchecked_fixture (bin, load_plugins, NULL);
  tcase_add_test (bin, test_same_properties);
  tcase_add_test (bin, test_values_are_shared);
  tcase_add_test (bin, test_read_only_notifies);
  tcase_add_test (bin, test_children);
  tcase_add_test (bin, test_no_textoverlay);
  tcase_add_loop_test (bin, test_presets, 0, 2);

  suite_add_tcase (suite, drawing);
  tcase_add_unchecked_fixture (drawing, load_plugins, NULL);
  tcase_add_test (drawing, test_draws);
  tcase_add_test (drawing, test_draws_live);
  tcase_add_loop_test (drawing, test_silence_never_stalls, 0, 4);
  tcase_add_loop_test (drawing, test_window_timing_never_stalls, 0, 2);
  tcase_add_test (drawing, test_late_engine);
  tcase_add_loop_test (drawing, test_formats, 0, 16);

  suite_add_tcase (suite, stream);
  tcase_add_unchecked_fixture (stream, load_plugins, NULL);
  tcase_add_test (stream, test_eos);
  tcase_add_test (stream, test_flush);
  tcase_add_loop_test (stream, test_segments, 0, 3);
  tcase_add_loop_test (stream, test_upstream_events_once, 0, 2);
  tcase_add_test (stream, test_latency);
  tcase_add_test (stream, test_cycles);
  return suite;
}

GST_CHECK_MAIN (overlay)
