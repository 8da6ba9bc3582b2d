/* Every kernel of every instruction set that this CPU runs against the same formula in plain
 * double.
 *
 * Sizes are odd on purpose: no multiples of the tiles wherever kernels.h allows it. Errors are
 * given as normalised mean square error, sum (a-b)^2 / sum b^2, unless said otherwise. The plain
 * formula starts from the operands as the kernel sees them (rounded to bf16 where that is what it
 * takes), so what is left is how the kernel adds and rounds its result.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/cpu/kernels.h"
#include "model/cpu/pool.h"

/* fp32: sums of up to some thousand floats. bf16: the result is rounded to 8 bits (2^-9 at most,
 * squared, and a third of it on the average); the sum itself is float in both. */
#define FLOAT_NMSE 1e-12
#define BF16_NMSE 4e-6

typedef struct {
  const CgKernels *kernels;
  const char *name;
  GRand *random;
} Fixture;

/* ---- operands ---- */

static float
bf16_to_float (guint16 x)
{
  const guint32 bits = (guint32)x << 16;
  float f;

  memcpy (&f, &bits, sizeof f);
  return f;
}

static guint16
float_to_bf16 (float f)
{
  guint32 bits;

  memcpy (&bits, &f, sizeof bits);
  return (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
}

static gdouble
get (const CgKernels *k, const void *operands, gsize i)
{
  return k->operand_size == 4 ? ((const float *)operands)[i]
                              : bf16_to_float (((const guint16 *)operands)[i]);
}

static void
set (const CgKernels *k, void *operands, gsize i, gdouble x)
{
  if (k->operand_size == 4)
    ((float *)operands)[i] = x;
  else
    ((guint16 *)operands)[i] = float_to_bf16 (x);
}

static gsize
round_up (gsize n, gsize multiple)
{
  return (n + multiple - 1) / multiple * multiple;
}

/* Zeroed, on a 64-byte line, with room for vectors. */
static void *
new_operands (const CgKernels *k, gsize n)
{
  const gsize bytes = round_up (n * k->operand_size, 64);
  void *p = g_aligned_alloc (bytes, 1, 64);

  memset (p, 0, bytes);
  return p;
}

static float *
new_floats (Fixture *f, gsize n, gdouble size)
{
  float *p = g_aligned_alloc (round_up (n * sizeof (float), 64), 1, 64);

  for (gsize i = 0; i < n; i++)
    p[i] = size * g_rand_double_range (f->random, -1, 1);
  return p;
}

static void *
new_random_operands (Fixture *f, gsize n, gdouble size)
{
  void *p = new_operands (f->kernels, n);

  for (gsize i = 0; i < n; i++)
    set (f->kernels, p, i, size * g_rand_double_range (f->random, -1, 1));
  return p;
}

static gdouble
gelu (gdouble x)
{
  return x / 2 * (1 + erf (x / sqrt (2)));
}

/* ---- errors ---- */

typedef struct {
  gdouble difference, norm;
} Nmse;

static void
compare (Nmse *e, gdouble found, gdouble expected)
{
  e->difference += (found - expected) * (found - expected);
  e->norm += expected * expected;
}

static void
check (const Fixture *f, const char *what, const Nmse *e, gdouble bound)
{
  const gdouble nmse = e->difference / e->norm;

  g_test_message ("%s %s: NMSE %.1e, bound %.0e", f->name, what, nmse, bound);
  g_assert_cmpfloat (nmse, <=, bound);
}

static gdouble
operand_bound (const Fixture *f)
{
  return f->kernels->operand_size == 4 ? FLOAT_NMSE : BF16_NMSE;
}

/* ---- tests, each run for every table ---- */

/* Packed weights: panels of words, zeros where there is no weight. */
static void
test_pack_weight (Fixture *f)
{
  const CgKernels *k = f->kernels;
  const guint columns = k->panel + 5, inputs = 13, packed_inputs = 16, words = k->word_operands;
  g_autofree float *weight = g_new (float, columns *inputs);
  guint16 *packed = new_operands (k, 2 * k->panel * packed_inputs);

  /* Small whole numbers: exact in bf16 too. */
  for (guint i = 0; i < columns * inputs; i++)
    weight[i] = 1 + i % 251;
  k->pack_weight (weight, columns, inputs, packed_inputs, packed);

  for (guint c = 0; c < 2 * k->panel; c++)
    for (guint i = 0; i < packed_inputs; i++) {
      const gsize panel = c / k->panel * k->panel * packed_inputs;
      const gsize word = i / words * k->panel + c % k->panel;
      const gdouble expected = c < columns && i < inputs ? weight[c * inputs + i] : 0;

      g_assert_cmpfloat (get (k, packed, panel + word * words + i % words), ==, expected);
    }
  g_aligned_free (packed);
}

/* All epilogues; with a stride wider than the row, a part of the inputs, with and without bias. */
static void
test_linear (Fixture *f)
{
  const CgKernels *k = f->kernels;
  const guint rows = 3 * k->tile_rows, counted = 2 * k->tile_rows + 1;
  const guint all_inputs = 112, first_input = 48, inputs = 64;
  const guint real_columns = 3 * k->panel - 7, columns = 3 * k->panel;
  const gsize stride = all_inputs + 16, output_stride = columns + 16;
  float *weight = new_floats (f, real_columns * all_inputs, 0.3);
  float *bias = new_floats (f, columns, 1);
  void *input = new_random_operands (f, rows * stride, 2);
  char *packed = new_operands (k, columns * all_inputs);

  k->pack_weight (weight, real_columns, all_inputs, all_inputs, packed);
  for (guint c = real_columns; c < columns; c++)
    bias[c] = 0;

  for (guint epilogue = CG_EPILOGUE_STORE; epilogue <= CG_EPILOGUE_GELU_SUMS; epilogue++)
    for (guint with_bias = 0; with_bias < 2; with_bias++) {
      const gboolean floats = epilogue == CG_EPILOGUE_ADD || epilogue == CG_EPILOGUE_GELU_SUMS;
      float *residual = new_floats (f, rows * output_stride, 1);
      void *output = floats ? residual : new_operands (k, rows * output_stride);
      g_autofree float *before = g_memdup2 (residual, rows * output_stride * sizeof (float));
      g_autofree gdouble *sums = g_new0 (gdouble, rows / k->tile_rows * columns);
      g_autofree char *what =
          g_strdup_printf ("linear, epilogue %u, %s bias", epilogue, with_bias ? "with" : "no");
      Nmse e = { 0 };
      const CgLinearJob job = { .epilogue = epilogue,
                                .rows = rows,
                                .inputs = inputs,
                                .columns = columns,
                                .counted_rows = counted,
                                .input = (char *)input + first_input * k->operand_size,
                                .input_stride = stride,
                                .weight = packed + first_input * k->panel * k->operand_size,
                                .panel_stride = all_inputs * k->panel,
                                .bias = with_bias ? bias : NULL,
                                .output = output,
                                .output_stride = output_stride };

      k->linear (&job);
      for (guint r = 0; r < rows; r++)
        for (guint c = 0; c < columns; c++) {
          const gsize at = r * output_stride + c;
          gdouble y = with_bias ? bias[c] : 0;

          for (guint i = first_input; i < first_input + inputs && c < real_columns; i++) {
            float w = weight[c * all_inputs + i];
            y += get (k, input, r * stride + i) *
                 (k->operand_size == 4 ? w : bf16_to_float (float_to_bf16 (w)));
          }
          switch ((CgEpilogue)epilogue) {
          case CG_EPILOGUE_STORE:
            compare (&e, get (k, output, at), y);
            break;
          case CG_EPILOGUE_GELU:
            compare (&e, get (k, output, at), gelu (y));
            break;
          case CG_EPILOGUE_ADD:
            compare (&e, residual[at], before[at] + y);
            break;
          case CG_EPILOGUE_GELU_SUMS:
            if (r < counted)
              sums[r / k->tile_rows * columns + c] += gelu (y);
            break;
          }
        }
      if (epilogue == CG_EPILOGUE_GELU_SUMS)
        for (guint t = 0; t < rows / k->tile_rows; t++)
          for (guint c = 0; c < columns; c++)
            compare (&e, residual[t * output_stride + c], sums[t * columns + c]);
      check (f, what, &e, floats ? FLOAT_NMSE : operand_bound (f));

      /* Nothing is written beyond the columns. */
      if (epilogue == CG_EPILOGUE_ADD)
        for (guint r = 0; r < rows; r++)
          g_assert_cmpmem (residual + r * output_stride + columns, 16 * sizeof (float),
                           before + r * output_stride + columns, 16 * sizeof (float));
      if (output != (void *)residual)
        g_aligned_free (output);
      g_aligned_free (residual);
    }
  g_aligned_free (weight);
  g_aligned_free (bias);
  g_aligned_free (input);
  g_aligned_free (packed);
}

/* gelu over a sweep, through linear() with the identity as weight: error under 4e-7 |x| in fp32,
 * one rounding (2^-8 of the result) more in bf16. */
static void
test_gelu (Fixture *f)
{
  const CgKernels *k = f->kernels;
  const guint n = k->panel, rows = 100 * k->tile_rows;
  g_autofree float *identity = g_new0 (float, n *n);
  void *packed = new_operands (k, n * n);
  void *input = new_operands (k, rows * n), *output = new_operands (k, rows * n);
  gdouble worst = 0, worst_at = 0;

  for (guint i = 0; i < n; i++)
    identity[i * n + i] = 1;
  k->pack_weight (identity, n, n, n, packed);
  for (guint i = 0; i < rows * n; i++)
    set (k, input, i, -12 + 24. * i / (rows * n - 1));
  set (k, input, 0, -1e30);
  set (k, input, 1, 1e30);
  k->linear (&(CgLinearJob){ .epilogue = CG_EPILOGUE_GELU,
                             .rows = rows,
                             .inputs = n,
                             .columns = n,
                             .input = input,
                             .input_stride = n,
                             .weight = packed,
                             .panel_stride = n * n,
                             .output = output,
                             .output_stride = n });

  for (guint i = 0; i < rows * n; i++) {
    const gdouble x = get (k, input, i), expected = gelu (x);
    const gdouble rounding = k->operand_size == 4 ? 0 : fabs (expected) / 256;
    const gdouble error = (fabs (get (k, output, i) - expected) - rounding) / MAX (fabs (x), 1e-3);

    if (error > worst) {
      worst = error;
      worst_at = x;
    }
  }
  /* The two far ends, where Phi is 0 or 1. */
  g_assert_cmpfloat (fabs (get (k, output, 0)), <=, 2e-6);
  g_assert_cmpfloat (fabs (get (k, output, 1) / get (k, input, 1) - 1), <=, 4e-3);
  g_test_message ("%s gelu: error %.1e |x| at x = %g", f->name, worst, worst_at);
  g_assert_cmpfloat (worst, <=, 4e-7);
  g_aligned_free (packed);
  g_aligned_free (input);
  g_aligned_free (output);
}

/* One head against softmax in double. Queries of size @size make scores up to @size * head width /
 * 2; keys past
 * @tokens are huge, and must not matter. */
static void
check_attention (Fixture *f, guint tokens, guint head_width, gdouble size)
{
  const CgKernels *k = f->kernels;
  const guint room = round_up (tokens, k->key_tile);
  const gsize stride = head_width + 16;
  const guint words = k->word_operands;
  void *keys = new_random_operands (f, room * head_width, 1);
  void *values = new_operands (k, round_up (tokens, words) * head_width);
  void *queries = new_random_operands (f, k->queries * stride, size);
  g_autofree guint8 *before = g_memdup2 (queries, k->queries * stride * k->operand_size);
  void *scratch = g_aligned_alloc (k->attention_scratch, 1, 64);
  g_autofree gdouble *value = g_new (gdouble, tokens * head_width);
  g_autofree gdouble *score = g_new (gdouble, tokens);
  g_autofree char *what =
      g_strdup_printf ("attention, %u tokens, head of %u, queries to %g", tokens, head_width, size);
  gdouble largest = 0;
  Nmse e = { 0 };

  for (guint t = tokens; t < room; t++)
    for (guint d = 0; d < head_width; d++)
      set (k, keys, t * head_width + d, 1e3);
  for (guint t = 0; t < tokens; t++)
    for (guint d = 0; d < head_width; d++) {
      const gsize at = (t / words * head_width + d) * words + t % words;

      /* Off zero, so that the expected mean is not all cancellation. */
      set (k, values, at, 0.5 + g_rand_double_range (f->random, -1, 1));
      value[t * head_width + d] = get (k, values, at);
    }

  /* Scratch memory that an earlier job left behind. */
  memset (scratch, 0x7f, k->attention_scratch);
  k->attention (&(CgAttentionJob){ .tokens = tokens,
                                   .head_width = head_width,
                                   .keys = keys,
                                   .values = values,
                                   .queries = queries,
                                   .stride = stride,
                                   .scratch = scratch });

  for (guint q = 0; q < k->queries; q++) {
    gdouble maximum = -G_MAXDOUBLE, total = 0;

    for (guint t = 0; t < tokens; t++) {
      score[t] = 0;
      for (guint d = 0; d < head_width; d++)
        score[t] += get (k, before, q * stride + d) * get (k, keys, t * head_width + d);
      maximum = MAX (maximum, score[t]);
      largest = MAX (largest, fabs (score[t]));
    }
    for (guint t = 0; t < tokens; t++)
      total += score[t] = exp2 (score[t] - maximum);
    for (guint d = 0; d < head_width; d++) {
      gdouble sum = 0;

      for (guint t = 0; t < tokens; t++)
        sum += score[t] * value[t * head_width + d];
      compare (&e, get (k, queries, q * stride + d), sum / total);
    }
  }
  g_test_message ("%s scores to %.0f", f->name, largest);
  /* A score of s carries a float's relative rounding into the exponent: an error of s 2^-24 there.
   * */
  check (f, what, &e, k->operand_size == 4 ? MAX (FLOAT_NMSE, pow (largest * 1e-7, 2)) : 2e-5);

  /* The columns beside the head are left alone. */
  for (guint q = 0; q < k->queries; q++)
    g_assert_cmpmem ((guint8 *)queries + (q * stride + head_width) * k->operand_size,
                     16 * k->operand_size, before + (q * stride + head_width) * k->operand_size,
                     16 * k->operand_size);
  g_aligned_free (keys);
  g_aligned_free (values);
  g_aligned_free (queries);
  g_aligned_free (scratch);
}

static void
test_attention (Fixture *f)
{
  static const guint tokens[] = { 1, 2, 13, 14, 95, 96, 97, 111, 112, 113, 301 };

  for (guint i = 0; i < G_N_ELEMENTS (tokens); i++)
    check_attention (f, tokens[i], 24, 1);
  for (guint head_width = 4; head_width <= 128; head_width += 4)
    check_attention (f, 115, head_width, 0.5);
  /* Scores to +-80 and far more: one key takes all. */
  check_attention (f, 200, 64, 2.5);
  check_attention (f, 200, 64, 100);
}

/* Scores set by hand give softmax weights that show 2^x itself: keys x_t, a query of one, values
 * one-hot. */
static void
test_exp2 (Fixture *f)
{
  const CgKernels *k = f->kernels;
  const guint tokens = 128, head_width = 128, words = k->word_operands;
  void *keys = new_operands (k, round_up (tokens, k->key_tile) * head_width);
  void *values = new_operands (k, tokens * head_width);
  void *queries = new_operands (k, k->queries * head_width);
  void *scratch = g_aligned_alloc (k->attention_scratch, 1, 64);
  gdouble worst = 0;

  for (guint q = 0; q < k->queries; q++)
    set (k, queries, q * head_width, 1);
  for (guint t = 0; t < tokens; t++) {
    set (k, keys, t * head_width, -20. * t / tokens);
    set (k, values, (t / words * head_width + t) * words + t % words, 1);
  }
  k->attention (&(CgAttentionJob){ .tokens = tokens,
                                   .head_width = head_width,
                                   .keys = keys,
                                   .values = values,
                                   .queries = queries,
                                   .stride = head_width,
                                   .scratch = scratch });
  for (guint t = 1; t < tokens; t++) {
    const gdouble found = get (k, queries, t) / get (k, queries, 0);
    const gdouble expected = exp2 (get (k, keys, t * head_width));

    worst = MAX (worst, fabs (found / expected - 1));
  }
  g_test_message ("%s exp2: relative error %.1e", f->name, worst);
  /* fp32: 1e-7 of the polynomial and the roundings of some products. bf16: the probability, the
   * result and what it is divided by are each rounded to 2^-9, 5.9e-3 in all. */
  g_assert_cmpfloat (worst, <=, k->operand_size == 4 ? 4e-7 : 6.5e-3);
  g_aligned_free (keys);
  g_aligned_free (values);
  g_aligned_free (queries);
  g_aligned_free (scratch);
}

/* A score that is not a number makes the results of its query that, and no other's. */
static void
test_attention_nan (Fixture *f)
{
  const CgKernels *k = f->kernels;
  const guint tokens = 30, head_width = 8;
  void *keys = new_random_operands (f, round_up (tokens, k->key_tile) * head_width, 1);
  void *values = new_random_operands (f, round_up (tokens, 2) * head_width, 1);
  void *queries = new_random_operands (f, k->queries * head_width, 1);
  void *scratch = g_aligned_alloc (k->attention_scratch, 1, 64);

  set (k, queries, 3 * head_width + 1, NAN);
  k->attention (&(CgAttentionJob){ .tokens = tokens,
                                   .head_width = head_width,
                                   .keys = keys,
                                   .values = values,
                                   .queries = queries,
                                   .stride = head_width,
                                   .scratch = scratch });
  for (guint q = 0; q < k->queries; q++)
    for (guint d = 0; d < head_width; d++)
      g_assert_cmpint (!isnan (get (k, queries, q * head_width + d)), ==, q != 3);
  g_aligned_free (keys);
  g_aligned_free (values);
  g_aligned_free (queries);
  g_aligned_free (scratch);
}

static void
test_layer_norm (Fixture *f)
{
  static const guint widths[] = { 32, 48, 80, 384, 1280 };
  const CgKernels *k = f->kernels;
  const guint rows = 6;

  for (guint w = 0; w < G_N_ELEMENTS (widths); w++)
    for (guint large_eps = 0; large_eps < 2; large_eps++) {
      const guint width = widths[w], stride = width + 16;
      const gdouble eps = large_eps ? 1e-2 : 1e-12;
      float *input = new_floats (f, rows * stride, 3);
      void *output = new_operands (k, rows * stride);
      Nmse e = { 0 };

      /* A row far off zero, where the variance is small beside the mean, and a row of zeros. */
      for (guint i = 0; i < width; i++) {
        input[stride + i] += 50;
        input[2 * stride + i] = 0;
      }
      k->layer_norm (input, stride, rows, width, eps, output, stride);
      for (guint r = 0; r < rows; r++) {
        gdouble mean = 0, variance = 0;

        for (guint i = 0; i < width; i++)
          mean += input[r * stride + i] / width;
        for (guint i = 0; i < width; i++)
          variance += pow (input[r * stride + i] - mean, 2) / width;
        for (guint i = 0; i < width; i++)
          compare (&e, get (k, output, r * stride + i),
                   (input[r * stride + i] - mean) / sqrt (variance + eps));
      }
      check (f, "layer_norm", &e, k->operand_size == 4 ? 1e-11 : BF16_NMSE);
      g_aligned_free (input);
      g_aligned_free (output);
    }
}

static void
test_scatter (Fixture *f)
{
  const CgKernels *k = f->kernels;
  const guint heads = 3, head_width = 12, rows = 7, first = 4, tokens = 20,
              words = k->word_operands;
  const gsize stride = heads * head_width + 16;
  void *input = new_random_operands (f, rows * stride, 1);
  void *keys = new_operands (k, heads * tokens * head_width);
  void *values = new_operands (k, heads * tokens * head_width);

  k->scatter_keys (input, stride, rows, first, tokens, heads, head_width, keys);
  k->scatter_values (input, stride, rows, first, tokens, heads, head_width, values);
  for (guint head = 0; head < heads; head++)
    for (guint t = 0; t < tokens; t++)
      for (guint d = 0; d < head_width; d++) {
        const gsize start = head * tokens * head_width;
        const gboolean given = t >= first && t < first + rows;
        const gdouble expected =
            given ? get (k, input, (t - first) * stride + head * head_width + d) : 0;

        g_assert_cmpfloat (get (k, keys, start + t * head_width + d), ==, expected);
        g_assert_cmpfloat (
            get (k, values, start + (t / words * head_width + d) * words + t % words), ==,
            expected);
      }
  g_aligned_free (input);
  g_aligned_free (keys);
  g_aligned_free (values);
}

static void
test_widen (Fixture *f)
{
  const CgKernels *k = f->kernels;
  guint8 bytes[256];
  void *out = new_operands (k, 256);

  for (guint i = 0; i < 256; i++)
    bytes[i] = i;
  k->widen (bytes, 256, out);
  for (guint i = 0; i < 256; i++)
    g_assert_cmpfloat (get (k, out, i), ==, i);
  g_aligned_free (out);
}

static void
test_matvec (Fixture *f)
{
  const CgKernels *k = f->kernels;

  for (guint columns = 1; columns < 80; columns += 6) {
    const guint rows = 5;
    float *weight = new_floats (f, rows * columns, 1), *bias = new_floats (f, rows, 1);
    float *input = new_floats (f, columns, 1);
    float output[5];
    Nmse e = { 0 };

    k->matvec (weight, bias, input, rows, columns, output);
    for (guint r = 0; r < rows; r++) {
      gdouble y = bias[r];

      for (guint i = 0; i < columns; i++)
        y += (gdouble)weight[r * columns + i] * input[i];
      compare (&e, output[r], y);
    }
    check (f, "matvec", &e, FLOAT_NMSE);
    g_aligned_free (weight);
    g_aligned_free (bias);
    g_aligned_free (input);
  }
}

static void
test_column_sums (Fixture *f)
{
  const CgKernels *k = f->kernels;
  const guint rows = 7, columns = 48, stride = 64;
  float *input = new_floats (f, rows * stride, 1);
  float output[48];
  Nmse e = { 0 };

  k->column_sums (input, stride, rows, columns, output);
  for (guint c = 0; c < columns; c++) {
    gdouble sum = 0;

    for (guint r = 0; r < rows; r++)
      sum += input[r * stride + c];
    compare (&e, output[c], sum);
  }
  check (f, "column_sums", &e, FLOAT_NMSE);
  g_aligned_free (input);
}

/* ---- instruction sets ---- */

static void
test_names (void)
{
  const char *const *names = cg_cpu_isa_names ();
  CgIsa isa;

  g_assert_true (cg_isa_supported (CG_ISA_SSE2));
  g_assert_true (cg_isa_supported (cg_isa_best ()));
  g_assert_cmpint (cg_isa_best (), !=, CG_ISA_AVX512BF16_EMULATED);
  for (guint i = 0; names[i] != NULL; i++) {
    g_autoptr (GError) error = NULL;
    const gboolean supported = cg_cpu_isa_supported (names[i]);

    g_assert_cmpint (cg_isa_from_name (names[i], &isa, &error), ==, supported);
    if (supported)
      g_assert_cmpstr (cg_isa_name (isa), ==, names[i]);
    else
      g_assert_error (error, CG_ERROR, CG_ERROR_UNSUPPORTED);
  }
  g_assert_false (cg_cpu_isa_supported ("avx1024"));
  g_assert_true (cg_isa_from_name (NULL, &isa, NULL));
  g_assert_cmpint (isa, ==, cg_isa_best ());
}

/* ---- pool ---- */

typedef struct {
  gint done[300];
  gint largest_worker;
} Jobs;

static void
count_job (gpointer data, guint job, guint worker)
{
  Jobs *jobs = data;

  g_atomic_int_inc (&jobs->done[job]);
  for (gint largest = g_atomic_int_get (&jobs->largest_worker);
       largest < (gint)worker &&
       !g_atomic_int_compare_and_exchange (&jobs->largest_worker, largest, worker);)
    largest = g_atomic_int_get (&jobs->largest_worker);
}

/* Thousands of stages of all sizes: every job is done once before cg_pool_run() returns. */
static void
test_pool (gconstpointer data)
{
  const guint threads = GPOINTER_TO_UINT (data);
  g_autoptr (GError) error = NULL;
  CgPool *pool = cg_pool_new (threads, &error);

  g_assert_no_error (error);
  if (threads > 0)
    g_assert_cmpuint (cg_pool_threads (pool), ==, threads);
  for (guint round = 0; round < 3000; round++) {
    const guint n = round % G_N_ELEMENTS (((Jobs *)NULL)->done);
    Jobs jobs = { 0 };

    cg_pool_run (pool, n, count_job, &jobs);
    for (guint i = 0; i < G_N_ELEMENTS (jobs.done); i++)
      g_assert_cmpint (jobs.done[i], ==, i < n);
    g_assert_cmpint (jobs.largest_worker, <, cg_pool_threads (pool));
    /* Now and then long enough for the threads to fall asleep. */
    if (round % 100 == 99)
      g_usleep (500);
  }
  cg_pool_free (pool);
}

/* ---- */

static const struct {
  const char *name;
  void (*test) (Fixture *f);
} tests[] = {
  { "pack-weight", test_pack_weight },
  { "linear", test_linear },
  { "gelu", test_gelu },
  { "attention", test_attention },
  { "exp2", test_exp2 },
  { "attention-nan", test_attention_nan },
  { "layer-norm", test_layer_norm },
  { "scatter", test_scatter },
  { "widen", test_widen },
  { "matvec", test_matvec },
  { "column-sums", test_column_sums },
};

typedef struct {
  CgIsa isa;
  gboolean bf16;
  guint test;
} Case;

static void
run_case (gconstpointer data)
{
  const Case *c = data;
  Fixture f = { .name = cg_isa_name (c->isa) };

  if (!cg_isa_supported (c->isa)) {
    g_test_skip ("this CPU does not have it");
    return;
  }
  f.kernels = cg_kernels_get (c->isa, c->bf16);
  f.random = g_rand_new_with_seed (c->test + 1);
  tests[c->test].test (&f);
  g_rand_free (f.random);
}

int
main (int argc, char **argv)
{
  static const guint threads[] = { 0, 1, 2, 3, 9 };

  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/kernels/names", test_names);
  for (guint i = 0; i < G_N_ELEMENTS (threads); i++) {
    g_autofree char *path = g_strdup_printf ("/kernels/pool/%u", threads[i]);

    g_test_add_data_func (path, GUINT_TO_POINTER (threads[i]), test_pool);
  }
  for (guint isa = 0; isa < CG_ISA_COUNT; isa++)
    for (gboolean bf16 = FALSE; bf16 <= TRUE; bf16++) {
      /* The bf16 sets take their fp32 kernels from AVX-512. */
      if (cg_kernels_get (isa, bf16) == NULL || bf16 != cg_isa_has_bf16 (isa))
        continue;
      for (guint i = 0; i < G_N_ELEMENTS (tests); i++) {
        g_autofree char *path =
            g_strdup_printf ("/kernels/%s/%s", cg_isa_name (isa), tests[i].name);
        Case *c = g_new (Case, 1);

        *c = (Case){ isa, bf16, i };
        g_test_add_data_func_full (path, c, run_case, g_free);
      }
    }
  return g_test_run ();
}
