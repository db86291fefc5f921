// SPDX-License-Identifier: Apache-2.0
#include "web/token.h"

#include "error/error.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PAUSE_NS INT64_C(2000000000)
#define BURST    5

static sono_status read_line(int fd, const char *path, char out[SONO_WEB_TOKEN_BYTES], sono_error *error)
{
    char bytes[SONO_WEB_TOKEN_BYTES + 1];
    struct stat facts;
    if (fstat(fd, &facts) || !S_ISREG(facts.st_mode)) {
        return sono_live_fail(error, SONO_STATUS_IO, 0, "token", "%s: it is no file", path);
    }
    if (facts.st_mode & 07) {
        return sono_live_fail(error, SONO_STATUS_INVALID_ARGUMENT, 0, "token",
                              "%s: everybody on this machine may read it: chmod 600 it", path);
    }
    const ssize_t n = read(fd, bytes, sizeof bytes - 1);
    if (n < 0) {
        return sono_live_fail(error, SONO_STATUS_IO, errno, "token", "%s", path);
    }
    bytes[n] = 0;
    const size_t n_line = strcspn(bytes, "\r\n");
    if (n_line < SONO_WEB_TOKEN_LEAST || n_line >= SONO_WEB_TOKEN_BYTES) {
        return sono_live_fail(error, SONO_STATUS_INVALID_ARGUMENT, 0, "token",
                              "%s: a token has 16 to 256 characters on the first line (openssl rand -hex 32)",
                              path);
    }
    for (size_t i = 0; i < n_line; i++) {
        if (bytes[i] <= 0x20 || bytes[i] > 0x7e || strchr("\"<>&;,\\", bytes[i])) {
            return sono_live_fail(
                error, SONO_STATUS_INVALID_ARGUMENT, 0, "token",
                "%s: a token has letters, digits and signs of ASCII, without blanks, quotes, "
                "< > & ; , and backslashes",
                path);
        }
    }
    memcpy(out, bytes, n_line);
    out[n_line] = 0;
    return SONO_STATUS_OK;
}

sono_status sono_web_token_read(const char *path, char out[SONO_WEB_TOKEN_BYTES], sono_error *error)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0) {
        return sono_live_fail(error, SONO_STATUS_IO, errno, "token", "%s", path);
    }
    const sono_status status = read_line(fd, path, out, error);
    close(fd);
    return status;
}

int sono_web_token_equal(const char *is, const char *wanted)
{
    char a[SONO_WEB_TOKEN_BYTES] = "", b[SONO_WEB_TOKEN_BYTES] = "";
    const size_t n_a = strnlen(is, sizeof a), n_b = strnlen(wanted, sizeof b);
    unsigned differs = n_a == sizeof a || n_b == sizeof b || !n_b;
    memcpy(a, is, n_a < sizeof a ? n_a : 0);
    memcpy(b, wanted, n_b < sizeof b ? n_b : 0);
    for (size_t i = 0; i < sizeof a; i++) {
        differs |= (unsigned)(a[i] ^ b[i]);
    }
    return !differs;
}

static int find(const sono_web_tries *tries, const char *peer)
{
    for (int i = 0; i < SONO_WEB_PEERS; i++) {
        if (!strncmp(tries->list[i].peer, peer, sizeof tries->list[i].peer - 1)) {
            return i;
        }
    }
    return -1;
}

int sono_web_tries_may(const sono_web_tries *tries, const char *peer, int64_t now_ns)
{
    const int at = find(tries, peer);
    return at < 0 || tries->list[at].until_ns <= now_ns + (BURST - 1) * PAUSE_NS;
}

void sono_web_tries_count(sono_web_tries *tries, const char *peer, int64_t now_ns)
{
    int at = find(tries, peer);
    for (int i = 0; at < 0 && i < SONO_WEB_PEERS;
         i++) { /* a place that is free, or whose account is settled */
        at = tries->list[i].until_ns <= now_ns ? i : at;
    }
    for (int i = 1; at < 0 && i < SONO_WEB_PEERS; i++) {
        at = tries->list[i].until_ns < tries->list[0].until_ns ? i : at;
    }
    at = at < 0 ? 0 : at;
    snprintf(tries->list[at].peer, sizeof tries->list[at].peer, "%s", peer);
    if (tries->list[at].until_ns < now_ns) {
        tries->list[at].until_ns = now_ns;
    }
    tries->list[at].until_ns += PAUSE_NS;
}
