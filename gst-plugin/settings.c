/* The settings of the element: see settings.h.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "settings.h"

#define DEFAULT_MODEL NULL
#define DEFAULT_DEVICE CG_DEVICE_AUTO
#define DEFAULT_PRECISION CG_PRECISION_AUTO
#define DEFAULT_CUDA_DEVICE_ID 0
#define DEFAULT_CPU_THREADS 0
#define DEFAULT_SAMPLE_INTERVAL 0
#define DEFAULT_HOP 2
#define DEFAULT_MIN_SAMPLES 4
#define DEFAULT_EARLY_RESULTS FALSE
#define DEFAULT_DECODING CG_DECODING_MARGINAL
#define DEFAULT_TOP_K 5
#define DEFAULT_MIN_CONFIDENCE 0.0
#define DEFAULT_TRACK_MEMORY (600 * GST_SECOND)
#define DEFAULT_PROCESSING_MODE GST_CITY_GUESSR_MODE_AUTO
#define DEFAULT_ON_DEVICE_LOSS GST_CITY_GUESSR_LOSS_FALLBACK
#define DEFAULT_POST_TAGS GST_CITY_GUESSR_TAGS_NONE
#define DEFAULT_CAPTION_TEMPLATE GST_CITY_GUESSR_DEFAULT_CAPTION
#define DEFAULT_CAPTION_TIMING GST_CITY_GUESSR_CAPTION_VIDEO

#define MAX_CUDA_DEVICE_ID 1023
#define MAX_CPU_THREADS 1024
#define MAX_SAMPLE_INTERVAL (3600 * GST_SECOND)
#define MAX_HOP 10000

/* READY: read at READY->PAUSED. PLAYING: heeded at once. */
#define FLAGS_READY (G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS | GST_PARAM_MUTABLE_READY)
#define FLAGS_PLAYING (G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS | GST_PARAM_MUTABLE_PLAYING)

/* ---- enumerations ---- */

static GType
device_get_type (void)
{
  static gsize type = 0;
  static const GEnumValue values[] = {
    { CG_DEVICE_AUTO, "CUDA if it works here, else the processor", "auto" },
    { CG_DEVICE_CPU, "The processor", "cpu" },
    { CG_DEVICE_CUDA, "An NVIDIA GPU", "cuda" },
    { CG_DEVICE_NULL, "No arithmetic: answers from a hash of the pictures, for tests", "null" },
    { 0, NULL, NULL },
  };

  if (g_once_init_enter (&type))
    g_once_init_leave (&type, g_enum_register_static ("GstCityGuessrDevice", values));
  return type;
}

static GType
precision_get_type (void)
{
  static gsize type = 0;
  static const GEnumValue values[] = {
    { CG_PRECISION_AUTO, "fp16 on a GPU; bf16 where the processor is faster in it, else fp32",
      "auto" },
    { CG_PRECISION_FP32, "32-bit floats", "fp32" },
    { CG_PRECISION_BF16, "bfloat16 operands, sums in 32-bit floats", "bf16" },
    { CG_PRECISION_FP16, "16-bit float operands, sums in 32-bit floats; GPU only", "fp16" },
    { 0, NULL, NULL },
  };

  if (g_once_init_enter (&type))
    g_once_init_leave (&type, g_enum_register_static ("GstCityGuessrPrecision", values));
  return type;
}

static GType
decoding_get_type (void)
{
  static gsize type = 0;
  static const GEnumValue values[] = {
    { CG_DECODING_MARGINAL, "City probabilities summed up the tree, pooled with each level's own",
      "marginal" },
    { CG_DECODING_CODEPENDENT, "The city decides, its parents follow", "codependent" },
    { CG_DECODING_INDEPENDENT, "Each level by itself; may contradict itself", "independent" },
    { 0, NULL, NULL },
  };

  if (g_once_init_enter (&type))
    g_once_init_leave (&type, g_enum_register_static ("GstCityGuessrDecoding", values));
  return type;
}

