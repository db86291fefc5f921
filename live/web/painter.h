// SPDX-License-Identifier: Apache-2.0
/*
 * Pictures for pages: the loop's thread copies a frame into one of three buffers, the painter's thread draws
 * and encodes the newest one, if anybody looks. Neither waits for the other.
 */
#ifndef SONO_WEB_PAINTER_H
#define SONO_WEB_PAINTER_H

#include "web/encode.h"
#include "web/hub.h"
#include "web/web.h"

typedef struct sono_web_painter sono_web_painter;

/* Errors: OUT_OF_MEMORY, IO (a thread, a descriptor), UNSUPPORTED (no JPEG encoder). */
/* log: of frames that were kept. */
sono_status sono_web_painter_open(sono_web_hub *hub, const sono_web_setup *setup, sono_web_painter **out,
                                  sono_error *error);
void sono_web_painter_close(sono_web_painter *painter); /* NULL is allowed */

/* ---- the loop's thread ---- */
int sono_web_painter_wants(const sono_web_painter *painter, int64_t now_ns);
void sono_web_painter_give(sono_web_painter *painter, const sono_web_frame *frame, int64_t shown_utc_ns);

/* ---- any thread ---- */
/* Somebody wants the newest frame once: it is painted, and the next one is, too. */
void sono_web_painter_ask(sono_web_painter *painter, int wants_png, int64_t now_ns);
/* The next frame is kept: PREFIX_<frame>.png as it came, _mask.png, _outline.png. 0, or -1: one is on its
 * way. */
int sono_web_painter_keep(sono_web_painter *painter, const char *prefix);
uint64_t sono_web_painter_count(const sono_web_painter *painter); /* pictures that were made */

#endif
