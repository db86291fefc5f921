// SPDX-License-Identifier: Apache-2.0
#include "stop.h"

#include <signal.h>
#include <stddef.h>

static volatile sig_atomic_t first_signal;

static void on_signal(int number)
{
    if (!first_signal)
        first_signal = number;
}

void stop_watch(void)
{
    const struct sigaction action = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND};
    struct sigaction before;
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    if (!sigaction(SIGHUP, NULL, &before) && before.sa_handler != SIG_IGN)
        sigaction(SIGHUP, &action, NULL);
}

int stop_status(void)
{
    return first_signal ? 128 + first_signal : 0;
}
