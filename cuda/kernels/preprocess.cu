/* A picture to a model frame in two launches: Pillow's coefficients, unless they are there, then everything else.
 *
 * Pillow computes one axis, rounds to bytes, then the other. A block makes a tile of the model frame:
 *
 *   picture  --convert-->  R'G'B' of the tile's window  --first axis-->  [tile][second axis]  --second-->  sums
 *
 * in shared memory, so many positions of the second axis at a time as fit. Neighbouring windows overlap by one output's
 * support; with these tiles 1080p is read 1.3 times, from the second time on out of a cache.
 *
 * The first axis are the columns, or the rows of tall pictures (model/cpu/preprocess.c). "Along" is the
 * first axis, "across" the second.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "picture.cuh"

#define FRACTION_BITS 22 /* Pillow's */
#define THREADS 256
#define TILE_ALONG 16 /* outputs of a block; fewer, if their window is too large */
#define TILE_ACROSS 8
#define SHARED (46 * 1024)

/* Along either axis, quad q are the positions 4q - 1 .. 4q + 2, pair p are 2p - 1 and 2p: those of a cell.
 *
 * Coefficients of one axis: [outputs] {first, end}, and [quads][outputs] four fractions at a time, the first quad being
 * that of `first`: x, y and z have the lowest, middle and highest bytes of all four. */
struct Axis {
  int in, outputs;
  double scale;
  int2 *range;
  uint4 *weight;
};

struct Plan {
  int tile;         /* outputs along of a block */
  int quads, pairs; /* along, the most that these need; across, at a time */
  int pitch, line;  /* quads from line to line: pixels, between the axes; odd: other banks */
  bool rows_first;  /* along are the rows */
  unsigned inner;   /* cells side by side in memory; at least 2 */
  unsigned inverse; /* 1 << 32 divided by that, rounded up */
  size_t shared;    /* bytes */
};

__device__ inline int
quad_of (int position)
{
  return (position + 1) / 4;
}

__device__ inline int
pair_of (int position)
{
  return (position + 1) / 2;
}

/* ---- coefficients ---- */

/* One thread for each output. The order of operations is Pillow's, in double, and no product is fused
 * with a sum, so that the fractions round alike. */
static __global__ void
__launch_bounds__ (THREADS) coefficients (Axis columns, Axis rows)
{
  const Axis axis = blockIdx.y == 0 ? columns : rows;
  const int i = (int)(blockIdx.x * THREADS + threadIdx.x);

  if (i >= axis.outputs)
    return;
  const double support = axis.scale > 1 ? axis.scale : 1, narrowing = 1 / support;
  const double center = __dmul_rn (i + 0.5, axis.scale);
  const int left = (int)(center - support + 0.5), right = (int)(center + support + 0.5);
  const int first = max (left, 0), end = min (right, axis.in);
  double sum = 0;

  for (int x = first; x < end; x++) {
    const double distance = fabs (__dmul_rn (x - center + 0.5, narrowing));
    sum += distance < 1 ? 1 - distance : 0;
  }
  for (int q = quad_of (first); q <= quad_of (end - 1); q++) {
    uint4 weight = {};

    for (int e = 0; e < 4; e++) {
      const int x = 4 * q - 1 + e;
      if (x < first || x >= end)
        continue;
      const double distance = fabs (__dmul_rn (x - center + 0.5, narrowing));
      const double part = (distance < 1 ? 1 - distance : 0) / sum;
      const unsigned fraction = (unsigned)__dadd_rn (0.5, __dmul_rn (part, 1 << FRACTION_BITS));
      weight.x |= (fraction & 0xff) << 8 * e;
      weight.y |= (fraction >> 8 & 0xff) << 8 * e;
      weight.z |= (fraction >> 16) << 8 * e;
    }
    axis.weight[(size_t)(q - quad_of (first)) * axis.outputs + i] = weight;
  }
  axis.range[i] = make_int2 (first, end);
}

/* ---- weighted sums ---- */

/* Of R, G and B, for the bytes of the fractions one by one. */
struct Sum {
  uint32_t low[3], middle[3], high[3];
};

