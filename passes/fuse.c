/* fuse.c: which primitives share a kernel.
 *
 *     conv, bias, relu              one contraction; bias and relu where it stores
 *     slice, transpose, add, mul    one map that loads at computed indices
 *
 * One walk in program order, so that producers are already fused when their reader is met. For each
 * kernel n:
 *   1. loads of known scalars and of reshapes by 1 are resolved (fuse_tidy);
 *   2. producers that are maps or views are computed where they are read, when the model says it
 * pays: nothing is computed twice that costs more than loading it, and loops keep reading memory in
 * order;
 *   3. a map over the result of a reduction or contraction moves into its epilogue, when nobody
 * else reads it. The last kernel of a chain keeps its place in the list: all operands are defined
 * there. Every refusal is noted on the kernel (Kernel.why), for --report.
 *
 * Ends: each change removes a reader of a kernel or merges two. Fusion sees no target: the same
 * graph on every ISA. */
#include "passes/fuse_inline.h"

enum {
    MAX_OPERANDS = 16, /* pointers that one loop keeps in registers, roughly */
    MAX_COST = 400,    /* operations in one body */
    CHEAP = 3          /* operations that cost less than a store and a load of the value */
};

typedef struct Fuse {
    PassContext *cx;
    bool changed;
} Fuse;

static void why_not(Node *n, const Node *p, const char *reason)
{
    Arena *a = n->parent->module->arena;
    Kernel *k = n->kernel;
    const char *before = k->why ? k->why : "";

    k->why =
        arena_printf(a, "%.800s%s%.40s: %s", before, *before ? "; " : "", p->kernel->label, reason);
}

static bool is_map_kernel(const Node *p)
{
    const Kernel *k = p->kernel;

    return p->kind == NODE_KERNEL && k->n_stage == 1 && k->stage[0].n_acc == 0 &&
           k->stage[0].n_out == 1 && !k->stage[0].out[0].dst && p->n_out == 1;
}

/* ---- how a kernel reads an operand ---- */

typedef struct Reads {
    SxTable *t;
    int src;
    const Stage *s;
    int loads;
    bool repeats;       /* some element is read at more than one point of the loop nest */
    bool window;        /* an index mixes domain and reduction */
    bool last_in_order; /* last index is a loop index plus a constant, or constant */
    bool data;          /* an index comes from memory */
    bool turned;        /* last index is not along the last one of the domain */
} Reads;

static void load_in_index(void *context, const Sx *e)
{
    if (e->op == SX_LOAD || e->op == SX_CHECK) *(bool *)context = true;
}

static bool in_order(const Sx *e)
{
    if (e->op == SX_INDEX || e->op == SX_CONST || e->op == SX_DIM) return true;
    if (e->op == SX_ADD || e->op == SX_SUB)
        return in_order(e->arg[0]) && (e->arg[1]->op == SX_CONST || e->arg[1]->op == SX_DIM);
    return false;
}

/* The last index of the domain, or a sum with it. */
static bool along_last(const Sx *e, int rank)
{
    if (e->op == SX_ADD) return along_last(e->arg[0], rank) || along_last(e->arg[1], rank);
    return e->op == SX_INDEX && e->index == rank - 1;
}

static void note_read(void *context, const Sx *e)
{
    Reads *r = context;
    int n, total = r->s->rank + r->s->n_reduce;

    if (e->op != SX_LOAD || e->src != r->src) return;
    n = e->n - (e->guarded ? 1 : 0);
    r->loads++;
    for (int k = 0; k < total; k++) {
        Dim extent = k < r->s->rank ? r->s->extent[k] : r->s->reduce[k - r->s->rank];
        bool used = false;

        for (int i = 0; i < n; i++)
            used |= sx_uses_index(r->t, e->arg[i], k);
        if (!used && !dim_is(extent, 1)) r->repeats = true;
    }
    for (int i = 0; i < n; i++) {
        bool domain = false, reduced = false;

        for (int k = 0; k < total; k++)
            if (sx_uses_index(r->t, e->arg[i], k)) *(k < r->s->rank ? &domain : &reduced) = true;
        r->window |= domain && reduced;
        sx_visit(r->t, e->arg[i], load_in_index, &r->data);
    }
    if (n && !in_order(e->arg[n - 1])) r->last_in_order = false;
    if (n && !along_last(e->arg[n - 1], r->s->rank)) r->turned = true;
}

