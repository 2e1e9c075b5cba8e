/* cpu_host_flow.c: If and Loop in the host program.
 *
 * A carried value is a pointer that moves on: to what the body made (in one of two segments, by
 * turns, so that the body may read the old value while it writes the new one), or to what stays.
 * Scan outputs are appended to a segment that keeps its contents while it grows. */
#include "codegen/cpu/cpu_host.h"

static LLVMValueRef equal(Host *h, LLVMValueRef a, LLVMValueRef b)
{
    return LLVMBuildICmp(h->m->b, LLVMIntEQ, a, b, "");
}

static bool defines(const Node *n, Dim d)
{
    for (int i = 0; i < n->n_define; i++)
        if (n->define[i] == d) return true;
    return false;
}

static bool is_tensor(const Value *v)
{
    return !type_is_boxed(&v->type);
}

/* The data of v, which has one element, or the run fails. */
static LLVMValueRef single(Host *h, const Value *v, int origin)
{
    LLVMValueRef count = host_elements(h, v->type.rank, v->type.dim), one = host_i64(h, 1);

    if (!dim_is(type_count(&h->graph->dims, &v->type), 1))
        host_fail_if(h, LLVMBuildICmp(h->m->b, LLVMIntNE, count, one, ""), INGOT_ERR_DATA, origin,
                     "%lld elements, expected %lld", count, one);
    return host_pointer(h, v);
}

static LLVMValueRef load_bool(Host *h, const Value *v, int origin)
{
    LLVMValueRef x = host_load(h, h->m->i8, single(h, v, origin));

    return LLVMBuildICmp(h->m->b, LLVMIntNE, x, LLVMConstInt(h->m->i8, 0, 0), "");
}

/* ---- values that meet ---- */

/* Dims [n] of `to`, of which some are symbols to be bound, and what they shall be. All `found` are
 * computed before any is stored. */
typedef struct Meeting {
    Dim *to;
    LLVMValueRef *found;
    bool *binds;
    int n, cap;
} Meeting;

static Meeting meeting_new(Host *h, int values)
{
    int cap = values * MAX_RANK;

    return (Meeting){.to = ARENA_ARRAY(h->arena, Dim, cap),
                     .found = ARENA_ARRAY(h->arena, LLVMValueRef, cap),
                     .binds = ARENA_ARRAY(h->arena, bool, cap),
                     .cap = cap};
}

static void meet(Meeting *m, Dim to, LLVMValueRef found, bool may_bind)
{
    bool seen = false;

    for (int i = 0; i < m->n; i++)
        seen |= m->binds[i] && m->to[i] == to;
    m->to[m->n] = to;
    m->found[m->n] = found;
    m->binds[m->n++] = may_bind && to->kind == DIM_SYM && !seen;
}

static void settle(Host *h, const Meeting *m, int origin)
{
    host_check(h, origin);
    for (int i = 0; i < m->n; i++)
        if (m->binds[i])
            host_bind(h, m->to[i], m->found[i], INGOT_ERR_DATA, origin,
                      "a dim is %lld, the limit is %lld");
    for (int i = 0; i < m->n; i++)
        if (!m->binds[i])
            host_require(h, m->to[i], m->found[i], INGOT_ERR_DATA, origin,
                         "a dim is %lld, expected %lld");
}

/* Whether dims of `from` are to be held against those of `to`: a boxed value takes them all. */
static bool same_rank(Host *h, const Node *n, const Value *to, const Value *from)
{
    if (!is_tensor(to)) return false;
    if (is_tensor(from) && to->type.rank == from->type.rank) return true;
    host_bug(h, n, "values of different ranks meet");
    return false;
}

/* ---- If ---- */

static void branch_result(Host *h, const Node *n, int r, int k)
{
    const Value *out = n->out[k], *v = n->region[r]->result[k];
    const Place *place = &h->plan->place[out->id];
    const NodePlan *np = h->plan->node[n->id];
    LLVMValueRef p;

    if (!is_tensor(out)) {
        host_put_box(h, host_box(h, out), v);
        return;
    }
    if (place->kind == PLACE_POINTER || np->direct[r][k]) {
        host_point(h, out, host_pointer(h, v));
        return;
    }
    p = host_make(h, out);
    host_copy(h, p, host_pointer(h, v), host_bytes(h, out));
}

