// SPDX-License-Identifier: Apache-2.0
/*
 * TOPK_ROWS: the K tokens whose best class is best, best first, equal ones by lower index.
 *
 * logits [n, 1, T, classes], memory [n, 1, T, c], anchors [1, 1, T, 4] -> memory [n, 1, K, c], anchors [n, 1,
 * K, 4], indices I32 [n, 1, K, 1]. Semantics: src/engine/cpu/kernels/topk.c and rank.h; the result is exact
 * and does not depend on the run: keys are unique (value, then index), and what is gathered in any order is
 * sorted afterwards.
 *
 * score_kernel: a token's best class as an ordered 32-bit number, 1 to 32 lanes a token; with few logits the
 * next kernel does that itself.
 *
 * rank_kernel, a block of 1024 threads for a map: finds the K-th best key 8 bits at a time (a histogram of
 * the keys that share the bits known so far), stops when all keys left are wanted, takes the K keys and sorts
 * them (bitonic). Scores lie in shared memory up to SHARED_TOKENS, else in the scratch; the same for the keys
 * that are sorted.
 *
 * gather_kernel: a warp copies a row. 300 of 8400: about 4 us + 2 us, bound by latency. Test:
 * tests/ops/test_topk.c.
 */
#include "engine/cuda/choice/families.h"
#include "engine/cuda/kernels/rank.cuh"

#define RANK_BLOCK    1024
#define BATCH         9 /* 9216 tokens at once: 8400 are usual */
#define BLOCK         128
#define RADIX_BITS    8
#define N_BINS        (1 << RADIX_BITS)
#define SHARED_TOKENS 8704              /* 34 KiB of scores */
#define SHARED_SORTED 1024              /* 8 KiB of keys */
#define MAX_FUSED     (16 * RANK_BLOCK) /* logits of a map that rank_kernel reads itself */
#define VECTOR        8

typedef struct topk_args {
    sono_rows logits, memory, anchors, memory_out, anchors_out;
    uint32_t *scores; /* [n][T], scratch */
    uint64_t *sorted; /* [n][n_sorted], scratch */
    int32_t *indices;
    int64_t indices_pitch, indices_stride;
    int32_t n_tokens, n_classes, n_wanted, c;
    int32_t n_sorted; /* power of two >= n_wanted */
    int32_t lanes;    /* score_kernel */
    int32_t is_fused; /* no score_kernel */
} topk_args;

static __global__ void __launch_bounds__(BLOCK) score_kernel(const topk_args args)
{
    const int lane = (int)threadIdx.x % args.lanes;
    const int32_t own =
        (int32_t)(blockIdx.x * (uint32_t)(BLOCK / args.lanes)) + (int)threadIdx.x / args.lanes;
    const int32_t token =
        own < args.n_tokens ? own : args.n_tokens - 1; /* all lanes take part in the maximum */
    const int64_t at = sono_rows_at(args.logits, blockIdx.y, token);
    const uint32_t best = sono_rank_row(args.logits, at, args.n_classes, lane, args.lanes);
    if (lane == 0 && own < args.n_tokens)
        args.scores[(int64_t)blockIdx.y * args.n_tokens + own] = best;
}

/* Scores of a thread's tokens from the logits, or from what score_kernel made; BATCH loads are under way at
 * once. */
static __device__ __forceinline__ void read_scores(const topk_args &args, const uint32_t *given,
                                                   uint32_t *scores)
{
    const int32_t n_classes = args.is_fused ? args.n_classes : 1;
    for (int32_t c = 0; c < n_classes; c++)
        for (int32_t first = (int32_t)threadIdx.x; first < args.n_tokens; first += BATCH * RANK_BLOCK) {
            uint32_t bits[BATCH] = {};
#pragma unroll
            for (int j = 0; j < BATCH; j++) {
                const int32_t t = first + j * RANK_BLOCK;
                if (t < args.n_tokens)
                    bits[j] = args.is_fused ? sono_rank_bits(sono_rows_value(
                                                  args.logits, sono_rows_at(args.logits, blockIdx.y, t) + c))
                                            : given[t];
            }
#pragma unroll
            for (int j = 0; j < BATCH; j++) {
                const int32_t t = first + j * RANK_BLOCK;
                if (t < args.n_tokens && (c == 0 || bits[j] > scores[t]))
                    scores[t] = bits[j];
            }
        }
}

/* First warp: the bin that holds the n_wanted-th largest key; bin, what is wanted of it, what it has, into
 * found. */
