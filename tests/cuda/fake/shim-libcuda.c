/* A libcuda.so.1 for machines without one: enough of the driver for cuDNN to compile its kernels and to load them
 * nowhere. Whatever would need a GPU says CUDA_ERROR_STUB_LIBRARY.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include <stddef.h>

#define EXPORT __attribute__ ((visibility ("default")))
#define STUB_LIBRARY 34
#define DRIVER_VERSION 13000

typedef int Result; /* CUresult */

#define ABSENT(name)         \
  EXPORT Result name (void); \
  Result name (void)         \
  {                          \
    return STUB_LIBRARY;     \
  }

/* A handle that is not NULL, and success. */
#define HANDLE(name, ...)                          \
  EXPORT Result name (void **handle, __VA_ARGS__); \
  Result name (void **handle, __VA_ARGS__)         \
  {                                                \
    static char object;                            \
    *handle = &object;                             \
    return 0;                                      \
  }

#define NUMBER(name, value, ...)                 \
  EXPORT Result name (int *number, __VA_ARGS__); \
  Result name (int *number, __VA_ARGS__)         \
  {                                              \
    *number = value;                             \
    return 0;                                    \
  }

#define TEXT(name)                                      \
  EXPORT Result name (Result error, const char **text); \
  Result name (Result error, const char **text)         \
  {                                                     \
    *text = "no GPU, a shim";                           \
    return 0;                                           \
  }

EXPORT Result cuDriverGetVersion (int *version);
Result
cuDriverGetVersion (int *version)
{
  *version = DRIVER_VERSION;
  return 0;
}

HANDLE (cuLibraryLoadData, const void *code, void *options, void *values, unsigned n,
        void *library_options, void *library_values, unsigned m)
HANDLE (cuLibraryGetKernel, void *library, const char *name)
HANDLE (cuLibraryGetModule, void *library)
HANDLE (cuKernelGetFunction, void *kernel)
HANDLE (cuModuleLoadData, const void *image)
HANDLE (cuModuleLoadDataEx, const void *image, unsigned n, void *options, void *values)
HANDLE (cuModuleGetFunction, void *module, const char *name)
NUMBER (cuFuncGetAttribute, 0, int attribute, void *function)
NUMBER (cuKernelGetAttribute, 0, int attribute, void *kernel, int device)
TEXT (cuGetErrorName)
TEXT (cuGetErrorString)

ABSENT (cuCtxGetCurrent)
ABSENT (cuCtxGetLimit)
ABSENT (cuCtxPopCurrent)
ABSENT (cuCtxPushCurrent)
ABSENT (cuDeviceGet)
ABSENT (cuDeviceGetCount)
ABSENT (cuKernelSetAttribute)
ABSENT (cuLaunchCooperativeKernel)
ABSENT (cuLaunchKernel)
ABSENT (cuLaunchKernelEx)
ABSENT (cuLibraryLoadFromFile)
ABSENT (cuLibraryUnload)
ABSENT (cuLinkAddData)
ABSENT (cuLinkComplete)
ABSENT (cuLinkCreate)
ABSENT (cuLinkDestroy)
ABSENT (cuOccupancyMaxPotentialClusterSize)
ABSENT (cuStreamGetCtx)
