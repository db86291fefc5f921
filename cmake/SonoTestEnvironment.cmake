# SPDX-License-Identifier: Apache-2.0
# What a test finds in its environment, and the synthetic checkpoints that it may find there.
set(test_environment
    SONO_SOURCE_DIR=${PROJECT_SOURCE_DIR}
    SONO_BUILD_DIR=${PROJECT_BINARY_DIR}
    "ASAN_OPTIONS=detect_stack_use_after_return=1:strict_string_checks=1"
    "LSAN_OPTIONS=suppressions=${PROJECT_SOURCE_DIR}/tests/support/lsan.supp:print_suppressions=0"
    "TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1:suppressions=${PROJECT_SOURCE_DIR}/tests/support/tsan.supp"
    "UBSAN_OPTIONS=print_stacktrace=1")
if(TARGET sonoseg_command)
    list(APPEND test_environment SONO_COMMAND=$<TARGET_FILE:sonoseg_command>)
endif()
