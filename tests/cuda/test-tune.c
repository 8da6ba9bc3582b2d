/* The autotuner alone, with candidates that take as long as they are told to.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

#include "cuda/tune.h"
#include "fake/engine.h"
#include "fake/private.h"

#define WAYS 3

/* A candidate: proposal @index of provider @provider.
 * @first, @later: microseconds of the first @cold runs, and of every other
 * @refused: with which status it can't be had; @fails: with which its runs end */
typedef struct {
  guint first, later, cold;
  CgCudaStatus refused, fails;
  guint made, runs, freed;
} Way;

/* [provider - 1][index] */
typedef struct {
  const CgCudaDevice *device;
  Way ways[3][WAYS];
} Shape;

static CgCudaDevice device;

static void *
make (void *data, CgCudaChoice choice, CgCudaError *error)
{
  Shape *shape = data;
  Way *way = &shape->ways[choice.provider - 1][choice.index];

  if (way->refused) {
    cg_cuda_fail (error, way->refused, "refused");
    return NULL;
  }
  way->made++;
  return way;
}

static void
pass_time (void *data)
{
  Way *way = data;

  cg_fake_tick (way->runs++ < way->cold ? way->first : way->later);
}

static bool
run (void *data, void *plan, CgCudaError *error)
{
  const Shape *shape = data;
  Way *way = plan;

  if (way->fails)
    return cg_cuda_fail (error, way->fails, "failed");
  return cg_cuda_check (cg_fake_launch (shape->device->stream, "way", pass_time, way, NULL), "run",
                        error);
}

static void
free_way (void *plan)
{
  ((Way *)plan)->freed++;
}

static Shape
shape_of (guint a, guint b, guint c)
{
  return (Shape){ &device, { { { a, a }, { b, b }, { c, c } } } };
}

static CgCudaCandidates
candidates_of (Shape *shape, const char *name)
{
  return (CgCudaCandidates){ .name = name,
                             .providers = { { CG_CUDA_PROVIDER_LT, WAYS } },
                             .make = make,
                             .run = run,
                             .free = free_way,
                             .data = shape };
}

/* The proposal that is chosen, counted through all providers; all others that were made are freed. */
static gint
choose_from (CgCudaTuner *tuner, Shape *shape, const CgCudaCandidates *candidates,
             CgCudaStatus expected)
{
  CgCudaError error = { 0 };
  Way *way = cg_cuda_tuner_choose (tuner, candidates, &error);

  g_assert_cmpint (error.status, ==, way ? CG_CUDA_OK : expected);
  for (Way *other = &shape->ways[0][0]; other < &shape->ways[0][0] + 3 * WAYS; other++)
    g_assert_cmpuint (other->freed + (other == way), ==, other->made);
  if (!way)
    return -1;
  way->freed++;
  return (gint)(way - &shape->ways[0][0]);
}

static gint
choose (CgCudaTuner *tuner, Shape *shape, const char *name)
{
  const CgCudaCandidates candidates = candidates_of (shape, name);

  return choose_from (tuner, shape, &candidates, CG_CUDA_UNSUPPORTED);
}

static guint
total_runs (const Shape *shape)
{
  guint n = 0;

  for (guint p = 0; p < 3; p++)
    for (guint i = 0; i < WAYS; i++)
      n += shape->ways[p][i].runs;
  return n;
}

/* ---- what is chosen ---- */

static void
test_fastest (void)
{
  CgCudaTuner *tuner = cg_cuda_tuner_new (&device, NULL, true);
  Shape middle = shape_of (50, 30, 40), last = shape_of (50, 40, 30), alike = shape_of (9, 9, 9);
  Shape cold = shape_of (40, 50, 60);

  g_assert_cmpint (choose (tuner, &middle, "middle"), ==, 1);
  g_assert_cmpint (choose (tuner, &last, "last"), ==, 2);
  g_assert_cmpint (choose (tuner, &alike, "alike"), ==, 0);

  /* The first times do not count: a library may load its code then, and clocks may still be low. */
  for (guint runs = 1; runs < 16; runs += 7) {
    g_autofree char *name = g_strdup_printf ("cold for %u", runs);
    cold.ways[0][2] = (Way){ 5000, 20, runs };
    g_assert_cmpint (choose (tuner, &cold, name), ==, 2);
  }

  /* What was found out is remembered, also without a file. */
  const guint runs = total_runs (&middle);
  g_assert_cmpuint (runs, >, 3 * WAYS);
  g_assert_cmpint (choose (tuner, &middle, "middle"), ==, 1);
  g_assert_cmpuint (total_runs (&middle), ==, runs);
  cg_cuda_tuner_free (tuner);
}

