/* Vehicles: parked ones, and those that move. Where each one is follows from the time alone.
 *
 * Lanes are endless rows of vehicles with even gaps, somewhat shaken, that move at the lane's speed.
 * The camera's own lane has only one who drives ahead and keeps a distance.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "scene.h"

#include "../chance.h"

#include <math.h>

#define LANE_KEY 650

typedef struct {
  CgVehicleLook look;
  gdouble near, far, left, right;
} Body;

static gboolean
is_board (CgVehicle kind)
{
  return kind == CG_VEHICLE_RICKSHAW || kind == CG_VEHICLE_MOTO || kind == CG_VEHICLE_BICYCLE;
}

/* The two lamps that one sees: they give light of their own after sunset. */
static void
draw_lamps (const CgScene *scene, const Body *b, gboolean rear)
{
  CgMaterial m = cg_scene_glow (scene, NULL, rear ? 0xE02018 : 0xFFF6DC);
  gdouble h = b->look.height * (b->look.height > 2.5 ? 0.25 : 0.44), size = rear ? 0.13 : 0.17;

  if (!scene->drive->dusk)
    return;
  for (guint i = 0; i < 2; i++) {
    gdouble x = i == 0 ? b->left + 0.22 : b->right - 0.22;

    m.light[0] = m.light[1] = m.light[2] = 1.0f;
    m.alpha = 1.0f;
    cg_view_across (&scene->view, b->near - 0.02, x - size, x + size, h - 0.6 * size,
                    h + 0.6 * size, &m);
    if (rear)
      continue;
    m.texture = cg_furniture_glare (scene);
    cg_view_across (&scene->view, b->near - 0.03, x - 0.75, x + 0.75, h - 0.75, h + 0.75, &m);
    m.texture = NULL;
  }
}

static void
draw_shadow (const CgScene *scene, const Body *b)
{
  CgMaterial m = cg_scene_material (scene, NULL, 0x08090C, 0, 1, 0);

  m.alpha = 0.5f;
  m.wet = 0;
  cg_view_flat (&scene->view, b->near - 0.1, b->far + 0.1, b->left - 0.15, b->right + 0.15, 0.015,
                0, &m);
}

/* A wall across the street that leans: from (@s0, @h0) up to (@s1, @h1), with the rows @v0 .. @v1 of
 * the picture. */
static void
leaning (const CgScene *scene, const Body *b, gdouble s0, gdouble h0, gdouble v0, gdouble s1,
         gdouble h1, gdouble v1, const CgMaterial *m)
{
  CgVertex v[4] = { cg_view_point (&scene->view, s0, b->left, h0),
                    cg_view_point (&scene->view, s0, b->right, h0),
                    cg_view_point (&scene->view, s1, b->right, h1),
                    cg_view_point (&scene->view, s1, b->left, h1) };

  v[0].v = v[1].v = (gfloat)v0;
  v[2].v = v[3].v = (gfloat)v1;
  v[1].u = v[2].u = 1.0f;
  cg_canvas_polygon (scene->canvas, v, 4, m);
}

static void
draw_side (const CgScene *scene, const Body *b, gboolean rear, gdouble x, gdouble outward,
           gdouble shade)
{
  CgMaterial m = cg_scene_material (scene, cg_vehicle_texture (scene, &b->look, CG_VEHICLE_SIDE), 0,
                                    outward, 0.25, 0);
  /* The picture's front is at its left: turn it to where the vehicle is going. */
  gdouble front = rear ? b->far : b->near, back = rear ? b->near : b->far;
  CgVertex v[4] = { cg_view_point (&scene->view, front, x, 0),
                    cg_view_point (&scene->view, back, x, 0),
                    cg_view_point (&scene->view, back, x, b->look.height),
                    cg_view_point (&scene->view, front, x, b->look.height) };

  for (guint c = 0; c < 3; c++)
    m.light[c] *= (gfloat)shade;
  v[0].v = v[1].v = 1.0f;
  v[1].u = v[2].u = 1.0f;
  cg_canvas_polygon (scene->canvas, v, 4, &m);
}

