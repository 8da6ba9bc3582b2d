/* `cityguessr bench --engine cuda`: the CUDA engine on this machine's first GPU, by the GPU's own clock.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "bench-private.h"

G_BEGIN_DECLS

/** BenchCudaScale: @width, @height: of the pictures; @streams: of live videos. */
typedef struct {
  guint width, height, streams;
} BenchCudaScale;

/** cg_bench_cuda: of @options, geometries, model, precisions, batch, rounds and json count. Prints a table, or JSON:
 *   { "results":    [ { geometry, engine, batch, repeats, median_ms, p99_ms, min_ms, windows_per_s } ],
 *     "pictures":   [ { geometry, from, width, height, image, median_us, p99_us, min_us } ],
 *     "end_to_end": [ { geometry, engine, median_ms, p99_ms, min_ms } ],
 *     "live":       [ { geometry, engine, streams, seconds, pictures, windows, share } ],
 *     "errors":     [ { geometry, engine, relative_error } ],
 *     "error":      what ended it early, if anything did; what was measured before is there }
 * results: CUDA events around one batch, from sample pointers to outputs in host memory. Every input is random, four sets
 * of them in turn, and each is measured "repeats" times after a tenth of that to warm up.
 * pictures: one NV12 picture, of the size of the one before, to a model frame: "device" (events; it lies in the engine's
 * context), "device-in-a-row" (the mean of 20 of them between two events), "device-apart" (events; it lies in a context of
 * its own, and is copied first), "system" (by the host's clock, until the call returns).
 * end_to_end: by the host's clock, from the last picture of a window, in the GPU's memory, to the answer. Between
 * them the model frame is fetched, by which a shot is told, as for each picture of live.
 * live: what @streams live videos, in the GPU's memory, want done in @seconds of theirs, a window every two samples,
 * is done at once and by itself; share is the part of these seconds that it takes, waits of the host included.
 * relative_error: L2, of the features, against the CPU engine in fp32.
 * Returns an exit status: 1 if it ended early or there is no GPU, which is told on standard error. */
int cg_bench_cuda (const BenchOptions *options, const BenchCudaScale *scale);

G_END_DECLS
