/* The fake device's memory: exact allocations with guards, and the copies between them.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "private.h"

#include <stdlib.h>
#include <string.h>

#define ALIGNMENT 256 /* what cudaMalloc promises */
#define GUARD 256     /* bytes before and behind, all ones: a NaN for whoever reads them */
#define ONES 0xFF

#define LARGE (1 << 20) /* of what is larger, only so much is filled, watched and compared */

static GPtrArray *memories; /* of CgFakeMemory */

static gsize
watched (gsize size)
{
  return MIN (size, (gsize)LARGE);
}

static gsize
used (void)
{
  gsize bytes;
  cg_fake_memory_count (CG_FAKE_DEVICE, &bytes);
  return bytes;
}

CgFakeMemory *
cg_fake_find (const void *pointer)
{
  const guint8 *p = pointer;
  for (guint i = 0; memories && i < memories->len; i++) {
    CgFakeMemory *memory = memories->pdata[i];
    if (p >= memory->data && p <= memory->data + memory->size)
      return memory;
  }
  return NULL;
}

gboolean
cg_fake_check (const void *pointer, gsize size, const char *what)
{
  const CgFakeMemory *memory = cg_fake_find (pointer);
  if (!memory) {
    cg_fake_note ("%s: %p is not, or no longer, allocated", what, pointer);
    return FALSE;
  }
  if ((const guint8 *)pointer + size > memory->data + memory->size) {
    cg_fake_note ("%s: %zu bytes from offset %zu of an allocation of %zu", what, size,
                  (gsize)((const guint8 *)pointer - memory->data), memory->size);
    return FALSE;
  }
  return TRUE;
}

guint
cg_fake_memory_count (CgFakeKind kind, gsize *bytes)
{
  guint n = 0;
  *bytes = 0;
  for (guint i = 0; memories && i < memories->len; i++) {
    const CgFakeMemory *memory = memories->pdata[i];
    if (memory->kind == kind) {
      n++;
      *bytes += memory->size;
    }
  }
  return n;
}

static void
check_guards (const CgFakeMemory *memory)
{
  for (guint i = 0; i < GUARD; i++)
    if (memory->data[memory->size + i] != ONES || memory->data[-1 - (gssize)i] != ONES) {
      cg_fake_note ("an allocation of %zu bytes was written to outside", memory->size);
      return;
    }
}

void
cg_fake_memory_check_guards (void)
{
  for (guint i = 0; memories && i < memories->len; i++)
    check_guards (memories->pdata[i]);
}

static cudaError_t
allocate (void **pointer, gsize size, CgFakeKind kind)
{
  void *block;

  *pointer = NULL;
  if (cg_fake_forbidden ())
    return cg_fake_return (cudaErrorStreamCaptureUnsupported);
  if (size == 0)
    return cudaSuccess;
  if (kind == CG_FAKE_DEVICE &&
      size > cg_fake_settings.memory - MIN (used (), cg_fake_settings.memory))
    return cg_fake_return (cudaErrorMemoryAllocation);
  if (posix_memalign (&block, ALIGNMENT, size + 2 * GUARD))
    return cg_fake_return (cudaErrorMemoryAllocation);
  memset (block, ONES, GUARD + watched (size));
  memset ((guint8 *)block + GUARD + size, ONES, GUARD);

  CgFakeMemory *memory = g_new0 (CgFakeMemory, 1);
  memory->data = (guint8 *)block + GUARD;
  memory->size = size;
  memory->kind = kind;
  memory->context = cg_fake_context ();
  memory->device = cg_fake_device ();
  if (!memories)
    memories = g_ptr_array_new ();
  g_ptr_array_add (memories, memory);
  *pointer = memory->data;
  return cudaSuccess;
}

static void
memory_free (CgFakeMemory *memory)
{
  memset (memory->data, ONES, watched (memory->size));
  free (memory->data - GUARD);
  g_free (memory->before);
  g_free (memory);
}

void
cg_fake_memory_vanish (void)
{
  for (guint i = 0; memories && i < memories->len; i++)
    memory_free (memories->pdata[i]);
  g_clear_pointer (&memories, g_ptr_array_unref);
}

void
cg_fake_memory_end (gpointer context)
{
  for (guint i = memories ? memories->len : 0; i-- > 0;) {
    CgFakeMemory *memory = memories->pdata[i];
    if (memory->context != context)
      continue;
    check_guards (memory);
    g_ptr_array_remove_index (memories, i);
    memory_free (memory);
  }
}

