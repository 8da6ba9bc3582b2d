/* What is known of the cities: the cues by which one street can be told from another, each with the
 * source that it was taken from. Read once from countries.json and cities.json, which are built in.
 *
 * The files: a country has the groups traffic, lines, plate, signs, lights, kerb, wires, vehicles and
 * words; a city has climate, terrain, street, buildings, plants, taxi and words. Each group is an
 * object with a "source". Cities of one country share all of the country's groups, but for what a
 * city's group "local" says otherwise, where states or provinces have plates or signs of their own. Names, coordinates
 * and parents are not repeated here: they are those of the label tree (model/places.h), by label.
 * Other keys, missing keys, unknown words and labels that the tree does not have are errors.
 *
 * Lengths are metres, temperatures °C, colours 0xRRGGBB. Strings belong to the atlas.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "model/places.h"

G_BEGIN_DECLS

#define CG_NO_COLOUR G_MAXUINT32
#define CG_KINDS_MAX 4   /* of buildings in a city */
#define CG_COLOURS_MAX 8 /* of walls of a kind of building */
#define CG_TREES_MAX 4

/* Words of the files, in the order of the tables in atlas.c. */
typedef enum { CG_LINE_NONE, CG_LINE_DASHED, CG_LINE_SOLID, CG_LINE_DOUBLE } CgLineStyle;
typedef enum { CG_CROSSING_ZEBRA, CG_CROSSING_TWO_LINES } CgCrossing;
typedef enum { CG_PLATE_LONG, CG_PLATE_TALL } CgPlateShape; /* about 9:2, about 2:1 */
typedef enum { CG_WARNING_TRIANGLE, CG_WARNING_DIAMOND } CgWarning;
typedef enum { CG_STOP_OCTAGON, CG_STOP_TRIANGLE } CgStop;
typedef enum { CG_SPEED_CIRCLE, CG_SPEED_BOX } CgSpeed;
typedef enum { CG_PLACE_WALL, CG_PLACE_POST } CgPlateOfStreet;
typedef enum { CG_LIGHTS_NEAR, CG_LIGHTS_FAR, CG_LIGHTS_OVERHEAD } CgLightsPlace;
typedef enum { CG_KERB_PLAIN, CG_KERB_PAINTED } CgKerb;
typedef enum { CG_POLE_NONE, CG_POLE_WOOD, CG_POLE_CONCRETE, CG_POLE_STEEL } CgPole;
typedef enum {
  CG_HILLS_FLAT,
  CG_HILLS_ROLLING,
  CG_HILLS_PEAKS,
  CG_HILLS_TABLE,
  CG_HILLS_DOMES,
} CgHills;
typedef enum { CG_SURFACE_ASPHALT, CG_SURFACE_SETTS } CgSurface;
typedef enum { CG_PAVING_SLABS, CG_PAVING_CONCRETE, CG_PAVING_MOSAIC, CG_PAVING_EARTH } CgPaving;
typedef enum {
  CG_WALL_STUCCO,
  CG_WALL_BRICK,
  CG_WALL_STONE,
  CG_WALL_CONCRETE,
  CG_WALL_GLASS,
  CG_WALL_BOARDS,
  CG_WALL_TILES,
  CG_WALL_PANELS,
} CgWall;
typedef enum {
  CG_WINDOW_CASEMENT,
  CG_WINDOW_SASH,
  CG_WINDOW_FRENCH,
  CG_WINDOW_SHUTTERS,
  CG_WINDOW_STRIP,
  CG_WINDOW_CURTAIN,
  CG_WINDOW_GRILLE,
  CG_WINDOW_ARCHED,
  CG_WINDOW_BAY,
  CG_WINDOW_SLIDING,
} CgWindow;
typedef enum {
  CG_BALCONY_NONE,
  CG_BALCONY_IRON,
  CG_BALCONY_SLAB,
  CG_BALCONY_GLASS,
  CG_BALCONY_WOOD,
} CgBalcony;
typedef enum {
  CG_ROOF_FLAT,
  CG_ROOF_SLOPED,
  CG_ROOF_MANSARD,
  CG_ROOF_GABLE,
  CG_ROOF_STEPPED,
} CgRoof;
typedef enum {
  CG_TREE_BROAD,
  CG_TREE_PLANE,
  CG_TREE_LINDEN,
  CG_TREE_BIRCH,
  CG_TREE_CONIFER,
  CG_TREE_CYPRESS,
  CG_TREE_PALM,
  CG_TREE_DATE_PALM,
  CG_TREE_UMBRELLA,
  CG_TREE_EUCALYPT,
  CG_TREE_JACARANDA,
  CG_TREE_GINKGO,
  CG_TREE_OLIVE,
  CG_TREE_OAK,
} CgTree;
typedef enum {
  CG_VEHICLE_SEDAN,
  CG_VEHICLE_HATCH,
  CG_VEHICLE_SUV,
  CG_VEHICLE_PICKUP,
  CG_VEHICLE_KEI,
  CG_VEHICLE_VAN,
  CG_VEHICLE_BUS,
  CG_VEHICLE_TRUCK,
  CG_VEHICLE_RICKSHAW,
  CG_VEHICLE_MOTO,
  CG_VEHICLE_BICYCLE,
} CgVehicle;
#define CG_VEHICLES 11

