/* See atlas.h.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "atlas.h"

#include "cg-world-resources.h"
#include "model/json.h"

#include <gio/gio.h>
#include <string.h>

#define RESOURCES "/io/github/cityguessr/world/"
#define WORD_MAX 120 /* bytes */

struct _CgAtlas {
  GPtrArray *countries; /* of CgCountry */
  GPtrArray *cities;    /* of CgCity */
};

/* Reads the keys of one group, one after the other, and remembers the first error: what comes after
 * it is not read, so that a long group needs one question at its end. */
typedef struct {
  CgJsonValue value;
  GError **error;
  gboolean ok;
} Group;

/* ---- words of the files, in the order of the enumerations ---- */

static const gchar *const line_styles[] = { "none", "dashed", "solid", "double", NULL };
static const gchar *const crossings[] = { "zebra", "two-lines", NULL };
static const gchar *const plate_shapes[] = { "long", "tall", NULL };
static const gchar *const warnings[] = { "triangle", "diamond", NULL };
static const gchar *const stops[] = { "octagon", "triangle", NULL };
static const gchar *const speeds[] = { "circle", "box", NULL };
static const gchar *const street_places[] = { "wall", "post", NULL };
static const gchar *const lights_places[] = { "near", "far", "overhead", NULL };
static const gchar *const kerbs[] = { "plain", "painted", NULL };
static const gchar *const poles[] = { "none", "wood", "concrete", "steel", NULL };
static const gchar *const hills[] = { "flat", "rolling", "peaks", "table", "domes", NULL };
static const gchar *const surfaces[] = { "asphalt", "setts", NULL };
static const gchar *const pavings[] = { "slabs", "concrete", "mosaic", "earth", NULL };
static const gchar *const walls[] = { "stucco", "brick", "stone",  "concrete", "glass",
                                      "boards", "tiles", "panels", NULL };
static const gchar *const windows[] = { "casement", "sash",    "french", "shutters",
                                        "strip",    "curtain", "grille", "arched",
                                        "bay",      "sliding", NULL };
static const gchar *const balconies[] = { "none", "iron", "slab", "glass", "wood", NULL };
static const gchar *const roofs[] = { "flat", "sloped", "mansard", "gable", "stepped", NULL };
static const gchar *const trees[] = { "broad",     "plane",  "linden",   "birch",    "conifer",
                                      "cypress",   "palm",   "datepalm", "umbrella", "eucalypt",
                                      "jacaranda", "ginkgo", "olive",    "oak",      NULL };
static const gchar *const vehicles[] = { "sedan", "hatch", "suv",      "pickup", "kei",     "van",
                                         "bus",   "truck", "rickshaw", "moto",   "bicycle", NULL };
static const gchar *const bands[] = { "left", "top", NULL };
static const gchar *const layouts[] = { "vertical", "horizontal", NULL };
static const gchar *const sides[] = { "right", "left", NULL };

/* ---- one value ---- */

static gboolean
read_word (CgJsonValue value, const gchar *const *words, guint *out, GError **error)
{
  const char *text;
  g_autofree gchar *known = NULL;

  if (!cg_json_string (value, 1, WORD_MAX, &text, error))
    return FALSE;
  for (guint i = 0; words[i] != NULL; i++) {
    if (g_str_equal (words[i], text)) {
      *out = i;
      return TRUE;
    }
  }
  known = g_strjoinv (", ", (gchar **)words);
  return cg_json_fail (&value, error, "one of %s", known);
}

static gboolean
read_colour (CgJsonValue value, guint32 *out, GError **error)
{
  const char *text;
  gchar *end;

  if (!cg_json_string (value, 1, WORD_MAX, &text, error))
    return FALSE;
  if (text[0] != '#' || strlen (text) != 7)
    return cg_json_fail (&value, error, "a colour as #aa00ff");
  *out = (guint32)g_ascii_strtoull (text + 1, &end, 16);
  return *end == '\0' ? TRUE : cg_json_fail (&value, error, "a colour as #aa00ff");
}

