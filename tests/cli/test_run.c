// SPDX-License-Identifier: Apache-2.0
// labels: slow timeout=900 cost=25
/* The command with checkpoints: the reference material's, else the synthetic ones that the build makes. */
#include "command.h"
#include "image_writer.h"
#include "test.h"

#include "base/alloc.h"

#include <cjson/cJSON.h>
#include <png.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define SIDE 64

static char detector[SONO_TEST_PATH_BYTES], segmenter[SONO_TEST_PATH_BYTES];
static char good[SONO_TEST_PATH_BYTES], broken[SONO_TEST_PATH_BYTES], sweep[SONO_TEST_PATH_BYTES];

#define WORDS(...)                                                                                           \
    ((const char *const[]){__VA_ARGS__, "--detector", detector, "--detector-family", "dfine", "--segmenter", \
                           segmenter, "--segmenter-size", "256", "--device", "cpu", NULL})

static void need_checkpoints(void)
{
    if (sono_test_shared(detector, sizeof detector, "checkpoints/dfine_s_bone.pth") &&
        sono_test_shared(segmenter, sizeof segmenter, "checkpoints/mobile_sam_bone.pt"))
        return;
    const char *first = getenv("SONO_TEST_DETECTOR"), *second = getenv("SONO_TEST_SEGMENTER");
    if (!first || !second || access(first, R_OK) || access(second, R_OK))
        sono_test_skip("no checkpoints (SONO_SHARED, SONO_TEST_DETECTOR, SONO_TEST_SEGMENTER)");
    snprintf(detector, sizeof detector, "%s", first);
    snprintf(segmenter, sizeof segmenter, "%s", second);
}

/* good.png, broken.png and sweep/{1,2,10}.png */
static int make_inputs(void **state)
{
    (void)state;
    static uint8_t pixels[SIDE * SIDE];
    for (size_t i = 0; i < sizeof pixels; i++)
        pixels[i] = (uint8_t)(i * 37);
    const test_picture picture = {SIDE, SIDE, 1, 8, pixels};
    test_file file = test_png(&picture, PNG_COLOR_TYPE_GRAY, 0);
    sono_test_path(good, sizeof good, "good.png");
    sono_test_write_file(good, file.bytes, file.n_bytes);
    sono_test_path(broken, sizeof broken, "broken.png");
    sono_test_write_file(broken, file.bytes, file.n_bytes / 2);
    sono_test_path(sweep, sizeof sweep, "sweep");
    mkdir(sweep, 0777);
    static const char *const names[] = {"sweep/10.png", "sweep/2.png", "sweep/1.png"};
    for (int i = 0; i < 3; i++) {
        char path[SONO_TEST_PATH_BYTES];
        sono_test_path(path, sizeof path, names[i]);
        sono_test_write_file(path, file.bytes, file.n_bytes);
    }
    free(file.bytes);
    return 0;
}

static int exists(const char *relative)
{
    char path[SONO_TEST_PATH_BYTES];
    sono_test_path(path, sizeof path, relative);
    return !access(path, F_OK);
}

static char *read_text(const char *relative)
{
    char path[SONO_TEST_PATH_BYTES];
    sono_test_path(path, sizeof path, relative);
    return (char *)sono_test_read_file(path, NULL);
}

/* Checks one line's schema, then its source and stem. */
static void check_line(const char *bytes, const char *source, const char *stem)
{
    static const char *const keys[] = {"frame_id", "timestamp_s", "score", "iou_predicted", "mask_area_px"};
    static const char *const ledger_keys[] = {"n_allocations", "n_h2d",     "n_launches", "n_d2h",
                                              "n_waits",       "bytes_h2d", "bytes_d2h"};
    cJSON *line = cJSON_Parse(bytes);
    assert_non_null(line);
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        assert_true(cJSON_IsNumber(cJSON_GetObjectItemCaseSensitive(line, keys[i])));
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(line, "state"));
    const cJSON *box = cJSON_GetObjectItemCaseSensitive(line, "bbox_xyxy_px");
    assert_true(!strcmp(text, "LOST") ? cJSON_IsNull(box) : cJSON_GetArraySize(box) == 4);
    const cJSON *latency = cJSON_GetObjectItemCaseSensitive(line, "latency_ms");
    for (int i = 0; i < sono_stage_count(); i++)
        assert_true(
            cJSON_IsNumber(cJSON_GetObjectItemCaseSensitive(latency, sono_stage_name((sono_stage)i))));
    assert_true(cJSON_GetObjectItemCaseSensitive(latency, "total")->valuedouble > 0);
    const cJSON *ledger = cJSON_GetObjectItemCaseSensitive(line, "ledger");
    for (size_t i = 0; i < sizeof ledger_keys / sizeof ledger_keys[0]; i++)
        assert_int_equal(cJSON_GetObjectItemCaseSensitive(ledger, ledger_keys[i])->valuedouble, 0);
    assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(line, "backend")), "cpu");
    assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(line, "precision")), "fp32");
    assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(line, "source")), source);
    assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(line, "stem")), stem);
    cJSON_Delete(line);
}

