/* The fakes themselves: lateness, capture, failures and faults; and their arithmetic against plain loops.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include <cublasLt.h>
#include <cudnn.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "fake/fake.h"
#include "fake/numbers.h"

#define OK(call) g_assert_cmpint (call, ==, 0)

static void
expect_faults (const char *part)
{
  g_autofree char *faults = cg_fake_faults ();
  if (part)
    g_assert_nonnull (strstr (faults, part));
  else
    g_assert_cmpstr (faults, ==, "");
  cg_fake_reset ();
}

static void
expect_no_leaks (void)
{
  g_autofree char *leaks = cg_fake_leaks ();
  g_assert_cmpstr (leaks, ==, "");
}

static void *
device_new (gsize size)
{
  void *pointer;
  OK (cudaMalloc (&pointer, size));
  return pointer;
}

static void *
pinned_new (gsize size)
{
  void *pointer;
  OK (cudaHostAlloc (&pointer, size, 0));
  return pointer;
}

static cudaStream_t
stream_new (void)
{
  cudaStream_t stream;
  OK (cudaStreamCreateWithFlags (&stream, cudaStreamNonBlocking));
  return stream;
}

/* ---- numbers ---- */

static void
test_numbers (void)
{
  for (guint bits = 0; bits < 65536; bits++) {
    const guint16 code = (guint16)bits;
    _Float16 half;
    memcpy (&half, &code, 2);
    const gdouble value = fake_load (FAKE_FP16, &code, 0);
    g_assert_true (isnan (value) ? isnan ((gdouble)half) : value == (gdouble)half);
    if (!isnan (value)) {
      guint16 stored;
      fake_store (FAKE_FP16, &stored, 0, value);
      g_assert_cmphex (stored, ==, code);
    }
  }
  for (guint i = 0; i < 100000; i++) {
    const gdouble value = ldexp (g_test_rand_double_range (-1, 1), g_test_rand_int_range (-30, 18));
    const _Float16 half = (_Float16)value;
    guint16 stored, expected;
    fake_store (FAKE_FP16, &stored, 0, value);
    memcpy (&expected, &half, 2);
    g_assert_cmphex (stored, ==, expected);

    const float single = (float)value;
    guint32 wide;
    memcpy (&wide, &single, 4);
    fake_store (FAKE_BF16, &stored, 0, single);
    wide += 0x7FFF + ((wide >> 16) & 1);
    g_assert_cmphex (stored, ==, wide >> 16);
  }
  g_assert_cmpfloat (fake_tf32 (1 + 1.0 / 1024 + 1.0 / 4096), ==, 1 + 1.0 / 1024);
}

/* ---- memory and streams ---- */

static void
test_late (void)
{
  cudaStream_t stream = stream_new ();
  guint8 *device = device_new (4), *from = pinned_new (4), *to = pinned_new (4);
  guint8 pageable = 7;

  /* Given a copy from pinned memory, when the memory changes before anybody waited, then what it is now arrives. */
  memset (from, 1, 4);
  OK (cudaMemcpyAsync (device, from, 4, cudaMemcpyHostToDevice, stream));
  g_assert_cmpuint (device[0], ==, 0xFF);
  memset (from, 2, 4);
  OK (cudaMemcpyAsync (to, device, 4, cudaMemcpyDeviceToHost, stream));
  OK (cudaStreamSynchronize (stream));
  g_assert_cmpuint (to[0], ==, 2);

  /* From pageable memory: what it was. */
  OK (cudaMemcpyAsync (device, &pageable, 1, cudaMemcpyHostToDevice, stream));
  pageable = 8;
  OK (cudaStreamSynchronize (stream));
  g_assert_cmpuint (device[0], ==, 7);

  OK (cudaFree (device));
  OK (cudaFreeHost (from));
  OK (cudaFreeHost (to));
  OK (cudaStreamDestroy (stream));
  expect_no_leaks ();
  expect_faults (NULL);
}

