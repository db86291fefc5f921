# SPDX-License-Identifier: Apache-2.0
# How a wheel's libraries are linked: everything from archives, Debian's for what is not ours, against the C library of
# manylinux_2_28, which zig (the package ziglang) has. gcc compiles as ever, so that results are those of any other build.
if(NOT CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|aarch64)$")
    message(FATAL_ERROR "wheels are built for x86_64 and aarch64, not ${CMAKE_SYSTEM_PROCESSOR}")
endif()
execute_process(COMMAND ${Python_EXECUTABLE} -m ziglang version RESULT_VARIABLE zig_failed OUTPUT_QUIET ERROR_QUIET)
if(zig_failed)
    message(FATAL_ERROR "a wheel needs the Python package ziglang: scripts/wheel.sh installs it")
endif()
set(zig_links "${Python_EXECUTABLE} -m ziglang cc -target ${CMAKE_SYSTEM_PROCESSOR}-linux-gnu.2.28 -s -shared")
foreach(kind IN ITEMS LIBRARY MODULE)
    set(CMAKE_C_CREATE_SHARED_${kind}
        "${zig_links} <LINK_FLAGS> <SONAME_FLAG><TARGET_SONAME> -o <TARGET> <OBJECTS> <LINK_LIBRARIES>")
endforeach()

# Ours: of this build, or of another one whose objects are as good.
if(SONO_WHEEL_ARCHIVES)
    set(own_archives ${SONO_WHEEL_ARCHIVES}/libsonoseg-io.a ${SONO_WHEEL_ARCHIVES}/libsonoseg.a)
else()
    set(own_archives $<TARGET_FILE:sonoseg_io_static> $<TARGET_FILE:sonoseg_static>)
    add_dependencies(sonoseg_python sonoseg_io_static sonoseg_static)
endif()
# In the order in which one asks for the next; docs/python.md and LICENSES.txt name them.
foreach(name IN ITEMS png16 tiff jpeg zstd lzma deflate z)
    find_library(SONO_ARCHIVE_${name} NAMES lib${name}.a REQUIRED)
    list(APPEND archives ${SONO_ARCHIVE_${name}})
endforeach()
if(with_cuda)
    # The host code that nvcc makes wants a few functions of the C++ run time, which every system with glibc has as a library.
    list(APPEND archives CUDA::cudart_static)
    foreach(name IN ITEMS libstdc++.so.6 libgcc_s.so.1)
        execute_process(COMMAND ${CMAKE_C_COMPILER} -print-file-name=${name} OUTPUT_VARIABLE found OUTPUT_STRIP_TRAILING_WHITESPACE)
        list(APPEND archives ${found})
    endforeach()
endif()
target_include_directories(sonoseg_python SYSTEM PRIVATE ${SONO_TIFF_INCLUDE_DIRS})
target_sources(sonoseg_python PRIVATE wheel/archives.c)
target_link_libraries(sonoseg_python PRIVATE ${own_archives} ${archives} Threads::Threads ${CMAKE_DL_LIBS} m)
target_link_options(sonoseg_python PRIVATE -Wl,--gc-sections)
set_target_properties(sonoseg_python PROPERTIES INSTALL_RPATH $ORIGIN BUILD_WITH_INSTALL_RPATH ON LINKER_LANGUAGE C)
set_property(TARGET sonoseg_python APPEND PROPERTY LINK_DEPENDS "${own_archives}")

# libsonoseg-openblas.so.0: of OpenBLAS what libsonoseg calls, the product of float matrices on every processor. A library
# of its own, since it starts threads when it is loaded, and libsonoseg says when (src/engine/cpu/blas.h).
find_library(SONO_OPENBLAS_ARCHIVE NAMES libopenblas.a REQUIRED)
file(WRITE ${PROJECT_BINARY_DIR}/generated/openblas.c "extern int sono_not_empty;\n")
add_library(sonoseg_openblas SHARED ${PROJECT_BINARY_DIR}/generated/openblas.c)
foreach(symbol IN ITEMS cblas_sgemm openblas_get_config openblas_get_num_threads openblas_set_num_threads
        blas_memory_alloc blas_memory_free)
    target_link_options(sonoseg_openblas PRIVATE -Wl,-u,${symbol})
endforeach()
target_link_options(sonoseg_openblas PRIVATE -Wl,--gc-sections
    -Wl,--version-script=${CMAKE_CURRENT_SOURCE_DIR}/wheel/openblas.map)
target_link_libraries(sonoseg_openblas PRIVATE ${SONO_OPENBLAS_ARCHIVE} Threads::Threads m)
set_target_properties(sonoseg_openblas PROPERTIES OUTPUT_NAME sonoseg-openblas SOVERSION 0
    LIBRARY_OUTPUT_DIRECTORY ${package_dir})
install(TARGETS sonoseg_openblas LIBRARY DESTINATION sonoseg COMPONENT python EXCLUDE_FROM_ALL NAMELINK_SKIP)

# What the licences of the archives want to go along: Debian's records of them, as they are.
set(licences ${PROJECT_BINARY_DIR}/generated/LICENSES.txt)
file(READ ${CMAKE_CURRENT_SOURCE_DIR}/wheel/linked.txt linked)
if(with_cuda)
    string(APPEND linked "\nlibcudart_static (NVIDIA): redistributed under Attachment A of the CUDA Toolkit's End User License Agreement.\n")
endif()
file(WRITE ${licences} "${linked}")
foreach(package IN ITEMS libopenblas-pthread-dev libpng-dev libjpeg62-turbo-dev libtiff-dev libzstd-dev liblzma-dev
        libdeflate-dev zlib1g-dev)
    set(record /usr/share/doc/${package}/copyright)
    if(EXISTS ${record})
        file(READ ${record} text)
        file(APPEND ${licences} "\n\n======== ${package} ========\n\n${text}")
    else()
        message(WARNING "no ${record}: the wheel may not be handed out without the licences of what it holds")
    endif()
endforeach()
install(FILES ${licences} DESTINATION sonoseg COMPONENT python EXCLUDE_FROM_ALL)
