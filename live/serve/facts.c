// SPDX-License-Identifier: Apache-2.0
#include "serve/facts.h"

#include "serve/snapshot.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ASCII 3
#define UTF_8 106

void sono_serve_seconds_text(uint64_t raw, char out[SONO_SERVE_SECONDS_BYTES])
{
    /* 10^10 (2^32 - 1) has 66 bits: 5^10 = 9765625 and a shift by 22 instead of 10^10 and 32. The largest
     * fraction rounds to 9999999998, so the seconds never change. */
    const uint64_t fraction = raw & 0xffffffffu;
    const uint64_t decimals = (fraction * 9765625u + ((uint64_t)1 << 21)) >> 22;
    snprintf(out, SONO_SERVE_SECONDS_BYTES, "%" PRIu64 ".%010" PRIu64, raw >> 32, decimals);
}

/* An empty value is left out. */
static void add(sono_serve_facts *facts, const char *key, const char *value)
{
    const size_t n_bytes = value ? strlen(value) : 0;
    uint16_t encoding = ASCII;
    for (size_t i = 0; i < n_bytes; i++)
        if ((unsigned char)value[i] >= 0x80)
            encoding = UTF_8;
    if (n_bytes > 0 && facts->n < SONO_SERVE_MAX_FACTS)
        facts->list[facts->n++] = (sono_igtl_metadata){key, value, strlen(key), n_bytes, encoding};
}

/* Numbers: a decimal point whatever the locale. */
__attribute__((format(printf, 3, 4))) static void add_text(sono_serve_facts *facts, const char *key,
                                                           const char *format, ...)
{
    char *at = facts->text + facts->n_bytes;
    const size_t room = sizeof facts->text - facts->n_bytes;
    va_list args;
    va_start(args, format);
    const int n = vsnprintf(at, room, format, args);
    va_end(args);
    if (n < 0 || (size_t)n >= room)
        return;
    for (char *comma = strchr(at, ','); comma; comma = strchr(comma, ','))
        *comma = '.';
    facts->n_bytes += (size_t)n + 1;
    add(facts, key, at);
}

/* The shortest of six to nine digits that reads back as the same float. */
static void add_float(sono_serve_facts *facts, const char *key, float value)
{
    char text[32];
    int digits = 6;
    do
        snprintf(text, sizeof text, "%.*g", digits, (double)value);
    while (digits++ < 9 && strtof(text, NULL) != value);
    add_text(facts, key, "%s", text);
}

/* What the state was decided by. */
static void add_verdict(sono_serve_facts *facts, const sono_serve_result *result)
{
    static const struct {
        int32_t bit;
        const char *name;
    } reasons[] = {
#define REASON(name) {SONO_STATE_##name, #name},
        SONO_SERVE_REASON_MAP(REASON)
#undef REASON
    };
    char text[96] = "";
    size_t n = 0;
    for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; ++i) {
        if (result->reasons & reasons[i].bit) {
            n += (size_t)snprintf(text + n, sizeof text - n, "%s%s", n ? " " : "", reasons[i].name);
        }
    }
    add_text(facts, "Quality", "%.3f", result->quality / 1000.0);
    if (result->agreement >= 0) {
        add_text(facts, "Agreement", "%.3f", result->agreement / 1000.0);
    }
    if (n) {
        add_text(facts, "StateReasons", "%s", text);
    }
}

static void add_frame(sono_serve_facts *facts, const sono_serve_set *set)
{
    const sono_serve_result *result = set->result;
    char seconds[SONO_SERVE_SECONDS_BYTES];
    sono_serve_seconds_text(set->frame->timestamp, seconds);
    add_text(facts, "FrameId", "%" PRIu64, set->frame->id);
    add_text(facts, "SourceTimestamp", "%s", seconds);
    add_text(facts, "SourceTimestampRaw", "%016" PRIx64, set->frame->timestamp);
    add(facts, "State", sono_state_name(result->state));
    add(facts, "Reason", "OK");
    add_float(facts, "Score", result->score);
    add_text(facts, "BBox", "%.2f %.2f %.2f %.2f", (double)result->bbox_xyxy_px[0],
             (double)result->bbox_xyxy_px[1], (double)result->bbox_xyxy_px[2],
             (double)result->bbox_xyxy_px[3]);
    add_float(facts, "PredictedIoU", result->iou_predicted);
    add_text(facts, "AreaPx", "%" PRId64, result->mask_area_px);
    add_text(facts, "LatencyMs", "%.3f", set->latency_ms);
    add_text(facts, "EngineMs", "%.3f", result->latency_ms);
    if (result->region.width_px) {
        add_text(facts, "Region", "%d %d %d %d", (int)result->region.x_px, (int)result->region.y_px,
                 (int)result->region.width_px, (int)result->region.height_px);
    }
    if (result->is_judged) {
        add_verdict(facts, result);
    }
}

void sono_serve_facts_collect(sono_serve_facts *facts, const sono_serve_set *set,
                              const sono_serve_engine_info *info)
{
    facts->n = facts->n_bytes = 0;
    if (set->result) {
        add_frame(facts, set);
    } else {
        add(facts, "State", sono_state_name(SONO_STATE_LOST));
        add(facts, "Reason", set->reason);
        add(facts, "ReasonText", set->text);
    }
    add(facts, "Engine", info->kind);
    add(facts, "Detector", info->detector);
    add(facts, "DetectorSHA256", info->detector_sha256);
    add(facts, "Segmenter", info->segmenter);
    add(facts, "SegmenterSHA256", info->segmenter_sha256);
    add(facts, "Version", sono_version());
}
