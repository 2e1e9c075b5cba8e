# The runtime: compiled once for this build (ingot_runtime_host, used by the cli and tests), and once more as the archive that
# is embedded in the compiler and linked into every artifact (ingot_runtime_embedded).
file(GLOB runtime_sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/runtime/*.c)
add_library(ingot_runtime_host STATIC ${runtime_sources})
target_link_libraries(ingot_runtime_host PUBLIC ingot_flags Threads::Threads m)
target_compile_definitions(ingot_runtime_host PRIVATE INGOT_VERSION="${PROJECT_VERSION}")
