/* See raster.h. Lines of pixels are filled in runs of CHUNK: the division that perspective needs is
 * done at their ends, and between them the texture is walked in a straight line.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "raster.h"

#include <math.h>
#include <string.h>

#define NEAR 0.25f /* metres; nearer than this nothing is drawn */
#define CHUNK 16

/* A plane over the picture: value = at + dx * x + dy * y. */
typedef struct {
  gfloat at, dx, dy;
} Plane;

typedef struct {
  Plane depth, u, v; /* 1/z, u/z, v/z */
} Planes;

/* ---- textures ---- */

static guint32
average (guint32 a, guint32 b)
{
  return (a & b) + (((a ^ b) & 0xFEFEFEFEu) >> 1);
}

static void
halve_width (guint32 *to, const guint32 *from, guint width, guint height)
{
  for (guint i = 0; i < width * height; i++)
    to[i] = average (from[2 * i], from[2 * i + 1]);
}

static void
halve_height (guint32 *to, const guint32 *from, guint width, guint height)
{
  for (guint y = 0; y < height; y++)
    for (guint x = 0; x < width; x++)
      to[y * width + x] = average (from[2 * y * width + x], from[(2 * y + 1) * width + x]);
}

CgTexture *
cg_texture_new (const guint32 *pixels, guint width, guint height, gboolean wrap)
{
  CgTexture *self = g_new0 (CgTexture, 1);
  guint columns = g_bit_nth_msf (width, -1) + 1, rows = g_bit_nth_msf (height, -1) + 1;
  gsize total = 0;
  guint32 *next;

  g_assert (columns <= CG_TEXTURE_LEVELS && rows <= CG_TEXTURE_LEVELS);
  self->width = width;
  self->height = height;
  self->wrap = wrap;
  self->opaque = TRUE;
  for (guint i = 0; i < width * height && self->opaque; i++)
    self->opaque = pixels[i] >> 24 == 255;
  for (guint i = 0; i < columns; i++)
    for (guint j = 0; j < rows; j++)
      total += (gsize)(width >> i) * (height >> j);
  self->bytes = total * sizeof (guint32);
  self->memory = next = g_malloc (self->bytes);
  for (guint i = 0; i < CG_TEXTURE_LEVELS; i++) {
    for (guint j = 0; j < CG_TEXTURE_LEVELS; j++) {
      guint w = width >> MIN (i, columns - 1), h = height >> MIN (j, rows - 1);

      /* Beyond the last level the last one goes on, so that no reader has to ask. */
      if (i >= columns || j >= rows) {
        self->level[i][j] = self->level[MIN (i, columns - 1)][MIN (j, rows - 1)];
        continue;
      }
      self->level[i][j] = next;
      next += (gsize)w * h;
      if (i == 0 && j == 0)
        memcpy (self->level[0][0], pixels, sizeof (guint32) * w * h);
      else if (i == 0)
        halve_height (self->level[0][j], self->level[0][j - 1], w, h);
      else
        halve_width (self->level[i][j], self->level[i - 1][j], w, h);
    }
  }
  return self;
}

void
cg_texture_free (CgTexture *texture)
{
  if (texture == NULL)
    return;
  g_free (texture->memory);
  g_free (texture);
}

/* ---- runs of pixels ---- */

/* Two pixels, their eight channels side by side as they lie in memory, with room for a product. */
typedef guint16 Lanes __attribute__ ((vector_size (16)));
typedef guint8 Bytes __attribute__ ((vector_size (8)));

#if G_BYTE_ORDER == G_LITTLE_ENDIAN
enum { BLUE, GREEN, RED, ALPHA };
#else
enum { ALPHA, RED, GREEN, BLUE };
#endif

static inline Lanes
spread (guint32 a, guint32 b)
{
  const guint32 both[2] = { a, b };
  Bytes bytes;

  memcpy (&bytes, both, sizeof bytes);
  return __builtin_convertvector(bytes, Lanes);
}

/* The first of the two. */
static inline guint32
gather (Lanes lanes)
{
  const Bytes bytes = __builtin_convertvector(lanes, Bytes);
  guint32 pixel;

  memcpy (&pixel, &bytes, sizeof pixel);
  return pixel;
}

