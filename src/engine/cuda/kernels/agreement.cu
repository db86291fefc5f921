// SPDX-License-Identifier: Apache-2.0
/*
 * AGREEMENT: mask U8 (packed), profile I32 [N, 1, 3, side], headers, kept U8 [1, 1, 1, n], sums I32
 * [N, 1, 1, 1024], its part of them 0 -> agreement I32 [N, 1, 1, 8], rows of SONO_AGREEMENT_INTS. Semantics:
 * the CPU twin; formulas: engine/agreement.h. Exact: whole numbers, whatever the order of the threads.
 *
 * Two launches. In the first a warp takes one shift of a profile, and an atomicMax of ranks leaves the best.
 * In the second a thread takes 32 pixels of both masks as bits, at their place in the raster, in which a
 * shift is one number, and counts for all moves at once; other blocks compare the surfaces, a column a lane.
 * Where the move is a pose, a warp looks up 128 pixels of a row instead, and rows that neither mask reaches
 * are passed over. The last block of a frame writes the result. Test: tests/ops/test_agreement.c.
 */
#include "engine/cuda/kernels/state_sums.cuh"
#include "engine/cuda/kernels/totals.cuh"
#include "graph/kept_layout.h"

#define THREADS       256
#define WARPS         (THREADS / SONO_WARP)
#define BATCH         16  /* elements of a profile that a lane reads at once, so that the loads overlap */
#define WORD          32  /* pixels, as bits */
#define PIECE         128 /* pixels of a row */
#define BLOCKS_PER_SM 4

typedef struct agree_args {
    const uint8_t *maps;
    const int32_t *profile;
    const sono_frame_header *headers;
    const uint8_t *kept;
    int32_t *agreement, *sums;
    int64_t profile_stride, agreement_stride, sums_stride;
    int32_t side;
    int32_t n_count_blocks; /* of the second launch; the others compare surfaces */
} agree_args;

/* Two frames that are compared. */
struct frame_pair {
    const sono_frame_header *was, *is;
    sono_agree_frame before, now;
};

static __device__ __forceinline__ sono_agree_frame frame_of(const sono_frame_header *header,
                                                            const int32_t *profile, int32_t side,
                                                            const uint8_t *mask, int32_t is_bits)
{
    const sono_agree_frame frame = {header->width_px,
                                    header->height_px,
                                    profile,
                                    profile + SONO_PROFILE_HEIGHTS * side,
                                    profile + SONO_PROFILE_ROWS * side,
                                    mask,
                                    is_bits};
    return frame;
}

/* Of frame blockIdx.y and the one before it. */
static __device__ frame_pair pair_of(const agree_args &p)
{
    const int32_t frame = blockIdx.y, previous = agree_before(p.headers, frame);
    frame_pair pair;
    pair.is = &p.headers[frame];
    pair.now =
        frame_of(pair.is, p.profile + frame * p.profile_stride, p.side, p.maps + pair.is->maps_at_bytes, 0);
    if (previous < 0) {
        pair.was = (const sono_frame_header *)p.kept;
        pair.before = frame_of(pair.was, (const int32_t *)(p.kept + SONO_KEPT_PROFILE), p.side,
                               p.kept + kept_bits_at(p.side), 1);
    } else {
        pair.was = &p.headers[previous];
        pair.before = frame_of(pair.was, p.profile + previous * p.profile_stride, p.side,
                               p.maps + pair.was->maps_at_bytes, 0);
    }
    return pair;
}

static __device__ __forceinline__ state_sums *sums_of(const agree_args &p)
{
    return (state_sums *)(p.sums + blockIdx.y * p.sums_stride);
}

/* ---- the moves ---- */

