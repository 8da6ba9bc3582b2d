/* Runs CUDA kernels on the CPU: what tests see. device.h is what the kernels see.
 *
 * The very same .cu sources are compiled by a C++ compiler. A launch runs its blocks one after the other
 * in one thread of the system; the threads of a block are fibers that change places at barriers and
 * shuffles only. What it finds, beside wrong results:
 *
 *  - a barrier or shuffle that not all threads of the block (lanes of the mask) reach, at the same line;
 *  - results that depend on the order of threads or blocks, if a test runs both orders;
 *  - shared memory that is read before it is written: each block begins with rubbish of its own;
 *  - with the address sanitizer, accesses outside device and shared memory, to the byte;
 *  - with -fsanitize=alignment, vector accesses at addresses that a GPU refuses;
 *  - launch geometries that a GPU refuses.
 *
 * It knows nothing of caches, of memory order between blocks, nor of time.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <stddef.h>

#include <cuda_runtime_api.h>

#ifdef __cplusplus
extern "C" {
#endif

/** CgEmulatorLaunch: one kernel launch.
 * @kernel: as it is written at the launch, with template arguments
 * @call: runs one thread, which finds its indices where CUDA has them
 * @arguments: @size bytes, the kernel and the values it was launched with; for @call */
typedef struct {
  const char *kernel;
  dim3 grid, block;
  size_t shared;
  cudaStream_t stream;
  void (*call) (const void *arguments);
  const void *arguments;
  size_t size;
} CgEmulatorLaunch;

/** cg_emulator_run: runs @launch now, any thread, one at a time. cudaErrorInvalidConfiguration for a geometry that no GPU takes;
 * cudaErrorLaunchFailure for what cg_emulator_error() tells, and the launch ends there. */
cudaError_t cg_emulator_run (const CgEmulatorLaunch *launch);

/** cg_emulator_check: what cg_emulator_run() says of the geometry, without running it. */
cudaError_t cg_emulator_check (const CgEmulatorLaunch *launch);

/** cg_emulator_copy: a copy that outlives the call it came with: free(). NULL without memory. */
CgEmulatorLaunch *cg_emulator_copy (const CgEmulatorLaunch *launch);

/** cg_emulator_set_hook: every launch goes to @hook instead of cg_emulator_run(), which it may call, now or
 * (with a copy) later; what it returns is what the launch gives. NULL: back to running. */
typedef cudaError_t (*CgEmulatorHook) (const CgEmulatorLaunch *launch, void *data);
void cg_emulator_set_hook (CgEmulatorHook hook, void *data);

/** cg_emulator_set_backwards: blocks and threads run from the last to the first. */
void cg_emulator_set_backwards (int backwards);

/** cg_emulator_error: what went wrong last, "" if nothing did since the start. */
const char *cg_emulator_error (void);

/** cg_emulator_launches: how many launches were run. */
unsigned long cg_emulator_launches (void);

/** cg_emulator_submit: what a launch in a .cu calls: the hook, or cg_emulator_run(). */
cudaError_t cg_emulator_submit (const CgEmulatorLaunch *launch);

#ifdef __cplusplus
}
#endif
