/* The loops of preprocessing, built once for each instruction set (isa.h).
 *
 * Two ways lead from the rows of a picture to those of the model frame; preprocess.c chooses:
 *
 *   exact     any size     rgb_pairs, columns_exact and rows_exact in Pillow's order: its arithmetic, bit for bit
 *   weighted  Y'CbCr only  accumulate (converts and weighs whole rows), then columns
 *
 * Both convert Y'CbCr to 8-bit R'G'B' pixel by pixel before they weigh it, as a converter in front
 * of Pillow would: clipping does not commute with an average, so resizing the planes first would be
 * wrong wherever a colour leaves the cube (super-white skies are everyday input).
 *
 * Formats of numbers:
 *   sample    16 bit unsigned, full scale 65536: 8-bit codes << 8, P010 words as they are
 *   working   16 bit signed, 64 to a grey level, a whole number of levels after conversion
 *   sum       16 bit signed, 128 to a grey level: rows weighed with 17-bit fractions
 *
 * Pairs: a row of pixels as gint16 [pixels/2][4][2]: R of two neighbours, G of two, B of two, and
 * two zeros: what a multiply-and-add of neighbouring 16-bit numbers wants.
 *
 * Buffers have CG_PREPROCESS_PAD readable and writable elements behind the counts given, unless a
 * function says otherwise. No function reads a picture outside the bytes of the row given to it.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "isa.h"

G_BEGIN_DECLS

#define CG_PREPROCESS_PAD 64  /* elements: two of the longest vectors */
#define CG_WORKING_LEVEL 64   /* working numbers to a grey level */
#define CG_ROW_WEIGHT_BITS 17 /* fractions of `accumulate` */
#define CG_COLUMN_WEIGHT_BITS 15
#define CG_COLUMNS_SHIFT 22  /* 15 and the 7 of a sum */
#define CG_EXACT_BITS 22     /* Pillow's fractions of 8-bit pictures */
#define CG_EXACT_LOW_BITS 11 /* they are kept as high << 11 | low: 16-bit factors */
#define CG_COLUMNS_STEP 4    /* `columns` makes this many pixels at a time */
#define CG_TAPS_STEP 32      /* its weights come in blocks of so many */
#define CG_PAIRS_STEP 4      /* and those of `columns_exact` in blocks of so many pairs */

/** CgColour: Y'CbCr samples to working R'G'B', (a b) being a * b >> 16 and - stopping at zero:
 *   R = (y Y) + (rv V) - r    G = (y Y) + g - ((gu U) + (gv V))    B = (y Y) + (bu U) - b
 * then at most 255 levels, cut to whole ones. r, g, b hold the offsets of the codes, half a level for rounding, and
 * the half unit that each product loses on average. No intermediate exceeds 843 levels, 53952 of 65536. */
typedef struct {
  guint16 y, rv, gu, gv, bu;
  guint16 r, g, b;
} CgColour;

/** CgYuvRow: a row of luma and the chroma that belongs to it, at full width:
 * U = (3 near_u + far_u) / 4, V likewise. Luma is in the picture's own format. */
typedef struct {
  const guint8 *luma;
  const guint16 *near_u, *near_v, *far_u, *far_v;
} CgYuvRow;

typedef enum { CG_CHROMA_PLANAR8, CG_CHROMA_INTERLEAVED8, CG_CHROMA_INTERLEAVED16 } CgChromaLayout;

/** CgPixelLayout: bytes of a pixel, and where in it R, G and B lie. */
typedef struct {
  guint bytes, red, green, blue;
} CgPixelLayout;

typedef struct {
  /** chroma_row: the mean of two rows of chroma (the same one twice: that one), doubled in width by
   * linear interpolation, edges repeated.
   * @u, @v: [2] the rows; interleaved: @u only. @n: chroma samples of a row
   * @half: scratch, [2][n + 2 pads]. @out_u, @out_v: [2 n] */
  void (*chroma_row) (const guint8 *const *u, const guint8 *const *v, CgChromaLayout layout,
                      gboolean cosited, guint n, guint16 *half, guint16 *out_u, guint16 *out_v);

  /** yuv_row: @width packed pixels of R, G, B bytes. @row->luma is padded too.
   * @scratch: three planes, @plane apart */
  void (*yuv_row) (const CgYuvRow *row, gboolean luma16, const CgColour *colour, guint width,
                   gint16 *scratch, gsize plane, guint8 *out);

  /** accumulate: rows that belong to two outputs: the one that they finish and the one that they
   * begin. done = before + sum of weight[row][0] * row,    next = sum of weight[row][1] * row
   * @weights: [n_rows][2], 17-bit fractions, each in both halves of a word (what a CPU broadcasts
   * for nothing). @width: at least CG_PREPROCESS_PAD; luma is not padded.
   * @before, @done, @next: sums, three planes @plane apart, distinct. */
  void (*accumulate) (const CgYuvRow *rows, const guint32 (*weights)[2], guint n_rows,
                      gboolean luma16, const CgColour *colour, guint width, const gint16 *before,
                      gint16 *done, gint16 *next, gsize plane);

  /** columns: a row of sums to @n_out pixels. @n_out is a multiple of CG_COLUMNS_STEP.
   * @first: [n_out] the leftmost tap; @weights: [n_out][taps], 15-bit fractions, taps a multiple of
   * CG_TAPS_STEP
   * @bias: added before the shift by CG_COLUMNS_SHIFT. @out: [n_out][3], one byte more is written */
  void (*columns) (const gint16 *sums, gsize plane, const guint *first, const gint16 *weights,
                   guint taps, guint n_out, gint32 bias, guint8 *out);

  /** rgb_pairs: a row of packed pixels to pairs. @row is not padded. */
  void (*rgb_pairs) (const guint8 *row, guint width, const CgPixelLayout *layout, gint16 *pairs);

  /** columns_exact: a row of pairs to @n_out pixels.
   * @first: [n_out] the leftmost pair; @weights: [n_out][2][n_pairs][2] high and low parts
   * @out: [n_out][3], one byte more is written */
  void (*columns_exact) (const gint16 *pairs, const guint *first, const gint16 *weights,
                         guint n_pairs, guint n_out, guint8 *out);

  /** rows_exact: the weighted sum of @n_rows rows of @n_bytes; neither @rows nor @out is padded. */
  void (*rows_exact) (const guint8 *const *rows, const gint32 *weights, guint n_rows, guint n_bytes,
                      guint8 *out);
} CgPreprocessKernels;

CG_ISA_DECLARE (CgPreprocessKernels, preprocess_kernels);

G_END_DECLS
