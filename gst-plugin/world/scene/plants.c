/* Trees and bushes: pictures that face the camera, painted of many blots of leaves.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "scene.h"

#include "../chance.h"

#include <math.h>

#define TREE_KEY 500
#define VARIANTS 3

/* Seasons of a leaf: the colours of summer and autumn; @evergreen keeps its own. @crown: metres. */
static const struct {
  guint32 leaf, autumn, bark;
  gboolean evergreen;
  gdouble height[2], width;
} species[] = {
  [CG_TREE_BROAD] = { 0x4F7A34, 0xB8802C, 0x5A4A3A, FALSE, { 6.5, 10 }, 0.8 },
  [CG_TREE_PLANE] = { 0x6A8A40, 0xB09040, 0xA8A08A, FALSE, { 9, 14 }, 0.75 },
  [CG_TREE_LINDEN] = { 0x4C7232, 0xC8A832, 0x4C4238, FALSE, { 8, 12 }, 0.65 },
  [CG_TREE_BIRCH] = { 0x86A04C, 0xD8B43C, 0xE4E0D8, FALSE, { 7, 11 }, 0.5 },
  [CG_TREE_CONIFER] = { 0x2C4A30, 0x2C4A30, 0x4A382A, TRUE, { 8, 15 }, 0.42 },
  [CG_TREE_CYPRESS] = { 0x2E4A2C, 0x2E4A2C, 0x50402E, TRUE, { 8, 13 }, 0.16 },
  [CG_TREE_PALM] = { 0x5C8038, 0x5C8038, 0x9A8C78, TRUE, { 8, 14 }, 0.5 },
  [CG_TREE_DATE_PALM] = { 0x6A8050, 0x6A8050, 0x7A6248, TRUE, { 6, 10 }, 0.75 },
  [CG_TREE_UMBRELLA] = { 0x3C6030, 0x3C6030, 0x6A5440, TRUE, { 8, 12 }, 1.15 },
  [CG_TREE_EUCALYPT] = { 0x76875C, 0x76875C, 0xC8BCA8, TRUE, { 9, 15 }, 0.7 },
  [CG_TREE_JACARANDA] = { 0x8A70C0, 0x6A8A48, 0x6A5A4A, FALSE, { 7, 10 }, 1.0 },
  [CG_TREE_GINKGO] = { 0x7A9A3C, 0xF0CC30, 0x5A4E42, FALSE, { 7, 12 }, 0.5 },
  [CG_TREE_OLIVE] = { 0x748264, 0x748264, 0x5A5046, TRUE, { 4, 6 }, 0.95 },
  [CG_TREE_OAK] = { 0x42642E, 0x5C6A30, 0x4A4036, TRUE, { 9, 13 }, 1.25 },
};

typedef struct {
  const CgDrive *drive;
  CgTree tree;
  guint variant;
} Plant;

/* 0: bare, 1: full of leaves; and how far into autumn. By the temperature of the season. */
static void
season (const CgDrive *drive, CgTree tree, gdouble *leaves, gdouble *autumn)
{
  gdouble latitude =
      cg_places_get (cg_places_cityguessr68k (), CG_CITY, drive->city->place)->latitude;
  gdouble month = fmod (drive->day / 30.4 + (latitude < 0.0 ? 6.0 : 0.0), 12.0);

  *leaves = 1.0;
  *autumn = 0.0;
  if (species[tree].evergreen || drive->city->coldest > 14.0)
    return;
  *autumn = CLAMP ((month - 9.2) / 1.2, 0.0, 1.0) * (month > 9.0 ? 1.0 : 0.0);
  *leaves = month > 10.6 || month < 3.0 ? 0.0 : month < 4.2 ? (month - 3.0) / 1.2 : 1.0;
}

static void
twigs (cairo_t *cr, guint64 key, gdouble x, gdouble y, gdouble angle, gdouble length, guint depth)
{
  gdouble x1 = x + length * sin (angle), y1 = y - length * cos (angle);

  cairo_set_line_width (cr, 0.008 + 0.006 * depth);
  cairo_move_to (cr, x, y);
  cairo_line_to (cr, x1, y1);
  cairo_stroke (cr);
  if (depth == 0)
    return;
  for (guint i = 0; i < 3; i++)
    twigs (cr, cg_hash (key, i), x1, y1, angle + cg_range (key, 10 + i, -0.75, 0.75),
           length * cg_range (key, 20 + i, 0.6, 0.8), depth - 1);
}

