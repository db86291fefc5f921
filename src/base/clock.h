// SPDX-License-Identifier: Apache-2.0
/* Two clocks: a monotonic one for durations, the wall clock for timestamps. Thread-safe, never fail. */
#ifndef SONO_BASE_CLOCK_H
#define SONO_BASE_CLOCK_H

#include <stdint.h>

int64_t sono_clock_ns(void);       /* monotonic, arbitrary origin */
int64_t sono_clock_epoch_ns(void); /* since 1970 UTC */

#endif
