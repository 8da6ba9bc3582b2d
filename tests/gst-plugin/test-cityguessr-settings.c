/* The element's errors and properties, and several elements side by side.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include <glib/gstdio.h>
#include <unistd.h>

#include "element-fixture.h"

#include <gst/video/video.h>

/* ---- errors ---- */

static void
assert_start_fails (const gchar *model, gint code, const gchar *text)
{
  GstElement *element = element_new (0);
  GstBus *bus = gst_bus_new ();
  GstMessage *message;
  GError *error = NULL;
  gchar *debug = NULL;

  g_object_set (element, "model", model, NULL);
  gst_element_set_bus (element, bus);
  fail_unless_equals_int (gst_element_set_state (element, GST_STATE_READY),
                          GST_STATE_CHANGE_SUCCESS);
  fail_unless_equals_int (gst_element_set_state (element, GST_STATE_PAUSED),
                          GST_STATE_CHANGE_FAILURE);
  message = gst_bus_pop_filtered (bus, GST_MESSAGE_ERROR);
  fail_unless (message != NULL, "no ERROR for the model %s", model);
  gst_message_parse_error (message, &error, &debug);
  fail_unless (g_error_matches (error, GST_RESOURCE_ERROR, code), "%s: code %d: %s", model,
               error->code, error->message);
  fail_unless (strstr (error->message, text), "“%s” is not in “%s”", text, error->message);
  g_error_free (error);
  g_free (debug);
  gst_message_unref (message);
  fail_unless (gst_bus_pop_filtered (bus, GST_MESSAGE_ERROR) == NULL, "%s: told twice", model);

  g_object_set (element, "model", "generated:tiny:1", NULL);
  fail_unless_equals_int (gst_element_set_state (element, GST_STATE_PAUSED),
                          GST_STATE_CHANGE_SUCCESS);
  gst_element_set_state (element, GST_STATE_NULL);
  gst_element_set_bus (element, NULL);
  gst_object_unref (element);
  gst_object_unref (bus);
}

/* Given no model, or one that cannot be loaded, the state change fails with an ERROR that says which file and what to
 * do; given a good one, it then succeeds. (Complaints 2 and 15.) */
GST_START_TEST (test_bad_model)
{
  g_autofree gchar *path = NULL;
  gint file = g_file_open_tmp ("cityguessr-XXXXXX.safetensors", &path, NULL);

  fail_unless (file >= 0);
  fail_unless (write (file, "this is no model file at all", 28) == 28);
  close (file);

  assert_start_fails (NULL, GST_RESOURCE_ERROR_NOT_FOUND, "CITYGUESSR_MODEL");
  assert_start_fails ("", GST_RESOURCE_ERROR_NOT_FOUND, "Set the property “model”");
  assert_start_fails ("/no/such/file", GST_RESOURCE_ERROR_NOT_FOUND, "/no/such/file");
  assert_start_fails (path, GST_RESOURCE_ERROR_READ, path);
  g_unlink (path);
}
GST_END_TEST;

/* Given the environment variable, it is the default of the property. */
GST_START_TEST (test_environment)
{
  GstElement *element;
  gchar *model = NULL;

  g_setenv ("CITYGUESSR_MODEL", "some/file.safetensors", TRUE);
  element = gst_element_factory_make ("cityguessr", NULL);
  g_object_get (element, "model", &model, NULL);
  fail_unless_equals_string (model, "some/file.safetensors");
  g_free (model);
  gst_object_unref (element);
  g_unsetenv ("CITYGUESSR_MODEL");
}
GST_END_TEST;

/* Given a window that cannot be computed, there is one WARNING, no message for it, and the next ones
 * come as ever. */
