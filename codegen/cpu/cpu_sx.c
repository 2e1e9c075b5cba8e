/* cpu_sx.c: the operations of sx.def on LLVM values, scalars and vectors alike.
 *
 * Nothing here may give poison: amounts of shifts are masked, divisors made safe, floats clamped
 * before they become integers; then a select puts in what sx.def says. No fast-math flag is ever
 * set, and nothing is contracted. f16 and bf16 are their bits (i16), f8 and f4 too (i8). */
#include "codegen/cpu/cpu_emit.h"

#include <math.h>
#include <string.h>

#define NEVER ((LLVMValueRef)0)

/* ---- Types and constants */

LLVMTypeRef cpu_type(const CpuModule *m, DType d)
{
    if (d == DT_F32) return m->f32;
    if (d == DT_F64) return m->f64;
    if (d == DT_BOOL) return m->i1;
    if (DT_BIT(d) & T_FLOAT_NARROW) return m->i8;
    return LLVMIntTypeInContext(m->cx, (unsigned)dtype_bits(d));
}

LLVMTypeRef cpu_mem_type(const CpuModule *m, DType d)
{
    return dtype_bits(d) < 8 || d == DT_BOOL ? m->i8 : cpu_type(m, d);
}

LLVMTypeRef cpu_lanes_type(LLVMTypeRef t, int lanes)
{
    return lanes > 1 ? LLVMVectorType(t, (unsigned)lanes) : t;
}

LLVMValueRef cpu_const(const CpuModule *m, DType d, uint64_t bits)
{
    float f;
    uint32_t b32 = (uint32_t)bits;
    LLVMTypeRef type = cpu_type(m, d);

    if (d == DT_F64) return LLVMConstBitCast(LLVMConstInt(m->i64, bits, 0), m->f64);
    if (d != DT_F32) return LLVMConstInt(type, bits, 0);
    memcpy(&f, &b32, sizeof f);
    return LLVMConstBitCast(LLVMConstInt(m->i32, b32, 0), m->f32);
}

LLVMValueRef cpu_splat_const(LLVMValueRef v, int lanes)
{
    LLVMValueRef all[64];

    if (lanes <= 1) return v;
    for (int i = 0; i < lanes; i++)
        all[i] = v;
    return LLVMConstVector(all, (unsigned)lanes);
}

LLVMValueRef cpu_splat(CpuFn *f, LLVMValueRef v, int lanes)
{
    LLVMTypeRef type = cpu_lanes_type(LLVMTypeOf(v), lanes);
    LLVMTypeRef zeros = cpu_lanes_type(f->m->i32, lanes);
    LLVMValueRef first;

    if (lanes <= 1) return v;
    if (LLVMIsConstant(v)) return cpu_splat_const(v, lanes);
    first = LLVMBuildInsertElement(f->b, LLVMGetPoison(type), v, cpu_i32(f->m, 0), "");
    return LLVMBuildShuffleVector(f->b, first, LLVMGetPoison(type), LLVMConstNull(zeros), "");
}

LLVMValueRef cpu_iota(CpuFn *f, LLVMTypeRef t, int lanes)
{
    LLVMValueRef all[64];

    (void)f;
    for (int i = 0; i < lanes; i++)
        all[i] = LLVMConstInt(t, (unsigned long long)i, 0);
    return lanes > 1 ? LLVMConstVector(all, (unsigned)lanes) : all[0];
}

/* The constant of `like`'s element type in the shape of `like`. */
static LLVMValueRef same(CpuFn *f, LLVMValueRef like, DType d, uint64_t bits)
{
    LLVMTypeRef t = LLVMTypeOf(like);
    int lanes = LLVMGetTypeKind(t) == LLVMVectorTypeKind ? (int)LLVMGetVectorSize(t) : 1;

    return cpu_splat_const(cpu_const(f->m, d, bits), lanes);
}

static LLVMValueRef same_double(CpuFn *f, LLVMValueRef like, DType d, double v)
{
    float narrow = (float)v;
    uint32_t b32;
    uint64_t b64;

    memcpy(&b32, &narrow, sizeof b32);
    memcpy(&b64, &v, sizeof b64);
    return same(f, like, d, d == DT_F32 ? b32 : b64);
}

/* The type of `like` with other elements. */
static LLVMTypeRef shaped(LLVMValueRef like, LLVMTypeRef element)
{
    LLVMTypeRef t = LLVMTypeOf(like);

    return LLVMGetTypeKind(t) == LLVMVectorTypeKind ? LLVMVectorType(element, LLVMGetVectorSize(t))
                                                    : element;
}

