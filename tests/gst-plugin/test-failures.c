/* Failures: model files that are not what they should be, engines that fail or are lost, threads and
 * memory that the system refuses. Each ends in a message that says what and why, never in a hang or
 * a lost EOS; and afterwards everything works again.
 *
 * Threads and memory are refused by functions of this program that stand before the C library's.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#define _GNU_SOURCE
#include "element-fixture.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <glib/gstdio.h>

#include "model/model.h"

#define WHOLE_WINDOW 36 /* frames */

/* Seen by the libraries, too. */
#define EXPORTED __attribute__ ((visibility ("default")))

/* ---- refusals ---- */

/* What is to fail: the n-th call from now on, counted down to 0. */
typedef struct {
  gint countdown;
  gint calls;
} Refusal;

static Refusal threads, memory;
static __thread gboolean exempt; /* the test's own */

static void
refuse (Refusal *refusal, gint n)
{
  g_atomic_int_set (&refusal->calls, 0);
  g_atomic_int_set (&refusal->countdown, n);
}

static gboolean
is_refused (Refusal *refusal)
{
  if (exempt)
    return FALSE;
  g_atomic_int_inc (&refusal->calls);
  return g_atomic_int_get (&refusal->countdown) > 0 &&
         g_atomic_int_dec_and_test (&refusal->countdown);
}

/* Whether the refusal took place. */
static gboolean
was_refused (Refusal *refusal)
{
  return g_atomic_int_get (&refusal->countdown) <= 0;
}

EXPORTED int
pthread_create (pthread_t *thread, const pthread_attr_t *attributes, void *(*start) (void *),
                void *data)
{
  typeof (pthread_create) *real = (typeof (pthread_create) *)dlsym (RTLD_NEXT, "pthread_create");

  return is_refused (&threads) ? EAGAIN : real (thread, attributes, start, data);
}

/* Only what the engines ask for, in cache lines and huge pages: GLib's slices are aligned otherwise, and
 * GLib cannot do without memory. */
EXPORTED int
posix_memalign (void **block, size_t alignment, size_t size)
{
  typeof (posix_memalign) *real = (typeof (posix_memalign) *)dlsym (RTLD_NEXT, "posix_memalign");
  gboolean engines = alignment == 64 || alignment >= 2 * 1024 * 1024;

  return engines && is_refused (&memory) ? ENOMEM : real (block, alignment, size);
}

static GThread *
own_thread (GThreadFunc function, gpointer data)
{
  GThread *thread;

  exempt = TRUE;
  thread = g_thread_new ("test", function, data);
  exempt = FALSE;
  return thread;
}

/* ---- an element between two pads; its state changes may fail, which a harness does not bear ---- */

typedef struct {
  GstElement *element;
  GstBus *bus;
  GstPad *source, *sink;
  gint frames, eos; /* arrived; atomic */
} Rig;

static GstFlowReturn
count_frame (GstPad *pad, GstObject *parent, GstBuffer *buffer)
{
  Rig *rig = gst_pad_get_element_private (pad);

  g_atomic_int_inc (&rig->frames);
  gst_buffer_unref (buffer);
  return GST_FLOW_OK;
}

static gboolean
count_eos (GstPad *pad, GstObject *parent, GstEvent *event)
{
  Rig *rig = gst_pad_get_element_private (pad);

  if (GST_EVENT_TYPE (event) == GST_EVENT_EOS)
    g_atomic_int_inc (&rig->eos);
  gst_event_unref (event);
  return TRUE;
}

static void
link_pad (Rig *rig, GstPad *pad, const gchar *name)
{
  GstPad *peer = gst_element_get_static_pad (rig->element, name);

  gst_pad_set_element_private (pad, rig);
  fail_unless_equals_int (
      GST_PAD_IS_SRC (pad) ? gst_pad_link (pad, peer) : gst_pad_link (peer, pad), GST_PAD_LINK_OK);
  gst_pad_set_active (pad, TRUE);
  gst_object_unref (peer);
}