/* What one block of the first launch finds out: what the masks are to be compared by. */
static __device__ void choose(const frame_pair &pair, bool has_poses, state_sums *all)
{
    int32_t before = 0, now = 0;
#pragma unroll 4
    for (int32_t y = threadIdx.x; y < pair.now.height_px; y += THREADS) {
        before |= pair.before.rows[y];
        now |= pair.now.rows[y];
    }
    const bool have_masks = __syncthreads_or(before) && __syncthreads_or(now);
    if (threadIdx.x != 0 || !have_masks)
        return; /* the sums are 0, which is SONO_AGREE_BY_NOTHING */
    if (!has_poses)
        all->agree_by = SONO_AGREE_BY_SHIFT;
    else if (agree_move_by_pose(pair.was, pair.is, &all->pose))
        all->agree_by = SONO_AGREE_BY_POSE;
}

/* One shift of a profile, by a warp. Elements are below 2^16, and there are fewer than 2^16 of them: the sum
 * fits into 32 bits. */
static __device__ sono_agree_fit fit_of(const int32_t *before, const int32_t *now, int32_t side_px,
                                        int32_t shift)
{
    const int32_t n = side_px - abs(shift); /* how many both cover */
    uint32_t cost = 0;
    before += max(-shift, 0);
    now += max(shift, 0);
    for (int32_t first = threadIdx.x % SONO_WARP; first < n; first += BATCH * SONO_WARP) {
        int32_t apart[BATCH];
#pragma unroll
        for (int32_t k = 0; k < BATCH; k++) {
            const int32_t i = first + k * SONO_WARP;
            apart[k] = i < n ? before[i] - now[i] : 0;
        }
#pragma unroll
        for (int32_t k = 0; k < BATCH; k++)
            cost += (uint32_t)abs(apart[k]);
    }
    return {(int64_t)sono_warp_total(cost), n, shift};
}

static __global__ void __launch_bounds__(THREADS) find_kernel(agree_args p)
{
    __shared__ bool has_poses;
    const frame_pair pair = pair_of(p);
    state_sums *all = sums_of(p);
    if (!agree_is_pair(pair.was, pair.is)) /* the same for all threads */
        return;
    if (threadIdx.x == 0)
        has_poses = agree_has_pose(pair.was) && agree_has_pose(pair.is);
    __syncthreads(); /* has_poses is there */
    if (blockIdx.x == 0) {
        choose(pair, has_poses, all);
        return;
    }
    const int32_t reach_x = agree_reach(pair.now.width_px), reach_y = agree_reach(pair.now.height_px);
    const int32_t n_x = 2 * reach_x + 1, n_shifts = has_poses ? 0 : n_x + 2 * reach_y + 1;
    for (int32_t i = (blockIdx.x - 1) * WARPS + threadIdx.x / SONO_WARP; i < n_shifts;
         i += (gridDim.x - 1) * WARPS) {
        const bool is_x = i < n_x;
        const sono_agree_fit fit =
            is_x ? fit_of(pair.before.columns, pair.now.columns, pair.now.width_px, i - reach_x)
                 : fit_of(pair.before.rows, pair.now.rows, pair.now.height_px, i - n_x - reach_y);
        if (threadIdx.x % SONO_WARP == 0)
            atomicMax((unsigned long long *)&all->ranks[is_x ? 0 : 1], (unsigned long long)~agree_rank(&fit));
    }
}

/* ---- counting pixels of shifted masks ---- */

/* Whether bytes are set, as 4 bits: bits 0, 8, 16 and 24 meet in 28, 29, 30 and 31, and no two products of
 * the others meet at all. */
static __device__ __forceinline__ uint32_t pack4(uint32_t bytes)
{
    return (__vsetne4(bytes, 0) * 0x10204080u) >> 28;
}

/* Pixels [32 k, 32 k + 32) of a mask's raster. Those outside of it are 0, but for the last ones of the bytes
 * up to a multiple of 16, or of the word of bits, which may be anything: tensors and maps end behind them. */
