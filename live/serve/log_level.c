// SPDX-License-Identifier: Apache-2.0
#include "serve/log_level.h"

#include <stdio.h>
#include <string.h>

static const char *const areas[] = {
#define SONO_SERVE_AREA_TEXT(name, text) text,
    SONO_SERVE_AREA_MAP(SONO_SERVE_AREA_TEXT)
#undef SONO_SERVE_AREA_TEXT
};
static const char *const levels[] = {"error", "warning", "info"};

#define AREA(name)  SONO_SERVE_AREA_##name
#define LEVEL(name) SONO_SERVE_LEVEL_##name

static const struct {
    const char *event;
    sono_serve_area area;
    sono_serve_level level;
} events[] = {
    {"counts_differ", AREA(SERVICE), LEVEL(ERROR)},
    {"events_lost", AREA(SERVICE), LEVEL(ERROR)},
    {"warning", AREA(SERVICE), LEVEL(WARNING)},
    {"reload_refused", AREA(SERVICE), LEVEL(WARNING)},
    {"source_up", AREA(SOURCE), LEVEL(INFO)},
    {"source_down", AREA(SOURCE), LEVEL(WARNING)},
    {"source_cut", AREA(SOURCE), LEVEL(WARNING)},
    {"image_device", AREA(SOURCE), LEVEL(INFO)},
    {"engine_up", AREA(ENGINE), LEVEL(INFO)},
    {"engine_down", AREA(ENGINE), LEVEL(INFO)},
    {"engine_failed", AREA(ENGINE), LEVEL(ERROR)},
    {"engine_hangs", AREA(ENGINE), LEVEL(ERROR)},
    {"engine_loss", AREA(ENGINE), LEVEL(ERROR)},
    {"submit_failed", AREA(ENGINE), LEVEL(ERROR)},
    {"device_error", AREA(ENGINE), LEVEL(ERROR)},
    {"backend_fallback", AREA(ENGINE), LEVEL(WARNING)},
    {"init_models", AREA(ENGINE), LEVEL(INFO)},
    {"models_hashed", AREA(ENGINE), LEVEL(INFO)},
    {"warmup", AREA(ENGINE), LEVEL(INFO)},
    {"drop", AREA(FRAMES), LEVEL(INFO)},
    {"client_joined", AREA(SINK), LEVEL(INFO)},
    {"client_left", AREA(SINK), LEVEL(INFO)},
    {"recording", AREA(RECORD), LEVEL(INFO)},
    {"recording_stopped", AREA(RECORD), LEVEL(ERROR)},
    {"recording_failed", AREA(RECORD), LEVEL(ERROR)},
    {"snapshot", AREA(WEB), LEVEL(INFO)},
    {"snapshot_failed", AREA(WEB), LEVEL(ERROR)},
    {"web", AREA(WEB), LEVEL(INFO)},
    {"web_refused", AREA(WEB), LEVEL(WARNING)},
};

void sono_serve_level_of(const char *event, const char *text, sono_serve_area *area, sono_serve_level *level)
{
    *area = AREA(SERVICE);
    *level = LEVEL(INFO);
    for (size_t i = 0; i < sizeof events / sizeof *events; i++) {
        if (!strcmp(event, events[i].event)) {
            *area = events[i].area;
            *level = events[i].level;
            return;
        }
    }
    if (!strcmp(event, "state") && strstr(text, "fault=") && !strstr(text, "fault=OK")) {
        *level = LEVEL(WARNING);
    }
}

/* The place of a word of n letters in a list; -1 = it is not there. */
static int find(const char *const list[], int n_list, const char *word, size_t n)
{
    for (int i = 0; i < n_list; i++) {
        if (strlen(list[i]) == n && !memcmp(list[i], word, n)) {
            return i;
        }
    }
    return -1;
}

int sono_serve_levels_parse(const char *text, sono_serve_levels *out, char *why, size_t n_bytes)
{
    sono_serve_levels parsed;
    int is_first = 1;
    for (int i = 0; i < SONO_SERVE_AREA_COUNT; i++) {
        parsed.of[i] = LEVEL(INFO);
    }
    for (const char *at = text; *at || is_first; is_first = 0) {
        const size_t n = strcspn(at, ",");
        const char *equals = memchr(at, '=', n);
        const size_t n_area = equals ? (size_t)(equals - at) : 0;
        const int area = equals ? find(areas, SONO_SERVE_AREA_COUNT, at, n_area) : -1;
        const char *word = equals ? equals + 1 : at;
        const int level = find(levels, 3, word, n - (size_t)(word - at));
        if (level < 0 || (equals ? area < 0 : !is_first)) {
            snprintf(
                why, n_bytes,
                "'%.*s': a level (error, warning, info), then AREA=LEVEL for others, with commas; areas are "
                "service, source, engine, frames, sink, record, web",
                (int)n, at);
            return -1;
        }
        for (int i = 0; i < SONO_SERVE_AREA_COUNT; i++) {
            parsed.of[i] = area < 0 || i == area ? (sono_serve_level)level : parsed.of[i];
        }
        at += n + (at[n] == ',');
    }
    *out = parsed;
    return 0;
}
