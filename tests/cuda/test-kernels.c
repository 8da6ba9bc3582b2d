/* Each kernel, run by the emulator forwards and backwards, against the same thing written plainly in double.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "device-memory.h"
#include "emulator/faulty.h"

static const CgCudaType types[] = { CG_CUDA_FP32, CG_CUDA_FP16, CG_CUDA_BF16 };

/* @error: of the kernel's own arithmetic. Rounding to the type comes on top. */
static void
check_value (const char *what, CgCudaType type, gsize at, gdouble got, gdouble expected,
             gdouble error)
{
  if (isnan (expected) ? isnan (got) : isinf (expected) ? got == expected : FALSE)
    return;
  if (!(fabs (got - expected) <= error + half_unit (type, expected)))
    g_error ("%s, %s: value %" G_GSIZE_FORMAT " is %.9g, expected %.9g within %.2g", what,
             type_name (type), at, got, expected, error);
}

/* ---- the emulator itself ---- */

static void
faulty (cudaError_t result, const char *expected)
{
  g_assert_cmpint (result, ==, cudaErrorLaunchFailure);
  if (!strstr (cg_emulator_error (), expected))
    g_error ("message '%s' lacks '%s'", cg_emulator_error (), expected);
}

static void
test_emulator (void)
{
  g_autoptr (Device) memory = device_new (8 * 64 * sizeof (int));
  g_autoptr (Device) forwards = NULL;
  int *out = memory;

  check_success (cg_faulty_barriers (0, 64, out), "barriers");
  faulty (cg_faulty_barriers (1, 64, out), "thread 5 has ended");
  faulty (cg_faulty_barriers (2, 64, out), "thread 1 waits at the barrier");
  check_success (cg_faulty_lanes (0, 64, out), "lanes");
  for (gint i = 0; i < 64; i++)
    g_assert_cmpint (out[i], ==, i ^ 1);
  faulty (cg_faulty_lanes (1, 64, out), "thread 3 has ended");
  faulty (cg_faulty_lanes (0, 40, out), "lanes");

  RUN (cg_faulty_memory (0, 8, 64, 256, out), out, 8 * 256);
  for (gint i = 0; i < 8 * 64; i++)
    g_assert_cmpint (out[i], ==, 63 - i % 64);
  check_success (cg_faulty_memory (1, 1, 64, 256, out), "no barrier");
  forwards = device_copy (out, 256);
  cg_emulator_set_backwards (TRUE);
  check_success (cg_faulty_memory (1, 1, 64, 256, out), "no barrier");
  cg_emulator_set_backwards (FALSE);
  g_assert_true (memcmp (out, forwards, 256) != 0);
  check_success (cg_faulty_memory (2, 2, 64, 256, out), "never written");
  g_assert_true (memcmp (out, out + 64, 256) != 0);

  g_assert_cmpint (cg_faulty_memory (0, 0, 64, 256, out), ==, cudaErrorInvalidConfiguration);
  g_assert_cmpint (cg_faulty_memory (0, 1, 1025, 8192, out), ==, cudaErrorInvalidConfiguration);
  g_assert_cmpint (cg_faulty_memory (0, 1, 64, 50000, out), ==, cudaErrorInvalidConfiguration);
  check_success (cg_faulty_memory (0, 8, 64, 256, out), "after all that");
}

static cudaError_t
keep (const CgEmulatorLaunch *launch, void *data)
{
  *(CgEmulatorLaunch **)data = cg_emulator_copy (launch);
  return cudaSuccess;
}

static void
test_hook (void)
{
  g_autoptr (Device) out = device_new (64 * sizeof (int));
  CgEmulatorLaunch *launch = NULL;

  memset (out, 0, 64 * sizeof (int));
  cg_emulator_set_hook (keep, &launch);
  check_success (cg_faulty_lanes (0, 64, out), "hooked");
  cg_emulator_set_hook (NULL, NULL);
  g_assert_cmpint (((int *)out)[0], ==, 0);
  g_assert_cmpstr (launch->kernel, ==, "lanes");
  check_success (cg_emulator_run (launch), "kept");
  g_assert_cmpint (((int *)out)[0], ==, 1);
  free (launch);
}

