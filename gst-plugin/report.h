/* From an answer to the structure that users see: the bus message and the buffer meta carry the
 * same one. Its fields, in this order; those in brackets only when they apply:
 *
 *   timestamp, stream-time,    guint64, ns: the window; GST_CLOCK_TIME_NONE where it is outside
 *   running-time, duration     the segment
 *   window-id                  guint64: counts windows from 0 since READY->PAUSED; a dropped one
 *                              leaves a hole
 *   samples                    guint: different samples in the window
 *   partial                    gboolean: there were fewer samples than the model takes, or it is an
 *                              early window of a stretch that has had no full one yet
 *   [city, state, country,     string; absent when withheld (country-code also if unknown)
 *    country-code, continent]
 *   {city,state,country,       double, 0..1, calibrated; also of a withheld level
 *    continent}-confidence
 *   latitude, longitude        double: degrees, WGS84
 *   horizontal-error           double: metres that hold 90 %
 *   [scene, scene-confidence]  string, double; if the model has a scene head
 *   stable                     gboolean: the tracked place is (track.h)
 *   tracked                    GstStructure "place": the place as the filter over time sees it
 *                              (track.h): the fields from city to horizontal-error, as above
 *   predictions                GstValueArray of structures "prediction", by level from city to
 *                              continent, by rank from 0: level (string), rank (guint), label
 *                              (string: the model's own spelling, unique in its level), name
 *                              (string: to be shown), confidence, latitude, longitude (double)
 *   device, model              string
 *   demo                       gboolean: the model is a demonstration
 *   latency                    guint64, ns: last sample in to answer out
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <gst/gst.h>

#include "model/decode.h"

G_BEGIN_DECLS

/** GST_CITY_GUESSR_META_NAME: a GstCustomMeta without tags, so that it survives conversion,
 * scaling, encoding and payloading. Read it with gst_buffer_get_custom_meta() and
 * gst_custom_meta_get_structure(). */
#define GST_CITY_GUESSR_META_NAME "GstCityGuessrMeta"

/** GST_CITY_GUESSR_MESSAGE_NAME: the name of the structure in the element message. */
#define GST_CITY_GUESSR_MESSAGE_NAME "cityguessr"

/** GstCityGuessrReport: what the report says besides the answer.
 * @start, @end: PTS of the window's two ends; @segment: the one in force when the window began
 * @device: borrowed; @latency: ns */
typedef struct {
  GstClockTime start, end;
  const GstSegment *segment;
  guint64 window_id;
  guint samples;
  gboolean partial, stable;
  const gchar *device;
  GstClockTime latency;
} GstCityGuessrReport;

/** gst_city_guessr_report_times: stream time and running time of @start in @segment;
 * GST_CLOCK_TIME_NONE for each that it does not have. */
void gst_city_guessr_report_times (const GstSegment *segment, GstClockTime start,
                                   GstClockTime *stream_time, GstClockTime *running_time);

/** gst_city_guessr_report_new: @answer: of the window; @tracked: of the filter over time.
 * Returns: (transfer full): the structure above. Any thread. */
GstStructure *gst_city_guessr_report_new (const GstCityGuessrReport *report, const CgModel *model,
                                          const CgAnswer *answer, const CgAnswer *tracked);

/** gst_city_guessr_report_register_meta: makes the meta known to GStreamer. Any thread, any number
 * of times. */
void gst_city_guessr_report_register_meta (void);

/** gst_city_guessr_report_attach: adds the fields of @structure to @buffer (writable), as the meta. */
void gst_city_guessr_report_attach (GstBuffer *buffer, const GstStructure *structure);

G_END_DECLS
