/* Windows on their way through the engine, and the thread that answers them: it takes each finished
 * window, decodes it, has the filter over time look at it, posts the message, gives it to the
 * captions and JSON lines, and keeps the newest answer for a buffer to carry.
 *
 * Calls marked "streaming" come from the streaming thread, the rest from any thread.
 * gst_city_guessr_answers_open() and _close() come from state changes, when no other call can be
 * under way but those marked "at any time". No call is made, and no message posted, with a lock
 * held that another call takes.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <gst/gst.h>

#include "model/decode.h"
#include "model/engine.h"
#include "outputs.h"

G_BEGIN_DECLS

typedef struct _GstCityGuessrAnswers GstCityGuessrAnswers;

/** GstCityGuessrAnswersStats: totals since reset: @windows = @answered + @failed + @dropped +
 * @flushed + @pending.
 * @latency, @max_latency: ns, of the last answer and of all; @latency is GST_CLOCK_TIME_NONE before
 * the first. */
typedef struct {
  guint64 windows, answered, failed, dropped, flushed;
  guint pending;
  GstClockTime latency, max_latency;
} GstCityGuessrAnswersStats;

/** GstCityGuessrAnswersOptions: how windows are decoded.
 * @track_memory: ns: the time constant of the filter over time; 0 = each window by itself */
typedef struct {
  CgDecodeOptions decode;
  GstClockTime track_memory;
} GstCityGuessrAnswersOptions;

/** GstCityGuessrWindow: a window to be answered; all pointers are borrowed.
 * @samples: [frames of the model], oldest first; one may stand several times
 * @numbers: [frames]: the number of each sample, counting up from 1 since open
 * @cut: the number of the newest sample that begins a new shot; 0 if there is none
 * @stretch: counts the stretches of the stream: the filter over time begins anew with each
 * @distinct: how many different samples these are; @partial: see report.h
 * @start, @end: PTS; @segment: in force when the window began
 * @arrived: g_get_monotonic_time() when its last sample came in
 * @closing: completed by the end of a stretch: its answer rides on no buffer */
typedef struct {
  CgSample *const *samples;
  const guint64 *numbers;
  guint64 cut, stretch;
  guint distinct;
  gboolean partial, closing;
  GstClockTime start, end;
  const GstSegment *segment;
  gint64 arrived;
} GstCityGuessrWindow;

/** gst_city_guessr_answers_new: @element: whose messages are posted; @outputs: who is told each
 * answer. Neither is referenced, and both outlive this.
 * Returns: (transfer full): gst_city_guessr_answers_free(), when closed. */
GstCityGuessrAnswers *gst_city_guessr_answers_new (GstElement *element,
                                                   GstCityGuessrOutputs *outputs);
void gst_city_guessr_answers_free (GstCityGuessrAnswers *answers);

/** gst_city_guessr_answers_open: begins anew with @engine (which it references) and starts the
 * thread. Returns FALSE, closed, if the system has no thread to give; @error is GThread's. */
gboolean gst_city_guessr_answers_open (GstCityGuessrAnswers *answers, CgEngine *engine,
                                       GError **error);

/** gst_city_guessr_answers_cancel: at any time: all that is under way is thrown away, every wait
 * ends, and nothing is taken any more until the next open. Returns at once. */
void gst_city_guessr_answers_cancel (GstCityGuessrAnswers *answers);

/** gst_city_guessr_answers_close: cancels, and waits for the thread. Not from a bus sync handler.
 */
void gst_city_guessr_answers_close (GstCityGuessrAnswers *answers);

/** gst_city_guessr_answers_begin_flush, _end_flush: at any time: between the two nothing is taken
 * and no wait lasts. What was under way is thrown away; a message that is being posted at this
 * moment may still arrive. Return at once. */
void gst_city_guessr_answers_begin_flush (GstCityGuessrAnswers *answers);
void gst_city_guessr_answers_end_flush (GstCityGuessrAnswers *answers);

/** gst_city_guessr_answers_submit: streaming: hands over a window. Live, it first makes room by
 * dropping the one that still waits for the engine, and says so in a QOS message; it never waits.
 * Offline, it waits for the answer.
 * Returns: GST_FLOW_FLUSHING if a flush or a cancel came first, GST_FLOW_ERROR if the engine is
 * lost. */
GstFlowReturn gst_city_guessr_answers_submit (GstCityGuessrAnswers *answers,
                                              const GstCityGuessrWindow *window, gboolean live);

/** gst_city_guessr_answers_wait: streaming: until every window is answered and its message posted.
 * Returns as submit. */
GstFlowReturn gst_city_guessr_answers_wait (GstCityGuessrAnswers *answers);

/** gst_city_guessr_answers_take_news: streaming: the newest answer that no buffer carries yet, or
 * NULL. Returns: (transfer full). */
GstStructure *gst_city_guessr_answers_take_news (GstCityGuessrAnswers *answers);

/** gst_city_guessr_answers_get_newest: any thread: the newest answer, whether or not a buffer carries
 * it. Returns: (transfer full) (nullable): the structure of report.h; NULL before the first. */
GstStructure *gst_city_guessr_answers_get_newest (GstCityGuessrAnswers *answers);

/** gst_city_guessr_answers_get_loss: any thread: why the engine is gone, once a window has found
 * out; every submit and wait fails from then on.
 * Returns: (transfer full) (nullable). */
GError *gst_city_guessr_answers_get_loss (GstCityGuessrAnswers *answers);

/** gst_city_guessr_answers_set_options: at any time: how windows are decoded from now on. */
void gst_city_guessr_answers_set_options (GstCityGuessrAnswers *answers,
                                          const GstCityGuessrAnswersOptions *options);

/** gst_city_guessr_answers_get_stats: at any time. _reset_stats: the totals begin at 0; while closed. */
void gst_city_guessr_answers_reset_stats (GstCityGuessrAnswers *answers);
void gst_city_guessr_answers_get_stats (GstCityGuessrAnswers *answers,
                                        GstCityGuessrAnswersStats *stats);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (GstCityGuessrAnswers, gst_city_guessr_answers_free)

G_END_DECLS
