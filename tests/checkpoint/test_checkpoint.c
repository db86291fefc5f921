// SPDX-License-Identifier: Apache-2.0
#include "base/alloc.h"
#include "checkpoint/checkpoint_private.h"
#include "base/sha256.h"
#include "nets/model.h"
#include "support/safetensors_file.h"
#include "test.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { N_VALUES = 2000 };

static float values[N_VALUES];
static const int64_t integers[2] = {5, -6};
static const uint16_t halves[4] = {0x3c00, 1, 0x7bff, 0x8001};
static const uint16_t bfloats[2] = {0x3fc0, 1};

/* "b" is "a" transposed, in the same storage; "row" is a part of it, "wide" a row that is repeated. */
static const torch_file_tensor mixed[] = {
    {.name = "a", .n_dims = 2, .dims = {40, 50}, .data = values},
    {.name = "b", .n_dims = 2, .dims = {50, 40}, .storage_of = 1, .has_strides = 1, .strides = {1, 50}},
    {.name = "row", .n_dims = 1, .dims = {7}, .storage_of = 1, .offset = 1993},
    {.name = "wide",
     .n_dims = 2,
     .dims = {3, 4},
     .storage_of = 1,
     .offset = 10,
     .has_strides = 1,
     .strides = {0, 2}},
    {.name = "c", .dtype = SONO_DTYPE_I64, .data = integers, .storage_count = 2, .offset = 1},
    {.name = "half", .dtype = SONO_DTYPE_F16, .n_dims = 1, .dims = {4}, .data = halves},
    {.name = "bfloat", .dtype = SONO_DTYPE_BF16, .n_dims = 1, .dims = {2}, .data = bfloats},
    {.name = "none", .n_dims = 2, .dims = {0, 4}, .data = values},
};
enum { N_MIXED = sizeof mixed / sizeof *mixed };

static void read_values(const sono_checkpoint *checkpoint, const char *name, int64_t count, float *out)
{
    sono_error error = {0};
    const sono_checkpoint_tensor *tensor = sono_checkpoint_find(checkpoint, name);
    assert_non_null(tensor);
    assert_int_equal(sono_checkpoint_tensor_count(tensor), count);
    assert_ok(sono_checkpoint_read_f32(tensor, out, &error), &error);
}

static void check_mixed(const char *path)
{
    static float out[N_VALUES];
    sono_error error = {0};
    sono_checkpoint *checkpoint = NULL;
    assert_ok(sono_checkpoint_open(path, &checkpoint, &error), &error);
    assert_string_equal(sono_checkpoint_container(checkpoint), "pytorch zip");
    assert_string_equal(sono_checkpoint_path(checkpoint), path);
    assert_int_equal(sono_checkpoint_n_tensors(checkpoint), N_MIXED);
    assert_string_equal(sono_checkpoint_tensor_at(checkpoint, 1)->name, "b");
    assert_null(sono_checkpoint_tensor_at(checkpoint, N_MIXED));
    assert_null(sono_checkpoint_tensor_at(checkpoint, -1));
    assert_null(sono_checkpoint_find(checkpoint, "decoy"));
    read_values(checkpoint, "a", N_VALUES, out);
    assert_memory_equal(out, values, sizeof values);
    read_values(checkpoint, "b", N_VALUES, out);
    for (int i = 0; i < N_VALUES; i++)
        assert_true(out[i] == values[i % 40 * 50 + i / 40]);
    read_values(checkpoint, "row", 7, out);
    assert_memory_equal(out, values + 1993, 7 * sizeof *out);
    read_values(checkpoint, "wide", 12, out);
    for (int i = 0; i < 12; i++)
        assert_true(out[i] == values[10 + i % 4 * 2]);
    read_values(checkpoint, "c", 1, out);
    assert_true(out[0] == -6);
    read_values(checkpoint, "half", 4, out);
    assert_true(out[0] == 1 && out[1] == 0x1p-24f && out[2] == 65504 && out[3] == -0x1p-24f);
    read_values(checkpoint, "bfloat", 2, out);
    assert_true(out[0] == 1.5f && out[1] == 0x1p-133f);
    read_values(checkpoint, "none", 0, out);
    sono_checkpoint_close(checkpoint);
}

