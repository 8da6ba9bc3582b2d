/* What engine.c, registry.c, the backends and the tests of the engine share beyond engine.h.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "engine.h"

G_BEGIN_DECLS

/** cg_backend_for: what computes on @device; AUTO: what always works. Errors: UNSUPPORTED. */
const CgBackend *cg_backend_for (CgDevice device, GError **error);

/** cg_engine_new_with_backend, cg_engine_get_with_backend: as cg_engine_new() and cg_engine_get(),
 * over a given backend; @options->device is not looked at. Errors also: UNSUPPORTED if @backend was
 * built for another CG_BACKEND_ABI. */
CgEngine *cg_engine_new_with_backend (const CgBackend *backend, CgModel *model,
                                      const CgNetwork *network, const CgEngineOptions *options,
                                      GError **error);
CgEngine *cg_engine_get_with_backend (const CgBackend *backend, const char *path,
                                      const CgEngineOptions *options, GError **error);

/** cg_engine_is_lost: whether every window of @engine fails with DEVICE_LOST. Any thread. */
gboolean cg_engine_is_lost (CgEngine *engine);

/** cg_registry_release: drops one of the references counted by @refs. Returns TRUE if it was the
 * last one; the registry then no longer knows @engine. Any thread. */
gboolean cg_registry_release (CgEngine *engine, gatomicrefcount *refs);

/** cg_cancel_wait: sleeps until @deadline (g_get_monotonic_time()) or until an engine sets @cancel,
 * for a CgBackend.run() that has nothing to compute. Returns TRUE if cancelled. */
gboolean cg_cancel_wait (const gint *cancel, gint64 deadline);

G_END_DECLS
