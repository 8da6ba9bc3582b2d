/* One block of device memory for many buffers, each aligned to 256 bytes.
 *
 * Use: cg_cuda_arena_add() for each buffer of a zeroed arena, then cg_cuda_arena_allocate() once.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "device.h"

/** CgCudaArena: @slots, @offsets: of the @n buffers planned so far. @failed: the plan does not fit host memory or a
 * size_t */
typedef struct {
  void ***slots;
  size_t *offsets;
  unsigned n, room;
  size_t size;
  bool failed;
  void *block;
} CgCudaArena;

/** cg_cuda_arena_add: plans a buffer of @count times @size bytes. *@slot is set by cg_cuda_arena_allocate(), and must
 * stay where it is until then. */
void cg_cuda_arena_add (CgCudaArena *arena, void *slot, size_t count, size_t size);

/** cg_cuda_arena_allocate: the block, its contents unset. @what: as in "allocate @what". */
bool cg_cuda_arena_allocate (CgCudaArena *arena, const char *what, CgCudaError *error);

/** cg_cuda_arena_clear: frees the block and forgets the plan. */
void cg_cuda_arena_clear (CgCudaArena *arena);