/* ---- patches ---- */

static void
test_gather (void)
{
  static const CgCudaPatches geometries[] = {
    { 16, 2, 48, 16, 1536 }, { 2, 1, 32, 8, 200 },   { 4, 2, 20, 4, 96 },
    { 6, 3, 15, 5, 231 },    { 8, 2, 64, 16, 1544 },
  };

  for (guint k = 0; k < G_N_ELEMENTS (geometries); k++)
    for (guint t = 0; t < G_N_ELEMENTS (types); t++) {
      const CgCudaPatches *g = &geometries[k];
      const guint windows = 3, side = g->image / g->patch;
      const guint times = g->frames / g->tubelet, tokens = times * side * side;
      const gsize bytes = 3 * (gsize)g->image * g->image;
      const gsize size = (gsize)windows * tokens * g->stride * type_size (types[t]);
      g_autoptr (GRand) random = g_rand_new_with_seed (k);
      g_autoptr (Device) samples = device_new (windows * g->frames * sizeof (guint8 *));
      g_autoptr (Device) out = device_new (size);
      guint8 **sample = samples;

      for (guint i = 0; i < windows * g->frames; i++) {
        /* The second window repeats a frame of the first. */
        if (i == g->frames) {
          sample[i] = sample[1];
          continue;
        }
        sample[i] = device_new (bytes);
        for (gsize b = 0; b < bytes; b++)
          sample[i][b] = (guint8)g_rand_int (random);
      }
      RUN (cg_cuda_gather_patches ((const uint8_t *const *)sample, windows, g, types[t], out, NULL),
           out, size);

      gsize at = 0;
      for (guint w = 0; w < windows; w++)
        for (guint time = 0; time < times; time++)
          for (guint row = 0; row < side; row++)
            for (guint column = 0; column < side; column++, at += g->stride) {
              gsize i = 0;
              for (guint f = 0; f < g->tubelet; f++)
                for (guint y = 0; y < g->patch; y++)
                  for (guint x = 0; x < g->patch; x++)
                    for (guint c = 0; c < 3; c++, i++) {
                      const guint8 *frame = sample[w * g->frames + time * g->tubelet + f];
                      const gsize pixel =
                          (row * g->patch + y) * (gsize)g->image + column * g->patch + x;
                      g_assert_cmpfloat (get (types[t], out, at + i), ==, frame[3 * pixel + c]);
                    }
              for (; i < g->stride; i++)
                g_assert_cmpfloat (get (types[t], out, at + i), ==, 0);
            }
      for (guint i = 0; i < windows * g->frames; i++)
        if (i != g->frames)
          free (sample[i]);
    }
}

/* ---- rows ---- */

static void
plain_layer_norm (const float *x, gsize width, gdouble eps, gdouble *out)
{
  gdouble mean = 0, variance = 0;

  for (gsize i = 0; i < width; i++)
    mean += x[i] / (gdouble)width;
  for (gsize i = 0; i < width; i++)
    variance += (x[i] - mean) * (x[i] - mean) / (gdouble)width;
  for (gsize i = 0; i < width; i++)
    out[i] = (x[i] - mean) / sqrt (variance + eps);
}

static void
test_layer_norm (void)
{
  static const guint shapes[][2] = {
    { 1, 24 },   { 3, 384 }, { 1568, 64 }, { 9, 768 },  { 5, 1024 }, { 2, 1280 }, { 17, 388 },
    { 3, 1284 }, { 3, 37 },  { 8, 1 },     { 11, 254 }, { 1, 1021 }, { 3, 32 },   { 7, 772 },
  };

  for (guint s = 0; s < G_N_ELEMENTS (shapes); s++)
    for (guint t = 0; t < G_N_ELEMENTS (types); t++) {
      const gsize rows = shapes[s][0], width = shapes[s][1], n = rows * width;
      g_autoptr (GRand) random = g_rand_new_with_seed (s);
      g_autoptr (Device) in = device_new (n * sizeof (float));
      g_autoptr (Device) out = device_new (n * type_size (types[t]));
      g_autofree gdouble *expected = g_new (gdouble, width);
      const float eps = s % 2 ? 1e-6f : 1e-12f;
      float *x = in;

      /* An offset that a variance of squares would not survive, and small numbers. */
      for (gsize i = 0; i < n; i++)
        x[i] = draw (random, i / width % 2 ? 100 : 0, i / width % 3 ? 1 : 1e-3);
      RUN (cg_cuda_layer_norm (x, rows, (guint)width, eps, types[t], out, NULL), out,
           n * type_size (types[t]));
      for (gsize r = 0; r < rows; r++) {
        /* The mean is off by a unit or two of the offset: that much of the deviation. */
        const gdouble error = r % 2 ? (r % 3 ? 4e-5 : 4e-2) : 4e-6;
        plain_layer_norm (x + r * width, width, eps, expected);
        for (gsize i = 0; i < width; i++)
          check_value ("LayerNorm", types[t], r * width + i, get (types[t], out, r * width + i),
                       expected[i], error);
      }
    }
}

