/* See pool.h.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* sched_getaffinity() */
#endif

#include "pool.h"

#include <sched.h>
#include <stdatomic.h>

/* How often a waiting thread looks before it sleeps: some tens of microseconds. */
#define SPINS 1000

/* The ticket word: how many jobs the stage has, and how many have been taken. A worker takes one by
 * adding one. Both are in one word, so that a late worker gets a job of whatever stage is running,
 * or learns that there is none; and a stage cannot end while anybody holds one of its jobs, so
 * @function and
 * @data belong to the job that was taken. */
#define JOB_BITS 24
#define JOB_MASK ((G_GUINT64_CONSTANT (1) << JOB_BITS) - 1)

struct _CgPool {
  guint threads;
  GThread **thread; /* [threads - 1] */
  guint started;

  CgPoolFunction function;
  gpointer data;
  _Atomic guint64 ticket;
  _Atomic guint unfinished;
  _Atomic gboolean quit;

  /* Sleeping: the counters are raised under the lock before the last look. */
  GMutex lock;
  GCond work, finished;
  _Atomic guint sleepers;
  _Atomic gboolean caller_sleeps;
};

typedef struct {
  CgPool *pool;
  guint number;
} Worker;

static inline void
relax (void)
{
#ifdef __x86_64__
  __builtin_ia32_pause ();
#endif
}

static inline gboolean
has_work (guint64 ticket)
{
  return (ticket & JOB_MASK) < ticket >> JOB_BITS;
}

static void
work (CgPool *pool, guint worker)
{
  while (has_work (atomic_load (&pool->ticket))) {
    guint64 ticket = atomic_fetch_add (&pool->ticket, 1);

    if (!has_work (ticket))
      return;
    pool->function (pool->data, ticket & JOB_MASK, worker);
    if (atomic_fetch_sub (&pool->unfinished, 1) == 1 && atomic_load (&pool->caller_sleeps)) {
      g_mutex_lock (&pool->lock);
      g_cond_signal (&pool->finished);
      g_mutex_unlock (&pool->lock);
    }
  }
}

static gboolean
wait_for_work (CgPool *pool)
{
  for (guint i = 0; i < SPINS; i++) {
    if (has_work (atomic_load (&pool->ticket)))
      return TRUE;
    relax ();
  }

  g_mutex_lock (&pool->lock);
  atomic_fetch_add (&pool->sleepers, 1);
  while (!has_work (atomic_load (&pool->ticket)) && !atomic_load (&pool->quit))
    g_cond_wait (&pool->work, &pool->lock);
  atomic_fetch_sub (&pool->sleepers, 1);
  g_mutex_unlock (&pool->lock);
  return !atomic_load (&pool->quit);
}

static gpointer
run_worker (gpointer data)
{
  Worker *worker = data;

  while (wait_for_work (worker->pool))
    work (worker->pool, worker->number);
  g_free (worker);
  return NULL;
}

static guint
usable_cpus (void)
{
#ifdef __linux__
  cpu_set_t set;

  /* More CPUs than the set has room for make this fail. */
  if (sched_getaffinity (0, sizeof set, &set) == 0)
    return CPU_COUNT (&set);
#endif
  return g_get_num_processors ();
}

CgPool *
cg_pool_new (guint threads, GError **error)
{
  CgPool *pool = g_new0 (CgPool, 1);

  pool->threads = CLAMP (threads != 0 ? threads : usable_cpus (), 1, CG_POOL_MAX_THREADS);
  g_mutex_init (&pool->lock);
  g_cond_init (&pool->work);
  g_cond_init (&pool->finished);
  pool->thread = g_new0 (GThread *, pool->threads);

  for (guint i = 1; i < pool->threads; i++) {
    g_autofree char *name = g_strdup_printf ("cg-cpu-%u", i);
    g_autoptr (GError) reason = NULL;
    Worker *worker = g_new (Worker, 1);

    *worker = (Worker){ pool, i };
    pool->thread[pool->started] = g_thread_try_new (name, run_worker, worker, &reason);
    if (pool->thread[pool->started] == NULL) {
      g_free (worker);
      g_set_error (error, CG_ERROR, CG_ERROR_MEMORY, "Could not start CPU thread %u of %u: %s",
                   i + 1, pool->threads, reason->message);
      cg_pool_free (pool);
      return NULL;
    }
    pool->started++;
  }
  return pool;
}

void
cg_pool_free (CgPool *pool)
{
  if (pool == NULL)
    return;
  g_mutex_lock (&pool->lock);
  atomic_store (&pool->quit, TRUE);
  g_cond_broadcast (&pool->work);
  g_mutex_unlock (&pool->lock);
  for (guint i = 0; i < pool->started; i++)
    g_thread_join (pool->thread[i]);

  g_free (pool->thread);
  g_cond_clear (&pool->work);
  g_cond_clear (&pool->finished);
  g_mutex_clear (&pool->lock);
  g_free (pool);
}

guint
cg_pool_threads (const CgPool *pool)
{
  return pool->threads;
}

void
cg_pool_run (CgPool *pool, guint jobs, CgPoolFunction function, gpointer data)
{
  g_return_if_fail (jobs <= CG_POOL_MAX_JOBS);
  if (jobs == 0)
    return;

  pool->function = function;
  pool->data = data;
  atomic_store (&pool->unfinished, jobs);
  atomic_store (&pool->ticket, (guint64)jobs << JOB_BITS);
  if (atomic_load (&pool->sleepers) > 0) {
    g_mutex_lock (&pool->lock);
    g_cond_broadcast (&pool->work);
    g_mutex_unlock (&pool->lock);
  }

  work (pool, 0);

  for (guint i = 0; i < SPINS && atomic_load (&pool->unfinished) > 0; i++)
    relax ();
  if (atomic_load (&pool->unfinished) > 0) {
    g_mutex_lock (&pool->lock);
    atomic_store (&pool->caller_sleeps, TRUE);
    while (atomic_load (&pool->unfinished) > 0)
      g_cond_wait (&pool->finished, &pool->lock);
    atomic_store (&pool->caller_sleeps, FALSE);
    g_mutex_unlock (&pool->lock);
  }
}
