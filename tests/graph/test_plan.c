// SPDX-License-Identifier: Apache-2.0
#include "base/alloc.h"
#include "graph/plan.h"
#include "graph/record.h"
#include "test.h"

#include <string.h>

#define ALIGN 64

typedef struct fixture {
    sono_program *program;
    sono_recorder rec;
    sono_error error;
    sono_plan plan;
} fixture;

static int set_up(void **state)
{
    fixture *f = sono_alloc(sizeof *f);
    assert_non_null(f);
    assert_ok(sono_program_open(&f->program, &f->error), &f->error);
    sono_record_start(&f->rec, f->program, NULL, &f->error);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    sono_plan_free(&f->plan);
    sono_program_close(f->program);
    sono_free(f);
    return 0;
}

static void make_plan(fixture *f, sono_plan_mode mode)
{
    assert_ok(sono_record_finish(&f->rec), &f->error);
    sono_plan_free(&f->plan);
    assert_ok(sono_plan_make(f->program, &(sono_plan_options){.mode = mode, .align_bytes = ALIGN}, &f->plan,
                             &f->error),
              &f->error);
    assert_int_equal(f->plan.n_tensors, f->program->n_tensors);
}

static sono_tid gelu(fixture *f, sono_tid x)
{
    return sono_record_unary(&f->rec, "y", x, SONO_UNARY_GELU, 0);
}

static int alive_together(const sono_plan *p, size_t a, size_t b)
{
    return p->first_op[a] <= p->last_op[b] && p->first_op[b] <= p->last_op[a];
}

static int share_bytes(const sono_plan *p, size_t a, size_t b)
{
    return p->offset_bytes[a] < p->offset_bytes[b] + p->n_bytes[b] &&
           p->offset_bytes[b] < p->offset_bytes[a] + p->n_bytes[a];
}

/* Whatever the program: aligned, inside the block, no two of one block that live together share a byte. */
static void check_plan(const fixture *f, sono_plan_mode mode)
{
    const sono_plan *p = &f->plan;
    for (size_t a = 1; a < p->n_tensors; a++) {
        if (p->offset_bytes[a] == SIZE_MAX)
            continue;
        const sono_tensor *t = &f->program->tensors[a];
        const sono_block block = sono_tensor_block(t);
        assert_int_equal(t->root, a);
        assert_int_equal(p->offset_bytes[a] % ALIGN, 0);
        assert_true(p->n_bytes[a] >= sono_tensor_storage_bytes(f->program, (sono_tid)a, SONO_PRECISION_FP32));
        assert_true(p->offset_bytes[a] + p->n_bytes[a] <= p->block_bytes[block]);
        for (size_t b = 1; b < a; b++) {
            if (p->offset_bytes[b] == SIZE_MAX || sono_tensor_block(&f->program->tensors[b]) != block)
                continue;
            if (block != SONO_BLOCK_ACTIVATIONS || mode == SONO_PLAN_KEEP || alive_together(p, a, b))
                assert_false(share_bytes(p, a, b));
        }
    }
    assert_true(p->peak_live_bytes <= p->block_bytes[SONO_BLOCK_ACTIVATIONS]);
}

static void test_lifetimes(void **state)
{
    fixture *f = *state;
    const sono_tid x = sono_record_input(&f->rec, "x", SONO_DTYPE_F32, 1, 4, 4, 8);
    const sono_tid a = gelu(f, x), b = gelu(f, a), c = gelu(f, b);
    const sono_tid d = sono_record_add(&f->rec, "d", a, c, 0);
    sono_record_output(&f->rec, d);
    make_plan(f, SONO_PLAN_REUSE);
    const int32_t first[] = {0, 0, 1, 2, 3}, last[] = {0, 3, 2, 3, 3};
    const sono_tid ids[] = {x, a, b, c, d};
    for (int i = 0; i < 5; i++) {
        assert_int_equal(f->plan.first_op[ids[i]], first[i]);
        assert_int_equal(f->plan.last_op[ids[i]], last[i]);
        assert_int_equal(f->plan.n_bytes[ids[i]], 512);
    }
    check_plan(f, SONO_PLAN_REUSE);
    assert_int_equal(f->plan.peak_live_bytes, 3 * 512);
    assert_int_equal(f->plan.block_bytes[SONO_BLOCK_INPUTS], 512);
    assert_int_equal(f->plan.block_bytes[SONO_BLOCK_OUTPUTS], 512);
}