/* Given rows with a NaN or an infinity, those rows are NaN and no others; a constant row is 0. */
static void
test_layer_norm_special (void)
{
  static const guint widths[] = { 64, 37, 768 };

  for (guint k = 0; k < G_N_ELEMENTS (widths); k++)
    for (guint t = 0; t < G_N_ELEMENTS (types); t++) {
      const gsize width = widths[k];
      g_autoptr (Device) in = device_new (4 * width * sizeof (float));
      g_autoptr (Device) out = device_new (4 * width * type_size (types[t]));
      float *x = in;

      for (gsize i = 0; i < 4 * width; i++)
        x[i] = i < 3 * width ? (float)i : 3;
      x[5] = NAN;
      x[width + width - 1] = -INFINITY;
      RUN (cg_cuda_layer_norm (x, 4, (guint)width, 1e-12f, types[t], out, NULL), out,
           4 * width * type_size (types[t]));
      for (gsize i = 0; i < 4 * width; i++) {
        const gdouble value = get (types[t], out, i);
        g_assert_true (i < 2 * width ? isnan (value) : isfinite (value));
        if (i >= 3 * width)
          g_assert_cmpfloat (value, ==, 0);
      }
    }
}

static gdouble
plain_gelu (gdouble x)
{
  return x / 2 * (1 + erf (x / sqrt (2)));
}

static void
test_gelu (void)
{
  static const guint shapes[][2] = { { 1, 96 },  { 3, 1536 }, { 1568, 64 }, { 9, 3072 },
                                     { 5, 100 }, { 33, 7 },   { 2, 1 },     { 2001, 3 } };

  for (guint s = 0; s < G_N_ELEMENTS (shapes); s++)
    for (guint t = 0; t < G_N_ELEMENTS (types); t++)
      for (guint with_bias = 0; with_bias < 2; with_bias++) {
        const gsize rows = shapes[s][0], columns = shapes[s][1], n = rows * columns;
        const gsize size = n * type_size (types[t]);
        g_autoptr (GRand) random = g_rand_new_with_seed (s);
        g_autoptr (Device) bias = device_new (columns * sizeof (float));
        g_autoptr (Device) h = device_new (size);
        g_autoptr (Device) in = NULL;

        for (gsize i = 0; i < columns; i++)
          ((float *)bias)[i] = draw (random, 0, 1);
        for (gsize i = 0; i < n; i++)
          put (types[t], h, i, draw (random, 0, 3));
        in = device_copy (h, size);
        RUN (cg_cuda_add_bias_gelu (types[t], h, rows, (guint)columns, with_bias ? bias : NULL,
                                    NULL),
             h, size);
        for (gsize i = 0; i < n; i++) {
          const gdouble x = get (types[t], in, i) + (with_bias ? ((float *)bias)[i % columns] : 0);
          check_value ("GELU", types[t], i, get (types[t], h, i), plain_gelu (x),
                       1e-6 * MAX (1, fabs (x)));
        }
      }
}

