/* The shot-cut test, on a drawn picture in every format, size and kind of stride. Planes end with
 * their last row, in memory of their own, so that the address sanitizer sees a read beside them.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/shot.h"

static const char *const format_names[CG_N_FORMATS] = {
  "NV12", "I420", "YV12", "P010", "GRAY8", "RGB",  "BGR",  "RGBx",
  "BGRx", "xRGB", "xBGR", "RGBA", "BGRA",  "ARGB", "ABGR",
};

/* ---- scenes: colour at a place of the unit square, R'G'B' in 0..1 ---- */

typedef void (*Scene) (gdouble x, gdouble y, gdouble rgb[3]);

static void
set (gdouble rgb[3], gdouble r, gdouble g, gdouble b)
{
  rgb[0] = r;
  rgb[1] = g;
  rgb[2] = b;
}

/* Sky, trees at either side, a road, a red car. */
static void
street (gdouble x, gdouble y, gdouble rgb[3])
{
  if (y < 0.45)
    set (rgb, 0.45 + 0.3 * y, 0.6 + 0.3 * y, 0.9);
  else if (x < 0.3 || x > 0.8)
    set (rgb, 0.2, 0.25 + 0.2 * y, 0.15);
  else if (x > 0.5 && x < 0.6 && y > 0.7 && y < 0.8)
    set (rgb, 0.8, 0.1, 0.1);
  else
    set (rgb, 0.4, 0.4, 0.42);
}

/* Lamplight, wood. */
static void
room (gdouble x, gdouble y, gdouble rgb[3])
{
  if (y < 0.6)
    set (rgb, 0.85 - 0.3 * x, 0.7 - 0.3 * x, 0.45 - 0.2 * x);
  else
    set (rgb, 0.4, 0.25, 0.12);
}

static void
black (gdouble x, gdouble y, gdouble rgb[3])
{
  set (rgb, 0, 0, 0);
}

static void
white (gdouble x, gdouble y, gdouble rgb[3])
{
  set (rgb, 1, 1, 1);
}

static void
grey (gdouble x, gdouble y, gdouble rgb[3])
{
  set (rgb, 0.5, 0.5, 0.5);
}

/* ---- pictures of them ---- */

typedef enum { STRIDE_TIGHT, STRIDE_PADDED, STRIDE_NEGATIVE, N_STRIDES } Strides;

/* What the camera does to a scene. */
typedef struct {
  gdouble gain, offset, shift; /* of brightness; of the place, to the right */
  gdouble noise;               /* standard deviation */
  GRand *random;
} Camera;

static const Camera plain = { .gain = 1 };

typedef struct {
  CgFrame frame;
  guint8 *memory[3];
} Picture;

static void
picture_clear (Picture *picture)
{
  for (guint i = 0; i < 3; i++)
    g_free (picture->memory[i]);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Picture, picture_clear)

/* @padding: what lies between the rows */
static void
picture_plane (Picture *picture, guint i, guint row, guint height, Strides strides, guint8 padding)
{
  const gsize stride = row + (strides == STRIDE_TIGHT ? 0 : 13);
  const gsize bytes = stride * (height - 1) + row;

  picture->memory[i] = g_malloc (bytes);
  memset (picture->memory[i], padding, bytes);
  picture->frame.plane[i] = picture->memory[i];
  picture->frame.stride[i] = (gint)stride;
  if (strides == STRIDE_NEGATIVE) {
    picture->frame.plane[i] += stride * (height - 1);
    picture->frame.stride[i] = -(gint)stride;
  }
}

static guint8 *
at (const CgFrame *f, guint plane, guint y, guint byte)
{
  return (guint8 *)f->plane[plane] + (gssize)f->stride[plane] * (gssize)y + byte;
}

static void
look (const CgFrame *f, Scene scene, const Camera *camera, guint x, guint y, gdouble rgb[3])
{
  scene (fmod ((x + 0.5) / f->width + camera->shift, 1), (y + 0.5) / f->height, rgb);
  for (guint c = 0; c < 3; c++) {
    gdouble noise = 0;
    /* The sum of twelve uniform numbers is as good as normal. */
    for (guint i = 0; i < 12 && camera->noise > 0; i++)
      noise += g_rand_double (camera->random) - 0.5;
    rgb[c] = CLAMP (camera->gain * rgb[c] + camera->offset + camera->noise * noise, 0, 1);
  }
}

