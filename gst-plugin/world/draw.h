/* (city, drive, time) -> picture: the world's front door. See drive.h, street.h and scene/scene.h for
 * what is in it.
 *
 * The picture is a function of its arguments alone: in any process, in any order, whatever was drawn
 * before. (The shapes of letters are those of the installed fonts.) Pictures of up to
 * about 480 x 330 are drawn larger and reduced, for smooth edges.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "lens.h"

G_BEGIN_DECLS

/** CG_WORLD_SIZE_MAX: pictures are at most this wide and high. */
#define CG_WORLD_SIZE_MAX 8192

typedef struct _CgWorld CgWorld;

/** cg_world_new: @with_text: FALSE leaves words out, so that nothing depends on installed fonts; for
 * tests. One thread at a time uses it; others have their own. */
CgWorld *cg_world_new (gboolean with_text);
void cg_world_free (CgWorld *world);

/** cg_world_draw: the picture of the drive @seed through @city at @time ns, into @pixels, 1 to
 * CG_WORLD_SIZE_MAX pixels wide and high. @aspect: width by height of the picture as it is shown: that
 * of its pixels if they are square. The view is the same in all shapes, as high as in 16:9.
 * Returns: FALSE if there is no memory for a picture of this size. */
gboolean cg_world_draw (CgWorld *world, const CgCity *city, guint64 seed, guint64 time,
                        gdouble aspect, const CgPixels *pixels);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (CgWorld, cg_world_free)

G_END_DECLS
