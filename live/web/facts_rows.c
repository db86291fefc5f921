// SPDX-License-Identifier: Apache-2.0
/* Points and trips, as JSON and as CSV: one list of columns each makes both. */
#include "web/facts.h"

#include <math.h>

/* One cell: in JSON a member, in CSV a value and a comma. */
typedef struct row {
    sono_web_text *text;
    int is_csv, is_head;
} row;

static void cell_text(const row *r, const char *key, const char *value)
{
    if (r->is_csv) {
        sono_web_text_add(r->text, "%s,", r->is_head ? key : value);
    } else {
        sono_web_json_string(r->text, key, value);
    }
}

static void cell_count(const row *r, const char *key, uint64_t value)
{
    if (r->is_csv && r->is_head) {
        sono_web_text_add(r->text, "%s,", key);
    } else {
        sono_web_json_count(r->text, r->is_csv ? NULL : key, value);
    }
}

static void cell_number(const row *r, const char *key, double value, int n_decimals)
{
    if (!r->is_csv) {
        sono_web_json_number(r->text, key, value, n_decimals);
    } else if (r->is_head) {
        sono_web_text_add(r->text, "%s,", key);
    } else if (isfinite(value)) {
        sono_web_text_add(r->text, "%.*f,", n_decimals, value);
    } else {
        sono_web_text_put(r->text, ",", 1);
    }
}

static void end_line(const row *r)
{
    if (r->text->n_bytes) {
        r->text->bytes[r->text->n_bytes - 1] = '\n'; /* the last cell's comma */
    }
}

static void put_point(const row *r, const sono_web_point *point)
{
    static const sono_web_stage stages[] = {SONO_WEB_STAGE_WAITING, SONO_WEB_STAGE_ENGINE,
                                            SONO_WEB_STAGE_SHOWING, SONO_WEB_STAGE_SENDING};
    static const char *const keys[] = {"waiting_ms_p95", "engine_ms_p95", "showing_ms_p95", "sending_ms_p95"};
    cell_number(r, "time", (double)point->utc_ns * 1e-9, 6);
    cell_text(r, "level", sono_web_level_name((sono_web_level)point->level));
    cell_text(r, "state", point->state);
    cell_text(r, "fault", point->fault);
    cell_number(r, "rate_in_hz", point->rate_in_hz, 3);
    cell_number(r, "rate_out_hz", point->rate_out_hz, 3);
    cell_count(r, "received", point->received);
    cell_count(r, "processed", point->processed);
    cell_count(r, "dropped", point->dropped);
    cell_count(r, "waiting", point->waiting);
    cell_count(r, "in_engine", point->in_engine);
    cell_count(r, "clients", point->n_clients);
    cell_number(r, "latency_ms_p50", point->latency_ms[0], 3);
    cell_number(r, "latency_ms_p95", point->latency_ms[1], 3);
    cell_number(r, "latency_ms_p99", point->latency_ms[2], 3);
    for (int i = 0; i < 4; i++) {
        cell_number(r, keys[i], point->p95_ms[stages[i]], 3);
    }
    cell_number(r, "gpu_use_percent", point->gpu_use_percent, 1);
    cell_number(r, "gpu_memory_percent", point->gpu_memory_percent, 1);
    cell_number(r, "gpu_temperature_celsius", point->gpu_temperature_celsius, 1);
    cell_number(r, "gpu_power_watts", point->gpu_power_watts, 1);
}

static double after_ms(int64_t at_ns, const sono_web_trip *trip)
{
    return at_ns ? (double)(at_ns - trip->received_ns) * 1e-6 : NAN;
}

static void put_trip(const row *r, const sono_web_trip *trip)
{
    cell_count(r, "frame", trip->frame);
    cell_number(r, "received_utc", (double)trip->received_utc_ns * 1e-9, 6);
    cell_number(r, "submitted_ms", after_ms(trip->submitted_ns, trip), 4);
    cell_number(r, "done_ms", after_ms(trip->done_ns, trip), 4);
    cell_number(r, "shown_ms", after_ms(trip->shown_ns, trip), 4);
    cell_number(r, "sent_ms", after_ms(trip->sent_ns, trip), 4);
    cell_text(r, "state", sono_state_name((sono_state)trip->state));
}

static void begin(sono_web_text *text, const char *type, const char *list)
{
    sono_web_json_open(text, NULL, '{');
    if (type) {
        sono_web_json_string(text, "type", type);
    }
    sono_web_json_integer(text, "schema", 1);
    sono_web_json_open(text, list, '[');
}

static void finish(sono_web_text *text)
{
    sono_web_json_close(text, ']', 1);
    sono_web_json_close(text, '}', 0);
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

void sono_web_write_history(sono_web_text *text, const sono_web_history *history, uint64_t last_n)
{
    const row r = {.text = text};
    begin(text, NULL, "points");
    for (uint64_t n = least(last_n, history->n_points); n-- > 0;) {
        const sono_web_point *point = sono_web_history_point(history, n);
        if (point) {
            sono_web_json_open(text, NULL, '{');
            put_point(&r, point);
            sono_web_json_close(text, '}', 1);
        }
    }
    finish(text);
}

void sono_web_write_history_csv(sono_web_text *text, const sono_web_history *history, uint64_t last_n)
{
    static const sono_web_point none;
    const row head = {.text = text, .is_csv = 1, .is_head = 1}, r = {.text = text, .is_csv = 1};
    put_point(&head, &none);
    end_line(&head);
    for (uint64_t n = least(last_n, history->n_points); n-- > 0;) {
        const sono_web_point *point = sono_web_history_point(history, n);
        if (point) {
            put_point(&r, point);
            end_line(&r);
        }
    }
}

void sono_web_write_trips(sono_web_text *text, const char *type, const sono_web_history *history,
                          uint64_t since, uint64_t last_n)
{
    const row r = {.text = text};
    const uint64_t n_new = history->n_trips > since ? history->n_trips - since : 0;
    begin(text, type, "trips");
    for (uint64_t n = least(last_n, n_new); n-- > 0;) {
        const sono_web_trip *trip = sono_web_history_trip_at(history, n);
        if (trip) {
            sono_web_json_open(text, NULL, '{');
            put_trip(&r, trip);
            sono_web_json_close(text, '}', 1);
        }
    }
    finish(text);
}

void sono_web_write_trips_csv(sono_web_text *text, const sono_web_history *history, uint64_t last_n)
{
    static const sono_web_trip none;
    const row head = {.text = text, .is_csv = 1, .is_head = 1}, r = {.text = text, .is_csv = 1};
    put_trip(&head, &none);
    end_line(&head);
    for (uint64_t n = least(last_n, history->n_trips); n-- > 0;) {
        const sono_web_trip *trip = sono_web_history_trip_at(history, n);
        if (trip) {
            put_trip(&r, trip);
            end_line(&r);
        }
    }
}
