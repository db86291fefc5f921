// SPDX-License-Identifier: Apache-2.0
/* Private to the source: source.c connects and reads, source_image.c makes frames of images, source_hello.c
 * is what it says first. */
#ifndef SONO_SERVE_SOURCE_PARTS_H
#define SONO_SERVE_SOURCE_PARTS_H

#include "serve/pixels.h"
#include "serve/resolve.h"
#include "serve/source.h"
#include "serve/transforms.h"

#define SONO_SERVE_SCRATCH_BYTES (512 * 1024) /* messages but images; an image's metadata; BIND has more */
#define SONO_SERVE_HELLO_BYTES   4096

/* The IMAGE that is being read. */
typedef struct sono_serve_under_way {
    int is_frame; /* of the device that is analysed: it is counted, however it ends */
    int is_refused;
    sono_session_drop drop;
    const char *why; /* static */
    sono_serve_pixels_plan plan;
    void *input;     /* NULL = it goes to the staging memory, or nowhere */
    uint8_t *pixels; /* NULL = nowhere */
} sono_serve_under_way;

/* An IMAGE as it came, by itself or in a BIND. */
typedef struct sono_serve_arrival {
    const sono_igtl_header *header; /* of the whole message */
    const char *device;
    const sono_igtl_image *image;
    const uint8_t *image_head;
    const sono_igtl_body *body; /* its metadata */
} sono_serve_arrival;

typedef enum sono_serve_source_phase {
    SONO_SERVE_SOURCE_IDLE,
    SONO_SERVE_SOURCE_RESOLVING,
    SONO_SERVE_SOURCE_CONNECTING,
    SONO_SERVE_SOURCE_UP
} sono_serve_source_phase;

struct sono_serve_source {
    sono_serve_config config;
    sono_serve_window window;
    sono_serve_loop *loop;
    sono_serve_engine *engine;
    sono_serve_source_listener listener;
    /* The link. */
    sono_serve_source_phase phase;
    uint32_t generation; /* of the connection: callbacks may end it */
    int is_paused;
    int fd;
    sono_serve_watch watch, resolver_watch;
    sono_serve_resolver *resolver; /* NULL = the address is numeric */
    sono_serve_addresses addresses;
    int32_t at_address;
    char peer[64];
    uint8_t hello[SONO_SERVE_HELLO_BYTES];
    size_t hello_bytes, hello_at;
    /* The stream. */
    sono_igtl_reader reader;
    uint8_t *scratch; /* untouched, and so no memory, behind what messages need */
    size_t scratch_bytes;
    sono_serve_transforms transforms;
    char device[SONO_IGTL_DEVICE_CHARS + 1]; /* that is analysed; "" = the first that comes */
    sono_serve_under_way under_way;
    sono_serve_frame frame;
    uint64_t n_frames;
    uint8_t *staging; /* for recording while the engine has no input; NULL = there is no recording */
    size_t staging_bytes;
    int64_t unsettled_ns; /* when the first frame since `settled` came; 0 = there is none */
    int64_t rate_at_ns;   /* frames before this are above the rate */
    int is_unknown_told;  /* of this connection */
    uint64_t n_bytes, n_messages, n_refused, n_unknown, n_bad_crc, n_connections;
};

/* Fills source->hello. */
void sono_serve_source_hello(sono_serve_source *source);

/* An image's head is known: decides where its pixels go, source->under_way.pixels. */
void sono_serve_source_image_begin(sono_serve_source *source, const sono_serve_arrival *arrival);
/* The image is over, its pixels are there; has_crc: its checksum fits. */
void sono_serve_source_image_end(sono_serve_source *source, const sono_serve_arrival *arrival, int has_crc);
/* A BIND's TRANSFORMs, then its IMAGEs. */
void sono_serve_source_bind(sono_serve_source *source);
/* An IMAGE ended that is not one: reader->fault, or a link that broke. */
void sono_serve_source_image_fail(sono_serve_source *source, sono_session_drop drop, const char *why);
/* Returns its input. */
void sono_serve_source_image_forget(sono_serve_source *source);

/* The log of `event` with a text as of printf. */
__attribute__((format(printf, 3, 4))) void sono_serve_source_log(sono_serve_source *source, const char *event,
                                                                 const char *format, ...);

#endif
