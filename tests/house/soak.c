/* A long run: pipelines that play, seek, pause, stop and vanish at random, for an hour or so, and nothing that grows.
 *
 *   soak [--minutes=60] [--seed=1]       or ./run soak [MINUTES]; exit status 0, 1 if something grew or went wrong
 *
 * Some pipelines stay for the whole run: an endless one at full speed, one that is played over and over by seeks, and
 * two live ones, one of which draws. (GStreamer's textoverlay, made anew, keeps some 20 kB each time, in Pango and
 * Fontconfig, so it is not among those that come and go.) Around them others come and go, each made and treated by
 * drawn numbers: the seed repeats the decisions, not their timing. Every ten seconds these others are stopped and
 * freed, and then memory, descriptors and threads are counted: whatever grows from one such rest to the next is lost
 * for good, or held by a pipeline that stays.
 *
 * The first quarter of the run is for caches to fill. Over the rest a straight line is fitted to the resident memory
 * (after malloc_trim) and to what malloc has given out. The former is not judged in a run of less than half an hour.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "pipelines/machine.h"

#include <gst/gst.h>
#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifdef __GLIBC__
#include <malloc.h>
#endif

#define SAMPLE_SECONDS 10
#define GUESTS 6 /* pipelines that come and go, at most at a time */
#define PATIENCE_SECONDS \
  300 /* one call that takes longer, or a pipeline silent for longer, is stuck */
#define SETTLE_SECONDS 20   /* for threads to end after their pipelines */
#define MOST_RSS_GROWTH 2.0 /* MB over the fitted three quarters */
#define RSS_MINUTES 30      /* a shorter run ends before malloc's arenas have found their size */
#define MOST_HEAP_GROWTH \
  0.5 /* the same, of memory that malloc gave out: GStreamer keeps some 30 bytes of a pipeline */
#define LOOP_SECONDS 600 /* media time of one turn of the pipeline that is played over and over */
#define MODEL "generated:tiny:1"
#define EXIT_USAGE 2

/* ---- what happens on the buses; sync handlers run in any thread ---- */

#define TOLD 10 /* complaints that are printed; more are counted */

static gint answers, drops, complaints; /* atomic */
static GMutex lock;

typedef struct {
  char *name;
  GstElement *pipeline;
  gboolean live;
  gint answers, ended; /* atomic */
  gint64 last_answers, heard;
} Actor;

static void
complain (const char *whose, const char *text, const char *more)
{
  const gint n = g_atomic_int_add (&complaints, 1);

  if (n < TOLD)
    g_print ("FAILED: %s: %s%s%s\n", whose, text, more ? ": " : "", more ? more : "");
}

static GstBusSyncReply
on_message (GstBus *bus, GstMessage *message, gpointer data)
{
  Actor *actor = data;
  GError *error = NULL;
  char *debug = NULL;

  switch (GST_MESSAGE_TYPE (message)) {
  case GST_MESSAGE_ELEMENT:
    if (gst_message_has_name (message, "cityguessr")) {
      g_atomic_int_inc (&answers);
      g_atomic_int_inc (&actor->answers);
    }
    break;
  case GST_MESSAGE_QOS:
    g_atomic_int_inc (&drops);
    break;
  case GST_MESSAGE_EOS:
    g_atomic_int_set (&actor->ended, TRUE);
    break;
  case GST_MESSAGE_WARNING:
    gst_message_parse_warning (message, &error, &debug);
    complain (actor->name, error->message, debug);
    break;
  case GST_MESSAGE_ERROR:
    gst_message_parse_error (message, &error, &debug);
    complain (actor->name, error->message, debug);
    break;
  default:
    break;
  }
  g_clear_error (&error);
  g_free (debug);
  gst_message_unref (message);
  return GST_BUS_DROP;
}

