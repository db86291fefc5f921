// SPDX-License-Identifier: Apache-2.0
/* The polynomial behind GELU, for the kernels of every backend. C and CUDA C. A minimax fit of ours
 * (reweighted least squares in the Chebyshev basis on 4000 nodes), rounded to float32 and then checked on a
 * million points in float32 arithmetic. */
#ifndef SONO_ENGINE_GELU_POLY_H
#define SONO_ENGINE_GELU_POLY_H

#ifdef __CUDACC__
#define SONO_GELU_FN static __device__ __forceinline__
#else
#define SONO_GELU_FN static inline __attribute__((always_inline))
#endif

#define SONO_PHI_END 5.2f /* 1 - Phi(5.2) = 1e-7: beyond it Phi is 0 or 1 to float32 */

/* Phi(x) - 1/2 = erf(x / sqrt 2) / 2 for |x| <= SONO_PHI_END; absolute error of erf <= 3e-7.
 * x Q(u), u = 2 x^2 / 5.2^2 - 1 in [-1, 1] (where the powers of u do not cancel), Q of degree 13, fit 6.5e-8.
 */
SONO_GELU_FN float sono_phi_centred(float x)
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

#endif
