/* What the element costs and how it holds its times (bench-element.h).
 *
 *   cpu      CPU time of the whole process for a 1080p frame at full speed, with `identity` and with `cityguessr` in
 *            turns. Each turn is a pipeline of its own; its first window and what comes before are not counted. At 30
 *            frames a second, 1 % of a core is 333 us for a frame. The bars are for the median over rounds of the
 *            difference.
 *   hold     for each frame that becomes a sample, the time from the element's sink pad to its source pad, in the
 *            streaming thread, with the preprocessing of the CPU engine to 224 x 224. Every fifth frame is a sample;
 *            after the first window no other is computed.
 *   streams  live streams that share a null engine, which takes 10 ms for a batch of at most 8 windows. Late: a picture
 *            that reaches the sink after the time at which it is to be shown (its running time and the latency of the
 *            pipeline). First at half of what the engine can do, for lateness and for the latency of a window (last
 *            sample in, answer out); then with more windows than it can do, for throughput.
 *   hour     3600 s of video at one frame a second as fast as it goes, with the tiny network on the CPU. Memory,
 *            descriptors and threads each minute of video; the slope by least squares. An hour before is not counted.
 *   stop     set_state (NULL) while the null engine computes a window of 300 ms.
 *
 * Models: a small pipeline with the same element holds each engine open during its measurements, so that none loads a
 * model in between.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "bench-element.h"

#include <gst/gst.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bench-element-private.h"
#include "machine.h"

#define EXIT_USAGE 2
#define PATIENCE_US (60LL * G_USEC_PER_SEC) /* for anything that is waited for */
#define HD_CAPS "video/x-raw,format=NV12,width=1920,height=1080,framerate=30/1"
#define NULL_MODEL "device=null model=generated:tiny:1"
#define CPU_MODEL "device=cpu cpu-threads=1 model=generated:small-16:1"
#define TINY_SAMPLES 8 /* to a window of the tiny model */
#define NULL_BATCH 8   /* windows that the null engine takes at once */

