/* Real cuDNN, no GPU: it builds plans for the engine's own graphs, on every architecture that the module is built for.
 *
 * cuDNN takes the device's properties from a description, and the driver from a shim (fake/shim-libcuda.c). Within the
 * engine's workspace, each shape has a plan among the proposals that the tuner looks at.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include <cudnn.h>
#include <string.h>

#include "cuda/attention.h"
#include "cuda/matmul.h"

/* The other libraries are the fakes; of cuDNN itself there is no fake here whose objects count. */
guint cg_fake_dnn_count (void);
void cg_fake_dnn_vanish (void);

guint
cg_fake_dnn_count (void)
{
  return 0;
}

void
cg_fake_dnn_vanish (void)
{
}

#define OK(call) g_assert_cmpint (call, ==, CUDNN_STATUS_SUCCESS)

typedef struct {
  const char *name;
  gint sm, processors, shared, threads, blocks, clock_khz, cache;
} Machine;

static const Machine machines[] = {
  { "T4", 75, 40, 65536, 1024, 16, 1590000, 4 << 20 },
  { "A100", 80, 108, 166912, 2048, 32, 1410000, 40 << 20 },
  { "RTX 3090", 86, 82, 101376, 1536, 16, 1695000, 6 << 20 },
  { "L4", 89, 58, 101376, 1536, 24, 2040000, 48 << 20 },
  { "H200", 90, 132, 232448, 2048, 32, 1980000, 60 << 20 },
  { "B200", 100, 148, 232448, 2048, 32, 1965000, 126 << 20 },
  { "RTX 5090", 120, 170, 101376, 1536, 24, 2407000, 96 << 20 },
};

static cudnnBackendDescriptor_t
properties_new (const Machine *m)
{
  cudnnBackendDescriptor_t d;
  g_autofree char *json = g_strdup_printf (
      "{\"deviceName\":\"%s\",\"deviceVer\":%d,\"driverVer\":13000,\"cudaDeviceId\":0,"
      "\"pciDeviceId\":0,"
      "\"isTccDriver\":0,\"supportCoopLaunch\":1,\"totalGlobalMem\":34359738368,\"warpSize\":32,"
      "\"multiProcessorCount\":%d,\"smClockRateKHz\":%d,\"memClockRateKHz\":3200000,"
      "\"l2CacheSize\":%d,"
      "\"maxGridSize\":[2147483647,65535,65535],\"maxBlockSize\":[1024,1024,64],"
      "\"maxThreadsPerBlock\":1024,\"maxThreadsPerSM\":%d,\"maxCtasPerSM\":%d,\"regsPerBlock\":"
      "65536,"
      "\"maxRegistersPerSM\":65536,\"maxSharedMemoryPerBlock\":49152,"
      "\"reservedSharedMemoryPerBlock\":1024,"
      "\"maxSharedMemoryPerBlockOptin\":%d}",
      m->name, 10 * m->sm, m->processors, m->clock_khz, m->cache, m->threads, m->blocks, m->shared);

  OK (cudnnBackendCreateDescriptor (CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR, &d));
  OK (cudnnBackendSetAttribute (d, CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION, CUDNN_TYPE_CHAR,
                                (gint64)strlen (json) + 1, json));
  OK (cudnnBackendFinalize (d));
  return d;
}

static const char *
name_of (const CgCudaDevice *device)
{
  for (guint i = 0; i < G_N_ELEMENTS (machines); i++)
    if (machines[i].sm == device->sm)
      return machines[i].name;
  return "";
}

static gboolean
has_attention (const CgCudaDevice *device, const CgCudaAttentionShape *shape, guint proposal,
               CgCudaError *error)
{
  CgCudaAttention *attention = cg_cuda_attention_new (
      device, shape, (CgCudaChoice){ CG_CUDA_PROVIDER_DNN, proposal }, NULL, error);
  const gboolean has = attention != NULL;
  cg_cuda_attention_free (attention);
  return has;
}

/* At least one proposal can be built, and there are no more than the tuner asks for. */
static void
check_attention (const CgCudaDevice *device, const CgCudaAttentionShape *shape)
{
  CgCudaError error = { 0 };
  guint i = 0;

  if (!cg_cuda_attention_uses_dnn (device, shape))
    return;
  while (i < CG_CUDA_SDPA_PROPOSALS && !has_attention (device, shape, i, &error))
    i++;
  g_test_message ("%s, %s, attention of %ux%u, batch %u: proposal %u", name_of (device),
                  cg_cuda_type_name (shape->type), shape->heads, shape->head_width, shape->batch,
                  i);
  if (i == CG_CUDA_SDPA_PROPOSALS)
    g_error ("none can be had: %s", error.message);

  g_assert_false (has_attention (device, shape, CG_CUDA_SDPA_PROPOSALS, &error));
  g_assert_cmpint (error.status, ==, CG_CUDA_UNSUPPORTED);
  if (!g_str_has_prefix (error.message, "cuDNN has ")) /* "... 3 ways to compute this here" */
    g_error ("more than %d proposals: %s", CG_CUDA_SDPA_PROPOSALS, error.message);
}

