/* A template as a row of nodes: text, fields, and parts in brackets with their nodes behind them.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "caption.h"

#include "model/error.h"

#include <math.h>
#include <string.h>

typedef enum {
  KIND_TEXT,
  KIND_CONFIDENCE,
  KIND_DEGREES,
  KIND_METRES,
  KIND_TIME,
  KIND_COUNT,
  KIND_FLAG
} Kind;

/* Whose field it is: of a place, tracked or of the window; or of the answer. */
typedef enum { OF_PLACE, OF_ANSWER } Owner;

typedef struct {
  const gchar *name;
  Kind kind;
  Owner owner;
} Field;

static const Field fields[] = {
  { "place", KIND_TEXT, OF_PLACE },
  { "city", KIND_TEXT, OF_PLACE },
  { "state", KIND_TEXT, OF_PLACE },
  { "country", KIND_TEXT, OF_PLACE },
  { "country-code", KIND_TEXT, OF_PLACE },
  { "continent", KIND_TEXT, OF_PLACE },
  { "confidence", KIND_CONFIDENCE, OF_PLACE },
  { "city-confidence", KIND_CONFIDENCE, OF_PLACE },
  { "state-confidence", KIND_CONFIDENCE, OF_PLACE },
  { "country-confidence", KIND_CONFIDENCE, OF_PLACE },
  { "continent-confidence", KIND_CONFIDENCE, OF_PLACE },
  { "latitude", KIND_DEGREES, OF_PLACE },
  { "longitude", KIND_DEGREES, OF_PLACE },
  { "horizontal-error", KIND_METRES, OF_PLACE },
  { "scene", KIND_TEXT, OF_ANSWER },
  { "scene-confidence", KIND_CONFIDENCE, OF_ANSWER },
  { "timestamp", KIND_TIME, OF_ANSWER },
  { "stream-time", KIND_TIME, OF_ANSWER },
  { "running-time", KIND_TIME, OF_ANSWER },
  { "duration", KIND_TIME, OF_ANSWER },
  { "latency", KIND_TIME, OF_ANSWER },
  { "window-id", KIND_COUNT, OF_ANSWER },
  { "samples", KIND_COUNT, OF_ANSWER },
  { "stable", KIND_FLAG, OF_ANSWER },
  { "partial", KIND_FLAG, OF_ANSWER },
  { "demo", KIND_FLAG, OF_ANSWER },
  { "device", KIND_TEXT, OF_ANSWER },
  { "model", KIND_TEXT, OF_ANSWER },
};

#define WINDOW_PREFIX "window."

static const gchar *const levels[] = { "city", "state", "country", "continent" };
static const gchar *const level_confidences[] = { "city-confidence", "state-confidence",
                                                  "country-confidence", "continent-confidence" };

/* The formats of each kind, and how each is shown without one. */
static const struct {
  const gchar *formats;
  gboolean percent, decimals, hms;
  guint default_decimals;
} kinds[] = {
  [KIND_TEXT] = { "none" },
  [KIND_CONFIDENCE] = { "%, %.0 to %.9 or .0 to .9", .percent = TRUE, .decimals = TRUE,
                        .default_decimals = 2 },
  [KIND_DEGREES] = { ".0 to .9", .decimals = TRUE, .default_decimals = 4 },
  [KIND_METRES] = { ".0 to .9", .decimals = TRUE, .default_decimals = 0 },
  [KIND_TIME] = { "hms or .0 to .9", .decimals = TRUE, .hms = TRUE, .default_decimals = 3 },
  [KIND_COUNT] = { "none" },
  [KIND_FLAG] = { "none" },
};

typedef struct {
  gboolean percent, hms;
  guint decimals;
} Format;

typedef enum { NODE_TEXT, NODE_FIELD, NODE_PART } NodeType;

typedef struct {
  NodeType type;
  GString *plain, *markup; /* text: as text and as markup */
  const Field *field;
  gboolean window;
  Format format;
  guint end; /* part: the first node behind it */
} Node;

