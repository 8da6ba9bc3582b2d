/* Numbers as the GPU stores them.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <glib.h>
#include <math.h>
#include <string.h>

typedef enum { FAKE_FP32, FAKE_FP16, FAKE_BF16, FAKE_OTHER } FakeType;

static inline gsize
fake_size (FakeType type)
{
  return type == FAKE_FP32 ? 4 : 2;
}

/* Rounds @value's mantissa to @bits (with the leading one), to nearest, ties to even. */
static inline gdouble
fake_round_bits (gdouble value, gint bits, gint smallest_exponent)
{
  gint exponent;
  if (value == 0 || !isfinite (value))
    return value;
  frexp (value, &exponent);
  const gint unit = MAX (exponent - bits, smallest_exponent);
  return ldexp (rint (ldexp (value, -unit)), unit);
}

static inline gdouble
fake_round (FakeType type, gdouble value)
{
  switch (type) {
  case FAKE_FP16:
    value = fake_round_bits (value, 11, -24);
    return fabs (value) > 65504 ? copysign (INFINITY, value) : value;
  case FAKE_BF16:
    return (float)fake_round_bits (value, 8, -133);
  default:
    return (float)value;
  }
}

/* What tensor cores keep of a float without asking: ten bits. */
static inline gdouble
fake_tf32 (gdouble value)
{
  return fake_round_bits (value, 11, -136);
}

static inline gdouble
fake_load (FakeType type, const void *base, gint64 index)
{
  if (type == FAKE_FP32) {
    float f;
    memcpy (&f, (const guint8 *)base + 4 * index, 4);
    return f;
  }
  guint16 bits;
  memcpy (&bits, (const guint8 *)base + 2 * index, 2);
  if (type == FAKE_BF16) {
    const guint32 wide = (guint32)bits << 16;
    float f;
    memcpy (&f, &wide, 4);
    return f;
  }
  const gint exponent = (bits >> 10) & 31, mantissa = bits & 1023;
  const gdouble magnitude = exponent == 31  ? (mantissa ? (gdouble)NAN : (gdouble)INFINITY)
                            : exponent == 0 ? ldexp (mantissa, -24)
                                            : ldexp (1024 + mantissa, exponent - 25);
  return bits & 0x8000 ? -magnitude : magnitude;
}

static inline void
fake_store (FakeType type, void *base, gint64 index, gdouble value)
{
  value = fake_round (type, value);
  if (type != FAKE_FP16) {
    const float f = (float)value;
    guint32 wide;
    memcpy (&wide, &f, 4);
    if (type == FAKE_FP32)
      memcpy ((guint8 *)base + 4 * index, &wide, 4);
    else {
      const guint16 bits = isnan (value) ? 0x7FFF : (guint16)(wide >> 16);
      memcpy ((guint8 *)base + 2 * index, &bits, 2);
    }
    return;
  }
  guint16 bits = signbit (value) ? 0x8000 : 0;
  const gdouble magnitude = fabs (value);
  if (isnan (value))
    bits = 0x7FFF;
  else if (isinf (value))
    bits |= 0x7C00;
  else if (magnitude < ldexp (1, -14))
    bits |= (guint16)ldexp (magnitude, 24);
  else {
    gint exponent;
    const gdouble fraction = frexp (magnitude, &exponent); /* 0.5 .. 1 */
    bits |= (guint16)((exponent + 14) << 10) | ((guint16)ldexp (fraction, 11) & 1023);
  }
  memcpy ((guint8 *)base + 2 * index, &bits, 2);
}
