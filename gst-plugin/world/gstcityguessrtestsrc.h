/* The element `cityguessrtestsrc`. Its documentation stands at the top of gstcityguessrtestsrc.c.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <gst/base/gstpushsrc.h>

G_BEGIN_DECLS

/** GST_TYPE_CITY_GUESSR_TEST_SRC: the type of the element. */
#define GST_TYPE_CITY_GUESSR_TEST_SRC (gst_city_guessr_test_src_get_type ())
G_DECLARE_FINAL_TYPE (GstCityGuessrTestSrc, gst_city_guessr_test_src, GST, CITY_GUESSR_TEST_SRC,
                      GstPushSrc)

/** GST_ELEMENT_REGISTER (cityguessrtestsrc, plugin): registers it, from the plugin or in a static build. */
GST_ELEMENT_REGISTER_DECLARE (cityguessrtestsrc);

G_END_DECLS
