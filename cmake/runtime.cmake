# The runtime: compiled once for this build (ingot_runtime_host, used by the cli and tests), and once more as the archives
# that are embedded in the compiler and linked into every artifact (ingot_runtime_embedded): the core, which every
# artifact has, and the driver with the tensor files, which executables have.
file(GLOB runtime_sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/runtime/*.c)
add_library(ingot_runtime_host STATIC ${runtime_sources})
target_link_libraries(ingot_runtime_host PUBLIC ingot_flags Threads::Threads m)
target_compile_definitions(ingot_runtime_host PRIVATE INGOT_VERSION="${PROJECT_VERSION}")

set(driver_sources ${runtime_sources})
list(FILTER driver_sources INCLUDE REGEX "/rt_(main|report|tensor|scalar|npy|npz|pb|pb_list|png|image|inflate)\\.c$")
set(core_sources ${runtime_sources})
list(REMOVE_ITEM core_sources ${driver_sources})
set(call_sources ${core_sources}) # irregular work, where time is spent: an artifact has those that it calls
list(FILTER call_sources INCLUDE REGEX "/rt_(call_[a-z0-9_]+|sort)\\.c$")
list(REMOVE_ITEM core_sources ${call_sources})

# Always optimised, never with a sanitizer or debug information, whatever this build is: artifacts do not depend on it.
# Driver and core are compiled for size: they move files and start kernels, and a small model's program is mostly they.
function(embedded_runtime name kind level)
  add_library(${name} ${kind} ${ARGN})
  target_include_directories(${name} PRIVATE ${CMAKE_SOURCE_DIR} ${CMAKE_SOURCE_DIR}/include)
  target_compile_definitions(${name} PRIVATE _GNU_SOURCE NDEBUG INGOT_VERSION="${PROJECT_VERSION}")
  target_compile_options(${name} PRIVATE ${level} -g0 -fPIC -ffunction-sections -fdata-sections -fvisibility=hidden
    -fno-asynchronous-unwind-tables -fcf-protection=none -ffp-contract=off -fno-math-errno -fno-trapping-math)
endfunction()
embedded_runtime(ingot_rt_calls OBJECT -O2 ${call_sources})
embedded_runtime(ingot_rt_core STATIC -Os ${core_sources} $<TARGET_OBJECTS:ingot_rt_calls>)
embedded_runtime(ingot_rt_driver STATIC -Os ${driver_sources})
include(cmake/codecs.cmake)
embedded_runtime(ingot_rt_codecs STATIC -O2 ${codec_sources})
target_include_directories(ingot_rt_codecs SYSTEM PRIVATE ${codec_includes})

# One file of assembler statements takes the bytes in: symbols as codegen/link/embedded.h declares them.
set(embed_macro [=[
#define EMBED(symbol, file)                                                   \
    __asm__(".pushsection .rodata\n.balign 16\n.hidden " #symbol "\n"         \
            ".globl " #symbol "\n" #symbol ":\n.incbin \"" file "\"\n"        \
            ".hidden " #symbol "_size\n.globl " #symbol "_size\n"             \
            ".set end_" #symbol ", .\n.byte 0\n.balign 8\n"                   \
            #symbol "_size:\n.quad end_" #symbol " - " #symbol "\n.popsection\n");
typedef int Embedded;
]=])
file(GENERATE OUTPUT ${CMAKE_BINARY_DIR}/embedded.c CONTENT "${embed_macro}
EMBED(ingot_embedded_core, \"$<TARGET_FILE:ingot_rt_core>\")
EMBED(ingot_embedded_driver, \"$<TARGET_FILE:ingot_rt_driver>\")
EMBED(ingot_embedded_codecs, \"$<TARGET_FILE:ingot_rt_codecs>\")
EMBED(ingot_embedded_header, \"${CMAKE_SOURCE_DIR}/include/ingot/ingot_rt.h\")
")
add_library(ingot_runtime_embedded STATIC ${CMAKE_BINARY_DIR}/embedded.c)
add_dependencies(ingot_runtime_embedded ingot_rt_core ingot_rt_driver ingot_rt_codecs)
set_source_files_properties(${CMAKE_BINARY_DIR}/embedded.c PROPERTIES OBJECT_DEPENDS
  "${CMAKE_BINARY_DIR}/libingot_rt_core.a;${CMAKE_BINARY_DIR}/libingot_rt_driver.a;${CMAKE_BINARY_DIR}/libingot_rt_codecs.a;${CMAKE_SOURCE_DIR}/include/ingot/ingot_rt.h")