static gdouble
seconds_of (clockid_t clock)
{
  struct timespec t = { 0, 0 };

  clock_gettime (clock, &t);
  return t.tv_sec + t.tv_nsec / 1e9;
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (ElementBench, element_bench_clear)

/* ---- pipelines ---- */

G_GNUC_PRINTF (2, 3)
static GstElement *
pipeline_new (GError **error, const char *format, ...)
{
  g_autofree char *description = NULL;
  GstElement *pipeline;
  GError *problem = NULL;
  va_list args;

  va_start (args, format);
  description = g_strdup_vprintf (format, args);
  va_end (args);
  pipeline = gst_parse_launch (description, &problem);
  if (problem == NULL)
    return gst_object_ref_sink (pipeline);
  g_propagate_prefixed_error (error, problem, "%s: ", description);
  g_clear_object (&pipeline);
  return NULL;
}

static void
pipeline_stop (GstElement *pipeline)
{
  gst_element_set_state (pipeline, GST_STATE_NULL);
  gst_object_unref (pipeline);
}

static GstPad *
pad_of (GstElement *pipeline, const char *element, const char *pad)
{
  g_autoptr (GstElement) e = gst_bin_get_by_name (GST_BIN (pipeline), element);

  return gst_element_get_static_pad (e, pad);
}

static gboolean
set_failed (GError **error, const char *what)
{
  g_set_error (error, GST_CORE_ERROR, GST_CORE_ERROR_FAILED, "%s", what);
  return FALSE;
}

/* Whether an ERROR message is on the bus; then it is in @error. */
static gboolean
has_failed (GstElement *pipeline, GError **error)
{
  g_autoptr (GstBus) bus = gst_element_get_bus (pipeline);
  g_autoptr (GstMessage) message = gst_bus_pop_filtered (bus, GST_MESSAGE_ERROR);

  if (message == NULL)
    return FALSE;
  gst_message_parse_error (message, error, NULL);
  return TRUE;
}

/* Plays @pipeline to its end. */
static gboolean
play_through (GstElement *pipeline, GError **error)
{
  g_autoptr (GstBus) bus = gst_element_get_bus (pipeline);
  g_autoptr (GstMessage) message = NULL;

  gst_element_set_state (pipeline, GST_STATE_PLAYING);
  message = gst_bus_timed_pop_filtered (bus, 10 * PATIENCE_US * 1000,
                                        GST_MESSAGE_EOS | GST_MESSAGE_ERROR);
  if (message == NULL)
    return set_failed (error, "The pipeline did not come to its end within ten minutes");
  if (GST_MESSAGE_TYPE (message) == GST_MESSAGE_EOS)
    return TRUE;
  gst_message_parse_error (message, error, NULL);
  return FALSE;
}

/* Plays @pipeline until a streaming thread sets *@done; the caller stops it. */
static gboolean
play_until (GstElement *pipeline, gint *done, GError **error)
{
  const gint64 end = g_get_monotonic_time () + 10 * PATIENCE_US;

  gst_element_set_state (pipeline, GST_STATE_PLAYING);
  while (!g_atomic_int_get (done)) {
    if (has_failed (pipeline, error))
      return FALSE;
    if (g_get_monotonic_time () > end)
      return set_failed (error, "The pipeline did not come to its end within ten minutes");
    g_usleep (2000);
  }
  return TRUE;
}

static guint64
stat_of (GstElement *element, const char *field)
{
  g_autoptr (GstStructure) stats = NULL;
  guint64 value = 0;

  g_object_get (element, "stats", &stats, NULL);
  gst_structure_get_uint64 (stats, field, &value);
  return value;
}

/* Until @field of the element's statistics is at least @value. */
static gboolean
wait_for_stat (GstElement *pipeline, GstElement *element, const char *field, guint64 value,
               GError **error)
{
  const gint64 end = g_get_monotonic_time () + PATIENCE_US;

  while (stat_of (element, field) < value) {
    if (has_failed (pipeline, error))
      return FALSE;
    if (g_get_monotonic_time () > end)
      return set_failed (error, "The element did not get as far as it should within a minute");
    g_usleep (500);
  }
  return TRUE;
}

/* A pipeline that does no more than to keep the engine of @settings open. */
static GstElement *
hold_engine (const char *settings, guint delay_us, GError **error)
{
  GstElement *pipeline = pipeline_new (
      error, "videotestsrc num-buffers=1 ! cityguessr name=c %s ! fakesink", settings);
  g_autoptr (GstElement) element = NULL;
  const gint64 end = g_get_monotonic_time () + PATIENCE_US;
  g_autofree char *device = NULL;

  if (pipeline == NULL)
    return NULL;
  element = gst_bin_get_by_name (GST_BIN (pipeline), "c");
  g_object_set_data (G_OBJECT (element), "cityguessr-null-delay-us", GUINT_TO_POINTER (delay_us));
  gst_element_set_state (pipeline, GST_STATE_PAUSED);
  for (;;) {
    g_object_get (element, "active-device", &device, NULL);
    if (device != NULL)
      return pipeline;
    if (has_failed (pipeline, error))
      break;
    if (g_get_monotonic_time () > end) {
      set_failed (error, "The engine was not open within a minute");
      break;
    }
    g_usleep (1000);
  }
  pipeline_stop (pipeline);
  return NULL;
}

typedef GstElement Pipeline;
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Pipeline, pipeline_stop)

/* ---- cpu ---- */

#define CPU_FRAMES 300 /* counted ones */
#define CPU_WARM 660   /* before them: until the first window is full, sampling is denser */

typedef struct {
  guint frame;
  gint done;          /* atomic */
  gdouble begin, end; /* process CPU seconds */
} CpuCount;

static GstPadProbeReturn
count_cpu (GstPad *pad, GstPadProbeInfo *info, gpointer data)
{
  CpuCount *count = data;

  count->frame++;
  if (count->frame == CPU_WARM)
    count->begin = seconds_of (CLOCK_PROCESS_CPUTIME_ID);
  if (count->frame == CPU_WARM + CPU_FRAMES) {
    count->end = seconds_of (CLOCK_PROCESS_CPUTIME_ID);
    g_atomic_int_set (&count->done, TRUE);
  }
  return GST_PAD_PROBE_OK;
}

/* Microseconds of CPU for a frame. */
static gboolean
cpu_turn (const char *element, gdouble *us, GError **error)
{
  g_autoptr (Pipeline) pipeline =
      pipeline_new (error, "videotestsrc ! " HD_CAPS " ! %s ! fakesink name=sink", element);
  g_autoptr (GstPad) pad = NULL;
  CpuCount count = { 0 };

  if (pipeline == NULL)
    return FALSE;
  pad = pad_of (pipeline, "sink", "sink");
  gst_pad_add_probe (pad, GST_PAD_PROBE_TYPE_BUFFER, count_cpu, &count, NULL);
  if (!play_until (pipeline, &count.done, error))
    return FALSE;
  *us = (count.end - count.begin) / CPU_FRAMES * 1e6;
  return TRUE;
}