struct _GstCityGuessrCaption {
  GArray *nodes; /* Node */
};

static void
node_clear (gpointer data)
{
  Node *node = data;

  if (node->type == NODE_TEXT) {
    g_string_free (node->plain, TRUE);
    g_string_free (node->markup, TRUE);
  }
}

void
gst_city_guessr_caption_free (GstCityGuessrCaption *caption)
{
  g_array_unref (caption->nodes);
  g_free (caption);
}

/* ---- parsing ---- */

/* @open: names of the tags that are open, innermost last; @tags, @where: how many of them were so at the start of each
 * part in brackets that is open, and where that part begins; [0] is the whole template */
typedef struct {
  const gchar *text, *p;
  GArray *nodes;
  gboolean is_markup;
  guint closed; /* the number of nodes when brackets were last closed */
  GPtrArray *open;
  guint depth;
  guint tags[GST_CITY_GUESSR_CAPTION_DEPTH + 1];
  guint parts[GST_CITY_GUESSR_CAPTION_DEPTH + 1];
  const gchar *where[GST_CITY_GUESSR_CAPTION_DEPTH + 1];
} Parser;

static gboolean fail_at (const Parser *parser, const gchar *at, GError **error,
                         const gchar *message, ...) G_GNUC_PRINTF (4, 5);

static gboolean
fail_at (const Parser *parser, const gchar *at, GError **error, const gchar *message, ...)
{
  g_autofree gchar *what = NULL;
  va_list args;

  va_start (args, message);
  what = g_strdup_vprintf (message, args);
  va_end (args);
  g_set_error (error, CG_ERROR, CG_ERROR_CONFIG, "caption-template, character %ld: %s",
               g_utf8_pointer_to_offset (parser->text, at) + 1, what);
  return FALSE;
}

/* The text node at the end, in the brackets that are open. */
static Node *
text_node (Parser *parser)
{
  Node *last =
      parser->nodes->len ? &g_array_index (parser->nodes, Node, parser->nodes->len - 1) : NULL;

  if (!last || last->type != NODE_TEXT || parser->closed == parser->nodes->len) {
    Node node = { .type = NODE_TEXT, .plain = g_string_new (NULL), .markup = g_string_new (NULL) };

    g_array_append_val (parser->nodes, node);
    last = &g_array_index (parser->nodes, Node, parser->nodes->len - 1);
  }
  return last;
}

/* One character of text. */
static void
add_character (Parser *parser, gunichar c)
{
  Node *node = text_node (parser);
  gchar utf8[8];
  g_autofree gchar *escaped = NULL;
  gint length = g_unichar_to_utf8 (c, utf8);

  escaped = g_markup_escape_text (utf8, length);
  g_string_append_len (node->plain, utf8, length);
  g_string_append (node->markup, escaped);
}

static gboolean
is_name (gchar c)
{
  return g_ascii_isalnum (c) || c == '_' || c == '-';
}

/* @p: at "<". Returns the length of the name of a tag of Pango's, 0 if it is something else. */
static gsize
tag_name_length (const gchar *p, const gchar **name)
{
  static const gchar *const tags[] = { "b",   "big",   "i",   "s",  "span",
                                       "sub", "small", "sup", "tt", "u" };
  gsize length = 0;

  *name = p[1] == '/' ? p + 2 : p + 1;
  while (is_name ((*name)[length]))
    length++;
  for (guint i = 0; i < G_N_ELEMENTS (tags); i++)
    if (strlen (tags[i]) == length && strncmp (*name, tags[i], length) == 0 &&
        ((*name)[length] == '\0' || strchr (" \t\n/>", (*name)[length])))
      return length;
  return 0;
}

