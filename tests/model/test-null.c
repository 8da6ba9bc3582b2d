/* The null engine against the formulas at the head of model/null.c.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include <string.h>

#include "model/engine.h"
#include "model/generate.h"

#define HOUR_US (3600u * 1000000u)

typedef struct {
  CgModel *model;
  const CgBackend *backend;
  gpointer self;
} Fixture;

static void
set_up (Fixture *f, const CgEngineOptions *options)
{
  g_autoptr (GError) error = NULL;
  f->model = cg_model_generate ("tiny", 1, NULL, &error);
  g_assert_no_error (error);
  f->backend = cg_backend_null ();
  f->self = f->backend->open (f->model, NULL, options, &error);
  g_assert_no_error (error);
}

static void
tear_down (Fixture *f)
{
  f->backend->close (f->self);
  cg_model_unref (f->model);
}

static gpointer
put (Fixture *f, const CgFrame *frame)
{
  g_autoptr (GError) error = NULL;
  gpointer sample = f->backend->sample_new (f->self, &error);
  g_assert_no_error (error);
  g_assert_true (f->backend->sample_put (f->self, sample, frame, &error));
  g_assert_no_error (error);
  return sample;
}

/* A window of @frame in all places. */
static CgOutputs *
run_frame (Fixture *f, const CgFrame *frame)
{
  g_autoptr (GError) error = NULL;
  gpointer samples[CG_MAX_FRAMES];
  const gint cancel = 0;
  CgOutputs *outputs = cg_outputs_new (&f->model->geometry, TRUE);

  samples[0] = put (f, frame);
  for (guint i = 1; i < f->model->geometry.frames; i++)
    samples[i] = samples[0];
  g_assert_true (f->backend->run (f->self, samples, 1, &outputs, &cancel, &error));
  g_assert_no_error (error);
  f->backend->sample_free (f->self, samples[0]);
  return outputs;
}

static void
assert_noise (const float *values, guint n, guint64 hash, guint64 *counter, guint winner)
{
  for (guint i = 0; i < n; i++) {
    const float noise = (float)(cg_generate_draw (hash, (*counter)++) >> 40) / (1 << 24);
    g_assert_cmpfloat (values[i], ==, i == winner ? noise + 8 : noise);
  }
}

/* The header comment, once more: what a picture that is @value all over must give. */
static void
test_formula (void)
{
  Fixture f;
  set_up (&f, &(CgEngineOptions){ .device = CG_DEVICE_NULL });
  const CgGeometry *geometry = &f.model->geometry;

  for (guint value = 0; value < 256; value += 51) {
    const guint8 pixel = value;
    const CgFrame frame = {
      .format = CG_FORMAT_GRAY8, .width = 1, .height = 1, .plane = { &pixel }, .stride = { 1 }
    };
    g_autofree CgOutputs *outputs = run_frame (&f, &frame);

    guint64 h = G_GUINT64_CONSTANT (14695981039346656037);
    for (guint i = 0; i < 3 * geometry->image * geometry->image; i++)
      h = (h ^ value) * G_GUINT64_CONSTANT (1099511628211);
    guint64 hash = 0;
    for (guint s = 0; s < geometry->frames; s++)
      hash = cg_generate_draw (hash ^ h, s);

    guint64 counter = 16;
    assert_noise (outputs->features, geometry->width, hash, &counter, G_MAXUINT);
    const guint city = cg_generate_draw (hash, 0) % geometry->labels[CG_CITY];
    const float *logits = outputs->logits;
    for (guint level = CG_CITY; level < CG_LEVELS; level++) {
      const guint winner = cg_places_ancestor (f.model->places, CG_CITY, city, level);
      assert_noise (logits, geometry->labels[level], hash, &counter, winner);
      logits += geometry->labels[level];
    }
    assert_noise (outputs->scene, 16, hash, &counter, cg_generate_draw (hash, 1) % 16);
    assert_noise (outputs->text, 512, hash, &counter, G_MAXUINT);
  }
  tear_down (&f);
}

static void
test_describe (void)
{
  Fixture f;
  set_up (&f, &(CgEngineOptions){ .device = CG_DEVICE_NULL });
  g_assert_cmpuint (f.backend->abi, ==, CG_BACKEND_ABI);
  g_assert_cmpuint (f.backend->max_batch, ==, 8);
  g_assert_cmpstr (f.backend->name, ==, "null");
  g_assert_true (g_str_has_prefix (f.backend->describe (f.self), "null"));
  tear_down (&f);
}

