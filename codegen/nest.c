/* nest.c: builds a Nest: expressions rewritten, addresses, loops merged; nest_plan.c chooses
 * vectors and tasks. */
#include "codegen/nest_impl.h"

#include <string.h>

#include "support/vec.h"

int nest_dim(const Nest *n, Dim d)
{
    for (int i = 0; i < n->abi.n_dim; i++) {
        if (n->abi.dim[i] == d) return i;
    }
    return -1;
}

void nest_need(Nest *n, Dim d)
{
    if (!d || dim_is_const(d) || nest_dim(n, d) >= 0) return;
    if ((n->abi.n_dim & (n->abi.n_dim - 1)) == 0) { /* full at powers of two */
        Dim *more = ARENA_ARRAY(n->arena, Dim, n->abi.n_dim ? 2 * n->abi.n_dim : 1);
        if (n->abi.n_dim) memcpy(more, n->abi.dim, sizeof(Dim) * (size_t)n->abi.n_dim);
        n->abi.dim = more;
    }
    n->abi.dim[n->abi.n_dim++] = d;
}

int64_t nest_guess(Dim d)
{
    int64_t v = 64;

    if (d->lo == d->hi) return d->lo;
    if (d->hi < v) v = d->hi;
    if (d->lo > v) v = d->lo;
    return v;
}

/* ---- A copy of the kernel with expressions rewritten ---- */

typedef struct Copy {
    Nest *n;
    NestRewrite rewrite;
    void *context;
} Copy;

static const Sx *copy_sx(Copy *c, const Sx *e)
{
    return e && c->rewrite ? c->rewrite(c->context, &c->n->module->sx, e) : e;
}

static void copy_out(Copy *c, StageOut *o)
{
    const Sx **dst = ARENA_ARRAY(c->n->arena, const Sx *, o->n_dst);

    for (int i = 0; i < o->n_dst; i++)
        dst[i] = copy_sx(c, o->dst[i]);
    if (o->dst) o->dst = dst;
    o->value = copy_sx(c, o->value);
    o->dst_guard = copy_sx(c, o->dst_guard);
}

static void copy_stage(Copy *c, Stage *s)
{
    Arena *a = c->n->arena;

    s->acc = arena_copy(a, s->acc, sizeof(Acc) * (size_t)s->n_acc);
    s->out = arena_copy(a, s->out, sizeof(StageOut) * (size_t)s->n_out);
    for (int i = 0; i < s->n_acc; i++) {
        s->acc[i].body = copy_sx(c, s->acc[i].body);
        s->acc[i].body2 = copy_sx(c, s->acc[i].body2);
    }
    for (int i = 0; i < s->n_out; i++)
        copy_out(c, &s->out[i]);
}

/* ---- Long rows in the memory of the result ---- */

enum { LONG_ROW = 1 << 15 }; /* bytes: of locals that would not stay in L1 */

typedef struct PointLoads {
    int src, rank;
    bool other; /* a load away from the point */
} PointLoads;

static void point_load(void *context, const Sx *e)
{
    PointLoads *x = context;

    if (e->op != SX_LOAD || e->src != x->src) return;
    if (e->flat || e->guarded || e->n != x->rank) x->other = true;
    for (int i = 0; i < e->n; i++)
        x->other |= e->arg[i]->op != SX_INDEX || e->arg[i]->index != i;
}

/* Of the last stage, one result at each point of the same domain, whose old value may stand in its
 * place: all stages before it have read it. */
static bool may_share(const Nest *n, const Kernel *k, int i)
{
    const Stage *s = &k->stage[i], *last = &k->stage[k->n_stage - 1];
    PointLoads x = {.src = ~i, .rank = s->rank};
    int64_t row = dtype_bytes(s->out[0].dtype);

    if (i >= k->n_stage - 1 || s->n_out != 1 || s->out[0].result >= 0) return false;
    if (last->n_out != 1 || last->out[0].dst || last->out[0].before || last->n_reduce) return false;
    if (last->out[0].dtype != s->out[0].dtype || last->rank != s->rank) return false;
    for (int a = 0; a < s->rank; a++) {
        if (last->extent[a] != s->extent[a]) return false;
        if (a < k->n_outer) continue;
        if (!dim_is_const(s->extent[a]) || __builtin_mul_overflow(row, s->extent[a]->value, &row))
            return false;
    }
    sx_visit(&n->module->sx, last->out[0].value, point_load, &x);
    return row >= LONG_ROW && !x.other;
}

