/* The fake cuDNN's backend API: descriptors are tables of attributes, which cudnnBackendFinalize() checks.
 *
 * A graph has three proposals, of which the second can't be built, as happens with the real ones.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "dnn.h"

#include <stdbool.h>

#define N_CONFIGS 4
#define UNBUILDABLE 1
#define UNREPEATABLE 3
#define WORKSPACE 256 /* of the first configuration */

struct cudnnContext {
  cudaStream_t stream;
};

typedef struct {
  cudnnBackendAttributeType_t type;
  gint64 count;
  guint8 *values;
} Attribute;

typedef struct {
  guint refs;
  cudnnBackendDescriptorType_t type;
  gboolean finalized;
  GHashTable *attributes; /* name -> Attribute */
  GPtrArray *children;    /* descriptors that attributes name: they live as long */
  CgFakePlan *plan;       /* of a graph, a configuration or an execution plan */
  guint config;
} Descriptor;

static GHashTable *live; /* what the caller has not destroyed yet */
static GSList *handles;

#define CALL(failure) CG_FAKE_CALL_AS (failure, CUDNN_STATUS_EXECUTION_FAILED)

static void
plan_unref (CgFakePlan *plan)
{
  if (--plan->refs == 0)
    g_free (plan);
}

static CgFakePlan *
plan_ref (CgFakePlan *plan)
{
  plan->refs++;
  return plan;
}

static void
attribute_free (gpointer data)
{
  Attribute *attribute = data;
  g_free (attribute->values);
  g_free (attribute);
}

static void
descriptor_unref (gpointer data)
{
  Descriptor *descriptor = data;
  if (--descriptor->refs > 0)
    return;
  g_hash_table_unref (descriptor->attributes);
  g_ptr_array_unref (descriptor->children);
  g_clear_pointer (&descriptor->plan, plan_unref);
  g_free (descriptor);
}

static void
drop (gpointer descriptor, gpointer unused)
{
  descriptor_unref (descriptor);
}

void
cg_fake_dnn_vanish (void)
{
  g_slist_free_full (g_steal_pointer (&handles), g_free);
  if (cg_fake_settings.silent && live) {
    g_autoptr (GList) left = g_hash_table_get_keys (live);
    g_hash_table_remove_all (live);
    g_list_foreach (left, (GFunc)drop, NULL);
  }
}

guint
cg_fake_dnn_count (void)
{
  return g_slist_length (handles) + (live ? g_hash_table_size (live) : 0);
}

/* ---- handles and words ---- */

