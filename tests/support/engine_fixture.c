// SPDX-License-Identifier: Apache-2.0
#include "engine_fixture.h"

#include "gpu_fixture.h"

#include <stdlib.h>
#include <string.h>

const sono_engine_ops *engine_named(const char *device)
{
    if (strncmp(device, "cuda", 4) != 0)
        return &sono_cpu_engine;
    gpu_fixture_need();
#ifdef SONO_HAVE_CUDA
    return &sono_cuda_engine;
#else
    return NULL;
#endif
}

const sono_engine_ops *engine_to_test(void)
{
    const char *device = getenv("SONO_TEST_DEVICE");
    return engine_named(device ? device : "cpu");
}
