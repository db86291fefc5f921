# SPDX-License-Identifier: Apache-2.0
# The command `sonoseg`: sees the public headers only and uses the shared library as any other program would.
file(GLOB command_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tools/sonoseg/*.c)
include(SonoRealFrames)
set(command_generated_dir ${PROJECT_BINARY_DIR}/generated)
sono_write_real_frames(${command_generated_dir})
# The style and the script of `sonoseg report`'s page.
file(GLOB report_files CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tools/sonoseg/report/*)
set(report_table ${command_generated_dir}/report_table.c)
add_custom_command(OUTPUT ${report_table}
    COMMAND ${CMAKE_COMMAND} "-DFILES=${report_files}" -DOUTPUT=${report_table} -DTABLE=report
        -P ${PROJECT_SOURCE_DIR}/cmake/SonoWebAssets.cmake
    DEPENDS ${report_files} ${PROJECT_SOURCE_DIR}/cmake/SonoWebAssets.cmake
    COMMENT "Putting the report's page into C" VERBATIM)
add_library(sono_report_page STATIC ${report_table})
target_include_directories(sono_report_page PRIVATE ${PROJECT_SOURCE_DIR}/live)
if(command_sources)
    add_executable(sonoseg_command ${command_sources})
    target_include_directories(sonoseg_command PRIVATE ${command_generated_dir})
    target_link_libraries(sonoseg_command PRIVATE sono_report_page sono_live sonoseg_io_shared Threads::Threads m)
    # Where the shipped models lie, seen from the command: installed, and in its build folder.
    file(RELATIVE_PATH bin_to_models ${CMAKE_INSTALL_FULL_BINDIR} ${CMAKE_INSTALL_FULL_DATADIR}/sonoseg/models)
    file(RELATIVE_PATH bin_to_source ${CMAKE_RUNTIME_OUTPUT_DIRECTORY} ${PROJECT_SOURCE_DIR}/models)
    target_compile_definitions(sonoseg_command PRIVATE
        SONO_INSTALLED_MODELS="${bin_to_models}" SONO_SOURCE_MODELS="${bin_to_source}")
    # Likewise the script for 3D Slicer, which `serve` names.
    file(RELATIVE_PATH bin_to_slicer ${CMAKE_INSTALL_FULL_BINDIR} ${CMAKE_INSTALL_FULL_DATADIR}/sonoseg/slicer/sonoseg_slicer.py)
    file(RELATIVE_PATH bin_to_packaging ${CMAKE_RUNTIME_OUTPUT_DIRECTORY} ${PROJECT_SOURCE_DIR}/packaging/slicer/sonoseg_slicer.py)
    target_compile_definitions(sonoseg_command PRIVATE
        SONO_INSTALLED_SLICER="${bin_to_slicer}" SONO_SOURCE_SLICER="${bin_to_packaging}")
    file(RELATIVE_PATH bin_to_lib ${CMAKE_INSTALL_FULL_BINDIR} ${CMAKE_INSTALL_FULL_LIBDIR})
    set_target_properties(sonoseg_command PROPERTIES OUTPUT_NAME sonoseg INSTALL_RPATH $ORIGIN/${bin_to_lib})
endif()
