// SPDX-License-Identifier: Apache-2.0
// labels: slow timeout=900 cost=20
/* D-FINE m, l and x against the official code on hashed weights; test_dfine.c has the smaller ones. */
#include "support/dfine_run.h"
#include "support/test.h"

static void dfine_m_agrees_with_the_official_code(void **state)
{
    (void)state;
    dfine_run_check_golden("dfine_m", SONO_FAMILY_AUTO);
}

static void dfine_l_agrees_with_the_official_code(void **state)
{
    (void)state;
    dfine_run_check_golden("dfine_l", SONO_FAMILY_AUTO);
}

static void dfine_x_agrees_with_the_official_code(void **state)
{
    (void)state;
    dfine_run_check_golden("dfine_x", SONO_FAMILY_AUTO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dfine_m_agrees_with_the_official_code),
        cmocka_unit_test(dfine_l_agrees_with_the_official_code),
        cmocka_unit_test(dfine_x_agrees_with_the_official_code),
    };
    return sono_test_run("golden/dfine_large", tests, sizeof(tests) / sizeof(tests[0]));
}