static void
test_events (void)
{
  cudaStream_t a = stream_new (), b = stream_new ();
  cudaEvent_t event, end;
  guint8 *device = device_new (1), *copy = device_new (1);
  float ms;

  OK (cudaEventCreateWithFlags (&event, 0));
  OK (cudaEventCreateWithFlags (&end, 0));

  /* Without the wait b is done first. */
  OK (cudaMemsetAsync (device, 1, 1, a));
  OK (cudaMemcpyAsync (copy, device, 1, cudaMemcpyDeviceToDevice, b));
  OK (cudaStreamSynchronize (b));
  g_assert_cmpuint (*copy, ==, 0xFF);
  OK (cudaStreamSynchronize (a));

  OK (cudaMemsetAsync (device, 2, 1, a));
  OK (cudaEventRecord (event, a));
  OK (cudaStreamWaitEvent (b, event, 0));
  OK (cudaMemcpyAsync (copy, device, 1, cudaMemcpyDeviceToDevice, b));
  OK (cudaEventRecord (end, b));
  g_assert_cmpint (cudaEventQuery (end), ==, cudaErrorNotReady);
  g_assert_cmpint (cudaEventElapsedTime (&ms, event, end), ==, cudaErrorNotReady);
  OK (cudaStreamSynchronize (b));
  g_assert_cmpuint (*copy, ==, 2);
  OK (cudaEventElapsedTime (&ms, event, end));
  g_assert_cmpfloat (ms, >, 0);

  OK (cudaEventDestroy (event));
  OK (cudaEventDestroy (end));
  OK (cudaStreamDestroy (a));
  OK (cudaStreamDestroy (b));
  OK (cudaFree (device));
  OK (cudaFree (copy));
  expect_no_leaks ();
  expect_faults (NULL);
}

static void
add_one (void *data)
{
  ++**(guint8 **)data;
}

static void
test_graph (void)
{
  cudaStream_t stream = stream_new ();
  cudaGraph_t graph;
  cudaGraphExec_t exec;
  guint8 *device = device_new (1), *wanted = pinned_new (1);

  OK (cudaStreamBeginCapture (stream, cudaStreamCaptureModeThreadLocal));
  OK (cudaMemcpyAsync (device, wanted, 1, cudaMemcpyHostToDevice, stream));
  OK (cg_fake_launch (stream, "add_one", add_one, g_memdup2 (&device, sizeof device), g_free));
  OK (cudaStreamEndCapture (stream, &graph));
  OK (cudaGraphInstantiate (&exec, graph, 0));
  OK (cudaGraphDestroy (graph));
  OK (cudaStreamSynchronize (stream));
  g_assert_cmpuint (*device, ==, 0xFF);
  for (guint8 i = 0; i < 3; i++) {
    *wanted = i;
    OK (cudaGraphLaunch (exec, stream));
    OK (cudaStreamSynchronize (stream));
    g_assert_cmpuint (*device, ==, i + 1);
  }

  /* What could wait for the device spoils a capture. */
  void *more;
  OK (cudaStreamBeginCapture (stream, cudaStreamCaptureModeThreadLocal));
  g_assert_cmpint (cudaMalloc (&more, 1), ==, cudaErrorStreamCaptureUnsupported);
  g_assert_cmpint (cudaStreamEndCapture (stream, &graph), ==, cudaErrorStreamCaptureInvalidated);

  OK (cudaGraphExecDestroy (exec));
  OK (cudaStreamDestroy (stream));
  OK (cudaFree (device));
  OK (cudaFreeHost (wanted));
  expect_no_leaks ();
  expect_faults (NULL);
}

static void
test_faults (void)
{
  cudaStream_t stream = stream_new ();
  guint8 *device = device_new (16), *other = device_new (16);

  OK (cudaMemsetAsync (device + 8, 0, 9, stream));
  expect_faults (NULL); /* not yet */
  OK (cudaMemcpyAsync (device, other, 16, cudaMemcpyDeviceToDevice, stream));
  OK (cudaStreamSynchronize (stream));
  expect_faults ("9 bytes from offset 8");

  device[16] = 0xFF; /* the memset went past the end: mend the guard */
  device[-1] = 0;
  expect_faults ("written to outside");
  device[-1] = 0xFF;

  g_assert_cmpint (cudaFree (device + 1), ==, cudaErrorInvalidValue);
  expect_faults ("not the beginning");
  OK (cudaFree (device));
  g_assert_cmpint (cudaMemcpyAsync (device, other, 1, cudaMemcpyDeviceToDevice, stream), ==,
                   cudaErrorInvalidValue);
  expect_faults ("direction");

  gpointer context = cg_fake_context_new (0);
  void *function;
  enum cudaDriverEntryPointQueryResult found;
  OK (cudaGetDriverEntryPointByVersion ("cuCtxPushCurrent", &function, 12000, 0, &found));
  int (*push) (void *);
  memcpy (&push, &function, sizeof push);
  OK (cudaGetDriverEntryPointByVersion ("cuCtxPopCurrent", &function, 12000, 0, &found));
  int (*pop) (void **);
  memcpy (&pop, &function, sizeof pop);
  OK (push (context));
  g_assert_cmpint (cudaMemsetAsync (other, 0, 1, stream), ==, cudaErrorInvalidResourceHandle);
  g_autofree char *entered = cg_fake_leaks ();
  g_assert_nonnull (strstr (entered, "1 contexts"));
  const gpointer arguments[] = { &function, NULL, other };
  cg_fake_check_arguments ("a kernel", arguments, 2 * sizeof (gpointer));
  g_autofree char *faults = cg_fake_faults ();
  g_assert_null (strstr (faults, "a kernel"));
  cg_fake_check_arguments ("a kernel", arguments, sizeof arguments);
  OK (pop (&function));
  g_assert_true (function == context);
  cg_fake_context_free (context);
  g_autofree char *both = cg_fake_faults ();
  g_assert_nonnull (strstr (both, "a kernel: argument"));
  expect_faults ("context that is not current");
  cg_fake_check_arguments ("a kernel", arguments, sizeof arguments);
  expect_faults (NULL);

  char *leaks = cg_fake_leaks ();
  g_assert_cmpstr (leaks, ==, "1 device allocations\n1 streams\n");
  g_free (leaks);
  OK (cudaFree (other));
  OK (cudaStreamDestroy (stream));
  expect_no_leaks ();
}

