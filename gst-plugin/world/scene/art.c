/* See art.h.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "art.h"

#include "../chance.h"

#include <math.h>
#include <pango/pangocairo.h>
#include <string.h>

#define MEMORY_MAX (192u << 20)
#define BLOT 32        /* pixels */
#define LINE_PIXELS 64 /* text is laid out at this size and scaled into its box */

struct _CgArt {
  GHashTable *pictures; /* of guint64: CgTexture */
  gsize bytes;
  gboolean with_text;
  PangoFontMap *fonts;
  PangoContext *context;
};

/* ---- fonts ---- */

/* The world's fonts by the script of the first letter. Pinned by family, so that a machine's own
 * preferences change nothing. */
static const struct {
  GUnicodeScript script;
  const gchar *region; /* NULL: any */
  const gchar *family, *package;
} faces[] = {
  { G_UNICODE_SCRIPT_LATIN, NULL, "Noto Sans", "fonts-noto-core" },
  { G_UNICODE_SCRIPT_CYRILLIC, NULL, "Noto Sans", "fonts-noto-core" },
  { G_UNICODE_SCRIPT_GREEK, NULL, "Noto Sans", "fonts-noto-core" },
  { G_UNICODE_SCRIPT_ARABIC, NULL, "Noto Sans Arabic", "fonts-noto-core" },
  { G_UNICODE_SCRIPT_HEBREW, NULL, "Noto Sans Hebrew", "fonts-noto-core" },
  { G_UNICODE_SCRIPT_DEVANAGARI, NULL, "Noto Sans Devanagari", "fonts-noto-core" },
  { G_UNICODE_SCRIPT_TAMIL, NULL, "Noto Sans Tamil", "fonts-noto-core" },
  { G_UNICODE_SCRIPT_THAI, NULL, "Noto Sans Thai", "fonts-noto-core" },
  { G_UNICODE_SCRIPT_ETHIOPIC, NULL, "Noto Sans Ethiopic", "fonts-noto-core" },
  { G_UNICODE_SCRIPT_HAN, "zh", "Noto Sans CJK SC", "fonts-noto-cjk" },
  { G_UNICODE_SCRIPT_HAN, "tw", "Noto Sans CJK TC", "fonts-noto-cjk" },
  { G_UNICODE_SCRIPT_HAN, NULL, "Noto Sans CJK JP", "fonts-noto-cjk" },
  { G_UNICODE_SCRIPT_HIRAGANA, NULL, "Noto Sans CJK JP", "fonts-noto-cjk" },
  { G_UNICODE_SCRIPT_KATAKANA, NULL, "Noto Sans CJK JP", "fonts-noto-cjk" },
  { G_UNICODE_SCRIPT_HANGUL, NULL, "Noto Sans CJK KR", "fonts-noto-cjk" },
};

static const gchar *
family_of (const gchar *text, const gchar *region)
{
  for (const gchar *p = text; *p != '\0'; p = g_utf8_next_char (p)) {
    GUnicodeScript script = g_unichar_get_script (g_utf8_get_char (p));

    for (guint i = 0; i < G_N_ELEMENTS (faces); i++)
      if (faces[i].script == script &&
          (faces[i].region == NULL || g_strcmp0 (faces[i].region, region) == 0))
        return faces[i].family;
  }
  return faces[0].family; /* digits alone */
}

static gpointer
look_for_fonts (gpointer unused)
{
  g_autoptr (PangoFontMap) map = pango_cairo_font_map_new ();
  g_autoptr (GHashTable) present = g_hash_table_new (g_str_hash, g_str_equal);
  g_autofree PangoFontFamily **families = NULL;
  GString *missing = g_string_new (NULL);
  gint n;

  pango_font_map_list_families (map, &families, &n);
  for (gint i = 0; i < n; i++)
    g_hash_table_add (present, (gpointer)pango_font_family_get_name (families[i]));
  for (guint i = 0; i < G_N_ELEMENTS (faces); i++)
    if (g_hash_table_add (present, (gpointer)faces[i].family))
      g_string_append_printf (missing, "%s%s (package %s)", missing->len > 0 ? ", " : "",
                              faces[i].family, faces[i].package);
  return g_string_free (missing, missing->len == 0);
}

gchar *
cg_art_missing_fonts (void)
{
  static GOnce once = G_ONCE_INIT;

  return g_strdup (g_once (&once, look_for_fonts, NULL));
}