LLVMValueRef cpu_call1(CpuFn *f, const char *intrinsic, LLVMValueRef a)
{
    LLVMTypeRef t = LLVMTypeOf(a);

    return cpu_intrinsic(f->m, intrinsic, 1, &t, 1, &a);
}

LLVMValueRef cpu_call2(CpuFn *f, const char *intrinsic, LLVMValueRef a, LLVMValueRef b)
{
    LLVMTypeRef t = LLVMTypeOf(a);
    LLVMValueRef args[] = {a, b};

    return cpu_intrinsic(f->m, intrinsic, 1, &t, 2, args);
}

static LLVMValueRef call_flag(CpuFn *f, const char *intrinsic, LLVMValueRef a)
{
    LLVMTypeRef t = LLVMTypeOf(a);
    LLVMValueRef args[] = {a, LLVMConstInt(f->m->i1, 0, 0)};

    return cpu_intrinsic(f->m, intrinsic, 1, &t, 2, args);
}

static LLVMValueRef select_of(CpuFn *f, LLVMValueRef c, LLVMValueRef a, LLVMValueRef b)
{
    return LLVMBuildSelect(f->b, c, a, b, "");
}

static bool is_real(DType d)
{
    return d == DT_F32 || d == DT_F64;
}

/* ---- Comparisons, minimum, maximum */

LLVMValueRef cpu_compare(CpuFn *f, SxOp op, DType d, LLVMValueRef a, LLVMValueRef b)
{
    bool is_signed = dtype_is_signed(d) && d != DT_BOOL;
    LLVMRealPredicate real = op == SX_EQ   ? LLVMRealOEQ
                             : op == SX_NE ? LLVMRealUNE
                             : op == SX_LT ? LLVMRealOLT
                                           : LLVMRealOLE;
    LLVMIntPredicate integer = op == SX_EQ   ? LLVMIntEQ
                               : op == SX_NE ? LLVMIntNE
                               : op == SX_LT ? (is_signed ? LLVMIntSLT : LLVMIntULT)
                                             : (is_signed ? LLVMIntSLE : LLVMIntULE);

    return is_real(d) ? LLVMBuildFCmp(f->b, real, a, b, "")
                      : LLVMBuildICmp(f->b, integer, a, b, "");
}

static bool is_number(const Sx *e)
{
    double v;

    return e && e->op == SX_CONST && sx_is_const(e, &v) && !isnan(v);
}

/* maxps(b, a) by name: as a comparison and a selection LLVM would join it to the selection of NaN,
 * which makes four operations of three. NULL where the lanes fill no vector. */
static LLVMValueRef extreme_of_numbers(CpuFn *f, bool max, LLVMValueRef a, LLVMValueRef b)
{
    LLVMTypeRef t = LLVMTypeOf(a);
    bool vector = LLVMGetTypeKind(t) == LLVMVectorTypeKind && LLVMGetElementType(t) == f->m->f32;
    int bytes = vector ? 4 * (int)LLVMGetVectorSize(t) : 0;
    LLVMValueRef args[] = {b, a, cpu_i32(f->m, 4)}; /* exceptions as the control word says */

    if (bytes > f->m->isa->vector_bytes || bytes < 16) return NULL;
    if (bytes == 64)
        return cpu_intrinsic(f->m,
                             max ? "llvm.x86.avx512.max.ps.512" : "llvm.x86.avx512.min.ps.512", 0,
                             NULL, 3, args);
    if (bytes == 32)
        return cpu_intrinsic(f->m, max ? "llvm.x86.avx.max.ps.256" : "llvm.x86.avx.min.ps.256", 0,
                             NULL, 2, args);
    return cpu_intrinsic(f->m, max ? "llvm.x86.sse.max.ps" : "llvm.x86.sse.min.ps", 0, NULL, 2,
                         args);
}

/* MAX: (a < b || b != b) ? b : a. With b a number that is one maxps(b, a); with a a number, the
 * unordered comparison is the whole condition. */
static LLVMValueRef real_extreme(CpuFn *f, const Sx *like, bool max, LLVMValueRef a, LLVMValueRef b)
{
    LLVMRealPredicate ordered = max ? LLVMRealOLT : LLVMRealOGT;
    LLVMRealPredicate unordered = max ? LLVMRealULT : LLVMRealUGT;
    LLVMValueRef r;

    if (like && !is_number(like->arg[1]) && is_number(like->arg[0]))
        return select_of(f, LLVMBuildFCmp(f->b, unordered, a, b, ""), b, a);
    r = like && is_number(like->arg[1]) ? NULL : extreme_of_numbers(f, max, a, b);
    if (!r) r = select_of(f, LLVMBuildFCmp(f->b, ordered, a, b, ""), b, a);
    if (like && is_number(like->arg[1])) return r;
    return select_of(f, LLVMBuildFCmp(f->b, LLVMRealUNO, b, b, ""), b, r);
}

