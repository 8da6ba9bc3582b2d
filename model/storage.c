/* See storage.h.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "storage.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define LINE_BYTES 64
#define HUGE_PAGE_BYTES 2097152
#define LINE_FLOATS (LINE_BYTES / sizeof (float))

typedef struct {
  float **slot;
  gsize offset; /* floats */
} Row;

void
cg_storage_init (CgStorage *storage)
{
  storage->rows = g_array_new (FALSE, FALSE, sizeof (Row));
  storage->size = 0;
  storage->overflow = FALSE;
}

void
cg_storage_add (CgStorage *storage, float **slot, gsize rows, gsize columns)
{
  Row row = { slot, storage->size };
  g_array_append_val (storage->rows, row);

  gsize count, end;
  if (!g_size_checked_mul (&count, rows, columns) ||
      !g_size_checked_add (&end, storage->size, count) ||
      !g_size_checked_add (&end, end, LINE_FLOATS - 1)) {
    storage->overflow = TRUE;
    return;
  }
  storage->size = end / LINE_FLOATS * LINE_FLOATS;
}

/* Large blocks are read from end to end for each window: on large pages, where the system has them to
 * spare, that takes some hundredths less time. */
static void *
allocate_zeroed (gsize bytes)
{
  const gboolean large = bytes >= HUGE_PAGE_BYTES;
  void *block;

  if (posix_memalign (&block, large ? HUGE_PAGE_BYTES : LINE_BYTES, bytes) != 0)
    return NULL;
#ifdef MADV_HUGEPAGE
  if (large)
    (void)madvise (block, bytes, MADV_HUGEPAGE);
#endif
  return memset (block, 0, bytes);
}

float *
cg_storage_allocate (CgStorage *storage, const char *what, GError **error)
{
  float *block = NULL;
  gsize bytes;

  if (storage->overflow || !g_size_checked_mul (&bytes, storage->size, sizeof (float)))
    g_set_error (error, CG_ERROR, CG_ERROR_MEMORY, "%s is larger than this machine can address",
                 what);
  else if ((block = allocate_zeroed (MAX (bytes, LINE_BYTES))) == NULL)
    g_set_error (error, CG_ERROR, CG_ERROR_MEMORY,
                 "out of memory: %s needs %" G_GSIZE_FORMAT " MiB", what, (bytes >> 20) + 1);
  else {
    for (guint i = 0; i < storage->rows->len; i++) {
      const Row *row = &g_array_index (storage->rows, Row, i);
      *row->slot = block + row->offset;
    }
  }
  g_array_unref (storage->rows);
  storage->rows = NULL;
  return block;
}
