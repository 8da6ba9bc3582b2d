/* One block of floats for many tensors: every tensor starts on a 64-byte line, the block is zeroed,
 * and sizes that do not fit the machine are an error, never a crash.
 *
 * Use: cg_storage_init(), cg_storage_add() for each tensor, then cg_storage_allocate() once.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "error.h"

G_BEGIN_DECLS

/** CgStorage: the plan of a block, on the stack of the function that makes it.
 * @rows: the tensors added so far
 * @size: floats, padding included
 * @overflow: the plan does not fit a gsize of bytes */
typedef struct {
  GArray *rows;
  gsize size;
  gboolean overflow;
} CgStorage;

/** cg_storage_init: an empty plan. */
void cg_storage_init (CgStorage *storage);

/** cg_storage_add: plans @rows x @columns floats behind the others. @slot is set by
 * cg_storage_allocate() and must stay valid until then. */
void cg_storage_add (CgStorage *storage, float **slot, gsize rows, gsize columns);

/** cg_storage_allocate: allocates the block, points every slot into it and forgets the plan,
 * whatever happened. @what names the block in the message. Returns: (transfer full): free().
 * Errors: MEMORY. */
float *cg_storage_allocate (CgStorage *storage, const char *what, GError **error);

G_END_DECLS
