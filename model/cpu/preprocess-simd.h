/* Vectors of 16-bit numbers for preprocess-kernels.c: the few operations that GCC's vector
 * extensions cannot say, for SSE2, AVX2, AVX-512BW, and written out for any other processor.
 * Private to that file.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <string.h>

#include "isa.h"

#if defined(__AVX512BW__)
#define LANES 32
#elif defined(__AVX2__)
#define LANES 16
#else
#define LANES 8
#endif

typedef guint16 Words __attribute__ ((vector_size (LANES * 2))); /* unsigned: sums wrap */
typedef gint32 Ints __attribute__ ((vector_size (LANES * 2)));
typedef gint32 FourInts __attribute__ ((vector_size (16)));

#if defined(__SSE2__)
#include <immintrin.h>
#endif

#if defined(__AVX512BW__)
#define VECTOR __m512i
#define OP(name, type) _mm512_##name##_##type
#elif defined(__AVX2__)
#define VECTOR __m256i
#define OP(name, type) _mm256_##name##_##type
#elif defined(__SSE2__)
#define VECTOR __m128i
#define OP(name, type) _mm_##name##_##type
#endif

static inline Words
words_load (const void *p)
{
  Words w;
  memcpy (&w, p, sizeof w);
  return w;
}

static inline void
words_store (void *p, Words w)
{
  memcpy (p, &w, sizeof w);
}

static inline Words
words_all (guint16 value)
{
  return (Words){ 0 } + value;
}

static inline Words
words_all_pairs (guint32 value)
{
  typedef guint32 Pairs __attribute__ ((vector_size (LANES * 2)));
  return (Words)((Pairs){ 0 } + value);
}

/* LANES bytes, each one in the upper half of a word. */
static inline Words
words_load_bytes (const guint8 *p)
{
#if defined(__AVX512BW__)
  return (Words)_mm512_slli_epi16 (_mm512_cvtepu8_epi16 (_mm256_loadu_si256 ((const void *)p)), 8);
#elif defined(__AVX2__)
  return (Words)_mm256_slli_epi16 (_mm256_cvtepu8_epi16 (_mm_loadu_si128 ((const void *)p)), 8);
#elif defined(__SSE2__)
  return (Words)_mm_unpacklo_epi8 (_mm_setzero_si128 (), _mm_loadl_epi64 ((const void *)p));
#else
  Words w;
  for (int i = 0; i < LANES; i++)
    w[i] = (guint16)(p[i] << 8);
  return w;
#endif
}

#ifdef VECTOR

/* a * b >> 16, unsigned. */
static inline Words
words_multiply_high (Words a, Words b)
{
  return (Words)OP (mulhi, epu16) ((VECTOR)a, (VECTOR)b);
}

/* (a + b + 1) / 2, unsigned. */
static inline Words
words_average (Words a, Words b)
{
  return (Words)OP (avg, epu16) ((VECTOR)a, (VECTOR)b);
}

/* a - b, unsigned, never below zero. */
static inline Words
words_subtract_to_zero (Words a, Words b)
{
  return (Words)OP (subs, epu16) ((VECTOR)a, (VECTOR)b);
}

/* The smaller of a and b, unsigned. SSE2 has no such instruction. */
static inline Words
words_least (Words a, Words b)
{
#if defined(__AVX2__)
  return (Words)OP (min, epu16) ((VECTOR)a, (VECTOR)b);
#else
  return a - words_subtract_to_zero (a, b);
#endif
}

/* a[2i] b[2i] + a[2i+1] b[2i+1], signed. */
static inline Ints
words_multiply_add (Words a, Words b)
{
  return (Ints)OP (madd, epi16) ((VECTOR)a, (VECTOR)b);
}

/* The sums of all lanes of each. */
static inline FourInts
ints_sum (Ints a, Ints b, Ints c, Ints d)
{
  VECTOR ab = OP (add, epi32) (OP (unpacklo, epi32) ((VECTOR)a, (VECTOR)b),
                               OP (unpackhi, epi32) ((VECTOR)a, (VECTOR)b));
  VECTOR cd = OP (add, epi32) (OP (unpacklo, epi32) ((VECTOR)c, (VECTOR)d),
                               OP (unpackhi, epi32) ((VECTOR)c, (VECTOR)d));
  VECTOR sum = OP (add, epi32) (OP (unpacklo, epi64) (ab, cd), OP (unpackhi, epi64) (ab, cd));
#if defined(__AVX512BW__)
  __m256i half =
      _mm256_add_epi32 (_mm512_castsi512_si256 (sum), _mm512_extracti64x4_epi64 (sum, 1));
  return (FourInts)_mm_add_epi32 (_mm256_castsi256_si128 (half),
                                  _mm256_extracti128_si256 (half, 1));
#elif defined(__AVX2__)
  return (FourInts)_mm_add_epi32 (_mm256_castsi256_si128 (sum), _mm256_extracti128_si256 (sum, 1));
#else
  return (FourInts)sum;
#endif
}

