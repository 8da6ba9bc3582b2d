/* The geometry and the tensors it implies. See network.h.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "network.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "storage.h"

/* ---- geometry ---- */

/* One message for every rule: where, which field, what was found, what was expected. */
static gboolean refuse (GError **error, const char *where, const char *field, guint found,
                        const char *format, ...) G_GNUC_PRINTF (5, 6);

static gboolean
refuse (GError **error, const char *where, const char *field, guint found, const char *format, ...)
{
  va_list arguments;
  va_start (arguments, format);
  g_autofree char *expected = g_strdup_vprintf (format, arguments);
  va_end (arguments);
  g_set_error (error, CG_ERROR, CG_ERROR_CONFIG, "%s: geometry.%s is %u, expected %s", where, field,
               found, expected);
  return FALSE;
}

static gboolean
check_range (guint value, guint least, guint most, const char *where, const char *field,
             GError **error)
{
  if (value < least || value > most)
    return refuse (error, where, field, value, "%u..%u", least, most);
  return TRUE;
}

static gboolean
check_multiple (guint value, guint of, const char *of_what, const char *where, const char *field,
                GError **error)
{
  if (value % of != 0)
    return refuse (error, where, field, value, "a multiple of %u%s", of, of_what);
  return TRUE;
}

static gboolean
check_mlp (const CgMlp *mlp, guint inputs, const char *where, const char *field, GError **error)
{
  g_autofree char *layers = g_strconcat (field, ".layers", NULL);
  if (!check_range (mlp->layers, 0, CG_MAX_MLP_LAYERS, where, layers, error))
    return FALSE;
  for (guint i = 0; mlp->layers > 0 && i <= mlp->layers; i++) {
    g_autofree char *size = g_strdup_printf ("%s.size[%u]", field, i);
    if (i == 0 && mlp->size[0] != inputs)
      return refuse (error, where, size, mlp->size[0], "%u, the number of labels of all levels",
                     inputs);
    if (i > 0 && !check_range (mlp->size[i], 1, CG_MAX_MLP_SIZE, where, size, error))
      return FALSE;
  }
  return TRUE;
}

gboolean
cg_geometry_check (const CgGeometry *g, const char *where, GError **error)
{
  if (!check_range (g->tubelet, 1, 8, where, "tubelet", error) ||
      !check_range (g->frames, 2, CG_MAX_FRAMES, where, "frames", error) ||
      !check_multiple (g->frames, g->tubelet, " (tubelet)", where, "frames", error) ||
      !check_range (g->patch, 4, 32, where, "patch", error) ||
      !check_range (g->image, 16, 512, where, "image", error) ||
      !check_multiple (g->image, g->patch, " (patch)", where, "image", error) ||
      !check_range (g->width, 32, 1280, where, "width", error) ||
      !check_multiple (g->width, 16, "", where, "width", error) ||
      !check_range (g->depth, 1, 48, where, "depth", error) ||
      !check_range (g->heads, 1, g->width / 4, where, "heads", error))
    return FALSE;

  if (g->width % g->heads != 0 || g->width / g->heads % 4 != 0 || g->width / g->heads > 128)
    return refuse (error, where, "heads", g->heads,
                   "a divisor of the width %u that gives heads of 4, 8, ... 128", g->width);

  if (!check_range (g->mlp, 16, 8192, where, "mlp", error) ||
      !check_multiple (g->mlp, 16, "", where, "mlp", error))
    return FALSE;

  guint tokens = cg_geometry_tokens (g);
  if (tokens > CG_MAX_TOKENS)
    return refuse (error, where, "frames/tubelet * (image/patch)^2", tokens, "at most %u tokens",
                   CG_MAX_TOKENS);

  if (!(g->layer_norm_eps > 0 && g->layer_norm_eps <= 1e-2)) {
    g_set_error (error, CG_ERROR, CG_ERROR_CONFIG,
                 "%s: geometry.layer_norm_eps is %g, expected more than 0 and at most 0.01", where,
                 g->layer_norm_eps);
    return FALSE;
  }

  for (guint level = 0; level < CG_LEVELS; level++) {
    g_autofree char *field = g_strdup_printf ("labels[%s]", cg_level_name (level));
    if (!check_range (g->labels[level], 1, 65535, where, field, error))
      return FALSE;
  }
  return check_mlp (&g->scene, cg_geometry_total_labels (g), where, "scene", error) &&
         check_mlp (&g->text, cg_geometry_total_labels (g), where, "text", error);
}

