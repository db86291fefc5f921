// SPDX-License-Identifier: Apache-2.0
/* Checkpoints with one structure broken: each must fail with its status and one line that names file and
 * reason. */
#include "base/alloc.h"
#include "nets/model.h"
#include "small_model.h"
#include "support/safetensors_file.h"
#include "test.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const struct {
    torch_file_fault fault;
    sono_status status;
    const char *reason;
} torch_cases[] = {
    {TORCH_FILE_NO_END_RECORD, SONO_STATUS_FORMAT, "zip directory not found"},
    {TORCH_FILE_DIRECTORY_OUTSIDE, SONO_STATUS_FORMAT, "zip directory lies outside the file"},
    {TORCH_FILE_DIRECTORY_SIGNATURE, SONO_STATUS_FORMAT,
     "directory entry is truncated or has a wrong signature"},
    {TORCH_FILE_DIRECTORY_COUNT, SONO_STATUS_FORMAT, "directory entry is truncated"},
    /* Deflated entries are read; this one is deflated by the directory and stored by its own header. */
    {TORCH_FILE_ENTRY_DEFLATED, SONO_STATUS_FORMAT,
     "'archive/data/2': local header contradicts the directory"},
    {TORCH_FILE_ENTRY_ENCRYPTED, SONO_STATUS_UNSUPPORTED, "'archive/data/2' is encrypted"},
    {TORCH_FILE_ENTRY_OUTSIDE, SONO_STATUS_FORMAT, "'archive/data/2' lies outside the file"},
    {TORCH_FILE_ENTRY_HUGE, SONO_STATUS_FORMAT, "'archive/data/2'"},
    {TORCH_FILE_ENTRY_OVERLAP, SONO_STATUS_FORMAT, "'archive/data/2'"},
    {TORCH_FILE_ENTRY_TWICE, SONO_STATUS_FORMAT, "'archive/data/2' is there twice"},
    {TORCH_FILE_LOCAL_SIGNATURE, SONO_STATUS_FORMAT, "'archive/data/2': wrong local signature"},
    {TORCH_FILE_LOCAL_NAME, SONO_STATUS_FORMAT, "'archive/data/2': local header contradicts the directory"},
    {TORCH_FILE_NO_PICKLE, SONO_STATUS_FORMAT, "without data.pkl"},
    {TORCH_FILE_BIG_ENDIAN, SONO_STATUS_UNSUPPORTED, "byte order 'big'"},
    {TORCH_FILE_SCRIPT, SONO_STATUS_UNSUPPORTED, "TorchScript"},
    {TORCH_FILE_PICKLE_TRUNCATED, SONO_STATUS_FORMAT, "pickle ends"},
    {TORCH_FILE_UNKNOWN_OPCODE, SONO_STATUS_UNSUPPORTED, "opcode 0xff"},
    {TORCH_FILE_UNKNOWN_CLASS, SONO_STATUS_UNSUPPORTED, "class 'posix.system'"},
    /* An entry that is no tensor is left out, here the dict itself. */
    {TORCH_FILE_CYCLE, SONO_STATUS_OK, ""},
    {TORCH_FILE_DEEP, SONO_STATUS_UNSUPPORTED, "deeper than 1024 levels"},
    {TORCH_FILE_STACK_UNDERFLOW, SONO_STATUS_FORMAT, "empty stack"},
    {TORCH_FILE_MEMO_MISSING, SONO_STATUS_FORMAT, "memo number 299, which was never put"},
    {TORCH_FILE_MEMO_HUGE, SONO_STATUS_FORMAT, "memo number 4294967295 is out of range"},
    {TORCH_FILE_NOT_A_DICT, SONO_STATUS_UNSUPPORTED, "holds no dict"},
    {TORCH_FILE_NO_TENSORS, SONO_STATUS_UNSUPPORTED, "no state dict"},
    {TORCH_FILE_NAME_TWICE, SONO_STATUS_FORMAT, "'encoder.lateral_convs.0.conv.weight' is there twice"},
    {TORCH_FILE_NAME_NOT_TEXT, SONO_STATUS_FORMAT, "a key that is no text"},
    {TORCH_FILE_STRING_HUGE, SONO_STATUS_FORMAT, "pickle ends inside an opcode"},
    {TORCH_FILE_STORAGE_MISSING, SONO_STATUS_FORMAT, "storage data/2 is not in the archive"},
    {TORCH_FILE_STORAGE_SHORT, SONO_STATUS_FORMAT, "holds 1024 bytes instead of 257 F32"},
    {TORCH_FILE_OFFSET_OUTSIDE, SONO_STATUS_FORMAT, "outside its storage of 256 elements"},
    {TORCH_FILE_STRIDE_OUTSIDE, SONO_STATUS_FORMAT, "strides [257, 1]"},
    {TORCH_FILE_STRIDE_NEGATIVE, SONO_STATUS_FORMAT, "negative or no number"},
    {TORCH_FILE_STRIDE_OVERFLOW, SONO_STATUS_FORMAT, "outside its storage"},
    {TORCH_FILE_DIMS_OVERFLOW, SONO_STATUS_FORMAT, "[1099511627776, 1099511627776]"},
    {TORCH_FILE_DIMS_NEGATIVE, SONO_STATUS_FORMAT, "negative or no number"},
    {TORCH_FILE_DIMS_TOO_MANY, SONO_STATUS_UNSUPPORTED, "has 9 dimensions"},
    {TORCH_FILE_DIMS_STRIDES_DIFFER, SONO_STATUS_FORMAT, "has 2 dimensions but 1 strides"},
    {TORCH_FILE_ENTRY_METHOD, SONO_STATUS_UNSUPPORTED, "'archive/data/2' is compressed (method 12)"},
    {TORCH_FILE_UNPACKED_LONG, SONO_STATUS_FORMAT, "'archive/data/2' does not unpack to the 1024 bytes"},
    {TORCH_FILE_UNPACKED_SHORT, SONO_STATUS_FORMAT, "'archive/data/2' does not unpack to the 1024 bytes"},
    {TORCH_FILE_UNPACKED_CRC, SONO_STATUS_FORMAT, "'archive/data/2' does not unpack to the 1024 bytes"},
    {TORCH_FILE_UNPACKED_BOMB, SONO_STATUS_FORMAT, "bytes cannot unpack to 2147483647 bytes"},
    {TORCH_FILE_DEFLATE_BROKEN, SONO_STATUS_FORMAT, "'archive/data/2' does not unpack"},
    {TORCH_FILE_STORAGE_FOREIGN, SONO_STATUS_UNSUPPORTED,
     "'encoder.lateral_convs.0.conv.weight' is of torch.ComplexFloatStorage, which is not read"},
    {TORCH_FILE_DTYPE_FOREIGN, SONO_STATUS_UNSUPPORTED, "is of torch.float8_e4m3fn, which is not read"},
};

