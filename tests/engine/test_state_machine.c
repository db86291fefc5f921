// SPDX-License-Identifier: Apache-2.0
/*
 * The state machine: every transition by hand, every short story and many long ones against a reference that
 * looks back through the whole history, and what must hold whatever comes. tests/engine/mutants.py shows that
 * these tests can fail.
 */
#include "state_reference.h"
#include "test.h"

#include <stdlib.h>
#include <string.h>

#define MAX_FRAMES 600
#define STEP_NS    40000000 /* from letter to letter of a story */
#define START_NS   INT64_C(1700000000000000000)

/* A frame of a story:
 *   G good, agrees          U good, agreement unknown         R good, the same pixels as before
 *   F fair quality          f good quality, fair agreement    g good by the surface alone, IoU 0
 *   B bad quality           D good quality, disagrees         N no box            M no mask
 *   b fair but bad by the surface and IoU
 * A small change of the stream before it: | begins, > gap, < backwards, = equal time, 0 unknown time,
 * s another size. */
static sono_frame_parts parts_of(char letter)
{
    const int quality = letter == 'B' ? 399 : letter == 'F' ? 599 : 1000;
    const int iou = letter == 'U'                    ? -1
                    : letter == 'f'                  ? 499
                    : letter == 'D' || letter == 'b' ? 399
                    : letter == 'g'                  ? 0
                                                     : 500;
    sono_frame_parts parts = {.has_box = letter != 'N', .is_repeat = letter == 'R', .moved_x = 8};
    for (int k = 0; k < SONO_QUALITY_PARTS; k++)
        parts.permille[k] = quality;
    parts.permille[SONO_QUALITY_AGREEMENT] = iou;
    parts.permille[SONO_QUALITY_SURFACE] = letter == 'g' ? 500 : letter == 'b' ? 399 : -1;
    if (letter == 'M')
        parts.permille[SONO_QUALITY_CONTINUITY] = -1;
    return parts;
}

/* Frames of a story; returns how many. */
static int32_t tell(const char *story, int64_t step_ns, state_reference_frame *out)
{
    int64_t now = START_NS;
    int32_t n = 0, width = 640, begins = 0, is_unknown = 0;
    for (; *story; story++) {
        switch (*story) {
        case ' ':
            continue;
        case '|':
            begins = 1;
            continue;
        case '>':
            now += INT64_C(500000001) - step_ns;
            continue;
        case '<':
            now -= step_ns + 1;
            continue;
        case '=':
            now -= step_ns;
            continue;
        case '0':
            is_unknown = 1;
            continue;
        case 's':
            width++;
            continue;
        default:
            break;
        }
        out[n].parts = parts_of(*story);
        out[n].when = (sono_state_frame){is_unknown ? 0 : now, width, 480, begins};
        n++;
        now += step_ns;
        begins = is_unknown = 0;
    }
    return n;
}

static char letter_of(int32_t state)
{
    return state == SONO_STATE_VISIBLE ? 'V' : state == SONO_STATE_RELOCALIZING ? 'R' : 'L';
}

static void run(const sono_machine_rules *rules, const state_reference_frame *frames, int32_t n,
                sono_verdict *out)
{
    sono_stream_memory memory = {0};
    for (int32_t i = 0; i < n; i++)
        state_step(rules, &memory, &frames[i].parts, &frames[i].when, &out[i]);
}

/* What must hold of any stream. */
static void check_laws(const sono_machine_rules *rules, const state_reference_frame *frames, int32_t n,
                       const sono_verdict *v)
{
    int64_t since_lost_ns = 0;
    for (int32_t i = 0; i < n; i++) {
        const int is_visible = v[i].state == SONO_STATE_VISIBLE;
        const int begins = v[i].reasons & SONO_STATE_BEGAN;
        if (is_visible) {
            assert_int_equal(v[i].reasons, 0);
            assert_true(frames[i].parts.has_box && frames[i].parts.permille[SONO_QUALITY_CONTINUITY] >= 0);
            assert_true(v[i].quality >= rules->off);
            assert_true(i > 0 && !begins && v[i - 1].state != SONO_STATE_LOST);
            since_lost_ns += v[i].dt_us * INT64_C(1000) + 999;
            assert_true(since_lost_ns >= rules->visible_after_ms * INT64_C(1000000));
        } else {
            assert_int_not_equal(v[i].reasons & ~SONO_STATE_BEGAN, 0);
            since_lost_ns = begins || v[i].state == SONO_STATE_LOST || v[i - 1].state == SONO_STATE_LOST
                                ? 0
                                : since_lost_ns + v[i].dt_us * INT64_C(1000) + 999;
        }
        if (i > 0 && !begins && v[i - 1].state == SONO_STATE_VISIBLE)
            assert_int_not_equal(v[i].state, SONO_STATE_LOST);
        assert_in_range(v[i].quality, 0, 1000);
        assert_true(v[i].agreement >= -1 && v[i].agreement <= 1000);
        assert_true(v[i].dt_us >= 0 && v[i].trust_us >= 0 && v[i].doubt_us >= 0 && v[i].repeat_us >= 0);
    }
}

