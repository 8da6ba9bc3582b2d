/* What the tests of the element share: see element-fixture.h.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "element-fixture.h"

#include "model/decode.h"
#include "model/engine.h"

GstElement *
element_new (guint delay_us)
{
  GstElement *element = gst_element_factory_make ("cityguessr", NULL);

  fail_unless (element != NULL, "no element: is GST_PLUGIN_PATH_1_0 set?");
  gst_util_set_object_arg (G_OBJECT (element), "device", "null");
  g_object_set (element, "model", MODEL, NULL);
  g_object_set_data (G_OBJECT (element), "cityguessr-null-delay-us", GUINT_TO_POINTER (delay_us));
  return element;
}

void
fixture_begin (Fixture *fixture, GstElement *element, const gchar *mode)
{
  g_object_set (element, "sample-interval", 5 * FRAME_TIME, NULL);
  gst_util_set_object_arg (G_OBJECT (element), "processing-mode", mode);
  fixture->element = element;
  fixture->answer_at_eos = NULL;
  fixture->bus = gst_bus_new ();
  gst_element_set_bus (element, fixture->bus);
  fixture->harness = gst_harness_new_with_element (element, "sink", "src");
  gst_harness_set_src_caps_str (fixture->harness, CAPS);
}

void
fixture_start (Fixture *fixture, GstElement *element, const gchar *mode)
{
  fixture_begin (fixture, element, mode);
  wait_for_engine (element);
}

void
fixture_clear (Fixture *fixture)
{
  gst_harness_teardown (fixture->harness);
  gst_element_set_bus (fixture->element, NULL);
  gst_bus_set_flushing (fixture->bus, TRUE);
  gst_object_unref (fixture->bus);
  ASSERT_OBJECT_REFCOUNT (fixture->element, "element", 1);
  gst_object_unref (fixture->element);
}

GstBuffer *
picture_new (guint i)
{
  GstBuffer *buffer = gst_buffer_new_and_alloc (SIZE);

  gst_buffer_memset (buffer, 0, i, SIZE);
  GST_BUFFER_PTS (buffer) = i * FRAME_TIME;
  GST_BUFFER_DURATION (buffer) = FRAME_TIME;
  GST_BUFFER_OFFSET (buffer) = i;
  return buffer;
}

void
push (Fixture *fixture, guint begin, guint n)
{
  for (guint i = begin; i < begin + n; i++)
    fail_unless_equals_int (gst_harness_push (fixture->harness, picture_new (i)), GST_FLOW_OK);
}

void
push_event (Fixture *fixture, GstEvent *event)
{
  fail_unless (gst_harness_push_event (fixture->harness, event));
}

/* ---- waiting ---- */

gboolean
wait_until (gboolean (*condition) (gpointer data), gpointer data)
{
  gint64 deadline = g_get_monotonic_time () + WAIT_SECONDS * SECONDS_TO_US;

  while (!condition (data)) {
    if (g_get_monotonic_time () > deadline)
      return FALSE;
    g_usleep (500);
  }
  return TRUE;
}

static gboolean
has_engine (gpointer data)
{
  g_autofree gchar *device = NULL;

  g_object_get (data, "active-device", &device, NULL);
  return device != NULL;
}

void
wait_for_engine (GstElement *element)
{
  fail_unless (wait_until (has_engine, element), "no engine after %u s", WAIT_SECONDS);
}

typedef struct {
  Fixture *fixture;
  const gchar *field;
  guint64 least;
} Total;

static gboolean
is_reached (gpointer data)
{
  const Total *wanted = data;

  return total (wanted->fixture, wanted->field) >= wanted->least;
}

void
wait_for_total (Fixture *fixture, const gchar *field, guint64 least)
{
  Total wanted = { fixture, field, least };

  fail_unless (wait_until (is_reached, &wanted),
               "%s is %" G_GUINT64_FORMAT " after %u s, not %" G_GUINT64_FORMAT, field,
               total (fixture, field), WAIT_SECONDS, least);
}

static gpointer
do_nothing (gpointer data)
{
  return data;
}

guint
thread_count (void)
{
  static gsize begun;
  GDir *dir;
  guint n = 0;

  /* With the first thread come those of a sanitizer, which stay. */
  if (g_once_init_enter (&begun)) {
    g_thread_join (g_thread_new ("first", do_nothing, NULL));
    g_once_init_leave (&begun, 1);
  }
  dir = g_dir_open ("/proc/self/task", 0, NULL);
  fail_unless (dir != NULL, "no /proc/self/task");
  while (g_dir_read_name (dir))
    n++;
  g_dir_close (dir);
  return n;
}

static gboolean
has_no_more_threads (gpointer data)
{
  return thread_count () <= GPOINTER_TO_UINT (data);
}

void
wait_for_threads (guint most)
{
  fail_unless (wait_until (has_no_more_threads, GUINT_TO_POINTER (most)), "%u threads, %u before",
               thread_count (), most);
}

/* ---- what comes out ---- */

GstMessage *
next_message (Fixture *fixture, GstMessageType type)
{
  return gst_bus_pop_filtered (fixture->bus, type);
}

