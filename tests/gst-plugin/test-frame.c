/* Pictures: from a GstVideoFrame to a CgFrame.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include <gst/check/gstcheck.h>

#include "frame.h"

typedef struct {
  GstVideoFormat video;
  CgPixelFormat format;
  /* where plane, byte of a pixel holds the components 0, 1, 2 */
  guint plane[3], byte[3], pixel_bytes[3], subsampling;
} Format;

static const Format formats[] = {
  { GST_VIDEO_FORMAT_NV12, CG_FORMAT_NV12, { 0, 1, 1 }, { 0, 0, 1 }, { 1, 2, 2 }, 2 },
  { GST_VIDEO_FORMAT_I420, CG_FORMAT_I420, { 0, 1, 2 }, { 0, 0, 0 }, { 1, 1, 1 }, 2 },
  { GST_VIDEO_FORMAT_YV12, CG_FORMAT_YV12, { 0, 1, 2 }, { 0, 0, 0 }, { 1, 1, 1 }, 2 },
  { GST_VIDEO_FORMAT_P010_10LE, CG_FORMAT_P010, { 0, 1, 1 }, { 1, 1, 3 }, { 2, 4, 4 }, 2 },
  { GST_VIDEO_FORMAT_GRAY8, CG_FORMAT_GRAY8, { 0 }, { 0 }, { 1 }, 1 },
  { GST_VIDEO_FORMAT_RGB, CG_FORMAT_RGB, { 0 }, { 0, 1, 2 }, { 3, 3, 3 }, 1 },
  { GST_VIDEO_FORMAT_BGR, CG_FORMAT_BGR, { 0 }, { 2, 1, 0 }, { 3, 3, 3 }, 1 },
  { GST_VIDEO_FORMAT_RGBx, CG_FORMAT_RGBX, { 0 }, { 0, 1, 2 }, { 4, 4, 4 }, 1 },
  { GST_VIDEO_FORMAT_BGRx, CG_FORMAT_BGRX, { 0 }, { 2, 1, 0 }, { 4, 4, 4 }, 1 },
  { GST_VIDEO_FORMAT_xRGB, CG_FORMAT_XRGB, { 0 }, { 1, 2, 3 }, { 4, 4, 4 }, 1 },
  { GST_VIDEO_FORMAT_xBGR, CG_FORMAT_XBGR, { 0 }, { 3, 2, 1 }, { 4, 4, 4 }, 1 },
  { GST_VIDEO_FORMAT_RGBA, CG_FORMAT_RGBA, { 0 }, { 0, 1, 2 }, { 4, 4, 4 }, 1 },
  { GST_VIDEO_FORMAT_BGRA, CG_FORMAT_BGRA, { 0 }, { 2, 1, 0 }, { 4, 4, 4 }, 1 },
  { GST_VIDEO_FORMAT_ARGB, CG_FORMAT_ARGB, { 0 }, { 1, 2, 3 }, { 4, 4, 4 }, 1 },
  { GST_VIDEO_FORMAT_ABGR, CG_FORMAT_ABGR, { 0 }, { 3, 2, 1 }, { 4, 4, 4 }, 1 },
};

/* The bytes of a picture are zero but for the components of the pixel at (x, y): 1, 2, 3. */
static GstBuffer *
picture_new (const Format *format, const GstVideoInfo *info, guint x, guint y)
{
  GstBuffer *buffer = gst_buffer_new_and_alloc (GST_VIDEO_INFO_SIZE (info));
  GstVideoFrame video;

  gst_buffer_memset (buffer, 0, 0, GST_VIDEO_INFO_SIZE (info));
  fail_unless (gst_video_frame_map (&video, info, buffer, GST_MAP_WRITE));
  for (guint i = 0; i < MIN (3, GST_VIDEO_INFO_N_COMPONENTS (info)); i++) {
    guint plane = GST_VIDEO_FORMAT_INFO_PLANE (info->finfo, i);
    guint sub = format->plane[i] > 0 ? format->subsampling : 1;
    guint8 *row = (guint8 *)GST_VIDEO_FRAME_PLANE_DATA (&video, plane) +
                  y / sub * GST_VIDEO_FRAME_PLANE_STRIDE (&video, plane);

    row[x / sub * format->pixel_bytes[i] + format->byte[i]] = i + 1;
  }
  gst_video_frame_unmap (&video);
  return buffer;
}