static cudaError_t
release (void *pointer, CgFakeKind kind, const char *name)
{
  if (!pointer)
    return cudaSuccess;
  CgFakeMemory *memory = cg_fake_find (pointer);
  if (!memory || memory->data != pointer || memory->kind != kind) {
    cg_fake_note ("%s: %p is not the beginning of an allocation", name, pointer);
    return cg_fake_return (cudaErrorInvalidValue);
  }
  if (cg_fake_forbidden ())
    return cg_fake_return (cudaErrorStreamCaptureUnsupported);
  cg_fake_drain_all (TRUE); /* as the real one does */
  check_guards (memory);
  g_ptr_array_remove (memories, memory);
  memory_free (memory);
  return cg_fake_lost () ? cg_fake_return (cudaErrorIllegalAddress) : cudaSuccess;
}

cudaError_t
cudaMalloc (void **pointer, size_t size)
{
  CG_FAKE_CALL (cudaErrorMemoryAllocation);
  return allocate (pointer, size, CG_FAKE_DEVICE);
}

cudaError_t
cudaMallocHost (void **pointer, size_t size)
{
  CG_FAKE_CALL (cudaErrorMemoryAllocation);
  return allocate (pointer, size, CG_FAKE_PINNED);
}

cudaError_t
cudaHostAlloc (void **pointer, size_t size, unsigned int flags)
{
  CG_FAKE_CALL (cudaErrorMemoryAllocation);
  return allocate (pointer, size, CG_FAKE_PINNED);
}

cudaError_t
cudaFree (void *pointer)
{
  CG_FAKE_RELEASE_OF_CONTEXT (cudaErrorInvalidValue);
  return release (pointer, CG_FAKE_DEVICE, __func__);
}

cudaError_t
cudaFreeHost (void *pointer)
{
  CG_FAKE_RELEASE_OF_CONTEXT (cudaErrorInvalidValue);
  return release (pointer, CG_FAKE_PINNED, __func__);
}

cudaError_t
cudaMemGetInfo (size_t *free_bytes, size_t *total)
{
  CG_FAKE_CALL (cudaErrorUnknown);
  *total = cg_fake_settings.memory;
  *free_bytes = *total - MIN (used (), *total);
  return cudaSuccess;
}

cudaError_t
cudaPointerGetAttributes (struct cudaPointerAttributes *attributes, const void *pointer)
{
  CG_FAKE_CALL (cudaErrorInvalidValue);
  const CgFakeMemory *memory = cg_fake_find (pointer);
  memset (attributes, 0, sizeof *attributes);
  attributes->type = !memory                          ? cudaMemoryTypeUnregistered
                     : memory->kind == CG_FAKE_PINNED ? cudaMemoryTypeHost
                                                      : cudaMemoryTypeDevice;
  attributes->devicePointer = memory ? (void *)pointer : NULL;
  attributes->hostPointer = memory && memory->kind == CG_FAKE_PINNED ? (void *)pointer : NULL;
  return cudaSuccess;
}

void
cg_fake_disown (void *pointer)
{
  g_autoptr (GRecMutexLocker) locker = g_rec_mutex_locker_new (&cg_fake_lock);
  cg_fake_find (pointer)->context = NULL;
}

void
cg_fake_check_arguments (const char *name, const void *arguments, gsize size)
{
  g_autoptr (GRecMutexLocker) locker = g_rec_mutex_locker_new (&cg_fake_lock);

  for (gsize at = 0; at + sizeof (gpointer) <= size; at += sizeof (gpointer)) {
    gpointer pointer;
    memcpy (&pointer, (const guint8 *)arguments + at, sizeof pointer);
    const CgFakeMemory *memory = cg_fake_find (pointer);
    if (memory && memory->kind == CG_FAKE_DEVICE && memory->context &&
        memory->context != cg_fake_context ())
      cg_fake_note ("%s: argument %p is memory of another context", name, pointer);
  }
}

/* ---- what was written ---- */

void
cg_fake_snapshot (void)
{
  g_autoptr (GRecMutexLocker) locker = g_rec_mutex_locker_new (&cg_fake_lock);
  cg_fake_drain_all (TRUE);
  for (guint i = 0; memories && i < memories->len; i++) {
    CgFakeMemory *memory = memories->pdata[i];
    g_free (memory->before);
    memory->before =
        memory->kind == CG_FAKE_DEVICE ? g_memdup2 (memory->data, watched (memory->size)) : NULL;
  }
}

