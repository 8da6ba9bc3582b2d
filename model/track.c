/* A Bayes filter over cities: the formulas are in track.h.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "track.h"

#include <math.h>
#include <string.h>

/* The share of windows that show nothing of their place. */
#define SILENT_SHARE 0.01
/* The least probability of a city. */
#define FLOOR 1e-9
/* What a cut leaves of what was known. */
#define KEPT_BY_A_CUT 0.5

#define STABLE_FROM 0.75
#define STABLE_UNTIL 0.5
/* Seconds: what sums of doubles may lack. */
#define ROUNDING 1e-6

struct _CgTrack {
  const CgModel *model;
  guint n; /* cities */

  /* Belief, [cities], in logarithms: before the last window, and with it. */
  gdouble *before, *now;
  gdouble *seen;    /* [cities]: q of the window at hand */
  gdouble *updated; /* [cities]: p of the window at hand */
  gdouble weight;   /* of the last window */
  gboolean begun;   /* there was a window */
  gboolean mixed;   /* the last window held samples of before its cut */

  /* The place that the last window gave; CG_LEVELS if none. */
  guint level, index;
  gdouble held; /* seconds */
  gboolean stable;
};

CgTrack *
cg_track_new (const CgModel *model)
{
  CgTrack *track = g_new0 (CgTrack, 1);

  track->model = model;
  track->n = cg_places_count (model->places, CG_CITY);
  track->before = g_new (gdouble, 4 * track->n);
  track->now = track->before + track->n;
  track->seen = track->now + track->n;
  track->updated = track->seen + track->n;
  cg_track_forget (track);
  return track;
}

void
cg_track_free (CgTrack *track)
{
  g_free (track->before);
  g_free (track);
}

void
cg_track_forget (CgTrack *track)
{
  track->begun = track->mixed = track->stable = FALSE;
  track->level = CG_LEVELS;
  track->held = 0;
}

/* NaN is 0. */
static gdouble
clamp (gdouble value, gdouble max)
{
  return value > 0 ? MIN (value, max) : 0;
}

/* q: @cities, without what can't be. */
static void
see (CgTrack *track, const gdouble *cities)
{
  gdouble max = 0, sum = 0;

  for (guint c = 0; c < track->n; c++) {
    track->seen[c] = isfinite (cities[c]) ? MAX (cities[c], 0) : 0;
    max = MAX (max, track->seen[c]);
  }
  for (guint c = 0; c < track->n && max > 0; c++)
    sum += track->seen[c] /= max;
  for (guint c = 0; c < track->n; c++)
    track->seen[c] = max > 0 ? track->seen[c] / sum : 1.0 / track->n;
}

/* @before: nothing. */
static void
know_nothing (CgTrack *track)
{
  for (guint c = 0; c < track->n; c++)
    track->before[c] = -log (track->n);
}

/* @before: what is left of @belief. @kept, @lost: shares, together 1 */
static void
fade (CgTrack *track, const gdouble *belief, gdouble kept, gdouble lost)
{
  for (guint c = 0; c < track->n; c++)
    track->before[c] = log (MAX (kept * exp (belief[c]) + lost / track->n, FLOOR));
}

/* @now: with the window at hand, normalised by log-sum-exp. */
static void
update (CgTrack *track, gdouble weight)
{
  gdouble max = -INFINITY, sum = 0;

  for (guint c = 0; c < track->n; c++) {
    const gdouble q = (1 - SILENT_SHARE) * track->seen[c] + SILENT_SHARE / track->n;
    track->now[c] = track->before[c] + weight * log (q);
    max = MAX (max, track->now[c]);
  }
  for (guint c = 0; c < track->n; c++)
    sum += exp (track->now[c] - max);
  for (guint c = 0; c < track->n; c++)
    track->now[c] = (track->now[c] - max) - log (sum);
  track->weight = weight;
}

/* Whether the place of @answer is stable. */
static gboolean
is_stable (CgTrack *track, const CgTrackStep *step, gboolean cut, const CgAnswer *answer)
{
  const guint level = answer->finest;

  if (level == CG_LEVELS || cut || level != track->level || answer->index[level] != track->index) {
    track->stable = FALSE;
    track->held = 0;
  } else {
    track->held += clamp (step->elapsed, G_MAXDOUBLE);
  }
  track->level = level;
  if (level == CG_LEVELS)
    return FALSE;

  track->index = answer->index[level];
  if (track->held > 0 && track->held >= clamp (step->duration, G_MAXDOUBLE) - ROUNDING &&
      answer->probability[level] >= STABLE_FROM)
    track->stable = TRUE;
  if (answer->probability[level] < STABLE_UNTIL)
    track->stable = FALSE;
  return track->stable;
}

/* Belief with the window at hand, which has been seen. */
static void
believe (CgTrack *track, const CgTrackStep *step, gdouble memory)
{
  const gdouble elapsed = clamp (step->elapsed, G_MAXDOUBLE);
  const gdouble fresh = clamp (step->fresh, 1), since_cut = clamp (step->since_cut, 1);
  const gdouble kept = exp (-elapsed / memory), lost = -expm1 (-elapsed / memory);
  const gboolean cut = track->begun ? step->cut : since_cut < 1;
  gdouble weight = fresh + (1 - fresh) * lost;

  if (!track->begun) {
    know_nothing (track);
    weight = 1;
  } else if (track->mixed && !cut) {
    fade (track, track->before, kept, lost);
    weight = since_cut;
  } else if (elapsed > 0 || cut) {
    fade (track, track->now, kept, lost);
  } else {
    weight = MIN (track->weight + fresh, 1);
  }

  if (cut) {
    update (track, MAX (weight - since_cut, 0));
    fade (track, track->now, KEPT_BY_A_CUT, 1 - KEPT_BY_A_CUT);
    weight = since_cut;
  }
  update (track, weight);
  track->mixed = since_cut < 1;
}

gboolean
cg_track_update (CgTrack *track, const gdouble *cities, const CgTrackStep *step, gdouble memory,
                 const CgDecodeOptions *options, CgAnswer *answer)
{
  const gboolean cut = track->begun && step->cut;

  see (track, cities);
  if (memory > 0) {
    believe (track, step, memory);
    for (guint c = 0; c < track->n; c++)
      track->updated[c] = exp (track->now[c]);
  } else {
    know_nothing (track);
    update (track, 1);
    track->mixed = FALSE;
    memcpy (track->updated, track->seen, track->n * sizeof *track->updated);
  }
  track->begun = TRUE;
  cg_decode_cities (track->model, track->updated, options, answer);
  return is_stable (track, step, cut, answer);
}