static void
test_gelu_special (void)
{
  for (guint t = 0; t < G_N_ELEMENTS (types); t++) {
    g_autoptr (Device) h = device_new (4 * type_size (types[t]));

    put (types[t], h, 0, NAN);
    put (types[t], h, 1, INFINITY);
    put (types[t], h, 2, -INFINITY);
    put (types[t], h, 3, -100);
    RUN (cg_cuda_add_bias_gelu (types[t], h, 1, 4, NULL, NULL), h, 4 * type_size (types[t]));
    g_assert_true (isnan (get (types[t], h, 0)));
    g_assert_cmpfloat (get (types[t], h, 1), ==, INFINITY);
    g_assert_true (isnan (get (types[t], h, 2)));
    g_assert_cmpfloat (get (types[t], h, 3), ==, 0);
  }
}

static void
test_softmax (void)
{
  static const guint shapes[][3] = { { 1, 24, 24 },     { 3, 1568, 1568 }, { 5, 196, 200 },
                                     { 1568, 27, 32 },  { 9, 27, 27 },     { 2, 1, 8 },
                                     { 4, 1565, 1568 }, { 3, 768, 771 } };

  for (guint s = 0; s < G_N_ELEMENTS (shapes); s++)
    for (guint t = 0; t < G_N_ELEMENTS (types); t++) {
      const gsize rows = shapes[s][0], columns = shapes[s][1], stride = shapes[s][2];
      const gsize n = rows * stride, size = n * type_size (types[t]);
      const float scale = s % 2 ? 0.6931472f : 0.125f;
      g_autoptr (GRand) random = g_rand_new_with_seed (s);
      g_autoptr (Device) scores = device_new (n * sizeof (float));
      g_autoptr (Device) out = device_new (size);
      g_autofree gdouble *p = g_new (gdouble, columns);
      float *in = scores;

      for (gsize i = 0; i < n; i++) {
        in[i] = draw (random, 20, 10);
        put (types[t], out, i, 7);
      }
      RUN (cg_cuda_softmax (types[t], in, rows, (guint)columns, (guint)stride, scale, out, NULL),
           out, size);
      for (gsize r = 0; r < rows; r++) {
        gdouble sum = 0;
        for (gsize i = 0; i < columns; i++)
          sum += p[i] = exp ((gdouble)scale * in[r * stride + i]);
        for (gsize i = 0; i < stride; i++) {
          const gdouble got = get (types[t], out, r * stride + i);
          if (i < columns)
            check_value ("softmax", types[t], r * stride + i, got, p[i] / sum, 4e-6 * p[i] / sum);
          else
            g_assert_cmpfloat (got, ==, 7);
        }
      }
      if (types[t] == CG_CUDA_FP32) {
        RUN (cg_cuda_softmax (types[t], in, rows, (guint)columns, (guint)stride, scale, in, NULL),
             in, size);
        for (gsize i = 0; i < n; i++)
          if (i % stride < columns)
            g_assert_cmpfloat (in[i], ==, ((float *)out)[i]);
      }
    }
}

static void
test_softmax_special (void)
{
  static const float rows[][3] = {
    { 1, NAN, 2 },       { 1, INFINITY, 2 },        { -INFINITY, -INFINITY, -INFINITY },
    { -INFINITY, 3, 3 }, { 3e38f, -3e38f, -3e38f },
  };

  for (guint t = 0; t < G_N_ELEMENTS (types); t++) {
    g_autoptr (Device) scores = device_copy (rows, sizeof rows);
    g_autoptr (Device) out = device_new (15 * type_size (types[t]));

    RUN (cg_cuda_softmax (types[t], scores, 5, 3, 3, 1, out, NULL), out, 15 * type_size (types[t]));
    for (guint i = 0; i < 9; i++)
      g_assert_true (isnan (get (types[t], out, i)));
    for (guint i = 9; i < 15; i++)
      g_assert_cmpfloat (get (types[t], out, i), ==, i == 9 ? 0 : i < 12 ? 0.5 : i == 12);
  }
}