/* At the models' interval of 1.4 s, the first window is full at frame 630; with this hop the next one is far. What is
 * counted holds seven samples. */
static gboolean
measure_cpu (ElementBench *run, GError **error)
{
  static const char *const elements[] = {
    "identity",
    "cityguessr hop=1000 sample-interval=1400000000 " NULL_MODEL,
    "cityguessr hop=1000 sample-interval=1400000000 " CPU_MODEL,
  };
  static const char *const names[] = {
    "identity: CPU of the process for a 1080p NV12 frame",
    "cityguessr: the same, a sample each 1.4 s, null engine",
    "cityguessr: the same, a sample each 1.4 s, preprocessing of the CPU engine",
    "more than identity, null engine, at 30 frames/s",
    "more than identity, CPU engine, at 30 frames/s",
  };
  g_autoptr (Pipeline) null_engine = hold_engine (NULL_MODEL, 0, error);
  g_autoptr (Pipeline) cpu_engine = null_engine ? hold_engine (CPU_MODEL, 0, error) : NULL;
  GArray *values[5];

  if (cpu_engine == NULL)
    return FALSE;
  for (guint i = 0; i < G_N_ELEMENTS (values); i++)
    values[i] = element_bench_add_result (run, "cpu", names[i], i < 3 ? "us" : "% of a core");
  /* The order turns over from round to round, so that a machine that grows slower favours nobody. */
  for (gint round = 0; round < run->options.rounds; round++) {
    gdouble us[3];
    for (guint k = 0; k < 3; k++) {
      const guint i = round % 2 ? 2 - k : k;
      if (!cpu_turn (elements[i], &us[i], error))
        return FALSE;
      element_bench_append (values[i], us[i]);
    }
    for (guint i = 1; i < 3; i++)
      element_bench_append (values[2 + i], (us[i] - us[0]) * 30 / 1e6 * 100);
  }
  element_bench_add_bar (run, "CPU between windows, more than identity, null engine, % of a core",
                         element_bench_rank (values[3], 0.5), FALSE, 1, NULL);
  element_bench_add_bar (run, "the same with the CPU engine's samples, % of a core",
                         element_bench_rank (values[4], 0.5), FALSE, 1, NULL);
  return TRUE;
}

/* ---- hold ---- */

#define HOLD_INTERVAL 5 /* frames from sample to sample */
#define HOLD_WARM \
  (20 * HOLD_INTERVAL) /* frames: until the first window is full, sampling is denser */
#define HOLD_SAMPLES_A_ROUND 75
#define FRAME_NS (GST_SECOND / 30)

typedef struct {
  GstElement *element;
  guint frame, last;
  guint64 first_samples, samples; /* that the element counts at either end */
  gint done;                      /* atomic */
  gdouble wall, cpu;              /* of the streaming thread, when the frame came in */
  GArray *walls, *cpus;
} HoldCount;

static GstPadProbeReturn
hold_in (GstPad *pad, GstPadProbeInfo *info, gpointer data)
{
  HoldCount *count = data;

  count->cpu = seconds_of (CLOCK_THREAD_CPUTIME_ID);
  count->wall = seconds_of (CLOCK_MONOTONIC);
  return GST_PAD_PROBE_OK;
}

static GstPadProbeReturn
hold_out (GstPad *pad, GstPadProbeInfo *info, gpointer data)
{
  HoldCount *count = data;
  const gdouble wall = seconds_of (CLOCK_MONOTONIC) - count->wall;
  const gdouble cpu = seconds_of (CLOCK_THREAD_CPUTIME_ID) - count->cpu;

  if (count->frame == HOLD_WARM - 1)
    count->first_samples = stat_of (count->element, "samples");
  if (count->frame % HOLD_INTERVAL == 0 && count->frame >= HOLD_WARM &&
      count->frame < count->last) {
    element_bench_append (count->walls, wall * 1e3);
    element_bench_append (count->cpus, cpu * 1e3);
  }
  if (++count->frame == count->last) {
    count->samples = stat_of (count->element, "samples") - count->first_samples;
    g_atomic_int_set (&count->done, TRUE);
  }
  return GST_PAD_PROBE_OK;
}

