/* Houses: a front along the street, the side that looks back at the camera, a roof, and what hangs
 * from the front.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "scene.h"

#include "../chance.h"

#include <math.h>

#define DEPTH 11.0       /* of a house, metres */
#define SIDE_STREET 75.0 /* how far a street that is crossed is built up */
#define SIGN_KEY 400

enum { ROOF_ART = 420, GABLE_ART, FENCE_ART, AWNING_ART };

/* ---- signs of shops ---- */

typedef struct {
  const CgDrive *drive;
  const gchar *word;
  guint64 key;
  gboolean upright;
} ShopSign;

static const guint32 sign_colours[][2] = {
  { 0xC8242C, 0xFFFFFF }, { 0x1C4C9C, 0xFFFFFF }, { 0xF2C818, 0x202020 }, { 0x0E7A48, 0xFFFFFF },
  { 0xF4F2EA, 0x1E1E22 }, { 0x26282C, 0xF2E8C8 }, { 0xE87818, 0xFFFFFF }, { 0xF4F2EA, 0xB81C2C },
  { 0x5C2A6C, 0xFFFFFF }, { 0x123A5C, 0xF4D048 },
};

static void
paint_shop_sign (CgArt *art, cairo_t *cr, guint width, guint height, gconstpointer data)
{
  const ShopSign *sign = data;
  const guint32 *colours = sign_colours[cg_pick (sign->key, 2, G_N_ELEMENTS (sign_colours))];
  gdouble border = 0.08 * MIN (width, height);

  cg_paint_colour (cr, colours[0], 1.0, 1.0);
  cairo_paint (cr);
  cg_paint_colour (cr, colours[1], 1.0, 0.5);
  cairo_set_line_width (cr, 0.5 * border);
  cairo_rectangle (cr, 0.5 * border, 0.5 * border, width - border, height - border);
  if (cg_chance (sign->key, 3, 0.3))
    cairo_stroke (cr);
  cairo_new_path (cr);
  /* The picture is stretched to the sign's true shape: the words are fitted to that. */
  if (sign->upright) {
    cg_art_text (art, cr, sign->word, cg_scene_region (sign->drive), CG_TEXT_UPRIGHT, width * 0.12,
                 height * 0.04, width * 0.76, height * 0.92, colours[1]);
  } else {
    cg_art_text (art, cr, sign->word, cg_scene_region (sign->drive), CG_TEXT_FIT, width * 0.05,
                 height * 0.14, width * 0.9, height * 0.72, colours[1]);
  }
}

/* Signs belong to the city, not to the drive, so that their pictures are kept from drive to drive. */
static const CgTexture *
sign_texture (const CgScene *scene, guint64 lot, gboolean upright)
{
  ShopSign sign = { scene->drive, NULL, 0, upright };
  guint64 city = cg_hash_string (scene->drive->city->label);
  guint detail = MIN (scene->detail, 2);

  sign.key = cg_hash (city, SIGN_KEY + cg_pick (lot, 30, 96) * 2 + upright);
  sign.word = cg_scene_word (scene->drive, sign.key);
  return cg_art_get (scene->art, cg_hash (sign.key, detail), (upright ? 32 : 256) * detail,
                     (upright ? 128 : 32) * detail, FALSE, paint_shop_sign, &sign);
}

/* ---- pictures of roofs, fences, awnings ---- */

typedef struct {
  const CgDrive *drive;
  const CgDesign *design;
} House;

static void
paint_roof (CgArt *art, cairo_t *cr, guint width, guint height, gconstpointer data)
{
  const House *house = data;
  guint32 colour = house->design->kind->roof_colour;
  gboolean dormers = house->design->kind->roof == CG_ROOF_MANSARD;

  cg_paint_colour (cr, colour, 1.0, 1.0);
  cairo_paint (cr);
  for (guint y = 0; y < height; y += 4) {
    cg_paint_colour (cr, colour, cg_range (house->design->key, 4000 + y, 0.72, 0.9), 0.8);
    cg_paint_box (cr, 0, y, width, 1.6);
  }
  for (guint i = 0; dormers && i < 4; i++) {
    gdouble x = (i + 0.3) * width / 4.0, w = width / 10.0;

    cg_paint_colour (cr, house->design->kind->trim, 1.0, 1.0);
    cg_paint_box (cr, x - 0.2 * w, height * 0.2, w * 1.4, height * 0.7);
    cg_paint_colour (cr, 0x48545E, 1.0, 1.0);
    cg_paint_box (cr, x, height * 0.32, w, height * 0.55);
  }
  cg_paint_grain (cr, house->design->key, 0.16);
  cg_paint_colour (cr, 0xF0F2F6, 1.0, MIN (0.95, 1.1 * house->drive->snow));
  cairo_paint (cr);
}

