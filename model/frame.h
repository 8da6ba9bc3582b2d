/* A picture as it comes from a video pipeline, described without GStreamer.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/** CgPixelFormat: names and byte orders are those of GstVideoFormat. */
typedef enum {
  CG_FORMAT_NV12,  /* Y plane, interleaved UV plane, 2x2 subsampled */
  CG_FORMAT_I420,  /* Y, U, V planes, 2x2 subsampled */
  CG_FORMAT_YV12,  /* as I420; plane[1] is V in memory order: give planes as Y, U, V */
  CG_FORMAT_P010,  /* as NV12 in 16-bit little-endian words, value in the upper 10 bits */
  CG_FORMAT_GRAY8, /* luma only */
  CG_FORMAT_RGB,   /* 3 bytes a pixel */
  CG_FORMAT_BGR,
  CG_FORMAT_RGBX, /* 4 bytes a pixel; X and A are ignored */
  CG_FORMAT_BGRX,
  CG_FORMAT_XRGB,
  CG_FORMAT_XBGR,
  CG_FORMAT_RGBA,
  CG_FORMAT_BGRA,
  CG_FORMAT_ARGB,
  CG_FORMAT_ABGR,
} CgPixelFormat;
#define CG_N_FORMATS 15

/** CgMatrix: Y'CbCr to R'G'B': Kr, Kb of BT.601 (0.299, 0.114), BT.709 (0.2126, 0.0722),
 * BT.2020 non-constant luminance (0.2627, 0.0593). Not used for RGB. */
typedef enum { CG_MATRIX_BT601, CG_MATRIX_BT709, CG_MATRIX_BT2020 } CgMatrix;

/** CgMemory: where planes lie. CUDA: in a GPU's memory, of whatever context; what was to be written there is written.
 * See cg_engine_reads() (engine.h). */
typedef enum { CG_MEMORY_SYSTEM, CG_MEMORY_CUDA } CgMemory;

/** CgFrame: borrowed pointers, valid during the call that takes it.
 * @width, @height: 1..32768, of the visible picture; odd sizes allowed (chroma planes round up)
 * @plane: in the order of GstVideoFrame's components' planes (Y, U, V whatever the memory order)
 * @stride: bytes from row to row; may be negative (bottom-up); at least a row long in magnitude
 * @matrix, @full_range: colorimetry; full range is 0..255, else 16..235/240. For RGB and GRAY8 with
 *   full range: taken as it is; GRAY8 in limited range is expanded
 * @cosited_h, @cosited_v: chroma samples lie on the left (top) luma sample, not between two
 */
typedef struct {
  CgPixelFormat format;
  guint width, height;
  const guint8 *plane[3];
  gint stride[3];
  CgMatrix matrix;
  gboolean full_range;
  gboolean cosited_h, cosited_v;
  CgMemory memory;
} CgFrame;

G_END_DECLS
