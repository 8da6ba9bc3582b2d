/* Plans of cuDNN's graph interface: see dnn.h.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "dnn.h"

#include <stdlib.h>

#define MAX_OWNED 64
#define MAX_TENSORS 16
#define MAX_OPERATIONS 4
#define MAX_PROPOSALS 16
#define ALIGNMENT 16

struct _CgCudaDnn {
  const CgCudaDevice *device;
  cudnnStatus_t status; /* of the first failure */
  cudnnBackendDescriptor_t owned[MAX_OWNED];
  unsigned n_owned;
  cudnnBackendDescriptor_t tensors[MAX_TENSORS];
  unsigned n_tensors;
  int64_t stored[CG_CUDA_DNN_MAX_TENSORS]; /* their unique numbers */
  unsigned n_stored;
  cudnnBackendDescriptor_t operations[MAX_OPERATIONS];
  unsigned n_operations;
  cudnnBackendDescriptor_t plan;
};

/* ---- descriptors ---- */

static cudnnBackendDescriptor_t
add (CgCudaDnn *dnn, cudnnBackendDescriptorType_t type)
{
  cudnnBackendDescriptor_t made = NULL;

  if (dnn->status == CUDNN_STATUS_SUCCESS && dnn->n_owned == MAX_OWNED)
    dnn->status = CUDNN_STATUS_INTERNAL_ERROR;
  if (dnn->status == CUDNN_STATUS_SUCCESS)
    dnn->status = cudnnBackendCreateDescriptor (type, &made);
  if (dnn->status != CUDNN_STATUS_SUCCESS)
    return NULL;
  dnn->owned[dnn->n_owned++] = made;
  return made;
}

static void
set (CgCudaDnn *dnn, cudnnBackendDescriptor_t of, cudnnBackendAttributeName_t name,
     cudnnBackendAttributeType_t type, int64_t n, const void *values)
{
  if (dnn->status == CUDNN_STATUS_SUCCESS)
    dnn->status = cudnnBackendSetAttribute (of, name, type, n, values);
}

static void
set_descriptor (CgCudaDnn *dnn, cudnnBackendDescriptor_t of, cudnnBackendAttributeName_t name,
                cudnnBackendDescriptor_t value)
{
  set (dnn, of, name, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &value);
}

static void
set_tensor (CgCudaDnn *dnn, cudnnBackendDescriptor_t of, cudnnBackendAttributeName_t name,
            unsigned tensor)
{
  if (dnn->status == CUDNN_STATUS_SUCCESS)
    set_descriptor (dnn, of, name, dnn->tensors[tensor]);
}

static void
finalize (CgCudaDnn *dnn, cudnnBackendDescriptor_t descriptor)
{
  if (dnn->status == CUDNN_STATUS_SUCCESS)
    dnn->status = cudnnBackendFinalize (descriptor);
}

/* ---- the graph ---- */

CgCudaDnn *
cg_cuda_dnn_new (const CgCudaDevice *device)
{
  CgCudaDnn *dnn = calloc (1, sizeof *dnn);

  if (dnn)
    dnn->device = device;
  return dnn;
}

void
cg_cuda_dnn_free (CgCudaDnn *dnn)
{
  if (!dnn)
    return;
  /* With a plan its kernels are unloaded, for which a device that does not answer would let us wait. */
  while (dnn->n_owned > 0 && !cg_cuda_device_is_silent (dnn->device))
    cudnnBackendDestroyDescriptor (dnn->owned[--dnn->n_owned]);
  free (dnn);
}

