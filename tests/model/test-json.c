/* The strict JSON layer: what it refuses before json-glib sees it, and what its readers say.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "model/json.h"

#include "model-file.h"

#include <float.h>

#define WHERE "bad.safetensors: config"

static CgJson *
parse (const char *text, GError **error)
{
  return cg_json_parse (text, strlen (text), WHERE, CG_ERROR_CONFIG, error);
}

static const struct {
  const char *title, *text, *found, *expected;
} refused[] = {
  { "empty", "", "the end", "'{'" },
  { "array", "[]", "'['", "'{'" },
  { "scalar", "1", "'1'", "'{'" },
  { "comment", "{/* */}", "'/'", "a key in quotes" },
  { "trailing-text", "{} {}", "'{'", "nothing after the object" },
  { "trailing-comma", "{\"a\":[1,]}", "']'", "a value" },
  { "trailing-comma-in-object", "{\"a\":1,}", "'}'", "a key in quotes" },
  { "no-comma", "{\"a\":1 \"b\":2}", "'\"'", "',' or '}'" },
  { "wrong-bracket", "{\"a\":[1}", "'}'", "',' or ']'" },
  { "no-colon", "{\"a\" 1}", "'1'", "':'" },
  { "key-without-quotes", "{a:1}", "'a'", "a key in quotes" },
  { "single-quotes", "{'a':1}", "'''", "a key in quotes" },
  { "key-twice", "{\"a\":1,\"b\":2,\"a\":3}", "\"a\" twice", "once" },
  { "key-escaped", "{\"\\u0061\":1}", "'\\'", "a key without escapes" },
  { "key-empty", "{\"\":1}", "'\"'", "1 to 64 bytes" },
  { "nine-levels", "{\"a\":[[[[[[[[1]]]]]]]]}", "'['", "at most 8 levels" },
  { "bad-utf-8", "{\"a\":\"\xc3(\"}", "0xc3", "valid UTF-8" },
  { "surrogate-in-utf-8", "{\"a\":\"\xed\xa0\x80\"}", "0xed", "valid UTF-8" },
  { "control-character", "{\"a\":\"\n\"}", "0x0a", "no control character" },
  { "delete-character", "{\"a\":\"\x7f\"}", "0x7f", "no control character" },
  { "escaped-newline", "{\"a\":\"\\n\"}", "'n'", "no escaped control character" },
  { "escaped-nul", "{\"a\":\"\\u0000\"}", "'\"'", "no escaped control character" },
  { "unknown-escape", "{\"a\":\"\\x41\"}", "'x'", "an escape sequence" },
  { "short-escape", "{\"a\":\"\\u12\"}", "'\"'", "four hexadecimal digits" },
  { "high-surrogate-alone", "{\"a\":\"\\ud83dx\"}", "'x'", "the second half" },
  { "low-surrogate-alone", "{\"a\":\"\\ude00\"}", "'\"'", "without its first half" },
  { "open-string", "{\"a\":\"b", "the end", "'\"'" },
  { "hexadecimal", "{\"a\":0x10}", "'x'", "',' or '}'" },
  { "leading-zero", "{\"a\":010}", "'1'", "',' or '}'" },
  { "leading-plus", "{\"a\":+1}", "'+'", "a value" },
  { "leading-point", "{\"a\":.5}", "'.'", "a value" },
  { "trailing-point", "{\"a\":1.}", "'}'", "a digit" },
  { "no-exponent", "{\"a\":1e}", "'}'", "a digit" },
  { "minus-alone", "{\"a\":- 1}", "' '", "a value" },
  { "long-integer", "{\"a\":1234567890123456789}", "'1'", "at most 18 digits" },
  { "long-number", "{\"a\":0.1234567890123456789012345678901}", "'0'", "at most 32" },
  { "nan", "{\"a\":NaN}", "'N'", "a value" },
  { "infinity", "{\"a\":Infinity}", "'I'", "a value" },
  { "word", "{\"a\":trve}", "'t'", "a value" },
  { "half-word", "{\"a\":tru", "'t'", "a value" },
};

static void
test_refused (gconstpointer data)
{
  guint i = GPOINTER_TO_UINT (data);
  g_autoptr (GError) error = NULL;
  g_autoptr (CgJson) json = parse (refused[i].text, &error);

  g_assert_null (json);
  CHECK_ERROR (error, CG_ERROR_CONFIG, WHERE, "byte", refused[i].found, refused[i].expected);
}

