// SPDX-License-Identifier: Apache-2.0
/* The page's files, in the binary: cmake/SonoWebAssets.cmake writes the table out of live/web/page/. */
#ifndef SONO_WEB_ASSETS_H
#define SONO_WEB_ASSETS_H

#include <stddef.h>

typedef struct sono_web_asset_file {
    const char *name;   /* "index.html" */
    const char *tag;    /* of its contents, for ETag: letters and digits */
    const char *sha256; /* of its contents: 64 hex digits */
    const unsigned char *bytes;
    size_t n_bytes;
} sono_web_asset_file;

extern const sono_web_asset_file sono_web_assets[];
extern const size_t sono_web_n_assets;

/* NULL: there is no such file, or no web service in this build. */
const sono_web_asset_file *sono_web_asset_find(const char *name);

#endif
