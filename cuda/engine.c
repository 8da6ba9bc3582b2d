/* The engine, and the module's table: see module.h.
 *
 *   sample_put   frames.c    picture -> pinned memory -> device -> model frame     any thread, an uploader's stream
 *                            picture of another context -> device -> model frame
 *                            picture of this context -> model frame
 *   run          batch.c     one launch of a graph that holds all of:               the engine's stream
 *                network.c     samples -> patches -> x -> blocks -> means           kernels/, matmul.c, attention.c
 *                answers.c     means -> features -> logits -> scene, text -> host   kernels/
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "module.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "batch.h"
#include "overflow.h"

#define DEFAULT_CHUNK 8
#define FIRST_SAMPLES 64

struct _CgCudaEngine {
  CgCudaDevice device;
  CgCudaFrames frames;
  CgCudaWeights weights;
  CgCudaNetwork network;
  CgCudaAnswers answers;
  CgCudaBatches batches;
  char description[256];
  bool lost; /* atomic */
};

/* ---- opening ---- */

static void
close_network (CgCudaEngine *engine)
{
  cg_cuda_batches_close (&engine->batches);
  cg_cuda_answers_close (&engine->answers);
  cg_cuda_network_close (&engine->network);
}

/* With smaller and smaller chunks, if memory is short. */
static bool
open_network (CgCudaEngine *engine, const CgGeometry *geometry, const CgCudaOptions *options,
              CgCudaTuner *tuner, CgCudaError *error)
{
  const bool tuned = !options->no_tuning;

  for (unsigned chunk = options->chunk ? options->chunk : DEFAULT_CHUNK;; chunk /= 2) {
    if (cg_cuda_network_open (&engine->network, &engine->device, &engine->weights, geometry, chunk,
                              tuner, tuned, error) &&
        cg_cuda_answers_open (&engine->answers, &engine->network, error))
      return true;
    if (error->status != CG_CUDA_MEMORY || chunk == 1)
      return false;
    close_network (engine);
  }
}

/* What the weights and activations are kept in at first. */
static bool
choose_type (const CgCudaEngine *engine, CgCudaPrecision precision, CgCudaType *type,
             CgCudaError *error)
{
  *type = precision == CG_CUDA_PRECISION_FP32   ? CG_CUDA_FP32
          : precision == CG_CUDA_PRECISION_BF16 ? CG_CUDA_BF16
                                                : CG_CUDA_FP16;
  if (*type == CG_CUDA_BF16 && engine->device.sm < 80)
    return cg_cuda_fail (error, CG_CUDA_UNSUPPORTED,
                         "Precision bf16 needs a GPU of compute capability 8.0 or later; the %s "
                         "has %d.%d. Use precision fp16, fp32 or auto",
                         engine->device.name, engine->device.sm / 10, engine->device.sm % 10);
  return true;
}

/* Weights, plans and buffers in @type. */
static bool
open_in (CgCudaEngine *engine, const CgFolded *folded, CgCudaType type,
         const CgCudaOptions *options, CgCudaTuner *tuner, CgCudaError *error)
{
  return cg_cuda_weights_upload (&engine->weights, &engine->device, folded, type, error) &&
         open_network (engine, &folded->geometry, options, tuner, error);
}

/* @note: why it is not in fp16. That cuDNN has no attention where it should, as without its own libraries or NVRTC, is
 * told too, because it costs much time. */
static void
describe_it (CgCudaEngine *engine, CgCudaType type, const char *note)
{
  const CgCudaAttentionShape shape = {
    .type = type, .head_width = engine->network.geometry.width / engine->network.geometry.heads
  };
  const bool slow =
      cg_cuda_attention_uses_dnn (&engine->device, &shape) &&
      cg_cuda_attention_provider (engine->network.plans[0].attention) != CG_CUDA_PROVIDER_DNN;

  snprintf (engine->description, sizeof engine->description, "cuda %s %s%s%s", engine->device.name,
            cg_cuda_type_name (type), note, slow ? ", attention without cuDNN" : "");
}

/* The same, and once more in a wider type if fp16 turns out to be too narrow. */
static bool
open_wide_enough (CgCudaEngine *engine, const CgFolded *folded, const CgCudaOptions *options,
                  CgCudaTuner *tuner, CgCudaError *error)
{
  CgCudaOverflow overflow = { NULL, 0, 0 };
  char note[96] = "";
  CgCudaType type;

  if (!choose_type (engine, options->precision, &type, error) ||
      !open_in (engine, folded, type, options, tuner, error))
    return false;
  if (type == CG_CUDA_FP16 &&
      !cg_cuda_overflow_find (&engine->network, &engine->frames, &overflow, error))
    return false;
  if (overflow.layer) {
    type = engine->device.sm < 80 ? CG_CUDA_FP32 : CG_CUDA_BF16;
    snprintf (note, sizeof note, " (block %u, %s is too large for fp16: %s%.3g)", overflow.block,
              overflow.layer, isfinite (overflow.value) ? "" : "over ",
              isfinite (overflow.value) ? overflow.value : 65504);
    close_network (engine);
    cg_cuda_weights_free (&engine->weights);
    if (!open_in (engine, folded, type, options, tuner, error))
      return false;
  }
  describe_it (engine, type, note);
  return true;
}

