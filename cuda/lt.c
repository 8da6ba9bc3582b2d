/* Matrix products of cuBLASLt: see lt.h.
 *
 * cuBLASLt thinks in columns. A row-major Y[m][n] is its column-major D of n rows and m columns, so that
 * D = A · B with A = W (transposed if its rows are outputs) and B = X.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "lt.h"

#include <stdlib.h>
#include <string.h>

#define MAX_PROPOSALS 16

struct _CgCudaLt {
  const CgCudaDevice *device;
  float alpha, beta;
  cublasLtMatmulDesc_t operation;
  cublasLtMatrixLayout_t a, b, c, d;
  cublasLtMatmulAlgo_t algorithm;
};

static cublasStatus_t
set_operation (cublasLtMatmulDesc_t operation, const CgCudaLtShape *shape, const void *anywhere)
{
  const cublasOperation_t transposed = CUBLAS_OP_T;
  const cublasLtEpilogue_t epilogue = CUBLASLT_EPILOGUE_BIAS;
  const int32_t type = cg_cuda_data_type (shape->out);
  cublasStatus_t code = CUBLAS_STATUS_SUCCESS;

  if (shape->transposed)
    code = cublasLtMatmulDescSetAttribute (operation, CUBLASLT_MATMUL_DESC_TRANSA, &transposed,
                                           sizeof transposed);
  if (code != CUBLAS_STATUS_SUCCESS || !shape->bias)
    return code;
  code = cublasLtMatmulDescSetAttribute (operation, CUBLASLT_MATMUL_DESC_EPILOGUE, &epilogue,
                                         sizeof epilogue);
  if (code == CUBLAS_STATUS_SUCCESS)
    code = cublasLtMatmulDescSetAttribute (operation, CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE, &type,
                                           sizeof type);
  /* Proposals depend on its alignment; the bias itself comes with each run. */
  if (code == CUBLAS_STATUS_SUCCESS)
    code = cublasLtMatmulDescSetAttribute (operation, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &anywhere,
                                           sizeof anywhere);
  return code;
}

static cublasStatus_t
make_layout (cublasLtMatrixLayout_t *layout, CgCudaType type, unsigned rows, unsigned columns,
             size_t row, unsigned batch, size_t step)
{
  const int32_t count = (int32_t)batch;
  const int64_t offset = (int64_t)step;
  cublasStatus_t code =
      cublasLtMatrixLayoutCreate (layout, cg_cuda_data_type (type), columns, rows, (int64_t)row);

  if (code != CUBLAS_STATUS_SUCCESS || batch == 1)
    return code;
  code = cublasLtMatrixLayoutSetAttribute (*layout, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, &count,
                                           sizeof count);
  if (code == CUBLAS_STATUS_SUCCESS)
    code = cublasLtMatrixLayoutSetAttribute (*layout, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET,
                                             &offset, sizeof offset);
  return code;
}

static bool
describe (CgCudaLt *lt, const CgCudaLtShape *s, CgCudaError *error)
{
  const unsigned w_rows = s->transposed ? s->n : s->k, w_columns = s->transposed ? s->k : s->n;
  cublasStatus_t code = cublasLtMatmulDescCreate (&lt->operation, CUBLAS_COMPUTE_32F, CUDA_R_32F);

  if (code == CUBLAS_STATUS_SUCCESS)
    code = set_operation (lt->operation, s, lt->device->workspace);
  if (code == CUBLAS_STATUS_SUCCESS)
    code = make_layout (&lt->a, s->in, w_rows, w_columns, s->w_row, s->batch, s->w_step);
  if (code == CUBLAS_STATUS_SUCCESS)
    code = make_layout (&lt->b, s->in, s->m, s->k, s->x_row, s->batch, s->x_step);
  if (code == CUBLAS_STATUS_SUCCESS)
    code = make_layout (&lt->c, s->out, s->m, s->n, s->y_row, s->batch,
                        s->beta != 0 ? s->c_step : s->y_step);
  if (code == CUBLAS_STATUS_SUCCESS)
    code = make_layout (&lt->d, s->out, s->m, s->n, s->y_row, s->batch, s->y_step);
  return cg_cuda_check_lt (code, "describe a matrix product", error);
}

