/* The fake device's streams, events and graphs. What a stream has to do is done when somebody waits.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "private.h"

#include <string.h>

typedef struct CUstream_st Stream;
typedef struct CUevent_st Event;

/* A piece of work; an event's record or a wait for one has no @run. */
typedef struct {
  guint refs;
  const char *name;
  void (*run) (void *data);
  void *data;
  GDestroyNotify destroy;
  Event *record, *wait;
  guint64 generation; /* of that event */
  Stream *from;       /* the stream on which the awaited event was recorded */
} Op;

/* A graph, being captured or captured: ops in the order of their calls. */
struct CUgraph_st {
  GPtrArray *ops;
  gboolean invalid;
  GThread *thread;
  enum cudaStreamCaptureMode mode;
  Stream *origin;
};

struct CUgraphExec_st {
  guint refs;
  GPtrArray *ops;
  gboolean destroyed;
};

struct CUstream_st {
  guint refs;
  GQueue queue; /* of Op */
  gboolean blocking;
  int priority;
  gpointer context;
  cudaGraph_t graph; /* being captured into, or NULL */
};

struct CUevent_st {
  guint refs;
  gboolean timing, destroyed;
  guint64 recorded, done; /* generations */
  gdouble time;           /* us, of the last done */
  Stream *stream;         /* of the last record */
  cudaGraph_t graph;      /* recorded during this capture */
};

static GPtrArray *streams, *events, *execs;
static guint n_captured; /* graphs that were captured and are not destroyed */
static guint64 n_ops;
static gdouble now; /* device time, us */
static Stream legacy = { .refs = 1, .queue = G_QUEUE_INIT, .blocking = TRUE };
static GPtrArray *captures; /* graphs that are being captured */
static __thread enum cudaStreamCaptureMode thread_mode;

void
cg_fake_tick (gdouble microseconds)
{
  now += microseconds;
}

guint64
cg_fake_ops (void)
{
  return n_ops;
}

void
cg_fake_stream_counts (guint *n_streams, guint *n_events, guint *n_graphs)
{
  *n_streams = streams ? streams->len : 0;
  *n_events = events ? events->len : 0;
  *n_graphs = n_captured + (execs ? execs->len : 0);
}

static void
remember (GPtrArray **list, gpointer object)
{
  if (!*list)
    *list = g_ptr_array_new ();
  g_ptr_array_add (*list, object);
}

void
cg_fake_streams_reset (void)
{
  n_ops = 0;
  now = 0;
}

static Event *
event_ref (Event *event)
{
  event->refs++;
  return event;
}

static void
event_unref (Event *event)
{
  if (--event->refs == 0)
    g_free (event);
}

static Stream *
stream_ref (Stream *stream)
{
  stream->refs++;
  return stream;
}

static void
stream_unref (Stream *stream)
{
  if (--stream->refs == 0)
    g_free (stream);
}

static void
op_unref (gpointer data)
{
  Op *op = data;
  if (--op->refs > 0)
    return;
  if (op->destroy)
    op->destroy (op->data);
  g_clear_pointer (&op->record, event_unref);
  g_clear_pointer (&op->wait, event_unref);
  g_clear_pointer (&op->from, stream_unref);
  g_free (op);
}

/* ---- doing it ---- */

static gint running; /* the device whose work is being done */

static gboolean run_first (Stream *stream);
static void run_exec (void *data);

static gint
device_of (const Stream *stream)
{
  return cg_fake_device_of (stream->context);
}

/* Waits without a bound. */
static void
blame (const Stream *stream)
{
  if (cg_fake_settings.silent && stream->queue.length > 0)
    cg_fake_note ("somebody waits for a device that does not answer");
}

