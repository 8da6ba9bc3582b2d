/* Matrix products and attention in every way that the engine knows to compute them, each against the same thing written
 * plainly in double.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include <cudnn.h>

#include "cuda/attention.h"
#include "cuda/dnn.h"
#include "fake/engine.h"
#include "fake/numbers.h"

#define PROPOSALS 16

static const CgCudaType types[] = { CG_CUDA_FP32, CG_CUDA_FP16, CG_CUDA_BF16 };

static void
open_device (CgCudaDevice *device)
{
  CgCudaError error = { 0 };

  *device = (CgCudaDevice){ 0 };
  if (!cg_cuda_device_open (device, 0, NULL, &error))
    g_error ("%s", error.message);
}

static void
close_device (CgCudaDevice *device)
{
  cg_cuda_device_close (device);
  cg_fake_expect_clean ();
}

/* @n numbers between -1 and 1 on the device, as @type. cudaFree(). */
static void *
numbers_new (CgCudaType type, gsize n, GRand *random)
{
  void *memory;

  g_assert_cmpint (cudaMalloc (&memory, n * cg_cuda_type_size (type)), ==, cudaSuccess);
  for (gsize i = 0; i < n; i++)
    fake_store ((FakeType)type, memory, (gint64)i, g_rand_double_range (random, -1, 1));
  return memory;
}

static gdouble
get (CgCudaType type, const void *values, gsize i)
{
  return fake_load ((FakeType)type, values, (gint64)i);
}

/* @found, rounded to @type, is @expected. */
static void
check_value (const char *what, CgCudaType type, gsize at, gdouble found, gdouble expected)
{
  static const gdouble bounds[] = { 2e-6, 2e-3, 1.6e-2 };

  if (!(fabs (found - expected) <= bounds[type] * (1 + fabs (expected))))
    g_error ("%s, %s: value %" G_GSIZE_FORMAT " is %.9g, expected %.9g", what,
             cg_cuda_type_name (type), at, found, expected);
}

/* ---- matrix products ---- */

static const char *const epilogues[] = { "store", "gelu", "add", "table" };

typedef struct {
  CgCudaMatmulShape shape;
  void *x, *weight, *bias, *y;
  float *addend;
  gboolean float_out;
} Product;

static CgCudaType
bias_type (const Product *p)
{
  return p->shape.epilogue == CG_CUDA_EPILOGUE_STORE ? p->shape.type : CG_CUDA_FP32;
}

static void
product_init (Product *p, const CgCudaMatmulShape *shape)
{
  const gsize rows = shape->batch * shape->rows;
  const gboolean table = shape->epilogue == CG_CUDA_EPILOGUE_TABLE;
  g_autoptr (GRand) random = g_rand_new_with_seed (shape->epilogue);

  *p = (Product){ .shape = *shape };
  p->float_out = table || shape->epilogue == CG_CUDA_EPILOGUE_ADD;
  p->x = numbers_new (shape->type, rows * shape->inputs, random);
  p->weight = numbers_new (shape->type, (gsize)shape->outputs * shape->inputs, random);
  if (!table)
    p->bias = numbers_new (bias_type (p), shape->outputs, random);
  if (p->float_out)
    p->addend = numbers_new (CG_CUDA_FP32, (table ? shape->rows : rows) * shape->outputs, random);
  p->y = numbers_new (p->float_out ? CG_CUDA_FP32 : shape->type, rows * shape->outputs, random);
}

static void
product_clear (Product *p)
{
  cudaFree (p->x);
  cudaFree (p->weight);
  cudaFree (p->bias);
  cudaFree (p->addend);
  cudaFree (p->y);
}

