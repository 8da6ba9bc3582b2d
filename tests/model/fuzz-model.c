/* libFuzzer target: any bytes as a model file, and any text as a label tree.
 *
 * A file is mutated in three ways, because blind mutation seldom gets past the header's length: as
 * bytes, as a header whose length is put right again, and as values.
 *
 *   CC=clang meson setup build-fuzz -Dfuzz=true && ninja -C build-fuzz tests/model/fuzz-model
 *   tests/model/corpus.py corpus && build-fuzz/tests/model/fuzz-model -max_len=65536 corpus
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "model/model.h"

#include <stdint.h>
#include <string.h>

#define NAME "fuzz.safetensors"

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);
size_t LLVMFuzzerMutate (uint8_t *data, size_t size, size_t max_size);
size_t LLVMFuzzerCustomMutator (uint8_t *data, size_t size, size_t max_size, unsigned int seed);

/* Either a result or an error that a user can read. */
static void
check (gboolean ok, const GError *error)
{
  if (ok ? error != NULL
         : !error || error->domain != CG_ERROR || !g_utf8_validate (error->message, -1, NULL) ||
               strncmp (error->message, NAME, strlen (NAME)) != 0)
    __builtin_trap ();
}

static void
try_places (const uint8_t *data, size_t size)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (CgPlaces) places = cg_places_parse ((const char *)data, size, NAME, &error);

  check (places != NULL, error);
  if (places) {
    g_autofree char *json = cg_places_to_json (places);
    g_autoptr (CgPlaces) again = cg_places_parse (json, strlen (json), NAME, NULL);
    if (!again)
      __builtin_trap ();
  }
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  g_autoptr (GBytes) bytes = g_bytes_new (data, size);
  g_autoptr (GError) error = NULL;
  g_autoptr (CgNetwork) network = NULL;
  g_autoptr (CgModel) model = NULL;

  if (size > 0 && data[0] == '{') {
    try_places (data, size);
    return 0;
  }
  model = cg_model_load_bytes (bytes, NAME, &network, &error);
  check (model != NULL, error);
  if (model && !network)
    __builtin_trap ();
  return 0;
}

static size_t
header_length (const uint8_t *data, size_t size)
{
  uint64_t n = 0;

  for (int i = 7; size >= 8 && i >= 0; i--)
    n = n << 8 | data[i];
  return size >= 8 && n <= size - 8 ? (size_t)n : 0;
}

/* Mutates the JSON of the header and moves the data behind it. */
static size_t
mutate_header (uint8_t *data, size_t size, size_t length, size_t max_size)
{
  size_t rest = size - 8 - length;
  g_autofree uint8_t *tail = g_memdup2 (data + 8 + length, rest);
  size_t changed = LLVMFuzzerMutate (data + 8, length, max_size - 8 - rest);

  if (rest > 0)
    memcpy (data + 8 + changed, tail, rest);
  for (int i = 0; i < 8; i++)
    data[i] = (uint8_t)((uint64_t)changed >> (8 * i));
  return 8 + changed + rest;
}

size_t
LLVMFuzzerCustomMutator (uint8_t *data, size_t size, size_t max_size, unsigned int seed)
{
  size_t length = header_length (data, size);

  if (length == 0 || size > max_size || seed % 8 == 0)
    return LLVMFuzzerMutate (data, size, max_size);
  if (seed % 8 == 1 && size > 8 + length)
    return 8 + length + LLVMFuzzerMutate (data + 8 + length, size - 8 - length, size - 8 - length);
  return mutate_header (data, size, length, max_size);
}
