/* The autotuner: which of several ways to compute a shape is the fastest on this device; and the file that remembers.
 *
 * The file is text, one choice a line: the device and library versions, the shape, the provider and the number of its
 * proposal. It holds no code.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "matmul.h"

typedef struct _CgCudaTuner CgCudaTuner;

/** CgCudaCandidates: a shape, as the tuner sees it.
 * @name: the shape in words: the key in the file, no tab and no newline
 * @providers: in the order in which they are tried, and how many proposals of each; ended by 0
 * @last_resort: a provider is only asked if those before it can't
 * @make: a plan as @choice says, or NULL with @error filled; UNSUPPORTED if there is no such proposal
 * @run: the plan once, on the device's stream
 * @free: a plan that is not wanted */
typedef struct {
  const char *name;
  struct {
    CgCudaProvider provider;
    unsigned proposals;
  } providers[4];
  bool last_resort;
  void *(*make) (void *data, CgCudaChoice choice, CgCudaError *error);
  bool (*run) (void *data, void *plan, CgCudaError *error);
  void (*free) (void *plan);
  void *data;
} CgCudaCandidates;

/** cg_cuda_tuner_new: @cache: CgCudaOptions.cache. @times: false: the first proposal that can be had is taken, and no
 * file is read or written. NULL without memory. @device outlives it. */
CgCudaTuner *cg_cuda_tuner_new (const CgCudaDevice *device, const char *cache, bool times);
void cg_cuda_tuner_free (CgCudaTuner *tuner);

/** cg_cuda_tuner_choose: the best plan for @candidates: as the file remembers, or by timing all, in turns and as graphs,
 * as they are run later: without what it costs the host to launch them, and at the same clocks. NULL with the last
 * provider's error if there is none. */
void *cg_cuda_tuner_choose (CgCudaTuner *tuner, const CgCudaCandidates *candidates,
                            CgCudaError *error);

/** cg_cuda_tuner_save: adds what was timed to what is in the file by then, if anything was. Once. A failure only costs time later: none is
 * told. */
void cg_cuda_tuner_save (CgCudaTuner *tuner);
