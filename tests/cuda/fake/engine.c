/* See engine.h.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "engine.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tests/cuda/emulator/emulator.h"
#include "model/engine.h"
#include "model/generate.h"

#define SEED 1

/* ---- models ---- */

void
cg_fake_model_clear (CgFakeModel *model)
{
  g_clear_pointer (&model->folded, cg_folded_free);
  g_clear_pointer (&model->network, cg_network_free);
}

void
cg_fake_model_fold (CgFakeModel *model)
{
  g_autoptr (GError) error = NULL;
  g_clear_pointer (&model->folded, cg_folded_free);
  model->folded = cg_network_fold (model->network, &model->input, &error);
  g_assert_no_error (error);
}

void
cg_fake_model_new (CgFakeModel *model, guint heads, guint head_width, guint tokens_side,
                   guint depth)
{
  g_autoptr (GError) error = NULL;
  CgGeometry *g = &model->geometry;

  cg_fake_model_clear (model);
  g_assert_true (cg_geometry_preset ("tiny", g, &error));
  g->frames = 4;
  g->tubelet = 2;
  g->patch = 8;
  g->image = tokens_side * g->patch;
  g->heads = heads;
  g->width = heads * head_width;
  g->mlp = 4 * g->width;
  g->depth = depth;
  /* Of everything little: emulated kernels are a thousand times slower than real ones. */
  const guint labels[CG_LEVELS] = { 23, 11, 7, 3 };
  memcpy (g->labels, labels, sizeof labels);
  g->scene = (CgMlp){ 2, { 44, 20, 5 } };
  g->text = (CgMlp){ 3, { 44, 16, 9, 12 } };
  g_assert_true (cg_geometry_check (g, "test", &error));
  model->network = cg_network_new (g, &error);
  g_assert_no_error (error);
  cg_generate_weights (model->network, SEED);
  model->input = (CgInput){ 1.0 / 255, { 0.45, 0.4, 0.35 }, { 0.25, 0.2, 0.3 } };
  cg_fake_model_fold (model);
}

CgReferenceOutputs *
cg_fake_model_reference (const CgFakeModel *model, guint64 window)
{
  const CgGeometry *g = &model->geometry;
  const gsize size = (gsize)3 * g->image * g->image;
  g_autofree guint8 *frames = g_malloc (size * g->frames);
  g_autoptr (GError) error = NULL;

  for (guint i = 0; i < g->frames; i++)
    cg_generate_frame (SEED, window, i, g->image, frames + i * size);
  CgReferenceOutputs *outputs = cg_reference_run (model->network, &model->input, frames, &error);
  g_assert_no_error (error);
  return outputs;
}

/* ---- kernels ---- */

static void
run_launch (void *data)
{
  if (cg_emulator_run (data) != cudaSuccess)
    cg_fake_fault (cg_emulator_error ());
}

static cudaError_t
launch (const CgEmulatorLaunch *launch, void *data)
{
  const cudaError_t error = cg_emulator_check (launch);
  if (error != cudaSuccess) {
    cg_fake_fault ("a launch geometry that no GPU takes");
    return error;
  }
  cg_fake_check_arguments (launch->kernel, launch->arguments, launch->size);
  const cudaError_t result =
      cg_fake_launch (launch->stream, launch->kernel, run_launch, cg_emulator_copy (launch), free);
  /* As the real launch does, which also takes an error that was left before it for its own. */
  const cudaError_t last = cudaGetLastError ();
  return result != cudaSuccess ? result : last;
}

void
cg_fake_emulate (void)
{
  cg_emulator_set_hook (launch, NULL);
}

/* ---- engines ---- */

gboolean
cg_fake_engine_put (CgFakeEngine *engine, CgCudaSample *sample, guint64 window, guint i,
                    CgCudaError *error)
{
  const guint image = engine->model->geometry.image;
  g_autofree guint8 *pixels = g_malloc ((gsize)3 * image * image);
  const CgFrame frame = cg_frame_of_sample (image, pixels);

  cg_generate_frame (SEED, window, i, image, pixels);
  const gboolean done = engine->module->sample_put (engine->engine, sample, &frame, error);
  memset (pixels, 0xAA, (gsize)3 * image * image); /* it was only lent */
  return done;
}

