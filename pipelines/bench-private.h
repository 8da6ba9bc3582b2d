/* What one benchmark finds: measured in bench.c, told in bench-report.c.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <json-glib/json-glib.h>

#include "bench-limits.h"
#include "model/cpu/cpu.h"

G_BEGIN_DECLS

/* The picture that preprocessing is measured with. */
#define PICTURE_WIDTH 1920
#define PICTURE_HEIGHT 1080
#define PICTURE_IMAGE 224

typedef struct {
  char **engines, **geometries, **precisions, **isas;
  char *model;
  gint threads, batch, rounds;
  gboolean no_peers, json;
} BenchOptions;

/* @own: our engine, else a peer in the child process. @missing: why it does not take part. */
typedef struct {
  gboolean own;
  char *name, *engine, *geometry, *precision, *isa, *version, *missing;
  gpointer backend;
  GArray *times; /* gdouble, ms for one window */
  CgCpuStages stages;
  float *features;
  gdouble flops, relative_error;
} Contestant;

typedef struct {
  const BenchOptions *options;
  guint threads;
  CgLimits limits;
  GPtrArray *contestants; /* of all geometries */
  GPtrArray *pictures;    /* Contestant, one for each instruction set: preprocessing */
  JsonArray *memory;
  gdouble small_16_resident; /* MB, NAN if not measured */
} Bench;

/** BenchSummary: of some times. bench_summarise: sorts @times, of gdouble, and takes ranks; NAN if there are none. */
typedef struct {
  gdouble min, median, p99;
} BenchSummary;
BenchSummary bench_summarise (GArray *times);

/** bench_print_table, bench_print_json: everything that was found, on standard output. */
void bench_print_table (const Bench *bench);
void bench_print_json (const Bench *bench);

G_END_DECLS