static void
test_column_means (void)
{
  static const guint shapes[][3] = { { 1, 1568, 384 }, { 3, 27, 24 },   { 2, 1, 64 },
                                     { 8, 196, 66 },   { 2, 100, 33 },  { 1, 17, 1 },
                                     { 3, 16, 96 },    { 2, 1568, 100 } };

  for (guint s = 0; s < G_N_ELEMENTS (shapes); s++)
    for (guint t = 0; t < G_N_ELEMENTS (types); t++) {
      const gsize windows = shapes[s][0], tokens = shapes[s][1], columns = shapes[s][2];
      g_autoptr (GRand) random = g_rand_new_with_seed (s);
      g_autoptr (Device) in = device_new (windows * tokens * columns * type_size (types[t]));
      g_autoptr (Device) out = device_new (windows * columns * sizeof (float));

      for (gsize i = 0; i < windows * tokens * columns; i++)
        put (types[t], in, i, draw (random, 1, 1));
      RUN (cg_cuda_column_means (types[t], in, (guint)windows, (guint)tokens, (guint)columns, out,
                                 NULL),
           out, windows * columns * sizeof (float));
      for (gsize w = 0; w < windows; w++)
        for (gsize c = 0; c < columns; c++) {
          gdouble sum = 0;
          for (gsize i = 0; i < tokens; i++)
            sum += get (types[t], in, (w * tokens + i) * columns + c);
          check_value ("means", CG_CUDA_FP32, w * columns + c, ((float *)out)[w * columns + c],
                       sum / (gdouble)tokens, 1e-6);
        }
    }
}

/* ---- the tail ---- */

static void
test_affine (void)
{
  /* batch, outputs, inputs, x_stride more, y_stride more, floats that pointers are off 16 bytes */
  static const guint shapes[][6] = {
    { 1, 384, 1536, 0, 0, 0 }, { 8, 420, 384, 0, 0, 0 },   { 9, 16, 420, 4, 3, 0 },
    { 32, 24, 24, 0, 0, 0 },   { 3, 5, 37, 2, 1, 0 },      { 17, 1, 1, 0, 0, 0 },
    { 3, 7, 64, 0, 0, 1 },     { 2, 466, 420, 100, 9, 0 },
  };

  for (guint s = 0; s < G_N_ELEMENTS (shapes); s++)
    for (guint variant = 0; variant < 8; variant++) {
      const guint batch = shapes[s][0], outputs = shapes[s][1], inputs = shapes[s][2];
      const guint x_stride = inputs + shapes[s][3], y_stride = outputs + shapes[s][4];
      const guint off = shapes[s][5];
      const gboolean relu = variant & 1, with_bias = variant & 2, in_place = variant & 4;
      const gsize y_size = ((gsize)batch * y_stride) * sizeof (float);
      g_autoptr (GRand) random = g_rand_new_with_seed (s);
      g_autoptr (Device) weights = device_new (((gsize)outputs * inputs + off) * sizeof (float));
      g_autoptr (Device) biases = device_new (outputs * sizeof (float));
      g_autoptr (Device) xs = device_new (((gsize)batch * x_stride + off) * sizeof (float));
      g_autoptr (Device) residual = device_new (y_size);
      g_autoptr (Device) y = NULL;
      float *weight = (float *)weights + off, *bias = biases, *x = (float *)xs + off;

      for (gsize i = 0; i < (gsize)outputs * inputs; i++)
        weight[i] = draw (random, 0, 1 / sqrt (inputs));
      for (gsize i = 0; i < outputs; i++)
        bias[i] = draw (random, 0, 1);
      for (gsize i = 0; i < (gsize)batch * x_stride; i++)
        x[i] = draw (random, 0, 1);
      for (gsize i = 0; i < (gsize)batch * y_stride; i++)
        ((float *)residual)[i] = draw (random, 0, 1);
      y = device_copy (residual, y_size);
      RUN (cg_cuda_affine (weight, with_bias ? bias : NULL, outputs, inputs, x, x_stride,
                           in_place ? y : NULL, y, y_stride, batch, relu, NULL),
           y, y_size);
      for (guint b = 0; b < batch; b++)
        for (guint o = 0; o < y_stride; o++) {
          const gsize at = (gsize)b * y_stride + o;
          const float was = ((float *)residual)[at];
          gdouble sum = (with_bias && o < outputs ? bias[o] : 0) + (in_place ? was : 0);
          if (o >= outputs) {
            g_assert_cmpfloat (((float *)y)[at], ==, was);
            continue;
          }
          for (guint i = 0; i < inputs; i++)
            sum += (gdouble)weight[(gsize)o * inputs + i] * x[(gsize)b * x_stride + i];
          check_value ("affine", CG_CUDA_FP32, at, ((float *)y)[at], relu ? MAX (sum, 0) : sum,
                       3e-6);
        }
    }
}

