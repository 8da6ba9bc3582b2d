/* The autotuner: see tune.h.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "tune.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_FILE ((off_t)1 << 20)
#define MAX_LINE 512
#define WARM_UPS 2
#define ROUNDS 3
#define RUNS 5

struct _CgCudaTuner {
  const CgCudaDevice *device;
  bool times;
  char *cache;
  char key[224]; /* the device and the versions */
  char *lines;   /* of the file, and what was added; ends with a newline or is empty */
  size_t size;
  bool changed;
};

/* ---- the file ---- */

/* Reads @fd if it is ours alone. */
static char *
read_own (int fd, size_t *size)
{
  struct stat st;
  char *text;
  ssize_t got;

  if (fstat (fd, &st) != 0 || !S_ISREG (st.st_mode) || st.st_uid != geteuid () ||
      (st.st_mode & (S_IWGRP | S_IWOTH)) || st.st_size > MAX_FILE)
    return NULL;
  text = malloc ((size_t)st.st_size + 1);
  got = text ? read (fd, text, (size_t)st.st_size) : -1;
  if (got != st.st_size || memchr (text, '\0', (size_t)got) != NULL ||
      (got > 0 && text[got - 1] != '\n')) {
    free (text);
    return NULL;
  }
  text[got] = '\0';
  *size = (size_t)got;
  return text;
}

