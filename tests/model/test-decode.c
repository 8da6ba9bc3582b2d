/* Decoding, against the formulas of decode.h written out by brute force on small random trees.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include <math.h>
#include <string.h>

#include "model/decode.h"

#define MAX_LABELS 24
#define N_TREES 300

/* Results of exp () and log () in another order. */
#define TOLERANCE 1e-9

static void
assert_near (gdouble found, gdouble expected)
{
  g_assert_cmpfloat_with_epsilon (found, expected, TOLERANCE);
}

/* ---- random trees and logits ---- */

/* "labels": [ { "label": "3", "PARENT": p, EXTRA }, ... ], every parent with a child. */
static void
append_level (GString *json, GRand *random, const char *labels, const char *parent, guint n,
              guint n_parents, gboolean cities)
{
  g_string_append_printf (json, ", \"%s\": [", labels);
  for (guint i = 0; i < n; i++) {
    g_string_append_printf (json, "%s{\"label\": \"%s%u\"", i ? ", " : "", labels, i);
    if (parent)
      g_string_append_printf (json, ", \"%s\": %d", parent,
                              i < n_parents ? (gint)i : g_rand_int_range (random, 0, n_parents));
    if (cities) {
      /* Round numbers: coordinates are read back as they are written. */
      g_string_append_printf (json, ", \"latitude\": %d, \"longitude\": %d",
                              g_rand_int_range (random, -90, 91),
                              g_rand_int_range (random, -180, 181));
    }
    g_string_append (json, "}");
  }
  g_string_append (json, "]");
}

static CgPlaces *
random_places (GRand *random)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GString) json = g_string_new ("{\"version\": 1, \"name\": \"random\"");
  const guint continents = g_rand_int_range (random, 1, 4);
  const guint countries = g_rand_int_range (random, continents, 7);
  const guint states = g_rand_int_range (random, countries, 12);
  const guint cities = g_rand_int_range (random, states, MAX_LABELS);

  append_level (json, random, "continents", NULL, continents, 0, FALSE);
  append_level (json, random, "countries", "continent", countries, continents, FALSE);
  append_level (json, random, "states", "country", states, countries, FALSE);
  append_level (json, random, "cities", "state", cities, states, TRUE);
  g_string_append (json, "}");
  CgPlaces *places = cg_places_parse (json->str, json->len, "random", &error);
  g_assert_no_error (error);
  return places;
}

typedef struct {
  CgModel model;
  float values[CG_LEVELS * MAX_LABELS + MAX_LABELS];
  CgOutputs outputs;
  float *logits[CG_LEVELS];
  guint n[CG_LEVELS];
} Case;

static void
case_init (Case *c, CgPlaces *places)
{
  *c = (Case){ .model = { .places = places } };
  c->outputs.logits = c->values;
  float *next = c->values;
  for (guint level = CG_CITY; level < CG_LEVELS; level++) {
    c->model.temperatures[level] = 1;
    c->n[level] = cg_places_count (places, level);
    c->logits[level] = next;
    next += c->n[level];
  }
}

static void
case_random (Case *c, GRand *random)
{
  case_init (c, random_places (random));
  for (guint level = CG_CITY; level < CG_LEVELS; level++) {
    c->model.temperatures[level] = g_rand_double_range (random, 0.5, 3);
    for (guint i = 0; i < c->n[level]; i++)
      c->logits[level][i] = g_rand_double_range (random, -4, 4);
  }
}

static void
case_clear (Case *c)
{
  cg_places_free (c->model.places);
}

static CgAnswer
decode (const Case *c, CgDecoding decoding, gdouble min_confidence)
{
  g_autoptr (GError) error = NULL;
  const CgDecodeOptions options = { decoding, CG_MAX_TOP_K, min_confidence };
  CgAnswer answer;
  g_assert_true (cg_decode (&c->model, &c->outputs, &options, &answer, NULL, &error));
  g_assert_no_error (error);
  return answer;
}

/* ---- the formulas, once more ---- */