/* @p: at "&". Returns the character that the entity means, and its end; 0 if it is none. */
static gunichar
entity (const gchar *p, const gchar **end)
{
  static const struct {
    const gchar *text;
    gchar c;
  } named[] = {
    { "&lt;", '<' }, { "&gt;", '>' }, { "&amp;", '&' }, { "&quot;", '"' }, { "&apos;", '\'' }
  };
  gboolean hexadecimal = p[1] == '#' && p[2] == 'x';
  guint64 c;
  gchar *last = NULL;

  for (guint i = 0; i < G_N_ELEMENTS (named); i++) {
    if (g_str_has_prefix (p, named[i].text)) {
      *end = p + strlen (named[i].text);
      return named[i].c;
    }
  }
  if (p[1] != '#' || !g_ascii_isxdigit (p[hexadecimal ? 3 : 2]))
    return 0;
  c = g_ascii_strtoull (p + (hexadecimal ? 3 : 2), &last, hexadecimal ? 16 : 10);
  if (*last != ';' || c > 0x10ffff || !g_unichar_validate (c) || (c & 0xfffe) == 0xfffe ||
      (g_unichar_iscntrl (c) && c != '\n' && c != '\t'))
    return 0;
  *end = last + 1;
  return c;
}

/* Whether there is a tag of Pango's or an entity anywhere. */
static gboolean
looks_like_markup (const gchar *text)
{
  const gchar *end;

  for (const gchar *p = text; (p = strpbrk (p, "<&")); p++)
    if (*p == '<' ? tag_name_length (p, &end) > 0 : entity (p, &end) != 0)
      return TRUE;
  return FALSE;
}

/* @p: behind the opening quote of a value. Returns what is behind the closing one. */
static const gchar *
parse_value (const Parser *parser, const gchar *p, gchar quote, GError **error)
{
  const gchar *start = p;

  while (*p != quote) {
    if (*p == '&') {
      if (!entity (p, &p)) {
        fail_at (parser, p, error, "\"&\" begins no entity; write &amp; for the character itself");
        return NULL;
      }
    } else if (*p == '\0') {
      fail_at (parser, start, error, "the value of the attribute does not end; expected %c", quote);
      return NULL;
    } else if (strchr ("<{[]}", *p)) {
      fail_at (parser, p, error, "\"%c\" can't stand inside a tag", *p);
      return NULL;
    } else {
      p++;
    }
  }
  return p + 1;
}

/* @p: behind the name of an opening tag. Returns what is behind the tag; @closed: whether it ended with "/>". */
static const gchar *
parse_attributes (const Parser *parser, const gchar *p, gboolean is_span, gboolean *closed,
                  GError **error)
{
  for (;;) {
    const gchar *name;
    gboolean space = *p != '\0' && strchr (" \t\n", *p);

    while (*p != '\0' && strchr (" \t\n", *p))
      p++;
    *closed = g_str_has_prefix (p, "/>");
    if (*closed || *p == '>')
      return p + (*closed ? 2 : 1);
    name = p;
    while (is_name (*p))
      p++;
    if (p == name || !space || !is_span || g_ascii_isdigit (*name) || *name == '-') {
      fail_at (
          parser, name, error, "the tag does not end; expected \">\"%s",
          is_span
              ? " or an attribute like color=\"red\"; fields and brackets can't stand inside a tag"
              : "");
      return NULL;
    }
    if (*p != '=' || (p[1] != '"' && p[1] != '\'')) {
      fail_at (parser, p, error, "expected =\"...\" behind the name of an attribute");
      return NULL;
    }
    p = parse_value (parser, p + 2, p[1], error);
    if (!p)
      return NULL;
  }
}

static gboolean
close_tag (Parser *parser, const gchar *name, gsize length, GError **error)
{
  const gchar *open =
      parser->open->len ? g_ptr_array_index (parser->open, parser->open->len - 1) : NULL;

  if (parser->open->len == parser->tags[parser->depth])
    return fail_at (parser, parser->p, error, "</%.*s> closes a tag that was not opened%s",
                    (int)length, name, parser->depth ? " in these brackets" : "");
  if (strlen (open) != length || strncmp (open, name, length) != 0)
    return fail_at (parser, parser->p, error, "found </%.*s>, expected </%s>", (int)length, name,
                    open);
  if (name[length] != '>')
    return fail_at (parser, name + length, error, "the tag does not end; expected \">\"");
  g_ptr_array_remove_index (parser->open, parser->open->len - 1);
  return TRUE;
}

