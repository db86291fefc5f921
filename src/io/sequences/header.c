// SPDX-License-Identifier: Apache-2.0
#include "io/sequences/header.h"

#include "base/alloc.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define PIECE_BYTES    ((size_t)64 << 10)
#define MAX_LINE_BYTES ((size_t)64 << 10)
#define FRAME_PREFIX   "Seq_Frame"
#define DATA_FILE      "ElementDataFile"

/* MetaIO's own rows; whatever else a file has is a note. */
static const char *const metaio_names[] = {"ObjectType",
                                           "ObjectSubType",
                                           "NDims",
                                           "AnatomicalOrientation",
                                           "BinaryData",
                                           "BinaryDataByteOrderMSB",
                                           "ElementByteOrderMSB",
                                           "CenterOfRotation",
                                           "CompressedData",
                                           "CompressedDataSize",
                                           "DimSize",
                                           "ElementDataFile",
                                           "ElementMax",
                                           "ElementMin",
                                           "ElementNumberOfChannels",
                                           "ElementSize",
                                           "ElementSpacing",
                                           "ElementType",
                                           "HeaderSize",
                                           "Kinds",
                                           "Offset",
                                           "Origin",
                                           "Position",
                                           "Orientation",
                                           "Rotation",
                                           "TransformMatrix"};

typedef struct reader {
    sono_sequence_header *header;
    int file;
    int at_end;     /* of the file */
    size_t line_at; /* the line being read */
    sono_error *error;
} reader;

void sono_sequence_header_reset(sono_sequence_header *header)
{
    sono_free(header->text);
    sono_free(header->rows);
    *header = (sono_sequence_header){0};
}

static sono_status read_piece(reader *self)
{
    sono_sequence_header *header = self->header;
    if (header->n_text > SONO_SEQUENCE_MAX_HEADER_BYTES)
        return SONO_FAIL(self->error, LIMIT, "%s: the header has more than %zu bytes", header->path,
                         SONO_SEQUENCE_MAX_HEADER_BYTES);
    void *text = header->text;
    if (sono_alloc_grow(&text, &header->text_capacity, header->n_text + PIECE_BYTES + 1, 1))
        return SONO_FAIL(self->error, OUT_OF_MEMORY, "%s: out of memory for the header", header->path);
    header->text = text;
    ssize_t n;
    do
        n = pread(self->file, header->text + header->n_text, PIECE_BYTES, (off_t)header->n_text);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return SONO_FAIL_NATIVE(self->error, IO, errno, "%s: cannot be read: %s", header->path,
                                strerror(errno));
    self->at_end = n == 0;
    header->n_text += (size_t)n;
    header->text[header->n_text] = 0;
    return SONO_STATUS_OK;
}

static sono_status check_line(const reader *self, size_t n_line)
{
    const sono_sequence_header *header = self->header;
    for (size_t i = self->line_at; i < self->line_at + n_line; i++) {
        const unsigned char letter = (unsigned char)header->text[i];
        if ((letter < 0x20 && letter != '\t' && letter != '\r') || letter == 0x7f)
            return SONO_FAIL_AT(self->error, FORMAT, i,
                                "%s: neither a MetaIO nor an NRRD header: it has bytes that are no text",
                                header->path);
    }
    return SONO_STATUS_OK;
}

/* Finds the end of the line at line_at. *n_line: without its end; *n_all: with it, 0 at the end of the file.
 */
static sono_status next_line(reader *self, size_t *n_line, size_t *n_all)
{
    sono_sequence_header *header = self->header;
    size_t n_seen = 0;
    for (;;) {
        const size_t n_left = header->n_text - self->line_at;
        const char *line = header->text + self->line_at;
        const char *end = n_left > n_seen ? memchr(line + n_seen, '\n', n_left - n_seen) : NULL;
        if (end || self->at_end) {
            *n_line = end ? (size_t)(end - line) : n_left;
            *n_all = *n_line + (end != NULL);
            break;
        }
        n_seen = n_left;
        if (n_seen > MAX_LINE_BYTES)
            break;
        SONO_TRY(read_piece(self));
    }
    if (n_seen > MAX_LINE_BYTES || *n_line > MAX_LINE_BYTES)
        return SONO_FAIL_AT(self->error, FORMAT, self->line_at,
                            "%s: neither a MetaIO nor an NRRD header: a line of more than %zu bytes",
                            header->path, MAX_LINE_BYTES);
    SONO_TRY(check_line(self, *n_line));
    if (*n_line && header->text[self->line_at + *n_line - 1] == '\r')
        (*n_line)--;
    return SONO_STATUS_OK;
}