/* One local at most: the memory of the result is there once. */
static void share_result(const Nest *n, Kernel *k)
{
    for (int i = 0; i < k->n_stage; i++) {
        if (!may_share(n, k, i)) continue;
        k->stage[i].out[0].result = k->stage[k->n_stage - 1].out[0].result;
        return;
    }
}

static Kernel *copy_kernel(Copy *c, const Kernel *from)
{
    Kernel *k = arena_copy(c->n->arena, from, sizeof *from);

    k->stage = arena_copy(c->n->arena, from->stage, sizeof(Stage) * (size_t)from->n_stage);
    for (int i = 0; i < k->n_stage; i++)
        copy_stage(c, &k->stage[i]);
    share_result(c->n, k);
    return k;
}

static Monoid monoid_of(Combine c)
{
    switch (c) {
    case COMBINE_SET:
    case COMBINE_ADD:
    case COMBINE_PLACE:
        return MONOID_SUM;
    case COMBINE_MUL:
        return MONOID_PROD;
    case COMBINE_MIN:
        return MONOID_MIN;
    case COMBINE_MAX:
        return MONOID_MAX;
    }
    return MONOID_SUM;
}

static bool is_storage_float(DType d)
{
    return (DT_BIT(d) & (T_FLOAT_NARROW | DT_BIT(DT_F16) | DT_BIT(DT_BF16))) != 0;
}

/* What a scatter stores: the value, combined with NEST_OLD in the dtype in which one computes. */
static const Sx *stored_value(Copy *c, const StageOut *o)
{
    SxTable *t = &c->n->module->sx;
    DType d = is_storage_float(o->dtype) ? DT_F32 : o->dtype;
    const Sx *old, *e;

    if (!o->dst || o->combine == COMBINE_SET || o->combine == COMBINE_PLACE) return o->value;
    old = sx_cast(t, sx_acc(t, NEST_OLD, o->dtype), d);
    e = monoid_combine(t, monoid_of(o->combine), old, sx_cast(t, o->value, d));
    return copy_sx(c, sx_cast(t, e, o->dtype));
}

static bool all_one(int n, const Dim *d)
{
    for (int i = 0; i < n; i++) {
        if (!dim_is(d[i], 1)) return false;
    }
    return true;
}

static void start_stage(Copy *c, NestStage *s, const Stage *stage)
{
    const Kernel *k = c->n->kernel;

    s->stage = stage;
    s->n_index = stage->rank + stage->n_reduce;
    s->vec = s->scan = s->tile = -1;
    s->value = ARENA_ARRAY(c->n->arena, const Sx *, stage->n_out);
    for (int j = 0; j < stage->n_out; j++)
        s->value[j] = stored_value(c, &stage->out[j]);
    if (stage->out[0].result >= 0)
        s->local = LOCAL_NONE;
    else
        s->local = all_one(stage->rank - k->n_outer, stage->extent + k->n_outer) ? LOCAL_REGISTER
                                                                                 : LOCAL_SCRATCH;
}

/* ---- Merging adjacent indices into loops ---- */

/* Strings are pointers here, complex numbers two halves: a kernel moves them, chooses between them
 * and takes the bits of numbers; calls do the rest. */
typedef struct Opaque {
    const Sx *e;
} Opaque;

static void find_opaque(void *context, const Sx *e)
{
    Opaque *o = context;

    if (e->op == SX_LOAD || e->op == SX_SELECT || e->op == SX_BITCAST) return;
    for (int i = 0; i < e->n; i++) {
        DTypeKind kind = dtype_kind(e->arg[i]->dtype);
        if (kind == KIND_STRING || kind == KIND_COMPLEX) o->e = e;
    }
}