cudnnStatus_t
cudnnCreate (cudnnHandle_t *handle)
{
  CALL (CUDNN_STATUS_NOT_INITIALIZED);
  *handle = g_new0 (struct cudnnContext, 1);
  handles = g_slist_prepend (handles, *handle);
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t
cudnnDestroy (cudnnHandle_t handle)
{
  CG_FAKE_RELEASE_OF_CONTEXT (CUDNN_STATUS_NOT_INITIALIZED);
  handles = g_slist_remove (handles, handle);
  g_free (handle);
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t
cudnnSetStream (cudnnHandle_t handle, cudaStream_t stream)
{
  CALL (CUDNN_STATUS_BAD_PARAM);
  handle->stream = stream;
  return CUDNN_STATUS_SUCCESS;
}

size_t
cudnnGetVersion (void)
{
  return cg_fake_settings.dnn ? cg_fake_settings.dnn : CUDNN_VERSION;
}

size_t
cudnnGetCudartVersion (void)
{
  return CUDART_VERSION;
}

const char *
cudnnGetErrorString (cudnnStatus_t status)
{
  return status == CUDNN_STATUS_SUCCESS ? "CUDNN_STATUS_SUCCESS" : "a fake status of cuDNN";
}

void
cudnnGetLastErrorString (char *message, size_t size)
{
  g_strlcpy (message, "a fake error of cuDNN", size);
}

/* ---- descriptors ---- */

static gboolean
is_live (cudnnBackendDescriptor_t descriptor)
{
  return live && g_hash_table_contains (live, descriptor);
}

cudnnStatus_t
cudnnBackendCreateDescriptor (cudnnBackendDescriptorType_t type, cudnnBackendDescriptor_t *result)
{
  CALL (CUDNN_STATUS_ALLOC_FAILED);
  Descriptor *descriptor = g_new0 (Descriptor, 1);
  descriptor->refs = 1;
  descriptor->type = type;
  descriptor->attributes = g_hash_table_new_full (NULL, NULL, NULL, attribute_free);
  descriptor->children = g_ptr_array_new_with_free_func (descriptor_unref);
  if (!live)
    live = g_hash_table_new (NULL, NULL);
  g_hash_table_add (live, descriptor);
  *result = descriptor;
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t
cudnnBackendDestroyDescriptor (cudnnBackendDescriptor_t descriptor)
{
  CG_FAKE_RELEASE ();
  if (!is_live (descriptor)) {
    cg_fake_note ("cudnnBackendDestroyDescriptor: there is no such descriptor");
    return CUDNN_STATUS_BAD_PARAM;
  }
  g_hash_table_remove (live, descriptor);
  descriptor_unref (descriptor);
  return CUDNN_STATUS_SUCCESS;
}

static gsize
value_size (cudnnBackendAttributeType_t type)
{
  switch (type) {
  case CUDNN_TYPE_HANDLE:
  case CUDNN_TYPE_INT64:
  case CUDNN_TYPE_DOUBLE:
  case CUDNN_TYPE_VOID_PTR:
  case CUDNN_TYPE_BACKEND_DESCRIPTOR:
    return 8;
  case CUDNN_TYPE_BOOLEAN:
  case CUDNN_TYPE_CHAR:
    return 1;
  default:
    return 4; /* enumerations, floats */
  }
}

cudnnStatus_t
cudnnBackendSetAttribute (cudnnBackendDescriptor_t opaque, cudnnBackendAttributeName_t name,
                          cudnnBackendAttributeType_t type, int64_t count, const void *values)
{
  CALL (CUDNN_STATUS_BAD_PARAM);
  Descriptor *descriptor = opaque;
  if (!is_live (opaque)) {
    cg_fake_note ("cudnnBackendSetAttribute: there is no such descriptor");
    return CUDNN_STATUS_BAD_PARAM;
  }
  if (descriptor->finalized)
    return CUDNN_STATUS_NOT_INITIALIZED;
  if (count < 0 || (count > 0 && !values))
    return CUDNN_STATUS_BAD_PARAM;
  if (type == CUDNN_TYPE_BACKEND_DESCRIPTOR)
    for (gint64 i = 0; i < count; i++) {
      Descriptor *child = ((Descriptor *const *)values)[i];
      if (!is_live (child) || !child->finalized)
        return CUDNN_STATUS_BAD_PARAM;
      child->refs++;
      g_ptr_array_add (descriptor->children, child);
    }
  Attribute *attribute = g_new0 (Attribute, 1);
  attribute->type = type;
  attribute->count = count;
  attribute->values = g_memdup2 (values, (gsize)count * value_size (type));
  g_hash_table_replace (descriptor->attributes, GINT_TO_POINTER (name), attribute);
  return CUDNN_STATUS_SUCCESS;
}

/* ---- reading attributes ---- */

/* Up to @most values of @name; -1 if it was not set, or with another type. */
static gint64
read (const Descriptor *descriptor, cudnnBackendAttributeName_t name,
      cudnnBackendAttributeType_t type, gint64 most, void *values)
{
  const Attribute *attribute = g_hash_table_lookup (descriptor->attributes, GINT_TO_POINTER (name));
  if (!attribute || attribute->type != type || attribute->count > most)
    return -1;
  memcpy (values, attribute->values, (gsize)attribute->count * value_size (type));
  return attribute->count;
}

#define READ(descriptor, name, type, value) \
  (read (descriptor, CUDNN_ATTR_##name, CUDNN_TYPE_##type, 1, value) == 1)

static Descriptor *
read_child (const Descriptor *descriptor, cudnnBackendAttributeName_t name,
            cudnnBackendDescriptorType_t type)
{
  Descriptor *child;
  if (read (descriptor, name, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &child) != 1 || child->type != type)
    return NULL;
  return child;
}

static FakeType
fake_type (cudnnDataType_t type)
{
  switch (type) {
  case CUDNN_DATA_FLOAT:
    return FAKE_FP32;
  case CUDNN_DATA_HALF:
    return FAKE_FP16;
  case CUDNN_DATA_BFLOAT16:
    return FAKE_BF16;
  default:
    return FAKE_OTHER;
  }
}

static gboolean
parse_tensor (const Descriptor *d, CgFakeTensor *t)
{
  cudnnDataType_t type;
  bool flag;
  const gint64 n =
      read (d, CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_INT64, CG_FAKE_MAX_DIMS, t->size);

  if (!READ (d, TENSOR_UNIQUE_ID, INT64, &t->uid) ||
      !READ (d, TENSOR_DATA_TYPE, DATA_TYPE, &type) ||
      !READ (d, TENSOR_BYTE_ALIGNMENT, INT64, &t->alignment) || n < 1 ||
      read (d, CUDNN_ATTR_TENSOR_STRIDES, CUDNN_TYPE_INT64, CG_FAKE_MAX_DIMS, t->stride) != n)
    return FALSE;
  t->n = (gint)n;
  t->type = fake_type (type);
  t->virtual = READ (d, TENSOR_IS_VIRTUAL, BOOLEAN, &flag) && flag;
  t->by_value = READ (d, TENSOR_IS_BY_VALUE, BOOLEAN, &flag) && flag;
  for (gint i = 0; i < t->n; i++)
    if (t->size[i] < 1 || t->stride[i] < 1)
      return FALSE;
  return t->type != FAKE_OTHER && t->alignment >= (gint64)fake_size (t->type) &&
         (t->alignment & (t->alignment - 1)) == 0;
}

/* The number in @plan of the tensor that attribute @name of @operation is: -1 if it is none, -2 if it contradicts
 * another one with the same id. */
static gint
add_tensor (CgFakePlan *plan, const Descriptor *operation, cudnnBackendAttributeName_t name)
{
  const Descriptor *child = read_child (operation, name, CUDNN_BACKEND_TENSOR_DESCRIPTOR);
  CgFakeTensor tensor = { 0 };

  if (!child || !parse_tensor (child, &tensor))
    return -1;
  for (guint i = 0; i < plan->n_tensors; i++)
    if (plan->tensors[i].uid == tensor.uid)
      return memcmp (&plan->tensors[i], &tensor, sizeof tensor) == 0 ? (gint)i : -2;
  if (plan->n_tensors == CG_FAKE_MAX_TENSORS)
    return -2;
  plan->tensors[plan->n_tensors] = tensor;
  return (gint)plan->n_tensors++;
}

/* ---- operations ---- */

/* Whether @part can be repeated to @whole. */
static gboolean
broadcasts (const CgFakeTensor *part, const CgFakeTensor *whole, gint n)
{
  for (gint i = 0; i < n; i++)
    if (part->size[i] != whole->size[i] && part->size[i] != 1)
      return FALSE;
  return TRUE;
}

static gboolean
parse_matmul (CgFakePlan *plan, const Descriptor *d, CgFakeStep *step)
{
  const Descriptor *how =
      read_child (d, CUDNN_ATTR_OPERATION_MATMUL_DESC, CUDNN_BACKEND_MATMUL_DESCRIPTOR);
  cudnnDataType_t compute;

  step->kind = CG_FAKE_MATMUL;
  step->a = add_tensor (plan, d, CUDNN_ATTR_OPERATION_MATMUL_ADESC);
  step->b = add_tensor (plan, d, CUDNN_ATTR_OPERATION_MATMUL_BDESC);
  step->y = add_tensor (plan, d, CUDNN_ATTR_OPERATION_MATMUL_CDESC);
  if (step->a < 0 || step->b < 0 || step->y < 0 || !how ||
      !READ (how, MATMUL_COMP_TYPE, DATA_TYPE, &compute) || compute != CUDNN_DATA_FLOAT)
    return FALSE;
  const CgFakeTensor *a = &plan->tensors[step->a], *b = &plan->tensors[step->b],
                     *y = &plan->tensors[step->y];
  return a->n == y->n && b->n == y->n && y->n >= 2 && a->type == b->type &&
         a->size[a->n - 2] == y->size[y->n - 2] && b->size[b->n - 1] == y->size[y->n - 1] &&
         a->size[a->n - 1] == b->size[b->n - 2] && broadcasts (a, y, y->n - 2) &&
         broadcasts (b, y, y->n - 2);
}

static gboolean
takes_two (cudnnPointwiseMode_t mode)
{
  return mode == CUDNN_POINTWISE_ADD || mode == CUDNN_POINTWISE_SUB ||
         mode == CUDNN_POINTWISE_MUL || mode == CUDNN_POINTWISE_MAX;
}

static gboolean
parse_pointwise (CgFakePlan *plan, const Descriptor *d, CgFakeStep *step)
{
  const Descriptor *how = read_child (d, CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR,
                                      CUDNN_BACKEND_POINTWISE_DESCRIPTOR);
  cudnnDataType_t precision;

  step->kind = CG_FAKE_POINTWISE;
  step->a = add_tensor (plan, d, CUDNN_ATTR_OPERATION_POINTWISE_XDESC);
  step->b = add_tensor (plan, d, CUDNN_ATTR_OPERATION_POINTWISE_BDESC);
  step->y = add_tensor (plan, d, CUDNN_ATTR_OPERATION_POINTWISE_YDESC);
  if (step->a < 0 || step->b == -2 || step->y < 0 || !how ||
      !READ (how, POINTWISE_MODE, POINTWISE_MODE, &step->mode) ||
      !READ (how, POINTWISE_MATH_PREC, DATA_TYPE, &precision) || precision != CUDNN_DATA_FLOAT)
    return FALSE;
  if (takes_two (step->mode) != (step->b >= 0))
    return FALSE;
  const CgFakeTensor *y = &plan->tensors[step->y];
  return plan->tensors[step->a].n == y->n && broadcasts (&plan->tensors[step->a], y, y->n) &&
         (step->b < 0 ||
          (plan->tensors[step->b].n == y->n && broadcasts (&plan->tensors[step->b], y, y->n)));
}

static gboolean
parse_sdpa (CgFakePlan *plan, const Descriptor *d, CgFakeStep *step)
{
  step->kind = CG_FAKE_SDPA;
  step->a = add_tensor (plan, d, CUDNN_ATTR_OPERATION_SDPA_FWD_QDESC);
  step->b = add_tensor (plan, d, CUDNN_ATTR_OPERATION_SDPA_FWD_KDESC);
  step->c = add_tensor (plan, d, CUDNN_ATTR_OPERATION_SDPA_FWD_VDESC);
  step->y = add_tensor (plan, d, CUDNN_ATTR_OPERATION_SDPA_FWD_ODESC);
  step->scale = add_tensor (plan, d, CUDNN_ATTR_OPERATION_SDPA_FWD_SCALEDESC);
  if (step->a < 0 || step->b < 0 || step->c < 0 || step->y < 0 || step->scale == -2)
    return FALSE;
  const CgFakeTensor *q = &plan->tensors[step->a], *k = &plan->tensors[step->b],
                     *v = &plan->tensors[step->c], *y = &plan->tensors[step->y];
  return q->n == 4 && k->n == 4 && v->n == 4 && y->n == 4 && q->size[0] == y->size[0] &&
         q->size[0] == k->size[0] && q->size[0] == v->size[0] && q->size[1] == k->size[1] &&
         q->size[1] == v->size[1] && q->size[1] == y->size[1] && q->size[2] == y->size[2] &&
         k->size[2] == v->size[2] && q->size[3] == k->size[3] && v->size[3] == y->size[3] &&
         q->type == k->type && q->type == v->type && q->type == y->type;
}

static gboolean
parse_operation (CgFakePlan *plan, const Descriptor *d, CgFakeStep *step)
{
  *step = (CgFakeStep){ .a = -1, .b = -1, .c = -1, .scale = -1, .y = -1 };
  switch (d->type) {
  case CUDNN_BACKEND_OPERATION_MATMUL_DESCRIPTOR:
    return parse_matmul (plan, d, step);
  case CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR:
    return parse_pointwise (plan, d, step);
  case CUDNN_BACKEND_OPERATION_SDPA_FWD_DESCRIPTOR:
    return parse_sdpa (plan, d, step);
  default:
    return FALSE;
  }
}

/* Operations in order, each virtual tensor written before it is read, the last result in memory. */
static gboolean
parse_graph (const Descriptor *d, CgFakePlan *plan)
{
  Descriptor *operations[CG_FAKE_MAX_STEPS];
  const gint64 n = read (d, CUDNN_ATTR_OPERATIONGRAPH_OPS, CUDNN_TYPE_BACKEND_DESCRIPTOR,
                         CG_FAKE_MAX_STEPS, operations);
  gboolean written[CG_FAKE_MAX_TENSORS] = { FALSE };

  if (n < 1)
    return FALSE;
  for (gint64 i = 0; i < n; i++) {
    CgFakeStep *step = &plan->steps[i];
    if (!parse_operation (plan, operations[i], step))
      return FALSE;
    const gint inputs[] = { step->a, step->b, step->c };
    for (guint k = 0; k < G_N_ELEMENTS (inputs); k++)
      if (inputs[k] >= 0 && plan->tensors[inputs[k]].virtual && !written[inputs[k]])
        return FALSE;
    written[step->y] = TRUE;
  }
  plan->n_steps = (guint)n;
  return !plan->tensors[plan->steps[n - 1].y].virtual;
}

/* ---- finalizing ---- */

static cudnnStatus_t
finalize_graph (Descriptor *d)
{
  d->plan = g_new0 (CgFakePlan, 1);
  d->plan->refs = 1;
  return parse_graph (d, d->plan) ? CUDNN_STATUS_SUCCESS : CUDNN_STATUS_BAD_PARAM;
}

static cudnnStatus_t
finalize_heuristics (Descriptor *d)
{
  const Descriptor *graph = read_child (d, CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH,
                                        CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
  cudnnBackendHeurMode_t mode;
  if (!graph || !READ (d, ENGINEHEUR_MODE, HEUR_MODE, &mode))
    return CUDNN_STATUS_BAD_PARAM;
  d->plan = plan_ref (graph->plan);
  return CUDNN_STATUS_SUCCESS;
}

static cudnnStatus_t
finalize_plan (Descriptor *d)
{
  const Descriptor *config =
      read_child (d, CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, CUDNN_BACKEND_ENGINECFG_DESCRIPTOR);
  cudnnHandle_t handle;
  if (!config ||
      (!READ (d, EXECUTION_PLAN_HANDLE, HANDLE, &handle) &&
       !read_child (d, CUDNN_ATTR_EXECUTION_PLAN_DEVICEPROP, CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR)))
    return CUDNN_STATUS_BAD_PARAM;
  if (config->config == UNBUILDABLE)
    return CUDNN_STATUS_NOT_SUPPORTED;
  if (config->config == UNREPEATABLE)
    cg_fake_note ("a plan whose answers cannot be repeated");
  d->plan = g_memdup2 (config->plan, sizeof *config->plan);
  d->plan->refs = 1;
  d->config = config->config;
  d->plan->workspace = config->config == 0 ? WORKSPACE : 0;
  d->plan->microseconds =
      1 + cg_fake_random ((guint64)d->plan->tensors[0].size[0] * 7919 + config->config) % 97;
  return CUDNN_STATUS_SUCCESS;
}

/* An operation alone: what its graph would refuse. */
static cudnnStatus_t
finalize_operation (const Descriptor *d)
{
  g_autofree CgFakePlan *plan = g_new0 (CgFakePlan, 1);
  return parse_operation (plan, d, &plan->steps[0]) ? CUDNN_STATUS_SUCCESS : CUDNN_STATUS_BAD_PARAM;
}

static cudnnStatus_t
finalize_pack (const Descriptor *d)
{
  gint64 ids[CG_FAKE_MAX_TENSORS];
  void *pointers[CG_FAKE_MAX_TENSORS];
  const gint64 n =
      read (d, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CUDNN_TYPE_INT64, CG_FAKE_MAX_TENSORS, ids);
  return n > 0 && read (d, CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR,
                        CG_FAKE_MAX_TENSORS, pointers) == n
             ? CUDNN_STATUS_SUCCESS
             : CUDNN_STATUS_BAD_PARAM;
}

cudnnStatus_t
cudnnBackendFinalize (cudnnBackendDescriptor_t opaque)
{
  CALL (CUDNN_STATUS_INTERNAL_ERROR);
  Descriptor *d = opaque;
  CgFakeTensor tensor = { 0 };
  cudnnStatus_t status = CUDNN_STATUS_SUCCESS;

  if (!is_live (d) || d->finalized)
    return CUDNN_STATUS_BAD_PARAM;
  switch (d->type) {
  case CUDNN_BACKEND_TENSOR_DESCRIPTOR:
    status = parse_tensor (d, &tensor) ? CUDNN_STATUS_SUCCESS : CUDNN_STATUS_BAD_PARAM;
    break;
  case CUDNN_BACKEND_OPERATION_MATMUL_DESCRIPTOR:
  case CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR:
  case CUDNN_BACKEND_OPERATION_SDPA_FWD_DESCRIPTOR:
    status = finalize_operation (d);
    break;
  case CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR:
    status = finalize_graph (d);
    break;
  case CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR:
    status = finalize_heuristics (d);
    break;
  case CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR:
    status = finalize_plan (d);
    break;
  case CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR:
    status = finalize_pack (d);
    break;
  default:
    break;
  }
  d->finalized = status == CUDNN_STATUS_SUCCESS;
  return status;
}

/* ---- what the library tells ---- */

static cudnnStatus_t
get_results (const Descriptor *d, gint64 requested, gint64 *count, Descriptor *const *results)
{
  const gint64 n = cg_fake_plan_supported (d->plan, cg_fake_settings.capability) ? 0 : N_CONFIGS;

  if (count)
    *count = n;
  for (gint64 i = 0; results && i < MIN (n, requested); i++) {
    Descriptor *config = results[i];
    if (!is_live (config) || config->type != CUDNN_BACKEND_ENGINECFG_DESCRIPTOR ||
        config->finalized)
      return CUDNN_STATUS_BAD_PARAM;
    config->plan = plan_ref (d->plan);
    config->config = (guint)i;
    config->finalized = TRUE;
  }
  return CUDNN_STATUS_SUCCESS;
}

static cudnnStatus_t
get_engine (const Descriptor *d, gint64 requested, gint64 *count, Descriptor *const *result)
{
  Descriptor *engine = requested == 1 && result ? result[0] : NULL;

  if (!engine || !is_live (engine) || engine->type != CUDNN_BACKEND_ENGINE_DESCRIPTOR)
    return CUDNN_STATUS_BAD_PARAM;
  engine->config = d->config;
  engine->finalized = TRUE;
  *count = 1;
  return CUDNN_STATUS_SUCCESS;
}

static cudnnStatus_t
get_notes (const Descriptor *d, gint64 requested, gint64 *count,
           cudnnBackendNumericalNote_t *result)
{
  if (requested < 1 || !result)
    return CUDNN_STATUS_BAD_PARAM;
  result[0] = d->config == UNREPEATABLE ? CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC
                                        : CUDNN_NUMERICAL_NOTE_TENSOR_CORE;
  *count = 1;
  return CUDNN_STATUS_SUCCESS;
}

static cudnnStatus_t
get_integer (gint64 value, cudnnBackendAttributeType_t type, gint64 requested, gint64 *count,
             void *result)
{
  if (type != CUDNN_TYPE_INT64)
    return CUDNN_STATUS_BAD_PARAM;
  if (count)
    *count = 1;
  if (requested > 0 && result)
    memcpy (result, &value, sizeof value);
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t
cudnnBackendGetAttribute (cudnnBackendDescriptor_t const opaque, cudnnBackendAttributeName_t name,
                          cudnnBackendAttributeType_t type, int64_t requested, int64_t *count,
                          void *values)
{
  CALL (CUDNN_STATUS_INTERNAL_ERROR);
  const Descriptor *d = opaque;
  if (!is_live (opaque) || !d->finalized)
    return CUDNN_STATUS_BAD_PARAM;
  switch (name) {
  case CUDNN_ATTR_ENGINEHEUR_RESULTS:
    return d->type == CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR && type == CUDNN_TYPE_BACKEND_DESCRIPTOR
               ? get_results (d, requested, count, values)
               : CUDNN_STATUS_BAD_PARAM;
  case CUDNN_ATTR_ENGINECFG_ENGINE:
    return d->type == CUDNN_BACKEND_ENGINECFG_DESCRIPTOR && type == CUDNN_TYPE_BACKEND_DESCRIPTOR
               ? get_engine (d, requested, count, values)
               : CUDNN_STATUS_BAD_PARAM;
  case CUDNN_ATTR_ENGINE_NUMERICAL_NOTE:
    return d->type == CUDNN_BACKEND_ENGINE_DESCRIPTOR && type == CUDNN_TYPE_NUMERICAL_NOTE
               ? get_notes (d, requested, count, values)
               : CUDNN_STATUS_BAD_PARAM;
  case CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE:
    return d->type == CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR
               ? get_integer ((gint64)d->plan->workspace, type, requested, count, values)
               : CUDNN_STATUS_BAD_PARAM;
  default:
    cg_fake_note ("cudnnBackendGetAttribute: %d is not faked", name);
    return CUDNN_STATUS_NOT_SUPPORTED;
  }
}

/* ---- execution ---- */

static void
run_free (gpointer data)
{
  CgFakeRun *run = data;
  plan_unref (run->plan);
  g_free (run);
}

/* Gives every tensor its memory, as @pack says. */
static gboolean
bind (CgFakeRun *run, const Descriptor *pack)
{
  gint64 ids[CG_FAKE_MAX_TENSORS];
  void *pointers[CG_FAKE_MAX_TENSORS];
  const gint64 n =
      read (pack, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CUDNN_TYPE_INT64, CG_FAKE_MAX_TENSORS, ids);
  read (pack, CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, CG_FAKE_MAX_TENSORS,
        pointers);

  for (guint i = 0; i < run->plan->n_tensors; i++) {
    const CgFakeTensor *t = &run->plan->tensors[i];
    for (gint64 k = 0; k < n; k++)
      if (ids[k] == t->uid)
        run->data[i] = pointers[k];
    if (t->virtual)
      continue;
    if (!run->data[i]) {
      cg_fake_note ("cudnnBackendExecute: tensor %" G_GINT64_FORMAT " has no memory", t->uid);
      return FALSE;
    }
    if (t->by_value)
      run->value[i] = fake_load (t->type, run->data[i], 0);
    else if ((gsize)run->data[i] % (gsize)t->alignment) {
      cg_fake_note ("cudnnBackendExecute: tensor %" G_GINT64_FORMAT
                    " is not aligned to %" G_GINT64_FORMAT " bytes",
                    t->uid, t->alignment);
      return FALSE;
    }
  }
  return TRUE;
}

cudnnStatus_t
cudnnBackendExecute (cudnnHandle_t handle, cudnnBackendDescriptor_t opaque,
                     cudnnBackendDescriptor_t pack)
{
  CALL (CUDNN_STATUS_EXECUTION_FAILED);
  Descriptor *d = opaque, *p = pack;
  if (!handle || !is_live (d) || !is_live (p) || !d->finalized || !p->finalized ||
      d->type != CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR ||
      p->type != CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR)
    return CUDNN_STATUS_BAD_PARAM;
  CgFakeRun *run = g_new0 (CgFakeRun, 1);
  run->plan = plan_ref (d->plan);
  if (!bind (run, p) ||
      (d->plan->workspace && !READ (p, VARIANT_PACK_WORKSPACE, VOID_PTR, &run->workspace))) {
    run_free (run);
    return CUDNN_STATUS_BAD_PARAM;
  }
  return cg_fake_enqueue (handle->stream, __func__, cg_fake_dnn_run, run, run_free) == cudaSuccess
             ? CUDNN_STATUS_SUCCESS
             : CUDNN_STATUS_EXECUTION_FAILED;
}
