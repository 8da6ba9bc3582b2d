/* The null engine: answers from a hash of the window, for tests that need no model and no
 * arithmetic.
 *
 * A frame is reduced, without any filter, to image x image pixels of three bytes: row y, column x
 * is the source pixel at row floor ((2 y + 1) height / (2 image)), column floor ((2 x + 1) width /
 * (2 image)); its bytes are Y, U, V (of P010 the upper eight bits), or Y, Y, Y for GRAY8, or R, G,
 * B. With draw () of generate.h, all modulo 2^64:
 *
 *   h_s     = FNV-1a-64 of the bytes of sample s, rows top to bottom
 *   H       = draw (... draw (draw (0 ^ h_0, 0) ^ h_1, 1) ..., frames - 1)      H' = draw (H ^ h_s,
 * s) city    = draw (H, 0) mod cities; state, country and continent are the city's parents scene =
 * draw (H, 1) mod scenes noise_i = (draw (H, i) >> 40) / 2^24, in [0, 1) features, logits, scene
 * and text, in this order, count i from 16: each value is noise_i, and 8 more at the winning label
 * of its level (so that softmax gives it about 0.9 among 166)
 *
 * Two equal windows give equal answers, in any batch.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "engine.h"
#include "engine-private.h"
#include "generate.h"

#define FIRST_NOISE 16
#define WINNER 8.0f

typedef struct {
  CgGeometry geometry;
  guint delay_us, fail_at, lose_at;
  guint64 n_windows; /* computed, or failed by themselves; engine thread only */
  guint
      *ancestors[CG_LEVELS]; /* [cities]: the label above each city; [CG_CITY] is the city itself */
} Null;

static gpointer
null_open (const CgModel *model, const CgNetwork *network, const CgEngineOptions *options,
           GError **error)
{
  Null *self = g_new0 (Null, 1);
  self->geometry = model->geometry;
  self->delay_us = options->null_delay_us;
  self->fail_at = options->null_fail_at;
  self->lose_at = options->null_lose_at;
  g_usleep (options->null_load_us);

  const guint cities = self->geometry.labels[CG_CITY];
  for (guint level = CG_CITY; level < CG_LEVELS; level++) {
    self->ancestors[level] = g_new (guint, cities);
    for (guint city = 0; city < cities; city++)
      self->ancestors[level][city] = cg_places_ancestor (model->places, CG_CITY, city, level);
  }
  return self;
}

static void
null_close (gpointer data)
{
  Null *self = data;
  for (guint level = CG_CITY; level < CG_LEVELS; level++)
    g_free (self->ancestors[level]);
  g_free (self);
}

static const char *
null_describe (gpointer data)
{
  return "null (answers from a hash, for tests)";
}

/* ---- samples: the hash is all that is kept ---- */

static gpointer
null_sample_new (gpointer data, GError **error)
{
  return g_new0 (guint64, 1);
}

static void
null_sample_free (gpointer data, gpointer sample)
{
  g_free (sample);
}

/* Where the three bytes of the pixel at (x, y) lie: byte @offset of the @step bytes of pixel x >>
 * @shift in row y >> @shift of @plane. */
typedef struct {
  guint8 plane, offset, step, shift;
} Component;

static const Component layouts[CG_N_FORMATS][3] = {
  [CG_FORMAT_NV12] = { { 0, 0, 1, 0 }, { 1, 0, 2, 1 }, { 1, 1, 2, 1 } },
  [CG_FORMAT_I420] = { { 0, 0, 1, 0 }, { 1, 0, 1, 1 }, { 2, 0, 1, 1 } },
  [CG_FORMAT_YV12] = { { 0, 0, 1, 0 }, { 1, 0, 1, 1 }, { 2, 0, 1, 1 } },
  [CG_FORMAT_P010] = { { 0, 1, 2, 0 }, { 1, 1, 4, 1 }, { 1, 3, 4, 1 } },
  [CG_FORMAT_GRAY8] = { { 0, 0, 1, 0 }, { 0, 0, 1, 0 }, { 0, 0, 1, 0 } },
  [CG_FORMAT_RGB] = { { 0, 0, 3, 0 }, { 0, 1, 3, 0 }, { 0, 2, 3, 0 } },
  [CG_FORMAT_BGR] = { { 0, 2, 3, 0 }, { 0, 1, 3, 0 }, { 0, 0, 3, 0 } },
  [CG_FORMAT_RGBX] = { { 0, 0, 4, 0 }, { 0, 1, 4, 0 }, { 0, 2, 4, 0 } },
  [CG_FORMAT_BGRX] = { { 0, 2, 4, 0 }, { 0, 1, 4, 0 }, { 0, 0, 4, 0 } },
  [CG_FORMAT_XRGB] = { { 0, 1, 4, 0 }, { 0, 2, 4, 0 }, { 0, 3, 4, 0 } },
  [CG_FORMAT_XBGR] = { { 0, 3, 4, 0 }, { 0, 2, 4, 0 }, { 0, 1, 4, 0 } },
  [CG_FORMAT_RGBA] = { { 0, 0, 4, 0 }, { 0, 1, 4, 0 }, { 0, 2, 4, 0 } },
  [CG_FORMAT_BGRA] = { { 0, 2, 4, 0 }, { 0, 1, 4, 0 }, { 0, 0, 4, 0 } },
  [CG_FORMAT_ARGB] = { { 0, 1, 4, 0 }, { 0, 2, 4, 0 }, { 0, 3, 4, 0 } },
  [CG_FORMAT_ABGR] = { { 0, 3, 4, 0 }, { 0, 2, 4, 0 }, { 0, 1, 4, 0 } },
};

