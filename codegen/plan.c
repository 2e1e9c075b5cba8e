/* plan.c: lifetimes over the tree of regions, and the places that follow from them.
 *
 * Time is the order of the nodes, regions included: a holder starts before the first node of its
 * regions and ends behind the last. The branches of an If lie one behind the other, so that they
 * share space as any two values do that do not live at the same time. A value read within a loop
 * that it was made outside of lives to the loop's end.
 *
 *      node   |  a   b   [ loop:  c   d  ]   e          a is read by d: it lives until ]
 *      time   |  1   2   3        4   5  6   7
 *
 * First claims (an output, the next value of a loop, a joined branch, the whole of a concat want
 * their part made in place), then overwriting of operands that die, then each buffer that is left
 * gets a segment: those of constant size go into segment 0, the largest first, each at the lowest
 * offset where nothing lies that lives at the same time; the others take over segments whose tenant
 * is dead, one of the same size if there is one. */
#include "codegen/plan.h"

#include <stdlib.h>
#include <string.h>

#include "support/checked.h"
#include "support/vec.h"

enum { ALIGN = 64 };

typedef struct Buffer {
    PlaceKind kind;
    int index;
    const Node *loop;
    int64_t size; /* bytes; -1: open */
    Dim elements; /* of an open one, for comparing; may be NULL */
    int first, last;
    int64_t offset;
    int number;
} Buffer;

typedef struct Life {
    const Region *region; /* where it is made; NULL: not by a node */
    int made, last;
    bool touched;
    int buffer; /* -1: none */
    int64_t offset;
} Life;

typedef struct Planner {
    Module *m;
    Arena *arena;
    Plan *plan;
    Band *const *bands; /* by Node.id, or NULL */
    Diag *diag;
    Life *life; /* by Value.id */
    int *start; /* by Node.id */
    int *end;
    int time;
    Buffer *buffer;
    int n_buffer, cap_buffer;
    int n_segment, cap_segment;
} Planner;

int64_t plan_bytes(const Value *v)
{
    int64_t n = dtype_bytes(v->type.dtype);

    if (type_is_boxed(&v->type)) return -1;
    for (int i = 0; i < v->type.rank; i++) {
        if (!dim_is_const(v->type.dim[i])) return -1;
        if (!checked_mul_i64(n, v->type.dim[i]->value, &n)) return -1;
    }
    return n;
}

const Value *plan_root(const Value *v)
{
    while (v->def && v->def->kind == NODE_RESHAPE)
        v = v->def->in[0];
    return v;
}

int64_t plan_size(const Plan *p)
{
    int64_t sum = 0;

    for (int i = 0; i < p->n_segment; i++) {
        if (p->size[i] < 0) return -1;
        sum += p->size[i];
    }
    return sum;
}

static Life *life_of(Planner *p, const Value *v)
{
    return &p->life[v->id];
}

static NodePlan *node_plan(Planner *p, const Node *n)
{
    if (!p->plan->node[n->id]) p->plan->node[n->id] = ARENA_NEW(p->arena, NodePlan);
    return p->plan->node[n->id];
}

/* ---- time ---- */

static void born(Planner *p, const Value *v, const Region *r, int time)
{
    if (v) *life_of(p, v) = (Life){.region = r, .made = time, .last = time, .buffer = -1};
}

static void number_region(Planner *p, const Region *r)
{
    for (int i = 0; i < r->n_arg; i++)
        born(p, r->arg[i], r, p->time);
    for (const Node *n = r->first; n; n = n->next) {
        p->start[n->id] = p->time++;
        for (int i = 0; i < n->n_region; i++)
            number_region(p, n->region[i]);
        p->end[n->id] = n->n_region ? p->time++ : p->start[n->id];
        for (int i = 0; i < n->n_out; i++)
            born(p, n->out[i], r, p->end[n->id]);
    }
}

/* Whether all that n makes stays within a band. */
static bool is_within_band(const Planner *p, const Node *n)
{
    const Band *b = band_of(p->bands, n);
    return b && !band_ends(b, n);
}

