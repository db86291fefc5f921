# SPDX-License-Identifier: Apache-2.0
# The command `sonoseg`: sees the public headers only and uses the shared library as any other program would.
file(GLOB command_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tools/sonoseg/*.c)
if(command_sources)
    add_executable(sonoseg_command ${command_sources})
    target_link_libraries(sonoseg_command PRIVATE sonoseg_shared Threads::Threads m)
    file(RELATIVE_PATH bin_to_lib ${CMAKE_INSTALL_FULL_BINDIR} ${CMAKE_INSTALL_FULL_LIBDIR})
    set_target_properties(sonoseg_command PROPERTIES OUTPUT_NAME sonoseg INSTALL_RPATH $ORIGIN/${bin_to_lib})
endif()
