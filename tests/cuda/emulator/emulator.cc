/* The emulator's scheduler: fibers that take turns.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
/* glibc's checks of longjmp know of one stack only. */
#undef _FORTIFY_SOURCE

#include "device.h"

#include <csetjmp>
#include <cstdio>
#include <cstdlib>

#include <pthread.h>
#include <ucontext.h>

#if defined __SANITIZE_ADDRESS__
#include <sanitizer/common_interface_defs.h>
#endif

#define MAX_THREADS 1024
#define MAX_SHARED (48 * 1024) /* without asking for more, on every GPU */
#define MAX_GRID_YZ 65535u
#define WARP 32
#define STACK (128 * 1024)

typedef enum { READY, AT_BARRIER, AT_WARP, DONE } State;

/* A place to go on from. */
typedef struct {
  ucontext_t start;
  jmp_buf here;
} Context;

typedef struct {
  Context context;
  char *stack;
  void *fake_stack; /* the address sanitizer's */
  bool entered;

  State state;
  uint3 index;
  /* where it waits, and for what */
  const char *file;
  int line;
  CgEmulatorWarp what;
  unsigned mask;
  int lane;
  unsigned long long value;
} Fiber;

CgEmulatorPlace cg_emulator_place;

static Fiber fibers[MAX_THREADS];
static Fiber *running;
static Context scheduler;
static void *scheduler_fake_stack;
static const void *scheduler_stack;
static size_t scheduler_stack_size;
static const CgEmulatorLaunch *current;
static unsigned n_threads; /* of a block */
static bool run_backwards;
static char error_text[512];
static unsigned long n_launches;
static pthread_mutex_t busy = PTHREAD_MUTEX_INITIALIZER; /* all of the above is of one launch */
static CgEmulatorHook hook;
static void *hook_data;

/* ---- changing places ---- */

/* The address sanitizer wants to know which stack is in use. */
static void
leaving (void **fake_stack, const void *to, size_t size)
{
#if defined __SANITIZE_ADDRESS__
  __sanitizer_start_switch_fiber (fake_stack, to, size);
#else
  (void)fake_stack, (void)to, (void)size;
#endif
}

static void
arrived (void *fake_stack, const void **from, size_t *size)
{
#if defined __SANITIZE_ADDRESS__
  __sanitizer_finish_switch_fiber (fake_stack, from, size);
#else
  (void)fake_stack, (void)from, (void)size;
#endif
}

/* Leaves @from for where @to was left. swapcontext() asks the kernel for the signal mask twice each time, which is most
 * of the time that an emulated thread takes; the address sanitizer does not follow jumps between stacks. */
static void
change_places (Context *from, Context *to, bool to_start)
{
#if defined __SANITIZE_ADDRESS__
  (void)to_start;
  swapcontext (&from->start, &to->start);
#else
  if (_setjmp (from->here) != 0)
    return;
  if (to_start)
    setcontext (&to->start);
  _longjmp (to->here, 1);
#endif
}

static void
leave_fiber (void)
{
  Fiber *self = running;

  leaving (&self->fake_stack, scheduler_stack, scheduler_stack_size);
  change_places (&self->context, &scheduler, false);
  arrived (self->fake_stack, &scheduler_stack, &scheduler_stack_size);
}

/* A fiber lives on: block after block it is the same thread of them. */
static void
fiber_body (void)
{
  arrived (nullptr, &scheduler_stack, &scheduler_stack_size);
  for (;;) {
    current->call (current->arguments);
    running->state = DONE;
    leave_fiber ();
  }
}

static bool
enter_fiber (Fiber *fiber)
{
  if (fiber->stack == nullptr && (fiber->stack = static_cast<char *> (malloc (STACK))) == nullptr)
    return false;
  const bool is_new = !fiber->entered;
  if (is_new) {
    ucontext_t *start = &fiber->context.start;
    getcontext (start);
    start->uc_stack.ss_sp = fiber->stack;
    start->uc_stack.ss_size = STACK;
    start->uc_link = nullptr;
    makecontext (start, fiber_body, 0);
    fiber->entered = true;
  }
  running = fiber;
  cg_emulator_place.thread = fiber->index;
  leaving (&scheduler_fake_stack, fiber->stack, STACK);
  change_places (&scheduler, &fiber->context, is_new);
  arrived (scheduler_fake_stack, nullptr, nullptr);
  return true;
}

