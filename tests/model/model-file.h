/* Model files built in memory, good ones and bad ones, and what their errors must say.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "model/error.h"

#include <string.h>

#define BAD_FILE "bad.safetensors"

/* A header length, @length bytes of @header, and @data_size zero bytes. */
static inline GByteArray *
file_new (const char *header, gsize length, gsize data_size)
{
  GByteArray *file = g_byte_array_new ();
  guint8 prefix[8];

  for (guint i = 0; i < 8; i++)
    prefix[i] = (guint8)((guint64)length >> (8 * i));
  g_byte_array_append (file, prefix, 8);
  g_byte_array_append (file, (const guint8 *)header, (guint)length);
  g_byte_array_set_size (file, (guint)(8 + length + data_size));
  memset (file->data + 8 + length, 0, data_size);
  return file;
}

static inline GBytes *
file_bytes (const char *header, gsize data_size)
{
  return g_byte_array_free_to_bytes (file_new (header, strlen (header), data_size));
}

/* Takes @error: it has @code, and its message is valid UTF-8 and holds each of @parts. */
static inline void
check_error (GError *error, gint code, const char *const *parts)
{
  if (!error) {
    g_test_message ("expected an error about: %s", parts[0]);
    g_test_fail ();
    return;
  }
  if (error->domain != CG_ERROR || error->code != code) {
    g_test_message ("expected %s %d, found %s %d: %s", g_quark_to_string (CG_ERROR), code,
                    g_quark_to_string (error->domain), error->code, error->message);
    g_test_fail ();
  }
  if (!g_utf8_validate (error->message, -1, NULL)) {
    g_test_message ("not UTF-8: %s", error->message);
    g_test_fail ();
  }
  for (guint i = 0; parts[i]; i++)
    if (!strstr (error->message, parts[i])) {
      g_test_message ("expected \"%s\" in: %s", parts[i], error->message);
      g_test_fail ();
    }
  g_error_free (error);
}

#define CHECK_ERROR(error, code, ...) \
  check_error (g_steal_pointer (&(error)), code, (const char *const[]){ __VA_ARGS__, NULL })
