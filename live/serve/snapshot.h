// SPDX-License-Identifier: Apache-2.0
/* The service's state at one moment, all counters read together; what KPI text and pages show. Written by the
 * loop's thread; other threads copy it by sono_serve_snapshot_read(), which never sees half of one. */
#ifndef SONO_SERVE_SNAPSHOT_H
#define SONO_SERVE_SNAPSHOT_H

#include <stddef.h>
#include <stdint.h>

/* Why a frame is not VISIBLE, as metadata and pages name it: NAME of each sono_state_reason. */
#define SONO_SERVE_REASON_MAP(X)                                                                             \
    X(NO_BOX) X(NO_MASK) X(LOW_QUALITY) X(DISAGREES) X(FROZEN) X(TOO_SOON) X(BEGAN)

#define SONO_SERVE_SNAPSHOT_CLIENTS 64
#define SONO_SERVE_SNAPSHOT_DROPS   16

typedef struct sono_serve_snapshot_client {
    char address[64];
    int32_t version;                   /* of headers sent to it: 1 or 2 */
    uint64_t messages, bytes, dropped; /* sent, and lost to slowness */
    uint64_t queued_bytes;
    int64_t lag_ns; /* age of the oldest queued frame; 0 = none */
    int64_t since_utc_ns;
} sono_serve_snapshot_client;

typedef struct sono_serve_snapshot {
    int64_t utc_ns, uptime_ns;
    /* received = processed + sum of dropped + waiting + in_engine. */
    uint64_t received, processed;
    uint64_t dropped[SONO_SERVE_SNAPSHOT_DROPS]; /* by sono_session_drop */
    int32_t n_drops;
    uint32_t waiting, in_engine;
    uint64_t source_bytes, source_messages, source_refused, source_unknown, source_bad_crc;
    uint64_t source_connections;
    char source_address[64], source_device[32];
    int32_t source_is_up;
    char fault[24]; /* "OK", or the fault's STATUS name */
    char fault_text[128];
    char state[16]; /* of the last shown frame; "NONE" */
    uint64_t last_frame;
    int64_t last_shown_ns;          /* age of the last mask that was shown; -1 = none */
    double rate_in_hz, rate_out_hz; /* over the last second */
    double latency_ms_p50, latency_ms_p95, latency_ms_p99; /* receive to queued for clients, the last 1024 */
    double engine_ms_p50, engine_ms_p95, engine_ms_p99;
    char engine_kind[16], backend[16], precision[8], detector[64], segmenter[64];
    char detector_sha256[65], segmenter_sha256[65];
    uint64_t engine_opens;
    int32_t is_recording;
    uint64_t recorded, record_dropped;
    char record_error[160]; /* "" = none */
    uint64_t log_dropped;   /* lines that found no room */
    int32_t n_clients;
    sono_serve_snapshot_client clients[SONO_SERVE_SNAPSHOT_CLIENTS];
} sono_serve_snapshot;

/* One line of JSON with "schema": 1; returns its length without the 0 byte, as snprintf() does. */
size_t sono_serve_snapshot_json(const sono_serve_snapshot *snapshot, char *out, size_t n_bytes);

/* "superseded": the reason of dropped[index]; "" for what is none. */
const char *sono_serve_snapshot_drop_name(int32_t index);

typedef struct sono_serve_board sono_serve_board; /* where the newest snapshot hangs */
sono_serve_board *sono_serve_board_new(void);     /* NULL: out of memory */
void sono_serve_board_free(sono_serve_board *board);
void sono_serve_snapshot_write(sono_serve_board *board, const sono_serve_snapshot *snapshot);
void sono_serve_snapshot_read(const sono_serve_board *board, sono_serve_snapshot *out);

#endif
