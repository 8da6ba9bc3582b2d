/* The CUDA engine's module, opened; and its plain C translated into CgBackend. See cuda.h and cuda/module.h.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#define _GNU_SOURCE /* secure_getenv */
#include "cuda.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

#include "cuda/module.h"

#define DRIVER "libcuda.so.1"

/* An engine of the module. */
typedef struct {
  const CgCudaModule *module;
  CgCudaEngine *engine;
} Cuda;

/* ---- errors ---- */

/* Returns: FALSE. @running: of an engine that is open, which has all it needs: what finds no memory then finds none for as
 * long as others hold it, and the engine counts as lost. */
static gboolean
translate (const CgCudaError *from, gboolean running, GError **error)
{
  static const CgErrorCode codes[] = {
    [CG_CUDA_OK] = CG_ERROR_COMPUTE,
    [CG_CUDA_ABSENT] = CG_ERROR_NOT_FOUND,
    [CG_CUDA_UNSUPPORTED] = CG_ERROR_UNSUPPORTED,
    [CG_CUDA_MEMORY] = CG_ERROR_MEMORY,
    [CG_CUDA_INPUT] = CG_ERROR_INPUT,
    [CG_CUDA_COMPUTE] = CG_ERROR_COMPUTE,
    [CG_CUDA_LOST] = CG_ERROR_DEVICE_LOST,
  };

  g_set_error_literal (error, CG_ERROR,
                       running && from->status == CG_CUDA_MEMORY ? CG_ERROR_DEVICE_LOST
                                                                 : codes[from->status],
                       from->message);
  return FALSE;
}

/* ---- the module ---- */

static GMutex module_lock;
static const CgCudaModule *opened, *given; /* the lock's */

void
cg_cuda_use_module (const CgCudaModule *module)
{
  g_mutex_lock (&module_lock);
  given = module;
  g_mutex_unlock (&module_lock);
}

/* The module's libraries are not opened in vain: together they are a gigabyte. */
static gboolean
has_driver (void)
{
  void *driver = dlopen (DRIVER, RTLD_LAZY | RTLD_LOCAL);

  if (!driver)
    return FALSE;
  dlclose (driver);
  return TRUE;
}

/* @problem: what dlerror () said. */
static void
set_open_error (const char *path, const char *problem, GError **error)
{
  const char *advice = "Install what is missing";

  if (strstr (problem, "libcudnn"))
    advice = "Install cuDNN 9 for CUDA 13, where the dynamic linker finds it";
  else if (strstr (problem, "libcublasLt"))
    advice = "Install cuBLAS of CUDA 13, where the dynamic linker finds it";
  g_set_error (error, CG_ERROR, CG_ERROR_UNSUPPORTED,
               "The CUDA engine %s can't be opened: %s. %s, or use device=cpu", path, problem,
               advice);
}

static const char *
module_path (void)
{
  const char *variable = secure_getenv (CG_CUDA_MODULE_VARIABLE);

  return variable && *variable ? variable : CG_CUDA_MODULE_PATH;
}

/* Lock held. */
static const CgCudaModule *
open_file (GError **error)
{
  const char *path = module_path ();
  const CgCudaModule *(*entry) (void);
  const CgCudaModule *module;
  void *handle, *symbol;

  if (!g_file_test (path, G_FILE_TEST_EXISTS)) {
    g_set_error (error, CG_ERROR, CG_ERROR_NOT_FOUND,
                 "The CUDA engine is not installed: there is no %s. Install it, or use device=cpu",
                 path);
    return NULL;
  }
  if (!has_driver ()) {
    g_set_error_literal (error, CG_ERROR, CG_ERROR_NOT_FOUND,
                         "There is no NVIDIA driver on this machine (" DRIVER "): install one "
                         "(580 or later), or use device=cpu");
    return NULL;
  }
  handle = dlopen (path, RTLD_NOW | RTLD_LOCAL);
  if (!handle) {
    set_open_error (path, dlerror (), error);
    return NULL;
  }
  symbol = dlsym (handle, CG_CUDA_MODULE_SYMBOL);
  memcpy (&entry, &symbol, sizeof entry);
  module = entry ? entry () : NULL;
  if (!module || module->abi != CG_CUDA_MODULE_ABI) {
    g_set_error (error, CG_ERROR, CG_ERROR_UNSUPPORTED,
                 "The CUDA engine %s was built for interface %u, this program has interface %u: "
                 "install both from the same release",
                 path, module ? module->abi : 0, CG_CUDA_MODULE_ABI);
    return NULL;
  }
  return module;
}

static const CgCudaModule *
get_module (GError **error)
{
  const CgCudaModule *module;

  g_mutex_lock (&module_lock);
  if (!given && !opened)
    opened = open_file (error);
  module = given ? given : opened;
  g_mutex_unlock (&module_lock);
  return module;
}

gboolean
cg_cuda_is_installed (void)
{
  gboolean installed;

  g_mutex_lock (&module_lock);
  installed = given || opened || g_file_test (module_path (), G_FILE_TEST_EXISTS);
  g_mutex_unlock (&module_lock);
  return installed;
}

gboolean
cg_cuda_probe (guint device, GError **error)
{
  const CgCudaModule *module = get_module (error);
  CgCudaError failure = { 0 };

  if (!module)
    return FALSE;
  return module->probe ((int)device, &failure) || translate (&failure, FALSE, error);
}