static gboolean
measure_hold (ElementBench *run, GError **error)
{
  const guint samples = (guint)run->options.rounds * HOLD_SAMPLES_A_ROUND;
  g_autoptr (Pipeline) engine = hold_engine (CPU_MODEL, 0, error);
  g_autoptr (GstElement) element = NULL;
  g_autoptr (GstPad) sink = NULL, src = NULL;
  HoldCount count = { .last = HOLD_WARM + samples * HOLD_INTERVAL };
  g_autoptr (Pipeline) pipeline = NULL;

  count.walls = element_bench_add_result (run, "hold",
                                          "streaming thread held for a sample, 1080p NV12", "ms");
  count.cpus = element_bench_add_result (run, "hold", "CPU time of this thread in it", "ms");
  if (engine == NULL)
    return FALSE;
  pipeline = pipeline_new (error,
                           "videotestsrc ! " HD_CAPS
                           " ! cityguessr name=c hop=%u sample-interval=%" G_GUINT64_FORMAT
                           " processing-mode=offline " CPU_MODEL " ! fakesink",
                           samples + 100, (guint64)(HOLD_INTERVAL * FRAME_NS));
  if (pipeline == NULL)
    return FALSE;
  element = gst_bin_get_by_name (GST_BIN (pipeline), "c");
  count.element = element;
  sink = pad_of (pipeline, "c", "sink");
  src = pad_of (pipeline, "c", "src");
  gst_pad_add_probe (sink, GST_PAD_PROBE_TYPE_BUFFER, hold_in, &count, NULL);
  gst_pad_add_probe (src, GST_PAD_PROBE_TYPE_BUFFER, hold_out, &count, NULL);
  if (!play_until (pipeline, &count.done, error))
    return FALSE;
  gst_element_set_state (pipeline, GST_STATE_NULL);
  if (count.samples != samples) {
    g_set_error (error, GST_CORE_ERROR, GST_CORE_ERROR_FAILED,
                 "The element took %" G_GUINT64_FORMAT " samples where this benchmark counts %u",
                 count.samples, samples);
    return FALSE;
  }
  element_bench_add_bar (run, "streaming thread held for a sample, median, ms",
                         element_bench_rank (count.walls, 0.5), FALSE, 1.2, NULL);
  element_bench_add_bar (run, "streaming thread held for a sample, p99, ms",
                         element_bench_rank (count.walls, 0.99), FALSE, 2.5, NULL);
  return TRUE;
}

/* ---- streams ---- */

#define STREAM_FPS 25
#define STREAM_EXCESS 1.2 /* how many times the windows are asked for that the engine can do */
#define STREAM_DELAY_US 10000

typedef struct {
  GstElement *sink;
  gdouble latency_ms; /* lock; of the pipeline */
  gint *late;         /* atomic */
  GArray *lateness;   /* lock */
  GMutex *lock;
} StreamProbe;

/* How long after the time at which it is to be shown a picture comes to the sink. */
static GstPadProbeReturn
measure_lateness (GstPad *pad, GstPadProbeInfo *info, gpointer data)
{
  StreamProbe *probe = data;
  g_autoptr (GstClock) clock = gst_element_get_clock (probe->sink);
  gdouble ms;

  if (clock == NULL)
    return GST_PAD_PROBE_OK;
  ms = ((gdouble)gst_clock_get_time (clock) - gst_element_get_base_time (probe->sink) -
        GST_BUFFER_PTS (GST_PAD_PROBE_INFO_BUFFER (info))) /
       1e6;
  g_mutex_lock (probe->lock);
  ms -= probe->latency_ms;
  element_bench_append (probe->lateness, ms);
  g_mutex_unlock (probe->lock);
  if (ms > 0)
    g_atomic_int_inc (probe->late);
  return GST_PAD_PROBE_OK;
}

typedef struct {
  GMutex lock;
  GArray *latencies; /* lock; ms */
} StreamAnswers;