static LLVMValueRef extreme(CpuFn *f, const Sx *like, DType d, bool max, LLVMValueRef a,
                            LLVMValueRef b)
{
    bool is_signed = dtype_is_signed(d);

    if (is_real(d)) return real_extreme(f, like, max, a, b);
    if (d == DT_BOOL) return max ? LLVMBuildOr(f->b, a, b, "") : LLVMBuildAnd(f->b, a, b, "");
    return cpu_call2(
        f, is_signed ? (max ? "llvm.smax" : "llvm.smin") : (max ? "llvm.umax" : "llvm.umin"), a, b);
}

/* ---- Arithmetic */

LLVMValueRef cpu_fma(CpuFn *f, DType d, LLVMValueRef a, LLVMValueRef b, LLVMValueRef c)
{
    LLVMTypeRef t = LLVMTypeOf(a);
    LLVMValueRef args[] = {a, b, c};

    if (!is_real(d)) return LLVMBuildAdd(f->b, LLVMBuildMul(f->b, a, b, ""), c, "");
    if (f->m->isa->fma) return cpu_intrinsic(f->m, "llvm.fma", 1, &t, 3, args);
    return LLVMBuildFAdd(f->b, LLVMBuildFMul(f->b, a, b, ""), c, "");
}

static LLVMValueRef shift(CpuFn *f, const Sx *e, LLVMValueRef a, LLVMValueRef b)
{
    DType d = e->dtype;
    uint64_t bits = (uint64_t)dtype_bits(d);
    bool arithmetic = e->op == SX_SHR && dtype_is_signed(d);
    LLVMValueRef last = same(f, a, d, bits - 1), ok, by, r;

    if (arithmetic) return LLVMBuildAShr(f->b, a, cpu_call2(f, "llvm.umin", b, last), "");
    by = cpu_call2(f, "llvm.umin", b, last);
    r = e->op == SX_SHL ? LLVMBuildShl(f->b, a, by, "") : LLVMBuildLShr(f->b, a, by, "");
    ok = LLVMBuildICmp(f->b, LLVMIntULE, b, last, "");
    return select_of(f, ok, r, same(f, a, d, 0));
}

/* ---- Scale */

/* The first `lanes` lanes of v; those beyond its end are poison. */
static LLVMValueRef some_lanes(CpuFn *f, LLVMValueRef v, int lanes)
{
    LLVMValueRef pick[16];
    int own = (int)LLVMGetVectorSize(LLVMTypeOf(v));

    for (int i = 0; i < lanes; i++)
        pick[i] = i < own ? cpu_i32(f->m, i) : LLVMGetPoison(f->m->i32);
    return LLVMBuildShuffleVector(f->b, v, LLVMGetPoison(LLVMTypeOf(v)),
                                  LLVMConstVector(pick, (unsigned)lanes), "");
}

/* Of 4, 8 or 16 lanes. */
static LLVMValueRef scale_lanes(CpuFn *f, LLVMValueRef a, LLVMValueRef b, int lanes)
{
    const char *name = lanes == 16  ? "llvm.x86.avx512.mask.scalef.ps.512"
                       : lanes == 8 ? "llvm.x86.avx512.mask.scalef.ps.256"
                                    : "llvm.x86.avx512.mask.scalef.ps.128";
    LLVMTypeRef mask = lanes == 16 ? f->m->i16 : f->m->i8;
    LLVMValueRef args[] = {a, b, LLVMConstNull(LLVMTypeOf(a)), LLVMConstAllOnes(mask),
                           cpu_i32(f->m, 4)}; /* rounding as the control word says */

    return cpu_intrinsic(f->m, name, 0, NULL, lanes == 16 ? 5 : 4, args);
}

/* f32 has 16 lanes at most. */
static LLVMValueRef scale(CpuFn *f, LLVMValueRef a, LLVMValueRef b)
{
    LLVMTypeRef t = LLVMTypeOf(a), one = LLVMVectorType(f->m->f32, 1);
    bool scalar = LLVMGetTypeKind(t) != LLVMVectorTypeKind;
    int own = scalar ? 1 : (int)LLVMGetVectorSize(t), lanes = own > 8 ? 16 : own > 4 ? 8 : 4;

    if (own == lanes) return scale_lanes(f, a, b, lanes);
    if (scalar) {
        a = LLVMBuildBitCast(f->b, a, one, "");
        b = LLVMBuildBitCast(f->b, b, one, "");
    }
    a = scale_lanes(f, some_lanes(f, a, lanes), some_lanes(f, b, lanes), lanes);
    return scalar ? LLVMBuildExtractElement(f->b, a, cpu_i32(f->m, 0), "") : some_lanes(f, a, own);
}

