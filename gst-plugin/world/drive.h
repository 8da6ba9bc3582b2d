/* One drive: what differs between two films of the same city. All of it follows from (city, seed).
 *
 * Street space: s along the middle of the street, x to the right of it, h above its surface, metres.
 * Light is 0..1 for each of red, green, blue, where 1 is a white wall in full sun; the lens (lens.h)
 * sets the exposure.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "atlas.h"
#include "sun.h"

G_BEGIN_DECLS

/** CG_WALK_SHARE: of all drives, how many are walks along the pavement. */
#define CG_WALK_SHARE 0.2

typedef enum {
  CG_WEATHER_CLEAR,
  CG_WEATHER_FAIR,
  CG_WEATHER_OVERCAST,
  CG_WEATHER_RAIN,
  CG_WEATHER_SNOWFALL,
  CG_WEATHER_FOG,
} CgWeather;

/** CgDrive: immutable after cg_drive_init().
 * @key: of everything that is drawn by chance. @hour: local solar time, @day: 1 .. 365.
 * @cloud, @wetness, @snow: 0..1. @heading: of the street, radians from north over east.
 * @sun: its direction in street space (x, h, s). @haze: 1/m. @zenith, @horizon: colours, 0..255.
 * @lanes: in each direction. @kerb: x of the kerbs; @line: x of the pavements' outer edge.
 * @period: a block and the crossing behind it. @camera_x, @camera_h: where the camera is.
 * @tan_half: tangent of half the vertical field of view. @noise, @block_noise: 0..1. */
typedef struct {
  const CgCity *city;
  guint64 seed, key;
  gboolean walk;
  gdouble hour, day, temperature;
  CgWeather weather;
  gdouble cloud, wetness, snow, heading;
  gdouble sun_elevation, sun[3];
  gfloat sun_light[3], sky_light[3], lamp_light[3];
  gboolean night, dusk;
  gdouble haze;
  gfloat zenith[3], horizon[3];
  guint lanes;
  gdouble lane_width, kerb, line, pavement, block, period;
  gboolean parking;
  gdouble bend, roll;
  gdouble speed, start, traffic, people;
  gdouble camera_x, camera_h, tan_half, pitch, yaw, shake;
  gboolean bonnet;
  guint32 bonnet_colour;
  gdouble exposure, contrast, tint, noise, block_noise, vignette;
} CgDrive;

/** CgPose: the camera at one time. @pitch: up is positive; @yaw: to the right; @roll: clockwise. */
typedef struct {
  gdouble time, s, x, h, pitch, yaw, roll, speed;
} CgPose;

/** cg_drive_init: the drive number @seed through @city, which must outlive it. Any thread. */
void cg_drive_init (CgDrive *drive, const CgCity *city, guint64 seed);

/** cg_drive_pose: where the camera is @time seconds after the start, in any order. */
CgPose cg_drive_pose (const CgDrive *drive, gdouble time);

/** cg_drive_heading, cg_drive_height: the street's bend (radians) and its surface (metres) at @s. */
gdouble cg_drive_heading (const CgDrive *drive, gdouble s);
gdouble cg_drive_height (const CgDrive *drive, gdouble s);

/** cg_drive_shade: @light: of a surface whose normal is (@x, @h, @s) in street space. */
void cg_drive_shade (const CgDrive *drive, gdouble x, gdouble h, gdouble s, gfloat light[3]);

/** cg_drive_own_side: +1 where one drives on the right, -1 on the left. */
gdouble cg_drive_own_side (const CgDrive *drive);

G_END_DECLS
