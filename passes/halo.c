/* halo.c: windows of convolutions without guards.
 *
 *     x = relu(...)                                  x = relu(...) within a frame of zeros
 *     dot(x[n, h+r-1, w+s-1, c] if inside, ...)  ->  dot(x[n, h+r, w+s, c], ...)
 *
 * Behind `fuse`, which would put a padding back where it is read. What the window reaches beyond
 * its operand is laid out around it: the kernel that makes the operand writes into a frame, and all
 * its readers look behind the frame's edge. Where the maker cannot (an input, a concatenation, a
 * call) or another reader would not know of the frame, the convolution reads a padded copy: one
 * copy costs little beside reading each element often, except to depthwise convolutions, which keep
 * the guard. Of bytes that a zero point is taken from, select(inside, i32(x) - z, 0), the frame is
 * one of z: i32(x) - z; z may also be data that x was made with: then a copy has it around. Only
 * guards that ask exactly for the operand's bounds are taken. Works for open extents too.
 *
 * Ends: each change removes a guard. Runs after layout: the channels are the last axis. */
#include "passes/frame.h"
#include "passes/fuse_inline.h"

#include <math.h>
#include <string.h>

#include "ir/build.h"
#include "support/vec.h"

typedef struct Frame { /* around value `of` */
    Value *of, *v;     /* v: the padded copy, once there is one */
    int64_t before[MAX_RANK];
    Dim dims[MAX_RANK];
    int64_t border; /* what stands around the value, */
    Value *zero;    /* or the number that does, found out at run time; NULL: `border` */
} Frame;

/* A convolution that wants one. */
typedef struct Want {
    Node *n;
    bool often; /* a copy pays */
    Frame frame;
} Want;

typedef struct Halo {
    PassContext *cx;
    Module *m;
    Frames frames;
    Want *want;
    int n_want, cap_want;
    Frame *copy;
    int n_copy, cap_copy;
    bool changed;
} Halo;

/* ---- what a window reaches ---- */

/* The least (or greatest) value of an affine index, as a dim; NULL when it has another form. */
static Dim reach(DimTable *t, const Stage *s, const Sx *e, bool greatest)
{
    Dim a, b;

    switch (e->op) {
    case SX_CONST:
        return dim_const(t, (int64_t)e->bits);
    case SX_DIM:
        return e->dim;
    case SX_INDEX:
        a = e->index < s->rank ? s->extent[e->index] : s->reduce[e->index - s->rank];
        return greatest ? dim_add_c(t, a, -1) : dim_const(t, 0);
    case SX_ADD:
        a = reach(t, s, e->arg[0], greatest);
        b = reach(t, s, e->arg[1], greatest);
        return a && b ? dim_add(t, a, b) : NULL;
    case SX_SUB:
        a = reach(t, s, e->arg[0], greatest);
        b = reach(t, s, e->arg[1], !greatest);
        return a && b ? dim_sub(t, a, b) : NULL;
    case SX_MUL:
        if (e->arg[1]->op != SX_CONST || (int64_t)e->arg[1]->bits < 0) return NULL;
        a = reach(t, s, e->arg[0], greatest);
        return a ? dim_mul_c(t, a, (int64_t)e->arg[1]->bits) : NULL;
    case SX_DIV: /* several channels for one of the operand's */
        if (e->arg[1]->op != SX_CONST || (int64_t)e->arg[1]->bits < 1) return NULL;
        a = reach(t, s, e->arg[0], greatest);
        if (!a || a->lo < 0) return NULL;
        return dim_div(t, a, dim_const(t, (int64_t)e->arg[1]->bits));
    default:
        return NULL;
    }
}

/* A guard that says no more than 0 <= arg[i] and arg[i] < dim[i], for some axes. */
static bool asks_for_bounds(SxTable *t, const Sx *guard, const Sx *load, const Type *type)
{
    int n = load->n - 1;

    if (guard->op == SX_AND)
        return asks_for_bounds(t, guard->arg[0], load, type) &&
               asks_for_bounds(t, guard->arg[1], load, type);
    for (int i = 0; i < n; i++) {
        if (guard->op == SX_LE && guard->arg[1] == load->arg[i] && guard->arg[0]->op == SX_CONST &&
            guard->arg[0]->bits == 0)
            return true;
        if (guard->op == SX_LT && guard->arg[0] == load->arg[i] &&
            guard->arg[1] == sx_dim(t, type->dim[i]))
            return true;
    }
    return false;
}

