/* A GPU that is none: link-time replacements of the CUDA runtime, cuBLASLt and cuDNN's backend API.
 *
 * Device memory is host memory, so that what kernels do can be done by plain C. Work given to a
 * stream is queued, with all that was passed by value, and done at the last moment: when somebody
 * waits for it. So a forgotten wait, or a staging buffer that is filled again too early, gives wrong
 * numbers here every time and not once a month. During capture calls are recorded;
 * cudaGraphLaunch() queues them all again.
 *
 * What the real libraries refuse is refused with their status. What they would not notice (a read
 * past the end of an allocation, an output over an input, freed memory) is noted as a fault.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <cuda_runtime_api.h>
#include <glib.h>

G_BEGIN_DECLS

/** CgFakeSettings: what the device is, and when it fails. cg_fake_reset() makes one H100-like device
 * that never fails.
 * @devices: their number; negative: the driver is too old for the runtime
 * @capability: 10 * major + minor, as in sm_90
 * @memory: bytes that can be allocated on a device in all
 * @name: of every device; NULL: "Fake GPU 0" and so on
 * @processors: multiprocessors of every device
 * @driver, @lt, @dnn: versions that are told of the driver, cuBLASLt and cuDNN; 0: what fits. @driver negative: there is
 *   none
 * @fail_at: the n-th call that can fail (from 1) does, with the status that fits it; 0: none
 * @fail_call: the next call of this name fails; it then becomes NULL
 * @fail_as: what fails does so with this cudaError_t; a library's call with what fits, and this behind it; 0: what fits
 * @lose_at: with the n-th call the device whose context is current is lost: this call and every one after it fails with
 *   cudaErrorIllegalAddress; 0: none
 * @lose_op_at: the same with the n-th piece of work that a stream does: told by the next wait
 * @silent: no device does any work any more. Who waits without a bound, which would be for ever, is a fault
 * @captured: called, by the capturing thread, when a capture has begun
 * @strict_c: the cublasStatus_t with which cuBLASLt refuses a C whose batches lie otherwise than D's, as it may; 0: never
 * @lazy: cuBLASLt loads its code at its first product, which it therefore refuses while a graph is captured; it then
 *   becomes FALSE
 * @seed: which of the libraries' algorithms are fast, as events measure it
 */
typedef struct {
  gint devices;
  guint capability;
  gsize memory;
  const char *name;
  int processors, driver;
  gsize lt, dnn;
  guint64 fail_at, lose_at, lose_op_at;
  const char *fail_call;
  int fail_as;
  gboolean silent;
  void (*captured) (void);
  int strict_c;
  gboolean lazy;
  guint seed;
} CgFakeSettings;

extern CgFakeSettings cg_fake_settings;

/** cg_fake_reset: the settings above, no faults, no log, all counts zero. Device memory that is still
 * allocated is a fault of whoever ran before: cg_fake_leaks() first. */
void cg_fake_reset (void);

/** cg_fake_calls, cg_fake_ops: calls that could have failed, pieces of work done, since the reset. */
guint64 cg_fake_calls (void);
guint64 cg_fake_ops (void);

/** cg_fake_fail_name: the call that @fail_at or @lose_at struck first, or NULL. */
const char *cg_fake_fail_name (void);

/** cg_fake_trace: from now on the names of calls that can fail are added to @calls, and those of the work that streams do
 * to @ops, in their order; the strings are static. NULL stops it. */
void cg_fake_trace (GPtrArray *calls, GPtrArray *ops);

/** cg_fake_faults: what was done wrong since the reset, one a line; "" if nothing. (transfer full) */
char *cg_fake_faults (void);

/** cg_fake_leaks: what is still allocated or open, one kind a line; "" if nothing. (transfer full) */
char *cg_fake_leaks (void);

/** cg_fake_log: from now on remember the names of calls and, after "-> ", of the work that streams do.
 * @on: FALSE stops it. Returns the log up to now, one a line (transfer full). */
char *cg_fake_log (gboolean on);

/** cg_fake_snapshot, cg_fake_poison_changed: which bytes of device memory were written since the
 * snapshot becomes all ones (a NaN in every float format). Nothing that is computed may depend on them.
 * Returns: how many bytes were changed. */
void cg_fake_snapshot (void);
gsize cg_fake_poison_changed (void);

/** cg_fake_context_new: another context than the primary one, as a GstCudaContext has; its streams,
 * events and allocations work in no other. The driver's functions for it are what
 * cudaGetDriverEntryPointByVersion() finds: cuCtxPushCurrent, cuCtxPopCurrent, cuCtxGetCurrent ... */
gpointer cg_fake_context_new (gint device);
void cg_fake_context_free (gpointer context);
/** cg_fake_context_push, cg_fake_context_pop: as the driver's functions. */
void cg_fake_context_push (gpointer context);
void cg_fake_context_pop (void);

/** cg_fake_disown: the allocation that @pointer begins belongs to no context any more, as pooled and virtual memory does
 * not. */
void cg_fake_disown (void *pointer);

/** cg_fake_lose_device: from now on @device is lost. */
void cg_fake_lose_device (gint device);

/** cg_fake_contexts_vanish: as when somebody resets the device: no context can be made current until the next reset,
 * and what was made in one is gone, the libraries' handles among it. Freeing such a thing is a fault then, for it could
 * be somebody else's by now. Of silent devices cuDNN's descriptors go, too. */
void cg_fake_contexts_vanish (void);

/* ---- for the emulator of kernels ---- */

/** cg_fake_launch: counts a call @name and queues @run (@data) on @stream, then @destroy; during capture @run is
 * called again by each cudaGraphLaunch(). @data is freed on failure too. Any thread. */
cudaError_t cg_fake_launch (cudaStream_t stream, const char *name, void (*run) (void *data),
                            void *data, GDestroyNotify destroy);

/** cg_fake_check_arguments: notes a fault for each pointer among the @size bytes of kernel @name's arguments to device
 * memory of another context than the current one. */
void cg_fake_check_arguments (const char *name, const void *arguments, gsize size);

/** cg_fake_fault: notes a fault that the emulator found. */
void cg_fake_fault (const char *text);

G_END_DECLS