static gboolean
read_words (CgJsonValue value, guint min, CgWords *out, GError **error)
{
  guint n;
  g_autoptr (GPtrArray) words = g_ptr_array_new_with_free_func (g_free);

  if (!cg_json_array (&value, min, 64, &n, error))
    return FALSE;
  for (guint i = 0; i < n; i++) {
    const char *text;

    if (!cg_json_string (cg_json_element (&value, i), 1, WORD_MAX, &text, error))
      return FALSE;
    g_ptr_array_add (words, g_strdup (text));
  }
  g_ptr_array_add (words, NULL);
  *out = (CgWords)g_ptr_array_free (g_steal_pointer (&words), FALSE);
  return TRUE;
}

/* ---- one group ---- */

/* @keys: all that the group may have besides "source", which it must have. */
static Group
group (const CgJsonValue *parent, const gchar *name, const gchar *const *keys, GError **error)
{
  Group g = { .value = cg_json_member (parent, name), .error = error };
  const char *source;

  g.ok = cg_json_object (&g.value, keys, error) &&
         cg_json_string (cg_json_member (&g.value, "source"), 8, 400, &source, error);
  return g;
}

static void
get_word (Group *g, const gchar *key, const gchar *const *words, void *out)
{
  guint index = 0;

  g->ok = g->ok && read_word (cg_json_member (&g->value, key), words, &index, g->error);
  memcpy (out, &index, sizeof index); /* an enumeration or a boolean */
}

static void
get_colour (Group *g, const gchar *key, guint32 *out)
{
  g->ok = g->ok && read_colour (cg_json_member (&g->value, key), out, g->error);
}

/* A colour that may be missing. */
static void
get_colour_or (Group *g, const gchar *key, guint32 missing, guint32 *out)
{
  *out = missing;
  if (g->ok && cg_json_member (&g->value, key).node != NULL)
    get_colour (g, key, out);
}

static void
get_number (Group *g, const gchar *key, gdouble min, gdouble max, gdouble *out)
{
  g->ok = g->ok && cg_json_number (cg_json_member (&g->value, key), min, max, out, g->error);
}

static void
get_number_or (Group *g, const gchar *key, gdouble min, gdouble max, gdouble missing, gdouble *out)
{
  *out = missing;
  if (g->ok && cg_json_member (&g->value, key).node != NULL)
    get_number (g, key, min, max, out);
}

static void
get_integer (Group *g, const gchar *key, guint min, guint max, guint *out)
{
  gint64 value = 0;

  g->ok = g->ok && cg_json_integer (cg_json_member (&g->value, key), min, max, &value, g->error);
  *out = (guint)value;
}

static void
get_string (Group *g, const gchar *key, gchar **out)
{
  const char *text = NULL;

  g->ok = g->ok && cg_json_string (cg_json_member (&g->value, key), 1, WORD_MAX, &text, g->error);
  *out = g_strdup (text);
}

static void
get_pair (Group *g, const gchar *key, gdouble min, gdouble max, gdouble *out)
{
  CgJsonValue pair = cg_json_member (&g->value, key);
  guint n;

  g->ok = g->ok && cg_json_array (&pair, 2, 2, &n, g->error) &&
          cg_json_number (cg_json_element (&pair, 0), min, max, &out[0], g->error) &&
          cg_json_number (cg_json_element (&pair, 1), out[0], max, &out[1], g->error);
}

#define KEYS(...) ((const gchar *const[]){ "source", __VA_ARGS__, NULL })

/* ---- countries ---- */

