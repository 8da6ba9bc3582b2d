/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "weights-header.h"

#include <string.h>

#define MAX_TENSORS 4096
#define MAX_METADATA 64
#define MAX_DIGITS 19

const CgDtypeInfo cg_dtypes[3] = { { "F32", 4 }, { "F16", 2 }, { "BF16", 2 } };

/* ---- the scanner of the header: one pass, no recursion ---- */

typedef struct {
  const char *name; /* of the file */
  const char *start, *at, *end;
} Scanner;

static gboolean
scan_error (const Scanner *s, GError **error, const char *expected)
{
  g_autofree char *found = NULL;

  if (s->at >= s->end)
    found = g_strdup ("the end of the header");
  else if (g_ascii_isprint (*s->at))
    found = g_strdup_printf ("'%c'", *s->at);
  else
    found = g_strdup_printf ("byte 0x%02x", (guchar)*s->at);
  g_set_error (error, CG_ERROR, CG_ERROR_FORMAT, "%s: header, byte %zu: found %s, expected %s",
               s->name, (gsize)(s->at - s->start), found, expected);
  return FALSE;
}

static void
skip_space (Scanner *s)
{
  while (s->at < s->end && (*s->at == ' ' || *s->at == '\t' || *s->at == '\n' || *s->at == '\r'))
    s->at++;
}

/* Space, then @wanted: consumed if it is there. */
static gboolean
accept (Scanner *s, char wanted)
{
  skip_space (s);
  if (s->at >= s->end || *s->at != wanted)
    return FALSE;
  s->at++;
  return TRUE;
}

static gboolean
expect (Scanner *s, char wanted, GError **error)
{
  char text[4] = { '\'', wanted, '\'', '\0' };

  return accept (s, wanted) || scan_error (s, error, text);
}

/* After an element: a comma (@more), or the bracket that closes. */
static gboolean
scan_separator (Scanner *s, char closing, gboolean *more, GError **error)
{
  char text[] = "',' or '?'";

  *more = accept (s, ',');
  if (*more || accept (s, closing))
    return TRUE;
  text[8] = closing;
  return scan_error (s, error, text);
}

/* A string of the subset, decoded into @out. The header is valid UTF-8 already. */
static gboolean
scan_string (Scanner *s, GString *out, GError **error)
{
  g_string_truncate (out, 0);
  if (!expect (s, '"', error))
    return FALSE;
  while (s->at < s->end && *s->at != '"') {
    const char *next = g_utf8_next_char (s->at);
    if (*s->at == '\\') {
      s->at++;
      if (s->at >= s->end || (*s->at != '"' && *s->at != '\\' && *s->at != '/'))
        return scan_error (s, error, "'\"', '\\' or '/' after a backslash");
      next = s->at + 1;
    } else if (g_unichar_iscntrl (g_utf8_get_char (s->at))) {
      return scan_error (s, error, "no control character in a string");
    }
    g_string_append_len (out, s->at, next - s->at);
    s->at = next;
  }
  return expect (s, '"', error);
}

/* Plain digits, at most 19 of them: no sign, fraction, exponent or leading zero. */
static gboolean
scan_integer (Scanner *s, guint64 *out, GError **error)
{
  const char *first;

  skip_space (s);
  first = s->at;
  for (*out = 0; s->at < s->end && g_ascii_isdigit (*s->at); s->at++) {
    if (s->at - first == MAX_DIGITS || (s->at > first && *first == '0'))
      return scan_error (s, error, "an integer of at most 19 digits without leading zero");
    *out = *out * 10 + (guint64)(*s->at - '0');
  }
  return s->at > first || scan_error (s, error, "an integer of plain digits");
}

/* The start of a string of the file, for messages. */
static char *
excerpt (const GString *string)
{
  return g_utf8_substring (string->str, 0, MIN (g_utf8_strlen (string->str, -1), 40));
}

/* ---- tensors ---- */

gboolean
cg_tensor_error (const char *file, const char *tensor, GError **error, const char *format, ...)
{
  g_autofree char *text = NULL;
  va_list args;

  va_start (args, format);
  text = g_strdup_vprintf (format, args);
  va_end (args);
  g_set_error (error, CG_ERROR, CG_ERROR_TENSOR, "%s: tensor \"%s\": %s", file, tensor, text);
  return FALSE;
}

char *
cg_tensor_spec_shape (const CgTensorSpec *spec)
{
  GString *text = g_string_new ("[");

  for (guint i = 0; i < spec->rank; i++)
    g_string_append_printf (text, "%s%zu", i > 0 ? ", " : "", spec->shape[i]);
  g_string_append_c (text, ']');
  return g_string_free (text, FALSE);
}

