// SPDX-License-Identifier: Apache-2.0
// labels: slow timeout=300
/* What `inspect` says of files that can and cannot run, against what `run` says; and the family of a detector
 * in every command that opens one. */
#include "command.h"
#include "support/synthetic.h"
#include "support/torch_file.h"
#include "test.h"

#include "base/alloc.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WORDS(...) ((const char *const[]){__VA_ARGS__, NULL})

static char path[SONO_TEST_PATH_BYTES];

static void open_state(synthetic_state *state)
{
    char manifest[SONO_TEST_PATH_BYTES];
    sono_error error = {0};
    sono_test_source(manifest, sizeof manifest, "tests/golden/dfine_n.manifest");
    assert_ok(synthetic_open(manifest, state, &error), &error);
    sono_test_path(path, sizeof path, "detector.pth");
}

static int32_t find(const synthetic_state *state, const char *name)
{
    for (int32_t i = 0; i < state->n_tensors; i++)
        if (strcmp(state->tensors[i].name, name) == 0)
            return i;
    fail_msg("no tensor %s", name);
    return -1;
}

/* Exit status 1, and on standard output "usable: no: " with the message that run ends with. */
static void expect_unusable(const char *reason)
{
    const char *segmenter = getenv("SONO_TEST_SEGMENTER");
    char text[1200];
    command_result run = command_run(WORDS("run", "phantom:frames=1,size=64x64", "-o", "x", "--detector",
                                           path, "--segmenter", segmenter, "--device", "cpu"));
    assert_int_equal(run.status, 1);
    char *message = strstr(run.err, "sonoseg: error: ");
    if (!message || !strstr(message, reason))
        fail_msg("run says '%s', not '%s'", run.err, reason);
    message += strlen("sonoseg: error: ");
    message[strcspn(message, "\n")] = 0;
    snprintf(text, sizeof text, "usable: no: %s\n", message);
    command_result result = command_run(WORDS("inspect", path, "--program"));
    if (result.status != 1 || !strstr(result.out, text) || strstr(result.out, "usable: yes"))
        fail_msg("inspect ends with %d: '%s'", result.status, result.out);
    assert_non_null(strstr(result.err, reason));
    command_free(&result);
    command_free(&run);
}

static void write_with(synthetic_state *state, int n_tensors, const char *reason)
{
    assert_ok(torch_file_write(path, state->tensors, n_tensors, NULL), NULL);
    if (reason)
        expect_unusable(reason);
}

static void test_unusable(void **unused)
{
    (void)unused;
    static float values[4096];
    if (!getenv("SONO_TEST_SEGMENTER"))
        sono_test_skip("SONO_TEST_SEGMENTER is not set");
    synthetic_state state;
    open_state(&state);
    torch_file_tensor *tensor = &state.tensors[find(&state, "encoder.input_proj.0.norm.weight")];
    const torch_file_tensor kept = *tensor;
    const int n = state.n_tensors;
    tensor->name = "encoder.input_proj.0.norm.wait";
    write_with(&state, n, "'encoder.input_proj.0.norm.weight' [128] of dfine-n is missing");
    *tensor = kept;
    tensor->dims[0] = 64;
    write_with(&state, n, "is [64], dfine-n needs [128]");
    *tensor = kept;
    for (int i = 0; i < 4096; i++)
        values[i] = 1;
    values[17] = NAN;
    tensor->data = values;
    write_with(&state, n, "'encoder.input_proj.0.norm.weight' holds NaN at index 17");
    *tensor = kept;

    tensor = &state.tensors[find(&state, "backbone.stem.stem1.bn.num_batches_tracked")];
    const torch_file_tensor counter = *tensor;
    *tensor = (torch_file_tensor){.name = "encoder.adapter.lora_A", .n_dims = 1, .dims = {4}, .data = values};
    write_with(&state, n, "'encoder.adapter.lora_A' [4] is no part of dfine-n");
    *tensor = counter;
    write_with(&state, n, NULL);
    command_result result = command_run(WORDS("inspect", path));
    assert_int_equal(result.status, 0);
    assert_non_null(strstr(result.out, "\nusable: yes\n"));
    assert_string_equal(result.err, "");
    command_free(&result);
    synthetic_close(&state);
}

