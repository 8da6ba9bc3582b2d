/* The machine's own limits (bench-limits.h).
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "bench-limits.h"

#include "../model/cpu/peak.h"

#define STEPS 1000000 /* 4 to 8 ms */
#define TURNS 3

typedef struct {
  CgPeakLoop loop;
  gint waiting; /* atomic: threads that are not there yet */
} Race;

/* Seconds of the fastest turn. The threads meet first: a loop alone on its core would not show the limit of all. */
static gpointer
race (gpointer data)
{
  Race *r = data;
  gint64 best = G_MAXINT64;

  g_atomic_int_dec_and_test (&r->waiting);
  while (g_atomic_int_get (&r->waiting) > 0)
    g_thread_yield ();
  for (guint i = 0; i < TURNS; i++) {
    gint64 start = g_get_monotonic_time ();
    r->loop (STEPS);
    best = MIN (best, MAX (g_get_monotonic_time () - start, 1));
  }
  gdouble *seconds = g_new (gdouble, 1);
  *seconds = (gdouble)best / G_USEC_PER_SEC;
  return seconds;
}

static void
measure (CgPeak peak, guint threads, gdouble *limit)
{
  guint operations;
  Race r = { cg_peak_loop (peak, &operations), (gint)threads };
  g_autofree GThread **thread = g_new (GThread *, threads);
  gdouble rate = 0;

  if (r.loop == NULL)
    return;
  for (guint i = 0; i < threads; i++)
    thread[i] = g_thread_new ("limit", race, &r);
  for (guint i = 0; i < threads; i++) {
    g_autofree gdouble *seconds = g_thread_join (thread[i]);
    rate += (gdouble)STEPS * operations / *seconds / 1e9;
  }
  *limit = MAX (*limit, rate);
}

void
cg_limits_measure (guint threads, CgLimits *limits)
{
  measure (CG_PEAK_FP32, threads, &limits->fp32);
  measure (CG_PEAK_BF16, threads, &limits->bf16);
  measure (CG_PEAK_INT8, threads, &limits->int8);
}