static guint
code (gdouble unit, gboolean chroma, gboolean full_range, guint bits)
{
  const gdouble step = bits == 10 ? 4 : 1, top = bits == 10 ? 1023 : 255;

  if (chroma)
    unit = 128 * step + unit * (full_range ? top : 224 * step);
  else
    unit = full_range ? unit * top : (16 + 219 * unit) * step;
  return (guint)CLAMP (rint (unit), 0, top);
}

static void
fill_yuv (const CgFrame *f, Scene scene, const Camera *camera)
{
  static const gdouble kr_kb[][2] = { { 0.299, 0.114 }, { 0.2126, 0.0722 }, { 0.2627, 0.0593 } };
  const gdouble kr = kr_kb[f->matrix][0], kb = kr_kb[f->matrix][1];
  const gboolean interleaved = f->format == CG_FORMAT_NV12 || f->format == CG_FORMAT_P010;
  const guint bits = f->format == CG_FORMAT_P010 ? 10 : 8;

  for (guint y = 0; y < f->height; y++) {
    for (guint x = 0; x < f->width; x++) {
      gdouble rgb[3];
      look (f, scene, camera, x, y, rgb);
      const gdouble luma = kr * rgb[0] + (1 - kr - kb) * rgb[1] + kb * rgb[2];
      const gdouble unit[3] = { luma, (rgb[2] - luma) / (2 * (1 - kb)),
                                (rgb[0] - luma) / (2 * (1 - kr)) };
      for (guint c = 0; c < (x % 2 || y % 2 ? 1 : 3); c++) {
        const guint value = code (unit[c], c > 0, f->full_range, bits);
        const guint plane = interleaved ? MIN (c, 1) : c;
        const guint column = c == 0 ? x : interleaved ? x / 2 * 2 + c - 1 : x / 2;
        if (bits == 8) {
          *at (f, plane, c ? y / 2 : y, column) = (guint8)value;
        } else {
          *at (f, plane, c ? y / 2 : y, 2 * column) = (guint8)(value << 6);
          *at (f, plane, c ? y / 2 : y, 2 * column + 1) = (guint8)(value >> 2);
        }
      }
    }
  }
}

static void
fill_packed (const CgFrame *f, Scene scene, const Camera *camera)
{
  const char *name = format_names[f->format];
  const guint bytes = (guint)strlen (name);

  for (guint y = 0; y < f->height; y++)
    for (guint x = 0; x < f->width; x++) {
      gdouble rgb[3];
      look (f, scene, camera, x, y, rgb);
      for (guint c = 0; c < 3; c++)
        *at (f, 0, y, x * bytes + (guint)(strchr (name, "RGB"[c]) - name)) =
            (guint8)rint (255 * rgb[c]);
    }
}

static void
fill_grey (const CgFrame *f, Scene scene, const Camera *camera)
{
  for (guint y = 0; y < f->height; y++)
    for (guint x = 0; x < f->width; x++) {
      gdouble rgb[3];
      look (f, scene, camera, x, y, rgb);
      *at (f, 0, y, x) =
          (guint8)code (0.299 * rgb[0] + 0.587 * rgb[1] + 0.114 * rgb[2], FALSE, f->full_range, 8);
    }
}

typedef struct {
  CgPixelFormat format;
  guint width, height;
  CgMatrix matrix;
  gboolean full_range;
  Strides strides;
  guint8 padding;
} Kind;

