/* See scenes.h. The rule: each thing along the street weighs about as much as it takes of the picture,
 * houses together 1, and the weight goes to its category.
 *
 *   houses     by their length of the street. With a garden before it and without a shop, a low house
 *              is gardens. Of any other, the ground floor is town if it is a shop; the rest is historic
 *              by the signs of an old house: a wall of stone; windows that are sashes, French, arched,
 *              bays or have shutters; balconies of iron; a mansard or stepped roof. One sign: half;
 *              two: all. What is left is town.
 *   road       0.1 for each lane, 0.15 times the traffic, 0.1 for parked cars
 *   trees      0.6 times how many places for a street tree have one, where the pavement has room
 *   open       0.3 times the share of the sky between the roofs, seen from the middle of the street;
 *              1/20 for each degree of the hills; where Köppen says desert (BW) or steppe (BS), for the
 *              bare ground, 0.3 or 0.15
 *   snow       0.8 times how much of the ground is white
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "scenes.h"

#include "street.h"

#include <math.h>

#define DRIVES 100

static gdouble
age_of (const CgBuildings *kind)
{
  gboolean window = kind->window == CG_WINDOW_SASH || kind->window == CG_WINDOW_FRENCH ||
                    kind->window == CG_WINDOW_SHUTTERS || kind->window == CG_WINDOW_ARCHED ||
                    kind->window == CG_WINDOW_BAY;
  guint signs = (kind->wall == CG_WALL_STONE) + window + (kind->balcony == CG_BALCONY_IRON) +
                (kind->roof == CG_ROOF_MANSARD || kind->roof == CG_ROOF_STEPPED);

  return MIN (1.0, 0.5 * signs);
}

/* Adds the houses; returns their mean height. */
static gdouble
add_houses (const CgDrive *drive, gdouble scenes[CG_SCENES])
{
  gdouble street = 0.0, height = 0.0;
  CgDesign designs[CG_DESIGNS];

  for (guint i = 0; i < CG_DESIGNS; i++) {
    cg_street_design (drive, i, &designs[i]);
    street += designs[i].width;
  }
  for (guint i = 0; i < CG_DESIGNS; i++) {
    const CgDesign *design = &designs[i];
    gdouble share = design->width / street, shop = design->shop ? share / design->floors : 0.0;
    gdouble old = (share - shop) * age_of (design->kind);

    height += share * design->height;
    if (design->kind->setback >= 2.0 && !design->shop && design->floors <= 3) {
      scenes[CG_SCENE_GARDENS] += share;
    } else {
      scenes[CG_SCENE_HISTORIC] += old;
      scenes[CG_SCENE_TOWN] += share - old;
    }
  }
  return height;
}

static gdouble
bareness (const CgCity *city)
{
  return g_str_has_prefix (city->koppen, "BW")   ? 0.3
         : g_str_has_prefix (city->koppen, "BS") ? 0.15
                                                 : 0.0;
}

void
cg_drive_scenes (const CgDrive *drive, gdouble scenes[CG_SCENES])
{
  const CgCity *city = drive->city;
  gdouble sum = 0.0, height, sky;

  for (guint i = 0; i < CG_SCENES; i++)
    scenes[i] = 0.0;
  height = add_houses (drive, scenes);
  sky = 1.0 - atan2 (height, drive->line) / (0.5 * G_PI);
  scenes[CG_SCENE_ROAD] = 0.1 * drive->lanes + 0.15 * drive->traffic + (drive->parking ? 0.1 : 0.0);
  scenes[CG_SCENE_TREES] = drive->pavement > 1.9 ? 0.6 * city->trees_amount : 0.0;
  scenes[CG_SCENE_OPEN] = 0.3 * sky + city->hills / 20.0 + bareness (city);
  scenes[CG_SCENE_SNOW] = 0.8 * drive->snow;
  for (guint i = 0; i < CG_SCENES; i++)
    sum += scenes[i];
  for (guint i = 0; i < CG_SCENES; i++)
    scenes[i] /= sum;
}

void
cg_city_scenes (const CgCity *city, gdouble scenes[CG_SCENES])
{
  for (guint i = 0; i < CG_SCENES; i++)
    scenes[i] = 0.0;
  for (guint seed = 0; seed < DRIVES; seed++) {
    gdouble one[CG_SCENES];
    CgDrive drive;

    cg_drive_init (&drive, city, seed);
    cg_drive_scenes (&drive, one);
    for (guint i = 0; i < CG_SCENES; i++)
      scenes[i] += one[i] / DRIVES;
  }
}