/* What GLib and GStreamer complain of themselves is an error here. */
static void
on_log (const char *domain, GLogLevelFlags level, const char *text, gpointer data)
{
  if (level & (G_LOG_LEVEL_ERROR | G_LOG_LEVEL_CRITICAL | G_LOG_LEVEL_WARNING))
    complain (domain ? domain : "", text, NULL);
}

/* ---- the watchdog ---- */

static gint watch_stop;          /* atomic */
static gint64 doing_since;       /* lock */
static const char *doing, *whom; /* lock */

static void
now_doing (const char *what, const char *name)
{
  g_mutex_lock (&lock);
  doing = what;
  whom = name;
  doing_since = g_get_monotonic_time ();
  g_mutex_unlock (&lock);
}

static gpointer
watch (gpointer data)
{
  while (!g_atomic_int_get (&watch_stop)) {
    g_usleep (G_USEC_PER_SEC / 5);
    g_mutex_lock (&lock);
    if (doing && g_get_monotonic_time () - doing_since > PATIENCE_SECONDS * G_USEC_PER_SEC) {
      g_print ("FAILED: %s %s takes more than %d s\n", doing, whom, PATIENCE_SECONDS);
      _exit (EXIT_FAILURE);
    }
    g_mutex_unlock (&lock);
  }
  return NULL;
}

/* ---- pipelines ---- */

static gboolean
has_pad (const char *name)
{
  g_autoptr (GstElementFactory) factory = gst_element_factory_find ("cityguessr");
  const GList *l = gst_element_factory_get_static_pad_templates (factory);

  for (; l; l = l->next)
    if (g_str_equal (((GstStaticPadTemplate *)l->data)->name_template, name))
      return TRUE;
  return FALSE;
}

static gboolean
has_overlay (void)
{
  g_autoptr (GstElement) overlay = gst_element_factory_make ("cityguessroverlay", NULL);

  if (overlay == NULL)
    return FALSE;
  gst_object_ref_sink (overlay);
  return overlay->numsinkpads > 0;
}

/* " c.text_src ! fakesink" and the like for the pads that the element has */
static char *
side_pads (void)
{
  GString *s = g_string_new (NULL);

  for (guint i = 0; i < 2; i++) {
    const char *name = i ? "json_src" : "text_src";
    if (has_pad (name))
      g_string_append_printf (s, " c.%s ! fakesink async=false sync=false", name);
  }
  return g_string_free (s, FALSE);
}

static Actor *
actor_new (const char *name, const char *description)
{
  Actor *actor = g_new0 (Actor, 1);
  g_autoptr (GError) error = NULL;
  g_autoptr (GstBus) bus = NULL;

  actor->name = g_strdup (name);
  actor->pipeline = gst_parse_launch (description, &error);
  if (error != NULL) {
    g_printerr ("%s: %s\n", description, error->message);
    exit (EXIT_FAILURE);
  }
  gst_object_ref_sink (actor->pipeline);
  bus = gst_element_get_bus (actor->pipeline);
  gst_bus_set_sync_handler (bus, on_message, actor, NULL);
  actor->heard = g_get_monotonic_time ();
  return actor;
}

static void
actor_free (Actor *actor)
{
  g_autoptr (GstBus) bus = gst_element_get_bus (actor->pipeline);

  now_doing ("stopping", actor->name);
  gst_element_set_state (actor->pipeline, GST_STATE_NULL);
  gst_bus_set_sync_handler (bus, NULL, NULL, NULL);
  gst_object_unref (actor->pipeline);
  g_free (actor->name);
  g_free (actor);
}

static void
play (Actor *actor, GstState state)
{
  now_doing ("a state change of", actor->name);
  gst_element_set_state (actor->pipeline, state);
}

/* From @start to @stop, seconds; to the end if that is negative. */
static void
seek (Actor *actor, GstSeekFlags flags, gint64 start, gint64 stop)
{
  now_doing ("a seek of", actor->name);
  gst_element_seek (actor->pipeline, 1.0, GST_FORMAT_TIME, flags, GST_SEEK_TYPE_SET,
                    start * GST_SECOND, GST_SEEK_TYPE_SET,
                    stop < 0 ? -1 : stop * (gint64)GST_SECOND);
}

