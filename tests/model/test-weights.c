/* The strict safetensors reader: what it accepts, what it refuses, and what it says then.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "model/weights.h"

#include "model-file.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <math.h>
#include <sys/stat.h>
#include <unistd.h>

#define F32_2 "\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]"
#define NAME_64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static CgWeights *
open_header (const char *header, gsize data_size, GError **error)
{
  g_autoptr (GBytes) bytes = file_bytes (header, data_size);

  return cg_weights_open_bytes (bytes, BAD_FILE, error);
}

/* ---- what is refused: header, bytes of data, error, and what the message names ---- */

typedef struct {
  const char *title, *header;
  gsize data_size;
  gint code;
  const char *parts[3];
} Refused;

#define SYNTAX CG_ERROR_FORMAT
#define TENSOR CG_ERROR_TENSOR

static const Refused refused[] = {
  /* tokens */
  { "no-object", "[]", 0, SYNTAX, { "byte 0", "'['", "'{'" } },
  { "space-first", " {}", 0, SYNTAX, { "byte 0", "' '", "'{'" } },
  { "unclosed", "{\"a\":{" F32_2 "}", 8, SYNTAX, { "the end of the header", "',' or '}'" } },
  { "trailing-text", "{} x", 0, SYNTAX, { "'x'", "only spaces" } },
  { "trailing-newline", "{}\n", 0, SYNTAX, { "byte 0x0a", "only spaces" } },
  { "trailing-comma", "{\"a\":{" F32_2 "},}", 8, SYNTAX, { "'}'", "'\"'" } },
  { "no-comma", "{\"a\":{" F32_2 "}\"b\"}", 8, SYNTAX, { "'\"'", "',' or '}'" } },
  { "no-colon", "{\"a\"{" F32_2 "}}", 8, SYNTAX, { "'{'", "':'" } },
  { "unquoted-name", "{a:{" F32_2 "}}", 8, SYNTAX, { "'a'", "'\"'" } },
  { "open-string", "{\"a", 0, SYNTAX, { "the end of the header", "'\"'" } },
  { "control-character", "{\"a\tb\":{}}", 0, SYNTAX, { "0x09", "no control character" } },
  { "c1-control-character", "{\"a\xc2\x9b\":{}}", 0, SYNTAX, { "0xc2", "no control character" } },
  { "bad-utf-8", "{\"a\xff\":{}}", 0, SYNTAX, { "byte 3", "0xff", "valid UTF-8" } },
  { "overlong-utf-8", "{\"a\xc0\x80\":{}}", 0, SYNTAX, { "0xc0", "valid UTF-8" } },
  { "escape-n", "{\"a\\n\":{}}", 0, SYNTAX, { "'n'", "after a backslash" } },
  { "escape-u", "{\"a\\u0041\":{}}", 0, SYNTAX, { "'u'", "after a backslash" } },
  { "escape-at-end", "{\"a\\", 0, SYNTAX, { "the end of the header", "after a backslash" } },
  { "nested-array",
    "{\"a\":{\"dtype\":\"F32\",\"shape\":[[2]],\"data_offsets\":[0,8]}}",
    8,
    SYNTAX,
    { "'['", "plain digits" } },
  { "nested-object", "{\"a\":{\"dtype\":{\"b\":1}}}", 0, SYNTAX, { "'{'", "'\"'" } },
  { "tensor-no-object", "{\"a\":[1]}", 0, SYNTAX, { "'['", "'{'" } },
  { "negative", "{\"a\":{\"shape\":[-1]}}", 0, SYNTAX, { "'-'", "plain digits" } },
  { "fraction", "{\"a\":{\"shape\":[1.5]}}", 0, SYNTAX, { "'.'", "',' or ']'" } },
  { "exponent", "{\"a\":{\"shape\":[1e3]}}", 0, SYNTAX, { "'e'", "',' or ']'" } },
  { "leading-zero", "{\"a\":{\"shape\":[01]}}", 0, SYNTAX, { "'1'", "without leading zero" } },
  { "twenty-digits",
    "{\"a\":{\"shape\":[12345678901234567890]}}",
    0,
    SYNTAX,
    { "'0'", "at most 19 digits" } },
  { "three-offsets", "{\"a\":{\"data_offsets\":[0,4,8]}}", 0, SYNTAX, { "','", "']'" } },
  { "metadata-number", "{\"__metadata__\":{\"a\":1}}", 0, SYNTAX, { "'1'", "'\"'" } },
  { "metadata-array", "{\"__metadata__\":[]}", 0, SYNTAX, { "'['", "'{'" } },
  { "metadata-key-twice",
    "{\"__metadata__\":{\"a\":\"\",\"a\":\"\"}}",
    0,
    SYNTAX,
    { "__metadata__", "\"a\" twice", "once" } },
  { "metadata-twice",
    "{\"__metadata__\":{},\"__metadata__\":{}}",
    0,
    SYNTAX,
    { "__metadata__ twice", "once" } },
  /* tensors */
  { "name-twice",
    "{\"a\":{" F32_2 "},\"a\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[8,8]}}",
    8,
    TENSOR,
    { "\"a\"", "found twice", "expected once" } },
  { "name-empty", "{\"\":{" F32_2 "}}", 8, TENSOR, { "0 bytes", "1 to 128" } },
  { "name-long", "{\"" NAME_64 NAME_64 "0\":{" F32_2 "}}", 8, TENSOR, { "129 bytes", "1 to 128" } },
  { "dtype-unknown",
    "{\"a\":{\"dtype\":\"I64\",\"shape\":[1],\"data_offsets\":[0,8]}}",
    8,
    TENSOR,
    { "\"a\"", "\"I64\"", "F32, F16 or BF16" } },
  { "dtype-empty",
    "{\"a\":{\"dtype\":\"\",\"shape\":[2],\"data_offsets\":[0,8]}}",
    8,
    TENSOR,
    { "\"a\"", "dtype \"\"", "F32, F16 or BF16" } },
  { "key-missing",
    "{\"a\":{\"dtype\":\"F32\",\"shape\":[2]}}",
    8,
    TENSOR,
    { "\"a\"", "no data_offsets", "once each" } },
  { "key-twice",
    "{\"a\":{\"dtype\":\"F32\",\"dtype\":\"F32\"}}",
    8,
    TENSOR,
    { "\"a\"", "\"dtype\" twice", "once each" } },
  { "key-unknown",
    "{\"a\":{" F32_2 ",\"extra\":1}}",
    8,
    TENSOR,
    { "\"a\"", "\"extra\"", "once each" } },
  { "rank-six",
    "{\"a\":{\"dtype\":\"F32\",\"shape\":[1,1,1,1,1,2],\"data_offsets\":[0,8]}}",
    8,
    TENSOR,
    { "\"a\"", "more than 5", "at most 5" } },
  { "shape-overflow",
    "{\"a\":{\"dtype\":\"F32\",\"shape\":[4294967296,4294967296],\"data_offsets\":[0,0]}}",
    0,
    TENSOR,
    { "\"a\"", "[4294967296, 4294967296]", "does not overflow" } },
  { "shape-overflow-by-dtype",
    "{\"a\":{\"dtype\":\"F32\",\"shape\":[4611686018427387904],\"data_offsets\":[0,0]}}",
    0,
    TENSOR,
    { "\"a\"", "[4611686018427387904]", "does not overflow" } },
  { "shape-and-size-differ",
    "{\"a\":{\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[0,8]}}",
    8,
    TENSOR,
    { "\"a\"", "8 bytes", "12 for F32 [3]" } },
  { "dtype-and-size-differ",
    "{\"a\":{\"dtype\":\"F16\",\"shape\":[2],\"data_offsets\":[0,8]}}",
    8,
    TENSOR,
    { "\"a\"", "8 bytes", "4 for F16 [2]" } },
  { "offsets-reversed",
    "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[8,0]}}",
    8,
    TENSOR,
    { "\"a\"", "[8, 0]", "inside the 8 bytes" } },
  { "offsets-outside",
    "{\"a\":{" F32_2 "}}",
    7,
    TENSOR,
    { "\"a\"", "[0, 8]", "inside the 7 bytes" } },
  { "offsets-far-outside",
    "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[9999999999999999991,"
    "9999999999999999999]}}",
    8,
    TENSOR,
    { "\"a\"", "9999999999999999999", "inside the 8 bytes" } },
  { "hole-at-start",
    "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}",
    8,
    TENSOR,
    { "\"a\"", "4 (a hole)", "expected 0" } },
  { "hole",
    "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},"
    "\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[8,12]}}",
    12,
    TENSOR,
    { "\"b\"", "8 (a hole)", "expected 4" } },
  { "overlap",
    "{\"b\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[4,12]},\"a\":{" F32_2 "}}",
    12,
    TENSOR,
    { "\"b\"", "4 (an overlap)", "expected 8" } },
  { "same-data-twice",
    "{\"a\":{" F32_2 "},\"b\":{" F32_2 "}}",
    8,
    TENSOR,
    { "\"b\"", "0 (an overlap)", "expected 8" } },
  { "data-left-over", "{\"a\":{" F32_2 "}}", 9, SYNTAX, { "9 bytes", "expected 8" } },
  { "data-without-tensors", "{}", 1, SYNTAX, { "1 bytes", "expected 0" } },
};

