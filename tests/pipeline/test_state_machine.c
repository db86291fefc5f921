// SPDX-License-Identifier: Apache-2.0
/* The public state machine: rules by name, what it refuses, and that parts told again give the same states.
 */
#include "state_reference.h"
#include "test.h"

#include "base/alloc.h"
#include "pipeline/state_machine.h"

#include <stdio.h>
#include <string.h>

#define N_FRAMES 400

static void refuse(sono_status wanted, sono_status got, sono_error *error, const char *part_of_text)
{
    assert_status(wanted, got, error);
    if (!strstr(error->text, part_of_text))
        fail_msg("\"%s\" does not say \"%s\"", error->text, part_of_text);
}

#define REFUSE(status, text, call) refuse(SONO_STATUS_##status, call, &error, text)

static void defaults_are_as_the_header_says(void **state)
{
    sono_state_rules rules;
    sono_parts parts;
    (void)state;
    sono_state_rules_init(&rules);
    assert_int_equal(rules.struct_size, sizeof rules);
    assert_int_equal(rules.on, 720);
    assert_int_equal(rules.off, 600);
    assert_int_equal(rules.agree_on, 300);
    assert_int_equal(rules.agree_off, 0);
    assert_int_equal(rules.found_after_ms, 40);
    assert_int_equal(rules.visible_after_ms, 80);
    assert_int_equal(rules.lost_after_ms, 120);
    assert_int_equal(rules.frozen_after_ms, 250);
    assert_int_equal(rules.gap_ms, 500);
    assert_int_equal(rules.default_dt_ms, 40);
    assert_int_equal(rules.weight_score + rules.weight_iou + rules.weight_sharpness + rules.weight_contrast +
                         rules.weight_shadow + rules.weight_continuity + rules.weight_agreement +
                         rules.weight_surface,
                     1000);
    assert_int_equal(rules.bias, 0);
    assert_int_equal(rules.unknown_part, 500);
    sono_parts_init(&parts);
    assert_int_equal(parts.score, -1);
    assert_int_equal(parts.surface, -1);
    assert_int_equal(parts.has_box, 0);
}

/* Each name sets one field, in the order of the struct. */
static void rules_are_set_by_name(void **state)
{
    sono_state_rules rules, fresh;
    sono_error error;
    const int32_t n_fields = (int32_t)((sizeof rules - sizeof rules.struct_size) / sizeof(int32_t));
    (void)state;
    sono_state_rules_init(&fresh);
    for (int32_t i = 0; i < n_fields; i++) {
        rules = fresh;
        assert_ok(sono_state_rules_set(&rules, sono_state_rule_name(i), 7, &error), &error);
        const int32_t *fields = &rules.on, *before = &fresh.on;
        for (int32_t k = 0; k < n_fields; k++)
            assert_int_equal(fields[k], k == i ? 7 : before[k]);
    }
    assert_null(sono_state_rule_name(n_fields));
    assert_null(sono_state_rule_name(-1));
    assert_string_equal(sono_state_rule_name(5), "visible_after_ms");
    REFUSE(INVALID_ARGUMENT, "onn", sono_state_rules_set(&rules, "onn", 7, &error));
    REFUSE(INVALID_ARGUMENT, "NULL", sono_state_rules_set(&rules, NULL, 7, &error));
    REFUSE(INVALID_ARGUMENT, "sono_state_rules_init", sono_state_rules_set(NULL, "on", 7, &error));
    REFUSE(INVALID_ARGUMENT, "on is 1001: give 0 to 1000", sono_state_rules_set(&rules, "on", 1001, &error));
    REFUSE(INVALID_ARGUMENT, "4294967297", sono_state_rules_set(&rules, "on", 4294967297, &error));
    rules.struct_size = offsetof(sono_state_rules, bias); /* an older program's */
    REFUSE(INVALID_ARGUMENT, "bias", sono_state_rules_set(&rules, "bias", 7, &error));
    rules.struct_size = 0;
    REFUSE(INVALID_ARGUMENT, "sono_state_rules_init", sono_state_rules_set(&rules, "on", 7, &error));
}