static gboolean
scan_dtype (Scanner *s, CgStoredTensor *t, GString *scratch, GError **error)
{
  g_autofree char *found = NULL;

  if (!scan_string (s, scratch, error))
    return FALSE;
  for (guint i = 0; i < G_N_ELEMENTS (cg_dtypes); i++)
    if (strcmp (scratch->str, cg_dtypes[i].name) == 0) {
      t->dtype = (CgDtype)i;
      return TRUE;
    }
  found = excerpt (scratch);
  return cg_tensor_error (s->name, t->spec.name, error,
                          "found dtype \"%s\", expected F32, F16 or BF16", found);
}

static gboolean
scan_shape (Scanner *s, CgStoredTensor *t, GError **error)
{
  gboolean more;

  if (!expect (s, '[', error))
    return FALSE;
  t->spec.rank = 0;
  if (accept (s, ']'))
    return TRUE;
  do {
    guint64 extent;
    if (!scan_integer (s, &extent, error) || !scan_separator (s, ']', &more, error))
      return FALSE;
    if (t->spec.rank == CG_TENSOR_MAX_RANK)
      return cg_tensor_error (s->name, t->spec.name, error,
                              "found more than %d extents, expected at most %d", CG_TENSOR_MAX_RANK,
                              CG_TENSOR_MAX_RANK);
    if (extent > G_MAXSIZE)
      return cg_tensor_error (
          s->name, t->spec.name, error,
          "found the extent %" G_GUINT64_FORMAT ", expected one that fits in memory", extent);
    t->spec.shape[t->spec.rank++] = (gsize)extent;
  } while (more);
  return TRUE;
}

static gboolean
scan_offsets (Scanner *s, CgStoredTensor *t, GError **error)
{
  return expect (s, '[', error) && scan_integer (s, &t->begin, error) && expect (s, ',', error) &&
         scan_integer (s, &t->end, error) && expect (s, ']', error);
}

/* Bytes that the data of @t must have, or FALSE if the product of its extents overflows. */
static gboolean
tensor_size (const CgStoredTensor *t, gsize *size)
{
  *size = cg_dtypes[t->dtype].size;
  for (guint i = 0; i < t->spec.rank; i++)
    if (!g_size_checked_mul (size, *size, t->spec.shape[i]))
      return FALSE;
  return TRUE;
}

static gboolean
check_tensor (const Scanner *s, const CgStoredTensor *t, guint64 data_size, GError **error)
{
  g_autofree char *shape = cg_tensor_spec_shape (&t->spec);
  gsize size;

  if (!tensor_size (t, &size))
    return cg_tensor_error (s->name, t->spec.name, error,
                            "found shape %s, expected one whose size in bytes does not overflow",
                            shape);
  if (t->begin > t->end || t->end > data_size)
    return cg_tensor_error (s->name, t->spec.name, error,
                            "found data_offsets [%" G_GUINT64_FORMAT ", %" G_GUINT64_FORMAT
                            "], expected a range inside the %" G_GUINT64_FORMAT " bytes of data",
                            t->begin, t->end, data_size);
  if (t->end - t->begin != size)
    return cg_tensor_error (s->name, t->spec.name, error,
                            "found %" G_GUINT64_FORMAT " bytes of data, expected %zu for %s %s",
                            t->end - t->begin, size, cg_dtypes[t->dtype].name, shape);
  return TRUE;
}

static const char *const tensor_keys[] = { "dtype", "shape", "data_offsets" };

/* The value of tensor_keys[@key]. */
static gboolean
scan_field (Scanner *s, CgStoredTensor *t, guint key, GString *scratch, GError **error)
{
  switch (key) {
  case 0:
    return scan_dtype (s, t, scratch, error);
  case 1:
    return scan_shape (s, t, error);
  default:
    return scan_offsets (s, t, error);
  }
}

/* Behind a name and its colon: an object with exactly the three keys, in any order. */
static gboolean
scan_tensor (Scanner *s, CgStoredTensor *t, GString *scratch, GError **error)
{
  guint seen = 0;
  gboolean more;

  if (!expect (s, '{', error))
    return FALSE;
  do {
    guint key = 0;
    if (!scan_string (s, scratch, error) || !expect (s, ':', error))
      return FALSE;
    while (key < G_N_ELEMENTS (tensor_keys) && strcmp (scratch->str, tensor_keys[key]) != 0)
      key++;
    if (key == G_N_ELEMENTS (tensor_keys) || (seen & 1u << key)) {
      g_autofree char *found = excerpt (scratch);
      return cg_tensor_error (
          s->name, t->spec.name, error,
          "found the key \"%s\"%s, expected dtype, shape and data_offsets once each", found,
          key < G_N_ELEMENTS (tensor_keys) ? " twice" : "");
    }
    seen |= 1u << key;
    if (!scan_field (s, t, key, scratch, error) || !scan_separator (s, '}', &more, error))
      return FALSE;
  } while (more);
  for (guint i = 0; i < G_N_ELEMENTS (tensor_keys); i++)
    if (!(seen & 1u << i))
      return cg_tensor_error (s->name, t->spec.name, error,
                              "found no %s, expected dtype, shape and data_offsets once each",
                              tensor_keys[i]);
  return TRUE;
}

