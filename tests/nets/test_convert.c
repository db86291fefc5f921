// SPDX-License-Identifier: Apache-2.0
#include "base/alloc.h"
#include "checkpoint/checkpoint.h"
#include "checkpoint/file_writer.h"
#include "nets/model.h"
#include "base/sha256.h"
#include "small_model.h"
#include "sonoseg/models.h"
#include "test.h"

#include <dirent.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

typedef struct paths {
    char in[SONO_TEST_PATH_BYTES], out[SONO_TEST_PATH_BYTES], again[SONO_TEST_PATH_BYTES];
} paths;

static void set_paths(paths *p)
{
    sono_test_path(p->in, sizeof p->in, "in.pth");
    sono_test_path(p->out, sizeof p->out, "out.safetensors");
    sono_test_path(p->again, sizeof p->again, "again.safetensors");
}

static void write_small(const paths *p, const small_model *model)
{
    const torch_file_options options = {.wrapping = TORCH_FILE_EMA};
    assert_ok(torch_file_write(p->in, model->tensors, SMALL_MODEL_TENSORS, &options), NULL);
}

/* The few tensors of a small model are no whole network, which sono_model_convert() may ask for. */
static sono_status convert(const char *in, const char *out, sono_precision precision, sono_error *error)
{
    sono_checkpoint *checkpoint = NULL;
    assert_ok(sono_checkpoint_open(in, &checkpoint, error), error);
    const sono_status status = sono_model_write(checkpoint, out, precision, SONO_FAMILY_AUTO, error);
    sono_checkpoint_close(checkpoint);
    return status;
}

static void assert_same_file(const char *a, const char *b)
{
    size_t n_a = 0, n_b = 0;
    uint8_t *bytes_a = sono_test_read_file(a, &n_a), *bytes_b = sono_test_read_file(b, &n_b);
    assert_int_equal(n_a, n_b);
    assert_memory_equal(bytes_a, bytes_b, n_a);
    sono_free(bytes_a);
    sono_free(bytes_b);
}

static void assert_nothing_left_behind(void)
{
    DIR *folder = opendir(sono_test_folder());
    assert_non_null(folder);
    for (const struct dirent *entry = readdir(folder); entry; entry = readdir(folder))
        assert_null(strstr(entry->d_name, ".partial"));
    closedir(folder);
}

static void every_tensor_survives(void **state)
{
    (void)state;
    static const sono_dtype dtypes[] = {SONO_DTYPE_F32, SONO_DTYPE_F16};
    paths p;
    small_model model;
    set_paths(&p);
    small_model_init(&model);
    write_small(&p, &model);
    for (int precision = SONO_PRECISION_FP32; precision <= SONO_PRECISION_FP16; precision++) {
        sono_error error = {0};
        sono_model_info info;
        sono_checkpoint *checkpoint = NULL;
        char hash[65];
        size_t n = 0;
        assert_ok(convert(p.in, p.out, (sono_precision)precision, &error), &error);
        assert_ok(convert(p.in, p.again, (sono_precision)precision, &error), &error);
        assert_same_file(p.out, p.again);
        assert_ok(sono_model_inspect(p.in, &info, &error), &error);
        assert_string_equal(info.container, "pytorch zip");
        assert_string_equal(info.dtype, "F32");
        uint8_t *bytes = sono_test_read_file(p.in, &n);
        sono_sha256_hex(bytes, n, hash);
        sono_free(bytes);
        assert_string_equal(info.sha256, hash);
        assert_int_equal(info.file_bytes, n);
        assert_ok(sono_checkpoint_open(p.out, &checkpoint, &error), &error);
        assert_int_equal(sono_checkpoint_n_tensors(checkpoint), SMALL_MODEL_TENSORS);
        assert_string_equal(sono_checkpoint_metadata(checkpoint, "format"), "pt");
        assert_string_equal(sono_checkpoint_metadata(checkpoint, "sonoseg.architecture"), "dfine-s");
        assert_string_equal(sono_checkpoint_metadata(checkpoint, "sonoseg.classes"), "2");
        assert_string_equal(sono_checkpoint_metadata(checkpoint, "sonoseg.input_px"), "640");
        assert_string_equal(sono_checkpoint_metadata(checkpoint, "sonoseg.source_sha256"), hash);
        assert_string_equal(sono_checkpoint_metadata(checkpoint, "sonoseg.precision"),
                            precision == SONO_PRECISION_FP16 ? "fp16" : "fp32");
        for (int i = 0; i < SMALL_MODEL_TENSORS; i++) {
            float values[256];
            const sono_checkpoint_tensor *tensor = sono_checkpoint_find(checkpoint, model.tensors[i].name);
            assert_non_null(tensor);
            assert_ok(sono_checkpoint_read_f32(tensor, values, &error), &error);
            if (i == SMALL_MODEL_REG_SCALE) {
                assert_int_equal(tensor->dtype, SONO_DTYPE_I64);
                assert_true(values[0] == 4);
                continue;
            }
            assert_int_equal(tensor->dtype, dtypes[precision]);
            assert_memory_equal(values, model.tensors[i].data,
                                (size_t)sono_checkpoint_tensor_count(tensor) * sizeof *values);
        }
        sono_checkpoint_close(checkpoint);
        assert_ok(sono_model_inspect(p.out, &info, &error), &error);
        assert_string_equal(info.container, "safetensors");
        assert_string_equal(info.dtype, precision == SONO_PRECISION_FP16 ? "F16" : "F32");
    }
    assert_nothing_left_behind();
}

