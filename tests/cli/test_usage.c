// SPDX-License-Identifier: Apache-2.0
/* The command without checkpoints: help, usage errors, files that are none. */
#include "command.h"
#include "small_model.h"
#include "test.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define WORDS(...) ((const char *const[]){__VA_ARGS__, NULL})

static void expect_help(const char *const *words, const char *text)
{
    command_result result = command_run(words);
    if (result.status != 0 || *result.err || !strstr(result.out, text))
        fail_msg("exit status %d, stdout '%s', stderr '%s'", result.status, result.out, result.err);
    command_free(&result);
}

static void test_help(void **state)
{
    (void)state;
    static const char *const commands[] = {"demo",  "run",     "serve",   "replay",  "record", "bench",
                                           "audit", "inspect", "convert", "version", "top",    "report"};
    expect_help(WORDS("--help"), "examples");
    expect_help(WORDS("help"), "commands");
    expect_help(WORDS("-h"), "medical");
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        char usage[64];
        snprintf(usage, sizeof usage, "usage: sonoseg %s", commands[i]);
        expect_help(WORDS(commands[i], "--help"), usage);
        expect_help(WORDS("help", commands[i]), usage);
    }
    expect_help(WORDS("run", "--output", "x", "-h"), "DIR/results.jsonl");
    expect_help(WORDS("--version"), sono_version());
    expect_help(WORDS("version"), "backends");
}

static void test_commands(void **state)
{
    (void)state;
    command_expect(2, "no command given", (const char *const[]){NULL});
    command_expect(2, "did you mean 'run'?", WORDS("rnu"));
    command_expect(2, "did you mean 'inspect'?", WORDS("insp"));
    command_expect(2, "unknown command 'xyzzy'\n", WORDS("xyzzy"));
    command_expect(2, "unknown command 'xyzzy'", WORDS("help", "xyzzy"));
}

static void test_options(void **state)
{
    (void)state;
    command_expect(2, "unknown option '--treshold': did you mean '--threshold'?",
                   WORDS("run", "--treshold", "1"));
    command_expect(2, "did you mean '--output'?", WORDS("run", "--ouput=x"));
    command_expect(2, "--trace counts launches of graphs: leave --no-graph out",
                   WORDS("audit", "--no-graph", "--trace"));
    command_expect(2, "unknown option '-z'", WORDS("run", "-z"));
    command_expect(2, "'--quiet' takes no value", WORDS("run", "--quiet=1"));
    command_expect(2, "'--output' needs a value: --output DIR", WORDS("run", "a.png", "--output"));
    command_expect(2, "'--output' needs a value", WORDS("run", "--output", "--quiet"));
    command_expect(2, "'--output' needs a value", WORDS("run", "a.png", "--output", ""));
    command_expect(2, "'--output' needs a value", WORDS("demo", "--output="));
    command_expect(2, "'--json' needs a value", WORDS("bench", "--json", ""));
    command_expect(2, "'--events' needs a value", WORDS("run", "a.png", "-o", "x", "--events", ""));
    command_expect(2, "--threshold: '2' is not a number within 0..1", WORDS("run", "--threshold", "2"));
    command_expect(2, "--threshold: 'nan'", WORDS("run", "--threshold", "nan"));
    command_expect(2, "--threads: '1x'", WORDS("run", "--threads", "1x"));
    command_expect(2, "--max-objects: '17'", WORDS("run", "--max-objects", "17"));
    command_expect(2, "--max-size: '100'", WORDS("run", "--max-size", "100"));
    command_expect(2, "--device: 'gpu'", WORDS("run", "--device", "gpu"));
    command_expect(2, "--precision: 'int8'", WORDS("bench", "--precision", "int8"));
    command_expect(2, "an input path is empty", WORDS("run", ""));
    command_expect(2, "See 'sonoseg bench --help'", WORDS("bench", "--frames", "0"));
    command_expect(2, "--pace goes with --batch 1", WORDS("bench", "--pace", "30", "--batch", "2"));
    command_expect(2, "--pace: '0'", WORDS("bench", "--pace", "0"));
    command_expect(2, "unexpected 'x'", WORDS("version", "x"));
}