static Status check_opaque(Nest *n, Diag *d)
{
    Opaque o = {0};

    for (int i = 0; i < n->kernel->n_stage; i++) {
        const Stage *s = &n->kernel->stage[i];
        for (int a = 0; a < s->n_acc; a++)
            sx_visit(&n->module->sx, s->acc[a].body, find_opaque, &o);
        for (int j = 0; j < s->n_out; j++)
            sx_visit(&n->module->sx, s->out[j].value, find_opaque, &o);
    }
    if (!o.e) return OK;
    return diag(d, ERR_UNSUPPORTED, node_where(n->node), "a kernel cannot compute %s of %s",
                sx_op_text(o.e->op), dtype_text(o.e->arg[0]->dtype));
}

static Dim extent_of(const Stage *s, int k)
{
    return k < s->rank ? s->extent[k] : s->reduce[k - s->rank];
}

/* coef of a is coef of b times the extent of b: both are one index of extent a*b. */
static bool address_merges(Nest *n, const Stage *s, const Affine *x, int a, int b)
{
    DimTable *t = &n->module->dims;

    if (!x->coef[a] && !x->coef[b]) return true;
    if (!x->coef[a] || !x->coef[b]) return false;
    return dim_equal(x->coef[a], dim_mul(t, x->coef[b], extent_of(s, b)));
}

static bool order_is_free(const Stage *s)
{
    if (s->order != ORDER_LANES64) return true;
    for (int i = 0; i < s->n_acc; i++) {
        if (dtype_is_float(s->acc[i].dtype)) return false;
    }
    return true;
}

static bool indices_merge(Nest *n, const NestStage *s, const bool *bare, int a, int b)
{
    const Stage *g = s->stage;
    size_t i = 0;
    const void *key;
    void *x;

    if (bare[a] || bare[b] || (a < g->rank) != (b < g->rank)) return false;
    if (a == g->scan_axis || b == g->scan_axis) return false;
    if (n->group && n->group[a] != n->group[b]) return false;
    if (a < n->kernel->n_outer && b >= n->kernel->n_outer) return false;
    if (b == s->n_index - 1 && !order_is_free(g)) { /* lanes follow the innermost index */
        Dim e = extent_of(g, b);
        if (!dim_is_const(e) || e->value % 64) return false;
    }
    while (map_next(&s->address, &i, &key, &x)) {
        if (!address_merges(n, g, x, a, b)) return false;
    }
    for (int j = 0; j < g->n_out; j++) {
        if (!address_merges(n, g, s->store[j], a, b)) return false;
    }
    return true;
}

/* The next index after k, of the same stage, whose extent is not 1; n_index at the end. */
static int next_index(const NestStage *s, int k)
{
    do
        k++;
    while (k < s->n_index && dim_is(extent_of(s->stage, k), 1));
    return k;
}

static void add_loop(Nest *n, NestStage *s, int first, int last, Dim extent)
{
    s->loop[s->n_loop] = (NestLoop){first, last, extent};
    s->loop_of[last] = s->n_loop;
    s->n_loop++;
    if (last < s->stage->rank) s->n_domain++;
    if (last < n->kernel->n_outer && s == n->stage) n->n_outer++;
}

static void make_loops(Nest *n, NestStage *s, const bool *joins)
{
    for (int k = 0; k < NEST_INDICES; k++)
        s->loop_of[k] = -1;
    for (int k = next_index(s, -1); k < s->n_index;) {
        int first = k, b;
        Dim extent = extent_of(s->stage, k);

        while ((b = next_index(s, k)) < s->n_index && joins[k]) {
            extent = dim_mul(&n->module->dims, extent, extent_of(s->stage, b));
            k = b;
        }
        add_loop(n, s, first, k, extent);
        k = b;
    }
}

static void merge(Nest *n)
{
    int n_stage = n->kernel->n_stage;
    bool(*bare)[NEST_INDICES] = arena_alloc(n->arena, sizeof *bare * (size_t)n_stage);
    bool(*joins)[NEST_INDICES] = arena_alloc(n->arena, sizeof *joins * (size_t)n_stage);

    for (int i = 0; i < n_stage; i++) {
        NestStage *s = &n->stage[i];
        nest_addresses(n, i, bare[i]);
        for (int a = next_index(s, -1), b; (b = next_index(s, a)) < s->n_index; a = b)
            joins[i][a] = indices_merge(n, s, bare[i], a, b);
    }
    for (int k = 0; k < n->kernel->n_outer; k++) {
        bool all = true;
        for (int i = 0; i < n_stage; i++)
            all = all && joins[i][k];
        for (int i = 0; i < n_stage; i++)
            joins[i][k] = all;
    }
    for (int i = 0; i < n_stage; i++)
        make_loops(n, &n->stage[i], joins[i]);
}

