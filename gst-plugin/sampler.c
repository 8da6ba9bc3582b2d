/* Timestamps to samples to windows: see sampler.h for the rules.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "sampler.h"

/* The finest grid has the spacing interval / 2^FINEST. */
#define FINEST 5
#define TOLERANCE GST_MSECOND
#define GAP_INTERVALS 2

/* @level: the coarsest grid, 0 … FINEST, on which this sample lies. */
typedef struct {
  GstClockTime pts, duration;
  guint level;
  gpointer sample;
} Held;

struct _GstCityGuessrSampler {
  guint frames;
  GstClockTime interval, tolerance;
  GDestroyNotify release;

  Held *held; /* [2 * frames], oldest first */
  guint n_held;
  gpointer *window; /* [frames]: what a span points to */

  guint level;           /* the grid in use */
  gboolean full_window;  /* the stretch has had one */
  guint uncovered;       /* samples since the last window */
  GstClockTime early;    /* the stretch must be this long for its next early window */
  GstClockTime origin;   /* t0; NONE before the first sample */
  guint64 last_cell;     /* cell of the newest sample */
  GstClockTime last_pts; /* of the newest frame; NONE before the first */
  GstClockTime last_end; /* PTS + duration of the same */
  GstClockTime due;      /* where the next one is expected */
  GstClockTime previous; /* PTS of the newest frame, of whatever stretch */
};

GstCityGuessrSampler *
gst_city_guessr_sampler_new (guint frames, GstClockTime interval, GDestroyNotify release)
{
  GstCityGuessrSampler *sampler = g_new0 (GstCityGuessrSampler, 1);

  sampler->frames = frames;
  sampler->interval = interval;
  sampler->tolerance = MIN (TOLERANCE, interval / 8);
  sampler->release = release;
  sampler->previous = GST_CLOCK_TIME_NONE;
  sampler->held = g_new0 (Held, 2 * frames);
  sampler->window = g_new0 (gpointer, frames);
  gst_city_guessr_sampler_restart (sampler);
  return sampler;
}

void
gst_city_guessr_sampler_free (GstCityGuessrSampler *sampler)
{
  gst_city_guessr_sampler_restart (sampler);
  g_free (sampler->held);
  g_free (sampler->window);
  g_free (sampler);
}

void
gst_city_guessr_sampler_restart (GstCityGuessrSampler *sampler)
{
  for (guint i = 0; i < sampler->n_held; i++)
    sampler->release (sampler->held[i].sample);
  sampler->n_held = 0;
  sampler->level = FINEST;
  sampler->full_window = FALSE;
  sampler->uncovered = 0;
  sampler->early = sampler->interval;
  sampler->origin = GST_CLOCK_TIME_NONE;
  sampler->last_cell = 0;
  sampler->last_pts = sampler->last_end = sampler->due = GST_CLOCK_TIME_NONE;
}

gboolean
gst_city_guessr_sampler_is_break (const GstCityGuessrSampler *sampler, GstClockTime pts)
{
  if (!GST_CLOCK_TIME_IS_VALID (sampler->last_pts))
    return FALSE;
  if (pts < sampler->last_pts)
    return TRUE;
  return pts > sampler->due && pts - sampler->due > GAP_INTERVALS * sampler->interval;
}

/* The cell of the finest grid that @pts lies in: floor ((pts - t0 + tolerance) / (interval /
 * 2^FINEST)). Shifted right by FINEST - L it is the number of the last target of level L that the
 * frame has reached. */
static guint64
cell_of (const GstCityGuessrSampler *sampler, GstClockTime pts)
{
  return gst_util_uint64_scale (pts - sampler->origin + sampler->tolerance, 1 << FINEST,
                                sampler->interval);
}

/* The coarsest grid on which a frame in @cell is the first one to reach some target; FINEST + 1 if
 * there is none. */
static guint
level_of (const GstCityGuessrSampler *sampler, guint64 cell)
{
  guint level = 0;

  while (level <= FINEST && cell >> (FINEST - level) == sampler->last_cell >> (FINEST - level))
    level++;
  return level;
}

