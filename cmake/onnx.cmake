# The ONNX schema, compiled by protoc-c in the build.
