/* graph_verify.c: whether a module keeps the rules of graph.h: lists are linked as they say, every
 * value is defined before it is read and in sight, nodes have what their kind needs, and, from
 * stage to stage, types are known, no operator is left, and every symbol is bound by an input or by
 * a node before it is used.
 *
 * Values and symbols in sight are kept in maps; leaving a region takes its own ones out again. */
#include <string.h>

#include "ir/graph.h"
#include "ir/op.h"
#include "support/vec.h"

typedef struct Verifier {
    const Module *m;
    GraphStage stage;
    Diag *d;
    Map values; /* in sight; NULL again when not */
    Map symbols;
    const void **trail; /* what came into sight, in order */
    int n_trail, cap_trail;
    const Node *n; /* being looked at */
    Arena *arena;
    Status status;
} Verifier;

static bool fail(Verifier *v, const char *format, ...) PRINTF(2, 3);

static bool fail(Verifier *v, const char *format, ...)
{
    va_list args;
    Where where = v->n ? node_where(v->n) : (Where){.file = v->m->file};
    if (v->status != OK) return false;
    va_start(args, format);
    v->status = diag_v(v->d, ERR_MODEL, where, format, args);
    va_end(args);
    return false;
}

/* ---- what is in sight ---- */

static bool show_value(Verifier *v, const Value *x)
{
    if (map_get(&v->values, x)) return fail(v, "value %d is defined twice", x->id);
    map_set(&v->values, x, v);
    VEC_PUSH(v->arena, v->trail, v->n_trail, v->cap_trail, x);
    return true;
}

static void show_symbol(Verifier *v, Dim symbol)
{
    if (map_get(&v->symbols, symbol)) return;
    map_set(&v->symbols, symbol, v);
    VEC_PUSH(v->arena, v->trail, v->n_trail, v->cap_trail, symbol);
}

static void hide_until(Verifier *v, int mark)
{
    while (v->n_trail > mark) {
        const void *x = v->trail[--v->n_trail];
        if (map_get(&v->values, x)) map_set(&v->values, x, NULL);
        if (map_get(&v->symbols, x)) map_set(&v->symbols, x, NULL);
    }
}

static void need_symbol(void *context, Dim symbol)
{
    Verifier *v = context;
    if (!map_get(&v->symbols, symbol))
        fail(v, "symbol '%s' is used, but no input and no node before gives it", symbol->name);
}

static void need_dims(Verifier *v, int n, const Dim *d)
{
    for (int i = 0; i < n; i++)
        dim_symbols(d[i], need_symbol, v);
}

static void need_sx(void *context, const Sx *e)
{
    if (e->op == SX_DIM) dim_symbols(e->dim, need_symbol, context);
}

static void need_expr(Verifier *v, const Sx *e)
{
    if (e) sx_visit((SxTable *)(uintptr_t)&v->m->sx, e, need_sx, v);
}

static void need_kernel(Verifier *v, const Kernel *k)
{
    for (const Stage *s = k->stage; s < k->stage + k->n_stage; s++) {
        need_dims(v, s->rank, s->extent);
        need_dims(v, s->n_reduce, s->reduce);
        for (int i = 0; i < s->n_acc; i++) {
            need_expr(v, s->acc[i].body);
            need_expr(v, s->acc[i].body2);
            need_expr(v, s->acc[i].where);
        }
        for (int i = 0; i < s->n_out; i++) {
            need_expr(v, s->out[i].value);
            need_expr(v, s->out[i].dst_guard);
            for (int k2 = 0; k2 < s->out[i].n_dst; k2++)
                need_expr(v, s->out[i].dst[k2]);
        }
    }
}

/* ---- values ---- */

static bool check_constant(Verifier *v, const Value *x)
{
    const Tensor *t = x->data;
    if (x->def || x->region)
        return fail(v, "constant %d is also defined by a node or region", x->id);
    bool same = x->type.kind == TYPE_TENSOR && x->type.dtype == t->dtype && x->type.rank == t->rank;
    for (int i = 0; same && i < t->rank; i++)
        same = dim_is(x->type.dim[i], t->dim[i]);
    return same || fail(v, "constant %d does not have the type of its tensor", x->id);
}

