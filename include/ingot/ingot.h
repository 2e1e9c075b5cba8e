/* ingot.h: the compiler as a library: libingot.so, which C, Python and other languages load.
 *
 * Compiles one model into one artifact, as `ingot compile` does, and says what happened as text.
 * Standalone, needs only the C library. The library keeps no state: any number of threads may
 * compile at the same time. It never ends the process and writes nothing but the artifact (and what
 * options ask for); running the artifact is ingot_rt.h's business.
 *
 *     const char *options[] = {"--emit=shared", "--output=digits.so", "--dim=batch=8"};
 *     char *messages;
 *     int32_t status = ingot_compile("digits.onnx", 3, options, &messages);
 *     if (messages) fputs(messages, stderr);
 *     ingot_free(messages);
 *
 * One exception to "never ends": a fatal error inside LLVM, of which LLVM lets nobody return. */
#ifndef INGOT_INGOT_H
#define INGOT_INGOT_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif
#if defined(__GNUC__)
#pragma GCC visibility push(default)
#endif

/* Compile the model in the file `model`. `options` are those of `ingot compile`, a string each
 * ("--emit=shared", "-O3"; a value may also be the next string); --output must be among them.
 *
 * Returns what the command would end with: 0 ok, 2 usage, 3 unsupported, 4 invalid model,
 * 5 input/output, 6 limit or memory, 7 target unavailable, 70 our bug. *messages (may be NULL) gets
 * errors, warnings and, with --verbose, notes, a line each: to be given to ingot_free; NULL when
 * there are none. */
int32_t ingot_compile(const char *model, int32_t n_options, const char *const *options,
                      char **messages);
/* The same for a model in memory, which is only read. `name` is for messages, and its folder is
 * where external data is looked for. */
int32_t ingot_compile_bytes(const void *bytes, size_t size, const char *name, int32_t n_options,
                            const char *const *options, char **messages);
void ingot_free(char *messages); /* NULL is fine */
/* "0.1.0" */
const char *ingot_compiler_version(void);

#if defined(__GNUC__)
#pragma GCC visibility pop
#endif
#ifdef __cplusplus
}
#endif

#endif
