// SPDX-License-Identifier: Apache-2.0
#include "trace_file.h"

#include "json.h"
#include "output_file.h"

#include <stdio.h>

#define MAX_ROWS 64

enum { PROCESS_HOST = 1, PROCESS_DEVICE };

/* The viewers want no two events of a row to overlap: a stream that runs branches of a graph side by side
 * gets several rows. */
typedef struct row {
    int process;
    int32_t stream;
    int64_t end_ns;
} row;

typedef struct writer {
    FILE *stream;
    row rows[MAX_ROWS];
    int n_rows;
    int64_t origin_ns;
} writer;

static int process_of(const sono_trace_record *record)
{
    return record->kind >= SONO_TRACE_WAIT ? PROCESS_HOST : PROCESS_DEVICE;
}

static int row_of(writer *self, const sono_trace_record *record)
{
    const int process = process_of(record);
    for (int i = 0; i < self->n_rows; i++) {
        row *r = &self->rows[i];
        if (r->process == process && r->stream == record->stream &&
            (r->end_ns <= record->start_ns || self->n_rows == MAX_ROWS)) {
            r->end_ns = record->end_ns;
            return i;
        }
    }
    if (self->n_rows == MAX_ROWS)
        return MAX_ROWS - 1;
    self->rows[self->n_rows] = (row){process, record->stream, record->end_ns};
    return self->n_rows++;
}

static void write_record(writer *self, const sono_trace_record *record)
{
    static const char *const kinds[SONO_TRACE_KIND_COUNT] = {"kernel", "h2d",    "d2h",       "copy",
                                                             "wait",   "launch", "allocation"};
    const int at = row_of(self, record);
    fputs("  {\"name\": ", self->stream);
    json_string(self->stream, record->name);
    fprintf(self->stream,
            ", \"cat\": \"%s\", \"ph\": \"X\", \"ts\": %.3f, \"dur\": %.3f, \"pid\": %d, \"tid\": %d, "
            "\"args\": {\"bytes\": %lld, \"graph_node\": %llu}},\n",
            kinds[record->kind], 1e-3 * (double)(record->start_ns - self->origin_ns),
            1e-3 * (double)(record->end_ns - record->start_ns), process_of(record), at + 1,
            (long long)record->bytes, (unsigned long long)record->graph_node);
}

static void write_names(writer *self)
{
    for (int i = 0; i < self->n_rows; i++) {
        const row *r = &self->rows[i];
        fprintf(
            self->stream,
            "  {\"name\": \"thread_name\", \"ph\": \"M\", \"pid\": %d, \"tid\": %d, \"args\": {\"name\": ",
            r->process, i + 1);
        if (r->process == PROCESS_HOST)
            fprintf(self->stream, "\"calls\"}},\n");
        else
            fprintf(self->stream, "\"stream %d\"}},\n", r->stream);
    }
    fprintf(self->stream,
            "  {\"name\": \"process_name\", \"ph\": \"M\", \"pid\": %d, \"args\": {\"name\": \"host\"}},\n"
            "  {\"name\": \"process_name\", \"ph\": \"M\", \"pid\": %d, \"args\": {\"name\": \"device\"}}\n",
            PROCESS_HOST, PROCESS_DEVICE);
}

int trace_file_write(const char *path, const sono_trace_record *records, int64_t n_records)
{
    writer self = {.stream = output_file_open(path), .origin_ns = n_records ? records[0].start_ns : 0};
    if (!self.stream)
        return -1;
    fputs("{\"displayTimeUnit\": \"ns\", \"traceEvents\": [\n", self.stream);
    for (int64_t i = 0; i < n_records; i++)
        write_record(&self, &records[i]);
    write_names(&self);
    fputs("]}\n", self.stream);
    return output_file_close(self.stream, path);
}
