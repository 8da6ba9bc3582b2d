/* Whether fp16 is wide enough: see overflow.h.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "overflow.h"

#include <stdlib.h>

/* fp16 ends at 65504; real pictures may go further than made-up ones. */
#define BOUND 30000.0f
#define PICTURES 6

static const char *const layer_names[CG_CUDA_LAYERS] = { "qkv", "attention", "fc1" };

/* Picture @kind: noise, black, white, a gradient across, one down, and fields of all full colours. */
static void
draw (unsigned kind, unsigned image, uint8_t *pixels)
{
  uint32_t noise = 1;

  for (unsigned y = 0; y < image; y++)
    for (unsigned x = 0; x < image; x++)
      for (unsigned c = 0; c < 3; c++) {
        const unsigned field = 2 * x / image + 4 * y / image * 2; /* of 8 */

        noise = noise * 1664525 + 1013904223;
        *pixels++ = (uint8_t)(kind == 0   ? noise >> 24
                              : kind == 1 ? 0
                              : kind == 2 ? 255
                              : kind == 3 ? 255 * x / image
                              : kind == 4 ? 255 * y / image
                                          : (field >> c & 1) * 255);
      }
}

/* @largest: [depth][CG_CUDA_LAYERS] on the device. */
typedef struct {
  float *largest;
  cudaStream_t stream;
} Notes;

static bool
note_largest (void *data, unsigned block, CgCudaLayer layer, CgCudaType type, const void *values,
              size_t n, CgCudaError *error)
{
  const Notes *notes = data;

  return cg_cuda_check (cg_cuda_max_abs (type, values, n,
                                         notes->largest + block * CG_CUDA_LAYERS + layer,
                                         notes->stream),
                        "look for overflow", error);
}

/* Window 0 shows all pictures in turn, window @i picture @i - 1 alone. */
static bool
look (CgCudaNetwork *network, CgCudaSample *const *samples, float *largest, CgCudaError *error)
{
  Notes notes = { largest, network->device->stream };
  const CgCudaWatch watch = { note_largest, &notes };
  const unsigned frames = network->geometry.frames;

  for (unsigned window = 0; window <= PICTURES; window++) {
    const uint8_t *pointers[CG_MAX_FRAMES];

    for (unsigned i = 0; i < frames; i++)
      pointers[i] = samples[window == 0 ? i % PICTURES : window - 1]->pixels;
    if (!cg_cuda_check (cudaMemcpyAsync (network->samples, pointers, frames * sizeof *pointers,
                                         cudaMemcpyHostToDevice, notes.stream),
                        "upload pointers", error) ||
        !cg_cuda_network_run (network, 0, 1, &watch, error) ||
        !cg_cuda_check (cudaStreamSynchronize (notes.stream), "look for overflow", error))
      return false;
  }
  return true;
}

static bool
find (CgCudaNetwork *network, CgCudaSample *const *samples, float *device, float *host,
      CgCudaOverflow *overflow, CgCudaError *error)
{
  const unsigned n = network->geometry.depth * CG_CUDA_LAYERS;
  const cudaStream_t stream = network->device->stream;

  if (!cg_cuda_check (cudaMemsetAsync (device, 0, n * sizeof *device, stream), "look for overflow",
                      error) ||
      !look (network, samples, device, error) ||
      !cg_cuda_check (
          cudaMemcpyAsync (host, device, n * sizeof *device, cudaMemcpyDeviceToHost, stream),
          "look for overflow", error) ||
      !cg_cuda_check (cudaStreamSynchronize (stream), "look for overflow", error))
    return false;
  *overflow = (CgCudaOverflow){ NULL, 0, 0 };
  for (unsigned i = 0; i < n && !overflow->layer; i++)
    if (!(host[i] < BOUND))
      *overflow = (CgCudaOverflow){ layer_names[i % CG_CUDA_LAYERS], i / CG_CUDA_LAYERS, host[i] };
  return true;
}

bool
cg_cuda_overflow_find (CgCudaNetwork *network, CgCudaFrames *frames, CgCudaOverflow *overflow,
                       CgCudaError *error)
{
  const unsigned image = network->geometry.image;
  const unsigned n = network->geometry.depth * CG_CUDA_LAYERS;
  uint8_t *pixels = malloc ((size_t)image * image * 3);
  float *host = malloc (n * sizeof *host), *device = NULL;
  CgCudaSample *samples[PICTURES] = { NULL };
  CgCudaArena arena = { 0 };
  bool done = pixels && host;

  if (!done)
    cg_cuda_fail (error, CG_CUDA_MEMORY, "Out of memory for a look at the activations");
  for (unsigned i = 0; i < PICTURES && done; i++) {
    samples[i] = cg_cuda_sample_new (frames, error);
    done = samples[i] != NULL;
    if (done) {
      draw (i, image, pixels);
      done = cg_cuda_sample_fill (frames, samples[i], pixels, error);
    }
  }
  cg_cuda_arena_add (&arena, &device, n, sizeof *device);
  done = done && cg_cuda_arena_allocate (&arena, "a look at the activations", error) &&
         find (network, samples, device, host, overflow, error);
  done = cg_cuda_check (cudaStreamSynchronize (network->device->stream), "look for overflow",
                        done ? error : NULL) &&
         done;
  cg_cuda_arena_clear (&arena);
  for (unsigned i = 0; i < PICTURES; i++)
    if (samples[i])
      cg_cuda_sample_free (frames, samples[i]);
  free (host);
  free (pixels);
  return done;
}
