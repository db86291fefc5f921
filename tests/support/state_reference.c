// SPDX-License-Identifier: Apache-2.0
#include "state_reference.h"

#include "pipeline/state_machine.h"
#include "base/alloc.h"
#include "test.h"

#include <math.h>
#include <string.h>

/* What is known of a frame once it was judged. */
typedef struct told {
    int64_t dt;         /* ns since the frame before; 0 where the stream begins */
    int begins, before; /* before: the state until this frame */
    int grade;          /* 0 bad, 1 fair, 2 good */
    int frozen, agrees; /* agrees: shows the same thing as the frame before, in other pixels */
    int found;          /* LOST ended with this frame */
} told;

sono_machine_rules state_reference_rules(void)
{
    static const int32_t weights[SONO_QUALITY_PARTS] = {300, 100, 100, 200, 100, 200, 0, 0};
    sono_machine_rules rules = {.mode = SONO_STATE_BY_STREAM,
                                .on = 600,
                                .off = 400,
                                .agree_on = 500,
                                .agree_off = 400,
                                .found_after_ms = 0,
                                .visible_after_ms = 120,
                                .lost_after_ms = 160,
                                .frozen_after_ms = 160,
                                .gap_ms = 500,
                                .default_dt_ms = 40,
                                .unknown_part = 500};
    memcpy(rules.weight, weights, sizeof weights);
    return rules;
}

static int64_t ns(int32_t ms)
{
    return ms * INT64_C(1000000);
}

static int64_t at_most(int64_t value, int32_t most_ms)
{
    return value < ns(most_ms) ? value : ns(most_ms);
}

static void look_back(const sono_machine_rules *rules, const state_reference_frame *frames, int32_t i,
                      told *p)
{
    const sono_state_frame *now = &frames[i].when;
    p->begins = i == 0 || now->begins;
    p->dt = 0;
    if (p->begins)
        return;
    const sono_state_frame *last = &frames[i - 1].when;
    if (now->width_px != last->width_px || now->height_px != last->height_px) {
        p->begins = 1;
    } else if (now->timestamp_ns == 0 || last->timestamp_ns == 0) {
        p->dt = ns(rules->default_dt_ms);
    } else {
        const int64_t t = last->timestamp_ns, gap = ns(rules->gap_ms);
        p->begins = now->timestamp_ns < t || (t <= INT64_MAX - gap && now->timestamp_ns > t + gap);
        p->dt = p->begins ? 0 : now->timestamp_ns - t;
    }
}

static int32_t quality(const sono_machine_rules *rules, const sono_frame_parts *parts)
{
    double sum = rules->bias;
    if (!parts->has_box || parts->permille[SONO_QUALITY_CONTINUITY] == -1)
        return 0;
    for (int k = 0; k < SONO_QUALITY_PARTS; k++)
        sum +=
            (double)rules->weight[k] * (parts->permille[k] == -1 ? rules->unknown_part : parts->permille[k]);
    return (int32_t)fmin(fmax(floor(sum / 1000), 0), 1000);
}

static int grade(const sono_machine_rules *rules, const sono_verdict *v)
{
    int32_t agreement = v->agreement;
    if (!v->parts.has_box || v->parts.permille[SONO_QUALITY_CONTINUITY] == -1)
        return 0;
    if (agreement == -1)
        agreement = 1000;
    return (v->quality >= rules->off && agreement >= rules->agree_off) +
           (v->quality >= rules->on && agreement >= rules->agree_on && v->quality >= rules->off &&
            agreement >= rules->agree_off);
}

/* Time with these pixels, up to frame i. */
static int64_t repeat_time(const told *past, const sono_verdict *v, int32_t i)
{
    int64_t sum = 0;
    for (; v[i].parts.is_repeat; i--)
        sum += past[i].dt;
    return sum;
}

/* While LOST: since the first of the frames up to i that are not bad. */
static int64_t found_time(const told *past, int32_t i)
{
    int64_t sum = 0;
    for (; past[i].grade && !past[i].begins && past[i - 1].grade && past[i - 1].before == SONO_STATE_LOST;
         i--)
        sum += past[i].dt;
    return sum;
}

/* Good time of the run of frames up to i without a bad or frozen one, and whether one of them agreed. */
static int64_t good_time(const told *past, int32_t i, int *agreed)
{
    int32_t first = i + 1;
    int64_t sum = 0;
    *agreed = 0;
    while (first > 0 && past[first - 1].grade && !past[first - 1].frozen) {
        first--;
        if (past[first].found || past[first].begins)
            break;
    }
    while (first <= i && past[first].grade != 2)
        first++;
    for (int32_t k = first; k <= i; k++) {
        if (past[k].grade != 2)
            continue;
        sum += k > first ? past[k].dt : 0;
        *agreed |= past[k].agrees && !past[k].found;
    }
    return sum;
}

