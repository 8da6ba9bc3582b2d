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
 * first; uniform numbers of half-width s have standard deviation s / sqrt 3). Lively on purpose, measured
 * on "small-16" with seed 1: the scores of a query have a standard deviation between 2 and 1.4 (it falls
 * with depth), so that 50 to 250 of 1568 tokens carry it; logits spread over some eight units over the
 * cities and four over the windows, and different windows have different most probable cities.
 *   *.norm{1,2}.weight           mean 1, scale 0.25       every name that ends in "bias"    mean 0, scale 0.1
 *   patch_embed.weight           12 * sqrt (3/n)
 *   blocks.N.attn.qkv.weight     rows of q and k: 2 * sqrt (3/n); rows of v: sqrt (3/n)
 *   blocks.N.attn.proj.weight    0.7 * sqrt (3/n)
 *   blocks.N.mlp.fc1.weight      sqrt (3/n)               blocks.N.mlp.fc2.weight   sqrt (3/n)
 *   heads.*.weight               2 * sqrt (3/n)
 *   sca.*.weight                 0.7 * sqrt (3/n)         scene.*, text.*.weight    1.4 * sqrt (3/n)
 *
 * Frames (bytes [image][image][3], RGB) of window w, sample s, pixel row y, column x, channel c:
 *   level = draw (key (seed, "tint"), 3 w + c) >> 56                      0..255, one for each window and channel
 *   tint  = 15 + level * level * 240 / 65025                              mostly dark, now and then bright
 *   block = draw (key (seed, "block"), ((8 w + s/4) 4096 + 64 (y/32) + x/32) 3 + c) >> 56
 *   noise = draw (key (seed, "noise"), (((16 w + s) image + y) image + x) 3 + c) >> 59
 *   value = block * tint / 290 + noise                                    at most 224 + 31
 * Divisions are of integers. For s >= 16 noise and for s >= 32 blocks are also those of a later window: allowed.
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
