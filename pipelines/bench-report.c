/* What a benchmark found, as a table and as JSON.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include <math.h>
#include <string.h>

#include "bench-private.h"
#include "machine.h"

/* ---- numbers ---- */

static int
compare_doubles (gconstpointer a, gconstpointer b)
{
  gdouble x = *(const gdouble *)a, y = *(const gdouble *)b;

  return (x > y) - (x < y);
}

/* By nearest rank; @times is sorted. */
BenchSummary
bench_summarise (GArray *times)
{
  const guint n = times->len;

  if (n == 0)
    return (BenchSummary){ NAN, NAN, NAN };
  g_array_sort (times, compare_doubles);
  return (BenchSummary){ g_array_index (times, gdouble, 0),
                         g_array_index (times, gdouble, (n - 1) / 2),
                         g_array_index (times, gdouble, (guint)ceil (0.99 * n) - 1) };
}

/* Of those that were measured, the lowest median that fits; NULL for @engine: any peer. */
static const Contestant *
find_best (const Bench *bench, gboolean own, const char *engine, const char *geometry,
           const char *precision)
{
  const Contestant *best = NULL;

  for (guint i = 0; i < bench->contestants->len; i++) {
    const Contestant *c = bench->contestants->pdata[i];
    if (c->own != own || c->times->len == 0 || !g_str_equal (c->geometry, geometry) ||
        !g_str_equal (c->precision, precision) ||
        (engine != NULL && !g_str_equal (c->engine, engine)) ||
        (own && g_str_has_suffix (c->isa, "-emulated")))
      continue;
    if (best == NULL || bench_summarise (c->times).median < bench_summarise (best->times).median)
      best = c;
  }
  return best;
}

static gdouble
limit_of (const Bench *bench, const char *precision)
{
  gdouble limit = g_str_equal (precision, "bf16") ? bench->limits.bf16 : bench->limits.fp32;

  return limit > 0 ? limit : NAN;
}

/* How many times as long as the peak loops would need; NAN where there is no such loop. */
static gdouble
times_limit (const Bench *bench, const Contestant *c)
{
  return bench_summarise (c->times).median / (c->flops / limit_of (bench, c->precision) / 1e6);
}

static gdouble
ratio_to_best_peer (const Bench *bench, const Contestant *c)
{
  const Contestant *peer = find_best (bench, FALSE, NULL, c->geometry, c->precision);

  return peer ? bench_summarise (c->times).median / bench_summarise (peer->times).median : NAN;
}

typedef enum { AGAINST_OPENVINO, AGAINST_BEST_PEER, AGAINST_LIMIT } Against;

static const struct {
  const char *geometry, *precision;
  Against against;
  gdouble most;
} speed_bars[] = {
  { "small-16", "bf16", AGAINST_OPENVINO, 0.75 },  { "small-16", "bf16", AGAINST_LIMIT, 1.5 },
  { "small-6", "bf16", AGAINST_OPENVINO, 0.90 },   { "small-6", "bf16", AGAINST_LIMIT, 1.35 },
  { "small-16", "fp32", AGAINST_BEST_PEER, 0.95 }, { "small-6", "fp32", AGAINST_BEST_PEER, 0.95 },
  { "base", "bf16", AGAINST_OPENVINO, 0.90 },
};

typedef void (*BarFunc) (gpointer data, const char *bar, gdouble found, gdouble most,
                         const char *verdict);

static void
judge (BarFunc func, gpointer data, const char *bar, gdouble found, gdouble most,
       const char *why_not)
{
  const char *verdict = why_not != NULL     ? why_not
                        : !isfinite (found) ? "not measured in this run"
                        : found <= most     ? "reached"
                                            : "missed";

  func (data, bar, why_not ? NAN : found, most, verdict);
}

/* Calls @func for every bar: reached, missed, or why this run can't show it. */
static void
for_each_bar (const Bench *bench, BarFunc func, gpointer data)
{
  static const char *const against_names[] = { "openvino", "the best peer", "the machine's limit" };
  const Contestant *picture = NULL;

  for (guint i = 0; i < G_N_ELEMENTS (speed_bars); i++) {
    const char *geometry = speed_bars[i].geometry, *precision = speed_bars[i].precision;
    const Against against = speed_bars[i].against;
    const Contestant *own = find_best (bench, TRUE, NULL, geometry, precision);
    const Contestant *peer = find_best (
        bench, FALSE, against == AGAINST_OPENVINO ? "openvino" : NULL, geometry, precision);
    g_autofree char *bar =
        g_strdup_printf ("%s %s, times of %s", geometry, precision, against_names[against]);
    const char *why_not = NULL;
    gdouble found = NAN;

    if (g_str_equal (precision, "bf16") && bench->limits.bf16 <= 0)
      why_not = "cannot be shown here: this CPU does not compute in bf16";
    else if (bench->threads != 2 || bench->options->batch != 1)
      why_not = "cannot be shown in this run: it is for --threads=2 --batch=1";
    else if (own == NULL)
      why_not = "not measured in this run";
    else if (against == AGAINST_LIMIT)
      found = times_limit (bench, own);
    else if (peer == NULL)
      why_not = "cannot be shown here: the peer was not measured";
    else
      found = bench_summarise (own->times).median / bench_summarise (peer->times).median;
    judge (func, data, bar, found, speed_bars[i].most, why_not);
  }

  for (guint i = 0; i < bench->pictures->len; i++) {
    const Contestant *c = bench->pictures->pdata[i];
    if (picture == NULL ||
        bench_summarise (c->times).median < bench_summarise (picture->times).median)
      picture = c;
  }
  judge (func, data, "1080p NV12 to a model frame on one core, ms",
         picture ? bench_summarise (picture->times).median : NAN, 1.0, NULL);
  judge (func, data, "small-16 bf16, engine and one stream, resident MB", bench->small_16_resident,
         200,
         bench->limits.bf16 > 0 ? NULL : "cannot be shown here: this CPU does not compute in bf16");
}

