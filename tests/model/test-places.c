/* The label tree: reading, refusing, asking, writing, and the 166 cities of CityGuessr68k.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "model/places.h"

#include "model-file.h"

#include <math.h>

#define WHERE "bad.safetensors: places"
#define HEAD "{\"version\":1,\"name\":\"t\","
#define TOP "\"continents\":[{\"label\":\"Z\"}],\"countries\":[{\"label\":\"Y\",\"continent\":0}],"
#define STATE "\"states\":[{\"label\":\"X\",\"country\":0}],"
#define CITY "\"cities\":[{\"label\":\"W\",\"state\":0,\"latitude\":1,\"longitude\":2}]"

static CgPlaces *
parse (const char *json, GError **error)
{
  return cg_places_parse (json, strlen (json), WHERE, error);
}

static const struct {
  const char *title, *json, *parts[3];
} refused[] = {
  { "no-json", "{", { "the end", "a key" } },
  { "bad-utf-8", HEAD "\"continents\":[{\"label\":\"\xff\"}]}", { "0xff", "valid UTF-8" } },
  { "key-twice", HEAD "\"name\":\"u\"}", { "\"name\" twice", "once" } },
  { "version-2",
    "{\"version\":2,\"name\":\"t\"," TOP STATE CITY "}",
    { "version: found 2", "the integer 1" } },
  { "no-version", "{\"name\":\"t\"," TOP STATE CITY "}", { "version: found nothing" } },
  { "no-name", "{\"version\":1," TOP STATE CITY "}", { "name: found nothing", "a string" } },
  { "unknown-key", HEAD TOP STATE CITY ",\"__extra__\":{}}", { "\"__extra__\"", "expected only" } },
  { "cities-missing",
    "{\"version\":1,\"name\":\"t\"," TOP "\"states\":[{\"label\":\"X\",\"country\":0}]}",
    { "cities: found nothing", "1..65535" } },
  { "empty-level", HEAD TOP STATE "\"cities\":[]}", { "cities: found an array of 0", "1..65535" } },
  { "level-no-array", HEAD TOP STATE "\"cities\":{}}", { "cities: found an object", "an array" } },
  { "entry-no-object", HEAD TOP STATE "\"cities\":[0]}", { "cities[0]: found 0", "an object" } },
  { "entry-unknown-key",
    HEAD TOP "\"states\":[{\"label\":\"X\",\"country\":0,\"code\":\"XX\"}]," CITY "}",
    { "states[0]: found the unknown key \"code\"", "label, name, country" } },
  { "parent-out-of-range",
    HEAD TOP STATE "\"cities\":[{\"label\":\"W\",\"state\":1,\"latitude\":1,\"longitude\":2}]}",
    { "cities[0].state: found 1", "the integer 0" } },
  { "parent-negative",
    HEAD TOP STATE "\"cities\":[{\"label\":\"W\",\"state\":-1,\"latitude\":1,\"longitude\":2}]}",
    { "cities[0].state: found -1", "the integer 0" } },
  { "parent-missing",
    HEAD TOP STATE "\"cities\":[{\"label\":\"W\",\"latitude\":1,\"longitude\":2}]}",
    { "cities[0].state: found nothing", "the integer 0" } },
  /* A cycle can only be written as a parent that is not in the next coarser level. */
  { "cycle",
    HEAD "\"continents\":[{\"label\":\"Z\",\"country\":0}],\"countries\":[{\"label\":\"Y\","
         "\"continent\":0}]," STATE CITY "}",
    { "continents[0]: found the unknown key \"country\"" } },
  { "cycle-of-countries",
    HEAD
    "\"continents\":[{\"label\":\"Z\"}],\"countries\":[{\"label\":\"Y\",\"country\":0}]," STATE CITY
    "}",
    { "countries[0]: found the unknown key \"country\"" } },
  { "childless-state",
    HEAD TOP "\"states\":[{\"label\":\"X\",\"country\":0},{\"label\":\"V\",\"country\":0}]," CITY
             "}",
    { "states[1] \"V\"", "no city", "at least one" } },
  { "childless-continent",
    HEAD "\"continents\":[{\"label\":\"A\"},{\"label\":\"Z\"}],\"countries\":[{\"label\":\"Y\","
         "\"continent\":1}]," STATE CITY "}",
    { "continents[0] \"A\"", "no country", "at least one" } },
  { "label-twice",
    HEAD TOP STATE "\"cities\":[{\"label\":\"W\",\"state\":0,\"latitude\":1,\"longitude\":2},"
                   "{\"label\":\"V\",\"state\":0,\"latitude\":1,\"longitude\":2},"
                   "{\"label\":\"W\",\"state\":0,\"latitude\":3,\"longitude\":4}]}",
    { "cities[0] and cities[2]", "\"W\" twice", "once" } },
  { "label-empty",
    HEAD "\"continents\":[{\"label\":\"\"}]}",
    { "continents[0].label", "\"\"", "1..200 bytes" } },
  { "label-number",
    HEAD "\"continents\":[{\"label\":7}]}",
    { "continents[0].label: found 7", "a string" } },
  { "name-empty",
    HEAD "\"continents\":[{\"label\":\"Z\",\"name\":\"\"}]}",
    { "continents[0].name", "1..200 bytes" } },
  { "code-lower-case",
    HEAD "\"continents\":[{\"label\":\"Z\"}],\"countries\":[{\"label\":\"Y\",\"code\":\"Gb\","
         "\"continent\":0}]}",
    { "countries[0].code: found \"Gb\"", "ISO 3166-1" } },
  { "code-long",
    HEAD "\"continents\":[{\"label\":\"Z\"}],\"countries\":[{\"label\":\"Y\",\"code\":\"GBR\","
         "\"continent\":0}]}",
    { "countries[0].code: found \"GBR\"", "2..2 bytes" } },
  { "latitude-91",
    HEAD TOP STATE "\"cities\":[{\"label\":\"W\",\"state\":0,\"latitude\":91,\"longitude\":2}]}",
    { "cities[0].latitude: found 91", "-90..90" } },
  { "longitude-181",
    HEAD TOP STATE
    "\"cities\":[{\"label\":\"W\",\"state\":0,\"latitude\":1,\"longitude\":-180.5}]}",
    { "cities[0].longitude: found -180.5", "-180..180" } },
  { "longitude-missing",
    HEAD TOP STATE "\"cities\":[{\"label\":\"W\",\"state\":0,\"latitude\":1}]}",
    { "cities[0].longitude: found nothing", "-180..180" } },
};