static void rules_out_of_range_are_refused(void **state)
{
    struct {
        sono_state_rules known;
        int32_t more[2];
    } longer = {.more = {0, 0}};
    sono_state_machine *machine = NULL;
    sono_state_rules rules;
    sono_error error;
    (void)state;
    sono_state_rules_init(&rules);
    rules.off = 721;
    REFUSE(INVALID_ARGUMENT, "off is 721",
           sono_state_machine_open(&rules, SONO_STATE_BY_STREAM, &machine, &error));
    sono_state_rules_init(&rules);
    rules.agree_on = 399;
    rules.agree_off = 400;
    REFUSE(INVALID_ARGUMENT, "agree_on 399",
           sono_state_machine_open(&rules, SONO_STATE_BY_STREAM, &machine, &error));
    sono_state_rules_init(&rules);
    rules.lost_after_ms = -1;
    REFUSE(INVALID_ARGUMENT, "lost_after_ms is -1: give 0 to 600000",
           sono_state_machine_open(&rules, SONO_STATE_BY_STREAM, &machine, &error));
    REFUSE(INVALID_ARGUMENT, "state mode 3",
           sono_state_machine_open(NULL, (sono_state_mode)3, &machine, &error));
    REFUSE(INVALID_ARGUMENT, "out", sono_state_machine_open(NULL, SONO_STATE_BY_STREAM, NULL, &error));
    assert_null(machine);
    sono_state_rules_init_sized(&longer, sizeof longer);
    assert_ok(sono_state_machine_open(&longer.known, SONO_STATE_BY_STREAM, &machine, &error), &error);
    sono_state_machine_close(machine);
    machine = NULL;
    longer.more[1] = 1;
    REFUSE(UNSUPPORTED, "older",
           sono_state_machine_open(&longer.known, SONO_STATE_BY_STREAM, &machine, &error));
    sono_alloc_fail_from(1);
    REFUSE(OUT_OF_MEMORY, "machine", sono_state_machine_open(NULL, SONO_STATE_BY_STREAM, &machine, &error));
    sono_alloc_fail_from(0);
    assert_null(machine);
    sono_state_machine_reset(NULL);
    sono_state_machine_close(NULL);
}

static void bad_steps_change_nothing(void **state)
{
    sono_state_machine *machine;
    sono_state_report report, before;
    sono_parts parts, bad;
    sono_error error;
    (void)state;
    assert_ok(sono_state_machine_open(NULL, SONO_STATE_BY_STREAM, &machine, &error), &error);
    sono_state_report_init(&report);
    report.quality = 123;
    before = report;
    sono_parts_init(&parts);
    bad = parts;
    bad.sharpness = 1001;
    REFUSE(INVALID_ARGUMENT, "sharpness is 1001: give -1 to 1000",
           sono_state_machine_step(machine, &bad, 1, 64, 48, &report, &error));
    bad = parts;
    bad.has_box = 2;
    REFUSE(INVALID_ARGUMENT, "has_box", sono_state_machine_step(machine, &bad, 1, 64, 48, &report, &error));
    bad.struct_size = 0;
    REFUSE(INVALID_ARGUMENT, "sono_parts_init",
           sono_state_machine_step(machine, &bad, 1, 64, 48, &report, &error));
    REFUSE(INVALID_ARGUMENT, "sono_parts_init",
           sono_state_machine_step(machine, NULL, 1, 64, 48, &report, &error));
    REFUSE(INVALID_ARGUMENT, "0 x 48", sono_state_machine_step(machine, &parts, 1, 0, 48, &report, &error));
    REFUSE(INVALID_ARGUMENT, "64 x 0", sono_state_machine_step(machine, &parts, 1, 64, 0, &report, &error));
    REFUSE(INVALID_ARGUMENT, "machine", sono_state_machine_step(NULL, &parts, 1, 64, 48, &report, &error));
    REFUSE(INVALID_ARGUMENT, "sono_state_report_init",
           sono_state_machine_step(machine, &parts, 1, 64, 48, NULL, &error));
    assert_memory_equal(&report, &before, sizeof report);
    /* The first frame that counts still begins the stream. */
    assert_ok(sono_state_machine_step(machine, &parts, 1, 64, 48, &report, &error), &error);
    assert_int_equal(report.reasons, SONO_STATE_BEGAN | SONO_STATE_NO_BOX);
    sono_state_machine_close(machine);
}

static uint64_t random_state = 7;

static int32_t pick(int32_t low, int32_t high) /* both included */
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return low + (int32_t)((random_state >> 33) % ((uint64_t)high - (uint64_t)low + 1));
}

static void make_stream(state_reference_frame *frames, sono_parts *parts)
{
    int64_t now = INT64_C(1700000000000000000);
    for (int32_t i = 0, mood = 600; i < N_FRAMES; i++) {
        sono_verdict verdict = {0};
        sono_state_report unused;
        mood = pick(0, 15) ? mood : pick(0, 1) * 600;
        now += pick(0, 60) ? 40000000 : pick(-1, 20) * INT64_C(40000000);
        frames[i] = (state_reference_frame){.when = {pick(0, 30) ? now : 0, 64, 48, i == 200}};
        for (int k = 0; k < SONO_QUALITY_PARTS; k++)
            verdict.parts.permille[k] = pick(0, 90) ? pick(mood, mood + 400) : -1;
        verdict.parts.has_box = pick(0, 30) > 0;
        verdict.parts.is_repeat = pick(0, 4) == 0;
        verdict.parts.moved_x = pick(-20, 20);
        frames[i].parts = verdict.parts;
        sono_state_show(&verdict, &parts[i], &unused);
    }
}

