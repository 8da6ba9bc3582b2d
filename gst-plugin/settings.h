/* The settings of the element: its writable properties, their defaults, ranges and documentation.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <gst/gst.h>

#include "answers.h"
#include "model/engine.h"
#include "outputs.h"

G_BEGIN_DECLS

/** GstCityGuessrMode: see the property "processing-mode". */
typedef enum {
  GST_CITY_GUESSR_MODE_AUTO,
  GST_CITY_GUESSR_MODE_LIVE,
  GST_CITY_GUESSR_MODE_OFFLINE
} GstCityGuessrMode;

/** GstCityGuessrPostTags: see the property "post-tags". */
typedef enum {
  GST_CITY_GUESSR_TAGS_NONE,
  GST_CITY_GUESSR_TAGS_FINAL,
  GST_CITY_GUESSR_TAGS_ON_CHANGE
} GstCityGuessrPostTags;

/** GstCityGuessrOnDeviceLoss: see the property "on-device-loss". */
typedef enum {
  GST_CITY_GUESSR_LOSS_FALLBACK,
  GST_CITY_GUESSR_LOSS_ERROR
} GstCityGuessrOnDeviceLoss;

/** GST_CITY_GUESSR_MODEL_VARIABLE: the environment variable that gives "model" its default. */
#define GST_CITY_GUESSR_MODEL_VARIABLE "CITYGUESSR_MODEL"

/** GstCityGuessrSettings: the value of each property. */
typedef struct {
  gchar *model;
  CgDevice device;
  CgPrecision precision;
  guint cuda_device_id;
  guint cpu_threads;
  GstClockTime sample_interval; /* 0: the model's */
  guint hop;
  guint min_samples;
  gboolean early_results;
  GstCityGuessrAnswersOptions answers;
  GstCityGuessrMode mode;
  GstCityGuessrOnDeviceLoss on_device_loss;
  GstCityGuessrPostTags post_tags;
  gchar *caption_template;
  GstCityGuessrCaptionTiming caption_timing;
} GstCityGuessrSettings;

/** GstCityGuessrSetting: property numbers; the element's read-only ones follow. */
typedef enum {
  GST_CITY_GUESSR_SETTING_MODEL = 1,
  GST_CITY_GUESSR_SETTING_DEVICE,
  GST_CITY_GUESSR_SETTING_PRECISION,
  GST_CITY_GUESSR_SETTING_CUDA_DEVICE_ID,
  GST_CITY_GUESSR_SETTING_CPU_THREADS,
  GST_CITY_GUESSR_SETTING_SAMPLE_INTERVAL,
  GST_CITY_GUESSR_SETTING_HOP,
  GST_CITY_GUESSR_SETTING_MIN_SAMPLES,
  GST_CITY_GUESSR_SETTING_EARLY_RESULTS,
  GST_CITY_GUESSR_SETTING_DECODING,
  GST_CITY_GUESSR_SETTING_TOP_K,
  GST_CITY_GUESSR_SETTING_MIN_CONFIDENCE,
  GST_CITY_GUESSR_SETTING_TRACK_MEMORY,
  GST_CITY_GUESSR_SETTING_PROCESSING_MODE,
  GST_CITY_GUESSR_SETTING_ON_DEVICE_LOSS,
  GST_CITY_GUESSR_SETTING_POST_TAGS,
  GST_CITY_GUESSR_SETTING_CAPTION_TEMPLATE,
  GST_CITY_GUESSR_SETTING_CAPTION_TIMING,
  GST_CITY_GUESSR_SETTING_END
} GstCityGuessrSetting;

/** gst_city_guessr_settings_install: the properties of the settings, on the element's class. */
void gst_city_guessr_settings_install (GObjectClass *klass);

/** gst_city_guessr_settings_init, _clear: the defaults; frees what they own. */
void gst_city_guessr_settings_init (GstCityGuessrSettings *settings);
void gst_city_guessr_settings_clear (GstCityGuessrSettings *settings);

/** gst_city_guessr_settings_set, _get: one property, @id below GST_CITY_GUESSR_SETTING_END. The
 * caller locks. */
void gst_city_guessr_settings_set (GstCityGuessrSettings *settings, guint id, const GValue *value);
void gst_city_guessr_settings_get (const GstCityGuessrSettings *settings, guint id, GValue *value);

G_END_DECLS