static void
picture_init (Picture *picture, const Kind *kind, Scene scene, const Camera *camera)
{
  const guint w = kind->width, h = kind->height, cw = (w + 1) / 2, ch = (h + 1) / 2;
  const guint word = kind->format == CG_FORMAT_P010 ? 2 : 1;
  CgFrame *f = &picture->frame;

  *picture = (Picture){ .frame = { .format = kind->format,
                                   .width = w,
                                   .height = h,
                                   .matrix = kind->matrix,
                                   .full_range = kind->full_range } };
  switch (kind->format) {
  case CG_FORMAT_NV12:
  case CG_FORMAT_P010:
    picture_plane (picture, 0, word * w, h, kind->strides, kind->padding);
    picture_plane (picture, 1, 2 * word * cw, ch, kind->strides, kind->padding);
    fill_yuv (f, scene, camera);
    break;
  case CG_FORMAT_I420:
  case CG_FORMAT_YV12:
    picture_plane (picture, 0, w, h, kind->strides, kind->padding);
    picture_plane (picture, 1, cw, ch, kind->strides, kind->padding);
    picture_plane (picture, 2, cw, ch, kind->strides, kind->padding);
    fill_yuv (f, scene, camera);
    break;
  case CG_FORMAT_GRAY8:
    picture_plane (picture, 0, w, h, kind->strides, kind->padding);
    fill_grey (f, scene, camera);
    break;
  default:
    picture_plane (picture, 0, w * (guint)strlen (format_names[kind->format]), h, kind->strides,
                   kind->padding);
    fill_packed (f, scene, camera);
  }
}

static CgShotSignature
describe (const Kind *kind, Scene scene, const Camera *camera)
{
  g_auto (Picture) picture;
  CgShotSignature signature;

  picture_init (&picture, kind, scene, camera);
  cg_shot_describe (&picture.frame, &signature);
  return signature;
}

/* In a size that no grid divides. */
static const Kind usual = { CG_FORMAT_RGB, 333, 187, CG_MATRIX_BT601, TRUE, STRIDE_TIGHT, 0 };

static CgShotSignature
shoot (Scene scene, const Camera *camera)
{
  return describe (&usual, scene, camera);
}

/* ---- the distance ---- */

static void
test_by_hand (void)
{
  /* Grey in the middle lies between all bins: in each half two of Y', two of Cb, two of Cr. */
  const Kind kind = { CG_FORMAT_RGB, 64, 64, CG_MATRIX_BT601, TRUE, STRIDE_TIGHT, 0 };
  const CgShotSignature middle = describe (&kind, grey, &plain);
  const CgShotSignature none = describe (&kind, black, &plain);
  const CgShotSignature all = describe (&kind, white, &plain);

  for (guint i = 0; i < CG_SHOT_BINS; i++) {
    const guint luma = i / 16 % 2, cb = i / 4 % 4, cr = i % 4;
    const gboolean neutral = (cb == 1 || cb == 2) && (cr == 1 || cr == 2);
    /* 128 of 255 is a bit more than the half. */
    g_assert_cmpint (abs (middle.bins[i] - (neutral ? 65535 / 8 : 0)), <, 65535 / 8 / 100);
    g_assert_cmpint (abs (none.bins[i] - (neutral && luma == 0 ? 65535 / 4 : 0)), <=, 1);
    g_assert_cmpint (abs (all.bins[i] - (neutral && luma == 1 ? 65535 / 4 : 0)), <=, 1);
  }
  /* 1 - sum sqrt (1/8 1/4) over the four bins of eight (of each half) that both have */
  g_assert_cmpfloat_with_epsilon (cg_shot_distance (&middle, &none), sqrt (1 - sqrt (0.5)), 0.01);
  g_assert_cmpfloat_with_epsilon (cg_shot_distance (&all, &none), 1, 1e-12);
}

static void
test_metric (void)
{
  const guint32 seed = g_test_rand_int ();
  g_autoptr (GRand) random = g_rand_new_with_seed (seed);

  g_test_message ("seed %u", seed);
  for (guint round = 0; round < 1000; round++) {
    CgShotSignature s[3];
    for (guint i = 0; i < 3; i++) {
      const guint sparse = g_rand_int_range (random, 1, 10);
      for (guint k = 0; k < CG_SHOT_BINS; k++)
        s[i].bins[k] =
            g_rand_int_range (random, 0, sparse) ? 0 : g_rand_int_range (random, 0, 65536);
    }
    const gdouble ab = cg_shot_distance (&s[0], &s[1]), bc = cg_shot_distance (&s[1], &s[2]),
                  ac = cg_shot_distance (&s[0], &s[2]);
    g_assert_true (ab >= 0 && ab <= 1);
    g_assert_cmpfloat (ab, ==, cg_shot_distance (&s[1], &s[0]));
    g_assert_cmpfloat (cg_shot_distance (&s[0], &s[0]), ==, 0);
    g_assert_cmpfloat (ac, <=, ab + bc + 1e-12);
    g_assert_cmpint (cg_shot_is_cut (&s[0], &s[1]), ==, ab > CG_SHOT_THRESHOLD);
  }
}

