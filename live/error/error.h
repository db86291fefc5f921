// SPDX-License-Identifier: Apache-2.0
/* How the rooms of live/ say what went wrong. */
#ifndef SONO_ERROR_ERROR_H
#define SONO_ERROR_ERROR_H

#include "sonoseg/sonoseg.h"

/* Fills in *error (may be NULL) and returns status. code: errno, 0 = none; its text is put behind the
 * formatted one. Control characters are written as '?'. */
sono_status sono_live_fail(sono_error *error, sono_status status, int code, const char *where,
                           const char *format, ...) __attribute__((format(printf, 5, 6)));

#endif
