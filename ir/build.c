/* build.c: the builder: constants, operators, kernels. */
#include "ir/build.h"

#include <string.h>

#include "ir/op.h"

Build build_at(Region *r, Node *before, const Origin *origin, Diag *d)
{
    Module *m = r->module;

    return (Build){.module = m,
                   .sx = &m->sx,
                   .dims = &m->dims,
                   .region = r,
                   .before = before,
                   .origin = origin,
                   .diag = d};
}

Status build_fail(Build *b, Status s)
{
    if (b->status == OK) b->status = s;
    return b->status;
}

/* ---- Constants ---- */

Value *build_tensor(Build *b, const Tensor *t)
{
    if (b->status != OK) return NULL;
    if (!t) {
        build_fail(b, diag(b->diag, ERR_LIMIT, (Where){0}, "no memory for a constant"));
        return NULL;
    }
    return module_constant(b->module, t, NULL);
}

Value *build_scalar(Build *b, DType t, double v)
{
    return build_tensor(b, tensor_scalar_double(b->module->arena, t, v));
}

Value *build_i64(Build *b, int n, const int64_t *v)
{
    return build_tensor(b, tensor_i64s(b->module->arena, n, v));
}

Value *build_dims(Build *b, int n, const Dim *d)
{
    bool scalar = n < 0, constant = true;
    int count = scalar ? 1 : n;
    int64_t size = count, zero = 0;
    Value *v;

    if (b->status != OK) return NULL;
    for (int i = 0; i < count; i++)
        constant &= dim_is_const(d[i]);
    if (constant) {
        Tensor *t = tensor_new(b->module->arena, DT_I64, scalar ? 0 : 1, scalar ? &zero : &size);
        for (int i = 0; t && i < count; i++)
            tensor_set_int(t, i, d[i]->value);
        return build_tensor(b, t);
    }
    /* out[i] = i == 0 ? d[0] : i == 1 ? d[1] : ... */
    const Sx *e = sx_dim(b->sx, d[count - 1]);
    for (int i = count - 2; i >= 0; i--)
        e = sx_select(b->sx, sx_eq(b->sx, sx_index(b->sx, 0), sx_i64(b, i)), sx_dim(b->sx, d[i]),
                      e);
    Dim extent = dim_const(b->dims, count);
    v = build_map(b, "dims", 0, NULL, DT_I64, scalar ? 0 : 1, &extent, e);
    if (v) {
        Dim *copy = ARENA_ARRAY(b->module->arena, Dim, count);
        memcpy(copy, d, sizeof *d * (size_t)count);
        v->contents = copy;
    }
    return v;
}

/* ---- Operators ---- */

Attr attr_of_int(const char *name, int64_t v)
{
    return (Attr){.name = name, .kind = ATTR_INT, .i = v};
}

Attr attr_of_float(const char *name, double v)
{
    return (Attr){.name = name, .kind = ATTR_FLOAT, .f = v};
}

Attr attr_of_ints(const char *name, int n, const int64_t *v)
{
    return (Attr){.name = name, .kind = ATTR_INTS, .n = n, .ints = v};
}

Attr attr_of_string(const char *name, const char *s)
{
    return (Attr){.name = name, .kind = ATTR_STRING, .s = {s, (int64_t)strlen(s)}};
}

static void copy_attrs(Module *m, Node *n, int n_attr, const Attr *attr)
{
    Attr *copy = ARENA_ARRAY(m->arena, Attr, n_attr);

    for (int i = 0; i < n_attr; i++) {
        copy[i] = attr[i];
        if (attr[i].kind == ATTR_INTS)
            copy[i].ints = arena_copy(m->arena, attr[i].ints, sizeof(int64_t) * (size_t)attr[i].n);
    }
    n->attr = copy;
    n->n_attr = n_attr;
}

Node *build_op_node(Build *b, const char *domain, const char *name, int n_in, Value *const *in,
                    int n_out, int n_attr, const Attr *attr)
{
    const OpDef *op;
    Node *n;

    if (b->status != OK) return NULL;
    op = op_find(domain, name);
    if (!op) {
        build_fail(b, diag(b->diag, ERR_BUG, (Where){.node = name}, "no such operator"));
        return NULL;
    }
    n = node_new(b->region, b->before, NODE_OP, n_in, in, n_out, b->origin);
    n->op = op;
    copy_attrs(b->module, n, n_attr, attr);
    Build before = build_at(b->region, n, b->origin, b->diag);
    Infer cx = {.module = b->module, .build = &before, .diag = b->diag};
    if (build_fail(b, op_infer(&cx, n)) != OK) return NULL;
    return n;
}

