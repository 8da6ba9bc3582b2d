/* An element with request pads and who reads them: see outputs-fixture.h.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "outputs-fixture.h"

/* ---- the element ---- */

typedef struct {
  GstElementClass parent_class;
} TestGuessrClass;

G_DEFINE_TYPE (TestGuessr, test_guessr, GST_TYPE_ELEMENT)

static GstStaticPadTemplate sink_template =
    GST_STATIC_PAD_TEMPLATE ("sink", GST_PAD_SINK, GST_PAD_ALWAYS, GST_STATIC_CAPS_ANY);
static GstStaticPadTemplate src_template =
    GST_STATIC_PAD_TEMPLATE ("src", GST_PAD_SRC, GST_PAD_ALWAYS, GST_STATIC_CAPS_ANY);

GstStructure *
answer_new (const gchar *city, GstClockTime start, GstClockTime duration)
{
  GstStructure *place = gst_structure_new ("place", "city-confidence", G_TYPE_DOUBLE, 0.5, NULL);
  GstStructure *answer = gst_structure_new (
      "cityguessr", "timestamp", G_TYPE_UINT64, start, "stream-time", G_TYPE_UINT64, start,
      "running-time", G_TYPE_UINT64, start, "duration", G_TYPE_UINT64, duration, NULL);

  if (city) {
    gst_structure_set (place, "city", G_TYPE_STRING, city, NULL);
    gst_structure_set (answer, "city", G_TYPE_STRING, city, NULL);
  }
  gst_structure_set (answer, "tracked", GST_TYPE_STRUCTURE, place, NULL);
  gst_structure_free (place);
  return answer;
}

static void
give_answer (GstCityGuessrOutputs *outputs, const gchar *city, guint start_ms, guint duration_ms)
{
  g_autoptr (GstStructure) answer =
      answer_new (city, start_ms * GST_MSECOND, duration_ms * GST_MSECOND);

  gst_city_guessr_outputs_answer (outputs, answer);
}

/* "A", "B", "A", …: from frame `answer_every` on. */
static GstFlowReturn
test_guessr_chain (GstPad *pad, GstObject *parent, GstBuffer *buffer)
{
  TestGuessr *self = (TestGuessr *)parent;
  GstFlowReturn flow;

  if (self->answer_every && self->frames && self->frames % self->answer_every == 0) {
    g_autoptr (GstStructure) answer =
        answer_new (self->frames / self->answer_every % 2 ? "A" : "B", GST_BUFFER_PTS (buffer), 0);

    gst_structure_remove_field (answer, "running-time");
    gst_city_guessr_outputs_answer (self->outputs, answer);
  }
  self->frames++;
  gst_city_guessr_outputs_advance (self->outputs, GST_BUFFER_PTS (buffer));
  flow = gst_city_guessr_outputs_get_flow (self->outputs);
  if (flow == GST_FLOW_OK)
    return gst_pad_push (self->src, buffer);
  gst_buffer_unref (buffer);
  return flow;
}

static gboolean
test_guessr_event (GstPad *pad, GstObject *parent, GstEvent *event)
{
  TestGuessr *self = (TestGuessr *)parent;

  if (GST_EVENT_TYPE (event) == GST_EVENT_FLUSH_STOP)
    self->frames = 0;
  gst_city_guessr_outputs_event (self->outputs, event);
  return gst_pad_push_event (self->src, event);
}

/* Video goes through, whatever other pads there are. */
static GstIterator *
test_guessr_links (GstPad *pad, GstObject *parent)
{
  TestGuessr *self = (TestGuessr *)parent;
  GValue other = G_VALUE_INIT;
  GstIterator *links;

  g_value_init (&other, GST_TYPE_PAD);
  g_value_set_object (&other, pad == self->sink ? self->src : self->sink);
  links = gst_iterator_new_single (GST_TYPE_PAD, &other);
  g_value_unset (&other);
  return links;
}

