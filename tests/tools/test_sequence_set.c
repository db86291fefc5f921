// SPDX-License-Identifier: Apache-2.0
/* Parts files: what is written is read again to the bit, replay gives the same states, and what is wrong is
 * named. */
#include "sequence_report.h"
#include "sequence_set.h"
#include "test.h"

#include "sonoseg/phantom.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define N_FRAMES 200
#define STEP_NS  40000000

static uint32_t draw(uint32_t *seed, uint32_t end)
{
    *seed = *seed * 1664525u + 1013904223u;
    return (*seed >> 8) % end;
}

/* A frame of a structure that comes and goes. */
static void make_frame(size_t i, uint32_t *seed, sequence_frame *frame, sequence_input *input)
{
    const int is_there = i % 50 < 35;
    sono_parts_init(&input->parts);
    input->timestamp_ns = (int64_t)(i % 100 + 1) * STEP_NS + draw(seed, 1000);
    input->width_px = 422;
    input->height_px = 558;
    input->parts.score = (int32_t)(is_there ? 700 + draw(seed, 300) : draw(seed, 400));
    input->parts.has_box = input->parts.score >= 300;
    input->parts.iou = input->parts.sharpness = input->parts.contrast = (int32_t)draw(seed, 1001);
    input->parts.shadow = input->parts.continuity = is_there ? 900 : -1;
    input->parts.agreement = (int32_t)draw(seed, 1000) + is_there;
    input->parts.surface = (int32_t)draw(seed, 1001) - 1;
    input->parts.moved_x = -(int32_t)draw(seed, 50);
    input->parts.is_repeat = i % 100 > 80;
    *frame = (sequence_frame){
        .sweep = (int32_t)(i / 100),
        .time_ns = input->timestamp_ns,
        .has_truth = 1,
        .kind = is_there ? SONO_PHANTOM_QUIET : SONO_PHANTOM_CONTACT_LOST,
        .is_visible = is_there,
        .is_borderline = i % 50 == 34,
        .stale_ms = i % 100 > 80 ? 40 * (int32_t)(i % 100 - 80) : 0,
        .score = input->parts.score / 1000.0 + 1e-5 * draw(seed, 100),
        .has_box = input->parts.has_box,
        .n_true_columns = is_there ? 200 : 0,
        .surface_jitter_mm = i % 3 ? (double)NAN : draw(seed, 1000) / 7000.0,
    };
    for (int k = 0; k < 4; k++) {
        frame->bbox_xyxy_px[k] = (float)draw(seed, 4000) / 7;
        frame->true_bbox_xyxy_px[k] = (float)draw(seed, 4000) / 3;
    }
    for (int k = 0; k < (int)(i % 7) * 20; k++)
        frame->surface_bins[k] = (uint16_t)draw(seed, 70);
}

static void make_set(sequence_set *set, const sequence_rules *rules)
{
    uint32_t seed = 15;
    for (size_t i = 0; i < N_FRAMES; i++) {
        sequence_frame frame;
        sequence_input input;
        make_frame(i, &seed, &frame, &input);
        assert_int_equal(sequence_set_add(set, &frame, &input, SONO_STATE_LOST), 0);
    }
    assert_int_equal(sequence_replay(set, rules), 0);
}

static sequence_rules make_rules(void)
{
    sequence_rules rules = {.mode = SONO_STATE_BY_STREAM, .threshold = 0.3};
    sono_error error;
    sono_state_rules_init(&rules.rules);
    assert_ok(sono_state_rules_set(&rules.rules, "on", 650, &error), &error);
    return rules;
}

static void write_set(const char *path, const sequence_set *set, const sequence_rules *rules)
{
    FILE *stream = fopen(path, "w");
    assert_non_null(stream);
    sequence_write_head(stream, "phantom:a \"threshold\": 7, \\", rules);
    for (size_t i = 0; i < set->n; i++)
        sequence_write_line(stream, i, &set->frames[i], &set->inputs[i], (sono_state)set->states[i]);
    assert_int_equal(fclose(stream), 0);
}

static void expect_same_frame(const sequence_frame *left, const sequence_frame *right)
{
    sequence_frame a = *left, b = *right;
    assert_int_equal(isnan(a.surface_jitter_mm), isnan(b.surface_jitter_mm));
    if (!isnan(a.surface_jitter_mm) && fabs(a.surface_jitter_mm - b.surface_jitter_mm) > 1e-9)
        fail_msg("jitter %.12f is not %.12f", b.surface_jitter_mm, a.surface_jitter_mm);
    if (fabs(a.score - b.score) > 1e-9 || fabs(a.quality - b.quality) > 1e-9)
        fail_msg("score or quality differ");
    a.surface_jitter_mm = b.surface_jitter_mm = a.score = b.score = a.quality = b.quality = 0;
    assert_memory_equal(&a, &b, sizeof a);
}

