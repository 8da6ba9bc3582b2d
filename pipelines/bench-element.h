/* `cityguessr bench-element`: measures the element in running pipelines, side by side with what it is held against.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/** cg_bench_element_main: the whole subcommand; @argv[0] is its name. It alone initialises GStreamer, which must find
 * the element. Prints a table, or JSON with --json:
 *   { "machine": { cpu, cpus, gstreamer },
 *     "results": [ { measure, what, unit, n, min, median, p99 }, ... ],
 *     "bars":    [ { bar, found, limit, at_least, verdict }, ... ] }       reached, missed, or why it can't be shown
 * Percentiles are by nearest rank; a value that was measured once is all three. Returns an exit status: 0 also if a
 * bar is missed, 1 if it could not be measured, 2 if it was called wrongly. */
int cg_bench_element_main (int argc, char **argv);

G_END_DECLS
