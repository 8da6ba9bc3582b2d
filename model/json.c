/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "json.h"

#include <math.h>
#include <string.h>

#define MAX_KEY_LENGTH 64
#define MAX_INTEGER_DIGITS 18
#define MAX_NUMBER_LENGTH 32

struct _CgJson {
  char *where;
  CgErrorCode code;
  JsonParser *parser;
};

/* ---- the pass before json-glib: syntax and limits ---- */

typedef struct {
  const char *at;
  gsize length;
} Slice;

typedef struct {
  gboolean is_object;
  guint n; /* keys or elements so far */
  Slice keys[CG_JSON_MAX_KEYS];
} Level;

typedef struct {
  const char *start, *at, *end;
  const char *where;
  CgErrorCode code;
  guint depth;
  Level levels[CG_JSON_MAX_DEPTH];
} Checker;

static gboolean
syntax_error (const Checker *c, GError **error, const char *expected)
{
  g_autofree char *found = NULL;

  if (c->at >= c->end)
    found = g_strdup ("the end");
  else if (g_ascii_isprint (*c->at))
    found = g_strdup_printf ("'%c'", *c->at);
  else
    found = g_strdup_printf ("byte 0x%02x", (guchar)*c->at);
  g_set_error (error, CG_ERROR, (gint)c->code, "%s: at byte %zu: found %s, expected %s", c->where,
               (gsize)(c->at - c->start), found, expected);
  return FALSE;
}

static void
skip_space (Checker *c)
{
  while (c->at < c->end && (*c->at == ' ' || *c->at == '\t' || *c->at == '\n' || *c->at == '\r'))
    c->at++;
}

static gboolean
accept (Checker *c, char wanted)
{
  if (c->at >= c->end || *c->at != wanted)
    return FALSE;
  c->at++;
  return TRUE;
}

/* Four hexadecimal digits, or -1. */
static gint
read_hex4 (Checker *c)
{
  gint value = 0;

  for (guint i = 0; i < 4; i++) {
    gint digit = c->at < c->end ? g_ascii_xdigit_value (*c->at) : -1;
    if (digit < 0)
      return -1;
    value = value * 16 + digit;
    c->at++;
  }
  return value;
}

/* Behind the 'u': one \uXXXX, or two that make a surrogate pair. */
static gboolean
check_unicode_escape (Checker *c, GError **error)
{
  gint unit = read_hex4 (c);

  if (unit < 0)
    return syntax_error (c, error, "four hexadecimal digits");
  if (unit >= 0xd800 && unit <= 0xdbff) {
    gint low = accept (c, '\\') && accept (c, 'u') ? read_hex4 (c) : -1;
    if (low < 0xdc00 || low > 0xdfff)
      return syntax_error (c, error, "the second half of a surrogate pair");
  } else if (unit >= 0xdc00 && unit <= 0xdfff) {
    return syntax_error (c, error, "no surrogate without its first half");
  } else if (g_unichar_iscntrl ((gunichar)unit)) {
    return syntax_error (c, error, "no escaped control character");
  }
  return TRUE;
}

static gboolean
check_string (Checker *c, gboolean is_key, Slice *out, GError **error)
{
  if (!accept (c, '"'))
    return syntax_error (c, error, is_key ? "a key in quotes" : "a string");
  out->at = c->at;
  while (c->at < c->end && *c->at != '"') {
    if (*c->at != '\\') {
      if (g_unichar_iscntrl (g_utf8_get_char (c->at)))
        return syntax_error (c, error, "no control character in a string");
      c->at = g_utf8_next_char (c->at);
      continue;
    }
    if (is_key)
      return syntax_error (c, error, "a key without escapes");
    c->at++;
    if (accept (c, 'u')) {
      if (!check_unicode_escape (c, error))
        return FALSE;
    } else if (c->at < c->end && strchr ("\"\\/", *c->at) && *c->at != '\0') {
      c->at++;
    } else if (c->at < c->end && strchr ("bfnrt", *c->at) && *c->at != '\0') {
      return syntax_error (c, error, "no escaped control character");
    } else {
      return syntax_error (c, error, "an escape sequence of JSON");
    }
  }
  out->length = (gsize)(c->at - out->at);
  if (!accept (c, '"'))
    return syntax_error (c, error, "'\"' at the end of a string");
  return TRUE;
}

static gsize
skip_digits (Checker *c)
{
  const char *first = c->at;

  while (c->at < c->end && g_ascii_isdigit (*c->at))
    c->at++;
  return (gsize)(c->at - first);
}

