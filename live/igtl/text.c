// SPDX-License-Identifier: Apache-2.0
/* STATUS, STRING, CAPABILITY, COMMAND. Layouts: Documents/Protocol/{status,string,capability,command}.md of
 * the reference library (@ 94244fe). */
#include "igtl/messages.h"
#include "igtl/wire.h"

#define STATUS_HEAD_BYTES   30
#define STATUS_NAME_CHARS   20
#define STRING_HEAD_BYTES   4
#define COMMAND_HEAD_BYTES  138
#define COMMAND_ENCODING_AT (4 + SONO_IGTL_COMMAND_NAME_CHARS)

sono_igtl_status sono_igtl_status_decode(const uint8_t *bytes, size_t n_bytes, sono_igtl_state *out,
                                         sono_igtl_fault *fault)
{
    if (n_bytes < STATUS_HEAD_BYTES)
        return WIRE_MALFORMED(n_bytes, "a STATUS that ends within its first 30 bytes");
    out->code = wire_u16(bytes);
    out->subcode = (int64_t)wire_u64(bytes + 2);
    wire_chars(bytes + 10, out->name, STATUS_NAME_CHARS);
    out->text = (const char *)bytes + STATUS_HEAD_BYTES;
    out->text_bytes = n_bytes - STATUS_HEAD_BYTES;
    if (out->text_bytes && out->text[out->text_bytes - 1] == 0)
        out->text_bytes--;
    return SONO_IGTL_OK;
}

void sono_igtl_status_encode(sono_igtl_writer *writer, const sono_igtl_state *state)
{
    uint8_t *room = sono_igtl_write_room(writer, STATUS_HEAD_BYTES);
    if (room) {
        wire_put_u16(room, state->code);
        wire_put_u64(room + 2, (uint64_t)state->subcode);
        wire_put_chars(room + 10, state->name, STATUS_NAME_CHARS);
    }
    sono_igtl_write(writer, state->text, state->text_bytes);
    sono_igtl_write(writer, "", 1);
}

sono_igtl_status sono_igtl_string_decode(const uint8_t *bytes, size_t n_bytes, sono_igtl_string *out,
                                         sono_igtl_fault *fault)
{
    if (n_bytes < STRING_HEAD_BYTES)
        return WIRE_MALFORMED(n_bytes, "a STRING that ends within its first 4 bytes");
    if (wire_u16(bytes + 2) != n_bytes - STRING_HEAD_BYTES)
        return WIRE_MALFORMED(2, "a STRING whose length is not that of its text");
    out->encoding = wire_u16(bytes);
    out->n_bytes = wire_u16(bytes + 2);
    out->text = (const char *)bytes + STRING_HEAD_BYTES;
    return SONO_IGTL_OK;
}

void sono_igtl_string_encode(sono_igtl_writer *writer, const sono_igtl_string *string)
{
    uint8_t *room = sono_igtl_write_room(writer, STRING_HEAD_BYTES);
    if (room) {
        wire_put_u16(room, string->encoding);
        wire_put_u16(room + 2, string->n_bytes);
    }
    sono_igtl_write(writer, string->text, string->n_bytes);
}

sono_igtl_status sono_igtl_capability_decode(const uint8_t *bytes, size_t n_bytes, sono_igtl_capability *out,
                                             sono_igtl_fault *fault)
{
    if (n_bytes % SONO_IGTL_TYPE_CHARS)
        return WIRE_MALFORMED(n_bytes - n_bytes % SONO_IGTL_TYPE_CHARS,
                              "a CAPABILITY whose last type has less than 12 bytes");
    out->types = bytes;
    out->n_types = n_bytes / SONO_IGTL_TYPE_CHARS;
    return SONO_IGTL_OK;
}

int sono_igtl_capability_at(const sono_igtl_capability *capability, size_t index,
                            char out[SONO_IGTL_TYPE_CHARS + 1])
{
    if (index >= capability->n_types)
        return 0;
    wire_chars(capability->types + index * SONO_IGTL_TYPE_CHARS, out, SONO_IGTL_TYPE_CHARS);
    return 1;
}

void sono_igtl_capability_encode(sono_igtl_writer *writer, const char *const *types, size_t n_types)
{
    for (size_t i = 0; i < n_types; i++) {
        uint8_t *room = sono_igtl_write_room(writer, SONO_IGTL_TYPE_CHARS);
        if (!room)
            return;
        wire_put_chars(room, types[i], SONO_IGTL_TYPE_CHARS);
    }
}

sono_igtl_status sono_igtl_command_decode(const uint8_t *bytes, size_t n_bytes, sono_igtl_command *out,
                                          sono_igtl_fault *fault)
{
    if (n_bytes < COMMAND_HEAD_BYTES)
        return WIRE_MALFORMED(n_bytes, "a COMMAND that ends within its first 138 bytes");
    if (wire_u32(bytes + COMMAND_ENCODING_AT + 2) != n_bytes - COMMAND_HEAD_BYTES)
        return WIRE_MALFORMED(COMMAND_ENCODING_AT + 2, "a COMMAND whose length is not that of its text");
    out->id = wire_u32(bytes);
    wire_chars(bytes + 4, out->name, SONO_IGTL_COMMAND_NAME_CHARS);
    out->encoding = wire_u16(bytes + COMMAND_ENCODING_AT);
    out->n_bytes = wire_u32(bytes + COMMAND_ENCODING_AT + 2);
    out->text = (const char *)bytes + COMMAND_HEAD_BYTES;
    return SONO_IGTL_OK;
}

void sono_igtl_command_encode(sono_igtl_writer *writer, const sono_igtl_command *command)
{
    uint8_t *room = sono_igtl_write_room(writer, COMMAND_HEAD_BYTES);
    if (room) {
        wire_put_u32(room, command->id);
        wire_put_chars(room + 4, command->name, SONO_IGTL_COMMAND_NAME_CHARS);
        wire_put_u16(room + COMMAND_ENCODING_AT, command->encoding);
        wire_put_u32(room + COMMAND_ENCODING_AT + 2, command->n_bytes);
    }
    sono_igtl_write(writer, command->text, command->n_bytes);
}
