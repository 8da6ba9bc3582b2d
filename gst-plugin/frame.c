/* GstVideoFrame to CgFrame: see frame.h.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#define _GNU_SOURCE /* RTLD_NOLOAD */
#include "frame.h"

#include <dlfcn.h>
#include <string.h>

#include "model/error.h"

/* Of gst/cuda/gstcudamemory.h, the same in every release since 1.22. */
#define CUDA_MEMORY_TYPE "gst.cuda.memory"
#define MAP_CUDA ((GstMapFlags)(GST_MAP_FLAG_LAST << 1))
#define CUDA_LIBRARY "libgstcuda-1.0.so.0"

static CgPixelFormat
pixel_format (GstVideoFormat format)
{
  switch (format) {
  case GST_VIDEO_FORMAT_NV12:
    return CG_FORMAT_NV12;
  case GST_VIDEO_FORMAT_I420:
    return CG_FORMAT_I420;
  case GST_VIDEO_FORMAT_YV12:
    return CG_FORMAT_YV12;
  case GST_VIDEO_FORMAT_P010_10LE:
    return CG_FORMAT_P010;
  case GST_VIDEO_FORMAT_RGB:
    return CG_FORMAT_RGB;
  case GST_VIDEO_FORMAT_BGR:
    return CG_FORMAT_BGR;
  case GST_VIDEO_FORMAT_RGBx:
    return CG_FORMAT_RGBX;
  case GST_VIDEO_FORMAT_BGRx:
    return CG_FORMAT_BGRX;
  case GST_VIDEO_FORMAT_xRGB:
    return CG_FORMAT_XRGB;
  case GST_VIDEO_FORMAT_xBGR:
    return CG_FORMAT_XBGR;
  case GST_VIDEO_FORMAT_RGBA:
    return CG_FORMAT_RGBA;
  case GST_VIDEO_FORMAT_BGRA:
    return CG_FORMAT_BGRA;
  case GST_VIDEO_FORMAT_ARGB:
    return CG_FORMAT_ARGB;
  case GST_VIDEO_FORMAT_ABGR:
    return CG_FORMAT_ABGR;
  default:
    return CG_FORMAT_GRAY8;
  }
}

static CgMatrix
color_matrix (const GstVideoInfo *info)
{
  switch (info->colorimetry.matrix) {
  case GST_VIDEO_COLOR_MATRIX_BT709:
  case GST_VIDEO_COLOR_MATRIX_SMPTE240M: /* Kr, Kb = 0.212, 0.087: BT.709's to within a grey level
                                          */
    return CG_MATRIX_BT709;
  case GST_VIDEO_COLOR_MATRIX_BT2020:
    return CG_MATRIX_BT2020;
  case GST_VIDEO_COLOR_MATRIX_UNKNOWN:
    return GST_VIDEO_INFO_HEIGHT (info) > 576 ? CG_MATRIX_BT709 : CG_MATRIX_BT601;
  default:
    return CG_MATRIX_BT601;
  }
}

static gboolean
is_full_range (const GstVideoInfo *info)
{
  switch (info->colorimetry.range) {
  case GST_VIDEO_COLOR_RANGE_0_255:
    return TRUE;
  case GST_VIDEO_COLOR_RANGE_16_235:
    return FALSE;
  default:
    return !GST_VIDEO_INFO_IS_YUV (info);
  }
}

