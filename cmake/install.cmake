# `cmake --install` gives what a program with object classes of its own, or a client in C++, is built from: the libraries,
# their headers, the contract, and a package that find_package(Holdfast) finds. examples/leaderboard uses it.
include(CMakePackageConfigHelpers)
include(GNUInstallDirs)

set(HOLDFAST_INCLUDE ${CMAKE_INSTALL_INCLUDEDIR}/holdfast)
set(HOLDFAST_SHARE ${CMAKE_INSTALL_DATADIR}/holdfast)
set(HOLDFAST_PACKAGE ${CMAKE_INSTALL_LIBDIR}/cmake/Holdfast)

set_target_properties(holdfast_service PROPERTIES EXPORT_NAME server)
foreach(NAME options proto envoy otlp sqlite storage actors client)
  set_target_properties(holdfast_${NAME} PROPERTIES EXPORT_NAME ${NAME})
endforeach()
install(
  TARGETS holdfast_options holdfast_proto holdfast_envoy holdfast_otlp holdfast_sqlite holdfast_storage holdfast_actors
          holdfast_service holdfast_client
  EXPORT HoldfastTargets
  ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT development)
install(EXPORT HoldfastTargets NAMESPACE Holdfast:: DESTINATION ${HOLDFAST_PACKAGE} COMPONENT development)

install(DIRECTORY actors client proto service storage DESTINATION ${HOLDFAST_INCLUDE} COMPONENT development
  FILES_MATCHING PATTERN "*.h")
install(DIRECTORY ${CMAKE_BINARY_DIR}/proto/generated/ DESTINATION ${HOLDFAST_INCLUDE} COMPONENT development
  FILES_MATCHING PATTERN "*.h")
install(FILES ${SQLITE_DIR}/sqlite3.h DESTINATION ${HOLDFAST_INCLUDE} COMPONENT development)
# The fixture of tests of object classes, with the simulation's node and clock.
install(FILES tests/unit/actors/node_test.h DESTINATION ${HOLDFAST_INCLUDE}/tests/unit/actors COMPONENT development)
install(DIRECTORY tests/simulation/ DESTINATION ${HOLDFAST_INCLUDE}/tests/simulation COMPONENT development
  FILES_MATCHING PATTERN "*.h")

install(DIRECTORY proto/holdfast/v1 DESTINATION ${HOLDFAST_SHARE}/proto/holdfast COMPONENT development
  FILES_MATCHING PATTERN "*.proto")
install(FILES client/service_config.json client/service_config_with_ids.json DESTINATION ${HOLDFAST_SHARE}
  COMPONENT development)

configure_package_config_file(cmake/HoldfastConfig.cmake.in ${CMAKE_CURRENT_BINARY_DIR}/HoldfastConfig.cmake
  INSTALL_DESTINATION ${HOLDFAST_PACKAGE}
  PATH_VARS HOLDFAST_SHARE)
write_basic_package_version_file(${CMAKE_CURRENT_BINARY_DIR}/HoldfastConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/HoldfastConfig.cmake ${CMAKE_CURRENT_BINARY_DIR}/HoldfastConfigVersion.cmake
  DESTINATION ${HOLDFAST_PACKAGE} COMPONENT development)