static void
test_batch (void)
{
  /* Given windows of different pictures */
  Fixture f;
  set_up (&f, &(CgEngineOptions){ .device = CG_DEVICE_NULL });
  g_autoptr (GError) error = NULL;
  const CgGeometry *geometry = &f.model->geometry;
  const guint frames = geometry->frames;
  gpointer samples[11];
  for (guint i = 0; i < G_N_ELEMENTS (samples); i++) {
    const guint8 pixel = i;
    const CgFrame frame = {
      .format = CG_FORMAT_GRAY8, .width = 1, .height = 1, .plane = { &pixel }, .stride = { 1 }
    };
    samples[i] = put (&f, &frame);
  }
  gpointer windows[4 * CG_MAX_FRAMES];
  for (guint w = 0; w < 4; w++) /* the last one is the first one again */
    for (guint s = 0; s < frames; s++)
      windows[w * frames + s] = samples[w % 3 + s];

  /* when they are computed in one batch, some with scene and text, and one by one */
  const gint cancel = 0;
  CgOutputs *together[4], *alone[4];
  for (guint w = 0; w < 4; w++) {
    together[w] = cg_outputs_new (geometry, w % 2);
    alone[w] = cg_outputs_new (geometry, TRUE);
    g_assert_true (f.backend->run (f.self, windows + w * frames, 1, &alone[w], &cancel, &error));
  }
  g_assert_true (f.backend->run (f.self, windows, 4, together, &cancel, &error));
  g_assert_no_error (error);

  /* then the answers are the same, equal windows have equal answers, and others have not. */
  const guint labels = cg_geometry_total_labels (geometry);
  for (guint w = 0; w < 4; w++) {
    g_assert_cmpmem (together[w]->logits, labels * sizeof (float), alone[w]->logits,
                     labels * sizeof (float));
    g_assert_true ((together[w]->scene != NULL) == (w % 2 == 1));
    g_assert_cmpint (memcmp (alone[w]->logits, alone[0]->logits, labels * sizeof (float)) == 0, ==,
                     w % 3 == 0);
  }
  for (guint w = 0; w < 4; w++) {
    g_free (together[w]);
    g_free (alone[w]);
  }
  for (guint i = 0; i < G_N_ELEMENTS (samples); i++)
    f.backend->sample_free (f.self, samples[i]);
  tear_down (&f);
}

/* ---- pictures ---- */

#define WIDTH 37
#define HEIGHT 23

static guint8
component (guint x, guint y, guint c, guint seed)
{
  return cg_generate_draw (seed, (y * WIDTH + x) * 3 + c) >> 56;
}

/* A picture in memory of exactly its size, rows @padding bytes longer than need be. */
typedef struct {
  guint8 *data[3];
  CgFrame frame;
} Picture;

static void
picture_free (Picture *picture)
{
  for (guint p = 0; p < 3; p++)
    g_free (picture->data[p]);
}

/* Plane @p of @rows rows of @row_size bytes; bottom-up if @flipped. */
static void
add_plane (Picture *picture, guint p, guint rows, guint row_size, guint padding, gboolean flipped)
{
  const guint stride = row_size + padding;
  picture->data[p] = g_malloc (stride * rows - padding);
  memset (picture->data[p], padding, stride * rows - padding);
  picture->frame.plane[p] = picture->data[p] + (flipped ? (rows - 1) * stride : 0);
  picture->frame.stride[p] = flipped ? -(gint)stride : (gint)stride;
}

static guint8 *
at (Picture *picture, guint p, guint x, guint y)
{
  return (guint8 *)picture->frame.plane[p] + (gssize)picture->frame.stride[p] * y + x;
}

static const struct {
  CgPixelFormat format;
  guint bytes, r, g, b;
} rgb_formats[] = {
  { CG_FORMAT_RGB, 3, 0, 1, 2 },  { CG_FORMAT_BGR, 3, 2, 1, 0 },  { CG_FORMAT_RGBX, 4, 0, 1, 2 },
  { CG_FORMAT_BGRX, 4, 2, 1, 0 }, { CG_FORMAT_XRGB, 4, 1, 2, 3 }, { CG_FORMAT_XBGR, 4, 3, 2, 1 },
  { CG_FORMAT_RGBA, 4, 0, 1, 2 }, { CG_FORMAT_BGRA, 4, 2, 1, 0 }, { CG_FORMAT_ARGB, 4, 1, 2, 3 },
  { CG_FORMAT_ABGR, 4, 3, 2, 1 },
};

