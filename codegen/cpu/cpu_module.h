/* cpu_module.h: one LLVM module: opened for an ISA level, filled by emitters, turned into an
 * object.
 *
 * A module owns its LLVM context, so that modules of different threads know nothing of each other.
 * What comes out depends on what was put in alone: no names of files, no time. */
#ifndef INGOT_CODEGEN_CPU_MODULE_H
#define INGOT_CODEGEN_CPU_MODULE_H

#include "codegen/codegen.h"
#include "codegen/cpu/cpu_isa.h"

typedef struct CpuModule CpuModule; /* cpu_llvm.h for emitters */

/* level: -O0 .. -O3. In `arena`, but cpu_module_close must be called. */
Status cpu_module_open(Arena *arena, const CpuIsa *isa, int level, Diag *d,
                       CpuModule **out) MUST_USE;
/* Verify, optimise, verify, emit. `name` of the object is copied into arena, as is the rest. When
 * asm_text / ir_text are not NULL, the assembler text / LLVM IR is appended to them. */
Status cpu_module_emit(CpuModule *m, const char *name, Arena *arena, CodeObject *out,
                       Text *asm_text, Text *ir_text) MUST_USE;
void cpu_module_close(CpuModule *m); /* NULL is fine */

#endif
