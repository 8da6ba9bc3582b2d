/* From a structure to a line of JSON, read back with a reader of its own. With CITYGUESSR_JSON_LINES=FILE the lines of
 * many answers go into that file: tests/pipelines/test_json.py holds them against docs/answer.schema.json.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include <gst/check/gstcheck.h>
#include <json-glib/json-glib.h>

#include "answer-json.h"
#include "report.h"
#include "two-branches.h"

#include <locale.h>
#include <math.h>
#include <string.h>

static void
assert_line (const GstStructure *structure, const gchar *expected)
{
  g_autofree gchar *line = gst_city_guessr_answer_to_json (structure);

  fail_unless (strcmp (line, expected) == 0, "found    %s\nexpected %s", line, expected);
}

/* @text: as gst_structure_to_string() writes it. */
static void
assert_line_of (const gchar *text, const gchar *expected)
{
  g_autoptr (GstStructure) structure = gst_structure_from_string (text, NULL);

  fail_unless (structure != NULL, "%s", text);
  assert_line (structure, expected);
}

static JsonNode *
read_line (const gchar *line)
{
  g_autoptr (GError) error = NULL;
  JsonNode *root = json_from_string (line, &error);

  fail_unless (root != NULL, "%s%s", line, error ? error->message : "nothing to read");
  fail_unless (JSON_NODE_HOLDS_OBJECT (root), "%s", line);
  return root;
}

GST_START_TEST (test_simple_types)
{
  assert_line_of ("a", "{}\n");
  assert_line_of ("a, b=(boolean)true, c=(boolean)false;", "{\"b\": true, \"c\": false}\n");
  assert_line_of ("a, z=(int)-2147483648, y=(uint)4294967295, x=(gint64)-9223372036854775808,"
                  " w=(guint64)18446744073709551615;",
                  "{\"z\": -2147483648, \"y\": 4294967295, \"x\": -9223372036854775808,"
                  " \"w\": 18446744073709551615}\n");
  assert_line_of ("a, b=(string)\"say\\ \\\"\\303\\266\\\"\\\\\";",
                  "{\"b\": \"say \\\"ö\\\"\\\\\"}\n");
  assert_line_of ("a, b=(double)0.1, c=(double)-1e300, d=(double)5, e=(float)0.5;",
                  "{\"b\": 0.1, \"c\": -1e+300, \"d\": 5, \"e\": 0.5}\n");
}
GST_END_TEST;

GST_START_TEST (test_nested_types)
{
  assert_line_of ("a, b=(structure)\"n\\,\\ c\\=\\(int\\)1\\;\", d=(int)< 1, 2 >, e=(string){ x, y "
                  "}, f=(int)< >;",
                  "{\"b\": {\"c\": 1}, \"d\": [1, 2], \"e\": [\"x\", \"y\"], \"f\": []}\n");
}
GST_END_TEST;

/* Given types that JSON does not have, they are strings, or null if GStreamer has none for them. */
GST_START_TEST (test_other_types)
{
  g_autoptr (GstStructure) structure =
      gst_structure_new ("a", "fraction", GST_TYPE_FRACTION, 30000, 1001, "range",
                         GST_TYPE_INT_RANGE, 1, 5, "format", GST_TYPE_FORMAT, GST_FORMAT_TIME,
                         "pointer", G_TYPE_POINTER, NULL, "string", G_TYPE_STRING, NULL, NULL);

  assert_line (structure,
               "{\"fraction\": \"30000/1001\", \"range\": \"[ 1, 5 ]\", \"format\": \"time\","
               " \"pointer\": null, \"string\": null}\n");
}
GST_END_TEST;

GST_START_TEST (test_not_finite)
{
  g_autoptr (GstStructure) structure =
      gst_structure_new ("a", "b", G_TYPE_DOUBLE, (gdouble)NAN, "c", G_TYPE_DOUBLE,
                         (gdouble)-INFINITY, "d", G_TYPE_FLOAT, (gdouble)INFINITY, NULL);

  assert_line (structure, "{\"b\": null, \"c\": null, \"d\": null}\n");
}
GST_END_TEST;

