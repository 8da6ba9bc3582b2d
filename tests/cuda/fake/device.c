/* The fake device: settings, counted calls and their failures, contexts, properties.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "private.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cuda.h>

#define DEFAULTS                                                          \
  {                                                                       \
    .devices = 1, .capability = 90, .memory = 1u << 30, .processors = 132 \
  }

#define MAX_DEVICES 4

static const CgFakeSettings defaults = DEFAULTS;

CgFakeSettings cg_fake_settings = DEFAULTS;
GRecMutex cg_fake_lock;

static guint64 n_calls;
static guint n_retained; /* primary contexts */
static gboolean lost[MAX_DEVICES], vanished;
static const char *fail_name;
static GString *faults, *calls_log;
static GPtrArray *traced_calls, *traced_ops;
static GSList *created; /* contexts, by create_context() */

static __thread cudaError_t last_error; /* each thread has its own */
static __thread gint current_device;
static __thread guint depth; /* of its stack of contexts */

/* ---- counted calls ---- */

static void
strike (const char *name)
{
  if (!fail_name)
    fail_name = name;
}

void
cg_fake_lose (const char *name, gint device)
{
  strike (name);
  lost[device] = TRUE;
}

void
cg_fake_lose_device (gint device)
{
  g_autoptr (GRecMutexLocker) locker = g_rec_mutex_locker_new (&cg_fake_lock);
  cg_fake_lose (__func__, device);
}

gboolean
cg_fake_lost_device (gint device)
{
  return lost[device];
}

gboolean
cg_fake_lost (void)
{
  return lost[cg_fake_device ()];
}

guint
cg_fake_enter (const char *name)
{
  cg_fake_log_line ("", name);
  if (traced_calls)
    g_ptr_array_add (traced_calls, (gpointer)name);
  n_calls++;
  if (cg_fake_settings.lose_at && n_calls >= cg_fake_settings.lose_at)
    cg_fake_lose (name, cg_fake_device ());
  if (cg_fake_lost ())
    return 2;
  if (n_calls != cg_fake_settings.fail_at && g_strcmp0 (name, cg_fake_settings.fail_call) != 0)
    return 0;
  cg_fake_settings.fail_call = NULL;
  strike (name);
  cg_fake_return ((cudaError_t)cg_fake_settings.fail_as);
  return 1;
}

cudaError_t
cg_fake_failure (cudaError_t fitting)
{
  return cg_fake_settings.fail_as ? (cudaError_t)cg_fake_settings.fail_as : fitting;
}

void
cg_fake_trace (GPtrArray *calls, GPtrArray *ops)
{
  g_autoptr (GRecMutexLocker) locker = g_rec_mutex_locker_new (&cg_fake_lock);
  traced_calls = calls;
  traced_ops = ops;
}

void
cg_fake_trace_op (const char *name)
{
  if (traced_ops)
    g_ptr_array_add (traced_ops, (gpointer)name);
}

guint64
cg_fake_calls (void)
{
  return n_calls;
}

const char *
cg_fake_fail_name (void)
{
  return fail_name;
}

void
cg_fake_note (const char *format, ...)
{
  va_list arguments;
  if (!faults)
    faults = g_string_new (NULL);
  va_start (arguments, format);
  g_string_append_vprintf (faults, format, arguments);
  g_string_append_c (faults, '\n');
  va_end (arguments);
}

void
cg_fake_fault (const char *text)
{
  g_autoptr (GRecMutexLocker) locker = g_rec_mutex_locker_new (&cg_fake_lock);
  cg_fake_note ("%s", text);
}

char *
cg_fake_faults (void)
{
  g_autoptr (GRecMutexLocker) locker = g_rec_mutex_locker_new (&cg_fake_lock);
  cg_fake_memory_check_guards ();
  return g_strdup (faults ? faults->str : "");
}

void
cg_fake_log_line (const char *prefix, const char *name)
{
  if (calls_log)
    g_string_append_printf (calls_log, "%s%s\n", prefix, name);
}

char *
cg_fake_log (gboolean on)
{
  g_autoptr (GRecMutexLocker) locker = g_rec_mutex_locker_new (&cg_fake_lock);
  char *text = calls_log ? g_string_free (calls_log, FALSE) : g_strdup ("");
  calls_log = on ? g_string_new (NULL) : NULL;
  return text;
}