static void test_dead_bytes_are_reused(void **state)
{
    fixture *f = *state;
    sono_tid x = sono_record_input(&f->rec, "x", SONO_DTYPE_F32, 1, 4, 4, 8);
    for (int i = 0; i < 20; i++)
        x = gelu(f, x);
    sono_record_output(&f->rec, x);
    make_plan(f, SONO_PLAN_REUSE);
    check_plan(f, SONO_PLAN_REUSE);
    assert_int_equal(f->plan.block_bytes[SONO_BLOCK_ACTIVATIONS], 2 * 512);
    make_plan(f, SONO_PLAN_KEEP);
    check_plan(f, SONO_PLAN_KEEP);
    assert_int_equal(f->plan.block_bytes[SONO_BLOCK_ACTIVATIONS], 19 * 512);
}

static void test_what_is_kept_shares_no_bytes(void **state)
{
    fixture *f = *state;
    sono_tid x = sono_record_input(&f->rec, "x", SONO_DTYPE_F32, 1, 4, 4, 8);
    const sono_tid kept = sono_record_kept(&f->rec, "kept", SONO_DTYPE_F32, 1, 4, 4, 8),
                   unused = sono_record_kept(&f->rec, "unused", SONO_DTYPE_U8, 1, 1, 1, 8);
    for (int i = 0; i < 9; i++)
        x = i == 4 ? sono_record_add(&f->rec, "sum", x, kept, 0) : gelu(f, x);
    sono_record_output(&f->rec, x);
    make_plan(f, SONO_PLAN_REUSE);
    check_plan(f, SONO_PLAN_REUSE);
    assert_int_equal(f->plan.first_op[kept], 0);
    assert_int_equal(f->plan.last_op[kept], 9);
    assert_int_equal(f->plan.block_bytes[SONO_BLOCK_ACTIVATIONS], 3 * 512);
    assert_true(f->plan.offset_bytes[unused] == SIZE_MAX);
}

/* Ops that run a second time: what they read from outside lives until then, what is shared is written again,
 * and what lives within them has bytes of its own in each run. */
static void test_ops_that_run_again(void **state)
{
    fixture *f = *state;
    const sono_tid x = sono_record_input(&f->rec, "x", SONO_DTYPE_F32, 1, 4, 4, 8);
    const sono_tid outer = gelu(f, x);
    f->rec.lane = 1;
    const sono_tid beside = gelu(f, x);
    f->rec.lane = 0;
    const sono_tid inner = gelu(f, outer);
    const sono_tid half = sono_view_channels(&f->rec, inner, 0, 4);
    const sono_tid y = sono_record_add(&f->rec, "y", inner, beside, 0);
    const sono_tid z = gelu(f, half);
    sono_tid other = y;
    for (int i = 0; i < 6; i++)
        other = gelu(f, other);
    const size_t n_before = f->program->n_ops;
    sono_record_again(&f->rec, 1, 5, &y, 1);
    const sono_op *ops = f->program->ops;
    assert_int_equal(f->program->n_ops, n_before + 3); /* not the one on lane 1 */
    const sono_op *again = &ops[n_before];
    assert_int_equal(again[0].in[0], outer);
    assert_int_not_equal(again[0].out[0], inner);
    assert_int_equal(again[1].in[0], again[0].out[0]);
    assert_int_equal(again[1].in[1], beside);
    assert_int_equal(again[1].out[0], y);
    assert_int_not_equal(again[2].in[0], half);
    assert_int_equal(sono_program_tensor(f->program, again[2].in[0])->root, again[0].out[0]);
    assert_int_equal(sono_program_tensor(f->program, again[2].in[0])->c, 4);
    assert_int_not_equal(again[2].out[0], z);
    for (int i = 0; i < 3; i++)
        assert_int_equal(again[i].lane, 0);
    sono_record_output(&f->rec, sono_record_add(&f->rec, "sum", y, other, 0));
    make_plan(f, SONO_PLAN_REUSE);
    check_plan(f, SONO_PLAN_REUSE);
    assert_int_equal(f->plan.last_op[outer], n_before);
    assert_int_equal(f->plan.last_op[beside], n_before + 1);
    assert_int_equal(f->plan.last_op[inner], 4);
    assert_int_equal(f->plan.first_op[again[0].out[0]], n_before);
}

static void test_a_view_keeps_its_root_alive(void **state)
{
    fixture *f = *state;
    const sono_tid x = sono_record_input(&f->rec, "x", SONO_DTYPE_F32, 1, 4, 4, 8);
    const sono_tid cat = sono_record_tensor(&f->rec, "cat", SONO_DTYPE_F32, 1, 4, 4, 16);
    const sono_tid left = sono_view_channels(&f->rec, cat, 0, 8),
                   right = sono_view_channels(&f->rec, cat, 8, 8);
    sono_record_unary(&f->rec, "left", x, SONO_UNARY_GELU, left);
    const sono_tid between = gelu(f, x);
    sono_record_unary(&f->rec, "right", between, SONO_UNARY_GELU, right);
    const sono_tid y = gelu(f, sono_view_rows(&f->rec, right, 3, 1, 1));
    make_plan(f, SONO_PLAN_REUSE);
    check_plan(f, SONO_PLAN_REUSE);
    assert_int_equal(f->plan.first_op[cat], 0);
    assert_int_equal(f->plan.last_op[cat], 3);
    assert_true(f->plan.offset_bytes[left] == SIZE_MAX && f->plan.offset_bytes[right] == SIZE_MAX);
    assert_false(share_bytes(&f->plan, (size_t)cat, (size_t)between));
    assert_false(share_bytes(&f->plan, (size_t)cat, (size_t)y));
}