static void
blots (cairo_t *cr, guint64 key, guint32 leaf, gdouble cx, gdouble cy, gdouble rx, gdouble ry,
       guint n, gdouble size)
{
  for (guint i = 0; i < n; i++) {
    gdouble a = cg_range (key, 4 * i, 0, 2 * G_PI), r = sqrt (cg_unit (key, 4 * i + 1));
    gdouble x = cx + rx * r * cos (a), y = cy + ry * r * sin (a);
    /* Light comes from above: leaves are darker below. */
    gdouble shade = 1.02 - 0.42 * (y - cy) / ry + cg_range (key, 4 * i + 2, -0.22, 0.16);

    cg_paint_colour (cr, leaf, shade * 0.92, 0.95);
    cairo_arc (cr, x, y, size * cg_range (key, 4 * i + 3, 0.5, 1.2), 0, 2 * G_PI);
    cairo_fill (cr);
  }
}

static void
trunk (cairo_t *cr, guint32 bark, gdouble top, gdouble width)
{
  cg_paint_colour (cr, bark, 1.0, 1.0);
  cairo_move_to (cr, 0.5 - width, 1.0);
  cairo_line_to (cr, 0.5 - 0.6 * width, top);
  cairo_line_to (cr, 0.5 + 0.6 * width, top);
  cairo_line_to (cr, 0.5 + width, 1.0);
  cairo_fill (cr);
  cg_paint_colour (cr, 0x000000, 1.0, 0.25);
  cg_paint_box (cr, 0.5 + 0.1 * width, top, 0.8 * width, 1.0 - top);
}

static void
fronds (cairo_t *cr, guint64 key, guint32 leaf, gdouble top, gdouble reach, guint n)
{
  for (guint i = 0; i < n; i++) {
    gdouble a = -1.9 + 3.8 * i / (n - 1.0) + cg_range (key, i, -0.1, 0.1),
            x = 0.5 + reach * sin (a);
    gdouble rise = top - 0.16 * cos (a) - 0.02,
            droop = top + 0.10 + 0.10 * fabs (sin (a)) - 0.10 * cos (a);

    cg_paint_colour (cr, leaf, cg_range (key, 30 + i, 0.65, 1.15), 1.0);
    cairo_move_to (cr, 0.5, top);
    cairo_curve_to (cr, 0.5 + 0.4 * (x - 0.5), rise, 0.5 + 0.8 * (x - 0.5), rise, x, droop);
    cairo_curve_to (cr, 0.5 + 0.7 * (x - 0.5), rise + 0.055, 0.5 + 0.4 * (x - 0.5), rise + 0.055,
                    0.5, top + 0.02);
    cairo_fill (cr);
  }
}

