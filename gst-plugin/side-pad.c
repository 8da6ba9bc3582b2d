/* A source pad with a task and a queue: see side-pad.h.
 *
 * One lock guards what is marked so. It is a leaf: nothing is called with it held that could come back here.
 *
 * Who ends a flush or deactivates the pad has to wait until the task is out of its push. Mostly FLUSH_START or the
 * peer's own deactivation ends that at once. But a peer can be out of their reach, as a textoverlay that was unlinked
 * while it kept the task, or one that goes on playing while this pad is released; so a peer that still keeps the task
 * after PATIENCE is flushed by itself.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "side-pad.h"

GST_DEBUG_CATEGORY_STATIC (side_pad_debug);
#define GST_CAT_DEFAULT side_pad_debug

#define PATIENCE (G_TIME_SPAN_MILLISECOND * 100)

/* @event, or a buffer with the rest. */
typedef struct {
  GstEvent *event;
  GstClockTime pts, duration;
  GBytes *plain, *markup;
} Item;

struct _GstCityGuessrSidePad {
  GstPad parent;

  /* the task's own */
  gboolean negotiated, markup, discont;
  GstEvent *stream_start, *segment; /* as delivered since it was activated */

  GMutex lock; /* guards the rest */
  GCond changed;
  GQueue queue; /* of Item, oldest first */
  gboolean active, flushing, closed;
  gboolean fresh;       /* activated, and the task has not seen it yet */
  gboolean begun;       /* was given a STREAM_START since it was activated */
  GThread *thread;      /* the one in which the task is at work */
  GstPad *pushing_to;   /* where its push has gone, while it lasts */
  gboolean pushing;     /* a push is under way */
  GstFlowReturn flow;   /* OK, EOS, or a failure */
  GstClockTime unheard; /* when something was said to no peer last; NONE if it has one */
  gboolean dropped, told_dropped;
};

G_DEFINE_TYPE (GstCityGuessrSidePad, gst_city_guessr_side_pad, GST_TYPE_PAD)

static void
item_free (Item *item)
{
  g_clear_pointer (&item->event, gst_event_unref);
  g_clear_pointer (&item->plain, g_bytes_unref);
  g_clear_pointer (&item->markup, g_bytes_unref);
  g_free (item);
}

static gboolean
is_gap (const Item *item)
{
  return item->event && GST_EVENT_TYPE (item->event) == GST_EVENT_GAP;
}

/* Whether it takes up time, unlike the events that frame the stream. */
static gboolean
is_data (const Item *item)
{
  return item->event == NULL || is_gap (item);
}

/* ---- the queue: with the lock held ---- */

static void
clear_queue (GstCityGuessrSidePad *self)
{
  g_queue_clear_full (&self->queue, (GDestroyNotify)item_free);
}

static gboolean
is_stream_start (const Item *item)
{
  return item->event && GST_EVENT_TYPE (item->event) == GST_EVENT_STREAM_START;
}

/* A flush leaves the stream what it is: a STREAM_START does not come again after it. */
static void
flush_queue (GstCityGuessrSidePad *self)
{
  GList *link = self->queue.head;

  while (link) {
    GList *next = link->next;

    if (!is_stream_start (link->data)) {
      item_free (link->data);
      g_queue_delete_link (&self->queue, link);
    }
    link = next;
  }
}

/* Lets @item (transfer none) be part of the GAP that waits last, if it goes on where that ends. */
static gboolean
extend_last_gap (GstCityGuessrSidePad *self, const Item *item)
{
  Item *last = g_queue_peek_tail (&self->queue);
  GstClockTime start, duration, more_start, more_duration;
  GstEvent *longer;

  if (last == NULL || !is_gap (last) || !is_gap (item))
    return FALSE;
  gst_event_parse_gap (last->event, &start, &duration);
  gst_event_parse_gap (item->event, &more_start, &more_duration);
  if (!GST_CLOCK_TIME_IS_VALID (duration) || !GST_CLOCK_TIME_IS_VALID (more_duration) ||
      start + duration != more_start)
    return FALSE;
  longer = gst_event_new_gap (start, duration + more_duration);
  gst_event_set_seqnum (longer, gst_event_get_seqnum (last->event));
  gst_event_unref (last->event);
  last->event = longer;
  return TRUE;
}