typedef struct {
  gdouble level[CG_LEVELS][MAX_LABELS]; /* the probabilities of each level */
  gdouble city[MAX_LABELS];             /* p (c) */
  guint index[CG_LEVELS];
} Expected;

static void
brute_softmax (const Case *c, guint level, gdouble *p)
{
  gdouble sum = 0;
  for (guint i = 0; i < c->n[level]; i++)
    sum += p[i] = exp (c->logits[level][i] / c->model.temperatures[level]);
  for (guint i = 0; i < c->n[level]; i++)
    p[i] /= sum;
}

static gdouble
brute_mass (const Case *c, const gdouble *city, guint level, guint label)
{
  gdouble sum = 0;
  for (guint i = 0; i < c->n[CG_CITY]; i++)
    if (cg_places_ancestor (c->model.places, CG_CITY, i, level) == label)
      sum += city[i];
  return sum;
}

static guint
brute_best (const Case *c, const gdouble *p, guint level, gint parent)
{
  guint best = G_MAXUINT;
  for (guint i = 0; i < c->n[level]; i++)
    if ((parent < 0 || cg_places_get (c->model.places, level, i)->parent == parent) &&
        (best == G_MAXUINT || p[i] > p[best]))
      best = i;
  return best;
}

static void
brute_force (const Case *c, CgDecoding decoding, Expected *e)
{
  const guint cities = c->n[CG_CITY];

  for (guint level = CG_CITY; level < CG_LEVELS; level++)
    brute_softmax (c, level, e->level[level]);
  memcpy (e->city, e->level[CG_CITY], sizeof e->city);

  if (decoding == CG_DECODING_MARGINAL) {
    static const CgLevel order[] = { CG_CONTINENT, CG_COUNTRY, CG_STATE };
    for (guint step = 0; step < G_N_ELEMENTS (order); step++) {
      gdouble pooled[MAX_LABELS], sum = 0;
      for (guint i = 0; i < cities; i++) {
        const guint a = cg_places_ancestor (c->model.places, CG_CITY, i, order[step]);
        const gdouble mass = brute_mass (c, e->city, order[step], a);
        sum += pooled[i] = e->city[i] * sqrt (e->level[order[step]][a] / mass);
      }
      for (guint i = 0; i < cities; i++)
        e->city[i] = pooled[i] / sum;
    }
    for (guint level = CG_CITY; level < CG_LEVELS; level++)
      for (guint a = 0; a < c->n[level]; a++)
        e->level[level][a] = brute_mass (c, e->city, level, a);
    gint parent = -1;
    for (gint level = CG_CONTINENT; level >= CG_CITY; level--)
      parent = e->index[level] = brute_best (c, e->level[level], level, parent);
  } else {
    for (guint level = CG_CITY; level < CG_LEVELS; level++) {
      e->index[level] = brute_best (c, e->level[level], level, -1);
      if (decoding == CG_DECODING_CODEPENDENT && level > CG_CITY)
        e->index[level] = cg_places_get (c->model.places, level - 1, e->index[level - 1])->parent;
    }
  }
}

/* The smallest of all distances from @centre within which 90 % lie. */
static gdouble
brute_radius (const Case *c, const gdouble *city, gdouble latitude, gdouble longitude)
{
  gdouble best = INFINITY;
  for (guint i = 0; i < c->n[CG_CITY]; i++) {
    const CgPlace *edge = cg_places_get (c->model.places, CG_CITY, i);
    const gdouble radius =
        cg_places_distance (latitude, longitude, edge->latitude, edge->longitude);
    gdouble held = 0;
    for (guint j = 0; j < c->n[CG_CITY]; j++) {
      const CgPlace *other = cg_places_get (c->model.places, CG_CITY, j);
      if (cg_places_distance (latitude, longitude, other->latitude, other->longitude) <= radius)
        held += city[j];
    }
    if (held >= 0.9)
      best = MIN (best, radius);
  }
  return best;
}

/* ---- properties ---- */