/* The name is in @scratch, the colon is behind. */
static gboolean
scan_named_tensor (Scanner *s, CgWeightsHeader *header, guint64 data_size, GString *scratch,
                   GError **error)
{
  CgStoredTensor tensor = { 0 };

  if (scratch->len == 0 || scratch->len >= CG_TENSOR_NAME_SIZE) {
    g_autofree char *found = excerpt (scratch);
    return cg_tensor_error (s->name, found, error, "found a name of %zu bytes, expected 1 to %d",
                            scratch->len, CG_TENSOR_NAME_SIZE - 1);
  }
  if (header->tensors->len == MAX_TENSORS)
    return cg_tensor_error (s->name, scratch->str, error,
                            "found more than %d tensors, expected at most %d", MAX_TENSORS,
                            MAX_TENSORS);
  memcpy (tensor.spec.name, scratch->str, scratch->len + 1);
  if (!scan_tensor (s, &tensor, scratch, error) || !check_tensor (s, &tensor, data_size, error))
    return FALSE;
  g_array_append_val (header->tensors, tensor);
  return TRUE;
}

static char **
metadata_at (const CgWeightsHeader *header, guint i)
{
  return (char **)(gpointer)(header->metadata->data + i * sizeof (char *[2]));
}

const char *
cg_weights_header_metadata (const CgWeightsHeader *header, const char *key)
{
  for (guint i = 0; i < header->metadata->len; i++)
    if (strcmp (metadata_at (header, i)[0], key) == 0)
      return metadata_at (header, i)[1];
  return NULL;
}

static gboolean
scan_metadata (Scanner *s, CgWeightsHeader *header, GString *scratch, GError **error)
{
  gboolean more;

  if (!expect (s, '{', error))
    return FALSE;
  if (accept (s, '}'))
    return TRUE;
  do {
    char *entry[2] = { NULL, NULL };
    if (!scan_string (s, scratch, error) || !expect (s, ':', error))
      return FALSE;
    if (cg_weights_header_metadata (header, scratch->str)) {
      g_autofree char *found = excerpt (scratch);
      g_set_error (error, CG_ERROR, CG_ERROR_FORMAT,
                   "%s: __metadata__: found the key \"%s\" twice, expected it once", s->name,
                   found);
      return FALSE;
    }
    if (header->metadata->len == MAX_METADATA) {
      g_set_error (error, CG_ERROR, CG_ERROR_FORMAT,
                   "%s: __metadata__: found more than %d strings, expected at most %d", s->name,
                   MAX_METADATA, MAX_METADATA);
      return FALSE;
    }
    entry[0] = g_strdup (scratch->str);
    g_array_append_val (header->metadata, entry);
    if (!scan_string (s, scratch, error) || !scan_separator (s, '}', &more, error))
      return FALSE;
    metadata_at (header, header->metadata->len - 1)[1] = g_strdup (scratch->str);
  } while (more);
  return TRUE;
}

static gboolean
scan_header (Scanner *s, CgWeightsHeader *header, guint64 data_size, GError **error)
{
  g_autoptr (GString) scratch = g_string_new (NULL);
  gboolean has_metadata = FALSE;
  gboolean more = TRUE;

  if (*s->at != '{') /* the format allows space behind the object, not before it */
    return scan_error (s, error, "'{'");
  s->at++;
  if (accept (s, '}'))
    more = FALSE;
  while (more) {
    if (!scan_string (s, scratch, error) || !expect (s, ':', error))
      return FALSE;
    if (strcmp (scratch->str, "__metadata__") == 0) {
      if (has_metadata) {
        g_set_error (error, CG_ERROR, CG_ERROR_FORMAT,
                     "%s: header: found __metadata__ twice, expected it once", s->name);
        return FALSE;
      }
      has_metadata = TRUE;
      if (!scan_metadata (s, header, scratch, error))
        return FALSE;
    } else if (!scan_named_tensor (s, header, data_size, scratch, error)) {
      return FALSE;
    }
    if (!scan_separator (s, '}', &more, error))
      return FALSE;
  }
  while (s->at < s->end && *s->at == ' ')
    s->at++;
  return s->at == s->end || scan_error (s, error, "only spaces after the header's object");
}

/* ---- what holds between the tensors ---- */