/* The part of a front above the eaves: a triangle, or the steps and scrolls of old Dutch houses. */
static void
paint_gable (CgArt *art, cairo_t *cr, guint width, guint height, gconstpointer data)
{
  const House *house = data;
  const CgDesign *d = house->design;
  const gdouble steps[][2] = { { 0.06, 1.0 },  { 0.06, 0.7 },  { 0.2, 0.7 },   { 0.2, 0.42 },
                               { 0.34, 0.42 }, { 0.34, 0.12 }, { 0.42, 0.12 }, { 0.42, 0.0 } };

  cairo_scale (cr, width, height);
  cairo_move_to (cr, 0, 1);
  if (d->kind->roof == CG_ROOF_STEPPED && (d->key >> 8) % 3 != 0) {
    for (guint i = 0; i < G_N_ELEMENTS (steps); i++)
      cairo_line_to (cr, steps[i][0], steps[i][1]);
    for (guint i = G_N_ELEMENTS (steps); i-- > 0;)
      cairo_line_to (cr, 1.0 - steps[i][0], steps[i][1]);
  } else if (d->kind->roof == CG_ROOF_STEPPED) {
    cairo_curve_to (cr, 0.35, 0.95, 0.2, 0.3, 0.36, 0.25);
    cairo_curve_to (cr, 0.4, 0.0, 0.6, 0.0, 0.64, 0.25);
    cairo_curve_to (cr, 0.8, 0.3, 0.65, 0.95, 1.0, 1.0);
  } else {
    cairo_line_to (cr, 0.5, 0.02);
  }
  cairo_line_to (cr, 1, 1);
  cairo_close_path (cr);
  cg_paint_colour (cr, d->colour, 0.97, 1.0);
  cairo_fill_preserve (cr);
  cg_paint_colour (cr, d->kind->trim, 1.0, 1.0);
  cairo_set_line_width (cr, 0.035);
  cairo_stroke (cr);
  cg_paint_colour (cr, d->kind->trim, 1.0, 1.0);
  cg_paint_box (cr, 0.43, 0.5, 0.14, 0.34);
  cg_paint_colour (cr, 0x48545E, 1.0, 1.0);
  cg_paint_box (cr, 0.45, 0.53, 0.1, 0.28);
}

static void
paint_fence (CgArt *art, cairo_t *cr, guint width, guint height, gconstpointer data)
{
  const House *house = data;
  guint64 key = house->design->key;
  guint32 colour = cg_colour_mix (house->design->colour, 0xB8B0A4, 0.5);

  if (cg_chance (key, 40, 0.45)) {
    cg_paint_colour (cr, colour, 0.9, 1.0);
    cg_paint_box (cr, 0, height * 0.55, width, height * 0.45);
    cg_paint_colour (cr, 0x2A2C2E, 1.0, 1.0);
    for (guint x = 1; x < width; x += 6)
      cg_paint_box (cr, x, height * 0.08, 1.6, height * 0.5);
    cg_paint_box (cr, 0, height * 0.12, width, 1.5);
  } else {
    cg_paint_colour (cr, colour, 1.0, 1.0);
    cairo_paint (cr);
    cg_paint_colour (cr, colour, 1.15, 1.0);
    cg_paint_box (cr, 0, 0, width, height * 0.08);
    cg_paint_grain (cr, key, 0.1);
  }
  /* The gate. */
  cg_paint_colour (cr, (guint32[]){ 0x2E3A34, 0x5A4030, 0x74787C }[cg_pick (key, 41, 3)], 1.0, 1.0);
  cg_paint_box (cr, width * 0.62, height * 0.06, width * 0.2, height * 0.94);
}

