/* Where the sun stands.
 *
 *   declination  d = -23.44° cos (360° / 365 (N + 10))          N: day of the year from 1
 *   hour angle   H = 15° (solar hour - 12)
 *   elevation    sin a = sin φ sin d + cos φ cos d cos H
 *   azimuth      from north over east: atan2 (-cos d sin H, sin d cos φ - cos d sin φ cos H)
 *
 * Source: Wikipedia, "Position of the Sun" and "Solar zenith angle". The equation of time and
 * refraction are left out: together they are under two degrees.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/** CgSun: radians. @azimuth: from north over east, -π .. π. */
typedef struct {
  gdouble elevation, azimuth;
} CgSun;

/** cg_sun_at: @latitude: degrees; @day: of the year, 1 .. 366; @hour: local solar time, 0 .. 24.
 * Any thread. */
CgSun cg_sun_at (gdouble latitude, gdouble day, gdouble hour);

G_END_DECLS
