/* What this CPU can do at most: see peak.h.
 *
 * Each loop keeps twelve independent sums: more than any CPU's latency times its ports needs, few enough for sixteen
 * registers. The empty asm keeps the compiler from seeing through the numbers.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "peak.h"

#define SUMS 12

#ifdef __x86_64__
#include <immintrin.h>

#define LOOP(name, isa, type, zero, step)                                       \
  __attribute__ ((target (isa))) static void name (guint steps)                 \
  {                                                                             \
    type a = (zero), b = (zero), sum[SUMS];                                     \
    _Pragma ("GCC unroll 12") for (guint i = 0; i < SUMS; i++) sum[i] = (zero); \
    __asm__ volatile("" : "+v"(a), "+v"(b));                                    \
    for (guint n = 0; n < steps; n++) {                                         \
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

static CgPeakLoop
fp32_loop (guint *lanes)
{
  if (__builtin_cpu_supports ("avx512f")) {
    *lanes = 16;
    return fp32_avx512;
  }
  if (__builtin_cpu_supports ("avx2") && __builtin_cpu_supports ("fma")) {
    *lanes = 8;
    return fp32_avx2;
  }
  *lanes = 4;
  return fp32_sse2;
}

CgPeakLoop
cg_peak_loop (CgPeak peak, guint *operations)
{
  CgPeakLoop loop = NULL;
  guint lanes = 0; /* multiply-and-adds of one instruction */

  __builtin_cpu_init ();
  switch (peak) {
  case CG_PEAK_FP32:
    loop = fp32_loop (&lanes);
    break;
  case CG_PEAK_BF16:
    lanes = 32;
    loop = __builtin_cpu_supports ("avx512bf16") ? bf16_avx512 : NULL;
    break;
  case CG_PEAK_INT8:
    lanes = 64;
    loop = __builtin_cpu_supports ("avx512vnni") ? int8_avx512 : NULL;
    break;
  }
  *operations = 2 * lanes * SUMS;
  return loop;
}

#else

static void
fp32_generic (guint steps)
{
  typedef float Vector __attribute__ ((vector_size (16)));
  Vector a = { 0 }, b = { 0 }, sum[SUMS] = { { 0 } };

  __asm__ volatile("" : "+m"(a), "+m"(b));
  for (guint n = 0; n < steps; n++)
    for (guint i = 0; i < SUMS; i++)
      sum[i] += a * b;
  __asm__ volatile("" : : "m"(sum));
}

CgPeakLoop
cg_peak_loop (CgPeak peak, guint *operations)
{
  *operations = 2 * 4 * SUMS;
  return peak == CG_PEAK_FP32 ? fp32_generic : NULL;
}

#endif
