// SPDX-License-Identifier: Apache-2.0
/* Forwarding and recording of errors. Every fallible function inside takes an optional sono_error last. */
#ifndef SONO_BASE_STATUS_H
#define SONO_BASE_STATUS_H

#include "sonoseg/sonoseg.h"

#include <stdarg.h>

/* Returns from the calling function when expr is not OK. */
#define SONO_TRY(expr)                                                                                       \
    do {                                                                                                     \
        const sono_status sono_try_status = (expr);                                                          \
        if (sono_try_status != SONO_STATUS_OK)                                                               \
            return sono_try_status;                                                                          \
    } while (0)

/* Records a failure and is its status, a constant, so that compilers follow the failure path: `return
 * SONO_FAIL(error, FORMAT, "%s: no header", path);`. Control characters in the text (a hostile file name or
 * tensor name) are written as '?'. */
#define SONO_FAIL(error, name, ...)                                                                          \
    (sono_error_set((error), SONO_STATUS_##name, 0, -1, __func__, __VA_ARGS__), SONO_STATUS_##name)

/* The same with the position in the file, which the text names as "at byte N" itself. */
#define SONO_FAIL_AT(error, name, offset, ...)                                                               \
    (sono_error_set((error), SONO_STATUS_##name, 0, (int64_t)(offset), __func__, __VA_ARGS__),               \
     SONO_STATUS_##name)

/* The same with errno or a device's code. */
#define SONO_FAIL_NATIVE(error, name, code, ...)                                                             \
    (sono_error_set((error), SONO_STATUS_##name, (code), -1, __func__, __VA_ARGS__), SONO_STATUS_##name)

/* error may be NULL. Returns status. Appends "at byte N" to the text when offset >= 0. */
sono_status sono_error_set(sono_error *error, sono_status status, int32_t native_code, int64_t offset_bytes,
                           const char *where, const char *format, ...) __attribute__((format(printf, 6, 7)));

/* Puts "prefix: " in front of the text already recorded (a file name, a stage). error may be NULL. */
void sono_error_prefix(sono_error *error, const char *prefix);

#endif