static gboolean
read_mix (CgCountry *self, const CgJsonValue *parent, GError **error)
{
  Group g = group (parent, "vehicles", KEYS ("density", "mix"), error);
  CgJsonValue mix;
  gdouble sum = 0.0;

  get_number (&g, "density", 0.0, 2.0, &self->density);
  if (!g.ok)
    return FALSE;
  mix = cg_json_member (&g.value, "mix");
  if (!cg_json_object (&mix, vehicles, error))
    return FALSE;
  for (guint i = 0; i < CG_VEHICLES; i++) {
    CgJsonValue share = cg_json_member (&mix, vehicles[i]);

    if (share.node != NULL && !cg_json_number (share, 0.0, 100.0, &self->mix[i], error))
      return FALSE;
    sum += self->mix[i];
  }
  if (sum <= 0.0)
    return cg_json_fail (&mix, error, "some vehicle");
  for (guint i = 0; i < CG_VEHICLES; i++)
    self->mix[i] /= sum;
  return TRUE;
}

static gboolean
read_rules (CgCountry *self, const CgJsonValue *value, GError **error)
{
  Group g = group (value, "traffic", KEYS ("side"), error);

  get_word (&g, "side", sides, &self->left);
  if (!g.ok)
    return FALSE;
  g = group (value, "lines", KEYS ("centre", "centre_style", "edge", "edge_style", "crossing"),
             error);
  get_colour (&g, "centre", &self->centre);
  get_word (&g, "centre_style", line_styles, &self->centre_style);
  get_colour_or (&g, "edge", 0xE8E8E4, &self->edge);
  get_word (&g, "edge_style", line_styles, &self->edge_style);
  get_word (&g, "crossing", crossings, &self->crossing);
  if (!g.ok)
    return FALSE;
  g = group (value, "plate", KEYS ("shape", "front", "rear", "text", "strip", "band", "sample"),
             error);
  get_word (&g, "shape", plate_shapes, &self->plate_shape);
  get_colour (&g, "front", &self->plate_front);
  get_colour (&g, "rear", &self->plate_rear);
  get_colour (&g, "text", &self->plate_text);
  get_colour_or (&g, "strip", CG_NO_COLOUR, &self->plate_strip);
  if (g.ok && self->plate_strip != CG_NO_COLOUR)
    get_word (&g, "band", bands, &self->plate_band_on_top);
  get_string (&g, "sample", &self->plate_sample);
  return g.ok;
}

static gboolean
read_furniture (CgCountry *self, const CgJsonValue *value, GError **error)
{
  Group g =
      group (value, "signs",
             KEYS ("warning", "warning_ground", "warning_border", "stop", "stop_shape", "speed",
                   "limit", "speed_word", "street_ground", "street_ink", "street_place"),
             error);

  get_word (&g, "warning", warnings, &self->warning);
  get_colour (&g, "warning_ground", &self->warning_ground);
  get_colour_or (&g, "warning_border", 0xC81C28, &self->warning_border);
  get_string (&g, "stop", &self->stop);
  get_word (&g, "stop_shape", stops, &self->stop_shape);
  get_word (&g, "speed", speeds, &self->speed);
  get_integer (&g, "limit", 5, 130, &self->limit);
  if (g.ok && cg_json_member (&g.value, "speed_word").node != NULL)
    get_string (&g, "speed_word", &self->speed_word);
  get_colour (&g, "street_ground", &self->street_ground);
  get_colour (&g, "street_ink", &self->street_ink);
  get_word (&g, "street_place", street_places, &self->street_place);
  if (!g.ok)
    return FALSE;
  g = group (value, "lights", KEYS ("housing", "layout", "place"), error);
  get_colour (&g, "housing", &self->lights_housing);
  get_word (&g, "layout", layouts, &self->lights_horizontal);
  get_word (&g, "place", lights_places, &self->lights_place);
  if (!g.ok)
    return FALSE;
  g = group (value, "kerb", KEYS ("pattern", "colour", "second"), error);
  get_word (&g, "pattern", kerbs, &self->kerb);
  get_colour (&g, "colour", &self->kerb_colours[0]);
  get_colour_or (&g, "second", self->kerb_colours[0], &self->kerb_colours[1]);
  if (!g.ok)
    return FALSE;
  g = group (value, "wires", KEYS ("amount", "pole"), error);
  get_number (&g, "amount", 0.0, 1.0, &self->wires);
  get_word (&g, "pole", poles, &self->pole);
  return g.ok;
}

