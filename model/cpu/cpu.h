/* The CPU engine, as far as others may see it. The engine itself is reached through cg_backend_cpu().
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "../engine.h"

G_BEGIN_DECLS

/** cg_cpu_isa_names: NULL-terminated static list of the instruction sets this build has kernels for, best first:
 * "avx512bf16", "avx512", "avx2", "sse2", and "avx512bf16-emulated": the bf16 kernels with the one instruction that
 * AVX-512F lacks written out, so that they are tested where the CPU has no bf16. Never chosen by itself. */
const char *const *cg_cpu_isa_names (void);

/** cg_cpu_isa_supported: whether this CPU (and its operating system) can run @isa. */
gboolean cg_cpu_isa_supported (const char *isa);

/** cg_cpu_isa_precision: what @isa computes in: bf16 for the two bf16 ones (fp32 too when asked for), else fp32. */
CgPrecision cg_cpu_isa_precision (const char *isa);

/** cg_preprocess: @frame to @out [image][image][3] bytes RGB with the kernels of @isa (NULL: the best).
 * Antialiased bilinear as PIL's Image.resize (BILINEAR) on the RGB picture; aspect not kept. Within one grey level of
 * PIL. Errors: INPUT, MEMORY; UNSUPPORTED for an @isa
 * that this build or CPU has not. Any thread. */
gboolean cg_preprocess (const CgFrame *frame, guint image, const char *isa, guint8 *out,
                        GError **error);

/** CgCpuStages: microseconds spent in the last run, for benchmarks: patch embedding with the first qkv, attention,
 * the row chain (everything between two attentions), the heads. */
typedef struct {
  gdouble embed, attention, rows, heads;
} CgCpuStages;
void cg_cpu_stages (gpointer self, CgCpuStages *stages);

G_END_DECLS
