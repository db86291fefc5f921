// SPDX-License-Identifier: Apache-2.0
#include "replay/listen.h"

#include "error/error.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

static int bind_one(const struct addrinfo *info)
{
    const int yes = 1;
    const int fd = socket(info->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (!bind(fd, info->ai_addr, info->ai_addrlen) && !listen(fd, 16))
        return fd;
    const int code = errno;
    close(fd);
    errno = code;
    return -1;
}

static int32_t bound_port(int fd)
{
    union {
        struct sockaddr any;
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
    } address;
    socklen_t n_bytes = sizeof address;
    if (getsockname(fd, &address.any, &n_bytes))
        return 0;
    return ntohs(address.any.sa_family == AF_INET6 ? address.in6.sin6_port : address.in.sin_port);
}

sono_status sono_replay_listen(const char *host, int32_t *port, int *out_fd, sono_error *error)
{
    const struct addrinfo hints = {
        .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *list = NULL;
    char service[16];
    snprintf(service, sizeof service, "%d", *port);
    const int code = getaddrinfo(host, service, &hints, &list);
    if (code)
        return sono_live_fail(error, SONO_STATUS_IO, 0, "replay", "%s: %s", host, gai_strerror(code));
    int fd = -1;
    for (const struct addrinfo *at = list; at && fd < 0; at = at->ai_next)
        fd = bind_one(at);
    const int cause = errno;
    freeaddrinfo(list);
    if (fd < 0)
        return sono_live_fail(error, SONO_STATUS_IO, cause, "replay", "cannot listen on %s port %d%s", host,
                              *port, cause == EADDRINUSE ? " (another server runs there)" : "");
    *port = bound_port(fd);
    *out_fd = fd;
    return SONO_STATUS_OK;
}

int sono_replay_accept(int listener, char *address, size_t n_bytes)
{
    struct sockaddr_storage peer;
    socklen_t n_peer = sizeof peer;
    const int yes = 1;
    char host[48], port[8];
    const int fd = accept4(listener, (void *)&peer, &n_peer, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0)
        return -1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    if (getnameinfo((void *)&peer, n_peer, host, sizeof host, port, sizeof port,
                    NI_NUMERICHOST | NI_NUMERICSERV))
        snprintf(address, n_bytes, "?");
    else
        snprintf(address, n_bytes, "%s:%s", host, port);
    return fd;
}