static void
assert_pixel (const Format *format, const CgFrame *frame, guint x, guint y)
{
  guint n = format->format == CG_FORMAT_GRAY8 ? 1 : 3;

  for (guint i = 0; i < n; i++) {
    guint plane = format->plane[i], sub = plane > 0 ? format->subsampling : 1;
    gint stride = frame->stride[plane];
    const guint8 *row = frame->plane[plane] + (gssize)(y / sub) * stride;

    fail_unless_equals_int (row[x / sub * format->pixel_bytes[i] + format->byte[i]], i + 1);
  }
}

/* Given a picture of each format, each component is where CgFrame says; and so it is in a crop,
 * counted from its corner. */
GST_START_TEST (test_format)
{
  const Format *format = &formats[__i__];
  GstVideoInfo info;
  GstVideoFrame video;
  GstBuffer *buffer;
  GstVideoCropMeta *crop;
  CgFrame frame;

  fail_unless_equals_int (G_N_ELEMENTS (formats), CG_N_FORMATS);
  gst_video_info_set_format (&info, format->video, 37, 23);
  buffer = picture_new (format, &info, 14, 8);
  fail_unless (gst_video_frame_map (&video, &info, buffer, GST_MAP_READ));
  fail_unless (gst_city_guessr_frame_describe (&video, &frame));
  gst_video_frame_unmap (&video);
  fail_unless_equals_int (frame.format, format->format);
  fail_unless_equals_int (frame.width, 37);
  fail_unless_equals_int (frame.height, 23);

  fail_unless (gst_video_frame_map (&video, &info, buffer, GST_MAP_READ));
  fail_unless (gst_city_guessr_frame_describe (&video, &frame));
  assert_pixel (format, &frame, 14, 8);
  gst_video_frame_unmap (&video);

  crop = gst_buffer_add_video_crop_meta (buffer);
  crop->x = 10;
  crop->y = 6;
  crop->width = 27;
  crop->height = 17;
  fail_unless (gst_video_frame_map (&video, &info, buffer, GST_MAP_READ));
  fail_unless (gst_city_guessr_frame_describe (&video, &frame));
  fail_unless_equals_int (frame.width, 27);
  fail_unless_equals_int (frame.height, 17);
  assert_pixel (format, &frame, 4, 2);
  gst_video_frame_unmap (&video);
  gst_buffer_unref (buffer);
}
GST_END_TEST;

/* Given padding told by GstVideoMeta, the strides are the buffer's, not those of the caps. */
GST_START_TEST (test_strides)
{
  gsize offset[GST_VIDEO_MAX_PLANES] = { 0, 64 * 20 };
  gint stride[GST_VIDEO_MAX_PLANES] = { 64, 80 };
  GstBuffer *buffer = gst_buffer_new_and_alloc (64 * 20 + 80 * 10);
  GstVideoInfo info;
  GstVideoFrame video;
  CgFrame frame;

  gst_video_info_set_format (&info, GST_VIDEO_FORMAT_NV12, 32, 20);
  gst_buffer_add_video_meta_full (buffer, GST_VIDEO_FRAME_FLAG_NONE, GST_VIDEO_FORMAT_NV12, 32, 20,
                                  2, offset, stride);
  fail_unless (gst_video_frame_map (&video, &info, buffer, GST_MAP_READ));
  fail_unless (gst_city_guessr_frame_describe (&video, &frame));
  fail_unless_equals_int (frame.stride[0], 64);
  fail_unless_equals_int (frame.stride[1], 80);
  fail_unless_equals_int (frame.plane[1] - frame.plane[0], 64 * 20);
  gst_video_frame_unmap (&video);
  gst_buffer_unref (buffer);
}
GST_END_TEST;

/* Given a crop rectangle that is empty or leaves the picture, it is refused. */
GST_START_TEST (test_bad_crop)
{
  static const guint crops[][4] = { { 0, 0, 0, 10 },        { 0, 0, 10, 0 },       { 1, 0, 32, 20 },
                                    { 0, 1, 32, 20 },       { 33, 0, 1, 1 },       { 0, 21, 1, 1 },
                                    { G_MAXUINT, 0, 2, 2 }, { 2, 0, G_MAXUINT, 2 } };
  GstVideoInfo info;

  gst_video_info_set_format (&info, GST_VIDEO_FORMAT_RGB, 32, 20);
  for (guint i = 0; i < G_N_ELEMENTS (crops); i++) {
    GstBuffer *buffer = gst_buffer_new_and_alloc (GST_VIDEO_INFO_SIZE (&info));
    GstVideoCropMeta *crop = gst_buffer_add_video_crop_meta (buffer);
    GstVideoFrame video;
    CgFrame frame;

    crop->x = crops[i][0];
    crop->y = crops[i][1];
    crop->width = crops[i][2];
    crop->height = crops[i][3];
    fail_unless (gst_video_frame_map (&video, &info, buffer, GST_MAP_READ));
    fail_if (gst_city_guessr_frame_describe (&video, &frame), "crop %u", i);
    gst_video_frame_unmap (&video);
    gst_buffer_unref (buffer);
  }
}
GST_END_TEST;

