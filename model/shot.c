/* Colour histograms of a sparse grid: see shot.h.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "shot.h"

#include <math.h>
#include <string.h>

#define HALVES 2
#define Y_BINS 2
#define C_BINS 4
#define GRID 24
#define CHROMA_STRETCH 3

G_STATIC_ASSERT (HALVES *Y_BINS *C_BINS *C_BINS == CG_SHOT_BINS);

/* Where a pixel's three components lie: (Y', Cb, Cr) or (R', G', B'). */
typedef struct {
  gboolean is_rgb;
  guint n_components;
  guint bits;      /* 8, or 16 with the value at the top */
  guint plane[3];  /* of each component */
  guint step[3];   /* bytes from one to the next in its plane */
  guint offset[3]; /* bytes */
  guint shift[3];  /* log2 of the subsampling, both ways */
} Layout;

#define RGB(bytes, r, g, b)                                        \
  {                                                                \
    TRUE, 3, 8, { 0, 0, 0 }, { bytes, bytes, bytes }, { r, g, b }, \
    {                                                              \
      0, 0, 0                                                      \
    }                                                              \
  }

static const Layout layouts[CG_N_FORMATS] = {
  [CG_FORMAT_NV12] = { FALSE, 3, 8, { 0, 1, 1 }, { 1, 2, 2 }, { 0, 0, 1 }, { 0, 1, 1 } },
  [CG_FORMAT_I420] = { FALSE, 3, 8, { 0, 1, 2 }, { 1, 1, 1 }, { 0, 0, 0 }, { 0, 1, 1 } },
  [CG_FORMAT_YV12] = { FALSE, 3, 8, { 0, 1, 2 }, { 1, 1, 1 }, { 0, 0, 0 }, { 0, 1, 1 } },
  [CG_FORMAT_P010] = { FALSE, 3, 16, { 0, 1, 1 }, { 2, 4, 4 }, { 0, 0, 2 }, { 0, 1, 1 } },
  [CG_FORMAT_GRAY8] = { FALSE, 1, 8, { 0 }, { 1 }, { 0 }, { 0 } },
  [CG_FORMAT_RGB] = RGB (3, 0, 1, 2),
  [CG_FORMAT_BGR] = RGB (3, 2, 1, 0),
  [CG_FORMAT_RGBX] = RGB (4, 0, 1, 2),
  [CG_FORMAT_BGRX] = RGB (4, 2, 1, 0),
  [CG_FORMAT_XRGB] = RGB (4, 1, 2, 3),
  [CG_FORMAT_XBGR] = RGB (4, 3, 2, 1),
  [CG_FORMAT_RGBA] = RGB (4, 0, 1, 2),
  [CG_FORMAT_BGRA] = RGB (4, 2, 1, 0),
  [CG_FORMAT_ARGB] = RGB (4, 1, 2, 3),
  [CG_FORMAT_ABGR] = RGB (4, 3, 2, 1),
};

/* Components, in codes of 8 bits, to positions on the axes of the histogram, in bins:
 * position = matrix x component + origin. */
typedef struct {
  float matrix[3][3], origin[3];
} Transform;

/* Y'CbCr of BT.601 from R'G'B', all of unit range. */
static void
bt601_from_rgb (gdouble m[3][3])
{
  const gdouble kr = 0.299, kb = 0.114, kg = 1 - kr - kb;
  const gdouble rows[3][3] = {
    { kr, kg, kb },
    { -kr / (2 * (1 - kb)), -kg / (2 * (1 - kb)), 0.5 },
    { 0.5, -kg / (2 * (1 - kr)), -kb / (2 * (1 - kr)) },
  };

  memcpy (m, rows, sizeof rows);
}

/* R'G'B' from Y'CbCr, all of unit range. */
static void
rgb_from_yuv (CgMatrix matrix, gdouble m[3][3])
{
  static const gdouble kr_kb[][2] = {
    [CG_MATRIX_BT601] = { 0.299, 0.114 },
    [CG_MATRIX_BT709] = { 0.2126, 0.0722 },
    [CG_MATRIX_BT2020] = { 0.2627, 0.0593 },
  };
  const gdouble kr = kr_kb[matrix][0], kb = kr_kb[matrix][1], kg = 1 - kr - kb;
  const gdouble rows[3][3] = {
    { 1, 0, 2 * (1 - kr) },
    { 1, -2 * (1 - kb) * kb / kg, -2 * (1 - kr) * kr / kg },
    { 1, 2 * (1 - kb), 0 },
  };

  memcpy (m, rows, sizeof rows);
}