static void
load (CgCudaTuner *tuner)
{
  const int fd = open (tuner->cache, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

  if (fd < 0)
    return;
  tuner->lines = read_own (fd, &tuner->size);
  close (fd);
}

/* The choice remembered for @name: the last one, because one that could not be had again was followed by another. */
static bool
recall (const CgCudaTuner *tuner, const char *name, CgCudaChoice *choice)
{
  char start[MAX_LINE];
  const int length = snprintf (start, sizeof start, "%s\t%s\t", tuner->key, name);
  bool found = false;

  if (length < 0 || (size_t)length >= sizeof start)
    return false;
  for (const char *line = tuner->lines; line && *line; line = strchr (line, '\n') + 1) {
    unsigned provider, index;
    char end;

    if (strncmp (line, start, (size_t)length) == 0 &&
        sscanf (line + length, "%1u %2u%c", &provider, &index, &end) == 3 && end == '\n' &&
        (provider == CG_CUDA_PROVIDER_LT || provider == CG_CUDA_PROVIDER_DNN)) {
      *choice = (CgCudaChoice){ (CgCudaProvider)provider, index };
      found = true;
    }
  }
  return found;
}

static void
remember (CgCudaTuner *tuner, const char *name, CgCudaChoice choice)
{
  char line[MAX_LINE];
  const int length = snprintf (line, sizeof line, "%s\t%s\t%u %u\n", tuner->key, name,
                               choice.provider, choice.index);
  char *lines;

  if (length < 0 || (size_t)length >= sizeof line || tuner->size + length > (size_t)MAX_FILE)
    return;
  lines = realloc (tuner->lines, tuner->size + (size_t)length + 1);
  if (!lines)
    return;
  memcpy (lines + tuner->size, line, (size_t)length + 1);
  tuner->lines = lines;
  tuner->size += (size_t)length;
  tuner->changed = true;
}

/* Another file is written and takes the place of the old one, so that nobody ever reads half. */
void
cg_cuda_tuner_save (CgCudaTuner *tuner)
{
  const size_t room = tuner->cache ? strlen (tuner->cache) + 8 : 0;
  char *path = tuner->changed && room ? malloc (room) : NULL;
  int fd;

  if (!path)
    return;
  snprintf (path, room, "%s.XXXXXX", tuner->cache);
  fd = mkstemp (path); /* mode 0600 */
  if (fd >= 0) {
    const bool written = write (fd, tuner->lines, tuner->size) == (ssize_t)tuner->size;

    if (close (fd) != 0 || !written || rename (path, tuner->cache) != 0)
      unlink (path);
    tuner->changed = false;
  }
  free (path);
}

/* ---- timing ---- */

/* The shortest of some rounds, in milliseconds for one run. */
static bool
measure (const CgCudaTuner *tuner, const CgCudaCandidates *c, void *plan, float *milliseconds,
         CgCudaError *error)
{
  const cudaStream_t stream = tuner->device->stream;
  cudaEvent_t start = NULL, end = NULL;
  bool done =
      cg_cuda_check (cudaEventCreateWithFlags (&start, cudaEventDefault), "make an event", error) &&
      cg_cuda_check (cudaEventCreateWithFlags (&end, cudaEventDefault), "make an event", error);

  for (unsigned i = 0; i < WARM_UPS && done; i++)
    done = c->run (c->data, plan, error);
  for (unsigned round = 0; round < ROUNDS && done; round++) {
    float time = 0;

    done = cg_cuda_check (cudaEventRecord (start, stream), "time a plan", error);
    for (unsigned i = 0; i < RUNS && done; i++)
      done = c->run (c->data, plan, error);
    done = done && cg_cuda_check (cudaEventRecord (end, stream), "time a plan", error) &&
           cg_cuda_check (cudaEventSynchronize (end), "time a plan", error) &&
           cg_cuda_check (cudaEventElapsedTime (&time, start, end), "time a plan", error);
    if (done && (round == 0 || time / RUNS < *milliseconds))
      *milliseconds = time / RUNS;
  }
  if (start)
    cudaEventDestroy (start);
  if (end)
    cudaEventDestroy (end);
  return done;
}

/* After this nothing else will go well either. */
static bool
is_hopeless (const CgCudaError *error)
{
  return error->status == CG_CUDA_LOST || error->status == CG_CUDA_MEMORY;
}

/* What is the best so far. */
typedef struct {
  void *plan;
  CgCudaChoice choice;
  float time;
} Best;

/* Tries one proposal. Returns: false if nothing else is worth trying: the first one that can be had, when nothing is
 * timed, or no hope. */
static bool
try (CgCudaTuner *tuner, const CgCudaCandidates *c, CgCudaChoice choice, Best *best,
     CgCudaError *error)
{
  Best here = { NULL, choice, 0 };

  error->status = CG_CUDA_OK;
  here.plan = c->make (c->data, choice, error);
  if (here.plan && !tuner->times) {
    *best = here;
    return false;
  }
  if (here.plan && measure (tuner, c, here.plan, &here.time, error) &&
      (!best->plan || here.time < best->time)) {
    const Best worse = *best;

    *best = here;
    here = worse;
  }
  if (here.plan)
    c->free (here.plan);
  return !is_hopeless (error);
}

void *
cg_cuda_tuner_choose (CgCudaTuner *tuner, const CgCudaCandidates *c, CgCudaError *error)
{
  CgCudaError failure = { .status = CG_CUDA_OK };
  Best best = { NULL, { 0 }, 0 };
  bool go_on = true;

  if (tuner->times && recall (tuner, c->name, &best.choice)) {
    best.plan = c->make (c->data, best.choice, &failure);
    if (best.plan)
      return best.plan;
  }
  for (unsigned p = 0; c->providers[p].provider && go_on; p++)
    for (unsigned i = 0; i < c->providers[p].proposals && go_on; i++)
      if (!(p > 0 && c->last_resort && best.plan))
        go_on = try (tuner, c, (CgCudaChoice){ c->providers[p].provider, i }, &best, &failure);
  if (is_hopeless (&failure) && best.plan) {
    c->free (best.plan);
    best.plan = NULL;
  }
  if (!best.plan)
    *error = failure;
  else if (tuner->times)
    remember (tuner, c->name, best.choice);
  return best.plan;
}

/* ---- life ---- */

CgCudaTuner *
cg_cuda_tuner_new (const CgCudaDevice *device, const char *cache, bool times)
{
  CgCudaTuner *tuner = calloc (1, sizeof *tuner);

  if (!tuner)
    return NULL;
  tuner->device = device;
  tuner->times = times;
  snprintf (tuner->key, sizeof tuner->key, "%s sm%d %d driver%d cublaslt%zu cudnn%zu module%d",
            device->name, device->sm, device->multiprocessors, device->driver_version,
            cublasLtGetVersion (), cudnnGetVersion (), CG_CUDA_MODULE_ABI);
  if (times && cache) {
    tuner->cache = strdup (cache);
    if (tuner->cache)
      load (tuner);
  }
  return tuner;
}

void
cg_cuda_tuner_free (CgCudaTuner *tuner)
{
  if (!tuner)
    return;
  free (tuner->cache);
  free (tuner->lines);
  free (tuner);
}
