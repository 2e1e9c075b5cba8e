/* cpu_memory.c: operands and results in memory.
 *
 * By its address along the lanes a load is: contiguous (one vector load, masked where a guard
 * varies), uniform (a scalar, splat), or neither (gather). A guard that does not vary selects the
 * address: where it is false the load reads a block of zeros, so there is no branch. */
#include "codegen/cpu/cpu_emit.h"

static unsigned align_of(DType d)
{
    int bytes = dtype_bytes(d);

    return (unsigned)(bytes > 8 ? 8 : bytes);
}

LLVMValueRef cpu_from_mem(CpuFn *f, DType d, LLVMValueRef v)
{
    LLVMTypeRef t = LLVMTypeOf(v);
    int lanes = LLVMGetTypeKind(t) == LLVMVectorTypeKind ? (int)LLVMGetVectorSize(t) : 1;

    if (d == DT_BOOL) return LLVMBuildICmp(f->b, LLVMIntNE, v, LLVMConstNull(t), "");
    if (cpu_type(f->m, d) != cpu_mem_type(f->m, d))
        return LLVMBuildTrunc(f->b, v, cpu_lanes_type(cpu_type(f->m, d), lanes), "");
    return v;
}

LLVMValueRef cpu_to_mem(CpuFn *f, DType d, LLVMValueRef v)
{
    LLVMTypeRef t = LLVMTypeOf(v);
    int lanes = LLVMGetTypeKind(t) == LLVMVectorTypeKind ? (int)LLVMGetVectorSize(t) : 1;
    LLVMTypeRef to = cpu_lanes_type(cpu_mem_type(f->m, d), lanes);

    if (t == to) return v;
    return d != DT_BOOL && dtype_is_signed(d) ? LLVMBuildSExt(f->b, v, to, "")
                                              : LLVMBuildZExt(f->b, v, to, "");
}

LLVMValueRef cpu_element(CpuFn *f, DType d, LLVMValueRef base, LLVMValueRef offset)
{
    return LLVMBuildGEP2(f->b, cpu_mem_type(f->m, d), base, &offset, 1, "");
}

LLVMValueRef cpu_stack(CpuFn *f, LLVMTypeRef t, int n)
{
    LLVMValueRef p;

    LLVMPositionBuilderAtEnd(f->b, f->entry);
    p = LLVMBuildAlloca(f->b, LLVMArrayType2(t, (uint64_t)n), "");
    LLVMSetAlignment(p, 64);
    return p;
}

/* ---- Addresses */

typedef struct Piece {
    int depth;
    LLVMValueRef v; /* scalar; NULL: the vector loop's, see lane0 */
    Dim coef;
    const Sx *e;
} Piece;

static void add_piece(Piece *p, int *n, Piece x)
{
    int i = (*n)++;

    for (; i > 0 && p[i - 1].depth > x.depth; i--)
        p[i] = p[i - 1];
    p[i] = x;
}

static LLVMValueRef times(CpuFn *f, LLVMValueRef v, Dim coef, int depth)
{
    LLVMValueRef c;

    if (dim_is(coef, 1)) return v;
    c = cpu_dim(f, coef);
    cpu_at(f, depth);
    return LLVMBuildMul(f->b, v, c, "");
}

static LLVMValueRef plus(CpuFn *f, LLVMValueRef a, LLVMValueRef b, int depth)
{
    if (!a) return b;
    cpu_at(f, depth);
    return LLVMBuildAdd(f->b, a, b, "");
}

