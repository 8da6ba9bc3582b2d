/* Batches: see batch.h.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "batch.h"

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

/* Everything for @n windows, a power of two, on the stream. */
static bool
record (CgCudaBatches *b, unsigned n, CgCudaError *error)
{
  CgCudaNetwork *network = b->network;
  const unsigned chunk = n < network->chunk ? n : network->chunk;
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

static bool
capture_once (CgCudaBatches *b, unsigned i, CgCudaError *error)
{
  const cudaStream_t stream = b->network->device->stream;
  cudaGraph_t graph = NULL;
  bool done;

  /* Of this thread alone: others, of other elements too, may allocate meanwhile. */
  if (!cg_cuda_check (cudaStreamBeginCapture (stream, cudaStreamCaptureModeThreadLocal),
                      "begin a graph", error))
    return false;
  done = record (b, 1u << i, error);
  done =
      cg_cuda_check (cudaStreamEndCapture (stream, &graph), "end a graph", done ? error : NULL) &&
      done;
  done =
      done && cg_cuda_check (cudaGraphInstantiate (&b->graphs[i], graph, 0), "make a graph", error);
  if (graph)
    cudaGraphDestroy (graph);
  return done;
}

/* A library that loads code when it is first used may not do so during a capture: then all is run once before. */
static bool
capture (CgCudaBatches *b, unsigned i, CgCudaError *error)
{
  if (capture_once (b, i, error))
    return true;
  return error->status == CG_CUDA_COMPUTE && record (b, 1u << i, error) &&
         cg_cuda_check (cudaStreamSynchronize (b->network->device->stream), "compute", error) &&
         capture_once (b, i, error);
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
      !cg_cuda_check (
          cudaEventCreateWithFlags (&b->finished, cudaEventBlockingSync | cudaEventDisableTiming),
          "make an event", error))
    return false;
  for (size_t i = 0; i < n; i++)
    b->pointers[i] = any->pixels;
  for (unsigned i = 0; i < CG_CUDA_SIZES; i++)
    if (!capture (b, i, error))
      return false;
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

/* Behind whatever still fills the samples, the graph. */
static bool
launch (CgCudaBatches *b, CgCudaSample *const *samples, unsigned n, CgCudaError *error)
{
  const unsigned frames = b->network->geometry.frames, size = size_for (n);
  const cudaStream_t stream = b->network->device->stream;

  for (unsigned i = 0; i < n * frames; i++) {
    b->pointers[i] = samples[i]->pixels;
    if (samples[i]->pending && !cg_cuda_check (cudaStreamWaitEvent (stream, samples[i]->ready, 0),
                                               "wait for a picture", error))
      return false;
  }
  for (unsigned i = n * frames; i < (1u << size) * frames; i++)
    b->pointers[i] = samples[i % frames]->pixels;
  return cg_cuda_check (cudaGraphLaunch (b->graphs[size], stream), "compute", error);
}

bool
cg_cuda_batches_run (CgCudaBatches *b, CgCudaSample *const *samples, unsigned n,
                     CgOutputs *const *outputs, CgCudaError *error)
{
  const unsigned frames = b->network->geometry.frames;

  if (!launch (b, samples, n, error) ||
      !cg_cuda_check (cudaEventRecord (b->finished, b->network->device->stream), "compute",
                      error) ||
      !cg_cuda_check (cudaEventSynchronize (b->finished), "compute", error))
    return false;
  for (unsigned i = 0; i < n * frames; i++)
    samples[i]->pending = false;
  for (unsigned i = 0; i < n; i++)
    if (!cg_cuda_answers_take (b->answers, 1u << size_for (n), i, outputs[i], error))
      return false;
  return true;
}

static bool
time_one (CgCudaBatches *b, CgCudaSample *const *samples, unsigned n, cudaEvent_t start,
          cudaEvent_t end, float *microseconds, CgCudaError *error)
{
  const cudaStream_t stream = b->network->device->stream;
  float milliseconds = 0;

  if (!cg_cuda_check (cudaEventRecord (start, stream), "time a batch", error) ||
      !launch (b, samples, n, error) ||
      !cg_cuda_check (cudaEventRecord (end, stream), "time a batch", error) ||
      !cg_cuda_check (cudaEventSynchronize (end), "time a batch", error) ||
      !cg_cuda_check (cudaEventElapsedTime (&milliseconds, start, end), "time a batch", error))
    return false;
  *microseconds = 1000 * milliseconds;
  return true;
}

bool
cg_cuda_batches_time (CgCudaBatches *b, CgCudaSample *const *samples, unsigned sets, unsigned n,
                      unsigned repeats, float *microseconds, CgCudaError *error)
{
  const unsigned frames = b->network->geometry.frames;
  cudaEvent_t start = NULL, end = NULL;
  bool done = cg_cuda_check (cudaEventCreateWithFlags (&start, cudaEventBlockingSync),
                             "make an event", error) &&
              cg_cuda_check (cudaEventCreateWithFlags (&end, cudaEventBlockingSync),
                             "make an event", error);

  for (unsigned i = 0; i < repeats && done; i++)
    done = time_one (b, samples + (size_t)(i % sets) * n * frames, n, start, end, &microseconds[i],
                     error);
  if (start)
    cudaEventDestroy (start);
  if (end)
    cudaEventDestroy (end);
  return done;
}