static void check(const sono_machine_rules *rules, const state_reference_frame *frames, int32_t n)
{
    static sono_verdict got[MAX_FRAMES], want[MAX_FRAMES];
    run(rules, frames, n, got);
    state_reference(rules, frames, n, want);
    for (int32_t i = 0; i < n; i++)
        if (memcmp(&got[i], &want[i], sizeof got[i]) != 0)
            fail_msg(
                "frame %d of %d: %c %d %d why %d, dt %d trust %d doubt %d repeat %d; wanted %c %d %d why "
                "%d, dt %d trust %d doubt %d repeat %d",
                i, n, letter_of(got[i].state), got[i].quality, got[i].agreement, got[i].reasons, got[i].dt_us,
                got[i].trust_us, got[i].doubt_us, got[i].repeat_us, letter_of(want[i].state), want[i].quality,
                want[i].agreement, want[i].reasons, want[i].dt_us, want[i].trust_us, want[i].doubt_us,
                want[i].repeat_us);
    check_laws(rules, frames, n, got);
}

/* Default rules: VISIBLE after 120 ms, LOST after 160 ms, frozen after 160 ms, frames 40 ms apart. */
static void every_transition_is_reached(void **state)
{
    static const struct {
        const char *story, *states;
        int32_t reasons; /* of the last frame */
    } stories[] = {
        {"N", "L", SONO_STATE_BEGAN | SONO_STATE_NO_BOX},
        {"NN", "LL", SONO_STATE_NO_BOX},
        {"NB", "LL", SONO_STATE_LOW_QUALITY},
        {"NM", "LL", SONO_STATE_NO_MASK},
        {"G", "R",
         SONO_STATE_BEGAN | SONO_STATE_TOO_SOON}, /* LOST -> RELOCALIZING with the first good frame */
        {"NG", "LR", SONO_STATE_TOO_SOON},
        {"NF", "LR", SONO_STATE_LOW_QUALITY}, /* ... and the first fair one */
        {"ND", "LR", SONO_STATE_TOO_SOON},    /* LOST agrees with nothing */
        {"GGGG", "RRRV", 0},                  /* RELOCALIZING -> VISIBLE */
        {"gggg", "RRRV", 0},
        {"UUUUUUUU", "RRRRRRRR", SONO_STATE_TOO_SOON}, /* not without one that agrees */
        {"UUUUG", "RRRRV", 0},
        {"GUUU", "RRRR", SONO_STATE_TOO_SOON}, /* the first one's was with nothing */
        {"UGUU", "RRRV", 0},
        {"GGGF", "RRRR", SONO_STATE_LOW_QUALITY}, /* a fair frame does not end the wait, nor breaks it */
        {"GGGFG", "RRRRV", 0},
        {"GGFFG", "RRRRR", SONO_STATE_TOO_SOON},
        {"GFGGG", "RRRRV", 0},
        {"FFFFFFFF", "RRRRRRRR", SONO_STATE_LOW_QUALITY},
        {"ffffffff", "RRRRRRRR", SONO_STATE_DISAGREES},
        {"GGGNGGGG", "RRRRRRRV", 0}, /* a bad one does */
        {"GGGDGGGG", "RRRRRRRV", 0},
        {"GGGbGGGG", "RRRRRRRV", 0},
        {"GGGGN", "RRRVR", SONO_STATE_NO_BOX}, /* VISIBLE -> RELOCALIZING, for each reason */
        {"GGGGM", "RRRVR", SONO_STATE_NO_MASK},
        {"GGGGB", "RRRVR", SONO_STATE_LOW_QUALITY},
        {"GGGGD", "RRRVR", SONO_STATE_DISAGREES},
        {"GGGGFfFfFfU", "RRRVVVVVVVV", 0}, /* VISIBLE stays with fair frames, and unknown agreement */
        {"GGGGNNNNN", "RRRVRRRRL", SONO_STATE_NO_BOX}, /* RELOCALIZING -> LOST */
        {"GGGGNNNNG", "RRRVRRRRR", SONO_STATE_TOO_SOON},
        {"GGGGNNNGNNNN", "RRRVRRRRRRRR", SONO_STATE_NO_BOX}, /* a good frame ends doubt */
        {"GGGGNNNNFNNN", "RRRVRRRRRRRL", SONO_STATE_NO_BOX}, /* a fair one takes its time from it */
        {"GGGGNNNNFFFN", "RRRVRRRRRRRR", SONO_STATE_NO_BOX},
        {"GGGGNFNFNFNFNFN", "RRRVRRRRRRRRRRR", SONO_STATE_NO_BOX},
        {"GGGGRRRR", "RRRVVVVR", SONO_STATE_FROZEN}, /* frozen: at most RELOCALIZING, and so it stays */
        {"GGGGRRRRRRRRRRRR", "RRRVVVVRRRRRRRRR", SONO_STATE_FROZEN},
        {"GGGGRRRRGGGG", "RRRVVVVRRRRV", 0},
        {"GRRRRRRR", "RRRRRRRR", SONO_STATE_FROZEN}, /* repeats agree with themselves: no evidence */
        {"GRRRG", "RRRRV", 0},
        {"NNNRRRRR", "LLLRRRRR", SONO_STATE_FROZEN},
        {"GGGG|G", "RRRVR", SONO_STATE_BEGAN | SONO_STATE_TOO_SOON}, /* the stream begins anew */
        {"GGGG|N", "RRRVL", SONO_STATE_BEGAN | SONO_STATE_NO_BOX},
        {"GGGG|R", "RRRVR", SONO_STATE_BEGAN | SONO_STATE_TOO_SOON},
        {"GGGG>G", "RRRVR", SONO_STATE_BEGAN | SONO_STATE_TOO_SOON},
        {"GGGG<G", "RRRVR", SONO_STATE_BEGAN | SONO_STATE_TOO_SOON},
        {"GGGGsG", "RRRVR", SONO_STATE_BEGAN | SONO_STATE_TOO_SOON},
        {"GGGG=G", "RRRVV", 0},
        {"G=G=G=G=G=G=G", "RRRRRRR", SONO_STATE_TOO_SOON}, /* no time, no trust */
        {"GGGG=N=N=N=N=N=N=N", "RRRVRRRRRRR", SONO_STATE_NO_BOX},
        {"0G0G0G0G", "RRRV", 0}, /* unknown times: 40 ms each */
        {"G0GG0G", "RRRV", 0},
        {"GGGG0N0N0N0N0N", "RRRVRRRRL", SONO_STATE_NO_BOX},
    };
    const sono_machine_rules rules = state_reference_rules();
    (void)state;
    for (size_t s = 0; s < sizeof stories / sizeof stories[0]; s++) {
        state_reference_frame frames[32];
        sono_verdict v[32];
        char got[33] = "";
        const int32_t n = tell(stories[s].story, STEP_NS, frames);
        run(&rules, frames, n, v);
        for (int32_t i = 0; i < n; i++)
            got[i] = letter_of(v[i].state);
        if (strcmp(got, stories[s].states) != 0 || v[n - 1].reasons != stories[s].reasons)
            fail_msg("%s gives %s, why %d; wanted %s, %d", stories[s].story, got, v[n - 1].reasons,
                     stories[s].states, stories[s].reasons);
        check(&rules, frames, n);
    }
}

