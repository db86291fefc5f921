// SPDX-License-Identifier: Apache-2.0
/* systemd's notifications (sd_notify(3)): datagrams to the socket that NOTIFY_SOCKET names, a path or, after
 * '@', an abstract name. Never waits. */
#ifndef SONO_SERVE_NOTIFY_H
#define SONO_SERVE_NOTIFY_H

#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

typedef struct sono_serve_notify {
    int fd; /* -1 = nobody asked */
    struct sockaddr_un address;
    socklen_t address_bytes;
    int64_t watchdog_ns; /* WATCHDOG=1 is wanted at least so often; 0 = not */
} sono_serve_notify;

/* From NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID. 0, also where there are none; -1 with errno where the
 * name is none or there is no socket. */
int sono_serve_notify_open(sono_serve_notify *notify);
/* "READY=1", several with '\n' between them. */
void sono_serve_notify_send(sono_serve_notify *notify, const char *text);
void sono_serve_notify_close(sono_serve_notify *notify);

#endif