/* Roof, bonnet and boot lid. */
static void
draw_lids (const CgScene *scene, const Body *b, gboolean rear)
{
  const gdouble *cabin = cg_vehicle_cabin (b->look.kind);
  gdouble length = b->look.length, waist = b->look.height * (1.0 - CG_VEHICLE_WAIST);
  gdouble near_waist = b->near + length * cabin[rear ? 0 : 2],
          near_roof = b->near + length * cabin[rear ? 1 : 3];
  gdouble far_waist = b->far - length * cabin[rear ? 2 : 0],
          far_roof = b->far - length * cabin[rear ? 3 : 1];
  guint32 white = 0xEEF0F4;
  CgMaterial lid = cg_scene_material (
      scene, NULL, cg_colour_mix (b->look.colour, white, 0.6 * scene->drive->snow), 0, 1, 0);
  CgMaterial roof = cg_scene_material (
      scene, NULL, cg_colour_mix (b->look.roof, white, 0.6 * scene->drive->snow), 0, 1, 0);

  cg_view_flat (&scene->view, far_waist, b->far, b->left, b->right, waist, 0, &lid);
  if (scene->pose.h > 0.9 * b->look.height)
    cg_view_flat (&scene->view, near_roof, far_roof, b->left + 0.1, b->right - 0.1,
                  0.965 * b->look.height, 0, &roof);
  cg_view_flat (&scene->view, b->near, near_waist, b->left, b->right, waist, 0, &lid);
}

static void
draw_vehicle (const CgScene *scene, const CgItem *item)
{
  gboolean rear = item->flag, from_right = item->x < scene->pose.x;
  const gdouble *cabin;
  gdouble waist, near_waist, near_roof;
  Body b;
  CgMaterial m;

  cg_vehicle_look (scene->drive, item->hash, &b.look);
  b.near = item->s0;
  b.far = item->s0 + b.look.length;
  b.left = item->x - 0.5 * b.look.width;
  b.right = item->x + 0.5 * b.look.width;
  draw_shadow (scene, &b);
  m = cg_scene_material (
      scene, cg_vehicle_texture (scene, &b.look, rear ? CG_VEHICLE_REAR : CG_VEHICLE_FRONT), 0, 0,
      0.3, -1);
  if (is_board (b.look.kind)) {
    cg_view_board (&scene->view, 0.5 * (b.near + b.far), item->x, 0.0, b.look.width, b.look.height,
                   &m);
    return;
  }
  cabin = cg_vehicle_cabin (b.look.kind);
  waist = b.look.height * (1.0 - CG_VEHICLE_WAIST);
  near_waist = b.near + b.look.length * cabin[rear ? 0 : 2];
  near_roof = b.near + b.look.length * cabin[rear ? 1 : 3];
  draw_side (scene, &b, rear, from_right ? b.left : b.right, from_right ? 1.0 : -1.0,
             0.45); /* seen through the windows */
  draw_lids (scene, &b, rear);
  leaning (scene, &b, near_waist, waist, CG_VEHICLE_WAIST, near_roof, b.look.height, 0.0, &m);
  draw_side (scene, &b, rear, from_right ? b.right : b.left, from_right ? 1.0 : -1.0, 1.0);
  leaning (scene, &b, b.near, 0.0, 1.0, b.near, waist, CG_VEHICLE_WAIST, &m);
  draw_lamps (scene, &b, rear);
}

static void
add_vehicle (CgScene *scene, gdouble s, gdouble x, guint64 key, gboolean rear)
{
  CgItem *item;

  if (!cg_scene_sees (scene, s, s + 6.0) || s < scene->pose.s - 1.0)
    return;
  item = cg_scene_add (scene, s + 2.0, draw_vehicle);
  item->s0 = s;
  item->x = x;
  item->hash = key;
  item->flag = rear;
}

