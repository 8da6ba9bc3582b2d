/* What stands along the street of a drive: block after block, without end in both directions.
 *
 * A block is drive->block metres of houses on both sides; behind it comes a crossing, to the end of
 * drive->period. Each block follows from (drive, index) alone. Street space: see drive.h.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "drive.h"

G_BEGIN_DECLS

/** CG_DESIGNS: houses that a drive has, each of which stands many times: as in a real street, and so
 * that their pictures can be kept. */
#define CG_DESIGNS 12
#define CG_LOTS_MAX 40   /* on one side of a block */
#define CG_PROPS_MAX 160 /* in a block */

/** CgDesign: one house. @height: of its wall, without the roof. @shop: on its ground floor. */
typedef struct {
  const CgBuildings *kind;
  guint64 key;
  guint32 colour;
  guint floors;
  gdouble width, height;
  gboolean shop;
} CgDesign;

/** CgLot: a house on the street. @key: of what differs between houses of one design. */
typedef struct {
  gdouble s0, s1;
  guint design;
  guint64 key;
} CgLot;

typedef enum {
  CG_PROP_TREE,
  CG_PROP_LAMP,
  CG_PROP_POLE,
  CG_PROP_PARKED,
  CG_PROP_LIGHTS, /* for those who drive as the camera does */
  CG_PROP_STREET_NAME,
  CG_PROP_STOP,
  CG_PROP_WARNING,
  CG_PROP_SPEED,
  CG_PROP_BIN,
  CG_PROP_BUSH,
  CG_PROP_SHELTER,
} CgPropKind;

/** CgProp: a thing on the pavement or at the kerb. */
typedef struct {
  CgPropKind kind;
  gdouble s, x;
  guint64 key;
} CgProp;

/** CgBlock: @lots[0]: left of the camera, @lots[1]: right. */
typedef struct {
  gint64 index;
  gdouble start, end;
  guint n_lots[2], n_props;
  CgLot lots[2][CG_LOTS_MAX];
  CgProp props[CG_PROPS_MAX];
  gboolean has_lights;
} CgBlock;

/** cg_street_design: the house @index (under CG_DESIGNS) of @drive. Any thread. */
void cg_street_design (const CgDrive *drive, guint index, CgDesign *design);

/** cg_street_block: lays out the block @index of @drive. Any thread. */
void cg_street_block (const CgDrive *drive, gint64 index, CgBlock *block);

/** cg_street_block_at: the index of the block in which or before whose crossing @s lies. */
gint64 cg_street_block_at (const CgDrive *drive, gdouble s);

G_END_DECLS