static const char *
pick (GRand *rand, const char *const *names)
{
  return names[g_rand_int_range (rand, 0, g_strv_length ((char **)names))];
}

static char *
draw_video (GRand *rand, int fps)
{
  static const char *const formats[] = { "I420", "NV12", "YV12",  "P010_10LE", "RGB",
                                         "BGRx", "RGBA", "GRAY8", NULL };

  return g_strdup_printf ("video/x-raw,format=%s,width=%d,height=%d,framerate=%d/1",
                          pick (rand, formats), 2 * g_rand_int_range (rand, 8, 200),
                          2 * g_rand_int_range (rand, 8, 150), fps);
}

static char *
draw_element (GRand *rand)
{
  static const char *const engines[] = { "device=cpu cpu-threads=1", "device=cpu cpu-threads=1",
                                         "device=cpu", "device=null", NULL };

  return g_strdup_printf ("name=c %s model=%s hop=%d sample-interval=%d00000000",
                          pick (rand, engines), MODEL, g_rand_int_range (rand, 1, 8),
                          g_rand_int_range (rand, 1, 15));
}

/* A pipeline that comes and goes. */
static Actor *
guest_new (GRand *rand, guint number)
{
  const gboolean live = g_rand_boolean (rand);
  g_autofree char *video = draw_video (rand, live ? 25 : 1 + g_rand_int_range (rand, 0, 5));
  g_autofree char *element = draw_element (rand), *pads = side_pads (), *description = NULL;
  g_autofree char *source =
      g_strdup_printf ("videotestsrc pattern=ball is-live=%s ! %s", live ? "true" : "false", video);
  const char *kind;
  Actor *actor;

  switch (g_rand_int_range (rand, 0, 3)) {
  case 0:
    kind = "tee";
    description = g_strdup_printf ("%s ! tee name=t ! queue ! cityguessr %s ! fakesink "
                                   "t. ! queue ! cityguessr device=null model=%s hop=1 ! fakesink",
                                   source, element, MODEL);
    break;
  case 1:
    kind = "captions";
    description = g_strdup_printf ("%s ! cityguessr %s ! fakesink%s", source, element, pads);
    break;
  default:
    kind = "plain";
    description = g_strdup_printf ("%s ! cityguessr %s ! fakesink sync=%s", source, element,
                                   live ? "true" : "false");
    break;
  }
  g_autofree char *name = g_strdup_printf ("%s %s %u", live ? "live" : "file", kind, number);
  actor = actor_new (name, description);
  actor->live = live;
  if (strstr (description, "device=null")) {
    g_autoptr (GstElement) c = gst_bin_get_by_name (GST_BIN (actor->pipeline), "c");
    g_object_set_data (G_OBJECT (c), "cityguessr-null-delay-us",
                       GUINT_TO_POINTER (g_rand_int_range (rand, 0, 3) * 40000));
  }
  return actor;
}

/* ---- what is done to them ---- */

static void
change_a_property (Actor *actor, GRand *rand)
{
  static const char *const changes[][2] = {
    { "hop", "1" },
    { "hop", "5" },
    { "min-samples", "1" },
    { "min-confidence", "0.9" },
    { "min-confidence", "0" },
    { "top-k", "0" },
    { "top-k", "12" },
    { "decoding", "codependent" },
    { "decoding", "marginal" },
    { "processing-mode", "live" },
    { "processing-mode", "offline" },
    { "processing-mode", "auto" },
    { "early-results", "true" },
    { "early-results", "false" },
    { "track-memory", "0" },
    { "track-memory", "20000000000" },
    { "post-tags", "on-change" },
    { "post-tags", "final" },
    { "post-tags", "none" },
    { "caption-template", "{city}" },
    { "caption-timing", "window" },
    { "caption-timing", "video" },
  };
  const guint i = g_rand_int_range (rand, 0, G_N_ELEMENTS (changes));
  g_autoptr (GstElement) c = gst_bin_get_by_name (GST_BIN (actor->pipeline), "c");
  g_autoptr (GstStructure) stats = NULL;

  now_doing ("setting properties of", actor->name);
  if (g_object_class_find_property (G_OBJECT_GET_CLASS (c), changes[i][0]))
    gst_util_set_object_arg (G_OBJECT (c), changes[i][0], changes[i][1]);
  if (g_object_class_find_property (G_OBJECT_GET_CLASS (c), "stats"))
    g_object_get (c, "stats", &stats, NULL);
}

