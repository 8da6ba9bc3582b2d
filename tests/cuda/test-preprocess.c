/* The preprocessing kernel against the CPU engine's cg_preprocess(), which is held against Pillow.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "device-memory.h"
#include "model/cpu/cpu.h"

static const char *const format_names[CG_N_FORMATS] = {
  "NV12", "I420", "YV12", "P010", "GRAY8", "RGB",  "BGR",  "RGBx",
  "BGRx", "xRGB", "xBGR", "RGBA", "BGRA",  "ARGB", "ABGR",
};

typedef enum { STRIDE_TIGHT, STRIDE_ODD, STRIDE_NEGATIVE, STRIDE_ALIGNED, N_STRIDES } Strides;

/* ---- pictures ---- */

typedef struct {
  CgFrame frame;
  Device *plane[3];
} Picture;

static void
picture_clear (Picture *picture)
{
  for (guint i = 0; i < 3; i++)
    free (picture->plane[i]);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Picture, picture_clear)

static gboolean
is_yuv (CgPixelFormat format)
{
  return format <= CG_FORMAT_P010;
}

/* Rows of @row bytes: blocks of colour with noise on top, bytes that a row does not have are rubbish. */
static void
picture_plane (Picture *picture, guint i, guint row, guint height, Strides strides, GRand *random)
{
  CgFrame *f = &picture->frame;
  const gint stride = (gint)(strides == STRIDE_TIGHT     ? row
                             : strides == STRIDE_ALIGNED ? (row + 63) / 64 * 64
                                                         : row + 37);
  const gsize bytes = (gsize)stride * (height - 1) + row;
  guint8 *first = picture->plane[i] = device_new (bytes);
  guint8 block = 0;

  if (strides == STRIDE_NEGATIVE)
    first += (gsize)stride * (height - 1);
  f->plane[i] = first;
  f->stride[i] = strides == STRIDE_NEGATIVE ? -stride : stride;
  for (guint y = 0; y < height; y++)
    for (guint x = 0; x < row; x++) {
      if (x % 16 == 0)
        block = (guint8)g_rand_int (random);
      guint value = (3 * block + (guint8)g_rand_int (random)) / 4;
      if (f->format == CG_FORMAT_P010 && x % 2 == 0)
        value &= 0xc0;
      first[(gssize)f->stride[i] * (gssize)y + x] = (guint8)value;
    }
}

static void
picture_init (Picture *picture, CgPixelFormat format, guint width, guint height, guint variant)
{
  static const guint bytes[CG_N_FORMATS] = { 1, 1, 1, 2, 1, 3, 3, 4, 4, 4, 4, 4, 4, 4, 4 };
  const guint chroma_width = (width + 1) / 2, chroma_height = (height + 1) / 2;
  const Strides strides = variant % N_STRIDES;
  g_autoptr (GRand) random = g_rand_new_with_seed (variant);

  *picture = (Picture){ .frame = { .format = format,
                                   .width = width,
                                   .height = height,
                                   .matrix = variant % 3,
                                   .full_range = variant / 3 % 2,
                                   .cosited_h = variant / 2 % 2,
                                   .cosited_v = variant / 5 % 2 } };
  picture_plane (picture, 0, width * bytes[format], height, strides, random);
  if (format == CG_FORMAT_NV12 || format == CG_FORMAT_P010)
    picture_plane (picture, 1, 2 * chroma_width * bytes[format], chroma_height, strides, random);
  else if (is_yuv (format))
    for (guint i = 1; i < 3; i++)
      picture_plane (picture, i, chroma_width, chroma_height, strides, random);
}

static CgCudaPicture
device_picture (const CgFrame *f)
{
  return (CgCudaPicture){ f->format,
                          f->width,
                          f->height,
                          { f->plane[0], f->plane[1], f->plane[2] },
                          { f->stride[0], f->stride[1], f->stride[2] },
                          f->matrix,
                          f->full_range,
                          f->cosited_h,
                          f->cosited_v };
}