static void
check_against_brute_force (const Case *c, CgDecoding decoding, gdouble min_confidence)
{
  Expected e;
  brute_force (c, decoding, &e);
  const CgAnswer answer = decode (c, decoding, min_confidence);

  guint finest = CG_LEVELS;
  for (gint level = CG_CONTINENT;
       level >= CG_CITY && e.level[level][e.index[level]] >= min_confidence; level--)
    finest = level;
  g_assert_cmpuint (answer.finest, ==, finest);

  for (guint level = CG_CITY; level < CG_LEVELS; level++) {
    g_assert_cmpuint (answer.index[level], ==, e.index[level]);
    assert_near (answer.probability[level], e.level[level][e.index[level]]);

    /* The top are the largest, largest first, each label once. */
    g_assert_cmpuint (answer.n_top[level], ==, MIN (c->n[level], CG_MAX_TOP_K));
    gboolean seen[MAX_LABELS] = { FALSE };
    gdouble least = 1;
    for (guint rank = 0; rank < answer.n_top[level]; rank++) {
      const CgPrediction *top = &answer.top[level][rank];
      g_assert_cmpuint (top->index, <, c->n[level]);
      g_assert_false (seen[top->index]);
      seen[top->index] = TRUE;
      assert_near (top->probability, e.level[level][top->index]);
      g_assert_cmpfloat (top->probability, <=, least);
      least = top->probability;
    }
    for (guint i = 0; i < c->n[level]; i++)
      if (!seen[i])
        g_assert_cmpfloat (e.level[level][i], <=, least + TOLERANCE);
  }

  guint centre = G_MAXUINT;
  for (guint i = 0; i < c->n[CG_CITY]; i++)
    if ((finest == CG_LEVELS ||
         cg_places_ancestor (c->model.places, CG_CITY, i, finest) == e.index[finest]) &&
        (centre == G_MAXUINT || e.city[i] > e.city[centre]))
      centre = i;
  const CgPlace *place = cg_places_get (c->model.places, CG_CITY, centre);
  g_assert_cmpfloat (answer.latitude, ==, place->latitude);
  g_assert_cmpfloat (answer.longitude, ==, place->longitude);
  assert_near (answer.horizontal_error,
               brute_radius (c, e.city, place->latitude, place->longitude));
  g_assert_cmpint (answer.scene, ==, -1);
}

static void
test_brute_force (void)
{
  g_autoptr (GRand) random = g_rand_new_with_seed (1);
  for (guint tree = 0; tree < N_TREES; tree++) {
    Case c;
    case_random (&c, random);
    for (guint i = 0; i < 4; i++) {
      const gdouble min_confidence = i == 0 ? 0 : g_rand_double (random);
      check_against_brute_force (&c, CG_DECODING_MARGINAL, min_confidence);
      check_against_brute_force (&c, CG_DECODING_CODEPENDENT, min_confidence);
      check_against_brute_force (&c, CG_DECODING_INDEPENDENT, min_confidence);
    }
    case_clear (&c);
  }
}

static void
assert_same (const CgAnswer *a, const CgAnswer *b)
{
  g_assert_cmpuint (a->finest, ==, b->finest);
  for (guint level = CG_CITY; level < CG_LEVELS; level++) {
    g_assert_cmpuint (a->index[level], ==, b->index[level]);
    g_assert_cmpfloat (a->probability[level], ==, b->probability[level]);
    g_assert_cmpuint (a->n_top[level], ==, b->n_top[level]);
    for (guint rank = 0; rank < a->n_top[level]; rank++) {
      g_assert_cmpuint (a->top[level][rank].index, ==, b->top[level][rank].index);
      g_assert_cmpfloat (a->top[level][rank].probability, ==, b->top[level][rank].probability);
    }
  }
  g_assert_cmpfloat (a->latitude, ==, b->latitude);
  g_assert_cmpfloat (a->longitude, ==, b->longitude);
  g_assert_cmpfloat (a->horizontal_error, ==, b->horizontal_error);
}

