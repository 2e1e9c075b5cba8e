/* cpu_module.c: LLVM from the outside: contexts, target machines, passes, objects, errors.
 *
 * The passes are few: kernels arrive with explicit vectors, register tiles and hoisted addresses,
 * so that only local clean-up is left. The loop and SLP vectorisers and the unroller stay out: they
 * undo tiles. Every module is verified before and after the passes.
 *
 * A fatal error inside LLVM cannot be returned through its frames; the handler says it and ends the
 * process with the status of an internal error. Verification makes that a matter of bugs in LLVM.
 */
#include "codegen/cpu/cpu_llvm.h"

#include <llvm-c/Analysis.h>
#include <llvm-c/ErrorHandling.h>
#include <llvm-c/Target.h>
#include <llvm-c/Transforms/PassBuilder.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char triple[] = "x86_64-unknown-linux-gnu";

static const char *const pass_lists[] = {
    "", /* -O0 */
    "function(early-cse,simplifycfg)",
    ("function(early-cse,instcombine<no-verify-fixpoint>,simplifycfg,loop-mssa(loop-rotate,licm),"
     "early-cse<memssa>,instcombine<no-verify-fixpoint>,simplifycfg,dce)"),
};

static void fatal(const char *reason)
{
    fprintf(stderr, "ingot: internal error in LLVM: %s\n", reason);
    _exit(ERR_BUG);
}

static void start_llvm(void)
{
    LLVMInitializeX86TargetInfo();
    LLVMInitializeX86Target();
    LLVMInitializeX86TargetMC();
    LLVMInitializeX86AsmPrinter();
    LLVMInitializeX86AsmParser();
    LLVMInstallFatalErrorHandler(fatal);
}

static void on_diagnostic(LLVMDiagnosticInfoRef info, void *context)
{
    CpuModule *m = context;
    char *text;

    if (LLVMGetDiagInfoSeverity(info) != LLVMDSError) return;
    text = LLVMGetDiagInfoDescription(info);
    (void)diag(m->diag, ERR_BUG, (Where){.node = "LLVM"}, "%s", text);
    LLVMDisposeMessage(text);
}

static Status open_machine(CpuModule *m)
{
    LLVMTargetRef target;
    char *message = NULL;

    if (LLVMGetTargetFromTriple(triple, &target, &message)) {
        Status s = diag(m->diag, ERR_TARGET, (Where){0}, "LLVM: %s", message);
        LLVMDisposeMessage(message);
        return s;
    }
    m->machine =
        LLVMCreateTargetMachine(target, triple, m->isa->llvm_cpu, m->isa->llvm_features,
                                m->level > 0 ? LLVMCodeGenLevelDefault : LLVMCodeGenLevelNone,
                                LLVMRelocPIC, LLVMCodeModelDefault);
    if (!m->machine)
        return diag(m->diag, ERR_TARGET, (Where){0}, "LLVM has no machine for %s", m->isa->name);
    m->layout = LLVMCreateTargetDataLayout(m->machine);
    return OK;
}

static void name_types(CpuModule *m)
{
    m->void_type = LLVMVoidTypeInContext(m->cx);
    m->ptr = LLVMPointerTypeInContext(m->cx, 0);
    m->i1 = LLVMInt1TypeInContext(m->cx);
    m->i8 = LLVMInt8TypeInContext(m->cx);
    m->i16 = LLVMInt16TypeInContext(m->cx);
    m->i32 = LLVMInt32TypeInContext(m->cx);
    m->i64 = LLVMInt64TypeInContext(m->cx);
    m->i128 = LLVMInt128TypeInContext(m->cx);
    m->f16 = LLVMHalfTypeInContext(m->cx);
    m->f32 = LLVMFloatTypeInContext(m->cx);
    m->f64 = LLVMDoubleTypeInContext(m->cx);
}