GST_START_TEST (test_failed_window)
{
  Fixture fixture;
  GstElement *element = element_new (0);
  GstMessage *message;
  GError *error = NULL;

  g_object_set_data (G_OBJECT (element), "cityguessr-null-fail-at", GUINT_TO_POINTER (2));
  fixture_start (&fixture, element, "offline");
  push (&fixture, 0, 56);
  assert_window (next_answer (&fixture), 0, 5);
  message = next_message (&fixture, TOLD);
  fail_unless_equals_string (GST_MESSAGE_TYPE_NAME (message), "warning");
  gst_message_parse_warning (message, &error, NULL);
  fail_unless (g_error_matches (error, GST_STREAM_ERROR, GST_STREAM_ERROR_FAILED));
  g_error_free (error);
  gst_message_unref (message);
  assert_window (next_answer (&fixture), 20, 5);
  assert_no_message (&fixture, TOLD);
  fail_unless_equals_uint64 (total (&fixture, "failed"), 1);
  fail_unless_equals_uint64 (total (&fixture, "answered"), 2);
  fixture_clear (&fixture);
}
GST_END_TEST;

/* Given pictures that cannot be read, there is one WARNING for the row of them, and the stream is
 * answered from the rest. */
GST_START_TEST (test_bad_picture)
{
  static const guint frames[FRAMES] = { 0, 7, 10, 15, 20, 25, 30, 35 };
  Fixture fixture;
  GstMessage *message;
  GstStructure *answer;

  fixture_start (&fixture, element_new (0), "offline");
  push (&fixture, 0, 5);
  for (guint i = 5; i < 7; i++) {
    GstBuffer *buffer = picture_new (i);
    GstVideoCropMeta *crop = gst_buffer_add_video_crop_meta (buffer);

    crop->x = 100;
    fail_unless_equals_int (gst_harness_push (fixture.harness, buffer), GST_FLOW_OK);
  }
  push (&fixture, 7, 29);
  message = next_message (&fixture, TOLD);
  fail_unless (message != NULL);
  fail_unless_equals_string (GST_MESSAGE_TYPE_NAME (message), "warning");
  gst_message_unref (message);
  answer = next_answer (&fixture);
  assert_frames (answer, frames);
  gst_structure_free (answer);
  assert_no_message (&fixture, TOLD);
  fail_unless_equals_uint64 (total (&fixture, "failed-samples"), 2);
  fixture_clear (&fixture);
}
GST_END_TEST;

/* ---- properties ---- */

typedef struct {
  const gchar *name;
  GParamFlags mutable;
  const gchar *value; /* another than the default */
} Property;

static const Property settings[] = {
  { "model", GST_PARAM_MUTABLE_READY, "some-file" },
  { "device", GST_PARAM_MUTABLE_READY, "cpu" },
  { "precision", GST_PARAM_MUTABLE_READY, "bf16" },
  { "cuda-device-id", GST_PARAM_MUTABLE_READY, "1" },
  { "cpu-threads", GST_PARAM_MUTABLE_READY, "3" },
  { "sample-interval", GST_PARAM_MUTABLE_READY, "123456789" },
  { "hop", GST_PARAM_MUTABLE_PLAYING, "7" },
  { "min-samples", GST_PARAM_MUTABLE_PLAYING, "9" },
  { "early-results", GST_PARAM_MUTABLE_PLAYING, "true" },
  { "decoding", GST_PARAM_MUTABLE_PLAYING, "codependent" },
  { "top-k", GST_PARAM_MUTABLE_PLAYING, "3" },
  { "min-confidence", GST_PARAM_MUTABLE_PLAYING, "0.25" },
  { "track-memory", GST_PARAM_MUTABLE_PLAYING, "5" },
  { "processing-mode", GST_PARAM_MUTABLE_PLAYING, "live" },
  { "on-device-loss", GST_PARAM_MUTABLE_PLAYING, "error" },
  { "post-tags", GST_PARAM_MUTABLE_PLAYING, "final" },
  { "caption-template", GST_PARAM_MUTABLE_PLAYING, "{city}" },
  { "caption-timing", GST_PARAM_MUTABLE_PLAYING, "window" },
};