unsigned
cg_cuda_dnn_tensor (CgCudaDnn *dnn, const CgCudaDnnTensor *tensor)
{
  const int64_t alignment = ALIGNMENT, number = dnn->n_tensors + 1;
  cudnnBackendDescriptor_t made;

  if (dnn->n_tensors == MAX_TENSORS ||
      (!tensor->on_chip && dnn->n_stored == CG_CUDA_DNN_MAX_TENSORS)) {
    dnn->status = CUDNN_STATUS_INTERNAL_ERROR;
    return 0;
  }
  made = add (dnn, CUDNN_BACKEND_TENSOR_DESCRIPTOR);
  set (dnn, made, CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT64, 1, &number);
  set (dnn, made, CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &tensor->type);
  set (dnn, made, CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_INT64, tensor->n, tensor->dimensions);
  set (dnn, made, CUDNN_ATTR_TENSOR_STRIDES, CUDNN_TYPE_INT64, tensor->n, tensor->strides);
  set (dnn, made, CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, CUDNN_TYPE_INT64, 1, &alignment);
  set (dnn, made, CUDNN_ATTR_TENSOR_IS_VIRTUAL, CUDNN_TYPE_BOOLEAN, 1, &tensor->on_chip);
  if (tensor->by_value)
    set (dnn, made, CUDNN_ATTR_TENSOR_IS_BY_VALUE, CUDNN_TYPE_BOOLEAN, 1, &tensor->by_value);
  finalize (dnn, made);
  if (!tensor->on_chip)
    dnn->stored[dnn->n_stored++] = number;
  dnn->tensors[dnn->n_tensors] = made;
  return dnn->n_tensors++;
}

static void
add_operation (CgCudaDnn *dnn, cudnnBackendDescriptor_t operation)
{
  finalize (dnn, operation);
  if (dnn->status == CUDNN_STATUS_SUCCESS && dnn->n_operations == MAX_OPERATIONS)
    dnn->status = CUDNN_STATUS_INTERNAL_ERROR;
  if (dnn->status == CUDNN_STATUS_SUCCESS)
    dnn->operations[dnn->n_operations++] = operation;
}

void
cg_cuda_dnn_matmul (CgCudaDnn *dnn, unsigned a, unsigned b, unsigned c)
{
  const cudnnDataType_t sums = CUDNN_DATA_FLOAT;
  cudnnBackendDescriptor_t how = add (dnn, CUDNN_BACKEND_MATMUL_DESCRIPTOR);
  cudnnBackendDescriptor_t operation;

  set (dnn, how, CUDNN_ATTR_MATMUL_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &sums);
  finalize (dnn, how);
  operation = add (dnn, CUDNN_BACKEND_OPERATION_MATMUL_DESCRIPTOR);
  set_tensor (dnn, operation, CUDNN_ATTR_OPERATION_MATMUL_ADESC, a);
  set_tensor (dnn, operation, CUDNN_ATTR_OPERATION_MATMUL_BDESC, b);
  set_tensor (dnn, operation, CUDNN_ATTR_OPERATION_MATMUL_CDESC, c);
  set_descriptor (dnn, operation, CUDNN_ATTR_OPERATION_MATMUL_DESC, how);
  add_operation (dnn, operation);
}

void
cg_cuda_dnn_pointwise (CgCudaDnn *dnn, cudnnPointwiseMode_t mode, unsigned x, int b, unsigned y)
{
  const cudnnDataType_t arithmetic = CUDNN_DATA_FLOAT;
  cudnnBackendDescriptor_t how = add (dnn, CUDNN_BACKEND_POINTWISE_DESCRIPTOR);
  cudnnBackendDescriptor_t operation;

  set (dnn, how, CUDNN_ATTR_POINTWISE_MODE, CUDNN_TYPE_POINTWISE_MODE, 1, &mode);
  set (dnn, how, CUDNN_ATTR_POINTWISE_MATH_PREC, CUDNN_TYPE_DATA_TYPE, 1, &arithmetic);
  finalize (dnn, how);
  operation = add (dnn, CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR);
  set_descriptor (dnn, operation, CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, how);
  set_tensor (dnn, operation, CUDNN_ATTR_OPERATION_POINTWISE_XDESC, x);
  if (b >= 0)
    set_tensor (dnn, operation, CUDNN_ATTR_OPERATION_POINTWISE_BDESC, (unsigned)b);
  set_tensor (dnn, operation, CUDNN_ATTR_OPERATION_POINTWISE_YDESC, y);
  add_operation (dnn, operation);
}

