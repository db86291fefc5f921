// SPDX-License-Identifier: Apache-2.0
#include "pipeline/dlpack.h"

/* Extents and strides (in elements) of rows, columns and channels. */
typedef struct layout {
    int64_t h, w, c;
    int64_t row_stride, column_stride, channel_stride;
} layout;

static sono_status read_device(const DLTensor *tensor, int32_t *on_device, sono_error *error)
{
    switch ((int)tensor->device.device_type) {
    case kDLCPU:
    case kDLCUDAHost:
        *on_device = 0;
        return SONO_STATUS_OK;
    case kDLCUDA:
    case kDLCUDAManaged:
        *on_device = 1;
        return SONO_STATUS_OK;
    default:
        return SONO_FAIL(error, UNSUPPORTED,
                         "a tensor on a device of DLPack's type %d: CPU and CUDA are understood",
                         (int)tensor->device.device_type);
    }
}

/* Stride of dimension i; NULL strides mean row-major. */
static int64_t stride_of(const DLTensor *tensor, int32_t i)
{
    if (tensor->strides)
        return tensor->strides[i];
    int64_t stride = 1;
    for (int32_t k = i + 1; k < tensor->ndim; k++)
        stride *= tensor->shape[k];
    return stride;
}

static sono_status read_layout(const DLTensor *tensor, layout *out, sono_error *error)
{
    const int32_t n = tensor->ndim;
    if (n < 2 || n > 3 || !tensor->shape)
        return SONO_FAIL(error, UNSUPPORTED,
                         "a tensor of %d dimensions: [H, W], [H, W, C] and [1, H, W] are images", n);
    for (int32_t i = 0; i < n; i++)
        if (tensor->shape[i] < 1 || tensor->shape[i] > INT32_MAX)
            return SONO_FAIL(error, INVALID_ARGUMENT, "dimension %d of the tensor is %lld", i,
                             (long long)tensor->shape[i]);
    const int64_t last = tensor->shape[n - 1];
    const int has_channels = n == 3 && (last == 1 || last == 3 || last == 4);
    if (n == 3 && !has_channels && tensor->shape[0] != 1)
        return SONO_FAIL(error, UNSUPPORTED,
                         "[%lld, %lld, %lld]: [H, W, 1], [H, W, 3], [H, W, 4] and [1, H, W] "
                         "are images",
                         (long long)tensor->shape[0], (long long)tensor->shape[1], (long long)last);
    const int32_t rows = n == 3 && !has_channels;
    *out = (layout){.h = tensor->shape[rows],
                    .w = tensor->shape[rows + 1],
                    .c = has_channels ? last : 1,
                    .row_stride = stride_of(tensor, rows),
                    .column_stride = stride_of(tensor, rows + 1),
                    .channel_stride = has_channels ? stride_of(tensor, 2) : 1};
    return SONO_STATUS_OK;
}

/* Strides of dimensions of extent 1 mean nothing. */
static sono_status check_strides(const layout *l, sono_error *error)
{
    if ((l->c > 1 && l->channel_stride != 1) || (l->w > 1 && l->column_stride != l->c))
        return SONO_FAIL(error, UNSUPPORTED,
                         "the pixels of a row must be contiguous: their strides are %lld and %lld",
                         (long long)l->column_stride, (long long)l->channel_stride);
    if (l->h > 1 && (l->row_stride < l->w * l->c || l->row_stride > INT32_MAX))
        return SONO_FAIL(error, UNSUPPORTED, "a row of %lld elements cannot have a stride of %lld",
                         (long long)(l->w * l->c), (long long)l->row_stride);
    return SONO_STATUS_OK;
}

static sono_status read_format(const DLDataType *type, int64_t n_channels, sono_pixel_format *out,
                               sono_error *error)
{
    const int is_unsigned = type->code == kDLUInt && type->lanes == 1;
    if (is_unsigned && type->bits == 16 && n_channels == 1)
        *out = SONO_PIXEL_GRAY16;
    else if (is_unsigned && type->bits == 8)
        *out = n_channels == 4 ? SONO_PIXEL_RGBA8 : n_channels == 3 ? SONO_PIXEL_RGB8 : SONO_PIXEL_GRAY8;
    else
        return SONO_FAIL(
            error, UNSUPPORTED,
            "elements of code %d, %d bits, %d lanes in %lld channels: uint8, and uint16 in one channel, "
            "are pixels",
            type->code, type->bits, type->lanes, (long long)n_channels);
    return SONO_STATUS_OK;
}

/* Whether the last pixel has an address: byte_offset is a number like any other. */
static sono_status check_addresses(const DLTensor *tensor, const layout *l, size_t pitch_bytes,
                                   sono_error *error)
{
    const size_t row_bytes = (size_t)(l->w * l->c) * (tensor->dtype.bits / 8);
    uint64_t end = 0;
    if (__builtin_add_overflow((uint64_t)(uintptr_t)tensor->data, tensor->byte_offset, &end) ||
        __builtin_add_overflow(end, (uint64_t)(l->h - 1) * pitch_bytes + row_bytes, &end) ||
        end > UINTPTR_MAX)
        return SONO_FAIL(error, INVALID_ARGUMENT, "a byte_offset of %llu puts the pixels outside of memory",
                         (unsigned long long)tensor->byte_offset);
    return SONO_STATUS_OK;
}

sono_status sono_frame_from_dlpack(const DLTensor *tensor, sono_image *image, int32_t *on_device,
                                   sono_error *error)
{
    layout l;
    sono_pixel_format format;
    int32_t device;
    if (!tensor->data)
        return SONO_FAIL(error, INVALID_ARGUMENT, "the tensor has no data");
    SONO_TRY(read_device(tensor, &device, error));
    SONO_TRY(read_layout(tensor, &l, error));
    SONO_TRY(check_strides(&l, error));
    SONO_TRY(read_format(&tensor->dtype, l.c, &format, error));
    const size_t pitch_bytes = (size_t)(l.h > 1 ? l.row_stride : l.w * l.c) * (tensor->dtype.bits / 8);
    SONO_TRY(check_addresses(tensor, &l, pitch_bytes, error));
    image->pixels = (const uint8_t *)tensor->data + tensor->byte_offset;
    image->width_px = (int32_t)l.w;
    image->height_px = (int32_t)l.h;
    image->pitch_bytes = pitch_bytes;
    image->format = format;
    *on_device = device;
    return SONO_STATUS_OK;
}