/* Every story of seven frames out of these letters. */
static void every_short_story_agrees(void **state)
{
    static const char letters[] = "GFNDR|";
    sono_machine_rules rules = state_reference_rules();
    state_reference_frame frames[8];
    (void)state;
    rules.visible_after_ms = rules.lost_after_ms = rules.frozen_after_ms = 80;
    for (rules.found_after_ms = 0; rules.found_after_ms <= 40; rules.found_after_ms += 40)
        for (int number = 0; number < 279936; number++) {
            char story[16] = "";
            for (int k = 0, n = 0, rest = number; k < 7; k++, rest /= 6) {
                story[n++] = letters[rest % 6];
                if (letters[rest % 6] == '|')
                    story[n++] = 'G';
            }
            check(&rules, frames, tell(story, STEP_NS, frames));
        }
}

static uint64_t random_state = 20261;

static int32_t pick(int32_t low, int32_t high) /* both included */
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return low + (int32_t)((random_state >> 33) % ((uint64_t)high - (uint64_t)low + 1));
}

static sono_machine_rules any_rules(void)
{
    sono_machine_rules rules = {.mode = SONO_STATE_BY_STREAM};
    rules.off = pick(0, 600);
    rules.on = pick(rules.off, 1000);
    rules.agree_off = pick(0, 600);
    rules.agree_on = pick(rules.agree_off, 1000);
    rules.found_after_ms = pick(0, 3) * pick(0, 30);
    rules.visible_after_ms = pick(0, 3) * pick(0, 100);
    rules.lost_after_ms = pick(0, 3) * pick(0, 100);
    rules.frozen_after_ms = pick(0, 200);
    rules.gap_ms = pick(60, 500);
    rules.default_dt_ms = pick(0, 600);
    for (int k = 0; k < SONO_QUALITY_PARTS; k++)
        rules.weight[k] = pick(-50, 400);
    rules.bias = pick(-300000, 300000);
    rules.unknown_part = pick(0, 1000);
    return rules;
}