static gboolean
check_number (Checker *c, GError **error)
{
  const char *first = c->at;
  gboolean is_integer = TRUE;
  gsize digits;

  accept (c, '-');
  if (accept (c, '0'))
    digits = 1;
  else if ((digits = skip_digits (c)) == 0)
    return syntax_error (c, error, "a value");
  if (accept (c, '.')) {
    is_integer = FALSE;
    if (skip_digits (c) == 0)
      return syntax_error (c, error, "a digit");
  }
  if (accept (c, 'e') || accept (c, 'E')) {
    is_integer = FALSE;
    if (!accept (c, '-'))
      accept (c, '+');
    if (skip_digits (c) == 0)
      return syntax_error (c, error, "a digit");
  }
  if ((is_integer && digits > MAX_INTEGER_DIGITS) || c->at - first > MAX_NUMBER_LENGTH) {
    c->at = first;
    return syntax_error (c, error, "an integer of at most 18 digits or a number of at most 32");
  }
  return TRUE;
}

static gboolean
check_word (Checker *c, const char *word, GError **error)
{
  gsize length = strlen (word);

  if ((gsize)(c->end - c->at) < length || memcmp (c->at, word, length) != 0)
    return syntax_error (c, error, "a value");
  c->at += length;
  return TRUE;
}

static gboolean
check_scalar (Checker *c, GError **error)
{
  Slice ignored;

  switch (c->at < c->end ? *c->at : '\0') {
  case '"':
    return check_string (c, FALSE, &ignored, error);
  case 't':
    return check_word (c, "true", error);
  case 'f':
    return check_word (c, "false", error);
  case 'n':
    return check_word (c, "null", error);
  default:
    return check_number (c, error);
  }
}

/* A key and its colon, in the object at the top of the stack. */
static gboolean
check_key (Checker *c, GError **error)
{
  Level *level = &c->levels[c->depth - 1];
  Slice key;

  skip_space (c);
  if (!check_string (c, TRUE, &key, error))
    return FALSE;
  if (key.length == 0 || key.length > MAX_KEY_LENGTH) {
    c->at = key.at;
    return syntax_error (c, error, "a key of 1 to 64 bytes");
  }
  for (guint i = 0; i < level->n; i++)
    if (level->keys[i].length == key.length &&
        memcmp (level->keys[i].at, key.at, key.length) == 0) {
      g_set_error (error, CG_ERROR, (gint)c->code,
                   "%s: at byte %zu: found the key \"%.*s\" twice, expected it once", c->where,
                   (gsize)(key.at - c->start), (int)key.length, key.at);
      return FALSE;
    }
  if (level->n == CG_JSON_MAX_KEYS)
    return syntax_error (c, error, "at most 64 keys in an object");
  level->keys[level->n++] = key;
  skip_space (c);
  return accept (c, ':') || syntax_error (c, error, "':'");
}

/* The next key, or the next element, begins in the object or array at the top of the stack. */
static gboolean
check_next (Checker *c, GError **error)
{
  Level *level = &c->levels[c->depth - 1];

  if (level->is_object)
    return check_key (c, error);
  if (level->n++ == CG_JSON_MAX_ELEMENTS)
    return syntax_error (c, error, "at most 65535 elements in an array");
  return TRUE;
}

static gboolean
closes (Checker *c)
{
  if (!accept (c, c->levels[c->depth - 1].is_object ? '}' : ']'))
    return FALSE;
  c->depth--;
  return TRUE;
}

static gboolean
check_text (Checker *c, GError **error)
{
  do {
    skip_space (c);
    if (c->depth == 0 && (c->at >= c->end || *c->at != '{'))
      return syntax_error (c, error, "'{'");
    if (c->at < c->end && (*c->at == '{' || *c->at == '[')) {
      if (c->depth == CG_JSON_MAX_DEPTH)
        return syntax_error (c, error, "at most 8 levels");
      c->levels[c->depth].is_object = *c->at == '{';
      c->levels[c->depth].n = 0;
      c->depth++;
      c->at++;
      skip_space (c);
      if (!closes (c)) {
        if (!check_next (c, error))
          return FALSE;
        continue;
      }
    } else if (!check_scalar (c, error)) {
      return FALSE;
    }
    /* A value has ended: go up as far as brackets close, then on to the next value. */
    for (skip_space (c); c->depth > 0 && closes (c); skip_space (c))
      ;
    if (c->depth > 0) {
      if (!accept (c, ','))
        return syntax_error (c, error,
                             c->levels[c->depth - 1].is_object ? "',' or '}'" : "',' or ']'");
      if (!check_next (c, error))
        return FALSE;
    }
  } while (c->depth > 0);
  return c->at == c->end || syntax_error (c, error, "nothing after the object");
}