static void
run_op (Op *op)
{
  if (op->wait) {
    while (op->wait->done < op->generation && run_first (op->from))
      ;
    return;
  }
  if (op->record) {
    op->record->done = MAX (op->record->done, op->generation);
    op->record->time = now;
    return;
  }
  n_ops++;
  cg_fake_log_line ("-> ", op->name);
  if (op->run != run_exec) /* whose parts count, not the launch */
    cg_fake_trace_op (op->name);
  if (cg_fake_settings.lose_op_at && n_ops >= cg_fake_settings.lose_op_at)
    cg_fake_lose (op->name, running);
  if (cg_fake_lost_device (running))
    return;
  now += 1;
  op->run (op->data);
}

static gboolean
run_first (Stream *stream)
{
  const gint before = running;
  Op *op = cg_fake_settings.silent ? NULL : g_queue_pop_head (&stream->queue);
  if (!op)
    return FALSE;
  running = device_of (stream);
  run_op (op);
  running = before;
  op_unref (op);
  return TRUE;
}

void
cg_fake_drain (cudaStream_t stream)
{
  if (!stream)
    stream = &legacy;
  blame (stream);
  while (run_first (stream))
    ;
}

void
cg_fake_drain_all (gboolean every)
{
  for (guint i = 0; streams && i < streams->len; i++) {
    Stream *stream = streams->pdata[i];
    if (device_of (stream) == cg_fake_device () && (every || stream->blocking))
      cg_fake_drain (stream);
  }
  cg_fake_drain (&legacy);
}

static cudaError_t
outcome (void)
{
  return cg_fake_lost () ? cg_fake_return (cudaErrorIllegalAddress) : cudaSuccess;
}

/* ---- queueing and capturing it ---- */

static gboolean
known (const Stream *stream)
{
  return !stream || (streams && g_ptr_array_find (streams, stream, NULL));
}

gboolean
cg_fake_capturing (cudaStream_t stream)
{
  return stream && stream->graph;
}

gboolean
cg_fake_forbidden (void)
{
  gboolean forbidden = FALSE;
  for (guint i = 0; captures && i < captures->len; i++) {
    cudaGraph_t graph = captures->pdata[i];
    const gboolean own = graph->thread == g_thread_self ();
    if (thread_mode == cudaStreamCaptureModeRelaxed ||
        (own && graph->mode == cudaStreamCaptureModeRelaxed) ||
        (!own && (thread_mode != cudaStreamCaptureModeGlobal ||
                  graph->mode != cudaStreamCaptureModeGlobal)))
      continue;
    graph->invalid = TRUE;
    forbidden = TRUE;
  }
  return forbidden;
}

static cudaError_t
append (Stream *stream, Op *op)
{
  if (stream && stream->graph) {
    if (stream->graph->invalid) {
      op_unref (op);
      return cg_fake_return (cudaErrorStreamCaptureInvalidated);
    }
    g_ptr_array_add (stream->graph->ops, op);
    return cudaSuccess;
  }
  if (!stream) {
    if (cg_fake_forbidden ()) {
      op_unref (op);
      return cg_fake_return (cudaErrorStreamCaptureImplicit);
    }
    cg_fake_drain_all (FALSE);
    g_queue_push_tail (&legacy.queue, op);
    cg_fake_drain (&legacy);
    return outcome ();
  }
  g_queue_push_tail (&stream->queue, op);
  return cudaSuccess;
}

cudaError_t
cg_fake_enqueue (cudaStream_t stream, const char *name, void (*run) (void *data), void *data,
                 GDestroyNotify destroy)
{
  if (!known (stream) || (stream && stream->context != cg_fake_context ())) {
    cg_fake_note ("%s: %s", name,
                  known (stream) ? "its stream is of a context that is not current"
                                 : "there is no such stream");
    if (destroy)
      destroy (data);
    return cg_fake_return (cudaErrorInvalidResourceHandle);
  }
  Op *op = g_new0 (Op, 1);
  op->refs = 1;
  op->name = name;
  op->run = run;
  op->data = data;
  op->destroy = destroy;
  return append (stream, op);
}