static void branch(Host *h, const Node *n, int r)
{
    Meeting m = meeting_new(h, n->n_out);

    host_region(h, n->region[r]);
    if (h->failed != OK) return;
    for (int k = 0; k < n->n_out; k++) {
        const Value *v = n->region[r]->result[k];
        if (!n->out[k] || !same_rank(h, n, n->out[k], v)) continue;
        for (int i = 0; i < v->type.rank; i++)
            if (n->out[k]->type.dim[i] != v->type.dim[i])
                meet(&m, n->out[k]->type.dim[i], host_dim(h, v->type.dim[i]),
                     defines(n, n->out[k]->type.dim[i]));
    }
    settle(h, &m, host_origin(h, n));
    for (int k = 0; k < n->n_out; k++)
        if (n->out[k]) branch_result(h, n, r, k);
    host_check(h, host_origin(h, n));
}

void host_if(Host *h, const Node *n)
{
    LLVMBasicBlockRef yes = host_block(h), no = host_block(h), join = host_block(h);

    LLVMBuildCondBr(h->m->b, load_bool(h, n->in[0], host_origin(h, n)), yes, no);
    host_enter(h, yes);
    branch(h, n, 0);
    LLVMBuildBr(h->m->b, join);
    host_enter(h, no);
    branch(h, n, 1);
    LLVMBuildBr(h->m->b, join);
    host_enter(h, join);
}

/* ---- Loop ---- */

typedef struct Looping {
    const Node *n;
    const Region *body;
    const NodePlan *plan;
    int carried, scans, origin;
    HostLoop loop;
    LLVMValueRef trip, turn, condition; /* slots: i64, i64, i8 */
    LLVMValueRef *scan_room;            /* [scans] slots: bytes that its segment has */
    LLVMValueRef (*scan_dim)[MAX_RANK]; /* [scans] slots: dims of one element */
    LLVMValueRef *next_box;             /* [carried] of a boxed value: the next one */
    LLVMValueRef mark, lists;           /* slots: ingot_mark, pointers to the boxes of lists */
    int n_lists;                        /* carried boxes; 0: the run keeps what turns make */
    bool counted;                       /* trip alone decides */
} Looping;

static const Value *scan_result(const Looping *l, int k)
{
    return l->body->result[1 + l->carried + k];
}

/* Boxes alone point to what the turns have made; but the bytes of a string do, too, wherever it is:
 * then all is kept. */
static int trimmed_lists(const Looping *l)
{
    int n = 0;

    for (int i = 0; i < l->body->n_arg; i++) {
        const Type *t = &l->body->arg[i]->type;
        if (t->dtype == DT_STRING && !type_is_boxed(t)) return 0;
        n += type_is_boxed(t);
    }
    for (int k = 0; k < l->scans; k++)
        if (scan_result(l, k)->type.dtype == DT_STRING) return 0;
    return n;
}

static void trim_slots(Host *h, Looping *l)
{
    int at = 0;

    l->n_lists = trimmed_lists(l);
    if (!l->n_lists) return;
    l->mark = host_slot(h, h->m->i64, (int64_t)sizeof(ingot_mark) / 8);
    l->lists = host_slot(h, h->m->ptr, l->n_lists);
    for (int i = 0; i < l->carried; i++)
        if (type_is_boxed(&l->body->arg[i + 2]->type))
            host_store(h, host_box(h, l->body->arg[i + 2]),
                       host_gep_c(h, l->lists, 8 * (int64_t)at++));
    host_runtime(h, "ingot_rt_mark", h->m->void_type, 2, (LLVMValueRef[]){h->call, l->mark});
}

static void trim(Host *h, const Looping *l)
{
    LLVMValueRef rc;

    if (!l->n_lists) return;
    rc = host_runtime(h, "ingot_rt_trim", h->m->i32, 4,
                      (LLVMValueRef[]){h->call, l->mark, l->lists, cpu_i32(h->m, l->n_lists)});
    host_leave_if(h, LLVMBuildICmp(h->m->b, LLVMIntNE, rc, cpu_i32(h->m, 0), ""), rc);
}

