/**
 * SECTION:element-cityguessroverlay
 * @title: cityguessroverlay
 * @short_description: draws onto the video where in the world it was filmed
 *
 * A bin of two elements: `guess` (#cityguessr), which tells the place, and `caption` (#textoverlay),
 * which draws it at the bottom of the picture, in the words of #GstCityGuessr:caption-template.
 * Messages, metas, tags, times and errors are those of #cityguessr; see there.
 *
 * ## Properties
 *
 * The bin has every property of #cityguessr, under the same name. How the text looks is set on the
 * inner element, as in `caption::font-desc="Sans Bold 20"`, `caption::valignment=top`,
 * `caption::shaded-background=false` or `caption::silent=true`; its properties are those of
 * #textoverlay. The size of the text follows the width of the picture. The shade behind the text
 * is not drawn on P010 pictures, nor where the sink blends the text itself; its outline is. With
 * #GstCityGuessr:caption-timing=window nothing is drawn: such captions come a window late.
 *
 * ## Formats
 *
 * Pictures are not converted: the bin takes the formats of #cityguessr (those of nearly all
 * decoders) and gives out what it took. Put a `videoconvert` before it for a source of other formats
 * (a camera that gives YUY2), and behind it for a sink that shows others; where nothing is to be
 * converted, it passes pictures on untouched. Pictures without a timestamp cannot be matched with a
 * text, and are dropped.
 *
 * ## Presets
 *
 * `live` answers early and often, and leaves windows out rather than fall behind; `archive` answers
 * every window of a file, down to the shortest file, with the same arithmetic on every machine.
 * Programs load them with gst_preset_load_preset(); #cityguessr has them too.
 *
 * ## Example launch lines
 * |[
 * gst-launch-1.0 filesrc location=dashcam.mp4 ! decodebin ! cityguessroverlay ! videoconvert ! autovideosink
 * ]| Shows a file with its places. The model is named by the environment variable CITYGUESSR_MODEL.
 * |[
 * gst-launch-1.0 v4l2src ! videoconvert ! cityguessroverlay early-results=true ! videoconvert ! autovideosink
 * ]| The same for a camera, with a first answer before a whole window has been seen.
 * |[
 * gst-launch-1.0 filesrc location=dashcam.mp4 ! decodebin ! cityguessroverlay caption-template="{country}" caption::valignment=top ! videoconvert ! jpegenc ! matroskamux ! filesink location=places.mkv
 * ]| Writes a file with the country at the top of the picture.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "gstcityguessroverlay.h"

#include "frame.h"
#include "gstcityguessr.h"
#include "outputs.h"

GST_DEBUG_CATEGORY_STATIC (city_guessr_overlay_debug);
#define GST_CAT_DEFAULT city_guessr_overlay_debug

#define DRAWER "textoverlay"
#define DRAWER_PACKAGE "gstreamer1.0-x" /* of Debian 12 and 13, which holds the plugin "pango" */

/* The element's look. Held to its measure by tests/pipelines/test_overlay.py. The font is of a
 * picture 640 wide, and follows the width. A shade of 160 leaves white at most at 95 of 255, against
 * which white text has a contrast of 6. The place is relative, so that margins follow the size too. */
static const struct {
  const gchar *name, *value;
} look[] = {
  { "font-desc", "Sans Bold 14" }, { "shaded-background", "true" }, { "shading-value", "160" },
  { "valignment", "absolute" },    { "y-absolute", "0.95" },
};

struct _GstCityGuessrOverlay {
  GstBin parent;

  GstElement *guess;   /* as long as the bin */
  GstElement *caption; /* the same; NULL while there is no such element */
  GstPad *src;         /* borrowed */
  gint backwards;      /* atomic: the segment is played backwards */
};

/* GstPreset needs no functions of its own: the default ones save and load what is writable. */
G_DEFINE_TYPE_WITH_CODE (GstCityGuessrOverlay, gst_city_guessr_overlay, GST_TYPE_BIN,
                         G_IMPLEMENT_INTERFACE (GST_TYPE_PRESET, NULL))
GST_ELEMENT_REGISTER_DEFINE (cityguessroverlay, "cityguessroverlay", GST_RANK_NONE,
                             GST_TYPE_CITY_GUESSR_OVERLAY)

