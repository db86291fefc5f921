// SPDX-License-Identifier: Apache-2.0
/*
 * FOLLOW_BOX: logits [N, 1, Q, classes], boxes [N, 1, Q, 4] cx cy w h in 0..1, headers, detections
 * [N, 1, K, 8] as SELECT_BOXES wrote them, followed U8 [1, 1, 1, 64] -> detections and followed, in place:
 * the query that lies where the frame before had its first box comes first (engine/follow.h), of several the
 * one that SELECT_BOXES would put first. Semantics: src/engine/cpu/kernels/follow.c. Launch: 1 block, a
 * thread a query in rounds, the frames of a batch one after the other. Only what overlaps the box that is
 * followed reads its logits. The best key is a maximum, in which the order of atomics cannot be seen. Test:
 * tests/ops/test_follow.c.
 */
#include "engine/cuda/kernels/rank.cuh"
#include "engine/follow.h"

#define BLOCK 512

typedef struct follow_args {
    sono_rows logits, boxes;
    const sono_frame_header *headers;
    float *detections;
    int64_t detections_pitch, detections_stride; /* a row's, a frame's */
    sono_followed *followed;
    int32_t n_frames, n_queries, n_classes, n_rows;
    sono_machine_rules rules;
} follow_args;

static __device__ __forceinline__ void load_box(const follow_args &p, int32_t n, int32_t q, float box[4])
{
    const int64_t at = sono_rows_at(p.boxes, n, q);
#pragma unroll
    for (int i = 0; i < 4; i++)
        box[i] = sono_rows_value(p.boxes, at + i);
}

/* Rank of a query's best logit, and its class: the lower of equal ones. */
static __device__ __forceinline__ uint32_t best_class(const follow_args &p, int32_t n, int32_t q,
                                                      int32_t *class_id)
{
    const int64_t at = sono_rows_at(p.logits, n, q);
    uint32_t best = 0;
    *class_id = 0;
    for (int32_t c = 0; c < p.n_classes; c++) {
        const uint32_t bits = sono_rank_bits(sono_rows_value(p.logits, at + c));
        if (bits > best) {
            best = bits;
            *class_id = c;
        }
    }
    return best;
}

/* The query's row, and its key in the order of SELECT_BOXES. */
static __device__ __forceinline__ sono_detection detection_of(const follow_args &p, int32_t n, int32_t q,
                                                              const float box[4], uint64_t *key)
{
    int32_t class_id;
    const uint32_t bits = best_class(p, n, q, &class_id);
    *key = sono_rank_key(bits, (uint32_t)q);
    return detection_make(sono_rank_value(bits), class_id, q, box, p.headers + n);
}

/* One thread: the frame's rows and what is kept of them. key: of the query to be first; 0 = none. */
static __device__ void finish_frame(const follow_args &p, int32_t n, uint64_t key, int had_box,
                                    sono_followed *kept)
{
    float *rows = p.detections + n * p.detections_stride;
    if (key) {
        const int32_t q = (int32_t)sono_rank_index(key);
        float box[4];
        load_box(p, n, q, box);
        const sono_detection found = detection_of(p, n, q, box, &key);
        follow_put_first(rows, p.detections_pitch, p.n_rows, &found);
    }
    follow_remember(kept, (const sono_detection *)rows, p.headers + n, had_box);
}

static __global__ void __launch_bounds__(BLOCK) follow_kernel(const follow_args p)
{
    __shared__ sono_followed kept;
    __shared__ unsigned long long best_key;
    if (threadIdx.x == 0) {
        kept = *p.followed;
        best_key = 0;
    }
    for (int32_t n = 0; n < p.n_frames; n++) {
        const sono_frame_header *header = p.headers + n;
        if (header->stream == SONO_STREAM_NO_FRAME)
            continue;
        __syncthreads(); /* kept and best_key are those for this frame */
        const int has_box = follow_has_box(&p.rules, &kept, header);
        const float best = p.detections[n * p.detections_stride + SONO_DETECTION_SCORE];
        for (int32_t q = (int32_t)threadIdx.x; has_box && q < p.n_queries; q += BLOCK) {
            float box[4];
            uint64_t key;
            load_box(p, n, q, box);
            if (!follow_is_near(&kept, box, header))
                continue;
            const sono_detection found = detection_of(p, n, q, box, &key);
            if (follow_takes(&kept, &found, best))
                atomicMax(&best_key, (unsigned long long)key);
        }
        __syncthreads(); /* best_key is found, and the frame's best score is read */
        if (threadIdx.x == 0) {
            finish_frame(p, n, best_key, has_box, &kept);
            best_key = 0;
        }
    }
    if (threadIdx.x == 0)
        *p.followed = kept;
}

extern "C" cudaError_t sono_cuda_follow(const sono_cuda_call *call)
{
    const sono_cuda_tensor *logits = &call->in[0], *out = &call->out[0];
    follow_args p = {};
    p.logits = sono_rows_make(logits);
    p.boxes = sono_rows_make(&call->in[1]);
    p.headers = (const sono_frame_header *)call->in[2].data;
    p.detections = (float *)out->data;
    p.detections_pitch = out->pitch;
    p.detections_stride = out->batch_stride;
    p.followed = (sono_followed *)call->out[1].data;
    p.n_frames = out->n;
    p.n_queries = logits->h * logits->w;
    p.n_classes = logits->c;
    p.n_rows = out->w;
    p.rules = call->op->args.state;
    follow_kernel<<<1, BLOCK, 0, call->stream>>>(p);
    return cudaGetLastError();
}