static void torch_files_of_every_kind(void **state)
{
    (void)state;
    static const int32_t protocols[] = {2, 4, 5};
    char path[SONO_TEST_PATH_BYTES];
    sono_test_path(path, sizeof path, "mixed.pt");
    for (int wrapping = TORCH_FILE_BARE; wrapping <= TORCH_FILE_TRAINING; wrapping++)
        for (int i = 0; i < 6 * TORCH_FILE_REBUILD_COUNT; i++) {
            const torch_file_options options = {.wrapping = (torch_file_wrapping)wrapping,
                                                .protocol = protocols[i % 3],
                                                .zip64 = i / 3 % 2,
                                                .rebuild = (torch_file_rebuild)(i / 6)};
            assert_ok(torch_file_write(path, mixed, N_MIXED, &options), NULL);
            check_mixed(path);
        }
}

/* As a zip program packs an archive again, and as a download leaves it with a block's rest behind it. */
static void archives_packed_again(void **state)
{
    (void)state;
    char path[SONO_TEST_PATH_BYTES];
    sono_test_path(path, sizeof path, "again.pt");
    for (int i = 0; i < 8; i++) {
        const torch_file_options options = {.wrapping = TORCH_FILE_TRAINING,
                                            .zip64 = i % 2,
                                            .deflate = i / 2 % 2,
                                            .n_bytes_trailing = i / 4 ? 100000 : 0};
        assert_ok(torch_file_write(path, mixed, N_MIXED, &options), NULL);
        check_mixed(path);
    }
    const torch_file_options options = {.deflate = 1, .n_bytes_trailing = 3};
    assert_ok(torch_file_write(path, mixed, N_MIXED, &options), NULL);
    check_mixed(path);
}

/* Where training code puts a state dict, with what else it keeps in the file. */
static void wrapped_state_dicts(void **state)
{
    (void)state;
    static const char *const wrappers[][2] = {
        {"state_dict", NULL},      {"model_state_dict", NULL}, {"net", NULL},
        {"weights", NULL},         {"ema_state_dict", NULL},   {"ema", NULL},
        {"state_dict", "model"},   {"model", "state_dict"},    {"net", "weights"},
        {"ema", "ema_state_dict"}, {"ema", "module"},          {"model", "model"},
    };
    char path[SONO_TEST_PATH_BYTES], wanted[64];
    sono_error error = {0};
    sono_test_path(path, sizeof path, "wrapped.pt");
    for (size_t i = 0; i < sizeof wrappers / sizeof *wrappers; i++)
        for (int protocol = 2; protocol <= 4; protocol += 2) {
            const torch_file_options options = {
                .protocol = protocol, .wrapper = {wrappers[i][0], wrappers[i][1]}, .extras = 1, .loose = 1};
            sono_checkpoint *checkpoint = NULL;
            assert_ok(torch_file_write(path, mixed, N_MIXED, &options), NULL);
            check_mixed(path);
            assert_ok(sono_checkpoint_open(path, &checkpoint, &error), &error);
            const sono_checkpoint_notes *notes = &checkpoint->notes;
            snprintf(wanted, sizeof wanted, "%s%s%s", wrappers[i][0], wrappers[i][1] ? "." : "",
                     wrappers[i][1] ? wrappers[i][1] : "");
            assert_string_equal(notes->wrapper, wanted);
            assert_int_equal(notes->n_inert, TORCH_FILE_N_INERT + 1); /* one of the loose entries */
            assert_int_equal(notes->n_ignored, TORCH_FILE_N_LOOSE);
            assert_string_equal(notes->ignored, TORCH_FILE_FIRST_LOOSE);
            sono_checkpoint_close(checkpoint);
        }
}

static void loose_entries_are_left_out(void **state)
{
    (void)state;
    char path[SONO_TEST_PATH_BYTES];
    sono_error error = {0};
    sono_checkpoint *checkpoint = NULL;
    const torch_file_options options = {.loose = 1};
    sono_test_path(path, sizeof path, "loose.pt");
    assert_ok(torch_file_write(path, mixed, N_MIXED, &options), NULL);
    check_mixed(path);
    assert_ok(sono_checkpoint_open(path, &checkpoint, &error), &error);
    assert_string_equal(checkpoint->notes.wrapper, "");
    assert_int_equal(checkpoint->notes.n_ignored, TORCH_FILE_N_LOOSE);
    assert_string_equal(checkpoint->notes.inert, "_io.BytesIO");
    sono_checkpoint_close(checkpoint);
}

