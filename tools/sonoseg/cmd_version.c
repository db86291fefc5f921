// SPDX-License-Identifier: Apache-2.0
#include "args.h"
#include "commands.h"

#include "sonoseg/sonoseg.h"

#include <stdio.h>

#if defined(__clang__)
#define COMPILER "clang " __clang_version__
#elif defined(__GNUC__)
#define COMPILER "gcc " __VERSION__
#else
#define COMPILER "unknown"
#endif

#if defined(__x86_64__)
#define MACHINE "x86-64"
#elif defined(__aarch64__)
#define MACHINE "aarch64"
#else
#define MACHINE "other"
#endif

#ifdef __OPTIMIZE__
#define OPTIMIZED "yes"
#else
#define OPTIMIZED "no"
#endif

static int take(void *user, int id, const char *value)
{
    (void)user;
    (void)id;
    report_error("unexpected '%s'", value);
    return -1;
}

static const args_spec spec = {
    .command = "version",
    .usage = "version",
    .intro = "Prints the version and how this command was built.",
    .take = take,
};

int cmd_version(int argc, char **argv)
{
    const args_result parsed = args_parse(&spec, argc, argv, NULL);
    if (parsed != ARGS_GO)
        return parsed == ARGS_WRONG ? STATUS_USAGE : STATUS_DONE;
    printf("sonoseg %s\ncompiler   %s\nmachine    %s\noptimized  %s\nbackends   %s\n", sono_version(),
           COMPILER, MACHINE, OPTIMIZED, sono_backends());
    return STATUS_DONE;
}