static gint
compare_data (gconstpointer a, gconstpointer b)
{
  const CgStoredTensor *t = a, *u = b;

  if (t->begin != u->begin)
    return t->begin < u->begin ? -1 : 1;
  if (t->end != u->end)
    return t->end < u->end ? -1 : 1;
  return strcmp (t->spec.name, u->spec.name);
}

const CgStoredTensor *
cg_weights_header_tensor (const CgWeightsHeader *header, guint i)
{
  return &g_array_index (header->tensors, CgStoredTensor, i);
}

static const CgStoredTensor *
tensor_by_name (const CgWeightsHeader *header, guint i)
{
  return cg_weights_header_tensor (header, g_array_index (header->by_name, guint, i));
}

static gint
compare_name (gconstpointer a, gconstpointer b, gpointer user_data)
{
  const CgWeightsHeader *header = user_data;

  return strcmp (cg_weights_header_tensor (header, *(const guint *)a)->spec.name,
                 cg_weights_header_tensor (header, *(const guint *)b)->spec.name);
}

static gboolean
check_names (CgWeightsHeader *header, GError **error)
{
  for (guint i = 0; i < header->tensors->len; i++)
    g_array_append_val (header->by_name, i);
  g_array_sort_with_data (header->by_name, compare_name, header);
  for (guint i = 1; i < header->by_name->len; i++) {
    const char *name = tensor_by_name (header, i)->spec.name;
    if (strcmp (name, tensor_by_name (header, i - 1)->spec.name) == 0)
      return cg_tensor_error (header->file, name, error, "found twice, expected once");
  }
  return TRUE;
}

static gboolean
check_layout (const CgWeightsHeader *header, guint64 data_size, GError **error)
{
  guint64 at = 0;

  for (guint i = 0; i < header->tensors->len; i++) {
    const CgStoredTensor *t = cg_weights_header_tensor (header, i);
    if (t->begin != at)
      return cg_tensor_error (header->file, t->spec.name, error,
                              "found data beginning at %" G_GUINT64_FORMAT
                              " (%s), expected %" G_GUINT64_FORMAT
                              ", where the data before it ends",
                              t->begin, t->begin < at ? "an overlap" : "a hole", at);
    at = t->end;
  }
  if (at == data_size)
    return TRUE;
  g_set_error (error, CG_ERROR, CG_ERROR_FORMAT,
               "%s: found %" G_GUINT64_FORMAT " bytes of data, expected %" G_GUINT64_FORMAT
               ", where the last tensor ends",
               header->file, data_size, at);
  return FALSE;
}

gint
cg_weights_header_find (const CgWeightsHeader *header, const char *name)
{
  guint low = 0, high = header->by_name->len;

  while (low < high) {
    guint middle = low + (high - low) / 2;
    int order = strcmp (name, tensor_by_name (header, middle)->spec.name);
    if (order == 0)
      return (gint)g_array_index (header->by_name, guint, middle);
    if (order < 0)
      high = middle;
    else
      low = middle + 1;
  }
  return -1;
}

/* ---- the whole ---- */

static void
clear_pair (gpointer data)
{
  char **pair = data;

  g_free (pair[0]);
  g_free (pair[1]);
}

void
cg_weights_header_free (CgWeightsHeader *header)
{
  if (!header)
    return;
  g_array_unref (header->metadata);
  g_array_unref (header->by_name);
  g_array_unref (header->tensors);
  g_free (header->file);
  g_free (header);
}

CgWeightsHeader *
cg_weights_header_parse (const char *text, gsize length, guint64 data_size, const char *file,
                         GError **error)
{
  Scanner scanner = { file, text, text, text + length };
  g_autoptr (CgWeightsHeader) header = g_new0 (CgWeightsHeader, 1);
  const char *invalid;

  header->file = g_strdup (file);
  header->tensors = g_array_new (FALSE, FALSE, sizeof (CgStoredTensor));
  header->by_name = g_array_new (FALSE, FALSE, sizeof (guint));
  header->metadata = g_array_new (FALSE, FALSE, sizeof (char *[2]));
  g_array_set_clear_func (header->metadata, clear_pair);
  if (!g_utf8_validate_len (text, length, &invalid)) {
    g_set_error (error, CG_ERROR, CG_ERROR_FORMAT,
                 "%s: header, byte %zu: found 0x%02x, expected valid UTF-8", file,
                 (gsize)(invalid - text), (guchar)*invalid);
    return NULL;
  }
  if (!scan_header (&scanner, header, data_size, error))
    return NULL;
  g_array_sort (header->tensors, compare_data);
  if (!check_names (header, error) || !check_layout (header, data_size, error))
    return NULL;
  return g_steal_pointer (&header);
}
