/* See drive.h.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "drive.h"

#include "chance.h"

#include <math.h>

#define DEGREE (G_PI / 180.0)
#define WIDE (16.0 / 9.0) /* fields of view are stated for this shape */

/* Numbers of the chances of a drive: one for each, so that a new one changes no other. */
enum {
  WALK,
  HOUR,
  DAY,
  CLOUD,
  PRECIPITATION,
  FOG,
  HEADING,
  SNOW,
  WETNESS,
  HAZE,
  LANES,
  PAVEMENT,
  BLOCK,
  PARKING,
  BEND,
  ROLL,
  PHASE_1,
  PHASE_2,
  PHASE_3,
  PHASE_4,
  SPEED,
  START,
  TRAFFIC,
  PEOPLE,
  CAMERA_X,
  CAMERA_H,
  FIELD,
  PITCH,
  YAW,
  SHAKE,
  BONNET,
  BONNET_COLOUR,
  EXPOSURE,
  CONTRAST,
  TINT,
  NOISE,
  BLOCKS,
  VIGNETTE,
  LANE,
  SWAY,
  NIGHT,
};

static gdouble
ramp (gdouble value, gdouble low, gdouble high)
{
  gdouble f = CLAMP ((value - low) / (high - low), 0.0, 1.0);

  return f * f * (3.0 - 2.0 * f);
}

static void
blend (gfloat to[3], const gfloat other[3], gdouble f)
{
  for (guint c = 0; c < 3; c++)
    to[c] += (gfloat)((other[c] - to[c]) * f);
}

/* ---- time, weather, light ---- */

static void
choose_time (CgDrive *self)
{
  gdouble latitude =
      cg_places_get (cg_places_cityguessr68k (), CG_CITY, self->city->place)->latitude;
  gdouble season, azimuth;
  CgSun sun;

  self->day = cg_range (self->key, DAY, 1.0, 366.0);
  self->hour = cg_range (self->key, HOUR, 7.0, 18.5);
  if (cg_chance (self->key, NIGHT, 0.13))
    self->hour = cg_range (self->key, HOUR, 18.5, 23.0);
  sun = cg_sun_at (latitude, self->day, self->hour);
  self->heading = cg_range (self->key, HEADING, -G_PI, G_PI);
  azimuth = sun.azimuth - self->heading;
  self->sun_elevation = sun.elevation / DEGREE;
  self->sun[0] = cos (sun.elevation) * sin (azimuth);
  self->sun[1] = sin (sun.elevation);
  self->sun[2] = cos (sun.elevation) * cos (azimuth);

  /* The year's mean and swing; the coldest day of the north is about the 20th of January. */
  season = cos (2.0 * G_PI * (self->day - 20.0) / 365.0) * (latitude < 0.0 ? -1.0 : 1.0);
  self->temperature = 0.5 * (self->city->coldest + self->city->warmest) -
                      0.5 * (self->city->warmest - self->city->coldest) * season;
}

static void
choose_weather (CgDrive *self)
{
  gdouble t = self->temperature + cg_range (self->key, SNOW, -4.0, 4.0);

  self->cloud = pow (cg_unit (self->key, CLOUD), 1.6 - 1.2 * self->city->wet);
  self->weather = self->cloud < 0.25  ? CG_WEATHER_CLEAR
                  : self->cloud < 0.7 ? CG_WEATHER_FAIR
                                      : CG_WEATHER_OVERCAST;
  if (cg_chance (self->key, PRECIPITATION, 0.7 * self->city->wet)) {
    self->weather = t < 0.5 ? CG_WEATHER_SNOWFALL : CG_WEATHER_RAIN;
    self->cloud = 0.85 + 0.15 * self->cloud;
  } else if (cg_chance (self->key, FOG, 0.04)) {
    self->weather = CG_WEATHER_FOG;
    self->cloud = 0.95;
  }
  self->snow = CLAMP ((1.0 - t) / 4.0, 0.0, 1.0) * ramp (self->city->wet, 0.02, 0.2);
  if (self->weather == CG_WEATHER_SNOWFALL)
    self->snow = MAX (self->snow, 0.6);
  self->wetness = self->weather == CG_WEATHER_RAIN       ? cg_range (self->key, WETNESS, 0.6, 1.0)
                  : self->snow > 0.1                     ? 0.25
                  : cg_chance (self->key, WETNESS, 0.08) ? 0.5
                                                         : 0.0;
  self->haze = self->weather == CG_WEATHER_FOG ? cg_range (self->key, HAZE, 0.018, 0.04)
               : self->weather == CG_WEATHER_RAIN || self->weather == CG_WEATHER_SNOWFALL
                   ? cg_range (self->key, HAZE, 0.004, 0.010)
                   : cg_range (self->key, HAZE, 0.0006, 0.0032);
}

