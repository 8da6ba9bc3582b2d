/* The CPU engine against the plain reference and against PyTorch, on every instruction set that
 * this CPU runs.
 *
 * Bounds are relative L2 distances |a - b| / |b|: 1e-5 for fp32, 1e-2 for bf16, unless said
 * otherwise.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "model/cpu/cpu.h"
#include "model/cpu/isa.h"
#include "model/generate.h"
#include "model/reference.h"

#define FP32_BOUND 1e-5
#define BF16_BOUND 1e-2
#define SEED 1

/* ---- an open engine with generated weights ---- */

typedef struct {
  CgModel *model;
  CgNetwork *network;
  gpointer engine;
  gpointer samples[CG_MAX_FRAMES];
} Fixture;

static void
open_engine (Fixture *f, const CgEngineOptions *options)
{
  g_autoptr (GError) error = NULL;

  f->engine = cg_backend_cpu ()->open (f->model, f->network, options, &error);
  g_assert_no_error (error);
  for (guint i = 0; i < f->model->geometry.frames; i++) {
    f->samples[i] = cg_backend_cpu ()->sample_new (f->engine, &error);
    g_assert_no_error (error);
  }
}

static void
close_engine (Fixture *f)
{
  for (guint i = 0; i < f->model->geometry.frames; i++)
    cg_backend_cpu ()->sample_free (f->engine, f->samples[i]);
  cg_backend_cpu ()->close (f->engine);
  f->engine = NULL;
}

static void
load_preset (Fixture *f, const char *preset)
{
  g_autoptr (GError) error = NULL;

  f->model = cg_model_generate (preset, SEED, &f->network, &error);
  g_assert_no_error (error);
}

/* The preset's model with another geometry under it: engines look at nothing else of it but its
 * input. */
static void
load_geometry (Fixture *f, const CgGeometry *geometry)
{
  g_autoptr (GError) error = NULL;

  g_assert_true (cg_geometry_check (geometry, "test", &error));
  g_assert_no_error (error);
  f->model = cg_model_generate ("tiny", SEED, NULL, &error);
  g_assert_no_error (error);
  f->model->geometry = *geometry;
  f->network = cg_network_new (geometry, &error);
  g_assert_no_error (error);
  cg_generate_weights (f->network, SEED);
}

static void
unload (Fixture *f)
{
  g_clear_pointer (&f->network, cg_network_free);
  g_clear_pointer (&f->model, cg_model_unref);
}

static void
put_window (Fixture *f, guint window)
{
  const guint image = f->model->geometry.image;
  g_autofree guint8 *pixels = g_malloc ((gsize)3 * image * image);
  const CgFrame frame = cg_frame_of_sample (image, pixels);

  for (guint i = 0; i < f->model->geometry.frames; i++) {
    g_autoptr (GError) error = NULL;

    cg_generate_frame (SEED, window, i, image, pixels);
    g_assert_true (cg_backend_cpu ()->sample_put (f->engine, f->samples[i], &frame, &error));
    g_assert_no_error (error);
  }
}

static CgOutputs *
run_window (Fixture *f, guint window)
{
  g_autoptr (GError) error = NULL;
  CgOutputs *outputs = cg_outputs_new (&f->model->geometry, TRUE);
  const gint cancel = 0;

  put_window (f, window);
  g_assert_true (cg_backend_cpu ()->run (f->engine, f->samples, 1, &outputs, &cancel, &error));
  g_assert_no_error (error);
  return outputs;
}

static CgReferenceOutputs *
run_reference (Fixture *f, guint window)
{
  const guint image = f->model->geometry.image;
  const gsize size = (gsize)3 * image * image;
  g_autofree guint8 *frames = g_malloc (size * f->model->geometry.frames);
  g_autoptr (GError) error = NULL;
  CgReferenceOutputs *outputs;

  for (guint i = 0; i < f->model->geometry.frames; i++)
    cg_generate_frame (SEED, window, i, image, frames + i * size);
  outputs = cg_reference_run (f->network, &f->model->input, frames, &error);
  g_assert_no_error (error);
  return outputs;
}

/* ---- comparisons ---- */

