// SPDX-License-Identifier: Apache-2.0
/* A listening TCP socket by a configured address, with errors that say what to do. */
#ifndef SONO_SERVE_LISTEN_H
#define SONO_SERVE_LISTEN_H

#include "sonoseg/sonoseg.h"

/* address: "host:port", "[::1]:port", "host"; port 0 = any free one. "[::]:port" takes IPv4, too. fd: does
 * not block; the caller's. Errors: INVALID_ARGUMENT (no address), IO (which address cannot be had, and why).
 */
sono_status sono_serve_listen(const char *address, int *fd, int32_t *port, sono_error *error);

#endif
