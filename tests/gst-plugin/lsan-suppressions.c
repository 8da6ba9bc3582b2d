/* Read by the leak sanitizer, where there is one: fontconfig keeps what it once read, and loses sight of some of it. Linked
 * to the tests that write text into pictures.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
const char *__lsan_default_suppressions (void);

__attribute__ ((visibility ("default"))) const char *
__lsan_default_suppressions (void)
{
  return "leak:libfontconfig";
}