static GstStaticPadTemplate sink_template = GST_STATIC_PAD_TEMPLATE (
    "sink", GST_PAD_SINK, GST_PAD_ALWAYS, GST_STATIC_CAPS (GST_CITY_GUESSR_SYSTEM_CAPS));
static GstStaticPadTemplate src_template = GST_STATIC_PAD_TEMPLATE (
    "src", GST_PAD_SRC, GST_PAD_ALWAYS, GST_STATIC_CAPS (GST_CITY_GUESSR_SYSTEM_CAPS));

/* ---- the two inside ---- */

/* textoverlay sends what comes from downstream (seeks, QoS) to both its sink pads, and both lead to
 * the same source: once is enough. RECONFIGURE alone is about the pad itself. */
static GstPadProbeReturn
drop_second_event (GstPad *pad, GstPadProbeInfo *info, gpointer user_data)
{
  if (GST_EVENT_TYPE (GST_PAD_PROBE_INFO_EVENT (info)) == GST_EVENT_RECONFIGURE)
    return GST_PAD_PROBE_OK;
  return GST_PAD_PROBE_DROP;
}

/* Every picture waits for the caption that belongs to it, which comes through a thread of its own:
 * else pictures that come faster than they are shown, as when a file is converted, would overtake
 * their captions. It is never long in coming, because the text pad speaks for each picture, if only
 * to say that there is nothing to say. The two exceptions are here: nothing is said of video that
 * is played backwards, and captions that are timed by windows come when it is too late to draw them. */
static gboolean
should_wait (GstCityGuessrOverlay *self)
{
  GstCityGuessrCaptionTiming timing;

  g_object_get (self->guess, "caption-timing", &timing, NULL);
  return timing == GST_CITY_GUESSR_CAPTION_VIDEO && !g_atomic_int_get (&self->backwards);
}

/* Any thread, whenever what decides has changed. */
static void
update_waiting (GstCityGuessrOverlay *self)
{
  gboolean wait;

  do {
    wait = should_wait (self);
    g_object_set (self->caption, "wait-text", wait, NULL);
  } while (wait != should_wait (self)); /* another thread was faster: the last one is right */
}

static GstPadProbeReturn
look_at_segment (GstPad *pad, GstPadProbeInfo *info, gpointer user_data)
{
  GstCityGuessrOverlay *self = user_data;
  GstEvent *event = GST_PAD_PROBE_INFO_EVENT (info);
  const GstSegment *segment;

  if (GST_EVENT_TYPE (event) != GST_EVENT_SEGMENT)
    return GST_PAD_PROBE_OK;
  gst_event_parse_segment (event, &segment);
  if (g_atomic_int_exchange (&self->backwards, segment->rate < 0) != (segment->rate < 0))
    update_waiting (self);
  return GST_PAD_PROBE_OK;
}

static gboolean
add_caption (GstCityGuessrOverlay *self)
{
  GstElement *caption = gst_element_factory_make (DRAWER, "caption");
  g_autoptr (GstPad) text_sink = NULL;
  g_autoptr (GstPad) video_sink = NULL;
  g_autoptr (GstPad) src = NULL;

  if (caption == NULL)
    return FALSE;
  self->caption = gst_object_ref_sink (caption);
  for (guint i = 0; i < G_N_ELEMENTS (look); i++)
    gst_util_set_object_arg (G_OBJECT (caption), look[i].name, look[i].value);
  update_waiting (self);
  gst_bin_add (GST_BIN (self), caption);

  if (!gst_element_link_pads (self->guess, "src", caption, "video_sink") ||
      !gst_element_link_pads (self->guess, GST_CITY_GUESSR_TEXT_PAD, caption, "text_sink"))
    GST_ERROR_OBJECT (self, "the two elements inside cannot be linked");
  text_sink = gst_element_get_static_pad (caption, "text_sink");
  gst_pad_add_probe (text_sink, GST_PAD_PROBE_TYPE_EVENT_UPSTREAM, drop_second_event, NULL, NULL);
  video_sink = gst_element_get_static_pad (caption, "video_sink");
  gst_pad_add_probe (video_sink, GST_PAD_PROBE_TYPE_EVENT_DOWNSTREAM, look_at_segment, self, NULL);
  src = gst_element_get_static_pad (caption, "src");
  return gst_ghost_pad_set_target (GST_GHOST_PAD (self->src), src);
}

