/* Whether fp16 is wide enough for a model.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "frames.h"
#include "network.h"

/** CgCudaOverflow: the first layer that comes near the end of fp16. @layer NULL: none does.
 * @block: counted from 0, as in the model file; @value: the largest magnitude there, infinity or NaN beyond fp16 */
typedef struct {
  const char *layer;
  unsigned block;
  float value;
} CgCudaOverflow;

/** cg_cuda_overflow_find: runs some windows of made-up pictures (noise, flat, gradients) through @network and looks at
 * every layer. Waits for the device. Returns: whether it could be looked. */
bool cg_cuda_overflow_find (CgCudaNetwork *network, CgCudaFrames *frames, CgCudaOverflow *overflow,
                            CgCudaError *error);
