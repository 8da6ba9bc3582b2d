/* See street.h.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "street.h"

#include "chance.h"
#include "steps.h"

#include <math.h>

#define DESIGN_KEY 1000
#define BLOCK_KEY 5000

/* The weight of a kind is its share of the street, so wide houses are fewer. */
static gdouble
share_of (const CgBuildings *kind)
{
  return kind->weight / (kind->width[0] + kind->width[1] + 2.0 * kind->gap);
}

static const CgBuildings *
choose_kind (const CgCity *city, gdouble chance)
{
  gdouble sum = 0.0;

  for (guint i = 0; i < city->n_kinds; i++)
    sum += share_of (&city->kinds[i]);
  chance *= sum;
  for (guint i = 0; i + 1 < city->n_kinds; i++) {
    if (chance < share_of (&city->kinds[i]))
      return &city->kinds[i];
    chance -= share_of (&city->kinds[i]);
  }
  return &city->kinds[city->n_kinds - 1];
}

void
cg_street_design (const CgDrive *drive, guint index, CgDesign *design)
{
  guint64 key = cg_hash (drive->key, DESIGN_KEY + index);
  const CgBuildings *kind;

  /* Spread evenly over the kinds, so that each drive shows about the city's mixture. */
  kind = choose_kind (drive->city,
                      fmod (cg_unit (drive->key, DESIGN_KEY) + (gdouble)index * 0.618034, 1.0));
  design->kind = kind;
  design->key = key;
  design->colour = kind->colours[cg_pick (key, 0, kind->n_colours)];
  design->floors = kind->floors[0] + cg_pick (key, 1, kind->floors[1] - kind->floors[0] + 1);
  design->width = cg_range (key, 2, kind->width[0], kind->width[1]);
  design->shop = cg_chance (key, 3, kind->shop);
  design->height = design->floors * kind->floor_height + (design->shop ? 1.0 : 0.4);
}

gint64
cg_street_block_at (const CgDrive *drive, gdouble s)
{
  return (gint64)floor (s / drive->period);
}

static void
lay_out_lots (const CgDrive *drive, CgBlock *block, guint side, guint64 key)
{
  gdouble s = block->start;
  guint n = 0;

  while (n < CG_LOTS_MAX) {
    CgLot *lot = &block->lots[side][n];
    CgDesign design;

    lot->key = cg_hash (key, n);
    lot->design = cg_pick (lot->key, 0, CG_DESIGNS);
    cg_street_design (drive, lot->design, &design);
    lot->s0 = s;
    lot->s1 = s + design.width;
    if (lot->s1 > block->end - 2.5) {
      /* The last house fills what is left, if it can. */
      if (block->end - s < 0.6 * design.width)
        break;
      lot->s1 = block->end;
    }
    s = lot->s1 + design.kind->gap * cg_range (lot->key, 1, 0.5, 1.4);
    n++;
    if (lot->s1 >= block->end)
      break;
  }
  block->n_lots[side] = n;
}

static void
add (CgBlock *block, CgPropKind kind, gdouble s, gdouble x, guint64 key)
{
  if (block->n_props < CG_PROPS_MAX)
    block->props[block->n_props++] = (CgProp){ kind, s, x, key };
}

