/* The machine's own limits: what all its threads can multiply and add in registers (model/cpu/peak.h).
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/** CgLimits: 10^9 operations a second (2 for each multiply-and-add) of all threads together; 0: the CPU lacks the
 * instruction. */
typedef struct {
  gdouble fp32, bf16, int8;
} CgLimits;

/** cg_limits_measure: some 20 ms for each loop on @threads threads at once. Keeps the larger of what is in @limits
 * and what it finds, so that repeated calls find the limit of a machine that is not quiet. One thread at a time. */
void cg_limits_measure (guint threads, CgLimits *limits);

G_END_DECLS
