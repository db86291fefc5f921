// SPDX-License-Identifier: Apache-2.0
/*
 * How a frame's mask goes with the one before, in whole numbers, as AGREEMENT decides on every backend. C and
 * CUDA C.
 *
 * The mask before is moved onto this frame: by the known change of the pose, or by a translation. Thin
 * structures punish IoU for a pixel or two, so that the distance of the centre lines stands beside it.
 *
 * Sizes: a side below 2^16 and 2^28 pixels in all (SONO_PROFILE_MAX_*). A sum over a profile stays below
 * 2^32, times a side below 2^48; products of two counts of pixels below 2^56.
 */
#ifndef SONO_ENGINE_AGREEMENT_H
#define SONO_ENGINE_AGREEMENT_H

#include "graph/program.h"

#ifdef __CUDACC__
#define SONO_AGREE_FN static inline __host__ __device__
#else
#define SONO_AGREE_FN static inline
#endif

#define SONO_AGREE_MOVES 4 /* that are tried, at most */

/* A frame with its first mask and profile. */
typedef struct sono_agree_frame {
    int32_t width_px, height_px;
    const int32_t *columns, *heights, *rows; /* of the profile */
    const uint8_t *mask;
    int32_t is_bits; /* 1: mask is bits as in graph/kept_layout.h; 0: a byte a pixel */
} sono_agree_frame;

SONO_AGREE_FN int agree_is_set(const sono_agree_frame *frame, int32_t x, int32_t y)
{
    const int64_t at = (int64_t)y * frame->width_px + x;
    return frame->is_bits ? frame->mask[at / 8] >> (at % 8) & 1 : frame->mask[at] != 0;
}

SONO_AGREE_FN int64_t agree_size(int64_t v)
{
    return v < 0 ? -v : v;
}

/* ---- moves ---- */

#define SONO_AGREE_ONE 65536 /* a pixel of a map */

/* x' = (m[0] x + m[1] y + m[2]) / 65536, y' = (m[3] x + m[4] y + m[5]) / 65536, of pixels' centres. */
typedef struct sono_agree_map {
    int64_t m[6];
} sono_agree_map;

typedef struct sono_agree_move {
    sono_agree_map back, forth; /* pixels of this frame to those of the one before, and the other way round */
    int32_t is_shift, dx, dy;   /* 1: the mask before goes dx to the right and dy down, and nothing else */
    int32_t moved_x, moved_y;   /* of the frame's centre, 1/8 px */
} sono_agree_move;

/* The pixel whose area a place of a map falls into; -1 where it is left of or above the frame. */
SONO_AGREE_FN int32_t agree_pixel(int64_t place)
{
    const int64_t from_border = place + SONO_AGREE_ONE / 2;
    return from_border < 0 ? -1 : (int32_t)(from_border / SONO_AGREE_ONE);
}

/* Where pixel (x, y) of this frame was in the one before. Whether that is within the frame. */
SONO_AGREE_FN int agree_was_at(const sono_agree_move *move, const sono_agree_frame *frame, int32_t x,
                               int32_t y, int32_t *old_x, int32_t *old_y)
{
    const int64_t *m = move->back.m;
    if (move->is_shift) {
        *old_x = x - move->dx;
        *old_y = y - move->dy;
    } else {
        *old_x = agree_pixel(m[0] * x + m[1] * y + m[2]);
        *old_y = agree_pixel(m[3] * x + m[4] * y + m[5]);
    }
    return *old_x >= 0 && *old_x < frame->width_px && *old_y >= 0 && *old_y < frame->height_px;
}

SONO_AGREE_FN sono_agree_move agree_shift(int32_t dx, int32_t dy)
{
    const sono_agree_move move = {
        {{SONO_AGREE_ONE, 0, -(int64_t)dx * SONO_AGREE_ONE, 0, SONO_AGREE_ONE,
          -(int64_t)dy * SONO_AGREE_ONE}},
        {{SONO_AGREE_ONE, 0, (int64_t)dx * SONO_AGREE_ONE, 0, SONO_AGREE_ONE, (int64_t)dy * SONO_AGREE_ONE}},
        1,
        dx,
        dy,
        8 * dx,
        8 * dy};
    return move;
}

