// SPDX-License-Identifier: Apache-2.0
#include "base/frame.h"

#include "base/sized.h"

#define LEAST_IMAGE_BYTES (offsetof(sono_image, format) + sizeof(sono_pixel_format))
#define LEAST_INFO_BYTES  offsetof(sono_frame_info, timestamp_ns)

void sono_frame_init(sono_frame *frame)
{
    *frame = (sono_frame){.image = {.struct_size = sizeof frame->image},
                          .info = {.struct_size = sizeof frame->info}};
}

sono_status sono_frame_info_read(const sono_frame_info *info, sono_frame_info *out, sono_error *error)
{
    *out = (sono_frame_info){.struct_size = sizeof *out};
    return info ? sono_sized_read(info, LEAST_INFO_BYTES, out, sizeof *out, "sono_frame_info", error)
                : SONO_STATUS_OK;
}

sono_status sono_frame_read(const sono_image *image, const sono_frame_info *info, sono_frame *out,
                            sono_error *error)
{
    sono_frame_init(out);
    SONO_TRY(sono_sized_read(image, LEAST_IMAGE_BYTES, &out->image, sizeof out->image, "sono_image", error));
    return sono_frame_info_read(info, &out->info, error);
}

sono_status sono_frame_write(const sono_frame *frame, sono_image *image, sono_frame_info *info,
                             sono_error *error)
{
    SONO_TRY(
        sono_sized_write(image, LEAST_IMAGE_BYTES, &frame->image, sizeof frame->image, "sono_image", error));
    if (!info)
        return SONO_STATUS_OK;
    return sono_sized_write(info, LEAST_INFO_BYTES, &frame->info, sizeof frame->info, "sono_frame_info",
                            error);
}
