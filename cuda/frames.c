/* Samples: see frames.h.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "frames.h"

#include <stdlib.h>
#include <string.h>

#define SLAB 64 /* samples */

struct _CgCudaSlab {
  CgCudaSlab *next;
  uint8_t *pixels;
  unsigned n;
  CgCudaSample samples[];
};

/* ---- what a picture's planes are ---- */

/* Plane @p of a format: @bytes for each pixel or pair of chroma samples, halved each way by @shift. */
typedef struct {
  unsigned char bytes, shift;
} Plane;

static const Plane planes[CG_N_FORMATS][3] = {
  [CG_FORMAT_NV12] = { { 1, 0 }, { 2, 1 } },
  [CG_FORMAT_I420] = { { 1, 0 }, { 1, 1 }, { 1, 1 } },
  [CG_FORMAT_YV12] = { { 1, 0 }, { 1, 1 }, { 1, 1 } },
  [CG_FORMAT_P010] = { { 2, 0 }, { 4, 1 } },
  [CG_FORMAT_GRAY8] = { { 1, 0 } },
  [CG_FORMAT_RGB] = { { 3, 0 } },
  [CG_FORMAT_BGR] = { { 3, 0 } },
  [CG_FORMAT_RGBX] = { { 4, 0 } },
  [CG_FORMAT_BGRX] = { { 4, 0 } },
  [CG_FORMAT_XRGB] = { { 4, 0 } },
  [CG_FORMAT_XBGR] = { { 4, 0 } },
  [CG_FORMAT_RGBA] = { { 4, 0 } },
  [CG_FORMAT_BGRA] = { { 4, 0 } },
  [CG_FORMAT_ARGB] = { { 4, 0 } },
  [CG_FORMAT_ABGR] = { { 4, 0 } },
};

/* Bytes of a row, and rows, of plane @p of @frame. No rows: there is no such plane. */
static size_t
row_bytes (const CgFrame *frame, unsigned p)
{
  const Plane *plane = &planes[frame->format][p];

  return (((size_t)frame->width + plane->shift) >> plane->shift) * plane->bytes;
}

static size_t
rows (const CgFrame *frame, unsigned p)
{
  const Plane *plane = &planes[frame->format][p];

  return plane->bytes ? ((size_t)frame->height + plane->shift) >> plane->shift : 0;
}

static bool
check_frame (const CgFrame *frame, CgCudaError *error)
{
  if ((unsigned)frame->format >= CG_N_FORMATS)
    return cg_cuda_fail (error, CG_CUDA_INPUT, "The picture's format is %u: expected less than %u",
                         frame->format, CG_N_FORMATS);
  if (frame->width < 1 || frame->width > CG_CUDA_MAX_SIDE || frame->height < 1 ||
      frame->height > CG_CUDA_MAX_SIDE)
    return cg_cuda_fail (error, CG_CUDA_INPUT,
                         "The picture is %ux%u pixels: expected 1 to %d each way", frame->width,
                         frame->height, CG_CUDA_MAX_SIDE);
  if ((unsigned)frame->matrix > CG_MATRIX_BT2020)
    return cg_cuda_fail (error, CG_CUDA_INPUT,
                         "The picture's colour matrix is %u: expected at most %u", frame->matrix,
                         CG_MATRIX_BT2020);
  for (unsigned p = 0; p < 3; p++)
    if (rows (frame, p) > 0 &&
        (!frame->plane[p] || llabs ((long long)frame->stride[p]) < (long long)row_bytes (frame, p)))
      return cg_cuda_fail (error, CG_CUDA_INPUT,
                           "Plane %u of the picture %s and its stride is %d bytes: expected at "
                           "least %zu",
                           p, frame->plane[p] ? "is there" : "is missing", frame->stride[p],
                           row_bytes (frame, p));
  return true;
}

/* ---- uploaders ---- */

static size_t
aligned (size_t n)
{
  return (n + 255) / 256 * 256;
}

static size_t
larger (size_t a, size_t b)
{
  return a > b ? a : b ? b : 1; /* no allocation of nothing */
}

static CgCudaUploader *
uploader_take (CgCudaFrames *frames)
{
  CgCudaUploader *found = NULL;

  pthread_mutex_lock (&frames->lock);
  while (!found) {
    for (unsigned i = 0; i < CG_CUDA_UPLOADERS && !found; i++) {
      const unsigned turn = (frames->next + i) % CG_CUDA_UPLOADERS;

      if (!frames->uploaders[turn].busy) {
        found = &frames->uploaders[turn];
        frames->next = turn + 1;
      }
    }
    if (!found)
      pthread_cond_wait (&frames->idle, &frames->lock);
  }
  found->busy = true;
  pthread_mutex_unlock (&frames->lock);
  return found;
}

