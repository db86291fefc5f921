// SPDX-License-Identifier: Apache-2.0
#include "nets/layers.h"

#include "base/alloc.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

char *sono_layer_path(sono_recorder *rec, char buffer[96], const char *format, ...)
{
    va_list args;
    va_start(args, format);
    const int n = vsnprintf(buffer, 96, format, args);
    va_end(args);
    if ((n < 0 || n >= 96) && rec->status == SONO_STATUS_OK)
        sono_record_latch(rec,
                          SONO_FAIL(rec->error, UNSUPPORTED, "tensor name \"%s...\" is too long", buffer));
    return buffer;
}

/* ---- taking tensors from the binder ---- */

/* Binds module.leaf into memory of the caller. */
static void take_into(sono_recorder *rec, const char *module, const char *leaf, int32_t n_dims,
                      const int64_t *dims, float *values)
{
    char name[96];
    sono_layer_path(rec, name, "%s.%s", module, leaf);
    if (rec->status == SONO_STATUS_OK && !sono_record_adopts(rec)) {
        const sono_status status = sono_bind_f32(rec->binder, name, n_dims, dims, values, rec->error);
        if (status != SONO_STATUS_OK)
            sono_record_latch(rec, status);
    }
}

/* The same into new memory, freed by the caller; NULL after a failure, and where nothing is to be read. */
static float *take(sono_recorder *rec, const char *module, const char *leaf, int32_t n_dims,
                   const int64_t *dims)
{
    if (rec->status != SONO_STATUS_OK || sono_record_adopts(rec))
        return NULL;
    size_t count = 1;
    for (int32_t i = 0; i < n_dims; i++)
        count *= (size_t)dims[i];
    float *values = sono_alloc_array(count, sizeof(float));
    if (!values) {
        sono_record_latch(rec, SONO_FAIL(rec->error, OUT_OF_MEMORY, "no memory for %s.%s", module, leaf));
        return NULL;
    }
    take_into(rec, module, leaf, n_dims, dims, values);
    if (rec->status == SONO_STATUS_OK)
        return values;
    sono_free(values);
    return NULL;
}

/* A new param "module.leaf"; *values as record.h says. */
static sono_tid new_param(sono_recorder *rec, const char *module, const char *leaf, int32_t n, int32_t h,
                          int32_t w, int32_t c, float **values)
{
    char name[96];
    return sono_record_param(rec, sono_layer_path(rec, name, "%s.%s", module, leaf), n, h, w, c, values);
}

/* The param that an earlier use of a shared module made, or 0. */
static sono_tid find_param(sono_recorder *rec, const char *module, const char *leaf)
{
    char name[96];
    sono_layer_path(rec, name, "%s.%s", module, leaf);
    if (rec->status != SONO_STATUS_OK)
        return 0;
    const sono_tid found = sono_program_find(rec->program, name);
    return found && sono_program_tensor(rec->program, found)->kind == SONO_TENSOR_PARAM ? found : 0;
}

/* A vector of the file as [1,1,1,c]. */
static sono_tid vector_param(sono_recorder *rec, const char *module, const char *leaf, int32_t c)
{
    const sono_tid known = find_param(rec, module, leaf);
    if (known)
        return known;
    float *values = NULL;
    const sono_tid param = new_param(rec, module, leaf, 1, 1, 1, c, &values);
    if (values)
        take_into(rec, module, leaf, 1, (const int64_t[]){c}, values);
    return param;
}

sono_tid sono_layer_param(sono_recorder *rec, const char *name, int32_t n_dims, const int64_t *dims,
                          int32_t n, int32_t h, int32_t w, int32_t c)
{
    float *values = NULL;
    const sono_tid param = sono_record_param(rec, name, n, h, w, c, &values);
    if (!values)
        return param;
    const sono_status status = sono_bind_f32(rec->binder, name, n_dims, dims, values, rec->error);
    return status == SONO_STATUS_OK ? param : sono_record_latch(rec, status);
}

