/* Matrix products of the network: see matmul.h.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "matmul.h"

#include <stdlib.h>

#include "dnn.h"
#include "lt.h"

struct _CgCudaMatmul {
  const CgCudaDevice *device;
  CgCudaMatmulShape shape;
  CgCudaLt *lt; /* or */
  CgCudaDnn *dnn;
  bool copies; /* LT_COPY */
};

static bool
is_float (CgCudaEpilogue epilogue)
{
  return epilogue == CG_CUDA_EPILOGUE_ADD || epilogue == CG_CUDA_EPILOGUE_TABLE;
}

/* ---- cuBLASLt ---- */

/* @in_place: Y is what is added to. Else a table is, the same for all of the batch. */
static CgCudaLt *
lt_new (const CgCudaDevice *device, const CgCudaMatmulShape *shape, unsigned index, bool in_place,
        CgCudaError *error)
{
  const bool table = shape->epilogue == CG_CUDA_EPILOGUE_TABLE;
  const size_t step = (size_t)shape->rows * shape->outputs;
  const CgCudaLtShape product = {
    .in = shape->type,
    .out = is_float (shape->epilogue) ? CG_CUDA_FP32 : shape->type,
    .transposed = true,
    .bias = shape->epilogue == CG_CUDA_EPILOGUE_STORE || shape->epilogue == CG_CUDA_EPILOGUE_ADD,
    .m = table ? shape->rows : shape->batch * shape->rows,
    .n = shape->outputs,
    .k = shape->inputs,
    .batch = table ? shape->batch : 1,
    .x_row = shape->inputs,
    .w_row = shape->inputs,
    .y_row = shape->outputs,
    .x_step = (size_t)shape->rows * shape->inputs,
    .y_step = step,
    .c_step = in_place ? step : 0,
    .alpha = 1.0f / (float)(1u << shape->shift),
    .beta = is_float (shape->epilogue) ? 1 : 0,
    .alignment = 16,
  };

  return cg_cuda_lt_new (device, &product, index, error);
}

/* Y = the table, for each of the batch. */
static bool
copy_table (const CgCudaMatmul *matmul, const float *table, float *y, CgCudaError *error)
{
  const CgCudaMatmulShape *shape = &matmul->shape;
  const size_t step = (size_t)shape->rows * shape->outputs;

  for (unsigned i = 0; i < shape->batch; i++)
    if (!cg_cuda_check (cudaMemcpyAsync (y + i * step, table, step * sizeof *y,
                                         cudaMemcpyDeviceToDevice, matmul->device->stream),
                        "copy a table", error))
      return false;
  return true;
}

/* ---- cuDNN: [batch][rows][inputs] · [1][inputs][outputs], all on the way in fp32 on the chip ---- */

static CgCudaDnnTensor
dnn_tensor (cudnnDataType_t type, int64_t batch, int64_t rows, int64_t columns, bool on_chip)
{
  return (CgCudaDnnTensor){ .type = type,
                            .n = 3,
                            .dimensions = { batch, rows, columns },
                            .strides = { rows * columns, columns, 1 },
                            .on_chip = on_chip };
}

