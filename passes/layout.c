/* layout.c: the order of axes in memory, for the whole graph.
 *
 *     conv [n,c,h,w] -> add -> pool -> conv        [n,h,w,c] from the first to the last
 *
 * A convolution reads its window as rows of channels and writes rows of channels: then weights are
 * packed while compiling, and the input is read where it lies. One walk in program order:
 *   1. a convolution gets its domain in the order (positions, channels), its reduction in the order
 *      (window, channels), and its data operand in that order too, by a transposition where need
 *      be;
 *   2. maps, reductions, concatenations and reshapes follow the operand that fills most of their
 *      domain;
 *   3. all other readers (calls, regions, results of the model) get the logical order back.
 * A value's dims are permuted with it: after this pass the graph is one whose values have other
 * dims, and nothing else knows of layouts.
 *
 * A reshape that takes an order apart ([n,c,h,w] as [n,groups,-1]) waits for its readers: a
 * normalisation, or the reshape back, reads what is in front of it; the others have it in logical
 * order.
 *
 * Ends: one walk. Sees neither the target nor how large an extent is. */
#include "passes/layout.h"

#include <string.h>

#include "ir/build.h"
#include "passes/layout_rows.h"
#include "support/vec.h"

typedef struct Copy { /* of a value, in another order */
    Value *of, *v;
    Order order;
} Copy;

typedef struct Layouts {
    PassContext *cx;
    Module *m;
    Map order; /* Value * -> Order *, only where it is not plain */
    Copy *copy;
    int n_copy, cap_copy;
    Map wanted, windows; /* by layout_wants */
    Map waiting;         /* result of a reshape that nobody has read yet -> its node */
    bool changed;
} Layouts;

static const Order *order_of(void *context, const Value *v)
{
    return map_get(&((Layouts *)context)->order, v);
}

static void set_order(Layouts *x, const Value *v, const Order *o)
{
    if (!order_is_plain(o)) map_set(&x->order, v, arena_copy(x->cx->scratch, o, sizeof *o));
}

static Order plain_order(int n)
{
    Order o = {.n = n};

    for (int i = 0; i < n; i++)
        o.axis[i] = i;
    return o;
}

/* Where a copy of v may stand: right behind it; that of a constant before all nodes. */
static Build behind(Layouts *x, const Value *v)
{
    Region *r = v->def ? v->def->parent : v->region ? v->region : x->m->main;

    return build_at(r, v->def ? v->def->next : r->first, v->def ? v->def->origin : NULL,
                    x->cx->diag);
}

static bool moves_ones_only(const Value *v, const int *perm)
{
    int last = -1;

    for (int i = 0; i < v->type.rank; i++) {
        if (dim_is(v->type.dim[perm[i]], 1)) continue;
        if (perm[i] < last) return false;
        last = perm[i];
    }
    return true;
}

static void permute_elements(const Tensor *from, const int *perm, Tensor *to)
{
    size_t bytes = (size_t)dtype_bytes(from->dtype);
    int64_t stride[MAX_RANK], index[MAX_RANK] = {0}, size = 1, at;

    for (int i = from->rank - 1; i >= 0; i--) {
        stride[i] = size;
        size *= from->dim[i];
    }
    for (int64_t e = 0; e < to->count; e++) {
        at = 0;
        for (int i = 0; i < to->rank; i++)
            at += index[i] * stride[perm[i]];
        memcpy(tensor_at(to, e), tensor_at(from, at), bytes);
        for (int i = to->rank - 1; i >= 0 && ++index[i] == to->dim[i]; i--)
            index[i] = 0;
    }
}

/* NULL: no memory. */
static Value *permuted_constant(Layouts *x, const Value *v, const int *perm)
{
    int64_t dims[MAX_RANK];
    Tensor *t;

    for (int i = 0; i < v->data->rank; i++)
        dims[i] = v->data->dim[perm[i]];
    t = tensor_new(x->m->arena, v->data->dtype, v->data->rank, dims);
    if (!t) return NULL;
    permute_elements(v->data, perm, t);
    return module_constant(x->m, t, v->name);
}

