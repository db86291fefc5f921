# SPDX-License-Identifier: Apache-2.0
# The web service (live/web): civetweb serves, libjpeg-turbo encodes. Without them, or with SONO_WEB=OFF, everything else is
# built, and `serve` says what is missing where web.listen is set. Sets web_sources, web_libraries.
pkg_check_modules(SONO_TURBOJPEG IMPORTED_TARGET libturbojpeg)
find_path(SONO_CIVETWEB_INCLUDE civetweb.h)
find_library(SONO_CIVETWEB_LIBRARY civetweb)
set(has_web OFF)
if(SONO_CIVETWEB_INCLUDE AND SONO_CIVETWEB_LIBRARY AND SONO_TURBOJPEG_FOUND)
    set(has_web ON)
endif()
option(SONO_WEB "Build the web service of `sonoseg serve` (civetweb, libjpeg-turbo)" ${has_web})
mark_as_advanced(SONO_CIVETWEB_INCLUDE SONO_CIVETWEB_LIBRARY)

# What needs neither library: built, tested and fuzzed either way.
set(web_pure body facts facts_json facts_metrics facts_rows feed frame_wire histogram history pictures png request text token
    verdict)
list(TRANSFORM web_pure PREPEND ${PROJECT_SOURCE_DIR}/live/web/)
list(TRANSFORM web_pure APPEND .c)
if(SONO_WEB AND NOT has_web)
    message(FATAL_ERROR "SONO_WEB is ON, but there is no civetweb or libturbojpeg (Debian: libcivetweb-dev, libturbojpeg0-dev)")
endif()
if(SONO_WEB)
    file(GLOB web_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/live/web/*.c)
    file(GLOB web_page CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/live/web/page/*)
    # The page's charts are Chart.js (MIT: live/web/page/licences.txt), out of Debian's libjs-chart.js; the page does without.
    find_file(SONO_WEB_CHARTS chart.min.js PATHS /usr/share/javascript/chart.js NO_DEFAULT_PATH)
    mark_as_advanced(SONO_WEB_CHARTS)
    set(SONO_WEB_EXTRA_ASSETS "" CACHE STRING "Further files that the page is served with")
    set(web_files ${web_page} ${SONO_WEB_EXTRA_ASSETS})
    if(SONO_WEB_CHARTS)
        list(APPEND web_files ${SONO_WEB_CHARTS})
    else()
        message(STATUS "Web page: no charts (Debian: libjs-chart.js)")
    endif()
    set(web_table ${PROJECT_BINARY_DIR}/web/assets_table.c)
    add_custom_command(OUTPUT ${web_table}
        COMMAND ${CMAKE_COMMAND} -E make_directory ${PROJECT_BINARY_DIR}/web
        COMMAND ${CMAKE_COMMAND} "-DFILES=${web_files}" -DOUTPUT=${web_table}
            -DTABLE=sono_web -P ${PROJECT_SOURCE_DIR}/cmake/SonoWebAssets.cmake
        DEPENDS ${web_files} ${PROJECT_SOURCE_DIR}/cmake/SonoWebAssets.cmake
        COMMENT "Putting the page into C" VERBATIM)
    list(APPEND web_sources ${web_table})
    set(web_libraries ${SONO_CIVETWEB_LIBRARY} PkgConfig::SONO_TURBOJPEG PkgConfig::SONO_ZLIB ${CMAKE_DL_LIBS})
else()
    message(STATUS "Web service: left out (Debian: libcivetweb-dev, libturbojpeg0-dev)")
    set(web_sources ${web_pure} ${PROJECT_SOURCE_DIR}/live/web/absent/absent.c ${PROJECT_SOURCE_DIR}/live/web/gpu.c
        ${PROJECT_SOURCE_DIR}/live/web/process.c)
    set(web_libraries ${CMAKE_DL_LIBS})
endif()

# The commit that is built, for the page and sonoseg_build_info; empty outside of a checkout.
execute_process(COMMAND git -c safe.directory=* -C ${PROJECT_SOURCE_DIR} rev-parse --short=12 HEAD OUTPUT_VARIABLE web_commit
    OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
execute_process(COMMAND git -c safe.directory=* -C ${PROJECT_SOURCE_DIR} rev-parse --git-path logs/HEAD
    OUTPUT_VARIABLE web_head OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})
if(web_head)
    get_filename_component(web_head ${web_head} ABSOLUTE BASE_DIR ${PROJECT_SOURCE_DIR})
    set_property(DIRECTORY ${PROJECT_SOURCE_DIR} APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${web_head})
endif()
set_source_files_properties(${PROJECT_SOURCE_DIR}/live/web/facts.c DIRECTORY ${PROJECT_SOURCE_DIR}
    PROPERTIES COMPILE_DEFINITIONS "SONO_COMMIT=\"${web_commit}\"")