/* Where the window begins before the operand, and the dims that it reaches. */
static bool frame_of(Halo *h, const Stage *s, const Sx *load, const Type *type, Frame *f)
{
    DimTable *t = &h->m->dims;

    for (int i = 0; i < load->n - 1; i++) {
        Dim lo = reach(t, s, load->arg[i], false), hi = reach(t, s, load->arg[i], true);

        if (!lo || !hi || !dim_is_const(lo)) return false;
        f->before[i] = lo->value < 0 ? -lo->value : 0;
        hi = dim_add_c(t, hi, f->before[i] + 1);
        f->dims[i] = dim_max(t, hi, dim_add_c(t, type->dim[i], f->before[i]));
    }
    return true;
}

/* ---- wants ---- */

/* One side of a contraction: the guarded load that is the whole of it, or all but the conversion of
 * bytes. */
typedef struct Side {
    const Sx *load, *whole;
    const Sx *zero; /* load of the border, the same everywhere; NULL: it is `border` */
    int64_t border;
} Side;

/* The load of i32(byte), or NULL. */
static const Sx *widened(const Sx *e)
{
    if (e->op != SX_CAST || e->dtype != DT_I32 || e->arg[0]->op != SX_LOAD) return NULL;
    e = e->arg[0];
    return e->src >= 0 && (e->dtype == DT_U8 || e->dtype == DT_I8) ? e : NULL;
}

/* The load of i32(load), of select(its guard, i32(load) + c, 0), then -c is its border, or of
 * select(its guard, i32(load) - i32(z), 0). */
static const Sx *byte_load(const Sx *e, Side *side)
{
    const Sx *guard = NULL, *zero = NULL;

    if (e->op == SX_SELECT && e->arg[2]->op == SX_CONST && e->arg[2]->bits == 0) {
        guard = e->arg[0];
        e = e->arg[1];
        if (e->op == SX_ADD && e->arg[1]->op == SX_CONST) {
            side->border = -(int64_t)(int32_t)e->arg[1]->bits;
            e = e->arg[0];
        } else if (e->op == SX_SUB) {
            zero = widened(e->arg[1]);
            if (!zero || zero->guarded || !sx_is_scalar(zero)) return NULL;
            e = e->arg[0];
        }
    }
    e = widened(e);
    if (!e || !e->guarded || (guard && e->arg[e->n - 1] != guard)) return NULL;
    if (zero && zero->dtype != e->dtype) return NULL;
    side->zero = zero;
    if (e->dtype == DT_U8) return side->border < 0 || side->border > 255 ? NULL : e;
    return side->border < -128 || side->border > 127 ? NULL : e;
}

static Side guarded_side(const Node *n)
{
    const Acc *acc = &n->kernel->stage[0].acc[0];
    const Sx *side[] = {acc->body, acc->body2};

    for (int i = 0; i < 2; i++) {
        Side y = {.load = side[i], .whole = side[i]};
        if (y.load->op != SX_LOAD) y.load = byte_load(side[i], &y);
        if (y.load && y.load->guarded && !y.load->flat && y.load->src >= 0 &&
            !n->in[y.load->src]->data)
            return y;
    }
    return (Side){0};
}

/* Weights of their own for every output channel: else an element is read too seldom for a copy. */
static bool reads_often(SxTable *t, const Stage *s, const Sx *load)
{
    const Sx *other = s->acc[0].body == load ? s->acc[0].body2 : s->acc[0].body;

    if (s->acc[0].dtype == DT_I32) return true; /* copies of bytes cost less than guards */
    for (int i = 0; i < s->rank; i++)
        if (sx_uses_index(t, other, i) && !sx_uses_index(t, load, i)) return true;
    return false;
}

/* Whether z is there wherever v is. */
static bool is_there_before(const Value *z, const Value *v)
{
    if (!z->def && z->region == z->region->module->main) return true;
    for (int i = 0; v->def && i < v->def->n_in; i++)
        if (v->def->in[i] == z) return true;
    return false;
}

static Status note_want(void *context, Node *n)
{
    Halo *h = context;
    SxTable *t = &h->m->sx;
    Want w = {.n = n};
    const Sx *load;
    Side side;

    if (n->kind != NODE_KERNEL || n->kernel->n_stage != 1) return OK;
    const Stage *s = &n->kernel->stage[0];
    if (s->n_acc != 1 || s->acc[0].monoid != MONOID_DOT || s->order != ORDER_CHAIN ||
        (s->acc[0].dtype != DT_F32 && s->acc[0].dtype != DT_I32))
        return OK;
    side = guarded_side(n);
    load = side.load;
    if (!load) return OK;
    w.frame.border = side.border;
    w.frame.of = n->in[load->src];
    w.frame.zero = side.zero ? n->in[side.zero->src] : NULL;
    if (w.frame.zero && w.frame.zero->data) {
        w.frame.border = tensor_int(w.frame.zero->data, 0);
        w.frame.zero = NULL;
    }
    if (w.frame.zero && !is_there_before(w.frame.zero, w.frame.of)) return OK;
    w.often = reads_often(t, s, load);
    if (!asks_for_bounds(t, load->arg[load->n - 1], load, &w.frame.of->type)) return OK;
    if (frame_of(h, s, load, &w.frame.of->type, &w.frame))
        VEC_PUSH(h->cx->scratch, h->want, h->n_want, h->cap_want, w);
    return OK;
}

