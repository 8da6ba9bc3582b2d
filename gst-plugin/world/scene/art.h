/* Pictures that are put onto the world's surfaces: painted once with cairo, then kept.
 *
 * A picture follows from its key alone, so it does not matter which frame asked for it first. A cache
 * belongs to one drawer (draw.h) and so to one thread at a time.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "../raster.h"

#include <cairo.h>

G_BEGIN_DECLS

typedef struct _CgArt CgArt;

/** CgTextAlign: within the box. */
typedef enum { CG_TEXT_FIT, CG_TEXT_UPRIGHT } CgTextFlow;

/** cg_art_new: @with_text: FALSE leaves all words out, for tests that must not depend on fonts. */
CgArt *cg_art_new (gboolean with_text);
void cg_art_free (CgArt *art);

/** CgPaint: paints onto @cr, whose picture is @width x @height pixels, transparent at first.
 * @data: what cg_art_get() was given. */
typedef void (*CgPaint) (CgArt *art, cairo_t *cr, guint width, guint height, gconstpointer data);

/** cg_art_get: the picture of @key, painted by @paint if it is not there. @width, @height: rounded up
 * to powers of two, at most 1024. (transfer none): until cg_art_trim(). */
const CgTexture *cg_art_get (CgArt *art, guint64 key, guint width, guint height, gboolean wrap,
                             CgPaint paint, gconstpointer data);

/** cg_art_trim: forgets all pictures if they take more than a fixed amount of memory. Between frames. */
void cg_art_trim (CgArt *art);

/** cg_art_text: writes @text into the box, as large as fits, in @colour (0xRRGGBB). Its script decides
 * on the font; @region is the language's two letters, which tell the forms of Chinese characters.
 * CG_TEXT_UPRIGHT: the characters stand one below the other. */
void cg_art_text (CgArt *art, cairo_t *cr, const gchar *text, const gchar *region, CgTextFlow flow,
                  gdouble x, gdouble y, gdouble width, gdouble height, guint32 colour);

/** cg_art_missing_fonts: (transfer full) (nullable): which of the fonts that the world is written in
 * are not installed, with the Debian packages that have them; NULL if all are there. Any thread. */
gchar *cg_art_missing_fonts (void);

/** cg_paint_colour: sets @rgb (0xRRGGBB) times @shade (1: as it is) as the source. */
void cg_paint_colour (cairo_t *cr, guint32 rgb, gdouble shade, gdouble alpha);

/** cg_paint_box: fills a rectangle with the source. */
void cg_paint_box (cairo_t *cr, gdouble x, gdouble y, gdouble width, gdouble height);

/** cg_paint_grain: makes a picture uneven: @amount 0..1, pixel by pixel and in soft blots. */
void cg_paint_grain (cairo_t *cr, guint64 key, gdouble amount);

/** cg_colour_mix: from @a (@f = 0) to @b (1), 0xRRGGBB. */
guint32 cg_colour_mix (guint32 a, guint32 b, gdouble f);

G_END_DECLS
