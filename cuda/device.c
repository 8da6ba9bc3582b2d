/* A device: see device.h.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "device.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define LEAST_SM 75
#define LEAST_CUDNN 91900

/* Looks at an event before the first sleep. Some dozens see a picture through, which takes the device less time than a
 * sleep; some thousands a single window. */
#define LOOKS 64
#define URGENT_LOOKS 4096
#define SHORTEST_NAP 20 /* microseconds; Linux adds some 50 */
#define LONGEST_NAP 200

/* ---- errors ---- */

bool
cg_cuda_fail (CgCudaError *error, CgCudaStatus status, const char *format, ...)
{
  va_list arguments;

  if (error) {
    error->status = status;
    va_start (arguments, format);
    vsnprintf (error->message, sizeof error->message, format, arguments);
    va_end (arguments);
  }
  return false;
}

/* After these the context answers every call with the same error, or the device is gone. */
static bool
is_sticky (cudaError_t code)
{
  switch (code) {
  case cudaErrorDevicesUnavailable:
  case cudaErrorECCUncorrectable:
  case cudaErrorNvlinkUncorrectable:
  case cudaErrorIllegalAddress:
  case cudaErrorLaunchTimeout:
  case cudaErrorContextIsDestroyed:
  case cudaErrorAssert:
  case cudaErrorHardwareStackError:
  case cudaErrorIllegalInstruction:
  case cudaErrorMisalignedAddress:
  case cudaErrorInvalidAddressSpace:
  case cudaErrorInvalidPc:
  case cudaErrorLaunchFailure:
  case cudaErrorExternalDevice:
  case cudaErrorContained:
  case cudaErrorTensorMemoryLeak:
  case cudaErrorMpsConnectionFailed: /* the server has the context, and is gone or begins anew */
  case cudaErrorMpsRpcFailure:
  case cudaErrorMpsServerNotReady:
  case cudaErrorMpsClientTerminated:
  case cudaErrorUnknown:
    return true;
  default:
    return false;
  }
}

bool
cg_cuda_check (cudaError_t code, const char *what, CgCudaError *error)
{
  if (code == cudaSuccess)
    return true;
  cudaGetLastError (); /* forgets it, unless it is sticky */
  if (is_sticky (code))
    return cg_cuda_fail (error, CG_CUDA_LOST, "The GPU is lost: CUDA could not %s: %s", what,
                         cudaGetErrorString (code));
  if (code == cudaErrorMemoryAllocation)
    return cg_cuda_fail (error, CG_CUDA_MEMORY,
                         "The GPU has too little memory free: CUDA could not %s. Close other "
                         "programs that use the GPU, or use device=cpu",
                         what);
  return cg_cuda_fail (error, CG_CUDA_COMPUTE, "CUDA could not %s: %s", what,
                       cudaGetErrorString (code));
}

/* A library has a CUDA runtime of its own inside. What is behind its error is in ours only if ours has met it, too. */
static bool
fail_library (const char *library, bool memory, const char *what, const char *reason,
              CgCudaError *error)
{
  const cudaError_t behind = cudaGetLastError ();

  if (is_sticky (behind) || behind == cudaErrorMemoryAllocation)
    return cg_cuda_check (behind, what, error);
  return cg_cuda_fail (error, memory ? CG_CUDA_MEMORY : CG_CUDA_COMPUTE, "%s could not %s: %s",
                       library, what, reason);
}

const char *
cg_cuda_dnn_reason (cudnnStatus_t code, char *text, size_t size)
{
  char last[160] = "";

  cudnnGetLastErrorString (last, sizeof last);
  snprintf (text, size, "%s%s%s", cudnnGetErrorString (code), *last ? ": " : "", last);
  return text;
}

bool
cg_cuda_check_lt (cublasStatus_t code, const char *what, CgCudaError *error)
{
  return code == CUBLAS_STATUS_SUCCESS ||
         fail_library ("cuBLASLt", code == CUBLAS_STATUS_ALLOC_FAILED, what,
                       cublasLtGetStatusString (code), error);
}

bool
cg_cuda_check_dnn (cudnnStatus_t code, const char *what, CgCudaError *error)
{
  const bool memory = code == CUDNN_STATUS_INTERNAL_ERROR_HOST_ALLOCATION_FAILED ||
                      code == CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED;
  char reason[192];

  return code == CUDNN_STATUS_SUCCESS ||
         fail_library ("cuDNN", memory, what, cg_cuda_dnn_reason (code, reason, sizeof reason),
                       error);
}

/* ---- the driver's context stack, which the runtime has no words for ---- */