/* The kernels of a band read and write until its last one is done. */
static Status delay(void *context, Node *n)
{
    Planner *p = context;
    const Band *b = band_of(p->bands, n);

    if (b && band_ends(b, n)) p->plan->n_bands++;
    if (b) p->start[n->id] = p->start[b->node[b->n - 1]->id];
    return OK;
}

static bool encloses(const Region *outer, const Region *r)
{
    while (r && r != outer)
        r = r->holder ? r->holder->parent : NULL;
    return r == outer;
}

/* A reader at `time` in region r, as v sees it: a loop around the reader, but not around v, reads
 * until it ends. */
static int time_seen(const Planner *p, const Region *made, const Region *r, int time)
{
    for (; !encloses(r, made); r = r->holder->parent)
        if (r->holder->kind == NODE_LOOP && p->end[r->holder->id] > time)
            time = p->end[r->holder->id];
    return time;
}

static void touch(Planner *p, const Value *v, const Region *r, int time)
{
    Life *l;
    int seen;

    if (!v || v->data) return;
    l = life_of(p, v);
    if (!l->region) return;
    seen = time_seen(p, l->region, r, time);
    if (l->touched && seen <= l->last) return;
    l->touched = true;
    if (seen > l->last) l->last = seen;
    if (!v->def) return;
    if (v->def->kind == NODE_RESHAPE) touch(p, v->def->in[0], r, time);
    if (v->def->kind == NODE_IF)
        for (int b = 0; b < v->def->n_region; b++)
            touch(p, v->def->region[b]->result[v->index], r, time);
    if (v->def->kind == NODE_LOOP && v->index + 2 < v->def->n_in) {
        touch(p, v->def->in[v->index + 2], r, time);
        touch(p, v->def->region[0]->result[v->index + 1], r, time);
    }
}

static void touch_region(Planner *p, const Region *r)
{
    for (const Node *n = r->first; n; n = n->next) {
        for (int i = 0; i < n->n_in; i++)
            touch(p, n->in[i], r, n->kind == NODE_LOOP ? p->end[n->id] : p->start[n->id]);
        for (int i = 0; i < n->n_region; i++)
            touch_region(p, n->region[i]);
    }
    for (int i = 0; i < r->n_result; i++)
        touch(p, r->result[i], r, r->holder ? p->end[r->holder->id] : p->time);
}

/* ---- claims ---- */

static int new_buffer(Planner *p, PlaceKind kind, int index, int64_t size)
{
    VEC_PUSH(p->arena, p->buffer, p->n_buffer, p->cap_buffer,
             (Buffer){.kind = kind,
                      .index = index,
                      .size = size,
                      .first = INT32_MAX,
                      .last = -1,
                      .number = p->n_buffer});
    return p->n_buffer - 1;
}

static void join(Planner *p, const Value *v, int buffer, int64_t offset)
{
    Life *l = life_of(p, v);
    Buffer *b = &p->buffer[buffer];

    l->buffer = buffer;
    l->offset = offset;
    if (l->made < b->first) b->first = l->made;
    if (l->last > b->last) b->last = l->last;
}

static void has_symbol_of(void *context, Dim symbol)
{
    const Node **n = context;

    for (int i = 0; *n && i < (*n)->n_define; i++)
        if ((*n)->define[i] == symbol) *n = NULL;
}

/* Whether a result's size is known before its node runs. */
static bool known_before(const Value *v)
{
    const Node *n = v->def;

    if (type_is_boxed(&v->type)) return false;
    for (int i = 0; n && i < v->type.rank; i++)
        dim_symbols(v->type.dim[i], has_symbol_of, &n);
    return n != NULL;
}

static bool can_claim(Planner *p, const Value *v, const Region *r)
{
    if (!v->def || v->data || is_within_band(p, v->def) || v->def->parent != r ||
        life_of(p, v)->buffer >= 0)
        return false;
    switch (v->def->kind) {
    case NODE_KERNEL:
    case NODE_CONCAT:
        return true;
    case NODE_CALL:
        return known_before(v);
    case NODE_IF:
        return !type_is_boxed(&v->type);
    case NODE_OP:
    case NODE_RESHAPE:
    case NODE_BIND:
    case NODE_LOOP:
        return false;
    }
    return false;
}

