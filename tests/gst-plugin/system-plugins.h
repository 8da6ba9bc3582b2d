/* Plugins of the system, for the tests of the element: they see none by themselves, because scanning all of them takes
 * longer than testing.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <glib.h>

/** need_plugins: loads plugins by their names, up to NULL. Fails the test if one is missing. */
void need_plugins (const gchar *name, ...) G_GNUC_NULL_TERMINATED;
