/* The CUDA engine as the rest of model/ sees it: a module that is opened at run time, if it is there and can work.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "engine.h"

G_BEGIN_DECLS

/** CG_CUDA_MODULE_VARIABLE: the environment variable that names the module's file, for builds that are not installed.
 * Not heeded in a program with more rights than its user. */
#define CG_CUDA_MODULE_VARIABLE "CITYGUESSR_CUDA_MODULE"

/** cg_backend_cuda: its open() opens the module. The module is never closed. */
const CgBackend *cg_backend_cuda (void);

/** cg_cuda_is_installed: whether there is a module to open. Any thread. */
gboolean cg_cuda_is_installed (void);

/** cg_cuda_probe: whether the CUDA engine can work on GPU @device. Opens the module, but neither model nor context. Any
 * thread. Errors: NOT_FOUND if there is no module, no NVIDIA driver or no such GPU; UNSUPPORTED and others if all three
 * are there and do not fit, or a library is missing. */
gboolean cg_cuda_probe (guint device, GError **error);

/* For benchmarks, over what cg_backend_cuda()->open() gave, in the place of the engine's thread: what CgCudaModule's
 * functions of these names do (cuda/module.h). */

/** cg_cuda_time: @samples is [sets][n][frames]; fills @microseconds [repeats]. */
gboolean cg_cuda_time (gpointer backend, gpointer const *samples, guint sets, guint n,
                       guint repeats, float *microseconds, GError **error);

/** cg_cuda_picture_new, cg_cuda_picture_free: @copy of @frame in the GPU's memory; @apart: of a context of its own. */
gboolean cg_cuda_picture_new (gpointer backend, const CgFrame *frame, gboolean apart, CgFrame *copy,
                              GError **error);
void cg_cuda_picture_free (gpointer backend, CgFrame *copy);

/** cg_cuda_time_put: see CgCudaModule.time_put: @pictures [sets] in the GPU's memory; fills @microseconds [repeats]. */
gboolean cg_cuda_time_put (gpointer backend, gpointer sample, const CgFrame *pictures, guint sets,
                           guint row, guint repeats, float *microseconds, GError **error);

/** cg_cuda_use_module: for tests: @module from now on, instead of the module's file; NULL: the file again. Engines that
 * run keep theirs. */
typedef struct _CgCudaModule CgCudaModule; /* cuda/module.h */
void cg_cuda_use_module (const CgCudaModule *module);

G_END_DECLS