/* v with its axes in `want` order; made at most once. */
static Value *in_order(Layouts *x, Value *v, const Order *want, Status *s)
{
    const Order *have = order_of(x, v);
    Order plain = plain_order(v->type.rank);
    int perm[MAX_RANK], place[MAX_RANK];
    Dim dims[MAX_RANK];
    Build b;
    Value *y;

    if (!have) have = &plain;
    if (memcmp(have->axis, want->axis, sizeof(int) * (size_t)want->n) == 0) return v;
    for (int i = 0; i < x->n_copy; i++)
        if (x->copy[i].of == v &&
            memcmp(x->copy[i].order.axis, want->axis, sizeof(int) * (size_t)want->n) == 0)
            return x->copy[i].v;
    for (int i = 0; i < have->n; i++)
        place[have->axis[i]] = i;
    for (int i = 0; i < want->n; i++) {
        perm[i] = place[want->axis[i]];
        dims[i] = v->type.dim[perm[i]];
    }
    b = behind(x, v);
    if (v->data && v->data->dtype != DT_STRING)
        y = permuted_constant(x, v, perm);
    else
        y = moves_ones_only(v, perm) ? build_reshape(&b, v, want->n, dims)
                                     : build_transpose(&b, v, perm);
    *s = !y && b.status == OK ? diag(x->cx->diag, ERR_LIMIT, (Where){0}, "no memory for a constant")
                              : b.status;
    if (!y) return v;
    set_order(x, y, want);
    VEC_PUSH(x->cx->scratch, x->copy, x->n_copy, x->cap_copy, ((Copy){v, y, *want}));
    x->changed = true;
    return y;
}

static Status operand_in(Layouts *x, Value **v, const Order *want)
{
    Status s = OK;

    *v = in_order(x, *v, want, &s);
    return s;
}

static Status operand_plain(Layouts *x, Value **v)
{
    Order plain;

    if (!*v || !order_of(x, *v)) return OK;
    plain = plain_order((*v)->type.rank);
    return operand_in(x, v, &plain);
}

static Status operands_plain(Layouts *x, Node *n)
{
    for (int i = 0; i < n->n_in; i++)
        TRY(operand_plain(x, &n->in[i]));
    return OK;
}

/* v is read: the reshape that it comes from stays, in logical order where it has none. */
static Status settle(Layouts *x, const Value *v)
{
    Node *n = v ? map_get(&x->waiting, v) : NULL;

    if (!n) return OK;
    map_set(&x->waiting, v, NULL);
    return order_of(x, v) ? OK : operand_plain(x, &n->in[0]);
}

static Status settle_operands(Layouts *x, const Node *n)
{
    for (int i = 0; i < n->n_in; i++)
        TRY(settle(x, n->in[i]));
    return OK;
}

/* What a waiting reshape reshapes, or NULL. */
static Value *in_front(Layouts *x, const Value *v)
{
    Node *n = v ? map_get(&x->waiting, v) : NULL;

    return n && order_of(x, n->in[0]) ? n->in[0] : NULL;
}

/* ---- rewriting a kernel ---- */

typedef struct Rewrite {
    Layouts *x;
    SxTable *t;
    const Node *n;
    int rank;
    int domain[MAX_RANK], reduce[MAX_RANK]; /* new number of each old index */
} Rewrite;

static const Sx *rewrite_leaf(void *context, const Sx *e)
{
    Rewrite *w = context;
    const Sx *idx[MAX_RANK];
    const Order *o;
    int n = e->n - (e->guarded ? 1 : 0);

    if (e->op == SX_INDEX)
        return sx_index(w->t, e->index < w->rank ? w->domain[e->index]
                                                 : w->rank + w->reduce[e->index - w->rank]);
    if (e->op != SX_LOAD || e->src < 0 || e->flat) return NULL;
    o = order_of(w->x, w->n->in[e->src]);
    if (!o) return NULL;
    for (int i = 0; i < n; i++)
        idx[i] = e->arg[o->axis[i]];
    return sx_load(w->t, e->dtype, e->src, n, idx, e->guarded ? e->arg[n] : NULL);
}