/* What `sonoseg inspect` and `convert` do with a file before they believe it. */
static sono_status open_and_check(const char *path, sono_error *error)
{
    sono_checkpoint *checkpoint = NULL;
    sono_status status = sono_checkpoint_open(path, &checkpoint, error);
    if (status == SONO_STATUS_OK)
        status = sono_model_check(checkpoint, error);
    sono_checkpoint_close(checkpoint);
    return status;
}

static void expect_refused(const char *name, sono_status expected, const char *reason)
{
    char path[SONO_TEST_PATH_BYTES];
    sono_error error = {0};
    sono_test_path(path, sizeof path, name);
    const sono_status status = open_and_check(path, &error);
    if (status == SONO_STATUS_OK && expected == SONO_STATUS_OK)
        return;
    if (status != expected || !strstr(error.text, reason) || !strstr(error.text, name) ||
        strchr(error.text, '\n'))
        fail_msg("%s: %s \"%s\", expected %s \"%s\"", name, sono_status_name(status), error.text,
                 sono_status_name(expected), reason);
    assert_int_equal(error.status, expected);
}

static void write_small(const char *name, small_model *model, const torch_file_options *options)
{
    char path[SONO_TEST_PATH_BYTES];
    sono_test_path(path, sizeof path, name);
    assert_ok(torch_file_write(path, model->tensors, SMALL_MODEL_TENSORS, options), NULL);
}