static void
append_count (GString *text, guint n, const char *what)
{
  if (n)
    g_string_append_printf (text, "%u %s\n", n, what);
}

char *
cg_fake_leaks (void)
{
  g_autoptr (GRecMutexLocker) locker = g_rec_mutex_locker_new (&cg_fake_lock);
  GString *text = g_string_new (NULL);
  guint streams, events, graphs;
  gsize bytes;

  append_count (text, cg_fake_memory_count (CG_FAKE_DEVICE, &bytes), "device allocations");
  append_count (text, cg_fake_memory_count (CG_FAKE_PINNED, &bytes), "pinned allocations");
  cg_fake_stream_counts (&streams, &events, &graphs);
  append_count (text, streams, "streams");
  append_count (text, events, "events");
  append_count (text, graphs, "graphs");
  append_count (text, g_slist_length (created), "contexts");
  append_count (text, cg_fake_lt_count (), "cuBLASLt objects");
  append_count (text, cg_fake_dnn_count (), "cuDNN objects");
  /* A device that does not answer keeps its own. */
  append_count (text, cg_fake_settings.silent ? 0 : n_retained, "retained contexts");
  append_count (text, depth, "contexts that this thread entered");
  return g_string_free (text, FALSE);
}

void
cg_fake_reset (void)
{
  g_autoptr (GRecMutexLocker) locker = g_rec_mutex_locker_new (&cg_fake_lock);
  if (cg_fake_settings.silent)
    n_retained = 0;
  cg_fake_settings = defaults;
  n_calls = 0;
  memset (lost, 0, sizeof lost);
  vanished = FALSE;
  fail_name = NULL;
  last_error = cudaSuccess;
  if (faults)
    g_string_truncate (faults, 0);
  cg_fake_streams_reset ();
}

guint
cg_fake_random (guint64 key)
{
  key += cg_fake_settings.seed * G_GUINT64_CONSTANT (0x9E3779B97F4A7C15);
  key = (key ^ (key >> 30)) * G_GUINT64_CONSTANT (0xBF58476D1CE4E5B9);
  key = (key ^ (key >> 27)) * G_GUINT64_CONSTANT (0x94D049BB133111EB);
  return (guint)(key >> 40);
}

/* ---- errors ---- */

cudaError_t
cg_fake_return (cudaError_t error)
{
  if (error != cudaSuccess)
    last_error = error;
  return error;
}

cudaError_t
cudaGetLastError (void)
{
  const cudaError_t error = cg_fake_lost () ? cudaErrorIllegalAddress : last_error;
  last_error = cudaSuccess;
  return error;
}

cudaError_t
cudaPeekAtLastError (void)
{
  return cg_fake_lost () ? cudaErrorIllegalAddress : last_error;
}

const char *
cudaGetErrorName (cudaError_t error)
{
  switch (error) {
  case cudaSuccess:
    return "cudaSuccess";
  case cudaErrorMemoryAllocation:
    return "cudaErrorMemoryAllocation";
  case cudaErrorIllegalAddress:
    return "cudaErrorIllegalAddress";
  default:
    return "cudaErrorFake";
  }
}

const char *
cudaGetErrorString (cudaError_t error)
{
  switch (error) {
  case cudaSuccess:
    return "no error";
  case cudaErrorMemoryAllocation:
    return "out of memory";
  case cudaErrorIllegalAddress:
    return "an illegal memory access was encountered";
  case cudaErrorNoDevice:
    return "no CUDA-capable device is detected";
  case cudaErrorInsufficientDriver:
    return "CUDA driver version is insufficient for CUDA runtime version";
  default:
    return "a fake error";
  }
}

/* ---- contexts: the primary one of each device, and those of cg_fake_context_new() ---- */

#define MAX_DEPTH 16

struct CUctx_st {
  gint device;
};

static struct CUctx_st primary[MAX_DEVICES] = { { 0 }, { 1 }, { 2 }, { 3 } };
static __thread CUcontext stack[MAX_DEPTH];

