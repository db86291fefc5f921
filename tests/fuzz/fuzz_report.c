// SPDX-License-Identifier: Apache-2.0
/* libFuzzer entry: any bytes as what a report reads line by line: results, an evaluation, events and figures;
 * and the page of them. */
#include "report.h"
#include "report_page.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n_bytes);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n_bytes)
{
    static const char *const names[] = {"results.jsonl", "frames.jsonl", "kpi.log", "figures.json"};
    static const report_options options = {.n_worst = 2, .n_strip = 2, .command = "sonoseg report x"};
    char path[256];
    report *self = calloc(1, sizeof *self);
    char folder[] = "/tmp/sonoseg-fuzz-report-XXXXXX";
    if (!self || !mkdtemp(folder))
        abort();
    self->folder = folder;
    for (int i = 0; i < 4; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        FILE *file = fopen(path, "w");
        if (!file || fwrite(bytes, 1, n_bytes, file) != n_bytes || fclose(file))
            abort();
    }
    if (report_read(self))
        abort();
    FILE *page = fopen("/dev/null", "w");
    if (!page || report_write_page(page, self, &options) || fclose(page))
        abort();
    for (int i = 0; i < 4; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        unlink(path);
    }
    rmdir(folder);
    report_free(self);
    free(self);
    return 0;
}