static gboolean
check_frame (const CgFrame *frame, GError **error)
{
  if ((guint)frame->format >= CG_N_FORMATS) {
    g_set_error (error, CG_ERROR, CG_ERROR_INPUT,
                 "The picture's format is %u: expected less than %u", frame->format, CG_N_FORMATS);
    return FALSE;
  }
  if (frame->width < 1 || frame->width > 32768 || frame->height < 1 || frame->height > 32768) {
    g_set_error (error, CG_ERROR, CG_ERROR_INPUT,
                 "The picture is %ux%u pixels: expected 1 to 32768 each way", frame->width,
                 frame->height);
    return FALSE;
  }
  for (guint c = 0; c < 3; c++) {
    const Component *component = &layouts[frame->format][c];
    const guint plane = component->plane;
    const gint64 columns = ((gint64)frame->width + component->shift) >> component->shift;
    const gint64 least = columns * component->step;
    if (!frame->plane[plane] || ABS ((gint64)frame->stride[plane]) < least) {
      g_set_error (error, CG_ERROR, CG_ERROR_INPUT,
                   "Plane %u of the picture %s and its stride is %d bytes: expected at least "
                   "%" G_GINT64_FORMAT,
                   plane, frame->plane[plane] ? "is there" : "is missing", frame->stride[plane],
                   least);
      return FALSE;
    }
  }
  return TRUE;
}

static gboolean
null_sample_put (gpointer data, gpointer sample, const CgFrame *frame, GError **error)
{
  const Null *self = data;
  if (!check_frame (frame, error))
    return FALSE;

  const Component *layout = layouts[frame->format];
  const guint64 image = self->geometry.image;
  guint64 hash = G_GUINT64_CONSTANT (0xCBF29CE484222325);
  for (guint64 y = 0; y < image; y++) {
    const guint row = (2 * y + 1) * frame->height / (2 * image);
    const guint8 *rows[3];
    for (guint c = 0; c < 3; c++)
      rows[c] = frame->plane[layout[c].plane] +
                (gssize)frame->stride[layout[c].plane] * (row >> layout[c].shift) +
                layout[c].offset;
    for (guint64 x = 0; x < image; x++) {
      const guint column = (2 * x + 1) * frame->width / (2 * image);
      for (guint c = 0; c < 3; c++) {
        const gsize pixel = column >> layout[c].shift;
        hash = (hash ^ rows[c][pixel * layout[c].step]) * G_GUINT64_CONSTANT (0x100000001B3);
      }
    }
  }
  *(guint64 *)sample = hash;
  return TRUE;
}

/* ---- windows ---- */

/* Fills @n values with noise and moves the counter on. */
static void
fill_noise (guint64 hash, guint64 *counter, float *out, guint n)
{
  for (guint i = 0; i < n; i++)
    out[i] = (float)(cg_generate_draw (hash, (*counter)++) >> 40) / 16777216.0f;
}

static void
answer (const Null *self, gpointer const *samples, CgOutputs *outputs)
{
  const CgGeometry *geometry = &self->geometry;
  guint64 hash = 0;
  for (guint s = 0; s < geometry->frames; s++)
    hash = cg_generate_draw (hash ^ *(const guint64 *)samples[s], s);

  const guint city = cg_generate_draw (hash, 0) % geometry->labels[CG_CITY];
  guint64 counter = FIRST_NOISE;
  fill_noise (hash, &counter, outputs->features, geometry->width);

  float *logits = outputs->logits;
  for (guint level = CG_CITY; level < CG_LEVELS; level++) {
    fill_noise (hash, &counter, logits, geometry->labels[level]);
    logits[self->ancestors[level][city]] += WINNER;
    logits += geometry->labels[level];
  }
  if (outputs->scene) {
    const guint scenes = geometry->scene.size[geometry->scene.layers];
    fill_noise (hash, &counter, outputs->scene, scenes);
    outputs->scene[cg_generate_draw (hash, 1) % scenes] += WINNER;
  }
  if (outputs->text)
    fill_noise (hash, &counter, outputs->text, geometry->text.size[geometry->text.layers]);
}

/* A window that fails in a batch of several is asked for again by itself, so only there it counts.
 */
static gboolean
null_run (gpointer data, gpointer const *samples, guint n, CgOutputs *const *outputs,
          const gint *cancel, GError **error)
{
  Null *self = data;
  const guint64 last = self->n_windows + n;

  if (cg_cancel_wait (cancel, g_get_monotonic_time () + self->delay_us)) {
    g_set_error (error, CG_ERROR, CG_ERROR_COMPUTE, "The windows were cancelled");
    return FALSE;
  }
  if (self->fail_at > self->n_windows && self->fail_at <= last) {
    if (n == 1)
      self->n_windows = last;
    g_set_error (error, CG_ERROR, CG_ERROR_COMPUTE,
                 "The null engine fails its window %u, as it was told to", self->fail_at);
    return FALSE;
  }
  if (self->lose_at > 0 && self->lose_at <= last) {
    g_set_error (error, CG_ERROR, CG_ERROR_DEVICE_LOST,
                 "The null engine is lost at its window %u, as it was told to", self->lose_at);
    return FALSE;
  }
  for (guint i = 0; i < n; i++)
    answer (self, samples + i * self->geometry.frames, outputs[i]);
  self->n_windows = last;
  return TRUE;
}

const CgBackend *
cg_backend_null (void)
{
  static const CgBackend backend = {
    .abi = CG_BACKEND_ABI,
    .name = "null",
    .max_batch = 8,
    .open = null_open,
    .close = null_close,
    .describe = null_describe,
    .sample_new = null_sample_new,
    .sample_free = null_sample_free,
    .sample_put = null_sample_put,
    .run = null_run,
  };
  return &backend;
}
