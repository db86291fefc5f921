// SPDX-License-Identifier: Apache-2.0
/* A packet as one JSON object on one line. */
#ifndef SONO_IO_FOLDER_JSONL_H
#define SONO_IO_FOLDER_JSONL_H

#include "io/folder/text.h"
#include "sonoseg/sonoseg.h"

typedef struct sono_jsonl_style {
    int32_t with_rle;      /* 1: each object has its mask's run lengths (rle.h) */
    int32_t without_times; /* 1: neither latencies nor ledger, the only keys that differ from run to run */
} sono_jsonl_style;

/* Adds packet's line with its newline. path: where the frame came from; stem: its pictures' name, escaped
 * already. Numbers have a decimal point whatever the locale; a NaN or an infinity becomes null. */
void sono_jsonl_packet(sono_text *text, const sono_packet *packet, const char *path, const char *stem,
                       const sono_jsonl_style *style);

#endif