gsize
cg_fake_poison_changed (void)
{
  g_autoptr (GRecMutexLocker) locker = g_rec_mutex_locker_new (&cg_fake_lock);
  gsize n = 0;
  cg_fake_drain_all (TRUE);
  for (guint i = 0; memories && i < memories->len; i++) {
    CgFakeMemory *memory = memories->pdata[i];
    for (gsize b = 0; memory->before && b < watched (memory->size); b++)
      if (memory->data[b] != memory->before[b]) {
        memory->data[b] = ONES;
        n++;
      }
    g_clear_pointer (&memory->before, g_free);
  }
  return n;
}

/* ---- copies ---- */

/* @rows rows of @width bytes; a @fill copy has no @from. @staged: @from is our own copy. */
typedef struct {
  guint8 *to;
  const guint8 *from;
  guint8 *staged;
  gsize to_pitch, from_pitch, width, rows;
  int value;
} Copy;

static void
check_rows (const guint8 *pointer, gsize pitch, gsize width, gsize rows, const char *what)
{
  if (cg_fake_find (pointer))
    cg_fake_check (pointer, (rows - 1) * pitch + width, what);
}

static void
do_copy (void *data)
{
  const Copy *copy = data;
  check_rows (copy->to, copy->to_pitch, copy->width, copy->rows, "a copy's end");
  if (copy->from)
    check_rows (copy->from, copy->from_pitch, copy->width, copy->rows, "a copy's beginning");
  for (gsize row = 0; row < copy->rows; row++) {
    guint8 *to = copy->to + row * copy->to_pitch;
    if (copy->from)
      memmove (to, copy->from + row * copy->from_pitch, copy->width);
    else
      memset (to, copy->value, copy->width);
  }
}

static void
copy_free (gpointer data)
{
  Copy *copy = data;
  g_free (copy->staged);
  g_free (copy);
}

/* Whether a copy of @kind takes @to and @from for what they are. Device pointers that are not (or no
 * longer) allocated are a fault whatever @kind says. */
static gboolean
check_kind (const Copy *copy, enum cudaMemcpyKind kind)
{
  const CgFakeMemory *to = cg_fake_find (copy->to), *from = cg_fake_find (copy->from);
  const gboolean to_device = to && to->kind == CG_FAKE_DEVICE;
  const gboolean from_device = from && from->kind == CG_FAKE_DEVICE;

  switch (kind) {
  case cudaMemcpyHostToDevice:
    return to_device && !from_device;
  case cudaMemcpyDeviceToHost:
    return !to_device && from_device;
  case cudaMemcpyDeviceToDevice:
    return to_device && from_device;
  case cudaMemcpyHostToHost:
    return !to_device && !from_device;
  default:
    return TRUE;
  }
}

static cudaError_t
copy_async (Copy copy, enum cudaMemcpyKind kind, cudaStream_t stream, const char *name)
{
  if (copy.width == 0 || copy.rows == 0)
    return cudaSuccess;
  if (copy.width > copy.to_pitch || (copy.from && copy.width > copy.from_pitch))
    return cg_fake_return (cudaErrorInvalidPitchValue);
  if (copy.from && !check_kind (&copy, kind)) {
    cg_fake_note ("%s: the direction does not fit the pointers", name);
    return cg_fake_return (cudaErrorInvalidValue);
  }
  if (!copy.from && !cg_fake_find (copy.to)) {
    cg_fake_note ("%s: %p is not, or no longer, allocated", name, copy.to);
    return cg_fake_return (cudaErrorInvalidValue);
  }

  /* Pageable memory: a source is read before the call returns, a destination written. */
  const gboolean pageable_source = copy.from && !cg_fake_find (copy.from);
  const gboolean pageable_destination = !cg_fake_find (copy.to);
  if (pageable_source && !cg_fake_capturing (stream)) {
    copy.staged = g_malloc (copy.width * copy.rows);
    for (gsize row = 0; row < copy.rows; row++)
      memcpy (copy.staged + row * copy.width, copy.from + row * copy.from_pitch, copy.width);
    copy.from = copy.staged;
    copy.from_pitch = copy.width;
  }
  const cudaError_t error =
      cg_fake_enqueue (stream, name, do_copy, g_memdup2 (&copy, sizeof copy), copy_free);
  if (error == cudaSuccess && pageable_destination && !cg_fake_capturing (stream))
    cg_fake_drain (stream);
  return error;
}