/* Colours of the sky by the sun's elevation; between two of them they are mixed. */
static const struct {
  gdouble elevation;
  gfloat zenith[3], horizon[3], sun[3], ambient[3];
} skies[] = {
  { -14, { 9, 12, 24 }, { 36, 34, 42 }, { 0, 0, 0 }, { 0.055f, 0.06f, 0.085f } },
  { -6, { 24, 34, 70 }, { 104, 88, 104 }, { 0, 0, 0 }, { 0.16f, 0.17f, 0.23f } },
  { 0, { 66, 88, 140 }, { 244, 172, 112 }, { 0.25f, 0.12f, 0.05f }, { 0.42f, 0.40f, 0.43f } },
  { 7, { 82, 128, 192 }, { 236, 214, 184 }, { 0.44f, 0.32f, 0.20f }, { 0.53f, 0.53f, 0.56f } },
  { 22, { 64, 120, 200 }, { 196, 216, 236 }, { 0.45f, 0.42f, 0.36f }, { 0.55f, 0.57f, 0.60f } },
  { 90, { 48, 104, 196 }, { 186, 212, 240 }, { 0.46f, 0.45f, 0.41f }, { 0.54f, 0.55f, 0.58f } },
};

static void
set_light (CgDrive *self)
{
  const gfloat grey[3] = { 176, 182, 190 }, dull[3] = { 206, 209, 212 };
  gdouble e = CLAMP (self->sun_elevation, -14.0, 89.9), f;
  gdouble cover = ramp (self->cloud, 0.45, 0.9);
  gfloat level;
  guint i = 0;

  while (e >= skies[i + 1].elevation)
    i++;
  f = (e - skies[i].elevation) / (skies[i + 1].elevation - skies[i].elevation);
  for (guint c = 0; c < 3; c++) {
    self->zenith[c] = skies[i].zenith[c];
    self->horizon[c] = skies[i].horizon[c];
    self->sun_light[c] = skies[i].sun[c];
    self->sky_light[c] = skies[i].ambient[c];
  }
  blend (self->zenith, skies[i + 1].zenith, f);
  blend (self->horizon, skies[i + 1].horizon, f);
  blend (self->sun_light, skies[i + 1].sun, f);
  blend (self->sky_light, skies[i + 1].ambient, f);

  level = (self->sky_light[0] + self->sky_light[1] + self->sky_light[2]) / 1.72f;
  for (guint c = 0; c < 3; c++) {
    gfloat day = CLAMP (level, 0.05f, 1.0f);

    self->zenith[c] += (grey[c] * day - self->zenith[c]) * (gfloat)cover;
    self->horizon[c] += (dull[c] * day - self->horizon[c]) * (gfloat)(0.85 * cover);
    self->sun_light[c] *= (gfloat)(1.0 - 0.97 * cover);
    /* Clouds take the sun's direction away and give part of its light back from everywhere. */
    self->sky_light[c] += (level * 0.78f - self->sky_light[c]) * (gfloat)cover;
    self->sky_light[c] *= (gfloat)(1.0 + 0.12 * self->snow);
  }
  self->night = self->sun_elevation < -5.0;
  self->dusk = self->sun_elevation < 2.0 || (self->sun_elevation < 8.0 && cover > 0.8);
  if (self->night) {
    const gfloat lamp[3] = { 0.30f, 0.24f, 0.16f };

    for (guint c = 0; c < 3; c++)
      self->lamp_light[c] = lamp[c];
  }
}

