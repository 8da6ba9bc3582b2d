/* Places over time: held against the formulas of track.h in plain probabilities, worked out once more
 * in long double, and against what a user expects of a place: not moved by one wrong window, moved by
 * a journey, gone with a cut.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include <math.h>
#include <string.h>

#include "model/track.h"

#define MAX_CITIES 24
#define N_ROUNDS 200

#define WINDOW 21.03
#define HOP 2.8
#define MEMORY 600

#define TOLERANCE 1e-9

static void
assert_near (gdouble found, gdouble expected)
{
  g_assert_cmpfloat_with_epsilon (found, expected, TOLERANCE);
}

/* ---- trees ---- */

typedef struct {
  guint n[CG_LEVELS];
  guint parent[CG_LEVELS][MAX_CITIES];
  guint order[MAX_CITIES]; /* the city at each index */
} Tree;

static void
append_level (GString *json, const Tree *tree, CgLevel level, const char *labels,
              const char *parent)
{
  g_string_append_printf (json, ", \"%s\": [", labels);
  for (guint i = 0; i < tree->n[level]; i++) {
    const guint which = level == CG_CITY ? tree->order[i] : i;
    g_string_append_printf (json, "%s{\"label\": \"%s%u\"", i ? ", " : "", labels, which);
    if (parent)
      g_string_append_printf (json, ", \"%s\": %u", parent, tree->parent[level][which]);
    if (level == CG_CITY)
      g_string_append_printf (json, ", \"latitude\": %d, \"longitude\": %d",
                              (gint)(which * 7 % 180) - 90, (gint)(which * 13 % 360) - 180);
    g_string_append (json, "}");
  }
  g_string_append (json, "]");
}

static void
model_init (CgModel *model, const Tree *tree)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GString) json = g_string_new ("{\"version\": 1, \"name\": \"test\"");

  append_level (json, tree, CG_CONTINENT, "continents", NULL);
  append_level (json, tree, CG_COUNTRY, "countries", "continent");
  append_level (json, tree, CG_STATE, "states", "country");
  append_level (json, tree, CG_CITY, "cities", "state");
  g_string_append (json, "}");
  *model = (CgModel){ .temperatures = { 1, 1, 1, 1 } };
  model->places = cg_places_parse (json->str, json->len, "test", &error);
  g_assert_no_error (error);
}

static void
random_tree (Tree *tree, GRand *random)
{
  tree->n[CG_CONTINENT] = g_rand_int_range (random, 1, 4);
  tree->n[CG_COUNTRY] = g_rand_int_range (random, tree->n[CG_CONTINENT], 7);
  tree->n[CG_STATE] = g_rand_int_range (random, tree->n[CG_COUNTRY], 12);
  tree->n[CG_CITY] = g_rand_int_range (random, tree->n[CG_STATE], MAX_CITIES);
  for (guint level = CG_CITY; level < CG_CONTINENT; level++)
    for (guint i = 0; i < tree->n[level]; i++)
      tree->parent[level][i] =
          i < tree->n[level + 1] ? i : (guint)g_rand_int_range (random, 0, tree->n[level + 1]);
  for (guint i = 0; i < tree->n[CG_CITY]; i++)
    tree->order[i] = i;
}

/* Cities 0 and 1 in state 0, city 2 in state 1, city 3 in state 2. States 0 and 1 are in country 0,
 * each country on a continent of its own. */
static void
small_model (CgModel *model)
{
  const Tree tree = { .n = { 4, 3, 2, 2 },
                      .parent = { { 0, 0, 1, 2 }, { 0, 0, 1 }, { 0, 1 } },
                      .order = { 0, 1, 2, 3 } };
  model_init (model, &tree);
}

/* ---- steps ---- */

/* Windows one after the other, each an eighth new. */
static const CgTrackStep next_window = { HOP, WINDOW, 0.125, FALSE, 1 };
static const CgTrackStep first_window = { 0, WINDOW, 1, FALSE, 1 };
static const CgDecodeOptions everything = { CG_DECODING_MARGINAL, CG_MAX_TOP_K, 0 };

static gboolean
update (CgTrack *track, const gdouble *cities, CgTrackStep step, gdouble memory, CgAnswer *answer)
{
  return cg_track_update (track, cities, &step, memory, &everything, answer);
}

/* One city has @probability, the rest is shared by the others. */
static void
peak (gdouble *cities, guint n, guint city, gdouble probability)
{
  for (guint c = 0; c < n; c++)
    cities[c] = c == city ? probability : (1 - probability) / (n - 1);
}

/* The distribution over cities that was decoded, from its top labels (there are no more than 20). */
static void
distribution (const CgAnswer *answer, gdouble *cities)
{
  for (guint rank = 0; rank < answer->n_top[CG_CITY]; rank++)
    cities[answer->top[CG_CITY][rank].index] = answer->top[CG_CITY][rank].probability;
}