void
cg_cuda_dnn_sdpa (CgCudaDnn *dnn, unsigned q, unsigned k, unsigned v, unsigned o, unsigned scale)
{
  cudnnBackendDescriptor_t operation = add (dnn, CUDNN_BACKEND_OPERATION_SDPA_FWD_DESCRIPTOR);

  set_tensor (dnn, operation, CUDNN_ATTR_OPERATION_SDPA_FWD_QDESC, q);
  set_tensor (dnn, operation, CUDNN_ATTR_OPERATION_SDPA_FWD_KDESC, k);
  set_tensor (dnn, operation, CUDNN_ATTR_OPERATION_SDPA_FWD_VDESC, v);
  set_tensor (dnn, operation, CUDNN_ATTR_OPERATION_SDPA_FWD_ODESC, o);
  set_tensor (dnn, operation, CUDNN_ATTR_OPERATION_SDPA_FWD_SCALEDESC, scale);
  add_operation (dnn, operation);
}

/* ---- the plan ---- */

/* Proposals for the graph; returns how many. */
static int64_t
propose (CgCudaDnn *dnn, cudnnBackendDescriptor_t *proposals)
{
  const cudnnBackendHeurMode_t mode = CUDNN_HEUR_MODE_A;
  cudnnBackendDescriptor_t graph = add (dnn, CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR), heuristic;
  int64_t n = 0;

  set (dnn, graph, CUDNN_ATTR_OPERATIONGRAPH_OPS, CUDNN_TYPE_BACKEND_DESCRIPTOR, dnn->n_operations,
       dnn->operations);
  if (dnn->device->dnn)
    set (dnn, graph, CUDNN_ATTR_OPERATIONGRAPH_HANDLE, CUDNN_TYPE_HANDLE, 1, &dnn->device->dnn);
  finalize (dnn, graph);

  heuristic = add (dnn, CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR);
  set_descriptor (dnn, heuristic, CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, graph);
  set (dnn, heuristic, CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, 1, &mode);
  if (dnn->device->dnn_properties)
    set_descriptor (dnn, heuristic, CUDNN_ATTR_ENGINEHEUR_DEVICEPROP, dnn->device->dnn_properties);
  finalize (dnn, heuristic);

  if (dnn->status == CUDNN_STATUS_SUCCESS)
    dnn->status = cudnnBackendGetAttribute (heuristic, CUDNN_ATTR_ENGINEHEUR_RESULTS,
                                            CUDNN_TYPE_BACKEND_DESCRIPTOR, 0, &n, NULL);
  n = n < MAX_PROPOSALS ? n : MAX_PROPOSALS;
  for (int64_t i = 0; i < n; i++)
    proposals[i] = add (dnn, CUDNN_BACKEND_ENGINECFG_DESCRIPTOR);
  if (dnn->status == CUDNN_STATUS_SUCCESS && n > 0)
    dnn->status = cudnnBackendGetAttribute (heuristic, CUDNN_ATTR_ENGINEHEUR_RESULTS,
                                            CUDNN_TYPE_BACKEND_DESCRIPTOR, n, &n, proposals);
  return dnn->status == CUDNN_STATUS_SUCCESS ? n : 0;
}

/* Whether @proposal gives the same bits each time. */
static bool
is_repeatable (CgCudaDnn *dnn, cudnnBackendDescriptor_t proposal)
{
  cudnnBackendDescriptor_t engine = add (dnn, CUDNN_BACKEND_ENGINE_DESCRIPTOR);
  cudnnBackendNumericalNote_t notes[CUDNN_NUMERICAL_NOTE_TYPE_COUNT];
  int64_t n = 0;
  bool repeatable = true;

  if (dnn->status == CUDNN_STATUS_SUCCESS)
    dnn->status = cudnnBackendGetAttribute (proposal, CUDNN_ATTR_ENGINECFG_ENGINE,
                                            CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &n, &engine);
  if (dnn->status == CUDNN_STATUS_SUCCESS)
    dnn->status = cudnnBackendGetAttribute (engine, CUDNN_ATTR_ENGINE_NUMERICAL_NOTE,
                                            CUDNN_TYPE_NUMERICAL_NOTE,
                                            CUDNN_NUMERICAL_NOTE_TYPE_COUNT, &n, notes);
  if (dnn->status == CUDNN_STATUS_SUCCESS)
    for (int64_t i = 0; i < n && i < CUDNN_NUMERICAL_NOTE_TYPE_COUNT; i++)
      repeatable = repeatable && notes[i] != CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC;
  return repeatable;
}