gpointer
cg_fake_context (void)
{
  return depth > 0 && stack[depth - 1] ? stack[depth - 1] : &primary[current_device];
}

gint
cg_fake_device (void)
{
  return ((CUcontext)cg_fake_context ())->device;
}

gint
cg_fake_device_of (gpointer context)
{
  return context ? ((CUcontext)context)->device : cg_fake_device ();
}

gpointer
cg_fake_context_new (gint device)
{
  CUcontext context = g_new0 (struct CUctx_st, 1);
  context->device = device;
  return context;
}

void
cg_fake_context_free (gpointer context)
{
  g_free (context);
}

gboolean
cg_fake_vanished (void)
{
  return vanished;
}

void
cg_fake_contexts_vanish (void)
{
  g_autoptr (GRecMutexLocker) locker = g_rec_mutex_locker_new (&cg_fake_lock);
  vanished = TRUE;
  cg_fake_streams_vanish ();
  cg_fake_memory_vanish ();
  g_slist_free_full (g_steal_pointer (&created), g_free);
  cg_fake_lt_vanish ();
  cg_fake_dnn_vanish ();
}

static CUresult
push_current (CUcontext context)
{
  /* Never fails with a context that is there, not even with one that is lost. */
  CG_FAKE_RELEASE ();
  if (!context || depth == MAX_DEPTH || vanished)
    return CUDA_ERROR_INVALID_CONTEXT;
  stack[depth++] = context;
  return CUDA_SUCCESS;
}

static CUresult
pop_current (CUcontext *context)
{
  if (depth == 0) {
    cg_fake_note ("cuCtxPopCurrent without a context");
    return CUDA_ERROR_INVALID_CONTEXT;
  }
  depth--;
  if (context)
    *context = stack[depth];
  return CUDA_SUCCESS;
}

void
cg_fake_context_push (gpointer context)
{
  g_assert (push_current (context) == CUDA_SUCCESS);
}

void
cg_fake_context_pop (void)
{
  pop_current (NULL);
}

static CUresult
create_context (CUcontext *context, guint flags, CUdevice device)
{
  CG_FAKE_CALL_AS (CUDA_ERROR_OUT_OF_MEMORY, CUDA_ERROR_ILLEGAL_ADDRESS);
  if (device < 0 || device >= cg_fake_settings.devices)
    return CUDA_ERROR_INVALID_DEVICE;
  *context = cg_fake_context_new (device);
  created = g_slist_prepend (created, *context);
  return push_current (*context);
}

static CUresult
destroy_context (CUcontext context)
{
  CG_FAKE_RELEASE ();
  if (vanished || !g_slist_find (created, context)) {
    cg_fake_note ("cuCtxDestroy: there is no such context");
    return CUDA_ERROR_INVALID_CONTEXT;
  }
  created = g_slist_remove (created, context);
  cg_fake_memory_end (context);
  cg_fake_context_free (context);
  return CUDA_SUCCESS;
}

static CUresult
get_current (CUcontext *context)
{
  *context = depth > 0 ? stack[depth - 1] : NULL;
  return CUDA_SUCCESS;
}

static CUresult
set_current (CUcontext context)
{
  if (depth == 0)
    depth = 1;
  stack[depth - 1] = context;
  return CUDA_SUCCESS;
}

static CUresult
get_device (CUdevice *device)
{
  *device = cg_fake_device ();
  return CUDA_SUCCESS;
}

static CUresult
primary_retain (CUcontext *context, CUdevice device)
{
  CG_FAKE_CALL_AS (CUDA_ERROR_OUT_OF_MEMORY, CUDA_ERROR_ILLEGAL_ADDRESS);
  if (device < 0 || device >= cg_fake_settings.devices)
    return CUDA_ERROR_INVALID_DEVICE;
  *context = &primary[device];
  n_retained++;
  return CUDA_SUCCESS;
}

static CUresult
primary_release (CUdevice device)
{
  CG_FAKE_RELEASE ();
  if (n_retained == 0) {
    cg_fake_note ("cuDevicePrimaryCtxRelease: it was not retained");
    return CUDA_ERROR_INVALID_CONTEXT;
  }
  n_retained--;
  return CUDA_SUCCESS;
}

