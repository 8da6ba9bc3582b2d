/* The loops of preprocessing: one source, built once for each instruction set.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "preprocess-kernels.h"

#include "preprocess-simd.h"

/* ---- Y'CbCr ---- */

/* Samples of one row of chroma, the mean of rows a and b. Plain loops over words, which compilers vectorise. */
static inline guint
word (const guint8 *p)
{
  return p[0] | (guint)p[1] << 8;
}

static void
widen_planar8 (const guint8 *restrict a, const guint8 *restrict b, gsize n, guint16 *restrict out)
{
  for (gsize i = 0; i < n; i++)
    out[i] = (guint16)((a[i] + b[i]) << 7);
}

static void
widen_interleaved8 (const guint8 *restrict a, const guint8 *restrict b, gsize n,
                    guint16 *restrict u, guint16 *restrict v)
{
  for (gsize i = 0; i < n; i++) {
    guint both_a = word (a + 2 * i), both_b = word (b + 2 * i);
    u[i] = (guint16)(((both_a & 0xff) + (both_b & 0xff)) << 7);
    v[i] = (guint16)(((both_a >> 8) + (both_b >> 8)) << 7);
  }
}

static void
widen_interleaved16 (const guint8 *restrict a, const guint8 *restrict b, gsize n,
                     guint16 *restrict u, guint16 *restrict v)
{
  for (gsize i = 0; i < n; i++) {
    u[i] = (guint16)((word (a + 4 * i) + word (b + 4 * i)) >> 1);
    v[i] = (guint16)((word (a + 4 * i + 2) + word (b + 4 * i + 2)) >> 1);
  }
}

/* Chroma sample i lies at luma column 2i (cosited) or 2i + 1/2. @half has a neighbour on either
 * side. */
static inline void
double_width (const guint16 *half, gsize n, gboolean cosited, guint16 *out)
{
  for (gsize i = 0; i < n; i += LANES) {
    Words here = words_load (half + i);
    Words right = words_average (here, words_load (half + i + 1));
    if (cosited) {
      words_store_zipped (out + 2 * i, here, right);
    } else {
      Words left = words_average (here, words_load (half + i - 1));
      words_store_zipped (out + 2 * i, words_average (here, left), words_average (here, right));
    }
  }
}

static void
chroma_row (const guint8 *const *u, const guint8 *const *v, CgChromaLayout layout, gboolean cosited,
            guint n, guint16 *half, guint16 *out_u, guint16 *out_v)
{
  guint16 *half_u = half + CG_PREPROCESS_PAD;
  guint16 *half_v = half_u + n + CG_PREPROCESS_PAD;

  switch (layout) {
  case CG_CHROMA_PLANAR8:
    widen_planar8 (u[0], u[1], n, half_u);
    widen_planar8 (v[0], v[1], n, half_v);
    break;
  case CG_CHROMA_INTERLEAVED8:
    widen_interleaved8 (u[0], u[1], n, half_u, half_v);
    break;
  case CG_CHROMA_INTERLEAVED16:
    widen_interleaved16 (u[0], u[1], n, half_u, half_v);
    break;
  }

  half_u[-1] = half_u[0];
  half_u[n] = half_u[n - 1];
  double_width (half_u, n, cosited, out_u);
  half_v[-1] = half_v[0];
  half_v[n] = half_v[n - 1];
  double_width (half_v, n, cosited, out_v);
}

/* One vector of pixels from column x of a row. */
static inline __attribute__ ((always_inline)) void
convert (const CgYuvRow *row, gsize x, gboolean luma16, const CgColour *c, Words *red, Words *green,
         Words *blue)
{
  const Words white = words_all (255 * CG_WORKING_LEVEL);
  const Words whole = words_all ((guint16)-CG_WORKING_LEVEL);
  Words luma = luma16 ? words_load (row->luma + 2 * x) : words_load_bytes (row->luma + x);
  Words u = words_load (row->near_u + x), v = words_load (row->near_v + x);

  u = words_average (u, words_average (u, words_load (row->far_u + x)));
  v = words_average (v, words_average (v, words_load (row->far_v + x)));
  luma = words_multiply_high (luma, words_all (c->y));
  *red = luma + words_multiply_high (v, words_all (c->rv));
  *red = words_subtract_to_zero (*red, words_all (c->r));
  *green = words_multiply_high (u, words_all (c->gu)) + words_multiply_high (v, words_all (c->gv));
  *green = words_subtract_to_zero (luma + words_all (c->g), *green);
  *blue = luma + words_multiply_high (u, words_all (c->bu));
  *blue = words_subtract_to_zero (*blue, words_all (c->b));
  *red = words_least (*red, white) & whole;
  *green = words_least (*green, white) & whole;
  *blue = words_least (*blue, white) & whole;
}