/* @n quads of each of @lines lines. @weight: of the first one. */
template <int lines>
__device__ inline void
add_quads (Sum sum[lines], const Quad *quad, int pitch, const uint4 *weight, int outputs, int n)
{
#pragma unroll 1
  for (; n > 0; n--, quad++, weight += outputs) {
    const uint4 w = __ldg (weight);
    for (int l = 0; l < lines; l++)
      for (int c = 0; c < 3; c++) {
        const uint32_t four = quad[l * pitch].channel[c];
        sum[l].low[c] = __dp4a (w.x, four, sum[l].low[c]);
        sum[l].middle[c] = __dp4a (w.y, four, sum[l].middle[c]);
        sum[l].high[c] = __dp4a (w.z, four, sum[l].high[c]);
      }
  }
}

__device__ inline uint32_t
rounded (const Sum &sum, int c)
{
  const uint32_t half_level = 1 << (FRACTION_BITS - 1);

  return (half_level + sum.low[c] + (sum.middle[c] << 8) + (sum.high[c] << 16)) >> FRACTION_BITS;
}

/* ---- the picture ---- */

/* Shared: pixels [2 * pairs][pitch], then, between the axes, [TILE_ALONG][line]. */
template <Layout layout>
static __global__ void
__launch_bounds__ (THREADS, 3)
    resize (Source source, Plan plan, Axis along, Axis across, uint8_t *__restrict__ out)
{
  CG_CUDA_SHARED (Quad, pixels);
  Quad *between = pixels + 2 * plan.pairs * plan.pitch;

  const int first_along = (int)blockIdx.x * plan.tile, first_across = (int)blockIdx.y * TILE_ACROSS;
  const int n_along = min (plan.tile, along.outputs - first_along);
  const int n_across = min (TILE_ACROSS, across.outputs - first_across);
  const int begin = quad_of (along.range[first_along].x);
  const int quads = quad_of (along.range[first_along + n_along - 1].y - 1) + 1 - begin;
  const int end = pair_of (across.range[first_across + n_across - 1].y - 1) + 1;

  /* This thread's outputs: number `o` along, at some positions across, then at one output across. */
  const int o = threadIdx.x % TILE_ALONG, my_across = threadIdx.x / TILE_ALONG;
  const bool mine = o < n_along && my_across < n_across;
  const int2 range = along.range[first_along + min (o, n_along - 1)];
  const int2 my_range = across.range[first_across + min (my_across, n_across - 1)];
  const int from_along = quad_of (range.x), n_quads = quad_of (range.y - 1) + 1 - from_along;
  const int from_across = quad_of (my_range.x), to_across = quad_of (my_range.y - 1) + 1;
  const uint4 *weight = along.weight + first_along + o;
  const uint4 *my_weight = across.weight + first_across + my_across;
  Sum sum = {};

  for (int at = pair_of (across.range[first_across].x); at < end; at += plan.pairs) {
    const int pairs = min (plan.pairs, end - at);

    for (unsigned k = threadIdx.x; k < plan.inner * (plan.rows_first ? quads : pairs);
         k += THREADS) {
      const int j = (int)__umulhi (k, plan.inverse), i = (int)(k - j * plan.inner);
      const int q = plan.rows_first ? j : i, p = plan.rows_first ? i : j;
      Quad cell[2];
      if (q >= quads || p >= pairs)
        continue;
      read_cell<layout> (source, begin + q, at + p, cell);
      for (int y = 0; y < 2; y++)
        pixels[(2 * p + y) * plan.pitch + q] = cell[y];
    }
    __syncthreads ();

    /* Whole quads across: the pair that may be missing at an end is in another turn, or nowhere. */
    const int first_quad = at / 2, end_quad = (at + pairs + 1) / 2;
    for (int p = 2 * first_quad + my_across; o < n_along && p < 2 * end_quad;
         p += THREADS / TILE_ALONG) {
      const Quad *line = pixels + 2 * (p - at) * plan.pitch + from_along - begin;
      Quad *to = between + o * plan.line + p / 2 - first_quad;
      Sum value[2] = {};
      if (p >= at && p < at + pairs)
        add_quads<2> (value, line, plan.pitch, weight, along.outputs, n_quads);
      for (int c = 0; c < 3; c++)
        reinterpret_cast<uint16_t *> (&to->channel[c])[p % 2] =
            (uint16_t)(rounded (value[0], c) | rounded (value[1], c) << 8);
    }
    __syncthreads ();

    const int from = max (from_across, first_quad), to = min (to_across, end_quad);
    if (mine)
      add_quads<1> (&sum, between + o * plan.line + from - first_quad, 0,
                    my_weight + (size_t)(from - from_across) * across.outputs, across.outputs,
                    to - from);
  }

  if (mine) {
    const int x = plan.rows_first ? first_across + my_across : first_along + o;
    const int y = plan.rows_first ? first_along + o : first_across + my_across;
    for (int c = 0; c < 3; c++)
      out[((size_t)y * along.outputs + x) * 3 + c] = (uint8_t)rounded (sum, c);
  }
}