static struct {
  int (*retain) (void **context, int device);
  int (*release) (int device);
  int (*push) (void *context);
  int (*pop) (void **context);
  int (*attribute) (void *value, int attribute, uintptr_t pointer);
  int (*copy) (uintptr_t to, void *to_context, uintptr_t from, void *from_context, size_t bytes,
               cudaStream_t stream);
} driver;
static pthread_once_t driver_once = PTHREAD_ONCE_INIT;
static cudaError_t driver_error;

/* The driver's function @name, as it was in CUDA @version, into @slot. */
static cudaError_t
look_up (const char *name, unsigned version, void *slot)
{
  void *function = NULL;
  enum cudaDriverEntryPointQueryResult found;
  const cudaError_t code =
      cudaGetDriverEntryPointByVersion (name, &function, version, cudaEnableDefault, &found);

  memcpy (slot, &function, sizeof function);
  return code == cudaSuccess && !function ? cudaErrorSymbolNotFound : code;
}

static void
driver_load (void)
{
  const struct {
    const char *name;
    void *slot;
  } functions[] = {
    { "cuDevicePrimaryCtxRetain", &driver.retain },
    { "cuDevicePrimaryCtxRelease", &driver.release },
    { "cuCtxPushCurrent", &driver.push },
    { "cuCtxPopCurrent", &driver.pop },
    { "cuPointerGetAttribute", &driver.attribute },
    { "cuMemcpyPeerAsync", &driver.copy },
  };

  for (size_t i = 0; i < sizeof functions / sizeof *functions && driver_error == cudaSuccess; i++)
    driver_error = look_up (functions[i].name, 12000, functions[i].slot);
}

bool
cg_cuda_device_enter (const CgCudaDevice *device, CgCudaError *error)
{
  return driver.push (device->context) == 0 ||
         cg_cuda_fail (error, CG_CUDA_LOST,
                       "The GPU is lost: its context could not be made current");
}

void
cg_cuda_device_leave (const CgCudaDevice *device)
{
  void *context = device->context;

  driver.pop (&context);
}

bool
cg_cuda_context_new (const CgCudaDevice *device, void **context, CgCudaError *error)
{
  int (*create) (void **context, unsigned flags, int device);
  void *current;

  /* From 11.4 on it has more parameters. The driver's errors have the runtime's numbers. */
  if (!cg_cuda_check (look_up ("cuCtxCreate", 11000, &create), "find cuCtxCreate", error) ||
      !cg_cuda_check ((cudaError_t)create (context, 0, device->number), "make a context", error))
    return false;
  driver.pop (&current);
  return true;
}

void
cg_cuda_context_free (void *context)
{
  int (*destroy) (void *context);

  if (look_up ("cuCtxDestroy", 12000, &destroy) == cudaSuccess)
    destroy (context);
}

/* ---- waiting ---- */

int64_t cg_cuda_patience = 60000000;

