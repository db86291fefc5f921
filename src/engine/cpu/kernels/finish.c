// SPDX-License-Identifier: Apache-2.0
/*
 * The epilogue of CONV, LINEAR and DWCONV: y [rows, c] in place, one pass while the rows are in the cache.
 * One loop for each activation and each set of operands, chosen outside the loop over rows.
 * Tests: tests/ops/test_conv.c, test_dwconv.c.
 */
#include "engine/cpu/kernels/math_inline.h"
#include "engine/cpu/kernels/rows.h"

#include <math.h>

#define HAS_BIAS 1
#define BEFORE   2 /* the residual is added before the activation */
#define AFTER    4

SONO_ALWAYS_INLINE void finish(const sono_epilogue *epilogue, const sono_finish_rows *rows,
                               const sono_act act, const int operands)
{
    const float scale = epilogue->post_scale, offset = epilogue->post_bias;
    const float limit = epilogue->clamp > 0 ? epilogue->clamp : INFINITY;
    const float *restrict bias = rows->bias;
    for (int64_t i = 0; i < rows->n_rows; i++) {
        float *restrict y = rows->y + i * rows->y_pitch;
        const float *restrict residual =
            rows->residual + (operands & (BEFORE | AFTER) ? i * rows->residual_pitch : 0);
#pragma omp simd
        for (int32_t c = 0; c < rows->c; c++) {
            float v = y[c];
            if (operands & HAS_BIAS)
                v += bias[c];
            if (operands & BEFORE)
                v += residual[c];
            v = sono_math_act(v, act) * scale + offset;
            if (operands & AFTER)
                v += residual[c];
            y[c] = sono_math_clamp(v, limit);
        }
    }
}

void SONO_KERNEL(sono_cpu_finish)(const sono_epilogue *epilogue, const sono_finish_rows *rows)
{
    const int residual = !rows->residual ? 0 : epilogue->add_before_act ? BEFORE : AFTER;
    const int operands = (rows->bias ? HAS_BIAS : 0) | residual;
    if (!operands && epilogue->act == SONO_ACT_NONE && epilogue->post_scale == 1.0f &&
        epilogue->post_bias == 0.0f && !(epilogue->clamp > 0))
        return;
#define LOOP(act, operands)                                                                                  \
    case (act)*8 + (operands):                                                                               \
        finish(epilogue, rows, (act), (operands));                                                           \
        break;
#define LOOPS(act)                                                                                           \
    LOOP(act, 0)                                                                                             \
    LOOP(act, HAS_BIAS)                                                                                      \
    LOOP(act, BEFORE)                                                                                        \
    LOOP(act, BEFORE | HAS_BIAS)                                                                             \
    LOOP(act, AFTER)                                                                                         \
    LOOP(act, AFTER | HAS_BIAS)
    switch ((int)epilogue->act * 8 + operands) {
        LOOPS(SONO_ACT_NONE)
        LOOPS(SONO_ACT_RELU)
        LOOPS(SONO_ACT_GELU)
        LOOPS(SONO_ACT_SILU)
        LOOPS(SONO_ACT_SIGMOID)
    }
#undef LOOPS
#undef LOOP
}