static void
test_failures (void)
{
  void *pointer;

  cg_fake_settings.memory = 1000;
  g_assert_cmpint (cudaMalloc (&pointer, 1001), ==, cudaErrorMemoryAllocation);
  g_assert_cmpint (cudaGetLastError (), ==, cudaErrorMemoryAllocation);
  g_assert_cmpint (cudaGetLastError (), ==, cudaSuccess);
  cg_fake_reset ();

  cg_fake_settings.fail_at = 2;
  pointer = device_new (1);
  cudaStream_t stream = NULL;
  g_assert_cmpint (cudaStreamCreateWithFlags (&stream, 0), ==, cudaErrorMemoryAllocation);
  g_assert_cmpstr (cg_fake_fail_name (), ==, "cudaStreamCreateWithPriority");
  stream = stream_new ();
  cg_fake_reset ();

  cg_fake_settings.lose_op_at = 2;
  OK (cudaMemsetAsync (pointer, 1, 1, stream));
  OK (cudaMemsetAsync (pointer, 2, 1, stream));
  g_assert_cmpint (cudaStreamSynchronize (stream), ==, cudaErrorIllegalAddress);
  g_assert_cmpint (cudaMemsetAsync (pointer, 3, 1, stream), ==, cudaErrorIllegalAddress);
  g_assert_cmpuint (*(guint8 *)pointer, ==, 1);
  cudaFree (pointer);
  cudaStreamDestroy (stream);
  expect_no_leaks ();
  expect_faults (NULL);
}

/* ---- cuBLASLt ---- */

static const cudaDataType_t types[] = { CUDA_R_32F, CUDA_R_16F, CUDA_R_16BF };

static void *
random_new (FakeType type, gsize n)
{
  void *values = device_new (n * fake_size (type));
  for (gsize i = 0; i < n; i++)
    fake_store (type, values, (gint64)i, g_test_rand_double_range (-1, 1));
  return values;
}

static void
near (FakeType type, gdouble found, gdouble expected)
{
  const gdouble ulp = type == FAKE_FP32 ? 1e-6 : type == FAKE_FP16 ? 1e-3 : 8e-3;
  g_assert_cmpfloat (fabs (found - expected), <=, ulp * (1 + fabs (expected)));
}

typedef struct {
  FakeType in, out;
  gboolean transpose, row_major, bias;
  gfloat beta;
  gint m, n, k, batch;
} Case;

/* D[b] = op (A[b]) B[b] + beta C (+ bias), in the words of the manual: element (i, j) of a column-major matrix is at
 * i + j ld. C's batches are all the same. */
