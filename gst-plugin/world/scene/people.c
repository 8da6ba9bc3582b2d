/* People on the pavements: rows like the vehicles' lanes (vehicles.c), slower.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "scene.h"

#include "../chance.h"

#include <math.h>

#define PEOPLE_KEY 750
#define LOOKS 12

typedef struct {
  guint look, step;
  gboolean warm, umbrella;
} Person;

static const guint32 tops[] = { 0x2A3A5A, 0x8A2A2A, 0x3A3A3E, 0xD8D4CC, 0x4A6A4A, 0xC8A050,
                                0x6A4A7A, 0x202226, 0x9AA4B0, 0xC86A4A, 0x3A7A9A, 0xE0E0E4 };
static const guint32 legs[] = { 0x24303E, 0x2A2A2C, 0x5A5A5E, 0x7A6A54, 0x3A4A6A, 0x1C1C1E };
static const guint32 skins[] = { 0xE0B898, 0xC89878, 0xA87850, 0x805438, 0x5A3A28 };

static void
paint_person (CgArt *art, cairo_t *cr, guint width, guint height, gconstpointer data)
{
  const Person *p = data;
  guint64 key = cg_hash (PEOPLE_KEY, p->look);
  guint32 top = tops[p->look % G_N_ELEMENTS (tops)],
          leg = legs[cg_pick (key, 0, G_N_ELEMENTS (legs))];
  guint32 skin = skins[cg_pick (key, 1, G_N_ELEMENTS (skins))];
  gdouble stride = (p->step == 0 ? 0.13 : 0.03), length = p->warm ? 0.62 : 0.52;

  cairo_scale (cr, width, height);
  cairo_set_line_cap (cr, CAIRO_LINE_CAP_ROUND);
  cg_paint_colour (cr, leg, 1.0, 1.0);
  cairo_set_line_width (cr, 0.13);
  for (gint side = -1; side <= 1; side += 2) {
    cairo_move_to (cr, 0.5 + side * 0.06, 0.55);
    cairo_line_to (cr, 0.5 + side * stride, 0.93);
  }
  cairo_stroke (cr);
  cg_paint_colour (cr, 0x18181A, 1.0, 1.0);
  for (gint side = -1; side <= 1; side += 2)
    cg_paint_box (cr, 0.5 + side * stride - 0.07, 0.94, 0.15, 0.05);
  cg_paint_colour (cr, top, 1.0, 1.0);
  cairo_move_to (cr, 0.28, 0.23);
  cairo_curve_to (cr, 0.36, 0.17, 0.64, 0.17, 0.72, 0.23);
  cairo_line_to (cr, 0.70, length);
  cairo_line_to (cr, 0.30, length);
  cairo_fill (cr);
  cg_paint_colour (cr, top, 0.8, 1.0);
  cairo_set_line_width (cr, 0.1);
  for (gint side = -1; side <= 1; side += 2) {
    cairo_move_to (cr, 0.5 + side * 0.21, 0.25);
    cairo_line_to (cr, 0.5 + side * (0.24 + 0.5 * stride), 0.5);
  }
  cairo_stroke (cr);
  cg_paint_colour (cr, skin, 1.0, 1.0);
  cairo_save (cr);
  cairo_translate (cr, 0.5, 0.105);
  cairo_scale (cr, 0.13, 0.08);
  cairo_arc (cr, 0, 0, 1, 0, 2 * G_PI);
  cairo_restore (cr);
  cairo_fill (cr);
  cg_paint_colour (cr, cg_chance (key, 2, 0.75) ? 0x241C18 : 0x9A7A4A, 1.0, 1.0);
  cairo_save (cr);
  cairo_translate (cr, 0.5, 0.085);
  cairo_scale (cr, 0.14, 0.068);
  cairo_arc (cr, 0, 0, 1, G_PI * 0.95, 2.05 * G_PI);
  cairo_restore (cr);
  cairo_fill (cr);
  if (p->umbrella) {
    cg_paint_colour (cr, tops[(p->look * 5 + 1) % G_N_ELEMENTS (tops)], 0.9, 1.0);
    cairo_save (cr);
    cairo_translate (cr, 0.5, 0.16);
    cairo_scale (cr, 0.5, 0.16);
    cairo_arc (cr, 0, 0, 1, G_PI, 2 * G_PI);
    cairo_restore (cr);
    cairo_fill (cr);
  }
}

static void
draw_person (const CgScene *scene, const CgItem *item)
{
  const CgDrive *drive = scene->drive;
  Person p = { .look = cg_pick (item->hash, 0, LOOKS) };
  gdouble height = cg_range (item->hash, 1, 1.55, 1.85);
  guint size = 32 * MIN (scene->detail, 4);
  CgMaterial m;

  p.step = fmod (scene->pose.time * 3.2 + 2.0 * cg_unit (item->hash, 2), 2.0) >= 1.0;
  p.warm = drive->temperature < 8.0;
  p.umbrella = drive->weather == CG_WEATHER_RAIN && cg_chance (item->hash, 3, 0.7);
  m = cg_scene_material (scene,
                         cg_art_get (scene->art,
                                     cg_hash (PEOPLE_KEY + scene->detail,
                                              p.look * 8 + p.step * 4 + p.warm * 2u + p.umbrella),
                                     size, 2 * size, FALSE, paint_person, &p),
                         0, 0, 0.3, -0.7);
  cg_view_board (&scene->view, item->s0, item->x, 0.13, 0.42 * height, height, &m);
}

void
cg_people_add (CgScene *scene)
{
  const CgDrive *drive = scene->drive;
  gdouble gap = 5.0 / (0.1 + drive->people);

  for (guint row = 0; row < 4; row++) {
    guint64 key = cg_hash (drive->key, PEOPLE_KEY + row);
    gdouble side = row % 2 == 0 ? -1.0 : 1.0,
            speed = (row < 2 ? 1.0 : -1.0) * cg_range (key, 0, 0.9, 1.5);
    gdouble way = speed * scene->pose.time;

    gint64 first = (gint64)floor ((scene->pose.s - way) / gap),
           last = first + (gint64)(110.0 / gap);

    for (gint64 i = first; i <= last; i++) {
      guint64 chance = cg_hash (key, 10 + (guint64)i);
      gdouble s = (gdouble)i * gap + way + gap * cg_range (chance, 0, -0.4, 0.4);
      gdouble x = side * (drive->kerb + drive->pavement * cg_range (chance, 1, 0.25, 0.9));
      CgItem *item;

      if (s < scene->pose.s + 2.5 || !cg_chance (chance, 2, 0.7))
        continue;
      item = cg_scene_add (scene, s, draw_person);
      item->s0 = s;
      item->x = x;
      item->hash = cg_hash (chance, 3);
    }
  }
}