static GstStateChangeReturn
test_guessr_change_state (GstElement *element, GstStateChange transition)
{
  TestGuessr *self = (TestGuessr *)element;
  GstStateChangeReturn result;

  if (transition == GST_STATE_CHANGE_READY_TO_PAUSED) {
    self->frames = 0;
    gst_city_guessr_outputs_start (self->outputs, STEP);
  }
  result = GST_ELEMENT_CLASS (test_guessr_parent_class)->change_state (element, transition);
  if (transition == GST_STATE_CHANGE_PAUSED_TO_READY)
    gst_city_guessr_outputs_stop (self->outputs);
  return result;
}

static GstPad *
test_guessr_request (GstElement *element, GstPadTemplate *templ, const gchar *name,
                     const GstCaps *caps)
{
  return gst_city_guessr_outputs_request_pad (((TestGuessr *)element)->outputs, templ, name);
}

static void
test_guessr_release (GstElement *element, GstPad *pad)
{
  gst_city_guessr_outputs_release_pad (((TestGuessr *)element)->outputs, pad);
}

GstCityGuessrCaption *
caption_new (const gchar *text)
{
  g_autoptr (GError) error = NULL;
  GstCityGuessrCaption *caption = gst_city_guessr_caption_new (text, &error);

  fail_unless (caption != NULL, "%s: %s", text, error ? error->message : "");
  return caption;
}

static void
test_guessr_init (TestGuessr *self)
{
  self->sink = gst_pad_new_from_static_template (&sink_template, "sink");
  self->src = gst_pad_new_from_static_template (&src_template, "src");
  gst_pad_set_chain_function (self->sink, test_guessr_chain);
  gst_pad_set_event_function (self->sink, test_guessr_event);
  gst_pad_set_iterate_internal_links_function (self->sink, test_guessr_links);
  gst_pad_set_iterate_internal_links_function (self->src, test_guessr_links);
  GST_PAD_SET_PROXY_CAPS (self->sink);
  GST_PAD_SET_PROXY_CAPS (self->src);
  gst_element_add_pad (GST_ELEMENT (self), self->sink);
  gst_element_add_pad (GST_ELEMENT (self), self->src);
  self->outputs = gst_city_guessr_outputs_new (GST_ELEMENT (self));
  gst_city_guessr_outputs_set_caption (self->outputs, caption_new ("[{city}]"));
}

static void
test_guessr_finalize (GObject *object)
{
  gst_city_guessr_outputs_free (((TestGuessr *)object)->outputs);
  G_OBJECT_CLASS (test_guessr_parent_class)->finalize (object);
}

static void
test_guessr_class_init (TestGuessrClass *klass)
{
  GstElementClass *element_class = GST_ELEMENT_CLASS (klass);

  G_OBJECT_CLASS (klass)->finalize = test_guessr_finalize;
  element_class->change_state = test_guessr_change_state;
  element_class->request_new_pad = test_guessr_request;
  element_class->release_pad = test_guessr_release;
  gst_element_class_set_static_metadata (element_class, "Test", "Test", "Test", "Test");
  gst_element_class_add_static_pad_template (element_class, &sink_template);
  gst_element_class_add_static_pad_template (element_class, &src_template);
  gst_city_guessr_outputs_add_templates (element_class);
}

/* ---- the reader ---- */

gint64
deadline (void)
{
  return g_get_monotonic_time () + WAIT_SECONDS * G_TIME_SPAN_SECOND;
}

gchar *
ms (GstClockTime time)
{
  if (!GST_CLOCK_TIME_IS_VALID (time))
    return g_strdup ("none");
  if (time % GST_MSECOND == 0)
    return g_strdup_printf ("%" G_GUINT64_FORMAT, time / GST_MSECOND);
  return g_strdup_printf ("%" G_GUINT64_FORMAT "ns", time);
}

static void G_GNUC_PRINTF (2, 3) write_line (Reader *reader, const gchar *format, ...)
{
  va_list args;

  va_start (args, format);
  g_string_append_vprintf (reader->log, format, args);
  va_end (args);
  g_string_append_c (reader->log, '\n');
  reader->gap_end = GST_CLOCK_TIME_NONE;
  g_cond_broadcast (&reader->changed);
}