static void
assert_sane (const CgAnswer *answer)
{
  for (guint level = CG_CITY; level < CG_LEVELS; level++) {
    gdouble sum = 0;
    for (guint rank = 0; rank < answer->n_top[level]; rank++) {
      const gdouble p = answer->top[level][rank].probability;
      g_assert_true (p >= 0 && p <= 1);
      sum += p;
    }
    g_assert_cmpfloat (sum, <=, 1 + TOLERANCE);
    g_assert_true (answer->probability[level] >= 0 && answer->probability[level] <= 1);
    if (level < CG_CONTINENT)
      g_assert_cmpfloat (answer->probability[level], <=,
                         answer->probability[level + 1] + TOLERANCE);
  }
  g_assert_true (isfinite (answer->horizontal_error) && isfinite (answer->latitude) &&
                 isfinite (answer->longitude));
  g_assert_cmpint (answer->scene, ==, -1);
}

/* ---- the formulas, once more ---- */

typedef struct {
  guint n;
  long double before[MAX_CITIES], p[MAX_CITIES], weight;
  gboolean begun, mixed;
} Plain;

/* With @q of weight @weight. */
static void
plain_multiply (Plain *plain, const gdouble *q, long double weight)
{
  long double sum = 0;

  for (guint c = 0; c < plain->n; c++)
    sum += plain->p[c] = plain->before[c] * powl (0.99L * q[c] + 0.01L / plain->n, weight);
  for (guint c = 0; c < plain->n; c++)
    plain->p[c] /= sum;
  plain->weight = weight;
}

static void
plain_fade (Plain *plain, const long double *belief, long double kept)
{
  for (guint c = 0; c < plain->n; c++)
    plain->before[c] = fmaxl (kept * belief[c] + (1 - kept) / plain->n, 1e-9L);
}

static void
plain_update (Plain *plain, const gdouble *q, const CgTrackStep *step, gdouble memory)
{
  const long double kept = expl (-(long double)step->elapsed / memory);
  const long double news = 1 - kept * (1 - step->fresh);

  if (!plain->begun) {
    for (guint c = 0; c < plain->n; c++)
      plain->before[c] = 1.0L / plain->n;
    plain_multiply (plain, q, 1 - (long double)step->since_cut);
    if (step->since_cut < 1)
      plain_fade (plain, plain->p, 0.5L);
    plain_multiply (plain, q, step->since_cut);
  } else if (step->cut) {
    plain_fade (plain, plain->p, kept);
    plain_multiply (plain, q, fmaxl (news - step->since_cut, 0));
    plain_fade (plain, plain->p, 0.5L);
    plain_multiply (plain, q, step->since_cut);
  } else if (plain->mixed) {
    plain_fade (plain, plain->before, kept);
    plain_multiply (plain, q, step->since_cut);
  } else if (step->elapsed > 0) {
    plain_fade (plain, plain->p, kept);
    plain_multiply (plain, q, news);
  } else {
    plain_multiply (plain, q, fminl (1, plain->weight + step->fresh));
  }
  plain->begun = TRUE;
  plain->mixed = step->since_cut < 1;
}

static void
random_cities (gdouble *cities, guint n, GRand *random)
{
  const gdouble sharpness = g_rand_double_range (random, 0, 12);
  gdouble sum = 0;

  for (guint c = 0; c < n; c++) {
    cities[c] = exp (sharpness * g_rand_double (random));
    if (g_rand_int_range (random, 0, 8) == 0)
      cities[c] = 0;
    sum += cities[c];
  }
  for (guint c = 0; c < n; c++)
    cities[c] = sum > 0 ? cities[c] / sum : 1.0 / n;
}

static void
random_step (CgTrackStep *step, GRand *random)
{
  step->elapsed = g_rand_int_range (random, 0, 5) ? g_rand_double_range (random, 0, 60) : 0;
  step->duration = WINDOW;
  step->fresh = g_rand_double (random);
  step->cut = g_rand_int_range (random, 0, 10) == 0;
  step->since_cut = g_rand_int_range (random, 0, 6) ? 1 : g_rand_double (random);
}

static void
test_brute_force (void)
{
  const guint32 seed = g_test_rand_int ();
  g_autoptr (GRand) random = g_rand_new_with_seed (seed);

  g_test_message ("seed %u", seed);
  for (guint round = 0; round < N_ROUNDS; round++) {
    Tree tree;
    CgModel model;
    random_tree (&tree, random);
    model_init (&model, &tree);
    Plain plain = { .n = tree.n[CG_CITY] };
    const gdouble memory = exp (g_rand_double_range (random, 0, 10));
    g_autoptr (CgTrack) track = cg_track_new (&model);

    for (guint window = 0; window < 60; window++) {
      gdouble cities[MAX_CITIES];
      CgTrackStep step;
      CgAnswer answer, expected;

      random_cities (cities, plain.n, random);
      random_step (&step, random);
      plain_update (&plain, cities, &step, memory);
      update (track, cities, step, memory, &answer);
      assert_sane (&answer);

      /* Every city that is told of has the plain probability; the rest follows from the tree. */
      for (guint rank = 0; rank < answer.n_top[CG_CITY]; rank++) {
        const CgPrediction *top = &answer.top[CG_CITY][rank];
        assert_near (top->probability, (gdouble)plain.p[top->index]);
      }
      for (guint c = 0; c < plain.n; c++)
        cities[c] = (gdouble)plain.p[c];
      cg_decode_cities (&model, cities, &everything, &expected);
      for (guint level = CG_CITY; level < CG_LEVELS; level++) {
        assert_near (answer.probability[level], expected.probability[level]);
        assert_near (answer.top[level][0].probability, expected.top[level][0].probability);
      }
    }
    cg_places_free (model.places);
  }
}

