/* `cityguessr bench` (bench.h).
 *
 * Everything is measured in one run and in turns: each round runs every contestant once, so that a machine that grows
 * faster or slower on the way does so for all. Between two contestants there is a pause, because the thread pools of
 * other runtimes go on spinning for a while after their work is done.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "bench.h"

#include <gio/gio.h>
#include <malloc.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench-cuda.h"
#include "bench-private.h"
#include "model/cpu/cpu.h"
#include "model/generate.h"
#include "model/model.h"

#define EXIT_USAGE 2
#define PAUSE_US 200000
#define SEED 1
#define PICTURES 20 /* preprocessed in a round */
#define LIVE_STREAMS 64
#define LEAST_CUDA_ROUNDS 100

/* ---- options ---- */

static void
options_clear (BenchOptions *options)
{
  g_strfreev (options->engines);
  g_strfreev (options->geometries);
  g_strfreev (options->precisions);
  g_strfreev (options->isas);
  g_free (options->model);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (BenchOptions, options_clear)

/* Whether @name is one of those asked for; all are when nothing is. */
static gboolean
wanted (char **names, const char *name)
{
  return names == NULL || g_strv_contains ((const char *const *)names, name);
}

static int
misused (const char *message)
{
  fprintf (stderr, "%s: %s\nTry '%s --help'.\n", g_get_prgname (), message, g_get_prgname ());
  return EXIT_USAGE;
}

/* ---- contestants ---- */

static void
contestant_free (gpointer data)
{
  Contestant *c = data;

  if (c->backend != NULL)
    cg_backend_cpu ()->close (c->backend);
  g_free (c->name);
  g_free (c->engine);
  g_free (c->geometry);
  g_free (c->precision);
  g_free (c->isa);
  g_free (c->version);
  g_free (c->missing);
  g_free (c->features);
  g_array_unref (c->times);
  g_free (c);
}

static Contestant *
contestant_new (gboolean own, const char *geometry, const char *engine, const char *precision)
{
  Contestant *c = g_new0 (Contestant, 1);

  c->own = own;
  c->geometry = g_strdup (geometry);
  c->engine = g_strdup (engine);
  c->precision = g_strdup (precision);
  c->times = g_array_new (FALSE, FALSE, sizeof (gdouble));
  return c;
}

/* ---- the state of one benchmark ---- */

static void
bench_clear (Bench *bench)
{
  g_ptr_array_unref (bench->contestants);
  g_ptr_array_unref (bench->pictures);
  json_array_unref (bench->memory);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Bench, bench_clear)

static gdouble
now_ms (void)
{
  return (gdouble)g_get_monotonic_time () / 1000;
}

/* ---- our engine ---- */

static CgPrecision
precision_from_name (const char *name)
{
  return g_str_equal (name, "bf16") ? CG_PRECISION_BF16 : CG_PRECISION_FP32;
}

static gpointer
open_engine (const Bench *bench, const CgModel *model, const CgNetwork *network, const char *isa,
             CgPrecision precision, GError **error)
{
  CgEngineOptions options = {
    .device = CG_DEVICE_CPU, .precision = precision, .threads = bench->threads, .isa = isa
  };

  return cg_backend_cpu ()->open (model, network, &options, error);
}

/* The samples of one window, each put in like a picture from a video. */
static gboolean
fill_samples (gpointer backend, const CgModel *model, gpointer *samples, GError **error)
{
  const guint image = model->geometry.image;
  g_autofree guint8 *pixels = g_malloc (3 * (gsize)image * image);
  CgFrame frame = cg_frame_of_sample (image, pixels);

  for (guint i = 0; i < model->geometry.frames; i++) {
    samples[i] = cg_backend_cpu ()->sample_new (backend, error);
    if (samples[i] == NULL)
      return FALSE;
    cg_generate_frame (SEED, 0, i, image, pixels);
    if (!cg_backend_cpu ()->sample_put (backend, samples[i], &frame, error))
      return FALSE;
  }
  return TRUE;
}

static void
free_samples (gpointer backend, gpointer *samples)
{
  for (guint i = 0; i < CG_MAX_FRAMES; i++)
    if (samples[i] != NULL)
      cg_backend_cpu ()->sample_free (backend, samples[i]);
}

/* One batch. The time is one window's. */
static gboolean
run_own (const Bench *bench, Contestant *c, const CgModel *model, gboolean count, GError **error)
{
  gpointer samples[CG_MAX_FRAMES] = { NULL };
  const guint batch = (guint)bench->options->batch;
  g_autofree CgOutputs *outputs = cg_outputs_new (&model->geometry, FALSE);
  gint cancel = 0;
  gboolean done = fill_samples (c->backend, model, samples, error);
  CgCpuStages stages;
  gdouble start = now_ms ();

  for (guint i = 0; done && i < batch; i++) {
    done = cg_backend_cpu ()->run (c->backend, samples, 1, &outputs, &cancel, error);
    cg_cpu_stages (c->backend, &stages);
    if (done && count) {
      c->stages.embed += stages.embed;
      c->stages.attention += stages.attention;
      c->stages.rows += stages.rows;
      c->stages.heads += stages.heads;
    }
  }
  gdouble ms = (now_ms () - start) / batch;
  if (done && count)
    g_array_append_val (c->times, ms);
  if (done && c->features == NULL)
    c->features = g_memdup2 (outputs->features, model->geometry.width * sizeof (float));
  free_samples (c->backend, samples);
  return done;
}

static gdouble
relative_error (const float *found, const float *expected, guint n)
{
  gdouble off = 0, norm = 0;

  for (guint i = 0; i < n; i++) {
    gdouble d = (gdouble)found[i] - (gdouble)expected[i];
    off += d * d;
    norm += (gdouble)expected[i] * (gdouble)expected[i];
  }
  return sqrt (off / norm);
}

/* Opens every combination of instruction set and precision asked for that this CPU can do. */
static gboolean
add_own (Bench *bench, const CgModel *model, const CgNetwork *network, const char *geometry,
         GError **error)
{
  static const char *const precisions[] = { "bf16", "fp32" };

  for (const char *const *isa = cg_cpu_isa_names (); *isa; isa++) {
    gboolean named = bench->options->isas != NULL && wanted (bench->options->isas, *isa);
    gboolean bf16 = cg_cpu_isa_precision (*isa) == CG_PRECISION_BF16;
    if (!cg_cpu_isa_supported (*isa) || !wanted (bench->options->isas, *isa) ||
        (!named && g_str_has_suffix (*isa, "-emulated")))
      continue;
    for (guint p = 0; p < G_N_ELEMENTS (precisions); p++) {
      gboolean is_bf16 = precision_from_name (precisions[p]) == CG_PRECISION_BF16;
      /* In fp32 the bf16 ones are AVX-512 again. */
      if (is_bf16 != bf16 || !wanted (bench->options->precisions, precisions[p]))
        continue;
      Contestant *c = contestant_new (TRUE, geometry, "cpu", precisions[p]);
      g_ptr_array_add (bench->contestants, c);
      c->isa = g_strdup (*isa);
      c->name = g_strdup_printf ("cpu %s %s", precisions[p], *isa);
      c->flops = cg_geometry_flops (&model->geometry);
      c->relative_error = NAN;
      c->backend =
          open_engine (bench, model, network, *isa, precision_from_name (precisions[p]), error);
      if (c->backend == NULL)
        return FALSE;
    }
  }
  return TRUE;
}

/* What the process holds with one engine and one stream: what /proc says, in MB; NAN elsewhere. */
static gdouble
resident_mb (void)
{
  g_autofree char *status = NULL;
  const char *line;

  if (!g_file_get_contents ("/proc/self/status", &status, NULL, NULL))
    return NAN;
  line = strstr (status, "VmRSS:");
  return line ? g_ascii_strtod (line + strlen ("VmRSS:"), NULL) / 1024 : NAN;
}

/* Before anything else of this geometry is opened. @network is freed first, as the engines' registry does. */
static gboolean
measure_memory (Bench *bench, CgModel *model, CgNetwork **network, const char *geometry,
                GError **error)
{
  gpointer samples[CG_MAX_FRAMES] = { NULL };
  g_autofree CgOutputs *outputs = cg_outputs_new (&model->geometry, FALSE);
  gint cancel = 0;
  const CgPrecision precision =
      cg_cpu_isa_supported ("avx512bf16") ? CG_PRECISION_BF16 : CG_PRECISION_AUTO;
  gpointer backend = open_engine (bench, model, *network, NULL, precision, error);
  gboolean done;

  g_clear_pointer (network, cg_network_free);
  if (backend == NULL)
    return FALSE;
  done = fill_samples (backend, model, samples, error) &&
         cg_backend_cpu ()->run (backend, samples, 1, &outputs, &cancel, error);
  if (done) {
    malloc_trim (0);
    gdouble mb = resident_mb ();
    JsonObject *entry = json_object_new ();
    json_object_set_string_member (entry, "geometry", geometry);
    json_object_set_string_member (entry, "engine", cg_backend_cpu ()->describe (backend));
    if (isfinite (mb))
      json_object_set_double_member (entry, "resident_mb", mb);
    json_array_add_object_element (bench->memory, entry);
    if (g_str_equal (geometry, "small-16"))
      bench->small_16_resident = mb;
  }
  free_samples (backend, samples);
  cg_backend_cpu ()->close (backend);
  malloc_trim (0);
  return done;
}

/* ---- peers: a child process that runs one batch when told to ---- */

typedef struct {
  GSubprocess *process;
  GDataInputStream *answers;
} Peers;

static void
peers_clear (Peers *peers)
{
  if (peers->process != NULL)
    g_subprocess_force_exit (peers->process);
  g_clear_object (&peers->answers);
  g_clear_object (&peers->process);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Peers, peers_clear)

/* The next line of the child as an object; NULL when it has ended or said something else. */
static JsonNode *
peers_read (Peers *peers)
{
  g_autofree char *line = g_data_input_stream_read_line (peers->answers, NULL, NULL, NULL);
  JsonNode *node = line ? json_from_string (line, NULL) : NULL;

  if (node != NULL && !JSON_NODE_HOLDS_OBJECT (node))
    g_clear_pointer (&node, json_node_unref);
  return node;
}

static void
add_missing_peers (Bench *bench, const char *geometry, const char *reason)
{
  Contestant *c = contestant_new (FALSE, geometry, "peers", "any");

  c->name = g_strdup ("peers");
  c->missing = g_strdup (reason);
  g_ptr_array_add (bench->contestants, c);
}

static char *
peers_config (const Bench *bench, const CgGeometry *g)
{
  g_autoptr (JsonNode) node = json_node_new (JSON_NODE_OBJECT);
  JsonObject *config = json_object_new ();
  JsonArray *only = json_array_new ();

  json_object_set_int_member (config, "frames", g->frames);
  json_object_set_int_member (config, "tubelet", g->tubelet);
  json_object_set_int_member (config, "image", g->image);
  json_object_set_int_member (config, "patch", g->patch);
  json_object_set_int_member (config, "width", g->width);
  json_object_set_int_member (config, "depth", g->depth);
  json_object_set_int_member (config, "heads", g->heads);
  json_object_set_int_member (config, "mlp", g->mlp);
  json_object_set_double_member (config, "layer_norm_eps", g->layer_norm_eps);
  json_object_set_int_member (config, "threads", bench->threads);
  json_object_set_int_member (config, "batch", bench->options->batch);
  for (char **engine = bench->options->engines; engine && *engine; engine++)
    json_array_add_string_element (only, *engine);
  json_object_set_array_member (config, "only", only);
  json_node_take_object (node, config);
  return json_to_string (node, FALSE);
}

static void
start_peers (Bench *bench, Peers *peers, const CgModel *model, const char *geometry)
{
  const char *script =
      g_file_test (PEERS_INSTALLED, G_FILE_TEST_EXISTS) ? PEERS_INSTALLED : PEERS_UNINSTALLED;
  const char *python = g_getenv ("PYTHON") ? g_getenv ("PYTHON") : "python3";
  g_autofree char *config = peers_config (bench, &model->geometry);
  g_autoptr (GError) error = NULL;
  gboolean ready = FALSE;

  peers->process =
      g_subprocess_new (G_SUBPROCESS_FLAGS_STDIN_PIPE | G_SUBPROCESS_FLAGS_STDOUT_PIPE |
                            G_SUBPROCESS_FLAGS_STDERR_SILENCE,
                        &error, python, script, config, NULL);
  if (peers->process == NULL) {
    add_missing_peers (bench, geometry, error->message);
    return;
  }
  peers->answers = g_data_input_stream_new (g_subprocess_get_stdout_pipe (peers->process));
  while (!ready) {
    g_autoptr (JsonNode) answer = peers_read (peers);
    if (answer == NULL) {
      add_missing_peers (bench, geometry, "the child process ended early");
      return;
    }
    JsonObject *object = json_node_get_object (answer);
    ready = json_object_has_member (object, "ready");
    const char *precision = json_object_get_string_member_with_default (object, "precision", "");
    if (ready || !wanted (bench->options->precisions, precision))
      continue;
    Contestant *c = contestant_new (
        FALSE, geometry, json_object_get_string_member_with_default (object, "engine", ""),
        precision);
    c->name = g_strdup (json_object_get_string_member_with_default (object, "name", ""));
    c->version = g_strdup (json_object_get_string_member_with_default (object, "version", NULL));
    c->missing = g_strdup (json_object_get_string_member_with_default (object, "missing", NULL));
    c->relative_error = json_object_get_double_member_with_default (object, "error", NAN);
    c->flops = cg_geometry_flops (&model->geometry);
    g_ptr_array_add (bench->contestants, c);
  }
}

static void
run_peer (const Bench *bench, Peers *peers, Contestant *c)
{
  g_autofree char *command = g_strdup_printf ("run %s\n", c->name);
  g_autoptr (GError) error = NULL;
  g_autoptr (JsonNode) answer = NULL;

  if (g_output_stream_write_all (g_subprocess_get_stdin_pipe (peers->process), command,
                                 strlen (command), NULL, NULL, &error))
    answer = peers_read (peers);
  if (answer == NULL) {
    c->missing = g_strdup ("the child process ended early");
    return;
  }
  JsonObject *object = json_node_get_object (answer);
  if (!json_object_has_member (object, "ms")) {
    c->missing =
        g_strdup (json_object_get_string_member_with_default (object, "failed", "no answer"));
    return;
  }
  gdouble ms = json_object_get_double_member (object, "ms") / bench->options->batch;
  g_array_append_val (c->times, ms);
}

/* ---- preprocessing ---- */

static void
measure_pictures (Bench *bench)
{
  const gsize size = (gsize)PICTURE_WIDTH * PICTURE_HEIGHT * 3 / 2;
  g_autofree guint8 *pixels = g_malloc (size);
  g_autofree guint8 *out = g_malloc (3 * PICTURE_IMAGE * PICTURE_IMAGE);
  const guint64 key = cg_generate_key (SEED, "picture");
  CgFrame frame = { .format = CG_FORMAT_NV12,
                    .width = PICTURE_WIDTH,
                    .height = PICTURE_HEIGHT,
                    .plane = { pixels, pixels + (gsize)PICTURE_WIDTH * PICTURE_HEIGHT },
                    .stride = { PICTURE_WIDTH, PICTURE_WIDTH },
                    .matrix = CG_MATRIX_BT709,
                    .cosited_h = TRUE };

  for (gsize i = 0; i < size; i++)
    pixels[i] = (guint8)(cg_generate_draw (key, i) >> 56);
  for (const char *const *isa = cg_cpu_isa_names (); *isa; isa++) {
    if (!cg_cpu_isa_supported (*isa) || !wanted (bench->options->isas, *isa) ||
        cg_cpu_isa_precision (*isa) == CG_PRECISION_BF16)
      continue;
    Contestant *c = contestant_new (TRUE, "-", "cpu", "-");
    c->isa = g_strdup (*isa);
    c->name = g_strdup (*isa);
    g_ptr_array_add (bench->pictures, c);
  }
  /* The first round makes tables and warms the caches. */
  for (gint round = 0; round <= bench->options->rounds; round++)
    for (guint i = 0; i < bench->pictures->len; i++) {
      Contestant *c = bench->pictures->pdata[i];
      for (guint n = 0; n < PICTURES; n++) {
        gdouble start = now_ms ();
        cg_preprocess (&frame, PICTURE_IMAGE, c->isa, out, NULL);
        gdouble ms = now_ms () - start;
        if (round > 0)
          g_array_append_val (c->times, ms);
      }
    }
}

/* ---- one geometry ---- */

static CgModel *
get_model (const Bench *bench, const char *geometry, CgNetwork **network, GError **error)
{
  if (bench->options->model != NULL)
    return cg_model_load (bench->options->model, network, error);
  return cg_model_generate (geometry, SEED, network, error);
}

static gboolean
measure_geometry (Bench *bench, const char *geometry, GError **error)
{
  const guint first = bench->contestants->len;
  g_autoptr (CgNetwork) network = NULL;
  g_autoptr (CgModel) model = get_model (bench, geometry, &network, error);
  g_auto (Peers) peers = { NULL, NULL };
  const float *exact = NULL;

  if (model == NULL)
    return FALSE;
  if (wanted (bench->options->engines, "cpu")) {
    if (!measure_memory (bench, model, &network, geometry, error))
      return FALSE;
    g_clear_pointer (&model, cg_model_unref);
    model = get_model (bench, geometry, &network, error);
    if (model == NULL || !add_own (bench, model, network, geometry, error))
      return FALSE;
  }
  if (!bench->options->no_peers) {
    fprintf (stderr, "%s: waiting for the peers to get ready\n", geometry);
    start_peers (bench, &peers, model, geometry);
  }

  /* Round 0 warms up and is not counted. */
  for (gint round = 0; round <= bench->options->rounds; round++) {
    cg_limits_measure (bench->threads, &bench->limits);
    for (guint i = first; i < bench->contestants->len; i++) {
      Contestant *c = bench->contestants->pdata[i];
      if (c->missing != NULL)
        continue;
      g_usleep (PAUSE_US);
      if (!c->own) {
        run_peer (bench, &peers, c);
        if (round == 0)
          g_array_set_size (c->times, 0);
      } else if (!run_own (bench, c, model, round > 0, error)) {
        return FALSE;
      }
    }
    fprintf (stderr, "\r%s: round %d of %d", geometry, round, bench->options->rounds);
  }
  fprintf (stderr, "\n");

  for (guint i = first; i < bench->contestants->len; i++) {
    Contestant *c = bench->contestants->pdata[i];
    if (c->own && exact == NULL && g_str_equal (c->precision, "fp32"))
      exact = c->features;
  }
  for (guint i = first; i < bench->contestants->len; i++) {
    Contestant *c = bench->contestants->pdata[i];
    if (c->own && exact != NULL)
      c->relative_error = relative_error (c->features, exact, model->geometry.width);
    if (c->own)
      g_clear_pointer (&c->backend, cg_backend_cpu ()->close);
  }
  return TRUE;
}

/* ---- the command ---- */

int
cg_bench_main (int argc, char **argv)
{
  g_auto (BenchOptions) o = { 0 };
  const GOptionEntry entries[] = {
    { "engine", 0, 0, G_OPTION_ARG_STRING_ARRAY, &o.engines,
      "Only this one (repeatable): cpu, openvino, pytorch, onnxruntime; or cuda, which goes alone",
      "NAME" },
    { "geometry", 0, 0, G_OPTION_ARG_STRING_ARRAY, &o.geometries,
      "Network of generated weights (repeatable; default small-16 and small-6, with cuda base, "
      "too)",
      "PRESET" },
    { "model", 0, 0, G_OPTION_ARG_FILENAME, &o.model, "This model file instead", "FILE" },
    { "precision", 0, 0, G_OPTION_ARG_STRING_ARRAY, &o.precisions,
      "Only this one (repeatable): fp32, bf16, with cuda also fp16", "NAME" },
    { "isa", 0, 0, G_OPTION_ARG_STRING_ARRAY, &o.isas,
      "Only this instruction set (repeatable; default all that this CPU has)", "NAME" },
    { "threads", 0, 0, G_OPTION_ARG_INT, &o.threads,
      "Threads of each engine (default 2, or 1 on one CPU)", "N" },
    { "batch", 0, 0, G_OPTION_ARG_INT, &o.batch, "Windows at a time (default 1, with cuda 1 to 32)",
      "N" },
    { "rounds", 0, 0, G_OPTION_ARG_INT, &o.rounds,
      "Rounds in which each engine runs once (default 8, with cuda 200 and at least 100)", "N" },
    { "no-peers", 0, 0, G_OPTION_ARG_NONE, &o.no_peers, "Leave other runtimes out", NULL },
    { "json", 0, 0, G_OPTION_ARG_NONE, &o.json, "Print JSON", NULL },
    { NULL },
  };
  static const char *const usual[] = { "small-16", "small-6", NULL };
  static const char *const usual_cuda[] = { "small-16", "small-6", "base", NULL };
  static const char *const engines[] = {
    "cpu", "cuda", "openvino", "pytorch", "onnxruntime", NULL
  };
  static const char *const precisions[] = { "fp32", "bf16", "fp16", NULL };
  g_autoptr (GOptionContext) context = g_option_context_new (NULL);
  g_autoptr (GError) error = NULL;

  g_option_context_set_summary (
      context,
      "Measures the engines, the machine's own limits and installed peers in turns.\n"
      "The peers run in the python3 found first, or in $PYTHON. --engine cuda measures the\n"
      "first GPU by its own clock, over random inputs, and the pictures and live streams\n"
      "that come to it.");
  g_option_context_add_main_entries (context, entries, NULL);
  if (!g_option_context_parse (context, &argc, &argv, &error))
    return misused (error->message);
  if (argc > 1)
    return misused ("there are only options");
  const gboolean cuda = o.engines != NULL && wanted (o.engines, "cuda");
  if (cuda && g_strv_length (o.engines) > 1)
    return misused ("--engine cuda goes alone");
  if (o.threads < 0 || o.threads > 1024 || o.batch < 0 || o.batch > (cuda ? 32 : 1024) ||
      o.rounds < 0 || o.rounds > 100000)
    return misused ("--threads, --batch or --rounds is out of range");
  if (o.rounds == 0)
    o.rounds = cuda ? 200 : 8;
  if (cuda && o.rounds < LEAST_CUDA_ROUNDS)
    return misused ("--rounds is at least 100 with --engine cuda");
  if (o.batch == 0 && !cuda)
    o.batch = 1;
  for (char **name = o.engines; name && *name; name++)
    if (!g_strv_contains (engines, *name))
      return misused ("--engine is one of cpu, cuda, openvino, pytorch, onnxruntime");
  for (char **name = o.precisions; name && *name; name++)
    if (!g_strv_contains (precisions, *name) || (g_str_equal (*name, "fp16") && !cuda))
      return misused ("--precision is fp32 or bf16, with --engine cuda also fp16");
  for (char **name = o.isas; name && *name; name++)
    if (!cg_cpu_isa_supported (*name))
      return misused ("--isa is none that this CPU and this build have");
  if (o.geometries != NULL && o.model != NULL)
    return misused ("--geometry and --model exclude each other");
  if (o.geometries == NULL)
    o.geometries = o.model ? g_strdupv ((char *[]){ o.model, NULL })
                           : g_strdupv ((char **)(cuda ? usual_cuda : usual));
  if (cuda)
    return cg_bench_cuda (&o, &(BenchCudaScale){ PICTURE_WIDTH, PICTURE_HEIGHT, LIVE_STREAMS });
  /* Nobody asked for a peer. */
  if (o.engines != NULL && g_strv_length (o.engines) == 1 && wanted (o.engines, "cpu"))
    o.no_peers = TRUE;

  g_auto (Bench)
      bench = { .options = &o,
                .threads = o.threads ? (guint)o.threads : MIN (2, g_get_num_processors ()),
                .contestants = g_ptr_array_new_with_free_func (contestant_free),
                .pictures = g_ptr_array_new_with_free_func (contestant_free),
                .memory = json_array_new (),
                .small_16_resident = NAN };
  for (char **geometry = o.geometries; *geometry; geometry++)
    if (!measure_geometry (&bench, *geometry, &error)) {
      fprintf (stderr, "%s: %s\n", g_get_prgname (), error->message);
      return EXIT_FAILURE;
    }
  if (wanted (o.engines, "cpu"))
    measure_pictures (&bench);

  if (o.json)
    bench_print_json (&bench);
  else
    bench_print_table (&bench);
  return EXIT_SUCCESS;
}