static void
test_refused (gconstpointer data)
{
  guint i = GPOINTER_TO_UINT (data);
  g_autoptr (GError) error = NULL;
  g_autoptr (CgPlaces) places = parse (refused[i].json, &error);
  const char *const *parts = refused[i].parts;

  g_assert_null (places);
  CHECK_ERROR (error, CG_ERROR_PLACES, WHERE, parts[0], parts[1] ? parts[1] : "",
               parts[2] ? parts[2] : "");
}

/* A level of one more than it may be long. */
static void
test_level_too_long (void)
{
  g_autoptr (GString) json = g_string_new (HEAD "\"continents\":[0");
  g_autoptr (GError) error = NULL;

  for (guint i = 0; i < 65535; i++)
    g_string_append (json, ",0");
  g_string_append (json, "]}");
  g_assert_null (parse (json->str, &error));
  CHECK_ERROR (error, CG_ERROR_PLACES, WHERE, "at most 65535 elements");
}

static void
test_smallest (void)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (CgPlaces) places =
      parse (HEAD TOP "\"states\":[{\"label\":\"a_b\",\"country\":0}]," CITY "}", &error);

  g_assert_no_error (error);
  g_assert_cmpstr (cg_places_name (places), ==, "t");
  for (guint level = 0; level < CG_LEVELS; level++) {
    const CgPlace *place = cg_places_get (places, (CgLevel)level, 0);
    g_assert_cmpuint (cg_places_count (places, (CgLevel)level), ==, 1);
    g_assert_cmpint (place->parent, ==, level == CG_CONTINENT ? -1 : 0);
    g_assert_null (place->code);
    g_assert_cmpfloat_with_epsilon (place->latitude, 1, 1e-12);
    g_assert_cmpfloat_with_epsilon (place->longitude, 2, 1e-12);
  }
  g_assert_cmpstr (cg_places_get (places, CG_STATE, 0)->label, ==, "a_b");
  g_assert_cmpstr (cg_places_get (places, CG_STATE, 0)->name, ==, "a b");
}

