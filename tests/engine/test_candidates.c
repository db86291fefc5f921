// SPDX-License-Identifier: Apache-2.0
// labels: timeout=300
/*
 * The choice of CUDA kernels, which needs no GPU: for every op of both networks it is the one that the
 * launchers made for every launch before kernels were chosen at open, but for what a tile is said to cost.
 * That rule stands here once more: tiles with the numbers their templates come to.
 */
#include "engine/cuda/choice/families.h"
#include "base/alloc.h"
#include "graph/record.h"
#include "pipeline/config.h"
#include "pipeline/flow.h"
#include "support/pipeline_fixture.h"
#include "test.h"

#include <stdlib.h>
#include <string.h>

/* H200, A100, A10, T4, B200. */
static const sono_cuda_facts devices[] = {
    {132, 90, "H200", 0}, {108, 80, "A100", 0}, {72, 86, "A10", 0}, {40, 75, "T4", 0}, {148, 100, "B200", 0}};

typedef struct old_tile {
    const char *name;
    int32_t bm, bn, bk, max_stages, stage_bytes, sum_bytes, blocks;
    float rate, latency;
    int32_t has_vector, has_scalar;
} old_tile;

static const old_tile old_half[] = {
    {"half 128x128", 128, 128, 64, 3, 32768, 81920, 2, 600, 1950, 1, 0},
    {"half 128x64", 128, 64, 64, 3, 24576, 40960, 3, 540, 1300, 1, 0},
    {"half 128x32", 128, 32, 64, 3, 20480, 20480, 3, 420, 750, 1, 0},
    {"half 64x64", 64, 64, 64, 4, 16384, 20480, 3, 450, 750, 1, 0},
    {"half 64x32", 64, 32, 64, 4, 12288, 20480, 4, 360, 430, 1, 0},
    {"half 32x32", 32, 32, 64, 4, 8192, 20480, 4, 260, 290, 1, 0},
    {"half 128x32", 128, 32, 32, 2, 10240, 20480, 4, 120, 700, 0, 1},
    {"half 64x64", 64, 64, 32, 2, 8192, 20480, 4, 100, 700, 0, 1},
};

static const old_tile old_float[] = {
    {"float 128x128", 128, 128, 16, 3, 18432, 65536, 2, 110, 1100, 1, 0},
    {"float 64x64", 64, 64, 32, 3, 17408, 32768, 2, 95, 700, 1, 1},
    {"float 32x32", 32, 32, 64, 3, 16896, 32768, 2, 85, 500, 1, 1},
    {"float 24x32", 24, 32, 64, 3, 14720, 24576, 2, 80, 450, 1, 0},
    {"float 16x32", 16, 32, 64, 3, 12544, 16384, 3, 65, 400, 1, 0},
};

typedef struct old_plan {
    const old_tile *shape;
    int32_t steps, n_splits;
    float clocks;
} old_plan;

static int64_t ceil_div(int64_t a, int64_t b)
{
    return (a + b - 1) / b;
}

static int32_t old_shared(int32_t cc)
{
    return cc == 75 ? 65536 : cc == 80 ? 167936 : cc == 86 || cc == 89 || cc == 120 ? 102400 : 233472;
}

static int32_t old_resident(const old_tile *t, int32_t steps, int32_t cc)
{
    const int32_t ring = cc < 80 ? 2 : t->max_stages;
    const int32_t stages = (steps < ring ? steps : ring) * t->stage_bytes;
    const int32_t bytes = stages > t->sum_bytes ? stages : t->sum_bytes;
    const int32_t fit = old_shared(cc) / (bytes + (cc < 80 ? 0 : 1024));
    return fit < t->blocks ? fit : t->blocks;
}