static CgCudaDnn *
dnn_new (const CgCudaDevice *device, const CgCudaMatmulShape *shape, unsigned index,
         CgCudaError *error)
{
  const cudnnDataType_t type = cg_cuda_dnn_type (shape->type);
  const bool table = shape->epilogue == CG_CUDA_EPILOGUE_TABLE;
  const int64_t batch = table ? shape->batch : 1;
  const int64_t rows = table ? shape->rows : (int64_t)shape->batch * shape->rows;
  const int64_t in = shape->inputs, out = shape->outputs;
  const CgCudaDnnTensor x = dnn_tensor (type, batch, rows, in, false);
  const CgCudaDnnTensor product = dnn_tensor (CUDNN_DATA_FLOAT, batch, rows, out, true);
  const CgCudaDnnTensor bias = dnn_tensor (
      shape->epilogue == CG_CUDA_EPILOGUE_STORE ? type : CUDNN_DATA_FLOAT, 1, 1, out, false);
  const CgCudaDnnTensor addend =
      dnn_tensor (CUDNN_DATA_FLOAT, 1, table ? shape->rows : rows, out, false);
  const CgCudaDnnTensor y =
      dnn_tensor (is_float (shape->epilogue) ? CUDNN_DATA_FLOAT : type, batch, rows, out, false);
  CgCudaDnnTensor w = dnn_tensor (type, 1, in, out, false);
  CgCudaDnn *dnn;
  unsigned a, b, p, q, to;

  if (shape->shift != 0) {
    cg_cuda_fail (error, CG_CUDA_UNSUPPORTED, "cuDNN is not asked for shifted products");
    return NULL;
  }
  dnn = cg_cuda_dnn_new (device);
  if (!dnn) {
    cg_cuda_fail (error, CG_CUDA_MEMORY, "Out of memory for a matrix product's plan");
    return NULL;
  }
  w.strides[1] = 1;
  w.strides[2] = in;
  a = cg_cuda_dnn_tensor (dnn, &x);
  b = cg_cuda_dnn_tensor (dnn, &w);
  p = cg_cuda_dnn_tensor (dnn, &product);
  cg_cuda_dnn_matmul (dnn, a, b, p);
  switch (shape->epilogue) {
  case CG_CUDA_EPILOGUE_STORE:
    b = cg_cuda_dnn_tensor (dnn, &bias);
    to = cg_cuda_dnn_tensor (dnn, &y);
    cg_cuda_dnn_pointwise (dnn, CUDNN_POINTWISE_ADD, p, (int)b, to);
    break;
  case CG_CUDA_EPILOGUE_GELU:
    b = cg_cuda_dnn_tensor (dnn, &bias);
    q = cg_cuda_dnn_tensor (dnn, &product);
    to = cg_cuda_dnn_tensor (dnn, &y);
    cg_cuda_dnn_pointwise (dnn, CUDNN_POINTWISE_ADD, p, (int)b, q);
    cg_cuda_dnn_pointwise (dnn, CUDNN_POINTWISE_GELU_FWD, q, -1, to);
    break;
  case CG_CUDA_EPILOGUE_ADD:
    b = cg_cuda_dnn_tensor (dnn, &bias);
    q = cg_cuda_dnn_tensor (dnn, &product);
    cg_cuda_dnn_pointwise (dnn, CUDNN_POINTWISE_ADD, p, (int)b, q);
    b = cg_cuda_dnn_tensor (dnn, &addend);
    to = cg_cuda_dnn_tensor (dnn, &y);
    cg_cuda_dnn_pointwise (dnn, CUDNN_POINTWISE_ADD, q, (int)b, to);
    break;
  case CG_CUDA_EPILOGUE_TABLE:
    b = cg_cuda_dnn_tensor (dnn, &addend);
    to = cg_cuda_dnn_tensor (dnn, &y);
    cg_cuda_dnn_pointwise (dnn, CUDNN_POINTWISE_ADD, p, (int)b, to);
    break;
  }
  if (cg_cuda_dnn_build (dnn, index, error))
    return dnn;
  cg_cuda_dnn_free (dnn);
  return NULL;
}

static bool
dnn_run (const CgCudaMatmul *matmul, const void *x, const void *weight, const void *bias,
         const float *addend, void *y, CgCudaError *error)
{
  /* In the order in which dnn_new () makes them. */
  const void *pointers[5] = { x, weight };
  unsigned n = 2;

  if (bias)
    pointers[n++] = bias;
  if (addend)
    pointers[n++] = addend;
  pointers[n] = y;
  return cg_cuda_dnn_run (matmul->dnn, (void *const *)pointers, error);
}

/* ---- either ---- */

CgCudaMatmul *
cg_cuda_matmul_new (const CgCudaDevice *device, const CgCudaMatmulShape *shape, CgCudaChoice choice,
                    CgCudaError *error)
{
  CgCudaMatmul *matmul = calloc (1, sizeof *matmul);

  if (!matmul) {
    cg_cuda_fail (error, CG_CUDA_MEMORY, "Out of memory for a matrix product's plan");
    return NULL;
  }
  matmul->device = device;
  matmul->shape = *shape;
  matmul->copies = choice.provider == CG_CUDA_PROVIDER_LT_COPY;
  if (choice.provider == CG_CUDA_PROVIDER_DNN)
    matmul->dnn = dnn_new (device, shape, choice.index, error);
  else
    matmul->lt = lt_new (device, shape, choice.index, matmul->copies, error);
  if (matmul->lt || matmul->dnn)
    return matmul;
  free (matmul);
  return NULL;
}

void
cg_cuda_matmul_free (CgCudaMatmul *matmul)
{
  if (!matmul)
    return;
  cg_cuda_lt_free (matmul->lt);
  cg_cuda_dnn_free (matmul->dnn);
  free (matmul);
}

bool
cg_cuda_matmul_in_place (const CgCudaMatmul *matmul)
{
  return matmul->lt != NULL;
}

bool
cg_cuda_matmul_run (const CgCudaMatmul *matmul, const void *x, const void *weight, const void *bias,
                    const float *addend, void *y, CgCudaError *error)
{
  const CgCudaMatmulShape *shape = &matmul->shape;

  if (matmul->dnn)
    return dnn_run (matmul, x, weight, bias, addend, y, error);
  if (matmul->copies)
    return copy_table (matmul, addend, y, error) &&
           cg_cuda_lt_run (matmul->lt, x, weight, NULL, NULL, y, error);
  if (shape->epilogue != CG_CUDA_EPILOGUE_GELU)
    return cg_cuda_lt_run (matmul->lt, x, weight, addend, bias, y, error);
  /* cuBLASLt's own gelu is the approximation with tanh, off by up to 5e-4. */
  return cg_cuda_lt_run (matmul->lt, x, weight, NULL, NULL, y, error) &&
         cg_cuda_check (cg_cuda_add_bias_gelu (shape->type, y, (size_t)shape->batch * shape->rows,
                                               shape->outputs, bias, matmul->device->stream),
                        "compute gelu", error);
}
