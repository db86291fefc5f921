# SPDX-License-Identifier: Apache-2.0
# The libraries that libsonoseg stands on, as pkg-config targets. Also read by users of the static library.
find_package(PkgConfig REQUIRED)
pkg_check_modules(SONO_PNG REQUIRED IMPORTED_TARGET libpng)
pkg_check_modules(SONO_JPEG REQUIRED IMPORTED_TARGET libjpeg)
pkg_check_modules(SONO_TIFF REQUIRED IMPORTED_TARGET libtiff-4)
pkg_check_modules(SONO_ZLIB REQUIRED IMPORTED_TARGET zlib)
pkg_check_modules(SONO_CJSON REQUIRED IMPORTED_TARGET libcjson)
set(SONO_DEPENDENCIES PkgConfig::SONO_PNG PkgConfig::SONO_JPEG PkgConfig::SONO_TIFF PkgConfig::SONO_ZLIB
    PkgConfig::SONO_CJSON Threads::Threads ${CMAKE_DL_LIBS} m)