/* Steps through a stream, with a reset before frame 200; parts are replaced by those that were judged. */
static void replay(const state_reference_frame *frames, sono_parts *parts, const sono_verdict *want)
{
    sono_state_machine *machine;
    sono_error error;
    assert_ok(sono_state_machine_open(NULL, SONO_STATE_BY_STREAM, &machine, &error), &error);
    for (int32_t i = 0; i < N_FRAMES; i++) {
        sono_state_report report, wanted;
        sono_parts judged;
        sono_state_report_init(&report);
        if (i == 200)
            sono_state_machine_reset(machine);
        assert_ok(
            sono_state_machine_step(machine, &parts[i], frames[i].when.timestamp_ns, 64, 48, &report, &error),
            &error);
        sono_state_show(&want[i], &judged, &wanted);
        if (memcmp(&report, &wanted, sizeof report) != 0)
            fail_msg("frame %d: state %d, wanted %d", i, report.state, wanted.state);
        parts[i] = judged;
    }
    sono_state_machine_close(machine);
}

static void parts_replayed_give_the_same_states(void **state)
{
    static state_reference_frame frames[N_FRAMES];
    static sono_parts parts[N_FRAMES];
    static sono_verdict want[N_FRAMES];
    sono_machine_rules rules;
    int32_t n_of[3] = {0};
    (void)state;
    assert_ok(sono_state_rules_resolve(NULL, SONO_STATE_BY_STREAM, &rules, NULL), NULL);
    make_stream(frames, parts);
    state_reference(&rules, frames, N_FRAMES, want);
    for (int32_t i = 0; i < N_FRAMES; i++)
        n_of[want[i].state]++;
    assert_true(n_of[SONO_STATE_LOST] > 5 && n_of[SONO_STATE_VISIBLE] > 5 &&
                n_of[SONO_STATE_RELOCALIZING] > 5);
    replay(frames, parts, want);
    replay(frames, parts, want); /* from the parts that packets carry: those that were judged */
}

/* Each weight is that of the part of its name. */
static void weights_are_of_their_parts(void **state)
{
    (void)state;
    for (int k = 0; k < SONO_QUALITY_PARTS; k++) {
        sono_state_machine *machine;
        sono_state_report report;
        sono_state_rules rules;
        sono_parts parts;
        sono_error error;
        sono_state_rules_init(&rules);
        sono_parts_init(&parts);
        sono_state_report_init(&report);
        rules.unknown_part = 0;
        rules.off = rules.found_after_ms = 0;
        parts.has_box = 1;
        for (int other = 0; other < SONO_QUALITY_PARTS; other++) {
            (&rules.weight_score)[other] = 10 + other;
            (&parts.score)[other] = other == k ? 1000 : 0;
        }
        assert_ok(sono_state_machine_open(&rules, SONO_STATE_BY_STREAM, &machine, &error), &error);
        for (int64_t i = 1; i <= 2; i++) /* agreement counts from the second frame on */
            assert_ok(sono_state_machine_step(machine, &parts, i, 64, 48, &report, &error), &error);
        assert_int_equal(report.quality, 10 + k);
        sono_state_machine_close(machine);
    }
}

static void modes_without_memory(void **state)
{
    sono_state_machine *machine;
    sono_state_report report;
    sono_state_rules rules;
    sono_parts parts;
    sono_error error;
    (void)state;
    sono_state_report_init(&report);
    sono_state_rules_init(&rules);
    sono_parts_init(&parts);
    rules.found_after_ms = 0;
    rules.weight_score = 300;
    rules.weight_iou = rules.weight_sharpness = rules.weight_shadow = 100;
    rules.weight_contrast = rules.weight_continuity = 200;
    parts.score = parts.continuity = parts.contrast = 1000;
    parts.has_box = 1;
    for (int mode = SONO_STATE_BY_SCORE; mode <= SONO_STATE_BY_STREAM; mode++) {
        assert_ok(sono_state_machine_open(&rules, (sono_state_mode)mode, &machine, &error), &error);
        assert_ok(sono_state_machine_step(machine, &parts, 0, 64, 48, &report, &error), &error);
        assert_int_equal(report.quality, 300 + 200 + 200 + 500 * 3 / 10);
        assert_int_equal(report.state,
                         mode == SONO_STATE_BY_STREAM ? SONO_STATE_RELOCALIZING : SONO_STATE_VISIBLE);
        sono_state_machine_close(machine);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_are_as_the_header_says),     cmocka_unit_test(rules_are_set_by_name),
        cmocka_unit_test(rules_out_of_range_are_refused),      cmocka_unit_test(bad_steps_change_nothing),
        cmocka_unit_test(parts_replayed_give_the_same_states), cmocka_unit_test(modes_without_memory),
        cmocka_unit_test(weights_are_of_their_parts),
    };
    return sono_test_run("pipeline/state_machine", tests, sizeof tests / sizeof tests[0]);
}