/* Positions have one chain and other sums of the stage 64 lanes: no nest does both. */
static bool orders_agree(const Stage *s)
{
    int positions = 0;

    for (int i = 0; i < s->n_acc; i++)
        positions += nest_is_arg(s->acc[i].monoid);
    return s->order != ORDER_LANES64 || positions == 0 || positions == s->n_acc;
}

static Status check(Nest *n, Diag *d)
{
    const Kernel *k = n->kernel;

    for (int i = 0; i < k->n_stage; i++) {
        const Stage *s = &k->stage[i];
        INVARIANT(d, s->rank + s->n_reduce <= NEST_INDICES && s->rank >= k->n_outer);
        INVARIANT(d, s->n_out >= 1);
        INVARIANT(d, orders_agree(s));
        INVARIANT(d, s->out[0].result >= 0 || !s->out[0].dst);
    }
    return OK;
}

static Status build(Nest *n, const Node *node, NestRewrite rewrite, void *context, Diag *d)
{
    Arena *arena = n->arena;
    Module *m = n->module;
    Copy c = {n, rewrite, context};

    INVARIANT(d, node->kind == NODE_KERNEL && node->kernel);
    n->node = node;
    n->kernel = node->kernel;
    TRY(check(n, d));
    TRY(check_opaque(n, d));
    n->kernel = copy_kernel(&c, node->kernel);
    n->abi.n_in = node->n_in;
    n->abi.n_out = node->n_out;
    n->stage = ARENA_ARRAY(arena, NestStage, n->kernel->n_stage);
    for (int i = 0; i < n->kernel->n_stage; i++)
        start_stage(&c, &n->stage[i], &n->kernel->stage[i]);
    merge(n);
    nest_plan(n);
    if (!dims_ok(&m->dims) || !arena_ok(arena))
        return diag(d, ERR_LIMIT, node_where(node), "the sizes of this kernel are too large");
    return OK;
}

Status nest_build(Arena *arena, Module *m, const Node *node, NestRewrite rewrite, void *context,
                  Diag *d, Nest **out)
{
    return nest_build_grouped(arena, m, node, NULL, rewrite, context, d, out);
}

Status nest_build_grouped(Arena *arena, Module *m, const Node *node, const uint8_t *group,
                          NestRewrite rewrite, void *context, Diag *d, Nest **out)
{
    *out = ARENA_NEW(arena, Nest);
    **out = (Nest){.arena = arena, .module = m, .group = group};
    return build(*out, node, rewrite, context, d);
}

Status nest_build_rows(Arena *arena, Module *m, const Node *node, int n_row, NestRewrite rewrite,
                       void *context, Diag *d, Nest **out)
{
    uint8_t *group = ARENA_ARRAY(arena, uint8_t, NEST_INDICES);

    for (int i = 0; i < n_row; i++)
        group[i] = 1;
    *out = ARENA_NEW(arena, Nest);
    **out = (Nest){.arena = arena, .module = m, .group = group, .n_row = n_row};
    return build(*out, node, rewrite, context, d);
}

/* ---- contractions taken apart ---- */

Stage nest_side_stage(Arena *a, const Stage *s, const Sx *value)
{
    Stage y = {.rank = s->rank + s->n_reduce, .scan_axis = -1, .n_out = 1};
    StageOut *o = ARENA_NEW(a, StageOut);

    y.extent = ARENA_ARRAY(a, Dim, y.rank);
    for (int i = 0; i < y.rank; i++)
        y.extent[i] = extent_of(s, i);
    *o = (StageOut){.dtype = value->dtype, .value = value, .result = -1};
    y.out = o;
    return y;
}

Stage nest_result_stage(Arena *a, SxTable *t, const Stage *s)
{
    Stage y = *s;

    y.n_reduce = 0;
    y.acc = ARENA_NEW(a, Acc);
    DType d = s->acc[0].dtype;
    *y.acc = (Acc){.monoid = MONOID_SUM, .dtype = d, .body = sx_const_bits(t, d, 0)};
    return y;
}
