// SPDX-License-Identifier: Apache-2.0
/* What an event is about, and how bad it is: which lines the log keeps. Pure. */
#ifndef SONO_SERVE_LOG_LEVEL_H
#define SONO_SERVE_LOG_LEVEL_H

#include <stddef.h>

/* NAME, name. Whatever is not listed in log_level.c is of the service, and INFO. */
#define SONO_SERVE_AREA_MAP(X)                                                                               \
    X(SERVICE, "service")                                                                                    \
    X(SOURCE, "source")                                                                                      \
    X(ENGINE, "engine")                                                                                      \
    X(FRAMES, "frames")                                                                                      \
    X(SINK, "sink")                                                                                          \
    X(RECORD, "record")                                                                                      \
    X(WEB, "web")

typedef enum sono_serve_area {
#define SONO_SERVE_AREA_ENUM(name, text) SONO_SERVE_AREA_##name,
    SONO_SERVE_AREA_MAP(SONO_SERVE_AREA_ENUM)
#undef SONO_SERVE_AREA_ENUM
        SONO_SERVE_AREA_COUNT
} sono_serve_area;

typedef enum sono_serve_level {
    SONO_SERVE_LEVEL_ERROR,
    SONO_SERVE_LEVEL_WARNING,
    SONO_SERVE_LEVEL_INFO
} sono_serve_level;

/* Which lines are kept, by area: those of its level and worse. All zero keeps errors alone. */
typedef struct sono_serve_levels {
    sono_serve_level of[SONO_SERVE_AREA_COUNT];
} sono_serve_levels;

/* "info", or "info,frames=warning,web=error": a level for all areas, then others for single ones. 0, or -1
 * with what is wrong in `why`. */
int sono_serve_levels_parse(const char *text, sono_serve_levels *out, char *why, size_t n_bytes);
/* text: the event's pairs; a state's fault makes it a warning. */
void sono_serve_level_of(const char *event, const char *text, sono_serve_area *area, sono_serve_level *level);

#endif
