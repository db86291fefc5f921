// SPDX-License-Identifier: Apache-2.0
#include "pipeline/state_machine.h"

#include "base/alloc.h"
#include "base/sized.h"

#include <string.h>

#define MOST_MS       600000
#define MOST_WEIGHT   100000
#define MOST_BIAS     100000000
#define MOST_PERMILLE 1000

/* NAME in both structs (weights: in the public one), least, most, default. */
#define RULE_MAP(X)                                                                                          \
    X(on, on, 0, MOST_PERMILLE, 720)                                                                         \
    X(off, off, 0, MOST_PERMILLE, 600)                                                                       \
    X(agree_on, agree_on, 0, MOST_PERMILLE, 300)                                                             \
    X(agree_off, agree_off, 0, MOST_PERMILLE, 0)                                                             \
    X(found_after_ms, found_after_ms, 0, MOST_MS, 40)                                                        \
    X(visible_after_ms, visible_after_ms, 0, MOST_MS, 80)                                                    \
    X(lost_after_ms, lost_after_ms, 0, MOST_MS, 120)                                                         \
    X(frozen_after_ms, frozen_after_ms, 0, MOST_MS, 250)                                                     \
    X(gap_ms, gap_ms, 0, MOST_MS, 500)                                                                       \
    X(default_dt_ms, default_dt_ms, 0, MOST_MS, 40)                                                          \
    X(weight_score, weight[SONO_QUALITY_SCORE], -MOST_WEIGHT, MOST_WEIGHT, 600)                              \
    X(weight_iou, weight[SONO_QUALITY_IOU], -MOST_WEIGHT, MOST_WEIGHT, 200)                                  \
    X(weight_sharpness, weight[SONO_QUALITY_SHARPNESS], -MOST_WEIGHT, MOST_WEIGHT, 0)                        \
    X(weight_contrast, weight[SONO_QUALITY_CONTRAST], -MOST_WEIGHT, MOST_WEIGHT, 0)                          \
    X(weight_shadow, weight[SONO_QUALITY_SHADOW], -MOST_WEIGHT, MOST_WEIGHT, 100)                            \
    X(weight_continuity, weight[SONO_QUALITY_CONTINUITY], -MOST_WEIGHT, MOST_WEIGHT, 100)                    \
    X(weight_agreement, weight[SONO_QUALITY_AGREEMENT], -MOST_WEIGHT, MOST_WEIGHT, 0)                        \
    X(weight_surface, weight[SONO_QUALITY_SURFACE], -MOST_WEIGHT, MOST_WEIGHT, 0)                            \
    X(bias, bias, -MOST_BIAS, MOST_BIAS, 0)                                                                  \
    X(unknown_part, unknown_part, 0, MOST_PERMILLE, 500)

/* A field of a public struct and one of an engine's. */
typedef struct field {
    const char *name;
    size_t at, inner_at;
    int32_t least, most;
} field;