static void
test_refused (gconstpointer data)
{
  const Refused *bad = data;
  g_autoptr (GError) error = NULL;
  g_autoptr (CgWeights) weights = open_header (bad->header, bad->data_size, &error);

  g_assert_null (weights);
  CHECK_ERROR (error, bad->code, BAD_FILE, bad->parts[0], bad->parts[1] ? bad->parts[1] : "",
               bad->parts[2] ? bad->parts[2] : "");
}

static void
refuse_bytes (const void *file, gsize size, gint code, const char *found, const char *expected)
{
  g_autoptr (GBytes) bytes = g_bytes_new (file, size);
  g_autoptr (GError) error = NULL;
  g_autoptr (CgWeights) weights = cg_weights_open_bytes (bytes, BAD_FILE, &error);

  g_assert_null (weights);
  CHECK_ERROR (error, code, BAD_FILE, found, expected);
}

static void
test_header_length (void)
{
  guint8 file[16] = { 0 };
  g_autofree guint8 *large = g_malloc0 (3 << 20);

  refuse_bytes (file, 0, SYNTAX, "0 bytes", "10 to ");
  refuse_bytes (file, 9, SYNTAX, "9 bytes", "10 to ");
  refuse_bytes (file, 10, SYNTAX, "0 bytes", "2 to 2");
  file[0] = 1;
  refuse_bytes (file, 16, SYNTAX, "1 bytes", "2 to 8");
  file[0] = 9;
  refuse_bytes (file, 16, SYNTAX, "9 bytes", "2 to 8");
  memset (file, 0xff, 8);
  refuse_bytes (file, 16, SYNTAX, "18446744073709551615 bytes", "2 to 8");
  file[0] = 0xf8; /* 8 + N is 0 modulo 2^64 */
  refuse_bytes (file, 16, SYNTAX, "18446744073709551608 bytes", "2 to 8");
  large[0] = 1;
  large[2] = 0x10;
  refuse_bytes (large, 3 << 20, SYNTAX, "1048577 bytes", "2 to 1048576");
}

