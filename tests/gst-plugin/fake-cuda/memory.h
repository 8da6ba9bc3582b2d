/* GstCudaMemory without CUDA: a library of the name and type of GStreamer's own, for tests of what reads such memory.
 *
 * What lies "on the device" is one byte, again and again, at addresses that nobody can read: a program that takes them
 * for its own memory crashes here as it would there.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <gst/gst.h>

G_BEGIN_DECLS

#define FAKE_CUDA_DEVICES 2

#pragma GCC visibility push(default)

/** fake_cuda_memory_new: (transfer full): @size bytes on the device, each of them @value. */
GstMemory *fake_cuda_memory_new (gsize size, guint8 value);

/** fake_cuda_memory_refuse: from now on @memory can be mapped neither way. */
void fake_cuda_memory_refuse (GstMemory *memory);

/** fake_cuda_read: what is at @pointer, for who would be a kernel; -1 if that is no device memory, or is still being
 * written because nobody waited (gst_cuda_memory_sync(), as in GStreamer 1.24). */
gint fake_cuda_read (const void *pointer);

/** gst_cuda_memory_sync: GStreamer's name for it. */
void gst_cuda_memory_sync (GstMemory *memory);

/** FakeCudaCall: what the engine of this machine is asked for. */
typedef enum {
  FAKE_CUDA_PROBE,
  FAKE_CUDA_OPEN,
  FAKE_CUDA_PUT,
  FAKE_CUDA_GET,
  FAKE_CUDA_RUN,
  FAKE_CUDA_CALLS
} FakeCudaCall;

/** fake_cuda_fail: on GPU @device the next @call will fail with @status, a CgCudaStatus; 0: none will. */
void fake_cuda_fail (FakeCudaCall call, guint device, gint status);

/** fake_cuda_take_failure: for the engine: how @call is to fail this time, or 0. */
gint fake_cuda_take_failure (FakeCudaCall call, guint device);

/** fake_cuda_downloads: how often memory was mapped for the CPU. */
guint fake_cuda_downloads (void);

#pragma GCC visibility pop

G_END_DECLS
