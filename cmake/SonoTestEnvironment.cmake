# SPDX-License-Identifier: Apache-2.0
# What a test finds in its environment, and the synthetic checkpoints that it may find there.
set(test_environment
    SONO_SOURCE_DIR=${PROJECT_SOURCE_DIR}
    SONO_BUILD_DIR=${PROJECT_BINARY_DIR}
    "ASAN_OPTIONS=strict_string_checks=1:handle_segv=2:handle_sigbus=2"
    "LSAN_OPTIONS=suppressions=${PROJECT_SOURCE_DIR}/tests/support/lsan.supp:print_suppressions=0"
    "TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1:suppressions=${PROJECT_SOURCE_DIR}/tests/support/tsan.supp"
    "UBSAN_OPTIONS=print_stacktrace=1")
if(TARGET sonoseg_command)
    list(APPEND test_environment SONO_COMMAND=$<TARGET_FILE:sonoseg_command>)
endif()
# The plugin of this build, and a registry of its own, made in the process itself: a scanner could not load sanitized code.
if(TARGET gstsonoseg)
    list(APPEND test_environment GST_PLUGIN_PATH=$<TARGET_FILE_DIR:gstsonoseg>
        GST_REGISTRY=${PROJECT_BINARY_DIR}/tests/gstreamer_registry.bin GST_REGISTRY_FORK=no)
endif()

# Full-size checkpoints with reproducible values, made by the first test that needs them.
set(synthetic_dir ${PROJECT_BINARY_DIR}/tests/synthetic)
if(EXISTS ${PROJECT_SOURCE_DIR}/tests/support/make_synthetic.c)
    add_executable(make_synthetic ${PROJECT_SOURCE_DIR}/tests/support/make_synthetic.c)
    set_target_properties(make_synthetic PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${test_output})
    target_link_libraries(make_synthetic PRIVATE sono_test_support)
    file(MAKE_DIRECTORY ${synthetic_dir})
    foreach(network IN ITEMS dfine_n mobile_sam)
        add_test(NAME synthetic/${network} COMMAND make_synthetic
            ${PROJECT_SOURCE_DIR}/tests/golden/${network}.manifest ${synthetic_dir}/${network}.pth)
        set_tests_properties(synthetic/${network} PROPERTIES FIXTURES_SETUP synthetic ENVIRONMENT "${test_environment}")
    endforeach()
    list(APPEND test_environment SONO_TEST_DETECTOR=${synthetic_dir}/dfine_n.pth
        SONO_TEST_SEGMENTER=${synthetic_dir}/mobile_sam.pth)
endif()
