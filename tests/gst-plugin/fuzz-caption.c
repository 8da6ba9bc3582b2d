/* libFuzzer target: any text as a template of captions, with answers that lack any of their fields.
 *
 * A template is taken or refused with an error that a user can read. If it is taken, the caption as text is valid
 * UTF-8, the caption as markup is well-formed, and the text of the latter is the former.
 *
 *   CC=clang meson setup build-fuzz -Dfuzz=true && ninja -C build-fuzz tests/gst-plugin/fuzz-caption
 *   build-fuzz/tests/gst-plugin/fuzz-caption -max_len=512
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "caption.h"
#include "model/error.h"

#include <stdint.h>
#include <string.h>

int LLVMFuzzerInitialize (int *argc, char ***argv);
int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);
size_t LLVMFuzzerMutate (uint8_t *data, size_t size, size_t max_size);
size_t LLVMFuzzerCustomMutator (uint8_t *data, size_t size, size_t max_size, unsigned int seed);

int
LLVMFuzzerInitialize (int *argc, char ***argv)
{
  g_setenv ("GST_REGISTRY_DISABLE", "yes", TRUE);
  gst_init (NULL, NULL);
  g_log_set_always_fatal (G_LOG_LEVEL_CRITICAL | G_LOG_LEVEL_WARNING);
  return 0;
}

/* @which: a bit for each field that there is. @name: what a city may be called. */
static GstStructure *
place_new (guint which, const gchar *name)
{
  static const gchar *const names[] = { "state", "country", "country-code", "continent" };
  static const gchar *const numbers[] = { "city-confidence", "country-confidence", "latitude",
                                          "horizontal-error" };
  GstStructure *place = gst_structure_new_empty ("place");

  if (which & 1)
    gst_structure_set (place, "city", G_TYPE_STRING, name, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (names); i++)
    if (which & (2u << i))
      gst_structure_set (place, names[i], G_TYPE_STRING, i % 2 ? "<i>\"&\x01" : name, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (numbers); i++)
    if (which & (16u << i))
      gst_structure_set (place, numbers[i], G_TYPE_DOUBLE, i % 2 ? -1e308 : 0.5, NULL);
  return place;
}

static GstStructure *
answer_new (guint which, const gchar *name)
{
  g_autoptr (GstStructure) tracked = place_new (which, name);
  GstStructure *answer = place_new (~which, name);

  gst_structure_set (answer, "timestamp", G_TYPE_UINT64, (guint64)which << 40, "stream-time",
                     G_TYPE_UINT64, GST_CLOCK_TIME_NONE, "samples", G_TYPE_UINT, which, "stable",
                     G_TYPE_BOOLEAN, which & 1, "demo", G_TYPE_BOOLEAN, which & 2, NULL);
  if (which & 4)
    gst_structure_set (answer, "tracked", GST_TYPE_STRUCTURE, tracked, NULL);
  return answer;
}

static void
gather (GMarkupParseContext *context, const gchar *text, gsize length, gpointer user_data,
        GError **error)
{
  g_string_append_len (user_data, text, (gssize)length);
}

/* What Pango would show of @markup. */
static GString *
text_of (const gchar *markup)
{
  static const GMarkupParser parser = { .text = gather };
  GString *text = g_string_new (NULL);
  GMarkupParseContext *context =
      g_markup_parse_context_new (&parser, G_MARKUP_DEFAULT_FLAGS, text, NULL);

  if (!g_markup_parse_context_parse (context, "<markup>", -1, NULL) ||
      !g_markup_parse_context_parse (context, markup, -1, NULL) ||
      !g_markup_parse_context_parse (context, "</markup>", -1, NULL) ||
      !g_markup_parse_context_end_parse (context, NULL))
    __builtin_trap ();
  g_markup_parse_context_free (context);
  return text;
}

static void
check_error (const GError *error)
{
  if (!g_error_matches (error, CG_ERROR, CG_ERROR_CONFIG) ||
      !g_utf8_validate (error->message, -1, NULL) ||
      !g_str_has_prefix (error->message, "caption-template"))
    __builtin_trap ();
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GstCityGuessrCaption) caption = NULL;
  g_autoptr (GstStructure) answer = NULL;
  g_autofree gchar *template = NULL, *name = NULL, *text = NULL, *markup = NULL;

  if (size == 0)
    return 0;
  template = g_strndup ((const gchar *)data + 1, size - 1);
  caption = gst_city_guessr_caption_new (template, &error);
  if (!caption) {
    check_error (error);
    return 0;
  }
  if (error)
    __builtin_trap ();
  name = g_strdup (template); /* a template that is taken is valid UTF-8 */
  answer = answer_new (data[0], name);
  text = gst_city_guessr_caption_format (caption, answer, FALSE);
  markup = gst_city_guessr_caption_format (caption, answer, TRUE);
  if (!g_utf8_validate (text, -1, NULL))
    __builtin_trap ();
  {
    g_autoptr (GString) shown = text_of (markup);

    if (strcmp (shown->str, text) != 0)
      __builtin_trap ();
  }
  return 0;
}

/* Every second time, a word of the language somewhere. */
size_t
LLVMFuzzerCustomMutator (uint8_t *data, size_t size, size_t max_size, unsigned int seed)
{
  static const gchar *const words[] = {
    "{place}",
    "{city}",
    "{window.city}",
    "{confidence:%.1}",
    "{latitude:.4}",
    "{timestamp:hms}",
    "{stable}",
    "{demo}",
    "[",
    "]",
    "{{",
    "}}",
    "\\n",
    "\\[",
    "<b>",
    "</b>",
    "<i/>",
    "&lt;",
    "&#8364;",
    "<span color='red'>",
    "</span>",
    "&",
  };
  const gchar *word = words[seed / 2 % G_N_ELEMENTS (words)];
  size_t length = strlen (word), at;

  if (seed % 2 || size == 0 || size + length > max_size)
    return LLVMFuzzerMutate (data, size, max_size);
  at = 1 + seed / 64 % size;
  memmove (data + at + length, data + at, size - at);
  for (size_t i = 0; i < length; i++)
    data[at + i] = (uint8_t)word[i];
  return size + length;
}
