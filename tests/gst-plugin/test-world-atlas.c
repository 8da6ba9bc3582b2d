/* What is known of the drawn cities: complete, each cue with a source, all of the 166, six continents.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include <gst/check/gstcheck.h>

#include "atlas.h"

#include <json-glib/json-glib.h>

static gchar *
file_text (const gchar *name, gsize *length)
{
  g_autofree gchar *path = g_build_filename (WORLD_DIR, name, NULL);
  g_autoptr (GError) error = NULL;
  gchar *text;

  fail_unless (g_file_get_contents (path, &text, length, &error), "%s",
               error ? error->message : "");
  return text;
}

GST_START_TEST (test_enough_cities_on_six_continents)
{
  const CgAtlas *atlas = cg_atlas_built_in ();
  const CgPlaces *places = cg_places_cityguessr68k ();
  guint continents = 0, held_out = 0, n = cg_atlas_count (atlas);

  for (guint i = 0; i < n; i++) {
    const CgCity *city = cg_atlas_get (atlas, i);

    continents |= 1u << cg_places_ancestor (places, CG_CITY, city->place, CG_CONTINENT);
    held_out += city->held_out ? 1 : 0;
    fail_unless (cg_atlas_find (atlas, city->label) == city);
    fail_unless (cg_atlas_find (atlas, cg_places_get (places, CG_CITY, city->place)->name) == city,
                 "%s", city->label);
  }
  fail_unless_equals_int (continents, (1 << cg_places_count (places, CG_CONTINENT)) - 1);
  fail_unless (n - held_out >= 40 && held_out >= 5, "%u cities, %u of them held out", n, held_out);
  fail_unless (cg_atlas_find (atlas, "mexico city") != NULL);
  fail_unless (cg_atlas_find (atlas, "Atlantis") == NULL);
  fail_unless (cg_atlas_find (atlas, NULL) == NULL);
}
GST_END_TEST;

/* That city within country is a real question needs countries with several cities. */
GST_START_TEST (test_several_countries_have_several_cities)
{
  const CgAtlas *atlas = cg_atlas_built_in ();
  g_autoptr (GHashTable) count = g_hash_table_new (NULL, NULL);
  GHashTableIter iter;
  gpointer n;
  guint several = 0;

  for (guint i = 0; i < cg_atlas_count (atlas); i++) {
    const CgCity *city = cg_atlas_get (atlas, i);
    guint before = GPOINTER_TO_UINT (g_hash_table_lookup (count, city->country));

    g_hash_table_insert (count, (gpointer)city->country,
                         GUINT_TO_POINTER (before + (city->held_out ? 0 : 1)));
  }
  g_hash_table_iter_init (&iter, count);
  while (g_hash_table_iter_next (&iter, NULL, &n))
    several += GPOINTER_TO_UINT (n) >= 2 ? 1 : 0;
  fail_unless (several >= 8, "%u countries with two cities or more", several);
}
GST_END_TEST;

/* Straight from the files, not through atlas.c: each group of each country and city says where it is from. */
static void
check_sources (const gchar *file, const gchar *list, const gchar *const *groups)
{
  gsize length;
  g_autofree gchar *text = file_text (file, &length);
  g_autoptr (JsonParser) parser = json_parser_new ();
  JsonArray *array;

  fail_unless (json_parser_load_from_data (parser, text, (gssize)length, NULL));
  array = json_object_get_array_member (json_node_get_object (json_parser_get_root (parser)), list);
  for (guint i = 0; i < json_array_get_length (array); i++) {
    JsonObject *entry = json_array_get_object_element (array, i);

    for (guint k = 0; groups[k] != NULL; k++) {
      JsonObject *group;

      fail_unless (json_object_has_member (entry, groups[k]), "%s, entry %u: no %s", file, i,
                   groups[k]);
      group = json_object_get_object_member (entry, groups[k]);
      fail_unless (strlen (json_object_get_string_member_with_default (group, "source", "")) >= 8,
                   "%s, entry %u: %s has no source", file, i, groups[k]);
    }
  }
}