static void
country_free (gpointer data)
{
  CgCountry *self = data;

  g_free (self->label);
  g_free (self->plate_sample);
  g_free (self->stop);
  g_free (self->speed_word);
  g_free (self->language);
  g_strfreev (self->shops);
  g_free (self);
}

static gboolean
read_country (CgCountry *self, const CgJsonValue *value, GError **error)
{
  static const gchar *const keys[] = { "country", "traffic", "lines", "plate",    "signs", "lights",
                                       "kerb",    "wires",   "words", "vehicles", NULL };
  const char *label;
  Group g;

  if (!cg_json_object (value, keys, error) ||
      !cg_json_string (cg_json_member (value, "country"), 1, WORD_MAX, &label, error))
    return FALSE;
  self->label = g_strdup (label);
  if (!read_rules (self, value, error) || !read_furniture (self, value, error) ||
      !read_mix (self, value, error))
    return FALSE;
  g = group (value, "words", KEYS ("language", "shops"), error);
  get_string (&g, "language", &self->language);
  return g.ok && read_words (cg_json_member (&g.value, "shops"), 6, &self->shops, error);
}

/* ---- cities ---- */

static gboolean
read_kind (CgBuildings *self, CgJsonValue value, GError **error)
{
  static const gchar *const keys[] = { "weight",  "wall",   "colours",     "trim",   "shutter",
                                       "roof",    "floors", "width",       "height", "window",
                                       "balcony", "shop",   "awning",      "air",    "upright",
                                       "setback", "gap",    "roof_colour", "fence",  NULL };
  Group g = { .value = value, .error = error, .ok = cg_json_object (&value, keys, error) };
  CgJsonValue colours = cg_json_member (&value, "colours");
  gdouble floors[2] = { 1, 1 };

  get_number_or (&g, "weight", 0.01, 100.0, 1.0, &self->weight);
  get_word (&g, "wall", walls, &self->wall);
  g.ok = g.ok && cg_json_array (&colours, 1, CG_COLOURS_MAX, &self->n_colours, error);
  for (guint i = 0; g.ok && i < self->n_colours; i++)
    g.ok = read_colour (cg_json_element (&colours, i), &self->colours[i], error);
  get_colour (&g, "trim", &self->trim);
  get_colour_or (&g, "shutter", 0x4A5A4C, &self->shutter);
  get_colour_or (&g, "roof_colour", 0x6A6460, &self->roof_colour);
  get_pair (&g, "floors", 1.0, 60.0, floors);
  self->floors[0] = (guint)floors[0];
  self->floors[1] = (guint)floors[1];
  get_pair (&g, "width", 3.0, 60.0, self->width);
  get_number_or (&g, "height", 2.4, 5.0, 3.1, &self->floor_height);
  get_word (&g, "window", windows, &self->window);
  get_word (&g, "balcony", balconies, &self->balcony);
  get_word (&g, "roof", roofs, &self->roof);
  get_number (&g, "shop", 0.0, 1.0, &self->shop);
  get_number_or (&g, "awning", 0.0, 1.0, 0.2, &self->awning);
  get_number_or (&g, "air", 0.0, 1.0, 0.0, &self->air);
  get_number_or (&g, "upright", 0.0, 1.0, 0.05, &self->upright);
  get_number_or (&g, "setback", 0.0, 30.0, 0.0, &self->setback);
  get_number_or (&g, "gap", 0.0, 20.0, 0.0, &self->gap);
  if (g.ok && cg_json_member (&value, "fence").node != NULL)
    g.ok = cg_json_boolean (cg_json_member (&value, "fence"), &self->fence, error);
  return g.ok;
}

static gboolean
read_buildings (CgCity *self, const CgJsonValue *value, GError **error)
{
  Group g = group (value, "buildings", KEYS ("kinds"), error);
  CgJsonValue kinds = cg_json_member (&g.value, "kinds");

  if (!g.ok || !cg_json_array (&kinds, 1, CG_KINDS_MAX, &self->n_kinds, error))
    return FALSE;
  for (guint i = 0; i < self->n_kinds; i++)
    if (!read_kind (&self->kinds[i], cg_json_element (&kinds, i), error))
      return FALSE;
  return TRUE;
}

