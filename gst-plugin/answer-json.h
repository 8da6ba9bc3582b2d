/* An answer as one line of JSON (RFC 8259): what "json_src" carries. Its schema: docs/answer.schema.json.
 *
 * One object, its keys the fields of the answer (report.h), in their order. A time stands there twice: as the field
 * has it, an integer of ns, and behind it as NAME-seconds, a number of seconds with exactly nine decimals; both are
 * null if it is not known. Integers are written out in full, although a reader that keeps numbers as doubles has only
 * 53 bits for them. A number that is not finite is null. Structures are objects, arrays and lists are arrays; a type
 * that JSON does not have is the string that GStreamer serialises it to, or null. Text that is not UTF-8 is mended.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <gst/gst.h>

G_BEGIN_DECLS

/** gst_city_guessr_answer_to_json: @answer: a structure as in report.h; any other is written too, by the rules above.
 * What stands more than 16 structures or arrays deep is null.
 * Returns: (transfer full): one object in UTF-8, with a newline at its end and none inside. Any thread. */
gchar *gst_city_guessr_answer_to_json (const GstStructure *answer);

G_END_DECLS
