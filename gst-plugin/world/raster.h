/* Pixels: flat polygons in perspective, plain or textured, onto a picture in memory.
 *
 * There is no depth buffer: what is drawn later covers what was drawn before. Space is the camera's:
 * x to the right, y up, z ahead, in metres. Colours are 0xAARRGGBB in the machine's byte order, as
 * cairo's ARGB32 has them, premultiplied by their alpha.
 *
 * In the picture itself the top byte is not an alpha but how wet the ground is there (0: no ground or
 * dry), for reflections that the lens (lens.h) adds.
 *
 * Textures are held at all combinations of half widths and half heights ("ripmaps"), because streets
 * are seen at grazing angles: a road far away is squeezed along its length alone.
 *
 * Nothing here is shared: any thread, one at a time for each canvas.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

#define CG_TEXTURE_LEVELS 11
#define CG_POLYGON_MAX 8 /* corners, one of them left for the cut at the camera */

/** CgTexture: @width, @height: powers of two, at most 1024. @wrap: repeats; otherwise its edge goes
 * on. @opaque: every alpha is 255. @level[i][j]: width >> i by height >> j pixels (at least 1). */
typedef struct {
  guint width, height;
  gboolean wrap, opaque;
  guint32 *level[CG_TEXTURE_LEVELS][CG_TEXTURE_LEVELS];
  guint32 *memory;
  gsize bytes;
} CgTexture;

/** CgVertex: a corner in camera space, with its place in the texture (0..1 is the whole of it). */
typedef struct {
  gfloat x, y, z, u, v;
} CgVertex;

/** CgMaterial: what a polygon is made of.
 * @texture: (nullable): times @light; else @colour times @light
 * @light: red, green, blue; 0..1 each
 * @alpha: 0..1, of the whole
 * @haze: 1/m, how fast the haze takes over with distance
 * @wet: 0..255, written to the top byte */
typedef struct {
  const CgTexture *texture;
  guint32 colour;
  gfloat light[3];
  gfloat alpha;
  gfloat haze;
  guint wet;
} CgMaterial;

/** CgCanvas: the picture. @focal_x, @focal_y: pixels that one metre at the distance of one metre takes;
 * @cx, @cy: the pixel that the camera looks at; @haze_colour: red, green, blue, 0..255. */
typedef struct {
  guint32 *pixels;
  gint width, height;
  gfloat focal_x, focal_y, cx, cy;
  gfloat haze_colour[3];
  gfloat *left, *right; /* of each row, while a polygon is filled */
} CgCanvas;

/** cg_texture_new: copies @pixels (@width x @height, tightly packed, premultiplied). */
CgTexture *cg_texture_new (const guint32 *pixels, guint width, guint height, gboolean wrap);
void cg_texture_free (CgTexture *texture);

/** cg_canvas_resize: makes room for @width x @height pixels, whose contents are undefined. Returns: FALSE if there is no
 * memory; @canvas is then empty. */
gboolean cg_canvas_resize (CgCanvas *canvas, gint width, gint height);

/** cg_canvas_clear: gives the memory back; @canvas can be resized again. */
void cg_canvas_clear (CgCanvas *canvas);

/** cg_canvas_polygon: fills the convex, flat polygon of @n corners (3 .. CG_POLYGON_MAX - 1), either
 * way round. What lies behind the camera is cut off. Places in the texture follow from three corners. */
void cg_canvas_polygon (CgCanvas *canvas, const CgVertex *corners, guint n,
                        const CgMaterial *material);

/** cg_canvas_line: a line @width metres wide from @a to @b; never thinner than a pixel, but fainter. */
void cg_canvas_line (CgCanvas *canvas, const CgVertex *a, const CgVertex *b, gfloat width,
                     const CgMaterial *material);

/** cg_colour_between: from @a (@f = 0) to @b (@f = 256), each channel for itself, all four. */
static inline guint32
cg_colour_between (guint32 a, guint32 b, guint f)
{
  const guint32 mask = 0x00FF00FFu;
  guint32 even = (((a & mask) * (256 - f) + (b & mask) * f) >> 8) & mask;
  guint32 odd = (((a >> 8) & mask) * (256 - f) + ((b >> 8) & mask) * f) & ~mask;

  return even | odd;
}

/** cg_canvas_project: TRUE and pixels in @x, @y if @p is before the camera. */
gboolean cg_canvas_project (const CgCanvas *canvas, const CgVertex *p, gfloat *x, gfloat *y);

G_END_DECLS
