/* What kind of place a drive shows, in the 16 categories that the paper's scene loss speaks of: the
 * second level of Places365's hierarchy, in the order of model/model.c.
 *
 * A classifier of photographs would have to look at the pictures. Here what stands along the street is
 * known, so the probabilities are shares of what one sees, by a rule that scenes.c states. Nothing is
 * drawn by it.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "drive.h"

G_BEGIN_DECLS

#define CG_SCENES 16

/* Those that the world draws. It has no rooms, no lakes, no parks and no factories. */
typedef enum {
  CG_SCENE_SNOW = 6,      /* outdoor, natural: water, ice, snow */
  CG_SCENE_OPEN = 7,      /* outdoor, natural: mountains, hills, desert, sky */
  CG_SCENE_TREES = 8,     /* outdoor, natural: forest, field, jungle */
  CG_SCENE_ROAD = 10,     /* outdoor, man-made: transportation */
  CG_SCENE_HISTORIC = 11, /* outdoor, man-made: cultural or historical building or place */
  CG_SCENE_GARDENS = 14,  /* outdoor, man-made: houses, cabins, gardens, farms */
  CG_SCENE_TOWN = 15, /* outdoor, man-made: commercial buildings, shops, markets, cities, towns */
} CgSceneCategory;

/** cg_drive_scenes: @scenes: the probability of each category, of the whole of @drive. They sum to 1.
 * Any thread. */
void cg_drive_scenes (const CgDrive *drive, gdouble scenes[CG_SCENES]);

/** cg_city_scenes: the mean over the first hundred drives of @city. Any thread. */
void cg_city_scenes (const CgCity *city, gdouble scenes[CG_SCENES]);

G_END_DECLS
