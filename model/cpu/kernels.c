/* The operators of the CPU engine (kernels.h). Built once for each instruction set and kind of
 * operand.
 *
 * Matrix products keep a tile of TILE_ROWS x 2 vectors of sums in registers; what they read is
 * broadcast from plain rows on one side and comes from packed panels on the other. 14 x 2 of the 32
 * registers of AVX-512, or 6 x 2 of the 16 of AVX2 and SSE2, leave room for the panel's two vectors
 * and one broadcast: enough independent sums to cover the latency of the FMA units, and fewer loads
 * than multiplications.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "kernels.h"
#include "operand.h"

#include <float.h>

#define PANEL (2 * LANES)
#define QUERIES (2 * LANES)

#ifdef __AVX512F__
#define TILE_ROWS 14
#define KEY_BLOCK (4 * TILE_ROWS * WORD_OPERANDS)
#define LARGEST_DIMS 12
#define MIDDLE_DIMS 8
#else
#define TILE_ROWS 6
#define KEY_BLOCK (8 * TILE_ROWS)
#define LARGEST_DIMS 6
#define MIDDLE_DIMS 4
#endif

#define MAX_HEAD_WIDTH 128

/* ---- matrix product ---- */

static void
pack_weight (const float *weight, guint columns, guint inputs, guint packed_inputs, void *packed)
{
  Operand *p = packed;

  for (guint c0 = 0; c0 < columns; c0 += PANEL)
    for (guint k0 = 0; k0 < packed_inputs; k0 += WORD_OPERANDS)
      for (guint c = c0; c < c0 + PANEL; c++)
        for (guint k = k0; k < k0 + WORD_OPERANDS; k++)
          *p++ = c < columns && k < inputs ? operand (weight[(gsize)c * inputs + k]) : 0;
}

/* @y = the tile's sums of @words products: rows of @input at @stride, one panel of @weight. */
ALWAYS_INLINE void
linear_tile (const Word *input, gsize stride, const Word *weight, gsize words,
             Vector y[TILE_ROWS][2])
{
  Vector sum[TILE_ROWS][2];

  UNROLL
  for (guint i = 0; i < TILE_ROWS; i++)
    sum[i][0] = sum[i][1] = (Vector){ 0 };

  for (gsize k = 0; k < words; k++) {
    WordVector w0 = *(const WordVectorAt *)(weight + k * PANEL);
    WordVector w1 = *(const WordVectorAt *)(weight + k * PANEL + LANES);

    UNROLL
    for (guint i = 0; i < TILE_ROWS; i++) {
      Word a = input[i * stride + k];
      sum[i][0] = multiply_add (sum[i][0], a, w0);
      sum[i][1] = multiply_add (sum[i][1], a, w1);
    }
  }

  UNROLL
  for (guint i = 0; i < TILE_ROWS; i++) {
    y[i][0] = sum[i][0];
    y[i][1] = sum[i][1];
  }
}

static void
linear (const CgLinearJob *job)
{
  const gsize input_words = job->input_stride / WORD_OPERANDS;
  Vector y[TILE_ROWS][2];

  for (guint column = 0; column < job->columns; column += PANEL) {
    const Operand *panel = (const Operand *)job->weight + column / PANEL * job->panel_stride;
    Vector bias0 = { 0 }, bias1 = { 0 };

    if (job->bias != NULL) {
      bias0 = vector_load (job->bias + column);
      bias1 = vector_load (job->bias + column + LANES);
    }

    for (guint row = 0; row < job->rows; row += TILE_ROWS) {
      linear_tile ((const Word *)job->input + row * input_words, input_words, (const Word *)panel,
                   job->inputs / WORD_OPERANDS, y);

      switch (job->epilogue) {
      case CG_EPILOGUE_STORE: {
        Operand *out = (Operand *)job->output + row * job->output_stride + column;

        for (guint i = 0; i < TILE_ROWS; i++, out += job->output_stride) {
          operand_store (out, y[i][0] + bias0);
          operand_store (out + LANES, y[i][1] + bias1);
        }
        break;
      }
      case CG_EPILOGUE_GELU: {
        Operand *out = (Operand *)job->output + row * job->output_stride + column;

        for (guint i = 0; i < TILE_ROWS; i++, out += job->output_stride) {
          operand_store (out, vector_gelu (y[i][0] + bias0));
          operand_store (out + LANES, vector_gelu (y[i][1] + bias1));
        }
        break;
      }
      case CG_EPILOGUE_ADD: {
        float *out = (float *)job->output + row * job->output_stride + column;

        for (guint i = 0; i < TILE_ROWS; i++, out += job->output_stride) {
          vector_store (out, vector_load (out) + (y[i][0] + bias0));
          vector_store (out + LANES, vector_load (out + LANES) + (y[i][1] + bias1));
        }
        break;
      }
      case CG_EPILOGUE_GELU_SUMS: {
        float *out = (float *)job->output + row / TILE_ROWS * job->output_stride + column;
        Vector sum0 = { 0 }, sum1 = { 0 };

        for (guint i = 0; i < TILE_ROWS && row + i < job->counted_rows; i++) {
          sum0 += vector_gelu (y[i][0] + bias0);
          sum1 += vector_gelu (y[i][1] + bias1);
        }
        vector_store (out, sum0);
        vector_store (out + LANES, sum1);
        break;
      }
      }
    }
  }
}

