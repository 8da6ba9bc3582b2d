/* Pixels of any format as bytes of R'G'B', by the arithmetic of model/cpu/preprocess-kernels.h, bit for bit.
 *
 * Samples are 16 bits, full scale 65536: 8-bit codes << 8, P010 words as they are. A pair of chroma
 * samples is one word: U in the lower half, V in the upper.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "common.cuh"

/* Where samples lie. Loose pairs are not aligned to their size and are read byte by byte. */
enum Layout { PLANAR8, PAIRS8, PAIRS8_LOOSE, PAIRS16, PAIRS16_LOOSE, PACKED };

/* Y'CbCr to working R'G'B', 64 to a grey level, (a b) being a * b >> 16:
 *   R = (y Y) + (rv V) - r    G = (y Y) + g - ((gu U) + (gv V))    B = (y Y) + (bu U) - b */
struct Colour {
  unsigned y, rv, gu, gv, bu;
  unsigned r, g, b;
};

struct Source {
  const uint8_t *plane[3];
  ptrdiff_t stride[3];
  unsigned last_column, last_row; /* of chroma */
  bool cosited_h, cosited_v;
  Colour colour;
  /* packed: bytes of a pixel, where R, G and B lie in it, and whether (grey) 16..235 is to be expanded */
  unsigned bytes, red, green, blue;
  bool expand;
};

/* ---- chroma ---- */

/* Means of both halves, rounded down and up. */
__device__ inline uint32_t
mean_down (uint32_t a, uint32_t b)
{
  return (a & b) + (((a ^ b) & 0xfffefffeu) >> 1);
}

__device__ inline uint32_t
mean_up (uint32_t a, uint32_t b)
{
  return (a | b) - (((a ^ b) & 0xfffefffeu) >> 1);
}

template <Layout layout>
__device__ inline uint32_t
chroma_sample (const Source &s, unsigned column, unsigned row)
{
  const uint8_t *p = s.plane[1] + (ptrdiff_t)row * s.stride[1];

  switch (layout) {
  case PLANAR8: {
    const uint8_t *q = s.plane[2] + (ptrdiff_t)row * s.stride[2];
    return (uint32_t)__ldg (p + column) << 8 | (uint32_t)__ldg (q + column) << 24;
  }
  case PAIRS8: {
    const uint32_t pair = __ldg (reinterpret_cast<const uint16_t *> (p) + column);
    return (pair & 0xff) << 8 | (pair & 0xff00) << 16;
  }
  case PAIRS8_LOOSE:
    p += 2 * (size_t)column;
    return (uint32_t)__ldg (p) << 8 | (uint32_t)__ldg (p + 1) << 24;
  case PAIRS16:
    return __ldg (reinterpret_cast<const uint32_t *> (p) + column);
  default:
    p += 4 * (size_t)column;
    return __ldg (p) | (uint32_t)__ldg (p + 1) << 8 | (uint32_t)__ldg (p + 2) << 16 |
           (uint32_t)__ldg (p + 3) << 24;
  }
}

/* Full-width lines of chroma are "slots": chroma rows or, where chroma lies on luma rows, what belongs to each of these.
 * The chroma rows that slot @slot is the mean of: */
__device__ inline void
chroma_rows (const Source &s, unsigned slot, unsigned *row, unsigned *next)
{
  *row = *next = slot;
  if (s.cosited_v) {
    *row = slot / 2;
    *next = min ((slot + 1) / 2, s.last_row);
  }
}

/* The other chroma column that luma column @x lies next to; edges are repeated. */
__device__ inline unsigned
chroma_side (const Source &s, unsigned x)
{
  if (x % 2)
    return min (x / 2 + 1, s.last_column);
  return s.cosited_h || x == 0 ? x / 2 : x / 2 - 1;
}

/* Linear: halfway to the other column, or a quarter of the way. */
__device__ inline uint32_t
chroma_between (const Source &s, uint32_t here, uint32_t side)
{
  const uint32_t middle = mean_up (here, side);

  return s.cosited_h ? middle : mean_up (here, middle);
}

/* The two slots that luma row @y lies between, the nearer one first. */
__device__ inline void
chroma_slots (const Source &s, unsigned y, unsigned *near, unsigned *far)
{
  if (s.cosited_v) {
    *near = *far = y;
    return;
  }
  *near = y / 2;
  if (y % 2)
    *far = *near < s.last_row ? *near + 1 : *near;
  else
    *far = *near > 0 ? *near - 1 : 0;
}

/* ---- pixels: R | G << 8 | B << 16 ---- */

__device__ inline uint32_t
to_byte (int working)
{
  working = working > 0 ? working : 0;
  return (unsigned)(working < 255 * 64 ? working : 255 * 64) >> 6;
}

template <Layout layout>
__device__ inline uint32_t
luma_sample (const Source &s, unsigned x, unsigned y)
{
  const uint8_t *p = s.plane[0] + (ptrdiff_t)y * s.stride[0];

  if (layout == PAIRS16)
    return __ldg (reinterpret_cast<const uint16_t *> (p) + x);
  if (layout == PAIRS16_LOOSE)
    return __ldg (p + 2 * (size_t)x) | (uint32_t)__ldg (p + 2 * (size_t)x + 1) << 8;
  return (uint32_t)__ldg (p + x) << 8;
}

__device__ inline uint32_t
yuv_pixel (const Colour &c, uint32_t luma, uint32_t near, uint32_t far)
{
  const uint32_t chroma = mean_up (near, mean_up (near, far));
  const uint32_t u = chroma & 0xffff, v = chroma >> 16;
  const int y = (int)(luma * c.y >> 16);

  return to_byte (y + (int)(v * c.rv >> 16) - (int)c.r) |
         to_byte (y + (int)c.g - (int)(u * c.gu >> 16) - (int)(v * c.gv >> 16)) << 8 |
         to_byte (y + (int)(u * c.bu >> 16) - (int)c.b) << 16;
}

__device__ inline uint32_t
packed_pixel (const Source &s, unsigned x, unsigned y)
{
  const uint8_t *p = s.plane[0] + (ptrdiff_t)y * s.stride[0] + (size_t)x * s.bytes;
  const uint32_t red = __ldg (p + s.red);
  const uint32_t pixel =
      red | (uint32_t)__ldg (p + s.green) << 8 | (uint32_t)__ldg (p + s.blue) << 16;

  if (!s.expand)
    return pixel;
  /* (red - 16) 255 / 219 to the nearest; a tie would need an odd multiple of 219 to be even */
  const int grey = (2 * 255 * max ((int)red - 16, 0) + 219) / (2 * 219);
  return (uint32_t)min (grey, 255) * 0x10101u;
}
