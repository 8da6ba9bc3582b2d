/* Road signs and street names.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "scene.h"

#include "../chance.h"

#include <math.h>

#define SIGN_KEY 700
#define WARNINGS 4

typedef struct {
  const CgDrive *drive;
  CgPropKind kind;
  guint variant;
} Sign;

/* ---- pictures, in the unit square ---- */

static void
regular (cairo_t *cr, guint corners, gdouble turn, gdouble cx, gdouble cy, gdouble radius)
{
  for (guint i = 0; i < corners; i++)
    cairo_line_to (cr, cx + radius * cos (turn + 2 * G_PI * i / corners),
                   cy + radius * sin (turn + 2 * G_PI * i / corners));
  cairo_close_path (cr);
}

static void
paint_stop (CgArt *art, cairo_t *cr, const CgDrive *drive)
{
  const CgCountry *country = drive->city->country;
  gboolean octagon = country->stop_shape == CG_STOP_OCTAGON;

  for (guint i = 0; i < 2; i++) {
    cg_paint_colour (cr, i == 0 ? 0xF4F4F2 : 0xC01824, 1.0, 1.0);
    if (octagon)
      regular (cr, 8, G_PI / 8, 0.5, 0.5, i == 0 ? 0.5 : 0.46);
    else
      regular (cr, 3, G_PI / 2, 0.5, 0.36, i == 0 ? 0.56 : 0.48);
    cairo_fill (cr);
  }
  if (g_str_equal (drive->city->stop, "hand")) { /* the open hand of Israel's sign */
    cg_paint_colour (cr, 0xFFFFFF, 1.0, 1.0);
    cg_paint_box (cr, 0.36, 0.45, 0.28, 0.34);
    for (guint i = 0; i < 4; i++)
      cg_paint_box (cr, 0.36 + 0.072 * i, i == 0 || i == 3 ? 0.26 : 0.2, 0.058, 0.3);
    cg_paint_box (cr, 0.63, 0.44, 0.12, 0.07);
    return;
  }
  cg_art_text (art, cr, drive->city->stop, cg_scene_region (drive), CG_TEXT_FIT, 0.13,
               octagon ? 0.33 : 0.16, 0.74, octagon ? 0.34 : 0.3, 0xFFFFFF);
}

static void
paint_warning (CgArt *art, cairo_t *cr, const CgDrive *drive, guint variant)
{
  const CgCountry *country = drive->city->country;

  if (country->warning == CG_WARNING_DIAMOND) {
    cg_paint_colour (cr, 0x1A1A1A, 1.0, 1.0);
    regular (cr, 4, 0, 0.5, 0.5, 0.5);
    cairo_fill (cr);
    cg_paint_colour (cr, country->warning_ground, 1.0, 1.0);
    regular (cr, 4, 0, 0.5, 0.5, 0.46);
    cairo_fill (cr);
  } else {
    cg_paint_colour (cr, country->warning_border, 1.0, 1.0);
    regular (cr, 3, -G_PI / 2, 0.5, 0.62, 0.56);
    cairo_fill (cr);
    cg_paint_colour (cr, country->warning_ground, 1.0, 1.0);
    regular (cr, 3, -G_PI / 2, 0.5, 0.62, 0.38);
    cairo_fill (cr);
  }
  /* People, a bend, a hump, lights. */
  cg_paint_colour (cr, 0x161616, 1.0, 1.0);
  switch (variant) {
  case 0:
    cairo_arc (cr, 0.5, 0.42, 0.05, 0, 2 * G_PI);
    cairo_fill (cr);
    cg_paint_box (cr, 0.46, 0.47, 0.08, 0.16);
    cg_paint_box (cr, 0.43, 0.62, 0.05, 0.13);
    cg_paint_box (cr, 0.53, 0.62, 0.05, 0.13);
    break;
  case 1:
    cairo_set_line_width (cr, 0.07);
    cairo_move_to (cr, 0.44, 0.75);
    cairo_curve_to (cr, 0.44, 0.55, 0.56, 0.62, 0.56, 0.4);
    cairo_stroke (cr);
    break;
  case 2:
    cairo_arc (cr, 0.5, 0.68, 0.14, G_PI, 2 * G_PI);
    cairo_fill (cr);
    break;
  default:
    for (guint i = 0; i < 3; i++) {
      cg_paint_colour (cr, (guint32[]){ 0xD01818, 0xE8A010, 0x10A050 }[i], 1.0, 1.0);
      cairo_arc (cr, 0.5, 0.45 + 0.11 * i, 0.045, 0, 2 * G_PI);
      cairo_fill (cr);
    }
  }
}