Value *build_op(Build *b, const char *name, int n_in, Value *const *in, int n_attr,
                const Attr *attr)
{
    Node *n = build_op_node(b, NULL, name, n_in, in, 1, n_attr, attr);
    return n ? n->out[0] : NULL;
}

Value *build_op1(Build *b, const char *name, Value *x)
{
    return build_op(b, name, 1, &x, 0, NULL);
}

Value *build_op2(Build *b, const char *name, Value *x, Value *y)
{
    return build_op(b, name, 2, (Value *[]){x, y}, 0, NULL);
}

/* ---- Kernels ---- */

static const Sx **copy_exprs(Arena *a, int n, const Sx *const *e)
{
    return n ? arena_copy(a, e, sizeof *e * (size_t)n) : NULL;
}

static Stage stage_copy(Arena *a, const Stage *s)
{
    Stage c = *s;

    c.extent = arena_copy(a, s->extent, sizeof(Dim) * (size_t)s->rank);
    c.reduce = arena_copy(a, s->reduce, sizeof(Dim) * (size_t)s->n_reduce);
    c.acc = arena_copy(a, s->acc, sizeof(Acc) * (size_t)s->n_acc);
    c.out = arena_copy(a, s->out, sizeof(StageOut) * (size_t)s->n_out);
    for (int i = 0; i < c.n_out; i++)
        c.out[i].dst = copy_exprs(a, c.out[i].n_dst, s->out[i].dst);
    return c;
}

static bool operands_ok(Build *b, int n_in, Value *const *in)
{
    if (b->status != OK) return false;
    for (int i = 0; i < n_in; i++)
        if (!in[i]) {
            build_fail(b,
                       diag(b->diag, ERR_BUG, (Where){0}, "a kernel's operand %d is missing", i));
            return false;
        }
    return true;
}

static bool stages_ok(Build *b, const char *label, int n_stage, const Stage *stage)
{
    for (int k = 0; k < n_stage; k++)
        for (int i = 0; i < stage[k].n_out; i++)
            if (!stage[k].out[i].value) {
                build_fail(
                    b, diag(b->diag, ERR_BUG, (Where){.node = label}, "a kernel without value"));
                return false;
            }
    return true;
}

/* ---- loads within their operands ---- */

typedef struct LoadCheck {
    Build *b;
    Value *const *in;
    const Stage *stage;
    int index; /* of the stage, looked for in a guard */
    bool found;
} LoadCheck;

static void find_index(void *context, const Sx *e)
{
    LoadCheck *c = context;

    c->found |= e->op == SX_INDEX && e->index == c->index;
}

/* Does the guard of a load speak of this index? */
static bool guards_index(LoadCheck *c, const Sx *load, int index)
{
    if (!load->guarded) return false;
    c->index = index;
    c->found = false;
    sx_visit(c->b->sx, load->arg[load->n - 1], find_index, c);
    return c->found;
}

/* What broadcasts: at run time `size` must be 1 or `extent`. */
static void require_one_or(Build *b, Dim extent, Dim size)
{
    const Sx *have = sx_dim(b->sx, size), *bad;

    if (extent == size) return;
    bad =
        sx_and(b->sx, sx_ne(b->sx, have, sx_i64(b, 1)), sx_ne(b->sx, have, sx_dim(b->sx, extent)));
    build_bind(b, build_map(b, "broadcast", 0, NULL, DT_I64, 0, NULL, sx_cast(b->sx, bad, DT_I64)),
               0, "zero", 0, 0);
}

/* select(size == 1, 0, index): that index, or NULL. */
static const Sx *broadcast_index(const Sx *e, Dim size)
{
    const Sx *c = e->op == SX_SELECT ? e->arg[0] : NULL;

    if (!c || c->op != SX_EQ || c->arg[0]->op != SX_DIM || c->arg[0]->dim != size) return NULL;
    return e->arg[2]->op == SX_INDEX ? e->arg[2] : NULL;
}