static void
make_rgb (Picture *picture, guint i, guint padding, gboolean flipped, guint seed)
{
  *picture = (Picture){ .frame = { .format = rgb_formats[i].format,
                                   .width = WIDTH,
                                   .height = HEIGHT,
                                   .full_range = TRUE } };
  add_plane (picture, 0, HEIGHT, WIDTH * rgb_formats[i].bytes, padding, flipped);
  for (guint y = 0; y < HEIGHT; y++) {
    for (guint x = 0; x < WIDTH; x++) {
      guint8 *pixel = at (picture, 0, x * rgb_formats[i].bytes, y);
      pixel[rgb_formats[i].r] = component (x, y, 0, seed);
      pixel[rgb_formats[i].g] = component (x, y, 1, seed);
      pixel[rgb_formats[i].b] = component (x, y, 2, seed);
    }
  }
}

static const CgPixelFormat yuv_formats[] = { CG_FORMAT_NV12, CG_FORMAT_I420, CG_FORMAT_YV12,
                                             CG_FORMAT_P010 };

static void
make_yuv (Picture *picture, guint i, guint padding, gboolean flipped, guint seed)
{
  const CgPixelFormat format = yuv_formats[i];
  const guint bytes = format == CG_FORMAT_P010 ? 2 : 1;
  const gboolean planar = format == CG_FORMAT_I420 || format == CG_FORMAT_YV12;
  const guint columns = (WIDTH + 1) / 2, rows = (HEIGHT + 1) / 2;

  *picture = (Picture){ .frame = { .format = format, .width = WIDTH, .height = HEIGHT } };
  add_plane (picture, 0, HEIGHT, WIDTH * bytes, padding, flipped);
  add_plane (picture, 1, rows, columns * bytes * (planar ? 1 : 2), padding, flipped);
  if (planar)
    add_plane (picture, 2, rows, columns, padding, flipped);

  for (guint y = 0; y < HEIGHT; y++)
    for (guint x = 0; x < WIDTH; x++)
      *at (picture, 0, x * bytes + bytes - 1, y) = component (x, y, 0, seed);
  for (guint y = 0; y < rows; y++) {
    for (guint x = 0; x < columns; x++) {
      const guint8 u = component (x, y, 1, seed), v = component (x, y, 2, seed);
      if (planar) {
        *at (picture, 1, x, y) = u;
        *at (picture, 2, x, y) = v;
      } else {
        *at (picture, 1, 2 * x * bytes + bytes - 1, y) = u;
        *at (picture, 1, (2 * x + 1) * bytes + bytes - 1, y) = v;
      }
    }
  }
}

typedef void (*MakePicture) (Picture *picture, guint i, guint padding, gboolean flipped,
                             guint seed);

/* However a picture lies in memory, it gives the answer of that picture, and another one another.
 */
static void
check_layouts (MakePicture make, guint n)
{
  Fixture f;
  set_up (&f, &(CgEngineOptions){ .device = CG_DEVICE_NULL });
  const gsize size = f.model->geometry.width * sizeof (float);
  g_autofree CgOutputs *expected = NULL;

  for (guint seed = 1; seed <= 2; seed++) {
    for (guint i = 0; i < n; i++) {
      for (guint layout = 0; layout < 4; layout++) {
        Picture picture;
        make (&picture, i, layout % 2 ? 13 : 0, layout >= 2, seed);
        g_autofree CgOutputs *outputs = run_frame (&f, &picture.frame);
        if (!expected)
          expected = g_steal_pointer (&outputs);
        else if (seed == 1)
          g_assert_cmpmem (outputs->features, size, expected->features, size);
        else
          g_assert_cmpint (memcmp (outputs->features, expected->features, size), !=, 0);
        picture_free (&picture);
      }
    }
  }
  tear_down (&f);
}

static void
test_rgb (void)
{
  check_layouts (make_rgb, G_N_ELEMENTS (rgb_formats));
}

static void
test_yuv (void)
{
  check_layouts (make_yuv, G_N_ELEMENTS (yuv_formats));
}