/* ---- the cache ---- */

CgArt *
cg_art_new (gboolean with_text)
{
  CgArt *self = g_new0 (CgArt, 1);

  self->pictures =
      g_hash_table_new_full (g_int64_hash, g_int64_equal, g_free, (GDestroyNotify)cg_texture_free);
  self->with_text = with_text;
  return self;
}

void
cg_art_free (CgArt *art)
{
  if (art == NULL)
    return;
  g_hash_table_unref (art->pictures);
  g_clear_object (&art->context);
  g_clear_object (&art->fonts);
  g_free (art);
}

void
cg_art_trim (CgArt *art)
{
  if (art->bytes > MEMORY_MAX) {
    g_hash_table_remove_all (art->pictures);
    art->bytes = 0;
  }
}

static guint
power_of_two (guint n)
{
  guint p = 1;

  while (p < n && p < 1024)
    p *= 2;
  return p;
}

const CgTexture *
cg_art_get (CgArt *art, guint64 key, guint width, guint height, gboolean wrap, CgPaint paint,
            gconstpointer data)
{
  CgTexture *texture = g_hash_table_lookup (art->pictures, &key);
  cairo_surface_t *surface;
  cairo_t *cr;

  if (texture != NULL)
    return texture;
  width = power_of_two (width);
  height = power_of_two (height);
  surface = cairo_image_surface_create (CAIRO_FORMAT_ARGB32, (gint)width, (gint)height);
  cr = cairo_create (surface);
  paint (art, cr, width, height, data);
  cairo_destroy (cr);
  cairo_surface_flush (surface);
  /* Rows of ARGB32 have no padding: their length is a multiple of four bytes by itself. */
  texture = cg_texture_new ((const guint32 *)(gconstpointer)cairo_image_surface_get_data (surface),
                            width, height, wrap);
  cairo_surface_destroy (surface);
  art->bytes += texture->bytes;
  g_hash_table_insert (art->pictures, g_memdup2 (&key, sizeof key), texture);
  return texture;
}

/* ---- words ---- */

static void
make_context (CgArt *self)
{
  cairo_font_options_t *options = cairo_font_options_create ();

  cairo_font_options_set_hint_style (options, CAIRO_HINT_STYLE_NONE);
  cairo_font_options_set_hint_metrics (options, CAIRO_HINT_METRICS_OFF);
  cairo_font_options_set_antialias (options, CAIRO_ANTIALIAS_GRAY);
  self->fonts = pango_cairo_font_map_new ();
  pango_cairo_font_map_set_resolution (PANGO_CAIRO_FONT_MAP (self->fonts), 96.0);
  self->context = pango_font_map_create_context (self->fonts);
  pango_cairo_context_set_font_options (self->context, options);
  pango_context_set_round_glyph_positions (self->context, FALSE);
  pango_context_set_language (self->context, pango_language_from_string ("en"));
  cairo_font_options_destroy (options);
}

static gchar *
one_below_the_other (const gchar *text)
{
  GString *out = g_string_new (NULL);

  for (const gchar *p = text; *p != '\0'; p = g_utf8_next_char (p)) {
    gunichar c = g_utf8_get_char (p);

    if (g_unichar_isspace (c))
      continue;
    if (out->len > 0)
      g_string_append_c (out, '\n');
    g_string_append_unichar (out, c);
  }
  return g_string_free (out, FALSE);
}