float sono_layer_scalar(sono_recorder *rec, const char *name)
{
    float value = 0;
    if (rec->status != SONO_STATUS_OK)
        return 0;
    const sono_status status = sono_bind_f32(rec->binder, name, 1, (const int64_t[]){1}, &value, rec->error);
    if (status == SONO_STATUS_OK)
        return value;
    sono_record_latch(rec, status);
    return 0;
}

/* ---- convolutions ---- */

/* y = scale * (conv without bias) + bias, by channel: what a batch norm in eval mode is. */
typedef struct folded_norm {
    double *scale; /* [c], then bias [c]: one block */
    double *bias;
} folded_norm;

/* scale and bias NULL after a failure, and where nothing is to be read. */
static folded_norm fold_norm(sono_recorder *rec, const char *norm, int32_t c)
{
    static const char *const leaves[4] = {"weight", "bias", "running_mean", "running_var"};
    folded_norm fold = {NULL, NULL};
    float *values[4];
    for (int i = 0; i < 4; i++)
        values[i] = take(rec, norm, leaves[i], 1, (const int64_t[]){c});
    if (rec->status == SONO_STATUS_OK && !sono_record_adopts(rec)) {
        fold.scale = sono_alloc_array(2 * (size_t)c, sizeof(double));
        if (!fold.scale)
            sono_record_latch(rec, SONO_FAIL(rec->error, OUT_OF_MEMORY, "no memory to fold %s", norm));
    }
    if (fold.scale) {
        fold.bias = fold.scale + c;
        for (int32_t i = 0; i < c; i++) {
            fold.scale[i] = values[0][i] / sqrt((double)values[3][i] + (double)SONO_BATCH_NORM_EPS);
            fold.bias[i] = values[1][i] - values[2][i] * fold.scale[i];
            if (!isfinite(fold.scale[i]) && rec->status == SONO_STATUS_OK)
                sono_record_latch(rec, SONO_FAIL(rec->error, FORMAT, "%s: %s.running_var[%d] is %g",
                                                 sono_binder_path(rec->binder), norm, (int)i,
                                                 (double)values[3][i]));
        }
    }
    for (int i = 0; i < 4; i++)
        sono_free(values[i]);
    return fold;
}

static void store_bias(sono_recorder *rec, const char *conv, const double *bias, int32_t c, sono_tid *param)
{
    float *values = NULL;
    *param = new_param(rec, conv, "bias", 1, 1, 1, c, &values);
    for (int32_t i = 0; values && i < c; i++)
        values[i] = (float)bias[i];
}

/* Weight [c_out, c_in, kh, kw] of the file -> param [kh, kw, c_in, c_out], whose values are *out; scale by
 * output channel, NULL = 1. */
static sono_tid conv_weight(sono_recorder *rec, const char *conv, int32_t c_in, int32_t c_out,
                            int32_t kernel_h, int32_t kernel_w, const double *scale, float **out)
{
    const int64_t dims[4] = {c_out, c_in, kernel_h, kernel_w};
    const int64_t area = (int64_t)kernel_h * kernel_w;
    float *file = take(rec, conv, "weight", 4, dims), *values = NULL;
    const sono_tid param = new_param(rec, conv, "weight", kernel_h, kernel_w, c_in, c_out, &values);
    if (file && values)
        for (int64_t k = 0; k < area; k++)
            for (int64_t i = 0; i < c_in; i++)
                for (int64_t o = 0; o < c_out; o++)
                    values[(k * c_in + i) * c_out + o] =
                        (float)(file[(o * c_in + i) * area + k] * (scale ? scale[o] : 1.0));
    sono_free(file);
    *out = values;
    return param;
}

