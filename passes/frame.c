/* frame.c: the mechanics of frames. See frame.h. */
#include "passes/frame.h"

#include "passes/fuse_inline.h"
#include "support/vec.h"

/* ---- who reads what ---- */

Readers *frame_readers(Frames *f, const Value *v)
{
    Readers *r = map_get(&f->readers, v);

    if (!r) {
        r = ARENA_NEW(f->scratch, Readers);
        map_set(&f->readers, v, r);
    }
    return r;
}

void frame_add_reader(Frames *f, const Value *v, Node *n)
{
    Readers *r = frame_readers(f, v);

    VEC_PUSH(f->scratch, r->node, r->n, r->cap, n);
}

typedef struct Plain {
    int src;
    bool yes;
} Plain;

static void plain_load(void *context, const Sx *e)
{
    Plain *p = context;

    if ((e->op == SX_LOAD || e->op == SX_CHECK) && e->src == p->src)
        p->yes &= e->op == SX_LOAD && !e->flat;
}

/* Whether all that the kernel reads of operand src are loads at indices. */
static bool reads_by_index(Module *m, const Node *n, int src)
{
    Plain p = {src, true};

    if (n->kind != NODE_KERNEL) return false;
    for (int i = 0; i < n->kernel->n_stage; i++)
        for (int j = 0; j < n->kernel->stage[i].n_out; j++)
            if (n->kernel->stage[i].out[j].dst && n->kernel->stage[i].out[j].init == src)
                return false;
    for (int i = 0; i < n->kernel->n_stage; i++)
        stage_visit_exprs(&m->sx, &n->kernel->stage[i], plain_load, &p);
    return p.yes;
}

bool frame_reader_follows(Frames *f, const Value *v, const Node *n)
{
    for (int k = 0; k < n->n_in; k++)
        if (n->in[k] == v && !reads_by_index(f->m, n, k)) return false;
    return true;
}

bool frame_readers_follow(Frames *f, const Value *v)
{
    const Readers *r = frame_readers(f, v);

    for (int i = 0; i < r->n; i++)
        if (!frame_reader_follows(f, v, r->node[i])) return false;
    return !r->given;
}

static Status note_readers(void *context, Node *n)
{
    Frames *f = context;

    for (int i = 0; i < n->n_in; i++)
        if (n->in[i] && !n->in[i]->data) frame_add_reader(f, n->in[i], n);
    for (int k = 0; k < n->n_region; k++)
        for (int i = 0; i < n->region[k]->n_result; i++)
            frame_readers(f, n->region[k]->result[i])->given = true;
    return OK;
}

Status frames_start(Frames *f, Module *m, Arena *scratch)
{
    *f = (Frames){.m = m, .scratch = scratch};
    map_init(&f->readers, scratch, false);
    TRY(module_visit(m, note_readers, f));
    for (int i = 0; i < m->main->n_result; i++)
        frame_readers(f, m->main->result[i])->given = true;
    return OK;
}

/* ---- makers ---- */

StageOut *frame_maker(const Value *v)
{
    const Node *n = v->def;

    if (!n || n->kind != NODE_KERNEL || n->kernel->n_stage != 1) return NULL;
    if (n->kernel->stage[0].scan_axis >= 0) return NULL;
    for (int j = 0; j < n->kernel->stage[0].n_out; j++) {
        StageOut *o = &n->kernel->stage[0].out[j];
        if (o->result == v->index) return o->dst || o->before ? NULL : o;
    }
    return NULL;
}

/* The maker's stages are its own before they change. */
static StageOut *own_maker(Module *m, Value *v)
{
    Kernel *k = arena_copy(m->arena, v->def->kernel, sizeof *k);

    k->stage = arena_copy(m->arena, k->stage, sizeof(Stage));
    k->stage[0].out =
        arena_copy(m->arena, k->stage[0].out, sizeof(StageOut) * (size_t)k->stage[0].n_out);
    v->def->kernel = k;
    return frame_maker(v);
}

void frame_set(Module *m, Value *v, const Dim *dims, const int64_t *before, int64_t border,
               uint32_t open)
{
    size_t rank = (size_t)v->type.rank;
    bool same = !open;
    StageOut *o;

    for (int i = 0; i < v->type.rank; i++)
        same &= v->type.dim[i] == dims[i];
    if (!same) { /* where a guard was never needed, a frame is no wider than the value */
        o = own_maker(m, v);
        o->before = arena_copy(m->arena, before, sizeof *before * rank);
        o->border = border;
        o->open = open;
    }
    v->type.dim = arena_copy(m->arena, dims, sizeof *dims * rank);
}

Value *frame_copy(Build *b, Value *v, const char *label, const Dim *dims, const int64_t *before)
{
    const Sx *idx[MAX_RANK];

    for (int i = 0; i < v->type.rank; i++)
        idx[i] = sx_add(b->sx, sx_index(b->sx, i), sx_i64(b, before ? before[i] : 0));
    return build_map(b, label, 1, &v, v->type.dtype, v->type.rank, dims, sx_at(b, 0, v, idx));
}

/* ---- readers look elsewhere ---- */

typedef struct Shift {
    SxTable *t;
    const FrameShift *by;
} Shift;

static const Sx *shift_leaf(void *context, const Sx *e)
{
    const Shift *s = context;
    const FrameShift *w = s->by;
    const Sx *idx[MAX_RANK], *guard;
    int n = e->n - (e->guarded ? 1 : 0);

    if (e->op != SX_LOAD || e->src != w->src) return NULL;
    if (w->to != w->src && e != w->open) return NULL;
    for (int i = 0; i < n; i++)
        idx[i] = sx_add(s->t, e->arg[i], sx_const_int(s->t, DT_I64, w->before[i]));
    guard = e->guarded && e != w->open ? e->arg[n] : NULL;
    return sx_load(s->t, e->dtype, w->to, n, idx, guard);
}

static const Sx *shift_expr(void *context, const Sx *e)
{
    const Shift *s = context;
    const Sx *from = e == s->by->whole && e->op == SX_SELECT ? e->arg[1] : e;

    return sx_rewrite(s->t, from, shift_leaf, context);
}

void frame_shift(Module *m, Node *n, const FrameShift *w)
{
    Kernel *k = arena_copy(m->arena, n->kernel, sizeof *k);
    Shift s = {&m->sx, w};

    kernel_map_exprs(m->arena, k, shift_expr, &s);
    n->kernel = k;
}
