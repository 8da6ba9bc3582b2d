/* Which instruction sets there are, and which of them this CPU runs (isa.h, cpu.h).
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "isa.h"
#include "kernels.h"
#include "peak.h"

/* Of cg_isa_bf16_pays(): more steps than a clock of microseconds needs; more turns than are disturbed at once. */
#define STEPS 20000
#define TURNS 8
#define LEAST_GAIN 1.4

CG_ISA_DECLARE (CgKernels, kernels);

#ifdef __x86_64__
extern const CgKernels kernels_avx512bf16, kernels_avx512bf16_emulated;
#endif

static const char *const names[CG_ISA_COUNT] = {
  [CG_ISA_SSE2] = "sse2",
  [CG_ISA_AVX2] = "avx2",
  [CG_ISA_AVX512] = "avx512",
  [CG_ISA_AVX512BF16] = "avx512bf16",
  [CG_ISA_AVX512BF16_EMULATED] = "avx512bf16-emulated",
};

#ifdef __x86_64__

static const char *const best_first[] = { "avx512bf16",          "avx512", "avx2", "sse2",
                                          "avx512bf16-emulated", NULL };

/* The compiler's check asks the operating system too whether it keeps the wide registers. */
gboolean
cg_isa_supported (CgIsa isa)
{
  gboolean avx512;

  __builtin_cpu_init ();
  avx512 = __builtin_cpu_supports ("avx512f") && __builtin_cpu_supports ("avx512bw") &&
           __builtin_cpu_supports ("avx512dq") && __builtin_cpu_supports ("avx512vl") &&
           __builtin_cpu_supports ("fma");
  switch (isa) {
  case CG_ISA_SSE2:
    return TRUE;
  case CG_ISA_AVX2:
    return __builtin_cpu_supports ("avx2") && __builtin_cpu_supports ("fma");
  case CG_ISA_AVX512:
  case CG_ISA_AVX512BF16_EMULATED:
    return avx512;
  case CG_ISA_AVX512BF16:
    return avx512 && __builtin_cpu_supports ("avx512bf16");
  }
  return FALSE;
}

const CgKernels *
cg_kernels_get (CgIsa isa, gboolean bf16)
{
  static const CgKernels *const plain[] = CG_ISA_TABLES (kernels);

  if (!bf16)
    return plain[cg_isa_plain (isa)];
  if (isa == CG_ISA_AVX512BF16)
    return &kernels_avx512bf16;
  if (isa == CG_ISA_AVX512BF16_EMULATED)
    return &kernels_avx512bf16_emulated;
  return NULL;
}

#else

static const char *const best_first[] = { "sse2", NULL };

gboolean
cg_isa_supported (CgIsa isa)
{
  return isa == CG_ISA_SSE2;
}

const CgKernels *
cg_kernels_get (CgIsa isa, gboolean bf16)
{
  static const CgKernels *const plain[] = CG_ISA_TABLES (kernels);

  return bf16 ? NULL : plain[CG_ISA_SSE2];
}

#endif

CgIsa
cg_isa_best (void)
{
  for (gint isa = CG_ISA_AVX512BF16; isa > CG_ISA_SSE2; isa--)
    if (cg_isa_supported (isa))
      return isa;
  return CG_ISA_SSE2;
}

const char *
cg_isa_name (CgIsa isa)
{
  return names[isa];
}

gboolean
cg_isa_from_name (const char *name, CgIsa *isa, GError **error)
{
  GString *supported;

  if (name == NULL) {
    *isa = cg_isa_best ();
    return TRUE;
  }
  for (guint i = 0; i < CG_ISA_COUNT; i++)
    if (strcmp (name, names[i]) == 0 && cg_isa_supported (i)) {
      *isa = i;
      return TRUE;
    }

  supported = g_string_new (NULL);
  for (guint i = 0; best_first[i] != NULL; i++)
    if (cg_cpu_isa_supported (best_first[i]))
      g_string_append_printf (supported, "%s%s", supported->len > 0 ? ", " : "", best_first[i]);
  g_set_error (error, CG_ERROR, CG_ERROR_UNSUPPORTED,
               "This CPU or this build has no instruction set \"%s\"; there are: %s", name,
               supported->str);
  g_string_free (supported, TRUE);
  return FALSE;
}

gboolean
cg_isa_has_bf16 (CgIsa isa)
{
  return isa == CG_ISA_AVX512BF16 || isa == CG_ISA_AVX512BF16_EMULATED;
}

/* Operations in a microsecond, or what was seen before if that was more. */
static gdouble
faster (CgPeak peak, gdouble before)
{
  guint operations;
  const CgPeakLoop loop = cg_peak_loop (peak, &operations);
  gint64 start = g_get_monotonic_time ();

  if (loop == NULL)
    return 0;
  loop (STEPS);
  return MAX (before, (gdouble)STEPS * operations / MAX (g_get_monotonic_time () - start, 1));
}

gboolean
cg_isa_bf16_pays (void)
{
  static gsize verdict; /* 1: no; 2: yes */

  if (g_once_init_enter (&verdict)) {
    gdouble fp32 = 0, bf16 = 0;

    for (guint i = 0; i < TURNS; i++) {
      fp32 = faster (CG_PEAK_FP32, fp32);
      bf16 = faster (CG_PEAK_BF16, bf16);
    }
    g_once_init_leave (&verdict, bf16 > LEAST_GAIN * fp32 ? 2 : 1);
  }
  return verdict == 2;
}

CgIsa
cg_isa_plain (CgIsa isa)
{
  return MIN (isa, CG_ISA_AVX512);
}

const char *const *
cg_cpu_isa_names (void)
{
  return best_first;
}

gboolean
cg_cpu_isa_supported (const char *isa)
{
  for (guint i = 0; i < CG_ISA_COUNT; i++)
    if (g_strcmp0 (isa, names[i]) == 0)
      return cg_isa_supported (i);
  return FALSE;
}

CgPrecision
cg_cpu_isa_precision (const char *isa)
{
  for (guint i = 0; i < CG_ISA_COUNT; i++)
    if (g_strcmp0 (isa, names[i]) == 0 && cg_isa_has_bf16 (i))
      return CG_PRECISION_BF16;
  return CG_PRECISION_FP32;
}
