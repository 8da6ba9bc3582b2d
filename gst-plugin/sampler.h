/* From the timestamps of a stream to samples, and from samples to windows. Pure logic: it knows
 * neither pictures nor models, takes no lock and reads no clock. Used by the streaming thread
 * alone.
 *
 * A stretch is a piece of stream in which time runs on without a break. It ends at
 *  - a PTS lower than the one before;
 *  - a gap: a PTS more than two intervals past the end of the frame before, which is its PTS + duration, or, if it has
 *    none, as far from it as it was from the one before it;
 *  - whatever the caller says ends it: EOS, a new segment, a flush.
 * The DISCONT flag ends nothing: it is on every frame after one that was dropped, as by QoS or a leaky queue.
 *
 * The grid of a stretch: t0 is the PTS of its first frame, and the targets are t0 + k * interval.
 * The sample of a target is the first frame with PTS >= target - tolerance, where tolerance = min
 * (1 ms, interval/8) absorbs rounded timestamps. A frame that is first for several targets is one
 * sample. So at f frames a second and an interval of 5/f the samples are exactly the frames 0, 5,
 * 10, … of the stretch, and of a stream with fewer frames than targets every frame is a sample.
 *
 * While the first window of a stretch is not full, sampling is denser, so that a short file is
 * answered from all of it: at level L = 5 … 0 the grid has the spacing interval / 2^L. When 2 *
 * frames samples are held, L falls by one (until there is room) and the samples that are not on the
 * coarser grid are forgotten. When `frames` samples of the interval's own grid (L = 0) are held,
 * they are the first window, and only that grid counts from then on.
 *
 * Windows: `frames` consecutive samples; the next one starts `hop` samples later. When a stretch
 * ends with samples that no window has covered:
 *  - after a full window: the last `frames` samples are one more window;
 *  - before it, with n >= min_samples held: position i of the window takes the held sample number
 *    floor (i (n - 1) / (frames - 1) + 1/2), and the window is partial if n < frames.
 *
 * Early windows, for who asks for them: while the first window is not full and n >= min_samples are
 * held, one more such window when the stretch has become one interval long, and each time that its
 * length has doubled since. They are always partial: better ones follow.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <gst/gst.h>

G_BEGIN_DECLS

typedef struct _GstCityGuessrSampler GstCityGuessrSampler;

/** GstCityGuessrSpan: a window's samples and time.
 * @samples: [frames], oldest first; one may stand several times. Borrowed: valid until the next
 * call that changes the sampler
 * @distinct: how many different samples these are
 * @partial: there were fewer than `frames`, or it is an early window
 * @start: PTS of the first sample
 * @end: PTS + duration of the last one (its PTS if the duration is unknown) */
typedef struct {
  const gpointer *samples;
  guint distinct;
  gboolean partial;
  GstClockTime start, end;
} GstCityGuessrSpan;

/** gst_city_guessr_sampler_new:
 * @frames: samples of a window, at least 2
 * @interval: from sample to sample, 1 ns to an hour
 * @release: frees one sample
 * Returns: (transfer full): gst_city_guessr_sampler_free(). */
GstCityGuessrSampler *gst_city_guessr_sampler_new (guint frames, GstClockTime interval,
                                                   GDestroyNotify release);
void gst_city_guessr_sampler_free (GstCityGuessrSampler *sampler);

/** gst_city_guessr_sampler_is_break: whether a frame with this @pts (valid) begins a new stretch.
 * If so, the caller asks for the last window, restarts, and only then goes on with the frame. */
gboolean gst_city_guessr_sampler_is_break (const GstCityGuessrSampler *sampler, GstClockTime pts);

/** gst_city_guessr_sampler_advance: time has come to a frame.
 * @pts: valid; @duration: may be GST_CLOCK_TIME_NONE, then taken as 0 but for gaps
 * Returns: whether the frame is a sample. If it holds no picture, or the picture cannot be had, the
 * caller just does not add it, and the next frame takes its place. */
gboolean gst_city_guessr_sampler_advance (GstCityGuessrSampler *sampler, GstClockTime pts,
                                          GstClockTime duration);

/** gst_city_guessr_sampler_add: adds the frame of the last advance, which returned TRUE.
 * @sample: (transfer full)
 * @hop: samples from window to window, at least 1
 * Returns: whether this completed a window; then @span is set. */
gboolean gst_city_guessr_sampler_add (GstCityGuessrSampler *sampler, gpointer sample, guint hop,
                                      GstCityGuessrSpan *span);

/** gst_city_guessr_sampler_last_window: the window that is due when the stretch ends here.
 * Returns: whether there is one; then @span is set. Changes nothing. */
gboolean gst_city_guessr_sampler_last_window (GstCityGuessrSampler *sampler, guint min_samples,
                                              GstCityGuessrSpan *span);

/** gst_city_guessr_sampler_early_window: after an add that completed no window.
 * Returns: whether an early window is due; then @span is set. */
gboolean gst_city_guessr_sampler_early_window (GstCityGuessrSampler *sampler, guint min_samples,
                                               GstCityGuessrSpan *span);

/** gst_city_guessr_sampler_restart: the next frame begins a stretch. Forgets everything but how far apart frames are. */
void gst_city_guessr_sampler_restart (GstCityGuessrSampler *sampler);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (GstCityGuessrSampler, gst_city_guessr_sampler_free)

G_END_DECLS