static void
check_product (const char *what, const Product *p)
{
  const CgCudaMatmulShape *s = &p->shape;

  for (gsize row = 0; row < s->batch * s->rows; row++)
    for (gsize o = 0; o < s->outputs; o++) {
      const gsize at = row * s->outputs + o;
      gdouble sum = 0;
      for (gsize i = 0; i < s->inputs; i++)
        sum +=
            get (s->type, p->x, row * s->inputs + i) * get (s->type, p->weight, o * s->inputs + i);
      sum = ldexp (sum, -(gint)s->shift);
      if (p->bias)
        sum += get (bias_type (p), p->bias, o);
      if (s->epilogue == CG_CUDA_EPILOGUE_ADD)
        sum += p->addend[at];
      if (s->epilogue == CG_CUDA_EPILOGUE_TABLE)
        sum += p->addend[at % ((gsize)s->rows * s->outputs)];
      if (s->epilogue == CG_CUDA_EPILOGUE_GELU)
        sum = sum / 2 * (1 + erf (sum / sqrt (2)));
      check_value (what, p->float_out ? CG_CUDA_FP32 : s->type, at,
                   get (p->float_out ? CG_CUDA_FP32 : s->type, p->y, at), sum);
    }
}

/* Returns: how many of the provider's proposals there are. Those have the right product. */
static guint
check_provider (const CgCudaDevice *device, const CgCudaMatmulShape *shape, CgCudaProvider provider)
{
  g_autofree char *what = g_strdup_printf ("%s by %d", epilogues[shape->epilogue], provider);
  guint built = 0;

  for (guint i = 0; i < PROPOSALS; i++) {
    CgCudaError error = { 0 };
    CgCudaMatmul *matmul =
        cg_cuda_matmul_new (device, shape, (CgCudaChoice){ provider, i }, &error);
    Product p;

    if (!matmul) {
      g_assert_cmpint (error.status, ==, CG_CUDA_UNSUPPORTED);
      continue;
    }
    built++;
    g_assert_cmpint (cg_cuda_matmul_in_place (matmul), ==, provider != CG_CUDA_PROVIDER_DNN);
    product_init (&p, shape);
    if (!cg_cuda_matmul_run (matmul, p.x, p.weight, p.bias, p.addend, p.y, &error))
      g_error ("%s: %s", what, error.message);
    g_assert_cmpint (cudaStreamSynchronize (device->stream), ==, cudaSuccess);
    check_product (what, &p);
    product_clear (&p);
    cg_cuda_matmul_free (matmul);
  }
  return built;
}

static void
test_products (void)
{
  CgCudaDevice device;

  open_device (&device);
  for (guint t = 0; t < G_N_ELEMENTS (types); t++)
    for (CgCudaEpilogue e = CG_CUDA_EPILOGUE_STORE; e <= CG_CUDA_EPILOGUE_TABLE; e++) {
      const CgCudaMatmulShape shape = { types[t], e, 3, 5, 24, 40, 0 };
      CgCudaMatmulShape shifted = shape;

      g_assert_cmpuint (check_provider (&device, &shape, CG_CUDA_PROVIDER_LT), ==, 3);
      if (e == CG_CUDA_EPILOGUE_TABLE)
        g_assert_cmpuint (check_provider (&device, &shape, CG_CUDA_PROVIDER_LT_COPY), ==, 3);
      if (types[t] != CG_CUDA_FP32)
        g_assert_cmpuint (check_provider (&device, &shape, CG_CUDA_PROVIDER_DNN), ==, 2);
      shifted.shift = 3;
      g_assert_cmpuint (check_provider (&device, &shifted, CG_CUDA_PROVIDER_LT), ==, 3);
      g_assert_cmpuint (check_provider (&device, &shifted, CG_CUDA_PROVIDER_DNN), ==, 0);
    }
  close_device (&device);
}

/* ---- attention ---- */

/* Element @e of token @token of head @head in @part (query, key, value) of window @window. */
static gdouble
qkv_at (const CgCudaAttentionShape *s, const void *qkv, guint window, guint token, guint part,
        guint head, guint e)
{
  const gsize width = (gsize)s->heads * s->head_width;

  return get (s->type, qkv,
              ((gsize)window * s->tokens + token) * 3 * width + part * width +
                  head * s->head_width + e);
}

