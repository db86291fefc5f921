// SPDX-License-Identifier: Apache-2.0
#include "op_test.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "engine_fixture.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SENTINEL   -3072.0f /* exact in float16 */
#define HALF_MAX   65504.0
#define MAX_ROUNDS 201
#define BENCH_NS   400000000

double sono_op_test_tolerance(sono_op_kind kind)
{
    static const double tolerances[SONO_OP_COUNT] = {
#define TOLERANCE(name, value) [SONO_OP_##name] = (value),
        SONO_OP_TOLERANCE_MAP(TOLERANCE)
#undef TOLERANCE
    };
    return tolerances[kind];
}

static const sono_engine_ops *backend_to_test(void)
{
    const char *wish = getenv("SONO_TEST_BACKEND");
    return engine_named(wish ? wish : "cpu");
}

void sono_op_test_open(sono_op_test *t, uint64_t seed)
{
    memset(t, 0, sizeof *t);
    t->backend = backend_to_test();
    t->random = seed;
    assert_ok(sono_program_open(&t->program, &t->error), &t->error);
    sono_record_start(&t->rec, t->program, NULL, &t->error);
}

void sono_op_test_close(sono_op_test *t)
{
    for (size_t i = 0; i < SONO_OP_TEST_MAX_TENSORS; i++) {
        sono_free(t->host[i]);
        sono_free(t->given[i]);
    }
    for (size_t i = 0; i < t->n_wants; i++)
        sono_free(t->wants[i].values);
    sono_program_close(t->program);
    memset(t, 0, sizeof *t);
}

