/* What happens to a stream in the element's life, played from small text files.
 *
 * A scenario is a file scenarios/NAME.txt: one action a line, "#" begins a comment. It is read as a
 * whole before anything is played, and whatever is not exactly as below is an error with its line.
 * The element runs over the null engine, with 8 samples to a window, offline and with an interval
 * of 0.2 s (5 frames at 25/1) if no property says otherwise, so a window spans the frames 0 … 35,
 * the next one 10 … 45.
 *
 *   source pushed | videotestsrc  the first line. pushed: a pad ! queue ! cityguessr ! fakesink, with
 *                                 every buffer and event as the scenario says. videotestsrc: a
 *                                 source with a thread of its own, which can seek.
 *   engine WHAT N                 the null engine's delay-us, fail-at, lose-at or load-us
 *   property NAME VALUE           of cityguessr
 *   caps WxH FORMAT FPS [INTERLACE-MODE]
 *   play, pause, ready, null      the state of the pipeline
 *   frames N                      N frames, and waits until they have passed, if playing
 *   seek T; rate R                a flushing seek to T; to where the stream is, at another rate
 *   segment-seek FROM TO [flush]  without a flush if not told
 *
 * Of a pushed source alone:
 *   push N                        as frames, and never waits
 *   untimed N, gap-frames N       as frames; without PTS; with the GAP flag
 *   broken N                      as frames; with too little memory for the picture
 *   discont                       the next frame has the DISCONT flag
 *   jump SECONDS                  the next frame is so much later (or, negative, earlier)
 *   gap SECONDS                   a GAP event, and time goes on
 *   segment T                     a SEGMENT from T on; stream-start: a STREAM_START as well
 *   flush                         FLUSH_START, FLUSH_STOP, and the segment anew
 *   eos
 *
 * What is to be seen since it was last expected; waits for it:
 *   expect answers N, expect warnings N, expect errors N: exactly so many
 *   expect answers-at-least N, expect drops-at-least N
 *   expect eos, expect segment-done
 *   expect engine                 the model is loaded: live video does not wait for it
 *   expect no-error               neither an ERROR nor a WARNING
 *   expect stat FIELD N           the number in the property "stats"
 *
 *   loop N … end                  may stand in each other
 *
 * In every scenario no frame and no answer comes after EOS, no window is pending when EOS passes,
 * the windows of "stats" add up, and the pipeline goes to NULL.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "element-fixture.h"

#include <string.h>
#include <gst/video/video.h>

#ifndef SCENARIOS_DIR
#define SCENARIOS_DIR NULL /* scenarios/ beside this file */
#endif

#define MAX_ARGUMENTS 4
#define MAX_DEPTH 4

typedef struct _Player Player;
typedef struct _Step Step;

/* ---- the language ---- */

/* @arguments: a letter each, optional ones after "|": w a word, n a number, t seconds, x WxH
 * @pushed: whether it takes a pushed source */
typedef struct {
  const gchar *verb, *arguments;
  gboolean pushed;
  void (*play) (Player *player, const Step *step);
} Action;

struct _Step {
  const Action *action;
  guint line;
  guint n; /* arguments given */
  gchar *word[MAX_ARGUMENTS];
  guint64 number[MAX_ARGUMENTS]; /* n */
  gdouble seconds[MAX_ARGUMENTS];
  guint width, height; /* x */
  guint partner;       /* of "end": the step of its "loop" */
};

typedef struct {
  gchar *name;
  GArray *steps; /* of Step */
} Scenario;

static const Action *find_action (const gchar *verb);

static void
step_clear (gpointer data)
{
  Step *step = data;

  for (guint i = 0; i < MAX_ARGUMENTS; i++)
    g_free (step->word[i]);
}

static void
scenario_free (Scenario *scenario)
{
  g_free (scenario->name);
  g_array_free (scenario->steps, TRUE);
  g_free (scenario);
}

static gboolean
parse_argument (Step *step, guint i, gchar kind)
{
  const gchar *word = step->word[i];
  gchar *end = NULL;
  guint64 number;

  switch (kind) {
  case 'n':
    return g_ascii_string_to_unsigned (word, 10, 0, G_MAXUINT32, &step->number[i], NULL);
  case 't':
    step->seconds[i] = g_ascii_strtod (word, &end);
    return end != word && *end == '\0' && ABS (step->seconds[i]) < 1e6;
  case 'x':
    number = g_ascii_strtoull (word, &end, 10);
    if (end == word || *end != 'x' || number < 1 || number > 65535)
      return FALSE;
    step->width = number;
    word = end + 1;
    number = g_ascii_strtoull (word, &end, 10);
    step->height = number;
    return end != word && *end == '\0' && number >= 1 && number <= 65535;
  default:
    return TRUE;
  }
}

