/* From an answer to the structure, and from the structure to a buffer.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include <gst/check/gstcheck.h>

#include "report.h"
#include "two-branches.h"

static char *scenes[] = { (char *)"water", (char *)"forest", NULL };
static CgModel model;
static CgAnswer answer, tracked;
static GstSegment segment;
static GstCityGuessrReport report;

static void
setup (void)
{
  GError *error = NULL;

  model =
      (CgModel){ .name = (char *)"two branches", .demo = TRUE, .n_scenes = 2, .scenes = scenes };
  model.places = cg_places_parse (two_branches, sizeof two_branches - 1, "tree", &error);
  fail_unless (model.places != NULL, "%s", error ? error->message : "");

  answer = (CgAnswer){ .finest = CG_CITY,
                       .probability = { 0.5, 0.625, 0.75, 0.875 },
                       .latitude = 55.6,
                       .longitude = 13.0,
                       .horizontal_error = 1500.0,
                       .scene = 1,
                       .scene_probability = 0.25 };
  for (guint level = 0; level < CG_LEVELS; level++) {
    answer.n_top[level] = 2;
    answer.top[level][0] = (CgPrediction){ 0, answer.probability[level] };
    answer.top[level][1] = (CgPrediction){ 1, 1.0 - answer.probability[level] };
  }

  tracked = (CgAnswer){ .finest = CG_STATE,
                        .index = { 1, 1, 1, 0 },
                        .probability = { 0.1, 0.9, 0.95, 1 },
                        .latitude = 37.5,
                        .longitude = -122.25,
                        .horizontal_error = 20.0,
                        .scene = -1 };

  gst_segment_init (&segment, GST_FORMAT_TIME);
  segment.base = 100 * GST_SECOND;
  segment.start = 10 * GST_SECOND;
  segment.time = 1 * GST_SECOND;
  report = (GstCityGuessrReport){ .start = 12 * GST_SECOND,
                                  .end = 33 * GST_SECOND,
                                  .segment = &segment,
                                  .window_id = 7,
                                  .samples = 16,
                                  .stable = TRUE,
                                  .device = "null",
                                  .latency = 1234000 };
}

static void
teardown (void)
{
  cg_places_free (model.places);
}

#define assert_string(structure, field, expected) \
  fail_unless_equals_string (gst_structure_get_string (structure, field), expected)

static void
assert_uint64 (const GstStructure *structure, const gchar *field, guint64 expected)
{
  guint64 value = 0;

  fail_unless (gst_structure_get_uint64 (structure, field, &value), "no field %s", field);
  fail_unless (value == expected, "%s is %" G_GUINT64_FORMAT ", not %" G_GUINT64_FORMAT, field,
               value, expected);
}

static void
assert_double (const GstStructure *structure, const gchar *field, gdouble expected)
{
  gdouble value = 0;

  fail_unless (gst_structure_get_double (structure, field, &value), "no field %s", field);
  fail_unless (value == expected, "%s is %g, not %g", field, value, expected);
}

GST_START_TEST (test_fields)
{
  GstStructure *structure = gst_city_guessr_report_new (&report, &model, &answer, &tracked);
  gboolean flag = FALSE;
  guint samples = 0;

  fail_unless (gst_structure_has_name (structure, "cityguessr"));
  assert_uint64 (structure, "timestamp", 12 * GST_SECOND);
  assert_uint64 (structure, "stream-time", 3 * GST_SECOND);
  assert_uint64 (structure, "running-time", 102 * GST_SECOND);
  assert_uint64 (structure, "duration", 21 * GST_SECOND);
  assert_uint64 (structure, "window-id", 7);
  fail_unless (gst_structure_get_uint (structure, "samples", &samples));
  fail_unless_equals_int (samples, 16);
  fail_unless (gst_structure_get_boolean (structure, "partial", &flag));
  fail_if (flag);
  assert_string (structure, "city", "Malmö");
  assert_string (structure, "state", "Skåne");
  assert_string (structure, "country", "Sweden");
  assert_string (structure, "country-code", "SE");
  assert_string (structure, "continent", "Europe");
  assert_double (structure, "city-confidence", 0.5);
  assert_double (structure, "state-confidence", 0.625);
  assert_double (structure, "country-confidence", 0.75);
  assert_double (structure, "continent-confidence", 0.875);
  assert_double (structure, "latitude", 55.6);
  assert_double (structure, "longitude", 13.0);
  assert_double (structure, "horizontal-error", 1500.0);
  assert_string (structure, "scene", "forest");
  assert_double (structure, "scene-confidence", 0.25);
  assert_string (structure, "device", "null");
  assert_string (structure, "model", "two branches");
  fail_unless (gst_structure_get_boolean (structure, "demo", &flag));
  fail_unless (flag);
  assert_uint64 (structure, "latency", 1234000);
  gst_structure_free (structure);
}
GST_END_TEST;
/* The tracked place has the same fields in a structure of its own, without what it withholds, and no
 * scene. */