gboolean
gst_city_guessr_sampler_advance (GstCityGuessrSampler *sampler, GstClockTime pts,
                                 GstClockTime duration)
{
  sampler->last_pts = pts;
  sampler->last_end = sampler->due = GST_CLOCK_TIME_IS_VALID (duration) ? pts + duration : pts;
  if (!GST_CLOCK_TIME_IS_VALID (duration) &&
      pts > sampler->previous) /* which may be NONE, the greatest */
    sampler->due = pts + (pts - sampler->previous);
  sampler->previous = pts;
  if (!GST_CLOCK_TIME_IS_VALID (sampler->origin))
    return TRUE;
  return level_of (sampler, cell_of (sampler, pts)) <= sampler->level;
}

/* Keeps the samples of the grid @level. */
static void
coarsen (GstCityGuessrSampler *sampler, guint level)
{
  guint kept = 0;

  sampler->level = level;
  for (guint i = 0; i < sampler->n_held; i++) {
    if (sampler->held[i].level <= level)
      sampler->held[kept++] = sampler->held[i];
    else
      sampler->release (sampler->held[i].sample);
  }
  sampler->n_held = kept;
}

/* The window whose position i is the held sample number first + spread (i). */
static void
fill_span (GstCityGuessrSampler *sampler, guint first, guint n, GstCityGuessrSpan *span)
{
  const Held *oldest = &sampler->held[first], *newest = &sampler->held[first + n - 1];
  guint64 steps = sampler->frames - 1;

  for (guint64 i = 0; i <= steps; i++)
    sampler->window[i] = sampler->held[first + (2 * i * (n - 1) + steps) / (2 * steps)].sample;
  span->samples = sampler->window;
  span->distinct = MIN (n, sampler->frames);
  span->partial = n < sampler->frames;
  span->start = oldest->pts;
  span->end = newest->pts + newest->duration;
}

static guint
count_on_grid (const GstCityGuessrSampler *sampler)
{
  guint n = 0;

  for (guint i = 0; i < sampler->n_held; i++)
    n += sampler->held[i].level == 0;
  return n;
}

gboolean
gst_city_guessr_sampler_add (GstCityGuessrSampler *sampler, gpointer sample, guint hop,
                             GstCityGuessrSpan *span)
{
  Held held = { .pts = sampler->last_pts,
                .duration = sampler->last_end - sampler->last_pts,
                .sample = sample };

  if (GST_CLOCK_TIME_IS_VALID (sampler->origin)) {
    guint64 cell = cell_of (sampler, held.pts);
    held.level = level_of (sampler, cell);
    sampler->last_cell = cell;
  } else {
    sampler->origin = held.pts;
    sampler->last_cell = cell_of (sampler, held.pts);
  }

  if (sampler->full_window) {
    sampler->release (sampler->held[0].sample);
    sampler->n_held--;
    memmove (sampler->held, sampler->held + 1, sampler->n_held * sizeof (Held));
  }
  sampler->held[sampler->n_held++] = held;
  sampler->uncovered++;

  if (sampler->full_window) {
    if (sampler->uncovered < hop)
      return FALSE;
  } else {
    if (count_on_grid (sampler) < sampler->frames) {
      while (sampler->n_held == 2 * sampler->frames)
        coarsen (sampler, sampler->level - 1);
      return FALSE;
    }
    coarsen (sampler, 0);
    sampler->full_window = TRUE;
  }
  sampler->uncovered = 0;
  fill_span (sampler, 0, sampler->frames, span);
  return TRUE;
}

gboolean
gst_city_guessr_sampler_last_window (GstCityGuessrSampler *sampler, guint min_samples,
                                     GstCityGuessrSpan *span)
{
  if (sampler->uncovered == 0 || (!sampler->full_window && sampler->n_held < MAX (min_samples, 1)))
    return FALSE;
  fill_span (sampler, 0, sampler->n_held, span);
  return TRUE;
}

gboolean
gst_city_guessr_sampler_early_window (GstCityGuessrSampler *sampler, guint min_samples,
                                      GstCityGuessrSpan *span)
{
  GstClockTime length;

  if (sampler->full_window || sampler->n_held < MAX (min_samples, 1))
    return FALSE;
  length = sampler->held[sampler->n_held - 1].pts - sampler->origin + sampler->tolerance;
  if (length < sampler->early)
    return FALSE;
  while (sampler->early <= length)
    sampler->early *= 2;
  sampler->uncovered = 0;
  fill_span (sampler, 0, sampler->n_held, span);
  span->partial = TRUE;
  return TRUE;
}
