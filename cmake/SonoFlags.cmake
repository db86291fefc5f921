# SPDX-License-Identifier: Apache-2.0
# Language, warnings and sanitizers of everything built here.
set(CMAKE_C_STANDARD 11)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS OFF)
set(CMAKE_C_VISIBILITY_PRESET hidden)
set(CMAKE_C_FLAGS_RELEASE "-O2 -g")
if(SONO_SANITIZE)
    # Half the time to compile; reports need lines only, and the kernels, where a test's time goes, have their own -O3.
    set(CMAKE_C_FLAGS_RELEASE "-O1 -g1")
endif()
set(CMAKE_C_FLAGS_DEBUG "-O0 -g")
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
set(CMAKE_LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/lib)
set(CMAKE_ARCHIVE_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/lib)
if(NOT CMAKE_BUILD_TYPE)
    set(CMAKE_BUILD_TYPE Release)
endif()

add_compile_definitions(_GNU_SOURCE)
add_compile_options(
    $<$<COMPILE_LANGUAGE:C>:-Wall>
    $<$<COMPILE_LANGUAGE:C>:-Wextra>
    $<$<COMPILE_LANGUAGE:C>:-Wpedantic>
    $<$<COMPILE_LANGUAGE:C>:-Wshadow>
    $<$<COMPILE_LANGUAGE:C>:-Wstrict-prototypes>
    $<$<COMPILE_LANGUAGE:C>:-Wmissing-prototypes>
    $<$<COMPILE_LANGUAGE:C>:-Wold-style-definition>
    $<$<COMPILE_LANGUAGE:C>:-Wvla>
    $<$<COMPILE_LANGUAGE:C>:-Wformat=2>
    $<$<COMPILE_LANGUAGE:C>:-Wundef>
    $<$<COMPILE_LANGUAGE:C>:-Wpointer-arith>
    $<$<COMPILE_LANGUAGE:C>:-Wwrite-strings>)
if(SONO_WERROR)
    add_compile_options($<$<COMPILE_LANGUAGE:C>:-Werror>)
endif()

if(SONO_SANITIZE)
    set(sanitize -fsanitize=${SONO_SANITIZE} -fno-omit-frame-pointer)
    if(SONO_SANITIZE MATCHES "undefined")
        list(APPEND sanitize -fno-sanitize-recover=undefined)
    endif()
    add_compile_options("$<$<COMPILE_LANGUAGE:C,CXX>:${sanitize}>")
    add_link_options(-fsanitize=${SONO_SANITIZE})
    add_compile_definitions(SONO_SANITIZED)
endif()
if(SONO_SANITIZE AND CMAKE_C_COMPILER_ID STREQUAL "GNU")
    # At -O1 gcc can prove less about lengths; the release build has this warning.
    add_compile_options($<$<COMPILE_LANGUAGE:C>:-Wno-format-truncation>)
endif()
if(SONO_SANITIZE AND CMAKE_C_COMPILER_ID MATCHES "Clang")
    # The checks keep loops from being vectorised, which is no news here.
    add_compile_options($<$<COMPILE_LANGUAGE:C>:-Wno-pass-failed>)
endif()
if(SONO_FUZZ)
    add_compile_options($<$<COMPILE_LANGUAGE:C>:-fsanitize=fuzzer-no-link>)
endif()