/* ---- the signature says what is seen, not how it is stored ---- */

static void
assert_alike (const CgShotSignature *a, const CgShotSignature *b, gdouble limit, const Kind *kind)
{
  const gdouble distance = cg_shot_distance (a, b);

  g_test_message ("%s %ux%u, matrix %d, %s range, strides %d: %.4f", format_names[kind->format],
                  kind->width, kind->height, kind->matrix, kind->full_range ? "full" : "limited",
                  kind->strides, distance);
  g_assert_cmpfloat (distance, <, limit);
}

static void
test_formats (void)
{
  const CgShotSignature expected = shoot (street, &plain);

  for (guint format = 0; format < CG_N_FORMATS; format++)
    for (guint matrix = 0; matrix < 3; matrix++)
      for (guint full = 0; full < 2; full++) {
        Kind kind = usual;
        kind.format = format;
        kind.matrix = matrix;
        kind.full_range = full;
        const CgShotSignature found = describe (&kind, street, &plain);
        if (format == CG_FORMAT_GRAY8) {
          kind.full_range = TRUE;
          const CgShotSignature other = describe (&kind, street, &plain);
          assert_alike (&found, &other, 0.01, &kind);
        } else {
          /* Chroma is subsampled, and rounded to 8 bits or to 10; packed formats are the same bytes. */
          const gboolean packed = format >= CG_FORMAT_RGB;
          assert_alike (&found, &expected,
                        packed                     ? 1e-12
                        : format == CG_FORMAT_P010 ? 0.006
                                                   : 0.018,
                        &kind);
        }
      }
}

static void
test_grey_is_desaturated (void)
{
  /* A grey picture is that of a scene without colours. */
  const Kind mono = { CG_FORMAT_GRAY8, 333, 187, CG_MATRIX_BT709, FALSE, STRIDE_TIGHT, 0 };
  const Kind colour = { CG_FORMAT_NV12, 333, 187, CG_MATRIX_BT709, FALSE, STRIDE_TIGHT, 0 };
  const Scene scenes[] = { black, grey, white };

  for (guint i = 0; i < G_N_ELEMENTS (scenes); i++) {
    const CgShotSignature a = describe (&mono, scenes[i], &plain);
    const CgShotSignature b = describe (&colour, scenes[i], &plain);
    assert_alike (&a, &b, 0.01, &mono);
  }
}

static void
test_sizes_and_strides (void)
{
  static const guint sizes[][2] = { { 1, 1 }, { 1, 2 },  { 2, 1 },   { 3, 3 },  { 1, 480 },
                                    { 7, 5 }, { 25, 1 }, { 24, 23 }, { 65, 49 } };

  for (guint format = 0; format < CG_N_FORMATS; format++)
    for (guint i = 0; i < G_N_ELEMENTS (sizes); i++) {
      Kind kind = { format, sizes[i][0], sizes[i][1], CG_MATRIX_BT709, FALSE, STRIDE_TIGHT, 0 };
      const CgShotSignature tight = describe (&kind, street, &plain);
      guint sum = 0;
      for (guint k = 0; k < CG_SHOT_BINS; k++)
        sum += tight.bins[k];
      g_assert_cmpint (abs ((gint)sum - 2 * 65535), <=, CG_SHOT_BINS);

      /* What lies between the rows is never looked at. */
      for (kind.strides = STRIDE_PADDED; kind.strides < N_STRIDES; kind.strides++)
        for (guint padding = 0; padding < 256; padding += 255) {
          kind.padding = (guint8)padding;
          const CgShotSignature other = describe (&kind, street, &plain);
          g_assert_cmpmem (&other, sizeof other, &tight, sizeof tight);
        }
    }
}

static void
test_resolution (void)
{
  const CgShotSignature expected = shoot (street, &plain);
  static const guint sizes[][2] = { { 160, 90 }, { 720, 576 }, { 3840, 2160 } };

  for (guint i = 0; i < G_N_ELEMENTS (sizes); i++) {
    const Kind kind = {
      CG_FORMAT_NV12, sizes[i][0], sizes[i][1], CG_MATRIX_BT709, FALSE, STRIDE_TIGHT, 0
    };
    const CgShotSignature found = describe (&kind, street, &plain);
    assert_alike (&found, &expected, 0.05, &kind);
  }
}

