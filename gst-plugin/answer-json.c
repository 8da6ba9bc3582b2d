/* A structure as JSON, written in one pass.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "answer-json.h"

#include "model/json.h"

#include <math.h>

#define MAX_DEPTH 16

static void append_value (GString *out, const GValue *value, guint depth);

static void
append_string (GString *out, const gchar *text)
{
  g_autofree gchar *valid = text ? g_utf8_make_valid (text, -1) : NULL;

  if (valid)
    cg_json_append_string (out, valid);
  else
    g_string_append (out, "null");
}

static void
append_double (GString *out, gdouble number)
{
  if (isfinite (number))
    cg_json_append_number (out, number);
  else
    g_string_append (out, "null");
}

static void
append_key (GString *out, const gchar *key)
{
  if (out->str[out->len - 1] != '{')
    g_string_append (out, ", ");
  append_string (out, key);
  g_string_append (out, ": ");
}

static gboolean
is_time (const gchar *field, const GValue *value)
{
  static const gchar *const times[] = { "timestamp", "stream-time", "running-time",
                                        "duration",  "latency",     NULL };

  return G_VALUE_TYPE (value) == G_TYPE_UINT64 && g_strv_contains (times, field);
}

/* Both forms of a time. @seconds: the key of the second, or NULL to leave it out. */
static void
append_time (GString *out, GstClockTime time, const gchar *seconds)
{
  if (GST_CLOCK_TIME_IS_VALID (time))
    g_string_append_printf (out, "%" G_GUINT64_FORMAT, time);
  else
    g_string_append (out, "null");
  if (!seconds)
    return;
  append_key (out, seconds);
  if (GST_CLOCK_TIME_IS_VALID (time))
    g_string_append_printf (out, "%" G_GUINT64_FORMAT ".%09" G_GUINT64_FORMAT, time / GST_SECOND,
                            time % GST_SECOND);
  else
    g_string_append (out, "null");
}

static void
append_structure (GString *out, const GstStructure *structure, guint depth)
{
  g_string_append_c (out, '{');
  for (gint i = 0; i < gst_structure_n_fields (structure); i++) {
    const gchar *field = gst_structure_nth_field_name (structure, i);
    const GValue *value = gst_structure_get_value (structure, field);

    append_key (out, field);
    if (is_time (field, value)) {
      g_autofree gchar *seconds = g_strconcat (field, "-seconds", NULL);

      append_time (out, g_value_get_uint64 (value),
                   gst_structure_has_field (structure, seconds) ? NULL : seconds);
    } else {
      append_value (out, value, depth + 1);
    }
  }
  g_string_append_c (out, '}');
}

/* Of an array or of a list. */
static void
append_elements (GString *out, const GValue *value, guint depth)
{
  gboolean is_array = GST_VALUE_HOLDS_ARRAY (value);
  guint n = is_array ? gst_value_array_get_size (value) : gst_value_list_get_size (value);

  g_string_append_c (out, '[');
  for (guint i = 0; i < n; i++) {
    if (i > 0)
      g_string_append (out, ", ");
    append_value (
        out, is_array ? gst_value_array_get_value (value, i) : gst_value_list_get_value (value, i),
        depth + 1);
  }
  g_string_append_c (out, ']');
}

/* Of a type that JSON has no word for. */
static void
append_serialized (GString *out, const GValue *value)
{
  g_autofree gchar *text = gst_value_serialize (value);

  append_string (out, text);
}

static void
append_value (GString *out, const GValue *value, guint depth)
{
  if (depth > MAX_DEPTH) {
    g_string_append (out, "null");
    return;
  }
  if (GST_VALUE_HOLDS_ARRAY (value) || GST_VALUE_HOLDS_LIST (value)) {
    append_elements (out, value, depth);
    return;
  }
  if (GST_VALUE_HOLDS_STRUCTURE (value)) {
    if (gst_value_get_structure (value))
      append_structure (out, gst_value_get_structure (value), depth);
    else
      g_string_append (out, "null");
    return;
  }
  switch (G_VALUE_TYPE (value)) {
  case G_TYPE_STRING:
    append_string (out, g_value_get_string (value));
    break;
  case G_TYPE_BOOLEAN:
    g_string_append (out, g_value_get_boolean (value) ? "true" : "false");
    break;
  case G_TYPE_DOUBLE:
    append_double (out, g_value_get_double (value));
    break;
  case G_TYPE_FLOAT:
    append_double (out, (gdouble)g_value_get_float (value));
    break;
  case G_TYPE_INT:
    g_string_append_printf (out, "%d", g_value_get_int (value));
    break;
  case G_TYPE_UINT:
    g_string_append_printf (out, "%u", g_value_get_uint (value));
    break;
  case G_TYPE_INT64:
    g_string_append_printf (out, "%" G_GINT64_FORMAT, g_value_get_int64 (value));
    break;
  case G_TYPE_UINT64:
    g_string_append_printf (out, "%" G_GUINT64_FORMAT, g_value_get_uint64 (value));
    break;
  default:
    append_serialized (out, value);
    break;
  }
}

gchar *
gst_city_guessr_answer_to_json (const GstStructure *answer)
{
  GString *out = g_string_new (NULL);

  append_structure (out, answer, 0);
  g_string_append_c (out, '\n');
  return g_string_free (out, FALSE);
}
