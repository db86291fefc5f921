// SPDX-License-Identifier: Apache-2.0
/*
 * PROMPT: a box, points or both as the mask decoder's tokens.
 *
 * detections [N, 1, K, 8], headers, gaussian [1, 1, 2, c/2], embeddings [1, 1, E, c], tokens [1, 1, T, c],
 * points? [N, 1, KP, 4] -> [NK, 1, T + .., c]: the output tokens, then the points, then the top left and the
 * bottom right corner, or without a box one row of "no point". A position is sin | cos of 2 pi
 * (point @ gaussian), point in -1..1, plus its learned embedding. Semantics:
 * src/engine/cpu/kernels/prompt.c. A block for a row of the result (blockIdx.x) of an object (blockIdx.y). 7
 * rows of 256: nothing but latency, about 2 us. Test: tests/ops/test_prompt.c.
 */
#include "engine/cuda/kernels/rows.cuh"
#include "engine/frames.h"
#include "engine/letterbox.h"
#include "engine/region.h"

#define BLOCK 128

typedef struct prompt_args {
    sono_rows detections, gaussian, embeddings, tokens, points, out;
    const sono_frame_header *headers;
    int32_t n_objects; /* of a frame */
    int32_t n_tokens, n_points, has_box, c, image_size;
} prompt_args;

static __device__ __forceinline__ float normalised(float region_px, float scale, float size_px)
{
    return 2.0f * ((region_px * scale + 0.5f) / size_px) - 1.0f;
}

/* One row of the result: a copy of a row (position 0), or an embedding with its position. */
struct prompt_row {
    int32_t embedding; /* row of the embeddings, or where is_token of the output tokens */
    int32_t is_token, has_position;
    float x, y; /* source pixels */
};

static __device__ __forceinline__ prompt_row find_row(const prompt_args &args, int32_t object, int32_t row)
{
    const int32_t first_label = args.has_box ? 2 : 0, i = row - args.n_tokens;
    prompt_row out = {row, 1, 0, 0.0f, 0.0f};
    if (i < 0)
        return out;
    out.is_token = 0;
    if (i < args.n_points) {
        const int64_t at =
            sono_rows_at(args.points, object / args.n_objects, object % args.n_objects * args.n_points + i);
        const float label = sono_rows_value(args.points, at + 2);
        out.has_position = label >= 0.0f;
        out.embedding = first_label + (label > 0.0f ? 2 : label < 0.0f ? 0 : 1);
        out.x = sono_rows_value(args.points, at);
        out.y = sono_rows_value(args.points, at + 1);
    } else if (args.has_box) {
        const int32_t corner = i - args.n_points;
        const int64_t at = 2 * corner + detection_at(object, args.n_objects, args.detections.pitch,
                                                     args.detections.batch_stride);
        out.has_position = 1;
        out.embedding = corner;
        out.x = sono_rows_value(args.detections, at);
        out.y = sono_rows_value(args.detections, at + 1);
    } else {
        out.embedding = 0;
    }
    return out;
}

static __global__ void __launch_bounds__(BLOCK) prompt_kernel(const prompt_args args)
{
    const int32_t half = args.c / 2;
    const int64_t out_at = sono_rows_at(args.out, blockIdx.y, blockIdx.x);
    const prompt_row row = find_row(args, (int32_t)blockIdx.y, (int32_t)blockIdx.x);
    const sono_rows &from = row.is_token ? args.tokens : args.embeddings;
    const int64_t from_at = sono_rows_at(from, 0, row.embedding);
    if (!row.has_position) {
        for (int32_t c = threadIdx.x; c < args.c; c += BLOCK) {
            const float v = sono_rows_value(from, from_at + c);
            sono_rows_store<1>(args.out, out_at + c, &v);
        }
        return;
    }
    const int32_t frame = frame_of_object(blockIdx.y, args.n_objects);
    const region_rect region = region_of(args.headers + frame);
    const int32_t longest = longest_side_px(region.w, region.h);
    const float scale = (float)(args.image_size / (double)longest), size = (float)args.image_size;
    const float x = normalised(region_in(row.x, region.x), scale, size),
                y = normalised(region_in(row.y, region.y), scale, size);
    for (int32_t i = threadIdx.x; i < half; i += BLOCK) {
        const float gx = sono_rows_value(args.gaussian, i);
        const float gy = sono_rows_value(args.gaussian, args.gaussian.pitch + i);
        const float angle = 6.28318530717958647692f * (x * gx + y * gy);
        const float sine = sinf(angle) + sono_rows_value(from, from_at + i);
        const float cosine = cosf(angle) + sono_rows_value(from, from_at + half + i);
        sono_rows_store<1>(args.out, out_at + i, &sine);
        sono_rows_store<1>(args.out, out_at + half + i, &cosine);
    }
}

extern "C" cudaError_t sono_cuda_prompt(const sono_cuda_call *call)
{
    const sono_cuda_tensor *tokens = &call->in[4], *out = &call->out[0];
    prompt_args args = {};
    args.detections = sono_rows_make(&call->in[0]);
    args.headers = (const sono_frame_header *)call->in[1].data;
    args.n_objects = call->in[0].w;
    args.gaussian = sono_rows_make(&call->in[2]);
    args.embeddings = sono_rows_make(&call->in[3]);
    args.has_box = call->in[3].w != 3;
    args.tokens = sono_rows_make(tokens);
    args.out = sono_rows_make(out);
    if (call->in[5].data) {
        args.points = sono_rows_make(&call->in[5]);
        args.n_points = call->in[5].w / call->in[0].w;
    }
    args.n_tokens = tokens->h * tokens->w;
    args.c = out->c;
    args.image_size = call->op->args.segment.image_size;
    const dim3 grid((unsigned)(out->h * out->w), (unsigned)out->n);
    prompt_kernel<<<grid, BLOCK, 0, call->stream>>>(args);
    return cudaGetLastError();
}
