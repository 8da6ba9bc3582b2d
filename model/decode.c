/* From logits to one consistent place: the formulas are in decode.h.
 *
 * Sums and quotients of probabilities are taken in logarithms: heads that contradict each other
 * completely would otherwise end in 0 / 0.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "decode.h"

#include <math.h>
#include <stdlib.h>

/* The part of p (c) that lies within `horizontal_error`. */
#define HORIZONTAL_SHARE 0.9

static void
log_normalise (gdouble *x, guint n)
{
  gdouble max = x[0], sum = 0;
  for (guint i = 1; i < n; i++)
    max = MAX (max, x[i]);
  for (guint i = 0; i < n; i++)
    sum += exp (x[i] - max);

  /* One after the other: beside a large maximum the logarithm of the sum would be rounded away. */
  for (guint i = 0; i < n; i++)
    x[i] = (x[i] - max) - log (sum);
}

static void
log_softmax (const float *logits, guint n, gdouble temperature, gdouble *out)
{
  for (guint i = 0; i < n; i++)
    out[i] = logits[i] / temperature;
  log_normalise (out, n);
}

void
cg_softmax (const float *logits, guint n, gdouble temperature, gdouble *probabilities)
{
  log_softmax (logits, n, temperature, probabilities);
  for (guint i = 0; i < n; i++)
    probabilities[i] = exp (probabilities[i]);
}

static guint
argmax (const gdouble *x, guint n)
{
  guint best = 0;
  for (guint i = 1; i < n; i++)
    if (x[i] > x[best])
      best = i;
  return best;
}

/* What one window is decoded with. */
typedef struct {
  const CgPlaces *places;
  guint n[CG_LEVELS];         /* labels */
  guint *ancestor[CG_LEVELS]; /* [cities]: the label above each city */
  gdouble *level[CG_LEVELS];  /* [n[level]]: the probabilities of the level's labels */
  gdouble *city;              /* [cities]: p (c), which the coordinates are read from */
} Distributions;

/* One step of MARGINAL: p (c) *= sqrt (p_l (a) / m (a)), normalised; all in logarithms.
 * @ancestor, @log_city: [cities]; @log_opinion: [labels], log p_l */
static void
pool_opinion (gdouble *log_city, const guint *ancestor, guint cities, const gdouble *log_opinion,
              guint labels)
{
  g_autofree gdouble *max = g_new (gdouble, labels);
  g_autofree gdouble *sum = g_new0 (gdouble, labels);

  for (guint a = 0; a < labels; a++)
    max[a] = -INFINITY;
  for (guint c = 0; c < cities; c++)
    max[ancestor[c]] = MAX (max[ancestor[c]], log_city[c]);
  for (guint c = 0; c < cities; c++)
    sum[ancestor[c]] += exp (log_city[c] - max[ancestor[c]]);
  for (guint c = 0; c < cities; c++) {
    const guint a = ancestor[c];
    log_city[c] += 0.5 * (log_opinion[a] - (max[a] + log (sum[a])));
  }
  log_normalise (log_city, cities);
}

/* The probabilities of every level from those of the cities. */
static void
sum_up (Distributions *d)
{
  for (guint level = CG_CITY; level < CG_LEVELS; level++) {
    for (guint a = 0; a < d->n[level]; a++)
      d->level[level][a] = 0;
    for (guint c = 0; c < d->n[CG_CITY]; c++)
      d->level[level][d->ancestor[level][c]] += d->city[c];
    /* Rounding may have taken a sum past one. */
    for (guint a = 0; a < d->n[level]; a++)
      d->level[level][a] = MIN (d->level[level][a], 1);
  }
}

static void
distribute_marginal (Distributions *d, const CgModel *model, const float *const logits[CG_LEVELS])
{
  const guint cities = d->n[CG_CITY];

  log_softmax (logits[CG_CITY], cities, model->temperatures[CG_CITY], d->city);
  for (guint level = CG_CONTINENT; level > CG_CITY; level--) {
    log_softmax (logits[level], d->n[level], model->temperatures[level], d->level[level]);
    pool_opinion (d->city, d->ancestor[level], cities, d->level[level], d->n[level]);
  }

  for (guint c = 0; c < cities; c++)
    d->city[c] = exp (d->city[c]);
  sum_up (d);
}

