/* Fronts of houses, painted in metres: x from the left, y from the top of the wall.
 *
 * At night the wall is darkened first and the lit windows are painted onto it, so that one picture
 * holds both.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "scene.h"

#include "../chance.h"
#include "../steps.h"

#include <math.h>

#define DENSITY 15 /* pixels per metre, for a small picture */
#define SHOP_HEIGHT 3.9
#define FACADE_KEY 300

typedef struct {
  const CgDrive *drive;
  const CgDesign *design;
  cairo_t *cr;
  gboolean lit; /* only what shines is painted */
} Wall;

/* Chances of a design beyond those of street.c. */
enum {
  BAY = 20,
  GROUND,
  DOOR,
  SHUTTER_DOWN,
  STRIPES,
  FRAME,
  STAIN,
  CURTAIN = 100,
  LAMP = 1000,
  AIR = 2000,
  OPEN = 3000
};

static void
box (const Wall *w, guint32 colour, gdouble shade, gdouble x, gdouble y, gdouble width,
     gdouble height)
{
  if (w->lit)
    return;
  cg_paint_colour (w->cr, colour, shade, 1.0);
  cg_paint_box (w->cr, x, y, width, height);
}

static void
shadow (const Wall *w, gdouble alpha, gdouble x, gdouble y, gdouble width, gdouble height)
{
  if (w->lit)
    return;
  cairo_set_source_rgba (w->cr, 0.05, 0.05, 0.10, alpha);
  cg_paint_box (w->cr, x, y, width, height);
}

/* ---- what walls are made of ---- */

static void
courses (const Wall *w, gdouble step, gdouble thick, gdouble alpha)
{
  for (guint i = 1; i < cg_steps (0.0, w->design->height, step); i++)
    shadow (w, alpha, 0, i * step, w->design->width, thick);
}

static void
joints (const Wall *w, gdouble dx, gdouble dy, gdouble alpha, gboolean staggered)
{
  courses (w, dy, 0.05, alpha);
  for (guint row = 0; row < cg_steps (0.0, w->design->height, dy); row++)
    for (guint i = 1; i < cg_steps (0.0, w->design->width, dx); i++)
      shadow (w, alpha, (staggered && row % 2 == 1 ? i - 0.5 : i) * dx, row * dy, 0.05, dy);
}

static void
bricks (const Wall *w)
{
  guint rows = cg_steps (0.0, w->design->height, 0.3),
        columns = cg_steps (0.0, w->design->width, 0.8);

  /* Rows of mortar, and every third brick of a colour of its own: it looks the same at a third of the cost. */
  for (guint j = 0; j < rows; j++) {
    box (w, w->design->colour, 0.98, 0, 0.3 * j, w->design->width, 0.25);
    for (guint i = 0; i < columns; i++)
      if (cg_chance (w->design->key, 5000 + j * columns + i, 0.35))
        box (w, w->design->colour, cg_range (w->design->key, 9000 + j * columns + i, 0.84, 1.14),
             0.8 * i + (j % 2) * 0.4, 0.3 * j, 0.76, 0.25);
  }
}

static void
paint_wall (const Wall *w)
{
  const CgDesign *d = w->design;

  box (w, d->colour, 1.0, 0, 0, d->width, d->height);
  switch (d->kind->wall) {
  case CG_WALL_BRICK:
    box (w, d->colour, 0.86, 0, 0, d->width, d->height);
    bricks (w);
    break;
  case CG_WALL_STONE:
    joints (w, 1.1, 0.55, 0.16, TRUE);
    break;
  case CG_WALL_BOARDS:
    courses (w, 0.28, 0.06, 0.22);
    break;
  case CG_WALL_TILES:
    joints (w, 0.4, 0.4, 0.13, FALSE);
    break;
  case CG_WALL_PANELS:
    joints (w, 3.0, d->kind->floor_height, 0.3, FALSE);
    break;
  case CG_WALL_CONCRETE:
    joints (w, 2.4, d->kind->floor_height, 0.10, FALSE);
    break;
  case CG_WALL_STUCCO:
  case CG_WALL_GLASS:
    break;
  }
  /* Rain leaves streaks below sills and along the foot. */
  for (guint i = 0; i < 10 && d->kind->wall != CG_WALL_GLASS; i++)
    shadow (w, 0.05, cg_range (d->key, STAIN + 60 + i, 0, d->width),
            cg_range (d->key, STAIN + 70 + i, 0, d->height),
            cg_range (d->key, STAIN + 80 + i, 0.2, 1.0), d->height * 0.4);
}

