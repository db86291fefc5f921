// SPDX-License-Identifier: Apache-2.0
#include "progress.h"

#include "stats.h"

#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define BAR_LETTERS  24
#define REDRAW_S     0.1
#define PLAIN_S      60.0
#define PLAIN_INPUTS 100

void progress_start(progress *bar, int64_t total, int is_wanted)
{
    const double now = now_s();
    const int is_plain = !isatty(STDERR_FILENO);
    *bar = (progress){.is_on = is_wanted && !is_plain,
                      .is_plain = is_plain,
                      .total = total,
                      .started_s = now,
                      .drawn_at_s = now};
}

void progress_allow_lines(progress *bar, int is_wanted)
{
    bar->is_on |= is_wanted && bar->is_plain;
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

static void draw_on_terminal(const progress *bar, const char *text)
{
    char cells[BAR_LETTERS + 4] = "", line[256];
    if (bar->total > 0) {
        const int64_t done = bar->done < bar->total ? bar->done : bar->total;
        const int filled = (int)(done * BAR_LETTERS / bar->total);
        cells[0] = '[';
        memset(cells + 1, '#', (size_t)filled);
        memset(cells + 1 + filled, '.', (size_t)(BAR_LETTERS - filled));
        snprintf(cells + 1 + BAR_LETTERS, 3, "] ");
    }
    snprintf(line, sizeof line, "%s%s", cells, text);
    fprintf(stderr, "\r\033[K%.*s", columns() - 1, line);
    fflush(stderr);
}

static void describe(const progress *bar, double elapsed_s, const char *state, char *out, size_t n_bytes)
{
    const double rate_hz = bar->done && elapsed_s > 0 ? (double)bar->done / elapsed_s : 0;
    char eta[32] = "--:--", failed[32] = "";
    if (bar->n_failed)
        snprintf(failed, sizeof failed, "%lld failed  ", (long long)bar->n_failed);
    if (rate_hz > 0)
        format_duration(eta, sizeof eta, (double)(bar->total - bar->done) / rate_hz);
    if (bar->total > 0)
        snprintf(out, n_bytes, "%lld/%lld  %.2f fps  ETA %s  %s%s", (long long)bar->done,
                 (long long)bar->total, rate_hz, eta, failed, state);
    else
        snprintf(out, n_bytes, "%lld frames  %.2f fps  %s%s", (long long)bar->done, rate_hz, failed, state);
}

void progress_update(progress *bar, int64_t done, const char *state)
{
    char text[192];
    const double now = now_s();
    const int is_due = now - bar->drawn_at_s >= (bar->is_plain ? PLAIN_S : REDRAW_S);
    const int is_last = !bar->is_plain && done == bar->total;
    if (!bar->is_on || (bar->is_plain && bar->total < PLAIN_INPUTS) ||
        !(is_due || is_last || (!bar->is_plain && !bar->is_drawn)))
        return;
    bar->done = done;
    describe(bar, now - bar->started_s, state, text, sizeof text);
    if (bar->is_plain)
        fprintf(stderr, "sonoseg: %s\n", text);
    else
        draw_on_terminal(bar, text);
    bar->is_drawn = !bar->is_plain;
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