template <bool IS_BITS>
static __device__ __forceinline__ uint32_t word_of(const uint8_t *mask, int32_t n_pixels, int32_t k)
{
    if (IS_BITS) {
        return k >= 0 && k * WORD < n_pixels ? ((const uint32_t *)mask)[k] : 0;
    } else {
        uint32_t bits = 0;
#pragma unroll
        for (int32_t half = 0; half < 2; half++) {
            const int32_t at = k * WORD + half * 16;
            const uint4 v = k >= 0 && at < n_pixels ? *(const uint4 *)(mask + at) : uint4{};
            bits |= (pack4(v.x) | pack4(v.y) << 4 | pack4(v.z) << 8 | pack4(v.w) << 12) << (half * 16);
        }
        return bits;
    }
}

/* Which of the 32 pixels from (x, y) on, row after row, were within the frame before a shift. */
static __device__ uint32_t pixels_within(int32_t x, int32_t y, int32_t width, int32_t height, int32_t dx,
                                         int32_t dy)
{
    uint32_t within = 0;
    for (int32_t row = -x; row < WORD && y < height; row += width, y++) { /* where the row begins */
        const int32_t from = max(row + max(dx, 0), 0), to = min(row + width + min(dx, 0), WORD);
        if (y - dy >= 0 && y - dy < height && from < to)
            within |= 0xffffffffu >> (WORD - (to - from)) << from;
    }
    return within;
}

/* IS_BITS: of the mask before. counts: as in state_sums. */
template <bool IS_BITS>
static __device__ __forceinline__ void count_words(const frame_pair &pair, const sono_agree_move *moves,
                                                   int32_t n_blocks, uint64_t counts[SONO_AGREE_MOVES])
{
    const int32_t width = pair.now.width_px, height = pair.now.height_px, n_pixels = width * height;
    for (int32_t k = blockIdx.x * THREADS + threadIdx.x; k * WORD < n_pixels; k += n_blocks * THREADS) {
        const uint32_t is = word_of<false>(pair.now.mask, n_pixels, k);
        uint32_t was[SONO_AGREE_MOVES], any = is;
#pragma unroll
        for (int32_t i = 0; i < SONO_AGREE_MOVES; i++) {
            const int32_t from = k * WORD - moves[i].dy * width - moves[i].dx; /* below 0: >> rounds down */
            const uint32_t low = word_of<IS_BITS>(pair.before.mask, n_pixels, from >> 5);
            const uint32_t high = word_of<IS_BITS>(pair.before.mask, n_pixels, (from >> 5) + 1);
            was[i] = __funnelshift_r(low, high, from & 31);
            any |= was[i];
        }
        if (!any)
            continue;
        const int32_t y = k * WORD / width, x = k * WORD - y * width;
#pragma unroll
        for (int32_t i = 0; i < SONO_AGREE_MOVES; i++) {
            const uint32_t within = pixels_within(x, y, width, height, moves[i].dx, moves[i].dy);
            counts[i] += (uint64_t)__popc(is & was[i] & within) << 32 | __popc((is | was[i]) & within);
        }
    }
}

/* ---- counting pixels of masks moved by a pose ---- */

/* Whether row y of this frame was, at its ends or between, where the mask before has rows; for a warp. */
static __device__ bool is_reached(const sono_agree_move &move, const frame_pair &pair, int32_t y)
{
    const int64_t *m = move.back.m, at = m[4] * y + m[5];
    const int32_t left = agree_pixel(at), right = agree_pixel(m[3] * (pair.now.width_px - 1) + at);
    const int32_t first = max(min(left, right), 0), last = min(max(left, right), pair.now.height_px - 1);
    int32_t has_mask = 0;
    for (int32_t row = first + threadIdx.x % SONO_WARP; row <= last; row += SONO_WARP)
        has_mask |= pair.before.rows[row];
    return __any_sync(0xffffffffu, has_mask);
}

