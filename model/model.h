/* The model file: a `.safetensors` file whose metadata makes it complete.
 *
 * `__metadata__` holds exactly three strings that matter (others are ignored):
 *   cityguessr.version  "1"
 *   cityguessr.config   JSON:
 *     { "name": "...", "provenance": "...", "licence": "...", "demo": false,
 *       "geometry": { "frames": 16, "tubelet": 2, "image": 224, "patch": 16, "width": 384, "depth": 12,
 *                     "heads": 16, "mlp": 1536, "layer_norm_eps": 1e-12,
 *                     "scene_hidden": [256, 128, 64, 32, 16], "text_hidden": [466], "text_width": 512 },
 *       "input": { "scale": 0.00392156862745098, "mean": [0, 0, 0], "std": [1, 1, 1], "resize": "squash-bilinear" },
 *       "sample_interval": 1.4,                      seconds between samples, 0.001 .. 3600
 *       "scenes": ["indoor: shopping and dining", ...],   names; [] = no scene head
 *       "temperatures": [1, 1, 1, 1] }               city, state, country, continent; 0.01 .. 100
 *     text_width 0 = no text head. Every key is required; an unknown key is an error.
 *     Without a head its hidden sizes are []. The name has 1..256 bytes, other texts at most 4096; no
 *     text has control characters. Limits of the JSON itself: json.h.
 *   cityguessr.places   JSON, see places.h
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "network.h"

G_BEGIN_DECLS

/** CgModel: what a model is, without its weights. Immutable, reference counted, any thread. */
typedef struct {
  gatomicrefcount refs;
  char *path; /* of the file, or "generated:small-16:1" */
  char *name, *provenance, *licence;
  gboolean demo;
  CgGeometry geometry;
  CgInput input;
  gdouble sample_interval; /* seconds */
  guint n_scenes;
  char **scenes; /* NULL-terminated */
  gdouble temperatures[CG_LEVELS];
  CgPlaces *places;
} CgModel;

/** cg_model_load: reads, checks everything, and converts the weights to float32.
 * @network: (out) (optional) (transfer full): the weights; pass NULL to check a file without keeping
 *   them (the file is still read and checked whole, every value included).
 * Returns: (transfer full): cg_model_unref(). Errors: NOT_FOUND, READ, FORMAT, CONFIG, PLACES, TENSOR, MEMORY;
 * UNSUPPORTED for another version of the format. */
CgModel *cg_model_load (const char *path, CgNetwork **network, GError **error);

/** cg_model_load_bytes: the same over memory (tests, fuzzing). */
CgModel *cg_model_load_bytes (GBytes *bytes, const char *name, CgNetwork **network, GError **error);

/** cg_model_generate: a model with generated weights (generate.h), CityGuessr68k's places, scale 1/255,
 * 1.4 s between samples, the name "generated <preset>" and a provenance that says: untrained. */
CgModel *cg_model_generate (const char *preset, guint64 seed, CgNetwork **network, GError **error);

/** cg_model_save: writes a model file (F32), to a temporary beside @path, synchronised and then renamed
 * over it, or over what it is a symbolic link to. Errors: WRITE, also where @path is no regular file; MEMORY; FORMAT
 * if the places do not fit into a header. */
gboolean cg_model_save (const CgModel *model, const CgNetwork *network, const char *path,
                        GError **error);

/** cg_model_config_to_json: the `cityguessr.config` of @model (transfer full). */
char *cg_model_config_to_json (const CgModel *model);

CgModel *cg_model_ref (CgModel *model);
void cg_model_unref (CgModel *model);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (CgModel, cg_model_unref)

G_END_DECLS
