/* A product of the fake cuBLASLt, with everything that its descriptors said.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "numbers.h"
#include "private.h"

G_BEGIN_DECLS

/** CgFakeMatrix: element (r, c) of number b is at @data + b * @step + r * @row + c * @column.
 * @rows, @columns: as it takes part, after transposition */
typedef struct {
  FakeType type;
  gint64 rows, columns, row, column, step;
  void *data;
} CgFakeMatrix;

typedef enum { CG_FAKE_NO_GELU, CG_FAKE_GELU_TANH } CgFakeActivation;

/** CgFakeProduct: D = act (alpha A B + beta C + bias), @batch times.
 * @bias: one for each row of D, or NULL
 * @tf32: A and B lose all but ten bits of their mantissas
 * @workspace: scribbled over, as real algorithms do */
typedef struct {
  CgFakeMatrix a, b, c, d;
  gint32 batch;
  gdouble alpha, beta;
  const void *bias;
  FakeType bias_type;
  gint64 bias_step;
  gboolean tf32, relu;
  CgFakeActivation activation;
  void *workspace;
  gsize workspace_size;
  gdouble microseconds;
} CgFakeProduct;

/** cg_fake_product_run: checks where it reads and writes, then computes. For cg_fake_enqueue(). */
void cg_fake_product_run (void *product);

G_END_DECLS