GST_START_TEST (test_tracked)
{
  GstStructure *structure = gst_city_guessr_report_new (&report, &model, &answer, &tracked);
  GstStructure *place = NULL;
  gboolean stable = FALSE;

  fail_unless (gst_structure_get (structure, "tracked", GST_TYPE_STRUCTURE, &place, "stable",
                                  G_TYPE_BOOLEAN, &stable, NULL));
  fail_unless (stable);
  fail_unless (gst_structure_has_name (place, "place"));
  fail_if (gst_structure_has_field (place, "city"));
  fail_if (gst_structure_has_field (place, "scene"));
  assert_string (place, "state", "Elsewhere");
  assert_double (place, "city-confidence", 0.1);
  assert_double (place, "state-confidence", 0.9);
  assert_double (place, "continent-confidence", 1);
  assert_double (place, "latitude", 37.5);
  assert_double (place, "longitude", -122.25);
  assert_double (place, "horizontal-error", 20);
  gst_structure_free (place);
  gst_structure_free (structure);
}
GST_END_TEST;

GST_START_TEST (test_predictions)
{
  static const gchar *const levels[] = { "city", "state", "country", "continent" };
  GstStructure *structure = gst_city_guessr_report_new (&report, &model, &answer, &tracked);
  const GValue *array = gst_structure_get_value (structure, "predictions");

  fail_unless_equals_int (gst_value_array_get_size (array), 8);
  for (guint i = 0; i < 8; i++) {
    const GstStructure *prediction = gst_value_get_structure (gst_value_array_get_value (array, i));
    guint rank = 99;

    fail_unless (gst_structure_has_name (prediction, "prediction"));
    assert_string (prediction, "level", levels[i / 2]);
    fail_unless (gst_structure_get_uint (prediction, "rank", &rank));
    fail_unless_equals_int (rank, i % 2);
    assert_double (prediction, "confidence", answer.top[i / 2][i % 2].probability);
  }
  assert_string (gst_value_get_structure (gst_value_array_get_value (array, 0)), "label", "Malm");
  assert_string (gst_value_get_structure (gst_value_array_get_value (array, 0)), "name", "Malmö");
  assert_double (gst_value_get_structure (gst_value_array_get_value (array, 1)), "longitude",
                 -122.25);
  gst_structure_free (structure);
}
GST_END_TEST;

/* Given a withheld level, its name is absent, and so are all finer ones; the numbers stay. */
GST_START_TEST (test_withheld)
{
  static const gchar *const names[] = { "city", "state", "country", "continent" };

  for (answer.finest = 0; answer.finest <= CG_LEVELS; answer.finest++) {
    GstStructure *structure = gst_city_guessr_report_new (&report, &model, &answer, &tracked);

    for (guint level = 0; level < CG_LEVELS; level++)
      fail_unless (gst_structure_has_field (structure, names[level]) == (level >= answer.finest),
                   "finest %u, field %s", answer.finest, names[level]);
    fail_unless_equals_int (gst_structure_has_field (structure, "country-code"),
                            answer.finest <= CG_COUNTRY);
    assert_double (structure, "city-confidence", 0.5);
    gst_structure_free (structure);
  }
}
GST_END_TEST;