static void
check_matmul (const CgCudaDevice *device, const CgCudaMatmulShape *shape)
{
  static const char *const names[] = { "store", "gelu", "add", "table" };
  CgCudaMatmul *matmul = NULL;
  CgCudaError error = { 0 };
  guint i;

  /* cuDNN has none for a table on Turing, as of 9.24: the tuner is left with cuBLASLt there. */
  if (device->sm < 80 && shape->epilogue == CG_CUDA_EPILOGUE_TABLE)
    return;
  for (i = 0; i < CG_CUDA_DNN_PROPOSALS && !matmul; i++)
    matmul = cg_cuda_matmul_new (device, shape, (CgCudaChoice){ CG_CUDA_PROVIDER_DNN, i }, &error);
  g_test_message ("%s, %s, %s of %ux%ux%u, batch %u: proposal %u", name_of (device),
                  cg_cuda_type_name (shape->type), names[shape->epilogue], shape->rows,
                  shape->inputs, shape->outputs, shape->batch, i - 1);
  if (!matmul)
    g_error ("none can be had: %s", error.message);
  cg_cuda_matmul_free (matmul);
}

/* ---- the shapes of small-16, small-6 and base ---- */

static const guint batches[] = {
  1, 8
}; /* the least and the most that go through the network at once */

static void
check_attentions (const CgCudaDevice *device, CgCudaType type)
{
  static const guint shapes[][2] = { { 16, 24 }, { 6, 64 }, { 12, 64 } };

  for (guint s = 0; s < G_N_ELEMENTS (shapes); s++)
    for (guint b = 0; b < G_N_ELEMENTS (batches); b++)
      check_attention (device, &(CgCudaAttentionShape){ .type = type,
                                                        .batch = batches[b],
                                                        .tokens = 1568,
                                                        .heads = shapes[s][0],
                                                        .head_width = shapes[s][1],
                                                        .scale = (float)G_LN2 });
}

static void
check_matmuls (const CgCudaDevice *device, CgCudaType type)
{
  const struct {
    CgCudaEpilogue epilogue;
    guint inputs, outputs; /* in widths */
  } products[] = { { CG_CUDA_EPILOGUE_TABLE, 0, 1 },
                   { CG_CUDA_EPILOGUE_STORE, 1, 3 },
                   { CG_CUDA_EPILOGUE_GELU, 1, 4 },
                   { CG_CUDA_EPILOGUE_ADD, 4, 1 },
                   { CG_CUDA_EPILOGUE_ADD, 1, 1 } };

  for (guint width = 384; width <= 768; width += 384)
    for (guint p = 0; p < G_N_ELEMENTS (products); p++)
      for (guint b = 0; b < G_N_ELEMENTS (batches); b++)
        check_matmul (device, &(CgCudaMatmulShape){
                                  .type = type,
                                  .epilogue = products[p].epilogue,
                                  .batch = batches[b],
                                  .rows = 1568,
                                  .inputs = products[p].inputs ? products[p].inputs * width : 1536,
                                  .outputs = products[p].outputs * width });
}

static void
test_machine (gconstpointer data)
{
  const Machine *machine = data;
  CgCudaDevice device = { .sm = machine->sm,
                          .multiprocessors = machine->processors,
                          .workspace_size = CG_CUDA_WORKSPACE,
                          .dnn_properties = properties_new (machine) };

  check_attentions (&device, CG_CUDA_FP16);
  check_matmuls (&device, CG_CUDA_FP16);
  if (machine->sm >= 80) {
    check_attentions (&device, CG_CUDA_BF16);
    check_matmuls (&device, CG_CUDA_BF16);
  }
  OK (cudnnBackendDestroyDescriptor (device.dnn_properties));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_message ("cuDNN %zu", cudnnGetVersion ());
  for (guint i = 0; i < G_N_ELEMENTS (machines); i++) {
    g_autofree char *path = g_strdup_printf ("/cuda/plans/sm_%d", machines[i].sm);
    g_test_add_data_func (path, &machines[i], test_machine);
  }
  return g_test_run ();
}
