/* See view.h.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "view.h"

#include <math.h>

#define FAR_AWAY 10000.0

static void
walk_street (CgView *self, const CgDrive *drive)
{
  gdouble *middle = self->at[CG_BEHIND];

  for (guint i = 0; i < CG_STATIONS; i++) {
    gdouble s = CG_STEP * (gdouble)(self->first + i), a = cg_drive_heading (drive, s);

    self->at[i][1] = cg_drive_height (drive, s);
    self->across[i][0] = cos (a);
    self->across[i][1] = -sin (a);
  }
  middle[0] = middle[2] = 0.0;
  for (guint i = CG_BEHIND; i + 1 < CG_STATIONS; i++) {
    gdouble a = cg_drive_heading (drive, CG_STEP * ((gdouble)(self->first + i) + 0.5));

    self->at[i + 1][0] = self->at[i][0] + CG_STEP * sin (a);
    self->at[i + 1][2] = self->at[i][2] + CG_STEP * cos (a);
  }
  for (guint i = CG_BEHIND; i > 0; i--) {
    gdouble a = cg_drive_heading (drive, CG_STEP * ((gdouble)(self->first + i) - 0.5));

    self->at[i - 1][0] = self->at[i][0] - CG_STEP * sin (a);
    self->at[i - 1][2] = self->at[i][2] - CG_STEP * cos (a);
  }
}

static void
place (const CgView *self, gdouble s, gdouble x, gdouble h, gdouble out[3])
{
  gdouble f = s / CG_STEP - (gdouble)self->first;
  gint i = (gint)CLAMP (floor (f), 0.0, CG_STATIONS - 2.0);
  const gdouble *a = self->at[i], *b = self->at[i + 1];
  const gdouble *ax = self->across[i], *bx = self->across[i + 1];

  f -= i;
  out[0] = a[0] + (b[0] - a[0]) * f + x * (ax[0] + (bx[0] - ax[0]) * f);
  out[1] = a[1] + (b[1] - a[1]) * f + h;
  out[2] = a[2] + (b[2] - a[2]) * f + x * (ax[1] + (bx[1] - ax[1]) * f);
}

static void
turn_camera (CgView *self, gdouble yaw, gdouble pitch, gdouble roll)
{
  const gdouble ahead[3] = { sin (yaw) * cos (pitch), sin (pitch), cos (yaw) * cos (pitch) };
  const gdouble right[3] = { cos (yaw), 0.0, -sin (yaw) };
  const gdouble up[3] = { -sin (yaw) * sin (pitch), cos (pitch), -cos (yaw) * sin (pitch) };

  for (guint i = 0; i < 3; i++) {
    self->turn[0][i] = right[i] * cos (roll) + up[i] * sin (roll);
    self->turn[1][i] = up[i] * cos (roll) - right[i] * sin (roll);
    self->turn[2][i] = ahead[i];
  }
}

void
cg_view_init (CgView *view, CgCanvas *canvas, const CgDrive *drive, const CgPose *pose,
              gdouble aspect)
{
  gdouble slope =
      (cg_drive_height (drive, pose->s + 2.0) - cg_drive_height (drive, pose->s - 2.0)) / 4.0;

  view->canvas = canvas;
  view->s = pose->s;
  view->first = (gint64)floor (pose->s / CG_STEP) - CG_BEHIND;
  walk_street (view, drive);
  place (view, pose->s, pose->x, pose->h, view->camera);
  turn_camera (view, cg_drive_heading (drive, pose->s) + pose->yaw, pose->pitch + atan (slope),
               pose->roll);
  canvas->focal_y = (gfloat)(0.5 * canvas->height / drive->tan_half);
  canvas->focal_x = (gfloat)(0.5 * canvas->width / (drive->tan_half * aspect));
  canvas->cx = 0.5f * (gfloat)canvas->width;
  canvas->cy = 0.5f * (gfloat)canvas->height;
}

static CgVertex
turned (const CgView *self, const gdouble p[3])
{
  const gdouble (*t)[3] = self->turn;

  return (CgVertex){ (gfloat)(t[0][0] * p[0] + t[0][1] * p[1] + t[0][2] * p[2]),
                     (gfloat)(t[1][0] * p[0] + t[1][1] * p[1] + t[1][2] * p[2]),
                     (gfloat)(t[2][0] * p[0] + t[2][1] * p[1] + t[2][2] * p[2]), 0.0f, 0.0f };
}

CgVertex
cg_view_point (const CgView *view, gdouble s, gdouble x, gdouble h)
{
  gdouble p[3];

  place (view, s, x, h, p);
  for (guint i = 0; i < 3; i++)
    p[i] -= view->camera[i];
  return turned (view, p);
}

CgVertex
cg_view_direction (const CgView *view, gdouble x, gdouble h, gdouble s)
{
  const gdouble p[3] = { FAR_AWAY * x, FAR_AWAY * h, FAR_AWAY * s };

  return turned (view, p);
}

static CgVertex
corner (const CgView *view, gdouble s, gdouble x, gdouble h, gdouble u, gdouble v)
{
  CgVertex p = cg_view_point (view, s, x, h);

  p.u = (gfloat)u;
  p.v = (gfloat)v;
  return p;
}

void
cg_view_along (const CgView *view, gdouble s0, gdouble s1, gdouble x, gdouble low, gdouble high,
               const CgMaterial *material)
{
  /* On the right side of the street what is nearer is further to the right. */
  gdouble from = MAX (s0, view->s - CG_STEP * (CG_BEHIND - 1)); /* behind that is out of sight */
  gdouble hidden = (from - s0) / (s1 - s0);
  gdouble u0 = x > 0.0 ? 1.0 - hidden : hidden, u1 = x > 0.0 ? 0.0 : 1.0;
  CgVertex v[4];

  if (from >= s1)
    return;
  v[0] = corner (view, from, x, low, u0, 1.0);
  v[1] = corner (view, s1, x, low, u1, 1.0);
  v[2] = corner (view, s1, x, high, u1, 0.0);
  v[3] = corner (view, from, x, high, u0, 0.0);
  cg_canvas_polygon (view->canvas, v, 4, material);
}