LLVMValueRef cpu_offset(CpuFn *f, const Affine *x, int u)
{
    int n = 0, n_loop = f->s->n_loop, along = f->across >= 0 ? f->across : f->vec;
    Piece *p = ARENA_ARRAY(f->arena, Piece, n_loop + x->n_term);
    LLVMValueRef sum = dim_is(x->base, 0) ? NULL : cpu_dim(f, x->base), part;

    for (int l = 0; l < n_loop; l++) {
        Dim c = x->coef[f->s->loop[l].last];
        if (c) add_piece(p, &n, (Piece){f->loop_level[l], f->loop_value[l], c, NULL});
    }
    for (int i = 0; i < x->n_term; i++) {
        const CpuVal *info = cpu_info(f, x->term[i].e);
        if (info->varies && f->lanes > 1) continue;
        add_piece(p, &n, (Piece){info->depth, NULL, x->term[i].coef, x->term[i].e});
    }
    for (int i = 0; i < n; i++) {
        part = p[i].v ? p[i].v : cpu_value(f, p[i].e, u);
        part = times(f, part, p[i].coef, p[i].depth);
        sum = plus(f, sum, part, p[i].depth);
    }
    if (u && along >= 0 && x->coef[f->s->loop[along].last]) {
        Dim c = x->coef[f->s->loop[along].last];
        part = times(f, cpu_i64(f->m, f->across >= 0 ? u : (int64_t)u * f->lanes), c, 0);
        sum = plus(f, sum, part, n ? p[n - 1].depth : 0);
    }
    return sum ? sum : cpu_i64(f->m, 0);
}

static bool terms_vary(CpuFn *f, const Affine *x)
{
    for (int i = 0; i < x->n_term; i++) {
        if (cpu_varies(f, x->term[i].e)) return true;
    }
    return false;
}

/* Element offsets of all lanes. */
static LLVMValueRef lane_offsets(CpuFn *f, const Affine *x, int u, int depth)
{
    LLVMValueRef base = cpu_offset(f, x, u), sum, part, c;
    Dim coef = f->vec >= 0 ? x->coef[f->s->loop[f->vec].last] : NULL;

    cpu_at(f, depth);
    sum = cpu_splat(f, base, f->lanes);
    if (coef) {
        part = cpu_iota(f, f->m->i64, f->lanes);
        if (!dim_is(coef, 1)) {
            c = cpu_dim(f, coef);
            cpu_at(f, depth);
            part = LLVMBuildMul(f->b, part, cpu_splat(f, c, f->lanes), "");
        }
        sum = LLVMBuildAdd(f->b, sum, part, "");
    }
    for (int i = 0; i < x->n_term; i++) {
        if (!cpu_varies(f, x->term[i].e)) continue;
        part = cpu_vector(f, x->term[i].e, u);
        c = cpu_dim(f, x->term[i].coef);
        cpu_at(f, depth);
        if (!dim_is(x->term[i].coef, 1))
            part = LLVMBuildMul(f->b, part, cpu_splat(f, c, f->lanes), "");
        sum = LLVMBuildAdd(f->b, sum, part, "");
    }
    return sum;
}

bool cpu_in_register(const CpuFn *f, const NestStage *s)
{
    return s->local == LOCAL_REGISTER && f->nest->rows == 1;
}

LLVMValueRef cpu_operand(CpuFn *f, int src)
{
    const Nest *n = f->nest;
    LLVMValueRef at;

    if (src >= 0) return cpu_ptr(f, src);
    const NestStage *s = &n->stage[~src];
    if (s->local == LOCAL_NONE) return cpu_ptr(f, n->abi.n_in + s->stage->out[0].result);
    at = cpu_dim(f, s->local_at);
    cpu_at(f, f->row ? f->row_level : 0);
    if (f->row) {
        LLVMValueRef step = LLVMBuildMul(f->b, f->row, cpu_i64(f->m, s->local_step), "");
        at = LLVMBuildAdd(f->b, step, at, "");
    }
    return LLVMBuildGEP2(f->b, f->m->i8, f->scratch, &at, 1, "");
}

/* A row of a local has room for whole vectors: lanes behind its end may be written and read, and
 * what they hold is used by nothing. Masked stores would not be forwarded to the loads. */
static bool has_room(const CpuFn *f, int stage)
{
    const NestStage *s = &f->nest->stage[stage];

    return s->local == LOCAL_SCRATCH && s->n_domain <= f->nest->n_outer + 1;
}

/* ---- Masks */

/* The low `limit` bits of a register of masks. */
static LLVMValueRef low_bits(CpuFn *f, LLVMValueRef limit, int lanes)
{
    LLVMTypeRef bits = LLVMIntTypeInContext(f->m->cx, (unsigned)lanes);
    LLVMValueRef v = LLVMBuildShl(f->b, cpu_i64(f->m, 1), limit, "");

    v = LLVMBuildTrunc(f->b, LLVMBuildSub(f->b, v, cpu_i64(f->m, 1), ""), bits, "");
    return LLVMBuildBitCast(f->b, v, cpu_lanes_type(f->m->i1, lanes), "");
}

