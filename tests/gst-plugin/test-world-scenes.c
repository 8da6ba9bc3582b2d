/* What drives show: probabilities, that agree with what the atlas says of a city and the drive of its day.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include <gst/check/gstcheck.h>

#include "scenes.h"

#include "model/model.h"

#include <math.h>

static gdouble
of (const gchar *city, CgSceneCategory category)
{
  gdouble scenes[CG_SCENES];

  cg_city_scenes (cg_atlas_find (cg_atlas_built_in (), city), scenes);
  return scenes[category];
}

static void
check_probabilities (const gdouble scenes[CG_SCENES], const gchar *city)
{
  static const guint drawn = 1u << CG_SCENE_SNOW | 1u << CG_SCENE_OPEN | 1u << CG_SCENE_TREES |
                             1u << CG_SCENE_ROAD | 1u << CG_SCENE_HISTORIC |
                             1u << CG_SCENE_GARDENS | 1u << CG_SCENE_TOWN;
  gdouble sum = 0.0;

  for (guint i = 0; i < CG_SCENES; i++) {
    sum += scenes[i];
    fail_unless (scenes[i] >= 0.0 && scenes[i] <= 1.0, "%s: category %u: %g", city, i, scenes[i]);
    fail_unless ((drawn & 1u << i) != 0 || scenes[i] == 0.0, "%s: category %u is not drawn", city,
                 i);
  }
  fail_unless (fabs (sum - 1.0) < 1e-9, "%s: they sum to %.12f", city, sum);
}

GST_START_TEST (test_they_are_probabilities)
{
  const CgAtlas *atlas = cg_atlas_built_in ();

  for (guint i = 0; i < cg_atlas_count (atlas); i++) {
    const CgCity *city = cg_atlas_get (atlas, i);
    gdouble scenes[CG_SCENES];
    CgDrive drive;

    cg_city_scenes (city, scenes);
    check_probabilities (scenes, city->label);
    cg_drive_init (&drive, city, 7 + i);
    cg_drive_scenes (&drive, scenes);
    check_probabilities (scenes, city->label);
  }
}
GST_END_TEST;

/* @more shows more of a category than @less. */
GST_START_TEST (test_cities_show_what_they_have)
{
  static const struct {
    CgSceneCategory category;
    const gchar *more, *less;
  } pairs[] = {
    { CG_SCENE_SNOW, "Calgary", "Miami" },
    { CG_SCENE_SNOW, "Moscow", "London" },
    { CG_SCENE_OPEN, "Las_Vegas", "Miami" },
    { CG_SCENE_OPEN, "Cairo", "Shanghai" },
    { CG_SCENE_OPEN, "Rio_de_Janeiro", "Brasilia" },
    { CG_SCENE_TREES, "Miami", "Lima" },
    { CG_SCENE_TREES, "Shanghai", "Florence" },
    { CG_SCENE_ROAD, "Moscow", "Montreal" },
    { CG_SCENE_HISTORIC, "Lisbon", "Tokyo" },
    { CG_SCENE_HISTORIC, "Havana", "Dubai" },
    { CG_SCENE_GARDENS, "Calgary", "Tokyo" },
    { CG_SCENE_GARDENS, "Brisbane", "Madrid" },
    { CG_SCENE_TOWN, "Tokyo", "Lisbon" },
    { CG_SCENE_TOWN, "Bangkok", "Adelaide" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (pairs); i++) {
    gdouble more = of (pairs[i].more, pairs[i].category),
            less = of (pairs[i].less, pairs[i].category);

    fail_unless (more > less, "category %d: %s %.3f, %s %.3f", pairs[i].category, pairs[i].more,
                 more, pairs[i].less, less);
  }
  fail_unless (of ("Miami", CG_SCENE_SNOW) == 0.0);
}
GST_END_TEST;

/* Against the rule, in which the houses weigh 1 together. */
GST_START_TEST (test_a_drive_is_its_day)
{
  const CgCity *city = cg_atlas_find (cg_atlas_built_in (), "Moscow");
  gdouble scenes[CG_SCENES], houses;
  guint white = 0;

  for (guint seed = 0; seed < 50; seed++) {
    CgDrive drive;

    cg_drive_init (&drive, city, seed);
    cg_drive_scenes (&drive, scenes);
    houses = scenes[CG_SCENE_HISTORIC] + scenes[CG_SCENE_GARDENS] + scenes[CG_SCENE_TOWN];
    fail_unless (fabs (scenes[CG_SCENE_SNOW] / houses - 0.8 * drive.snow) < 1e-9);
    fail_unless (fabs (scenes[CG_SCENE_ROAD] / houses -
                       (0.1 * drive.lanes + 0.15 * drive.traffic + 0.1 * drive.parking)) < 1e-9);
    white += drive.snow > 0.5 ? 1 : 0;
  }
  fail_unless (white > 5 && white < 40, "%u of 50 drives are white", white);
}
GST_END_TEST;

/* The order is that of the model file. */
GST_START_TEST (test_the_names_are_the_models)
{
  static const struct {
    CgSceneCategory category;
    const gchar *word;
  } names[] = {
    { CG_SCENE_SNOW, "snow" },           { CG_SCENE_OPEN, "desert" },
    { CG_SCENE_TREES, "forest" },        { CG_SCENE_ROAD, "outdoor, man-made: transportation" },
    { CG_SCENE_HISTORIC, "historical" }, { CG_SCENE_GARDENS, "gardens" },
    { CG_SCENE_TOWN, "towns" }
  };

  g_autoptr (GError) error = NULL;
  CgModel *model = cg_model_generate ("tiny", 1, NULL, &error);

  fail_unless (model != NULL, "%s", error ? error->message : "");
  fail_unless_equals_int (model->n_scenes, CG_SCENES);
  for (guint i = 0; i < G_N_ELEMENTS (names); i++)
    fail_unless (strstr (model->scenes[names[i].category], names[i].word) != NULL,
                 "“%s” has no “%s”", model->scenes[names[i].category], names[i].word);
  cg_model_unref (model);
}
GST_END_TEST;

static Suite *
world_scenes_suite (void)
{
  Suite *s = suite_create ("world-scenes");
  TCase *tc = tcase_create ("general");

  suite_add_tcase (s, tc);
  tcase_add_test (tc, test_they_are_probabilities);
  tcase_add_test (tc, test_cities_show_what_they_have);
  tcase_add_test (tc, test_a_drive_is_its_day);
  tcase_add_test (tc, test_the_names_are_the_models);
  return s;
}

GST_CHECK_MAIN (world_scenes)