/* Events that frame the stream go only if there is nothing else: then newer ones replace them. */
static void
drop_oldest (GstCityGuessrSidePad *self)
{
  GList *link = self->queue.head;

  while (link && !is_data (link->data))
    link = link->next;
  if (link)
    g_queue_unlink (&self->queue, link);
  else
    link = g_queue_pop_head_link (&self->queue);
  g_list_free_full (link, (GDestroyNotify)item_free);
  self->dropped = TRUE;
}

static void
enqueue (GstCityGuessrSidePad *self, Item *item)
{
  self->begun |= self->active && is_stream_start (item);
  if (!self->begun || (self->flushing && !is_stream_start (item)) || extend_last_gap (self, item)) {
    item_free (item);
    return;
  }
  g_queue_push_tail (&self->queue, item);
  if (g_queue_get_length (&self->queue) > GST_CITY_GUESSR_SIDE_PAD_MAX_QUEUED)
    drop_oldest (self);
  g_cond_broadcast (&self->changed);
}

void
gst_city_guessr_side_pad_push_event (GstCityGuessrSidePad *self, GstEvent *event)
{
  Item *item = g_new0 (Item, 1);

  item->event = event;
  g_mutex_lock (&self->lock);
  enqueue (self, item);
  g_mutex_unlock (&self->lock);
}

void
gst_city_guessr_side_pad_push_stream_start (GstCityGuessrSidePad *self, GstEvent *video,
                                            const gchar *name)
{
  const gchar *video_id;
  g_autofree gchar *id = NULL;
  GstEvent *event;
  guint group;

  gst_event_parse_stream_start (video, &video_id);
  id = g_strdup_printf ("%s/%s", video_id, name); /* as gst_pad_create_stream_id() makes it */
  event = gst_event_new_stream_start (id);
  gst_event_set_stream_flags (event, GST_STREAM_FLAG_SPARSE);
  if (gst_event_parse_group_id (video, &group))
    gst_event_set_group_id (event, group);
  gst_event_set_seqnum (event, gst_event_get_seqnum (video));
  gst_city_guessr_side_pad_push_event (self, event);
}

void
gst_city_guessr_side_pad_push_text (GstCityGuessrSidePad *self, GstClockTime pts,
                                    GstClockTime duration, GBytes *plain, GBytes *markup)
{
  Item *item = g_new0 (Item, 1);

  item->pts = pts;
  item->duration = duration;
  item->plain = g_bytes_ref (plain);
  item->markup = markup ? g_bytes_ref (markup) : NULL;
  g_mutex_lock (&self->lock);
  enqueue (self, item);
  g_mutex_unlock (&self->lock);
}

/* ---- the task ---- */

static void
post_failure (GstCityGuessrSidePad *self, GstFlowReturn flow)
{
  g_autoptr (GstElement) element = gst_pad_get_parent_element (GST_PAD (self));
  g_autoptr (GstCaps) templ = NULL;
  g_autoptr (GstCaps) peer = NULL;

  if (element == NULL)
    return;
  if (flow != GST_FLOW_NOT_NEGOTIATED) {
    GST_ELEMENT_ERROR_WITH_DETAILS (
        element, STREAM, FAILED,
        ("What is linked to the pad “%s” has failed: see its own message.", GST_PAD_NAME (self)),
        ("streaming stopped, reason %s (%d)", gst_flow_get_name (flow), flow),
        ("flow-return", G_TYPE_INT, flow, NULL));
    return;
  }
  templ = gst_pad_get_pad_template_caps (GST_PAD (self));
  peer = gst_pad_peer_query_caps (GST_PAD (self), NULL);
  GST_ELEMENT_ERROR_WITH_DETAILS (
      element, STREAM, FORMAT,
      ("What is linked to the pad “%s” takes nothing that this pad gives: link an element that "
       "takes the caps below.",
       GST_PAD_NAME (self)),
      ("the pad gives %" GST_PTR_FORMAT ", its peer takes %" GST_PTR_FORMAT, templ, peer),
      ("flow-return", G_TYPE_INT, flow, NULL));
}

