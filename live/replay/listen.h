// SPDX-License-Identifier: Apache-2.0
/* Private to the replay: its listening socket. */
#ifndef SONO_REPLAY_LISTEN_H
#define SONO_REPLAY_LISTEN_H

#include "sonoseg/sonoseg.h"

/* Listens, not blocking. port: 0 = any; becomes the one that was bound. Errors: IO. */
sono_status sono_replay_listen(const char *host, int32_t *port, int *out_fd, sono_error *error);

/* The next connection, not blocking and without delay, with its address; -1 = there is none. */
int sono_replay_accept(int listener, char *address, size_t n_bytes);

#endif
