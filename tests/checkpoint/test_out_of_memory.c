// SPDX-License-Identifier: Apache-2.0
/* Every allocation of opening, binding and converting fails once: an error, nothing lost (ASan looks), no
 * crash. */
#include "base/alloc.h"
#include "nets/bind.h"
#include "nets/model.h"
#include "small_model.h"
#include "support/safetensors_file.h"
#include "test.h"

#include <string.h>

static char in[SONO_TEST_PATH_BYTES], out[SONO_TEST_PATH_BYTES];

static sono_status open_and_bind(sono_error *error)
{
    sono_checkpoint *checkpoint = NULL;
    sono_binder *binder = NULL;
    float values[128];
    sono_status status = sono_checkpoint_open(in, &checkpoint, error);
    if (status == SONO_STATUS_OK)
        status = sono_binder_open(checkpoint, &binder, error);
    if (status == SONO_STATUS_OK)
        status = sono_bind_f32(binder, "backbone.stem.stem4.conv.weight", 2, (const int64_t[]){16, 8}, values,
                               error);
    if (status == SONO_STATUS_OK) {
        sono_bind_ignore(binder, "*");
        status = sono_bind_finish(binder, error);
    }
    sono_binder_close(binder);
    sono_checkpoint_close(checkpoint);
    return status;
}

static sono_status convert(sono_error *error)
{
    sono_checkpoint *checkpoint = NULL;
    sono_status status = sono_checkpoint_open(in, &checkpoint, error);
    if (status == SONO_STATUS_OK)
        status = sono_model_write(checkpoint, out, SONO_PRECISION_FP16, SONO_FAMILY_AUTO, error);
    sono_checkpoint_close(checkpoint);
    return status;
}

static void fail_each(sono_status (*work)(sono_error *))
{
    sono_error error = {0};
    uint64_t n = 0;
    sono_status status = SONO_STATUS_OUT_OF_MEMORY;
    while (status == SONO_STATUS_OUT_OF_MEMORY) {
        error = (sono_error){0};
        sono_alloc_fail_from(++n);
        status = work(&error);
        sono_alloc_fail_from(0);
        if (status == SONO_STATUS_OUT_OF_MEMORY)
            assert_int_equal(error.status, SONO_STATUS_OUT_OF_MEMORY);
    }
    assert_ok(status, &error);
    assert_true(n > 10);
}

static void torch_file(void **state)
{
    (void)state;
    small_model model;
    small_model_init(&model);
    const torch_file_options options = {
        .wrapping = TORCH_FILE_TRAINING, .rebuild = TORCH_FILE_PARAMETER, .loose = 1, .deflate = 1};
    sono_test_path(in, sizeof in, "in.pth");
    sono_test_path(out, sizeof out, "out.safetensors");
    assert_ok(torch_file_write(in, model.tensors, SMALL_MODEL_TENSORS, &options), NULL);
    fail_each(open_and_bind);
    fail_each(convert);
}

static void safetensors_file(void **state)
{
    (void)state;
    small_model model;
    small_model_init(&model);
    sono_test_path(in, sizeof in, "in.safetensors");
    sono_test_path(out, sizeof out, "out.safetensors");
    assert_ok(safetensors_write(in, model.tensors, SMALL_MODEL_TENSORS), NULL);
    fail_each(open_and_bind);
    fail_each(convert);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(torch_file), cmocka_unit_test(safetensors_file)};
    return sono_test_run("model/out_of_memory", tests, sizeof tests / sizeof *tests);
}