static void
check_row (const char *what, const CgCudaAttentionShape *s, const void *qkv, const void *out,
           guint window, guint head, guint token)
{
  g_autofree gdouble *p = g_new (gdouble, s->tokens);
  gdouble sum = 0;

  for (guint j = 0; j < s->tokens; j++) {
    p[j] = 0;
    for (guint e = 0; e < s->head_width; e++)
      p[j] += qkv_at (s, qkv, window, token, 0, head, e) * qkv_at (s, qkv, window, j, 1, head, e);
    sum += p[j] = exp (s->scale * p[j]);
  }
  for (guint e = 0; e < s->head_width; e++) {
    const gsize at = ((gsize)(window * s->tokens + token) * s->heads + head) * s->head_width + e;
    gdouble value = 0;
    for (guint j = 0; j < s->tokens; j++)
      value += p[j] / sum * qkv_at (s, qkv, window, j, 2, head, e);
    check_value (what, s->type, at, get (s->type, out, at), value);
  }
}

/* Every @step-th token. */
static guint
check_attention (const CgCudaDevice *device, const CgCudaAttentionShape *s, CgCudaProvider provider,
                 guint proposals, guint step)
{
  g_autofree char *what = g_strdup_printf ("attention %ux%u of %ux%u by %d", s->batch, s->tokens,
                                           s->heads, s->head_width, provider);
  const gsize n = (gsize)s->batch * s->tokens * s->heads * s->head_width;
  g_autoptr (GRand) random = g_rand_new_with_seed (1);
  void *qkv = numbers_new (s->type, 3 * n, random), *out = numbers_new (s->type, n, random);
  void *scores;
  guint built = 0;

  g_assert_cmpint (cudaMalloc (&scores, cg_cuda_attention_scores_size (s)), ==, cudaSuccess);
  for (guint i = 0; i < proposals; i++) {
    CgCudaError error = { 0 };
    CgCudaAttention *attention =
        cg_cuda_attention_new (device, s, (CgCudaChoice){ provider, i }, scores, &error);

    if (!attention) {
      g_assert_cmpint (error.status, ==, CG_CUDA_UNSUPPORTED);
      continue;
    }
    built++;
    g_assert_cmpint (cg_cuda_attention_provider (attention), ==, provider);
    memset (out, 0xff, n * cg_cuda_type_size (s->type));
    if (!cg_cuda_attention_run (attention, qkv, out, &error))
      g_error ("%s: %s", what, error.message);
    g_assert_cmpint (cudaStreamSynchronize (device->stream), ==, cudaSuccess);
    for (guint window = 0; window < s->batch; window++)
      for (guint head = 0; head < s->heads; head++)
        for (guint token = 0; token < s->tokens; token += step)
          check_row (what, s, qkv, out, window, head, token);
    cg_cuda_attention_free (attention);
  }
  cudaFree (scores);
  cudaFree (qkv);
  cudaFree (out);
  return built;
}

static void
test_attention (void)
{
  static const guint shapes[][4] = {
    { 2, 9, 3, 24 }, { 1, 16, 1, 64 }, { 3, 5, 4, 12 }, { 1, 1, 2, 8 }
  };
  CgCudaDevice device;

  open_device (&device);
  for (guint t = 0; t < G_N_ELEMENTS (types); t++)
    for (guint i = 0; i < G_N_ELEMENTS (shapes); i++) {
      const CgCudaAttentionShape s = { types[t],     shapes[i][0], shapes[i][1],
                                       shapes[i][2], shapes[i][3], 0.4f };
      const gboolean by_dnn = types[t] != CG_CUDA_FP32 && s.head_width % 8 == 0;

      g_assert_cmpint (cg_cuda_attention_uses_dnn (&device, &s), ==, by_dnn);
      g_assert_cmpuint (check_attention (&device, &s, CG_CUDA_PROVIDER_LT, PROPOSALS, 1), ==, 3);
      if (by_dnn)
        g_assert_cmpuint (check_attention (&device, &s, CG_CUDA_PROVIDER_DNN, PROPOSALS, 1), ==, 2);
    }
  close_device (&device);
}

/* So many tokens that the scores of all heads are more than there is room for at once; of two there is room, but two do
 * not divide three. */