static CUresult
get_error_text (CUresult result, const char **text)
{
  *text = "a fake error of the driver";
  return CUDA_SUCCESS;
}

static CUresult
pointer_attribute (void *value, CUpointer_attribute attribute, CUdeviceptr pointer)
{
  CG_FAKE_CALL_AS (CUDA_ERROR_NOT_INITIALIZED, CUDA_ERROR_ILLEGAL_ADDRESS);
  const CgFakeMemory *memory = cg_fake_find ((const void *)(gsize)pointer);
  if (!memory)
    return CUDA_ERROR_INVALID_VALUE;
  switch (attribute) {
  case CU_POINTER_ATTRIBUTE_CONTEXT:
    *(gpointer *)value = memory->context;
    return memory->context ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
  case CU_POINTER_ATTRIBUTE_MEMORY_TYPE:
    *(guint *)value = memory->kind == CG_FAKE_DEVICE ? CU_MEMORYTYPE_DEVICE : CU_MEMORYTYPE_HOST;
    return CUDA_SUCCESS;
  case CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL:
    *(gint *)value = memory->device;
    return CUDA_SUCCESS;
  default:
    return CUDA_ERROR_INVALID_VALUE;
  }
}

static const struct {
  const char *name;
  void (*function) (void);
} driver[] = {
  { "cuCtxPushCurrent", (void (*) (void))push_current },
  { "cuCtxPopCurrent", (void (*) (void))pop_current },
  { "cuCtxGetCurrent", (void (*) (void))get_current },
  { "cuCtxCreate", (void (*) (void))create_context },
  { "cuCtxDestroy", (void (*) (void))destroy_context },
  { "cuCtxSetCurrent", (void (*) (void))set_current },
  { "cuCtxGetDevice", (void (*) (void))get_device },
  { "cuDevicePrimaryCtxRetain", (void (*) (void))primary_retain },
  { "cuDevicePrimaryCtxRelease", (void (*) (void))primary_release },
  { "cuPointerGetAttribute", (void (*) (void))pointer_attribute },
  { "cuMemcpyPeerAsync", (void (*) (void))cg_fake_peer_copy },
  { "cuGetErrorString", (void (*) (void))get_error_text },
  { "cuGetErrorName", (void (*) (void))get_error_text },
};

cudaError_t
cudaGetDriverEntryPointByVersion (const char *symbol, void **function, unsigned int version,
                                  unsigned long long flags,
                                  enum cudaDriverEntryPointQueryResult *result)
{
  /* Never fails: who asks does so once in a process. */
  *function = NULL;
  for (guint i = 0; i < G_N_ELEMENTS (driver); i++)
    if (strcmp (driver[i].name, symbol) == 0)
      memcpy (function, &driver[i].function, sizeof *function);
  if (version >= 11040 && strcmp (symbol, "cuCtxCreate") == 0)
    *function = NULL; /* those with more parameters are not faked */
  if (result)
    *result = *function ? cudaDriverEntryPointSuccess : cudaDriverEntryPointSymbolNotFound;
  return cudaSuccess;
}

/* ---- devices ---- */

cudaError_t
cudaGetDeviceCount (int *count)
{
  CG_FAKE_CALL (cudaErrorInitializationError);
  *count = 0;
  if (cg_fake_settings.devices < 0)
    return cg_fake_return (cudaErrorInsufficientDriver);
  if (cg_fake_settings.devices == 0)
    return cg_fake_return (cudaErrorNoDevice);
  *count = cg_fake_settings.devices;
  return cudaSuccess;
}

cudaError_t
cudaGetDevice (int *device)
{
  CG_FAKE_CALL (cudaErrorInitializationError);
  *device = cg_fake_device ();
  return cudaSuccess;
}

cudaError_t
cudaSetDevice (int device)
{
  CG_FAKE_CALL (cudaErrorDevicesUnavailable);
  if (device < 0 || device >= cg_fake_settings.devices)
    return cg_fake_return (cudaErrorInvalidDevice);
  if (depth > 0 && stack[depth - 1] && stack[depth - 1] != &primary[device])
    cg_fake_note ("cudaSetDevice while somebody's own context is current");
  current_device = device;
  return cudaSuccess;
}

