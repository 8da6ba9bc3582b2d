/* Sizes that follow from a geometry: twins of cg_geometry_tokens() and its like (model/network.h), for the module does
 * not link model/.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "module.h"

static inline size_t
cg_cuda_tokens (const CgGeometry *g)
{
  const unsigned side = g->image / g->patch;

  return (size_t)(g->frames / g->tubelet) * side * side;
}

static inline size_t
cg_cuda_patch_values (const CgGeometry *g)
{
  return (size_t)g->tubelet * g->patch * g->patch * 3;
}

static inline unsigned
cg_cuda_total_labels (const CgGeometry *g)
{
  unsigned n = 0;

  for (unsigned level = 0; level < CG_LEVELS; level++)
    n += g->labels[level];
  return n;
}
