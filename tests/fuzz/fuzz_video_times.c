// SPDX-License-Identifier: Apache-2.0
/* libFuzzer entry: any bytes as what ffmpeg says of frames, in pieces of any length. */
#include "io/video/times.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n_bytes);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n_bytes)
{
    sono_video_times times = {0};
    sono_error error;
    const size_t step = n_bytes ? 1 + bytes[0] % 97 : 1;
    sono_status status = SONO_STATUS_OK;
    for (size_t at = 0; at < n_bytes && status == SONO_STATUS_OK; at += step) {
        const size_t left = n_bytes - at;
        status = sono_video_times_take(&times, (const char *)bytes + at, left < step ? left : step, "video",
                                       &error);
        for (const sono_video_time *item; at % 2 && (item = sono_video_times_next(&times));)
            if (item->n_bytes < 0)
                abort();
    }
    if (times.width_px < 0 || times.height_px < 0 || times.first > times.count)
        abort();
    sono_video_times_reset(&times);
    return 0;
}