static __device__ uint64_t count_by_pose(const frame_pair &pair, const sono_agree_move &move,
                                         int32_t n_blocks)
{
    const int32_t width = pair.now.width_px;
    const int32_t n_across = (width + PIECE - 1) / PIECE, n_pieces = n_across * pair.now.height_px;
    uint64_t count = 0;
    for (int32_t piece = blockIdx.x * WARPS + threadIdx.x / SONO_WARP; piece < n_pieces;
         piece += n_blocks * WARPS) {
        const int32_t y = piece / n_across, first_x = piece % n_across * PIECE + threadIdx.x % SONO_WARP;
        if (!pair.now.rows[y] && !is_reached(move, pair, y))
            continue;
#pragma unroll
        for (int32_t x = first_x; x < first_x + PIECE; x += SONO_WARP) {
            int32_t old_x, old_y;
            if (x >= width || !agree_was_at(&move, &pair.before, x, y, &old_x, &old_y))
                continue;
            const int is = agree_is_set(&pair.now, x, y), was = agree_is_set(&pair.before, old_x, old_y);
            count += (uint64_t)(is & was) << 32 | (uint64_t)(is | was);
        }
    }
    return count;
}

/* ---- surfaces, and the whole ---- */

/* A warp takes 32 columns for one move after the other. */
static __device__ void compare_surfaces(const frame_pair &pair, const sono_agree_move *moves, int32_t n_moves,
                                        int32_t block, int32_t n_blocks, uint64_t *surfaces)
{
    const int32_t n_groups = (pair.now.width_px + SONO_WARP - 1) / SONO_WARP;
    for (int32_t i = block * WARPS + threadIdx.x / SONO_WARP; i < n_groups * n_moves; i += n_blocks * WARPS) {
        const int32_t x = i % n_groups * SONO_WARP + threadIdx.x % SONO_WARP, move = i / n_groups;
        sono_agree_surface mine = {0, 0};
        if (x < pair.now.width_px) {
            agree_add_now(&moves[move], &pair.before, &pair.now, x, &mine);
            agree_add_before(&moves[move], &pair.before, &pair.now, x, &mine);
        }
        const uint64_t total = sono_warp_total((uint64_t)mine.sum << 32 | (uint64_t)mine.n);
        if (threadIdx.x % SONO_WARP == 0 && total != 0)
            sono_add64(&surfaces[move], (int64_t)total);
    }
}

/* By all threads of a warp. */
static __device__ __forceinline__ void add_counts(const uint64_t counts[SONO_AGREE_MOVES], state_sums *all)
{
    if (!__any_sync(0xffffffffu, (counts[0] | counts[1] | counts[2] | counts[3]) != 0))
        return; /* most warps have seen nothing */
#pragma unroll
    for (int32_t i = 0; i < SONO_AGREE_MOVES; i++) {
        const uint64_t total = sono_warp_total(counts[i]);
        if (threadIdx.x % SONO_WARP == 0)
            sono_add64(&all->counts[i], (int64_t)total);
    }
}

/* By one thread, when all sums of a frame are there. */
static __device__ void write_agreement(const state_sums *all, const sono_agree_move *moves, int32_t n_moves,
                                       int32_t *row)
{
    sono_agree_worth worths[SONO_AGREE_MOVES];
#pragma unroll
    for (int32_t i = 0; i < SONO_AGREE_MOVES; i++) {
        const uint64_t count = __ldcg((const unsigned long long *)&all->counts[i]);
        const uint64_t surface = __ldcg((const unsigned long long *)&all->surfaces[i]);
        const sono_agree_surface total = {(int64_t)(surface >> 32), (int32_t)(surface & 0xffffffffu)};
        worths[i] = {(int64_t)(count >> 32), (int64_t)(count & 0xffffffffu), agree_surface(&total)};
    }
    agree_write(moves, worths, n_moves, row);
}

