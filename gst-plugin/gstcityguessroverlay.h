/* The element `cityguessroverlay`. Its documentation stands at the top of gstcityguessroverlay.c.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <gst/gst.h>

G_BEGIN_DECLS

/** GST_TYPE_CITY_GUESSR_OVERLAY: the type of the element. */
#define GST_TYPE_CITY_GUESSR_OVERLAY (gst_city_guessr_overlay_get_type ())
G_DECLARE_FINAL_TYPE (GstCityGuessrOverlay, gst_city_guessr_overlay, GST, CITY_GUESSR_OVERLAY,
                      GstBin)

/** GST_ELEMENT_REGISTER (cityguessroverlay, plugin): registers it, from the plugin or in a static build. */
GST_ELEMENT_REGISTER_DECLARE (cityguessroverlay);

G_END_DECLS