typedef struct {
  const gchar *caps;
  CgMatrix matrix;
  gboolean full_range, cosited_h, cosited_v;
} Color;

static const Color colors[] = {
  { "format=I420,height=480", CG_MATRIX_BT601, FALSE, FALSE, FALSE },
  { "format=I420,height=1080", CG_MATRIX_BT709, FALSE, TRUE, FALSE },
  /* The chroma site is named where GStreamer's default for it depends on its version. */
  { "format=NV12,height=480,colorimetry=bt709,chroma-site=jpeg", CG_MATRIX_BT709, FALSE, FALSE,
    FALSE },
  { "format=NV12,height=1080,colorimetry=bt601,chroma-site=jpeg", CG_MATRIX_BT601, FALSE, FALSE,
    FALSE },
  { "format=P010_10LE,height=1080,colorimetry=bt2020-10,chroma-site=jpeg", CG_MATRIX_BT2020, FALSE,
    FALSE, FALSE },
  { "format=I420,height=480,colorimetry=1:4:0:0", CG_MATRIX_BT601, TRUE, FALSE, FALSE },
  { "format=I420,height=480,colorimetry=bt601,chroma-site=mpeg2", CG_MATRIX_BT601, FALSE, TRUE,
    FALSE },
  { "format=I420,height=480,colorimetry=bt601,chroma-site=jpeg", CG_MATRIX_BT601, FALSE, FALSE,
    FALSE },
  { "format=I420,height=480,colorimetry=bt601,chroma-site=cosited", CG_MATRIX_BT601, FALSE, TRUE,
    TRUE },
  { "format=RGB,height=480", CG_MATRIX_BT601, TRUE, FALSE, FALSE },
  { "format=GRAY8,height=480", CG_MATRIX_BT601, TRUE, FALSE, FALSE },
};

/* Given caps, the colorimetry and the place of the chroma samples are those that they mean. */
GST_START_TEST (test_color)
{
  const Color *color = &colors[__i__];
  gchar *text = g_strdup_printf ("video/x-raw,width=64,framerate=25/1,%s", color->caps);
  GstCaps *caps = gst_caps_from_string (text);
  GstVideoInfo info;
  GstVideoFrame video;
  GstBuffer *buffer;
  CgFrame frame;

  fail_unless (gst_video_info_from_caps (&info, caps), "%s", text);
  buffer = gst_buffer_new_and_alloc (GST_VIDEO_INFO_SIZE (&info));
  fail_unless (gst_video_frame_map (&video, &info, buffer, GST_MAP_READ));
  fail_unless (gst_city_guessr_frame_describe (&video, &frame));
  gst_video_frame_unmap (&video);
  if (GST_VIDEO_INFO_IS_YUV (&info))
    fail_unless_equals_int (frame.matrix, color->matrix);
  fail_unless (frame.full_range == color->full_range, "%s", text);
  fail_unless (frame.cosited_h == color->cosited_h, "%s: site %d", text, info.chroma_site);
  fail_unless (frame.cosited_v == color->cosited_v, "%s: site %d", text, info.chroma_site);
  gst_buffer_unref (buffer);
  gst_caps_unref (caps);
  g_free (text);
}
GST_END_TEST;

static Suite *
frame_suite (void)
{
  Suite *suite = suite_create ("frame");
  TCase *frames = tcase_create ("frame");

  suite_add_tcase (suite, frames);
  tcase_add_loop_test (frames, test_format, 0, G_N_ELEMENTS (formats));
  tcase_add_test (frames, test_strides);
  tcase_add_test (frames, test_bad_crop);
  tcase_add_loop_test (frames, test_color, 0, G_N_ELEMENTS (colors));
  return suite;
}

GST_CHECK_MAIN (frame)
