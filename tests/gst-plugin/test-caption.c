/* Templates: what they may be, what is wrong with those that may not, and what comes out of them.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include <gst/check/gstcheck.h>

#include "caption.h"
#include "model/error.h"

#include <locale.h>
#include <math.h>
#include <string.h>

static GstStructure *answer;

static GstStructure *
place_new (const gchar *city, gdouble confidence)
{
  /* clang-format off */
  return gst_structure_new ("place",
                            "city", G_TYPE_STRING, city,
                            "state", G_TYPE_STRING, "Lazio",
                            "country", G_TYPE_STRING, "Italy",
                            "country-code", G_TYPE_STRING, "IT",
                            "continent", G_TYPE_STRING, "Europe",
                            "city-confidence", G_TYPE_DOUBLE, confidence,
                            "state-confidence", G_TYPE_DOUBLE, 0.95,
                            "country-confidence", G_TYPE_DOUBLE, 0.9604,
                            "continent-confidence", G_TYPE_DOUBLE, 1.0,
                            "latitude", G_TYPE_DOUBLE, 41.89193,
                            "longitude", G_TYPE_DOUBLE, -0.00001,
                            "horizontal-error", G_TYPE_DOUBLE, 1500.4,
                            NULL);
  /* clang-format on */
}

/* Tracked: Rome; the window by itself: Ostia. */
static void
setup (void)
{
  g_autoptr (GstStructure) tracked = place_new ("Rome", 0.9345);

  answer = place_new ("Ostia", 0.25);
  gst_structure_set_name (answer, "cityguessr");
  /* clang-format off */
  gst_structure_set (answer,
                     "tracked", GST_TYPE_STRUCTURE, tracked,
                     "timestamp", G_TYPE_UINT64, 83 * GST_SECOND + 456 * GST_MSECOND,
                     "stream-time", G_TYPE_UINT64, 3 * 3600 * GST_SECOND + 125 * GST_SECOND,
                     "running-time", G_TYPE_UINT64, GST_CLOCK_TIME_NONE,
                     "duration", G_TYPE_UINT64, 21 * GST_SECOND,
                     "window-id", G_TYPE_UINT64, G_GUINT64_CONSTANT (7),
                     "samples", G_TYPE_UINT, 16,
                     "partial", G_TYPE_BOOLEAN, FALSE,
                     "scene", G_TYPE_STRING, "street",
                     "scene-confidence", G_TYPE_DOUBLE, 0.5,
                     "stable", G_TYPE_BOOLEAN, TRUE,
                     "device", G_TYPE_STRING, "cpu",
                     "model", G_TYPE_STRING, "small & <fast>",
                     "demo", G_TYPE_BOOLEAN, FALSE,
                     "latency", G_TYPE_UINT64, 12 * GST_MSECOND,
                     NULL);
  /* clang-format on */
}

static void
teardown (void)
{
  gst_structure_free (answer);
}

static void
withhold (const gchar *field)
{
  GstStructure *tracked = NULL;

  gst_structure_get (answer, "tracked", GST_TYPE_STRUCTURE, &tracked, NULL);
  gst_structure_remove_field (tracked, field);
  gst_structure_set (answer, "tracked", GST_TYPE_STRUCTURE, tracked, NULL);
  gst_structure_free (tracked);
}

static void
assert_caption (const gchar *text, gboolean markup, const gchar *expected)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GstCityGuessrCaption) caption = gst_city_guessr_caption_new (text, &error);
  g_autofree gchar *found = NULL;

  fail_unless (caption != NULL, "%s: %s", text, error ? error->message : "no error");
  fail_unless (error == NULL);
  found = gst_city_guessr_caption_format (caption, answer, markup);
  fail_unless (strcmp (found, expected) == 0, "%s: gives \"%s\", not \"%s\"", text, found,
               expected);
}

#define assert_text(text, expected) assert_caption (text, FALSE, expected)
#define assert_markup(text, expected) assert_caption (text, TRUE, expected)

