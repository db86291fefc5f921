// SPDX-License-Identifier: Apache-2.0
// labels: timeout=300
/*
 * Which ops become chains, and the plan of each, without a GPU: both networks' chains are gone through step
 * by step with a second opinion of what blocks of a cluster may do between two barriers (choice/chain.h).
 */
#include "engine/cuda/choice/candidates.h"
#include "engine/cuda/choice/chain.h"
#include "graph/lower.h"
#include "pipeline/config.h"
#include "pipeline/flow.h"
#include "support/pipeline_fixture.h"
#include "test.h"

static const sono_cuda_facts h200 = {.n_multiprocessors = 132, .compute_capability = 90, .name = "H200"};

/* What a step reads or writes of a block's memory: `columns` floats every `pitch` from begin to end. */
typedef struct span {
    int32_t begin, end, pitch, columns, step, epoch, is_write, is_remote;
} span;

typedef struct spans {
    span list[8 * SONO_CHAIN_MAX_STEPS];
    int32_t n;
} spans;

static void add_span(spans *s, span item)
{
    assert_true(s->n < 8 * SONO_CHAIN_MAX_STEPS);
    s->list[s->n++] = item;
}

static span span_of(const sono_chain_place *place, int32_t rows, int32_t columns)
{
    return (span){.begin = place->at,
                  .end = place->at + (rows - 1) * place->pitch + columns,
                  .pitch = place->pitch,
                  .columns = columns};
}

static int overlap(const span *a, const span *b)
{
    if (a->begin >= b->end || b->begin >= a->end)
        return 0;
    if (a->pitch != b->pitch)
        return 1;
    const int32_t ahead = ((b->begin - a->begin) % a->pitch + a->pitch) % a->pitch;
    return ahead < a->columns || a->pitch - ahead < b->columns;
}

static int is_rows_input(const sono_chain_step *step, int k)
{
    return step->in[k].at >= 0;
}

static int writes_to_others(const sono_program *program, const sono_chain_step *step)
{
    if (step->role != SONO_CHAIN_OP)
        return 0;
    const sono_op_kind kind = program->ops[step->op].kind;
    return kind == SONO_OP_DEFORM_ATTENTION || (kind == SONO_OP_LINEAR && !step->is_local_out);
}

static int32_t columns_of(const sono_program *program, const sono_chain_step *step)
{
    const sono_tid id = step->role == SONO_CHAIN_OP ? program->ops[step->op].out[0] : step->tensor;
    return program->tensors[id].c / (step->is_local_out ? SONO_CHAIN_CLUSTER : 1);
}

static int32_t columns_read(const sono_program *program, const sono_chain_step *step, int k)
{
    const sono_tid id = step->role == SONO_CHAIN_OP ? program->ops[step->op].in[k] : step->tensor;
    return program->tensors[id].c / (step->is_local_in && k == 0 ? SONO_CHAIN_CLUSTER : 1);
}

/* Everything that the steps do, with the epoch in which they do it. */
static void list_spans(const sono_program *program, const sono_chain *chain, spans *s)
{
    int32_t epoch = 0;
    for (int32_t i = 0; i < chain->n_steps; i++) {
        const sono_chain_step *step = &chain->steps[i];
        if (step->role != SONO_CHAIN_LOAD && epoch == 0)
            epoch = 1; /* the barrier behind the loads */
        epoch += step->waits + step->is_local_in;
        for (int k = 0; k < SONO_OP_MAX_IN; k++)
            if (is_rows_input(step, k)) {
                span read = span_of(&step->in[k], step->in[k].rows, columns_read(program, step, k));
                read.step = i;
                read.epoch = epoch;
                add_span(s, read);
            }
        if (step->role == SONO_CHAIN_STORE || step->out.at < 0)
            continue;
        span write = span_of(&step->out, chain->tile_rows, columns_of(program, step));
        write.step = i;
        write.epoch = epoch;
        write.is_write = 1;
        write.is_remote = writes_to_others(program, step);
        add_span(s, write);
        assert_true(write.end <= chain->part_at);
    }
}