static Reads reads_of(SxTable *t, const Node *n, int src)
{
    Reads r = {.t = t, .src = src, .last_in_order = true};

    for (int i = 0; i < n->kernel->n_stage; i++) {
        const Stage *s = &n->kernel->stage[i];
        r.s = s;
        for (int j = 0; j < s->n_acc; j++) {
            sx_visit(t, s->acc[j].body, note_read, &r);
            if (s->acc[j].body2) sx_visit(t, s->acc[j].body2, note_read, &r);
        }
        for (int j = 0; j < s->n_out; j++) {
            sx_visit(t, s->out[j].value, note_read, &r);
            if (s->out[j].dst_guard) sx_visit(t, s->out[j].dst_guard, note_read, &r);
            for (int q = 0; q < s->out[j].n_dst; q++)
                sx_visit(t, s->out[j].dst[q], note_read, &r);
        }
    }
    return r;
}

/* ---- the model ---- */

typedef struct LastIndex {
    int rank;
    bool keeps; /* every load of p has p's last domain index, in order, as its last */
} LastIndex;

static void keeps_last(void *context, const Sx *e)
{
    LastIndex *x = context;
    int n = e->n - (e->guarded ? 1 : 0);
    const Sx *last;

    if (e->op != SX_LOAD) return;
    if (e->flat || n == 0) {
        if (e->flat) x->keeps = false;
        return;
    }
    last = e->arg[n - 1];
    while ((last->op == SX_ADD || last->op == SX_SUB) && last->arg[1]->op == SX_CONST)
        last = last->arg[0];
    if (last->op == SX_CONST) return;
    if (last->op != SX_INDEX || last->index != x->rank - 1) x->keeps = false;
}

static bool view_keeps_last(SxTable *t, const Node *p)
{
    LastIndex x = {p->kernel->stage[0].rank, true};

    sx_visit(t, p->kernel->stage[0].out[0].value, keeps_last, &x);
    return x.keeps;
}

typedef struct Quotients {
    bool any;
} Quotients;

static void find_quotient(void *context, const Sx *e)
{
    if (e->dtype == DT_I64 && (e->op == SX_DIV || e->op == SX_REM))
        ((Quotients *)context)->any = true;
}

/* Whether it reads at places that are no sums of indices: the rows of an image taken apart. */
static bool divides_indices(SxTable *t, const Node *p)
{
    Quotients q = {false};

    sx_visit(t, p->kernel->stage[0].out[0].value, find_quotient, &q);
    return q.any;
}

static bool all_constant(const Node *p)
{
    for (int i = 0; i < p->n_in; i++)
        if (!p->in[i]->data) return false;
    return true;
}

static bool is_scatter_init(const Node *n, int src)
{
    for (int i = 0; i < n->kernel->n_stage; i++)
        for (int j = 0; j < n->kernel->stage[i].n_out; j++)
            if (n->kernel->stage[i].out[j].dst && n->kernel->stage[i].out[j].init == src)
                return true;
    return false;
}

typedef struct Source {
    int src;
    bool found;
} Source;

static void load_of_source(void *context, const Sx *e)
{
    Source *x = context;

    if (e->op == SX_LOAD && e->src == x->src) x->found = true;
}

static bool reads_source(SxTable *t, const Sx *e, int src)
{
    Source x = {src, false};

    sx_visit(t, e, load_of_source, &x);
    return x.found;
}

/* Known weights of a product of matrices, in few bits: the product unpacks them where it puts its
 * operands in order, and they are never in memory as a whole. */
static bool is_compact(SxTable *t, const Node *n, int src, const Node *p, const Reads *r)
{
    const Stage *s = &n->kernel->stage[0];
    size_t bytes = 0, count = 1;
    Contraction c;

    if (!all_constant(p) || p->out[0]->uses != 1 || r->loads != 1 || r->window) return false;
    if (n->kernel->n_stage != 1 || s->order != ORDER_CHAIN || !kernel_contraction(t, s, &c))
        return false;
    if (!dim_is(c.size_batch, 1) || s->acc[0].dtype != DT_F32) return false;
    if (!reads_source(t, c.swapped ? s->acc[0].body : s->acc[0].body2, src)) return false;
    for (int i = 0; i < p->n_in; i++)
        bytes += p->in[i]->data->bytes;
    for (int i = 0; i < p->out[0]->type.rank; i++)
        count *= (size_t)p->out[0]->type.dim[i]->lo;
    return count * (size_t)dtype_bytes(p->out[0]->type.dtype) > 3 * bytes;
}