GST_START_TEST (test_every_cue_has_a_source)
{
  check_sources ("countries.json", "countries",
                 (const gchar *const[]){ "traffic", "lines", "plate", "signs", "lights", "kerb",
                                         "wires", "vehicles", "words", NULL });
  check_sources ("cities.json", "cities",
                 (const gchar *const[]){ "climate", "terrain", "street", "buildings", "plants",
                                         "taxi", "words", NULL });
}
GST_END_TEST;

/* A handful that anybody can check. */
GST_START_TEST (test_well_known_cues)
{
  static const struct {
    const gchar *city;
    gboolean left;
  } sides[] = { { "London", TRUE },  { "Tokyo", TRUE },      { "Mumbai", TRUE },
                { "Nairobi", TRUE }, { "Wellington", TRUE }, { "Chicago", FALSE },
                { "Berlin", FALSE }, { "Cairo", FALSE },     { "Lima", FALSE },
                { "Beijing", FALSE } };
  const CgAtlas *atlas = cg_atlas_built_in ();

  for (guint i = 0; i < G_N_ELEMENTS (sides); i++)
    fail_unless_equals_int (cg_atlas_find (atlas, sides[i].city)->country->left, sides[i].left);
  fail_unless_equals_string (cg_atlas_find (atlas, "Montreal")->stop, "ARRÊT");
  fail_unless_equals_string (cg_atlas_find (atlas, "Calgary")->stop, "STOP");
  fail_unless_equals_string (cg_atlas_find (atlas, "Rio_de_Janeiro")->stop, "PARE");
  fail_unless (cg_atlas_find (atlas, "Manchester")->country->plate_rear !=
               cg_atlas_find (atlas, "Manchester")->country->plate_front);
}
GST_END_TEST;

/* @file with @from replaced by @to is refused, and the message has @expected in it. */
static void
check_refused (gboolean cities, const gchar *from, const gchar *to, const gchar *expected)
{
  gsize lengths[2];
  g_autofree gchar *countries = file_text ("countries.json", &lengths[0]),
                   *city_text = file_text ("cities.json", &lengths[1]);
  g_autoptr (GString) changed = g_string_new (cities ? city_text : countries);
  g_autoptr (GError) error = NULL;
  CgAtlas *atlas;

  fail_unless (g_string_replace (changed, from, to, 1) == 1, "“%s” is not in the file", from);
  atlas = cities ? cg_atlas_new (countries, lengths[0], changed->str, changed->len, &error)
                 : cg_atlas_new (changed->str, changed->len, city_text, lengths[1], &error);
  fail_unless (atlas == NULL, "accepted: %s", to);
  fail_unless (strstr (error->message, expected) != NULL, "“%s” is not in “%s”", expected,
               error->message);
}

GST_START_TEST (test_what_is_wrong_with_a_file_is_said)
{
  check_refused (TRUE, "\"Chicago\"", "\"Atlantis\"", "CityGuessr68k");
  check_refused (TRUE, "\"Chicago\"", "\"Paris\"", "cities[0].city");
  check_refused (TRUE, "\"koppen\"", "\"kopen\"", "cities[0].climate");
  check_refused (TRUE, "#7a6a50", "brown", "cities[0].climate.soil");
  check_refused (TRUE, "\"sash\"", "\"porthole\"", "one of casement");
  check_refused (FALSE, "\"side\": \"right\"", "\"side\": \"middle\"", "countries[0].traffic.side");
  check_refused (FALSE, "\"country\": \"Canada\"", "\"country\": \"Cascadia\"", "Canada");
  check_refused (FALSE, "\"density\": 0.9", "\"density\": -1", "density");
  check_refused (FALSE, "{ \"countries\"", "{ \"nations\"", "countries");
}
GST_END_TEST;

static Suite *
world_atlas_suite (void)
{
  Suite *s = suite_create ("world-atlas");
  TCase *tc = tcase_create ("general");

  suite_add_tcase (s, tc);
  tcase_add_test (tc, test_enough_cities_on_six_continents);
  tcase_add_test (tc, test_several_countries_have_several_cities);
  tcase_add_test (tc, test_every_cue_has_a_source);
  tcase_add_test (tc, test_well_known_cues);
  tcase_add_test (tc, test_what_is_wrong_with_a_file_is_said);
  return s;
}

GST_CHECK_MAIN (world_atlas)