/* ---- windows ---- */

/* Glass that mirrors the sky above and is darker below; or a lamp behind it. */
static void
glass (const Wall *w, guint id, gdouble x, gdouble y, gdouble width, gdouble height)
{
  guint64 key = w->design->key;
  const guint32 lamps[] = { 0xFFD890, 0xFFE8B8, 0xF4F0E0, 0xFFC070 };

  if (w->lit) {
    if (!cg_chance (key, LAMP + 2 * id, 0.42))
      return;
    cg_paint_colour (w->cr, lamps[cg_pick (key, LAMP + 2 * id + 1, 4)],
                     cg_range (key, LAMP + 3 * id, 0.25, 0.62), 1.0);
    cg_paint_box (w->cr, x, y, width, height);
    cairo_set_source_rgba (w->cr, 0.2, 0.12, 0.05, 0.5);
    cg_paint_box (w->cr, x + 0.48 * width, y, 0.05 * width, height);
    return;
  }
  box (w, 0x4A5663, cg_range (key, CURTAIN + id, 0.62, 1.1), x, y, width, height);
  cairo_set_source_rgba (w->cr, 0.70, 0.80, 0.90, cg_range (key, CURTAIN + 300 + id, 0.10, 0.50));
  cairo_move_to (w->cr, x, y);
  cairo_line_to (w->cr, x + width, y);
  cairo_line_to (w->cr, x + width, y + height * 0.25);
  cairo_line_to (w->cr, x, y + height * 0.7);
  cairo_fill (w->cr);
  if (cg_chance (key, CURTAIN + 600 + id, 0.3)) {
    cg_paint_colour (w->cr, 0xE6DFD0, 0.92, 0.75);
    cg_paint_box (w->cr, x, y, width * 0.28, height);
    cg_paint_box (w->cr, x + 0.72 * width, y, width * 0.28, height);
  } else if (cg_chance (key, CURTAIN + 900 + id, 0.18)) {
    cg_paint_colour (w->cr, 0xDAD6C8, 0.95, 0.85);
    cg_paint_box (w->cr, x, y, width, height * 0.45);
  }
}

/* A window in a frame, recessed: its top and left side lie in shadow. */
static void
framed (const Wall *w, guint id, gdouble x, gdouble y, gdouble width, gdouble height, guint columns,
        guint rows)
{
  guint32 frame = w->design->kind->trim;

  glass (w, id, x, y, width, height);
  shadow (w, 0.38, x, y, width, 0.14);
  shadow (w, 0.25, x, y, 0.08, height);
  for (guint i = 0; i <= columns; i++)
    box (w, frame, 0.97, x + i * width / columns - 0.035, y, 0.07, height);
  for (guint i = 0; i <= rows; i++)
    box (w, frame, 0.97, x, y + i * height / rows - 0.035, width, 0.07);
}

static void
sill (const Wall *w, gdouble x, gdouble y, gdouble width)
{
  box (w, w->design->kind->trim, 0.95, x - 0.12, y, width + 0.24, 0.13);
  shadow (w, 0.3, x - 0.12, y + 0.13, width + 0.24, 0.1);
}

static void
surround (const Wall *w, gdouble x, gdouble y, gdouble width, gdouble height)
{
  box (w, w->design->kind->trim, 1.0, x - 0.17, y - 0.22, width + 0.34, height + 0.3);
}

static void
arched (const Wall *w, guint id, gdouble x, gdouble y, gdouble width, gdouble height)
{
  surround (w, x, y, width, height);
  framed (w, id, x, y + 0.3, width, height - 0.3, 2, 2);
  if (w->lit)
    return;
  cg_paint_colour (w->cr, 0x56626E, 1.0, 1.0);
  cairo_arc (w->cr, x + 0.5 * width, y + 0.35, 0.5 * width, G_PI, 2 * G_PI);
  cairo_fill (w->cr);
  cg_paint_colour (w->cr, w->design->kind->trim, 0.9, 1.0);
  cairo_set_line_width (w->cr, 0.14);
  cairo_arc (w->cr, x + 0.5 * width, y + 0.35, 0.5 * width + 0.07, G_PI, 2 * G_PI);
  cairo_stroke (w->cr);
}