/* A country's place is the spherical centroid: right across the date line and at the poles. */
static void
test_centroids (void)
{
  static const struct {
    gdouble a[2], b[2], middle[2];
  } cases[] = {
    { { 10, 179 }, { 10, -179 }, { 10.0014924, 180 } },
    { { 80, 0 }, { 80, 180 }, { 90, 0 } },
    { { 0, 20 }, { 0, 40 }, { 0, 30 } },
    { { 30, 50 }, { -30, -130 }, { 30, 50 } }, /* opposite each other: the first */
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autofree char *json = g_strdup_printf (
        HEAD TOP STATE "\"cities\":[{\"label\":\"V\",\"state\":0,\"latitude\":%g,\"longitude\":%g},"
                       "{\"label\":\"W\",\"state\":0,\"latitude\":%g,\"longitude\":%g}]}",
        cases[i].a[0], cases[i].a[1], cases[i].b[0], cases[i].b[1]);
    g_autoptr (GError) error = NULL;
    g_autoptr (CgPlaces) places = parse (json, &error);
    g_assert_no_error (error);
    for (guint level = CG_STATE; level < CG_LEVELS; level++) {
      const CgPlace *place = cg_places_get (places, (CgLevel)level, 0);
      gdouble metres = cg_places_distance (place->latitude, place->longitude, cases[i].middle[0],
                                           cases[i].middle[1]);
      if (metres > 1)
        g_test_message ("case %u: found %g, %g, expected %g, %g", i, place->latitude,
                        place->longitude, cases[i].middle[0], cases[i].middle[1]);
      g_assert_cmpfloat (metres, <, 1);
    }
  }
}

static void
test_distance (void)
{
  const gdouble radius = 6371008.8;

  g_assert_cmpfloat (cg_places_distance (12, 34, 12, 34), ==, 0);
  g_assert_cmpfloat_with_epsilon (cg_places_distance (0, 0, 90, 77), radius * G_PI / 2, 1e-6);
  g_assert_cmpfloat_with_epsilon (cg_places_distance (0, 0, 0, 180), radius * G_PI, 1e-6);
  g_assert_cmpfloat_with_epsilon (cg_places_distance (37, 10, -37, -170), radius * G_PI, 1);
  g_assert_cmpfloat_with_epsilon (cg_places_distance (0, 179.5, 0, -179.5), radius * G_PI / 180,
                                  1e-6);
  /* One metre is still a metre: the haversine form does not cancel. */
  g_assert_cmpfloat_with_epsilon (cg_places_distance (50, 8, 50 + 1 / (radius * G_PI / 180), 8), 1,
                                  1e-6);
  /* Nashville to Los Angeles, the worked example of the formula: 2887.26 km at R = 6372.8 km. */
  g_assert_cmpfloat_with_epsilon (cg_places_distance (36.12, -86.67, 33.94, -118.40),
                                  2887259.95 * radius / 6372800, 10);
}

static void
check_same (const CgPlaces *a, const CgPlaces *b)
{
  g_assert_cmpstr (cg_places_name (a), ==, cg_places_name (b));
  for (guint level = 0; level < CG_LEVELS; level++) {
    g_assert_cmpuint (cg_places_count (a, (CgLevel)level), ==, cg_places_count (b, (CgLevel)level));
    for (guint i = 0; i < cg_places_count (a, (CgLevel)level); i++) {
      const CgPlace *p = cg_places_get (a, (CgLevel)level, i),
                    *q = cg_places_get (b, (CgLevel)level, i);
      g_assert_cmpstr (p->label, ==, q->label);
      g_assert_cmpstr (p->name, ==, q->name);
      g_assert_cmpstr (p->code, ==, q->code);
      g_assert_cmpint (p->parent, ==, q->parent);
      g_assert_cmpfloat (p->latitude, ==, q->latitude);
      g_assert_cmpfloat (p->longitude, ==, q->longitude);
    }
  }
}

static void
test_written (void)
{
  g_autofree char *json = cg_places_to_json (cg_places_cityguessr68k ());
  g_autoptr (GError) error = NULL;
  g_autoptr (CgPlaces) again = parse (json, &error);
  g_autofree char *json_again = NULL;

  g_assert_no_error (error);
  g_assert_null (strchr (json, '\n'));
  check_same (cg_places_cityguessr68k (), again);
  json_again = cg_places_to_json (again);
  g_assert_cmpstr (json, ==, json_again);
}

/* ---- the 166 cities ---- */

static guint
find (CgLevel level, const char *label)
{
  const CgPlaces *places = cg_places_cityguessr68k ();

  for (guint i = 0; i < cg_places_count (places, level); i++)
    if (strcmp (cg_places_get (places, level, i)->label, label) == 0)
      return i;
  g_error ("no %s %s", cg_level_name (level), label);
}

