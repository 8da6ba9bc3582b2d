/* What vehicles look like from behind, from before and from the side.
 *
 * Pictures are painted in the unit square: x from the left, y from the roof (0) to the ground (1).
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "scene.h"

#include "../chance.h"

#include <string.h>

#define VEHICLE_KEY 600
#define PLATES 4

static const struct {
  gdouble length, width, height;
} sizes[CG_VEHICLES] = {
  [CG_VEHICLE_SEDAN] = { 4.6, 1.82, 1.45 },    [CG_VEHICLE_HATCH] = { 4.0, 1.75, 1.5 },
  [CG_VEHICLE_SUV] = { 4.7, 1.9, 1.72 },       [CG_VEHICLE_PICKUP] = { 5.5, 1.95, 1.85 },
  [CG_VEHICLE_KEI] = { 3.4, 1.48, 1.75 },      [CG_VEHICLE_VAN] = { 5.0, 1.95, 2.15 },
  [CG_VEHICLE_BUS] = { 11.0, 2.5, 3.1 },       [CG_VEHICLE_TRUCK] = { 7.5, 2.4, 3.2 },
  [CG_VEHICLE_RICKSHAW] = { 2.7, 1.35, 1.75 }, [CG_VEHICLE_MOTO] = { 1.9, 0.85, 1.7 },
  [CG_VEHICLE_BICYCLE] = { 1.7, 0.75, 1.75 },
};

/* Roughly the shares of new cars of the last twenty years. */
static const guint32 paints[] = { 0xE8E8E6, 0xE8E8E6, 0xB4B8BC, 0xB4B8BC, 0x6C7076, 0x2A2C30,
                                  0x2A2C30, 0x223A6A, 0x8C1E22, 0x7C6E58, 0x2E4A3A, 0x4A6E96 };
static const guint32 liveries[] = { 0xB8202A, 0x1F5A9C, 0xE8E8E4, 0x2C7A4A, 0xE8B020, 0x6A3A78 };

/* Where the cabin begins at the waist and at the roof: shares of the length, from the rear and from the
 * front. As paint_side() has it. */
static const gdouble cabins[CG_VEHICLES][4] = {
  [CG_VEHICLE_SEDAN] = { 0.16, 0.32, 0.25, 0.37 }, [CG_VEHICLE_HATCH] = { 0.01, 0.08, 0.22, 0.33 },
  [CG_VEHICLE_SUV] = { 0.01, 0.08, 0.22, 0.33 },   [CG_VEHICLE_PICKUP] = { 0.40, 0.42, 0.26, 0.34 },
  [CG_VEHICLE_KEI] = { 0.01, 0.08, 0.22, 0.33 },
};

const gdouble *
cg_vehicle_cabin (CgVehicle kind)
{
  return cabins[kind];
}

void
cg_vehicle_look (const CgDrive *drive, guint64 key, CgVehicleLook *look)
{
  const CgCity *city = drive->city;
  gdouble chance = cg_unit (key, 0);
  guint kind = 0;

  while (kind + 1 < CG_VEHICLES && chance >= city->country->mix[kind]) {
    chance -= city->country->mix[kind];
    kind++;
  }
  *look = (CgVehicleLook){ .kind = (CgVehicle)kind };
  look->taxi = (kind == CG_VEHICLE_SEDAN || kind == CG_VEHICLE_HATCH) &&
               cg_chance (key, 1, city->taxi_share);
  look->colour = paints[cg_pick (key, 2, G_N_ELEMENTS (paints))];
  if (kind == CG_VEHICLE_BUS || kind == CG_VEHICLE_TRUCK)
    look->colour =
        liveries[cg_pick (cg_hash_string (city->label), kind + (guint)(cg_unit (key, 3) * 2.0),
                          G_N_ELEMENTS (liveries))];
  look->roof = look->colour;
  if (look->taxi) {
    look->colour = city->taxi;
    look->roof = city->taxi_roof;
  }
  look->plate = cg_pick (key, 4, PLATES);
  look->length = sizes[kind].length;
  look->width = sizes[kind].width;
  look->height = sizes[kind].height;
}

