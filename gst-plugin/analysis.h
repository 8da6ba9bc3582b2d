/* What happens to a stream of frames: they become samples, the samples windows, and the windows are
 * handed to be answered (answers.h). It owns the engine, which is loaded in the background
 * (loader.h), and replaces a lost one.
 *
 * Calls marked "streaming" come from the streaming thread, the rest from any thread.
 * gst_city_guessr_analysis_start(), _stop() and _close() come from state changes, when no other call
 * can be under way but those marked "at any time".
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <gst/video/video.h>

#include "loader.h"
#include "settings.h"

G_BEGIN_DECLS

typedef struct _GstCityGuessrAnalysis GstCityGuessrAnalysis;

/** GstCityGuessrAnalysisStats: totals since start, and those of the windows.
 * @untimed_frames: without a PTS; @unseen_frames: live, before the model was loaded
 * @failed_samples: pictures that could not be converted */
typedef struct {
  guint64 frames, untimed_frames, unseen_frames;
  guint64 samples, failed_samples, cuts;
  gboolean live;
  GstCityGuessrAnswersStats windows;
} GstCityGuessrAnalysisStats;

/** gst_city_guessr_analysis_new:
 * @element: posts the messages; its sink pad is asked whether the stream is live
 * @settings: read under the object lock of @element
 * @outputs: told each answer
 * @loaded: told of each engine, see loader.h
 * None is referenced or copied, and all outlive this.
 * Returns: (transfer full): gst_city_guessr_analysis_free(), when stopped and closed. */
GstCityGuessrAnalysis *gst_city_guessr_analysis_new (GstElement *element,
                                                     const GstCityGuessrSettings *settings,
                                                     GstCityGuessrOutputs *outputs,
                                                     GstCityGuessrLoaded loaded);
void gst_city_guessr_analysis_free (GstCityGuessrAnalysis *analysis);

/** gst_city_guessr_analysis_start: READY->PAUSED: begins to load the engine. @options: of the engine, copied.
 * Returns: FALSE, with an ERROR message posted, if there is no model, no thread, or soon seen to be no engine. */
gboolean gst_city_guessr_analysis_start (GstCityGuessrAnalysis *analysis,
                                         const CgEngineOptions *options);

/** gst_city_guessr_analysis_cancel: at any time: every wait ends, nothing is taken any more until
 * the next start. Returns at once. */
void gst_city_guessr_analysis_cancel (GstCityGuessrAnalysis *analysis);

/** gst_city_guessr_analysis_stop: PAUSED->READY: cancels, and waits for the answering thread. The
 * engine is kept for the next start. */
void gst_city_guessr_analysis_stop (GstCityGuessrAnalysis *analysis);

/** gst_city_guessr_analysis_close: READY->NULL: gives the engine back. */
void gst_city_guessr_analysis_close (GstCityGuessrAnalysis *analysis);

/** gst_city_guessr_analysis_begin_flush, _end_flush: at any time, streaming: see answers.h. */
void gst_city_guessr_analysis_begin_flush (GstCityGuessrAnalysis *analysis);
void gst_city_guessr_analysis_end_flush (GstCityGuessrAnalysis *analysis);

/** gst_city_guessr_analysis_set_format: streaming: of the frames that follow. */
void gst_city_guessr_analysis_set_format (GstCityGuessrAnalysis *analysis,
                                          const GstVideoInfo *info);

/** gst_city_guessr_analysis_set_segment: streaming: of the frames that follow. Another one than
 * before ends the stretch. */
void gst_city_guessr_analysis_set_segment (GstCityGuessrAnalysis *analysis,
                                           const GstSegment *segment);

/** gst_city_guessr_analysis_new_stream: streaming: STREAM_START: ends the stretch. */
void gst_city_guessr_analysis_new_stream (GstCityGuessrAnalysis *analysis);

/** gst_city_guessr_analysis_take_frame: streaming: looks at @buffer, which is about to go on. Live, it returns
 * at once; offline, it waits for the engine to be loaded and for the answer of a window that this completes.
 * @visible: (out): whether the frame takes part: it has a time, plays forwards, lies in the segment
 * Returns: GST_FLOW_FLUSHING, or GST_FLOW_ERROR with an ERROR message posted. */
GstFlowReturn gst_city_guessr_analysis_take_frame (GstCityGuessrAnalysis *analysis,
                                                   GstBuffer *buffer, gboolean *visible);

/** gst_city_guessr_analysis_drain: streaming: the stretch ends (EOS, SEGMENT_DONE): its last window,
 * and all others, are answered when this returns, unless a flush or a cancel came first. */
void gst_city_guessr_analysis_drain (GstCityGuessrAnalysis *analysis);

/** gst_city_guessr_analysis_get_answers: what was answered: news, place. */
GstCityGuessrAnswers *gst_city_guessr_analysis_get_answers (GstCityGuessrAnalysis *analysis);

/** gst_city_guessr_analysis_settings_changed, _latency_changed: at any time: the settings are to be
 * read again; it may be another matter whether the stream is live. */
void gst_city_guessr_analysis_settings_changed (GstCityGuessrAnalysis *analysis);
void gst_city_guessr_analysis_latency_changed (GstCityGuessrAnalysis *analysis);

/** gst_city_guessr_analysis_is_live: at any time: whether the last frame was taken live. */
gboolean gst_city_guessr_analysis_is_live (GstCityGuessrAnalysis *analysis);

/** gst_city_guessr_analysis_get_stats: at any time. */
void gst_city_guessr_analysis_get_stats (GstCityGuessrAnalysis *analysis,
                                         GstCityGuessrAnalysisStats *stats);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (GstCityGuessrAnalysis, gst_city_guessr_analysis_free)

G_END_DECLS
