/* Sky and horizon. Clouds are a noise on a flat ceiling above the camera; hills and towers stand at an
 * infinite distance.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "scene.h"

#include "../chance.h"

#include <math.h>
#include <string.h>

#define CLOUD_SIZE 256 /* power of two */
#define CELL 8         /* pixels */
#define COLUMNS 72     /* of hills around the view */
#define HILL_KEY 7000

/* ---- clouds ---- */

static gfloat
lattice (guint octave, gint x, gint y, gint size)
{
  x &= size - 1;
  y &= size - 1;
  return (gfloat)cg_unit (octave, (guint64)y * (guint64)size + (guint64)x);
}

static gpointer
make_clouds (gpointer unused)
{
  gfloat *cloud = g_new0 (gfloat, CLOUD_SIZE * CLOUD_SIZE);
  gfloat weight = 0.5f;

  for (guint octave = 0; octave < 5; octave++, weight *= 0.5f) {
    gint size = 4 << octave, step = CLOUD_SIZE / size;

    for (gint y = 0; y < CLOUD_SIZE; y++) {
      for (gint x = 0; x < CLOUD_SIZE; x++) {
        gint i = x / step, j = y / step;
        gfloat fx = (gfloat)(x % step) / (gfloat)step, fy = (gfloat)(y % step) / (gfloat)step;
        gfloat a, b;

        fx = fx * fx * (3.0f - 2.0f * fx);
        fy = fy * fy * (3.0f - 2.0f * fy);
        a = lattice (octave, i, j, size) * (1.0f - fx) + lattice (octave, i + 1, j, size) * fx;
        b = lattice (octave, i, j + 1, size) * (1.0f - fx) +
            lattice (octave, i + 1, j + 1, size) * fx;
        cloud[y * CLOUD_SIZE + x] += weight * (a * (1.0f - fy) + b * fy);
      }
    }
  }
  return cloud;
}

static gfloat
cloud_at (const gfloat *cloud, gfloat u, gfloat v)
{
  gint x = (gint)floorf (u), y = (gint)floorf (v);
  gfloat fx = u - (gfloat)x, fy = v - (gfloat)y;
  gint x0 = x & (CLOUD_SIZE - 1), x1 = (x + 1) & (CLOUD_SIZE - 1);
  const gfloat *a = cloud + (y & (CLOUD_SIZE - 1)) * CLOUD_SIZE;
  const gfloat *b = cloud + ((y + 1) & (CLOUD_SIZE - 1)) * CLOUD_SIZE;
  gfloat top = a[x0] + (a[x1] - a[x0]) * fx, bottom = b[x0] + (b[x1] - b[x0]) * fx;

  return top + (bottom - top) * fy;
}

/* ---- the dome ---- */

typedef struct {
  const gfloat *cloud;
  gfloat cover, softness, bright[3], dark[3], drift[2];
  gfloat sun[3], glow[3];
  gfloat sun_disc;
} Dome;

static void
prepare (Dome *self, const CgScene *scene)
{
  static GOnce once = G_ONCE_INIT;
  const CgDrive *drive = scene->drive;

  self->cloud = g_once (&once, make_clouds, NULL);
  self->cover = (gfloat)(0.66 - 0.42 * drive->cloud);
  self->softness = (gfloat)(0.10 + 0.22 * drive->cloud);
  for (guint c = 0; c < 3; c++) {
    gfloat light = drive->sky_light[c] * 1.15f + drive->sun_light[c] * 0.85f;

    self->bright[c] = MIN (250.0f, 250.0f * light);
    self->dark[c] = self->bright[c] * (gfloat)(0.80 - 0.14 * drive->cloud);
    self->sun[c] = (gfloat)drive->sun[c];
    self->glow[c] = 420.0f * drive->sun_light[c];
  }
  self->sun_disc = drive->cloud < 0.7 && drive->sun_elevation > -1.0 ? 1.0f : 0.0f;
  self->drift[0] =
      (gfloat)fmod (scene->pose.time * 0.25 + 256.0 * cg_unit (drive->key, 7100), 256.0);
  self->drift[1] = (gfloat)(256.0 * cg_unit (drive->key, 7101));
}