/* ---- pieces ---- */

typedef struct {
  const CgDrive *drive;
  const CgVehicleLook *look;
  CgVehicleFace face;
  CgArt *art;
  cairo_t *cr;
} Brush;

static void
fill (const Brush *b, guint32 colour, gdouble shade, gdouble x, gdouble y, gdouble w, gdouble h)
{
  cg_paint_colour (b->cr, colour, shade, 1.0);
  cg_paint_box (b->cr, x, y, w, h);
}

static void
shape (const Brush *b, guint32 colour, gdouble shade, const gdouble *points, guint n)
{
  cg_paint_colour (b->cr, colour, shade, 1.0);
  cairo_move_to (b->cr, points[0], points[1]);
  for (guint i = 1; i < n; i++)
    cairo_line_to (b->cr, points[2 * i], points[2 * i + 1]);
  cairo_close_path (b->cr);
  cairo_fill (b->cr);
}

#define SHAPE(b, colour, shade, ...)                         \
  shape (b, colour, shade, (const gdouble[]){ __VA_ARGS__ }, \
         sizeof ((const gdouble[]){ __VA_ARGS__ }) / (2 * sizeof (gdouble)))

/* Letters stay as they are in the sample, digits change. */
static void
plate (const Brush *b, gdouble y)
{
  const CgCountry *country = b->drive->city->country;
  gboolean tall = country->plate_shape == CG_PLATE_TALL;
  gdouble w = (tall ? 0.31 : 0.50) / b->look->width, h = (tall ? 0.16 : 0.115) / b->look->height;
  gboolean has_band = country->plate_strip != CG_NO_COLOUR,
           on_top = has_band && country->plate_band_on_top;
  gdouble x = 0.5 - 0.5 * w, strip = has_band && !on_top ? 0.1 * w : 0.0,
          cap = on_top ? 0.28 * h : 0.0;
  g_autofree gchar *text = g_strdup (b->drive->city->plate_sample);

  for (gchar *p = text; *p != '\0'; p++)
    if (g_ascii_isdigit (*p))
      *p = (gchar)('0' + cg_pick (VEHICLE_KEY + b->look->plate, (guint64)(p - text), 10));
  fill (b, 0x202020, 1.0, x - 0.008, y - 0.008, w + 0.016, h + 0.016);
  fill (b, b->face == CG_VEHICLE_REAR ? country->plate_rear : country->plate_front, 1.0, x, y, w,
        h);
  if (has_band)
    fill (b, country->plate_strip, 1.0, x, y, on_top ? w : strip, on_top ? cap : h);
  cg_art_text (b->art, b->cr, text, "", CG_TEXT_FIT, x + strip + 0.02 * w,
               y + cap + 0.18 * (h - cap), w - strip - 0.04 * w, 0.64 * (h - cap),
               b->drive->city->plate_text);
}

static void
wheels_behind (const Brush *b)
{
  fill (b, 0x141416, 1.0, 0.06, 0.82, 0.15, 0.18);
  fill (b, 0x141416, 1.0, 0.79, 0.82, 0.15, 0.18);
}

static void
taxi_sign (const Brush *b)
{
  if (b->look->taxi)
    fill (b, 0xF4E8A0, 1.0, 0.40, 0.0, 0.2, 0.075);
}

/* ---- from behind and from before ---- */

