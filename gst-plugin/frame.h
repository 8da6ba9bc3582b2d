/* A GstBuffer's picture as the model library's CgFrame.
 *
 * Pictures in a GPU's memory (GstCudaMemory, since GStreamer 1.22) need no library to be linked: a flag of gst_memory_map()
 * gives the device's pointer, and without the flag GStreamer downloads the picture.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <gst/video/video.h>

#include "model/frame.h"

G_BEGIN_DECLS

/** GST_CITY_GUESSR_SYSTEM_CAPS: what can be described: CgFrame's formats and sizes, in system memory. */
#define GST_CITY_GUESSR_SYSTEM_CAPS                                                           \
  "video/x-raw, "                                                                             \
  "format = (string) { NV12, I420, YV12, P010_10LE, RGB, BGR, RGBx, BGRx, xRGB, xBGR, RGBA, " \
  "BGRA, ARGB, ABGR, GRAY8 }, "                                                               \
  "width = (int) [ 1, 32768 ], height = (int) [ 1, 32768 ], framerate = (fraction) [ 0, max ]"

/** GST_CITY_GUESSR_CAPS: the same, or in CUDA memory, for which GStreamer has fewer formats. */
#define GST_CITY_GUESSR_CAPS                                                                  \
  GST_CITY_GUESSR_SYSTEM_CAPS                                                                 \
  "; video/x-raw(memory:CUDAMemory), "                                                        \
  "format = (string) { NV12, I420, YV12, P010_10LE, RGB, BGR, RGBx, BGRx, RGBA, BGRA, ARGB, " \
  "ABGR }, "                                                                                  \
  "width = (int) [ 1, 32768 ], height = (int) [ 1, 32768 ], framerate = (fraction) [ 0, max ]"

/** gst_city_guessr_frame_map: maps @buffer for reading, and describes it.
 * @video: (out): gst_video_frame_unmap() it when @frame is of no use any more; @buffer must live until then
 * @in_place: whether a picture in a GPU's memory is to be read there; then it is complete, and @frame's memory is
 *   CG_MEMORY_CUDA. If not it is downloaded
 * Returns: FALSE with @error: INPUT if it cannot be read, or gst_city_guessr_frame_describe() fails. Any thread. */
gboolean gst_city_guessr_frame_map (GstVideoFrame *video, const GstVideoInfo *info,
                                    GstBuffer *buffer, gboolean in_place, CgFrame *frame,
                                    GError **error);

/** gst_city_guessr_frame_describe: @frame points into @video, with its strides (GstVideoMeta), the
 * rectangle of its GstVideoCropMeta if it has one, and its colorimetry; unknown colorimetry is
 * taken as GStreamer's converter takes it: BT.601 up to 576 rows, else BT.709, limited range for
 * YUV, full for the rest. An interlaced picture is taken as it is, both fields woven together.
 * @video: mapped for reading, in one of the formats of GST_CITY_GUESSR_CAPS
 * Returns: FALSE if the crop rectangle is empty or not inside the picture. Any thread. */
gboolean gst_city_guessr_frame_describe (const GstVideoFrame *video, CgFrame *frame);

G_END_DECLS
