/* Pictures of the drawn world: a function of (city, drive, time, size) and of nothing else.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include <gst/check/gstcheck.h>

#include "draw.h"
#include "sun.h"

#include <math.h>
#include <stdio.h>

#define SECOND G_GUINT64_CONSTANT (1000000000)
/* The pictures that are kept are those of two drives, as CELLS x CELLS mean colours. */
#define CELLS 4
#define KEPT_SIZE 64

static guint8 *
picture (CgWorld *world, const gchar *city, guint64 drive, guint64 time, gint width, gint height)
{
  guint8 *data = g_malloc ((gsize)width * (gsize)height * 3);
  CgPixels pixels = { data, width, height, 3 * width, 3, 0, 1, 2 };
  const CgCity *found = cg_atlas_find (cg_atlas_built_in (), city);

  fail_unless (found != NULL, "no %s", city);
  fail_unless (cg_world_draw (world, found, drive, time, (gdouble)width / height, &pixels));
  return data;
}

static gdouble
difference (const guint8 *a, const guint8 *b, gsize n)
{
  gdouble sum = 0.0;

  for (gsize i = 0; i < n; i++)
    sum += ABS ((gint)a[i] - (gint)b[i]);
  return sum / (gdouble)n;
}

GST_START_TEST (test_same_picture_from_another_world)
{
  static const gchar *const cities[] = { "Chicago", "Mumbai", "Tokyo", "Jerusalem" };

  for (guint i = 0; i < G_N_ELEMENTS (cities); i++) {
    g_autoptr (CgWorld) one = cg_world_new (TRUE);
    g_autoptr (CgWorld) other = cg_world_new (TRUE);
    g_autofree guint8 *a = picture (one, cities[i], i, 3 * SECOND, 160, 90);
    g_autofree guint8 *b = picture (other, cities[i], i, 3 * SECOND, 160, 90);

    fail_unless (memcmp (a, b, 160 * 90 * 3) == 0, "%s", cities[i]);
  }
}
GST_END_TEST;

/* What was drawn before, of this drive or others, leaves no trace. */
GST_START_TEST (test_random_access_equals_sequence)
{
  g_autoptr (CgWorld) forward = cg_world_new (TRUE);
  g_autoptr (CgWorld) at_random = cg_world_new (TRUE);
  guint8 *frames[12];

  for (guint i = 0; i < G_N_ELEMENTS (frames); i++)
    frames[i] = picture (forward, "Lisbon", 5, i * 7 * SECOND, 96, 96);
  for (guint i = 0; i < G_N_ELEMENTS (frames); i++) {
    guint k = (i * 5 + 3) % G_N_ELEMENTS (frames);
    guint8 *again;

    g_free (picture (at_random, i % 2 ? "Seoul" : "Lisbon", i, 1000 * SECOND, 50 + (gint)i, 70));
    again = picture (at_random, "Lisbon", 5, k * 7 * SECOND, 96, 96);
    fail_unless (memcmp (frames[k], again, 96 * 96 * 3) == 0, "frame %u", k);
    g_free (again);
  }
  for (guint i = 0; i < G_N_ELEMENTS (frames); i++)
    g_free (frames[i]);
}
GST_END_TEST;

GST_START_TEST (test_drives_cities_and_times_differ)
{
  g_autoptr (CgWorld) world = cg_world_new (TRUE);
  g_autofree guint8 *a = picture (world, "Madrid", 1, 0, 96, 54);
  g_autofree guint8 *drive = picture (world, "Madrid", 2, 0, 96, 54);
  g_autofree guint8 *city = picture (world, "Athens", 1, 0, 96, 54);
  g_autofree guint8 *later = picture (world, "Madrid", 1, 4 * SECOND, 96, 54);
  const gsize n = 96 * 54 * 3;

  fail_unless (difference (a, drive, n) > 8.0);
  fail_unless (difference (a, city, n) > 8.0);
  fail_unless (difference (a, later, n) > 2.0);
}
GST_END_TEST;

/* The next frame is close to the last: it moves, it does not flicker. */
GST_START_TEST (test_motion_is_smooth)
{
  g_autoptr (CgWorld) world = cg_world_new (TRUE);

  for (guint drive = 0; drive < 6; drive++) {
    g_autofree guint8 *now = picture (world, "Melbourne", drive, 10 * SECOND, 112, 63);
    g_autofree guint8 *next =
        picture (world, "Melbourne", drive, 10 * SECOND + SECOND / 50, 112, 63);
    g_autofree guint8 *later = picture (world, "Melbourne", drive, 40 * SECOND, 112, 63);
    const gsize n = 112 * 63 * 3;

    fail_unless (difference (now, next, n) < difference (now, later, n), "drive %u", drive);
  }
}
GST_END_TEST;

