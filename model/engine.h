/* Engines: what computes windows, the registry of running engines, and the batching queue.
 *
 * A CgEngine serves every user in the process that asks for the same model, device and precision.
 * It has one thread of its own, takes windows from all its clients, batches what is waiting (it
 * never waits for more), and is fair between clients (round robin, one window each, oldest first).
 *
 *   element A: samples --> CgClient A --waiting--+
 *                                                +--> engine thread: batch --> CgBackend.run ()
 *   element B: samples --> CgClient B --waiting--+            |
 *        ^                                                    v
 *        +---- cg_client_pop () <---- finished, in order, per client
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "frame.h"
#include "model.h"
#include "shot.h"

G_BEGIN_DECLS

typedef enum { CG_DEVICE_AUTO, CG_DEVICE_CPU, CG_DEVICE_NULL, CG_DEVICE_CUDA } CgDevice;
typedef enum {
  CG_PRECISION_AUTO,
  CG_PRECISION_FP32,
  CG_PRECISION_BF16,
  CG_PRECISION_FP16,
} CgPrecision;

/** CgEngineOptions: what an engine is. Zero-initialise for the defaults.
 * @device: AUTO = CUDA if it works here, else the CPU; the CPU if @isa is set
 * @precision: AUTO = fp16 with CUDA (bf16 if that overflows); on the CPU bf16 where that is faster (or @isa has it), else
 *   fp32. FP16: CUDA only
 * @cuda_device: CUDA's number of the GPU
 * @threads: CPU threads, 0 = one for each CPU this process may run on
 * @isa: NULL = the best this CPU has; else one of cg_cpu_isa_names() (cpu/cpu.h), for tests and benchmarks
 * @null_delay_us: the null engine takes this long for a batch; it stands for compute time in tests
 * @null_fail_at: the null engine fails its n-th window (from 1) with CG_ERROR_COMPUTE; 0 = never
 * @null_lose_at: the same with CG_ERROR_DEVICE_LOST, and every window and sample after it
 * @null_load_us: opening the null engine takes this long; it stands for the loading of a model
 */
typedef struct {
  CgDevice device;
  CgPrecision precision;
  guint cuda_device;
  guint threads;
  const char *isa;
  guint null_delay_us;
  guint null_fail_at;
  guint null_lose_at;
  guint null_load_us;
} CgEngineOptions;

typedef struct _CgEngine CgEngine;
typedef struct _CgClient CgClient;

/* ---- the interface that cpu/, the null engine and the CUDA module implement ---- */

#define CG_BACKEND_ABI 2

/** CgBackend: all functions return FALSE or NULL with @error set on failure and never block for longer than
 * their own computation.
 * @reads_cuda: whether @sample_put takes frames in CG_MEMORY_CUDA; to others none is ever given
 * @batch_shows: whether the last digits of a window's answer depend on how many windows were computed with it
 * @open: takes what it needs out of @network (which the caller frees afterwards)
 * @describe: "cpu avx512 fp32, 2 threads", static for the life of @self
 * @sample_new, @sample_free: room for one model-size frame. Any thread.
 * @sample_put: converts and resizes @frame into @sample (antialiased bilinear to image x image, aspect not
 *   kept; u8 RGB). Any thread; different samples at the same time. @frame is not read after it returns.
 * @sample_get: the model frame that was put last, [image][image][3]. Any thread, but not during a put. NULL without
 *   @reads_cuda
 * @run: n windows; @samples is [n][frames]; @outputs[n] are to be filled, scene and text where not NULL.
 *   Engine thread only. Stops early with CG_ERROR_COMPUTE when *@cancel becomes non-zero (atomic).
 */
typedef struct {
  guint abi;
  const char *name;
  guint max_batch;
  gboolean reads_cuda, batch_shows;
  gpointer (*open) (const CgModel *model, const CgNetwork *network, const CgEngineOptions *options,
                    GError **error);
  void (*close) (gpointer self);
  const char *(*describe) (gpointer self);
  gpointer (*sample_new) (gpointer self, GError **error);
  void (*sample_free) (gpointer self, gpointer sample);
  gboolean (*sample_put) (gpointer self, gpointer sample, const CgFrame *frame, GError **error);
  gboolean (*sample_get) (gpointer self, gpointer sample, guint8 *pixels, GError **error);
  gboolean (*run) (gpointer self, gpointer const *samples, guint n, CgOutputs *const *outputs,
                   const gint *cancel, GError **error);
} CgBackend;

const CgBackend *cg_backend_cpu (void);  /* cpu/cpu.c */
const CgBackend *cg_backend_null (void); /* null.c: answers from a hash of the window's frames */
                                         /* cg_backend_cuda (): cuda.h */

/* ---- engines ---- */

/** cg_engine_get: the running engine for (model file, options), or a new one. The key is the file's
 * device, inode, size and modification time, so a file that was replaced makes a new engine. Blocks while the
 * model loads (full size: under a second; with CUDA some seconds, and the first time on a GPU the half minute that it
 * takes to time all ways to compute); a second caller for the same key waits for the first.
 * @path: a model file, or "generated:PRESET:SEED" (untrained weights, for benchmarks and tests)
 * Returns: (transfer full). Any thread. */
CgEngine *cg_engine_get (const char *path, const CgEngineOptions *options, GError **error);

/** cg_engine_get_noting: the same.
 * @cancel: (nullable): atomic: ends it soon, with CG_ERROR_COMPUTE, if it becomes non-zero before this call has itself
 *   begun to load; it is set by cg_engine_cancel_get()
 * @note: (out) (transfer full) (nullable): why device AUTO came to the CPU, for the
 * user, where the CUDA engine is installed; else NULL: without it the CPU is no surprise. */
