/* The network's tail: see answers.h.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "answers.h"

#include <math.h>
#include <string.h>

#include "geometry.h"

/* Values of one window. */
static size_t
values (const CgCudaAnswers *a)
{
  return (size_t)a->network->geometry.width + a->labels + a->scenes + a->texts;
}

static unsigned
outputs_of (const CgMlp *mlp)
{
  return mlp->layers > 0 ? mlp->size[mlp->layers] : 0;
}

static unsigned
widest (const CgMlp *mlp, unsigned at_least)
{
  for (unsigned i = 1; i < mlp->layers; i++)
    if (mlp->size[i] > at_least)
      at_least = mlp->size[i];
  return at_least;
}

bool
cg_cuda_answers_open (CgCudaAnswers *a, const CgCudaNetwork *network, CgCudaError *error)
{
  const CgGeometry *g = &network->geometry;
  const unsigned hidden = widest (&g->scene, widest (&g->text, 1));

  a->network = network;
  a->labels = cg_cuda_total_labels (g);
  a->scenes = outputs_of (&g->scene);
  a->texts = outputs_of (&g->text);
  cg_cuda_arena_add (&a->buffers, &a->device, CG_CUDA_MAX_BATCH * values (a), sizeof (float));
  cg_cuda_arena_add (&a->buffers, &a->attended, (size_t)CG_CUDA_MAX_BATCH * a->labels,
                     sizeof (float));
  for (unsigned i = 0; i < 2; i++)
    cg_cuda_arena_add (&a->buffers, &a->layers[i], (size_t)CG_CUDA_MAX_BATCH * hidden,
                       sizeof (float));
  return cg_cuda_arena_allocate (&a->buffers, "the answers", error) &&
         cg_cuda_check (cudaHostAlloc ((void **)&a->host,
                                       CG_CUDA_MAX_BATCH * values (a) * sizeof (float),
                                       cudaHostAllocDefault),
                        "pin memory for the answers", error);
}

void
cg_cuda_answers_close (CgCudaAnswers *a)
{
  if (a->host)
    cudaFreeHost (a->host);
  cg_cuda_arena_clear (&a->buffers);
  *a = (CgCudaAnswers){ 0 };
}

void
cg_cuda_answers_forget (CgCudaAnswers *a)
{
  a->host = NULL;
  a->buffers.block = NULL;
}

/* @to [n][outputs] = MLP (@a->attended), ReLU between its layers. */
static bool
run_mlp (CgCudaAnswers *a, const CgMlp *mlp, const CgLinear *layers, unsigned n, float *to,
         CgCudaError *error)
{
  const float *from = a->attended;

  for (unsigned i = 0; i < mlp->layers; i++) {
    const bool last = i + 1 == mlp->layers;
    float *y = last ? to : a->layers[i % 2];

    if (!cg_cuda_check (cg_cuda_affine (layers[i].weight, layers[i].bias, mlp->size[i + 1],
                                        mlp->size[i], from, mlp->size[i], NULL, y, mlp->size[i + 1],
                                        n, !last, a->network->device->stream),
                        "compute an MLP", error))
      return false;
    from = y;
  }
  return true;
}

bool
cg_cuda_answers_run (CgCudaAnswers *a, unsigned n, CgCudaError *error)
{
  const CgCudaNetwork *network = a->network;
  const CgCudaWeights *w = network->weights;
  const CgGeometry *g = &network->geometry;
  const CgCudaBlock *last = &w->blocks[g->depth - 1];
  const cudaStream_t stream = network->device->stream;
  float *features = a->device;
  float *logits = features + (size_t)n * g->width;
  float *scene = logits + (size_t)n * a->labels;
  float *text = scene + (size_t)n * a->scenes;

  if (!cg_cuda_check (cg_cuda_affine (last->fc2, last->fc2_bias, g->width, g->mlp,
                                      network->hidden_means, g->mlp, network->x_means, features,
                                      g->width, n, 0, stream),
                      "compute features", error) ||
      !cg_cuda_check (cg_cuda_affine (w->heads, w->heads_bias, a->labels, g->width, features,
                                      g->width, NULL, logits, a->labels, n, 0, stream),
                      "compute logits", error))
    return false;
  if (a->scenes + a->texts > 0 &&
      (!cg_cuda_check (cg_cuda_sca (logits, a->labels, a->labels, &w->sca, a->attended, n, stream),
                       "compute Self-Cross Attention", error) ||
       !run_mlp (a, &g->scene, w->scene, n, scene, error) ||
       !run_mlp (a, &g->text, w->text, n, text, error)))
    return false;
  return cg_cuda_check (cudaMemcpyAsync (a->host, a->device, n * values (a) * sizeof (float),
                                         cudaMemcpyDeviceToHost, stream),
                        "download answers", error);
}

static bool
take (const float *from, float *to, size_t n)
{
  for (size_t i = 0; i < n; i++)
    if (!isfinite (from[i]))
      return false;
  memcpy (to, from, n * sizeof (float));
  return true;
}

bool
cg_cuda_answers_take (const CgCudaAnswers *a, unsigned n, unsigned i, CgOutputs *outputs,
                      CgCudaError *error)
{
  const size_t width = a->network->geometry.width;
  const float *features = a->host;
  const float *logits = features + n * width;
  const float *scene = logits + (size_t)n * a->labels;
  const float *text = scene + (size_t)n * a->scenes;

  /* A value that is not finite anywhere on the way reaches every feature. */
  if (!take (features + i * width, outputs->features, width) ||
      !take (logits + (size_t)i * a->labels, outputs->logits, a->labels))
    return cg_cuda_fail (error, CG_CUDA_COMPUTE,
                         "The network gave a value that is not finite: its weights overflow");
  if (outputs->scene && a->scenes)
    memcpy (outputs->scene, scene + (size_t)i * a->scenes, a->scenes * sizeof (float));
  if (outputs->text && a->texts)
    memcpy (outputs->text, text + (size_t)i * a->texts, a->texts * sizeof (float));
  return true;
}