static void
check_product (cublasLtHandle_t handle, cudaStream_t stream, const Case *t)
{
  const gint pad = 8;
  const gint a_rows = t->transpose ? t->k : t->m, a_columns = t->transpose ? t->m : t->k;
  const gint a_ld = a_rows + pad, b_ld = (t->row_major ? t->n : t->k) + pad, d_ld = t->m + 2 * pad;
  /* Each of the batch is as aligned as the first. */
  const gint a_step = (a_ld * a_columns + 7) / 8 * 8;
  const gint b_step = (b_ld * (t->row_major ? t->k : t->n) + 7) / 8 * 8;
  const gint d_step = (d_ld * t->n + 7) / 8 * 8;
  void *a = random_new (t->in, (gsize)a_step * t->batch);
  void *b = random_new (t->in, (gsize)b_step * t->batch);
  void *c = random_new (t->out, (gsize)d_step), *bias = random_new (t->out, (gsize)t->m);
  void *d = device_new ((gsize)d_step * t->batch * fake_size (t->out)),
       *work = device_new (1 << 16);
  cublasLtMatmulDesc_t operation;
  cublasLtMatrixLayout_t layouts[4];
  cublasLtMatmulPreference_t preference;
  cublasLtMatmulHeuristicResult_t results[8];
  const gint32 transposed = CUBLAS_OP_T, row = CUBLASLT_ORDER_ROW;
  const guint32 with_bias = CUBLASLT_EPILOGUE_BIAS;
  const guint64 most = 1 << 16;
  const guint32 reductions = CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE;
  const gfloat one = 1;
  gint n;

  OK (cublasLtMatmulDescCreate (&operation, CUBLAS_COMPUTE_32F, CUDA_R_32F));
  if (t->transpose)
    OK (cublasLtMatmulDescSetAttribute (operation, CUBLASLT_MATMUL_DESC_TRANSA, &transposed, 4));
  if (t->bias) {
    OK (cublasLtMatmulDescSetAttribute (operation, CUBLASLT_MATMUL_DESC_EPILOGUE, &with_bias, 4));
    OK (cublasLtMatmulDescSetAttribute (operation, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &bias, 8));
  }
  OK (cublasLtMatrixLayoutCreate (&layouts[0], types[t->in], (guint64)a_rows, (guint64)a_columns,
                                  a_ld));
  OK (cublasLtMatrixLayoutCreate (&layouts[1], types[t->in], (guint64)t->k, (guint64)t->n, b_ld));
  OK (cublasLtMatrixLayoutCreate (&layouts[2], types[t->out], (guint64)t->m, (guint64)t->n, d_ld));
  OK (cublasLtMatrixLayoutCreate (&layouts[3], types[t->out], (guint64)t->m, (guint64)t->n, d_ld));
  if (t->row_major)
    OK (cublasLtMatrixLayoutSetAttribute (layouts[1], CUBLASLT_MATRIX_LAYOUT_ORDER, &row, 4));
  const gint64 steps[] = { a_step, b_step, 0, d_step };
  for (guint i = 0; i < 4; i++) {
    OK (cublasLtMatrixLayoutSetAttribute (layouts[i], CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, &t->batch,
                                          4));
    OK (cublasLtMatrixLayoutSetAttribute (layouts[i], CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET,
                                          &steps[i], 8));
  }
  OK (cublasLtMatmulPreferenceCreate (&preference));
  OK (cublasLtMatmulPreferenceSetAttribute (preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES,
                                            &most, 8));
  OK (cublasLtMatmulPreferenceSetAttribute (preference, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK,
                                            &reductions, 4));
  OK (cublasLtMatmulAlgoGetHeuristic (handle, operation, layouts[0], layouts[1], layouts[2],
                                      layouts[3], preference, 8, results, &n));
  g_assert_cmpint (n, ==, 3);
  OK (cublasLtMatmul (handle, operation, &one, a, layouts[0], b, layouts[1], &t->beta, c,
                      layouts[2], d, layouts[3], &results[2].algo, work, 1 << 16, stream));
  OK (cudaStreamSynchronize (stream));

  for (gint z = 0; z < t->batch; z++)
    for (gint i = 0; i < t->m; i++)
      for (gint j = 0; j < t->n; j++) {
        gdouble sum = t->bias ? fake_load (t->out, bias, i) : 0;
        for (gint l = 0; l < t->k; l++)
          sum += fake_load (t->in, a, z * a_step + (t->transpose ? l + i * a_ld : i + l * a_ld)) *
                 fake_load (t->in, b, z * b_step + (t->row_major ? j + l * b_ld : l + j * b_ld));
        if (t->beta != 0)
          sum += t->beta * fake_load (t->out, c, i + j * d_ld);
        near (t->out, fake_load (t->out, d, z * d_step + i + j * d_ld), sum);
      }

  OK (cublasLtMatmulPreferenceDestroy (preference));
  OK (cublasLtMatmulDescDestroy (operation));
  for (guint i = 0; i < 4; i++)
    OK (cublasLtMatrixLayoutDestroy (layouts[i]));
  void *all[] = { a, b, c, d, bias, work };
  for (guint i = 0; i < G_N_ELEMENTS (all); i++)
    OK (cudaFree (all[i]));
}