static void
write_gap (Reader *reader, GstClockTime start, GstClockTime duration)
{
  g_autofree gchar *from = NULL, *length = NULL;

  if (GST_CLOCK_TIME_IS_VALID (reader->gap_end) && reader->gap_end == start) {
    g_string_truncate (reader->log, reader->gap_line);
    start = reader->gap_start;
    duration += reader->gap_end - start;
  }
  reader->gap_line = reader->log->len;
  from = ms (start);
  length = ms (duration);
  write_line (reader, "gap %s+%s", from, length);
  reader->gap_start = start;
  reader->gap_end = GST_CLOCK_TIME_IS_VALID (duration) ? start + duration : duration;
}

/* With the lock held. */
static void
wait_while_blocked (Reader *reader)
{
  reader->blocked = reader->block && !reader->flushing;
  g_cond_broadcast (&reader->changed);
  while (reader->block && !reader->flushing && !reader->stopped)
    g_cond_wait (&reader->changed, &reader->lock);
  reader->blocked = FALSE;
}

static GstFlowReturn
reader_chain (GstPad *pad, GstObject *parent, GstBuffer *buffer)
{
  Reader *reader = gst_pad_get_element_private (pad);
  g_autofree gchar *pts = ms (GST_BUFFER_PTS (buffer)), *length = ms (GST_BUFFER_DURATION (buffer));
  const gchar *star = GST_BUFFER_FLAG_IS_SET (buffer, GST_BUFFER_FLAG_DISCONT) ? "*" : "";
  GstFlowReturn flow;
  GstMapInfo map;

  fail_unless (GST_BUFFER_PTS_IS_VALID (buffer));
  gst_buffer_map (buffer, &map, GST_MAP_READ);
  g_mutex_lock (&reader->lock);
  fail_if (GST_CLOCK_TIME_IS_VALID (reader->mark), "no GAP marked the end of the last item");
  reader->texts++;
  g_free (reader->last);
  reader->last = g_strndup ((const char *)map.data, map.size);
  if (map.size > 0 && map.data[map.size - 1] == '\n')
    write_line (reader, "line%s %s", star, pts);
  else
    write_line (reader, "text%s %s+%s %.*s", star, pts, length, (int)map.size,
                (const char *)map.data);
  wait_while_blocked (reader);
  flow = reader->flushing ? GST_FLOW_FLUSHING : reader->flow;
  reader->mark = GST_CLOCK_TIME_NONE;
  if (flow == GST_FLOW_OK && GST_BUFFER_DURATION_IS_VALID (buffer))
    reader->mark = GST_BUFFER_PTS (buffer) + GST_BUFFER_DURATION (buffer);
  g_mutex_unlock (&reader->lock);
  gst_buffer_unmap (buffer, &map);
  gst_buffer_unref (buffer);
  return flow;
}

static void
write_event (Reader *reader, GstEvent *event)
{
  GstClockTime start, duration;
  const GstSegment *segment;
  GstStreamFlags flags;
  g_autofree gchar *time = NULL;
  const gchar *id;
  GstCaps *caps;
  guint group;

  switch (GST_EVENT_TYPE (event)) {
  case GST_EVENT_STREAM_START:
    gst_event_parse_stream_start (event, &id);
    gst_event_parse_stream_flags (event, &flags);
    if (!gst_event_parse_group_id (event, &group))
      group = 0;
    write_line (reader, "stream-start %s %u%s", id, group,
                flags & GST_STREAM_FLAG_SPARSE ? " sparse" : "");
    break;
  case GST_EVENT_CAPS:
    gst_event_parse_caps (event, &caps);
    id = gst_structure_get_string (gst_caps_get_structure (caps, 0), "format");
    write_line (reader, "caps %s%s%s", gst_structure_get_name (gst_caps_get_structure (caps, 0)),
                id ? " " : "", id ? id : "");
    break;
  case GST_EVENT_SEGMENT:
    gst_event_parse_segment (event, &segment);
    time = ms (segment->start);
    write_line (reader, "segment %s %g", time, segment->rate);
    break;
  case GST_EVENT_GAP:
    gst_event_parse_gap (event, &start, &duration);
    if (!GST_CLOCK_TIME_IS_VALID (reader->mark)) {
      write_gap (reader, start, duration);
      wait_while_blocked (reader);
      if (!reader->flushing && duration > 0 && GST_CLOCK_TIME_IS_VALID (duration))
        reader->mark = start + duration;
      break;
    }
    fail_unless_equals_uint64 (start, reader->mark);
    fail_unless_equals_uint64 (duration, 0);
    reader->mark = GST_CLOCK_TIME_NONE;
    g_cond_broadcast (&reader->changed);
    break;
  default:
    write_line (reader, "%s", GST_EVENT_TYPE_NAME (event));
  }
}