/* ---- the backend ---- */

static CgCudaPrecision
precision (const CgEngineOptions *options)
{
  switch (options->precision) {
  case CG_PRECISION_FP32:
    return CG_CUDA_PRECISION_FP32;
  case CG_PRECISION_FP16:
    return CG_CUDA_PRECISION_FP16;
  case CG_PRECISION_BF16:
    return CG_CUDA_PRECISION_BF16;
  case CG_PRECISION_AUTO:
  default:
    return CG_CUDA_PRECISION_AUTO;
  }
}

static gpointer
cuda_open (const CgModel *model, const CgNetwork *network, const CgEngineOptions *options,
           GError **error)
{
  const CgCudaModule *module = get_module (error);
  g_autofree char *folder = g_build_filename (g_get_user_cache_dir (), "cityguessr", NULL);
  g_autofree char *cache = g_build_filename (folder, "cuda-tuning", NULL);
  CgCudaOptions cuda_options = { .precision = precision (options),
                                 .device = (int)options->cuda_device,
                                 .cache = cache };
  g_autoptr (CgFolded) folded = NULL;
  CgCudaError failure = { 0 };
  CgCudaEngine *engine;
  Cuda *self;

  if (!module)
    return NULL;
  folded = cg_network_fold (network, &model->input, error);
  if (!folded)
    return NULL;
  g_mkdir_with_parents (folder, 0700); /* without it, tuning happens each time */
  engine = module->open (folded, &cuda_options, &failure);
  if (!engine) {
    translate (&failure, FALSE, error);
    return NULL;
  }
  self = g_new (Cuda, 1);
  *self = (Cuda){ module, engine };
  return self;
}

static void
cuda_close (gpointer data)
{
  Cuda *self = data;

  if (!self)
    return;
  self->module->close (self->engine);
  g_free (self);
}

static const char *
cuda_describe (gpointer data)
{
  const Cuda *self = data;

  return self->module->describe (self->engine);
}

static gpointer
cuda_sample_new (gpointer data, GError **error)
{
  const Cuda *self = data;
  CgCudaError failure = { 0 };
  CgCudaSample *sample = self->module->sample_new (self->engine, &failure);

  if (!sample)
    translate (&failure, TRUE, error);
  return sample;
}

static void
cuda_sample_free (gpointer data, gpointer sample)
{
  const Cuda *self = data;

  self->module->sample_free (self->engine, sample);
}

static gboolean
cuda_sample_put (gpointer data, gpointer sample, const CgFrame *frame, GError **error)
{
  const Cuda *self = data;
  CgCudaError failure = { 0 };

  return self->module->sample_put (self->engine, sample, frame, &failure) ||
         translate (&failure, TRUE, error);
}

static gboolean
cuda_sample_get (gpointer data, gpointer sample, guint8 *pixels, GError **error)
{
  const Cuda *self = data;
  CgCudaError failure = { 0 };

  return self->module->sample_get (self->engine, sample, pixels, &failure) ||
         translate (&failure, TRUE, error);
}

static gboolean
cuda_run (gpointer data, gpointer const *samples, guint n, CgOutputs *const *outputs,
          const gint *cancel, GError **error)
{
  const Cuda *self = data;
  CgCudaError failure = { 0 };

  return self->module->run (self->engine, (CgCudaSample *const *)samples, n, outputs, cancel,
                            &failure) ||
         translate (&failure, TRUE, error);
}

/* ---- benchmarks ---- */

gboolean
cg_cuda_time (gpointer data, gpointer const *samples, guint sets, guint n, guint repeats,
              float *microseconds, GError **error)
{
  const Cuda *self = data;
  CgCudaError failure = { 0 };

  return self->module->time (self->engine, (CgCudaSample *const *)samples, sets, n, repeats,
                             microseconds, &failure) ||
         translate (&failure, TRUE, error);
}

gboolean
cg_cuda_picture_new (gpointer data, const CgFrame *frame, gboolean apart, CgFrame *copy,
                     GError **error)
{
  const Cuda *self = data;
  CgCudaError failure = { 0 };

  return self->module->picture_new (self->engine, frame, apart, copy, &failure) ||
         translate (&failure, TRUE, error);
}

void
cg_cuda_picture_free (gpointer data, CgFrame *copy)
{
  const Cuda *self = data;

  self->module->picture_free (self->engine, copy);
}

gboolean
cg_cuda_time_put (gpointer data, gpointer sample, const CgFrame *pictures, guint sets, guint row,
                  guint repeats, float *microseconds, GError **error)
{
  const Cuda *self = data;
  CgCudaError failure = { 0 };

  return self->module->time_put (self->engine, sample, pictures, sets, row, repeats, microseconds,
                                 &failure) ||
         translate (&failure, TRUE, error);
}

/* ---- the table ---- */

const CgBackend *
cg_backend_cuda (void)
{
  static const CgBackend backend = {
    .abi = CG_BACKEND_ABI,
    .name = "cuda",
    .max_batch = CG_CUDA_MAX_BATCH,
    .reads_cuda = TRUE,
    .batch_shows = TRUE,
    .open = cuda_open,
    .close = cuda_close,
    .describe = cuda_describe,
    .sample_new = cuda_sample_new,
    .sample_free = cuda_sample_free,
    .sample_put = cuda_sample_put,
    .sample_get = cuda_sample_get,
    .run = cuda_run,
  };

  return &backend;
}
