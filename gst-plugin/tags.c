/* From the structure of a place to a list of tags.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "tags.h"

#include "caption.h"

#include <math.h>

void
gst_city_guessr_tags_register (void)
{
  static gsize registered = 0;

  if (g_once_init_enter (&registered)) {
    gst_tag_register_static (
        GST_CITY_GUESSR_TAG_STATE, GST_TAG_FLAG_META, G_TYPE_STRING, "geo location state",
        "state, region or province where the media was recorded, as seen in the picture", NULL);
    gst_tag_register_static (
        GST_CITY_GUESSR_TAG_CONTINENT, GST_TAG_FLAG_META, G_TYPE_STRING, "geo location continent",
        "continent where the media was recorded, as seen in the picture", NULL);
    gst_tag_register_static (
        GST_CITY_GUESSR_TAG_CONFIDENCE, GST_TAG_FLAG_META, G_TYPE_DOUBLE, "geo location confidence",
        "probability, 0 to 1, of the finest name of the place that is given", NULL);
    g_once_init_leave (&registered, 1);
  }
}

/* A tag must be valid UTF-8 and not empty. */
static gboolean
add_string (GstTagList *tags, const gchar *tag, const gchar *text)
{
  g_autofree gchar *valid = NULL;

  if (!text || *text == '\0')
    return FALSE;
  valid = g_utf8_make_valid (text, -1);
  gst_tag_list_add (tags, GST_TAG_MERGE_REPLACE, tag, valid, NULL);
  return TRUE;
}

static void
add_coordinates (GstTagList *tags, const GstStructure *place)
{
  gdouble latitude = NAN, longitude = NAN, error = NAN;

  gst_structure_get_double (place, "latitude", &latitude);
  gst_structure_get_double (place, "longitude", &longitude);
  gst_structure_get_double (place, "horizontal-error", &error);
  if (!(fabs (latitude) <= 90.0 && fabs (longitude) <= 180.0))
    return;
  gst_tag_list_add (tags, GST_TAG_MERGE_REPLACE, GST_TAG_GEO_LOCATION_LATITUDE, latitude,
                    GST_TAG_GEO_LOCATION_LONGITUDE, longitude, NULL);
  if (isfinite (error))
    gst_tag_list_add (tags, GST_TAG_MERGE_REPLACE, GST_TAG_GEO_LOCATION_HORIZONTAL_ERROR, error,
                      NULL);
}

GstTagList *
gst_city_guessr_tags_new (const GstStructure *place, gboolean demo)
{
  gdouble confidence = NAN;
  g_autofree gchar *name = gst_city_guessr_caption_place (place, &confidence), *comment = NULL;
  GstTagList *tags;

  if (!name)
    return NULL;
  comment = g_strdup_printf ("Place seen by CityGuessr%s: %s", demo ? " (demonstration model)" : "",
                             name);
  tags = gst_tag_list_new (GST_TAG_GEO_LOCATION_NAME, name, GST_TAG_COMMENT, comment, NULL);
  gst_tag_list_set_scope (tags, GST_TAG_SCOPE_GLOBAL);
  add_string (tags, GST_TAG_GEO_LOCATION_COUNTRY, gst_structure_get_string (place, "country"));
  add_string (tags, GST_CITY_GUESSR_TAG_STATE, gst_structure_get_string (place, "state"));
  add_string (tags, GST_CITY_GUESSR_TAG_CONTINENT, gst_structure_get_string (place, "continent"));
  if (add_string (tags, GST_TAG_GEO_LOCATION_CITY, gst_structure_get_string (place, "city")))
    add_coordinates (tags, place);
  if (isfinite (confidence))
    gst_tag_list_add (tags, GST_TAG_MERGE_REPLACE, GST_CITY_GUESSR_TAG_CONFIDENCE, confidence,
                      NULL);
  return tags;
}
