// SPDX-License-Identifier: Apache-2.0
#include "web/parts.h"

#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#define PATIENCE_NS INT64_C(3000000000)

int sono_web_mailbox_open(sono_web_mailbox *box)
{
    pthread_condattr_t attributes;
    box->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_mutex_init(&box->mutex, NULL);
    pthread_cond_init(&box->answered, &attributes);
    pthread_condattr_destroy(&attributes);
    return box->fd < 0 ? -1 : 0;
}

void sono_web_mailbox_close(sono_web_mailbox *box)
{
    if (box->fd >= 0) {
        close(box->fd);
    }
    pthread_cond_destroy(&box->answered);
    pthread_mutex_destroy(&box->mutex);
}

void sono_web_mailbox_end(sono_web_mailbox *box)
{
    pthread_mutex_lock(&box->mutex);
    box->is_over = 1;
    pthread_cond_broadcast(&box->answered);
    pthread_mutex_unlock(&box->mutex);
}

/* A free place; SONO_WEB_REQUESTS = there is none. With the mutex. */
static int free_place(const sono_web_mailbox *box)
{
    int at = 0;
    while (at < SONO_WEB_REQUESTS && box->list[at].ticket) {
        at++;
    }
    return at;
}

sono_web_reply sono_web_mailbox_ask(sono_web_mailbox *box, sono_web_action action, double value,
                                    char text[SONO_WEB_ANSWER_BYTES])
{
    const uint64_t one = 1;
    const int64_t until_ns = sono_web_now_ns() + PATIENCE_NS;
    const struct timespec until = {.tv_sec = until_ns / 1000000000, .tv_nsec = until_ns % 1000000000};
    sono_web_reply reply = SONO_WEB_NO_REPLY;
    pthread_mutex_lock(&box->mutex);
    const int at = free_place(box);
    if (at == SONO_WEB_REQUESTS || box->is_over) {
        pthread_mutex_unlock(&box->mutex);
        return SONO_WEB_FULL;
    }
    memset(&box->list[at], 0, sizeof box->list[at]);
    box->list[at].ticket = ++box->last_ticket;
    box->list[at].request = (sono_web_request){box->last_ticket, action, value};
    const ssize_t n = write(box->fd, &one, sizeof one);
    (void)n;
    while (!box->list[at].is_answered && !box->is_over &&
           pthread_cond_timedwait(&box->answered, &box->mutex, &until) == 0) {
    }
    if (box->list[at].is_answered) {
        reply = box->list[at].is_done ? SONO_WEB_DONE : SONO_WEB_REFUSED;
        memcpy(text, box->list[at].text, SONO_WEB_ANSWER_BYTES);
    }
    box->list[at].ticket = 0;
    pthread_mutex_unlock(&box->mutex);
    return reply;
}

int sono_web_mailbox_take(sono_web_mailbox *box, sono_web_request *out)
{
    uint64_t n;
    int found = -1;
    pthread_mutex_lock(&box->mutex);
    for (int i = 0; i < SONO_WEB_REQUESTS; i++) { /* the oldest */
        if (box->list[i].ticket && !box->list[i].is_taken &&
            (found < 0 || box->list[i].ticket < box->list[found].ticket)) {
            found = i;
        }
    }
    if (found >= 0) {
        box->list[found].is_taken = 1;
        *out = box->list[found].request;
    } else if (read(box->fd, &n, sizeof n) < 0) {
        n = 0;
    }
    pthread_mutex_unlock(&box->mutex);
    return found >= 0;
}

void sono_web_mailbox_answer(sono_web_mailbox *box, uint64_t ticket, int is_done, const char *text)
{
    pthread_mutex_lock(&box->mutex);
    for (int i = 0; i < SONO_WEB_REQUESTS; i++) {
        if (box->list[i].ticket == ticket) {
            box->list[i].is_answered = 1;
            box->list[i].is_done = is_done;
            snprintf(box->list[i].text, sizeof box->list[i].text, "%s", text);
            pthread_cond_broadcast(&box->answered);
        }
    }
    pthread_mutex_unlock(&box->mutex);
}