static void
shutters (const Wall *w, guint id, gdouble x, gdouble y, gdouble width, gdouble height)
{
  gboolean closed = cg_chance (w->design->key, OPEN + id, 0.3);
  gdouble leaf = 0.5 * width, left = closed ? x : x - leaf, right = closed ? x + leaf : x + width;

  framed (w, id, x, y, width, height, 2, 3);
  for (guint i = 0; i < 2; i++) {
    gdouble at = i == 0 ? left : right;

    box (w, w->design->kind->shutter, 1.0, at, y, leaf - 0.03, height);
    for (guint k = 0; k < cg_steps (0.12, height, 0.22); k++)
      shadow (w, 0.22, at + 0.05, y + 0.12 + 0.22 * k, leaf - 0.13, 0.07);
  }
  sill (w, x, y + height, width);
}

static void
bay_window (const Wall *w, guint id, gdouble x, gdouble y, gdouble width, gdouble height)
{
  shadow (w, 0.3, x - 0.35, y - 0.3, width + 0.9, height + 0.9);
  box (w, w->design->kind->trim, 1.0, x - 0.45, y - 0.35, width + 0.9, height + 0.95);
  framed (w, id, x, y, width, height, 1, 2);
  framed (w, id, x - 0.38, y, 0.32, height, 1, 2);
  framed (w, id, x + width + 0.06, y, 0.32, height, 1, 2);
}

static void
window (const Wall *w, guint id, gdouble x, gdouble top, gdouble bay, gdouble storey)
{
  gdouble width = bay * 0.42, height = storey * 0.5, at = x + 0.5 * (bay - width),
          y = top + storey * 0.24;

  switch (w->design->kind->window) {
  case CG_WINDOW_CASEMENT:
    surround (w, at, y, width, height);
    framed (w, id, at, y, width, height, 2, 1);
    sill (w, at, y + height, width);
    break;
  case CG_WINDOW_SASH:
    framed (w, id, at, y, width * 0.92, height * 1.1,
            cg_chance (w->design->key, FRAME, 0.5) ? 2 : 1, 2);
    box (w, w->design->kind->trim, 0.98, at - 0.12, y - 0.28, width * 0.92 + 0.24, 0.26);
    sill (w, at, y + height * 1.1, width * 0.92);
    break;
  case CG_WINDOW_FRENCH:
    surround (w, at, top + storey * 0.14, width, storey * 0.8);
    framed (w, id, at, top + storey * 0.14, width, storey * 0.8, 2, 3);
    break;
  case CG_WINDOW_SHUTTERS:
    shutters (w, id, at, y - 0.1, width * 0.95, height * 1.25);
    break;
  case CG_WINDOW_STRIP:
    framed (w, id, x, y, bay, storey * 0.5, 2, 1);
    break;
  case CG_WINDOW_CURTAIN:
    glass (w, id, x, top, bay, storey);
    box (w, w->design->kind->trim, 0.8, x, top, 0.1, storey);
    box (w, w->design->kind->trim, 0.8, x + 0.5 * bay, top, 0.06, storey);
    box (w, w->design->colour, 0.85, x, top + storey - 0.55, bay, 0.55);
    break;
  case CG_WINDOW_GRILLE:
    framed (w, id, at, y, width, height, 2, 1);
    for (guint k = 0; k < cg_steps (0.1, width, 0.2); k++)
      box (w, w->design->kind->shutter, 0.9, at + 0.1 + 0.2 * k, y - 0.05, 0.05, height + 0.1);
    for (guint k = 0; k < cg_steps (0.2, height, 0.4); k++)
      box (w, w->design->kind->shutter, 0.9, at, y + 0.2 + 0.4 * k, width, 0.05);
    box (w, w->design->kind->trim, 0.9, at - 0.25, y - 0.35, width + 0.5,
         0.16); /* a slab against sun and rain */
    shadow (w, 0.3, at - 0.2, y - 0.19, width + 0.4, 0.22);
    break;
  case CG_WINDOW_ARCHED:
    arched (w, id, at, y - 0.1, width, height * 1.15);
    break;
  case CG_WINDOW_BAY:
    bay_window (w, id, at, y, width, height);
    break;
  case CG_WINDOW_SLIDING:
    framed (w, id, x + bay * 0.14, y, bay * 0.72, height * 1.05, 2, 1);
    break;
  }
  if (cg_chance (w->design->key, AIR + id, w->design->kind->air)) {
    box (w, 0xDEDED8, 0.95, at + width * 0.2, y + height + 0.25, 0.85, 0.55);
    shadow (w, 0.45, at + width * 0.2 + 0.1, y + height + 0.33, 0.42, 0.4);
  }
}

