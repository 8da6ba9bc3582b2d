/* A CUDA module (cuda/module.h) that computes next to nothing: the first byte of a window's first picture is its city.
 * For tests of the element over the engine "cuda" where there is no GPU.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "cuda/module.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "memory.h"

#define WINNER 8

struct _CgCudaEngine {
  unsigned device;
  char description[32];
  CgGeometry geometry;
};

struct _CgCudaSample {
  uint8_t value;
};

static bool
fail (CgCudaError *error, CgCudaStatus status, const char *message)
{
  error->status = status;
  snprintf (error->message, sizeof error->message, "%s", message);
  return false;
}

/* Whether @call works this time. */
static bool
works (FakeCudaCall call, unsigned device, CgCudaError *error)
{
  const int status = fake_cuda_take_failure (call, device);

  return status == 0 || fail (error, (CgCudaStatus)status, "The fake GPU refuses");
}

static bool
probe (int device, CgCudaError *error)
{
  return device < FAKE_CUDA_DEVICES ? works (FAKE_CUDA_PROBE, (unsigned)device, error)
                                    : fail (error, CG_CUDA_ABSENT, "There is no such fake GPU");
}

static CgCudaEngine *
open_it (const CgFolded *folded, const CgCudaOptions *options, CgCudaError *error)
{
  CgCudaEngine *engine;

  if (!probe (options->device, error) || !works (FAKE_CUDA_OPEN, (unsigned)options->device, error))
    return NULL;
  engine = calloc (1, sizeof *engine);
  if (!engine) {
    fail (error, CG_CUDA_MEMORY, "no memory");
    return NULL;
  }
  engine->geometry = folded->geometry;
  engine->device = (unsigned)options->device;
  snprintf (engine->description, sizeof engine->description, "cuda fake %u", engine->device);
  return engine;
}

static void
close_it (CgCudaEngine *engine)
{
  free (engine);
}

static const char *
describe (const CgCudaEngine *engine)
{
  return engine->description;
}

static CgCudaSample *
sample_new (CgCudaEngine *engine, CgCudaError *error)
{
  CgCudaSample *sample = calloc (1, sizeof *sample);

  if (!sample)
    fail (error, CG_CUDA_MEMORY, "no memory");
  return sample;
}

static void
sample_free (CgCudaEngine *engine, CgCudaSample *sample)
{
  free (sample);
}

static bool
sample_put (CgCudaEngine *engine, CgCudaSample *sample, const CgFrame *frame, CgCudaError *error)
{
  const int value =
      frame->memory == CG_MEMORY_CUDA ? fake_cuda_read (frame->plane[0]) : frame->plane[0][0];

  if (!works (FAKE_CUDA_PUT, engine->device, error))
    return false;
  if (value < 0)
    return fail (error, CG_CUDA_INPUT, "no device memory, or not yet written");
  sample->value = (uint8_t)value;
  return true;
}

static bool
sample_get (CgCudaEngine *engine, CgCudaSample *sample, uint8_t *pixels, CgCudaError *error)
{
  if (!works (FAKE_CUDA_GET, engine->device, error))
    return false;
  memset (pixels, sample->value, 3 * (size_t)engine->geometry.image * engine->geometry.image);
  return true;
}

static bool
run (CgCudaEngine *engine, CgCudaSample *const *samples, unsigned n, CgOutputs *const *outputs,
     const int *cancel, CgCudaError *error)
{
  const CgGeometry *g = &engine->geometry;

  if (!works (FAKE_CUDA_RUN, engine->device, error))
    return false;
  for (unsigned i = 0; i < n; i++) {
    for (unsigned k = 0; k < g->width; k++)
      outputs[i]->features[k] = 1;
    for (unsigned k = 0; k < g->labels[0] + g->labels[1] + g->labels[2] + g->labels[3]; k++)
      outputs[i]->logits[k] = 0;
    outputs[i]->logits[samples[(size_t)i * g->frames]->value % g->labels[0]] = WINNER;
  }
  return true;
}

__attribute__ ((visibility ("default"))) const CgCudaModule *
cg_cuda_module (void)
{
  static const CgCudaModule module = {
    .abi = CG_CUDA_MODULE_ABI,
    .probe = probe,
    .open = open_it,
    .close = close_it,
    .describe = describe,
    .sample_new = sample_new,
    .sample_free = sample_free,
    .sample_put = sample_put,
    .sample_get = sample_get,
    .run = run,
  };

  return &module;
}