static void
distribute_heads (Distributions *d, const CgModel *model, const float *const logits[CG_LEVELS])
{
  for (guint level = CG_CITY; level < CG_LEVELS; level++)
    cg_softmax (logits[level], d->n[level], model->temperatures[level], d->level[level]);
  for (guint c = 0; c < d->n[CG_CITY]; c++)
    d->city[c] = d->level[CG_CITY][c];
}

/* From the top: the most probable continent, in it the most probable country, and so on. */
static void
descend (const Distributions *d, guint index[CG_LEVELS])
{
  index[CG_CONTINENT] = argmax (d->level[CG_CONTINENT], d->n[CG_CONTINENT]);
  for (guint level = CG_CONTINENT; level-- > CG_CITY;) {
    gdouble best = -1;
    for (guint i = 0; i < d->n[level]; i++) {
      const CgPlace *place = cg_places_get (d->places, level, i);
      if (place->parent == (gint)index[level + 1] && d->level[level][i] > best) {
        best = d->level[level][i];
        index[level] = i;
      }
    }
  }
}

/* The @k largest of @probabilities, largest first, ties by lower index. Returns their number. */
static guint
find_top (const gdouble *probabilities, guint n, guint k, CgPrediction *top)
{
  guint n_top = 0;
  for (guint i = 0; i < n; i++) {
    guint rank = n_top;
    while (rank > 0 && probabilities[i] > top[rank - 1].probability)
      rank--;
    if (rank == k)
      continue;
    if (n_top < k)
      n_top++;
    for (guint j = n_top - 1; j > rank; j--)
      top[j] = top[j - 1];
    top[rank] = (CgPrediction){ i, probabilities[i] };
  }
  return n_top;
}

typedef struct {
  gdouble distance, probability;
} Neighbour;

static gint
compare_distance (const void *a, const void *b)
{
  const gdouble x = ((const Neighbour *)a)->distance, y = ((const Neighbour *)b)->distance;
  return (x > y) - (x < y);
}

static void
locate (const Distributions *d, CgAnswer *answer)
{
  const guint cities = d->n[CG_CITY], finest = answer->finest;
  gdouble best = -1;
  guint centre = 0;
  for (guint c = 0; c < cities; c++) {
    const gboolean inside = finest == CG_LEVELS || d->ancestor[finest][c] == answer->index[finest];
    if (inside && d->city[c] > best) {
      best = d->city[c];
      centre = c;
    }
  }
  const CgPlace *place = cg_places_get (d->places, CG_CITY, centre);
  answer->latitude = place->latitude;
  answer->longitude = place->longitude;

  g_autofree Neighbour *neighbours = g_new (Neighbour, cities);
  for (guint c = 0; c < cities; c++) {
    const CgPlace *other = cg_places_get (d->places, CG_CITY, c);
    neighbours[c].distance =
        cg_places_distance (place->latitude, place->longitude, other->latitude, other->longitude);
    neighbours[c].probability = d->city[c];
  }
  qsort (neighbours, cities, sizeof *neighbours, compare_distance);

  gdouble held = 0;
  for (guint c = 0; c < cities && held < HORIZONTAL_SHARE; c++) {
    held += neighbours[c].probability;
    answer->horizontal_error = neighbours[c].distance;
  }
}

static gboolean
check_finite (const float *values, guint n, const char *what, GError **error)
{
  for (guint i = 0; i < n; i++) {
    if (!isfinite (values[i])) {
      g_set_error (error, CG_ERROR, CG_ERROR_COMPUTE,
                   "The network's %s logit %u is %s: expected a finite number", what, i,
                   isnan (values[i]) ? "not a number" : "infinite");
      return FALSE;
    }
  }
  return TRUE;
}