/* p (c) of each decoding is what brute force finds. Of MARGINAL it holds all that the answer says. */
static void
test_cities (void)
{
  static const CgDecoding decodings[] = { CG_DECODING_MARGINAL, CG_DECODING_CODEPENDENT,
                                          CG_DECODING_INDEPENDENT };
  g_autoptr (GRand) random = g_rand_new_with_seed (5);

  for (guint tree = 0; tree < N_TREES; tree++) {
    Case c;
    case_random (&c, random);
    for (guint i = 0; i < G_N_ELEMENTS (decodings); i++) {
      const CgDecodeOptions options = { decodings[i], (guint)g_rand_int_range (random, 0, 21),
                                        g_rand_int_range (random, 0, 3) ? g_rand_double (random)
                                                                        : 0 };
      g_autoptr (GError) error = NULL;
      gdouble cities[MAX_LABELS + 1], sum = 0;
      CgAnswer answer, silent, again;
      Expected e;

      cities[c.n[CG_CITY]] = -7;
      g_assert_true (cg_decode (&c.model, &c.outputs, &options, &answer, cities, &error));
      g_assert_no_error (error);
      g_assert_cmpfloat (cities[c.n[CG_CITY]], ==, -7);
      brute_force (&c, decodings[i], &e);
      for (guint k = 0; k < c.n[CG_CITY]; k++) {
        assert_near (cities[k], e.city[k]);
        sum += cities[k];
      }
      assert_near (sum, 1);

      /* Whether it is asked for makes no difference. */
      g_assert_true (cg_decode (&c.model, &c.outputs, &options, &silent, NULL, &error));
      assert_same (&silent, &answer);

      cg_decode_cities (&c.model, cities, &options, &again);
      if (decodings[i] == CG_DECODING_MARGINAL)
        assert_same (&again, &answer);
      g_assert_cmpint (again.scene, ==, -1);
    }
    case_clear (&c);
  }
}

/* A distribution of any kind, with impossible cities and ties. */
static void
test_decode_cities (void)
{
  g_autoptr (GRand) random = g_rand_new_with_seed (6);

  for (guint round = 0; round < N_TREES; round++) {
    /* The decoding is to make no difference. */
    const CgDecodeOptions options = { round % 3, CG_MAX_TOP_K, g_rand_double (random) };
    Case c;
    Expected e = { 0 };
    CgAnswer answer;
    gdouble sum = 0;

    case_random (&c, random);
    const guint n = c.n[CG_CITY];
    for (guint i = 0; i < n; i++)
      sum += e.city[i] = g_rand_int_range (random, 0, 5);
    /* No part of it is 90 %, which could be met or missed by a rounding. */
    if (fmod (sum, 10) == 0) {
      e.city[0] += 1;
      sum += 1;
    }
    for (guint i = 0; i < n; i++)
      e.city[i] /= sum;
    cg_decode_cities (&c.model, e.city, &options, &answer);

    /* The same sums in the same order: ties are ties. */
    guint finest = CG_LEVELS;
    gint parent = -1;
    for (gint level = CG_CONTINENT; level >= CG_CITY; level--) {
      for (guint a = 0; a < c.n[level]; a++)
        e.level[level][a] = MIN (brute_mass (&c, e.city, level, a), 1);
      parent = e.index[level] = brute_best (&c, e.level[level], level, parent);
      g_assert_cmpuint (answer.index[level], ==, e.index[level]);
      g_assert_cmpfloat (answer.probability[level], ==, e.level[level][e.index[level]]);
      if (finest == (guint)level + 1 && answer.probability[level] >= options.min_confidence)
        finest = level;

      g_assert_cmpuint (answer.n_top[level], ==, MIN (c.n[level], CG_MAX_TOP_K));
      for (guint rank = 1; rank < answer.n_top[level]; rank++) {
        const CgPrediction *a = &answer.top[level][rank - 1], *b = &answer.top[level][rank];
        g_assert_true (a->probability > b->probability ||
                       (a->probability == b->probability && a->index < b->index));
        g_assert_cmpfloat (b->probability, ==, e.level[level][b->index]);
      }
    }
    g_assert_cmpuint (answer.finest, ==, finest);
    assert_near (answer.horizontal_error,
                 brute_radius (&c, e.city, answer.latitude, answer.longitude));
    g_assert_cmpint (answer.scene, ==, -1);
    case_clear (&c);
  }
}

