# SPDX-License-Identifier: Apache-2.0
# The CUDA backend (src/backend/cuda, src/gpu), when there are sources and a compiler for them.
file(GLOB cuda_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/backend/cuda/*.cu
    ${PROJECT_SOURCE_DIR}/src/backend/cuda/*.c ${PROJECT_SOURCE_DIR}/src/gpu/*.cu ${PROJECT_SOURCE_DIR}/src/gpu/*.c)
set(with_cuda ${SONO_CUDA})
if(SONO_CUDA STREQUAL "AUTO")
    set(with_cuda OFF)
    if(cuda_sources)
        include(CheckLanguage)
        check_language(CUDA)
        set(with_cuda ${CMAKE_CUDA_COMPILER})
    endif()
endif()

if(with_cuda)
    enable_language(CUDA)
    find_package(CUDAToolkit REQUIRED)
    list(APPEND SONO_DEPENDENCIES CUDA::cudart_static)
    sono_add_objects(sono_cuda ${cuda_sources})
    set_target_properties(sono_cuda PROPERTIES CUDA_STANDARD 17 CUDA_VISIBILITY_PRESET hidden)
    set(cuda_definitions SONO_HAVE_CUDA=1)
    target_compile_definitions(sono_objects PRIVATE ${cuda_definitions})
endif()
