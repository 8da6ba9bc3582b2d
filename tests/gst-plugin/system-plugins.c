/* See system-plugins.h.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "system-plugins.h"

#include <gst/check/gstcheck.h>

void
need_plugins (const gchar *name, ...)
{
  va_list names;

  va_start (names, name);
  // NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): it does not see through va_start()
  for (; name; name = va_arg (names, const gchar *)) {
    g_autofree gchar *path = g_strdup_printf ("%s/libgst%s.so", SYSTEM_PLUGINS_DIR, name);
    g_autoptr (GError) error = NULL;
    g_autoptr (GstPlugin) plugin = gst_plugin_load_file (path, &error);

    fail_unless (plugin != NULL, "%s", error ? error->message : path);
  }
  va_end (names);
}