static GType
mode_get_type (void)
{
  static gsize type = 0;
  static const GEnumValue values[] = {
    { GST_CITY_GUESSR_MODE_AUTO, "Live if upstream says so, else offline", "auto" },
    { GST_CITY_GUESSR_MODE_LIVE, "Video never waits; windows may be dropped", "live" },
    { GST_CITY_GUESSR_MODE_OFFLINE, "Every window is answered; video may wait", "offline" },
    { 0, NULL, NULL },
  };

  if (g_once_init_enter (&type))
    g_once_init_leave (&type, g_enum_register_static ("GstCityGuessrProcessingMode", values));
  return type;
}

static GType
on_device_loss_get_type (void)
{
  static gsize type = 0;
  static const GEnumValue values[] = {
    { GST_CITY_GUESSR_LOSS_FALLBACK, "The CPU takes over, with a WARNING", "fallback" },
    { GST_CITY_GUESSR_LOSS_ERROR, "The stream ends with an ERROR", "error" },
    { 0, NULL, NULL },
  };

  if (g_once_init_enter (&type))
    g_once_init_leave (&type, g_enum_register_static ("GstCityGuessrOnDeviceLoss", values));
  return type;
}

static GType
post_tags_get_type (void)
{
  static gsize type = 0;
  static const GEnumValue values[] = {
    { GST_CITY_GUESSR_TAGS_NONE, "No tags", "none" },
    { GST_CITY_GUESSR_TAGS_FINAL, "Once, before EOS: for files", "final" },
    { GST_CITY_GUESSR_TAGS_ON_CHANGE, "Each time that the stable place is another", "on-change" },
    { 0, NULL, NULL },
  };

  if (g_once_init_enter (&type))
    g_once_init_leave (&type, g_enum_register_static ("GstCityGuessrPostTags", values));
  return type;
}

static GType
caption_timing_get_type (void)
{
  static gsize type = 0;
  static const GEnumValue values[] = {
    { GST_CITY_GUESSR_CAPTION_VIDEO, "From when it is known: for overlays and muxers", "video" },
    { GST_CITY_GUESSR_CAPTION_WINDOW, "The time it is about, a window late: for subtitle files",
      "window" },
    { 0, NULL, NULL },
  };

  if (g_once_init_enter (&type))
    g_once_init_leave (&type, g_enum_register_static ("GstCityGuessrCaptionTiming", values));
  return type;
}

/* ---- properties ---- */

static void
install_model_and_device (GObjectClass *klass)
{
  /**
   * GstCityGuessr:model:
   *
   * The model file (.safetensors), which carries the weights, the geometry, the label tree and the
   * sample interval. "generated:PRESET:SEED" stands for a model with generated, untrained weights,
   * for tests and benchmarks. The default comes from the environment variable CITYGUESSR_MODEL.
   *
   * Since: 0.1
   */
  g_object_class_install_property (
      klass, GST_CITY_GUESSR_SETTING_MODEL,
      g_param_spec_string (
          "model", "Model",
          "Model file (.safetensors), or \"generated:PRESET:SEED\" for untrained "
          "weights; default from the environment variable " GST_CITY_GUESSR_MODEL_VARIABLE,
          DEFAULT_MODEL, FLAGS_READY | GST_PARAM_DOC_SHOW_DEFAULT));

  /**
   * GstCityGuessr:device:
   *
   * What computes the windows. What was found is in #GstCityGuessr:active-device.
   *
   * Since: 0.1
   */
  g_object_class_install_property (klass, GST_CITY_GUESSR_SETTING_DEVICE,
                                   g_param_spec_enum ("device", "Device", "What computes",
                                                      device_get_type (), DEFAULT_DEVICE,
                                                      FLAGS_READY));

  /**
   * GstCityGuessr:precision:
   *
   * The numbers to compute in.
   *
   * Since: 0.1
   */
  g_object_class_install_property (
      klass, GST_CITY_GUESSR_SETTING_PRECISION,
      g_param_spec_enum ("precision", "Precision", "The numbers to compute in",
                         precision_get_type (), DEFAULT_PRECISION, FLAGS_READY));

  /**
   * GstCityGuessr:cuda-device-id:
   *
   * CUDA's number of the GPU that computes, where the device is one. Elements with the same model, GPU and
   * precision share one engine.
   *
   * Since: 0.1
   */
  g_object_class_install_property (
      klass, GST_CITY_GUESSR_SETTING_CUDA_DEVICE_ID,
      g_param_spec_uint ("cuda-device-id", "CUDA device", "CUDA's number of the GPU", 0,
                         MAX_CUDA_DEVICE_ID, DEFAULT_CUDA_DEVICE_ID, FLAGS_READY));

  /**
   * GstCityGuessr:cpu-threads:
   *
   * Threads of the CPU engine; 0 is one for each CPU that the process may run on. Elements with the
   * same model, device, precision and number of threads share one engine.
   *
   * Since: 0.1
   */
  g_object_class_install_property (klass, GST_CITY_GUESSR_SETTING_CPU_THREADS,
                                   g_param_spec_uint ("cpu-threads", "CPU threads",
                                                      "Threads of the CPU engine (0 = one for each "
                                                      "CPU this process may run on)",
                                                      0, MAX_CPU_THREADS, DEFAULT_CPU_THREADS,
                                                      FLAGS_READY));
}

