// SPDX-License-Identifier: Apache-2.0
#include "gpu_fixture.h"

#include "test.h"

#ifdef SONO_HAVE_CUDA
#include "engine/engine.h"

void gpu_fixture_need(void)
{
    sono_error why = {0};
    if (sono_cuda_count(&why) == 0)
        sono_test_skip(why.text);
}
#else
void gpu_fixture_need(void)
{
    sono_test_skip("built without CUDA");
}
#endif

void gpu_fixture_synthetic(sono_pipeline_config *config)
{
    gpu_fixture_need();
    pipeline_fixture_synthetic(config);
    config->device = "cuda";
}
