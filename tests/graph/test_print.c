// SPDX-License-Identifier: Apache-2.0
#include "base/alloc.h"
#include "graph/plan.h"
#include "graph/record.h"
#include "test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A convolution, a window attention on views of its result, and their sum, in two stages. */
static void record_network(sono_recorder *rec)
{
    float *values;
    const sono_conv_args conv = {3, 3, 2, 1, 1, 1, 1, sono_epilogue_none()};
    const sono_attention_args windows = {2, 4, 0.5f, 4};
    const sono_tid x = sono_record_input(rec, "image", SONO_DTYPE_F32, 1, 32, 32, 3);
    const sono_tid w = sono_record_param(rec, "conv.weight", 3, 3, 3, 24, &values);
    rec->stage = SONO_STAGE_ENCODE;
    const sono_tid y = sono_record_conv(rec, "net.conv", x, w, 0, 0, &conv, 0);
    const sono_tid q = sono_view_channels(rec, y, 0, 8), k = sono_view_channels(rec, y, 8, 8);
    const sono_tid v = sono_view_channels(rec, y, 16, 8);
    rec->stage = SONO_STAGE_DECODE;
    const sono_tid a = sono_record_attention(rec, "net.attn", q, k, v, 0, 0, 0, &windows, 0);
    sono_record_output(rec, sono_record_add(rec, "net.sum", a, v, 0));
}

/* What sono_program_print() writes; freed by the caller with free(). */
static char *printed(const sono_program *program, const sono_plan *plan)
{
    char *text = NULL;
    size_t n_bytes = 0;
    FILE *stream = open_memstream(&text, &n_bytes);
    assert_non_null(stream);
    sono_program_print(program, plan, NULL, stream);
    assert_int_equal(fclose(stream), 0);
    return text;
}

/* The line of text that holds `word`, in a static buffer. */
static const char *line_with(const char *text, const char *word)
{
    static char line[512];
    const char *at = strstr(text, word);
    if (!at)
        fail_msg("no \"%s\" in:\n%s", word, text);
    const char *start = at;
    while (start > text && start[-1] != '\n')
        start--;
    snprintf(line, sizeof line, "%.*s", (int)strcspn(start, "\n"), start);
    return line;
}

static void assert_line_has(const char *text, const char *word, const char *part)
{
    const char *line = line_with(text, word);
    if (!strstr(line, part))
        fail_msg("no \"%s\" in: %s", part, line);
}

static void test_one_line_an_op_then_totals(void **state)
{
    (void)state;
    sono_program *program = NULL;
    sono_error error = {0};
    sono_recorder rec;
    sono_plan plan;
    assert_ok(sono_program_open(&program, &error), &error);
    sono_record_start(&rec, program, NULL, &error);
    record_network(&rec);
    assert_ok(sono_record_finish(&rec), &error);
    assert_ok(sono_plan_make(program, &(sono_plan_options){.mode = SONO_PLAN_REUSE, .align_bytes = 64}, &plan,
                             &error),
              &error);
    char *text = printed(program, &plan);
    assert_line_has(text, "net.conv", "conv");
    assert_line_has(text, "net.conv", "3x3/2");
    assert_line_has(text, "net.conv", "[1, 32, 32, 3]");
    assert_line_has(text, "net.conv", "[1, 16, 16, 24]");
    assert_line_has(text, "net.attn", "2 heads, w4");
    assert_line_has(text, "net.attn", "[1, 16, 16, 8]");
    assert_line_has(text, "net.sum", "add");
    assert_line_has(text, "stage encode", "1 ops");
    assert_line_has(text, "stage decode", "2 ops");
    assert_line_has(text, "op    attention", "1 ops");
    assert_line_has(text, "parameters", "0.00 MB");
    assert_line_has(text, "activations", "0.03 MB");
    assert_null(strstr(text, "stage detect"));
    free(text);
    sono_plan_free(&plan);
    text = printed(program, NULL);
    assert_null(strstr(text, "activations"));
    free(text);
    sono_program_close(program);
}

static void test_totals_are_the_sums_of_the_ops(void **state)
{
    (void)state;
    sono_program *program = NULL;
    sono_error error = {0};
    sono_recorder rec;
    assert_ok(sono_program_open(&program, &error), &error);
    sono_record_start(&rec, program, NULL, &error);
    record_network(&rec);
    assert_ok(sono_record_finish(&rec), &error);
    assert_true(sono_program_flops(program, SONO_STAGE_ENCODE) == 2.0 * 16 * 16 * 24 * 27);
    assert_true(sono_program_flops(program, SONO_STAGE_DECODE) == 4.0 * 16 * 16 * 16 * 8 + 16 * 16 * 8);
    assert_true(sono_program_flops(program, SONO_STAGE_MASK) == 0);
    sono_program_close(program);
}

static void test_every_op_kind_has_a_name(void **state)
{
    (void)state;
    for (int i = 0; i < SONO_OP_COUNT; i++) {
        assert_true(sono_op_name((sono_op_kind)i)[0] != '\0');
        for (int k = 0; k < i; k++)
            assert_string_not_equal(sono_op_name((sono_op_kind)i), sono_op_name((sono_op_kind)k));
    }
    assert_string_equal(sono_op_name(SONO_OP_COUNT), "?");
    assert_string_equal(sono_op_name((sono_op_kind)-1), "?");
}

static void test_an_empty_program(void **state)
{
    (void)state;
    sono_program *program = NULL;
    assert_ok(sono_program_open(&program, NULL), NULL);
    char *text = printed(program, NULL);
    assert_non_null(strstr(text, "parameters 0.00 MB"));
    free(text);
    sono_program_close(program);
    sono_program_close(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_line_an_op_then_totals),
        cmocka_unit_test(test_totals_are_the_sums_of_the_ops),
        cmocka_unit_test(test_every_op_kind_has_a_name),
        cmocka_unit_test(test_an_empty_program),
    };
    return sono_test_run("program/print", tests, sizeof(tests) / sizeof(tests[0]));
}