/* What lies `limit` elements in front of the end of the ones of a table of ones and zeros. */
static LLVMValueRef table_mask(CpuFn *f, LLVMValueRef limit, int lanes)
{
    LLVMTypeRef type = cpu_lanes_type(f->m->i32, lanes);
    LLVMValueRef at = LLVMBuildSub(f->b, cpu_i64(f->m, CPU_MASK_LANES), limit, "");
    LLVMValueRef p = LLVMBuildGEP2(f->b, f->m->i32, cpu_mask_table(f->m), &at, 1, "");

    p = LLVMBuildLoad2(f->b, type, p, "");
    LLVMSetAlignment(p, 4);
    return LLVMBuildICmp(f->b, LLVMIntSLT, p, LLVMConstNull(type), "");
}

/* Where it can be done without a vector of lane numbers: such a constant stays in a register all
 * through the function, and tiles want them all. */
LLVMValueRef cpu_first_lanes(CpuFn *f, LLVMValueRef limit, int lanes)
{
    bool known = LLVMIsAConstantInt(limit);
    LLVMValueRef narrow;

    limit = cpu_call2(f, "llvm.smin", limit, cpu_i64(f->m, lanes));
    limit = cpu_call2(f, "llvm.smax", limit, cpu_i64(f->m, 0));
    if (f->m->isa->mask_any && lanes < 64) return low_bits(f, limit, lanes);
    if (!known && f->m->isa->mask32 && lanes == CPU_MASK_LANES) return table_mask(f, limit, lanes);
    narrow = LLVMBuildTrunc(f->b, limit, f->m->i32, "");
    return LLVMBuildICmp(f->b, LLVMIntSLT, cpu_iota(f, f->m->i32, lanes),
                         cpu_splat(f, narrow, lanes), "");
}

LLVMValueRef cpu_lane_limit(CpuFn *f, LLVMValueRef limit)
{
    return cpu_first_lanes(f, limit, f->lanes);
}

static LLVMValueRef both(CpuFn *f, LLVMValueRef a, LLVMValueRef b)
{
    return !a ? b : !b ? a : LLVMBuildAnd(f->b, a, b, "");
}

static bool narrow_access(DType d)
{
    return dtype_bytes(d) != 4 && dtype_bytes(d) != 8;
}

bool cpu_can_mask(const CpuFn *f)
{
    size_t i = 0;
    const void *key;
    void *x;

    if (f->m->isa->mask_any) return true;
    if (!f->m->isa->mask32) return false;
    while (map_next(&f->s->address, &i, &key, &x)) {
        const Sx *e = key;
        if (e->op == SX_LOAD && narrow_access(e->dtype)) return false;
    }
    for (int j = 0; j < f->s->stage->n_out; j++) {
        if (narrow_access(f->s->stage->out[j].dtype)) return false;
    }
    return true;
}

LLVMValueRef cpu_masked_load(CpuFn *f, DType d, LLVMValueRef p, LLVMValueRef mask)
{
    int lanes = (int)LLVMGetVectorSize(LLVMTypeOf(mask));
    LLVMTypeRef t = cpu_lanes_type(cpu_mem_type(f->m, d), lanes);
    LLVMTypeRef types[] = {t, f->m->ptr};
    LLVMValueRef args[] = {p, cpu_i32(f->m, (int)align_of(d)), mask, LLVMConstNull(t)};

    return cpu_intrinsic(f->m, "llvm.masked.load", 2, types, 4, args);
}

static LLVMValueRef plain_load(CpuFn *f, DType d, LLVMValueRef p, int lanes)
{
    LLVMValueRef v = LLVMBuildLoad2(f->b, cpu_lanes_type(cpu_mem_type(f->m, d), lanes), p, "");

    LLVMSetAlignment(v, align_of(d));
    return v;
}

/* Without masked gathers in hardware (none has them for narrow elements) the lanes that are off
 * read a zero, which needs no branches. */