/* ---- Conversions */

/* To integers of 8 and 16 bits: their limits are floats, so it is enough to stay within them. Where
 * the least is 0, a NaN becomes it. */
static LLVMValueRef real_to_narrow(CpuFn *f, DType from, DType to, LLVMValueRef a)
{
    bool is_signed = dtype_is_signed(to);
    int bits = dtype_bits(to);
    double top = ldexp(1, is_signed ? bits - 1 : bits) - 1, low = is_signed ? -top - 1 : 0;
    LLVMValueRef most = same_double(f, a, from, top), least = same_double(f, a, from, low), x = a;

    if (is_signed) {
        LLVMValueRef number = LLVMBuildFCmp(f->b, LLVMRealORD, a, a, "");
        x = select_of(f, number, a, same(f, a, from, 0));
    }
    x = select_of(f, LLVMBuildFCmp(f->b, LLVMRealOGT, x, least, ""), x, least);
    x = select_of(f, LLVMBuildFCmp(f->b, LLVMRealOLT, x, most, ""), x, most);
    x = LLVMBuildFPToSI(f->b, x, shaped(a, f->m->i32), "");
    return LLVMBuildTrunc(f->b, x, shaped(a, cpu_type(f->m, to)), "");
}

/* The conversion that rounds as RINT does; what does not fit, and NaN, becomes the least i32. */
static LLVMValueRef round_to_i32(CpuFn *f, LLVMValueRef a, int lanes)
{
    LLVMTypeRef t = cpu_lanes_type(f->m->i32, lanes);
    LLVMValueRef args[] = {a, LLVMConstNull(t), LLVMConstAllOnes(f->m->i16),
                           cpu_i32(f->m, 4)}; /* rounding as the control word says */

    if (lanes == 16)
        return cpu_intrinsic(f->m, "llvm.x86.avx512.mask.cvtps2dq.512", 0, NULL, 4, args);
    return cpu_intrinsic(f->m, lanes == 8 ? "llvm.x86.avx.cvt.ps2dq.256" : "llvm.x86.sse2.cvtps2dq",
                         0, NULL, 1, args);
}

/* Bounds that sx_expand has given a float on its way to a level: select(low < x, x, low), that
 * below high, and the quotient of such a one by a constant. */
static bool is_bounded(const Sx *e, double *low, double *high)
{
    const Sx *below = e->op == SX_SELECT ? e->arg[1] : NULL;
    double c;

    if (below)
        return e->arg[0]->op == SX_LT && e->arg[0]->arg[0] == below &&
               e->arg[0]->arg[1] == e->arg[2] && sx_is_const(e->arg[2], high) &&
               sx_is_held_above(below) && sx_is_const(below->arg[2], low);
    if (e->op != SX_FMA || e->arg[0]->op != SX_FMA || e->arg[2]->op != SX_MUL) return false;
    if (e->arg[2]->arg[0] != e->arg[0]->arg[2] || e->arg[2]->arg[1] != e->arg[1]) return false;
    if (!sx_is_const(e->arg[0]->arg[1], &c) || c <= 0) return false;
    if (e->arg[2]->arg[0]->op != SX_SELECT || !is_bounded(e->arg[2]->arg[0], low, high))
        return false;
    *low /= c;
    *high /= c;
    return true;
}

/* rint(a) + d, d whole, to an integer of 8 or 16 bits, as quantisation has it: the sum is one of
 * integers, which are as good as floats where nothing saturates. NULL: not of this form. `sum` is
 * the value of e's argument. */