Status cpu_module_open(Arena *arena, const CpuIsa *isa, int level, Diag *d, CpuModule **out)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    CpuModule *m = ARENA_NEW(arena, CpuModule);

    pthread_once(&once, start_llvm);
    m->arena = arena;
    m->isa = isa;
    m->level = level;
    m->diag = d;
    m->cx = LLVMContextCreate();
    LLVMContextSetDiagnosticHandler(m->cx, on_diagnostic, m);
    LLVMContextSetDiscardValueNames(m->cx, 1);
    m->module = LLVMModuleCreateWithNameInContext("ingot", m->cx);
    LLVMSetSourceFileName(m->module, "ingot", 5);
    LLVMSetTarget(m->module, triple);
    m->b = LLVMCreateBuilderInContext(m->cx);
    name_types(m);
    *out = m;
    Status s = open_machine(m);
    if (s != OK) {
        cpu_module_close(m);
        *out = NULL;
        return s;
    }
    LLVMSetModuleDataLayout(m->module, m->layout);
    return OK;
}

void cpu_module_close(CpuModule *m)
{
    if (!m || !m->cx) return;
    if (m->b) LLVMDisposeBuilder(m->b);
    if (m->module) LLVMDisposeModule(m->module);
    if (m->layout) LLVMDisposeTargetData(m->layout);
    if (m->machine) LLVMDisposeTargetMachine(m->machine);
    LLVMContextDispose(m->cx);
    m->cx = NULL;
}

static Status verify(CpuModule *m, const char *when)
{
    char *message = NULL;
    Status s = OK;

    if (LLVMVerifyModule(m->module, LLVMReturnStatusAction, &message))
        s = diag(m->diag, ERR_BUG, (Where){.node = "LLVM"}, "%s: %s", when, message);
    LLVMDisposeMessage(message);
    return s;
}

static Status run_passes(CpuModule *m)
{
    const char *list = pass_lists[m->level > 2 ? 2 : m->level < 0 ? 0 : m->level];
    LLVMPassBuilderOptionsRef o;
    LLVMErrorRef e;
    Status s = OK;

    if (!*list) return OK;
    o = LLVMCreatePassBuilderOptions();
    LLVMPassBuilderOptionsSetLoopUnrolling(o, 0);
    LLVMPassBuilderOptionsSetLoopVectorization(o, 0);
    LLVMPassBuilderOptionsSetSLPVectorization(o, 0);
    e = LLVMRunPasses(m->module, list, m->machine, o);
    LLVMDisposePassBuilderOptions(o);
    if (e) {
        char *text = LLVMGetErrorMessage(e);
        s = diag(m->diag, ERR_BUG, (Where){.node = "LLVM"}, "%s", text);
        LLVMDisposeErrorMessage(text);
    }
    return s;
}

static Status emit(CpuModule *m, LLVMCodeGenFileType kind, LLVMMemoryBufferRef *out)
{
    char *message = NULL;
    int before = m->diag ? m->diag->errors : 0;

    if (LLVMTargetMachineEmitToMemoryBuffer(m->machine, m->module, kind, &message, out)) {
        Status s = diag(m->diag, ERR_BUG, (Where){.node = "LLVM"}, "%s", message);
        LLVMDisposeMessage(message);
        return s;
    }
    if (m->diag && m->diag->errors > before) {
        LLVMDisposeMemoryBuffer(*out);
        return ERR_BUG;
    }
    return OK;
}

/* The assembler printer changes the module on its way, so it works on a copy. */
static Status emit_asm(CpuModule *m, Text *out)
{
    LLVMModuleRef own = m->module;
    LLVMMemoryBufferRef buffer;
    Status s;

    m->module = LLVMCloneModule(own);
    s = emit(m, LLVMAssemblyFile, &buffer);
    LLVMDisposeModule(m->module);
    m->module = own;
    if (s != OK) return s;
    text_put_n(out, LLVMGetBufferStart(buffer), LLVMGetBufferSize(buffer));
    LLVMDisposeMemoryBuffer(buffer);
    return OK;
}