static int64_t bad_time(const sono_machine_rules *rules, const told *past, int32_t i)
{
    int32_t first = i;
    int64_t sum = 0;
    while (!past[first].begins && past[first].grade != 2 && !past[first].found)
        first--;
    for (int32_t k = first; k <= i; k++) {
        if (past[k].grade == 0 && k > first && past[k - 1].grade == 0)
            sum = at_most(sum + past[k].dt, rules->lost_after_ms);
        if (past[k].grade == 1)
            sum = sum > past[k].dt ? sum - past[k].dt : 0;
        if (past[k].grade == 2 || past[k].found)
            sum = 0;
    }
    return sum;
}

static void move(const sono_machine_rules *rules, told *past, int32_t i, sono_verdict *v)
{
    const int64_t found = found_time(past, i);
    int agreed;
    v->state = past[i].before;
    if (v->state == SONO_STATE_LOST) {
        v->trust_us = (int32_t)(at_most(found, rules->found_after_ms) / 1000);
        past[i].found = past[i].grade > 0 && found >= ns(rules->found_after_ms);
        if (past[i].found) {
            v->state = SONO_STATE_RELOCALIZING;
            v->trust_us = 0;
        }
        v->doubt_us = (int32_t)(bad_time(rules, past, i) / 1000);
        return;
    }
    const int64_t good = good_time(past, i, &agreed), bad = bad_time(rules, past, i);
    v->trust_us = (int32_t)(at_most(good, rules->visible_after_ms) / 1000);
    v->doubt_us = (int32_t)(bad / 1000);
    if (v->state == SONO_STATE_VISIBLE) {
        if (!past[i].grade || past[i].frozen)
            v->state = SONO_STATE_RELOCALIZING;
    } else if (!past[i].grade && bad >= ns(rules->lost_after_ms)) {
        v->state = SONO_STATE_LOST;
    } else if (past[i].grade == 2 && !past[i].frozen && agreed && good >= ns(rules->visible_after_ms)) {
        v->state = SONO_STATE_VISIBLE;
    }
}

static int32_t reasons(const sono_machine_rules *rules, const told *p, const sono_verdict *v)
{
    const int was_visible = p->before == SONO_STATE_VISIBLE;
    int32_t bits = p->begins ? SONO_STATE_BEGAN : 0;
    if (v->state == SONO_STATE_VISIBLE)
        return bits;
    if (!v->parts.has_box)
        return bits | SONO_STATE_NO_BOX;
    if (v->parts.permille[SONO_QUALITY_CONTINUITY] == -1)
        return bits | SONO_STATE_NO_MASK;
    if (v->quality < (was_visible ? rules->off : rules->on))
        bits |= SONO_STATE_LOW_QUALITY;
    if (v->agreement != -1 && v->agreement < (was_visible ? rules->agree_off : rules->agree_on))
        bits |= SONO_STATE_DISAGREES;
    if (p->frozen)
        bits |= SONO_STATE_FROZEN;
    else if (p->grade == 2)
        bits |= SONO_STATE_TOO_SOON;
    return bits;
}

void state_reference(const sono_machine_rules *rules, const state_reference_frame *frames, int32_t n,
                     sono_verdict *verdicts)
{
    told *past_of = sono_alloc_array((size_t)n, sizeof *past_of);
    assert_non_null(past_of);
    memset(verdicts, 0, (size_t)n * sizeof *verdicts);
    for (int32_t i = 0; i < n; i++) {
        told *p = &past_of[i];
        sono_verdict *v = &verdicts[i];
        look_back(rules, frames, i, p);
        p->before = p->begins ? SONO_STATE_LOST : verdicts[i - 1].state;
        v->parts = frames[i].parts;
        if (p->begins)
            v->parts.is_repeat = 0;
        if (p->before == SONO_STATE_LOST) {
            v->parts.permille[SONO_QUALITY_AGREEMENT] = v->parts.permille[SONO_QUALITY_SURFACE] = -1;
            v->parts.moved_x = v->parts.moved_y = 0;
        }
        v->quality = quality(rules, &v->parts);
        v->agreement = v->parts.permille[SONO_QUALITY_AGREEMENT];
        if (v->parts.permille[SONO_QUALITY_SURFACE] > v->agreement)
            v->agreement = v->parts.permille[SONO_QUALITY_SURFACE];
        p->grade = grade(rules, v);
        p->agrees = !v->parts.is_repeat && v->agreement >= rules->agree_on;
        const int64_t repeat = at_most(repeat_time(past_of, verdicts, i), rules->frozen_after_ms);
        p->frozen = v->parts.is_repeat && repeat >= ns(rules->frozen_after_ms);
        move(rules, past_of, i, v);
        v->reasons = reasons(rules, p, v);
        v->dt_us = (int32_t)(p->dt / 1000);
        v->repeat_us = (int32_t)(repeat / 1000);
    }
    sono_free(past_of);
}
