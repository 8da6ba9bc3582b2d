/* A device: its context, its libraries and its memory; and how their errors become ours.
 *
 * What the module calls, all of it. Streams are never the default one.
 *
 *   cudart     cudaGetDeviceCount, cudaDriverGetVersion, cudaRuntimeGetVersion, cudaGetDeviceProperties,
 *              cudaGetDriverEntryPointByVersion, cudaMemGetInfo, cudaMalloc, cudaFree, cudaHostAlloc, cudaFreeHost,
 *              cudaMemcpyAsync, cudaMemsetAsync, cudaStreamCreateWithFlags, cudaStreamCreateWithPriority,
 *              cudaDeviceGetStreamPriorityRange, cudaStreamDestroy, cudaStreamSynchronize,
 *              cudaStreamWaitEvent, cudaEventCreateWithFlags, cudaEventDestroy, cudaEventRecord, cudaEventQuery,
 *              cudaEventSynchronize, cudaEventElapsedTime, cudaStreamBeginCapture, cudaStreamEndCapture,
 *              cudaGraphInstantiate, cudaGraphDestroy, cudaGraphExecDestroy, cudaGraphLaunch, cudaGetLastError,
 *              cudaGetErrorString
 *   driver     through cudaGetDriverEntryPointByVersion: cuDevicePrimaryCtxRetain, cuDevicePrimaryCtxRelease,
 *              cuCtxPushCurrent, cuCtxPopCurrent, cuPointerGetAttribute, cuMemcpyPeerAsync;
 *              for benchmarks cuCtxCreate, cuCtxDestroy
 *   cuBLASLt   cublasLtCreate, cublasLtDestroy, cublasLtGetVersion, cublasLtGetStatusString,
 *              cublasLtMatmulDescCreate, -Destroy, -SetAttribute, cublasLtMatrixLayoutCreate, -Destroy, -SetAttribute,
 *              cublasLtMatmulPreferenceCreate, -Destroy, -SetAttribute, cublasLtMatmulAlgoGetHeuristic,
 *              cublasLtMatmul
 *   cuDNN      cudnnCreate, cudnnDestroy, cudnnSetStream, cudnnGetVersion, cudnnGetErrorString, cudnnGetLastErrorString,
 *              cudnnBackendCreateDescriptor, -DestroyDescriptor, -SetAttribute, -GetAttribute, -Finalize, -Execute
 *
 * cudaSetDevice() is not among them: a calling thread may have somebody else's context, and cudaSetDevice() would
 * replace it. Each entry into the module pushes the engine's context and pops it again.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <cublasLt.h>
#include <cuda_runtime_api.h>
#include <cudnn.h>

#include "kernels.h"
#include "module.h"

/** CG_CUDA_WORKSPACE: bytes. The libraries' plans of the three networks want up to 38.5 MB (cuDNN 9.24, base, 8 windows, fc2
 * on compute capability 8.6), and later releases may want more. tests/cuda/test-plans.c looks. */
#define CG_CUDA_WORKSPACE ((size_t)64 << 20)

/** CgCudaDevice:
 * @sm: 10 * major + minor of the compute capability: 75, 80, ... 120
 * @context: as pushed by cg_cuda_device_enter()
 * @stream: the engine's; everything but sample_put() happens on it
 * @dnn: bound to @stream
 * @dnn_properties: NULL. Tests set it to a DEVICEPROP descriptor, with @dnn NULL, to build plans for a device that
 *   is not there
 * @workspace: of the libraries, for work on @stream; @workspace_size bytes
 * @silent: (atomic) it did not answer within cg_cuda_patience: every call of it may block from now on */
typedef struct {
  int number, sm, multiprocessors;
  int driver_version; /* as cudaDriverGetVersion(): of the interface, the same for many releases */
  char driver_release[32];
  char name[96];
  void *context;
  bool owns_context;
  cudaStream_t stream;
  cublasLtHandle_t lt;
  cudnnHandle_t dnn;
  cudnnBackendDescriptor_t dnn_properties;
  void *workspace;
  size_t workspace_size;
  bool silent;
} CgCudaDevice;

/** cg_cuda_release_file: says the driver's release. Tests have another. */
extern const char *cg_cuda_release_file;

/** cg_cuda_device_probe: whether device @number can be worked on; see CgCudaModule.probe. */
bool cg_cuda_device_probe (int number, CgCudaError *error);