/* At "<" in a template that is markup. */
static gboolean
parse_tag (Parser *parser, GError **error)
{
  const gchar *name, *end;
  gsize length = tag_name_length (parser->p, &name);
  gboolean closed = FALSE;

  if (length == 0)
    return fail_at (parser, parser->p, error,
                    "\"<\" begins no tag of Pango's (b big i s span sub small sup tt u); write "
                    "&lt; for the character"
                    " itself");
  if (parser->p[1] == '/') {
    if (!close_tag (parser, name, length, error))
      return FALSE;
    end = name + length + 1;
  } else {
    end = parse_attributes (parser, name + length, length == 4, &closed, error);
    if (!end)
      return FALSE;
    if (!closed)
      g_ptr_array_add (parser->open, g_strndup (name, length));
  }
  g_string_append_len (text_node (parser)->markup, parser->p, end - parser->p);
  parser->p = end;
  return TRUE;
}

static gboolean
parse_entity (Parser *parser, GError **error)
{
  const gchar *end = NULL;
  gunichar c = entity (parser->p, &end);

  if (c == 0)
    return fail_at (parser, parser->p, error,
                    "\"&\" begins no entity; write &amp; for the character itself");
  add_character (parser, c);
  parser->p = end;
  return TRUE;
}

/* @text: the format, behind the colon. */
static gboolean
parse_format (Kind kind, const gchar *text, Format *format)
{
  const gchar *p = text;

  if (kinds[kind].hms && strcmp (p, "hms") == 0) {
    format->hms = TRUE;
    return TRUE;
  }
  if (kinds[kind].percent && *p == '%') {
    format->percent = TRUE;
    format->decimals = 0;
    if (*++p == '\0')
      return TRUE;
  }
  if (!kinds[kind].decimals || p[0] != '.' || !g_ascii_isdigit (p[1]) || p[2] != '\0')
    return FALSE;
  format->decimals = p[1] - '0';
  return TRUE;
}

static gchar *
list_fields (void)
{
  GString *list = g_string_new (NULL);

  for (guint i = 0; i < G_N_ELEMENTS (fields); i++)
    g_string_append_printf (list, "%s%s", i ? " " : "", fields[i].name);
  return g_string_free (list, FALSE);
}

/* At "{". */
static gboolean
parse_field (Parser *parser, GError **error)
{
  gsize length = strcspn (parser->p + 1, "{}[]");
  const gchar *end = parser->p + 1 + length;
  g_autofree gchar *name = g_strndup (parser->p + 1, length), *known = NULL;
  gchar *colon = strchr (name, ':');
  const gchar *key = name;
  Node node = { .type = NODE_FIELD };

  if (*end != '}')
    return fail_at (parser, parser->p, error,
                    "\"{\" without \"}\"; expected {field}, or {{ for the character itself");
  if (colon)
    *colon = '\0';
  if (g_str_has_prefix (name, WINDOW_PREFIX)) {
    node.window = TRUE;
    key = name + strlen (WINDOW_PREFIX);
  }
  for (guint i = 0; i < G_N_ELEMENTS (fields); i++)
    if (strcmp (key, fields[i].name) == 0 && (!node.window || fields[i].owner == OF_PLACE))
      node.field = &fields[i];
  if (!node.field) {
    known = list_fields ();
    return fail_at (parser, parser->p, error,
                    "unknown field \"%s\"; known are %s; and " WINDOW_PREFIX
                    "place to " WINDOW_PREFIX "horizontal-error",
                    name, known);
  }
  node.format.decimals = kinds[node.field->kind].default_decimals;
  if (colon && !parse_format (node.field->kind, colon + 1, &node.format))
    return fail_at (parser, parser->p, error, "unknown format \"%s\"; the formats of %s: %s",
                    colon + 1, key, kinds[node.field->kind].formats);
  g_array_append_val (parser->nodes, node);
  parser->p = end + 1;
  return TRUE;
}

