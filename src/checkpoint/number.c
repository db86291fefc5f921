// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/number.h"

#include "checkpoint/bytes.h"

#include <string.h>

static float float_of_bits(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

float sono_half_to_float(uint16_t bits)
{
    const uint32_t sign = (uint32_t)(bits & 0x8000) << 16;
    const uint32_t exponent = bits >> 10 & 31, fraction = bits & 0x3ff;
    if (exponent == 31)
        return float_of_bits(sign | 0x7f800000 | fraction << 13);
    if (exponent)
        return float_of_bits(sign | (exponent + 112) << 23 | fraction << 13);
    const float magnitude = (float)fraction * 0x1p-24f;
    return sign ? -magnitude : magnitude;
}

uint16_t sono_half_from_float(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    const uint16_t sign = (uint16_t)(bits >> 16 & 0x8000);
    bits &= 0x7fffffff;
    if (bits > 0x7f800000)
        return sign | 0x7e00;
    if (bits >= 0x477ff000) /* 65520: rounds above the largest half */
        return sign | 0x7c00;
    if (bits < 0x38800000) { /* below 2^-14: the sum's last bit weighs 2^-24 and rounds to nearest even */
        const float sum = float_of_bits(bits) + 0.5f;
        uint32_t sum_bits;
        memcpy(&sum_bits, &sum, sizeof sum_bits);
        return sign | (uint16_t)(sum_bits - 0x3f000000);
    }
    const uint32_t odd = bits >> 13 & 1;
    return sign | (uint16_t)((bits - 0x38000000 + 0xfff + odd) >> 13);
}

int sono_dtype_is_float(sono_dtype dtype)
{
    return dtype == SONO_DTYPE_F32 || dtype == SONO_DTYPE_F16 || dtype == SONO_DTYPE_BF16 ||
           dtype == SONO_DTYPE_F64;
}

static double double_of_bits(uint64_t bits)
{
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

#define CONVERT_ALL(expression)                                                                              \
    for (int64_t i = 0; i < n; i++, data += step)                                                            \
        out[i] = (float)(expression);                                                                        \
    break

void sono_number_to_f32(sono_dtype dtype, const uint8_t *data, int64_t n, int64_t stride, float *out)
{
    const int64_t step = stride * (int64_t)sono_dtype_bytes(dtype);
    switch (dtype) {
    case SONO_DTYPE_F32:
        if (stride == 1) {
            memcpy(out, data, (size_t)n * sizeof *out);
            break;
        }
        CONVERT_ALL(float_of_bits(sono_le32(data)));
    case SONO_DTYPE_F16:
        CONVERT_ALL(sono_half_to_float(sono_le16(data)));
    case SONO_DTYPE_BF16:
        CONVERT_ALL(float_of_bits((uint32_t)sono_le16(data) << 16));
    case SONO_DTYPE_F64:
        CONVERT_ALL(double_of_bits(sono_le64(data)));
    case SONO_DTYPE_I64:
        CONVERT_ALL((int64_t)sono_le64(data));
    case SONO_DTYPE_I32:
        CONVERT_ALL((int32_t)sono_le32(data));
    case SONO_DTYPE_I16:
        CONVERT_ALL((int16_t)sono_le16(data));
    case SONO_DTYPE_I8:
        CONVERT_ALL((int8_t)*data);
    default:
        CONVERT_ALL(*data);
    }
}

void sono_tensor_rows_start(sono_tensor_rows *rows, const sono_checkpoint_tensor *tensor)
{
    *rows = (sono_tensor_rows){
        .tensor = tensor, .data = tensor->data, .n = 1, .stride = 1, .n_outer = tensor->n_dims};
    for (int32_t i = 0; i < tensor->n_dims; i++)
        rows->done |= tensor->dims[i] == 0;
    if (rows->done || !tensor->n_dims)
        return;
    rows->n_outer--;
    rows->n = tensor->dims[rows->n_outer];
    rows->stride = tensor->strides[rows->n_outer];
    while (rows->n_outer && (rows->n == 1 || tensor->dims[rows->n_outer - 1] == 1 ||
                             tensor->strides[rows->n_outer - 1] == rows->n * rows->stride)) {
        rows->n_outer--;
        if (rows->n == 1)
            rows->stride = tensor->strides[rows->n_outer];
        rows->n *= tensor->dims[rows->n_outer];
    }
    if (rows->n == 1)
        rows->stride = 1;
}

void sono_tensor_rows_next(sono_tensor_rows *rows)
{
    const sono_checkpoint_tensor *tensor = rows->tensor;
    const int64_t element_bytes = (int64_t)sono_dtype_bytes(tensor->dtype);
    rows->first += rows->n;
    for (int32_t i = rows->n_outer; i-- > 0;) {
        rows->data += tensor->strides[i] * element_bytes;
        if (++rows->index[i] < tensor->dims[i])
            return;
        rows->data -= tensor->dims[i] * tensor->strides[i] * element_bytes;
        rows->index[i] = 0;
    }
    rows->done = 1;
}