static void test_what_has_no_place(void **state)
{
    fixture *f = *state;
    float *values;
    const sono_tid p = sono_record_param(&f->rec, "p", 1, 1, 1, 8, &values);
    const sono_tid unused = sono_record_tensor(&f->rec, "unused", SONO_DTYPE_F32, 1, 1, 1, 8);
    const sono_tid x = sono_record_input(&f->rec, "x", SONO_DTYPE_F32, 1, 1, 1, 8);
    const sono_tid y = sono_record_add(&f->rec, "y", x, p, 0);
    make_plan(f, SONO_PLAN_REUSE);
    assert_true(f->plan.offset_bytes[p] == SIZE_MAX);
    assert_true(f->plan.offset_bytes[unused] == SIZE_MAX);
    assert_int_equal(f->plan.first_op[unused], -1);
    assert_true(f->plan.offset_bytes[x] != SIZE_MAX);
    assert_int_equal(f->plan.block_bytes[SONO_BLOCK_ACTIVATIONS], f->plan.n_bytes[y]);
}

static void test_sizes_by_type(void **state)
{
    fixture *f = *state;
    const sono_tid bytes = sono_record_input(&f->rec, "bytes", SONO_DTYPE_U8, 1, 1, 1, 65);
    const sono_tid halves = sono_record_input(&f->rec, "halves", SONO_DTYPE_F16, 2, 3, 5, 7);
    make_plan(f, SONO_PLAN_REUSE);
    assert_int_equal(sono_tensor_storage_bytes(f->program, bytes, SONO_PRECISION_FP32), 65);
    assert_int_equal(sono_tensor_storage_bytes(f->program, halves, SONO_PRECISION_FP32), 420);
    assert_int_equal(f->plan.n_bytes[bytes], 128);
    assert_int_equal(f->plan.n_bytes[halves], 448);
}

/* x -> a -> b in lane 0, x -> c -> d in lane 1, b + d: a is dead before c is born in program order, but the
 * lanes run side by side, so a and c must not share bytes. */
static void test_lanes_share_nothing(void **state)
{
    fixture *f = *state;
    const sono_tid x = sono_record_input(&f->rec, "x", SONO_DTYPE_F32, 1, 1, 1, 64);
    const sono_tid a = gelu(f, x), b = gelu(f, a);
    f->rec.lane = 1;
    const sono_tid c = gelu(f, x), d = gelu(f, c);
    f->rec.lane = 0;
    sono_record_output(&f->rec, sono_record_add(&f->rec, "sum", b, d, 0));
    make_plan(f, SONO_PLAN_REUSE);
    assert_true(share_bytes(&f->plan, (size_t)a, (size_t)c) || share_bytes(&f->plan, (size_t)a, (size_t)d));
    sono_plan_free(&f->plan);
    const sono_plan_options options = {.align_bytes = ALIGN, .lanes = 1};
    assert_ok(sono_plan_make(f->program, &options, &f->plan, &f->error), &f->error);
    const size_t first[] = {(size_t)a, (size_t)b}, second[] = {(size_t)c, (size_t)d};
    for (int i = 0; i < 4; i++)
        assert_false(share_bytes(&f->plan, first[i / 2], second[i % 2]));
}

/* Under fp16 activations take half the bytes, precise ones and outputs do not. */
static void test_bytes_by_precision(void **state)
{
    fixture *f = *state;
    const sono_tid x = sono_record_input(&f->rec, "x", SONO_DTYPE_F32, 1, 1, 1, 64);
    const sono_tid rough = gelu(f, x);
    f->rec.precise = 1;
    const sono_tid precise = gelu(f, rough);
    const sono_tid out = gelu(f, precise);
    sono_record_output(&f->rec, out);
    make_plan(f, SONO_PLAN_REUSE);
    assert_int_equal(sono_tensor_storage_bytes(f->program, rough, SONO_PRECISION_FP16), 128);
    assert_int_equal(sono_tensor_storage_bytes(f->program, precise, SONO_PRECISION_FP16), 256);
    assert_int_equal(sono_tensor_storage_bytes(f->program, out, SONO_PRECISION_FP16), 256);
    assert_int_equal(sono_tensor_stored_dtype(f->program, rough, SONO_PRECISION_FP16), SONO_DTYPE_F16);
    assert_int_equal(sono_tensor_stored_dtype(f->program, rough, SONO_PRECISION_FP32), SONO_DTYPE_F32);
}

