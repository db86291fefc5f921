# SPDX-License-Identifier: Apache-2.0
# make install: libraries, headers, command, manual page, models, licence, pkg-config files and CMake package. Nothing installed
# names an absolute path, so the installed tree can be moved.
include(CMakePackageConfigHelpers)
set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/sonoseg)

install(TARGETS sonoseg_shared EXPORT sonosegTargets)
install(TARGETS sonoseg_io_shared EXPORT sonosegIoTargets)
install(TARGETS sonoseg_static EXPORT sonosegStaticTargets)
install(TARGETS sonoseg_io_static EXPORT sonosegIoStaticTargets)
install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/sonoseg DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
    FILES_MATCHING PATTERN "*.h")
install(FILES ${PROJECT_SOURCE_DIR}/LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})
if(TARGET sonoseg_command)
    install(TARGETS sonoseg_command)
endif()
if(EXISTS ${PROJECT_SOURCE_DIR}/models)
    install(DIRECTORY ${PROJECT_SOURCE_DIR}/models/ DESTINATION ${CMAKE_INSTALL_DATADIR}/sonoseg/models
        FILES_MATCHING PATTERN "*.safetensors" PATTERN "SHA256SUMS" PATTERN "README.md")
endif()
# What the live service's peers need: a script for 3D Slicer, a device set for PlusServer.
install(FILES ${PROJECT_SOURCE_DIR}/packaging/slicer/sonoseg_slicer.py DESTINATION ${CMAKE_INSTALL_DATADIR}/sonoseg/slicer)
install(FILES ${PROJECT_SOURCE_DIR}/packaging/plus/PlusDeviceSet_sonoseg.xml DESTINATION ${CMAKE_INSTALL_DATADIR}/sonoseg/plus)
# The unit names the command by its absolute path, so this one is not for a tree that is moved.
if(SONO_SYSTEMD)
    configure_file(${PROJECT_SOURCE_DIR}/packaging/systemd/sonoseg.service.in ${PROJECT_BINARY_DIR}/sonoseg.service @ONLY)
    install(FILES ${PROJECT_BINARY_DIR}/sonoseg.service DESTINATION lib/systemd/system)
endif()
if(EXISTS ${PROJECT_SOURCE_DIR}/docs/sonoseg.1)
    install(FILES ${PROJECT_SOURCE_DIR}/docs/sonoseg.1 ${PROJECT_SOURCE_DIR}/docs/sonoseg-serve.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
endif()

file(RELATIVE_PATH pc_prefix ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig ${CMAKE_INSTALL_PREFIX})
foreach(name IN ITEMS sonoseg sonoseg-io)
    configure_file(${PROJECT_SOURCE_DIR}/${name}.pc.in ${PROJECT_BINARY_DIR}/${name}.pc @ONLY)
endforeach()
install(FILES ${PROJECT_BINARY_DIR}/sonoseg.pc ${PROJECT_BINARY_DIR}/sonoseg-io.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/sonosegConfig.cmake.in
    ${PROJECT_BINARY_DIR}/sonosegConfig.cmake INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/sonosegConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/sonosegConfig.cmake ${PROJECT_BINARY_DIR}/sonosegConfigVersion.cmake
    ${PROJECT_SOURCE_DIR}/cmake/SonoDependencies.cmake DESTINATION ${package_dir})
foreach(set IN ITEMS "" Io Static IoStatic)
    install(EXPORT sonoseg${set}Targets NAMESPACE sonoseg:: DESTINATION ${package_dir})
endforeach()