cudaError_t
cudaInitDevice (int device, unsigned int device_flags, unsigned int flags)
{
  CG_FAKE_CALL (cudaErrorDevicesUnavailable);
  return cudaSuccess;
}

cudaError_t
cudaGetDeviceProperties (struct cudaDeviceProp *properties, int device)
{
  CG_FAKE_CALL (cudaErrorInvalidDevice);
  if (device < 0 || device >= cg_fake_settings.devices)
    return cg_fake_return (cudaErrorInvalidDevice);
  memset (properties, 0, sizeof *properties);
  if (cg_fake_settings.name)
    g_strlcpy (properties->name, cg_fake_settings.name, sizeof properties->name);
  else
    g_snprintf (properties->name, sizeof properties->name, "Fake GPU %d", device);
  memset (&properties->uuid, 0x40 + device, sizeof properties->uuid);
  properties->totalGlobalMem = cg_fake_settings.memory;
  properties->major = (int)cg_fake_settings.capability / 10;
  properties->minor = (int)cg_fake_settings.capability % 10;
  properties->multiProcessorCount = cg_fake_settings.processors;
  properties->warpSize = 32;
  properties->maxThreadsPerBlock = 1024;
  properties->maxThreadsPerMultiProcessor = 2048;
  properties->sharedMemPerBlock = 48 << 10;
  properties->sharedMemPerBlockOptin = 227 << 10;
  properties->l2CacheSize = 50 << 20;
  properties->pciBusID = 1 + device;
  return cudaSuccess;
}

cudaError_t
cudaDeviceGetAttribute (int *value, enum cudaDeviceAttr attribute, int device)
{
  CG_FAKE_CALL (cudaErrorInvalidDevice);
  if (device < 0 || device >= cg_fake_settings.devices)
    return cg_fake_return (cudaErrorInvalidDevice);
  switch (attribute) {
  case cudaDevAttrComputeCapabilityMajor:
    *value = (int)cg_fake_settings.capability / 10;
    return cudaSuccess;
  case cudaDevAttrComputeCapabilityMinor:
    *value = (int)cg_fake_settings.capability % 10;
    return cudaSuccess;
  case cudaDevAttrMultiProcessorCount:
    *value = cg_fake_settings.processors;
    return cudaSuccess;
  case cudaDevAttrMaxSharedMemoryPerBlock:
    *value = 48 << 10;
    return cudaSuccess;
  case cudaDevAttrMaxSharedMemoryPerBlockOptin:
    *value = 227 << 10;
    return cudaSuccess;
  case cudaDevAttrWarpSize:
    *value = 32;
    return cudaSuccess;
  case cudaDevAttrMaxThreadsPerMultiProcessor:
    *value = 2048;
    return cudaSuccess;
  default:
    *value = 0;
    return cudaSuccess;
  }
}

cudaError_t
cudaDeviceGetPCIBusId (char *id, int length, int device)
{
  CG_FAKE_CALL (cudaErrorInvalidDevice);
  g_snprintf (id, (gulong)length, "0000:%02X:00.0", 1 + device);
  return cudaSuccess;
}

cudaError_t
cudaDriverGetVersion (int *version)
{
  CG_FAKE_CALL (cudaErrorUnknown);
  *version = cg_fake_settings.driver        ? MAX (cg_fake_settings.driver, 0)
             : cg_fake_settings.devices < 0 ? 11040
                                            : 13000;
  return cudaSuccess;
}

cudaError_t
cudaRuntimeGetVersion (int *version)
{
  CG_FAKE_CALL (cudaErrorUnknown);
  *version = CUDART_VERSION;
  return cudaSuccess;
}

cudaError_t
cudaFuncSetAttribute (const void *function, enum cudaFuncAttribute attribute, int value)
{
  CG_FAKE_CALL (cudaErrorInvalidValue);
  return cudaSuccess;
}

cudaError_t
cudaDeviceGetStreamPriorityRange (int *least, int *greatest)
{
  CG_FAKE_CALL (cudaErrorUnknown);
  if (least)
    *least = 0;
  if (greatest)
    *greatest = -5;
  return cudaSuccess;
}
