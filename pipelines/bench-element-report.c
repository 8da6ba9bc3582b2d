/* What a benchmark of the element found, as a table and as JSON.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include <gst/gst.h>
#include <json-glib/json-glib.h>
#include <math.h>

#include "bench-element-private.h"
#include "machine.h"

static void
result_free (gpointer data)
{
  ElementResult *result = data;

  g_free (result->what);
  g_array_unref (result->values);
  g_free (result);
}

static void
bar_free (gpointer data)
{
  ElementBar *bar = data;

  g_free (bar->bar);
  g_free (bar->why_not);
  g_free (bar);
}

void
element_bench_init (ElementBench *run)
{
  *run = (ElementBench){ .results = g_ptr_array_new_with_free_func (result_free),
                         .bars = g_ptr_array_new_with_free_func (bar_free) };
}

void
element_bench_clear (ElementBench *run)
{
  g_ptr_array_unref (run->results);
  g_ptr_array_unref (run->bars);
  g_strfreev (run->options.only);
}

GArray *
element_bench_add_result (ElementBench *run, const char *measure, const char *what,
                          const char *unit)
{
  ElementResult *result = g_new0 (ElementResult, 1);

  *result = (ElementResult){ measure, unit, g_strdup (what),
                             g_array_new (FALSE, FALSE, sizeof (gdouble)) };
  g_ptr_array_add (run->results, result);
  return result->values;
}

void
element_bench_add_bar (ElementBench *run, const char *name, gdouble found, gboolean at_least,
                       gdouble limit, const char *why_not)
{
  ElementBar *bar = g_new0 (ElementBar, 1);

  *bar =
      (ElementBar){ g_strdup (name), g_strdup (why_not), why_not ? NAN : found, limit, at_least };
  g_ptr_array_add (run->bars, bar);
}

/* ---- numbers ---- */

static int
compare_doubles (gconstpointer a, gconstpointer b)
{
  gdouble x = *(const gdouble *)a, y = *(const gdouble *)b;

  return (x > y) - (x < y);
}

gdouble
element_bench_rank (GArray *values, gdouble part)
{
  if (values->len == 0)
    return NAN;
  g_array_sort (values, compare_doubles);
  return g_array_index (values, gdouble, (guint)MAX (ceil (part * values->len) - 1, 0));
}

void
element_bench_append (GArray *values, gdouble value)
{
  g_array_append_val (values, value);
}

/* ---- what was found ---- */

static const char *
verdict_of (const ElementBar *bar)
{
  if (bar->why_not != NULL)
    return bar->why_not;
  if (!isfinite (bar->found))
    return "not measured in this run";
  return (bar->at_least ? bar->found >= bar->limit : bar->found <= bar->limit) ? "reached"
                                                                               : "missed";
}

void
element_bench_print_table (const ElementBench *run)
{
  g_autofree char *cpu = machine_cpu_name (), *gstreamer = gst_version_string ();

  g_print ("%s, %u CPUs, %s; %d rounds\n\n", cpu, g_get_num_processors (), gstreamer,
           run->options.rounds);
  g_print ("%-8s %-74s %9s %9s %9s %6s\n", "measure", "", "min", "median", "p99", "n");
  for (guint i = 0; i < run->results->len; i++) {
    const ElementResult *r = run->results->pdata[i];
    g_autofree char *what = g_strdup_printf ("%s%s%s", r->what, *r->unit ? ", " : "", r->unit);
    g_print ("%-8s %-74s %9.2f %9.2f %9.2f %6u\n", r->measure, what,
             element_bench_rank (r->values, 0), element_bench_rank (r->values, 0.5),
             element_bench_rank (r->values, 0.99), r->values->len);
  }
  g_print ("\nbars\n");
  for (guint i = 0; i < run->bars->len; i++) {
    const ElementBar *b = run->bars->pdata[i];
    g_print ("  %-72s ", b->bar);
    if (isfinite (b->found))
      g_print ("%8.3f", b->found);
    else
      g_print ("%8s", "-");
    g_print ("  at %s %-6g %s\n", b->at_least ? "least" : "most", b->limit, verdict_of (b));
  }
}

static void
add_number (JsonBuilder *builder, const char *name, gdouble value)
{
  json_builder_set_member_name (builder, name);
  if (isfinite (value))
    json_builder_add_double_value (builder, value);
  else
    json_builder_add_null_value (builder);
}

static void
add_text (JsonBuilder *builder, const char *name, const char *value)
{
  json_builder_set_member_name (builder, name);
  json_builder_add_string_value (builder, value);
}

static void
build_results (JsonBuilder *b, const ElementBench *run)
{
  json_builder_set_member_name (b, "results");
  json_builder_begin_array (b);
  for (guint i = 0; i < run->results->len; i++) {
    const ElementResult *r = run->results->pdata[i];
    json_builder_begin_object (b);
    add_text (b, "measure", r->measure);
    add_text (b, "what", r->what);
    add_text (b, "unit", r->unit);
    add_number (b, "n", r->values->len);
    add_number (b, "min", element_bench_rank (r->values, 0));
    add_number (b, "median", element_bench_rank (r->values, 0.5));
    add_number (b, "p99", element_bench_rank (r->values, 0.99));
    json_builder_end_object (b);
  }
  json_builder_end_array (b);
}

static void
build_bars (JsonBuilder *b, const ElementBench *run)
{
  json_builder_set_member_name (b, "bars");
  json_builder_begin_array (b);
  for (guint i = 0; i < run->bars->len; i++) {
    const ElementBar *bar = run->bars->pdata[i];
    json_builder_begin_object (b);
    add_text (b, "bar", bar->bar);
    add_number (b, "found", bar->found);
    add_number (b, "limit", bar->limit);
    json_builder_set_member_name (b, "at_least");
    json_builder_add_boolean_value (b, bar->at_least);
    add_text (b, "verdict", verdict_of (bar));
    json_builder_end_object (b);
  }
  json_builder_end_array (b);
}

void
element_bench_print_json (const ElementBench *run)
{
  g_autoptr (JsonBuilder) b = json_builder_new ();
  g_autoptr (JsonNode) root = NULL;
  g_autofree char *cpu = machine_cpu_name (), *gstreamer = gst_version_string (), *text = NULL;

  json_builder_begin_object (b);
  json_builder_set_member_name (b, "machine");
  json_builder_begin_object (b);
  add_text (b, "cpu", cpu);
  add_number (b, "cpus", g_get_num_processors ());
  add_text (b, "gstreamer", gstreamer);
  json_builder_end_object (b);
  build_results (b, run);
  build_bars (b, run);
  json_builder_end_object (b);
  root = json_builder_get_root (b);
  text = json_to_string (root, TRUE);
  g_print ("%s\n", text);
}
