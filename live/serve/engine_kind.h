// SPDX-License-Identifier: Apache-2.0
/* Private to the engine: what a kind of engine does. engine.c opens and closes it in a thread of its own; all
 * other calls come from the loop's thread, between a successful open and the beginning of close. */
#ifndef SONO_SERVE_ENGINE_KIND_H
#define SONO_SERVE_ENGINE_KIND_H

#include "serve/engine.h"

/* Beside the configuration, what an engine is opened with. */
typedef struct sono_serve_engine_setup {
    const sono_serve_config *config;
    double threshold; /* config's, or what a COMMAND said since */
    int32_t n_slots;
    sono_event_fn on_event;
    void *user;
} sono_serve_engine_setup;

typedef struct sono_serve_engine_kind {
    const char *name;
    sono_status (*open)(const sono_serve_engine_setup *setup, void **out, sono_error *error);
    void (*close)(void *engine);
    int (*fd)(void *engine); /* readable exactly while next() has something; -1 = there is none */
    /* NOTHING, RESULT or LOSS. */
    sono_serve_engine_news (*next)(void *engine, sono_serve_result *result, sono_error *error);
    uint8_t *(*lend)(void *engine, size_t *n_bytes, void **input);
    void (*give_back)(void *engine, void *input);
    /* On failure the input stays lent. */
    sono_status (*submit)(void *engine, void *input, const sono_image *image, const sono_frame_info *info,
                          sono_error *error);
    void (*release)(void *engine, const sono_serve_result *result);
    void (*query)(void *engine, sono_serve_engine_info *out);
} sono_serve_engine_kind;

extern const sono_serve_engine_kind sono_serve_engine_pipeline;
extern const sono_serve_engine_kind sono_serve_engine_null;

#endif
