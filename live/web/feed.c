// SPDX-License-Identifier: Apache-2.0
#include "web/feed.h"

void sono_web_feed_put(sono_web_feed *feed, const sono_web_note *note)
{
    const uint64_t at = atomic_load_explicit(&feed->n_written, memory_order_relaxed);
    if (at - atomic_load_explicit(&feed->n_read, memory_order_acquire) == SONO_WEB_NOTES) {
        atomic_fetch_add_explicit(&feed->n_dropped, 1, memory_order_relaxed);
        return;
    }
    feed->notes[at % SONO_WEB_NOTES] = *note;
    atomic_store_explicit(&feed->n_written, at + 1, memory_order_release);
}

int sono_web_feed_take(sono_web_feed *feed, sono_web_note *out)
{
    const uint64_t at = atomic_load_explicit(&feed->n_read, memory_order_relaxed);
    if (at == atomic_load_explicit(&feed->n_written, memory_order_acquire)) {
        return 0;
    }
    *out = feed->notes[at % SONO_WEB_NOTES];
    atomic_store_explicit(&feed->n_read, at + 1, memory_order_release);
    return 1;
}
