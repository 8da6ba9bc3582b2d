/* One block of device memory for many buffers: see arena.h.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "arena.h"

#include <stdlib.h>
#include <string.h>

#define ALIGNMENT ((size_t)256)

static bool
grow (CgCudaArena *arena)
{
  const unsigned room = 2 * arena->room + 64;
  void ***slots = realloc (arena->slots, room * sizeof *slots);
  size_t *offsets;

  if (slots)
    arena->slots = slots;
  offsets = realloc (arena->offsets, room * sizeof *offsets);
  if (offsets)
    arena->offsets = offsets;
  if (!slots || !offsets)
    return false;
  arena->room = room;
  return true;
}

void
cg_cuda_arena_add (CgCudaArena *arena, void *slot, size_t count, size_t size)
{
  size_t bytes;

  if (__builtin_mul_overflow (count, size, &bytes) || bytes > SIZE_MAX / 4 ||
      arena->size > SIZE_MAX / 4 || (arena->n == arena->room && !grow (arena))) {
    arena->failed = true;
    return;
  }
  arena->slots[arena->n] = slot;
  arena->offsets[arena->n++] = arena->size;
  arena->size += (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

bool
cg_cuda_arena_allocate (CgCudaArena *arena, const char *what, CgCudaError *error)
{
  cudaError_t code;

  if (arena->failed)
    return cg_cuda_fail (error, CG_CUDA_MEMORY, "Out of memory: CUDA could not allocate %s", what);
  code = cudaMalloc (&arena->block, arena->size ? arena->size : 1);
  if (code != cudaSuccess)
    arena->block = NULL;
  if (code != cudaSuccess && code != cudaErrorMemoryAllocation)
    return cg_cuda_check (code, "allocate memory", error);
  if (code != cudaSuccess) {
    size_t free_bytes = 0, total = 0;

    cudaMemGetInfo (&free_bytes, &total);
    cudaGetLastError (); /* of either */
    return cg_cuda_fail (error, CG_CUDA_MEMORY,
                         "The GPU has too little memory free for %s: it takes %zu MiB, and %zu MiB "
                         "are free. Close other programs that use the GPU, or use device=cpu",
                         what, (arena->size >> 20) + 1, free_bytes >> 20);
  }
  for (unsigned i = 0; i < arena->n; i++) {
    void *place = (char *)arena->block + arena->offsets[i];

    memcpy (arena->slots[i], &place, sizeof place);
  }
  return true;
}

void
cg_cuda_arena_clear (CgCudaArena *arena)
{
  if (arena->block)
    cudaFree (arena->block);
  free (arena->slots);
  free (arena->offsets);
  *arena = (CgCudaArena){ 0 };
}
