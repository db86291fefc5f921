// SPDX-License-Identifier: Apache-2.0
/* The public calls that take frames in device memory. */
#include "pipeline/dlpack.h"
#include "pipeline/pipeline_private.h"
#include "sonoseg/cuda.h"

sono_status sono_pipeline_submit_cuda(sono_pipeline *pipeline, const sono_image *image,
                                      const sono_frame_info *info, struct CUstream_st *stream,
                                      sono_error *error)
{
    sono_frame frame;
    SONO_TRY(sono_frame_read(image, info, &frame, error));
    const sono_pixel_source source = {.on_device = 1, .stream = stream};
    return sono_pipeline_submit_from(pipeline, &frame, &source, error);
}

/* info: what a tensor does not say; NULL = nothing is known. */
static sono_status submit_tensor(sono_pipeline *pipeline, const DLTensor *tensor, const sono_frame_info *info,
                                 const sono_pixel_source *owner, sono_error *error)
{
    sono_pixel_source source = *owner;
    sono_frame frame;
    sono_frame_init(&frame);
    SONO_TRY(sono_frame_info_read(info, &frame.info, error));
    SONO_TRY(sono_frame_from_dlpack(tensor, &frame.image, &source.on_device, error));
    return sono_pipeline_submit_from(pipeline, &frame, &source, error);
}

static void release_plain(void *tensor)
{
    DLManagedTensor *self = tensor;
    if (self->deleter)
        self->deleter(self);
}

static void release_versioned(void *tensor)
{
    DLManagedTensorVersioned *self = tensor;
    if (self->deleter)
        self->deleter(self);
}

sono_status sono_pipeline_submit_dlpack(sono_pipeline *pipeline, DLManagedTensor *tensor,
                                        const sono_frame_info *info, struct CUstream_st *stream,
                                        sono_error *error)
{
    if (!tensor)
        return SONO_FAIL(error, INVALID_ARGUMENT, "the tensor is NULL");
    const sono_pixel_source owner = {.stream = stream, .release = release_plain, .tensor = tensor};
    return submit_tensor(pipeline, &tensor->dl_tensor, info, &owner, error);
}

sono_status sono_pipeline_submit_dlpack_versioned(sono_pipeline *pipeline, DLManagedTensorVersioned *tensor,
                                                  const sono_frame_info *info, struct CUstream_st *stream,
                                                  sono_error *error)
{
    if (!tensor)
        return SONO_FAIL(error, INVALID_ARGUMENT, "the tensor is NULL");
    if (tensor->version.major != DLPACK_MAJOR_VERSION)
        return SONO_FAIL(error, UNSUPPORTED, "a tensor of DLPack %u.%u: %d is understood",
                         (unsigned)tensor->version.major, (unsigned)tensor->version.minor,
                         DLPACK_MAJOR_VERSION);
    const sono_pixel_source owner = {.stream = stream, .release = release_versioned, .tensor = tensor};
    return submit_tensor(pipeline, &tensor->dl_tensor, info, &owner, error);
}