static void
test_product (void)
{
  const Case cases[] = {
    { FAKE_FP32, FAKE_FP32, FALSE, FALSE, FALSE, 0, 3, 5, 7, 1 },
    { FAKE_FP32, FAKE_FP32, TRUE, TRUE, TRUE, 1, 8, 2, 9, 2 },
    { FAKE_FP16, FAKE_FP16, TRUE, FALSE, TRUE, 0, 16, 11, 24, 1 },
    { FAKE_FP16, FAKE_FP32, TRUE, FALSE, FALSE, 1, 8, 5, 32, 3 },
    { FAKE_BF16, FAKE_BF16, FALSE, TRUE, FALSE, 0.5f, 8, 6, 10, 2 },
    { FAKE_BF16, FAKE_FP32, FALSE, FALSE, TRUE, 0, 1, 1, 1, 4 },
  };
  cublasLtHandle_t handle;
  cudaStream_t stream = stream_new ();

  OK (cublasLtCreate (&handle));
  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    check_product (handle, stream, &cases[i]);
  OK (cublasLtDestroy (handle));
  OK (cudaStreamDestroy (stream));
  expect_no_leaks ();
  expect_faults (NULL);
}

static void
test_product_refusals (void)
{
  cublasLtHandle_t handle;
  cublasLtMatmulDesc_t operation;
  cublasLtMatrixLayout_t a, short_ld, wide, half, many;
  cudaStream_t stream = stream_new ();
  float *memory = device_new (256 * 4);
  const gfloat one = 1, zero = 0;

  OK (cublasLtCreate (&handle));
  OK (cublasLtMatmulDescCreate (&operation, CUBLAS_COMPUTE_32F, CUDA_R_32F));
  OK (cublasLtMatrixLayoutCreate (&a, CUDA_R_32F, 4, 4, 4));
  OK (cublasLtMatrixLayoutCreate (&short_ld, CUDA_R_32F, 4, 4, 3));
  OK (cublasLtMatrixLayoutCreate (&wide, CUDA_R_32F, 4, 5, 4));
  OK (cublasLtMatrixLayoutCreate (&half, CUDA_R_16F, 4, 4, 4));
  OK (cublasLtMatrixLayoutCreate (&many, CUDA_R_32F, 4, 4, 4));
#define PRODUCT(A, la, lb, D, ld)                                                             \
  cublasLtMatmul (handle, operation, &one, A, la, memory + 16, lb, &zero, D, ld, D, ld, NULL, \
                  NULL, 0, stream)
  g_assert_cmpint (PRODUCT (memory, short_ld, a, memory + 32, a), ==, CUBLAS_STATUS_INVALID_VALUE);
  g_assert_cmpint (PRODUCT (memory, a, a, memory + 32, wide), ==, CUBLAS_STATUS_INVALID_VALUE);
  g_assert_cmpint (PRODUCT (memory, half, a, memory + 32, a), ==, CUBLAS_STATUS_NOT_SUPPORTED);
  expect_faults (NULL);
  g_assert_cmpint (PRODUCT (memory + 1, a, a, memory + 32, a), ==, CUBLAS_STATUS_INVALID_VALUE);
  expect_faults ("less aligned");
  const gint32 batch = 2;
  const gint64 step = 17;
  OK (cublasLtMatrixLayoutSetAttribute (many, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, &batch, 4));
  OK (cublasLtMatrixLayoutSetAttribute (many, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, &step,
                                        8));
  g_assert_cmpint (PRODUCT (memory, many, many, memory + 64, many), ==,
                   CUBLAS_STATUS_INVALID_VALUE);
  expect_faults ("less aligned");
  OK (PRODUCT (memory, a, a, memory + 12, a));
  OK (cudaStreamSynchronize (stream));
  expect_faults ("D overlaps an operand");
  OK (PRODUCT (memory, a, a, memory + 248, a));
  OK (cudaStreamSynchronize (stream));
  expect_faults ("matmul D");

  OK (cublasLtMatrixLayoutDestroy (a));
  OK (cublasLtMatrixLayoutDestroy (short_ld));
  OK (cublasLtMatrixLayoutDestroy (wide));
  OK (cublasLtMatrixLayoutDestroy (half));
  OK (cublasLtMatrixLayoutDestroy (many));
  OK (cublasLtMatmulDescDestroy (operation));
  OK (cublasLtDestroy (handle));
  OK (cudaFree (memory));
  OK (cudaStreamDestroy (stream));
  expect_no_leaks ();
}

/* ---- cuDNN ---- */

typedef cudnnBackendDescriptor_t Descriptor;

static GPtrArray *descriptors;

static Descriptor
descriptor_new (cudnnBackendDescriptorType_t type)
{
  Descriptor d;
  OK (cudnnBackendCreateDescriptor (type, &d));
  if (!descriptors)
    descriptors = g_ptr_array_new ();
  g_ptr_array_add (descriptors, d);
  return d;
}

static void
descriptors_free (void)
{
  for (guint i = 0; i < descriptors->len; i++)
    OK (cudnnBackendDestroyDescriptor (descriptors->pdata[i]));
  g_clear_pointer (&descriptors, g_ptr_array_unref);
}