static void
paint_speed (CgArt *art, cairo_t *cr, const CgDrive *drive)
{
  const CgCountry *country = drive->city->country;
  g_autofree gchar *words =
      g_strdelimit (g_strdup (country->speed_word != NULL ? country->speed_word : ""), " ", '\n');
  gchar number[12];

  g_snprintf (number, sizeof number, "%u", country->limit);
  if (country->speed == CG_SPEED_BOX) {
    cg_paint_colour (cr, 0x1A1A1A, 1.0, 1.0);
    cg_paint_box (cr, 0.12, 0.0, 0.76, 1.0);
    cg_paint_colour (cr, 0xF6F6F2, 1.0, 1.0);
    cg_paint_box (cr, 0.145, 0.025, 0.71, 0.95);
    cg_art_text (art, cr, words, "", CG_TEXT_FIT, 0.18, 0.06, 0.64, 0.28, 0x141414);
    cg_art_text (art, cr, number, "", CG_TEXT_FIT, 0.22, 0.42, 0.56, 0.48, 0x141414);
    return;
  }
  cg_paint_colour (cr, 0xC81C28, 1.0, 1.0);
  cairo_arc (cr, 0.5, 0.5, 0.5, 0, 2 * G_PI);
  cairo_fill (cr);
  cg_paint_colour (cr, 0xF8F8F6, 1.0, 1.0);
  cairo_arc (cr, 0.5, 0.5, 0.39, 0, 2 * G_PI);
  cairo_fill (cr);
  cg_art_text (art, cr, number, "", CG_TEXT_FIT, 0.22, 0.3, 0.56, 0.4, 0x141414);
}

static void
paint_sign (CgArt *art, cairo_t *cr, guint width, guint height, gconstpointer data)
{
  const Sign *sign = data;
  const CgCountry *country = sign->drive->city->country;
  CgWords streets = sign->drive->city->streets;

  if (sign->kind == CG_PROP_STREET_NAME) {
    cg_paint_colour (cr, country->street_ink, 1.0, 1.0);
    cairo_paint (cr);
    cg_paint_colour (cr, country->street_ground, 1.0, 1.0);
    cg_paint_box (cr, 2, 2, width - 4.0, height - 4.0);
    cg_art_text (art, cr, streets[sign->variant % g_strv_length (streets)],
                 cg_scene_region (sign->drive), CG_TEXT_FIT, width * 0.06, height * 0.18,
                 width * 0.88, height * 0.64, country->street_ink);
    return;
  }
  cairo_scale (cr, width, height);
  if (sign->kind == CG_PROP_STOP)
    paint_stop (art, cr, sign->drive);
  else if (sign->kind == CG_PROP_WARNING)
    paint_warning (art, cr, sign->drive, sign->variant);
  else
    paint_speed (art, cr, sign->drive);
}

static const CgTexture *
sign_texture (const CgScene *scene, CgPropKind kind, guint variant)
{
  Sign sign = { scene->drive, kind, variant };
  gboolean name = kind == CG_PROP_STREET_NAME;
  const gchar *owner = scene->drive->city->label;
  guint detail = MIN (scene->detail, 2);
  guint64 key = cg_hash (cg_hash_string (owner), SIGN_KEY + kind * 256 + variant * 8 + detail);

  return cg_art_get (scene->art, key, (name ? 256 : 64) * detail, 64 * detail, FALSE, paint_sign,
                     &sign);
}

/* ---- where they stand ---- */

static void
draw_street_name (const CgScene *scene, const CgItem *item, CgMaterial *m)
{
  const CgCountry *country = scene->drive->city->country;
  gdouble side = item->x > 0.0 ? 1.0 : -1.0, half = 0.85;

  if (country->street_place == CG_PLACE_WALL) {
    /* On the wall of the corner house, seen from the street. */
    gdouble x = side * (scene->drive->line - 0.1);

    cg_view_along (&scene->view, item->s0 - 3.2, item->s0 - 1.4, x, 3.4, 3.9, m);
    cg_view_across (&scene->view, item->s0 - 0.1, MIN (x, x - side * 0.9), MAX (x, x - side * 0.9),
                    3.0, 3.4, m);
    return;
  }
  cg_view_across (&scene->view, item->s0, item->x - half, item->x + half, 2.7, 3.12, m);
}

static void
draw_sign (const CgScene *scene, const CgItem *item)
{
  CgPropKind kind = (CgPropKind)item->kind;
  guint variant = kind == CG_PROP_STREET_NAME
                      ? cg_pick (item->hash, 0, g_strv_length (scene->drive->city->streets))
                  : kind == CG_PROP_WARNING ? cg_pick (item->hash, 0, WARNINGS)
                                            : 0;
  CgMaterial m = cg_scene_material (scene, sign_texture (scene, kind, variant), 0, 0, 0.3, -0.9);
  CgMaterial post = cg_scene_material (scene, NULL, 0x8A8E90, 0, 0, -0.7);
  CgVertex foot = cg_view_point (&scene->view, item->s0 + 0.05, item->x, 0),
           head = cg_view_point (&scene->view, item->s0 + 0.05, item->x, 3.1);
  gdouble size = kind == CG_PROP_SPEED ? 0.68 : 0.85;

  /* Signs throw back what headlights send them. */
  for (guint c = 0; c < 3 && scene->drive->night; c++)
    m.light[c] = 0.8f;
  if (kind != CG_PROP_STREET_NAME || scene->drive->city->country->street_place == CG_PLACE_POST)
    cg_canvas_line (scene->canvas, &foot, &head, 0.08f, &post);
  if (kind == CG_PROP_STREET_NAME)
    draw_street_name (scene, item, &m);
  else
    cg_view_across (&scene->view, item->s0, item->x - 0.5 * size, item->x + 0.5 * size, 2.25,
                    2.25 + size, &m);
}

void
cg_signs_add (CgScene *scene, const CgProp *prop)
{
  CgItem *item = cg_scene_add (scene, prop->s, draw_sign);

  item->s0 = prop->s;
  item->x = prop->x;
  item->kind = prop->kind;
  item->hash = prop->key;
}