static void loop_slots(Host *h, Looping *l)
{
    l->loop.parity = host_slot(h, h->m->i32, 1);
    l->trip = host_slot(h, h->m->i64, 1);
    l->turn = host_slot(h, h->m->i64, 1);
    l->condition = host_slot(h, h->m->i8, 1);
    l->scan_room = ARENA_ARRAY(h->arena, LLVMValueRef, l->scans);
    l->next_box = ARENA_ARRAY(h->arena, LLVMValueRef, l->carried);
    for (int i = 0; i < l->carried; i++)
        if (!is_tensor(l->body->arg[i + 2])) l->next_box[i] = host_new_box(h);
    l->scan_dim = arena_alloc(h->arena, sizeof *l->scan_dim * (size_t)(l->scans + 1));
    for (int k = 0; k < l->scans; k++) {
        l->scan_room[k] = host_slot(h, h->m->i64, 1);
        for (int i = 0; i < MAX_RANK; i++)
            l->scan_dim[k][i] = host_slot(h, h->m->i64, 1);
    }
}

/* Symbols of the arguments that no one outside has bound are the loop's own: bound each turn. */
static void meet_arguments(Host *h, Looping *l, Meeting *m, bool first, const Map *outer)
{
    for (int i = 0; i < l->carried; i++) {
        const Value *arg = l->body->arg[i + 2];
        const Value *v = first ? l->n->in[i + 2] : l->body->result[i + 1];
        if (!same_rank(h, l->n, arg, v)) continue;
        for (int k = 0; k < v->type.rank; k++) {
            Dim to = arg->type.dim[k];
            if (to != v->type.dim[k]) meet(m, to, host_dim(h, v->type.dim[k]), !map_has(outer, to));
        }
    }
}

static void scan_start(Host *h, const Looping *l, int k)
{
    LLVMValueRef number = cpu_i32(h->m, l->plan->segment[l->carried + k]);

    host_store(h, host_i64(h, 0), l->scan_room[k]);
    for (int i = 0; i < MAX_RANK; i++)
        host_store(h, host_i64(h, 0), l->scan_dim[k][i]);
    host_point(h, l->n->out[l->carried + k], host_segment(h, number, host_i64(h, 64)));
}

static void loop_start(Host *h, Looping *l, const Map *outer)
{
    const Node *n = l->n;
    Meeting m = meeting_new(h, l->carried);
    LLVMValueRef yes = LLVMConstInt(h->m->i8, 1, 0);

    host_store(h, cpu_i32(h->m, 0), l->loop.parity);
    host_store(h, host_i64(h, 0), l->turn);
    host_store(h,
               n->in[0] ? host_load(h, h->m->i64, single(h, n->in[0], l->origin))
                        : host_i64(h, INT64_MAX),
               l->trip);
    host_store(h, n->in[1] ? host_load(h, h->m->i8, single(h, n->in[1], l->origin)) : yes,
               l->condition);
    meet_arguments(h, l, &m, true, outer);
    settle(h, &m, l->origin);
    for (int i = 0; i < l->carried; i++)
        if (is_tensor(l->body->arg[i + 2]))
            host_point(h, l->body->arg[i + 2], host_pointer(h, n->in[i + 2]));
        else
            host_put_box(h, host_box(h, l->body->arg[i + 2]), n->in[i + 2]);
    for (int k = 0; k < l->scans; k++)
        if (n->out[l->carried + k]) scan_start(h, l, k);
    host_point(h, l->body->arg[0], l->turn);
    host_point(h, l->body->arg[1], l->condition);
    trim_slots(h, l);
}

/* Room for one more element of `bytes`; the segment keeps what it has. */
static void scan_grow(Host *h, const Looping *l, int k, LLVMValueRef used, LLVMValueRef bytes)
{
    LLVMBuilderRef b = h->m->b;
    LLVMBasicBlockRef grow = host_block(h), on = host_block(h);
    LLVMValueRef need = host_add(h, used, bytes), room, p;

    host_check(h, l->origin);
    room = host_load(h, h->m->i64, l->scan_room[k]);
    LLVMBuildCondBr(b, LLVMBuildICmp(b, LLVMIntSGT, need, room, ""), grow, on);
    host_enter(h, grow);
    if (l->counted)
        room = host_mul(h, host_load(h, h->m->i64, l->trip), bytes);
    else
        room = host_mul(h, need, host_i64(h, 2));
    host_check(h, l->origin);
    p = host_runtime(
        h, "ingot_rt_segment_keep", h->m->ptr, 4,
        (LLVMValueRef[]){h->call, cpu_i32(h->m, l->plan->segment[l->carried + k]), used, room});
    host_leave_if(h, LLVMBuildIsNull(b, p, ""), cpu_i32(h->m, INGOT_ERR_LIMIT));
    host_point(h, l->n->out[l->carried + k], p);
    host_store(h, room, l->scan_room[k]);
    LLVMBuildBr(b, on);
    host_enter(h, on);
}