/* ---- launching ---- */

/* Quads in which @n neighbouring positions can lie, pairs likewise. */
static int
most_quads (int n)
{
  return (n + 6) / 4;
}

static int
most_pairs (int n)
{
  return n / 2 + 1;
}

/* Of one output. */
static int
quads_of_output (unsigned in, unsigned outputs)
{
  const unsigned scale = in > outputs ? (in + outputs - 1) / outputs : 1;

  return most_quads (2 * (int)scale + 1);
}

/* The most positions that @n neighbouring outputs need. */
static int
max_window (const Axis *axis, int n)
{
  const double support = axis->scale > 1 ? axis->scale : 1;
  const double most = (n - 1) * axis->scale + 2 * support + 2;

  return most < axis->in ? (int)most : axis->in;
}

/* The widest tile and the most pairs of which everything fits into shared memory. */
static bool
make_plan (const Axis *along, const Axis *across, bool rows_first, Plan *plan)
{
  plan->rows_first = rows_first;
  for (plan->tile = TILE_ALONG; plan->tile > 0; plan->tile /= 2) {
    plan->quads = most_quads (max_window (along, plan->tile));
    plan->pitch = plan->quads | 1;
    for (plan->pairs = most_pairs (max_window (across, TILE_ACROSS)); plan->pairs > 0;
         plan->pairs--) {
      plan->inner = (unsigned)max (rows_first ? plan->pairs : plan->quads, 2);
      plan->inverse = ~0u / plan->inner + 1;
      plan->line = (plan->pairs / 2 + 1) | 1;
      plan->shared =
          sizeof (Quad) * ((size_t)2 * plan->pairs * plan->pitch + TILE_ALONG * plan->line);
      if (plan->shared <= SHARED)
        return true;
    }
  }
  return false;
}

template <Layout layout>
static cudaError_t
launch (const CgCudaPicture *picture, const Axis &columns, const Axis &rows, uint8_t *out,
        cudaStream_t stream)
{
  const int image = columns.outputs;
  const bool rows_first = rows.in > image && rows.in - image > 2 * max (columns.in - image, 0);
  const Axis &along = rows_first ? rows : columns, &across = rows_first ? columns : rows;
  Plan plan;

  if (!make_plan (&along, &across, rows_first, &plan))
    return cudaErrorInvalidValue;
  const dim3 grid (blocks_for (image, plan.tile), blocks_for (image, TILE_ACROSS));
  return CG_CUDA_LAUNCH (resize<layout>, grid, dim3 (THREADS), plan.shared, stream,
                         picture_source (picture, rows_first), plan, along, across, out);
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
  const int quads = quads_of_output (width, image) + quads_of_output (height, image);
  return image * (2 * sizeof (int2) + quads * sizeof (uint4));
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
  uint4 *weight = reinterpret_cast<uint4 *> (range + 2 * image);
  for (int i = 0; i < 2; i++) {
    Axis *axis = &axes[i];
    axis->in = (int)(i == 0 ? picture->width : picture->height);
    axis->outputs = (int)image;
    axis->scale = (double)axis->in / image;
    axis->range = range + i * image;
    axis->weight = weight;
    weight += (size_t)image * quads_of_output ((unsigned)axis->in, image);
  }
  if (!same_size) {
    const cudaError_t result = CG_CUDA_LAUNCH (coefficients, dim3 (blocks_for (image, THREADS), 2),
                                               dim3 (THREADS), 0, stream, axes[0], axes[1]);
    if (result != cudaSuccess)
      return result;
  }

  switch (picture_layout (picture)) {
  case PLANAR8:
    return launch<PLANAR8> (picture, axes[0], axes[1], out, stream);
  case PAIRS8:
    return launch<PAIRS8> (picture, axes[0], axes[1], out, stream);
  case PAIRS8_LOOSE:
    return launch<PAIRS8_LOOSE> (picture, axes[0], axes[1], out, stream);
  case PAIRS16:
    return launch<PAIRS16> (picture, axes[0], axes[1], out, stream);
  case PAIRS16_LOOSE:
    return launch<PAIRS16_LOOSE> (picture, axes[0], axes[1], out, stream);
  case PACKED:
    break;
  }
  return launch<PACKED> (picture, axes[0], axes[1], out, stream);
}
