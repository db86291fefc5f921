// SPDX-License-Identifier: Apache-2.0
/*
 * Messages out of a stream. A message is read in parts, each of a known number of bytes:
 *
 *     HEADER -> WHOLE                                                    any type, its body in scratch
 *     HEADER [-> EXTENDED [-> EXTENSION]] -> IMAGE_HEAD -> PIXELS [-> METADATA]    IMAGE; [] in version 2
 *     ... -> SKIPPED                                                     what is left of a refused body
 */
#include "igtl/reader.h"
#include "igtl/wire.h"

enum { HEADER, EXTENDED, EXTENSION, IMAGE_HEAD, PIXELS, METADATA, WHOLE, SKIPPED, BROKEN };

static void begin_part(sono_igtl_reader *reader, int part, uint64_t n_bytes)
{
    reader->part = part;
    reader->at = 0;
    reader->end = n_bytes;
}

void sono_igtl_reader_init(sono_igtl_reader *reader, const sono_igtl_limits *limits, uint8_t *scratch,
                           size_t scratch_bytes)
{
    *reader = (sono_igtl_reader){.limits = *limits, .scratch = scratch, .scratch_bytes = scratch_bytes};
    begin_part(reader, HEADER, SONO_IGTL_HEADER_BYTES);
}

size_t sono_igtl_reader_want(sono_igtl_reader *reader, uint8_t **where)
{
    const uint64_t rest = reader->end - reader->at;
    switch (reader->part) {
    case HEADER:
        *where = reader->head + reader->at;
        return (size_t)rest;
    case IMAGE_HEAD:
        *where = reader->image_head + reader->at;
        return (size_t)rest;
    case EXTENDED:
    case METADATA:
    case WHOLE:
        *where = reader->scratch + reader->at;
        return (size_t)rest;
    case PIXELS:
        if (reader->pixels) {
            *where = reader->pixels + reader->at;
            return (size_t)rest;
        }
        break;
    case BROKEN:
        *where = reader->scratch;
        return reader->scratch_bytes;
    default:
        break;
    }
    *where = reader->scratch;
    return rest < reader->scratch_bytes ? (size_t)rest : reader->scratch_bytes;
}

/* The message is over, its body consumed. */
static sono_igtl_read finish(sono_igtl_reader *reader)
{
    const int is_refused = reader->part == SKIPPED;
    const int fits = reader->crc == reader->header.crc;
    reader->n_messages++;
    begin_part(reader, HEADER, SONO_IGTL_HEADER_BYTES);
    if (!is_refused)
        return fits ? SONO_IGTL_READ_MESSAGE : SONO_IGTL_READ_BAD_CRC;
    if (!fits && reader->fault.status == SONO_IGTL_MALFORMED)
        reader->fault.status = SONO_IGTL_CRC;
    return SONO_IGTL_READ_REFUSED;
}

/* Skips the rest of a body after reader->fault was filled in with an offset from `base`, itself counted from
 * the start of the body. */
static sono_igtl_read skip(sono_igtl_reader *reader, uint64_t base)
{
    reader->fault.offset_bytes += (int64_t)(SONO_IGTL_HEADER_BYTES + base);
    begin_part(reader, SKIPPED, reader->header.body_bytes - reader->body_at);
    return reader->end ? SONO_IGTL_READ_MORE : finish(reader);
}

static sono_igtl_read refuse(sono_igtl_reader *reader, sono_igtl_status status, uint64_t offset_bytes,
                             const char *reason)
{
    wire_fail(&reader->fault, status, offset_bytes, reason);
    return skip(reader, 0);
}

/* Reads content and metadata of an IMAGE from the head on. */
static sono_igtl_read begin_image(sono_igtl_reader *reader)
{
    if (reader->content_bytes < SONO_IGTL_IMAGE_HEAD_BYTES)
        return refuse(reader, SONO_IGTL_MALFORMED, reader->body_at,
                      "an IMAGE that ends within its 72-byte head");
    begin_part(reader, IMAGE_HEAD, SONO_IGTL_IMAGE_HEAD_BYTES);
    return SONO_IGTL_READ_MORE;
}

static sono_igtl_read end_header(sono_igtl_reader *reader)
{
    sono_igtl_header *header = &reader->header;
    if (sono_igtl_header_decode(reader->head, sizeof reader->head, reader->limits.max_body_bytes, header,
                                &reader->fault) != SONO_IGTL_OK) {
        begin_part(reader, BROKEN, 0);
        return SONO_IGTL_READ_BROKEN;
    }
    reader->body = (sono_igtl_body){0};
    reader->image = (sono_igtl_image){0};
    reader->fault = (sono_igtl_fault){0};
    reader->pixels = NULL;
    reader->is_placed = 0;
    reader->crc = 0;
    reader->body_at = 0;
    reader->index_bytes = 0;
    reader->metadata_bytes = 0;
    reader->content_bytes = header->body_bytes;
    if (strcmp(header->type, "IMAGE") == 0) {
        if (header->version < 2)
            return begin_image(reader);
        if (header->body_bytes < WIRE_EXTENDED_FIELDS_BYTES)
            return refuse(reader, SONO_IGTL_MALFORMED, 0, "the body has no room for the extended header");
        begin_part(reader, EXTENDED, WIRE_EXTENDED_FIELDS_BYTES);
        return SONO_IGTL_READ_MORE;
    }
    if (header->body_bytes > reader->scratch_bytes)
        return refuse(reader, SONO_IGTL_LIMIT, 0,
                      "the body is larger than the memory for messages without pixels");
    begin_part(reader, WHOLE, header->body_bytes);
    return SONO_IGTL_READ_MORE;
}

