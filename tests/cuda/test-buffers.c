/* The engine's buffers: that each has room for what its header says, for they lie side by side in a few large allocations,
 * where an access beyond one of them would meet another; and that threads which share the device do not cross.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include <stdlib.h>
#include <string.h>

#include "cuda/answers.h"
#include "cuda/frames.h"
#include "cuda/graph.h"
#include "fake/engine.h"
#include "model/engine.h"

static CgCudaDevice device;

/* ---- the arena ---- */

static void
test_arena (void)
{
  static const gsize sizes[][2] = { { 1, 1 }, { 256, 1 }, { 257, 1 }, { 3, 100 }, { 0, 4 } };
  char *slots[200];
  CgCudaArena arena = { 0 };
  CgCudaError error = { 0 };

  for (guint i = 0; i < G_N_ELEMENTS (slots); i++)
    cg_cuda_arena_add (&arena, &slots[i], sizes[i % 5][0], sizes[i % 5][1]);
  g_assert_true (cg_cuda_arena_allocate (&arena, "tests", &error));
  for (guint i = 0; i < G_N_ELEMENTS (slots); i++) {
    const gsize size = sizes[i % 5][0] * sizes[i % 5][1];
    const char *end =
        i + 1 < G_N_ELEMENTS (slots) ? slots[i + 1] : (char *)arena.block + arena.size;
    g_assert_cmpuint ((gsize)slots[i] % 256, ==, 0);
    g_assert_true (slots[i] + size <= end);
    g_assert_true (slots[i] + size + 256 > end);
  }
  cg_cuda_arena_clear (&arena);

  /* One of nothing. */
  g_assert_true (cg_cuda_arena_allocate (&arena, "tests", &error));
  g_assert_nonnull (arena.block);
  cg_cuda_arena_clear (&arena);
}

/* Given sizes that no address space holds, alone or together, nothing is allocated. */
static void
test_arena_too_large (void)
{
  static const gsize sizes[][2] = {
    { G_MAXSIZE, 2 }, { G_MAXSIZE / 2, 3 }, { G_MAXSIZE, 1 }, { G_MAXSIZE / 4 - 1000, 1 }
  };

  for (guint i = 0; i < G_N_ELEMENTS (sizes); i++) {
    void *slots[8];
    CgCudaArena arena = { 0 };
    CgCudaError error = { 0 };

    for (guint k = 0; k < G_N_ELEMENTS (slots); k++)
      cg_cuda_arena_add (&arena, &slots[k], sizes[i][0], sizes[i][1]);
    const guint64 calls = cg_fake_calls ();
    g_assert_false (cg_cuda_arena_allocate (&arena, "tests", &error));
    g_assert_cmpint (error.status, ==, CG_CUDA_MEMORY);
    g_assert_nonnull (strstr (error.message, "tests"));
    g_assert_cmpuint (cg_fake_calls (), ==, calls);
    cg_cuda_arena_clear (&arena);
  }
}

static void
test_arena_short (void)
{
  void *slot;
  CgCudaArena arena = { 0 };
  CgCudaError error = { 0 };

  cg_cuda_arena_add (&arena, &slot, (5 << 20) + 1, 1);
  cg_fake_settings.memory = CG_CUDA_WORKSPACE + (4 << 20);
  g_assert_false (cg_cuda_arena_allocate (&arena, "tests", &error));
  g_assert_cmpint (error.status, ==, CG_CUDA_MEMORY);
  g_assert_nonnull (strstr (error.message, "for tests: it takes 6 MiB, and 4 MiB are free"));
  g_assert_cmpint (cudaGetLastError (), ==, cudaSuccess);
  cg_cuda_arena_clear (&arena);
}

/* ---- room ---- */

typedef struct {
  const char *name;
  const void *at;
  gsize bytes;
} Room;

static int
compare (const void *a, const void *b)
{
  const char *at_a = ((const Room *)a)->at, *at_b = ((const Room *)b)->at;

  return at_a < at_b ? -1 : at_a > at_b;
}

static void
expect_room (Room *rooms, guint n, const CgCudaArena *arena)
{
  qsort (rooms, n, sizeof *rooms, compare);
  for (guint i = 0; i < n; i++) {
    const char *next = i + 1 < n ? rooms[i + 1].at : (char *)arena->block + arena->size;
    if ((const char *)rooms[i].at + rooms[i].bytes > next)
      g_error ("%s has %zd bytes of room, expected %zu", rooms[i].name,
               next - (const char *)rooms[i].at, rooms[i].bytes);
  }
}

