/* An answer as GStreamer's own analytics metadata (GstAnalyticsRelationMeta), where GStreamer has it (1.24 and later).
 *
 * One classification (GstAnalyticsClsMtd) for each level that has predictions: its most probable labels, as quarks of
 * the model's own spelling, the most probable first, with their probabilities. City, state, country and continent
 * follow each other in this order; each IS_PART_OF the next.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <gst/gst.h>

G_BEGIN_DECLS

/** gst_city_guessr_analytics_attach: @buffer: writable; @answer: a structure as in report.h. What other elements have
 * put into the buffer's relation meta stays. Does nothing if @answer has no predictions, or where GStreamer is too old.
 * Quarks are never freed: there are at most as many as the model has labels. Any thread. */
void gst_city_guessr_analytics_attach (GstBuffer *buffer, const GstStructure *answer);

G_END_DECLS