CgJson *
cg_json_parse (const char *text, gsize length, const char *where, CgErrorCode code, GError **error)
{
  g_autofree Checker *checker = g_new (Checker, 1);
  g_autoptr (CgJson) json = NULL;
  g_autoptr (GError) parse_error = NULL;
  const char *invalid;

  if (length > CG_JSON_MAX_LENGTH) {
    g_set_error (error, CG_ERROR, (gint)code, "%s: found %zu bytes, expected at most %d", where,
                 length, CG_JSON_MAX_LENGTH);
    return NULL;
  }
  if (!g_utf8_validate_len (text, length, &invalid)) {
    g_set_error (error, CG_ERROR, (gint)code, "%s: at byte %zu: found 0x%02x, expected valid UTF-8",
                 where, (gsize)(invalid - text), (guchar)*invalid);
    return NULL;
  }
  checker->start = checker->at = text;
  checker->end = text + length;
  checker->where = where;
  checker->code = code;
  checker->depth = 0;
  if (!check_text (checker, error))
    return NULL;

  json = g_new0 (CgJson, 1);
  json->where = g_strdup (where);
  json->code = code;
  json->parser = json_parser_new_immutable ();
  if (!json_parser_load_from_data (json->parser, text, (gssize)length, &parse_error)) {
    g_set_error (error, CG_ERROR, (gint)code, "%s: %s", where, parse_error->message);
    return NULL;
  }
  return g_steal_pointer (&json);
}

void
cg_json_free (CgJson *json)
{
  if (!json)
    return;
  g_clear_object (&json->parser);
  g_free (json->where);
  g_free (json);
}

/* ---- reading the tree ---- */

CgJsonValue
cg_json_root (const CgJson *json)
{
  CgJsonValue root = { json, json_parser_get_root (json->parser), "" };

  return root;
}

CgJsonValue
cg_json_member (const CgJsonValue *object, const char *key)
{
  CgJsonValue value = { object->json, NULL, "" };

  if (object->node && JSON_NODE_HOLDS_OBJECT (object->node))
    value.node = json_object_get_member (json_node_get_object (object->node), key);
  g_snprintf (value.path, sizeof value.path, "%s%s%s", object->path, *object->path ? "." : "", key);
  return value;
}

CgJsonValue
cg_json_element (const CgJsonValue *array, guint index)
{
  CgJsonValue value = { array->json, NULL, "" };

  if (array->node && JSON_NODE_HOLDS_ARRAY (array->node) &&
      index < json_array_get_length (json_node_get_array (array->node)))
    value.node = json_array_get_element (json_node_get_array (array->node), index);
  g_snprintf (value.path, sizeof value.path, "%s[%u]", array->path, index);
  return value;
}

static char *
quote (const char *string)
{
  glong length = g_utf8_strlen (string, -1);
  g_autofree char *start = g_utf8_substring (string, 0, MIN (length, 40));

  return g_strdup_printf ("\"%s\"%s (string)", start, length > 40 ? "…" : "");
}

static char *
describe (JsonNode *node)
{
  char buffer[G_ASCII_DTOSTR_BUF_SIZE];

  if (!node)
    return g_strdup ("nothing");
  switch (json_node_get_node_type (node)) {
  case JSON_NODE_OBJECT:
    return g_strdup ("an object");
  case JSON_NODE_ARRAY:
    return g_strdup_printf ("an array of %u", json_array_get_length (json_node_get_array (node)));
  case JSON_NODE_NULL:
    return g_strdup ("null");
  case JSON_NODE_VALUE:
  default:
    break;
  }
  switch (json_node_get_value_type (node)) {
  case G_TYPE_STRING:
    return quote (json_node_get_string (node));
  case G_TYPE_BOOLEAN:
    return g_strdup (json_node_get_boolean (node) ? "true" : "false");
  case G_TYPE_INT64:
    return g_strdup_printf ("%" G_GINT64_FORMAT, json_node_get_int (node));
  default:
    return g_strdup (g_ascii_formatd (buffer, sizeof buffer, "%.15g", json_node_get_double (node)));
  }
}

gboolean
cg_json_fail (const CgJsonValue *value, GError **error, const char *expected, ...)
{
  g_autofree char *found = describe (value->node);
  g_autofree char *wanted = NULL;
  va_list args;

  va_start (args, expected);
  wanted = g_strdup_vprintf (expected, args);
  va_end (args);
  g_set_error (error, CG_ERROR, (gint)value->json->code, "%s: %s%sfound %s, expected %s",
               value->json->where, value->path, *value->path ? ": " : "", found, wanted);
  return FALSE;
}

