/* Pictures of the drawn world for programs that train on it.
 *
 *   draw-world --list               the cities, as a JSON array of objects with city, state, country,
 *                                   country_code, continent, latitude, longitude, koppen, held_out, scene
 *   draw-world [--aspect=16:9]      pictures, for lines of standard input:
 *
 *     CITY <tab> SEED <tab> TIME_NS <tab> WIDTH <tab> HEIGHT
 *
 *   draw-world --scenes             what drives show (scenes.h), for lines of standard input:
 *
 *     CITY <tab> SEED
 *
 * A line for a picture gives WIDTH * HEIGHT * 3 bytes on standard output (R, G, B, row by row), at once
 * and in order. --aspect: the shape that the picture is squeezed from; without it pixels are square. A
 * line for --scenes gives a line of 16 probabilities with spaces between them; a city's "scene" is the
 * mean of many drives. What is wrong with a line is said on standard error, and ends the program with
 * status 2.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "draw.h"
#include "model/json.h"
#include "scene/art.h"
#include "scenes.h"

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

/* The fields of a line, of which there must be as many as @names; those of a drive are read. */
static gchar **
split_line (gchar *line, guint n, const gchar *names, Request *request)
{
  g_auto (GStrv) fields = g_strsplit (g_strchomp (line), "\t", 0);
  g_autofree gchar *known = NULL;
  g_autoptr (GError) error = NULL;

  if (g_strv_length (fields) != n) {
    g_printerr ("“%s”: expected %s with tabs between them\n", line, names);
    return NULL;
  }
  request->city = cg_atlas_find (cg_atlas_built_in (), fields[0]);
  if (request->city == NULL) {
    known = cg_atlas_names (cg_atlas_built_in ());
    g_printerr ("“%s”: there is no such city. There are: %s\n", fields[0], known);
    return NULL;
  }
  if (!g_ascii_string_to_unsigned (fields[1], 10, 0, G_MAXUINT64, &request->seed, &error)) {
    g_printerr ("“%s”: %s\n", line, error->message);
    return NULL;
  }
  return g_steal_pointer (&fields);
}

static gboolean
parse_request (gchar *line, Request *request)
{
  g_auto (GStrv) fields = split_line (line, 5, "CITY, SEED, TIME_NS, WIDTH and HEIGHT", request);
  g_autoptr (GError) error = NULL;

  if (fields == NULL)
    return FALSE;
  if (!g_ascii_string_to_unsigned (fields[2], 10, 0, G_MAXINT64, &request->time, &error) ||
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
  g_autofree guint8 *data = g_try_malloc (size);
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
  if (data == NULL ||
      !cg_world_draw (world, request->city, request->seed, request->time, aspect, &pixels)) {
    g_printerr ("there is no memory for a picture of %d x %d pixels\n", pixels.width,
                pixels.height);
    return FALSE;
  }
  if (fwrite (data, 1, size, stdout) != size || fflush (stdout) != 0) {
    g_printerr ("the picture cannot be written: %s\n", g_strerror (errno));
    return FALSE;
  }
  return TRUE;
}

static void
append_numbers (GString *out, const gdouble *values, const gchar *between)
{
  for (guint i = 0; i < CG_SCENES; i++) {
    g_string_append (out, i > 0 ? between : "");
    cg_json_append_number (out, values[i]);
  }
}

static gboolean
tell_scenes (gchar *line)
{
  Request request = { 0 };
  g_auto (GStrv) fields = split_line (line, 2, "CITY and SEED", &request);
  g_autoptr (GString) out = g_string_new (NULL);
  gdouble scenes[CG_SCENES];
  CgDrive drive;

  if (fields == NULL)
    return FALSE;
  cg_drive_init (&drive, request.city, request.seed);
  cg_drive_scenes (&drive, scenes);
  append_numbers (out, scenes, " ");
  return puts (out->str) >= 0 && fflush (stdout) == 0;
}

static void
append_city (GString *out, const CgCity *city)
{
  static const gchar *const names[] = { "city", "state", "country", "continent" };
  const CgPlaces *places = cg_places_cityguessr68k ();
  const CgPlace *place = NULL;
  gdouble scenes[CG_SCENES];

  for (CgLevel level = CG_CITY; level <= CG_CONTINENT; level++) {
    place = cg_places_get (places, level, cg_places_ancestor (places, CG_CITY, city->place, level));
    g_string_append_printf (out, "\"%s\": ", names[level]);
    cg_json_append_string (out, place->label);
    g_string_append (out, ", ");
    if (level == CG_COUNTRY)
      g_string_append_printf (out, "\"country_code\": \"%s\", ", place->code);
  }
  place = cg_places_get (places, CG_CITY, city->place);
  g_string_append (out, "\"latitude\": ");
  cg_json_append_number (out, place->latitude);
  g_string_append (out, ", \"longitude\": ");
  cg_json_append_number (out, place->longitude);
  g_string_append_printf (out, ", \"koppen\": \"%s\", \"held_out\": %s, \"scene\": [", city->koppen,
                          city->held_out ? "true" : "false");
  cg_city_scenes (city, scenes);
  append_numbers (out, scenes, ", ");
  g_string_append_c (out, ']');
}

static void
list_cities (void)
{
  const CgAtlas *atlas = cg_atlas_built_in ();
  g_autoptr (GString) out = g_string_new ("[");

  for (guint i = 0; i < cg_atlas_count (atlas); i++) {
    g_string_append (out, i > 0 ? ",\n {" : "\n {");
    append_city (out, cg_atlas_get (atlas, i));
    g_string_append_c (out, '}');
  }
  puts (g_string_append (out, "\n]")->str);
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
  gboolean list = FALSE, scenes = FALSE;
  g_autofree gchar *aspect_text = NULL, *missing = NULL;
  const GOptionEntry entries[] = {
    { "list", 0, 0, G_OPTION_ARG_NONE, &list, "Print the cities as JSON", NULL },
    { "scenes", 0, 0, G_OPTION_ARG_NONE, &scenes, "Tell what drives show", NULL },
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
    list_cities ();
    return EXIT_SUCCESS;
  }
  missing = scenes ? NULL : cg_art_missing_fonts ();
  if (missing != NULL)
    g_printerr (
        "warning: signs are drawn without letters or in the wrong ones; missing fonts: %s\n",
        missing);
  world = cg_world_new (TRUE);
  while (status == EXIT_SUCCESS && getline (&line, &room, stdin) >= 0) {
    Request request;

    if (scenes ? !tell_scenes (line)
               : !parse_request (line, &request) || !answer (world, &request, aspect))
      status = WRONG;
  }
  free (line);
  return status;
}