/* @character: counted from 1; @part: of the message. */
static void
assert_refused (const gchar *text, guint character, const gchar *part)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GstCityGuessrCaption) caption = gst_city_guessr_caption_new (text, &error);
  g_autofree gchar *where = g_strdup_printf ("caption-template, character %u: ", character);

  fail_unless (caption == NULL, "%s: is taken", text);
  fail_unless (g_error_matches (error, CG_ERROR, CG_ERROR_CONFIG), "%s: %s", text,
               error ? error->message : "no error");
  fail_unless (g_str_has_prefix (error->message, where), "%s: %s", text, error->message);
  fail_unless (strstr (error->message, part) != NULL, "%s: %s: does not say %s", text,
               error->message, part);
  fail_unless (g_utf8_validate (error->message, -1, NULL));
}

GST_START_TEST (test_fields)
{
  assert_text ("{city}/{state}/{country}/{country-code}/{continent}", "Rome/Lazio/Italy/IT/Europe");
  assert_text ("{place}", "Rome, Lazio, Italy, Europe");
  assert_text ("{window.place}|{window.city}|{window.confidence}",
               "Ostia, Lazio, Italy, Europe|Ostia|0.25");
  assert_text ("{confidence}|{city-confidence}|{window.city-confidence}", "0.93|0.93|0.25");
  assert_text ("{latitude}|{longitude}|{horizontal-error}", "41.8919|0.0000|1500");
  assert_text ("{scene}|{scene-confidence}|{device}|{model}", "street|0.50|cpu|small & <fast>");
  assert_text ("{window-id}|{samples}|{stable}|{partial}|{demo}", "7|16|stable||");
  assert_text ("{timestamp}|{stream-time}|{running-time}|{duration}|{latency}",
               "83.456|10925.000||21.000|0.012");
}
GST_END_TEST;

GST_START_TEST (test_formats)
{
  assert_text ("{confidence:%}|{confidence:%.1}|{confidence:.3}|{confidence:.0}",
               "93 %|93.5 %|0.934|1");
  assert_text ("{latitude:.0}|{latitude:.1}|{latitude:.9}", "42|41.9|41.891930000");
  assert_text ("{longitude:.4}|{longitude:.5}|{horizontal-error:.1}", "0.0000|-0.00001|1500.4");
  assert_text ("{timestamp:hms}|{stream-time:hms}|{running-time:hms}|{latency:hms}",
               "0:01:23|3:02:05||0:00:00");
  assert_text ("{timestamp:.0}|{timestamp:.1}", "83|83.5");
}
GST_END_TEST;

/* Given an answer without a filter over time, the place is the window's. */
GST_START_TEST (test_untracked)
{
  gst_structure_remove_field (answer, "tracked");
  assert_text ("{city} {confidence:%}", "Ostia 25 %");
}
GST_END_TEST;

GST_START_TEST (test_withheld)
{
  assert_text (GST_CITY_GUESSR_DEFAULT_CAPTION, "Rome, Lazio, Italy, Europe 93 %");
  withhold ("city");
  assert_text (GST_CITY_GUESSR_DEFAULT_CAPTION, "Lazio, Italy, Europe 95 %");
  withhold ("state");
  assert_text (GST_CITY_GUESSR_DEFAULT_CAPTION, "Italy, Europe 96 %");
  withhold ("country-confidence");
  assert_text (GST_CITY_GUESSR_DEFAULT_CAPTION, "Italy, Europe");
  withhold ("country");
  withhold ("continent");
  assert_text (GST_CITY_GUESSR_DEFAULT_CAPTION, "");
  assert_text ("{place}|{confidence}", "|");
  assert_text ("[{city}, ]{window.city}", "Ostia");
}
GST_END_TEST;

/* Given a model that is a demonstration, the default caption says so, but never by itself. */
GST_START_TEST (test_demo)
{
  gst_structure_set (answer, "demo", G_TYPE_BOOLEAN, TRUE, NULL);
  assert_text (GST_CITY_GUESSR_DEFAULT_CAPTION, "Rome, Lazio, Italy, Europe 93 % (demo)");
  withhold ("city");
  withhold ("state");
  withhold ("country");
  withhold ("continent");
  assert_text (GST_CITY_GUESSR_DEFAULT_CAPTION, "");
}
GST_END_TEST;

