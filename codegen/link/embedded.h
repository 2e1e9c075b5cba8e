/* embedded.h: the runtime as bytes inside the compiler; made by cmake/runtime.cmake. */
#ifndef INGOT_CODEGEN_EMBEDDED_H
#define INGOT_CODEGEN_EMBEDDED_H

#include <stdint.h>

#define EMBEDDED __attribute__((visibility("hidden")))

/* Archives: what every artifact needs, and what executables need besides (main, tensor files). */
extern EMBEDDED const uint8_t ingot_embedded_core[];
extern EMBEDDED const uint64_t ingot_embedded_core_size;
extern EMBEDDED const uint8_t ingot_embedded_driver[];
extern EMBEDDED const uint64_t ingot_embedded_driver_size;
/* Decoders of images, which need libraries of the system. */
extern EMBEDDED const uint8_t ingot_embedded_codecs[];
extern EMBEDDED const uint64_t ingot_embedded_codecs_size;
/* The text of ingot_rt.h; a NUL follows. */
extern EMBEDDED const uint8_t ingot_embedded_header[];
extern EMBEDDED const uint64_t ingot_embedded_header_size;

#endif