/* One line; @step is filled. Returns: (transfer full): what is wrong, or NULL. */
static gchar *
parse_step (Step *step, gchar **words)
{
  guint n = g_strv_length (words) - 1, least = 0, most = 0, i = 0;
  const gchar *kinds;

  step->action = find_action (words[0]);
  if (step->action == NULL)
    return g_strdup_printf ("unknown action “%s”", words[0]);
  for (kinds = step->action->arguments; *kinds; kinds++)
    most += *kinds != '|';
  least = strcspn (step->action->arguments, "|");
  if (n < least || n > most)
    return g_strdup_printf ("“%s” takes %u to %u arguments, not %u", words[0], least, most, n);
  for (i = 0; i < n; i++)
    step->word[i] = g_strdup (words[i + 1]);
  step->n = n;
  for (i = 0, kinds = step->action->arguments; i < n; kinds++) {
    if (*kinds == '|')
      continue;
    if (!parse_argument (step, i, *kinds))
      return g_strdup_printf ("“%s” is no argument %u of “%s”", step->word[i], i + 1, words[0]);
    i++;
  }
  return NULL;
}

/* What only the place of a step can tell. @loops: the open ones, @depth of them. */
static gchar *
check_place (GArray *steps, gboolean pushed, guint *loops, guint *depth)
{
  Step *step = &g_array_index (steps, Step, steps->len - 1);
  const gchar *verb = step->action->verb;

  if ((steps->len == 1) != g_str_equal (verb, "source"))
    return g_strdup ("“source” is the first action, and only the first");
  if (step->action->pushed && !pushed)
    return g_strdup_printf ("“%s” takes a pushed source", verb);
  if (g_str_equal (verb, "loop")) {
    if (*depth == MAX_DEPTH)
      return g_strdup ("too many loops in each other");
    loops[(*depth)++] = steps->len - 1;
  } else if (g_str_equal (verb, "end")) {
    if (*depth == 0)
      return g_strdup ("“end” without “loop”");
    step->partner = loops[--(*depth)];
  }
  return NULL;
}

/* Returns: (transfer full): scenario_free(), or NULL with @error (transfer full) "NAME:LINE: …". */
static Scenario *
scenario_parse (const gchar *name, const gchar *text, gchar **error)
{
  g_auto (GStrv) lines = g_strsplit (text, "\n", -1);
  Scenario *scenario = g_new0 (Scenario, 1);
  guint loops[MAX_DEPTH], depth = 0, line;
  gchar *wrong = NULL;
  gboolean pushed = FALSE;

  scenario->name = g_strdup (name);
  scenario->steps = g_array_new (FALSE, TRUE, sizeof (Step));
  g_array_set_clear_func (scenario->steps, step_clear);
  for (line = 0; lines[line] && wrong == NULL; line++) {
    g_autofree gchar *code = g_strndup (lines[line], strcspn (lines[line], "#"));
    g_auto (GStrv) words = g_strsplit_set (g_strstrip (code), " \t", -1);
    Step *step;

    if (*code == '\0')
      continue;
    g_array_set_size (scenario->steps, scenario->steps->len + 1);
    step = &g_array_index (scenario->steps, Step, scenario->steps->len - 1);
    step->line = line + 1;
    wrong = parse_step (step, words);
    if (wrong == NULL && scenario->steps->len == 1)
      pushed = step->n == 1 && g_str_equal (step->word[0], "pushed");
    if (wrong == NULL)
      wrong = check_place (scenario->steps, pushed, loops, &depth);
  }
  if (wrong == NULL && depth > 0)
    wrong = g_strdup ("“loop” without “end”");
  if (wrong == NULL && scenario->steps->len == 0)
    wrong = g_strdup ("nothing to play");
  if (wrong == NULL)
    return scenario;
  *error = g_strdup_printf ("%s:%u: %s", name, MAX (line, 1), wrong);
  g_free (wrong);
  scenario_free (scenario);
  return NULL;
}

/* ---- the pipeline ---- */

/* What was seen, and not yet expected. */
typedef struct {
  guint answers, warnings, errors, drops, eos, segments_done;
} Seen;

struct _Player {
  const Scenario *scenario;
  const Step *step;
  GstElement *pipeline, *guess;
  GstState state;

  /* of a pushed source, else NULL */
  GstPad *pad;
  GstVideoInfo info;
  GstSegment segment;
  gdouble position; /* PTS of the next frame, s */
  gboolean begun, discont;
  guint64 sent;

