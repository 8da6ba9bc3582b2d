/* Preprocessing: a picture of any size and format to a model frame. Checks, tables and the order of
 * work; the loops are in preprocess-kernels.c.
 *
 * The yardstick is Pillow: Image.resize ((image, image), BILINEAR) of the RGB picture. Its filter is
 * a triangle as wide as the scale (never narrower than a pixel), computed along one axis, rounded to bytes, then along
 * the other, with 22-bit fractions. Columns come first, but for tall pictures since Pillow 13 (rows_come_first());
 * earlier ones differ there by a level here and there.
 *
 *  - RGB and GRAY8, of any size: that arithmetic, bit for bit.
 *  - Y'CbCr: converted to bytes of R'G'B' pixel by pixel first, chroma interpolated linearly. The conversion counts in
 *    1/64 levels, so about one byte in fifty differs by one from a conversion in real numbers. Then the same
 *    arithmetic, or, when both sides shrink enough, a faster one: rows first, and 7 bits more between the two steps
 *    where Pillow rounds to bytes. What is left between them is the mean of those roundings, under half a level.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "isa.h"
#include "preprocess-kernels.h"

/* The faster way holds for these scales: below, a row's weight outgrows 17-bit fractions in 16
 * bits; above, the half unit that each of the many products loses on average is no longer small in
 * black pictures, where nothing is lost. */
#define WEIGHTED_MIN_SCALE 2.5
#define WEIGHTED_MAX_SCALE 20.0

#define NO_WEIGHT 1e-9 /* far less than any fraction used here resolves */

#define MAX_SIDE 32768
#define MAX_IMAGE 4096
#define ALIGNMENT 64

/* ---- formats ---- */

typedef struct {
  const char *name;
  guint n_planes;
  guint bytes[3];        /* of a (chroma) sample position in each plane */
  CgChromaLayout chroma; /* of Y'CbCr */
  gboolean luma16;
  CgPixelLayout pixel; /* of packed formats, else 0 bytes */
} Format;

static const Format formats[CG_N_FORMATS] = {
  [CG_FORMAT_NV12] = { "NV12", 2, { 1, 2 }, CG_CHROMA_INTERLEAVED8 },
  [CG_FORMAT_I420] = { "I420", 3, { 1, 1, 1 }, CG_CHROMA_PLANAR8 },
  [CG_FORMAT_YV12] = { "YV12", 3, { 1, 1, 1 }, CG_CHROMA_PLANAR8 },
  [CG_FORMAT_P010] = { "P010", 2, { 2, 4 }, CG_CHROMA_INTERLEAVED16, TRUE },
  [CG_FORMAT_GRAY8] = { "GRAY8", 1, { 1 }, .pixel = { 1, 0, 0, 0 } },
  [CG_FORMAT_RGB] = { "RGB", 1, { 3 }, .pixel = { 3, 0, 1, 2 } },
  [CG_FORMAT_BGR] = { "BGR", 1, { 3 }, .pixel = { 3, 2, 1, 0 } },
  [CG_FORMAT_RGBX] = { "RGBx", 1, { 4 }, .pixel = { 4, 0, 1, 2 } },
  [CG_FORMAT_BGRX] = { "BGRx", 1, { 4 }, .pixel = { 4, 2, 1, 0 } },
  [CG_FORMAT_XRGB] = { "xRGB", 1, { 4 }, .pixel = { 4, 1, 2, 3 } },
  [CG_FORMAT_XBGR] = { "xBGR", 1, { 4 }, .pixel = { 4, 3, 2, 1 } },
  [CG_FORMAT_RGBA] = { "RGBA", 1, { 4 }, .pixel = { 4, 0, 1, 2 } },
  [CG_FORMAT_BGRA] = { "BGRA", 1, { 4 }, .pixel = { 4, 2, 1, 0 } },
  [CG_FORMAT_ARGB] = { "ARGB", 1, { 4 }, .pixel = { 4, 1, 2, 3 } },
  [CG_FORMAT_ABGR] = { "ABGR", 1, { 4 }, .pixel = { 4, 3, 2, 1 } },
};

static gboolean
format_is_yuv (const Format *format)
{
  return format->pixel.bytes == 0;
}

