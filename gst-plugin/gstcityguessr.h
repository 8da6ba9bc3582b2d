/* The element `cityguessr`. Its documentation stands at the top of gstcityguessr.c.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <gst/base/gstbasetransform.h>
#include <gst/gst.h>

G_BEGIN_DECLS

/** GST_TYPE_CITY_GUESSR: the type of the element. */
#define GST_TYPE_CITY_GUESSR (gst_city_guessr_get_type ())
G_DECLARE_FINAL_TYPE (GstCityGuessr, gst_city_guessr, GST, CITY_GUESSR, GstBaseTransform)

/** GST_ELEMENT_REGISTER (cityguessr, plugin): registers it, from the plugin or in a static build.
 */
GST_ELEMENT_REGISTER_DECLARE (cityguessr);

G_END_DECLS
