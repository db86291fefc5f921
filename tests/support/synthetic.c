// SPDX-License-Identifier: Apache-2.0
#include "support/synthetic.h"

#include "base/alloc.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GOLDEN_RATIO 0x9E3779B9U
#define LINE_BYTES   512
#define N_FIELDS     6 /* NAME DTYPE DIMS RULE and up to two arguments */
#define N_BLOBS      12

static const float mean[3] = {123.675F, 116.28F, 103.53F};
static const float deviation[3] = {58.395F, 57.12F, 57.375F};

/* Murmur3's finaliser. */
static uint32_t mix(uint32_t x)
{
    x ^= x >> 16;
    x *= 0x85EBCA6BU;
    x ^= x >> 13;
    x *= 0xC2B2AE35U;
    return x ^ (x >> 16);
}

static uint32_t fnv1a(const char *text)
{
    uint32_t value = 0x811C9DC5U;
    for (; *text; text++)
        value = (value ^ (uint8_t)*text) * 0x01000193U;
    return value;
}

static uint32_t hash(uint32_t seed, int64_t index)
{
    return mix(seed + (uint32_t)index * GOLDEN_RATIO);
}

static void fill_uniform(const char *name, int64_t count, float base, float scale, float *out)
{
    const uint32_t seed = fnv1a(name);
    for (int64_t i = 0; i < count; i++) {
        const float unit = (float)(hash(seed, i) >> 8) * 0x1p-23F - 1.0F;
        out[i] = base + scale * unit;
    }
}

static float logit(double x)
{
    return (float)log(x / (1.0 - x));
}

/* dfine_decoder.py:_generate_anchors for one level; rows of 4 to anchors, or of 1 to valid. Returns the rows.
 */
static int64_t fill_level(int32_t level, int32_t w, int32_t h, float *anchors, uint8_t *valid)
{
    const double size = (double)0.05F * (1 << level);
    for (int32_t y = 0; y < h; y++) {
        for (int32_t x = 0; x < w; x++) {
            const double centre_x = (double)(((float)x + 0.5F) / (float)w);
            const double centre_y = (double)(((float)y + 0.5F) / (float)h);
            const int inside = centre_x > 0.01 && centre_x < 0.99 && centre_y > 0.01 && centre_y < 0.99;
            if (anchors) {
                anchors[0] = inside ? logit(centre_x) : INFINITY;
                anchors[1] = inside ? logit(centre_y) : INFINITY;
                anchors[2] = anchors[3] = inside ? logit(size) : INFINITY;
                anchors += 4;
            } else {
                *valid++ = (uint8_t)inside;
            }
        }
    }
    return (int64_t)w * h;
}

/* Reads up to 4 numbers separated by commas. */
static int32_t read_numbers(const char *text, int32_t *numbers)
{
    int32_t n = 0;
    char *end = NULL;
    for (; n < 4 && *text; text = *end == ',' ? end + 1 : end) {
        numbers[n] = (int32_t)strtol(text, &end, 10);
        if (end == text || numbers[n] < 1)
            return 0;
        n++;
    }
    return *text ? 0 : n;
}

/* size: "512x384"; NULL = the square of SYNTHETIC_DETECTOR_PX. */
static int fill_grid(const char *strides, const char *size, const torch_file_tensor *tensor, int64_t count,
                     void *out)
{
    int32_t width = SYNTHETIC_DETECTOR_PX, height = SYNTHETIC_DETECTOR_PX;
    if (size && sscanf(size, "%" SCNd32 "x%" SCNd32, &width, &height) != 2)
        return -1;
    int32_t stride[4];
    const int32_t n_levels = read_numbers(strides, stride);
    const int is_anchors = tensor->dtype == SONO_DTYPE_F32;
    int64_t n_rows = 0, total = 0;
    for (int32_t level = 0; level < n_levels; level++)
        total += (int64_t)(width / stride[level]) * (height / stride[level]);
    if (total * (is_anchors ? 4 : 1) != count)
        return -1;
    for (int32_t level = 0; level < n_levels; level++)
        n_rows += fill_level(level, width / stride[level], height / stride[level],
                             is_anchors ? (float *)out + 4 * n_rows : NULL,
                             is_anchors ? NULL : (uint8_t *)out + n_rows);
    return 0;
}

static int fill_reciprocals(const char *counts, int64_t count, float *out)
{
    int32_t number[4];
    const int32_t n = read_numbers(counts, number);
    int64_t at = 0;
    for (int32_t k = 0; k < n; k++)
        for (int32_t i = 0; i < number[k] && at < count; i++)
            out[at++] = (float)(1.0 / number[k]);
    return at == count ? 0 : -1;
}

