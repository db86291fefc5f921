// SPDX-License-Identifier: Apache-2.0
#include "support/golden.h"

#include "base/alloc.h"
#include "support/test.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME_BYTES 256

void golden_open(golden *file, const char *name)
{
    char relative[NAME_BYTES], path[SONO_TEST_PATH_BYTES];
    snprintf(relative, sizeof(relative), "tests/golden/%s.safetensors", name);
    sono_test_source(path, sizeof(path), relative);
    sono_error error = {0};
    assert_ok(sono_checkpoint_open(path, &file->file, &error), &error);
}

void golden_close(golden *file)
{
    sono_checkpoint_close(file->file);
    file->file = NULL;
}

/* Integer of the metadata key "<tensor>.<what>", or fallback. */
static int64_t number_of(const golden *file, const char *tensor, const char *what, int64_t fallback)
{
    char key[NAME_BYTES];
    snprintf(key, sizeof(key), "%s.%s", tensor, what);
    const char *text = sono_checkpoint_metadata(file->file, key);
    return text ? strtoll(text, NULL, 10) : fallback;
}

static const sono_checkpoint_tensor *find(const golden *file, const char *tensor)
{
    const sono_checkpoint_tensor *found = sono_checkpoint_find(file->file, tensor);
    if (!found)
        fail_msg("%s: no tensor %s", sono_checkpoint_path(file->file), tensor);
    return found;
}

static int64_t our_offset(const golden_layout *layout, int64_t official)
{
    int64_t row = official / layout->n_columns;
    const int64_t column = official % layout->n_columns;
    if (layout->rows)
        row = layout->rows[row];
    if (row < 0)
        return -1;
    return layout->transposed ? column * layout->n_rows + row : row * layout->n_columns + column;
}

double golden_distance(const golden *file, const char *tensor, const float *ours, const golden_layout *layout,
                       int64_t index)
{
    const sono_checkpoint_tensor *kept = find(file, tensor);
    const int64_t n_kept = sono_checkpoint_tensor_count(kept), size = layout->n_rows * layout->n_columns;
    const int64_t stride = number_of(file, tensor, "stride", 1);
    const int64_t count = number_of(file, tensor, "count", n_kept);
    if (size < 1 || count % size != 0 || index < 0 || index >= count / size)
        fail_msg("%s: the official tensor has %lld elements, ours %lld", tensor, (long long)count,
                 (long long)size);
    float *values = sono_alloc_array((size_t)n_kept, sizeof(*values));
    sono_error error = {0};
    assert_non_null(values);
    assert_ok(sono_checkpoint_read_f32(kept, values, &error), &error);
    double difference = 0, norm = 0;
    for (int64_t i = 0; i < n_kept; i++) {
        const int64_t official = i * stride - index * size;
        const int64_t at = official < 0 || official >= size ? -1 : our_offset(layout, official);
        if (at < 0)
            continue;
        difference += ((double)ours[at] - (double)values[i]) * ((double)ours[at] - (double)values[i]);
        norm += (double)values[i] * (double)values[i];
    }
    sono_free(values);
    return difference >= 0 ? sqrt(difference / norm) : (double)INFINITY;
}

int32_t golden_match_queries(const golden *file, const int32_t *our_topk_index, int32_t n, int32_t *rows)
{
    const sono_checkpoint_tensor *kept = find(file, "decoder.topk_index");
    assert_int_equal(n, sono_checkpoint_tensor_count(kept));
    int32_t n_missing = 0;
    for (int32_t r = 0; r < n; r++) {
        int32_t official = 0;
        memcpy(&official, kept->data + (size_t)r * sizeof(official), sizeof(official));
        rows[r] = -1;
        for (int32_t q = 0; q < n && rows[r] < 0; q++)
            if (our_topk_index[q] == official)
                rows[r] = q;
        n_missing += rows[r] < 0;
    }
    return n_missing;
}

uint64_t golden_input_bits_sum(const golden *file)
{
    const char *text = sono_checkpoint_metadata(file->file, "input.bits_sum");
    return text ? strtoull(text, NULL, 10) : 0;
}
