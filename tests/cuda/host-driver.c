/* A libcuda.so.1 whose device memory is the host's: enough for GStreamer's nvcodec plugin to offer cudaupload and for its
 * memory to be mapped. Nothing computes on it. Compiled by test_bundle_made.py.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NOT_SUPPORTED 801
#define PITCH 512

typedef int Result;           /* CUresult */
typedef unsigned long Device; /* CUdeviceptr */

/* CUDA_MEMCPY2D's two sides, of the same shape. */
typedef struct {
  size_t x, y;
  int kind; /* 1: host, 2: device */
  void *host;
  Device device;
  void *array;
  size_t pitch;
} Side;

typedef struct {
  Side from, to;
  size_t width, height;
} Copy;

#define FUNCTION(name, ...)  \
  Result name (__VA_ARGS__); \
  Result name (__VA_ARGS__)

#define NOTHING(name)   \
  FUNCTION (name, void) \
  {                     \
    return 0;           \
  }

#define ABSENT(name)      \
  FUNCTION (name, void)   \
  {                       \
    return NOT_SUPPORTED; \
  }

static int context, stream; /* handles */

FUNCTION (cuCtxCreate_v2, void **created, unsigned flags, int device)
{
  *created = &context;
  return 0;
}

FUNCTION (cuCtxPopCurrent_v2, void **popped)
{
  if (popped)
    *popped = &context;
  return 0;
}

FUNCTION (cuStreamCreate, void **created, unsigned flags)
{
  *created = &stream;
  return 0;
}

FUNCTION (cuGetErrorName, Result error, const char **text)
{
  *text = "host driver";
  return 0;
}

FUNCTION (cuGetErrorString, Result error, const char **text)
{
  *text = "host driver";
  return 0;
}

FUNCTION (cuMemAlloc_v2, Device *memory, size_t size)
{
  *memory = (Device)malloc (size);
  return 0;
}

FUNCTION (cuMemAllocPitch_v2, Device *memory, size_t *pitch, size_t width, size_t height,
          unsigned element)
{
  *pitch = (width + PITCH - 1) / PITCH * PITCH;
  *memory = (Device)malloc (*pitch * height);
  return 0;
}

FUNCTION (cuMemAllocHost_v2, void **memory, size_t size)
{
  *memory = malloc (size);
  return 0;
}

FUNCTION (cuMemFree_v2, Device memory)
{
  free ((void *)memory);
  return 0;
}

FUNCTION (cuMemFreeHost, void *memory)
{
  free (memory);
  return 0;
}

static char *
row (const Side *side, size_t i)
{
  return (side->kind == 1 ? (char *)side->host : (char *)side->device) +
         (side->y + i) * side->pitch + side->x;
}

FUNCTION (cuMemcpy2DAsync_v2, const Copy *copy, void *in_stream)
{
  for (size_t i = 0; i < copy->height; i++)
    memcpy (row (&copy->to, i), row (&copy->from, i), copy->width);
  return 0;
}

FUNCTION (cuMemcpy2D_v2, const Copy *copy)
{
  return cuMemcpy2DAsync_v2 (copy, NULL);
}

FUNCTION (cuDeviceGet, int *device, int number)
{
  *device = number;
  return 0;
}

FUNCTION (cuDeviceGetCount, int *count)
{
  *count = 1;
  return 0;
}

FUNCTION (cuDeviceGetName, char *name, int length, int device)
{
  snprintf (name, (size_t)length, "the host");
  return 0;
}

FUNCTION (cuDeviceGetAttribute, int *value, int attribute, int device)
{
  *value = PITCH; /* of a texture's alignment; of others it does not matter */
  return 0;
}

FUNCTION (cuDeviceCanAccessPeer, int *can, int device, int peer)
{
  *can = 0;
  return 0;
}

FUNCTION (cuDriverGetVersion, int *version)
{
  *version = 13000;
  return 0;
}

NOTHING (cuInit)
NOTHING (cuCtxDestroy_v2)
NOTHING (cuCtxPushCurrent_v2)
NOTHING (cuStreamDestroy)
NOTHING (cuStreamDestroy_v2)
NOTHING (cuStreamSynchronize)
ABSENT (cuCtxDisablePeerAccess)
ABSENT (cuCtxEnablePeerAccess)
ABSENT (cuGLGetDevices_v2)
ABSENT (cuGraphicsGLRegisterBuffer)
ABSENT (cuGraphicsGLRegisterImage)
ABSENT (cuGraphicsMapResources)
ABSENT (cuGraphicsResourceGetMappedPointer_v2)
ABSENT (cuGraphicsResourceSetMapFlags_v2)
ABSENT (cuGraphicsSubResourceGetMappedArray)
ABSENT (cuGraphicsUnmapResources)
ABSENT (cuGraphicsUnregisterResource)
ABSENT (cuLaunchKernel)
ABSENT (cuModuleGetFunction)
ABSENT (cuModuleLoadData)
ABSENT (cuModuleUnload)
ABSENT (cuTexObjectCreate)
ABSENT (cuTexObjectDestroy)
