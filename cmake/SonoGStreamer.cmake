# SPDX-License-Identifier: Apache-2.0
# The GStreamer plugin (bindings/gstreamer): the element `sonoseg`. It sees include/ only and uses the shared library.
pkg_check_modules(SONO_GST IMPORTED_TARGET gstreamer-1.0>=1.20 gstreamer-base-1.0>=1.20 gstreamer-video-1.0>=1.20)
set(wants_gstreamer ${SONO_GST_FOUND})
if(SONO_WHEEL)
    set(wants_gstreamer OFF)
endif()
option(SONO_GSTREAMER "Build the GStreamer plugin" ${wants_gstreamer})
if(NOT SONO_GSTREAMER)
    message(STATUS "GStreamer plugin: left out (Debian: libgstreamer1.0-dev, libgstreamer-plugins-base1.0-dev)")
    return()
endif()
if(NOT SONO_GST_FOUND)
    message(FATAL_ERROR "SONO_GSTREAMER is ON, but there is no GStreamer 1.20 or later "
        "(Debian: libgstreamer1.0-dev, libgstreamer-plugins-base1.0-dev)")
endif()
file(GLOB gst_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/bindings/gstreamer/*.c)
set(gst_folder ${CMAKE_INSTALL_LIBDIR}/gstreamer-1.0)
add_library(gstsonoseg MODULE ${gst_sources})
target_link_libraries(gstsonoseg PRIVATE sonoseg_shared PkgConfig::SONO_GST m)
file(RELATIVE_PATH plugin_to_models ${CMAKE_INSTALL_PREFIX}/${gst_folder} ${CMAKE_INSTALL_FULL_DATADIR}/sonoseg/models)
target_compile_definitions(gstsonoseg PRIVATE SONO_PLUGIN_VERSION="${PROJECT_VERSION}"
    SONO_PLUGIN_TO_MODELS="${plugin_to_models}")
set_target_properties(gstsonoseg PROPERTIES INSTALL_RPATH $ORIGIN/..
    LIBRARY_OUTPUT_DIRECTORY ${CMAKE_LIBRARY_OUTPUT_DIRECTORY}/gstreamer-1.0)
install(TARGETS gstsonoseg LIBRARY DESTINATION ${gst_folder})
