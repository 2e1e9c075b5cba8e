/* control.c: If, Loop, Scan: operators that hold regions.
 *
 * If and Loop stay as they are (NODE_IF, NODE_LOOP); Scan becomes a Loop that slices its inputs. A
 * dim of a result that is not the same on all ways through is a fresh symbol that the node defines.
 * Symbols bound inside of a region mean nothing outside of it. */
#include <string.h>

#include "ir/ops/family.h"
#include "ir/ops/ops_common.h"
#include "support/vec.h"

/* ---- symbols of a region ---- */

typedef struct Inner {
    Map symbols;
    bool found;
} Inner;

static void add_symbol(void *context, Dim s)
{
    Inner *x = context;
    map_set(&x->symbols, s, (void *)(uintptr_t)1);
}

static void test_symbol(void *context, Dim s)
{
    Inner *x = context;
    x->found |= map_has(&x->symbols, s);
}

/* Symbols bound in r: by its nodes, and by arguments whose dims are not those of what comes in. */
static void collect_inner(Inner *x, const Region *r, Value *const *initial)
{
    for (int i = 0; i < r->n_arg; i++) {
        const Type *t = &r->arg[i]->type;
        const Type *from = initial && initial[i] ? &initial[i]->type : NULL;

        if (t->kind != TYPE_TENSOR) continue;
        for (int k = 0; k < t->rank; k++)
            if (t->dim[k]->kind == DIM_SYM &&
                !(from && from->rank == t->rank && from->dim[k] == t->dim[k]))
                add_symbol(x, t->dim[k]);
    }
    for (const Node *n = r->first; n; n = n->next) {
        for (int i = 0; i < n->n_define; i++)
            add_symbol(x, n->define[i]);
        for (int i = 0; i < n->n_region; i++)
            collect_inner(x, n->region[i], NULL);
    }
}

static bool mentions_inner(Inner *x, Dim d)
{
    x->found = false;
    dim_symbols(d, test_symbol, x);
    return x->found;
}

static Dim own_symbol(Infer *cx, Node *n)
{
    Dim s = dim_fresh(&cx->module->dims, "r", 0, INT32_MAX);

    node_define(n, s);
    return s;
}

/* Dims of a result that comes from a region: those that mean something outside, else symbols of n.
 */
static Type outside(Infer *cx, Node *n, Inner *x, const Type *t)
{
    Dim *dim;

    if (t->kind != TYPE_TENSOR || t->rank < 0) return *t;
    dim = ARENA_ARRAY(cx->module->arena, Dim, t->rank + 1);
    for (int i = 0; i < t->rank; i++)
        dim[i] = mentions_inner(x, t->dim[i]) ? own_symbol(cx, n) : t->dim[i];
    return type_tensor(t->dtype, t->rank, dim);
}

/* ---- If ---- */

static Status join(Infer *cx, Node *n, Inner *x, const Type *a, const Type *b, int k, Type *out)
{
    Dim *dim;

    if (a->kind != b->kind || (a->kind == TYPE_TENSOR && a->dtype != b->dtype)) {
        if (a->kind == TYPE_UNKNOWN || b->kind == TYPE_UNKNOWN) {
            *out = (Type){0};
            return OK;
        }
        return op_error(n, cx->diag, NULL, "If: the branches give output %d different types", k);
    }
    *out = *a;
    if (a->kind != TYPE_TENSOR) {
        if (type_join(&cx->module->dims, cx->module->arena, a, b, out)) return OK;
        return op_error(n, cx->diag, NULL, "If: the branches give output %d different types", k);
    }
    if (a->rank != b->rank) {
        *out = type_tensor(a->dtype, RANK_UNKNOWN, NULL);
        return OK;
    }
    if (a->rank < 0) return OK;
    dim = ARENA_ARRAY(cx->module->arena, Dim, a->rank);
    for (int i = 0; i < a->rank; i++) {
        bool same = a->dim[i] == b->dim[i] && !mentions_inner(x, a->dim[i]);
        dim[i] = same ? a->dim[i] : own_symbol(cx, n);
    }
    *out = type_tensor(a->dtype, a->rank, dim);
    return OK;
}

