/* Matrix products of the network, by cuBLASLt or by cuDNN.
 *
 *   Y[rows][outputs] = epilogue (X[rows][inputs] · W[outputs][inputs]^T)
 *
 * all row-major, rows dense, X and W of the operands' type. A CgCudaMatmul is a plan for one shape: made once, run for
 * every block of the network. Nothing is allocated by running it.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "device.h"

/** CgCudaEpilogue: what happens to a product P, in fp32 before any rounding:
 * @STORE: Y (operands' type) = P + bias (operands' type)
 * @GELU: Y (operands' type) = gelu_erf (P + bias (fp32)); cuBLASLt with a kernel behind it rounds P first
 * @ADD: Y (fp32) = P + bias (fp32) + addend (fp32 [rows of all windows][outputs])
 * @TABLE: Y (fp32) = P + addend (fp32 [rows of one window][outputs], the same for each window) */
typedef enum {
  CG_CUDA_EPILOGUE_STORE,
  CG_CUDA_EPILOGUE_GELU,
  CG_CUDA_EPILOGUE_ADD,
  CG_CUDA_EPILOGUE_TABLE,
} CgCudaEpilogue;

/** CgCudaMatmulShape: @batch: windows; @rows: of one window. The product has @batch x @rows rows.
 * @shift: P is X · W^T / 2^shift: for weights that would be too small for fp16. cuBLASLt only */
typedef struct {
  CgCudaType type;
  CgCudaEpilogue epilogue;
  unsigned batch, rows, inputs, outputs, shift;
} CgCudaMatmulShape;

typedef struct _CgCudaMatmul CgCudaMatmul;

/** CgCudaProvider: who computes. Stored in the tuner's cache: numbers keep their meaning.
 * @LT_COPY: cuBLASLt, for a TABLE (and nothing else) that it may not take from elsewhere: it is copied into Y first */
typedef enum {
  CG_CUDA_PROVIDER_LT = 1,
  CG_CUDA_PROVIDER_DNN = 2,
  CG_CUDA_PROVIDER_LT_COPY = 3,
} CgCudaProvider;

/** CG_CUDA_DNN_PROPOSALS: of cuDNN for a product that are timed. It compiles each one, for a second or so. */
#define CG_CUDA_DNN_PROPOSALS 2

/** CgCudaChoice: one way to compute a shape.
 * @index: the proposal of the provider, from 0 */
typedef struct {
  CgCudaProvider provider;
  unsigned index;
} CgCudaChoice;

/** cg_cuda_matmul_new: a plan, as @choice says; all pointers that it is run with are aligned to 16 bytes, and to 256
 * at the beginning of a tensor. NULL with UNSUPPORTED if the provider has no such proposal. cg_cuda_matmul_free(). */
CgCudaMatmul *cg_cuda_matmul_new (const CgCudaDevice *device, const CgCudaMatmulShape *shape,
                                  CgCudaChoice choice, CgCudaError *error);
void cg_cuda_matmul_free (CgCudaMatmul *matmul);

/** cg_cuda_matmul_in_place: whether y of an ADD may be its addend. */
bool cg_cuda_matmul_in_place (const CgCudaMatmul *matmul);

/** cg_cuda_matmul_run: on the device's stream; may be captured. @bias, @addend: as the epilogue says, else NULL. */
bool cg_cuda_matmul_run (const CgCudaMatmul *matmul, const void *x, const void *weight,
                         const void *bias, const float *addend, void *y, CgCudaError *error);
