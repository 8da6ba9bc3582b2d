/* What tests of kernels allocate and compare: "device" memory of exactly the size asked for, so that the
 * address sanitizer sees the first byte outside it, filled with rubbish.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <stdlib.h>

#include "cuda/kernels.h"
#include "emulator/emulator.h"
#include "fake/numbers.h"

#define DEVICE_ALIGNMENT 256 /* cudaMalloc's */

static inline void *
device_new (gsize size)
{
  void *memory = NULL;

  g_assert_cmpint (posix_memalign (&memory, DEVICE_ALIGNMENT, MAX (size, 1)), ==, 0);
  memset (memory, 0xa5, size);
  return memory;
}

typedef void Device;
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Device, free)

static inline Device *
device_copy (const void *data, gsize size)
{
  return memcpy (device_new (size), data, size);
}

/* ---- numbers ---- */

static inline gsize
type_size (CgCudaType type)
{
  return fake_size ((FakeType)type);
}

static inline gdouble
get (CgCudaType type, const void *values, gsize i)
{
  return fake_load ((FakeType)type, values, (gint64)i);
}

static inline void
put (CgCudaType type, void *values, gsize i, gdouble value)
{
  fake_store ((FakeType)type, values, (gint64)i, value);
}

static inline const char *
type_name (CgCudaType type)
{
  static const char *const names[] = { "fp32", "fp16", "bf16" };
  return names[type];
}

/* Half a unit in the last place of @value as @type. */
static inline gdouble
half_unit (CgCudaType type, gdouble value)
{
  static const gint bits[] = { 24, 11, 8 }, smallest[] = { -149, -24, -133 };
  gint exponent = 0;

  frexp (value, &exponent);
  return ldexp (0.5, MAX (exponent - bits[type], smallest[type]));
}

/* A normal number, nearly: the sum of twelve uniform ones. */
static inline float
draw (GRand *random, gdouble mean, gdouble deviation)
{
  gdouble sum = -6;

  for (gint i = 0; i < 12; i++)
    sum += g_rand_double (random);
  return (float)(mean + deviation * sum);
}

/* ---- running ---- */

static inline void
check_success (cudaError_t result, const char *what)
{
  if (result != cudaSuccess)
    g_error ("%s gave error %d: %s", what, (gint)result, cg_emulator_error ());
}

/* Runs @call forwards and backwards: @output, restored in between, must be the same to the last bit. */
#define RUN(call, output, size)                                  \
  G_STMT_START                                                   \
  {                                                              \
    g_autoptr (Device) before_ = device_copy ((output), (size)); \
    g_autoptr (Device) forwards_ = NULL;                         \
    check_success ((call), #call);                               \
    forwards_ = device_copy ((output), (size));                  \
    memcpy ((output), before_, (size));                          \
    cg_emulator_set_backwards (TRUE);                            \
    check_success ((call), #call);                               \
    cg_emulator_set_backwards (FALSE);                           \
    if (memcmp ((output), forwards_, (size)) != 0)               \
      g_error ("%s depends on the order of threads", #call);     \
  }                                                              \
  G_STMT_END
