// SPDX-License-Identifier: Apache-2.0
/* DWCONV: strips of a map where there are enough of them to fill the device, else a thread a position and
 * vector of channels, or a single one. */
#include "engine/cuda/choice/families.h"

static int fits(const sono_cuda_call *call, int32_t vector)
{
    const int32_t c = call->out[0].c;
    const uintptr_t parameters = (uintptr_t)call->in[1].data | (uintptr_t)call->in[2].data;
    return parameters % (sizeof(float) * (uintptr_t)vector) == 0 && call->in[1].pitch % vector == 0 &&
           sono_is_wide(&call->in[0], c, vector) && sono_is_wide(&call->in[3], c, vector) &&
           sono_is_wide(&call->out[0], c, vector);
}

static int64_t enough_threads(const sono_cuda_call *call)
{
    return (int64_t)call->n_multiprocessors * 256;
}

/* Strips of one line of the whole output, each as high as the map. */
static int64_t all_strips(const sono_cuda_tensor *y)
{
    return (int64_t)(y->c / SONO_DWCONV_STRIP_VECTOR) * sono_ceil_div(y->w, SONO_DWCONV_STRIP_COLUMNS) * y->n;
}

static int32_t strip_height(const sono_cuda_call *call)
{
    const sono_cuda_tensor *y = &call->out[0];
    return all_strips(y) * sono_ceil_div(y->h, 8) >= 6 * enough_threads(call) ? 8 : 4;
}

int sono_dwconv_strip_supports(const sono_cuda_call *call, const sono_cuda_candidate *self)
{
    const sono_conv_args *args = &call->op->args.conv;
    const sono_cuda_tensor *x = &call->in[0], *y = &call->out[0];
    (void)self;
    return args->kernel_h == 3 && args->kernel_w == 3 && args->stride == 1 && !call->in[3].data &&
           x->dtype == y->dtype && fits(call, SONO_DWCONV_STRIP_VECTOR) &&
           all_strips(y) * sono_ceil_div(y->h, strip_height(call)) >= enough_threads(call) &&
           x->w * x->pitch <= INT32_MAX / 4 && y->w * y->pitch <= INT32_MAX / 4;
}

void sono_dwconv_strip_cost(const sono_cuda_call *call, const sono_cuda_candidate *self,
                            sono_cuda_choice *out)
{
    (void)self;
    out->strip_height = strip_height(call);
}

int sono_dwconv_vector_supports(const sono_cuda_call *call, const sono_cuda_candidate *self)
{
    const sono_conv_args *args = &call->op->args.conv;
    const int has_loop = args->kernel_h == args->kernel_w && (args->kernel_h == 3 || args->kernel_h == 5);
    (void)self;
    return has_loop && fits(call, SONO_DWCONV_VECTOR);
}
