/* Pixels of any format as bytes of R'G'B', by the arithmetic of model/cpu/preprocess-kernels.h, bit for bit.
 *
 * A pair of chroma samples is one word, U in the lower half, V in the upper. Of 8-bit codes, and of the 10 bits of P010,
 * nothing is lost when they are mixed: a pair is multiplied and added as one number.
 *
 * "Along" and "across" are columns and rows, or, of tall pictures, rows and columns (preprocess.cu).
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "common.cuh"

/* Where samples lie. Loose pairs are not aligned to their size and are read byte by byte. */
enum Layout { PLANAR8, PAIRS8, PAIRS8_LOOSE, PAIRS16, PAIRS16_LOOSE, PACKED };

/* Y'CbCr to working R'G'B', 64 to a grey level, (a) being a >> 16 of a signed number, and Y a byte but in P010:
 *   R = (y Y) + (rv V + r)    G = (y Y) + (gu U + g) + (gv V + 0xffff)    B = (y Y) + (bu U + b)
 * All modulo 1 << 32: gu and gv are negative, and products that are subtracted are rounded up. */
struct Colour {
  uint32_t y, rv, gu, gv, bu;
  uint32_t r, g, b;
};

struct Plane {
  const uint8_t *first;
  int along, across; /* bytes to the next sample */
};

struct Source {
  Plane plane[3];
  int last_along, last_across;               /* pixel */
  int last_chroma_along, last_chroma_across; /* sample */
  /* Of odd pixels, then of even ones: weights of the chroma sample before and of the one behind. Mixed both ways, codes
   * have become 16 bits, full scale 65536. */
  uint32_t mix_along[2][2], mix_across[2][2];
  Colour colour;
  /* packed: where R, G and B lie in a pixel, and whether (grey) 16..235 is to be expanded */
  unsigned red, green, blue;
  bool expand;
};

/* ---- samples ---- */

__device__ inline const uint8_t *
sample_at (const Plane &plane, int along, int across)
{
  return plane.first + (ptrdiff_t)across * plane.across + (ptrdiff_t)along * plane.along;
}

template <Layout layout>
__device__ inline uint32_t
luma_sample (const Source &s, int along, int across)
{
  const uint8_t *p = sample_at (s.plane[0], along, across);

  if (layout == PAIRS16)
    return __ldg (reinterpret_cast<const uint16_t *> (p));
  return layout == PAIRS16_LOOSE ? __ldg (p) | (uint32_t)__ldg (p + 1) << 8 : __ldg (p);
}

/* Codes of 8 bits; of 10 in P010, whose other 6 are padding. */
template <Layout layout>
__device__ inline uint32_t
chroma_sample (const Source &s, int along, int across)
{
  const uint8_t *p = sample_at (s.plane[1], along, across);
  uint32_t pair;

  switch (layout) {
  case PLANAR8:
    return __ldg (p) | (uint32_t)__ldg (sample_at (s.plane[2], along, across)) << 16;
  case PAIRS8:
    pair = __ldg (reinterpret_cast<const uint16_t *> (p));
    return (pair | pair << 8) & 0x00ff00ffu;
  case PAIRS8_LOOSE:
    return __ldg (p) | (uint32_t)__ldg (p + 1) << 16;
  case PAIRS16:
    pair = __ldg (reinterpret_cast<const uint32_t *> (p));
    break;
  default:
    pair = __ldg (p) | (uint32_t)__ldg (p + 1) << 8 | (uint32_t)__ldg (p + 2) << 16 |
           (uint32_t)__ldg (p + 3) << 24;
  }
  return pair >> 6 & 0x03ff03ffu;
}

/* ---- pixels ---- */

/* The bytes of four numbers; what is outside of 0..255 becomes the nearer of them. */
__device__ inline uint32_t
pack_bytes (int a, int b, int c, int d)
{
#ifdef CG_CUDA_EMULATOR
  const int numbers[4] = { a, b, c, d };
  uint32_t packed = 0;

  for (int i = 0; i < 4; i++)
    packed |= (uint32_t)min (max (numbers[i], 0), 255) << 8 * i;
  return packed;
#else
  uint32_t upper, packed;

  asm("cvt.pack.sat.u8.s32.b32 %0, %1, %2, 0;" : "=r"(upper) : "r"(d), "r"(c));
  asm("cvt.pack.sat.u8.s32.b32 %0, %1, %2, %3;" : "=r"(packed) : "r"(b), "r"(a), "r"(upper));
  return packed;
#endif
}