/* ---- a move by poses ---- */

#define SONO_AGREE_Q30 (INT64_C(1) << 30)

/* A pose is used when both spacings are known and its axes are of length 1 and at right angles, to 1 %. What
 * is NaN is not. */
SONO_AGREE_FN int agree_has_pose(const sono_frame_header *header)
{
    const float *pose = header->image_to_reference;
    if (header->has_pose != 1 || !(header->spacing_mm[0] >= 0.001f && header->spacing_mm[0] <= 64.0f) ||
        !(header->spacing_mm[1] >= 0.001f && header->spacing_mm[1] <= 64.0f))
        return 0;
    for (int i = 0; i < 12; i++)
        if (!(i % 4 == 3 ? pose[i] > -1e6f && pose[i] < 1e6f : pose[i] >= -1.1f && pose[i] <= 1.1f))
            return 0;
    for (int i = 0; i < 3; i++)
        for (int j = 0; j <= i; j++) {
            int64_t dot = i == j ? -SONO_AGREE_Q30 * SONO_AGREE_Q30 : 0;
            for (int k = 0; k < 3; k++)
                dot += (int64_t)((double)pose[4 * k + i] * SONO_AGREE_Q30) *
                       (int64_t)((double)pose[4 * k + j] * SONO_AGREE_Q30);
            if (agree_size(dot) > SONO_AGREE_Q30 * (SONO_AGREE_Q30 / 100))
                return 0;
        }
    return 1;
}

/* Pixels of `from` to those of `to`, by their poses; what leaves the plane of `to` is projected into it.
 * Each number becomes a whole one once, by an exact scaling by a power of two and a cut: axes in 2^-30,
 * millimetres in 2^-20, spacings in 2^-24. Axes stay below 1.1 * 2^30, so that sums of three products fit.
 * Returns 0 where the frames are too far apart to be compared: over 1 m, or more than a quarter of a pixel a
 * pixel of turning or of scale. */
SONO_AGREE_FN int agree_map_by_pose(const sono_frame_header *from, const sono_frame_header *to,
                                    sono_agree_map *map)
{
    const float *a = from->image_to_reference, *b = to->image_to_reference;
    for (int i = 0; i < 2; i++) {
        const int64_t spacing = (int64_t)((double)to->spacing_mm[i] * 16777216.0);
        int64_t offset = 0;
        for (int k = 0; k < 3; k++) {
            const double apart_mm = (double)a[4 * k + 3] - (double)b[4 * k + 3];
            if (!(apart_mm > -1000.0 && apart_mm < 1000.0))
                return 0;
            offset += (int64_t)((double)b[4 * k + i] * SONO_AGREE_Q30) * (int64_t)(apart_mm * 1048576.0);
        }
        map->m[3 * i + 2] = offset / SONO_AGREE_Q30 * 1048576 / spacing;
        for (int j = 0; j < 2; j++) {
            int64_t turn = 0;
            for (int k = 0; k < 3; k++)
                turn += (int64_t)((double)b[4 * k + i] * SONO_AGREE_Q30) *
                        (int64_t)((double)a[4 * k + j] * SONO_AGREE_Q30);
            const int64_t spacing_from = (int64_t)((double)from->spacing_mm[j] * 16777216.0);
            map->m[3 * i + j] = turn / SONO_AGREE_Q30 * spacing_from / spacing / 16384;
            if (agree_size(map->m[3 * i + j] - (i == j ? SONO_AGREE_ONE : 0)) > SONO_AGREE_ONE / 4)
                return 0;
        }
    }
    return 1;
}

