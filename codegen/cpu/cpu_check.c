/* cpu_check.c: CHECK: an index from data, wrapped from the end, or -1 and a data error.
 *
 * The error is noted out of line: ingot_rt_fail keeps the first one, the kernel goes on, and its
 * loads are guarded by the result. */
#include "codegen/cpu/cpu_emit.h"

static const char message[] = "index %lld out of range for an axis of %lld";

static LLVMValueRef field(CpuModule *m, LLVMValueRef args, LLVMTypeRef t, size_t offset)
{
    LLVMValueRef at = cpu_i64(m, (int64_t)offset);

    return LLVMBuildLoad2(m->b, t, LLVMBuildGEP2(m->b, m->i8, args, &at, 1, ""), "");
}

/* void note(args, index, extent) */
static LLVMValueRef note_function(CpuModule *m)
{
    LLVMTypeRef params[] = {m->ptr, m->i64, m->i64};
    LLVMTypeRef type = LLVMFunctionType(m->void_type, params, 3, 0);
    LLVMTypeRef fail_params[] = {m->ptr, m->i32, m->i32, m->ptr, m->i64, m->i64};
    LLVMTypeRef fail_type = LLVMFunctionType(m->i32, fail_params, 6, 0);
    LLVMBasicBlockRef back = LLVMGetInsertBlock(m->b), entry;
    LLVMValueRef args, text;

    if (m->check_fn) return m->check_fn;
    m->rt_fail = LLVMGetNamedFunction(m->module, "ingot_rt_fail");
    if (!m->rt_fail) m->rt_fail = LLVMAddFunction(m->module, "ingot_rt_fail", fail_type);
    m->check_fn = cpu_function(m, "note_index", type, false);
    LLVMAddAttributeAtIndex(
        m->check_fn, (LLVMAttributeIndex)LLVMAttributeFunctionIndex,
        LLVMCreateEnumAttribute(m->cx, LLVMGetEnumAttributeKindForName("noinline", 8), 0));
    entry = LLVMAppendBasicBlockInContext(m->cx, m->check_fn, "");
    LLVMPositionBuilderAtEnd(m->b, entry);
    args = LLVMGetParam(m->check_fn, 0);
    text = LLVMBuildGlobalStringPtr(m->b, message, "");
    LLVMValueRef call[] = {field(m, args, m->ptr, offsetof(ingot_kernel_args, call)),
                           cpu_i32(m, INGOT_ERR_DATA),
                           field(m, args, m->i32, offsetof(ingot_kernel_args, origin)),
                           text,
                           LLVMGetParam(m->check_fn, 1),
                           LLVMGetParam(m->check_fn, 2)};
    LLVMBuildCall2(m->b, fail_type, m->rt_fail, call, 6, "");
    LLVMBuildRetVoid(m->b);
    LLVMPositionBuilderAtEnd(m->b, back);
    return m->check_fn;
}

/* if (bad) note(args, index, extent), at the end of `level`. */
static void note(CpuFn *f, int level, LLVMValueRef bad, LLVMValueRef index, LLVMValueRef extent,
                 LLVMValueRef lanes)
{
    LLVMBasicBlockRef say = cpu_block(f), on = cpu_block(f);
    LLVMValueRef fn = note_function(f->m);

    cpu_at(f, level);
    LLVMBuildCondBr(f->b, bad, say, on);
    LLVMPositionBuilderAtEnd(f->b, say);
    if (lanes) { /* the first bad lane's */
        LLVMTypeRef t = LLVMIntTypeInContext(f->m->cx, (unsigned)f->lanes);
        LLVMValueRef set = LLVMBuildBitCast(f->b, lanes, t, ""), lane;
        LLVMValueRef args[] = {set, LLVMConstInt(f->m->i1, 0, 0)};
        lane = cpu_intrinsic(f->m, "llvm.cttz", 1, &t, 2, args);
        lane = LLVMBuildZExtOrBitCast(f->b, lane, f->lanes == 64 ? t : f->m->i64, "");
        index = LLVMBuildExtractElement(f->b, index, lane, "");
        extent = LLVMBuildExtractElement(f->b, extent, lane, "");
    }
    LLVMValueRef args[] = {f->args, index, extent};
    LLVMBuildCall2(f->b, LLVMGlobalGetValueType(fn), fn, args, 3, "");
    LLVMBuildBr(f->b, on);
    cpu_move(f, level, on);
}

LLVMValueRef cpu_check(CpuFn *f, const Sx *e, int u)
{
    const CpuVal *info = cpu_info(f, e);
    bool lanes = info->varies && f->lanes > 1;
    LLVMValueRef i = lanes ? cpu_vector(f, e->arg[0], u) : cpu_value(f, e->arg[0], u);
    LLVMValueRef n = lanes ? cpu_vector(f, e->arg[1], u) : cpu_value(f, e->arg[1], u);
    LLVMValueRef zero = LLVMConstNull(LLVMTypeOf(i)), minus, from_end, at, ok, bad;

    cpu_at(f, info->depth);
    minus = LLVMBuildICmp(f->b, LLVMIntSLT, i, zero, "");
    from_end = LLVMBuildAdd(f->b, i, n, "");
    at = LLVMBuildSelect(f->b, minus, from_end, i, "");
    ok = LLVMBuildICmp(f->b, LLVMIntULT, at, n, "");
    at = LLVMBuildSelect(f->b, ok, at, LLVMConstAllOnes(LLVMTypeOf(i)), "");
    bad = LLVMBuildNot(f->b, ok, "");
    if (!lanes) {
        note(f, info->depth, bad, i, n, NULL);
        return at;
    }
    if (f->mask[u]) bad = LLVMBuildAnd(f->b, bad, f->mask[u], "");
    note(f, info->depth, cpu_call1(f, "llvm.vector.reduce.or", bad), i, n, bad);
    return at;
}
