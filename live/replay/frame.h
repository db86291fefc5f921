// SPDX-License-Identifier: Apache-2.0
/* Private to the replay: a frame out of what a source gave. */
#ifndef SONO_REPLAY_FRAME_H
#define SONO_REPLAY_FRAME_H

#include "replay/frames.h"

/* Copies the frame that source gave last, of whatever kind. pose: what info's pose is called. The caller
 * frees *out. n_bytes: of its memory. Errors: LIMIT (a side above 65535 pixels), OUT_OF_MEMORY.
 */
sono_status sono_replay_frame_make(const sono_source *source, const sono_image *image,
                                   const sono_frame_info *info, const char *pose, sono_replay_frame **out,
                                   size_t *n_bytes, sono_error *error);

#endif
