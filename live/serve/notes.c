// SPDX-License-Identifier: Apache-2.0
/* Messages to clients that are no masks: STATUS, STRING, CAPABILITY, LBMETA, RTS_COMMAND. Their time is now.
 */
#include "igtl/lists.h"
#include "serve/sink_parts.h"

#include <stdio.h>
#include <string.h>

#define ASCII          3
#define UTF_8          106
#define OVERHEAD_BYTES 1024 /* headers, fixed fields, metadata */

static uint16_t encoding_of(const char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text >= 0x80)
            return UTF_8;
    return ASCII;
}

static sono_serve_blob *begin(sono_serve_sink *sink, sono_igtl_writer *writer, size_t n_bytes,
                              int32_t version, const char *type, const char *device)
{
    sono_serve_blob *blob = sono_serve_blobs_take(&sink->blobs, n_bytes + OVERHEAD_BYTES);
    if (!blob)
        return NULL;
    sono_igtl_writer_init(writer, blob->bytes, blob->capacity);
    sono_igtl_message_begin(writer, (uint16_t)version, type, device,
                            sono_igtl_timestamp_raw(sono_serve_utc_ns()));
    return blob;
}

static sono_serve_blob *end(sono_serve_sink *sink, sono_igtl_writer *writer, sono_serve_blob *blob,
                            const sono_igtl_metadata *metadata, size_t n_metadata)
{
    if (sono_igtl_message_end(writer, ++sink->masks.message_id, metadata, n_metadata) == SONO_IGTL_OK) {
        blob->n_bytes = writer->n_bytes;
        return blob;
    }
    sono_serve_blobs_give(&sink->blobs, blob);
    return NULL;
}

sono_serve_blob *sono_serve_note_status(sono_serve_sink *sink, int32_t version, const char *device,
                                        uint16_t code, const char *name, const char *text)
{
    sono_igtl_writer writer;
    sono_igtl_state state = {.code = code, .text = text, .text_bytes = strlen(text)};
    snprintf(state.name, sizeof state.name, "%s", name);
    sono_serve_blob *blob = begin(sink, &writer, state.text_bytes, version, "STATUS", device);
    if (!blob)
        return NULL;
    sono_igtl_status_encode(&writer, &state);
    return end(sink, &writer, blob, NULL, 0);
}

sono_serve_blob *sono_serve_note_text(sono_serve_sink *sink, int32_t version, const char *text)
{
    sono_igtl_writer writer;
    const size_t n_bytes = strlen(text);
    if (n_bytes > UINT16_MAX)
        return NULL;
    const sono_igtl_string string = {encoding_of(text), text, (uint16_t)n_bytes};
    sono_serve_blob *blob = begin(sink, &writer, n_bytes, version, "STRING", sink->config.sink_text_name);
    if (!blob)
        return NULL;
    sono_igtl_string_encode(&writer, &string);
    return end(sink, &writer, blob, NULL, 0);
}

sono_serve_blob *sono_serve_note_capability(sono_serve_sink *sink, int32_t version, const char *device)
{
    static const char *const types[] = {
        "IMAGE",        "POLYDATA",   "STATUS",     "STRING",      "CAPABILITY",   "COMMAND",
        "RTS_COMMAND",  "GET_IMAGE",  "STT_IMAGE",  "STP_IMAGE",   "GET_POLYDATA", "STT_POLYDATA",
        "STP_POLYDATA", "GET_STATUS", "GET_STRING", "GET_CAPABIL", "LBMETA",       "GET_LBMETA",
    };
    sono_igtl_writer writer;
    sono_serve_blob *blob = begin(sink, &writer, sizeof types, version, "CAPABILITY", device);
    if (!blob)
        return NULL;
    sono_igtl_capability_encode(&writer, types, sizeof types / sizeof types[0]);
    return end(sink, &writer, blob, NULL, 0);
}

sono_serve_blob *sono_serve_note_labels(sono_serve_sink *sink, int32_t version, const char *device)
{
    static const uint8_t colour[4] = {0, 255, 0, 255}; /* the outline's in overlays */
    const sono_serve_masks *masks = &sink->masks;
    sono_igtl_writer writer;
    sono_igtl_label label = {.name = "bone", .label = masks->mask_value};
    memcpy(label.device, masks->names[SONO_SERVE_OUTPUT_MASK], sizeof label.device);
    memcpy(label.rgba, colour, sizeof colour);
    if (masks->has_last)
        memcpy(label.size, masks->last_image.size, sizeof label.size);
    sono_serve_blob *blob = begin(sink, &writer, sizeof label, version, "LBMETA", device);
    if (!blob)
        return NULL;
    sono_igtl_labels_encode(&writer, &label, 1);
    return end(sink, &writer, blob, NULL, 0);
}

sono_serve_blob *sono_serve_note_answer(sono_serve_sink *sink, int32_t version, const char *device,
                                        const sono_igtl_command *command, int is_done, const char *text)
{
    /* 3D Slicer takes an answer for a success when this says so (Logic/igtlioCommandConverter.cxx:81 @
     * d7f6aef of OpenIGTLinkIO). */
    const sono_igtl_metadata status = {"Status", is_done ? "TRUE" : "FALSE", 6, is_done ? 4 : 5, ASCII};
    sono_igtl_writer writer;
    sono_igtl_command answer = *command;
    answer.encoding = encoding_of(text);
    answer.text = text;
    answer.n_bytes = (uint32_t)strlen(text);
    sono_serve_blob *blob = begin(sink, &writer, answer.n_bytes, version, "RTS_COMMAND", device);
    if (!blob)
        return NULL;
    sono_igtl_command_encode(&writer, &answer);
    return end(sink, &writer, blob, &status, 1);
}
