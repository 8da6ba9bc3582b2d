/* See memory.h.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#define _GNU_SOURCE /* MAP_ANONYMOUS */
#include "memory.h"

#include <sys/mman.h>

#define MAP_CUDA (GST_MAP_FLAG_LAST << 1)

typedef struct {
  GstMemory memory;
  guint8 *device;  /* cannot be read */
  guint8 *staging; /* or NULL */
  gsize size;
  guint8 value;
  gboolean synced, refused;
} Memory;

typedef struct {
  GstAllocator parent;
} FakeAllocator;

typedef struct {
  GstAllocatorClass parent;
} FakeAllocatorClass;

GType fake_allocator_get_type (void);
G_DEFINE_TYPE (FakeAllocator, fake_allocator, GST_TYPE_ALLOCATOR)

static GMutex lock;
static GPtrArray *memories;
static guint downloads;

static gpointer
map (GstMemory *base, gsize size, GstMapFlags flags)
{
  Memory *memory = (Memory *)base;

  if (memory->refused)
    return NULL;
  if (flags & MAP_CUDA)
    return memory->device;
  g_mutex_lock (&lock);
  downloads++;
  if (!memory->staging) {
    memory->staging = g_malloc (memory->size);
    memset (memory->staging, memory->value, memory->size);
  }
  g_mutex_unlock (&lock);
  return memory->staging;
}

static void
unmap (GstMemory *memory)
{
}

static void
fake_allocator_init (FakeAllocator *self)
{
  GstAllocator *allocator = GST_ALLOCATOR (self);

  allocator->mem_type = "gst.cuda.memory";
  allocator->mem_map = map;
  allocator->mem_unmap = unmap;
  GST_OBJECT_FLAG_SET (self, GST_ALLOCATOR_FLAG_CUSTOM_ALLOC);
}

static void
free_memory (GstAllocator *allocator, GstMemory *base)
{
  Memory *memory = (Memory *)base;

  g_mutex_lock (&lock);
  g_ptr_array_remove (memories, memory);
  g_mutex_unlock (&lock);
  munmap (memory->device, memory->size);
  g_free (memory->staging);
  g_free (memory);
}

static void
fake_allocator_class_init (FakeAllocatorClass *klass)
{
  GST_ALLOCATOR_CLASS (klass)->free = free_memory;
}

GstMemory *
fake_cuda_memory_new (gsize size, guint8 value)
{
  GstAllocator *allocator = gst_object_ref_sink (g_object_new (fake_allocator_get_type (), NULL));
  Memory *memory = g_new0 (Memory, 1);

  memory->device = mmap (NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  g_assert_true (memory->device != MAP_FAILED);
  memory->size = size;
  memory->value = value;
  gst_memory_init (&memory->memory, 0, allocator, NULL, size, 0, 0, size);
  gst_object_unref (allocator); /* the memory has one */
  g_mutex_lock (&lock);
  if (!memories)
    memories = g_ptr_array_new ();
  g_ptr_array_add (memories, memory);
  g_mutex_unlock (&lock);
  return &memory->memory;
}

void
fake_cuda_memory_refuse (GstMemory *memory)
{
  ((Memory *)memory)->refused = TRUE;
}

gint
fake_cuda_read (const void *pointer)
{
  const guint8 *p = pointer;
  gint value = -1;

  g_mutex_lock (&lock);
  for (guint i = 0; memories && i < memories->len; i++) {
    const Memory *memory = memories->pdata[i];
    if (p >= memory->device && p < memory->device + memory->size && memory->synced)
      value = memory->value;
  }
  g_mutex_unlock (&lock);
  return value;
}

void
gst_cuda_memory_sync (GstMemory *memory)
{
  ((Memory *)memory)->synced = TRUE;
}

/* ---- failures ---- */

static gint failures[FAKE_CUDA_CALLS][FAKE_CUDA_DEVICES]; /* atomic */

void
fake_cuda_fail (FakeCudaCall call, guint device, gint status)
{
  g_atomic_int_set (&failures[call][device], status);
}

gint
fake_cuda_take_failure (FakeCudaCall call, guint device)
{
  const gint status = g_atomic_int_get (&failures[call][device]);

  g_atomic_int_set (&failures[call][device], 0);
  return status;
}

guint
fake_cuda_downloads (void)
{
  g_mutex_lock (&lock);
  const guint n = downloads;
  g_mutex_unlock (&lock);
  return n;
}