static LLVMValueRef rounded_to_narrow(CpuFn *f, const Sx *e, LLVMValueRef sum)
{
    enum { FAR = 1 << 30 };
    const Sx *add = e->arg[0];
    LLVMTypeRef t = LLVMTypeOf(sum);
    bool vector = LLVMGetTypeKind(t) == LLVMVectorTypeKind, is_signed = dtype_is_signed(e->dtype);
    int lanes = vector ? (int)LLVMGetVectorSize(t) : 1, bits = dtype_bits(e->dtype);
    int64_t most = (INT64_C(1) << (is_signed ? bits - 1 : bits)) - 1,
            least = is_signed ? -most - 1 : 0;
    LLVMValueRef a, v, high;
    double d, low, top;

    if (add->op != SX_ADD || add->arg[0]->op != SX_RINT || add->dtype != DT_F32) return NULL;
    if ((lanes != 4 && lanes != 8 && lanes != 16) || 4 * lanes > f->m->isa->vector_bytes)
        return NULL;
    if (!sx_is_const(add->arg[1], &d) || !(d >= (double)least && d <= (double)most) ||
        d != floor(d))
        return NULL;
    if (!LLVMIsAInstruction(sum) || LLVMGetInstructionOpcode(sum) != LLVMFAdd) return NULL;
    a = LLVMGetOperand(sum, 0);
    if (!LLVMIsACallInst(a)) return NULL;
    a = LLVMGetOperand(a, 0);
    if (is_bounded(add->arg[0]->arg[0], &low, &top) && rint(low) + d >= (double)least &&
        rint(top) + d <= (double)most) {
        v = round_to_i32(f, a, lanes);
        if (d != 0) v = LLVMBuildAdd(f->b, v, same(f, v, DT_I32, (uint64_t)(int64_t)d), "");
        return LLVMBuildTrunc(f->b, v, shaped(v, cpu_type(f->m, e->dtype)), "");
    }
    high = same_double(f, a, DT_F32, FAR);
    v = select_of(f, LLVMBuildFCmp(f->b, LLVMRealOLT, high, a, ""), high, a);
    if (d < 0) { /* else the least i32 stays far below */
        high = same_double(f, a, DT_F32, -FAR);
        v = select_of(f, LLVMBuildFCmp(f->b, LLVMRealOGT, v, high, ""), v, high);
    }
    v = round_to_i32(f, v, lanes);
    if (d != 0) v = LLVMBuildAdd(f->b, v, same(f, v, DT_I32, (uint64_t)(int64_t)d), "");
    if (is_signed && !sx_is_held_above(add->arg[0]->arg[0]))
        v = select_of(f, LLVMBuildFCmp(f->b, LLVMRealORD, a, a, ""), v,
                      LLVMConstNull(LLVMTypeOf(v)));
    v = cpu_call2(f, "llvm.smax", v, same(f, v, DT_I32, (uint64_t)least));
    v = cpu_call2(f, is_signed ? "llvm.smin" : "llvm.umin", v, same(f, v, DT_I32, (uint64_t)most));
    return LLVMBuildTrunc(f->b, v, shaped(v, cpu_type(f->m, e->dtype)), "");
}

/* i32(rint(a)) of what fits. `whole` is the value of e's argument; NULL: not of this form. */
static LLVMValueRef rounded_to_i32(CpuFn *f, const Sx *e, LLVMValueRef whole)
{
    LLVMTypeRef t = LLVMTypeOf(whole);
    bool vector = LLVMGetTypeKind(t) == LLVMVectorTypeKind;
    int lanes = vector ? (int)LLVMGetVectorSize(t) : 1;
    double low, high;

    if (e->arg[0]->op != SX_RINT || e->arg[0]->dtype != DT_F32 || !LLVMIsACallInst(whole))
        return NULL;
    if ((lanes != 4 && lanes != 8 && lanes != 16) || 4 * lanes > f->m->isa->vector_bytes)
        return NULL;
    if (!is_bounded(e->arg[0]->arg[0], &low, &high) || low < -0x1p30 || high > 0x1p30) return NULL;
    return round_to_i32(f, LLVMGetOperand(whole, 0), lanes);
}

/* Whether e clamps a float that was made a narrow integer; below first. */
static bool clamps_narrowed(const Sx *e)
{
    const Sx *from = e->arg[0];

    if (e->op == SX_MIN && from->op == SX_MAX && from->arg[1]->op == SX_CONST) from = from->arg[0];
    return from->op == SX_CAST && from->arg[0]->dtype == DT_F32;
}

/* Max or min, with a constant, of what rounded_to_narrow has made, a: one of its limits, of which
 * the lower comes first, is that constant. NULL: a is not of this form. */
