// SPDX-License-Identifier: Apache-2.0
#include "replay/schedule.h"

#include <math.h>

#define FIRST_GAP_NS 40000000

void sono_replay_schedule_init(sono_replay_schedule *schedule, sono_replay_pace pace, double rate_hz,
                               int32_t burst, int64_t now_ns)
{
    *schedule = (sono_replay_schedule){.pace = pace,
                                       .rate_hz = rate_hz,
                                       .burst = burst > 0 ? burst : 1,
                                       .begin_ns = now_ns,
                                       .due_ns = now_ns,
                                       .gap_ns = FIRST_GAP_NS};
}

/* Own times count from the first of their pass; the next pass begins a gap after the last one. */
static int64_t next_original(sono_replay_schedule *self, int64_t time_ns, int32_t pass)
{
    if (!self->n || pass != self->pass) {
        if (self->n)
            self->begin_ns = self->due_ns + self->gap_ns;
        self->pass = pass;
        self->first_ns = self->last_ns = time_ns;
    }
    if (time_ns > self->last_ns) {
        self->gap_ns = time_ns - self->last_ns;
        self->last_ns = time_ns;
    }
    return self->begin_ns + (self->last_ns - self->first_ns);
}

int64_t sono_replay_schedule_next(sono_replay_schedule *self, int64_t time_ns, int32_t pass)
{
    if (self->pace == SONO_REPLAY_ORIGINAL) {
        self->due_ns = next_original(self, time_ns, pass);
    } else if (self->pace == SONO_REPLAY_FIXED) {
        const uint64_t step = self->n / (uint64_t)self->burst * (uint64_t)self->burst;
        self->due_ns = self->begin_ns + llround((double)step * 1e9 / self->rate_hz);
    }
    self->n++;
    return self->due_ns;
}

void sono_replay_schedule_shift(sono_replay_schedule *self, int64_t by_ns)
{
    self->begin_ns += by_ns;
    self->due_ns += by_ns;
}