static GstFlowReturn
negotiate (GstCityGuessrSidePad *self)
{
  GstPad *pad = GST_PAD (self);
  g_autoptr (GstCaps) templ = gst_pad_get_pad_template_caps (pad);
  g_autoptr (GstCaps) peer = gst_pad_peer_query_caps (pad, NULL);
  g_autoptr (GstCaps) current = gst_pad_get_current_caps (pad);
  GstCaps *caps = gst_caps_intersect_full (peer, templ, GST_CAPS_INTERSECT_FIRST);
  gboolean pushed = TRUE;

  if (gst_caps_is_empty (caps)) {
    gst_caps_unref (caps);
    return GST_FLOW_NOT_NEGOTIATED;
  }
  caps = gst_caps_fixate (caps);
  self->negotiated = TRUE;
  self->markup = g_strcmp0 (gst_structure_get_string (gst_caps_get_structure (caps, 0), "format"),
                            "pango-markup") == 0;
  if (current == NULL || !gst_caps_is_equal (caps, current))
    pushed = gst_pad_push_event (pad, gst_event_new_caps (caps));
  gst_caps_unref (caps);
  /* A peer that refuses them refuses the next buffer too, which has a flow return that says why. */
  GST_DEBUG_OBJECT (self, "caps %s", pushed ? "set" : "refused");
  return GST_FLOW_OK;
}

static GstBuffer *
buffer_new (GstCityGuessrSidePad *self, const Item *item)
{
  GBytes *bytes = self->markup && item->markup ? item->markup : item->plain;
  GstBuffer *buffer = gst_buffer_new_wrapped_bytes (bytes);

  GST_BUFFER_PTS (buffer) = item->pts;
  GST_BUFFER_DURATION (buffer) = item->duration;
  if (self->discont)
    GST_BUFFER_FLAG_SET (buffer, GST_BUFFER_FLAG_DISCONT);
  self->discont = FALSE;
  return buffer;
}

static GstFlowReturn
push_buffer (GstCityGuessrSidePad *self, const Item *item)
{
  GstFlowReturn flow = gst_pad_push (GST_PAD (self), buffer_new (self, item));

  self->discont |= flow == GST_FLOW_NOT_LINKED; /* it was not heard */
  return flow;
}

/* A muxer that has taken an item wants to see the next one before it lets more video in, but that
 * comes only with more video. So it hears at once that nothing else begins before this one ends. */
static void
push_end (GstCityGuessrSidePad *self, const Item *item)
{
  GstClockTime start = item->pts, duration = item->duration;

  if (item->event)
    gst_event_parse_gap (item->event, &start, &duration);
  if (GST_CLOCK_TIME_IS_VALID (duration) && duration > 0)
    gst_pad_push_event (GST_PAD (self), gst_event_new_gap (start + duration, 0));
}

/* Sees to it that the pad has its STREAM_START or SEGMENT, whose @event was delivered. The end of a deactivation
 * takes all sticky events away (gst_pad_set_active(), with the stream lock, which the task has in here); where
 * another thread has activated the pad by then, those are the new ones. Returns whether it was gone. */
static gboolean
renew (GstCityGuessrSidePad *self, GstEvent *event)
{
  g_autoptr (GstEvent) there = NULL;

  if (event == NULL)
    return FALSE;
  there = gst_pad_get_sticky_event (GST_PAD (self), GST_EVENT_TYPE (event), 0);
  if (there == NULL)
    gst_pad_push_event (GST_PAD (self), gst_event_ref (event));
  return there == NULL;
}

/* CAPS have to stand between STREAM_START and SEGMENT, so there is a choice of them even while no
 * peer makes it; linking one asks for another. */
static GstFlowReturn
deliver (GstCityGuessrSidePad *self, const Item *item)
{
  GstPad *pad = GST_PAD (self);
  GstEventType type = item->event ? GST_EVENT_TYPE (item->event) : GST_EVENT_UNKNOWN;
  GstFlowReturn flow = GST_FLOW_OK;

  if (type != GST_EVENT_STREAM_START && renew (self, self->stream_start))
    self->negotiated = FALSE;
  if (is_data (item) || type == GST_EVENT_SEGMENT) {
    gboolean asked = gst_pad_check_reconfigure (pad);

    if ((asked || !self->negotiated) && negotiate (self) != GST_FLOW_OK)
      return GST_FLOW_NOT_NEGOTIATED;
  }
  if (is_data (item))
    renew (self, self->segment);
  if (type == GST_EVENT_STREAM_START || type == GST_EVENT_SEGMENT) {
    gst_event_replace (type == GST_EVENT_SEGMENT ? &self->segment : &self->stream_start,
                       item->event);
    self->discont = TRUE;
  }
  /* What a sticky event meets downstream comes back with the next buffer. */
  if (item->event)
    gst_pad_push_event (pad, gst_event_ref (item->event));
  else
    flow = push_buffer (self, item);
  if (is_data (item) && flow == GST_FLOW_OK)
    push_end (self, item);
  return flow;
}

