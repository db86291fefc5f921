# SPDX-License-Identifier: Apache-2.0
# The live service: its rooms are live/<room>/, found by pattern. They see include/ and each other, as the include law says,
# and are linked into the command only: as objects there, as an archive of the same objects into tests and fuzz targets.
# The configuration file: libcyaml, and the parser that it stands on for the lines of errors.
pkg_check_modules(SONO_CYAML REQUIRED IMPORTED_TARGET libcyaml yaml-0.1)
include(SonoWeb)
file(GLOB live_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/live/*/*.c)
list(FILTER live_sources EXCLUDE REGEX "/live/web/")
list(APPEND live_sources ${web_sources})
add_library(sono_live OBJECT ${live_sources})
target_include_directories(sono_live PUBLIC ${PROJECT_SOURCE_DIR}/live ${PROJECT_SOURCE_DIR}/include)
target_link_libraries(sono_live PUBLIC PkgConfig::SONO_CYAML PkgConfig::SONO_ZLIB ${web_libraries} Threads::Threads m)

add_library(sono_live_static STATIC $<TARGET_OBJECTS:sono_live>)
target_include_directories(sono_live_static PUBLIC ${PROJECT_SOURCE_DIR}/live ${PROJECT_SOURCE_DIR}/include)
target_link_libraries(sono_live_static PUBLIC PkgConfig::SONO_CYAML PkgConfig::SONO_ZLIB ${web_libraries} Threads::Threads m)