/* Whether its streaming thread runs, which a seek that flushes nothing, and EOS, wait for: not so in a paused sink. */
static gboolean
is_playing (Actor *actor)
{
  GstState state;

  return gst_element_get_state (actor->pipeline, &state, NULL, 0) == GST_STATE_CHANGE_SUCCESS &&
         state == GST_STATE_PLAYING;
}

/* Live sources are not sought in: a live test source then waits until the clock shows that time. */
static void
treat (Actor *actor, GRand *rand)
{
  switch (g_rand_int_range (rand, actor->live ? 3 : 0, 9)) {
  case 0:
    seek (actor, GST_SEEK_FLAG_FLUSH, g_rand_int_range (rand, 0, 1000), -1);
    break;
  case 1:
    seek (actor, GST_SEEK_FLAG_FLUSH | GST_SEEK_FLAG_ACCURATE, 5,
          5 + g_rand_int_range (rand, 1, 50));
    break;
  case 2:
    if (is_playing (actor))
      seek (actor, GST_SEEK_FLAG_NONE, g_rand_int_range (rand, 0, 1000), -1);
    break;
  case 3:
    play (actor, GST_STATE_PAUSED);
    break;
  case 4:
    play (actor, GST_STATE_READY);
    break;
  case 5:
    play (actor, GST_STATE_NULL);
    break;
  case 6:
    now_doing ("EOS of", actor->name);
    if (is_playing (actor))
      gst_element_send_event (actor->pipeline, gst_event_new_eos ());
    break;
  case 7:
    change_a_property (actor, rand);
    return;
  default:
    play (actor, GST_STATE_PLAYING);
    return;
  }
  /* Most go on at once, as an application's would; some stay where they are until something else befalls them. */
  if (g_rand_int_range (rand, 0, 3) > 0)
    play (actor, GST_STATE_PLAYING);
}

/* One drawn deed. */
static void
act (GPtrArray *guests, GRand *rand)
{
  static guint number = 0;
  const guint i = g_rand_int_range (rand, 0, GUESTS);

  if (i >= guests->len) {
    now_doing ("making", "a pipeline");
    g_ptr_array_add (guests, guest_new (rand, ++number));
    play (guests->pdata[guests->len - 1], GST_STATE_PLAYING);
  } else if (g_rand_int_range (rand, 0, 8) == 0) {
    g_ptr_array_remove_index_fast (guests, i);
  } else {
    treat (guests->pdata[i], rand);
  }
}

/* ---- counting ---- */

typedef struct {
  gdouble seconds, rss, heap; /* MB; heap is 0 where malloc does not tell */
  guint fds, threads;
  gint answers, drops;
} Sample;

static Sample
count (gint64 began)
{
  Sample s = { .answers = g_atomic_int_get (&answers), .drops = g_atomic_int_get (&drops) };

#ifdef __GLIBC__
  malloc_trim (0);
  const struct mallinfo2 m = mallinfo2 ();
  s.heap = (m.uordblks + m.hblkhd) / 1e6;
#endif
  s.rss = machine_resident_mb ();
  s.fds = machine_descriptors ();
  s.threads = machine_threads ();
  s.seconds = (g_get_monotonic_time () - began) / 1e6;
  return s;
}

/* Pooled threads end when they are told, others a moment after who joined them: waits for the number of the first
 * rest, with a bound; what is still there then is counted. */