static void test_round_trip(void **state)
{
    (void)state;
    char path[SONO_TEST_PATH_BYTES];
    const sequence_rules rules = make_rules();
    sequence_rules read_rules;
    sequence_set set = {0}, copy = {0};
    int n_of[3] = {0};
    make_set(&set, &rules);
    for (size_t i = 0; i < set.n; i++)
        n_of[set.states[i]]++;
    assert_true(n_of[0] && n_of[1] && n_of[2]); /* or the test would say little */
    sono_test_path(path, sizeof path, "parts.jsonl");
    write_set(path, &set, &rules);
    assert_int_equal(sequence_read(path, &copy, &read_rules), 0);
    assert_int_equal(copy.n, set.n);
    assert_memory_equal(copy.states, set.states, set.n);
    assert_memory_equal(copy.inputs, set.inputs, set.n * sizeof *set.inputs);
    assert_memory_equal(&read_rules.rules, &rules.rules, sizeof rules.rules);
    assert_int_equal(read_rules.mode, rules.mode);
    assert_true(read_rules.threshold == rules.threshold);
    for (size_t i = 0; i < set.n; i++)
        expect_same_frame(&set.frames[i], &copy.frames[i]);
    memset(copy.states, 9, copy.n);
    assert_int_equal(sequence_replay(&copy, &read_rules), 0);
    assert_memory_equal(copy.states, set.states, set.n);
    sequence_set_free(&copy);
    sequence_set_free(&set);
}

/* The file's rules are all that the library has, under its names. */
static void test_every_rule(void **state)
{
    (void)state;
    char path[SONO_TEST_PATH_BYTES];
    sequence_rules rules = make_rules(), read_rules;
    sequence_set set = {0}, copy = {0};
    sono_error error;
    int32_t n = 0;
    for (const char *name; (name = sono_state_rule_name(n)); n++)
        assert_ok(sono_state_rules_set(&rules.rules, name, 400 + n, &error), &error);
    assert_in_range(n, 10, 100);
    for (int32_t i = 0; i < 2; i++) /* thresholds in their order */
        assert_ok(sono_state_rules_set(&rules.rules, i ? "agree_off" : "off", 1, &error), &error);
    make_set(&set, &rules);
    sono_test_path(path, sizeof path, "rules.jsonl");
    write_set(path, &set, &rules);
    assert_int_equal(sequence_read(path, &copy, &read_rules), 0);
    assert_memory_equal(&read_rules.rules, &rules.rules, sizeof rules.rules);
    sequence_set_free(&copy);
    sequence_set_free(&set);
}

static void expect_refused(const char *text)
{
    char path[SONO_TEST_PATH_BYTES];
    sequence_set set = {0};
    sequence_rules rules;
    sono_test_path(path, sizeof path, "wrong.jsonl");
    sono_test_write_file(path, text, strlen(text));
    if (!sequence_read(path, &set, &rules))
        fail_msg("taken: %.200s", text);
    sequence_set_free(&set);
}

/* Every key that is missing, and every value that is none, is refused; so is each line that is cut short. */
static void test_refused(void **state)
{
    (void)state;
    char path[SONO_TEST_PATH_BYTES];
    const sequence_rules rules = make_rules();
    sequence_set set = {0};
    make_set(&set, &rules);
    set.n = 1;
    sono_test_path(path, sizeof path, "whole.jsonl");
    write_set(path, &set, &rules);
    char *text = (char *)sono_test_read_file(path, NULL);
    char *const line = strchr(text, '\n') + 1;
    for (char *at = text; (at = strstr(at, "\": ")); at++) {
        if (at > text && (!strncmp(at - 5, "frame", 5) || !strncmp(at - 7, "version", 7)))
            continue; /* for people */
        const char was = at[-1], value = at[3];
        if (strstr(text, "input") == at - 5 || (at < line && at > strstr(text, "\"input\"")))
            continue;
        at[-1] = '_';
        expect_refused(text);
        at[-1] = was;
        at[3] = 'x';
        expect_refused(text);
        at[3] = value;
    }
    for (char *at = strstr(line, "\"parts\""); *at; at++) {
        const char was = *at;
        if (!strstr(at, "has_box"))
            break;
        *at = 0;
        expect_refused(text);
        *at = was;
    }
    *line = 0;
    expect_refused(text);
    expect_refused("");
    expect_refused("{\"parts_file\": 2}\n");
    free(text);
    sequence_set_free(&set);
}

static void test_report(void **state)
{
    (void)state;
    const sequence_rules rules = make_rules();
    sequence_set set = {0};
    sequence_report report;
    make_set(&set, &rules);
    assert_int_equal(sequence_report_make(&set, &rules, &report), 0);
    assert_true(report.has_truth);
    assert_int_equal(report.all[SEQUENCE_BY_MACHINE].n_frames, N_FRAMES);
    int64_t n = 0;
    for (int kind = 0; kind < SONO_PHANTOM_EVENT_COUNT; kind++)
        n += report.kinds[kind][SEQUENCE_BY_THRESHOLD].n_frames;
    assert_int_equal(n, N_FRAMES);
    sequence_set_free(&set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_every_rule),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_report),
    };
    return sono_test_run("tools/sequence_set", tests, sizeof tests / sizeof tests[0]);
}