cudaError_t
cg_fake_launch (cudaStream_t stream, const char *name, void (*run) (void *data), void *data,
                GDestroyNotify destroy)
{
  g_autoptr (GRecMutexLocker) locker = g_rec_mutex_locker_new (&cg_fake_lock);
  const guint fails = cg_fake_enter (name);
  if (fails) {
    if (destroy)
      destroy (data);
    return cg_fake_return (fails == 1 ? cudaErrorLaunchOutOfResources : cudaErrorIllegalAddress);
  }
  return cg_fake_enqueue (stream, name, run, data, destroy);
}

cudaError_t
cudaLaunchHostFunc (cudaStream_t stream, cudaHostFn_t function, void *data)
{
  CG_FAKE_CALL (cudaErrorInvalidValue);
  return cg_fake_enqueue (stream, __func__, function, data, NULL);
}

/* ---- streams ---- */

cudaError_t
cudaStreamCreateWithPriority (cudaStream_t *stream, unsigned int flags, int priority)
{
  CG_FAKE_CALL (cudaErrorMemoryAllocation);
  if (!streams)
    streams = g_ptr_array_new ();
  *stream = g_new0 (Stream, 1);
  (*stream)->refs = 1;
  (*stream)->blocking = !(flags & cudaStreamNonBlocking);
  (*stream)->priority = priority;
  (*stream)->context = cg_fake_context ();
  g_queue_init (&(*stream)->queue);
  g_ptr_array_add (streams, *stream);
  return cudaSuccess;
}

cudaError_t
cudaStreamCreateWithFlags (cudaStream_t *stream, unsigned int flags)
{
  return cudaStreamCreateWithPriority (stream, flags, 0);
}

cudaError_t
cudaStreamCreate (cudaStream_t *stream)
{
  return cudaStreamCreateWithPriority (stream, 0, 0);
}

cudaError_t
cudaStreamGetFlags (cudaStream_t stream, unsigned int *flags)
{
  *flags = stream->blocking ? cudaStreamDefault : cudaStreamNonBlocking;
  return cudaSuccess;
}

cudaError_t
cudaStreamGetPriority (cudaStream_t stream, int *priority)
{
  *priority = stream->priority;
  return cudaSuccess;
}

cudaError_t
cudaStreamDestroy (cudaStream_t stream)
{
  CG_FAKE_RELEASE_OF_CONTEXT (cudaErrorInvalidResourceHandle);
  if (!stream || !known (stream)) {
    cg_fake_note ("cudaStreamDestroy: there is no such stream");
    return cg_fake_return (cudaErrorInvalidResourceHandle);
  }
  if (stream->graph)
    cg_fake_note ("cudaStreamDestroy while it is being captured");
  cg_fake_drain (stream);
  g_ptr_array_remove (streams, stream);
  stream_unref (stream);
  return outcome ();
}

cudaError_t
cudaStreamSynchronize (cudaStream_t stream)
{
  CG_FAKE_CALL (cudaErrorUnknown);
  if (!known (stream))
    return cg_fake_return (cudaErrorInvalidResourceHandle);
  if (cg_fake_capturing (stream)) {
    stream->graph->invalid = TRUE;
    return cg_fake_return (cudaErrorStreamCaptureUnsupported);
  }
  if (cg_fake_forbidden ())
    return cg_fake_return (cudaErrorStreamCaptureUnsupported);
  if (stream)
    cg_fake_drain (stream);
  else
    cg_fake_drain_all (FALSE);
  return outcome ();
}

cudaError_t
cudaDeviceSynchronize (void)
{
  CG_FAKE_CALL (cudaErrorUnknown);
  if (cg_fake_forbidden ())
    return cg_fake_return (cudaErrorStreamCaptureUnsupported);
  cg_fake_drain_all (TRUE);
  return outcome ();
}

/* Who asks again and again sees one more piece of work done each time. */
cudaError_t
cudaStreamQuery (cudaStream_t stream)
{
  CG_FAKE_CALL (cudaErrorUnknown);
  if (!stream || !known (stream))
    return cg_fake_return (cudaErrorInvalidResourceHandle);
  if (cg_fake_forbidden ())
    return cg_fake_return (cudaErrorStreamCaptureUnsupported);
  const gboolean more = run_first (stream);
  return more ? cudaErrorNotReady : outcome ();
}