static GstClockTime
item_time (const Item *item)
{
  GstClockTime time = item->pts;

  if (item->event)
    gst_event_parse_gap (item->event, &time, NULL);
  return time;
}

/* With the lock held. @flow: what the peer answered last. */
static gboolean
is_wanted (const Item *item, GstFlowReturn flow)
{
  return flow == GST_FLOW_OK || (flow == GST_FLOW_EOS && !is_data (item));
}

/* Waits for an item to be delivered. Returns: (transfer full): NULL when the pad is deactivated.
 *
 * It waits without the stream lock, which the task has: where one thread deactivates the pad while
 * another one activates it, the first may find a new task at work when it waits for that lock. */
static Item *
take (GstCityGuessrSidePad *self)
{
  Item *item = NULL;

  GST_PAD_STREAM_UNLOCK (self);
  g_mutex_lock (&self->lock);
  self->thread = g_thread_self ();
  while (self->active && item == NULL) {
    if (!self->flushing)
      item = g_queue_pop_head (&self->queue);
    if (item && !is_wanted (item, self->flow))
      g_clear_pointer (&item, item_free);
    else if (item == NULL)
      g_cond_wait (&self->changed, &self->lock);
  }
  if (item) {
    if (self->fresh) {
      self->negotiated = self->markup = self->fresh = FALSE;
      gst_clear_event (&self->stream_start);
      gst_clear_event (&self->segment);
    }
    self->pushing = TRUE;
    self->pushing_to = gst_pad_get_peer (GST_PAD (self));
    /* A new stream, or a new segment of it, may be wanted again. */
    if (self->flow == GST_FLOW_EOS && (GST_EVENT_TYPE (item->event) == GST_EVENT_STREAM_START ||
                                       GST_EVENT_TYPE (item->event) == GST_EVENT_SEGMENT))
      self->flow = GST_FLOW_OK;
  } else {
    self->thread = NULL;
  }
  g_mutex_unlock (&self->lock);
  GST_PAD_STREAM_LOCK (self);
  return item;
}

/* With the lock held. A peer that was linked after something was said to nobody hears with a GAP that
 * time has come so far. */
static void
tell_new_peer (GstCityGuessrSidePad *self)
{
  Item *item;

  if (!GST_CLOCK_TIME_IS_VALID (self->unheard) || !g_queue_is_empty (&self->queue))
    return;
  item = g_new0 (Item, 1);
  item->event = gst_event_new_gap (self->unheard, 0);
  self->unheard = GST_CLOCK_TIME_NONE;
  enqueue (self, item);
}

/* Takes note of how it went. Returns whether it is a failure that has to be told. */
static gboolean
settle (GstCityGuessrSidePad *self, const Item *item, GstFlowReturn flow)
{
  GstPad *peer;
  gboolean failed;

  g_mutex_lock (&self->lock);
  peer = g_steal_pointer (&self->pushing_to);
  if (is_data (item))
    self->unheard = peer ? GST_CLOCK_TIME_NONE : item_time (item);
  if (gst_pad_is_linked (GST_PAD (self)))
    tell_new_peer (self);
  self->pushing = FALSE;
  self->thread = NULL;
  failed = flow < GST_FLOW_EOS && !self->flushing && self->active;
  if (failed)
    self->flow = flow == GST_FLOW_NOT_NEGOTIATED ? flow : GST_FLOW_ERROR;
  else if (flow == GST_FLOW_EOS && !self->flushing)
    self->flow = GST_FLOW_EOS;
  g_cond_broadcast (&self->changed);
  g_mutex_unlock (&self->lock);
  g_clear_pointer (&peer, gst_object_unref);
  return failed;
}

static void
loop (gpointer data)
{
  GstCityGuessrSidePad *self = data;
  Item *item = take (self);
  GstFlowReturn flow;

  if (item == NULL) {
    gst_pad_pause_task (GST_PAD (self));
    return;
  }
  flow = deliver (self, item);
  if (settle (self, item, flow))
    post_failure (self, flow);
  item_free (item);
}

/* ---- flushing and deactivating ---- */

/* With the lock held. Whether the task is at work in another thread. */
static gboolean
is_pushing_elsewhere (GstCityGuessrSidePad *self)
{
  return self->pushing && self->thread != g_thread_self ();
}

/* Gives a push that is under way, and that should end by itself, the time to do so, and else
 * flushes the peer that keeps it. Returns: (transfer full): that peer, to be woken; or NULL. */