GST_START_TEST (test_equal_neighbours)
{
  g_autoptr (GstStructure) singapore = gst_structure_new (
      "place", "city", G_TYPE_STRING, "Singapore", "state", G_TYPE_STRING, "", "country",
      G_TYPE_STRING, "Singapore", "continent", G_TYPE_STRING, "Asia", NULL);
  gdouble confidence = 2;
  g_autofree gchar *place = gst_city_guessr_caption_place (singapore, &confidence);

  fail_unless_equals_string (place, "Singapore, Asia");
  fail_unless (isnan (confidence), "%g", confidence);
  gst_structure_set (answer, "tracked", GST_TYPE_STRUCTURE, singapore, NULL);
  assert_text ("{place}[ {state}][ {confidence}]", "Singapore, Asia");
}
GST_END_TEST;

GST_START_TEST (test_brackets)
{
  /* A part goes with any field of its own; parts in it go by themselves. */
  assert_text ("a[ {city} {running-time}]b[ {city}[ {running-time}]]c", "ab Romec");
  /* Brackets that hold only brackets go when all of those do. */
  assert_text ("[([{running-time}][{demo}])]", "");
  assert_text ("[([{running-time}][{city}])]", "(Rome)");
  assert_text ("[[{city}]]", "Rome");
  assert_text ("[[[[[[[[{city}]]]]]]]]", "Rome");
  assert_text ("[{city}[ {demo}][ {stable}]]", "Rome stable");
}
GST_END_TEST;

GST_START_TEST (test_escapes)
{
  assert_text ("{{{city}}} \\{\\}\\[\\]\\\\", "{Rome} {}[]\\");
  assert_text ("{city}\\n{country}\n{continent}", "Rome\nItaly\nEurope");
  assert_text ("", "");
  assert_text (NULL, "");
  assert_text ("Größe {city} 東京", "Größe Rome 東京");
}
GST_END_TEST;

/* Given a template that is just text, everything is escaped for markup and nothing for text. */
GST_START_TEST (test_just_text)
{
  assert_text ("AT&T < {model} <blink>", "AT&T < small & <fast> <blink>");
  assert_markup ("AT&T < {model} <blink>", "AT&amp;T &lt; small &amp; &lt;fast&gt; &lt;blink&gt;");
  assert_markup ("{city}\\n\"{country}\"", "Rome\n&quot;Italy&quot;");
}
GST_END_TEST;

GST_START_TEST (test_markup)
{
  const gchar *text =
      "<b>{model}</b>[ <span size='small' color=\"#f&#48;0\">{city}[ <i>{confidence:%}</i>]</span>]"
      " &lt;x&gt; &#8364;&#x20AC;&amp;&quot;&apos;<u/>";

  assert_text (text, "small & <fast> Rome 93 % <x> €€&\"'");
  assert_markup (text, "<b>small &amp; &lt;fast&gt;</b> <span size='small' color=\"#f&#48;0\">Rome "
                       "<i>93 %</i></span>"
                       " &lt;x&gt; €€&amp;&quot;&apos;<u/>");
  withhold ("city");
  withhold ("state-confidence");
  assert_markup (text, "<b>small &amp; &lt;fast&gt;</b> &lt;x&gt; €€&amp;&quot;&apos;<u/>");
  assert_markup ("&amp; {country}", "&amp; Italy");
  assert_markup ("<span\n color='red'\t>{country}</span>", "<span\n color='red'\t>Italy</span>");
}
GST_END_TEST;