static gboolean
check_frame (const CgFrame *frame, guint image, GError **error)
{
  const Format *format;

  if ((guint)frame->format >= CG_N_FORMATS) {
    g_set_error (error, CG_ERROR, CG_ERROR_INPUT,
                 "Picture has pixel format number %u, expected 0 to %u", (guint)frame->format,
                 CG_N_FORMATS - 1);
    return FALSE;
  }
  format = &formats[frame->format];
  if (frame->width < 1 || frame->width > MAX_SIDE || frame->height < 1 ||
      frame->height > MAX_SIDE) {
    g_set_error (error, CG_ERROR, CG_ERROR_INPUT,
                 "%s picture is %u x %u pixels, expected 1 to %u each", format->name, frame->width,
                 frame->height, MAX_SIDE);
    return FALSE;
  }
  if (image < 1 || image > MAX_IMAGE) {
    g_set_error (error, CG_ERROR, CG_ERROR_INPUT, "Model frame is %u pixels wide, expected 1 to %u",
                 image, MAX_IMAGE);
    return FALSE;
  }
  if ((guint)frame->matrix > CG_MATRIX_BT2020) {
    g_set_error (error, CG_ERROR, CG_ERROR_INPUT,
                 "%s picture has colour matrix number %u, expected 0 to %u", format->name,
                 (guint)frame->matrix, CG_MATRIX_BT2020);
    return FALSE;
  }
  for (guint i = 0; i < format->n_planes; i++) {
    guint row = format->bytes[i] * (i == 0 ? frame->width : (frame->width + 1) / 2);
    gint64 stride = frame->stride[i];

    if (frame->plane[i] == NULL) {
      g_set_error (error, CG_ERROR, CG_ERROR_INPUT,
                   "%s picture of %u x %u has no plane %u, expected %u planes", format->name,
                   frame->width, frame->height, i, format->n_planes);
      return FALSE;
    }
    if (ABS (stride) < row) {
      g_set_error (
          error, CG_ERROR, CG_ERROR_INPUT,
          "Plane %u of %s picture of %u x %u has a stride of %d bytes, expected at least %u", i,
          format->name, frame->width, frame->height, frame->stride[i], row);
      return FALSE;
    }
  }
  return TRUE;
}

static const guint8 *
plane_row (const CgFrame *frame, guint plane, guint y)
{
  return frame->plane[plane] + (gssize)frame->stride[plane] * (gssize)y;
}

static CgColour
frame_colour (const CgFrame *frame)
{
  static const gdouble kr_kb[][2] = {
    [CG_MATRIX_BT601] = { 0.299, 0.114 },
    [CG_MATRIX_BT709] = { 0.2126, 0.0722 },
    [CG_MATRIX_BT2020] = { 0.2627, 0.0593 },
  };
  const gdouble kr = kr_kb[frame->matrix][0], kb = kr_kb[frame->matrix][1];
  const gdouble kg = 1 - kr - kb;
  /* Levels to a sample: of black to white, and of half the span of chroma on either side of 32768.
   */
  gdouble luma, chroma;
  guint black = 0;
  CgColour c;

  if (!frame->full_range) {
    luma = 255.0 / 219 / 256;
    chroma = 255.0 / 224 / 256;
    black = 16 * 256;
  } else if (formats[frame->format].luma16) {
    luma = chroma = 255.0 / 1023 / 64;
  } else {
    luma = chroma = 1.0 / 256;
  }

  const gdouble unit = CG_WORKING_LEVEL * 65536.0;
  c.y = (guint16)lrint (luma * unit);
  c.rv = (guint16)lrint (chroma * 2 * (1 - kr) * unit);
  c.bu = (guint16)lrint (chroma * 2 * (1 - kb) * unit);
  c.gu = (guint16)lrint (chroma * 2 * (1 - kb) * kb / kg * unit);
  c.gv = (guint16)lrint (chroma * 2 * (1 - kr) * kr / kg * unit);
  const gdouble dark = c.y * (black / 65536.0), half = CG_WORKING_LEVEL / 2.0;
  c.r = (guint16)lrint (dark + c.rv / 2.0 - half - 1);
  c.g = (guint16)lrint ((c.gu + c.gv) / 2.0 - dark + half - 0.5);
  c.b = (guint16)lrint (dark + c.bu / 2.0 - half - 1);
  return c;
}

/* ---- taps: Pillow's triangle along one axis ---- */

