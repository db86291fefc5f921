// SPDX-License-Identifier: Apache-2.0
/*
 * A run's share of the inputs, for several machines: shard i of n has the frames i - 1, i - 1 + n, ... of
 * all. Names and numbers are those of a run over everything. Beside its results a run that came to its end
 * leaves DIR/shard.json, by which `merge` knows that nothing is missing.
 */
#ifndef SONOSEG_TOOL_SHARD_H
#define SONOSEG_TOOL_SHARD_H

#include <stdint.h>

#define SHARD_MAX 100000

/* Zero = everything. */
typedef struct shard {
    int32_t number; /* [1, n] */
    int32_t n;
} shard;

/* What shard.json says. */
typedef struct shard_report {
    shard part;
    int64_t n_inputs; /* of all shards */
    int64_t n_failed; /* of this one */
} shard_report;

/* Takes "i/n"; 0, or -1 after report_error(). */
int shard_take(shard *self, const char *value);

int shard_has(const shard *self, uint64_t frame_id);

/* How many of n_inputs are the shard's. */
int64_t shard_count(const shard *self, int64_t n_inputs);

/* 0, or -1 after report_error(). A file that is not there is an error, too: the run has not come to its end.
 */
int shard_write(const shard *self, const char *folder, int64_t n_inputs, int64_t n_failed);
int shard_read(shard_report *out, const char *folder);

/* A shard that is begun again has not come to its end. */
void shard_forget(const char *folder);

#endif