static Status infer_if(Infer *cx, Node *n)
{
    Inner x;

    if (n->n_region != 2) return op_error(n, cx->diag, NULL, "If: needs two branches");
    map_init(&x.symbols, cx->module->arena, false);
    for (int i = 0; i < 2; i++) {
        if (n->region[i]->n_result < n->n_out)
            return op_error(n, cx->diag, NULL, "If: branch %d has %d results, %d are wanted", i,
                            n->region[i]->n_result, n->n_out);
        collect_inner(&x, n->region[i], NULL);
    }
    for (int k = 0; k < n->n_out; k++)
        if (n->out[k])
            TRY(join(cx, n, &x, &n->region[0]->result[k]->type, &n->region[1]->result[k]->type, k,
                     &n->out[k]->type));
    return OK;
}

static Status eval_if(Eval *cx, const Node *n, const Tensor *const *in, Tensor **out)
{
    const Region *r = n->region[tensor_int(in[0], 0) ? 0 : 1];
    Tensor **all = ARENA_ARRAY(cx->arena, Tensor *, r->n_result);

    TRY(cx->region(cx, r, NULL, all));
    for (int k = 0; k < n->n_out; k++)
        out[k] = all[k];
    return OK;
}

/* ---- Loop ---- */

static bool always_true(const Region *r)
{
    const Value *v = r->result[0];

    while (v->def && v->def->kind == NODE_OP && v->def->op == op_find(NULL, "Identity"))
        v = v->def->in[0];
    return v == r->arg[1] || (v->data && v->data->count == 1 && tensor_int(v->data, 0));
}

/* Number of rounds when nothing but the count ends the loop. */
static Dim rounds(Infer *cx, Node *n)
{
    const Value *cond = has_in(n, 1) ? n->in[1] : NULL;

    if (!has_in(n, 0) || !n->in[0]->contents || !always_true(n->region[0]))
        return own_symbol(cx, n);
    if (cond && !(cond->data && tensor_int(cond->data, 0))) return own_symbol(cx, n);
    return dim_max(&cx->module->dims, n->in[0]->contents[0], dim_const(&cx->module->dims, 0));
}

static Type stacked(Infer *cx, const Type *t, Dim count)
{
    Dim *dim;

    if (t->kind != TYPE_TENSOR || t->rank < 0 || t->rank >= MAX_RANK) return *t;
    dim = ARENA_ARRAY(cx->module->arena, Dim, t->rank + 1);
    dim[0] = count;
    if (t->rank) memcpy(dim + 1, t->dim, sizeof(Dim) * (size_t)t->rank);
    return type_tensor(t->dtype, t->rank + 1, dim);
}

static Status infer_loop(Infer *cx, Node *n)
{
    Region *r = n->n_region == 1 ? n->region[0] : NULL;
    int carried = n->n_in > 2 ? n->n_in - 2 : 0;
    Inner x;
    Dim count = NULL;
    Type t;

    if (!r) return op_error(n, cx->diag, "body", "Loop: needs a body");
    if (r->n_arg != carried + 2)
        return op_error(n, cx->diag, "body", "Loop: the body takes %d values, expected %d",
                        r->n_arg, carried + 2);
    if (r->n_result < carried + 1 || n->n_out > r->n_result - 1)
        return op_error(n, cx->diag, "body", "Loop: the body has %d results for %d outputs",
                        r->n_result, n->n_out);
    map_init(&x.symbols, cx->module->arena, false);
    collect_inner(&x, r, n->in);
    for (int k = 0; k < n->n_out; k++) {
        if (!n->out[k]) continue;
        if (k < carried) { /* no round at all gives the initial value: the argument's type covers
                              both */
            n->out[k]->type = outside(cx, n, &x, &r->arg[k + 2]->type);
            continue;
        }
        t = outside(cx, n, &x, &r->result[k + 1]->type);
        if (!count) count = rounds(cx, n);
        n->out[k]->type = stacked(cx, &t, count);
    }
    return OK;
}

/* Tensors of one scan output, to be stacked. */
typedef struct Stack {
    int n, cap;
    Tensor **item;
} Stack;