static gboolean
read_nature (CgCity *self, const CgJsonValue *value, GError **error)
{
  Group g = group (value, "climate", KEYS ("koppen", "coldest", "warmest", "wet", "soil", "grass"),
                   error);
  CgJsonValue list;

  get_string (&g, "koppen", &self->koppen);
  get_number (&g, "coldest", -40.0, 40.0, &self->coldest);
  get_number (&g, "warmest", self->coldest, 45.0, &self->warmest);
  get_number (&g, "wet", 0.0, 1.0, &self->wet);
  get_colour (&g, "soil", &self->soil);
  get_colour (&g, "grass", &self->grass);
  if (!g.ok)
    return FALSE;
  g = group (value, "terrain", KEYS ("shape", "hills", "colour", "roll", "bend", "skyline"), error);
  get_word (&g, "shape", hills, &self->hills_shape);
  get_number (&g, "hills", 0.0, 15.0, &self->hills);
  get_colour_or (&g, "colour", 0x5E6E58, &self->hills_colour);
  get_number (&g, "roll", 0.0, 1.0, &self->roll);
  get_number (&g, "bend", 0.0, 1.0, &self->bend);
  get_number (&g, "skyline", 0.0, 1.0, &self->skyline);
  if (!g.ok)
    return FALSE;
  g = group (value, "plants", KEYS ("trees", "amount"), error);
  get_number (&g, "amount", 0.0, 1.0, &self->trees_amount);
  list = cg_json_member (&g.value, "trees");
  g.ok = g.ok && cg_json_array (&list, 1, CG_TREES_MAX, &self->n_trees, error);
  for (guint i = 0; g.ok && i < self->n_trees; i++) {
    guint tree = 0;

    g.ok = read_word (cg_json_element (&list, i), trees, &tree, error);
    self->trees[i] = (CgTree)tree;
  }
  return g.ok;
}

static gboolean
read_street (CgCity *self, const CgJsonValue *value, GError **error)
{
  Group g = group (
      value, "street",
      KEYS ("lanes", "lane", "pavement", "block", "parking", "surface", "paving", "paving_colour"),
      error);

  get_integer (&g, "lanes", 1, 4, &self->lanes);
  get_number_or (&g, "lane", 2.4, 4.0, 3.2, &self->lane_width);
  get_number (&g, "pavement", 0.8, 12.0, &self->pavement);
  get_number (&g, "block", 30.0, 300.0, &self->block);
  g.ok = g.ok && cg_json_boolean (cg_json_member (&g.value, "parking"), &self->parking, error);
  get_word (&g, "surface", surfaces, &self->surface);
  get_word (&g, "paving", pavings, &self->paving);
  get_colour (&g, "paving_colour", &self->paving_colour);
  if (!g.ok)
    return FALSE;
  g = group (value, "taxi", KEYS ("colour", "roof", "share"), error);
  get_colour (&g, "colour", &self->taxi);
  get_colour_or (&g, "roof", self->taxi, &self->taxi_roof);
  get_number (&g, "share", 0.0, 1.0, &self->taxi_share);
  return g.ok;
}

static void
city_free (gpointer data)
{
  CgCity *self = data;

  g_free (self->label);
  g_free (self->koppen);
  g_free (self->plate_sample);
  g_free (self->stop);
  g_strfreev (self->shops);
  g_strfreev (self->streets);
  g_free (self);
}

static void
get_string_or (Group *g, const gchar *key, const gchar *missing, gchar **out)
{
  *out = NULL;
  if (g->ok && cg_json_member (&g->value, key).node != NULL)
    get_string (g, key, out);
  if (*out == NULL)
    *out = g_strdup (missing);
}