/* A value that does not fit, a NaN, a folder that is not there: the file that was there stays. */
static void failures_leave_the_target_alone(void **state)
{
    (void)state;
    static const char old[] = "what was there before";
    paths p;
    small_model model;
    sono_error error = {0};
    set_paths(&p);
    sono_test_write_file(p.out, old, sizeof old);
    sono_test_write_file(p.again, old, sizeof old);
    small_model_init(&model);
    model.values[200] = 65505;
    write_small(&p, &model);
    assert_status(SONO_STATUS_UNSUPPORTED, convert(p.in, p.out, SONO_PRECISION_FP16, &error), &error);
    assert_non_null(strstr(error.text, "holds 65505, which does not fit F16"));
    assert_non_null(strstr(error.text, "in.pth"));
    assert_same_file(p.out, p.again);
    model.values[200] = NAN;
    write_small(&p, &model);
    assert_status(SONO_STATUS_FORMAT, convert(p.in, p.out, SONO_PRECISION_FP32, &error), &error);
    assert_non_null(strstr(error.text, "holds NaN"));
    assert_same_file(p.out, p.again);
    small_model_init(&model);
    write_small(&p, &model);
    sono_test_path(p.again, sizeof p.again, "absent/out.safetensors");
    assert_status(SONO_STATUS_IO, convert(p.in, p.again, SONO_PRECISION_FP32, &error), &error);
    assert_non_null(strstr(error.text, "absent/out.safetensors: cannot create: No such file"));
    assert_status(SONO_STATUS_IO, convert(p.in, sono_test_folder(), SONO_PRECISION_FP32, &error), &error);
    assert_status(SONO_STATUS_INVALID_ARGUMENT,
                  sono_model_convert(p.in, NULL, SONO_PRECISION_FP32, SONO_FAMILY_AUTO, &error), &error);
    assert_nothing_left_behind();
}

static void a_file_can_replace_itself(void **state)
{
    (void)state;
    paths p;
    small_model model;
    sono_error error = {0};
    sono_model_info info;
    set_paths(&p);
    small_model_init(&model);
    write_small(&p, &model);
    assert_ok(convert(p.in, p.in, SONO_PRECISION_FP16, &error), &error);
    assert_ok(sono_model_inspect(p.in, &info, &error), &error);
    assert_string_equal(info.container, "safetensors");
}

/* Anchors are infinite where D-FINE masks them out (src/zoo/dfine/dfine_decoder.py:752 @ 4a1f73a), and stay
 * F32: rounded to F16 they would move boxes. */
static void anchors_stay_as_they_are(void **state)
{
    (void)state;
    paths p;
    small_model model;
    sono_error error = {0};
    sono_checkpoint *checkpoint = NULL;
    static float anchors[8400 * 4];
    set_paths(&p);
    small_model_init(&model);
    anchors[0] = INFINITY;
    anchors[1] = NAN;
    anchors[2] = 3.4e38f;
    model.tensors[8] =
        (torch_file_tensor){.name = "decoder.anchors", .n_dims = 3, .dims = {1, 8400, 4}, .data = anchors};
    write_small(&p, &model);
    assert_ok(convert(p.in, p.out, SONO_PRECISION_FP16, &error), &error);
    assert_ok(sono_checkpoint_open(p.out, &checkpoint, &error), &error);
    const uint8_t *data = sono_checkpoint_find(checkpoint, "decoder.anchors")->data;
    assert_memory_equal(data, anchors, sizeof anchors);
    sono_checkpoint_close(checkpoint);
}