static gdouble
distance (const float *a, const gdouble *b, guint n)
{
  gdouble difference = 0, norm = 0;

  for (guint i = 0; i < n; i++) {
    difference += (a[i] - b[i]) * (a[i] - b[i]);
    norm += b[i] * b[i];
  }
  return sqrt (difference / norm);
}

static void
check_distance (const char *what, const float *found, const gdouble *expected, guint n,
                gdouble bound)
{
  gdouble d = distance (found, expected, n);

  g_test_message ("%s: relative L2 distance %.2e, bound %.0e", what, d, bound);
  g_assert_cmpfloat (d, <=, bound);
}

static void
check_reference (Fixture *f, const char *what, const CgReferenceOutputs *expected, gdouble bound)
{
  const CgGeometry *g = &f->model->geometry;
  g_autofree CgOutputs *found = run_window (f, 0);

  check_distance (what, found->features, expected->features, g->width, bound);
  check_distance (what, found->logits, expected->logits, cg_geometry_total_labels (g), bound);
  if (g->scene.layers > 0)
    check_distance (what, found->scene, expected->scene, g->scene.size[g->scene.layers], 2 * bound);
  if (g->text.layers > 0)
    check_distance (what, found->text, expected->text, g->text.size[g->text.layers], 2 * bound);
}

/* Given the model, every supported instruction set in every precision it has agrees with the
 * reference. */
static void
check_every_isa (Fixture *f, const char *what)
{
  g_autofree CgReferenceOutputs *expected = run_reference (f, 0);
  const char *const *names = cg_cpu_isa_names ();

  for (guint i = 0; names[i] != NULL; i++) {
    const CgPrecision best = cg_cpu_isa_precision (names[i]);
    CgEngineOptions options = { .threads = 2, .isa = names[i] };

    if (!cg_cpu_isa_supported (names[i])) {
      g_test_message ("%s: this CPU has no %s", what, names[i]);
      continue;
    }
    for (options.precision = CG_PRECISION_FP32; options.precision <= best; options.precision++) {
      open_engine (f, &options);
      g_autofree char *name =
          g_strdup_printf ("%s, %s", what, cg_backend_cpu ()->describe (f->engine));
      check_reference (f, name, expected,
                       options.precision == CG_PRECISION_BF16 ? BF16_BOUND : FP32_BOUND);
      close_engine (f);
    }
  }
}

static void
test_tiny (void)
{
  Fixture f = { 0 };

  load_preset (&f, "tiny");
  check_every_isa (&f, "tiny");
  unload (&f);
}

/* Sizes that are no multiples of any tile: one token, heads of 4 and of 128, odd patches, panels
 * cut. */
static void
test_odd_geometries (void)
{
  static const CgGeometry geometries[] = {
    { 2, 2, 16, 16, 256, 1, 2, 64, 1e-6, { 1, 1, 1, 1 }, { 0 }, { 0 } },
    { 2, 1, 16, 4, 32, 1, 8, 16, 1e-12, { 7, 5, 3, 2 }, { 0 }, { 2, { 17, 9, 5 } } },
    { 6, 3, 40, 5, 48, 3, 4, 80, 1e-6, { 33, 20, 10, 4 }, { 1, { 67, 3 } }, { 0 } },
    { 4, 2, 112, 16, 80, 2, 4, 208, 1e-6, { 166, 157, 91, 6 }, { 0 }, { 0 } },
    { 8,
      1,
      44,
      11,
      144,
      2,
      2,
      528,
      1e-2,
      { 9, 8, 7, 6 },
      { 2, { 30, 8, 4 } },
      { 2, { 30, 20, 11 } } },
    { 3, 1, 60, 4, 112, 2, 4, 1040, 1e-9, { 5, 4, 3, 2 }, { 0 }, { 0 } },
  };

  for (guint i = 0; i < G_N_ELEMENTS (geometries); i++) {
    const CgGeometry *g = &geometries[i];
    g_autofree char *what = g_strdup_printf ("%u tokens, width %u, %u heads, mlp %u",
                                             cg_geometry_tokens (g), g->width, g->heads, g->mlp);
    Fixture f = { 0 };

    load_geometry (&f, g);
    check_every_isa (&f, what);
    unload (&f);
  }
}

