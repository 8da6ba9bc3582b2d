/* A caption in both formats of the pad "text_src".
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <gst/gst.h>

#include "caption.h"

G_BEGIN_DECLS

/** GstCityGuessrCaptionText: UTF-8 and Pango markup. There is a 0 behind the bytes, for readers that hope for one.
 * Nothing to say: both are NULL, as when zeroed. */
typedef struct {
  GBytes *plain, *markup;
} GstCityGuessrCaptionText;

/** gst_city_guessr_caption_text_new: what @caption says of @answer (report.h): gst_city_guessr_caption_text_clear(). */
GstCityGuessrCaptionText gst_city_guessr_caption_text_new (const GstCityGuessrCaption *caption,
                                                           const GstStructure *answer);

/** gst_city_guessr_caption_text_ref: the same once more. */
GstCityGuessrCaptionText gst_city_guessr_caption_text_ref (const GstCityGuessrCaptionText *text);

/** gst_city_guessr_caption_text_clear: afterwards there is nothing to say. */
void gst_city_guessr_caption_text_clear (GstCityGuessrCaptionText *text);

/** gst_city_guessr_caption_text_equal: whether both say the same, or nothing. */
gboolean gst_city_guessr_caption_text_equal (const GstCityGuessrCaptionText *a,
                                             const GstCityGuessrCaptionText *b);

G_END_DECLS