static void safetensors(void **state)
{
    (void)state;
    static const char header[] =
        " {\"b\\u00e4\\t\\\"\":{\"data_offsets\":[4,12],\"shape\":[2],\"dtype\":\"F32\"},\n"
        "\"s\":{\"dtype\":\"I32\",\"shape\":[],\"data_offsets\":[0,4]},"
        "\"empty\":{\"dtype\":\"BOOL\",\"shape\":[3,0],\"data_offsets\":[4,4]},"
        "\"__metadata__\":{\"k\":\"v\",\"e\":\"\\ud83e\\uddb4\"}}  ";
    static const uint8_t data[12] = {0xff, 0xff, 0xff, 0xff, 0, 0, 0x80, 0x3f, 0, 0, 0, 0xc0};
    size_t n = 0;
    sono_error error = {0};
    sono_checkpoint *checkpoint = NULL;
    uint8_t *file = safetensors_make(header, data, sizeof data, &n);
    assert_status(SONO_STATUS_FORMAT, sono_checkpoint_open_memory(file, n, "t", &checkpoint, &error), &error);
    assert_non_null(strstr(error.text, "control character"));
    sono_free(file);
    char tidy[sizeof header];
    snprintf(tidy, sizeof tidy, "%s", header);
    char *tab = strstr(tidy, "\\t");
    memcpy(tab, "\\/", 2);
    file = safetensors_make(tidy, data, sizeof data, &n);
    assert_ok(sono_checkpoint_open_memory(file, n, "t", &checkpoint, &error), &error);
    assert_string_equal(sono_checkpoint_container(checkpoint), "safetensors");
    assert_int_equal(sono_checkpoint_n_tensors(checkpoint), 3);
    assert_string_equal(sono_checkpoint_metadata(checkpoint, "k"), "v");
    assert_string_equal(sono_checkpoint_metadata(checkpoint, "e"), "\xf0\x9f\xa6\xb4");
    assert_null(sono_checkpoint_metadata(checkpoint, "x"));
    float out[2];
    read_values(checkpoint, "b\xc3\xa4/\"", 2, out);
    assert_true(out[0] == 1 && out[1] == -2);
    read_values(checkpoint, "s", 1, out);
    assert_true(out[0] == -1);
    assert_status(SONO_STATUS_UNSUPPORTED,
                  sono_checkpoint_read_f32(sono_checkpoint_find(checkpoint, "empty"), out, &error), &error);
    sono_checkpoint_close(checkpoint);
    sono_free(file);
}

enum { N_KEYS = 5000, DEPTH = 125 };

/* Opens a header with the tensor "a" of 4 bytes behind it. */
static sono_status open_header(const char *header, size_t header_bytes, sono_checkpoint **checkpoint,
                               sono_error *error)
{
    static uint8_t file[1 << 18];
    assert_true(header_bytes + 12 <= sizeof file);
    memset(file, 0, sizeof file);
    for (size_t i = 0; i < 8; i++)
        file[i] = (uint8_t)(header_bytes >> 8 * i);
    memcpy(file + 8, header, header_bytes);
    return sono_checkpoint_open_memory(file, header_bytes + 12, "t", checkpoint, error);
}

#define A "\"a\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4]}"

/* What the reference reader (safetensors 0.8.0) takes. */
static void safetensors_as_the_reference_reads_them(void **state)
{
    (void)state;
    static const char *const headers[] = {
        "{\"__metadata__\":null," A "}",
        " \r\n\t{" A "} \n",
        "{\"a\":{\"new\":{\"x\":[-1.5e+3,0,null,true,false,\"s\",{}]},\"dtype\":\"F32\",\"shape\":[],"
        "\"more\":[],"
        "\"more\":[],\"data_offsets\":[0,4]}}",
        "{\"__metadata__\":{\"k\":\"1\",\"l\":\"x\",\"k\":\"2\",\"k\":\"3\"}," A "}",
    };
    sono_error error = {0};
    sono_checkpoint *checkpoint = NULL;
    for (size_t i = 0; i < sizeof headers / sizeof *headers; i++) {
        assert_ok(open_header(headers[i], strlen(headers[i]), &checkpoint, &error), &error);
        assert_non_null(sono_checkpoint_find(checkpoint, "a"));
        if (strstr(headers[i], "\"k\"")) {
            assert_int_equal(checkpoint->n_metadata, 2);
            assert_string_equal(checkpoint->metadata[0].key, "l");
            assert_string_equal(sono_checkpoint_metadata(checkpoint, "k"), "3");
        }
        sono_checkpoint_close(checkpoint);
    }
}

static void safetensors_with_many_keys(void **state)
{
    (void)state;
    static char header[1 << 17];
    sono_error error = {0};
    sono_checkpoint *checkpoint = NULL;
    size_t n = (size_t)snprintf(header, sizeof header, "{\"__metadata__\":{");
    for (int i = 0; i < N_KEYS; i++)
        n += (size_t)snprintf(header + n, sizeof header - n, "%s\"k%d\":\"%d\"", i ? "," : "", i, i);
    n += (size_t)snprintf(header + n, sizeof header - n, "}," A "}");
    assert_ok(open_header(header, n, &checkpoint, &error), &error);
    assert_int_equal(checkpoint->n_metadata, N_KEYS);
    assert_string_equal(sono_checkpoint_metadata(checkpoint, "k4999"), "4999");
    sono_checkpoint_close(checkpoint);
}