/* ---- street and camera ---- */

static void
choose_street (CgDrive *self)
{
  const CgCity *city = self->city;
  gint lanes = (gint)city->lanes + (cg_chance (self->key, LANES, 0.3) ? 1 : 0) -
               (cg_chance (self->key, LANES, 0.15) ? 1 : 0);

  self->lanes = (guint)CLAMP (lanes, 1, 4);
  self->lane_width = city->lane_width;
  self->parking = city->parking && cg_chance (self->key, PARKING, 0.75);
  self->pavement = city->pavement * cg_range (self->key, PAVEMENT, 0.75, 1.35);
  self->kerb = self->lanes * self->lane_width + (self->parking ? 2.1 : 0.35);
  self->line = self->kerb + self->pavement;
  self->block = city->block * cg_range (self->key, BLOCK, 0.75, 1.3);
  self->period = self->block + 2.0 * MAX (self->kerb, 5.0) + 4.0;
  self->bend = city->bend * cg_range (self->key, BEND, 0.3, 1.0);
  self->roll = city->roll * cg_range (self->key, ROLL, 0.2, 1.0);
  self->start = cg_range (self->key, START, 1000.0, 50000.0);
  self->traffic = city->country->density * cg_range (self->key, TRAFFIC, 0.25, 1.5);
  self->people = cg_range (self->key, PEOPLE, 0.1, 1.4) * (self->night ? 0.5 : 1.0) *
                 (self->weather >= CG_WEATHER_RAIN ? 0.6 : 1.0);
}

static void
choose_camera (CgDrive *self)
{
  gdouble own = cg_drive_own_side (self), field;

  self->walk = cg_chance (self->key, WALK, CG_WALK_SHARE);
  if (self->walk) {
    gdouble side = cg_chance (self->key, CAMERA_X, 0.5) ? 1.0 : -1.0;

    self->camera_x = side * (self->kerb + self->pavement * cg_range (self->key, LANE, 0.3, 0.6));
    self->camera_h = cg_range (self->key, CAMERA_H, 1.45, 1.8);
    self->speed = cg_range (self->key, SPEED, 1.1, 1.6);
    self->shake = cg_range (self->key, SHAKE, 0.4, 1.2);
    field = cg_range (self->key, FIELD, 62.0, 90.0);
  } else {
    guint lane = cg_pick (self->key, LANE, self->lanes);

    self->camera_x =
        own * (lane + 0.5) * self->lane_width + cg_range (self->key, CAMERA_X, -0.35, 0.35);
    self->camera_h = cg_range (self->key, CAMERA_H, 1.15, 1.55);
    if (cg_chance (self->key, SWAY, 0.12)) /* a bus or a van */
      self->camera_h += 0.8;
    self->speed = cg_range (self->key, SPEED, 4.5, 12.5);
    self->shake = cg_range (self->key, SHAKE, 0.05, 0.5);
    field = cg_range (self->key, FIELD, 66.0, 104.0);
    self->bonnet = cg_chance (self->key, BONNET, 0.35);
  }
  self->tan_half = tan (0.5 * field * DEGREE) / WIDE;
  self->pitch = cg_range (self->key, PITCH, -1.5, 4.5) * DEGREE;
  self->yaw = cg_range (self->key, YAW, -5.0, 5.0) * DEGREE;
  self->bonnet_colour = (guint32[]){ 0x1C1C20, 0x7C8088, 0xC8C8CC, 0x30384C,
                                     0x5C1C1C }[cg_pick (self->key, BONNET_COLOUR, 5)];
}

