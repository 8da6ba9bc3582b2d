/* What is drawn by chance, by the hash of model/hash.h: a function of (key, counter). Nothing of the drawn world is drawn
 * by any other chance.
 *
 *   unit (key, i) = (hash (key, i) >> 11) / 2^53        in [0, 1)
 *
 * All are pure and may be called from any thread.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "model/hash.h"

G_BEGIN_DECLS

/** cg_hash_string: a key from @text. */
static inline guint64
cg_hash_string (const gchar *text)
{
  return cg_hash (cg_fnv (text), 0);
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