static float old_estimate(int32_t n_sm, int64_t m, int64_t n, const old_tile *t, int32_t steps,
                          int32_t n_splits, int32_t together)
{
    const int64_t tiles = ceil_div(m, t->bm) * ceil_div(n, t->bn) * n_splits;
    const int64_t blocks = ceil_div(tiles, n_sm);
    const float rounds = (float)ceil_div(blocks, together), area = (float)(t->bm * t->bn);
    const float each = area * ((float)(steps * t->bk) / t->rate + 0.12f), work = (float)blocks * each;
    const float latency = rounds * (float)steps * t->latency;
    const float time = (work > latency ? work : latency) + rounds * 1500.0f;
    const float taken = (float)tiles / (float)n_sm * (each + 1500.0f / (float)together);
    const float traffic = (float)(m * n) * 4.0f * (float)(n_splits + 1);
    const float sums = n_splits == 1 ? 0.0f : 4000.0f + traffic / (20.0f * (float)n_sm);
    return 0.5f * (time + taken) + sums;
}

static old_plan old_choose(const sono_cuda_facts *device, const sono_conv_product *g, int is_half,
                           int is_vector)
{
    const old_tile *tiles = is_half ? old_half : old_float;
    const size_t n_tiles =
        is_half ? sizeof old_half / sizeof *old_half : sizeof old_float / sizeof *old_float;
    const int32_t max_splits = is_vector ? 8 : 1;
    old_plan best = {0};
    for (size_t i = 0; i < n_tiles; i++) {
        const old_tile *t = &tiles[i];
        if (!(is_vector ? t->has_vector : t->has_scalar))
            continue;
        const int32_t steps = (int32_t)ceil_div(g->k, t->bk);
        for (int32_t wanted = 1; wanted <= max_splits && wanted <= steps; wanted *= 2) {
            const int32_t each = (int32_t)ceil_div(steps, wanted), n_splits = (int32_t)ceil_div(steps, each);
            const int32_t together = old_resident(t, each, device->compute_capability);
            if (together < 1)
                continue;
            const float clocks =
                old_estimate(device->n_multiprocessors, g->m, g->n, t, each, n_splits, together);
            if (!best.shape || clocks < best.clocks)
                best = (old_plan){t, each, n_splits, clocks};
        }
    }
    return best;
}

static int old_aligned(const sono_cuda_tensor *t, int32_t elements)
{
    const int64_t size = t->dtype == SONO_DTYPE_F16 ? 2 : 4;
    const int64_t bytes = elements * size < 16 ? elements * size : 16, unit = bytes / size;
    return !t->data || ((uintptr_t)t->data % (uintptr_t)bytes == 0 && t->pitch % unit == 0 &&
                        (t->n <= 1 || t->batch_stride % unit == 0));
}

static void expect_conv(const sono_cuda_facts *device, const sono_cuda_call *call,
                        const sono_cuda_choice *choice)
{
    const sono_conv_product g = sono_conv_product_of(call);
    const int is_half = call->in[0].dtype == SONO_DTYPE_F16, chunk = is_half ? 8 : 4;
    char name[40];
    if (call->op->kind == SONO_OP_LINEAR && !is_half && g.m <= 16) {
        assert_string_equal(choice->candidate->name, "conv thin");
        return;
    }
    const int is_vector = call->in[0].c % chunk == 0 && old_aligned(&call->in[0], chunk);
    const old_plan plan = old_choose(device, &g, is_half, is_vector);
    snprintf(name, sizeof name, "conv %s%s", plan.shape->name, is_vector ? "" : " scalar");
    assert_string_equal(choice->candidate->name, name);
    assert_int_equal(choice->steps, plan.steps);
    assert_int_equal(choice->n_splits, plan.n_splits);
    assert_int_equal(choice->candidate->pack, is_half ? SONO_CUDA_FORM_PACKED : SONO_CUDA_FORM_PLAIN);
    assert_int_equal(choice->scratch_bytes,
                     plan.n_splits > 1 ? 4 * plan.n_splits * g.m * (ceil_div(g.n, 8) * 8) : 0);
}