guint
cg_geometry_tokens (const CgGeometry *g)
{
  guint side = g->image / g->patch;
  return g->frames / g->tubelet * side * side;
}

guint
cg_geometry_patch_values (const CgGeometry *g)
{
  return g->tubelet * g->patch * g->patch * 3;
}

guint
cg_geometry_total_labels (const CgGeometry *g)
{
  guint total = 0;
  for (guint level = 0; level < CG_LEVELS; level++)
    total += g->labels[level];
  return total;
}

gboolean
cg_geometry_has_sca (const CgGeometry *g)
{
  return g->scene.layers > 0 || g->text.layers > 0;
}

gdouble
cg_geometry_flops (const CgGeometry *g)
{
  gdouble tokens = cg_geometry_tokens (g), width = g->width, mlp = g->mlp;
  gdouble patches = tokens * cg_geometry_patch_values (g) * width;
  gdouble linear = tokens * width * (3 * width + width + 2 * mlp); /* qkv, proj, fc1 and fc2 */
  gdouble attention = 2 * tokens * tokens * width;                 /* scores, and what they weigh */
  return 2 * (patches + g->depth * (linear + attention));
}

gboolean
cg_geometry_preset (const char *name, CgGeometry *geometry, GError **error)
{
  static const struct {
    const char *name;
    guint frames, image, width, depth, heads, mlp;
    gdouble layer_norm_eps;
  } presets[] = {
    { "small-16", 16, 224, 384, 12, 16, 1536, 1e-12 },
    { "small-6", 16, 224, 384, 12, 6, 1536, 1e-6 },
    { "base", 16, 224, 768, 12, 12, 3072, 1e-12 },
    { "large", 16, 224, 1024, 24, 16, 4096, 1e-12 },
    { "tiny", 8, 64, 64, 2, 4, 256, 1e-6 },
  };

  g_autoptr (GString) names = g_string_new (NULL);
  for (guint i = 0; i < G_N_ELEMENTS (presets); i++) {
    if (strcmp (presets[i].name, name) == 0) {
      *geometry = (CgGeometry){
        .frames = presets[i].frames,
        .tubelet = 2,
        .image = presets[i].image,
        .patch = 16,
        .width = presets[i].width,
        .depth = presets[i].depth,
        .heads = presets[i].heads,
        .mlp = presets[i].mlp,
        .layer_norm_eps = presets[i].layer_norm_eps,
        .labels = { 166, 157, 91, 6 },
        .scene = { 6, { 420, 256, 128, 64, 32, 16, 16 } },
        .text = { 2, { 420, 466, 512 } },
      };
      return TRUE;
    }
    g_string_append_printf (names, "%s%s", i > 0 ? ", " : "", presets[i].name);
  }
  g_set_error (error, CG_ERROR, CG_ERROR_CONFIG, "no geometry preset \"%s\", expected one of %s",
               name, names->str);
  return FALSE;
}

/* ---- tensors ---- */

/* The one walk over all tensors: table, storage and pointers are made from it, so that they agree.
 * @slot says which pointer of the network the tensor belongs to. */
typedef struct {
  GArray *specs; /* CgTensorSpec */
  GArray *slots; /* float ** */
} Walk;

static void visit (Walk *walk, float **slot, guint rank, const gsize *shape, const char *format,
                   ...) G_GNUC_PRINTF (5, 6);