typedef struct {
  guint in, out;
  guint taps;      /* the most that any output has */
  guint *first;    /* [out] */
  guint *count;    /* [out] */
  gdouble *weight; /* [out][taps], sum 1 */
} Axis;

static void
axis_clear (Axis *axis)
{
  g_free (axis->first);
  g_free (axis->count);
  g_free (axis->weight);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Axis, axis_clear)

static void
axis_init (Axis *axis, guint in, guint out)
{
  const gdouble scale = (gdouble)in / out;
  const gdouble support = MAX (scale, 1.0);

  axis->in = in;
  axis->out = out;
  axis->taps = 2 * (guint)ceil (support) + 1;
  axis->first = g_new (guint, out);
  axis->count = g_new (guint, out);
  axis->weight = g_new0 (gdouble, (gsize)out * axis->taps);

  for (guint i = 0; i < out; i++) {
    gdouble *weight = axis->weight + (gsize)i * axis->taps;
    const gdouble center = (i + 0.5) * scale;
    const gint left = MAX ((gint)(center - support + 0.5), 0);
    const gint right = MIN ((gint)(center + support + 0.5), (gint)in);
    gdouble sum = 0;

    axis->first[i] = (guint)left;
    axis->count[i] = (guint)(right - left);
    /* The order of operations is Pillow's, so that the fractions round alike. */
    for (gint x = left; x < right; x++) {
      gdouble distance = fabs ((x - center + 0.5) * (1.0 / support));
      weight[x - left] = distance < 1 ? 1 - distance : 0;
      sum += weight[x - left];
    }
    for (gint x = left; x < right; x++)
      weight[x - left] /= sum;

    /* Taps on the foot of the triangle have no weight: cut, so that windows are as short as they
     * are. */
    guint skip = 0;
    while (skip + 1 < axis->count[i] && weight[skip] < NO_WEIGHT)
      skip++;
    axis->first[i] += skip;
    axis->count[i] -= skip;
    memmove (weight, weight + skip, axis->count[i] * sizeof *weight);
    while (axis->count[i] > 1 && weight[axis->count[i] - 1] < NO_WEIGHT)
      axis->count[i]--;
  }
}

/* Weights as @bits-bit fractions whose sum is one exactly: what rounding takes from one it gives to
 * the next. */
static void
quantise (const gdouble *weight, guint n, guint bits, guint *fractions)
{
  gdouble sum = 0;
  gint64 given = 0;

  for (guint i = 0; i < n; i++) {
    sum += weight[i];
    gint64 target = llrint (ldexp (sum, (int)bits));
    fractions[i] = (guint)(target - given);
    given = target;
  }
}

/* ---- the plan of a size: tables and scratch, kept by each thread for the size that it saw last
 * ---- */

typedef struct {
  guint width, height, image;
  gboolean weighted;
  guint8 *memory;

  /* exact: see columns_exact and rows_exact */
  guint n_pairs;
  guint *pair_first;    /* [image] */
  gint16 *pair_weights; /* [image][2][n_pairs][2] */
  guint row_taps;
  guint *row_first, *row_count; /* [image] */
  gint32 *row_weights;          /* [image][row_taps] */
  gint16 *pairs;                /* one row of the picture */
  gint16 *planes;               /* [3][plane] scratch of yuv_row */
  gboolean rows_first;
  guint8 *ring; /* [row_taps][ring_stride] rows between the two steps, or converted for the first */
  gsize ring_stride;
  const guint8 **window; /* [2][row_taps] where rows lie: by number modulo row_taps, and in order */
  guint8 *line;          /* a row of packed pixels of the picture's width */
  guint8 *last;          /* one of the frame's */

  /* weighted: see accumulate and columns */
  guint n_out; /* image, rounded up to CG_COLUMNS_STEP */
  guint taps;
  guint *first;    /* [n_out] */
  gint16 *weights; /* [n_out][taps] */
  guint *group;    /* [image + 1] group i: rows that finish output i - 1 and begin output i */
  guint *products; /* [image] rows that an output is the sum of */
  guint32 (*group_weights)[2]; /* [height] */
  CgYuvRow *rows;              /* [most rows of a group] */
  gint16 *sums[3];             /* [3][plane] each: before, done, next */
  guint8 *out;                 /* [n_out][3] */

  /* both */
  gsize plane;     /* elements of a working row */
  guint8 *luma;    /* a padded row */
  guint n_slots;   /* rows of full-width chroma that are kept */
  gint64 *slot;    /* [n_slots] which row each holds, -1: none */
  guint16 *chroma; /* [n_slots][2][chroma_width] */
  gsize chroma_width;
  guint16 *half; /* scratch of chroma_row */
} Plan;

