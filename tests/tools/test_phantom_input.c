// SPDX-License-Identifier: Apache-2.0
/* The keys of "phantom:...": what each sets, what is refused. */
#include "phantom_input.h"
#include "test.h"

#include <stdio.h>
#include <string.h>

static sono_phantom_options parse(const char *input)
{
    sono_phantom_options options;
    assert_int_equal(phantom_input_parse(input, &options), 0);
    return options;
}

static void test_defaults(void **state)
{
    (void)state;
    sono_phantom_options expected;
    sono_phantom_options_init(&expected);
    const sono_phantom_options options = parse("phantom:");
    assert_memory_equal(&options, &expected, sizeof expected);
    assert_int_equal(options.geometry, SONO_PHANTOM_LINEAR);
    assert_int_equal(options.orientation, SONO_PHANTOM_UP);
    assert_true(!options.look_alikes && !options.screen && !options.hard && !options.degrade);
}

static void test_names(void **state)
{
    (void)state;
    char spec[96];
    for (int i = 0; i < SONO_PHANTOM_GEOMETRY_COUNT; i++) {
        snprintf(spec, sizeof spec, "phantom:geometry=%s",
                 sono_phantom_geometry_name((sono_phantom_geometry)i));
        assert_int_equal(parse(spec).geometry, i);
    }
    for (int i = 0; i < SONO_PHANTOM_ORIENTATION_COUNT; i++) {
        snprintf(spec, sizeof spec, "phantom:orientation=%s",
                 sono_phantom_orientation_name((sono_phantom_orientation)i));
        assert_int_equal(parse(spec).orientation, i);
    }
    for (int i = 0; i < SONO_PHANTOM_ALIKE_COUNT; i++) {
        snprintf(spec, sizeof spec, "phantom:look_alikes=%s",
                 sono_phantom_look_alike_name((sono_phantom_look_alike)i));
        assert_int_equal(parse(spec).look_alikes, 1u << i);
    }
    assert_string_equal(sono_phantom_geometry_name((sono_phantom_geometry)-1), "unknown");
    assert_string_equal(sono_phantom_orientation_name(SONO_PHANTOM_ORIENTATION_COUNT), "unknown");
    assert_string_equal(sono_phantom_look_alike_name(SONO_PHANTOM_ALIKE_COUNT), "unknown");
}

static void test_together(void **state)
{
    (void)state;
    const sono_phantom_options options =
        parse("phantom:seed=7,geometry=endocavity,orientation=down-mirrored,screen=1,hard=1,degrade=1,"
              "look_alikes=needle,look_alikes=gas,depth=80");
    assert_int_equal(options.seed, 7);
    assert_int_equal(options.geometry, SONO_PHANTOM_ENDOCAVITY);
    assert_int_equal(options.orientation, SONO_PHANTOM_DOWN_MIRRORED);
    assert_int_equal(options.look_alikes, 1u << SONO_PHANTOM_ALIKE_NEEDLE | 1u << SONO_PHANTOM_ALIKE_GAS);
    assert_true(options.screen == 1 && options.hard == 1 && options.degrade == 1 && options.depth_mm == 80);
    assert_int_equal(parse("phantom:look_alikes=any").look_alikes, SONO_PHANTOM_ANY_LOOK_ALIKE);
    assert_int_equal(parse("phantom:look_alikes=none").look_alikes, 0);
}

static void test_refusals(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "phantom:geometry=",
        "phantom:geometry=convex",
        "phantom:geometry=1",
        "phantom:geometry",
        "phantom:orientation=left",
        "phantom:orientation=UP",
        "phantom:screen=2",
        "phantom:screen=yes",
        "phantom:screen=",
        "phantom:screen=01",
        "phantom:hard=-1",
        "phantom:degrade=1.0",
        "phantom:look_alikes=bone",
        "phantom:look_alikes=face+air",
        "phantom:look_alikes=",
        "phantom:marks=1",
        "phantom:depth=x",
        "phantom:seed=1,,screen=1",
        "phantom:=1",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        sono_phantom_options options;
        assert_int_equal(phantom_input_parse(bad[i], &options), -1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_together),
        cmocka_unit_test(test_refusals),
    };
    return sono_test_run("tools/phantom_input", tests, sizeof(tests) / sizeof(tests[0]));
}
