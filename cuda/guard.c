/* The two functions of the C++ runtime that nvcc's launch stubs call, so that the module needs no libstdc++: they see to
 * it that a static variable of a function is initialised once, whatever threads come (Itanium C++ ABI, 3.3.3). The first
 * byte of a guard says that it is done.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include <pthread.h>
#include <stdint.h>

int __cxa_guard_acquire (uint64_t *guard);
void __cxa_guard_release (uint64_t *guard);

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* Returns: 1 if the caller is to initialise, and then to call release. The lock is held in between: the stubs ask the
 * CUDA runtime for a kernel's handle, and nothing else. */
int
__cxa_guard_acquire (uint64_t *guard)
{
  const unsigned char *done = (const unsigned char *)guard;

  if (__atomic_load_n (done, __ATOMIC_ACQUIRE))
    return 0;
  pthread_mutex_lock (&lock);
  if (!__atomic_load_n (done, __ATOMIC_ACQUIRE))
    return 1;
  pthread_mutex_unlock (&lock);
  return 0;
}

void
__cxa_guard_release (uint64_t *guard)
{
  __atomic_store_n ((unsigned char *)guard, 1, __ATOMIC_RELEASE);
  pthread_mutex_unlock (&lock);
}