/* A temperature divides the logits of its own level, and of no other. */
static void
test_temperatures (void)
{
  g_autoptr (GRand) random = g_rand_new_with_seed (7);

  for (guint tree = 0; tree < N_TREES; tree++) {
    Case c;
    CgAnswer calibrated;
    case_random (&c, random);
    calibrated = decode (&c, CG_DECODING_MARGINAL, 0);
    for (guint level = CG_CITY; level < CG_LEVELS; level++) {
      /* A power of two, so that both quotients are the same number. */
      const gdouble factor = level % 2 ? 4 : 0.5;
      c.model.temperatures[level] *= factor;
      for (guint i = 0; i < c.n[level]; i++)
        c.logits[level][i] *= (float)factor;
    }
    const CgAnswer scaled = decode (&c, CG_DECODING_MARGINAL, 0);
    assert_same (&scaled, &calibrated);
    case_clear (&c);
  }
}

/* Every level sums to one; the place is a chain; and going up, it only becomes surer. */
static void
test_marginal_is_consistent (void)
{
  g_autoptr (GRand) random = g_rand_new_with_seed (2);
  for (guint tree = 0; tree < N_TREES; tree++) {
    Case c;
    case_random (&c, random);
    const CgAnswer answer = decode (&c, CG_DECODING_MARGINAL, 0);
    for (guint level = CG_CITY; level < CG_LEVELS; level++) {
      gdouble sum = 0;
      for (guint rank = 0; rank < answer.n_top[level]; rank++)
        sum += answer.top[level][rank].probability;
      if (answer.n_top[level] == c.n[level])
        assert_near (sum, 1);
      if (level < CG_CONTINENT) {
        const CgPlace *place = cg_places_get (c.model.places, level, answer.index[level]);
        g_assert_cmpint (place->parent, ==, answer.index[level + 1]);
        g_assert_cmpfloat (answer.probability[level], <=,
                           answer.probability[level + 1] + TOLERANCE);
      }
    }
    case_clear (&c);
  }
}

/* Two continents, each with a chain of one country and one state; two cities in the first. */
static const char small_tree[] =
    "{\"version\": 1, \"name\": \"small\","
    " \"continents\": [{\"label\": \"A\"}, {\"label\": \"B\"}],"
    " \"countries\": [{\"label\": \"A\", \"continent\": 0}, {\"label\": \"B\", \"continent\": 1}],"
    " \"states\": [{\"label\": \"A\", \"country\": 0}, {\"label\": \"B\", \"country\": 1}],"
    " \"cities\": [{\"label\": \"A1\", \"state\": 0, \"latitude\": 0, \"longitude\": 0},"
    "              {\"label\": \"A2\", \"state\": 0, \"latitude\": 0, \"longitude\": 1},"
    "              {\"label\": \"B1\", \"state\": 1, \"latitude\": 0, \"longitude\": 90}]}";

static void
small_case (Case *c)
{
  g_autoptr (GError) error = NULL;
  CgPlaces *places = cg_places_parse (small_tree, strlen (small_tree), "small", &error);
  g_assert_no_error (error);
  case_init (c, places);
}

/* By hand: p_city = 1/4, 1/4, 1/2; the continents' head says 4/5, 1/5. First step: m = 1/2, 1/2,
 * and A's share becomes sqrt (4/5 1/2) : sqrt (1/5 1/2) = 2 : 1. The other two heads say the same
 * as the cities do by then (2/3, 1/3), so that they change nothing. */
