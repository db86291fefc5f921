// SPDX-License-Identifier: Apache-2.0
/*
 * ATTENTION: out = softmax(scale * q k^T + bias) v for each head; q, k, v [n, positions, heads * head_dim].
 * Three ways, all with OpenBLAS's products on the task's own thread and the row's maximum taken off before
 * exp:
 *
 * wide: a block of queries of one head against all keys; scores [queries, keys], keys rounded up to a vector.
 *
 * narrow: few keys (prompt tokens); scores transposed to [keys, queries], so that the vector runs over
 * queries.
 *
 * window: one window of a group of heads, their q, k, v gathered together. Positions past the border are keys
 * (all alike: pad_k, pad_v) but no queries. bias[head][|dy| * window + |dx|] is spread out once to
 * [heads, keys, keys].
 *
 * Numbers: sums in float32, the division by the sum comes after the product with v.
 * Test: tests/ops/test_attention.c.
 */
#include "engine/cpu/blas.h"
#include "engine/cpu/kernels/math_inline.h"
#include "engine/cpu/kernels/rows.h"

#include <string.h>

#define LANES             16 /* keys of a row of scores are a multiple of this: no remainder in the softmax */
#define SCORES_BYTES      (256 << 10) /* of one block of scores */
#define QUERIES_MAX       512
#define GROUP_BIAS_BYTES  (512 << 10) /* of the heads that a window's task works on */
#define MASKED            (-1e30f)    /* score of what is no key: exp of it is 0 */
#define ROUND_UP(x, unit) (((x) + (unit)-1) / (unit) * (unit))

typedef struct attention {
    const sono_cpu_call *call;
    const sono_attention_args *args;
    const sono_cpu_tensor *q, *k, *v, *out;
    int64_t n_keys, key_pitch; /* keys of a query; the same rounded up to LANES */
    int64_t n_queries;         /* of one task, at most */
    int64_t tasks_per_head;
    int32_t windows_across;
    int32_t group, n_groups; /* window: heads of a task */
    float *bias;             /* window: [heads, n_keys, key_pitch] in the first thread's scratch */
} attention;

/* Scratch of one thread, in floats. The spread bias comes first; only the first thread's is used. */
typedef struct areas {
    float *scores, *sums, *largest, *keys;
    float *q, *k, *v, *out; /* window: [positions, group * head_dim]; keys: one head's k transposed */
} areas;

static int64_t bias_floats(const attention *p)
{
    return p->args->window ? p->args->n_heads * p->n_keys * p->key_pitch : 0;
}

static int64_t window_floats(const attention *p)
{
    return p->args->window ? ROUND_UP(p->n_keys * p->group * p->args->head_dim, LANES) : 0;
}

/* As many heads a task as leave enough tasks and keep their bias in the cache. */
static void make_windows(attention *p)
{
    const int32_t window = p->args->window, n_heads = p->args->n_heads;
    const int64_t bias_bytes = (int64_t)sizeof(float) * p->n_keys * p->key_pitch;
    p->windows_across = (p->q->w + window - 1) / window;
    p->n_queries = p->n_keys;
    p->tasks_per_head = (int64_t)p->windows_across * ((p->q->h + window - 1) / window);
    const int64_t n_tasks = 8 * sono_pool_n_threads(p->call->pool), n_windows = p->q->n * p->tasks_per_head;
    p->n_groups = 1;
    while (p->n_groups < n_heads && (n_windows * p->n_groups < n_tasks ||
                                     bias_bytes * n_heads > (int64_t)GROUP_BIAS_BYTES * p->n_groups))
        p->n_groups++;
    p->group = (n_heads + p->n_groups - 1) / p->n_groups;
    p->n_groups = (n_heads + p->group - 1) / p->group;
}

static attention make_attention(const sono_cpu_call *call)
{
    attention p = {.call = call,
                   .args = &call->op->args.attention,
                   .q = &call->in[0],
                   .k = &call->in[1],
                   .v = &call->in[2],
                   .out = &call->out[0]};
    const int32_t window = p.args->window;
    const int64_t n_rows = sono_rows_of(p.q);
    p.n_keys = window ? (int64_t)window * window : sono_rows_of(p.k);
    p.key_pitch = ROUND_UP(p.n_keys, LANES);
    p.bias = (float *)(void *)call->scratch;
    if (window) {
        make_windows(&p);
        return p;
    }
    p.n_queries = SCORES_BYTES / ((int64_t)sizeof(float) * p.key_pitch);
    const int64_t shared = n_rows * p.q->n * p.args->n_heads / (4 * sono_pool_n_threads(call->pool));
    p.n_queries = shared < p.n_queries ? shared : p.n_queries;
    p.n_queries = p.n_queries < 64            ? 64
                  : p.n_queries > QUERIES_MAX ? QUERIES_MAX
                                              : ROUND_UP(p.n_queries, LANES);
    p.n_queries = p.n_queries > n_rows ? n_rows : p.n_queries;
    p.tasks_per_head = (n_rows + p.n_queries - 1) / p.n_queries;
    return p;
}

