/* See draw.h.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "draw.h"

#include "scene/scene.h"

#include <math.h>

#define BLOCKS_KEPT 16

struct _CgWorld {
  CgArt *art;
  CgCanvas canvas;
  CgDrive drive;
  gboolean has_drive;
  CgDesign designs[CG_DESIGNS];
  CgBlock *blocks; /* BLOCKS_KEPT: the block i is at i modulo that, if it is there */
  gboolean laid_out[BLOCKS_KEPT];
  GArray *items;
  guint8 *scratch;
  gsize scratch_size;
};

CgWorld *
cg_world_new (gboolean with_text)
{
  CgWorld *self = g_new0 (CgWorld, 1);

  self->art = cg_art_new (with_text);
  self->blocks = g_new (CgBlock, BLOCKS_KEPT);
  self->items = g_array_new (FALSE, FALSE, sizeof (CgItem));
  return self;
}

void
cg_world_free (CgWorld *world)
{
  if (world == NULL)
    return;
  cg_art_free (world->art);
  cg_canvas_clear (&world->canvas);
  g_array_unref (world->items);
  g_free (world->blocks);
  g_free (world->scratch);
  g_free (world);
}

/* How many times wider and higher the picture is drawn than it becomes. */
static guint
oversampling (gint width, gint height)
{
  gint64 area = (gint64)width * height;

  return area <= 150 * 150 ? 4 : area <= 160000 ? 2 : 1;
}

/* Near walls of large pictures want finer textures. */
static guint
detail_of (gint height)
{
  return height <= 300 ? 1 : height <= 700 ? 2 : 4;
}

static void
start_drive (CgWorld *self, const CgCity *city, guint64 seed)
{
  if (self->has_drive && self->drive.city == city && self->drive.seed == seed)
    return;
  cg_drive_init (&self->drive, city, seed);
  self->has_drive = TRUE;
  for (guint i = 0; i < CG_DESIGNS; i++)
    cg_street_design (&self->drive, i, &self->designs[i]);
  for (guint i = 0; i < BLOCKS_KEPT; i++)
    self->laid_out[i] = FALSE;
}

static const CgBlock *
block_of (CgWorld *self, gint64 index)
{
  guint slot = (guint)(((index % BLOCKS_KEPT) + BLOCKS_KEPT) % BLOCKS_KEPT);

  if (!self->laid_out[slot] || self->blocks[slot].index != index)
    cg_street_block (&self->drive, index, &self->blocks[slot]);
  self->laid_out[slot] = TRUE;
  return &self->blocks[slot];
}

static void
add_prop (CgScene *scene, const CgProp *prop)
{
  if (!cg_scene_sees (scene, prop->s - 3.0, prop->s + 5.0) && prop->kind != CG_PROP_LIGHTS)
    return;
  switch (prop->kind) {
  case CG_PROP_TREE:
  case CG_PROP_BUSH:
    cg_plants_add (scene, prop);
    break;
  case CG_PROP_PARKED:
    cg_vehicles_add_parked (scene, prop);
    break;
  case CG_PROP_STREET_NAME:
  case CG_PROP_STOP:
  case CG_PROP_WARNING:
  case CG_PROP_SPEED:
    cg_signs_add (scene, prop);
    break;
  case CG_PROP_LAMP:
  case CG_PROP_POLE:
  case CG_PROP_LIGHTS:
  case CG_PROP_BIN:
  case CG_PROP_SHELTER:
    cg_furniture_add (scene, prop);
    break;
  }
}

static gint
far_first (gconstpointer a, gconstpointer b)
{
  const CgItem *x = a, *y = b;

  return (x->key < y->key) - (x->key > y->key);
}

static void
add_street (CgWorld *self, CgScene *scene)
{
  gint64 first = cg_street_block_at (&self->drive, scene->pose.s - CG_STEP);
  gint64 last = cg_street_block_at (&self->drive, scene->pose.s + CG_SIGHT);

  /* The block before may have traffic lights behind the crossing that one stands on. */
  for (gint64 index = first; index <= last; index++) {
    const CgBlock *block = block_of (self, index);

    cg_buildings_add (scene, block);
    cg_furniture_add_wires (scene, block);
    for (guint i = 0; i < block->n_props; i++)
      add_prop (scene, &block->props[i]);
  }
}

static gfloat
horizon_of (const CgScene *scene)
{
  CgVertex ahead = cg_view_direction (&scene->view, 0.0, 0.0, 1.0);
  gfloat x, y;

  return cg_canvas_project (scene->canvas, &ahead, &x, &y) ? y : 0.0f;
}

/* Room for a picture, drawn @factor times as large. */
static gboolean
make_room (CgWorld *self, const CgPixels *pixels, guint factor)
{
  gsize bytes = (gsize)3 * (gsize)pixels->width * (gsize)pixels->height;

  if (self->scratch_size < bytes) {
    g_free (self->scratch);
    self->scratch = g_try_malloc (bytes);
    self->scratch_size = self->scratch ? bytes : 0;
  }
  return self->scratch_size >= bytes &&
         cg_canvas_resize (&self->canvas, pixels->width * (gint)factor,
                           pixels->height * (gint)factor);
}

gboolean
cg_world_draw (CgWorld *world, const CgCity *city, guint64 seed, guint64 time, gdouble aspect,
               const CgPixels *pixels)
{
  guint factor = oversampling (pixels->width, pixels->height);
  CgScene scene = {
    .drive = &world->drive, .canvas = &world->canvas, .art = world->art, .items = world->items
  };

  if (!make_room (world, pixels, factor))
    return FALSE;
  start_drive (world, city, seed);
  cg_art_trim (world->art);
  for (guint i = 0; i < CG_DESIGNS; i++)
    scene.designs[i] = world->designs[i];
  for (guint c = 0; c < 3; c++)
    world->canvas.haze_colour[c] = world->drive.horizon[c];
  scene.detail = detail_of (pixels->height);
  scene.pose = cg_drive_pose (&world->drive, (gdouble)time / 1e9);
  cg_view_init (&scene.view, &world->canvas, &world->drive, &scene.pose, aspect);

  cg_sky_draw (&scene);
  cg_ground_draw_far (&scene);
  g_array_set_size (world->items, 0);
  cg_ground_add (&scene);
  add_street (world, &scene);
  cg_vehicles_add_traffic (&scene);
  cg_people_add (&scene);
  g_array_sort (world->items, far_first);
  for (guint i = 0; i < world->items->len; i++) {
    const CgItem *item = &g_array_index (world->items, CgItem, i);

    item->draw (&scene, item);
  }
  if (world->drive.wetness > 0.0)
    cg_lens_wet (&world->canvas, horizon_of (&scene));
  cg_lens_fall (&world->canvas, &world->drive, &scene.pose);
  cg_bonnet_draw (&scene);
  cg_lens_develop (&world->canvas, factor, &world->drive, time, world->scratch, pixels);
  return TRUE;
}