static void
test_impossible_pictures (void)
{
  Fixture f;
  set_up (&f, &(CgEngineOptions){ .device = CG_DEVICE_NULL });
  static const guint8 pixels[64];
  const CgFrame good = { .format = CG_FORMAT_I420,
                         .width = 3,
                         .height = 3,
                         .plane = { pixels, pixels, pixels },
                         .stride = { 3, 2, 2 } };
  CgFrame bad[6];
  for (guint i = 0; i < G_N_ELEMENTS (bad); i++)
    bad[i] = good;
  bad[0].format = (CgPixelFormat)CG_N_FORMATS;
  bad[1].width = 0;
  bad[2].height = 32769;
  bad[3].plane[2] = NULL;
  bad[4].stride[0] = 2;
  bad[5].stride[1] = -1;

  gpointer sample = put (&f, &good);
  for (guint i = 0; i < G_N_ELEMENTS (bad); i++) {
    g_autoptr (GError) error = NULL;
    g_assert_false (f.backend->sample_put (f.self, sample, &bad[i], &error));
    g_assert_error (error, CG_ERROR, CG_ERROR_INPUT);
    g_assert_nonnull (strstr (error->message, "expected"));
  }
  f.backend->sample_free (f.self, sample);
  tear_down (&f);
}

/* ---- time and failure ---- */

static void
test_delay_and_cancel (void)
{
  g_autoptr (GError) error = NULL;
  const guint8 pixel = 0;
  const CgFrame frame = {
    .format = CG_FORMAT_GRAY8, .width = 1, .height = 1, .plane = { &pixel }, .stride = { 1 }
  };
  Fixture f;

  /* A delay is kept. */
  set_up (&f, &(CgEngineOptions){ .device = CG_DEVICE_NULL, .null_delay_us = 20000 });
  const gint64 start = g_get_monotonic_time ();
  g_free (run_frame (&f, &frame));
  g_assert_cmpint (g_get_monotonic_time () - start, >=, 20000);
  tear_down (&f);

  /* What was cancelled is not waited for. */
  set_up (&f, &(CgEngineOptions){ .device = CG_DEVICE_NULL, .null_delay_us = HOUR_US });
  const gint cancel = 1;
  gpointer samples[CG_MAX_FRAMES];
  CgOutputs *outputs = cg_outputs_new (&f.model->geometry, FALSE);
  samples[0] = put (&f, &frame);
  for (guint i = 1; i < f.model->geometry.frames; i++)
    samples[i] = samples[0];
  g_assert_false (f.backend->run (f.self, samples, 1, &outputs, &cancel, &error));
  g_assert_error (error, CG_ERROR, CG_ERROR_COMPUTE);
  f.backend->sample_free (f.self, samples[0]);
  g_free (outputs);
  tear_down (&f);
}

static void
test_fail_at (void)
{
  /* Given an engine that is to fail its fourth window */
  Fixture f;
  set_up (&f, &(CgEngineOptions){ .device = CG_DEVICE_NULL, .null_fail_at = 4 });
  const guint8 pixel = 0;
  const CgFrame frame = {
    .format = CG_FORMAT_GRAY8, .width = 1, .height = 1, .plane = { &pixel }, .stride = { 1 }
  };
  const gint cancel = 0;
  gpointer samples[4 * CG_MAX_FRAMES];
  CgOutputs *outputs[4];
  samples[0] = put (&f, &frame);
  for (guint i = 1; i < G_N_ELEMENTS (samples); i++)
    samples[i] = samples[0];
  for (guint i = 0; i < G_N_ELEMENTS (outputs); i++)
    outputs[i] = cg_outputs_new (&f.model->geometry, FALSE);

  /* then a batch fails that has it, without counting, and the window by itself fails once. */
  static const struct {
    guint n;
    gboolean done;
  } runs[] = { { 2, TRUE },  { 4, FALSE }, { 1, TRUE }, { 3, FALSE },
               { 1, FALSE }, { 1, TRUE },  { 4, TRUE } };
  for (guint i = 0; i < G_N_ELEMENTS (runs); i++) {
    g_autoptr (GError) error = NULL;
    g_assert_cmpint (f.backend->run (f.self, samples, runs[i].n, outputs, &cancel, &error), ==,
                     runs[i].done);
    if (runs[i].done)
      g_assert_no_error (error);
    else
      g_assert_error (error, CG_ERROR, CG_ERROR_COMPUTE);
  }
  for (guint i = 0; i < G_N_ELEMENTS (outputs); i++)
    g_free (outputs[i]);
  f.backend->sample_free (f.self, samples[0]);
  tear_down (&f);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/null/formula", test_formula);
  g_test_add_func ("/null/describe", test_describe);
  g_test_add_func ("/null/batch", test_batch);
  g_test_add_func ("/null/rgb", test_rgb);
  g_test_add_func ("/null/yuv", test_yuv);
  g_test_add_func ("/null/impossible-pictures", test_impossible_pictures);
  g_test_add_func ("/null/delay-and-cancel", test_delay_and_cancel);
  g_test_add_func ("/null/fail-at", test_fail_at);
  return g_test_run ();
}