static const field rule_fields[] = {
#define RULE_FIELD(name, inner, least, most, value)                                                          \
    {#name, offsetof(sono_state_rules, name), offsetof(sono_machine_rules, inner), least, most},
    RULE_MAP(RULE_FIELD)
#undef RULE_FIELD
};

#define N_RULES ((int32_t)(sizeof rule_fields / sizeof rule_fields[0]))

static const sono_state_rules default_rules = {.struct_size = sizeof default_rules,
#define RULE_DEFAULT(name, inner, least, most, value) .name = value,
                                               RULE_MAP(RULE_DEFAULT)
#undef RULE_DEFAULT
};

/* NAME in the public struct, in the engines', least, most. */
#define PART_MAP(X)                                                                                          \
    X(score, permille[SONO_QUALITY_SCORE], -1, MOST_PERMILLE)                                                \
    X(iou, permille[SONO_QUALITY_IOU], -1, MOST_PERMILLE)                                                    \
    X(sharpness, permille[SONO_QUALITY_SHARPNESS], -1, MOST_PERMILLE)                                        \
    X(contrast, permille[SONO_QUALITY_CONTRAST], -1, MOST_PERMILLE)                                          \
    X(shadow, permille[SONO_QUALITY_SHADOW], -1, MOST_PERMILLE)                                              \
    X(continuity, permille[SONO_QUALITY_CONTINUITY], -1, MOST_PERMILLE)                                      \
    X(agreement, permille[SONO_QUALITY_AGREEMENT], -1, MOST_PERMILLE)                                        \
    X(surface, permille[SONO_QUALITY_SURFACE], -1, MOST_PERMILLE)                                            \
    X(is_repeat, is_repeat, 0, 1)                                                                            \
    X(moved_x, moved_x, INT32_MIN, INT32_MAX)                                                                \
    X(moved_y, moved_y, INT32_MIN, INT32_MAX)                                                                \
    X(has_box, has_box, 0, 1)                                                                                \
    X(is_recalled, is_recalled, 0, 1)

static const field part_fields[] = {
#define PART_FIELD(name, inner, least, most)                                                                 \
    {#name, offsetof(sono_parts, name), offsetof(sono_frame_parts, inner), least, most},
    PART_MAP(PART_FIELD)
#undef PART_FIELD
};

#define N_PARTS ((int32_t)(sizeof part_fields / sizeof part_fields[0]))

static const sono_parts unknown_parts = {.struct_size = sizeof unknown_parts,
                                         .score = -1,
                                         .iou = -1,
                                         .sharpness = -1,
                                         .contrast = -1,
                                         .shadow = -1,
                                         .continuity = -1,
                                         .agreement = -1,
                                         .surface = -1};
static const sono_state_report empty_report = {.struct_size = sizeof empty_report, .agreement = -1};

void sono_parts_init_sized(void *parts, size_t struct_size)
{
    sono_sized_init(parts, struct_size, &unknown_parts, sizeof unknown_parts);
}

void sono_state_rules_init_sized(void *rules, size_t struct_size)
{
    sono_sized_init(rules, struct_size, &default_rules, sizeof default_rules);
}

void sono_state_report_init_sized(void *report, size_t struct_size)
{
    sono_sized_init(report, struct_size, &empty_report, sizeof empty_report);
}

const char *sono_state_rule_name(int32_t index)
{
    return index >= 0 && index < N_RULES ? rule_fields[index].name : NULL;
}

static sono_status check_value(const field *f, int64_t value, const char *what, sono_error *error)
{
    if (value < f->least || value > f->most)
        return SONO_FAIL(error, INVALID_ARGUMENT, "%s %s is %lld: give %d to %d", what, f->name,
                         (long long)value, f->least, f->most);
    return SONO_STATUS_OK;
}

sono_status sono_state_rules_set(sono_state_rules *rules, const char *name, int64_t value, sono_error *error)
{
    sono_state_rules known = default_rules;
    if (!name)
        return SONO_FAIL(error, INVALID_ARGUMENT, "the rule's name is NULL");
    SONO_TRY(sono_sized_read(rules, sizeof(size_t), &known, sizeof known, "sono_state_rules", error));
    for (int32_t i = 0; i < N_RULES; i++) {
        const field *f = &rule_fields[i];
        const int32_t narrow = (int32_t)value;
        if (strcmp(f->name, name) != 0)
            continue;
        SONO_TRY(check_value(f, value, "the rule", error));
        if (f->at + sizeof narrow > rules->struct_size)
            break;
        memcpy((char *)rules + f->at, &narrow, sizeof narrow);
        return SONO_STATUS_OK;
    }
    return SONO_FAIL(error, INVALID_ARGUMENT,
                     "there is no rule named \"%s\": sono_state_rules in sonoseg.h lists them", name);
}

/* Copies the fields of a public struct into an engine's, each checked. */
static sono_status take_fields(const field *fields, int32_t n, const void *given, const char *what, void *out,
                               sono_error *error)
{
    for (int32_t i = 0; i < n; i++) {
        int32_t value;
        memcpy(&value, (const char *)given + fields[i].at, sizeof value);
        SONO_TRY(check_value(&fields[i], value, what, error));
        memcpy((char *)out + fields[i].inner_at, &value, sizeof value);
    }
    return SONO_STATUS_OK;
}

sono_status sono_state_rules_resolve(const sono_state_rules *rules, sono_state_mode mode,
                                     sono_machine_rules *out, sono_error *error)
{
    sono_state_rules known = default_rules;
    sono_machine_rules taken = {.mode = (int32_t)mode};
    if (rules)
        SONO_TRY(sono_sized_read(rules, sizeof(size_t), &known, sizeof known, "sono_state_rules", error));
    if (mode != SONO_STATE_BY_SCORE && mode != SONO_STATE_BY_FRAME && mode != SONO_STATE_BY_STREAM)
        return SONO_FAIL(error, INVALID_ARGUMENT, "state mode %d: give BY_SCORE, BY_FRAME or BY_STREAM",
                         (int)mode);
    SONO_TRY(take_fields(rule_fields, N_RULES, &known, "the rule", &taken, error));
    if (taken.off > taken.on || taken.agree_off > taken.agree_on)
        return SONO_FAIL(error, INVALID_ARGUMENT,
                         "the rule off is %d, on %d, agree_off %d, agree_on %d: neither off may be above its "
                         "on",
                         taken.off, taken.on, taken.agree_off, taken.agree_on);
    *out = taken;
    return SONO_STATUS_OK;
}

void sono_state_show(const sono_verdict *verdict, sono_parts *parts, sono_state_report *report)
{
    *parts = unknown_parts;
    for (int32_t i = 0; i < N_PARTS; i++)
        memcpy((char *)parts + part_fields[i].at, (const char *)&verdict->parts + part_fields[i].inner_at,
               sizeof(int32_t));
    *report = (sono_state_report){.struct_size = sizeof *report,
                                  .state = (sono_state)verdict->state,
                                  .quality = verdict->quality,
                                  .agreement = verdict->agreement,
                                  .reasons = verdict->reasons,
                                  .dt_us = verdict->dt_us,
                                  .trust_us = verdict->trust_us,
                                  .doubt_us = verdict->doubt_us,
                                  .repeat_us = verdict->repeat_us};
}

struct sono_state_machine {
    sono_machine_rules rules;
    sono_stream_memory memory;
};

sono_status sono_state_machine_open(const sono_state_rules *rules, sono_state_mode mode,
                                    sono_state_machine **out, sono_error *error)
{
    sono_machine_rules resolved;
    if (!out)
        return SONO_FAIL(error, INVALID_ARGUMENT, "out is NULL");
    SONO_TRY(sono_state_rules_resolve(rules, mode, &resolved, error));
    sono_state_machine *machine = sono_alloc(sizeof *machine);
    if (!machine)
        return SONO_FAIL(error, OUT_OF_MEMORY, "a state machine");
    machine->rules = resolved;
    *out = machine;
    return SONO_STATUS_OK;
}

sono_status sono_state_machine_step(sono_state_machine *machine, const sono_parts *parts,
                                    int64_t timestamp_ns, int32_t width_px, int32_t height_px,
                                    sono_state_report *out, sono_error *error)
{
    const sono_state_frame frame = {timestamp_ns, width_px, height_px, 0};
    sono_parts known = unknown_parts, judged;
    sono_frame_parts taken;
    sono_state_report report = empty_report;
    sono_verdict verdict;
    if (!machine)
        return SONO_FAIL(error, INVALID_ARGUMENT, "the machine is NULL");
    if (width_px < 1 || height_px < 1)
        return SONO_FAIL(error, INVALID_ARGUMENT, "a frame of %d x %d pixels: give at least 1 x 1", width_px,
                         height_px);
    SONO_TRY(sono_sized_read(parts, sizeof(size_t), &known, sizeof known, "sono_parts", error));
    SONO_TRY(take_fields(part_fields, N_PARTS, &known, "the part", &taken, error));
    SONO_TRY(sono_sized_read(out, sizeof(size_t), &report, sizeof report, "sono_state_report", error));
    state_step(&machine->rules, &machine->memory, &taken, &frame, &verdict);
    sono_state_show(&verdict, &judged, &report);
    return sono_sized_write(out, sizeof(size_t), &report, sizeof report, "sono_state_report", error);
}

void sono_state_machine_reset(sono_state_machine *machine)
{
    if (machine)
        machine->memory = (sono_stream_memory){0};
}

void sono_state_machine_close(sono_state_machine *machine)
{
    sono_free(machine);
}
