/* What `cityguessr bench-element` finds: measured in bench-element.c, kept and told in bench-element-report.c.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

typedef struct {
  char **only;
  gint rounds, streams;
  gboolean json;
} ElementBenchOptions;

/* One row of the table. @values: gdouble. */
typedef struct {
  const char *measure, *unit;
  char *what;
  GArray *values; /* gdouble */
} ElementResult;

/* @why_not: why this run cannot show it, or NULL. @at_least: whether @limit is the least, not the most. */
typedef struct {
  char *bar, *why_not;
  gdouble found, limit;
  gboolean at_least;
} ElementBar;

typedef struct {
  ElementBenchOptions options;
  GPtrArray *results, *bars; /* ElementResult, ElementBar */
} ElementBench;

/** element_bench_init, _clear: no results yet; frees them and the options. */
void element_bench_init (ElementBench *run);
void element_bench_clear (ElementBench *run);

/** element_bench_add_result: a new row. Returns: (transfer none): its values, gdouble, to be appended to. */
GArray *element_bench_add_result (ElementBench *run, const char *measure, const char *what,
                                  const char *unit);

/** element_bench_add_bar: @found is held against @limit. @why_not: why that can't be done in this run, or NULL. */
void element_bench_add_bar (ElementBench *run, const char *name, gdouble found, gboolean at_least,
                            gdouble limit, const char *why_not);

/** element_bench_rank: the @part-th (0..1) of @values (gdouble) by nearest rank; NAN of none. Sorts. */
gdouble element_bench_rank (GArray *values, gdouble part);

/** element_bench_append: one gdouble to @values. */
void element_bench_append (GArray *values, gdouble value);

/** element_bench_print_table, element_bench_print_json: everything that was found, on standard output. */
void element_bench_print_table (const ElementBench *run);
void element_bench_print_json (const ElementBench *run);

G_END_DECLS