static const Sx *rewrite_expr(void *context, const Sx *e)
{
    Rewrite *w = context;
    return sx_rewrite(w->t, e, rewrite_leaf, w);
}

static Dim *permuted(Arena *a, const Dim *d, const Order *o)
{
    Dim *y = ARENA_ARRAY(a, Dim, o->n);

    for (int i = 0; i < o->n; i++)
        y[i] = d[o->axis[i]];
    return y;
}

/* Loads follow the orders of the operands; with `domain` (of a kernel of one stage) the loops and
 * results are put in that order too. */
static void rewrite_kernel(Layouts *x, Node *n, const Order *domain, const Order *reduce)
{
    Arena *a = x->m->arena;
    Rewrite w = {.x = x, .t = &x->m->sx, .n = n, .rank = n->kernel->stage[0].rank};
    Kernel *k = arena_copy(a, n->kernel, sizeof *k);
    Stage *s;

    for (int i = 0; i < MAX_RANK; i++)
        w.domain[i] = w.reduce[i] = i;
    for (int i = 0; domain && i < domain->n; i++)
        w.domain[domain->axis[i]] = i;
    for (int i = 0; reduce && i < reduce->n; i++)
        w.reduce[reduce->axis[i]] = i;
    kernel_map_exprs(a, k, rewrite_expr, &w);
    n->kernel = k;
    s = &k->stage[0];
    if (reduce) s->reduce = permuted(a, s->reduce, reduce);
    if (!domain || order_is_plain(domain)) return;
    s->extent = permuted(a, s->extent, domain);
    for (int j = 0; j < n->n_out; j++) {
        if (!n->out[j]) continue;
        n->out[j]->type.dim = permuted(a, n->out[j]->type.dim, domain);
        set_order(x, n->out[j], domain);
    }
}

/* ---- convolutions ---- */

/* Weights that are read along the lanes, not packed. */
static Status permute_weights(Layouts *x, Node *n, const ConvOrder *c)
{
    Value **v = &n->in[c->weights];

    if (order_is_plain(&c->weight) || (*v)->data->dtype == DT_STRING) return OK;
    *v = permuted_constant(x, *v, c->weight.axis);
    if (!*v) return diag(x->cx->diag, ERR_LIMIT, node_where(n), "no memory for weights");
    set_order(x, *v, &c->weight);
    return OK;
}

static bool same_order(const Order *a, const Order *b)
{
    return a->n == b->n && memcmp(a->axis, b->axis, sizeof(int) * (size_t)a->n) == 0;
}

static Status convolution(Layouts *x, Node *n, ConvOrder *c)
{
    const Order *have = order_of(x, n->in[c->src]);
    Order plain = plain_order(c->data.n);
    bool alone = !have && !map_get(&x->wanted, n->out[0]);

    if (c->few && !have && !c->depthwise) {
        c->data = plain;
        c->reduce = plain_order(c->reduce.n);
        if (alone && !c->apart) c->out = plain_order(c->out.n);
    }
    /* a matrix product that reads its operand as columns, where that is how they stand */
    if (c->points && !have && !c->depthwise) {
        c->data = plain;
        if (alone && c->phased) c->out = plain_order(c->out.n); /* whose rows are laced */
    }
    if (c->thin || (c->slim && !have) || (c->planes && alone)) {
        c->out = plain_order(c->out.n);
        c->data = plain;
        c->reduce = plain_order(c->reduce.n);
    }
    bool settled = order_is_plain(&c->out) && order_is_plain(&c->reduce) &&
                   same_order(have ? have : &plain, &c->data);

    if (settled || !pass_accept(x->cx)) {
        rewrite_kernel(x, n, NULL, NULL);
        return OK;
    }
    TRY(operand_in(x, &n->in[c->src], &c->data));
    if (c->depthwise) TRY(permute_weights(x, n, c));
    rewrite_kernel(x, n, &c->out, &c->reduce);
    x->changed = true;
    return OK;
}

