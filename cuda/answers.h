/* The network's tail, and the way of its results to the host.
 *
 * features = x mean + fc2 · hidden mean + bias; logits = heads · features; PV' = SCA (logits); scene, text = MLP (PV').
 * All in fp32, and always all: it is a hundredth of the work.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "network.h"

/** CgCudaAnswers: @device, @host (pinned): for a batch of n, features [n][width] | logits [n][labels] | scene
 * [n][scenes] | text [n][text values], without gaps. @attended: [n][labels]; @layers: what lies between the layers of
 * an MLP */
typedef struct {
  const CgCudaNetwork *network;
  unsigned labels, scenes, texts;
  float *device, *host;
  float *attended, *layers[2];
  CgCudaArena buffers;
} CgCudaAnswers;

/** cg_cuda_answers_open: @answers is zeroed; cg_cuda_answers_close() in any case. @network outlives it. */
bool cg_cuda_answers_open (CgCudaAnswers *answers, const CgCudaNetwork *network,
                           CgCudaError *error);
void cg_cuda_answers_close (CgCudaAnswers *answers);

/** cg_cuda_answers_forget: the context is gone, and with it what was made there; _close() then frees the rest. So do
 * the other functions of this name. */
void cg_cuda_answers_forget (CgCudaAnswers *answers);

/** cg_cuda_answers_run: the means of @n windows to @host. On the device's stream; may be captured. */
bool cg_cuda_answers_run (CgCudaAnswers *answers, unsigned n, CgCudaError *error);

/** cg_cuda_answers_take: window @i of a batch of @n into @outputs, once @host is complete. COMPUTE if a value is not
 * finite. */
bool cg_cuda_answers_take (const CgCudaAnswers *answers, unsigned n, unsigned i, CgOutputs *outputs,
                           CgCudaError *error);
