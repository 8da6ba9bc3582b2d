/* From a place to tags, and which of them a place that is in part withheld still has.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include <gst/check/gstcheck.h>

#include "tags.h"

#include <math.h>

static GstStructure *place;

static void
setup (void)
{
  gst_city_guessr_tags_register ();
  gst_city_guessr_tags_register ();
  /* clang-format off */
  place = gst_structure_new ("place",
                             "city", G_TYPE_STRING, "Rome",
                             "state", G_TYPE_STRING, "Lazio",
                             "country", G_TYPE_STRING, "Italy",
                             "country-code", G_TYPE_STRING, "IT",
                             "continent", G_TYPE_STRING, "Europe",
                             "city-confidence", G_TYPE_DOUBLE, 0.5,
                             "state-confidence", G_TYPE_DOUBLE, 0.625,
                             "country-confidence", G_TYPE_DOUBLE, 0.75,
                             "continent-confidence", G_TYPE_DOUBLE, 0.875,
                             "latitude", G_TYPE_DOUBLE, 41.89,
                             "longitude", G_TYPE_DOUBLE, -12.5,
                             "horizontal-error", G_TYPE_DOUBLE, 1500.0,
                             NULL);
  /* clang-format on */
}

static void
teardown (void)
{
  gst_structure_free (place);
}

/* @expected: as gst_tag_list_to_string() writes it, in any order. */
static void
assert_tags (const gchar *expected)
{
  GstTagList *tags = gst_city_guessr_tags_new (place, FALSE);
  GstTagList *wanted = gst_tag_list_new_from_string (expected);

  fail_unless (tags != NULL, "no tags from %" GST_PTR_FORMAT, place);
  fail_unless (wanted != NULL, "%s", expected);
  fail_unless_equals_int (gst_tag_list_get_scope (tags), GST_TAG_SCOPE_GLOBAL);
  gst_tag_list_set_scope (wanted, GST_TAG_SCOPE_GLOBAL);
  fail_unless (gst_tag_list_is_equal (tags, wanted),
               "found %" GST_PTR_FORMAT ", expected %" GST_PTR_FORMAT, tags, wanted);
  gst_tag_list_unref (tags);
  gst_tag_list_unref (wanted);
}

GST_START_TEST (test_whole_place)
{
  assert_tags ("taglist, geo-location-name=(string)\"Rome\\,\\ Lazio\\,\\ Italy\\,\\ Europe\","
               " comment=(string)\"Place\\ seen\\ by\\ CityGuessr:\\ Rome\\,\\ Lazio\\,\\ "
               "Italy\\,\\ Europe\","
               " geo-location-city=(string)Rome, geo-location-state=(string)Lazio,"
               " geo-location-country=(string)Italy, geo-location-continent=(string)Europe,"
               " geo-location-latitude=(double)41.89, geo-location-longitude=(double)-12.5,"
               " geo-location-horizontal-error=(double)1500, geo-location-confidence=(double)0.5;");
}
GST_END_TEST;

/* Given a place without a city, no tag holds a point on the map. */
GST_START_TEST (test_withheld)
{
  gst_structure_remove_field (place, "city");
  assert_tags (
      "taglist, geo-location-name=(string)\"Lazio\\,\\ Italy\\,\\ Europe\","
      " comment=(string)\"Place\\ seen\\ by\\ CityGuessr:\\ Lazio\\,\\ Italy\\,\\ Europe\","
      " geo-location-state=(string)Lazio, geo-location-country=(string)Italy,"
      " geo-location-continent=(string)Europe, geo-location-confidence=(double)0.625;");
  gst_structure_remove_fields (place, "state", "country", "country-code", NULL);
  assert_tags ("taglist, geo-location-name=(string)Europe,"
               " comment=(string)\"Place\\ seen\\ by\\ CityGuessr:\\ Europe\","
               " geo-location-continent=(string)Europe, geo-location-confidence=(double)0.875;");
  gst_structure_remove_field (place, "continent");
  fail_unless (gst_city_guessr_tags_new (place, FALSE) == NULL);
}
GST_END_TEST;

/* Given fields that a tag can't hold, those are left out, and GStreamer has nothing to warn of. */
GST_START_TEST (test_unfit)
{
  gst_structure_set (place, "state", G_TYPE_STRING, "", "country", G_TYPE_STRING, NULL, "latitude",
                     G_TYPE_DOUBLE, (gdouble)NAN, "city-confidence", G_TYPE_DOUBLE,
                     (gdouble)INFINITY, NULL);
  assert_tags ("taglist, geo-location-name=(string)\"Rome\\,\\ Europe\","
               " comment=(string)\"Place\\ seen\\ by\\ CityGuessr:\\ Rome\\,\\ Europe\","
               " geo-location-city=(string)Rome, geo-location-continent=(string)Europe;");
  gst_structure_set (place, "latitude", G_TYPE_DOUBLE, 1.5, "longitude", G_TYPE_DOUBLE, 180.5,
                     NULL);
  assert_tags ("taglist, geo-location-name=(string)\"Rome\\,\\ Europe\","
               " comment=(string)\"Place\\ seen\\ by\\ CityGuessr:\\ Rome\\,\\ Europe\","
               " geo-location-city=(string)Rome, geo-location-continent=(string)Europe;");
  gst_structure_set (place, "longitude", G_TYPE_DOUBLE, 180.0, "horizontal-error", G_TYPE_DOUBLE,
                     (gdouble)INFINITY, NULL);
  assert_tags ("taglist, geo-location-name=(string)\"Rome\\,\\ Europe\","
               " comment=(string)\"Place\\ seen\\ by\\ CityGuessr:\\ Rome\\,\\ Europe\","
               " geo-location-city=(string)Rome, geo-location-continent=(string)Europe,"
               " geo-location-latitude=(double)1.5, geo-location-longitude=(double)180;");
}
GST_END_TEST;

GST_START_TEST (test_registered)
{
  fail_unless_equals_int (gst_tag_get_type (GST_CITY_GUESSR_TAG_STATE), G_TYPE_STRING);
  fail_unless_equals_int (gst_tag_get_type (GST_CITY_GUESSR_TAG_CONTINENT), G_TYPE_STRING);
  fail_unless_equals_int (gst_tag_get_type (GST_CITY_GUESSR_TAG_CONFIDENCE), G_TYPE_DOUBLE);
  fail_unless_equals_int (gst_tag_get_flag (GST_CITY_GUESSR_TAG_STATE), GST_TAG_FLAG_META);
}
GST_END_TEST;

static Suite *
tags_suite (void)
{
  Suite *suite = suite_create ("tags");
  TCase *tags = tcase_create ("tags");

  suite_add_tcase (suite, tags);
  tcase_add_checked_fixture (tags, setup, teardown);
  tcase_add_test (tags, test_whole_place);
  tcase_add_test (tags, test_withheld);
  tcase_add_test (tags, test_unfit);
  tcase_add_test (tags, test_registered);
  return suite;
}

GST_CHECK_MAIN (tags)