/* Room for the distributions of one window of @model; distributions_clear(). */
static void
distributions_init (Distributions *d, const CgModel *model)
{
  guint total = 0;

  *d = (Distributions){ .places = model->places };
  for (guint level = CG_CITY; level < CG_LEVELS; level++) {
    d->n[level] = cg_places_count (model->places, level);
    total += d->n[level];
  }

  const guint cities = d->n[CG_CITY];
  gdouble *probabilities = g_new (gdouble, total + cities);
  guint *ancestors = g_new (guint, CG_LEVELS * cities);
  d->city = probabilities + total;
  for (guint level = CG_CITY; level < CG_LEVELS; level++) {
    d->level[level] = probabilities;
    probabilities += d->n[level];
    d->ancestor[level] = ancestors + level * cities;
    for (guint c = 0; c < cities; c++)
      d->ancestor[level][c] = cg_places_ancestor (model->places, CG_CITY, c, level);
  }
}

static void
distributions_clear (Distributions *d)
{
  g_free (d->level[CG_CITY]);
  g_free (d->ancestor[CG_CITY]);
}

/* All that follows from the distributions and the chosen labels. */
static void
complete (const Distributions *d, const CgDecodeOptions *options, CgAnswer *answer)
{
  for (guint level = CG_CITY; level < CG_LEVELS; level++) {
    answer->probability[level] = d->level[level][answer->index[level]];
    answer->n_top[level] = find_top (d->level[level], d->n[level],
                                     MIN (options->top_k, CG_MAX_TOP_K), answer->top[level]);
  }
  for (guint level = CG_LEVELS;
       level-- > CG_CITY && answer->probability[level] >= options->min_confidence;)
    answer->finest = level;
  locate (d, answer);
}

void
cg_decode_cities (const CgModel *model, const gdouble *cities, const CgDecodeOptions *options,
                  CgAnswer *answer)
{
  Distributions d;

  distributions_init (&d, model);
  for (guint c = 0; c < d.n[CG_CITY]; c++)
    d.city[c] = cities[c];
  sum_up (&d);
  *answer = (CgAnswer){ .finest = CG_LEVELS, .scene = -1 };
  descend (&d, answer->index);
  complete (&d, options, answer);
  distributions_clear (&d);
}

static gboolean
check_outputs (const CgModel *model, const CgOutputs *outputs, GError **error)
{
  const float *logits = outputs->logits;
  for (guint level = CG_CITY; level < CG_LEVELS; level++) {
    const guint n = cg_places_count (model->places, level);
    if (!check_finite (logits, n, cg_level_name (level), error))
      return FALSE;
    logits += n;
  }
  return !outputs->scene || check_finite (outputs->scene, model->n_scenes, "scene", error);
}

gboolean
cg_decode (const CgModel *model, const CgOutputs *outputs, const CgDecodeOptions *options,
           CgAnswer *answer, gdouble *cities, GError **error)
{
  const float *logits[CG_LEVELS];
  Distributions d;

  if (!check_outputs (model, outputs, error))
    return FALSE;
  distributions_init (&d, model);
  logits[CG_CITY] = outputs->logits;
  for (guint level = CG_STATE; level < CG_LEVELS; level++)
    logits[level] = logits[level - 1] + d.n[level - 1];

  *answer = (CgAnswer){ .finest = CG_LEVELS, .scene = -1 };
  switch (options->decoding) {
  case CG_DECODING_MARGINAL:
    distribute_marginal (&d, model, logits);
    descend (&d, answer->index);
    break;
  case CG_DECODING_CODEPENDENT:
    distribute_heads (&d, model, logits);
    for (guint level = CG_CITY, city = argmax (d.city, d.n[CG_CITY]); level < CG_LEVELS; level++)
      answer->index[level] = d.ancestor[level][city];
    break;
  case CG_DECODING_INDEPENDENT:
    distribute_heads (&d, model, logits);
    for (guint level = CG_CITY; level < CG_LEVELS; level++)
      answer->index[level] = argmax (d.level[level], d.n[level]);
    break;
  }
  complete (&d, options, answer);
  for (guint c = 0; cities && c < d.n[CG_CITY]; c++)
    cities[c] = d.city[c];
  distributions_clear (&d);

  if (outputs->scene && model->n_scenes > 0) {
    g_autofree gdouble *scenes = g_new (gdouble, model->n_scenes);
    cg_softmax (outputs->scene, model->n_scenes, 1, scenes);
    answer->scene = argmax (scenes, model->n_scenes);
    answer->scene_probability = scenes[answer->scene];
  }
  return TRUE;
}