static __device__ __forceinline__ void find_bin(const uint32_t *bins, uint32_t n_wanted, uint32_t found[3])
{
    const int lane = (int)threadIdx.x, per_lane = N_BINS / SONO_WARP;
    const int top = N_BINS - 1 - lane * per_lane; /* lane 0 has the highest bins */
    uint32_t own = 0;
    for (int i = 0; i < per_lane; i++)
        own += bins[top - i];
    uint32_t through = own; /* keys in the bins of this lane and above */
#pragma unroll
    for (int offset = 1; offset < SONO_WARP; offset *= 2) {
        const uint32_t other = __shfl_up_sync(0xffffffffu, through, offset);
        through += lane >= offset ? other : 0;
    }
    uint32_t above = through - own;
    if (above >= n_wanted || through < n_wanted)
        return; /* exactly one lane goes on */
    int bin = top;
    while (above + bins[bin] < n_wanted)
        above += bins[bin--];
    found[0] = (uint32_t)bin;
    found[1] = n_wanted - above;
    found[2] = bins[bin];
}

/* The largest threshold that n_wanted keys reach. Whole block. */
static __device__ __forceinline__ uint64_t find_threshold(const topk_args &args, const uint32_t *scores,
                                                          uint32_t *bins, uint32_t found[3])
{
    uint64_t threshold = 0, known = 0; /* known: mask of the bits that are found */
    uint32_t n_wanted = (uint32_t)args.n_wanted;
    for (int shift = 64 - RADIX_BITS; shift >= 0; shift -= RADIX_BITS) {
        for (int i = (int)threadIdx.x; i < N_BINS; i += RANK_BLOCK)
            bins[i] = 0;
        __syncthreads(); /* bins are zero; scores are written (first round) */
        for (int32_t t = (int32_t)threadIdx.x; t < args.n_tokens; t += RANK_BLOCK) {
            const uint64_t key = sono_rank_key(scores[t], (uint32_t)t);
            if (((key ^ threshold) & known) == 0)
                atomicAdd(&bins[key >> shift & (N_BINS - 1)], 1u);
        }
        __syncthreads(); /* bins are complete */
        if (threadIdx.x < SONO_WARP)
            find_bin(bins, n_wanted, found);
        __syncthreads(); /* found is written, bins are no longer read */
        threshold |= (uint64_t)found[0] << shift;
        known |= (uint64_t)(N_BINS - 1) << shift;
        n_wanted = found[1];
        if (n_wanted == found[2])
            break; /* all keys of the bin are wanted: no more bits needed */
    }
    return threshold;
}

/* Bitonic, descending. Pairs up to 32 apart lie in the 64 keys that one warp works on. Whole block. */
static __device__ __forceinline__ void sort_keys(uint64_t *keys, int32_t n)
{
    for (int32_t size = 2; size <= n; size *= 2)
        for (int32_t step = size / 2; step > 0; step /= 2) {
            for (int32_t i = (int32_t)threadIdx.x; i < n / 2; i += RANK_BLOCK) {
                const int32_t low = 2 * i - (i & (step - 1)), high = low + step;
                const uint64_t a = keys[low], b = keys[high];
                if ((a < b) == ((low & size) == 0)) {
                    keys[low] = b;
                    keys[high] = a;
                }
            }
            if (step > SONO_WARP || (step == 1 && size > SONO_WARP))
                __syncthreads(); /* this step's or the next one's pairs cross warps */
            else
                __syncwarp();
        }
}

/* Dynamic shared memory: the keys to sort, then the scores, each where it is not in the scratch. */
static __global__ void __launch_bounds__(RANK_BLOCK, 1) rank_kernel(const topk_args args)
{
    extern __shared__ uint64_t area[];
    __shared__ uint32_t bins[N_BINS], found[3], n_taken;
    const int sorted_is_shared = args.n_sorted <= SHARED_SORTED,
              scores_are_shared = args.n_tokens <= SHARED_TOKENS;
    uint64_t *sorted = sorted_is_shared ? area : args.sorted + (int64_t)blockIdx.y * args.n_sorted;
    uint32_t *given = args.scores + (int64_t)blockIdx.y * args.n_tokens;
    uint32_t *scores =
        scores_are_shared ? (uint32_t *)(area + (sorted_is_shared ? args.n_sorted : 0)) : given;
    if (args.is_fused || scores_are_shared)
        read_scores(args, given, scores);
    if (threadIdx.x == 0)
        n_taken = 0;
    const uint64_t threshold = find_threshold(args, scores, bins, found); /* its barriers cover n_taken */
    for (int32_t t = (int32_t)threadIdx.x; t < args.n_tokens; t += RANK_BLOCK) {
        const uint64_t key = sono_rank_key(scores[t], (uint32_t)t);
        if (key >= threshold)
            sorted[atomicAdd(&n_taken, 1u)] = key; /* exactly n_wanted */
    }
    for (int32_t i = args.n_wanted + (int32_t)threadIdx.x; i < args.n_sorted; i += RANK_BLOCK)
        sorted[i] = 0; /* comes last */
    __syncthreads();   /* all keys are there */
    sort_keys(sorted, args.n_sorted);
    __syncthreads(); /* the order is final */
    int32_t *indices = args.indices + blockIdx.y * args.indices_stride;
    for (int32_t i = (int32_t)threadIdx.x; i < args.n_wanted; i += RANK_BLOCK)
        indices[i * args.indices_pitch] = (int32_t)sono_rank_index(sorted[i]);
}