/* ---- samples ---- */

typedef struct Flat {
    const Node *n;
    bool *plain; /* [n_in]: must be read in logical order */
} Flat;

static void flat_loads(void *context, const Sx *e)
{
    Flat *f = context;

    if (e->src >= 0 && (e->op == SX_CHECK || (e->op == SX_LOAD && e->flat)))
        f->plain[e->src] = true;
}

/* What it samples is put in order, and so is what comes out. */
static Status samples(Layouts *x, Node *n, const SampleOrder *c)
{
    Flat f = {n, ARENA_ARRAY(x->cx->scratch, bool, n->n_in)};

    stage_visit_exprs(&x->m->sx, &n->kernel->stage[0], flat_loads, &f);
    for (int i = 0; i < n->n_in; i++)
        if (f.plain[i]) TRY(operand_plain(x, &n->in[i]));
    TRY(operand_in(x, &n->in[c->src], &c->data));
    rewrite_kernel(x, n, &c->out, NULL);
    x->changed = true;
    return OK;
}

/* ---- the others ---- */

static bool any_ordered(Layouts *x, const Node *n)
{
    for (int i = 0; i < n->n_in; i++)
        if (n->in[i] && order_of(x, n->in[i])) return true;
    return false;
}

/* One loop nest without an order of its own. */
static bool is_free(const Kernel *k)
{
    if (k->n_stage != 1 || k->stage[0].scan_axis >= 0) return false;
    for (int j = 0; j < k->stage[0].n_out; j++)
        if (k->stage[0].out[j].dst) return false;
    return true;
}

static bool multiplies(const Stage *s)
{
    for (int i = 0; i < s->n_acc; i++)
        if (s->acc[i].monoid == MONOID_DOT) return true;
    return false;
}

/* Whether all that n reads of operands with an order is every element of each, and only for the
 * least or the greatest of them: it is the same in any order. */
typedef struct AnyOrder {
    Layouts *x;
    const Node *n;
    bool yes;
} AnyOrder;

static void loads_all(void *context, const Sx *e)
{
    AnyOrder *a = context;
    const Stage *s = &a->n->kernel->stage[0];
    const Value *v =
        e->src >= 0 && (e->op == SX_LOAD || e->op == SX_CHECK) ? a->n->in[e->src] : NULL;

    if (!v || !order_of(a->x, v)) return;
    a->yes = a->yes && e->op == SX_LOAD && e->flat && !e->guarded && e->arg[0]->op == SX_INDEX &&
             e->arg[0]->index == s->rank && s->reduce[0] == type_count(&a->x->m->dims, &v->type);
}

static bool goes_in_any_order(Layouts *x, const Node *n)
{
    const Stage *s = &n->kernel->stage[0];
    AnyOrder a = {x, n, s->n_reduce == 1 && s->n_acc > 0};

    for (int i = 0; i < s->n_acc; i++)
        a.yes = a.yes && (s->acc[i].monoid == MONOID_MIN || s->acc[i].monoid == MONOID_MAX);
    if (a.yes) stage_visit_exprs(&x->m->sx, s, loads_all, &a);
    return a.yes;
}

/* What was contiguous along the reduction may now be along the domain. The sums of a product whose
 * results keep their order are left as they are: its operands are packed. */
static void order_sums(Node *n, bool is_plain)
{
    Stage *s = &n->kernel->stage[0];

    if (!s->n_reduce || (is_plain && multiplies(s))) return;
    s->order = layout_sums_along(n) ? ORDER_LANES64 : ORDER_CHAIN;
}

/* A transposition and nothing else: *axis[i] is the axis of the result that is axis i of n's
 * operand. */
