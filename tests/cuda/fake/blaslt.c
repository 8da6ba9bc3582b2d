/* The fake cuBLASLt: descriptors, proposals, and what is refused.
 *
 * Refused, as the manual says: impossible sizes, leading dimensions shorter than a column, unequal
 * batch counts, unknown combinations of types (with the type of the bias: D's), pointers less
 * aligned than was promised to the heuristic, too small a workspace, an algorithm that was proposed
 * for something else, D over C with another layout.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "blaslt.h"

#include <cublasLt.h>

#define ALGORITHM_MAGIC G_GUINT64_CONSTANT (0xC6FA4EB1A517)
#define N_ALGORITHMS 3
#define BIG_WORKSPACE 4096 /* of the last algorithm */

struct cublasLtContext {
  gboolean alive;
};

typedef struct {
  cudaDataType_t type;
  gint32 order, batch;
  guint64 rows, columns;
  gint64 ld, step;
} Layout;

typedef struct {
  cublasComputeType_t compute;
  cudaDataType_t scale, bias_type;
  gint32 pointer_mode, transpose[2];
  guint32 epilogue;
  const void *bias;
  gint64 bias_step;
  gboolean has_bias_type;
} Operation;

typedef struct {
  guint64 workspace;
  guint32 alignment[4]; /* A, B, C, D */
  guint32 reductions;   /* those that are allowed */
} Preference;

/* In a cublasLtMatmulAlgo_t. */
typedef struct {
  guint64 magic, problem;
  guint32 number, alignment;
} Algorithm;

G_STATIC_ASSERT (sizeof (Layout) <= sizeof (cublasLtMatrixLayoutOpaque_t));
G_STATIC_ASSERT (sizeof (Operation) <= sizeof (cublasLtMatmulDescOpaque_t));
G_STATIC_ASSERT (sizeof (Preference) <= sizeof (cublasLtMatmulPreferenceOpaque_t));
G_STATIC_ASSERT (sizeof (Algorithm) <= sizeof (cublasLtMatmulAlgo_t));

static guint n_objects;
static GSList *handles; /* of these n_objects */

#define CALL(failure) CG_FAKE_CALL_AS (failure, CUBLAS_STATUS_EXECUTION_FAILED)

void
cg_fake_lt_vanish (void)
{
  n_objects -= g_slist_length (handles);
  g_slist_free_full (g_steal_pointer (&handles), g_free);
}

guint
cg_fake_lt_count (void)
{
  return n_objects;
}

static FakeType
fake_type (cudaDataType_t type)
{
  switch (type) {
  case CUDA_R_32F:
    return FAKE_FP32;
  case CUDA_R_16F:
    return FAKE_FP16;
  case CUDA_R_16BF:
    return FAKE_BF16;
  default:
    return FAKE_OTHER;
  }
}

/* ---- handles ---- */