static inline Lanes
all (guint value)
{
  const guint16 v = (guint16)value;

  return (Lanes){ v, v, v, v, v, v, v, v };
}

/* One run of pixels: out = texel * scale / 256 + add, with scale * 255 / 256 + add <= 255. */
typedef struct {
  Lanes scale, add; /* of the alpha: as it is */
  guint alpha;      /* 0..256 */
  guint32 wet;      /* in the top byte */
} Tint;

static inline Lanes
tinted (Lanes p, const Tint *t)
{
  return ((p * t->scale) >> 8) + t->add;
}

/* What is added by the haze belongs to what is there, so it counts by the texel's alpha @a. */
static inline Lanes
tinted_part (Lanes p, guint a, const Tint *t)
{
  return ((p * t->scale) >> 8) + ((t->add * all (a)) >> 8);
}

static inline guint32
over (guint32 below, Lanes p, guint a, const Tint *t)
{
  if (t->alpha < 256) {
    p = (p * all (t->alpha)) >> 8;
    a = a * t->alpha >> 8;
  }
  p[ALPHA] = (guint16)(a * (t->wet >> 24) >> 8);
  return gather (p + ((spread (below, 0) * all (256 - a - (a >> 7))) >> 8));
}

static void
run_plain (guint32 *to, gint n, guint32 colour, const Tint *t)
{
  Lanes p = tinted (spread (colour, 0), t);

  if (t->alpha >= 256) {
    guint32 pixel = (gather (p) & 0x00FFFFFFu) | t->wet;

    for (gint i = 0; i < n; i++)
      to[i] = pixel;
    return;
  }
  for (gint i = 0; i < n; i++)
    to[i] = over (to[i], p, 255, t);
}

/* Where a run is in a texture, in pixels of one of its levels, 16.16. */
typedef struct {
  const guint32 *level;
  gint w, h;
  gboolean wrap,
      fine; /* fine: at least as fine as the picture, so that the nearest pixel will do */
  gint u, v, du, dv;
} Walk;

static inline Lanes
texel (const Walk *k)
{
  gint u = k->fine ? k->u + 0x8000 : k->u, v = k->fine ? k->v + 0x8000 : k->v;
  gint x0 = u >> 16, y0 = v >> 16, x1 = x0 + 1, y1 = y0 + 1;
  guint fx = (k->u >> 8) & 255, fy = (k->v >> 8) & 255;
  Lanes both;

  if (k->wrap) {
    x0 &= k->w - 1, x1 &= k->w - 1, y0 &= k->h - 1, y1 &= k->h - 1;
  } else {
    x0 = CLAMP (x0, 0, k->w - 1), x1 = CLAMP (x1, 0, k->w - 1);
    y0 = CLAMP (y0, 0, k->h - 1), y1 = CLAMP (y1, 0, k->h - 1);
  }
  if (k->fine)
    return spread (k->level[y0 * k->w + x0], 0);
  both = (spread (k->level[y0 * k->w + x0], k->level[y0 * k->w + x1]) * all (256 - fy) +
          spread (k->level[y1 * k->w + x0], k->level[y1 * k->w + x1]) * all (fy)) >>
         8;
  both *= __builtin_shufflevector (all (256 - fx), all (fx), 0, 1, 2, 3, 8, 9, 10, 11);
  return (both + __builtin_shufflevector (both, both, 4, 5, 6, 7, 0, 1, 2, 3)) >> 8;
}

static void
run_texture (guint32 *to, gint n, gboolean opaque, Walk walk, const Tint *t)
{
  if (opaque && t->alpha >= 256) {
    for (gint i = 0; i < n; i++, walk.u += walk.du, walk.v += walk.dv)
      to[i] = (gather (tinted (texel (&walk), t)) & 0x00FFFFFFu) | t->wet;
    return;
  }
  for (gint i = 0; i < n; i++, walk.u += walk.du, walk.v += walk.dv) {
    Lanes p = texel (&walk);
    guint a = p[ALPHA];

    if (a != 0)
      to[i] = over (to[i], tinted_part (p, a, t), a, t);
  }
}