static GstPad *
free_task (GstCityGuessrSidePad *self)
{
  gint64 deadline = g_get_monotonic_time () + PATIENCE;
  GstPad *peer = NULL;

  g_mutex_lock (&self->lock);
  while (is_pushing_elsewhere (self) && g_cond_wait_until (&self->changed, &self->lock, deadline))
    continue;
  if (is_pushing_elsewhere (self) && self->pushing_to)
    peer = gst_object_ref (self->pushing_to);
  g_mutex_unlock (&self->lock);
  if (peer) {
    GST_INFO_OBJECT (self, "flushing %" GST_PTR_FORMAT ", which keeps the task", peer);
    gst_pad_send_event (peer, gst_event_new_flush_start ());
  }
  return peer;
}

/* @peer: (transfer full) (nullable): as free_task() returned it. */
static void
wake_peer (GstPad *peer)
{
  if (peer == NULL)
    return;
  gst_pad_send_event (peer, gst_event_new_flush_stop (FALSE));
  gst_object_unref (peer);
}

void
gst_city_guessr_side_pad_begin_flush (GstCityGuessrSidePad *self, GstEvent *event)
{
  g_mutex_lock (&self->lock);
  self->flushing = TRUE;
  flush_queue (self);
  g_mutex_unlock (&self->lock);
  gst_pad_push_event (GST_PAD (self), gst_event_ref (event));
}

void
gst_city_guessr_side_pad_end_flush (GstCityGuessrSidePad *self, GstEvent *event)
{
  GstPad *peer;

  g_mutex_lock (&self->lock);
  self->flushing = TRUE; /* a pad that came after FLUSH_START */
  flush_queue (self);
  g_mutex_unlock (&self->lock);

  peer = free_task (self);
  g_mutex_lock (&self->lock);
  while (is_pushing_elsewhere (self))
    g_cond_wait (&self->changed, &self->lock);
  g_mutex_unlock (&self->lock);
  wake_peer (peer);

  gst_pad_push_event (GST_PAD (self), gst_event_ref (event));
  g_mutex_lock (&self->lock);
  self->flushing = FALSE;
  self->flow = GST_FLOW_OK;
  self->unheard = GST_CLOCK_TIME_NONE;
  g_cond_broadcast (&self->changed);
  g_mutex_unlock (&self->lock);
}

static void
stop_task (GstElement *element, gpointer pad)
{
  gst_pad_stop_task (pad);
}

static gboolean
is_closed (GstCityGuessrSidePad *self)
{
  gboolean closed;

  g_mutex_lock (&self->lock);
  closed = self->closed;
  g_mutex_unlock (&self->lock);
  return closed;
}

static gboolean
activate (GstCityGuessrSidePad *self)
{
  gboolean started;

  g_mutex_lock (&self->lock);
  self->active = !self->closed;
  self->fresh = TRUE;
  self->begun = FALSE;
  self->flushing = FALSE;
  self->flow = GST_FLOW_OK;
  self->unheard = GST_CLOCK_TIME_NONE;
  self->dropped = self->told_dropped = FALSE;
  g_mutex_unlock (&self->lock);
  if (is_closed (self))
    return TRUE;
  started = gst_pad_start_task (GST_PAD (self), loop, self, NULL);
  if (is_closed (self))
    gst_pad_stop_task (GST_PAD (self));
  return started;
}

static gboolean
deactivate (GstCityGuessrSidePad *self, GstElement *element)
{
  gboolean in_task;
  GstPad *peer;
  gboolean stopped;

  g_mutex_lock (&self->lock);
  self->active = self->begun = FALSE;
  clear_queue (self);
  g_cond_broadcast (&self->changed);
  in_task = self->thread == g_thread_self ();
  g_mutex_unlock (&self->lock);

  /* From a probe on this very pad: the thread cannot wait for itself. The pad stays until another
   * one has waited for it. */
  if (in_task && element) {
    gst_element_call_async (element, stop_task, gst_object_ref (self), gst_object_unref);
    return TRUE;
  }
  peer = free_task (self);
  stopped = gst_pad_stop_task (GST_PAD (self));
  wake_peer (peer);
  return stopped;
}

void
gst_city_guessr_side_pad_close (GstCityGuessrSidePad *self)
{
  g_autoptr (GstElement) element = gst_pad_get_parent_element (GST_PAD (self));

  g_mutex_lock (&self->lock);
  self->closed = TRUE;
  g_mutex_unlock (&self->lock);
  gst_pad_set_active (GST_PAD (self), FALSE);
  /* Once more, as it may have been on its way to be activated. */
  deactivate (self, element);
}

