// SPDX-License-Identifier: Apache-2.0
// labels: timeout=60
/* sonoseg replay: what it refuses, and what it says then. */
#include "command.h"
#include "test.h"

#define WORDS(...) ((const char *const[]){__VA_ARGS__, NULL})
#define ANY        "--listen", "127.0.0.1:0"

static void test_usage(void **state)
{
    (void)state;
    command_expect(2, "no input given", WORDS("replay"));
    command_expect(2, "--rate: '0' is neither", WORDS("replay", "phantom:", "--rate", "0"));
    command_expect(2, "--rate: 'fast' is neither", WORDS("replay", "phantom:", "--rate", "fast"));
    command_expect(2, "--timestamps: 'later'", WORDS("replay", "phantom:", "--timestamps", "later"));
    command_expect(2, "--listen: 'localhost:x'", WORDS("replay", "phantom:", "--listen", "localhost:x"));
    command_expect(2, "--burst goes with --rate HZ", WORDS("replay", "phantom:", "--burst", "9"));
    command_expect(2, "'phantom:' is too many", WORDS("replay", "a.png", "phantom:"));
    command_expect(2, "'b.mha' is too many", WORDS("replay", "a.png", "b.mha"));
    command_expect(2, "'colour=1' is not understood", WORDS("replay", "phantom:colour=1"));
    command_expect(2, "device name",
                   WORDS("replay", "phantom:", ANY, "--device", "a name beyond twenty letters"));
}

static void test_unreadable(void **state)
{
    char path[SONO_TEST_PATH_BYTES];
    (void)state;
    sono_test_path(path, sizeof path, "no.igs.mha");
    command_expect(1, "no.igs.mha", WORDS("replay", path, ANY));
    sono_test_path(path, sizeof path, "text.png");
    sono_test_write_file(path, "no picture", 10);
    command_expect(1, "no frame could be read", WORDS("replay", path, ANY, "--loop"));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_usage),
        cmocka_unit_test(test_unreadable),
    };
    return sono_test_run("cli/replay", tests, sizeof(tests) / sizeof(tests[0]));
}
