/* The plugin: it registers everywhere, with no model and no accelerator present.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "gstcityguessr.h"
#include "gstcityguessroverlay.h"

static gboolean
plugin_init (GstPlugin *plugin)
{
  return GST_ELEMENT_REGISTER (cityguessr, plugin) &&
         GST_ELEMENT_REGISTER (cityguessroverlay, plugin);
}

GST_PLUGIN_DEFINE (GST_VERSION_MAJOR, GST_VERSION_MINOR, cityguessr,
                   "Tells where in the world a video was filmed", plugin_init, PACKAGE_VERSION,
                   "LGPL", "CityGuessr for GStreamer", "Unknown package origin")
