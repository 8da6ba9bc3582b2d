/* The element: early results, the place over time, its tags, and the loading of the model.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "element-fixture.h"

/* ---- early results ---- */

static gboolean
is_partial (const GstStructure *answer)
{
  gboolean partial = FALSE;

  fail_unless (gst_structure_get_boolean (answer, "partial", &partial));
  return partial;
}

/* Given early-results and an interval of 5 frames, there are answers when the stream is 5, 10 and 20
 * frames long, partial, on the buffers that complete them; then the full windows as ever. */
GST_START_TEST (test_early_results)
{
  static const guint completing[] = { 5, 10, 20, 35, 45 };
  GstElement *element = element_new (0);
  Fixture fixture;
  guint next = 0;

  g_object_set (element, "early-results", TRUE, NULL);
  fixture_start (&fixture, element, "offline");
  for (guint i = 0; i <= 45; i++) {
    GstBuffer *buffer;

    push (&fixture, i, 1);
    buffer = gst_harness_pull (fixture.harness);
    fail_unless ((meta_of (buffer) != NULL) == (i == completing[next]), "frame %u", i);
    gst_buffer_unref (buffer);
    if (i == completing[next]) {
      GstStructure *answer = next_answer (&fixture);

      fail_unless_equals_int (is_partial (answer), i < 35);
      fail_unless_equals_uint64 (get_uint64 (answer, "timestamp"), i <= 35 ? 0 : 10 * FRAME_TIME);
      fail_unless_equals_uint64 (get_uint64 (answer, "duration"), (MIN (i, 35) + 1) * FRAME_TIME);
      gst_structure_free (answer);
      next++;
    }
  }
  assert_no_message (&fixture, TOLD);
  fixture_clear (&fixture);
}
GST_END_TEST;

/* Given a stream that ends with the frame of an early result, nothing is answered twice; given one
 * more frame, its end is. */
GST_START_TEST (test_early_results_at_the_end)
{
  GstElement *element = element_new (0);
  guint frames = 11 + __i__;
  Fixture fixture;

  g_object_set (element, "early-results", TRUE, NULL);
  fixture_start (&fixture, element, "offline");
  push (&fixture, 0, frames);
  push_event (&fixture, gst_event_new_eos ());
  fail_unless_equals_uint64 (total (&fixture, "answered"), 2 + __i__);
  fixture_clear (&fixture);
}
GST_END_TEST;

/* ---- the place over time ---- */

static GstStructure *
tracked_of (const GstStructure *answer)
{
  GstStructure *place = NULL;

  fail_unless (gst_structure_get (answer, "tracked", GST_TYPE_STRUCTURE, &place, NULL));
  return place;
}

/* Given no memory, the tracked place is the window's own. */
GST_START_TEST (test_no_memory)
{
  static const gchar *const names[] = { "city", "state", "country", "continent" };
  GstElement *element = element_new (0);
  Fixture fixture;

  g_object_set (element, "track-memory", G_GUINT64_CONSTANT (0), NULL);
  fixture_start (&fixture, element, "offline");
  push (&fixture, 0, 100);
  for (guint w = 0; w < 7; w++) {
    GstStructure *answer = next_answer (&fixture), *place = tracked_of (answer);

    for (guint level = 0; level < G_N_ELEMENTS (names); level++)
      fail_unless_equals_string (gst_structure_get_string (place, names[level]),
                                 gst_structure_get_string (answer, names[level]));
    gst_structure_free (place);
    gst_structure_free (answer);
  }
  fixture_clear (&fixture);
}
GST_END_TEST;

/* The same picture from @begin on, @n times. */
static void
push_still (Fixture *fixture, guint begin, guint n, guint8 grey)
{
  for (guint i = begin; i < begin + n; i++) {
    GstBuffer *buffer = picture_new (i);

    gst_buffer_memset (buffer, 0, grey, SIZE);
    fail_unless_equals_int (gst_harness_push (fixture->harness, buffer), GST_FLOW_OK);
  }
}

static gboolean
is_stable (const GstStructure *answer)
{
  gboolean stable = FALSE;

  fail_unless (gst_structure_get_boolean (answer, "stable", &stable));
  return stable;
}

/* Given a picture that stands still, its place becomes stable; given a cut to another, that is
 * counted, and the new place is not stable at once. */
GST_START_TEST (test_stable)
{
  Fixture fixture;
  gboolean stable = FALSE;
  GstStructure *answer;

  fixture_start (&fixture, element_new (0), "offline");
  push_still (&fixture, 0, 250, 10);
  for (guint w = 0; w < 22; w++) {
    answer = next_answer (&fixture);
    fail_if (stable && !is_stable (answer), "window %u", w);
    stable = is_stable (answer);
    gst_structure_free (answer);
  }
  fail_unless (stable);
  fail_unless_equals_uint64 (total (&fixture, "cuts"), 0);

  push_still (&fixture, 250, 6, 245);
  fail_unless_equals_uint64 (total (&fixture, "cuts"), 1);
  answer = next_answer (&fixture);
  fail_if (is_stable (answer));
  gst_structure_free (answer);
  fixture_clear (&fixture);
}
GST_END_TEST;

/* ---- tags ---- */

