/* From the predictions of an answer to classifications.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "analytics.h"

#if HAVE_GST_ANALYTICS

#include <gst/analytics/analytics.h>

/* The labels of one level. */
typedef struct {
  GArray *quarks;      /* GQuark */
  GArray *confidences; /* gfloat */
} Labels;

static const gchar *const levels[] = { "city", "state", "country", "continent" };

static void
labels_init (Labels *labels)
{
  labels->quarks = g_array_new (FALSE, FALSE, sizeof (GQuark));
  labels->confidences = g_array_new (FALSE, FALSE, sizeof (gfloat));
}

static void
labels_clear (Labels *labels)
{
  g_array_unref (labels->quarks);
  g_array_unref (labels->confidences);
}

static void
add_prediction (Labels *labels, const GValue *value)
{
  const GstStructure *prediction =
      GST_VALUE_HOLDS_STRUCTURE (value) ? gst_value_get_structure (value) : NULL;
  const gchar *level, *label;
  gdouble confidence;

  if (!prediction)
    return;
  level = gst_structure_get_string (prediction, "level");
  label = gst_structure_get_string (prediction, "label");
  if (!level || !label || !gst_structure_get_double (prediction, "confidence", &confidence))
    return;
  for (guint i = 0; i < G_N_ELEMENTS (levels); i++) {
    if (g_str_equal (level, levels[i])) {
      GQuark quark = g_quark_from_string (label);
      gfloat as_float = (gfloat)confidence;

      g_array_append_val (labels[i].quarks, quark);
      g_array_append_val (labels[i].confidences, as_float);
    }
  }
}

/* The meta of other elements, if there is one, else a new one. */
static GstAnalyticsRelationMeta *
relation_meta (GstBuffer *buffer)
{
  GstAnalyticsRelationMeta *meta = gst_buffer_get_analytics_relation_meta (buffer);

  return meta ? meta : gst_buffer_add_analytics_relation_meta (buffer);
}

static void
attach (GstBuffer *buffer, const Labels *labels)
{
  GstAnalyticsRelationMeta *meta = NULL;
  GstAnalyticsClsMtd finer, mtd;
  gboolean has_finer = FALSE;

  for (guint i = 0; i < G_N_ELEMENTS (levels); i++) {
    if (labels[i].quarks->len == 0)
      continue;
    if (!meta)
      meta = relation_meta (buffer);
    if (!gst_analytics_relation_meta_add_cls_mtd (meta, labels[i].quarks->len,
                                                  (gfloat *)labels[i].confidences->data,
                                                  (GQuark *)labels[i].quarks->data, &mtd))
      return;
    if (has_finer)
      gst_analytics_relation_meta_set_relation (meta, GST_ANALYTICS_REL_TYPE_IS_PART_OF, finer.id,
                                                mtd.id);
    finer = mtd;
    has_finer = TRUE;
  }
}

void
gst_city_guessr_analytics_attach (GstBuffer *buffer, const GstStructure *answer)
{
  const GValue *predictions = gst_structure_get_value (answer, "predictions");
  Labels labels[G_N_ELEMENTS (levels)];

  if (!predictions || !GST_VALUE_HOLDS_ARRAY (predictions))
    return;
  for (guint i = 0; i < G_N_ELEMENTS (levels); i++)
    labels_init (&labels[i]);
  for (guint i = 0; i < gst_value_array_get_size (predictions); i++)
    add_prediction (labels, gst_value_array_get_value (predictions, i));
  attach (buffer, labels);
  for (guint i = 0; i < G_N_ELEMENTS (levels); i++)
    labels_clear (&labels[i]);
}

#else

void
gst_city_guessr_analytics_attach (GstBuffer *buffer, const GstStructure *answer)
{
}

#endif
