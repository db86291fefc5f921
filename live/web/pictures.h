// SPDX-License-Identifier: Apache-2.0
/* How a frame's head is told, and how a picture is packed for a WebSocket. Pure. */
#ifndef SONO_WEB_PICTURES_H
#define SONO_WEB_PICTURES_H

#include "web/hub.h"
#include "web/text.h"

#define SONO_WEB_PACK_BYTES 12 /* in front of head and JPEG */

/* kind: "frame", "empty" (a fault replaced the mask) or "alive" (nothing new). */
void sono_web_write_head(sono_web_text *text, const char *kind, const sono_web_head *head, int64_t now_ns);
/* "SWF1", the head's length and the JPEG's, little endian. */
void sono_web_pack(uint32_t n_head, uint32_t n_jpeg, uint8_t out[SONO_WEB_PACK_BYTES]);

#endif