static void test_an_empty_program(void **state)
{
    fixture *f = *state;
    make_plan(f, SONO_PLAN_REUSE);
    for (int i = 0; i < SONO_BLOCK_COUNT; i++)
        assert_int_equal(f->plan.block_bytes[i], 0);
    sono_plan_free(&f->plan);
    sono_plan_free(&f->plan);
    assert_null(f->plan.offset_bytes);
}

static uint32_t next_random(uint32_t *random)
{
    *random = *random * 1664525u + 1013904223u;
    return *random >> 8;
}

/* Chains and long skips of tensors of different sizes. */
static void record_random(fixture *f, uint32_t *random)
{
    enum { N_OPS = 120 };
    sono_tid pool[N_OPS + 1];
    int32_t n = 0;
    pool[n++] = sono_record_input(&f->rec, "x", SONO_DTYPE_F32, 1, 8, 8, 32);
    for (int i = 0; i < N_OPS; i++) {
        const uint32_t pick = next_random(random) % 8;
        const int32_t back = (int32_t)(next_random(random) % (pick == 7 ? 40 : 3));
        const sono_tid x = pool[back < n ? n - 1 - back : 0];
        const sono_tensor shape = sono_record_shape(&f->rec, x);
        if (pick < 2 && shape.c > 4)
            pool[n++] = gelu(f, sono_view_channels(&f->rec, x, shape.c / 2, shape.c / 2));
        else if (pick == 2 && shape.h * shape.w * shape.c < 20000)
            pool[n++] = sono_record_upsample2(&f->rec, "up", x, 0);
        else if (pick == 3 && shape.h * shape.w > 8)
            pool[n++] = gelu(f, sono_view_rows(&f->rec, x, 1, 1, shape.h * shape.w / 3));
        else
            pool[n++] = sono_record_add(&f->rec, "add", x, gelu(f, x), 0);
        if (pick == 6)
            sono_record_output(&f->rec, pool[n - 1]);
    }
}

static void test_random_programs(void **state)
{
    (void)state;
    uint32_t random = 7;
    for (int i = 0; i < 60; i++) {
        fixture *f;
        set_up((void **)&f);
        record_random(f, &random);
        make_plan(f, SONO_PLAN_KEEP);
        check_plan(f, SONO_PLAN_KEEP);
        const size_t kept = f->plan.block_bytes[SONO_BLOCK_ACTIVATIONS];
        make_plan(f, SONO_PLAN_REUSE);
        check_plan(f, SONO_PLAN_REUSE);
        assert_true(f->plan.block_bytes[SONO_BLOCK_ACTIVATIONS] <= kept);
        assert_true(f->plan.block_bytes[SONO_BLOCK_ACTIVATIONS] <= 2 * f->plan.peak_live_bytes);
        tear_down((void **)&f);
    }
}

static void test_every_allocation_may_fail(void **state)
{
    fixture *f = *state;
    gelu(f, sono_record_input(&f->rec, "x", SONO_DTYPE_F32, 1, 4, 4, 8));
    for (uint64_t n = 1;; n++) {
        sono_plan plan, untouched;
        memset(&plan, 0x5a, sizeof plan);
        untouched = plan;
        sono_alloc_fail_from(n);
        const sono_status status =
            sono_plan_make(f->program, &(sono_plan_options){.mode = SONO_PLAN_REUSE, .align_bytes = ALIGN},
                           &plan, &f->error);
        sono_alloc_fail_from(0);
        if (status == SONO_STATUS_OK) {
            sono_plan_free(&plan);
            assert_true(n > 1);
            return;
        }
        assert_status(SONO_STATUS_OUT_OF_MEMORY, status, &f->error);
        assert_memory_equal(&plan, &untouched, sizeof plan);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_lifetimes),
        TEST(test_dead_bytes_are_reused),
        TEST(test_what_has_no_place),
        TEST(test_what_is_kept_shares_no_bytes),
        TEST(test_ops_that_run_again),
        TEST(test_a_view_keeps_its_root_alive),
        TEST(test_sizes_by_type),
        TEST(test_lanes_share_nothing),
        TEST(test_bytes_by_precision),
        TEST(test_an_empty_program),
        cmocka_unit_test(test_random_programs),
        TEST(test_every_allocation_may_fail),
    };
    return sono_test_run("program/plan", tests, sizeof(tests) / sizeof(tests[0]));
}
