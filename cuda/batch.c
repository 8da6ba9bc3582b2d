/* Batches: see batch.h.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "batch.h"

#include "graph.h"

/* The graph for so many windows. */
static unsigned
size_for (unsigned n)
{
  unsigned i = 0;

  while (1u << i < n)
    i++;
  return i;
}

/* ---- capture ---- */

/* A graph that is being made: for @windows, a power of two. */
typedef struct {
  CgCudaBatches *batches;
  unsigned windows;
} Recording;

/* Everything, on the stream. */
static bool
record (void *data, CgCudaError *error)
{
  const Recording *recording = data;
  const CgCudaBatches *b = recording->batches;
  CgCudaNetwork *network = b->network;
  const unsigned n = recording->windows, chunk = n < network->chunk ? n : network->chunk;
  const size_t bytes = (size_t)n * network->geometry.frames * sizeof *b->pointers;

  if (!cg_cuda_check (cudaMemcpyAsync (network->samples, b->pointers, bytes, cudaMemcpyHostToDevice,
                                       network->device->stream),
                      "upload pointers", error))
    return false;
  for (unsigned first = 0; first < n; first += chunk)
    if (!cg_cuda_network_run (network, first, chunk, NULL, error))
      return false;
  return cg_cuda_answers_run (b->answers, n, error);
}

bool
cg_cuda_batches_open (CgCudaBatches *b, CgCudaNetwork *network, CgCudaAnswers *answers,
                      const CgCudaSample *any, CgCudaError *error)
{
  const size_t n = (size_t)CG_CUDA_MAX_BATCH * network->geometry.frames;

  b->network = network;
  b->answers = answers;
  if (!cg_cuda_check (
          cudaHostAlloc ((void **)&b->pointers, n * sizeof *b->pointers, cudaHostAllocDefault),
          "pin memory for pointers", error) ||
      !cg_cuda_check (cudaEventCreateWithFlags (&b->finished, cudaEventDisableTiming),
                      "make an event", error))
    return false;
  for (size_t i = 0; i < n; i++)
    b->pointers[i] = any->pixels;
  for (unsigned i = 0; i < CG_CUDA_SIZES; i++) {
    b->graphs[i] = cg_cuda_graph_new (network->device, record, &(Recording){ b, 1u << i }, error);
    if (!b->graphs[i])
      return false;
  }
  return true;
}

void
cg_cuda_batches_close (CgCudaBatches *b)
{
  for (unsigned i = 0; i < CG_CUDA_SIZES; i++)
    if (b->graphs[i])
      cudaGraphExecDestroy (b->graphs[i]);
  if (b->finished)
    cudaEventDestroy (b->finished);
  if (b->pointers)
    cudaFreeHost (b->pointers);
  *b = (CgCudaBatches){ 0 };
}

/* ---- runs ---- */

/* The graph for @n windows will work on these, behind whatever still fills them. */
static bool
gather (CgCudaBatches *b, CgCudaSample *const *samples, unsigned n, CgCudaError *error)
{
  const unsigned frames = b->network->geometry.frames, size = size_for (n);

  for (unsigned i = 0; i < n * frames; i++) {
    b->pointers[i] = samples[i]->pixels;
    if (samples[i]->pending &&
        !cg_cuda_check (cudaStreamWaitEvent (b->network->device->stream, samples[i]->ready, 0),
                        "wait for a picture", error))
      return false;
  }
  for (unsigned i = n * frames; i < (1u << size) * frames; i++)
    b->pointers[i] = samples[i % frames]->pixels;
  return true;
}

static bool
launch (CgCudaBatches *b, unsigned n, CgCudaError *error)
{
  return cg_cuda_check (cudaGraphLaunch (b->graphs[size_for (n)], b->network->device->stream),
                        "compute", error);
}

/* What was gathered is computed: nothing fills these any more. */
static void
settle (const CgCudaBatches *b, CgCudaSample *const *samples, unsigned n)
{
  for (unsigned i = 0; i < n * b->network->geometry.frames; i++)
    samples[i]->pending = false;
}

bool
cg_cuda_batches_settle (CgCudaBatches *b, CgCudaError *error)
{
  return cg_cuda_check (cudaEventRecord (b->finished, b->network->device->stream), "compute",
                        error) &&
         cg_cuda_device_wait (b->network->device, b->finished, false, "compute", error);
}

bool
cg_cuda_batches_run (CgCudaBatches *b, CgCudaSample *const *samples, unsigned n,
                     CgOutputs *const *outputs, CgCudaError *error)
{
  if (!gather (b, samples, n, error) || !launch (b, n, error) ||
      !cg_cuda_check (cudaEventRecord (b->finished, b->network->device->stream), "compute",
                      error) ||
      !cg_cuda_device_wait (b->network->device, b->finished, n == 1, "compute", error))
    return false;
  settle (b, samples, n);
  for (unsigned i = 0; i < n; i++)
    if (!cg_cuda_answers_take (b->answers, 1u << size_for (n), i, outputs[i], error))
      return false;
  return true;
}

/* What the host gathers is gathered before the clock starts. */
static bool
time_one (CgCudaBatches *b, CgCudaSample *const *samples, unsigned n, cudaEvent_t start,
          cudaEvent_t end, float *microseconds, CgCudaError *error)
{
  const cudaStream_t stream = b->network->device->stream;
  float milliseconds = 0;

  if (!gather (b, samples, n, error) ||
      !cg_cuda_check (cudaEventRecord (start, stream), "time a batch", error) ||
      !launch (b, n, error) ||
      !cg_cuda_check (cudaEventRecord (end, stream), "time a batch", error) ||
      !cg_cuda_device_wait (b->network->device, end, false, "time a batch", error) ||
      !cg_cuda_check (cudaEventElapsedTime (&milliseconds, start, end), "time a batch", error))
    return false;
  settle (b, samples, n);
  *microseconds = 1000 * milliseconds;
  return true;
}

bool
cg_cuda_batches_time (CgCudaBatches *b, CgCudaSample *const *samples, unsigned sets, unsigned n,
                      unsigned repeats, float *microseconds, CgCudaError *error)
{
  const unsigned frames = b->network->geometry.frames;
  cudaEvent_t start = NULL, end = NULL;
  bool done =
      cg_cuda_check (cudaEventCreateWithFlags (&start, cudaEventDefault), "make an event", error) &&
      cg_cuda_check (cudaEventCreateWithFlags (&end, cudaEventDefault), "make an event", error);

  for (unsigned i = 0; i < repeats && done; i++)
    done = time_one (b, samples + (size_t)(i % sets) * n * frames, n, start, end, &microseconds[i],
                     error);
  if (start && !cg_cuda_device_is_silent (b->network->device))
    cudaEventDestroy (start);
  if (end && !cg_cuda_device_is_silent (b->network->device))
    cudaEventDestroy (end);
  return done;
}