/* ---- attention ----
 *
 * Queries lie in the lanes: scores are S^T = K Q^T, so the maximum, the sum and every rescaling are
 * one value for each lane, no lane ever talks to another, and heads of any width pack without
 * waste. Keys come in blocks whose scores stay in the first-level cache; probabilities overwrite
 * them. */

typedef struct {
  WordVector query[MAX_HEAD_WIDTH / WORD_OPERANDS][2];
  Vector score[KEY_BLOCK][2];
  Vector result[MAX_HEAD_WIDTH][2];
} Scratch;

/* Scores of TILE_ROWS keys; @maximum rises over the first @valid of them. */
ALWAYS_INLINE void
score_tile (const Word *keys, WordVector (*query)[2], gsize words, guint valid, Vector (*score)[2],
            Vector maximum[2])
{
  Vector sum[TILE_ROWS][2];

  UNROLL
  for (guint i = 0; i < TILE_ROWS; i++)
    sum[i][0] = sum[i][1] = (Vector){ 0 };

  for (gsize k = 0; k < words; k++) {
    WordVector q0 = query[k][0], q1 = query[k][1];

    UNROLL
    for (guint i = 0; i < TILE_ROWS; i++) {
      Word a = keys[i * words + k];
      sum[i][0] = multiply_add (sum[i][0], a, q0);
      sum[i][1] = multiply_add (sum[i][1], a, q1);
    }
  }

  UNROLL
  for (guint i = 0; i < TILE_ROWS; i++) {
    score[i][0] = sum[i][0];
    score[i][1] = sum[i][1];
  }

  if (valid >= TILE_ROWS) {
    UNROLL
    for (guint i = 0; i < TILE_ROWS; i++) {
      maximum[0] = vector_max (maximum[0], sum[i][0]);
      maximum[1] = vector_max (maximum[1], sum[i][1]);
    }
  } else {
    for (guint i = 0; i < valid; i++) {
      maximum[0] = vector_max (maximum[0], score[i][0]);
      maximum[1] = vector_max (maximum[1], score[i][1]);
    }
  }
}

/* Scores of @n keys become words of probabilities, in place; @total grows by their sums. */
ALWAYS_INLINE void
probabilities (Vector (*score)[2], guint n, const Vector maximum[2], Vector total[2])
{
  for (guint j = 0; j < 2; j++) {
    Vector top = maximum[j], sum = { 0 };

#if WORD_OPERANDS == 1
    for (guint k = 0; k < n; k++) {
      score[k][j] = vector_exp2 (score[k][j] - top);
      sum += score[k][j];
    }
#else
    WordVector (*word)[2] = (WordVector (*)[2])score;
    guint k;

    for (k = 0; k + 1 < n; k += 2) {
      Vector low = vector_exp2_coarse (score[k][j] - top);
      Vector high = vector_exp2_coarse (score[k + 1][j] - top);

      sum += low + high;
      word[k / 2][j] = word_pair (low, high);
    }
    if (k < n) {
      Vector low = vector_exp2_coarse (score[k][j] - top);

      sum += low;
      word[k / 2][j] = word_pair (low, (Vector){ 0 });
    }
#endif
    total[j] += sum;
  }
}

/* @result = @result * @scale + sum over @words words of keys of value times probability, for @dims
 * dimensions of the head; @dims is a constant where this is called. */
ALWAYS_INLINE void
value_tile (const Word *values, gsize head_width, WordVector (*probability)[2], gsize words,
            const Vector scale[2], Vector (*result)[2], const guint dims)
{
  Vector sum[LARGEST_DIMS][2];

  UNROLL
  for (guint d = 0; d < dims; d++) {
    sum[d][0] = result[d][0] * scale[0];
    sum[d][1] = result[d][1] * scale[1];
  }

  for (gsize k = 0; k < words; k++, values += head_width) {
    WordVector p0 = probability[k][0], p1 = probability[k][1];

    UNROLL
    for (guint d = 0; d < dims; d++) {
      sum[d][0] = multiply_add (sum[d][0], values[d], p0);
      sum[d][1] = multiply_add (sum[d][1], values[d], p1);
    }
  }

  UNROLL
  for (guint d = 0; d < dims; d++) {
    result[d][0] = sum[d][0];
    result[d][1] = sum[d][1];
  }
}

