// SPDX-License-Identifier: Apache-2.0
#include "serve/notify.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int64_t watchdog_ns(void)
{
    const char *pid = getenv("WATCHDOG_PID"), *span = getenv("WATCHDOG_USEC");
    if (!span || (pid && strtoll(pid, NULL, 10) != (long long)getpid())) {
        return 0;
    }
    long long us = strtoll(span, NULL, 10);
    return us > 0 && us < INT64_MAX / 1000 ? us * 1000 : 0;
}

int sono_serve_notify_open(sono_serve_notify *notify)
{
    const char *name = getenv("NOTIFY_SOCKET");
    *notify = (sono_serve_notify){.fd = -1};
    if (!name || !name[0]) {
        return 0;
    }
    size_t n = strlen(name);
    if ((name[0] != '/' && name[0] != '@') || n < 2 || n >= sizeof notify->address.sun_path) {
        errno = EINVAL;
        return -1;
    }
    notify->address.sun_family = AF_UNIX;
    memcpy(notify->address.sun_path, name, n);
    if (name[0] == '@') {
        notify->address.sun_path[0] = 0;
    }
    notify->address_bytes = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n);
    notify->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (notify->fd < 0) {
        return -1;
    }
    notify->watchdog_ns = watchdog_ns();
    return 0;
}

void sono_serve_notify_send(sono_serve_notify *notify, const char *text)
{
    if (notify->fd >= 0) {
        sendto(notify->fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT,
               (const struct sockaddr *)&notify->address, notify->address_bytes);
    }
}

void sono_serve_notify_close(sono_serve_notify *notify)
{
    if (notify->fd >= 0) {
        close(notify->fd);
    }
    notify->fd = -1;
}