static void torch_files(void **state)
{
    (void)state;
    small_model model;
    small_model_init(&model);
    assert_int_equal(sizeof torch_cases / sizeof *torch_cases, TORCH_FILE_FAULT_COUNT - 1);
    for (size_t i = 0; i < sizeof torch_cases / sizeof *torch_cases; i++)
        for (int protocol = 2; protocol <= 4; protocol += 2) {
            char name[32];
            const torch_file_fault fault = torch_cases[i].fault;
            const torch_file_options options = {
                .protocol = protocol,
                .fault = fault,
                .victim = 2,
                .rebuild = fault == TORCH_FILE_DTYPE_FOREIGN ? TORCH_FILE_TENSOR_V3 : TORCH_FILE_TENSOR,
                .deflate = fault >= TORCH_FILE_UNPACKED_LONG && fault <= TORCH_FILE_DEFLATE_BROKEN};
            snprintf(name, sizeof name, "fault%d_%d.pth", (int)torch_cases[i].fault, protocol);
            write_small(name, &model, &options);
            expect_refused(name, torch_cases[i].status, torch_cases[i].reason);
        }
}

static void torch_values(void **state)
{
    (void)state;
    static const float bad[] = {NAN, INFINITY, -INFINITY};
    small_model model;
    for (size_t i = 0; i < 3; i++) {
        small_model_init(&model);
        model.values[3 + 100] = bad[i];
        write_small("values.pth", &model, NULL);
        expect_refused("values.pth", SONO_STATUS_FORMAT, "holds");
    }
}

