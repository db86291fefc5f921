// SPDX-License-Identifier: Apache-2.0
/* The lines that warn at open: a tensor that is not on the expected device, and maps that cross in every
 * frame. A stand-in for the backend says where the tensors are, so no GPU is needed. */
#include "base/alloc.h"
#include "pipeline/pipeline_private.h"
#include "test.h"

#include <stdio.h>
#include <string.h>

#define N_OPS 10

static int32_t n_resident; /* ops of DECODE whose tensors are where they should be */
static char heard[1024];   /* all lines */
static const sono_plan plan = {.block_bytes = {[SONO_BLOCK_OUTPUTS] = 4096}};

static void audit(sono_engine *engine, sono_audit_counts *out)
{
    (void)engine;
    for (int i = 0; i < SONO_STAGE_COUNT; i++)
        out->n_ops[i] = out->n_resident[i] = N_OPS;
    out->n_resident[SONO_STAGE_DECODE] = n_resident;
}

static void listen_to(void *user, const sono_event *event)
{
    (void)user;
    char line[200];
    sono_event_format(event, line, sizeof line);
    const size_t n = strlen(heard);
    snprintf(heard + n, sizeof heard - n, "%s\n", strstr(line, "event="));
}

/* What a pipeline of that backend and configuration says. */
static const char *warnings(sono_backend backend, int32_t wants_weights, int32_t host_maps)
{
    const sono_engine_device_ops device = {.audit = audit};
    const sono_engine_ops ops = {.device = &device};
    sono_pipeline *pipeline = sono_alloc(sizeof *pipeline);
    assert_non_null(pipeline);
    pipeline->choice = (sono_backend_choice){.backend = backend, .ops = &ops, .device_name = "cuda:1"};
    pipeline->plan = &plan;
    pipeline->config.want_weight_maps = wants_weights;
    pipeline->config.host_maps = host_maps;
    heard[0] = '\0';
    assert_ok(sono_events_open(&pipeline->events, listen_to, NULL, NULL), NULL);
    sono_pipeline_warn(pipeline);
    sono_events_close(&pipeline->events);
    sono_pipeline_warn(pipeline); /* nobody listens */
    sono_free(pipeline);
    return heard;
}

static void test_nothing_to_say(void **state)
{
    (void)state;
    n_resident = N_OPS;
    assert_string_equal(warnings(SONO_BACKEND_CUDA, 0, 1), "");
    assert_string_equal(warnings(SONO_BACKEND_CUDA, 1, 0), "");
    n_resident = 0;
    assert_string_equal(warnings(SONO_BACKEND_CPU, 1, 1), "");
}

static void test_unexpected_device(void **state)
{
    (void)state;
    n_resident = N_OPS - 1;
    assert_string_equal(warnings(SONO_BACKEND_CUDA, 0, 1),
                        "event=device_mismatch stage=decode expected=cuda:1 ops=10 resident=9\n");
}

static void test_maps_in_every_frame(void **state)
{
    (void)state;
    n_resident = N_OPS;
    assert_string_equal(warnings(SONO_BACKEND_CUDA, 1, 1),
                        "event=host_maps device=cuda:1 max_bytes_per_frame=4096\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_to_say),
        cmocka_unit_test(test_unexpected_device),
        cmocka_unit_test(test_maps_in_every_frame),
    };
    return sono_test_run("pipeline/warnings", tests, sizeof tests / sizeof tests[0]);
}