static int old_rows_fit(const sono_cuda_tensor *t, int32_t n_channels, int32_t wide)
{
    const int64_t element = t->dtype == SONO_DTYPE_F16 ? 2 : 4;
    const int64_t vector = wide * element < 16 ? wide * element : 16;
    const int64_t stride = t->n == 1 ? 0 : t->batch_stride;
    return !t->data || (n_channels % wide == 0 && (uintptr_t)t->data % (uintptr_t)vector == 0 &&
                        t->pitch * element % vector == 0 && stride * element % vector == 0);
}

static int old_dwconv_fits(const sono_cuda_call *call, int32_t vector)
{
    const uintptr_t parameters = (uintptr_t)call->in[1].data | (uintptr_t)call->in[2].data;
    const int32_t c = call->out[0].c;
    return parameters % (4 * (uintptr_t)vector) == 0 && call->in[1].pitch % vector == 0 &&
           old_rows_fit(&call->in[0], c, vector) && old_rows_fit(&call->in[3], c, vector) &&
           old_rows_fit(&call->out[0], c, vector);
}

static void expect_dwconv(const sono_cuda_facts *device, const sono_cuda_call *call,
                          const sono_cuda_choice *choice)
{
    const sono_conv_args *args = &call->op->args.conv;
    const sono_cuda_tensor *x = &call->in[0], *y = &call->out[0];
    const int64_t enough = (int64_t)device->n_multiprocessors * 256;
    const int64_t strips = (int64_t)(y->c / 2) * ceil_div(y->w, 4) * y->n;
    const int32_t height = strips * ceil_div(y->h, 8) >= 6 * enough ? 8 : 4;
    const int is_strip = args->kernel_h == 3 && args->kernel_w == 3 && args->stride == 1 &&
                         !call->in[3].data && x->dtype == y->dtype && old_dwconv_fits(call, 2) &&
                         strips * ceil_div(y->h, height) >= enough && x->w * x->pitch <= INT32_MAX / 4 &&
                         y->w * y->pitch <= INT32_MAX / 4;
    const int is_square = args->kernel_h == args->kernel_w && (args->kernel_h == 3 || args->kernel_h == 5);
    assert_string_equal(choice->candidate->name, is_strip                                ? "dwconv strip"
                                                 : is_square && old_dwconv_fits(call, 4) ? "dwconv vector"
                                                                                         : "dwconv scalar");
    if (is_strip)
        assert_int_equal(choice->strip_height, height);
}

static int old_half_rows(const sono_cuda_tensor *t)
{
    return t->dtype == SONO_DTYPE_F16 && old_rows_fit(t, 8, 8);
}

static void expect_attention(const sono_cuda_facts *device, const sono_cuda_call *call,
                             const sono_cuda_choice *choice)
{
    const sono_attention_args *args = &call->op->args.attention;
    const sono_cuda_tensor *q = &call->in[0], *k = &call->in[1];
    const int64_t window = args->window, dim = args->head_dim;
    const int64_t n_keys = window ? window * window : (int64_t)k->h * k->w;
    const int64_t n_queries = window ? window * window : (int64_t)q->h * q->w;
    const int64_t tiles = window ? ceil_div(n_queries, 16) : 2, splits = window ? 1 : 4;
    const int64_t key_rows = ceil_div(n_keys, 16) * 16, side = 2 * window - 1;
    const int64_t tables = window ? key_rows + side * side + 2 * window * (window - 1) + 1 : 0;
    const int64_t used = 4 * key_rows * (dim + 8) + 4 * tables, merged = 64 * tiles * splits * (dim + 2);
    const int64_t bytes = splits > 1 && merged > used ? merged : used;
    const int is_tensor = window <= 14 && dim % 16 == 0 &&
                          bytes <= (device->compute_capability < 80 ? 64 << 10 : 96 << 10) &&
                          old_half_rows(q) && old_half_rows(k) && old_half_rows(&call->in[2]);
    const int is_few = device->compute_capability == 90 && !window && n_queries <= 8 && n_keys >= 1024 &&
                       dim == 16 && old_half_rows(k) && old_half_rows(&call->in[2]);
    assert_string_equal(choice->candidate->name, !window && n_keys <= 16 ? "attention narrow"
                                                 : is_few                ? "attention few"
                                                 : is_tensor             ? "attention tensor"
                                                                         : "attention plain");
}