cudaError_t
cudaStreamWaitEvent (cudaStream_t stream, cudaEvent_t event, unsigned int flags)
{
  CG_FAKE_CALL (cudaErrorInvalidResourceHandle);
  if (!known (stream) || !event || event->destroyed)
    return cg_fake_return (cudaErrorInvalidResourceHandle);
  if (event->graph && stream) { /* the stream joins the capture */
    if (stream->graph && stream->graph != event->graph)
      return cg_fake_return (cudaErrorStreamCaptureMerge);
    stream->graph = event->graph;
    return cudaSuccess;
  }
  if (cg_fake_capturing (stream)) {
    stream->graph->invalid = TRUE;
    return cg_fake_return (cudaErrorStreamCaptureIsolation);
  }
  if (!event->stream || event->done >= event->recorded)
    return cudaSuccess;
  Op *op = g_new0 (Op, 1);
  op->refs = 1;
  op->name = __func__;
  op->wait = event_ref (event);
  op->generation = event->recorded;
  op->from = stream_ref (event->stream);
  return append (stream, op);
}

/* ---- events ---- */

cudaError_t
cudaEventCreateWithFlags (cudaEvent_t *event, unsigned int flags)
{
  CG_FAKE_CALL (cudaErrorMemoryAllocation);
  *event = g_new0 (Event, 1);
  (*event)->refs = 1;
  (*event)->timing = !(flags & cudaEventDisableTiming);
  remember (&events, *event);
  return cudaSuccess;
}

cudaError_t
cudaEventCreate (cudaEvent_t *event)
{
  return cudaEventCreateWithFlags (event, 0);
}

static void
event_end (cudaEvent_t event)
{
  event->destroyed = TRUE;
  g_clear_pointer (&event->stream, stream_unref);
  event_unref (event);
}

cudaError_t
cudaEventDestroy (cudaEvent_t event)
{
  CG_FAKE_RELEASE_OF_CONTEXT (cudaErrorInvalidResourceHandle);
  if (!event || event->destroyed) {
    cg_fake_note ("cudaEventDestroy: there is no such event");
    return cg_fake_return (cudaErrorInvalidResourceHandle);
  }
  g_ptr_array_remove_fast (events, event);
  event_end (event);
  return outcome ();
}

cudaError_t
cudaEventRecord (cudaEvent_t event, cudaStream_t stream)
{
  CG_FAKE_CALL (cudaErrorInvalidResourceHandle);
  if (!known (stream) || !event || event->destroyed ||
      (stream && stream->context != cg_fake_context ()))
    return cg_fake_return (cudaErrorInvalidResourceHandle);
  if (cg_fake_capturing (stream)) {
    event->graph = stream->graph;
    return cudaSuccess;
  }
  event->graph = NULL;
  g_clear_pointer (&event->stream, stream_unref);
  event->stream = stream_ref (stream ? stream : &legacy);
  Op *op = g_new0 (Op, 1);
  op->refs = 1;
  op->name = __func__;
  op->record = event_ref (event);
  op->generation = ++event->recorded;
  return append (stream, op);
}

cudaError_t
cudaEventRecordWithFlags (cudaEvent_t event, cudaStream_t stream, unsigned int flags)
{
  return cudaEventRecord (event, stream);
}

static void
event_wait (Event *event)
{
  if (event->done < event->recorded)
    blame (event->stream);
  while (event->done < event->recorded && run_first (event->stream))
    ;
}

cudaError_t
cudaEventSynchronize (cudaEvent_t event)
{
  CG_FAKE_CALL (cudaErrorUnknown);
  if (!event || event->destroyed || event->graph)
    return cg_fake_return (cudaErrorInvalidResourceHandle);
  if (cg_fake_forbidden ())
    return cg_fake_return (cudaErrorStreamCaptureUnsupported);
  event_wait (event);
  return outcome ();
}

