// SPDX-License-Identifier: Apache-2.0
#include "support/safetensors_file.h"

#include "base/alloc.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static void set_length(uint8_t *at, uint64_t length)
{
    for (size_t i = 0; i < 8; i++)
        at[i] = (uint8_t)(length >> 8 * i);
}

uint8_t *safetensors_make(const char *header, const void *data, size_t n_bytes, size_t *file_bytes)
{
    const size_t length = strlen(header);
    uint8_t *bytes = sono_alloc(8 + length + n_bytes);
    if (!bytes)
        return NULL;
    set_length(bytes, length);
    memcpy(bytes + 8, header, length);
    if (data && n_bytes)
        memcpy(bytes + 8 + length, data, n_bytes);
    *file_bytes = 8 + length + n_bytes;
    return bytes;
}

static int64_t bytes_of(const torch_file_tensor *tensor)
{
    int64_t n = (int64_t)sono_dtype_bytes(tensor->dtype);
    for (int32_t i = 0; i < tensor->n_dims; i++)
        n *= tensor->dims[i];
    return n;
}

/* Returns the header's length. */
static size_t print_header(char *out, size_t out_bytes, const torch_file_tensor *tensors, int n_tensors,
                           const char *key, const char *value)
{
    size_t n = (size_t)snprintf(out, out_bytes, "{\"__metadata__\":{\"format\":\"pt\"");
    if (key)
        n += (size_t)snprintf(out + n, out_bytes - n, ",\"%s\":\"%s\"", key, value);
    n += (size_t)snprintf(out + n, out_bytes - n, "}");
    int64_t offset = 0;
    for (int i = 0; i < n_tensors; i++) {
        n += (size_t)snprintf(out + n, out_bytes - n, ",\"%s\":{\"dtype\":\"%s\",\"shape\":[",
                              tensors[i].name, sono_dtype_name(tensors[i].dtype));
        for (int32_t k = 0; k < tensors[i].n_dims; k++)
            n += (size_t)snprintf(out + n, out_bytes - n, "%s%" PRId64, k ? "," : "", tensors[i].dims[k]);
        n += (size_t)snprintf(out + n, out_bytes - n, "],\"data_offsets\":[%" PRId64 ",%" PRId64 "]}", offset,
                              offset + bytes_of(&tensors[i]));
        offset += bytes_of(&tensors[i]);
    }
    return n + (size_t)snprintf(out + n, out_bytes - n, "}");
}

sono_status safetensors_write(const char *path, const torch_file_tensor *tensors, int n_tensors)
{
    return safetensors_write_with(path, tensors, n_tensors, NULL, NULL);
}

sono_status safetensors_write_with(const char *path, const torch_file_tensor *tensors, int n_tensors,
                                   const char *key, const char *value)
{
    const size_t header_bytes = 256 + (size_t)n_tensors * 384;
    char *header = sono_alloc(header_bytes);
    FILE *file = header ? fopen(path, "wb") : NULL;
    if (!file) {
        sono_free(header);
        return header ? SONO_STATUS_IO : SONO_STATUS_OUT_OF_MEMORY;
    }
    uint8_t length[8];
    const size_t n = print_header(header, header_bytes, tensors, n_tensors, key, value);
    set_length(length, n);
    int failed = fwrite(length, 1, 8, file) != 8 || fwrite(header, 1, n, file) != n;
    for (int i = 0; i < n_tensors && !failed; i++)
        failed =
            fwrite(tensors[i].data, 1, (size_t)bytes_of(&tensors[i]), file) != (size_t)bytes_of(&tensors[i]);
    failed |= fclose(file) != 0;
    sono_free(header);
    return failed ? SONO_STATUS_IO : SONO_STATUS_OK;
}
