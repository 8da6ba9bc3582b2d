/* Plans of cuDNN's graph interface: descriptors that are made, linked and finalised, and at last executed.
 *
 * Use: cg_cuda_dnn_new(); tensors and operations; cg_cuda_dnn_build(); cg_cuda_dnn_run() often; cg_cuda_dnn_free().
 * The first failure is kept: what is called after it does nothing, and cg_cuda_dnn_build() tells it.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "device.h"

typedef struct _CgCudaDnn CgCudaDnn;

#define CG_CUDA_DNN_MAX_TENSORS 8
#define CG_CUDA_DNN_DIMENSIONS 4

/** CgCudaDnnTensor: @dimensions, @strides: the first @n count. @on_chip: between two operations, never stored.
 * @by_value: a number in host memory; its data pointer at run time is a host pointer. */
typedef struct {
  cudnnDataType_t type;
  unsigned n;
  int64_t dimensions[CG_CUDA_DNN_DIMENSIONS], strides[CG_CUDA_DNN_DIMENSIONS];
  bool on_chip, by_value;
} CgCudaDnnTensor;

/** cg_cuda_dnn_new: an empty graph. NULL without memory. */
CgCudaDnn *cg_cuda_dnn_new (const CgCudaDevice *device);
void cg_cuda_dnn_free (CgCudaDnn *dnn);

/** cg_cuda_dnn_tensor: Returns: the tensor's number; those that are stored count up from 0, and are the order of
 * pointers in cg_cuda_dnn_run(). */
unsigned cg_cuda_dnn_tensor (CgCudaDnn *dnn, const CgCudaDnnTensor *tensor);

/** cg_cuda_dnn_matmul: c = a · b, sums in fp32. cg_cuda_dnn_pointwise: y = mode (x, b) or mode (x) if @b is negative,
 * in fp32. cg_cuda_dnn_sdpa: o = softmax (scale q · k^T) · v; four dimensions: batch, heads, tokens, head width. */
void cg_cuda_dnn_matmul (CgCudaDnn *dnn, unsigned a, unsigned b, unsigned c);
void cg_cuda_dnn_pointwise (CgCudaDnn *dnn, cudnnPointwiseMode_t mode, unsigned x, int b,
                            unsigned y);
void cg_cuda_dnn_sdpa (CgCudaDnn *dnn, unsigned q, unsigned k, unsigned v, unsigned o,
                       unsigned scale);

/** cg_cuda_dnn_build: the plan that cuDNN proposes as number @index, compiled for the device. UNSUPPORTED if there are
 * not so many, or if it cannot be had within the device's workspace. Once. */
bool cg_cuda_dnn_build (CgCudaDnn *dnn, unsigned index, CgCudaError *error);

/** cg_cuda_dnn_run: @pointers: of the stored tensors in their order. On the device's stream; may be captured. */
bool cg_cuda_dnn_run (const CgCudaDnn *dnn, void *const *pointers, CgCudaError *error);
