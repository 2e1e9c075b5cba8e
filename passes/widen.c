/* widen.c: 16-bit floats that are read often stand in memory as f32.
 *
 *     y = cast:f16(...)                 y = cast:f32(cast:f16(...))
 *     dot(cast:f32(load:f16(y)), ...)   dot(load:f32(y), ...)
 *
 * Windows and contractions read each element many times and widen it each time; the maker does so
 * once, for twice the memory. The numbers are the same: still rounded to 16 bits. A value is
 * widened when all that reads it widens it first; a concatenation, and what only moves elements, is
 * widened with its operands or not at all, and of such a group one member must be read often.
 *
 * Behind `fuse`, which decides what is memory at all; before `halo`, which then sees plain loads.
 * Ends: each value is widened at most once. */
#include "passes/fuse_inline.h"
#include "support/map.h"
#include "support/vec.h"

typedef struct Wide { /* a value that may be widened */
    Value *v;
    bool no;    /* something keeps it */
    bool often; /* it, or one of its group, is read often */
} Wide;

typedef struct Link { /* both or neither */
    Wide *a, *b;
} Link;

typedef struct Widen {
    PassContext *cx;
    Module *m;
    Map wide; /* Value * -> Wide * */
    Link *link;
    int n_link, cap_link;
    bool changed;
} Widen;

static Wide *wide_of(Widen *x, const Value *v)
{
    return v ? map_get(&x->wide, v) : NULL;
}

static void keep(Widen *x, const Value *v)
{
    Wide *w = wide_of(x, v);

    if (w) w->no = true;
}

static void tie(Widen *x, const Value *a, const Value *b)
{
    Link l = {wide_of(x, a), wide_of(x, b)};

    if (!l.a) keep(x, b);
    if (!l.b) keep(x, a);
    if (l.a && l.b) VEC_PUSH(x->cx->scratch, x->link, x->n_link, x->cap_link, l);
}

/* ---- candidates ---- */

static bool is_half(DType t)
{
    return t == DT_F16 || t == DT_BF16;
}

static const Sx *only_load(const Kernel *k, int j)
{
    const Sx *e = k->stage[0].out[j].value;

    return k->n_stage == 1 && e->op == SX_LOAD && e->src >= 0 ? e : NULL;
}

/* Results that the maker can round and widen: of a scatter, what stands there already is read. */
static bool can_widen(const Node *n, const Value *v)
{
    if (n->kind == NODE_CONCAT) return true;
    if (n->kind != NODE_KERNEL) return false;
    for (int i = 0; i < n->kernel->n_stage; i++)
        for (int j = 0; j < n->kernel->stage[i].n_out; j++) {
            const StageOut *o = &n->kernel->stage[i].out[j];
            if (o->result == v->index) return !o->dst && (j || i == n->kernel->n_stage - 1);
        }
    return false;
}

static Status note_value(void *context, Node *n)
{
    Widen *x = context;

    for (int i = 0; i < n->n_out; i++) {
        Value *v = n->out[i];
        Wide *w;
        if (!v || v->data || v->type.kind != TYPE_TENSOR || !is_half(v->type.dtype)) continue;
        if (!can_widen(n, v)) continue;
        w = ARENA_NEW(x->cx->scratch, Wide);
        w->v = v;
        map_set(&x->wide, v, w);
    }
    return OK;
}

/* ---- readers ---- */

typedef struct Read {
    Widen *x;
    const Node *n;
    bool often;
} Read;

static bool widens(const Sx *e)
{
    return e->op == SX_CAST && (e->dtype == DT_F32 || e->dtype == DT_F64);
}

/* Every load is some expression's argument, or a whole one. */
static void read_args(void *context, const Sx *e)
{
    Read *r = context;

    if (e->op == SX_CHECK && e->src >= 0) keep(r->x, r->n->in[e->src]);
    for (int i = 0; i < e->n; i++) {
        const Sx *load = e->arg[i];
        Wide *w = load->op == SX_LOAD && load->src >= 0 ? wide_of(r->x, r->n->in[load->src]) : NULL;
        if (!w) continue;
        if (!widens(e)) w->no = true;
        if (r->often) w->often = true;
    }
}

static void read_whole(Read *r, const Sx *e)
{
    if (e->op == SX_LOAD && e->src >= 0) keep(r->x, r->n->in[e->src]);
    sx_visit(&r->x->m->sx, e, read_args, r);
}

