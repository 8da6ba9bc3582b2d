/* The label tree: city -> state -> country -> continent. Names, parents, coordinates, ISO codes.
 * Knows nothing of probabilities.
 *
 * JSON, as in `cityguessr.places` of a model file and in model/places/cityguessr68k.json:
 *   { "version": 1, "name": "CityGuessr68k",
 *     "continents": [ { "label": "Asia" }, ... ],
 *     "countries":  [ { "label": "Gautemala", "name": "Guatemala", "code": "GT", "continent": 4 }, ... ],
 *     "states":     [ { "label": "Lazio", "country": 44 }, ... ],
 *     "cities":     [ { "label": "Malm", "name": "Malmö", "state": 99, "latitude": 55.60587, "longitude": 13.00073 }, ... ] }
 * The position in an array is the index in the logits. `label` is the data set's own spelling and
 * is unique in its level; `name` (default: the label, '_' as ' ') is what is shown. `code` is
 * ISO 3166-1 alpha-2, upper case, optional. Latitude in [-90, 90], longitude in [-180, 180], WGS84.
 * Other keys are refused, as is any parent index out of range, any parent without a child, any label
 * twice in a level, any level empty or over 65535 long, any label or name that is empty, over 200
 * bytes or has control characters. Limits of the text itself: json.h.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "error.h"

G_BEGIN_DECLS

/** CgLevel: fine to coarse, the order of the logits. */
typedef enum { CG_CITY, CG_STATE, CG_COUNTRY, CG_CONTINENT } CgLevel;
#define CG_LEVELS 4

/** CgPlace: one label. Strings are UTF-8, owned by the tree.
 * @parent: index in the next coarser level; -1 at CG_CONTINENT
 * @code: ISO 3166-1 alpha-2 at CG_COUNTRY, else NULL; NULL if unknown
 * @latitude, @longitude: degrees WGS84. At CG_CITY from the file; at coarser levels the direction of
 *   the mean of the cities' unit vectors (spherical centroid); of cities that cancel out, the first's
 */
typedef struct {
  const char *label;
  const char *name;
  const char *code;
  gint parent;
  gdouble latitude;
  gdouble longitude;
} CgPlace;

typedef struct _CgPlaces CgPlaces;

/** cg_places_parse: reads a tree from JSON text of @length bytes; @where names it in messages.
 * Returns: (transfer full): immutable, free with cg_places_free(). Errors: PLACES. */
CgPlaces *cg_places_parse (const char *json, gsize length, const char *where, GError **error);
void cg_places_free (CgPlaces *places);

/** cg_places_cityguessr68k: the 166 cities of CityGuessr68k in the authors' order (built in).
 * Returns: (transfer none): made once, lives as long as the process. Any thread. */
const CgPlaces *cg_places_cityguessr68k (void);

/** cg_places_name: the `name` of the tree, owned by it. */
const char *cg_places_name (const CgPlaces *places);

/** cg_level_name: "city", "state", "country", "continent". Static. */
const char *cg_level_name (CgLevel level);

/** cg_places_count, cg_places_get: the labels of a level; @index under the count. Owned by the tree. */
guint cg_places_count (const CgPlaces *places, CgLevel level);
const CgPlace *cg_places_get (const CgPlaces *places, CgLevel level, guint index);

/** cg_places_ancestor: the index at @to (coarser than or equal to @from) above @index of @from. */
guint cg_places_ancestor (const CgPlaces *places, CgLevel from, guint index, CgLevel to);

/** cg_places_to_json: the canonical JSON of the tree, on one line (transfer full). */
char *cg_places_to_json (const CgPlaces *places);

/** cg_places_distance: great-circle distance in metres on the sphere of radius 6 371 008.8 m
 * (the mean radius R1 of WGS84), by the haversine formula. Degrees in. */
gdouble cg_places_distance (gdouble lat1, gdouble lon1, gdouble lat2, gdouble lon2);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (CgPlaces, cg_places_free)

G_END_DECLS