/* All elements have the dims of the first. */
static void scan_dims(Host *h, const Looping *l, int k)
{
    const Value *v = scan_result(l, k);
    LLVMValueRef turn = host_load(h, h->m->i64, l->turn);
    LLVMValueRef first = equal(h, turn, host_i64(h, 0));

    for (int i = 0; i < v->type.rank; i++) {
        LLVMValueRef now = host_dim(h, v->type.dim[i]), before, bad;
        if (!LLVMIsAConstantInt(now)) {
            before = host_load(h, h->m->i64, l->scan_dim[k][i]);
            bad = LLVMBuildNot(h->m->b, LLVMBuildOr(h->m->b, first, equal(h, now, before), ""), "");
            host_check(h, l->origin);
            host_fail_if(h, bad, INGOT_ERR_DATA, l->origin,
                         "a dim of a scan output is %lld, it was %lld", now, before);
        }
        host_store(h, now, l->scan_dim[k][i]);
    }
}

static void scan_append(Host *h, const Looping *l, int k)
{
    const Value *v = scan_result(l, k), *out = l->n->out[l->carried + k];
    LLVMValueRef bytes, used;

    if (!is_tensor(v)) {
        host_unsupported(h, l->n, "a scan output that is not a tensor");
        return;
    }
    scan_dims(h, l, k);
    bytes = host_bytes(h, v);
    used = host_mul(h, host_load(h, h->m->i64, l->turn), bytes);
    scan_grow(h, l, k, used, bytes);
    host_copy(h, host_gep(h, host_pointer(h, out), used), host_pointer(h, v), bytes);
}

/* The pointer to the next value of carried i; NULL for a boxed one. */
static LLVMValueRef next_value(Host *h, const Looping *l, int i)
{
    const Value *v = l->body->result[i + 1];
    LLVMValueRef number, p, bytes;

    if (l->next_box[i]) {
        host_put_box(h, l->next_box[i], v);
        if (l->body->arg[i + 2]->type.kind == TYPE_TENSOR) host_keep_box(h, l->next_box[i]);
        return NULL;
    }
    if (l->plan->pass[i] || l->plan->direct[0][i]) return host_pointer(h, v);
    number = LLVMBuildAdd(h->m->b, cpu_i32(h->m, l->plan->segment[i]),
                          host_load(h, h->m->i32, l->loop.parity), "");
    bytes = host_bytes(h, v);
    p = host_segment(h, number, bytes);
    host_copy(h, p, host_pointer(h, v), bytes);
    return p;
}

static void loop_next(Host *h, Looping *l, const Map *outer)
{
    LLVMBuilderRef b = h->m->b;
    LLVMValueRef *next = ARENA_ARRAY(h->arena, LLVMValueRef, l->carried), turn, parity, on;
    Meeting m = meeting_new(h, l->carried);

    for (int k = 0; k < l->scans; k++)
        if (l->n->out[l->carried + k]) scan_append(h, l, k);
    for (int i = 0; i < l->carried; i++)
        next[i] = next_value(h, l, i);
    meet_arguments(h, l, &m, false, outer);
    on = load_bool(h, l->body->result[0], l->origin);
    settle(h, &m, l->origin);
    for (int i = 0; i < l->carried; i++)
        if (next[i])
            host_point(h, l->body->arg[i + 2], next[i]);
        else
            host_set_box(h, l->body->arg[i + 2], l->next_box[i]);
    trim(h, l);
    host_store(h, LLVMBuildZExt(b, on, h->m->i8, ""), l->condition);
    turn = host_load(h, h->m->i64, l->turn);
    host_store(h, LLVMBuildAdd(b, turn, host_i64(h, 1), ""), l->turn);
    parity = host_load(h, h->m->i32, l->loop.parity);
    host_store(h, LLVMBuildXor(b, parity, cpu_i32(h->m, 1), ""), l->loop.parity);
}