static const struct {
    const char *name;
    const char *header;
    size_t data_bytes;
    sono_status status;
    const char *reason;
} safetensors_cases[] = {
    {"not_json", "{x", 0, SONO_STATUS_FORMAT, "JSON: expected '\"'"},
    {"empty_header", "{}", 0, SONO_STATUS_UNSUPPORTED, "no tensors"},
    {"only_metadata", "{\"__metadata__\":{}}", 0, SONO_STATUS_UNSUPPORTED, "no tensors"},
    {"string_end", "{\"a", 0, SONO_STATUS_FORMAT, "string without an end"},
    {"escape", "{\"a\\q\":{}}", 0, SONO_STATUS_FORMAT, "bad escape"},
    {"surrogate", "{\"\\ud800x\":{}}", 0, SONO_STATUS_FORMAT, "bad escape"},
    {"nul", "{\"\\u0000\":{}}", 0, SONO_STATUS_FORMAT, "bad escape"},
    {"no_name", "{\"\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4]}}", 4, SONO_STATUS_FORMAT,
     "name of 0 bytes"},
    {"control", "{\"a\\n\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4]}}", 4, SONO_STATUS_FORMAT,
     "control character"},
    {"no_dtype", "{\"a\":{\"shape\":[],\"data_offsets\":[0,4]}}", 4, SONO_STATUS_FORMAT, "'a' has no dtype"},
    {"no_shape", "{\"a\":{\"dtype\":\"F32\",\"data_offsets\":[0,4]}}", 4, SONO_STATUS_FORMAT,
     "'a' has no shape"},
    {"no_offsets", "{\"a\":{\"dtype\":\"F32\",\"shape\":[]}}", 4, SONO_STATUS_FORMAT, "'a' has no pair of"},
    {"one_offset", "{\"a\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0]}}", 4, SONO_STATUS_FORMAT,
     "'a' has no pair of"},
    {"dtype", "{\"a\":{\"dtype\":\"F33\",\"shape\":[],\"data_offsets\":[0,4]}}", 4, SONO_STATUS_FORMAT,
     "unknown dtype 'F33'"},
    {"dtype_f8", "{\"a\":{\"dtype\":\"F8_E4M3\",\"shape\":[],\"data_offsets\":[0,1]}}", 1,
     SONO_STATUS_UNSUPPORTED, "'a' has dtype F8_E4M3"},
    /* Further keys of a tensor are left alone; this one is refused for what it is. */
    {"extra_key", "{\"a\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4],\"x\":1}}", 4,
     SONO_STATUS_UNSUPPORTED, "neither D-FINE"},
    {"extra_grammar", "{\"a\":{\"x\":nul,\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4]}}", 4,
     SONO_STATUS_FORMAT, "malformed value"},
    {"extra_number", "{\"a\":{\"x\":[1.5e3,-0,01],\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4]}}", 4,
     SONO_STATUS_FORMAT, "malformed value"},
    {"key_twice", "{\"a\":{\"dtype\":\"F32\",\"dtype\":\"F32\"}}", 4, SONO_STATUS_FORMAT,
     "'dtype' is there twice"},
    {"name_twice",
     "{\"a\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4]},"
     "\"a\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[4,8]}}",
     8, SONO_STATUS_FORMAT, "'a' is there twice"},
    {"metadata_twice", "{\"__metadata__\":{},\"__metadata__\":{}}", 0, SONO_STATUS_FORMAT,
     "__metadata__ is there twice"},
    /* Of metadata the last value of a key counts; this one is refused for its lack of tensors. */
    {"metadata_key_twice", "{\"__metadata__\":{\"a\":\"\",\"a\":\"\"}}", 0, SONO_STATUS_UNSUPPORTED,
     "no tensors"},
    {"metadata_number", "{\"__metadata__\":{\"a\":1}}", 0, SONO_STATUS_FORMAT, "expected '\"'"},
    {"metadata_nul", "{\"__metadata__\":nul}", 0, SONO_STATUS_FORMAT, "malformed value"},
    {"nul_padding", "{\"a\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4]}}\x01", 4,
     SONO_STATUS_FORMAT, "follows the header"},
    {"bytes", "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,4]}}", 4, SONO_STATUS_FORMAT,
     "'a' F32 [2] does not fill its 4 bytes"},
    {"shape_overflow",
     "{\"a\":{\"dtype\":\"F32\",\"shape\":[1099511627776,1099511627776],\"data_offsets\":[0,4]}}", 4,
     SONO_STATUS_FORMAT, "does not fill"},
    {"big_integer", "{\"a\":{\"dtype\":\"F32\",\"shape\":[9007199254740993],\"data_offsets\":[0,4]}}", 4,
     SONO_STATUS_FORMAT, "above 2^53"},
    {"negative", "{\"a\":{\"dtype\":\"F32\",\"shape\":[-1],\"data_offsets\":[0,4]}}", 4, SONO_STATUS_FORMAT,
     "not negative"},
    {"fraction", "{\"a\":{\"dtype\":\"F32\",\"shape\":[1.0],\"data_offsets\":[0,4]}}", 4, SONO_STATUS_FORMAT,
     "fraction"},
    {"outside", "{\"a\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[4,8]}}", 4, SONO_STATUS_FORMAT,
     "'a' at [4, 8) lies outside the data of 4 bytes"},
    {"backwards", "{\"a\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[4,0]}}", 4, SONO_STATUS_FORMAT,
     "lies outside"},
    {"overlap",
     "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},"
     "\"b\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[4,8]}}",
     8, SONO_STATUS_FORMAT, "'b' overlaps the one before it"},
    {"hole",
     "{\"a\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4]},"
     "\"b\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[8,12]}}",
     12, SONO_STATUS_FORMAT, "'b' follows a hole"},
    {"unused_tail", "{\"a\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4]}}", 5, SONO_STATUS_FORMAT,
     "1 bytes behind the last tensor"},
    {"nine_dims", "{\"a\":{\"dtype\":\"F32\",\"shape\":[1,1,1,1,1,1,1,1,1],\"data_offsets\":[0,4]}}", 4,
     SONO_STATUS_UNSUPPORTED, "more than 8 numbers"},
    {"after_end", "{\"a\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4]}} {}", 4, SONO_STATUS_FORMAT,
     "follows the header"},
    {"stranger", "{\"a\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4]}}", 4,
     SONO_STATUS_UNSUPPORTED, "neither D-FINE"},
};