/* ---- comparing ---- */

typedef struct {
  guint max;
  guint64 sum, different, n;
} Difference;

/* The CPU engine's faster way (WEIGHTED_MIN_SCALE of model/cpu/preprocess.c) does not round between the axes. */
static gboolean
cpu_is_exact (const CgFrame *f, guint image)
{
  return !is_yuv (f->format) || f->width < 2.5 * image || f->height < 2.5 * image ||
         f->width > 20 * image || f->height > 20 * image || f->width < 64 || f->height < 64;
}

static Difference
compare (const CgFrame *f, guint image, gboolean backwards)
{
  const gsize size = 3 * (gsize)image * image;
  const gsize scratch_size = cg_cuda_preprocess_scratch (f->width, f->height, image);
  const CgCudaPicture picture = device_picture (f);
  g_autoptr (GError) error = NULL;
  g_autoptr (Device) scratch = device_new (scratch_size), out = device_new (size);
  g_autoptr (Device) first = NULL;
  g_autofree guint8 *expected = g_malloc (size + 1);
  Difference d = { 0 };

  cg_preprocess (f, image, NULL, expected, &error);
  g_assert_no_error (error);
  if (backwards)
    RUN (cg_cuda_preprocess (&picture, image, scratch, scratch_size, FALSE, out, NULL),
         (guint8 *)out, size);
  else
    check_success (cg_cuda_preprocess (&picture, image, scratch, scratch_size, FALSE, out, NULL),
                   format_names[f->format]);
  /* Once more, with the coefficients that are there, which are not computed again. */
  first = device_copy (out, size);
  memset (out, 0, size);
  const unsigned long before = cg_emulator_launches ();
  check_success (cg_cuda_preprocess (&picture, image, scratch, scratch_size, TRUE, out, NULL),
                 format_names[f->format]);
  g_assert_cmpuint (cg_emulator_launches (), ==, before + 1);
  g_assert_cmpmem (out, size, first, size);
  for (gsize i = 0; i < size; i++) {
    const guint difference = (guint)ABS (((guint8 *)out)[i] - expected[i]);
    d.max = MAX (d.max, difference);
    d.sum += difference;
    d.different += difference > 0;
  }
  d.n = size;
  if (d.max > (cpu_is_exact (f, image) ? 0 : 1))
    g_error (
        "%s %ux%u to %u, matrix %d, %s range, cosited %d %d, stride %d: largest difference %u, "
        "%" G_GUINT64_FORMAT " of %" G_GUINT64_FORMAT " bytes",
        format_names[f->format], f->width, f->height, image, f->matrix,
        f->full_range ? "full" : "limited", f->cosited_h, f->cosited_v, f->stride[0], d.max,
        d.different, d.n);
  return d;
}

static void
add (Difference *total, Difference d)
{
  total->max = MAX (total->max, d.max);
  total->sum += d.sum;
  total->different += d.different;
  total->n += d.n;
}

static void
tell (const char *what, const Difference *d)
{
  g_test_message ("%s: %" G_GUINT64_FORMAT " bytes, %" G_GUINT64_FORMAT
                  " differ, by %u at most, %.4f on average",
                  what, d->n, d->different, d->max, (gdouble)d->sum / (gdouble)MAX (d->n, 1));
}

/* Given every format at sizes on both sides of every choice that is made, with each kind of stride, the frame is the CPU
 * engine's: to the bit where that rounds as Pillow does, else within one level. */