static Status stack_up(Eval *cx, const Node *n, const Stack *s, const Type *t, Tensor **out)
{
    int64_t dims[MAX_RANK] = {s->n};
    int rank = s->n ? s->item[0]->rank : t->rank < 1 ? 0 : t->rank - 1;
    DType dtype = s->n ? s->item[0]->dtype : t->dtype;

    if (rank >= MAX_RANK) return op_unsupported(n, cx->diag, "a stack of rank %d", rank + 1);
    for (int i = 0; i < rank; i++)
        dims[i + 1] = s->n                          ? s->item[0]->dim[i]
                      : dim_is_const(t->dim[i + 1]) ? t->dim[i + 1]->value
                                                    : 0;
    TRY(eval_out(cx, n, out, dtype, rank + 1, dims));
    for (int k = 0; k < s->n; k++) {
        if (s->item[k]->bytes != s->item[0]->bytes)
            return op_error(n, cx->diag, "body", "%s: a scan output changes its size",
                            node_op_name(n));
        if (s->item[k]->bytes)
            memcpy((char *)(*out)->data + (size_t)k * s->item[0]->bytes, s->item[k]->data,
                   s->item[k]->bytes);
    }
    return OK;
}

static Status eval_loop(Eval *cx, const Node *n, const Tensor *const *in, Tensor **out)
{
    const Region *r = n->region[0];
    int carried = n->n_in > 2 ? n->n_in - 2 : 0, scans = r->n_result - 1 - carried;
    bool counted = n->n_in > 0 && in[0];
    int64_t limit = counted ? tensor_int(in[0], 0) : INT64_MAX;
    bool go = !(n->n_in > 1 && in[1]) || tensor_int(in[1], 0);
    Tensor **arg = ARENA_ARRAY(cx->arena, Tensor *, r->n_arg);
    Tensor **result = ARENA_ARRAY(cx->arena, Tensor *, r->n_result);
    Stack *stack = ARENA_ARRAY(cx->arena, Stack, scans);

    for (int k = 0; k < carried; k++)
        arg[k + 2] = (Tensor *)(uintptr_t)in[k + 2];
    for (int64_t i = 0; i < limit && go; i++) {
        arg[0] = tensor_scalar_int(cx->arena, DT_I64, i);
        arg[1] = tensor_scalar_int(cx->arena, DT_BOOL, go);
        TRY(cx->region(cx, r, arg, result));
        if (!arena_ok(cx->arena)) return diag(cx->diag, ERR_LIMIT, node_where(n), "out of memory");
        if (result[0]->count != 1)
            return op_error(n, cx->diag, "body", "Loop: the condition has %lld elements",
                            (long long)result[0]->count);
        go = tensor_int(result[0], 0) != 0;
        for (int k = 0; k < carried; k++)
            arg[k + 2] = result[k + 1];
        for (int k = 0; k < scans; k++)
            VEC_PUSH(cx->arena, stack[k].item, stack[k].n, stack[k].cap, result[1 + carried + k]);
    }
    for (int k = 0; k < n->n_out; k++) {
        if (!n->out[k]) continue;
        if (k < carried)
            out[k] = arg[k + 2];
        else
            TRY(stack_up(cx, n, &stack[k - carried], &n->out[k]->type, &out[k]));
    }
    return OK;
}

/* ---- Scan ---- */

typedef struct Scan {
    int states, inputs, outputs;
    int in_axis[64], out_axis[64];
    bool in_back[64], out_back[64];
    Dim count;
} Scan;

static Status scan_flags(const Node *n, Diag *d, const char *attr, int count, bool *out)
{
    int given;
    const int64_t *v = attr_ints(n, attr, &given);

    if (v && given != count)
        return op_error(n, d, attr, "Scan: %d values, expected %d", given, count);
    for (int i = 0; i < count; i++)
        out[i] = v && v[i] != 0;
    return OK;
}