static void
paint_car_end (const Brush *b)
{
  guint32 c = b->look->colour;
  gboolean rear = b->face == CG_VEHICLE_REAR;
  gdouble waist = CG_VEHICLE_WAIST;

  wheels_behind (b);
  taxi_sign (b);
  SHAPE (b, b->look->roof, 1.0, 0.10, 0.03, 0.90, 0.03, 0.99, waist, 0.01, waist);
  SHAPE (b, rear ? 0x2A333B : 0x3A4650, 1.0, 0.17, 0.08, 0.83, 0.08, 0.90, waist - 0.02, 0.10,
         waist - 0.02);
  SHAPE (b, 0x8A9AA8, 0.8, 0.21, 0.09, 0.50, 0.09, 0.32, waist - 0.06, 0.15, waist - 0.06);
  SHAPE (b, c, 1.0, 0.0, waist, 1.0, waist, 1.0, 0.6, 1.0, 0.86, 0.0, 0.86, 0.0, 0.6);
  fill (b, c, 0.8, 0.02, 0.70, 0.96, 0.05);
  SHAPE (b, c, 0.62, 0.015, 0.80, 0.985, 0.80, 0.96, 0.92, 0.04, 0.92);
  if (rear) {
    fill (b, 0xB01418, 1.0, 0.03, 0.50, 0.17, 0.13);
    fill (b, 0xB01418, 1.0, 0.80, 0.50, 0.17, 0.13);
    fill (b, 0xE07818, 1.0, 0.03, 0.59, 0.1, 0.035);
    fill (b, 0xE07818, 1.0, 0.87, 0.59, 0.1, 0.035);
    plate (b, b->look->kind == CG_VEHICLE_SEDAN ? 0.60 : 0.68);
  } else {
    fill (b, 0xF0F2F4, 1.0, 0.05, 0.52, 0.18, 0.1);
    fill (b, 0xF0F2F4, 1.0, 0.77, 0.52, 0.18, 0.1);
    fill (b, 0x24262A, 1.0, 0.27, 0.53, 0.46, 0.12);
    fill (b, 0x16181A, 1.0, 0.2, 0.76, 0.6, 0.08);
    plate (b, 0.70);
  }
}

static void
paint_box_end (const Brush *b)
{
  guint32 c = b->look->colour;
  gboolean rear = b->face == CG_VEHICLE_REAR, truck = b->look->kind == CG_VEHICLE_TRUCK;

  wheels_behind (b);
  fill (b, truck && rear ? 0xD4D4CE : c, 1.0, 0.02, 0.02, 0.96, 0.88);
  if (truck && rear) {
    fill (b, 0x9A9A96, 1.0, 0.49, 0.04, 0.015, 0.74);
    fill (b, 0x3A3A3C, 1.0, 0.02, 0.80, 0.96, 0.1);
  } else {
    fill (b, 0x2C363E, 1.0, 0.07, rear ? 0.12 : 0.16, 0.86, rear ? 0.26 : 0.36);
    fill (b, 0x93A2AE, 1.0, 0.1, rear ? 0.13 : 0.17, 0.3, rear ? 0.2 : 0.3);
    fill (b, 0xE8E4D8, 1.0, 0.2, 0.035, 0.6, 0.075);
    fill (b, c, 0.75, 0.02, 0.72, 0.96, 0.18);
  }
  fill (b, rear ? 0xB01418 : 0xF0F2F4, 1.0, 0.05, 0.72, 0.12, 0.07);
  fill (b, rear ? 0xB01418 : 0xF0F2F4, 1.0, 0.83, 0.72, 0.12, 0.07);
  plate (b, 0.80);
}

static void
paint_rickshaw (const Brush *b)
{
  fill (b, 0x161616, 1.0, 0.08, 0.8, 0.13, 0.2);
  fill (b, 0x161616, 1.0, 0.79, 0.8, 0.13, 0.2);
  SHAPE (b, b->drive->city->taxi_roof, 1.0, 0.12, 0.06, 0.3, 0.0, 0.7, 0.0, 0.88, 0.06, 0.95, 0.5,
         0.05, 0.5);
  SHAPE (b, 0x202428, 1.0, 0.22, 0.16, 0.78, 0.16, 0.84, 0.42, 0.16, 0.42);
  SHAPE (b, b->drive->city->taxi, 1.0, 0.05, 0.48, 0.95, 0.48, 0.97, 0.88, 0.03, 0.88);
  fill (b, 0xA81C1C, 1.0, 0.08, 0.6, 0.1, 0.08);
  fill (b, 0xA81C1C, 1.0, 0.82, 0.6, 0.1, 0.08);
  plate (b, 0.72);
}

