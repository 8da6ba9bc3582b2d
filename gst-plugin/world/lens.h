/* What happens between the street and the film: reflections on the wet road, rain and snow in the air,
 * exposure, vignette, the sensor's noise, and the blocks of a cheap encoder.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "drive.h"
#include "raster.h"

G_BEGIN_DECLS

/** CgPixels: where a picture goes. @stride: bytes from row to row. @red, @green, @blue: their bytes in
 * a pixel of @step bytes, whose other byte becomes 255. */
typedef struct {
  guint8 *data;
  gint width, height, stride;
  guint step, red, green, blue;
} CgPixels;

/** cg_lens_wet: mirrors what stands beyond in what is marked as wet (raster.h). @horizon: row. */
void cg_lens_wet (CgCanvas *canvas, gfloat horizon);

/** cg_lens_fall: rain or snow in the air. */
void cg_lens_fall (CgCanvas *canvas, const CgDrive *drive, const CgPose *pose);

/** cg_lens_develop: reduces @canvas, which is @factor times as wide and high, into @pixels. @scratch:
 * of 3 * width * height bytes. @time: ns, of the noise. */
void cg_lens_develop (const CgCanvas *canvas, guint factor, const CgDrive *drive, guint64 time,
                      guint8 *scratch, const CgPixels *pixels);

G_END_DECLS
