// SPDX-License-Identifier: Apache-2.0
/* Closing a pipeline. What is lent keeps its memory: the last to give back frees it. */
#include "base/alloc.h"
#include "pipeline/pipeline_private.h"

void sono_pipeline_enter(sono_pipeline *p)
{
    atomic_fetch_add(&p->n_users, 1);
}

void sono_pipeline_leave(sono_pipeline *p)
{
    if (atomic_fetch_sub(&p->n_users, 1) > 1)
        return;
    if (p->engine)
        p->choice.ops->close(p->engine);
    sono_slots_destroy(&p->ring);
    pthread_mutex_destroy(&p->submit_mutex);
    sono_flow_close(&p->flow);
    sono_model_hashes_close(&p->own_hashes);
    sono_model_set_close(p->models);
    sono_free(p->frames);
    sono_free(p);
}

void sono_pipeline_close(sono_pipeline *p)
{
    if (!p)
        return;
    sono_slots_shut(&p->ring);
    sono_slots_stop(&p->ring);
    if (p->thread_started)
        pthread_join(p->thread, NULL);
    for (int32_t i = 0; p->frames && i < p->config.n_slots; i++)
        sono_pipeline_release_pixels(&p->slots[i]);
    if (p->hash_thread_started)
        pthread_join(p->hash_thread, NULL);
    sono_events_close(&p->events);
    atomic_store(&p->is_closed, 1);
    sono_pipeline_leave(p);
}