  GMutex lock;
  GCond changed;
  Seen seen;
  guint64 passed;         /* frames at the sink */
  gboolean ended;         /* EOS is at the sink */
  const gchar *violation; /* of what holds in every scenario */
  gchar *last_complaint;  /* text of the last WARNING or ERROR */
};

/* Fails the test with the scenario's name and line. */
static void fail_at (Player *player, const gchar *format, ...) G_GNUC_PRINTF (2, 3);

static void
fail_at (Player *player, const gchar *format, ...)
{
  g_autofree gchar *text = NULL;
  va_list arguments;

  va_start (arguments, format);
  text = g_strdup_vprintf (format, arguments);
  va_end (arguments);
  /* Said at once: without a process of its own for each test (sanitizers), the pipeline that is left behind can
   * keep the next test from ending. */
  g_printerr ("%s:%u: %s\n", player->scenario->name, player->step ? player->step->line : 0, text);
  fail ("%s:%u: %s (last WARNING or ERROR: %s)", player->scenario->name,
        player->step ? player->step->line : 0, text,
        player->last_complaint ? player->last_complaint : "none");
}

static guint64
get_stat (Player *player, const gchar *field)
{
  GstStructure *stats = NULL;
  guint64 value = G_MAXUINT64;
  guint small;

  g_object_get (player->guess, "stats", &stats, NULL);
  if (gst_structure_get_uint (stats, field, &small))
    value = small;
  else if (!gst_structure_get_uint64 (stats, field, &value))
    fail_at (player, "no field “%s” in stats", field);
  gst_structure_free (stats);
  return value;
}

static void
keep_complaint (Player *player, GstMessage *message)
{
  g_autoptr (GError) error = NULL;

  if (GST_MESSAGE_TYPE (message) == GST_MESSAGE_WARNING)
    gst_message_parse_warning (message, &error, NULL);
  else
    gst_message_parse_error (message, &error, NULL);
  g_free (player->last_complaint);
  player->last_complaint = g_strdup (error->message);
}

static GstBusSyncReply
see_message (GstBus *bus, GstMessage *message, gpointer data)
{
  Player *player = data;
  Seen *seen = &player->seen;

  g_mutex_lock (&player->lock);
  switch (GST_MESSAGE_TYPE (message)) {
  case GST_MESSAGE_ELEMENT:
    seen->answers += gst_message_has_name (message, "cityguessr");
    if (player->ended && gst_message_has_name (message, "cityguessr"))
      player->violation = "an answer came after EOS";
    break;
  case GST_MESSAGE_WARNING:
    seen->warnings++;
    keep_complaint (player, message);
    break;
  case GST_MESSAGE_ERROR:
    seen->errors++;
    keep_complaint (player, message);
    break;
  case GST_MESSAGE_QOS:
    seen->drops++;
    break;
  case GST_MESSAGE_EOS:
    seen->eos++;
    break;
  case GST_MESSAGE_SEGMENT_DONE:
    seen->segments_done++;
    break;
  default:
    break;
  }
  g_cond_broadcast (&player->changed);
  g_mutex_unlock (&player->lock);
  return GST_BUS_PASS;
}

static GstPadProbeReturn
see_data (GstPad *pad, GstPadProbeInfo *info, gpointer data)
{
  Player *player = data;
  gboolean is_frame = (info->type & GST_PAD_PROBE_TYPE_BUFFER) != 0;
  GstEventType type = is_frame ? GST_EVENT_UNKNOWN : GST_EVENT_TYPE (info->data);
  gboolean unsettled = type == GST_EVENT_EOS && get_stat (player, "pending") > 0;

  g_mutex_lock (&player->lock);
  if (is_frame) {
    player->passed++;
    if (player->ended)
      player->violation = "a frame came after EOS";
  }
  if (unsettled)
    player->violation = "a window was pending when EOS passed";
  if (type == GST_EVENT_EOS)
    player->ended = TRUE;
  else if (type == GST_EVENT_FLUSH_STOP || type == GST_EVENT_STREAM_START)
    player->ended = FALSE;
  g_cond_broadcast (&player->changed);
  g_mutex_unlock (&player->lock);
  return GST_PAD_PROBE_OK;
}

static void
push_segment (Player *player)
{
  gst_pad_push_event (player->pad, gst_event_new_segment (&player->segment));
}

static void
flush (Player *player)
{
  gst_pad_push_event (player->pad, gst_event_new_flush_start ());
  gst_pad_push_event (player->pad, gst_event_new_flush_stop (TRUE));
  g_mutex_lock (&player->lock);
  player->sent = player->passed;
  g_mutex_unlock (&player->lock);
}

