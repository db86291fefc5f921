// SPDX-License-Identifier: Apache-2.0
/*
 * The CUDA kernels' launchers: one an op kind, one .cu file an op family with the base name of its CPU twin.
 * C and CUDA C. A launcher puts its work on call->stream and returns what cudaGetLastError() says; it never
 * waits, allocates or copies, and it may be captured into a graph: everything that changes from frame to
 * frame is read from device memory when the kernel runs.
 *
 * Element types. In fp16 mode activations are F16 and those marked precise F32; in fp32 mode all are F32.
 * Inputs and outputs of an op may differ: a launcher looks at each tensor's dtype. Sums, statistics, softmax
 * and everything between load and store are float32. Results must not depend on the run: no floating-point
 * atomics.
 *
 * Parameters arrive as F32 in the layout the op list gives, except the weight of CONV and LINEAR whose x is
 * F16: it is F16, K-major: [c_out rounded up to SONO_CUDA_PACK_N][K rounded up to SONO_CUDA_PACK_K],
 * zero-filled, K = (ky, kx, ci) with ci fastest; the tensor's pitch is the padded K, its c is c_out, its w
 * the true K.
 */
#ifndef SONO_ENGINE_CUDA_KERNELS_KERNELS_H
#define SONO_ENGINE_CUDA_KERNELS_KERNELS_H

#include "graph/program.h"

#include <cuda_runtime_api.h>

#define SONO_CUDA_PACK_N 128
#define SONO_CUDA_PACK_K 64

/* A tensor with its device memory: element (n, y, x, c) at data + n * batch_stride + (y * w + x) * pitch + c.
 */
typedef struct sono_cuda_tensor {
    void *data; /* NULL = not given */
    sono_dtype dtype;
    int32_t n, h, w, c;
    int64_t pitch, batch_stride;
} sono_cuda_tensor;

typedef struct sono_cuda_call {
    const sono_op *op;
    sono_cuda_tensor in[SONO_OP_MAX_IN];
    sono_cuda_tensor out[SONO_OP_MAX_OUT];
    cudaStream_t stream;
    void *scratch; /* 256-byte aligned device memory, contents undefined, this op's alone while it runs */
    size_t scratch_bytes; /* at least what the op's scratch function asked for */
    int32_t n_multiprocessors;
    int32_t compute_capability; /* 75, 80, 86, 89, 90, 100, 120 */
} sono_cuda_call;

typedef struct sono_cuda_kernel {
    cudaError_t (*run)(const sono_cuda_call *call);
    size_t (*scratch)(const sono_cuda_call *call); /* data pointers NULL; NULL = no scratch */
} sono_cuda_kernel;

/* By op kind. */
extern const sono_cuda_kernel sono_cuda_kernels[SONO_OP_COUNT];

#ifdef __cplusplus
extern "C" {
#endif

cudaError_t sono_cuda_preprocess(const sono_cuda_call *call);
size_t sono_cuda_preprocess_scratch(const sono_cuda_call *call);
cudaError_t sono_cuda_conv(const sono_cuda_call *call); /* CONV and LINEAR */
size_t sono_cuda_conv_scratch(const sono_cuda_call *call);
cudaError_t sono_cuda_dwconv(const sono_cuda_call *call);
cudaError_t sono_cuda_max_pool(const sono_cuda_call *call);
cudaError_t sono_cuda_upsample2(const sono_cuda_call *call);
cudaError_t sono_cuda_layer_norm(const sono_cuda_call *call);
cudaError_t sono_cuda_gated_norm(const sono_cuda_call *call);
cudaError_t sono_cuda_add(const sono_cuda_call *call);
cudaError_t sono_cuda_scale_rows(const sono_cuda_call *call);
cudaError_t sono_cuda_unary(const sono_cuda_call *call);
cudaError_t sono_cuda_attention(const sono_cuda_call *call);
size_t sono_cuda_attention_scratch(const sono_cuda_call *call);
cudaError_t sono_cuda_deform(const sono_cuda_call *call);
cudaError_t sono_cuda_topk_rows(const sono_cuda_call *call);
size_t sono_cuda_topk_rows_scratch(const sono_cuda_call *call);
cudaError_t sono_cuda_fdr_box(const sono_cuda_call *call);
cudaError_t sono_cuda_lqe_stat(const sono_cuda_call *call);
cudaError_t sono_cuda_select(const sono_cuda_call *call);
cudaError_t sono_cuda_prompt(const sono_cuda_call *call);
cudaError_t sono_cuda_hyper_mask(const sono_cuda_call *call);
cudaError_t sono_cuda_upsample_mask(const sono_cuda_call *call);
size_t sono_cuda_upsample_mask_scratch(const sono_cuda_call *call);
cudaError_t sono_cuda_weight_maps(const sono_cuda_call *call);
size_t sono_cuda_weight_maps_scratch(const sono_cuda_call *call);

#ifdef __cplusplus
}
#endif
#endif
