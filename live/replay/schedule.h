// SPDX-License-Identifier: Apache-2.0
/* When each frame is due: absolute times, so that no error adds up. Pure. */
#ifndef SONO_REPLAY_SCHEDULE_H
#define SONO_REPLAY_SCHEDULE_H

#include "replay/replay.h"

typedef struct sono_replay_schedule {
    sono_replay_pace pace;
    double rate_hz;
    int32_t burst;
    int64_t begin_ns;          /* of this pass (ORIGINAL) or of the whole */
    uint64_t n;                /* frames so far */
    int64_t first_ns, last_ns; /* ORIGINAL: own times of this pass's first frame and of the last one */
    int64_t gap_ns;            /* between the last two that differ: what lies between two passes */
    int64_t due_ns;            /* of the last frame; never goes back */
    int32_t pass;
} sono_replay_schedule;

/* now_ns: when the first frame is due. */
void sono_replay_schedule_init(sono_replay_schedule *schedule, sono_replay_pace pace, double rate_hz,
                               int32_t burst, int64_t now_ns);

/* When the next frame is due. time_ns: its own time (ORIGINAL; one before its predecessor's is due at once).
 * MAXIMUM: the last due time, which is none. */
int64_t sono_replay_schedule_next(sono_replay_schedule *schedule, int64_t time_ns, int32_t pass);

/* Everything from the last frame on is due so much later. */
void sono_replay_schedule_shift(sono_replay_schedule *schedule, int64_t by_ns);

#endif
