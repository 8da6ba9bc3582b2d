/* Weights and frames from a counter: the same numbers in C and in Python
 * (model/training/cityguessr/generate.py), so that tests need no large files.
 *
 *   mix (z)            = splitmix64's finaliser: z ^= z >> 30; z *= 0xBF58476D1CE4E5B9; z ^= z >> 27;
 *                        z *= 0x94D049BB133111EB; z ^= z >> 31                    (Steele, Lea, Flood 2014)
 *   key (seed, name)   = FNV-1a-64 (name) ^ mix (seed)
 *   draw (key, i)      = mix (key + (i + 1) * 0x9E3779B97F4A7C15)                 all modulo 2^64
 *   unit (key, i)      = (2 * ((draw >> 40) - 2^23) + 1) / 2^24                   in (-1, 1), exact in float
 *   weight i of tensor = (float) (mean + scale * unit (key (seed, tensor name), i))   double, rounded once
 *
 * Mean and scale by tensor (n = number of inputs of the layer: the product of all extents but the
 * first; uniform numbers of half-width s have standard deviation s / sqrt 3). Lively on purpose:
 * scores of attention have a standard deviation near 2 (some 30 of 1568 tokens carry a query), and
 * logits spread over several units.
 *   *.norm{1,2}.weight           mean 1, scale 0.3        every *bias       mean 0, scale 0.1
 *   patch_embed.weight           4 sqrt (3/n)
 *   blocks.N.attn.qkv.weight     rows of q and k: sqrt (2) sqrt (3/n); rows of v: sqrt (3/n)
 *   blocks.N.attn.proj.weight    0.7 sqrt (3/n)
 *   blocks.N.mlp.fc1.weight      sqrt (3/n)               blocks.N.mlp.fc2.weight   sqrt (3/n)
 *   heads.*.weight               4 sqrt (3/n)
 *   sca.*.weight                 0.7 sqrt (3/n)           scene.*, text.*.weight    1.4 sqrt (3/n)
 *
 * Frames (bytes [image][image][3], RGB) of window w, sample s, pixel row y, column x, channel c:
 *   tint  = 64 + 3 (draw (key (seed, "tint"), 3 w + c) >> 56) / 4
 *   block = draw (key (seed, "block"), ((8 w + s/4) 4096 + 64 (y/32) + x/32) 3 + c) >> 56
 *   noise = draw (key (seed, "noise"), (((16 w + s) image + y) image + x) 3 + c) >> 59
 *   value = block * tint / 288 + noise             integer divisions; at most 225 + 31
 *   (for s >= 16 the counters run on into the next window's: allowed)
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "network.h"

G_BEGIN_DECLS

/** cg_generate_weights: fills every tensor of @network. */
void cg_generate_weights (CgNetwork *network, guint64 seed);

/** cg_generate_frame: one model-size frame, @out [image][image][3]. */
void cg_generate_frame (guint64 seed, guint64 window, guint sample, guint image, guint8 *out);

/** cg_generate_key, cg_generate_draw: the two steps, for tests that need numbers. */
guint64 cg_generate_key (guint64 seed, const char *name);
guint64 cg_generate_draw (guint64 key, guint64 i);

G_END_DECLS
