# SPDX-License-Identifier: Apache-2.0
# What libsonoseg and libsonoseg-io stand on, as pkg-config targets. Also read by users of the static libraries.
find_package(PkgConfig REQUIRED)
pkg_check_modules(SONO_ZLIB REQUIRED IMPORTED_TARGET zlib)
set(SONO_DEPENDENCIES PkgConfig::SONO_ZLIB Threads::Threads ${CMAKE_DL_LIBS} m)
if(NOT DEFINED SONO_WANTS_IO OR SONO_WANTS_IO)
    pkg_check_modules(SONO_PNG REQUIRED IMPORTED_TARGET libpng)
    pkg_check_modules(SONO_JPEG REQUIRED IMPORTED_TARGET libjpeg)
    pkg_check_modules(SONO_TIFF REQUIRED IMPORTED_TARGET libtiff-4)
    pkg_check_modules(SONO_DEFLATE REQUIRED IMPORTED_TARGET libdeflate)
    set(SONO_IO_DEPENDENCIES PkgConfig::SONO_DEFLATE PkgConfig::SONO_PNG PkgConfig::SONO_JPEG PkgConfig::SONO_TIFF PkgConfig::SONO_ZLIB
        Threads::Threads m)
endif()
