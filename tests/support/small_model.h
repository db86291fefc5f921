// SPDX-License-Identifier: Apache-2.0
/* A handful of tensors that are recognised as D-FINE-S with 2 classes. Too few to run. */
#ifndef SONO_TESTS_SMALL_MODEL_H
#define SONO_TESTS_SMALL_MODEL_H

#include "support/torch_file.h"

enum { SMALL_MODEL_TENSORS = 9, SMALL_MODEL_VALUES = 1024, SMALL_MODEL_REG_SCALE = 7 };

typedef struct small_model {
    torch_file_tensor tensors[SMALL_MODEL_TENSORS];
    float values[SMALL_MODEL_VALUES];
    int64_t reg_scale;
} small_model;

static inline void small_model_init(small_model *model)
{
    static const torch_file_tensor tensors[SMALL_MODEL_TENSORS] = {
        {.name = "backbone.stem.stem1.conv.weight", .n_dims = 4, .dims = {16, 3, 3, 1}},
        {.name = "backbone.stem.stem4.conv.weight", .n_dims = 2, .dims = {16, 8}},
        {.name = "encoder.lateral_convs.0.conv.weight", .n_dims = 2, .dims = {256, 1}},
        {.name = "decoder.decoder.layers.0.norm1.weight", .n_dims = 1, .dims = {4}},
        {.name = "decoder.decoder.layers.1.norm1.weight", .n_dims = 1, .dims = {4}},
        {.name = "decoder.decoder.layers.2.norm1.weight", .n_dims = 1, .dims = {4}},
        {.name = "decoder.enc_score_head.weight", .n_dims = 2, .dims = {2, 4}},
        {.name = "decoder.reg_scale", .dtype = SONO_DTYPE_I64, .n_dims = 1, .dims = {1}},
        {.name = "decoder.decoder.up", .n_dims = 1, .dims = {1}},
    };
    for (int i = 0; i < SMALL_MODEL_VALUES; i++)
        model->values[i] = (float)(i - 300) * 0.125f;
    model->reg_scale = 4;
    for (int i = 0; i < SMALL_MODEL_TENSORS; i++) {
        model->tensors[i] = tensors[i];
        model->tensors[i].data = model->values + i;
    }
    model->tensors[SMALL_MODEL_REG_SCALE].data = &model->reg_scale;
}

#endif
