/* The ground: road, lines, kerbs, pavements, and what lies beyond them.
 *
 * The street's own ground is drawn station by station among everything else, so that the crest of a
 * hill hides what is behind it.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "scene.h"

#include "../chance.h"
#include "../steps.h"

#include <math.h>

#define KERB_HEIGHT 0.13
#define TILE 6.0 /* metres of one copy of a ground texture */
#define FAR_WIDTH 90.0
#define GARDEN 14.0 /* metres beyond the pavement that are drawn in detail */
#define DASH_PERIOD 9.0
#define ZEBRA 3.2 /* depth of a pedestrian crossing */

enum { ART_ROAD = 100, ART_PAVING, ART_FAR, ART_KERB };

/* ---- pictures ---- */

/* On roads wheels have cleared two tracks for each lane of about three metres. */
static void
paint_snow (cairo_t *cr, const CgDrive *drive, guint width, guint height, gdouble amount,
            gboolean tracks)
{
  gdouble cover = drive->snow * amount;

  if (cover < 0.03)
    return;
  if (!tracks) {
    cg_paint_colour (cr, 0xEEF1F5, 1.0, 0.95 * cover);
    cairo_paint (cr);
    return;
  }
  for (guint x = 0; x < width; x += 2) {
    gdouble wheel = 0.5 + 0.5 * cos (8.0 * G_PI * x / width);

    cg_paint_colour (cr, 0xE6E9EE, 1.0, cover * (0.35 + 1.3 * wheel * wheel));
    cg_paint_box (cr, x, 0, 2, height);
  }
}

static void
paint_setts (cairo_t *cr, guint width, guint height, guint64 key, guint32 colour)
{
  gdouble w = width / 32.0, h = height / 40.0;

  for (guint j = 0; j < 40; j++)
    for (guint i = 0; i < 33; i++) {
      cg_paint_colour (cr, colour, cg_range (key, j * 64 + i, 0.75, 1.15), 1.0);
      cg_paint_box (cr, (i - (j & 1) * 0.5) * w, j * h, w - 1.2, h - 1.2);
    }
}

static void
paint_road (CgArt *art, cairo_t *cr, guint width, guint height, gconstpointer data)
{
  const CgDrive *drive = data;
  guint64 key = cg_hash (drive->key, ART_ROAD);
  gint level = (gint)cg_range (key, 0, 78, 122);
  guint32 colour = (guint32)(level << 16 | level << 8 | (level + 4));

  if (drive->wetness > 0.3)
    colour = cg_colour_mix (colour, 0x2C2E33, 0.5 * drive->wetness);
  cg_paint_colour (cr, colour, drive->city->surface == CG_SURFACE_SETTS ? 0.7 : 1.0, 1.0);
  cairo_paint (cr);
  if (drive->city->surface == CG_SURFACE_SETTS) {
    paint_setts (cr, width, height, key, colour);
  } else {
    for (guint i = 0; i < 5; i++) { /* patches and joints of tar */
      if (cg_chance (key, 10 + i, 0.5)) {
        cg_paint_colour (cr, colour, cg_range (key, 20 + i, 0.75, 1.1), 0.6);
        cg_paint_box (cr, cg_range (key, 30 + i, 0, width), cg_range (key, 40 + i, 0, height),
                      cg_range (key, 50 + i, 20, 70), cg_range (key, 60 + i, 20, 90));
      }
      cg_paint_colour (cr, 0x303032, 1.0, 0.5);
      cairo_set_line_width (cr, 1.2);
      cairo_move_to (cr, cg_range (key, 70 + i, 0, width), 0);
      cairo_curve_to (cr, cg_range (key, 80 + i, 0, width), height * 0.3,
                      cg_range (key, 90 + i, 0, width), height * 0.6,
                      cg_range (key, 70 + i, 0, width), height);
      if (cg_chance (key, 95 + i, 0.4))
        cairo_stroke (cr);
      cairo_new_path (cr);
    }
  }
  paint_snow (cr, drive, width, height, 0.45, TRUE);
  cg_paint_grain (cr, key, 0.30);
}

/* The waves of black and white stones of Lisbon and Rio. */
static void
paint_mosaic (cairo_t *cr, guint width, guint height)
{
  cg_paint_colour (cr, 0x3A3A3E, 1.0, 1.0);
  for (guint band = 0; band < 4; band++) {
    gdouble y = band * height / 4.0, step = height / 8.0;

    cairo_move_to (cr, 0, y);
    for (guint x = 0; x <= width; x += 4)
      cairo_line_to (cr, x, y + step * 0.7 * sin (2 * G_PI * x * 2.0 / width));
    for (gint x = (gint)width; x >= 0; x -= 4)
      cairo_line_to (cr, x, y + step + step * 0.7 * sin (2 * G_PI * x * 2.0 / width));
    cairo_fill (cr);
  }
}

