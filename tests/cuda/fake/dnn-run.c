/* What the fake cuDNN computes.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "dnn.h"

#define RUBBISH 0xFF

/* A tensor in use: real memory, or doubles in the order of its dimensions. */
typedef struct {
  const CgFakeTensor *tensor;
  void *data;
  gdouble *dense;
  gdouble value;
} View;

static gint64
elements (const CgFakeTensor *tensor)
{
  gint64 n = 1;
  for (gint i = 0; i < tensor->n; i++)
    n *= tensor->size[i];
  return n;
}

static gsize
extent (const CgFakeTensor *tensor)
{
  gint64 last = 0;
  for (gint i = 0; i < tensor->n; i++)
    last += (tensor->size[i] - 1) * tensor->stride[i];
  return (gsize)(last + 1) * fake_size (tensor->type);
}

/* Where (@index) lies; dimensions of one are repeated. */
static gint64
place (const View *view, const gint64 *index)
{
  const CgFakeTensor *t = view->tensor;
  gint64 offset = 0;
  if (view->dense) {
    for (gint i = 0; i < t->n; i++)
      offset = offset * t->size[i] + (t->size[i] == 1 ? 0 : index[i]);
    return offset;
  }
  for (gint i = 0; i < t->n; i++)
    offset += t->size[i] == 1 ? 0 : index[i] * t->stride[i];
  return offset;
}

static gdouble
get (const View *view, const gint64 *index)
{
  if (view->tensor->by_value)
    return view->value;
  return view->dense ? view->dense[place (view, index)]
                     : fake_load (view->tensor->type, view->data, place (view, index));
}

static void
put (const View *view, const gint64 *index, gdouble value)
{
  if (view->dense)
    view->dense[place (view, index)] = fake_round (view->tensor->type, value);
  else
    fake_store (view->tensor->type, view->data, place (view, index), value);
}

/* The next index within @size, first the last dimension; FALSE after the last one. */
static gboolean
next (gint64 *index, const gint64 *size, gint n)
{
  for (gint i = n - 1; i >= 0; i--) {
    if (++index[i] < size[i])
      return TRUE;
    index[i] = 0;
  }
  return FALSE;
}

/* Fused products run on tensor cores: of fp32 operands only ten bits of mantissa are left. */
static gdouble *
load_matrix (const View *view, gint64 *index)
{
  const CgFakeTensor *t = view->tensor;
  const gint64 rows = t->size[t->n - 2], columns = t->size[t->n - 1];
  gdouble *values = g_new (gdouble, rows * columns);
  for (gint64 r = 0; r < rows; r++)
    for (gint64 c = 0; c < columns; c++) {
      index[t->n - 2] = r;
      index[t->n - 1] = c;
      const gdouble value = get (view, index);
      values[r * columns + c] = t->type == FAKE_FP32 ? fake_tf32 (value) : value;
    }
  return values;
}

static void
matmul (const View *a, const View *b, const View *y)
{
  const gint n = y->tensor->n;
  const gint64 rows = y->tensor->size[n - 2], columns = y->tensor->size[n - 1];
  const gint64 inner = a->tensor->size[n - 1];
  gint64 index[CG_FAKE_MAX_DIMS] = { 0 };
  g_autofree gdouble *sums = g_new (gdouble, columns);

  do {
    gint64 at[CG_FAKE_MAX_DIMS];
    memcpy (at, index, sizeof at);
    g_autofree gdouble *left = load_matrix (a, at);
    g_autofree gdouble *right = load_matrix (b, at);
    for (gint64 r = 0; r < rows; r++) {
      for (gint64 c = 0; c < columns; c++)
        sums[c] = 0;
      for (gint64 k = 0; k < inner; k++)
        for (gint64 c = 0; c < columns; c++)
          sums[c] += left[r * inner + k] * right[k * columns + c];
      at[n - 2] = r;
      for (gint64 c = 0; c < columns; c++) {
        at[n - 1] = c;
        put (y, at, (float)sums[c]);
      }
    }
  } while (next (index, y->tensor->size, n - 2));
}