/* Returns 0, or -1 for a rule that is unknown or does not suit the tensor. */
static int fill(const torch_file_tensor *tensor, int64_t count, char *const *field, int n_fields, void *out)
{
    const char *rule = field[3];
    const int is_float = tensor->dtype == SONO_DTYPE_F32;
    if (strcmp(rule, "uniform") == 0 && n_fields == 6 && is_float) {
        const float scale = strcmp(field[5], "-") == 0 ? 0.0F : ldexpf(1.0F, (int)strtol(field[5], NULL, 10));
        fill_uniform(tensor->name, count, strtof(field[4], NULL), scale, out);
        return 0;
    }
    if (strcmp(rule, "integer") == 0 && n_fields == 5 && tensor->dtype == SONO_DTYPE_I64) {
        for (int64_t i = 0; i < count; i++)
            ((int64_t *)out)[i] = strtoll(field[4], NULL, 10);
        return 0;
    }
    if ((strcmp(rule, "anchors") == 0 && n_fields >= 5 && is_float) ||
        (strcmp(rule, "valid") == 0 && n_fields >= 5 && tensor->dtype == SONO_DTYPE_BOOL))
        return fill_grid(field[4], n_fields > 5 ? field[5] : NULL, tensor, count, out);
    if (strcmp(rule, "reciprocals") == 0 && n_fields == 5 && is_float)
        return fill_reciprocals(field[4], count, out);
    return -1;
}

static int read_dims(const char *text, torch_file_tensor *tensor, int64_t *count)
{
    *count = 1;
    if (strcmp(text, "-") == 0)
        return 0;
    char *end = NULL;
    for (;; text = end + 1) {
        const int64_t dim = strtoll(text, &end, 10);
        if (end == text || dim < 1 || dim > (1 << 28) / *count || tensor->n_dims == TORCH_FILE_MAX_DIMS)
            return -1;
        tensor->dims[tensor->n_dims++] = dim;
        *count *= dim;
        if (*end == '\0')
            return 0;
        if (*end != 'x')
            return -1;
    }
}

static int read_dtype(const char *text, sono_dtype *dtype)
{
    for (int type = 0; type < SONO_DTYPE_COUNT; type++) {
        if (strcmp(text, sono_dtype_name((sono_dtype)type)) == 0) {
            *dtype = (sono_dtype)type;
            return 0;
        }
    }
    return -1;
}

/* Appends the tensor of one line and adds its bits to *sum. */
static sono_status add_tensor(synthetic_state *state, char *const *field, int n_fields, uint64_t *sum,
                              sono_error *error)
{
    torch_file_tensor tensor = {0};
    int64_t count = 0;
    if (n_fields < 4 || read_dtype(field[1], &tensor.dtype) || read_dims(field[2], &tensor, &count))
        return SONO_FAIL(error, FORMAT, "%s: not NAME DTYPE DIMS RULE", field[0]);
    size_t capacity = (size_t)state->capacity;
    if (sono_alloc_grow((void **)&state->tensors, &capacity, (size_t)state->n_tensors + 1, sizeof(tensor)))
        return SONO_FAIL(error, OUT_OF_MEMORY, "no memory for a list of tensors");
    state->capacity = (int32_t)capacity;
    const size_t element_bytes = sono_dtype_bytes(tensor.dtype);
    void *data = sono_alloc_array((size_t)count, element_bytes);
    tensor.name = sono_strdup(field[0]);
    tensor.data = data;
    state->tensors[state->n_tensors++] = tensor;
    if (!data || !tensor.name)
        return SONO_FAIL(error, OUT_OF_MEMORY, "%s: no memory for %" PRId64 " elements", field[0], count);
    if (fill(&tensor, count, field, n_fields, data))
        return SONO_FAIL(error, FORMAT, "%s: bad rule %s", field[0], field[3]);
    *sum += synthetic_bits_sum(data, (size_t)count, element_bytes);
    return SONO_STATUS_OK;
}

static sono_status read_manifest(FILE *file, synthetic_state *state, sono_error *error)
{
    char line[LINE_BYTES];
    uint64_t sum = 0;
    int has_checksum = 0;
    while (fgets(line, sizeof(line), file)) {
        char *field[N_FIELDS], *rest = NULL;
        int n_fields = 0;
        for (char *word = strtok_r(line, " \n", &rest); word && n_fields < N_FIELDS;
             word = strtok_r(NULL, " \n", &rest))
            field[n_fields++] = word;
        if (n_fields == 0 || field[0][0] == '#')
            continue;
        if (n_fields == 2 && strcmp(field[0], "checksum") == 0) {
            state->checksum = strtoull(field[1], NULL, 10);
            has_checksum = 1;
            continue;
        }
        SONO_TRY(add_tensor(state, field, n_fields, &sum, error));
    }
    if (!has_checksum || sum != state->checksum)
        return SONO_FAIL(error, FORMAT, "checksum %" PRIu64 ", the manifest says %" PRIu64, sum,
                         state->checksum);
    return SONO_STATUS_OK;
}