template <int V> static __global__ void __launch_bounds__(BLOCK) gather_kernel(const topk_args args)
{
    const int lane = (int)threadIdx.x % SONO_WARP;
    const int32_t i = (int32_t)(blockIdx.x * (BLOCK / SONO_WARP)) + (int)threadIdx.x / SONO_WARP;
    if (i >= args.n_wanted)
        return;
    const int32_t token = args.indices[blockIdx.y * args.indices_stride + i * args.indices_pitch];
    const int64_t from = sono_rows_at(args.memory, blockIdx.y, token),
                  to = sono_rows_at(args.memory_out, blockIdx.y, i);
    for (int32_t c = lane * V; c < args.c; c += SONO_WARP * V) {
        float v[V];
        sono_rows_load<V>(args.memory, from + c, v);
        sono_rows_store<V>(args.memory_out, to + c, v);
    }
    if (lane < 4) {
        const float v = sono_rows_value(args.anchors, sono_rows_at(args.anchors, blockIdx.y, token) + lane);
        sono_rows_store<1>(args.anchors_out, sono_rows_at(args.anchors_out, blockIdx.y, i) + lane, &v);
    }
}

static topk_args args_of(const sono_cuda_call *call)
{
    const sono_cuda_tensor *logits = &call->in[0], *indices = &call->out[2];
    topk_args args = {};
    args.logits = sono_rows_make(logits);
    args.memory = sono_rows_make(&call->in[1]);
    args.anchors = sono_rows_make(&call->in[2]);
    args.memory_out = sono_rows_make(&call->out[0]);
    args.anchors_out = sono_rows_make(&call->out[1]);
    args.scores = (uint32_t *)call->scratch;
    args.sorted = (uint64_t *)(void *)((char *)call->scratch + sono_topk_scores_bytes(logits));
    args.indices = (int32_t *)indices->data;
    args.indices_pitch = indices->pitch;
    args.indices_stride = indices->batch_stride;
    args.n_tokens = logits->h * logits->w;
    args.n_classes = logits->c;
    args.n_wanted = call->op->args.topk.k;
    args.c = call->out[0].c;
    args.n_sorted = sono_topk_places(args.n_wanted);
    args.lanes = sono_rank_lanes(args.n_classes);
    args.is_fused = (int64_t)args.n_tokens * args.n_classes <= MAX_FUSED;
    return args;
}

extern "C" cudaError_t sono_cuda_topk_rows(const sono_cuda_call *call)
{
    const topk_args args = args_of(call);
    const unsigned n = (unsigned)call->in[0].n;
    const size_t sorted_bytes = args.n_sorted <= SHARED_SORTED ? (size_t)args.n_sorted * sizeof(uint64_t) : 0;
    const size_t shared_scores =
        args.n_tokens <= SHARED_TOKENS ? (size_t)args.n_tokens * sizeof(uint32_t) : 0;
    if (!args.is_fused) {
        const dim3 grid((unsigned)sono_ceil_div(args.n_tokens, BLOCK / args.lanes), n);
        score_kernel<<<grid, BLOCK, 0, call->stream>>>(args);
    }
    rank_kernel<<<dim3(1, n), RANK_BLOCK, sorted_bytes + shared_scores, call->stream>>>(args);
    const dim3 grid((unsigned)sono_ceil_div(args.n_wanted, BLOCK / SONO_WARP), n);
    if (sono_rows_fit(&args.memory, args.c, VECTOR) && sono_rows_fit(&args.memory_out, args.c, VECTOR))
        gather_kernel<VECTOR><<<grid, BLOCK, 0, call->stream>>>(args);
    else
        gather_kernel<1><<<grid, BLOCK, 0, call->stream>>>(args);
    return cudaGetLastError();
}