/* ---- full size, against PyTorch's numbers ---- */

static gdouble *
read_golden (const char *preset, const char *name, guint n)
{
  const char *folder = g_getenv ("CG_GOLDEN_DIR");
  g_autofree char *file = g_strdup_printf ("%s.txt", preset);
  g_autofree char *path = NULL, *text = NULL;
  g_autoptr (GError) error = NULL;
  g_auto (GStrv) lines = NULL;

  g_assert_nonnull (folder);
  path = g_build_filename (folder, file, NULL);
  g_file_get_contents (path, &text, NULL, &error);
  g_assert_no_error (error);
  lines = g_strsplit (text, "\n", -1);
  for (guint i = 0; lines[i] != NULL; i++) {
    g_auto (GStrv) words = g_strsplit (lines[i], " ", -1);

    if (words[0] == NULL || strcmp (words[0], name) != 0)
      continue;
    g_assert_cmpuint (g_strv_length (words), ==, n + 2);
    g_assert_cmpuint (g_ascii_strtoull (words[1], NULL, 10), ==, n);
    gdouble *values = g_new (gdouble, n);
    for (guint j = 0; j < n; j++)
      values[j] = g_ascii_strtod (words[j + 2], NULL);
    return values;
  }
  g_error ("%s has no line \"%s\"", path, name);
}

/* The indices of the @k largest of @n values, largest first. */
static void
top (const gdouble *values, guint n, guint *index, guint k)
{
  for (guint rank = 0; rank < k; rank++) {
    guint best = n;

    for (guint i = 0; i < n; i++) {
      gboolean taken = FALSE;
      for (guint j = 0; j < rank; j++)
        taken |= index[j] == i;
      if (!taken && (best == n || values[i] > values[best]))
        best = i;
    }
    index[rank] = best;
  }
}

static void
check_same_top_5 (const CgGeometry *g, const float *logits, const gdouble *expected)
{
  guint first = 0;

  for (guint level = 0; level < CG_LEVELS; level++) {
    const guint n = g->labels[level];
    g_autofree gdouble *values = g_new (gdouble, n);
    guint found_top[5], expected_top[5];

    for (guint i = 0; i < n; i++)
      values[i] = logits[first + i];
    top (values, n, found_top, 5);
    top (expected + first, n, expected_top, 5);
    for (guint i = 0; i < 5; i++)
      g_assert_cmpuint (found_top[i], ==, expected_top[i]);
    first += n;
  }
}

static void
test_golden (gconstpointer data)
{
  const char *preset = data;
  const CgEngineOptions options = { .precision = CG_PRECISION_FP32 };
  Fixture f = { 0 };

  load_preset (&f, preset);
  open_engine (&f, &options);

  const CgGeometry *g = &f.model->geometry;
  const guint labels = cg_geometry_total_labels (g);
  g_autofree gdouble *features = read_golden (preset, "features", g->width);
  g_autofree gdouble *logits = read_golden (preset, "logits", labels);
  g_autofree CgOutputs *found = run_window (&f, 0);

  check_distance (preset, found->features, features, g->width, FP32_BOUND);
  check_distance (preset, found->logits, logits, labels, FP32_BOUND);
  check_same_top_5 (g, found->logits, logits);

  close_engine (&f);
  unload (&f);
}

/* ---- bf16 against fp32 ---- */

/* On many windows of the authors' network bf16 gives the same most probable city as fp32, but for
 * near ties, which are printed, in at most one of a hundred. An emulating CPU gets through fewer
 * windows. */