/* By hand: C = 4, q' = 0.99 q + 0.0025. */
static void
test_by_hand (void)
{
  CgModel model;
  CgAnswer answer;
  gdouble p[4];
  const gdouble half[] = { 0.5, 0.5, 0, 0 }, other[] = { 0.25, 0.25, 0.25, 0.25 };

  small_model (&model);
  g_autoptr (CgTrack) track = cg_track_new (&model);

  /* Given a first window, it is believed as it is, but for the floor. */
  update (track, half, first_window, MEMORY, &answer);
  distribution (&answer, p);
  assert_near (p[0], 0.4975);
  assert_near (p[1], 0.4975);
  assert_near (p[2], 0.0025);
  assert_near (answer.probability[CG_STATE], 0.995);
  assert_near (answer.probability[CG_COUNTRY], 0.9975);

  /* After memory * log 2 half of it has faded into a uniform 1/4; a window that says nothing leaves
   * it there. */
  CgTrackStep step = next_window;
  step.elapsed = MEMORY * log (2);
  update (track, other, step, MEMORY, &answer);
  distribution (&answer, p);
  assert_near (p[0], 0.5 * 0.4975 + 0.125);
  assert_near (p[3], 0.5 * 0.0025 + 0.125);

  /* A window at the same time, wholly new: p' is that same 0.37375 and 0.12625, and w = 1. */
  step = next_window;
  step.elapsed = 0;
  step.fresh = 1;
  const gdouble right[] = { 1, 0, 0, 0 };
  const gdouble sum = 0.37375 * 0.9925 + (0.37375 + 2 * 0.12625) * 0.0025;
  update (track, right, step, MEMORY, &answer);
  distribution (&answer, p);
  assert_near (p[0], 0.37375 * 0.9925 / sum);
  assert_near (p[1], 0.37375 * 0.0025 / sum);
  assert_near (p[2], 0.12625 * 0.0025 / sum);
  cg_places_free (model.places);
}

/* ---- what a user expects ---- */

/* Tests below run on the 166 cities. */
static CgModel
cityguessr68k (void)
{
  return (CgModel){ .places = (CgPlaces *)cg_places_cityguessr68k () };
}

#define N 166

/* Windows that give @city @probability, the first of them as the first of a stream. */
static gboolean
watch (CgTrack *track, guint city, gdouble probability, guint windows, gdouble memory,
       gboolean first, CgAnswer *answer)
{
  gdouble cities[N];
  gboolean stable = FALSE;

  peak (cities, N, city, probability);
  for (guint i = 0; i < windows; i++)
    stable = update (track, cities, first && i == 0 ? first_window : next_window, memory, answer);
  return stable;
}

static void
test_wrong_window (void)
{
  const CgModel model = cityguessr68k ();
  CgAnswer answer;
  gdouble wrong[N];
  g_autoptr (CgTrack) track = cg_track_new (&model);

  watch (track, 7, 0.6, 20, MEMORY, TRUE, &answer);
  peak (wrong, N, 30, 1);
  g_assert_true (update (track, wrong, next_window, MEMORY, &answer));
  g_assert_cmpuint (answer.index[CG_CITY], ==, 7);
  g_assert_cmpfloat (answer.probability[CG_CITY], >, 0.99);

  /* Not after a few of them either. */
  g_autoptr (CgTrack) young = cg_track_new (&model);
  watch (young, 7, 0.6, 4, MEMORY, TRUE, &answer);
  update (young, wrong, next_window, MEMORY, &answer);
  g_assert_cmpuint (answer.index[CG_CITY], ==, 7);
}

static void
test_weak_windows_add_up (void)
{
  /* No window is sure, and each is sure of something else besides; together they are. */
  const CgModel model = cityguessr68k ();
  CgAnswer answer;
  gdouble cities[N];
  g_autoptr (CgTrack) track = cg_track_new (&model);

  for (guint i = 0; i < 24; i++) {
    peak (cities, N, 7, 0.3);
    cities[30 + i % 8] += 0.4;
    for (guint c = 0; c < N; c++)
      cities[c] /= 1.4;
    update (track, cities, i == 0 ? first_window : next_window, MEMORY, &answer);
  }
  g_assert_cmpuint (answer.index[CG_CITY], ==, 7);
  g_assert_cmpfloat (answer.probability[CG_CITY], >, 0.9);
}