static void
compile (CgCudaDnn *dnn, cudnnBackendDescriptor_t proposal)
{
  dnn->plan = add (dnn, CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR);
  set_descriptor (dnn, dnn->plan, CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, proposal);
  if (dnn->device->dnn)
    set (dnn, dnn->plan, CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_TYPE_HANDLE, 1, &dnn->device->dnn);
  if (dnn->device->dnn_properties)
    set_descriptor (dnn, dnn->plan, CUDNN_ATTR_EXECUTION_PLAN_DEVICEPROP,
                    dnn->device->dnn_properties);
  finalize (dnn, dnn->plan);
}

/* What cuDNN has no plan for is no fault of this machine. */
static bool
is_unsupported (cudnnStatus_t status)
{
  return status / 1000 == CUDNN_STATUS_NOT_SUPPORTED / 1000 ||
         status / 1000 == CUDNN_STATUS_BAD_PARAM / 1000;
}

bool
cg_cuda_dnn_build (CgCudaDnn *dnn, unsigned index, CgCudaError *error)
{
  cudnnBackendDescriptor_t proposals[MAX_PROPOSALS];
  const int64_t n = propose (dnn, proposals);
  int64_t workspace = 0, one = 1;
  char reason[192];

  if (dnn->status == CUDNN_STATUS_SUCCESS && index >= n)
    return cg_cuda_fail (error, CG_CUDA_UNSUPPORTED,
                         "cuDNN has %d ways to compute this here: expected more than %u", (int)n,
                         index);
  if (dnn->status == CUDNN_STATUS_SUCCESS && !is_repeatable (dnn, proposals[index]))
    return cg_cuda_fail (error, CG_CUDA_UNSUPPORTED,
                         "cuDNN's way %u to compute this gives other last digits each time", index);
  if (dnn->status == CUDNN_STATUS_SUCCESS)
    compile (dnn, proposals[index]);
  if (dnn->status == CUDNN_STATUS_SUCCESS)
    dnn->status = cudnnBackendGetAttribute (dnn->plan, CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE,
                                            CUDNN_TYPE_INT64, 1, &one, &workspace);
  if (is_unsupported (dnn->status))
    return cg_cuda_fail (error, CG_CUDA_UNSUPPORTED, "cuDNN cannot compute this here: %s",
                         cg_cuda_dnn_reason (dnn->status, reason, sizeof reason));
  if (!cg_cuda_check_dnn (dnn->status, "make a plan", error))
    return false;
  if (workspace < 0 || (uint64_t)workspace > dnn->device->workspace_size)
    return cg_cuda_fail (error, CG_CUDA_UNSUPPORTED,
                         "cuDNN wants %lld bytes to compute this: expected at most %zu",
                         (long long)workspace, dnn->device->workspace_size);
  return true;
}

/* A variant pack is filled anew each time: runs happen while graphs are captured, not later. */
bool
cg_cuda_dnn_run (const CgCudaDnn *dnn, void *const *pointers, CgCudaError *error)
{
  cudnnBackendDescriptor_t pack = NULL;
  cudnnStatus_t status =
      cudnnBackendCreateDescriptor (CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR, &pack);

  if (status == CUDNN_STATUS_SUCCESS)
    status = cudnnBackendSetAttribute (pack, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CUDNN_TYPE_INT64,
                                       dnn->n_stored, dnn->stored);
  if (status == CUDNN_STATUS_SUCCESS)
    status = cudnnBackendSetAttribute (pack, CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS,
                                       CUDNN_TYPE_VOID_PTR, dnn->n_stored, pointers);
  if (status == CUDNN_STATUS_SUCCESS)
    status = cudnnBackendSetAttribute (pack, CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR,
                                       1, &dnn->device->workspace);
  if (status == CUDNN_STATUS_SUCCESS)
    status = cudnnBackendFinalize (pack);
  if (status == CUDNN_STATUS_SUCCESS)
    status = cudnnBackendExecute (dnn->device->dnn, dnn->plan, pack);
  if (pack)
    cudnnBackendDestroyDescriptor (pack);
  return cg_cuda_check_dnn (status, "compute", error);
}