static bool check_use(Verifier *v, const Value *x)
{
    if (!x) return true;
    if (x->forward) return fail(v, "value %d was replaced, but is still read", x->id);
    if (x->data) return check_constant(v, x);
    return map_get(&v->values, x) ||
           fail(v, "value %d (%s) is read where it is not defined", x->id, x->name ? x->name : "");
}

static bool check_type(Verifier *v, const Value *x)
{
    const Type *t = &x->type;
    if (t->kind == TYPE_TENSOR && (t->rank < RANK_UNKNOWN || t->rank > MAX_RANK))
        return fail(v, "value %d has rank %d", x->id, t->rank);
    /* what hangs on a branch not yet chosen may stay unknown until operators are lowered */
    bool unknown = t->kind == TYPE_UNKNOWN || (t->kind == TYPE_TENSOR && t->dtype == DT_NONE);
    if (unknown && v->stage >= STAGE_LOWERED)
        return fail(v, "value %d (%s) has no type", x->id, x->name ? x->name : "");
    if (v->stage < STAGE_INFERRED) return true;
    for (int i = 0; t->kind == TYPE_TENSOR && i < t->rank; i++)
        if (!t->dim[i] || t->dim[i]->hi < 0) return fail(v, "value %d has a negative dim", x->id);
    return true;
}

/* ---- nodes ---- */

static const Type *operand(const Node *n, int k)
{
    return k < n->n_in && n->in[k] ? &n->in[k]->type : NULL;
}

static bool is_tensor(const Type *t)
{
    return t && t->kind == TYPE_TENSOR;
}

static bool check_reshape(Verifier *v, const Node *n)
{
    const Type *from = operand(n, 0);
    if (n->n_in != 1 || n->n_out != 1 || !is_tensor(from) || !n->out[0])
        return fail(v, "takes and gives one tensor");
    const Type *to = &n->out[0]->type;
    if (to->kind != TYPE_TENSOR || to->dtype != from->dtype) return fail(v, "changes the dtype");
    if (from->rank == RANK_UNKNOWN || to->rank == RANK_UNKNOWN) return true;
    DimTable *dims = (DimTable *)(uintptr_t)&v->m->dims;
    if (dim_distinct(dims, type_count(dims, from), type_count(dims, to)))
        return fail(v, "changes the number of elements");
    return true;
}

static bool check_concat(Verifier *v, const Node *n)
{
    if (n->n_in < 1 || n->n_out != 1 || !n->out[0]) return fail(v, "takes tensors and gives one");
    const Type *to = &n->out[0]->type;
    DimTable *dims = (DimTable *)(uintptr_t)&v->m->dims;
    if (to->kind != TYPE_TENSOR || n->axis < 0 || n->axis >= to->rank)
        return fail(v, "joins along axis %d of rank %d", n->axis, to->rank);
    Dim sum = dim_const(dims, 0);
    for (int k = 0; k < n->n_in; k++) {
        const Type *t = operand(n, k);
        if (!is_tensor(t) || t->dtype != to->dtype || t->rank != to->rank)
            return fail(v, "operand %d has another dtype or rank than the result", k);
        for (int i = 0; i < t->rank; i++)
            if ((i != n->axis || n->whole) && dim_distinct(dims, t->dim[i], to->dim[i]))
                return fail(v, "operand %d and the result differ in dim %d", k, i);
        sum = dim_add(dims, sum, t->dim[n->axis]);
    }
    return n->whole || !dim_distinct(dims, sum, to->dim[n->axis]) ||
           fail(v, "the dims along the axis do not add up");
}

static bool check_bind(Verifier *v, const Node *n)
{
    const Type *t = operand(n, 0);
    if (!n->bind || n->n_in != 1 || n->n_out || !is_tensor(t))
        return fail(v, "takes one tensor, gives symbols");
    if (t->dtype != DT_I64 && t->dtype != DT_I32)
        return fail(v, "binds symbols to %s", dtype_text(t->dtype));
    for (int i = 0; i < n->bind->n; i++) {
        if (n->bind->symbol[i]->kind != DIM_SYM)
            return fail(v, "binds something that is no symbol");
        if (n->bind->element[i] < 0) return fail(v, "binds element %d", n->bind->element[i]);
        bool listed = false;
        for (int k = 0; k < n->n_define; k++)
            listed |= n->define[k] == n->bind->symbol[i];
        if (!listed) return fail(v, "binds '%s', but does not define it", n->bind->symbol[i]->name);
    }
    return true;
}