static void
paint_awning (CgArt *art, cairo_t *cr, guint width, guint height, gconstpointer data)
{
  const House *house = data;
  guint32 colour = (guint32[]){
    0xA8342C, 0x2F6A4A, 0x2C4F86, 0xD8A038, 0x8A8478, 0x70304A
  }[cg_pick (house->design->key, 45, 6)];
  gboolean striped = cg_chance (house->design->key, 46, 0.5);

  for (guint i = 0; i < 12; i++) {
    cg_paint_colour (cr, striped && i % 2 == 1 ? 0xF0EADC : colour, 1.0, 1.0);
    cg_paint_box (cr, i * width / 12.0, 0, width / 12.0 + 1, height);
  }
  cg_paint_colour (cr, 0x101010, 1.0, 0.25);
  cg_paint_box (cr, 0, height * 0.85, width, height * 0.15);
}

static const CgTexture *
house_texture (const CgScene *scene, const CgDesign *design, guint which, guint width, guint height,
               CgPaint paint)
{
  House house = { scene->drive, design };

  return cg_art_get (scene->art, cg_hash (design->key, which), width, height, FALSE, paint, &house);
}

/* ---- parts of a house ---- */

typedef struct {
  const CgScene *scene;
  const CgDesign *design;
  gdouble s0, s1, side, x, height; /* x: of the front */
  guint64 key;
} Built;

static CgVertex
at (const Built *b, gdouble s, gdouble out, gdouble h, gfloat u, gfloat v)
{
  CgVertex p = cg_view_point (&b->scene->view, s, b->x + b->side * out, h);

  p.u = u;
  p.v = v;
  return p;
}

static void
draw_slope (const Built *b, const CgTexture *texture, gdouble overhang, gdouble depth, gdouble rise)
{
  CgMaterial m = cg_scene_material (b->scene, texture, 0, -b->side * 0.5, 0.85, 0);
  CgVertex v[4] = { at (b, b->s0, -overhang, b->height, 0, 1),
                    at (b, b->s1, -overhang, b->height, 1, 1),
                    at (b, b->s1, depth, b->height + rise, 1, 0),
                    at (b, b->s0, depth, b->height + rise, 0, 0) };

  cg_canvas_polygon (b->scene->canvas, v, 4, &m);
}

static void
draw_roof (const Built *b)
{
  const CgDesign *d = b->design;
  gdouble depth = MIN (0.5 * DEPTH, 5.0);
  CgMaterial m;

  switch (d->kind->roof) {
  case CG_ROOF_FLAT:
    break;
  case CG_ROOF_SLOPED: {
    CgVertex gable[3] = { at (b, b->s0, 0, b->height, 0, 1),
                          at (b, b->s0, 2 * depth, b->height, 1, 1),
                          at (b, b->s0, depth, b->height + 0.6 * depth, 0.5f, 0) };

    m = cg_scene_material (b->scene, NULL, cg_colour_mix (d->colour, 0x9A948C, 0.4), 0, 0, -1);
    cg_canvas_polygon (b->scene->canvas, gable, 3, &m);
    draw_slope (b, house_texture (b->scene, d, ROOF_ART, 128, 64, paint_roof), 0.45, depth,
                0.6 * depth);
    break;
  }
  case CG_ROOF_MANSARD: {
    CgVertex end[4] = { at (b, b->s0, 0.1, b->height, 0, 1), at (b, b->s0, DEPTH, b->height, 1, 1),
                        at (b, b->s0, DEPTH - 1, b->height + 3.0, 1, 0),
                        at (b, b->s0, 1.0, b->height + 3.0, 0, 0) };

    m = cg_scene_material (b->scene, NULL, d->kind->roof_colour, 0, 0.2, -1);
    cg_canvas_polygon (b->scene->canvas, end, 4, &m);
    draw_slope (b, house_texture (b->scene, d, ROOF_ART, 128, 64, paint_roof), 0.0, 1.1, 3.0);
    break;
  }
  case CG_ROOF_GABLE:
  case CG_ROOF_STEPPED: {
    gdouble rise = 0.5 * (b->s1 - b->s0);
    CgVertex slope[4] = { at (b, b->s0 - 0.2, 0, b->height, 0, 1),
                          at (b, b->s0 - 0.2, DEPTH, b->height, 1, 1),
                          at (b, 0.5 * (b->s0 + b->s1), DEPTH, b->height + rise, 1, 0),
                          at (b, 0.5 * (b->s0 + b->s1), 0, b->height + rise, 0, 0) };

    rise = CLAMP (rise, 1.5, 4.5);
    slope[2] = at (b, 0.5 * (b->s0 + b->s1), DEPTH, b->height + rise, 1, 0);
    slope[3] = at (b, 0.5 * (b->s0 + b->s1), 0, b->height + rise, 0, 0);
    m = cg_scene_material (b->scene, house_texture (b->scene, d, ROOF_ART, 128, 64, paint_roof), 0,
                           0, 0.7, -0.7);
    cg_canvas_polygon (b->scene->canvas, slope, 4, &m);
    m = cg_scene_material (b->scene, house_texture (b->scene, d, GABLE_ART, 128, 64, paint_gable),
                           0, -b->side, 0, 0);
    cg_view_along (&b->scene->view, b->s0, b->s1, b->x, b->height, b->height + rise, &m);
    break;
  }
  }
}