/* splitmix64 */
static uint64_t next_random(sono_op_test *t)
{
    uint64_t z = t->random += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

double sono_op_test_uniform(sono_op_test *t, double low, double high)
{
    return low + (high - low) * (double)(next_random(t) >> 11) * 0x1p-53;
}

/* Uniform in about [-magnitude, magnitude], on a grid of 2^10 steps a side that float16 represents. */
static float exact_uniform(sono_op_test *t, double magnitude)
{
    int exponent;
    frexp(magnitude, &exponent);
    const double step = ldexp(1.0, exponent - 10);
    return (float)(rint(sono_op_test_uniform(t, -magnitude, magnitude) / step) * step);
}

int32_t sono_op_test_int(sono_op_test *t, int32_t low, int32_t high)
{
    return low + (int32_t)(next_random(t) % (uint64_t)(high - low + 1));
}

static const sono_tensor *tensor_of(const sono_op_test *t, sono_tid tensor)
{
    assert_true(tensor > 0 && (size_t)tensor < t->program->n_tensors);
    return sono_program_tensor(t->program, tensor);
}

static sono_tid checked(sono_op_test *t, sono_tid tensor)
{
    assert_ok(t->rec.status, &t->error);
    assert_true(tensor > 0 && tensor < SONO_OP_TEST_MAX_TENSORS);
    return tensor;
}

static sono_tid view_of(sono_op_test *t, sono_tid root, int32_t h, int32_t w, int32_t c,
                        const sono_op_test_layout *layout)
{
    sono_tid view = root;
    if (layout->rows_before || layout->rows_after)
        view = checked(t, sono_view_rows(&t->rec, view, layout->rows_before, h, w));
    if (layout->channels_before || layout->channels_after)
        view = checked(t, sono_view_channels(&t->rec, view, layout->channels_before, c));
    return view;
}

/* Shape of the tensor that holds an h x w x c map in this layout. */
static void root_shape(const sono_op_test_layout *layout, int32_t *h, int32_t *w, int32_t *c)
{
    if (layout->rows_before || layout->rows_after) {
        *w = layout->rows_before + *h * *w + layout->rows_after;
        *h = 1;
    }
    *c += layout->channels_before + layout->channels_after;
}

static float *element(const sono_op_test *t, sono_tid tensor, int32_t n, int32_t y, int32_t x, int32_t c)
{
    const sono_tensor *v = tensor_of(t, tensor);
    float *base = v->root < SONO_OP_TEST_MAX_TENSORS ? t->host[v->root] : NULL;
    assert_non_null(base);
    return base + v->offset + n * v->batch_stride + ((int64_t)y * v->w + x) * v->pitch + c;
}

static double saturated(double value)
{
    return isnan(value) ? value : fmin(fmax(value, -HALF_MAX), HALF_MAX);
}

/* The nearest float16, as a backend stores it: ties to even, beyond the largest finite one that one. */
static float rounded_to_half(float value)
{
    int exponent;
    if (isnan(value) || value == 0)
        return value;
    frexp((double)value, &exponent);
    const double step = ldexp(1.0, exponent - 11 > -24 ? exponent - 11 : -24);
    return (float)saturated(rint((double)value / step) * step);
}

static int is_half(const sono_op_test *t, sono_tid tensor)
{
    return sono_tensor_stored_dtype(t->program, tensor, SONO_PRECISION_FP16) == SONO_DTYPE_F16;
}

void sono_op_test_set(sono_op_test *t, sono_tid tensor, int32_t n, int32_t y, int32_t x, int32_t c,
                      float value)
{
    const int rounds = t->backend != &sono_cpu_engine && is_half(t, tensor);
    *element(t, tensor, n, y, x, c) = rounds ? rounded_to_half(value) : value;
}

sono_tid sono_op_test_input(sono_op_test *t, int32_t n, int32_t h, int32_t w, int32_t c,
                            const sono_op_test_layout *layout)
{
    static const sono_op_test_layout dense = {0};
    if (!layout)
        layout = &dense;
    int32_t root_h = h, root_w = w, root_c = c;
    root_shape(layout, &root_h, &root_w, &root_c);
    const int64_t count = (int64_t)n * root_h * root_w * root_c;
    const sono_tid root =
        checked(t, sono_record_tensor(&t->rec, "input", SONO_DTYPE_F32, n, root_h, root_w, root_c));
    float *values = sono_alloc_array((size_t)count, sizeof *values);
    assert_non_null(values);
    for (int64_t i = 0; i < count; i++)
        values[i] = NAN;
    t->host[root] = values;
    const sono_tid view = view_of(t, root, h, w, c, layout);
    for (int32_t i = 0; i < n; i++)
        for (int32_t p = 0; p < h * w; p++)
            for (int32_t k = 0; k < c; k++)
                *element(t, view, i, 0, p, k) = exact_uniform(t, 2);
    return view;
}

sono_tid sono_op_test_input_values(sono_op_test *t, sono_dtype dtype, int32_t n, int32_t h, int32_t w,
                                   int32_t c, const void *values)
{
    const sono_tid root = checked(t, sono_record_input(&t->rec, "input", dtype, n, h, w, c));
    const size_t n_bytes = (size_t)n * (size_t)h * (size_t)w * (size_t)c * sono_dtype_bytes(dtype);
    t->host[root] = sono_alloc(n_bytes);
    assert_non_null(t->host[root]);
    memcpy(t->host[root], values, n_bytes);
    return root;
}

sono_tid sono_op_test_inout_values(sono_op_test *t, sono_dtype dtype, int32_t n, int32_t h, int32_t w,
                                   int32_t c, const void *values)
{
    const sono_tid root = sono_op_test_input_values(t, dtype, n, h, w, c, values);
    sono_record_output(&t->rec, root);
    const size_t n_bytes = (size_t)n * (size_t)h * (size_t)w * (size_t)c * sono_dtype_bytes(dtype);
    t->given[root] = sono_alloc(n_bytes);
    assert_non_null(t->given[root]);
    memcpy(t->given[root], values, n_bytes);
    return root;
}

sono_tid sono_op_test_param(sono_op_test *t, int32_t n, int32_t h, int32_t w, int32_t c, double magnitude)
{
    float *values = NULL;
    const sono_tid param = checked(t, sono_record_param(&t->rec, "param", n, h, w, c, &values));
    for (int64_t i = 0; i < (int64_t)n * h * w * c; i++)
        values[i] = exact_uniform(t, magnitude);
    return param;
}

sono_tid sono_op_test_output(sono_op_test *t, int32_t n, int32_t h, int32_t w, int32_t c,
                             const sono_op_test_layout *layout)
{
    static const sono_op_test_layout dense = {0};
    if (!layout)
        layout = &dense;
    int32_t root_h = h, root_w = w, root_c = c;
    root_shape(layout, &root_h, &root_w, &root_c);
    const sono_tid root =
        checked(t, sono_record_tensor(&t->rec, "output", SONO_DTYPE_F32, n, root_h, root_w, root_c));
    return view_of(t, root, h, w, c, layout);
}

void sono_op_test_finish(sono_op_test *t)
{
    assert_ok(sono_record_finish(&t->rec), &t->error);
    assert_true(t->program->n_tensors <= SONO_OP_TEST_MAX_TENSORS);
}

static double as_double(const void *values, sono_dtype dtype, int64_t i)
{
    switch (dtype) {
    case SONO_DTYPE_F32:
        return ((const float *)values)[i];
    case SONO_DTYPE_I32:
        return ((const int32_t *)values)[i];
    case SONO_DTYPE_U8:
        return ((const uint8_t *)values)[i];
    default:
        fail_msg("no test reads %s", sono_dtype_name(dtype));
        return 0;
    }
}

double sono_op_test_at(const sono_op_test *t, sono_tid tensor, int32_t n, int32_t y, int32_t x, int32_t c)
{
    const sono_tensor *v = tensor_of(t, tensor);
    const sono_tensor *root = tensor_of(t, v->root);
    const void *base = root->param ? root->param : t->host[v->root];
    assert_non_null(base);
    const int64_t i = v->offset + n * v->batch_stride + ((int64_t)y * v->w + x) * v->pitch + c;
    return as_double(base, root->dtype, i);
}

double *sono_op_test_want(sono_op_test *t, sono_tid tensor, double tolerance)
{
    assert_true(t->n_wants < SONO_OP_TEST_MAX_WANTS);
    sono_op_test_expectation *want = &t->wants[t->n_wants++];
    want->tensor = tensor;
    want->tolerance = tolerance;
    want->values = sono_alloc_array((size_t)sono_tensor_count(tensor_of(t, tensor)), sizeof *want->values);
    assert_non_null(want->values);
    return want->values;
}

double sono_op_test_act(sono_act act, double x)
{
    switch (act) {
    case SONO_ACT_RELU:
        return x < 0 ? 0 : x;
    case SONO_ACT_GELU:
        return 0.5 * x * erfc(-x * sqrt(0.5));
    case SONO_ACT_SILU:
        return x / (1 + exp(-x));
    case SONO_ACT_SIGMOID:
        return 1 / (1 + exp(-x));
    case SONO_ACT_NONE:
    default:
        return x;
    }
}

double sono_op_test_epilogue(const sono_epilogue *epilogue, double v, double residual)
{
    if (epilogue->add_before_act)
        v += residual;
    v = sono_op_test_act(epilogue->act, v) * (double)epilogue->post_scale + (double)epilogue->post_bias;
    if (epilogue->add_after_act)
        v += residual;
    if (epilogue->clamp > 0)
        v = fmin(fmax(v, -(double)epilogue->clamp), (double)epilogue->clamp);
    return v;
}

static const sono_plan *plan_of(const sono_op_test *t, const sono_engine *engine)
{
    sono_engine_info info;
    t->backend->info(engine, &info);
    return info.plan;
}

static int engine_has(const sono_op_test *t, const sono_engine *engine, sono_tid tensor)
{
    return plan_of(t, engine)->offset_bytes[tensor] != SIZE_MAX;
}

static sono_engine *open_engine(sono_op_test *t, int32_t n_threads)
{
    const sono_engine_options options = {
        .plan_mode = SONO_PLAN_KEEP, .n_threads = n_threads, .precision = t->precision, .time_stages = 1};
    sono_engine *engine = NULL;
    assert_ok(t->backend->open(t->program, &options, &engine, &t->error), &t->error);
    for (sono_tid i = 1; (size_t)i < t->program->n_tensors; i++) {
        if (t->host[i] && engine_has(t, engine, i))
            assert_ok(t->backend->inspect->write(engine, i, t->host[i], &t->error), &t->error);
    }
    return engine;
}

static int can_be_marked(const sono_tensor *root)
{
    return root->dtype == SONO_DTYPE_F32 || root->dtype == SONO_DTYPE_U8;
}

static int is_marked(const sono_op_test *t, const sono_tensor *root, int64_t i)
{
    const void *values = t->host[root->root];
    return root->dtype == SONO_DTYPE_F32 ? ((const float *)values)[i] == SENTINEL
                                         : ((const uint8_t *)values)[i] == SONO_OP_TEST_UNTOUCHED_U8;
}

/* Fills what the program writes with a value that must survive where no op writes. */
static void mark_outputs(sono_op_test *t, sono_engine *engine)
{
    for (size_t i = 0; i < t->n_wants; i++) {
        const sono_tid id = tensor_of(t, t->wants[i].tensor)->root;
        const sono_tensor *root = tensor_of(t, id);
        const int64_t count = sono_tensor_count(root);
        if (!t->host[id])
            t->host[id] = sono_alloc_array((size_t)count, sono_dtype_bytes(root->dtype));
        assert_non_null(t->host[id]);
        if (!can_be_marked(root) && !t->given[id])
            continue;
        if (root->dtype == SONO_DTYPE_U8)
            memset(t->host[id], SONO_OP_TEST_UNTOUCHED_U8, (size_t)count);
        for (int64_t k = 0; root->dtype == SONO_DTYPE_F32 && k < count; k++)
            ((float *)t->host[id])[k] = SENTINEL;
        if (t->given[id])
            memcpy(t->host[id], t->given[id], (size_t)count * sono_dtype_bytes(root->dtype));
        assert_ok(t->backend->inspect->write(engine, id, t->host[id], &t->error), &t->error);
    }
}

static int same(double got, double want, double limit)
{
    if (isnan(want) || isnan(got))
        return isnan(want) && isnan(got);
    return got == want || fabs(got - want) <= limit;
}

static void compare(const sono_op_test *t, const sono_op_test_expectation *want, const char *isa,
                    int32_t n_threads)
{
    const sono_tensor *v = tensor_of(t, want->tensor);
    const int64_t count = sono_tensor_count(v), map = (int64_t)v->h * v->w * v->c;
    const int as_half = t->precision == SONO_PRECISION_FP16 && is_half(t, want->tensor);
    const double tolerance = want->tolerance + (as_half && want->tolerance > 0 ? SONO_OP_FP16_TOLERANCE : 0);
    double largest = 1;
    for (int64_t i = 0; i < count; i++)
        if (isfinite(want->values[i]))
            largest = fmax(largest, fabs(want->values[i]));
    for (int64_t i = 0; i < count; i++) {
        const int32_t n = (int32_t)(i / map), p = (int32_t)(i % map / v->c), c = (int32_t)(i % v->c);
        const double got = sono_op_test_at(t, want->tensor, n, 0, p, c);
        const double value = as_half ? saturated(want->values[i]) : want->values[i];
        if (!same(got, value, tolerance * largest))
            fail_msg("%s (%s, %d threads) n %d y %d x %d c %d: got %.9g, want %.9g, allowed %.3g", v->name,
                     isa, n_threads, n, p / v->w, p % v->w, c, got, value, tolerance * largest);
    }
}

/* Elements of a wanted tensor that must not be as they were marked. */
static int64_t count_written(const sono_op_test *t, const sono_op_test_expectation *want)
{
    const sono_tensor *v = tensor_of(t, want->tensor);
    int64_t n = 0;
    for (int64_t i = 0; i < sono_tensor_count(v); i++)
        n += v->dtype != SONO_DTYPE_U8 || want->values[i] != SONO_OP_TEST_UNTOUCHED_U8;
    return n;
}

/* Nothing beside the view may have been written, unless other wanted tensors lie there. */
static void check_surroundings(const sono_op_test *t, const sono_op_test_expectation *want, const char *isa)
{
    const sono_tensor *v = tensor_of(t, want->tensor);
    const sono_tensor *root = tensor_of(t, v->root);
    if (!can_be_marked(root))
        return;
    int64_t n_written = 0, n_sentinels = 0;
    for (size_t i = 0; i < t->n_wants; i++)
        if (tensor_of(t, t->wants[i].tensor)->root == v->root)
            n_written += count_written(t, &t->wants[i]);
    const int64_t count = sono_tensor_count(root);
    for (int64_t i = 0; i < count; i++)
        n_sentinels += is_marked(t, root, i);
    if (n_sentinels != count - n_written)
        fail_msg("%s (%s): %lld elements beside the output were written, or some of it was not", v->name, isa,
                 (long long)(count - n_written - n_sentinels));
}

static void run_once(sono_op_test *t, const char *isa, int32_t n_threads)
{
    sono_engine *engine = open_engine(t, n_threads);
    mark_outputs(t, engine);
    assert_ok(t->backend->inspect->run(engine, 0, -1, &t->error), &t->error);
    for (size_t i = 0; i < t->n_wants; i++) {
        const sono_tid root = tensor_of(t, t->wants[i].tensor)->root;
        assert_ok(t->backend->inspect->read(engine, root, t->host[root], &t->error), &t->error);
    }
    t->backend->close(engine);
    for (size_t i = 0; i < t->n_wants; i++) {
        compare(t, &t->wants[i], isa, n_threads);
        check_surroundings(t, &t->wants[i], isa);
    }
}

static int can_run(const char *isa)
{
#if defined(SONO_HAVE_ISA_V3)
    if (strcmp(isa, "v3") == 0)
        return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#endif
#if defined(SONO_HAVE_ISA_V4)
    if (strcmp(isa, "v4") == 0)
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
               __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq");
#endif
    return strcmp(isa, "baseline") == 0;
}

void sono_op_test_run(sono_op_test *t)
{
    static const char *const isas[] = {"baseline", "v3", "v4"};
    if (t->backend != &sono_cpu_engine) {
        for (t->precision = SONO_PRECISION_FP32; t->precision <= SONO_PRECISION_FP16; t->precision++)
            run_once(t, t->precision == SONO_PRECISION_FP16 ? "cuda fp16" : "cuda fp32", 1);
        t->precision = SONO_PRECISION_FP32;
        return;
    }
    for (size_t i = 0; i < sizeof isas / sizeof isas[0]; i++) {
        if (!can_run(isas[i]))
            continue;
        assert_int_equal(setenv("SONO_CPU_ISA", isas[i], 1), 0);
        run_once(t, isas[i], 1);
        run_once(t, isas[i], 3);
        assert_int_equal(unsetenv("SONO_CPU_ISA"), 0);
    }
}

int sono_op_test_wants_bench(int argc, char **argv)
{
    return argc > 1 && strcmp(argv[1], "--bench") == 0;
}

static int compare_ns(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

typedef struct timing {
    double median_ms, best_ms;
} timing;

static timing time_runs(sono_op_test *t, int32_t n_threads)
{
    static int64_t rounds_ns[MAX_ROUNDS];
    sono_engine *engine = open_engine(t, n_threads);
    assert_ok(t->backend->inspect->run(engine, 0, -1, &t->error), &t->error);
    size_t n = 0;
    const int64_t end_ns = sono_clock_ns() + BENCH_NS;
    while (n < 3 || (n < MAX_ROUNDS && sono_clock_ns() < end_ns)) {
        const int64_t start_ns = sono_clock_ns();
        assert_ok(t->backend->inspect->run(engine, 0, -1, &t->error), &t->error);
        rounds_ns[n++] = sono_clock_ns() - start_ns;
    }
    t->backend->close(engine);
    qsort(rounds_ns, n, sizeof rounds_ns[0], compare_ns);
    return (timing){(double)rounds_ns[n / 2] * 1e-6, (double)rounds_ns[0] * 1e-6};
}

/* Median device time of the captured program, ms. */
static double time_graph(sono_op_test *t, sono_precision precision)
{
    static int64_t rounds_ns[MAX_ROUNDS];
    t->precision = precision;
    sono_engine *engine = open_engine(t, 1);
    const sono_plan *plan = plan_of(t, engine);
    assert_ok(t->backend->prepare(engine, &t->error), &t->error);
    for (size_t i = 0; i < MAX_ROUNDS; i++) {
        sono_frame_cost cost = {0};
        assert_ok(t->backend->submit(engine, 0, plan->block_bytes[SONO_BLOCK_INPUTS],
                                     plan->block_bytes[SONO_BLOCK_OUTPUTS], &t->error),
                  &t->error);
        assert_ok(t->backend->wait(engine, 0, &cost, &t->error), &t->error);
        rounds_ns[i] = cost.ops_ns;
    }
    t->backend->close(engine);
    qsort(rounds_ns, MAX_ROUNDS, sizeof rounds_ns[0], compare_ns);
    return (double)rounds_ns[MAX_ROUNDS / 2] * 1e-6;
}

static void bench_graph(sono_op_test *t, const char *label, double flops)
{
    const double fp32_ms = time_graph(t, SONO_PRECISION_FP32), fp16_ms = time_graph(t, SONO_PRECISION_FP16);
    printf("%-46s fp32 %8.4f ms %8.0f GFLOP/s | fp16 %8.4f ms %8.0f GFLOP/s\n", label, fp32_ms,
           flops / fp32_ms * 1e-6, fp16_ms, flops / fp16_ms * 1e-6);
}

void sono_op_test_bench(sono_op_test *t, const char *label)
{
    double flops = 0, elements = 0;
    for (size_t i = 0; i < t->program->n_ops; i++) {
        const sono_op *op = &t->program->ops[i];
        flops += op->flops;
        elements += (double)sono_tensor_count(sono_program_tensor(t->program, op->out[0]));
    }
    if (t->backend != &sono_cpu_engine) {
        bench_graph(t, label, flops);
        return;
    }
    const timing one = time_runs(t, 1), all = time_runs(t, 0);
    printf("%-46s 1 thread %8.3f ms (best %8.3f) %6.1f GFLOP/s %6.3f Ge/s | all %8.3f ms (best %8.3f) %6.1f "
           "GFLOP/s\n",
           label, one.median_ms, one.best_ms, flops / one.median_ms * 1e-6, elements / one.median_ms * 1e-6,
           all.median_ms, all.best_ms, flops / all.median_ms * 1e-6);
}
