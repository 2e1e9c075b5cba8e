/* cpu_divide.c: quotients and remainders of integers.
 *
 * Vectors have no integer division, so they divide in floats whose digits are more than those of
 * the operands: cut off, such a quotient is exact, for where it is no integer it is at least 1 / a
 * of itself away from one. Numbers of 32 and 64 bits are small, as a rule: then floats do, which
 * are twice as many to a vector and four times as fast as doubles. A branch takes care of others.
 */
#include "codegen/cpu/cpu_emit.h"

enum { SMALL_BITS = 23, WIDE_BITS = 51 }; /* for the digits of f32 and f64, and one to spare */

typedef struct Division {
    CpuFn *f;
    bool is_signed, rem;
    int lanes;
} Division;

static LLVMValueRef filled(const Division *x, LLVMTypeRef t, uint64_t v)
{
    return cpu_splat_const(LLVMConstInt(t, v, 0), x->lanes);
}

static LLVMValueRef remainder_of(const Division *x, LLVMValueRef a, LLVMValueRef b, LLVMValueRef q)
{
    return x->rem ? LLVMBuildSub(x->f->b, a, LLVMBuildMul(x->f->b, q, b, ""), "") : q;
}

/* The result in floats of type t, which have room for the operands. Unsigned ones that are small
 * may be taken as signed: that conversion is one instruction everywhere. */
static LLVMValueRef in_floats(const Division *x, LLVMTypeRef t, bool is_signed, LLVMValueRef a,
                              LLVMValueRef b)
{
    LLVMBuilderRef builder = x->f->b;
    LLVMTypeRef real = cpu_lanes_type(t, x->lanes), back = LLVMTypeOf(a);
    LLVMOpcode to = is_signed ? LLVMSIToFP : LLVMUIToFP;
    LLVMValueRef q = LLVMBuildFDiv(builder, LLVMBuildCast(builder, to, a, real, ""),
                                   LLVMBuildCast(builder, to, b, real, ""), "");

    q = LLVMBuildCast(builder, is_signed ? LLVMFPToSI : LLVMFPToUI, q, back, "");
    return remainder_of(x, a, b, q);
}

/* The same in f64 for i64 of at most WIDE_BITS: their bits, put into the digits of 1.5 * 2^52, are
 * that number and them. */
static LLVMValueRef in_doubles(const Division *x, LLVMValueRef a, LLVMValueRef b)
{
    CpuFn *f = x->f;
    LLVMTypeRef whole = LLVMTypeOf(a), real = cpu_lanes_type(f->m->f64, x->lanes);
    LLVMValueRef number = LLVMConstReal(f->m->f64, 0x1.8p52);
    LLVMValueRef above = cpu_splat_const(number, x->lanes), v[] = {a, b}, q;
    LLVMValueRef bits = LLVMConstBitCast(above, whole);

    for (int i = 0; i < 2; i++) {
        v[i] = LLVMBuildBitCast(f->b, LLVMBuildAdd(f->b, v[i], bits, ""), real, "");
        v[i] = LLVMBuildFSub(f->b, v[i], above, "");
    }
    q = cpu_call1(f, "llvm.trunc", LLVMBuildFDiv(f->b, v[0], v[1], ""));
    q = LLVMBuildBitCast(f->b, LLVMBuildFAdd(f->b, q, above, ""), whole, "");
    return remainder_of(x, a, b, LLVMBuildSub(f->b, q, bits, ""));
}

/* Lane after lane, as LLVM writes it. */
static LLVMValueRef in_integers(const Division *x, LLVMValueRef a, LLVMValueRef b)
{
    LLVMBuilderRef builder = x->f->b;

    if (x->rem)
        return x->is_signed ? LLVMBuildSRem(builder, a, b, "") : LLVMBuildURem(builder, a, b, "");
    return x->is_signed ? LLVMBuildSDiv(builder, a, b, "") : LLVMBuildUDiv(builder, a, b, "");
}

