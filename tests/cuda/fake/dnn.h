/* A plan of the fake cuDNN: the operations of its graph, with all that their tensors said.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <cudnn.h>

#include "numbers.h"
#include "private.h"

G_BEGIN_DECLS

#define CG_FAKE_MAX_DIMS 5
#define CG_FAKE_MAX_TENSORS 16
#define CG_FAKE_MAX_STEPS 8

/** CgFakeTensor: element (i0, i1, ...) is at sum i * @stride of the memory that the variant pack gives to @uid.
 * @virtual: no memory; lives during one run
 * @by_value: one number in host memory, read when the plan is executed */
typedef struct {
  gint64 uid, alignment;
  FakeType type;
  gint n;
  gint64 size[CG_FAKE_MAX_DIMS], stride[CG_FAKE_MAX_DIMS];
  gboolean virtual, by_value;
} CgFakeTensor;

typedef enum { CG_FAKE_MATMUL, CG_FAKE_POINTWISE, CG_FAKE_SDPA } CgFakeStepKind;

/** CgFakeStep: indices of tensors of the plan; -1: none. MATMUL: a b -> y. POINTWISE: a [b] -> y. SDPA: a = Q,
 * b = K, c = V, @scale, -> y */
typedef struct {
  CgFakeStepKind kind;
  cudnnPointwiseMode_t mode;
  gint a, b, c, scale, y;
} CgFakeStep;

typedef struct {
  guint refs;
  CgFakeTensor tensors[CG_FAKE_MAX_TENSORS];
  guint n_tensors;
  CgFakeStep steps[CG_FAKE_MAX_STEPS];
  guint n_steps;
  gsize workspace;
  gdouble microseconds;
} CgFakePlan;

/** CgFakeRun: a plan with its memory. @data: per tensor; @value: of those by value. */
typedef struct {
  CgFakePlan *plan;
  void *data[CG_FAKE_MAX_TENSORS];
  gdouble value[CG_FAKE_MAX_TENSORS];
  void *workspace;
} CgFakeRun;

/** cg_fake_dnn_run: checks where it reads and writes, then computes. For cg_fake_enqueue(). */
void cg_fake_dnn_run (void *run);

/** cg_fake_plan_supported: NULL, or why no engine computes this on sm @capability. */
const char *cg_fake_plan_supported (const CgFakePlan *plan, guint capability);

G_END_DECLS
