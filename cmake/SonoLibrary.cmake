# SPDX-License-Identifier: Apache-2.0
# libsonoseg and, for files, libsonoseg-io: each shared and static from one set of position-independent objects.
# The binary interface has a number of its own, raised only on a break (docs/abi.md).
set(SONO_SOVERSION 1)
find_package(Threads REQUIRED)
include(SonoDependencies)
# Its header only: the CPU backend loads the library itself (src/engine/cpu/blas.h).
pkg_search_module(SONO_OPENBLAS REQUIRED openblas blas-openblas)

file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/*.c)
# Of the CUDA engine only the choice of kernels, which needs no CUDA.
list(FILTER sources EXCLUDE REGEX "/src/(base|io|engine/cuda/device|engine/cuda/kernels|engine/cpu/kernels)/")
list(FILTER sources EXCLUDE REGEX "/src/engine/cuda/[a-z_]+\\.c$")
file(GLOB base_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/base/*.c)
file(GLOB_RECURSE io_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/io/*.c)
file(GLOB kernel_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/engine/cpu/kernels/*.c)

# Adds a library of position-independent objects; further arguments are its sources.
function(sono_add_objects name)
    add_library(${name} OBJECT ${ARGN})
    set_target_properties(${name} PROPERTIES POSITION_INDEPENDENT_CODE ON)
    target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR}/include ${PROJECT_SOURCE_DIR}/src)
    target_include_directories(${name} SYSTEM PRIVATE ${SONO_OPENBLAS_INCLUDE_DIRS})
    target_link_libraries(${name} PRIVATE ${SONO_DEPENDENCIES})
    target_compile_definitions(${name} PRIVATE ${isa_definitions})
endfunction()

# The same for objects that libsonoseg takes in.
function(sono_add_core_objects name)
    sono_add_objects(${name} ${ARGN})
    set_property(GLOBAL APPEND PROPERTY SONO_OBJECTS $<TARGET_OBJECTS:${name}>)
endfunction()

# The CPU kernels exist once per instruction set; the rest picks one at run time.
set(isas baseline)
if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64)$")
    list(APPEND isas v3 v4)
    set(isa_definitions SONO_HAVE_ISA_V3=1 SONO_HAVE_ISA_V4=1)
endif()
if(kernel_sources)
    foreach(isa IN LISTS isas)
        sono_add_core_objects(sono_kernels_${isa} ${kernel_sources})
        target_compile_definitions(sono_kernels_${isa} PRIVATE SONO_ISA=${isa})
        target_compile_options(sono_kernels_${isa} PRIVATE
            $<$<CONFIG:Release>:-O3> -fopenmp-simd -fno-math-errno -fno-trapping-math -ffp-contract=fast)
        if(NOT isa STREQUAL baseline)
            target_compile_options(sono_kernels_${isa} PRIVATE -march=x86-64-${isa})
        endif()
    endforeach()
endif()

sono_add_core_objects(sono_objects ${sources})
sono_add_core_objects(sono_base ${base_sources})
include(SonoCuda)
sono_add_objects(sono_io ${io_sources})
target_link_libraries(sono_io PRIVATE ${SONO_IO_DEPENDENCIES})

# libsonoseg-io has base, too, hidden as in libsonoseg; the static one takes it from libsonoseg.a.
get_property(objects GLOBAL PROPERTY SONO_OBJECTS)
add_library(sonoseg_shared SHARED ${objects})
add_library(sonoseg_static STATIC ${objects})
add_library(sonoseg_io_shared SHARED $<TARGET_OBJECTS:sono_io> $<TARGET_OBJECTS:sono_base>)
add_library(sonoseg_io_static STATIC $<TARGET_OBJECTS:sono_io>)
foreach(library IN ITEMS sonoseg_shared sonoseg_static sonoseg_io_shared sonoseg_io_static)
    target_include_directories(${library} PUBLIC
        $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include> $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
endforeach()
foreach(kind IN ITEMS shared static)
    target_link_libraries(sonoseg_${kind} PRIVATE ${SONO_DEPENDENCIES})
    target_link_libraries(sonoseg_io_${kind} PRIVATE ${SONO_IO_DEPENDENCIES} PUBLIC sonoseg_${kind})
    set_target_properties(sonoseg_${kind} PROPERTIES OUTPUT_NAME sonoseg)
    set_target_properties(sonoseg_io_${kind} PROPERTIES OUTPUT_NAME sonoseg-io)
endforeach()
add_library(sonoseg::sonoseg ALIAS sonoseg_shared)
add_library(sonoseg::io ALIAS sonoseg_io_shared)
add_library(sonoseg::static ALIAS sonoseg_static)
add_library(sonoseg::io_static ALIAS sonoseg_io_static)
set_target_properties(sonoseg_shared PROPERTIES EXPORT_NAME sonoseg)
set_target_properties(sonoseg_io_shared PROPERTIES EXPORT_NAME io INSTALL_RPATH $ORIGIN)
set_target_properties(sonoseg_static PROPERTIES EXPORT_NAME static)
set_target_properties(sonoseg_io_static PROPERTIES EXPORT_NAME io_static)
# nodelete: a tensor's deleter may be called after the last dlclose().
foreach(library IN ITEMS sonoseg_shared sonoseg_io_shared)
    target_link_options(${library} PRIVATE -Wl,--version-script=${PROJECT_SOURCE_DIR}/cmake/sonoseg.map -Wl,-z,nodelete)
    set_property(TARGET ${library} APPEND PROPERTY LINK_DEPENDS ${PROJECT_SOURCE_DIR}/cmake/sonoseg.map)
    set_target_properties(${library} PROPERTIES VERSION ${SONO_SOVERSION}.${PROJECT_VERSION} SOVERSION ${SONO_SOVERSION})
    if(SONO_WERROR AND NOT SONO_SANITIZE)
        target_link_options(${library} PRIVATE -Wl,--no-undefined)
    endif()
endforeach()
