/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "places.h"

#include "json.h"

#include "cg-resources.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define RESOURCE "/io/github/cityguessr/places/cityguessr68k.json"
#define EARTH_RADIUS 6371008.8
#define RADIANS (G_PI / 180)
#define MAX_PLACES 65535
#define MAX_LABEL 200

/* What a level is called, and which keys its entries may have. */
static const struct {
  const char *name, *array, *parent;
  const char *keys[6];
} levels[CG_LEVELS] = {
  { "city", "cities", "state", { "label", "name", "state", "latitude", "longitude", NULL } },
  { "state", "states", "country", { "label", "name", "country", NULL } },
  { "country", "countries", "continent", { "label", "name", "code", "continent", NULL } },
  { "continent", "continents", NULL, { "label", "name", NULL } },
};

static const char *const root_keys[] = { "version", "name",   "continents", "countries",
                                         "states",  "cities", NULL };

struct _CgPlaces {
  char *name;
  GStringChunk *strings;
  CgPlace *place[CG_LEVELS];
  guint n[CG_LEVELS];
};

/* ---- reading ---- */

/* "new_york" is shown as "new york". */
static char *
default_name (const char *label)
{
  return g_strdelimit (g_strdup (label), "_", ' ');
}

static gboolean
read_code (const CgJsonValue *entry, CgPlaces *places, CgPlace *place, GError **error)
{
  CgJsonValue value = cg_json_member (entry, "code");
  const char *code;

  if (!value.node)
    return TRUE;
  if (!cg_json_string (value, 2, 2, &code, error))
    return FALSE;
  if (!g_ascii_isupper (code[0]) || !g_ascii_isupper (code[1]))
    return cg_json_fail (&value, error, "two letters A..Z (ISO 3166-1 alpha-2)");
  place->code = g_string_chunk_insert_const (places->strings, code);
  return TRUE;
}

static gboolean
read_place (const CgJsonValue *entry, CgPlaces *places, guint level, CgPlace *place, GError **error)
{
  CgJsonValue name = cg_json_member (entry, "name");
  const char *text;
  gint64 parent;

  if (!cg_json_object (entry, levels[level].keys, error) ||
      !cg_json_string (cg_json_member (entry, "label"), 1, MAX_LABEL, &text, error))
    return FALSE;
  place->label = g_string_chunk_insert (places->strings, text);
  if (name.node) {
    if (!cg_json_string (name, 1, MAX_LABEL, &text, error))
      return FALSE;
    place->name = g_string_chunk_insert (places->strings, text);
  } else {
    g_autofree char *shown = default_name (text);
    place->name = g_string_chunk_insert (places->strings, shown);
  }
  place->parent = -1;
  if (level != CG_CONTINENT) {
    if (!cg_json_integer (cg_json_member (entry, levels[level].parent), 0, places->n[level + 1] - 1,
                          &parent, error))
      return FALSE;
    place->parent = (gint)parent;
  }
  if (level == CG_COUNTRY)
    return read_code (entry, places, place, error);
  if (level == CG_CITY)
    return cg_json_number (cg_json_member (entry, "latitude"), -90, 90, &place->latitude, error) &&
           cg_json_number (cg_json_member (entry, "longitude"), -180, 180, &place->longitude,
                           error);
  return TRUE;
}

/* By label, then by position. */
static int
compare_labels (const void *a, const void *b)
{
  const CgPlace *first = *(const CgPlace *const *)a, *second = *(const CgPlace *const *)b;
  const int order = strcmp (first->label, second->label);

  return order != 0 ? order : (first > second) - (first < second);
}

/* No label twice: neighbours in sorted order, so that no choice of labels makes it slow. */
static gboolean
check_labels (const CgPlaces *places, guint level, const char *where, GError **error)
{
  const CgPlace *place = places->place[level];
  guint n = places->n[level];
  g_autofree const CgPlace **sorted = g_new (const CgPlace *, n);

  for (guint i = 0; i < n; i++)
    sorted[i] = &place[i];
  qsort (sorted, n, sizeof *sorted, compare_labels);
  for (guint i = 1; i < n; i++)
    if (strcmp (sorted[i - 1]->label, sorted[i]->label) == 0) {
      g_set_error (error, CG_ERROR, CG_ERROR_PLACES,
                   "%s: %s[%u] and %s[%u]: found the label \"%s\" twice, expected it once", where,
                   levels[level].array, (guint)(sorted[i - 1] - place), levels[level].array,
                   (guint)(sorted[i] - place), sorted[i]->label);
      return FALSE;
    }
  return TRUE;
}

