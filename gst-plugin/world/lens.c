/* See lens.h.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "lens.h"

#include "chance.h"

#include <math.h>
#include <string.h>

#define BLOCK 8  /* of the encoder */
#define RIPPLE 6 /* pixels that the mirror image is shifted together */
#define FALL_KEY 9000
#define NOISE_KEY 9100

void
cg_lens_wet (CgCanvas *canvas, gfloat horizon)
{
  gint first = CLAMP ((gint)horizon, 0, canvas->height);

  for (gint y = first; y < canvas->height; y++) {
    guint32 *row = canvas->pixels + (gsize)y * canvas->width;
    gint shift = 0;

    for (gint x = 0; x < canvas->width; x++) {
      guint wet = row[x] >> 24;
      gint from;

      if (x % RIPPLE == 0)
        shift = (gint)(cg_hash (FALL_KEY, (guint64)y / 2 * 4096 + (guint64)x / RIPPLE) & 7);
      if (wet == 0)
        continue;
      from = MAX (0, (gint)(2.0f * horizon) - y - shift);
      row[x] = cg_colour_between (row[x], canvas->pixels[(gsize)from * canvas->width + x],
                                  wet * 100 >> 8);
    }
  }
}

static void
lighten (guint32 *pixel, guint amount)
{
  for (guint shift = 0; shift <= 16; shift += 8) {
    guint c = *pixel >> shift & 255;

    c += (235 - MIN (c, 235)) * amount >> 8;
    *pixel = (*pixel & ~(255u << shift)) | c << shift;
  }
}

void
cg_lens_fall (CgCanvas *canvas, const CgDrive *drive, const CgPose *pose)
{
  gboolean snow = drive->weather == CG_WEATHER_SNOWFALL;
  guint64 moment = (guint64)(gint64)floor (pose->time * 12.0);
  guint n = snow ? 420 : 260;
  guint amount = drive->night ? 40 : 90;

  if (drive->weather != CG_WEATHER_RAIN && !snow)
    return;
  for (guint i = 0; i < n; i++) {
    guint64 key = cg_hash (cg_hash (drive->key + FALL_KEY, moment), i);
    gint x = (gint)(cg_unit (key, 0) * canvas->width),
         y = (gint)(cg_unit (key, 1) * canvas->height);
    gint size = MAX (1, (gint)(canvas->height * cg_range (key, 2, 0.003, snow ? 0.011 : 0.004)));
    gint length = snow ? size : (gint)(canvas->height * cg_range (key, 3, 0.02, 0.07));

    for (gint j = 0; j < length; j++) {
      gint slant = snow ? 0 : -j / 8;

      for (gint k = 0; k < (snow ? size : MAX (1, size / 2)); k++) {
        gint px = x + k + slant, py = y + j;

        if (px >= 0 && px < canvas->width && py < canvas->height)
          lighten (&canvas->pixels[(gsize)py * canvas->width + px], snow ? 2 * amount : amount);
      }
    }
  }
}

/* ---- exposure ---- */

static void
make_curves (const CgDrive *drive, guint8 curves[3][256])
{
  for (guint c = 0; c < 3; c++) {
    gdouble gain = drive->exposure * (1.0 + (c == 0 ? 0.05 : c == 2 ? -0.05 : 0.0) * drive->tint);

    for (guint i = 0; i < 256; i++) {
      gdouble v = i / 255.0 * gain;

      v = v < 0.8 ? v : 0.8 + 0.2 * tanh ((v - 0.8) / 0.2); /* highlights roll off */
      v = 0.5 + (v - 0.5) * drive->contrast;
      curves[c][i] = (guint8)(255.0 * CLAMP (v, 0.0, 1.0) + 0.5);
    }
  }
}

static void
reduce (const CgCanvas *canvas, guint factor, gint width, gint height, guint8 curves[3][256],
        guint8 *out)
{
  guint area = factor * factor;

  for (gint y = 0; y < height; y++) {
    for (gint x = 0; x < width; x++, out += 3) {
      const guint32 *from = canvas->pixels + (gsize)y * factor * canvas->width + (gsize)x * factor;
      guint32 rb = 0, g = 0;

      for (guint j = 0; j < factor; j++, from += canvas->width)
        for (guint i = 0; i < factor; i++) {
          rb += from[i] & 0x00FF00FFu;
          g += from[i] >> 8 & 255;
        }
      out[0] = curves[0][(rb >> 16) / area];
      out[1] = curves[1][g / area];
      out[2] = curves[2][(rb & 0xFFFF) / area];
    }
  }
}