static void
install_sampling (GObjectClass *klass)
{
  /**
   * GstCityGuessr:sample-interval:
   *
   * Time from sample to sample in nanoseconds; 0 is the interval that the model was trained with.
   * Frames are chosen by timestamp, so the frame rate does not matter.
   *
   * Since: 0.1
   */
  g_object_class_install_property (
      klass, GST_CITY_GUESSR_SETTING_SAMPLE_INTERVAL,
      g_param_spec_uint64 ("sample-interval", "Sample interval",
                           "Time from sample to sample in nanoseconds (0 = the model's)", 0,
                           MAX_SAMPLE_INTERVAL, DEFAULT_SAMPLE_INTERVAL, FLAGS_READY));

  /**
   * GstCityGuessr:hop:
   *
   * Samples from the beginning of one window to the beginning of the next.
   *
   * Since: 0.1
   */
  g_object_class_install_property (klass, GST_CITY_GUESSR_SETTING_HOP,
                                   g_param_spec_uint ("hop", "Hop",
                                                      "Samples from one window to the next", 1,
                                                      MAX_HOP, DEFAULT_HOP, FLAGS_PLAYING));

  /**
   * GstCityGuessr:min-samples:
   *
   * A stream (or a piece of it between two breaks) too short for a full window is answered all the
   * same if it has given this many samples; they are spread over the window, and the answer is
   * marked partial if they are fewer than the model takes.
   *
   * Since: 0.1
   */
  g_object_class_install_property (
      klass, GST_CITY_GUESSR_SETTING_MIN_SAMPLES,
      g_param_spec_uint ("min-samples", "Minimum of samples",
                         "Samples from which on a stream too short for a window is answered", 1,
                         CG_MAX_FRAMES, DEFAULT_MIN_SAMPLES, FLAGS_PLAYING));
}

static void
install_behaviour (GObjectClass *klass)
{
  /**
   * GstCityGuessr:early-results:
   *
   * Answers before the first window is full, from #GstCityGuessr:min-samples samples on: when the
   * video is one #GstCityGuessr:sample-interval long, and each time that its length has doubled
   * since. The model was not trained for such short windows; they are marked partial.
   *
   * Since: 0.1
   */
  g_object_class_install_property (
      klass, GST_CITY_GUESSR_SETTING_EARLY_RESULTS,
      g_param_spec_boolean ("early-results", "Early results",
                            "Answers before the first window is full, marked partial",
                            DEFAULT_EARLY_RESULTS, FLAGS_PLAYING));

  /**
   * GstCityGuessr:on-device-loss:
   *
   * What happens when the device that computes is lost while the stream runs: the CPU takes over,
   * or the stream ends. Without a CPU to fall back to (the device was the CPU) it is an ERROR.
   *
   * Since: 0.1
   */
  g_object_class_install_property (
      klass, GST_CITY_GUESSR_SETTING_ON_DEVICE_LOSS,
      g_param_spec_enum ("on-device-loss", "On device loss", "What happens when the device is lost",
                         on_device_loss_get_type (), DEFAULT_ON_DEVICE_LOSS, FLAGS_PLAYING));

  /**
   * GstCityGuessr:processing-mode:
   *
   * Live, video never waits and windows may be dropped; offline, every window is answered and video
   * may wait. auto follows the live flag of the upstream LATENCY query.
   *
   * Since: 0.1
   */
  g_object_class_install_property (
      klass, GST_CITY_GUESSR_SETTING_PROCESSING_MODE,
      g_param_spec_enum ("processing-mode", "Processing mode",
                         "Whether video may wait for answers or windows may be dropped",
                         mode_get_type (), DEFAULT_PROCESSING_MODE, FLAGS_PLAYING));
}

