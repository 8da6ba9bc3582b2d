/* A picture to a model frame in two launches: Pillow's coefficients, unless they are there, then everything else.
 *
 * Pillow computes one axis, rounds to bytes, then the other. A block makes a tile of the model frame:
 *
 *   picture  --convert-->  R'G'B' of the tile's window  --first axis-->  [second axis][tile]  --second-->  sums
 *
 * in shared memory, so many positions of the second axis at a time as fit. Neighbouring windows overlap by one output's
 * support; with these tiles 1080p is read 1.2 times, from the second time on out of a cache.
 *
 * The first axis are the columns, or the rows of tall pictures (model/cpu/preprocess.c). "Along" is the
 * first axis, "across" the second.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "picture.cuh"

#define FRACTION_BITS 22 /* Pillow's */
#define THREADS 256
#define TILE_ALONG 16 /* outputs of a block; THREADS at most */
#define TILE_ACROSS 8
#define LOADS 5
#define SHARED_WORDS (46 * 1024 / 4)

/* Coefficients of one axis: [outputs] {first, count}, [outputs][taps] fractions. */
struct Axis {
  unsigned in, outputs, taps;
  double scale;
  int2 *range;
  int *weight;
};

struct Plan {
  unsigned tile, window; /* outputs along, and the most positions that they need */
  unsigned chunk;        /* positions across at a time */
  unsigned pitch;   /* words of a line of pixels along, odd: lanes across hit different banks */
  unsigned columns; /* words of a slot of chroma */
  unsigned chroma_words;
  size_t shared; /* bytes */
};

/* ---- coefficients ---- */

/* One thread for each output. The order of operations is Pillow's, in double, and no product is fused
 * with a sum, so that the fractions round alike. */
static __global__ void
__launch_bounds__ (THREADS) coefficients (Axis columns, Axis rows)
{
  const Axis axis = blockIdx.y == 0 ? columns : rows;
  const unsigned i = blockIdx.x * THREADS + threadIdx.x;

  if (i >= axis.outputs)
    return;
  const double support = axis.scale > 1 ? axis.scale : 1, narrowing = 1 / support;
  const double center = __dmul_rn (i + 0.5, axis.scale);
  const int left = (int)(center - support + 0.5), right = (int)(center + support + 0.5);
  const int first = left > 0 ? left : 0, end = right < (int)axis.in ? right : (int)axis.in;
  int *weight = axis.weight + (size_t)i * axis.taps;
  double sum = 0;

  for (int x = first; x < end; x++) {
    const double distance = fabs (__dmul_rn (x - center + 0.5, narrowing));
    sum += distance < 1 ? 1 - distance : 0;
  }
  for (int x = first; x < end; x++) {
    const double distance = fabs (__dmul_rn (x - center + 0.5, narrowing));
    const double part = (distance < 1 ? 1 - distance : 0) / sum;
    weight[x - first] = (int)__dadd_rn (0.5, __dmul_rn (part, 1 << FRACTION_BITS));
  }
  axis.range[i] = make_int2 (first, end - first);
}

/* ---- the picture ---- */

/* What a block works on: pixels [x, x + width) x [y, y + height), in memory as [across][pitch]. */
struct Patch {
  unsigned x, y, width, height;
};

/* A warp takes a line, so that loads of neighbours are one. Each lane first loads LOADS samples, of columns that
 * there are, so that the loads do not wait for each other; a window of 1080p is 4.6 warps wide. */