static void
rig_init (Rig *rig, GstElement *element)
{
  *rig = (Rig){ .element = element, .bus = gst_bus_new () };
  gst_element_set_bus (element, rig->bus);
  g_object_set (element, "sample-interval", 5 * FRAME_TIME, NULL);
  gst_util_set_object_arg (G_OBJECT (element), "processing-mode", "offline");
  rig->source = gst_pad_new ("source", GST_PAD_SRC);
  rig->sink = gst_pad_new ("sink", GST_PAD_SINK);
  gst_pad_set_chain_function (rig->sink, count_frame);
  gst_pad_set_event_function (rig->sink, count_eos);
  link_pad (rig, rig->source, "sink");
  link_pad (rig, rig->sink, "src");
}

/* A stream of @n frames from @begin on; the flow of the last one that was pushed. */
static GstFlowReturn
rig_push (Rig *rig, guint begin, guint n)
{
  GstFlowReturn flow = GST_FLOW_OK;

  if (begin == 0) {
    GstCaps *caps = gst_caps_from_string (CAPS);
    GstSegment segment;

    gst_segment_init (&segment, GST_FORMAT_TIME);
    gst_pad_push_event (rig->source, gst_event_new_stream_start ("failures"));
    gst_pad_push_event (rig->source, gst_event_new_caps (caps));
    gst_pad_push_event (rig->source, gst_event_new_segment (&segment));
    gst_caps_unref (caps);
  }
  for (guint i = begin; i < begin + n && flow == GST_FLOW_OK; i++)
    flow = gst_pad_push (rig->source, picture_new (i));
  return flow;
}

static void
rig_play (Rig *rig)
{
  GstStateChangeReturn result = gst_element_set_state (rig->element, GST_STATE_PLAYING);

  fail_unless (result == GST_STATE_CHANGE_SUCCESS, "the state change gave %s",
               gst_element_state_change_return_get_name (result));
}

/* To NULL, and ready for a new stream. */
static void
rig_stop (Rig *rig)
{
  fail_unless_equals_int (gst_element_set_state (rig->element, GST_STATE_NULL),
                          GST_STATE_CHANGE_SUCCESS);
  gst_pad_set_active (rig->source, FALSE);
  gst_pad_set_active (rig->sink, FALSE);
  gst_pad_set_active (rig->sink, TRUE);
  gst_pad_set_active (rig->source, TRUE);
}

static void
rig_clear (Rig *rig)
{
  rig_stop (rig);
  gst_pad_set_active (rig->source, FALSE);
  gst_pad_set_active (rig->sink, FALSE);
  gst_element_set_bus (rig->element, NULL);
  gst_bus_set_flushing (rig->bus, TRUE);
  gst_object_unref (rig->bus);
  ASSERT_OBJECT_REFCOUNT (rig->element, "element", 1);
  gst_object_unref (rig->element);
  gst_object_unref (rig->source);
  gst_object_unref (rig->sink);
}

/* The text of the next message of @type, which has to come. (transfer full) */
static gchar *
wait_for_text (Rig *rig, GstMessageType type)
{
  GstMessage *message = gst_bus_timed_pop_filtered (rig->bus, WAIT_SECONDS * GST_SECOND, type);
  g_autoptr (GError) error = NULL;

  fail_unless (message != NULL, "no %s", gst_message_type_get_name (type));
  if (type == GST_MESSAGE_ERROR)
    gst_message_parse_error (message, &error, NULL);
  else
    gst_message_parse_warning (message, &error, NULL);
  gst_message_unref (message);
  return g_strdup (error->message);
}

static guint
count_messages (Rig *rig, GstMessageType type)
{
  GstMessage *message;
  guint n = 0;

  for (; (message = gst_bus_pop_filtered (rig->bus, type)); n++)
    gst_message_unref (message);
  return n;
}