static GstBusSyncReply
take_latency (GstBus *bus, GstMessage *message, gpointer data)
{
  StreamAnswers *answers = data;
  guint64 latency;

  if (GST_MESSAGE_TYPE (message) == GST_MESSAGE_ERROR)
    return GST_BUS_PASS;
  if (GST_MESSAGE_TYPE (message) == GST_MESSAGE_ELEMENT &&
      gst_message_has_name (message, "cityguessr") &&
      gst_structure_get_uint64 (gst_message_get_structure (message), "latency", &latency)) {
    g_mutex_lock (&answers->lock);
    element_bench_append (answers->latencies, latency / 1e6);
    g_mutex_unlock (&answers->lock);
  }
  gst_message_unref (message);
  return GST_BUS_DROP;
}

typedef struct {
  gint late;
  gdouble rate; /* answers a second */
} StreamTotals;

/* Live streams, every frame a sample, each with a window every @hop samples. */
static gboolean
play_streams (ElementBench *run, guint fps, guint hop, gdouble seconds, GArray *latencies,
              GArray *lateness, StreamTotals *totals, GError **error)
{
  const guint n = (guint)run->options.streams;
  g_autoptr (GString) description = g_string_new (NULL);
  g_autoptr (Pipeline) pipeline = NULL;
  g_autofree StreamProbe *probes = g_new0 (StreamProbe, n);
  g_autoptr (GPtrArray) held = g_ptr_array_new_with_free_func (gst_object_unref);
  g_autoptr (GstBus) bus = NULL;
  StreamAnswers answers = { .latencies = latencies };
  g_autoptr (GstQuery) query = NULL;
  GstClockTime latency = 0;
  gboolean failed;

  for (guint i = 0; i < n; i++)
    g_string_append_printf (description,
                            "videotestsrc is-live=true pattern=solid-color ! "
                            "video/x-raw,format=NV12,width=320,height=180,framerate=%u/1 ! "
                            "cityguessr name=c%u hop=%u sample-interval=%d " NULL_MODEL
                            " ! fakesink name=s%u sync=true ",
                            fps, i, hop, (int)(GST_SECOND / fps), i);
  pipeline = pipeline_new (error, "%s", description->str);
  if (pipeline == NULL)
    return FALSE;
  g_mutex_init (&answers.lock);
  totals->late = 0;
  for (guint i = 0; i < n; i++) {
    g_autofree char *name = g_strdup_printf ("c%u", i), *sink_name = g_strdup_printf ("s%u", i);
    g_autoptr (GstElement) element = gst_bin_get_by_name (GST_BIN (pipeline), name);
    GstElement *sink = gst_bin_get_by_name (GST_BIN (pipeline), sink_name);
    g_autoptr (GstPad) pad = gst_element_get_static_pad (sink, "sink");
    g_ptr_array_add (held, sink);
    g_object_set_data (G_OBJECT (element), "cityguessr-null-delay-us",
                       GUINT_TO_POINTER (STREAM_DELAY_US));
    probes[i] = (StreamProbe){ sink, 0, &totals->late, lateness, &answers.lock };
    gst_pad_add_probe (pad, GST_PAD_PROBE_TYPE_BUFFER, measure_lateness, &probes[i], NULL);
  }
  bus = gst_element_get_bus (pipeline);
  gst_bus_set_sync_handler (bus, take_latency, &answers, NULL);
  gst_element_set_state (pipeline, GST_STATE_PLAYING);

  /* The first windows fill up, and nothing is counted yet. */
  g_usleep ((gulong)((gdouble)(TINY_SAMPLES + hop) * G_USEC_PER_SEC / fps + G_USEC_PER_SEC / 2));
  query = gst_query_new_latency ();
  if (gst_element_query (pipeline, query))
    gst_query_parse_latency (query, NULL, &latency, NULL);
  g_mutex_lock (&answers.lock);
  g_array_set_size (latencies, 0);
  g_array_set_size (lateness, 0);
  for (guint i = 0; i < n; i++)
    probes[i].latency_ms = latency / 1e6;
  g_mutex_unlock (&answers.lock);
  g_atomic_int_set (&totals->late, 0);
  const gint64 began = g_get_monotonic_time ();
  g_usleep ((gulong)(seconds * G_USEC_PER_SEC));
  g_mutex_lock (&answers.lock);
  totals->rate = latencies->len / ((g_get_monotonic_time () - began) / 1e6);
  g_mutex_unlock (&answers.lock);

  gst_element_set_state (pipeline, GST_STATE_NULL);
  failed = has_failed (pipeline, error);
  gst_bus_set_sync_handler (bus, NULL, NULL, NULL);
  g_mutex_clear (&answers.lock);
  return !failed;
}