static cublasStatus_t
set_preference (cublasLtMatmulPreference_t preference, const CgCudaLtShape *shape, size_t workspace)
{
  static const cublasLtMatmulPreferenceAttributes_t alignments[] = {
    CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES,
    CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES,
    CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES,
    CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES,
  };
  const uint64_t bytes = workspace;
  const uint32_t alignment = shape->alignment;
  /* Parts of a sum are added in fp32: of the default, some are rounded to the output's type before. */
  const uint32_t reductions = CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE;
  cublasStatus_t code = cublasLtMatmulPreferenceSetAttribute (
      preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &bytes, sizeof bytes);

  if (code == CUBLAS_STATUS_SUCCESS)
    code = cublasLtMatmulPreferenceSetAttribute (
        preference, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, &reductions, sizeof reductions);
  for (unsigned i = 0; i < 4 && code == CUBLAS_STATUS_SUCCESS; i++)
    code = cublasLtMatmulPreferenceSetAttribute (preference, alignments[i], &alignment,
                                                 sizeof alignment);
  return code;
}

static bool
choose (CgCudaLt *lt, const CgCudaLtShape *shape, unsigned index, CgCudaError *error)
{
  cublasLtMatmulPreference_t preference = NULL;
  cublasLtMatmulHeuristicResult_t proposals[MAX_PROPOSALS];
  int found = 0;
  cublasStatus_t code = cublasLtMatmulPreferenceCreate (&preference);

  if (code == CUBLAS_STATUS_SUCCESS)
    code = set_preference (preference, shape, lt->device->workspace_size);
  if (code == CUBLAS_STATUS_SUCCESS)
    code = cublasLtMatmulAlgoGetHeuristic (lt->device->lt, lt->operation, lt->a, lt->b, lt->c,
                                           lt->d, preference, MAX_PROPOSALS, proposals, &found);
  if (preference)
    cublasLtMatmulPreferenceDestroy (preference);
  /* A shape that it does not take is told in either way. */
  if (code == CUBLAS_STATUS_NOT_SUPPORTED || code == CUBLAS_STATUS_INVALID_VALUE ||
      (code == CUBLAS_STATUS_SUCCESS && (int)index >= found))
    return cg_cuda_fail (
        error, CG_CUDA_UNSUPPORTED,
        "cuBLASLt has %d ways to multiply %ux%u by %ux%u in %s here: expected more "
        "than %u",
        found, shape->m, shape->k, shape->k, shape->n, cg_cuda_type_name (shape->in), index);
  if (!cg_cuda_check_lt (code, "propose a matrix product", error))
    return false;
  if (proposals[index].state != CUBLAS_STATUS_SUCCESS)
    return cg_cuda_fail (error, CG_CUDA_UNSUPPORTED, "cuBLASLt takes a proposal back: %s",
                         cublasLtGetStatusString (proposals[index].state));
  lt->algorithm = proposals[index].algo;
  return true;
}

CgCudaLt *
cg_cuda_lt_new (const CgCudaDevice *device, const CgCudaLtShape *shape, unsigned index,
                CgCudaError *error)
{
  CgCudaLt *lt = calloc (1, sizeof *lt);

  if (!lt) {
    cg_cuda_fail (error, CG_CUDA_MEMORY, "Out of memory for a matrix product's plan");
    return NULL;
  }
  lt->device = device;
  lt->alpha = shape->alpha;
  lt->beta = shape->beta;
  if (describe (lt, shape, error) && choose (lt, shape, index, error))
    return lt;
  cg_cuda_lt_free (lt);
  return NULL;
}

void
cg_cuda_lt_free (CgCudaLt *lt)
{
  if (!lt)
    return;
  if (lt->d)
    cublasLtMatrixLayoutDestroy (lt->d);
  if (lt->c)
    cublasLtMatrixLayoutDestroy (lt->c);
  if (lt->b)
    cublasLtMatrixLayoutDestroy (lt->b);
  if (lt->a)
    cublasLtMatrixLayoutDestroy (lt->a);
  if (lt->operation)
    cublasLtMatmulDescDestroy (lt->operation);
  free (lt);
}

bool
cg_cuda_lt_run (const CgCudaLt *lt, const void *x, const void *w, const void *c, const void *bias,
                void *y, CgCudaError *error)
{
  cublasStatus_t code = CUBLAS_STATUS_SUCCESS;

  if (bias)
    code = cublasLtMatmulDescSetAttribute (lt->operation, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &bias,
                                           sizeof bias);
  if (code == CUBLAS_STATUS_SUCCESS)
    code = cublasLtMatmul (lt->device->lt, lt->operation, &lt->alpha, w, lt->a, x, lt->b, &lt->beta,
                           c ? c : y, lt->c, y, lt->d, &lt->algorithm, lt->device->workspace,
                           lt->device->workspace_size, lt->device->stream);
  return cg_cuda_check_lt (code, "multiply matrices", error);
}
