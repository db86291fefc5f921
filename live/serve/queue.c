// SPDX-License-Identifier: Apache-2.0
#include "serve/queue.h"

#include <string.h>

static int is_begun(const sono_serve_queue *queue, int32_t at)
{
    return at == 0 && queue->sent_bytes > 0;
}

static int is_waiting_set(const sono_serve_queue *queue, int32_t at)
{
    const sono_serve_entry *entry = &queue->entries[at];
    return entry->set && entry->set != queue->begun_set && !is_begun(queue, at);
}

static void take_out(sono_serve_queue *queue, sono_serve_blobs *blobs, int32_t at)
{
    sono_serve_entry *entry = &queue->entries[at];
    queue->n_answers -= entry->kind == SONO_SERVE_QUEUE_ANSWER;
    sono_serve_blobs_give(blobs, entry->blob);
    queue->n--;
    memmove(entry, entry + 1, (size_t)(queue->n - at) * sizeof *entry);
}

/* The oldest set that waits is dropped when it is one too many. */
static int drop_one(sono_serve_queue *queue, sono_serve_blobs *blobs, int32_t max_sets)
{
    uint64_t oldest = 0, last = 0;
    int32_t n_sets = 0;
    for (int32_t i = 0; i < queue->n; i++) {
        const uint64_t set = queue->entries[i].set;
        if (!is_waiting_set(queue, i) || set == last)
            continue;
        last = set;
        oldest = oldest ? oldest : set;
        n_sets++;
    }
    if (n_sets == 0 || n_sets < max_sets)
        return 0;
    for (int32_t i = queue->n - 1; i >= 0; i--) {
        if (queue->entries[i].set == oldest) {
            queue->n_bytes -= queue->entries[i].blob->n_bytes;
            take_out(queue, blobs, i);
        }
    }
    return 1;
}

int32_t sono_serve_queue_make_room(sono_serve_queue *queue, sono_serve_blobs *blobs, int32_t max_sets)
{
    int32_t n_dropped = 0;
    while (drop_one(queue, blobs, max_sets))
        n_dropped++;
    return n_dropped;
}

static sono_serve_entry *replaced_by(sono_serve_queue *queue, const sono_serve_entry *entry)
{
    if (entry->kind != SONO_SERVE_QUEUE_STATUS && entry->kind != SONO_SERVE_QUEUE_TEXT)
        return NULL;
    for (int32_t i = 0; i < queue->n; i++)
        if (queue->entries[i].kind == entry->kind && !is_begun(queue, i))
            return &queue->entries[i];
    return NULL;
}

int sono_serve_queue_add(sono_serve_queue *queue, sono_serve_blobs *blobs, const sono_serve_entry *entry)
{
    sono_serve_entry *place = replaced_by(queue, entry);
    if (place) {
        queue->n_bytes -= place->blob->n_bytes;
        sono_serve_blobs_give(blobs, place->blob);
    } else {
        if (queue->n == SONO_SERVE_QUEUE_ENTRIES)
            return -1;
        place = &queue->entries[queue->n++];
        queue->n_answers += entry->kind == SONO_SERVE_QUEUE_ANSWER;
    }
    *place = *entry;
    sono_serve_blob_share(place->blob);
    queue->n_bytes += place->blob->n_bytes;
    return 0;
}

int32_t sono_serve_queue_parts(const sono_serve_queue *queue, struct iovec *parts, int32_t max)
{
    const int32_t n = queue->n < max ? queue->n : max;
    for (int32_t i = 0; i < n; i++) {
        const sono_serve_blob *blob = queue->entries[i].blob;
        const size_t from = i == 0 ? queue->sent_bytes : 0;
        parts[i] = (struct iovec){blob->bytes + from, blob->n_bytes - from};
    }
    return n;
}

int32_t sono_serve_queue_advance(sono_serve_queue *queue, sono_serve_blobs *blobs, size_t n_bytes,
                                 int64_t now_ns, sono_serve_done_fn done, void *user)
{
    int32_t n_done = 0;
    while (n_bytes > 0 && queue->n > 0) {
        const sono_serve_entry *entry = &queue->entries[0];
        const size_t left = entry->blob->n_bytes - queue->sent_bytes;
        const size_t taken = n_bytes < left ? n_bytes : left;
        if (queue->sent_bytes == 0)
            queue->first_ns = now_ns;
        if (entry->set)
            queue->begun_set = entry->set;
        queue->n_bytes -= taken;
        queue->sent_bytes += taken;
        n_bytes -= taken;
        if (taken < left)
            break;
        done(user, entry, queue->first_ns, now_ns);
        queue->sent_bytes = 0;
        take_out(queue, blobs, 0);
        n_done++;
    }
    return n_done;
}

int64_t sono_serve_queue_oldest_ns(const sono_serve_queue *queue)
{
    for (int32_t i = 0; i < queue->n; i++)
        if (queue->entries[i].set)
            return queue->entries[i].queued_ns;
    return INT64_MAX;
}

void sono_serve_queue_clear(sono_serve_queue *queue, sono_serve_blobs *blobs)
{
    for (int32_t i = 0; i < queue->n; i++)
        sono_serve_blobs_give(blobs, queue->entries[i].blob);
    memset(queue, 0, sizeof *queue);
}