static void
install_outputs (GObjectClass *klass)
{
  /**
   * GstCityGuessr:post-tags:
   *
   * Whether the tracked place is sent as GStreamer's geo tags, of GLOBAL scope. Muxers keep the
   * first place they are told, so "final" tells it once, before EOS: right for files (but not for
   * fragmented or streamed ones, whose header is written by then). A place that upstream knows, as
   * from GPS, is not overruled. "on-change"
   * tells each stable place that is not the one told last: right for applications.
   *
   * Since: 0.1
   */
  g_object_class_install_property (
      klass, GST_CITY_GUESSR_SETTING_POST_TAGS,
      g_param_spec_enum ("post-tags", "Post tags", "When the place is sent as geo tags",
                         post_tags_get_type (), DEFAULT_POST_TAGS, FLAGS_PLAYING));

  /**
   * GstCityGuessr:caption-template:
   *
   * What the pad text_src says: {field} stands for a field of the answer, [ ] encloses what is left
   * out if a field in it is absent, as in "[{city}, ]{country} {confidence:%}". Its rules stand in
   * caption.h. One that is wrong is an ERROR at READY->PAUSED, and later a WARNING: the template
   * before it stays in force.
   *
   * Since: 0.1
   */
  g_object_class_install_property (
      klass, GST_CITY_GUESSR_SETTING_CAPTION_TEMPLATE,
      g_param_spec_string ("caption-template", "Caption template",
                           "What the captions say: {city}, {country}, {confidence:%} and others",
                           DEFAULT_CAPTION_TEMPLATE, FLAGS_PLAYING));

  /**
   * GstCityGuessr:caption-timing:
   *
   * When the pad text_src says it: from the frame on at which the answer is known, or at the time
   * that the answer is about. The latter comes a window late, so no overlay or muxer may wait for
   * it: it is for subtitle files.
   *
   * Since: 0.1
   */
  g_object_class_install_property (
      klass, GST_CITY_GUESSR_SETTING_CAPTION_TIMING,
      g_param_spec_enum ("caption-timing", "Caption timing", "What the times of captions mean",
                         caption_timing_get_type (), DEFAULT_CAPTION_TIMING, FLAGS_PLAYING));
}

static void
install_decoding (GObjectClass *klass)
{
  /**
   * GstCityGuessr:decoding:
   *
   * How the probabilities of the four levels become one place.
   *
   * Since: 0.1
   */
  g_object_class_install_property (
      klass, GST_CITY_GUESSR_SETTING_DECODING,
      g_param_spec_enum ("decoding", "Decoding", "How four levels of probabilities become a place",
                         decoding_get_type (), DEFAULT_DECODING, FLAGS_PLAYING));

  /**
   * GstCityGuessr:top-k:
   *
   * How many labels of each level the field "predictions" lists.
   *
   * Since: 0.1
   */
  g_object_class_install_property (klass, GST_CITY_GUESSR_SETTING_TOP_K,
                                   g_param_spec_uint ("top-k", "Top k",
                                                      "Labels of each level in \"predictions\"", 0,
                                                      CG_MAX_TOP_K, DEFAULT_TOP_K, FLAGS_PLAYING));

  /**
   * GstCityGuessr:min-confidence:
   *
   * A level whose probability is lower is withheld, and with it every finer one: "Italy, 0.93" is
   * better than a wrong city.
   *
   * Since: 0.1
   */
  g_object_class_install_property (
      klass, GST_CITY_GUESSR_SETTING_MIN_CONFIDENCE,
      g_param_spec_double (
          "min-confidence", "Minimum of confidence",
          "Probability (0..1) under which a level is withheld, and every finer one", 0.0, 1.0,
          DEFAULT_MIN_CONFIDENCE, FLAGS_PLAYING));

  /**
   * GstCityGuessr:track-memory:
   *
   * The time constant, in nanoseconds, with which the filter over time forgets: the longer, the
   * steadier is the field "tracked". 0: each window by itself.
   *
   * Since: 0.1
   */
  g_object_class_install_property (
      klass, GST_CITY_GUESSR_SETTING_TRACK_MEMORY,
      g_param_spec_uint64 ("track-memory", "Track memory",
                           "Time in nanoseconds with which the filter over time forgets (0 = no "
                           "filter)",
                           0, G_MAXINT64, DEFAULT_TRACK_MEMORY, FLAGS_PLAYING));
}

