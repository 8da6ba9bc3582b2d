/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "weights-header.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MIN_FILE_SIZE 10

struct _CgWeights {
  char *name;
  CgWeightsHeader *header;
  GBytes *bytes; /* what owns data, or NULL if owned is set */
  guint8 *owned;
  const guint8 *data;
};

gsize
cg_tensor_spec_elements (const CgTensorSpec *spec)
{
  gsize n = 1;

  for (guint i = 0; i < spec->rank; i++)
    n *= spec->shape[i];
  return n;
}

/* ---- opening ---- */

static CgWeights *
weights_new (const char *name)
{
  CgWeights *weights = g_new0 (CgWeights, 1);

  weights->name = g_filename_display_name (name);
  return weights;
}

void
cg_weights_free (CgWeights *weights)
{
  if (!weights)
    return;
  cg_weights_header_free (weights->header);
  g_bytes_unref (weights->bytes);
  g_free (weights->owned);
  g_free (weights->name);
  g_free (weights);
}

/* The first 8 bytes, checked: where the header ends is then 8 + @length, inside the file. */
static gboolean
read_header_length (const CgWeights *weights, const guint8 *prefix, guint64 file_size,
                    gsize *length, GError **error)
{
  guint64 n = 0;

  for (guint i = 0; i < 8; i++)
    n |= (guint64)prefix[i] << (8 * i);
  if (n < 2 || n > CG_WEIGHTS_MAX_HEADER || n > file_size - 8) {
    g_set_error (error, CG_ERROR, CG_ERROR_FORMAT,
                 "%s: found a header of %" G_GUINT64_FORMAT
                 " bytes, expected 2 to %" G_GUINT64_FORMAT " in this file of %" G_GUINT64_FORMAT
                 "; is it a .safetensors file?",
                 weights->name, n, MIN (CG_WEIGHTS_MAX_HEADER, file_size - 8), file_size);
    return FALSE;
  }
  *length = (gsize)n;
  return TRUE;
}

static gboolean
check_file_size (const CgWeights *weights, guint64 size, GError **error)
{
  if (size >= MIN_FILE_SIZE && size <= CG_WEIGHTS_MAX_FILE)
    return TRUE;
  g_set_error (error, CG_ERROR, CG_ERROR_FORMAT,
               "%s: found a file of %" G_GUINT64_FORMAT " bytes, expected %d to %" G_GUINT64_FORMAT,
               weights->name, size, MIN_FILE_SIZE, CG_WEIGHTS_MAX_FILE);
  return FALSE;
}

static gboolean
parse_header (CgWeights *weights, const char *text, gsize length, guint64 data_size, GError **error)
{
  weights->header = cg_weights_header_parse (text, length, data_size, weights->name, error);
  return weights->header != NULL;
}

CgWeights *
cg_weights_open_bytes (GBytes *bytes, const char *name, GError **error)
{
  g_autoptr (CgWeights) weights = weights_new (name);
  gsize size, length;
  const guint8 *file = g_bytes_get_data (bytes, &size);

  if (!check_file_size (weights, size, error) ||
      !read_header_length (weights, file, size, &length, error) ||
      !parse_header (weights, (const char *)file + 8, length, size - 8 - length, error))
    return NULL;
  weights->bytes = g_bytes_ref (bytes);
  weights->data = file + 8 + length;
  return g_steal_pointer (&weights);
}

static gboolean
read_exactly (const CgWeights *weights, int fd, gpointer buffer, gsize size, GError **error)
{
  guint8 *at = buffer;

  while (size > 0) {
    gssize n = read (fd, at, MIN (size, (gsize)1 << 30));
    if (n < 0 && errno == EINTR)
      continue;
    if (n <= 0) {
      g_set_error (error, CG_ERROR, CG_ERROR_READ, "%s: %s", weights->name,
                   n < 0 ? g_strerror (errno) : "the file became shorter while it was read");
      return FALSE;
    }
    at += n;
    size -= (gsize)n;
  }
  return TRUE;
}

static guint8 *
try_allocate (const CgWeights *weights, gsize size, GError **error)
{
  guint8 *memory = g_try_malloc (MAX (size, 1));

  if (!memory)
    g_set_error (error, CG_ERROR, CG_ERROR_MEMORY, "%s: no memory for its %zu bytes", weights->name,
                 size);
  return memory;
}

/* The header is read and checked before room is made for the data: a large file that is no model
 * costs little. */
static gboolean
read_file (CgWeights *weights, int fd, GError **error)
{
  g_autofree guint8 *header = NULL;
  guint8 prefix[8];
  struct stat info;
  guint64 file_size, data_size;
  gsize length;

  if (fstat (fd, &info) != 0 || !S_ISREG (info.st_mode)) {
    g_set_error (error, CG_ERROR, CG_ERROR_READ, "%s: found %s, expected a regular file",
                 weights->name,
                 S_ISDIR (info.st_mode) ? "a directory" : "a device, pipe or socket");
    return FALSE;
  }
  file_size = (guint64)info.st_size;
  if (!check_file_size (weights, file_size, error) ||
      !read_exactly (weights, fd, prefix, sizeof prefix, error) ||
      !read_header_length (weights, prefix, file_size, &length, error) ||
      !(header = try_allocate (weights, length, error)) ||
      !read_exactly (weights, fd, header, length, error))
    return FALSE;
  data_size = file_size - 8 - length;
  if (!parse_header (weights, (const char *)header, length, data_size, error) ||
      !(weights->owned = try_allocate (weights, (gsize)data_size, error)) ||
      !read_exactly (weights, fd, weights->owned, (gsize)data_size, error))
    return FALSE;
  weights->data = weights->owned;
  return TRUE;
}