/* What the country says, but for the keys of the group "local", which may be missing as a whole. */
static gboolean
read_local (CgCity *self, const CgJsonValue *value, GError **error)
{
  const CgCountry *country = self->country;
  Group g = { .error = error, .ok = TRUE };

  if (cg_json_member (value, "local").node != NULL)
    g = group (value, "local", KEYS ("plate_text", "plate_sample", "stop", "lights_layout"), error);
  get_colour_or (&g, "plate_text", country->plate_text, &self->plate_text);
  get_string_or (&g, "plate_sample", country->plate_sample, &self->plate_sample);
  get_string_or (&g, "stop", country->stop, &self->stop);
  self->lights_horizontal = country->lights_horizontal;
  if (g.ok && cg_json_member (&g.value, "lights_layout").node != NULL)
    get_word (&g, "lights_layout", layouts, &self->lights_horizontal);
  return g.ok;
}

/* The index among the cities of the label tree, or -1. */
static gint
find_place (const gchar *label)
{
  const CgPlaces *places = cg_places_cityguessr68k ();

  for (guint i = 0; i < cg_places_count (places, CG_CITY); i++)
    if (g_str_equal (cg_places_get (places, CG_CITY, i)->label, label))
      return (gint)i;
  return -1;
}

static const gchar *
country_of (guint place)
{
  const CgPlaces *places = cg_places_cityguessr68k ();

  return cg_places_get (places, CG_COUNTRY, cg_places_ancestor (places, CG_CITY, place, CG_COUNTRY))
      ->label;
}

static gboolean
read_city (const CgAtlas *atlas, CgCity *self, const CgJsonValue *value, GError **error)
{
  static const gchar *const keys[] = { "city",   "held_out", "climate",   "terrain",
                                       "plants", "street",   "buildings", "taxi",
                                       "words",  "local",    NULL };
  CgJsonValue name = cg_json_member (value, "city");
  const char *label;
  gint place;
  Group g;

  if (!cg_json_object (value, keys, error) || !cg_json_string (name, 1, WORD_MAX, &label, error))
    return FALSE;
  self->label = g_strdup (label);
  place = find_place (label);
  if (place < 0)
    return cg_json_fail (&name, error, "the label of a city of CityGuessr68k");
  self->place = (guint)place;
  for (guint i = 0; i < atlas->countries->len; i++) {
    const CgCountry *country = g_ptr_array_index (atlas->countries, i);

    if (g_str_equal (country->label, country_of (self->place)))
      self->country = country;
  }
  if (self->country == NULL)
    return cg_json_fail (&name, error, "a city whose country (%s) is in countries.json",
                         country_of (self->place));
  if (!cg_json_boolean (cg_json_member (value, "held_out"), &self->held_out, error) ||
      !read_nature (self, value, error) || !read_street (self, value, error) ||
      !read_buildings (self, value, error) || !read_local (self, value, error))
    return FALSE;
  g = group (value, "words", KEYS ("shops", "streets"), error);
  return g.ok && read_words (cg_json_member (&g.value, "shops"), 3, &self->shops, error) &&
         read_words (cg_json_member (&g.value, "streets"), 3, &self->streets, error);
}

/* ---- the whole ---- */

static gboolean
read_countries (CgAtlas *self, const gchar *text, gsize length, GError **error)
{
  g_autoptr (CgJson) json = cg_json_parse (text, length, "countries.json", CG_ERROR_CONFIG, error);
  CgJsonValue root, list;
  guint n;

  if (json == NULL)
    return FALSE;
  root = cg_json_root (json);
  list = cg_json_member (&root, "countries");
  if (!cg_json_array (&list, 1, 200, &n, error))
    return FALSE;
  for (guint i = 0; i < n; i++) {
    CgCountry *country = g_new0 (CgCountry, 1);
    CgJsonValue value = cg_json_element (&list, i);

    g_ptr_array_add (self->countries, country);
    if (!read_country (country, &value, error))
      return FALSE;
  }
  return TRUE;
}

