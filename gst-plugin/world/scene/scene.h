/* One picture while it is drawn: what the rooms of scene/ share.
 *
 * Things are first collected with the distance at which they stand, then drawn from far to near. The
 * distance of a wall along the street is that of its far end, so that what stands before it on the
 * pavement is drawn after it.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "../street.h"
#include "../view.h"
#include "art.h"

G_BEGIN_DECLS

typedef struct _CgItem CgItem;

/** CgScene: @blocks: the laid out ones in sight. @detail: 1 or more: how much finer than for a small
 * picture the textures are. */
typedef struct {
  const CgDrive *drive;
  CgPose pose;
  CgView view;
  CgCanvas *canvas;
  CgArt *art;
  guint detail;
  CgDesign designs[CG_DESIGNS];
  GArray *items; /* of CgItem */
} CgScene;

/** CgItem: something to be drawn; the meaning of what is below @draw is up to it. */
struct _CgItem {
  gdouble key;
  void (*draw) (const CgScene *scene, const CgItem *item);
  gdouble s0, s1, x;
  guint64 hash;
  guint kind;
  gboolean flag;
};

/** cg_scene_add: (transfer none): a new item at the distance @key, zero but for that and @draw; good
 * until the next one is added. */
CgItem *cg_scene_add (CgScene *scene, gdouble key,
                      void (*draw) (const CgScene *scene, const CgItem *item));

/** cg_scene_sees: whether anything between @s0 and @s1 can be in the picture. */
gboolean cg_scene_sees (const CgScene *scene, gdouble s0, gdouble s1);

/** cg_scene_material: a surface that faces (@x, @h, @s), lit as the drive is. @texture: (nullable). */
CgMaterial cg_scene_material (const CgScene *scene, const CgTexture *texture, guint32 colour,
                              gdouble x, gdouble h, gdouble s);

/** cg_scene_glow: the same of what gives its own light, at night. By day as cg_scene_material(). */
CgMaterial cg_scene_glow (const CgScene *scene, const CgTexture *texture, guint32 colour);

/** cg_scene_word: a word for a sign: of the city or, more often, of the whole country. */
const gchar *cg_scene_word (const CgDrive *drive, guint64 key);

/** cg_scene_region: two letters for cg_art_text(). */
const gchar *cg_scene_region (const CgDrive *drive);

/* ---- the rooms: each draws, or adds the items of, what it is named after ---- */

/** cg_sky_draw: fills the whole picture: sky, clouds, sun, hills and towers on the horizon. */
void cg_sky_draw (CgScene *scene);

/** cg_ground_draw_far: what lies beyond the pavements. cg_ground_add: street, kerbs, lines. */
void cg_ground_draw_far (CgScene *scene);
void cg_ground_add (CgScene *scene);

/** cg_buildings_add: the houses of @block. */
void cg_buildings_add (CgScene *scene, const CgBlock *block);

/** cg_facade_texture: (transfer none): the front of house @index of the drive; at night its light is
 * in it. cg_facade_side: its windowless side. */
const CgTexture *cg_facade_texture (const CgScene *scene, guint index);
const CgTexture *cg_facade_side (const CgScene *scene, guint index);

/** cg_plants_add, cg_furniture_add, cg_signs_add: the one thing @prop. */
void cg_plants_add (CgScene *scene, const CgProp *prop);
void cg_furniture_add (CgScene *scene, const CgProp *prop);
void cg_signs_add (CgScene *scene, const CgProp *prop);

/** cg_furniture_add_wires: between the poles of the drive. */
void cg_furniture_add_wires (CgScene *scene, const CgBlock *block);

/** cg_furniture_glare: (transfer none): what a lamp looks like at night, round, fading outwards. */
const CgTexture *cg_furniture_glare (const CgScene *scene);

/** cg_vehicles_add_parked: @prop. cg_vehicles_add_traffic: all that moves. */
void cg_vehicles_add_parked (CgScene *scene, const CgProp *prop);
void cg_vehicles_add_traffic (CgScene *scene);

/** CgVehicleArt: the four sides of a vehicle. Pictures of (country, city, kind, colour). */
typedef enum { CG_VEHICLE_REAR, CG_VEHICLE_FRONT, CG_VEHICLE_SIDE } CgVehicleFace;

/** CgVehicleLook: what a vehicle of a given chance looks like. @length, @width, @height: metres. */
typedef struct {
  CgVehicle kind;
  gboolean taxi;
  guint32 colour, roof;
  guint plate;
  gdouble length, width, height;
} CgVehicleLook;

/** cg_vehicle_look: chooses by the drive's country and city. */
void cg_vehicle_look (const CgDrive *drive, guint64 key, CgVehicleLook *look);

/** CG_VEHICLE_WAIST: where the body ends and the cabin begins, as a share of the height from above. */
#define CG_VEHICLE_WAIST 0.46

/** cg_vehicle_cabin: how far from its rear the cabin begins at the waist and at the roof, and the same
 * from its front, as shares of the length; static. All 0: a box. */
const gdouble *cg_vehicle_cabin (CgVehicle kind);

/** cg_vehicle_texture: (transfer none): one face of it. */
const CgTexture *cg_vehicle_texture (const CgScene *scene, const CgVehicleLook *look,
                                     CgVehicleFace face);

/** cg_people_add: those who walk on both pavements. */
void cg_people_add (CgScene *scene);

/** cg_bonnet_draw: the camera's own car. */
void cg_bonnet_draw (CgScene *scene);

G_END_DECLS