static int64_t query_pitch(const attention *p)
{
    return ROUND_UP(p->n_queries, LANES);
}

size_t SONO_KERNEL(sono_cpu_attention_scratch)(const sono_cpu_call *call)
{
    const attention p = make_attention(call);
    const int64_t scores = query_pitch(&p) * p.key_pitch, sums = query_pitch(&p);
    const int64_t keys = p.args->window ? p.key_pitch * p.args->head_dim : 0;
    return (size_t)(bias_floats(&p) + scores + 2 * sums + keys + 4 * window_floats(&p)) * sizeof(float);
}

static areas areas_of(const attention *p, int32_t thread)
{
    float *at =
        (float *)(void *)(p->call->scratch + (size_t)thread * p->call->scratch_bytes) + bias_floats(p);
    areas a = {.scores = at};
    a.sums = a.scores + query_pitch(p) * p->key_pitch;
    a.largest = a.sums + query_pitch(p);
    a.keys = a.largest + query_pitch(p);
    a.q = a.keys + (p->args->window ? p->key_pitch * p->args->head_dim : 0);
    a.k = a.q + window_floats(p);
    a.v = a.k + window_floats(p);
    a.out = a.v + window_floats(p);
    return a;
}

/* Order-preserving bits of a float (NaN above all): the largest of many is found with integers, because
 * compilers keep float maxima in order for the sake of NaN. Its own inverse. */
typedef union bits {
    float f;
    int32_t i;
} bits;

SONO_ALWAYS_INLINE int32_t ordered(float x)
{
    const bits b = {.f = x};
    return b.i < 0 ? b.i ^ INT32_MAX : b.i;
}

static float largest_of(const float *row, int64_t count)
{
    int32_t largest = INT32_MIN;
#pragma omp simd reduction(max : largest)
    for (int64_t i = 0; i < count; i++) {
        const int32_t key = ordered(row[i]);
        largest = key > largest ? key : largest;
    }
    const bits b = {.i = largest < 0 ? largest ^ INT32_MAX : largest};
    return b.f;
}

static void add_row(float *restrict row, const float *restrict more, int64_t count)
{
#pragma omp simd
    for (int64_t i = 0; i < count; i++)
        row[i] += more[i];
}

/* row = exp(row - its maximum); returns the sum. count is a multiple of LANES. */
static float soften(float *row, int64_t count)
{
    const float largest = largest_of(row, count);
    float sum = 0;
#pragma omp simd reduction(+ : sum)
    for (int64_t i = 0; i < count; i++) {
        row[i] = sono_math_exp(row[i] - largest);
        sum += row[i];
    }
    return sum;
}

/* to and from may be the same row. */
static void scale_row(float *to, const float *from, float scale, int32_t count)
{
#pragma omp simd
    for (int32_t i = 0; i < count; i++)
        to[i] = from[i] * scale;
}

static void mask_tail(float *scores, int64_t n_rows, int64_t n_keys, int64_t key_pitch)
{
    for (int64_t i = 0; i < n_rows; i++)
        for (int64_t j = n_keys; j < key_pitch; j++)
            scores[i * key_pitch + j] = MASKED;
}

static void wide_task(void *context, int64_t task, int32_t thread)
{
    const attention *p = context;
    const areas a = areas_of(p, thread);
    const int32_t d = p->args->head_dim;
    const int64_t block = task % p->tasks_per_head, head = task / p->tasks_per_head % p->args->n_heads;
    const int64_t map = task / p->tasks_per_head / p->args->n_heads, first = block * p->n_queries;
    const int64_t left = sono_rows_of(p->q) - first, n_queries = left < p->n_queries ? left : p->n_queries;
    float *out = sono_row_at(p->out, map, first) + head * d;
    sono_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (blasint)n_queries, (blasint)p->n_keys, d,
               p->args->scale, sono_row_at(p->q, map, first) + head * d, (blasint)p->q->pitch,
               sono_row_at(p->k, map, 0) + head * d, (blasint)p->k->pitch, 0.0f, a.scores,
               (blasint)p->key_pitch);
    mask_tail(a.scores, n_queries, p->n_keys, p->key_pitch);
    for (int64_t i = 0; i < n_queries; i++)
        a.sums[i] = soften(a.scores + i * p->key_pitch, p->key_pitch);
    sono_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (blasint)n_queries, d, (blasint)p->n_keys, 1.0f,
               a.scores, (blasint)p->key_pitch, sono_row_at(p->v, map, 0) + head * d, (blasint)p->v->pitch,
               0.0f, out, (blasint)p->out->pitch);
    for (int64_t i = 0; i < n_queries; i++)
        scale_row(out + i * p->out->pitch, out + i * p->out->pitch, 1.0f / a.sums[i], d);
}

