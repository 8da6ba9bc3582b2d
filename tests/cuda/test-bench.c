/* `cityguessr bench --engine cuda` over the fakes: that all is measured that it promises, with the answers right.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include <stdlib.h>

#include "cuda/module.h"
#include "fake/engine.h"
#include "model/cuda.h"
#include "pipelines/bench-cuda.h"

static GString *printed;

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

static void
test_json (void)
{
  char *geometries[] = { (char *)"tiny", NULL }, *precisions[] = { (char *)"fp32", NULL };
  const BenchOptions options = {
    .geometries = geometries, .precisions = precisions, .batch = 1, .rounds = 2, .json = TRUE
  };
  const BenchCudaScale scale = { .width = 50, .height = 38, .streams = 1 };
  GPrintFunc before;

  printed = g_string_new (NULL);
  before = g_set_print_handler (keep);
  const int status = cg_bench_cuda (&options, &scale);
  g_set_print_handler (before);
  g_assert_cmpint (status, ==, EXIT_SUCCESS);
  g_autoptr (JsonNode) node = json_from_string (printed->str, NULL);
  g_assert_nonnull (node);
  JsonObject *root = json_node_get_object (node);
  expect_entries (root, "results", 1, "windows_per_s");
  expect_entries (root, "pictures", 3, "median_us");
  expect_entries (root, "end_to_end", 1, "p99_ms");
  expect_entries (root, "live", 1, "share");
  expect_entries (root, "errors", 1, "relative_error");
  g_assert_cmpfloat (
      json_object_get_double_member (
          json_array_get_object_element (json_object_get_array_member (root, "errors"), 0),
          "relative_error"),
      <=, 1e-5);
  cg_fake_expect_clean ();
  g_string_free (printed, TRUE);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  cg_fake_emulate ();
  cg_cuda_use_module (cg_cuda_module ());
  g_test_add_func ("/cuda/bench/json", test_json);
  return g_test_run ();
}
