// SPDX-License-Identifier: Apache-2.0
#include "serve/client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

/* Unsent bytes in the kernel beyond which it takes no more: what waits there cannot be dropped any more. */
#define UNSENT_BYTES (256 * 1024)
#define MAX_PARTS    32

/* How a silently cut link shows: by keep-alives while nothing is sent, by stuck_ms otherwise. */
static void set_options(int fd, int32_t stuck_ms)
{
    const struct {
        int level, name, value;
    } options[] = {
        {IPPROTO_TCP, TCP_NODELAY, 1},
        {SOL_SOCKET, SO_KEEPALIVE, 1},
        {IPPROTO_TCP, TCP_KEEPIDLE, 5},
        {IPPROTO_TCP, TCP_KEEPINTVL, 2},
        {IPPROTO_TCP, TCP_KEEPCNT, 3},
        {IPPROTO_TCP, TCP_USER_TIMEOUT, stuck_ms},
        {IPPROTO_TCP, TCP_NOTSENT_LOWAT, UNSENT_BYTES},
    };
    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++)
        setsockopt(fd, options[i].level, options[i].name, &options[i].value, sizeof options[i].value);
}

/* host and address of the peer. */
static void name_peer(sono_serve_client *client, int fd)
{
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } peer = {0};
    socklen_t n_bytes = sizeof peer;
    char host[INET6_ADDRSTRLEN] = "?";
    getpeername(fd, &peer.any, &n_bytes);
    uint16_t port = ntohs(peer.v6.sin6_port);
    client->host = peer.v6.sin6_addr;
    if (peer.any.sa_family == AF_INET) {
        client->host = (struct in6_addr){.s6_addr = {[10] = 0xff, [11] = 0xff}};
        memcpy(client->host.s6_addr + 12, &peer.v4.sin_addr, 4);
        port = ntohs(peer.v4.sin_port);
    }
    const int is_v4 = IN6_IS_ADDR_V4MAPPED(&client->host);
    inet_ntop(is_v4 ? AF_INET : AF_INET6, client->host.s6_addr + (is_v4 ? 12 : 0), host, sizeof host);
    snprintf(client->address, sizeof client->address, is_v4 ? "%s:%u" : "[%s]:%u", host, (unsigned)port);
}

int sono_serve_client_open(sono_serve_client *client, sono_serve_loop *loop, sono_serve_blobs *blobs, int fd,
                           int32_t stuck_ms, sono_serve_ready_fn ready, void *user)
{
    static const sono_igtl_limits limits = {SONO_SERVE_CLIENT_MAX_BYTES, SONO_SERVE_CLIENT_MAX_BYTES};
    if (sono_serve_loop_add(loop, &client->watch, fd, EPOLLIN, ready, user))
        return -1;
    client->loop = loop;
    client->blobs = blobs;
    client->set = 0;
    client->version = 1;
    client->asked = client->stopped = client->once = 0;
    client->is_parting = 0;
    client->close_at = INT64_MAX;
    client->progress_ns = sono_serve_now_ns();
    client->since_utc_ns = sono_serve_utc_ns();
    client->refused_ns = 0;
    client->messages = client->bytes = client->dropped = 0;
    client->reason[0] = 0;
    memset(&client->queue, 0, sizeof client->queue);
    sono_igtl_reader_init(&client->reader, &limits, client->scratch, sizeof client->scratch);
    set_options(fd, stuck_ms);
    name_peer(client, fd);
    return 0;
}

void sono_serve_client_limit(sono_serve_client *client, int32_t stuck_ms)
{
    if (client->watch.fd >= 0)
        set_options(client->watch.fd, stuck_ms);
}

static int end(sono_serve_client *client, const char *what, const char *detail)
{
    snprintf(client->reason, sizeof client->reason, "%s%s%s", what, detail[0] ? ": " : "", detail);
    return -1;
}

int sono_serve_client_is_full(const sono_serve_client *client)
{
    return client->queue.n_answers >= SONO_SERVE_QUEUE_ANSWERS;
}

/* Asks to be told of what is waited for, and of nothing else. */
static int watch_on(sono_serve_client *client)
{
    const uint32_t events = (sono_serve_client_is_full(client) ? 0u : (uint32_t)EPOLLIN) |
                            (client->queue.n > 0 ? (uint32_t)EPOLLOUT : 0u);
    if (sono_serve_loop_change(client->loop, &client->watch, events))
        return end(client, "cannot be watched", strerror(errno));
    return 0;
}

int sono_serve_client_queue(sono_serve_client *client, const sono_serve_entry *entry)
{
    if (client->queue.n == 0)
        client->progress_ns = entry->queued_ns;
    return sono_serve_queue_add(&client->queue, client->blobs, entry);
}

int sono_serve_client_flush(sono_serve_client *client, sono_serve_done_fn done, void *user)
{
    while (client->queue.n > 0) {
        struct iovec parts[MAX_PARTS];
        const int32_t n_parts = sono_serve_queue_parts(&client->queue, parts, MAX_PARTS);
        const struct msghdr message = {.msg_iov = parts, .msg_iovlen = (size_t)n_parts};
        const ssize_t n = sendmsg(client->watch.fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            break;
        if (n < 0)
            return end(client, "sending failed", strerror(errno));
        const int64_t now_ns = sono_serve_now_ns();
        client->progress_ns = now_ns;
        client->bytes += (uint64_t)n;
        client->messages +=
            (uint64_t)sono_serve_queue_advance(&client->queue, client->blobs, (size_t)n, now_ns, done, user);
    }
    return watch_on(client);
}

int sono_serve_client_read(sono_serve_client *client, sono_igtl_read *news)
{
    *news = SONO_IGTL_READ_MORE;
    if (sono_serve_client_is_full(client))
        return watch_on(client);
    while (*news == SONO_IGTL_READ_MORE || *news == SONO_IGTL_READ_IMAGE) {
        uint8_t *where;
        const size_t room = sono_igtl_reader_want(&client->reader, &where);
        const ssize_t n = recv(client->watch.fd, where, room, MSG_DONTWAIT);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            *news = SONO_IGTL_READ_MORE;
            return 0;
        }
        if (n < 0)
            return end(client, "reading failed", strerror(errno));
        if (n == 0)
            return end(client, "closed by the client", "");
        *news = sono_igtl_reader_take(&client->reader, (size_t)n);
    }
    if (*news == SONO_IGTL_READ_BROKEN)
        return end(client, "what it sends is no OpenIGTLink", client->reader.fault.reason);
    return 0;
}

int64_t sono_serve_client_deadline(const sono_serve_client *client, int32_t stuck_ms)
{
    const int64_t stuck_at =
        client->queue.n > 0 ? client->progress_ns + (int64_t)stuck_ms * 1000000 : INT64_MAX;
    return stuck_at < client->close_at ? stuck_at : client->close_at;
}

void sono_serve_client_close(sono_serve_client *client)
{
    const int fd = client->watch.fd;
    if (fd < 0)
        return;
    sono_serve_loop_remove(client->loop, &client->watch);
    sono_serve_queue_clear(&client->queue, client->blobs);
    /* Unread bytes would turn the end into a reset, and a reset takes what the client has not read yet. */
    shutdown(fd, SHUT_WR);
    for (int i = 0; i < 16; i++)
        if (recv(fd, client->scratch, sizeof client->scratch, MSG_DONTWAIT) <= 0)
            break;
    close(fd);
}
