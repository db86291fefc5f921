// SPDX-License-Identifier: Apache-2.0
#include "web/assets.h"
#include "web/parts.h"

#include <stdio.h>
#include <string.h>

static const char *type_of(const char *name)
{
    static const struct {
        const char *ending, *type;
    } types[] = {{".html", "text/html; charset=utf-8"},
                 {".css", "text/css; charset=utf-8"},
                 {".js", "text/javascript; charset=utf-8"},
                 {".json", "application/json"},
                 {".svg", "image/svg+xml"},
                 {".png", "image/png"},
                 {".woff2", "font/woff2"},
                 {".txt", "text/plain; charset=utf-8"}};
    const char *ending = strrchr(name, '.');
    for (size_t i = 0; ending && i < sizeof types / sizeof *types; i++) {
        if (!strcmp(ending, types[i].ending)) {
            return types[i].type;
        }
    }
    return "application/octet-stream";
}

/* 1 = a list of entity tags has ours, weak or strong, or is "*". */
static int has_tag(const char *list, const char *tag)
{
    char quoted[80];
    snprintf(quoted, sizeof quoted, "\"%s\"", tag);
    return list && (strstr(list, quoted) || !strcmp(list, "*"));
}

const sono_web_asset_file *sono_web_asset_find(const char *name)
{
    for (size_t i = 0; i < sono_web_n_assets; i++) {
        if (!strcmp(name, sono_web_assets[i].name)) {
            return &sono_web_assets[i];
        }
    }
    return NULL;
}

int sono_web_asset(const sono_web_call *call)
{
    const char *name = strcmp(call->path, "/") ? call->path + 1 : "index.html";
    const sono_web_asset_file *file = sono_web_asset_find(name);
    char extra[160];
    if (!file) {
        return 0;
    }
    snprintf(extra, sizeof extra, "ETag: \"%s\"\r\nCache-Control: no-cache\r\n", file->tag);
    if (has_tag(sono_web_header(call, "If-None-Match"), file->tag)) {
        sono_web_answer_bytes(call, 304, "", extra, "", 0);
    } else {
        sono_web_answer_bytes(call, 200, type_of(name), extra, file->bytes, file->n_bytes);
    }
    return 1;
}