gboolean
gst_city_guessr_frame_describe (const GstVideoFrame *video, CgFrame *frame)
{
  const GstVideoInfo *info = &video->info;
  const GstVideoFormatInfo *format = info->finfo;
  const GstVideoCropMeta *crop = gst_buffer_get_video_crop_meta (video->buffer);
  /* Chroma is one plane or two; a packed picture is one plane, whatever its order of components. */
  guint n_planes = GST_VIDEO_FORMAT_INFO_N_PLANES (format);
  guint x = 0, y = 0;

  *frame = (CgFrame){
    .format = pixel_format (GST_VIDEO_INFO_FORMAT (info)),
    .width = GST_VIDEO_INFO_WIDTH (info),
    .height = GST_VIDEO_INFO_HEIGHT (info),
    .matrix = color_matrix (info),
    .full_range = is_full_range (info),
    .cosited_h = (info->chroma_site & GST_VIDEO_CHROMA_SITE_H_COSITED) != 0,
    .cosited_v = (info->chroma_site & GST_VIDEO_CHROMA_SITE_V_COSITED) != 0,
  };
  if (crop) {
    if (crop->width == 0 || crop->height == 0 || crop->x > frame->width ||
        crop->width > frame->width - crop->x || crop->y > frame->height ||
        crop->height > frame->height - crop->y)
      return FALSE;
    /* Down to whole chroma samples, so that luma and chroma stay together. */
    x = n_planes > 1 ? crop->x & ~1u : crop->x;
    y = n_planes > 1 ? crop->y & ~1u : crop->y;
    frame->width = crop->width;
    frame->height = crop->height;
  }

  for (guint i = 0; i < n_planes; i++) {
    /* Component i is Y, U, V in this order, also where the planes are not (YV12). */
    guint plane = n_planes > 1 ? GST_VIDEO_FORMAT_INFO_PLANE (format, i) : 0;
    guint left = GST_VIDEO_FORMAT_INFO_SCALE_WIDTH (format, i, x);
    guint top = GST_VIDEO_FORMAT_INFO_SCALE_HEIGHT (format, i, y);

    frame->stride[i] = GST_VIDEO_FRAME_PLANE_STRIDE (video, plane);
    frame->plane[i] = (const guint8 *)GST_VIDEO_FRAME_PLANE_DATA (video, plane) +
                      (gssize)top * frame->stride[i] +
                      (gsize)left * GST_VIDEO_FORMAT_INFO_PSTRIDE (format, i);
  }
  return TRUE;
}

/* ---- mapping ---- */

/* Where the memory is one of GStreamer's, so is its library in the process. From 1.24 on what writes a picture may
 * still be at work on a stream when the buffer arrives; gst_cuda_memory_sync() waits for that. Before, it is not there,
 * and not needed. */
static void
wait_for_writers (GstBuffer *buffer)
{
  static gsize looked;
  static void (*synchronise) (GstMemory * memory);

  if (g_once_init_enter (&looked)) {
    void *library = dlopen (CUDA_LIBRARY, RTLD_LAZY | RTLD_NOLOAD); /* kept */
    void *symbol = library ? dlsym (library, "gst_cuda_memory_sync") : NULL;

    memcpy (&synchronise, &symbol, sizeof synchronise);
    g_once_init_leave (&looked, 1);
  }
  for (guint i = 0; synchronise && i < gst_buffer_n_memory (buffer); i++)
    synchronise (gst_buffer_peek_memory (buffer, i));
}

static gboolean
is_in_cuda (GstBuffer *buffer)
{
  for (guint i = 0; i < gst_buffer_n_memory (buffer); i++)
    if (!gst_memory_is_type (gst_buffer_peek_memory (buffer, i), CUDA_MEMORY_TYPE))
      return FALSE;
  return gst_buffer_n_memory (buffer) > 0;
}

gboolean
gst_city_guessr_frame_map (GstVideoFrame *video, const GstVideoInfo *info, GstBuffer *buffer,
                           gboolean in_place, CgFrame *frame, GError **error)
{
  const gboolean in_cuda = is_in_cuda (buffer);
  GstMapFlags flags = (GstMapFlags)(GST_MAP_READ | GST_VIDEO_FRAME_MAP_FLAG_NO_REF);

  in_place &= in_cuda;
  if (in_place)
    flags |= MAP_CUDA;
  if (!gst_video_frame_map (video, info, buffer, flags)) {
    g_set_error (error, CG_ERROR, CG_ERROR_INPUT, "The picture's memory cannot be read%s",
                 in_cuda ? ": it is a GPU's. Put cudadownload before cityguessr" : "");
    return FALSE;
  }
  if (!gst_city_guessr_frame_describe (video, frame)) {
    gst_video_frame_unmap (video);
    g_set_error (error, CG_ERROR, CG_ERROR_INPUT, "The crop rectangle is not inside the picture");
    return FALSE;
  }
  if (in_place)
    wait_for_writers (buffer); /* an upload by the mapping among them */
  frame->memory = in_place ? CG_MEMORY_CUDA : CG_MEMORY_SYSTEM;
  return TRUE;
}