/* Grey levels, not yet clipped. */
__device__ inline void
yuv_pixel (const Colour &k, uint32_t luma, uint32_t chroma, int *red, int *green, int *blue)
{
  const uint32_t u = chroma & 0xffff, v = chroma >> 16;
  const int y = (int)(luma * k.y >> 16);

  *red = (y + ((int)(v * k.rv + k.r) >> 16)) >> 6;
  *green = (y + ((int)(u * k.gu + k.g) >> 16) + ((int)(v * k.gv + 0xffff) >> 16)) >> 6;
  *blue = (y + ((int)(u * k.bu + k.b) >> 16)) >> 6;
}

__device__ inline void
packed_pixel (const Source &s, int along, int across, int *red, int *green, int *blue)
{
  const uint8_t *p = sample_at (s.plane[0], along, across);

  *red = __ldg (p + s.red);
  *green = __ldg (p + s.green);
  *blue = __ldg (p + s.blue);
  /* (red - 16) 255 / 219 to the nearest; a tie would need an odd multiple of 219 to be even */
  if (s.expand)
    *red = *green = *blue = (2 * 255 * max (*red - 16, 0) + 219) / (2 * 219);
}

/* ---- cells ----
 *
 * Cell (q, p) has the pixels 4q - 1 .. 4q + 2 along, 2p - 1 and 2p across, which lie between three by two samples of
 * chroma:
 *
 *   along    pixels       4q-1   4q   4q+1  4q+2
 *            chroma   2q-1          2q          2q+1        p - 1 and p across
 *
 * Its last pixel may be outside of the picture, and so may its first one. Chroma of there is the nearest; luma is of
 * anywhere, because nothing is made of it. */

/* R, G and B of four neighbours along: a byte for each. */
struct Quad {
  uint32_t channel[3];
};

__device__ inline int
at_most (int i, int last)
{
  return (int)min ((unsigned)i, (unsigned)last); /* -1 becomes the last, too */
}

template <Layout layout>
__device__ inline void
read_cell (const Source &s, int q, int p, Quad quad[2])
{
  int level[2][3][4]; /* across, channel, along */

  if (layout == PACKED) {
#pragma unroll
    for (int i = 0; i < 8; i++)
      packed_pixel (s, at_most (4 * q - 1 + i % 4, s.last_along),
                    at_most (2 * p - 1 + i / 4, s.last_across), &level[i / 4][0][i % 4],
                    &level[i / 4][1][i % 4], &level[i / 4][2][i % 4]);
  } else {
    const int along[3] = { max (2 * q - 1, 0), at_most (2 * q, s.last_chroma_along),
                           at_most (2 * q + 1, s.last_chroma_along) };
    const int across[2] = { max (p - 1, 0), at_most (p, s.last_chroma_across) };
    uint32_t chroma[2][3], luma[2][4];

#pragma unroll
    for (int i = 0; i < 6; i++)
      chroma[i / 3][i % 3] = chroma_sample<layout> (s, along[i % 3], across[i / 3]);
#pragma unroll
    for (int i = 0; i < 8; i++)
      luma[i / 4][i % 4] = luma_sample<layout> (s, at_most (4 * q - 1 + i % 4, s.last_along),
                                                at_most (2 * p - 1 + i / 4, s.last_across));
#pragma unroll
    for (int x = 0; x < 4; x++) {
      const uint32_t *mix = s.mix_along[x % 2];
      const uint32_t before = mix[0] * chroma[0][x / 2] + mix[1] * chroma[0][x / 2 + 1];
      const uint32_t behind = mix[0] * chroma[1][x / 2] + mix[1] * chroma[1][x / 2 + 1];

      for (int y = 0; y < 2; y++)
        yuv_pixel (s.colour, luma[y][x], s.mix_across[y][0] * before + s.mix_across[y][1] * behind,
                   &level[y][0][x], &level[y][1][x], &level[y][2][x]);
    }
  }
  for (int y = 0; y < 2; y++)
    for (int c = 0; c < 3; c++)
      quad[y].channel[c] =
          pack_bytes (level[y][c][0], level[y][c][1], level[y][c][2], level[y][c][3]);
}
