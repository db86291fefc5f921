// SPDX-License-Identifier: Apache-2.0
/* Input: a checkpoint file, or the pickle inside one. Corpus: make_checkpoint_corpus.c. */
#include "base/alloc.h"
#include "nets/bind.h"
#include "checkpoint/pickle.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const int64_t max_elements = 1 << 16;

static void use_checkpoint(const sono_checkpoint *checkpoint)
{
    sono_binder *binder = NULL;
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
    if (sono_binder_open(checkpoint, &binder, NULL) == SONO_STATUS_OK) {
        sono_bind_ignore(binder, "*a*.*");
        (void)sono_bind_finish(binder, NULL);
    }
    sono_binder_close(binder);
}

static void use_pickle(const uint8_t *data, size_t size)
{
    sono_pickle pickle;
    sono_pickle_cursor cursor = {0};
    sono_error error;
    uint32_t key = 0, value = 0;
    if (sono_pickle_read(data, size, 0, &pickle, &error) != SONO_STATUS_OK)
        return;
    if (pickle.values[pickle.root].kind == SONO_PICKLE_DICT)
        while (sono_pickle_next_pair(&pickle, pickle.root, &cursor, &key, &value))
            (void)sono_pickle_get(&pickle, value, "module");
    for (size_t i = 1; i < pickle.n_values; i++)
        if (pickle.values[i].kind == SONO_PICKLE_FOREIGN) {
            char name[32];
            (void)sono_pickle_foreign_name(&pickle, (uint32_t)i, name, sizeof name);
        }
    sono_pickle_close(&pickle);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    sono_checkpoint *checkpoint = NULL;
    sono_error error;
    if (size && sono_checkpoint_open_memory(data, size, "input", &checkpoint, &error) == SONO_STATUS_OK)
        use_checkpoint(checkpoint);
    sono_checkpoint_close(checkpoint);
    if (size && data[0] == 0x80)
        use_pickle(data, size);
    return 0;
}