template <Layout layout>
__device__ inline void
read_chroma (const Source &source, const Patch &patch, unsigned slot, uint32_t *chroma)
{
  unsigned row, next;

  chroma_rows (source, slot, &row, &next);
  for (unsigned i = threadIdx.x % WARP; i < patch.width; i += LOADS * WARP) {
    uint32_t here[LOADS], side[LOADS];

#pragma unroll
    for (unsigned u = 0; u < LOADS; u++) {
      const unsigned x = patch.x + min (i + u * WARP, patch.width - 1);
      here[u] = chroma_sample<layout> (source, x / 2, row);
      side[u] = chroma_sample<layout> (source, chroma_side (source, x), row);
    }
    if (next != row)
#pragma unroll
      for (unsigned u = 0; u < LOADS; u++) {
        const unsigned x = patch.x + min (i + u * WARP, patch.width - 1);
        here[u] = mean_down (here[u], chroma_sample<layout> (source, x / 2, next));
        side[u] =
            mean_down (side[u], chroma_sample<layout> (source, chroma_side (source, x), next));
      }
#pragma unroll
    for (unsigned u = 0; u < LOADS; u++)
      if (i + u * WARP < patch.width)
        chroma[i + u * WARP] = chroma_between (source, here[u], side[u]);
  }
}

/* @near, @far: lines of chroma. @step: words from pixel to pixel. */
template <Layout layout>
__device__ inline void
read_line (const Source &source, const Patch &patch, unsigned y, const uint32_t *near,
           const uint32_t *far, uint32_t *pixels, unsigned step)
{
  for (unsigned i = threadIdx.x % WARP; i < patch.width; i += LOADS * WARP) {
    uint32_t value[LOADS];

#pragma unroll
    for (unsigned u = 0; u < LOADS; u++) {
      const unsigned x = patch.x + min (i + u * WARP, patch.width - 1);
      value[u] =
          layout == PACKED ? packed_pixel (source, x, y) : luma_sample<layout> (source, x, y);
    }
#pragma unroll
    for (unsigned u = 0; u < LOADS; u++) {
      const unsigned at = i + u * WARP;
      if (at < patch.width) {
        if (layout != PACKED)
          value[u] = yuv_pixel (source.colour, value[u], near[at], far[at]);
        pixels[at * step] = value[u];
      }
    }
  }
}

template <Layout layout, bool rows_first>
__device__ inline void
read_pixels (const Source &source, const Patch &patch, unsigned pitch, unsigned columns,
             uint32_t *chroma, uint32_t *pixels)
{
  const unsigned warp = threadIdx.x / WARP, warps = THREADS / WARP;
  unsigned near = 0, far = 0, slot = 0;

  if (layout != PACKED) {
    chroma_slots (source, patch.y, &near, &far);
    slot = min (near, far);
    chroma_slots (source, patch.y + patch.height - 1, &near, &far);
    const unsigned last = max (near, far);
    for (unsigned k = slot + warp; k <= last; k += warps)
      read_chroma<layout> (source, patch, k, chroma + (k - slot) * columns);
    __syncthreads ();
  }

  for (unsigned y = warp; y < patch.height; y += warps) {
    if (layout != PACKED)
      chroma_slots (source, patch.y + y, &near, &far);
    read_line<layout> (source, patch, patch.y + y, chroma + (near - slot) * columns,
                       chroma + (far - slot) * columns, pixels + (rows_first ? y : y * pitch),
                       rows_first ? pitch : 1);
  }
}

__device__ inline void
add_pixel (int sum[3], int weight, uint32_t pixel)
{
  sum[0] += weight * (int)(pixel & 0xff);
  sum[1] += weight * (int)(pixel >> 8 & 0xff);
  sum[2] += weight * (int)(pixel >> 16);
}