/* The pushed source seeks in the thread that asks for it, which is the player's own. */
static gboolean
seek_source (GstPad *pad, GstObject *parent, GstEvent *event)
{
  Player *player = gst_pad_get_element_private (pad);
  GstSeekType start_type, stop_type;
  gint64 start, stop;
  GstSeekFlags flags;
  GstFormat format;
  gdouble rate;

  if (GST_EVENT_TYPE (event) != GST_EVENT_SEEK)
    return gst_pad_event_default (pad, parent, event);
  gst_event_parse_seek (event, &rate, &format, &flags, &start_type, &start, &stop_type, &stop);
  gst_event_unref (event);
  if (flags & GST_SEEK_FLAG_FLUSH)
    flush (player);
  gst_segment_do_seek (&player->segment, rate, format, flags, start_type, start, stop_type, stop,
                       NULL);
  player->position = (gdouble)player->segment.position / GST_SECOND;
  push_segment (player);
  return TRUE;
}

static void
player_start (Player *player, gboolean pushed)
{
  g_autofree gchar *line = NULL;
  GError *error = NULL;
  GstElement *element;
  GstPad *pad;
  GstBus *bus;

  need_plugins ("coreelements", "videotestsrc", NULL);
  line = g_strdup_printf (
      "%s ! cityguessr name=guess device=null model=" MODEL " processing-mode=offline "
      "sample-interval=200000000 ! fakesink name=sink sync=false",
      pushed ? "queue name=feed max-size-buffers=0 max-size-bytes=0 max-size-time=0"
             : "videotestsrc ! capsfilter name=filter");
  player->pipeline = gst_parse_launch (line, &error);
  fail_unless (error == NULL, "%s", error ? error->message : "");
  player->state = GST_STATE_NULL;
  player->guess = gst_bin_get_by_name (GST_BIN (player->pipeline), "guess");

  element = gst_bin_get_by_name (GST_BIN (player->pipeline), "sink");
  pad = gst_element_get_static_pad (element, "sink");
  gst_pad_add_probe (pad,
                     GST_PAD_PROBE_TYPE_BUFFER | GST_PAD_PROBE_TYPE_EVENT_DOWNSTREAM |
                         GST_PAD_PROBE_TYPE_EVENT_FLUSH,
                     see_data, player, NULL);
  gst_object_unref (pad);
  gst_object_unref (element);

  bus = gst_element_get_bus (player->pipeline);
  gst_bus_set_sync_handler (bus, see_message, player, NULL);
  gst_object_unref (bus);
  if (!pushed)
    return;

  player->pad = gst_pad_new ("source", GST_PAD_SRC);
  gst_pad_set_element_private (player->pad, player);
  gst_pad_set_event_function (player->pad, seek_source);
  gst_segment_init (&player->segment, GST_FORMAT_TIME);
  gst_video_info_set_format (&player->info, GST_VIDEO_FORMAT_RGB, 16, 16);
  player->info.fps_n = FPS;
  element = gst_bin_get_by_name (GST_BIN (player->pipeline), "feed");
  pad = gst_element_get_static_pad (element, "sink");
  fail_unless_equals_int (gst_pad_link (player->pad, pad), GST_PAD_LINK_OK);
  gst_object_unref (pad);
  gst_object_unref (element);
}

static void
player_stop (Player *player)
{
  GstBus *bus;

  fail_unless_equals_int (gst_element_set_state (player->pipeline, GST_STATE_NULL),
                          GST_STATE_CHANGE_SUCCESS);
  bus = gst_element_get_bus (player->pipeline);
  gst_bus_set_sync_handler (bus, NULL, NULL, NULL);
  gst_object_unref (bus);
  if (get_stat (player, "windows") != get_stat (player, "answered") + get_stat (player, "failed") +
                                          get_stat (player, "dropped") +
                                          get_stat (player, "flushed"))
    player->violation = "the windows of “stats” do not add up";
  if (player->violation)
    fail_at (player, "%s", player->violation);
  if (player->pad) {
    gst_pad_set_active (player->pad, FALSE);
    gst_object_unref (player->pad);
  }
  gst_object_unref (player->guess);
  gst_object_unref (player->pipeline);
  g_free (player->last_complaint);
}

/* Waits with the lock held until *@value (lock) is @least. Returns whether it is. */
static gboolean
wait_for (Player *player, const guint *value, guint least)
{
  gint64 deadline = g_get_monotonic_time () + WAIT_SECONDS * SECONDS_TO_US;

  while (*value < least && player->violation == NULL)
    if (!g_cond_wait_until (&player->changed, &player->lock, deadline))
      break;
  return *value >= least;
}