/* And what it refuses: a field nested too deep, blanks that are none. */
static void safetensors_that_the_reference_refuses(void **state)
{
    (void)state;
    char header[512], brackets[2 * DEPTH + 3];
    sono_error error = {0};
    sono_checkpoint *checkpoint = NULL;
    for (int depth = DEPTH; depth <= DEPTH + 1; depth++) {
        memset(brackets, '[', (size_t)depth);
        memset(brackets + depth, ']', (size_t)depth);
        brackets[2 * depth] = 0;
        const int n =
            snprintf(header, sizeof header,
                     "{\"a\":{\"x\":%s,\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4]}}", brackets);
        const sono_status status = open_header(header, (size_t)n, &checkpoint, &error);
        assert_status(depth == DEPTH ? SONO_STATUS_OK : SONO_STATUS_FORMAT, status, &error);
        if (status == SONO_STATUS_OK)
            sono_checkpoint_close(checkpoint);
    }
    assert_non_null(strstr(error.text, "nested deeper than 127 levels"));
    static const char padded[] = "{" A "}\0\0\0";
    assert_status(SONO_STATUS_FORMAT, open_header(padded, sizeof padded - 1, &checkpoint, &error), &error);
    assert_non_null(strstr(error.text, "something follows the header's '}'"));
}

static void values_that_are_not_finite(void **state)
{
    (void)state;
    float bad[6] = {0, 1, NAN, INFINITY, 4, 5};
    sono_error error = {0};
    sono_checkpoint_tensor tensor = {
        .name = "w", .n_dims = 2, .dims = {2, 3}, .strides = {3, 1}, .data = (void *)bad};
    float out[6];
    assert_status(SONO_STATUS_FORMAT, sono_checkpoint_read_f32(&tensor, out, &error), &error);
    assert_non_null(strstr(error.text, "'w' holds NaN at index 2"));
    tensor.strides[0] = 1;
    tensor.strides[1] = 3;
    tensor.dims[0] = 3;
    tensor.dims[1] = 2;
    assert_status(SONO_STATUS_FORMAT, sono_checkpoint_read_f32(&tensor, out, &error), &error);
    assert_non_null(strstr(error.text, "'w' holds an infinite value at index 1"));
}

static void paths_that_are_no_files(void **state)
{
    (void)state;
    char path[SONO_TEST_PATH_BYTES];
    sono_error error = {0};
    sono_checkpoint *checkpoint = NULL;
    sono_test_path(path, sizeof path, "absent.pt");
    assert_status(SONO_STATUS_IO, sono_checkpoint_open(path, &checkpoint, &error), &error);
    assert_non_null(strstr(error.text, "absent.pt: cannot open: No such file"));
    assert_int_not_equal(error.native_code, 0);
    assert_status(SONO_STATUS_IO, sono_checkpoint_open(sono_test_folder(), &checkpoint, &error), &error);
    assert_non_null(strstr(error.text, "directory"));
    assert_status(SONO_STATUS_IO, sono_checkpoint_open("/dev/null", &checkpoint, &error), &error);
    sono_test_write_file(path, "", 0);
    assert_status(SONO_STATUS_FORMAT, sono_checkpoint_open(path, &checkpoint, &error), &error);
    assert_non_null(strstr(error.text, "absent.pt: the file is empty"));
    assert_status(SONO_STATUS_INVALID_ARGUMENT, sono_checkpoint_open(NULL, &checkpoint, &error), &error);
    assert_null(checkpoint);
    sono_checkpoint_close(NULL);
}

/* A folder, or a file beside the weights: the message says which file to give. */
/* What was opened can be hashed later, though its name means another file by then. */
static void opened_files_are_kept(void **state)
{
    (void)state;
    static const torch_file_options plain = {0}, packed = {.deflate = 1};
    char path[SONO_TEST_PATH_BYTES], other[SONO_TEST_PATH_BYTES], wanted[65], hash[65];
    sono_checkpoint *checkpoint = NULL;
    sono_error error = {0};
    sono_test_path(path, sizeof path, "kept.pt");
    sono_test_path(other, sizeof other, "other.pt");
    assert_ok(torch_file_write(path, mixed, N_MIXED, &plain), NULL);
    assert_ok(torch_file_write(other, mixed, N_MIXED, &packed), NULL);
    assert_ok(sono_checkpoint_open(path, &checkpoint, &error), &error);
    sono_sha256_hex(checkpoint->bytes, checkpoint->n_bytes, wanted);
    assert_int_equal(rename(other, path), 0);
    const int32_t file = sono_checkpoint_keep_file(checkpoint);
    sono_checkpoint_close(checkpoint);
    assert_true(file >= 0);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(sono_model_hash(file, hash), 0);
        assert_string_equal(hash, wanted);
    }
    assert_int_equal(close(file), 0);
    assert_int_equal(sono_model_hash(file, hash), -1);
}