static void
uploader_give (CgCudaFrames *frames, CgCudaUploader *uploader)
{
  pthread_mutex_lock (&frames->lock);
  uploader->busy = false;
  pthread_cond_signal (&frames->idle);
  pthread_mutex_unlock (&frames->lock);
}

static void
uploader_empty (CgCudaUploader *uploader)
{
  if (uploader->staged)
    cudaFree (uploader->staged);
  if (uploader->scratch)
    cudaFree (uploader->scratch);
  if (uploader->pinned)
    cudaFreeHost (uploader->pinned);
  uploader->staged = uploader->scratch = uploader->pinned = NULL;
  uploader->staged_size = uploader->scratch_size = 0;
  uploader->width = uploader->height = 0;
}

/* Room for a picture, larger than all before. Nothing of @uploader is under way. */
static bool
uploader_grow (CgCudaUploader *uploader, size_t staged, size_t scratch, CgCudaError *error)
{
  if (staged <= uploader->staged_size && scratch <= uploader->scratch_size)
    return true;
  staged = larger (staged, uploader->staged_size);
  scratch = larger (scratch, uploader->scratch_size);
  uploader_empty (uploader);
  if (!cg_cuda_check (cudaMalloc ((void **)&uploader->staged, staged), "make room for a picture",
                      error) ||
      !cg_cuda_check (cudaMalloc ((void **)&uploader->scratch, scratch), "make room for a picture",
                      error) ||
      !cg_cuda_check (cudaHostAlloc ((void **)&uploader->pinned, staged, cudaHostAllocDefault),
                      "pin memory for a picture", error)) {
    uploader_empty (uploader);
    return false;
  }
  uploader->staged_size = staged;
  uploader->scratch_size = scratch;
  return true;
}

/* @frame, without its planes. */
static CgCudaPicture
picture_of (const CgFrame *frame)
{
  return (CgCudaPicture){ .format = frame->format,
                          .width = frame->width,
                          .height = frame->height,
                          .matrix = frame->matrix,
                          .full_range = frame->full_range,
                          .cosited_h = frame->cosited_h,
                          .cosited_v = frame->cosited_v };
}

/* The picture, row by row and top-down, into pinned memory; and the same picture as it will lie on the device. */
static void
stage (const CgCudaUploader *uploader, const CgFrame *frame, CgCudaPicture *picture)
{
  size_t at = 0;

  for (unsigned p = 0; p < 3; p++) {
    const size_t bytes = row_bytes (frame, p), n = rows (frame, p);
    const size_t stride = (bytes + 15) / 16 * 16;

    if (n == 0)
      continue;
    for (size_t y = 0; y < n; y++)
      memcpy (uploader->pinned + at + y * stride, frame->plane[p] + (ptrdiff_t)y * frame->stride[p],
              bytes);
    picture->plane[p] = uploader->staged + at;
    picture->stride[p] = (int)stride;
    at += aligned (n * stride);
  }
}

static size_t
staged_bytes (const CgFrame *frame)
{
  size_t size = 0;

  for (unsigned p = 0; p < 3; p++)
    size += aligned (rows (frame, p) * ((row_bytes (frame, p) + 15) / 16 * 16));
  return size;
}

/* From the first byte of plane @p to the last, in memory; and @low, the byte that comes first. */
static size_t
span (const CgFrame *frame, unsigned p, const uint8_t **low)
{
  const size_t n = rows (frame, p), stride = (size_t)llabs ((long long)frame->stride[p]);

  *low = frame->plane[p];
  if (n == 0)
    return 0;
  if (frame->stride[p] < 0)
    *low -= (n - 1) * stride;
  return (n - 1) * stride + row_bytes (frame, p);
}

/* What becomes of a picture.
 * @context: of each plane in device memory that has to be copied; NULL: it is read in place
 * @size: bytes of room that the planes take which are copied, from wherever */
typedef struct {
  const CgFrame *frame;
  CgCudaPicture picture;
  void *context[3];
  size_t size;
} Job;

