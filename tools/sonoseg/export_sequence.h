// SPDX-License-Identifier: Apache-2.0
/* Masks as a sequence (.igs.mha), written by the recorder that `serve` has: in a hidden folder beside its
 * place, and moved there at the end. More than a file can hold goes to further files, NAME_0002... */
#ifndef SONOSEG_TOOL_EXPORT_SEQUENCE_H
#define SONOSEG_TOOL_EXPORT_SEQUENCE_H

#include "export_input.h"

typedef struct export_sequence export_sequence;

/* path: ends in ".mha"; borrowed until close. orientation: the frames'. NULL after report_error(). */
export_sequence *export_sequence_open(const char *path, sono_orientation orientation);

/* 0, or -1 after report_error(). */
int export_sequence_add(export_sequence *self, const export_frame *frame);

/* keep 1: moved into place; may_replace 0: not over a file. Freed in any case; NULL is allowed. 0, or -1
 * after report_error(). */
int export_sequence_close(export_sequence *self, int keep, int may_replace);

#endif