static bool claim(Planner *p, const Value *v, const Region *r, int buffer, int64_t offset);

static void claim_branches(Planner *p, const Value *v, int buffer, int64_t offset)
{
    const Node *n = v->def;
    NodePlan *np = node_plan(p, n);

    for (int b = 0; b < 2; b++) {
        if (!np->direct[b]) np->direct[b] = ARENA_ARRAY(p->arena, bool, n->n_out);
        np->direct[b][v->index] =
            claim(p, n->region[b]->result[v->index], n->region[b], buffer, offset);
    }
}

/* Memory asked for at entry takes only what has a constant size that fits. */
static bool fits(const Buffer *b, const Value *v, int64_t offset)
{
    int64_t bytes = plan_bytes(v);

    if (b->size < 0) return offset == 0;
    return bytes >= 0 && offset <= b->size && bytes <= b->size - offset;
}

/* v, made in region r, shall be made at `offset` of the buffer. */
static bool claim(Planner *p, const Value *v, const Region *r, int buffer, int64_t offset)
{
    v = plan_root(v);
    if (!can_claim(p, v, r) || !fits(&p->buffer[buffer], v, offset)) return false;
    join(p, v, buffer, offset);
    if (v->def->kind == NODE_IF) claim_branches(p, v, buffer, offset);
    return true;
}

static void claim_outputs(Planner *p)
{
    const Region *r = p->m->main;

    for (int i = 0; i < r->n_result; i++) {
        int b = new_buffer(p, PLACE_OUTPUT, i, plan_bytes(r->result[i]));
        p->plan->direct[i] = claim(p, r->result[i], r, b, 0);
    }
}

static int new_segments(Planner *p, int n)
{
    int first = p->n_segment;

    for (int i = 0; i < n; i++)
        VEC_PUSH(p->arena, p->plan->size, p->n_segment, p->cap_segment, -1);
    return first;
}

/* A carried value whose next value is itself, or made outside of the loop, needs no memory. */
static bool passes(const Planner *p, const Node *n, int i)
{
    const Region *body = n->region[0];
    const Value *v = plan_root(body->result[i + 1]);

    if (v->data || v == body->arg[i + 2]) return true;
    return !encloses(body, p->life[v->id].region);
}

static void plan_loop(Planner *p, const Node *n)
{
    const Region *body = n->region[0];
    int carried = n->n_in - 2, scans = n->n_out - carried;
    NodePlan *np = node_plan(p, n);

    np->pass = ARENA_ARRAY(p->arena, bool, carried);
    np->direct[0] = ARENA_ARRAY(p->arena, bool, carried);
    np->segment = ARENA_ARRAY(p->arena, int, carried + scans);
    for (int i = 0; i < carried; i++) {
        np->segment[i] = -1;
        np->pass[i] = type_is_boxed(&body->arg[i + 2]->type) || passes(p, n, i);
        if (np->pass[i]) continue;
        np->segment[i] = new_segments(p, 2);
        int b = new_buffer(p, PLACE_CARRY, np->segment[i], -1);
        p->plan->size[np->segment[i]] = plan_bytes(body->result[i + 1]);
        p->plan->size[np->segment[i] + 1] = plan_bytes(body->result[i + 1]);
        p->buffer[b].loop = n;
        np->direct[0][i] = claim(p, body->result[i + 1], body, b, 0);
    }
    for (int i = 0; i < scans; i++)
        np->segment[carried + i] = new_segments(p, 1);
}

/* Results of branches that can be made in one place; what cannot stays where it is: the joined
 * value is a pointer. */
