// SPDX-License-Identifier: Apache-2.0
#include "serve/frames.h"

#include <stddef.h>
#include <string.h>

sono_serve_frame *sono_serve_frames_add(sono_serve_frames *frames, const sono_serve_frame *frame)
{
    sono_serve_frame *place = sono_serve_frames_find(frames, 0);
    if (place) { /* of the transforms only those that there are */
        memcpy(place, frame, offsetof(sono_serve_frame, transforms));
        memcpy(place->transforms, frame->transforms,
               (size_t)frame->n_transforms * sizeof frame->transforms[0]);
    }
    return place;
}

sono_serve_frame *sono_serve_frames_find(sono_serve_frames *frames, uint64_t id)
{
    for (int32_t i = 0; i < SONO_SERVE_MAX_FRAMES; ++i) {
        if (frames->list[i].id == id) {
            return &frames->list[i];
        }
    }
    return NULL;
}

void sono_serve_frames_remove(sono_serve_frame *frame)
{
    frame->id = 0;
}

void sono_serve_recent_add(sono_serve_recent *recent, double value)
{
    recent->values[recent->at] = (float)value;
    recent->at = (recent->at + 1) % SONO_SERVE_RECENT;
    recent->n += recent->n < SONO_SERVE_RECENT;
}

/* Value number k in order, of n; reorders them (Hoare's selection). */
static float select_value(float *values, int32_t n, int32_t k)
{
    int32_t low = 0, high = n - 1;
    while (low < high) {
        float pivot = values[low + (high - low) / 2];
        int32_t i = low, j = high;
        while (i <= j) {
            for (; values[i] < pivot; ++i) {
            }
            for (; values[j] > pivot; --j) {
            }
            if (i <= j) {
                float swap = values[i];
                values[i++] = values[j];
                values[j--] = swap;
            }
        }
        if (k <= j) {
            high = j;
        } else if (k >= i) {
            low = i;
        } else {
            break;
        }
    }
    return values[k];
}

void sono_serve_recent_quantiles(const sono_serve_recent *recent, double *p50, double *p95, double *p99)
{
    static const int32_t percents[3] = {50, 95, 99};
    double *const outs[3] = {p50, p95, p99};
    float values[SONO_SERVE_RECENT];
    memcpy(values, recent->values, (size_t)recent->n * sizeof values[0]);
    for (int i = 0; i < 3; ++i) {
        int32_t k = (recent->n * percents[i] + 99) / 100 - 1;
        *outs[i] = recent->n ? (double)select_value(values, recent->n, k) : 0;
    }
}
