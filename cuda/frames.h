/* Samples: model-size frames on the device, and how pictures become them.
 *
 * Room for samples comes in slabs that are kept until the end. That, and room for larger pictures than any before, are
 * the only calls after opening that may wait for the device longer than cg_cuda_device_wait() does.
 *
 * A picture in system memory is copied into pinned memory, from there to the device, and resized there, all but the first
 * on a stream of an uploader's own. There are some uploaders, so that several threads can put samples at once; they take
 * turns, so that also a single thread's pictures follow each other without waiting for the one before. Their streams go
 * before the engine's, so that no video waits for a batch to end.
 *
 * A picture in a GPU's memory is resized where it lies, or, if that is memory of another context, out of a copy on the
 * device. Its owner may write to it again as soon as the call returns, so that the call waits for the device.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <pthread.h>

#include "device.h"

#define CG_CUDA_UPLOADERS 4

/** CgCudaSample: @pixels: [image][image][3], on the device
 * @ready: recorded behind the work that fills @pixels, on an uploader's stream
 * @pending: whether that work may still be going on. Its owner's: sample_put(), then run() */
struct _CgCudaSample {
  uint8_t *pixels;
  cudaEvent_t ready;
  bool pending;
  struct _CgCudaSample *next; /* in the list of free ones */
};

/** CgCudaUploader: @done: recorded behind the last use of the buffers
 * @width, @height: of the pictures whose coefficients are in @scratch; 0: there are none */
typedef struct {
  cudaStream_t stream;
  cudaEvent_t done;
  uint8_t *pinned, *staged, *scratch;
  size_t staged_size, scratch_size;
  unsigned width, height;
  bool busy; /* CgCudaFrames.lock */
} CgCudaUploader;

typedef struct _CgCudaSlab CgCudaSlab;

typedef struct {
  CgCudaDevice *device;
  unsigned image;
  CgCudaUploader uploaders[CG_CUDA_UPLOADERS];
  unsigned next; /* uploader to take, if it is not busy */
  bool has_lock;
  pthread_mutex_t lock; /* guards `busy`, `next`, `slabs` and `free` */
  pthread_cond_t idle;  /* an uploader is not busy any more */
  CgCudaSlab *slabs;
  CgCudaSample *free;
} CgCudaFrames;

/** cg_cuda_frames_open: @frames is zeroed; cg_cuda_frames_close() in any case, within the device's context. Makes room
 * for @samples samples of @image x @image. */
bool cg_cuda_frames_open (CgCudaFrames *frames, CgCudaDevice *device, unsigned image,
                          unsigned samples, CgCudaError *error);

/** cg_cuda_frames_settle: waits for what is under way. */
bool cg_cuda_frames_settle (CgCudaFrames *frames, CgCudaError *error);

/** cg_cuda_frames_close: the same, without a bound, and frees all. */
void cg_cuda_frames_close (CgCudaFrames *frames);

/** cg_cuda_frames_forget: see cg_cuda_answers_forget(). */
void cg_cuda_frames_forget (CgCudaFrames *frames);

/** cg_cuda_sample_new, cg_cuda_sample_free: within the device's context. Any thread. */
CgCudaSample *cg_cuda_sample_new (CgCudaFrames *frames, CgCudaError *error);
void cg_cuda_sample_free (CgCudaFrames *frames, CgCudaSample *sample);

/** cg_cuda_sample_put: see CgCudaModule.sample_put; within the device's context. Any thread. */
bool cg_cuda_sample_put (CgCudaFrames *frames, CgCudaSample *sample, const CgFrame *frame,
                         CgCudaError *error);

/** cg_cuda_sample_get: see CgCudaModule.sample_get; within the device's context. Any thread. */
bool cg_cuda_sample_get (CgCudaFrames *frames, CgCudaSample *sample, uint8_t *pixels,
                         CgCudaError *error);

/** cg_cuda_frame_copy, cg_cuda_frame_copy_free, cg_cuda_sample_time_put: see CgCudaModule; within the device's context, and
 * in the place of the engine's thread. */
bool cg_cuda_frame_copy (const CgCudaDevice *device, const CgFrame *frame, bool apart,
                         CgFrame *copy, CgCudaError *error);
void cg_cuda_frame_copy_free (CgFrame *copy);
bool cg_cuda_sample_time_put (CgCudaFrames *frames, CgCudaSample *sample, const CgFrame *pictures,
                              unsigned sets, unsigned row, unsigned repeats, float *microseconds,
                              CgCudaError *error);

/** cg_cuda_sample_fill: @pixels [image][image][3] of host memory as they are, complete when this returns. */
bool cg_cuda_sample_fill (CgCudaFrames *frames, CgCudaSample *sample, const uint8_t *pixels,
                          CgCudaError *error);