static bool
find_planes (const CgCudaFrames *frames, Job *job, CgCudaError *error)
{
  const uint8_t *low;

  job->size = 0;
  for (unsigned p = 0; p < 3; p++)
    if (rows (job->frame, p) > 0) {
      if (!cg_cuda_device_find (frames->device, job->frame->plane[p], &job->context[p], error))
        return false;
      if (job->context[p])
        job->size += aligned (span (job->frame, p, &low));
    }
  return true;
}

/* The picture as it lies, what cannot be read there copied. */
static bool
fetch (const CgCudaFrames *frames, const CgCudaUploader *uploader, Job *job, CgCudaError *error)
{
  uint8_t *room = uploader->staged;

  for (unsigned p = 0; p < 3; p++) {
    const uint8_t *low;
    const size_t bytes = span (job->frame, p, &low);

    job->picture.plane[p] = job->frame->plane[p];
    job->picture.stride[p] = job->frame->stride[p];
    if (!job->context[p])
      continue;
    job->picture.plane[p] = room + (job->frame->plane[p] - low);
    if (!cg_cuda_device_fetch (frames->device, room, low, job->context[p], bytes, uploader->stream,
                               error))
      return false;
    room += aligned (bytes);
  }
  return true;
}

/* Up to the point where only the device is needed. */
static bool
prepare (CgCudaFrames *frames, CgCudaUploader *uploader, const CgFrame *frame, Job *job,
         CgCudaError *error)
{
  const size_t scratch = cg_cuda_preprocess_scratch (frame->width, frame->height, frames->image);

  *job = (Job){ .frame = frame, .picture = picture_of (frame), .size = staged_bytes (frame) };
  if (frame->memory == CG_MEMORY_CUDA && !find_planes (frames, job, error))
    return false;
  /* The last picture of this uploader must have left its buffers. */
  if (!cg_cuda_device_wait (frames->device, uploader->done, false, "wait for a picture", error) ||
      !uploader_grow (uploader, job->size, scratch, error))
    return false;
  if (frame->memory == CG_MEMORY_SYSTEM)
    stage (uploader, frame, &job->picture);
  return true;
}

/* Records @event behind what is on @stream. Whoever waits for it next would otherwise not wait for that: so it is tried
 * twice, and fails even if only the first try did. */
static bool
mark (cudaEvent_t event, cudaStream_t stream, CgCudaError *error)
{
  const cudaError_t code = cudaEventRecord (event, stream);

  if (code == cudaSuccess)
    return true;
  cudaEventRecord (event, stream);
  return cg_cuda_check (code, "mark a picture", error);
}

/* Puts the work on the uploader's stream. */
static bool
enqueue (CgCudaFrames *frames, CgCudaUploader *uploader, CgCudaSample *sample, Job *job,
         CgCudaError *error)
{
  const unsigned width = job->picture.width, height = job->picture.height;
  const bool same_size = uploader->width == width && uploader->height == height;
  bool done;

  /* The last use of the sample, by another uploader, is over before the next one begins. */
  if (sample->pending && !cg_cuda_check (cudaStreamWaitEvent (uploader->stream, sample->ready, 0),
                                         "wait for a picture", error))
    return false;
  sample->pending = true;
  done = job->frame->memory == CG_MEMORY_CUDA
             ? fetch (frames, uploader, job, error)
             : cg_cuda_check (cudaMemcpyAsync (uploader->staged, uploader->pinned, job->size,
                                               cudaMemcpyHostToDevice, uploader->stream),
                              "upload a picture", error);
  done = done && cg_cuda_check (cg_cuda_preprocess (&job->picture, frames->image, uploader->scratch,
                                                    uploader->scratch_size, same_size,
                                                    sample->pixels, uploader->stream),
                                "resize a picture", error);
  uploader->width = done ? width : 0;
  uploader->height = done ? height : 0;
  /* Also behind half of the work: the buffers and the sample are in use until then. */
  done = mark (sample->ready, uploader->stream, done ? error : NULL) && done;
  return mark (uploader->done, uploader->stream, done ? error : NULL) && done;
}

/* ---- samples ---- */

/* One more slab, its samples into the list of free ones. Lock held. */
static bool
add_slab (CgCudaFrames *frames, unsigned n, CgCudaError *error)
{
  const size_t bytes = aligned ((size_t)frames->image * frames->image * 3);
  CgCudaSlab *slab = calloc (1, sizeof *slab + n * sizeof *slab->samples);

  if (!slab)
    return cg_cuda_fail (error, CG_CUDA_MEMORY, "Out of memory for samples");
  slab->next = frames->slabs;
  frames->slabs = slab;
  if (!cg_cuda_check (cudaMalloc ((void **)&slab->pixels, n * bytes), "make room for samples",
                      error))
    return false;
  for (; slab->n < n; slab->n++) {
    CgCudaSample *sample = &slab->samples[slab->n];

    if (!cg_cuda_check (cudaEventCreateWithFlags (&sample->ready, cudaEventDisableTiming),
                        "make an event", error))
      return false;
    sample->pixels = slab->pixels + slab->n * bytes;
    sample->next = frames->free;
    frames->free = sample;
  }
  return true;
}