static void
test_limits (void)
{
  g_autoptr (GString) keys = g_string_new ("{\"k\":0");
  g_autoptr (GString) elements = g_string_new ("{\"a\":[0");
  g_autofree char *large = g_strnfill ((1 << 20) + 1, ' ');
  g_autoptr (GError) error = NULL;
  g_autoptr (CgJson) json = NULL;

  g_assert_null (parse (large, &error));
  CHECK_ERROR (error, CG_ERROR_CONFIG, WHERE, "1048577 bytes", "at most 1048576");
  large[0] = '{';
  large[1] = '}';
  large[1 << 20] = '\0';
  json = parse (large, &error);
  g_assert_no_error (error);
  g_clear_pointer (&json, cg_json_free);

  for (guint i = 1; i < 64; i++)
    g_string_append_printf (keys, ",\"k%u\":0", i);
  g_string_append_c (keys, '}');
  json = parse (keys->str, &error);
  g_assert_no_error (error);
  g_clear_pointer (&json, cg_json_free);
  g_string_truncate (keys, keys->len - 1);
  g_string_append (keys, ",\"k64\":0}");
  g_assert_null (parse (keys->str, &error));
  CHECK_ERROR (error, CG_ERROR_CONFIG, WHERE, "at most 64 keys");

  for (guint i = 1; i < 65535; i++)
    g_string_append (elements, ",0");
  g_string_append (elements, "]}");
  json = parse (elements->str, &error);
  g_assert_no_error (error);
  g_clear_pointer (&json, cg_json_free);
  g_string_truncate (elements, elements->len - 2);
  g_string_append (elements, ",0]}");
  g_assert_null (parse (elements->str, &error));
  CHECK_ERROR (error, CG_ERROR_CONFIG, WHERE, "at most 65535 elements");
}

static void
test_values (void)
{
  static const char *const keys[] = { "int", "real", "text", "yes", "list", "deep", NULL };
  g_autoptr (GError) error = NULL;
  g_autoptr (CgJson) json =
      parse (" {\"int\":-7, \"real\":2.5e-1, \"text\":\"\\u00f6\\ud83d\\ude00\\\"\\/\\\\\","
             "\"yes\":true,\"list\":[1,[],{}], \"deep\":{\"a\":{\"b\":[[[[[null]]]]]}}}\n",
             &error);
  CgJsonValue root, list;
  gint64 integer;
  gdouble number;
  const char *text;
  gboolean yes;
  guint length;

  g_assert_no_error (error);
  root = cg_json_root (json);
  g_assert_true (cg_json_object (&root, keys, &error));
  g_assert_true (cg_json_integer (cg_json_member (&root, "int"), -7, -7, &integer, &error));
  g_assert_cmpint (integer, ==, -7);
  g_assert_true (cg_json_number (cg_json_member (&root, "int"), -8, 0, &number, &error));
  g_assert_cmpfloat (number, ==, -7);
  g_assert_true (cg_json_number (cg_json_member (&root, "real"), 0, 1, &number, &error));
  g_assert_cmpfloat (number, ==, 0.25);
  g_assert_true (cg_json_string (cg_json_member (&root, "text"), 9, 9, &text, &error));
  g_assert_cmpstr (text, ==, "\xc3\xb6\xf0\x9f\x98\x80\"/\\");
  g_assert_true (cg_json_boolean (cg_json_member (&root, "yes"), &yes, &error));
  g_assert_true (yes);
  list = cg_json_member (&root, "list");
  g_assert_true (cg_json_array (&list, 3, 3, &length, &error));
  g_assert_cmpuint (length, ==, 3);
  g_assert_true (cg_json_integer (cg_json_element (&list, 0), 0, 1, &integer, &error));
  g_assert_cmpint (integer, ==, 1);
  g_assert_no_error (error);
}