/** cg_cuda_device_open: fills @device, which is zeroed, and enters its context, also on failure as far as it came:
 * cg_cuda_device_close() in any case. @context NULL: the primary context. */
bool cg_cuda_device_open (CgCudaDevice *device, int number, void *context, CgCudaError *error);

/** cg_cuda_device_close: within its context; leaves and gives it back. */
void cg_cuda_device_close (CgCudaDevice *device);

/** cg_cuda_device_forget: the context is gone, or the device is silent, and was not entered: gives up what
 * cg_cuda_device_close() would free. */
void cg_cuda_device_forget (CgCudaDevice *device);

/** cg_cuda_device_enter: makes the context of @device the calling thread's until cg_cuda_device_leave(). */
bool cg_cuda_device_enter (const CgCudaDevice *device, CgCudaError *error);
void cg_cuda_device_leave (const CgCudaDevice *device);

/** cg_cuda_patience: microseconds that a device is waited for; 60 s. Tests have less. */
extern int64_t cg_cuda_patience;

/** cg_cuda_device_wait: until all is done that @event was recorded behind. LOST, and @device is silent, if that takes
 * longer than cg_cuda_patience; at once if it is silent already. All waits go through here but those while an engine
 * opens, which another thread does and nobody else depends on, and what frames.h says of room.
 * @urgent: somebody waits for this alone: the thread looks for some milliseconds before it sleeps.
 * @what: as in cg_cuda_check(). */
bool cg_cuda_device_wait (CgCudaDevice *device, cudaEvent_t event, bool urgent, const char *what,
                          CgCudaError *error);

/** cg_cuda_device_is_silent: whether a wait has found it so. */
bool cg_cuda_device_is_silent (const CgCudaDevice *device);

/* ---- somebody else's memory ---- */

/** cg_cuda_device_find: where the device memory at @pointer lies. @context: (out): the one that it has to be copied
 * from, or NULL: kernels of @device can read it in place. INPUT if it is no device memory; UNSUPPORTED if it belongs to
 * no context, and to another device. */
bool cg_cuda_device_find (const CgCudaDevice *device, const void *pointer, void **context,
                          CgCudaError *error);

/** cg_cuda_device_fetch: @bytes at @from in @context to @to in @device's own, on @stream, by way of no host memory where
 * the devices can. */
bool cg_cuda_device_fetch (const CgCudaDevice *device, void *to, const void *from, void *context,
                           size_t bytes, cudaStream_t stream, CgCudaError *error);

/** cg_cuda_context_new, cg_cuda_context_free: another context of @device's GPU, current for nobody. With it goes what was
 * made in it. */
bool cg_cuda_context_new (const CgCudaDevice *device, void **context, CgCudaError *error);
void cg_cuda_context_free (void *context);

/* ---- errors ---- */

/** cg_cuda_fail: fills @error. Returns: false. */
bool cg_cuda_fail (CgCudaError *error, CgCudaStatus status, const char *format, ...)
    __attribute__ ((format (printf, 3, 4)));

/** cg_cuda_check: whether @code is cudaSuccess; if not, fills @error: LOST for an error after which the context is
 * of no use, MEMORY, or COMPUTE. @what: what was tried, as in "CUDA could not @what: ...". */
bool cg_cuda_check (cudaError_t code, const char *what, CgCudaError *error);

/** cg_cuda_check_lt, cg_cuda_check_dnn: the same for cuBLASLt and cuDNN. A loss that only they have met is COMPUTE until a
 * call of CUDA's meets it. cg_cuda_dnn_reason: what cuDNN says of the last error of this thread. Returns: @text. */
bool cg_cuda_check_lt (cublasStatus_t code, const char *what, CgCudaError *error);
bool cg_cuda_check_dnn (cudnnStatus_t code, const char *what, CgCudaError *error);
const char *cg_cuda_dnn_reason (cudnnStatus_t code, char *text, size_t size);

/* ---- types ---- */

/** cg_cuda_type_size: bytes of one value. */
size_t cg_cuda_type_size (CgCudaType type);
/** cg_cuda_data_type, cg_cuda_dnn_type: the same type in the words of cuBLASLt and cuDNN. */
cudaDataType_t cg_cuda_data_type (CgCudaType type);
cudnnDataType_t cg_cuda_dnn_type (CgCudaType type);
const char *cg_cuda_type_name (CgCudaType type); /* "fp16" */