static void check_events(const char *relative)
{
    char *events = read_text(relative);
    int n_frames = 0, n_hashed = 0;
    char *rest = NULL;
    for (char *line = strtok_r(events, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        cJSON *event = cJSON_Parse(line);
        assert_non_null(event);
        assert_int_equal(cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(event, "schema")), 1);
        assert_true(cJSON_IsNumber(cJSON_GetObjectItemCaseSensitive(event, "ts")));
        const char *name = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(event, "event"));
        assert_non_null(name);
        n_frames += !strcmp(name, "infer_frame");
        const char *hash = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(event, "detector_sha256"));
        n_hashed += !strcmp(name, "models_hashed") && hash && strlen(hash) == 64;
        cJSON_Delete(event);
    }
    assert_int_equal(n_frames, 5);
    assert_int_equal(n_hashed, 1); /* also where the run is shorter than the hashing */
    sono_free(events);
}

/* Bad inputs are named one line each, nothing is written for them, and the others are done in input order. */
static void test_mixed_inputs(void **state)
{
    (void)state;
    char output[SONO_TEST_PATH_BYTES], events[SONO_TEST_PATH_BYTES];
    need_checkpoints();
    sono_test_path(output, sizeof output, "mixed");
    sono_test_path(events, sizeof events, "events.jsonl");
    command_result result =
        command_run(WORDS("run", "-i", good, broken, "--output", output, "--weights", "--events", events,
                          "--events-json", "--threshold", "0", sweep, "/nonexistent.png", good));
    assert_int_equal(result.status, 1);
    char expected[2 * SONO_TEST_PATH_BYTES];
    snprintf(expected, sizeof expected, "sonoseg: error: %s: the PNG file is cut short (at byte ", broken);
    assert_ptr_equal(strstr(result.err, expected), result.err);
    char *second = strchr(result.err, '\n') + 1;
    assert_string_equal(second,
                        "sonoseg: error: /nonexistent.png: cannot be opened: No such file or directory\n");
    assert_null(strchr(result.err, '\r')); /* no terminal, no progress */
    assert_non_null(strstr(result.out, "5 frames: 5 VISIBLE, 0 LOST; 2 failed"));
    command_free(&result);

    static const char *const sources[] = {"good.png", "1.png", "2.png", "10.png", "good.png"};
    static const char *const stems[] = {"good", "1", "2", "10", "good_2"};
    char *lines = read_text("mixed/results.jsonl"), *rest = NULL;
    char *line = strtok_r(lines, "\n", &rest);
    for (int i = 0; i < 5; i++, line = strtok_r(NULL, "\n", &rest)) {
        char name[SONO_TEST_PATH_BYTES];
        assert_non_null(line);
        check_line(line, sources[i], stems[i]);
        snprintf(name, sizeof name, "mixed/masks/%s.png", stems[i]);
        assert_true(exists(name));
        snprintf(name, sizeof name, "mixed/overlays/%s.png", stems[i]);
        assert_true(exists(name));
        snprintf(name, sizeof name, "mixed/weights/%s_outside.png", stems[i]);
        assert_true(exists(name));
    }
    assert_null(line);
    sono_free(lines);
    assert_false(exists("mixed/masks/broken.png") || exists("mixed/overlays/broken.png"));
    check_events("events.jsonl");
}

/* Boxes without a segmenter, which is not even looked for. */
static void test_detector_only(void **state)
{
    (void)state;
    char output[SONO_TEST_PATH_BYTES];
    need_checkpoints();
    sono_test_path(output, sizeof output, "boxes");
    const char *const named[] = {"--detector", detector, "--detector-family", "dfine"};
    const char *const words[] = {"run",    good,       "-o",     output,        "--detector-only",
                                 named[0], named[1],   named[2], named[3],      "--threshold",
                                 "0",      "--device", "cpu",    "--segmenter", "/nonexistent.pt",
                                 NULL};
    command_result result = command_run(words);
    assert_int_equal(result.status, 0);
    assert_string_equal(result.err, "");
    assert_non_null(strstr(result.out, "1 frame: 1 VISIBLE"));
    command_free(&result);
    char *lines = read_text("boxes/results.jsonl");
    assert_non_null(strstr(lines, "\"mask_area_px\": 0"));
    sono_free(lines);
    assert_true(exists("boxes/overlays/good.png"));
    assert_false(exists("boxes/masks/good.png"));
    command_expect(2, "--weights are made from masks",
                   (const char *const[]){"run", good, "-o", output, "--detector-only", "--weights", NULL});
}

