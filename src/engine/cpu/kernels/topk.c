// SPDX-License-Identifier: Apache-2.0
/*
 * TOPK_ROWS: the K tokens whose best class is best, best first, equal ones by lower index.
 *
 * logits [n, 1, T, classes], memory [n, 1, T, c], anchors [1, 1, T, 4]
 * -> memory [n, 1, K, c], anchors [n, 1, K, 4], indices I32 [n, 1, K, 1].
 * D-FINE src/zoo/dfine/dfine_decoder.py, _select_topk @ 4a1f73a. A NaN is no logit: it counts only where a
 * token has nothing else, and such a token comes after all others.
 */
#include "engine/cpu/kernels/kernels.h"
#include "engine/cpu/kernels/rank.h"

size_t SONO_KERNEL(sono_cpu_topk_rows_scratch)(const sono_cpu_call *call)
{
    return (size_t)call->op->args.topk.k * sizeof(uint64_t);
}

static void copy_row(const sono_cpu_tensor *in, int64_t n, int64_t from, const sono_cpu_tensor *out,
                     int64_t to)
{
    const float *source =
        (const float *)in->data + (in->n == 1 ? 0 : n * in->batch_stride) + from * in->pitch;
    float *target = (float *)out->data + n * out->batch_stride + to * out->pitch;
    memcpy(target, source, (size_t)out->c * sizeof *target);
}

static void run_map(void *context, int64_t n, int32_t thread)
{
    const sono_cpu_call *call = context;
    const sono_cpu_tensor *logits = &call->in[0], *indices = &call->out[2];
    const float *row = (const float *)logits->data + n * logits->batch_stride;
    const int32_t n_tokens = logits->h * logits->w, k = call->op->args.topk.k;
    uint64_t *best = (uint64_t *)(void *)(call->scratch + (size_t)thread * call->scratch_bytes);
    int32_t n_best = 0;
    for (int32_t t = 0; t < n_tokens; t++, row += logits->pitch)
        rank_insert(best, &n_best, k, rank_key(rank_row_max(row, logits->c), t));
    for (int32_t i = 0; i < n_best; i++) {
        const int32_t t = rank_index(best[i]);
        copy_row(&call->in[1], n, t, &call->out[0], i);
        copy_row(&call->in[2], n, t, &call->out[1], i);
        ((int32_t *)indices->data)[n * indices->batch_stride + i * indices->pitch] = t;
    }
}

void SONO_KERNEL(sono_cpu_topk_rows)(const sono_cpu_call *call)
{
    sono_pool_run(call->pool, run_map, (void *)call, call->in[0].n);
}