/* The number of windows of city 2 at @probability that it takes to forget 30 of city 1. */
static guint
windows_to_flip (gdouble probability, gdouble memory)
{
  const CgModel model = cityguessr68k ();
  CgAnswer answer;
  guint flipped = 0;
  g_autoptr (CgTrack) track = cg_track_new (&model);

  watch (track, 1, probability, 30, memory, TRUE, &answer);
  g_assert_cmpuint (answer.index[CG_CITY], ==, 1);
  for (guint i = 1; i <= 30; i++) {
    watch (track, 2, probability, 1, memory, FALSE, &answer);
    if (answer.index[CG_CITY] == 2 && flipped == 0)
      flipped = i;
    /* Once is enough: it does not go back. */
    g_assert_cmpuint (answer.index[CG_CITY], ==, flipped ? 2 : 1);
  }
  g_test_message ("p = %g, memory = %g s: %u windows", probability, memory, flipped);
  return flipped;
}

static void
test_journey (void)
{
  const guint flipped = windows_to_flip (0.9, MEMORY);
  g_assert_cmpuint (flipped, >, 1);
  g_assert_cmpuint (flipped, <=, 12);

  /* The shorter the memory, the sooner; and ever so long a memory gives in. */
  g_assert_cmpuint (windows_to_flip (0.9, 30), <, flipped);
  g_assert_cmpuint (windows_to_flip (0.9, 1e300), <=, 30);
  g_assert_cmpuint (windows_to_flip (0.9, 1e300), >, flipped);
}

static void
test_cut (void)
{
  /* Given a place that is as sure as can be, and a cut between two windows */
  const CgModel model = cityguessr68k ();
  CgAnswer answer;
  gdouble cities[N];
  g_autoptr (CgTrack) track = cg_track_new (&model);
  CgTrackStep step = next_window;

  g_assert_true (watch (track, 7, 1, 60, MEMORY, TRUE, &answer));
  peak (cities, N, 30, 0.6);
  step.cut = TRUE;
  step.fresh = 1;

  /* the first window after it moves the place. */
  g_assert_false (update (track, cities, step, MEMORY, &answer));
  g_assert_cmpuint (answer.index[CG_CITY], ==, 30);
  g_assert_cmpfloat (answer.probability[CG_CITY], >, 0.4);

  /* By hand: 1/2 of what was, and that was next to one. */
  g_autoptr (CgTrack) other = cg_track_new (&model);
  watch (other, 7, 1, 60, 1e300, TRUE, &answer);
  update (other, cities, step, 1e300, &answer);
  const gdouble was = 0.5 + 0.5 / N, new = 0.5 / N;
  const gdouble q = 0.99 * 0.6 + 0.01 / N, rest = 0.99 * 0.4 / (N - 1) + 0.01 / N;
  g_assert_cmpfloat_with_epsilon (answer.probability[CG_CITY],
                                  new *q / (was * rest + new *q + (N - 2) * new *rest), 1e-6);
}

static void
test_windows_across_a_cut (void)
{
  const CgModel model = cityguessr68k ();
  CgAnswer answer, alone;
  gdouble cities[N];
  g_autoptr (CgTrack) track = cg_track_new (&model);
  g_autoptr (CgTrack) other = cg_track_new (&model);
  CgTrackStep step = next_window;

  watch (track, 7, 0.9, 60, 1e300, TRUE, &answer);
  watch (other, 7, 0.9, 60, 1e300, TRUE, &answer);

  /* While windows hold both shots, the place is the old one, but not stable. */
  for (guint i = 1; i < 8; i++) {
    step.cut = i == 1;
    step.since_cut = i / 8.0;
    peak (cities, N, 7, 0.9);
    g_assert_false (update (track, cities, step, 1e300, &answer));
    assert_sane (&answer);
    g_assert_cmpuint (answer.index[CG_CITY], ==, 7);
  }

  /* And when one holds only the new shot, nothing of theirs is left: it is as if the cut had come
   * just before. */
  peak (cities, N, 30, 0.6);
  update (track, cities, next_window, 1e300, &answer);
  step = next_window;
  step.cut = TRUE;
  update (other, cities, step, 1e300, &alone);
  for (guint rank = 0; rank < CG_MAX_TOP_K; rank++)
    assert_near (answer.top[CG_CITY][rank].probability, alone.top[CG_CITY][rank].probability);
  g_assert_cmpuint (answer.index[CG_CITY], ==, 30);
}

/* A montage of one town: every window has cuts, and yet the town is told of. */
static void
test_many_cuts (void)
{
  const CgModel model = cityguessr68k ();
  CgAnswer answer;
  gdouble cities[N];
  g_autoptr (CgTrack) track = cg_track_new (&model);
  CgTrackStep step = { HOP, WINDOW, 0.125, TRUE, 1.0 / 16 };

  peak (cities, N, 7, 0.7);
  for (guint i = 0; i < 50; i++) {
    step.since_cut = (1 + i % 2) / 16.0;
    g_assert_false (update (track, cities, step, MEMORY, &answer));
    g_assert_cmpuint (answer.top[CG_CITY][0].index, ==, 7);
    g_assert_cmpfloat (answer.top[CG_CITY][0].probability, >,
                       10 * answer.top[CG_CITY][1].probability);
  }
}

