/* What ThreadSanitizer must see of GLib, preloaded into the programs it checks (the gate "tsan" of
 * .ci/run).
 *
 * GLib is not instrumented: its GMutex and GCond are built on bare futexes, so that the sanitizer
 * would see no lock at all and call every access a race. Here both are made of pthread objects,
 * which the sanitizer knows (with lock-order inversions into the bargain); reference counts and
 * once-initialisation are announced to it.
 *
 *   gcc -shared -fPIC -fsanitize=thread tsan-glib.c -o libtsan-glib.so $(pkg-config --cflags
 * glib-2.0) LD_PRELOAD="$(gcc -print-file-name=libtsan.so) ./libtsan-glib.so" program
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#define _GNU_SOURCE
#define GLIB_DISABLE_DEPRECATION_WARNINGS
#include <dlfcn.h>
#include <errno.h>
#include <glib.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

void __tsan_acquire (void *address);
void __tsan_release (void *address);

/* The macros of GLib's headers stand before its functions. */
#undef g_once_init_enter
#undef g_once_init_leave

/* REAL: the function behind ours, of the library that really has it. */
#define REAL(type, name) ((type)real_function (#name))
typedef void (*PointerFunction) (gpointer);

static gpointer
real_function (const char *name)
{
  gpointer function = dlsym (RTLD_NEXT, name);

  if (function == NULL)
    abort ();
  return function;
}

/* ---- GMutex: its pointer holds a pthread_mutex_t, made at first use because a zeroed GMutex is
 * valid ---- */

static pthread_mutex_t *
mutex_of (GMutex *mutex)
{
  pthread_mutex_t *made, *found = __atomic_load_n ((pthread_mutex_t **)&mutex->p, __ATOMIC_ACQUIRE);

  if (found != NULL)
    return found;
  made = calloc (1, sizeof *made);
  if (made == NULL)
    abort ();
  pthread_mutex_init (made, NULL);
  if (__atomic_compare_exchange_n ((pthread_mutex_t **)&mutex->p, &found, made, 0, __ATOMIC_ACQ_REL,
                                   __ATOMIC_ACQUIRE))
    return made;
  pthread_mutex_destroy (made);
  free (made);
  return found;
}

void
g_mutex_init (GMutex *mutex)
{
  mutex->p = NULL;
}

void
g_mutex_clear (GMutex *mutex)
{
  if (mutex->p == NULL)
    return;
  pthread_mutex_destroy (mutex->p);
  free (mutex->p);
  mutex->p = NULL;
}

void
g_mutex_lock (GMutex *mutex)
{
  pthread_mutex_lock (mutex_of (mutex));
}

gboolean
g_mutex_trylock (GMutex *mutex)
{
  return pthread_mutex_trylock (mutex_of (mutex)) == 0;
}

void
g_mutex_unlock (GMutex *mutex)
{
  pthread_mutex_unlock (mutex_of (mutex));
}

/* ---- GCond, likewise; it waits by the monotonic clock, as GLib's does ---- */

static pthread_cond_t *
cond_of (GCond *cond)
{
  pthread_cond_t *made, *found = __atomic_load_n ((pthread_cond_t **)&cond->p, __ATOMIC_ACQUIRE);
  pthread_condattr_t attributes;

  if (found != NULL)
    return found;
  made = calloc (1, sizeof *made);
  if (made == NULL)
    abort ();
  pthread_condattr_init (&attributes);
  pthread_condattr_setclock (&attributes, CLOCK_MONOTONIC);
  pthread_cond_init (made, &attributes);
  pthread_condattr_destroy (&attributes);
  if (__atomic_compare_exchange_n ((pthread_cond_t **)&cond->p, &found, made, 0, __ATOMIC_ACQ_REL,
                                   __ATOMIC_ACQUIRE))
    return made;
  pthread_cond_destroy (made);
  free (made);
  return found;
}

void
g_cond_init (GCond *cond)
{
  cond->p = NULL;
}

void
g_cond_clear (GCond *cond)
{
  if (cond->p == NULL)
    return;
  pthread_cond_destroy (cond->p);
  free (cond->p);
  cond->p = NULL;
}

void
g_cond_wait (GCond *cond, GMutex *mutex)
{
  pthread_cond_wait (cond_of (cond), mutex_of (mutex));
}

gboolean
g_cond_wait_until (GCond *cond, GMutex *mutex, gint64 end_time)
{
  struct timespec until = { .tv_sec = end_time / G_USEC_PER_SEC,
                            .tv_nsec = end_time % G_USEC_PER_SEC * 1000 };

  return pthread_cond_timedwait (cond_of (cond), mutex_of (mutex), &until) != ETIMEDOUT;
}

void
g_cond_signal (GCond *cond)
{
  pthread_cond_signal (cond_of (cond));
}

void
g_cond_broadcast (GCond *cond)
{
  pthread_cond_broadcast (cond_of (cond));
}

/* ---- initialised once ---- */

gboolean
g_once_init_enter (volatile void *location)
{
  gboolean first = REAL (gboolean (*) (volatile void *), g_once_init_enter) (location);

  __tsan_acquire ((gpointer)location);
  return first;
}

void
g_once_init_leave (volatile void *location, gsize result)
{
  __tsan_release ((gpointer)location);
  REAL (void (*) (volatile void *, gsize), g_once_init_leave) (location, result);
}

/* ---- reference counts: who drops the last reference comes after everyone who dropped one ---- */

#define COUNTED(unref)                      \
  void unref (gpointer object);             \
  void unref (gpointer object)              \
  {                                         \
    __tsan_release (object);                \
    __tsan_acquire (object);                \
    REAL (PointerFunction, unref) (object); \
  }

COUNTED (g_object_unref)
COUNTED (gst_mini_object_unref)

#undef g_atomic_ref_count_dec
gboolean
g_atomic_ref_count_dec (gatomicrefcount *count)
{
  gboolean last;

  __tsan_release ((gpointer)count);
  last = REAL (gboolean (*) (gatomicrefcount *), g_atomic_ref_count_dec) (count);
  if (last)
    __tsan_acquire ((gpointer)count);
  return last;
}