static void
plan_free (gpointer data)
{
  Plan *plan = data;

  free (plan->memory);
  g_free (plan);
}

static GPrivate current_plan = G_PRIVATE_INIT (plan_free);

/* Hands out aligned pieces; without memory it only counts. */
typedef struct {
  guint8 *memory;
  gsize used;
} Arena;

static gpointer
arena_take (Arena *arena, gsize n, gsize size)
{
  gpointer piece = arena->memory ? arena->memory + arena->used : NULL;

  arena->used += (n * size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
  return piece;
}

#define TAKE(arena, type, n) ((type *)arena_take ((arena), (n), sizeof (type)))

static guint
round_up (guint n, guint step)
{
  return (n + step - 1) / step * step;
}

/* Pillow 13 begins with the rows when that leaves much less to do: the height shrinks, and by more than
 * twice as many pixels as the width does. */
static gboolean
rows_come_first (guint width, guint height, guint image)
{
  return height > image && height - image > 2 * (width > image ? width - image : 0);
}

static void
plan_take_exact (Plan *plan, Arena *arena, const Axis *h, const Axis *v)
{
  const gsize image = plan->image;

  /* Windows may begin at an odd pixel: half a pair more on either side. */
  plan->n_pairs = round_up (h->taps / 2 + 1, CG_PAIRS_STEP);
  plan->pair_first = TAKE (arena, guint, image);
  plan->pair_weights = TAKE (arena, gint16, image * 4 * plan->n_pairs);
  plan->row_taps = v->taps;
  plan->row_first = TAKE (arena, guint, image);
  plan->row_count = TAKE (arena, guint, image);
  plan->row_weights = TAKE (arena, gint32, image * plan->row_taps);
  plan->pairs = TAKE (arena, gint16, 8 * ((gsize)plan->width / 2 + 1 + plan->n_pairs));
  plan->plane = plan->width + CG_PREPROCESS_PAD;
  plan->planes = TAKE (arena, gint16, 3 * plan->plane);
  plan->rows_first = rows_come_first (plan->width, plan->height, plan->image);
  plan->ring_stride = plan->rows_first ? 3 * (gsize)plan->width : 3 * image + 1;
  plan->ring = TAKE (arena, guint8, plan->row_taps * plan->ring_stride);
  plan->window = TAKE (arena, const guint8 *, 2 * plan->row_taps);
  plan->line = TAKE (arena, guint8, 4 * (gsize)plan->width);
  plan->last = TAKE (arena, guint8, 3 * image + 1);
  plan->n_slots = 3;
}

static void
plan_fill_exact (Plan *plan, const Axis *h, const Axis *v)
{
  for (guint i = 0; i < plan->image; i++) {
    const gdouble *weight = h->weight + (gsize)i * h->taps;
    gint16 *high = plan->pair_weights + (gsize)i * 4 * plan->n_pairs;
    gint16 *low = high + 2 * plan->n_pairs;
    guint odd = h->first[i] % 2;

    plan->pair_first[i] = h->first[i] / 2;
    for (guint k = 0; k < h->count[i]; k++) {
      gint32 fraction = (gint32)(0.5 + weight[k] * (1 << CG_EXACT_BITS));
      high[odd + k] = (gint16)(fraction >> CG_EXACT_LOW_BITS);
      low[odd + k] = (gint16)(fraction & ((1 << CG_EXACT_LOW_BITS) - 1));
    }

    plan->row_first[i] = v->first[i];
    plan->row_count[i] = v->count[i];
    for (guint k = 0; k < v->count[i]; k++)
      plan->row_weights[(gsize)i * plan->row_taps + k] =
          (gint32)(0.5 + v->weight[(gsize)i * v->taps + k] * (1 << CG_EXACT_BITS));
  }
}

/* Group i: the rows from the first of output i to the first of output i + 1. A triangle meets only
 * its two neighbours, so these rows have weight in output i, which they begin, and in output i - 1,
 * which they finish. */
static guint
group_begin (const Axis *v, guint i)
{
  return i == 0 ? 0 : i < v->out ? v->first[i] : v->in;
}

static guint
max_group_rows (const Axis *v)
{
  guint most = 0;

  for (guint i = 0; i < v->out; i++)
    most = MAX (most, group_begin (v, i + 1) - group_begin (v, i));
  return most;
}

static void
plan_take_weighted (Plan *plan, Arena *arena, const Axis *h, const Axis *v)
{
  plan->n_out = round_up (plan->image, CG_COLUMNS_STEP);
  plan->taps = round_up (h->taps, CG_TAPS_STEP);
  plan->first = TAKE (arena, guint, plan->n_out);
  plan->weights = TAKE (arena, gint16, (gsize)plan->n_out * plan->taps);
  plan->group = TAKE (arena, guint, plan->image + 1);
  plan->products = TAKE (arena, guint, plan->image);
  plan->group_weights = arena_take (arena, plan->height, sizeof *plan->group_weights);
  plan->rows = TAKE (arena, CgYuvRow, max_group_rows (v));
  plan->plane = plan->width + plan->taps + CG_PREPROCESS_PAD;
  for (guint i = 0; i < G_N_ELEMENTS (plan->sums); i++)
    plan->sums[i] = TAKE (arena, gint16, 3 * plan->plane);
  plan->out = TAKE (arena, guint8, 3 * plan->n_out + 1);
  plan->n_slots = max_group_rows (v) + 1;
}

static void
plan_take_common (Plan *plan, Arena *arena)
{
  const gsize n = (plan->width + 1) / 2;

  plan->luma = TAKE (arena, guint8, 2 * ((gsize)plan->width + CG_PREPROCESS_PAD));
  plan->slot = TAKE (arena, gint64, plan->n_slots);
  plan->chroma_width = round_up (2 * n + CG_PREPROCESS_PAD, CG_PREPROCESS_PAD);
  plan->chroma = TAKE (arena, guint16, plan->n_slots * 2 * plan->chroma_width);
  plan->half = TAKE (arena, guint16, 2 * (n + CG_PREPROCESS_PAD) + CG_PREPROCESS_PAD);
}

static void
plan_fill_weighted (Plan *plan, const Axis *h, const Axis *v)
{
  g_autofree guint *fractions = g_new (guint, MAX (h->taps, v->taps));

  for (guint i = 0; i < plan->image; i++) {
    plan->first[i] = h->first[i];
    quantise (h->weight + (gsize)i * h->taps, h->count[i], CG_COLUMN_WEIGHT_BITS, fractions);
    for (guint k = 0; k < h->count[i]; k++)
      plan->weights[(gsize)i * plan->taps + k] = (gint16)fractions[k];

    quantise (v->weight + (gsize)i * v->taps, v->count[i], CG_ROW_WEIGHT_BITS, fractions);
    for (guint k = 0; k < v->count[i]; k++) {
      guint y = v->first[i] + k;
      guint begins = y < group_begin (v, i + 1) ? 1 : 0;
      plan->group_weights[y][begins] = MIN (fractions[k], G_MAXUINT16) * 0x10001;
    }
    plan->group[i] = group_begin (v, i);
    plan->products[i] = v->count[i];
  }
  plan->group[plan->image] = plan->height;
}

static gboolean
scale_is_weighted (guint in, guint out)
{
  return in >= CG_PREPROCESS_PAD && in >= WEIGHTED_MIN_SCALE * out &&
         in <= WEIGHTED_MAX_SCALE * out;
}

static gpointer
allocate (gsize size)
{
  gpointer memory = aligned_alloc (ALIGNMENT, size);

  if (memory != NULL)
    memset (memory, 0, size);
  return memory;
}

/* The plan of this thread for @frame, made anew when the size has changed. */
static Plan *
get_plan (const CgFrame *frame, guint image, GError **error)
{
  const gboolean weighted = format_is_yuv (&formats[frame->format]) &&
                            scale_is_weighted (frame->width, image) &&
                            scale_is_weighted (frame->height, image);
  Plan *plan = g_private_get (&current_plan);
  g_auto (Axis) h = { 0 }, v = { 0 };

  if (plan != NULL && plan->width == frame->width && plan->height == frame->height &&
      plan->image == image && plan->weighted == weighted)
    return plan;

  axis_init (&h, frame->width, image);
  axis_init (&v, frame->height, image);
  plan = g_new0 (Plan, 1);
  plan->width = frame->width;
  plan->height = frame->height;
  plan->image = image;
  plan->weighted = weighted;
  for (Arena arena = { NULL, 0 };; arena.used = 0) {
    (weighted ? plan_take_weighted : plan_take_exact) (plan, &arena, &h, &v);
    plan_take_common (plan, &arena);
    if (arena.memory != NULL)
      break;
    plan->memory = arena.memory = allocate (arena.used);
    if (plan->memory == NULL) {
      g_set_error (error, CG_ERROR, CG_ERROR_MEMORY,
                   "No memory to resize a picture of %u x %u (%" G_GSIZE_FORMAT " bytes)",
                   frame->width, frame->height, arena.used);
      g_free (plan);
      return NULL;
    }
  }
  (weighted ? plan_fill_weighted : plan_fill_exact) (plan, &h, &v);
  g_private_replace (&current_plan, plan);
  return plan;
}

/* ---- one frame ---- */

typedef struct {
  const CgFrame *frame;
  const Format *format;
  const CgPreprocessKernels *kernels;
  Plan *plan;
  gboolean is_yuv;
  CgColour colour;     /* of Y'CbCr */
  CgPixelLayout pixel; /* of packed rows, converted ones too */
  guint8 grey[256];    /* of GRAY8: level of each code */
} Job;

/* Row @key of full-width chroma: cosited with luma rows, @key is the luma row; else the chroma row.
 */
static const guint16 *
chroma_slot (Job *job, guint key)
{
  const CgFrame *frame = job->frame;
  Plan *plan = job->plan;
  const guint last = (frame->height + 1) / 2 - 1;
  const guint a = frame->cosited_v ? key / 2 : key;
  const guint b = frame->cosited_v ? MIN ((key + 1) / 2, last) : key;
  const guint slot = key % plan->n_slots; /* NOLINT(clang-analyzer-core.DivideZero): never 0 */
  const guint v_plane = job->format->n_planes - 1;
  guint16 *u = plan->chroma + 2 * slot * plan->chroma_width;

  if (plan->slot[slot] != key) {
    const guint8 *u_rows[2] = { plane_row (frame, 1, a), plane_row (frame, 1, b) };
    const guint8 *v_rows[2] = { plane_row (frame, v_plane, a), plane_row (frame, v_plane, b) };
    job->kernels->chroma_row (u_rows, v_rows, job->format->chroma, frame->cosited_h,
                              (frame->width + 1) / 2, plan->half, u, u + plan->chroma_width);
    plan->slot[slot] = key;
  }
  return u;
}

static CgYuvRow
yuv_row (Job *job, guint y)
{
  const CgFrame *frame = job->frame;
  const guint last = (frame->height + 1) / 2 - 1;
  const gsize v = job->plan->chroma_width;
  const guint16 *near, *far;

  if (frame->cosited_v) {
    near = far = chroma_slot (job, y);
  } else {
    guint neighbour = y % 2 ? MIN (y / 2 + 1, last) : MAX (y / 2, 1) - 1;
    near = chroma_slot (job, y / 2);
    far = chroma_slot (job, neighbour);
  }
  return (CgYuvRow){ plane_row (frame, 0, y), near, near + v, far, far + v };
}

static void
resize_weighted (Job *job, guint8 *out)
{
  Plan *plan = job->plan;
  const gsize row_bytes = 3 * (gsize)plan->image;
  gint16 *before = plan->sums[0], *done = plan->sums[1], *next = plan->sums[2];

  /* Nothing is finished by group 0; what it starts with is never looked at. */
  for (guint i = 0; i <= plan->image; i++) {
    if (i < plan->image) {
      const guint begin = plan->group[i], n_rows = plan->group[i + 1] - begin;
      for (guint k = 0; k < n_rows; k++)
        plan->rows[k] = yuv_row (job, begin + k);
      job->kernels->accumulate (plan->rows, plan->group_weights + begin, n_rows,
                                job->format->luma16, &job->colour, plan->width, before, done, next,
                                plan->plane);
    } else {
      done = before;
    }
    if (i > 0) {
      /* Half a level, and half a unit for each product that went in. */
      gint32 bias = (1 << (CG_COLUMNS_SHIFT - 1)) +
                    ((gint32)plan->products[i - 1] << (CG_COLUMN_WEIGHT_BITS - 1));
      job->kernels->columns (done, plan->plane, plan->first, plan->weights, plan->taps, plan->n_out,
                             bias, plan->out);
      memcpy (out + (i - 1) * row_bytes, plan->out, row_bytes);
    }
    gint16 *begun = next;
    next = before;
    before = begun;
  }
}

/* Row @y of the picture as packed pixels: where it lies, or converted to @space. */
static const guint8 *
packed_row (Job *job, guint y, guint8 *space)
{
  const CgFrame *frame = job->frame;
  Plan *plan = job->plan;

  if (job->is_yuv) {
    CgYuvRow row = yuv_row (job, y);
    memcpy (plan->luma, row.luma, (gsize)frame->width * job->format->bytes[0]);
    row.luma = plan->luma;
    job->kernels->yuv_row (&row, job->format->luma16, &job->colour, frame->width, plan->planes,
                           plan->plane, space);
    return space;
  }
  if (frame->format == CG_FORMAT_GRAY8 && !frame->full_range) {
    const guint8 *row = plane_row (frame, 0, y);
    for (guint x = 0; x < frame->width; x++)
      space[x] = job->grey[row[x]];
    return space;
  }
  return plane_row (frame, 0, y);
}

static void
resize_columns (Job *job, const guint8 *row, guint8 *out)
{
  Plan *plan = job->plan;

  job->kernels->rgb_pairs (row, plan->width, &job->pixel, plan->pairs);
  job->kernels->columns_exact (plan->pairs, plan->pair_first, plan->pair_weights, plan->n_pairs,
                               plan->image, out);
}

static void
resize_exact (Job *job, guint8 *out)
{
  Plan *plan = job->plan;
  const gsize row_bytes = 3 * (gsize)plan->image;
  const guint8 **where = plan->window, **window = where + plan->row_taps;
  guint ready = 0; /* rows that `where` knows, or knew */

  for (guint i = 0; i < plan->image; i++, out += row_bytes) {
    const guint begin = plan->row_first[i], n = plan->row_count[i];
    const gint32 *weights = plan->row_weights + (gsize)i * plan->row_taps;

    for (; ready < begin + n; ready++) {
      const guint slot = ready % plan->row_taps;
      guint8 *space = plan->ring + slot * plan->ring_stride;
      if (plan->rows_first) {
        where[slot] = packed_row (job, ready, space);
      } else {
        resize_columns (job, packed_row (job, ready, plan->line), space);
        where[slot] = space;
      }
    }
    for (guint k = 0; k < n; k++)
      window[k] = where[(begin + k) % plan->row_taps];

    if (plan->rows_first) {
      job->kernels->rows_exact (window, weights, n, plan->width * job->pixel.bytes, plan->line);
      resize_columns (job, plan->line, plan->last);
      memcpy (out, plan->last, row_bytes);
    } else {
      job->kernels->rows_exact (window, weights, n, 3 * plan->image, out);
    }
  }
}

gboolean
cg_preprocess (const CgFrame *frame, guint image, const char *isa, guint8 *out, GError **error)
{
  static const CgPreprocessKernels *const tables[] = CG_ISA_TABLES (preprocess_kernels);
  CgIsa which;
  Job job = { .frame = frame };

  if (!check_frame (frame, image, error) || !cg_isa_from_name (isa, &which, error))
    return FALSE;
  job.format = &formats[frame->format];
  job.kernels = tables[cg_isa_plain (which)];
  job.plan = get_plan (frame, image, error);
  if (job.plan == NULL)
    return FALSE;

  for (guint i = 0; i < job.plan->n_slots; i++)
    job.plan->slot[i] = -1;
  job.is_yuv = format_is_yuv (job.format);
  job.pixel = job.format->pixel;
  if (job.is_yuv) {
    job.colour = frame_colour (frame);
    job.pixel = formats[CG_FORMAT_RGB].pixel;
  } else if (frame->format == CG_FORMAT_GRAY8) {
    for (gint code = 0; code < 256; code++)
      job.grey[code] = (guint8)CLAMP (lrint ((code - 16) * 255.0 / 219), 0, 255);
  }

  if (job.plan->weighted)
    resize_weighted (&job, out);
  else
    resize_exact (&job, out);
  return TRUE;
}
