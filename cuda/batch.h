/* Batches: the whole way from sample pointers in host memory to answers in host memory, captured once as a CUDA graph
 * for each of 1, 2, 4, ... 32 windows. A batch in between is padded with its first window.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "answers.h"
#include "frames.h"

/** CgCudaBatches: @pointers: pinned, [CG_CUDA_MAX_BATCH][frames]: what the graphs begin with
 * @finished: recorded behind a launch */
typedef struct {
  CgCudaNetwork *network;
  CgCudaAnswers *answers;
  const uint8_t **pointers;
  cudaEvent_t finished;
  cudaGraphExec_t graphs[CG_CUDA_SIZES];
} CgCudaBatches;

/** cg_cuda_batches_open: @batches is zeroed; cg_cuda_batches_close() in any case. Captures every graph; @network and
 * @answers outlive it. @any: a sample of whatever contents, used only meanwhile. */
bool cg_cuda_batches_open (CgCudaBatches *batches, CgCudaNetwork *network, CgCudaAnswers *answers,
                           const CgCudaSample *any, CgCudaError *error);
void cg_cuda_batches_close (CgCudaBatches *batches);

/** cg_cuda_batches_settle: waits for what is under way. */
bool cg_cuda_batches_settle (CgCudaBatches *batches, CgCudaError *error);

/** cg_cuda_batches_run: see CgCudaModule.run. */
bool cg_cuda_batches_run (CgCudaBatches *batches, CgCudaSample *const *samples, unsigned n,
                          CgOutputs *const *outputs, CgCudaError *error);

/** cg_cuda_batches_time: see CgCudaModule.time. */
bool cg_cuda_batches_time (CgCudaBatches *batches, CgCudaSample *const *samples, unsigned sets,
                           unsigned n, unsigned repeats, float *microseconds, CgCudaError *error);
