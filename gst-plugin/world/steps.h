/* Rows of things at even distances.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <math.h>

#include <glib.h>

G_BEGIN_DECLS

/** cg_steps: how many of @from, @from + @step, @from + 2 @step ... are less than @to. Counting them,
 * instead of adding up, makes no error grow along the row. */
static inline guint
cg_steps (gdouble from, gdouble to, gdouble step)
{
  return from < to ? (guint)ceil ((to - from) / step) : 0;
}

G_END_DECLS