static void
paint_rider (const Brush *b)
{
  gboolean moto = b->look->kind == CG_VEHICLE_MOTO;
  guint32 shirt = b->look->colour;

  fill (b, 0x18181A, 1.0, moto ? 0.42 : 0.46, 0.58, moto ? 0.16 : 0.08, 0.42);
  if (moto) {
    SHAPE (b, cg_colour_mix (shirt, 0x303038, 0.5), 1.0, 0.3, 0.52, 0.7, 0.52, 0.64, 0.78, 0.36,
           0.78);
    fill (b, b->face == CG_VEHICLE_REAR ? 0xC01818 : 0xF8F4E0, 1.0, 0.42, 0.56, 0.16, 0.06);
  } else {
    fill (b, 0x303030, 1.0, 0.2, 0.44, 0.6, 0.03);
  }
  SHAPE (b, 0x2C3040, 1.0, 0.28, 0.48, 0.72, 0.48, 0.76, 0.76, 0.62, 0.76, 0.5, 0.58, 0.38, 0.76,
         0.24, 0.76);
  SHAPE (b, shirt, 1.0, 0.26, 0.2, 0.74, 0.2, 0.82, 0.44, 0.7, 0.52, 0.3, 0.52, 0.18, 0.44);
  cg_paint_colour (b->cr, moto ? 0x2A2A30 : 0x4A3426, 1.0, 1.0);
  cairo_save (b->cr);
  cairo_translate (b->cr, 0.5, 0.115);
  cairo_scale (b->cr, 0.17, 0.095);
  cairo_arc (b->cr, 0, 0, 1, 0, 2 * G_PI);
  cairo_restore (b->cr);
  cairo_fill (b->cr);
}

/* ---- from the side: x runs from the front to the rear ---- */

static void
wheel (const Brush *b, gdouble x, gdouble radius)
{
  for (guint i = 0; i < 2; i++) {
    cg_paint_colour (b->cr, i == 0 ? 0x141416 : 0x9A9CA0, 1.0, 1.0);
    cairo_save (b->cr);
    cairo_translate (b->cr, x, 1.0 - radius / b->look->height);
    cairo_scale (b->cr, (i == 0 ? 1.0 : 0.55) * radius / b->look->length,
                 (i == 0 ? 1.0 : 0.55) * radius / b->look->height);
    cairo_arc (b->cr, 0, 0, 1, 0, 2 * G_PI);
    cairo_restore (b->cr);
    cairo_fill (b->cr);
  }
}