static LLVMValueRef gather(CpuFn *f, DType d, LLVMValueRef base, LLVMValueRef offsets,
                           LLVMValueRef mask)
{
    LLVMTypeRef t = cpu_lanes_type(cpu_mem_type(f->m, d), f->lanes), types[2];
    LLVMValueRef p = LLVMBuildGEP2(f->b, cpu_mem_type(f->m, d), base, &offsets, 1, "");
    LLVMValueRef all = cpu_splat_const(LLVMConstInt(f->m->i1, 1, 0), f->lanes);

    types[0] = t;
    types[1] = LLVMTypeOf(p);
    if (mask && (!f->m->isa->mask_any || narrow_access(d))) {
        p = LLVMBuildSelect(f->b, mask, p, cpu_splat(f, cpu_zeros(f->m), f->lanes), "");
        mask = NULL;
    }
    LLVMValueRef args[] = {p, cpu_i32(f->m, (int)align_of(d)), mask ? mask : all, LLVMConstNull(t)};
    return cpu_intrinsic(f->m, "llvm.masked.gather", 2, types, 4, args);
}

/* ---- Loads */

static LLVMValueRef scalar_load(CpuFn *f, const Sx *e, const Affine *x, int u, LLVMValueRef guard,
                                int depth)
{
    LLVMValueRef base = cpu_operand(f, e->src), offset = cpu_offset(f, x, u), p;

    cpu_at(f, depth);
    p = cpu_element(f, e->dtype, base, offset);
    if (guard) p = LLVMBuildSelect(f->b, guard, p, cpu_zeros(f->m), "");
    return cpu_from_mem(f, e->dtype, plain_load(f, e->dtype, p, 1));
}

static LLVMValueRef contiguous_load(CpuFn *f, const Sx *e, const Affine *x, int u,
                                    LLVMValueRef guard, LLVMValueRef mask, int depth)
{
    LLVMValueRef base = cpu_operand(f, e->src), offset = cpu_offset(f, x, u), p, v;

    cpu_at(f, depth);
    p = cpu_element(f, e->dtype, base, offset);
    if (guard) p = LLVMBuildSelect(f->b, guard, p, cpu_zeros(f->m), "");
    v = mask ? cpu_masked_load(f, e->dtype, p, mask) : plain_load(f, e->dtype, p, f->lanes);
    return cpu_from_mem(f, e->dtype, v);
}

static LLVMValueRef gather_load(CpuFn *f, const Sx *e, const Affine *x, int u, LLVMValueRef guard,
                                LLVMValueRef mask, int depth)
{
    LLVMValueRef base = cpu_operand(f, e->src), offsets = lane_offsets(f, x, u, depth);

    cpu_at(f, depth);
    if (guard) mask = both(f, mask, cpu_splat(f, guard, f->lanes));
    return cpu_from_mem(f, e->dtype, gather(f, e->dtype, base, offsets, mask));
}

/* Every stride-th element, from contiguous loads and shuffles: gathers are many times slower.
 * Nothing behind the last element that is asked for is read, nor between them where there is a
 * mask. */
enum { STRIDE_MOST = 4 };

static int short_stride(const CpuFn *f, const Sx *e, Dim coef)
{
    if (!coef || !dim_is_const(coef) || coef->value < 2 || coef->value > STRIDE_MOST) return 0;
    if (!f->m->isa->mask32 || narrow_access(e->dtype)) return 0;
    return (int)coef->value;
}

/* An index of a loop that is written out is a number. */
static const Sx *index_known(void *context, const Sx *leaf)
{
    const CpuFn *f = context;
    int l = leaf->op == SX_INDEX ? nest_loop_of(f->s, leaf->index) : -1;

    if (l < 0 || f->s->loop[l].first != f->s->loop[l].last) return NULL;
    if (!f->loop_value[l] || !LLVMIsAConstantInt(f->loop_value[l])) return NULL;
    return sx_const_int(&f->nest->module->sx, DT_I64, LLVMConstIntGetSExtValue(f->loop_value[l]));
}

/* Loads that are next to each other, as the taps of a window, can share the elements that they read
 * from groups of `stride`. Which of its group a load asks for, where all of the group can be read
 * as well as that one: they are in the same line of the operand. Else -1. */
