/* Vectors of floats as wide as the instruction set of this build, and the functions of the network
 * that work on them lane by lane. Only for sources that are built once for each instruction set.
 *
 * GCC vector extensions; intrinsics only where these have no words for what the processor can do.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <glib.h>
#include <math.h>
#include <string.h>

#ifdef __x86_64__
#include <immintrin.h>
#endif

#if defined __AVX512F__
#define LANES 16
#elif defined __AVX2__
#define LANES 8
#else
#define LANES 4
#endif

typedef float Vector __attribute__ ((vector_size (4 * LANES), may_alias));
typedef gint32 VectorInt __attribute__ ((vector_size (4 * LANES), may_alias));

/* The same at any address, for loads and stores. */
typedef float VectorAt __attribute__ ((vector_size (4 * LANES), aligned (4), may_alias));

#define ALWAYS_INLINE static inline __attribute__ ((always_inline))

/* Accumulators live in registers only if every loop over them is unrolled whole. */
#ifdef __clang__
#define UNROLL _Pragma ("clang loop unroll(full)")
#else
#define UNROLL _Pragma ("GCC unroll 16")
#endif

ALWAYS_INLINE Vector
vector_load (const float *p)
{
  return *(const VectorAt *)p;
}

ALWAYS_INLINE void
vector_store (float *p, Vector v)
{
  *(VectorAt *)p = v;
}

ALWAYS_INLINE Vector
vector_set (float x)
{
  return x - (Vector){ 0 };
}

/* A NaN in @b comes through. */
ALWAYS_INLINE Vector
vector_max (Vector a, Vector b)
{
#if defined __AVX512F__
  return _mm512_max_ps (a, b);
#elif defined __AVX2__
  return _mm256_max_ps (a, b);
#elif defined __SSE2__
  return _mm_max_ps (a, b);
#else
  VectorInt greater = a > b;
  return (Vector)((greater & (VectorInt)a) | (~greater & (VectorInt)b));
#endif
}

/* A NaN in @b comes through. */
ALWAYS_INLINE Vector
vector_min (Vector a, Vector b)
{
#if defined __AVX512F__
  return _mm512_min_ps (a, b);
#elif defined __AVX2__
  return _mm256_min_ps (a, b);
#elif defined __SSE2__
  return _mm_min_ps (a, b);
#else
  VectorInt less = a < b;
  return (Vector)((less & (VectorInt)a) | (~less & (VectorInt)b));
#endif
}

/* Sum of the lanes, halves onto halves. */
ALWAYS_INLINE float
vector_sum (Vector v)
{
  float lane[LANES];

  memcpy (lane, &v, sizeof lane);
  for (guint n = LANES / 2; n > 0; n /= 2)
    for (guint i = 0; i < n; i++)
      lane[i] += lane[i + n];
  return lane[0];
}

/* a / b. With AVX-512 by a 14-bit reciprocal and one Newton step (relative error under 2^-23): the
 * divider is far slower than the multipliers. */
ALWAYS_INLINE Vector
vector_divide (Vector a, Vector b)
{
#ifdef __AVX512F__
  Vector r = _mm512_rcp14_ps (b);
  r = r + r * (1.f - b * r);
  return a * r;
#else
  return a / b;
#endif
}

/* 2^x for x <= 0 (and a little above), exactly 1 at 0. Under -125 it is as good as zero. NaN gives
 * NaN.
 *
 * Minimax polynomials for 2^f with the constant held at 1, relative error 9.2e-8: with AVX-512,
 * where the processor splits x into floor and fraction and scales by a power of two, for
 * f in [0, 1); elsewhere x is rounded by adding 1.5 * 2^23, which leaves the integer in the low
 * bits, and f is in [-0.5, 0.5]. */
ALWAYS_INLINE Vector
vector_exp2 (Vector x)
{
#ifdef __AVX512F__
  Vector f = _mm512_reduce_ps (x, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);
  Vector p = vector_set (0.00186713023f);

  p = p * f + 0.00901702996f;
  p = p * f + 0.0557999134f;
  p = p * f + 0.24016445f;
  p = p * f + 0.693151312f;
  p = p * f + 1.f;
  return _mm512_scalef_ps (p, x);
#else
  const float round = 12582912.f;
  Vector clamped = vector_max (vector_set (-125.f), x);
  Vector shifted = clamped + round;
  Vector f = clamped - (shifted - round);
  Vector p = vector_set (0.00132647269f);

  p = p * f + 0.0096715127f;
  p = p * f + 0.0555073374f;
  p = p * f + 0.240222421f;
  p = p * f + 0.693146978f;
  p = p * f + 1.f;
  return (Vector)((VectorInt)p + ((VectorInt)shifted << 23));
#endif
}

#ifdef __AVX512F__
/* The same within 7.5e-5 (at 0 too), for probabilities that are rounded to bf16 (2^-9) anyway. */
ALWAYS_INLINE Vector
vector_exp2_coarse (Vector x)
{
  Vector f = _mm512_reduce_ps (x, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);
  Vector p = vector_set (0.0780245226f);

  p = p * f + 0.226067155f;
  p = p * f + 0.69583354f;
  p = p * f + 0.999925219f;
  return _mm512_scalef_ps (p, x);
}
#endif

/* x Phi (x), Phi the normal distribution: gelu with erf. Phi (x) - 1/2 is x P (x^2) / Q (x^2), a
 * minimax fit on |x| <= 5.3, beyond which Phi is 0 or 1 to float. The error is under 4e-7 |x|, and
 * for negative x under 2e-6 however large. */
ALWAYS_INLINE Vector
vector_gelu (Vector x)
{
  Vector low = vector_max (vector_set (-5.3f), x);
  Vector z = vector_min (vector_set (5.3f), low);
  Vector t = z * z;
  Vector p = vector_set (6.2403071e-06f);
  Vector q = vector_set (5.27988724e-07f);

  p = p * t + 0.000340266288f;
  p = p * t + 0.00569115734f;
  p = p * t + 0.0519534615f;
  p = p * t + 0.398941851f;
  q = q * t + 0.000122015781f;
  q = q * t + 0.00285597947f;
  q = q * t + 0.0387599495f;
  q = q * t + 0.296887612f;
  q = q * t + 1.f;
  return low * (vector_divide (z * p, q) + 0.5f);
}
