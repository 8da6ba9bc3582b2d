/**
 * SECTION:element-cityguessrtestsrc
 * @title: cityguessrtestsrc
 * @short_description: a drive through a drawn street of a named city
 *
 * A video source that draws a drive, or a walk, through a street of one of the cities that it knows
 * (#GstCityGuessrTestSrc:city): the side one drives on, lines, number plates, signs and their words,
 * houses, trees, light and weather are those of the place. What differs between two films of one city
 * follows from #GstCityGuessrTestSrc:drive. It is drawn, not filmed: good to try and to test pipelines
 * with, and to train a demonstration on; it says nothing about how well real video is understood.
 *
 * A picture is a function of (city, drive, time): the same in every run, at any frame rate and any
 * size, in any order. The letters on its signs are those of the installed fonts; where some of the
 * fonts are missing, a WARNING message says which.
 *
 * ## Times
 *
 * The first picture is that of the time 0. Frame n has the time n / framerate; at the frame rate 0/1
 * pictures come one per second without a duration. The source can be sought to any time, and played at
 * other rates and backwards. With #GstCityGuessrTestSrc:is-live pictures come in real time, stamped
 * with the running time at which they were due.
 *
 * ## Place
 *
 * With #GstCityGuessrTestSrc:post-truth the first picture is preceded by the tags
 * GST_TAG_GEO_LOCATION_LATITUDE, _LONGITUDE, _CITY, _SUBLOCATION (the state) and _COUNTRY of where it
 * is. It is off by default, so that nothing downstream can learn the answer from anything but the picture.
 *
 * ## Example launch lines
 * |[
 * gst-launch-1.0 cityguessrtestsrc city=Lisbon ! videoconvert ! autovideosink
 * ]| Shows a drive through Lisbon.
 * |[
 * gst-launch-1.0 -m cityguessrtestsrc city=Tokyo drive=7 is-live=true ! video/x-raw,width=640,height=360 ! cityguessroverlay ! videoconvert ! autovideosink
 * ]| Another drive, live, and what the model says of it.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "gstcityguessrtestsrc.h"

#include "draw.h"
#include "scene/art.h"

#include <gst/video/video.h>

GST_DEBUG_CATEGORY_STATIC (city_guessr_test_src_debug);
#define GST_CAT_DEFAULT city_guessr_test_src_debug

#define DEFAULT_CITY "Chicago"
#define DEFAULT_DRIVE 1
#define DEFAULT_IS_LIVE FALSE
#define DEFAULT_POST_TRUTH FALSE
#define DEFAULT_WIDTH 640
#define DEFAULT_HEIGHT 360
#define DEFAULT_FPS 25

enum { PROP_0, PROP_CITY, PROP_DRIVE, PROP_IS_LIVE, PROP_POST_TRUTH };

struct _GstCityGuessrTestSrc {
  GstPushSrc parent;

  /* Properties; the object lock. */
  gchar *city;
  guint64 drive;
  gboolean post_truth;

  /* From start to stop; the streaming thread. */
  const CgCity *place;
  guint64 seed;
  CgWorld *world;
  gboolean tags_due;
  GstVideoInfo info;
  /* The next picture is number @frame after @base, a time: so that rounding does not add up, and the
   * frame rate may change. */
  GstClockTime base;
  guint64 frame;
  gboolean backwards;
};

static GstStaticPadTemplate src_template = GST_STATIC_PAD_TEMPLATE (
    "src", GST_PAD_SRC, GST_PAD_ALWAYS,
    GST_STATIC_CAPS (
        "video/x-raw, format = { BGRx, RGBx, xRGB, xBGR, RGB, BGR }, "
        "width = [ 1, 8192 ], height = [ 1, 8192 ], framerate = " GST_VIDEO_FPS_RANGE));

