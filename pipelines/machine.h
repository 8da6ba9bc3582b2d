/* What Linux tells of the processor and of this process, in /proc.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/** machine_cpu_name: (transfer full): as the system names it, or "unknown". */
char *machine_cpu_name (void);

/** machine_resident_mb: memory of this process that is resident, in MB; 0 if the system does not tell. */
gdouble machine_resident_mb (void);

/** machine_descriptors, machine_threads: how many this process has open; 0 if the system does not tell. */
guint machine_descriptors (void);
guint machine_threads (void);

G_END_DECLS