/* Unit square, (0.5, 1) is the foot. */
static void
paint_tree (CgArt *art, cairo_t *cr, guint width, guint height, gconstpointer data)
{
  const Plant *p = data;
  guint64 key = cg_hash (TREE_KEY + p->tree, p->variant);
  gdouble leaves, autumn;
  guint32 leaf = species[p->tree].leaf, bark = species[p->tree].bark;

  season (p->drive, p->tree, &leaves, &autumn);
  leaf = cg_colour_mix (leaf, species[p->tree].autumn, autumn);
  if (p->tree == CG_TREE_JACARANDA &&
      !(p->drive->day > 260 && p->drive->day < 340)) /* the southern spring */
    leaf = 0x5E8040;
  cairo_scale (cr, width, height);
  switch (p->tree) {
  case CG_TREE_PALM:
    trunk (cr, bark, 0.2, 0.022);
    fronds (cr, key, leaf, 0.2, 0.46, 13);
    break;
  case CG_TREE_DATE_PALM:
    trunk (cr, bark, 0.3, 0.04);
    fronds (cr, key, leaf, 0.3, 0.48, 19);
    fronds (cr, key + 1, leaf, 0.27, 0.36, 11);
    break;
  case CG_TREE_CONIFER:
    trunk (cr, bark, 0.8, 0.03);
    for (guint i = 0; i < 9; i++) {
      gdouble y = 0.9 - 0.1 * i, w = 0.46 * (1.0 - i / 9.5);

      cg_paint_colour (cr, leaf, 0.8 + 0.06 * i, 1.0);
      cairo_move_to (cr, 0.5 - w, y);
      cairo_line_to (cr, 0.5, y - 0.19);
      cairo_line_to (cr, 0.5 + w, y);
      cairo_fill (cr);
    }
    break;
  case CG_TREE_CYPRESS:
    trunk (cr, bark, 0.9, 0.08);
    blots (cr, key, leaf, 0.5, 0.5, 0.34, 0.46, 150, 0.09);
    break;
  case CG_TREE_UMBRELLA:
    trunk (cr, bark, 0.3, 0.025);
    blots (cr, key, leaf, 0.5, 0.24, 0.46, 0.17, 160, 0.05);
    break;
  case CG_TREE_EUCALYPT:
    trunk (cr, bark, 0.35, 0.03);
    cg_paint_colour (cr, bark, 0.95, 1.0);
    twigs (cr, key, 0.5, 0.6, 0.0, 0.2, 3);
    for (guint i = 0; i < 5; i++)
      blots (cr, key + i, leaf, cg_range (key, 50 + i, 0.25, 0.75),
             cg_range (key, 60 + i, 0.15, 0.5), 0.22, 0.13, 45, 0.04);
    break;
  case CG_TREE_BROAD:
  case CG_TREE_PLANE:
  case CG_TREE_LINDEN:
  case CG_TREE_BIRCH:
  case CG_TREE_JACARANDA:
  case CG_TREE_GINKGO:
  case CG_TREE_OLIVE:
  case CG_TREE_OAK:
    trunk (cr, bark, 0.5, p->tree == CG_TREE_OAK ? 0.045 : 0.03);
    cg_paint_colour (cr, bark, 0.9, 1.0);
    twigs (cr, key, 0.5, 0.66, 0.0, 0.2, 4);
    if (leaves > 0.0) {
      blots (cr, key, leaf, 0.5, 0.36, 0.42, 0.31, (guint)(120 * leaves), 0.075);
      blots (cr, key + 1, leaf, 0.5, 0.34, 0.45, 0.32, (guint)(140 * leaves), 0.04);
    }
    break;
  }
  if (p->drive->snow > 0.4) {
    cairo_set_operator (cr, CAIRO_OPERATOR_ATOP);
    blots (cr, key + 9, 0xF0F2F8, 0.5, 0.3, 0.45, 0.3, 90, 0.03);
  }
}

static void
draw_tree (const CgScene *scene, const CgItem *item)
{
  const CgDrive *drive = scene->drive;
  Plant p = { drive, (CgTree)item->kind, cg_pick (item->hash, 0, VARIANTS) };
  gdouble height = cg_range (item->hash, 1, species[p.tree].height[0], species[p.tree].height[1]);
  gdouble wide = height * species[p.tree].width, leaves, autumn;
  guint size = 128 * MIN (scene->detail, 2);
  guint64 key = cg_hash (cg_hash (TREE_KEY + p.tree, p.variant), scene->detail);
  CgMaterial m;

  if (item->flag) { /* a bush */
    height = cg_range (item->hash, 2, 0.9, 1.8);
    wide = 1.4 * height;
  }
  season (drive, p.tree, &leaves, &autumn);
  key = cg_hash (key, (guint64)(leaves * 8) * 64 + (guint64)(autumn * 8) * 2 + (drive->snow > 0.4) +
                          4096 * (drive->day > 260 && drive->day < 340));
  m = cg_scene_material (scene, cg_art_get (scene->art, key, size, size, FALSE, paint_tree, &p), 0,
                         0, 0.5, -0.4);
  {
    /* What lies in its shadow. */
    CgMaterial dark = cg_scene_material (scene, NULL, 0x101418, 0, 1, 0);

    dark.alpha = drive->cloud < 0.6 ? 0.35f : 0.16f;
    cg_view_flat (&scene->view, item->s0 - 0.3 * wide, item->s0 + 0.3 * wide, item->x - 0.3 * wide,
                  item->x + 0.3 * wide, 0.14, 0, &dark);
  }
  cg_view_board (&scene->view, item->s0, item->x, 0.1, wide, height, &m);
}

void
cg_plants_add (CgScene *scene, const CgProp *prop)
{
  const CgCity *city = scene->drive->city;
  CgItem *item = cg_scene_add (scene, prop->s, draw_tree);

  item->s0 = prop->s;
  item->x = prop->x;
  item->hash = prop->key;
  /* A street is lined by one kind, now and then there is another. */
  item->kind =
      city->trees[cg_chance (prop->key, 5, 0.8) ? cg_pick (scene->drive->key, 510, city->n_trees)
                                                : cg_pick (prop->key, 6, city->n_trees)];
  item->flag = prop->kind == CG_PROP_BUSH;
  if (item->flag)
    item->kind = CG_TREE_BROAD;
}
