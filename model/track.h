/* Places over time: the filter that turns the answers of windows into one stable answer.
 *
 * A Bayes filter over the cities of a model (Thrun, Burgard and Fox 2005, "Probabilistic Robotics", chapter
 * 2.4; used on the places of videos by Vaca-Castano, Zamir and Shah, CVPR 2012). What is seen of a window is
 * q(c), its city probabilities as cg_decode() gives them; C is the number of cities. All is computed in
 * logarithms and normalised by log-sum-exp.
 *
 * Transition, over the seconds dt from window to window: what was known fades toward knowing nothing,
 *     p'(c) = exp (-dt / memory) p(c) + (1 - exp (-dt / memory)) / C:
 * a chain that jumps to a place drawn anew once in `memory` seconds on the average.
 *
 * Update: p(c) proportional to p'(c) q'(c)^w, where
 *  - q' = (1 - e) q + e / C with e = 0.01: one window in a hundred shows nothing of its place (a tunnel, a
 *    wall). No window can rule a city out, nor count for more than log (1 + C (1 - e) / e) nats, 9.7 for 166
 *    cities.
 *  - w, how much of the window's evidence is news. The evidence of a window is taken as the sum of that of
 *    its samples. `fresh` is the share of samples that no earlier window held: that a stretch of video lies
 *    in many overlapping windows does not make it count many times. Of the rest, what has been forgotten
 *    meanwhile is news again: w = 1 - exp (-dt / memory) (1 - fresh), so that with ever less memory p becomes
 *    q'. Samples of one place are taken as independent, which is optimistic: after minutes the probabilities
 *    are surer than they are right. (A likelihood to a power: Holmes and Walker 2017, Biometrika 104(2).)
 *    That the city head answers with a posterior is no matter, its prior being taken as uniform.
 *  - A window that begins where the one before it began (`elapsed` = 0: an early window and the better one
 *    after it) holds all that that one held, so it takes its place: the belief before both is updated, w =
 *    min (1, w before + fresh).
 *  - p'(c) is at least 1e-9: with a long memory too a city comes back.
 *
 * A cut: p' = 1/2 p + 1/2 / C. It may have led anywhere, or be in the same town, or be a false alarm; with
 * half of what was known gone, one window of the new shot that gives another city 0.6 moves the sure place at
 * once, and until there is one no city is told of at random.
 *  - A window with a cut since the window before is taken for two: what is new of before its last cut, w' =
 *    max (0, w - since_cut), then the cut, then what comes after it, w = `since_cut`. So is a first window
 *    that has a cut.
 *  - As long as the next windows still hold samples of before the cut, each holds all that there is of after
 *    it. Each takes the place of the one before it, with w = `since_cut`, and so does, with w = 1, the first
 *    one that is wholly of after the cut: nothing of the mixed ones is kept, but through another cut.
 *
 * memory = 0: p = q, each window by itself, cuts or not.
 *
 * What comes of it with memory = 600 s and windows of 21 s that begin every 2.8 s (fresh = 1/8): one wrong
 * window does not move a place that many right ones agree on, however sure it is; on a journey without a cut
 * from such a place, 12 windows (34 s) that give another city 0.9 make it the answer.
 *
 * Stable: the place is the label of the finest level that is given (not withheld). It becomes stable when
 *  - it has been the same from window to window for at least as long as a window lasts, counted in stream
 *    time from the start of the first window that showed it (so that a window with not one sample of that
 *    first one agrees: that overlapping windows agree is no confirmation), without a cut, and
 *  - its probability is at least 0.75 at that moment.
 *
 * It stays so until its probability is under 0.5 (from there on other places together are likelier), it is
 * another, or there is a cut. Between the two bounds it stays what it was: it does not flicker.
 *
 * Numbers that can't be: durations and shares are clamped (elapsed to 0.., shares to 0..1), NaN counts as 0;
 * a q(c) that is negative or not finite counts as 0, q is normalised, and a q of nothing but zeros is
 * uniform.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "decode.h"

G_BEGIN_DECLS

typedef struct _CgTrack CgTrack;

/** CgTrackStep: how a window lies to the one before it.
 * @elapsed: seconds of stream time since the window before began; of the first window not read
 * @duration: seconds from its first sample to the end of its last one
 * @fresh: share of its samples that no earlier window held, 0..1; of the first window not read
 * @cut: a shot cut lies between the newest sample of the window before and the newest of this one
 * @since_cut: share of its samples that come after its last cut, 0..1; 1 if it spans none */
typedef struct {
  gdouble elapsed, duration, fresh;
  gboolean cut;
  gdouble since_cut;
} CgTrackStep;

/** cg_track_new: knows nothing yet.
 * @model: borrowed, outlives this
 * Returns: (transfer full): cg_track_free(). One thread at a time. */
CgTrack *cg_track_new (const CgModel *model);
void cg_track_free (CgTrack *track);

/** cg_track_forget: as new: at a discontinuity, a flush, a new stream. */
void cg_track_forget (CgTrack *track);

/** cg_track_update: one window more.
 * @cities: q(c), [cities of the model]
 * @memory: seconds, the time constant with which what was known fades; 0 = each window by itself. May
 *   differ from window to window
 * @options: @decoding is not looked at: a tracked answer is one distribution over cities, summed up the tree
 * @answer: (out): the tracked answer; no scene
 * Returns: whether it is stable. */
gboolean cg_track_update (CgTrack *track, const gdouble *cities, const CgTrackStep *step,
                          gdouble memory, const CgDecodeOptions *options, CgAnswer *answer);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (CgTrack, cg_track_free)

G_END_DECLS
