/* Everything at once, for a while: threads that push, flush, set, read, query, request pads and change states.
 *
 * CITYGUESSR_STRESS_SECONDS is how long each mix goes on (default 2), CITYGUESSR_STRESS_SEED what
 * random things come from; it is printed when something fails. What the tests look for is seen by
 * themselves (hangs, warnings of GStreamer, numbers that do not add up) and by the sanitizers that
 * they run under.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "element-fixture.h"

#include <stdlib.h>

static guint32 seed;

static gdouble
stress_seconds (void)
{
  const gchar *text = g_getenv ("CITYGUESSR_STRESS_SECONDS");

  return text ? g_ascii_strtod (text, NULL) : 2.0;
}

/* (transfer full): the same numbers in every run with the same seed. */
static GRand *
rand_new (guint32 salt)
{
  return g_rand_new_with_seed (seed + salt);
}

static gboolean
has_pad_template (GstElement *element, const gchar *name)
{
  return gst_element_class_get_pad_template (GST_ELEMENT_GET_CLASS (element), name) != NULL;
}

/* ---- threads that do one thing again and again ---- */

typedef struct _Mix Mix;

typedef struct {
  Mix *mix;
  void (*act) (Mix *mix, GRand *rand);
  guint32 salt;
  GThread *thread;
  guint n;
} Worker;

struct _Mix {
  GstElement *element;
  GstPad *source, *sink; /* linked to it */
  GstBus *bus;
  Worker workers[12];
  guint n_workers;
  gint done;     /* atomic */
  GMutex stream; /* held by whom the stream belongs to: a flush takes it over, as a seek does */
  guint64 time;  /* PTS of the next frame; `stream` */
};

static gpointer
work (gpointer data)
{
  Worker *worker = data;
  GRand *rand = rand_new (worker->salt);

  for (; !g_atomic_int_get (&worker->mix->done); worker->n++) {
    worker->act (worker->mix, rand);
    g_thread_yield ();
  }
  g_rand_free (rand);
  return NULL;
}

static GstFlowReturn
drop_frame (GstPad *pad, GstObject *parent, GstBuffer *buffer)
{
  gst_buffer_unref (buffer);
  return GST_FLOW_OK;
}

static void
link_pad (GstElement *element, GstPad *pad, const gchar *name)
{
  GstPad *peer = gst_element_get_static_pad (element, name);

  fail_unless_equals_int (
      GST_PAD_IS_SRC (pad) ? gst_pad_link (pad, peer) : gst_pad_link (peer, pad), GST_PAD_LINK_OK);
  gst_pad_set_active (pad, TRUE);
  gst_object_unref (peer);
}

static void
mix_init (Mix *mix, const gchar *mode)
{
  *mix = (Mix){ .element = element_new (500), .bus = gst_bus_new () };
  g_object_set (mix->element, "sample-interval", 5 * FRAME_TIME, NULL);
  gst_util_set_object_arg (G_OBJECT (mix->element), "processing-mode", mode);
  gst_element_set_bus (mix->element, mix->bus);
  g_mutex_init (&mix->stream);
  mix->source = gst_pad_new ("source", GST_PAD_SRC);
  mix->sink = gst_pad_new ("sink", GST_PAD_SINK);
  gst_pad_set_chain_function (mix->sink, drop_frame);
  link_pad (mix->element, mix->source, "sink");
  link_pad (mix->element, mix->sink, "src");
}

static void
mix_add (Mix *mix, void (*act) (Mix *mix, GRand *rand))
{
  Worker *worker = &mix->workers[mix->n_workers];

  *worker = (Worker){ .mix = mix, .act = act, .salt = mix->n_workers++ };
}

