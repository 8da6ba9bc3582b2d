/* Pictures to model frames: held against Pillow (golden/resize), and on every instruction set, format, siting and kind
 * of stride against the same thing written plainly in this file.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "model/cpu/cpu.h"
#include "model/generate.h"

#define SEED 1
#define MAX_ERROR 1
#define MEAN_ERROR 0.2

static const char *const format_names[CG_N_FORMATS] = {
  "NV12", "I420", "YV12", "P010", "GRAY8", "RGB",  "BGR",  "RGBx",
  "BGRx", "xRGB", "xBGR", "RGBA", "BGRA",  "ARGB", "ABGR",
};

/* ---- pictures between pages that must not be touched ---- */

typedef enum { STRIDE_TIGHT, STRIDE_PADDED, STRIDE_NEGATIVE, N_STRIDES } Strides;

typedef struct {
  CgFrame frame;
  guint8 *map[3];
  gsize map_size[3];
} Picture;

/* A plane of @height rows of @row bytes. Padded: ends with its last row's last byte, before a forbidden page; the
 * padding holds rubbish. Negative: begins right after a forbidden page, upside down. */
static void
picture_plane (Picture *picture, guint i, guint row, guint height, Strides strides)
{
  const gsize page = (gsize)sysconf (_SC_PAGESIZE);
  const gsize stride = row + (strides == STRIDE_TIGHT ? 0 : 37);
  const gsize bytes = stride * (height - 1) + row;
  const gsize body = (bytes + page - 1) / page * page;
  guint8 *map = mmap (NULL, body + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

  g_assert_true (map != MAP_FAILED);
  g_assert_cmpint (mprotect (map + page, body, PROT_READ | PROT_WRITE), ==, 0);
  memset (map + page, 0xa5, body);
  picture->map[i] = map;
  picture->map_size[i] = body + 2 * page;
  if (strides == STRIDE_NEGATIVE) {
    picture->frame.plane[i] = map + page + stride * (height - 1);
    picture->frame.stride[i] = -(gint)stride;
  } else {
    picture->frame.plane[i] = map + page + body - bytes;
    picture->frame.stride[i] = (gint)stride;
  }
}

static void
picture_clear (Picture *picture)
{
  for (guint i = 0; i < 3; i++)
    if (picture->map[i])
      munmap (picture->map[i], picture->map_size[i]);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Picture, picture_clear)

static guint8 *
sample_at (const CgFrame *frame, guint plane, guint y, guint byte)
{
  return (guint8 *)frame->plane[plane] + (gssize)frame->stride[plane] * (gssize)y + byte;
}

/* The picture of make_resize.py. */
typedef struct {
  guint64 block, noise;
  guint bits;
} Component;

static Component
component (const char *name, guint bits)
{
  g_autofree char *block = g_strconcat (name, "-block", NULL);

  return (Component){ cg_generate_key (SEED, block), cg_generate_key (SEED, name), bits };
}

static guint
component_value (const Component *c, guint x, guint y)
{
  guint block =
      (guint)(cg_generate_draw (c->block, (guint64)(y / 8) * 4096 + x / 8) >> (64 - c->bits));
  guint noise = (guint)(cg_generate_draw (c->noise, (guint64)y * 65536 + x) >> (64 - c->bits));

  return (3 * block + noise) / 4;
}

static gboolean
is_yuv (CgPixelFormat format)
{
  return format <= CG_FORMAT_P010;
}

/* Bytes of a pixel and the places of R, G, B, from the format's name. */
static guint
packed_layout (CgPixelFormat format, guint place[3])
{
  const char *name = format_names[format];

  for (guint c = 0; c < 3; c++)
    place[c] = format == CG_FORMAT_GRAY8 ? 0 : (guint)(strchr (name, "RGB"[c]) - name);
  return format == CG_FORMAT_GRAY8 ? 1 : (guint)strlen (name);
}

static void
picture_fill (Picture *picture)
{
  const CgFrame *f = &picture->frame;
  const guint bits = f->format == CG_FORMAT_P010 ? 10 : 8;
  const guint chroma_width = (f->width + 1) / 2, chroma_height = (f->height + 1) / 2;

  if (!is_yuv (f->format)) {
    guint place[3], bytes = packed_layout (f->format, place);
    for (guint c = 0; c < 3; c++) {
      const char name[2] = { "rgb"[c], '\0' };
      Component values = component (name, 8);
      for (guint y = 0; y < f->height; y++)
        for (guint x = 0; x < f->width; x++)
          *sample_at (f, 0, y, x * bytes + place[c]) = (guint8)component_value (&values, x, y);
    }
    return;
  }
  for (guint c = 0; c < 3; c++) {
    const char name[2] = { "yuv"[c], '\0' };
    Component values = component (name, bits);
    gboolean interleaved = f->format == CG_FORMAT_NV12 || f->format == CG_FORMAT_P010;
    guint plane = interleaved ? MIN (c, 1) : c;
    guint step = interleaved && c > 0 ? 2 : 1, offset = interleaved && c == 2 ? 1 : 0;
    for (guint y = 0; y < (c ? chroma_height : f->height); y++)
      for (guint x = 0; x < (c ? chroma_width : f->width); x++) {
        guint value = component_value (&values, x, y);
        if (bits == 8) {
          *sample_at (f, plane, y, x * step + offset) = (guint8)value;
        } else {
          *sample_at (f, plane, y, 2 * (x * step + offset)) = (guint8)(value << 6);
          *sample_at (f, plane, y, 2 * (x * step + offset) + 1) = (guint8)(value >> 2);
        }
      }
  }
}

static void
picture_init (Picture *picture, CgPixelFormat format, guint width, guint height, Strides strides)
{
  const guint chroma_width = (width + 1) / 2, chroma_height = (height + 1) / 2;
  guint place[3];

  memset (picture, 0, sizeof *picture);
  picture->frame.format = format;
  picture->frame.width = width;
  picture->frame.height = height;
  switch (format) {
  case CG_FORMAT_NV12:
  case CG_FORMAT_P010: {
    guint bytes = format == CG_FORMAT_P010 ? 2 : 1;
    picture_plane (picture, 0, width * bytes, height, strides);
    picture_plane (picture, 1, 2 * chroma_width * bytes, chroma_height, strides);
    break;
  }
  case CG_FORMAT_I420:
  case CG_FORMAT_YV12:
    picture_plane (picture, 0, width, height, strides);
    picture_plane (picture, 1, chroma_width, chroma_height, strides);
    picture_plane (picture, 2, chroma_width, chroma_height, strides);
    break;
  default:
    picture_plane (picture, 0, width * packed_layout (format, place), height, strides);
  }
  picture_fill (picture);
}

/* ---- the same thing, plainly ---- */

/* Sample @c (0 Y, 1 U, 2 V) of the component's own plane, in codes of 8 bits. */
static gdouble
plain_code (const CgFrame *f, guint c, guint x, guint y)
{
  switch (f->format) {
  case CG_FORMAT_NV12:
    return c == 0 ? *sample_at (f, 0, y, x) : *sample_at (f, 1, y, 2 * x + c - 1);
  case CG_FORMAT_P010: {
    const guint8 *p =
        c == 0 ? sample_at (f, 0, y, 2 * x) : sample_at (f, 1, y, 2 * (2 * x + c - 1));
    return (p[0] | p[1] << 8) / 256.0;
  }
  default:
    return *sample_at (f, c, y, x);
  }
}

/* The lower neighbour along one axis, and how far the luma sample is from it. */
static guint
plain_neighbour (guint at, guint n, gboolean cosited, gdouble *part)
{
  gdouble position = CLAMP (cosited ? at / 2.0 : (at - 0.5) / 2, 0, n - 1.0);

  *part = position - floor (position);
  return (guint)floor (position);
}

static gdouble
plain_chroma (const CgFrame *f, guint c, guint x, guint y)
{
  const guint w = (f->width + 1) / 2, h = (f->height + 1) / 2;
  gdouble px, py;
  guint cx = plain_neighbour (x, w, f->cosited_h, &px),
        cy = plain_neighbour (y, h, f->cosited_v, &py);
  guint dx = MIN (cx + 1, w - 1), dy = MIN (cy + 1, h - 1);

  return (1 - py) * ((1 - px) * plain_code (f, c, cx, cy) + px * plain_code (f, c, dx, cy)) +
         py * ((1 - px) * plain_code (f, c, cx, dy) + px * plain_code (f, c, dx, dy));
}

static guint8
plain_byte (gdouble value)
{
  return (guint8)CLAMP (rint (value), 0, 255);
}

static void
plain_pixel (const CgFrame *f, guint x, guint y, guint8 *rgb)
{
  static const gdouble kr_kb[][2] = { { 0.299, 0.114 }, { 0.2126, 0.0722 }, { 0.2627, 0.0593 } };
  const gdouble kr = kr_kb[f->matrix][0], kb = kr_kb[f->matrix][1];

  if (!is_yuv (f->format)) {
    guint place[3], bytes = packed_layout (f->format, place);
    for (guint c = 0; c < 3; c++) {
      rgb[c] = *sample_at (f, 0, y, x * bytes + place[c]);
      if (f->format == CG_FORMAT_GRAY8 && !f->full_range)
        rgb[c] = plain_byte ((rgb[c] - 16) * 255.0 / 219);
    }
    return;
  }
  gdouble luma = plain_code (f, 0, x, y), cb = plain_chroma (f, 1, x, y) - 128,
          cr = plain_chroma (f, 2, x, y) - 128;
  /* Full range ends at the largest code: 255, or 1023 / 4. */
  gdouble top = f->format == CG_FORMAT_P010 ? 1023 / 4.0 : 255;
  luma = f->full_range ? luma * 255 / top : (luma - 16) * 255 / 219;
  cb *= f->full_range ? 255 / top : 255.0 / 224;
  cr *= f->full_range ? 255 / top : 255.0 / 224;
  gdouble red = luma + 2 * (1 - kr) * cr, blue = luma + 2 * (1 - kb) * cb;
  rgb[0] = plain_byte (red);
  rgb[1] = plain_byte ((luma - kr * red - kb * blue) / (1 - kr - kb));
  rgb[2] = plain_byte (blue);
}

/* Pillow's filter along one axis: n_out from n_in values that lie @step apart; @lines such lines, @line apart. */
static void
plain_axis (const guint8 *in, guint n_in, gsize step_in, guint8 *out, guint n_out, gsize step_out,
            guint lines, gsize line_in, gsize line_out)
{
  const gdouble scale = (gdouble)n_in / n_out, support = MAX (scale, 1.0);
  g_autofree gdouble *weight = g_new (gdouble, n_in);

  for (guint i = 0; i < n_out; i++) {
    gdouble center = (i + 0.5) * scale, sum = 0;
    gint begin = MAX ((gint)(center - support + 0.5), 0);
    gint end = MIN ((gint)(center + support + 0.5), (gint)n_in);
    for (gint x = begin; x < end; x++) {
      weight[x] = MAX (0, 1 - fabs ((x - center + 0.5) * (1.0 / support)));
      sum += weight[x];
    }
    for (guint k = 0; k < lines; k++) {
      gint64 value = 1 << 21;
      for (gint x = begin; x < end; x++)
        value += (gint64)floor (weight[x] / sum * (1 << 22) + 0.5) *
                 in[(gsize)x * step_in + k * line_in];
      out[i * step_out + k * line_out] = (guint8)CLAMP (value >> 22, 0, 255);
    }
  }
}

static guint8 *
plain_resize (const CgFrame *f, guint image)
{
  const guint w = f->width, h = f->height;
  const gboolean rows_first = h > image && h - image > 2 * (w > image ? w - image : 0);
  g_autofree guint8 *rgb = g_malloc (3 * (gsize)w * h);
  g_autofree guint8 *between = g_malloc (3 * (gsize)image * MAX (w, h));
  guint8 *out = g_malloc (3 * (gsize)image * image);

  for (guint y = 0; y < h; y++)
    for (guint x = 0; x < w; x++)
      plain_pixel (f, x, y, rgb + 3 * ((gsize)y * w + x));
  if (rows_first) {
    plain_axis (rgb, h, 3 * (gsize)w, between, image, 3 * (gsize)w, 3 * w, 1, 1);
    for (guint c = 0; c < 3; c++)
      plain_axis (between + c, w, 3, out + c, image, 3, image, 3 * (gsize)w, 3 * (gsize)image);
  } else {
    for (guint c = 0; c < 3; c++)
      plain_axis (rgb + c, w, 3, between + c, image, 3, h, 3 * (gsize)w, 3 * (gsize)image);
    plain_axis (between, h, 3 * (gsize)image, out, image, 3 * (gsize)image, 3 * image, 1, 1);
  }
  return out;
}

/* ---- comparing ---- */

typedef struct {
  guint max;
  guint64 sum, n;
} Difference;

static void
difference_add (Difference *d, const guint8 *a, const guint8 *b, gsize n)
{
  for (gsize i = 0; i < n; i++) {
    guint error = (guint)ABS (a[i] - b[i]);
    d->max = MAX (d->max, error);
    d->sum += error;
  }
  d->n += n;
}

static gdouble
difference_mean (const Difference *d)
{
  return (gdouble)d->sum / (gdouble)d->n;
}

static char *
describe (const CgFrame *f, guint image, const char *isa)
{
  static const char *const sitings[] = { "between", "left", "top", "top left" };

  return g_strdup_printf ("%s %s %ux%u to %u, matrix %d, %s range, chroma %s, stride %d", isa,
                          format_names[f->format], f->width, f->height, image, f->matrix,
                          f->full_range ? "full" : "limited",
                          sitings[f->cosited_h + 2 * f->cosited_v], f->stride[0]);
}

/* Bit for bit for RGB and GRAY8. For Y'CbCr within a level; the mean only where one byte that rounds the other way
 * doesn't fill the frame. */
static void
check (const Difference *d, const CgFrame *f, guint image, const char *isa)
{
  g_autofree char *what = describe (f, image, isa);

  if (!is_yuv (f->format) && d->max > 0)
    g_error ("%s: largest difference %u, mean %.4f, expected none", what, d->max,
             difference_mean (d));
  if (d->max > MAX_ERROR)
    g_error ("%s: largest difference %u, expected at most %d", what, d->max, MAX_ERROR);
  if (f->width * f->height >= 64 && difference_mean (d) >= MEAN_ERROR)
    g_error ("%s: mean difference %.4f, expected under %g", what, difference_mean (d), MEAN_ERROR);
}

static guint8 *
preprocess (const CgFrame *frame, guint image, const char *isa)
{
  g_autoptr (GError) error = NULL;
  guint8 *out = g_malloc (3 * (gsize)image * image);

  cg_preprocess (frame, image, isa, out, &error);
  g_assert_no_error (error);
  return out;
}

static CgPixelFormat
format_from_name (const char *name)
{
  for (guint i = 0; i < CG_N_FORMATS; i++)
    if (g_str_equal (format_names[i], name))
      return i;
  g_error ("no format %s", name);
}

static void
test_pillow (void)
{
  const char *folder = g_getenv ("CG_GOLDEN_DIR");
  g_autoptr (GError) error = NULL;
  g_autofree char *text_path =
      g_build_filename (folder ? folder : ".", "resize", "resize.txt", NULL);
  g_autofree char *data_path =
      g_build_filename (folder ? folder : ".", "resize", "resize.bin", NULL);
  g_autofree char *text = NULL, *data = NULL;
  gsize size, used = 0;

  g_file_get_contents (text_path, &text, NULL, &error);
  g_assert_no_error (error);
  g_file_get_contents (data_path, &data, &size, &error);
  g_assert_no_error (error);

  g_auto (GStrv) lines = g_strsplit (text, "\n", -1);
  for (guint i = 0; lines[i]; i++) {
    if (lines[i][0] == '#' || lines[i][0] == '\0')
      continue;
    g_auto (GStrv) word = g_strsplit (lines[i], " ", -1);
    g_assert_cmpuint (g_strv_length (word), ==, 9);
    const guint width = (guint)atoi (word[1]), height = (guint)atoi (word[2]),
                image = (guint)atoi (word[3]);
    const guint step = (guint)atoi (word[7]);
    g_auto (Picture) picture;
    picture_init (&picture, format_from_name (word[0]), width, height, STRIDE_PADDED);
    picture.frame.matrix = (CgMatrix)atoi (word[4]);
    picture.frame.full_range = g_str_equal (word[5], "full");
    picture.frame.cosited_h = strchr (word[6], 'h') != NULL;
    picture.frame.cosited_v = strchr (word[6], 'v') != NULL;

    for (const char *const *isa = cg_cpu_isa_names (); *isa; isa++) {
      if (!cg_cpu_isa_supported (*isa))
        continue;
      g_autofree guint8 *out = preprocess (&picture.frame, image, *isa);
      const gsize row = 3 * (gsize)image;
      Difference d = { 0 };
      gsize at = used;
      for (guint y = 0; y < image; y += step, at += row) {
        g_assert_cmpuint (at + row, <=, size);
        difference_add (&d, out + y * row, (const guint8 *)data + at, row);
      }
      g_test_message ("%s: %s: largest %u, mean %.4f", *isa, lines[i], d.max, difference_mean (&d));
      check (&d, &picture.frame, image, *isa);
      if (!is_yuv (picture.frame.format)) {
        g_autofree char *digest = g_compute_checksum_for_data (G_CHECKSUM_SHA256, out, row * image);
        g_assert_cmpstr (digest, ==, word[8]);
      }
    }
    used += ((image + step - 1) / step) * 3 * (gsize)image;
  }
  g_assert_cmpuint (used, ==, size);
}

/* Given every format, and sizes on both sides of every choice the code makes, with each kind of stride between
 * forbidden pages, every instruction set gives what the plain way gives. */
static void
test_plain (void)
{
  static const guint sizes[][3] = {
    /* width, height, image */
    { 1, 1, 16 },     { 1, 7, 16 },    { 5, 1, 16 },     { 2, 2, 5 },      { 15, 16, 16 },
    { 33, 17, 16 },   { 39, 64, 16 },  { 64, 40, 16 },   { 65, 41, 16 },   { 97, 131, 32 },
    { 200, 100, 30 }, { 319, 90, 16 }, { 320, 320, 16 }, { 321, 300, 16 }, { 300, 321, 16 },
    { 161, 161, 64 }, { 70, 300, 17 },
  };
  guint variant = 0;

  for (guint format = 0; format < CG_N_FORMATS; format++)
    for (guint s = 0; s < G_N_ELEMENTS (sizes); s++, variant++) {
      g_auto (Picture) picture;
      const guint image = sizes[s][2];
      picture_init (&picture, format, sizes[s][0], sizes[s][1], variant % N_STRIDES);
      /* 3, 2, 4 and 17 sizes: all combinations come by. */
      picture.frame.matrix = variant % 3;
      picture.frame.full_range = variant / 3 % 2;
      picture.frame.cosited_h = (variant / 2 + s) % 2;
      picture.frame.cosited_v = variant / 5 % 2;
      g_autofree guint8 *expected = plain_resize (&picture.frame, image);
      for (const char *const *isa = cg_cpu_isa_names (); *isa; isa++) {
        if (!cg_cpu_isa_supported (*isa))
          continue;
        g_autofree guint8 *out = preprocess (&picture.frame, image, *isa);
        Difference d = { 0 };
        difference_add (&d, out, expected, 3 * (gsize)image * image);
        check (&d, &picture.frame, image, *isa);
      }
    }
}

/* Given pictures of one colour, black is 0 and white is 255 in every Y'CbCr format, range and matrix, also beyond. */
static void
test_flat (void)
{
  static const guint sizes[] = { 20, 100 }; /* converted first; weighted */
  static const gint codes[][3] = { { 16, 235, TRUE }, { 0, 255, TRUE }, { 0, 255, FALSE } };

  for (guint format = 0; format <= CG_FORMAT_P010; format++)
    for (guint v = 0; v < 2 * 3 * 3 * 2; v++) {
      const gint *code = codes[v / 6 % 3];
      const guint white = v / 18;
      g_auto (Picture) picture;
      picture_init (&picture, format, sizes[v % 2], sizes[v % 2], STRIDE_TIGHT);
      picture.frame.matrix = v / 2 % 3;
      picture.frame.full_range = !code[2];
      for (guint p = 0; p < 3 && picture.frame.plane[p]; p++) {
        guint rows = p ? (picture.frame.height + 1) / 2 : picture.frame.height;
        gsize bytes = (gsize)picture.frame.stride[p] * rows;
        guint8 *plane = (guint8 *)picture.frame.plane[p];
        guint value = p ? 128 : (guint)code[white];
        for (gsize i = 0; i < bytes; i++)
          if (format != CG_FORMAT_P010)
            plane[i] = (guint8)value;
          else if (value == 255)
            plane[i] = i % 2 ? 0xff : 0xc0;
          else
            plane[i] = i % 2 ? (guint8)value : 0;
      }
      for (const char *const *isa = cg_cpu_isa_names (); *isa; isa++) {
        if (!cg_cpu_isa_supported (*isa))
          continue;
        g_autofree guint8 *out = preprocess (&picture.frame, 32, *isa);
        for (guint i = 0; i < 3 * 32 * 32; i++)
          if (out[i] != (white ? 255 : 0)) {
            g_autofree char *what = describe (&picture.frame, 32, *isa);
            g_error ("%s: flat %s gives %u at byte %u", what, white ? "white" : "black", out[i], i);
          }
      }
    }
}

/* Given four threads that each go through sizes in their own order, all get what one thread gets. */
static const guint thread_sizes[][2] = { { 640, 480 }, { 1280, 720 }, { 31, 17 }, { 720, 1280 } };

static gpointer
thread_body (gpointer data)
{
  guint start = GPOINTER_TO_UINT (data);
  GChecksum *sum[G_N_ELEMENTS (thread_sizes)];
  GString *digests = g_string_new (NULL);

  for (guint i = 0; i < G_N_ELEMENTS (sum); i++)
    sum[i] = g_checksum_new (G_CHECKSUM_SHA256);
  for (guint turn = 0; turn < 2 * G_N_ELEMENTS (sum); turn++) {
    guint i = (start + turn) % G_N_ELEMENTS (sum);
    g_auto (Picture) picture;
    picture_init (&picture, CG_FORMAT_NV12, thread_sizes[i][0], thread_sizes[i][1], STRIDE_PADDED);
    g_autofree guint8 *out = preprocess (&picture.frame, 224, NULL);
    g_checksum_update (sum[i], out, 3 * 224 * 224);
  }
  for (guint i = 0; i < G_N_ELEMENTS (sum); i++) {
    g_string_append (digests, g_checksum_get_string (sum[i]));
    g_checksum_free (sum[i]);
  }
  return g_string_free (digests, FALSE);
}

static void
test_threads (void)
{
  g_autofree char *expected = thread_body (GUINT_TO_POINTER (0));
  GThread *threads[4];

  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    threads[i] = g_thread_new ("preprocess", thread_body, GUINT_TO_POINTER (i));
  for (guint i = 0; i < G_N_ELEMENTS (threads); i++) {
    g_autofree char *digests = g_thread_join (threads[i]);
    g_assert_cmpstr (digests, ==, expected);
  }
}

/* Given an impossible picture, the error says what was found and what was expected. */
static void
refused (const CgFrame *frame, guint image, const char *found, const char *expected)
{
  g_autoptr (GError) error = NULL;
  guint8 out[3 * 16 * 16];

  g_assert_false (cg_preprocess (frame, image, NULL, out, &error));
  g_assert_error (error, CG_ERROR, CG_ERROR_INPUT);
  if (!strstr (error->message, found) || !strstr (error->message, expected))
    g_error ("message '%s' lacks '%s' or '%s'", error->message, found, expected);
}

static void
test_errors (void)
{
  g_auto (Picture) picture;
  CgFrame f;

  picture_init (&picture, CG_FORMAT_NV12, 20, 10, STRIDE_TIGHT);
  f = picture.frame;
  f.width = 0;
  refused (&f, 16, "0 x 10", "1 to 32768");
  f.width = 32769;
  refused (&f, 16, "32769 x 10", "1 to 32768");
  f = picture.frame;
  f.height = 0;
  refused (&f, 16, "20 x 0", "1 to 32768");
  f = picture.frame;
  f.stride[0] = 19;
  refused (&f, 16, "stride of 19", "at least 20");
  f.stride[0] = -19;
  refused (&f, 16, "stride of -19", "at least 20");
  f.stride[0] = G_MININT;
  f.width = 21;
  f.stride[1] = 21;
  refused (&f, 16, "stride of 21", "at least 22");
  f = picture.frame;
  f.plane[1] = NULL;
  refused (&f, 16, "no plane 1", "2 planes");
  f = picture.frame;
  f.format = CG_N_FORMATS;
  refused (&f, 16, "15", "0 to 14");
  f = picture.frame;
  f.matrix = 3;
  refused (&f, 16, "3", "0 to 2");
  refused (&picture.frame, 0, "0 pixels", "1 to 4096");
  refused (&picture.frame, 4097, "4097 pixels", "1 to 4096");

  g_autoptr (GError) error = NULL;
  guint8 out[3 * 16 * 16];
  g_assert_false (cg_preprocess (&picture.frame, 16, "abacus", out, &error));
  g_assert_nonnull (error);
  g_assert_nonnull (strstr (error->message, "abacus"));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/preprocess/pillow", test_pillow);
  g_test_add_func ("/preprocess/plain", test_plain);
  g_test_add_func ("/preprocess/flat", test_flat);
  g_test_add_func ("/preprocess/threads", test_threads);
  g_test_add_func ("/preprocess/errors", test_errors);
  return g_test_run ();
}