/* A stream of one window from the beginning, answered as it should be. */
static void
assert_works (Rig *rig)
{
  count_messages (rig, TOLD);
  rig_play (rig);
  fail_unless_equals_int (rig_push (rig, 0, WHOLE_WINDOW), GST_FLOW_OK);
  fail_unless_equals_int (count_messages (rig, TOLD), 1);
}

/* ---- model files ---- */

static gchar *
folder_new (void)
{
  g_autoptr (GError) error = NULL;
  gchar *folder = g_dir_make_tmp ("cityguessr-XXXXXX", &error);

  fail_unless (folder != NULL, "%s", error ? error->message : "");
  return folder;
}

/* Writes a small model; files of the same seed are the same. Replaces a file as `mv` does. */
static void
write_model (const gchar *path, guint64 seed)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (CgNetwork) network = NULL;
  g_autoptr (CgModel) model = cg_model_generate ("tiny", seed, &network, &error);

  fail_unless (model && cg_model_save (model, network, path, &error), "%s",
               error ? error->message : "");
}

/* Makes of the good model at @path a bad one. */
typedef void (*Spoil) (const gchar *path);

static void
remove_file (const gchar *path)
{
  g_unlink (path);
}

static void
make_folder (const gchar *path)
{
  g_unlink (path);
  g_mkdir (path, 0700);
}

static void
cut (const gchar *path, gdouble share)
{
  GStatBuf status;

  fail_unless_equals_int (g_stat (path, &status), 0);
  fail_unless_equals_int (truncate (path, (off_t)(status.st_size * share)), 0);
}

static void
cut_all (const gchar *path)
{
  cut (path, 0);
}

static void
cut_header (const gchar *path)
{
  cut (path, 0.0001);
}

static void
cut_half (const gchar *path)
{
  cut (path, 0.5);
}

static void
write_nonsense (const gchar *path)
{
  g_file_set_contents (path, "this is no model file at all", -1, NULL);
}

static const Spoil spoils[] = { remove_file, make_folder,    cut_all,
                                cut_header,  write_nonsense, cut_half };

/* Complaint 2: initialisation failed, and the real cause is buried. Given a model file that is gone, a
 * folder, empty, cut short or no model, there is one ERROR whose text names the file; the stream
 * ends with an error and not in a wait, EOS comes through, and with a good file the same element works. */
GST_START_TEST (test_bad_file)
{
  g_autofree gchar *folder = folder_new (), *text = NULL;
  g_autofree gchar *path = g_build_filename (folder, "model.safetensors", NULL);
  GstElement *element = element_new (0);
  GstStateChangeReturn result;
  Rig rig;

  write_model (path, 1);
  spoils[__i__](path);
  g_object_set (element, "model", path, NULL);
  rig_init (&rig, element);
  result = gst_element_set_state (element, GST_STATE_PLAYING);
  fail_if (rig_push (&rig, 0, WHOLE_WINDOW) == GST_FLOW_OK, "the stream went on without a model");
  text = wait_for_text (&rig, GST_MESSAGE_ERROR);
  fail_unless (strstr (text, path) != NULL, "“%s” does not name the file", text);
  if (result != GST_STATE_CHANGE_FAILURE) {
    fail_unless (gst_pad_push_event (rig.source, gst_event_new_eos ()));
    fail_unless_equals_int (rig.eos, 1);
  }
  fail_unless_equals_int (count_messages (&rig, TOLD), 0);
  rig_stop (&rig);

  g_rmdir (path);
  write_model (path, 1);
  assert_works (&rig);
  rig_clear (&rig);
  g_unlink (path);
  g_rmdir (folder);
}
GST_END_TEST;

/* The answers to @n more frames. (transfer full) */
static gchar *
answers_to (Rig *rig, guint begin, guint n)
{
  gchar *text;

  fail_unless_equals_int (rig_push (rig, begin, n), GST_FLOW_OK);
  text = take_answers (rig->bus);
  fail_unless (*text != '\0', "no answer");
  return text;
}