static void
draw_shop (const Built *b)
{
  const CgScene *scene = b->scene;
  const CgDesign *d = b->design;
  gdouble middle = 0.5 * (b->s0 + b->s1), half = MIN (0.5 * (b->s1 - b->s0) - 0.2, 3.4);
  CgMaterial m = cg_scene_glow (scene, sign_texture (scene, b->key, FALSE), 0);

  if (!scene->drive->night)
    cg_drive_shade (scene->drive, -b->side, 0, 0, m.light);
  cg_view_along (&scene->view, middle - half, middle + half, b->x - b->side * 0.12, 2.85, 3.7, &m);
  if (cg_chance (b->key, 31, d->kind->awning)) {
    CgVertex v[4] = { at (b, middle - half, -1.5, 2.35, 0, 1),
                      at (b, middle + half, -1.5, 2.35, 1, 1),
                      at (b, middle + half, -0.05, 2.95, 1, 0),
                      at (b, middle - half, -0.05, 2.95, 0, 0) };

    m = cg_scene_material (scene, house_texture (scene, d, AWNING_ART, 64, 32, paint_awning), 0,
                           -b->side * 0.4, 0.9, 0);
    cg_canvas_polygon (scene->canvas, v, 4, &m);
  }
  if (cg_chance (b->key, 32, d->kind->upright)) {
    gdouble s = cg_range (b->key, 33, b->s0 + 0.3, b->s1 - 0.3), x = b->x - b->side * 0.15;
    gdouble low = cg_range (b->key, 34, 3.6, 5.0), tall = cg_range (b->key, 35, 2.4, 4.4);
    gdouble end = x - b->side * tall * 0.26;

    m = cg_scene_glow (scene, sign_texture (scene, b->key + 1, TRUE), 0);
    cg_view_across (&scene->view, s, MIN (x, end), MAX (x, end), low, low + tall, &m);
  }
}

/* The side wall above what the house before hides: a third of all that would be drawn. */
static void
draw_side (const Built *b, gdouble back, gdouble low, const CgMaterial *m)
{
  CgVertex v[4] = { cg_view_point (&b->scene->view, b->s0, b->x, low),
                    cg_view_point (&b->scene->view, b->s0, back, low),
                    cg_view_point (&b->scene->view, b->s0, back, b->height),
                    cg_view_point (&b->scene->view, b->s0, b->x, b->height) };

  v[0].v = v[1].v = (gfloat)(1.0 - low / b->height);
  v[1].u = v[2].u = 1.0f;
  cg_canvas_polygon (b->scene->canvas, v, 4, m);
}

/* How high the house before, seen from the camera, hides the side of house @i. */
static gdouble
hidden_below (const CgScene *scene, const CgBlock *block, guint side, guint i)
{
  const CgLot *lot = &block->lots[side][i], *before = lot - 1;
  const CgDesign *own = &scene->designs[lot->design], *other;

  if (i == 0)
    return 0.0;
  other = &scene->designs[before->design];
  if (lot->s0 - before->s1 > 0.05 || other->kind->setback > own->kind->setback + 0.05)
    return 0.0;
  return other->height;
}