static void take_larger(float *restrict largest, const float *restrict row, int64_t count)
{
#pragma omp simd
    for (int64_t i = 0; i < count; i++)
        largest[i] = row[i] > largest[i] ? row[i] : largest[i];
}

static void soften_add(float *restrict row, const float *restrict largest, float *restrict sums,
                       int64_t count)
{
#pragma omp simd
    for (int64_t i = 0; i < count; i++) {
        row[i] = sono_math_exp(row[i] - largest[i]);
        sums[i] += row[i];
    }
}

/* scores [n_keys, count] with row pitch `pitch`: exp(score - largest of its column), and the columns' sums.
 */
static void soften_columns(float *scores, float *largest, float *sums, int64_t n_keys, int64_t pitch,
                           int64_t count)
{
    memcpy(largest, scores, (size_t)count * sizeof(float));
    memset(sums, 0, (size_t)count * sizeof(float));
    for (int64_t j = 1; j < n_keys; j++)
        take_larger(largest, scores + j * pitch, count);
    for (int64_t j = 0; j < n_keys; j++)
        soften_add(scores + j * pitch, largest, sums, count);
}

static void narrow_task(void *context, int64_t task, int32_t thread)
{
    const attention *p = context;
    const areas a = areas_of(p, thread);
    const int32_t d = p->args->head_dim;
    const int64_t block = task % p->tasks_per_head, head = task / p->tasks_per_head % p->args->n_heads;
    const int64_t map = task / p->tasks_per_head / p->args->n_heads, first = block * p->n_queries;
    const int64_t left = sono_rows_of(p->q) - first, n_queries = left < p->n_queries ? left : p->n_queries;
    const int64_t pitch = query_pitch(p);
    float *out = sono_row_at(p->out, map, first) + head * d;
    sono_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (blasint)p->n_keys, (blasint)n_queries, d,
               p->args->scale, sono_row_at(p->k, map, 0) + head * d, (blasint)p->k->pitch,
               sono_row_at(p->q, map, first) + head * d, (blasint)p->q->pitch, 0.0f, a.scores,
               (blasint)pitch);
    soften_columns(a.scores, a.largest, a.sums, p->n_keys, pitch, n_queries);
    sono_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, (blasint)n_queries, d, (blasint)p->n_keys, 1.0f,
               a.scores, (blasint)pitch, sono_row_at(p->v, map, 0) + head * d, (blasint)p->v->pitch, 0.0f,
               out, (blasint)p->out->pitch);
    for (int64_t i = 0; i < n_queries; i++)
        scale_row(out + i * p->out->pitch, out + i * p->out->pitch, 1.0f / a.sums[i], d);
}

/* The part of a window inside of the map, and the heads of the task. */
typedef struct window_rect {
    int64_t map;
    int32_t y, x, height, width;
    int32_t first_head, n_heads;
} window_rect;

static window_rect window_of(const attention *p, int64_t task)
{
    const int32_t window = p->args->window;
    const int64_t index = task % p->tasks_per_head;
    window_rect r = {.map = task / p->tasks_per_head / p->n_groups,
                     .y = (int32_t)(index / p->windows_across) * window,
                     .x = (int32_t)(index % p->windows_across) * window,
                     .first_head = (int32_t)(task / p->tasks_per_head % p->n_groups) * p->group};
    r.height = p->q->h - r.y < window ? p->q->h - r.y : window;
    r.width = p->q->w - r.x < window ? p->q->w - r.x : window;
    r.n_heads = p->args->n_heads - r.first_head < p->group ? p->args->n_heads - r.first_head : p->group;
    return r;
}

/* Position (y, x) of the window, the group's channels. */
static float *window_row(const attention *p, const sono_cpu_tensor *t, const window_rect *r, int32_t y,
                         int32_t x)
{
    return sono_row_at(t, r->map, (int64_t)(r->y + y) * t->w + r->x + x) + r->first_head * p->args->head_dim;
}

static void gather_queries(const attention *p, const window_rect *r, float *to)
{
    const int64_t c = (int64_t)r->n_heads * p->args->head_dim;
    for (int32_t y = 0; y < r->height; y++)
        for (int32_t x = 0; x < r->width; x++, to += c)
            memcpy(to, window_row(p, p->q, r, y, x), (size_t)c * sizeof(float));
}