void
cg_view_across (const CgView *view, gdouble s, gdouble x0, gdouble x1, gdouble low, gdouble high,
                const CgMaterial *material)
{
  CgVertex v[4] = { corner (view, s, x0, low, 0.0, 1.0), corner (view, s, x1, low, 1.0, 1.0),
                    corner (view, s, x1, high, 1.0, 0.0), corner (view, s, x0, high, 0.0, 0.0) };

  cg_canvas_polygon (view->canvas, v, 4, material);
}

static gdouble
texture_at (gdouble s, gdouble from, gdouble length, gdouble repeat)
{
  /* Of a texture that repeats only the rest counts: far along the street a float has few digits. */
  return repeat > 0.0 ? s / repeat - floor (from / repeat) : (s - from) / length;
}

void
cg_view_flat (const CgView *view, gdouble s0, gdouble s1, gdouble x0, gdouble x1, gdouble h,
              gdouble repeat, const CgMaterial *material)
{
  gdouble from = MAX (s0, view->s - CG_STEP * (CG_BEHIND - 1)), end = MIN (s1, view->s + CG_SIGHT);
  gdouble u0 = repeat > 0.0 ? x0 / repeat : 0.0, u1 = repeat > 0.0 ? x1 / repeat : 1.0;

  while (from < end) {
    gdouble to = MIN (end, CG_STEP * (floor (from / CG_STEP + 1e-6) + 1.0));
    gdouble v0 = texture_at (from, s0, s1 - s0, repeat), v1 = texture_at (to, s0, s1 - s0, repeat);
    CgVertex v[4] = { corner (view, from, x0, h, u0, v0), corner (view, from, x1, h, u1, v0),
                      corner (view, to, x1, h, u1, v1), corner (view, to, x0, h, u0, v1) };

    cg_canvas_polygon (view->canvas, v, 4, material);
    from = to;
  }
}

void
cg_view_board (const CgView *view, gdouble s, gdouble x, gdouble h, gdouble width, gdouble height,
               const CgMaterial *material)
{
  CgVertex foot = cg_view_point (view, s, x, h), head = cg_view_point (view, s, x, h + height);
  gfloat half = (gfloat)(0.5 * width);
  CgVertex v[4] = { { foot.x - half, foot.y, foot.z, 0.0f, 1.0f },
                    { foot.x + half, foot.y, foot.z, 1.0f, 1.0f },
                    { head.x + half, head.y, head.z, 1.0f, 0.0f },
                    { head.x - half, head.y, head.z, 0.0f, 0.0f } };

  cg_canvas_polygon (view->canvas, v, 4, material);
}
