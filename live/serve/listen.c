// SPDX-License-Identifier: Apache-2.0
#include "serve/listen.h"
#include "error/error.h"

#include "serve/config.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define DEFAULT_PORT 18945
#define BACKLOG      64

/* fd, or -1 with errno. */
static int listen_at(const struct addrinfo *at)
{
    const int fd = socket(at->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    const int on = 1, off = 0;
    if (fd < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (at->ai_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
    if (bind(fd, at->ai_addr, at->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0)
        return fd;
    const int code = errno;
    close(fd);
    errno = code;
    return -1;
}

static const char *advice(int code)
{
    switch (code) {
    case EADDRINUSE:
        return "another program has this port, another sonoseg perhaps: end it, or choose another port with "
               "sink.listen (--sink-listen)";
    case EADDRNOTAVAIL:
        return "this machine has no such address: name one of its own in sink.listen (--sink-listen)";
    case EACCES:
        return "ports below 1024 need a privilege: choose another with sink.listen (--sink-listen)";
    default:
        return strerror(code);
    }
}

static int32_t port_of(int fd)
{
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } at = {0};
    socklen_t n_bytes = sizeof at;
    getsockname(fd, &at.any, &n_bytes);
    return ntohs(at.any.sa_family == AF_INET ? at.v4.sin_port : at.v6.sin6_port);
}

sono_status sono_serve_listen(const char *address, int *fd, int32_t *port, sono_error *error)
{
    char host[256], service[16];
    int32_t number;
    if (sono_serve_address_split(address, DEFAULT_PORT, host, sizeof host, &number))
        return sono_live_fail(error, SONO_STATUS_INVALID_ARGUMENT, 0, "sink",
                              "sink.listen \"%.200s\" is no address: write HOST:PORT", address);
    const struct addrinfo hints = {
        .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *list = NULL;
    snprintf(service, sizeof service, "%d", (int)number);
    const int code = getaddrinfo(host, service, &hints, &list);
    if (code)
        return sono_live_fail(error, SONO_STATUS_INVALID_ARGUMENT, 0, "sink", "sink.listen %.200s: %s",
                              address, gai_strerror(code));
    int found = -1, last = 0;
    for (const struct addrinfo *at = list; at && found < 0; at = at->ai_next) {
        found = listen_at(at);
        last = found < 0 ? errno : 0;
    }
    freeaddrinfo(list);
    if (found < 0) {
        sono_live_fail(error, SONO_STATUS_IO, 0, "sink", "cannot listen on %.200s: %s", address,
                       advice(last));
        if (error)
            error->native_code = last;
        return SONO_STATUS_IO;
    }
    *port = port_of(found);
    *fd = found;
    return SONO_STATUS_OK;
}
