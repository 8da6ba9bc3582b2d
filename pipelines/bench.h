/* `cityguessr bench`: measures the engines, the machine's own limits and installed peers, side by side.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

/** cg_bench_main: the whole subcommand; @argv[0] is its name. Prints a table, or JSON with --json:
 *   { "machine": { cpu, cpus, threads, isas },
 *     "limits":  { fp32_gflops, bf16_gflops, int8_gops },            null where the CPU has no such instruction
 *     "results": [ { engine, geometry, precision, isa, threads, batch, rounds, min_ms, median_ms, p99_ms,
 *                    gflops, percent_of_limit, ratio_to_best_peer, relative_error, stages_ms }, ... ],
 *     "peers":   [ the same without isa, with name and version, or { name, geometry, missing } ],
 *     "preprocess": [ { format, width, height, image, isa, min_ms, median_ms, p99_ms } ],
 *     "memory":  [ { geometry, precision, resident_mb } ],
 *     "bars":    [ { bar, found, limit, verdict } ] }                reached, missed, or why it can't be shown here
 * With --engine cuda: see bench-cuda.h. Times are milliseconds for one window. percent_of_limit: the time the machine's peak loops would need for the
 * network's matrix products, by the median. relative_error: L2, of the features, against fp32 by the same engine
 * (peers: by PyTorch). Returns an exit status. */
int cg_bench_main (int argc, char **argv);