GST_START_TEST (test_every_city_in_every_size)
{
  static const gint sizes[][2] = { { 1, 1 },  { 112, 112 }, { 224, 224 },
                                   { 1, 70 }, { 70, 1 },    { 333, 97 } };
  const CgAtlas *atlas = cg_atlas_built_in ();
  g_autoptr (CgWorld) world = cg_world_new (TRUE);

  /* The odd sizes for some of them: what they could break is the same everywhere. */
  for (guint i = 0; i < cg_atlas_count (atlas); i++)
    for (guint k = 0; k < (i % 10 == 0 ? G_N_ELEMENTS (sizes) : 3); k++)
      g_free (
          picture (world, cg_atlas_get (atlas, i)->label, 3, i * SECOND, sizes[k][0], sizes[k][1]));
}
GST_END_TEST;

GST_START_TEST (test_large_and_extreme)
{
  g_autoptr (CgWorld) world = cg_world_new (TRUE);

  g_free (picture (world, "Tokyo", G_MAXUINT64, 0, 1920, 1080));
  g_free (picture (world, "Miami", 0, 3600 * 24 * 365 * SECOND, 640, 360)); /* a year on the road */
  g_free (picture (world, "Miami", 0, G_MAXINT64, 64, 64));
  for (guint64 drive = 0; drive < 80; drive++)
    g_free (picture (world, drive % 2 ? "Moscow" : "Wellington", drive, drive * SECOND, 32, 18));
}
GST_END_TEST;

/* A row of @stride bytes, and what is between rows stays as it was. */
GST_START_TEST (test_strides_and_formats)
{
  g_autoptr (CgWorld) world = cg_world_new (TRUE);
  g_autofree guint8 *plain = picture (world, "Hanoi", 3, 0, 33, 20);
  g_autofree guint8 *padded = g_malloc (150 * 20);
  CgPixels pixels = { padded, 33, 20, 150, 4, 2, 1, 0 };

  memset (padded, 77, 150 * 20);
  fail_unless (cg_world_draw (world, cg_atlas_find (cg_atlas_built_in (), "Hanoi"), 3, 0,
                              33.0 / 20.0, &pixels));
  for (gint y = 0; y < 20; y++) {
    for (gint x = 0; x < 33; x++)
      for (guint c = 0; c < 3; c++)
        fail_unless_equals_int (padded[150 * y + 4 * x + 2 - (gint)c],
                                plain[(33 * y + x) * 3 + (gint)c]);
    for (gint x = 4 * 33; x < 150; x++)
      fail_unless_equals_int (padded[150 * y + x], 77);
  }
}
GST_END_TEST;

/* Squeezed from 16:9 is what the element's 16:9 picture becomes when it is squeezed. */
GST_START_TEST (test_aspect)
{
  g_autoptr (CgWorld) world = cg_world_new (FALSE);
  g_autofree guint8 *wide = picture (world, "Berlin", 8, 0, 256, 144);
  guint8 squeezed[144 * 144 * 3], *p = squeezed;
  CgPixels pixels = { squeezed, 144, 144, 144 * 3, 3, 0, 1, 2 };
  gdouble sum = 0.0;

  fail_unless (cg_world_draw (world, cg_atlas_find (cg_atlas_built_in (), "Berlin"), 8, 0,
                              16.0 / 9.0, &pixels));
  for (gint y = 0; y < 144; y++)
    for (gint x = 0; x < 144; x++, p += 3)
      sum += ABS ((gint)wide[(y * 256 + x * 256 / 144) * 3 + 1] - (gint)p[1]);
  fail_unless (sum / (144 * 144) < 22.0, "mean difference %g", sum / (144 * 144));
}
GST_END_TEST;

/* Times from the almanac: the sun is highest at noon, by 90° less the distance in latitude. */
GST_START_TEST (test_sun)
{
  const gdouble degree = G_PI / 180.0;
  CgSun solstice = cg_sun_at (51.5, 172, 12.0), equinox = cg_sun_at (0.0, 81, 12.0),
        night = cg_sun_at (40.0, 1, 0.0);

  fail_unless (fabs (solstice.elevation / degree - 61.9) < 0.3, "%g", solstice.elevation / degree);
  fail_unless (equinox.elevation / degree > 89.0);
  fail_unless (night.elevation / degree < -60.0);
  fail_unless (cg_sun_at (48.0, 100, 8.0).azimuth > 0.0 &&
               cg_sun_at (48.0, 100, 16.0).azimuth < 0.0); /* east, west */
  fail_unless (fabs (cg_sun_at (-35.0, 172, 12.0).azimuth) <
               0.01); /* north, south of the equator */
}
GST_END_TEST;