/* Returns 0 where the frames cannot be compared. */
SONO_AGREE_FN int agree_move_by_pose(const sono_frame_header *before, const sono_frame_header *now,
                                     sono_agree_move *move)
{
    const int64_t across = now->width_px - 1, down = now->height_px - 1;
    const int64_t *m = move->forth.m;
    if (!agree_map_by_pose(now, before, &move->back) || !agree_map_by_pose(before, now, &move->forth))
        return 0;
    move->is_shift = move->dx = move->dy = 0;
    /* Twice the centre's way in 1/65536 px, in 1/8 px. */
    move->moved_x = (int32_t)((m[0] * across + m[1] * down + 2 * m[2] - SONO_AGREE_ONE * across) / 16384);
    move->moved_y = (int32_t)((m[3] * across + m[4] * down + 2 * m[5] - SONO_AGREE_ONE * down) / 16384);
    return 1;
}

/* ---- a move by correlation ---- */

/* How far a mask is looked for: 6 % of the side, either way. */
SONO_AGREE_FN int32_t agree_reach(int32_t side_px)
{
    return side_px * 6 / 100;
}

/* How well a profile, moved by `shift`, fits another: the sum of differences over what both cover. */
typedef struct sono_agree_fit {
    int64_t cost;
    int32_t n, shift; /* n: how many both cover */
} sono_agree_fit;

/* A smaller mean difference is better, then a shorter way, then the one to the left or upwards: a strict
 * order, so that it does not matter in which fits are compared. */
SONO_AGREE_FN int agree_fits_better(const sono_agree_fit *a, const sono_agree_fit *b)
{
    const int64_t left = a->cost * b->n, right = b->cost * a->n;
    if (left != right)
        return left < right;
    if (agree_size(a->shift) != agree_size(b->shift))
        return agree_size(a->shift) < agree_size(b->shift);
    return a->shift < b->shift;
}

#define SONO_AGREE_RANK_BITS 13 /* of a rank, for the shift: agree_reach() stays below 2^12 */

/* The same order as one number, which is smaller for a better fit. cost: at most 2^16 - 1 times n, and n
 * below 2^16. Means that differ do so by at least 1 / (n n') > 2^-32, so that their whole multiples of 2^-32,
 * which stay below 2^48, differ, too. */
SONO_AGREE_FN uint64_t agree_rank(const sono_agree_fit *fit)
{
    const uint64_t mean = ((uint64_t)fit->cost << 32) / (uint32_t)fit->n;
    const uint32_t way = 2 * (uint32_t)agree_size(fit->shift) + (fit->shift > 0);
    return mean << SONO_AGREE_RANK_BITS | way;
}

SONO_AGREE_FN int32_t agree_shift_of_rank(uint64_t rank)
{
    const int32_t way = (int32_t)(rank & ((1u << SONO_AGREE_RANK_BITS) - 1));
    return way & 1 ? way / 2 : -(way / 2);
}

/* Element i of this frame's profile against the one it was, for i within [0, side_px). */
SONO_AGREE_FN int64_t agree_difference(const int32_t *before, const int32_t *now, int32_t i, int32_t shift,
                                       int32_t side_px)
{
    return i - shift < 0 || i - shift >= side_px ? 0 : agree_size((int64_t)before[i - shift] - now[i]);
}

/* A profile that is flat in one direction says nothing about it, so that the mask at rest and the two moves
 * along one axis are tried, too. Returns how many moves there are. */
SONO_AGREE_FN int32_t agree_moves_of_shift(int32_t dx, int32_t dy, sono_agree_move moves[SONO_AGREE_MOVES])
{
    int32_t n = 0;
    moves[n++] = agree_shift(0, 0);
    if (dx)
        moves[n++] = agree_shift(dx, 0);
    if (dy)
        moves[n++] = agree_shift(0, dy);
    if (dx && dy)
        moves[n++] = agree_shift(dx, dy);
    return n;
}

/* ---- surfaces ---- */

/* Columns that could be compared, and the sum of what each is worth, 1000 at most. */
typedef struct sono_agree_surface {
    int64_t sum;
    int32_t n;
} sono_agree_surface;

/* The middle of a column's mask in 1/256 px; the column has some. Sums are below 2^31. */
SONO_AGREE_FN int64_t agree_middle(const sono_agree_frame *frame, int32_t x)
{
    return (int64_t)frame->heights[x] * 256 / frame->columns[x];
}

