/* Work on a device's stream, recorded once to be launched often: a CUDA graph.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "device.h"

/** CgCudaWork: puts its work on the device's stream. Returns: false with @error filled. */
typedef bool (*CgCudaWork) (void *data, CgCudaError *error);

/** cg_cuda_graph_new: what @work puts on @device's stream, ready for cudaGraphLaunch(). A library that has to load code or
 * to allocate when it is first used may not do so while work is recorded: if recording fails, @work runs once as it is, and
 * is recorded again. NULL with @error filled. cudaGraphExecDestroy(). */
cudaGraphExec_t cg_cuda_graph_new (const CgCudaDevice *device, CgCudaWork work, void *data,
                                   CgCudaError *error);
