// SPDX-License-Identifier: Apache-2.0
/* What a phantom owes to a machine without memory. */
#ifndef SONO_TESTS_PHANTOM_FAILURES_H
#define SONO_TESTS_PHANTOM_FAILURES_H

#include "test.h"

#include "base/alloc.h"
#include "sonoseg/phantom.h"

/* Each of the n_allocations that opening takes fails once: OUT_OF_MEMORY, and nothing is opened. */
static inline void expect_phantom_needs_memory(const sono_phantom_options *options, uint64_t n_allocations)
{
    for (uint64_t i = 1; i <= n_allocations; i++) {
        sono_source *source = NULL;
        sono_alloc_fail_from(i);
        const sono_status status = sono_source_open_phantom(options, &source, NULL);
        sono_alloc_fail_from(0);
        assert_int_equal(status, SONO_STATUS_OUT_OF_MEMORY);
        assert_null(source);
    }
}

#endif