/* ---- the convolution reads without a guard ---- */

static bool is_finite(const Tensor *t) /* of f32 */
{
    const char *at = t->data;

    for (int64_t i = 0; i < t->count; i++, at += sizeof(float)) {
        float v;
        memcpy(&v, at, sizeof v);
        if (!isfinite(v)) return false;
    }
    return true;
}

/* What the guard asked still tells which products are none. Not of weights that are infinite: these
 * times the zeros of the frame would be NaN, for those who do not leave them out. */
static bool tells_where(const Node *n, const Sx *open)
{
    const Acc *a = &n->kernel->stage[0].acc[0];
    const Sx *other = a->body == open ? a->body2 : a->body;
    const Tensor *t = other->op == SX_LOAD && other->src >= 0 ? n->in[other->src]->data : NULL;

    return a->dtype == DT_F32 && t && t->dtype == DT_F32 && is_finite(t);
}

static void shift_loads(Halo *h, Node *n, const FrameShift *w)
{
    const Sx *where = w->open && tells_where(n, w->open) ? w->open->arg[w->open->n - 1] : NULL;

    frame_shift(h->m, n, w);
    if (where) n->kernel->stage[0].acc[0].where = where;
}

/* ---- padded copies ---- */

/* What only moves elements (a transposition) is done by the copy itself. */
static bool is_view(const Value *v)
{
    const Kernel *k = v->def && v->def->kind == NODE_KERNEL ? v->def->kernel : NULL;

    return k && k->n_stage == 1 && k->stage[0].n_acc == 0 && k->stage[0].n_out == 1 &&
           !k->stage[0].out[0].dst && !k->stage[0].out[0].before &&
           k->stage[0].out[0].value->op == SX_LOAD;
}

/* A copy that selects between v and a border found out at run time. */
static Value *build_bordered(Build *b, const Frame *f)
{
    Value *v = f->of, *in[] = {v, f->zero};
    const Sx *idx[MAX_RANK], *guard = NULL;

    for (int i = 0; i < v->type.rank; i++) {
        const Sx *g;
        idx[i] = sx_sub(b->sx, sx_index(b->sx, i), sx_i64(b, f->before[i]));
        g = sx_inside(b, idx[i], v->type.dim[i], v->type.rank, f->dims);
        guard = guard && g ? sx_and(b->sx, guard, g) : g ? g : guard;
    }
    const Sx *e = sx_at_guarded(b, 0, v, idx, guard);
    for (int i = 0; i < f->zero->type.rank; i++)
        idx[i] = sx_i64(b, 0);
    if (guard) e = sx_select(b->sx, guard, e, sx_at(b, 1, f->zero, idx));
    return build_map(b, "pad", 2, in, v->type.dtype, v->type.rank, f->dims, e);
}

static Value *build_padded(Halo *h, const Frame *f, Status *s)
{
    Value *v = f->of, *y;
    Region *r = v->def ? v->def->parent : v->region;
    Build b =
        build_at(r, v->def ? v->def->next : r->first, v->def ? v->def->origin : NULL, h->cx->diag);

    if (f->zero)
        y = build_bordered(&b, f);
    else
        y = frame_copy(&b, v, "pad", v->type.dim, NULL);
    *s = b.status;
    if (y) frame_add_reader(&h->frames, v, y->def);
    if (y && is_view(v)) fuse_inline(y->def, 0, v->def);
    if (y && !f->zero) frame_set(h->m, y, f->dims, f->before, f->border, 0);
    return y;
}

static bool same_frame(const Frame *a, const Frame *b)
{
    int rank = a->of->type.rank;

    return a->of == b->of && a->zero == b->zero && a->border == b->border &&
           memcmp(a->dims, b->dims, sizeof(Dim) * (size_t)rank) == 0 &&
           memcmp(a->before, b->before, sizeof(int64_t) * (size_t)rank) == 0;
}

static Value *padded(Halo *h, const Frame *want, Status *s)
{
    Frame f = *want;

    for (int i = 0; i < h->n_copy; i++)
        if (same_frame(&h->copy[i], want)) return h->copy[i].v;
    f.v = build_padded(h, &f, s);
    if (f.v) VEC_PUSH(h->cx->scratch, h->copy, h->n_copy, h->cap_copy, f);
    return f.v;
}