static int place_in_group(CpuFn *f, const Sx *e, int stride)
{
    SxTable *t = &f->nest->module->sx;
    const Stage *s = f->s->stage;
    int n = e->n - (e->guarded ? 1 : 0), place;
    Dim extent[NEST_INDICES], first[NEST_INDICES];
    int64_t lo, hi, at, end;
    const Type *type;
    const Sx *last;

    if (e->src < 0 || n == 0 || s->rank + s->n_reduce > NEST_INDICES) return -1;
    type = &f->nest->node->in[e->src]->type;
    if (type->rank != n || !dim_is_const(type->dim[n - 1])) return -1;
    for (int i = 0; i < s->rank + s->n_reduce; i++) {
        extent[i] = i < s->rank ? s->extent[i] : s->reduce[i - s->rank];
        first[i] = dim_const(&f->nest->module->dims, 1);
    }
    last = sx_rewrite(t, e->arg[n - 1], index_known, f);
    sx_range(t, last, s->rank + s->n_reduce, extent, &lo, &hi);
    sx_range(t, last, s->rank + s->n_reduce, first, &at, &end);
    place = at == end ? (int)(((at % stride) + stride) % stride) : 0;
    return lo >= place && hi < type->dim[n - 1]->value - (stride - 1 - place) ? place : -1;
}

/* Elements of groups of `stride`, of which the lanes want the one at `place`. `whole`: the others
 * are read too. */
typedef struct Strided {
    int stride, place;
    bool whole;
} Strided;

static bool asked_for(const CpuFn *f, const Strided *s, int element)
{
    if (s->whole) return true;
    return element % s->stride == 0 && element <= (f->lanes - 1) * s->stride;
}

/* The mask of piece q of the elements, from the mask of lanes (NULL: all). */
static LLVMValueRef piece_mask(CpuFn *f, LLVMValueRef mask, int q, const Strided *s)
{
    LLVMValueRef pick[64], on[64];
    bool all = true;

    for (int i = 0; i < f->lanes; i++) {
        int e = q * f->lanes + i;
        bool read = s->whole || e <= (f->lanes - 1) * s->stride;
        pick[i] = cpu_i32(f->m, asked_for(f, s, e) ? e / s->stride : f->lanes);
        on[i] = LLVMConstInt(f->m->i1, read, 0);
        all = all && read;
    }
    if (mask)
        return LLVMBuildShuffleVector(f->b, mask, LLVMConstNull(LLVMTypeOf(mask)),
                                      LLVMConstVector(pick, (unsigned)f->lanes), "");
    return all ? NULL : LLVMConstVector(on, (unsigned)f->lanes);
}

/* Lanes of `to` come from elements lane * stride + place: those of piece q are taken over. */
static LLVMValueRef take_piece(CpuFn *f, LLVMValueRef to, LLVMValueRef piece, int q,
                               const Strided *s)
{
    LLVMValueRef pick[64];

    for (int i = 0; i < f->lanes; i++) {
        int e = i * s->stride + s->place - q * f->lanes;
        pick[i] = cpu_i32(f->m, e >= 0 && e < f->lanes ? f->lanes + e : i);
    }
    return LLVMBuildShuffleVector(f->b, to, piece, LLVMConstVector(pick, (unsigned)f->lanes), "");
}

static LLVMValueRef strided_load(CpuFn *f, const Sx *e, const Affine *x, int u, LLVMValueRef guard,
                                 LLVMValueRef mask, int stride, int depth)
{
    LLVMValueRef base = cpu_operand(f, e->src), offset = cpu_offset(f, x, u), p, v, r = NULL, own;
    int place = place_in_group(f, e, stride);
    Strided s = {stride, place < 0 ? 0 : place, place >= 0};

    cpu_at(f, depth);
    if (s.place) offset = LLVMBuildSub(f->b, offset, cpu_i64(f->m, s.place), "");
    base = cpu_element(f, e->dtype, base, offset);
    if (guard) base = LLVMBuildSelect(f->b, guard, base, cpu_zeros(f->m), "");
    if (mask && LLVMIsConstant(mask) && mask == LLVMConstAllOnes(LLVMTypeOf(mask))) mask = NULL;
    for (int q = 0; q < stride; q++) {
        p = cpu_element(f, e->dtype, base, cpu_i64(f->m, (int64_t)q * f->lanes));
        own = piece_mask(f, mask, q, &s);
        v = own ? cpu_masked_load(f, e->dtype, p, own) : plain_load(f, e->dtype, p, f->lanes);
        r = take_piece(f, r ? r : v, v, q, &s);
    }
    return cpu_from_mem(f, e->dtype, r);
}