static void
test_nul_in_name (void)
{
  static const char header[] = "{\"a\0b\":{" F32_2 "}}";
  GByteArray *file = file_new (header, sizeof header - 1, 8);

  refuse_bytes (file->data, file->len, SYNTAX, "0x00", "valid UTF-8");
  g_byte_array_unref (file);
}

/* Given a good file, when it is cut anywhere, it is refused. */
static void
test_truncated (void)
{
  static const char header[] = "{\"__metadata__\":{\"k\":\"v\"},\"a\":{" F32_2 "}}";
  g_autoptr (GBytes) whole = file_bytes (header, 8);
  gsize size = g_bytes_get_size (whole);

  for (gsize n = 0; n < size; n++) {
    g_autoptr (GBytes) bytes = g_bytes_new_from_bytes (whole, 0, n);
    g_autoptr (GError) error = NULL;
    g_autoptr (CgWeights) weights = cg_weights_open_bytes (bytes, BAD_FILE, &error);
    g_assert_null (weights);
    g_assert_nonnull (error);
    g_assert_true (error->domain == CG_ERROR);
    g_assert_nonnull (strstr (error->message, BAD_FILE));
  }
  g_autoptr (GError) error = NULL;
  g_autoptr (CgWeights) weights = cg_weights_open_bytes (whole, BAD_FILE, &error);
  g_assert_no_error (error);
  g_assert_nonnull (weights);
}