static void tensors_are_listed(void **state)
{
    (void)state;
    paths p;
    small_model model;
    sono_error error = {0};
    char text[4096] = "";
    set_paths(&p);
    small_model_init(&model);
    write_small(&p, &model);
    FILE *stream = tmpfile();
    assert_non_null(stream);
    assert_ok(sono_model_list_tensors(p.in, stream, &error), &error);
    rewind(stream);
    assert_true(fread(text, 1, sizeof text - 1, stream) > 0);
    fclose(stream);
    assert_ptr_equal(strstr(text, "backbone.stem.stem1.conv.weight  F32 [16, 3, 3, 1]\n"), text);
    assert_non_null(strstr(text, "\ndecoder.reg_scale  I64 [1]\n"));
    stream = fopen("/dev/full", "w");
    if (stream) {
        assert_status(SONO_STATUS_IO, sono_model_list_tensors(p.in, stream, &error), &error);
        fclose(stream);
    }
}

static void metadata_is_listed(void **state)
{
    (void)state;
    static const char text[] = "{\"__metadata__\":{\"note\":\"a\\n\\u001b[1mb\",\"licence_of_all\":\"7\"},"
                               "\"tensor\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}";
    uint8_t bytes[8 + sizeof text - 1 + 4] = {sizeof text - 1};
    paths p;
    sono_error error = {0};
    char *list = NULL;
    size_t n_bytes = 0;
    set_paths(&p);
    memcpy(bytes + 8, text, sizeof text - 1);
    sono_test_write_file(p.out, bytes, sizeof bytes);
    FILE *stream = open_memstream(&list, &n_bytes);
    assert_ok(sono_model_list_metadata(p.out, stream, &error), &error);
    fclose(stream);
    assert_string_equal(list, "note          a??[1mb\nlicence_of_all  7\n");
    free(list);
}

/* What a killed conversion left is gone after the next one; what another still writes, and other files, stay.
 */
static void remainders_go_away(void **state)
{
    (void)state;
    static const char *const names[] = {".partial-1-0", ".partial-2-0", ".partial-1-mine"};
    char found[3][SONO_TEST_PATH_BYTES + 32];
    paths p;
    sono_error error = {0};
    sono_file_writer writer;
    set_paths(&p);
    for (int i = 0; i < 3; i++) {
        snprintf(found[i], sizeof found[i], "%s%s", p.out, names[i]);
        sono_test_write_file(found[i], "half", 4);
    }
    const int other = open(found[1], O_WRONLY | O_CLOEXEC);
    assert_int_equal(flock(other, LOCK_EX | LOCK_NB), 0);
    assert_ok(sono_file_writer_open(&writer, p.out, &error), &error);
    assert_ok(sono_file_writer_write(&writer, "whole", 5, &error), &error);
    assert_ok(sono_file_writer_commit(&writer, &error), &error);
    assert_int_not_equal(access(found[0], F_OK), 0);
    assert_int_equal(access(found[1], F_OK) || access(found[2], F_OK), 0);
    close(other);
    assert_int_equal(unlink(found[1]) || unlink(found[2]), 0);
}

static void shared_checkpoint_converts(void **state)
{
    (void)state;
    paths p;
    sono_error error = {0};
    sono_model_info before, after;
    set_paths(&p);
    sono_test_need_shared(p.in, sizeof p.in, "checkpoints/dfine_s_bone.pth");
    assert_ok(sono_model_convert(p.in, p.out, SONO_PRECISION_FP16, SONO_FAMILY_AUTO, &error), &error);
    assert_ok(sono_model_inspect(p.in, &before, &error), &error);
    assert_ok(sono_model_inspect(p.out, &after, &error), &error);
    assert_int_equal(before.n_params, after.n_params);
    assert_true(after.file_bytes < before.file_bytes * 0.51);
    assert_string_equal(after.dtype, "F32+F16");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_tensor_survives),     cmocka_unit_test(failures_leave_the_target_alone),
        cmocka_unit_test(a_file_can_replace_itself), cmocka_unit_test(anchors_stay_as_they_are),
        cmocka_unit_test(tensors_are_listed),        cmocka_unit_test(metadata_is_listed),
        cmocka_unit_test(remainders_go_away),        cmocka_unit_test(shared_checkpoint_converts),
    };
    return sono_test_run("model/convert", tests, sizeof tests / sizeof *tests);
}
