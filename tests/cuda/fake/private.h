/* What the fakes share.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "fake.h"

G_BEGIN_DECLS

extern GRecMutex cg_fake_lock; /* over everything */

/** cg_fake_enter: counts the call @name and says whether it fails: 0, 1 (this once), 2 (the device is lost). */
guint cg_fake_enter (const char *name);
/** cg_fake_lost: whether the current device is lost already; cg_fake_lost_device: whether @device is. */
gboolean cg_fake_lost (void);
gboolean cg_fake_lost_device (gint device);
/** cg_fake_lose: from now on @device is lost. */
void cg_fake_lose (const char *name, gint device);
/** cg_fake_vanished: after cg_fake_contexts_vanish(). */
gboolean cg_fake_vanished (void);
void cg_fake_note (const char *format, ...) G_GNUC_PRINTF (1, 2); /* a fault */
void cg_fake_trace_op (const char *name);
void cg_fake_log_line (const char *prefix, const char *name);

/** cg_fake_failure: with what a call fails that would with @fitting. */
cudaError_t cg_fake_failure (cudaError_t fitting);
/** cg_fake_return: what cudaGetLastError() will say. Returns @error. */
cudaError_t cg_fake_return (cudaError_t error);

/* Takes the lock for the rest of the block, counts the call, and returns @failure if it is to fail. */
#define CG_FAKE_CALL_AS(failure, lost_failure)                                                    \
  G_GNUC_UNUSED g_autoptr (GRecMutexLocker) fake_locker = g_rec_mutex_locker_new (&cg_fake_lock); \
  do {                                                                                            \
    const guint fake_fails = cg_fake_enter (__func__);                                            \
    if (fake_fails)                                                                               \
      return fake_fails == 1 ? (failure) : (lost_failure);                                        \
  } while (0)

#define CG_FAKE_CALL(failure)                                  \
  CG_FAKE_CALL_AS (cg_fake_return (cg_fake_failure (failure)), \
                   cg_fake_return (cudaErrorIllegalAddress))

/* The same for calls that give something back: never counted, only lost. _OF_CONTEXT: something of a context. */
#define CG_FAKE_RELEASE()                                                                         \
  G_GNUC_UNUSED g_autoptr (GRecMutexLocker) fake_locker = g_rec_mutex_locker_new (&cg_fake_lock); \
  cg_fake_log_line ("", __func__)

#define CG_FAKE_RELEASE_OF_CONTEXT(failure)                  \
  CG_FAKE_RELEASE ();                                        \
  do {                                                       \
    if (cg_fake_vanished ()) {                               \
      cg_fake_note ("%s after the context's end", __func__); \
      return (failure);                                      \
    }                                                        \
  } while (0)

/* ---- memory ---- */

typedef enum { CG_FAKE_DEVICE, CG_FAKE_PINNED } CgFakeKind;

typedef struct {
  guint8 *data;
  gsize size;
  CgFakeKind kind;
  gpointer context; /* NULL: of none */
  gint device;
  guint8 *before; /* of cg_fake_snapshot() */
} CgFakeMemory;

/** cg_fake_find: the allocation that @pointer lies in (or one past its end), or NULL. */
CgFakeMemory *cg_fake_find (const void *pointer);
/** cg_fake_check: notes a fault unless [@pointer, @pointer + @size) lies in one allocation of the
 * device. @what names the access. */
gboolean cg_fake_check (const void *pointer, gsize size, const char *what);

/** cg_fake_memory_end: of the allocations of @context, which is destroyed. */
void cg_fake_memory_end (gpointer context);
/** cg_fake_memory_vanish, cg_fake_streams_vanish, cg_fake_lt_vanish, cg_fake_dnn_vanish: all of it, work left undone. */
void cg_fake_memory_vanish (void);
void cg_fake_streams_vanish (void);
void cg_fake_lt_vanish (void);
void cg_fake_dnn_vanish (void);

/** cg_fake_peer_copy: cuMemcpyPeerAsync(). */
gint cg_fake_peer_copy (guint64 to, gpointer to_context, guint64 from, gpointer from_context,
                        gsize size, cudaStream_t stream);

guint cg_fake_memory_count (CgFakeKind kind, gsize *bytes);
void cg_fake_memory_check_guards (void);

/* ---- streams ---- */

/** cg_fake_enqueue: work for @stream: @run (@data) at the last moment, each time again if it is
 * captured; then @destroy. The lock is held and the call has been counted. */
cudaError_t cg_fake_enqueue (cudaStream_t stream, const char *name, void (*run) (void *data),
                             void *data, GDestroyNotify destroy);
/** cg_fake_forbidden: whether a capture forbids what could wait for the device; invalidates it then. */
gboolean cg_fake_forbidden (void);
/** cg_fake_capturing: whether @stream is being captured. */
gboolean cg_fake_capturing (cudaStream_t stream);
/** cg_fake_drain: all that @stream has to do is done. */
void cg_fake_drain (cudaStream_t stream);
/** cg_fake_drain_all: all streams that wait for the default stream; @every: the others too. */
void cg_fake_drain_all (gboolean every);

void cg_fake_stream_counts (guint *streams, guint *events, guint *graphs);
void cg_fake_streams_reset (void);

/** cg_fake_tick: device time passes, as events see it. */
void cg_fake_tick (gdouble microseconds);

/** cg_fake_context: the one that is current for this thread; NULL is the primary one. */
gpointer cg_fake_context (void);
gint cg_fake_device (void);
/** cg_fake_device_of: that of @context; NULL: the current one. */
gint cg_fake_device_of (gpointer context);

/** cg_fake_lt_count, cg_fake_dnn_count: open handles and descriptors of the two libraries. */
guint cg_fake_lt_count (void);
guint cg_fake_dnn_count (void);

/** cg_fake_random: a number from the seed and @key, for algorithms' times. */
guint cg_fake_random (guint64 key);

G_END_DECLS