/* A first window with a cut in it is no reason to know nothing. */
static void
test_cut_in_the_first_window (void)
{
  const CgModel model = cityguessr68k ();
  gdouble cities[N];
  CgTrackStep step = first_window;

  peak (cities, N, 7, 0.9);
  for (guint i = 0; i <= 16; i++) {
    CgAnswer answer;
    g_autoptr (CgTrack) track = cg_track_new (&model);
    step.since_cut = i / 16.0;
    step.cut = i < 16;
    g_assert_false (update (track, cities, step, MEMORY, &answer));
    g_test_message ("%u of 16 since the cut: %g", i, answer.probability[CG_CITY]);
    g_assert_cmpuint (answer.index[CG_CITY], ==, 7);
    g_assert_cmpfloat (answer.probability[CG_CITY], >, 0.4);
  }
}

static void
test_early_windows (void)
{
  /* Given early windows of one stretch, each from its beginning and twice as long as the one before */
  const CgModel model = cityguessr68k ();
  CgAnswer answer, alone;
  gdouble cities[N];
  g_autoptr (CgTrack) track = cg_track_new (&model);
  g_autoptr (CgTrack) other = cg_track_new (&model);
  CgTrackStep step = first_window;

  step.duration = WINDOW / 32;
  for (guint i = 0; i < 5; i++) {
    peak (cities, N, i, 0.99);
    g_assert_false (update (track, cities, step, MEMORY, &answer));
    g_assert_cmpuint (answer.index[CG_CITY], ==, i);
    step.fresh = 0.5;
    step.duration *= 2;
  }

  /* the full one stands for them all, */
  peak (cities, N, 30, 0.6);
  update (track, cities, step, MEMORY, &answer);
  update (other, cities, first_window, MEMORY, &alone);
  g_assert_cmpmem (&answer, sizeof answer, &alone, sizeof alone);

  /* and the same one once more changes nothing. */
  step.fresh = 0;
  update (track, cities, step, MEMORY, &answer);
  g_assert_cmpmem (&answer, sizeof answer, &alone, sizeof alone);
}

static void
test_no_memory (void)
{
  const CgModel model = cityguessr68k ();
  g_autoptr (CgTrack) track = cg_track_new (&model);
  g_autoptr (GRand) random = g_rand_new_with_seed (5);

  for (guint i = 0; i < 50; i++) {
    gdouble cities[N];
    CgAnswer answer, alone;
    CgTrackStep step;

    random_cities (cities, N, random);
    random_step (&step, random);
    update (track, cities, step, 0, &answer);
    cg_decode_cities (&model, cities, &everything, &alone);
    for (guint level = CG_CITY; level < CG_LEVELS; level++) {
      g_assert_cmpuint (answer.index[level], ==, alone.index[level]);
      g_assert_cmpfloat_with_epsilon (answer.probability[level], alone.probability[level], 1e-14);
    }
    g_assert_cmpfloat (answer.horizontal_error, ==, alone.horizontal_error);
  }
}

static void
test_forget (void)
{
  const CgModel model = cityguessr68k ();
  CgAnswer answer, fresh;
  gdouble cities[N];
  g_autoptr (CgTrack) track = cg_track_new (&model);
  g_autoptr (CgTrack) other = cg_track_new (&model);

  g_assert_true (watch (track, 7, 0.9, 60, MEMORY, TRUE, &answer));
  cg_track_forget (track);
  peak (cities, N, 30, 0.6);
  /* What does not hold of a first window is not read. */
  CgTrackStep step = { NAN, WINDOW, 0, TRUE, 1 };
  g_assert_false (update (track, cities, step, MEMORY, &answer));
  g_assert_false (update (other, cities, first_window, MEMORY, &fresh));
  g_assert_cmpmem (&answer, sizeof answer, &fresh, sizeof fresh);
}

static void
test_zero_probability (void)
{
  /* Given hours of a city, every other one being impossible */
  const CgModel model = cityguessr68k ();
  CgAnswer answer;
  g_autoptr (CgTrack) track = cg_track_new (&model);
  const gdouble memories[] = { 1e-3, 1, MEMORY, 1e9, INFINITY };

  for (guint i = 0; i < G_N_ELEMENTS (memories); i++) {
    cg_track_forget (track);
    watch (track, 7, 1, 5000, memories[i], TRUE, &answer);
    g_assert_cmpuint (answer.index[CG_CITY], ==, 7);
    assert_sane (&answer);

    /* another comes up within thirty windows. */
    watch (track, 30, 1, 30, memories[i], FALSE, &answer);
    g_assert_cmpuint (answer.index[CG_CITY], ==, 30);
    assert_sane (&answer);
  }
}

