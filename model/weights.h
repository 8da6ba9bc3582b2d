/* Strict safetensors reader: bytes in, checked tensors out. Knows nothing of the network.
 *
 * The file format is safetensors: a little-endian u64 header length N, N bytes of JSON, then the
 * data. This reader accepts a strict subset of it, because a model file is input like any other:
 *   - a regular file of at least 10 bytes and at most 8 GiB (the largest encoder of network.h takes
 *     5.4 GB), 2 <= N <= 1 MiB, 8 + N <= size; read into memory, never mapped (a mapped file can be
 *     truncated under us), and the header checked before room is made for the data;
 *   - a JSON object, one level of names; each tensor an object with exactly the keys dtype, shape,
 *     data_offsets; `__metadata__` an object of strings. Strings are valid UTF-8 without control
 *     characters or NUL; of the escapes only \" \\ \/ are read. Integers are plain digits;
 *   - at most 4096 tensors and 64 strings of metadata, names of 1 to 128 bytes, rank at most 5, no name twice;
 *   - dtype F32, F16 or BF16; sizes multiplied with overflow checks; in the order of their offsets
 *     the tensors are contiguous from 0, without holes or overlap, and end where the file ends.
 * One linear pass, no recursion (weights-header.h). No size in the file sizes an allocation beyond the file's own.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "error.h"

G_BEGIN_DECLS

#define CG_WEIGHTS_MAX_HEADER G_GUINT64_CONSTANT (1048576)
#define CG_WEIGHTS_MAX_FILE G_GUINT64_CONSTANT (8589934592)

#define CG_TENSOR_MAX_RANK 5
#define CG_TENSOR_NAME_SIZE 129 /* 128 bytes and the NUL */

/** CgTensorSpec: one row of the table that a geometry implies: what a tensor must look like.
 * @name: NUL-terminated
 * @rank, @shape: row-major extents; the last varies fastest
 */
typedef struct {
  char name[CG_TENSOR_NAME_SIZE];
  guint rank;
  gsize shape[CG_TENSOR_MAX_RANK];
} CgTensorSpec;

/** cg_tensor_spec_elements: product of the extents. The table's own sizes never overflow. */
gsize cg_tensor_spec_elements (const CgTensorSpec *spec);

typedef struct _CgWeights CgWeights;

/** cg_weights_open: reads and checks the file at @path.
 * Returns: (transfer full): immutable, any thread may read it; free with cg_weights_free().
 * Errors: NOT_FOUND, READ, FORMAT, TENSOR, MEMORY. */
CgWeights *cg_weights_open (const char *path, GError **error);

/** cg_weights_open_bytes: the same over memory; @name stands for the path in messages. */
CgWeights *cg_weights_open_bytes (GBytes *bytes, const char *name, GError **error);

void cg_weights_free (CgWeights *weights);

/** cg_weights_metadata: the value of @key in `__metadata__`, or NULL. Owned by @weights. */
const char *cg_weights_metadata (const CgWeights *weights, const char *key);

/** cg_weights_name: the path or name that messages use. */
const char *cg_weights_name (const CgWeights *weights);

/** cg_weights_n_tensors, cg_weights_tensor: what the file holds, in the order of their
 * data, for inspection.
 * @dtype: (out) (optional): static string "F32", "F16" or "BF16". The row is owned by @weights. */
guint cg_weights_n_tensors (const CgWeights *weights);
const CgTensorSpec *cg_weights_tensor (const CgWeights *weights, guint i, const char **dtype);

/** cg_weights_check: the file holds exactly the tensors of @table, each with that shape.
 * Errors: TENSOR, naming the file, the tensor, what was found and what was expected. */
gboolean cg_weights_check (const CgWeights *weights, const CgTensorSpec *table, guint n,
                           GError **error);

/** cg_weights_read: the tensor @spec->name as float32, row-major, into @out (elements of @spec).
 * F16 and BF16 are widened exactly. Errors: TENSOR if absent, misshapen, or if any value is not
 * finite (the message names its index). */
gboolean cg_weights_read (const CgWeights *weights, const CgTensorSpec *spec, float *out,
                          GError **error);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (CgWeights, cg_weights_free)

G_END_DECLS
