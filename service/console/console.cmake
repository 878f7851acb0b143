# The files of the console, and the descriptors of the methods for its forms, become the C++ file CONSOLE_DATA, which is
# part of the server's library.
file(GLOB CONSOLE_FILES CONFIGURE_DEPENDS
  ${CMAKE_CURRENT_LIST_DIR}/*.html ${CMAKE_CURRENT_LIST_DIR}/*.svg ${CMAKE_CURRENT_LIST_DIR}/*.css
  ${CMAKE_CURRENT_LIST_DIR}/*.js)
file(GLOB CONSOLE_PROTOS RELATIVE ${CMAKE_SOURCE_DIR}/proto CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/proto/holdfast/v1/*.proto)
file(MAKE_DIRECTORY ${CMAKE_CURRENT_BINARY_DIR}/console)

set(CONSOLE_API ${CMAKE_CURRENT_BINARY_DIR}/console/api.binpb)
list(TRANSFORM CONSOLE_PROTOS PREPEND ${CMAKE_SOURCE_DIR}/proto/ OUTPUT_VARIABLE CONSOLE_PROTO_FILES)
add_custom_command(
  OUTPUT ${CONSOLE_API}
  COMMAND protobuf::protoc -I ${CMAKE_SOURCE_DIR}/proto -I ${GRPC_PROTO_DIR} --include_imports --include_source_info
    --descriptor_set_out=${CONSOLE_API} ${CONSOLE_PROTOS} grpc/health/v1/health.proto
  DEPENDS ${CONSOLE_PROTO_FILES}
  COMMENT "Describing the methods for the console"
  VERBATIM)

set(CONSOLE_DATA ${CMAKE_CURRENT_BINARY_DIR}/console/console_data.cc)
add_custom_command(
  OUTPUT ${CONSOLE_DATA}
  COMMAND ${CMAKE_COMMAND} "-DFILES=${CONSOLE_FILES};${CONSOLE_API}" -DOUTPUT=${CONSOLE_DATA}
    -P ${CMAKE_CURRENT_LIST_DIR}/embed.cmake
  DEPENDS ${CONSOLE_FILES} ${CONSOLE_API} ${CMAKE_CURRENT_LIST_DIR}/embed.cmake
  COMMENT "Embedding the console"
  VERBATIM)
