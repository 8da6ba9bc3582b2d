/* Launchers of faulty.cu: @fault 0 has none.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "emulator.h"

#ifdef __cplusplus
extern "C" {
#endif

cudaError_t cg_faulty_barriers (int fault, unsigned threads, int *out);
cudaError_t cg_faulty_lanes (int fault, unsigned threads, int *out);
cudaError_t cg_faulty_memory (int fault, unsigned blocks, unsigned threads, size_t shared,
                              int *out);

#ifdef __cplusplus
}
#endif