static void
test_bf16 (void)
{
  const gboolean native = cg_cpu_isa_supported ("avx512bf16");
  const CgEngineOptions fp32_options = { .precision = CG_PRECISION_FP32 };
  const CgEngineOptions bf16_options = { .isa = native ? "avx512bf16" : "avx512bf16-emulated" };
  /* Fewer where nobody would choose it: a CPU that has none, or whose bf16 is slower than its fp32. */
  const guint windows = !native ? 12 : cg_isa_bf16_pays () ? 200 : 50;
  guint same = 0;
  gdouble worst = 0;
  Fixture fp32 = { 0 }, bf16;

  if (!cg_cpu_isa_supported (bf16_options.isa)) {
    g_test_skip ("this CPU has no AVX-512");
    return;
  }
  load_preset (&fp32, "small-16");
  bf16 = fp32;
  open_engine (&fp32, &fp32_options);
  open_engine (&bf16, &bf16_options);

  const CgGeometry *g = &fp32.model->geometry;
  for (guint w = 0; w < windows; w++) {
    g_autofree CgOutputs *a = run_window (&fp32, w);
    g_autofree CgOutputs *b = run_window (&bf16, w);
    g_autofree gdouble *features = g_new (gdouble, g->width);
    g_autofree gdouble *exact = g_new (gdouble, g->labels[CG_CITY]);
    g_autofree gdouble *rounded = g_new (gdouble, g->labels[CG_CITY]);
    guint first[2], best;

    for (guint i = 0; i < g->width; i++)
      features[i] = a->features[i];
    worst = MAX (worst, distance (b->features, features, g->width));
    for (guint i = 0; i < g->labels[CG_CITY]; i++) {
      exact[i] = a->logits[i];
      rounded[i] = b->logits[i];
    }
    top (exact, g->labels[CG_CITY], first, 2);
    top (rounded, g->labels[CG_CITY], &best, 1);
    if (best == first[0])
      same++;
    else {
      g_test_message ("window %u: city %u in fp32, %u in bf16; in fp32 the two differ by %.4f", w,
                      first[0], best, exact[first[0]] - exact[best]);
      /* Logits spread over several units; rounding moves them by hundredths. */
      g_assert_cmpfloat (exact[first[0]] - exact[best], <, 0.1);
    }
  }
  g_test_message ("%s: same city in %u of %u windows, features differ by at most %.2e",
                  cg_backend_cpu ()->describe (bf16.engine), same, windows, worst);
  g_assert_cmpuint (same * 100, >=, windows * 99);
  g_assert_cmpfloat (worst, <=, BF16_BOUND);

  close_engine (&fp32);
  close_engine (&bf16);
  unload (&fp32);
}

/* ---- threads, cancelling, failing, memory ---- */

static void
check_same_bits (const CgGeometry *g, const CgOutputs *a, const CgOutputs *b)
{
  g_assert_cmpmem (a->features, g->width * sizeof (float), b->features, g->width * sizeof (float));
  g_assert_cmpmem (a->logits, cg_geometry_total_labels (g) * sizeof (float), b->logits,
                   cg_geometry_total_labels (g) * sizeof (float));
}

/* The number of threads changes how rows are cut into jobs and who does them, but no bit of the
 * result. */
static void
test_threads (gconstpointer data)
{
  static const guint counts[] = { 1, 2, 3, 16 };
  g_autofree CgOutputs *first = NULL;
  Fixture f = { 0 };

  load_preset (&f, data);
  for (guint i = 0; i < G_N_ELEMENTS (counts); i++) {
    const CgEngineOptions options = { .threads = counts[i] };

    open_engine (&f, &options);
    for (guint repeat = 0; repeat < 2; repeat++) {
      CgOutputs *outputs = run_window (&f, 3);

      if (first == NULL)
        first = outputs;
      else {
        check_same_bits (&f.model->geometry, first, outputs);
        g_free (outputs);
      }
    }
    close_engine (&f);
  }
  unload (&f);
}

/* Windows of one batch are independent: the same window gives the same bits in any place of it. */
static void
test_batch (void)
{
  const CgEngineOptions options = { .threads = 2 };
  const gint cancel = 0;
  g_autoptr (GError) error = NULL;
  gpointer samples[2 * CG_MAX_FRAMES];
  CgOutputs *outputs[2];
  Fixture f = { 0 };

  load_preset (&f, "tiny");
  open_engine (&f, &options);
  g_autofree CgOutputs *alone = run_window (&f, 0);
  for (guint i = 0; i < 2; i++) {
    outputs[i] = cg_outputs_new (&f.model->geometry, FALSE);
    for (guint j = 0; j < f.model->geometry.frames; j++)
      samples[i * f.model->geometry.frames + j] = f.samples[j];
  }
  g_assert_true (cg_backend_cpu ()->run (f.engine, samples, 2, outputs, &cancel, &error));
  g_assert_no_error (error);
  for (guint i = 0; i < 2; i++) {
    check_same_bits (&f.model->geometry, alone, outputs[i]);
    g_free (outputs[i]);
  }
  close_engine (&f);
  unload (&f);
}

