# SPDX-License-Identifier: Apache-2.0
# How a wheel's libraries are linked: everything from Debian's archives, against the C library of manylinux_2_28, which zig
# (the package ziglang) has. What gcc compiled is linked, so results are those of any other build. OpenBLAS becomes a library of
# its own beside the extension: it starts threads when it is loaded, and libsonoseg decides when (src/engine/cpu/blas.h).

# Before SonoDependencies: pkg-config's libraries are looked for as archives.
macro(sono_wheel_find_archives)
    set(CMAKE_FIND_LIBRARY_SUFFIXES .a)
    add_compile_definitions(SONO_OPENBLAS="libsonoseg-openblas.so.0")
endmacro()

# In the directory of the targets: sets the rules by which CMake links libraries.
macro(sono_wheel_use_zig)
    if(NOT CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|aarch64)$")
        message(FATAL_ERROR "wheels are built for x86_64 and aarch64, not ${CMAKE_SYSTEM_PROCESSOR}")
    endif()
    execute_process(COMMAND ${Python_EXECUTABLE} -m ziglang version RESULT_VARIABLE zig_failed OUTPUT_QUIET ERROR_QUIET)
    if(zig_failed)
        message(FATAL_ERROR "a wheel needs the Python package ziglang: scripts/wheel.sh installs it")
    endif()
    set(zig "${Python_EXECUTABLE} -m ziglang cc -target ${CMAKE_SYSTEM_PROCESSOR}-linux-gnu.2.28 -s")
    foreach(kind IN ITEMS LIBRARY MODULE)
        foreach(language IN ITEMS C CUDA)
            set(CMAKE_${language}_CREATE_SHARED_${kind}
                "${zig} -shared <LINK_FLAGS> <SONAME_FLAG><TARGET_SONAME> -o <TARGET> <OBJECTS> <LINK_LIBRARIES>")
        endforeach()
    endforeach()
endmacro()

# libsonoseg-openblas.so.0: of OpenBLAS what libsonoseg calls, the product of float matrices for every processor.
function(sono_wheel_add_openblas name)
    find_library(SONO_OPENBLAS_ARCHIVE NAMES libopenblas.a REQUIRED)
    file(WRITE ${PROJECT_BINARY_DIR}/generated/openblas.c "extern int sono_not_empty;\n")
    add_library(${name} SHARED ${PROJECT_BINARY_DIR}/generated/openblas.c)
    set_target_properties(${name} PROPERTIES OUTPUT_NAME sonoseg-openblas SOVERSION 0 LINKER_LANGUAGE C)
    foreach(symbol IN ITEMS cblas_sgemm openblas_get_config openblas_get_num_threads openblas_set_num_threads
            blas_memory_alloc blas_memory_free)
        target_link_options(${name} PRIVATE -Wl,-u,${symbol})
    endforeach()
    target_link_options(${name} PRIVATE -Wl,--gc-sections
        -Wl,--version-script=${PROJECT_SOURCE_DIR}/bindings/python/wheel/openblas.map)
    target_link_libraries(${name} PRIVATE ${SONO_OPENBLAS_ARCHIVE} Threads::Threads m)
endfunction()