/* What the user points at, without a detector, which is not even looked for. */
static void test_prompts(void **state)
{
    (void)state;
    char output[SONO_TEST_PATH_BYTES];
    need_checkpoints();
    sono_test_path(output, sizeof output, "pointed");
    const char *const words[] = {"run",      good,        "-o",          output,
                                 "--box",    "8,8,40,50", "--point",     "20,20",
                                 "--point",  "60,60,0",   "--segmenter", segmenter,
                                 "--device", "cpu",       "--detector",  "/nonexistent.pth",
                                 NULL};
    command_result result = command_run(words);
    assert_int_equal(result.status, 0);
    assert_string_equal(result.err, "");
    assert_non_null(strstr(result.out, "1 frame: 1 VISIBLE"));
    command_free(&result);
    char *lines = read_text("pointed/results.jsonl");
    assert_non_null(strstr(lines, "\"score\": 1, \"bbox_xyxy_px\": [8, 8, 40, 50]"));
    sono_free(lines);
    assert_true(exists("pointed/masks/good.png") && exists("pointed/overlays/good.png"));
    command_expect(1, "is none within 64 x 64 pixels",
                   (const char *const[]){"run", good, "-o", output, "--box", "8,8,40,90", "--segmenter",
                                         segmenter, "--device", "cpu", NULL});
}

