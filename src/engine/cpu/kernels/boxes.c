// SPDX-License-Identifier: Apache-2.0
/*
 * FDR_BOX and LQE_STAT: what D-FINE reads out of the distributions of a box's four sides.
 *
 * corners [n, 1, Q, 4 * bins]: logits of the left, top, right and bottom side, bins = reg_max + 1 each.
 * FDR_BOX: boxes [n, 1, Q, 4] (cx cy w h), project [1, 1, 1, bins] -> boxes [n, 1, Q, 4]; the expectation of
 * project under each softmax moves that side. D-FINE src/zoo/dfine/dfine_decoder.py:274-295,
 * dfine_utils.py:119-142 @ 4a1f73a. LQE_STAT: -> [n, 1, Q, 4 * (top_k + 1)]; a side's largest probabilities,
 * descending, then their mean. D-FINE src/zoo/dfine/dfine_decoder.py:298-313 @ 4a1f73a.
 */
#include "engine/cpu/kernels/kernels.h"

#include <math.h>

#define TASK_QUERIES 32

typedef void (*row_fn)(const sono_cpu_call *call, const float *corners, int64_t n, int64_t q, float *out);

typedef struct job {
    const sono_cpu_call *call;
    row_fn row;
} job;

static float largest_of(const float *values, int32_t n)
{
    float largest = -INFINITY;
    for (int32_t i = 0; i < n; i++)
        largest = values[i] > largest ? values[i] : largest;
    return largest;
}

static float expectation(const float *logits, const float *project, int32_t n_bins)
{
    const float largest = largest_of(logits, n_bins);
    float sum = 0.0f, moment = 0.0f;
    for (int32_t i = 0; i < n_bins; i++) {
        const float weight = expf(logits[i] - largest);
        sum += weight;
        moment += weight * project[i];
    }
    return moment / sum;
}

static void box_row(const sono_cpu_call *call, const float *corners, int64_t n, int64_t q, float *out)
{
    const sono_bins_args *args = &call->op->args.bins;
    const sono_cpu_tensor *boxes = &call->in[1];
    const float *box = (const float *)boxes->data + n * boxes->batch_stride + q * boxes->pitch;
    const float *project = call->in[2].data;
    const int32_t n_bins = args->reg_max + 1;
    const float reg_scale = fabsf(args->reg_scale);
    float reach[4]; /* of each side from the centre */
    for (int side = 0; side < 4; side++) {
        const float distance = expectation(corners + side * n_bins, project, n_bins);
        reach[side] = (0.5f * reg_scale + distance) * (box[2 + side % 2] / reg_scale);
    }
    const float x1 = box[0] - reach[0], y1 = box[1] - reach[1];
    const float x2 = box[0] + reach[2], y2 = box[1] + reach[3];
    out[0] = (x1 + x2) / 2.0f;
    out[1] = (y1 + y2) / 2.0f;
    out[2] = x2 - x1;
    out[3] = y2 - y1;
}

/* out[0..top_k - 1] = the largest logits, descending. */
static void largest_few(const float *logits, int32_t n_bins, int32_t top_k, float *out)
{
    int32_t n = 0;
    for (int32_t i = 0; i < n_bins; i++) {
        if (n == top_k && !(logits[i] > out[n - 1]))
            continue;
        int32_t at = n < top_k ? n++ : n - 1;
        for (; at > 0 && logits[i] > out[at - 1]; at--)
            out[at] = out[at - 1];
        out[at] = logits[i];
    }
}

static void stat_row(const sono_cpu_call *call, const float *corners, int64_t n, int64_t q, float *out)
{
    const sono_bins_args *args = &call->op->args.bins;
    const int32_t n_bins = args->reg_max + 1, top_k = args->top_k;
    (void)n;
    (void)q;
    for (int side = 0; side < 4; side++, corners += n_bins, out += top_k + 1) {
        const float largest = largest_of(corners, n_bins);
        float sum = 0.0f, mean = 0.0f;
        for (int32_t i = 0; i < n_bins; i++)
            sum += expf(corners[i] - largest);
        largest_few(corners, n_bins, top_k, out);
        for (int32_t i = 0; i < top_k; i++) {
            out[i] = expf(out[i] - largest) / sum;
            mean += out[i];
        }
        out[top_k] = mean / (float)top_k;
    }
}

static void run_queries(void *context, int64_t task, int32_t thread)
{
    const job *j = context;
    const sono_cpu_tensor *corners = &j->call->in[0], *out = &j->call->out[0];
    const int64_t n_queries = (int64_t)out->h * out->w, total = n_queries * out->n;
    const int64_t end = (task + 1) * TASK_QUERIES < total ? (task + 1) * TASK_QUERIES : total;
    (void)thread;
    for (int64_t i = task * TASK_QUERIES; i < end; i++) {
        const int64_t n = i / n_queries, q = i % n_queries;
        const float *in = (const float *)corners->data + n * corners->batch_stride + q * corners->pitch;
        j->row(j->call, in, n, q, (float *)out->data + n * out->batch_stride + q * out->pitch);
    }
}

static void run_rows(const sono_cpu_call *call, row_fn row)
{
    job j = {call, row};
    const int64_t total = (int64_t)call->out[0].n * call->out[0].h * call->out[0].w;
    sono_pool_run(call->pool, run_queries, &j, (total + TASK_QUERIES - 1) / TASK_QUERIES);
}

void SONO_KERNEL(sono_cpu_fdr_box)(const sono_cpu_call *call)
{
    run_rows(call, box_row);
}

void SONO_KERNEL(sono_cpu_lqe_stat)(const sono_cpu_call *call)
{
    run_rows(call, stat_row);
}