/* What was written last of what is read: nothing else may lie there. */
static const span *source_of(const spans *s, const span *read)
{
    const span *found = NULL;
    for (int32_t i = 0; i < s->n; i++)
        if (s->list[i].is_write && s->list[i].step < read->step && overlap(&s->list[i], read))
            found = &s->list[i];
    return found;
}

/* What others wrote is read behind a barrier, and is still there: what overlaps it last lies as it is read.
 */
static void check_reads(const spans *s)
{
    for (int32_t i = 0; i < s->n; i++) {
        const span *read = &s->list[i], *source = read->is_write ? NULL : source_of(s, read);
        if (read->is_write)
            continue;
        assert_non_null(source);
        assert_int_equal(source->pitch, read->pitch);
        if (source->is_remote)
            assert_true(source->epoch < read->epoch);
    }
}

/* What is written for others does not hit what they may still be reading, or is written there for others. */
static void check_writes(const spans *s)
{
    for (int32_t i = 0; i < s->n; i++)
        for (int32_t k = 0; k < s->n; k++) {
            const span *write = &s->list[i], *before = &s->list[k];
            if (write->is_write && write->is_remote && before->step < write->step && overlap(write, before) &&
                !before->is_write)
                assert_true(before->epoch < write->epoch);
        }
}

static void check_chain(const sono_program *program, const sono_chain *chain)
{
    spans s = {.n = 0};
    list_spans(program, chain, &s);
    check_reads(&s);
    check_writes(&s);
    assert_true(chain->area_floats * 4 <= SONO_CHAIN_BYTES);
    assert_true(chain->tile_rows * chain->tiles_per_map >= chain->n_rows);
}

static void check_program(const sono_program *program, sono_precision precision, const sono_cuda_facts *facts,
                          size_t n_chains)
{
    sono_program lowered;
    sono_error error = {0};
    size_t n = 0;
    assert_ok(sono_lower(program, NULL, 0, &lowered, &error), &error);
    sono_cuda_fuse(&lowered, precision, facts, 0);
    for (int32_t i = 0; i < (int32_t)lowered.n_ops; i++) {
        sono_chain chain;
        const int32_t last = lowered.ops[i].leader - 1;
        if (!sono_chain_is(&lowered, i))
            continue;
        for (int keeps_all = 0; keeps_all <= 1; keeps_all++)
            if (sono_chain_plan(&lowered, precision, facts, i, last, keeps_all, &chain))
                check_chain(&lowered, &chain);
            else
                assert_int_equal(keeps_all, 1);
        n++;
        i = last;
    }
    assert_int_equal(n, n_chains);
    assert_true(sono_chain_count(&lowered) == n);
    sono_lower_free(&lowered);
}

static void test_networks(void **state)
{
    (void)state;
    static const int32_t batches[] = {1, 8, 32};
    sono_pipeline_config config, resolved;
    sono_flow_models models;
    sono_flow flow;
    sono_error error = {0};
    sono_cuda_facts other = h200;
    pipeline_fixture_synthetic(&config);
    assert_ok(sono_config_resolve(&config, &resolved, &error), &error);
    assert_ok(sono_flow_models_open(&resolved, &models, &error), &error);
    for (size_t i = 0; i < sizeof batches / sizeof *batches; i++) {
        resolved.batch = batches[i];
        assert_ok(sono_flow_open(&resolved, &models, &flow, &error), &error);
        check_program(flow.program, SONO_PRECISION_FP16, &h200, batches[i] == 1 ? 12 : 5); /* no queries */
        check_program(flow.program, SONO_PRECISION_FP32, &h200, 0);
        other.compute_capability = 100;
        check_program(flow.program, SONO_PRECISION_FP16, &other, 0);
        other = (sono_cuda_facts){.n_multiprocessors = 132, .compute_capability = 90, .lacks_sm90 = 1};
        check_program(flow.program, SONO_PRECISION_FP16, &other, 0);
        sono_flow_close(&flow);
    }
    sono_flow_models_close(&models);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_networks)};
    return sono_test_run("engine/chain", tests, sizeof tests / sizeof tests[0]);
}