/** CgWords: UTF-8, NULL-terminated. */
typedef gchar **CgWords;

/** CgCountry: @label: of the tree. @mix: share of each vehicle, sums to 1. @limit: the number on
 * speed signs. @plate_strip: CG_NO_COLOUR if there is none. @wires: 0..1 of streets have wires. */
typedef struct {
  gchar *label;
  gboolean left;
  guint32 centre, edge;
  CgLineStyle centre_style, edge_style;
  CgCrossing crossing;
  CgPlateShape plate_shape;
  guint32 plate_front, plate_rear, plate_text, plate_strip;
  gboolean plate_band_on_top;
  gchar *plate_sample;
  CgWarning warning;
  CgStop stop_shape;
  gchar *stop;
  CgSpeed speed;
  guint limit;
  gchar *speed_word;
  guint32 street_ground, street_ink, warning_ground, warning_border;
  CgPlateOfStreet street_place;
  guint32 lights_housing;
  gboolean lights_horizontal;
  CgLightsPlace lights_place;
  CgKerb kerb;
  guint32 kerb_colours[2];
  gdouble wires;
  CgPole pole;
  gdouble mix[CG_VEHICLES];
  gdouble density;
  gchar *language;
  CgWords shops;
} CgCountry;

/** CgBuildings: one kind. @weight: relative. @shop, @awning, @air, @upright: 0..1: how many ground
 * floors are shops, of those how many have an awning, how many windows have an air conditioner, how
 * many shops have an upright sign. @setback: from the pavement. @fence: with setback 0 or more, there
 * is a wall or fence before the house. @gap: between houses. */
typedef struct {
  gdouble weight;
  CgWall wall;
  guint n_colours;
  guint32 colours[CG_COLOURS_MAX];
  guint32 trim, shutter, roof_colour;
  guint floors[2];
  gdouble width[2];
  gdouble floor_height;
  CgWindow window;
  CgBalcony balcony;
  CgRoof roof;
  gdouble shop, awning, air, upright, setback, gap;
  gboolean fence;
} CgBuildings;

/** CgCity: @place: its index among the tree's cities. @held_out: never for training.
 * @coldest, @warmest: mean of that month. @wet: share of days with rain or snow. @hills: height of
 * the horizon's hills, degrees. @roll: how hilly the street itself is, 0..1. @bend: how crooked, 0..1.
 * @skyline: 0..1. @taxi_share: of cars. The last four are the country's or
 * the city's own. */
typedef struct {
  const CgCountry *country;
  guint place;
  gchar *label;
  gboolean held_out;
  gchar *koppen;
  gdouble coldest, warmest, wet;
  guint32 soil, grass;
  CgHills hills_shape;
  gdouble hills, roll, bend, skyline;
  guint32 hills_colour;
  guint lanes;
  gdouble lane_width, pavement, block;
  gboolean parking;
  CgSurface surface;
  CgPaving paving;
  guint32 paving_colour;
  guint n_kinds;
  CgBuildings kinds[CG_KINDS_MAX];
  guint n_trees;
  CgTree trees[CG_TREES_MAX];
  gdouble trees_amount;
  guint32 taxi, taxi_roof;
  gdouble taxi_share;
  CgWords shops, streets;
  gchar *plate_sample, *stop;
  guint32 plate_text;
  gboolean lights_horizontal;
} CgCity;

typedef struct _CgAtlas CgAtlas;

/** cg_atlas_new: parses the two texts. Returns: (transfer full): immutable. Errors: CG_ERROR_CONFIG,
 * which name the file, the path in it, what was found and what was expected. */
CgAtlas *cg_atlas_new (const gchar *countries, gsize countries_length, const gchar *cities,
                       gsize cities_length, GError **error);
void cg_atlas_free (CgAtlas *atlas);

/** cg_atlas_built_in: (transfer none): made once, lives as long as the process. Any thread. */
const CgAtlas *cg_atlas_built_in (void);

/** cg_atlas_count, cg_atlas_get: its cities, in the order of the file. */
guint cg_atlas_count (const CgAtlas *atlas);
const CgCity *cg_atlas_get (const CgAtlas *atlas, guint index);

/** cg_atlas_find: the city with that label ("Mexico_City") or shown name ("Mexico City", "Milano"),
 * whatever the case; NULL if there is none. */
const CgCity *cg_atlas_find (const CgAtlas *atlas, const gchar *name);

/** cg_atlas_names: (transfer full): all labels, with commas between them, for messages. */
gchar *cg_atlas_names (const CgAtlas *atlas);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (CgAtlas, cg_atlas_free)

G_END_DECLS
