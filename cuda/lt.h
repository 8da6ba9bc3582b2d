/* One matrix product of cuBLASLt, in row-major words.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "device.h"

/** CgCudaLtShape: Y[m][n] = alpha X[m][k] · W + beta C (+ bias[n]), @batch times.
 * @in: type of X and W; @out: of Y, C and bias. Sums are fp32, never TF32
 * @transposed: W is [n][k], a linear layer's weight; else [k][n]
 * @x_row, @w_row, @y_row: elements from row to row; C has Y's
 * @x_step, @w_step, @y_step, @c_step: elements from one of the batch to the next
 * @beta: 0: C is not read
 * @bias: whether there is one
 * @alignment: bytes that every pointer is a multiple of, for each of the batch; a power of two, at most 256 */
typedef struct {
  CgCudaType in, out;
  bool transposed, bias;
  unsigned m, n, k, batch;
  size_t x_row, w_row, y_row;
  size_t x_step, w_step, y_step, c_step;
  float alpha, beta;
  unsigned alignment;
} CgCudaLtShape;

typedef struct _CgCudaLt CgCudaLt;

/** cg_cuda_lt_new: the plan that cuBLASLt proposes as number @index for @shape. NULL with UNSUPPORTED if it has no so
 * many proposals. cg_cuda_lt_free(). */
CgCudaLt *cg_cuda_lt_new (const CgCudaDevice *device, const CgCudaLtShape *shape, unsigned index,
                          CgCudaError *error);
void cg_cuda_lt_free (CgCudaLt *lt);

/** cg_cuda_lt_run: on the device's stream; may be captured. @c may be @y. @bias, @c: NULL if the shape has none. */
bool cg_cuda_lt_run (const CgCudaLt *lt, const void *x, const void *w, const void *c,
                     const void *bias, void *y, CgCudaError *error);