/* Keys or values of every position of the window, `padding` past the border. */
static void gather_keys(const attention *p, const window_rect *r, const sono_cpu_tensor *t,
                        const sono_cpu_tensor *padding, float *to)
{
    const int32_t window = p->args->window;
    const int64_t c = (int64_t)r->n_heads * p->args->head_dim;
    for (int32_t y = 0; y < window; y++)
        for (int32_t x = 0; x < window; x++, to += c) {
            const int inside = y < r->height && x < r->width;
            const float *from = inside ? window_row(p, t, r, y, x)
                                       : (const float *)padding->data + r->first_head * p->args->head_dim;
            memcpy(to, from, (size_t)c * sizeof(float));
        }
}

/* k [n_keys, head_dim] with this pitch -> to [head_dim, key_pitch], 0 behind the last key. Small products of
 * plain matrices need no packing in OpenBLAS, those with a transposed one do. */
static void transpose_keys(const attention *p, const float *restrict k, int64_t pitch, float *restrict to)
{
    for (int32_t i = 0; i < p->args->head_dim; i++, to += p->key_pitch) {
        for (int64_t j = 0; j < p->n_keys; j++)
            to[j] = k[j * pitch + i];
        for (int64_t j = p->n_keys; j < p->key_pitch; j++)
            to[j] = 0;
    }
}

/* Head `head` of the window, from the gathered q, k, v into a.out, which has the same layout. */
static void attend_window(const attention *p, const areas *a, const window_rect *r, int32_t head)
{
    const int32_t d = p->args->head_dim, pitch = r->n_heads * d, n_queries = r->height * r->width;
    const blasint key_pitch = (blasint)p->key_pitch;
    const float *bias = p->bias + (r->first_head + head) * p->n_keys * p->key_pitch;
    float *out = a->out + head * d;
    transpose_keys(p, a->k + head * d, pitch, a->keys);
    sono_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, n_queries, key_pitch, d, p->args->scale,
               a->q + head * d, pitch, a->keys, key_pitch, 0.0f, a->scores, key_pitch);
    for (int32_t i = 0; i < n_queries; i++) {
        const int64_t at = i / r->width * p->args->window + i % r->width;
        float *row = a->scores + i * p->key_pitch;
        add_row(row, bias + at * p->key_pitch, p->key_pitch);
        a->sums[i] = soften(row, p->key_pitch);
    }
    sono_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, n_queries, d, (blasint)p->n_keys, 1.0f, a->scores,
               key_pitch, a->v + head * d, pitch, 0.0f, out, pitch);
    for (int32_t i = 0; i < n_queries; i++)
        scale_row(out + (int64_t)i * pitch, out + (int64_t)i * pitch, 1.0f / a->sums[i], d);
}

static void window_task(void *context, int64_t task, int32_t thread)
{
    const attention *p = context;
    const areas a = areas_of(p, thread);
    const window_rect r = window_of(p, task);
    const int64_t c = (int64_t)r.n_heads * p->args->head_dim;
    gather_queries(p, &r, a.q);
    gather_keys(p, &r, p->k, &p->call->in[4], a.k);
    gather_keys(p, &r, p->v, &p->call->in[5], a.v);
    for (int32_t head = 0; head < r.n_heads; head++)
        attend_window(p, &a, &r, head);
    for (int32_t i = 0; i < r.height * r.width; i++)
        memcpy(window_row(p, p->out, &r, i / r.width, i % r.width), a.out + i * c, (size_t)c * sizeof(float));
}

/* Task = head * window + y: the bias of the queries in line y of a window, MASKED behind the last key. */
static void spread_bias_task(void *context, int64_t task, int32_t thread)
{
    const attention *p = context;
    const sono_cpu_tensor *table = &p->call->in[3];
    const int32_t window = p->args->window, qy = (int32_t)(task % window);
    const float *from = sono_row_at(table, 0, task / window);
    float *to = p->bias + task * window * p->key_pitch;
    (void)thread;
    for (int32_t qx = 0; qx < window; qx++) {
        for (int32_t y = 0; y < window; y++)
            for (int32_t x = 0; x < window; x++) {
                const int32_t dy = y < qy ? qy - y : y - qy, dx = x < qx ? qx - x : x - qx;
                *to++ = from ? from[dy * window + dx] : 0.0f;
            }
        for (int64_t i = p->n_keys; i < p->key_pitch; i++)
            *to++ = MASKED;
    }
}

void SONO_KERNEL(sono_cpu_attention)(const sono_cpu_call *call)
{
    attention p = make_attention(call);
    if (p.args->window) {
        sono_pool_run(call->pool, spread_bias_task, &p, (int64_t)p.args->n_heads * p.args->window);
        sono_pool_run(call->pool, window_task, &p, p.q->n * p.n_groups * p.tasks_per_head);
    } else {
        sono_pool_run(call->pool, p.n_keys <= SONO_CPU_NARROW_KEYS ? narrow_task : wide_task, &p,
                      p.q->n * p.args->n_heads * p.tasks_per_head);
    }
}