G_DEFINE_TYPE (GstCityGuessrTestSrc, gst_city_guessr_test_src, GST_TYPE_PUSH_SRC)
GST_ELEMENT_REGISTER_DEFINE (cityguessrtestsrc, "cityguessrtestsrc", GST_RANK_NONE,
                             GST_TYPE_CITY_GUESSR_TEST_SRC)

/* ---- start and stop ---- */

static void
warn_of_fonts (GstCityGuessrTestSrc *self)
{
  g_autofree gchar *missing = cg_art_missing_fonts ();

  if (missing != NULL)
    GST_ELEMENT_WARNING (
        self, RESOURCE, NOT_FOUND,
        ("Some signs are drawn with the wrong letters or none. Missing fonts: %s.", missing),
        (NULL));
}

static gboolean
gst_city_guessr_test_src_start (GstBaseSrc *src)
{
  GstCityGuessrTestSrc *self = GST_CITY_GUESSR_TEST_SRC (src);
  const CgAtlas *atlas = cg_atlas_built_in ();
  g_autofree gchar *city = NULL, *known = NULL;

  GST_OBJECT_LOCK (self);
  city = g_strdup (self->city);
  self->seed = self->drive;
  self->tags_due = self->post_truth;
  GST_OBJECT_UNLOCK (self);

  self->place = cg_atlas_find (atlas, city);
  if (self->place == NULL)
    goto unknown_city;
  self->world = cg_world_new (TRUE);
  self->base = 0;
  self->frame = 0;
  self->backwards = FALSE;
  gst_video_info_init (&self->info);
  warn_of_fonts (self);
  return TRUE;

  /* ERRORS */
unknown_city:
  known = cg_atlas_names (atlas);
  GST_ELEMENT_ERROR (
      self, RESOURCE, NOT_FOUND,
      ("There is no drawn city “%s”. There are: %s.", city != NULL ? city : "", known),
      ("property city"));
  return FALSE;
}

static gboolean
gst_city_guessr_test_src_stop (GstBaseSrc *src)
{
  GstCityGuessrTestSrc *self = GST_CITY_GUESSR_TEST_SRC (src);

  g_clear_pointer (&self->world, cg_world_free);
  return TRUE;
}

/* ---- caps ---- */

static GstCaps *
gst_city_guessr_test_src_fixate (GstBaseSrc *src, GstCaps *caps)
{
  GstStructure *structure;

  caps = gst_caps_make_writable (gst_caps_truncate (caps));
  structure = gst_caps_get_structure (caps, 0);
  gst_structure_fixate_field_nearest_int (structure, "width", DEFAULT_WIDTH);
  gst_structure_fixate_field_nearest_int (structure, "height", DEFAULT_HEIGHT);
  gst_structure_fixate_field_nearest_fraction (structure, "framerate", DEFAULT_FPS, 1);
  if (gst_structure_has_field (structure, "pixel-aspect-ratio"))
    gst_structure_fixate_field_nearest_fraction (structure, "pixel-aspect-ratio", 1, 1);
  else
    gst_structure_set (structure, "pixel-aspect-ratio", GST_TYPE_FRACTION, 1, 1, NULL);
  return GST_BASE_SRC_CLASS (gst_city_guessr_test_src_parent_class)->fixate (src, caps);
}

/* Between two frames; at 0/1 a second. */
static GstClockTime
time_of_frame (const GstCityGuessrTestSrc *self, guint64 frame)
{
  if (self->info.fps_n == 0)
    return frame * GST_SECOND;
  return gst_util_uint64_scale (frame, (guint64)self->info.fps_d * GST_SECOND,
                                (guint64)self->info.fps_n);
}