/* a[0] b[0] a[1] b[1] ... */
static inline void
words_store_zipped (guint16 *p, Words a, Words b)
{
  VECTOR low = OP (unpacklo, epi16) ((VECTOR)a, (VECTOR)b);
  VECTOR high = OP (unpackhi, epi16) ((VECTOR)a, (VECTOR)b);
#if defined(__AVX512BW__)
  const __m512i first = _mm512_set_epi64 (11, 10, 3, 2, 9, 8, 1, 0);
  const __m512i second = _mm512_set_epi64 (15, 14, 7, 6, 13, 12, 5, 4);
  words_store (p, (Words)_mm512_permutex2var_epi64 (low, first, high));
  words_store (p + LANES, (Words)_mm512_permutex2var_epi64 (low, second, high));
#elif defined(__AVX2__)
  words_store (p, (Words)_mm256_permute2x128_si256 (low, high, 0x20));
  words_store (p + LANES, (Words)_mm256_permute2x128_si256 (low, high, 0x31));
#else
  words_store (p, (Words)low);
  words_store (p + LANES, (Words)high);
#endif
}

/* LANES / 8 pairs of weights, each one four times. */
static inline Words
words_load_spread (const gint16 *weights)
{
#if defined(__AVX512BW__)
  const __m512i index = _mm512_set_epi32 (3, 3, 3, 3, 2, 2, 2, 2, 1, 1, 1, 1, 0, 0, 0, 0);
  __m128i four = _mm_loadu_si128 ((const void *)weights);
  return (Words)_mm512_permutexvar_epi32 (index, _mm512_castsi128_si512 (four));
#elif defined(__AVX2__)
  const __m256i index = _mm256_set_epi32 (1, 1, 1, 1, 0, 0, 0, 0);
  __m128i two = _mm_loadl_epi64 ((const void *)weights);
  return (Words)_mm256_permutevar8x32_epi32 (_mm256_castsi128_si256 (two), index);
#else
  gint32 one;
  memcpy (&one, weights, sizeof one);
  return (Words)_mm_set1_epi32 (one);
#endif
}

/* The sum of the vector's quarters of four (LANES 8: itself). */
static inline FourInts
ints_fold (Ints a)
{
#if defined(__AVX512BW__)
  __m256i half = _mm256_add_epi32 (_mm512_castsi512_si256 ((__m512i)a),
                                   _mm512_extracti64x4_epi64 ((__m512i)a, 1));
  return (FourInts)_mm_add_epi32 (_mm256_castsi256_si128 (half),
                                  _mm256_extracti128_si256 (half, 1));
#elif defined(__AVX2__)
  return (FourInts)_mm_add_epi32 (_mm256_castsi256_si128 ((__m256i)a),
                                  _mm256_extracti128_si256 ((__m256i)a, 1));
#else
  return a;
#endif
}

#else /* no x86: the same, written out */

static inline Words
words_multiply_high (Words a, Words b)
{
  Words w;
  for (int i = 0; i < LANES; i++)
    w[i] = (guint16)((guint32)a[i] * b[i] >> 16);
  return w;
}

static inline Words
words_average (Words a, Words b)
{
  Words w;
  for (int i = 0; i < LANES; i++)
    w[i] = (guint16)((a[i] + b[i] + 1) >> 1);
  return w;
}

static inline Words
words_subtract_to_zero (Words a, Words b)
{
  Words w;
  for (int i = 0; i < LANES; i++)
    w[i] = (guint16)(a[i] > b[i] ? a[i] - b[i] : 0);
  return w;
}

static inline Words
words_least (Words a, Words b)
{
  return a - words_subtract_to_zero (a, b);
}

static inline Ints
words_multiply_add (Words a, Words b)
{
  Ints sum;
  for (int i = 0; i < LANES / 2; i++)
    sum[i] = (gint16)a[2 * i] * (gint16)b[2 * i] + (gint16)a[2 * i + 1] * (gint16)b[2 * i + 1];
  return sum;
}

static inline FourInts
ints_sum (Ints a, Ints b, Ints c, Ints d)
{
  return (FourInts){ a[0] + a[1] + a[2] + a[3], b[0] + b[1] + b[2] + b[3],
                     c[0] + c[1] + c[2] + c[3], d[0] + d[1] + d[2] + d[3] };
}

static inline void
words_store_zipped (guint16 *p, Words a, Words b)
{
  for (int i = 0; i < LANES; i++) {
    p[2 * i] = a[i];
    p[2 * i + 1] = b[i];
  }
}

static inline Words
words_load_spread (const gint16 *weights)
{
  guint16 a = (guint16)weights[0], b = (guint16)weights[1];
  return (Words){ a, b, a, b, a, b, a, b };
}

static inline FourInts
ints_fold (Ints a)
{
  return a;
}

#endif