/* Lets all work for a while, and checks that each of them got somewhere. */
static void
mix_run (Mix *mix)
{
  gint64 until = g_get_monotonic_time () + (gint64)(stress_seconds () * SECONDS_TO_US);
  GstMessage *message;

  gst_element_set_state (mix->element, GST_STATE_PLAYING);
  for (guint i = 0; i < mix->n_workers; i++)
    mix->workers[i].thread = g_thread_new ("stress", work, &mix->workers[i]);
  while (g_get_monotonic_time () < until) {
    message = gst_bus_timed_pop (mix->bus, 10 * GST_MSECOND);
    if (message == NULL)
      continue;
    if (GST_MESSAGE_TYPE (message) == GST_MESSAGE_ERROR) {
      g_autoptr (GError) error = NULL;

      gst_message_parse_error (message, &error, NULL);
      fail ("seed %u: ERROR: %s", seed, error->message);
    }
    gst_message_unref (message);
  }
  g_atomic_int_set (&mix->done, TRUE);
  for (guint i = 0; i < mix->n_workers; i++) {
    g_thread_join (mix->workers[i].thread);
    fail_unless (mix->workers[i].n > 0, "seed %u: thread %u did nothing", seed, i);
    GST_INFO ("thread %u: %u times", i, mix->workers[i].n);
  }
}

static guint64
stat_of (GstElement *element, const gchar *field)
{
  Fixture fixture = { .element = element };

  return total (&fixture, field);
}

static void
mix_clear (Mix *mix)
{
  fail_unless_equals_int (gst_element_set_state (mix->element, GST_STATE_NULL),
                          GST_STATE_CHANGE_SUCCESS);
  fail_unless (stat_of (mix->element, "windows") ==
                   stat_of (mix->element, "answered") + stat_of (mix->element, "failed") +
                       stat_of (mix->element, "dropped") + stat_of (mix->element, "flushed"),
               "seed %u: the windows of “stats” do not add up", seed);
  gst_pad_set_active (mix->source, FALSE);
  gst_pad_set_active (mix->sink, FALSE);
  gst_element_set_bus (mix->element, NULL);
  gst_bus_set_flushing (mix->bus, TRUE);
  gst_object_unref (mix->bus);
  ASSERT_OBJECT_REFCOUNT (mix->element, "element", 1);
  gst_object_unref (mix->element);
  gst_object_unref (mix->source);
  gst_object_unref (mix->sink);
  g_mutex_clear (&mix->stream);
}

/* ---- what they do ---- */

static void
begin_stream (Mix *mix)
{
  GstCaps *caps = gst_caps_from_string (CAPS);
  GstSegment segment;

  gst_segment_init (&segment, GST_FORMAT_TIME);
  gst_pad_push_event (mix->source, gst_event_new_stream_start ("stress"));
  gst_pad_push_event (mix->source, gst_event_new_caps (caps));
  gst_pad_push_event (mix->source, gst_event_new_segment (&segment));
  gst_caps_unref (caps);
}

/* Frames and, now and then, whatever else can come in a stream. */
static void
act_push (Mix *mix, GRand *rand)
{
  GstBuffer *buffer = picture_new (g_rand_int_range (rand, 0, 200));
  gint chance = g_rand_int_range (rand, 0, 200);

  g_mutex_lock (&mix->stream);
  if (mix->time == 0 || chance == 0)
    begin_stream (mix);
  GST_BUFFER_PTS (buffer) = mix->time;
  mix->time += FRAME_TIME;
  if (chance == 1)
    GST_BUFFER_PTS (buffer) = GST_CLOCK_TIME_NONE;
  else if (chance == 2)
    GST_BUFFER_FLAG_SET (buffer, GST_BUFFER_FLAG_DISCONT);
  else if (chance == 3)
    GST_BUFFER_FLAG_SET (buffer, GST_BUFFER_FLAG_GAP);
  else if (chance == 4)
    mix->time = FRAME_TIME;
  else if (chance == 5)
    gst_pad_push_event (mix->source, gst_event_new_gap (mix->time, FRAME_TIME));
  else if (chance == 6)
    gst_pad_push_event (mix->source, gst_event_new_segment_done (GST_FORMAT_TIME, mix->time));
  if (gst_pad_push (mix->source, buffer) != GST_FLOW_OK)
    mix->time = 0; /* stopped, or flushing: the stream begins anew */
  g_mutex_unlock (&mix->stream);
}