static gboolean
gst_city_guessr_test_src_set_caps (GstBaseSrc *src, GstCaps *caps)
{
  GstCityGuessrTestSrc *self = GST_CITY_GUESSR_TEST_SRC (src);
  GstVideoInfo info;

  if (!gst_video_info_from_caps (&info, caps))
    return FALSE;
  /* Go on from where the old frame rate has come to. */
  if (GST_VIDEO_INFO_FORMAT (&self->info) != GST_VIDEO_FORMAT_UNKNOWN) {
    self->base += time_of_frame (self, self->frame);
    self->frame = 0;
  }
  self->info = info;
  gst_base_src_set_blocksize (src, (guint)GST_VIDEO_INFO_SIZE (&info));
  return TRUE;
}

static gboolean
gst_city_guessr_test_src_decide_allocation (GstBaseSrc *src, GstQuery *query)
{
  GstCityGuessrTestSrc *self = GST_CITY_GUESSR_TEST_SRC (src);
  guint size = (guint)GST_VIDEO_INFO_SIZE (&self->info), min = 0, max = 0;
  g_autoptr (GstBufferPool) pool = NULL;
  gboolean update = gst_query_get_n_allocation_pools (query) > 0;
  GstStructure *config;

  if (update) {
    guint theirs;

    gst_query_parse_nth_allocation_pool (query, 0, &pool, &theirs, &min, &max);
    size = MAX (size, theirs);
  }
  if (pool == NULL)
    pool = gst_video_buffer_pool_new ();
  config = gst_buffer_pool_get_config (pool);
  {
    g_autoptr (GstCaps) caps = NULL;

    gst_query_parse_allocation (query, &caps, NULL);
    if (caps != NULL)
      gst_caps_ref (caps);
    gst_buffer_pool_config_set_params (config, caps, size, min, max);
  }
  if (gst_query_find_allocation_meta (query, GST_VIDEO_META_API_TYPE, NULL))
    gst_buffer_pool_config_add_option (config, GST_BUFFER_POOL_OPTION_VIDEO_META);
  gst_buffer_pool_set_config (pool, config);
  if (update)
    gst_query_set_nth_allocation_pool (query, 0, pool, size, min, max);
  else
    gst_query_add_allocation_pool (query, pool, size, min, max);
  return GST_BASE_SRC_CLASS (gst_city_guessr_test_src_parent_class)->decide_allocation (src, query);
}

/* ---- times ---- */

static gboolean
gst_city_guessr_test_src_is_seekable (GstBaseSrc *src)
{
  return TRUE;
}

static gboolean
gst_city_guessr_test_src_do_seek (GstBaseSrc *src, GstSegment *segment)
{
  GstCityGuessrTestSrc *self = GST_CITY_GUESSR_TEST_SRC (src);
  GstClockTime position = segment->position;

  segment->time = segment->start;
  self->backwards = segment->rate < 0.0;
  self->base = 0;
  self->frame = 0;
  if (GST_VIDEO_INFO_FORMAT (&self->info) != GST_VIDEO_FORMAT_UNKNOWN && self->info.fps_n != 0) {
    /* The frame that is shown at that time; backwards the one before it. */
    self->frame = gst_util_uint64_scale (position, (guint64)self->info.fps_n,
                                         (guint64)self->info.fps_d * GST_SECOND);
    while (time_of_frame (self, self->frame + 1) <= position)
      self->frame++;
    if (self->backwards && self->frame > 0 && time_of_frame (self, self->frame) == position)
      self->frame--;
    segment->position = time_of_frame (self, self->frame);
  } else {
    self->base = position;
  }
  return TRUE;
}