static void plan_if(Planner *p, const Node *n)
{
    NodePlan *np = node_plan(p, n);

    for (int b = 0; b < 2; b++)
        if (!np->direct[b]) np->direct[b] = ARENA_ARRAY(p->arena, bool, n->n_out);
    for (int k = 0; k < n->n_out; k++) {
        const Value *v = n->out[k];
        int64_t size = -1;
        bool some = false;
        if (!v || type_is_boxed(&v->type) || life_of(p, v)->buffer >= 0) continue;
        for (int b = 0; b < 2; b++)
            some |= can_claim(p, plan_root(n->region[b]->result[k]), n->region[b]);
        if (!some) continue;
        size = plan_bytes(v);
        int buffer = new_buffer(p, PLACE_SEGMENT, -1, size);
        for (int b = 0; b < 2; b++)
            (void)claim(p, n->region[b]->result[k], n->region[b], buffer, 0);
    }
}

/* The pieces of a concat along the first axis that has an extent lie one behind the other. A piece
 * of an open size is copied, once it is checked: it may be larger than its place. Of a whole one
 * each is the whole. */
static void plan_concat(Planner *p, const Node *n)
{
    NodePlan *np = node_plan(p, n);
    const Life *l = life_of(p, n->out[0]);
    int64_t at = 0, whole;

    np->direct[0] = ARENA_ARRAY(p->arena, bool, n->n_in);
    for (int i = 0; n->whole && i < n->n_in; i++)
        np->direct[0][i] = claim(p, n->in[i], n->parent, l->buffer, l->offset);
    if (n->whole) return;
    for (int i = 0; i < n->axis; i++)
        if (!dim_is(n->out[0]->type.dim[i], 1)) return;
    if (plan_bytes(n->out[0]) < 0 || p->buffer[l->buffer].size < 0) return;
    whole = n->out[0]->type.dim[n->axis]->value;
    if (whole == 0) return;
    for (int i = 0; i < n->n_in; i++) {
        int64_t bytes = plan_bytes(n->in[i]);
        if (bytes < 0 && !dim_is_const(n->in[i]->type.dim[n->axis])) return;
        if (bytes >= 0)
            np->direct[0][i] = claim(p, n->in[i], n->parent, l->buffer, l->offset + at);
        else
            bytes = plan_bytes(n->out[0]) / whole * n->in[i]->type.dim[n->axis]->value;
        at += bytes;
    }
}

static void own_buffer(Planner *p, const Value *v)
{
    int b = new_buffer(p, PLACE_SEGMENT, -1, plan_bytes(v));

    if (p->buffer[b].size < 0) p->buffer[b].elements = type_count(&p->m->dims, &v->type);
    join(p, v, b, 0);
}

/* Holders first, outer before inner, and concats from the last to the first, so that a piece of a
 * piece finds its place. */
static void plan_holders(Planner *p, const Region *r)
{
    for (const Node *n = r->last; n; n = n->prev) {
        if (n->kind == NODE_IF) plan_if(p, n);
        if (n->kind == NODE_LOOP) plan_loop(p, n);
        for (int i = 0; i < n->n_region; i++)
            plan_holders(p, n->region[i]);
    }
}

/* A whole of pieces that stand in another whole already. */
static void join_pieces(Planner *p, const Node *n)
{
    const Life *l = n->whole ? life_of(p, n->in[0]) : NULL;

    if (l && l->buffer >= 0) join(p, n->out[0], l->buffer, l->offset);
}

static void plan_concats(Planner *p, const Region *r)
{
    for (const Node *n = r->last; n; n = n->prev) {
        for (int i = 0; i < n->n_region; i++)
            plan_concats(p, n->region[i]);
        if (n->kind != NODE_CONCAT) continue;
        if (life_of(p, n->out[0])->buffer < 0) join_pieces(p, n);
        if (life_of(p, n->out[0])->buffer < 0) own_buffer(p, n->out[0]);
        plan_concat(p, n);
    }
}

/* ---- overwriting ---- */

typedef struct PointScan {
    int src, rank;
    const int64_t *before; /* of the frame around the result, or NULL */
    bool anywhere;         /* there is no one point at which the loads happen */
    bool other;            /* a load away from the element that is written */
} PointScan;

/* i + before */
static bool is_written_index(const PointScan *s, const Sx *e, int i)
{
    int64_t before = s->before ? s->before[i] : 0;

    if (before) {
        if (e->op != SX_ADD || e->arg[1]->op != SX_CONST) return false;
        if ((int64_t)e->arg[1]->bits != before) return false;
        e = e->arg[0];
    }
    return e->op == SX_INDEX && e->index == i;
}

