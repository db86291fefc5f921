// SPDX-License-Identifier: Apache-2.0
#include "serve/resolve.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct sono_serve_resolver {
    char host[512];
    int32_t port;
    int fd;
    pthread_mutex_t mutex;
    pthread_cond_t cond;
    int is_asked, is_answered, is_over;
    sono_serve_addresses answer;
};

static void look_up(const char *host, int32_t port, int flags, sono_serve_addresses *out)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = flags};
    struct addrinfo *found = NULL;
    char service[16];
    snprintf(service, sizeof service, "%d", port);
    out->n = 0;
    out->error[0] = 0;
    int code = getaddrinfo(host, service, &hints, &found);
    if (code) {
        snprintf(out->error, sizeof out->error, "%s", gai_strerror(code));
        return;
    }
    for (struct addrinfo *a = found; a && out->n < SONO_SERVE_MAX_ADDRESSES; a = a->ai_next) {
        if (a->ai_addrlen <= sizeof out->list[0]) {
            memcpy(&out->list[out->n], a->ai_addr, a->ai_addrlen);
            out->n_bytes[out->n++] = a->ai_addrlen;
        }
    }
    freeaddrinfo(found);
}

int sono_serve_resolve_numeric(const char *host, int32_t port, sono_serve_addresses *out)
{
    look_up(host, port, AI_NUMERICHOST | AI_NUMERICSERV, out);
    return out->n > 0;
}

void sono_serve_address_text(const struct sockaddr_storage *address, char *out, size_t n_bytes)
{
    char host[INET6_ADDRSTRLEN] = "?";
    if (address->ss_family == AF_INET6) {
        const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)address;
        inet_ntop(AF_INET6, &six->sin6_addr, host, sizeof host);
        snprintf(out, n_bytes, "[%s]:%u", host, ntohs(six->sin6_port));
    } else {
        const struct sockaddr_in *four = (const struct sockaddr_in *)address;
        inet_ntop(AF_INET, &four->sin_addr, host, sizeof host);
        snprintf(out, n_bytes, "%s:%u", host, ntohs(four->sin_port));
    }
}

static void destroy(sono_serve_resolver *resolver)
{
    close(resolver->fd);
    pthread_mutex_destroy(&resolver->mutex);
    pthread_cond_destroy(&resolver->cond);
    free(resolver);
}

/* Owns the resolver once is_over is set. */
static void *work(void *user)
{
    sono_serve_resolver *resolver = user;
    sono_serve_addresses answer;
    pthread_mutex_lock(&resolver->mutex);
    for (;;) {
        while (!resolver->is_over && !(resolver->is_asked && !resolver->is_answered)) {
            pthread_cond_wait(&resolver->cond, &resolver->mutex);
        }
        if (resolver->is_over) {
            break;
        }
        pthread_mutex_unlock(&resolver->mutex);
        look_up(resolver->host, resolver->port, AI_NUMERICSERV, &answer);
        pthread_mutex_lock(&resolver->mutex);
        resolver->answer = answer;
        resolver->is_answered = 1;
        eventfd_write(resolver->fd, 1);
    }
    pthread_mutex_unlock(&resolver->mutex);
    destroy(resolver);
    return NULL;
}

sono_serve_resolver *sono_serve_resolver_new(const char *host, int32_t port)
{
    sono_serve_resolver *resolver = calloc(1, sizeof *resolver);
    pthread_t thread;
    if (!resolver) {
        return NULL;
    }
    snprintf(resolver->host, sizeof resolver->host, "%s", host);
    resolver->port = port;
    resolver->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (resolver->fd < 0) {
        free(resolver);
        return NULL;
    }
    pthread_mutex_init(&resolver->mutex, NULL);
    pthread_cond_init(&resolver->cond, NULL);
    int code = pthread_create(&thread, NULL, work, resolver);
    if (code) {
        destroy(resolver);
        errno = code;
        return NULL;
    }
    pthread_detach(thread);
    return resolver;
}

int sono_serve_resolver_fd(const sono_serve_resolver *resolver)
{
    return resolver->fd;
}

void sono_serve_resolver_ask(sono_serve_resolver *resolver)
{
    pthread_mutex_lock(&resolver->mutex);
    resolver->is_asked = 1;
    pthread_cond_signal(&resolver->cond);
    pthread_mutex_unlock(&resolver->mutex);
}

int sono_serve_resolver_take(sono_serve_resolver *resolver, sono_serve_addresses *out)
{
    eventfd_t count;
    pthread_mutex_lock(&resolver->mutex);
    int is_answered = resolver->is_answered;
    if (is_answered) {
        eventfd_read(resolver->fd, &count);
        *out = resolver->answer;
        resolver->is_answered = resolver->is_asked = 0;
    }
    pthread_mutex_unlock(&resolver->mutex);
    return is_answered;
}

void sono_serve_resolver_free(sono_serve_resolver *resolver)
{
    if (!resolver) {
        return;
    }
    pthread_mutex_lock(&resolver->mutex);
    resolver->is_over = 1;
    pthread_cond_signal(&resolver->cond);
    pthread_mutex_unlock(&resolver->mutex);
}