sono_status synthetic_open(const char *manifest_path, synthetic_state *state, sono_error *error)
{
    *state = (synthetic_state){0};
    FILE *file = fopen(manifest_path, "r");
    if (!file)
        return SONO_FAIL_NATIVE(error, IO, errno, "%s: %s", manifest_path, strerror(errno));
    const sono_status status = read_manifest(file, state, error);
    fclose(file);
    if (status != SONO_STATUS_OK) {
        sono_error_prefix(error, manifest_path);
        synthetic_close(state);
    }
    return status;
}

void synthetic_close(synthetic_state *state)
{
    for (int32_t i = 0; i < state->n_tensors; i++) {
        sono_free((void *)(uintptr_t)state->tensors[i].name);
        sono_free((void *)(uintptr_t)state->tensors[i].data);
    }
    sono_free(state->tensors);
    *state = (synthetic_state){0};
}

sono_status synthetic_write(const char *manifest_path, const char *checkpoint_path, sono_error *error)
{
    synthetic_state state;
    SONO_TRY(synthetic_open(manifest_path, &state, error));
    const int is_detector = state.n_tensors > 0 && strncmp(state.tensors[0].name, "backbone.", 9) == 0;
    const torch_file_options options = {.wrapping = is_detector ? TORCH_FILE_MODEL : TORCH_FILE_BARE};
    const sono_status status = torch_file_write(checkpoint_path, state.tensors, state.n_tensors, &options);
    synthetic_close(&state);
    if (status != SONO_STATUS_OK)
        return sono_error_set(error, status, 0, -1, __func__, "%s: cannot be written", checkpoint_path);
    return SONO_STATUS_OK;
}

uint64_t synthetic_bits_sum(const void *data, size_t count, size_t element_bytes)
{
    const uint8_t *at = data;
    uint64_t sum = 0;
    for (size_t i = 0; i < count; i++, at += element_bytes) {
        uint64_t bits = 0;
        memcpy(&bits, at, element_bytes); /* little endian */
        sum += bits;
    }
    return sum;
}

/* What the blobs add to the pixel's brightness. */
static int64_t blobs_at(int64_t x, int64_t y, int64_t width, int64_t height, uint32_t seed)
{
    const int64_t shorter = width < height ? width : height;
    int64_t change = 0;
    for (int64_t blob = 0; blob < N_BLOBS; blob++) {
        const int64_t dx = x - hash(seed, 5 * blob) % width;
        const int64_t dy = y - hash(seed, 5 * blob + 1) % height;
        const int64_t radius = shorter * (3 + hash(seed, 5 * blob + 2) % 9) / 48;
        const int64_t height_at = radius * radius - dx * dx - dy * dy;
        if (height_at <= 0)
            continue;
        const int64_t rise = height_at * (40 + hash(seed, 5 * blob + 3) % 120) / (radius * radius);
        change += hash(seed, 5 * blob + 4) % 3 ? rise : -rise;
    }
    return change;
}

void synthetic_image(int32_t width_px, int32_t height_px, uint8_t *out)
{
    const int64_t width = width_px, height = height_px;
    const uint32_t seed = fnv1a("blobs");
    for (int64_t y = 0; y < height; y++) {
        for (int64_t x = 0; x < width; x++) {
            int64_t value = 40 + 60 * x / width + 30 * y / height + blobs_at(x, y, width, height, seed);
            const int64_t speckle = mix((uint32_t)(x + width * y)) >> 25;
            const int64_t coarse = mix((uint32_t)(x / 7 + 4096 * (y / 5))) >> 25;
            value = (value < 0 ? 0 : value) * (64 + speckle + coarse) / 224;
            out[y * width + x] = (uint8_t)(value > 255 ? 255 : value);
        }
    }
}

static int network_input(int32_t width_px, int32_t height_px, int is_detector, int32_t n_channels, float *out)
{
    const size_t n_pixels = (size_t)width_px * (size_t)height_px;
    uint8_t *grey = sono_alloc(n_pixels);
    if (!grey)
        return -1;
    synthetic_image(width_px, height_px, grey);
    for (size_t i = 0; i < n_pixels; i++)
        for (size_t c = 0; c < (size_t)n_channels; c++)
            out[(size_t)n_channels * i + c] =
                is_detector ? (float)grey[i] / 255.0F : ((float)grey[i] - mean[c]) / deviation[c];
    sono_free(grey);
    return 0;
}

int synthetic_detector_input(int32_t width_px, int32_t height_px, int32_t n_channels, float *out)
{
    return network_input(width_px, height_px, 1, n_channels, out);
}

int synthetic_segmenter_input(int32_t side_px, float *out)
{
    return network_input(side_px, side_px, 0, 3, out);
}
