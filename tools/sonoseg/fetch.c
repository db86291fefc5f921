// SPDX-License-Identifier: Apache-2.0
#include "fetch.h"

#include "serve/config.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAX_BYTES   (4u << 20)
#define CHUNK_BYTES 65536

__attribute__((format(printf, 2, 3))) static int fail(fetch_answer *out, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(out->why, sizeof out->why, format, arguments);
    va_end(arguments);
    return -1;
}

/* 0 = ready for the event in time. */
static int wait_for(int fd, short event, int timeout_ms)
{
    struct pollfd one = {.fd = fd, .events = event};
    const int n = poll(&one, 1, timeout_ms);
    if (!n)
        errno = ETIMEDOUT;
    return n > 0 ? 0 : -1;
}

static int connect_in_time(const struct addrinfo *to, int timeout_ms)
{
    int error = 0;
    socklen_t n_bytes = sizeof error;
    const int fd = socket(to->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    if (!connect(fd, to->ai_addr, to->ai_addrlen))
        return fd;
    if (errno == EINPROGRESS && !wait_for(fd, POLLOUT, timeout_ms) &&
        !getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &n_bytes)) {
        if (!error)
            return fd;
        errno = error;
    }
    error = errno;
    close(fd);
    errno = error;
    return -1;
}

static int open_connection(const char *address, int timeout_ms, fetch_answer *out)
{
    char host[SONO_SERVE_TEXT_BYTES], service[16];
    int32_t port = 0;
    struct addrinfo *found = NULL, hints = {.ai_socktype = SOCK_STREAM};
    if (sono_serve_address_split(address, FETCH_PORT, host, sizeof host, &port))
        return fail(out, "'%.100s' is no address as 127.0.0.1:8080", address);
    snprintf(service, sizeof service, "%d", (int)port);
    const int status = getaddrinfo(host, service, &hints, &found);
    if (status)
        return fail(out, "%.100s: %s", host, gai_strerror(status));
    int fd = -1;
    for (const struct addrinfo *one = found; one && fd < 0; one = one->ai_next)
        fd = connect_in_time(one, timeout_ms);
    if (fd < 0)
        fail(out, "%.100s: %s", address, strerror(errno));
    freeaddrinfo(found);
    return fd;
}

static int send_request(int fd, const char *request, size_t n_bytes, int timeout_ms)
{
    while (n_bytes) {
        const ssize_t n = send(fd, request, n_bytes, MSG_NOSIGNAL);
        if (n > 0) {
            request += n;
            n_bytes -= (size_t)n;
        } else if ((errno != EAGAIN && errno != EINTR) || wait_for(fd, POLLOUT, timeout_ms)) {
            return -1;
        }
    }
    return 0;
}

/* Everything until the other side closes; NULL after fail(). */
static char *read_all(int fd, int timeout_ms, fetch_answer *out)
{
    char *bytes = NULL;
    size_t n_bytes = 0;
    for (;;) {
        char *more = realloc(bytes, n_bytes + CHUNK_BYTES + 1);
        if (!more || n_bytes > MAX_BYTES) {
            fail(out, "%s", more ? "the answer is too long" : "no memory");
            free(more ? more : bytes);
            return NULL;
        }
        bytes = more;
        const ssize_t n = recv(fd, bytes + n_bytes, CHUNK_BYTES, 0);
        if (n > 0) {
            n_bytes += (size_t)n;
        } else if (!n) {
            bytes[n_bytes] = 0;
            return bytes;
        } else if ((errno != EAGAIN && errno != EINTR) || wait_for(fd, POLLIN, timeout_ms)) {
            fail(out, "no whole answer: %s", strerror(errno));
            free(bytes);
            return NULL;
        }
    }
}

int fetch(const char *address, const char *path, const char *token, int timeout_ms, fetch_answer *out)
{
    char request[2048];
    memset(out, 0, sizeof *out);
    const int n = snprintf(request, sizeof request,
                           "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n%s%s%s\r\n", path, address,
                           token ? "Authorization: Bearer " : "", token ? token : "", token ? "\r\n" : "");
    if (n < 0 || (size_t)n >= sizeof request)
        return fail(out, "address or token is too long");
    const int fd = open_connection(address, timeout_ms, out);
    if (fd < 0)
        return -1;
    char *answer = NULL;
    if (send_request(fd, request, (size_t)n, timeout_ms))
        fail(out, "%.100s: %s", address, strerror(errno));
    else
        answer = read_all(fd, timeout_ms, out);
    close(fd);
    if (!answer)
        return -1;
    const char *body = strstr(answer, "\r\n\r\n");
    if (strncmp(answer, "HTTP/1.", 7) != 0 || strlen(answer) < 12 || !body) {
        free(answer);
        return fail(out, "%.100s does not speak HTTP", address);
    }
    out->status = (int)strtol(answer + 9, NULL, 10);
    memmove(answer, body + 4, strlen(body + 4) + 1);
    out->body = answer;
    return 0;
}
