/* `cityguessr bench --engine cuda` over the fakes: that all is measured that it promises, with the answers right.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include <stdlib.h>
#include <string.h>

#include "cuda/module.h"
#include "fake/engine.h"
#include "model/cuda.h"
#include "pipelines/bench-cuda.h"

static GString *printed;

/* The module, with its calls counted. */
static CgCudaModule counting;
static guint n_puts, n_gets;

static bool
count_put (CgCudaEngine *engine, CgCudaSample *sample, const CgFrame *frame, CgCudaError *error)
{
  n_puts += frame->memory == CG_MEMORY_CUDA;
  return cg_cuda_module ()->sample_put (engine, sample, frame, error);
}

static bool
count_get (CgCudaEngine *engine, CgCudaSample *sample, uint8_t *pixels, CgCudaError *error)
{
  n_gets++;
  return cg_cuda_module ()->sample_get (engine, sample, pixels, error);
}

static void
keep (const char *text)
{
  g_string_append (printed, text);
}

BenchSummary
bench_summarise (GArray *times)
{
  return (BenchSummary){ 1, 2, 3 };
}

static void
expect_entries (JsonObject *root, const char *list, guint n, const char *member)
{
  JsonArray *array = json_object_get_array_member (root, list);

  g_assert_cmpuint (json_array_get_length (array), ==, n);
  for (guint i = 0; i < n; i++) {
    JsonObject *entry = json_array_get_object_element (array, i);
    g_assert_cmpstr (json_object_get_string_member (entry, "geometry"), ==, "tiny");
    g_assert_true (g_str_has_prefix (json_object_get_string_member (entry, "engine"), "cuda "));
    g_assert_cmpfloat (json_object_get_double_member (entry, member), >, 0);
  }
}

/* What it prints. g_free(). @status: (out): as that of the command. */
static char *
print_bench (char **geometries, gint batch, gboolean json, int *status)
{
  char *precisions[] = { (char *)"fp32", NULL };
  const BenchOptions options = {
    .geometries = geometries, .precisions = precisions, .batch = batch, .rounds = 2, .json = json
  };
  const BenchCudaScale scale = { .width = 50, .height = 38, .streams = 1 };
  GPrintFunc before;

  printed = g_string_new (NULL);
  before = g_set_print_handler (keep);
  *status = cg_bench_cuda (&options, &scale);
  g_set_print_handler (before);
  cg_fake_expect_clean ();
  return g_string_free (printed, FALSE);
}

/* What it prints as JSON: (transfer full). */
static JsonNode *
run_bench (char **geometries, int *status)
{
  g_autofree char *text = print_bench (geometries, 1, TRUE, status);
  JsonNode *node = json_from_string (text, NULL);

  g_assert_nonnull (node);
  return node;
}

static void
test_json (void)
{
  char *geometries[] = { (char *)"tiny", NULL };
  int status;
  g_autoptr (JsonNode) node = run_bench (geometries, &status);
  JsonObject *root = json_node_get_object (node);

  g_assert_cmpint (status, ==, EXIT_SUCCESS);
  g_assert_false (json_object_has_member (root, "error"));
  /* For each picture in the GPU's memory an element also fetches the model frame. */
  g_assert_cmpuint (n_puts, >, 0);
  g_assert_cmpuint (n_gets, ==, n_puts);
  expect_entries (root, "results", 1, "windows_per_s");
  expect_entries (root, "pictures", 4, "median_us");
  expect_entries (root, "end_to_end", 1, "p99_ms");
  expect_entries (root, "live", 1, "share");
  expect_entries (root, "errors", 1, "relative_error");
  g_assert_cmpfloat (
      json_object_get_double_member (
          json_array_get_object_element (json_object_get_array_member (root, "errors"), 0),
          "relative_error"),
      <=, 1e-5);
}

/* Given a second network that is none, the first one's figures are printed all the same, and the failure is told. */
static void
test_failure (void)
{
  char *geometries[] = { (char *)"tiny", (char *)"no-such", NULL };
  int status;
  g_autoptr (JsonNode) node = run_bench (geometries, &status);
  JsonObject *root = json_node_get_object (node);

  g_assert_cmpint (status, ==, EXIT_FAILURE);
  expect_entries (root, "errors", 1, "relative_error");
  g_assert_true (g_str_has_prefix (json_object_get_string_member (root, "error"), "no-such: "));
}

/* The same as a table, of larger batches. */
static void
test_table (void)
{
  static const char *const lines[] = {
    "tiny       batch  2: median 2.000 ms, p99 3.000, min 1.000, 1000 windows/s  (cuda Fake GPU 0 "
    "fp32)",
    "tiny       NV12 50x38 to a model frame, from device: median 2.0 us, p99 3.0",
    "tiny       NV12 50x38 to a model frame, from device-in-a-row: median 2.0 us, p99 3.0",
    "tiny       NV12 50x38 to a model frame, from device-apart: median 2.0 us, p99 3.0",
    "tiny       NV12 50x38 to a model frame, from system: median 2.0 us, p99 3.0",
    "tiny       from the last picture to the answer: median 2.000 ms, p99 3.000",
    "tiny       1 live streams take ",
    "tiny       relative error of the features ",
  };
  char *geometries[] = { (char *)"tiny", NULL };
  int status;
  g_autofree char *text = print_bench (geometries, 2, FALSE, &status);
  g_auto (GStrv) found = g_strsplit (text, "\n", -1);

  g_assert_cmpint (status, ==, EXIT_SUCCESS);
  g_assert_cmpuint (g_strv_length (found), ==, G_N_ELEMENTS (lines) + 1);
  for (guint i = 0; i < G_N_ELEMENTS (lines); i++)
    if (!g_str_has_prefix (found[i], lines[i]))
      g_error ("line %u is \"%s\", expected \"%s\"", i, found[i], lines[i]);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  cg_fake_emulate ();
  counting = *cg_cuda_module ();
  counting.sample_put = count_put;
  counting.sample_get = count_get;
  cg_cuda_use_module (&counting);
  g_test_add_func ("/cuda/bench/json", test_json);
  g_test_add_func ("/cuda/bench/failure", test_failure);
  g_test_add_func ("/cuda/bench/table", test_table);
  return g_test_run ();
}