static sono_igtl_read end_extended(sono_igtl_reader *reader)
{
    wire_extended extended;
    if (wire_extended_decode(reader->scratch, reader->header.body_bytes, &extended, &reader->fault) !=
        SONO_IGTL_OK)
        return skip(reader, 0);
    const uint64_t tail_bytes = (uint64_t)extended.index_bytes + extended.metadata_bytes;
    if (tail_bytes > reader->limits.max_metadata_bytes || tail_bytes > reader->scratch_bytes)
        return refuse(reader, SONO_IGTL_LIMIT, 2, "the metadata of an IMAGE is larger than the limit");
    reader->body.extended_bytes = extended.own_bytes;
    reader->body.message_id = extended.message_id;
    reader->index_bytes = extended.index_bytes;
    reader->metadata_bytes = extended.metadata_bytes;
    reader->content_bytes = extended.content_bytes;
    if (extended.own_bytes == WIRE_EXTENDED_FIELDS_BYTES)
        return begin_image(reader);
    begin_part(reader, EXTENSION, extended.own_bytes - WIRE_EXTENDED_FIELDS_BYTES);
    return SONO_IGTL_READ_MORE;
}

static sono_igtl_read end_image_head(sono_igtl_reader *reader)
{
    const uint64_t content_at = reader->body_at - SONO_IGTL_IMAGE_HEAD_BYTES;
    if (sono_igtl_image_head_decode(reader->image_head, sizeof reader->image_head, &reader->image,
                                    &reader->fault) != SONO_IGTL_OK)
        return skip(reader, content_at);
    const uint64_t pixel_bytes = sono_igtl_image_pixel_bytes(&reader->image);
    if (pixel_bytes != reader->content_bytes - SONO_IGTL_IMAGE_HEAD_BYTES)
        return refuse(reader, SONO_IGTL_MALFORMED, reader->body_at,
                      "an IMAGE with more or less pixels than its head says");
    begin_part(reader, PIXELS, pixel_bytes);
    reader->body.content_bytes = (size_t)reader->content_bytes;
    return SONO_IGTL_READ_IMAGE;
}

static sono_igtl_read end_pixels(sono_igtl_reader *reader)
{
    if (reader->index_bytes == 0)
        return finish(reader);
    begin_part(reader, METADATA, (uint64_t)reader->index_bytes + reader->metadata_bytes);
    return SONO_IGTL_READ_MORE;
}

static sono_igtl_read end_metadata(sono_igtl_reader *reader)
{
    const uint64_t index_at = reader->body_at - reader->end;
    if (wire_metadata_check(reader->scratch, reader->index_bytes, reader->metadata_bytes, &reader->fault) !=
        SONO_IGTL_OK)
        return skip(reader, index_at);
    reader->body.n_metadata = wire_u16(reader->scratch);
    reader->body.index = reader->scratch + 2;
    reader->body.metadata = reader->scratch + reader->index_bytes;
    reader->body.metadata_bytes = reader->metadata_bytes;
    return finish(reader);
}

static sono_igtl_read end_whole(sono_igtl_reader *reader)
{
    if (sono_igtl_body_decode(&reader->header, reader->scratch, (size_t)reader->header.body_bytes,
                              &reader->body, &reader->fault) != SONO_IGTL_OK)
        return skip(reader, 0);
    return finish(reader);
}

static sono_igtl_read end_part(sono_igtl_reader *reader)
{
    switch (reader->part) {
    case HEADER:
        return end_header(reader);
    case EXTENDED:
        return end_extended(reader);
    case EXTENSION:
        return begin_image(reader);
    case IMAGE_HEAD:
        return end_image_head(reader);
    case PIXELS:
        return end_pixels(reader);
    case METADATA:
        return end_metadata(reader);
    case WHOLE:
        return end_whole(reader);
    default:
        return finish(reader);
    }
}

sono_igtl_read sono_igtl_reader_take(sono_igtl_reader *reader, size_t n_bytes)
{
    uint8_t *where;
    const size_t wanted = sono_igtl_reader_want(reader, &where);
    const size_t n_taken = n_bytes < wanted ? n_bytes : wanted;
    reader->n_bytes += n_taken;
    if (reader->part == BROKEN)
        return SONO_IGTL_READ_BROKEN;
    if (reader->part != HEADER) {
        reader->crc = sono_igtl_crc64(reader->crc, where, n_taken);
        reader->body_at += n_taken;
    }
    reader->at += n_taken;
    if (reader->at < reader->end)
        return SONO_IGTL_READ_MORE;
    const sono_igtl_read told = end_part(reader);
    /* A body without bytes is over with its header. */
    return told == SONO_IGTL_READ_MORE && reader->end == 0 ? end_part(reader) : told;
}

void sono_igtl_reader_place(sono_igtl_reader *reader, uint8_t *pixels)
{
    if (reader->part != PIXELS || reader->at > 0)
        return;
    reader->pixels = pixels;
    reader->is_placed = pixels != NULL;
}

int sono_igtl_reader_is_inside(const sono_igtl_reader *reader)
{
    return reader->part != BROKEN && (reader->part != HEADER || reader->at > 0);
}