static gdouble
apply (cudnnPointwiseMode_t mode, gdouble x, gdouble b)
{
  switch (mode) {
  case CUDNN_POINTWISE_ADD:
    return x + b;
  case CUDNN_POINTWISE_SUB:
    return x - b;
  case CUDNN_POINTWISE_MUL:
    return x * b;
  case CUDNN_POINTWISE_MAX:
    return MAX (x, b);
  case CUDNN_POINTWISE_RELU_FWD:
    return MAX (x, 0);
  case CUDNN_POINTWISE_GELU_FWD:
    return x / 2 * (1 + erf (x / G_SQRT2));
  case CUDNN_POINTWISE_GELU_APPROX_TANH_FWD:
    return 0.5 * x * (1 + tanh (sqrt (2 / G_PI) * (x + 0.044715 * x * x * x)));
  case CUDNN_POINTWISE_IDENTITY:
    return x;
  default:
    return NAN;
  }
}

static void
pointwise (cudnnPointwiseMode_t mode, const View *x, const View *b, const View *y)
{
  gint64 index[CG_FAKE_MAX_DIMS] = { 0 };
  do
    put (y, index, (float)apply (mode, get (x, index), b ? get (b, index) : 0));
  while (next (index, y->tensor->size, y->tensor->n));
}

/* One head of one window: [queries][width] of q, [keys][width] of k and v. As flash kernels do it: scores and
 * sums in fp32, probabilities rounded to the operands' type before they meet the values. */
static void
attend_head (const CgFakeStep *step, const View *views, gint64 batch, gint64 head)
{
  const View *q = &views[step->a], *k = &views[step->b], *v = &views[step->c], *y = &views[step->y];
  const gint64 queries = q->tensor->size[2], keys = k->tensor->size[2];
  const gint64 width = q->tensor->size[3], out = v->tensor->size[3];
  const gdouble scale = step->scale >= 0 ? views[step->scale].value : 1;
  gint64 at[CG_FAKE_MAX_DIMS] = { batch, head, 0, 0 };
  g_autofree gdouble *left = load_matrix (q, at);
  g_autofree gdouble *right = load_matrix (k, at);
  g_autofree gdouble *values = load_matrix (v, at);
  g_autofree gdouble *scores = g_new (gdouble, keys);
  g_autofree gdouble *sums = g_new (gdouble, out);

  for (gint64 i = 0; i < queries; i++) {
    gdouble highest = -INFINITY, total = 0;
    for (gint64 j = 0; j < keys; j++) {
      gdouble sum = 0;
      for (gint64 c = 0; c < width; c++)
        sum += left[i * width + c] * right[j * width + c];
      scores[j] = scale * (float)sum;
      highest = scores[j] > highest || isnan (scores[j]) ? scores[j] : highest;
    }
    for (gint64 c = 0; c < out; c++)
      sums[c] = 0;
    for (gint64 j = 0; j < keys; j++) {
      const gdouble weight = exp (scores[j] - highest);
      const gdouble rounded = fake_round (q->tensor->type, weight);
      total += weight;
      for (gint64 c = 0; c < out; c++)
        sums[c] += rounded * values[j * out + c];
    }
    at[2] = i;
    for (gint64 c = 0; c < out; c++) {
      at[3] = c;
      put (y, at, (float)(sums[c] / total));
    }
  }
}