/* Weight [c, 1, kh, kw] of the file -> param [1, kh, kw, c]. */
static sono_tid dwconv_weight(sono_recorder *rec, const char *conv, int32_t c, const sono_conv_args *args,
                              const double *scale)
{
    const int64_t dims[4] = {c, 1, args->kernel_h, args->kernel_w};
    const int64_t area = dims[2] * dims[3];
    float *file = take(rec, conv, "weight", 4, dims), *values = NULL;
    const sono_tid param = new_param(rec, conv, "weight", 1, args->kernel_h, args->kernel_w, c, &values);
    if (file && values)
        for (int64_t k = 0; k < area; k++)
            for (int64_t o = 0; o < c; o++)
                values[k * c + o] = (float)(file[o * area + k] * scale[o]);
    sono_free(file);
    return param;
}

/* "a.b.conv" -> "a.b": the module that holds a convolution and its norm is what the result is named after. */
static const char *parent_name(char buffer[96], const char *module)
{
    snprintf(buffer, 96, "%s", module);
    char *dot = strrchr(buffer, '.');
    if (dot)
        *dot = 0;
    return buffer;
}

sono_tid sono_layer_conv_bn(sono_recorder *rec, const char *conv, const char *norm, sono_tid x, int32_t c_out,
                            int32_t groups, const sono_conv_args *args, sono_tid residual, sono_tid out)
{
    char name[96];
    const int32_t c_in = sono_record_shape(rec, x).c;
    const folded_norm fold = fold_norm(rec, norm, c_out);
    if (!fold.scale && !sono_record_adopts(rec))
        return 0;
    sono_tid weight = 0, bias = 0;
    float *values = NULL;
    if (groups != 1 && (groups != c_in || c_in != c_out))
        sono_record_latch(
            rec,
            SONO_FAIL(rec->error, INVALID_ARGUMENT,
                      "%s: %d groups for %d channels: only 1 group, or one for each channel, is supported",
                      conv, (int)groups, (int)c_in));
    else if (groups == 1)
        weight = conv_weight(rec, conv, c_in, c_out, args->kernel_h, args->kernel_w, fold.scale, &values);
    else
        weight = dwconv_weight(rec, conv, c_out, args, fold.scale);
    store_bias(rec, conv, fold.bias, c_out, &bias);
    sono_free(fold.scale);
    parent_name(name, conv);
    if (groups == 1)
        return sono_record_conv(rec, name, x, weight, bias, residual, args, out);
    return sono_record_dwconv(rec, name, x, weight, bias, residual, args, out);
}

sono_tid sono_layer_rep_conv_bn(sono_recorder *rec, const char *conv3, const char *norm3, const char *conv1,
                                const char *norm1, sono_tid x, int32_t c_out, sono_act act, sono_tid out)
{
    char block[96], name[96];
    const int32_t c_in = sono_record_shape(rec, x).c;
    const folded_norm fold3 = fold_norm(rec, norm3, c_out), fold1 = fold_norm(rec, norm1, c_out);
    float *file = take(rec, conv1, "weight", 4, (const int64_t[]){c_out, c_in, 1, 1});
    sono_tid weight = 0, bias = 0;
    parent_name(name, conv3);
    parent_name(block, name);
    if (sono_record_adopts(rec) || (fold3.scale && fold1.scale && file)) {
        float *values = NULL;
        weight = conv_weight(rec, conv3, c_in, c_out, 3, 3, fold3.scale, &values);
        for (int64_t i = 0; values && i < c_in; i++)
            for (int64_t o = 0; o < c_out; o++) {
                float *centre = &values[(4 * c_in + i) * c_out + o];
                *centre = (float)(*centre + file[o * c_in + i] * fold1.scale[o]);
            }
        for (int32_t o = 0; fold3.bias && o < c_out; o++)
            fold3.bias[o] += fold1.bias[o];
        store_bias(rec, conv3, fold3.bias, c_out, &bias);
    }
    sono_free(file);
    sono_free(fold1.scale);
    sono_free(fold3.scale);
    const sono_conv_args args = {3, 3, 1, 1, 1, 1, 1, sono_epilogue_act(act)};
    return sono_record_conv(rec, block, x, weight, bias, 0, &args, out);
}

