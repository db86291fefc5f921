# SPDX-License-Identifier: Apache-2.0
# libsonoseg, shared and static, from one set of position-independent objects.
find_package(Threads REQUIRED)
include(SonoDependencies)
# Its header only: the CPU backend loads the library itself (src/engine/cpu/blas.h).
pkg_search_module(SONO_OPENBLAS REQUIRED openblas blas-openblas)

file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/*.c)
list(FILTER sources EXCLUDE REGEX "/src/engine/(cuda|cpu/kernels)/")
file(GLOB kernel_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/engine/cpu/kernels/*.c)

# Adds an OBJECT library that both libraries take in.
function(sono_add_objects name)
    add_library(${name} OBJECT ${ARGN})
    set_target_properties(${name} PROPERTIES POSITION_INDEPENDENT_CODE ON)
    target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR}/include ${PROJECT_SOURCE_DIR}/src)
    target_include_directories(${name} SYSTEM PRIVATE ${SONO_OPENBLAS_INCLUDE_DIRS})
    target_link_libraries(${name} PRIVATE ${SONO_DEPENDENCIES})
    target_compile_definitions(${name} PRIVATE ${isa_definitions})
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
        sono_add_objects(sono_kernels_${isa} ${kernel_sources})
        target_compile_definitions(sono_kernels_${isa} PRIVATE SONO_ISA=${isa})
        target_compile_options(sono_kernels_${isa} PRIVATE
            $<$<CONFIG:Release>:-O3> -fopenmp-simd -fno-math-errno -fno-trapping-math -ffp-contract=fast)
        if(NOT isa STREQUAL baseline)
            target_compile_options(sono_kernels_${isa} PRIVATE -march=x86-64-${isa})
        endif()
    endforeach()
endif()

sono_add_objects(sono_objects ${sources})
include(SonoCuda)

get_property(objects GLOBAL PROPERTY SONO_OBJECTS)
add_library(sonoseg_shared SHARED ${objects})
add_library(sonoseg_static STATIC ${objects})
add_library(sonoseg::sonoseg ALIAS sonoseg_shared)
add_library(sonoseg::static ALIAS sonoseg_static)
foreach(library IN ITEMS sonoseg_shared sonoseg_static)
    target_link_libraries(${library} PRIVATE ${SONO_DEPENDENCIES})
    target_include_directories(${library} PUBLIC
        $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include> $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
    set_target_properties(${library} PROPERTIES OUTPUT_NAME sonoseg)
endforeach()
set_target_properties(sonoseg_shared PROPERTIES
    VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR} EXPORT_NAME sonoseg)
set_target_properties(sonoseg_static PROPERTIES EXPORT_NAME static)
if(SONO_WERROR AND NOT SONO_SANITIZE)
    target_link_options(sonoseg_shared PRIVATE -Wl,--no-undefined)
endif()