GST_START_TEST (test_absent)
{
  GstStructure *structure;

  answer.scene = -1;
  answer.index[CG_COUNTRY] = 1; /* a country without a code */
  for (guint level = 0; level < CG_LEVELS; level++)
    answer.n_top[level] = 0;
  structure = gst_city_guessr_report_new (&report, &model, &answer, &tracked);
  fail_if (gst_structure_has_field (structure, "scene"));
  fail_if (gst_structure_has_field (structure, "scene-confidence"));
  fail_if (gst_structure_has_field (structure, "country-code"));
  fail_unless_equals_int (
      gst_value_array_get_size (gst_structure_get_value (structure, "predictions")), 0);
  gst_structure_free (structure);
}
GST_END_TEST;

/* Given a window outside its segment, or a segment that does not count time, the times are NONE. */
GST_START_TEST (test_no_times)
{
  GstClockTime stream_time = 0, running_time = 0;

  gst_city_guessr_report_times (&segment, 9 * GST_SECOND, &stream_time, &running_time);
  fail_unless_equals_clocktime (stream_time, GST_CLOCK_TIME_NONE);
  fail_unless_equals_clocktime (running_time, GST_CLOCK_TIME_NONE);

  gst_segment_init (&segment, GST_FORMAT_BYTES);
  gst_city_guessr_report_times (&segment, 12 * GST_SECOND, &stream_time, &running_time);
  fail_unless_equals_clocktime (stream_time, GST_CLOCK_TIME_NONE);
  fail_unless_equals_clocktime (running_time, GST_CLOCK_TIME_NONE);
}
GST_END_TEST;

/* Given names with quotes and commas, the text of the structure reads back as the same structure:
 * what gst-launch-1.0 -m prints can be parsed. */
GST_START_TEST (test_text)
{
  GstStructure *structure, *back;
  gchar *text;

  for (guint level = 0; level < CG_LEVELS; level++)
    answer.index[level] = 1;
  structure = gst_city_guessr_report_new (&report, &model, &answer, &tracked);
  text = gst_structure_to_string (structure);
  back = gst_structure_from_string (text, NULL);
  fail_unless (back != NULL, "cannot be read: %s", text);
  fail_unless (gst_structure_is_equal (structure, back), "%s", text);
  assert_string (back, "city", "Quote, \"unquote\"; end");
  gst_structure_free (structure);
  gst_structure_free (back);
  g_free (text);
}
GST_END_TEST;

/* Given a buffer with the meta, its copies have it too, and it holds every field. */
GST_START_TEST (test_meta)
{
  GstStructure *structure = gst_city_guessr_report_new (&report, &model, &answer, &tracked);
  GstBuffer *buffer = gst_buffer_new (), *copy;
  GstCustomMeta *meta;
  GstStructure *found;
  const gchar *const *tags;

  gst_city_guessr_report_register_meta ();
  gst_city_guessr_report_attach (buffer, structure);
  copy = gst_buffer_copy (buffer);
  gst_buffer_unref (buffer);
  meta = gst_buffer_get_custom_meta (copy, "GstCityGuessrMeta");
  fail_unless (meta != NULL);
  found = gst_structure_copy (gst_custom_meta_get_structure (meta));
  gst_structure_set_name (found, "cityguessr");
  fail_unless (gst_structure_is_equal (found, structure), "%" GST_PTR_FORMAT, found);
  fail_unless (gst_meta_info_is_custom (gst_meta_get_info ("GstCityGuessrMeta")));
  tags = gst_meta_api_type_get_tags (gst_meta_get_info ("GstCityGuessrMeta")->api);
  fail_unless (tags == NULL || tags[0] == NULL, "a tag lets an element drop the meta: %s", tags[0]);
  gst_structure_free (found);
  gst_structure_free (structure);
  gst_buffer_unref (copy);
}
GST_END_TEST;

static Suite *
report_suite (void)
{
  Suite *suite = suite_create ("report");
  TCase *fields = tcase_create ("report");

  suite_add_tcase (suite, fields);
  tcase_add_checked_fixture (fields, setup, teardown);
  tcase_add_test (fields, test_fields);
  tcase_add_test (fields, test_tracked);
  tcase_add_test (fields, test_predictions);
  tcase_add_test (fields, test_withheld);
  tcase_add_test (fields, test_absent);
  tcase_add_test (fields, test_no_times);
  tcase_add_test (fields, test_text);
  tcase_add_test (fields, test_meta);
  return suite;
}

GST_CHECK_MAIN (report)
