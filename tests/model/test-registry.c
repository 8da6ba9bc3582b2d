/* Which requests share an engine and which do not, and that an engine leaves nothing behind.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include <glib/gstdio.h>
#include <malloc.h>
#include <string.h>
#include <unistd.h>

#include "model/engine.h"

#define HOUR_US (3600u * 1000000u)

static CgSample *
new_sample (CgEngine *engine)
{
  g_autoptr (GError) error = NULL;
  const guint8 pixel = 0;
  const CgFrame frame = {
    .format = CG_FORMAT_GRAY8, .width = 1, .height = 1, .plane = { &pixel }, .stride = { 1 }
  };
  CgSample *sample = cg_sample_new (engine, &frame, &error);
  g_assert_no_error (error);
  return sample;
}

static void
submit_one (CgClient *client, CgEngine *engine)
{
  const guint n = cg_engine_model (engine)->geometry.frames;
  g_autoptr (CgSample) sample = new_sample (engine);
  CgSample *samples[CG_MAX_FRAMES];
  for (guint i = 0; i < n; i++)
    samples[i] = sample;
  cg_client_submit (client, cg_window_new (samples, n, NULL, NULL));
}

static void
expect_one (CgClient *client)
{
  g_autoptr (CgWindow) window = cg_client_pop (client, -1);
  g_assert_nonnull (window);
  g_assert_no_error (window->error);
}

/* Lets @engine answer a window. */
static void
compute_one (CgEngine *engine)
{
  g_autoptr (CgClient) client = cg_client_new (engine);
  submit_one (client, engine);
  expect_one (client);
}

static CgEngine *
get (const char *path, const CgEngineOptions *options)
{
  g_autoptr (GError) error = NULL;
  CgEngine *engine = cg_engine_get (path, options, &error);
  g_assert_no_error (error);
  g_assert_nonnull (engine);
  return engine;
}

static void
get_fails (const char *path, CgErrorCode code)
{
  g_autoptr (GError) error = NULL;
  const CgEngineOptions options = { .device = CG_DEVICE_NULL };
  g_assert_null (cg_engine_get (path, &options, &error));
  g_assert_error (error, CG_ERROR, (gint)code);
  g_assert_nonnull (strstr (error->message, path));
}

static void
test_shares (void)
{
  const CgEngineOptions options = { .device = CG_DEVICE_NULL };
  const CgEngineOptions slower = { .device = CG_DEVICE_NULL, .null_delay_us = 1 };

  g_autoptr (CgEngine) first = get ("generated:tiny:1", &options);
  g_autoptr (CgEngine) same = get ("generated:tiny:1", &options);
  g_autoptr (CgEngine) other_seed = get ("generated:tiny:2", &options);
  g_autoptr (CgEngine) other_options = get ("generated:tiny:1", &slower);
  g_assert_true (first == same);
  g_assert_true (first != other_seed);
  g_assert_true (first != other_options);
  g_assert_cmpstr (cg_engine_device (first), ==, "null");
  g_assert_nonnull (strstr (cg_engine_describe (first), "null"));
  g_assert_cmpstr (cg_engine_model (first)->path, ==, "generated:tiny:1");

  /* The last user takes it away: the next one gets a fresh engine. */
  compute_one (first);
  g_clear_pointer (&first, cg_engine_unref);
  CgEngineStats stats;
  first = get ("generated:tiny:1", &options);
  cg_engine_stats (first, &stats);
  g_assert_cmpuint (stats.windows, ==, 1);
  g_clear_pointer (&first, cg_engine_unref);
  g_clear_pointer (&same, cg_engine_unref);
  first = get ("generated:tiny:1", &options);
  cg_engine_stats (first, &stats);
  g_assert_cmpuint (stats.windows, ==, 0);
}

/* What "auto" chooses is the same engine as what asks for it by name. */
static void
test_auto (void)
{
  g_autoptr (CgEngine) chosen = get ("generated:tiny:1", &(CgEngineOptions){ 0 });
  g_autoptr (CgEngine) named =
      get ("generated:tiny:1", &(CgEngineOptions){ .device = CG_DEVICE_CPU });
  g_autoptr (CgEngine) other =
      get ("generated:tiny:1", &(CgEngineOptions){ .device = CG_DEVICE_NULL });
  g_assert_cmpstr (cg_engine_device (chosen), ==, "cpu");
  g_assert_true (chosen == named);
  g_assert_true (chosen != other);
  compute_one (chosen);
}