static void
paint_side (const Brush *b)
{
  guint32 c = b->look->colour, r = b->look->roof;
  gdouble radius = b->look->height > 2.5 ? 0.48 : 0.33;

  switch (b->look->kind) {
  case CG_VEHICLE_SEDAN:
    SHAPE (b, r, 0.95, 0.24, 0.48, 0.37, 0.04, 0.68, 0.04, 0.84, 0.46);
    SHAPE (b, 0x28323A, 1.0, 0.28, 0.46, 0.385, 0.10, 0.66, 0.10, 0.79, 0.46);
    fill (b, r, 0.9, 0.51, 0.08, 0.02, 0.4);
    SHAPE (b, c, 0.95, 0.0, 0.60, 0.05, 0.50, 0.26, 0.46, 0.84, 0.44, 0.98, 0.48, 1.0, 0.62, 0.99,
           0.86, 0.01, 0.86);
    break;
  case CG_VEHICLE_PICKUP:
    SHAPE (b, r, 0.95, 0.26, 0.46, 0.34, 0.04, 0.58, 0.04, 0.60, 0.46);
    SHAPE (b, 0x28323A, 1.0, 0.29, 0.44, 0.355, 0.10, 0.565, 0.10, 0.575, 0.44);
    SHAPE (b, c, 0.95, 0.0, 0.56, 0.05, 0.48, 0.26, 0.44, 0.99, 0.46, 1.0, 0.84, 0.01, 0.84);
    fill (b, 0x202224, 1.0, 0.61, 0.44, 0.38, 0.035);
    break;
  case CG_VEHICLE_BUS:
  case CG_VEHICLE_VAN:
    fill (b, c, 0.95, 0.0, 0.03, 1.0, 0.87);
    fill (b, 0x2A343C, 1.0, 0.02, 0.14, b->look->kind == CG_VEHICLE_BUS ? 0.95 : 0.34, 0.32);
    for (guint i = 1; i < 8 && b->look->kind == CG_VEHICLE_BUS; i++)
      fill (b, c, 0.7, i / 8.0, 0.14, 0.012, 0.32);
    fill (b, c, 0.7, 0.0, 0.68, 1.0, 0.05);
    break;
  case CG_VEHICLE_TRUCK:
    fill (b, 0xD8D8D2, 0.92, 0.28, 0.0, 0.72, 0.78);
    fill (b, c, 0.95, 0.0, 0.16, 0.25, 0.7);
    fill (b, 0x28323A, 1.0, 0.03, 0.22, 0.15, 0.26);
    fill (b, 0x2A2A2C, 1.0, 0.25, 0.78, 0.75, 0.08);
    break;
  case CG_VEHICLE_HATCH:
  case CG_VEHICLE_SUV:
  case CG_VEHICLE_KEI:
  case CG_VEHICLE_RICKSHAW:
  case CG_VEHICLE_MOTO:
  case CG_VEHICLE_BICYCLE:
    SHAPE (b, r, 0.95, 0.20, 0.48, 0.33, 0.04, 0.92, 0.05, 0.99, 0.46);
    SHAPE (b, 0x28323A, 1.0, 0.25, 0.46, 0.35, 0.11, 0.89, 0.11, 0.94, 0.44);
    fill (b, r, 0.9, 0.54, 0.08, 0.022, 0.4);
    fill (b, r, 0.9, 0.78, 0.08, 0.022, 0.4);
    SHAPE (b, c, 0.95, 0.0, 0.60, 0.05, 0.50, 0.24, 0.45, 0.99, 0.44, 1.0, 0.62, 0.99, 0.86, 0.01,
           0.86);
    break;
  }
  fill (b, c, 0.6, 0.02, 0.80, 0.96, 0.06);
  wheel (b, 0.18, radius);
  wheel (b, b->look->kind == CG_VEHICLE_BUS ? 0.74 : 0.81, radius);
}

static void
paint_vehicle (CgArt *art, cairo_t *cr, guint width, guint height, gconstpointer data)
{
  Brush b = *(const Brush *)data;

  b.art = art;
  b.cr = cr;
  cairo_scale (cr, width, height);
  if (b.look->kind == CG_VEHICLE_MOTO || b.look->kind == CG_VEHICLE_BICYCLE)
    paint_rider (&b);
  else if (b.look->kind == CG_VEHICLE_RICKSHAW)
    paint_rickshaw (&b);
  else if (b.face == CG_VEHICLE_SIDE)
    paint_side (&b);
  else if (b.look->kind == CG_VEHICLE_BUS || b.look->kind == CG_VEHICLE_TRUCK)
    paint_box_end (&b);
  else
    paint_car_end (&b);
}

const CgTexture *
cg_vehicle_texture (const CgScene *scene, const CgVehicleLook *look, CgVehicleFace face)
{
  Brush brush = { .drive = scene->drive, .look = look, .face = face };
  guint64 key = cg_hash_string (scene->drive->city->label);
  guint size = 64 * MIN (scene->detail, 4);

  key = cg_hash (key,
                 VEHICLE_KEY + (look->kind * 8u + face * 2u + look->taxi) * PLATES + look->plate);
  key = cg_hash (key, look->colour * 8u + scene->detail);
  return cg_art_get (scene->art, key, face == CG_VEHICLE_SIDE ? 2 * size : size, size, FALSE,
                     paint_vehicle, &brush);
}