static bool check_branches(Verifier *v, const Node *n)
{
    const Type *t = operand(n, 0);
    if (n->n_in != 1 || !is_tensor(t) || t->dtype != DT_BOOL) return fail(v, "takes one bool");
    if (n->n_region != 2) return fail(v, "has %d regions, must have 2", n->n_region);
    for (int i = 0; i < 2; i++)
        if (n->region[i]->n_arg || n->region[i]->n_result != n->n_out)
            return fail(v, "region %d has %d arguments and %d results, must have 0 and %d", i,
                        n->region[i]->n_arg, n->region[i]->n_result, n->n_out);
    return true;
}

static bool check_loop(Verifier *v, const Node *n)
{
    if (n->n_region != 1 || n->n_in < 2) return fail(v, "has a region, a count and a condition");
    const Region *r = n->region[0];
    int carried = n->n_in - 2;
    if (r->n_arg != 2 + carried)
        return fail(v, "its region has %d arguments, must have %d", r->n_arg, 2 + carried);
    if (r->n_result != 1 + n->n_out || n->n_out < carried)
        return fail(v, "its region has %d results for %d outputs", r->n_result, n->n_out);
    return true;
}

static bool check_operator(Verifier *v, const Node *n)
{
    if (!n->op) return fail(v, "an operator without a row");
    if (v->stage >= STAGE_LOWERED) return fail(v, "operator %s was not lowered", n->op->name);
    for (int i = 0; i < n->n_attr; i++)
        if (n->attr[i].kind == ATTR_REGION && (n->attr[i].i < 0 || n->attr[i].i >= n->n_region))
            return fail(v, "attribute '%s' names a region that is not there", n->attr[i].name);
    return true;
}

static bool check_kind(Verifier *v, const Node *n)
{
    switch (n->kind) {
    case NODE_OP:
        return check_operator(v, n);
    case NODE_KERNEL:
        v->status = kernel_verify(n, v->d);
        return v->status == OK;
    case NODE_RESHAPE:
        return check_reshape(v, n);
    case NODE_CONCAT:
        return check_concat(v, n);
    case NODE_CALL:
        if (!n->call || !n->call->name) return fail(v, "a call without a function");
        return call_find(n->call->name) < N_CALLS || str_starts(n->call->name, "user_") ||
               fail(v, "a call that is not in ir/call.def");
    case NODE_BIND:
        return check_bind(v, n);
    case NODE_IF:
        return check_branches(v, n);
    case NODE_LOOP:
        return check_loop(v, n);
    }
    return false;
}

/* Symbols that the node gives must be new; those of other kinds than bind stand among its results'
 * dims. */
static bool check_defines(Verifier *v, const Node *n)
{
    for (int i = 0; i < n->n_define; i++) {
        Dim s = n->define[i];
        bool found = n->kind == NODE_BIND || n->kind == NODE_OP;
        if (s->kind != DIM_SYM) return fail(v, "defines something that is no symbol");
        if (map_get(&v->symbols, s)) return fail(v, "symbol '%s' is defined twice", s->name);
        for (int k = 0; k < n->n_out && !found; k++)
            for (int j = 0;
                 n->out[k] && n->out[k]->type.kind == TYPE_TENSOR && j < n->out[k]->type.rank; j++)
                found |= n->out[k]->type.dim[j] == s;
        if (!found) return fail(v, "defines '%s', which is no dim of its results", s->name);
        show_symbol(v, s);
    }
    return true;
}

/* Operators have not said yet which symbols they define: those that stand alone in their results'
 * dims. */
static void show_operator_symbols(Verifier *v, const Type *t)
{
    for (int i = 0; t->kind == TYPE_TENSOR && i < t->rank; i++)
        if (t->dim[i]->kind == DIM_SYM) show_symbol(v, t->dim[i]);
}

