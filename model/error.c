/* The domain of the library's errors.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "error.h"

GQuark
cg_error_quark (void)
{
  return g_quark_from_static_string ("cg-error-quark");
}