/* Given NaN and infinities, max (0, .) hides none that is not below 0. */
static void
test_affine_special (void)
{
  static const float weights[] = { -1, NAN, 0.5f, -INFINITY, INFINITY }, one = 1;
  g_autoptr (Device) weight = device_copy (weights, sizeof weights);
  g_autoptr (Device) x = device_copy (&one, sizeof one);
  g_autoptr (Device) y = device_new (sizeof weights);
  float *got = y;

  RUN (cg_cuda_affine (weight, NULL, 5, 1, x, 1, NULL, got, 5, 1, TRUE, NULL), got, sizeof weights);
  g_assert_cmpfloat (got[0], ==, 0);
  g_assert_true (isnan (got[1]));
  g_assert_cmpfloat (got[2], ==, 0.5);
  g_assert_cmpfloat (got[3], ==, 0);
  g_assert_cmpfloat (got[4], ==, INFINITY);
}

static void
test_sca (void)
{
  static const CgCudaSca sca = { { 0.7f, -1.3f }, { 0.2f, -0.4f }, { 1.5f, -0.8f }, 0.3f };
  static const guint shapes[][2] = { { 1, 420 }, { 3, 24 }, { 2, 1 }, { 5, 37 }, { 33, 4 } };

  for (guint s = 0; s < G_N_ELEMENTS (shapes); s++) {
    const guint batch = shapes[s][0], labels = shapes[s][1], stride = labels + s;
    g_autoptr (GRand) random = g_rand_new_with_seed (s);
    g_autoptr (Device) logits = device_new ((gsize)batch * stride * sizeof (float));
    g_autoptr (Device) out = device_new ((gsize)batch * labels * sizeof (float));
    float *x = logits, *got = out;

    for (gsize i = 0; i < (gsize)batch * stride; i++)
      x[i] = draw (random, 2, s % 2 ? 30 : 3);
    RUN (cg_cuda_sca (x, stride, labels, &sca, out, batch, NULL), out,
         (gsize)batch * labels * sizeof (float));
    for (guint b = 0; b < batch; b++)
      for (guint i = 0; i < labels; i++) {
        const float *row = x + (gsize)b * stride;
        gdouble result = sca.delta;
        for (guint h = 0; h < 2; h++) {
          const gdouble t = (gdouble)row[i] * sca.alpha[h] + sca.beta[h];
          gdouble most = -INFINITY, sum = 0, moment = 0;
          for (guint j = 0; j < labels; j++)
            most = MAX (most, t * row[j]);
          for (guint j = 0; j < labels; j++) {
            sum += exp (t * row[j] - most);
            moment += exp (t * row[j] - most) * row[j];
          }
          result += sca.gamma[h] * moment / sum;
        }
        check_value ("SCA", CG_CUDA_FP32, (gsize)b * labels + i, got[(gsize)b * labels + i], result,
                     s % 2 ? 3e-3 : 3e-5);
      }
  }
}

static void
test_sca_special (void)
{
  static const CgCudaSca sca = { { 0.7f, -1.3f }, { 0.2f, -0.4f }, { 1.5f, -0.8f }, 0.3f };
  static const float bad[] = { NAN, INFINITY, -INFINITY };

  for (guint k = 0; k < G_N_ELEMENTS (bad); k++) {
    g_autoptr (Device) logits = device_new (80 * sizeof (float));
    g_autoptr (Device) out = device_new (80 * sizeof (float));
    float *x = logits, *got = out;

    for (guint i = 0; i < 80; i++)
      x[i] = (float)i / 8;
    x[47] = bad[k];
    RUN (cg_cuda_sca (x, 40, 40, &sca, out, 2, NULL), out, 80 * sizeof (float));
    for (guint i = 0; i < 80; i++)
      g_assert_true (i < 40 ? isfinite (got[i]) : isnan (got[i]));
  }
}

/* ---- helpers ---- */