static void
test_too_many (void)
{
  g_autoptr (GString) tensors = g_string_new ("{");
  g_autoptr (GString) metadata = g_string_new ("{\"__metadata__\":{");
  g_autoptr (GString) million = g_string_new ("{");
  g_autoptr (GString) deep = g_string_new ("{\"a\":");
  g_autoptr (GError) error = NULL;

  for (guint i = 0; i <= 4096; i++)
    g_string_append_printf (tensors,
                            "%s\"t%u\":{\"dtype\":\"F16\",\"shape\":[0],\"data_offsets\":[0,0]}",
                            i > 0 ? "," : "", i);
  g_string_append_c (tensors, '}');
  g_assert_null (open_header (tensors->str, 0, &error));
  CHECK_ERROR (error, TENSOR, BAD_FILE, "\"t4096\"", "more than 4096", "at most 4096");

  for (guint i = 0; i <= 64; i++)
    g_string_append_printf (metadata, "%s\"k%u\":\"\"", i > 0 ? "," : "", i);
  g_string_append (metadata, "}}");
  g_assert_null (open_header (metadata->str, 0, &error));
  CHECK_ERROR (error, SYNTAX, BAD_FILE, "__metadata__", "more than 64", "at most 64");

  for (guint i = 0; i < 1000000; i++)
    g_string_append_printf (million, "\"%u\":{},", i);
  g_assert_null (open_header (million->str, 0, &error));
  CHECK_ERROR (error, SYNTAX, BAD_FILE, "2 to 1048576");

  for (guint i = 0; i < 500000; i++)
    g_string_append_c (deep, i % 2 ? '[' : '{');
  g_assert_null (open_header (deep->str, 0, &error));
  CHECK_ERROR (error, SYNTAX, BAD_FILE, "found '['", "expected '\"'");
}

/* ---- files that cannot be opened ---- */