static gboolean
reader_event (GstPad *pad, GstObject *parent, GstEvent *event)
{
  Reader *reader = gst_pad_get_element_private (pad);

  g_mutex_lock (&reader->lock);
  if (GST_EVENT_TYPE (event) == GST_EVENT_FLUSH_START)
    reader->flushing = TRUE;
  if (GST_EVENT_TYPE (event) == GST_EVENT_FLUSH_START ||
      GST_EVENT_TYPE (event) == GST_EVENT_SEGMENT)
    reader->mark = GST_CLOCK_TIME_NONE;
  else if (GST_EVENT_TYPE (event) == GST_EVENT_FLUSH_STOP)
    reader->flushing = FALSE;
  write_event (reader, event);
  g_mutex_unlock (&reader->lock);
  gst_event_unref (event);
  return TRUE;
}

static gboolean
reader_query (GstPad *pad, GstObject *parent, GstQuery *query)
{
  Reader *reader = gst_pad_get_element_private (pad);
  GstCaps *caps;

  if (GST_QUERY_TYPE (query) != GST_QUERY_CAPS)
    return gst_pad_query_default (pad, parent, query);
  g_mutex_lock (&reader->lock);
  caps = gst_caps_ref (reader->caps);
  g_mutex_unlock (&reader->lock);
  gst_query_set_caps_result (query, caps);
  gst_caps_unref (caps);
  return TRUE;
}

void
reader_set_caps (Reader *reader, const gchar *caps)
{
  g_mutex_lock (&reader->lock);
  gst_clear_caps (&reader->caps);
  reader->caps = gst_caps_from_string (caps);
  g_mutex_unlock (&reader->lock);
}

void
reader_init (Reader *reader, const gchar *caps)
{
  memset (reader, 0, sizeof *reader);
  g_mutex_init (&reader->lock);
  g_cond_init (&reader->changed);
  reader->log = g_string_new (NULL);
  reader->gap_end = reader->mark = GST_CLOCK_TIME_NONE;
  reader_set_caps (reader, caps);
  reader->pad = gst_pad_new ("reader", GST_PAD_SINK);
  gst_pad_set_element_private (reader->pad, reader);
  gst_pad_set_chain_function (reader->pad, reader_chain);
  gst_pad_set_event_function (reader->pad, reader_event);
  gst_pad_set_query_function (reader->pad, reader_query);
  gst_pad_set_active (reader->pad, TRUE);
}

void
reader_set_block (Reader *reader, gboolean block)
{
  g_mutex_lock (&reader->lock);
  reader->block = block;
  g_cond_broadcast (&reader->changed);
  g_mutex_unlock (&reader->lock);
}

