// SPDX-License-Identifier: Apache-2.0
/* A packet as one JSON object on one line. */
#ifndef SONO_IO_FOLDER_JSONL_H
#define SONO_IO_FOLDER_JSONL_H

#include "base/status.h"

#include <stdio.h>

/* Writes packet's line with its newline. path: where the frame came from; stem: its pictures' name, escaped
 * already. Numbers have a decimal point whatever the locale; a NaN or an infinity becomes null. Write errors
 * stay in the stream. */
void sono_jsonl_packet(FILE *stream, const sono_packet *packet, const char *path, const char *stem);

#endif