static void
transform_init (Transform *transform, const CgFrame *frame, const Layout *layout)
{
  const gdouble stretch[3] = { Y_BINS - 1, CHROMA_STRETCH * (C_BINS - 1),
                               CHROMA_STRETCH * (C_BINS - 1) };
  const gdouble centre[3] = { 0, (C_BINS - 1) / 2.0, (C_BINS - 1) / 2.0 };
  /* Of a code: what is nothing, and the span of its unit. */
  gdouble zero[3] = { 0, 0, 0 }, unit[3] = { 255, 255, 255 }, to[3][3];
  gdouble from[3][3] = { { 1, 0, 0 }, { 0, 1, 0 }, { 0, 0, 1 } };

  if (!layout->is_rgb) {
    rgb_from_yuv (frame->matrix, from);
    zero[1] = zero[2] = 128;
    if (!frame->full_range) {
      zero[0] = 16;
      unit[0] = 219;
      unit[1] = unit[2] = 224;
    } else if (layout->bits == 16) {
      unit[0] = unit[1] = unit[2] = 1023 / 4.0;
    }
  }

  bt601_from_rgb (to);
  for (guint i = 0; i < 3; i++) {
    gdouble origin = centre[i];
    for (guint j = 0; j < 3; j++) {
      gdouble product = 0;
      for (guint k = 0; k < 3; k++)
        product += to[i][k] * from[k][j];
      product *= stretch[i] / unit[j];
      origin -= product * zero[j];
      transform->matrix[i][j] = (float)product;
    }
    transform->origin[i] = (float)origin;
  }
}

/* The components of one row of the grid, in codes of 8 bits. Reading and computing take turns by
 * rows, not by pixels: most reads miss the caches, and so wait side by side. */
static void
read_row (const CgFrame *frame, const Layout *layout, guint j, float code[3][GRID])
{
  const guint y = (2 * j + 1) * frame->height / (2 * GRID);

  for (guint c = 0; c < layout->n_components; c++) {
    const guint shift = layout->shift[c], plane = layout->plane[c], step = layout->step[c];
    const guint8 *row = frame->plane[plane] + (gssize)frame->stride[plane] * (gssize)(y >> shift) +
                        layout->offset[c];

    for (guint i = 0; i < GRID; i++) {
      const guint x = (2 * i + 1) * frame->width / (2 * GRID);
      const guint8 *p = row + (gsize)step * (x >> shift);
      code[c][i] = layout->bits == 16 ? (float)(p[0] | p[1] << 8) / 256 : p[0];
    }
  }
}

/* The lower one of the two bins that share @position, and the upper one's share. */
static guint
split (float position, guint bins, float *share)
{
  const float clipped = CLAMP (position, 0, (float)(bins - 1));
  const guint lower = MIN ((guint)clipped, bins - 2);

  *share = clipped - (float)lower;
  return lower;
}

/* Adds one pixel to the histogram of its half. */
static void
add_pixel (float sums[Y_BINS][C_BINS][C_BINS], const float position[3])
{
  float luma, cb, cr;
  const guint a = split (position[0], Y_BINS, &luma);
  const guint b = split (position[1], C_BINS, &cb);
  const guint c = split (position[2], C_BINS, &cr);

  for (guint i = 0; i < 2; i++) {
    const float y_share = i ? luma : 1 - luma;
    for (guint j = 0; j < 2; j++) {
      const float share = y_share * (j ? cb : 1 - cb);
      sums[a + i][b + j][c] += share * (1 - cr);
      sums[a + i][b + j][c + 1] += share * cr;
    }
  }
}

void
cg_shot_describe (const CgFrame *frame, CgShotSignature *signature)
{
  const Layout *layout = &layouts[frame->format];
  float sums[HALVES][Y_BINS][C_BINS][C_BINS] = { { { { 0 } } } };
  float code[3][GRID];
  Transform transform;

  transform_init (&transform, frame, layout);
  for (guint c = layout->n_components; c < 3; c++)
    for (guint i = 0; i < GRID; i++)
      code[c][i] = 128;
  for (guint j = 0; j < GRID; j++) {
    read_row (frame, layout, j, code);
    for (guint i = 0; i < GRID; i++) {
      float position[3];
      for (guint axis = 0; axis < 3; axis++) {
        const float *row = transform.matrix[axis];
        position[axis] = row[0] * code[0][i] + row[1] * code[1][i] + row[2] * code[2][i] +
                         transform.origin[axis];
      }
      add_pixel (sums[j * HALVES / GRID], position);
    }
  }

  const float scale = (float)(G_MAXUINT16 * HALVES) / (GRID * GRID);
  for (guint i = 0; i < CG_SHOT_BINS; i++)
    signature->bins[i] = (guint16)MIN (lrintf (scale * (&sums[0][0][0][0])[i]), G_MAXUINT16);
}

gdouble
cg_shot_distance (const CgShotSignature *a, const CgShotSignature *b)
{
  gdouble sum_a = 0, sum_b = 0, sum = 0;

  for (guint i = 0; i < CG_SHOT_BINS; i++) {
    sum_a += a->bins[i];
    sum_b += b->bins[i];
  }
  for (guint i = 0; i < CG_SHOT_BINS; i++) {
    const gdouble difference =
        sqrt (a->bins[i] / MAX (sum_a, 1)) - sqrt (b->bins[i] / MAX (sum_b, 1));
    sum += difference * difference;
  }
  return MIN (sqrt (sum / 2), 1);
}

gboolean
cg_shot_is_cut (const CgShotSignature *a, const CgShotSignature *b)
{
  return cg_shot_distance (a, b) > CG_SHOT_THRESHOLD;
}