static void
paint_paving (CgArt *art, cairo_t *cr, guint width, guint height, gconstpointer data)
{
  const CgDrive *drive = data;
  const CgCity *city = drive->city;
  guint64 key = cg_hash (drive->key, ART_PAVING);
  guint cells = city->paving == CG_PAVING_SLABS ? 10 : 4;

  cg_paint_colour (cr, city->paving_colour, drive->wetness > 0.3 ? 0.7 : 1.0, 1.0);
  cairo_paint (cr);
  if (city->paving == CG_PAVING_MOSAIC)
    paint_mosaic (cr, width, height);
  if (city->paving == CG_PAVING_SLABS || city->paving == CG_PAVING_CONCRETE) {
    gdouble w = (gdouble)width / cells, h = (gdouble)height / cells;

    for (guint j = 0; j < cells; j++)
      for (guint i = 0; i < cells; i++) {
        cg_paint_colour (
            cr, city->paving_colour,
            cg_range (key, j * 32 + i, 0.88, 1.08) * (drive->wetness > 0.3 ? 0.7 : 1.0), 1.0);
        cg_paint_box (cr, i * w, j * h, w - 1, h - 1);
      }
  }
  paint_snow (cr, drive, width, height, 0.85, FALSE);
  cg_paint_grain (cr, key, city->paving == CG_PAVING_EARTH ? 0.35 : 0.16);
}

static void
paint_far (CgArt *art, cairo_t *cr, guint width, guint height, gconstpointer data)
{
  const CgDrive *drive = data;
  const CgCity *city = drive->city;
  guint64 key = cg_hash (drive->key, ART_FAR);
  /* In winter grass turns pale where it freezes. */
  guint32 grass =
      cg_colour_mix (city->grass, 0x8C8A64, CLAMP ((6.0 - drive->temperature) / 14.0, 0.0, 0.7));

  cg_paint_colour (cr, grass, 1.0, 1.0);
  cairo_paint (cr);
  for (guint i = 0; i < 90; i++) {
    cg_paint_colour (cr, city->soil, 1.0, 0.5);
    cairo_arc (cr, cg_range (key, 3 * i, 0, width), cg_range (key, 3 * i + 1, 0, height),
               cg_range (key, 3 * i + 2, 2, 14), 0, 2 * G_PI);
    cairo_fill (cr);
  }
  paint_snow (cr, drive, width, height, 1.0, FALSE);
  cg_paint_grain (cr, key, 0.3);
}

static void
paint_kerb (CgArt *art, cairo_t *cr, guint width, guint height, gconstpointer data)
{
  const CgDrive *drive = data;
  const CgCountry *country = drive->city->country;

  for (guint i = 0; i < 4; i++) { /* stones of a metre */
    guint32 colour = country->kerb_colours[country->kerb == CG_KERB_PAINTED ? i % 2 : 0];

    cg_paint_colour (cr, cg_colour_mix (colour, 0xEEF0F4, 0.5 * drive->snow), 0.92 + 0.04 * i, 1.0);
    cg_paint_box (cr, i * width / 4.0, 0, width / 4.0 - 0.7, height);
  }
}

static const CgTexture *
ground_texture (const CgScene *scene, guint which, CgPaint paint)
{
  guint size = 256 * MIN (scene->detail, 2);

  return cg_art_get (scene->art, cg_hash (scene->drive->key, which * 8 + scene->detail), size, size,
                     TRUE, paint, scene->drive);
}

/* ---- beyond ---- */

void
cg_ground_draw_far (CgScene *scene)
{
  const CgDrive *drive = scene->drive;
  const CgTexture *texture = ground_texture (scene, ART_FAR, paint_far);
  CgMaterial near = cg_scene_material (scene, texture, 0, 0, 1, 0);
  /* Behind the first houses the mean colour will do. */
  CgMaterial far = cg_scene_material (
      scene, NULL, *texture->level[CG_TEXTURE_LEVELS - 1][CG_TEXTURE_LEVELS - 1] & 0xFFFFFF, 0, 1,
      0);
  gdouble s = scene->pose.s;

  for (gint i = 15; i >= -1; i--) {
    gdouble s0 = s + 16.0 * i, s1 = MIN (s0 + 16.0, s + CG_SIGHT);

    for (gint side = -1; side <= 1; side += 2) {
      gdouble a = side * (drive->line - 0.1), b = side * (drive->line + GARDEN),
              c = side * (drive->line + FAR_WIDTH);

      cg_view_flat (&scene->view, s0, s1, MIN (b, c), MAX (b, c), 0.05, TILE, &far);
      cg_view_flat (&scene->view, s0, s1, MIN (a, b), MAX (a, b), 0.05, TILE, &near);
    }
  }
}