static guint32
colour_at (const Dome *self, const CgDrive *drive, const gfloat ray[3])
{
  gfloat length = 1.0f / sqrtf (ray[0] * ray[0] + ray[1] * ray[1] + ray[2] * ray[2]);
  gfloat up = MAX (ray[1] * length, 0.0f), f = sqrtf (up), cover, shine, rgb[3];
  gfloat toward = (ray[0] * self->sun[0] + ray[1] * self->sun[1] + ray[2] * self->sun[2]) * length;

  if (ray[1] * length < -0.05f)
    return (guint32)drive->horizon[0] << 16 | (guint32)drive->horizon[1] << 8 |
           (guint32)drive->horizon[2];
  f = MIN (1.0f, f * 1.25f);
  cover = 0.0f;
  shine = 1.0f;
  if (up > 0.015f) {
    gfloat scale = 26.0f / (up + 0.08f) * length;
    gfloat d =
        cloud_at (self->cloud, ray[0] * scale + self->drift[0], ray[2] * scale + self->drift[1]);

    cover = CLAMP ((d - self->cover) / self->softness, 0.0f, 1.0f) * MIN (1.0f, up * 9.0f);
    shine = CLAMP (1.25f - (d - self->cover) * 1.6f, 0.0f, 1.0f);
  }
  toward = MAX (toward, 0.0f);
  toward *= toward;
  toward *= toward;
  toward *= toward; /* eighth power: a wide glow */
  for (guint c = 0; c < 3; c++) {
    gfloat sky = drive->horizon[c] + (drive->zenith[c] - drive->horizon[c]) * f;
    gfloat cloud = self->dark[c] + (self->bright[c] - self->dark[c]) * shine;
    gfloat glow = toward * 0.22f;

    if (self->sun_disc > 0.0f) {
      gfloat t = toward * toward;

      t *= t;
      t *= t;
      t *= t;
      glow += t * t * 1.5f * (1.0f - 0.8f * cover);
    }
    rgb[c] = sky + (cloud - sky) * cover * 0.92f + self->glow[c] * glow;
    rgb[c] = MIN (rgb[c], 255.0f);
  }
  return (guint32)rgb[0] << 16 | (guint32)rgb[1] << 8 | (guint32)rgb[2];
}

static guint32
colour_of_pixel (const Dome *dome, const CgScene *scene, gint x, gint y)
{
  const CgCanvas *canvas = scene->canvas;
  const gdouble (*t)[3] = scene->view.turn;
  gfloat px = ((gfloat)x - canvas->cx) / canvas->focal_x,
         py = (canvas->cy - (gfloat)y) / canvas->focal_y;
  gfloat ray[3];

  for (guint i = 0; i < 3; i++)
    ray[i] = px * (gfloat)t[0][i] + py * (gfloat)t[1][i] + (gfloat)t[2][i];
  return colour_at (dome, scene->drive, ray);
}

/* The sky has no edges: every second row is drawn, and of that one pixel in CELL. */
static void
draw_dome (CgScene *scene)
{
  CgCanvas *canvas = scene->canvas;
  Dome dome;

  prepare (&dome, scene);
  for (gint y = 0; y < canvas->height; y += 2) {
    guint32 *row = canvas->pixels + (gsize)y * canvas->width;
    guint32 right = colour_of_pixel (&dome, scene, 0, y);

    for (gint x = 0; x < canvas->width; x += CELL) {
      guint32 left = right;
      gint n = MIN (CELL, canvas->width - x);

      right = colour_of_pixel (&dome, scene, x + CELL, y);
      for (gint i = 0; i < n; i++)
        row[x + i] = cg_colour_between (left, right, (guint)(i * 256 / CELL));
    }
    if (y + 1 < canvas->height)
      memcpy (row + canvas->width, row, sizeof *row * (gsize)canvas->width);
  }
}

/* ---- the horizon ---- */

static gdouble
wave (gdouble a, guint64 key)
{
  gdouble sum = 0.0, weight = 0.5;

  for (guint i = 0; i < 4; i++, weight *= 0.55)
    sum += weight * sin (a * (3.0 + 4.3 * i * i) + 6.28 * cg_unit (key, i));
  return sum;
}

/* Height of the hills in the direction @a, 0..1 of the city's. */
static gdouble
hill_height (const CgCity *city, gdouble a, guint64 key)
{
  gdouble w = wave (a, key);

  switch (city->hills_shape) {
  case CG_HILLS_FLAT:
    return 0.15 + 0.1 * w;
  case CG_HILLS_ROLLING:
    return 0.55 + 0.4 * w;
  case CG_HILLS_PEAKS:
    return CLAMP (0.55 + 0.30 * w + 0.28 * fabs (sin (a * 9.0 + w * 2.0)) +
                      0.1 * fabs (sin (a * 23.0)),
                  0.1, 1.1);
  case CG_HILLS_TABLE:
    return 0.3 + 0.7 / (1.0 + exp (-14.0 * (sin (a * 2.0 + 6.28 * cg_unit (key, 9)) - 0.35))) +
           0.03 * w;
  case CG_HILLS_DOMES:
    return 0.25 +
           0.75 * pow (fabs (sin (a * 4.5 + 6.28 * cg_unit (key, 9))), 2.2) * (0.7 + 0.3 * w) +
           0.08 * w;
  }
  return 0.0;
}

static CgMaterial
far_material (const CgScene *scene, guint32 colour, gdouble veil)
{
  CgMaterial m = cg_scene_material (scene, NULL, 0, -0.3, 0.4, -0.6);
  guint32 out = 0;

  for (guint c = 0; c < 3; c++) {
    gdouble own = (colour >> (16 - 8 * c) & 255) * m.light[c];

    out = out << 8 | (guint32)MIN (255.0, own + (scene->drive->horizon[c] - own) * veil);
  }
  m.colour = out;
  m.light[0] = m.light[1] = m.light[2] = 1.0f;
  m.haze = 0.0f;
  return m;
}