static void
vignette_and_noise (const CgDrive *drive, guint64 time, gint width, gint height, guint8 *p)
{
  gint strength = (gint)(drive->noise * 26.0);
  guint64 key = cg_hash (drive->key + NOISE_KEY, time);

  for (gint y = 0; y < height; y++) {
    gfloat fy = 2.0f * ((gfloat)y + 0.5f) / (gfloat)height - 1.0f;

    for (gint x = 0; x < width; x++, p += 3) {
      gfloat fx = 2.0f * ((gfloat)x + 0.5f) / (gfloat)width - 1.0f;
      gint shade = 256 - (gint)(64.0f * (gfloat)drive->vignette * (fx * fx + fy * fy));
      guint64 bits = strength > 0 ? cg_hash (key, (guint64)y * (guint64)width + (guint64)x)
                                  : G_GUINT64_CONSTANT (0x8080808080);
      gint grey = ((gint)(bits & 255) + (gint)(bits >> 8 & 255) - 256) * strength >> 8;

      for (guint c = 0; c < 3; c++) {
        gint v = (p[c] * shade >> 8) + grey +
                 (((gint)(bits >> (16 + 8 * c) & 255) - 128) * strength >> 9);

        p[c] = (guint8)CLAMP (v, 0, 255);
      }
    }
  }
}

/* ---- the encoder ---- */

/* Walsh and Hadamard's transform of a block, in place: its own inverse but for the factor 64. Values of
 * -128 .. 127 stay within 16 bits, also when each coefficient is off by half a step. */
static void
transform (gint16 *block)
{
  for (guint pass = 0; pass < 2; pass++) {
    guint step = pass == 0 ? 1 : BLOCK, line = pass == 0 ? BLOCK : 1;

    for (guint i = 0; i < BLOCK; i++) {
      gint16 *v = block + i * line;

      for (guint half = 1; half < BLOCK; half *= 2)
        for (guint a = 0; a < BLOCK; a += 2 * half)
          for (guint b = a; b < a + half; b++) {
            gint16 x = v[b * step], y = v[(b + half) * step];

            v[b * step] = (gint16)(x + y);
            v[(b + half) * step] = (gint16)(x - y);
          }
    }
  }
}

/* The number of sign changes of each row of the transform: its frequency. */
static const guint8 sequency[BLOCK] = { 0, 7, 3, 4, 1, 6, 2, 5 };

static void
quantise (gint16 *block, gint quality)
{
  transform (block);
  for (guint j = 0; j < BLOCK; j++)
    for (guint i = 0; i < BLOCK; i++) {
      gint step = 16 + quality * (2 + sequency[i] + sequency[j]);
      gint value = block[j * BLOCK + i];

      block[j * BLOCK + i] =
          (gint16)((value >= 0 ? (value + step / 2) / step : -((-value + step / 2) / step)) * step);
    }
  transform (block);
}

/* Brightness is quantised; colour is kept as the mean of 4 x 4 pixels, more or less. */
static void
encode (const CgDrive *drive, gint width, gint height, guint8 *pixels)
{
  gint quality = (gint)(drive->block_noise * 34.0);

  if (quality < 2)
    return;
  for (gint by = 0; by < height; by += BLOCK) {
    for (gint bx = 0; bx < width; bx += BLOCK) {
      gint16 before[BLOCK * BLOCK], after[BLOCK * BLOCK];

      for (gint j = 0; j < BLOCK; j++)
        for (gint i = 0; i < BLOCK; i++) {
          const guint8 *p =
              pixels + 3 * ((gsize)MIN (by + j, height - 1) * width + MIN (bx + i, width - 1));

          before[j * BLOCK + i] = (gint16)(((77 * p[0] + 150 * p[1] + 29 * p[2]) >> 8) - 128);
        }
      memcpy (after, before, sizeof after);
      quantise (after, quality);
      for (gint j = 0; j < BLOCK && by + j < height; j++)
        for (gint i = 0; i < BLOCK && bx + i < width; i++) {
          guint8 *p = pixels + 3 * ((gsize)(by + j) * width + bx + i);
          gint change = after[j * BLOCK + i] / 64 - before[j * BLOCK + i];

          for (guint c = 0; c < 3; c++)
            p[c] = (guint8)CLAMP (p[c] + change, 0, 255);
        }
    }
  }
}

void
cg_lens_develop (const CgCanvas *canvas, guint factor, const CgDrive *drive, guint64 time,
                 guint8 *scratch, const CgPixels *pixels)
{
  guint8 curves[3][256];
  const guint8 *from = scratch;

  make_curves (drive, curves);
  reduce (canvas, factor, pixels->width, pixels->height, curves, scratch);
  vignette_and_noise (drive, time, pixels->width, pixels->height, scratch);
  encode (drive, pixels->width, pixels->height, scratch);
  for (gint y = 0; y < pixels->height; y++) {
    guint8 *to = pixels->data + (gsize)y * (gsize)pixels->stride;

    for (gint x = 0; x < pixels->width; x++, from += 3, to += pixels->step) {
      if (pixels->step == 4)
        memset (to, 255, 4);
      to[pixels->red] = from[0];
      to[pixels->green] = from[1];
      to[pixels->blue] = from[2];
    }
  }
}
