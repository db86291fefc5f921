// SPDX-License-Identifier: Apache-2.0
#include "made_by.h"

#include "args.h"
#include "json.h"
#include "output_file.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static const char head[] = "{\"schema\": 1, \"command\": ";

void made_by_put_word(FILE *stream, const char *word)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+./:=,@%";
    if (*word && !word[strspn(word, plain)]) {
        fputs(word, stream);
        return;
    }
    fputc('\'', stream);
    for (; *word; word++)
        fputs(*word == '\'' ? "'\\''" : (char[2]){*word, 0}, stream);
    fputc('\'', stream);
}

/* "sonoseg run ..."; to be freed; NULL: out of memory. */
static char *command_of(int argc, char **argv)
{
    char *out = NULL;
    size_t n = 0;
    FILE *stream = open_memstream(&out, &n);
    if (!stream)
        return NULL;
    fputs("sonoseg", stream);
    for (int i = 0; i < argc; i++) {
        fputc(' ', stream);
        made_by_put_word(stream, argv[i]);
    }
    fclose(stream);
    return out;
}

/* Whether nothing is there, or what this wrote before. */
static int is_ours(const char *path)
{
    char bytes[sizeof head] = {0};
    struct stat facts;
    if (lstat(path, &facts))
        return 1;
    FILE *stream = S_ISREG(facts.st_mode) ? fopen(path, "re") : NULL;
    if (!stream)
        return 0;
    const size_t n = fread(bytes, 1, sizeof head - 1, stream);
    fclose(stream);
    return !n || !strcmp(bytes, head);
}

static void write_text(FILE *stream, const char *key, const char *value)
{
    fprintf(stream, ", \"%s\": ", key);
    json_string(stream, value ? value : "");
}

int made_by_write(const char *folder, int argc, char **argv, const pipeline_args *args, float threshold,
                  const sono_pipeline *pipeline)
{
    char path[PATH_MAX], here[PATH_MAX];
    sono_pipeline_info info;
    if (snprintf(path, sizeof path, "%s/" MADE_BY_NAME, folder) >= PATH_MAX || !is_ours(path))
        return 0;
    char *command = command_of(argc, argv);
    FILE *stream = command ? output_file_open(path) : NULL;
    if (!stream) {
        free(command);
        return -1;
    }
    sono_pipeline_info_init(&info);
    sono_pipeline_query(pipeline, &info);
    fputs(head, stream);
    json_string(stream, command);
    if (getcwd(here, sizeof here))
        write_text(stream, "in_folder", here);
    write_text(stream, "version", sono_version());
    fprintf(stream, ", \"started\": %lld", (long long)time(NULL));
    write_text(stream, "detector", info.detector);
    write_text(stream, "detector_file", args->config.detector_path);
    write_text(stream, "segmenter", info.segmenter);
    write_text(stream, "segmenter_file", args->config.segmenter_path);
    fprintf(stream,
            ", \"backend\": \"%s\", \"precision\": \"%s\", \"threshold\": %.6g, \"state_mode\": \"%s\"}\n",
            sono_backend_name(info.backend), sono_precision_name(info.precision), (double)threshold,
            args->config.state_mode == SONO_STATE_BY_SCORE   ? "score"
            : args->config.state_mode == SONO_STATE_BY_FRAME ? "frame"
                                                             : "stream");
    free(command);
    return output_file_close(stream, path);
}