void
cg_fake_engine_close (CgFakeEngine *engine)
{
  for (guint i = 0; i < G_N_ELEMENTS (engine->samples); i++)
    if (engine->samples[i])
      engine->module->sample_free (engine->engine, engine->samples[i]);
  for (guint i = 0; i < CG_FAKE_WINDOWS; i++)
    g_free (engine->outputs[i]);
  engine->module->close (engine->engine);
  *engine = (CgFakeEngine){ 0 };
}

gboolean
cg_fake_engine_open (CgFakeEngine *engine, const CgFakeModel *model, const CgCudaOptions *options,
                     guint windows, CgCudaError *error)
{
  const guint frames = model->geometry.frames;

  *engine = (CgFakeEngine){ .model = model, .module = cg_cuda_module (), .windows = windows };
  g_assert_cmpuint (engine->module->abi, ==, CG_CUDA_MODULE_ABI);
  engine->engine = engine->module->open (model->folded, options, error);
  if (!engine->engine)
    return FALSE;
  for (guint i = 0; i < windows; i++)
    engine->outputs[i] = cg_outputs_new (&model->geometry, TRUE);
  for (guint i = 0; i < windows * frames; i++) {
    engine->samples[i] = engine->module->sample_new (engine->engine, error);
    if (!engine->samples[i] ||
        !cg_fake_engine_put (engine, engine->samples[i], i / frames, i % frames, error)) {
      cg_fake_engine_close (engine);
      return FALSE;
    }
  }
  return TRUE;
}

static void
fill (float *values, guint n)
{
  for (guint i = 0; values && i < n; i++)
    values[i] = NAN;
}

gboolean
cg_fake_engine_run (CgFakeEngine *engine, guint n, CgCudaError *error)
{
  const CgGeometry *g = &engine->model->geometry;
  const gint cancel = 0;

  for (guint i = 0; i < n; i++) {
    fill (engine->outputs[i]->features, g->width);
    fill (engine->outputs[i]->logits, cg_geometry_total_labels (g));
    fill (engine->outputs[i]->scene, g->scene.size[g->scene.layers]);
    fill (engine->outputs[i]->text, g->text.size[g->text.layers]);
  }
  return engine->module->run (engine->engine, engine->samples, n, engine->outputs, &cancel, error);
}

/* ---- comparisons ---- */

gdouble
cg_fake_distance (const float *a, const gdouble *b, guint n)
{
  gdouble difference = 0, norm = 0;
  for (guint i = 0; i < n; i++) {
    difference += (a[i] - b[i]) * (a[i] - b[i]);
    norm += b[i] * b[i];
  }
  return sqrt (difference / norm);
}

static gboolean
same (const float *a, const float *b, guint n)
{
  return (!a && !b) || memcmp (a, b, n * sizeof *a) == 0;
}

gboolean
cg_fake_outputs_equal (const CgFakeModel *model, const CgOutputs *a, const CgOutputs *b)
{
  const CgGeometry *g = &model->geometry;
  return same (a->features, b->features, g->width) &&
         same (a->logits, b->logits, cg_geometry_total_labels (g)) &&
         same (a->scene, b->scene, g->scene.size[g->scene.layers]) &&
         same (a->text, b->text, g->text.size[g->text.layers]);
}

CgOutputs *
cg_fake_outputs_copy (const CgFakeModel *model, const CgOutputs *outputs)
{
  const CgGeometry *g = &model->geometry;
  CgOutputs *copy = cg_outputs_new (g, TRUE);
  memcpy (copy->features, outputs->features, g->width * sizeof (float));
  memcpy (copy->logits, outputs->logits, cg_geometry_total_labels (g) * sizeof (float));
  if (copy->scene)
    memcpy (copy->scene, outputs->scene, g->scene.size[g->scene.layers] * sizeof (float));
  if (copy->text)
    memcpy (copy->text, outputs->text, g->text.size[g->text.layers] * sizeof (float));
  return copy;
}

void
cg_fake_expect_clean (void)
{
  g_autofree char *faults = cg_fake_faults ();
  g_autofree char *leaks = cg_fake_leaks ();
  g_assert_cmpstr (faults, ==, "");
  g_assert_cmpstr (leaks, ==, "");
  cg_fake_reset ();
}
