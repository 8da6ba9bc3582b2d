/* See machine.h.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "machine.h"

#include <string.h>
#include <unistd.h>

char *
machine_cpu_name (void)
{
  g_autofree char *info = NULL;
  const char *line;

  if (!g_file_get_contents ("/proc/cpuinfo", &info, NULL, NULL) ||
      !(line = strstr (info, "model name")) || !(line = strchr (line, ':')))
    return g_strdup ("unknown");
  return g_strstrip (g_strndup (line + 1, strcspn (line + 1, "\n")));
}

gdouble
machine_resident_mb (void)
{
  g_autofree char *text = NULL;
  g_auto (GStrv) fields = NULL;

  if (!g_file_get_contents ("/proc/self/statm", &text, NULL, NULL))
    return 0;
  fields = g_strsplit (text, " ", 3);
  return g_ascii_strtoull (fields[1], NULL, 10) * (gdouble)sysconf (_SC_PAGESIZE) / 1e6;
}

static guint
count_entries (const char *folder)
{
  g_autoptr (GDir) dir = g_dir_open (folder, 0, NULL);
  guint n = 0;

  while (dir && g_dir_read_name (dir))
    n++;
  return n;
}

guint
machine_descriptors (void)
{
  return count_entries ("/proc/self/fd");
}

guint
machine_threads (void)
{
  return count_entries ("/proc/self/task");
}
