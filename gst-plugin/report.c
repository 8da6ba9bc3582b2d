/* An answer as a structure: see report.h for the fields.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "report.h"

void
gst_city_guessr_report_times (const GstSegment *segment, GstClockTime start,
                              GstClockTime *stream_time, GstClockTime *running_time)
{
  *stream_time = *running_time = GST_CLOCK_TIME_NONE;
  if (segment->format != GST_FORMAT_TIME)
    return;
  *stream_time = gst_segment_to_stream_time (segment, GST_FORMAT_TIME, start);
  *running_time = gst_segment_to_running_time (segment, GST_FORMAT_TIME, start);
}

static void
set_names (GstStructure *structure, const CgPlaces *places, const CgAnswer *answer)
{
  for (guint level = answer->finest; level < CG_LEVELS; level++) {
    const CgPlace *place = cg_places_get (places, level, answer->index[level]);

    gst_structure_set (structure, cg_level_name (level), G_TYPE_STRING, place->name, NULL);
    if (level == CG_COUNTRY && place->code)
      gst_structure_set (structure, "country-code", G_TYPE_STRING, place->code, NULL);
  }
}

static void
set_confidences (GstStructure *structure, const CgAnswer *answer)
{
  static const gchar *const fields[CG_LEVELS] = { "city-confidence", "state-confidence",
                                                  "country-confidence", "continent-confidence" };

  for (guint level = 0; level < CG_LEVELS; level++)
    gst_structure_set (structure, fields[level], G_TYPE_DOUBLE, answer->probability[level], NULL);
}

/* The fields from city to horizontal-error. */
static void
set_place (GstStructure *structure, const CgPlaces *places, const CgAnswer *answer)
{
  set_names (structure, places, answer);
  set_confidences (structure, answer);
  gst_structure_set (structure, "latitude", G_TYPE_DOUBLE, answer->latitude, "longitude",
                     G_TYPE_DOUBLE, answer->longitude, "horizontal-error", G_TYPE_DOUBLE,
                     answer->horizontal_error, NULL);
}

static void
set_tracked (GstStructure *structure, const CgPlaces *places, const CgAnswer *tracked)
{
  g_autoptr (GstStructure) place = gst_structure_new_empty ("place");

  set_place (place, places, tracked);
  gst_structure_set (structure, "tracked", GST_TYPE_STRUCTURE, place, NULL);
}

static GstStructure *
prediction_new (const CgPlaces *places, CgLevel level, guint rank, const CgPrediction *prediction)
{
  const CgPlace *place = cg_places_get (places, level, prediction->index);

  /* clang-format off */
  return gst_structure_new ("prediction",
                            "level", G_TYPE_STRING, cg_level_name (level),
                            "rank", G_TYPE_UINT, rank,
                            "label", G_TYPE_STRING, place->label,
                            "name", G_TYPE_STRING, place->name,
                            "confidence", G_TYPE_DOUBLE, prediction->probability,
                            "latitude", G_TYPE_DOUBLE, place->latitude,
                            "longitude", G_TYPE_DOUBLE, place->longitude,
                            NULL);
  /* clang-format on */
}

static void
set_predictions (GstStructure *structure, const CgPlaces *places, const CgAnswer *answer)
{
  GValue array = G_VALUE_INIT;

  gst_value_array_init (&array, 4 * CG_MAX_TOP_K);
  for (guint level = 0; level < CG_LEVELS; level++) {
    for (guint rank = 0; rank < answer->n_top[level]; rank++) {
      GValue value = G_VALUE_INIT;

      g_value_init (&value, GST_TYPE_STRUCTURE);
      g_value_take_boxed (&value, prediction_new (places, level, rank, &answer->top[level][rank]));
      gst_value_array_append_and_take_value (&array, &value);
    }
  }
  gst_structure_take_value (structure, "predictions", &array);
}

GstStructure *
gst_city_guessr_report_new (const GstCityGuessrReport *report, const CgModel *model,
                            const CgAnswer *answer, const CgAnswer *tracked)
{
  GstClockTime stream_time, running_time;
  GstStructure *structure;

  gst_city_guessr_report_times (report->segment, report->start, &stream_time, &running_time);
  /* clang-format off */
  structure = gst_structure_new (GST_CITY_GUESSR_MESSAGE_NAME,
                                 "timestamp", G_TYPE_UINT64, report->start,
                                 "stream-time", G_TYPE_UINT64, stream_time,
                                 "running-time", G_TYPE_UINT64, running_time,
                                 "duration", G_TYPE_UINT64, report->end - report->start,
                                 "window-id", G_TYPE_UINT64, report->window_id,
                                 "samples", G_TYPE_UINT, report->samples,
                                 "partial", G_TYPE_BOOLEAN, report->partial,
                                 NULL);
  set_place (structure, model->places, answer);
  if (answer->scene >= 0)
    gst_structure_set (structure,
                       "scene", G_TYPE_STRING, model->scenes[answer->scene],
                       "scene-confidence", G_TYPE_DOUBLE, answer->scene_probability,
                       NULL);
  gst_structure_set (structure, "stable", G_TYPE_BOOLEAN, report->stable, NULL);
  set_tracked (structure, model->places, tracked);
  set_predictions (structure, model->places, answer);
  gst_structure_set (structure,
                     "device", G_TYPE_STRING, report->device,
                     "model", G_TYPE_STRING, model->name,
                     "demo", G_TYPE_BOOLEAN, model->demo,
                     "latency", G_TYPE_UINT64, report->latency,
                     NULL);
  /* clang-format on */
  return structure;
}

void
gst_city_guessr_report_register_meta (void)
{
  static gsize registered = 0;

  if (g_once_init_enter (&registered)) {
    static const gchar *no_tags[] = { NULL };

    if (gst_meta_get_info (GST_CITY_GUESSR_META_NAME) == NULL)
      gst_meta_register_custom (GST_CITY_GUESSR_META_NAME, no_tags, NULL, NULL, NULL);
    g_once_init_leave (&registered, 1);
  }
}

void
gst_city_guessr_report_attach (GstBuffer *buffer, const GstStructure *structure)
{
  GstCustomMeta *meta = gst_buffer_add_custom_meta (buffer, GST_CITY_GUESSR_META_NAME);
  GstStructure *copy = gst_custom_meta_get_structure (meta);

  for (gint i = 0; i < gst_structure_n_fields (structure); i++) {
    const gchar *field = gst_structure_nth_field_name (structure, i);

    gst_structure_set_value (copy, field, gst_structure_get_value (structure, field));
  }
}