static gboolean
open_part (Parser *parser, GError **error)
{
  Node node = { .type = NODE_PART };

  if (parser->depth == GST_CITY_GUESSR_CAPTION_DEPTH)
    return fail_at (parser, parser->p, error, "brackets stand more than %u deep in each other",
                    GST_CITY_GUESSR_CAPTION_DEPTH);
  parser->depth++;
  parser->tags[parser->depth] = parser->open->len;
  parser->parts[parser->depth] = parser->nodes->len;
  parser->where[parser->depth] = parser->p;
  g_array_append_val (parser->nodes, node);
  parser->p++;
  return TRUE;
}

/* Whether the tags of the innermost part, or of the whole, are closed. */
static gboolean
check_tags (const Parser *parser, GError **error)
{
  if (parser->open->len > parser->tags[parser->depth])
    return fail_at (parser, parser->p, error, "<%s> is not closed; expected </%s>",
                    (const gchar *)g_ptr_array_index (parser->open, parser->open->len - 1),
                    (const gchar *)g_ptr_array_index (parser->open, parser->open->len - 1));
  return TRUE;
}

static gboolean
close_part (Parser *parser, GError **error)
{
  guint part = parser->parts[parser->depth];
  gboolean has_field = FALSE;

  if (parser->depth == 0)
    return fail_at (parser, parser->p, error,
                    "\"]\" without \"[\"; write \\] for the character itself");
  if (!check_tags (parser, error))
    return FALSE;
  for (guint i = part; i < parser->nodes->len; i++)
    has_field |= g_array_index (parser->nodes, Node, i).type == NODE_FIELD;
  if (!has_field)
    return fail_at (
        parser, parser->where[parser->depth], error,
        "no field stands in these brackets; write \\[ and \\] for the characters themselves");
  g_array_index (parser->nodes, Node, part).end = parser->nodes->len;
  parser->closed = parser->nodes->len;
  parser->depth--;
  parser->p++;
  return TRUE;
}

static gboolean
parse_escape (Parser *parser, GError **error)
{
  gchar c = parser->p[1];

  if (c == '\0' || !strchr ("n\\[]{}", c))
    return fail_at (parser, parser->p, error, "unknown escape; known are \\n \\\\ \\[ \\] \\{ \\}");
  add_character (parser, c == 'n' ? '\n' : (gunichar)c);
  parser->p += 2;
  return TRUE;
}

static gboolean
parse_one (Parser *parser, GError **error)
{
  gunichar c = g_utf8_get_char (parser->p);

  if ((c == '{' || c == '}') && parser->p[1] == (gchar)c) {
    add_character (parser, c);
    parser->p += 2;
    return TRUE;
  }
  switch (c) {
  case '{':
    return parse_field (parser, error);
  case '}':
    return fail_at (parser, parser->p, error,
                    "\"}\" without \"{\"; write }} for the character itself");
  case '[':
    return open_part (parser, error);
  case ']':
    return close_part (parser, error);
  case '\\':
    return parse_escape (parser, error);
  case '<':
    if (parser->is_markup)
      return parse_tag (parser, error);
    break;
  case '&':
    if (parser->is_markup)
      return parse_entity (parser, error);
    break;
  default:
    break;
  }
  add_character (parser, c);
  parser->p = g_utf8_next_char (parser->p);
  return TRUE;
}

