// SPDX-License-Identifier: Apache-2.0
#include "web/pictures.h"

#include "serve/snapshot.h"
#include "sonoseg/sonoseg.h"

#include <math.h>
#include <string.h>

static void put_reasons(sono_web_text *text, int32_t reasons)
{
    static const struct {
        int32_t bit;
        const char *name;
    } names[] = {
#define REASON(name) {SONO_STATE_##name, #name},
        SONO_SERVE_REASON_MAP(REASON)
#undef REASON
    };
    sono_web_json_open(text, "reasons", '[');
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (reasons & names[i].bit) {
            sono_web_json_string(text, NULL, names[i].name);
        }
    }
    sono_web_json_close(text, ']', 1);
}

/* One list of lines, each a list of points. */
static void put_surface(sono_web_text *text, const sono_web_head *head)
{
    if (!head->has_surface) {
        sono_web_json_null(text, "surface_px");
        return;
    }
    sono_web_json_open(text, "surface_px", '[');
    for (int32_t line = 0; line < head->n_lines; line++) {
        sono_web_json_open(text, NULL, '[');
        for (int32_t i = head->line_starts[line]; i < head->line_starts[line + 1]; i++) {
            sono_web_json_open(text, NULL, '[');
            sono_web_json_number(text, NULL, (double)head->points_px[i][0], 1);
            sono_web_json_number(text, NULL, (double)head->points_px[i][1], 1);
            sono_web_json_close(text, ']', 1);
        }
        sono_web_json_close(text, ']', 1);
    }
    sono_web_json_close(text, ']', 1);
}

static void put_box(sono_web_text *text, const sono_web_head *head)
{
    if (!head->has_box) {
        sono_web_json_null(text, "bbox_px");
        return;
    }
    sono_web_json_open(text, "bbox_px", '[');
    for (int i = 0; i < 4; i++) {
        sono_web_json_number(text, NULL, (double)head->bbox_xyxy_px[i], 2);
    }
    sono_web_json_close(text, ']', 1);
}

void sono_web_write_head(sono_web_text *text, const char *kind, const sono_web_head *head, int64_t now_ns)
{
    const int is_judged = head->is_judged;
    sono_web_json_open(text, NULL, '{');
    sono_web_json_integer(text, "schema", 1);
    sono_web_json_string(text, "kind", kind);
    sono_web_json_count(text, "frame", head->frame);
    sono_web_json_string(text, "state", head->state);
    sono_web_json_string(text, "fault", head->fault);
    sono_web_json_string(text, "fault_text", head->fault_text);
    if (head->is_empty) {
        sono_web_json_number(text, "age_ms", (double)(now_ns - head->shown_ns) * 1e-6, 3);
        sono_web_json_close(text, '}', 0);
        return;
    }
    sono_web_json_string(text, "device", head->device);
    sono_web_json_integer(text, "width_px", head->width_px);
    sono_web_json_integer(text, "height_px", head->height_px);
    sono_web_json_number(text, "source_time", (double)head->timestamp / 4294967296.0, 7);
    sono_web_json_number(text, "received_utc", (double)head->received_utc_ns * 1e-9, 6);
    sono_web_json_number(text, "shown_utc", (double)head->shown_utc_ns * 1e-9, 6);
    sono_web_json_number(text, "age_ms", (double)(now_ns - head->received_ns) * 1e-6, 3);
    sono_web_json_number(text, "score", (double)head->score, 4);
    sono_web_json_number(text, "iou_predicted", (double)head->iou_predicted, 4);
    sono_web_json_integer(text, "area_px", head->area_px);
    put_box(text, head);
    put_surface(text, head);
    sono_web_json_number(text, "quality", is_judged ? head->quality / 1000.0 : NAN, 3);
    sono_web_json_number(text, "agreement",
                         is_judged && head->agreement >= 0 ? head->agreement / 1000.0 : NAN, 3);
    put_reasons(text, is_judged ? head->reasons : 0);
    sono_web_json_number(text, "latency_ms", head->latency_ms, 3);
    sono_web_json_number(text, "engine_ms", head->engine_ms, 3);
    sono_web_json_close(text, '}', 0);
}

void sono_web_pack(uint32_t n_head, uint32_t n_jpeg, uint8_t out[SONO_WEB_PACK_BYTES])
{
    memcpy(out, "SWF1", 4);
    for (int i = 0; i < 4; i++) {
        out[4 + i] = (uint8_t)(n_head >> 8 * i);
        out[8 + i] = (uint8_t)(n_jpeg >> 8 * i);
    }
}
