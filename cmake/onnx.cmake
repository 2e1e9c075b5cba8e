# The ONNX schema, compiled by protoc-c in the build. The generated code is not ours: none of our warnings apply to it, and
# its headers are included as system headers.
set(onnx_schema_dir ${CMAKE_BINARY_DIR}/onnx_schema)
file(MAKE_DIRECTORY ${onnx_schema_dir}/onnx_schema)
add_custom_command(
  OUTPUT ${onnx_schema_dir}/onnx_schema/onnx.pb-c.c ${onnx_schema_dir}/onnx_schema/onnx.pb-c.h
  COMMAND ${PROTOC_C} --c_out=${onnx_schema_dir}/onnx_schema --proto_path=${CMAKE_SOURCE_DIR}/frontend/onnx
          ${CMAKE_SOURCE_DIR}/frontend/onnx/onnx.proto
  DEPENDS ${CMAKE_SOURCE_DIR}/frontend/onnx/onnx.proto
  COMMENT "Compiling the ONNX schema")
add_library(ingot_onnx_schema STATIC ${onnx_schema_dir}/onnx_schema/onnx.pb-c.c)
target_compile_options(ingot_onnx_schema PRIVATE -w)
target_include_directories(ingot_onnx_schema SYSTEM PUBLIC ${onnx_schema_dir})
target_link_libraries(ingot_onnx_schema PUBLIC PkgConfig::PROTOBUF_C)
