// SPDX-License-Identifier: Apache-2.0
#include "engine/supports.h"

#include <stdarg.h>
#include <stdio.h>

int sono_refuse(sono_why *why, int32_t operand, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(why->text, sizeof why->text, format, args);
    va_end(args);
    why->operand = operand;
    return 0;
}

/* A letter an operand, inputs, then outputs: r is float32, or float16 where activations are stored so; f is
 * float32; b is bytes; i is int32. */
typedef struct types {
    char in[SONO_OP_MAX_IN + 1], out[SONO_OP_MAX_OUT + 1];
} types;

static const types types_of[SONO_OP_COUNT] = {
    [SONO_OP_FIND_REGION] = {"bbb", "biib"},
    [SONO_OP_PREPROCESS] = {"bb", "r"},
    [SONO_OP_CONV] = {"rffr", "r"},
    [SONO_OP_LINEAR] = {"rffr", "r"},
    [SONO_OP_DWCONV] = {"rffr", "r"},
    [SONO_OP_MAX_POOL] = {"r", "r"},
    [SONO_OP_UPSAMPLE2] = {"r", "r"},
    [SONO_OP_LAYER_NORM] = {"rffr", "r"},
    [SONO_OP_ADD] = {"rr", "r"},
    [SONO_OP_SCALE_ROWS] = {"rr", "r"},
    [SONO_OP_UNARY] = {"r", "r"},
    [SONO_OP_ATTENTION] = {"rrrfff", "r"},
    [SONO_OP_DEFORM_ATTENTION] = {"rrrr", "r"},
    [SONO_OP_GATED_NORM] = {"rrrff", "r"},
    [SONO_OP_TOPK_ROWS] = {"rrr", "rri"},
    [SONO_OP_FDR_BOX] = {"rrr", "r"},
    [SONO_OP_LQE_STAT] = {"r", "r"},
    [SONO_OP_SELECT_BOXES] = {"rrb", "r"},
    [SONO_OP_FOLLOW_BOX] = {"rrbfb", "fb"},
    [SONO_OP_PROMPT] = {"rbrrrr", "r"},
    [SONO_OP_HYPER_MASK] = {"rr", "r"},
    [SONO_OP_UPSAMPLE_MASK] = {"rfb", "bir"},
    [SONO_OP_CLEAN_MASK] = {"bfb", "bii"},
    [SONO_OP_BRIDGE_MASK] = {"bbfb", "bii"},
    [SONO_OP_MASK_PROFILE] = {"bb", "ii"},
    [SONO_OP_ECHO_PARTS] = {"bbbif", "ii"},
    [SONO_OP_AGREEMENT] = {"bibb", "ii"},
    [SONO_OP_STATE] = {"ffiibb", "ib"},
    [SONO_OP_SCHEDULE] = {"bbb", "ifbb"},
    [SONO_OP_DOUBT] = {"ffiibb", "i"},
    [SONO_OP_SHOW_MASK] = {"iib", "bifb"},
    [SONO_OP_SURFACE] = {"bbb", "ii"},
    [SONO_OP_WEIGHT_MAPS] = {"bb", "b"},
};

static const char *wanted_by(char letter)
{
    return letter == 'b' ? "U8" : letter == 'i' ? "I32" : "F32";
}

static int is_of(sono_dtype dtype, char letter)
{
    return dtype == SONO_DTYPE_F32   ? letter == 'r' || letter == 'f'
           : dtype == SONO_DTYPE_F16 ? letter == 'r'
           : dtype == SONO_DTYPE_U8  ? letter == 'b'
                                     : dtype == SONO_DTYPE_I32 && letter == 'i';
}

int sono_supports_types(const sono_program *program, const sono_op *op, sono_precision precision,
                        sono_why *why)
{
    for (int32_t k = 0; k < SONO_OP_MAX_IN + SONO_OP_MAX_OUT; k++) {
        const int is_out = k >= SONO_WHY_OUT;
        const sono_tid id = is_out ? op->out[k - SONO_WHY_OUT] : op->in[k];
        const char letter = is_out ? types_of[op->kind].out[k - SONO_WHY_OUT] : types_of[op->kind].in[k];
        if (!id)
            continue;
        const sono_dtype dtype = sono_tensor_stored_dtype(program, id, precision);
        if (!is_of(dtype, letter))
            return sono_refuse(why, k, "it is stored as %s, and must be %s here", sono_dtype_name(dtype),
                               wanted_by(letter));
    }
    return 1;
}

sono_status sono_unsupported(const sono_program *program, size_t i, const char *engine, const sono_why *why,
                             sono_error *error)
{
    const sono_op *op = &program->ops[i];
    const int is_out = why->operand >= SONO_WHY_OUT;
    const sono_tensor *t =
        &program->tensors[is_out ? op->out[why->operand - SONO_WHY_OUT] : op->in[why->operand]];
    return SONO_FAIL(error, UNSUPPORTED, "op %zu, %s %.80s: %s %.80s [%d, %d, %d, %d] does not run on %s: %s",
                     i, sono_op_name(op->kind), program->tensors[op->out[0]].name,
                     is_out ? "output" : "input", t->name, t->n, t->h, t->w, t->c, engine, why->text);
}
