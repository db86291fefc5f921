// SPDX-License-Identifier: Apache-2.0
/* A trace's file: JSON as Chrome's and Perfetto's viewers take it, no two events of a row at the same time.
 */
#include "test.h"
#include "trace_file.h"

#include "base/alloc.h"

#include <cjson/cJSON.h>
#include <string.h>

#define N_RECORDS 7

/* A call, an upload, two kernels side by side and a third behind them, a download, a wait. */
static const sono_trace_record records[N_RECORDS] = {
    {.kind = SONO_TRACE_LAUNCH, .start_ns = 5000, .end_ns = 6000, .name = "cudaGraphLaunch"},
    {.kind = SONO_TRACE_WAIT, .start_ns = 6500, .end_ns = 9900, .name = "cudaEventSynchronize"},
    {.kind = SONO_TRACE_H2D, .stream = 7, .start_ns = 7000, .end_ns = 7100, .bytes = 77, .name = "upload"},
    {.kind = SONO_TRACE_KERNEL, .stream = 7, .start_ns = 7200, .end_ns = 8000, .graph_node = 11, .name = "a"},
    {.kind = SONO_TRACE_KERNEL, .stream = 7, .start_ns = 7300, .end_ns = 7900, .name = "b \"q\"\\"},
    {.kind = SONO_TRACE_KERNEL, .stream = 7, .start_ns = 8000, .end_ns = 8600, .name = "c"},
    {.kind = SONO_TRACE_D2H, .stream = 7, .start_ns = 9000, .end_ns = 9500, .bytes = 99, .name = "download"},
};

static cJSON *write_and_parse(int64_t n_records)
{
    char path[SONO_TEST_PATH_BYTES];
    size_t n_bytes = 0;
    sono_test_path(path, sizeof path, "trace.json");
    assert_int_equal(trace_file_write(path, records, n_records), 0);
    char *text = (char *)sono_test_read_file(path, &n_bytes);
    cJSON *parsed = cJSON_Parse(text);
    if (!parsed)
        fail_msg("not JSON:\n%s", text);
    sono_free(text);
    return parsed;
}

static double number(const cJSON *event, const char *key)
{
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(event, key);
    assert_true(cJSON_IsNumber(value));
    return value->valuedouble;
}

static const char *word(const cJSON *event, const char *key)
{
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(event, key);
    assert_true(cJSON_IsString(value));
    return value->valuestring;
}

static void check_record(const cJSON *event, const sono_trace_record *record)
{
    const cJSON *args = cJSON_GetObjectItemCaseSensitive(event, "args");
    const double ts_us = 1e-3 * (double)(record->start_ns - records[0].start_ns);
    const double dur_us = 1e-3 * (double)(record->end_ns - record->start_ns);
    assert_string_equal(word(event, "name"), record->name);
    assert_string_equal(word(event, "ph"), "X");
    assert_true(number(event, "ts") > ts_us - 1e-6 && number(event, "ts") < ts_us + 1e-6);
    assert_true(number(event, "dur") > dur_us - 1e-6 && number(event, "dur") < dur_us + 1e-6);
    assert_int_equal(number(args, "bytes"), record->bytes);
    assert_int_equal(number(args, "graph_node"), record->graph_node);
}

static void test_records(void **state)
{
    (void)state;
    cJSON *parsed = write_and_parse(N_RECORDS);
    const cJSON *all = cJSON_GetObjectItemCaseSensitive(parsed, "traceEvents");
    const cJSON *events[N_RECORDS];
    int n_names = 0;
    for (int i = 0; i < cJSON_GetArraySize(all); i++) {
        const cJSON *event = cJSON_GetArrayItem(all, i);
        if (i < N_RECORDS)
            check_record(events[i] = event, &records[i]);
        else
            n_names += strcmp(word(event, "ph"), "M") == 0;
    }
    assert_int_equal(cJSON_GetArraySize(all), N_RECORDS + n_names);
    assert_int_equal(n_names, 3 + 2); /* rows, processes */
    assert_string_equal(word(events[2], "cat"), "h2d");
    assert_true(number(events[0], "pid") == number(events[1], "pid"));
    assert_true(number(events[0], "pid") != number(events[2], "pid"));
    assert_true(number(events[3], "tid") != number(events[4], "tid")); /* at the same time */
    assert_true(number(events[3], "tid") == number(events[5], "tid")); /* one behind the other */
    cJSON_Delete(parsed);
}

static void test_nothing(void **state)
{
    (void)state;
    cJSON *parsed = write_and_parse(0);
    const cJSON *all = cJSON_GetObjectItemCaseSensitive(parsed, "traceEvents");
    assert_int_equal(cJSON_GetArraySize(all), 2); /* the processes' names */
    cJSON_Delete(parsed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_records), cmocka_unit_test(test_nothing)};
    return sono_test_run("tools/trace_file", tests, sizeof tests / sizeof tests[0]);
}