/* The engine's pace: a batch of NULL_BATCH in STREAM_DELAY_US where as many streams wait. */
static gdouble
streams_capacity (const ElementBenchOptions *options)
{
  return MIN (options->streams, NULL_BATCH) * 1e6 / STREAM_DELAY_US;
}

static gboolean
measure_streams (ElementBench *run, GError **error)
{
  const gdouble seconds = run->options.rounds * 2.0;
  const gdouble capacity = streams_capacity (&run->options);
  /* Demanded are FPS / hop windows a second from each stream. */
  const guint hop =
      (guint)MAX (ceil (run->options.streams * (gdouble)STREAM_FPS / (capacity / 2)), 1);
  const char *why_not =
      g_get_num_processors () < 2 ? "cannot be shown here: it is for at least 2 CPUs" : NULL;
  const guint fps = (guint)ceil (capacity * STREAM_EXCESS / run->options.streams);
  g_autofree char *latency_what = NULL, *late_what = NULL, *rate_what = NULL;
  g_autoptr (GArray) busy_latencies = g_array_new (FALSE, FALSE, sizeof (gdouble));
  GArray *latencies, *lateness, *busy_lateness;
  StreamTotals calm, busy;

  latency_what = g_strdup_printf ("latency of a window, %d live streams of %d frames/s, hop %u",
                                  run->options.streams, STREAM_FPS, hop);
  rate_what = g_strdup_printf ("answers of %d live streams of %u frames/s, hop 1",
                               run->options.streams, fps);
  late_what = g_strdup_printf ("a picture comes to the sink after it is due, %u frames/s", fps);
  latencies = element_bench_add_result (run, "streams", latency_what, "ms");
  lateness = element_bench_add_result (run, "streams",
                                       "a picture comes to the sink after it is due", "ms");
  if (!play_streams (run, STREAM_FPS, hop, seconds, latencies, lateness, &calm, error))
    return FALSE;
  busy_lateness = element_bench_add_result (run, "streams", late_what, "ms");
  if (!play_streams (run, fps, 1, seconds, busy_latencies, busy_lateness, &busy, error))
    return FALSE;
  element_bench_append (element_bench_add_result (run, "streams", rate_what, "1/s"), busy.rate);
  element_bench_append (element_bench_add_result (run, "streams", "what the engine can do", "1/s"),
                        capacity);
  element_bench_add_bar (run, "live streams on one engine, late pictures", calm.late, FALSE, 0,
                         why_not);
  element_bench_add_bar (run, "the same while more windows are asked for than it can do", busy.late,
                         FALSE, 0, why_not);
  element_bench_add_bar (run, "live streams on one engine, latency p99 / p50",
                         element_bench_rank (latencies, 0.99) / element_bench_rank (latencies, 0.5),
                         FALSE, 3, why_not);
  element_bench_add_bar (run, "live streams on one engine, answers, part of what it can do",
                         busy.rate / capacity, TRUE, 0.95, why_not);
  return TRUE;
}

/* ---- hour ---- */

#define HOUR_SECONDS 3600
#define HOUR_WARM 3600 /* before them: malloc's arenas find their size */

typedef struct {
  guint frame;
  GArray *rss, *fds, *threads; /* one each minute of video */
} HourCount;

/* What the system does not tell is no number. */
static void
append_known (GArray *values, gdouble value)
{
  element_bench_append (values, value > 0 ? value : NAN);
}

static GstPadProbeReturn
count_hour (GstPad *pad, GstPadProbeInfo *info, gpointer data)
{
  HourCount *count = data;

  if (++count->frame % 60 != 0 || count->frame <= HOUR_WARM)
    return GST_PAD_PROBE_OK;
  append_known (count->rss, machine_resident_mb ());
  append_known (count->fds, machine_descriptors ());
  append_known (count->threads, machine_threads ());
  return GST_PAD_PROBE_OK;
}

/* Of the line through @values, per element, by least squares. */
static gdouble
slope (const GArray *values)
{
  const gdouble n = values->len, mean_x = (n - 1) / 2;
  gdouble mean_y = 0, xy = 0, xx = 0;

  for (guint i = 0; i < n; i++)
    mean_y += g_array_index (values, gdouble, i) / n;
  for (guint i = 0; i < n; i++) {
    xy += (i - mean_x) * (g_array_index (values, gdouble, i) - mean_y);
    xx += (i - mean_x) * (i - mean_x);
  }
  return xy / xx;
}