static void
test_counts (void)
{
  static const guint counts[CG_LEVELS] = { 166, 157, 91, 6 };
  static const char *const names[CG_LEVELS] = { "city", "state", "country", "continent" };
  static const char *const continents[] = { "Asia",   "Africa",        "Oceania",
                                            "Europe", "North America", "South America" };
  const CgPlaces *places = cg_places_cityguessr68k ();

  g_assert_cmpstr (cg_places_name (places), ==, "CityGuessr68k");
  for (guint level = 0; level < CG_LEVELS; level++) {
    g_assert_cmpuint (cg_places_count (places, (CgLevel)level), ==, counts[level]);
    g_assert_cmpstr (cg_level_name ((CgLevel)level), ==, names[level]);
  }
  for (guint i = 0; i < 6; i++)
    g_assert_cmpstr (cg_places_get (places, CG_CONTINENT, i)->label, ==, continents[i]);
  for (guint i = 0; i < 91; i++)
    g_assert_nonnull (cg_places_get (places, CG_COUNTRY, i)->code);
}

/* Cities are in alphabetical order; eight states have more than one, and these. */
static void
test_shared_states (void)
{
  static const char *const shared[][3] = {
    { "Agra", "Kanpur", "Lucknow" }, { "Austin", "Dallas" },      { "Calgary", "Edmonton" },
    { "Incheon", "Seoul" },          { "Jacksonville", "Miami" }, { "Jeddah", "Makkah" },
    { "Liverpool", "Manchester" },   { "Memphis", "Nashville" },
  };
  const CgPlaces *places = cg_places_cityguessr68k ();
  guint cities_of[157] = { 0 };
  guint n_shared = 0;

  for (guint i = 0; i < 166; i++) {
    cities_of[cg_places_ancestor (places, CG_CITY, i, CG_STATE)]++;
    if (i > 0)
      g_assert_cmpstr (cg_places_get (places, CG_CITY, i - 1)->label, <,
                       cg_places_get (places, CG_CITY, i)->label);
  }
  for (guint i = 0; i < 157; i++)
    n_shared += cities_of[i] > 1;
  g_assert_cmpuint (n_shared, ==, G_N_ELEMENTS (shared));
  for (guint i = 0; i < G_N_ELEMENTS (shared); i++) {
    guint n = shared[i][2] ? 3 : 2;
    gint state = cg_places_get (places, CG_CITY, find (CG_CITY, shared[i][0]))->parent;
    g_assert_cmpuint (cities_of[state], ==, n);
    for (guint j = 1; j < n; j++)
      g_assert_cmpint (cg_places_get (places, CG_CITY, find (CG_CITY, shared[i][j]))->parent, ==,
                       state);
  }
}

/* The authors' spellings are the labels, English names are shown. */
static void
test_names (void)
{
  static const char *const chains[][5] = {
    /* city label, name, state, country label, ISO code */
    { "Malm", "Malm\xc3\xb6", "Sk\xc3\xa5ne", "Sweden", "SE" },
    { "Talinn", "Tallinn", "Harju", "Estonia", "EE" },
    { "Banglore", "Bangalore", "Karnataka", "India", "IN" },
    { "Guatemala_City", "Guatemala City", "Guatemala", "Gautemala", "GT" },
    { "Manchester", "Manchester", "North West England", "England", "GB" },
    { "Edinburgh", "Edinburgh", "City of Edinburgh", "Scotland", "GB" },
    { "Seoul", "Seoul", "Seoul Capital Area", "South_Korea", "KR" },
    { "Prague", "Prague", "Praha", "Czechia", "CZ" },
    { "Kampala", "Kampala", "Central Region (Uganda)", "Uganda", "UG" },
    { "Kathmandu", "Kathmandu", "Central Region (Nepal)", "Nepal", "NP" },
  };
  const CgPlaces *places = cg_places_cityguessr68k ();

  for (guint i = 0; i < G_N_ELEMENTS (chains); i++) {
    guint city = find (CG_CITY, chains[i][0]);
    guint country = cg_places_ancestor (places, CG_CITY, city, CG_COUNTRY);
    g_assert_cmpuint (cg_places_ancestor (places, CG_CITY, city, CG_CITY), ==, city);
    g_assert_cmpstr (cg_places_get (places, CG_CITY, city)->name, ==, chains[i][1]);
    g_assert_cmpstr (
        cg_places_get (places, CG_STATE, cg_places_ancestor (places, CG_CITY, city, CG_STATE))
            ->label,
        ==, chains[i][2]);
    g_assert_cmpstr (cg_places_get (places, CG_COUNTRY, country)->label, ==, chains[i][3]);
    g_assert_cmpstr (cg_places_get (places, CG_COUNTRY, country)->code, ==, chains[i][4]);
  }
  g_assert_cmpstr (cg_places_get (places, CG_COUNTRY, find (CG_COUNTRY, "Gautemala"))->name, ==,
                   "Guatemala");
  g_assert_cmpstr (cg_places_get (places, CG_COUNTRY, find (CG_COUNTRY, "South_Korea"))->name, ==,
                   "South Korea");
  g_assert_cmpstr (
      cg_places_get (places, CG_STATE, find (CG_STATE, "Central Region (Nepal)"))->name, ==,
      "Central Region");
}

