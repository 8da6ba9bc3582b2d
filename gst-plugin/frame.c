/* GstVideoFrame to CgFrame: see frame.h.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "frame.h"

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