static bool
open_batches (CgCudaEngine *engine, CgCudaError *error)
{
  CgCudaSample *any = cg_cuda_sample_new (&engine->frames, error);
  bool done;

  if (!any)
    return false;
  done = cg_cuda_batches_open (&engine->batches, &engine->network, &engine->answers, any, error);
  cg_cuda_sample_free (&engine->frames, any);
  return done;
}

static bool
open_engine (CgCudaEngine *engine, const CgFolded *folded, const CgCudaOptions *options,
             CgCudaError *error)
{
  CgCudaTuner *tuner;
  bool done;

  if (!cg_cuda_device_open (&engine->device, options->device, options->context, error) ||
      !cg_cuda_frames_open (&engine->frames, &engine->device, folded->geometry.image, FIRST_SAMPLES,
                            error))
    return false;
  tuner = cg_cuda_tuner_new (&engine->device, options->cache, !options->no_tuning);
  if (!tuner)
    return cg_cuda_fail (error, CG_CUDA_MEMORY, "Out of memory for the autotuner");
  done = open_wide_enough (engine, folded, options, tuner, error) &&
         cg_cuda_check (cudaStreamSynchronize (engine->device.stream), "load the model", error) &&
         open_batches (engine, error);
  if (done)
    cg_cuda_tuner_save (tuner);
  cg_cuda_tuner_free (tuner);
  return done;
}

/* What was made in a context that is gone went with it; what is left is host memory. The libraries' handles are left
 * alone, because they would look for the context. Of a device that does not answer nothing is freed, because that would
 * wait for it: it may also still write to memory that it was given. */
static void
forget_context (CgCudaEngine *engine)
{
  engine->batches = (CgCudaBatches){ 0 };
  cg_cuda_answers_forget (&engine->answers);
  cg_cuda_network_forget (&engine->network);
  cg_cuda_weights_forget (&engine->weights);
  cg_cuda_frames_forget (&engine->frames);
  cg_cuda_device_forget (&engine->device);
}

/* Within the device's context, which is left; or after forget_context(). */
static void
free_engine (CgCudaEngine *engine)
{
  if (engine->device.stream)
    cudaStreamSynchronize (engine->device.stream);
  close_network (engine);
  cg_cuda_weights_free (&engine->weights);
  cg_cuda_frames_close (&engine->frames);
  cg_cuda_device_close (&engine->device);
  free (engine);
}

/* Enters the device's context, and waits until all is done that the device was given, so that to free what it works with
 * does not wait for it. */
static bool
enter_to_close (CgCudaEngine *engine)
{
  CgCudaError error;

  if (cg_cuda_device_is_silent (&engine->device) || !cg_cuda_device_enter (&engine->device, &error))
    return false;
  if (cg_cuda_frames_settle (&engine->frames, &error))
    cg_cuda_batches_settle (&engine->batches, &error);
  if (!cg_cuda_device_is_silent (&engine->device))
    return true;
  cg_cuda_device_leave (&engine->device);
  return false;
}

static void
close_it (CgCudaEngine *engine)
{
  if (!engine)
    return;
  if (!enter_to_close (engine))
    forget_context (engine);
  free_engine (engine);
}

static CgCudaEngine *
open_it (const CgFolded *folded, const CgCudaOptions *options, CgCudaError *error)
{
  const unsigned chunk = options->chunk;
  CgCudaEngine *engine;

  if (chunk > CG_CUDA_MAX_BATCH || (chunk & (chunk - 1)) != 0) {
    cg_cuda_fail (error, CG_CUDA_UNSUPPORTED, "Chunk %u: expected a power of two, at most %d, or 0",
                  chunk, CG_CUDA_MAX_BATCH);
    return NULL;
  }
  engine = calloc (1, sizeof *engine);
  if (!engine) {
    cg_cuda_fail (error, CG_CUDA_MEMORY, "Out of memory for the CUDA engine");
    return NULL;
  }
  if (!open_engine (engine, folded, options, error)) {
    if (engine->device.context)
      free_engine (engine);
    else
      free (engine);
    return NULL;
  }
  cg_cuda_device_leave (&engine->device);
  return engine;
}

/* ---- the other calls: into the context and out again, and a loss is remembered ---- */

