// SPDX-License-Identifier: Apache-2.0
// labels: timeout=300
/* Which norms of both networks go with the products behind them (choice/normed.h), without a GPU: those of
 * TinyViT's blocks, where there is a kernel for them. */
#include "engine/cuda/choice/candidates.h"
#include "engine/cuda/choice/chain.h"
#include "engine/cuda/choice/normed.h"
#include "graph/lower.h"
#include "pipeline/config.h"
#include "pipeline/flow.h"
#include "support/pipeline_fixture.h"
#include "test.h"

#define N_BLOCKS 10 /* of TinyViT's stages 1, 2 and 3 */

static void check_program(const sono_program *program, sono_precision precision, const sono_cuda_facts *facts,
                          int32_t keeps_all, int32_t n_wanted)
{
    sono_program lowered;
    sono_error error = {0};
    int32_t n_mlps = 0, n_pairs = 0;
    assert_ok(sono_lower(program, NULL, 0, &lowered, &error), &error);
    sono_cuda_fuse(&lowered, precision, facts, keeps_all);
    for (int32_t i = 0; i < (int32_t)lowered.n_ops; i++) {
        const sono_normed normed = sono_normed_of(&lowered, i);
        if (normed == SONO_NORMED_NONE)
            continue;
        assert_false(sono_chain_is(&lowered, i));
        assert_int_equal(lowered.ops[i].kind, SONO_OP_LAYER_NORM);
        assert_int_equal(lowered.ops[i].leader, i + (normed == SONO_NORMED_MLP ? 3 : 2));
        if (normed == SONO_NORMED_MLP)
            assert_int_equal(lowered.ops[i].in[0], lowered.ops[i + 2].in[3]);
        n_mlps += normed == SONO_NORMED_MLP;
        n_pairs += normed == SONO_NORMED_LINEAR;
        i = lowered.ops[i].leader - 1;
    }
    assert_int_equal(n_mlps, n_wanted);
    assert_int_equal(n_pairs, n_wanted);
    sono_lower_free(&lowered);
}

static void test_networks(void **state)
{
    (void)state;
    static const int32_t batches[] = {1, 8};
    const sono_cuda_facts h200 = {.n_multiprocessors = 132, .compute_capability = 90};
    const sono_cuda_facts b200 = {.n_multiprocessors = 148, .compute_capability = 100};
    const sono_cuda_facts without = {.n_multiprocessors = 132, .compute_capability = 90, .lacks_sm90 = 1};
    sono_pipeline_config config, resolved;
    sono_flow_models models;
    sono_flow flow;
    sono_error error = {0};
    pipeline_fixture_synthetic(&config);
    assert_ok(sono_config_resolve(&config, &resolved, &error), &error);
    assert_ok(sono_flow_models_open(&resolved, &models, &error), &error);
    for (size_t i = 0; i < sizeof batches / sizeof *batches; i++) {
        resolved.batch = batches[i];
        assert_ok(sono_flow_open(&resolved, &models, &flow, &error), &error);
        check_program(flow.program, SONO_PRECISION_FP16, &h200, 0, N_BLOCKS);
        check_program(flow.program, SONO_PRECISION_FP16, &h200, 1, 0);
        check_program(flow.program, SONO_PRECISION_FP32, &h200, 0, 0);
        check_program(flow.program, SONO_PRECISION_FP16, &b200, 0, 0);
        check_program(flow.program, SONO_PRECISION_FP16, &without, 0, 0);
        sono_flow_close(&flow);
    }
    sono_flow_models_close(&models);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_networks)};
    return sono_test_run("engine/normed", tests, sizeof tests / sizeof tests[0]);
}