static void
test_convert (void)
{
  static const float special[] = { 0,      -0.0f,    1,         65504, 65519,         65520,
                                   -1e9f,  INFINITY, -INFINITY, NAN,   5.9604645e-8f, 2.9e-8f,
                                   1e-20f, 1e-45f,   0.1f,      2049,  2051,          3e38f };

  for (guint t = 0; t < G_N_ELEMENTS (types); t++) {
    const gsize n = t == 1 ? 530001 : 5001; /* past one turn of the largest grid */
    g_autoptr (GRand) random = g_rand_new_with_seed (t);
    g_autoptr (Device) in = device_new (n * sizeof (float));
    g_autoptr (Device) out = device_new (n * type_size (types[t]));
    float *x = in;

    for (gsize i = 0; i < n; i++)
      x[i] = i < G_N_ELEMENTS (special) ? special[i]
                                        : draw (random, 0, ldexp (1, (gint)(i % 60) - 30));
    check_success (cg_cuda_convert (x, n, types[t], out, NULL), "convert");
    for (gsize i = 0; i < n; i++) {
      guint16 bits[2] = { 0 };
      put (types[t], bits, 0, x[i]);
      if (!isnan (x[i]) || !isnan (get (types[t], out, i)))
        g_assert_cmpmem (bits, type_size (types[t]), (guint8 *)out + i * type_size (types[t]),
                         type_size (types[t]));
    }
  }
}

static void
test_max_abs (void)
{
  static const gsize sizes[] = { 1, 31, 1000, 70007 };

  for (guint s = 0; s < G_N_ELEMENTS (sizes); s++)
    for (guint t = 0; t < G_N_ELEMENTS (types); t++) {
      const gsize n = sizes[s];
      g_autoptr (GRand) random = g_rand_new_with_seed (s);
      g_autoptr (Device) values = device_new (n * type_size (types[t]));
      float most = 0, *result = NULL;
      g_autoptr (Device) memory = device_new (sizeof (float));

      result = memory;
      for (gsize i = 0; i < n; i++) {
        put (types[t], values, i, draw (random, 0, 100));
        most = MAX (most, (float)fabs (get (types[t], values, i)));
      }
      *result = 0;
      RUN (cg_cuda_max_abs (types[t], values, n, result, NULL), result, sizeof (float));
      g_assert_cmpfloat (*result, ==, most);
      *result = 1e4f;
      check_success (cg_cuda_max_abs (types[t], values, n, result, NULL), "larger before");
      g_assert_cmpfloat (*result, ==, 1e4f);
      put (types[t], values, n - 1, -INFINITY);
      check_success (cg_cuda_max_abs (types[t], values, n, result, NULL), "infinity");
      g_assert_cmpfloat (*result, ==, INFINITY);
      put (types[t], values, n / 2, NAN);
      check_success (cg_cuda_max_abs (types[t], values, n, result, NULL), "NaN");
      g_assert_true (isnan (*result));
    }
}