static void
test_attention_groups (void)
{
  static const guint shapes[][2] = { { 2051, 2 }, { 1681, 3 } };
  const CgCudaAttentionShape small = { CG_CUDA_FP32, 1, 9, 3, 24, 0.4f };
  const CgCudaAttentionShape half = { CG_CUDA_FP16, 1, 9, 3, 24, 0.4f };
  CgCudaDevice device;

  open_device (&device);
  /* [heads][tokens][tokens, made a multiple of 8] */
  g_assert_cmpuint (cg_cuda_attention_scores_size (&small), ==, 7 * 256);
  g_assert_cmpuint (cg_cuda_attention_scores_size (&half), ==, 7 * 256 + 3 * 9 * 16 * 2);
  for (guint i = 0; i < G_N_ELEMENTS (shapes); i++) {
    const CgCudaAttentionShape s = { CG_CUDA_FP32, 1, shapes[i][0], shapes[i][1], 4, 0.4f };
    g_assert_cmpuint (cg_cuda_attention_scores_size (&s), <=, 32 << 20);
    g_assert_cmpuint (check_attention (&device, &s, CG_CUDA_PROVIDER_LT, 1, 410), ==, 1);
  }
  close_device (&device);
}

/* ---- the workspace ---- */

/* Given less room than a proposal wants, it is not among them. */
static void
test_workspace (void)
{
  const CgCudaMatmulShape shape = { CG_CUDA_FP16, CG_CUDA_EPILOGUE_STORE, 1, 5, 24, 40, 0 };
  static const struct {
    gsize size;
    guint lt, dnn;
  } rooms[] = { { 4096, 3, 2 }, { 4095, 2, 2 }, { 256, 1, 2 }, { 255, 1, 1 } };
  CgCudaDevice device;

  open_device (&device);
  for (guint i = 0; i < G_N_ELEMENTS (rooms); i++) {
    device.workspace_size = rooms[i].size;
    g_assert_cmpuint (check_provider (&device, &shape, CG_CUDA_PROVIDER_LT), ==, rooms[i].lt);
    g_assert_cmpuint (check_provider (&device, &shape, CG_CUDA_PROVIDER_DNN), ==, rooms[i].dnn);
  }
  close_device (&device);
}

/* ---- graphs that are too large ---- */

static void
test_too_large (void)
{
  const CgCudaDnnTensor tensor = {
    .type = CUDNN_DATA_FLOAT, .n = 3, .dimensions = { 1, 8, 8 }, .strides = { 64, 8, 1 }
  };
  CgCudaDnnTensor between = tensor;
  CgCudaDevice device;

  open_device (&device);
  between.on_chip = true;
  for (guint kind = 0; kind < 3; kind++) {
    CgCudaError error = { 0 };
    CgCudaDnn *dnn = cg_cuda_dnn_new (&device);
    unsigned from = cg_cuda_dnn_tensor (dnn, &tensor), to;

    if (kind == 0) /* stored tensors */
      for (guint i = 0; i < CG_CUDA_DNN_MAX_TENSORS - 1; i++)
        cg_cuda_dnn_tensor (dnn, &tensor);
    for (guint i = 0; i < (kind == 1 ? 16 : 4); i++) { /* or operations */
      to = kind == 0 ? cg_cuda_dnn_tensor (dnn, &tensor) : cg_cuda_dnn_tensor (dnn, &between);
      cg_cuda_dnn_pointwise (dnn, CUDNN_POINTWISE_GELU_FWD, from, -1, to);
      from = to;
    }
    to = cg_cuda_dnn_tensor (dnn, &tensor);
    cg_cuda_dnn_pointwise (dnn, CUDNN_POINTWISE_GELU_FWD, from, -1, to);
    g_assert_false (cg_cuda_dnn_build (dnn, 0, &error));
    g_assert_cmpint (error.status, ==, CG_CUDA_COMPUTE);
    g_assert_cmpstr (error.message, !=, "");
    cg_cuda_dnn_free (dnn);
  }
  close_device (&device);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  cg_fake_emulate ();
  g_test_add_func ("/cuda/products/matmul", test_products);
  g_test_add_func ("/cuda/products/attention", test_attention);
  g_test_add_func ("/cuda/products/attention-groups", test_attention_groups);
  g_test_add_func ("/cuda/products/workspace", test_workspace);
  g_test_add_func ("/cuda/products/too-large", test_too_large);
  return g_test_run ();
}