/* Column x of this frame: 1000 h / (h + d) where the middles are d apart, with h = 1 % of the height; 0 where
 * only this frame has mask. */
SONO_AGREE_FN void agree_add_now(const sono_agree_move *move, const sono_agree_frame *before,
                                 const sono_agree_frame *now, int32_t x, sono_agree_surface *total)
{
    if (!now->columns[x])
        return;
    const int64_t *m = move->back.m, middle = agree_middle(now, x);
    const int64_t h = now->height_px < 100 ? 256 : (int64_t)now->height_px * 256 / 100;
    const int32_t old_x = agree_pixel(m[0] * x + m[1] * middle / 256 + m[2]);
    if (old_x < 0 || old_x >= before->width_px)
        return;
    total->n++;
    if (before->columns[old_x]) {
        const int64_t old_middle = (m[3] * x + m[4] * middle / 256 + m[5]) / 256;
        total->sum += 1000 * h / (h + agree_size(old_middle - agree_middle(before, old_x)));
    }
}

/* Column x of the frame before: it counts, as 0, where only it has mask. */
SONO_AGREE_FN void agree_add_before(const sono_agree_move *move, const sono_agree_frame *before,
                                    const sono_agree_frame *now, int32_t x, sono_agree_surface *total)
{
    if (!before->columns[x])
        return;
    const int64_t *m = move->forth.m;
    const int32_t new_x = agree_pixel(m[0] * x + m[1] * agree_middle(before, x) / 256 + m[2]);
    if (new_x >= 0 && new_x < now->width_px && !now->columns[new_x])
        total->n++;
}

SONO_AGREE_FN int32_t agree_surface(const sono_agree_surface *total)
{
    return total->n > 0 ? (int32_t)(total->sum / total->n) : -1;
}

/* ---- the result ---- */

/* What a move is worth. Only pixels that were within the frame count. */
typedef struct sono_agree_worth {
    int64_t n_both, n_either; /* pixels of both masks; of one of them */
    int32_t surface;
} sono_agree_worth;

/* Strictly; the first of equal moves is taken. */
SONO_AGREE_FN int agree_is_better(const sono_agree_worth *a, const sono_agree_worth *b)
{
    const int64_t left = a->n_both * b->n_either, right = b->n_both * a->n_either;
    return left != right ? left > right : a->surface > b->surface;
}

/* n_moves may be 0: nothing is known. */
SONO_AGREE_FN void agree_write(const sono_agree_move *moves, const sono_agree_worth *worths, int32_t n_moves,
                               int32_t row[SONO_AGREEMENT_INTS])
{
    int32_t best = -1;
    for (int32_t i = 0; i < n_moves; i++)
        if (worths[i].n_either > 0 && (best < 0 || agree_is_better(&worths[i], &worths[best])))
            best = i;
    for (int32_t i = 0; i < SONO_AGREEMENT_INTS; i++)
        row[i] = 0;
    row[SONO_AGREEMENT_IOU] = best < 0 ? -1 : (int32_t)(1000 * worths[best].n_both / worths[best].n_either);
    row[SONO_AGREEMENT_SURFACE] = best < 0 ? -1 : worths[best].surface;
    row[SONO_AGREEMENT_MOVED_X] = best < 0 ? 0 : moves[best].moved_x;
    row[SONO_AGREEMENT_MOVED_Y] = best < 0 ? 0 : moves[best].moved_y;
}

/* Which frame of a batch is the one before frame i; -1: the one that was kept. */
SONO_AGREE_FN int32_t agree_before(const sono_frame_header *headers, int32_t i)
{
    while (--i >= 0 && headers[i].stream == SONO_STREAM_NO_FRAME)
        ;
    return i;
}

/* Whether two frames are neighbours that can be compared. before: all 0 = there is none. */
SONO_AGREE_FN int agree_is_pair(const sono_frame_header *before, const sono_frame_header *now)
{
    return now->stream == SONO_STREAM_GOES_ON && before->width_px == now->width_px &&
           before->height_px == now->height_px;
}

#endif