static void
load_queries (const CgAttentionJob *job, Scratch *scratch)
{
  const gsize words = job->head_width / WORD_OPERANDS;
  const gsize stride = job->stride / WORD_OPERANDS;
  const Word *row = job->queries;
  Word *lanes = (Word *)scratch->query;

  for (gsize q = 0; q < QUERIES; q++, row += stride)
    for (gsize k = 0; k < words; k++)
      lanes[k * QUERIES + q] = row[k];
}

static void
store_result (const CgAttentionJob *job, Scratch *scratch, const Vector total[2])
{
  const gsize words = job->head_width / WORD_OPERANDS;
  const gsize stride = job->stride / WORD_OPERANDS;
  const Vector inverse[2] = { 1.f / total[0], 1.f / total[1] };
  WordVector lanes[2];

  for (gsize k = 0; k < words; k++) {
    Vector (*result)[2] = scratch->result + k * WORD_OPERANDS;
    const Word *lane = (const Word *)lanes;
    Word *out = (Word *)job->queries + k;

    for (guint j = 0; j < 2; j++)
#if WORD_OPERANDS == 1
      lanes[j] = result[0][j] * inverse[j];
#else
      lanes[j] = word_pair (result[0][j] * inverse[j], result[1][j] * inverse[j]);
#endif
    for (gsize q = 0; q < QUERIES; q++)
      out[q * stride] = lane[q];
  }
}

/* Probabilities far below the largest are subnormal; computing with those is a hundred times slower
 * on some processors, and they change nothing. */
ALWAYS_INLINE guint
flush_subnormals (void)
{
#ifdef __x86_64__
  const guint before = _mm_getcsr ();

  /* Results become zero; 0x40: operands are taken as zero. */
  _mm_setcsr (before | _MM_FLUSH_ZERO_ON | 0x40);
  return before;
#else
  return 0;
#endif
}

ALWAYS_INLINE void
restore_subnormals (guint before)
{
#ifdef __x86_64__
  _mm_setcsr (before);
#endif
}

static void
attention (const CgAttentionJob *job)
{
  const gsize head_width = job->head_width;
  const gsize words = head_width / WORD_OPERANDS;
  Scratch *scratch = job->scratch;
  Vector maximum[2] = { vector_set (-FLT_MAX), vector_set (-FLT_MAX) };
  Vector total[2] = { { 0 }, { 0 } };
  const guint subnormals = flush_subnormals ();

  load_queries (job, scratch);
  memset (scratch->result, 0, head_width * sizeof scratch->result[0]);

  for (guint first = 0; first < job->tokens; first += KEY_BLOCK) {
    const guint n = MIN (KEY_BLOCK, job->tokens - first);
    const Word *keys = (const Word *)job->keys + (gsize)first * words;
    const Word *values = (const Word *)job->values + (gsize)first / WORD_OPERANDS * head_width;
    WordVector (*probability)[2] = (WordVector (*)[2])scratch->score;
    Vector scale[2] = { maximum[0], maximum[1] };

    for (guint k = 0; k < n; k += TILE_ROWS)
      score_tile (keys + k * words, scratch->query, words, n - k, scratch->score + k, maximum);

    for (guint j = 0; j < 2; j++) {
      scale[j] = vector_exp2 (scale[j] - maximum[j]);
      total[j] *= scale[j];
    }
    probabilities (scratch->score, n, maximum, total);

    const guint pairs = (n + WORD_OPERANDS - 1) / WORD_OPERANDS;
    for (gsize d = 0; d < head_width;) {
      const gsize rest = head_width - d;

      /* Head widths are multiples of 4: these come out even. */
      if (rest >= LARGEST_DIMS && rest != 2 * MIDDLE_DIMS) {
        value_tile (values + d, head_width, probability, pairs, scale, scratch->result + d,
                    LARGEST_DIMS);
        d += LARGEST_DIMS;
      } else if (rest >= MIDDLE_DIMS) { /* NOLINT(bugprone-branch-clone): 8 or 4 */
        value_tile (values + d, head_width, probability, pairs, scale, scratch->result + d,
                    MIDDLE_DIMS);
        d += MIDDLE_DIMS;
      } else {
        value_tile (values + d, head_width, probability, pairs, scale, scratch->result + d, 4);
        d += 4;
      }
    }
  }
  store_result (job, scratch, total);
  restore_subnormals (subnormals);
}