/* Given each property, it has a blurb and says when it may change, its value can be set and read back,
 * and its default is within its range. */
GST_START_TEST (test_property)
{
  const Property *property = &settings[__i__];
  GstElement *element = gst_element_factory_make ("cityguessr", NULL);
  GParamSpec *spec = g_object_class_find_property (G_OBJECT_GET_CLASS (element), property->name);
  GValue value = G_VALUE_INIT, expected = G_VALUE_INIT;

  fail_unless (spec != NULL, "no property %s", property->name);
  fail_unless (strlen (g_param_spec_get_blurb (spec)) > 10, "%s", property->name);
  fail_unless ((spec->flags & (GST_PARAM_MUTABLE_READY | GST_PARAM_MUTABLE_PLAYING)) ==
                   property->mutable,
               "%s", property->name);
  g_value_init (&value, spec->value_type);
  g_value_init (&expected, spec->value_type);
  fail_unless (gst_value_deserialize (&expected, property->value));
  gst_util_set_object_arg (G_OBJECT (element), property->name, property->value);
  g_object_get_property (G_OBJECT (element), property->name, &value);
  fail_unless_equals_int (g_param_values_cmp (spec, &value, &expected), 0);
  fail_unless (!g_param_value_defaults (spec, &value), "%s", property->name);
  g_value_unset (&value);
  g_value_unset (&expected);
  gst_object_unref (element);
}
GST_END_TEST;

/* Given a setting that may change while playing, the next window heeds it. */
GST_START_TEST (test_change_while_playing)
{
  Fixture fixture;
  GstStructure *answer;

  fixture_start (&fixture, element_new (0), "offline");
  push (&fixture, 0, 36);
  answer = next_answer (&fixture);
  fail_unless (gst_structure_has_field (answer, "city"));
  fail_unless_equals_int (
      gst_value_array_get_size (gst_structure_get_value (answer, "predictions")), 20);
  gst_structure_free (answer);

  g_object_set (fixture.element, "min-confidence", 1.0, "top-k", 1, "hop", 1, NULL);
  push (&fixture, 36, 5);
  answer = next_answer (&fixture);
  fail_if (gst_structure_has_field (answer, "city"));
  fail_unless_equals_int (
      gst_value_array_get_size (gst_structure_get_value (answer, "predictions")), 4);
  gst_structure_free (answer);

  g_object_set (fixture.element, "min-samples", 3, NULL);
  push_event (&fixture, gst_event_new_stream_start ("another"));
  push (&fixture, 41, 3);
  push_event (&fixture, gst_event_new_eos ());
  gst_structure_free (next_answer (&fixture));
  fixture_clear (&fixture);
}
GST_END_TEST;

static void
count_notify (GObject *object, GParamSpec *spec, gpointer data)
{
  ++*(guint *)data;
}

static void
wait_until_loaded (GstBus *bus)
{
  GstProgressType type = GST_PROGRESS_TYPE_START;

  while (type != GST_PROGRESS_TYPE_COMPLETE) {
    GstMessage *message = gst_bus_timed_pop_filtered (bus, 10 * GST_SECOND, GST_MESSAGE_PROGRESS);

    fail_unless (message != NULL, "no word of a model that is loaded");
    gst_message_parse_progress (message, &type, NULL, NULL);
    fail_unless (type == GST_PROGRESS_TYPE_START || type == GST_PROGRESS_TYPE_COMPLETE);
    gst_message_unref (message);
  }
}