static void
yuv_row (const CgYuvRow *row, gboolean luma16, const CgColour *colour, guint width,
         gint16 *restrict scratch, gsize plane, guint8 *restrict out)
{
  for (guint x = 0; x < width; x += LANES) {
    Words red, green, blue;
    convert (row, x, luma16, colour, &red, &green, &blue);
    words_store (scratch + x, red);
    words_store (scratch + plane + x, green);
    words_store (scratch + 2 * plane + x, blue);
  }
  for (guint x = 0; x < width; x++)
    for (guint c = 0; c < 3; c++)
      out[3 * x + c] = (guint8)(scratch[c * plane + x] / CG_WORKING_LEVEL);
}

/* A vector of columns at a time, all rows of the group, so that the six sums stay in registers. */
static inline __attribute__ ((always_inline)) void
accumulate_rows (const CgYuvRow *rows, const guint32 (*weights)[2], guint n_rows, gboolean luma16,
                 const CgColour *restrict colour, guint width, const gint16 *before, gint16 *done,
                 gint16 *next, gsize plane)
{
  for (guint x = 0; x < width; x += LANES) {
    /* The last vector begins early and computes some columns twice rather than read past the row.
     */
    const gsize at = MIN (x, width - LANES);
    Words r0 = words_load (before + at), r1 = words_all (0);
    Words g0 = words_load (before + plane + at), g1 = words_all (0);
    Words b0 = words_load (before + 2 * plane + at), b1 = words_all (0);

    for (guint i = 0; i < n_rows; i++) {
      const Words w0 = words_all_pairs (weights[i][0]), w1 = words_all_pairs (weights[i][1]);
      Words red, green, blue;
      convert (&rows[i], at, luma16, colour, &red, &green, &blue);
      r0 += words_multiply_high (red, w0);
      r1 += words_multiply_high (red, w1);
      g0 += words_multiply_high (green, w0);
      g1 += words_multiply_high (green, w1);
      b0 += words_multiply_high (blue, w0);
      b1 += words_multiply_high (blue, w1);
    }
    words_store (done + at, r0);
    words_store (done + plane + at, g0);
    words_store (done + 2 * plane + at, b0);
    words_store (next + at, r1);
    words_store (next + plane + at, g1);
    words_store (next + 2 * plane + at, b1);
  }
}

static void
accumulate (const CgYuvRow *rows, const guint32 (*weights)[2], guint n_rows, gboolean luma16,
            const CgColour *colour, guint width, const gint16 *before, gint16 *done, gint16 *next,
            gsize plane)
{
  if (luma16)
    accumulate_rows (rows, weights, n_rows, TRUE, colour, width, before, done, next, plane);
  else
    accumulate_rows (rows, weights, n_rows, FALSE, colour, width, before, done, next, plane);
}

static void
columns (const gint16 *sums, gsize plane, const guint *first, const gint16 *weights, guint taps,
         guint n_out, gint32 bias, guint8 *out)
{
  for (gsize i = 0; i < n_out; i += CG_COLUMNS_STEP) {
    Ints red[CG_COLUMNS_STEP], green[CG_COLUMNS_STEP], blue[CG_COLUMNS_STEP];

#pragma GCC unroll 4
    for (gsize k = 0; k < CG_COLUMNS_STEP; k++) {
      const gint16 *from = sums + first[i + k], *weight = weights + (i + k) * taps;
      Words w = words_load (weight);
      red[k] = words_multiply_add (words_load (from), w);
      green[k] = words_multiply_add (words_load (from + plane), w);
      blue[k] = words_multiply_add (words_load (from + 2 * plane), w);
      for (gsize t = LANES; t < taps; t += LANES) {
        w = words_load (weight + t);
        red[k] += words_multiply_add (words_load (from + t), w);
        green[k] += words_multiply_add (words_load (from + plane + t), w);
        blue[k] += words_multiply_add (words_load (from + 2 * plane + t), w);
      }
    }

    FourInts r = (ints_sum (red[0], red[1], red[2], red[3]) + bias) >> CG_COLUMNS_SHIFT;
    FourInts g = (ints_sum (green[0], green[1], green[2], green[3]) + bias) >> CG_COLUMNS_SHIFT;
    FourInts b = (ints_sum (blue[0], blue[1], blue[2], blue[3]) + bias) >> CG_COLUMNS_SHIFT;
    FourInts pixels = r | g << 8 | b << 16;

    /* Each store's fourth byte is overwritten by the next. */
    for (gsize k = 0; k < CG_COLUMNS_STEP; k++) {
      guint32 pixel = GUINT32_TO_LE ((guint32)pixels[k]);
      memcpy (out + 3 * (i + k), &pixel, sizeof pixel);
    }
  }
}