static bool
remember_loss (CgCudaEngine *engine, bool done, const CgCudaError *error)
{
  if (!done && error->status == CG_CUDA_LOST)
    __atomic_store_n (&engine->lost, true, __ATOMIC_RELAXED);
  return done;
}

static bool
enter (CgCudaEngine *engine, CgCudaError *error)
{
  if (__atomic_load_n (&engine->lost, __ATOMIC_RELAXED) ||
      cg_cuda_device_is_silent (&engine->device))
    return cg_cuda_fail (error, CG_CUDA_LOST, "The GPU %s is lost", engine->device.name);
  return remember_loss (engine, cg_cuda_device_enter (&engine->device, error), error);
}

static bool
leave (CgCudaEngine *engine, bool done, const CgCudaError *error)
{
  cg_cuda_device_leave (&engine->device);
  return remember_loss (engine, done, error);
}

static const char *
describe (const CgCudaEngine *engine)
{
  return engine->description;
}

static CgCudaSample *
sample_new (CgCudaEngine *engine, CgCudaError *error)
{
  CgCudaSample *sample;

  if (!enter (engine, error))
    return NULL;
  sample = cg_cuda_sample_new (&engine->frames, error);
  leave (engine, sample != NULL, error);
  return sample;
}

static void
sample_free (CgCudaEngine *engine, CgCudaSample *sample)
{
  cg_cuda_sample_free (&engine->frames, sample);
}

static bool
sample_put (CgCudaEngine *engine, CgCudaSample *sample, const CgFrame *frame, CgCudaError *error)
{
  return enter (engine, error) &&
         leave (engine, cg_cuda_sample_put (&engine->frames, sample, frame, error), error);
}

static bool
sample_get (CgCudaEngine *engine, CgCudaSample *sample, uint8_t *pixels, CgCudaError *error)
{
  return enter (engine, error) &&
         leave (engine, cg_cuda_sample_get (&engine->frames, sample, pixels, error), error);
}

static bool
check_count (unsigned n, CgCudaError *error)
{
  return (n >= 1 && n <= CG_CUDA_MAX_BATCH) ||
         cg_cuda_fail (error, CG_CUDA_COMPUTE, "%u windows at once: expected 1 to %d", n,
                       CG_CUDA_MAX_BATCH);
}

static bool
run (CgCudaEngine *engine, CgCudaSample *const *samples, unsigned n, CgOutputs *const *outputs,
     const int *cancel, CgCudaError *error)
{
  if (!check_count (n, error))
    return false;
  if (cancel && __atomic_load_n (cancel, __ATOMIC_SEQ_CST) != 0)
    return cg_cuda_fail (error, CG_CUDA_COMPUTE, "The windows were cancelled");
  return enter (engine, error) &&
         leave (engine, cg_cuda_batches_run (&engine->batches, samples, n, outputs, error), error);
}

static bool
time_it (CgCudaEngine *engine, CgCudaSample *const *samples, unsigned sets, unsigned n,
         unsigned repeats, float *microseconds, CgCudaError *error)
{
  return check_count (n, error) && enter (engine, error) &&
         leave (engine,
                cg_cuda_batches_time (&engine->batches, samples, sets, n, repeats, microseconds,
                                      error),
                error);
}

static bool
picture_new (CgCudaEngine *engine, const CgFrame *frame, bool apart, CgFrame *copy,
             CgCudaError *error)
{
  return enter (engine, error) &&
         leave (engine, cg_cuda_frame_copy (&engine->device, frame, apart, copy, error), error);
}

static void
picture_free (CgCudaEngine *engine, CgFrame *copy)
{
  CgCudaError error;

  if (cg_cuda_device_is_silent (&engine->device) || !cg_cuda_device_enter (&engine->device, &error))
    return; /* it went with the context */
  cg_cuda_frame_copy_free (copy);
  cg_cuda_device_leave (&engine->device);
}

static bool
time_put (CgCudaEngine *engine, CgCudaSample *sample, const CgFrame *pictures, unsigned sets,
          unsigned row, unsigned repeats, float *microseconds, CgCudaError *error)
{
  return enter (engine, error) &&
         leave (engine,
                cg_cuda_sample_time_put (&engine->frames, sample, pictures, sets, row, repeats,
                                         microseconds, error),
                error);
}

/* ---- the table ---- */

__attribute__ ((visibility ("default"))) const CgCudaModule *
cg_cuda_module (void)
{
  static const CgCudaModule module = {
    .abi = CG_CUDA_MODULE_ABI,
    .probe = cg_cuda_device_probe,
    .open = open_it,
    .close = close_it,
    .describe = describe,
    .sample_new = sample_new,
    .sample_free = sample_free,
    .sample_put = sample_put,
    .sample_get = sample_get,
    .run = run,
    .time = time_it,
    .picture_new = picture_new,
    .picture_free = picture_free,
    .time_put = time_put,
  };

  return &module;
}