static void
test_by_hand (void)
{
  Case c;
  small_case (&c);
  const float city[] = { 0, 0, logf (2) };
  memcpy (c.logits[CG_CITY], city, sizeof city);
  c.logits[CG_STATE][0] = c.logits[CG_COUNTRY][0] = logf (2);
  c.logits[CG_CONTINENT][0] = logf (4);
  c.logits[CG_STATE][1] = c.logits[CG_COUNTRY][1] = c.logits[CG_CONTINENT][1] = 0;

  CgAnswer answer = decode (&c, CG_DECODING_MARGINAL, 0.5);
  for (guint level = CG_STATE; level < CG_LEVELS; level++) {
    g_assert_cmpuint (answer.index[level], ==, 0);
    g_assert_cmpfloat_with_epsilon (answer.probability[level], 2. / 3, 1e-6);
  }
  g_assert_cmpuint (answer.finest, ==, CG_STATE);
  g_assert_cmpuint (answer.index[CG_CITY], ==, 0);
  g_assert_cmpfloat_with_epsilon (answer.probability[CG_CITY], 1. / 3, 1e-6);
  g_assert_cmpfloat (answer.longitude, ==, 0);
  /* 2/3 lie within a degree; for 90 % the other continent is needed: a quarter of the equator. */
  g_assert_cmpfloat_with_epsilon (answer.horizontal_error, G_PI / 2 * 6371008.8, 1e-3);

  /* The authors' decoding goes by the cities alone: B1, and what is above it. */
  answer = decode (&c, CG_DECODING_CODEPENDENT, 0.25);
  g_assert_cmpuint (answer.index[CG_CITY], ==, 2);
  for (guint level = CG_STATE; level < CG_LEVELS; level++)
    g_assert_cmpuint (answer.index[level], ==, 1);
  g_assert_cmpfloat_with_epsilon (answer.probability[CG_CITY], 0.5, 1e-6);
  g_assert_cmpfloat_with_epsilon (answer.probability[CG_COUNTRY], 1. / 3, 1e-6);
  g_assert_cmpfloat_with_epsilon (answer.probability[CG_CONTINENT], 0.2, 1e-6);
  /* A continent that is withheld takes the surer levels below it along: over all cities then. */
  g_assert_cmpuint (answer.finest, ==, CG_LEVELS);
  g_assert_cmpfloat (answer.longitude, ==, 90);

  /* Each head by itself: a city that is not in the continent. */
  answer = decode (&c, CG_DECODING_INDEPENDENT, 0);
  g_assert_cmpuint (answer.finest, ==, CG_CITY);
  g_assert_cmpuint (answer.index[CG_CITY], ==, 2);
  g_assert_cmpuint (answer.index[CG_CONTINENT], ==, 0);
  case_clear (&c);
}

/* One step of MARGINAL makes the marginal proportional to sqrt (m p): with one label at the other
 * levels only the continents' step does anything. */
static void
test_log_linear_pool (void)
{
  g_autoptr (GRand) random = g_rand_new_with_seed (3);
  for (guint round = 0; round < 100; round++) {
    Case c;
    small_case (&c);
    for (guint level = CG_CITY; level < CG_LEVELS; level++)
      for (guint i = 0; i < c.n[level]; i++)
        c.logits[level][i] = g_rand_double_range (random, -3, 3);

    /* The heads between say what the pool of city and continent says. */
    Expected heads;
    brute_force (&c, CG_DECODING_INDEPENDENT, &heads);
    gdouble pool[2], sum = 0;
    for (guint a = 0; a < 2; a++)
      sum += pool[a] = sqrt (brute_mass (&c, heads.level[CG_CITY], CG_CONTINENT, a) *
                             heads.level[CG_CONTINENT][a]);
    for (guint a = 0; a < 2; a++)
      c.logits[CG_STATE][a] = c.logits[CG_COUNTRY][a] = log (pool[a] / sum);

    const CgAnswer answer = decode (&c, CG_DECODING_MARGINAL, 0);
    for (guint rank = 0; rank < 2; rank++) {
      const CgPrediction *top = &answer.top[CG_CONTINENT][rank];
      g_assert_cmpfloat_with_epsilon (top->probability, pool[top->index] / sum, 1e-6);
    }
    case_clear (&c);
  }
}