void
cg_vehicles_add_parked (CgScene *scene, const CgProp *prop)
{
  CgVehicleLook look;

  cg_vehicle_look (scene->drive, prop->key, &look);
  if (look.kind != CG_VEHICLE_BUS && look.kind != CG_VEHICLE_TRUCK)
    add_vehicle (scene, prop->s - 0.5 * look.length, prop->x, prop->key,
                 prop->x * cg_drive_own_side (scene->drive) > 0.0);
}

/* One endless row. @speed: negative for those who come towards the camera's direction of travel. */
static void
add_lane (CgScene *scene, guint64 key, gdouble x, gdouble speed, gdouble gap, gdouble time)
{
  gdouble way = speed * time;
  gint64 first = (gint64)floor ((scene->pose.s - way) / gap),
         last = first + (gint64)(CG_SIGHT / gap) + 1;

  for (gint64 i = first; i <= last; i++) {
    guint64 chance = cg_hash (key, (guint64)i);

    if (cg_chance (chance, 0, 0.35 + 0.4 * MIN (1.0, scene->drive->traffic)))
      add_vehicle (scene, (gdouble)i * gap + way + gap * cg_range (chance, 1, -0.22, 0.22),
                   x + cg_range (chance, 2, -0.25, 0.25), cg_hash (chance, 3), speed > 0.0);
  }
}

void
cg_vehicles_add_traffic (CgScene *scene)
{
  const CgDrive *drive = scene->drive;
  gdouble own = cg_drive_own_side (drive), t = scene->pose.time,
          gap = 14.0 + 26.0 / (0.15 + drive->traffic);
  guint64 key = cg_hash (drive->key, LANE_KEY);

  for (guint i = 0; i < drive->lanes; i++) {
    gdouble x = own * (i + 0.5) * drive->lane_width;

    add_lane (scene, cg_hash (key, i), -x, -cg_range (key, 20 + i, 7.0, 13.0), gap, t);
    if (drive->walk || fabs (x - drive->camera_x) > 0.6 * drive->lane_width)
      add_lane (scene, cg_hash (key, 10 + i), x, cg_range (key, 30 + i, 6.0, 12.0), gap, t);
  }
  if (!drive->walk && cg_chance (key, 40, 0.25 + 0.6 * drive->traffic)) {
    gdouble ahead =
        cg_range (key, 41, 8.0, 26.0) * (1.0 + 0.35 * sin (0.07 * t + 6.28 * cg_unit (key, 42)));
    gdouble x = drive->camera_x + 0.3 * sin (0.11 * t);
    /* Now and then another one has turned in before the camera. */
    guint64 chance = cg_hash (key, 50 + (guint64)(scene->pose.s / 400.0));

    add_vehicle (scene, scene->pose.s + ahead, x, chance, TRUE);
  }
}

void
cg_bonnet_draw (CgScene *scene)
{
  const CgDrive *drive = scene->drive;
  CgCanvas *c = scene->canvas;
  CgMaterial m = cg_scene_material (scene, NULL, drive->bonnet_colour, 0, 1, 0);
  gfloat z = 1.0f, w = 0.5f * (gfloat)c->width / c->focal_x,
         h = 0.5f * (gfloat)c->height / c->focal_y;
  gfloat top = -h * 0.80f, edge = -h * 0.93f;
  CgVertex v[6] = {
    { -w, -h, z, 0, 0 },         { w, -h, z, 0, 0 },           { w, edge, z, 0, 0 },
    { 0.45f * w, top, z, 0, 0 }, { -0.45f * w, top, z, 0, 0 }, { -w, edge, z, 0, 0 }
  };

  if (!drive->bonnet)
    return;
  m.haze = 0.0f;
  cg_canvas_polygon (c, v, 6, &m);
  /* The sky is mirrored in the lacquer. */
  for (guint i = 0; i < 3; i++)
    m.light[i] = MIN (1.0f, drive->horizon[i] / 255.0f);
  m.colour = 0xFFFFFF;
  m.alpha = 0.22f;
  v[0].y = v[1].y = -h * 0.97f;
  cg_canvas_polygon (c, v, 6, &m);
}