static Status read_copy(Halo *h, const Want *w)
{
    Side side = guarded_side(w->n);
    FrameShift shift = {.before = w->frame.before, .open = side.load, .whole = side.whole};
    Status s = OK;
    Value *v;
    Operands o;

    if (!pass_accept(h->cx)) return OK;
    v = padded(h, &w->frame, &s);
    if (!v) return s;
    shift.src = shift.open->src;
    operands_start(&o, h->m);
    for (int i = 0; i < w->n->n_in; i++)
        VEC_PUSH(h->m->arena, o.value, o.n, o.cap, w->n->in[i]);
    shift.to = operand_of(&o, v);
    shift_loads(h, w->n, &shift);
    operands_finish(&o, w->n);
    h->changed = true;
    return OK;
}

/* ---- frames ---- */

static bool can_frame(Halo *h, const Value *v)
{
    return frame_maker(v) && frame_readers_follow(&h->frames, v);
}

/* Whether a want's operand is in a frame of another border already. */
static bool is_framed(const Value *v)
{
    const Node *n = v->def;

    if (!n || n->kind != NODE_KERNEL || n->kernel->n_stage != 1) return false;
    for (int j = 0; j < n->kernel->stage[0].n_out; j++)
        if (n->kernel->stage[0].out[j].result == v->index && n->kernel->stage[0].out[j].before)
            return true;
    return false;
}

static bool wants_frame(const Want *w, const Value *v, int64_t border)
{
    return w->frame.of == v && !w->frame.zero && w->frame.border == border;
}

/* One frame for all that want one of v with that border. */
static bool join_frames(Halo *h, const Value *v, Frame *f)
{
    DimTable *t = &h->m->dims;
    bool first = true;

    for (int i = 0; i < h->n_want; i++) {
        const Frame *w = &h->want[i].frame;
        if (!wants_frame(&h->want[i], v, f->border)) continue;
        for (int a = 0; a < v->type.rank; a++) {
            int64_t more = first ? w->before[a] : w->before[a] - f->before[a];
            Dim behind = dim_sub(t, w->dims[a], dim_const(t, w->before[a])), now;
            if (first) {
                f->before[a] = w->before[a];
                f->dims[a] = w->dims[a];
                continue;
            }
            now = dim_sub(t, f->dims[a], dim_const(t, f->before[a]));
            if (more > 0) f->before[a] += more;
            f->dims[a] = dim_add_c(t, dim_max(t, now, behind), f->before[a]);
        }
        first = false;
    }
    return !first;
}

static Side open_side(const Halo *h, const Node *n, const Value *v, int64_t border)
{
    for (int i = 0; i < h->n_want; i++)
        if (h->want[i].n == n && wants_frame(&h->want[i], v, border)) return guarded_side(n);
    return (Side){0};
}

static void set_frame(Halo *h, Value *v, const Frame *f)
{
    const Readers *r = frame_readers(&h->frames, v);

    for (int i = 0; i < r->n; i++) {
        Node *n = r->node[i];
        Side side = open_side(h, n, v, f->border);
        FrameShift shift = {.before = f->before, .open = side.load, .whole = side.whole};
        bool again = false;
        for (int j = 0; j < i; j++)
            again |= r->node[j] == n;
        for (int k = 0; k < n->n_in && !again; k++) {
            if (n->in[k] != v) continue;
            shift.src = shift.to = k;
            shift_loads(h, n, &shift);
        }
    }
    frame_set(h->m, v, f->dims, f->before, f->border, 0);
    h->changed = true;
}

static Status settle(Halo *h, const Want *w)
{
    Value *v = w->frame.of;
    const Sx *load = guarded_side(w->n).load;
    Frame f = {.border = w->frame.border};

    if (!load || w->n->in[load->src] != v) return OK; /* done */
    if (is_framed(v)) return OK;
    if (!w->frame.zero && can_frame(h, v) && join_frames(h, v, &f)) {
        if (pass_accept(h->cx)) set_frame(h, v, &f);
        return OK;
    }
    return w->often ? read_copy(h, w) : OK;
}

Status pass_halo(PassContext *cx, Module *m, bool *changed)
{
    Halo h = {.cx = cx, .m = m};

    TRY(frames_start(&h.frames, m, cx->scratch));
    TRY(module_visit(m, note_want, &h));
    for (int i = 0; i < h.n_want; i++)
        TRY(settle(&h, &h.want[i]));
    *changed = h.changed;
    return OK;
}
