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
    # Machine code for every generation since Turing, and PTX of the newest for what comes after it.
    if(NOT DEFINED CMAKE_CUDA_ARCHITECTURES)
        set(CMAKE_CUDA_ARCHITECTURES 75-real 80-real 86-real 89-real 90-real 100-real 120)
    endif()
    enable_language(CUDA)
    find_package(CUDAToolkit REQUIRED)
    # The host code that nvcc makes wants the C++ run time, whoever links it.
    list(APPEND SONO_DEPENDENCIES CUDA::cudart_static stdc++)
    sono_add_objects(sono_cuda ${cuda_sources})
    set_target_properties(sono_cuda PROPERTIES CUDA_STANDARD 17 CUDA_VISIBILITY_PRESET hidden)
    set(cuda_definitions SONO_HAVE_CUDA=1)
    target_compile_definitions(sono_objects PRIVATE ${cuda_definitions})

    # `audit --trace` loads the CUPTI library when it runs; only its header is needed here.
    find_path(SONO_CUPTI_INCLUDE cupti.h HINTS ${CUDAToolkit_INCLUDE_DIRS} PATH_SUFFIXES ../extras/CUPTI/include
        ../../../extras/CUPTI/include)
    if(SONO_CUPTI_INCLUDE)
        target_include_directories(sono_cuda SYSTEM PRIVATE ${SONO_CUPTI_INCLUDE})
        target_compile_definitions(sono_cuda PRIVATE SONO_HAVE_CUPTI=1)
        target_compile_definitions(sono_objects PRIVATE SONO_HAVE_CUPTI=1)
        list(APPEND cuda_definitions SONO_HAVE_CUPTI=1)
        list(APPEND SONO_DEPENDENCIES ${CMAKE_DL_LIBS})
    endif()
endif()
