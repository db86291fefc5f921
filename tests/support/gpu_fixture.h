// SPDX-License-Identifier: Apache-2.0
/* Pipelines on a GPU, for tests that are about the GPU. */
#ifndef SONO_TESTS_SUPPORT_GPU_FIXTURE_H
#define SONO_TESTS_SUPPORT_GPU_FIXTURE_H

#include "support/pipeline_fixture.h"

/* Skips the test where there is no usable GPU, or the build has no CUDA. */
void gpu_fixture_need(void);

/* pipeline_fixture_synthetic() with device cuda, whatever SONO_TEST_DEVICE says. Skips the test where there
 * is no usable GPU, or the build has no CUDA. */
void gpu_fixture_synthetic(sono_pipeline_config *config);

#endif
