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

#include "graph.h"

#define MAX_FILE ((off_t)1 << 20)
#define MAX_LINE 512
#define MOST_ENTRANTS 32
#define ROUNDS 3
#define RUNS 4

struct _CgCudaTuner {
  const CgCudaDevice *device;
  bool times;
  char *cache;
  char key[256]; /* the device and the versions */
  char *lines;   /* of the file; ends with a newline or is empty */
  size_t size;
  char *added; /* what is not in the file yet, in the same form */
  size_t added_size;
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

/* What is in the file, or NULL. */
static char *
load (const CgCudaTuner *tuner, size_t *size)
{
  const int fd = open (tuner->cache, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  char *lines;

  *size = 0;
  if (fd < 0)
    return NULL;
  lines = read_own (fd, size);
  close (fd);
  return lines;
}

static bool
is_among (const CgCudaCandidates *c, unsigned provider, unsigned index)
{
  for (unsigned p = 0; c->providers[p].provider; p++)
    if (c->providers[p].provider == provider)
      return index < c->providers[p].proposals;
  return false;
}

/* The choice for @c in @lines: the last one, because one that could not be had again was followed by another. */
static bool
find (const char *lines, const char *start, size_t length, const CgCudaCandidates *c,
      CgCudaChoice *choice)
{
  bool found = false;

  for (const char *line = lines; line && *line; line = strchr (line, '\n') + 1) {
    unsigned provider, index;
    char end;

    if (strncmp (line, start, length) == 0 &&
        sscanf (line + length, "%1u %2u%c", &provider, &index, &end) == 3 && end == '\n' &&
        is_among (c, provider, index)) {
      *choice = (CgCudaChoice){ (CgCudaProvider)provider, index };
      found = true;
    }
  }
  return found;
}

/* The choice remembered for @c. */
static bool
recall (const CgCudaTuner *tuner, const CgCudaCandidates *c, CgCudaChoice *choice)
{
  char start[MAX_LINE];
  const int length = snprintf (start, sizeof start, "%s\t%s\t", tuner->key, c->name);

  return length >= 0 && (size_t)length < sizeof start &&
         (find (tuner->added, start, (size_t)length, c, choice) ||
          find (tuner->lines, start, (size_t)length, c, choice));
}

/* Puts @size bytes at the end of @text. */
static bool
append (char **text, size_t *text_size, const char *more, size_t size)
{
  char *longer =
      *text_size + size > (size_t)MAX_FILE ? NULL : realloc (*text, *text_size + size + 1);

  if (!longer)
    return false;
  memcpy (longer + *text_size, more, size);
  *text = longer;
  *text_size += size;
  longer[*text_size] = '\0';
  return true;
}

static void
remember (CgCudaTuner *tuner, const char *name, CgCudaChoice choice)
{
  char line[MAX_LINE];
  const int length = snprintf (line, sizeof line, "%s\t%s\t%u %u\n", tuner->key, name,
                               choice.provider, choice.index);

  if (length >= 0 && (size_t)length < sizeof line)
    append (&tuner->added, &tuner->added_size, line, (size_t)length);
}

/* Another file is written and takes the place of the old one, so that nobody ever reads half. */
static void
replace (const CgCudaTuner *tuner, const char *lines, size_t size)
{
  const size_t room = strlen (tuner->cache) + 8;
  char *path = malloc (room);
  int fd;

  if (!path)
    return;
  snprintf (path, room, "%s.XXXXXX", tuner->cache);
  fd = mkstemp (path); /* mode 0600 */
  if (fd >= 0) {
    const bool written = write (fd, lines, size) == (ssize_t)size;

    if (close (fd) != 0 || !written || rename (path, tuner->cache) != 0)
      unlink (path);
  }
  free (path);
}

void
cg_cuda_tuner_save (CgCudaTuner *tuner)
{
  char *lines;
  size_t size;

  if (!tuner->cache || tuner->added_size == 0)
    return;
  lines = load (tuner, &size); /* others may have written meanwhile */
  if (append (&lines, &size, tuner->added, tuner->added_size))
    replace (tuner, lines, size);
  else /* it is full: a new one */
    replace (tuner, tuner->added, tuner->added_size);
  free (lines);
}

/* ---- timing ---- */

/* After this nothing else will go well either. */
static bool
is_hopeless (const CgCudaError *error)
{
  return error->status == CG_CUDA_LOST || error->status == CG_CUDA_MEMORY;
}

/* A plan that can be had; while it is timed, as a graph of RUNS runs. */
typedef struct {
  const CgCudaCandidates *of;
  void *plan;
  CgCudaChoice choice;
  cudaGraphExec_t graph;
  float milliseconds; /* of the fastest round */
} Entrant;

static void
entrant_clear (Entrant *entrant)
{
  if (entrant->graph)
    cudaGraphExecDestroy (entrant->graph);
  if (entrant->plan)
    entrant->of->free (entrant->plan);
  *entrant = (Entrant){ 0 };
}

/* A CgCudaWork. */
static bool
run_often (void *data, CgCudaError *error)
{
  const Entrant *entrant = data;

  for (unsigned i = 0; i < RUNS; i++)
    if (!entrant->of->run (entrant->of->data, entrant->plan, error))
      return false;
  return true;
}

static bool
run_graph (const CgCudaTuner *tuner, const Entrant *entrant, CgCudaError *error)
{
  const cudaStream_t stream = tuner->device->stream;

  return cg_cuda_check (cudaGraphLaunch (entrant->graph, stream), "try a plan", error) &&
         cg_cuda_check (cudaStreamSynchronize (stream), "try a plan", error);
}

static bool
time_round (const CgCudaTuner *tuner, Entrant *entrant, const cudaEvent_t events[2],
            CgCudaError *error)
{
  const cudaStream_t stream = tuner->device->stream;
  float time = 0;

  /* Behind a first launch, so that the device does not wait for the host's second one when the clock runs. */
  if (!cg_cuda_check (cudaGraphLaunch (entrant->graph, stream), "time a plan", error) ||
      !cg_cuda_check (cudaEventRecord (events[0], stream), "time a plan", error) ||
      !cg_cuda_check (cudaGraphLaunch (entrant->graph, stream), "time a plan", error) ||
      !cg_cuda_check (cudaEventRecord (events[1], stream), "time a plan", error) ||
      !cg_cuda_check (cudaEventSynchronize (events[1]), "time a plan", error) ||
      !cg_cuda_check (cudaEventElapsedTime (&time, events[0], events[1]), "time a plan", error))
    return false;
  if (entrant->milliseconds == 0 || time < entrant->milliseconds)
    entrant->milliseconds = time;
  return true;
}

/* In turns, so that clocks, which rise under load and fall while a library compiles, meet all alike. */
static bool
time_all (const CgCudaTuner *tuner, Entrant *entrants, unsigned n, CgCudaError *error)
{
  cudaEvent_t events[2] = { NULL, NULL };
  bool done = true;

  for (unsigned i = 0; i < 2 && done; i++)
    done = cg_cuda_check (cudaEventCreateWithFlags (&events[i], cudaEventDefault), "make an event",
                          error);
  for (unsigned round = 0; round < ROUNDS && done; round++)
    for (unsigned i = 0; i < n && done; i++)
      if (entrants[i].graph && !time_round (tuner, &entrants[i], events, error)) {
        entrant_clear (&entrants[i]);
        done = !is_hopeless (error);
      }
  for (unsigned i = 0; i < 2; i++)
    if (events[i])
      cudaEventDestroy (events[i]);
  return done;
}

/* Fills @entrant with one proposal, if it can be had; and where it is to be timed, recorded and run once. */
static bool
enter (CgCudaTuner *tuner, const CgCudaCandidates *c, CgCudaChoice choice, Entrant *entrant,
       CgCudaError *error)
{
  error->status = CG_CUDA_OK;
  *entrant = (Entrant){ .of = c, .choice = choice };
  entrant->plan = c->make (c->data, choice, error);
  if (entrant->plan && tuner->times)
    entrant->graph = cg_cuda_graph_new (tuner->device, run_often, entrant, error);
  if (entrant->plan && (!tuner->times || (entrant->graph && run_graph (tuner, entrant, error))))
    return true;
  entrant_clear (entrant);
  return false;
}

/* Fills @entrants with all proposals that can be had, or with the first if nothing is timed. Returns: their number. */
static unsigned
gather (CgCudaTuner *tuner, const CgCudaCandidates *c, Entrant *entrants, CgCudaError *error)
{
  unsigned n = 0;

  for (unsigned p = 0; c->providers[p].provider && !(p > 0 && c->last_resort && n > 0); p++)
    for (unsigned i = 0; i < c->providers[p].proposals && n < MOST_ENTRANTS; i++) {
      const CgCudaChoice choice = { c->providers[p].provider, i };

      n += enter (tuner, c, choice, &entrants[n], error);
      if ((n > 0 && !tuner->times) || is_hopeless (error))
        return n;
    }
  return n;
}

void *
cg_cuda_tuner_choose (CgCudaTuner *tuner, const CgCudaCandidates *c, CgCudaError *error)
{
  CgCudaError failure = { .status = CG_CUDA_OK };
  Entrant entrants[MOST_ENTRANTS];
  CgCudaChoice choice;
  void *plan = NULL;
  Entrant *best = NULL;
  unsigned n;

  if (tuner->times && recall (tuner, c, &choice)) {
    plan = c->make (c->data, choice, &failure);
    if (plan)
      return plan;
  }
  n = gather (tuner, c, entrants, &failure);
  if (n > 0 && !is_hopeless (&failure) &&
      (!tuner->times || time_all (tuner, entrants, n, &failure))) {
    for (unsigned i = 0; i < n; i++)
      if (entrants[i].plan && (!best || entrants[i].milliseconds < best->milliseconds))
        best = &entrants[i];
  }
  if (best) {
    plan = best->plan;
    best->plan = NULL;
    if (tuner->times)
      remember (tuner, c->name, best->choice);
  }
  for (unsigned i = 0; i < n; i++)
    entrant_clear (&entrants[i]);
  if (!plan)
    *error = failure;
  return plan;
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
  snprintf (tuner->key, sizeof tuner->key, "%s sm%d %d driver%d-%s cublaslt%zu cudnn%zu module%d",
            device->name, device->sm, device->multiprocessors, device->driver_version,
            device->driver_release, cublasLtGetVersion (), cudnnGetVersion (), CG_CUDA_MODULE_ABI);
  if (times && cache) {
    tuner->cache = strdup (cache);
    if (tuner->cache)
      tuner->lines = load (tuner, &tuner->size);
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
  free (tuner->added);
  free (tuner);
}
