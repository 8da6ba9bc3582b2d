/* libFuzzer target: any structure that GStreamer reads from text, as a line of JSON that a reader takes.
 *
 *   CC=clang meson setup build-fuzz -Dfuzz=true && ninja -C build-fuzz tests/gst-plugin/fuzz-answer-json
 *   build-fuzz/tests/gst-plugin/fuzz-answer-json -max_len=1024
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "answer-json.h"

#include <json-glib/json-glib.h>
#include <stdint.h>
#include <string.h>

const char *__asan_default_options (void);
int LLVMFuzzerInitialize (int *argc, char ***argv);
int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);
size_t LLVMFuzzerMutate (uint8_t *data, size_t size, size_t max_size);
size_t LLVMFuzzerCustomMutator (uint8_t *data, size_t size, size_t max_size, unsigned int seed);

/* GStreamer's reader leaks arrays with a bad element, and GLib the table of quarks when it grows: leaks are looked for
 * by the gate asan instead. */
const char *
__asan_default_options (void)
{
  return "detect_leaks=0";
}

int
LLVMFuzzerInitialize (int *argc, char ***argv)
{
  g_setenv ("GST_REGISTRY_DISABLE", "yes", TRUE);
  gst_init (NULL, NULL);
  return 0;
}

static void
check (const GstStructure *structure)
{
  g_autofree gchar *line = gst_city_guessr_answer_to_json (structure);
  g_autoptr (JsonNode) root = json_from_string (line, NULL);

  if (!g_utf8_validate (line, -1, NULL) || strchr (line, '\n') != line + strlen (line) - 1)
    __builtin_trap ();
  if (!root || !JSON_NODE_HOLDS_OBJECT (root))
    __builtin_trap ();
  for (gint i = 0; i < gst_structure_n_fields (structure); i++)
    if (!json_object_has_member (json_node_get_object (root),
                                 gst_structure_nth_field_name (structure, i)))
      __builtin_trap ();
}

static void
ignore (const gchar *domain, GLogLevelFlags level, const gchar *message, gpointer user_data)
{
}

/* GStreamer's reader may complain; what is tested may not. */
static GstStructure *
read_structure (const gchar *text)
{
  GLogFunc log = g_log_set_default_handler (ignore, NULL);
  GstStructure *structure;

  structure = gst_structure_from_string (text, NULL);
  g_log_set_default_handler (log, NULL);
  return structure;
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  g_autofree gchar *text = g_strndup ((const gchar *)data, size);
  g_autoptr (GstStructure) structure = read_structure (text);

  if (structure) {
    GLogLevelFlags before = g_log_set_always_fatal (G_LOG_LEVEL_CRITICAL | G_LOG_LEVEL_WARNING);

    check (structure);
    g_log_set_always_fatal (before);
  }
  return 0;
}

/* Every second time, a word of the language somewhere. */
size_t
LLVMFuzzerCustomMutator (uint8_t *data, size_t size, size_t max_size, unsigned int seed)
{
  static const gchar *const words[] = {
    "a, b=(int)1",
    ", timestamp=(guint64)18446744073709551615",
    ", c=(double)nan",
    ", c=(double)-1e308",
    ", f=(float)0.1",
    ", g=(string)\"\\303\\266\\001\"",
    ", s=(structure)\"n\\,\\ c\\=\\(int\\)1\\;\"",
    ", l=(int){ 1, 2 }",
    ", l=(double)< 1, inf >",
    ", r=(fraction)30/1",
    ", r=[ 1, 5 ]",
    ", h=(buffer)00ff",
    ", k=(GstCaps)\"video/x-raw\"",
    ", t=(date)2024-02-30",
    ", e=(GstFormat)time",
    "\\",
    "\"",
    ";",
  };
  const gchar *word = words[seed / 2 % G_N_ELEMENTS (words)];
  size_t length = strlen (word), at;

  if (seed % 2 || size + length > max_size)
    return LLVMFuzzerMutate (data, size, max_size);
  at = size ? seed / 64 % (size + 1) : 0;
  memmove (data + at + length, data + at, size - at);
  for (size_t i = 0; i < length; i++)
    data[at + i] = (uint8_t)word[i];
  return size + length;
}
