# SPDX-License-Identifier: Apache-2.0
# Kernels for compute capability 9.0 alone: what 9.0a has (wgmma, TMA) is portable to no other, later ones included, so
# they are compiled apart from the rest, and only where 90 is among the architectures.

# An OBJECT library `name` of the .cu files in `folder`, if there are any to compile; made by `add`, a function like
# sono_add_objects(NAME FILES...).
function(sono_add_sm90 name folder add)
    file(GLOB files CONFIGURE_DEPENDS ${folder}/*.cu)
    set(wanted ${CMAKE_CUDA_ARCHITECTURES})
    list(FILTER wanted INCLUDE REGEX "^90a?(-real|-virtual)?$")
    if(NOT files OR NOT wanted)
        return()
    endif()
    cmake_language(CALL ${add} ${name} ${files})
    set_target_properties(${name} PROPERTIES CUDA_STANDARD 17 CUDA_VISIBILITY_PRESET hidden CUDA_ARCHITECTURES OFF)
    target_compile_options(${name} PRIVATE "SHELL:-gencode arch=compute_90a,code=sm_90a")
endfunction()