static void
act_flush (Mix *mix, GRand *rand)
{
  gst_pad_push_event (mix->source, gst_event_new_flush_start ());
  g_mutex_lock (&mix->stream);
  gst_pad_push_event (mix->source, gst_event_new_flush_stop (TRUE));
  mix->time = 0;
  g_mutex_unlock (&mix->stream);
  g_usleep (g_rand_int_range (rand, 0, 20000));
}

static void
act_set (Mix *mix, GRand *rand)
{
  static const gchar *const modes[] = { "auto", "live", "offline" };
  static const gchar *const decodings[] = { "marginal", "codependent", "independent" };

  g_object_set (mix->element, "hop", g_rand_int_range (rand, 1, 4), "min-samples",
                g_rand_int_range (rand, 1, 10), "top-k", g_rand_int_range (rand, 0, 20),
                "min-confidence", g_rand_double (rand), NULL);
  gst_util_set_object_arg (G_OBJECT (mix->element), "processing-mode",
                           modes[g_rand_int_range (rand, 0, 3)]);
  gst_util_set_object_arg (G_OBJECT (mix->element), "decoding",
                           decodings[g_rand_int_range (rand, 0, 3)]);
}

static void
act_read (Mix *mix, GRand *rand)
{
  guint n = 0;
  g_autofree GParamSpec **specs =
      g_object_class_list_properties (G_OBJECT_GET_CLASS (mix->element), &n);
  GParamSpec *spec = specs[g_rand_int_range (rand, 0, n)];
  GValue value = G_VALUE_INIT;

  if (!(spec->flags & G_PARAM_READABLE))
    return;
  g_value_init (&value, spec->value_type);
  g_object_get_property (G_OBJECT (mix->element), spec->name, &value);
  g_value_unset (&value);
}

static void
act_upstream (Mix *mix, GRand *rand)
{
  GstQuery *query = gst_query_new_latency ();

  gst_pad_push_event (mix->sink, gst_event_new_latency (GST_MSECOND));
  gst_pad_push_event (mix->sink, gst_event_new_reconfigure ());
  gst_pad_push_event (mix->sink,
                      gst_event_new_qos (GST_QOS_TYPE_UNDERFLOW, 2.0, GST_SECOND, FRAME_TIME));
  gst_pad_peer_query (mix->sink, query);
  gst_query_unref (query);
  g_usleep (g_rand_int_range (rand, 0, 2000));
}

/* Goes down while frames come, and up again while none do: GStreamer itself does not bear frames at a pad
 * that is being activated, whose events of the stream are not there yet. */
static void
restart (Mix *mix, GstState down, GstState up)
{
  fail_if (gst_element_set_state (mix->element, down) == GST_STATE_CHANGE_FAILURE);
  g_mutex_lock (&mix->stream);
  mix->time = 0;
  gst_element_set_state (mix->element, up);
  g_mutex_unlock (&mix->stream);
}

static void
act_states (Mix *mix, GRand *rand)
{
  static const GstState states[] = { GST_STATE_NULL, GST_STATE_READY, GST_STATE_PAUSED };

  g_usleep (g_rand_int_range (rand, 0, 20000));
  restart (mix, states[g_rand_int_range (rand, 0, 3)], GST_STATE_PLAYING);
}

/* A side pad that is requested, read for a moment, and released. */
static void
request (Mix *mix, GRand *rand, const gchar *name)
{
  GstPad *pad = gst_element_request_pad_simple (mix->element, name), *reader;

  fail_unless (pad != NULL, "seed %u: no pad %s", seed, name);
  reader = gst_pad_new ("reader", GST_PAD_SINK);
  gst_pad_set_chain_function (reader, drop_frame);
  gst_pad_set_active (reader, TRUE);
  if (g_rand_boolean (rand))
    fail_unless_equals_int (gst_pad_link (pad, reader), GST_PAD_LINK_OK);
  g_usleep (g_rand_int_range (rand, 0, 10000));
  gst_element_release_request_pad (mix->element, pad);
  gst_object_unref (pad);
  gst_pad_set_active (reader, FALSE);
  gst_object_unref (reader);
}

