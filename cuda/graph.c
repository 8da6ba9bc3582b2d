/* Recorded work: see graph.h.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "graph.h"

static cudaGraphExec_t
capture (const CgCudaDevice *device, CgCudaWork work, void *data, CgCudaError *error)
{
  cudaGraphExec_t exec = NULL;
  cudaGraph_t graph = NULL;
  bool done;

  /* Of this thread alone: others, of other elements too, may allocate meanwhile. */
  if (!cg_cuda_check (cudaStreamBeginCapture (device->stream, cudaStreamCaptureModeThreadLocal),
                      "begin a graph", error))
    return NULL;
  done = work (data, error);
  done = cg_cuda_check (cudaStreamEndCapture (device->stream, &graph), "end a graph",
                        done ? error : NULL) &&
         done;
  if (done)
    cg_cuda_check (cudaGraphInstantiate (&exec, graph, 0), "make a graph", error);
  if (graph)
    cudaGraphDestroy (graph);
  return exec;
}

cudaGraphExec_t
cg_cuda_graph_new (const CgCudaDevice *device, CgCudaWork work, void *data, CgCudaError *error)
{
  const cudaGraphExec_t exec = capture (device, work, data, error);

  if (exec || error->status == CG_CUDA_LOST)
    return exec;
  error->status = CG_CUDA_OK;
  if (!work (data, error) ||
      !cg_cuda_check (cudaStreamSynchronize (device->stream), "compute", error))
    return NULL;
  return capture (device, work, data, error);
}
