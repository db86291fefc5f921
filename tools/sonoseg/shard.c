// SPDX-License-Identifier: Apache-2.0
#include "shard.h"

#include "args.h"
#include "json_find.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NAME "/shard.json"
#define PART "/.sonoseg-part-shard" /* swept by whoever locks the folder next */

int shard_take(shard *self, const char *value)
{
    char *end = NULL;
    const int is_digit = *value >= '0' && *value <= '9';
    const long number = is_digit ? strtol(value, &end, 10) : 0;
    const int has_n = is_digit && *end == '/' && end[1] >= '0' && end[1] <= '9';
    const long n = has_n ? strtol(end + 1, &end, 10) : 0;
    if (!has_n || *end || number < 1 || n > SHARD_MAX || number > n) {
        report_error("--shard: '%s' is no share like 1/4 to 4/4", value);
        return -1;
    }
    *self = (shard){(int32_t)number, (int32_t)n};
    return 0;
}

int shard_has(const shard *self, uint64_t frame_id)
{
    return !self->n || frame_id % (uint64_t)self->n == (uint64_t)self->number - 1;
}

int64_t shard_count(const shard *self, int64_t n_inputs)
{
    return n_inputs / self->n + (self->number <= n_inputs % self->n);
}

int shard_write(const shard *self, const char *folder, int64_t n_inputs, int64_t n_failed)
{
    char path[PATH_MAX], part[PATH_MAX];
    const int fits = snprintf(path, sizeof path, "%s" NAME, folder) < (int)sizeof path &&
                     snprintf(part, sizeof part, "%s" PART, folder) < (int)sizeof part;
    FILE *out = fits ? fopen(part, "we") : NULL;
    if (out)
        fprintf(out, "{\"schema\": 1, \"shard\": %d, \"of\": %d, \"inputs\": %lld, \"failed\": %lld}\n",
                self->number, self->n, (long long)n_inputs, (long long)n_failed);
    if (out && !fclose(out) && !rename(part, path))
        return 0;
    report_error("%s" NAME ": cannot be written: %s", folder, fits ? strerror(errno) : "too long a path");
    return -1;
}

int shard_read(shard_report *out, const char *folder)
{
    char path[PATH_MAX], text[256];
    FILE *file = snprintf(path, sizeof path, "%s" NAME, folder) < (int)sizeof path ? fopen(path, "re") : NULL;
    if (!file) {
        report_error("%s" NAME ": %s: run this shard to its end first (with --shard, and --resume to go on)",
                     folder, strerror(errno));
        return -1;
    }
    const size_t n = fread(text, 1, sizeof text - 1, file);
    text[n] = 0;
    fclose(file);
    const double number = json_number(text, "shard"), of = json_number(text, "of");
    const double inputs = json_number(text, "inputs"), failed = json_number(text, "failed");
    if (!(of >= 1 && of <= SHARD_MAX && number >= 1 && number <= of && inputs >= 0 && inputs < 9e15 &&
          failed >= 0 && failed <= inputs)) {
        report_error("%s" NAME ": is none that `sonoseg run --shard` wrote", folder);
        return -1;
    }
    *out = (shard_report){{(int32_t)number, (int32_t)of}, (int64_t)inputs, (int64_t)failed};
    return 0;
}

void shard_forget(const char *folder)
{
    char path[PATH_MAX];
    if (snprintf(path, sizeof path, "%s" NAME, folder) < (int)sizeof path)
        unlink(path);
}