static void
test_not_a_file (void)
{
  g_autofree char *folder = g_dir_make_tmp ("cityguessr-XXXXXX", NULL);
  g_autofree char *missing = g_build_filename (folder, "missing.safetensors", NULL);
  g_autofree char *below = g_build_filename (folder, "pipe", "x", NULL);
  g_autofree char *pipe = g_build_filename (folder, "pipe", NULL);
  g_autofree char *loop = g_build_filename (folder, "loop", NULL);
  g_autoptr (GError) error = NULL;

  g_assert_null (cg_weights_open (missing, &error));
  CHECK_ERROR (error, CG_ERROR_NOT_FOUND, missing, g_strerror (ENOENT));
  g_assert_null (cg_weights_open (folder, &error));
  CHECK_ERROR (error, CG_ERROR_READ, folder, "found a directory", "expected a regular file");
  g_assert_cmpint (mkfifo (pipe, 0600), ==, 0);
  g_assert_null (cg_weights_open (pipe, &error));
  CHECK_ERROR (error, CG_ERROR_READ, pipe, "pipe", "expected a regular file");
  g_assert_null (cg_weights_open (below, &error));
  CHECK_ERROR (error, CG_ERROR_NOT_FOUND, below, g_strerror (ENOTDIR));
  g_assert_cmpint (symlink ("loop", loop), ==, 0);
  g_assert_null (cg_weights_open (loop, &error));
  CHECK_ERROR (error, CG_ERROR_READ, loop, g_strerror (ELOOP));
  g_assert_null (cg_weights_open ("/dev/zero", &error));
  CHECK_ERROR (error, CG_ERROR_READ, "/dev/zero", "device", "expected a regular file");
  g_unlink (loop);
  g_unlink (pipe);
  g_rmdir (folder);
}

/* Given a file as large as a disk that is no model, it is refused by its header alone. */
static void
test_huge_sparse_file (void)
{
  g_autofree char *path = NULL;
  g_autoptr (GError) error = NULL;
  int fd = g_file_open_tmp ("cityguessr-XXXXXX", &path, NULL);

  g_assert_cmpint (fd, >=, 0);
  if (ftruncate (fd, G_GINT64_CONSTANT (1) << 32) == 0) {
    g_assert_null (cg_weights_open (path, &error));
    CHECK_ERROR (error, CG_ERROR_FORMAT, path, "header of 0 bytes");
  }
  if (ftruncate (fd, (G_GINT64_CONSTANT (1) << 33) + 1) == 0) {
    g_assert_null (cg_weights_open (path, &error));
    CHECK_ERROR (error, CG_ERROR_FORMAT, path, "8589934593 bytes", "to 8589934592");
  } else {
    g_test_skip ("this file system has no sparse file of 8 GiB");
  }
  close (fd);
  g_unlink (path);
}

/* ---- what is accepted ---- */

static void
test_accepted (void)
{
  /* Space between tokens and behind, keys in any order, escapes, an empty tensor, a scalar, and
   * tensors not in the order of their data. */
  static const char header[] =
      "{ \"__metadata__\" : { \"k\\\\1\" : \"a\\\"b\\/c \xc3\xb6\" , \"e\":\"\" },\n"
      "\t\"late\":{\"data_offsets\":[8,12],\"shape\":[1,1],\"dtype\":\"F32\"},\r\n"
      "\"early\":{ \"shape\" : [ 2 ], \"dtype\":\"F32\",\"data_offsets\":[ 0 , 8 ]},"
      "\"empty\":{\"dtype\":\"BF16\",\"shape\":[3,0],\"data_offsets\":[8,8]},"
      "\"scalar\":{\"dtype\":\"F16\",\"shape\":[],\"data_offsets\":[12,14]}}   ";
  static const char *const names[] = { "early", "empty", "late", "scalar" };
  static const char *const dtypes[] = { "F32", "BF16", "F32", "F16" };
  static const gsize elements[] = { 2, 0, 1, 1 };
  g_autoptr (GError) error = NULL;
  g_autoptr (CgWeights) weights = open_header (header, 14, &error);

  g_assert_no_error (error);
  g_assert_cmpstr (cg_weights_name (weights), ==, BAD_FILE);
  g_assert_cmpstr (cg_weights_metadata (weights, "k\\1"), ==, "a\"b/c \xc3\xb6");
  g_assert_cmpstr (cg_weights_metadata (weights, "e"), ==, "");
  g_assert_null (cg_weights_metadata (weights, "absent"));
  g_assert_cmpuint (cg_weights_n_tensors (weights), ==, 4);
  for (guint i = 0; i < 4; i++) {
    const char *dtype;
    const CgTensorSpec *spec = cg_weights_tensor (weights, i, &dtype);
    g_assert_cmpstr (spec->name, ==, names[i]);
    g_assert_cmpstr (dtype, ==, dtypes[i]);
    g_assert_cmpuint (cg_tensor_spec_elements (spec), ==, elements[i]);
  }
}