/* ---- balconies ---- */

static void
bars (const Wall *w, guint32 colour, gdouble x, gdouble y, gdouble width, gdouble height,
      gdouble step)
{
  for (guint k = 0; k < cg_steps (0.0, width, step); k++)
    box (w, colour, 1.0, x + k * step, y, 0.045, height);
  box (w, colour, 1.0, x, y, width, 0.07);
}

static void
balcony (const Wall *w, gdouble x, gdouble top, gdouble bay, gdouble storey)
{
  gdouble y = top + storey - 1.0;

  switch (w->design->kind->balcony) {
  case CG_BALCONY_NONE:
    return;
  case CG_BALCONY_IRON:
    box (w, w->design->kind->trim, 0.9, x + 0.1 * bay, top + storey - 0.1, 0.8 * bay, 0.16);
    shadow (w, 0.35, x + 0.1 * bay, top + storey + 0.06, 0.8 * bay, 0.3);
    bars (w, 0x222428, x + 0.1 * bay, y, 0.8 * bay, 0.95, 0.17);
    break;
  case CG_BALCONY_SLAB:
    shadow (w, 0.4, x, top + 0.05, bay, 0.55);
    box (w, cg_colour_mix (w->design->colour, w->design->kind->trim, 0.5), 1.02, x + 0.05, y,
         bay - 0.1, 1.0);
    shadow (w, 0.4, x + 0.05, top + storey, bay - 0.1, 0.4);
    break;
  case CG_BALCONY_GLASS:
    box (w, w->design->kind->trim, 1.0, x, top + storey - 0.16, bay, 0.2);
    if (!w->lit) {
      cg_paint_colour (w->cr, 0xA8C4CC, 1.0, 0.55);
      cg_paint_box (w->cr, x + 0.05, y, bay - 0.1, 0.86);
    }
    shadow (w, 0.4, x, top + storey + 0.04, bay, 0.4);
    break;
  case CG_BALCONY_WOOD:
    box (w, w->design->kind->shutter, 0.9, x, top + storey - 0.1, bay, 0.14);
    bars (w, w->design->kind->shutter, x, y, bay, 0.95, 0.22);
    box (w, w->design->kind->shutter, 0.8, x, top, 0.12, storey);
    shadow (w, 0.3, x, top, bay, 0.5);
    break;
  }
}

/* ---- the ground floor ---- */

