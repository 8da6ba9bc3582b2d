/* The machine's own limits (bench-limits.h).
 *
 * Each loop keeps twelve independent sums: more than any CPU's latency times its ports needs, few enough for sixteen
 * registers. The empty asm keeps the compiler from seeing through the numbers.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "bench-limits.h"

#define SUMS 12
#define STEPS 1000000 /* of SUMS instructions: 4 to 8 ms */
#define TURNS 3

typedef void (*Loop) (void);

#ifdef __x86_64__
#include <immintrin.h>

#define LOOP(name, isa, type, zero, step)                                       \
  __attribute__ ((target (isa))) static void name (void)                        \
  {                                                                             \
    type a = (zero), b = (zero), sum[SUMS];                                     \
    _Pragma ("GCC unroll 12") for (guint i = 0; i < SUMS; i++) sum[i] = (zero); \
    __asm__ volatile("" : "+v"(a), "+v"(b));                                    \
    for (guint n = 0; n < STEPS; n++) {                                         \
      _Pragma ("GCC unroll 12") for (guint i = 0; i < SUMS; i++)                \
      {                                                                         \
        sum[i] = (step);                                                        \
        __asm__ volatile("" : "+v"(sum[i]));                                    \
      }                                                                         \
    }                                                                           \
  }

LOOP (fp32_sse2, "sse2", __m128, _mm_setzero_ps (), _mm_add_ps (sum[i], _mm_mul_ps (a, b)))
LOOP (fp32_avx2, "avx2,fma", __m256, _mm256_setzero_ps (), _mm256_fmadd_ps (a, b, sum[i]))
LOOP (fp32_avx512, "avx512f", __m512, _mm512_setzero_ps (), _mm512_fmadd_ps (a, b, sum[i]))
LOOP (bf16_avx512, "avx512f,avx512bf16", __m512, _mm512_setzero_ps (),
      _mm512_dpbf16_ps (sum[i], (__m512bh)a, (__m512bh)b))
LOOP (int8_avx512, "avx512f,avx512vnni", __m512i, _mm512_setzero_si512 (),
      _mm512_dpbusd_epi32 (sum[i], a, b))

/* Operations of one instruction of the chosen loop. */
static Loop
fp32_loop (guint *operations)
{
  if (__builtin_cpu_supports ("avx512f")) {
    *operations = 2 * 16;
    return fp32_avx512;
  }
  if (__builtin_cpu_supports ("avx2") && __builtin_cpu_supports ("fma")) {
    *operations = 2 * 8;
    return fp32_avx2;
  }
  *operations = 2 * 4;
  return fp32_sse2;
}

static Loop
bf16_loop (guint *operations)
{
  *operations = 2 * 32;
  return __builtin_cpu_supports ("avx512bf16") ? bf16_avx512 : NULL;
}

static Loop
int8_loop (guint *operations)
{
  *operations = 2 * 64;
  return __builtin_cpu_supports ("avx512vnni") ? int8_avx512 : NULL;
}

#else

static void
fp32_generic (void)
{
  typedef float Vector __attribute__ ((vector_size (16)));
  Vector a = { 0 }, b = { 0 }, sum[SUMS] = { { 0 } };

  __asm__ volatile("" : "+m"(a), "+m"(b));
  for (guint n = 0; n < STEPS; n++)
    for (guint i = 0; i < SUMS; i++)
      sum[i] += a * b;
  __asm__ volatile("" : : "m"(sum));
}

static Loop
fp32_loop (guint *operations)
{
  *operations = 2 * 4;
  return fp32_generic;
}

static Loop
bf16_loop (guint *operations)
{
  *operations = 0;
  return NULL;
}

static Loop
int8_loop (guint *operations)
{
  *operations = 0;
  return NULL;
}

#endif

typedef struct {
  Loop loop;
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
    r->loop ();
    best = MIN (best, MAX (g_get_monotonic_time () - start, 1));
  }
  gdouble *seconds = g_new (gdouble, 1);
  *seconds = (gdouble)best / G_USEC_PER_SEC;
  return seconds;
}

static void
measure (Loop loop, guint operations, guint threads, gdouble *limit)
{
  Race r = { loop, (gint)threads };
  g_autofree GThread **thread = g_new (GThread *, threads);
  gdouble rate = 0;

  if (loop == NULL)
    return;
  for (guint i = 0; i < threads; i++)
    thread[i] = g_thread_new ("limit", race, &r);
  for (guint i = 0; i < threads; i++) {
    g_autofree gdouble *seconds = g_thread_join (thread[i]);
    rate += (gdouble)STEPS * SUMS * operations / *seconds / 1e9;
  }
  *limit = MAX (*limit, rate);
}

void
cg_limits_measure (guint threads, CgLimits *limits)
{
  guint operations;
  Loop loop;

#ifdef __x86_64__
  __builtin_cpu_init ();
#endif
  loop = fp32_loop (&operations);
  measure (loop, operations, threads, &limits->fp32);
  loop = bf16_loop (&operations);
  measure (loop, operations, threads, &limits->bf16);
  loop = int8_loop (&operations);
  measure (loop, operations, threads, &limits->int8);
}
