// SPDX-License-Identifier: Apache-2.0
#include "sonoseg/models.h"

#include "nets/bind.h"
#include "nets/model.h"
#include "checkpoint/checkpoint_private.h"
#include "base/sha256.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define VALUE_COLUMN 14 /* where the values of metadata begin, two blanks behind longer keys */

static void copy_notes(const sono_checkpoint_notes *notes, sono_model_info *out)
{
    memcpy(out->wrapper, notes->wrapper, sizeof out->wrapper);
    out->n_ignored = notes->n_ignored;
    memcpy(out->ignored, notes->ignored, sizeof out->ignored);
    out->n_inert = notes->n_inert;
    memcpy(out->inert, notes->inert, sizeof out->inert);
}

sono_status sono_model_inspect(const char *path, sono_model_info *out, sono_error *error)
{
    if (!path || !out)
        return SONO_FAIL(error, INVALID_ARGUMENT, "path and out must not be NULL");
    sono_checkpoint *checkpoint = NULL;
    sono_binder *binder = NULL;
    SONO_TRY(sono_checkpoint_open(path, &checkpoint, error));
    const sono_status status = sono_binder_open(checkpoint, &binder, error);
    if (status == SONO_STATUS_OK) {
        *out = *sono_binder_info(binder);
        copy_notes(&checkpoint->notes, out);
        sono_sha256_hex(checkpoint->bytes, checkpoint->n_bytes, out->sha256);
    }
    sono_binder_close(binder);
    sono_checkpoint_close(checkpoint);
    return status;
}

int sono_model_hash(int32_t file, char out[65])
{
    uint8_t piece[1 << 15];
    sono_sha256 hash;
    ssize_t n;
    sono_sha256_begin(&hash);
    while ((n = pread(file, piece, sizeof piece, (off_t)hash.n_bytes)) > 0 || (n < 0 && errno == EINTR))
        if (n > 0)
            sono_sha256_add(&hash, piece, (size_t)n);
    if (n < 0)
        return -1;
    sono_sha256_end(&hash, out);
    return 0;
}

sono_status sono_model_list_tensors(const char *path, FILE *stream, sono_error *error)
{
    if (!path || !stream)
        return SONO_FAIL(error, INVALID_ARGUMENT, "path and stream must not be NULL");
    sono_checkpoint *checkpoint = NULL;
    SONO_TRY(sono_checkpoint_open(path, &checkpoint, error));
    int failed = 0;
    for (size_t i = 0; i < checkpoint->n_tensors && !failed; i++) {
        char shape[SONO_CHECKPOINT_SHAPE_BYTES];
        const sono_checkpoint_tensor *tensor = &checkpoint->tensors[i];
        failed = fprintf(stream, "%s  %s %s\n", tensor->name, sono_dtype_name(tensor->dtype),
                         sono_checkpoint_shape_text(tensor->n_dims, tensor->dims, shape)) < 0;
    }
    sono_checkpoint_close(checkpoint);
    if (failed || fflush(stream))
        return SONO_FAIL_NATIVE(error, IO, errno, "cannot write the list of tensors: %s", strerror(errno));
    return SONO_STATUS_OK;
}

static int print_clean(FILE *stream, const char *text)
{
    for (; *text; text++)
        if (putc((unsigned char)*text < 0x20 || *text == 0x7f ? '?' : *text, stream) == EOF)
            return -1;
    return 0;
}

static int print_pair(FILE *stream, const sono_checkpoint_pair *pair)
{
    const size_t n_letters = strlen(pair->key);
    const int n_blanks = n_letters + 2 < VALUE_COLUMN ? (int)(VALUE_COLUMN - n_letters) : 2;
    if (print_clean(stream, pair->key) || fprintf(stream, "%*s", n_blanks, "") < 0 ||
        print_clean(stream, pair->value))
        return -1;
    return putc('\n', stream) == EOF ? -1 : 0;
}

sono_status sono_model_list_metadata(const char *path, FILE *stream, sono_error *error)
{
    if (!path || !stream)
        return SONO_FAIL(error, INVALID_ARGUMENT, "path and stream must not be NULL");
    sono_checkpoint *checkpoint = NULL;
    SONO_TRY(sono_checkpoint_open(path, &checkpoint, error));
    int failed = 0;
    for (size_t i = 0; i < checkpoint->n_metadata && !failed; i++)
        failed = print_pair(stream, &checkpoint->metadata[i]);
    sono_checkpoint_close(checkpoint);
    if (failed || fflush(stream))
        return SONO_FAIL_NATIVE(error, IO, errno, "cannot write the metadata: %s", strerror(errno));
    return SONO_STATUS_OK;
}
