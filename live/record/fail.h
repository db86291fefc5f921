// SPDX-License-Identifier: Apache-2.0
/* Private to the recorder: its errors. */
#ifndef SONOSEG_LIVE_RECORD_FAIL_H
#define SONOSEG_LIVE_RECORD_FAIL_H

#include "sonoseg/sonoseg.h"

/* Fills in *error (may be NULL) and returns status. code: errno, 0 = none; its text is put behind the
 * formatted one. Control characters are written as '?'. */
sono_status sono_record_fail(sono_error *error, sono_status status, int code, const char *where,
                             const char *format, ...) __attribute__((format(printf, 5, 6)));

#define RECORD_FAIL(error, name, ...) sono_record_fail((error), SONO_STATUS_##name, 0, __func__, __VA_ARGS__)
#define RECORD_FAIL_IO(error, code, ...)                                                                     \
    sono_record_fail((error), SONO_STATUS_IO, (code), __func__, __VA_ARGS__)
#define RECORD_TRY(expr)                                                                                     \
    do {                                                                                                     \
        const sono_status record_try_status = (expr);                                                        \
        if (record_try_status != SONO_STATUS_OK)                                                             \
            return record_try_status;                                                                        \
    } while (0)

#endif