static void
test_files (void)
{
  g_autoptr (GError) error = NULL;
  const CgEngineOptions options = { .device = CG_DEVICE_NULL };
  g_autoptr (CgNetwork) network = NULL;
  g_autoptr (CgModel) model = cg_model_generate ("tiny", 1, &network, &error);
  g_assert_no_error (error);
  g_autofree char *folder = g_dir_make_tmp ("cityguessr-XXXXXX", &error);
  g_assert_no_error (error);
  g_autofree char *path = g_build_filename (folder, "model.safetensors", NULL);
  g_autofree char *alias = g_build_filename (folder, "alias.safetensors", NULL);

  /* A file that is not there yet */
  get_fails (path, CG_ERROR_NOT_FOUND);
  cg_model_save (model, network, path, &error);
  g_assert_no_error (error);
  g_autoptr (CgEngine) engine = get (path, &options);

  /* is one engine by whatever name, */
  g_assert_cmpint (symlink (path, alias), ==, 0);
  g_autoptr (CgEngine) same = get (alias, &options);
  g_assert_true (engine == same);

  /* and another one when it was replaced, while the old one goes on. */
  cg_model_save (model, network, path, &error);
  g_assert_no_error (error);
  g_autoptr (CgEngine) replaced = get (path, &options);
  g_assert_true (engine != replaced);
  compute_one (engine);

  /* A file that is no model, and then is one. */
  g_file_set_contents (alias, "not a model file, surely", -1, &error);
  g_assert_no_error (error);
  get_fails (alias, CG_ERROR_FORMAT);
  cg_model_save (model, network, alias, &error);
  g_assert_no_error (error);
  g_autoptr (CgEngine) mended = get (alias, &options);
  g_assert_true (mended != engine && mended != replaced);

  g_unlink (path);
  g_unlink (alias);
  g_rmdir (folder);
}

static void
test_refuses (void)
{
  const char *const not_generated[] = { "generated:", "generated:tiny",
                                        "generated:tiny:", "generated:tiny:one",
                                        "generated:tiny:-1" };
  for (guint i = 0; i < G_N_ELEMENTS (not_generated); i++)
    get_fails (not_generated[i], CG_ERROR_NOT_FOUND);
  get_fails ("/nowhere/at/all.safetensors", CG_ERROR_NOT_FOUND);

  g_autoptr (GError) error = NULL;
  const CgEngineOptions options = { .device = CG_DEVICE_NULL };
  g_assert_null (cg_engine_get ("generated:enormous:1", &options, &error));
  g_assert_nonnull (error);
  g_assert_nonnull (strstr (error->message, "enormous"));
}

#define GETTERS 8

static gpointer
get_one (gpointer path)
{
  const CgEngineOptions options = { .device = CG_DEVICE_NULL };
  return cg_engine_get (path, &options, NULL);
}

static void
test_concurrent (void)
{
  for (guint round = 0; round < 20; round++) {
    GThread *threads[GETTERS];
    CgEngine *engines[GETTERS];
    const gboolean bad = round % 4 == 3;
    g_autofree char *path =
        bad ? g_strdup ("generated:enormous:1") : g_strdup_printf ("generated:tiny:%u", round);

    for (guint i = 0; i < GETTERS; i++)
      threads[i] = g_thread_new ("get", get_one, path);
    for (guint i = 0; i < GETTERS; i++)
      engines[i] = g_thread_join (threads[i]);
    for (guint i = 0; i < GETTERS; i++) {
      if (bad)
        g_assert_null (engines[i]);
      else
        g_assert_nonnull (engines[i]);
      g_assert_true (engines[i] == engines[0]);
    }
    for (guint i = 0; i < GETTERS; i++)
      cg_engine_unref (engines[i]);
  }
}

/* ---- cancelling ---- */

typedef struct {
  const CgEngineOptions *options;
  gint cancel;
  CgEngine *engine;
  GError *error;
} Getter;

static gpointer
get_unless_cancelled (gpointer data)
{
  Getter *getter = data;
  g_autofree char *note = NULL;

  getter->engine = cg_engine_get_noting ("generated:tiny:1", getter->options, &getter->cancel,
                                         &note, &getter->error);
  return NULL;
}