static void
check_room (const CgFakeModel *model, CgCudaType type, guint chunk)
{
  const CgGeometry *g = &model->geometry;
  const gsize tokens = cg_geometry_tokens (g), rows = chunk * tokens;
  const gsize size = cg_cuda_type_size (type), most = CG_CUDA_MAX_BATCH;
  CgCudaTuner *tuner = cg_cuda_tuner_new (&device, NULL, false);
  CgCudaWeights weights = { 0 };
  CgCudaNetwork network = { 0 };
  CgCudaAnswers answers = { 0 };
  CgCudaError error = { 0 };

  if (!cg_cuda_weights_upload (&weights, &device, model->folded, type, &error) ||
      !cg_cuda_network_open (&network, &device, &weights, g, chunk, tuner, false, &error) ||
      !cg_cuda_answers_open (&answers, &network, &error))
    g_error ("%s", error.message);
  Room ours[] = {
    { "samples", network.samples, most * g->frames * sizeof (void *) },
    { "patches", network.patches, rows * weights.patch_inputs * size },
    { "normalised", network.normalised, rows * g->width * size },
    { "qkv", network.qkv, rows * 3 * g->width * size },
    { "attended", network.attended, rows * g->width * size },
    { "hidden", network.hidden, rows * g->mlp * size },
    { "x", network.x[0], rows * g->width * sizeof (float) },
    { "the other x", network.x[1], rows * g->width * sizeof (float) },
    { "x_means", network.x_means, most * g->width * sizeof (float) },
    { "hidden_means", network.hidden_means, most * g->mlp * sizeof (float) },
  };
  expect_room (ours, G_N_ELEMENTS (ours), &network.buffers);

  const gsize values = g->width + cg_geometry_total_labels (g) + g->scene.size[g->scene.layers] +
                       g->text.size[g->text.layers];
  guint hidden = 1;
  for (guint i = 1; i < g->scene.layers; i++)
    hidden = MAX (hidden, g->scene.size[i]);
  for (guint i = 1; i < g->text.layers; i++)
    hidden = MAX (hidden, g->text.size[i]);
  Room theirs[] = {
    { "answers", answers.device, most * values * sizeof (float) },
    { "attended", answers.attended, most * cg_geometry_total_labels (g) * sizeof (float) },
    { "a layer", answers.layers[0], most * hidden * sizeof (float) },
    { "the other layer", answers.layers[1], most * hidden * sizeof (float) },
  };
  expect_room (theirs, G_N_ELEMENTS (theirs), &answers.buffers);
  if (network.scores.block) {
    const CgCudaAttentionShape shape = { type, chunk, tokens, g->heads, g->width / g->heads, 1 };
    g_assert_cmpuint (network.scores.size, >=, cg_cuda_attention_scores_size (&shape));
  }

  cg_cuda_answers_close (&answers);
  cg_cuda_network_close (&network);
  cg_cuda_weights_free (&weights);
  cg_cuda_tuner_free (tuner);
}

static void
test_room (void)
{
  static const CgCudaType types[] = { CG_CUDA_FP32, CG_CUDA_FP16 };
  CgFakeModel model = { 0 };

  for (guint t = 0; t < G_N_ELEMENTS (types); t++)
    for (guint chunk = 1; chunk <= 32; chunk *= 4) {
      cg_fake_model_new (&model, 2, 24, 2, 1);
      check_room (&model, types[t], chunk);
    }
  cg_fake_model_clear (&model);
}

/* Each call fails once while a network is opened: it is whole then, or it is none and says why. */
static void
test_open_fails (void)
{
  const guint chunk = 2;
  CgFakeModel model = { 0 };
  CgCudaWeights weights = { 0 };
  CgCudaError error = { 0 };
  gboolean struck = TRUE;

  cg_fake_model_new (&model, 2, 24, 2, 2);
  if (!cg_cuda_weights_upload (&weights, &device, model.folded, CG_CUDA_FP16, &error))
    g_error ("%s", error.message);
  CgCudaTuner *tuner = cg_cuda_tuner_new (&device, NULL, false);
  for (guint64 at = 1; struck; at++) {
    CgCudaNetwork network = { 0 };

    cg_fake_reset ();
    error = (CgCudaError){ 0 };
    cg_fake_settings.fail_at = at;
    const bool done = cg_cuda_network_open (&network, &device, &weights, &model.geometry, chunk,
                                            tuner, true, &error);
    struck = cg_fake_fail_name () != NULL;
    if (!done)
      g_assert_cmpstr (error.message, !=, "");
    for (guint i = 0; done && i < 2; i++) {
      const CgCudaPlans *p = &network.plans[i];
      g_assert_true (p->patch && p->qkv && p->attention && p->proj && p->fc1 && p->fc2);
    }
    g_assert_true (done || struck);
    cg_cuda_network_close (&network);
  }
  cg_fake_reset ();
  cg_cuda_tuner_free (tuner);
  cg_cuda_weights_free (&weights);
  cg_fake_model_clear (&model);
}

