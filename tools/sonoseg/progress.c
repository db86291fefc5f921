// SPDX-License-Identifier: Apache-2.0
#include "progress.h"

#include "stats.h"

#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define BAR_LETTERS 24
#define REDRAW_S    0.1

void progress_start(progress *bar, int64_t total, int is_wanted)
{
    *bar = (progress){.is_on = is_wanted && isatty(STDERR_FILENO), .total = total, .started_s = now_s()};
}

static int columns(void)
{
    struct winsize size;
    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) || !size.ws_col)
        return 80;
    return size.ws_col;
}

static void format_duration(char *out, size_t n_bytes, double seconds)
{
    const long whole = (long)(seconds + 0.5);
    if (whole >= 3600)
        snprintf(out, n_bytes, "%ld:%02ld:%02ld", whole / 3600, whole / 60 % 60, whole % 60);
    else
        snprintf(out, n_bytes, "%02ld:%02ld", whole / 60, whole % 60);
}

void progress_update(progress *bar, int64_t done, const char *state)
{
    const double now = now_s();
    const int is_last = done == bar->total;
    if (!bar->is_on || (bar->is_drawn && !is_last && now - bar->drawn_at_s < REDRAW_S))
        return;
    const double elapsed = now - bar->started_s;
    const double rate_hz = done && elapsed > 0 ? (double)done / elapsed : 0;
    char cells[BAR_LETTERS + 1] = "", line[256], eta[32] = "--:--";
    if (bar->total > 0) {
        const int filled = (int)(done * BAR_LETTERS / bar->total);
        memset(cells, '#', (size_t)filled);
        memset(cells + filled, '.', (size_t)(BAR_LETTERS - filled));
        if (rate_hz > 0)
            format_duration(eta, sizeof eta, (double)(bar->total - done) / rate_hz);
        snprintf(line, sizeof line, "[%s] %lld/%lld  %.2f fps  ETA %s  %s", cells, (long long)done,
                 (long long)bar->total, rate_hz, eta, state);
    } else {
        snprintf(line, sizeof line, "%lld frames  %.2f fps  %s", (long long)done, rate_hz, state);
    }
    fprintf(stderr, "\r\033[K%.*s", columns() - 1, line);
    fflush(stderr);
    bar->is_drawn = 1;
    bar->drawn_at_s = now;
}

void progress_clear(progress *bar)
{
    if (!bar->is_drawn)
        return;
    fputs("\r\033[K", stderr);
    fflush(stderr);
    bar->is_drawn = 0;
}