/* Each reader names the path, what it found and what it expected. */
static void
test_messages (void)
{
  static const char *const keys[] = { "geometry", NULL };
  g_autoptr (GError) error = NULL;
  g_autoptr (CgJson) json =
      parse ("{\"geometry\":{\"heads\":\"16\",\"width\":384.0,\"mean\":[0,true],\"none\":null,"
             "\"big\":1e999,\"text\":\"\"},\"extra\":1}",
             &error);
  CgJsonValue root, geometry, mean;
  gint64 integer;
  gdouble number;
  const char *text;
  gboolean yes;
  guint length;

  g_assert_no_error (error);
  root = cg_json_root (json);
  geometry = cg_json_member (&root, "geometry");
  mean = cg_json_member (&geometry, "mean");
  g_assert_false (cg_json_object (&root, keys, &error));
  CHECK_ERROR (error, CG_ERROR_CONFIG,
               WHERE ": found the unknown key \"extra\", expected only geometry");
  g_assert_false (cg_json_integer (cg_json_member (&geometry, "heads"), 1, 64, &integer, &error));
  CHECK_ERROR (error, CG_ERROR_CONFIG,
               WHERE ": geometry.heads: found \"16\" (string), expected an integer 1..64");
  g_assert_false (cg_json_integer (cg_json_member (&geometry, "width"), 1, 1000, &integer, &error));
  CHECK_ERROR (error, CG_ERROR_CONFIG, "geometry.width: found 384, expected an integer 1..1000");
  g_assert_false (cg_json_integer (cg_json_member (&geometry, "depth"), 1, 9, &integer, &error));
  CHECK_ERROR (error, CG_ERROR_CONFIG, "geometry.depth: found nothing, expected an integer 1..9");
  g_assert_false (cg_json_integer (cg_json_element (&mean, 0), 1, 2, &integer, &error));
  CHECK_ERROR (error, CG_ERROR_CONFIG, "geometry.mean[0]: found 0, expected an integer 1..2");
  g_assert_false (cg_json_number (cg_json_element (&mean, 1), -0.5, 2, &number, &error));
  CHECK_ERROR (error, CG_ERROR_CONFIG, "geometry.mean[1]: found true, expected a number -0.5..2");
  g_assert_false (
      cg_json_number (cg_json_member (&geometry, "big"), 0, G_MAXDOUBLE, &number, &error));
  CHECK_ERROR (error, CG_ERROR_CONFIG, "geometry.big: found inf");
  g_assert_false (cg_json_array (&mean, 3, 3, &length, &error));
  CHECK_ERROR (error, CG_ERROR_CONFIG,
               "geometry.mean: found an array of 2, expected an array of 3");
  g_assert_false (cg_json_array (&geometry, 0, 3, &length, &error));
  CHECK_ERROR (error, CG_ERROR_CONFIG, "geometry: found an object, expected an array of 0..3");
  g_assert_false (cg_json_object (&mean, keys, &error));
  CHECK_ERROR (error, CG_ERROR_CONFIG, "geometry.mean: found an array of 2, expected an object");
  g_assert_false (cg_json_boolean (cg_json_member (&geometry, "none"), &yes, &error));
  CHECK_ERROR (error, CG_ERROR_CONFIG, "geometry.none: found null, expected true or false");
  g_assert_false (cg_json_string (cg_json_member (&geometry, "text"), 1, 9, &text, &error));
  CHECK_ERROR (error, CG_ERROR_CONFIG,
               "geometry.text: found \"\" (string), expected a string of 1..9 bytes");
}

/* Given any string and number, what is written is read back the same, on one line. */
static void
test_written (void)
{
  static const gdouble numbers[] = { 0,       1,        -1,      0.1,     1.0 / 255, 1e-12,
                                     1.0 / 3, 55.60587, DBL_MAX, DBL_MIN, 5e-324 };
  g_autoptr (GString) text = g_string_new ("{\"s\":");
  g_autoptr (GError) error = NULL;
  g_autoptr (CgJson) json = NULL;
  CgJsonValue root, list;
  const char *string;

  cg_json_append_string (text, "a \"quoted\" \\ / \xc3\xb6");
  g_string_append (text, ",\"n\":[");
  for (guint i = 0; i < G_N_ELEMENTS (numbers); i++) {
    if (i > 0)
      g_string_append_c (text, ',');
    cg_json_append_number (text, numbers[i]);
  }
  g_string_append (text, "]}");
  g_assert_null (strchr (text->str, '\n'));
  json = parse (text->str, &error);
  g_assert_no_error (error);
  root = cg_json_root (json);
  g_assert_true (cg_json_string (cg_json_member (&root, "s"), 1, 99, &string, &error));
  g_assert_cmpstr (string, ==, "a \"quoted\" \\ / \xc3\xb6");
  list = cg_json_member (&root, "n");
  for (guint i = 0; i < G_N_ELEMENTS (numbers); i++) {
    gdouble number;
    g_assert_true (
        cg_json_number (cg_json_element (&list, i), -G_MAXDOUBLE, G_MAXDOUBLE, &number, &error));
    g_assert_cmpfloat (number, ==, numbers[i]);
  }
  g_string_truncate (text, 0);
  cg_json_append_number (text, 55.60587);
  g_assert_cmpstr (text->str, ==, "55.60587");
  g_string_truncate (text, 0);
  cg_json_append_string (text, "\x01\n");
  g_assert_cmpstr (text->str, ==, "\"\\u0001\\u000a\"");
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (refused); i++) {
    g_autofree char *path = g_strdup_printf ("/json/refused/%s", refused[i].title);
    g_test_add_data_func (path, GUINT_TO_POINTER (i), test_refused);
  }
  g_test_add_func ("/json/limits", test_limits);
  g_test_add_func ("/json/values", test_values);
  g_test_add_func ("/json/messages", test_messages);
  g_test_add_func ("/json/written", test_written);
  return g_test_run ();
}
