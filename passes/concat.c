/* concat.c: the makers of a concatenation's pieces write them where they belong.
 *
 *     a : [1,h,w,64]   b : [1,h,w,32]   c = concat(a, b) axis 3
 *
 *     a : [1,h,w,96] = kernel ... frame [0,0,0,0] open 8
 *     b : [1,h,w,96] = kernel ... frame [0,0,0,64] open 15
 *     c : [1,h,w,96] = concat(a, b) axis 3 whole
 *
 * a, b and c are one memory, of which a holds the first 64 channels and b the others; their other
 * readers look there. A piece may be a concatenation itself; the later one is looked at first, so
 * that all of a chain lie in the last, as does one whose pieces stand side by side there. Where a
 * convolution reads c within a frame, by a padded copy that nobody else reads, they lie in that
 * copy, and the first piece makes its border. A piece that cannot be made so (an input, one that
 * stands in another place already) is copied, as it was before.
 *
 * Behind `halo`. Known sizes only; pieces of the outermost axis lie one behind the other anyway
 * (codegen/plan.c). Ends: a concatenation becomes whole once. */
#include <string.h>

#include "passes/frame.h"
#include "passes/fuse_inline.h"

typedef struct Box { /* where a value lies, and its own dims */
    Dim dims[MAX_RANK], own[MAX_RANK];
    int64_t before[MAX_RANK], border;
    uint32_t open;
} Box;

typedef struct Concats {
    PassContext *cx;
    Module *m;
    Frames frames;
    Map box; /* Value * -> Box * */
    bool changed;
} Concats;

/* ---- which ---- */

static bool is_known(const Value *v)
{
    for (int i = 0; i < v->type.rank; i++)
        if (!dim_is_const(v->type.dim[i]) || v->type.dim[i]->value < 1) return false;
    return true;
}

static const Dim *own_dims(Concats *x, const Value *v)
{
    const Box *b = map_get(&x->box, v);

    return b ? b->own : v->type.dim;
}

static bool is_splittable(Concats *x, const Node *n)
{
    for (int i = 0; i < n->n_in; i++) {
        const Value *v = n->in[i];
        const Dim *own = own_dims(x, v);
        if (v->data && v->type.dtype == DT_STRING) return false;
        for (int k = 0; k < v->type.rank; k++)
            if (!dim_is_const(own[k]) || own[k]->value < 1) return false;
    }
    return is_known(n->out[0]) && !n->whole && n->out[0]->type.dtype != DT_STRING;
}

static bool outermost(const Node *n)
{
    for (int i = 0; i < n->axis; i++)
        if (!dim_is(n->out[0]->type.dim[i], 1)) return false;
    return true;
}

/* Kernels look elsewhere, and concatenations that are looked at after n. */
static bool readers_follow(Concats *x, const Value *v, const Node *n)
{
    const Readers *r = frame_readers(&x->frames, v);

    for (int i = 0; i < r->n; i++) {
        const Node *p = r->node[i];
        bool later = p->kind == NODE_CONCAT && p->parent == n->parent && is_splittable(x, p);
        if (p != n && !later && !frame_reader_follows(&x->frames, v, p)) return false;
    }
    return !r->given;
}

/* Whether piece v of n can be made within a box. */
static bool can_place(Concats *x, const Value *v, const Node *n)
{
    if (v->data || !v->def || v->def->parent != n->parent || map_get(&x->box, v)) return false;
    if (!readers_follow(x, v, n)) return false;
    if (v->def->kind == NODE_CONCAT) return v->def->axis == n->axis && is_splittable(x, v->def);
    return frame_maker(v) != NULL;
}

/* The padded copy that alone reads v, or NULL. */
static Node *padded_copy(Concats *x, const Value *v)
{
    const Readers *r = frame_readers(&x->frames, v);
    const StageOut *o;
    Node *p;

    if (r->n != 1 || r->given || r->node[0]->kind != NODE_KERNEL || r->node[0]->n_in != 1)
        return NULL;
    p = r->node[0];
    if (p->parent != v->def->parent || p->kernel->n_stage != 1 || p->kernel->stage[0].n_acc ||
        p->n_out != 1 || p->kernel->stage[0].scan_axis >= 0)
        return NULL;
    o = &p->kernel->stage[0].out[0];
    if (!o->before || o->open || o->dst || !load_at_point(o->value, v->type.rank)) return NULL;
    return frame_readers(&x->frames, p->out[0])->given ? NULL : p;
}

/* ---- the change ---- */

static void shift_readers(Concats *x, Value *v, const int64_t *before, const Node *except)
{
    const Readers *r = frame_readers(&x->frames, v);

    for (int i = 0; i < r->n; i++) {
        FrameShift shift = {.before = before};
        bool again = r->node[i] == except || r->node[i]->kind != NODE_KERNEL;
        for (int j = 0; j < i; j++)
            again |= r->node[j] == r->node[i];
        for (int k = 0; k < r->node[i]->n_in && !again; k++) {
            if (r->node[i]->in[k] != v) continue;
            shift.src = shift.to = k;
            frame_shift(x->m, r->node[i], &shift);
        }
    }
}