void
cg_art_text (CgArt *art, cairo_t *cr, const gchar *text, const gchar *region, CgTextFlow flow,
             gdouble x, gdouble y, gdouble width, gdouble height, guint32 colour)
{
  g_autofree gchar *stacked = flow == CG_TEXT_UPRIGHT ? one_below_the_other (text) : NULL;
  g_autoptr (PangoLayout) layout = NULL;
  PangoFontDescription *font;
  PangoRectangle ink;
  gdouble factor;

  if (!art->with_text || width <= 0.0 || height <= 0.0)
    return;
  if (art->context == NULL)
    make_context (art);
  layout = pango_layout_new (art->context);
  font = pango_font_description_new ();
  pango_font_description_set_family_static (font, family_of (text, region));
  pango_font_description_set_weight (font, PANGO_WEIGHT_BOLD);
  pango_font_description_set_absolute_size (font, LINE_PIXELS * PANGO_SCALE);
  pango_layout_set_font_description (layout, font);
  pango_font_description_free (font);
  pango_layout_set_alignment (layout, PANGO_ALIGN_CENTER);
  if (stacked != NULL)
    pango_layout_set_line_spacing (layout, 0.72f);
  pango_layout_set_text (layout, stacked != NULL ? stacked : text, -1);
  pango_layout_get_pixel_extents (layout, &ink, NULL);
  if (ink.width <= 0 || ink.height <= 0)
    return;
  factor = MIN (width / ink.width, height / ink.height);
  cairo_save (cr);
  cairo_translate (cr, x + 0.5 * (width - factor * ink.width),
                   y + 0.5 * (height - factor * ink.height));
  cairo_scale (cr, factor, factor);
  cairo_translate (cr, -ink.x, -ink.y);
  cg_paint_colour (cr, colour, 1.0, 1.0);
  pango_cairo_show_layout (cr, layout);
  cairo_restore (cr);
}

/* ---- brushes ---- */

void
cg_paint_colour (cairo_t *cr, guint32 rgb, gdouble shade, gdouble alpha)
{
  cairo_set_source_rgba (cr, MIN (1.0, (rgb >> 16 & 255) / 255.0 * shade),
                         MIN (1.0, (rgb >> 8 & 255) / 255.0 * shade),
                         MIN (1.0, (rgb & 255) / 255.0 * shade), alpha);
}

void
cg_paint_box (cairo_t *cr, gdouble x, gdouble y, gdouble width, gdouble height)
{
  cairo_rectangle (cr, x, y, width, height);
  cairo_fill (cr);
}

guint32
cg_colour_mix (guint32 a, guint32 b, gdouble f)
{
  guint32 out = 0;

  for (guint shift = 0; shift <= 16; shift += 8) {
    gdouble from = a >> shift & 255, to = b >> shift & 255;

    out |= (guint32)(from + (to - from) * f + 0.5) << shift;
  }
  return out;
}

/* One soft blot: between four corners, each -128 .. 127. The picture's last corner is its first, so
 * that pictures that repeat show no seam. */
static void
blot_corners (guint64 key, gint i, gint j, gint columns, gint rows, gint corner[4])
{
  for (gint k = 0; k < 4; k++)
    corner[k] = (gint)(cg_hash (key, (guint64)((j + k / 2) % rows) * (guint64)columns +
                                         (guint64)((i + k % 2) % columns)) &
                       255) -
                128;
}

static guint32
brightened (guint32 p, gint f)
{
  guint a = p >> 24;

  for (guint shift = 0; shift <= 16; shift += 8) {
    guint c = (p >> shift & 255) * (guint)MAX (f, 0) >> 8;

    p = (p & ~(255u << shift)) | MIN (c, a) << shift;
  }
  return p;
}

void
cg_paint_grain (cairo_t *cr, guint64 key, gdouble amount)
{
  cairo_surface_t *surface = cairo_get_target (cr);
  gint width = cairo_image_surface_get_width (surface),
       height = cairo_image_surface_get_height (surface);
  gint strength = (gint)(amount * 256.0), columns = MAX (1, width / BLOT),
       rows = MAX (1, height / BLOT);
  guint32 *pixels;

  cairo_surface_flush (surface);
  pixels = (guint32 *)(gpointer)cairo_image_surface_get_data (surface);
  for (gint y = 0; y < height; y++) {
    gint corner[4] = { 0 };
    guint64 bits = 0;

    for (gint x = 0; x < width; x++, bits >>= 8) {
      gint fx = x % BLOT, fy = y % BLOT, change;

      if (fx == 0)
        blot_corners (key + 2, x / BLOT, y / BLOT, columns, rows, corner);
      if (x % 8 == 0)
        bits = cg_hash (key, (guint64)y * (guint64)width + (guint64)x);
      if (pixels[y * width + x] == 0)
        continue;
      change = ((corner[0] * (BLOT - fx) + corner[1] * fx) * (BLOT - fy) +
                (corner[2] * (BLOT - fx) + corner[3] * fx) * fy) /
               (BLOT * BLOT);
      change += (gint)(bits & 255) - 128;
      pixels[y * width + x] = brightened (pixels[y * width + x], 256 + (change * strength >> 8));
    }
  }
  cairo_surface_mark_dirty (surface);
}