/* At run time `extent` points of an index must lie within `size`: else a data error. */
static void require_within(Build *b, Dim extent, Dim size)
{
    Dim excess;

    if (dim_le(b->dims, extent, size) || dim_lt(b->dims, size, extent)) return;
    excess = dim_max(b->dims, dim_sub(b->dims, extent, size), dim_const(b->dims, 0));
    build_bind(b, build_dims(b, 1, &excess), 0, "zero", 0, 0);
}

/* Where an index of the stage itself is that of the load, its extent must fit the operand. What is
 * computed or guarded is in order where it comes from. */
static void check_load(void *context, const Sx *e)
{
    LoadCheck *c = context;
    const Stage *s = c->stage;
    const Type *t;

    if (e->op != SX_LOAD || e->flat || e->src < 0) return;
    t = &c->in[e->src]->type;
    if (t->kind == TYPE_TENSOR && e->n - e->guarded != t->rank) {
        build_fail(c->b, diag(c->b->diag, ERR_MODEL,
                              (Where){.node = c->b->origin ? c->b->origin->node : NULL},
                              "an operand has rank %d, expected %d", t->rank, e->n - e->guarded));
        return;
    }
    for (int i = 0; i < e->n && i < t->rank && t->kind == TYPE_TENSOR; i++) {
        const Sx *cast = broadcast_index(e->arg[i], t->dim[i]), *at = cast ? cast : e->arg[i];
        if (at->op != SX_INDEX || at->index >= s->rank + s->n_reduce) continue;
        if (guards_index(c, e, at->index)) continue;
        Dim extent = at->index < s->rank ? s->extent[at->index] : s->reduce[at->index - s->rank];
        if (cast)
            require_one_or(c->b, extent, t->dim[i]);
        else
            require_within(c->b, extent, t->dim[i]);
    }
}

static void check_loads(Build *b, Value *const *in, const Stage *s)
{
    LoadCheck c = {b, in, s};

    for (int i = 0; i < s->n_acc; i++) {
        sx_visit(b->sx, s->acc[i].body, check_load, &c);
        if (s->acc[i].body2) sx_visit(b->sx, s->acc[i].body2, check_load, &c);
    }
    for (int i = 0; i < s->n_out; i++)
        sx_visit(b->sx, s->out[i].value, check_load, &c);
}

Node *build_rows(Build *b, const char *label, int n_in, Value *const *in, int n_outer, int n_stage,
                 const Stage *stage, int n_result, const Type *types)
{
    Arena *a = b->module->arena;
    Node *n;
    Kernel *k;

    if (!operands_ok(b, n_in, in) || !stages_ok(b, label, n_stage, stage)) return NULL;
    for (int i = 0; i < n_stage; i++)
        check_loads(b, in, &stage[i]);
    if (b->status != OK) return NULL;
    n = node_new(b->region, b->before, NODE_KERNEL, n_in, in, n_result, b->origin);
    k = ARENA_NEW(a, Kernel);
    k->label = intern(&b->module->names, label);
    k->n_outer = n_outer;
    k->n_stage = n_stage;
    k->stage = ARENA_ARRAY(a, Stage, n_stage);
    for (int i = 0; i < n_stage; i++)
        k->stage[i] = stage_copy(a, &stage[i]);
    n->kernel = k;
    for (int i = 0; i < n_result; i++) {
        n->out[i]->type = types[i];
        n->out[i]->type.dim = arena_copy(a, types[i].dim, sizeof(Dim) * (size_t)types[i].rank);
    }
    return n;
}

Node *build_stage(Build *b, const char *label, int n_in, Value *const *in, const Stage *stage,
                  int n_result, const Type *types)
{
    Type own[8] = {0};

    if (!types) {
        for (int i = 0; i < stage->n_out; i++)
            own[stage->out[i].result] =
                type_tensor(stage->out[i].dtype, stage->rank, stage->extent);
        types = own;
    }
    return build_rows(b, label, n_in, in, 0, 1, stage, n_result, types);
}

Value *build_map(Build *b, const char *label, int n_in, Value *const *in, DType out, int rank,
                 const Dim *dims, const Sx *value)
{
    StageOut o = {.dtype = out, .value = value};
    Stage s = {
        .rank = rank, .extent = (Dim *)(uintptr_t)dims, .scan_axis = -1, .n_out = 1, .out = &o};
    Node *n = build_stage(b, label, n_in, in, &s, 1, NULL);

    return n ? n->out[0] : NULL;
}