static void turned_load(void *context, const Sx *e)
{
    Source *x = context;

    int last = e->n - 1 - e->guarded;

    if (e->op == SX_LOAD && last > 0 && e->arg[last]->op == SX_INDEX &&
        e->arg[last]->index != x->src)
        x->found = true;
}

/* Little work on what is transposed on the way into columns of a product: these are put in order
 * for it in any case, each element once. */
static bool is_turned(SxTable *t, const Node *n, int src, const Node *p, const Reads *r, int cost)
{
    const Stage *s = &n->kernel->stage[0];
    Source x = {p->kernel->stage[0].rank - 1, false};
    Contraction c;

    if (p->out[0]->uses != 1 || r->loads != 1 || r->window || cost > CHEAP) return false;
    if (n->kernel->n_stage != 1 || s->order != ORDER_CHAIN || !kernel_contraction(t, s, &c))
        return false;
    if (!reads_source(t, c.swapped ? s->acc[0].body : s->acc[0].body2, src)) return false;
    sx_visit(t, p->kernel->stage[0].out[0].value, turned_load, &x);
    return x.found && s->acc[0].dtype == DT_F32;
}

typedef struct Rows {
    SxTable *t;
    int rank;
    int loads;
} Rows;

/* At places that data name, along the last index. */
static void row_of_data(void *context, const Sx *e)
{
    Rows *x = context;
    int n = e->n - (e->guarded ? 1 : 0);
    bool data = false;

    if (e->op != SX_LOAD || e->flat || n < 2) return;
    if (!along_last(e->arg[n - 1], x->rank)) return;
    for (int i = 0; i < n - 1; i++)
        sx_visit(x->t, e->arg[i], load_in_index, &data);
    x->loads += data;
}

/* Several rows of an image in one (layout_samples.c). */
static bool samples_rows(SxTable *t, const Node *p)
{
    Rows x = {t, p->kernel->stage[0].rank, 0};

    sx_visit(t, p->kernel->stage[0].out[0].value, row_of_data, &x);
    return x.loads > 1;
}

/* NULL: compute p where n reads it. Else the reason why not. */
static const char *why_keep(SxTable *t, const Node *n, int src, const Node *p)
{
    Reads r = reads_of(t, n, src);
    int cost = expression_cost(t, p->kernel->stage[0].out[0].value);
    bool single = p->out[0]->uses == 1;
    bool contraction =
        n->kernel->stage[0].n_acc == 1 && n->kernel->stage[0].acc[0].monoid == MONOID_DOT;

    if (is_scatter_init(n, src)) return "its result is scattered into";
    if (n->kernel->n_stage > 1) return "the reader has stages";
    if (n->kernel->stage[0].scan_axis >= 0 && cost > 0) return "the reader is a scan";
    if (n->n_in + p->n_in - 1 > MAX_OPERANDS) return "too many operands";
    if (contraction && is_compact(t, n, src, p, &r)) return NULL;
    if (contraction && is_turned(t, n, src, p, &r, cost)) return NULL;
    if (contraction && cost > 0) return "a contraction reads it often";
    if (contraction && r.window && !view_keeps_last(t, p) && !all_constant(p))
        return "a convolution would read it out of order";
    if (contraction && r.window && divides_indices(t, p) && !all_constant(p))
        return "a convolution would find its places often";
    if (r.data && r.loads > 1 && !r.turned && !view_keeps_last(t, p)) return "its rows are sampled";
    if (r.turned && samples_rows(t, p)) return "it samples rows";
    if (r.loads > 1 && cost > CHEAP) return "read at several places";
    if (r.repeats && cost > CHEAP) return "every element would be computed several times";
    if (r.window && cost > 0) return "windows overlap";
    if (!single && cost > CHEAP) return "several kernels read it";
    if (!single && cost > 0 && p->n_in > 1) return "several kernels would read its operands";
    if (!single && divides_indices(t, p)) return "several kernels would find its places";
    if (cost * (r.loads ? r.loads : 1) > MAX_COST) return "the body would be too large";
    return NULL;
}

static bool try_inline(Fuse *f, Node *n)
{
    SxTable *t = &n->parent->module->sx;

    for (int i = 0; i < n->n_in; i++) {
        Node *p = n->in[i]->def;
        const char *why;
        Value *result;

        if (!p || p->parent != n->parent || !is_map_kernel(p)) continue;
        why = why_keep(t, n, i, p);
        if (why) {
            why_not(n, p, why);
            continue;
        }
        if (!pass_accept(f->cx)) return false;
        result = n->in[i];
        if (!fuse_inline(n, i, p)) {
            why_not(n, p, "a flat load of it");
            continue;
        }
        if (result->uses == 0) {
            for (int k = 0; k < p->n_in; k++)
                p->in[k]->uses--;
            node_unlink(p);
        }
        f->changed = true;
        return true;
    }
    return false;
}