/* Loads at i / c or i % c, i the index of the lanes, which start at multiples of their number L:
 *
 *     i % c   L divides c: contiguous;     c divides L: the first c elements again and again
 *     i / c   L divides c: one element;    c divides L: L / c elements, each c times
 *
 * Resized and tiled tensors are read so. False: neither divides the other. */
static bool has_period(const CpuFn *f, const Sx *e, const Affine *x)
{
    NestPeriod p = nest_period(f->nest, f->s, f->s->loop[f->vec].last, e, x);

    return p.by && (p.by % f->lanes == 0 || f->lanes % p.by == 0);
}

static LLVMValueRef spread(CpuFn *f, LLVMValueRef v, const NestPeriod *period)
{
    LLVMValueRef pick[64];

    if (LLVMGetTypeKind(LLVMTypeOf(v)) != LLVMVectorTypeKind) return cpu_splat(f, v, f->lanes);
    for (int i = 0; i < f->lanes; i++)
        pick[i] = cpu_i32(f->m, (int)(period->rem ? i % period->by : i / period->by));
    return LLVMBuildShuffleVector(f->b, v, LLVMGetPoison(LLVMTypeOf(v)),
                                  LLVMConstVector(pick, (unsigned)f->lanes), "");
}

/* Every `by`-th lane of a mask, from `first` on. With masks in registers of their own, LLVM would
 * take a shuffle of them apart bit by bit. */
static LLVMValueRef every_lane(CpuFn *f, LLVMValueRef mask, int first, int by)
{
    CpuModule *m = f->m;
    LLVMValueRef pick[64];
    uint64_t bits = 0;
    int n = f->lanes / by, wide = n < 8 ? 8 : n;

    for (int i = 0; i < n; i++) {
        pick[i] = cpu_i32(m, m->isa->mask_any ? i : first + i * by);
        bits |= UINT64_C(1) << (first + i * by);
    }
    if (m->isa->mask_any) {
        mask = LLVMBuildBitCast(f->b, mask, LLVMIntTypeInContext(m->cx, (unsigned)f->lanes), "");
        LLVMValueRef args[] = {LLVMBuildZExt(f->b, mask, m->i64, ""),
                               LLVMConstInt(m->i64, bits, 0)};
        mask = cpu_intrinsic(m, "llvm.x86.bmi.pext.64", 0, NULL, 2, args);
        mask = LLVMBuildTrunc(f->b, mask, LLVMIntTypeInContext(m->cx, (unsigned)wide), "");
        mask = LLVMBuildBitCast(f->b, mask, LLVMVectorType(m->i1, (unsigned)wide), "");
        if (wide == n) return mask;
    }
    return LLVMBuildShuffleVector(f->b, mask, LLVMGetPoison(LLVMTypeOf(mask)),
                                  LLVMConstVector(pick, (unsigned)n), "");
}

static LLVMValueRef period_load(CpuFn *f, const Sx *e, const Affine *x, int u, LLVMValueRef mask,
                                int depth)
{
    NestPeriod period = nest_period(f->nest, f->s, f->s->loop[f->vec].last, e, x);
    LLVMValueRef base = cpu_operand(f, e->src), offset = cpu_offset(f, x, u), i, by, p, v;
    LLVMValueRef extent = cpu_dim(f, f->s->loop[f->vec].extent);
    bool whole = period.by % f->lanes == 0;
    int n =
        whole ? (period.rem ? f->lanes : 1) : (int)(period.rem ? period.by : f->lanes / period.by);

    cpu_at(f, depth);
    by = cpu_i64(f->m, period.by);
    i = cpu_i64(f->m, f->across >= 0 ? 0 : (int64_t)u * f->lanes);
    i = LLVMBuildAdd(f->b, f->loop_value[f->vec], i, "");
    if (n == 1 && mask) { /* where no lane is on, there may be no such element */
        extent = LLVMBuildSub(f->b, extent, cpu_i64(f->m, 1), "");
        i = cpu_call2(f, "llvm.smin", i, extent);
    }
    i = period.rem ? LLVMBuildURem(f->b, i, by, "") : LLVMBuildUDiv(f->b, i, by, "");
    p = cpu_element(f, e->dtype, base, LLVMBuildAdd(f->b, offset, i, ""));
    if (n == 1 || (period.rem && !whole)) mask = NULL; /* all of these are there */
    if (mask && n < f->lanes) mask = every_lane(f, mask, 0, (int)period.by);
    v = mask ? cpu_masked_load(f, e->dtype, p, mask) : plain_load(f, e->dtype, p, n);
    return cpu_from_mem(f, e->dtype, n == f->lanes ? v : spread(f, v, &period));
}