static void expect_as_before(const sono_program *program, sono_precision precision)
{
    sono_error error = {0};
    sono_cuda_choice *choices = sono_alloc_array(program->n_ops, sizeof *choices);
    assert_non_null(choices);
    for (size_t d = 0; d < sizeof devices / sizeof *devices; d++) {
        assert_ok(sono_cuda_choose(program, precision, &devices[d], choices, &error), &error);
        for (size_t i = 0; i < program->n_ops; i++) {
            const sono_op *op = &program->ops[i];
            const sono_cuda_call call = sono_cuda_describe_call(program, precision, &devices[d], op);
            assert_int_equal(choices[i].candidate->id, choices[i].candidate - sono_cuda_candidates);
            if (op->kind == SONO_OP_CONV || op->kind == SONO_OP_LINEAR)
                expect_conv(&devices[d], &call, &choices[i]);
            else if (op->kind == SONO_OP_DWCONV)
                expect_dwconv(&devices[d], &call, &choices[i]);
            else if (op->kind == SONO_OP_ATTENTION)
                expect_attention(&devices[d], &call, &choices[i]);
            else
                assert_int_equal(choices[i].candidate->kind, op->kind);
        }
    }
    sono_free(choices);
}

static void test_networks(void **state)
{
    (void)state;
    static const int32_t batches[] = {1, 8};
    sono_pipeline_config config, resolved;
    sono_flow_models models;
    sono_flow flow;
    sono_error error = {0};
    pipeline_fixture_synthetic(&config);
    config.want_weight_maps = 1;
    assert_ok(sono_config_resolve(&config, &resolved, &error), &error);
    assert_ok(sono_flow_models_open(&resolved, &models, &error), &error);
    for (size_t i = 0; i < sizeof batches / sizeof *batches; i++) {
        resolved.batch = batches[i];
        assert_ok(sono_flow_open(&resolved, &models, &flow, &error), &error);
        expect_as_before(flow.program, SONO_PRECISION_FP32);
        expect_as_before(flow.program, SONO_PRECISION_FP16);
        sono_flow_close(&flow);
    }
    sono_flow_models_close(&models);
}

/* Every tile and every kernel of the other families is the best for something. */
static void test_odd_shapes(void **state)
{
    (void)state;
    static const int32_t rows[] = {1, 16, 17, 100, 900, 40000}, depths[] = {3, 12, 64, 1000, 4096};
    static const int32_t widths[] = {1, 8, 30, 64, 500};
    sono_epilogue none = sono_epilogue_none();
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++)
        for (size_t k = 0; k < sizeof depths / sizeof *depths; k++)
            for (size_t n = 0; n < sizeof widths / sizeof *widths; n++) {
                sono_program *program = NULL;
                sono_recorder rec;
                sono_error error = {0};
                float *values;
                assert_ok(sono_program_open(&program, &error), &error);
                sono_record_start(&rec, program, NULL, &error);
                const sono_tid x =
                    sono_record_tensor(&rec, "x", SONO_DTYPE_F32, 1, 1, rows[r], depths[k] + 1);
                const sono_tid w = sono_record_param(&rec, "w", 1, 1, depths[k], widths[n], &values);
                sono_record_linear(&rec, "whole", sono_view_channels(&rec, x, 0, depths[k]), w, 0, 0, &none,
                                   0);
                sono_record_linear(&rec, "beside", sono_view_channels(&rec, x, 1, depths[k]), w, 0, 0, &none,
                                   0);
                assert_ok(sono_record_finish(&rec), &error);
                expect_as_before(program, SONO_PRECISION_FP32);
                expect_as_before(program, SONO_PRECISION_FP16);
                sono_program_close(program);
            }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_networks),
        cmocka_unit_test(test_odd_shapes),
    };
    return sono_test_run("engine/candidates", tests, sizeof tests / sizeof tests[0]);
}
