// SPDX-License-Identifier: Apache-2.0
/* In the place of the web service in a build without it. */
#include "web/assets.h"
#include "web/encode.h"
#include "web/web.h"

#include "error/error.h"

const sono_web_asset_file *sono_web_asset_find(const char *name)
{
    (void)name;
    return NULL;
}

uint8_t *sono_web_encode(const uint8_t *rgb, int32_t width_px, int32_t height_px, size_t *n_bytes,
                         const char **type)
{
    *type = "image/png";
    return sono_web_png(rgb, width_px, height_px, n_bytes);
}

int sono_web_is_there(void)
{
    return 0;
}

sono_status sono_web_open(const sono_web_setup *setup, sono_web **out, sono_error *error)
{
    (void)out;
    return sono_live_fail(error, SONO_STATUS_UNSUPPORTED, 0, "web",
                          "web.listen is %s, but this build has no web service: install libcivetweb-dev and "
                          "libturbojpeg0-dev and build again, or leave web.listen empty",
                          setup->listen);
}

int32_t sono_web_port(const sono_web *web)
{
    (void)web;
    return 0;
}

void sono_web_close(sono_web *web)
{
    (void)web;
}

void sono_web_second(sono_web *web)
{
    (void)web;
}

void sono_web_trip_shown(sono_web *web, const sono_web_trip *trip)
{
    (void)web;
    (void)trip;
}

void sono_web_sent(sono_web *web, uint64_t frame, int64_t last_ns)
{
    (void)web;
    (void)frame;
    (void)last_ns;
}

void sono_web_state(sono_web *web, const char *state, const char *fault, const char *fault_text)
{
    (void)web;
    (void)state;
    (void)fault;
    (void)fault_text;
}

void sono_web_ledger(sono_web *web, const sono_ledger_totals *frame)
{
    (void)web;
    (void)frame;
}

void sono_web_residency(sono_web *web, double percent)
{
    (void)web;
    (void)percent;
}

void sono_web_threshold(sono_web *web, double threshold)
{
    (void)web;
    (void)threshold;
}

void sono_web_log(sono_web *web, const char *event, const char *text)
{
    (void)web;
    (void)event;
    (void)text;
}

int sono_web_wants_frame(const sono_web *web, int64_t now_ns)
{
    (void)web;
    (void)now_ns;
    return 0;
}

void sono_web_frame_shown(sono_web *web, const sono_web_frame *frame)
{
    (void)web;
    (void)frame;
}

void sono_web_emptied(sono_web *web, uint64_t last_frame, const char *fault, const char *fault_text)
{
    (void)web;
    (void)last_frame;
    (void)fault;
    (void)fault_text;
}

int sono_web_fd(const sono_web *web)
{
    (void)web;
    return -1;
}

int sono_web_next(sono_web *web, sono_web_request *out)
{
    (void)web;
    (void)out;
    return 0;
}

void sono_web_answer(sono_web *web, uint64_t ticket, int is_done, const char *text)
{
    (void)web;
    (void)ticket;
    (void)is_done;
    (void)text;
}

int sono_web_keep_frame(sono_web *web, const char *folder, const char *name, char *out, size_t n_bytes)
{
    (void)web;
    (void)folder;
    (void)name;
    (void)out;
    (void)n_bytes;
    return -1;
}