Status cpu_module_emit(CpuModule *m, const char *name, Arena *arena, CodeObject *out,
                       Text *asm_text, Text *ir_text)
{
    LLVMMemoryBufferRef buffer;
    void *data;
    size_t size;

    TRY(verify(m, "before the passes"));
    TRY(run_passes(m));
    TRY(verify(m, "after the passes"));
    if (ir_text) {
        char *text = LLVMPrintModuleToString(m->module);
        text_put(ir_text, text);
        LLVMDisposeMessage(text);
    }
    if (asm_text) TRY(emit_asm(m, asm_text));
    TRY(emit(m, LLVMObjectFile, &buffer));
    size = LLVMGetBufferSize(buffer);
    data = arena_try(arena, size, 1);
    if (data) memcpy(data, LLVMGetBufferStart(buffer), size);
    LLVMDisposeMemoryBuffer(buffer);
    if (!data) return diag(m->diag, ERR_LIMIT, (Where){0}, "no memory for an object");
    *out = (CodeObject){.name = arena_strdup(arena, name), .data = data, .size = size};
    return OK;
}

static void add_attribute(CpuModule *m, LLVMValueRef f, const char *key, const char *value)
{
    LLVMAddAttributeAtIndex(f, (LLVMAttributeIndex)LLVMAttributeFunctionIndex,
                            LLVMCreateStringAttribute(m->cx, key, (unsigned)strlen(key), value,
                                                      (unsigned)strlen(value)));
}

LLVMValueRef cpu_function(CpuModule *m, const char *name, LLVMTypeRef type, bool exported)
{
    LLVMValueRef f = LLVMAddFunction(m->module, name, type);
    unsigned nounwind = LLVMGetEnumAttributeKindForName("nounwind", 8);

    LLVMAddAttributeAtIndex(f, (LLVMAttributeIndex)LLVMAttributeFunctionIndex,
                            LLVMCreateEnumAttribute(m->cx, nounwind, 0));
    if (m->isa->vector_bytes == 64) add_attribute(m, f, "prefer-vector-width", "512");
    if (!exported) LLVMSetLinkage(f, LLVMInternalLinkage);
    if (exported) LLVMSetVisibility(f, LLVMHiddenVisibility);
    return f;
}

LLVMValueRef cpu_intrinsic(CpuModule *m, const char *name, int n_types, LLVMTypeRef *types,
                           int n_args, LLVMValueRef *args)
{
    unsigned id = LLVMLookupIntrinsicID(name, strlen(name));
    LLVMValueRef f = LLVMGetIntrinsicDeclaration(m->module, id, types, (size_t)n_types);
    LLVMTypeRef type = LLVMIntrinsicGetType(m->cx, id, types, (size_t)n_types);

    return LLVMBuildCall2(m->b, type, f, args, (unsigned)n_args, "");
}

LLVMValueRef cpu_zeros(CpuModule *m)
{
    LLVMTypeRef type = LLVMArrayType2(m->i8, CPU_ZEROS);

    if (m->zeros) return m->zeros;
    m->zeros = LLVMAddGlobal(m->module, type, "zeros");
    LLVMSetInitializer(m->zeros, LLVMConstNull(type));
    LLVMSetGlobalConstant(m->zeros, 1);
    LLVMSetLinkage(m->zeros, LLVMPrivateLinkage);
    LLVMSetAlignment(m->zeros, 64);
    return m->zeros;
}

LLVMValueRef cpu_mask_table(CpuModule *m)
{
    LLVMTypeRef type = LLVMArrayType2(m->i32, 2 * CPU_MASK_LANES);
    LLVMValueRef v[2 * CPU_MASK_LANES];

    if (m->masks) return m->masks;
    for (int i = 0; i < 2 * CPU_MASK_LANES; i++)
        v[i] = LLVMConstInt(m->i32, i < CPU_MASK_LANES ? UINT32_MAX : 0, 0);
    m->masks = LLVMAddGlobal(m->module, type, "masks");
    LLVMSetInitializer(m->masks, LLVMConstArray2(m->i32, v, 2 * CPU_MASK_LANES));
    LLVMSetGlobalConstant(m->masks, 1);
    LLVMSetLinkage(m->masks, LLVMPrivateLinkage);
    LLVMSetAlignment(m->masks, 64);
    return m->masks;
}