static __global__ void __launch_bounds__(THREADS) count_kernel(agree_args p)
{
    __shared__ sono_agree_move moves[SONO_AGREE_MOVES];
    const frame_pair pair = pair_of(p);
    state_sums *all = sums_of(p);
    int32_t *row = p.agreement + blockIdx.y * p.agreement_stride;
    const int32_t by = all->agree_by, n_moves = by == SONO_AGREE_BY_POSE ? 1 : SONO_AGREE_MOVES;
    const int32_t dx = agree_shift_of_rank(~all->ranks[0]), dy = agree_shift_of_rank(~all->ranks[1]);
    if (by == SONO_AGREE_BY_NOTHING) { /* the same for all threads */
        if (blockIdx.x == 0 && threadIdx.x == 0)
            agree_write(NULL, NULL, 0, row);
        return;
    }
    /* Those of agree_moves_of_shift() in its order; of moves that are equal the first is taken. */
    if ((int32_t)threadIdx.x < n_moves)
        moves[threadIdx.x] = by == SONO_AGREE_BY_POSE
                                 ? all->pose
                                 : agree_shift(threadIdx.x & 1 ? dx : 0, threadIdx.x & 2 ? dy : 0);
    __syncthreads(); /* the moves are there */
    if ((int32_t)blockIdx.x >= p.n_count_blocks) {
        compare_surfaces(pair, moves, n_moves, (int32_t)blockIdx.x - p.n_count_blocks,
                         (int32_t)gridDim.x - p.n_count_blocks, all->surfaces);
    } else {
        uint64_t counts[SONO_AGREE_MOVES] = {};
        if (by == SONO_AGREE_BY_POSE)
            counts[0] = count_by_pose(pair, moves[0], p.n_count_blocks);
        else if (pair.before.is_bits)
            count_words<true>(pair, moves, p.n_count_blocks, counts);
        else
            count_words<false>(pair, moves, p.n_count_blocks, counts);
        add_counts(counts, all);
    }
    if (sono_is_last_block(&all->n_agree_blocks, (int32_t)gridDim.x) && threadIdx.x == 0)
        write_agreement(all, moves, n_moves, row);
}

extern "C" cudaError_t sono_cuda_agreement(const sono_cuda_call *call)
{
    const sono_segment_args *op = &call->op->args.segment;
    const sono_cuda_tensor *profile = &call->in[1], *agreement = &call->out[0], *sums = &call->out[1];
    const int64_t needed =
        sono_ceil_div((int64_t)op->max_width_px * op->max_height_px, (int64_t)WORD * THREADS);
    const int64_t most = (int64_t)BLOCKS_PER_SM * call->n_multiprocessors;
    const agree_args p = {(const uint8_t *)call->in[0].data,
                          (const int32_t *)profile->data,
                          (const sono_frame_header *)call->in[2].data,
                          (const uint8_t *)call->in[3].data,
                          (int32_t *)agreement->data,
                          (int32_t *)sums->data,
                          profile->batch_stride,
                          agreement->batch_stride,
                          sums->batch_stride,
                          profile->c,
                          (int32_t)(needed < most ? needed : most)};
    const unsigned n = (unsigned)agreement->n;
    /* Frames may be turned, which leaves the number of shifts as it is; loops are good for any grid. */
    const int64_t n_shifts = 2 * (agree_reach(op->max_width_px) + agree_reach(op->max_height_px)) + 2;
    const int64_t n_surface_warps = SONO_AGREE_MOVES * sono_ceil_div(profile->c, SONO_WARP);
    const unsigned n_find_blocks = (unsigned)sono_ceil_div(n_shifts, WARPS);
    const unsigned n_surface_blocks = (unsigned)sono_ceil_div(n_surface_warps, WARPS);
    find_kernel<<<dim3(1 + n_find_blocks, n), THREADS, 0, call->stream>>>(p);
    count_kernel<<<dim3((unsigned)p.n_count_blocks + n_surface_blocks, n), THREADS, 0, call->stream>>>(p);
    return cudaGetLastError();
}
