// SPDX-License-Identifier: Apache-2.0
/* Parameters and tensors between float32 and the forms the kernels want. All asynchronous on the stream. */
#ifndef SONO_ENGINE_CUDA_KERNELS_PACK_H
#define SONO_ENGINE_CUDA_KERNELS_PACK_H

#include "engine/cuda/kernels/kernels.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Bytes of a weight [k][c_out] in the packed form of kernels.h. */
size_t sono_cuda_packed_bytes(int64_t k, int32_t c_out);
/* from: float32 [k][c_out] on the device. to: the packed form, padding zeroed. */
cudaError_t sono_cuda_pack_weight(const float *from, int64_t k, int32_t c_out, void *to, cudaStream_t stream);

/* Between dense arrays of count elements; types F32 or F16. */
cudaError_t sono_cuda_convert(const void *from, sono_dtype from_type, void *to, sono_dtype to_type,
                              int64_t count, cudaStream_t stream);

#ifdef __cplusplus
}
#endif
#endif