static void
wait_for_frames (Player *player, guint64 least)
{
  gint64 deadline = g_get_monotonic_time () + WAIT_SECONDS * SECONDS_TO_US;
  guint64 passed;

  g_mutex_lock (&player->lock);
  while (player->passed < least && player->seen.errors == 0 && player->violation == NULL)
    if (!g_cond_wait_until (&player->changed, &player->lock, deadline))
      break;
  passed = player->passed;
  if (player->seen.errors > 0)
    passed = least; /* whether that was expected, an "expect" says */
  g_mutex_unlock (&player->lock);
  if (player->violation)
    fail_at (player, "%s", player->violation);
  if (passed < least)
    fail_at (player, "%" G_GUINT64_FORMAT " frames passed, expected %" G_GUINT64_FORMAT, passed,
             least);
}

/* ---- actions ---- */

static void
play_nothing (Player *player, const Step *step)
{
}

static void
play_engine (Player *player, const Step *step)
{
  g_autofree gchar *name = g_strdup_printf ("cityguessr-null-%s", step->word[0]);

  g_object_set_data (G_OBJECT (player->guess), name, GUINT_TO_POINTER (step->number[1]));
}

static void
play_property (Player *player, const Step *step)
{
  if (g_object_class_find_property (G_OBJECT_GET_CLASS (player->guess), step->word[0]) == NULL)
    fail_at (player, "no property “%s”", step->word[0]);
  gst_util_set_object_arg (G_OBJECT (player->guess), step->word[0], step->word[1]);
}

static void
push_caps (Player *player)
{
  GstCaps *caps = gst_video_info_to_caps (&player->info);

  gst_pad_push_event (player->pad, gst_event_new_caps (caps));
  gst_caps_unref (caps);
}

static void
play_caps (Player *player, const Step *step)
{
  g_autofree gchar *text = g_strdup_printf (
      "video/x-raw,format=%s,width=%u,height=%u,framerate=%s,interlace-mode=%s", step->word[1],
      step->width, step->height, step->word[2], step->n > 3 ? step->word[3] : "progressive");
  GstCaps *caps = gst_caps_from_string (text);
  GstVideoInfo info;

  if (caps == NULL || !gst_video_info_from_caps (&info, caps))
    fail_at (player, "no caps: %s", text);
  if (player->pad) {
    player->info = info;
    if (player->begun)
      push_caps (player);
  } else {
    GstElement *filter = gst_bin_get_by_name (GST_BIN (player->pipeline), "filter");

    g_object_set (filter, "caps", caps, NULL);
    gst_object_unref (filter);
  }
  gst_caps_unref (caps);
}

static void
play_state (Player *player, const Step *step)
{
  static const struct {
    const gchar *verb;
    GstState state;
  } states[] = { { "play", GST_STATE_PLAYING },
                 { "pause", GST_STATE_PAUSED },
                 { "ready", GST_STATE_READY },
                 { "null", GST_STATE_NULL } };

  for (guint i = 0; i < G_N_ELEMENTS (states); i++)
    if (g_str_equal (step->action->verb, states[i].verb))
      player->state = states[i].state;
  if (gst_element_set_state (player->pipeline, player->state) == GST_STATE_CHANGE_FAILURE)
    fail_at (player, "the state change failed");
  if (player->state >= GST_STATE_PAUSED)
    return;
  g_mutex_lock (&player->lock);
  player->ended = FALSE;
  player->sent = player->passed;
  g_mutex_unlock (&player->lock);
  player->begun = FALSE;
}

/* What comes before the first frame. */
static void
begin (Player *player)
{
  if (player->begun)
    return;
  player->begun = TRUE;
  gst_pad_set_active (player->pad, FALSE);
  gst_pad_set_active (player->pad, TRUE);
  player->position = 0;
  gst_segment_init (&player->segment, GST_FORMAT_TIME);
  gst_pad_push_event (player->pad, gst_event_new_stream_start ("scenario"));
  push_caps (player);
  push_segment (player);
}

static void
push_frame (Player *player, const gchar *verb)
{
  gsize size = GST_VIDEO_INFO_SIZE (&player->info);
  gboolean known = player->info.fps_n > 0;
  GstClockTime duration =
      known ? gst_util_uint64_scale (GST_SECOND, player->info.fps_d, player->info.fps_n)
            : FRAME_TIME;
  gdouble direction = player->segment.rate < 0 ? -1 : 1;
  GstBuffer *buffer;

  if (g_str_equal (verb, "broken"))
    size = size / 2;
  buffer = gst_buffer_new_wrapped (g_malloc0 (size), size);
  if (direction < 0)
    player->position -= (gdouble)duration / GST_SECOND;
  if (!g_str_equal (verb, "untimed"))
    GST_BUFFER_PTS (buffer) = (GstClockTime)(MAX (player->position, 0) * GST_SECOND + 0.5);
  GST_BUFFER_DURATION (buffer) = known ? duration : GST_CLOCK_TIME_NONE;
  if (direction > 0)
    player->position += (gdouble)duration / GST_SECOND;
  if (g_str_equal (verb, "gap-frames"))
    GST_BUFFER_FLAG_SET (buffer, GST_BUFFER_FLAG_GAP);
  if (player->discont)
    GST_BUFFER_FLAG_SET (buffer, GST_BUFFER_FLAG_DISCONT);
  player->discont = FALSE;
  if (gst_pad_push (player->pad, buffer) == GST_FLOW_OK)
    player->sent++;
}