/* Everything that stands in a row along one side. */
static void
lay_out_row (const CgDrive *drive, CgBlock *block, gdouble side, guint64 key)
{
  const CgCity *city = drive->city;
  gdouble edge = drive->kerb + 0.55, spacing = cg_range (drive->key, 900, 7.0, 13.0);
  guint64 chance = cg_hash (key, 1);
  const gdouble start = block->start, end = block->end;

  for (guint i = 0; i < cg_steps (start + 3.0, end - 2.0, spacing); i++) {
    gdouble at = start + 3.0 + i * spacing + cg_range (chance, 2 * i, -0.8, 0.8);

    if (drive->pavement > 1.9 && cg_chance (chance, 2 * i + 1, city->trees_amount))
      add (block, CG_PROP_TREE, at, side * (edge + 0.3), cg_hash (chance, 100 + i));
  }
  chance = cg_hash (key, 2);
  for (guint i = 0; i < cg_steps (start + 8.0, end, 26.0); i++)
    add (block, CG_PROP_LAMP, start + 8.0 + 26.0 * i, side * edge, cg_hash (chance, i));
  if (city->country->pole != CG_POLE_NONE && cg_chance (drive->key, 901, city->country->wires) &&
      (side > 0.0) == cg_chance (drive->key, 902, 0.5))
    for (guint i = 0; i < 3; i++)
      add (block, CG_PROP_POLE, start + 1.0 + 0.5 * i * (drive->block - 2.0), side * (edge - 0.1),
           cg_hash (chance, 50));
  chance = cg_hash (key, 3);
  if (drive->parking)
    for (guint i = 0; i < cg_steps (start + 5.0, end - 6.0, 5.9); i++)
      if (cg_chance (chance, 2 * i, 0.62))
        add (block, CG_PROP_PARKED, start + 5.0 + 5.9 * i, side * (drive->kerb - 1.1),
             cg_hash (chance, 2 * i + 1));
  chance = cg_hash (key, 4);
  for (guint i = 0; i < 3; i++)
    if (cg_chance (chance, 3 * i, 0.4))
      add (block, CG_PROP_BIN, cg_range (chance, 3 * i + 1, block->start, block->end), side * edge,
           cg_hash (chance, 3 * i + 2));
  if (cg_chance (chance, 20, 0.18) && drive->pavement > 2.4)
    add (block, CG_PROP_SHELTER, cg_range (chance, 21, block->start + 10.0, block->end - 10.0),
         side * (edge + 0.6), cg_hash (chance, 22));
}

/* Signs stand where the camera's side of the road is. */
static void
lay_out_signs (const CgDrive *drive, CgBlock *block, guint64 key)
{
  gdouble own = cg_drive_own_side (drive), edge = own * (drive->kerb + 0.45);

  block->has_lights = cg_chance (key, 0, 0.45);
  if (block->has_lights)
    add (block, CG_PROP_LIGHTS, block->end - 0.5, edge, cg_hash (key, 1));
  else if (cg_chance (key, 2, 0.4))
    add (block, CG_PROP_STOP, block->end - 1.5, edge, cg_hash (key, 3));
  if (cg_chance (key, 4, 0.75))
    add (block, CG_PROP_STREET_NAME, block->end - 0.4, cg_chance (key, 5, 0.5) ? edge : -edge,
         cg_hash (key, 6));
  if (cg_chance (key, 7, 0.3))
    add (block, CG_PROP_WARNING, cg_range (key, 8, block->start + 12.0, block->end - 20.0), edge,
         cg_hash (key, 9));
  if (cg_chance (key, 10, 0.3))
    add (block, CG_PROP_SPEED, block->start + cg_range (key, 11, 4.0, 14.0), edge,
         cg_hash (key, 12));
}

/* Gardens before houses that stand back. */
static void
lay_out_gardens (const CgDrive *drive, CgBlock *block)
{
  for (guint side = 0; side < 2; side++) {
    for (guint i = 0; i < block->n_lots[side]; i++) {
      const CgLot *lot = &block->lots[side][i];
      gdouble sign = side == 0 ? -1.0 : 1.0;
      CgDesign design;

      cg_street_design (drive, lot->design, &design);
      if (design.kind->setback < 2.0)
        continue;
      for (guint k = 0; k < 2; k++) {
        gdouble s = cg_range (lot->key, 10 + k, lot->s0, lot->s1);
        gdouble x = drive->line + design.kind->setback * cg_range (lot->key, 12 + k, 0.3, 0.8);

        if (cg_chance (lot->key, 14 + k, 0.5))
          add (block, k == 0 ? CG_PROP_BUSH : CG_PROP_TREE, s, sign * x,
               cg_hash (lot->key, 16 + k));
      }
    }
  }
}

void
cg_street_block (const CgDrive *drive, gint64 index, CgBlock *block)
{
  guint64 key = cg_hash (cg_hash (drive->key, BLOCK_KEY), (guint64)index);

  block->index = index;
  block->start = (gdouble)index * drive->period;
  block->end = block->start + drive->block;
  block->n_props = 0;
  for (guint side = 0; side < 2; side++) {
    lay_out_lots (drive, block, side, cg_hash (key, side));
    lay_out_row (drive, block, side == 0 ? -1.0 : 1.0, cg_hash (key, 2 + side));
  }
  lay_out_signs (drive, block, cg_hash (key, 4));
  lay_out_gardens (drive, block);
}
