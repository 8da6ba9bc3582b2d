/* A pool of threads for one engine: stages of independent jobs, run one stage after the other.
 *
 * The calling thread is worker 0 and works with the others. Between the stages of one run the
 * others watch for the next stage for some tens of microseconds, then sleep: an idle pool costs
 * nothing. Which worker does which job is left to chance; results must not depend on it.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "../error.h"

G_BEGIN_DECLS

typedef struct _CgPool CgPool;

/** CgPoolFunction: does job @job; @worker < cg_pool_threads() says whose scratch memory to use. */
typedef void (*CgPoolFunction) (gpointer data, guint job, guint worker);

#define CG_POOL_MAX_THREADS 256
#define CG_POOL_MAX_JOBS ((1u << 24) - 1 - CG_POOL_MAX_THREADS)

/** cg_pool_new: @threads: 1..CG_POOL_MAX_THREADS, the caller of cg_pool_run() included; 0: one for
 * each CPU that the calling thread may run on. If the system gives fewer threads than asked for,
 * that is an error. Returns: (transfer full): cg_pool_free(). Errors: MEMORY. */
CgPool *cg_pool_new (guint threads, GError **error);

/** cg_pool_free: joins the threads. Not during cg_pool_run(). */
void cg_pool_free (CgPool *pool);

/** cg_pool_threads: how many work at once, the caller of cg_pool_run() included. */
guint cg_pool_threads (const CgPool *pool);

/** cg_pool_run: calls @function for each job 0 .. @jobs-1 and returns when all have returned; what
 * they wrote is then visible to the caller. @jobs <= CG_POOL_MAX_JOBS. One thread at a time. */
void cg_pool_run (CgPool *pool, guint jobs, CgPoolFunction function, gpointer data);

G_END_DECLS
