// SPDX-License-Identifier: Apache-2.0
// labels: timeout=300
/*
 * The order of ops of two strands (engine/cuda/choice/strands.h), without a GPU: of the whole flow no two
 * that touch the same bytes, one of them to write, may run at the same time; and what was to run side by side
 * may.
 */
#include "engine/cuda/choice/strands.h"

#include "base/alloc.h"
#include "engine/cuda/choice/candidates.h"
#include "graph/lower.h"
#include "pipeline/config.h"
#include "pipeline/flow.h"
#include "support/pipeline_fixture.h"
#include "test.h"

#include <string.h>

/* The last op of a launch that may be known: how far the other strand has got at least when op i begins. */
static int32_t behind(const sono_program *program, const int32_t *awaits, int32_t i)
{
    int32_t last = -1;
    for (int32_t k = 0; k <= i; k++)
        if (program->ops[k].strand == program->ops[i].strand && awaits[k] > last)
            last = awaits[k];
    return last;
}

static int32_t place_of(const sono_program *program, int32_t i)
{
    return program->ops[i].leader ? program->ops[i].leader - 1 : i;
}

/* A second opinion: bytes of two roots. */
static int meet(const sono_program *program, const sono_plan *plan, sono_tid a, sono_tid b)
{
    const sono_tid x = program->tensors[a].root, y = program->tensors[b].root;
    if (!a || !b || program->tensors[x].kind == SONO_TENSOR_PARAM)
        return 0;
    if (x == y)
        return 1;
    if (program->tensors[x].kind != SONO_TENSOR_ACTIVATION ||
        program->tensors[y].kind != SONO_TENSOR_ACTIVATION)
        return 0;
    const size_t ends[2] = {plan->offset_bytes[x] + plan->n_bytes[x],
                            plan->offset_bytes[y] + plan->n_bytes[y]};
    return !(ends[0] <= plan->offset_bytes[y] || ends[1] <= plan->offset_bytes[x]);
}

/* Whether what a writes b reads or writes. */
static int writes_into(const sono_program *program, const sono_plan *plan, const sono_op *a, const sono_op *b)
{
    for (int o = 0; o < SONO_OP_MAX_OUT; o++) {
        for (int k = 0; k < SONO_OP_MAX_IN; k++)
            if (meet(program, plan, a->out[o], b->in[k]))
                return 1;
        for (int k = 0; k < SONO_OP_MAX_OUT; k++)
            if (meet(program, plan, a->out[o], b->out[k]))
                return 1;
    }
    return 0;
}

static int32_t op_of(const sono_program *program, const char *name)
{
    for (size_t i = 0; i < program->n_ops; i++)
        if (strcmp(program->tensors[program->ops[i].out[0]].name, name) == 0)
            return (int32_t)i;
    fail_msg("no op makes %s", name);
    return -1;
}

static void check_overlap(const sono_program *program, const int32_t *awaits)
{
    const int32_t up = op_of(program, "mask_decoder.output_upscaling.0");
    const int32_t attention = op_of(program, "mask_decoder.transformer.final_attn_token_to_image.heads");
    assert_true(behind(program, awaits, up) < attention);
    const int32_t tokens = op_of(program, "mask_decoder.transformer.layers.1.self_attn.heads");
    const int32_t keys = op_of(program, "mask_decoder.transformer.layers.0.norm4");
    assert_true(tokens < keys && behind(program, awaits, keys) < place_of(program, tokens));
}

static void check_program(const sono_program *program, sono_precision precision, const sono_cuda_facts *facts)
{
    const sono_plan_options options = {.align_bytes = 256, .precision = precision, .lanes = 1};
    const int32_t join = (int32_t)sono_program_join(program), n = (int32_t)program->n_ops;
    sono_program lowered;
    sono_plan plan;
    sono_error error = {0};
    int32_t *awaits = sono_alloc_array((size_t)n, sizeof *awaits), n_pairs = 0;
    assert_non_null(awaits);
    assert_ok(sono_lower(program, NULL, 0, &lowered, &error), &error);
    sono_cuda_fuse(&lowered, precision, facts, 0);
    assert_ok(sono_plan_make(&lowered, &options, &plan, &error), &error);
    const int32_t n_awaited = sono_strands_plan(&lowered, &plan, awaits);
    assert_true(n_awaited > 0 && n_awaited <= SONO_STRANDS_MAX);
    for (int32_t i = join; i < n; i++)
        for (int32_t k = join; k < i; k++) {
            const sono_op *a = &lowered.ops[i], *b = &lowered.ops[k];
            if (a->strand == b->strand ||
                !(writes_into(&lowered, &plan, a, b) || writes_into(&lowered, &plan, b, a)))
                continue;
            assert_true(behind(&lowered, awaits, place_of(&lowered, i)) >= place_of(&lowered, k));
            n_pairs++;
        }
    assert_true(n_pairs > 0);
    check_overlap(&lowered, awaits);
    sono_plan_free(&plan);
    sono_lower_free(&lowered);
    sono_free(awaits);
}

static void test_networks(void **state)
{
    (void)state;
    static const int32_t batches[] = {1, 8};
    const sono_cuda_facts h200 = {.n_multiprocessors = 132, .compute_capability = 90};
    const sono_cuda_facts a100 = {.n_multiprocessors = 108, .compute_capability = 80};
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
        check_program(flow.program, SONO_PRECISION_FP16, &h200);
        check_program(flow.program, SONO_PRECISION_FP32, &h200);
        check_program(flow.program, SONO_PRECISION_FP16, &a100);
        sono_flow_close(&flow);
    }
    sono_flow_models_close(&models);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_networks)};
    return sono_test_run("engine/strands", tests, sizeof tests / sizeof tests[0]);
}
