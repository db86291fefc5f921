// SPDX-License-Identifier: Apache-2.0
#ifndef SONO_SERVE_FAIL_H
#define SONO_SERVE_FAIL_H

#include "sonoseg/sonoseg.h"

/* Fills in error, where it is not NULL, with one line, and returns status. IO takes errno along. */
__attribute__((format(printf, 4, 5))) sono_status sono_serve_fail(sono_error *error, sono_status status,
                                                                  const char *where, const char *format, ...);

#endif
