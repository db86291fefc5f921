// SPDX-License-Identifier: Apache-2.0
/*
 * SIGTERM, SIGINT and SIGHUP for an event loop, and no SIGPIPE. By handlers that write into a pipe, not by a
 * mask and signalfd: a library may have threads that do not keep the mask which they inherit (CUDA's driver
 * has), and a signal that one of them does not block would end the process. One at a time in a process.
 */
#ifndef SONO_SERVE_SIGNALS_H
#define SONO_SERVE_SIGNALS_H

/* Takes the signals. Returns a descriptor that is readable when one came, or -1 with errno. */
int sono_serve_signals_open(void);
/* The next signal's number; 0 = none is left. Never waits. */
int sono_serve_signals_next(int signals);
/* Closes it and leaves the signals as they were. -1 is allowed. */
void sono_serve_signals_close(int signals);

#endif