static void
shop_front (const Wall *w)
{
  const CgDesign *d = w->design;
  gdouble top = d->height - SHOP_HEIGHT, panes = MAX (1.0, floor (d->width / 2.6)),
          step = d->width / panes;
  guint32 frame = (guint32[]){
    0x2A2C30, 0x6A5040, 0xB8B8B4, 0x23402F, 0x4C2028, 0x2C3C58
  }[cg_pick (d->key, FRAME, 6)];

  if (w->lit) {
    if (cg_chance (d->key, SHUTTER_DOWN, 0.3))
      return;
    for (guint i = 0; i < (guint)panes; i++) {
      cg_paint_colour (w->cr, 0xFFE9C0, cg_range (d->key, LAMP + 900 + i, 0.4, 0.6), 1.0);
      cg_paint_box (w->cr, i * step + 0.15, top + 1.3, step - 0.3, SHOP_HEIGHT - 1.75);
      cairo_set_source_rgba (w->cr, 0.3, 0.2, 0.1, 0.5);
      for (guint k = 0; k < 5; k++)
        cg_paint_box (w->cr, i * step + 0.2 + k * step / 6,
                      d->height - 1.2 - 0.5 * cg_unit (d->key, LAMP + 950 + i * 5 + k), step / 9,
                      0.8);
    }
    return;
  }
  box (w, frame, 0.9, 0, top + 1.1, d->width, SHOP_HEIGHT - 1.1);
  for (guint i = 0; i < (guint)panes; i++) {
    gdouble x = i * step + 0.12, width = step - 0.24;
    gboolean door = i == cg_pick (d->key, DOOR, (guint)panes);

    if (cg_chance (d->key, SHUTTER_DOWN + 7 * (i + 1), 0.16)) {
      box (w, 0xA4A6A6, 0.9, x, top + 1.3, width, SHOP_HEIGHT - 1.4);
      for (guint k = 0; k < cg_steps (1.4, SHOP_HEIGHT - 0.1, 0.24); k++)
        shadow (w, 0.2, x, top + 1.4 + 0.24 * k, width, 0.08);
      continue;
    }
    box (w, 0x30363C, 1.0, x, top + 1.3, width, SHOP_HEIGHT - (door ? 1.35 : 1.85));
    /* Goods behind the glass. */
    for (guint k = 0; k < 6; k++) {
      guint32 goods = (guint32[]){
        0xC04830, 0xD8B040, 0x4878A0, 0xE8E0D0, 0x508048, 0xB07090
      }[cg_pick (d->key, 700 + 6 * i + k, 6)];

      box (w, goods, 0.72, x + width * k / 6.0,
           d->height - 1.5 - 0.7 * cg_unit (d->key, 800 + 6 * i + k), width / 8.0, 0.7);
    }
    cairo_set_source_rgba (w->cr, 0.75, 0.83, 0.9, 0.26);
    cairo_move_to (w->cr, x, top + 1.3);
    cairo_line_to (w->cr, x + width * 0.8, top + 1.3);
    cairo_line_to (w->cr, x, d->height - 0.9);
    cairo_fill (w->cr);
    if (door)
      box (w, frame, 1.25, x + 0.3 * width, top + 1.3, 0.09, SHOP_HEIGHT - 1.35);
  }
  shadow (w, 0.35, 0, top + 1.1, d->width, 0.25);
}

static void
front_door (const Wall *w, gdouble x, gdouble bay)
{
  const CgDesign *d = w->design;
  guint32 door = (guint32[]){
    0x5A3A26, 0x22352C, 0x7A1F22, 0x1F2E4A, 0x30302F, 0xC9C4B8
  }[cg_pick (d->key, DOOR, 6)];
  gdouble width = MIN (1.15, 0.5 * bay), at = x + 0.5 * (bay - width);

  box (w, d->kind->trim, 1.0, at - 0.18, d->height - 2.75, width + 0.36, 2.75);
  box (w, door, 1.0, at, d->height - 2.25, width, 2.1);
  shadow (w, 0.3, at, d->height - 2.25, width, 0.15);
  glass (w, 290, at + 0.05, d->height - 2.6, width - 0.1, 0.3);
  box (w, 0x9A968E, 1.0, at - 0.3, d->height - 0.18, width + 0.6, 0.18);
}

static void
paint_floors (const Wall *w)
{
  const CgDesign *d = w->design;
  gdouble storey = d->kind->floor_height,
          wish = d->kind->window == CG_WINDOW_CURTAIN ? 1.8 : 2.4 + 0.9 * cg_unit (d->key, BAY);
  guint bays = (guint)MAX (1.0, floor (d->width / wish)), door = cg_pick (d->key, DOOR + 50, bays);
  gdouble bay = d->width / bays;
  guint upper = d->floors - 1;

  for (guint f = 0; f < d->floors; f++) {
    gdouble top = 0.2 + f * storey;

    if (f == upper && d->shop)
      break;
    for (guint b = 0; b < bays; b++) {
      if (f == upper && b == door) {
        front_door (w, b * bay, bay);
        continue;
      }
      window (w, f * 16 + b, b * bay, top, bay, storey);
      /* Balconies of stone run along every floor, others stand alone. */
      if (f < upper && (d->kind->balcony != CG_BALCONY_IRON || (b + (guint)(d->key & 1)) % 2 == 0))
        balcony (w, b * bay, top, bay, storey);
    }
  }
  if (d->shop)
    shop_front (w);
}