static void
test_withheld (void)
{
  CgModel model;
  CgAnswer answer;
  const CgDecodeOptions options = { CG_DECODING_INDEPENDENT, 1, 0.7 };
  const gdouble cities[] = { 0.5, 0.3, 0.1, 0.1 }, flat[] = { 0.25, 0.25, 0.25, 0.25 };

  /* State 0 is sure enough, city 0 is not. Then nothing is. */
  small_model (&model);
  g_autoptr (CgTrack) track = cg_track_new (&model);
  cg_track_update (track, cities, &first_window, MEMORY, &options, &answer);
  g_assert_cmpuint (answer.finest, ==, CG_STATE);
  g_assert_cmpuint (answer.index[CG_STATE], ==, 0);
  g_assert_cmpuint (answer.n_top[CG_CITY], ==, 1);

  cg_track_forget (track);
  const CgDecodeOptions strict = { CG_DECODING_MARGINAL, 0, 0.8 };
  g_assert_false (cg_track_update (track, flat, &first_window, MEMORY, &strict, &answer));
  g_assert_cmpuint (answer.finest, ==, CG_LEVELS);
  g_assert_cmpuint (answer.n_top[CG_CITY], ==, 0);
  cg_places_free (model.places);
}

/* ---- stable ---- */

static void
test_stable_after_a_window (void)
{
  const CgModel model = cityguessr68k ();
  g_autoptr (CgTrack) track = cg_track_new (&model);

  /* 21.03 s are seven hops and a bit: the ninth window is the first that shares no sample with the
   * first. */
  for (guint i = 1; i <= 20; i++) {
    CgAnswer answer;
    g_assert_cmpint (watch (track, 7, 0.99, 1, MEMORY, i == 1, &answer), ==, i >= 9);
  }
}

static void
test_stable_rounding (void)
{
  /* Windows that begin where the one before ends: the second is a whole window later, but for
   * rounding. */
  const CgModel model = cityguessr68k ();
  g_autoptr (CgTrack) track = cg_track_new (&model);
  CgTrackStep step = { 0.7 - 1e-9, 0.7, 1, FALSE, 1 };
  gdouble cities[N];
  CgAnswer answer;

  peak (cities, N, 7, 0.9);
  g_assert_false (update (track, cities, first_window, MEMORY, &answer));
  g_assert_true (update (track, cities, step, MEMORY, &answer));

  /* One picture, of no known duration, is no confirmation of itself. */
  cg_track_forget (track);
  step.elapsed = step.duration = 0;
  g_assert_false (update (track, cities, first_window, MEMORY, &answer));
  g_assert_false (update (track, cities, step, MEMORY, &answer));
}

static void
test_stable_does_not_flicker (void)
{
  /* Each window by itself (memory 0), so that the probability is what is given. */
  static const struct {
    guint city;
    gdouble probability;
    gboolean stable;
  } steps[] = {
    { 7, 0.9, FALSE },  { 7, 0.7, FALSE },  { 7, 0.74, FALSE }, { 7, 0.76, TRUE },
    { 7, 0.6, TRUE },   { 7, 0.74, TRUE },  { 7, 0.51, TRUE },  { 7, 0.49, FALSE },
    { 7, 0.74, FALSE }, { 7, 0.76, TRUE },  { 8, 0.99, FALSE }, { 8, 0.99, TRUE },
    { 7, 0.99, FALSE }, { 8, 0.99, FALSE },
  };
  const CgModel model = cityguessr68k ();
  g_autoptr (CgTrack) track = cg_track_new (&model);
  CgTrackStep step = { WINDOW, WINDOW, 1, FALSE, 1 };

  for (guint i = 0; i < G_N_ELEMENTS (steps); i++) {
    gdouble cities[N];
    CgAnswer answer;
    peak (cities, N, steps[i].city, steps[i].probability);
    g_test_message ("step %u: city %u, %g", i, steps[i].city, steps[i].probability);
    g_assert_cmpint (update (track, cities, step, 0, &answer), ==, steps[i].stable);
  }
}

static void
test_stable_and_withheld (void)
{
  CgModel model;
  CgAnswer answer;
  const CgDecodeOptions options = { CG_DECODING_MARGINAL, 1, 0.6 };
  const CgTrackStep step = { WINDOW, WINDOW, 1, FALSE, 1 };
  const gdouble city[] = { 0.9, 0.1, 0, 0 }, state[] = { 0.5, 0.5, 0, 0 },
                none[] = { 0.25, 0.25, 0, 0.5 };
  small_model (&model);
  g_autoptr (CgTrack) track = cg_track_new (&model);

  /* The city is withheld, its state is given: that is another place, stable when it has stayed. */
  g_assert_false (cg_track_update (track, city, &step, 0, &options, &answer));
  g_assert_true (cg_track_update (track, city, &step, 0, &options, &answer));
  g_assert_false (cg_track_update (track, state, &step, 0, &options, &answer));
  g_assert_cmpuint (answer.finest, ==, CG_STATE);
  g_assert_true (cg_track_update (track, state, &step, 0, &options, &answer));

  /* Nothing is never stable. */
  for (guint i = 0; i < 3; i++) {
    g_assert_false (cg_track_update (track, none, &step, 0, &options, &answer));
    g_assert_cmpuint (answer.finest, ==, CG_LEVELS);
  }
  g_assert_false (cg_track_update (track, state, &step, 0, &options, &answer));
  cg_places_free (model.places);
}

