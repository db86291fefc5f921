// SPDX-License-Identifier: Apache-2.0
/*
 * The CUDA kernels' launchers: one .cu file an op family with the base name of its CPU twin. Which of them
 * runs an op, and what it can be given, is decided at open (choice/).
 * C and CUDA C. A launcher puts its work on call->stream and returns what cudaGetLastError() says; it never
 * waits, allocates or copies, and it may be captured into a graph: everything that changes from frame to
 * frame is read from device memory when the kernel runs.
 *
 * Element types. In fp16 mode activations are F16 and those marked precise F32; in fp32 mode all are F32.
 * Inputs and outputs of an op may differ: a launcher looks at each tensor's dtype. Sums, statistics, softmax
 * and everything between load and store are float32. Results must not depend on the run: no floating-point
 * atomics.
 *
 * Parameters arrive as F32 in the layout that SONO_OP_MAP gives, except for a candidate that wants
 * SONO_CUDA_FORM_PACKED: then the weight is F16, K-major: [c_out rounded up to SONO_CUDA_PACK_N][K rounded up
 * to SONO_CUDA_PACK_K], zero-filled, K = (ky, kx, ci) with ci fastest; the tensor's pitch is the padded K,
 * its c is c_out, its w the true K.
 */
#ifndef SONO_ENGINE_CUDA_KERNELS_KERNELS_H
#define SONO_ENGINE_CUDA_KERNELS_KERNELS_H

#include "engine/cuda/choice/candidates.h"

#include <cuda_runtime_api.h>

#define SONO_CUDA_PACK_N 128
#define SONO_CUDA_PACK_K 64

/* What a candidate needs of CUDA; the rest of it is in choice/candidates.h. */
typedef struct sono_cuda_kernel {
    cudaError_t (*prepare)(const sono_cuda_call *call); /* once an op, at open; NULL = nothing to do */
    cudaError_t (*run)(const sono_cuda_call *call);
} sono_cuda_kernel;

/* By sono_cuda_candidate_id. */
extern const sono_cuda_kernel sono_cuda_kernels[SONO_CUDA_CANDIDATE_COUNT];

#ifdef __cplusplus
extern "C" {
#endif

cudaError_t sono_cuda_find_region(const sono_cuda_call *call);
cudaError_t sono_cuda_preprocess(const sono_cuda_call *call);
cudaError_t sono_cuda_conv_thin(const sono_cuda_call *call); /* CONV and LINEAR */
cudaError_t sono_cuda_conv_tile(const sono_cuda_call *call); /* likewise, every candidate with a tile */
cudaError_t sono_cuda_conv_tile_prepare(const sono_cuda_call *call);
cudaError_t sono_cuda_dwconv(const sono_cuda_call *call); /* every candidate of the kind */
cudaError_t sono_cuda_max_pool(const sono_cuda_call *call);
cudaError_t sono_cuda_upsample2(const sono_cuda_call *call);
cudaError_t sono_cuda_layer_norm(const sono_cuda_call *call);
cudaError_t sono_cuda_gated_norm(const sono_cuda_call *call);
cudaError_t sono_cuda_add(const sono_cuda_call *call);
cudaError_t sono_cuda_scale_rows(const sono_cuda_call *call);
cudaError_t sono_cuda_unary(const sono_cuda_call *call);
cudaError_t sono_cuda_attention_narrow(const sono_cuda_call *call);
cudaError_t sono_cuda_attention_tensor(const sono_cuda_call *call);
cudaError_t sono_cuda_attention_tensor_prepare(const sono_cuda_call *call);
cudaError_t sono_cuda_attention_plain(const sono_cuda_call *call);
cudaError_t sono_cuda_deform(const sono_cuda_call *call);
cudaError_t sono_cuda_topk_rows(const sono_cuda_call *call);
cudaError_t sono_cuda_fdr_box(const sono_cuda_call *call);
cudaError_t sono_cuda_lqe_stat(const sono_cuda_call *call);
cudaError_t sono_cuda_select(const sono_cuda_call *call);
cudaError_t sono_cuda_follow(const sono_cuda_call *call);
cudaError_t sono_cuda_prompt(const sono_cuda_call *call);
cudaError_t sono_cuda_hyper_mask(const sono_cuda_call *call);
cudaError_t sono_cuda_upsample_mask(const sono_cuda_call *call);
cudaError_t sono_cuda_clean_mask(const sono_cuda_call *call);
cudaError_t sono_cuda_mask_profile(const sono_cuda_call *call);
cudaError_t sono_cuda_echo_parts(const sono_cuda_call *call);
cudaError_t sono_cuda_agreement(const sono_cuda_call *call);
cudaError_t sono_cuda_show_mask(const sono_cuda_call *call);
cudaError_t sono_cuda_bridge_mask(const sono_cuda_call *call);
cudaError_t sono_cuda_state(const sono_cuda_call *call);
cudaError_t sono_cuda_schedule(const sono_cuda_call *call);
cudaError_t sono_cuda_doubt(const sono_cuda_call *call);
cudaError_t sono_cuda_surface(const sono_cuda_call *call);
cudaError_t sono_cuda_weight_maps(const sono_cuda_call *call);
cudaError_t sono_cuda_mbconv(const sono_cuda_call *call); /* of an MBConv's last op */
cudaError_t sono_cuda_mbconv_prepare(const sono_cuda_call *call);

/* kernels/sm90/: only in builds for 9.0 (SONO_HAVE_SM90). */
cudaError_t sono_cuda_attention_few(const sono_cuda_call *call);
cudaError_t sono_cuda_chain(const sono_cuda_call *call); /* of a chain's last op */
cudaError_t sono_cuda_chain_prepare(const sono_cuda_call *call);
cudaError_t sono_cuda_norm_linear(const sono_cuda_call *call); /* of the LINEAR */
cudaError_t sono_cuda_norm_linear_prepare(const sono_cuda_call *call);
cudaError_t sono_cuda_mlp(const sono_cuda_call *call); /* of an MLP's last op */
cudaError_t sono_cuda_mlp_prepare(const sono_cuda_call *call);

#ifdef __cplusplus
}
#endif
#endif