/* Times come in ns and in seconds, both without loss; a time that is not known is null. */
GST_START_TEST (test_times)
{
  assert_line_of (
      "a, timestamp=(guint64)83456000001, stream-time=(guint64)18446744073709551615,"
      " latency=(guint64)18446744073709551614;",
      "{\"timestamp\": 83456000001, \"timestamp-seconds\": 83.456000001, \"stream-time\": null,"
      " \"stream-time-seconds\": null, \"latency\": 18446744073709551614,"
      " \"latency-seconds\": 18446744073.709551614}\n");
  /* Not a time of ours; and a field that has the name already. */
  assert_line_of (
      "a, other=(guint64)18446744073709551615, duration=(string)x, timestamp=(guint64)0,"
      " timestamp-seconds=(int)1;",
      "{\"other\": 18446744073709551615, \"duration\": \"x\", \"timestamp\": 0,"
      " \"timestamp-seconds\": 1}\n");
}
GST_END_TEST;

GST_START_TEST (test_control_characters)
{
  g_autoptr (GstStructure) structure =
      gst_structure_new ("a", "b", G_TYPE_STRING, "line\nbreak\x01\t\x7f\u2028", NULL);
  g_autofree gchar *line = gst_city_guessr_answer_to_json (structure);
  JsonNode *root = read_line (line);

  fail_unless (strchr (line, '\n') == line + strlen (line) - 1, "%s", line);
  fail_unless_equals_string (json_object_get_string_member (json_node_get_object (root), "b"),
                             "line\nbreak\x01\t\x7f\u2028");
  json_node_unref (root);
}
GST_END_TEST;

/* Given structures deep in each other, what is too deep is null. */
GST_START_TEST (test_deep)
{
  GstStructure *structure = gst_structure_new ("n", "x", G_TYPE_INT, 1, NULL);
  g_autofree gchar *line = NULL;
  guint levels = 0;

  for (guint i = 0; i < 40; i++) {
    GstStructure *outer = gst_structure_new_empty ("n");

    gst_structure_set (outer, "x", GST_TYPE_STRUCTURE, structure, NULL);
    gst_structure_free (structure);
    structure = outer;
  }
  line = gst_city_guessr_answer_to_json (structure);
  for (const gchar *p = line; *p; p++)
    levels += *p == '{';
  fail_unless_equals_int (levels, 17);
  fail_unless (strstr (line, "null") != NULL, "%s", line);
  json_node_unref (read_line (line));
  gst_structure_free (structure);
}
GST_END_TEST;

GST_START_TEST (test_locale)
{
  g_autofree gchar *before = g_strdup (setlocale (LC_NUMERIC, NULL));

  if (!setlocale (LC_NUMERIC, "de_DE.UTF-8") && !setlocale (LC_NUMERIC, "fr_FR.UTF-8"))
    GST_INFO ("no locale with a decimal comma here");
  assert_line_of ("a, b=(double)0.5, timestamp=(guint64)1500000000;",
                  "{\"b\": 0.5, \"timestamp\": 1500000000, \"timestamp-seconds\": 1.500000000}\n");
  setlocale (LC_NUMERIC, before);
}
GST_END_TEST;

/* ---- real answers ---- */

static CgAnswer
random_answer (GRand *random)
{
  guint branch = g_rand_int_range (random, 0, 2);
  CgAnswer answer = { .finest = g_rand_int_range (random, 0, CG_LEVELS + 1),
                      .latitude = g_rand_double_range (random, -90, 90),
                      .longitude = g_rand_double_range (random, -180, 180),
                      .horizontal_error = g_rand_double_range (random, 0, 2e7),
                      .scene = g_rand_int_range (random, -1, 2),
                      .scene_probability = g_rand_double (random) };

  for (guint level = 0; level < CG_LEVELS; level++) {
    answer.index[level] = branch;
    answer.probability[level] = g_rand_double (random);
    answer.n_top[level] = g_rand_int_range (random, 0, 3);
    for (guint rank = 0; rank < 2; rank++)
      answer.top[level][rank] = (CgPrediction){ rank ^ branch, g_rand_double (random) };
  }
  return answer;
}

static GstStructure *
random_report (GRand *random, const CgModel *model)
{
  CgAnswer answer = random_answer (random), tracked = random_answer (random);
  GstClockTime start = g_rand_int_range (random, 0, 100) * GST_SECOND;
  GstCityGuessrReport report = { .start = start,
                                 .end = start + g_rand_int (random),
                                 .window_id = g_rand_int (random),
                                 .samples = g_rand_int_range (random, 1, 17),
                                 .partial = g_rand_boolean (random),
                                 .stable = g_rand_boolean (random),
                                 .device = "null",
                                 .latency = g_rand_int (random) };
  GstSegment segment;

  gst_segment_init (&segment, GST_FORMAT_TIME);
  segment.start = g_rand_boolean (random) ? 0 : 50 * GST_SECOND; /* some have no stream time */
  report.segment = &segment;
  return gst_city_guessr_report_new (&report, model, &answer, &tracked);
}