static void
act_text (Mix *mix, GRand *rand)
{
  request (mix, rand, "text_src");
}

static void
act_json (Mix *mix, GRand *rand)
{
  request (mix, rand, "json_src");
}

/* Complaints 7 and 22. Given threads that push, set, read, ask, flush and request pads, all at the same
 * time, without and with one that changes states, nothing hangs, warns, or is in error. */
GST_START_TEST (test_mix)
{
  static const gchar *const modes[] = { "offline", "live" };
  Mix mix;

  mix_init (&mix, modes[__i__ % 2]);
  mix_add (&mix, act_push);
  mix_add (&mix, act_set);
  mix_add (&mix, act_read);
  mix_add (&mix, act_upstream);
  if (has_pad_template (mix.element, "text_src"))
    mix_add (&mix, act_text);
  if (has_pad_template (mix.element, "json_src"))
    mix_add (&mix, act_json);
  mix_add (&mix, __i__ / 2 ? act_states : act_flush);
  mix_run (&mix);
  fail_unless (__i__ / 2 || stat_of (mix.element, "windows") > 0, "seed %u: no windows", seed);
  mix_clear (&mix);
}
GST_END_TEST;

/* Given GstHarness's own stress threads (pushing, a property, upstream events), the same. That for state changes
 * restarts the pads under the one that pushes, see restart(). */
GST_START_TEST (test_harness_threads)
{
  Fixture fixture;
  GstHarness *harness;
  GstHarnessThread *threads[4];
  GstCaps *caps = gst_caps_from_string (CAPS);
  GstSegment segment;
  GstBuffer *buffer = picture_new (1);
  GValue top_k = G_VALUE_INIT;

  g_value_init (&top_k, G_TYPE_UINT);
  g_value_set_uint (&top_k, 7);
  gst_segment_init (&segment, GST_FORMAT_TIME);
  fixture_start (&fixture, element_new (500), "live");
  harness = fixture.harness;
  gst_harness_set_drop_buffers (harness, TRUE);
  threads[0] = gst_harness_stress_push_buffer_start (harness, caps, &segment, buffer);
  threads[1] = gst_harness_stress_property_start (harness, "top-k", &top_k);
  threads[2] =
      gst_harness_stress_send_upstream_event_start (harness, gst_event_new_latency (GST_MSECOND));
  threads[3] = gst_harness_stress_send_upstream_event_start (harness, gst_event_new_reconfigure ());
  g_usleep ((gulong)(stress_seconds () * SECONDS_TO_US));
  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    fail_unless (gst_harness_stress_thread_stop (threads[i]) > 0, "thread %u did nothing", i);
  g_value_unset (&top_k);
  gst_buffer_unref (buffer);
  gst_caps_unref (caps);
  assert_no_message (&fixture, GST_MESSAGE_ERROR);
  fixture_clear (&fixture);
}
GST_END_TEST;

/* ---- states ---- */

/* Complaint 22: restarting aborts. Given every sequence of three states, each change is there at once, and
 * back in NULL nothing is left. */