sono_tid sono_layer_conv(sono_recorder *rec, const char *name, sono_tid x, int32_t c_out, int has_bias,
                         const sono_conv_args *args, sono_tid out)
{
    const int32_t c_in = sono_record_shape(rec, x).c;
    float *values = NULL;
    const sono_tid weight =
        conv_weight(rec, name, c_in, c_out, args->kernel_h, args->kernel_w, NULL, &values);
    const sono_tid bias = has_bias ? vector_param(rec, name, "bias", c_out) : 0;
    return sono_record_conv(rec, name, x, weight, bias, 0, args, out);
}

/* ---- products of tokens ---- */

/* Rows [0, c_out) of a file's weight -> columns [column, column + c_out) of a param of `pitch` columns. */
static void transpose_into(const float *file, int32_t c_in, int32_t c_out, float *values, int32_t column,
                           int32_t pitch)
{
    for (int64_t i = 0; i < c_in; i++)
        for (int64_t o = 0; o < c_out; o++)
            values[i * pitch + column + o] = file[o * c_in + i];
}

sono_tid sono_layer_linear(sono_recorder *rec, const char *name, sono_tid x, int32_t c_out,
                           const sono_epilogue *epilogue, sono_tid residual, sono_tid out)
{
    const int32_t c_in = sono_record_shape(rec, x).c;
    sono_tid weight = find_param(rec, name, "weight");
    if (!weight) {
        float *file = take(rec, name, "weight", 2, (const int64_t[]){c_out, c_in}), *values = NULL;
        weight = new_param(rec, name, "weight", 1, 1, c_in, c_out, &values);
        if (file && values)
            transpose_into(file, c_in, c_out, values, 0, c_out);
        sono_free(file);
    }
    const sono_tid bias = vector_param(rec, name, "bias", c_out);
    return sono_record_linear(rec, name, x, weight, bias, residual, epilogue, out);
}

static void scale_columns(float *values, int64_t n_rows, int32_t pitch, const float *scale, int32_t n_columns)
{
    for (int64_t i = 0; i < n_rows; i++)
        for (int32_t o = 0; o < n_columns; o++)
            values[i * pitch + o] *= scale[o];
}

sono_tid sono_layer_linear_pair(sono_recorder *rec, const char *first, const char *second, sono_tid x,
                                int32_t c_first, int32_t c_second, const float *first_scale)
{
    const char *names[2] = {first, second};
    const int32_t c_in = sono_record_shape(rec, x).c, c_outs[2] = {c_first, c_second},
                  pitch = c_first + c_second;
    float *weights = NULL, *biases = NULL;
    const sono_tid weight = new_param(rec, first, "pair_weight", 1, 1, c_in, pitch, &weights);
    const sono_tid bias = new_param(rec, first, "pair_bias", 1, 1, 1, pitch, &biases);
    for (int i = 0; i < 2; i++) {
        const int32_t column = i ? c_first : 0;
        float *file = take(rec, names[i], "weight", 2, (const int64_t[]){c_outs[i], c_in});
        if (file)
            transpose_into(file, c_in, c_outs[i], weights, column, pitch);
        sono_free(file);
        if (biases)
            take_into(rec, names[i], "bias", 1, (const int64_t[]){c_outs[i]}, biases + column);
    }
    if (first_scale && weights && biases) {
        scale_columns(weights, c_in, pitch, first_scale, c_first);
        scale_columns(biases, 1, pitch, first_scale, c_first);
    }
    const sono_epilogue epilogue = sono_epilogue_none();
    return sono_record_linear(rec, first, x, weight, bias, 0, &epilogue, 0);
}

sono_tid sono_layer_norm(sono_recorder *rec, const char *name, sono_tid x, sono_tid residual,
                         const sono_norm_args *args, sono_tid out)
{
    const int32_t c = sono_record_shape(rec, x).c;
    const sono_tid gamma = vector_param(rec, name, "weight", c), beta = vector_param(rec, name, "bias", c);
    return sono_record_layer_norm(rec, name, x, gamma, beta, residual, args, out);
}