static void
test_without_times (void)
{
  CgCudaTuner *tuner = cg_cuda_tuner_new (&device, "/nonexistent/file", false);
  Shape shape = shape_of (50, 30, 40);

  g_assert_cmpint (choose (tuner, &shape, "first"), ==, 0);
  shape.ways[0][0].refused = CG_CUDA_UNSUPPORTED;
  g_assert_cmpint (choose (tuner, &shape, "second"), ==, 1);
  g_assert_cmpuint (total_runs (&shape), ==, 0);
  g_assert_cmpuint (shape.ways[0][2].made, ==, 0);
  cg_cuda_tuner_save (tuner);
  cg_cuda_tuner_free (tuner);
  cg_cuda_tuner_free (NULL);
}

static void
test_providers (void)
{
  CgCudaTuner *tuner = cg_cuda_tuner_new (&device, NULL, true);

  for (guint last_resort = 0; last_resort < 2; last_resort++) {
    Shape shape = shape_of (50, 60, 70);
    CgCudaCandidates candidates = candidates_of (&shape, "alike");
    g_autofree char *name = g_strdup_printf ("providers %u", last_resort);

    candidates.name = name;
    candidates.last_resort = last_resort;
    candidates.providers[1].provider = CG_CUDA_PROVIDER_DNN;
    candidates.providers[1].proposals = 2;
    shape.ways[1][0] = (Way){ 20, 20 };
    shape.ways[1][1] = (Way){ 10, 10 };
    shape.ways[1][2] = (Way){ 1, 1 }; /* which is not among them */
    g_assert_cmpint (choose_from (tuner, &shape, &candidates, CG_CUDA_OK), ==,
                     last_resort ? 0 : WAYS + 1);
    g_assert_cmpuint (shape.ways[1][0].made, ==, !last_resort);
    g_assert_cmpuint (shape.ways[1][2].made, ==, 0);

    /* Where those before it can't, the last resort is asked. */
    candidates.name = "refused";
    for (guint i = 0; i < WAYS; i++)
      shape.ways[0][i].refused = CG_CUDA_UNSUPPORTED;
    g_assert_cmpint (choose_from (tuner, &shape, &candidates, CG_CUDA_OK), ==, WAYS + 1);
  }
  cg_cuda_tuner_free (tuner);
}

/* Given ways that cannot be had or run, another is taken; but what the others would meet too ends it. */
static void
test_failures (void)
{
  static const struct {
    CgCudaStatus status;
    gboolean hopeless;
  } ends[] = { { CG_CUDA_UNSUPPORTED, FALSE },
               { CG_CUDA_COMPUTE, FALSE },
               { CG_CUDA_MEMORY, TRUE },
               { CG_CUDA_LOST, TRUE } };

  for (guint i = 0; i < G_N_ELEMENTS (ends); i++)
    for (guint running = 0; running < 2; running++) {
      CgCudaTuner *tuner = cg_cuda_tuner_new (&device, NULL, true);
      Shape shape = shape_of (50, 30, 40);
      Way *way = &shape.ways[0][1];

      *(running ? &way->fails : &way->refused) = ends[i].status;
      CgCudaCandidates candidates = candidates_of (&shape, "shape");
      g_assert_cmpint (choose_from (tuner, &shape, &candidates, ends[i].status), ==,
                       ends[i].hopeless ? -1 : 2);
      g_assert_cmpuint (shape.ways[0][2].made, ==, !ends[i].hopeless);
      for (guint k = 0; k < WAYS; k++)
        *(running ? &shape.ways[0][k].fails : &shape.ways[0][k].refused) = ends[i].status;
      candidates.name = "none";
      g_assert_cmpint (choose_from (tuner, &shape, &candidates, ends[i].status), ==, -1);
      cg_cuda_tuner_free (tuner);
    }
}