/* Given arguments outside the contract, nothing is launched; given no rows, nothing is done. */
static void
test_arguments (void)
{
  g_autoptr (Device) memory = device_new (4096);
  const CgCudaPatches patches = { 4, 2, 16, 8, 384 };
  const CgCudaSca sca = { 0 };
  const CgCudaType type = CG_CUDA_FP16, none = (CgCudaType)3;
  const unsigned long before = cg_emulator_launches ();
  const uint8_t *const *samples = memory;
  float *m = memory;
  CgCudaPatches p;

#define REFUSED(call) g_assert_cmpint ((call), ==, cudaErrorInvalidValue)
#define NOTHING(call) g_assert_cmpint ((call), ==, cudaSuccess)
  p = patches;
  p.stride = 383;
  REFUSED (cg_cuda_gather_patches (samples, 1, &p, type, m, NULL));
  p = patches;
  p.patch = 7;
  REFUSED (cg_cuda_gather_patches (samples, 1, &p, type, m, NULL));
  p = patches;
  p.frames = 5;
  REFUSED (cg_cuda_gather_patches (samples, 1, &p, type, m, NULL));
  REFUSED (cg_cuda_gather_patches (samples, 1, &patches, none, m, NULL));
  REFUSED (cg_cuda_gather_patches (samples, 1, &patches, type, (char *)m + 2, NULL));
  REFUSED (cg_cuda_gather_patches (NULL, 1, &patches, type, m, NULL));
  NOTHING (cg_cuda_gather_patches (samples, 0, &patches, type, m, NULL));
  REFUSED (cg_cuda_layer_norm (m, 1, 0, 0, type, m, NULL));
  REFUSED (cg_cuda_layer_norm (m, 1, 8, 0, none, m, NULL));
  REFUSED (cg_cuda_layer_norm (m + 1, 1, 8, 0, type, m, NULL));
  REFUSED (cg_cuda_layer_norm (m, (gsize)1 << 40, 8, 0, type, m, NULL));
  NOTHING (cg_cuda_layer_norm (m, 0, 8, 0, type, m, NULL));
  REFUSED (cg_cuda_add_bias_gelu (type, NULL, 1, 8, m, NULL));
  REFUSED (cg_cuda_add_bias_gelu (none, m, 1, 8, m, NULL));
  NOTHING (cg_cuda_add_bias_gelu (type, m, 0, 8, m, NULL));
  REFUSED (cg_cuda_softmax (type, m, 1, 9, 8, 1, m + 64, NULL));
  REFUSED (cg_cuda_softmax (type, m, 1, 8, 8, 0, m + 64, NULL));
  REFUSED (cg_cuda_softmax (type, m, 1, 8, 8, NAN, m + 64, NULL));
  REFUSED (cg_cuda_softmax (type, m, 1, 8, 8, 1, m, NULL));
  NOTHING (cg_cuda_softmax (type, m, 0, 8, 8, 1, m + 64, NULL));
  REFUSED (cg_cuda_column_means (none, m, 1, 8, 8, m, NULL));
  REFUSED (cg_cuda_column_means (type, m, 1, 0, 8, m, NULL));
  NOTHING (cg_cuda_column_means (type, m, 0, 8, 8, m, NULL));
  REFUSED (cg_cuda_affine (m, m, 8, 8, m, 7, NULL, m, 8, 1, 0, NULL));
  REFUSED (cg_cuda_affine (m, m, 8, 8, m, 8, NULL, m, 7, 1, 0, NULL));
  NOTHING (cg_cuda_affine (m, m, 8, 8, m, 8, NULL, m, 8, 0, 0, NULL));
  REFUSED (cg_cuda_sca (m, 7, 8, &sca, m, 1, NULL));
  NOTHING (cg_cuda_sca (m, 8, 8, &sca, m, 0, NULL));
  REFUSED (cg_cuda_convert (m, 8, none, m, NULL));
  NOTHING (cg_cuda_convert (m, 0, type, m, NULL));
  REFUSED (cg_cuda_max_abs (type, NULL, 8, m, NULL));
  NOTHING (cg_cuda_max_abs (type, m, 0, m, NULL));
  g_assert_cmpuint (cg_emulator_launches (), ==, before);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/kernels/emulator", test_emulator);
  g_test_add_func ("/kernels/hook", test_hook);
  g_test_add_func ("/kernels/gather", test_gather);
  g_test_add_func ("/kernels/layer-norm", test_layer_norm);
  g_test_add_func ("/kernels/layer-norm-special", test_layer_norm_special);
  g_test_add_func ("/kernels/gelu", test_gelu);
  g_test_add_func ("/kernels/gelu-special", test_gelu_special);
  g_test_add_func ("/kernels/softmax", test_softmax);
  g_test_add_func ("/kernels/softmax-special", test_softmax_special);
  g_test_add_func ("/kernels/column-means", test_column_means);
  g_test_add_func ("/kernels/affine", test_affine);
  g_test_add_func ("/kernels/affine-special", test_affine_special);
  g_test_add_func ("/kernels/sca", test_sca);
  g_test_add_func ("/kernels/sca-special", test_sca_special);
  g_test_add_func ("/kernels/convert", test_convert);
  g_test_add_func ("/kernels/max-abs", test_max_abs);
  g_test_add_func ("/kernels/arguments", test_arguments);
  return g_test_run ();
}
