/* The CUDA module as the rest of the program sees it: plain C, no GLib functions, one symbol.
 *
 * libcityguessr-cuda.so is opened at run time (model/cuda.c) and never closed. It exports cg_cuda_module() alone.
 * The headers of model/ are included for their types; the module calls nothing of GLib or model/.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/frame.h"
#include "model/network.h"

/** Raised with any change to what is declared here, to CgFrame, CgFolded or CgOutputs. */
#define CG_CUDA_MODULE_ABI 4
#define CG_CUDA_MODULE_SYMBOL "cg_cuda_module"

/** The most windows of one run. */
#define CG_CUDA_MAX_BATCH 32

/** CgCudaStatus: how a call ended. After LOST every later call of the same engine fails the same way. */
typedef enum {
  CG_CUDA_OK,
  CG_CUDA_ABSENT,      /* no NVIDIA driver, or no device: nothing is wrong with this machine */
  CG_CUDA_UNSUPPORTED, /* too old a driver or device, or not something this build can do */
  CG_CUDA_MEMORY,      /* of the device, or of the host */
  CG_CUDA_INPUT,       /* a picture with impossible size, stride or format */
  CG_CUDA_COMPUTE,     /* these windows could not be computed; the engine is still usable */
  CG_CUDA_LOST,        /* the device or its context is gone */
} CgCudaStatus;

/** CgCudaError: filled by a call that fails, untouched by others. @message: for the user, one or two sentences. */
typedef struct {
  CgCudaStatus status;
  char message[512];
} CgCudaError;

typedef enum {
  CG_CUDA_PRECISION_AUTO, /* fp16, or bf16 where the weights or activations overflow fp16 */
  CG_CUDA_PRECISION_FP32, /* no TF32 */
  CG_CUDA_PRECISION_FP16,
  CG_CUDA_PRECISION_BF16,
} CgCudaPrecision;

/** CgCudaOptions: zero-initialise for the defaults.
 * @precision: FP16 also falls back to bf16 if activations overflow; describe() then says so
 * @device: CUDA's number of the device
 * @context: a CUcontext to live in, which must outlive the engine. NULL: the device's primary context
 * @cache: the file (not a folder) in which the choices of the autotuner are kept, created with mode 0600; NULL: none.
 *   A file that is malformed, not the user's own or writable by others is not read
 * @no_tuning: the libraries' first proposals are taken; nothing is timed, @cache is not looked at
 * @chunk: windows that go through the network at once, a power of two up to CG_CUDA_MAX_BATCH; 0: 8. Larger
 *   batches go through in several chunks
 */
typedef struct {
  CgCudaPrecision precision;
  int device;
  void *context;
  const char *cache;
  bool no_tuning;
  unsigned chunk;
} CgCudaOptions;

typedef struct _CgCudaEngine CgCudaEngine;
typedef struct _CgCudaSample CgCudaSample;

/** CgCudaModule: functions return NULL or false with @error, which is never NULL, filled on failure. They leave the
 * calling thread's current context as they found it.
 * @abi: CG_CUDA_MODULE_ABI
 * @probe: whether device @device is there and this module can work on it. Loads no model. Any thread
 * @open: uploads @folded, builds every plan and captures every graph; nothing is allocated later but room for samples
 *   and for larger pictures. @folded is only read during the call
 * @close: NULL is allowed
 * @describe: "cuda NVIDIA H200 fp16", as long as @engine
 * @sample_new, @sample_free: room for one model-size frame on the device. Any thread
 * @sample_put: converts and resizes @frame into @sample. @frame is read before it returns; the device may still be at
 *   work then, and run() waits for it there. In CG_MEMORY_CUDA it is read where it lies if kernels of this engine's
 *   context can: in that context, or in memory of no context (virtual, pooled) on this device. Else, as from the
 *   context of a decoder or from another device, it is first copied from device to device. Any thread; different
 *   samples at the same time
 * @sample_get: what was put last, [image][image][3]. Any thread, but not during a put
 * @run: windows 1..CG_CUDA_MAX_BATCH; @samples is [n][frames]; fills @outputs[n], scene and text where not NULL.
 *   One thread at a time. Fails with COMPUTE if *@cancel (atomic, may be NULL) is not zero when it begins
 * @time: what @n windows take on the device from sample pointers to outputs in host memory, in microseconds, for each
 *   of @repeats runs over @sets sets of samples in turn ([sets][n][frames]). This and what follows: for benchmarks, in
 *   the place of the engine's thread
 * @picture_new, @picture_free: @copy of @frame, which is in system memory, in memory of the engine's context; @apart: of
 *   a context that is made for it alone, as a decoder has one
 * @time_put: what sample_put() of @sets @pictures in device memory in turn takes on the device, in microseconds, for
 *   each of @repeats. @row: so many of each one behind the other, of which this is the mean: a single one takes the device
 *   about as long as the host takes to hand it over
 */
typedef struct _CgCudaModule {
  unsigned abi;
  bool (*probe) (int device, CgCudaError *error);
  CgCudaEngine *(*open) (const CgFolded *folded, const CgCudaOptions *options, CgCudaError *error);
  void (*close) (CgCudaEngine *engine);
  const char *(*describe) (const CgCudaEngine *engine);
  CgCudaSample *(*sample_new) (CgCudaEngine *engine, CgCudaError *error);
  void (*sample_free) (CgCudaEngine *engine, CgCudaSample *sample);
  bool (*sample_put) (CgCudaEngine *engine, CgCudaSample *sample, const CgFrame *frame,
                      CgCudaError *error);
  bool (*sample_get) (CgCudaEngine *engine, CgCudaSample *sample, uint8_t *pixels,
                      CgCudaError *error);
  bool (*run) (CgCudaEngine *engine, CgCudaSample *const *samples, unsigned n,
               CgOutputs *const *outputs, const int *cancel, CgCudaError *error);
  bool (*time) (CgCudaEngine *engine, CgCudaSample *const *samples, unsigned sets, unsigned n,
                unsigned repeats, float *microseconds, CgCudaError *error);
  bool (*picture_new) (CgCudaEngine *engine, const CgFrame *frame, bool apart, CgFrame *copy,
                       CgCudaError *error);
  void (*picture_free) (CgCudaEngine *engine, CgFrame *copy);
  bool (*time_put) (CgCudaEngine *engine, CgCudaSample *sample, const CgFrame *pictures,
                    unsigned sets, unsigned row, unsigned repeats, float *microseconds,
                    CgCudaError *error);
} CgCudaModule;

/** cg_cuda_module: the module's table. Any thread. */
const CgCudaModule *cg_cuda_module (void);