static void
choose_lens (CgDrive *self)
{
  gdouble dark = self->night ? 1.0 : self->dusk ? 0.5 : 0.0;

  self->exposure = cg_range (self->key, EXPOSURE, 0.82, 1.22) * (1.0 + 0.75 * dark);
  self->contrast = cg_range (self->key, CONTRAST, 0.85, 1.2);
  self->tint = cg_range (self->key, TINT, -1.0, 1.0);
  self->noise = pow (cg_unit (self->key, NOISE), 2.0) * 0.5 + 0.4 * dark;
  self->block_noise = pow (cg_unit (self->key, BLOCKS), 2.0);
  self->vignette = cg_range (self->key, VIGNETTE, 0.0, 0.35);
}

void
cg_drive_init (CgDrive *drive, const CgCity *city, guint64 seed)
{
  *drive = (CgDrive){ .city = city, .seed = seed };
  drive->key = cg_hash (cg_hash_string (city->label), seed);
  choose_time (drive);
  choose_weather (drive);
  set_light (drive);
  choose_street (drive);
  choose_camera (drive);
  choose_lens (drive);
}

/* ---- what is asked for later ---- */

gdouble
cg_drive_own_side (const CgDrive *drive)
{
  return drive->city->country->left ? -1.0 : 1.0;
}

static gdouble
phase (const CgDrive *self, guint which)
{
  return cg_range (self->key, which, 0.0, 2.0 * G_PI);
}

gdouble
cg_drive_heading (const CgDrive *drive, gdouble s)
{
  return drive->bend * (0.30 * sin (s / 95.0 + phase (drive, PHASE_1)) +
                        0.13 * sin (s / 41.0 + phase (drive, PHASE_2)));
}

gdouble
cg_drive_height (const CgDrive *drive, gdouble s)
{
  return drive->roll * (7.0 * sin (s / 120.0 + phase (drive, PHASE_3)) +
                        1.6 * sin (s / 47.0 + phase (drive, PHASE_4)));
}

/* The speed swings slowly between half and one and a half of its mean, and the way is its integral,
 * so that any time can be asked for. */
CgPose
cg_drive_pose (const CgDrive *drive, gdouble time)
{
  gdouble w = drive->walk ? 0.35 : 0.11, swing = 0.5 * drive->speed / w, p = phase (drive, SWAY);
  gdouble step = drive->walk ? 11.4 : 17.0, shake = drive->shake * DEGREE;
  CgPose pose = { .time = time };

  pose.s = drive->start + drive->speed * time + swing * (sin (w * time + p) - sin (p));
  pose.speed = drive->speed * (1.0 + 0.5 * cos (w * time + p));
  pose.x = drive->camera_x + (drive->walk ? 0.25 : 0.18) * sin (0.21 * time + 2.0 * p);
  pose.h = drive->camera_h + (drive->walk ? 0.025 : 0.006) * drive->shake * sin (step * time);
  pose.yaw = drive->yaw + (drive->walk ? 7.0 : 1.6) * DEGREE * sin (0.17 * time + p) +
             shake * (0.35 * sin (3.1 * time + p) + 0.12 * sin (0.5 * step * time));
  pose.pitch = drive->pitch + shake * (0.3 * sin (2.3 * time + p) + 0.35 * sin (step * time + 1.0));
  pose.roll = shake * (0.5 * sin (1.3 * time) + 0.2 * sin (0.5 * step * time + p));
  return pose;
}

void
cg_drive_shade (const CgDrive *drive, gdouble x, gdouble h, gdouble s, gfloat light[3])
{
  gdouble facing = MAX (0.0, x * drive->sun[0] + h * drive->sun[1] + s * drive->sun[2]);
  gdouble open = 0.82 + 0.18 * h; /* what faces up sees more of the sky */

  for (guint c = 0; c < 3; c++)
    light[c] = (gfloat)MIN (1.0, drive->sky_light[c] * open + drive->sun_light[c] * facing +
                                     drive->lamp_light[c]);
}