static void
visit (Walk *walk, float **slot, guint rank, const gsize *shape, const char *format, ...)
{
  CgTensorSpec spec = { .rank = rank };
  va_list arguments;
  va_start (arguments, format);
  g_vsnprintf (spec.name, sizeof spec.name, format, arguments);
  va_end (arguments);
  for (guint i = 0; i < rank; i++)
    spec.shape[i] = shape[i];
  g_array_append_val (walk->specs, spec);
  g_array_append_val (walk->slots, slot);
}

#define SHAPE(...)                                                 \
  G_N_ELEMENTS (((const gsize[]){ __VA_ARGS__ })), (const gsize[]) \
  {                                                                \
    __VA_ARGS__                                                    \
  }

static void
visit_linear (Walk *walk, CgLinear *linear, guint outputs, guint inputs, const char *name)
{
  visit (walk, &linear->weight, SHAPE (outputs, inputs), "%s.weight", name);
  visit (walk, &linear->bias, SHAPE (outputs), "%s.bias", name);
}

static void
visit_mlp (Walk *walk, CgLinear *layers, const CgMlp *mlp, const char *name)
{
  for (guint i = 0; i < mlp->layers; i++) {
    g_autofree char *layer = g_strdup_printf ("%s.%u", name, i);
    visit_linear (walk, &layers[i], mlp->size[i + 1], mlp->size[i], layer);
  }
}

static void
visit_block (Walk *walk, CgBlock *block, const CgGeometry *g, guint n)
{
  visit (walk, &block->norm1_weight, SHAPE (g->width), "blocks.%u.norm1.weight", n);
  visit (walk, &block->norm1_bias, SHAPE (g->width), "blocks.%u.norm1.bias", n);
  visit (walk, &block->qkv_weight, SHAPE (3 * g->width, g->width), "blocks.%u.attn.qkv.weight", n);
  visit (walk, &block->q_bias, SHAPE (g->width), "blocks.%u.attn.q_bias", n);
  visit (walk, &block->v_bias, SHAPE (g->width), "blocks.%u.attn.v_bias", n);
  visit (walk, &block->proj_weight, SHAPE (g->width, g->width), "blocks.%u.attn.proj.weight", n);
  visit (walk, &block->proj_bias, SHAPE (g->width), "blocks.%u.attn.proj.bias", n);
  visit (walk, &block->norm2_weight, SHAPE (g->width), "blocks.%u.norm2.weight", n);
  visit (walk, &block->norm2_bias, SHAPE (g->width), "blocks.%u.norm2.bias", n);
  visit (walk, &block->fc1_weight, SHAPE (g->mlp, g->width), "blocks.%u.mlp.fc1.weight", n);
  visit (walk, &block->fc1_bias, SHAPE (g->mlp), "blocks.%u.mlp.fc1.bias", n);
  visit (walk, &block->fc2_weight, SHAPE (g->width, g->mlp), "blocks.%u.mlp.fc2.weight", n);
  visit (walk, &block->fc2_bias, SHAPE (g->width), "blocks.%u.mlp.fc2.bias", n);
}

/* Visits every tensor in file order. @network has its blocks; its other pointers may be unset. */
static void
walk_network (Walk *walk, CgNetwork *network, const CgGeometry *g)
{
  walk->specs = g_array_new (FALSE, FALSE, sizeof (CgTensorSpec));
  walk->slots = g_array_new (FALSE, FALSE, sizeof (float **));

  visit (walk, &network->patch_weight, SHAPE (g->width, 3, g->tubelet, g->patch, g->patch),
         "patch_embed.weight");
  visit (walk, &network->patch_bias, SHAPE (g->width), "patch_embed.bias");
  for (guint i = 0; i < g->depth; i++)
    visit_block (walk, &network->blocks[i], g, i);

  for (guint level = 0; level < CG_LEVELS; level++) {
    g_autofree char *name = g_strdup_printf ("heads.%s", cg_level_name (level));
    visit_linear (walk, &network->heads[level], g->labels[level], g->width, name);
  }

  if (cg_geometry_has_sca (g)) {
    visit_linear (walk, &network->sca_query, CG_SCA_WIDTH, 1, "sca.query");
    visit_linear (walk, &network->sca_key, CG_SCA_WIDTH, 1, "sca.key");
    visit_linear (walk, &network->sca_value, CG_SCA_WIDTH, 1, "sca.value");
    visit_linear (walk, &network->sca_in_proj, 3 * CG_SCA_WIDTH, CG_SCA_WIDTH, "sca.in_proj");
    visit_linear (walk, &network->sca_out_proj, CG_SCA_WIDTH, CG_SCA_WIDTH, "sca.out_proj");
    visit_linear (walk, &network->sca_final, 1, CG_SCA_WIDTH, "sca.final");
  }
  visit_mlp (walk, network->scene, &g->scene, "scene");
  visit_mlp (walk, network->text, &g->text, "text");
}

