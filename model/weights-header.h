/* The JSON header of a safetensors file: text in, checked table of tensors out. The rules are those of
 * weights.h; this is their scanner. Only weights.c uses it.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "weights.h"

G_BEGIN_DECLS

typedef enum { CG_DTYPE_F32, CG_DTYPE_F16, CG_DTYPE_BF16 } CgDtype;

/** CgDtypeInfo: the name in the file and the bytes of one element. */
typedef struct {
  const char *name;
  gsize size;
} CgDtypeInfo;
extern const CgDtypeInfo cg_dtypes[3];

/** CgStoredTensor: @begin, @end: bytes from the start of the data. */
typedef struct {
  CgTensorSpec spec;
  CgDtype dtype;
  guint64 begin, end;
} CgStoredTensor;

/** CgWeightsHeader: immutable once parsed.
 * @file: names the file in messages
 * @tensors: of CgStoredTensor, in the order of their data: contiguous from 0 to the end
 * @by_name: of guint: indices into @tensors, sorted by name
 * @metadata: of pairs char *[2], key and value */
typedef struct {
  char *file;
  GArray *tensors;
  GArray *by_name;
  GArray *metadata;
} CgWeightsHeader;

/** cg_weights_header_parse: @length bytes of @text, not NUL-terminated, of a @file with @data_size
 * bytes of data behind it. Returns: (transfer full). Errors: FORMAT, TENSOR. */
CgWeightsHeader *cg_weights_header_parse (const char *text, gsize length, guint64 data_size,
                                          const char *file, GError **error);
void cg_weights_header_free (CgWeightsHeader *header);

/** cg_weights_header_tensor: number @i in the order of their data. Owned by @header. */
const CgStoredTensor *cg_weights_header_tensor (const CgWeightsHeader *header, guint i);

/** cg_weights_header_find: the index of the tensor called @name, or -1. */
gint cg_weights_header_find (const CgWeightsHeader *header, const char *name);

/** cg_weights_header_metadata: the value of @key in `__metadata__`, or NULL. Owned by @header. */
const char *cg_weights_header_metadata (const CgWeightsHeader *header, const char *key);

/** cg_tensor_error: sets CG_ERROR_TENSOR, "FILE: tensor "NAME": …". Returns FALSE. */
gboolean cg_tensor_error (const char *file, const char *tensor, GError **error, const char *format,
                          ...) G_GNUC_PRINTF (4, 5);

/** cg_tensor_spec_shape: "[384, 1536]" (transfer full). */
char *cg_tensor_spec_shape (const CgTensorSpec *spec);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (CgWeightsHeader, cg_weights_header_free)

G_END_DECLS