/* Who waits for another's load can give up; the load goes on. One that was cancelled before does not begin to load. */
static void
test_cancelled (void)
{
  const CgEngineOptions options = { .device = CG_DEVICE_NULL, .null_load_us = 2 * G_USEC_PER_SEC };
  Getter loads = { &options, 0, NULL, NULL }, waits = loads;
  const gint64 begun = g_get_monotonic_time ();
  GThread *loading = g_thread_new ("load", get_unless_cancelled, &loads);

  g_usleep (G_USEC_PER_SEC / 10);
  GThread *waiting = g_thread_new ("wait", get_unless_cancelled, &waits);
  g_usleep (G_USEC_PER_SEC / 10);
  cg_engine_cancel_get (&waits.cancel);
  g_thread_join (waiting);
  g_assert_null (waits.engine);
  g_assert_error (waits.error, CG_ERROR, CG_ERROR_COMPUTE);
  g_clear_error (&waits.error);
  g_assert_cmpint (g_get_monotonic_time () - begun, <, 2 * G_USEC_PER_SEC);

  g_thread_join (loading);
  g_assert_no_error (loads.error);
  get_unless_cancelled (&waits);
  g_assert_null (waits.engine);
  g_clear_error (&waits.error);
  cg_engine_unref (loads.engine);
}

/* ---- nothing is left behind ---- */

static guint
count_entries (const char *folder)
{
  guint n = 0;
  GDir *dir = g_dir_open (folder, 0, NULL);
  g_assert_nonnull (dir);
  while (g_dir_read_name (dir))
    n++;
  g_dir_close (dir);
  return n;
}

/* A thread that was joined leaves /proc a moment later. */
static guint
count_threads (guint expected)
{
  const gint64 deadline = g_get_monotonic_time () + 10 * G_USEC_PER_SEC;
  guint n;
  while ((n = count_entries ("/proc/self/task")) > expected && g_get_monotonic_time () < deadline)
    g_usleep (1000);
  return n;
}

static void
test_two_hundred_times (void)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (CgNetwork) network = NULL;
  g_autoptr (CgModel) model = cg_model_generate ("tiny", 1, &network, &error);
  g_assert_no_error (error);
  const guint threads = count_entries ("/proc/self/task");
  const guint files = count_entries ("/proc/self/fd");
  gsize bytes = 0;

  for (guint round = 0; round < 220; round++) {
    /* A fresh engine, with windows finished, running and waiting, is dropped, */
    const CgEngineOptions options = { .device = CG_DEVICE_NULL,
                                      .null_delay_us = round % 3 ? 0 : HOUR_US };
    CgEngine *engine = round % 2 ? cg_engine_get ("generated:tiny:1", &options, &error)
                                 : cg_engine_new (model, network, &options, &error);
    g_assert_no_error (error);
    CgClient *client = cg_client_new (engine);
    CgSample *sample = new_sample (engine);
    for (guint i = 0; i < 12; i++)
      submit_one (client, engine);
    for (guint i = 0; i < 3 && options.null_delay_us == 0; i++)
      expect_one (client);
    cg_client_free (client);
    cg_engine_unref (engine);
    cg_sample_unref (sample);

    /* and after the first rounds, which fill what is made once in a process, nothing is added. */
    if (round == 19)
      bytes = mallinfo2 ().uordblks;
  }
  const gssize grown = mallinfo2 ().uordblks - bytes;
  g_test_message ("%" G_GSSIZE_FORMAT " bytes more in use after 200 engines", grown);
  g_assert_cmpint (grown, <, 64 * 1024);
  g_assert_cmpuint (count_threads (threads), ==, threads);
  g_assert_cmpuint (count_entries ("/proc/self/fd"), ==, files);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/registry/shares", test_shares);
  g_test_add_func ("/registry/auto", test_auto);
  g_test_add_func ("/registry/files", test_files);
  g_test_add_func ("/registry/refuses", test_refuses);
  g_test_add_func ("/registry/concurrent", test_concurrent);
  g_test_add_func ("/registry/cancelled", test_cancelled);
  g_test_add_func ("/registry/two-hundred-times", test_two_hundred_times);
  return g_test_run ();
}