CgEngine *cg_engine_get_noting (const char *path, const CgEngineOptions *options,
                                const gint *cancel, char **note, GError **error);

/** cg_engine_cancel_get: sets *@cancel to 1, and wakes who waits with it for another's load. Any thread. */
void cg_engine_cancel_get (gint *cancel);

/** cg_engine_new: from a model in hand, never shared; AUTO is the CPU. @network is only read during the call. */
CgEngine *cg_engine_new (CgModel *model, const CgNetwork *network, const CgEngineOptions *options,
                         GError **error);

CgEngine *cg_engine_ref (CgEngine *engine);
/** cg_engine_unref: the last one cancels what runs and joins the thread. Not from the engine's thread. */
void cg_engine_unref (CgEngine *engine);

/** cg_engine_model: what the engine computes, without its weights; as long as @engine lives. */
const CgModel *cg_engine_model (const CgEngine *engine);
const char *cg_engine_describe (const CgEngine *engine); /* "cpu avx512 fp32, 2 threads" */
const char *cg_engine_device (const CgEngine *engine);   /* "cpu", "cuda", "null" */

/** CgEngineStats: totals since the engine started. Times in microseconds.
 * @windows, @failed: answered with outputs, with an error
 * @cancelled: taken back by flush, close or free before an answer; not those of drop_oldest
 * @batches, @busy_us, @largest_batch: of CgBackend.run() */
typedef struct {
  guint64 windows, batches, failed, cancelled;
  guint64 busy_us;
  guint largest_batch;
} CgEngineStats;
void cg_engine_stats (CgEngine *engine, CgEngineStats *stats);

/** cg_engine_reads: whether @engine takes pictures in @memory. System memory always. Any thread. */
gboolean cg_engine_reads (const CgEngine *engine, CgMemory memory);

/* ---- samples: model-size frames, reference counted, from the engine's pool ---- */

typedef struct _CgSample CgSample;

/** cg_frame_of_sample: @pixels, [image][image][3], R, G, B, as a picture. Borrows them. */
CgFrame cg_frame_of_sample (guint image, const guint8 *pixels);

/** cg_sample_new: converts and resizes @frame. Any thread. A sample keeps its engine alive; pooled:
 * freeing one makes room for the next. Errors: INPUT, MEMORY, DEVICE_LOST; UNSUPPORTED, see cg_engine_reads(). */
CgSample *cg_sample_new (CgEngine *engine, const CgFrame *frame, GError **error);

/** cg_sample_describe: by what the shot of @frame is told, from which @sample was made and which is still there. A
 * picture that the CPU cannot read is taken as the model sees it, which is but 150 kB to fetch. Any thread. Errors:
 * DEVICE_LOST, COMPUTE. */
gboolean cg_sample_describe (CgSample *sample, const CgFrame *frame, CgShotSignature *signature,
                             GError **error);

CgSample *cg_sample_ref (CgSample *sample);
void cg_sample_unref (CgSample *sample);

/* ---- windows ---- */

/** CgWindow: made by the client, handed to cg_client_submit(), handed back by cg_client_pop().
 * @samples: [frames of the model], owned references; the same sample may stand several times
 * @data, @destroy: the client's own
 * @auxiliary: also compute scene and text
 * @repeatable: the same bits whenever it is computed: never together with others where that would show
 * @outputs: filled by the engine, or NULL and @error set
 * @submitted, @started, @finished: g_get_monotonic_time() of the three moments */
typedef struct {
  CgSample *samples[CG_MAX_FRAMES];
  guint n_samples;
  gpointer data;
  GDestroyNotify destroy;
  gboolean auxiliary, repeatable;
  CgOutputs *outputs;
  GError *error;
  gint64 submitted, started, finished;
} CgWindow;

/** cg_window_new: takes new references to @samples; @n must be the model's frames. cg_window_free(). */
CgWindow *cg_window_new (CgSample *const *samples, guint n, gpointer data, GDestroyNotify destroy);
void cg_window_free (CgWindow *window);

/* ---- clients: one for each element ---- */

/** cg_client_new: a client with nothing submitted. It keeps @engine alive. */
CgClient *cg_client_new (CgEngine *engine);

/** cg_client_free: cancels like cg_client_flush(), never waits for the engine unless @client had the
 * last reference to it (cg_engine_unref()). No other call may be running or come later on @client. */
void cg_client_free (CgClient *client);

/** cg_client_submit: queues @window (transfer full), never blocks. */
void cg_client_submit (CgClient *client, CgWindow *window);

/** cg_client_pop: the next finished window in order of submission (transfer full; check its @error), waiting
 * up to @timeout_us (negative: for ever). NULL when the time is over or the client was closed. One thread. */
CgWindow *cg_client_pop (CgClient *client, gint64 timeout_us);

/** cg_client_drop_oldest: takes back the oldest window that no batch has taken yet, or NULL. */
CgWindow *cg_client_drop_oldest (CgClient *client);

/** cg_client_pending: windows submitted and not yet popped: (out) waiting, running, finished. */
void cg_client_pending (CgClient *client, guint *waiting, guint *running, guint *finished);

/** cg_client_flush: a new generation. Waiting, running and finished windows are freed by this thread, a
 * running one's result will be thrown away. Returns at once; cg_client_pop() goes on waiting. */
void cg_client_flush (CgClient *client);

/** cg_client_close: cg_client_flush(), and every cg_client_pop() from now on returns NULL at once. */
void cg_client_close (CgClient *client);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (CgEngine, cg_engine_unref)
G_DEFINE_AUTOPTR_CLEANUP_FUNC (CgClient, cg_client_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC (CgSample, cg_sample_unref)
G_DEFINE_AUTOPTR_CLEANUP_FUNC (CgWindow, cg_window_free)

G_END_DECLS