typedef struct {
  gint cancel;
  gint running;
} Cancelling;

static gpointer
cancel_soon (gpointer data)
{
  Cancelling *c = data;

  while (g_atomic_int_get (&c->running) == 0)
    g_thread_yield ();
  g_usleep (1000);
  g_atomic_int_set (&c->cancel, 1);
  return NULL;
}

/* A cancelled window fails within a job's time, whether it was cancelled before it began or while
 * it ran, and the next one is right again. */
static void
test_cancel (void)
{
  const CgEngineOptions options = { .threads = 2 };
  Fixture f = { 0 };

  load_preset (&f, "small-16");
  open_engine (&f, &options);
  g_autofree CgOutputs *before = run_window (&f, 0);
  const gint64 start = g_get_monotonic_time ();
  g_autofree CgOutputs *again = run_window (&f, 0);
  const gint64 whole = g_get_monotonic_time () - start;

  for (guint early = 0; early < 2; early++) {
    Cancelling c = { .cancel = early };
    g_autoptr (GError) error = NULL;
    GThread *thread = g_thread_new ("cancel", cancel_soon, &c);
    gint64 begin = g_get_monotonic_time ();

    g_atomic_int_set (&c.running, 1);
    g_assert_false (cg_backend_cpu ()->run (f.engine, f.samples, 1, &again, &c.cancel, &error));
    g_assert_error (error, CG_ERROR, CG_ERROR_COMPUTE);
    g_thread_join (thread);
    g_test_message ("cancelled after %" G_GINT64_FORMAT " us; a window takes %" G_GINT64_FORMAT
                    " us",
                    g_get_monotonic_time () - begin, whole);
    g_assert_cmpint (g_get_monotonic_time () - begin, <, whole);
  }

  g_autofree CgOutputs *after = run_window (&f, 0);
  check_same_bits (&f.model->geometry, before, after);
  close_engine (&f);
  unload (&f);
}

/* Weights that overflow on the way give an error for the window, not numbers. */
static void
test_not_finite (void)
{
  const char *const *names = cg_cpu_isa_names ();
  const gint cancel = 0;
  Fixture f = { 0 };

  load_preset (&f, "tiny");
  for (guint i = 0; i < f.network->geometry.width; i++)
    f.network->blocks[0].fc1_bias[i] = 3e38f;
  for (guint i = 0; names[i] != NULL; i++) {
    const CgEngineOptions options = { .threads = 1, .isa = names[i] };
    g_autofree CgOutputs *outputs = cg_outputs_new (&f.model->geometry, TRUE);
    g_autoptr (GError) error = NULL;

    if (!cg_cpu_isa_supported (names[i]))
      continue;
    open_engine (&f, &options);
    put_window (&f, 0);
    g_assert_false (cg_backend_cpu ()->run (f.engine, f.samples, 1, &outputs, &cancel, &error));
    g_assert_error (error, CG_ERROR, CG_ERROR_COMPUTE);
    close_engine (&f);
  }
  unload (&f);
}

static void
check_refused (Fixture *f, const CgEngineOptions *options, const char *part)
{
  g_autoptr (GError) error = NULL;

  g_assert_null (cg_backend_cpu ()->open (f->model, f->network, options, &error));
  g_assert_error (error, CG_ERROR, CG_ERROR_UNSUPPORTED);
  g_test_message ("%s", error->message);
  g_assert_nonnull (strstr (error->message, part));
}

static void
test_refused (void)
{
  Fixture f = { 0 };

  load_preset (&f, "tiny");
  check_refused (&f, &(CgEngineOptions){ .isa = "mmx" }, "mmx");
  check_refused (&f, &(CgEngineOptions){ .isa = "sse2", .precision = CG_PRECISION_BF16 },
                 "AVX512_BF16");
  unload (&f);
}