static bool transposes(const Node *n, int *axis)
{
    const Stage *s = &n->kernel->stage[0];
    const Sx *e = s->n_out == 1 ? s->out[0].value : NULL;
    unsigned seen = 0;

    if (!is_free(n->kernel) || s->n_reduce || s->n_acc || !e || e->op != SX_LOAD || e->src < 0)
        return false;
    if (e->flat || e->guarded || e->n != s->rank) return false;
    for (int i = 0; i < e->n; i++) {
        if (e->arg[i]->op != SX_INDEX) return false;
        axis[i] = e->arg[i]->index;
        seen |= 1u << axis[i];
    }
    for (int i = 0; i < e->n; i++)
        if (!dim_equal(s->extent[axis[i]], n->in[e->src]->type.dim[i])) return false;
    return seen == (1u << s->rank) - 1;
}

/* A transposition to channels first whose readers want them last, where they stand: its result is
 * its operand as it lies. Of what convolutions and samplers read: they go by the order of an
 * operand, where a product of matrices would take it for another product. */
static bool stands(Layouts *x, Node *n)
{
    const Value *v = n->n_in == 1 ? n->in[0] : NULL, *y = n->out[0];
    int axis[MAX_RANK], place[MAX_RANK], perm[MAX_RANK];
    Order o;

    if (!v || v->data || order_of(x, v) || !map_get(&x->windows, y)) return false;
    if (!transposes(n, axis)) return false;
    o = order_with_last(y->type.rank, 1);
    for (int i = 0; i < o.n; i++)
        place[axis[i]] = i;
    for (int i = 0; i < o.n; i++)
        perm[i] = place[o.axis[i]];
    if (!moves_ones_only(v, perm) || !pass_accept(x->cx)) return false;
    n->kind = NODE_RESHAPE;
    n->kernel = NULL;
    n->out[0]->type.dim = permuted(x->m->arena, y->type.dim, &o);
    set_order(x, y, &o);
    x->changed = true;
    return true;
}

static Status kernel(Layouts *x, Node *n)
{
    Kernel *k = n->kernel;
    Flat f = {n, ARENA_ARRAY(x->cx->scratch, bool, n->n_in)};
    ConvOrder c;
    SampleOrder sampled;
    Order domain, reduce;

    TRY(settle_operands(x, n));
    if (stands(x, n)) return OK;
    if (layout_convolution(n, &c)) return convolution(x, n, &c);
    if (is_free(k) && layout_samples(n, order_of, x, &sampled) && pass_accept(x->cx))
        return samples(x, n, &sampled);
    if (!any_ordered(x, n)) return OK;
    if (!is_free(k)) return operands_plain(x, n);
    if (goes_in_any_order(x, n)) return OK;
    stage_visit_exprs(&x->m->sx, &k->stage[0], flat_loads, &f);
    for (int i = 0; i < n->n_in; i++)
        if (f.plain[i]) TRY(operand_plain(x, &n->in[i]));
    domain = layout_following(n, order_of, x);
    if (layout_hides_product(n, &domain)) domain = plain_order(domain.n);
    rewrite_kernel(x, n, &domain, layout_reduction(n, order_of, x, &reduce) ? &reduce : NULL);
    order_sums(n, order_is_plain(&domain));
    return OK;
}

static Status concat(Layouts *x, Node *n)
{
    const Order *o = NULL;

    TRY(settle_operands(x, n));
    for (int i = 0; i < n->n_in && !o; i++)
        o = order_of(x, n->in[i]);
    if (!o) return OK;
    for (int i = 0; i < n->n_in; i++)
        TRY(operand_in(x, &n->in[i], o));
    for (int i = 0; i < o->n; i++)
        if (o->axis[i] == n->axis) {
            n->axis = i;
            break;
        }
    n->out[0]->type.dim = permuted(x->m->arena, n->out[0]->type.dim, o);
    set_order(x, n->out[0], o);
    return OK;
}

