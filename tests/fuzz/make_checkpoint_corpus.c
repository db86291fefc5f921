// SPDX-License-Identifier: Apache-2.0
/*
 * Makes the corpora of fuzz_checkpoint and fuzz_safetensors: small whole files and the same with one
 * structure broken.
 *
 *     cc -D_GNU_SOURCE -Iinclude -Isrc -Itests tests/fuzz/make_checkpoint_corpus.c tests/support/torch_file.c
 * \ build/release/lib/libsonoseg.a -lz -o make_corpus && ./make_corpus tests/fuzz/corpus
 */
#include "base/alloc.h"
#include "checkpoint/zip.h"
#include "support/torch_file.h"

#include <stdio.h>
#include <string.h>

enum { MAX_FILE_BYTES = 16384, MAX_PATH_BYTES = 512 };

static const float values[8] = {0, 1, -2, 0.5f, 3, 4, 5, 6};
static const int64_t four = 4;
static const torch_file_tensor tensors[] = {
    {.name = "backbone.stem.stem1.conv.weight", .n_dims = 2, .dims = {2, 4}, .data = values},
    {.name = "w", .n_dims = 2, .dims = {4, 2}, .storage_of = 1, .has_strides = 1, .strides = {1, 4}},
    {.name = "n", .dtype = SONO_DTYPE_I64, .data = &four},
};

static const struct {
    const char *name;
    const char *header; /* with its data behind it */
} headers[] = {
    {"two",
     "{\"__metadata__\":{\"format\":\"pt\"},\"a\":{\"dtype\":\"F32\",\"shape\":[1,2],\"data_offsets\":[0,8]},"
     "\"b\":{\"dtype\":\"BF16\",\"shape\":[],\"data_offsets\":[8,10]}}abcdefgh\x01\x0a"},
    {"empty", "{\"a\":{\"dtype\":\"I64\",\"shape\":[0,3],\"data_offsets\":[0,0]}}"},
    {"escapes",
     "{\"\\u00e4\\n\\\"\\ud83e\\uddb4\":{\"shape\":[1],\"dtype\":\"U8\",\"data_offsets\":[0,1]}}\x01"},
    {"overlap", "{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]},"
                "\"b\":{\"dtype\":\"I8\",\"shape\":[2],\"data_offsets\":[1,3]}}ab\x03"},
    {"large",
     "{\"a\":{\"dtype\":\"F64\",\"shape\":[9007199254740992,1024],\"data_offsets\":[0,8]}}abcdefg\x08"},
    {"fields",
     "{\"__metadata__\":null,\"a\":{\"new\":{\"x\":[-1.5e+3,0,null,true,false,\"s\",{}]},\"dtype\":\"U8\","
     "\"shape\":[1],\"data_offsets\":[0,1]}}a\x01"},
    {"blanks",
     " \n\t{\"__metadata__\":{\"k\":\"1\",\"l\":\"2\",\"k\":\"3\"},\"a\":{\"dtype\":\"U8\",\"shape\":[1],"
     "\"data_offsets\":[0,1]}} a\x01"},
    {"nested", "{\"a\":[[[[[{\"b\":[]}]]]]]}\x02"},
    {"metadata",
     "{\"__metadata__\":{\"a\":\"b\",\"c\":\"\"},\"x\":{\"dtype\":\"BOOL\",\"shape\":[],\"data_offsets\":"
     "[0,1]}}  \x01"},
};

static int write_file(const char *folder, const char *target, const char *name, const void *bytes,
                      size_t n_bytes)
{
    char path[MAX_PATH_BYTES];
    snprintf(path, sizeof path, "%s/%s/%s", folder, target, name);
    FILE *file = fopen(path, "wb");
    if (!file)
        return 1;
    const int failed = fwrite(bytes, 1, n_bytes, file) != n_bytes;
    return fclose(file) || failed;
}