static Status scan_read(const Node *n, Diag *d, Scan *s)
{
    int n_axes;
    const int64_t *axes = attr_ints(n, "scan_input_axes", &n_axes);
    const Region *r = n->n_region == 1 ? n->region[0] : NULL;
    int64_t scanned = attr_int(n, "num_scan_inputs", 0);

    if (!r || scanned < 1 || scanned > n->n_in || scanned > 64 || r->n_arg != n->n_in)
        return op_error(n, d, "num_scan_inputs", "Scan: the body takes %d values, %d are given",
                        r ? r->n_arg : 0, n->n_in);
    s->inputs = (int)scanned;
    s->states = n->n_in - s->inputs;
    s->outputs = r->n_result - s->states;
    if (s->outputs < 0 || s->outputs > 64 || n->n_out > r->n_result)
        return op_error(n, d, "body", "Scan: the body has %d results", r->n_result);
    TRY(scan_flags(n, d, "scan_input_directions", s->inputs, s->in_back));
    TRY(scan_flags(n, d, "scan_output_directions", s->outputs, s->out_back));
    for (int i = 0; i < s->inputs; i++) {
        const Type *t = in_type(n, s->states + i);
        if (t->rank < 1) return op_error(n, d, NULL, "Scan: a scanned input must have an axis");
        TRY(infer_axis(n, d, "scan_input_axes", axes && i < n_axes ? axes[i] : 0, t->rank,
                       &s->in_axis[i]));
    }
    s->count = in_type(n, s->states)->dim[s->in_axis[0]];
    axes = attr_ints(n, "scan_output_axes", &n_axes);
    for (int i = 0; i < s->outputs; i++) {
        const Type *t = &r->result[s->states + i]->type;
        if (t->kind != TYPE_TENSOR || t->rank < 0)
            return op_unsupported(n, d, "a scan output of unknown rank");
        TRY(infer_axis(n, d, "scan_output_axes", axes && i < n_axes ? axes[i] : 0, t->rank + 1,
                       &s->out_axis[i]));
    }
    return OK;
}

static Status infer_scan(Infer *cx, Node *n)
{
    Scan s;
    Inner x;

    TRY(scan_read(n, cx->diag, &s));
    map_init(&x.symbols, cx->module->arena, false);
    collect_inner(&x, n->region[0], n->in);
    for (int k = 0; k < n->n_out; k++) {
        if (!n->out[k]) continue;
        if (k < s.states) {
            n->out[k]->type = outside(cx, n, &x, &n->region[0]->arg[k]->type);
            continue;
        }
        Type t = outside(cx, n, &x, &n->region[0]->result[k]->type), *o = &n->out[k]->type;
        Dim *dim = ARENA_ARRAY(cx->module->arena, Dim, t.rank + 1);
        int axis = s.out_axis[k - s.states];
        for (int i = 0, j = 0; i <= t.rank; i++)
            dim[i] = i == axis ? s.count : t.dim[j++];
        *o = type_tensor(t.dtype, t.rank + 1, dim);
    }
    return OK;
}

/* One slice of a scanned input in the loop's body: x[..., i or count-1-i, ...]. */
static Value *slice_of(Build *b, Value *x, int axis, bool back, Value *round, Dim count)
{
    const Sx *idx[MAX_RANK], *at = sx_scalar(b, 1, round);
    Dim dims[MAX_RANK];
    int rank = 0;

    if (back) at = sx_sub(b->sx, sx_dim(b->sx, dim_add_c(b->dims, count, -1)), at);
    for (int i = 0; i < x->type.rank; i++) {
        if (i == axis) {
            idx[i] = at;
        } else {
            idx[i] = sx_index(b->sx, rank);
            dims[rank++] = x->type.dim[i];
        }
    }
    return build_map(b, "slice", 2, (Value *[]){x, round}, x->type.dtype, rank, dims,
                     sx_at(b, 0, x, idx));
}

/* Stacked along axis 0 in order of rounds, to where Scan wants it. */
static Value *place_stack(Build *b, Value *v, int axis, bool back)
{
    const Sx *idx[MAX_RANK];
    Dim dims[MAX_RANK];
    int rank = v->type.rank;

    if (axis == 0 && !back) return v;
    for (int i = 0, j = 1; i < rank; i++) {
        int from = i == axis ? 0 : j++;
        dims[i] = v->type.dim[from];
        idx[from] = sx_index(b->sx, i);
    }
    if (back) idx[0] = sx_sub(b->sx, sx_dim(b->sx, dim_add_c(b->dims, v->type.dim[0], -1)), idx[0]);
    return build_map(b, "stack", 1, &v, v->type.dtype, rank, dims, sx_at(b, 0, v, idx));
}