/* Rows that give an element in turn: lane l is element (shift + l) / by of row (shift + l) % by. L
 * a multiple of `by`, of each row as many contiguous ones. */
static bool has_lace(const CpuFn *f, const Sx *e, const Affine *x)
{
    NestLace lace = nest_lace(f->nest, f->s->loop[f->vec].last, e, x);

    return lace.by && lace.by < f->lanes && f->lanes % lace.by == 0;
}

/* What a row gives to lanes first, first + by, ... of `to`. */
static LLVMValueRef laced(CpuFn *f, LLVMValueRef to, LLVMValueRef row, int first, int by)
{
    LLVMValueRef pick[64], wide;

    for (int i = 0; i < f->lanes; i++)
        pick[i] = cpu_i32(f->m, i < f->lanes / by ? i : 0);
    wide = LLVMBuildShuffleVector(f->b, row, LLVMGetPoison(LLVMTypeOf(row)),
                                  LLVMConstVector(pick, (unsigned)f->lanes), "");
    for (int i = 0; i < f->lanes; i++)
        pick[i] = cpu_i32(f->m, i % by == first ? f->lanes + i / by : i);
    return LLVMBuildShuffleVector(f->b, to ? to : wide, wide,
                                  LLVMConstVector(pick, (unsigned)f->lanes), "");
}

static LLVMValueRef lace_load(CpuFn *f, const Sx *e, const Affine *x, int u, LLVMValueRef mask,
                              int depth)
{
    NestLace lace = nest_lace(f->nest, f->s->loop[f->vec].last, e, x);
    LLVMValueRef base = cpu_operand(f, e->src), at = cpu_offset(f, x, u), i, r = NULL, p, v;
    LLVMValueRef apart = cpu_dim(f, lace.apart);
    int by = (int)lace.by, turn = (int)(lace.shift % by);

    cpu_at(f, depth);
    i = cpu_i64(f->m, f->across >= 0 ? 0 : (int64_t)u * f->lanes);
    i = LLVMBuildAdd(f->b, f->loop_value[f->vec], i, "");
    i = LLVMBuildUDiv(f->b, i, cpu_i64(f->m, by), "");
    at = LLVMBuildAdd(f->b, LLVMBuildAdd(f->b, at, i, ""), cpu_i64(f->m, lace.shift / by), "");
    for (int k = 0; k < by; k++) {
        int first = (k - turn + by) % by;
        p = LLVMBuildMul(f->b, apart, cpu_i64(f->m, k), "");
        p = LLVMBuildAdd(f->b, p, cpu_i64(f->m, (turn + first) / by), "");
        p = cpu_element(f, e->dtype, base, LLVMBuildAdd(f->b, at, p, ""));
        v = mask ? cpu_masked_load(f, e->dtype, p, every_lane(f, mask, first, by))
                 : plain_load(f, e->dtype, p, f->lanes / by);
        r = laced(f, r, v, first, by);
    }
    return cpu_from_mem(f, e->dtype, r);
}