void
gst_city_guessr_settings_install (GObjectClass *klass)
{
  install_model_and_device (klass);
  install_sampling (klass);
  install_behaviour (klass);
  install_decoding (klass);
  install_outputs (klass);
  gst_type_mark_as_plugin_api (device_get_type (), 0);
  gst_type_mark_as_plugin_api (precision_get_type (), 0);
  gst_type_mark_as_plugin_api (decoding_get_type (), 0);
  gst_type_mark_as_plugin_api (mode_get_type (), 0);
  gst_type_mark_as_plugin_api (on_device_loss_get_type (), 0);
  gst_type_mark_as_plugin_api (post_tags_get_type (), 0);
  gst_type_mark_as_plugin_api (caption_timing_get_type (), 0);
}

/* ---- values ---- */

void
gst_city_guessr_settings_init (GstCityGuessrSettings *settings)
{
  *settings = (GstCityGuessrSettings){
    .model = g_strdup (g_getenv (GST_CITY_GUESSR_MODEL_VARIABLE)),
    .device = DEFAULT_DEVICE,
    .precision = DEFAULT_PRECISION,
    .cuda_device_id = DEFAULT_CUDA_DEVICE_ID,
    .cpu_threads = DEFAULT_CPU_THREADS,
    .sample_interval = DEFAULT_SAMPLE_INTERVAL,
    .hop = DEFAULT_HOP,
    .min_samples = DEFAULT_MIN_SAMPLES,
    .early_results = DEFAULT_EARLY_RESULTS,
    .answers = {
      .decode = { DEFAULT_DECODING, DEFAULT_TOP_K, DEFAULT_MIN_CONFIDENCE },
      .track_memory = DEFAULT_TRACK_MEMORY,
    },
    .mode = DEFAULT_PROCESSING_MODE,
    .on_device_loss = DEFAULT_ON_DEVICE_LOSS,
    .post_tags = DEFAULT_POST_TAGS,
    .caption_template = g_strdup (DEFAULT_CAPTION_TEMPLATE),
    .caption_timing = DEFAULT_CAPTION_TIMING,
  };
}

void
gst_city_guessr_settings_clear (GstCityGuessrSettings *settings)
{
  g_clear_pointer (&settings->model, g_free);
  g_clear_pointer (&settings->caption_template, g_free);
}

