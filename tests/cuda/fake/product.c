/* What the fake cuBLASLt computes: products summed in double, rounded where the real ones round.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "blaslt.h"

#define RUBBISH 0xFF

/* First and last byte that @matrix touches in all @batch. */
static void
extent (const CgFakeMatrix *matrix, gint32 batch, const guint8 **begin, gsize *size)
{
  const gint64 last = (batch - 1) * matrix->step + (matrix->rows - 1) * matrix->row +
                      (matrix->columns - 1) * matrix->column;
  *begin = matrix->data;
  *size = (gsize)(last + 1) * fake_size (matrix->type);
}

/* A strided block (some of the columns of a wide matrix) may lie between the elements of another:
 * only elements that are shared count. Rows of the same stride are compared by their columns. */
static gboolean
overlap (const CgFakeMatrix *a, const CgFakeMatrix *b, gint32 batch)
{
  const guint8 *begin_a, *begin_b;
  gsize size_a, size_b;
  extent (a, batch, &begin_a, &size_a);
  extent (b, batch, &begin_b, &size_b);
  return begin_a < begin_b + size_b && begin_b < begin_a + size_a;
}

static gboolean
same_place (const CgFakeMatrix *a, const CgFakeMatrix *b)
{
  return a->data == b->data && a->type == b->type && a->row == b->row && a->column == b->column &&
         a->step == b->step;
}

static gboolean
check (const CgFakeProduct *product)
{
  const struct {
    const CgFakeMatrix *matrix;
    const char *name;
  } operands[] = { { &product->a, "matmul A" },
                   { &product->b, "matmul B" },
                   { &product->d, "matmul D" },
                   { &product->c, "matmul C" } };
  gboolean good = TRUE;

  for (guint i = 0; i < (product->beta != 0 ? 4 : 3); i++) {
    const guint8 *begin;
    gsize size;
    extent (operands[i].matrix, product->batch, &begin, &size);
    good &= cg_fake_check (begin, size, operands[i].name);
  }
  if (product->bias) {
    const gsize n = (gsize)(product->d.rows + (product->batch - 1) * product->bias_step);
    good &= cg_fake_check (product->bias, n * fake_size (product->bias_type), "matmul bias");
  }
  if (product->workspace_size)
    good &= cg_fake_check (product->workspace, product->workspace_size, "matmul workspace");
  if (overlap (&product->d, &product->a, product->batch) ||
      overlap (&product->d, &product->b, product->batch))
    cg_fake_note ("matmul: D overlaps an operand");
  if (product->beta != 0 && overlap (&product->d, &product->c, product->batch) &&
      !same_place (&product->d, &product->c))
    cg_fake_note ("matmul: D overlaps C and is not C");
  return good;
}

/* @matrix as doubles, [rows][columns] of number @b. */
static gdouble *
load (const CgFakeMatrix *matrix, gint64 b, gboolean tf32)
{
  gdouble *values = g_new (gdouble, matrix->rows * matrix->columns);
  for (gint64 r = 0; r < matrix->rows; r++)
    for (gint64 c = 0; c < matrix->columns; c++) {
      const gdouble value = fake_load (matrix->type, matrix->data,
                                       b * matrix->step + r * matrix->row + c * matrix->column);
      values[r * matrix->columns + c] = tf32 ? fake_tf32 (value) : value;
    }
  return values;
}

static gdouble
gelu_tanh (gdouble x)
{
  return 0.5 * x * (1 + tanh (sqrt (2 / G_PI) * (x + 0.044715 * x * x * x)));
}

static void
compute (const CgFakeProduct *p, gint64 batch)
{
  const gint64 m = p->d.rows, n = p->d.columns, k = p->a.columns;
  g_autofree gdouble *a = load (&p->a, batch, p->tf32);
  g_autofree gdouble *b = load (&p->b, batch, p->tf32);
  g_autofree gdouble *sums = g_new (gdouble, n);

  for (gint64 i = 0; i < m; i++) {
    for (gint64 j = 0; j < n; j++)
      sums[j] = 0;
    for (gint64 l = 0; l < k; l++) {
      const gdouble left = a[i * k + l];
      for (gint64 j = 0; j < n; j++)
        sums[j] += left * b[l * n + j];
    }
    for (gint64 j = 0; j < n; j++) {
      gdouble value = p->alpha * (float)sums[j];
      if (p->beta != 0)
        value += p->beta * fake_load (p->c.type, p->c.data,
                                      batch * p->c.step + i * p->c.row + j * p->c.column);
      if (p->bias)
        value += fake_load (p->bias_type, p->bias, batch * p->bias_step + i);
      if (p->relu)
        value = MAX (value, 0);
      if (p->activation == CG_FAKE_GELU_TANH)
        value = gelu_tanh ((float)value);
      fake_store (p->d.type, p->d.data, batch * p->d.step + i * p->d.row + j * p->d.column,
                  (float)value);
    }
  }
}

void
cg_fake_product_run (void *data)
{
  const CgFakeProduct *product = data;

  cg_fake_tick (product->microseconds);
  if (!check (product))
    return;
  if (product->workspace_size)
    memset (product->workspace, RUBBISH, product->workspace_size);
  for (gint64 b = 0; b < product->batch; b++)
    compute (product, b);
}