/* Given a model file that is replaced, cut short or removed while an element plays, that one goes on as
 * before; a new one gets what is there now. */
GST_START_TEST (test_file_changes)
{
  g_autofree gchar *folder = folder_new ();
  g_autofree gchar *path = g_build_filename (folder, "model.safetensors", NULL);
  g_autofree gchar *expected = NULL, *going_on = NULL, *new = NULL, *text = NULL;
  Rig old, alone, next;
  GstElement *elements[3];

  write_model (path, 1);
  for (guint i = 0; i < 3; i++) {
    elements[i] = element_new (0);
    gst_util_set_object_arg (G_OBJECT (elements[i]), "device", "cpu");
    g_object_set (elements[i], "model", path, "cpu-threads", 1, "track-memory", (guint64)0, NULL);
  }
  rig_init (&alone, elements[0]);
  rig_play (&alone);
  g_free (answers_to (&alone, 0, WHOLE_WINDOW));
  expected = answers_to (&alone, WHOLE_WINDOW, 10);
  rig_clear (&alone);

  rig_init (&old, elements[1]);
  rig_play (&old);
  g_free (answers_to (&old, 0, WHOLE_WINDOW));
  write_model (path, 2);
  rig_init (&next, elements[2]);
  rig_play (&next);
  g_free (answers_to (&next, 0, WHOLE_WINDOW));
  new = answers_to (&next, WHOLE_WINDOW, 10);
  rig_stop (&next);
  cut_half (path);
  going_on = answers_to (&old, WHOLE_WINDOW, 10);
  fail_unless_equals_string (going_on, expected);
  fail_if (g_str_equal (new, expected), "the new file gives the old answers: %s", new);

  gst_element_set_state (elements[2], GST_STATE_PLAYING);
  text = wait_for_text (&next, GST_MESSAGE_ERROR);
  fail_unless (strstr (text, path) != NULL, "“%s” does not name the file", text);
  g_unlink (path);
  g_free (answers_to (&old, WHOLE_WINDOW + 10, 10));
  rig_clear (&next);
  rig_clear (&old);
  g_rmdir (folder);
}
GST_END_TEST;

/* ---- loading ---- */

/* A thread that pushes a window's frames and EOS. */
static gpointer
push_stream (gpointer data)
{
  Rig *rig = data;
  GstFlowReturn flow = rig_push (rig, 0, WHOLE_WINDOW);

  gst_pad_push_event (rig->source, gst_event_new_eos ());
  return GINT_TO_POINTER (flow);
}

static gpointer
push_eos (gpointer data)
{
  Rig *rig = data;

  rig_push (rig, 0, 0);
  gst_pad_push_event (rig->source, gst_event_new_eos ());
  return NULL;
}

static GstElement *
slow_element (guint load_us)
{
  GstElement *element = element_new (0);

  g_object_set_data (G_OBJECT (element), "cityguessr-null-load-us", GUINT_TO_POINTER (load_us));
  return element;
}

/* Complaint 15: a model loads for minutes with no word, and Ctrl-C is ignored. Given a model that takes 2 s,
 * the state changes are there soon, PROGRESS says that it loads, and NULL does not wait for it,
 * whether nothing flows, a frame waits (offline), video flows (live) or EOS comes; nor does the next
 * run. At the end the abandoned load leaves no thread. */