/* Every parent has a child. */
static gboolean
check_children (const CgPlaces *places, guint level, const char *where, GError **error)
{
  guint n_parents = places->n[level + 1];
  g_autofree gboolean *has_child = g_new0 (gboolean, n_parents);

  for (guint i = 0; i < places->n[level]; i++)
    has_child[places->place[level][i].parent] = TRUE;
  for (guint i = 0; i < n_parents; i++)
    if (!has_child[i]) {
      g_set_error (error, CG_ERROR, CG_ERROR_PLACES,
                   "%s: %s[%u] \"%s\": found no %s in it, expected at least one", where,
                   levels[level + 1].array, i, places->place[level + 1][i].label,
                   levels[level].name);
      return FALSE;
    }
  return TRUE;
}

/* Coordinates of @level from those of all cities below: the direction of the sum of their unit
 * vectors. Where that is zero (cities opposite each other) there is none: the first city's. */
static void
place_level (CgPlaces *places, guint level)
{
  guint n = places->n[level];
  g_autofree gdouble (*sum)[3] = g_malloc0_n (n, sizeof *sum);
  g_autofree gint *first = g_new (gint, n);

  for (guint i = 0; i < n; i++)
    first[i] = -1;
  for (guint i = 0; i < places->n[CG_CITY]; i++) {
    const CgPlace *city = &places->place[CG_CITY][i];
    guint above = cg_places_ancestor (places, CG_CITY, i, (CgLevel)level);
    gdouble latitude = city->latitude * RADIANS, longitude = city->longitude * RADIANS;
    sum[above][0] += cos (latitude) * cos (longitude);
    sum[above][1] += cos (latitude) * sin (longitude);
    sum[above][2] += sin (latitude);
    if (first[above] < 0)
      first[above] = (gint)i;
  }
  for (guint i = 0; i < n; i++) {
    CgPlace *place = &places->place[level][i];
    const gdouble *v = sum[i];
    gdouble across = hypot (v[0], v[1]);
    if (hypot (across, v[2]) > 1e-9) {
      place->latitude = atan2 (v[2], across) / RADIANS;
      place->longitude = atan2 (v[1], v[0]) / RADIANS;
    } else {
      place->latitude = places->place[CG_CITY][first[i]].latitude;
      place->longitude = places->place[CG_CITY][first[i]].longitude;
    }
  }
}

/* Coarse to fine, so that the number of parents is known. */
static gboolean
read_tree (const CgJson *json, CgPlaces *places, const char *where, GError **error)
{
  CgJsonValue root = cg_json_root (json);
  const char *name;
  gint64 version;

  if (!cg_json_object (&root, root_keys, error) ||
      !cg_json_integer (cg_json_member (&root, "version"), 1, 1, &version, error) ||
      !cg_json_string (cg_json_member (&root, "name"), 0, MAX_LABEL, &name, error))
    return FALSE;
  places->name = g_strdup (name);
  for (guint level = CG_LEVELS; level-- > 0;) {
    CgJsonValue array = cg_json_member (&root, levels[level].array);
    if (!cg_json_array (&array, 1, MAX_PLACES, &places->n[level], error))
      return FALSE;
    places->place[level] = g_new0 (CgPlace, places->n[level]);
    for (guint i = 0; i < places->n[level]; i++) {
      CgJsonValue entry = cg_json_element (&array, i);
      if (!read_place (&entry, places, level, &places->place[level][i], error))
        return FALSE;
    }
    if (!check_labels (places, level, where, error) ||
        (level != CG_CONTINENT && !check_children (places, level, where, error)))
      return FALSE;
  }
  for (guint level = CG_STATE; level < CG_LEVELS; level++)
    place_level (places, level);
  return TRUE;
}