static gboolean
gst_city_guessr_test_src_query (GstBaseSrc *src, GstQuery *query)
{
  GstCityGuessrTestSrc *self = GST_CITY_GUESSR_TEST_SRC (src);

  switch (GST_QUERY_TYPE (query)) {
  case GST_QUERY_LATENCY: {
    /* A live picture is there when its time is over. */
    gboolean live = gst_base_src_is_live (src);
    GstClockTime latency = live && self->info.fps_n > 0 ? time_of_frame (self, 1) : 0;

    gst_query_set_latency (query, live, latency, GST_CLOCK_TIME_NONE);
    return TRUE;
  }
  case GST_QUERY_DURATION: {
    GstFormat format;
    gint buffers;

    /* Without an end, unless so many pictures were asked for. */
    g_object_get (src, "num-buffers", &buffers, NULL);
    gst_query_parse_duration (query, &format, NULL);
    if (buffers < 0 || format != GST_FORMAT_TIME ||
        GST_VIDEO_INFO_FORMAT (&self->info) == GST_VIDEO_FORMAT_UNKNOWN)
      break;
    gst_query_set_duration (query, GST_FORMAT_TIME, (gint64)time_of_frame (self, (guint64)buffers));
    return TRUE;
  }
  default:
    break;
  }
  return GST_BASE_SRC_CLASS (gst_city_guessr_test_src_parent_class)->query (src, query);
}

static void
gst_city_guessr_test_src_get_times (GstBaseSrc *src, GstBuffer *buffer, GstClockTime *start,
                                    GstClockTime *end)
{
  *start = *end = GST_CLOCK_TIME_NONE;
  if (!gst_base_src_is_live (src) || !GST_BUFFER_PTS_IS_VALID (buffer))
    return;
  *start = GST_BUFFER_PTS (buffer);
  if (GST_BUFFER_DURATION_IS_VALID (buffer))
    *end = *start + GST_BUFFER_DURATION (buffer);
}

/* ---- pictures ---- */

static void
push_tags (GstCityGuessrTestSrc *self)
{
  const CgPlaces *places = cg_places_cityguessr68k ();
  const CgPlace *city = cg_places_get (places, CG_CITY, self->place->place);
  guint state = cg_places_ancestor (places, CG_CITY, self->place->place, CG_STATE);
  guint country = cg_places_ancestor (places, CG_CITY, self->place->place, CG_COUNTRY);
  GstTagList *tags = gst_tag_list_new (
      GST_TAG_GEO_LOCATION_LATITUDE, city->latitude, GST_TAG_GEO_LOCATION_LONGITUDE,
      city->longitude, GST_TAG_GEO_LOCATION_CITY, city->name, GST_TAG_GEO_LOCATION_SUBLOCATION,
      cg_places_get (places, CG_STATE, state)->name, GST_TAG_GEO_LOCATION_COUNTRY,
      cg_places_get (places, CG_COUNTRY, country)->name, NULL);

  gst_tag_list_set_scope (tags, GST_TAG_SCOPE_GLOBAL);
  gst_pad_push_event (GST_BASE_SRC_PAD (self), gst_event_new_tag (tags));
  self->tags_due = FALSE;
}

static gboolean
draw (GstCityGuessrTestSrc *self, GstVideoFrame *frame, GstClockTime time)
{
  const GstVideoFormatInfo *format = frame->info.finfo;
  CgPixels pixels = {
    .data = GST_VIDEO_FRAME_PLANE_DATA (frame, 0),
    .width = GST_VIDEO_FRAME_WIDTH (frame),
    .height = GST_VIDEO_FRAME_HEIGHT (frame),
    .stride = GST_VIDEO_FRAME_PLANE_STRIDE (frame, 0),
    .step = (guint)GST_VIDEO_FORMAT_INFO_PSTRIDE (format, 0),
    .red = (guint)GST_VIDEO_FORMAT_INFO_POFFSET (format, 0),
    .green = (guint)GST_VIDEO_FORMAT_INFO_POFFSET (format, 1),
    .blue = (guint)GST_VIDEO_FORMAT_INFO_POFFSET (format, 2),
  };
  gdouble aspect = (gdouble)pixels.width * GST_VIDEO_INFO_PAR_N (&self->info) /
                   ((gdouble)pixels.height * GST_VIDEO_INFO_PAR_D (&self->info));

  return cg_world_draw (self->world, self->place, self->seed, time, aspect, &pixels);
}