static void
test_stable_and_cut (void)
{
  /* A false alarm: the place stays the same, and is stable again a window later. */
  const CgModel model = cityguessr68k ();
  CgAnswer answer;
  gdouble cities[N];
  g_autoptr (CgTrack) track = cg_track_new (&model);
  CgTrackStep step = next_window;

  g_assert_true (watch (track, 7, 0.9, 30, MEMORY, TRUE, &answer));
  peak (cities, N, 7, 0.9);
  for (guint i = 1; i <= 20; i++) {
    step.cut = i == 1;
    step.since_cut = MIN (i / 8.0, 1);
    g_assert_cmpint (update (track, cities, step, MEMORY, &answer), ==, i >= 9);
    g_assert_cmpuint (answer.index[CG_CITY], ==, 7);
  }
}

/* ---- the edges ---- */

static void
test_odd_steps (void)
{
  static const gdouble odd[] = { 0, -1, -INFINITY, NAN, INFINITY, 1e300, G_MAXDOUBLE, 1e-320 };
  const CgModel model = cityguessr68k ();
  CgAnswer answer;
  gdouble cities[N];

  peak (cities, N, 30, 0.9);
  for (guint i = 0; i < G_N_ELEMENTS (odd); i++) {
    for (guint field = 0; field < 5; field++) {
      g_autoptr (CgTrack) track = cg_track_new (&model);
      CgTrackStep step = next_window;
      gdouble memory = MEMORY;

      g_test_message ("%g in field %u", odd[i], field);
      watch (track, 7, 0.9, 10, MEMORY, TRUE, &answer);
      *(gdouble *[]){ &step.elapsed, &step.duration, &step.fresh, &step.since_cut,
                      &memory }[field] = odd[i];
      for (guint k = 0; k < 3; k++) {
        update (track, cities, step, memory, &answer);
        assert_sane (&answer);
      }
      /* It gets over it. */
      watch (track, 30, 0.9, 30, MEMORY, FALSE, &answer);
      g_assert_cmpuint (answer.index[CG_CITY], ==, 30);
      assert_sane (&answer);
    }
  }

  /* Time that runs backwards is time that stands still; an age is a new start. */
  g_autoptr (CgTrack) track = cg_track_new (&model);
  CgTrackStep step = next_window;
  watch (track, 7, 0.9, 10, MEMORY, TRUE, &answer);
  step.elapsed = -5;
  step.fresh = 0;
  watch (track, 7, 0.9, 1, MEMORY, FALSE, &answer);
  const gdouble sure = answer.probability[CG_CITY];
  peak (cities, N, 7, 0.9);
  update (track, cities, step, MEMORY, &answer);
  assert_near (answer.probability[CG_CITY], sure);
  step.elapsed = 1e12;
  step.fresh = 1;
  update (track, cities, step, MEMORY, &answer);
  assert_near (answer.probability[CG_CITY], 0.99 * 0.9 + 0.01 / N);
}

static void
test_odd_cities (void)
{
  static const gdouble odd[] = { NAN, INFINITY, -INFINITY, -1, 1e-320 };
  const CgModel model = cityguessr68k ();
  const gdouble memories[] = { 0, MEMORY };

  for (guint m = 0; m < G_N_ELEMENTS (memories); m++) {
    for (guint i = 0; i < G_N_ELEMENTS (odd); i++) {
      g_autoptr (CgTrack) track = cg_track_new (&model);
      gdouble cities[N];
      CgAnswer answer;

      watch (track, 7, 0.9, 10, memories[m], TRUE, &answer);
      /* One such number is as none, */
      peak (cities, N, 7, 0.9);
      cities[30] = odd[i];
      update (track, cities, next_window, memories[m], &answer);
      assert_sane (&answer);
      g_assert_cmpuint (answer.index[CG_CITY], ==, 7);
      /* a window of nothing else says nothing. */
      for (guint c = 0; c < N; c++)
        cities[c] = odd[i];
      update (track, cities, next_window, memories[m], &answer);
      assert_sane (&answer);
      if (memories[m] > 0)
        g_assert_cmpuint (answer.index[CG_CITY], ==, 7);
      else
        assert_near (answer.probability[CG_CITY], 1.0 / N);
    }
  }

  /* Huge ones are normalised too. */
  g_autoptr (CgTrack) track = cg_track_new (&model);
  gdouble cities[N];
  CgAnswer answer;
  for (guint c = 0; c < N; c++)
    cities[c] = G_MAXDOUBLE;
  update (track, cities, first_window, 0, &answer);
  assert_near (answer.probability[CG_CITY], 1.0 / N);
}

