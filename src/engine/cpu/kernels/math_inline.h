// SPDX-License-Identifier: Apache-2.0
/*
 * exp, erf and the activations for the inner loops: no branch, no table, no call, so that a loop over them
 * becomes vector code. NaN stays NaN. The polynomials are fits of ours: gelu_poly.h says how they were made.
 */
#ifndef SONO_ENGINE_CPU_KERNELS_MATH_INLINE_H
#define SONO_ENGINE_CPU_KERNELS_MATH_INLINE_H

#include "engine/gelu_poly.h"
#include "graph/program.h"

#define SONO_ALWAYS_INLINE static inline __attribute__((always_inline))

/* e^x for x clamped to [-87, 88]; relative error <= 2e-7. x = n ln 2 + r with |r| <= ln 2 / 2;
 * e^r = 1 + r + r^2 P(r), P of degree 4, fit 3e-9. Adding 1.5 * 2^23 rounds to an integer, whose low bits
 * then are n. */
SONO_ALWAYS_INLINE float sono_math_exp(float x)
{
    union {
        float f;
        uint32_t u;
    } shifted, scale;
    x = x < -87.0f ? -87.0f : x;
    x = x > 88.0f ? 88.0f : x;
    shifted.f = x * 1.44269504f + 12582912.0f;
    const float n = shifted.f - 12582912.0f;
    const float r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
    float p = 1.38145394e-3f;
    p = p * r + 8.36874545e-3f;
    p = p * r + 4.1668389e-2f;
    p = p * r + 0.166665211f;
    p = p * r + 0.49999994f;
    p = p * (r * r) + r + 1.0f;
    scale.u = (shifted.u + 127u) << 23;
    return p * scale.f;
}

/* x Phi(x); absolute error <= 1.1e-6 up to 5.2, relative error <= 2e-7 above. */
SONO_ALWAYS_INLINE float sono_math_gelu(float x)
{
    const float low = x < -SONO_PHI_END ? -SONO_PHI_END : x;
    const float z = low > SONO_PHI_END ? SONO_PHI_END : low;
    return low * (0.5f + sono_phi_centred(z));
}

SONO_ALWAYS_INLINE float sono_math_sigmoid(float x)
{
    return 1.0f / (1.0f + sono_math_exp(-x));
}

SONO_ALWAYS_INLINE float sono_math_clamp(float x, float limit)
{
    x = x < -limit ? -limit : x;
    return x > limit ? limit : x;
}

/* With a constant `act` the switch is gone. */
SONO_ALWAYS_INLINE float sono_math_act(float x, sono_act act)
{
    switch (act) {
    case SONO_ACT_RELU:
        return x < 0.0f ? 0.0f : x;
    case SONO_ACT_GELU:
        return sono_math_gelu(x);
    case SONO_ACT_SILU:
        return x * sono_math_sigmoid(x);
    case SONO_ACT_SIGMOID:
        return sono_math_sigmoid(x);
    case SONO_ACT_NONE:
    default:
        return x;
    }
}

#endif
