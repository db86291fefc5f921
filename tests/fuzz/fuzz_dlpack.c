// SPDX-License-Identifier: Apache-2.0
/*
 * Input: the fields of a DLTensor, little endian, 0 where the input ends: device type, type code, bits, lanes
 * (2 bytes), dimensions, flags, then offset, shape and strides (8 bytes each). A tensor that is taken must be
 * a frame, and reading that frame must stay within the tensor's own elements: they lie in memory of exactly
 * that size. Corpus: made by hand, one file a shape.
 */
#include "base/alloc.h"
#include "pipeline/dlpack.h"
#include "pipeline/frame.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { NO_SHAPE = 1, NO_STRIDES = 2, NO_DATA = 4, MAX_DIMS = 4, MAX_PX = 16384, MAX_BYTES = 1 << 16 };

typedef struct reader {
    const uint8_t *data;
    size_t size;
} reader;

static uint64_t take(reader *r, size_t n_bytes)
{
    uint64_t value = 0;
    for (size_t i = 0; i < n_bytes && r->size; i++, r->size--)
        value |= (uint64_t)*r->data++ << 8 * i;
    return value;
}

static void read_tensor(reader *r, DLTensor *tensor, int64_t shape[MAX_DIMS], int64_t strides[MAX_DIMS])
{
    memset(tensor, 0, sizeof *tensor);
    tensor->device.device_type = (DLDeviceType)(int8_t)take(r, 1);
    tensor->dtype.code = (uint8_t)take(r, 1);
    tensor->dtype.bits = (uint8_t)take(r, 1);
    tensor->dtype.lanes = (uint16_t)take(r, 2);
    tensor->ndim = (int8_t)take(r, 1);
    const uint64_t flags = take(r, 1);
    tensor->byte_offset = take(r, 8);
    for (int i = 0; i < MAX_DIMS; i++)
        shape[i] = (int64_t)take(r, 8);
    for (int i = 0; i < MAX_DIMS; i++)
        strides[i] = (int64_t)take(r, 8);
    tensor->shape = flags & NO_SHAPE ? NULL : shape;
    tensor->strides = flags & NO_STRIDES ? NULL : strides;
    tensor->data = flags & NO_DATA ? NULL : &tensor->data; /* not to be read */
}

__extension__ typedef __int128 wide;

/* Bytes from the tensor's data to the end of its last element; -1 = none, or more than MAX_BYTES. */
static int64_t extent_of(const DLTensor *tensor)
{
    wide last = 0, dense = 1;
    if (tensor->ndim < 0 || tensor->ndim > MAX_DIMS || !tensor->shape || !tensor->data)
        return -1;
    for (int32_t i = tensor->ndim - 1; i >= 0; i--) {
        const int64_t n = tensor->shape[i];
        if (n < 1 || n > INT32_MAX)
            return -1;
        if (n > 1)
            last += (n - 1) * (tensor->strides ? (wide)tensor->strides[i] : dense);
        dense *= n;
    }
    if (last < 0 || last > MAX_BYTES || tensor->byte_offset > MAX_BYTES)
        return -1;
    const int64_t n_bytes =
        (int64_t)tensor->byte_offset + ((int64_t)last + 1) * (tensor->dtype.bits / 8) * tensor->dtype.lanes;
    return n_bytes > MAX_BYTES ? -1 : n_bytes;
}

static void copy_frame(const sono_image *image)
{
    sono_frame_header header;
    sono_frame frame;
    const size_t n_bytes = (size_t)sono_frame_bytes(image);
    uint8_t *pixels = sono_alloc(n_bytes);
    sono_frame_init(&frame);
    frame.image = *image;
    if (pixels)
        sono_frame_store(&frame, 0.3f, 65535, &header, pixels, 0);
    sono_free(pixels);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    reader r = {data, size};
    int64_t shape[MAX_DIMS], strides[MAX_DIMS];
    DLTensor tensor;
    sono_error error;
    sono_image image;
    int32_t on_device = 0;
    sono_image_init(&image);
    read_tensor(&r, &tensor, shape, strides);
    const int64_t n_bytes = extent_of(&tensor);
    void *memory = n_bytes > 0 ? sono_alloc((size_t)n_bytes) : NULL;
    if (memory)
        tensor.data = memory;
    if (sono_frame_from_dlpack(&tensor, &image, &on_device, &error) == SONO_STATUS_OK) {
        const sono_status status = sono_frame_check(&image, MAX_PX, MAX_PX, &error);
        if (status != SONO_STATUS_OK && status != SONO_STATUS_LIMIT)
            __builtin_trap();
        if (status == SONO_STATUS_OK && memory)
            copy_frame(&image);
    }
    sono_free(memory);
    return 0;
}