/* The archive's pickle as an input of its own. */
static int write_pickle(const char *folder, const char *archive, const char *name)
{
    static uint8_t bytes[MAX_FILE_BYTES];
    FILE *file = fopen(archive, "rb");
    if (!file)
        return 1;
    const size_t n = fread(bytes, 1, sizeof bytes, file);
    sono_zip zip;
    int failed = fclose(file) != 0;
    if (sono_zip_open(bytes, n, &zip, NULL) != SONO_STATUS_OK)
        return 1;
    const sono_zip_entry *entry = sono_zip_find(&zip, sono_text_of("archive/data.pkl"));
    failed |= !entry || write_file(folder, "fuzz_checkpoint", name, entry->data, entry->n_bytes);
    sono_zip_close(&zip);
    return failed;
}

static int write_archive(const char *folder, const char *name, const torch_file_options *options)
{
    char path[MAX_PATH_BYTES];
    snprintf(path, sizeof path, "%s/fuzz_checkpoint/%s", folder, name);
    return torch_file_write(path, tensors, sizeof tensors / sizeof *tensors, options) != SONO_STATUS_OK;
}

/* Files as people keep them: wrapped, with things beside the weights, packed again. */
static const torch_file_options kept[] = {
    {.wrapper = {"state_dict", NULL}, .extras = 1, .loose = 1},
    {.wrapper = {"model", "ema_state_dict"}, .extras = 1, .protocol = 4},
    {.rebuild = TORCH_FILE_PARAMETER_WITH_STATE},
    {.rebuild = TORCH_FILE_FROM_TYPE},
    {.rebuild = TORCH_FILE_TENSOR_V3, .protocol = 4},
    {.deflate = 1},
    {.deflate = 1, .zip64 = 1, .loose = 1, .n_bytes_trailing = 40},
};

static int write_kept(const char *folder)
{
    char name[64], path[MAX_PATH_BYTES];
    int failed = 0;
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++) {
        snprintf(name, sizeof name, "kept_%zu.pth", i);
        failed |= write_archive(folder, name, &kept[i]);
        snprintf(path, sizeof path, "%s/fuzz_checkpoint/%s", folder, name);
        snprintf(name, sizeof name, "kept_%zu.pkl", i);
        if (!kept[i].deflate)
            failed |= write_pickle(folder, path, name);
    }
    return failed;
}

int main(int argc, char **argv)
{
    if (argc != 2)
        return 2;
    const char *folder = argv[1];
    char name[64], path[MAX_PATH_BYTES];
    int failed = 0;
    for (int wrapping = TORCH_FILE_BARE; wrapping <= TORCH_FILE_TRAINING; wrapping++)
        for (int protocol = 2; protocol <= 4; protocol += 2) {
            const torch_file_options options = {.wrapping = (torch_file_wrapping)wrapping,
                                                .protocol = protocol,
                                                .zip64 = protocol == 4,
                                                .rebuild = wrapping == TORCH_FILE_MODEL ? TORCH_FILE_PARAMETER
                                                                                        : TORCH_FILE_TENSOR};
            snprintf(name, sizeof name, "whole_%d_%d.pth", wrapping, protocol);
            failed |= write_archive(folder, name, &options);
            snprintf(path, sizeof path, "%s/fuzz_checkpoint/%s", folder, name);
            snprintf(name, sizeof name, "whole_%d_%d.pkl", wrapping, protocol);
            failed |= write_pickle(folder, path, name);
        }
    for (int fault = TORCH_FILE_WHOLE + 1; fault < TORCH_FILE_FAULT_COUNT; fault++) {
        const torch_file_options options = {
            .fault = (torch_file_fault)fault,
            .rebuild = fault == TORCH_FILE_DTYPE_FOREIGN ? TORCH_FILE_TENSOR_V3 : TORCH_FILE_TENSOR,
            .deflate = fault >= TORCH_FILE_UNPACKED_LONG && fault <= TORCH_FILE_DEFLATE_BROKEN};
        snprintf(name, sizeof name, "fault_%d.pth", fault);
        if (fault != TORCH_FILE_DEEP) /* 300 KB */
            failed |= write_archive(folder, name, &options);
    }
    failed |= write_kept(folder);
    for (size_t i = 0; i < sizeof headers / sizeof *headers; i++)
        failed |= write_file(folder, "fuzz_safetensors", headers[i].name, headers[i].header,
                             strlen(headers[i].header));
    return failed;
}