GST_START_TEST (test_bad_fields)
{
  assert_refused ("in {citty}", 4, "unknown field \"citty\"; known are place city state");
  assert_refused ("{}", 1, "unknown field \"\"");
  assert_refused ("{window.scene}", 1, "unknown field \"window.scene\"");
  assert_refused ("{ city}", 1, "unknown field \" city\"");
  assert_refused ("ö{city:%}", 2, "unknown format \"%\"; the formats of city: none");
  assert_refused ("{confidence:%.}", 1, "unknown format");
  assert_refused ("{confidence:%.10}", 1, "unknown format");
  assert_refused ("{confidence:}", 1,
                  "unknown format \"\"; the formats of confidence: %, %.0 to %.9 or .0 to .9");
  assert_refused ("{latitude:%}", 1, "the formats of latitude: .0 to .9");
  assert_refused ("{stream-time:%s}", 1, "the formats of stream-time: hms or .0 to .9");
  assert_refused ("{stable:x}", 1, "unknown format");
  assert_refused ("abc {city", 5, "\"{\" without \"}\"");
  assert_refused ("{city {state}", 1, "\"{\" without \"}\"");
  assert_refused ("{city]", 1, "\"{\" without \"}\"");
  assert_refused ("city}", 5, "\"}\" without \"{\"");
}
GST_END_TEST;

GST_START_TEST (test_bad_brackets)
{
  assert_refused ("[{city}", 1, "\"[\" without \"]\"");
  assert_refused ("a[{city}[{state}]", 2, "\"[\" without \"]\"");
  assert_refused ("{city}]", 7, "\"]\" without \"[\"");
  assert_refused ("ab [tunnel]", 4, "no field stands in these brackets");
  assert_refused ("[]", 1, "no field stands in these brackets");
  assert_refused ("[[[[[[[[[{city}]]]]]]]]]", 9, "more than 8 deep");
  assert_refused ("a\\x", 2, "unknown escape");
  assert_refused ("a\\", 2, "unknown escape");
}
GST_END_TEST;

GST_START_TEST (test_bad_markup)
{
  assert_refused ("<b>{city}", 10, "<b> is not closed; expected </b>");
  assert_refused ("<b>{city}</i>", 10, "found </i>, expected </b>");
  assert_refused ("{city}</b>", 7, "</b> closes a tag that was not opened");
  assert_refused ("<b>{city}</b> & {state}", 15, "write &amp;");
  assert_refused ("<b>{city}</b> &nbsp;", 15, "write &amp;");
  assert_refused ("<b>{city}</b> &#0; &#xd800; &#xffff;", 15, "write &amp;");
  assert_refused ("<b>{city}</b> < {state}", 15, "write &lt;");
  assert_refused ("<b>{city}</b><blink>", 14, "begins no tag of Pango's");
  /* Parts in brackets come and go, so each must close what it opens. */
  assert_refused ("[<b>{city}]</b>", 11, "<b> is not closed");
  assert_refused ("<b>[{city}</b>]", 11, "not opened in these brackets");
  assert_refused ("<b>[{city}]", 12, "<b> is not closed");
  assert_refused ("<span color='{city}'>x</span>", 14, "\"{\" can't stand inside a tag");
  assert_refused ("<span [color='red']>{city}</span>", 7,
                  "fields and brackets can't stand inside a tag");
  assert_refused ("<span color='a<b'>{city}</span>", 15, "\"<\" can't stand inside a tag");
  assert_refused ("<span color='a&b'>{city}</span>", 15, "write &amp;");
  assert_refused ("<span color='red>{city}</span>", 18, "\"{\" can't stand inside a tag");
  assert_refused ("<span color='red", 14, "does not end");
  assert_refused ("<span color=red>{city}</span>", 12, "expected =\"...\"");
  assert_refused ("<span a='b'c='d'>{city}</span>", 12, "the tag does not end");
  assert_refused ("<b color='red'>{city}</b>", 4, "the tag does not end; expected \">\"");
  assert_refused ("<b", 3, "the tag does not end");
  assert_refused ("<b>{city}</b x>", 13, "the tag does not end");
}
GST_END_TEST;