static bool check_outputs(Verifier *v, const Node *n)
{
    for (int i = 0; i < n->n_out; i++) {
        const Value *x = n->out[i];
        if (!x) continue;
        if (x->def != n || x->index != i || x->data || x->region)
            return fail(v, "value %d is not the node's result %d", x->id, i);
        if (!check_type(v, x) || !show_value(v, x)) return false;
        if (v->stage < STAGE_INFERRED) continue;
        if (n->kind == NODE_OP)
            show_operator_symbols(v, &x->type);
        else if (is_tensor(&x->type))
            need_dims(v, x->type.rank, x->type.dim);
    }
    return v->status == OK;
}

static bool check_region(Verifier *v, const Region *r, const Node *holder);

static bool check_node(Verifier *v, const Node *n)
{
    const Node *outer = v->n;
    v->n = n;
    for (int i = 0; i < n->n_in; i++)
        if (!check_use(v, n->in[i])) return false;
    for (int i = 0; i < n->n_region; i++) {
        int mark = v->n_trail;
        if (!check_region(v, n->region[i], n)) return false;
        hide_until(v, mark);
    }
    v->n = n;
    if (!check_kind(v, n)) return false;
    if (n->kernel && v->stage >= STAGE_INFERRED) need_kernel(v, n->kernel);
    if (!check_defines(v, n) || !check_outputs(v, n)) return false;
    v->n = outer;
    return v->status == OK;
}

/* Symbols that are dims of arguments are bound on entry; what else their dims use must be among
 * those. */
static bool check_arguments(Verifier *v, const Region *r)
{
    for (int i = 0; i < r->n_arg; i++) {
        const Value *x = r->arg[i];
        if (!x || x->region != r || x->index != i || x->def || x->data)
            return fail(v, "argument %d of a region is not its own", i);
        if (!check_type(v, x) || !show_value(v, x)) return false;
        show_operator_symbols(v, &x->type);
    }
    for (int i = 0; v->stage >= STAGE_LOWERED && i < r->n_arg; i++)
        if (is_tensor(&r->arg[i]->type)) need_dims(v, r->arg[i]->type.rank, r->arg[i]->type.dim);
    return v->status == OK;
}

static bool check_region(Verifier *v, const Region *r, const Node *holder)
{
    const Node *prev = NULL;
    if (r->holder != holder || r->module != v->m) return fail(v, "a region is not its holder's");
    if (!check_arguments(v, r)) return false;
    for (const Node *n = r->first; n; prev = n, n = n->next) {
        if (n->prev != prev || n->parent != r)
            return fail(v, "the list of nodes is broken at node %d", n->id);
        if (!check_node(v, n)) return false;
    }
    if (r->last != prev) return fail(v, "the list of nodes does not end where it says");
    for (int i = 0; i < r->n_result; i++) {
        if (!r->result[i]) return fail(v, "result %d of a region is missing", i);
        if (!check_use(v, r->result[i])) return false;
    }
    return true;
}

static void check_states(Verifier *v)
{
    const Region *r = v->m->main;
    for (int i = 0; i < v->m->n_state; i++) {
        const StatePair *s = &v->m->state[i];
        if (s->input < 0 || s->input >= r->n_arg || s->output < 0 || s->output >= r->n_result)
            fail(v, "state %d names an input or output that is not there", i);
        else if (s->axis < -1 || s->axis >= MAX_RANK)
            fail(v, "state %d grows along axis %d", i, s->axis);
    }
}

Status graph_verify(const Module *m, GraphStage stage, Diag *d)
{
    Verifier v = {.m = m, .stage = stage, .d = d, .arena = arena_new(0)};
    if (!v.arena) return diag(d, ERR_LIMIT, (Where){.file = m->file}, "out of memory");
    map_init(&v.values, v.arena, false);
    map_init(&v.symbols, v.arena, false);
    if (!dims_ok(&m->dims)) fail(&v, "a dim overflowed");
    if (check_region(&v, m->main, NULL)) check_states(&v);
    if (v.status == OK && !arena_ok(v.arena))
        v.status = diag(d, ERR_LIMIT, (Where){0}, "out of memory");
    arena_free(v.arena);
    return v.status;
}
