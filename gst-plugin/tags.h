/* A place as GStreamer's own geo tags: see the property "post-tags".
 *
 *   geo-location-country, geo-location-city       if given
 *   geo-location-name                             the names that are given, finest first: "Rome, Lazio, Italy, Europe"
 *   geo-location-latitude, geo-location-longitude only with a city: they are the coordinates of a city, and a file must
 *   geo-location-horizontal-error                 not keep a point on the map where not even the city was sure
 *   geo-location-state, geo-location-continent,   ours; the confidence is that of the finest name that is given
 *   geo-location-confidence
 *   comment                                       "Place seen by CityGuessr: Rome, Lazio, Italy, Europe"
 *
 * The comment is for files: mp4mux and qtmux write the geo tags where few programs look for them (XMP), and
 * matroskamux writes none of them; all of them write a comment, and ffprobe shows it. In Matroska it is
 * COMMENTS="Place\ seen\ ...": that muxer writes every text tag as GStreamer serialises it, with backslashes and quotes.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <gst/gst.h>

G_BEGIN_DECLS

/** Tags of ours, beside GStreamer's: string, string, double (0..1). */
#define GST_CITY_GUESSR_TAG_STATE "geo-location-state"
#define GST_CITY_GUESSR_TAG_CONTINENT "geo-location-continent"
#define GST_CITY_GUESSR_TAG_CONFIDENCE "geo-location-confidence"

/** gst_city_guessr_tags_register: makes the tags of ours known to GStreamer. Any thread, any number of times. */
void gst_city_guessr_tags_register (void);

/** gst_city_guessr_tags_new: @place: the structure "place" of an answer (report.h, "tracked"); @demo: whether a
 * demonstration model has seen it, which the comment then says.
 * Returns: (transfer full) (nullable): a list of GLOBAL scope; NULL if every level is withheld. Any thread, after
 * gst_city_guessr_tags_register(). */
GstTagList *gst_city_guessr_tags_new (const GstStructure *place, gboolean demo);

G_END_DECLS
