/* The property "caption-template": from the fields of an answer to a line for people.
 *
 * Template
 *
 *   {field}, {field:format}   is replaced by the field
 *   [...]                     is left out as a whole if a field in it is absent, or if all that it holds are parts in
 *                             brackets that are left out; brackets may stand in brackets, GST_CITY_GUESSR_CAPTION_DEPTH
 *                             deep
 *   {{ }} \{ \} \[ \] \\      are the character itself. [[ and ]] are two brackets
 *   \n                        is a line break
 *   anything else             is text
 *
 * Fields, and what may be said after the colon
 *
 *   place                     the names that are given, finest first: "Rome, Lazio, Italy, Europe"; of equal
 *                             neighbours just one
 *   city, state, country, country-code, continent
 *   confidence                of the finest name that is given; city-confidence and so on, of a level.
 *                             "%": 93 %, "%.1": 93.4 %, ".2": 0.93 (default)
 *   latitude, longitude       degrees; ".4": decimals (default)
 *   horizontal-error          metres; ".0": decimals (default)
 *   window.place, ...         each of the above, as this window by itself has it. Without "window." it is the place
 *                             that the filter over time sees (the structure "tracked" of report.h)
 *   scene, scene-confidence   as a name, as a confidence
 *   timestamp, stream-time, running-time, duration, latency
 *                             "hms": 0:01:23, ".3": seconds, with decimals (default)
 *   window-id, samples        numbers
 *   stable, partial, demo     the word itself if so, else absent
 *   device, model             text
 *
 * A field is absent if the answer has none, if it is an empty text, a time that is not known or a number that is not
 * finite. Outside brackets nothing stands for an absent field. In fields, control characters become spaces.
 *
 * Markup: a template with a tag of Pango's (b big i s span sub small sup tt u) or an entity (&lt; &gt; &amp; &quot;
 * &apos; &#65; &#x41;) is markup. It is then checked as such, each part in brackets by itself, so that no answer can
 * make it malformed; fields and brackets can't stand inside a tag. What the attributes of a span are called and
 * may be is for Pango to judge. In any other template < > & are just text.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <gst/gst.h>

G_BEGIN_DECLS

/** GST_CITY_GUESSR_DEFAULT_CAPTION: the template of "caption-template" to begin with. */
#define GST_CITY_GUESSR_DEFAULT_CAPTION "[{place}[ {confidence:%}][ ({demo})]]"

/** The longest template, in bytes, and the deepest brackets. */
#define GST_CITY_GUESSR_CAPTION_LENGTH 4096
#define GST_CITY_GUESSR_CAPTION_DEPTH 8

typedef struct _GstCityGuessrCaption GstCityGuessrCaption;

/** gst_city_guessr_caption_new: parses @text (UTF-8; NULL is the same as "").
 * Returns: (transfer full): a template, immutable, any thread; or NULL with @error (CG_ERROR_CONFIG), which says what
 * is wrong, at which character (counted from 1) and what was expected. */
GstCityGuessrCaption *gst_city_guessr_caption_new (const gchar *text, GError **error);
void gst_city_guessr_caption_free (GstCityGuessrCaption *caption);

/** gst_city_guessr_caption_format: @answer: a structure as in report.h.
 * @markup: TRUE for Pango markup: fields, and a template that is just text, are escaped; FALSE for text: tags of the
 * template are left out and its entities decoded
 * Returns: (transfer full): UTF-8, valid whatever the fields hold; "" if there is nothing to say. Any thread. */
gchar *gst_city_guessr_caption_format (const GstCityGuessrCaption *caption,
                                       const GstStructure *answer, gboolean markup);

/** gst_city_guessr_caption_place: the names of @place (an answer, or its structure "tracked"), as the field "place".
 * @confidence: (out) (optional): of the finest name, 0..1; NAN if @place does not tell
 * Returns: (transfer full) (nullable): valid UTF-8; NULL if every level is withheld. Any thread. */
gchar *gst_city_guessr_caption_place (const GstStructure *place, gdouble *confidence);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (GstCityGuessrCaption, gst_city_guessr_caption_free)

G_END_DECLS