/* ---- lines ---- */

typedef struct {
  const CgScene *scene;
  gdouble s0, s1; /* of this station */
} Strip;

/* The part of a mark from @from to @to that lies in the station. */
static void
mark (const Strip *strip, gdouble from, gdouble to, gdouble x, gdouble width, guint32 colour)
{
  CgMaterial m;

  from = MAX (from, strip->s0);
  to = MIN (to, strip->s1);
  if (from >= to)
    return;
  m = cg_scene_material (strip->scene, NULL, colour, 0, 1, 0);
  m.wet = (guint)(90 * strip->scene->drive->wetness);
  m.alpha = (gfloat)(0.92 * (1.0 - 0.75 * strip->scene->drive->snow));
  if (width > 0.5) {
    cg_view_flat (&strip->scene->view, from, to, x - 0.5 * width, x + 0.5 * width, 0.01, 0, &m);
  } else {
    CgVertex a = cg_view_point (&strip->scene->view, from, x, 0.01);
    CgVertex b = cg_view_point (&strip->scene->view, to, x, 0.01);

    /* A line that is thinner than a pixel is made faint, not ragged. */
    if (MIN (a.z, b.z) > 22.0f)
      cg_canvas_line (strip->scene->canvas, &a, &b, (gfloat)width, &m);
    else
      cg_view_flat (&strip->scene->view, from, to, x - 0.5 * width, x + 0.5 * width, 0.01, 0, &m);
  }
}

static void
line (const Strip *strip, CgLineStyle style, gdouble x, guint32 colour)
{
  gdouble first = floor (strip->s0 / DASH_PERIOD) * DASH_PERIOD;

  switch (style) {
  case CG_LINE_NONE:
    break;
  case CG_LINE_DASHED:
    for (guint i = 0; i < cg_steps (first, strip->s1, DASH_PERIOD); i++)
      mark (strip, first + i * DASH_PERIOD, first + i * DASH_PERIOD + 3.2, x, 0.14, colour);
    break;
  case CG_LINE_SOLID:
    mark (strip, strip->s0, strip->s1, x, 0.14, colour);
    break;
  case CG_LINE_DOUBLE:
    mark (strip, strip->s0, strip->s1, x - 0.16, 0.12, colour);
    mark (strip, strip->s0, strip->s1, x + 0.16, 0.12, colour);
    break;
  }
}

static void
zebra (const Strip *strip, gdouble from)
{
  const CgDrive *drive = strip->scene->drive;

  if (from >= strip->s1 || from + ZEBRA <= strip->s0)
    return;
  if (drive->city->country->crossing == CG_CROSSING_TWO_LINES) {
    mark (strip, from, from + 0.3, 0.0, 2.0 * drive->kerb, 0xE6E6E2);
    mark (strip, from + ZEBRA - 0.3, from + ZEBRA, 0.0, 2.0 * drive->kerb, 0xE6E6E2);
    return;
  }
  for (guint i = 0; i < cg_steps (-drive->kerb + 0.4, drive->kerb - 0.4, 1.0); i++)
    mark (strip, from, from + ZEBRA, -drive->kerb + 0.65 + i, 0.51, 0xE6E6E2);
}

/* ---- the street ---- */

static void
draw_lines (const Strip *strip, gdouble start, gdouble end, gboolean lights)
{
  const CgDrive *drive = strip->scene->drive;
  const CgCountry *country = drive->city->country;
  Strip inner = { strip->scene, MAX (strip->s0, start + 5.0), MIN (strip->s1, end - 6.0) };
  gdouble own = cg_drive_own_side (drive);
  gboolean painted = drive->city->surface == CG_SURFACE_ASPHALT;

  if (inner.s0 < inner.s1 && painted) {
    line (&inner,
          drive->lanes == 1 && country->centre_style == CG_LINE_DOUBLE ? CG_LINE_DASHED
                                                                       : country->centre_style,
          0.0, country->centre);
    for (guint i = 1; i < drive->lanes; i++) {
      line (&inner, CG_LINE_DASHED, i * drive->lane_width, 0xE4E4E0);
      line (&inner, CG_LINE_DASHED, -(gdouble)i * drive->lane_width, 0xE4E4E0);
    }
    for (gint side = -1; side <= 1; side += 2)
      line (&inner, country->edge_style,
            side * (drive->lanes * drive->lane_width + (drive->parking ? 0.1 : -0.05)),
            country->edge);
  }
  if (!painted && !lights)
    return;
  mark (strip, end - 5.6, end - 5.2, own * 0.5 * drive->lanes * drive->lane_width,
        drive->lanes * drive->lane_width - 0.3, 0xE6E6E2);
  zebra (strip, end - 4.4);
  zebra (strip, start + 1.0);
}