static void
paint_trim (const Wall *w)
{
  const CgDesign *d = w->design;

  if (d->kind->wall == CG_WALL_GLASS)
    return;
  if (d->kind->roof == CG_ROOF_FLAT || d->kind->roof == CG_ROOF_MANSARD) {
    box (w, d->kind->trim, 1.0, 0, 0, d->width, 0.3);
    shadow (w, 0.32, 0, 0.3, d->width, 0.22);
  }
  if (d->floors > 2 && (d->kind->wall == CG_WALL_STUCCO || d->kind->wall == CG_WALL_STONE ||
                        d->kind->wall == CG_WALL_BRICK))
    box (w, d->kind->trim, 0.95, 0, d->height - SHOP_HEIGHT, d->width, 0.18);
  shadow (w, 0.12, 0, d->height - 0.5, d->width, 0.5);
  shadow (w, 0.22, 0, 0, 0.07, d->height);
}

/* ---- the pictures ---- */

static void
darken (cairo_t *cr, const CgDrive *drive)
{
  gfloat light[3];

  cg_drive_shade (drive, 0.0, 0.0, -0.3, light);
  cairo_save (cr);
  cairo_identity_matrix (cr);
  cairo_set_operator (cr, CAIRO_OPERATOR_MULTIPLY);
  cairo_set_source_rgb (cr, light[0], light[1], light[2]);
  cairo_paint (cr);
  cairo_restore (cr);
}

static void
paint_facade (CgArt *art, cairo_t *cr, guint width, guint height, gconstpointer data)
{
  const Wall *given = data;
  Wall w = { given->drive, given->design, cr, FALSE };

  cairo_scale (cr, width / w.design->width, height / w.design->height);
  cairo_set_antialias (cr, CAIRO_ANTIALIAS_FAST);
  paint_wall (&w);
  paint_trim (&w);
  paint_floors (&w);
  cg_paint_grain (cr, w.design->key, w.design->kind->wall == CG_WALL_GLASS ? 0.03 : 0.09);
  if (w.drive->night) {
    darken (cr, w.drive);
    w.lit = TRUE;
    paint_floors (&w);
  }
}

static void
paint_side (CgArt *art, cairo_t *cr, guint width, guint height, gconstpointer data)
{
  const Wall *given = data;
  Wall w = { given->drive, given->design, cr, FALSE };
  CgDesign plain = *given->design;

  /* A party wall: cheaper than the front. */
  plain.width = 10.0;
  plain.colour = cg_colour_mix (plain.colour, 0x9A948C, 0.4);
  w.design = &plain;
  cairo_scale (cr, width / plain.width, height / plain.height);
  paint_wall (&w);
  for (guint f = 0; f + 1 < plain.floors; f++)
    if (cg_chance (plain.key, 60 + f, 0.35))
      framed (&w, 200 + f, 3.0 + 3.0 * (f % 2), 0.9 + f * plain.kind->floor_height, 0.9, 1.2, 1, 2);
  cg_paint_grain (cr, plain.key + 1, 0.11);
  if (w.drive->night)
    darken (cr, w.drive);
}

const CgTexture *
cg_facade_texture (const CgScene *scene, guint index)
{
  const CgDesign *design = &scene->designs[index];
  Wall wall = { .drive = scene->drive, .design = design };
  guint density = DENSITY * scene->detail;

  return cg_art_get (scene->art, cg_hash (design->key, FACADE_KEY + scene->detail),
                     MIN (512 * scene->detail, (guint)(design->width * density * 0.8)),
                     MIN (512 * scene->detail, (guint)(design->height * density * 0.8)), FALSE,
                     paint_facade, &wall);
}

const CgTexture *
cg_facade_side (const CgScene *scene, guint index)
{
  const CgDesign *design = &scene->designs[index];
  Wall wall = { .drive = scene->drive, .design = design };

  return cg_art_get (scene->art, cg_hash (design->key, FACADE_KEY + 50), 64, 128, FALSE, paint_side,
                     &wall);
}
