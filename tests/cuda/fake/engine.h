/* The CUDA engine over the fakes and the emulated kernels: models, windows and comparisons for its tests.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "cuda/module.h"
#include "fake.h"
#include "model/network.h"
#include "model/reference.h"

G_BEGIN_DECLS

/** CgFakeModel: a small network with generated weights, and what it was folded into. */
typedef struct {
  CgNetwork *network;
  CgInput input;
  CgFolded *folded;
  CgGeometry geometry;
} CgFakeModel;

/** cg_fake_model_new: @heads heads of @head_width; mlp 4 times the width; @tokens_side x @tokens_side patches of 8
 * pixels in each of two tubelets of two frames. Frees what is in @model. */
void cg_fake_model_new (CgFakeModel *model, guint heads, guint head_width, guint tokens_side,
                        guint depth);
void cg_fake_model_clear (CgFakeModel *model);
/** cg_fake_model_fold: again, after @model->network was changed. */
void cg_fake_model_fold (CgFakeModel *model);

/** cg_fake_model_reference: generated window @window in double. g_free(). */
CgReferenceOutputs *cg_fake_model_reference (const CgFakeModel *model, guint64 window);

/** CgFakeEngine: an open engine with room for some windows, each of its own samples. */
#define CG_FAKE_WINDOWS 9
typedef struct {
  const CgFakeModel *model;
  const CgCudaModule *module;
  CgCudaEngine *engine;
  CgCudaSample *samples[CG_FAKE_WINDOWS * CG_MAX_FRAMES]; /* [windows][frames] */
  guint windows;
  CgOutputs *outputs[CG_FAKE_WINDOWS];
} CgFakeEngine;

/** cg_fake_emulate: kernels go through the fakes from now on. Once in a program. */
void cg_fake_emulate (void);

/** cg_fake_engine_open: with @windows windows of generated pictures in its samples, window i of them being window i.
 * FALSE with @error, everything given back, if a call failed. */
gboolean cg_fake_engine_open (CgFakeEngine *engine, const CgFakeModel *model,
                              const CgCudaOptions *options, guint windows, CgCudaError *error);
void cg_fake_engine_close (CgFakeEngine *engine);

/** cg_fake_engine_put: generated picture @i of window @window into @sample. */
gboolean cg_fake_engine_put (CgFakeEngine *engine, CgCudaSample *sample, guint64 window, guint i,
                             CgCudaError *error);

/** cg_fake_engine_run: windows 0..@n - 1 into @engine->outputs, which are filled with NaN before. */
gboolean cg_fake_engine_run (CgFakeEngine *engine, guint n, CgCudaError *error);

/** cg_fake_distance: |a - b| / |b|. */
gdouble cg_fake_distance (const float *a, const gdouble *b, guint n);
/** cg_fake_outputs_equal: whether all values are the same, bit for bit. */
gboolean cg_fake_outputs_equal (const CgFakeModel *model, const CgOutputs *a, const CgOutputs *b);
/** cg_fake_outputs_copy: g_free(). */
CgOutputs *cg_fake_outputs_copy (const CgFakeModel *model, const CgOutputs *outputs);

/** cg_fake_expect_clean: neither faults nor leaks; then cg_fake_reset(). */
void cg_fake_expect_clean (void);

G_END_DECLS
