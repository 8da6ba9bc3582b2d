/* From the predictions of an answer to GStreamer's analytics, where GStreamer has them; elsewhere nothing happens.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include <gst/check/gstcheck.h>

#include "analytics.h"

static GstBuffer *buffer;

static void
setup (void)
{
  buffer = gst_buffer_new ();
}

static void
teardown (void)
{
  gst_buffer_unref (buffer);
}

static void
add_prediction (GstStructure *answer, const gchar *level, const gchar *label, gdouble confidence)
{
  const GValue *before = gst_structure_get_value (answer, "predictions");
  GValue array = G_VALUE_INIT, value = G_VALUE_INIT;

  g_value_init (&array, GST_TYPE_ARRAY);
  if (before)
    g_value_copy (before, &array);
  g_value_init (&value, GST_TYPE_STRUCTURE);
  g_value_take_boxed (&value, gst_structure_new ("prediction", "level", G_TYPE_STRING, level,
                                                 "label", G_TYPE_STRING, label, "confidence",
                                                 G_TYPE_DOUBLE, confidence, NULL));
  gst_value_array_append_and_take_value (&array, &value);
  gst_structure_take_value (answer, "predictions", &array);
}

static guint
count_metas (void)
{
  gpointer state = NULL;
  guint n = 0;

  while (gst_buffer_iterate_meta (buffer, &state))
    n++;
  return n;
}

/* Given an answer without predictions, the buffer stays as it was. */
GST_START_TEST (test_no_predictions)
{
  g_autoptr (GstStructure) answer = gst_structure_new_empty ("cityguessr");
  GValue array = G_VALUE_INIT;

  gst_city_guessr_analytics_attach (buffer, answer);
  gst_structure_set (answer, "predictions", G_TYPE_STRING, "none", NULL);
  gst_city_guessr_analytics_attach (buffer, answer);
  g_value_init (&array, GST_TYPE_ARRAY);
  gst_structure_take_value (answer, "predictions", &array);
  gst_city_guessr_analytics_attach (buffer, answer);
  add_prediction (answer, "planet", "Earth", 1.0);
  gst_city_guessr_analytics_attach (buffer, answer);
  fail_unless_equals_int (count_metas (), 0);
}
GST_END_TEST;

#if HAVE_GST_ANALYTICS

#include <gst/analytics/analytics.h>

static void
assert_label (const GstAnalyticsClsMtd *mtd, gsize index, const gchar *label, gfloat confidence)
{
  fail_unless_equals_string (g_quark_to_string (gst_analytics_cls_mtd_get_quark (mtd, index)),
                             label);
  fail_unless_equals_float (gst_analytics_cls_mtd_get_level (mtd, index), confidence);
}

/* Given labels of each level, each level is one classification and part of the next. */
GST_START_TEST (test_levels)
{
  static const gchar *const expected[][2] = {
    { "Rome", "Milan" }, { "Lazio", "Lombardy" }, { "Italy", NULL }, { "Europe", NULL }
  };
  g_autoptr (GstStructure) answer = gst_structure_new_empty ("cityguessr");
  GstAnalyticsRelationMeta *meta;
  GstAnalyticsMtd mtds[4];
  gpointer state = NULL;

  add_prediction (answer, "city", "Rome", 0.5);
  add_prediction (answer, "city", "Milan", 0.25);
  add_prediction (answer, "state", "Lazio", 0.5);
  add_prediction (answer, "state", "Lombardy", 0.25);
  add_prediction (answer, "country", "Italy", 0.5);
  add_prediction (answer, "continent", "Europe", 0.5);
  gst_city_guessr_analytics_attach (buffer, answer);

  meta = gst_buffer_get_analytics_relation_meta (buffer);
  fail_unless (meta != NULL);
  fail_unless_equals_int (gst_analytics_relation_get_length (meta), 4);
  for (guint i = 0; i < 4; i++) {
    fail_unless (gst_analytics_relation_meta_iterate (
        meta, &state, gst_analytics_cls_mtd_get_mtd_type (), &mtds[i]));
    fail_unless_equals_int (gst_analytics_cls_mtd_get_length (&mtds[i]), expected[i][1] ? 2 : 1);
    assert_label (&mtds[i], 0, expected[i][0], 0.5f);
    if (expected[i][1])
      assert_label (&mtds[i], 1, expected[i][1], 0.25f);
  }
  for (guint i = 0; i < 4; i++)
    for (guint k = 0; k < 4; k++)
      fail_unless_equals_int (
          gst_analytics_relation_meta_get_relation (meta, mtds[i].id, mtds[k].id),
          k == i + 1 ? GST_ANALYTICS_REL_TYPE_IS_PART_OF : GST_ANALYTICS_REL_TYPE_NONE);
}
GST_END_TEST;

/* Given a buffer with somebody else's classification and an answer that lacks a level, the former stays, and the levels
 * beside the gap are related. */
GST_START_TEST (test_beside_others)
{
  g_autoptr (GstStructure) answer = gst_structure_new_empty ("cityguessr");
  GstAnalyticsRelationMeta *meta = gst_buffer_add_analytics_relation_meta (buffer);
  GstAnalyticsClsMtd other;

  fail_unless (gst_analytics_relation_meta_add_one_cls_mtd (meta, 1.0f, g_quark_from_string ("cat"),
                                                            &other));
  add_prediction (answer, "city", "Rome", 0.5);
  add_prediction (answer, "continent", "Europe", 0.75);
  gst_city_guessr_analytics_attach (buffer, answer);
  fail_unless_equals_int (count_metas (), 1);
  fail_unless_equals_int (gst_analytics_relation_get_length (meta), 3);
  fail_unless_equals_int (
      gst_analytics_relation_meta_get_relation (meta, other.id + 1, other.id + 2),
      GST_ANALYTICS_REL_TYPE_IS_PART_OF);
  fail_unless_equals_int (gst_analytics_relation_meta_get_relation (meta, other.id, other.id + 1),
                          GST_ANALYTICS_REL_TYPE_NONE);
}
GST_END_TEST;

#else

GST_START_TEST (test_too_old)
{
  g_autoptr (GstStructure) answer = gst_structure_new_empty ("cityguessr");

  add_prediction (answer, "city", "Rome", 0.5);
  gst_city_guessr_analytics_attach (buffer, answer);
  fail_unless_equals_int (count_metas (), 0);
}
GST_END_TEST;

#endif

static Suite *
analytics_suite (void)
{
  Suite *suite = suite_create ("analytics");
  TCase *analytics = tcase_create ("analytics");

  suite_add_tcase (suite, analytics);
  tcase_add_checked_fixture (analytics, setup, teardown);
  tcase_add_test (analytics, test_no_predictions);
#if HAVE_GST_ANALYTICS
  tcase_add_test (analytics, test_levels);
  tcase_add_test (analytics, test_beside_others);
#else
  tcase_add_test (analytics, test_too_old);
#endif
  return suite;
}

GST_CHECK_MAIN (analytics)