static void
play_frames (Player *player, const Step *step)
{
  if (player->state < GST_STATE_PAUSED)
    fail_at (player, "no frames in this state");
  if (player->pad) {
    begin (player);
    for (guint64 i = 0; i < step->number[0]; i++)
      push_frame (player, step->action->verb);
    if (player->state == GST_STATE_PLAYING && !g_str_equal (step->action->verb, "push"))
      wait_for_frames (player, player->sent);
  } else if (player->state == GST_STATE_PLAYING) {
    guint64 passed;

    g_mutex_lock (&player->lock);
    passed = player->passed;
    g_mutex_unlock (&player->lock);
    wait_for_frames (player, passed + step->number[0]);
  }
}

static void
seek (Player *player, gdouble rate, GstSeekFlags flags, gdouble from, gdouble to)
{
  gint64 stop = to < 0 ? -1 : (gint64)(to * GST_SECOND);

  if (player->pad)
    begin (player);
  if (!gst_element_seek (player->pipeline, rate, GST_FORMAT_TIME, flags, GST_SEEK_TYPE_SET,
                         (gint64)(from * GST_SECOND), GST_SEEK_TYPE_SET, stop))
    fail_at (player, "the seek was refused");
}

static void
play_seek (Player *player, const Step *step)
{
  seek (player, 1.0, GST_SEEK_FLAG_FLUSH, step->seconds[0], -1);
}

static void
play_rate (Player *player, const Step *step)
{
  gdouble rate = step->seconds[0], position = player->position;
  gint64 now = 0;

  if (player->pad == NULL && gst_element_query_position (player->guess, GST_FORMAT_TIME, &now))
    position = (gdouble)now / GST_SECOND;
  if (rate < 0)
    seek (player, rate, GST_SEEK_FLAG_FLUSH, 0, position);
  else
    seek (player, rate, GST_SEEK_FLAG_FLUSH, position, -1);
}

static void
play_segment_seek (Player *player, const Step *step)
{
  GstSeekFlags flags = GST_SEEK_FLAG_SEGMENT;

  if (step->n > 2)
    flags |= GST_SEEK_FLAG_FLUSH;
  seek (player, 1.0, flags, step->seconds[0], step->seconds[1]);
}

static void
play_discont (Player *player, const Step *step)
{
  player->discont = TRUE;
}

static void
play_jump (Player *player, const Step *step)
{
  player->position += step->seconds[0];
}

static void
play_gap (Player *player, const Step *step)
{
  begin (player);
  gst_pad_push_event (player->pad,
                      gst_event_new_gap ((GstClockTime)(player->position * GST_SECOND),
                                         (GstClockTime)(step->seconds[0] * GST_SECOND)));
  player->position += step->seconds[0];
}

static void
play_segment (Player *player, const Step *step)
{
  begin (player);
  if (g_str_equal (step->action->verb, "stream-start"))
    gst_pad_push_event (player->pad, gst_event_new_stream_start ("another"));
  gst_segment_init (&player->segment, GST_FORMAT_TIME);
  player->segment.start = player->segment.time = player->segment.position =
      (guint64)(step->seconds[0] * GST_SECOND);
  player->position = step->seconds[0];
  push_segment (player);
}

static void
play_flush (Player *player, const Step *step)
{
  begin (player);
  flush (player);
  push_segment (player);
}

static void
play_eos (Player *player, const Step *step)
{
  if (!player->begun) { /* the emptiest of streams: nothing but its start */
    player->begun = TRUE;
    gst_pad_set_active (player->pad, TRUE);
    gst_pad_push_event (player->pad, gst_event_new_stream_start ("scenario"));
  }
  gst_pad_push_event (player->pad, gst_event_new_eos ());
}

static void
expect_count (Player *player, const gchar *what, guint *seen, guint64 expected, gboolean exactly)
{
  gboolean right;
  guint found;

  g_mutex_lock (&player->lock);
  right = wait_for (player, seen, expected) && (!exactly || *seen == expected);
  found = *seen;
  *seen = 0;
  g_mutex_unlock (&player->lock);
  if (player->violation)
    fail_at (player, "%s", player->violation);
  if (!right)
    fail_at (player, "%u %s, expected %s%" G_GUINT64_FORMAT, found, what,
             exactly ? "" : "at least ", expected);
}

