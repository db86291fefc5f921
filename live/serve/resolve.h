// SPDX-License-Identifier: Apache-2.0
/*
 * Addresses of a host. A numeric one is looked at at once; a name goes to a thread of its own, because the
 * system's resolver may take as long as it likes. The loop's thread asks, watches a descriptor and takes the
 * answer; a resolver that is freed while it waits ends when its question does.
 */
#ifndef SONO_SERVE_RESOLVE_H
#define SONO_SERVE_RESOLVE_H

#include <stdint.h>
#include <sys/socket.h>

#define SONO_SERVE_MAX_ADDRESSES 8

typedef struct sono_serve_addresses {
    int32_t n;
    struct sockaddr_storage list[SONO_SERVE_MAX_ADDRESSES];
    socklen_t n_bytes[SONO_SERVE_MAX_ADDRESSES];
    char error[128]; /* why there is none; "" = there are */
} sono_serve_addresses;

/* 1 when host is numeric: then out has its address. */
int sono_serve_resolve_numeric(const char *host, int32_t port, sono_serve_addresses *out);

/* "127.0.0.1:18944", "[::1]:18944". */
void sono_serve_address_text(const struct sockaddr_storage *address, char *out, size_t n_bytes);

typedef struct sono_serve_resolver sono_serve_resolver;

sono_serve_resolver *sono_serve_resolver_new(const char *host, int32_t port); /* NULL with errno */
int sono_serve_resolver_fd(const sono_serve_resolver *resolver); /* readable while there is an answer */
void sono_serve_resolver_ask(sono_serve_resolver *resolver);     /* nothing where it is asked already */
/* 1 = out has the answer, which is gone then. */
int sono_serve_resolver_take(sono_serve_resolver *resolver, sono_serve_addresses *out);
void sono_serve_resolver_free(sono_serve_resolver *resolver);

#endif