/* The level at which @size pixels a step of the picture become about one. */
static guint
level_of (gfloat size)
{
  guint level = 0;

  while (size > 1.5f && level < CG_TEXTURE_LEVELS - 1) {
    size *= 0.5f;
    level++;
  }
  return level;
}

static void
set_tint (Tint *t, const CgCanvas *canvas, const CgMaterial *m, gfloat z)
{
  gfloat d = m->haze * z;
  gfloat clear = 1.0f / (1.0f + d + 0.5f * d * d);

  for (guint c = 0; c < 3; c++) {
    static const guint lane[3] = { RED, GREEN, BLUE };

    t->scale[lane[c]] = (guint16)(256.0f * m->light[c] * clear);
    t->add[lane[c]] = (guint16)(canvas->haze_colour[c] * (1.0f - clear));
  }
}

/* Into 16.16 that cannot overflow; a texture that repeats may be very far along. */
static gint
fixed (gfloat value, gint size, gboolean wrap)
{
  if (wrap)
    value -= floorf (value);
  return (gint)(CLAMP (value * size - 0.5f, -8.0f, (gfloat)size + 8.0f) * 65536.0f);
}

static void
fill_row (CgCanvas *canvas, gint y, gint x, gint end, const Planes *p, const CgMaterial *m)
{
  guint32 *row = canvas->pixels + (gsize)y * canvas->width;
  const CgTexture *texture = m->texture;
  Tint tint = { .alpha = (guint)(m->alpha * 256.0f), .wet = m->wet << 24 };
  gfloat fy = (gfloat)y + 0.5f, fx = (gfloat)x + 0.5f;
  gfloat depth = p->depth.at + p->depth.dx * fx + p->depth.dy * fy;
  gfloat u = p->u.at + p->u.dx * fx + p->u.dy * fy, v = p->v.at + p->v.dx * fx + p->v.dy * fy;
  gfloat z = 1.0f / MAX (depth, 1e-5f);

  while (x < end) {
    gint n = MIN (CHUNK, end - x);
    gfloat z_next, u_now, v_now, du, dv, duy, dvy;
    guint i, j;
    Walk walk;

    set_tint (&tint, canvas, m, z);
    if (texture == NULL) {
      run_plain (row + x, n, m->colour, &tint);
      depth += p->depth.dx * n;
      z = 1.0f / MAX (depth, 1e-5f);
      x += n;
      continue;
    }
    u_now = u * z;
    v_now = v * z;
    depth += p->depth.dx * n;
    u += p->u.dx * n;
    v += p->v.dx * n;
    z_next = 1.0f / MAX (depth, 1e-5f);
    du = (u * z_next - u_now) / n;
    dv = (v * z_next - v_now) / n;
    duy = (p->u.dy - u_now * p->depth.dy) * z;
    dvy = (p->v.dy - v_now * p->depth.dy) * z;
    i = level_of (MAX (fabsf (du), fabsf (duy)) * texture->width);
    j = level_of (MAX (fabsf (dv), fabsf (dvy)) * texture->height);
    walk = (Walk){ .level = texture->level[i][j],
                   .w = MAX (1, (gint)(texture->width >> i)),
                   .h = MAX (1, (gint)(texture->height >> j)),
                   .wrap = texture->wrap,
                   .fine = i > 0 && j > 0 };
    walk.u = fixed (u_now, walk.w, texture->wrap);
    walk.v = fixed (v_now, walk.h, texture->wrap);
    walk.du = (gint)(CLAMP (du * (gfloat)walk.w, -64.0f, 64.0f) * 65536.0f);
    walk.dv = (gint)(CLAMP (dv * (gfloat)walk.h, -64.0f, 64.0f) * 65536.0f);
    run_texture (row + x, n, texture->opaque, walk, &tint);
    z = z_next;
    x += n;
  }
}

/* ---- polygons ---- */