static void scan_load(void *context, const Sx *e)
{
    PointScan *s = context;

    if (e->op != SX_LOAD || e->src != s->src) return;
    if (s->anywhere || e->flat || e->n - (e->guarded ? 1 : 0) != s->rank) {
        s->other = true;
        return;
    }
    for (int i = 0; i < s->rank; i++)
        s->other |= !is_written_index(s, e->arg[i], i);
}

static bool same_layout(const Value *a, const Value *b, const Stage *s)
{
    if (a->type.rank != s->rank || b->type.rank != s->rank) return false;
    if (dtype_bytes(a->type.dtype) != dtype_bytes(b->type.dtype)) return false;
    for (int i = 0; i < s->rank; i++)
        if (a->type.dim[i] != b->type.dim[i]) return false;
    return true;
}

/* Whether the kernel may write its result over the buffer: all that it reads of it is read at the
 * point that is written, behind the last sum. Where both have a frame, the kernel writes that of
 * its own, and reads none. */
static bool overwrites(Planner *p, const Node *n, int buffer)
{
    const Stage *s = &n->kernel->stage[0];
    SxTable *t = &p->m->sx;

    for (int k = 0; k < n->n_in; k++) {
        PointScan scan = {.src = k, .rank = s->rank, .before = s->out[0].before};
        const Value *v = n->in[k] ? plan_root(n->in[k]) : NULL;
        if (!v || v->data || life_of(p, v)->buffer != buffer) continue;
        if (!same_layout(n->in[k], n->out[0], s) || life_of(p, v)->offset != 0) return false;
        sx_visit(t, s->out[0].value, scan_load, &scan);
        scan.anywhere = true;
        for (int j = 0; j < s->n_acc; j++) {
            sx_visit(t, s->acc[j].body, scan_load, &scan);
            if (s->acc[j].body2) sx_visit(t, s->acc[j].body2, scan_load, &scan);
        }
        if (scan.other) return false;
    }
    return true;
}

static void plan_in_place(Planner *p, const Node *n)
{
    const Stage *s = &n->kernel->stage[0];

    if (band_of(p->bands, n) || n->kernel->n_stage != 1 || s->scan_axis >= 0 || s->n_out != 1 ||
        s->out[0].dst || n->n_out != 1 || !n->out[0] || life_of(p, n->out[0])->buffer >= 0)
        return;
    for (int k = 0; k < n->n_in; k++) {
        const Value *v = n->in[k] ? plan_root(n->in[k]) : NULL;
        if (!v || v->data || !v->def || v->def->parent != n->parent || v->def->n_region) continue;
        int b = life_of(p, v)->buffer;
        if (b < 0 || p->buffer[b].kind != PLACE_SEGMENT || p->buffer[b].last != p->start[n->id] ||
            p->buffer[b].size != plan_bytes(n->out[0]) || !overwrites(p, n, b))
            continue;
        join(p, n->out[0], b, 0);
        p->plan->n_in_place++;
        return;
    }
}

static void plan_call(Planner *p, const Node *n)
{
    NodePlan *np = node_plan(p, n);

    np->segment = ARENA_ARRAY(p->arena, int, n->n_out);
    for (int k = 0; k < n->n_out; k++)
        np->segment[k] = -1;
}

static void plan_rest(Planner *p, const Region *r)
{
    for (const Node *n = r->first; n; n = n->next) {
        for (int i = 0; i < n->n_region; i++)
            plan_rest(p, n->region[i]);
        if (n->kind == NODE_CALL) plan_call(p, n);
        if (n->kind == NODE_KERNEL) plan_in_place(p, n);
        if (n->kind != NODE_KERNEL && n->kind != NODE_CALL) continue;
        if (is_within_band(p, n)) continue;
        for (int k = 0; k < n->n_out; k++)
            if (n->out[k] && life_of(p, n->out[k])->buffer < 0 && !type_is_boxed(&n->out[k]->type))
                own_buffer(p, n->out[k]);
    }
}

