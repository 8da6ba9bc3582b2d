/* What this CPU can do at most: loops that do nothing but multiply and add in registers.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/** CgPeak: FP32: with the widest FMA there is (without it: multiply, then add). BF16: with
 * AVX512_BF16. INT8: with AVX512_VNNI. */
typedef enum { CG_PEAK_FP32, CG_PEAK_BF16, CG_PEAK_INT8 } CgPeak;

/** CgPeakLoop: does @steps steps of so many operations as cg_peak_loop() tells. Any thread. */
typedef void (*CgPeakLoop) (guint steps);

/** cg_peak_loop: the loop for @peak; NULL if this CPU lacks the instruction.
 * @operations: (out): of one step; 2 for each multiply-and-add. Any thread. */
CgPeakLoop cg_peak_loop (CgPeak peak, guint *operations);

G_END_DECLS
