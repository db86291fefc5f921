// SPDX-License-Identifier: Apache-2.0
/* Lowering, proved by a fusion that no engine has: GELU into the product in front of it. SONO_TEST_DEVICE
 * names the device (default cpu). */
#include "graph/lower.h"
#include "graph/record.h"
#include "support/engine_fixture.h"
#include "test.h"

#include <math.h>
#include <string.h>

#define ROWS 12
#define C_IN 8
#define C    16

static void fuse_gelu(sono_program *lowered, size_t i)
{
    sono_op *op = &lowered->ops[i];
    if (op->kind != SONO_OP_UNARY || op->args.unary.fn != SONO_UNARY_GELU)
        return;
    const int32_t p = sono_lower_producer(lowered, i, 0);
    if (p < 0 || lowered->ops[p].kind != SONO_OP_LINEAR)
        return;
    const sono_op before = *op;
    *op = lowered->ops[p];
    op->out[0] = before.out[0];
    op->stage = before.stage;
    op->args.conv.epilogue.act = SONO_ACT_GELU;
    sono_lower_absorb(lowered, p);
}

static const sono_rewrite rewrites[] = {{"gelu into linear", fuse_gelu}};

typedef struct recorded {
    sono_program *program;
    sono_recorder rec;
    sono_error error;
    sono_tid x, y, out;
} recorded;

/* x -> linear y -> gelu out. */
static void start(recorded *r)
{
    const sono_epilogue none = sono_epilogue_none();
    float *w;
    memset(r, 0, sizeof *r);
    assert_ok(sono_program_open(&r->program, &r->error), &r->error);
    sono_record_start(&r->rec, r->program, NULL, &r->error);
    r->x = sono_record_input(&r->rec, "x", SONO_DTYPE_F32, 1, 1, ROWS, C_IN);
    const sono_tid weight = sono_record_param(&r->rec, "w", 1, 1, C_IN, C, &w);
    for (int i = 0; i < C_IN * C; i++)
        w[i] = (float)(i % 7 - 3) * 0.25f;
    r->y = sono_record_linear(&r->rec, "y", r->x, weight, 0, 0, &none, 0);
}

static void end(recorded *r)
{
    r->out = sono_record_unary(&r->rec, "out", r->y, SONO_UNARY_GELU, 0);
    sono_record_output(&r->rec, r->out);
    assert_ok(sono_record_finish(&r->rec), &r->error);
}

static void run(const recorded *r, const sono_rewrite *list, float *values, size_t *activation_bytes)
{
    const sono_engine_ops *ops = engine_to_test();
    const sono_engine_options options = {.n_threads = 1, .rewrites = list, .n_rewrites = list ? 1 : 0};
    float x[ROWS * C_IN];
    sono_engine *engine = NULL;
    sono_engine_info info;
    sono_error error = {0};
    for (int i = 0; i < ROWS * C_IN; i++)
        x[i] = (float)(i % 11 - 5) * 0.125f;
    assert_ok(ops->open(r->program, &options, &engine, &error), &error);
    assert_ok(ops->inspect->write(engine, r->x, x, &error), &error);
    assert_ok(ops->inspect->run(engine, 0, -1, &error), &error);
    assert_ok(ops->inspect->read(engine, r->out, values, &error), &error);
    ops->info(engine, &info);
    *activation_bytes = info.plan->block_bytes[SONO_BLOCK_ACTIVATIONS];
    ops->close(engine);
}

/* One op does both, the tensor between them has no place, and the recorded program is as it was. */
static void test_fusion(void **state)
{
    (void)state;
    recorded r;
    float apart[ROWS * C], fused[ROWS * C];
    size_t bytes_apart, bytes_fused;
    start(&r);
    end(&r);
    run(&r, NULL, apart, &bytes_apart);
    run(&r, rewrites, fused, &bytes_fused);
    for (int i = 0; i < ROWS * C; i++)
        assert_true(fabsf(apart[i] - fused[i]) <= 4e-6f * (1 + fabsf(apart[i]))); /* two roundings of GELU */
    assert_true(bytes_apart > 0);
    assert_int_equal(bytes_fused, 0);
    assert_int_equal(r.program->ops[0].is_absorbed, 0);
    assert_int_equal(r.program->ops[1].kind, SONO_OP_UNARY);
    sono_program_close(r.program);
}

static void expect_untouched(recorded *r)
{
    sono_program lowered;
    assert_ok(sono_lower(r->program, rewrites, 1, &lowered, &r->error), &r->error);
    assert_int_equal(lowered.n_ops, r->program->n_ops);
    assert_memory_equal(lowered.ops, r->program->ops, r->program->n_ops * sizeof *lowered.ops);
    sono_lower_free(&lowered);
    sono_program_close(r->program);
}

/* Where somebody else sees the tensor between the two it stays, and so do both ops. */
static void test_no_fusion(void **state)
{
    (void)state;
    recorded r;
    start(&r); /* read by another op */
    end(&r);
    sono_record_unary(&r.rec, "again", r.y, SONO_UNARY_INVERSE_SIGMOID, 0);
    expect_untouched(&r);
    start(&r); /* read through a view */
    sono_record_unary(&r.rec, "half", sono_view_channels(&r.rec, r.y, 0, C / 2), SONO_UNARY_INVERSE_SIGMOID,
                      0);
    end(&r);
    expect_untouched(&r);
    start(&r); /* read by the caller */
    sono_record_output(&r.rec, r.y);
    end(&r);
    expect_untouched(&r);
    start(&r); /* on the other lane */
    r.rec.lane = 1;
    end(&r);
    expect_untouched(&r);
    start(&r); /* only part of it is read */
    r.y = sono_view_channels(&r.rec, r.y, 0, C / 2);
    end(&r);
    expect_untouched(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_fusion), cmocka_unit_test(test_no_fusion)};
    return sono_test_run("graph/lower", tests, sizeof tests / sizeof tests[0]);
}