/* Shared: chroma [slots][columns], pixels [chunk][pitch], and between the axes [tile][chunk, made odd]. */
template <Layout layout, bool rows_first>
static __global__ void
__launch_bounds__ (THREADS, 3)
    resize (Source source, Plan plan, Axis along, Axis across, uint8_t *__restrict__ out)
{
  CG_CUDA_SHARED (uint32_t, chroma);
  uint32_t *pixels = chroma + plan.chroma_words;
  uint32_t *between = pixels + (size_t)plan.chunk * plan.pitch;
  const unsigned line = plan.chunk | 1;

  const unsigned first_along = blockIdx.x * plan.tile, first_across = blockIdx.y * TILE_ACROSS;
  const unsigned n_along = min (plan.tile, along.outputs - first_along);
  const unsigned n_across = min ((unsigned)TILE_ACROSS, across.outputs - first_across);
  const int2 last_along = along.range[first_along + n_along - 1];
  const int2 last_across = across.range[first_across + n_across - 1];
  const unsigned begin = along.range[first_along].x;
  const unsigned window = last_along.x + last_along.y - begin;
  const unsigned end = last_across.x + last_across.y;

  /* This thread's output. */
  const unsigned my_along = threadIdx.x % plan.tile, my_across = threadIdx.x / plan.tile;
  const bool mine = my_along < n_along && my_across < n_across;
  const int2 my_range = mine ? across.range[first_across + my_across] : make_int2 (0, 0);
  const int *my_weight = across.weight + (size_t)(first_across + my_across) * across.taps;
  const int half_level = 1 << (FRACTION_BITS - 1);
  int sum[3] = { half_level, half_level, half_level };

  for (unsigned at = across.range[first_across].x; at < end; at += plan.chunk) {
    const unsigned n = min (plan.chunk, end - at);
    const Patch patch = rows_first ? Patch{ at, begin, n, window } : Patch{ begin, at, window, n };

    read_pixels<layout, rows_first> (source, patch, plan.pitch, plan.columns, chroma, pixels);
    __syncthreads ();

    for (unsigned k = threadIdx.x; k < n * n_along; k += THREADS) {
      const unsigned position = k % n, output = k / n;
      const int2 range = along.range[first_along + output];
      const int *weight = along.weight + (size_t)(first_along + output) * along.taps;
      const uint32_t *from = pixels + (size_t)position * plan.pitch + (range.x - begin);
      int value[3] = { half_level, half_level, half_level };
      for (int j = 0; j < range.y; j++)
        add_pixel (value, weight[j], from[j]);
      between[output * line + position] = (uint32_t)(value[0] >> FRACTION_BITS) |
                                          (uint32_t)(value[1] >> FRACTION_BITS) << 8 |
                                          (uint32_t)(value[2] >> FRACTION_BITS) << 16;
    }
    __syncthreads ();

    const int from = max (my_range.x, (int)at), to = min (my_range.x + my_range.y, (int)(at + n));
    for (int j = from; j < to; j++)
      add_pixel (sum, my_weight[j - my_range.x], between[my_along * line + (j - at)]);
  }

  if (mine) {
    const unsigned x = rows_first ? first_across + my_across : first_along + my_along;
    const unsigned y = rows_first ? first_along + my_along : first_across + my_across;
    for (int c = 0; c < 3; c++)
      out[((size_t)y * along.outputs + x) * 3 + c] = (uint8_t)(sum[c] >> FRACTION_BITS);
  }
}

/* ---- launching ---- */

static unsigned
max_taps (unsigned in, unsigned outputs)
{
  return 2 * (((in > outputs ? in : outputs) + outputs - 1) / outputs) + 1;
}

/* The most positions that @n neighbouring outputs need. */
static unsigned
max_window (const Axis *axis, unsigned n)
{
  const double support = axis->scale > 1 ? axis->scale : 1;
  const double most = (n - 1) * axis->scale + 2 * support + 2;

  return most < axis->in ? (unsigned)most : axis->in;
}

/* The widest tile and the largest chunk of which everything fits into shared memory. */
static bool
make_plan (const Source *source, const Axis *along, const Axis *across, bool rows_first, Plan *plan)
{
  for (plan->tile = TILE_ALONG; plan->tile > 0; plan->tile /= 2) {
    plan->window = max_window (along, plan->tile);
    plan->pitch = plan->window | 1;
    for (plan->chunk = max_window (across, TILE_ACROSS); plan->chunk > 0; plan->chunk--) {
      const unsigned lines = rows_first ? plan->window : plan->chunk;
      const size_t slots = source->bytes > 0 ? 0 : source->cosited_v ? lines : lines / 2 + 2;
      const size_t pixels = (size_t)plan->chunk * plan->pitch;
      plan->columns = rows_first ? plan->chunk : plan->window;
      plan->chroma_words = (unsigned)(slots * plan->columns);
      plan->shared = 4 * (plan->chroma_words + pixels + (size_t)plan->tile * (plan->chunk | 1));
      if (plan->shared <= 4 * SHARED_WORDS)
        return true;
    }
  }
  return false;
}