/* Cuts blanks off both ends of [*from, *to). */
static void trim(const char *text, size_t *from, size_t *to)
{
    while (*from < *to && (text[*from] == ' ' || text[*from] == '\t'))
        (*from)++;
    while (*to > *from && (text[*to - 1] == ' ' || text[*to - 1] == '\t' || text[*to - 1] == '\r'))
        (*to)--;
}

static int is_metaio_name(const char *name)
{
    for (size_t i = 0; i < sizeof metaio_names / sizeof metaio_names[0]; i++)
        if (!strcmp(name, metaio_names[i]))
            return 1;
    return 0;
}

/* "Seq_Frame0012_Timestamp": the number, with *name_at moved to "Timestamp"; -1 = no such name. Errors:
 * FORMAT. */
static sono_status take_frame_number(const reader *self, uint32_t *name_at, int32_t *frame)
{
    const char *name = self->header->text + *name_at, *digit = name + strlen(FRAME_PREFIX);
    int64_t number = 0;
    *frame = -1;
    if (strncmp(name, FRAME_PREFIX, strlen(FRAME_PREFIX)) != 0)
        return SONO_STATUS_OK;
    const char *first = digit;
    for (; isdigit((unsigned char)*digit); digit++) {
        number = number * 10 + (*digit - '0');
        if (number > INT32_MAX)
            break;
    }
    if (digit == first || *digit != '_' || !digit[1])
        return SONO_FAIL_AT(self->error, FORMAT, *name_at, "%s: \"%.60s\" names no frame's field",
                            self->header->path, name);
    *name_at += (uint32_t)(digit + 1 - name);
    *frame = (int32_t)number;
    return SONO_STATUS_OK;
}

/* Takes the line [from, from + n_line), of which the separator is at [mark, mark + n_mark). */
static sono_status take_row(reader *self, size_t n_line, size_t mark, size_t n_mark)
{
    sono_sequence_header *header = self->header;
    size_t name_at = self->line_at, name_end = mark, value_at = mark + n_mark,
           value_end = self->line_at + n_line;
    void *rows = header->rows;
    trim(header->text, &name_at, &name_end);
    trim(header->text, &value_at, &value_end);
    if (name_at == name_end)
        return SONO_FAIL_AT(self->error, FORMAT, self->line_at, "%s: a line without a name", header->path);
    if (header->n_rows == SONO_SEQUENCE_MAX_ROWS)
        return SONO_FAIL(self->error, LIMIT, "%s: the header has more than %zu rows", header->path,
                         SONO_SEQUENCE_MAX_ROWS);
    if (sono_alloc_grow(&rows, &header->rows_capacity, header->n_rows + 1, sizeof *header->rows))
        return SONO_FAIL(self->error, OUT_OF_MEMORY, "%s: out of memory for the header", header->path);
    header->rows = rows;
    header->text[name_end] = 0;
    header->text[value_end] = 0;
    sono_sequence_row row = {(uint32_t)name_at, (uint32_t)value_at, -1};
    SONO_TRY(take_frame_number(self, &row.name_at, &row.frame));
    if (row.frame < 0) {
        const int is_format = header->is_nrrd ? n_mark == 1 : is_metaio_name(header->text + name_at);
        row.frame = is_format ? SONO_SEQUENCE_FORMAT : SONO_SEQUENCE_NOTE;
    }
    header->rows[header->n_rows++] = row;
    return SONO_STATUS_OK;
}

/* *is_last: the line was ElementDataFile, which ends the header. */
static sono_status take_metaio_line(reader *self, size_t n_line, int *is_last)
{
    const sono_sequence_header *header = self->header;
    const char *line = header->text + self->line_at;
    const char *mark = memchr(line, '=', n_line);
    if (!mark)
        mark = memchr(line, ':', n_line);
    if (!mark && strspn(line, " \t") >= n_line)
        return SONO_STATUS_OK;
    if (!mark)
        return SONO_FAIL_AT(self->error, FORMAT, self->line_at,
                            "%s: neither a MetaIO nor an NRRD header: a line without \"=\"", header->path);
    SONO_TRY(take_row(self, n_line, (size_t)(mark - header->text), 1));
    const sono_sequence_row *row = &header->rows[header->n_rows - 1];
    *is_last = row->frame == SONO_SEQUENCE_FORMAT && !strcmp(sono_sequence_name(header, row), DATA_FILE);
    return SONO_STATUS_OK;
}