static guint
clip_near (CgVertex *to, const CgVertex *from, guint n)
{
  guint count = 0;

  for (guint i = 0; i < n; i++) {
    const CgVertex *a = &from[i], *b = &from[(i + 1) % n];

    if (a->z >= NEAR)
      to[count++] = *a;
    if ((a->z >= NEAR) != (b->z >= NEAR)) {
      gfloat f = (NEAR - a->z) / (b->z - a->z);

      to[count++] = (CgVertex){ a->x + (b->x - a->x) * f, a->y + (b->y - a->y) * f, NEAR,
                                a->u + (b->u - a->u) * f, a->v + (b->v - a->v) * f };
    }
  }
  return count;
}

/* Three values at three points of the picture. */
static Plane
plane_through (const gfloat *x, const gfloat *y, const gfloat *value, gfloat area)
{
  gfloat a = value[1] - value[0], b = value[2] - value[0];
  Plane p;

  p.dx = (a * (y[2] - y[0]) - b * (y[1] - y[0])) / area;
  p.dy = (b * (x[1] - x[0]) - a * (x[2] - x[0])) / area;
  p.at = value[0] - p.dx * x[0] - p.dy * y[0];
  return p;
}

/* From the three corners that span most. FALSE if the polygon is seen edge on. */
static gboolean
find_planes (Planes *planes, const CgVertex *v, const gfloat *x, const gfloat *y, guint n)
{
  gfloat best = 0.0f;
  guint chosen = 0;
  gfloat px[3], py[3], depth[3], u[3], w[3];

  for (guint i = 1; i + 1 < n; i++) {
    gfloat area = (x[i] - x[0]) * (y[i + 1] - y[0]) - (x[i + 1] - x[0]) * (y[i] - y[0]);

    if (fabsf (area) > fabsf (best)) {
      best = area;
      chosen = i;
    }
  }
  if (fabsf (best) < 1e-3f)
    return FALSE;
  for (guint k = 0; k < 3; k++) {
    guint i = k == 0 ? 0 : chosen + k - 1;

    px[k] = x[i];
    py[k] = y[i];
    depth[k] = 1.0f / v[i].z;
    u[k] = v[i].u * depth[k];
    w[k] = v[i].v * depth[k];
  }
  planes->depth = plane_through (px, py, depth, best);
  planes->u = plane_through (px, py, u, best);
  planes->v = plane_through (px, py, w, best);
  return TRUE;
}

static void
mark_edge (CgCanvas *canvas, gfloat x0, gfloat y0, gfloat x1, gfloat y1)
{
  gint from, to;
  gfloat slope, x;

  if (y0 > y1) {
    gfloat t = y0;

    y0 = y1, y1 = t;
    t = x0, x0 = x1, x1 = t;
  }
  if (y1 <= 0.0f || y0 >= (gfloat)canvas->height)
    return;
  from = (gint)ceilf (MAX (y0, 0.0f) - 0.5f);
  to = (gint)ceilf (MIN (y1, (gfloat)canvas->height) - 0.5f);
  if (from >= to)
    return;
  slope = (x1 - x0) / (y1 - y0);
  x = x0 + ((gfloat)from + 0.5f - y0) * slope;
  for (gint y = from; y < to; y++, x += slope) {
    canvas->left[y] = MIN (canvas->left[y], x);
    canvas->right[y] = MAX (canvas->right[y], x);
  }
}

static void
fill (CgCanvas *canvas, const gfloat *x, const gfloat *y, guint n, const Planes *planes,
      const CgMaterial *material)
{
  gfloat top = y[0], bottom = y[0], limit = (gfloat)canvas->width;
  gint from, to;

  for (guint i = 1; i < n; i++) {
    top = MIN (top, y[i]);
    bottom = MAX (bottom, y[i]);
  }
  if (bottom <= 0.0f || top >= (gfloat)canvas->height)
    return;
  from = (gint)MAX (0.0f, top);
  to = (gint)MIN ((gfloat)canvas->height, ceilf (bottom));
  for (gint row = from; row < to; row++) {
    canvas->left[row] = 1e9f;
    canvas->right[row] = -1e9f;
  }
  for (guint i = 0; i < n; i++)
    mark_edge (canvas, x[i], y[i], x[(i + 1) % n], y[(i + 1) % n]);
  for (gint row = from; row < to; row++) {
    gfloat a = canvas->left[row], b = canvas->right[row];
    gint start, end;

    if (b <= 0.0f || a >= limit)
      continue;
    start = (gint)ceilf (MAX (a, 0.0f) - 0.5f);
    end = (gint)ceilf (MIN (b, limit) - 0.5f);
    if (start < end)
      fill_row (canvas, row, start, end, planes, material);
  }
}