/* The lanes of which one operand has more than `bits` bits, and perhaps a sign. */
static LLVMValueRef exceed(const Division *x, LLVMTypeRef t, LLVMValueRef a, LLVMValueRef b,
                           int bits)
{
    LLVMBuilderRef builder = x->f->b;
    uint64_t half = UINT64_C(1) << bits;

    if (x->is_signed) { /* -half <= v < half */
        a = LLVMBuildAdd(builder, a, filled(x, t, half), "");
        b = LLVMBuildAdd(builder, b, filled(x, t, half), "");
    }
    return LLVMBuildICmp(builder, LLVMIntUGE, LLVMBuildOr(builder, a, b, ""),
                         filled(x, t, x->is_signed ? 2 * half : half), "");
}

static LLVMValueRef of_32(const Division *x, LLVMValueRef a, LLVMValueRef b)
{
    CpuModule *m = x->f->m;
    LLVMValueRef usual = in_floats(x, m->f32, true, a, b);
    CpuSeldom s = cpu_seldom_open(x->f, exceed(x, m->i32, a, b, SMALL_BITS));

    return cpu_seldom_close(x->f, &s, in_floats(x, m->f64, x->is_signed, a, b), usual);
}

static LLVMValueRef of_64(const Division *x, LLVMValueRef a, LLVMValueRef b)
{
    CpuFn *f = x->f;
    LLVMTypeRef small = cpu_lanes_type(f->m->i32, x->lanes);
    LLVMValueRef narrow[] = {LLVMBuildTrunc(f->b, a, small, ""),
                             LLVMBuildTrunc(f->b, b, small, "")};
    LLVMValueRef usual = in_floats(x, f->m->f32, true, narrow[0], narrow[1]), wide;
    CpuSeldom s, longer;

    usual = LLVMBuildCast(f->b, x->is_signed ? LLVMSExt : LLVMZExt, usual, LLVMTypeOf(a), "");
    s = cpu_seldom_open(f, exceed(x, f->m->i64, a, b, SMALL_BITS));
    wide = in_doubles(x, a, b);
    longer = cpu_seldom_open(f, exceed(x, f->m->i64, a, b, WIDE_BITS));
    wide = cpu_seldom_close(f, &longer, in_integers(x, a, b), wide);
    return cpu_seldom_close(f, &s, wide, usual);
}

static LLVMValueRef of_vectors(const Division *x, DType d, LLVMValueRef a, LLVMValueRef b)
{
    if (dtype_bits(d) < 32) return in_floats(x, x->f->m->f32, x->is_signed, a, b);
    return dtype_bits(d) == 32 ? of_32(x, a, b) : of_64(x, a, b);
}

/* By zero 0, the least by -1 the least; its remainder 0. */
LLVMValueRef cpu_divide(CpuFn *f, const Sx *e, LLVMValueRef a, LLVMValueRef b)
{
    DType d = e->dtype;
    LLVMTypeRef t = LLVMTypeOf(a), one = cpu_type(f->m, d);
    bool vector = LLVMGetTypeKind(t) == LLVMVectorTypeKind;
    Division x = {f, dtype_is_signed(d), e->op == SX_REM, vector ? (int)LLVMGetVectorSize(t) : 1};
    const Sx *k = e->arg[1];
    bool safe = k->op == SX_CONST && k->bits != 0 && !(x.is_signed && (int64_t)k->bits == -1);
    LLVMValueRef is_zero = NULL, is_minus = NULL, by = b, q;

    if (!safe) {
        is_zero = LLVMBuildICmp(f->b, LLVMIntEQ, b, filled(&x, one, 0), "");
        by = LLVMBuildSelect(f->b, is_zero, filled(&x, one, 1), by, "");
    }
    if (!safe && x.is_signed) {
        is_minus = LLVMBuildICmp(f->b, LLVMIntEQ, b, filled(&x, one, UINT64_MAX), "");
        by = LLVMBuildSelect(f->b, is_minus, filled(&x, one, 1), by, "");
    }
    q = vector && k->op != SX_CONST ? of_vectors(&x, d, a, by) : in_integers(&x, a, by);
    if (x.rem) return q;
    if (is_minus) q = LLVMBuildSelect(f->b, is_minus, LLVMBuildNeg(f->b, a, ""), q, "");
    return is_zero ? LLVMBuildSelect(f->b, is_zero, filled(&x, one, 0), q, "") : q;
}