GstStructure *
next_answer (Fixture *fixture)
{
  GstMessage *message = next_message (fixture, TOLD);
  GstStructure *structure;

  fail_unless (message != NULL, "no message on the bus");
  fail_unless_equals_string (GST_MESSAGE_TYPE_NAME (message), "element");
  fail_unless (GST_MESSAGE_SRC (message) == GST_OBJECT (fixture->element));
  structure = gst_structure_copy (gst_message_get_structure (message));
  fail_unless (gst_structure_has_name (structure, "cityguessr"));
  gst_message_unref (message);
  return structure;
}

void
expect_told (Fixture *fixture, GstMessageType type, const gchar *text)
{
  g_autoptr (GstMessage) message = next_message (fixture, TOLD);
  g_autoptr (GError) error = NULL;

  fail_unless (message != NULL, "no message with “%s”", text);
  fail_unless_equals_string (GST_MESSAGE_TYPE_NAME (message), gst_message_type_get_name (type));
  if (type == GST_MESSAGE_ERROR)
    gst_message_parse_error (message, &error, NULL);
  else
    gst_message_parse_warning (message, &error, NULL);
  fail_unless (strstr (error->message, text) != NULL, "%s", error->message);
}

void
assert_no_message (Fixture *fixture, GstMessageType type)
{
  GstMessage *message = next_message (fixture, type);

  fail_unless (message == NULL, "unexpected: %s", message ? GST_MESSAGE_TYPE_NAME (message) : "");
}

gchar *
take_answers (GstBus *bus)
{
  GString *text = g_string_new (NULL);
  GstMessage *message;

  while ((message = gst_bus_pop_filtered (bus, GST_MESSAGE_ELEMENT))) {
    g_autoptr (GstStructure) structure = gst_structure_copy (gst_message_get_structure (message));
    g_autofree gchar *line = NULL;

    gst_structure_remove_field (structure, "latency");
    line = gst_structure_to_string (structure);
    g_string_append_printf (text, "%s\n", line);
    gst_message_unref (message);
  }
  return g_string_free (text, FALSE);
}

guint64
get_uint64 (const GstStructure *structure, const gchar *field)
{
  guint64 value = 0;

  fail_unless (gst_structure_get_uint64 (structure, field, &value), "no field %s", field);
  return value;
}

guint64
total (Fixture *fixture, const gchar *field)
{
  GstStructure *stats = NULL;
  guint64 value;
  guint pending;

  g_object_get (fixture->element, "stats", &stats, NULL);
  if (gst_structure_get_uint (stats, field, &pending))
    value = pending;
  else
    value = get_uint64 (stats, field);
  gst_structure_free (stats);
  return value;
}

/* ---- what the null engine answers for given pictures ---- */

static void
expected_answer (const guint *frames, CgAnswer *answer)
{
  CgEngineOptions options = { .device = CG_DEVICE_NULL };
  CgDecodeOptions decode = { .decoding = CG_DECODING_MARGINAL, .top_k = 5 };
  g_autoptr (CgEngine) engine = cg_engine_get (MODEL, &options, NULL);
  g_autoptr (CgClient) client = cg_client_new (engine);
  g_autoptr (CgWindow) window = NULL;
  CgSample *samples[FRAMES];
  guint8 pixels[SIZE];

  for (guint i = 0; i < FRAMES; i++) {
    CgFrame frame = cg_frame_of_sample (16, pixels);
    memset (pixels, frames[i], SIZE);
    samples[i] = cg_sample_new (engine, &frame, NULL);
  }
  cg_client_submit (client, cg_window_new (samples, FRAMES, NULL, NULL));
  window = cg_client_pop (client, -1);
  fail_unless (cg_decode (cg_engine_model (engine), window->outputs, &decode, answer, NULL, NULL));
  for (guint i = 0; i < FRAMES; i++)
    cg_sample_unref (samples[i]);
}

void
assert_frames (const GstStructure *structure, const guint *frames)
{
  static const gchar *const fields[] = { "city-confidence", "state-confidence",
                                         "country-confidence", "continent-confidence" };
  CgAnswer answer;

  expected_answer (frames, &answer);
  for (guint level = 0; level < CG_LEVELS; level++) {
    gdouble confidence = -1;

    gst_structure_get_double (structure, fields[level], &confidence);
    fail_unless (confidence == answer.probability[level], "%s is %.17g, not %.17g", fields[level],
                 confidence, answer.probability[level]);
  }
}

void
assert_window (GstStructure *structure, guint begin, guint step)
{
  guint frames[FRAMES];

  for (guint i = 0; i < FRAMES; i++)
    frames[i] = begin + i * step;
  assert_frames (structure, frames);
  fail_unless_equals_uint64 (get_uint64 (structure, "timestamp"), begin * FRAME_TIME);
  fail_unless_equals_uint64 (get_uint64 (structure, "stream-time"), begin * FRAME_TIME);
  fail_unless_equals_uint64 (get_uint64 (structure, "running-time"), begin * FRAME_TIME);
  fail_unless_equals_uint64 (get_uint64 (structure, "duration"),
                             ((FRAMES - 1) * step + 1) * FRAME_TIME);
  gst_structure_free (structure);
}

const GstStructure *
meta_of (GstBuffer *buffer)
{
  GstCustomMeta *meta = gst_buffer_get_custom_meta (buffer, "GstCityGuessrMeta");

  return meta ? gst_custom_meta_get_structure (meta) : NULL;
}