cudaError_t
cudaMemcpyAsync (void *to, const void *from, size_t size, enum cudaMemcpyKind kind,
                 cudaStream_t stream)
{
  CG_FAKE_CALL (cudaErrorInvalidValue);
  const Copy copy = {
    .to = to, .from = from, .to_pitch = size, .from_pitch = size, .width = size, .rows = 1
  };
  return copy_async (copy, kind, stream, __func__);
}

static gboolean
lies_in (guint64 pointer, gpointer context)
{
  const CgFakeMemory *memory = cg_fake_find ((const void *)(gsize)pointer);
  return memory && memory->context == context;
}

gint
cg_fake_peer_copy (guint64 to, gpointer to_context, guint64 from, gpointer from_context, gsize size,
                   cudaStream_t stream)
{
  CG_FAKE_CALL_AS (cg_fake_failure (cudaErrorInvalidValue), cudaErrorIllegalAddress);
  const Copy copy = { .to = (guint8 *)(gsize)to,
                      .from = (const guint8 *)(gsize)from,
                      .to_pitch = size,
                      .from_pitch = size,
                      .width = size,
                      .rows = 1 };
  if (!lies_in (to, to_context) || !lies_in (from, from_context))
    cg_fake_note ("cuMemcpyPeerAsync: a pointer is not of the context that is told");
  return (gint)copy_async (copy, cudaMemcpyDeviceToDevice, stream, "cuMemcpyPeerAsync");
}

cudaError_t
cudaMemcpy2DAsync (void *to, size_t to_pitch, const void *from, size_t from_pitch, size_t width,
                   size_t height, enum cudaMemcpyKind kind, cudaStream_t stream)
{
  CG_FAKE_CALL (cudaErrorInvalidValue);
  const Copy copy = { .to = to,
                      .from = from,
                      .to_pitch = to_pitch,
                      .from_pitch = from_pitch,
                      .width = width,
                      .rows = height };
  return copy_async (copy, kind, stream, __func__);
}

cudaError_t
cudaMemsetAsync (void *to, int value, size_t size, cudaStream_t stream)
{
  CG_FAKE_CALL (cudaErrorInvalidValue);
  const Copy copy = { .to = to, .to_pitch = size, .width = size, .rows = 1, .value = value };
  return copy_async (copy, cudaMemcpyDefault, stream, __func__);
}

/* The synchronous ones go through the default stream, for which streams made with
 * cudaStreamNonBlocking do not wait. */
cudaError_t
cudaMemcpy (void *to, const void *from, size_t size, enum cudaMemcpyKind kind)
{
  CG_FAKE_CALL (cudaErrorInvalidValue);
  if (cg_fake_forbidden ())
    return cg_fake_return (cudaErrorStreamCaptureImplicit);
  const Copy copy = {
    .to = to, .from = from, .to_pitch = size, .from_pitch = size, .width = size, .rows = 1
  };
  const cudaError_t error = copy_async (copy, kind, NULL, __func__);
  cg_fake_drain (NULL);
  return error;
}

cudaError_t
cudaMemcpy2D (void *to, size_t to_pitch, const void *from, size_t from_pitch, size_t width,
              size_t height, enum cudaMemcpyKind kind)
{
  CG_FAKE_CALL (cudaErrorInvalidValue);
  if (cg_fake_forbidden ())
    return cg_fake_return (cudaErrorStreamCaptureImplicit);
  const Copy copy = { .to = to,
                      .from = from,
                      .to_pitch = to_pitch,
                      .from_pitch = from_pitch,
                      .width = width,
                      .rows = height };
  const cudaError_t error = copy_async (copy, kind, NULL, __func__);
  cg_fake_drain (NULL);
  return error;
}

cudaError_t
cudaMemset (void *to, int value, size_t size)
{
  CG_FAKE_CALL (cudaErrorInvalidValue);
  if (cg_fake_forbidden ())
    return cg_fake_return (cudaErrorStreamCaptureImplicit);
  const Copy copy = { .to = to, .to_pitch = size, .width = size, .rows = 1, .value = value };
  return copy_async (copy, cudaMemcpyDefault, NULL, __func__);
}