void
gst_city_guessr_settings_set (GstCityGuessrSettings *settings, guint id, const GValue *value)
{
  switch (id) {
  case GST_CITY_GUESSR_SETTING_MODEL:
    g_free (settings->model);
    settings->model = g_value_dup_string (value);
    break;
  case GST_CITY_GUESSR_SETTING_DEVICE:
    settings->device = g_value_get_enum (value);
    break;
  case GST_CITY_GUESSR_SETTING_PRECISION:
    settings->precision = g_value_get_enum (value);
    break;
  case GST_CITY_GUESSR_SETTING_CUDA_DEVICE_ID:
    settings->cuda_device_id = g_value_get_uint (value);
    break;
  case GST_CITY_GUESSR_SETTING_CPU_THREADS:
    settings->cpu_threads = g_value_get_uint (value);
    break;
  case GST_CITY_GUESSR_SETTING_SAMPLE_INTERVAL:
    settings->sample_interval = g_value_get_uint64 (value);
    break;
  case GST_CITY_GUESSR_SETTING_HOP:
    settings->hop = g_value_get_uint (value);
    break;
  case GST_CITY_GUESSR_SETTING_MIN_SAMPLES:
    settings->min_samples = g_value_get_uint (value);
    break;
  case GST_CITY_GUESSR_SETTING_DECODING:
    settings->answers.decode.decoding = g_value_get_enum (value);
    break;
  case GST_CITY_GUESSR_SETTING_TOP_K:
    settings->answers.decode.top_k = g_value_get_uint (value);
    break;
  case GST_CITY_GUESSR_SETTING_MIN_CONFIDENCE:
    settings->answers.decode.min_confidence = g_value_get_double (value);
    break;
  case GST_CITY_GUESSR_SETTING_EARLY_RESULTS:
    settings->early_results = g_value_get_boolean (value);
    break;
  case GST_CITY_GUESSR_SETTING_TRACK_MEMORY:
    settings->answers.track_memory = g_value_get_uint64 (value);
    break;
  case GST_CITY_GUESSR_SETTING_PROCESSING_MODE:
    settings->mode = g_value_get_enum (value);
    break;
  case GST_CITY_GUESSR_SETTING_ON_DEVICE_LOSS:
    settings->on_device_loss = g_value_get_enum (value);
    break;
  case GST_CITY_GUESSR_SETTING_POST_TAGS:
    settings->post_tags = g_value_get_enum (value);
    break;
  case GST_CITY_GUESSR_SETTING_CAPTION_TEMPLATE:
    g_free (settings->caption_template);
    settings->caption_template = g_value_dup_string (value);
    break;
  case GST_CITY_GUESSR_SETTING_CAPTION_TIMING:
    settings->caption_timing = g_value_get_enum (value);
    break;
  default:
    break;
  }
}

void
gst_city_guessr_settings_get (const GstCityGuessrSettings *settings, guint id, GValue *value)
{
  switch (id) {
  case GST_CITY_GUESSR_SETTING_MODEL:
    g_value_set_string (value, settings->model);
    break;
  case GST_CITY_GUESSR_SETTING_DEVICE:
    g_value_set_enum (value, settings->device);
    break;
  case GST_CITY_GUESSR_SETTING_PRECISION:
    g_value_set_enum (value, settings->precision);
    break;
  case GST_CITY_GUESSR_SETTING_CUDA_DEVICE_ID:
    g_value_set_uint (value, settings->cuda_device_id);
    break;
  case GST_CITY_GUESSR_SETTING_CPU_THREADS:
    g_value_set_uint (value, settings->cpu_threads);
    break;
  case GST_CITY_GUESSR_SETTING_SAMPLE_INTERVAL:
    g_value_set_uint64 (value, settings->sample_interval);
    break;
  case GST_CITY_GUESSR_SETTING_HOP:
    g_value_set_uint (value, settings->hop);
    break;
  case GST_CITY_GUESSR_SETTING_MIN_SAMPLES:
    g_value_set_uint (value, settings->min_samples);
    break;
  case GST_CITY_GUESSR_SETTING_DECODING:
    g_value_set_enum (value, settings->answers.decode.decoding);
    break;
  case GST_CITY_GUESSR_SETTING_TOP_K:
    g_value_set_uint (value, settings->answers.decode.top_k);
    break;
  case GST_CITY_GUESSR_SETTING_MIN_CONFIDENCE:
    g_value_set_double (value, settings->answers.decode.min_confidence);
    break;
  case GST_CITY_GUESSR_SETTING_EARLY_RESULTS:
    g_value_set_boolean (value, settings->early_results);
    break;
  case GST_CITY_GUESSR_SETTING_TRACK_MEMORY:
    g_value_set_uint64 (value, settings->answers.track_memory);
    break;
  case GST_CITY_GUESSR_SETTING_PROCESSING_MODE:
    g_value_set_enum (value, settings->mode);
    break;
  case GST_CITY_GUESSR_SETTING_ON_DEVICE_LOSS:
    g_value_set_enum (value, settings->on_device_loss);
    break;
  case GST_CITY_GUESSR_SETTING_POST_TAGS:
    g_value_set_enum (value, settings->post_tags);
    break;
  case GST_CITY_GUESSR_SETTING_CAPTION_TEMPLATE:
    g_value_set_string (value, settings->caption_template);
    break;
  case GST_CITY_GUESSR_SETTING_CAPTION_TIMING:
    g_value_set_enum (value, settings->caption_timing);
    break;
  default:
    break;
  }
}