static void
settle (guint threads)
{
  const gint64 end = g_get_monotonic_time () + SETTLE_SECONDS * G_USEC_PER_SEC;

  do {
    g_thread_pool_stop_unused_threads ();
    g_usleep (20000);
  } while (machine_threads () > threads && g_get_monotonic_time () < end);
}

static void
print_sample (const Sample *s)
{
  g_print ("%8.0f s %9.1f %9.2f %6u %8u %10d %8d\n", s->seconds, s->rss, s->heap, s->fds,
           s->threads, s->answers, s->drops);
}

/* ---- the verdict ---- */

/* Growth over the samples from @first on, by a straight line of least squares, less twice its standard error: what is
 * certainly there. @offset: of the gdouble in Sample; @line: (out): the line's own. */
static gdouble
growth (GArray *samples, guint first, gsize offset, gdouble *line)
{
  const guint n = samples->len - first;
  gdouble x = 0, y = 0, xx = 0, xy = 0, rest = 0, slope, span;

  *line = 0;
  if (n < 3)
    return 0;
  for (guint i = first; i < samples->len; i++) {
    const Sample *s = &g_array_index (samples, Sample, i);
    x += s->seconds / n;
    y += G_STRUCT_MEMBER (gdouble, s, offset) / n;
  }
  for (guint i = first; i < samples->len; i++) {
    const Sample *s = &g_array_index (samples, Sample, i);
    xx += (s->seconds - x) * (s->seconds - x);
    xy += (s->seconds - x) * (G_STRUCT_MEMBER (gdouble, s, offset) - y);
  }
  slope = xy / xx;
  for (guint i = first; i < samples->len; i++) {
    const Sample *s = &g_array_index (samples, Sample, i);
    const gdouble off = G_STRUCT_MEMBER (gdouble, s, offset) - y - slope * (s->seconds - x);
    rest += off * off;
  }
  span = g_array_index (samples, Sample, samples->len - 1).seconds -
         g_array_index (samples, Sample, first).seconds;
  *line = slope * span;
  return *line - 2 * sqrt (rest / (n - 2) / xx) * span;
}

/* The least of a count in the samples from @first to before @end: what is counted in passing does not last. */
static guint
least (GArray *samples, guint first, guint end, gsize offset)
{
  guint found = G_MAXUINT;

  for (guint i = first; i < end; i++)
    found = MIN (found, G_STRUCT_MEMBER (guint, &g_array_index (samples, Sample, i), offset));
  return found;
}

static gboolean
judge (const char *what, gdouble found, gdouble most, const char *unit)
{
  g_print ("  %-44s %8.3f %s, at most %g: %s\n", what, found, unit, most,
           found <= most ? "good" : "FAILED");
  return found <= most;
}

static gboolean
verdict (GArray *samples, gdouble minutes, const char *stuck)
{
  const guint n = samples->len, quarter = n / 4;
  const Sample *from = &g_array_index (samples, Sample, quarter);
  const Sample *to = &g_array_index (samples, Sample, n - 1);
  const gdouble hours = (to->seconds - from->seconds) / 3600;
  gdouble rss_line, heap_line;
  const gdouble rss = growth (samples, quarter, G_STRUCT_OFFSET (Sample, rss), &rss_line);
  const gdouble heap = growth (samples, quarter, G_STRUCT_OFFSET (Sample, heap), &heap_line);
  gsize offsets[] = { G_STRUCT_OFFSET (Sample, fds), G_STRUCT_OFFSET (Sample, threads) };
  gboolean good = TRUE;

  g_print ("\n%10s %9s %9s %6s %8s %10s %8s\n", "", "RSS MB", "heap MB", "fds", "threads",
           "answers", "dropped");
  for (guint i = 0; i < 12; i++)
    print_sample (&g_array_index (samples, Sample, (n - 1) * i / 11));
  g_print ("\nFrom second %.0f to %.0f, by a fitted line: resident %+.3f MB an hour, heap %+.3f MB "
           "an hour\n",
           from->seconds, to->seconds, rss_line / hours, heap_line / hours);
  if (minutes >= RSS_MINUTES)
    good &= judge ("growth of resident memory, certainly", rss, MOST_RSS_GROWTH, "MB");
  good &= judge ("growth of what malloc gave out, certainly", heap, MOST_HEAP_GROWTH, "MB");
  for (guint i = 0; i < G_N_ELEMENTS (offsets); i++)
    good &= judge (i ? "more threads than after the first quarter"
                     : "more descriptors than after the first quarter",
                   (gdouble)least (samples, n - MAX (quarter, 1), n, offsets[i]) -
                       (gdouble)least (samples, quarter, quarter + MAX (quarter, 1), offsets[i]),
                   0, "");
  good &= judge ("errors, warnings and criticals", g_atomic_int_get (&complaints), 0, "");
  g_print ("  %d answers, %d windows dropped by live streams\n", g_atomic_int_get (&answers),
           g_atomic_int_get (&drops));
  if (stuck)
    g_print ("  FAILED: no answer for %d s from: %s\n", PATIENCE_SECONDS, stuck);
  return good && stuck == NULL;
}

