// SPDX-License-Identifier: Apache-2.0
/* Which models the command takes when none are named: seen in what it says about files that are no
 * checkpoints. */
#include "command.h"
#include "test.h"

#include "base/alloc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define WORDS(...) ((const char *const[]){__VA_ARGS__, "--device", "cpu", "--frames", "1", NULL})

static const char *const folders[] = {"bin",        "share", "share/sonoseg", "share/sonoseg/models",
                                      "own_folder", "empty"};
static char empty[SONO_TEST_PATH_BYTES], own_folder[SONO_TEST_PATH_BYTES];

static void put_file(const char *relative, const void *bytes, size_t n_bytes)
{
    char path[SONO_TEST_PATH_BYTES];
    sono_test_path(path, sizeof path, relative);
    sono_test_write_file(path, bytes, n_bytes);
}

/* An installation of the command alone, outside of its build folder, and folders for models. */
static int install_command(void **state)
{
    (void)state;
    const char *command = getenv("SONO_COMMAND");
    char path[SONO_TEST_PATH_BYTES];
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++) {
        sono_test_path(path, sizeof path, folders[i]);
        mkdir(path, 0777);
    }
    sono_test_path(empty, sizeof empty, "empty");
    sono_test_path(own_folder, sizeof own_folder, "own_folder");
    unsetenv("SONO_MODELS");
    if (!command || !*command)
        return 0;
    size_t n_bytes = 0;
    uint8_t *bytes = sono_test_read_file(command, &n_bytes);
    put_file("bin/sonoseg", bytes, n_bytes);
    sono_free(bytes);
    sono_test_path(path, sizeof path, "bin/sonoseg");
    chmod(path, 0777);
    setenv("SONO_COMMAND", path, 1);
    return 0;
}

static void test_none(void **state)
{
    (void)state;
    char places[2 * SONO_TEST_PATH_BYTES];
    command_expect(2, "Peterande/D-FINE", WORDS("bench"));
    command_expect(2, "no checkpoint", WORDS("audit"));
    command_expect(2, "--segmenter FILE or set SONO_SEGMENTER", WORDS("bench", "--detector", "x"));
    command_expect(2, "ChaoningZhang/MobileSAM", WORDS("bench", "--segmenter", "x"));
    command_expect(2, "  $SONO_MODELS (not set)\n", WORDS("bench"));
    command_expect(2, "/bin/../share/sonoseg/models\n", WORDS("bench"));
    setenv("SONO_MODELS", empty, 1);
    snprintf(places, sizeof places, "were looked for in\n  %s\n", empty);
    command_expect(2, places, WORDS("bench"));
    unsetenv("SONO_MODELS");
}

/* On the CPU the small detector; the other one, and a named one, in their turn. */
static void test_order(void **state)
{
    (void)state;
    put_file("share/sonoseg/models/dfine_s_bone.safetensors", "no", 2);
    put_file("share/sonoseg/models/mobile_sam_bone.safetensors", "no", 2);
    command_expect(1, "models/dfine_s_bone.safetensors: ", WORDS("bench"));
    put_file("share/sonoseg/models/dfine_n_bone.safetensors", "no", 2);
    command_expect(1, "models/dfine_n_bone.safetensors: ", WORDS("bench"));
    command_expect(1, "named.pth: ", WORDS("bench", "--detector", "named.pth"));

    setenv("SONO_MODELS", empty, 1);
    command_expect(1, "models/dfine_n_bone.safetensors: ", WORDS("bench"));
    put_file("own_folder/dfine_s_bone.safetensors", "no", 2);
    setenv("SONO_MODELS", own_folder, 1);
    command_expect(1, "own_folder/dfine_s_bone.safetensors: ", WORDS("bench"));
    unsetenv("SONO_MODELS");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_none),
        cmocka_unit_test(test_order),
    };
    return sono_test_run_with("cli/models", tests, sizeof tests / sizeof tests[0], install_command, NULL);
}