GST_START_TEST (test_state_sequences)
{
  static const GstState states[] = { GST_STATE_NULL, GST_STATE_READY, GST_STATE_PAUSED,
                                     GST_STATE_PLAYING };
  guint n_threads = thread_count ();

  for (guint i = 0; i < 4 * 4 * 4; i++) {
    GstElement *element = element_new (0);
    const GstState sequence[] = { states[i % 4], states[i / 4 % 4], states[i / 16],
                                  GST_STATE_NULL };

    for (guint s = 0; s < G_N_ELEMENTS (sequence); s++) {
      GstStateChangeReturn result = gst_element_set_state (element, sequence[s]);

      fail_unless (result == GST_STATE_CHANGE_SUCCESS, "sequence %u, step %u (to %s): %s", i, s,
                   gst_element_state_get_name (sequence[s]),
                   gst_element_state_change_return_get_name (result));
    }
    ASSERT_OBJECT_REFCOUNT (element, "element", 1);
    gst_object_unref (element);
  }
  wait_for_threads (n_threads);
}
GST_END_TEST;

/* Complaints 13 and 22. Given a thousand cycles from NULL to PLAYING and back, each with a window's frames in
 * every tenth, the thousandth works as the first, and no thread stays. */
GST_START_TEST (test_thousand_cycles)
{
  GstElement *element = element_new (0);
  guint n_threads = thread_count ();
  gint64 begun = g_get_monotonic_time ();
  Fixture fixture;

  fixture_start (&fixture, element, "offline");
  for (guint i = 0; i < 1000; i++) {
    if (i % 10 == 9) {
      gst_harness_set_src_caps_str (fixture.harness, CAPS);
      push (&fixture, 0, 36);
      assert_window (next_answer (&fixture), 0, 5);
    }
    fail_unless_equals_int (gst_element_set_state (element, GST_STATE_NULL),
                            GST_STATE_CHANGE_SUCCESS);
    fail_unless_equals_int (gst_element_set_state (element, GST_STATE_PLAYING),
                            GST_STATE_CHANGE_SUCCESS);
  }
  GST_INFO ("%" G_GINT64_FORMAT " us a cycle", (g_get_monotonic_time () - begun) / 1000);
  assert_no_message (&fixture, TOLD);
  fixture_clear (&fixture);
  wait_for_threads (n_threads);
}
GST_END_TEST;

/* ---- many instances ---- */

#define MAX_INSTANCES 32

typedef struct {
  guint32 salt;
  gint64 until;
  guint runs, windows;
} Instance;

/* Starts, pushes a while, stops; again and again. */
static gpointer
live_a_life (gpointer data)
{
  static const gchar *const modes[] = { "offline", "live" };
  Instance *instance = data;
  GRand *rand = rand_new (instance->salt);

  do {
    guint n = g_rand_int_range (rand, 0, 80);
    Fixture fixture;

    fixture_begin (&fixture, element_new (200), modes[g_rand_int_range (rand, 0, 2)]);
    gst_harness_set_drop_buffers (fixture.harness, TRUE);
    push (&fixture, 0, n);
    if (g_rand_boolean (rand))
      push_event (&fixture, gst_event_new_eos ());
    instance->windows += total (&fixture, "windows");
    /* That there were too few frames is told. */
    assert_no_message (&fixture, total (&fixture, "windows") > 0
                                     ? GST_MESSAGE_ERROR | GST_MESSAGE_WARNING
                                     : GST_MESSAGE_ERROR);
    fixture_clear (&fixture);
    instance->runs++;
  } while (g_get_monotonic_time () < instance->until);
  g_rand_free (rand);
  return NULL;
}

/* Complaint 7. Given 1, 8 and 32 instances that start and stop at random, all of them get their answers, and
 * at the end no thread and no engine is left. */
GST_START_TEST (test_instances)
{
  static const guint numbers[] = { 1, 8, MAX_INSTANCES };
  guint n = numbers[__i__], n_threads = thread_count ();
  Instance instances[MAX_INSTANCES];
  GThread *threads[MAX_INSTANCES];
  guint windows = 0;

  for (guint i = 0; i < n; i++) {
    instances[i] = (Instance){
      .salt = 100 + i,
      .until = g_get_monotonic_time () + (gint64)(stress_seconds () * SECONDS_TO_US / 2),
    };
    threads[i] = g_thread_new ("instance", live_a_life, &instances[i]);
  }
  for (guint i = 0; i < n; i++) {
    g_thread_join (threads[i]);
    fail_unless (instances[i].runs > 0);
    windows += instances[i].windows;
  }
  fail_unless (windows > 0, "seed %u: no windows", seed);
  wait_for_threads (n_threads);
}
GST_END_TEST;