/* Each call fails once while three ways are timed: another is taken, or none, and nothing is left. */
static void
test_calls_fail (void)
{
  gboolean struck = TRUE;

  for (guint64 at = 1; struck; at++) {
    CgCudaTuner *tuner = cg_cuda_tuner_new (&device, NULL, true);
    Shape shape = shape_of (50, 30, 40);
    CgCudaCandidates candidates = candidates_of (&shape, "shape");
    CgCudaError error = { 0 };

    cg_fake_settings.fail_at = cg_fake_calls () + at;
    Way *way = cg_cuda_tuner_choose (tuner, &candidates, &error);
    struck = cg_fake_fail_name () != NULL;
    cg_fake_settings.fail_at = 0;
    if (!way)
      g_assert_cmpstr (error.message, !=, "");
    if (!struck)
      g_assert_true (way == &shape.ways[0][1]);
    for (guint i = 0; i < WAYS; i++)
      g_assert_cmpuint (shape.ways[0][i].freed + (way == &shape.ways[0][i]), ==,
                        shape.ways[0][i].made);
    cg_cuda_tuner_free (tuner);
    cg_cuda_device_close (&device);
    cg_fake_expect_clean ();
    g_assert_true (cg_cuda_device_open (&device, 0, NULL, &error));
  }
}

/* ---- the file ---- */

static char *folder, *file;

/* A tuner with what is in the file. */
static CgCudaTuner *
tuner_with_file (void)
{
  CgCudaTuner *tuner = cg_cuda_tuner_new (&device, file, true);

  g_assert_nonnull (tuner);
  return tuner;
}

/* Chooses for @shape; whether it was timed. */
static gboolean
is_timed (Shape *shape, const char *name, gint expected)
{
  CgCudaTuner *tuner = tuner_with_file ();
  const guint before = total_runs (shape);

  g_assert_cmpint (choose (tuner, shape, name), ==, expected);
  cg_cuda_tuner_save (tuner);
  cg_cuda_tuner_free (tuner);
  return total_runs (shape) > before;
}

static char *
contents (gsize *length)
{
  char *text;

  g_assert_true (g_file_get_contents (file, &text, length, NULL));
  return text;
}

static void
write_file (const char *text, gssize length)
{
  g_assert_true (g_file_set_contents (file, text, length, NULL));
  g_assert_cmpint (g_chmod (file, 0600), ==, 0);
}

static guint
lines_of (const char *text)
{
  g_auto (GStrv) lines = g_strsplit (text, "\n", -1);

  return g_strv_length (lines) - 1;
}

static void
test_file (void)
{
  Shape a = shape_of (50, 30, 40), b = shape_of (20, 30, 40);
  gsize length;

  /* Given two shapes that were timed, with a line for each, none is timed again, */
  g_unlink (file);
  g_assert_true (is_timed (&a, "a", 1));
  g_assert_true (is_timed (&b, "a b", 0));
  g_autofree char *before = contents (NULL);
  g_assert_cmpuint (lines_of (before), ==, 2);
  g_assert_false (is_timed (&a, "a", 1));
  g_assert_false (is_timed (&b, "a b", 0));

  /* but on another device; */
  const unsigned sm = device.sm;
  device.sm++;
  g_assert_true (is_timed (&a, "a", 1));
  device.sm = sm;

  /* a choice that can't be had any more is followed by another, which is the one that counts then; */
  a.ways[0][1].refused = CG_CUDA_UNSUPPORTED;
  g_assert_true (is_timed (&a, "a", 2));
  a.ways[0][1].refused = CG_CUDA_OK;
  g_assert_false (is_timed (&a, "a", 2));
  g_autofree char *after = contents (&length);
  g_assert_cmpuint (lines_of (after), ==, 4);
  g_assert_true (g_str_has_prefix (after, before));

  /* and there is nothing beside the file. */
  g_autoptr (GDir) entries = g_dir_open (folder, 0, NULL);
  g_assert_cmpstr (g_dir_read_name (entries), ==, "tuning");
  g_assert_null (g_dir_read_name (entries));
}