/* Keys of each head lie together, so that a head's share of the rows streams through the cache. */
static void
scatter_keys (const void *input, gsize stride, guint rows, guint first, guint tokens, guint heads,
              guint head_width, void *output)
{
  const gsize room = (gsize)tokens * head_width;

  for (gsize row = 0; row < rows; row++) {
    const Operand *in = (const Operand *)input + row * stride;
    Operand *out = (Operand *)output + (first + row) * head_width;

    for (guint head = 0; head < heads; head++, in += head_width, out += room)
      operands_copy (out, in, head_width);
  }
}

static void
scatter_values (const void *input, gsize stride, guint rows, guint first, guint tokens, guint heads,
                guint head_width, void *output)
{
#if WORD_OPERANDS == 1
  scatter_keys (input, stride, rows, first, tokens, heads, head_width, output);
#else
  const gsize room = (gsize)tokens * head_width / 2;

  for (gsize row = 0; row < rows; row += 2) {
    const Operand *in = (const Operand *)input + row * stride;
    Word *out = (Word *)output + (first + row) / 2 * head_width;

    for (guint head = 0; head < heads; head++, in += head_width, out += room)
      operands_pair (out, in, row + 1 < rows ? in + stride : NULL, head_width);
  }
#endif
}

/* ---- rows ---- */

/* Two rows at a time: each is one chain of additions. */
static void
layer_norm (const float *input, gsize input_stride, guint rows, guint width, float eps,
            void *output, gsize output_stride)
{
  Operand *out = output;

  for (guint row = 0; row < rows; row += 2, input += 2 * input_stride, out += 2 * output_stride) {
    const float *const in[2] = { input, input + input_stride };
    Vector sum[2] = { { 0 }, { 0 } }, squares[2] = { { 0 }, { 0 } };
    float mean[2], scale[2];

    for (gsize i = 0; i < width; i += LANES)
      for (guint r = 0; r < 2; r++)
        sum[r] += vector_load (in[r] + i);
    for (guint r = 0; r < 2; r++)
      mean[r] = vector_sum (sum[r]) / (float)width;

    for (gsize i = 0; i < width; i += LANES)
      for (guint r = 0; r < 2; r++) {
        Vector x = vector_load (in[r] + i) - mean[r];
        squares[r] += x * x;
      }
    for (guint r = 0; r < 2; r++)
      scale[r] = 1.f / sqrtf (vector_sum (squares[r]) / (float)width + eps);

    for (gsize i = 0; i < width; i += LANES)
      for (guint r = 0; r < 2; r++)
        operand_store (out + r * output_stride + i, (vector_load (in[r] + i) - mean[r]) * scale[r]);
  }
}

static void
widen (const guint8 *input, guint n, void *output)
{
  Operand *out = output;

  for (guint i = 0; i < n; i++)
    out[i] = operand ((float)input[i]);
}

static void
column_sums (const float *input, gsize stride, guint rows, guint columns, float *output)
{
  for (guint i = 0; i < columns; i += LANES) {
    Vector sum = { 0 };

    for (guint row = 0; row < rows; row++)
      sum += vector_load (input + row * stride + i);
    vector_store (output + i, sum);
  }
}

static void
matvec (const float *weight, const float *bias, const float *input, guint rows, guint columns,
        float *output)
{
  for (guint row = 0; row < rows; row++, weight += columns) {
    Vector sum[2] = { { 0 }, { 0 } };
    float rest = 0;
    guint i = 0;

    for (; i + 2 * LANES <= columns; i += 2 * LANES) {
      sum[0] += vector_load (weight + i) * vector_load (input + i);
      sum[1] += vector_load (weight + i + LANES) * vector_load (input + i + LANES);
    }
    for (; i < columns; i++)
      rest += weight[i] * input[i];
    output[row] = bias[row] + (vector_sum (sum[0] + sum[1]) + rest);
  }
}

extern const CgKernels CG_ISA_NAME (kernels);

const CgKernels CG_ISA_NAME (kernels) = {
  .operand_size = sizeof (Operand),
  .word_operands = WORD_OPERANDS,
  .tile_rows = TILE_ROWS,
  .panel = PANEL,
  .queries = QUERIES,
  .key_tile = TILE_ROWS,
  .attention_scratch = sizeof (Scratch),
  .pack_weight = pack_weight,
  .linear = linear,
  .attention = attention,
  .layer_norm = layer_norm,
  .scatter_keys = scatter_keys,
  .scatter_values = scatter_values,
  .widen = widen,
  .matvec = matvec,
  .column_sums = column_sums,
};