/* ---- pictures that are kept ---- */

static void
mean_colours (const guint8 *data, guint8 *cells)
{
  const gint step = KEPT_SIZE / CELLS;

  for (gint j = 0; j < CELLS; j++)
    for (gint i = 0; i < CELLS; i++)
      for (gint c = 0; c < 3; c++) {
        guint sum = 0;

        for (gint y = 0; y < step; y++)
          for (gint x = 0; x < step; x++)
            sum += data[((j * step + y) * KEPT_SIZE + i * step + x) * 3 + c];
        cells[(j * CELLS + i) * 3 + c] = (guint8)(sum / (guint)(step * step));
      }
}

static gchar *
to_hex (const guint8 *cells)
{
  GString *out = g_string_new (NULL);

  for (guint i = 0; i < CELLS * CELLS * 3; i++)
    g_string_append_printf (out, "%02x", cells[i]);
  return g_string_free (out, FALSE);
}

/* Without words, so that fonts do not matter. Each picture is CELLS x CELLS colours, which may be off
 * by what other compilers' and libraries' rounding does. A change of the world that is meant changes
 * them: CITYGUESSR_WRITE_PICTURES=tests/gst-plugin/world-pictures.txt writes the file anew. */
GST_START_TEST (test_pictures_are_those_that_are_kept)
{
  const gchar *write = g_getenv ("CITYGUESSR_WRITE_PICTURES");
  const CgAtlas *atlas = cg_atlas_built_in ();
  g_autoptr (CgWorld) world = cg_world_new (FALSE);
  g_autoptr (GString) text = g_string_new (NULL);
  g_autofree gchar *kept = NULL;

  for (guint i = 0; i < cg_atlas_count (atlas); i++) {
    const gchar *city = cg_atlas_get (atlas, i)->label;

    for (guint drive = 1; drive <= 2; drive++) {
      g_autofree guint8 *data = picture (world, city, drive, 5 * SECOND, KEPT_SIZE, KEPT_SIZE);
      g_autofree gchar *hex = NULL;
      guint8 cells[CELLS * CELLS * 3];

      mean_colours (data, cells);
      hex = to_hex (cells);
      g_string_append_printf (text, "%s %u %s\n", city, drive, hex);
    }
  }
  if (write != NULL) {
    fail_unless (g_file_set_contents (write, text->str, (gssize)text->len, NULL));
    return;
  }
  fail_unless (g_file_get_contents (WORLD_PICTURES, &kept, NULL, NULL));
  {
    g_auto (GStrv) now = g_strsplit (text->str, "\n", 0);
    g_auto (GStrv) then = g_strsplit (kept, "\n", 0);

    fail_unless_equals_int (g_strv_length (now), g_strv_length (then));
    for (guint i = 0; now[i][0] != '\0'; i++) {
      const gchar *a = strrchr (now[i], ' ') + 1, *b = strrchr (then[i], ' ') + 1;
      gint sum = 0;

      fail_unless (strlen (a) == strlen (b) && strncmp (now[i], then[i], (gsize)(a - now[i])) == 0,
                   "%s", then[i]);
      for (guint k = 0; a[k] != '\0'; k += 2)
        sum += ABS (16 * (g_ascii_xdigit_value (a[k]) - g_ascii_xdigit_value (b[k])) +
                    g_ascii_xdigit_value (a[k + 1]) - g_ascii_xdigit_value (b[k + 1]));
      fail_unless (sum <= 2 * CELLS * CELLS * 3, "%s: mean difference %.1f of 255", then[i],
                   sum / (gdouble)(CELLS * CELLS * 3));
    }
  }
}
GST_END_TEST;

static Suite *
world_draw_suite (void)
{
  Suite *s = suite_create ("world-draw");
  TCase *tc = tcase_create ("general");

  suite_add_tcase (s, tc);
  tcase_set_timeout (tc, 300);
  tcase_add_test (tc, test_same_picture_from_another_world);
  tcase_add_test (tc, test_random_access_equals_sequence);
  tcase_add_test (tc, test_drives_cities_and_times_differ);
  tcase_add_test (tc, test_motion_is_smooth);
  tcase_add_test (tc, test_every_city_in_every_size);
  tcase_add_test (tc, test_large_and_extreme);
  tcase_add_test (tc, test_strides_and_formats);
  tcase_add_test (tc, test_aspect);
  tcase_add_test (tc, test_sun);
  tcase_add_test (tc, test_pictures_are_those_that_are_kept);
  return s;
}

GST_CHECK_MAIN (world_draw)