CgCudaSample *
cg_cuda_sample_new (CgCudaFrames *frames, CgCudaError *error)
{
  CgCudaSample *sample;

  pthread_mutex_lock (&frames->lock);
  if (!frames->free)
    add_slab (frames, SLAB, error);
  sample = frames->free;
  if (sample)
    frames->free = sample->next;
  pthread_mutex_unlock (&frames->lock);
  return sample;
}

void
cg_cuda_sample_free (CgCudaFrames *frames, CgCudaSample *sample)
{
  pthread_mutex_lock (&frames->lock);
  sample->next = frames->free;
  frames->free = sample;
  pthread_mutex_unlock (&frames->lock);
}

bool
cg_cuda_sample_put (CgCudaFrames *frames, CgCudaSample *sample, const CgFrame *frame,
                    CgCudaError *error)
{
  CgCudaUploader *uploader;
  bool done;
  Job job;

  if (!check_frame (frame, error))
    return false;
  uploader = uploader_take (frames);
  done = prepare (frames, uploader, frame, &job, error) &&
         enqueue (frames, uploader, sample, &job, error);
  /* The picture is its owner's again, also after half of the work. */
  if (frame->memory == CG_MEMORY_CUDA)
    done = cg_cuda_device_wait (frames->device, uploader->done, false, "read a picture",
                                done ? error : NULL) &&
           done;
  uploader_give (frames, uploader);
  return done;
}

static bool
download (CgCudaFrames *frames, CgCudaUploader *uploader, const CgCudaSample *sample,
          uint8_t *pixels, CgCudaError *error)
{
  const size_t bytes = (size_t)frames->image * frames->image * 3;

  if (!cg_cuda_device_wait (frames->device, uploader->done, false, "wait for a picture", error) ||
      !uploader_grow (uploader, bytes, 0, error) ||
      (sample->pending && !cg_cuda_check (cudaStreamWaitEvent (uploader->stream, sample->ready, 0),
                                          "wait for a picture", error)) ||
      !cg_cuda_check (cudaMemcpyAsync (uploader->pinned, sample->pixels, bytes,
                                       cudaMemcpyDeviceToHost, uploader->stream),
                      "download a picture", error) ||
      !cg_cuda_check (cudaEventRecord (uploader->done, uploader->stream), "download a picture",
                      error) ||
      !cg_cuda_device_wait (frames->device, uploader->done, false, "download a picture", error))
    return false;
  memcpy (pixels, uploader->pinned, bytes);
  return true;
}

bool
cg_cuda_sample_get (CgCudaFrames *frames, CgCudaSample *sample, uint8_t *pixels, CgCudaError *error)
{
  CgCudaUploader *uploader = uploader_take (frames);
  const bool done = download (frames, uploader, sample, pixels, error);

  uploader_give (frames, uploader);
  return done;
}

bool
cg_cuda_sample_fill (CgCudaFrames *frames, CgCudaSample *sample, const uint8_t *pixels,
                     CgCudaError *error)
{
  const size_t bytes = (size_t)frames->image * frames->image * 3;

  return cg_cuda_check (cudaMemcpyAsync (sample->pixels, pixels, bytes, cudaMemcpyHostToDevice,
                                         frames->device->stream),
                        "upload a picture", error) &&
         cg_cuda_check (cudaStreamSynchronize (frames->device->stream), "upload a picture", error);
}

/* ---- for benchmarks ---- */