static int64_t
microseconds (void)
{
  struct timespec now;

  clock_gettime (CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* cudaEventSynchronize() has no bound. What replaces it is late by half a sleep on average: with sleeps of a 32nd of what
 * was waited already that is some 2 % of a batch, for some 30 looks, each of a microsecond or two. */
static void
nap (int64_t waited)
{
  const int64_t wanted = waited / 32;
  const struct timespec time = { .tv_nsec = 1000 * (wanted < SHORTEST_NAP  ? SHORTEST_NAP
                                                    : wanted > LONGEST_NAP ? LONGEST_NAP
                                                                           : wanted) };

  nanosleep (&time, NULL);
}

bool
cg_cuda_device_is_silent (const CgCudaDevice *device)
{
  return __atomic_load_n (&device->silent, __ATOMIC_RELAXED);
}

bool
cg_cuda_device_wait (CgCudaDevice *device, cudaEvent_t event, bool urgent, const char *what,
                     CgCudaError *error)
{
  const unsigned looks = urgent ? URGENT_LOOKS : LOOKS;
  const int64_t start = microseconds ();
  cudaError_t code = cudaErrorNotReady;

  for (unsigned i = 0; !cg_cuda_device_is_silent (device); i += i < looks) {
    const int64_t waited = i < looks ? 0 : microseconds () - start;

    code = cudaEventQuery (event);
    if (code != cudaErrorNotReady)
      break;
    if (waited > cg_cuda_patience)
      __atomic_store_n (&device->silent, true, __ATOMIC_RELAXED);
    else if (i == looks)
      nap (waited);
  }
  if (code == cudaErrorNotReady)
    return cg_cuda_fail (error, CG_CUDA_LOST,
                         "The GPU does not answer: CUDA could not %s within %lld s. Look at the "
                         "system's log for what the NVIDIA driver says, and restart the program or "
                         "the machine",
                         what, (long long)(cg_cuda_patience / 1000000));
  if (code == cudaSuccess)
    cudaGetLastError (); /* "not ready" is remembered as the thread's last error */
  return cg_cuda_check (code, what, error);
}

/* ---- somebody else's memory ---- */

/* Of cuda.h, whose functions are called by name alone. */
enum { POINTER_CONTEXT = 1, POINTER_MEMORY_TYPE = 2, POINTER_DEVICE = 9 };
#define DEVICE_MEMORY 2

/* What the driver knows of @address. @value stays as it is where that has no such attribute. */
static bool
ask (void *value, int attribute, const void *address, CgCudaError *error)
{
  /* The driver's errors have the runtime's numbers. */
  const cudaError_t code = (cudaError_t)driver.attribute (value, attribute, (uintptr_t)address);

  return code == cudaErrorInvalidValue || code == cudaErrorNotSupported ||
         cg_cuda_check (code, "ask where a picture is", error);
}

bool
cg_cuda_device_find (const CgCudaDevice *device, const void *pointer, void **context,
                     CgCudaError *error)
{
  unsigned type = 0;
  int number = -1;

  *context = NULL;
  if (!ask (&type, POINTER_MEMORY_TYPE, pointer, error) ||
      !ask (&number, POINTER_DEVICE, pointer, error) ||
      !ask (context, POINTER_CONTEXT, pointer, error))
    return false;
  if (type != DEVICE_MEMORY || number < 0)
    return cg_cuda_fail (error, CG_CUDA_INPUT,
                         "The picture is said to be in a GPU's memory, but it is in none's");
  if (*context && *context != device->context)
    return true;
  *context = NULL;
  return number == device->number ||
         cg_cuda_fail (error, CG_CUDA_UNSUPPORTED,
                       "The picture is in the memory of GPU %d, and the engine works on GPU %d: "
                       "put cudadownload before it",
                       number, device->number);
}

bool
cg_cuda_device_fetch (const CgCudaDevice *device, void *to, const void *from, void *context,
                      size_t bytes, cudaStream_t stream, CgCudaError *error)
{
  /* The driver's errors have the runtime's numbers. */
  const cudaError_t code = (cudaError_t)driver.copy ((uintptr_t)to, device->context,
                                                     (uintptr_t)from, context, bytes, stream);

  /* Of a context that was handed over; that of one that is current is cudaErrorContextIsDestroyed. */
  if (code == cudaErrorDeviceUninitialized)
    return cg_cuda_fail (error, CG_CUDA_INPUT, "The picture's memory is gone, with its context");
  return cg_cuda_check (code, "copy a picture", error);
}

/* ---- finding, opening, closing ---- */

const char *cg_cuda_release_file = "/sys/module/nvidia/version";

/* "580.65.06", or nothing, as where the driver is not a module of this system's kernel. */
static void
read_release (char *text, size_t size)
{
  static const char allowed[] = "0123456789.-_"
                                "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
  FILE *file = fopen (cg_cuda_release_file, "re");

  if (!file || !fgets (text, (int)size, file))
    *text = '\0';
  text[strspn (text, allowed)] = '\0';
  if (file)
    fclose (file);
}

static bool
find (int number, struct cudaDeviceProp *properties, int *version, CgCudaError *error)
{
  int count = 0;
  cudaError_t code;

  *version = 0;
  if (cudaDriverGetVersion (version) != cudaSuccess || *version == 0)
    return cg_cuda_fail (error, CG_CUDA_ABSENT,
                         "There is no NVIDIA driver on this machine: install one (580 or later), "
                         "or use device=cpu");
  code = cudaGetDeviceCount (&count);
  if (code == cudaErrorInsufficientDriver)
    return cg_cuda_fail (error, CG_CUDA_UNSUPPORTED,
                         "The NVIDIA driver is too old: it knows CUDA %d.%d, and the CUDA engine "
                         "needs 13.0. Install driver 580 or later, or use device=cpu",
                         *version / 1000, *version % 1000 / 10);
  if (code == cudaErrorNoDevice || (code == cudaSuccess && count == 0))
    return cg_cuda_fail (error, CG_CUDA_ABSENT,
                         "There is no NVIDIA GPU on this machine, or none that this program may "
                         "use: look at CUDA_VISIBLE_DEVICES and at what nvidia-smi says, or use "
                         "device=cpu");
  if (!cg_cuda_check (code, "count the GPUs", error))
    return false;
  if (number < 0 || number >= count)
    return cg_cuda_fail (error, CG_CUDA_ABSENT,
                         "There is no GPU %d: this program sees %d, counted from 0. Look at "
                         "CUDA_VISIBLE_DEVICES, or use device=cpu",
                         number, count);
  if (!cg_cuda_check (cudaGetDeviceProperties (properties, number), "ask what the GPU is", error))
    return false;
  if (10 * properties->major + properties->minor < LEAST_SM)
    return cg_cuda_fail (error, CG_CUDA_UNSUPPORTED,
                         "The GPU %s is too old: its compute capability is %d.%d, and the CUDA "
                         "engine needs %d.%d. Take another GPU, or use device=cpu",
                         properties->name, properties->major, properties->minor, LEAST_SM / 10,
                         LEAST_SM % 10);
  if (cudnnGetVersion () < LEAST_CUDNN)
    return cg_cuda_fail (error, CG_CUDA_UNSUPPORTED,
                         "libcudnn.so.9 is too old: it is %zu.%zu.%zu, and the CUDA engine needs "
                         "9.%d. Install a later cuDNN, or use device=cpu",
                         cudnnGetVersion () / 10000, cudnnGetVersion () / 100 % 100,
                         cudnnGetVersion () % 100, LEAST_CUDNN / 100 % 100);
  return true;
}

bool
cg_cuda_device_probe (int number, CgCudaError *error)
{
  struct cudaDeviceProp properties;
  int version;

  return find (number, &properties, &version, error);
}

static bool
create_handles (CgCudaDevice *device, CgCudaError *error)
{
  return cg_cuda_check (cudaStreamCreateWithFlags (&device->stream, cudaStreamNonBlocking),
                        "make a stream", error) &&
         cg_cuda_check_lt (cublasLtCreate (&device->lt), "start", error) &&
         cg_cuda_check_dnn (cudnnCreate (&device->dnn), "start", error) &&
         cg_cuda_check_dnn (cudnnSetStream (device->dnn, device->stream), "take a stream", error) &&
         cg_cuda_check (cudaMalloc (&device->workspace, CG_CUDA_WORKSPACE), "allocate a workspace",
                        error);
}

bool
cg_cuda_device_open (CgCudaDevice *device, int number, void *context, CgCudaError *error)
{
  struct cudaDeviceProp properties;

  if (!find (number, &properties, &device->driver_version, error))
    return false;
  device->number = number;
  device->sm = 10 * properties.major + properties.minor;
  device->multiprocessors = properties.multiProcessorCount;
  snprintf (device->name, sizeof device->name, "%.*s", (int)sizeof device->name - 1,
            properties.name);
  read_release (device->driver_release, sizeof device->driver_release);

  pthread_once (&driver_once, driver_load);
  if (!cg_cuda_check (driver_error, "find the driver's functions", error))
    return false;
  if (context == NULL) {
    if (driver.retain (&context, number) != 0)
      return cg_cuda_fail (error, CG_CUDA_MEMORY,
                           "The GPU %s gives no context: it may be in exclusive use, or out of "
                           "memory. Close other programs that use it, or use device=cpu",
                           device->name);
    device->owns_context = true;
  }
  device->context = context;
  if (!cg_cuda_device_enter (device, error)) {
    if (device->owns_context)
      driver.release (number);
    device->context = NULL;
    return false;
  }
  device->workspace_size = CG_CUDA_WORKSPACE;
  return create_handles (device, error);
}

void
cg_cuda_device_close (CgCudaDevice *device)
{
  if (!device->context)
    return;
  if (device->stream)
    cudaStreamSynchronize (device->stream);
  cudaFree (device->workspace);
  if (device->dnn)
    cudnnDestroy (device->dnn);
  if (device->lt)
    cublasLtDestroy (device->lt);
  if (device->stream)
    cudaStreamDestroy (device->stream);
  cudaGetLastError ();
  cg_cuda_device_leave (device);
  if (device->owns_context)
    driver.release (device->number);
  *device = (CgCudaDevice){ 0 };
}

void
cg_cuda_device_forget (CgCudaDevice *device)
{
  const bool silent = cg_cuda_device_is_silent (device);

  if (device->owns_context && !silent)
    driver.release (device->number);
  *device = (CgCudaDevice){ .silent = silent };
}

/* ---- types ---- */

size_t
cg_cuda_type_size (CgCudaType type)
{
  return type == CG_CUDA_FP32 ? 4 : 2;
}

cudaDataType_t
cg_cuda_data_type (CgCudaType type)
{
  return type == CG_CUDA_FP32 ? CUDA_R_32F : type == CG_CUDA_FP16 ? CUDA_R_16F : CUDA_R_16BF;
}

cudnnDataType_t
cg_cuda_dnn_type (CgCudaType type)
{
  return type == CG_CUDA_FP32   ? CUDNN_DATA_FLOAT
         : type == CG_CUDA_FP16 ? CUDNN_DATA_HALF
                                : CUDNN_DATA_BFLOAT16;
}

const char *
cg_cuda_type_name (CgCudaType type)
{
  return type == CG_CUDA_FP32 ? "fp32" : type == CG_CUDA_FP16 ? "fp16" : "bf16";
}