/* Against the table that the tree was made from: every index and coordinate. */
static void
test_table (void)
{
  const char *folder = g_getenv ("CITYGUESSR_SHARED_DATA");
  g_autofree char *path = g_build_filename (folder ? folder : "", "cityguessr68k-places.tsv", NULL);
  const CgPlaces *places = cg_places_cityguessr68k ();
  g_autofree char *text = NULL;
  g_auto (GStrv) lines = NULL;
  g_autoptr (GError) error = NULL;

  if (!folder || !*folder) {
    g_test_skip ("CITYGUESSR_SHARED_DATA does not name the folder of cityguessr68k-places.tsv");
    return;
  }
  g_file_get_contents (path, &text, NULL, &error);
  g_assert_no_error (error);
  lines = g_strsplit (g_strchomp (text), "\n", -1);
  g_assert_cmpuint (g_strv_length (lines), ==, 167);
  for (guint i = 0; i < 166; i++) {
    g_auto (GStrv) field = g_strsplit (lines[i + 1], "\t", -1);
    const CgPlace *city = cg_places_get (places, CG_CITY, i);
    guint country = cg_places_ancestor (places, CG_CITY, i, CG_COUNTRY);
    g_assert_cmpuint (g_ascii_strtoull (field[0], NULL, 10), ==, i);
    g_assert_cmpstr (city->label, ==, field[1]);
    g_assert_cmpuint (g_ascii_strtoull (field[2], NULL, 10), ==, city->parent);
    g_assert_cmpuint (g_ascii_strtoull (field[3], NULL, 10), ==, country);
    g_assert_cmpuint (g_ascii_strtoull (field[4], NULL, 10), ==,
                      cg_places_ancestor (places, CG_CITY, i, CG_CONTINENT));
    g_assert_cmpstr (city->name, ==, field[6]);
    g_assert_cmpfloat (city->latitude, ==, g_ascii_strtod (field[7], NULL));
    g_assert_cmpfloat (city->longitude, ==, g_ascii_strtod (field[8], NULL));
    g_assert_cmpstr (cg_places_get (places, CG_COUNTRY, country)->code, ==, field[10]);
  }
}

static gpointer
get_built_in (gpointer unused)
{
  return (gpointer)cg_places_cityguessr68k ();
}

/* Made once, whichever threads ask first. */
static void
test_threads (void)
{
  GThread *threads[8];

  for (guint i = 0; i < 8; i++)
    threads[i] = g_thread_new ("places", get_built_in, NULL);
  for (guint i = 0; i < 8; i++)
    g_assert_true (g_thread_join (threads[i]) == cg_places_cityguessr68k ());
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/places/cityguessr68k/threads", test_threads);
  for (guint i = 0; i < G_N_ELEMENTS (refused); i++) {
    g_autofree char *path = g_strdup_printf ("/places/refused/%s", refused[i].title);
    g_test_add_data_func (path, GUINT_TO_POINTER (i), test_refused);
  }
  g_test_add_func ("/places/refused/level-too-long", test_level_too_long);
  g_test_add_func ("/places/smallest", test_smallest);
  g_test_add_func ("/places/centroids", test_centroids);
  g_test_add_func ("/places/distance", test_distance);
  g_test_add_func ("/places/written", test_written);
  g_test_add_func ("/places/cityguessr68k/counts", test_counts);
  g_test_add_func ("/places/cityguessr68k/shared-states", test_shared_states);
  g_test_add_func ("/places/cityguessr68k/names", test_names);
  g_test_add_func ("/places/cityguessr68k/table", test_table);
  return g_test_run ();
}