static state_reference_frame any_frame(int64_t *now, int32_t mood)
{
    state_reference_frame f = {.when = {.width_px = 640, .height_px = 480}};
    for (int k = 0; k < SONO_QUALITY_PARTS; k++)
        f.parts.permille[k] = pick(0, 15) ? pick(mood, 1000) : -1;
    f.parts.has_box = pick(0, 999) < 500 + mood;
    f.parts.is_repeat = pick(0, 3) == 0;
    f.parts.moved_x = pick(-80, 80);
    f.parts.moved_y = pick(-80, 80);
    *now += pick(0, 60) ? pick(0, 60000000) : pick(-5, 3) * INT64_C(100000000);
    f.when.timestamp_ns = pick(0, 40) ? *now : 0;
    f.when.begins = pick(0, 300) == 0;
    f.when.height_px += pick(0, 300) == 0;
    return f;
}

static void long_stories_agree(void **state)
{
    static state_reference_frame frames[MAX_FRAMES];
    const int32_t n_stories = getenv("SONO_LONG") ? 100000 : 1000;
    (void)state;
    for (int32_t story = 0; story < n_stories; story++) {
        const sono_machine_rules rules = any_rules();
        int64_t now = START_NS;
        const int32_t n = 120;
        for (int32_t i = 0, mood = 0; i < n; i++) {
            mood = pick(0, 12) ? mood : pick(0, 2) * 400;
            frames[i] = any_frame(&now, mood);
        }
        check(&rules, frames, n);
    }
}

/* The same frames told in smaller steps reach a state at the same time. */
static void states_do_not_depend_on_the_frame_rate(void **state)
{
    static const int64_t steps_ms[] = {1, 5, 8, 10, 20, 40};
    static state_reference_frame frames[MAX_FRAMES];
    static sono_verdict v[MAX_FRAMES];
    const sono_machine_rules rules = state_reference_rules();
    (void)state;
    for (size_t s = 0; s < sizeof steps_ms / sizeof steps_ms[0]; s++) {
        const int32_t per_200_ms = (int32_t)(200 / steps_ms[s]);
        char story[MAX_FRAMES + 1] = "";
        memset(story, 'G', (size_t)per_200_ms);
        memset(story + per_200_ms, 'N', (size_t)per_200_ms);
        const int32_t n = tell(story, steps_ms[s] * 1000000, frames);
        assert_int_equal(n, 2 * per_200_ms);
        run(&rules, frames, n, v);
        for (int32_t i = 0; i < n; i++) {
            const int64_t ms = i * steps_ms[s];
            assert_int_equal(letter_of(v[i].state), ms < 120 ? 'R' : ms < 200 ? 'V' : ms < 360 ? 'R' : 'L');
        }
    }
}