static gboolean
check_text (const Parser *parser, GError **error)
{
  const gchar *bad = NULL;

  if (strlen (parser->text) > GST_CITY_GUESSR_CAPTION_LENGTH) {
    g_set_error (error, CG_ERROR, CG_ERROR_CONFIG,
                 "caption-template: %" G_GSIZE_FORMAT " bytes; expected at most %u",
                 strlen (parser->text), GST_CITY_GUESSR_CAPTION_LENGTH);
    return FALSE;
  }
  if (!g_utf8_validate (parser->text, -1, &bad))
    return fail_at (parser, bad, error, "the byte 0x%02x is not UTF-8", (guchar)*bad);
  for (const gchar *p = parser->text; *p; p = g_utf8_next_char (p)) {
    gunichar c = g_utf8_get_char (p);

    if (g_unichar_iscntrl (c) && c != '\n' && c != '\t')
      return fail_at (parser, p, error, "the control character U+%04X; expected text", c);
  }
  return TRUE;
}

static gboolean
parse (Parser *parser, GError **error)
{
  if (!check_text (parser, error))
    return FALSE;
  parser->is_markup = looks_like_markup (parser->text);
  parser->p = parser->text;
  while (*parser->p)
    if (!parse_one (parser, error))
      return FALSE;
  if (parser->depth > 0)
    return fail_at (parser, parser->where[parser->depth], error,
                    "\"[\" without \"]\"; write \\[ for the character itself");
  return check_tags (parser, error);
}

GstCityGuessrCaption *
gst_city_guessr_caption_new (const gchar *text, GError **error)
{
  Parser parser = { .text = text ? text : "" };
  GstCityGuessrCaption *caption = NULL;

  parser.nodes = g_array_new (FALSE, FALSE, sizeof (Node));
  g_array_set_clear_func (parser.nodes, node_clear);
  parser.open = g_ptr_array_new_with_free_func (g_free);
  if (parse (&parser, error)) {
    caption = g_new0 (GstCityGuessrCaption, 1);
    caption->nodes = g_steal_pointer (&parser.nodes);
  }
  g_clear_pointer (&parser.nodes, g_array_unref);
  g_ptr_array_unref (parser.open);
  return caption;
}

/* ---- formatting ---- */

/* Text for one line: valid UTF-8 without control characters. Returns NULL if there is none. */
static gchar *
clean (const gchar *text)
{
  g_autofree gchar *valid = NULL;
  GString *out;

  if (!text || *text == '\0')
    return NULL;
  valid = g_utf8_make_valid (text, -1);
  out = g_string_sized_new (strlen (valid));
  for (const gchar *p = valid; *p; p = g_utf8_next_char (p))
    g_string_append_unichar (out,
                             g_unichar_iscntrl (g_utf8_get_char (p)) ? ' ' : g_utf8_get_char (p));
  return g_string_free (out, FALSE);
}

gchar *
gst_city_guessr_caption_place (const GstStructure *place, gdouble *confidence)
{
  g_autoptr (GString) names = g_string_new (NULL);
  g_autofree gchar *last = NULL;

  if (confidence)
    *confidence = NAN;
  for (guint level = 0; level < G_N_ELEMENTS (levels); level++) {
    gchar *name = clean (gst_structure_get_string (place, levels[level]));

    if (!name)
      continue;
    if (!last && confidence)
      gst_structure_get_double (place, level_confidences[level], confidence);
    if (g_strcmp0 (name, last) != 0)
      g_string_append_printf (names, "%s%s", last ? ", " : "", name);
    g_free (last);
    last = name;
  }
  return last ? g_strdup (names->str) : NULL;
}

static const GstStructure *
tracked_place (const GstStructure *answer)
{
  const GValue *value = gst_structure_get_value (answer, "tracked");
  const GstStructure *tracked =
      value && GST_VALUE_HOLDS_STRUCTURE (value) ? gst_value_get_structure (value) : NULL;

  return tracked ? tracked : answer;
}

/* Never "-0". */
static gchar *
format_number (gdouble number, guint decimals)
{
  gchar format[8], text[G_ASCII_DTOSTR_BUF_SIZE + 320];

  g_snprintf (format, sizeof format, "%%.%uf", decimals);
  g_ascii_formatd (text, sizeof text, format, number);
  return g_strdup (text[0] == '-' && strspn (text + 1, "0.") == strlen (text + 1) ? text + 1
                                                                                  : text);
}

