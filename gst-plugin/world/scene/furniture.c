/* Lamps, poles, wires, traffic lights, bins and shelters.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "scene.h"

#include "../chance.h"
#include "../steps.h"

#include <math.h>

#define FURNITURE_KEY 800
#define LIGHTS_CYCLE 32.0 /* seconds */

static void
upright (const CgScene *scene, gdouble s, gdouble x, gdouble low, gdouble high, gdouble width,
         guint32 colour)
{
  CgVertex a = cg_view_point (&scene->view, s, x, low),
           b = cg_view_point (&scene->view, s, x, high);
  CgMaterial m = cg_scene_material (scene, NULL, colour, 0, 0.1, -0.6);

  cg_canvas_line (scene->canvas, &a, &b, (gfloat)width, &m);
}

static void
sideways (const CgScene *scene, gdouble s, gdouble x0, gdouble x1, gdouble h0, gdouble h1,
          gdouble width, guint32 colour)
{
  CgVertex a = cg_view_point (&scene->view, s, x0, h0), b = cg_view_point (&scene->view, s, x1, h1);
  CgMaterial m = cg_scene_material (scene, NULL, colour, 0, 0.5, -0.5);

  cg_canvas_line (scene->canvas, &a, &b, (gfloat)width, &m);
}

/* ---- lamps ---- */

static void
paint_glare (CgArt *art, cairo_t *cr, guint width, guint height, gconstpointer data)
{
  cairo_pattern_t *glow = cairo_pattern_create_radial (width * 0.5, height * 0.5, 0, width * 0.5,
                                                       height * 0.5, width * 0.5);

  cairo_pattern_add_color_stop_rgba (glow, 0.0, 1.0, 0.95, 0.8, 0.9);
  cairo_pattern_add_color_stop_rgba (glow, 0.15, 1.0, 0.86, 0.6, 0.4);
  cairo_pattern_add_color_stop_rgba (glow, 1.0, 1.0, 0.8, 0.5, 0.0);
  cairo_set_source (cr, glow);
  cairo_paint (cr);
  cairo_pattern_destroy (glow);
}

const CgTexture *
cg_furniture_glare (const CgScene *scene)
{
  return cg_art_get (scene->art, FURNITURE_KEY, 64, 64, FALSE, paint_glare, NULL);
}

static void
draw_lamp (const CgScene *scene, const CgItem *item)
{
  guint64 city = cg_hash_string (scene->drive->city->label);
  guint style = cg_pick (city, FURNITURE_KEY, 3);
  guint32 colour =
      (guint32[]){ 0x8A9096, 0x2A2E30, 0x3C5046, 0x6E7478 }[cg_pick (city, FURNITURE_KEY + 1, 4)];
  gdouble height = style == 1 ? 4.6 : cg_range (city, FURNITURE_KEY + 2, 7.0, 9.5),
          side = item->x > 0.0 ? 1.0 : -1.0;
  gdouble head = style == 1 ? item->x : item->x - side * 1.8;

  upright (scene, item->s0, item->x, 0.0, height, 0.14, colour);
  if (style != 1) {
    sideways (scene, item->s0, item->x, head, height - 0.3, height, 0.1, colour);
    sideways (scene, item->s0, head + side * 0.1, head - side * 0.5, height, height + 0.03, 0.18,
              colour);
  } else {
    upright (scene, item->s0, item->x, height, height + 0.55, 0.4,
             scene->drive->dusk ? 0xFFF0C8 : 0xD8D8D0);
    upright (scene, item->s0, item->x, height + 0.55, height + 0.7, 0.3, colour);
  }
  if (scene->drive->dusk) {
    CgMaterial m = cg_scene_glow (scene, cg_furniture_glare (scene), 0);

    m.light[0] = m.light[1] = m.light[2] = 1.0f;
    m.haze = 0.0f;
    cg_view_board (&scene->view, item->s0, head, height - 1.1, 2.6, 2.6, &m);
  }
}

/* ---- poles and wires ---- */

static const guint32 pole_colours[] = { 0x808080, 0x6A5644, 0xA8A49C, 0x7C848A };

static void
draw_pole (const CgScene *scene, const CgItem *item)
{
  CgPole kind = scene->drive->city->country->pole;

  upright (scene, item->s0, item->x, 0.0, 9.4, 0.28, pole_colours[kind]);
  sideways (scene, item->s0, item->x - 1.1, item->x + 1.1, 8.7, 8.7, 0.13, pole_colours[kind]);
  sideways (scene, item->s0, item->x - 0.8, item->x + 0.8, 7.9, 7.9, 0.11, pole_colours[kind]);
  if (cg_chance (item->hash, 0, 0.6)) /* a transformer */
    upright (scene, item->s0, item->x + 0.35, 6.2, 7.4, 0.55, 0x9AA0A2);
}

