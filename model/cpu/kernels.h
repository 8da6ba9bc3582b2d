/* The operators of the CPU engine: what every instruction set's build of kernels.c offers.
 *
 * Operands (activations that enter a matrix product, packed weights, keys, values) are float in the
 * fp32 tables and bf16 in the bf16 tables; sums, residuals, scores and biases are float in all.
 * A *word* is what one lane multiplies at once: one float, or two bf16 of neighbouring inputs.
 *
 * Everything runs on one thread, touches only what it is given, and gives the same bits for the
 * same arguments. Vectors are loaded and stored at any alignment; 64 bytes is fastest.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "isa.h"

G_BEGIN_DECLS

/** CgEpilogue: what becomes of y = input · weight^T + bias.
 * STORE: output = y, as operands
 * GELU: output = gelu (y), as operands
 * ADD: output += y, float (the residual)
 * GELU_SUMS: output[r / tile_rows] = sum of gelu (y) over each tile of rows, float; rows from
 *   @counted_rows on count as zero */
typedef enum {
  CG_EPILOGUE_STORE,
  CG_EPILOGUE_GELU,
  CG_EPILOGUE_ADD,
  CG_EPILOGUE_GELU_SUMS
} CgEpilogue;

/** CgLinearJob: one matrix product.
 * @input: operands [rows][input_stride]; inputs 0 .. @inputs-1 of a row are used
 * @rows: a multiple of tile_rows
 * @inputs: a multiple of word_operands
 * @weight: from pack_weight(); to use only some of the inputs or columns, point into it (panels are
 *   contiguous: [columns / panel][packed inputs / word_operands][panel] words)
 * @panel_stride: operands from panel to panel: packed inputs * panel
 * @columns: a multiple of panel; columns beyond the real ones are packed as zeros
 * @bias: [columns], or NULL for zeros
 * @output: [rows][output_stride] (GELU_SUMS: [rows / tile_rows][output_stride]) */
typedef struct {
  CgEpilogue epilogue;
  guint rows, inputs, columns, counted_rows;
  const void *input, *weight;
  gsize input_stride, panel_stride, output_stride;
  const float *bias;
  void *output;
} CgLinearJob;

/** CgAttentionJob: softmax (q · k^T) · v for one block of queries of one head. Queries carry
 * log2 (e) / sqrt (head width): the softmax is of base 2.
 * @keys: operands [tokens rounded up to key_tile][head_width]
 * @values: operands [tokens / word_operands rounded up][head_width] words of as many tokens; what
 *   the last word has beyond @tokens must be finite
 * @queries: operands [queries][stride], the head's columns; overwritten by the result
 * @scratch: attention_scratch bytes, aligned to 64 */
typedef struct {
  guint tokens, head_width;
  const void *keys, *values;
  void *queries;
  gsize stride;
  void *scratch;
} CgAttentionJob;

/** CgKernels:
 * @operand_size: bytes of an operand, 4 or 2; @word_operands: 1 or 2
 * @tile_rows, @panel: the register tile of linear(); rows come in its multiples
 * @queries: of an attention job; @key_tile: keys are read in tiles of so many
 * @attention_scratch: bytes
 *
 * @pack_weight: @weight [columns][inputs] float to @packed: [columns rounded up to
 *   panel][@packed_inputs] operands, zero where there is no weight. @packed_inputs >= @inputs, a
 *   multiple of word_operands
 * @linear: see CgLinearJob. Sums run over the inputs in order, in float
 * @attention: see CgAttentionJob. Scores and sums in float; blocks of keys with a running maximum
 *   (Milakov and Gimelshein 2018, arXiv 1805.02867; Dao et al. 2022, arXiv 2205.14135)
 * @layer_norm: @rows (an even number) of @width floats (a multiple of 16) to operands:
 *   (x - mean) / sqrt (variance + eps). Strides in elements
 * @scatter_keys: @rows rows of operands (all heads side by side) into one [@tokens][head_width]
 *   array for each of @heads, from token @first on; @tokens is the head's whole room in @output
 * @scatter_values: the same into words of @word_operands tokens. @first is a multiple of
 *   word_operands; a missing second token of a word becomes zero
 * @widen: @n bytes to operands, 0..255, exact
 * @matvec: @output[r] = @bias[r] + @weight[r] · @input, all float; @columns of any size
 * @column_sums: @output[c] = sum over @rows rows of @input[r][c], float; @columns in 16s */
typedef struct {
  guint operand_size, word_operands;
  guint tile_rows, panel;
  guint queries, key_tile;
  gsize attention_scratch;
  void (*pack_weight) (const float *weight, guint columns, guint inputs, guint packed_inputs,
                       void *packed);
  void (*linear) (const CgLinearJob *job);
  void (*attention) (const CgAttentionJob *job);
  void (*layer_norm) (const float *input, gsize input_stride, guint rows, guint width, float eps,
                      void *output, gsize output_stride);
  void (*scatter_keys) (const void *input, gsize stride, guint rows, guint first, guint tokens,
                        guint heads, guint head_width, void *output);
  void (*scatter_values) (const void *input, gsize stride, guint rows, guint first, guint tokens,
                          guint heads, guint head_width, void *output);
  void (*widen) (const guint8 *input, guint n, void *output);
  void (*matvec) (const float *weight, const float *bias, const float *input, guint rows,
                  guint columns, float *output);
  void (*column_sums) (const float *input, gsize stride, guint rows, guint columns, float *output);
} CgKernels;

/** cg_kernels_get: the table of @isa for @bf16 or fp32; NULL if it has none. The caller has checked
 * cg_isa_supported(). Any thread. */
const CgKernels *cg_kernels_get (CgIsa isa, gboolean bf16);

G_END_DECLS