/* ---- graphs ---- */

static gpointer
allocate (gpointer data)
{
  void *memory;

  g_assert_cmpint (cudaMalloc (&memory, 1), ==, cudaSuccess);
  cudaFree (memory);
  return NULL;
}

/* A CgCudaWork, while which another thread allocates. */
static bool
work (void *data, CgCudaError *error)
{
  guint *times = data;

  ++*times;
  g_thread_join (g_thread_new ("other", allocate, NULL));
  return cg_cuda_check (cudaMemsetAsync (device.workspace, 0, 1, device.stream), "work", error);
}

/* Given another thread that allocates meanwhile, as another element's may, work is recorded all the same, at the first
 * try. */
static void
test_capture (void)
{
  CgCudaError error = { 0 };
  guint times = 0;
  cudaGraphExec_t exec = cg_cuda_graph_new (&device, work, &times, &error);

  g_assert_nonnull (exec);
  g_assert_cmpuint (times, ==, 1);
  cudaGraphExecDestroy (exec);
}

/* ---- uploaders ---- */

#define IMAGE 16

static void
put_grey (CgCudaFrames *frames, CgCudaSample *sample, guint8 grey)
{
  guint8 pixels[3 * IMAGE * IMAGE];
  const CgFrame frame = cg_frame_of_sample (IMAGE, pixels);
  CgCudaError error = { 0 };

  memset (pixels, grey, sizeof pixels);
  if (!cg_cuda_sample_put (frames, sample, &frame, &error))
    g_error ("%s", error.message);
}

static guint8
get_grey (CgCudaFrames *frames, CgCudaSample *sample)
{
  guint8 pixels[3 * IMAGE * IMAGE];
  CgCudaError error = { 0 };

  if (!cg_cuda_sample_get (frames, sample, pixels, &error))
    g_error ("%s", error.message);
  for (guint i = 1; i < sizeof pixels; i++)
    g_assert_cmpuint (pixels[i], ==, pixels[0]);
  return pixels[0];
}

/* Given a sample that two uploaders fill, the second while the first one's work still waits on its stream, it holds what
 * the second gave, and goes on to. */
static void
test_uploaders (void)
{
  CgCudaFrames frames = { 0 };
  CgCudaError error = { 0 };

  if (!cg_cuda_frames_open (&frames, &device, IMAGE, 1, &error))
    g_error ("%s", error.message);
  /* Their streams wait for nobody else's, and go before the engine's. */
  for (guint i = 0; i < CG_CUDA_UPLOADERS; i++) {
    unsigned flags;
    int priority, engines;
    cudaStreamGetFlags (frames.uploaders[i].stream, &flags);
    cudaStreamGetPriority (frames.uploaders[i].stream, &priority);
    cudaStreamGetPriority (device.stream, &engines);
    g_assert_cmpuint (flags, ==, cudaStreamNonBlocking);
    g_assert_cmpint (priority, <, engines);
  }

  CgCudaSample *sample = cg_cuda_sample_new (&frames, &error);
  put_grey (&frames, sample, 1);
  frames.uploaders[0].busy = true;
  put_grey (&frames, sample, 2);
  g_assert_cmpuint (get_grey (&frames, sample), ==, 2);
  frames.uploaders[0].busy = false;
  g_assert_cmpuint (get_grey (&frames, sample), ==, 2);

  /* What the first one gives now, the second one sees. */
  put_grey (&frames, sample, 3);
  frames.uploaders[0].busy = true;
  g_assert_cmpuint (get_grey (&frames, sample), ==, 3);
  frames.uploaders[0].busy = false;
  cg_cuda_sample_free (&frames, sample);
  cg_cuda_frames_close (&frames);
}

int
main (int argc, char **argv)
{
  CgCudaError error = { 0 };

  g_test_init (&argc, &argv, NULL);
  cg_fake_emulate ();
  if (!cg_cuda_device_open (&device, 0, NULL, &error))
    g_error ("%s", error.message);
  g_test_add_func ("/cuda/buffers/arena", test_arena);
  g_test_add_func ("/cuda/buffers/arena-too-large", test_arena_too_large);
  g_test_add_func ("/cuda/buffers/arena-short", test_arena_short);
  g_test_add_func ("/cuda/buffers/room", test_room);
  g_test_add_func ("/cuda/buffers/open-fails", test_open_fails);
  g_test_add_func ("/cuda/buffers/capture", test_capture);
  g_test_add_func ("/cuda/buffers/uploaders", test_uploaders);
  const int result = g_test_run ();
  cg_cuda_device_close (&device);
  cg_fake_expect_clean ();
  return result;
}
