/* The plugin of the drawn world, apart from that of the other elements because it needs cairo and pango.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "gstcityguessrtestsrc.h"

static gboolean
plugin_init (GstPlugin *plugin)
{
  return GST_ELEMENT_REGISTER (cityguessrtestsrc, plugin);
}

GST_PLUGIN_DEFINE (GST_VERSION_MAJOR, GST_VERSION_MINOR, cityguessrworld,
                   "Drives through drawn streets of the world's cities", plugin_init,
                   PACKAGE_VERSION, "LGPL", "CityGuessr for GStreamer", "Unknown package origin")