void
cg_emulator_barrier (const char *file, int line)
{
  running->state = AT_BARRIER;
  running->file = file;
  running->line = line;
  leave_fiber ();
}

unsigned long long
cg_emulator_warp (CgEmulatorWarp what, unsigned mask, unsigned long long value, int lane,
                  const char *file, int line)
{
  running->state = AT_WARP;
  running->what = what;
  running->mask = mask;
  running->value = value;
  running->lane = lane;
  running->file = file;
  running->line = line;
  leave_fiber ();
  return running->value;
}

/* ---- meeting places ---- */

static bool
same_place (const Fiber *a, const Fiber *b)
{
  return a->state == b->state && a->line == b->line && strcmp (a->file, b->file) == 0 &&
         (a->state == AT_BARRIER || (a->what == b->what && a->mask == b->mask));
}

/* The barrier opens when every thread of the block stands before it. */
static bool
open_barrier (void)
{
  for (unsigned i = 0; i < n_threads; i++)
    if (fibers[i].state != AT_BARRIER || !same_place (&fibers[i], &fibers[0]))
      return false;
  for (unsigned i = 0; i < n_threads; i++)
    fibers[i].state = READY;
  return true;
}

static unsigned
source_lane (const Fiber *fiber, unsigned lane)
{
  if (fiber->what == CG_EMULATOR_XOR)
    return lane ^ (unsigned)fiber->lane;
  if (fiber->what == CG_EMULATOR_DOWN && lane + fiber->lane < WARP)
    return lane + fiber->lane;
  return lane;
}

/* The lanes that @first waits for, if all of them stand where it stands. */
static bool
open_warp (unsigned first)
{
  const unsigned start = first / WARP * WARP, mask = fibers[first].mask;
  unsigned long long values[WARP] = { 0 }, any = 0;

  for (unsigned lane = 0; lane < WARP; lane++)
    if (mask >> lane & 1) {
      if (start + lane >= n_threads || !same_place (&fibers[start + lane], &fibers[first]))
        return false;
      values[lane] = fibers[start + lane].value;
      any |= values[lane];
    }
  if (!(mask >> (first - start) & 1))
    return false; /* it is not among those it waits for */

  for (unsigned lane = 0; lane < WARP; lane++)
    if (mask >> lane & 1) {
      Fiber *fiber = &fibers[start + lane];
      const unsigned from = source_lane (fiber, lane);
      /* A lane outside the mask has no value: rubbish. */
      fiber->value = fiber->what == CG_EMULATOR_ANY    ? any
                     : from < WARP && mask >> from & 1 ? values[from]
                                                       : ~0ull;
      fiber->state = READY;
    }
  return true;
}

static const char *
describe (const Fiber *fiber, char *text, size_t size)
{
  if (fiber->state == DONE)
    snprintf (text, size, "has ended");
  else
    snprintf (text, size, "waits %s %s:%d",
              fiber->state == AT_BARRIER ? "at the barrier" : "in its warp", fiber->file,
              fiber->line);
  return text;
}

static cudaError_t
stuck (void)
{
  unsigned other = 1;
  char a[128], b[128];

  while (other < n_threads &&
         (fibers[other].state == DONE ? fibers[0].state == DONE
                                      : same_place (&fibers[other], &fibers[0])))
    other++;
  if (other < n_threads)
    snprintf (error_text, sizeof error_text, "%s, block %u,%u,%u: thread 0 %s while thread %u %s",
              current->kernel, cg_emulator_place.block.x, cg_emulator_place.block.y,
              cg_emulator_place.block.z, describe (&fibers[0], a, sizeof a), other,
              describe (&fibers[other], b, sizeof b));
  else
    snprintf (error_text, sizeof error_text, "%s: all threads wait for lanes that do not exist",
              current->kernel);
  for (unsigned i = 0; i < MAX_THREADS; i++)
    fibers[i].entered = false; /* never to go on from where they wait */
  return cudaErrorLaunchFailure;
}

/* ---- a block, a grid ---- */