static LLVMValueRef moved_limit(CpuFn *f, const Sx *e, LLVMValueRef a)
{
    LLVMValueRef high, low, c;
    double limit;

    if (dtype_bits(e->dtype) > 16 || !clamps_narrowed(e) || !sx_is_const(e->arg[1], &limit))
        return NULL;
    if (!LLVMIsATruncInst(a)) return NULL;
    high = LLVMGetOperand(a, 0);
    low = LLVMIsACallInst(high) ? LLVMGetOperand(high, 0) : NULL;
    if (!low || !LLVMIsACallInst(low)) return NULL;
    c = same(f, low, DT_I32, (uint64_t)(int64_t)limit);
    if (e->op == SX_MAX) {
        low = cpu_call2(f, "llvm.smax", LLVMGetOperand(low, 0), c);
        c = LLVMGetOperand(high, 1);
    }
    high = cpu_call2(f, dtype_is_signed(e->dtype) ? "llvm.smin" : "llvm.umin", low, c);
    return LLVMBuildTrunc(f->b, high, LLVMTypeOf(a), "");
}

/* Toward zero, saturating, NaN 0. The limits are powers of two or, for narrow integers, exact. */
static LLVMValueRef real_to_int(CpuFn *f, DType from, DType to, LLVMValueRef a)
{
    bool is_signed = dtype_is_signed(to);
    int bits = dtype_bits(to);
    double top = ldexp(1, is_signed ? bits - 1 : bits), low = is_signed ? -top : 0;
    uint64_t most = is_signed ? (UINT64_C(1) << (bits - 1)) - 1
                              : (bits == 64 ? UINT64_MAX : (UINT64_C(1) << bits) - 1);
    LLVMValueRef high = same_double(f, a, from, top), least = same_double(f, a, from, low);
    LLVMTypeRef types[] = {cpu_type(f->m, to), LLVMTypeOf(a)};
    bool scalar = LLVMGetTypeKind(types[1]) != LLVMVectorTypeKind;

    if (is_signed && scalar) return cpu_intrinsic(f->m, "llvm.fptosi.sat", 2, types, 1, &a);
    LLVMValueRef under = LLVMBuildFCmp(f->b, LLVMRealOLT, a, high, "");
    LLVMValueRef over = LLVMBuildFCmp(f->b, LLVMRealOGE, a, high, "");
    LLVMValueRef x = select_of(f, under, a, same(f, a, from, 0)), r;

    x = select_of(f, LLVMBuildFCmp(f->b, LLVMRealOGT, x, least, ""), x, least);
    r = is_signed ? LLVMBuildFPToSI(f->b, x, shaped(a, cpu_type(f->m, to)), "")
                  : LLVMBuildFPToUI(f->b, x, shaped(a, cpu_type(f->m, to)), "");
    return select_of(f, over, same(f, a, to, most), r);
}

static LLVMValueRef half(CpuFn *f, LLVMValueRef a, bool to_f32)
{
    LLVMValueRef h;

    if (to_f32) {
        h = LLVMBuildBitCast(f->b, a, shaped(a, f->m->f16), "");
        h = LLVMBuildFPExt(f->b, h, shaped(a, f->m->f32), "");
        return cpu_call1(f, "llvm.arithmetic.fence", h);
    }
    h = LLVMBuildFPTrunc(f->b, a, shaped(a, f->m->f16), "");
    return LLVMBuildBitCast(f->b, h, shaped(a, f->m->i16), "");
}

static LLVMValueRef int_to_int(CpuFn *f, DType from, DType to, LLVMValueRef a)
{
    LLVMTypeRef t = shaped(a, cpu_type(f->m, to));
    int wide = dtype_bits(to), own = from == DT_BOOL ? 1 : dtype_bits(from);

    if (wide < own) return LLVMBuildTrunc(f->b, a, t, "");
    if (wide == own) return a;
    return from != DT_BOOL && dtype_is_signed(from) ? LLVMBuildSExt(f->b, a, t, "")
                                                    : LLVMBuildZExt(f->b, a, t, "");
}

enum { CODES = 16 };

/* f32(x & m), m below 16. */
static bool is_code(const Sx *e)
{
    const Sx *masked = e->op == SX_CAST && e->dtype == DT_F32 ? e->arg[0] : NULL;

    return masked && masked->op == SX_AND && dtype_bits(masked->dtype) == 32 &&
           masked->arg[1]->op == SX_CONST && masked->arg[1]->bits < CODES;
}

/* What a code of up to four bits stands for, less an offset: 16 of them are looked up in a register
 * at once, which leaves the ports of multiplications alone. `code` is i32. */
static LLVMValueRef looked_up(CpuFn *f, LLVMValueRef code, float offset)
{
    LLVMValueRef table[CODES];

    for (int i = 0; i < CODES; i++)
        table[i] = LLVMConstReal(f->m->f32, (float)i - offset);
    LLVMValueRef args[] = {LLVMConstVector(table, CODES), code};
    return cpu_intrinsic(f->m, "llvm.x86.avx512.permvar.sf.512", 0, NULL, 2, args);
}