sono_tid sono_layer_gated_norm(sono_recorder *rec, const char *name, sono_tid gates, sono_tid x1, sono_tid x2,
                               float eps)
{
    const int32_t c = sono_record_shape(rec, x1).c;
    const sono_tid gamma = vector_param(rec, name, "weight", c), beta = vector_param(rec, name, "bias", c);
    return sono_record_gated_norm(rec, name, gates, x1, x2, gamma, beta, eps, 0);
}

sono_tid sono_layer_mlp(sono_recorder *rec, const char *name, sono_tid x, int32_t c_hidden, int32_t c_out,
                        int32_t n_layers, sono_act act, const sono_epilogue *last_epilogue, sono_tid residual)
{
    const sono_epilogue hidden = sono_epilogue_act(act);
    for (int32_t i = 0; i < n_layers; i++) {
        char layer[96];
        const int last = i + 1 == n_layers;
        sono_layer_path(rec, layer, "%s.layers.%d", name, (int)i);
        x = sono_layer_linear(rec, layer, x, last ? c_out : c_hidden, last ? last_epilogue : &hidden,
                              last ? residual : 0, 0);
    }
    return x;
}

/* Rows [first, first + c_out) of in_proj as a linear layer "name.leaf" on x. */
static sono_tid in_proj_part(sono_recorder *rec, const char *name, const char *leaf, sono_tid x,
                             const float *weight, const float *bias, int32_t first, int32_t c_out)
{
    char part[96];
    float *weights = NULL, *biases = NULL;
    const int32_t c = sono_record_shape(rec, x).c;
    sono_layer_path(rec, part, "%s.%s", name, leaf);
    const sono_tid weight_param = new_param(rec, part, "weight", 1, 1, c, c_out, &weights);
    const sono_tid bias_param = new_param(rec, part, "bias", 1, 1, 1, c_out, &biases);
    if (weights && biases && weight && bias) {
        transpose_into(weight + (int64_t)first * c, c, c_out, weights, 0, c_out);
        memcpy(biases, bias + first, (size_t)c_out * sizeof(float));
    }
    const sono_epilogue epilogue = sono_epilogue_none();
    return sono_record_linear(rec, part, x, weight_param, bias_param, 0, &epilogue, 0);
}

sono_tid sono_layer_self_attention(sono_recorder *rec, const char *name, sono_tid x_qk, sono_tid x,
                                   int32_t n_heads)
{
    char leaf[96];
    const int32_t c = sono_record_shape(rec, x).c, head_dim = c / n_heads, precise = rec->precise;
    const int32_t is_precise = rec->program->tensors[sono_record_shape(rec, x).root].precise;
    float *weight = take(rec, name, "in_proj_weight", 2, (const int64_t[]){3 * (int64_t)c, c});
    float *bias = take(rec, name, "in_proj_bias", 1, (const int64_t[]){3 * (int64_t)c});
    rec->coarse = 1; /* the heads' inputs and outputs: softmax is float32 in any case */
    const sono_tid qk = in_proj_part(rec, name, "qk", x_qk, weight, bias, 0, 2 * c);
    const sono_tid v = in_proj_part(rec, name, "v", x, weight, bias, 2 * c, c);
    sono_free(weight);
    sono_free(bias);

    const sono_attention_args args = {n_heads, head_dim, head_dim ? 1.0f / sqrtf((float)head_dim) : 0, 0};
    const sono_tid heads = sono_record_attention(rec, sono_layer_path(rec, leaf, "%s.heads", name),
                                                 sono_view_channels(rec, qk, 0, c),
                                                 sono_view_channels(rec, qk, c, c), v, 0, 0, 0, &args, 0);
    const sono_epilogue epilogue = sono_epilogue_none();
    rec->coarse = 0;
    rec->precise = precise || is_precise;
    const sono_tid out =
        sono_layer_linear(rec, sono_layer_path(rec, leaf, "%s.out_proj", name), heads, c, &epilogue, 0, 0);
    rec->precise = precise;
    return out;
}
