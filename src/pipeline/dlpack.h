// SPDX-License-Identifier: Apache-2.0
/* Tensors as frames. */
#ifndef SONO_PIPELINE_DLPACK_H
#define SONO_PIPELINE_DLPACK_H

#include "base/status.h"
#include "sonoseg/dlpack.h"
#include "sonoseg/sonoseg.h"

/* Describes a tensor's pixels: sets pixels, width_px, height_px, pitch_bytes and format of *image and leaves
 * the rest. U8 [H, W], [1, H, W], [H, W, 1]: GRAY8; U16 likewise: GRAY16; U8 [H, W, 3]: RGB8; U8 [H, W, 4]:
 * RGBA8. A last dimension of 1, 3 or 4 counts as channels. Rows may be apart; pixels and channels must be
 * contiguous. on_device: whether they are in device memory. Errors: INVALID_ARGUMENT, UNSUPPORTED, LIMIT; the
 * frame itself is still to be checked. */
sono_status sono_frame_from_dlpack(const DLTensor *tensor, sono_image *image, int32_t *on_device,
                                   sono_error *error);

#endif