static cudaError_t
run_block (void)
{
  unsigned done = 0;

  for (unsigned i = 0; i < n_threads; i++) {
    const dim3 size = current->block;
    fibers[i].state = READY;
    fibers[i].index = make_uint3 (i % size.x, i / size.x % size.y, i / size.x / size.y);
  }
  while (done < n_threads) {
    bool moved = false;

    for (unsigned k = 0; k < n_threads; k++) {
      const unsigned i = run_backwards ? n_threads - 1 - k : k;
      if (fibers[i].state != READY)
        continue;
      if (!enter_fiber (&fibers[i]))
        return cudaErrorMemoryAllocation;
      done += fibers[i].state == DONE;
      moved = true;
    }
    for (unsigned i = 0; i < n_threads; i++)
      if (fibers[i].state == AT_WARP)
        moved |= open_warp (i);
    if (!moved && done < n_threads && !open_barrier ())
      return stuck ();
  }
  return cudaSuccess;
}

cudaError_t
cg_emulator_check (const CgEmulatorLaunch *launch)
{
  const dim3 g = launch->grid, b = launch->block;

  if (g.x == 0 || g.y == 0 || g.z == 0 || b.x == 0 || b.y == 0 || b.z == 0 || g.x > 0x7fffffffu ||
      g.y > MAX_GRID_YZ || g.z > MAX_GRID_YZ || b.x > MAX_THREADS || b.y > MAX_THREADS ||
      b.z > 64 || b.x * b.y * b.z > MAX_THREADS || launch->shared > MAX_SHARED)
    return cudaErrorInvalidConfiguration;
  return cudaSuccess;
}

static cudaError_t
run_grid (const CgEmulatorLaunch *launch)
{
  const dim3 g = launch->grid;
  const size_t blocks = (size_t)g.x * g.y * g.z;
  cudaError_t result = cg_emulator_check (launch);

  n_launches++;
  if (result != cudaSuccess) {
    snprintf (error_text, sizeof error_text,
              "%s: no GPU takes blocks %u,%u,%u of %u,%u,%u, %zu bytes", launch->kernel, g.x, g.y,
              g.z, launch->block.x, launch->block.y, launch->block.z, launch->shared);
    return result;
  }
  current = launch;
  n_threads = launch->block.x * launch->block.y * launch->block.z;
  cg_emulator_place.threads = launch->block;
  cg_emulator_place.blocks = g;
  for (size_t k = 0; k < blocks && result == cudaSuccess; k++) {
    const size_t i = run_backwards ? blocks - 1 - k : k;
    cg_emulator_place.block =
        make_uint3 ((unsigned)(i % g.x), (unsigned)(i / g.x % g.y), (unsigned)(i / g.x / g.y));
    /* Of exactly this size, and different rubbish for each block. Sixteen bytes more would hide an access behind it. */
    if (posix_memalign (&cg_emulator_place.shared, 16, launch->shared ? launch->shared : 1) != 0)
      return cudaErrorMemoryAllocation;
    memset (cg_emulator_place.shared, i % 2 ? 0xff : 0x7e, launch->shared);
    result = run_block ();
    free (cg_emulator_place.shared);
  }
  cg_emulator_place.shared = nullptr;
  return result;
}

cudaError_t
cg_emulator_run (const CgEmulatorLaunch *launch)
{
  pthread_mutex_lock (&busy);
  const cudaError_t result = run_grid (launch);
  pthread_mutex_unlock (&busy);
  return result;
}

/* ---- for tests ---- */

cudaError_t
cg_emulator_submit (const CgEmulatorLaunch *launch)
{
  return hook != nullptr ? hook (launch, hook_data) : cg_emulator_run (launch);
}

CgEmulatorLaunch *
cg_emulator_copy (const CgEmulatorLaunch *launch)
{
  /* The arguments behind the struct, aligned for anything. */
  const size_t head = (sizeof *launch + 15) / 16 * 16;
  char *copy = static_cast<char *> (malloc (head + launch->size));

  if (copy == nullptr)
    return nullptr;
  memcpy (copy + head, launch->arguments, launch->size);
  CgEmulatorLaunch *result = reinterpret_cast<CgEmulatorLaunch *> (copy);
  *result = *launch;
  result->arguments = copy + head;
  return result;
}

void
cg_emulator_set_hook (CgEmulatorHook new_hook, void *data)
{
  hook = new_hook;
  hook_data = data;
}

void
cg_emulator_set_backwards (int backwards)
{
  run_backwards = backwards != 0;
}

const char *
cg_emulator_error (void)
{
  return error_text;
}

unsigned long
cg_emulator_launches (void)
{
  return n_launches;
}
