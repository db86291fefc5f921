// SPDX-License-Identifier: Apache-2.0
/* Queries. Facts: Documents/Protocol/query.md, trackingdata.md, polydata.md and video.md of the reference
 * library
 * (@ 94244fe); short names as in its Source/igtl*Message.h. */
#include "igtl/query.h"
#include "igtl/wire.h"

#define PREFIX_CHARS      4
#define COORDINATES_CHARS 32
#define TRACKING_BYTES    36
#define CODEC_CHARS       4
#define VIDEO_BYTES       8

static const char *const prefixes[] = {"", "GET_", "STT_", "STP_", "RTS_"};

/* Types that are cut behind a prefix: in full, as the reference library cuts them, as the protocol's table
 * does. */
static const char *const cuts[][3] = {
    {"TRANSFORM", "TRANS", "TRANSFOR"},
    {"CAPABILITY", "CAPABIL", "CAPABILI"},
    {"COLORTABLE", "COLORT", "COLORTAB"},
    {"VIDEOMETA", "VMETA", "VIDEOMET"},
};
#define N_CUTS (sizeof cuts / sizeof cuts[0])

sono_igtl_verb sono_igtl_query_verb(const char *type, char of[SONO_IGTL_TYPE_CHARS + 1])
{
    memset(of, 0, SONO_IGTL_TYPE_CHARS + 1);
    for (int verb = SONO_IGTL_GET; verb <= SONO_IGTL_ANSWER; verb++) {
        if (strncmp(type, prefixes[verb], PREFIX_CHARS) != 0 || type[PREFIX_CHARS] == 0)
            continue;
        const char *rest = type + PREFIX_CHARS;
        for (size_t i = 0; i < N_CUTS; i++) {
            if (strcmp(rest, cuts[i][1]) == 0 || strcmp(rest, cuts[i][2]) == 0)
                rest = cuts[i][0];
        }
        wire_put_chars((uint8_t *)of, rest, SONO_IGTL_TYPE_CHARS);
        return (sono_igtl_verb)verb;
    }
    return SONO_IGTL_NO_QUERY;
}

void sono_igtl_query_type(sono_igtl_verb verb, const char *of, char type[SONO_IGTL_TYPE_CHARS + 1])
{
    memset(type, 0, SONO_IGTL_TYPE_CHARS + 1);
    memcpy(type, prefixes[verb], strlen(prefixes[verb]));
    for (size_t i = 0; i < N_CUTS && verb != SONO_IGTL_NO_QUERY; i++) {
        if (strcmp(of, cuts[i][0]) == 0)
            of = cuts[i][1];
    }
    const size_t at = strlen(type);
    wire_put_chars((uint8_t *)type + at, of, SONO_IGTL_TYPE_CHARS - at);
}

/* What the content of a query is. */
typedef enum content_form { EMPTY, STATUS, TRACKING, INTERVAL, VIDEO, ELSEWHERE } content_form;

static content_form form_of(const sono_igtl_query *query)
{
    const char *of = query->of;
    if (query->verb == SONO_IGTL_ANSWER)
        return strcmp(of, "COMMAND") == 0 ? ELSEWHERE : STATUS;
    if (strcmp(of, "BIND") == 0 && query->verb != SONO_IGTL_STOP)
        return ELSEWHERE;
    if (query->verb != SONO_IGTL_START)
        return EMPTY;
    if (strcmp(of, "TDATA") == 0 || strcmp(of, "QTDATA") == 0)
        return TRACKING;
    if (strcmp(of, "POLYDATA") == 0)
        return INTERVAL;
    return strcmp(of, "VIDEO") == 0 ? VIDEO : EMPTY;
}

sono_igtl_status sono_igtl_query_decode(const char *type, const uint8_t *bytes, size_t n_bytes,
                                        sono_igtl_query *out, sono_igtl_fault *fault)
{
    static const size_t sizes[] = {
        [EMPTY] = 0, [STATUS] = 1, [TRACKING] = TRACKING_BYTES, [INTERVAL] = 8, [VIDEO] = VIDEO_BYTES};
    sono_igtl_query query = {.status = 0};
    query.verb = sono_igtl_query_verb(type, query.of);
    if (query.verb == SONO_IGTL_NO_QUERY)
        return wire_fail(fault, SONO_IGTL_UNSUPPORTED, 0, "no query");
    const content_form form = form_of(&query);
    if (form == ELSEWHERE && n_bytes > 0)
        return wire_fail(fault, SONO_IGTL_UNSUPPORTED, 0, "a query with content of its own");
    query.has_interval = form == INTERVAL && n_bytes > 0;
    if (form != ELSEWHERE && n_bytes != sizes[form] && !(form == INTERVAL && n_bytes == 0))
        return WIRE_MALFORMED(n_bytes, "a query with content of another length than it has");
    if (form == STATUS) {
        query.status = bytes[0];
    } else if (form == TRACKING) {
        query.interval_ms = (int32_t)wire_u32(bytes);
        wire_chars(bytes + 4, query.coordinates, COORDINATES_CHARS);
    } else if (query.has_interval) {
        query.interval = wire_u64(bytes);
    } else if (form == VIDEO) {
        wire_chars(bytes, query.codec, CODEC_CHARS);
        query.interval_ms = (int32_t)wire_u32(bytes + CODEC_CHARS);
    }
    *out = query;
    return SONO_IGTL_OK;
}

void sono_igtl_query_encode(sono_igtl_writer *writer, const sono_igtl_query *query)
{
    uint8_t content[TRACKING_BYTES];
    size_t n_bytes = 0;
    const content_form form = form_of(query);
    if (form == STATUS) {
        content[0] = query->status;
        n_bytes = 1;
    } else if (form == TRACKING) {
        wire_put_u32(content, (uint32_t)query->interval_ms);
        wire_put_chars(content + 4, query->coordinates, COORDINATES_CHARS);
        n_bytes = TRACKING_BYTES;
    } else if (form == INTERVAL && query->has_interval) {
        wire_put_u64(content, query->interval);
        n_bytes = 8;
    } else if (form == VIDEO) {
        wire_put_chars(content, query->codec, CODEC_CHARS);
        wire_put_u32(content + CODEC_CHARS, (uint32_t)query->interval_ms);
        n_bytes = VIDEO_BYTES;
    }
    sono_igtl_write(writer, content, n_bytes);
}