static void safetensors(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof safetensors_cases / sizeof *safetensors_cases; i++) {
        char path[SONO_TEST_PATH_BYTES], name[64];
        size_t n = 0;
        uint8_t *bytes =
            safetensors_make(safetensors_cases[i].header, NULL, safetensors_cases[i].data_bytes, &n);
        assert_non_null(bytes);
        snprintf(name, sizeof name, "%s.safetensors", safetensors_cases[i].name);
        sono_test_path(path, sizeof path, name);
        sono_test_write_file(path, bytes, n);
        sono_free(bytes);
        expect_refused(name, safetensors_cases[i].status, safetensors_cases[i].reason);
    }
}

static void foreign_files(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t n_bytes;
        sono_status status;
        const char *reason;
    } cases[] = {
        {"\x80\x02\x8a\x0al\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.", 15, SONO_STATUS_UNSUPPORTED, "before 1.6"},
        {"\x80\x04\x95", 3, SONO_STATUS_UNSUPPORTED, "bare pickle"},
        {"version https://git-lfs.github.com/spec/v1\n", 43, SONO_STATUS_FORMAT, "Git LFS pointer"},
        {"<!DOCTYPE html>", 15, SONO_STATUS_FORMAT, "web page"},
        {"\xff\xff\xff\xff\xff\xff\xff\x7f{}", 10, SONO_STATUS_FORMAT, "header of 9223372036854775807 bytes"},
        {"\x01\xe1\xf5\x05\0\0\0\0{}", 10, SONO_STATUS_FORMAT, "header of 100000001 bytes"},
        {"PK\x03\x04", 4, SONO_STATUS_FORMAT, "zip directory not found"},
        {"PK\x05\x06\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 22, SONO_STATUS_FORMAT, "without data.pkl"},
        {"nonsense", 8, SONO_STATUS_FORMAT, "neither a torch.save archive nor safetensors"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char path[SONO_TEST_PATH_BYTES];
        sono_test_path(path, sizeof path, "foreign.bin");
        sono_test_write_file(path, cases[i].bytes, cases[i].n_bytes);
        expect_refused("foreign.bin", cases[i].status, cases[i].reason);
    }
}

/* Cut at every length, and with every byte turned over: an error or tensors inside the file, never a crash.
 */
static void ravage(const char *name)
{
    char path[SONO_TEST_PATH_BYTES];
    size_t n = 0;
    sono_error error = {0};
    sono_checkpoint *checkpoint = NULL;
    sono_test_path(path, sizeof path, name);
    uint8_t *bytes = sono_test_read_file(path, &n);
    for (size_t length = 1; length < n; length++) {
        uint8_t *cut = sono_alloc(length);
        memcpy(cut, bytes, length);
        if (sono_checkpoint_open_memory(cut, length, name, &checkpoint, &error) == SONO_STATUS_OK)
            fail_msg("%s cut to %zu of %zu bytes was opened", name, length, n);
        sono_free(cut);
    }
    for (size_t i = 0; i < n; i++) {
        bytes[i] ^= 0xff;
        if (sono_checkpoint_open_memory(bytes, n, name, &checkpoint, &error) == SONO_STATUS_OK) {
            (void)sono_model_check(checkpoint, &error);
            sono_checkpoint_close(checkpoint);
        }
        bytes[i] ^= 0xff;
    }
    sono_free(bytes);
}

static void every_byte_missing_or_wrong(void **state)
{
    (void)state;
    char path[SONO_TEST_PATH_BYTES];
    small_model model;
    small_model_init(&model);
    const torch_file_options options = {.wrapping = TORCH_FILE_TRAINING, .zip64 = 1};
    write_small("whole.pth", &model, &options);
    ravage("whole.pth");
    sono_test_path(path, sizeof path, "whole.safetensors");
    assert_ok(safetensors_write(path, model.tensors, SMALL_MODEL_TENSORS), NULL);
    ravage("whole.safetensors");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(torch_files),
        cmocka_unit_test(torch_values),
        cmocka_unit_test(safetensors),
        cmocka_unit_test(foreign_files),
        cmocka_unit_test(every_byte_missing_or_wrong),
    };
    return sono_test_run("model/broken", tests, sizeof tests / sizeof *tests);
}