gboolean
cg_json_object (const CgJsonValue *value, const char *const *keys, GError **error)
{
  JsonObjectIter iter;
  const char *key;

  if (!value->node || !JSON_NODE_HOLDS_OBJECT (value->node))
    return cg_json_fail (value, error, "an object");
  json_object_iter_init (&iter, json_node_get_object (value->node));
  while (json_object_iter_next (&iter, &key, NULL))
    if (!g_strv_contains (keys, key)) {
      g_autofree char *known = g_strjoinv (", ", (char **)keys);
      g_set_error (error, CG_ERROR, (gint)value->json->code,
                   "%s: %s%sfound the unknown key \"%s\", expected only %s", value->json->where,
                   value->path, *value->path ? ": " : "", key, known);
      return FALSE;
    }
  return TRUE;
}

gboolean
cg_json_array (const CgJsonValue *value, guint min, guint max, guint *length, GError **error)
{
  guint n = 0;

  if (value->node && JSON_NODE_HOLDS_ARRAY (value->node)) {
    n = json_array_get_length (json_node_get_array (value->node));
    if (n >= min && n <= max) {
      *length = n;
      return TRUE;
    }
  }
  if (min == max)
    return cg_json_fail (value, error, "an array of %u", min);
  return cg_json_fail (value, error, "an array of %u..%u", min, max);
}

static gboolean
holds (const CgJsonValue *value, GType type)
{
  return value->node && JSON_NODE_HOLDS_VALUE (value->node) &&
         json_node_get_value_type (value->node) == type;
}

gboolean
cg_json_integer (CgJsonValue value, gint64 min, gint64 max, gint64 *out, GError **error)
{
  if (holds (&value, G_TYPE_INT64)) {
    *out = json_node_get_int (value.node);
    if (*out >= min && *out <= max)
      return TRUE;
  }
  if (min == max)
    return cg_json_fail (&value, error, "the integer %" G_GINT64_FORMAT, min);
  return cg_json_fail (&value, error, "an integer %" G_GINT64_FORMAT "..%" G_GINT64_FORMAT, min,
                       max);
}

gboolean
cg_json_number (CgJsonValue value, gdouble min, gdouble max, gdouble *out, GError **error)
{
  char low[G_ASCII_DTOSTR_BUF_SIZE], high[G_ASCII_DTOSTR_BUF_SIZE];

  if (holds (&value, G_TYPE_INT64) || holds (&value, G_TYPE_DOUBLE)) {
    *out = json_node_get_double (value.node);
    if (isfinite (*out) && *out >= min && *out <= max)
      return TRUE;
  }
  return cg_json_fail (&value, error, "a number %s..%s",
                       g_ascii_formatd (low, sizeof low, "%.15g", min),
                       g_ascii_formatd (high, sizeof high, "%.15g", max));
}

gboolean
cg_json_boolean (CgJsonValue value, gboolean *out, GError **error)
{
  if (!holds (&value, G_TYPE_BOOLEAN))
    return cg_json_fail (&value, error, "true or false");
  *out = json_node_get_boolean (value.node);
  return TRUE;
}

gboolean
cg_json_string (CgJsonValue value, guint min, guint max, const char **out, GError **error)
{
  if (holds (&value, G_TYPE_STRING)) {
    *out = json_node_get_string (value.node);
    gsize length = strlen (*out);
    if (length >= min && length <= max)
      return TRUE;
  }
  return cg_json_fail (&value, error, "a string of %u..%u bytes", min, max);
}

/* ---- writing ---- */

void
cg_json_append_string (GString *out, const char *string)
{
  g_string_append_c (out, '"');
  for (const char *p = string; *p; p++) {
    if (*p == '"' || *p == '\\') {
      g_string_append_c (out, '\\');
      g_string_append_c (out, *p);
    } else if ((guchar)*p < 0x20) {
      g_string_append_printf (out, "\\u%04x", (guint)*p);
    } else {
      g_string_append_c (out, *p);
    }
  }
  g_string_append_c (out, '"');
}

void
cg_json_append_number (GString *out, gdouble number)
{
  char buffer[G_ASCII_DTOSTR_BUF_SIZE];

  for (int digits = 15; digits <= 17; digits++) {
    char format[8];
    g_snprintf (format, sizeof format, "%%.%dg", digits);
    g_ascii_formatd (buffer, sizeof buffer, format, number);
    if (g_ascii_strtod (buffer, NULL) == number)
      break;
  }
  g_string_append (out, buffer);
}