/* In the context that is current, of which @stream is. */
static bool
copy_planes (cudaStream_t stream, const CgFrame *frame, CgFrame *copy, CgCudaError *error)
{
  const uint8_t *low;
  size_t size = 0, at = 0;
  uint8_t *room;
  bool done;

  for (unsigned p = 0; p < 3; p++)
    size += aligned (span (frame, p, &low));
  if (!cg_cuda_check (cudaMalloc ((void **)&room, size), "make room for a picture", error))
    return false;
  *copy = *frame;
  copy->memory = CG_MEMORY_CUDA;
  done = true;
  for (unsigned p = 0; p < 3 && done; p++) {
    const size_t bytes = span (frame, p, &low);

    if (bytes == 0)
      continue;
    copy->plane[p] = room + at + (frame->plane[p] - low);
    done = cg_cuda_check (cudaMemcpyAsync (room + at, low, bytes, cudaMemcpyHostToDevice, stream),
                          "upload a picture", error);
    at += aligned (bytes);
  }
  /* Once more behind half of the work. */
  done = cg_cuda_check (cudaStreamSynchronize (stream), "upload a picture", done ? error : NULL) &&
         done;
  if (!done)
    cudaFree (room);
  return done;
}

/* A copy in a context of its own. The driver could be asked for it, but not when the device is lost. */
typedef struct Apart {
  struct Apart *next;
  const uint8_t *low;
  void *context;
} Apart;

static pthread_mutex_t apart_lock = PTHREAD_MUTEX_INITIALIZER;
static Apart *all_apart; /* the lock's */

static void
remember_apart (Apart *apart, const CgFrame *copy, void *context)
{
  span (copy, 0, &apart->low);
  apart->context = context;
  pthread_mutex_lock (&apart_lock);
  apart->next = all_apart;
  all_apart = apart;
  pthread_mutex_unlock (&apart_lock);
}

/* The context of the copy at @low, or NULL. */
static void *
forget_apart (const uint8_t *low)
{
  Apart **place = &all_apart, *found;
  void *context = NULL;

  pthread_mutex_lock (&apart_lock);
  while (*place && (*place)->low != low)
    place = &(*place)->next;
  found = *place;
  if (found) {
    *place = found->next;
    context = found->context;
    free (found);
  }
  pthread_mutex_unlock (&apart_lock);
  return context;
}

/* In a context of its own, which ends with the copy. */
static bool
copy_apart (const CgCudaDevice *device, const CgFrame *frame, CgFrame *copy, CgCudaError *error)
{
  CgCudaDevice other = { .number = device->number };
  Apart *apart = malloc (sizeof *apart);
  bool done;

  if (!apart)
    return cg_cuda_fail (error, CG_CUDA_MEMORY, "Out of memory for a picture");
  if (!cg_cuda_context_new (device, &other.context, error)) {
    free (apart);
    return false;
  }
  done = cg_cuda_device_enter (&other, error);
  if (done) {
    done = cg_cuda_check (cudaStreamCreateWithFlags (&other.stream, cudaStreamNonBlocking),
                          "make a stream", error) &&
           copy_planes (other.stream, frame, copy, error);
    if (other.stream)
      cudaStreamDestroy (other.stream);
    cg_cuda_device_leave (&other);
  }
  if (done) {
    remember_apart (apart, copy, other.context);
    return true;
  }
  cg_cuda_context_free (other.context);
  free (apart);
  return false;
}

bool
cg_cuda_frame_copy (const CgCudaDevice *device, const CgFrame *frame, bool apart, CgFrame *copy,
                    CgCudaError *error)
{
  if (!check_frame (frame, error))
    return false;
  return apart ? copy_apart (device, frame, copy, error)
               : copy_planes (device->stream, frame, copy, error);
}

void
cg_cuda_frame_copy_free (CgFrame *copy)
{
  const uint8_t *low;
  void *context;

  span (copy, 0, &low);
  context = forget_apart (low);
  if (context)
    cg_cuda_context_free (context);
  else
    cudaFree ((void *)low);
  *copy = (CgFrame){ 0 };
}

/* @row pictures between two looks at the clock. */
static bool
time_one (CgCudaFrames *frames, CgCudaUploader *uploader, CgCudaSample *sample,
          const CgFrame *frame, unsigned row, const cudaEvent_t events[2], float *microseconds,
          CgCudaError *error)
{
  float milliseconds = 0;
  Job job;

  if (!prepare (frames, uploader, frame, &job, error) ||
      !cg_cuda_check (cudaEventRecord (events[0], uploader->stream), "time a picture", error))
    return false;
  for (unsigned i = 0; i < row; i++)
    if (!enqueue (frames, uploader, sample, &job, error))
      return false;
  if (!cg_cuda_check (cudaEventRecord (events[1], uploader->stream), "time a picture", error) ||
      !cg_cuda_device_wait (frames->device, events[1], false, "time a picture", error) ||
      !cg_cuda_check (cudaEventElapsedTime (&milliseconds, events[0], events[1]), "time a picture",
                      error))
    return false;
  *microseconds = 1000 * milliseconds / (float)row;
  return true;
}

