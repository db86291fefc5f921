// SPDX-License-Identifier: Apache-2.0
/*
 * What an engine cannot run is UNSUPPORTED at open, naming op, tensor, shape and reason. CUDA's answer needs
 * no GPU; where there is one, opening must give the same. SONO_TEST_BACKEND plays no part: both are asked.
 */
#include "engine/engine.h"
#include "graph/record.h"
#include "test.h"

#include <string.h>

static sono_tid tensor(sono_recorder *rec, const char *name, int32_t n, int32_t h, int32_t w, int32_t c)
{
    return sono_record_tensor(rec, name, SONO_DTYPE_F32, n, h, w, c);
}

static sono_tid param(sono_recorder *rec, const char *name, int32_t n, int32_t h, int32_t w, int32_t c)
{
    float *values;
    return sono_record_param(rec, name, n, h, w, c, &values);
}

static void record_wide_heads(sono_recorder *rec)
{
    const sono_attention_args args = {.n_heads = 8, .head_dim = 80, .scale = 1};
    const sono_tid q = tensor(rec, "q", 1, 1, 20, 640);
    sono_record_attention(rec, "heads", q, q, q, 0, 0, 0, &args, 0);
}

static void record_mixed_keys(sono_recorder *rec)
{
    const sono_attention_args args = {.n_heads = 2, .head_dim = 16, .scale = 1};
    const sono_tid q = tensor(rec, "q", 1, 1, 20, 32);
    rec->precise = 1;
    const sono_tid v = tensor(rec, "v", 1, 1, 20, 32);
    rec->precise = 0;
    sono_record_attention(rec, "heads", q, q, v, 0, 0, 0, &args, 0);
}

static void record_spread_keys(sono_recorder *rec)
{
    const sono_attention_args args = {.n_heads = 2, .head_dim = 16, .scale = 1};
    const sono_tid q = tensor(rec, "q", 1, 1, 20, 32), one = tensor(rec, "one", 1, 1, 1, 32);
    const sono_tid k = sono_view_spread(rec, one, 1, 1, 20);
    sono_record_attention(rec, "heads", q, k, k, 0, 0, 0, &args, 0);
}

static void record_deep_conv(sono_recorder *rec)
{
    const sono_conv_args args = {9, 9, 1, 4, 4, 4, 4, sono_epilogue_none()};
    sono_record_conv(rec, "net.conv", tensor(rec, "x", 1, 9, 9, 1024), param(rec, "w", 9, 9, 1024, 8), 0, 0,
                     &args, 0);
}

static void record_gapped_weight(sono_recorder *rec)
{
    const sono_conv_args args = {3, 3, 1, 1, 1, 1, 1, sono_epilogue_none()};
    const sono_tid w = sono_view_rows(rec, param(rec, "w", 3, 4, 8, 8), 0, 3, 8);
    sono_record_conv(rec, "net.conv", tensor(rec, "x", 1, 9, 9, 8), w, 0, 0, &args, 0);
}

static void record_weight_view(sono_recorder *rec)
{
    const sono_epilogue none = sono_epilogue_none();
    const sono_tid w = sono_view_channels(rec, param(rec, "w", 1, 1, 8, 16), 0, 8);
    sono_record_linear(rec, "net.fc", tensor(rec, "x", 1, 1, 40, 8), w, 0, 0, &none, 0);
}

static void record_spread_linear(sono_recorder *rec)
{
    const sono_epilogue none = sono_epilogue_none();
    const sono_tid x = sono_view_spread(rec, tensor(rec, "x", 1, 1, 1, 8), 1, 4, 5);
    sono_record_linear(rec, "net.fc", x, param(rec, "w", 1, 1, 8, 8), 0, 0, &none, 0);
}

static void record_many_queries(sono_recorder *rec)
{
    const sono_tid header =
        sono_record_input(rec, "header", SONO_DTYPE_U8, 1, 1, 1, (int32_t)sizeof(sono_frame_header));
    sono_record_select(rec, "found", tensor(rec, "logits", 1, 1, 12000, 1),
                       tensor(rec, "boxes", 1, 1, 12000, 4), header, 1, 0);
}

static void record_wide_maps(sono_recorder *rec)
{
    const sono_segment_args args = {.max_width_px = 64,
                                    .max_height_px = 64,
                                    .edge_width_px = 201,
                                    .outside_width_px = 5,
                                    .map_element_bytes = 1};
    const sono_tid header =
        sono_record_input(rec, "header", SONO_DTYPE_U8, 1, 1, 1, (int32_t)sizeof(sono_frame_header));
    const sono_tid planes = sono_record_input(rec, "planes", SONO_DTYPE_U8, 1, 1, 4, 64 * 64);
    sono_record_weight_maps(rec, "maps", sono_view_rows(rec, planes, 0, 1, 1), header, &args);
}