static gboolean
activate_mode (GstPad *pad, GstObject *parent, GstPadMode mode, gboolean active)
{
  GstCityGuessrSidePad *self = GST_CITY_GUESSR_SIDE_PAD (pad);

  if (mode != GST_PAD_MODE_PUSH)
    return FALSE;
  return active ? activate (self) : deactivate (self, parent ? GST_ELEMENT (parent) : NULL);
}

/* ---- the rest ---- */

/* QOS and RECONFIGURE concern this pad alone: upstream they would make the video drop frames or
 * negotiate anew. */
static gboolean
handle_event (GstPad *pad, GstObject *parent, GstEvent *event)
{
  GstCityGuessrSidePad *self = GST_CITY_GUESSR_SIDE_PAD (pad);

  switch (GST_EVENT_TYPE (event)) {
  case GST_EVENT_RECONFIGURE:
    g_mutex_lock (&self->lock);
    tell_new_peer (self);
    g_mutex_unlock (&self->lock);
    gst_event_unref (event);
    return TRUE;
  case GST_EVENT_QOS:
    gst_event_unref (event);
    return TRUE;
  default:
    return gst_pad_event_default (pad, parent, event);
  }
}

GstFlowReturn
gst_city_guessr_side_pad_get_flow (GstCityGuessrSidePad *self)
{
  GstFlowReturn flow;

  g_mutex_lock (&self->lock);
  flow = self->flow == GST_FLOW_EOS ? GST_FLOW_OK : self->flow;
  g_mutex_unlock (&self->lock);
  return flow;
}

gboolean
gst_city_guessr_side_pad_is_blank (GstCityGuessrSidePad *self)
{
  gboolean blank;

  g_mutex_lock (&self->lock);
  blank = self->active && !self->begun;
  g_mutex_unlock (&self->lock);
  return blank;
}

void
gst_city_guessr_side_pad_tell (GstCityGuessrSidePad *self)
{
  g_autoptr (GstElement) element = NULL;
  gboolean due;

  g_mutex_lock (&self->lock);
  due = self->dropped && !self->told_dropped;
  self->told_dropped |= due;
  g_mutex_unlock (&self->lock);
  element = due ? gst_pad_get_parent_element (GST_PAD (self)) : NULL;
  if (element)
    GST_ELEMENT_WARNING (
        element, STREAM, FAILED,
        ("What is linked to the pad “%s” does not take what the pad says: the oldest of it is "
         "dropped. Link a faster reader, or none.",
         GST_PAD_NAME (self)),
        ("more than %u items were waiting", GST_CITY_GUESSR_SIDE_PAD_MAX_QUEUED));
}

GstCityGuessrSidePad *
gst_city_guessr_side_pad_new (GstPadTemplate *templ)
{
  return g_object_new (GST_TYPE_CITY_GUESSR_SIDE_PAD, "name",
                       GST_PAD_TEMPLATE_NAME_TEMPLATE (templ), "direction", GST_PAD_SRC, "template",
                       templ, NULL);
}

static void
gst_city_guessr_side_pad_init (GstCityGuessrSidePad *self)
{
  g_mutex_init (&self->lock);
  g_cond_init (&self->changed);
  g_queue_init (&self->queue);
  self->unheard = GST_CLOCK_TIME_NONE;
  gst_pad_set_activatemode_function (GST_PAD (self), activate_mode);
  gst_pad_set_event_function (GST_PAD (self), handle_event);
}

static void
gst_city_guessr_side_pad_finalize (GObject *object)
{
  GstCityGuessrSidePad *self = GST_CITY_GUESSR_SIDE_PAD (object);

  clear_queue (self);
  gst_clear_event (&self->stream_start);
  gst_clear_event (&self->segment);
  g_mutex_clear (&self->lock);
  g_cond_clear (&self->changed);
  G_OBJECT_CLASS (gst_city_guessr_side_pad_parent_class)->finalize (object);
}

static void
gst_city_guessr_side_pad_class_init (GstCityGuessrSidePadClass *klass)
{
  GST_DEBUG_CATEGORY_INIT (side_pad_debug, "cityguessrsidepad", 0, "CityGuessr's side pads");
  G_OBJECT_CLASS (klass)->finalize = gst_city_guessr_side_pad_finalize;
}