CgPlaces *
cg_places_parse (const char *json, gsize length, const char *where, GError **error)
{
  g_autoptr (CgPlaces) places = NULL;
  g_autoptr (CgJson) parsed = cg_json_parse (json, length, where, CG_ERROR_PLACES, error);

  if (!parsed)
    return NULL;
  places = g_new0 (CgPlaces, 1);
  places->strings = g_string_chunk_new (4096);
  return read_tree (parsed, places, where, error) ? g_steal_pointer (&places) : NULL;
}

void
cg_places_free (CgPlaces *places)
{
  if (!places)
    return;
  for (guint level = 0; level < CG_LEVELS; level++)
    g_free (places->place[level]);
  g_string_chunk_free (places->strings);
  g_free (places->name);
  g_free (places);
}

static gpointer
parse_built_in (gpointer unused)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GBytes) json = g_resource_lookup_data (cg_model_get_resource (), RESOURCE,
                                                    G_RESOURCE_LOOKUP_FLAGS_NONE, &error);
  CgPlaces *places = NULL;

  if (json)
    places = cg_places_parse (g_bytes_get_data (json, NULL), g_bytes_get_size (json),
                              "cityguessr68k.json", &error);
  if (!places) /* part of the program, not input: only a broken build gets here */
    g_error ("the built-in places: %s", error->message);
  return places;
}

const CgPlaces *
cg_places_cityguessr68k (void)
{
  static GOnce once = G_ONCE_INIT;

  return g_once (&once, parse_built_in, NULL);
}

/* ---- asking ---- */

const char *
cg_places_name (const CgPlaces *places)
{
  return places->name;
}

const char *
cg_level_name (CgLevel level)
{
  return levels[level].name;
}

guint
cg_places_count (const CgPlaces *places, CgLevel level)
{
  return places->n[level];
}

const CgPlace *
cg_places_get (const CgPlaces *places, CgLevel level, guint index)
{
  return &places->place[level][index];
}

guint
cg_places_ancestor (const CgPlaces *places, CgLevel from, guint index, CgLevel to)
{
  for (guint level = from; level < to; level++)
    index = (guint)places->place[level][index].parent;
  return index;
}

gdouble
cg_places_distance (gdouble lat1, gdouble lon1, gdouble lat2, gdouble lon2)
{
  gdouble north = sin ((lat2 - lat1) * RADIANS / 2);
  gdouble east = sin ((lon2 - lon1) * RADIANS / 2);
  gdouble h = north * north + cos (lat1 * RADIANS) * cos (lat2 * RADIANS) * east * east;

  return 2 * EARTH_RADIUS * asin (sqrt (CLAMP (h, 0, 1)));
}

/* ---- writing ---- */

static void
append_place (GString *out, const CgPlace *place, guint level)
{
  g_autofree char *shown = default_name (place->label);

  g_string_append (out, "{\"label\":");
  cg_json_append_string (out, place->label);
  if (strcmp (place->name, shown) != 0) {
    g_string_append (out, ",\"name\":");
    cg_json_append_string (out, place->name);
  }
  if (place->code) {
    g_string_append (out, ",\"code\":");
    cg_json_append_string (out, place->code);
  }
  if (level != CG_CONTINENT)
    g_string_append_printf (out, ",\"%s\":%d", levels[level].parent, place->parent);
  if (level == CG_CITY) {
    g_string_append (out, ",\"latitude\":");
    cg_json_append_number (out, place->latitude);
    g_string_append (out, ",\"longitude\":");
    cg_json_append_number (out, place->longitude);
  }
  g_string_append_c (out, '}');
}

char *
cg_places_to_json (const CgPlaces *places)
{
  GString *out = g_string_new ("{\"version\":1,\"name\":");

  cg_json_append_string (out, places->name);
  for (guint level = CG_LEVELS; level-- > 0;) {
    g_string_append_printf (out, ",\"%s\":[", levels[level].array);
    for (guint i = 0; i < places->n[level]; i++) {
      if (i > 0)
        g_string_append_c (out, ',');
      append_place (out, &places->place[level][i], level);
    }
    g_string_append_c (out, ']');
  }
  g_string_append_c (out, '}');
  return g_string_free (out, FALSE);
}