bool
cg_cuda_sample_time_put (CgCudaFrames *frames, CgCudaSample *sample, const CgFrame *pictures,
                         unsigned sets, unsigned row, unsigned repeats, float *microseconds,
                         CgCudaError *error)
{
  CgCudaUploader *uploader = uploader_take (frames);
  cudaEvent_t events[2] = { NULL, NULL };
  bool done = true;

  for (unsigned i = 0; i < 2 && done; i++)
    done = cg_cuda_check (cudaEventCreateWithFlags (&events[i], cudaEventDefault), "make an event",
                          error);
  for (unsigned i = 0; i < repeats && done; i++)
    done = check_frame (&pictures[i % sets], error) &&
           time_one (frames, uploader, sample, &pictures[i % sets], row, events, &microseconds[i],
                     error);
  /* The pictures are their owner's again, also after a failure. */
  if (!done && !cg_cuda_device_is_silent (frames->device))
    cg_cuda_check (cudaStreamSynchronize (uploader->stream), "time a picture", NULL);
  for (unsigned i = 0; i < 2; i++)
    if (events[i] && !cg_cuda_device_is_silent (frames->device))
      cudaEventDestroy (events[i]);
  uploader_give (frames, uploader);
  return done;
}

/* ---- life ---- */

bool
cg_cuda_frames_open (CgCudaFrames *frames, CgCudaDevice *device, unsigned image, unsigned samples,
                     CgCudaError *error)
{
  int first = 0;

  frames->device = device;
  frames->image = image;
  if (pthread_mutex_init (&frames->lock, NULL) != 0)
    return cg_cuda_fail (error, CG_CUDA_MEMORY, "Out of memory for a lock");
  if (pthread_cond_init (&frames->idle, NULL) != 0) {
    pthread_mutex_destroy (&frames->lock);
    return cg_cuda_fail (error, CG_CUDA_MEMORY, "Out of memory for a condition");
  }
  frames->has_lock = true;
  if (!cg_cuda_check (cudaDeviceGetStreamPriorityRange (NULL, &first), "ask for priorities", error))
    return false;
  for (unsigned i = 0; i < CG_CUDA_UPLOADERS; i++) {
    CgCudaUploader *uploader = &frames->uploaders[i];

    if (!cg_cuda_check (
            cudaStreamCreateWithPriority (&uploader->stream, cudaStreamNonBlocking, first),
            "make a stream", error) ||
        !cg_cuda_check (cudaEventCreateWithFlags (&uploader->done, cudaEventDisableTiming),
                        "make an event", error))
      return false;
  }
  return add_slab (frames, samples, error);
}

bool
cg_cuda_frames_settle (CgCudaFrames *frames, CgCudaError *error)
{
  bool done = true;

  for (unsigned i = 0; i < CG_CUDA_UPLOADERS && done; i++)
    done = cg_cuda_device_wait (frames->device, frames->uploaders[i].done, false,
                                "wait for a picture", error);
  return done;
}

void
cg_cuda_frames_close (CgCudaFrames *frames)
{
  if (!frames->has_lock)
    return;
  for (unsigned i = 0; i < CG_CUDA_UPLOADERS; i++) {
    CgCudaUploader *uploader = &frames->uploaders[i];

    if (uploader->stream) {
      cudaStreamSynchronize (uploader->stream);
      cudaStreamDestroy (uploader->stream);
    }
    if (uploader->done)
      cudaEventDestroy (uploader->done);
    uploader_empty (uploader);
  }
  while (frames->slabs) {
    CgCudaSlab *slab = frames->slabs;

    frames->slabs = slab->next;
    for (unsigned i = 0; i < slab->n; i++)
      cudaEventDestroy (slab->samples[i].ready);
    if (slab->pixels)
      cudaFree (slab->pixels);
    free (slab);
  }
  pthread_cond_destroy (&frames->idle);
  pthread_mutex_destroy (&frames->lock);
  *frames = (CgCudaFrames){ 0 };
}

void
cg_cuda_frames_forget (CgCudaFrames *frames)
{
  for (unsigned i = 0; i < CG_CUDA_UPLOADERS; i++)
    frames->uploaders[i] = (CgCudaUploader){ 0 };
  for (CgCudaSlab *slab = frames->slabs; slab; slab = slab->next) {
    slab->pixels = NULL;
    slab->n = 0;
  }
}