CgTensorSpec *
cg_geometry_tensors (const CgGeometry *geometry, guint *n)
{
  g_autofree CgBlock *blocks = g_new0 (CgBlock, geometry->depth);
  CgNetwork without_storage = { .blocks = blocks };
  Walk walk;

  walk_network (&walk, &without_storage, geometry);
  g_array_unref (walk.slots);
  *n = walk.specs->len;
  return (CgTensorSpec *)g_array_free (walk.specs, FALSE);
}

CgNetwork *
cg_network_new (const CgGeometry *geometry, GError **error)
{
  g_autoptr (CgNetwork) network = g_new0 (CgNetwork, 1);
  Walk walk;
  CgStorage storage;

  network->geometry = *geometry;
  network->blocks = g_new0 (CgBlock, geometry->depth);
  walk_network (&walk, network, geometry);

  cg_storage_init (&storage);
  for (guint i = 0; i < walk.specs->len; i++) {
    const CgTensorSpec *spec = &g_array_index (walk.specs, CgTensorSpec, i);
    cg_storage_add (&storage, g_array_index (walk.slots, float **, i), spec->shape[0],
                    cg_tensor_spec_elements (spec) / spec->shape[0]);
  }
  network->storage_size = storage.size;
  network->storage = cg_storage_allocate (&storage, "the network", error);

  if (network->storage != NULL) {
    network->n_tensors = walk.slots->len;
    network->tensors = g_new (float *, network->n_tensors);
    for (guint i = 0; i < network->n_tensors; i++)
      network->tensors[i] = *g_array_index (walk.slots, float **, i);
  }
  g_array_unref (walk.specs);
  g_array_unref (walk.slots);
  return network->storage != NULL ? g_steal_pointer (&network) : NULL;
}

void
cg_network_free (CgNetwork *network)
{
  if (network == NULL)
    return;
  free (network->storage);
  g_free (network->tensors);
  g_free (network->blocks);
  g_free (network);
}

float *
cg_network_tensor (const CgNetwork *network, guint i)
{
  g_return_val_if_fail (i < network->n_tensors, NULL);
  return network->tensors[i];
}

/* ---- small things ---- */

gdouble
cg_position (guint position, guint component, guint width)
{
  guint pair = component / 2;
  gdouble angle = position / pow (10000.0, 2.0 * pair / width);
  return component % 2 == 0 ? sin (angle) : cos (angle);
}

CgOutputs *
cg_outputs_new (const CgGeometry *g, gboolean auxiliary)
{
  guint features = g->width, logits = cg_geometry_total_labels (g);
  guint scene = auxiliary && g->scene.layers > 0 ? g->scene.size[g->scene.layers] : 0;
  guint text = auxiliary && g->text.layers > 0 ? g->text.size[g->text.layers] : 0;
  gsize floats = (gsize)features + logits + scene + text;

  CgOutputs *outputs = g_malloc0 (sizeof *outputs + floats * sizeof (float));
  float *values = (float *)(outputs + 1);
  outputs->features = values;
  outputs->logits = outputs->features + features;
  outputs->scene = scene > 0 ? outputs->logits + logits : NULL;
  outputs->text = text > 0 ? outputs->logits + logits + scene : NULL;
  return outputs;
}