static void
draw_hills (CgScene *scene)
{
  const CgCity *city = scene->drive->city;
  guint64 key = cg_hash (cg_hash_string (city->label), HILL_KEY);
  gdouble turned = scene->drive->heading;

  if (scene->drive->weather == CG_WEATHER_FOG)
    return;
  for (guint layer = 0; layer < 2; layer++) {
    gdouble veil = MIN (0.96, (layer == 0 ? 0.50 : 0.30) + scene->drive->haze * 40.0);
    gdouble high = city->hills * (layer == 0 ? 1.0 : 0.55) * G_PI / 180.0;
    guint32 colour = city->hills_colour;
    CgMaterial m;

    if (city->hills_shape == CG_HILLS_PEAKS && layer == 0)
      colour = cg_colour_mix (colour, 0xF0F4F8,
                              CLAMP ((12.0 - scene->drive->temperature) / 16.0, 0.0, 0.8));
    if (scene->drive->snow > 0.4)
      colour = cg_colour_mix (colour, 0xE8ECF0, 0.7);
    m = far_material (scene, colour, veil);
    for (guint i = 0; i < COLUMNS; i++) {
      gdouble a0 = -1.5 + 3.0 * i / COLUMNS, a1 = -1.5 + 3.0 * (i + 1) / COLUMNS;
      gdouble h0 = high * hill_height (city, a0 + turned, key + layer);
      gdouble h1 = high * hill_height (city, a1 + turned, key + layer);
      CgVertex v[4] = { cg_view_direction (&scene->view, sin (a0), -0.06, cos (a0)),
                        cg_view_direction (&scene->view, sin (a1), -0.06, cos (a1)),
                        cg_view_direction (&scene->view, sin (a1), h1, cos (a1)),
                        cg_view_direction (&scene->view, sin (a0), h0, cos (a0)) };

      cg_canvas_polygon (scene->canvas, v, 4, &m);
    }
  }
}

static void
paint_tower (CgArt *art, cairo_t *cr, guint width, guint height, gconstpointer data)
{
  const CgDrive *drive = data;

  cg_paint_colour (cr, 0x788088, drive->night ? 0.18 : 1.0, 1.0);
  cairo_paint (cr);
  for (guint y = 1; y < height; y += 3)
    for (guint x = 1; x < width; x += 3) {
      gboolean lit = drive->night && cg_chance (y, x, 0.3);

      cg_paint_colour (cr, lit ? 0xFFDFA0 : 0x4C5864, lit ? 0.8 : drive->night ? 0.15 : 1.0, 1.0);
      cg_paint_box (cr, x, y, 2, 2);
    }
}

static void
draw_towers (CgScene *scene)
{
  const CgDrive *drive = scene->drive;
  guint64 key = cg_hash (cg_hash_string (drive->city->label), HILL_KEY + 1);
  const CgTexture *texture =
      cg_art_get (scene->art, cg_hash (key, drive->night), 64, 128, FALSE, paint_tower, drive);
  gdouble veil = MIN (0.97, 0.45 + drive->haze * 90.0);
  CgMaterial m = cg_scene_material (scene, texture, 0, -0.4, 0.2, -0.6);

  if (drive->weather == CG_WEATHER_FOG)
    return;
  if (drive->night)
    m.light[0] = m.light[1] = m.light[2] = 1.0f;
  /* The veil of distance, by way of the haze: 1 / (1 + d + d²/2) = 1 - veil at FAR_AWAY. */
  m.haze = (gfloat)((sqrt (2.0 / (1.0 - veil) - 1.0) - 1.0) / 10000.0);
  for (gint i = -40; i < 40; i++) {
    /* Slots of 2° around the compass, the same for every drive of the city. */
    gint slot = i - (gint)floor (drive->heading * 28.6);
    guint64 chance = cg_hash (key, (guint64)slot);
    gdouble a = (i + drive->heading * 28.6 - floor (drive->heading * 28.6)) / 28.6;
    gdouble cluster = 0.5 + 0.5 * sin (slot * 0.19 + 6.28 * cg_unit (key, 3));
    gdouble high = drive->city->skyline * (0.03 + 0.16 * cluster * cg_unit (chance, 1));
    gdouble half = cg_range (chance, 2, 0.008, 0.022);
    CgVertex v[4];

    if (!cg_chance (chance, 3, drive->city->skyline))
      continue;
    v[0] = cg_view_direction (&scene->view, sin (a - half), -0.03, cos (a - half));
    v[1] = cg_view_direction (&scene->view, sin (a + half), -0.03, cos (a + half));
    v[2] = cg_view_direction (&scene->view, sin (a + half), high, cos (a + half));
    v[3] = cg_view_direction (&scene->view, sin (a - half), high, cos (a - half));
    v[1].u = v[2].u = 1.0f;
    v[0].v = v[1].v = 1.0f;
    cg_canvas_polygon (scene->canvas, v, 4, &m);
  }
}

void
cg_sky_draw (CgScene *scene)
{
  draw_dome (scene);
  draw_hills (scene);
  draw_towers (scene);
}