/* ---- properties ---- */

/* One of the values that @spec allows: its least, its greatest, its default or any. */
static void
choose_value (GParamSpec *spec, GRand *rand, GValue *value)
{
  gint way = g_rand_int_range (rand, 0, 4);
  gdouble share = way == 0 ? 0 : way == 1 ? 1 : g_rand_double (rand);

  g_value_init (value, spec->value_type);
  if (way == 2) { // NOLINT(bugprone-branch-clone): by choice here, for want of a range below
    g_param_value_set_default (spec, value);
  } else if (G_IS_PARAM_SPEC_UINT (spec)) {
    GParamSpecUInt *range = G_PARAM_SPEC_UINT (spec);

    g_value_set_uint (value, range->minimum + (guint)(share * (range->maximum - range->minimum)));
  } else if (G_IS_PARAM_SPEC_UINT64 (spec)) {
    GParamSpecUInt64 *range = G_PARAM_SPEC_UINT64 (spec);

    g_value_set_uint64 (value, way == 1 ? range->maximum
                                        : range->minimum + (guint64)(share * 1e9) %
                                                               (range->maximum - range->minimum));
  } else if (G_IS_PARAM_SPEC_DOUBLE (spec)) {
    GParamSpecDouble *range = G_PARAM_SPEC_DOUBLE (spec);

    g_value_set_double (value, range->minimum + share * (range->maximum - range->minimum));
  } else if (G_IS_PARAM_SPEC_ENUM (spec)) {
    GEnumClass *values = G_PARAM_SPEC_ENUM (spec)->enum_class;

    g_value_set_enum (value, values->values[g_rand_int_range (rand, 0, values->n_values)].value);
  } else if (G_IS_PARAM_SPEC_BOOLEAN (spec)) {
    g_value_set_boolean (value, g_rand_boolean (rand));
  } else if (G_IS_PARAM_SPEC_STRING (spec)) {
    static const gchar *const strings[] = { NULL, "", "%s%n%x {city} {", "\xc3\xa9t\xc3\xa9" };

    g_value_set_string (value, strings[g_rand_int_range (rand, 0, G_N_ELEMENTS (strings))]);
  } else {
    g_param_value_set_default (spec, value);
  }
}

/* Text as a user may type it, of the wrong kind or odd. */
static const gchar *const texts[] = {
  "",   "-1",   "1e99",       "nan",     "true",   "auto", "no such value", "18446744073709551616",
  "0x", "NULL", "2147483648", "a\tb\nc", "(int)7", "\"",
};

/* Whether @text can be set; that it is out of range GObject says itself, with a warning. */
static gboolean
is_in_range (GParamSpec *spec, const gchar *text)
{
  GValue value = G_VALUE_INIT;
  gboolean out = FALSE;

  g_value_init (&value, spec->value_type);
  if (gst_value_deserialize (&value, text))
    out = g_param_value_validate (spec, &value);
  g_value_unset (&value);
  return !out;
}

static void
act_fuzz (Mix *mix, GRand *rand)
{
  guint n = 0;
  GObject *object = G_OBJECT (mix->element);
  g_autofree GParamSpec **specs = g_object_class_list_properties (G_OBJECT_GET_CLASS (object), &n);
  GParamSpec *spec = specs[g_rand_int_range (rand, 0, n)];
  GValue value = G_VALUE_INIT;

  if (!(spec->flags & G_PARAM_WRITABLE) || spec->owner_type == GST_TYPE_OBJECT)
    return; /* name and parent are GStreamer's */
  if (g_rand_boolean (rand)) {
    const gchar *text = texts[g_rand_int_range (rand, 0, G_N_ELEMENTS (texts))];

    if (is_in_range (spec, text))
      gst_util_set_object_arg (object, spec->name, text);
    return;
  }
  choose_value (spec, rand, &value);
  g_object_set_property (object, spec->name, &value);
  g_value_unset (&value);
}

