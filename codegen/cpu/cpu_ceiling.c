/* cpu_ceiling.c: a loop of multiply-adds on registers alone.
 *
 *     round:  acc[i] = acc[i] * a + b    for each accumulator, UNROLL times
 *
 * Enough chains to cover the latency of two units (5 cycles x 2 at most), few enough to stay in
 * registers. The sum of all accumulators is the result, so that nothing is dropped. */
#include "codegen/cpu/cpu_ceiling.h"

#include "codegen/cpu/cpu_llvm.h"

enum { CHAINS = 12, UNROLL = 4 };

typedef struct Ceiling {
    CpuModule *m;
    LLVMTypeRef type; /* of an accumulator */
    int lanes;
    LLVMValueRef function, rounds, a, b;
} Ceiling;

static LLVMValueRef spread(const Ceiling *c, LLVMValueRef scalar)
{
    const CpuModule *m = c->m;
    LLVMValueRef one, mask;

    if (c->lanes == 1) return scalar;
    one = LLVMBuildInsertElement(m->b, LLVMGetUndef(c->type), scalar, cpu_i32(m, 0), "");
    mask = LLVMConstNull(LLVMVectorType(m->i32, (unsigned)c->lanes));
    return LLVMBuildShuffleVector(m->b, one, LLVMGetUndef(c->type), mask, "");
}

static LLVMValueRef multiply_add(const Ceiling *c, LLVMValueRef acc)
{
    LLVMTypeRef type = c->type;
    LLVMValueRef args[] = {acc, c->a, c->b};

    if (c->m->isa->fma) return cpu_intrinsic(c->m, "llvm.fma", 1, &type, 3, args);
    return LLVMBuildFAdd(c->m->b, LLVMBuildFMul(c->m->b, acc, c->a, ""), c->b, "");
}

static void emit_loop(Ceiling *c, LLVMValueRef *acc)
{
    CpuModule *m = c->m;
    LLVMBasicBlockRef entry = LLVMGetInsertBlock(m->b);
    LLVMBasicBlockRef loop = LLVMAppendBasicBlockInContext(m->cx, c->function, "");
    LLVMBasicBlockRef after = LLVMAppendBasicBlockInContext(m->cx, c->function, "");
    LLVMValueRef phi[CHAINS], count, next, start = cpu_i64(m, 0);

    LLVMBuildBr(m->b, loop);
    LLVMPositionBuilderAtEnd(m->b, loop);
    count = LLVMBuildPhi(m->b, m->i64, "");
    for (int i = 0; i < CHAINS; i++) {
        phi[i] = LLVMBuildPhi(m->b, c->type, "");
        LLVMAddIncoming(phi[i], &acc[i], &entry, 1);
        acc[i] = phi[i];
    }
    for (int u = 0; u < UNROLL; u++)
        for (int i = 0; i < CHAINS; i++)
            acc[i] = multiply_add(c, acc[i]);
    next = LLVMBuildAdd(m->b, count, cpu_i64(m, 1), "");
    LLVMAddIncoming(count, &start, &entry, 1);
    LLVMAddIncoming(count, &next, &loop, 1);
    for (int i = 0; i < CHAINS; i++)
        LLVMAddIncoming(phi[i], &acc[i], &loop, 1);
    LLVMBuildCondBr(m->b, LLVMBuildICmp(m->b, LLVMIntSLT, next, c->rounds, ""), loop, after);
    LLVMPositionBuilderAtEnd(m->b, after);
}

static void emit_body(Ceiling *c)
{
    CpuModule *m = c->m;
    LLVMValueRef acc[CHAINS], sum;

    c->rounds = LLVMGetParam(c->function, 0);
    c->a = spread(c, LLVMGetParam(c->function, 1));
    c->b = spread(c, LLVMGetParam(c->function, 2));
    for (int i = 0; i < CHAINS; i++)
        acc[i] = spread(c, LLVMConstReal(m->f32, 1.0 + i / 64.0));
    emit_loop(c, acc);
    sum = acc[0];
    for (int i = 1; i < CHAINS; i++)
        sum = LLVMBuildFAdd(m->b, sum, acc[i], "");
    if (c->lanes > 1) sum = LLVMBuildExtractElement(m->b, sum, cpu_i32(m, 0), "");
    LLVMBuildRet(m->b, sum);
}

static Status emit(Ceiling *c, const char *name)
{
    CpuModule *m = c->m;
    LLVMTypeRef args[] = {m->i64, m->f32, m->f32};

    c->lanes = m->isa->vector_bytes ? m->isa->vector_bytes / 4 : 1;
    c->type = c->lanes > 1 ? LLVMVectorType(m->f32, (unsigned)c->lanes) : m->f32;
    c->function = cpu_function(m, name, LLVMFunctionType(m->f32, args, 3, 0), true);
    LLVMSetVisibility(c->function, LLVMDefaultVisibility);
    LLVMPositionBuilderAtEnd(m->b, LLVMAppendBasicBlockInContext(m->cx, c->function, ""));
    emit_body(c);
    return OK;
}

Status cpu_ceiling_emit(const char *target, const char *name, Arena *arena, CodeObject *out,
                        double *flops, Diag *d)
{
    Ceiling c = {0};
    CpuIsas levels;
    Status s;

    TRY(cpu_isa_parse(target, &levels, d));
    TRY(cpu_module_open(arena, levels.isa[0], 2, d, &c.m));
    s = emit(&c, name);
    if (s == OK) s = cpu_module_emit(c.m, "ceiling.o", arena, out, NULL, NULL);
    cpu_module_close(c.m);
    *flops = 2.0 * CHAINS * UNROLL * c.lanes;
    return s;
}