static void place(Concats *x, Value *v, const Box *in, const Node *n)
{
    Box *b = arena_copy(x->cx->scratch, in, sizeof *in);
    size_t rank = (size_t)v->type.rank;

    memcpy(b->own, v->type.dim, sizeof(Dim) * rank);
    map_set(&x->box, v, b);
    shift_readers(x, v, b->before, n);
    if (v->def->kind == NODE_CONCAT)
        v->type.dim = arena_copy(x->m->arena, b->dims, sizeof(Dim) * rank);
    else
        frame_set(x->m, v, b->dims, b->before, b->border, b->open);
}

static Value *copied(Concats *x, Value *v, Node *n, Status *s)
{
    Build b = build_at(n->parent, n, n->origin, x->cx->diag);
    const Box *box = map_get(&x->box, v);
    Value *y = frame_copy(&b, v, "copy", own_dims(x, v), box ? box->before : NULL);

    *s = b.status;
    if (y && !v->data) frame_add_reader(&x->frames, v, y->def);
    if (y) frame_add_reader(&x->frames, y, n);
    return y;
}

/* The whole is made in its padded copy. */
static void take_over(Concats *x, Value *c, Node *pad, Box *b)
{
    const StageOut *o = &pad->kernel->stage[0].out[0];
    size_t rank = (size_t)c->type.rank;

    memcpy(b->dims, pad->out[0]->type.dim, sizeof(Dim) * rank);
    memcpy(b->before, o->before, sizeof *b->before * rank);
    b->border = o->border;
    c->type.dim = pad->out[0]->type.dim;
    *frame_readers(&x->frames, c) = *frame_readers(&x->frames, pad->out[0]);
    value_replace(pad->out[0], c);
    node_unlink(pad);
}

/* Where the result lies: within another, in its padded copy, or as it is. */
static Box box_of(Concats *x, Node *n)
{
    Value *c = n->out[0];
    const Box *have = map_get(&x->box, c);
    Node *pad = have ? NULL : padded_copy(x, c);
    Box b = {0};

    if (have) return *have;
    if (pad)
        take_over(x, c, pad, &b);
    else
        memcpy(b.dims, c->type.dim, sizeof(Dim) * (size_t)c->type.rank);
    return b;
}

/* Pieces that stand side by side in another whole: the result is there. */
static bool stands_there(Concats *x, const Node *n, Box *b)
{
    const Box *first = map_get(&x->box, n->in[0]);
    size_t rank = (size_t)n->out[0]->type.rank;
    int64_t at;

    if (!first || map_get(&x->box, n->out[0]) || !frame_readers_follow(&x->frames, n->out[0]))
        return false;
    *b = *first;
    at = b->before[n->axis];
    for (int i = 0; i < n->n_in; i++) {
        const Box *p = map_get(&x->box, n->in[i]);
        if (!p || memcmp(p->dims, b->dims, sizeof(Dim) * rank) != 0) return false;
        for (int k = 0; k < n->out[0]->type.rank; k++)
            if (p->before[k] != (k == n->axis ? at : b->before[k])) return false;
        at += p->own[n->axis]->value;
    }
    return true;
}

static bool is_touched(Concats *x, const Node *n)
{
    bool touched = map_get(&x->box, n->out[0]) != NULL;

    for (int i = 0; i < n->n_in; i++)
        touched |= map_get(&x->box, n->in[i]) != NULL;
    return touched;
}

static Status concat_node(Concats *x, Node *n)
{
    Status s = OK;
    Box b;

    if (!is_touched(x, n) && (!is_splittable(x, n) ||
                              (outermost(n) && !padded_copy(x, n->out[0])) || !pass_accept(x->cx)))
        return OK;
    n->whole = x->changed = true;
    if (stands_there(x, n, &b)) {
        place(x, n->out[0], &b, NULL);
        return OK;
    }
    b = box_of(x, n);
    for (int i = 0; i < n->n_in; i++) {
        Value *v = n->in[i];
        int64_t extent = own_dims(x, v)[n->axis]->value;
        Box own = b;

        own.open = i ? (1u << v->type.rank) - 1 : b.open | 1u << n->axis;
        if (!can_place(x, v, n)) v = copied(x, v, n, &s);
        if (!v) return s;
        place(x, v, &own, n);
        n->in[i] = v;
        b.before[n->axis] += extent;
    }
    return OK;
}

/* The last first, so that a piece of a piece finds its place. */
static Status concat_region(Concats *x, Region *r)
{
    for (Node *n = r->last, *next; n; n = next) {
        next = n->prev;
        for (int i = 0; i < n->n_region; i++)
            TRY(concat_region(x, n->region[i]));
        if (n->kind == NODE_CONCAT) TRY(concat_node(x, n));
    }
    return OK;
}

Status pass_concat(PassContext *cx, Module *m, bool *changed)
{
    Concats x = {.cx = cx, .m = m};

    TRY(frames_start(&x.frames, m, cx->scratch));
    map_init(&x.box, cx->scratch, false);
    TRY(concat_region(&x, m->main));
    module_resolve(m);
    *changed = x.changed;
    return OK;
}