/* ---- cuts and what is none ---- */

static void
test_cuts (void)
{
  static const struct {
    const char *what;
    Scene from, to;
  } cuts[] = {
    { "black to white", black, white },
    { "into a room", street, room },
    { "black to a street", black, street },
    { "a room to white", room, white },
  };

  for (guint i = 0; i < G_N_ELEMENTS (cuts); i++) {
    const CgShotSignature a = shoot (cuts[i].from, &plain), b = shoot (cuts[i].to, &plain);
    g_test_message ("%s: %.3f", cuts[i].what, cg_shot_distance (&a, &b));
    g_assert_true (cg_shot_is_cut (&a, &b));
    g_assert_true (cg_shot_is_cut (&b, &a));
  }
}

static void
test_brightening (void)
{
  /* Out of the shade: twice as bright within twenty samples. */
  Camera camera = { .gain = 0.6 };
  CgShotSignature before = shoot (street, &camera);
  const CgShotSignature first = before;

  for (guint i = 0; i < 20; i++) {
    camera.gain *= pow (2, 1 / 20.0);
    camera.offset += 0.005;
    const CgShotSignature now = shoot (street, &camera);
    g_test_message ("gain %.2f: %.3f", camera.gain, cg_shot_distance (&before, &now));
    g_assert_false (cg_shot_is_cut (&before, &now));
    before = now;
  }
  /* It was seen, though. */
  g_assert_cmpfloat (cg_shot_distance (&first, &before), >, 0.05);
}

static void
test_exposure (void)
{
  /* A camera's exposure that jumps by a fifth is no cut. */
  const Camera dark = { .gain = 0.8 };
  const Scene scenes[] = { street, room };

  for (guint i = 0; i < G_N_ELEMENTS (scenes); i++) {
    const CgShotSignature a = shoot (scenes[i], &plain), b = shoot (scenes[i], &dark);
    g_test_message ("%.3f", cg_shot_distance (&a, &b));
    g_assert_false (cg_shot_is_cut (&a, &b));
  }
}

static void
test_noise (void)
{
  const guint32 seed = g_test_rand_int ();
  g_autoptr (GRand) random = g_rand_new_with_seed (seed);
  const Camera noisy = { .gain = 1, .noise = 0.05, .random = random };

  g_test_message ("seed %u", seed);
  for (guint format = 0; format < CG_N_FORMATS; format++) {
    Kind kind = usual;
    kind.format = format;
    const CgShotSignature clean = describe (&kind, street, &plain);
    const CgShotSignature a = describe (&kind, street, &noisy);
    const CgShotSignature b = describe (&kind, street, &noisy);
    g_test_message ("%s: %.3f between, %.3f to the clean one", format_names[format],
                    cg_shot_distance (&a, &b), cg_shot_distance (&a, &clean));
    g_assert_false (cg_shot_is_cut (&a, &b));
    g_assert_false (cg_shot_is_cut (&a, &clean));
  }
}

static void
test_pan (void)
{
  /* Everything moves, and nothing is new. */
  Camera camera = plain;
  CgShotSignature before = shoot (street, &camera);

  for (guint i = 0; i < 10; i++) {
    camera.shift += 0.17;
    const CgShotSignature now = shoot (street, &camera);
    g_assert_cmpfloat (cg_shot_distance (&before, &now), <, 0.1);
    before = now;
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/shot/by-hand", test_by_hand);
  g_test_add_func ("/shot/metric", test_metric);
  g_test_add_func ("/shot/formats", test_formats);
  g_test_add_func ("/shot/grey-is-desaturated", test_grey_is_desaturated);
  g_test_add_func ("/shot/sizes-and-strides", test_sizes_and_strides);
  g_test_add_func ("/shot/resolution", test_resolution);
  g_test_add_func ("/shot/cuts", test_cuts);
  g_test_add_func ("/shot/brightening", test_brightening);
  g_test_add_func ("/shot/exposure", test_exposure);
  g_test_add_func ("/shot/noise", test_noise);
  g_test_add_func ("/shot/pan", test_pan);
  return g_test_run ();
}