static Status lower_scan(Build *b, const Node *n, Value **out)
{
    Region *body = n->region[0], *r;
    Scan s;
    Value **in, *round, *yes;
    Node *loop;

    TRY(scan_read(n, b->diag, &s));
    in = ARENA_ARRAY(b->module->arena, Value *, s.states + 2);
    in[0] = build_dims(b, -1, &s.count);
    in[1] = NULL;
    for (int i = 0; i < s.states; i++)
        in[i + 2] = n->in[i];
    TRY(b->status);
    loop = node_new(b->region, b->before, NODE_LOOP, s.states + 2, in, s.states + s.outputs,
                    b->origin);
    loop->op = op_find(NULL, "Loop");
    r = node_add_region(loop);
    round = region_add_arg(r, NULL, type_tensor(DT_I64, 0, NULL));
    yes = region_add_arg(r, NULL, type_tensor(DT_BOOL, 0, NULL));
    Build inner = build_at(r, NULL, b->origin, b->diag);
    for (int i = 0; i < s.states; i++)
        value_replace(body->arg[i], region_add_arg(r, body->arg[i]->name, body->arg[i]->type));
    for (int i = 0; i < s.inputs; i++) {
        Value *x =
            slice_of(&inner, n->in[s.states + i], s.in_axis[i], s.in_back[i], round, s.count);
        TRY(inner.status);
        value_replace(body->arg[s.states + i], x);
    }
    region_move_nodes(body, r, NULL);
    region_add_result(r, yes);
    for (int i = 0; i < body->n_result; i++)
        region_add_result(r, body->result[i]);
    for (int k = 0; k < s.states; k++)
        loop->out[k]->type = has_out(n, k) ? n->out[k]->type : body->arg[k]->type;
    for (int i = 0; i < n->n_define; i++)
        node_define(loop, n->define[i]);
    for (int k = 0; k < s.outputs; k++) {
        int at = s.states + k, axis = s.out_axis[k];
        const Type *t = &body->result[at]->type;
        Dim *dim = ARENA_ARRAY(b->module->arena, Dim, t->rank + 1);

        dim[0] = s.count;
        for (int i = 0, j = 1; i <= t->rank; i++) {
            if (i == axis) continue;
            dim[j] = has_out(n, at) ? n->out[at]->type.dim[i] : t->dim[j - 1];
            j++;
        }
        loop->out[at]->type = type_tensor(t->dtype, t->rank + 1, dim);
    }
    for (int k = 0; k < n->n_out; k++)
        if (n->out[k])
            out[k] = k < s.states ? loop->out[k]
                                  : place_stack(b, loop->out[k], s.out_axis[k - s.states],
                                                s.out_back[k - s.states]);
    return b->status;
}

static Status eval_slice(Eval *cx, const Node *n, const Tensor *x, int axis, int64_t at,
                         Tensor **out)
{
    int64_t dims[MAX_RANK], outer = 1, inner = 1;
    int rank = 0;
    size_t part;

    for (int i = 0; i < x->rank; i++) {
        if (i != axis) dims[rank++] = x->dim[i];
        if (i < axis) outer *= x->dim[i];
        if (i > axis) inner *= x->dim[i];
    }
    TRY(eval_out(cx, n, out, x->dtype, rank, dims));
    part = (size_t)inner * (size_t)dtype_bytes(x->dtype);
    for (int64_t o = 0; o < outer && part; o++)
        memcpy((char *)(*out)->data + (size_t)o * part,
               (char *)x->data + (size_t)(o * x->dim[axis] + at) * part, part);
    return OK;
}

/* Stack along `axis`, last first when back. */
static Status eval_place(Eval *cx, const Node *n, const Tensor *v, int axis, bool back,
                         Tensor **out)
{
    int64_t dims[MAX_RANK], outer = 1, inner = 1, count = v->dim[0];
    size_t part;

    for (int i = 0, j = 1; i < v->rank; i++) {
        dims[i] = i == axis ? count : v->dim[j++];
        if (i < axis) outer *= dims[i];
        if (i > axis) inner *= dims[i];
    }
    TRY(eval_out(cx, n, out, v->dtype, v->rank, dims));
    part = (size_t)inner * (size_t)dtype_bytes(v->dtype);
    for (int64_t k = 0; k < count && part; k++)
        for (int64_t o = 0; o < outer; o++)
            memcpy((char *)(*out)->data + (size_t)(o * count + (back ? count - 1 - k : k)) * part,
                   (char *)v->data + (size_t)(k * outer + o) * part, part);
    return OK;
}