/* ---- segments ---- */

static int by_size(const void *x, const void *y)
{
    const Buffer *a = *(const Buffer *const *)x, *b = *(const Buffer *const *)y;

    if (a->size != b->size) return a->size < b->size ? 1 : -1;
    return a->number < b->number ? -1 : 1;
}

static int64_t padded(int64_t n)
{
    return (n + ALIGN - 1) / ALIGN * ALIGN;
}

/* The lowest offset for b among those placed, which stand in order of offset. */
static int64_t lowest_gap(Buffer *const *placed, int n, const Buffer *b)
{
    int64_t at = 0;

    for (int i = 0; i < n; i++) {
        const Buffer *o = placed[i];
        if (o->last < b->first || o->first > b->last) continue;
        if (o->offset >= at + padded(b->size)) break;
        if (o->offset + padded(o->size) > at) at = o->offset + padded(o->size);
    }
    return at;
}

static void insert_placed(Buffer **placed, int n, Buffer *b)
{
    int i = n;

    for (; i > 0 && placed[i - 1]->offset > b->offset; i--)
        placed[i] = placed[i - 1];
    placed[i] = b;
}

static void bounds(Planner *p, Buffer *const *list, int n)
{
    int64_t *change = arena_try(p->arena, (size_t)p->time + 2, sizeof *change);
    int64_t *exact = arena_try(p->arena, (size_t)p->time + 2, sizeof *exact);
    int64_t live = 0, real = 0;

    for (int i = 0; change && exact && i < n; i++) {
        change[list[i]->first] += padded(list[i]->size);
        change[list[i]->last + 1] -= padded(list[i]->size);
        exact[list[i]->first] += list[i]->size;
        exact[list[i]->last + 1] -= list[i]->size;
    }
    for (int t = 0; change && exact && t < p->time + 2; t++) {
        live += change[t];
        real += exact[t];
        if (live > p->plan->lower_bound) p->plan->lower_bound = live;
        if (real > p->plan->unpadded) p->plan->unpadded = real;
    }
}

static Status place_fixed(Planner *p)
{
    Buffer **list = arena_try(p->arena, (size_t)p->n_buffer + 1, sizeof *list);
    Buffer **placed = arena_try(p->arena, (size_t)p->n_buffer + 1, sizeof *placed);
    int64_t top = 0;
    int n = 0;

    if (!list || !placed) return diag(p->diag, ERR_LIMIT, (Where){0}, "no memory for the plan");
    for (int i = 0; i < p->n_buffer; i++)
        if (p->buffer[i].kind == PLACE_SEGMENT && p->buffer[i].size >= 0)
            if (p->buffer[i].last >= 0) list[n++] = &p->buffer[i];
    bounds(p, list, n);
    qsort(list, (size_t)n, sizeof *list, by_size);
    for (int i = 0; i < n; i++) {
        list[i]->index = 0;
        list[i]->offset = lowest_gap(placed, i, list[i]);
        if (list[i]->size > INT64_MAX / 4 || list[i]->offset > INT64_MAX / 4)
            return diag(p->diag, ERR_LIMIT, (Where){.file = p->m->file},
                        "the intermediates do not fit into an address space");
        insert_placed(placed, i, list[i]);
        if (list[i]->offset + padded(list[i]->size) > top)
            top = list[i]->offset + padded(list[i]->size);
    }
    p->plan->size[0] = p->plan->peak = top;
    return OK;
}

typedef struct Tenant {
    int segment, last;
    Dim elements;
} Tenant;

static int by_first(const void *x, const void *y)
{
    const Buffer *a = *(const Buffer *const *)x, *b = *(const Buffer *const *)y;

    if (a->first != b->first) return a->first < b->first ? -1 : 1;
    return a->number < b->number ? -1 : 1;
}

/* A segment that is free at the time of b; one of the same size if there is one. */
static Tenant *free_segment(Tenant *t, int n, const Buffer *b)
{
    Tenant *found = NULL;

    for (int i = 0; i < n; i++) {
        if (t[i].last >= b->first) continue;
        if (t[i].elements && t[i].elements == b->elements) return &t[i];
        if (!found) found = &t[i];
    }
    return found;
}

