// SPDX-License-Identifier: Apache-2.0
#include "io/video/times.h"

#include "base/alloc.h"
#include "io/numbers.h"

#include <string.h>

#define NS_PER_S 1000000000

/* The text behind `start`, or NULL. */
static char *behind(char *line, const char *start)
{
    const size_t n = strlen(start);
    return strncmp(line, start, n) ? NULL : line + n;
}

/* Two whole numbers with `between` between them. */
static int read_pair(char *text, char between, int64_t low, int64_t high, int64_t out[2])
{
    char *middle = strchr(text, between);
    if (!middle)
        return -1;
    *middle = ' ';
    return sono_numbers_whole(text, low, high, 2, out);
}

/* "#tb 0: 1/1000", "#dimensions 0: 640x480"; other lines with # say nothing that is needed. */
static int take_remark(sono_video_times *times, char *line)
{
    int64_t size[2], base[2];
    char *text = behind(line, "#tb 0: ");
    if (text) {
        if (read_pair(text, '/', 1, INT32_MAX, base) || base[0] != 1)
            return -1;
        times->units_per_s = base[1];
        return 0;
    }
    text = behind(line, "#dimensions 0: ");
    if (!text)
        return 0;
    if (read_pair(text, 'x', 1, INT32_MAX, size))
        return -1;
    times->width_px = (int32_t)size[0];
    times->height_px = (int32_t)size[1];
    return 0;
}

/* Cut off below a nanosecond. */
static int to_ns(int64_t units_per_s, int64_t units, int64_t *out)
{
    int64_t whole_ns;
    const int64_t rest_ns = units % units_per_s * NS_PER_S / units_per_s;
    return __builtin_mul_overflow(units / units_per_s, (int64_t)NS_PER_S, &whole_ns) ||
           __builtin_add_overflow(whole_ns, rest_ns, out);
}

/* "0,  dts,  pts,  duration,  size, 0x...": of these, stream, pts and size. */
static int take_frame(sono_video_times *times, char *line, sono_video_time *out)
{
    static const char no_time[] = "-9223372036854775808"; /* AV_NOPTS_VALUE */
    char *texts[5], *at = line;
    int64_t stream, units = 0;
    for (int i = 0; i < 5; i++) {
        char *comma = strchr(at, ',');
        if (!comma)
            return -1;
        *comma = 0;
        texts[i] = at + strspn(at, " ");
        at = comma + 1;
    }
    if (!times->units_per_s || sono_numbers_whole(texts[0], 0, 0, 1, &stream) ||
        (strcmp(texts[2], no_time) && sono_numbers_whole(texts[2], INT64_MIN, INT64_MAX, 1, &units)) ||
        sono_numbers_whole(texts[4], 0, INT64_MAX, 1, &out->n_bytes))
        return -1;
    return to_ns(times->units_per_s, units, &out->time_ns);
}

static sono_status keep(sono_video_times *times, const sono_video_time *item, const char *path,
                        sono_error *error)
{
    void *items = times->items;
    if (times->first == times->count)
        times->first = times->count = 0;
    if (sono_alloc_grow(&items, &times->capacity, times->count + 1, sizeof *times->items))
        return SONO_FAIL(error, OUT_OF_MEMORY, "%s: out of memory", path);
    times->items = items;
    times->items[times->count++] = *item;
    return SONO_STATUS_OK;
}

static sono_status take_line(sono_video_times *times, const char *path, sono_error *error)
{
    sono_video_time item;
    times->line[times->n_line] = 0;
    const int is_remark = times->line[0] == '#';
    if (is_remark ? take_remark(times, times->line) : take_frame(times, times->line, &item))
        return SONO_FAIL(error, FORMAT, "%s: ffmpeg says of a frame \"%.80s\": not understood", path,
                         times->line);
    return is_remark ? SONO_STATUS_OK : keep(times, &item, path, error);
}

sono_status sono_video_times_take(sono_video_times *times, const char *text, size_t n_text, const char *path,
                                  sono_error *error)
{
    for (size_t i = 0; i < n_text; i++) {
        if (text[i] != '\n') {
            if (times->n_line + 1 == sizeof times->line)
                return SONO_FAIL(error, FORMAT, "%s: ffmpeg says more of a frame than was expected", path);
            times->line[times->n_line++] = text[i];
            continue;
        }
        SONO_TRY(take_line(times, path, error));
        times->n_line = 0;
    }
    return SONO_STATUS_OK;
}

const sono_video_time *sono_video_times_next(sono_video_times *times)
{
    return times->first < times->count ? &times->items[times->first++] : NULL;
}

void sono_video_times_reset(sono_video_times *times)
{
    sono_free(times->items);
    *times = (sono_video_times){0};
}
