/* Loading an engine in the background: a state change waits for it a fifth of a second at most, to see whether there is
 * none to be had; after that nobody does, but for a frame of video that is not live.
 *
 * A loader posts PROGRESS messages of the code "loading" (START, then COMPLETE, CANCELED or ERROR), an ERROR message if
 * there is no engine to be had, and a WARNING if device "auto" comes to the CPU although CUDA and a GPU are there.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <gst/gst.h>

#include "model/engine.h"

G_BEGIN_DECLS

typedef struct _GstCityGuessrLoader GstCityGuessrLoader;

/** GstCityGuessrLoaded: told, from the loading thread and with no lock held, that @engine is there. The loader keeps it
 * alive until it is cancelled. */
typedef void (*GstCityGuessrLoaded) (GstElement *element, CgEngine *engine);

/** gst_city_guessr_loader_start: begins to load.
 * @element: posts the messages; not referenced, outlives the loader
 * @model: as in cg_engine_get(); @options: copied
 * Returns: (transfer full): gst_city_guessr_loader_cancel(). NULL, with an ERROR message posted, if the system has no
 * thread to give. */
GstCityGuessrLoader *gst_city_guessr_loader_start (GstElement *element, const gchar *model,
                                                   const CgEngineOptions *options,
                                                   GstCityGuessrLoaded loaded);

/** gst_city_guessr_loader_fails_at_once: waits a fifth of a second at most. A failure that comes so soon is to fail the
 * state change: gst-launch-1.0 of GStreamer 1.22 loses an ERROR that is posted while it is not yet in its main loop, and
 * then waits for ever. Returns: whether there is no engine to be had, and the ERROR message is posted. */
gboolean gst_city_guessr_loader_fails_at_once (GstCityGuessrLoader *loader);

/** gst_city_guessr_loader_cancel: frees @loader. A model that is still being read after a twentieth of a
 * second is read on without anybody listening, and then dropped. Waits for messages that are being
 * posted, so not from a bus sync handler. No other call may be under way or come later.
 * Returns: (transfer full) (nullable): the engine, if it came in time. */
CgEngine *gst_city_guessr_loader_cancel (GstCityGuessrLoader *loader);

/** gst_city_guessr_loader_get_engine: any thread. Returns: (transfer full) (nullable): the engine, if it is there.
 * @failed: (out): whether it will never be. */
CgEngine *gst_city_guessr_loader_get_engine (GstCityGuessrLoader *loader, gboolean *failed);

/** gst_city_guessr_loader_wait: waits until the engine is there, has failed, or gst_city_guessr_loader_interrupt() is
 * called; returns as get_engine. One thread at a time. */
CgEngine *gst_city_guessr_loader_wait (GstCityGuessrLoader *loader, gboolean *failed);

/** gst_city_guessr_loader_interrupt: any thread: @interrupted: whether waits return at once, from now on. */
void gst_city_guessr_loader_interrupt (GstCityGuessrLoader *loader, gboolean interrupted);

G_END_DECLS
