// SPDX-License-Identifier: Apache-2.0
#include "executor_fixture.h"

#include "gpu_fixture.h"

#include <stdlib.h>
#include <string.h>

const sono_executor_ops *executor_named(const char *device)
{
    if (strncmp(device, "cuda", 4) != 0)
        return &sono_cpu_executor;
    gpu_fixture_need();
#ifdef SONO_HAVE_CUDA
    return &sono_cuda_executor;
#else
    return NULL;
#endif
}

const sono_executor_ops *executor_to_test(void)
{
    const char *device = getenv("SONO_TEST_DEVICE");
    return executor_named(device ? device : "cpu");
}