static void
test_cpu (void)
{
  static const guint sizes[][3] = {
    /* width, height, image */
    { 1, 1, 16 },    { 1, 7, 16 },    { 5, 1, 16 },     { 2, 2, 17 },    { 15, 16, 16 },
    { 33, 17, 16 },  { 39, 64, 16 },  { 64, 40, 16 },   { 65, 41, 16 },  { 97, 131, 32 },
    { 100, 99, 30 }, { 319, 90, 16 }, { 161, 161, 64 }, { 70, 300, 17 }, { 101, 77, 20 },
  };
  Difference exact = { 0 }, weighted = { 0 };
  guint variant = 0;

  for (guint format = 0; format < CG_N_FORMATS; format++)
    for (guint s = 0; s < G_N_ELEMENTS (sizes); s++, variant++) {
      g_auto (Picture) picture;
      const guint image = sizes[s][2];

      /* 15 sizes; 3, 4 and 5 divide the variants' step, so that all combinations come by. */
      picture_init (&picture, format, sizes[s][0], sizes[s][1], variant + format);
      add (cpu_is_exact (&picture.frame, image) ? &exact : &weighted,
           compare (&picture.frame, image, s % 5 == 4));
    }
  tell ("where the CPU is exact", &exact);
  tell ("elsewhere", &weighted);
  g_assert_cmpuint (weighted.n, >, 0);
  g_assert_cmpfloat ((gdouble)weighted.sum / (gdouble)weighted.n, <, 0.2);
}

/* All sitings, ranges, matrices and strides of every Y'CbCr format. */
static void
test_colour (void)
{
  Difference exact = { 0 };

  for (guint format = 0; format <= CG_FORMAT_P010; format++)
    for (guint k = 0; k < 3 * 2 * 2 * 2; k++) {
      g_auto (Picture) picture;
      picture_init (&picture, format, 21 + k % 2, 18 + k % 3, k);
      picture.frame.matrix = k % 3;
      picture.frame.full_range = k / 3 % 2;
      picture.frame.cosited_h = k / 6 % 2;
      picture.frame.cosited_v = k / 12;
      add (&exact, compare (&picture.frame, 16, FALSE));
    }
  tell ("sitings, ranges, matrices", &exact);
}

/* Given a plane, or the lines of one, that lie beside a sample's or a pair's alignment, as part of a larger buffer may, it is
 * read all the same. The sanitizers see it if it is not read byte by byte. */
static void
test_unaligned (void)
{
  static const CgPixelFormat formats[] = { CG_FORMAT_NV12, CG_FORMAT_P010 };

  for (guint k = 0; k < 2 * 2 * 2 * 3; k++) {
    const guint p = k % 2, off = 1 + k / 8;
    const gboolean lines = k / 4 % 2;
    g_auto (Picture) picture;
    CgFrame *f = &picture.frame;

    picture_init (&picture, formats[k / 2 % 2], 40, 26, STRIDE_ALIGNED);
    const guint height = p ? 13 : 26, stride = (guint)f->stride[p] + (lines ? off : 0);
    Device *moved = device_new ((gsize)stride * height + off);
    guint8 *first = (guint8 *)moved + (lines ? 0 : off);
    /* The last line ends with its last byte; what follows is rubbish. */
    for (guint y = 0; y < height; y++)
      memcpy (first + y * stride, f->plane[p] + y * (guint)f->stride[p],
              f->format == CG_FORMAT_P010 ? 80 : 40);
    free (picture.plane[p]);
    f->plane[p] = first;
    f->stride[p] = (gint)stride;
    picture.plane[p] = moved;
    compare (f, 16, FALSE);
  }
}

/* Pictures that do not fit into shared memory at once, along or across, the usual one, and those between which the first
 * axis changes; with two sitings. */