static gboolean
check (const CgFakeRun *run)
{
  const CgFakePlan *plan = run->plan;
  gboolean good = TRUE;

  for (guint i = 0; i < plan->n_tensors; i++) {
    const CgFakeTensor *t = &plan->tensors[i];
    if (t->virtual || t->by_value)
      continue;
    good &= cg_fake_check (run->data[i], extent (t), "a tensor of cuDNN");
    for (guint j = 0; j < i; j++) {
      const CgFakeTensor *u = &plan->tensors[j];
      const gboolean written = plan->steps[plan->n_steps - 1].y == (gint)i ||
                               plan->steps[plan->n_steps - 1].y == (gint)j;
      const guint8 *p = run->data[i], *r = run->data[j];
      if (written && !u->virtual && !u->by_value && p < r + extent (u) && r < p + extent (t))
        cg_fake_note ("cuDNN: output and input (tensors %" G_GINT64_FORMAT " and %" G_GINT64_FORMAT
                      ") overlap",
                      t->uid, u->uid);
    }
  }
  if (plan->workspace)
    good &= cg_fake_check (run->workspace, plan->workspace, "cuDNN's workspace");
  return good;
}

void
cg_fake_dnn_run (void *data)
{
  const CgFakeRun *run = data;
  const CgFakePlan *plan = run->plan;
  View views[CG_FAKE_MAX_TENSORS] = { 0 };

  cg_fake_tick (plan->microseconds);
  if (!check (run))
    return;
  if (plan->workspace)
    memset (run->workspace, RUBBISH, plan->workspace);
  for (guint i = 0; i < plan->n_tensors; i++) {
    views[i].tensor = &plan->tensors[i];
    views[i].data = run->data[i];
    views[i].value = run->value[i];
    if (plan->tensors[i].virtual)
      views[i].dense = g_new0 (gdouble, elements (&plan->tensors[i]));
  }
  for (guint s = 0; s < plan->n_steps; s++) {
    const CgFakeStep *step = &plan->steps[s];
    switch (step->kind) {
    case CG_FAKE_MATMUL:
      matmul (&views[step->a], &views[step->b], &views[step->y]);
      break;
    case CG_FAKE_POINTWISE:
      pointwise (step->mode, &views[step->a], step->b >= 0 ? &views[step->b] : NULL,
                 &views[step->y]);
      break;
    case CG_FAKE_SDPA:
      for (gint64 b = 0; b < plan->tensors[step->a].size[0]; b++)
        for (gint64 h = 0; h < plan->tensors[step->a].size[1]; h++)
          attend_head (step, views, b, h);
      break;
    }
  }
  for (guint i = 0; i < plan->n_tensors; i++)
    g_free (views[i].dense);
}

/* ---- what no engine computes ---- */

static const char *
sdpa_supported (const CgFakePlan *plan, const CgFakeStep *step, guint capability)
{
  const CgFakeTensor *q = &plan->tensors[step->a], *v = &plan->tensors[step->c];
  if (plan->n_steps > 1)
    return "SDPA with other operations";
  if (capability < 80)
    return "SDPA before sm_80";
  if (q->type == FAKE_FP32)
    return "SDPA in fp32";
  if (q->size[3] % 8 || v->size[3] % 8 || q->size[3] > 128 || v->size[3] > 128)
    return "SDPA with such heads";
  if (q->stride[3] != 1 || v->stride[3] != 1)
    return "SDPA with such strides";
  return NULL;
}

const char *
cg_fake_plan_supported (const CgFakePlan *plan, guint capability)
{
  for (guint s = 0; s < plan->n_steps; s++) {
    const CgFakeStep *step = &plan->steps[s];
    const char *reason = NULL;
    if (step->kind == CG_FAKE_SDPA)
      reason = sdpa_supported (plan, step, capability);
    else if (s == 0 && step->kind == CG_FAKE_POINTWISE)
      reason = "pointwise operations alone";
    else if (step->kind == CG_FAKE_MATMUL && s > 0)
      reason = "a product behind another operation";
    else if (step->kind == CG_FAKE_MATMUL && plan->tensors[step->a].type != FAKE_FP16 &&
             capability < 80)
      reason = "a product of this type before sm_80";
    if (reason)
      return reason;
  }
  return NULL;
}
