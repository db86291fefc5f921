// SPDX-License-Identifier: Apache-2.0
/* Input: a safetensors header and data; the length in front is put there, so that every input reaches the
 * parser. The input's last byte says how many of its bytes are data. Corpus: make_checkpoint_corpus.c. */
#include "base/alloc.h"
#include "checkpoint/checkpoint.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const int64_t max_elements = 1 << 16;

static void read_all(const sono_checkpoint *checkpoint)
{
    for (int32_t i = 0; i < sono_checkpoint_n_tensors(checkpoint); i++) {
        const sono_checkpoint_tensor *tensor = sono_checkpoint_tensor_at(checkpoint, i);
        const int64_t count = sono_checkpoint_tensor_count(tensor);
        if (count > max_elements)
            continue;
        float *values = sono_alloc_array((size_t)count, sizeof *values);
        if (values)
            (void)sono_checkpoint_read_f32(tensor, values, NULL);
        sono_free(values);
    }
    (void)sono_checkpoint_metadata(checkpoint, "format");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!size)
        return 0;
    const size_t data_bytes = data[size - 1] < size ? data[size - 1] : 0;
    const uint64_t header_bytes = size - data_bytes;
    uint8_t *file = sono_alloc(8 + size);
    sono_checkpoint *checkpoint = NULL;
    sono_error error;
    if (!file)
        return 0;
    for (size_t i = 0; i < 8; i++)
        file[i] = (uint8_t)(header_bytes >> 8 * i);
    memcpy(file + 8, data, size);
    if (sono_checkpoint_open_memory(file, 8 + size, "input", &checkpoint, &error) == SONO_STATUS_OK)
        read_all(checkpoint);
    sono_checkpoint_close(checkpoint);
    sono_free(file);
    return 0;
}