static gdouble
spread (const GArray *values)
{
  gdouble least = INFINITY, most = -INFINITY;

  for (guint i = 0; i < values->len; i++) {
    least = MIN (least, g_array_index (values, gdouble, i));
    most = MAX (most, g_array_index (values, gdouble, i));
  }
  return most - least;
}

static gboolean
measure_hour (ElementBench *run, GError **error)
{
  g_autoptr (Pipeline) pipeline = pipeline_new (
      error,
      "videotestsrc num-buffers=%d ! video/x-raw,format=NV12,width=320,height=180,framerate=1/1 ! "
      "cityguessr device=cpu cpu-threads=1 model=generated:tiny:1 processing-mode=offline ! "
      "fakesink name=sink",
      HOUR_WARM + HOUR_SECONDS);
  g_autoptr (GstPad) pad = NULL;
  HourCount count = { 0 };
  const gdouble began = seconds_of (CLOCK_MONOTONIC);
  gdouble rss;
  const char *why_not;

  count.rss = element_bench_add_result (run, "hour",
                                        "an hour of video at 1 frame/s: resident memory", "MB");
  count.fds = element_bench_add_result (run, "hour", "the same: descriptors", "");
  count.threads = element_bench_add_result (run, "hour", "the same: threads", "");
  if (pipeline == NULL)
    return FALSE;
  pad = pad_of (pipeline, "sink", "sink");
  gst_pad_add_probe (pad, GST_PAD_PROBE_TYPE_BUFFER, count_hour, &count, NULL);
  if (!play_through (pipeline, error))
    return FALSE;
  element_bench_append (element_bench_add_result (
                            run, "hour", "this hour and the one before: how long they took", "s"),
                        seconds_of (CLOCK_MONOTONIC) - began);
  if (count.rss->len != HOUR_SECONDS / 60)
    return set_failed (error, "Frames of the hour were lost");
  /* Before the values are sorted. */
  rss = slope (count.rss) * 60;
  why_not = isfinite (rss) ? NULL : "cannot be shown here: there is no /proc";
  element_bench_add_bar (run, "an hour of video, growth of resident memory, MB an hour", rss, FALSE,
                         0.1, why_not);
  element_bench_add_bar (run, "an hour of video, change of the number of descriptors",
                         spread (count.fds), FALSE, 0, why_not);
  element_bench_add_bar (run, "an hour of video, change of the number of threads",
                         spread (count.threads), FALSE, 0, why_not);
  return TRUE;
}

/* ---- stop ---- */

#define STOP_DELAY_US 300000
#define STOP_TRIALS_A_ROUND 3

static gboolean
stop_once (gulong phase_us, gdouble *ms, GError **error)
{
  g_autoptr (Pipeline) pipeline =
      pipeline_new (error, "videotestsrc ! video/x-raw,format=NV12,width=320,height=180,"
                           "framerate=10/1 ! cityguessr name=c processing-mode=offline " NULL_MODEL
                           " ! fakesink");
  g_autoptr (GstElement) element = NULL;
  gint64 began;

  if (pipeline == NULL)
    return FALSE;
  element = gst_bin_get_by_name (GST_BIN (pipeline), "c");
  g_object_set_data (G_OBJECT (element), "cityguessr-null-delay-us",
                     GUINT_TO_POINTER (STOP_DELAY_US));
  gst_element_set_state (pipeline, GST_STATE_PLAYING);
  if (!wait_for_stat (pipeline, element, "windows", 1, error))
    return FALSE;
  g_usleep (phase_us);
  if (stat_of (element, "answered") != 0) /* this machine slept too long */
    return *ms = NAN, TRUE;
  began = g_get_monotonic_time ();
  gst_element_set_state (pipeline, GST_STATE_NULL);
  *ms = (g_get_monotonic_time () - began) / 1e3;
  return TRUE;
}