static void
draw_wires (const CgScene *scene, const CgItem *item)
{
  CgMaterial m = cg_scene_material (scene, NULL, 0x1C1E22, 0, 0, 0);
  gdouble from = MAX (item->s0, scene->pose.s - 8.0), length = item->s1 - item->s0;
  guint tangle = scene->drive->city->country->wires > 0.85 ? 9 : 5;

  for (guint i = 0; i < tangle; i++) {
    gdouble x = item->x - 1.0 + 2.0 * (i % 5) / 4.0, h = i < 3 ? 8.8 : 7.9 - 0.35 * (i / 3),
            sag = cg_range (FURNITURE_KEY, 10 + i, 0.5, 1.3);
    CgVertex last =
        cg_view_point (&scene->view, from, x,
                       h - sag * 4.0 * (from - item->s0) * (item->s1 - from) / (length * length));

    for (guint k = 1; k <= cg_steps (from, item->s1, 5.0); k++) {
      gdouble at = MIN (from + 5.0 * k, item->s1), f = (at - item->s0) / length;
      CgVertex next = cg_view_point (&scene->view, at, x, h - sag * 4.0 * f * (1.0 - f));

      cg_canvas_line (scene->canvas, &last, &next, 0.035f, &m);
      last = next;
    }
  }
  /* To the houses. */
  for (guint i = 0; i < 3; i++)
    sideways (scene, item->s0 + 0.1, item->x, (item->x > 0.0 ? 1.0 : -1.0) * scene->drive->line,
              7.9, 6.0 - 0.6 * i, 0.03, 0x1C1E22);
  if (tangle > 5)
    sideways (scene, item->s0 + 0.1, item->x, -(item->x > 0.0 ? 1.0 : -1.0) * scene->drive->line,
              7.9, 6.5, 0.03, 0x1C1E22);
}

void
cg_furniture_add_wires (CgScene *scene, const CgBlock *block)
{
  const CgProp *last = NULL;

  for (guint i = 0; i < block->n_props; i++) {
    const CgProp *prop = &block->props[i];

    if (prop->kind != CG_PROP_POLE)
      continue;
    if (last != NULL && cg_scene_sees (scene, last->s, prop->s)) {
      CgItem *item = cg_scene_add (scene, last->s, draw_wires);

      item->s0 = last->s;
      item->s1 = MIN (prop->s, scene->pose.s + CG_SIGHT - CG_STEP);
      item->x = prop->x;
    }
    last = prop;
  }
}

/* ---- traffic lights ---- */

/* One signal head: @x, @h: its middle. */
static void
draw_head (const CgScene *scene, gdouble s, gdouble x, gdouble h, guint state)
{
  const CgCountry *country = scene->drive->city->country;
  gdouble long_half = 0.52, short_half = 0.2;
  gboolean flat = scene->drive->city->lights_horizontal;
  CgMaterial m = cg_scene_material (scene, NULL, country->lights_housing, 0, 0, -1);
  const guint32 on[] = { 0xFF2818, 0xFFB010, 0x20E890 }, off[] = { 0x481410, 0x483410, 0x0C3424 };

  cg_view_across (&scene->view, s, x - (flat ? long_half : short_half),
                  x + (flat ? long_half : short_half), h - (flat ? short_half : long_half),
                  h + (flat ? short_half : long_half), &m);
  for (guint i = 0; i < 3; i++) {
    gboolean lit = i == state;
    /* Red is on top; lying down it is nearest to the middle of the road. */
    gdouble along = (1.0 - (gdouble)i) * 0.33, radius = lit ? 0.15 : 0.12;
    gdouble cx = flat ? x + along * (scene->drive->city->country->left ? 1.0 : -1.0) : x,
            cy = flat ? h : h + along;
    CgVertex v[7];
    const CgVertex middle = cg_view_point (&scene->view, s - 0.05, cx, cy);

    m = cg_scene_material (scene, NULL, lit ? on[i] : off[i], 0, 0, -1);
    if (lit)
      m.light[0] = m.light[1] = m.light[2] = 1.0f;
    for (guint k = 0; k < 7; k++)
      v[k] = (CgVertex){ middle.x + (gfloat)(radius * cos (k * 0.8976)),
                         middle.y + (gfloat)(radius * sin (k * 0.8976)), middle.z, 0, 0 };
    cg_canvas_polygon (scene->canvas, v, 7, &m);
  }
}