/* The order of the labels is no matter. */
static void
test_order (void)
{
  const guint32 seed = g_test_rand_int ();
  g_autoptr (GRand) random = g_rand_new_with_seed (seed);

  g_test_message ("seed %u", seed);
  for (guint round = 0; round < N_ROUNDS / 4; round++) {
    Tree tree, shuffled;
    CgModel models[2];
    random_tree (&tree, random);
    shuffled = tree;
    const guint n = tree.n[CG_CITY];
    for (guint i = n - 1; i > 0; i--) {
      const guint j = g_rand_int_range (random, 0, i + 1), city = shuffled.order[i];
      shuffled.order[i] = shuffled.order[j];
      shuffled.order[j] = city;
    }
    model_init (&models[0], &tree);
    model_init (&models[1], &shuffled);
    g_autoptr (CgTrack) one = cg_track_new (&models[0]);
    g_autoptr (CgTrack) other = cg_track_new (&models[1]);

    for (guint window = 0; window < 20; window++) {
      gdouble cities[MAX_CITIES], moved[MAX_CITIES], p[MAX_CITIES] = { 0 }, q[MAX_CITIES] = { 0 };
      CgTrackStep step;
      CgAnswer a, b;

      random_cities (cities, n, random);
      for (guint i = 0; i < n; i++)
        moved[i] = cities[shuffled.order[i]];
      random_step (&step, random);
      g_assert_cmpint (update (one, cities, step, MEMORY, &a), ==,
                       update (other, moved, step, MEMORY, &b));
      distribution (&a, p);
      distribution (&b, q);
      for (guint i = 0; i < n && n <= CG_MAX_TOP_K; i++)
        assert_near (q[i], p[shuffled.order[i]]);
      for (guint level = CG_STATE; level < CG_LEVELS; level++)
        assert_near (a.top[level][0].probability, b.top[level][0].probability);
    }
    cg_places_free (models[0].places);
    cg_places_free (models[1].places);
  }
}

/* A window that is sure of a city never makes it less likely; one that says nothing changes nothing
 * but by fading. */
static void
test_properties (void)
{
  const guint32 seed = g_test_rand_int ();
  g_autoptr (GRand) random = g_rand_new_with_seed (seed);

  g_test_message ("seed %u", seed);
  for (guint round = 0; round < N_ROUNDS; round++) {
    const CgModel model = cityguessr68k ();
    g_autoptr (CgTrack) track = cg_track_new (&model);
    const gdouble memory = exp (g_rand_double_range (random, -3, 20));
    gdouble cities[N];
    CgTrackStep step = next_window;
    CgAnswer before, after;

    for (guint window = 0; window < 10; window++) {
      random_cities (cities, N, random);
      random_step (&step, random);
      update (track, cities, step, memory, &before);
      assert_sane (&before);
    }
    step = next_window;
    step.elapsed = 1e-9;
    for (guint c = 0; c < N; c++)
      cities[c] = 1.0 / N;
    /* After a window across a cut, the next is a new start: one more to settle. */
    update (track, cities, step, memory, &before);
    update (track, cities, step, memory, &after);
    g_assert_cmpuint (after.index[CG_CITY], ==, before.index[CG_CITY]);
    g_assert_cmpfloat_with_epsilon (after.probability[CG_CITY], before.probability[CG_CITY], 1e-6);

    step.fresh = g_rand_double (random);
    peak (cities, N, after.index[CG_CITY], g_rand_double_range (random, 0.01, 1));
    before = after;
    update (track, cities, step, memory, &after);
    g_assert_cmpuint (after.index[CG_CITY], ==, before.index[CG_CITY]);
    g_assert_cmpfloat (after.probability[CG_CITY], >=, before.probability[CG_CITY] - 1e-6);
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/track/brute-force", test_brute_force);
  g_test_add_func ("/track/by-hand", test_by_hand);
  g_test_add_func ("/track/wrong-window", test_wrong_window);
  g_test_add_func ("/track/weak-windows-add-up", test_weak_windows_add_up);
  g_test_add_func ("/track/journey", test_journey);
  g_test_add_func ("/track/cut", test_cut);
  g_test_add_func ("/track/windows-across-a-cut", test_windows_across_a_cut);
  g_test_add_func ("/track/many-cuts", test_many_cuts);
  g_test_add_func ("/track/cut-in-the-first-window", test_cut_in_the_first_window);
  g_test_add_func ("/track/early-windows", test_early_windows);
  g_test_add_func ("/track/no-memory", test_no_memory);
  g_test_add_func ("/track/forget", test_forget);
  g_test_add_func ("/track/zero-probability", test_zero_probability);
  g_test_add_func ("/track/withheld", test_withheld);
  g_test_add_func ("/track/stable/after-a-window", test_stable_after_a_window);
  g_test_add_func ("/track/stable/rounding", test_stable_rounding);
  g_test_add_func ("/track/stable/does-not-flicker", test_stable_does_not_flicker);
  g_test_add_func ("/track/stable/withheld", test_stable_and_withheld);
  g_test_add_func ("/track/stable/cut", test_stable_and_cut);
  g_test_add_func ("/track/odd-steps", test_odd_steps);
  g_test_add_func ("/track/odd-cities", test_odd_cities);
  g_test_add_func ("/track/order", test_order);
  g_test_add_func ("/track/properties", test_properties);
  return g_test_run ();
}