/* Sanitizers keep freed memory for a while: what is resident then says nothing. */
#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
#define SANITIZED TRUE
#elif defined __has_feature
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED TRUE
#endif
#endif
#ifndef SANITIZED
#define SANITIZED FALSE
#endif

/* Resident memory of this process, bytes. */
static gsize
resident (void)
{
  g_autofree char *text = NULL;

  g_assert_true (g_file_get_contents ("/proc/self/statm", &text, NULL, NULL));
  return strtoull (strchr (text, ' '), NULL, 10) * (gsize)sysconf (_SC_PAGESIZE);
}

static void
test_open_and_close (void)
{
  const CgEngineOptions options = { .threads = 3 };
  gsize early = 0;
  Fixture f = { 0 };

  load_preset (&f, "tiny");
  for (guint i = 0; i < 200; i++) {
    open_engine (&f, &options);
    g_free (run_window (&f, i % 2));
    close_engine (&f);
    if (i == 20)
      early = resident ();
  }
  g_test_message ("resident after 20 and 200 opens: %" G_GSIZE_FORMAT " and %" G_GSIZE_FORMAT
                  " KiB",
                  early >> 10, resident () >> 10);
  if (!SANITIZED)
    g_assert_cmpuint (resident (), <, early + (2u << 20));
  unload (&f);
}

/* Given nothing, the engine takes bf16 only where that is the faster one; given its instruction set, it does. */
static void
test_auto (void)
{
  const gboolean native = cg_cpu_isa_supported ("avx512bf16");
  CgEngineOptions options = { .threads = 1 };
  Fixture f = { 0 };

  load_preset (&f, "tiny");
  open_engine (&f, &options);
  g_test_message ("%s", cg_backend_cpu ()->describe (f.engine));
  g_assert_cmpint (strstr (cg_backend_cpu ()->describe (f.engine), "bf16") != NULL, ==,
                   cg_isa_bf16_pays ());
  close_engine (&f);
  g_assert_true (native || !cg_isa_bf16_pays ());
  if (native) {
    options.isa = "avx512bf16";
    open_engine (&f, &options);
    g_assert_nonnull (strstr (cg_backend_cpu ()->describe (f.engine), "bf16"));
    close_engine (&f);
  }
  unload (&f);
}

/* Open, with the file's weights freed, the authors' network in bf16 keeps under 100 MB. */
static void
test_memory (void)
{
  const gsize before = resident ();
  CgEngineOptions options = { .threads = 2, .isa = "avx512bf16-emulated" };
  Fixture f = { 0 };

  if (!cg_cpu_isa_supported (options.isa)) {
    g_test_skip ("this CPU has no AVX-512");
    return;
  }
  load_preset (&f, "small-16");
  open_engine (&f, &options);
  g_clear_pointer (&f.network, cg_network_free);
  g_free (run_window (&f, 0));
  g_test_message ("%" G_GSIZE_FORMAT " MiB", (resident () - before) >> 20);
  if (!SANITIZED)
    g_assert_cmpuint (resident () - before, <, 100u * 1000 * 1000);
  close_engine (&f);
  unload (&f);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/cpu/tiny", test_tiny);
  g_test_add_func ("/cpu/odd-geometries", test_odd_geometries);
  g_test_add_func ("/cpu/auto", test_auto);
  g_test_add_func ("/cpu/batch", test_batch);
  g_test_add_func ("/cpu/not-finite", test_not_finite);
  g_test_add_func ("/cpu/refused", test_refused);
  g_test_add_func ("/cpu/open-and-close", test_open_and_close);
  g_test_add_data_func ("/cpu/threads/tiny", "tiny", test_threads);
  g_test_add_data_func ("/cpu/threads/small-16", "small-16", test_threads);
  g_test_add_func ("/cpu/memory", test_memory);
  g_test_add_func ("/cpu/cancel", test_cancel);
  g_test_add_data_func ("/cpu/golden/small-16", "small-16", test_golden);
  g_test_add_data_func ("/cpu/golden/small-6", "small-6", test_golden);
  g_test_add_data_func ("/cpu/golden/base", "base", test_golden);
  g_test_add_func ("/cpu/bf16", test_bf16);
  return g_test_run ();
}