cudaError_t
cudaEventQuery (cudaEvent_t event)
{
  CG_FAKE_CALL (cudaErrorUnknown);
  if (!event || event->destroyed || event->graph)
    return cg_fake_return (cudaErrorInvalidResourceHandle);
  if (cg_fake_forbidden ())
    return cg_fake_return (cudaErrorStreamCaptureUnsupported);
  if (event->done < event->recorded) {
    run_first (event->stream);
    return cg_fake_lost () ? outcome () : cg_fake_return (cudaErrorNotReady);
  }
  return outcome ();
}

cudaError_t
cudaEventElapsedTime (float *ms, cudaEvent_t start, cudaEvent_t end)
{
  CG_FAKE_CALL (cudaErrorUnknown);
  if (!start->timing || !end->timing || !start->recorded || !end->recorded)
    return cg_fake_return (cudaErrorInvalidResourceHandle);
  if (start->done < start->recorded || end->done < end->recorded)
    return cg_fake_return (cudaErrorNotReady);
  *ms = (float)((end->time - start->time) / 1000);
  return cudaSuccess;
}

/* ---- graphs ---- */

static cudaGraph_t
graph_new (void)
{
  cudaGraph_t graph = g_new0 (struct CUgraph_st, 1);
  graph->ops = g_ptr_array_new_with_free_func (op_unref);
  n_captured++;
  return graph;
}

static void
graph_free (cudaGraph_t graph)
{
  g_ptr_array_unref (graph->ops);
  g_free (graph);
  n_captured--;
}

static void
tell_captured (const gboolean *begun)
{
  if (*begun && cg_fake_settings.captured)
    cg_fake_settings.captured ();
}

cudaError_t
cudaStreamBeginCapture (cudaStream_t stream, enum cudaStreamCaptureMode mode)
{
  __attribute__ ((cleanup (tell_captured))) gboolean begun =
      FALSE; /* when the lock is given back */
  CG_FAKE_CALL (cudaErrorMemoryAllocation);
  if (!stream || !known (stream))
    return cg_fake_return (cudaErrorStreamCaptureUnsupported);
  if (stream->graph)
    return cg_fake_return (cudaErrorIllegalState);
  stream->graph = graph_new ();
  stream->graph->origin = stream;
  stream->graph->mode = mode;
  stream->graph->thread = g_thread_self ();
  if (!captures)
    captures = g_ptr_array_new ();
  g_ptr_array_add (captures, stream->graph);
  begun = TRUE;
  return cudaSuccess;
}

cudaError_t
cudaStreamEndCapture (cudaStream_t stream, cudaGraph_t *result)
{
  /* An injected failure ends the capture too, as an invalidated one does. */
  g_autoptr (GRecMutexLocker) locker = g_rec_mutex_locker_new (&cg_fake_lock);
  const guint fails = cg_fake_enter (__func__);
  *result = NULL;
  if (!stream || !known (stream) || !stream->graph || stream->graph->origin != stream)
    return cg_fake_return (cudaErrorIllegalState);
  cudaGraph_t graph = stream->graph;
  if (graph->mode != cudaStreamCaptureModeRelaxed && graph->thread != g_thread_self ())
    return cg_fake_return (cudaErrorStreamCaptureWrongThread);
  for (guint i = 0; i < streams->len; i++) {
    Stream *other = streams->pdata[i];
    if (other->graph == graph)
      other->graph = NULL;
  }
  g_ptr_array_remove (captures, graph);
  if (graph->invalid || fails) {
    graph_free (graph);
    return cg_fake_return (fails == 2 ? cudaErrorIllegalAddress
                                      : cudaErrorStreamCaptureInvalidated);
  }
  *result = graph;
  return cudaSuccess;
}