template <Layout layout>
static cudaError_t
launch (const Source &source, const Axis &columns, const Axis &rows, uint8_t *out,
        cudaStream_t stream)
{
  const unsigned image = columns.outputs;
  const bool rows_first =
      rows.in > image && rows.in - image > 2 * (columns.in > image ? columns.in - image : 0);
  const Axis &along = rows_first ? rows : columns, &across = rows_first ? columns : rows;
  Plan plan;

  if (!make_plan (&source, &along, &across, rows_first, &plan))
    return cudaErrorInvalidValue;
  const dim3 grid (blocks_for (image, plan.tile), blocks_for (image, TILE_ACROSS));
  if (rows_first)
    return CG_CUDA_LAUNCH ((resize<layout, true>), grid, dim3 (THREADS), plan.shared, stream,
                           source, plan, along, across, out);
  return CG_CUDA_LAUNCH ((resize<layout, false>), grid, dim3 (THREADS), plan.shared, stream, source,
                         plan, along, across, out);
}

static bool
size_is_possible (unsigned width, unsigned height, unsigned image)
{
  return width >= 1 && width <= CG_CUDA_MAX_SIDE && height >= 1 && height <= CG_CUDA_MAX_SIDE &&
         image >= CG_CUDA_MIN_IMAGE && image <= CG_CUDA_MAX_IMAGE;
}

extern "C" size_t
cg_cuda_preprocess_scratch (unsigned width, unsigned height, unsigned image)
{
  if (!size_is_possible (width, height, image))
    return 0;
  return image * (2 * sizeof (int2) +
                  ((size_t)max_taps (width, image) + max_taps (height, image)) * sizeof (int));
}

extern "C" cudaError_t
cg_cuda_preprocess (const CgCudaPicture *picture, unsigned image, void *scratch,
                    size_t scratch_size, int same_size, uint8_t *out, cudaStream_t stream)
{
  if (picture == NULL || scratch == NULL || out == NULL || !is_aligned (scratch, 16) ||
      !size_is_possible (picture->width, picture->height, image) ||
      !picture_is_possible (picture) ||
      scratch_size < cg_cuda_preprocess_scratch (picture->width, picture->height, image))
    return cudaErrorInvalidValue;

  Axis axes[2] = {};
  int2 *range = static_cast<int2 *> (scratch);
  int *weight = reinterpret_cast<int *> (range + 2 * image);
  for (int i = 0; i < 2; i++) {
    Axis *axis = &axes[i];
    axis->in = i == 0 ? picture->width : picture->height;
    axis->outputs = image;
    axis->taps = max_taps (axis->in, image);
    axis->scale = (double)axis->in / image;
    axis->range = range + i * image;
    axis->weight = weight;
    weight += (size_t)image * axis->taps;
  }
  if (!same_size) {
    const cudaError_t result = CG_CUDA_LAUNCH (coefficients, dim3 (blocks_for (image, THREADS), 2),
                                               dim3 (THREADS), 0, stream, axes[0], axes[1]);
    if (result != cudaSuccess)
      return result;
  }

  const Source source = picture_source (picture);
  switch (picture_layout (picture)) {
  case PLANAR8:
    return launch<PLANAR8> (source, axes[0], axes[1], out, stream);
  case PAIRS8:
    return launch<PAIRS8> (source, axes[0], axes[1], out, stream);
  case PAIRS8_LOOSE:
    return launch<PAIRS8_LOOSE> (source, axes[0], axes[1], out, stream);
  case PAIRS16:
    return launch<PAIRS16> (source, axes[0], axes[1], out, stream);
  case PAIRS16_LOOSE:
    return launch<PAIRS16_LOOSE> (source, axes[0], axes[1], out, stream);
  case PACKED:
    break;
  }
  return launch<PACKED> (source, axes[0], axes[1], out, stream);
}
