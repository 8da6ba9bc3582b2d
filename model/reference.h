/* The forward pass written as plainly as the paper, in double: the specification that every engine
 * is tested against. No fold, no fusion, one thread; about half a minute for the full-size network.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "network.h"

G_BEGIN_DECLS

/** CgReferenceOutputs: doubles, in one allocation (g_free()); fields as in CgOutputs.
 * @tokens: [tokens][width], the last block's raw output */
typedef struct {
  gdouble *tokens, *features, *logits, *scene, *text;
} CgReferenceOutputs;

/** cg_reference_run: one window.
 * @frames: [frames][image][image][3] bytes, RGB
 * Returns: (transfer full). Errors: MEMORY. Any thread. */
CgReferenceOutputs *cg_reference_run (const CgNetwork *network, const CgInput *input,
                                      const guint8 *frames, GError **error);

G_END_DECLS