static void
assert_same (const GstStructure *structure, JsonObject *object, const gchar *line)
{
  for (gint i = 0; i < gst_structure_n_fields (structure); i++) {
    const gchar *field = gst_structure_nth_field_name (structure, i);
    const GValue *value = gst_structure_get_value (structure, field);

    fail_unless (json_object_has_member (object, field), "no %s in %s", field, line);
    if (G_VALUE_HOLDS_STRING (value)) {
      fail_unless_equals_string (json_object_get_string_member (object, field),
                                 g_value_get_string (value));
    } else if (G_VALUE_HOLDS_DOUBLE (value)) {
      fail_unless (json_object_get_double_member (object, field) == g_value_get_double (value),
                   "%s in %s", field, line);
    } else if (G_VALUE_HOLDS_BOOLEAN (value)) {
      fail_unless (json_object_get_boolean_member (object, field) == g_value_get_boolean (value),
                   "%s in %s", field, line);
    } else if (G_VALUE_HOLDS_UINT (value)) {
      fail_unless (json_object_get_int_member (object, field) == g_value_get_uint (value),
                   "%s in %s", field, line);
    } else if (G_VALUE_HOLDS_UINT64 (value) && g_value_get_uint64 (value) == GST_CLOCK_TIME_NONE) {
      fail_unless (json_object_get_null_member (object, field), "%s in %s", field, line);
    } else if (G_VALUE_HOLDS_UINT64 (value)) {
      fail_unless (json_object_get_int_member (object, field) == (gint64)g_value_get_uint64 (value),
                   "%s in %s", field, line);
    } else if (GST_VALUE_HOLDS_STRUCTURE (value)) {
      assert_same (gst_value_get_structure (value), json_object_get_object_member (object, field),
                   line);
    } else {
      JsonArray *array = json_object_get_array_member (object, field);

      fail_unless (GST_VALUE_HOLDS_ARRAY (value), "%s is a %s", field, G_VALUE_TYPE_NAME (value));
      fail_unless_equals_int (json_array_get_length (array), gst_value_array_get_size (value));
      for (guint k = 0; k < gst_value_array_get_size (value); k++)
        assert_same (gst_value_get_structure (gst_value_array_get_value (value, k)),
                     json_array_get_object_element (array, k), line);
    }
  }
}

/* Given any answer, what is read back is what was in it. */
GST_START_TEST (test_answers)
{
  static char *scenes[] = { (char *)"water", (char *)"forest", NULL };
  g_autoptr (GError) error = NULL;
  g_autoptr (GRand) random = g_rand_new_with_seed (1);
  g_autoptr (GString) lines = g_string_new (NULL);
  CgModel model = { .name = (char *)"two branches", .n_scenes = 2, .scenes = scenes };
  const gchar *path = g_getenv ("CITYGUESSR_JSON_LINES");

  model.places = cg_places_parse (two_branches, sizeof two_branches - 1, "tree", &error);
  fail_unless (model.places != NULL, "%s", error ? error->message : "");
  for (guint i = 0; i < 500; i++) {
    g_autoptr (GstStructure) structure = NULL;
    g_autofree gchar *line = NULL;
    JsonNode *root;

    model.demo = g_rand_boolean (random);
    structure = random_report (random, &model);
    line = gst_city_guessr_answer_to_json (structure);
    root = read_line (line);
    assert_same (structure, json_node_get_object (root), line);
    json_node_unref (root);
    g_string_append (lines, line);
  }
  cg_places_free (model.places);
  fail_unless (!path || g_file_set_contents (path, lines->str, lines->len, &error), "%s",
               error ? error->message : "");
}
GST_END_TEST;

static Suite *
answer_json_suite (void)
{
  Suite *suite = suite_create ("answer-json");
  TCase *lines = tcase_create ("lines");

  suite_add_tcase (suite, lines);
  tcase_add_test (lines, test_simple_types);
  tcase_add_test (lines, test_nested_types);
  tcase_add_test (lines, test_other_types);
  tcase_add_test (lines, test_not_finite);
  tcase_add_test (lines, test_times);
  tcase_add_test (lines, test_control_characters);
  tcase_add_test (lines, test_deep);
  tcase_add_test (lines, test_locale);
  tcase_add_test (lines, test_answers);
  return suite;
}

GST_CHECK_MAIN (answer_json)