static Status place_open(Planner *p)
{
    Buffer **list = arena_try(p->arena, (size_t)p->n_buffer + 1, sizeof *list);
    Tenant *tenant = arena_try(p->arena, (size_t)p->n_buffer + 1, sizeof *tenant);
    int n = 0, tenants = 0;

    if (!list || !tenant) return diag(p->diag, ERR_LIMIT, (Where){0}, "no memory for the plan");
    for (int i = 0; i < p->n_buffer; i++)
        if (p->buffer[i].kind == PLACE_SEGMENT && p->buffer[i].size < 0)
            if (p->buffer[i].last >= 0) list[n++] = &p->buffer[i];
    qsort(list, (size_t)n, sizeof *list, by_first);
    for (int i = 0; i < n; i++) {
        Tenant *t = free_segment(tenant, tenants, list[i]);
        if (!t) {
            t = &tenant[tenants++];
            t->segment = new_segments(p, 1);
        }
        t->last = list[i]->last;
        t->elements = list[i]->elements;
        list[i]->index = t->segment;
    }
    p->plan->n_open = tenants;
    return OK;
}

/* ---- the whole ---- */

static void store_place(Planner *p, const Value *v)
{
    const Life *l = life_of(p, v);
    Place *place = &p->plan->place[v->id];
    const Buffer *b;

    if (l->buffer < 0) return;
    b = &p->buffer[l->buffer];
    *place = (Place){.kind = b->kind,
                     .index = b->index,
                     .offset = b->offset + l->offset,
                     .open = b->size < 0,
                     .loop = b->loop};
}

/* A result whose size its call finds out is placed by the call. */
static void store_call(Planner *p, const Node *n, int k)
{
    Place *place = &p->plan->place[n->out[k]->id];

    if (type_is_boxed(&n->out[k]->type) || known_before(n->out[k])) return;
    p->plan->node[n->id]->segment[k] = place->index;
    *place = (Place){.kind = PLACE_POINTER};
}

static void store_region(Planner *p, const Region *r)
{
    for (const Node *n = r->first; n; n = n->next) {
        for (int k = 0; k < n->n_out; k++) {
            if (!n->out[k]) continue;
            store_place(p, n->out[k]);
            if (n->kind == NODE_CALL) store_call(p, n, k);
        }
        for (int i = 0; i < n->n_region; i++)
            store_region(p, n->region[i]);
    }
}

static Status start(Planner *p)
{
    size_t n = (size_t)p->m->next_id + 1;

    p->life = arena_try(p->arena, n, sizeof *p->life);
    p->start = arena_try(p->arena, n, sizeof *p->start);
    p->end = arena_try(p->arena, n, sizeof *p->end);
    p->plan->place = arena_try(p->arena, n, sizeof *p->plan->place);
    p->plan->node = arena_try(p->arena, n, sizeof *p->plan->node);
    p->plan->direct = ARENA_ARRAY(p->arena, bool, p->m->main->n_result);
    if (!p->life || !p->start || !p->end || !p->plan->place || !p->plan->node)
        return diag(p->diag, ERR_LIMIT, (Where){.file = p->m->file}, "no memory for the plan");
    new_segments(p, 1);
    return OK;
}

Status plan_memory(Module *m, Band *const *bands, Arena *arena, Plan *out, Diag *d)
{
    Planner p = {.m = m, .arena = arena, .plan = out, .bands = bands, .diag = d};

    *out = (Plan){0};
    TRY(start(&p));
    number_region(&p, m->main);
    TRY(module_visit(m, delay, &p));
    touch_region(&p, m->main);
    claim_outputs(&p);
    plan_holders(&p, m->main);
    plan_concats(&p, m->main);
    plan_rest(&p, m->main);
    TRY(place_fixed(&p));
    TRY(place_open(&p));
    store_region(&p, m->main);
    out->n_segment = p.n_segment;
    if (!arena_ok(arena)) return diag(d, ERR_LIMIT, (Where){.file = m->file}, "no memory");
    return OK;
}
