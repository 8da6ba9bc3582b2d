/* See sun.h.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "sun.h"

#include <math.h>

CgSun
cg_sun_at (gdouble latitude, gdouble day, gdouble hour)
{
  const gdouble degree = G_PI / 180.0;
  gdouble phi = latitude * degree, h = 15.0 * degree * (hour - 12.0);
  gdouble d = -23.44 * degree * cos (360.0 * degree / 365.0 * (day + 10.0));
  gdouble up = sin (phi) * sin (d) + cos (phi) * cos (d) * cos (h);
  CgSun sun;

  sun.elevation = asin (CLAMP (up, -1.0, 1.0));
  sun.azimuth = atan2 (-cos (d) * sin (h), sin (d) * cos (phi) - cos (d) * sin (phi) * cos (h));
  return sun;
}