/* Into any state, with settings that may be wrong for it. */
static void
act_any_state (Mix *mix, GRand *rand)
{
  static const GstState states[] = { GST_STATE_NULL, GST_STATE_READY, GST_STATE_PAUSED,
                                     GST_STATE_PLAYING };

  restart (mix, states[g_rand_int_range (rand, 0, 2)], states[g_rand_int_range (rand, 0, 4)]);
  g_usleep (g_rand_int_range (rand, 0, 5000));
}

/* Complaint 22: crashes when properties are read or set before the element is set up. Given values that are
 * allowed and text that is not, set from two threads while a third reads and a fourth changes states,
 * nothing hangs, aborts or warns, and each value stays within its range. */
GST_START_TEST (test_property_fuzz)
{
  gint64 until = g_get_monotonic_time () + (gint64)(stress_seconds () * SECONDS_TO_US);
  Mix mix;
  guint n = 0;
  g_autofree GParamSpec **specs = NULL;

  mix_init (&mix, "live");
  mix_add (&mix, act_fuzz);
  mix_add (&mix, act_fuzz);
  mix_add (&mix, act_read);
  mix_add (&mix, act_push);
  mix_add (&mix, act_any_state);
  for (guint i = 0; i < mix.n_workers; i++)
    mix.workers[i].thread = g_thread_new ("fuzz", work, &mix.workers[i]);
  while (g_get_monotonic_time () < until) {
    GstMessage *message = gst_bus_timed_pop (mix.bus, 10 * GST_MSECOND);

    g_clear_pointer (&message, gst_message_unref);
  }
  g_atomic_int_set (&mix.done, TRUE);
  for (guint i = 0; i < mix.n_workers; i++)
    g_thread_join (mix.workers[i].thread);

  specs = g_object_class_list_properties (G_OBJECT_GET_CLASS (mix.element), &n);
  for (guint i = 0; i < n; i++) {
    GValue value = G_VALUE_INIT;

    if (!(specs[i]->flags & G_PARAM_READABLE))
      continue;
    g_value_init (&value, specs[i]->value_type);
    g_object_get_property (G_OBJECT (mix.element), specs[i]->name, &value);
    fail_if (g_param_value_validate (specs[i], &value), "seed %u: %s is out of its range", seed,
             specs[i]->name);
    g_value_unset (&value);
  }
  mix_clear (&mix);
}
GST_END_TEST;

static Suite *
stress_suite (void)
{
  Suite *suite = suite_create ("stress");
  TCase *mixes = tcase_create ("mixes"), *states = tcase_create ("states");
  TCase *instances = tcase_create ("instances"), *properties = tcase_create ("properties");
  const gchar *text = g_getenv ("CITYGUESSR_STRESS_SEED");
  guint patience = 240 + (guint)(10 * stress_seconds ());

  seed = text ? (guint32)g_ascii_strtoull (text, NULL, 10) : g_random_int ();

  suite_add_tcase (suite, mixes);
  tcase_set_timeout (mixes, patience);
  tcase_add_loop_test (mixes, test_mix, 0, 4);
  tcase_add_test (mixes, test_harness_threads);

  suite_add_tcase (suite, states);
  tcase_set_timeout (states, patience);
  tcase_add_test (states, test_state_sequences);
  tcase_add_test (states, test_thousand_cycles);

  suite_add_tcase (suite, instances);
  tcase_set_timeout (instances, patience);
  tcase_add_loop_test (instances, test_instances, 0, 3);

  suite_add_tcase (suite, properties);
  tcase_set_timeout (properties, patience);
  tcase_add_test (properties, test_property_fuzz);
  return suite;
}

GST_CHECK_MAIN (stress)
