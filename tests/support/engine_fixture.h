// SPDX-License-Identifier: Apache-2.0
/* The backends that tests run programs on. */
#ifndef SONO_TESTS_ENGINE_FIXTURE_H
#define SONO_TESTS_ENGINE_FIXTURE_H

#include "engine/engine.h"

/* Of a device name, "cuda..." or any other for the CPU. Skips the test where that is cuda and there is no
 * usable GPU, or the build has no CUDA. */
const sono_engine_ops *engine_named(const char *device);

/* Of the device that SONO_TEST_DEVICE names, cpu when unset. */
const sono_engine_ops *engine_to_test(void);

#endif