static void
draw_pavements (const Strip *strip)
{
  const CgScene *scene = strip->scene;
  const CgDrive *drive = scene->drive;
  CgMaterial paving =
      cg_scene_material (scene, ground_texture (scene, ART_PAVING, paint_paving), 0, 0, 1, 0);
  const CgTexture *stones =
      cg_art_get (scene->art, cg_hash (drive->key, ART_KERB), 64, 4, FALSE, paint_kerb, drive);

  paving.wet = (guint)(60 * drive->wetness);
  for (gint side = -1; side <= 1; side += 2) {
    CgMaterial kerb = cg_scene_material (scene, stones, 0, -side, 0.2, 0);
    gdouble in = side * drive->kerb, out = side * drive->line;

    cg_view_flat (&scene->view, strip->s0, strip->s1, MIN (in, out), MAX (in, out), KERB_HEIGHT,
                  TILE, &paving);
    cg_view_along (&scene->view, strip->s0, strip->s1, in, 0.0, KERB_HEIGHT, &kerb);
    kerb = cg_scene_material (scene, stones, 0, 0, 1, 0);
    {
      /* The kerb stone's upper side: along the street the picture repeats with every station. */
      CgVertex v[4] = { cg_view_point (&scene->view, strip->s0, in, KERB_HEIGHT),
                        cg_view_point (&scene->view, strip->s1, in, KERB_HEIGHT),
                        cg_view_point (&scene->view, strip->s1, in + side * 0.28, KERB_HEIGHT),
                        cg_view_point (&scene->view, strip->s0, in + side * 0.28, KERB_HEIGHT) };

      v[1].u = v[2].u = 1.0f;
      v[2].v = v[3].v = 1.0f;
      cg_canvas_polygon (scene->canvas, v, 4, &kerb);
    }
  }
}

/* Where a block begins, the pavement's end looks at the camera. */
static void
draw_pavement_ends (const Strip *strip)
{
  const CgDrive *drive = strip->scene->drive;
  CgMaterial m =
      cg_scene_material (strip->scene, NULL, drive->city->country->kerb_colours[0], 0, 0, -1);

  for (gint side = -1; side <= 1; side += 2) {
    gdouble in = side * drive->kerb, out = side * (drive->line + 0.2);

    cg_view_across (&strip->scene->view, strip->s0, MIN (in, out), MAX (in, out), 0.0, KERB_HEIGHT,
                    &m);
  }
}

static void
draw_station (const CgScene *scene, const CgItem *item)
{
  const CgDrive *drive = scene->drive;
  gdouble start = floor (item->s0 / drive->period + 1e-7) * drive->period,
          end = start + drive->block;
  CgMaterial road =
      cg_scene_material (scene, ground_texture (scene, ART_ROAD, paint_road), 0, 0, 1, 0);
  Strip strip = { scene, item->s0, item->s1 };

  road.wet = (guint)(130 * drive->wetness);
  if (item->s0 >= end - 0.01) {
    /* A crossing: the other street runs out of sight on both sides. */
    cg_view_flat (&scene->view, item->s0, item->s1, -drive->line - FAR_WIDTH,
                  drive->line + FAR_WIDTH, 0.0, TILE, &road);
    return;
  }
  cg_view_flat (&scene->view, item->s0, item->s1, -drive->kerb, drive->kerb, 0.0, TILE, &road);
  if (item->s0 < start + 0.01)
    draw_pavement_ends (&strip);
  draw_pavements (&strip);
  draw_lines (&strip, start, end, item->flag);
}

void
cg_ground_add (CgScene *scene)
{
  const CgDrive *drive = scene->drive;
  gdouble s = (floor (scene->pose.s / CG_STEP) - 2.0) * CG_STEP,
          last = scene->pose.s + CG_SIGHT - CG_STEP;

  /* Stations are cut where blocks begin and end, so that each piece is either street or crossing. */
  while (s < last) {
    gdouble start = floor (s / drive->period + 1e-9) * drive->period;
    gdouble next = (floor (s / CG_STEP + 1e-6) + 1.0) * CG_STEP;
    CgItem *item;

    if (s < start + drive->block - 1e-6)
      next = MIN (next, start + drive->block);
    else
      next = MIN (next, start + drive->period);
    item = cg_scene_add (scene, next, draw_station);
    item->s0 = s;
    item->s1 = next;
    s = next;
  }
}
