// SPDX-License-Identifier: Apache-2.0
/*
 * AGREEMENT: mask U8 (packed), profile I32 [N, 1, 3, side], headers, kept U8 [1, 1, 1, n], sums I32
 * [N, 1, 1, 1024], its part of them 0 -> agreement I32 [N, 1, 1, 8], rows of SONO_AGREEMENT_INTS. Semantics:
 * the CPU twin; formulas: engine/agreement.h. Exact: whole numbers, whatever the order of the threads.
 *
 * Two launches. One block a frame finds the moves (a warp takes one shift of a profile after the other, and
 * the better of two fits does not depend on the order) and compares the surfaces. Then warps walk over pieces
 * of rows of 128 pixels and count, for all moves at once, pixels of both masks and of either; rows that
 * neither mask reaches are passed over. The last block of a frame writes the result. Test:
 * tests/ops/test_agreement.c.
 */
#include "engine/cuda/kernels/state_sums.cuh"
#include "engine/cuda/kernels/totals.cuh"
#include "graph/kept_layout.h"

#define FIND_THREADS  1024
#define FIND_WARPS    (FIND_THREADS / SONO_WARP)
#define THREADS       256
#define WARPS         (THREADS / SONO_WARP)
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

/* ---- the moves: one block a frame ---- */

/* The first and the last row with mask. Whether there is one. */
static __device__ int find_rows(const sono_agree_frame &frame, int32_t *first, int32_t *last)
{
    __syncthreads(); /* nobody reads those of the frame before any more */
    if (threadIdx.x == 0) {
        *first = INT32_MAX;
        *last = -1;
    }
    __syncthreads(); /* there are none yet */
    for (int32_t y = threadIdx.x; y < frame.height_px; y += FIND_THREADS)
        if (frame.rows[y]) {
            atomicMin(first, y);
            atomicMax(last, y);
        }
    __syncthreads(); /* every row was seen */
    return *last >= 0;
}

/* The shift that a warp's fits say, and over all warps; for thread 0. */
static __device__ int32_t best_shift(const int32_t *before, const int32_t *now, int32_t side_px)
{
    __shared__ sono_agree_fit fits[FIND_WARPS];
    const int32_t lane = threadIdx.x % SONO_WARP, warp = threadIdx.x / SONO_WARP;
    const int32_t reach = agree_reach(side_px);
    sono_agree_fit best = {0, 0, 0}; /* n 0: none */
    for (int32_t shift = warp - reach; shift <= reach; shift += FIND_WARPS) {
        sono_agree_fit fit = {0, side_px - (int32_t)agree_size(shift), shift};
#pragma unroll 4
        for (int32_t i = lane; i < side_px; i += SONO_WARP)
            fit.cost += agree_difference(before, now, i, shift, side_px);
        fit.cost = sono_warp_total(fit.cost);
        if (best.n == 0 || agree_fits_better(&fit, &best))
            best = fit;
    }
    __syncthreads(); /* nobody reads the fits of the profile before any more */
    if (lane == 0)
        fits[warp] = best;
    __syncthreads(); /* every warp's fit is there */
    for (int32_t w = 0; w < FIND_WARPS && threadIdx.x == 0; w++)
        if (fits[w].n > 0 && agree_fits_better(&fits[w], &best))
            best = fits[w];
    return best.shift;
}

static __device__ int32_t surface_of(const sono_agree_move *move, const frame_pair &pair)
{
    sono_agree_surface mine = {0, 0};
    for (int32_t x = threadIdx.x; x < pair.now.width_px; x += FIND_THREADS) {
        agree_add_now(move, &pair.before, &pair.now, x, &mine);
        agree_add_before(move, &pair.before, &pair.now, x, &mine);
    }
    const sono_agree_surface total = {sono_block_total<FIND_WARPS>(mine.sum),
                                      sono_block_total<FIND_WARPS>(mine.n)};
    return agree_surface(&total);
}

/* Fills in moves and returns how many there are. */
static __device__ int32_t find_moves(const frame_pair &pair, sono_agree_move *moves)
{
    __shared__ int32_t n_moves;
    if (agree_has_pose(pair.was) && agree_has_pose(pair.is)) {
        if (threadIdx.x == 0)
            n_moves = agree_move_by_pose(pair.was, pair.is, &moves[0]);
    } else {
        const int32_t dx = best_shift(pair.before.columns, pair.now.columns, pair.now.width_px);
        const int32_t dy = best_shift(pair.before.rows, pair.now.rows, pair.now.height_px);
        if (threadIdx.x == 0)
            n_moves = agree_moves_of_shift(dx, dy, moves);
    }
    __syncthreads(); /* the moves are there */
    return n_moves;
}

static __global__ void __launch_bounds__(FIND_THREADS) find_kernel(agree_args p)
{
    __shared__ sono_agree_move moves[SONO_AGREE_MOVES];
    __shared__ int32_t first, last;
    const frame_pair pair = pair_of(p);
    state_sums *all = (state_sums *)(p.sums + blockIdx.y * p.sums_stride);
    int32_t n_moves = 0;
    if (agree_is_pair(pair.was, pair.is)) { /* all of it the same for all threads */
        if (find_rows(pair.now, &first, &last) && find_rows(pair.before, &first, &last))
            n_moves = find_moves(pair, moves);
        for (int32_t i = 0; i < n_moves; i++) {
            const int32_t surface = surface_of(&moves[i], pair);
            if (threadIdx.x == 0) {
                all->moves[i] = moves[i];
                all->surfaces[i] = surface;
            }
        }
    }
    if (threadIdx.x != 0)
        return;
    all->n_moves = n_moves;
    if (n_moves > 0) {
        all->first_row = first;
        all->last_row = last;
    } else {
        agree_write(NULL, NULL, 0, p.agreement + blockIdx.y * p.agreement_stride);
    }
}