Value *build_reduce(Build *b, const char *label, int n_in, Value *const *in, int rank,
                    const Dim *dims, int n_reduce, const Dim *reduce, SumOrder order, Acc acc,
                    DType out, const Sx *value)
{
    StageOut o = {.dtype = out, .value = value};
    Stage s = {.rank = rank,
               .extent = (Dim *)(uintptr_t)dims,
               .n_reduce = n_reduce,
               .reduce = (Dim *)(uintptr_t)reduce,
               .order = order,
               .n_acc = 1,
               .acc = &acc,
               .scan_axis = -1,
               .n_out = 1,
               .out = &o};
    Node *n;

    if (b->status != OK) return NULL;
    if (!value) o.value = sx_cast(b->sx, sx_acc(b->sx, 0, acc.dtype), out);
    n = build_stage(b, label, n_in, in, &s, 1, NULL);
    return n ? n->out[0] : NULL;
}

Value *build_reshape(Build *b, Value *v, int rank, const Dim *dims)
{
    Node *n;
    bool same;

    if (!operands_ok(b, 1, &v)) return NULL;
    same = v->type.rank == rank;
    for (int i = 0; same && i < rank; i++)
        same = v->type.dim[i] == dims[i];
    if (same) return v;
    n = node_new(b->region, b->before, NODE_RESHAPE, 1, &v, 1, b->origin);
    n->out[0]->type = type_tensor(v->type.dtype, rank,
                                  arena_copy(b->module->arena, dims, sizeof(Dim) * (size_t)rank));
    return n->out[0];
}

Value *build_concat(Build *b, int n_in, Value *const *in, int axis)
{
    Node *n;
    Dim *dims, sum = dim_const(b->dims, 0);

    if (!operands_ok(b, n_in, in)) return NULL;
    if (n_in == 1) return in[0];
    for (int i = 0; i < n_in; i++)
        sum = dim_add(b->dims, sum, in[i]->type.dim[axis]);
    n = node_new(b->region, b->before, NODE_CONCAT, n_in, in, 1, b->origin);
    n->axis = axis;
    dims = arena_copy(b->module->arena, in[0]->type.dim, sizeof(Dim) * (size_t)in[0]->type.rank);
    dims[axis] = sum;
    n->out[0]->type = type_tensor(in[0]->type.dtype, in[0]->type.rank, dims);
    return n->out[0];
}

Value *build_cast(Build *b, Value *v, DType t)
{
    if (!operands_ok(b, 1, &v)) return NULL;
    if (v->type.dtype == t) return v;
    return build_map(b, "cast", 1, &v, t, v->type.rank, v->type.dim,
                     sx_cast(b->sx, sx_operand(b, 0, v, v->type.rank, v->type.dim), t));
}

Value *build_transpose(Build *b, Value *v, const int *perm)
{
    const Sx *idx[MAX_RANK];
    Dim dims[MAX_RANK];
    bool same = true;

    if (!operands_ok(b, 1, &v)) return NULL;
    for (int i = 0; i < v->type.rank; i++) {
        dims[i] = v->type.dim[perm[i]];
        idx[perm[i]] = sx_index(b->sx, i);
        same &= perm[i] == i;
    }
    if (same) return v;
    return build_map(b, "transpose", 1, &v, v->type.dtype, v->type.rank, dims, sx_at(b, 0, v, idx));
}

static Status note_call(Build *b, const char *name)
{
    Call c = call_find(name);

    if (c < N_CALLS)
        b->calls |= 1u << c;
    else if (!str_starts(name, "user_"))
        return diag(b->diag, ERR_BUG, (Where){0}, "the call %s is not in ir/call.def", name);
    return OK;
}

Node *build_call(Build *b, const char *name, int n_in, Value *const *in, int n_out, const Type *out,
                 int n_ints, const int64_t *ints, int n_floats, const double *floats)
{
    Arena *a = b->module->arena;
    Node *n;
    CallInfo *c;

    if (b->status == OK) b->status = note_call(b, name);
    if (b->status != OK) return NULL;
    n = node_new(b->region, b->before, NODE_CALL, n_in, in, n_out, b->origin);
    c = ARENA_NEW(a, CallInfo);
    *c = (CallInfo){.name = intern(&b->module->names, name),
                    .n_ints = n_ints,
                    .n_floats = n_floats,
                    .ints = arena_copy(a, ints, sizeof *ints * (size_t)n_ints),
                    .floats = arena_copy(a, floats, sizeof *floats * (size_t)n_floats)};
    n->call = c;
    for (int k = 0; k < n_out; k++) {
        n->out[k]->type = out[k];
        if (!type_is_boxed(&out[k]))
            n->out[k]->type.dim = arena_copy(a, out[k].dim, sizeof(Dim) * (size_t)out[k].rank);
    }
    return n;
}