static bool can_look_up(CpuFn *f, const Sx *e, LLVMValueRef v)
{
    return is_code(e) && f->m->isa->vector_bytes == 4 * CODES &&
           LLVMGetTypeKind(LLVMTypeOf(v)) == LLVMVectorTypeKind &&
           LLVMGetVectorSize(LLVMTypeOf(v)) == CODES;
}

/* A code less a constant; NULL: not of this form. `v` is the value of the code as a float. */
static LLVMValueRef code_less(CpuFn *f, const Sx *e, LLVMValueRef v)
{
    float offset;

    if (e->op != SX_SUB || e->arg[1]->op != SX_CONST || !can_look_up(f, e->arg[0], v)) return NULL;
    memcpy(&offset, &e->arg[1]->bits, sizeof offset);
    if (!LLVMIsACallInst(v) || fabsf(offset) > 1 << 20) return NULL;
    return looked_up(f, LLVMGetOperand(v, 1), offset);
}

static LLVMValueRef cast(CpuFn *f, const Sx *e, LLVMValueRef a)
{
    DType from = e->arg[0]->dtype, to = e->dtype;
    LLVMTypeRef t = shaped(a, cpu_type(f->m, to));
    bool int_from = dtype_is_int(from) || from == DT_BOOL;

    if (to == DT_BOOL) {
        if (is_real(from)) return LLVMBuildFCmp(f->b, LLVMRealUNE, a, same(f, a, from, 0), "");
        return LLVMBuildICmp(f->b, LLVMIntNE, a, same(f, a, from, 0), "");
    }
    if (from == DT_BOOL && is_real(to))
        return select_of(f, a, same_double(f, a, to, 1), same_double(f, a, to, 0));
    if (int_from && dtype_is_int(to)) return int_to_int(f, from, to, a);
    if (can_look_up(f, e, a)) return looked_up(f, a, 0);
    if (int_from && is_real(to))
        return dtype_is_signed(from) && from != DT_BOOL ? LLVMBuildSIToFP(f->b, a, t, "")
                                                        : LLVMBuildUIToFP(f->b, a, t, "");
    if (is_real(from) && dtype_is_int(to)) {
        LLVMValueRef r = dtype_bits(to) <= 16 ? rounded_to_narrow(f, e, a)
                         : to == DT_I32       ? rounded_to_i32(f, e, a)
                                              : NULL;
        if (r) return r;
        return dtype_bits(to) <= 16 ? real_to_narrow(f, from, to, a) : real_to_int(f, from, to, a);
    }
    if (from == DT_F32 && to == DT_F64) return LLVMBuildFPExt(f->b, a, t, "");
    if (from == DT_F64 && to == DT_F32) return LLVMBuildFPTrunc(f->b, a, t, "");
    if (int_from && to == DT_F16 && dtype_bits(from) <= 16) { /* exact in f32 */
        t = shaped(a, f->m->f32);
        a = dtype_is_signed(from) && from != DT_BOOL ? LLVMBuildSIToFP(f->b, a, t, "")
                                                     : LLVMBuildUIToFP(f->b, a, t, "");
        return half(f, a, false);
    }
    if (from == DT_F16 && to == DT_F32) return half(f, a, true);
    if (from == DT_F32 && to == DT_F16) return half(f, a, false);
    cpu_bug(f, "a conversion that sx_expand should have written out");
    return LLVMConstNull(t);
}

/* ---- Operation by operation */

static LLVMValueRef arithmetic(CpuFn *f, const Sx *e, LLVMValueRef *a)
{
    bool real = is_real(e->dtype);
    LLVMValueRef less, moved;

    switch ((int)e->op) {
    case SX_NEG:
        return real ? LLVMBuildFNeg(f->b, a[0], "") : LLVMBuildNeg(f->b, a[0], "");
    case SX_ABS:
        if (real) return cpu_call1(f, "llvm.fabs", a[0]);
        return dtype_is_signed(e->dtype) ? call_flag(f, "llvm.abs", a[0]) : a[0];
    case SX_ADD:
        return real ? LLVMBuildFAdd(f->b, a[0], a[1], "") : LLVMBuildAdd(f->b, a[0], a[1], "");
    case SX_SUB:
        less = real ? code_less(f, e, a[0]) : NULL;
        if (less) return less;
        return real ? LLVMBuildFSub(f->b, a[0], a[1], "") : LLVMBuildSub(f->b, a[0], a[1], "");
    case SX_MUL:
        return real ? LLVMBuildFMul(f->b, a[0], a[1], "") : LLVMBuildMul(f->b, a[0], a[1], "");
    case SX_DIV:
        return real ? LLVMBuildFDiv(f->b, a[0], a[1], "") : cpu_divide(f, e, a[0], a[1]);
    case SX_REM:
        return cpu_divide(f, e, a[0], a[1]);
    case SX_MIN:
    case SX_MAX:
        moved = real ? NULL : moved_limit(f, e, a[0]);
        return moved ? moved : extreme(f, e, e->dtype, e->op == SX_MAX, a[0], a[1]);
    case SX_FMA:
        return cpu_fma(f, e->dtype, a[0], a[1], a[2]);
    default:
        return NEVER;
    }
}