/* ---- the run ---- */

/* The name of a pipeline that stays, has been silent for too long, and should not have been. */
static const char *
find_stuck (GPtrArray *hosts)
{
  const gint64 now = g_get_monotonic_time ();

  for (guint i = 0; i < hosts->len; i++) {
    Actor *actor = hosts->pdata[i];
    const gint64 said = g_atomic_int_get (&actor->answers);
    if (said != actor->last_answers)
      actor->heard = now;
    actor->last_answers = said;
    if (now - actor->heard > PATIENCE_SECONDS * G_USEC_PER_SEC)
      return actor->name;
  }
  return NULL;
}

static gboolean
soak (gdouble seconds, GRand *rand)
{
  g_autoptr (GArray) samples = g_array_new (FALSE, FALSE, sizeof (Sample));
  g_autoptr (GPtrArray) hosts = g_ptr_array_new_with_free_func ((GDestroyNotify)actor_free);
  g_autoptr (GPtrArray) guests = g_ptr_array_new_with_free_func ((GDestroyNotify)actor_free);
  g_autofree char *pads = side_pads ();
  g_autofree char *looping = g_strdup_printf (
      "videotestsrc pattern=smpte ! video/x-raw,format=NV12,width=320,height=180,"
      "framerate=2/1 ! cityguessr name=c device=cpu cpu-threads=1 model=" MODEL " ! fakesink%s",
      pads);
  const gdouble period = MIN (SAMPLE_SECONDS, seconds / 12);
  const gint64 began = g_get_monotonic_time (), end = began + (gint64)(seconds * G_USEC_PER_SEC);
  const char *stuck = NULL;
  Actor *looped;
  guint threads = G_MAXUINT;

  g_ptr_array_add (hosts,
                   actor_new ("the endless file",
                              "videotestsrc pattern=ball ! video/x-raw,format=I420,width=160,"
                              "height=120,framerate=1/1 ! cityguessr device=cpu "
                              "cpu-threads=1 model=" MODEL " ! fakesink"));
  g_ptr_array_add (hosts, looped = actor_new ("the looped file", looping));
  g_ptr_array_add (hosts,
                   actor_new ("the live source",
                              "videotestsrc is-live=true ! video/x-raw,format=NV12,width=640,"
                              "height=360,framerate=25/1 ! cityguessr device=null "
                              "sample-interval=200000000 model=" MODEL " ! fakesink sync=true"));
  if (has_overlay ())
    g_ptr_array_add (hosts, actor_new ("the overlay",
                                       "videotestsrc is-live=true ! video/x-raw,format=I420,"
                                       "width=320,height=180,framerate=25/1 ! cityguessroverlay "
                                       "device=null sample-interval=200000000 model=" MODEL
                                       " ! fakesink sync=true"));
  play (looped, GST_STATE_PAUSED);
  gst_element_get_state (looped->pipeline, NULL, NULL, PATIENCE_SECONDS * GST_SECOND);
  seek (looped, GST_SEEK_FLAG_FLUSH, 0, LOOP_SECONDS);
  for (guint i = 0; i < hosts->len; i++)
    play (hosts->pdata[i], GST_STATE_PLAYING);

  g_print ("%10s %9s %9s %6s %8s %10s %8s\n", "", "RSS MB", "heap MB", "fds", "threads", "answers",
           "dropped");
  for (gint64 rest; stuck == NULL && g_get_monotonic_time () < end;) {
    rest = g_get_monotonic_time () + (gint64)(period * G_USEC_PER_SEC);
    while (g_get_monotonic_time () < MIN (rest, end)) {
      act (guests, rand);
      if (g_atomic_int_compare_and_exchange (&looped->ended, TRUE, FALSE))
        seek (looped, GST_SEEK_FLAG_FLUSH, 0, LOOP_SECONDS);
      now_doing (NULL, NULL);
      g_usleep (g_rand_int_range (rand, 1000, 200000));
    }
    g_ptr_array_set_size (guests, 0);
    now_doing (NULL, NULL);
    settle (threads);
    Sample s = count (began);
    threads = MIN (threads, s.threads);
    g_array_append_val (samples, s);
    print_sample (&s);
    stuck = find_stuck (hosts);
  }
  const gboolean good = verdict (samples, seconds / 60, stuck);
  g_ptr_array_set_size (hosts, 0);
  now_doing (NULL, NULL);
  return good;
}

