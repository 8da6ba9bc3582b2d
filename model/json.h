/* The two JSON texts of a model file, read strictly: a thin layer over json-glib.
 *
 * json-glib by itself recurses, keeps the last of two equal keys and is lenient about syntax, so
 * the text is first checked in one pass without recursion against RFC 8259 and these limits:
 *   - at most 1 MiB of valid UTF-8; one object, nothing after it but space;
 *   - at most 8 levels deep, 64 keys in an object, 65535 elements in an array;
 *   - no key twice in an object; keys are 1..64 bytes without escapes;
 *   - integers of at most 18 digits, numbers of at most 32 characters;
 *   - strings without control characters, escaped or not, and without lone surrogates.
 * Messages name the text, the path inside it, what was found and what was expected:
 *   demo.safetensors: cityguessr.config: geometry.heads: found "16" (string), expected an
 * integer 1..64
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "error.h"

#include <json-glib/json-glib.h>

G_BEGIN_DECLS

#define CG_JSON_MAX_LENGTH (1 << 20)
#define CG_JSON_MAX_DEPTH 8
#define CG_JSON_MAX_KEYS 64
#define CG_JSON_MAX_ELEMENTS 65535

typedef struct _CgJson CgJson;

/** CgJsonValue: a place in the tree, whether or not there is anything. Valid as long as its CgJson.
 * @node: NULL if the key is missing
 * @path: "geometry.heads", "cities[12].label" */
typedef struct {
  const CgJson *json;
  JsonNode *node;
  char path[96];
} CgJsonValue;

/** cg_json_parse: @length bytes of @text, not necessarily NUL-terminated.
 * @where: names the text in messages, @code: the error that it and every reader below gives.
 * Returns: (transfer full): immutable; cg_json_free(). */
CgJson *cg_json_parse (const char *text, gsize length, const char *where, CgErrorCode code,
                       GError **error);
void cg_json_free (CgJson *json);

/** cg_json_root: the outermost value. Valid as long as @json. */
CgJsonValue cg_json_root (const CgJson *json);

/** cg_json_member: the value of @key of @object, missing if there is none or @object is no object.
 */
CgJsonValue cg_json_member (const CgJsonValue *object, const char *key);

/** cg_json_object: @value is an object that has no other keys than @keys (NULL-terminated). Its
 * keys may still be missing: the reader of each says so. */
gboolean cg_json_object (const CgJsonValue *value, const char *const *keys, GError **error);

/** cg_json_array: @value is an array of @min..@max elements; @length: (out). */
gboolean cg_json_array (const CgJsonValue *value, guint min, guint max, guint *length,
                        GError **error);
CgJsonValue cg_json_element (const CgJsonValue *array, guint index);

/* Each fails if the value is missing, of another type, or outside min..max. */
gboolean cg_json_integer (CgJsonValue value, gint64 min, gint64 max, gint64 *out, GError **error);
gboolean cg_json_number (CgJsonValue value, gdouble min, gdouble max, gdouble *out, GError **error);
gboolean cg_json_boolean (CgJsonValue value, gboolean *out, GError **error);
/** cg_json_string: of @min..@max bytes; @out: owned by the tree. */
gboolean cg_json_string (CgJsonValue value, guint min, guint max, const char **out, GError **error);

/** cg_json_fail: sets @error about @value, in the form above; @expected as printf. Returns FALSE.
 */
gboolean cg_json_fail (const CgJsonValue *value, GError **error, const char *expected, ...)
    G_GNUC_PRINTF (3, 4);

/** cg_json_append_string: a JSON string with its quotes, escaping only what must be.
 * cg_json_append_number: the shortest decimal that reads back as the same double. */
void cg_json_append_string (GString *out, const char *string);
void cg_json_append_number (GString *out, gdouble number);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (CgJson, cg_json_free)

G_END_DECLS
