// SPDX-License-Identifier: Apache-2.0
#include "serve/source_parts.h"

#include <stdio.h>
#include <string.h>

/* Appends text to an XML attribute that holds n_bytes; what does not fit is left out as a whole. */
static void append(char *out, size_t n_bytes, const char *text)
{
    static const char *const escapes[] = {"&&amp;", "<&lt;", ">&gt;", "\"&quot;"};
    size_t at = strlen(out);
    for (; *text; ++text) {
        char plain[2] = {*text, 0};
        const char *piece = plain;
        for (int i = 0; i < 4; ++i) {
            piece = *text == escapes[i][0] ? escapes[i] + 1 : piece;
        }
        size_t n = strlen(piece);
        if (at + n >= n_bytes) {
            return;
        }
        memcpy(out + at, piece, n + 1);
        at += n;
    }
}

/* "Image_Reference" is image "Image" in the frame "Reference"; without a device's name the pose's
 * "ImageToReference" says the same. */
static void names_of(const sono_serve_config *config, char *image, char *frame, size_t n_bytes)
{
    const char *text = config->source_device[0] ? config->source_device : config->source_transform;
    const char *mark = config->source_device[0] ? strchr(text, '_') : strstr(text, "To");
    size_t width = config->source_device[0] ? 1 : 2;
    char part[SONO_SERVE_TEXT_BYTES] = "Image";
    if (mark) {
        snprintf(part, sizeof part, "%.*s", (int)(mark - text), text);
    }
    image[0] = frame[0] = 0;
    append(image, n_bytes, part);
    append(frame, n_bytes, mark ? mark + width : "Reference");
}

/* CLIENTINFO has the content of a STRING; its XML as PlusIgtlClientInfo.cxx of PlusLib reads it: without
 * ImageNames Plus sends no images at all. */
static void ask_plus(const sono_serve_config *config, sono_igtl_writer *writer)
{
    char image[256], frame[256], pose[256] = "", transforms[320] = "", xml[1536];
    names_of(config, image, frame, sizeof image);
    append(pose, sizeof pose, config->source_transform);
    if (pose[0]) {
        snprintf(transforms, sizeof transforms, "<Transform Name=\"%s\"/>", pose);
    }
    int n = snprintf(xml, sizeof xml,
                     "<ClientInfo ClientHeaderVersion=\"2\" TDATARequested=\"FALSE\"><MessageTypes>"
                     "%s<Message Type=\"IMAGE\"/></MessageTypes><TransformNames>%s</TransformNames>"
                     "<ImageNames><Image Name=\"%s\" EmbeddedTransformToFrame=\"%s\"/></ImageNames>"
                     "</ClientInfo>",
                     pose[0] ? "<Message Type=\"TRANSFORM\"/>" : "", transforms, image, frame);
    sono_igtl_string string = {.encoding = 3, .text = xml, .n_bytes = (uint16_t)n};
    sono_igtl_message_begin(writer, 2, "CLIENTINFO", "sonoseg", 0);
    sono_igtl_string_encode(writer, &string);
    sono_igtl_message_end(writer, 2, NULL, 0);
}

void sono_serve_source_hello(sono_serve_source *source)
{
    static const sono_igtl_metadata metadata = {
        .key = "client", .key_bytes = 6, .value = "sonoseg", .value_bytes = 7, .encoding = 3};
    sono_igtl_state state = {.code = SONO_IGTL_CODE_OK, .text = "", .name = "OK"};
    sono_igtl_writer writer;
    sono_igtl_writer_init(&writer, source->hello, sizeof source->hello);
    sono_igtl_message_begin(&writer, 2, "STATUS", "sonoseg", 0);
    sono_igtl_status_encode(&writer, &state);
    sono_igtl_message_end(&writer, 1, &metadata, 1);
    if (source->config.source_ask_plus) {
        ask_plus(&source->config, &writer);
    }
    source->hello_bytes = writer.n_bytes;
    source->hello_at = 0;
}