static void
expect_engine (Player *player)
{
  gint64 deadline = g_get_monotonic_time () + WAIT_SECONDS * SECONDS_TO_US;
  gchar *device = NULL;

  while (device == NULL && g_get_monotonic_time () < deadline) {
    g_object_get (player->guess, "active-device", &device, NULL);
    g_usleep (500);
  }
  if (device == NULL)
    fail_at (player, "no engine");
  g_free (device);
}

static void
play_expect (Player *player, const Step *step)
{
  Seen *seen = &player->seen;
  const struct {
    const gchar *what;
    guint n;
    guint *seen;
    gboolean exactly;
  } counts[] = { { "answers", 2, &seen->answers, TRUE },
                 { "answers-at-least", 2, &seen->answers, FALSE },
                 { "drops-at-least", 2, &seen->drops, FALSE },
                 { "warnings", 2, &seen->warnings, TRUE },
                 { "errors", 2, &seen->errors, TRUE },
                 { "eos", 1, &seen->eos, TRUE },
                 { "segment-done", 1, &seen->segments_done, TRUE } };
  const gchar *what = step->word[0];
  guint64 number = 1, found;

  if (step->n > 1 &&
      !g_ascii_string_to_unsigned (step->word[step->n - 1], 10, 0, G_MAXUINT32, &number, NULL))
    fail_at (player, "“%s” is no number", step->word[step->n - 1]);
  for (guint i = 0; i < G_N_ELEMENTS (counts); i++) {
    if (g_str_equal (what, counts[i].what) && step->n == counts[i].n) {
      expect_count (player, what, counts[i].seen, number, counts[i].exactly);
      return;
    }
  }
  if (g_str_equal (what, "engine") && step->n == 1) {
    expect_engine (player);
  } else if (g_str_equal (what, "no-error") && step->n == 1) {
    expect_count (player, "errors", &seen->errors, 0, TRUE);
    expect_count (player, "warnings", &seen->warnings, 0, TRUE);
  } else if (g_str_equal (what, "stat") && step->n == 3) {
    found = get_stat (player, step->word[1]);
    if (found != number)
      fail_at (player, "stats: %s is %" G_GUINT64_FORMAT ", expected %" G_GUINT64_FORMAT,
               step->word[1], found, number);
  } else {
    fail_at (player, "“expect %s” with %u arguments is not known", what, step->n - 1);
  }
}

static const Action actions[] = {
  { "source", "w", FALSE, play_nothing },
  { "engine", "wn", FALSE, play_engine },
  { "property", "ww", FALSE, play_property },
  { "caps", "xww|w", FALSE, play_caps },
  { "play", "", FALSE, play_state },
  { "pause", "", FALSE, play_state },
  { "ready", "", FALSE, play_state },
  { "null", "", FALSE, play_state },
  { "frames", "n", FALSE, play_frames },
  { "seek", "t", FALSE, play_seek },
  { "rate", "t", FALSE, play_rate },
  { "segment-seek", "tt|w", FALSE, play_segment_seek },
  { "push", "n", TRUE, play_frames },
  { "untimed", "n", TRUE, play_frames },
  { "gap-frames", "n", TRUE, play_frames },
  { "broken", "n", TRUE, play_frames },
  { "discont", "", TRUE, play_discont },
  { "jump", "t", TRUE, play_jump },
  { "gap", "t", TRUE, play_gap },
  { "segment", "t", TRUE, play_segment },
  { "stream-start", "t", TRUE, play_segment },
  { "flush", "", TRUE, play_flush },
  { "eos", "", TRUE, play_eos },
  { "expect", "w|ww", FALSE, play_expect },
  { "loop", "n", FALSE, play_nothing },
  { "end", "", FALSE, play_nothing },
};

static const Action *
find_action (const gchar *verb)
{
  for (guint i = 0; i < G_N_ELEMENTS (actions); i++)
    if (g_str_equal (actions[i].verb, verb))
      return &actions[i];
  return NULL;
}

static void
scenario_play (const Scenario *scenario)
{
  Player player = { .scenario = scenario };
  const Step *steps = (const Step *)(gpointer)scenario->steps->data;
  g_autofree guint64 *rounds = g_new0 (guint64, scenario->steps->len);

  player_start (&player, g_str_equal (steps[0].word[0], "pushed"));
  for (guint i = 0; i < scenario->steps->len; i++) {
    player.step = &steps[i];
    steps[i].action->play (&player, &steps[i]);
    if (g_str_equal (steps[i].action->verb, "loop"))
      rounds[i] = steps[i].number[0];
    else if (g_str_equal (steps[i].action->verb, "end") && --rounds[steps[i].partner] > 0)
      i = steps[i].partner;
  }
  player.step = NULL;
  player_stop (&player);
}