/* By hand: 1/8, 1/2 and 3/8. A level whose probability is the minimum is given. */
static void
test_withheld (void)
{
  static const struct {
    gdouble min_confidence;
    guint finest;
  } steps[] = {
    { 0, CG_CITY },      { 0.5, CG_CITY },    { 0.5 + 1e-12, CG_STATE },
    { 0.625, CG_STATE }, { 0.63, CG_LEVELS }, { 1, CG_LEVELS },
  };
  const gdouble cities[] = { 0.125, 0.5, 0.375 };
  Case c;

  small_case (&c);
  for (guint i = 0; i < G_N_ELEMENTS (steps); i++) {
    const CgDecodeOptions options = { CG_DECODING_MARGINAL, 1, steps[i].min_confidence };
    CgAnswer answer;
    cg_decode_cities (&c.model, cities, &options, &answer);
    g_assert_cmpuint (answer.finest, ==, steps[i].finest);
    /* What is withheld is still decoded. */
    g_assert_cmpuint (answer.index[CG_CITY], ==, 1);
    g_assert_cmpfloat (answer.probability[CG_CITY], ==, 0.5);
    g_assert_cmpfloat (answer.probability[CG_CONTINENT], ==, 0.625);
    g_assert_cmpfloat (answer.longitude, ==, 1);
  }
  case_clear (&c);
}

static void
test_ties (void)
{
  /* All equal: the lower index wins, everywhere, in every decoding. */
  static const CgDecoding decodings[] = { CG_DECODING_MARGINAL, CG_DECODING_CODEPENDENT,
                                          CG_DECODING_INDEPENDENT };
  Case c;
  small_case (&c);
  for (guint i = 0; i < G_N_ELEMENTS (decodings); i++) {
    const CgAnswer answer = decode (&c, decodings[i], 0);
    g_assert_cmpuint (answer.index[CG_CITY], ==, 0);
    for (guint rank = 0; rank < 3 && decodings[i] != CG_DECODING_MARGINAL; rank++)
      g_assert_cmpuint (answer.top[CG_CITY][rank].index, ==, rank);
  }
  case_clear (&c);
}

static void
test_top_k (void)
{
  g_autoptr (GRand) random = g_rand_new_with_seed (4);
  Case c;
  case_random (&c, random);
  for (guint k = 0; k <= CG_MAX_TOP_K + 1; k++) {
    const CgDecodeOptions options = { CG_DECODING_MARGINAL, k, 0 };
    const CgAnswer all = decode (&c, CG_DECODING_MARGINAL, 0);
    CgAnswer answer;
    g_assert_true (cg_decode (&c.model, &c.outputs, &options, &answer, NULL, NULL));
    for (guint level = CG_CITY; level < CG_LEVELS; level++) {
      g_assert_cmpuint (answer.n_top[level], ==, MIN (MIN (k, c.n[level]), CG_MAX_TOP_K));
      for (guint rank = 0; rank < answer.n_top[level]; rank++)
        g_assert_cmpuint (answer.top[level][rank].index, ==, all.top[level][rank].index);
    }
  }
  case_clear (&c);
}

/* ---- the edges ---- */

static void
test_contradiction (void)
{
  /* Heads that exclude each other's answers by thousands of units: still a place. */
  Case c;
  small_case (&c);
  c.logits[CG_CITY][0] = 1e4f;
  c.logits[CG_STATE][1] = 1e4f;
  c.logits[CG_COUNTRY][0] = -3e38f;
  c.logits[CG_CONTINENT][1] = 3e38f;
  c.model.temperatures[CG_CONTINENT] = 0.01;

  const CgAnswer answer = decode (&c, CG_DECODING_MARGINAL, 0);
  for (guint level = CG_CITY; level < CG_LEVELS; level++) {
    gdouble sum = 0;
    for (guint rank = 0; rank < answer.n_top[level]; rank++)
      sum += answer.top[level][rank].probability;
    assert_near (sum, 1);
  }
  g_assert_cmpuint (answer.finest, ==, CG_CITY);
  g_assert_cmpuint (answer.index[CG_CONTINENT], ==, 1);
  g_assert_cmpuint (answer.index[CG_CITY], ==, 2);
  g_assert_cmpfloat (answer.horizontal_error, ==, 0);
  case_clear (&c);
}

