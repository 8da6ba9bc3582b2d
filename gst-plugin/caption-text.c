/* A caption in both formats: see caption-text.h.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "caption-text.h"

#include <string.h>

/* @string: (transfer full) */
static GBytes *
bytes_of (gchar *string)
{
  return g_bytes_new_take (string, strlen (string));
}

GstCityGuessrCaptionText
gst_city_guessr_caption_text_new (const GstCityGuessrCaption *caption, const GstStructure *answer)
{
  g_autofree gchar *plain = gst_city_guessr_caption_format (caption, answer, FALSE);

  if (*plain == '\0')
    return (GstCityGuessrCaptionText){ NULL, NULL };
  return (GstCityGuessrCaptionText){ bytes_of (g_steal_pointer (&plain)),
                                     bytes_of (
                                         gst_city_guessr_caption_format (caption, answer, TRUE)) };
}

GstCityGuessrCaptionText
gst_city_guessr_caption_text_ref (const GstCityGuessrCaptionText *text)
{
  if (text->plain == NULL)
    return (GstCityGuessrCaptionText){ NULL, NULL };
  return (GstCityGuessrCaptionText){ g_bytes_ref (text->plain), g_bytes_ref (text->markup) };
}

void
gst_city_guessr_caption_text_clear (GstCityGuessrCaptionText *text)
{
  g_clear_pointer (&text->plain, g_bytes_unref);
  g_clear_pointer (&text->markup, g_bytes_unref);
}

gboolean
gst_city_guessr_caption_text_equal (const GstCityGuessrCaptionText *a,
                                    const GstCityGuessrCaptionText *b)
{
  if (a->plain == NULL || b->plain == NULL)
    return a->plain == b->plain;
  return g_bytes_equal (a->plain, b->plain) && g_bytes_equal (a->markup, b->markup);
}
