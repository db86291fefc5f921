// SPDX-License-Identifier: Apache-2.0
/*
 * PROMPT: a box as the mask decoder's tokens.
 *
 * detections [N, 1, K, 8], headers, gaussian [1, 1, 2, c/2], corners [1, 1, 2, c], tokens [1, 1, T, c]
 * -> [NK, 1, T + 2, c]: the output tokens, then the top left and the bottom right corner. A corner is sin |
 * cos of 2 pi (point @ gaussian), point in -1..1, plus its learned embedding. Semantics:
 * src/engine/cpu/kernels/prompt.c. A block for a row of the result (blockIdx.x) of an object (blockIdx.y). 7
 * rows of 256: nothing but latency, about 2 us. Test: tests/ops/test_prompt.c.
 */
#include "engine/cuda/kernels/rows.cuh"
#include "engine/frames.h"
#include "engine/letterbox.h"

#define BLOCK 128

typedef struct prompt_args {
    sono_rows detections, gaussian, corners, tokens, out;
    const sono_frame_header *headers;
    int32_t n_objects; /* of a frame */
    int32_t n_tokens, c, image_size;
} prompt_args;

static __device__ __forceinline__ float normalised(float source_px, float scale, float size_px)
{
    return 2.0f * ((source_px * scale + 0.5f) / size_px) - 1.0f;
}

static __global__ void __launch_bounds__(BLOCK) prompt_kernel(const prompt_args args)
{
    const int32_t row = (int32_t)blockIdx.x, corner = row - args.n_tokens, half = args.c / 2;
    const int64_t out_at = sono_rows_at(args.out, blockIdx.y, row);
    if (corner < 0) {
        for (int32_t c = threadIdx.x; c < args.c; c += BLOCK) {
            const float v = sono_rows_value(args.tokens, sono_rows_at(args.tokens, 0, row) + c);
            sono_rows_store<1>(args.out, out_at + c, &v);
        }
        return;
    }
    const int32_t frame = frame_of_object(blockIdx.y, args.n_objects);
    const int32_t longest = longest_side_px(args.headers[frame].width_px, args.headers[frame].height_px);
    const float scale = (float)(args.image_size / (double)longest), size = (float)args.image_size;
    const int64_t box_at = 2 * corner + detection_at(blockIdx.y, args.n_objects, args.detections.pitch,
                                                     args.detections.batch_stride);
    const float x = normalised(sono_rows_value(args.detections, box_at), scale, size);
    const float y = normalised(sono_rows_value(args.detections, box_at + 1), scale, size);
    const int64_t corner_at = sono_rows_at(args.corners, 0, corner);
    for (int32_t i = threadIdx.x; i < half; i += BLOCK) {
        const float gx = sono_rows_value(args.gaussian, i);
        const float gy = sono_rows_value(args.gaussian, args.gaussian.pitch + i);
        const float angle = 6.28318530717958647692f * (x * gx + y * gy);
        const float sine = sinf(angle) + sono_rows_value(args.corners, corner_at + i);
        const float cosine = cosf(angle) + sono_rows_value(args.corners, corner_at + half + i);
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
    args.corners = sono_rows_make(&call->in[3]);
    args.tokens = sono_rows_make(tokens);
    args.out = sono_rows_make(out);
    args.n_tokens = tokens->h * tokens->w;
    args.c = out->c;
    args.image_size = call->op->args.segment.image_size;
    const dim3 grid((unsigned)args.n_tokens + 2, (unsigned)out->n);
    prompt_kernel<<<grid, BLOCK, 0, call->stream>>>(args);
    return cudaGetLastError();
}