static GstFlowReturn
gst_city_guessr_test_src_fill (GstPushSrc *src, GstBuffer *buffer)
{
  GstCityGuessrTestSrc *self = GST_CITY_GUESSR_TEST_SRC (src);
  GstClockTime time, next;
  GstVideoFrame frame;
  gboolean drawn;

  if (GST_VIDEO_INFO_FORMAT (&self->info) == GST_VIDEO_FORMAT_UNKNOWN)
    goto not_negotiated;
  if (self->backwards && self->frame == G_MAXUINT64)
    return GST_FLOW_EOS;
  if (self->tags_due)
    push_tags (self);

  time = self->base + time_of_frame (self, self->frame);
  next = self->base + time_of_frame (self, self->frame + 1);
  if (!gst_video_frame_map (&frame, &self->info, buffer, GST_MAP_WRITE))
    goto not_writable;
  drawn = draw (self, &frame, time);
  gst_video_frame_unmap (&frame);
  if (!drawn)
    goto no_memory;

  GST_BUFFER_PTS (buffer) = time;
  GST_BUFFER_DTS (buffer) = GST_CLOCK_TIME_NONE;
  GST_BUFFER_DURATION (buffer) = self->info.fps_n > 0 ? next - time : GST_CLOCK_TIME_NONE;
  GST_BUFFER_OFFSET (buffer) = self->frame;
  GST_BUFFER_OFFSET_END (buffer) = self->frame + 1;
  self->frame += self->backwards ? -1 : 1; /* G_MAXUINT64 after the first one */
  return GST_FLOW_OK;

  /* ERRORS */
not_negotiated:
  GST_ELEMENT_ERROR (
      self, CORE, NEGOTIATION,
      ("What follows accepts none of the formats that the drawn world has. A videoconvert helps."),
      ("no caps"));
  return GST_FLOW_NOT_NEGOTIATED;
not_writable:
  GST_ELEMENT_ERROR (self, RESOURCE, WRITE, ("The memory for a picture cannot be written."),
                     ("gst_video_frame_map"));
  return GST_FLOW_ERROR;
no_memory:
  GST_ELEMENT_ERROR (
      self, RESOURCE, NO_SPACE_LEFT,
      ("There is no memory to draw a picture of %d x %d pixels. Smaller ones take less.",
       GST_VIDEO_INFO_WIDTH (&self->info), GST_VIDEO_INFO_HEIGHT (&self->info)),
      ("cg_world_draw"));
  return GST_FLOW_ERROR;
}

/* ---- properties ---- */

static void
gst_city_guessr_test_src_set_property (GObject *object, guint id, const GValue *value,
                                       GParamSpec *pspec)
{
  GstCityGuessrTestSrc *self = GST_CITY_GUESSR_TEST_SRC (object);

  GST_OBJECT_LOCK (self);
  switch (id) {
  case PROP_CITY:
    g_free (self->city);
    self->city = g_value_dup_string (value);
    break;
  case PROP_DRIVE:
    self->drive = g_value_get_uint64 (value);
    break;
  case PROP_POST_TRUTH:
    self->post_truth = g_value_get_boolean (value);
    break;
  case PROP_IS_LIVE:
    break;
  default:
    G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
  }
  GST_OBJECT_UNLOCK (self);
  if (id == PROP_IS_LIVE)
    gst_base_src_set_live (GST_BASE_SRC (self), g_value_get_boolean (value));
}

static void
gst_city_guessr_test_src_get_property (GObject *object, guint id, GValue *value, GParamSpec *pspec)
{
  GstCityGuessrTestSrc *self = GST_CITY_GUESSR_TEST_SRC (object);

  if (id == PROP_IS_LIVE) {
    g_value_set_boolean (value, gst_base_src_is_live (GST_BASE_SRC (self)));
    return;
  }
  GST_OBJECT_LOCK (self);
  switch (id) {
  case PROP_CITY:
    g_value_set_string (value, self->city);
    break;
  case PROP_DRIVE:
    g_value_set_uint64 (value, self->drive);
    break;
  case PROP_POST_TRUTH:
    g_value_set_boolean (value, self->post_truth);
    break;
  default:
    G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
  }
  GST_OBJECT_UNLOCK (self);
}