/* ---- tests ---- */

static gchar *
scenarios_folder (void)
{
  g_autofree gchar *here = g_path_get_dirname (__FILE__);

  return SCENARIOS_DIR ? g_strdup (SCENARIOS_DIR) : g_build_filename (here, "scenarios", NULL);
}

static gint
compare_names (gconstpointer a, gconstpointer b)
{
  return strcmp (*(gchar *const *)a, *(gchar *const *)b);
}

/* (transfer full): the names of the files, in order, or of those that hold the environment variable
 * CITYGUESSR_SCENARIO; empty if there is no such folder. */
static GPtrArray *
list_scenarios (void)
{
  g_autofree gchar *folder = scenarios_folder ();
  GPtrArray *names = g_ptr_array_new_with_free_func (g_free);
  const gchar *only = g_getenv ("CITYGUESSR_SCENARIO"), *name;
  GDir *dir = g_dir_open (folder, 0, NULL);

  while (dir && (name = g_dir_read_name (dir)))
    if (g_str_has_suffix (name, ".txt") && (only == NULL || strstr (name, only)))
      g_ptr_array_add (names, g_strdup (name));
  g_clear_pointer (&dir, g_dir_close);
  g_ptr_array_sort (names, compare_names);
  return names;
}

/* Given each scenario, everything comes as it says. */
GST_START_TEST (test_scenario)
{
  GPtrArray *names = list_scenarios ();
  g_autofree gchar *folder = scenarios_folder ();
  g_autofree gchar *path = NULL, *text = NULL, *error = NULL;
  const gchar *name;
  Scenario *scenario;

  fail_unless (names->len > 0, "no scenarios in %s", folder);
  name = names->pdata[__i__];
  path = g_build_filename (folder, name, NULL);
  fail_unless (g_file_get_contents (path, &text, NULL, NULL), "%s cannot be read", path);
  scenario = scenario_parse (name, text, &error);
  fail_unless (scenario != NULL, "%s", error);
  GST_INFO ("playing %s", name);
  scenario_play (scenario);
  scenario_free (scenario);
  g_ptr_array_free (names, TRUE);
}
GST_END_TEST;

/* Given a scenario that is not as it should be, the error names the line and what is wrong. */
GST_START_TEST (test_parser)
{
  static const struct {
    const gchar *text, *error;
  } cases[] = {
    { "", "x:1: nothing to play" },
    { "# only this\n", "x:2: nothing to play" },
    { "source pushed\n\ndance\n", "x:3: unknown action “dance”" },
    { "source pushed\nframes\n", "x:2: “frames” takes 1 to 1 arguments, not 0" },
    { "source pushed\nframes 1 2\n", "x:2: “frames” takes 1 to 1 arguments, not 2" },
    { "source pushed\nframes -1\n", "x:2: “-1” is no argument 1 of “frames”" },
    { "source pushed\nseek 1s\n", "x:2: “1s” is no argument 1 of “seek”" },
    { "source pushed\ncaps 16 RGB 1/1\n", "x:2: “16” is no argument 1 of “caps”" },
    { "source pushed\ncaps 0x1 RGB 1/1\n", "x:2: “0x1” is no argument 1 of “caps”" },
    { "play\n", "x:1: “source” is the first action, and only the first" },
    { "source pushed\nsource pushed\n", "x:2: “source” is the first action, and only the first" },
    { "source videotestsrc\ngap 1\n", "x:2: “gap” takes a pushed source" },
    { "source pushed\nend\n", "x:2: “end” without “loop”" },
    { "source pushed\nloop 2\nplay\n", "x:4: “loop” without “end”" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autofree gchar *error = NULL;
    Scenario *scenario = scenario_parse ("x", cases[i].text, &error);

    fail_unless (scenario == NULL, "taken: %s", cases[i].text);
    fail_unless_equals_string (error, cases[i].error);
  }
}
GST_END_TEST;

static Suite *
scenarios_suite (void)
{
  Suite *suite = suite_create ("scenarios");
  TCase *parser = tcase_create ("parser"), *scenarios = tcase_create ("scenarios");
  GPtrArray *names = list_scenarios ();

  suite_add_tcase (suite, parser);
  tcase_add_test (parser, test_parser);
  suite_add_tcase (suite, scenarios);
  tcase_add_loop_test (scenarios, test_scenario, 0, MAX (1, names->len));
  g_ptr_array_free (names, TRUE);
  return suite;
}

GST_CHECK_MAIN (scenarios)
