/* A libnvcuvid.so.1 for machines whose driver came without its decoder, as in a container for computing: GStreamer's
 * nvcodec plugin registers nothing without that library, not even the elements that only move memory. With this one it
 * finds a decoder that decodes nothing.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#define NOT_SUPPORTED 801 /* CUDA_ERROR_NOT_SUPPORTED */

#define ABSENT(name)                                        \
  __attribute__ ((visibility ("default"))) int name (void); \
  int name (void)                                           \
  {                                                         \
    return NOT_SUPPORTED;                                   \
  }

ABSENT (cuvidCreateDecoder)
ABSENT (cuvidCreateVideoParser)
ABSENT (cuvidCtxLock)
ABSENT (cuvidCtxLockCreate)
ABSENT (cuvidCtxLockDestroy)
ABSENT (cuvidCtxUnlock)
ABSENT (cuvidDecodePicture)
ABSENT (cuvidDestroyDecoder)
ABSENT (cuvidDestroyVideoParser)
ABSENT (cuvidGetDecoderCaps)
ABSENT (cuvidMapVideoFrame64)
ABSENT (cuvidParseVideoData)
ABSENT (cuvidUnmapVideoFrame64)
