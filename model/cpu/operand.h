/* What kernels.c multiplies: float operands, or bf16 ones two to a word (CG_OPERAND_BF16). The same
 * source over these few functions gives both.
 *
 * bf16: the upper half of a float. One vdpbf16ps adds the products of a word's two pairs to a float
 * lane, the odd pair first; it takes subnormal inputs as zero and flushes subnormal results. Where
 * the processor has no such instruction, two FMAs on the widened halves stand for it: the same but
 * for subnormals, and for how the sum of the two products is rounded (agreement to 2^-22 relative
 * to the sum of the products' magnitudes).
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "vector.h"

#ifndef CG_OPERAND_BF16

typedef float Operand;
typedef float Word;
typedef Vector WordVector;
typedef VectorAt WordVectorAt;
#define WORD_OPERANDS 1

ALWAYS_INLINE Operand
operand (float x)
{
  return x;
}

/* LANES floats as operands. */
ALWAYS_INLINE void
operand_store (Operand *p, Vector v)
{
  vector_store (p, v);
}

/* @n operands, a multiple of 4. */
ALWAYS_INLINE void
operands_copy (Operand *to, const Operand *from, gsize n)
{
  for (gsize i = 0; i < n; i += 4)
    memcpy (to + i, from + i, 4 * sizeof (Operand));
}

/* @sum + @a · @b, lane by lane. */
ALWAYS_INLINE Vector
multiply_add (Vector sum, Word a, WordVector b)
{
  return sum + a * b;
}

#else

typedef guint16 Operand;
typedef guint32 Word __attribute__ ((may_alias));
typedef guint32 WordVector __attribute__ ((vector_size (4 * LANES), may_alias));
typedef guint32 WordVectorAt __attribute__ ((vector_size (4 * LANES), aligned (4), may_alias));
#define WORD_OPERANDS 2

/* Round to nearest, ties to even. A NaN stays one: the quiet bit is set, lest it round up to
 * infinity. */
ALWAYS_INLINE Operand
operand (float x)
{
  guint32 bits;

  memcpy (&bits, &x, sizeof bits);
  if (x != x)
    return (bits >> 16) | 0x40;
  return (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
}

ALWAYS_INLINE WordVector
word_set (Word x)
{
  return x - (WordVector){ 0 };
}

#ifdef __AVX512BF16__

ALWAYS_INLINE void
operand_store (Operand *p, Vector v)
{
  _mm256_storeu_si256 ((__m256i *)p, (__m256i)_mm512_cvtneps_pbh (v));
}

ALWAYS_INLINE Vector
multiply_add (Vector sum, Word a, WordVector b)
{
  return _mm512_dpbf16_ps (sum, (__m512bh)word_set (a), (__m512bh)b);
}

#else

ALWAYS_INLINE void
operand_store (Operand *p, Vector v)
{
  WordVector bits = (WordVector)v;
  WordVector rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
  WordVector nan = (WordVector)(v != v);

  rounded = (~nan & rounded) | (nan & ((bits >> 16) | 0x40));
  _mm256_storeu_si256 ((__m256i *)p, _mm512_cvtepi32_epi16 ((__m512i)rounded));
}

ALWAYS_INLINE Vector
multiply_add (Vector sum, Word a, WordVector b)
{
  WordVector words = word_set (a);

  sum = sum + (Vector)(words & 0xffff0000) * (Vector)(b & 0xffff0000);
  return sum + (Vector)(words << 16) * (Vector)(b << 16);
}

#endif

/* As many of the @n operands at @p as a register takes, zeros behind them. */
ALWAYS_INLINE __m256i
operands_load (const Operand *p, gsize n)
{
  return _mm256_maskz_loadu_epi16 (n >= 16 ? 0xffff : (1u << n) - 1, p);
}

ALWAYS_INLINE void
operands_copy (Operand *to, const Operand *from, gsize n)
{
  for (gsize i = 0; i < n; i += 16)
    _mm256_mask_storeu_epi16 (to + i, n - i >= 16 ? 0xffff : (1u << (n - i)) - 1,
                              operands_load (from + i, n - i));
}

/* @n words: @low[i] in the lower half, @high[i] in the upper; @high NULL: zeros. */
ALWAYS_INLINE void
operands_pair (Word *to, const Operand *low, const Operand *high, gsize n)
{
  for (gsize i = 0; i < n; i += 16) {
    __m512i words = _mm512_cvtepu16_epi32 (operands_load (low + i, n - i));

    if (high != NULL)
      words = _mm512_or_si512 (
          words, _mm512_slli_epi32 (_mm512_cvtepu16_epi32 (operands_load (high + i, n - i)), 16));
    _mm512_mask_storeu_epi32 (to + i, n - i >= 16 ? 0xffff : (1u << (n - i)) - 1, words);
  }
}

/* Two vectors of floats as the lower and upper halves of words; ties round away from zero. */
ALWAYS_INLINE WordVector
word_pair (Vector low, Vector high)
{
  const WordVector half = word_set (0x8000);
  WordVector l = ((WordVector)low + half) >> 16;
  WordVector h = (WordVector)high + half;

  return (WordVector)_mm512_mask_blend_epi16 (0xaaaaaaaa, (__m512i)l, (__m512i)h);
}

#endif