/* ---- as a table ---- */

/* A number, or a dash if there is none. */
static const char *
cell (char text[16], const char *format, gdouble value)
{
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
  if (isfinite (value))
    g_snprintf (text, 16, format, value);
  else
    g_strlcpy (text, "-", 16);
#pragma GCC diagnostic pop
  return text;
}

static void
print_bar (gpointer data, const char *bar, gdouble found, gdouble most, const char *verdict)
{
  char text[16];

  g_print ("  %-52s %8s  at most %-6g %s\n", bar, cell (text, "%.2f", found), most, verdict);
}

static void
print_contestant (const Bench *bench, const Contestant *c)
{
  const BenchSummary s = bench_summarise (c->times);
  const char *isa = c->isa ? c->isa : "";
  char text[6][16];

  if (c->missing != NULL) {
    g_print ("  %-24s %-20s not measured: %s\n", c->name, isa, c->missing);
    return;
  }
  g_print ("  %-5s %-24s %8.1f %8.1f %8.1f %8.1f %6s %6s %9s\n", c->own ? "ours" : "peer", c->name,
           s.min, s.median, s.p99, c->flops / s.median / 1e6,
           cell (text[0], "%.0f%%", 100 / times_limit (bench, c)),
           cell (text[1], "%.2f", c->own ? ratio_to_best_peer (bench, c) : NAN),
           cell (text[2], "%.1e", c->relative_error));
  if (c->own) {
    const gdouble n = c->times->len * bench->options->batch * 1000.0;
    g_print ("        stages, ms: embed %.1f, attention %.1f, rows %.1f, heads %.1f\n",
             c->stages.embed / n, c->stages.attention / n, c->stages.rows / n, c->stages.heads / n);
  }
}

void
bench_print_table (const Bench *bench)
{
  g_autofree char *cpu = machine_cpu_name ();
  const char *geometry = "";
  char text[3][16];

  g_print ("%s, %u CPUs; %u thread%s, batch %d, %d rounds. Times in ms for one window.\n", cpu,
           g_get_num_processors (), bench->threads, bench->threads == 1 ? "" : "s",
           bench->options->batch, bench->options->rounds);
  g_print ("limits of these threads: fp32 %s GFLOP/s, bf16 %s GFLOP/s, int8 %s GOP/s\n",
           cell (text[0], "%.0f", bench->limits.fp32 > 0 ? bench->limits.fp32 : NAN),
           cell (text[1], "%.0f", bench->limits.bf16 > 0 ? bench->limits.bf16 : NAN),
           cell (text[2], "%.0f", bench->limits.int8 > 0 ? bench->limits.int8 : NAN));
  for (guint i = 0; i < bench->contestants->len; i++) {
    const Contestant *c = bench->contestants->pdata[i];
    if (!g_str_equal (c->geometry, geometry)) {
      geometry = c->geometry;
      g_print ("\n%-32s %8s %8s %8s %8s %6s %6s %9s\n", geometry, "min", "median", "p99", "GFLOP/s",
               "limit", "peer", "error");
    }
    print_contestant (bench, c);
  }
  if (bench->pictures->len > 0)
    g_print ("\n%-32s %8s %8s %8s\n", "1080p NV12 to 224x224, one core", "min", "median", "p99");
  for (guint i = 0; i < bench->pictures->len; i++) {
    const Contestant *c = bench->pictures->pdata[i];
    const BenchSummary s = bench_summarise (c->times);
    g_print ("  %-30s %8.2f %8.2f %8.2f\n", c->name, s.min, s.median, s.p99);
  }
  for (guint i = 0; i < json_array_get_length (bench->memory); i++) {
    JsonObject *entry = json_array_get_object_element (bench->memory, i);
    g_print ("\nmemory, engine and one stream: %s, %s: %.0f MB resident\n",
             json_object_get_string_member (entry, "geometry"),
             json_object_get_string_member (entry, "engine"),
             json_object_get_double_member_with_default (entry, "resident_mb", NAN));
  }
  g_print ("\nbars\n");
  for_each_bar (bench, print_bar, NULL);
}

/* ---- as JSON ---- */

