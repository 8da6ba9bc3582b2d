/* Cheap shot-cut test: whether two pictures, about a second apart, belong to the same shot.
 *
 * Between two samples of a window a moving camera has moved everything, so pixels cannot be compared; what
 * stays is which colours there are, and roughly where: sky above, road below (histogram differences as in
 * Boreczky and Rowe 1996, "Comparison of video shot boundary detection techniques").
 *
 * Signature: of the upper and of the lower half of the picture one histogram over Y' x Cb x Cr of BT.601 with
 * 2 x 4 x 4 bins, from a grid of 24 x 24 pixels. Whatever the frame's own matrix and range, it is brought to
 * R'G'B' and from there to BT.601, Y' in 0..1 and Cb, Cr in -1/2..1/2; chroma is stretched threefold, as
 * pictures of the outdoors lie near grey, and clipped. A pixel is shared out between the neighbouring bins
 * linearly along each axis, so that neither noise nor a slow change of light jumps.
 *
 * Distance: Hellinger's, sqrt (1/2 sum (sqrt a - sqrt b)^2) with a, b the bins over their sums: a metric in
 * 0..1.
 *
 * The threshold is 0.25, measured on three clips, which are few: a walk outdoors, a drive on a motorway, and
 * a walk along a street put together from stills (10.5, 3.5 and 5.8 s), all by day
 * (tests/model/test_shot_on_clips.py prints the figures).
 *  - False alarms: none among the 348 pairs of a clip's pictures 1.4 s apart; the largest distances are 0.16,
 *    0.20 and 0.24. At other intervals only the stills give some: 2 of 53 up to 0.7 s apart, 3 of 15 at 2.8
 *    s.
 *  - Misses: of all pairs of pictures from two of the clips 14, 19 and 32 % lie below it (medians 0.32, 0.28,
 *    0.27), as sky, trees and asphalt are much alike everywhere.
 *
 * So it is set to spare drives rather than to find every cut: a false alarm costs the filter over time half
 * of what it knows, while after a miss it follows as it follows a journey.
 *
 * Grey pictures have but brightness to tell them apart: most cuts between grey views of one kind are missed.
 * A fade or a dissolve that takes several intervals is no cut.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "frame.h"

G_BEGIN_DECLS

#define CG_SHOT_BINS 64
#define CG_SHOT_THRESHOLD 0.25

/** CgShotSignature: plain data.
 * @bins: [half][Y'][Cb][Cr], [2][2][4][4]; those of a half sum to 65535 but for rounding */
typedef struct {
  guint16 bins[CG_SHOT_BINS];
} CgShotSignature;

/** cg_shot_describe: @frame must be one that the engine has taken (cg_sample_new() succeeded): it is not
 * checked again. Reads 576 pixels, whatever the size: about 50 us at 4K when no cache holds them, 15 when one
 * does. Any thread. */
void cg_shot_describe (const CgFrame *frame, CgShotSignature *signature);

/** cg_shot_distance: 0 (alike) to 1 (nothing in common). Signatures of cg_shot_describe(). Any thread. */
gdouble cg_shot_distance (const CgShotSignature *a, const CgShotSignature *b);

/** cg_shot_is_cut: whether the distance is past CG_SHOT_THRESHOLD. Any thread. */
gboolean cg_shot_is_cut (const CgShotSignature *a, const CgShotSignature *b);

G_END_DECLS