/* ---- Pillow's arithmetic ---- */

static inline void
put_pixel (gint16 *pairs, guint x, gint16 red, gint16 green, gint16 blue)
{
  gint16 *p = pairs + 8 * (x / 2) + x % 2;
  p[0] = red;
  p[2] = green;
  p[4] = blue;
  p[6] = 0;
}

static void
rgb_pairs (const guint8 *row, guint width, const CgPixelLayout *layout, gint16 *pairs)
{
  const guint bytes = layout->bytes;
  guint x = 0;

#ifdef __SSSE3__
  /* Two pixels out of 16 bytes, as long as the row has so many; 0x80 gives a zero. */
  guint8 order[16];
  memset (order, 0x80, sizeof order);
  for (guint k = 0; k < 2; k++) {
    order[2 * k] = (guint8)(k * bytes + layout->red);
    order[2 * k + 4] = (guint8)(k * bytes + layout->green);
    order[2 * k + 8] = (guint8)(k * bytes + layout->blue);
  }
  const __m128i shuffle = _mm_loadu_si128 ((const void *)order);
  for (; x * bytes + 16 <= width * bytes; x += 2) {
    __m128i pixels = _mm_loadu_si128 ((const void *)(row + x * bytes));
    _mm_storeu_si128 ((void *)(pairs + 4 * x), _mm_shuffle_epi8 (pixels, shuffle));
  }
#endif
  for (; x < width; x++) {
    const guint8 *p = row + x * bytes;
    put_pixel (pairs, x, p[layout->red], p[layout->green], p[layout->blue]);
  }
}

static void
columns_exact (const gint16 *pairs, const guint *first, const gint16 *weights, guint n_pairs,
               guint n_out, guint8 *out)
{
  const guint step = LANES / 8; /* pairs in a vector */

  for (guint i = 0; i < n_out; i++) {
    const gint16 *from = pairs + 8 * (gsize)first[i];
    const gint16 *high_weights = weights + 4 * (gsize)i * n_pairs;
    const gint16 *low_weights = high_weights + 2 * n_pairs;
    Ints high = { 0 }, low = { 0 };

    for (guint p = 0; p < n_pairs; p += step) {
      Words pixels = words_load (from + 8 * p);
      high += words_multiply_add (pixels, words_load_spread (high_weights + 2 * p));
      low += words_multiply_add (pixels, words_load_spread (low_weights + 2 * p));
    }
    FourInts sum = ints_fold ((high << CG_EXACT_LOW_BITS) + low);
    sum = (sum + (1 << (CG_EXACT_BITS - 1))) >> CG_EXACT_BITS;
    guint32 pixel = GUINT32_TO_LE ((guint32)(sum[0] | sum[1] << 8 | sum[2] << 16));
    memcpy (out + 3 * i, &pixel, sizeof pixel);
  }
}

static void
rows_exact (const guint8 *const *rows, const gint32 *weights, guint n_rows, guint n_bytes,
            guint8 *out)
{
  enum { BLOCK = 64 };

  for (guint x = 0; x < n_bytes; x += BLOCK) {
    gint32 sum[BLOCK];
    guint n = MIN (BLOCK, n_bytes - x);

    for (guint k = 0; k < n; k++)
      sum[k] = 1 << (CG_EXACT_BITS - 1);
    for (guint i = 0; i < n_rows; i++)
      for (guint k = 0; k < n; k++)
        sum[k] += weights[i] * rows[i][x + k];
    for (guint k = 0; k < n; k++)
      out[x + k] = (guint8)(sum[k] >> CG_EXACT_BITS);
  }
}

const CgPreprocessKernels CG_ISA_NAME (preprocess_kernels) = {
  .chroma_row = chroma_row,
  .yuv_row = yuv_row,
  .accumulate = accumulate,
  .columns = columns,
  .rgb_pairs = rgb_pairs,
  .columns_exact = columns_exact,
  .rows_exact = rows_exact,
};