GST_START_TEST (test_bad_text)
{
  g_autofree gchar *long_text = g_strnfill (GST_CITY_GUESSR_CAPTION_LENGTH + 1, 'x');
  g_autoptr (GError) error = NULL;
  GstCityGuessrCaption *caption;

  assert_refused ("ab\xff", 3, "0xff is not UTF-8");
  assert_refused ("\xc3", 1, "0xc3 is not UTF-8");
  assert_refused ("a\rb", 2, "control character U+000D");
  assert_refused ("a\xc2\x85", 2, "control character U+0085");

  fail_unless (gst_city_guessr_caption_new (long_text, &error) == NULL);
  fail_unless (g_error_matches (error, CG_ERROR, CG_ERROR_CONFIG));
  fail_unless_equals_string (error->message, "caption-template: 4097 bytes; expected at most 4096");
  long_text[GST_CITY_GUESSR_CAPTION_LENGTH] = '\0';
  caption = gst_city_guessr_caption_new (long_text, NULL);
  fail_unless (caption != NULL);
  gst_city_guessr_caption_free (caption);
}
GST_END_TEST;

/* Given fields that hold what they should not, the caption is one valid line all the same. */
GST_START_TEST (test_hostile_fields)
{
  g_autoptr (GstStructure) tracked = gst_structure_new_empty ("place");

  gst_structure_set (tracked, "city", G_TYPE_STRING, "Ro\nme</b>\x01\xc2\x85", NULL);
  gst_structure_set (tracked, "state", G_TYPE_INT, 7, "country", G_TYPE_STRING, NULL, "latitude",
                     G_TYPE_DOUBLE, (gdouble)INFINITY, "longitude", G_TYPE_STRING, "x",
                     "city-confidence", G_TYPE_DOUBLE, 1.7e308, "horizontal-error", G_TYPE_DOUBLE,
                     -1.7e308, NULL);
  gst_structure_set (answer, "tracked", GST_TYPE_STRUCTURE, tracked, "stable", G_TYPE_STRING, "yes",
                     "samples", G_TYPE_INT, -1, NULL);
  assert_markup ("<b>{place}</b>{state}{country}{latitude}{longitude}", "<b>Ro me&lt;/b&gt;  </b>");
  assert_text ("{confidence:%}{stable}{samples}", "");
  {
    g_autoptr (GstCityGuessrCaption) caption =
        gst_city_guessr_caption_new ("{horizontal-error:.9}", NULL);
    g_autofree gchar *text = gst_city_guessr_caption_format (caption, answer, FALSE);

    fail_unless_equals_int (strlen (text), 1 + 309 + 10);
  }
  gst_structure_set (answer, "tracked", G_TYPE_STRING, "nowhere", NULL);
  assert_text ("{city}", "Ostia");
}
GST_END_TEST;

/* Given a locale with a decimal comma, numbers keep their point. */
GST_START_TEST (test_locale)
{
  g_autofree gchar *before = g_strdup (setlocale (LC_NUMERIC, NULL));

  if (!setlocale (LC_NUMERIC, "de_DE.UTF-8") && !setlocale (LC_NUMERIC, "fr_FR.UTF-8"))
    GST_INFO ("no locale with a decimal comma here");
  assert_text ("{latitude:.1} {confidence:%.1}", "41.9 93.5 %");
  setlocale (LC_NUMERIC, before);
}
GST_END_TEST;

static Suite *
caption_suite (void)
{
  Suite *suite = suite_create ("caption");
  TCase *good = tcase_create ("good"), *bad = tcase_create ("bad");

  suite_add_tcase (suite, good);
  tcase_add_checked_fixture (good, setup, teardown);
  tcase_add_test (good, test_fields);
  tcase_add_test (good, test_formats);
  tcase_add_test (good, test_untracked);
  tcase_add_test (good, test_withheld);
  tcase_add_test (good, test_demo);
  tcase_add_test (good, test_equal_neighbours);
  tcase_add_test (good, test_brackets);
  tcase_add_test (good, test_escapes);
  tcase_add_test (good, test_just_text);
  tcase_add_test (good, test_markup);
  tcase_add_test (good, test_hostile_fields);
  tcase_add_test (good, test_locale);
  suite_add_tcase (suite, bad);
  tcase_add_test (bad, test_bad_fields);
  tcase_add_test (bad, test_bad_brackets);
  tcase_add_test (bad, test_bad_markup);
  tcase_add_test (bad, test_bad_text);
  return suite;
}

GST_CHECK_MAIN (caption)