/* Given an engine that opens and closes, active-device says so, and notifies. */
GST_START_TEST (test_active_device)
{
  GstElement *element = element_new (0);
  GstBus *bus = gst_bus_new ();
  gchar *device = NULL;
  guint n_notified = 0;

  gst_element_set_bus (element, bus);
  g_signal_connect (element, "notify::active-device", G_CALLBACK (count_notify), &n_notified);
  g_object_get (element, "active-device", &device, NULL);
  fail_unless (device == NULL);
  gst_element_set_state (element, GST_STATE_PAUSED);
  wait_until_loaded (bus);
  g_object_get (element, "active-device", &device, NULL);
  fail_unless (device && g_str_has_prefix (device, "null"), "%s", device);
  g_free (device);
  fail_unless_equals_int (n_notified, 1);
  gst_element_set_state (element, GST_STATE_READY);
  gst_element_set_state (element, GST_STATE_PAUSED);
  wait_until_loaded (bus);
  fail_unless_equals_int (n_notified, 1);
  gst_element_set_state (element, GST_STATE_NULL);
  fail_unless_equals_int (n_notified, 2);
  g_object_get (element, "active-device", &device, NULL);
  fail_unless (device == NULL);
  gst_element_set_bus (element, NULL);
  gst_object_unref (element);
  gst_object_unref (bus);
}
GST_END_TEST;

static gpointer
read_properties (gpointer data)
{
  GstElement *element = data;

  while (!g_atomic_int_get ((gint *)g_object_get_data (G_OBJECT (element), "done"))) {
    GstStructure *stats = NULL;
    gchar *device = NULL;

    g_object_get (element, "stats", &stats, "active-device", &device, NULL);
    g_object_set (element, "top-k", 1 + g_random_int_range (0, 19), "hop",
                  1 + g_random_int_range (0, 3), NULL);
    gst_structure_free (stats);
    g_free (device);
  }
  return NULL;
}

/* Given another thread that reads and writes properties all the time, all windows are answered (and
 * a thread sanitizer has nothing to say). */
GST_START_TEST (test_properties_from_another_thread)
{
  Fixture fixture;
  GThread *thread;
  gint done = FALSE;

  fixture_start (&fixture, element_new (0), "offline");
  g_object_set_data (G_OBJECT (fixture.element), "done", &done);
  thread = g_thread_new ("properties", read_properties, fixture.element);
  push (&fixture, 0, 250);
  push_event (&fixture, gst_event_new_eos ());
  g_atomic_int_set (&done, TRUE);
  g_thread_join (thread);
  fail_unless (total (&fixture, "windows") >= 40 / 4);
  fail_unless_equals_uint64 (total (&fixture, "answered"), total (&fixture, "windows"));
  fixture_clear (&fixture);
}
GST_END_TEST;

/* Given several elements with the same model, each answers its own stream. */
GST_START_TEST (test_two_elements)
{
  Fixture fixtures[3];

  for (guint f = 0; f < G_N_ELEMENTS (fixtures); f++)
    fixture_start (&fixtures[f], element_new (1000), "live");
  for (guint i = 0; i < 36; i++) {
    for (guint f = 0; f < G_N_ELEMENTS (fixtures); f++)
      push (&fixtures[f], i + f, 1);
  }
  for (guint f = 0; f < G_N_ELEMENTS (fixtures); f++) {
    push_event (&fixtures[f], gst_event_new_eos ());
    assert_window (next_answer (&fixtures[f]), f, 5);
    fixture_clear (&fixtures[f]);
  }
}
GST_END_TEST;

void
add_settings_tests (Suite *suite)
{
  TCase *errors = tcase_create ("errors");
  TCase *properties = tcase_create ("properties");

  suite_add_tcase (suite, errors);
  tcase_add_test (errors, test_bad_model);
  tcase_add_test (errors, test_environment);
  tcase_add_test (errors, test_failed_window);
  tcase_add_test (errors, test_bad_picture);

  suite_add_tcase (suite, properties);
  tcase_add_loop_test (properties, test_property, 0, G_N_ELEMENTS (settings));
  tcase_add_test (properties, test_change_while_playing);
  tcase_add_test (properties, test_active_device);
  tcase_add_test (properties, test_properties_from_another_thread);
  tcase_add_test (properties, test_two_elements);
}