static GstPad *
add_pad (GstCityGuessrOverlay *self, GstStaticPadTemplate *template)
{
  g_autoptr (GstPadTemplate) shared = gst_static_pad_template_get (template);
  GstPad *pad = gst_ghost_pad_new_no_target_from_template (shared->name_template, shared);

  gst_element_add_pad (GST_ELEMENT (self), pad);
  return pad;
}

static void
gst_city_guessr_overlay_init (GstCityGuessrOverlay *self)
{
  g_autoptr (GstPad) target = NULL;
  GstPad *sink = add_pad (self, &sink_template);

  self->src = add_pad (self, &src_template);
  /* By its type: in a static build the bin may be registered alone. */
  self->guess = gst_object_ref_sink (g_object_new (GST_TYPE_CITY_GUESSR, "name", "guess", NULL));
  gst_bin_add (GST_BIN (self), self->guess);
  target = gst_element_get_static_pad (self->guess, "sink");
  gst_ghost_pad_set_target (GST_GHOST_PAD (sink), target);
  add_caption (self);
}

static void
gst_city_guessr_overlay_finalize (GObject *object)
{
  GstCityGuessrOverlay *self = GST_CITY_GUESSR_OVERLAY (object);

  g_clear_pointer (&self->caption, gst_object_unref);
  g_clear_pointer (&self->guess, gst_object_unref);
  G_OBJECT_CLASS (gst_city_guessr_overlay_parent_class)->finalize (object);
}

/* ---- states ---- */

/* As gst_missing_element_message_new() of pbutils makes it, for programs that offer to install. */
static void
post_missing (GstCityGuessrOverlay *self)
{
  GstStructure *missing = gst_structure_new ("missing-plugin", "type", G_TYPE_STRING, "element",
                                             "detail", G_TYPE_STRING, DRAWER, "name", G_TYPE_STRING,
                                             "GStreamer element " DRAWER, NULL);

  gst_element_post_message (GST_ELEMENT (self),
                            gst_message_new_element (GST_OBJECT (self), missing));
  GST_ELEMENT_ERROR (self, CORE, MISSING_PLUGIN,
                     ("There is nothing to draw the text with: GStreamer has no element “" DRAWER
                      "”. It belongs to the plugin “pango”; Debian and Ubuntu have it in the "
                      "package " DRAWER_PACKAGE "."),
                     ("no element " DRAWER));
}

static GstStateChangeReturn
gst_city_guessr_overlay_change_state (GstElement *element, GstStateChange transition)
{
  GstCityGuessrOverlay *self = GST_CITY_GUESSR_OVERLAY (element);

  /* Once more, because the message below may have led to its being installed. */
  if (transition == GST_STATE_CHANGE_NULL_TO_READY && self->caption == NULL &&
      !add_caption (self)) {
    post_missing (self);
    return GST_STATE_CHANGE_FAILURE;
  }
  return GST_ELEMENT_CLASS (gst_city_guessr_overlay_parent_class)
      ->change_state (element, transition);
}

/* ---- properties: those of the element inside ---- */

static void
gst_city_guessr_overlay_set_property (GObject *object, guint id, const GValue *value,
                                      GParamSpec *pspec)
{
  GstCityGuessrOverlay *self = GST_CITY_GUESSR_OVERLAY (object);

  /* Before there may be nothing left to wait for; the notification sets it right. */
  if (self->caption != NULL && g_str_equal (pspec->name, "caption-timing"))
    g_object_set (self->caption, "wait-text", FALSE, NULL);
  g_object_set_property (G_OBJECT (self->guess), pspec->name, value);
}

static void
gst_city_guessr_overlay_get_property (GObject *object, guint id, GValue *value, GParamSpec *pspec)
{
  g_object_get_property (G_OBJECT (GST_CITY_GUESSR_OVERLAY (object)->guess), pspec->name, value);
}

static void
gst_city_guessr_overlay_deep_notify (GstObject *object, GstObject *origin, GParamSpec *pspec)
{
  GstCityGuessrOverlay *self = GST_CITY_GUESSR_OVERLAY (object);
  GParamSpec *own = g_object_class_find_property (G_OBJECT_GET_CLASS (object), pspec->name);

  if (origin != GST_OBJECT_CAST (self->guess) || own == NULL ||
      own->owner_type != GST_TYPE_CITY_GUESSR_OVERLAY)
    return;
  if (self->caption != NULL && g_str_equal (pspec->name, "caption-timing"))
    update_waiting (self);
  g_object_notify_by_pspec (G_OBJECT (object), own);
}