cudaError_t
cudaStreamIsCapturing (cudaStream_t stream, enum cudaStreamCaptureStatus *status)
{
  CG_FAKE_CALL (cudaErrorUnknown);
  *status = !cg_fake_capturing (stream) ? cudaStreamCaptureStatusNone
            : stream->graph->invalid    ? cudaStreamCaptureStatusInvalidated
                                        : cudaStreamCaptureStatusActive;
  return cudaSuccess;
}

cudaError_t
cudaThreadExchangeStreamCaptureMode (enum cudaStreamCaptureMode *mode)
{
  const enum cudaStreamCaptureMode before = thread_mode;
  thread_mode = *mode;
  *mode = before;
  return cudaSuccess;
}

cudaError_t
cudaGraphInstantiate (cudaGraphExec_t *exec, cudaGraph_t graph, unsigned long long flags)
{
  CG_FAKE_CALL (cudaErrorMemoryAllocation);
  *exec = g_new0 (struct CUgraphExec_st, 1);
  (*exec)->refs = 1;
  (*exec)->ops = g_ptr_array_new_with_free_func (op_unref);
  for (guint i = 0; i < graph->ops->len; i++) {
    Op *op = graph->ops->pdata[i];
    op->refs++;
    g_ptr_array_add ((*exec)->ops, op);
  }
  remember (&execs, *exec);
  return cudaSuccess;
}

cudaError_t
cudaGraphInstantiateWithFlags (cudaGraphExec_t *exec, cudaGraph_t graph, unsigned long long flags)
{
  return cudaGraphInstantiate (exec, graph, flags);
}

cudaError_t
cudaGraphDestroy (cudaGraph_t graph)
{
  CG_FAKE_RELEASE ();
  graph_free (graph);
  return outcome ();
}

static void
exec_unref (gpointer data)
{
  cudaGraphExec_t exec = data;
  if (--exec->refs > 0)
    return;
  g_ptr_array_unref (exec->ops);
  g_free (exec);
}

cudaError_t
cudaGraphExecDestroy (cudaGraphExec_t exec)
{
  CG_FAKE_RELEASE_OF_CONTEXT (cudaErrorInvalidResourceHandle);
  g_ptr_array_remove_fast (execs, exec);
  exec->destroyed = TRUE;
  exec_unref (exec);
  return outcome ();
}

static void
run_exec (void *data)
{
  cudaGraphExec_t exec = data;
  n_ops--; /* its parts count, not the launch */
  for (guint i = 0; i < exec->ops->len; i++)
    run_op (exec->ops->pdata[i]);
}

cudaError_t
cudaGraphUpload (cudaGraphExec_t exec, cudaStream_t stream)
{
  CG_FAKE_CALL (cudaErrorMemoryAllocation);
  return cudaSuccess;
}

cudaError_t
cudaGraphLaunch (cudaGraphExec_t exec, cudaStream_t stream)
{
  CG_FAKE_CALL (cudaErrorUnknown);
  if (cg_fake_capturing (stream))
    return cg_fake_return (cudaErrorStreamCaptureUnsupported); /* a child graph: not faked */
  exec->refs++;
  return cg_fake_enqueue (stream, __func__, run_exec, exec, exec_unref);
}

cudaError_t
cudaGraphGetNodes (cudaGraph_t graph, cudaGraphNode_t *nodes, size_t *n)
{
  CG_FAKE_CALL (cudaErrorUnknown);
  *n = graph->ops->len;
  return cudaSuccess;
}

void
cg_fake_streams_vanish (void)
{
  for (guint i = 0; streams && i < streams->len; i++) {
    Stream *stream = streams->pdata[i];
    g_queue_clear_full (&stream->queue, op_unref);
    stream_unref (stream);
  }
  for (guint i = 0; events && i < events->len; i++)
    event_end (events->pdata[i]);
  for (guint i = 0; execs && i < execs->len; i++)
    exec_unref (execs->pdata[i]);
  g_clear_pointer (&streams, g_ptr_array_unref);
  g_clear_pointer (&events, g_ptr_array_unref);
  g_clear_pointer (&execs, g_ptr_array_unref);
}
