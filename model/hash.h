/* Chance that is a function: the same key and counter give the same number in every process, in any
 * order.
 *
 *   mix (z)      = splitmix64's finaliser (Steele, Lea, Flood 2014)
 *   hash (key, i) = mix (key + (i + 1) * 0x9E3779B97F4A7C15)        modulo 2^64
 *
 * All are pure and may be called from any thread.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/** cg_mix: 64 even bits of @z, each of which depends on all of it. */
static inline guint64
cg_mix (guint64 z)
{
  z = (z ^ (z >> 30)) * G_GUINT64_CONSTANT (0xBF58476D1CE4E5B9);
  z = (z ^ (z >> 27)) * G_GUINT64_CONSTANT (0x94D049BB133111EB);
  return z ^ (z >> 31);
}

/** cg_hash: 64 even bits of (@key, @i). Also derives a new key from an old one. */
static inline guint64
cg_hash (guint64 key, guint64 i)
{
  return cg_mix (key + (i + 1) * G_GUINT64_CONSTANT (0x9E3779B97F4A7C15));
}

/** cg_fnv: FNV-1a-64 of @text: wants mixing before it is even. */
static inline guint64
cg_fnv (const gchar *text)
{
  guint64 h = G_GUINT64_CONSTANT (0xCBF29CE484222325);

  for (; *text != '\0'; text++)
    h = (h ^ (guchar)*text) * G_GUINT64_CONSTANT (0x100000001B3);
  return h;
}

G_END_DECLS
