/* Errors of the model library.
 *
 * Every fallible function of model/ takes a GError ** last, returns FALSE, NULL or a negative value
 * on failure, and then has set it. The message is written for the user: what went wrong, in which
 * file and which tensor or field, what was found, what was expected. Nothing here prints or aborts.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

#define CG_ERROR (cg_error_quark ())

/** CgErrorCode:
 * @CG_ERROR_NOT_FOUND: no such file, or no such device
 * @CG_ERROR_READ: the file exists but cannot be read
 * @CG_ERROR_FORMAT: the bytes are not a valid model file
 * @CG_ERROR_CONFIG: `cityguessr.config` is malformed or out of range
 * @CG_ERROR_PLACES: `cityguessr.places` is malformed: a cycle, an orphan, a duplicate, bad UTF-8
 * @CG_ERROR_TENSOR: a tensor is missing, extra, duplicated, misshapen or not finite
 * @CG_ERROR_UNSUPPORTED: valid, but not something this build or machine can do
 * @CG_ERROR_MEMORY: out of memory or of device memory
 * @CG_ERROR_COMPUTE: a window could not be computed; the engine is still usable
 * @CG_ERROR_DEVICE_LOST: the engine is gone; every later call fails the same way
 * @CG_ERROR_INPUT: a picture with impossible size, stride or format
 * @CG_ERROR_WRITE: a file cannot be written
 */
typedef enum {
  CG_ERROR_NOT_FOUND,
  CG_ERROR_READ,
  CG_ERROR_FORMAT,
  CG_ERROR_CONFIG,
  CG_ERROR_PLACES,
  CG_ERROR_TENSOR,
  CG_ERROR_UNSUPPORTED,
  CG_ERROR_MEMORY,
  CG_ERROR_COMPUTE,
  CG_ERROR_DEVICE_LOST,
  CG_ERROR_INPUT,
  CG_ERROR_WRITE,
} CgErrorCode;

/** cg_error_quark: the domain of all of the above. Any thread. */
GQuark cg_error_quark (void);

G_END_DECLS