static void
gst_city_guessr_test_src_init (GstCityGuessrTestSrc *self)
{
  self->city = g_strdup (DEFAULT_CITY);
  self->drive = DEFAULT_DRIVE;
  self->post_truth = DEFAULT_POST_TRUTH;
  gst_video_info_init (&self->info);
  gst_base_src_set_format (GST_BASE_SRC (self), GST_FORMAT_TIME);
  gst_base_src_set_live (GST_BASE_SRC (self), DEFAULT_IS_LIVE);
}

static void
gst_city_guessr_test_src_finalize (GObject *object)
{
  g_free (GST_CITY_GUESSR_TEST_SRC (object)->city);
  G_OBJECT_CLASS (gst_city_guessr_test_src_parent_class)->finalize (object);
}

static void
gst_city_guessr_test_src_class_init (GstCityGuessrTestSrcClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);
  GstElementClass *element_class = GST_ELEMENT_CLASS (klass);
  GstBaseSrcClass *base_class = GST_BASE_SRC_CLASS (klass);
  const GParamFlags flags = G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS | GST_PARAM_MUTABLE_READY;

  GST_DEBUG_CATEGORY_INIT (city_guessr_test_src_debug, "cityguessrtestsrc", 0, "drawn drives");

  object_class->set_property = gst_city_guessr_test_src_set_property;
  object_class->get_property = gst_city_guessr_test_src_get_property;
  object_class->finalize = gst_city_guessr_test_src_finalize;
  g_object_class_install_property (
      object_class, PROP_CITY,
      g_param_spec_string ("city", "City",
                           "Where to drive, as “Mexico_City”, “Mexico City” or “Milano”; an "
                           "unknown name lists those that there are",
                           DEFAULT_CITY, flags));
  g_object_class_install_property (
      object_class, PROP_DRIVE,
      g_param_spec_uint64 ("drive", "Drive",
                           "Which drive through the city: street, weather, hour, season, traffic "
                           "and camera follow from it",
                           0, G_MAXUINT64, DEFAULT_DRIVE, flags));
  g_object_class_install_property (
      object_class, PROP_IS_LIVE,
      g_param_spec_boolean ("is-live", "Is live", "Give out pictures in real time, like a camera",
                            DEFAULT_IS_LIVE, flags));
  g_object_class_install_property (object_class, PROP_POST_TRUTH,
                                   g_param_spec_boolean ("post-truth", "Post truth",
                                                         "Tell the true place in geo tags",
                                                         DEFAULT_POST_TRUTH, flags));

  gst_element_class_set_static_metadata (element_class, "CityGuessr test source", "Source/Video",
                                         "Draws a drive through a street of a named city",
                                         "The CityGuessr for GStreamer authors");
  gst_element_class_add_static_pad_template (element_class, &src_template);

  base_class->start = gst_city_guessr_test_src_start;
  base_class->stop = gst_city_guessr_test_src_stop;
  base_class->fixate = gst_city_guessr_test_src_fixate;
  base_class->set_caps = gst_city_guessr_test_src_set_caps;
  base_class->decide_allocation = gst_city_guessr_test_src_decide_allocation;
  base_class->is_seekable = gst_city_guessr_test_src_is_seekable;
  base_class->do_seek = gst_city_guessr_test_src_do_seek;
  base_class->query = gst_city_guessr_test_src_query;
  base_class->get_times = gst_city_guessr_test_src_get_times;
  GST_PUSH_SRC_CLASS (klass)->fill = gst_city_guessr_test_src_fill;
}