static void folders_and_their_lists(void **state)
{
    (void)state;
    static const struct {
        const char *file;
        const char *text;
        const char *reason; /* of the folder that holds it and the files before */
    } cases[] = {
        {"config.json", "{\n  \"model_type\": \"d_fine\"\n}\n", "directory: give the checkpoint file in it"},
        {"model.safetensors.index.json", "{\n  \"metadata\": {},\n  \"weight_map\": {}\n}\n",
         "is sharded: save"},
        {"pytorch_model.bin", "x", "directory: give pytorch_model.bin in it"},
        {"model.safetensors", "x", "directory: give model.safetensors in it"},
    };
    char folder[SONO_TEST_PATH_BYTES - 64], path[SONO_TEST_PATH_BYTES];
    sono_error error = {0};
    sono_checkpoint *checkpoint = NULL;
    sono_test_path(folder, sizeof folder, "transformers");
    assert_int_equal(mkdir(folder, 0777), 0);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, cases[i].file);
        sono_test_write_file(path, cases[i].text, strlen(cases[i].text));
        assert_status(SONO_STATUS_IO, sono_checkpoint_open(folder, &checkpoint, &error), &error);
        assert_non_null(strstr(error.text, cases[i].reason));
    }
    snprintf(path, sizeof path, "%s/model.safetensors.index.json", folder);
    assert_status(SONO_STATUS_UNSUPPORTED, sono_checkpoint_open(path, &checkpoint, &error), &error);
    assert_non_null(strstr(error.text, "sharded checkpoint"));
    snprintf(path, sizeof path, "%s/config.json", folder);
    assert_status(SONO_STATUS_UNSUPPORTED, sono_checkpoint_open(path, &checkpoint, &error), &error);
    assert_non_null(strstr(error.text, "give the model.safetensors"));
}

static void shared_checkpoint(const char *relative, int32_t n_tensors, const char *name)
{
    char path[SONO_TEST_PATH_BYTES];
    sono_error error = {0};
    sono_checkpoint *checkpoint = NULL;
    sono_test_need_shared(path, sizeof path, relative);
    assert_ok(sono_checkpoint_open(path, &checkpoint, &error), &error);
    assert_int_equal(sono_checkpoint_n_tensors(checkpoint), n_tensors);
    assert_non_null(sono_checkpoint_find(checkpoint, name));
    for (int32_t i = 0; i < n_tensors; i++) {
        const sono_checkpoint_tensor *tensor = sono_checkpoint_tensor_at(checkpoint, i);
        assert_ptr_equal(sono_checkpoint_find(checkpoint, tensor->name), tensor);
    }
    sono_checkpoint_close(checkpoint);
}

static void shared_detector(void **state)
{
    (void)state;
    shared_checkpoint("checkpoints/dfine_s_bone.pth", 793,
                      "decoder.decoder.layers.2.self_attn.in_proj_weight");
}

static void shared_segmenter(void **state)
{
    (void)state;
    shared_checkpoint("checkpoints/mobile_sam_bone.pt", 439, "mask_decoder.iou_token.weight");
}

int main(void)
{
    for (int i = 0; i < N_VALUES; i++)
        values[i] = (float)(i - 700) * 0.25f;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(torch_files_of_every_kind),
        cmocka_unit_test(archives_packed_again),
        cmocka_unit_test(wrapped_state_dicts),
        cmocka_unit_test(loose_entries_are_left_out),
        cmocka_unit_test(safetensors),
        cmocka_unit_test(safetensors_as_the_reference_reads_them),
        cmocka_unit_test(safetensors_with_many_keys),
        cmocka_unit_test(safetensors_that_the_reference_refuses),
        cmocka_unit_test(values_that_are_not_finite),
        cmocka_unit_test(paths_that_are_no_files),
        cmocka_unit_test(opened_files_are_kept),
        cmocka_unit_test(folders_and_their_lists),
        cmocka_unit_test(shared_detector),
        cmocka_unit_test(shared_segmenter),
    };
    return sono_test_run("model/checkpoint", tests, sizeof tests / sizeof *tests);
}
