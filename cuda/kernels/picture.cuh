/* What a launcher makes of a CgCudaPicture: checks, layout, colour. Host only.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "pixels.cuh"

/* Bytes of a pixel, and where R, G and B lie in it; none of Y'CbCr. */
static const uint8_t packed_formats[CG_N_FORMATS][4] = {
  { 0 },          /* NV12 */
  { 0 },          /* I420 */
  { 0 },          /* YV12 */
  { 0 },          /* P010 */
  { 1, 0, 0, 0 }, /* GRAY8 */
  { 3, 0, 1, 2 }, /* RGB */
  { 3, 2, 1, 0 }, /* BGR */
  { 4, 0, 1, 2 }, /* RGBx */
  { 4, 2, 1, 0 }, /* BGRx */
  { 4, 1, 2, 3 }, /* xRGB */
  { 4, 3, 2, 1 }, /* xBGR */
  { 4, 0, 1, 2 }, /* RGBA */
  { 4, 2, 1, 0 }, /* BGRA */
  { 4, 1, 2, 3 }, /* ARGB */
  { 4, 3, 2, 1 }, /* ABGR */
};

static bool
picture_is_possible (const CgCudaPicture *picture)
{
  if ((unsigned)picture->format >= CG_N_FORMATS || (unsigned)picture->matrix > CG_MATRIX_BT2020)
    return false;
  const bool words = picture->format == CG_FORMAT_P010;
  const bool pairs = picture->format == CG_FORMAT_NV12 || words;
  const uint8_t bytes = packed_formats[picture->format][0];
  const int planes = bytes > 0 ? 1 : pairs ? 2 : 3;

  for (int i = 0; i < planes; i++) {
    const size_t sample = i == 0 && bytes > 0 ? bytes : words ? 2 : 1;
    const size_t row =
        i == 0 ? sample * picture->width : sample * (pairs ? 2 : 1) * ((picture->width + 1) / 2);
    const int64_t stride = picture->stride[i];
    if (picture->plane[i] == NULL || (size_t)(stride < 0 ? -stride : stride) < row)
      return false;
  }
  return true;
}

static Layout
picture_layout (const CgCudaPicture *picture)
{
  const bool words = picture->format == CG_FORMAT_P010;
  const size_t luma = words ? 2 : 1, pair = 2 * luma;

  switch (picture->format) {
  case CG_FORMAT_NV12:
  case CG_FORMAT_P010:
    if (is_aligned (picture->plane[0], luma) && picture->stride[0] % (int)luma == 0 &&
        is_aligned (picture->plane[1], pair) && picture->stride[1] % (int)pair == 0)
      return words ? PAIRS16 : PAIRS8;
    return words ? PAIRS16_LOOSE : PAIRS8_LOOSE;
  case CG_FORMAT_I420:
  case CG_FORMAT_YV12:
    return PLANAR8;
  default:
    return PACKED;
  }
}

/* As lrint: to nearest, ties to even; of a number that is not negative. */
static unsigned
round_even (double x)
{
  const unsigned whole = (unsigned)x;
  const double rest = x - whole;

  return whole + (rest > 0.5 || (rest == 0.5 && whole % 2) ? 1 : 0);
}

/* frame_colour() of model/cpu/preprocess.c, which says why. */
static Colour
picture_colour (const CgCudaPicture *picture)
{
  const double kr_kb[][2] = { { 0.299, 0.114 }, { 0.2126, 0.0722 }, { 0.2627, 0.0593 } };
  const double kr = kr_kb[picture->matrix][0], kb = kr_kb[picture->matrix][1], kg = 1 - kr - kb;
  const double unit = 64 * 65536.0, half_level = 64 / 2.0;
  double luma = 1.0 / 256, chroma = 1.0 / 256;
  Colour c;

  if (!picture->full_range) {
    luma = 255.0 / 219 / 256;
    chroma = 255.0 / 224 / 256;
  } else if (picture->format == CG_FORMAT_P010) {
    luma = chroma = 255.0 / 1023 / 64;
  }
  c.y = round_even (luma * unit);
  c.rv = round_even (chroma * 2 * (1 - kr) * unit);
  c.bu = round_even (chroma * 2 * (1 - kb) * unit);
  c.gu = round_even (chroma * 2 * (1 - kb) * kb / kg * unit);
  c.gv = round_even (chroma * 2 * (1 - kr) * kr / kg * unit);
  const double dark = c.y * ((picture->full_range ? 0 : 16 * 256) / 65536.0);
  c.r = -round_even (dark + c.rv / 2.0 - half_level - 1) << 16;
  c.g = (round_even ((c.gu + c.gv) / 2.0 - dark + half_level - 0.5) << 16) + 0xffff;
  c.b = -round_even (dark + c.bu / 2.0 - half_level - 1) << 16;
  c.gu = -c.gu;
  c.gv = -c.gv;
  if (picture->format != CG_FORMAT_P010)
    c.y <<= 8;
  return c;
}

/* Weights of quarters, which add up to @unit. */
static void
chroma_mix (bool cosited, unsigned unit, uint32_t mix[2][2])
{
  const unsigned odd = cosited ? 2 : 3, even = cosited ? 0 : 1;

  mix[0][0] = odd * unit / 4;
  mix[0][1] = unit - mix[0][0];
  mix[1][0] = even * unit / 4;
  mix[1][1] = unit - mix[1][0];
}

/* @rows_first: along are the rows. */
static Source
picture_source (const CgCudaPicture *picture, bool rows_first)
{
  const uint8_t *packed = packed_formats[picture->format];
  const bool words = picture->format == CG_FORMAT_P010;
  const bool pairs = picture->format == CG_FORMAT_NV12 || words;
  const int luma = packed[0] > 0 ? packed[0] : words ? 2 : 1;
  const int last[2] = { (int)picture->width - 1, (int)picture->height - 1 };
  const bool cosited[2] = { picture->cosited_h != 0, picture->cosited_v != 0 };
  Source source = {};

  for (int i = 0; i < 3; i++) {
    const int sample = i > 0 && pairs ? 2 * luma : luma, stride = picture->stride[i];

    source.plane[i].first = picture->plane[i];
    source.plane[i].along = rows_first ? stride : sample;
    source.plane[i].across = rows_first ? sample : stride;
  }
  source.last_along = last[rows_first];
  source.last_across = last[!rows_first];
  source.last_chroma_along = last[rows_first] / 2;
  source.last_chroma_across = last[!rows_first] / 2;
  chroma_mix (cosited[rows_first], 4, source.mix_along);
  chroma_mix (cosited[!rows_first], words ? 16 : 64, source.mix_across);
  source.red = packed[1];
  source.green = packed[2];
  source.blue = packed[3];
  source.expand = picture->format == CG_FORMAT_GRAY8 && !picture->full_range;
  if (packed[0] == 0)
    source.colour = picture_colour (picture);
  return source;
}