/* ---- counting pixels ---- */

/* Whether row y of this frame was, at its ends or between, where the mask before lies. */
static __device__ bool row_is_reached(const sono_agree_move &move, int32_t width, int32_t y, int32_t first,
                                      int32_t last)
{
    const int64_t *m = move.back.m, at = m[4] * y + m[5];
    if (move.is_shift)
        return y - move.dy >= first && y - move.dy <= last;
    const int32_t left = agree_pixel(at), right = agree_pixel(m[3] * (width - 1) + at);
    return min(left, right) <= last && max(left, right) >= first;
}

static __device__ __forceinline__ void count_pixel(const frame_pair &pair, const sono_agree_move *moves,
                                                   int32_t n_moves, int32_t x, int32_t y,
                                                   uint64_t counts[SONO_AGREE_MOVES])
{
    const int is = agree_is_set(&pair.now, x, y);
#pragma unroll
    for (int32_t i = 0; i < SONO_AGREE_MOVES; i++) {
        int32_t old_x, old_y;
        if (i >= n_moves || !agree_was_at(&moves[i], &pair.before, x, y, &old_x, &old_y))
            continue;
        const int was = agree_is_set(&pair.before, old_x, old_y);
        counts[i] += (uint64_t)(is & was) << 32 | (uint64_t)(is | was);
    }
}

static __global__ void __launch_bounds__(THREADS) count_kernel(agree_args p)
{
    __shared__ sono_agree_move moves[SONO_AGREE_MOVES];
    const frame_pair pair = pair_of(p);
    state_sums *all = (state_sums *)(p.sums + blockIdx.y * p.sums_stride);
    const int32_t n_moves = all->n_moves, first = all->first_row, last = all->last_row;
    const int32_t width = pair.now.width_px, lane = threadIdx.x % SONO_WARP;
    const int32_t n_across = (width + PIECE - 1) / PIECE, n_pieces = n_across * pair.now.height_px;
    uint64_t counts[SONO_AGREE_MOVES] = {};
    if (n_moves == 0)
        return;
    if ((int32_t)threadIdx.x < n_moves)
        moves[threadIdx.x] = all->moves[threadIdx.x];
    __syncthreads(); /* the moves are there */
    for (int32_t piece = blockIdx.x * WARPS + threadIdx.x / SONO_WARP; piece < n_pieces;
         piece += gridDim.x * WARPS) {
        const int32_t y = piece / n_across, first_x = piece % n_across * PIECE + lane;
        bool is_reached = pair.now.rows[y] > 0;
        for (int32_t i = 0; i < n_moves; i++)
            is_reached = is_reached || row_is_reached(moves[i], width, y, first, last);
        if (!is_reached)
            continue;
#pragma unroll
        for (int32_t x = 0; x < PIECE; x += SONO_WARP)
            if (first_x + x < width)
                count_pixel(pair, moves, n_moves, first_x + x, y, counts);
    }
#pragma unroll
    for (int32_t i = 0; i < SONO_AGREE_MOVES; i++) {
        const uint64_t total = i < n_moves ? sono_block_total<WARPS>(counts[i]) : 0;
        if (threadIdx.x == 0 && total != 0)
            sono_add64(&all->counts[i], (int64_t)total);
    }
    if (!sono_is_last_block(&all->n_agree_blocks, (int32_t)gridDim.x) || threadIdx.x != 0)
        return;
    sono_agree_worth worths[SONO_AGREE_MOVES];
    for (int32_t i = 0; i < n_moves; i++) {
        const uint64_t total = __ldcg((const unsigned long long *)&all->counts[i]);
        worths[i] = {(int64_t)(total >> 32), (int64_t)(total & 0xffffffffu), all->surfaces[i]};
    }
    agree_write(moves, worths, n_moves, p.agreement + blockIdx.y * p.agreement_stride);
}

extern "C" cudaError_t sono_cuda_agreement(const sono_cuda_call *call)
{
    const sono_segment_args *op = &call->op->args.segment;
    const sono_cuda_tensor *profile = &call->in[1], *agreement = &call->out[0], *sums = &call->out[1];
    const agree_args p = {(const uint8_t *)call->in[0].data,
                          (const int32_t *)profile->data,
                          (const sono_frame_header *)call->in[2].data,
                          (const uint8_t *)call->in[3].data,
                          (int32_t *)agreement->data,
                          (int32_t *)sums->data,
                          profile->batch_stride,
                          agreement->batch_stride,
                          sums->batch_stride,
                          profile->c};
    const unsigned n = (unsigned)agreement->n;
    const int64_t needed =
        sono_ceil_div((int64_t)op->max_width_px * op->max_height_px, (int64_t)PIECE * WARPS);
    const int64_t most = (int64_t)BLOCKS_PER_SM * call->n_multiprocessors;
    find_kernel<<<dim3(1, n), FIND_THREADS, 0, call->stream>>>(p);
    count_kernel<<<dim3((unsigned)(needed < most ? needed : most), n), THREADS, 0, call->stream>>>(p);
    return cudaGetLastError();
}