static gboolean
measure_stop (ElementBench *run, GError **error)
{
  const guint trials = (guint)run->options.rounds * STOP_TRIALS_A_ROUND;
  GArray *times =
      element_bench_add_result (run, "stop", "to NULL while a window of 300 ms is computed", "ms");

  for (guint i = 0; i < trials; i++) {
    gdouble ms;
    /* At all phases of the first two thirds of the window. */
    if (!stop_once (STOP_DELAY_US / 3 * 2 * i / trials, &ms, error))
      return FALSE;
    if (isfinite (ms))
      element_bench_append (times, ms);
  }
  element_bench_add_bar (run, "to NULL while a window of 300 ms is computed, p99, ms",
                         element_bench_rank (times, 0.99), FALSE, 350,
                         times->len > 0 ? NULL
                                        : "cannot be shown here: every window was over too soon");
  return TRUE;
}

/* ---- the command ---- */

static const struct {
  const char *name;
  gboolean (*measure) (ElementBench *run, GError **error);
} measures[] = {
  { "cpu", measure_cpu },   { "hold", measure_hold }, { "streams", measure_streams },
  { "hour", measure_hour }, { "stop", measure_stop },
};

static gboolean
is_measure (const char *name)
{
  for (guint i = 0; i < G_N_ELEMENTS (measures); i++)
    if (g_str_equal (measures[i].name, name))
      return TRUE;
  return FALSE;
}

static int
misused (const char *format, const char *detail)
{
  fprintf (stderr, "%s: %s%s\nTry: %s --help\n", g_get_prgname (), format, detail,
           g_get_prgname ());
  return EXIT_USAGE;
}

static gboolean
start_gstreamer (GError **error)
{
  g_autoptr (GstElementFactory) factory = NULL;

  if (!gst_init_check (NULL, NULL, error))
    return FALSE;
  factory = gst_element_factory_find ("cityguessr");
  if (factory != NULL)
    return TRUE;
  return set_failed (error, "GStreamer finds no element “cityguessr”. Install the plugin, or set "
                            "GST_PLUGIN_PATH_1_0 to the folder that libgstcityguessr.so is in");
}

static gboolean
measure_all (ElementBench *run, GError **error)
{
  if (!start_gstreamer (error))
    return FALSE;
  for (guint i = 0; i < G_N_ELEMENTS (measures); i++) {
    if (run->options.only &&
        !g_strv_contains ((const char *const *)run->options.only, measures[i].name))
      continue;
    fprintf (stderr, "measuring %s\n", measures[i].name);
    if (!measures[i].measure (run, error)) {
      g_prefix_error (error, "%s: ", measures[i].name);
      return FALSE;
    }
  }
  return TRUE;
}

int
cg_bench_element_main (int argc, char **argv)
{
  g_auto (ElementBench) run;
  ElementBenchOptions *o = &run.options;
  const GOptionEntry entries[] = {
    { "only", 0, 0, G_OPTION_ARG_STRING_ARRAY, &o->only,
      "Only this one (repeatable): cpu, hold, streams, hour, stop", "MEASURE" },
    { "rounds", 0, 0, G_OPTION_ARG_INT, &o->rounds, "How often (default 8); 8 take two minutes",
      "N" },
    { "streams", 0, 0, G_OPTION_ARG_INT, &o->streams, "Live streams on one engine (default 16)",
      "N" },
    { "json", 0, 0, G_OPTION_ARG_NONE, &o->json, "Print JSON", NULL },
    { NULL },
  };
  g_autoptr (GOptionContext) context = g_option_context_new (NULL);
  g_autoptr (GError) error = NULL;

  element_bench_init (&run);
  o->rounds = 8;
  o->streams = 16;
  g_option_context_set_summary (context, "Measures the element in pipelines: what a frame and a "
                                         "sample cost, many live streams,\nan hour of video, and "
                                         "how soon it stops.");
  g_option_context_add_main_entries (context, entries, NULL);
  if (!g_option_context_parse (context, &argc, &argv, &error))
    return misused (error->message, "");
  if (argc > 1)
    return misused ("there are only options", "");
  if (o->rounds < 1 || o->rounds > 10000 || o->streams < 1 || o->streams > 256)
    return misused ("--rounds is from 1 to 10000, --streams from 1 to 256", "");
  for (char **name = o->only; name && *name; name++)
    if (!is_measure (*name))
      return misused ("--only is one of cpu, hold, streams, hour, stop; not ", *name);

  if (!measure_all (&run, &error)) {
    fprintf (stderr, "%s: %s\n", g_get_prgname (), error->message);
    return EXIT_FAILURE;
  }
  if (o->json)
    element_bench_print_json (&run);
  else
    element_bench_print_table (&run);
  return EXIT_SUCCESS;
}