LLVMValueRef cpu_load(CpuFn *f, const Sx *e, int u)
{
    const Affine *x = map_get(&f->s->address, e);
    const CpuVal *info = cpu_info(f, e);
    const Sx *g = e->guarded ? e->arg[e->n - 1] : NULL;
    int depth = info->depth, along = f->vec >= 0 ? f->s->loop[f->vec].last : -1;
    LLVMValueRef guard = NULL, mask = NULL;

    if (e->src < 0 && cpu_in_register(f, &f->nest->stage[~e->src])) return f->local[~e->src];
    if (g && (f->lanes == 1 || !cpu_varies(f, g)))
        guard = cpu_value(f, g, u);
    else if (g)
        mask = cpu_vector(f, g, u);
    if (!info->varies || f->lanes == 1) return scalar_load(f, e, x, u, guard, depth);
    cpu_at(f, depth);
    if (!terms_vary(f, x) && affine_is_coef(x, along, 1) && e->src < 0 && has_room(f, ~e->src))
        return contiguous_load(f, e, x, u, guard, mask, depth);
    mask = both(f, mask, f->mask[u]);
    if (!terms_vary(f, x) && affine_is_coef(x, along, 1))
        return contiguous_load(f, e, x, u, guard, mask, depth);
    if (!terms_vary(f, x) && short_stride(f, e, x->coef[along]))
        return strided_load(f, e, x, u, guard, mask, short_stride(f, e, x->coef[along]), depth);
    if (has_lace(f, e, x)) return lace_load(f, e, x, u, mask, depth);
    if (has_period(f, e, x)) return period_load(f, e, x, u, mask, depth);
    return gather_load(f, e, x, u, guard, mask, depth);
}

/* ---- Stores */

LLVMValueRef cpu_result(CpuFn *f, int out)
{
    const StageOut *o = &f->s->stage->out[out];

    if (o->result >= 0) return cpu_ptr(f, f->nest->abi.n_in + o->result);
    return cpu_operand(f, ~(int)(f->s - f->nest->stage));
}

static void scatter_lanes(CpuFn *f, DType d, LLVMValueRef base, LLVMValueRef offsets,
                          LLVMValueRef v, LLVMValueRef mask)
{
    LLVMValueRef p = LLVMBuildGEP2(f->b, cpu_mem_type(f->m, d), base, &offsets, 1, "");
    LLVMTypeRef types[] = {LLVMTypeOf(v), LLVMTypeOf(p)};
    LLVMValueRef all = cpu_splat_const(LLVMConstInt(f->m->i1, 1, 0), f->lanes);
    LLVMValueRef args[] = {v, p, cpu_i32(f->m, (int)align_of(d)), mask ? mask : all};

    cpu_intrinsic(f->m, "llvm.masked.scatter", 2, types, 4, args);
}

void cpu_store_vector(CpuFn *f, DType d, LLVMValueRef v, LLVMValueRef p, LLVMValueRef mask)
{
    LLVMTypeRef types[] = {LLVMTypeOf(v), f->m->ptr};
    LLVMValueRef args[] = {v, p, cpu_i32(f->m, (int)align_of(d)), mask}, s;

    if (mask) {
        cpu_intrinsic(f->m, "llvm.masked.store", 2, types, 4, args);
        return;
    }
    s = LLVMBuildStore(f->b, v, p);
    LLVMSetAlignment(s, align_of(d));
}

void cpu_store_masked(CpuFn *f, int out, LLVMValueRef v, int u, LLVMValueRef mask)
{
    DType d = f->s->stage->out[out].dtype;
    const Affine *x = f->s->store[out];
    LLVMValueRef base = cpu_result(f, out), offset, p;
    bool gathers = f->lanes > 1 && !affine_is_coef(x, f->s->loop[f->vec].last, 1);

    offset = gathers ? lane_offsets(f, x, u, f->level) : cpu_offset(f, x, u);
    cpu_at(f, f->level);
    v = cpu_to_mem(f, d, v);
    if (gathers) {
        scatter_lanes(f, d, base, offset, v, mask);
        return;
    }
    p = cpu_element(f, d, base, offset);
    if (f->s->stage->out[out].result < 0 && has_room(f, (int)(f->s - f->nest->stage))) mask = NULL;
    cpu_store_vector(f, d, v, p, f->lanes > 1 ? mask : NULL);
}

void cpu_store(CpuFn *f, int out, LLVMValueRef v, int u)
{
    cpu_store_masked(f, out, v, u, f->mask[u]);
}

LLVMValueRef cpu_load_old(CpuFn *f, int out, int u, LLVMValueRef mask)
{
    DType d = f->s->stage->out[out].dtype;
    LLVMValueRef base = cpu_result(f, out), offset = cpu_offset(f, f->s->store[out], u), p, v;

    cpu_at(f, f->level);
    p = cpu_element(f, d, base, offset);
    v = f->lanes > 1 && mask ? cpu_masked_load(f, d, p, mask) : plain_load(f, d, p, f->lanes);
    return cpu_from_mem(f, d, v);
}