static void
test_large (void)
{
  static const struct {
    CgPixelFormat format;
    guint width, height, image;
  } sizes[] = {
    { CG_FORMAT_NV12, 1920, 1080, 224 }, { CG_FORMAT_RGB, 4099, 37, 16 },
    { CG_FORMAT_NV12, 37, 4099, 16 },    { CG_FORMAT_P010, 2999, 301, 16 },
    { CG_FORMAT_I420, 301, 2999, 18 },   { CG_FORMAT_BGRA, 32768, 2, 16 },
    { CG_FORMAT_NV12, 3, 32767, 16 },    { CG_FORMAT_YV12, 32767, 3, 16 },
    { CG_FORMAT_GRAY8, 60, 50, 512 },    { CG_FORMAT_NV12, 1080, 1920, 112 },
    { CG_FORMAT_NV12, 32767, 20, 16 },   { CG_FORMAT_RGB, 26, 36, 16 },
    { CG_FORMAT_RGB, 26, 37, 16 },
  };

  for (guint k = 0; k < 2 * G_N_ELEMENTS (sizes); k++) {
    g_auto (Picture) picture;
    const guint s = k / 2;
    g_autofree char *what = g_strdup_printf ("%s %ux%u to %u", format_names[sizes[s].format],
                                             sizes[s].width, sizes[s].height, sizes[s].image);
    Difference d;

    picture_init (&picture, sizes[s].format, sizes[s].width, sizes[s].height, s + k % 2 * 5);
    d = compare (&picture.frame, sizes[s].image, FALSE);
    tell (what, &d);
  }
}

/* Given an impossible picture, nothing is launched. */
static void
test_refused (void)
{
  g_auto (Picture) picture;
  g_autoptr (Device) scratch = device_new (4096), out = device_new (3 * 16 * 16);
  const unsigned long before = cg_emulator_launches ();
  const gsize size = cg_cuda_preprocess_scratch (20, 10, 16);
  CgCudaPicture good, p;

  picture_init (&picture, CG_FORMAT_NV12, 20, 10, 0);
  good = device_picture (&picture.frame);
  g_assert_cmpuint (size, >, 0);
  g_assert_cmpuint (size, <=, 4096);
  g_assert_cmpuint (cg_cuda_preprocess_scratch (0, 10, 16), ==, 0);
  g_assert_cmpuint (cg_cuda_preprocess_scratch (10, 32769, 16), ==, 0);
  g_assert_cmpuint (cg_cuda_preprocess_scratch (10, 10, 15), ==, 0);
  g_assert_cmpuint (cg_cuda_preprocess_scratch (10, 10, 513), ==, 0);

#define REFUSED(picture, image, scratch, size)                                               \
  g_assert_cmpint (cg_cuda_preprocess (picture, image, scratch, size, FALSE, out, NULL), ==, \
                   cudaErrorInvalidValue)
  REFUSED (NULL, 16, scratch, size);
  REFUSED (&good, 0, scratch, size);
  REFUSED (&good, 15, scratch, size);
  REFUSED (&good, 513, scratch, 4096);
  REFUSED (&good, 16, NULL, size);
  REFUSED (&good, 16, scratch, size - 1);
  REFUSED (&good, 16, (char *)scratch + 4, size);
  p = good;
  p.width = 0;
  REFUSED (&p, 16, scratch, size);
  p = good;
  p.height = 32769;
  REFUSED (&p, 16, scratch, 4096);
  p = good;
  p.stride[0] = -19;
  REFUSED (&p, 16, scratch, size);
  p = good;
  p.stride[1] = 19;
  REFUSED (&p, 16, scratch, size);
  p = good;
  p.plane[1] = NULL;
  REFUSED (&p, 16, scratch, size);
  p = good;
  p.format = CG_FORMAT_I420;
  REFUSED (&p, 16, scratch, size);
  p = good;
  p.format = (CgPixelFormat)CG_N_FORMATS;
  REFUSED (&p, 16, scratch, size);
  p = good;
  p.matrix = (CgMatrix)3;
  REFUSED (&p, 16, scratch, size);
  g_assert_cmpuint (cg_emulator_launches (), ==, before);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/preprocess/cpu", test_cpu);
  g_test_add_func ("/preprocess/colour", test_colour);
  g_test_add_func ("/preprocess/unaligned", test_unaligned);
  g_test_add_func ("/preprocess/large", test_large);
  g_test_add_func ("/preprocess/refused", test_refused);
  return g_test_run ();
}