GST_START_TEST (test_stop_while_loading)
{
  const guint load_us = 2 * SECONDS_TO_US, bound = SECONDS_TO_US;
  guint n_threads = thread_count ();
  GstElement *element = slow_element (load_us);
  GThread *thread = NULL;
  gint64 begun, taken;
  Rig rig;

  rig_init (&rig, element);
  if (__i__ == 2)
    gst_util_set_object_arg (G_OBJECT (element), "processing-mode", "live");
  begun = g_get_monotonic_time ();
  rig_play (&rig);
  fail_unless_equals_int (count_messages (&rig, GST_MESSAGE_PROGRESS), 1);
  if (__i__ == 1) {
    thread = own_thread (push_stream, &rig);
  } else if (__i__ == 2) {
    fail_unless_equals_int (rig_push (&rig, 0, 100), GST_FLOW_OK);
  } else if (__i__ == 3) {
    thread = own_thread (push_eos, &rig);
  }
  rig_stop (&rig);
  taken = g_get_monotonic_time () - begun;
  g_clear_pointer (&thread, g_thread_join);
  GST_INFO ("%" G_GINT64_FORMAT " us up and down, with a load of %u us", taken, load_us);
  fail_unless (taken < bound, "%" G_GINT64_FORMAT " us up and down, with a load of %u us", taken,
               load_us);
  fail_unless_equals_int (count_messages (&rig, TOLD), 0);

  for (guint i = 0; i < 5; i++) {
    begun = g_get_monotonic_time ();
    rig_play (&rig);
    rig_stop (&rig);
    taken = g_get_monotonic_time () - begun;
    fail_unless (taken < bound, "run %u took %" G_GINT64_FORMAT " us", i, taken);
  }
  rig_clear (&rig);
  wait_for_threads (n_threads);
}
GST_END_TEST;

/* Complaint 15. Given live video, it flows unseen while the model loads, and is answered from then on. */
GST_START_TEST (test_live_while_loading)
{
  GstElement *element = slow_element (SECONDS_TO_US / 2);
  GstStructure *stats = NULL;
  guint i = 0;
  Rig rig;

  rig_init (&rig, element);
  gst_util_set_object_arg (G_OBJECT (element), "processing-mode", "live");
  rig_play (&rig);
  fail_unless_equals_int (rig_push (&rig, 0, 20), GST_FLOW_OK);
  fail_unless_equals_int (rig.frames, 20);
  g_object_get (element, "stats", &stats, NULL);
  fail_unless_equals_uint64 (get_uint64 (stats, "unseen-frames"), 20);
  gst_structure_free (stats);
  wait_for_engine (element);
  for (i = 20; i < 20 + 2 * WHOLE_WINDOW; i++)
    rig_push (&rig, i, 1);
  fail_unless (gst_pad_push_event (rig.source, gst_event_new_eos ()));
  fail_unless (count_messages (&rig, GST_MESSAGE_ELEMENT) >= 1, "no answer after the load");
  fail_unless_equals_int (count_messages (&rig, GST_MESSAGE_ERROR), 0);
  rig_clear (&rig);
}
GST_END_TEST;

/* Given many elements with one model that takes 20 s to load, they go up and down in much less: neither the look for a
 * failure nor the wait for the load is each one's own. */
GST_START_TEST (test_many_loading)
{
  GstElement *elements[40];
  const gint64 begun = g_get_monotonic_time ();
  gint64 taken;

  for (guint i = 0; i < G_N_ELEMENTS (elements); i++) {
    elements[i] = slow_element (20 * SECONDS_TO_US);
    fail_unless_equals_int (gst_element_set_state (elements[i], GST_STATE_PAUSED),
                            GST_STATE_CHANGE_SUCCESS);
  }
  for (guint i = 0; i < G_N_ELEMENTS (elements); i++) {
    gst_element_set_state (elements[i], GST_STATE_NULL);
    gst_object_unref (elements[i]);
  }
  taken = g_get_monotonic_time () - begun;
  fail_unless (taken < 5 * SECONDS_TO_US, "%" G_GINT64_FORMAT " us", taken);
}
GST_END_TEST;

/* Given a load that fails while a frame waits for it and EOS is behind, there is one ERROR, the wait ends and
 * EOS comes through. */