void
reader_clear (Reader *reader)
{
  gint64 end = deadline ();
  GstPad *peer;

  if (reader->pad == NULL)
    return;
  g_mutex_lock (&reader->lock);
  reader->stopped = TRUE;
  g_cond_broadcast (&reader->changed);
  g_mutex_unlock (&reader->lock);
  peer = gst_pad_get_peer (reader->pad);
  if (peer)
    gst_pad_unlink (peer, reader->pad);
  gst_clear_object (&peer);
  gst_pad_set_active (reader->pad, FALSE);
  while (GST_OBJECT_REFCOUNT_VALUE (reader->pad) > 1 && g_get_monotonic_time () < end)
    g_usleep (500);
  ASSERT_OBJECT_REFCOUNT (reader->pad, "reader", 1);
  gst_clear_object (&reader->pad);
  gst_clear_caps (&reader->caps);
  g_string_free (reader->log, TRUE);
  g_free (reader->last);
  g_mutex_clear (&reader->lock);
  g_cond_clear (&reader->changed);
}

/* With the lock held: whether it is all, the last item's end too. */
static gboolean
has_read (const Reader *reader, const gchar *expected)
{
  return strcmp (reader->log->str, expected) == 0 && !GST_CLOCK_TIME_IS_VALID (reader->mark);
}

void
expect_log (Reader *reader, const gchar *expected)
{
  gint64 end = deadline ();

  g_mutex_lock (&reader->lock);
  while (!has_read (reader, expected) && reader->log->len <= strlen (expected) + 64 &&
         g_cond_wait_until (&reader->changed, &reader->lock, end))
    continue;
  fail_unless (has_read (reader, expected), "expected:\n%s\nread:\n%s", expected, reader->log->str);
  g_string_truncate (reader->log, 0);
  reader->gap_end = GST_CLOCK_TIME_NONE;
  g_mutex_unlock (&reader->lock);
}

void
expect_in_log (Reader *reader, const gchar *text)
{
  gint64 end = deadline ();

  g_mutex_lock (&reader->lock);
  while (strstr (reader->log->str, text) == NULL &&
         g_cond_wait_until (&reader->changed, &reader->lock, end))
    continue;
  fail_unless (strstr (reader->log->str, text) != NULL, "no “%s” in:\n%s", text, reader->log->str);
  g_mutex_unlock (&reader->lock);
}

void
wait_until_blocked (Reader *reader)
{
  gint64 end = deadline ();

  g_mutex_lock (&reader->lock);
  while (!reader->blocked && g_cond_wait_until (&reader->changed, &reader->lock, end))
    continue;
  fail_unless (reader->blocked, "the reader got nothing to hold back:\n%s", reader->log->str);
  g_mutex_unlock (&reader->lock);
}

/* ---- the bench ---- */

void
send_event (Bench *bench, GstEvent *event)
{
  gst_city_guessr_outputs_event (bench->outputs, event);
  gst_event_unref (event);
}

GstEvent *
stream_start_new (const gchar *id)
{
  GstEvent *event = gst_event_new_stream_start (id);

  gst_event_set_group_id (event, 7);
  return event;
}

void
send_segment (Bench *bench, guint start_ms, GstClockTime stop, gdouble rate)
{
  GstSegment segment;

  gst_segment_init (&segment, GST_FORMAT_TIME);
  segment.start = segment.time = segment.base = start_ms * GST_MSECOND;
  segment.stop = stop;
  segment.rate = rate;
  send_event (bench, gst_event_new_segment (&segment));
}

void
frames (Bench *bench, guint from_ms, guint to_ms)
{
  for (guint t = from_ms; t < to_ms; t += FRAME_MS)
    gst_city_guessr_outputs_advance (bench->outputs, t * GST_MSECOND);
}

void
answer (Bench *bench, const gchar *city, guint start_ms, guint duration_ms)
{
  give_answer (bench->outputs, city, start_ms, duration_ms);
}

void
forget (Bench *bench)
{
  gst_city_guessr_outputs_forget (bench->outputs);
}

GstPad *
request (Bench *bench, const gchar *name)
{
  GstPad *pad = gst_element_request_pad_simple (bench->element, name);

  fail_unless (pad != NULL, "no pad %s", name);
  gst_object_unref (pad); /* the element holds it */
  return pad;
}

