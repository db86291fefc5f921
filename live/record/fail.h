// SPDX-License-Identifier: Apache-2.0
/* Private to the recorder: its errors. */
#ifndef SONOSEG_LIVE_RECORD_FAIL_H
#define SONOSEG_LIVE_RECORD_FAIL_H

#include "error/error.h"

#define RECORD_FAIL(error, name, ...) sono_live_fail((error), SONO_STATUS_##name, 0, __func__, __VA_ARGS__)
#define RECORD_FAIL_IO(error, code, ...)                                                                     \
    sono_live_fail((error), SONO_STATUS_IO, (code), __func__, __VA_ARGS__)
#define RECORD_TRY(expr)                                                                                     \
    do {                                                                                                     \
        const sono_status record_try_status = (expr);                                                        \
        if (record_try_status != SONO_STATUS_OK)                                                             \
            return record_try_status;                                                                        \
    } while (0)

#endif
