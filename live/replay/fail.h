// SPDX-License-Identifier: Apache-2.0
/* Private to the replay: its errors. */
#ifndef SONO_REPLAY_FAIL_H
#define SONO_REPLAY_FAIL_H

#include "sonoseg/sonoseg.h"

/* Fills in *error (may be NULL) and returns status. code: errno, whose text is put behind; 0 = none. */
sono_status sono_replay_fail(sono_error *error, sono_status status, int code, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

#endif
