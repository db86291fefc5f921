// SPDX-License-Identifier: Apache-2.0
#include "base/status.h"
#include "base/dtype.h"
#include "test.h"

#include <string.h>

static void test_every_status_has_a_name_and_a_text(void **state)
{
    (void)state;
    for (int i = 0; i < SONO_STATUS_COUNT; i++) {
        assert_ptr_equal(strstr(sono_status_name((sono_status)i), "SONO_STATUS_"),
                         sono_status_name((sono_status)i));
        assert_true(sono_status_text((sono_status)i)[0] != '\0');
        for (int k = 0; k < i; k++)
            assert_string_not_equal(sono_status_text((sono_status)i), sono_status_text((sono_status)k));
    }
    assert_string_equal(sono_status_name(SONO_STATUS_IO), "SONO_STATUS_IO");
    assert_string_equal(sono_status_text(SONO_STATUS_OK), "ok");
}

static void test_values_out_of_range_have_names(void **state)
{
    (void)state;
    assert_string_equal(sono_status_name((sono_status)-1), "SONO_STATUS_UNKNOWN");
    assert_string_equal(sono_status_name(SONO_STATUS_COUNT), "SONO_STATUS_UNKNOWN");
    assert_non_null(sono_status_text((sono_status)1000));
    assert_non_null(sono_stage_name((sono_stage)-1));
    assert_non_null(sono_state_name((sono_state)3));
    assert_int_equal(sono_dtype_bytes(SONO_DTYPE_COUNT), 0);
    assert_non_null(sono_dtype_name((sono_dtype)-1));
}

static void test_names_of_the_api(void **state)
{
    (void)state;
    assert_string_equal(sono_stage_name(SONO_STAGE_PREPROCESS), "preprocess");
    assert_string_equal(sono_stage_name(SONO_STAGE_WEIGHTS), "weights");
    assert_string_equal(sono_state_name(SONO_STATE_LOST), "LOST");
    assert_string_equal(sono_backend_name(SONO_BACKEND_CPU), "cpu");
    assert_string_equal(sono_backend_name(SONO_BACKEND_CUDA), "cuda");
    assert_string_equal(sono_precision_name(SONO_PRECISION_FP16), "fp16");
    assert_string_equal(sono_version(), "0.2.0");
    assert_string_equal(sono_dtype_name(SONO_DTYPE_BF16), "BF16");
    assert_int_equal(sono_dtype_bytes(SONO_DTYPE_I64), 8);
}

static sono_status fail_plain(sono_error *error)
{
    return SONO_FAIL(error, FORMAT, "%s: no header", "a.pth");
}

static sono_status forward(sono_error *error, int *went_on)
{
    SONO_TRY(fail_plain(error));
    *went_on = 1;
    return SONO_STATUS_OK;
}

static void test_failures_are_recorded_and_forwarded(void **state)
{
    (void)state;
    sono_error error = {0};
    int went_on = 0;
    assert_int_equal(forward(&error, &went_on), SONO_STATUS_FORMAT);
    assert_int_equal(went_on, 0);
    assert_int_equal(error.status, SONO_STATUS_FORMAT);
    assert_int_equal(error.native_code, 0);
    assert_int_equal(error.offset_bytes, -1);
    assert_string_equal(error.where, "fail_plain");
    assert_string_equal(error.text, "a.pth: no header");
    assert_int_equal(forward(NULL, &went_on), SONO_STATUS_FORMAT);
}

static void test_offsets_and_native_codes(void **state)
{
    (void)state;
    sono_error error = {0};
    assert_int_equal(SONO_FAIL_AT(&error, FORMAT, 1234, "bad opcode"), SONO_STATUS_FORMAT);
    assert_int_equal(error.offset_bytes, 1234);
    assert_non_null(strstr(error.text, "bad opcode"));
    assert_non_null(strstr(error.text, "at byte 1234"));
    assert_int_equal(SONO_FAIL_NATIVE(&error, IO, 28, "disk full"), SONO_STATUS_IO);
    assert_int_equal(error.native_code, 28);
    assert_int_equal(error.offset_bytes, -1);
}

static void test_hostile_text_stays_one_short_line(void **state)
{
    (void)state;
    sono_error error = {0};
    char name[2000];
    (void)SONO_FAIL(&error, IO, "%s", "a\nb\x1b[31m\x7f.png");
    assert_string_equal(error.text, "a?b?[31m?.png");
    memset(name, 'x', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    (void)SONO_FAIL_AT(&error, IO, 5, "%s", name);
    assert_int_equal(strlen(error.text), sizeof error.text - 1);
    sono_error_prefix(&error, name);
    assert_true(strlen(error.text) < sizeof error.text);
    assert_ptr_equal(strchr(error.text, ':'), strrchr(error.text, ':'));
}

static void test_prefix(void **state)
{
    (void)state;
    sono_error error = {0};
    (void)SONO_FAIL(&error, MODEL_MISMATCH, "no tensor w");
    sono_error_prefix(&error, "dir/m\n.pt");
    assert_string_equal(error.text, "dir/m?.pt: no tensor w");
    assert_int_equal(error.status, SONO_STATUS_MODEL_MISMATCH);
    sono_error_prefix(NULL, "nobody asked");
    char text[450];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    memset(&error, 'y', sizeof error);
    (void)SONO_FAIL(&error, FORMAT, "%s", text);
    sono_error_prefix(&error, "short");
    assert_int_equal(strlen(error.text), strlen("short: ") + strlen(text)); /* nothing is cut needlessly */
    sono_error_prefix(&error, "this no longer fits, and the end of the text is what goes");
    assert_int_equal(strlen(error.text), sizeof error.text - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_status_has_a_name_and_a_text),
        cmocka_unit_test(test_values_out_of_range_have_names),
        cmocka_unit_test(test_names_of_the_api),
        cmocka_unit_test(test_failures_are_recorded_and_forwarded),
        cmocka_unit_test(test_offsets_and_native_codes),
        cmocka_unit_test(test_hostile_text_stays_one_short_line),
        cmocka_unit_test(test_prefix),
    };
    return sono_test_run("base/status", tests, sizeof(tests) / sizeof(tests[0]));
}