/* The tag lists that came out since the last call, oldest first; @eos: whether EOS came after them. */
static GPtrArray *
take_tags (Fixture *fixture, gboolean *eos)
{
  GPtrArray *lists = g_ptr_array_new_with_free_func ((GDestroyNotify)gst_tag_list_unref);
  GstEvent *event;

  *eos = FALSE;
  while ((event = gst_harness_try_pull_event (fixture->harness))) {
    GstTagList *list;

    if (GST_EVENT_TYPE (event) == GST_EVENT_TAG) {
      fail_if (*eos, "tags after EOS");
      gst_event_parse_tag (event, &list);
      g_ptr_array_add (lists, gst_tag_list_ref (list));
    }
    *eos = *eos || GST_EVENT_TYPE (event) == GST_EVENT_EOS;
    gst_event_unref (event);
  }
  return lists;
}

static void
assert_tags (GPtrArray *lists, guint i, const gchar *city)
{
  gchar *found = NULL;

  fail_unless (gst_tag_list_get_string (lists->pdata[i], GST_TAG_GEO_LOCATION_CITY, &found));
  fail_unless_equals_string (found, city);
  fail_unless_equals_int (gst_tag_list_get_scope (lists->pdata[i]), GST_TAG_SCOPE_GLOBAL);
  g_free (found);
}

/* Given each setting of post-tags and a still picture, then a cut to another place: none sends
 * nothing, final the last place once before EOS, on-change each stable place once. */
GST_START_TEST (test_tags)
{
  static const gchar *const settings[] = { "none", "final", "on-change" };
  static const guint expected[] = { 0, 1, 2 };
  GstElement *element = element_new (0);
  gchar *cities[2] = { NULL, NULL };
  Fixture fixture;
  GPtrArray *lists;
  gboolean eos;

  gst_util_set_object_arg (G_OBJECT (element), "post-tags", settings[__i__]);
  fixture_start (&fixture, element, "offline");
  for (guint still = 0; still < 2; still++) {
    GstMessage *message;

    push_still (&fixture, 500 * still, 500, still == 0 ? 10 : 240);
    while ((message = next_message (&fixture, GST_MESSAGE_ELEMENT))) {
      GstStructure *place = tracked_of (gst_message_get_structure (message));

      g_free (cities[still]);
      cities[still] = g_strdup (gst_structure_get_string (place, "city"));
      gst_structure_free (place);
      gst_message_unref (message);
    }
  }
  fail_if (g_strcmp0 (cities[0], cities[1]) == 0, "both are %s: choose other pictures", cities[0]);
  push_event (&fixture, gst_event_new_eos ());

  lists = take_tags (&fixture, &eos);
  fail_unless (eos);
  fail_unless_equals_int (lists->len, expected[__i__]);
  if (lists->len == 2)
    assert_tags (lists, 0, cities[0]);
  if (lists->len > 0)
    assert_tags (lists, lists->len - 1, cities[1]);
  g_ptr_array_unref (lists);
  g_free (cities[0]);
  g_free (cities[1]);
  fixture_clear (&fixture);
}
GST_END_TEST;

/* ---- captions' template ---- */

/* Given a template that is wrong, the state change fails and says so; put right, it works; made
 * wrong while playing, a WARNING says that the one before stays. */
GST_START_TEST (test_bad_caption_template)
{
  GstElement *element = element_new (0);
  GstBus *bus = gst_bus_new ();
  GstMessage *message;
  GError *error = NULL;

  gst_element_set_bus (element, bus);
  g_object_set (element, "caption-template", "{citty}", NULL);
  fail_unless_equals_int (gst_element_set_state (element, GST_STATE_PAUSED),
                          GST_STATE_CHANGE_FAILURE);
  message = gst_bus_pop_filtered (bus, GST_MESSAGE_ERROR);
  fail_unless (message != NULL);
  gst_message_parse_error (message, &error, NULL);
  fail_unless (g_error_matches (error, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_SETTINGS));
  fail_unless (strstr (error->message, "citty") && strstr (error->message, "caption-template"),
               "%s", error->message);
  g_clear_error (&error);
  gst_message_unref (message);

  gst_element_set_state (element, GST_STATE_READY);
  g_object_set (element, "caption-template", "{city}", NULL);
  fail_unless_equals_int (gst_element_set_state (element, GST_STATE_PAUSED),
                          GST_STATE_CHANGE_SUCCESS);
  g_object_set (element, "caption-template", "{city", NULL);
  message = gst_bus_pop_filtered (bus, GST_MESSAGE_WARNING);
  fail_unless (message != NULL);
  gst_message_unref (message);

  gst_element_set_state (element, GST_STATE_NULL);
  gst_element_set_bus (element, NULL);
  gst_object_unref (element);
  gst_object_unref (bus);
}
GST_END_TEST;

static Suite *
analysis_suite (void)
{
  Suite *suite = suite_create ("analysis");
  TCase *early = tcase_create ("early results");
  TCase *place = tcase_create ("place over time");
  TCase *captions = tcase_create ("captions");

  suite_add_tcase (suite, early);
  tcase_add_test (early, test_early_results);
  tcase_add_loop_test (early, test_early_results_at_the_end, 0, 2);
  suite_add_tcase (suite, place);
  tcase_add_test (place, test_no_memory);
  tcase_add_test (place, test_stable);
  tcase_add_loop_test (place, test_tags, 0, 3);
  suite_add_tcase (suite, captions);
  tcase_add_test (captions, test_bad_caption_template);
  return suite;
}

GST_CHECK_MAIN (analysis)