static gchar *
format_time (GstClockTime time, const Format *format)
{
  if (!GST_CLOCK_TIME_IS_VALID (time))
    return NULL;
  if (format->hms)
    return g_strdup_printf ("%" G_GUINT64_FORMAT ":%02u:%02u", time / (3600 * GST_SECOND),
                            (guint)(time / (60 * GST_SECOND) % 60),
                            (guint)(time / GST_SECOND % 60));
  return format_number ((gdouble)time / GST_SECOND, format->decimals);
}

/* Returns NULL if the field is absent. */
static gchar *
format_double (const GstStructure *structure, const Node *node)
{
  g_autofree gchar *percent = NULL;
  gdouble number = NAN;

  if (strcmp (node->field->name, "confidence") == 0)
    g_free (gst_city_guessr_caption_place (structure, &number));
  else
    gst_structure_get_double (structure, node->field->name, &number);
  if (node->format.percent)
    number *= 100;
  if (!isfinite (number))
    return NULL;
  if (!node->format.percent)
    return format_number (number, node->format.decimals);
  percent = format_number (number, node->format.decimals);
  return g_strconcat (percent, " %", NULL);
}

static gchar *
format_integer (const GstStructure *structure, const Node *node)
{
  guint64 number = 0;
  guint small = 0;

  if (gst_structure_get_uint (structure, node->field->name, &small))
    number = small;
  else if (!gst_structure_get_uint64 (structure, node->field->name, &number))
    return NULL;
  if (node->field->kind == KIND_TIME)
    return format_time (number, &node->format);
  return g_strdup_printf ("%" G_GUINT64_FORMAT, number);
}

static gchar *
format_field (const GstStructure *answer, const Node *node)
{
  const GstStructure *structure =
      node->field->owner == OF_PLACE && !node->window ? tracked_place (answer) : answer;
  gboolean flag = FALSE;

  switch (node->field->kind) {
  case KIND_TEXT:
    if (strcmp (node->field->name, "place") == 0)
      return gst_city_guessr_caption_place (structure, NULL);
    return clean (gst_structure_get_string (structure, node->field->name));
  case KIND_FLAG:
    gst_structure_get_boolean (structure, node->field->name, &flag);
    return flag ? g_strdup (node->field->name) : NULL;
  case KIND_TIME:
  case KIND_COUNT:
    return format_integer (structure, node);
  default:
    return format_double (structure, node);
  }
}

/* Appends the nodes from @first to before @end. Returns FALSE if, in brackets, they are to be left out. */
static gboolean
format_nodes (const GstCityGuessrCaption *caption, guint first, guint end,
              const GstStructure *answer, gboolean markup, GString *out)
{
  gboolean absent = FALSE, shown = FALSE;

  for (guint i = first; i < end; i++) {
    const Node *node = &g_array_index (caption->nodes, Node, i);
    g_autofree gchar *text = NULL, *escaped = NULL;
    gsize length = out->len;

    switch (node->type) {
    case NODE_TEXT:
      g_string_append (out, markup ? node->markup->str : node->plain->str);
      break;
    case NODE_FIELD:
      text = format_field (answer, node);
      absent |= !text;
      shown |= text != NULL;
      if (text && markup)
        escaped = g_markup_escape_text (text, -1);
      if (text)
        g_string_append (out, markup ? escaped : text);
      break;
    case NODE_PART:
      if (format_nodes (caption, i + 1, node->end, answer, markup, out))
        shown = TRUE;
      else
        g_string_truncate (out, length);
      i = node->end - 1;
      break;
    }
  }
  return shown && !absent;
}

gchar *
gst_city_guessr_caption_format (const GstCityGuessrCaption *caption, const GstStructure *answer,
                                gboolean markup)
{
  GString *out = g_string_new (NULL);

  format_nodes (caption, 0, caption->nodes->len, answer, markup, out);
  return g_string_free (out, FALSE);
}