static void test_wrong_prompts(void **state)
{
    (void)state;
    static const struct {
        const char *option, *value, *says;
    } cases[] = {
        {"--box", "1,2,3", "--box: '1,2,3' is no box like"},
        {"--box", "5,2,3,4", "is no box like"},
        {"--box", "1,2,3,4,5", "is no box like"},
        {"--box", "1,2,nan,4", "is no box like"},
        {"--point", "1", "--point: '1' is no point like"},
        {"--point", "1,2,5", "is no point like"},
        {"--point", "1,,2", "is no point like"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        command_expect(2, cases[i].says,
                       (const char *const[]){"run", good, "-o", "x", cases[i].option, cases[i].value, NULL});
    command_expect(
        2, "the second one: there is one box",
        (const char *const[]){"run", good, "-o", "x", "--box", "1,2,3,4", "--box", "1,2,3,4", NULL});
    command_expect(2, "--detector-only opens none",
                   (const char *const[]){"run", good, "-o", "x", "--point", "1,2", "--detector-only", NULL});
}

static void test_quiet_and_lean(void **state)
{
    (void)state;
    char output[SONO_TEST_PATH_BYTES];
    need_checkpoints();
    sono_test_path(output, sizeof output, "lean");
    command_result result = command_run(
        WORDS("run", good, "-o", output, "--no-masks", "--no-overlays", "--threshold", "1", "--quiet"));
    assert_string_equal(result.err, "");
    assert_string_equal(result.out, "");
    assert_int_equal(result.status, 0);
    command_free(&result);
    assert_false(exists("lean/masks") || exists("lean/overlays") || exists("lean/weights"));
    char *lines = read_text("lean/results.jsonl");
    assert_non_null(strstr(lines, "\"state\": \"LOST\""));
    sono_free(lines);
}

static void test_progress_on_terminal(void **state)
{
    (void)state;
    char output[SONO_TEST_PATH_BYTES];
    need_checkpoints();
    sono_test_path(output, sizeof output, "terminal");
    command_result result =
        command_run_on_terminal(WORDS("run", good, broken, "-o", output, "--max-size", "64x64"));
    assert_int_equal(result.status, 1);
    assert_non_null(strstr(result.err, "\r\033[K["));
    assert_non_null(strstr(result.err, "2/2"));
    assert_non_null(strstr(result.err, "fps"));
    assert_non_null(strstr(result.err, "\r\033[Ksonoseg: error: ")); /* the line was taken away before */
    command_free(&result);
}

static void test_too_large_and_unwritable(void **state)
{
    (void)state;
    char output[SONO_TEST_PATH_BYTES];
    need_checkpoints();
    sono_test_path(output, sizeof output, "large");
    command_expect(1, "64 x 64 pixels, the limit is 1024 pixels (see --max-size)",
                   WORDS("run", good, "-o", output, "--max-size", "32x32"));
    assert_false(exists("large/masks/good.png"));
    command_expect(1, "a file of that name is there", WORDS("run", good, "-o", good));
}

static int count_lines(const char *relative)
{
    if (!exists(relative))
        return 0;
    char *bytes = read_text(relative);
    int n = 0;
    for (const char *at = bytes; (at = strchr(at, '\n')); at++)
        n++;
    sono_free(bytes);
    return n;
}

/* Ctrl-C: the frame in flight is finished and written. */
static void test_interrupt(void **state)
{
    (void)state;
    char output[SONO_TEST_PATH_BYTES];
    need_checkpoints();
    sono_test_path(output, sizeof output, "stopped");
    const pid_t child =
        command_start(WORDS("run", "-o", output, good, good, good, good, good, good, good, good, good, good,
                            good, good, good, good, good, good, good, good, good, good, good));
    for (int i = 0; i < 6000 && !count_lines("stopped/results.jsonl"); i++)
        nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
    assert_int_equal(kill(child, SIGINT), 0);
    command_result result = command_wait(child);
    assert_int_equal(result.status, 130);
    const int n = count_lines("stopped/results.jsonl");
    assert_in_range(n, 1, 20);
    char last[64], behind[64], summary[64];
    snprintf(last, sizeof last, n > 1 ? "stopped/masks/good_%d.png" : "stopped/masks/good.png", n);
    snprintf(behind, sizeof behind, "stopped/masks/good_%d.png", n + 1);
    snprintf(summary, sizeof summary, "%d frame", n);
    assert_true(exists(last));
    assert_false(exists(behind));
    assert_ptr_equal(strstr(result.out, summary), result.out);
    command_free(&result);
}

static void test_bench(void **state)
{
    (void)state;
    char path[SONO_TEST_PATH_BYTES];
    need_checkpoints();
    sono_test_path(path, sizeof path, "bench.json");
    command_result result = command_run(
        WORDS("bench", "--frames", "3", "--warmup", "0", "--batch", "2", "--json", path, "--input", good));
    assert_string_equal(result.err, "");
    assert_int_equal(result.status, 0);
    assert_non_null(strstr(result.out, "frames/s"));
    assert_non_null(strstr(result.out, "GFLOP/s"));
    assert_non_null(strstr(result.out, "encode"));
    command_free(&result);
    char *bytes = read_text("bench.json");
    cJSON *figures = cJSON_Parse(bytes);
    assert_non_null(figures);
    assert_int_equal(cJSON_GetObjectItemCaseSensitive(figures, "frames")->valuedouble, 3);
    assert_int_equal(cJSON_GetObjectItemCaseSensitive(figures, "batch")->valuedouble, 2);
    assert_true(cJSON_GetObjectItemCaseSensitive(figures, "frames_per_s")->valuedouble > 0);
    const cJSON *stages = cJSON_GetObjectItemCaseSensitive(figures, "stages");
    assert_int_equal(cJSON_GetArraySize(stages), sono_stage_count());
    const cJSON *detect = cJSON_GetObjectItemCaseSensitive(stages, "detect");
    assert_true(cJSON_GetObjectItemCaseSensitive(detect, "gflop_per_s")->valuedouble > 0);
    cJSON_Delete(figures);
    sono_free(bytes);
    command_expect(1, "broken.png", WORDS("bench", "--frames", "1", "--warmup", "0", broken));
}

static void test_inspect_and_convert(void **state)
{
    (void)state;
    char path[SONO_TEST_PATH_BYTES];
    need_checkpoints();
    sono_test_path(path, sizeof path, "half.safetensors");
    command_result result =
        command_run((const char *const[]){"convert", segmenter, path, "--precision", "fp16", NULL});
    assert_string_equal(result.err, "");
    assert_int_equal(result.status, 0);
    assert_non_null(strstr(result.out, "mobilesam-vit_t"));
    command_free(&result);
    result = command_run((const char *const[]){"inspect", path, "--tensors", "--program", NULL});
    assert_int_equal(result.status, 0);
    assert_non_null(strstr(result.out, "container     safetensors"));
    assert_non_null(strstr(result.out, "mask_decoder.iou_token.weight  F16 [1, 256]"));
    command_free(&result);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mixed_inputs),
        cmocka_unit_test(test_detector_only),
        cmocka_unit_test(test_prompts),
        cmocka_unit_test(test_wrong_prompts),
        cmocka_unit_test(test_quiet_and_lean),
        cmocka_unit_test(test_progress_on_terminal),
        cmocka_unit_test(test_too_large_and_unwritable),
        cmocka_unit_test(test_interrupt),
        cmocka_unit_test(test_bench),
        cmocka_unit_test(test_inspect_and_convert),
    };
    return sono_test_run_with("cli/run", tests, sizeof tests / sizeof tests[0], make_inputs, NULL);
}