/* The largest timestamps, rules and parts there are, in every order; the sanitizers look on. */
static void extremes_do_not_overflow(void **state)
{
    static const int64_t times[] = {INT64_MIN, INT64_MIN + 1, -1, 0, 1, INT64_MAX - 1, INT64_MAX};
    static state_reference_frame frames[MAX_FRAMES];
    (void)state;
    for (int which = 0; which < 16; which++) {
        sono_machine_rules rules = {.mode = SONO_STATE_BY_STREAM};
        const int32_t most = which & 1 ? 600000 : 0, sign = which & 2 ? 1 : -1;
        rules.on = rules.off = rules.agree_on = rules.agree_off = rules.unknown_part = which & 4 ? 1000 : 0;
        rules.found_after_ms = rules.visible_after_ms = rules.lost_after_ms = most;
        rules.frozen_after_ms = rules.gap_ms = rules.default_dt_ms = most;
        for (int k = 0; k < SONO_QUALITY_PARTS; k++)
            rules.weight[k] = sign * 100000;
        rules.bias = sign * 100000000;
        int32_t n = 0;
        for (int a = 0; a < 7; a++)
            for (int b = 0; b < 7; b++) {
                frames[n] = (state_reference_frame){.parts = parts_of(which & 8 ? 'G' : 'R'),
                                                    .when = {times[a], INT32_MAX, INT32_MAX, 0}};
                frames[n].parts.moved_x = INT32_MIN;
                n++;
                frames[n] = frames[n - 1];
                frames[n++].when.timestamp_ns = times[b];
            }
        check(&rules, frames, n);
    }
}

/* By itself a frame has a state that does not depend on the one before. */
static void without_memory_each_frame_counts(void **state)
{
    static const char letters[] = "GUFRBNMDfb", by_frame[] = "VVRVLLLVVV", by_score[] = "VVVVVLVVVV";
    sono_machine_rules rules = state_reference_rules();
    (void)state;
    for (int i = 0; letters[i]; i++) {
        const sono_frame_parts parts = parts_of(letters[i]);
        const sono_state_frame when = {START_NS, 640, 480, 0};
        sono_verdict v;
        rules.mode = SONO_STATE_BY_FRAME;
        state_step(&rules, NULL, &parts, &when, &v);
        assert_int_equal(letter_of(v.state), by_frame[i]);
        assert_int_equal(v.agreement, -1);
        assert_int_equal(v.parts.permille[SONO_QUALITY_AGREEMENT], -1);
        assert_int_equal(v.parts.is_repeat, 0);
        assert_int_equal(v.reasons == 0, by_frame[i] == 'V');
        rules.mode = SONO_STATE_BY_SCORE;
        state_step(&rules, NULL, &parts, &when, &v);
        assert_int_equal(letter_of(v.state), by_score[i]);
        assert_int_equal(v.reasons == 0, by_score[i] == 'V');
    }
}

/* Even rules that are content with everything do not see what is not there. */
static void nothing_is_never_visible(void **state)
{
    static state_reference_frame frames[64];
    static sono_verdict v[64];
    sono_machine_rules rules = state_reference_rules();
    const int32_t n = tell("GGGGNNNNNNGGGGMMMMMM", STEP_NS, frames);
    (void)state;
    rules.on = rules.off = rules.agree_on = rules.agree_off = 0;
    rules.bias = 100000000;
    check(&rules, frames, n);
    run(&rules, frames, n, v);
    assert_int_equal(letter_of(v[13].state), 'V');
    for (int32_t i = 0; i < n; i++)
        if (!frames[i].parts.has_box || frames[i].parts.permille[SONO_QUALITY_CONTINUITY] < 0)
            assert_int_not_equal(v[i].state, SONO_STATE_VISIBLE);
    assert_int_equal(letter_of(v[n - 1].state), 'L');
}

/* What a step leaves for others in the memory, and takes away where a stream begins. */
static void memory_of_others_is_kept(void **state)
{
    const sono_machine_rules rules = state_reference_rules();
    const sono_frame_parts good = parts_of('G');
    sono_state_frame when = {START_NS, 640, 480, 0};
    sono_stream_memory memory = {0};
    sono_verdict v;
    (void)state;
    state_step(&rules, &memory, &good, &when, &v);
    memory.fingerprint = 7;
    memory.has_mask = 1;
    memory.box[3] = 2.5f;
    state_step(&rules, &memory, &good, &when, &v);
    assert_true(memory.has_frame && memory.fingerprint == 7 && memory.has_mask && memory.box[3] == 2.5f);
    when.begins = 1;
    state_step(&rules, &memory, &good, &when, &v);
    assert_true(memory.fingerprint == 0 && !memory.has_mask && memory.box[3] == 0.0f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_transition_is_reached),
        cmocka_unit_test(every_short_story_agrees),
        cmocka_unit_test(long_stories_agree),
        cmocka_unit_test(states_do_not_depend_on_the_frame_rate),
        cmocka_unit_test(extremes_do_not_overflow),
        cmocka_unit_test(without_memory_each_frame_counts),
        cmocka_unit_test(nothing_is_never_visible),
        cmocka_unit_test(memory_of_others_is_kept),
    };
    return sono_test_run("engine/state_machine", tests, sizeof tests / sizeof tests[0]);
}
