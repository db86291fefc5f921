// SPDX-License-Identifier: Apache-2.0
#include "serve/signals.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

static const int numbers[] = {SIGTERM, SIGINT, SIGHUP, SIGPIPE};
#define N_SIGNALS (sizeof numbers / sizeof numbers[0])

static volatile sig_atomic_t write_end = -1;
static struct sigaction before[N_SIGNALS];

/* A full pipe holds signals enough. */
static void on_signal(int number)
{
    const int saved = errno;
    const uint8_t byte = (uint8_t)number;
    const ssize_t n = write(write_end, &byte, 1);
    (void)n;
    errno = saved;
}

int sono_serve_signals_open(void)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK))
        return -1;
    write_end = ends[1];
    for (size_t i = 0; i < N_SIGNALS; i++) {
        struct sigaction action = {.sa_handler = numbers[i] == SIGPIPE ? SIG_IGN : on_signal,
                                   .sa_flags = SA_RESTART};
        sigemptyset(&action.sa_mask);
        sigaction(numbers[i], &action, &before[i]);
    }
    return ends[0];
}

int sono_serve_signals_next(int signals)
{
    uint8_t byte;
    return read(signals, &byte, 1) == 1 ? byte : 0;
}

void sono_serve_signals_close(int signals)
{
    if (signals < 0)
        return;
    for (size_t i = 0; i < N_SIGNALS; i++)
        sigaction(numbers[i], &before[i], NULL);
    close(write_end);
    close(signals);
    write_end = -1;
}
