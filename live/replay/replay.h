// SPDX-License-Identifier: Apache-2.0
/*
 * A server that behaves like PlusServer, fed by a recorded sequence, image files or the phantom: for trying
 * the live service and 3D Slicer without a scanner (docs/replay.md).
 *
 * Frames go out on an absolute schedule, so that no error adds up. A frame's transforms are sent as TRANSFORM
 * messages before its IMAGE; clients that speak header version 2 get its fields as metadata too. The header
 * version is 1 until a client sent a version-2 message. A client that has too many frames queued is
 * disconnected. Nothing is sent before the first client has spoken, or was silent for a quarter of a second.
 *
 * Thread-safety: one thread; it blocks in sono_replay_run().
 */
#ifndef SONO_REPLAY_REPLAY_H
#define SONO_REPLAY_REPLAY_H

#include "sonoseg/io.h"
#include "sonoseg/sonoseg.h"

#define SONO_REPLAY_MAX_CLIENTS 32 /* further ones are turned away */

typedef enum sono_replay_pace {
    SONO_REPLAY_ORIGINAL = 0, /* as far apart as the frames' own times; FORMAT when they have none */
    SONO_REPLAY_FIXED,        /* rate_hz */
    SONO_REPLAY_MAXIMUM       /* as fast as the slowest client takes them; waits while there is none */
} sono_replay_pace;

typedef struct sono_replay_options {
    /* Opens what is replayed; called again for a further pass when the frames did not fit cache_bytes. The
     * source is closed by the replay. Sequences should be opened as_stored. */
    sono_status (*open_source)(void *user, sono_source **out, sono_error *error);
    const char *pose;         /* what frame_info's pose is called; default "ImageToReference" */
    const char *host;         /* default "127.0.0.1" */
    int32_t port;             /* default 18944; 0 = any, `ready` says which */
    const char *device;       /* of the IMAGE; default "Image_Reference" */
    sono_replay_pace pace;    /* default ORIGINAL */
    double rate_hz;           /* FIXED: [0.001, 10000] */
    int32_t burst;            /* FIXED: so many frames at once, every burst / rate_hz seconds; default 1 */
    int32_t is_loop;          /* begins again at the end; default 0 */
    int32_t keeps_timestamps; /* 1: frames keep their own time; 0 (default): when they are to be sent */
    int32_t queue_frames;     /* a client that is so many frames behind is disconnected; default 100 */
    int64_t cache_bytes;      /* frames are kept in memory up to this for later passes; default 512 MiB */
    int32_t is_preloaded;     /* 1: all are read before the first client is let in; LIMIT when they do not
                                 fit. Default 0 */
    int (*is_stopped)(void *user);             /* optional; asked at least four times a second */
    void (*ready)(void *user, int32_t port);   /* optional: it listens */
    void (*log)(void *user, const char *text); /* optional: a client came or went, a frame was unreadable */
    void *user;
} sono_replay_options;

void sono_replay_options_init(sono_replay_options *options);

typedef struct sono_replay_summary {
    uint64_t n_frames;     /* that were due; a client that was there got each */
    uint64_t n_unreadable; /* left out */
    uint64_t n_late;       /* handed to the clients' sockets more than 1 ms after they were due */
    int64_t worst_late_ns;
    uint64_t n_shifts;   /* it was more than a second behind and let the schedule begin anew */
    int64_t duration_ns; /* from the first frame to the last */
    double rate_hz;      /* reached; 0 with less than two frames */
    uint64_t n_bytes;    /* sent, all clients */
    uint64_t n_clients;  /* that came */
    uint64_t n_slow;     /* of them disconnected for slowness */
} sono_replay_summary;

/* Serves until the frames end (then what is queued is sent) or is_stopped says so. out: also filled in on a
 * failure. Errors: IO (the address cannot be bound), FORMAT (no frame could be read; no times), LIMIT,
 * INVALID_ARGUMENT, OUT_OF_MEMORY, and those of opening the source. */
sono_status sono_replay_run(const sono_replay_options *options, sono_replay_summary *out, sono_error *error);

#endif
