// SPDX-License-Identifier: Apache-2.0
#include "base/sized.h"

#include <string.h>

#define MOST_BYTES 65536 /* a larger size is what was in memory before */

static size_t size_of(const void *sized)
{
    size_t n_bytes = 0;
    if (sized)
        memcpy(&n_bytes, sized, sizeof n_bytes);
    return n_bytes;
}

void sono_sized_init(void *out, size_t out_bytes, const void *defaults, size_t n_bytes)
{
    if (!out || out_bytes < sizeof out_bytes)
        return;
    const size_t n_known = out_bytes < n_bytes ? out_bytes : n_bytes;
    memset(out, 0, out_bytes);
    memcpy(out, defaults, n_known);
    memcpy(out, &out_bytes, sizeof out_bytes);
}

static sono_status check_size(size_t given_bytes, size_t least, const char *name, sono_error *error)
{
    if (given_bytes < least || given_bytes > MOST_BYTES)
        return SONO_FAIL(
            error, INVALID_ARGUMENT,
            "%s is NULL or was not initialised: start from %s_init(), which sets its struct_size", name,
            name);
    return SONO_STATUS_OK;
}

static int is_zero(const uint8_t *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (bytes[i])
            return 0;
    return 1;
}

sono_status sono_sized_read(const void *given, size_t least, void *out, size_t n_bytes, const char *name,
                            sono_error *error)
{
    const size_t given_bytes = size_of(given);
    SONO_TRY(check_size(given_bytes, least, name, error));
    if (given_bytes > n_bytes && !is_zero((const uint8_t *)given + n_bytes, given_bytes - n_bytes))
        return SONO_FAIL(
            error, UNSUPPORTED,
            "%s has %zu bytes, this library knows %zu, and a field beyond them is set: it is older "
            "than the program, which asks for something new",
            name, given_bytes, n_bytes);
    memcpy(out, given, given_bytes < n_bytes ? given_bytes : n_bytes);
    memcpy(out, &n_bytes, sizeof n_bytes);
    return SONO_STATUS_OK;
}

sono_status sono_sized_write(void *out, size_t least, const void *found, size_t n_bytes, const char *name,
                             sono_error *error)
{
    const size_t out_bytes = size_of(out);
    SONO_TRY(check_size(out_bytes, least, name, error));
    sono_sized_init(out, out_bytes, found, n_bytes);
    return SONO_STATUS_OK;
}
