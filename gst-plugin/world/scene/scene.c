/* See scene.h.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "scene.h"

#include "../chance.h"

CgItem *
cg_scene_add (CgScene *scene, gdouble key, void (*draw) (const CgScene *scene, const CgItem *item))
{
  CgItem item = { .key = key, .draw = draw };

  g_array_append_val (scene->items, item);
  return &g_array_index (scene->items, CgItem, scene->items->len - 1);
}

gboolean
cg_scene_sees (const CgScene *scene, gdouble s0, gdouble s1)
{
  return s1 > scene->pose.s - CG_STEP && s0 < scene->pose.s + CG_SIGHT - CG_STEP;
}

CgMaterial
cg_scene_material (const CgScene *scene, const CgTexture *texture, guint32 colour, gdouble x,
                   gdouble h, gdouble s)
{
  CgMaterial m = { .texture = texture, .colour = colour | 0xFF000000u, .alpha = 1.0f };

  m.haze = (gfloat)scene->drive->haze;
  cg_drive_shade (scene->drive, x, h, s, m.light);
  return m;
}

CgMaterial
cg_scene_glow (const CgScene *scene, const CgTexture *texture, guint32 colour)
{
  CgMaterial m = cg_scene_material (scene, texture, colour, 0.0, 0.5, -0.5);

  if (scene->drive->night)
    m.light[0] = m.light[1] = m.light[2] = 0.62f;
  return m;
}

const gchar *
cg_scene_word (const CgDrive *drive, guint64 key)
{
  CgWords words = cg_chance (key, 0, 0.38) ? drive->city->shops : drive->city->country->shops;

  return words[cg_pick (key, 1, g_strv_length (words))];
}

const gchar *
cg_scene_region (const CgDrive *drive)
{
  const gchar *language = drive->city->country->language;

  return g_str_equal (language, "zh-Hant") ? "tw" : g_str_has_prefix (language, "zh") ? "zh" : "";
}