static void
set_number (JsonObject *object, const char *name, gdouble value)
{
  if (isfinite (value))
    json_object_set_double_member (object, name, value);
  else
    json_object_set_null_member (object, name);
}

static void
set_times (JsonObject *object, GArray *times)
{
  const BenchSummary s = bench_summarise (times);

  set_number (object, "min_ms", s.min);
  set_number (object, "median_ms", s.median);
  set_number (object, "p99_ms", s.p99);
}

static JsonObject *
contestant_to_json (const Bench *bench, const Contestant *c)
{
  JsonObject *o = json_object_new ();

  json_object_set_string_member (o, "name", c->name);
  json_object_set_string_member (o, "engine", c->engine);
  json_object_set_string_member (o, "geometry", c->geometry);
  json_object_set_string_member (o, "precision", c->precision);
  if (c->missing != NULL) {
    json_object_set_string_member (o, "missing", c->missing);
    return o;
  }
  json_object_set_int_member (o, "threads", bench->threads);
  json_object_set_int_member (o, "batch", bench->options->batch);
  json_object_set_int_member (o, "rounds", c->times->len);
  set_times (o, c->times);
  set_number (o, "gflops", c->flops / bench_summarise (c->times).median / 1e6);
  set_number (o, "percent_of_limit", 100 / times_limit (bench, c));
  set_number (o, "relative_error", c->relative_error);
  if (!c->own) {
    json_object_set_string_member (o, "version", c->version ? c->version : "");
    return o;
  }
  json_object_set_string_member (o, "isa", c->isa);
  set_number (o, "ratio_to_best_peer", ratio_to_best_peer (bench, c));
  const gdouble n = c->times->len * bench->options->batch * 1000.0;
  JsonObject *stages = json_object_new ();
  set_number (stages, "embed", c->stages.embed / n);
  set_number (stages, "attention", c->stages.attention / n);
  set_number (stages, "rows", c->stages.rows / n);
  set_number (stages, "heads", c->stages.heads / n);
  json_object_set_object_member (o, "stages_ms", stages);
  return o;
}

static void
add_bar (gpointer data, const char *bar, gdouble found, gdouble most, const char *verdict)
{
  JsonObject *o = json_object_new ();

  json_object_set_string_member (o, "bar", bar);
  set_number (o, "found", found);
  set_number (o, "limit", most);
  json_object_set_string_member (o, "verdict", verdict);
  json_array_add_object_element (data, o);
}

void
bench_print_json (const Bench *bench)
{
  g_autoptr (JsonNode) node = json_node_new (JSON_NODE_OBJECT);
  JsonObject *root = json_object_new (), *machine = json_object_new (),
             *limits = json_object_new ();
  JsonArray *results = json_array_new (), *peers = json_array_new (), *pictures = json_array_new ();
  JsonArray *isas = json_array_new (), *bars = json_array_new ();
  g_autofree char *cpu = machine_cpu_name ();

  json_node_take_object (node, root);
  for (const char *const *isa = cg_cpu_isa_names (); *isa; isa++)
    if (cg_cpu_isa_supported (*isa))
      json_array_add_string_element (isas, *isa);
  json_object_set_string_member (machine, "cpu", cpu);
  json_object_set_int_member (machine, "cpus", g_get_num_processors ());
  json_object_set_int_member (machine, "threads", bench->threads);
  json_object_set_array_member (machine, "isas", isas);
  json_object_set_object_member (root, "machine", machine);
  set_number (limits, "fp32_gflops", bench->limits.fp32 > 0 ? bench->limits.fp32 : NAN);
  set_number (limits, "bf16_gflops", bench->limits.bf16 > 0 ? bench->limits.bf16 : NAN);
  set_number (limits, "int8_gops", bench->limits.int8 > 0 ? bench->limits.int8 : NAN);
  json_object_set_object_member (root, "limits", limits);
  for (guint i = 0; i < bench->contestants->len; i++) {
    const Contestant *c = bench->contestants->pdata[i];
    json_array_add_object_element (c->own ? results : peers, contestant_to_json (bench, c));
  }
  json_object_set_array_member (root, "results", results);
  json_object_set_array_member (root, "peers", peers);
  for (guint i = 0; i < bench->pictures->len; i++) {
    const Contestant *c = bench->pictures->pdata[i];
    JsonObject *o = json_object_new ();
    json_object_set_string_member (o, "format", "NV12");
    json_object_set_int_member (o, "width", PICTURE_WIDTH);
    json_object_set_int_member (o, "height", PICTURE_HEIGHT);
    json_object_set_int_member (o, "image", PICTURE_IMAGE);
    json_object_set_string_member (o, "isa", c->isa);
    set_times (o, c->times);
    json_array_add_object_element (pictures, o);
  }
  json_object_set_array_member (root, "preprocess", pictures);
  json_object_set_array_member (root, "memory", json_array_ref (bench->memory));
  for_each_bar (bench, add_bar, bars);
  json_object_set_array_member (root, "bars", bars);

  g_autofree char *text = json_to_string (node, TRUE);
  g_print ("%s\n", text);
}