/* ---- epilogues ---- */

typedef struct AtPoint {
    int src, rank;
    bool yes;
} AtPoint;

static void at_point(void *context, const Sx *e)
{
    AtPoint *x = context;

    if ((e->op == SX_LOAD || e->op == SX_CHECK) && e->src == x->src && !load_at_point(e, x->rank))
        x->yes = false;
}

/* Bytes that n makes wider for one reader, which can do so itself from a quarter of the memory. */
static bool widens_bytes(const Node *p, const Node *n)
{
    const Value *v = n->out[0];

    if (dtype_bits(p->out[0]->type.dtype) != 8 || dtype_bits(v->type.dtype) <= 8) return false;
    for (int i = 0; i < n->parent->n_result; i++)
        if (value_resolve(n->parent->result[i]) == v) return false;
    return v->uses == 1;
}

static const char *why_apart(SxTable *t, const Node *n, int src, const Node *p)
{
    const Stage *s = &n->kernel->stage[0], *q;
    AtPoint x = {src, s->rank, true};

    if (p->kind != NODE_KERNEL || p->parent != n->parent || is_map_kernel(p)) return "";
    q = &p->kernel->stage[p->kernel->n_stage - 1];
    if (p->kernel->n_stage != 1 || q->n_out != 1 || q->out[0].dst || p->n_out != 1) return "";
    if (p->out[0]->uses != 1) return "another kernel reads the result";
    if (q->rank != s->rank) return "its domain is another";
    for (int i = 0; i < s->rank; i++)
        if (q->extent[i] != s->extent[i]) return "its domain is another";
    if (q->scan_axis >= 0) return "it is a scan";
    sx_visit(t, s->out[0].value, at_point, &x);
    if (!x.yes) return "the result is read at other points";
    if (n->n_in + p->n_in - 1 > MAX_OPERANDS) return "too many operands";
    if (widens_bytes(p, n)) return "its one reader widens the bytes";
    return NULL;
}

static bool try_epilogue(Fuse *f, Node *n)
{
    SxTable *t = &n->parent->module->sx;
    Node *best = NULL;
    int src = -1;

    if (!is_map_kernel(n)) return false;
    for (int i = 0; i < n->n_in; i++) {
        Node *p = n->in[i]->def;
        const char *why = p ? why_apart(t, n, i, p) : "";

        if (why && *why) why_not(n, p, why);
        if (why) continue;
        /* of several, the one with the most work: it gains most from keeping its result in
         * registers */
        if (!best || p->kernel->stage[0].acc[0].monoid == MONOID_DOT) {
            best = p;
            src = i;
        }
    }
    if (!best || !pass_accept(f->cx)) return false;
    fuse_epilogue(best, n, src);
    node_unlink(best);
    f->changed = true;
    return true;
}

/* Views that cancel out (a transpose and its inverse) leave a copy of the operand: its readers read
 * the operand. */
static bool try_identity(Fuse *f, Node *n)
{
    const Sx *e;
    Value *v;

    if (!is_map_kernel(n) || n->n_in != 1) return false;
    e = n->kernel->stage[0].out[0].value;
    v = n->in[0];
    if (!load_at_point(e, v->type.rank) || !type_equal(&v->type, &n->out[0]->type)) return false;
    if (!pass_accept(f->cx)) return false;
    v->uses += n->out[0]->uses - 1;
    if (!v->name) v->name = n->out[0]->name;
    value_replace(n->out[0], v);
    node_unlink(n);
    f->changed = true;
    return true;
}

static Status fuse_node(void *context, Node *n)
{
    Fuse *f = context;

    for (int i = 0; i < n->n_in; i++)
        n->in[i] = value_resolve(n->in[i]);
    if (n->kind != NODE_KERNEL) return OK;
    f->changed |= fuse_tidy(n);
    while (try_inline(f, n))
        f->changed |= fuse_tidy(n);
    if (try_identity(f, n)) return OK;
    while (try_epilogue(f, n))
        ;
    return OK;
}

Status pass_fuse(PassContext *cx, Module *m, bool *changed)
{
    Fuse f = {.cx = cx};

    TRY(module_visit(m, fuse_node, &f));
    module_resolve(m);
    *changed = f.changed;
    return OK;
}