/* The source is opened before the checkpoints are read. */
static void test_phantom(void **state)
{
    (void)state;
#define PHANTOM(text) WORDS("run", text, "--output", "x", "--detector", "none", "--segmenter", "none")
    command_expect(2, "'sed=1' is not understood", PHANTOM("phantom:frames=2,sed=1"));
    command_expect(2, "'seed=' is not understood", PHANTOM("phantom:seed="));
    command_expect(2, "'size=64' is not understood", PHANTOM("phantom:size=64"));
    command_expect(2, "'frames=-1' is not understood", PHANTOM("phantom:frames=-1"));
    command_expect(2, "'shape=round' is not understood", PHANTOM("phantom:shape=round"));
    command_expect(2, "'events=some' is not understood", PHANTOM("phantom:events=some"));
    command_expect(2, "'only=quiet' is not understood", PHANTOM("phantom:events=tuning,only=quiet"));
    command_expect(2, "sides must be within 16..4096", PHANTOM("phantom:size=8x64"));
    command_expect(1, "none: ", PHANTOM("phantom:seed=3,size=64x48,rate=10,depth=40,shape=pair,sweep=2"));
    command_expect(
        2, "cannot be mixed with other inputs",
        WORDS("run", "a.png", "phantom:", "--output", "x", "--detector", "none", "--segmenter", "none"));
#undef PHANTOM
}

static void test_missing_words(void **state)
{
    (void)state;
    command_expect(2, "no input", WORDS("run", "--output", "x"));
    command_expect(2, "no output folder", WORDS("run", "a.png"));
    command_expect(2, "no file given", WORDS("inspect"));
    command_expect(2, "one file at a time", WORDS("inspect", "a", "b"));
    command_expect(2, "two files are expected", WORDS("convert", "a"));
    command_expect(2, "the path of a file is empty", WORDS("convert", "a", ""));
    command_expect(2, "'c' is too many", WORDS("convert", "a", "b", "c"));
    command_expect(2, "--precision: 'fp8'", WORDS("convert", "a", "b", "--precision", "fp8"));
}

static void test_bad_checkpoints(void **state)
{
    (void)state;
    char folder[SONO_TEST_PATH_BYTES], file[SONO_TEST_PATH_BYTES];
    sono_test_path(folder, sizeof folder, "untouched");
    sono_test_path(file, sizeof file, "letter.pth");
    sono_test_write_file(file, "Dear Sir or Madam", 17);
    command_result result = command_run(
        WORDS("run", "a.png", "-o", folder, "--detector", file, "--segmenter", file, "--device", "cpu"));
    assert_int_equal(result.status, 1);
    assert_non_null(strstr(result.err, file));
    assert_ptr_equal(strchr(result.err, '\n'), result.err + strlen(result.err) - 1);
    assert_string_equal(result.out, "");
    command_free(&result);
    assert_int_not_equal(access(folder, F_OK), 0);
    command_expect(1, "letter.pth", WORDS("inspect", file));
    command_expect(1, "/nonexistent", WORDS("inspect", "/nonexistent"));
    command_expect(1, "letter.pth", WORDS("convert", file, folder));
    assert_int_not_equal(access(folder, F_OK), 0);
}

/* What inspect says about a file with other things around the tensors. */
static void test_inspect_says_what_was_left_out(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "\nstate dict    in 'state_dict'\n",
        "\nprefix        'module.', taken off every name\n",
        "\nignored       entries of the state dict that are no tensors: 3, such as 'epoch'\n",
        "\ninert         objects of other classes: 17, such as _io.BytesIO (nothing is executed)\n",
    };
    static char names[SMALL_MODEL_TENSORS][64];
    char file[SONO_TEST_PATH_BYTES];
    small_model model;
    small_model_init(&model);
    for (int i = 0; i < SMALL_MODEL_TENSORS; i++) {
        snprintf(names[i], sizeof names[i], "module.%s", model.tensors[i].name);
        model.tensors[i].name = names[i];
    }
    const torch_file_options options = {.wrapper = {"state_dict", NULL}, .extras = 1, .loose = 1};
    sono_test_path(file, sizeof file, "training.pth");
    assert_ok(torch_file_write(file, model.tensors, SMALL_MODEL_TENSORS, &options), NULL);
    command_result result = command_run(WORDS("inspect", file));
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        if (!strstr(result.out, lines[i]))
            fail_msg("'%s' is not in '%s'", lines[i], result.out);
    command_free(&result);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_help),
        cmocka_unit_test(test_commands),
        cmocka_unit_test(test_options),
        cmocka_unit_test(test_phantom),
        cmocka_unit_test(test_missing_words),
        cmocka_unit_test(test_bad_checkpoints),
        cmocka_unit_test(test_inspect_says_what_was_left_out),
    };
    return sono_test_run("cli/usage", tests, sizeof tests / sizeof tests[0]);
}