static gboolean
read_cities (CgAtlas *self, const gchar *text, gsize length, GError **error)
{
  g_autoptr (CgJson) json = cg_json_parse (text, length, "cities.json", CG_ERROR_CONFIG, error);
  CgJsonValue root, list;
  guint n;

  if (json == NULL)
    return FALSE;
  root = cg_json_root (json);
  list = cg_json_member (&root, "cities");
  if (!cg_json_array (&list, 1, 200, &n, error))
    return FALSE;
  for (guint i = 0; i < n; i++) {
    CgCity *city = g_new0 (CgCity, 1);
    CgJsonValue value = cg_json_element (&list, i);

    g_ptr_array_add (self->cities, city);
    if (!read_city (self, city, &value, error))
      return FALSE;
  }
  return TRUE;
}

CgAtlas *
cg_atlas_new (const gchar *countries, gsize countries_length, const gchar *cities,
              gsize cities_length, GError **error)
{
  g_autoptr (CgAtlas) self = g_new0 (CgAtlas, 1);

  self->countries = g_ptr_array_new_with_free_func (country_free);
  self->cities = g_ptr_array_new_with_free_func (city_free);
  if (!read_countries (self, countries, countries_length, error) ||
      !read_cities (self, cities, cities_length, error))
    return NULL;
  return g_steal_pointer (&self);
}

void
cg_atlas_free (CgAtlas *atlas)
{
  if (atlas == NULL)
    return;
  g_ptr_array_unref (atlas->cities);
  g_ptr_array_unref (atlas->countries);
  g_free (atlas);
}

static gpointer
load_built_in (gpointer unused)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GBytes) countries = g_resource_lookup_data (
      cg_world_get_resource (), RESOURCES "countries.json", G_RESOURCE_LOOKUP_FLAGS_NONE, &error);
  g_autoptr (GBytes) cities = g_resource_lookup_data (
      cg_world_get_resource (), RESOURCES "cities.json", G_RESOURCE_LOOKUP_FLAGS_NONE, NULL);
  CgAtlas *atlas = NULL;

  if (countries != NULL && cities != NULL)
    atlas = cg_atlas_new (g_bytes_get_data (countries, NULL), g_bytes_get_size (countries),
                          g_bytes_get_data (cities, NULL), g_bytes_get_size (cities), &error);
  /* What is built in is right, or the build is wrong: tests/gst-plugin/test-world-atlas.c. */
  if (atlas == NULL)
    g_error ("the built-in atlas: %s", error != NULL ? error->message : "missing");
  return atlas;
}

const CgAtlas *
cg_atlas_built_in (void)
{
  static GOnce once = G_ONCE_INIT;

  return g_once (&once, load_built_in, NULL);
}

guint
cg_atlas_count (const CgAtlas *atlas)
{
  return atlas->cities->len;
}

const CgCity *
cg_atlas_get (const CgAtlas *atlas, guint index)
{
  return g_ptr_array_index (atlas->cities, index);
}

static gboolean
same_name (const gchar *a, const gchar *b)
{
  g_autofree gchar *x = g_utf8_casefold (a, -1), *y = g_utf8_casefold (b, -1);

  return g_str_equal (x, y);
}

const CgCity *
cg_atlas_find (const CgAtlas *atlas, const gchar *name)
{
  const CgPlaces *places = cg_places_cityguessr68k ();

  if (name == NULL || !g_utf8_validate (name, -1, NULL))
    return NULL;
  for (guint i = 0; i < atlas->cities->len; i++) {
    const CgCity *city = cg_atlas_get (atlas, i);

    if (same_name (city->label, name) ||
        same_name (cg_places_get (places, CG_CITY, city->place)->name, name))
      return city;
  }
  return NULL;
}

gchar *
cg_atlas_names (const CgAtlas *atlas)
{
  GString *names = g_string_new (NULL);

  for (guint i = 0; i < atlas->cities->len; i++)
    g_string_append_printf (names, "%s%s", i > 0 ? ", " : "", cg_atlas_get (atlas, i)->label);
  return g_string_free (names, FALSE);
}
