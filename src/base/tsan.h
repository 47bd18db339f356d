/* SPDX-License-Identifier: MIT */

/* base/tsan: the packaged liburcu is not instrumented, so the thread sanitizer is told here what its exchanges and grace periods
 * order: what was written before TSAN_PUBLISHES(at) is seen behind TSAN_SEES(at). Nothing in other builds. */
#ifndef QUERN_BASE_TSAN_H
#define QUERN_BASE_TSAN_H

#if defined(__SANITIZE_THREAD__)
#include <sanitizer/tsan_interface.h>
#define TSAN_PUBLISHES(at) __tsan_release(at)
#define TSAN_SEES(at)      __tsan_acquire(at)
#else
#define TSAN_PUBLISHES(at) ((void)(at))
#define TSAN_SEES(at)      ((void)(at))
#endif

#endif
