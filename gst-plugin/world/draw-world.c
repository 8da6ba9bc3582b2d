/* Pictures of the drawn world for programs that train on it.
 *
 *   draw-world --list               the cities, as JSON
 *   draw-world [--aspect=16:9]      pictures, for lines of standard input:
 *
 *     CITY <tab> SEED <tab> TIME_NS <tab> WIDTH <tab> HEIGHT
 *
 * Each line gives WIDTH * HEIGHT * 3 bytes on standard output (R, G, B, row by row), at once and in
 * order. --aspect: the shape that the picture is squeezed from; without it pixels are square. What is
 * wrong with a line is said on standard error, and ends the program with status 2.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "draw.h"
#include "scene/art.h"

#include <gio/gio.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WRONG 2

typedef struct {
  const CgCity *city;
  guint64 seed, time;
  guint64 width, height;
} Request;

static gboolean
parse_request (gchar *line, Request *request)
{
  g_auto (GStrv) fields = g_strsplit (g_strchomp (line), "\t", 0);
  g_autofree gchar *known = NULL;
  g_autoptr (GError) error = NULL;

  if (g_strv_length (fields) != 5) {
    g_printerr ("“%s”: expected CITY, SEED, TIME_NS, WIDTH and HEIGHT with tabs between them\n",
                line);
    return FALSE;
  }
  request->city = cg_atlas_find (cg_atlas_built_in (), fields[0]);
  if (request->city == NULL) {
    known = cg_atlas_names (cg_atlas_built_in ());
    g_printerr ("“%s”: there is no such city. There are: %s\n", fields[0], known);
    return FALSE;
  }
  if (!g_ascii_string_to_unsigned (fields[1], 10, 0, G_MAXUINT64, &request->seed, &error) ||
      !g_ascii_string_to_unsigned (fields[2], 10, 0, G_MAXINT64, &request->time, &error) ||
      !g_ascii_string_to_unsigned (fields[3], 10, 1, CG_WORLD_SIZE_MAX, &request->width, &error) ||
      !g_ascii_string_to_unsigned (fields[4], 10, 1, CG_WORLD_SIZE_MAX, &request->height, &error)) {
    g_printerr ("“%s”: %s\n", line, error->message);
    return FALSE;
  }
  return TRUE;
}

static gboolean
answer (CgWorld *world, const Request *request, gdouble aspect)
{
  gsize size = (gsize)request->width * request->height * 3;
  g_autofree guint8 *data = g_malloc (size);
  CgPixels pixels = { .data = data,
                      .width = (gint)request->width,
                      .height = (gint)request->height,
                      .stride = (gint)request->width * 3,
                      .step = 3,
                      .red = 0,
                      .green = 1,
                      .blue = 2 };

  if (aspect <= 0.0)
    aspect = (gdouble)request->width / (gdouble)request->height;
  cg_world_draw (world, request->city, request->seed, request->time, aspect, &pixels);
  if (fwrite (data, 1, size, stdout) != size || fflush (stdout) != 0) {
    g_printerr ("the picture cannot be written: %s\n", g_strerror (errno));
    return FALSE;
  }
  return TRUE;
}

static gboolean
parse_aspect (const gchar *text, gdouble *aspect)
{
  gchar *end;
  gdouble width = g_ascii_strtod (text, &end),
          height = *end == ':' ? g_ascii_strtod (end + 1, &end) : 0.0;

  *aspect = width / height;
  return *end == '\0' && width >= 1.0 && height >= 1.0 && width <= 100.0 && height <= 100.0;
}

int
main (int argc, char **argv)
{
  gboolean list = FALSE;
  g_autofree gchar *aspect_text = NULL, *missing = NULL, *json = NULL;
  const GOptionEntry entries[] = {
    { "list", 0, 0, G_OPTION_ARG_NONE, &list, "Print the cities as JSON", NULL },
    { "aspect", 0, 0, G_OPTION_ARG_STRING, &aspect_text, "Shape that pictures are squeezed from",
      "W:H" },
    { NULL },
  };
  g_autoptr (GOptionContext) context = g_option_context_new ("< requests > pictures");
  g_autoptr (GError) error = NULL;
  g_autoptr (CgWorld) world = NULL;
  gdouble aspect = 0.0;
  gchar *line = NULL;
  size_t room = 0;
  int status = EXIT_SUCCESS;

  g_option_context_add_main_entries (context, entries, NULL);
  if (!g_option_context_parse (context, &argc, &argv, &error)) {
    g_printerr ("%s\n", error->message);
    return WRONG;
  }
  if (argc > 1 || (aspect_text != NULL && !parse_aspect (aspect_text, &aspect))) {
    g_printerr ("%s: not understood; see --help\n", argc > 1 ? argv[1] : aspect_text);
    return WRONG;
  }
  if (list) {
    json = cg_atlas_to_json (cg_atlas_built_in ());
    fputs (json, stdout);
    return EXIT_SUCCESS;
  }
  missing = cg_art_missing_fonts ();
  if (missing != NULL)
    g_printerr (
        "warning: signs are drawn without letters or in the wrong ones; missing fonts: %s\n",
        missing);
  world = cg_world_new (TRUE);
  while (status == EXIT_SUCCESS && getline (&line, &room, stdin) >= 0) {
    Request request;

    if (!parse_request (line, &request) || !answer (world, &request, aspect))
      status = WRONG;
  }
  free (line);
  return status;
}