static Status eval_scan(Eval *cx, const Node *n, const Tensor *const *in, Tensor **out)
{
    const Region *r = n->region[0];
    Scan s;
    Tensor **arg = ARENA_ARRAY(cx->arena, Tensor *, r->n_arg);
    Tensor **result = ARENA_ARRAY(cx->arena, Tensor *, r->n_result), *v;
    Stack stack[64] = {0};
    int64_t count;

    TRY(scan_read(n, cx->diag, &s));
    count = in[s.states]->dim[s.in_axis[0]];
    for (int i = 1; i < s.inputs; i++)
        if (in[s.states + i]->dim[s.in_axis[i]] != count)
            return op_error(n, cx->diag, NULL, "Scan: scanned inputs of different lengths");
    for (int k = 0; k < s.states; k++)
        arg[k] = (Tensor *)(uintptr_t)in[k];
    for (int64_t i = 0; i < count; i++) {
        for (int k = 0; k < s.inputs; k++)
            TRY(eval_slice(cx, n, in[s.states + k], s.in_axis[k], s.in_back[k] ? count - 1 - i : i,
                           &arg[s.states + k]));
        TRY(cx->region(cx, r, arg, result));
        for (int k = 0; k < s.states; k++)
            arg[k] = result[k];
        for (int k = 0; k < s.outputs; k++)
            VEC_PUSH(cx->arena, stack[k].item, stack[k].n, stack[k].cap, result[s.states + k]);
    }
    for (int k = 0; k < n->n_out; k++) {
        int at = k - s.states;
        if (!n->out[k]) continue;
        if (at < 0) {
            out[k] = arg[k];
            continue;
        }
        TRY(stack_up(cx, n, &stack[at], &n->out[k]->type, &v));
        TRY(eval_place(cx, n, v, s.out_axis[at], s.out_back[at], &out[k]));
    }
    return OK;
}

const OpDef control_ops[] = {
    {.name = "If",
     .since = 25,
     .about = "one of two graphs",
     ROW_IN({"cond", T_BOOL, "B", .single = true}),
     ROW_OUT({"outputs", 0, NULL, true, true}),
     ROW_ATTRS(ATTR_REQ("then_branch", ATTR_REGION), ATTR_REQ("else_branch", ATTR_REGION)),
     .holder = NODE_IF,
     .infer = infer_if,
     .eval = eval_if},
    {.name = "Loop",
     .since = 25,
     .calls = CALL_BIT(list) | CALL_BIT(list_element),
     .about = "a graph again and again, carrying values",
     ROW_IN({"M", DT_BIT(DT_I64), "I", true, .single = true},
            {"cond", T_BOOL, "B", true, .single = true}, {"v_initial", 0, NULL, true, true}),
     ROW_OUT({"v_final_and_scan_outputs", 0, NULL, true, true}),
     ROW_ATTRS(ATTR_REQ("body", ATTR_REGION)),
     .holder = NODE_LOOP,
     .infer = infer_loop,
     .eval = eval_loop},
    {.name = "Scan",
     .since = 25,
     .about = "a graph for each slice of the inputs, carrying states",
     ROW_IN({"initial_state_and_scan_inputs", 0, NULL, false, true}),
     ROW_OUT({"final_state_and_scan_outputs", 0, NULL, true, true}),
     ROW_ATTRS(ATTR_REQ("body", ATTR_REGION), ATTR_REQ("num_scan_inputs", ATTR_INT),
               ATTR_OPT("scan_input_axes", ATTR_INTS), ATTR_OPT("scan_input_directions", ATTR_INTS),
               ATTR_OPT("scan_output_axes", ATTR_INTS),
               ATTR_OPT("scan_output_directions", ATTR_INTS)),
     .infer = infer_scan,
     .eval = eval_scan,
     .lower = lower_scan},
    {0},
};
