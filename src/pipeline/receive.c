// SPDX-License-Identifier: Apache-2.0
/* Packets out: waiting for them, lending them, taking them back. */
#include "pipeline/pipeline_private.h"

#include <errno.h>
#include <string.h>

static sono_status only_one(sono_error *error)
{
    return SONO_FAIL(error, STATE, "another thread is waiting for packets or receiving one: only one may");
}

sono_status sono_pipeline_wait(sono_pipeline *p, int64_t timeout_ns, sono_wait_result *out, sono_error *error)
{
    if (!p || !out)
        return SONO_FAIL(error, INVALID_ARGUMENT, "pipeline or out is NULL");
    switch (sono_slots_wait(&p->ring, timeout_ns)) {
    case SONO_SLOTS_READY:
        *out = SONO_WAIT_READY;
        return SONO_STATUS_OK;
    case SONO_SLOTS_WOKEN:
        *out = SONO_WAIT_WOKEN;
        return SONO_STATUS_OK;
    case SONO_SLOTS_TIMEOUT:
        *out = SONO_WAIT_TIMEOUT;
        return SONO_STATUS_OK;
    case SONO_SLOTS_END:
        return SONO_FAIL(error, END, "the pipeline was shut down, and every packet was received");
    case SONO_SLOTS_BUSY:
        break;
    }
    return only_one(error);
}

sono_status sono_pipeline_wake(sono_pipeline *p)
{
    if (!p)
        return SONO_STATUS_INVALID_ARGUMENT;
    sono_slots_wake(&p->ring);
    return SONO_STATUS_OK;
}

sono_status sono_pipeline_event_fd(sono_pipeline *p, int32_t *out, sono_error *error)
{
    if (!p || !out)
        return SONO_FAIL(error, INVALID_ARGUMENT, "pipeline or out is NULL");
    const int32_t event_fd = sono_slots_event_fd(&p->ring);
    if (event_fd < 0)
        return SONO_FAIL_NATIVE(error, IO, errno, "cannot make the event descriptor: %s", strerror(errno));
    *out = event_fd;
    return SONO_STATUS_OK;
}

void sono_pipeline_give_back(sono_pipeline *p, sono_pipeline_frame *f)
{
    const int32_t index = (int32_t)(f - p->frames) / p->config.batch;
    sono_pipeline_slot *s = &p->slots[index];
    const int32_t n_frames = s->n_frames; /* the slot may be another thread's after the last one */
    if (atomic_fetch_sub(&f->n_uses, 1) == 1 && atomic_fetch_add(&s->n_released, 1) + 1 == n_frames)
        sono_slots_release(&p->ring, index);
    sono_pipeline_leave(p);
}

sono_status sono_pipeline_receive(sono_pipeline *p, const sono_packet **out, sono_error *error)
{
    int32_t index = -1;
    if (!p || !out)
        return SONO_FAIL(error, INVALID_ARGUMENT, "pipeline or out is NULL");
    const sono_slots_news news = sono_slots_receive(&p->ring, sono_pipeline_complete, p, &index);
    if (news == SONO_SLOTS_BUSY)
        return only_one(error);
    if (news != SONO_SLOTS_READY)
        return SONO_FAIL(error, END, "no frame is in flight");
    sono_pipeline_slot *s = &p->slots[index];
    if (s->n_received == 0)
        sono_pipeline_release_pixels(s);
    sono_pipeline_frame *f = &s->frames[s->n_received++];
    if (s->n_received == s->n_frames)
        sono_slots_hand_over(&p->ring, index);
    atomic_store(&f->n_uses, 1);
    sono_pipeline_enter(p);
    if (s->status != SONO_STATUS_OK) {
        const sono_status status = s->status;
        if (error)
            *error = s->error;
        sono_pipeline_give_back(p, f);
        return status;
    }
    f->lent = 1;
    *out = &f->storage.packet;
    return SONO_STATUS_OK;
}

sono_pipeline_frame *sono_pipeline_find_lent(sono_pipeline *p, const sono_packet *packet)
{
    const int32_t n = p->config.n_slots * p->config.batch;
    for (int32_t i = 0; i < n; i++)
        if (packet == &p->frames[i].storage.packet && p->frames[i].lent)
            return &p->frames[i];
    return NULL;
}

sono_status sono_packet_release(sono_pipeline *p, const sono_packet *packet)
{
    sono_pipeline_frame *f = p && packet ? sono_pipeline_find_lent(p, packet) : NULL;
    if (!f)
        return SONO_STATUS_INVALID_ARGUMENT;
    f->lent = 0;
    sono_pipeline_give_back(p, f);
    return SONO_STATUS_OK;
}
