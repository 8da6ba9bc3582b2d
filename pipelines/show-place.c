/* Shows on the terminal where a video was filmed, as "0:00:21 Rome, Lazio, Italy 93 %": one line for each window of
 * video, with the time of its end. The model is the one that CITYGUESSR_MODEL names.
 *
 *   show-place FILE-OR-URI
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include <glib-unix.h>
#include <gst/gst.h>
#include <locale.h>

static GError *error = NULL;

static gboolean
on_message (GstBus *bus, GstMessage *message, gpointer loop)
{
  if (gst_message_has_name (message, "cityguessr")) {
    const GstStructure *answer = gst_message_get_structure (message);
    guint64 start = 0, duration = 0;
    gdouble confidence = 0;

    gst_structure_get (answer, "stream-time", G_TYPE_UINT64, &start, "duration", G_TYPE_UINT64,
                       &duration, "city-confidence", G_TYPE_DOUBLE, &confidence, NULL);
    guint seconds = (start + duration) / GST_SECOND;
    g_print ("%u:%02u:%02u %s, %s, %s %.0f %%\n", seconds / 3600, seconds / 60 % 60, seconds % 60,
             gst_structure_get_string (answer, "city"), gst_structure_get_string (answer, "state"),
             gst_structure_get_string (answer, "country"), 100 * confidence);
  }
  if (GST_MESSAGE_TYPE (message) == GST_MESSAGE_ERROR && error == NULL)
    gst_message_parse_error (message, &error, NULL);
  if (error != NULL || GST_MESSAGE_TYPE (message) == GST_MESSAGE_EOS)
    g_main_loop_quit (loop);
  return g_main_loop_is_running (loop);
}

/* Ctrl-C ends it as the end of the video does. */
static gboolean
on_interrupt (gpointer bus)
{
  return gst_bus_post (bus, gst_message_new_eos (NULL));
}

int
main (int argc, char **argv)
{
  setlocale (LC_ALL, ""); /* for the terminal's characters */
  gst_init (&argc, &argv);
  g_autoptr (GMainLoop) loop = g_main_loop_new (NULL, FALSE);
  const char *in = argc == 2 ? argv[1] : "";
  g_autofree char *uri = gst_uri_is_valid (in) ? g_strdup (in) : gst_filename_to_uri (in, &error);
  g_autofree char *text =
      g_strdup_printf ("uridecodebin uri=%s ! videoconvert ! cityguessr ! fakesink", uri);
  g_autoptr (GstElement) pipeline = error == NULL ? gst_parse_launch (text, &error) : NULL;

  if (pipeline != NULL) {
    gst_bus_add_watch (GST_ELEMENT_BUS (pipeline), on_message, loop);
    g_unix_signal_add (SIGINT, on_interrupt, GST_ELEMENT_BUS (pipeline));
    gst_element_set_state (pipeline, GST_STATE_PLAYING);
    g_main_loop_run (loop);
    gst_element_set_state (pipeline, GST_STATE_NULL);
  }
  if (error != NULL)
    g_printerr ("show-place: %s\n", error->message);
  return error != NULL;
}