static void
draw_lights (const CgScene *scene, const CgItem *item)
{
  const CgDrive *drive = scene->drive;
  const CgCountry *country = drive->city->country;
  gdouble own = cg_drive_own_side (drive), post = item->x,
          phase = scene->pose.time + LIGHTS_CYCLE * cg_unit (item->hash, 0);
  gdouble part = fmod (phase, LIGHTS_CYCLE) / LIGHTS_CYCLE, s = item->s0;
  guint state = part < 0.5 ? 2 : part < 0.6 ? 1 : 0;
  guint32 grey = country->lights_housing == 0xE8B820 ? 0x9A9EA0 : 0x4A4E52;

  if (country->lights_place != CG_LIGHTS_NEAR)
    s = item->s1; /* beyond the crossing */
  upright (scene, s, post, 0.0, country->lights_place == CG_LIGHTS_NEAR ? 3.2 : 6.0, 0.15, grey);
  if (country->lights_place == CG_LIGHTS_OVERHEAD || drive->lanes > 1) {
    gdouble end = own * drive->lane_width * 0.4;

    sideways (scene, s, post, end, 5.9, 6.1, 0.14, grey);
    for (guint i = 0; i < drive->lanes; i++)
      draw_head (scene, s - 0.1, own * (i + 0.5) * drive->lane_width,
                 drive->city->lights_horizontal ? 5.8 : 5.5, state);
  }
  if (country->lights_place != CG_LIGHTS_OVERHEAD)
    draw_head (scene, s - 0.1, post, 2.8, state);
}

/* ---- the rest ---- */

static void
draw_bin (const CgScene *scene, const CgItem *item)
{
  guint64 city = cg_hash_string (scene->drive->city->label);
  guint32 colour = (guint32[]){
    0x2E5A3A, 0x3A3E42, 0x2A4A7A, 0x8A3A22, 0x6A6E70, 0xC8A020
  }[cg_pick (city, FURNITURE_KEY + 5, 6)];

  upright (scene, item->s0, item->x, 0.1, 1.05, 0.5, colour);
  upright (scene, item->s0, item->x, 1.0, 1.1, 0.56, 0x202224);
}

static void
draw_shelter (const CgScene *scene, const CgItem *item)
{
  CgMaterial glass = cg_scene_material (scene, NULL, 0x90A8B0, 0, 0, -1),
             roof = cg_scene_material (scene, NULL, 0x484C50, 0, 1, 0);
  gdouble out = item->x + (item->x > 0.0 ? 0.9 : -0.9), end = item->s0 + 4.0;

  glass.alpha = 0.35f;
  cg_view_along (&scene->view, item->s0, end, out, 0.2, 2.3, &glass);
  cg_view_flat (&scene->view, item->s0, end, MIN (item->x, out), MAX (item->x, out), 2.4, 0, &roof);
  cg_view_across (&scene->view, item->s0, MIN (item->x, out), MAX (item->x, out), 2.3, 2.5, &roof);
  upright (scene, item->s0, item->x, 0, 2.4, 0.09, 0x484C50);
  upright (scene, end, item->x, 0, 2.4, 0.09, 0x484C50);
}

void
cg_furniture_add (CgScene *scene, const CgProp *prop)
{
  void (*draw) (const CgScene *scene, const CgItem *item) = NULL;
  gdouble beyond = prop->s + scene->drive->period - scene->drive->block;
  gdouble key = prop->s;
  CgItem *item;

  if (prop->kind == CG_PROP_LAMP)
    draw = draw_lamp;
  else if (prop->kind == CG_PROP_POLE)
    draw = draw_pole;
  else if (prop->kind == CG_PROP_BIN)
    draw = draw_bin;
  else if (prop->kind == CG_PROP_SHELTER)
    draw = draw_shelter;
  else if (prop->kind == CG_PROP_LIGHTS)
    draw = draw_lights;
  else
    return;
  if (draw == draw_lights && scene->drive->city->country->lights_place != CG_LIGHTS_NEAR)
    key = beyond;
  if (!cg_scene_sees (scene, key, key + 4.0))
    return;
  item = cg_scene_add (scene, key, draw);
  item->s0 = prop->s;
  item->s1 = beyond;
  item->x = prop->x;
  item->hash = prop->key;
}