int
main (int argc, char **argv)
{
  gdouble minutes = 60;
  gint seed = 1;
  const GOptionEntry entries[] = {
    { "minutes", 0, 0, G_OPTION_ARG_DOUBLE, &minutes, "How long (default 60)", "N" },
    { "seed", 0, 0, G_OPTION_ARG_INT, &seed, "Of the decisions (default 1)", "N" },
    G_OPTION_ENTRY_NULL,
  };
  g_autoptr (GOptionContext) context = g_option_context_new (NULL);
  g_autoptr (GError) error = NULL;
  g_autoptr (GstElementFactory) factory = NULL;
  gboolean good;

  setlocale (LC_CTYPE, "");
  g_option_context_set_summary (context, "Pipelines at random for a long time; nothing may grow.");
  g_option_context_add_main_entries (context, entries, NULL);
  g_option_context_add_group (context, gst_init_get_option_group ());
  if (!g_option_context_parse (context, &argc, &argv, &error)) {
    g_printerr ("%s\n", error->message);
    return EXIT_USAGE;
  }
  if (argc > 1 || minutes < 0.1 || minutes > 10000) {
    g_printerr ("expected --minutes from 0.1 to 10000, and no arguments\n");
    return EXIT_USAGE;
  }
  factory = gst_element_factory_find ("cityguessr");
  if (factory == NULL) {
    g_printerr (
        "There is no element “cityguessr”: is GST_PLUGIN_PATH_1_0 set? ./run soak sets it.\n");
    return EXIT_FAILURE;
  }
#ifdef __GLIBC__
  /* Else each of many arenas keeps at its top what the loading of a model once took there, and the resident memory
   * climbs for as long as it takes to visit them all. */
  mallopt (M_ARENA_MAX, 2);
#endif
  g_thread_pool_set_max_unused_threads (0);
  g_log_set_default_handler (on_log, NULL);

  g_autoptr (GRand) rand = g_rand_new_with_seed (seed);
  GThread *watchdog = g_thread_new ("watchdog", watch, NULL);
  good = soak (minutes * 60, rand);
  g_atomic_int_set (&watch_stop, TRUE);
  g_thread_join (watchdog);
  g_print ("%s\n", good ? "Nothing grew." : "FAILED");
  return good ? EXIT_SUCCESS : EXIT_FAILURE;
}
