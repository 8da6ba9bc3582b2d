/* Chance that is a function: the same key and counter give the same number in every process, in any
 * order. Nothing of the drawn world is drawn by any other chance.
 *
 *   mix (z)        = splitmix64's finaliser (Steele, Lea, Flood 2014)
 *   hash (key, i)  = mix (key + (i + 1) * 0x9E3779B97F4A7C15)        modulo 2^64
 *   unit (key, i)  = (hash >> 11) / 2^53                             in [0, 1)
 *
 * All are pure and may be called from any thread.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/** cg_hash: 64 even bits of (@key, @i). Also derives a new key from an old one. */
static inline guint64
cg_hash (guint64 key, guint64 i)
{
  guint64 z = key + (i + 1) * G_GUINT64_CONSTANT (0x9E3779B97F4A7C15);

  z = (z ^ (z >> 30)) * G_GUINT64_CONSTANT (0xBF58476D1CE4E5B9);
  z = (z ^ (z >> 27)) * G_GUINT64_CONSTANT (0x94D049BB133111EB);
  return z ^ (z >> 31);
}

/** cg_hash_string: a key from @text (FNV-1a-64, then mixed). */
static inline guint64
cg_hash_string (const gchar *text)
{
  guint64 h = G_GUINT64_CONSTANT (0xCBF29CE484222325);

  for (; *text != '\0'; text++)
    h = (h ^ (guchar)*text) * G_GUINT64_CONSTANT (0x100000001B3);
  return cg_hash (h, 0);
}

/** cg_unit: in [0, 1). */
static inline gdouble
cg_unit (guint64 key, guint64 i)
{
  return (gdouble)(cg_hash (key, i) >> 11) / 9007199254740992.0;
}

/** cg_range: in [@low, @high). */
static inline gdouble
cg_range (guint64 key, guint64 i, gdouble low, gdouble high)
{
  return low + (high - low) * cg_unit (key, i);
}

/** cg_pick: in 0 .. @n - 1; 0 if @n is 0. */
static inline guint
cg_pick (guint64 key, guint64 i, guint n)
{
  return n == 0 ? 0 : (guint)(cg_unit (key, i) * n);
}

/** cg_chance: TRUE with probability @p. */
static inline gboolean
cg_chance (guint64 key, guint64 i, gdouble p)
{
  return cg_unit (key, i) < p;
}

G_END_DECLS
