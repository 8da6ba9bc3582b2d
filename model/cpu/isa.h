/* Instruction sets: what the kernels are built for, and which of them this CPU runs.
 *
 * Kernel sources are compiled once for each instruction set, with that set's compiler flags and
 * CG_ISA_SUFFIX defined; each build exports one constant table of functions:
 *
 *   const CgKernels CG_ISA_NAME (kernels) = { ... };              kernels_sse2, kernels_avx2, ...
 *
 * Only the tables are referenced from outside, and only after cg_isa_supported() said yes. Sources
 * for one instruction set must call no inline function that another build might share: the linker
 * could keep the copy with the wider instructions.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "cpu.h"

G_BEGIN_DECLS

/** CG_ISA_NAME: x -> x_avx512 and so on. Only in sources that are built once for each instruction
 * set. */
#define CG_ISA_PASTE_(name, suffix) name##_##suffix
#define CG_ISA_PASTE(name, suffix) CG_ISA_PASTE_ (name, suffix)
#define CG_ISA_NAME(name) CG_ISA_PASTE (name, CG_ISA_SUFFIX)

/** CgIsa: in the order of their width. The last two compute in bf16; everything else they need is
 * AVX512's (cg_isa_plain()). On other processors than x86-64 there is only CG_ISA_SSE2: the same
 * source in 16-byte vectors.
 * SSE2: the base of x86-64. AVX2: with FMA. AVX512: F, BW, DQ, VL, with FMA.
 * AVX512BF16: with AVX512_BF16. AVX512BF16_EMULATED: its one instruction that AVX-512F lacks
 * written out. */
typedef enum {
  CG_ISA_SSE2,
  CG_ISA_AVX2,
  CG_ISA_AVX512,
  CG_ISA_AVX512BF16,
  CG_ISA_AVX512BF16_EMULATED,
} CgIsa;
#define CG_ISA_COUNT 5

/** CG_ISA_DECLARE: declares TYPE NAME_sse2, NAME_avx2, NAME_avx512, the plain tables.
 * CG_ISA_TABLES: initialises an array [CG_ISA_AVX512 + 1] of pointers to them; index:
 * cg_isa_plain(). */
#ifdef __x86_64__
#define CG_ISA_DECLARE(type, name) extern const type name##_sse2, name##_avx2, name##_avx512
#define CG_ISA_TABLES(name)                    \
  {                                            \
    &name##_sse2, &name##_avx2, &name##_avx512 \
  }
#else
#define CG_ISA_DECLARE(type, name) extern const type name##_sse2
#define CG_ISA_TABLES(name)  \
  {                          \
    &name##_sse2, NULL, NULL \
  }
#endif

/** cg_isa_supported: this build has kernels for @isa, and this CPU and its operating system run
 * them. Any thread. */
gboolean cg_isa_supported (CgIsa isa);

/** cg_isa_best: the best supported one; never AVX512BF16_EMULATED. */
CgIsa cg_isa_best (void);

/** cg_isa_name: "sse2", "avx2", "avx512", "avx512bf16", "avx512bf16-emulated". Static. */
const char *cg_isa_name (CgIsa isa);

/** cg_isa_from_name: NULL is the best. Errors: UNSUPPORTED for a name that is unknown or not
 * supported here (the message names those that are). */
gboolean cg_isa_from_name (const char *name, CgIsa *isa, GError **error);

/** cg_isa_has_bf16: @isa is one of the two bf16 ones. */
gboolean cg_isa_has_bf16 (CgIsa isa);

/** cg_isa_bf16_pays: whether this CPU does so many more operations a second in bf16 than in fp32 that the engine is
 * faster in bf16. FALSE without AVX512_BF16. Zen 4 and 5 do twice as many; a Xeon of the fifth generation half as many,
 * because its bf16 is meant to be AMX's. Measured once, in 2 ms; the verdict is far from the middle, so it is the same
 * each time. Any thread. */
gboolean cg_isa_bf16_pays (void);

/** cg_isa_plain: whose fp32 (and preprocessing) kernels @isa uses: SSE2, AVX2 or AVX512. */
CgIsa cg_isa_plain (CgIsa isa);

G_END_DECLS