static void loop_results(Host *h, const Looping *l)
{
    const Node *n = l->n;
    Meeting m = meeting_new(h, n->n_out);

    for (int i = 0; i < l->carried; i++) {
        const Value *arg = l->body->arg[i + 2], *out = n->out[i];
        if (!out) continue;
        if (is_tensor(out))
            host_point(h, out, host_pointer(h, arg));
        else
            host_put_box(h, host_box(h, out), arg);
        if (!same_rank(h, n, out, arg)) continue;
        for (int k = 0; k < arg->type.rank; k++)
            if (out->type.dim[k] != arg->type.dim[k])
                meet(&m, out->type.dim[k], host_dim(h, arg->type.dim[k]),
                     defines(n, out->type.dim[k]));
    }
    for (int k = 0; k < l->scans; k++) {
        const Value *out = n->out[l->carried + k], *v = scan_result(l, k);
        if (!out || !is_tensor(out)) continue;
        if (out->type.rank != v->type.rank + 1) {
            host_unsupported(h, n, "a scan output of a rank that only the run can tell");
            continue;
        }
        meet(&m, out->type.dim[0], host_load(h, h->m->i64, l->turn), defines(n, out->type.dim[0]));
        for (int i = 1; i < out->type.rank; i++)
            if (defines(n, out->type.dim[i]))
                meet(&m, out->type.dim[i], host_load(h, h->m->i64, l->scan_dim[k][i - 1]), true);
    }
    settle(h, &m, l->origin);
}

/* Dims of a scan output that are known outside hold in every turn. */
static void require_scan_dims(Host *h, const Looping *l)
{
    for (int k = 0; k < l->scans; k++) {
        const Value *out = l->n->out[l->carried + k], *v = scan_result(l, k);
        if (!out || !is_tensor(out) || out->type.rank != v->type.rank + 1) continue;
        for (int i = 1; i < out->type.rank; i++)
            if (!defines(l->n, out->type.dim[i]) && out->type.dim[i] != v->type.dim[i - 1])
                host_require(h, out->type.dim[i], host_dim(h, v->type.dim[i - 1]), INGOT_ERR_DATA,
                             l->origin, "a dim of a scan output is %lld, expected %lld");
    }
}

static bool passes_condition(const Looping *l)
{
    const Value *v = l->body->result[0];

    if (l->n->in[1] && !(l->n->in[1]->data && tensor_int(l->n->in[1]->data, 0))) return false;
    return v == l->body->arg[1] || (v->data && tensor_int(v->data, 0));
}

static void loop_blocks(Host *h, Looping *l, const Map *outer)
{
    LLVMBuilderRef b = h->m->b;
    LLVMBasicBlockRef head = host_block(h), body = host_block(h), done = host_block(h);
    LLVMValueRef more, on;

    LLVMBuildBr(b, head);
    host_enter(h, head);
    more = LLVMBuildICmp(b, LLVMIntSLT, host_load(h, h->m->i64, l->turn),
                         host_load(h, h->m->i64, l->trip), "");
    on = LLVMBuildICmp(b, LLVMIntNE, host_load(h, h->m->i8, l->condition),
                       LLVMConstInt(h->m->i8, 0, 0), "");
    LLVMBuildCondBr(b, LLVMBuildAnd(b, more, on, ""), body, done);
    host_enter(h, body);
    host_region(h, l->body);
    if (h->failed == OK) {
        require_scan_dims(h, l);
        loop_next(h, l, outer);
    }
    LLVMBuildBr(b, head);
    host_enter(h, done);
}

/* The symbols bound so far. */
static void copy_bound(Host *h, Map *out)
{
    const void *key;
    void *value;

    map_init(out, h->arena, false);
    for (size_t i = 0; map_next(&h->symbols, &i, &key, &value);)
        map_set(out, key, value);
}

void host_loop(Host *h, const Node *n)
{
    Looping l = {.n = n, .body = n->region[0], .plan = h->plan->node[n->id]};
    Map outer;

    l.carried = n->n_in - 2;
    l.scans = n->n_out - l.carried;
    l.origin = host_origin(h, n);
    l.loop = (HostLoop){.node = n, .up = h->loop};
    l.counted = n->in[0] && passes_condition(&l);
    copy_bound(h, &outer);
    loop_slots(h, &l);
    loop_start(h, &l, &outer);
    h->loop = &l.loop;
    if (h->failed == OK) loop_blocks(h, &l, &outer);
    h->loop = l.loop.up;
    if (h->failed == OK) loop_results(h, &l);
}