cublasStatus_t
cublasLtCreate (cublasLtHandle_t *handle)
{
  CALL (CUBLAS_STATUS_NOT_INITIALIZED);
  *handle = g_new0 (struct cublasLtContext, 1);
  (*handle)->alive = TRUE;
  handles = g_slist_prepend (handles, *handle);
  n_objects++;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t
cublasLtDestroy (cublasLtHandle_t handle)
{
  CG_FAKE_RELEASE_OF_CONTEXT (CUBLAS_STATUS_NOT_INITIALIZED);
  handles = g_slist_remove (handles, handle);
  g_free (handle);
  n_objects--;
  return CUBLAS_STATUS_SUCCESS;
}

size_t
cublasLtGetVersion (void)
{
  return cg_fake_settings.lt ? cg_fake_settings.lt : CUBLAS_VERSION;
}

size_t
cublasLtGetCudartVersion (void)
{
  return CUDART_VERSION;
}

const char *
cublasLtGetStatusString (cublasStatus_t status)
{
  return status == CUBLAS_STATUS_SUCCESS ? "success" : "a fake status of cuBLASLt";
}

const char *
cublasLtGetStatusName (cublasStatus_t status)
{
  return cublasLtGetStatusString (status);
}

/* ---- descriptors ---- */

static gpointer
object_new (gsize size)
{
  n_objects++;
  return g_malloc0 (size);
}

static cublasStatus_t
object_free (gpointer object, const char *name)
{
  if (!object) {
    cg_fake_note ("%s: NULL", name);
    return CUBLAS_STATUS_INVALID_VALUE;
  }
  n_objects--;
  g_free (object);
  return CUBLAS_STATUS_SUCCESS;
}

static void
layout_init (Layout *layout, cudaDataType_t type, guint64 rows, guint64 columns, gint64 ld)
{
  *layout = (Layout){ .type = type,
                      .order = CUBLASLT_ORDER_COL,
                      .batch = 1,
                      .rows = rows,
                      .columns = columns,
                      .ld = ld };
}

cublasStatus_t
cublasLtMatrixLayoutCreate (cublasLtMatrixLayout_t *layout, cudaDataType type, uint64_t rows,
                            uint64_t columns, int64_t ld)
{
  CALL (CUBLAS_STATUS_ALLOC_FAILED);
  *layout = object_new (sizeof **layout);
  layout_init ((Layout *)*layout, type, rows, columns, ld);
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t
cublasLtMatrixLayoutDestroy (cublasLtMatrixLayout_t layout)
{
  CG_FAKE_RELEASE ();
  return object_free (layout, __func__);
}

#define SET(field)                        \
  do {                                    \
    if (size != sizeof (field))           \
      return CUBLAS_STATUS_INVALID_VALUE; \
    memcpy (&(field), value, size);       \
    return CUBLAS_STATUS_SUCCESS;         \
  } while (0)

cublasStatus_t
cublasLtMatrixLayoutSetAttribute (cublasLtMatrixLayout_t opaque,
                                  cublasLtMatrixLayoutAttribute_t attribute, const void *value,
                                  size_t size)
{
  CALL (CUBLAS_STATUS_INVALID_VALUE);
  Layout *layout = (Layout *)opaque;
  switch (attribute) {
  case CUBLASLT_MATRIX_LAYOUT_TYPE:
    SET (layout->type);
  case CUBLASLT_MATRIX_LAYOUT_ORDER:
    SET (layout->order);
  case CUBLASLT_MATRIX_LAYOUT_ROWS:
    SET (layout->rows);
  case CUBLASLT_MATRIX_LAYOUT_COLS:
    SET (layout->columns);
  case CUBLASLT_MATRIX_LAYOUT_LD:
    SET (layout->ld);
  case CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT:
    SET (layout->batch);
  case CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET:
    SET (layout->step);
  default:
    return CUBLAS_STATUS_INVALID_VALUE;
  }
}

cublasStatus_t
cublasLtMatmulDescCreate (cublasLtMatmulDesc_t *opaque, cublasComputeType_t compute,
                          cudaDataType_t scale)
{
  CALL (CUBLAS_STATUS_ALLOC_FAILED);
  *opaque = object_new (sizeof **opaque);
  Operation *operation = (Operation *)*opaque;
  operation->compute = compute;
  operation->scale = scale;
  operation->epilogue = CUBLASLT_EPILOGUE_DEFAULT;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t
cublasLtMatmulDescDestroy (cublasLtMatmulDesc_t operation)
{
  CG_FAKE_RELEASE ();
  return object_free (operation, __func__);
}

cublasStatus_t
cublasLtMatmulDescSetAttribute (cublasLtMatmulDesc_t opaque,
                                cublasLtMatmulDescAttributes_t attribute, const void *value,
                                size_t size)
{
  CALL (CUBLAS_STATUS_INVALID_VALUE);
  Operation *operation = (Operation *)opaque;
  switch (attribute) {
  case CUBLASLT_MATMUL_DESC_COMPUTE_TYPE:
    SET (operation->compute);
  case CUBLASLT_MATMUL_DESC_SCALE_TYPE:
    SET (operation->scale);
  case CUBLASLT_MATMUL_DESC_POINTER_MODE:
    SET (operation->pointer_mode);
  case CUBLASLT_MATMUL_DESC_TRANSA:
    SET (operation->transpose[0]);
  case CUBLASLT_MATMUL_DESC_TRANSB:
    SET (operation->transpose[1]);
  case CUBLASLT_MATMUL_DESC_EPILOGUE:
    SET (operation->epilogue);
  case CUBLASLT_MATMUL_DESC_BIAS_POINTER:
    SET (operation->bias);
  case CUBLASLT_MATMUL_DESC_BIAS_BATCH_STRIDE:
    SET (operation->bias_step);
  case CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE:
    operation->has_bias_type = TRUE;
    SET (operation->bias_type);
  default:
    cg_fake_note ("cublasLtMatmulDescSetAttribute: %d is not faked", attribute);
    return CUBLAS_STATUS_NOT_SUPPORTED;
  }
}

cublasStatus_t
cublasLtMatmulPreferenceCreate (cublasLtMatmulPreference_t *preference)
{
  CALL (CUBLAS_STATUS_ALLOC_FAILED);
  *preference = object_new (sizeof **preference);
  for (guint i = 0; i < 4; i++)
    ((Preference *)*preference)->alignment[i] = 256;
  ((Preference *)*preference)->reductions = CUBLASLT_REDUCTION_SCHEME_MASK;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t
cublasLtMatmulPreferenceDestroy (cublasLtMatmulPreference_t preference)
{
  CG_FAKE_RELEASE ();
  return object_free (preference, __func__);
}

cublasStatus_t
cublasLtMatmulPreferenceSetAttribute (cublasLtMatmulPreference_t opaque,
                                      cublasLtMatmulPreferenceAttributes_t attribute,
                                      const void *value, size_t size)
{
  CALL (CUBLAS_STATUS_INVALID_VALUE);
  Preference *preference = (Preference *)opaque;
  switch (attribute) {
  case CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES:
    SET (preference->workspace);
  case CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK:
    SET (preference->reductions);
  case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES:
    SET (preference->alignment[0]);
  case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES:
    SET (preference->alignment[1]);
  case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES:
    SET (preference->alignment[2]);
  case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES:
    SET (preference->alignment[3]);
  default:
    return CUBLAS_STATUS_SUCCESS;
  }
}

/* ---- the problem that descriptors describe ---- */

static CgFakeMatrix
matrix (const Layout *layout, gboolean transposed)
{
  CgFakeMatrix m = { .type = fake_type (layout->type),
                     .rows = (gint64)layout->rows,
                     .columns = (gint64)layout->columns,
                     .row = layout->order == CUBLASLT_ORDER_ROW ? layout->ld : 1,
                     .column = layout->order == CUBLASLT_ORDER_ROW ? 1 : layout->ld,
                     .step = layout->batch > 1 ? layout->step : 0 };
  if (transposed) {
    const CgFakeMatrix n = m;
    m.rows = n.columns;
    m.columns = n.rows;
    m.row = n.column;
    m.column = n.row;
  }
  return m;
}

static gboolean
layout_is_possible (const Layout *layout)
{
  const gint64 shortest =
      (gint64)(layout->order == CUBLASLT_ORDER_ROW ? layout->columns : layout->rows);
  return layout->rows > 0 && layout->columns > 0 && layout->ld >= shortest && layout->batch > 0 &&
         (layout->order == CUBLASLT_ORDER_COL || layout->order == CUBLASLT_ORDER_ROW);
}

static gboolean
has_bias (const Operation *operation)
{
  return operation->epilogue & CUBLASLT_EPILOGUE_BIAS;
}

/* The rows of the manual's table for CUBLAS_COMPUTE_32F that these tests have use for. */
static gboolean
types_are_known (const Operation *operation, const Layout *a, const Layout *b, const Layout *c,
                 const Layout *d)
{
  const gboolean compute = operation->compute == CUBLAS_COMPUTE_32F ||
                           operation->compute == CUBLAS_COMPUTE_32F_PEDANTIC ||
                           operation->compute == CUBLAS_COMPUTE_32F_FAST_TF32;
  const cudaDataType_t bias = operation->has_bias_type ? operation->bias_type : d->type;

  return compute && operation->scale == CUDA_R_32F && a->type == b->type && c->type == d->type &&
         fake_type (a->type) != FAKE_OTHER && (d->type == CUDA_R_32F || d->type == a->type) &&
         (!has_bias (operation) || bias == d->type);
}

static cublasStatus_t
describe (const Operation *operation, const Layout *a, const Layout *b, const Layout *c,
          const Layout *d, CgFakeProduct *product)
{
  if (!operation || !a || !b || !c || !d || !layout_is_possible (a) || !layout_is_possible (b) ||
      !layout_is_possible (c) || !layout_is_possible (d))
    return CUBLAS_STATUS_INVALID_VALUE;
  *product = (CgFakeProduct){ .a = matrix (a, operation->transpose[0] == CUBLAS_OP_T),
                              .b = matrix (b, operation->transpose[1] == CUBLAS_OP_T),
                              .c = matrix (c, FALSE),
                              .d = matrix (d, FALSE),
                              .batch = d->batch,
                              .bias_type = fake_type (d->type),
                              .bias_step = operation->bias_step,
                              .tf32 = operation->compute == CUBLAS_COMPUTE_32F_FAST_TF32 };
  if (product->a.columns != product->b.rows || product->a.rows != product->d.rows ||
      product->b.columns != product->d.columns || c->rows != d->rows || c->columns != d->columns ||
      a->batch != d->batch || b->batch != d->batch || c->batch != d->batch)
    return CUBLAS_STATUS_INVALID_VALUE;
  if (d->batch > 1 && d->step == 0)
    return CUBLAS_STATUS_INVALID_VALUE;
  if (!types_are_known (operation, a, b, c, d) ||
      operation->pointer_mode != CUBLASLT_POINTER_MODE_HOST)
    return CUBLAS_STATUS_NOT_SUPPORTED;
  if (cg_fake_settings.strict_c && d->batch > 1 && c->step != d->step)
    return (cublasStatus_t)cg_fake_settings.strict_c;
  if (a->type == CUDA_R_16BF && cg_fake_settings.capability < 80)
    return CUBLAS_STATUS_NOT_SUPPORTED;

  switch (operation->epilogue) {
  case CUBLASLT_EPILOGUE_DEFAULT:
  case CUBLASLT_EPILOGUE_BIAS:
    break;
  case CUBLASLT_EPILOGUE_RELU:
  case CUBLASLT_EPILOGUE_RELU_BIAS:
    product->relu = TRUE;
    break;
  case CUBLASLT_EPILOGUE_GELU:
  case CUBLASLT_EPILOGUE_GELU_BIAS:
    product->activation = CG_FAKE_GELU_TANH;
    break;
  default:
    return CUBLAS_STATUS_NOT_SUPPORTED;
  }
  return CUBLAS_STATUS_SUCCESS;
}

/* A number that two problems share only if an algorithm for one serves the other. */
static guint64
problem_number (const Operation *operation, const Layout *a, const Layout *b, const Layout *c,
                const Layout *d)
{
  const guint64 parts[] = { operation->compute,
                            operation->epilogue,
                            operation->transpose[0],
                            operation->transpose[1],
                            a->type,
                            d->type,
                            a->rows,
                            a->columns,
                            b->rows,
                            b->columns,
                            d->rows,
                            d->columns,
                            (guint64)a->ld,
                            (guint64)b->ld,
                            (guint64)c->ld,
                            (guint64)d->ld,
                            (guint64)d->batch };
  guint64 hash = G_GUINT64_CONSTANT (0xCBF29CE484222325);
  for (guint i = 0; i < G_N_ELEMENTS (parts); i++)
    hash = (hash ^ parts[i]) * G_GUINT64_CONSTANT (0x100000001B3);
  return hash;
}

static gsize
algorithm_workspace (guint number)
{
  return number == N_ALGORITHMS ? BIG_WORKSPACE : number == 2 ? 512 : 0;
}

/* ---- proposals ---- */

cublasStatus_t
cublasLtMatmulAlgoGetHeuristic (cublasLtHandle_t handle, cublasLtMatmulDesc_t operation,
                                cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b,
                                cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d,
                                cublasLtMatmulPreference_t opaque, int requested,
                                cublasLtMatmulHeuristicResult_t results[], int *n)
{
  CALL (CUBLAS_STATUS_NOT_SUPPORTED);
  const Preference *preference = (const Preference *)opaque;
  CgFakeProduct product;
  cublasStatus_t status = describe ((Operation *)operation, (Layout *)a, (Layout *)b, (Layout *)c,
                                    (Layout *)d, &product);
  *n = 0;
  if (status != CUBLAS_STATUS_SUCCESS)
    return status;
  if (requested <= 0 || !handle)
    return CUBLAS_STATUS_INVALID_VALUE;
  if (preference->reductions & ~(guint32)CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE)
    cg_fake_note ("%s: parts of sums may be added up in the output's type", __func__);

  Algorithm algorithm = { .magic = ALGORITHM_MAGIC,
                          .problem = problem_number ((Operation *)operation, (Layout *)a,
                                                     (Layout *)b, (Layout *)c, (Layout *)d),
                          .alignment = 16 };
  for (guint i = 0; i < 4; i++)
    algorithm.alignment = MIN (algorithm.alignment, preference->alignment[i]);
  for (guint number = 1; number <= N_ALGORITHMS && *n < requested; number++) {
    if (algorithm_workspace (number) > preference->workspace)
      continue;
    cublasLtMatmulHeuristicResult_t *result = &results[(*n)++];
    memset (result, 0, sizeof *result);
    algorithm.number = number;
    memcpy (&result->algo, &algorithm, sizeof algorithm);
    result->workspaceSize = algorithm_workspace (number);
    result->state = CUBLAS_STATUS_SUCCESS;
    result->wavesCount = 1;
  }
  return *n ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_NOT_SUPPORTED;
}

/* ---- the product ---- */

static gboolean
aligned (const void *pointer, gsize alignment)
{
  return (gsize)pointer % alignment == 0;
}

/* All of the batch. */
static gboolean
all_aligned (const CgFakeMatrix *matrix, gint32 batch, gsize alignment)
{
  return aligned (matrix->data, alignment) &&
         (batch == 1 || (gsize)matrix->step * fake_size (matrix->type) % alignment == 0);
}

cublasStatus_t
cublasLtMatmul (cublasLtHandle_t handle, cublasLtMatmulDesc_t opaque, const void *alpha,
                const void *a, cublasLtMatrixLayout_t a_layout, const void *b,
                cublasLtMatrixLayout_t b_layout, const void *beta, const void *c,
                cublasLtMatrixLayout_t c_layout, void *d, cublasLtMatrixLayout_t d_layout,
                const cublasLtMatmulAlgo_t *algo, void *workspace, size_t workspace_size,
                cudaStream_t stream)
{
  CALL (CUBLAS_STATUS_INTERNAL_ERROR);
  const Operation *operation = (const Operation *)opaque;
  CgFakeProduct product;
  cublasStatus_t status = describe (operation, (Layout *)a_layout, (Layout *)b_layout,
                                    (Layout *)c_layout, (Layout *)d_layout, &product);
  Algorithm algorithm = { .number = 1, .alignment = 16 };

  if (!handle || !alpha || !beta || !a || !b || !d)
    return CUBLAS_STATUS_INVALID_VALUE;
  if (status != CUBLAS_STATUS_SUCCESS)
    return status;
  if (cg_fake_settings.lazy && cg_fake_capturing (stream))
    return CUBLAS_STATUS_ALLOC_FAILED;
  cg_fake_settings.lazy = FALSE;
  if (algo) {
    memcpy (&algorithm, algo, sizeof algorithm);
    if (algorithm.magic != ALGORITHM_MAGIC ||
        algorithm.problem != problem_number (operation, (Layout *)a_layout, (Layout *)b_layout,
                                             (Layout *)c_layout, (Layout *)d_layout)) {
      cg_fake_note ("cublasLtMatmul: the algorithm was proposed for another product");
      return CUBLAS_STATUS_INVALID_VALUE;
    }
  }

  float scale;
  memcpy (&scale, alpha, sizeof scale);
  product.alpha = scale;
  memcpy (&scale, beta, sizeof scale);
  product.beta = scale;
  product.a.data = (void *)a;
  product.b.data = (void *)b;
  product.c.data = (void *)c;
  product.d.data = d;
  product.bias = has_bias (operation) ? operation->bias : NULL;
  product.workspace = workspace;
  product.workspace_size = algorithm_workspace (algorithm.number);
  product.microseconds = 1 + cg_fake_random (algorithm.problem + algorithm.number) % 97;

  if ((has_bias (operation) && !operation->bias) || (product.beta != 0 && !c))
    return CUBLAS_STATUS_INVALID_VALUE;
  if (c == d && product.beta != 0 &&
      memcmp ((Layout *)c_layout, (Layout *)d_layout, sizeof (Layout)) != 0)
    return CUBLAS_STATUS_INVALID_VALUE;
  if (workspace_size < product.workspace_size || !aligned (workspace, 16))
    return CUBLAS_STATUS_INVALID_VALUE;
  if (!all_aligned (&product.a, product.batch, algorithm.alignment) ||
      !all_aligned (&product.b, product.batch, algorithm.alignment) ||
      !all_aligned (&product.d, product.batch, algorithm.alignment) ||
      (product.beta != 0 && !all_aligned (&product.c, product.batch, algorithm.alignment)) ||
      (product.bias && !aligned (product.bias, MIN (algorithm.alignment, 16)))) {
    cg_fake_note ("cublasLtMatmul: a pointer is less aligned than %u bytes", algorithm.alignment);
    return CUBLAS_STATUS_INVALID_VALUE;
  }
  return cg_fake_enqueue (stream, __func__, cg_fake_product_run,
                          g_memdup2 (&product, sizeof product), g_free) == cudaSuccess
             ? CUBLAS_STATUS_SUCCESS
             : CUBLAS_STATUS_EXECUTION_FAILED;
}