void
cg_canvas_polygon (CgCanvas *canvas, const CgVertex *corners, guint n, const CgMaterial *material)
{
  CgVertex v[CG_POLYGON_MAX];
  gfloat x[CG_POLYGON_MAX], y[CG_POLYGON_MAX];
  Planes planes;

  n = clip_near (v, corners, n);
  if (n < 3)
    return;
  for (guint i = 0; i < n; i++)
    cg_canvas_project (canvas, &v[i], &x[i], &y[i]);
  if (find_planes (&planes, v, x, y, n))
    fill (canvas, x, y, n, &planes, material);
}

void
cg_canvas_line (CgCanvas *canvas, const CgVertex *a, const CgVertex *b, gfloat width,
                const CgMaterial *material)
{
  CgVertex ends[2] = { *a, *b };
  CgMaterial m = *material;
  gfloat x[4], y[4], z = 0.5f * (a->z + b->z), dx, dy, length, half;
  Planes planes = { .depth = { 0 } };

  if (a->z < NEAR && b->z < NEAR)
    return;
  for (guint i = 0; i < 2; i++) {
    CgVertex *p = &ends[i];
    const CgVertex *q = &ends[1 - i];

    if (p->z < NEAR) {
      gfloat f = (NEAR - p->z) / (q->z - p->z);

      p->x += (q->x - p->x) * f;
      p->y += (q->y - p->y) * f;
      p->z = NEAR;
    }
  }
  z = MAX (z, NEAR);
  cg_canvas_project (canvas, &ends[0], &x[0], &y[0]);
  cg_canvas_project (canvas, &ends[1], &x[2], &y[2]);
  dx = x[2] - x[0];
  dy = y[2] - y[0];
  length = sqrtf (dx * dx + dy * dy);
  if (length < 1e-3f)
    return;
  half = 0.5f * width * canvas->focal_y / z;
  if (half < 0.5f) {
    m.alpha *= half * 2.0f;
    half = 0.5f;
  }
  if (m.alpha < 0.02f)
    return;
  dx *= half / length;
  dy *= half / length;
  x[1] = x[0] + dy, y[1] = y[0] - dx;
  x[3] = x[2] - dy, y[3] = y[2] + dx;
  x[0] -= dy, y[0] += dx;
  x[2] += dy, y[2] -= dx;
  planes.depth.at = 1.0f / z;
  m.texture = NULL;
  fill (canvas, x, y, 4, &planes, &m);
}

gboolean
cg_canvas_project (const CgCanvas *canvas, const CgVertex *p, gfloat *x, gfloat *y)
{
  gfloat depth;

  *x = *y = 0.0f;
  if (p->z < NEAR * 0.99f)
    return FALSE;
  depth = 1.0f / p->z;
  *x = canvas->cx + canvas->focal_x * p->x * depth;
  *y = canvas->cy - canvas->focal_y * p->y * depth;
  return TRUE;
}

/* ---- memory ---- */

gboolean
cg_canvas_resize (CgCanvas *canvas, gint width, gint height)
{
  if (canvas->width == width && canvas->height == height)
    return TRUE;
  cg_canvas_clear (canvas);
  canvas->pixels = g_try_new (guint32, (gsize)width * height);
  if (canvas->pixels == NULL)
    return FALSE;
  canvas->width = width;
  canvas->height = height;
  canvas->left = g_new (gfloat, height);
  canvas->right = g_new (gfloat, height);
  return TRUE;
}

void
cg_canvas_clear (CgCanvas *canvas)
{
  g_clear_pointer (&canvas->pixels, g_free);
  g_clear_pointer (&canvas->left, g_free);
  g_clear_pointer (&canvas->right, g_free);
  canvas->width = canvas->height = 0;
}