/* The kernel of each op, on any machine: without a GPU an H200's, which the output says. */
static void test_kernels(void **unused)
{
    (void)unused;
    const char *detector = getenv("SONO_TEST_DETECTOR");
    if (!detector)
        sono_test_skip("SONO_TEST_DETECTOR is not set");
    command_result result = command_run(WORDS("inspect", detector, "--program", "--device", "cpu"));
    assert_int_equal(result.status, 0);
    assert_non_null(strstr(result.out, "\nkernels of the CPU, fp32\n"));
    assert_non_null(strstr(result.out, "  topk_rows "));
    command_free(&result);
    result = command_run(WORDS("inspect", detector, "--program", "--device", "cuda:1000"));
    assert_int_equal(result.status, 0);
    assert_non_null(strstr(result.out,
                           "\nkernels for NVIDIA H200 (132 multiprocessors, compute capability 9.0), "
                           "fp16: assumed, "));
    assert_non_null(strstr(result.out, "conv half "));
    assert_non_null(strstr(result.out, "attention tensor "));
    command_free(&result);
    result = command_run(WORDS("inspect", detector, "--program", "--device", "gpu"));
    assert_int_equal(result.status, 1);
    assert_non_null(strstr(result.err, "device gpu: give cpu, cuda or cuda:N"));
    command_free(&result);
    result = command_run(WORDS("inspect", detector, "--device", "cpu"));
    assert_int_equal(result.status, 2);
    assert_non_null(strstr(result.err, "--device says whose kernels --program lists"));
    command_free(&result);
}

/* An adapter has none of the network's own tensors; neither is a cut file one. */
static void test_no_network(void **unused)
{
    (void)unused;
    static const float values[64];
    if (!getenv("SONO_TEST_SEGMENTER"))
        sono_test_skip("SONO_TEST_SEGMENTER is not set");
    const torch_file_tensor adapter[2] = {{.name = "base_model.model.decoder.layers.0.lora_A.weight",
                                           .n_dims = 2,
                                           .dims = {4, 8},
                                           .data = values},
                                          {.name = "base_model.model.decoder.layers.0.lora_B.weight",
                                           .n_dims = 2,
                                           .dims = {8, 4},
                                           .data = values}};
    sono_test_path(path, sizeof path, "adapter.pth");
    assert_ok(torch_file_write(path, adapter, 2, NULL), NULL);
    expect_unusable("adapter.pth: ");
    sono_test_write_file(path, "PK\3\4", 4);
    expect_unusable("adapter.pth: ");
    unlink(path);
    expect_unusable("No such file");
}

static void expect_line(const char *const *words, int status, const char *out, const char *err)
{
    command_result result = command_run(words);
    if (result.status != status || (out && !strstr(result.out, out)) || !strstr(result.err, err) ||
        (!*err && *result.err))
        fail_msg("exit status %d, stdout '%s', stderr '%s'", result.status, result.out, result.err);
    command_free(&result);
}

static void test_family(void **unused)
{
    (void)unused;
    static const char *const commands[] = {"demo", "run", "bench", "audit", "evaluate", "inspect", "convert"};
    const char *segmenter = getenv("SONO_TEST_SEGMENTER");
    char out[SONO_TEST_PATH_BYTES], folder[SONO_TEST_PATH_BYTES];
    if (!segmenter)
        sono_test_skip("SONO_TEST_SEGMENTER is not set");
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
        command_expect(2, "--detector-family: 'yolo' is neither dfine nor deim",
                       WORDS(commands[i], "--detector-family", "yolo"));
    synthetic_state state;
    open_state(&state);
    write_with(&state, state.n_tensors, NULL);
    synthetic_close(&state);
    sono_test_path(out, sizeof out, "out.safetensors");
    sono_test_path(folder, sizeof folder, "folder");
    static const char assumed[] = "detector.pth does not say whose detector it is: taken for D-FINE's";
#define RUN(detector, ...)                                                                                   \
    WORDS("run", "phantom:frames=1,size=64x64", "-o", folder, "--detector", detector, "--segmenter",         \
          segmenter, "--segmenter-size", "256", "--device", "cpu", __VA_ARGS__)
    expect_line(RUN(path, "--threads", "1"), 0, NULL, assumed);
    expect_line(RUN(path, "--quiet"), 0, NULL, "");
    expect_line(RUN(path, "--detector-family", "dfine"), 0, "", "");
    expect_line(WORDS("inspect", path), 0, "family        dfine (ReLU in the decoder), assumed", "");
    expect_line(WORDS("inspect", path, "--detector-family", "deim"), 0,
                "family        deim (SiLU in the decoder), as --detector-family says", "");
    expect_line(WORDS("convert", path, out), 0, "dfine-n", assumed);
    expect_line(WORDS("convert", path, out, "--detector-family", "deim"), 0, "dfine-n", "");
    expect_line(WORDS("inspect", out), 0, "family        deim (SiLU in the decoder), as the file says", "");
    expect_line(RUN(out, "--threads", "1"), 0, NULL, "");
    expect_line(RUN(out, "--detector-family", "dfine"), 1, NULL, "family deim, but dfine was asked for");
#undef RUN
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unusable),
        cmocka_unit_test(test_kernels),
        cmocka_unit_test(test_no_network),
        cmocka_unit_test(test_family),
    };
    return sono_test_run("cli/inspect", tests, sizeof tests / sizeof tests[0]);
}
