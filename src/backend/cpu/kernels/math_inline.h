// SPDX-License-Identifier: Apache-2.0
/*
 * exp, erf and the activations for the inner loops: no branch, no table, no call, so that a loop over them
 * becomes vector code. NaN stays NaN. Both polynomials are minimax fits of ours (reweighted least squares in
 * the Chebyshev basis on 4000 nodes), rounded to float32 and then checked on a million points in float32
 * arithmetic.
 */
#ifndef SONO_BACKEND_CPU_MATH_INLINE_H
#define SONO_BACKEND_CPU_MATH_INLINE_H

#include "program/program.h"

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

#define SONO_PHI_END 5.2f /* 1 - Phi(5.2) = 1e-7: beyond it Phi is 0 or 1 to float32 */

/* Phi(x) - 1/2 = erf(x / sqrt 2) / 2 for |x| <= SONO_PHI_END; absolute error of erf <= 3e-7.
 * x Q(u), u = 2 x^2 / 5.2^2 - 1 in [-1, 1] (where the powers of u do not cancel), Q of degree 13, fit 6.5e-8.
 */
SONO_ALWAYS_INLINE float sono_math_phi_centred(float x)
{
    const float u = x * x * 7.39644989e-2f - 1.0f;
    float q = -4.81278112e-4f;
    q = q * u + 1.26851152e-3f;
    q = q * u - 1.22149079e-3f;
    q = q * u + 1.80012151e-3f;
    q = q * u - 4.78904229e-3f;
    q = q * u + 8.55996925e-3f;
    q = q * u - 1.25051187e-2f;
    q = q * u + 1.79547872e-2f;
    q = q * u - 2.47236304e-2f;
    q = q * u + 3.19899581e-2f;
    q = q * u - 3.99298184e-2f;
    q = q * u + 5.00245206e-2f;
    q = q * u - 6.77436665e-2f;
    q = q * u + 0.135949999f;
    return x * q;
}

/* x Phi(x); absolute error <= 1.1e-6 up to 5.2, relative error <= 2e-7 above. */
SONO_ALWAYS_INLINE float sono_math_gelu(float x)
{
    const float low = x < -SONO_PHI_END ? -SONO_PHI_END : x;
    const float z = low > SONO_PHI_END ? SONO_PHI_END : low;
    return low * (0.5f + sono_math_phi_centred(z));
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