GST_START_TEST (test_load_fails_under_way)
{
  Rig rig;
  GThread *thread;
  g_autofree gchar *text = NULL;

  rig_init (&rig, slow_element (SECONDS_TO_US / 2));
  rig_play (&rig);
  refuse (&threads, 1); /* that of the engine, which starts when the model is there */
  thread = own_thread (push_stream, &rig);
  text = wait_for_text (&rig, GST_MESSAGE_ERROR);
  fail_unless (strlen (text) > 10, "%s", text);
  fail_unless (GPOINTER_TO_INT (g_thread_join (thread)) == GST_FLOW_ERROR);
  refuse (&threads, 0);
  fail_unless_equals_int (rig.eos, 1);
  fail_unless_equals_int (count_messages (&rig, TOLD), 0);
  rig_clear (&rig);
}
GST_END_TEST;

/* ---- what the system refuses ---- */

static const gchar *const devices[] = { "null", "cpu" };

/* Runs a stream over @device with the n-th call of @refusal refused, and then one without. Returns whether
 * there was an n-th call. */
static gboolean
run_refused (const gchar *device, Refusal *refusal, gint n)
{
  GstElement *element = element_new (0);
  gboolean refused, played;
  guint complaints;
  Rig rig;

  gst_util_set_object_arg (G_OBJECT (element), "device", device);
  g_object_set (element, "cpu-threads", 3, "model", "generated:tiny:1", NULL);
  rig_init (&rig, element);
  refuse (refusal, n);
  played = gst_element_set_state (element, GST_STATE_PLAYING) != GST_STATE_CHANGE_FAILURE;
  rig_push (&rig, 0, WHOLE_WINDOW + 10);
  gst_pad_push_event (rig.source, gst_event_new_eos ());
  refused = was_refused (refusal);
  refuse (refusal, 0);
  fail_unless (!played || rig.eos == 1, "EOS is lost after refusal %d over %s", n, device);
  complaints = count_messages (&rig, GST_MESSAGE_WARNING | GST_MESSAGE_ERROR);
  fail_unless ((complaints > 0) == refused, "%u messages after refusal %d over %s", complaints, n,
               device);
  rig_stop (&rig);

  assert_works (&rig);
  rig_clear (&rig);
  return refused;
}

/* Complaint 23: an error at the start leaks, hangs or aborts. Given each thread in turn that the system
 * refuses, there is a message, no hang, EOS comes, and the next start works. */
GST_START_TEST (test_thread_refused)
{
  gint n = 1;

  while (run_refused (devices[__i__], &threads, n))
    n++;
  GST_INFO ("%d threads over %s", n - 1, devices[__i__]);
  fail_unless (n > 3, "only %d threads were seen: nothing is refused", n - 1);
}
GST_END_TEST;

/* Complaint 23. Given each block of memory in turn that the engine asks for and does not get, the same. */
GST_START_TEST (test_memory_refused)
{
  gint n = 1;

  while (run_refused ("cpu", &memory, n))
    n++;
  GST_INFO ("%d blocks", n - 1);
  fail_unless (n > 3, "only %d blocks were seen: nothing is refused", n - 1);
}
GST_END_TEST;

/* ---- engines ---- */

/* Given two streams on one engine that is lost, each one says so, for itself and once; both end; and a third
 * one that starts now has an engine that works. */
GST_START_TEST (test_lost_engine)
{
  Rig rigs[3];
  g_autofree gchar *text = NULL;

  for (guint i = 0; i < 3; i++) {
    GstElement *element = element_new (0);

    g_object_set_data (G_OBJECT (element), "cityguessr-null-lose-at", GUINT_TO_POINTER (3));
    gst_util_set_object_arg (G_OBJECT (element), "on-device-loss", "error");
    rig_init (&rigs[i], element);
    if (i < 2)
      rig_play (&rigs[i]);
  }
  for (guint i = 0; i < 2; i++) {
    fail_unless_equals_int (rig_push (&rigs[i], 0, WHOLE_WINDOW), GST_FLOW_OK);
    fail_unless_equals_int (count_messages (&rigs[i], GST_MESSAGE_ELEMENT), 1);
  }
  for (guint i = 0; i < 2; i++) {
    fail_unless_equals_int (rig_push (&rigs[i], WHOLE_WINDOW, 20), GST_FLOW_ERROR);
    text = wait_for_text (&rigs[i], GST_MESSAGE_ERROR);
    fail_unless (strstr (text, "lost") != NULL, "%s", text);
    g_clear_pointer (&text, g_free);
    fail_unless_equals_int (count_messages (&rigs[i], TOLD), 0);
    fail_unless_equals_int (rig_push (&rigs[i], WHOLE_WINDOW + 20, 20), GST_FLOW_ERROR);
    fail_unless (gst_pad_push_event (rigs[i].source, gst_event_new_eos ()));
    fail_unless_equals_int (rigs[i].eos, 1);
    fail_unless_equals_int (count_messages (&rigs[i], TOLD), 0); /* frames and EOS met it again */
  }
  assert_works (&rigs[2]);
  for (guint i = 0; i < 3; i++)
    rig_clear (&rigs[i]);
}
GST_END_TEST;