#define SET(d, name, type, n, values) \
  OK (cudnnBackendSetAttribute (d, CUDNN_ATTR_##name, CUDNN_TYPE_##type, n, values))

static Descriptor
tensor_new (gint64 id, cudnnDataType_t type, guint n, const gint64 *size, const gint64 *stride,
            bool virtual, bool by_value)
{
  Descriptor d = descriptor_new (CUDNN_BACKEND_TENSOR_DESCRIPTOR);
  const gint64 alignment = 16;
  SET (d, TENSOR_UNIQUE_ID, INT64, 1, &id);
  SET (d, TENSOR_DATA_TYPE, DATA_TYPE, 1, &type);
  SET (d, TENSOR_DIMENSIONS, INT64, n, size);
  SET (d, TENSOR_STRIDES, INT64, n, stride);
  SET (d, TENSOR_BYTE_ALIGNMENT, INT64, 1, &alignment);
  SET (d, TENSOR_IS_VIRTUAL, BOOLEAN, 1, &virtual);
  SET (d, TENSOR_IS_BY_VALUE, BOOLEAN, 1, &by_value);
  OK (cudnnBackendFinalize (d));
  return d;
}

/* The plan of the proposal @index, or NULL if there is none or it can't be built. */
static Descriptor
plan_new (cudnnHandle_t handle, Descriptor *operations, gint64 n, guint index)
{
  Descriptor graph = descriptor_new (CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
  Descriptor heuristics = descriptor_new (CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR);
  Descriptor plan = descriptor_new (CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR), configs[8];
  const cudnnBackendHeurMode_t mode = CUDNN_HEUR_MODE_A;
  gint64 count = 0;

  SET (graph, OPERATIONGRAPH_OPS, BACKEND_DESCRIPTOR, n, operations);
  OK (cudnnBackendFinalize (graph));
  SET (heuristics, ENGINEHEUR_OPERATION_GRAPH, BACKEND_DESCRIPTOR, 1, &graph);
  SET (heuristics, ENGINEHEUR_MODE, HEUR_MODE, 1, &mode);
  OK (cudnnBackendFinalize (heuristics));
  OK (cudnnBackendGetAttribute (heuristics, CUDNN_ATTR_ENGINEHEUR_RESULTS,
                                CUDNN_TYPE_BACKEND_DESCRIPTOR, 0, &count, NULL));
  if (count <= index)
    return NULL;
  for (guint i = 0; i < count; i++)
    configs[i] = descriptor_new (CUDNN_BACKEND_ENGINECFG_DESCRIPTOR);
  OK (cudnnBackendGetAttribute (heuristics, CUDNN_ATTR_ENGINEHEUR_RESULTS,
                                CUDNN_TYPE_BACKEND_DESCRIPTOR, count, &count, configs));
  SET (plan, EXECUTION_PLAN_ENGINE_CONFIG, BACKEND_DESCRIPTOR, 1, &configs[index]);
  SET (plan, EXECUTION_PLAN_HANDLE, HANDLE, 1, &handle);
  return cudnnBackendFinalize (plan) == CUDNN_STATUS_SUCCESS ? plan : NULL;
}

static void
execute (cudnnHandle_t handle, Descriptor plan, const gint64 *ids, void **pointers, gint64 n,
         void *work)
{
  Descriptor pack = descriptor_new (CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR);
  SET (pack, VARIANT_PACK_UNIQUE_IDS, INT64, n, ids);
  SET (pack, VARIANT_PACK_DATA_POINTERS, VOID_PTR, n, pointers);
  SET (pack, VARIANT_PACK_WORKSPACE, VOID_PTR, 1, &work);
  OK (cudnnBackendFinalize (pack));
  OK (cudnnBackendExecute (handle, plan, pack));
}

/* Attention over [batch][tokens][3][heads][width], as packed as it comes. */
static void
test_attention (void)
{
  enum { B = 2, N = 5, H = 3, W = 8, D = H * W };
  cudnnHandle_t handle;
  cudaStream_t stream = stream_new ();
  guint8 *qkv = random_new (FAKE_FP16, B * N * 3 * D), *out = device_new (B * N * D * 2);
  void *work = device_new (4096);
  const gint64 size[] = { B, H, N, W }, packed[] = { N * 3 * D, W, 3 * D, 1 },
               dense[] = { N * D, W, D, 1 }, ones[] = { 1, 1, 1, 1 };
  float scale = 0.7f;

  OK (cudnnCreate (&handle));
  OK (cudnnSetStream (handle, stream));
  Descriptor operation = descriptor_new (CUDNN_BACKEND_OPERATION_SDPA_FWD_DESCRIPTOR);
  Descriptor q = tensor_new (1, CUDNN_DATA_HALF, 4, size, packed, false, false),
             k = tensor_new (2, CUDNN_DATA_HALF, 4, size, packed, false, false),
             v = tensor_new (3, CUDNN_DATA_HALF, 4, size, packed, false, false),
             o = tensor_new (4, CUDNN_DATA_HALF, 4, size, dense, false, false),
             s = tensor_new (5, CUDNN_DATA_FLOAT, 4, ones, ones, false, true);
  SET (operation, OPERATION_SDPA_FWD_QDESC, BACKEND_DESCRIPTOR, 1, &q);
  SET (operation, OPERATION_SDPA_FWD_KDESC, BACKEND_DESCRIPTOR, 1, &k);
  SET (operation, OPERATION_SDPA_FWD_VDESC, BACKEND_DESCRIPTOR, 1, &v);
  SET (operation, OPERATION_SDPA_FWD_ODESC, BACKEND_DESCRIPTOR, 1, &o);
  SET (operation, OPERATION_SDPA_FWD_SCALEDESC, BACKEND_DESCRIPTOR, 1, &s);
  OK (cudnnBackendFinalize (operation));
  g_assert_null (plan_new (handle, &operation, 1, 1));
  Descriptor plan = plan_new (handle, &operation, 1, 0);
  g_assert_nonnull (plan);
  const gint64 ids[] = { 1, 2, 3, 4, 5 };
  void *pointers[] = { qkv, qkv + 2 * D, qkv + 4 * D, out, &scale };
  execute (handle, plan, ids, pointers, 5, work);
  scale = 100; /* it was taken by value */
  OK (cudaStreamSynchronize (stream));

  for (gint b = 0; b < B; b++)
    for (gint h = 0; h < H; h++)
      for (gint i = 0; i < N; i++) {
        gdouble weights[N], total = 0;
        for (gint j = 0; j < N; j++) {
          gdouble score = 0;
          for (gint c = 0; c < W; c++)
            score += fake_load (FAKE_FP16, qkv, (b * N + i) * 3 * D + h * W + c) *
                     fake_load (FAKE_FP16, qkv, (b * N + j) * 3 * D + D + h * W + c);
          total += weights[j] = exp ((gdouble)0.7f * score);
        }
        for (gint c = 0; c < W; c++) {
          gdouble sum = 0;
          for (gint j = 0; j < N; j++)
            sum += weights[j] / total *
                   fake_load (FAKE_FP16, qkv, (b * N + j) * 3 * D + 2 * D + h * W + c);
          near (FAKE_FP16, fake_load (FAKE_FP16, out, (b * N + i) * D + h * W + c), sum);
        }
      }

  cg_fake_settings.capability = 75;
  g_assert_null (plan_new (handle, &operation, 1, 0));
  descriptors_free ();
  OK (cudnnDestroy (handle));
  OK (cudaFree (qkv));
  OK (cudaFree (out));
  OK (cudaFree (work));
  OK (cudaStreamDestroy (stream));
  expect_no_leaks ();
  expect_faults (NULL);
}

static Descriptor
pointwise_new (cudnnPointwiseMode_t mode, Descriptor x, Descriptor b, Descriptor y)
{
  Descriptor how = descriptor_new (CUDNN_BACKEND_POINTWISE_DESCRIPTOR);
  Descriptor operation = descriptor_new (CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR);
  const cudnnDataType_t precision = CUDNN_DATA_FLOAT;
  SET (how, POINTWISE_MODE, POINTWISE_MODE, 1, &mode);
  SET (how, POINTWISE_MATH_PREC, DATA_TYPE, 1, &precision);
  OK (cudnnBackendFinalize (how));
  SET (operation, OPERATION_POINTWISE_PW_DESCRIPTOR, BACKEND_DESCRIPTOR, 1, &how);
  SET (operation, OPERATION_POINTWISE_XDESC, BACKEND_DESCRIPTOR, 1, &x);
  if (b)
    SET (operation, OPERATION_POINTWISE_BDESC, BACKEND_DESCRIPTOR, 1, &b);
  SET (operation, OPERATION_POINTWISE_YDESC, BACKEND_DESCRIPTOR, 1, &y);
  OK (cudnnBackendFinalize (operation));
  return operation;
}

/* gelu (X W^T + bias), as one graph. */
static void
test_fused_product (void)
{
  enum { M = 7, K = 16, N = 12 };
  cudnnHandle_t handle;
  cudaStream_t stream = stream_new ();
  void *x = random_new (FAKE_FP16, M * K), *w = random_new (FAKE_FP16, N * K),
       *bias = random_new (FAKE_FP32, N), *y = device_new (M * N * 2), *work = device_new (4096);
  const gint64 x_size[] = { 1, M, K }, x_stride[] = { M * K, K, 1 }, w_size[] = { 1, K, N },
               w_stride[] = { K * N, 1, K }, b_size[] = { 1, 1, N }, b_stride[] = { N, N, 1 },
               y_size[] = { 1, M, N }, y_stride[] = { M * N, N, 1 };
  const cudnnDataType_t precision = CUDNN_DATA_FLOAT;

  OK (cudnnCreate (&handle));
  OK (cudnnSetStream (handle, stream));
  Descriptor tx = tensor_new (1, CUDNN_DATA_HALF, 3, x_size, x_stride, false, false),
             tw = tensor_new (2, CUDNN_DATA_HALF, 3, w_size, w_stride, false, false),
             tb = tensor_new (3, CUDNN_DATA_FLOAT, 3, b_size, b_stride, false, false),
             product = tensor_new (4, CUDNN_DATA_FLOAT, 3, y_size, y_stride, true, false),
             sum = tensor_new (5, CUDNN_DATA_FLOAT, 3, y_size, y_stride, true, false),
             ty = tensor_new (6, CUDNN_DATA_HALF, 3, y_size, y_stride, false, false);
  Descriptor how = descriptor_new (CUDNN_BACKEND_MATMUL_DESCRIPTOR);
  Descriptor operations[3] = { descriptor_new (CUDNN_BACKEND_OPERATION_MATMUL_DESCRIPTOR) };
  SET (how, MATMUL_COMP_TYPE, DATA_TYPE, 1, &precision);
  OK (cudnnBackendFinalize (how));
  SET (operations[0], OPERATION_MATMUL_ADESC, BACKEND_DESCRIPTOR, 1, &tx);
  SET (operations[0], OPERATION_MATMUL_BDESC, BACKEND_DESCRIPTOR, 1, &tx);
  SET (operations[0], OPERATION_MATMUL_CDESC, BACKEND_DESCRIPTOR, 1, &product);
  SET (operations[0], OPERATION_MATMUL_DESC, BACKEND_DESCRIPTOR, 1, &how);
  g_assert_cmpint (cudnnBackendFinalize (operations[0]), ==, CUDNN_STATUS_BAD_PARAM);
  SET (operations[0], OPERATION_MATMUL_BDESC, BACKEND_DESCRIPTOR, 1, &tw);
  OK (cudnnBackendFinalize (operations[0]));
  operations[1] = pointwise_new (CUDNN_POINTWISE_ADD, product, tb, sum);
  operations[2] = pointwise_new (CUDNN_POINTWISE_GELU_FWD, sum, NULL, ty);
  Descriptor plan = plan_new (handle, operations, 3, 2);
  g_assert_nonnull (plan);
  const gint64 ids[] = { 1, 2, 3, 6 };
  void *pointers[] = { x, w, bias, y };
  execute (handle, plan, ids, pointers, 4, work);
  OK (cudaStreamSynchronize (stream));
  for (gint i = 0; i < M; i++)
    for (gint j = 0; j < N; j++) {
      gdouble value = fake_load (FAKE_FP32, bias, j);
      for (gint l = 0; l < K; l++)
        value += fake_load (FAKE_FP16, x, i * K + l) * fake_load (FAKE_FP16, w, j * K + l);
      near (FAKE_FP16, fake_load (FAKE_FP16, y, i * N + j),
            value / 2 * (1 + erf (value / G_SQRT2)));
    }

  descriptors_free ();
  OK (cudnnDestroy (handle));
  void *all[] = { x, w, bias, y, work };
  for (guint i = 0; i < G_N_ELEMENTS (all); i++)
    OK (cudaFree (all[i]));
  OK (cudaStreamDestroy (stream));
  expect_no_leaks ();
  expect_faults (NULL);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/cuda/fakes/numbers", test_numbers);
  g_test_add_func ("/cuda/fakes/late", test_late);
  g_test_add_func ("/cuda/fakes/events", test_events);
  g_test_add_func ("/cuda/fakes/graph", test_graph);
  g_test_add_func ("/cuda/fakes/faults", test_faults);
  g_test_add_func ("/cuda/fakes/failures", test_failures);
  g_test_add_func ("/cuda/fakes/product", test_product);
  g_test_add_func ("/cuda/fakes/product-refusals", test_product_refusals);
  g_test_add_func ("/cuda/fakes/attention", test_attention);
  g_test_add_func ("/cuda/fakes/fused-product", test_fused_product);
  return g_test_run ();
}