static void
draw_house (const CgScene *scene, const CgItem *item)
{
  const CgDrive *drive = scene->drive;
  const CgDesign *d = &scene->designs[item->kind];
  gdouble side = item->flag ? 1.0 : -1.0;
  Built b = { scene,     d,         item->s0,
              item->s1,  side,      side * (drive->line + d->kind->setback),
              d->height, item->hash };
  gdouble back = b.x + side * DEPTH;
  /* A corner house looks onto both streets. */
  gboolean corner = d->kind->wall == CG_WALL_GLASS || (item->x == 0.0 && d->kind->gap < 0.1);
  CgMaterial m = cg_scene_material (
      scene, corner ? cg_facade_texture (scene, item->kind) : cg_facade_side (scene, item->kind), 0,
      0, 0, -1);

  if (drive->night) /* its light is in the picture */
    m.light[0] = m.light[1] = m.light[2] = 1.0f;
  if (item->s0 > scene->pose.s && item->x < b.height)
    draw_side (&b, back, item->x, &m);
  m = cg_scene_material (scene, cg_facade_texture (scene, item->kind), 0, -side, 0, 0);
  if (drive->night)
    m.light[0] = m.light[1] = m.light[2] = 1.0f;
  cg_view_along (&scene->view, b.s0, b.s1, b.x, 0.05, b.height, &m);
  draw_roof (&b);
  if (d->shop && d->kind->setback < 2.0)
    draw_shop (&b);
  if (d->kind->fence) {
    m = cg_scene_material (scene, house_texture (scene, d, FENCE_ART, 128, 32, paint_fence), 0,
                           -side, 0, 0);
    cg_view_along (&scene->view, b.s0 - 0.5 * d->kind->gap, b.s1 + 0.5 * d->kind->gap,
                   side * drive->line, 0.05, 2.0, &m);
  }
}

/* The houses of the street that is crossed, behind the corner house. */
static void
draw_side_street (const CgScene *scene, const CgItem *item)
{
  gdouble side = item->flag ? 1.0 : -1.0, x = scene->drive->line + DEPTH;

  for (guint i = 0; x < scene->drive->line + SIDE_STREET; i++) {
    guint design = cg_pick (item->hash, 50 + i, CG_DESIGNS);
    const CgDesign *d = &scene->designs[design];
    CgMaterial m = cg_scene_material (scene, cg_facade_texture (scene, design), 0, 0, 0, -1);
    gdouble a = side * x, b = side * (x + d->width);

    if (scene->drive->night)
      m.light[0] = m.light[1] = m.light[2] = 1.0f;
    cg_view_across (&scene->view, item->s0, MIN (a, b), MAX (a, b), 0.0, d->height, &m);
    x += d->width + d->kind->gap;
  }
}

static void
add_side_street (CgScene *scene, const CgBlock *block, guint side)
{
  const CgLot *corner = &block->lots[side][0];
  CgItem *item;

  if (block->n_lots[side] == 0 || block->start < scene->pose.s + 1.0 ||
      !cg_scene_sees (scene, block->start, block->start))
    return;
  item = cg_scene_add (scene, block->start + 0.5, draw_side_street);
  item->s0 = block->start + scene->designs[corner->design].kind->setback;
  item->hash = corner->key;
  item->flag = side == 1;
}

void
cg_buildings_add (CgScene *scene, const CgBlock *block)
{
  for (guint side = 0; side < 2; side++) {
    add_side_street (scene, block, side);
    for (guint i = 0; i < block->n_lots[side]; i++) {
      const CgLot *lot = &block->lots[side][i];
      CgItem *item;

      if (!cg_scene_sees (scene, lot->s0, lot->s1))
        continue;
      item = cg_scene_add (scene, lot->s1, draw_house);
      item->s0 = lot->s0;
      item->s1 = MIN (lot->s1, scene->pose.s + CG_SIGHT - CG_STEP);
      item->kind = lot->design;
      item->x = hidden_below (scene, block, side, i);
      item->flag = side == 1;
      item->hash = lot->key;
    }
  }
}