/* Returns: (transfer floating): a property that is the same in all but its owner; NULL if its type
 * is none of those that elements have. */
static GParamSpec *
copy_param_spec (GParamSpec *spec)
{
  const gchar *name = spec->name, *nick = g_param_spec_get_nick (spec);
  const gchar *blurb = g_param_spec_get_blurb (spec);
  GParamFlags flags = spec->flags;

  if (G_IS_PARAM_SPEC_BOOLEAN (spec))
    return g_param_spec_boolean (name, nick, blurb, G_PARAM_SPEC_BOOLEAN (spec)->default_value,
                                 flags);
  if (G_IS_PARAM_SPEC_INT (spec)) {
    GParamSpecInt *s = G_PARAM_SPEC_INT (spec);
    return g_param_spec_int (name, nick, blurb, s->minimum, s->maximum, s->default_value, flags);
  }
  if (G_IS_PARAM_SPEC_UINT (spec)) {
    GParamSpecUInt *s = G_PARAM_SPEC_UINT (spec);
    return g_param_spec_uint (name, nick, blurb, s->minimum, s->maximum, s->default_value, flags);
  }
  if (G_IS_PARAM_SPEC_UINT64 (spec)) {
    GParamSpecUInt64 *s = G_PARAM_SPEC_UINT64 (spec);
    return g_param_spec_uint64 (name, nick, blurb, s->minimum, s->maximum, s->default_value, flags);
  }
  if (G_IS_PARAM_SPEC_DOUBLE (spec)) {
    GParamSpecDouble *s = G_PARAM_SPEC_DOUBLE (spec);
    return g_param_spec_double (name, nick, blurb, s->minimum, s->maximum, s->default_value, flags);
  }
  if (G_IS_PARAM_SPEC_ENUM (spec))
    return g_param_spec_enum (name, nick, blurb, spec->value_type,
                              G_PARAM_SPEC_ENUM (spec)->default_value, flags);
  if (G_IS_PARAM_SPEC_STRING (spec))
    return g_param_spec_string (name, nick, blurb, G_PARAM_SPEC_STRING (spec)->default_value,
                                flags);
  if (G_IS_PARAM_SPEC_BOXED (spec))
    return g_param_spec_boxed (name, nick, blurb, spec->value_type, flags);
  return NULL;
}

static void
install_properties (GObjectClass *klass)
{
  /* Never given back: the names and texts of the copies are the originals'. */
  GObjectClass *inner = g_type_class_ref (GST_TYPE_CITY_GUESSR);
  guint n, id = 0;
  g_autofree GParamSpec **specs = g_object_class_list_properties (inner, &n);

  for (guint i = 0; i < n; i++) {
    GParamSpec *copy;

    if (specs[i]->owner_type != GST_TYPE_CITY_GUESSR)
      continue;
    copy = copy_param_spec (specs[i]);
    if (copy != NULL)
      g_object_class_install_property (klass, ++id, copy);
    else
      GST_ERROR ("the property %s is of the unknown kind %s", specs[i]->name,
                 G_PARAM_SPEC_TYPE_NAME (specs[i]));
  }
}

static void
gst_city_guessr_overlay_class_init (GstCityGuessrOverlayClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);
  GstElementClass *element_class = GST_ELEMENT_CLASS (klass);

  GST_DEBUG_CATEGORY_INIT (city_guessr_overlay_debug, "cityguessroverlay", 0, "CityGuessr overlay");

  object_class->set_property = gst_city_guessr_overlay_set_property;
  object_class->get_property = gst_city_guessr_overlay_get_property;
  object_class->finalize = gst_city_guessr_overlay_finalize;
  GST_OBJECT_CLASS (klass)->deep_notify = gst_city_guessr_overlay_deep_notify;
  install_properties (object_class);

  element_class->change_state = gst_city_guessr_overlay_change_state;
  gst_element_class_set_static_metadata (
      element_class, "CityGuessr overlay", "Filter/Analyzer/Editor/Video",
      "Draws onto the video the city, state, country and continent where it was filmed",
      "The CityGuessr for GStreamer authors");
  gst_element_class_add_static_pad_template (element_class, &sink_template);
  gst_element_class_add_static_pad_template (element_class, &src_template);
}