/* *is_last: the line was empty, which ends the header. */
static sono_status take_nrrd_line(reader *self, size_t n_line, int *is_last)
{
    const sono_sequence_header *header = self->header;
    const char *line = header->text + self->line_at;
    const char *mark = memchr(line, ':', n_line);
    *is_last = n_line == 0;
    if (!n_line || *line == '#' || self->line_at == 0)
        return SONO_STATUS_OK;
    if (!mark)
        return SONO_FAIL_AT(self->error, FORMAT, self->line_at,
                            "%s: an NRRD header with a line without \":\"", header->path);
    return take_row(self, n_line, (size_t)(mark - header->text), mark[1] == '=' ? 2 : 1);
}

/* A detached NRRD header may end with its file; MetaIO's names the pixels in its last line. */
static sono_status fail_at_end(const reader *self)
{
    const sono_sequence_header *header = self->header;
    if (!header->n_text)
        return SONO_FAIL(self->error, FORMAT, "%s: the file is empty", header->path);
    return SONO_FAIL_AT(self->error, FORMAT, header->n_text,
                        "%s: the header has no end: the line ElementDataFile is missing", header->path);
}

static sono_status read_lines(reader *self)
{
    sono_sequence_header *header = self->header;
    int is_last = 0;
    while (!is_last) {
        size_t n_line, n_all;
        SONO_TRY(next_line(self, &n_line, &n_all));
        if (!n_all && !header->is_nrrd)
            return fail_at_end(self);
        if (!n_all)
            break;
        SONO_TRY(header->is_nrrd ? take_nrrd_line(self, n_line, &is_last)
                                 : take_metaio_line(self, n_line, &is_last));
        self->line_at += n_all;
    }
    header->end = (int64_t)self->line_at;
    return SONO_STATUS_OK;
}

static int compare_rows(const void *left, const void *right)
{
    const sono_sequence_row *a = left, *b = right;
    if (a->frame != b->frame)
        return a->frame < b->frame ? -1 : 1;
    return a->name_at < b->name_at ? -1 : a->name_at > b->name_at;
}

sono_status sono_sequence_header_read(sono_sequence_header *header, int file, const char *path,
                                      sono_error *error)
{
    reader self = {.header = header, .file = file, .error = error};
    header->path = path;
    SONO_TRY(read_piece(&self));
    header->is_nrrd = header->n_text >= 8 && !memcmp(header->text, "NRRD000", 7);
    SONO_TRY(read_lines(&self));
    if (header->n_rows)
        qsort(header->rows, header->n_rows, sizeof *header->rows, compare_rows);
    return SONO_STATUS_OK;
}

/* The first row of a frame that is not below `frame`. */
static size_t first_row(const sono_sequence_header *header, int64_t frame)
{
    size_t low = 0, high = header->n_rows;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (header->rows[middle].frame < frame)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

size_t sono_sequence_rows_of(const sono_sequence_header *header, int32_t frame, size_t *first)
{
    *first = first_row(header, frame);
    return first_row(header, (int64_t)frame + 1);
}

const sono_sequence_row *sono_sequence_find(const sono_sequence_header *header, size_t first, size_t end,
                                            const char *name)
{
    for (size_t i = first; i < end; i++)
        if (!strcasecmp(sono_sequence_name(header, &header->rows[i]), name))
            return &header->rows[i];
    return NULL;
}

static const sono_sequence_row *find_among(const sono_sequence_header *header, int32_t whose,
                                           const char *name)
{
    size_t first;
    const size_t end = sono_sequence_rows_of(header, whose, &first);
    return sono_sequence_find(header, first, end, name);
}

const sono_sequence_row *sono_sequence_find_format(const sono_sequence_header *header, const char *name)
{
    return find_among(header, SONO_SEQUENCE_FORMAT, name);
}

const sono_sequence_row *sono_sequence_find_note(const sono_sequence_header *header, const char *name)
{
    return find_among(header, SONO_SEQUENCE_NOTE, name);
}

static int hex_digit(char letter)
{
    return letter >= '0' && letter <= '9'   ? letter - '0'
           : letter >= 'A' && letter <= 'F' ? letter - 'A' + 10
                                            : -1;
}

static void unescape(char *text)
{
    char *out = text;
    for (; *text; text++, out++) {
        const int high = *text == '%' ? hex_digit(text[1]) : -1;
        const int low = high >= 0 ? hex_digit(text[2]) : -1;
        *out = *text;
        if (low >= 0 && high + low > 0) {
            *out = (char)(16 * high + low);
            text += 2;
        }
    }
    *out = 0;
}

void sono_sequence_unescape(sono_sequence_header *header)
{
    for (size_t i = 0; i < header->n_rows; i++)
        if (header->rows[i].frame != SONO_SEQUENCE_FORMAT)
            unescape(header->text + header->rows[i].value_at);
}