CgWeights *
cg_weights_open (const char *path, GError **error)
{
  g_autoptr (CgWeights) weights = weights_new (path);
  /* O_NONBLOCK: opening a pipe must not wait for somebody to write into it. */
  int fd = open (path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  gboolean ok;

  if (fd < 0) {
    int code = errno == ENOENT || errno == ENOTDIR ? CG_ERROR_NOT_FOUND : CG_ERROR_READ;
    g_set_error (error, CG_ERROR, code, "%s: %s", weights->name, g_strerror (errno));
    return NULL;
  }
  ok = read_file (weights, fd, error);
  close (fd);
  return ok ? g_steal_pointer (&weights) : NULL;
}

/* ---- reading ---- */

const char *
cg_weights_metadata (const CgWeights *weights, const char *key)
{
  return cg_weights_header_metadata (weights->header, key);
}

const char *
cg_weights_name (const CgWeights *weights)
{
  return weights->name;
}

guint
cg_weights_n_tensors (const CgWeights *weights)
{
  return weights->header->tensors->len;
}

const CgTensorSpec *
cg_weights_tensor (const CgWeights *weights, guint i, const char **dtype)
{
  const CgStoredTensor *t = cg_weights_header_tensor (weights->header, i);

  if (dtype)
    *dtype = cg_dtypes[t->dtype].name;
  return &t->spec;
}

/* The tensor that @spec describes; it must have that shape. */
static const CgStoredTensor *
match_tensor (const CgWeights *weights, const CgTensorSpec *spec, GError **error)
{
  g_autofree char *expected = cg_tensor_spec_shape (spec);
  g_autofree char *found = NULL;
  gint i = cg_weights_header_find (weights->header, spec->name);

  if (i < 0) {
    cg_tensor_error (weights->name, spec->name, error,
                     "found nothing, expected a tensor of shape %s", expected);
    return NULL;
  }
  found = cg_tensor_spec_shape (&cg_weights_header_tensor (weights->header, (guint)i)->spec);
  if (strcmp (found, expected) != 0) {
    cg_tensor_error (weights->name, spec->name, error, "found shape %s, expected %s", found,
                     expected);
    return NULL;
  }
  return cg_weights_header_tensor (weights->header, (guint)i);
}

gboolean
cg_weights_check (const CgWeights *weights, const CgTensorSpec *table, guint n, GError **error)
{
  g_autofree gboolean *known = g_new0 (gboolean, weights->header->tensors->len);

  for (guint i = 0; i < n; i++) {
    if (!match_tensor (weights, &table[i], error))
      return FALSE;
    known[cg_weights_header_find (weights->header, table[i].name)] = TRUE;
  }
  for (guint i = 0; i < weights->header->tensors->len; i++)
    if (!known[i]) {
      g_autofree char *shape =
          cg_tensor_spec_shape (&cg_weights_header_tensor (weights->header, i)->spec);
      return cg_tensor_error (
          weights->name, cg_weights_header_tensor (weights->header, i)->spec.name, error,
          "found shape %s, expected no tensor of this name in this geometry", shape);
    }
  return TRUE;
}

static guint32
widen_f16 (guint16 half)
{
  guint32 sign = (guint32)(half & 0x8000) << 16;
  guint32 exponent = (half >> 10) & 31;
  guint32 mantissa = half & 1023;

  if (exponent == 31)
    return sign | 0x7f800000 | mantissa << 13;
  if (exponent > 0)
    return sign | (exponent + 127 - 15) << 23 | mantissa << 13;
  if (mantissa == 0)
    return sign;
  for (exponent = 127 - 14; !(mantissa & 1024); exponent--) /* a subnormal becomes normal */
    mantissa <<= 1;
  return sign | exponent << 23 | (mantissa & 1023) << 13;
}

/* The bits of element @i as float32. Data need not be aligned. */
static guint32
load_bits (const guint8 *data, CgDtype dtype, gsize i)
{
  guint32 word;
  guint16 half;

  if (dtype == CG_DTYPE_F32) {
    memcpy (&word, data + 4 * i, sizeof word);
    return GUINT32_FROM_LE (word);
  }
  memcpy (&half, data + 2 * i, sizeof half);
  half = GUINT16_FROM_LE (half);
  return dtype == CG_DTYPE_BF16 ? (guint32)half << 16 : widen_f16 (half);
}

gboolean
cg_weights_read (const CgWeights *weights, const CgTensorSpec *spec, float *out, GError **error)
{
  const CgStoredTensor *t = match_tensor (weights, spec, error);
  gsize n;

  if (!t)
    return FALSE;
  n = cg_tensor_spec_elements (&t->spec);
  for (gsize i = 0; i < n; i++) {
    guint32 bits = load_bits (weights->data + t->begin, t->dtype, i);
    if ((bits & 0x7f800000) == 0x7f800000)
      return cg_tensor_error (weights->name, spec->name, error,
                              "found %s at index %zu, expected a finite number",
                              bits & 0x7fffff      ? "NaN"
                              : bits & 0x80000000u ? "-Inf"
                                                   : "Inf",
                              i);
    memcpy (&out[i], &bits, sizeof bits);
  }
  return TRUE;
}