void
open_text (Bench *bench, const gchar *caps)
{
  reader_init (&bench->text, caps);
  bench->text_src = request (bench, "text_src");
  fail_unless_equals_int (gst_pad_link (bench->text_src, bench->text.pad), GST_PAD_LINK_OK);
}

void
open_json (Bench *bench)
{
  reader_init (&bench->json, JSON);
  bench->json_src = request (bench, "json_src");
  fail_unless_equals_int (gst_pad_link (bench->json_src, bench->json.pad), GST_PAD_LINK_OK);
}

void
begin_stream (Bench *bench)
{
  send_event (bench, stream_start_new ("video"));
  send_segment (bench, 0, GST_CLOCK_TIME_NONE, 1);
}

/* Others hold what they tell of. */
static GstBusSyncReply
keep_failures (GstBus *bus, GstMessage *message, gpointer unused)
{
  if (GST_MESSAGE_TYPE (message) & (GST_MESSAGE_ERROR | GST_MESSAGE_WARNING))
    return GST_BUS_PASS;
  gst_message_unref (message);
  return GST_BUS_DROP;
}

void
bench_init (Bench *bench)
{
  memset (bench, 0, sizeof *bench);
  bench->element = gst_object_ref_sink (g_object_new (test_guessr_get_type (), NULL));
  bench->outputs = ((TestGuessr *)bench->element)->outputs;
  bench->bus = gst_bus_new ();
  gst_bus_set_sync_handler (bench->bus, keep_failures, NULL, NULL);
  gst_element_set_bus (bench->element, bench->bus);
  fail_unless_equals_int (gst_element_set_state (bench->element, GST_STATE_PLAYING),
                          GST_STATE_CHANGE_SUCCESS);
}

void
bench_begin (Bench *bench)
{
  bench_init (bench);
  open_text (bench, UTF8);
  begin_stream (bench);
}

void
release (Bench *bench, GstPad **pad)
{
  gst_element_release_request_pad (bench->element, *pad);
  *pad = NULL;
}

GstMessage *
take_message (Bench *bench)
{
  return gst_bus_pop_filtered (bench->bus, GST_MESSAGE_ERROR | GST_MESSAGE_WARNING);
}

gchar *
describe (GstMessage *message)
{
  return message ? gst_structure_to_string (gst_message_get_structure (message)) : NULL;
}

void
expect_message (Bench *bench, GstMessageType type, const gchar *text)
{
  GstMessage *message = gst_bus_timed_pop_filtered (bench->bus, WAIT_SECONDS * GST_SECOND,
                                                    GST_MESSAGE_ERROR | GST_MESSAGE_WARNING);
  g_autofree gchar *debug = NULL;
  g_autoptr (GError) error = NULL;

  fail_unless (message != NULL, "no message “%s”", text);
  fail_unless (GST_MESSAGE_TYPE (message) == type, "%s", GST_MESSAGE_TYPE_NAME (message));
  if (type == GST_MESSAGE_ERROR)
    gst_message_parse_error (message, &error, &debug);
  else
    gst_message_parse_warning (message, &error, &debug);
  fail_unless (strstr (error->message, text) != NULL, "“%s” says nothing of “%s”", error->message,
               text);
  gst_message_unref (message);
}

void
is_gone (gpointer gone, GObject *object)
{
  g_atomic_int_set ((gint *)gone, TRUE);
}

void
bench_end (Bench *bench)
{
  GstMessage *message;
  gint gone = FALSE;

  gst_element_set_state (bench->element, GST_STATE_NULL);
  message = take_message (bench);
  fail_unless (message == NULL, "unexpected: %s", describe (message));
  reader_clear (&bench->text);
  reader_clear (&bench->json);
  gst_element_set_bus (bench->element, NULL);
  gst_bus_set_flushing (bench->bus, TRUE);
  gst_object_unref (bench->bus);
  ASSERT_OBJECT_REFCOUNT (bench->element, "element", 1);
  g_object_weak_ref (G_OBJECT (bench->element), is_gone, &gone);
  gst_object_unref (bench->element);
  fail_unless (gone, "the element is still there");
}