/* Given lines that this version did not write, the shape is timed again. */
static void
test_lines (void)
{
  static const char *const bad[] = { "2 0", "3 0", "0 0",   "1 3",  "1 99", "1 -1",
                                     "1",   "",    "1 2 3", "1 2 ", "10 2", "x 2" };
  Shape shape = shape_of (50, 30, 40);

  g_unlink (file);
  g_assert_true (is_timed (&shape, "shape", 1));
  g_autofree char *right = contents (NULL);
  g_assert_true (g_str_has_suffix (right, "\t1 1\n"));
  for (guint i = 0; i < G_N_ELEMENTS (bad); i++) {
    g_autofree char *line = g_strdup_printf ("%.*s%s\n", (gint)strlen (right) - 4, right, bad[i]);
    write_file (line, -1);
    g_assert_true (is_timed (&shape, "shape", 1));
  }
  g_autofree char *other = g_strdup_printf ("%.*s1 2\n", (gint)strlen (right) - 4, right);
  write_file (other, -1);
  g_assert_false (is_timed (&shape, "shape", 2));

  /* The last of several is taken, and what comes after it does not matter. */
  g_autofree char *several = g_strdup_printf ("%s%s%s\nother\n", other, right, "\n");
  write_file (several, -1);
  g_assert_false (is_timed (&shape, "shape", 1));
}

/* Given a file that is not what a tuner leaves, it is not read. */
static void
test_not_read (void)
{
  Shape shape = shape_of (50, 30, 40);
  g_autofree char *link = g_strconcat (file, "-link", NULL);
  gsize length;

  g_unlink (file);
  g_assert_true (is_timed (&shape, "shape", 1));
  g_autofree char *right = contents (&length);
  for (guint kind = 0; kind < 6; kind++) {
    g_autofree char *text = g_malloc0 (length + (1 << 20));
    gsize n = length;

    memcpy (text, right, length);
    if (kind == 1) /* cut off */
      n--;
    else if (kind == 2) /* with a NUL behind the line */
      text[n++] = '\0', text[n++] = '\n';
    else if (kind == 3) { /* too large, all of it lines */
      memset (text + n, '\n', 1 << 20);
      n += 1 << 20;
    }
    write_file (text, (gssize)n);
    if (kind > 3) /* others may write to it */
      g_assert_cmpint (g_chmod (file, kind == 4 ? 0620 : 0602), ==, 0);
    g_assert_cmpint (is_timed (&shape, "shape", 1), ==, kind > 0);
  }

  write_file (right, -1);
  g_assert_cmpint (g_rename (file, link), ==, 0);
  g_assert_cmpint (symlink (link, file), ==, 0);
  g_assert_true (is_timed (&shape, "shape", 1));
  /* It was replaced, not written through. */
  g_assert_false (g_file_test (file, G_FILE_TEST_IS_SYMLINK));
  g_unlink (link);

  /* A name that is too long is timed each time, and never written. */
  g_autofree char *name = g_strnfill (600, 'n');
  g_assert_true (is_timed (&shape, name, 1));
  g_assert_true (is_timed (&shape, name, 1));
  g_autofree char *after = contents (NULL);
  g_assert_cmpstr (after, ==, right);

  /* One that is full makes room for a new one, so that it never grows larger than it would be read. */
  g_autofree char *full = g_strnfill ((1 << 20) - 10, 'x');
  full[(1 << 20) - 11] = '\n';
  write_file (full, -1);
  g_assert_true (is_timed (&shape, "shape", 1));
  g_autofree char *fresh = contents (&length);
  g_assert_cmpstr (fresh, ==, right);
  g_unlink (file);
}

int
main (int argc, char **argv)
{
  CgCudaError error = { 0 };

  g_test_init (&argc, &argv, NULL);
  folder = g_dir_make_tmp ("cityguessr-test-XXXXXX", NULL);
  file = g_build_filename (folder, "tuning", NULL);
  if (!cg_cuda_device_open (&device, 0, NULL, &error))
    g_error ("%s", error.message);
  g_test_add_func ("/cuda/tune/fastest", test_fastest);
  g_test_add_func ("/cuda/tune/without-times", test_without_times);
  g_test_add_func ("/cuda/tune/providers", test_providers);
  g_test_add_func ("/cuda/tune/failures", test_failures);
  g_test_add_func ("/cuda/tune/calls", test_calls_fail);
  g_test_add_func ("/cuda/tune/file", test_file);
  g_test_add_func ("/cuda/tune/lines", test_lines);
  g_test_add_func ("/cuda/tune/not-read", test_not_read);
  const int result = g_test_run ();
  cg_cuda_device_close (&device);
  cg_fake_expect_clean ();
  g_unlink (file);
  g_rmdir (folder);
  g_free (file);
  g_free (folder);
  return result;
}