static void read_stage(Read *r, const Node *n, const Stage *s)
{
    r->often = true;
    for (int j = 0; j < s->n_acc; j++) {
        if (!s->n_reduce) r->often = false;
        read_whole(r, s->acc[j].body);
        if (s->acc[j].body2) read_whole(r, s->acc[j].body2);
    }
    r->often = false;
    for (int j = 0; j < s->n_out; j++) {
        const StageOut *o = &s->out[j];
        const Sx *load = only_load(n->kernel, j);
        if (o->dst) keep(r->x, n->in[o->init]);
        if (load && o->result >= 0)
            tie(r->x, n->in[load->src], n->out[o->result]);
        else
            read_whole(r, o->value);
        if (o->dst_guard) read_whole(r, o->dst_guard);
        for (int q = 0; q < o->n_dst; q++)
            read_whole(r, o->dst[q]);
    }
}

static Status note_reader(void *context, Node *n)
{
    Widen *x = context;
    Read r = {.x = x, .n = n};

    for (int k = 0; k < n->n_region; k++)
        for (int i = 0; i < n->region[k]->n_result; i++)
            keep(x, n->region[k]->result[i]);
    if (n->kind == NODE_KERNEL) {
        for (int i = 0; i < n->kernel->n_stage; i++)
            read_stage(&r, n, &n->kernel->stage[i]);
        return OK;
    }
    for (int i = 0; i < n->n_in; i++) {
        if (n->kind == NODE_CONCAT)
            tie(x, n->in[i], n->out[0]);
        else
            keep(x, n->in[i]);
    }
    return OK;
}

static void settle(Widen *x)
{
    bool more = true;

    while (more) {
        more = false;
        for (int i = 0; i < x->n_link; i++) {
            Wide *a = x->link[i].a, *b = x->link[i].b;
            more |= a->no != b->no || a->often != b->often;
            a->no = b->no = a->no || b->no;
            a->often = b->often = a->often || b->often;
        }
    }
}

/* ---- the change ---- */

static bool is_wide(Widen *x, const Value *v)
{
    const Wide *w = wide_of(x, v);

    return w && !w->no && w->often;
}

typedef struct Loads {
    Widen *x;
    const Node *n;
} Loads;

static const Sx *wide_load(void *context, const Sx *e)
{
    Loads *w = context;
    int n = e->n - (e->guarded ? 1 : 0);
    const Sx *guard = e->guarded ? e->arg[n] : NULL;

    if (e->op != SX_LOAD || e->src < 0 || !is_wide(w->x, w->n->in[e->src])) return NULL;
    if (e->flat) return sx_load_flat(&w->x->m->sx, DT_F32, e->src, e->arg[0], guard);
    return sx_load(&w->x->m->sx, DT_F32, e->src, n, e->arg, guard);
}

static const Sx *wide_expr(void *context, const Sx *e)
{
    Loads *w = context;
    return sx_rewrite(&w->x->m->sx, e, wide_load, w);
}

static bool touches(Widen *x, const Node *n)
{
    for (int i = 0; i < n->n_in; i++)
        if (is_wide(x, n->in[i])) return true;
    for (int i = 0; i < n->n_out; i++)
        if (is_wide(x, n->out[i])) return true;
    return false;
}

static Status widen_node(void *context, Node *n)
{
    Widen *x = context;
    Loads loads = {x, n};
    Kernel *k;

    if (n->kind != NODE_KERNEL || !touches(x, n)) return OK;
    k = arena_copy(x->m->arena, n->kernel, sizeof *k);
    kernel_map_exprs(x->m->arena, k, wide_expr, &loads);
    for (int i = 0; i < k->n_stage; i++)
        for (int j = 0; j < k->stage[i].n_out; j++) {
            StageOut *o = &k->stage[i].out[j];
            if (o->result < 0 || !is_wide(x, n->out[o->result])) continue;
            o->dtype = DT_F32;
            o->value = sx_cast(&x->m->sx, o->value, DT_F32);
        }
    n->kernel = k;
    x->changed = true;
    return OK;
}

static Status widen_type(void *context, Node *n)
{
    for (int i = 0; i < n->n_out; i++)
        if (is_wide(context, n->out[i])) n->out[i]->type.dtype = DT_F32;
    return OK;
}

Status pass_widen(PassContext *cx, Module *m, bool *changed)
{
    Widen x = {.cx = cx, .m = m};

    map_init(&x.wide, cx->scratch, false);
    TRY(module_visit(m, note_value, &x));
    if (!x.wide.count) return OK;
    TRY(module_visit(m, note_reader, &x));
    for (int i = 0; i < m->main->n_result; i++)
        keep(&x, m->main->result[i]);
    settle(&x);
    if (!pass_accept(cx)) return OK;
    TRY(module_visit(m, widen_node, &x));
    TRY(module_visit(m, widen_type, &x));
    *changed = x.changed;
    return OK;
}