static LLVMValueRef rounding(CpuFn *f, const Sx *e, LLVMValueRef *a)
{
    switch ((int)e->op) {
    case SX_SQRT:
        return cpu_call1(f, "llvm.sqrt", a[0]);
    case SX_FLOOR:
        return cpu_call1(f, "llvm.floor", a[0]);
    case SX_CEIL:
        return cpu_call1(f, "llvm.ceil", a[0]);
    case SX_TRUNC:
        return cpu_call1(f, "llvm.trunc", a[0]);
    case SX_RINT:
        return cpu_call1(f, "llvm.nearbyint", a[0]);
    case SX_COPYSIGN:
        return cpu_call2(f, "llvm.copysign", a[0], a[1]);
    case SX_SCALE:
        return scale(f, a[0], a[1]);
    default:
        return NEVER;
    }
}

static LLVMValueRef bits(CpuFn *f, const Sx *e, LLVMValueRef *a)
{
    switch ((int)e->op) {
    case SX_AND:
        return LLVMBuildAnd(f->b, a[0], a[1], "");
    case SX_OR:
        return LLVMBuildOr(f->b, a[0], a[1], "");
    case SX_XOR:
        return LLVMBuildXor(f->b, a[0], a[1], "");
    case SX_NOT:
        return LLVMBuildNot(f->b, a[0], "");
    case SX_SHL:
    case SX_SHR:
        return shift(f, e, a[0], a[1]);
    case SX_CTLZ:
        return call_flag(f, "llvm.ctlz", a[0]);
    case SX_POPCNT:
        return cpu_call1(f, "llvm.ctpop", a[0]);
    default:
        return NEVER;
    }
}

LLVMValueRef cpu_apply(CpuFn *f, const Sx *e, LLVMValueRef *a)
{
    LLVMValueRef r;

    switch ((int)e->op) {
    case SX_EQ:
    case SX_NE:
    case SX_LT:
    case SX_LE:
        return cpu_compare(f, e->op, e->arg[0]->dtype, a[0], a[1]);
    case SX_SELECT:
        return select_of(f, a[0], a[1], a[2]);
    case SX_CAST:
        return cast(f, e, a[0]);
    case SX_BITCAST:
        return LLVMBuildBitCast(f->b, a[0], shaped(a[0], cpu_type(f->m, e->dtype)), "");
    default:
        r = arithmetic(f, e, a);
        if (!r) r = rounding(f, e, a);
        if (!r) r = bits(f, e, a);
        if (r) return r;
        cpu_bug(f, "an operation that sx_expand should have written out");
        return LLVMConstNull(LLVMTypeOf(a[0]));
    }
}

LLVMValueRef cpu_combine(CpuFn *f, Monoid m, DType d, LLVMValueRef acc, LLVMValueRef x)
{
    bool real = is_real(d);

    switch (m) {
    case MONOID_SUM:
    case MONOID_DOT:
        return real ? LLVMBuildFAdd(f->b, acc, x, "") : LLVMBuildAdd(f->b, acc, x, "");
    case MONOID_PROD:
        return real ? LLVMBuildFMul(f->b, acc, x, "") : LLVMBuildMul(f->b, acc, x, "");
    case MONOID_MIN:
    case MONOID_MAX:
        return extreme(f, NULL, d, m == MONOID_MAX, acc, x);
    case MONOID_MAX_NUMBER: /* one maxps(x, acc) */
        return select_of(f, LLVMBuildFCmp(f->b, LLVMRealOLT, acc, x, ""), x, acc);
    case MONOID_AND:
        return LLVMBuildAnd(f->b, acc, x, "");
    case MONOID_OR:
        return LLVMBuildOr(f->b, acc, x, "");
    case MONOID_ARGMIN_FIRST:
    case MONOID_ARGMIN_LAST:
    case MONOID_ARGMAX_FIRST:
    case MONOID_ARGMAX_LAST:
        break;
    }
    cpu_bug(f, "an extreme's position has no combination");
    return acc;
}