static void
test_limits_reached (void)
{
  /* The longest name, the highest rank, 19 digits, and the longest header are still accepted. */
  g_autoptr (GString) header =
      g_string_new ("{\"" NAME_64 NAME_64 "\":{\"dtype\":\"F32\",\"shape\":[1,1,1,1,2],"
                    "\"data_offsets\":[0,8]},\"z\":{\"dtype\":\"F32\","
                    "\"shape\":[0,1000000000000000000],\"data_offsets\":[8,8]}}");
  g_autoptr (GError) error = NULL;
  g_autoptr (CgWeights) weights = NULL;

  while (header->len < 1048576)
    g_string_append_c (header, ' ');
  weights = open_header (header->str, 8, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (cg_weights_tensor (weights, 0, NULL)->rank, ==, 5);
}

/* ---- the table of a geometry ---- */

static void
test_check (void)
{
  const CgTensorSpec good[] = { { "b", 1, { 2 } }, { "a", 2, { 1, 2 } } };
  const CgTensorSpec missing[] = { { "a", 2, { 1, 2 } }, { "b", 1, { 2 } }, { "c", 2, { 3, 4 } } };
  const CgTensorSpec misshapen[] = { { "a", 2, { 2, 1 } }, { "b", 1, { 2 } } };
  const CgTensorSpec flat[] = { { "a", 1, { 2 } }, { "b", 1, { 2 } } };
  const CgTensorSpec fewer[] = { { "a", 2, { 1, 2 } } };
  g_autoptr (GError) error = NULL;
  g_autoptr (CgWeights) weights =
      open_header ("{\"a\":{\"dtype\":\"F32\",\"shape\":[1,2],\"data_offsets\":[0,8]},"
                   "\"b\":{\"dtype\":\"F16\",\"shape\":[2],\"data_offsets\":[8,12]}}",
                   12, &error);
  float out[12];

  g_assert_no_error (error);
  g_assert_true (cg_weights_check (weights, good, 2, &error));
  g_assert_no_error (error);
  g_assert_false (cg_weights_check (weights, missing, 3, &error));
  CHECK_ERROR (error, TENSOR, BAD_FILE, "\"c\"", "found nothing",
               "expected a tensor of shape [3, 4]");
  g_assert_false (cg_weights_check (weights, misshapen, 2, &error));
  CHECK_ERROR (error, TENSOR, BAD_FILE, "\"a\"", "found shape [1, 2]", "expected [2, 1]");
  g_assert_false (cg_weights_check (weights, flat, 2, &error));
  CHECK_ERROR (error, TENSOR, BAD_FILE, "\"a\"", "found shape [1, 2]", "expected [2]");
  g_assert_false (cg_weights_check (weights, fewer, 1, &error));
  CHECK_ERROR (error, TENSOR, BAD_FILE, "\"b\"", "found shape [2]", "expected no tensor");

  g_assert_false (cg_weights_read (weights, &missing[2], out, &error));
  CHECK_ERROR (error, TENSOR, BAD_FILE, "\"c\"", "found nothing", "[3, 4]");
  g_assert_false (cg_weights_read (weights, &misshapen[0], out, &error));
  CHECK_ERROR (error, TENSOR, BAD_FILE, "\"a\"", "[1, 2]", "[2, 1]");
}

/* ---- values ---- */

/* A file of one tensor "t" of @n elements of @size bytes, at an odd place in memory. */
static CgWeights *
open_values (const char *dtype, const void *values, gsize n, gsize size)
{
  g_autofree char *header = g_strdup_printf (
      "{\"t\":{\"dtype\":\"%s\",\"shape\":[%zu],\"data_offsets\":[0,%zu]}}", dtype, n, n * size);
  g_autofree char *odd = g_strdup_printf ("%s%s", header, strlen (header) % 2 ? "" : " ");
  GByteArray *file = file_new (odd, strlen (odd), n * size);
  g_autoptr (GBytes) bytes = NULL;
  g_autoptr (GError) error = NULL;
  CgWeights *weights;

  memcpy (file->data + file->len - n * size, values, n * size);
  bytes = g_byte_array_free_to_bytes (file);
  weights = cg_weights_open_bytes (bytes, BAD_FILE, &error);
  g_assert_no_error (error);
  return weights;
}

static void
test_read_f32 (void)
{
  const float values[] = { 0, -0.0f, 1, -1.5f, 1e-45f, 3.4028235e38f, 0.1f };
  const CgTensorSpec spec = { "t", 1, { G_N_ELEMENTS (values) } };
  g_autoptr (CgWeights) weights = open_values ("F32", values, G_N_ELEMENTS (values), 4);
  g_autoptr (GError) error = NULL;
  float out[G_N_ELEMENTS (values)];

  g_assert_true (cg_weights_read (weights, &spec, out, &error));
  g_assert_no_error (error);
  g_assert_cmpmem (out, sizeof out, values, sizeof values);
}

/* Every finite half-precision number, against sign · mantissa · 2^exponent. */
static void
test_read_f16 (void)
{
  const CgTensorSpec spec = { "t", 1, { 2 * 0x7c00 } };
  g_autofree guint16 *values = g_new (guint16, spec.shape[0]);
  g_autofree float *out = g_new (float, spec.shape[0]);
  g_autoptr (CgWeights) weights = NULL;
  g_autoptr (GError) error = NULL;

  for (guint i = 0; i < 0x7c00; i++) {
    values[2 * i] = GUINT16_TO_LE ((guint16)i);
    values[2 * i + 1] = GUINT16_TO_LE ((guint16)(i | 0x8000));
  }
  weights = open_values ("F16", values, spec.shape[0], 2);
  g_assert_true (cg_weights_read (weights, &spec, out, &error));
  g_assert_no_error (error);
  for (int i = 0; i < 0x7c00; i++) {
    int exponent = i >> 10, mantissa = i & 1023;
    double expected = exponent ? ldexp (1024 + mantissa, exponent - 25) : ldexp (mantissa, -24);
    g_assert_cmpfloat (out[2 * i], ==, expected);
    g_assert_cmpfloat (out[2 * i + 1], ==, -expected);
    g_assert_true (signbit (out[2 * i + 1]));
  }
}

/* Every finite bfloat16: the upper half of a float32. */
static void
test_read_bf16 (void)
{
  const CgTensorSpec spec = { "t", 1, { 2 * 0x7f80 } };
  g_autofree guint16 *values = g_new (guint16, spec.shape[0]);
  g_autofree float *out = g_new (float, spec.shape[0]);
  g_autoptr (CgWeights) weights = NULL;
  g_autoptr (GError) error = NULL;

  for (guint i = 0; i < 0x7f80; i++) {
    values[2 * i] = GUINT16_TO_LE ((guint16)i);
    values[2 * i + 1] = GUINT16_TO_LE ((guint16)(i | 0x8000));
  }
  weights = open_values ("BF16", values, spec.shape[0], 2);
  g_assert_true (cg_weights_read (weights, &spec, out, &error));
  g_assert_no_error (error);
  for (int i = 0; i < 0x7f80; i++) {
    int exponent = i >> 7, mantissa = i & 127;
    double expected = exponent ? ldexp (128 + mantissa, exponent - 134) : ldexp (mantissa, -133);
    g_assert_cmpfloat (out[2 * i], ==, expected);
    g_assert_cmpfloat (out[2 * i + 1], ==, -expected);
  }
}

static void
refuse_value (const char *dtype, const void *values, gsize size, const char *found,
              const char *index)
{
  const CgTensorSpec spec = { "t", 1, { 4 } };
  g_autoptr (CgWeights) weights = open_values (dtype, values, 4, size);
  g_autoptr (GError) error = NULL;
  float out[4];

  g_assert_false (cg_weights_read (weights, &spec, out, &error));
  CHECK_ERROR (error, TENSOR, BAD_FILE, "\"t\"", found, index, "expected a finite number");
}

static void
test_not_finite (void)
{
  refuse_value ("F32", (const float[]){ 0, 1, 2, (float)NAN }, 4, "found NaN", "index 3");
  refuse_value ("F32", (const float[]){ (float)INFINITY, 1, 2, 3 }, 4, "found Inf", "index 0");
  refuse_value ("F32", (const float[]){ 0, -(float)INFINITY, (float)NAN, 3 }, 4, "found -Inf",
                "index 1");
  refuse_value ("F16", (const guint16[]){ 0, 0, GUINT16_TO_LE (0x7c01), 0 }, 2, "found NaN",
                "index 2");
  refuse_value ("F16", (const guint16[]){ 0, GUINT16_TO_LE (0xfc00), 0, 0 }, 2, "found -Inf",
                "index 1");
  refuse_value ("BF16", (const guint16[]){ GUINT16_TO_LE (0xffc0), 0, 0, 0 }, 2, "found NaN",
                "index 0");
  refuse_value ("BF16", (const guint16[]){ 0, 0, 0, GUINT16_TO_LE (0x7f80) }, 2, "found Inf",
                "index 3");
}

/* The same through a real file. */
static void
test_open (void)
{
  g_autofree char *path = NULL;
  g_autoptr (GBytes) bytes = file_bytes ("{\"t\":{" F32_2 "}}", 8);
  const CgTensorSpec spec = { "t", 1, { 2 } };
  g_autoptr (GError) error = NULL;
  g_autoptr (CgWeights) weights = NULL;
  float out[2] = { 7, 7 };
  int fd = g_file_open_tmp ("cityguessr-XXXXXX", &path, &error);

  g_assert_no_error (error);
  close (fd);
  g_assert_true (g_file_set_contents (path, g_bytes_get_data (bytes, NULL),
                                      (gssize)g_bytes_get_size (bytes), &error));
  weights = cg_weights_open (path, &error);
  g_assert_no_error (error);
  g_assert_cmpstr (cg_weights_name (weights), ==, path);
  g_assert_true (cg_weights_read (weights, &spec, out, &error));
  g_assert_cmpfloat (out[0], ==, 0);
  g_assert_cmpfloat (out[1], ==, 0);
  g_unlink (path);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (refused); i++) {
    g_autofree char *path = g_strdup_printf ("/weights/refused/%s", refused[i].title);
    g_test_add_data_func (path, &refused[i], test_refused);
  }
  g_test_add_func ("/weights/refused/header-length", test_header_length);
  g_test_add_func ("/weights/refused/nul-in-name", test_nul_in_name);
  g_test_add_func ("/weights/refused/truncated", test_truncated);
  g_test_add_func ("/weights/refused/too-many", test_too_many);
  g_test_add_func ("/weights/refused/not-a-file", test_not_a_file);
  g_test_add_func ("/weights/refused/huge-sparse-file", test_huge_sparse_file);
  g_test_add_func ("/weights/refused/not-finite", test_not_finite);
  g_test_add_func ("/weights/accepted", test_accepted);
  g_test_add_func ("/weights/limits-reached", test_limits_reached);
  g_test_add_func ("/weights/check", test_check);
  g_test_add_func ("/weights/read/f32", test_read_f32);
  g_test_add_func ("/weights/read/f16", test_read_f16);
  g_test_add_func ("/weights/read/bf16", test_read_bf16);
  g_test_add_func ("/weights/open", test_open);
  return g_test_run ();
}