static bool same_dims(const Value *a, const Order *o, const Type *t)
{
    Dim dims[MAX_RANK];

    if (a->type.rank != t->rank) return false;
    layout_logical(a, o, dims);
    for (int i = 0; i < t->rank; i++)
        if (!dim_equal(dims[i], t->dim[i])) return false;
    return true;
}

/* There and back again. */
static bool undone(Layouts *x, Node *n)
{
    Value *v = in_front(x, n->in[0]);

    if (!v || !same_dims(v, order_of(x, v), &n->out[0]->type)) return false;
    if (!v->name) v->name = n->out[0]->name;
    value_replace(n->out[0], v);
    node_unlink(n);
    x->changed = true;
    return true;
}

static Status reshape(Layouts *x, Node *n)
{
    const Order *o;
    Order out;

    if (undone(x, n)) return OK;
    TRY(settle(x, n->in[0]));
    o = order_of(x, n->in[0]);
    if (!o) return OK;
    if (layout_reshaped(n->in[0], o, n->out[0], &out)) {
        n->out[0]->type.dim = permuted(x->m->arena, n->out[0]->type.dim, &out);
        set_order(x, n->out[0], &out);
    }
    map_set(&x->waiting, n->out[0], n);
    return OK;
}

/* A normalisation whose rows lie apart; false: it is none. */
static bool rows(Layouts *x, Node *n, Status *s)
{
    for (int i = 0; n->kernel->n_stage > 1 && i < n->n_in; i++) {
        Value *v = in_front(x, n->in[i]);
        LayoutRows r = {.x = v ? v : n->in[i], .src = i, .row_order = order_of(x, n->in[i])};

        r.order = order_of(x, r.x);
        if (!r.order || !layout_rows(x->cx, n, &r, s)) continue;
        x->changed = true;
        for (int k = 0; *s == OK && k < r.n_stat; k++)
            set_order(x, r.stat[k], r.order);
        if (*s == OK) *s = kernel(x, r.map);
        if (*s == OK && r.map != n) *s = reshape(x, n);
        return true;
    }
    return false;
}

static Status layout_node(void *context, Node *n)
{
    Layouts *x = context;
    Status s = OK;

    for (int i = 0; i < n->n_in; i++)
        if (n->in[i]) n->in[i] = value_resolve(n->in[i]);
    switch (n->kind) {
    case NODE_KERNEL:
        return rows(x, n, &s) ? s : kernel(x, n);
    case NODE_CONCAT:
        return concat(x, n);
    case NODE_RESHAPE:
        return reshape(x, n);
    case NODE_OP:
    case NODE_CALL:
    case NODE_BIND:
    case NODE_IF:
    case NODE_LOOP:
        TRY(settle_operands(x, n));
        return operands_plain(x, n);
    }
    return OK;
}

static Status region_results(Layouts *x, Region *r)
{
    for (int i = 0; i < r->n_result; i++) {
        if (r->result[i]) r->result[i] = value_resolve(r->result[i]);
        TRY(settle(x, r->result[i]));
        TRY(operand_plain(x, &r->result[i]));
    }
    return OK;
}

/* Reshapes that nobody reads. */
static void drop_waiting(Layouts *x)
{
    size_t i = 0;
    const void *key;
    void *n;

    while (map_next(&x->waiting, &i, &key, &n))
        if (n) node_unlink(n);
}

static Status inner_results(void *context, Node *n)
{
    for (int i = 0; i < n->n_region; i++)
        TRY(region_results(context, n->region[i]));
    return OK;
}

Status pass_layout(PassContext *cx, Module *m, bool *changed)
{
    Layouts x = {.cx = cx, .m = m};

    TRY(layout_wants(cx, m, &x.wanted, &x.windows));
    map_init(&x.order, cx->scratch, false);
    map_init(&x.waiting, cx->scratch, false);
    TRY(module_visit(m, layout_node, &x));
    TRY(module_visit(m, inner_results, &x));
    TRY(region_results(&x, m->main));
    drop_waiting(&x);
    module_resolve(m);
    *changed = x.changed;
    return OK;
}