static void
test_not_finite (void)
{
  static const struct {
    float value;
    const char *told;
  } values[] = { { NAN, "not a number" }, { INFINITY, "infinite" }, { -INFINITY, "infinite" } };
  const CgDecodeOptions options = { .decoding = CG_DECODING_MARGINAL };

  for (guint level = CG_CITY; level < CG_LEVELS; level++) {
    for (guint i = 0; i < G_N_ELEMENTS (values); i++) {
      g_autoptr (GError) error = NULL;
      Case c;
      CgAnswer answer;
      small_case (&c);
      c.logits[level][1] = values[i].value;
      g_assert_false (cg_decode (&c.model, &c.outputs, &options, &answer, NULL, &error));
      g_assert_error (error, CG_ERROR, CG_ERROR_COMPUTE);
      g_assert_nonnull (strstr (error->message, cg_level_name (level)));
      g_assert_nonnull (strstr (error->message, values[i].told));
      case_clear (&c);
    }
  }
}

static void
test_scene (void)
{
  Case c;
  small_case (&c);
  float scene[] = { 0, logf (3), 0 };
  const CgDecodeOptions options = { .decoding = CG_DECODING_MARGINAL };
  c.outputs.scene = scene;

  /* Without scenes in the model */
  g_assert_cmpint (decode (&c, CG_DECODING_MARGINAL, 0).scene, ==, -1);

  /* and with them */
  c.model.n_scenes = 3;
  const CgAnswer answer = decode (&c, CG_DECODING_MARGINAL, 0);
  g_assert_cmpint (answer.scene, ==, 1);
  g_assert_cmpfloat_with_epsilon (answer.scene_probability, 0.6, 1e-6);

  /* and with one that is no number. */
  g_autoptr (GError) error = NULL;
  CgAnswer none;
  scene[2] = NAN;
  g_assert_false (cg_decode (&c.model, &c.outputs, &options, &none, NULL, &error));
  g_assert_error (error, CG_ERROR, CG_ERROR_COMPUTE);
  g_assert_nonnull (strstr (error->message, "scene"));
  case_clear (&c);
}

static void
test_softmax (void)
{
  const float logits[] = { 0, logf (2), logf (5) };
  gdouble p[3];
  cg_softmax (logits, 3, 1, p);
  g_assert_cmpfloat_with_epsilon (p[0], 0.125, 1e-7);
  g_assert_cmpfloat_with_epsilon (p[1], 0.25, 1e-7);
  g_assert_cmpfloat_with_epsilon (p[2], 0.625, 1e-7);
  cg_softmax (logits, 3, 0.5, p); /* 1 : 4 : 25 */
  g_assert_cmpfloat_with_epsilon (p[2], 25. / 30, 1e-7);

  const float large[] = { 3e38f, -3e38f, 3e38f };
  cg_softmax (large, 3, 0.01, p);
  g_assert_cmpfloat (p[0], ==, 0.5);
  g_assert_cmpfloat (p[1], ==, 0);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/decode/brute-force", test_brute_force);
  g_test_add_func ("/decode/cities", test_cities);
  g_test_add_func ("/decode/decode-cities", test_decode_cities);
  g_test_add_func ("/decode/temperatures", test_temperatures);
  g_test_add_func ("/decode/withheld", test_withheld);
  g_test_add_func ("/decode/marginal-is-consistent", test_marginal_is_consistent);
  g_test_add_func ("/decode/by-hand", test_by_hand);
  g_test_add_func ("/decode/log-linear-pool", test_log_linear_pool);
  g_test_add_func ("/decode/ties", test_ties);
  g_test_add_func ("/decode/top-k", test_top_k);
  g_test_add_func ("/decode/contradiction", test_contradiction);
  g_test_add_func ("/decode/not-finite", test_not_finite);
  g_test_add_func ("/decode/scene", test_scene);
  g_test_add_func ("/decode/softmax", test_softmax);
  return g_test_run ();
}
