// SPDX-License-Identifier: Apache-2.0
/* Values as JSON has them, whatever the locale. What is not finite becomes null. */
#ifndef SONO_IO_FOLDER_VALUES_H
#define SONO_IO_FOLDER_VALUES_H

#include "io/folder/text.h"
#include "sonoseg/sonoseg.h"

#include <stdint.h>

/* A string. words: UTF-8 without control characters. */
void sono_text_add_words(sono_text *text, const char *words);
/* A string. name: any bytes, escaped as names.h says. */
void sono_text_add_name(sono_text *text, const char *name);

/* ns / 10^9: every digit there is, none that is not. */
void sono_text_add_seconds(sono_text *text, int64_t ns);
void sono_text_add_number(sono_text *text, double value, int n_digits);
/* As few digits as give the value back exactly: at most 9, 17. */
void sono_text_add_float(sono_text *text, float value);
void sono_text_add_double(sono_text *text, double value);
/* value: finite, of less than 30 digits. */
void sono_text_add_fixed(sono_text *text, double value, int n_decimals);

/* Members behind others: "spacing_mm" and "image_to_reference", each where it is known. */
void sono_text_add_place(sono_text *text, const sono_frame_info *info);

#endif