static void record_many_maps(sono_recorder *rec)
{
    sono_record_unary(rec, "gelu", tensor(rec, "x", 70000, 1, 1, 1), SONO_UNARY_GELU, 0);
}

static void record_bytes(sono_recorder *rec)
{
    const sono_tid x = sono_record_input(rec, "x", SONO_DTYPE_U8, 1, 4, 4, 8);
    sono_record_unary(rec, "gelu", x, SONO_UNARY_GELU, 0);
}

typedef struct supports_case {
    void (*record)(sono_recorder *rec);
    const char *cpu, *cuda; /* what the engine says; NULL = it runs this */
} supports_case;

static const supports_case cases[] = {
    {record_wide_heads, NULL,
     "op 0, attention heads: input q [1, 1, 20, 640] does not run on cuda: heads of 80 channels: 64 at most"},
    {record_mixed_keys, NULL,
     "op 0, attention heads: input v [1, 1, 20, 32] does not run on cuda: keys and values must be stored in "
     "one "
     "type"},
    {record_spread_keys,
     "op 0, attention heads: input one [1, 1, 20, 32] does not run on cpu: its positions share their memory, "
     "and "
     "a product needs them apart",
     NULL},
    {record_deep_conv, NULL,
     "op 0, conv net.conv: input w [9, 9, 1024, 8] does not run on cuda: a product's depth is at most 65535, "
     "this "
     "is 82944"},
    {record_gapped_weight,
     "op 0, conv net.conv: input w [3, 3, 8, 8] does not run on cpu: its kernel rows must follow one another "
     "in "
     "memory",
     "op 0, conv net.conv: input w [3, 3, 8, 8] does not run on cuda: its kernel rows must follow one "
     "another in "
     "memory"},
    {record_weight_view, NULL,
     "op 0, linear net.fc: input w [1, 1, 8, 8] does not run on cuda: the weight of a float16 product must "
     "be a "
     "parameter, and no view of one"},
    {record_spread_linear,
     "op 0, linear net.fc: input x [1, 4, 5, 8] does not run on cpu: its positions share their memory, and a "
     "product needs them apart",
     NULL},
    {record_many_queries, NULL,
     "op 0, select found: input logits [1, 1, 12000, 1] does not run on cuda: 12000 queries: 11776 at most"},
    {record_wide_maps, NULL,
     "op 0, weight_maps maps: output maps [1, 1, 3, 4096] does not run on cuda: a width of 201 pixels "
     "needs more shared memory than a block has"},
    {record_many_maps, NULL,
     "op 0, unary gelu: output gelu [70000, 1, 1, 1] does not run on cuda: one launch has at most 65535 "
     "maps"},
    {record_bytes,
     "op 0, unary gelu: input x [1, 4, 4, 8] does not run on cpu: it is stored as U8, and must be F32 here",
     "op 0, unary gelu: input x [1, 4, 4, 8] does not run on cuda: it is stored as U8, and must be F32 here"},
};

static void expect(sono_status status, const sono_error *error, const char *text)
{
    if (!text) {
        assert_ok(status, error);
        return;
    }
    assert_int_equal(status, SONO_STATUS_UNSUPPORTED);
    assert_string_equal(error->text, text);
}

/* Opening says the same. */
static void expect_open(const sono_engine_ops *ops, const sono_program *program, sono_precision precision,
                        const char *text)
{
    const sono_engine_options options = {.n_threads = 1, .precision = precision};
    sono_engine *engine = NULL;
    sono_error error = {0};
    expect(ops->open(program, &options, &engine, &error), &error, text);
    ops->close(engine);
}

static void test_cases(void **state)
{
    (void)state;
    static const sono_cuda_facts h200 = {132, 90, "H200", 0};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        sono_program *program = NULL;
        sono_recorder rec;
        sono_kernel_name name;
        sono_error error = {0};
        assert_ok(sono_program_open(&program, &error), &error);
        sono_record_start(&rec, program, NULL, &error);
        cases[i].record(&rec);
        assert_ok(sono_record_finish(&rec), &error);
        expect(sono_cpu_name_kernels(program, &name, &error), &error, cases[i].cpu);
        expect_open(&sono_cpu_engine, program, SONO_PRECISION_FP32, cases[i].cpu);
        expect(sono_cuda_name_kernels(program, SONO_PRECISION_FP16, &h200, &name, &error), &error,
               cases[i].cuda);
#ifdef SONO_HAVE_CUDA
        if (sono_cuda_count(NULL) > 0)
            expect_open(&sono_cuda_engine, program, SONO_PRECISION_FP16, cases[i].cuda);
#endif
        sono_program_close(program);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_cases)};
    return sono_test_run("engine/supports", tests, sizeof tests / sizeof tests[0]);
}
