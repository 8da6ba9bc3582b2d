/* From street space (drive.h) to the camera's space (raster.h), over bends and hills.
 *
 * The street's middle line is walked from the camera in steps of CG_STEP, so that it can be asked for
 * anywhere without what lies before.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "drive.h"
#include "raster.h"

G_BEGIN_DECLS

#define CG_STEP 4.0 /* metres between stations */
#define CG_BEHIND 4 /* stations behind the camera's */
#define CG_STATIONS 60
#define CG_SIGHT ((CG_STATIONS - CG_BEHIND - 2) * CG_STEP) /* how far is drawn */

typedef struct {
  CgCanvas *canvas;
  gint64 first; /* station: s = CG_STEP * (first + i) */
  gdouble s;    /* the camera's */
  gdouble at[CG_STATIONS][3], across[CG_STATIONS][2];
  gdouble camera[3], turn[3][3]; /* rows: the camera's right, up, ahead */
} CgView;

/** cg_view_init: @canvas: its focal length and middle are set from @drive and @aspect, the width of
 * the picture as it is shown by its height. */
void cg_view_init (CgView *view, CgCanvas *canvas, const CgDrive *drive, const CgPose *pose,
                   gdouble aspect);

/** cg_view_point: (@s, @x, @h) in the camera's space. @s within CG_SIGHT of the camera. */
CgVertex cg_view_point (const CgView *view, gdouble s, gdouble x, gdouble h);

/** cg_view_direction: a point far away in the direction (@x, @h, @s), of a street without bends. */
CgVertex cg_view_direction (const CgView *view, gdouble x, gdouble h, gdouble s);

/** cg_view_along: a wall that runs along the street at @x from @s0 to @s1, from @low to @high.
 * The texture runs from left to right as one sees it from the street. */
void cg_view_along (const CgView *view, gdouble s0, gdouble s1, gdouble x, gdouble low,
                    gdouble high, const CgMaterial *material);

/** cg_view_across: a wall that stands across the street at @s from @x0 to @x1, facing the camera. */
void cg_view_across (const CgView *view, gdouble s, gdouble x0, gdouble x1, gdouble low,
                     gdouble high, const CgMaterial *material);

/** cg_view_flat: a rectangle that lies at the height @h, cut at the stations so that it follows the
 * street. The texture's @repeat: metres of one copy; 0: one copy over all of it. */
void cg_view_flat (const CgView *view, gdouble s0, gdouble s1, gdouble x0, gdouble x1, gdouble h,
                   gdouble repeat, const CgMaterial *material);

/** cg_view_board: an upright picture that always faces the camera, its foot at (@s, @x, @h). */
void cg_view_board (const CgView *view, gdouble s, gdouble x, gdouble h, gdouble width,
                    gdouble height, const CgMaterial *material);

G_END_DECLS
