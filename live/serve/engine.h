// SPDX-License-Identifier: Apache-2.0
/*
 * What analyses frames: sono_pipeline, or `null`, which marks pixels of 128 and above and so shows which
 * frame a mask was made from. Opening and closing run in a thread of their own; everything else is the loop's
 * thread's and never waits. What happened is fetched by sono_serve_engine_next() whenever the descriptor is
 * readable.
 */
#ifndef SONO_SERVE_ENGINE_H
#define SONO_SERVE_ENGINE_H

#include "serve/config.h"
#include "serve/frame.h"

typedef struct sono_serve_engine sono_serve_engine;

/* The result of a frame, borrowed until sono_serve_engine_release(). */
typedef struct sono_serve_result {
    uint64_t frame;
    sono_state state;
    float score;
    float bbox_xyxy_px[4];
    float iou_predicted;
    int64_t mask_area_px;
    int32_t width_px, height_px;
    const uint8_t *mask;        /* rows contiguous, 0 / 255; never NULL */
    const uint8_t *maps[3];     /* edge, inside, outside, 0 / 1; NULL unless sink.maps */
    int32_t is_judged;          /* 0 with state.mode score: the next four are 0 */
    int32_t quality, agreement; /* of 1000; agreement -1 = unknown */
    int32_t reasons;            /* sono_state_reason */
    sono_parts parts;           /* what they are made of */
    sono_region region;         /* what the networks saw; width 0 = the whole image */
    int32_t has_surface;        /* 0 unless engine.surface is on */
    sono_surface_view surface;
    double latency_ms;  /* of the engine alone */
    int32_t has_ledger; /* 0 = the engine books nothing */
    sono_ledger_totals ledger;
    const void *lent; /* the engine's own */
} sono_serve_result;

typedef enum sono_serve_engine_news {
    SONO_SERVE_ENGINE_NOTHING = 0,
    SONO_SERVE_ENGINE_UP,
    SONO_SERVE_ENGINE_DOWN, /* opening failed (error says why), or closing is done */
    SONO_SERVE_ENGINE_RESULT,
    SONO_SERVE_ENGINE_LOSS /* result->frame was lost to a device error */
} sono_serve_engine_news;

/* What runs, for metadata, KPI text and pages. Static between UP and DOWN. */
typedef struct sono_serve_engine_info {
    char kind[16];    /* "pipeline" or "null" */
    char backend[16]; /* "cpu", "cuda"; "none" */
    char precision[8];
    char detector[64], segmenter[64];
    char detector_sha256[65], segmenter_sha256[65]; /* "" until they are known */
    double residency_percent; /* share of operations in device memory; -1 = unknown, or no device */
} sono_serve_engine_info;

/* Places for frames in the engine's memory: those in the engine, those that wait, one that is being filled,
 * one that came whole while more lies in the socket (newest-wins mode), and a result that is being sent. All
 * of them may be taken at once, so with as many nothing is ever refused for want of memory. */
int32_t sono_serve_engine_slots(const sono_serve_config *config);

/* config: copied. on_event: optional, as of sono_pipeline_config, from a thread of its own. Errors:
 * INVALID_ARGUMENT (more places for frames than a pipeline has), OUT_OF_MEMORY, IO. */
sono_status sono_serve_engine_new(const sono_serve_config *config, sono_event_fn on_event, void *user,
                                  sono_serve_engine **out, sono_error *error);
/* The threshold of openings from now on. */
void sono_serve_engine_set_threshold(sono_serve_engine *engine, double threshold);
/* Readable exactly while _next() has something. The engine's own. */
int sono_serve_engine_fd(const sono_serve_engine *engine);
void sono_serve_engine_open(sono_serve_engine *engine); /* begins; UP or DOWN follows */
int sono_serve_engine_is_opening(const sono_serve_engine *engine);
/* Begins; one DOWN follows, also while it opens. Lent inputs and results are gone. */
void sono_serve_engine_close(sono_serve_engine *engine);
sono_serve_engine_news sono_serve_engine_next(sono_serve_engine *engine, sono_serve_result *result,
                                              sono_error *error);
/* Memory for one frame's pixels, 64-byte aligned. NULL = not open, or none is free. */
uint8_t *sono_serve_engine_lend(sono_serve_engine *engine, size_t *n_bytes, void **input);
void sono_serve_engine_return(sono_serve_engine *engine, void *input);
/* image->pixels lies in input; info->frame_id is the frame's number. On failure the input is given back. */
sono_status sono_serve_engine_submit(sono_serve_engine *engine, void *input, const sono_image *image,
                                     const sono_frame_info *info, sono_error *error);
void sono_serve_engine_release(sono_serve_engine *engine, const sono_serve_result *result);
void sono_serve_engine_query(const sono_serve_engine *engine, sono_serve_engine_info *out);
/* Closes it where it is open and waits until it is closed. NULL is allowed. */
void sono_serve_engine_free(sono_serve_engine *engine);

#endif
