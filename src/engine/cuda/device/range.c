// SPDX-License-Identifier: Apache-2.0
#include "engine/cuda/device/range.h"

#if defined(__has_include)
#if __has_include(<nvtx3/nvToolsExt.h>)
#include <nvtx3/nvToolsExt.h>
#define SONO_GPU_HAVE_NVTX
#endif
#endif

#ifdef SONO_GPU_HAVE_NVTX
void sono_gpu_range_push(const char *name)
{
    (void)nvtxRangePushA(name);
}

void sono_gpu_range_pop(void)
{
    (void)nvtxRangePop();
}
#else
void sono_gpu_range_push(const char *name)
{
    (void)name;
}

void sono_gpu_range_pop(void)
{
}
#endif