/* Symbols are defined by the call when no operand mentions them and they were made for it: the
 * maker says so. */
Dim build_bind(Build *b, Value *v, int k, const char *prefix, int64_t lo, int64_t hi)
{
    Arena *a = b->module->arena;
    Dim symbol = dim_fresh(b->dims, prefix, lo, hi);
    Node *n;

    if (b->status != OK || !v) return symbol;
    n = node_new(b->region, b->before, NODE_BIND, 1, &v, 0, b->origin);
    n->bind = ARENA_NEW(a, BindInfo);
    n->bind->n = 1;
    n->bind->symbol = arena_copy(a, &symbol, sizeof symbol);
    n->bind->element = arena_copy(a, &k, sizeof k);
    node_define(n, symbol);
    return symbol;
}

void build_require_equal(Build *b, Dim x, Dim y)
{
    Dim difference;

    if (x == y || b->status != OK) return;
    difference = dim_sub(b->dims, x, y);
    if (dim_is(difference, 0)) return;
    build_bind(b, build_dims(b, 1, &difference), 0, "zero", 0, 0);
}

/* ---- Scalar expressions of operands ---- */

const Sx *sx_i64(Build *b, int64_t v)
{
    return sx_const_int(b->sx, DT_I64, v);
}

const Sx *sx_at_guarded(Build *b, int src, const Value *v, const Sx *const *idx, const Sx *guard)
{
    return sx_load(b->sx, v->type.dtype, src, v->type.rank, idx, guard);
}

const Sx *sx_at(Build *b, int src, const Value *v, const Sx *const *idx)
{
    return sx_at_guarded(b, src, v, idx, NULL);
}

const Sx *sx_operand(Build *b, int src, const Value *v, int out_rank, const Dim *out_dims)
{
    const Sx *idx[MAX_RANK];
    int shift = out_rank - v->type.rank;

    if (shift < 0) {
        build_fail(b, diag(b->diag, ERR_MODEL, (Where){.node = b->origin ? b->origin->node : NULL},
                           "an operand of rank %d, where at most %d is allowed", v->type.rank,
                           out_rank));
        return sx_const(b->sx, v->type.dtype, 0);
    }
    for (int i = 0; i < v->type.rank; i++) {
        Dim own = v->type.dim[i];
        const Sx *at = sx_index(b->sx, i + shift);

        if (dim_is(own, 1) && !dim_is(out_dims[i + shift], 1))
            at = sx_i64(b, 0);
        else if (own != out_dims[i + shift] && own->lo <= 1)
            at = sx_select(b->sx, sx_eq(b->sx, sx_dim(b->sx, own), sx_i64(b, 1)), sx_i64(b, 0), at);
        idx[i] = at;
    }
    return sx_at(b, src, v, idx);
}

DType compute_dtype(DType t)
{
    return dtype_is_float(t) && t != DT_F64 ? DT_F32 : t;
}

const Sx *sx_compute(Build *b, const Sx *x)
{
    return sx_cast(b->sx, x, compute_dtype(x->dtype));
}

const Sx *sx_inside(Build *b, const Sx *e, Dim extent, int n_extent, const Dim *extents)
{
    int64_t lo, hi;
    const Sx *low = NULL, *high = NULL;

    sx_range(b->sx, e, n_extent, extents, &lo, &hi);
    if (lo < 0) low = sx_le(b->sx, sx_i64(b, 0), e);
    if (hi >= extent->lo) high = sx_lt(b->sx, e, sx_dim(b->sx, extent));
    if (low && high) return sx_and(b->sx, low, high);
    return low ? low : high;
}

SumOrder order_of_reduce(int rank, uint32_t reduced_axes)
{
    return rank > 0 && (reduced_axes >> (rank - 1) & 1) ? ORDER_LANES64 : ORDER_CHAIN;
}