/* Given the first, the second … window that fails, each stream has one WARNING and all its other answers. */
GST_START_TEST (test_each_window_fails)
{
  GstElement *element = element_new (0);
  Rig rig;

  g_object_set_data (G_OBJECT (element), "cityguessr-null-fail-at", GUINT_TO_POINTER (__i__));
  rig_init (&rig, element);
  rig_play (&rig);
  fail_unless_equals_int (rig_push (&rig, 0, WHOLE_WINDOW + 20), GST_FLOW_OK);
  fail_unless (gst_pad_push_event (rig.source, gst_event_new_eos ()));
  fail_unless_equals_int (rig.eos, 1);
  fail_unless_equals_int (count_messages (&rig, GST_MESSAGE_WARNING), 1);
  rig_clear (&rig);
}
GST_END_TEST;

/* Given a window that takes 20 s, NULL takes less than a tenth of that, from wherever the stream is. */
GST_START_TEST (test_stop_while_computing)
{
  static const gchar *const modes[] = { "offline", "live" };
  Rig rig;
  GThread *thread;
  gint64 begun;
  Fixture seen = { 0 };

  rig_init (&rig, element_new (20 * SECONDS_TO_US));
  gst_util_set_object_arg (G_OBJECT (rig.element), "processing-mode", modes[__i__]);
  rig_play (&rig);
  wait_for_engine (rig.element);
  thread = own_thread (push_stream, &rig);
  seen.element = rig.element;
  wait_for_total (&seen, "pending", 1);
  begun = g_get_monotonic_time ();
  rig_stop (&rig);
  begun = g_get_monotonic_time () - begun;
  g_thread_join (thread);
  fail_unless (begun < 2 * SECONDS_TO_US, "NULL took %" G_GINT64_FORMAT " us", begun);
  rig_clear (&rig);
}
GST_END_TEST;

static Suite *
failures_suite (void)
{
  Suite *suite = suite_create ("failures");
  TCase *files = tcase_create ("files"), *loading = tcase_create ("loading");
  TCase *system = tcase_create ("system"), *engines = tcase_create ("engines");

  suite_add_tcase (suite, files);
  tcase_add_loop_test (files, test_bad_file, 0, G_N_ELEMENTS (spoils));
  tcase_add_test (files, test_file_changes);

  suite_add_tcase (suite, loading);
  tcase_add_loop_test (loading, test_stop_while_loading, 0, 4);
  tcase_add_test (loading, test_live_while_loading);
  tcase_add_test (loading, test_many_loading);
  tcase_add_test (loading, test_load_fails_under_way);

  suite_add_tcase (suite, system);
  tcase_add_loop_test (system, test_thread_refused, 0, G_N_ELEMENTS (devices));
  tcase_add_test (system, test_memory_refused);

  suite_add_tcase (suite, engines);
  tcase_add_test (engines, test_lost_engine);
  tcase_add_loop_test (engines, test_each_window_fails, 1, 4);
  tcase_add_loop_test (engines, test_stop_while_computing, 0, 2);
  return suite;
}

GST_CHECK_MAIN (failures)
