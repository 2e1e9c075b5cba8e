/* sequence.c: operators on sequences of tensors. See sequence.h. */
#include "ir/ops/sequence.h"

#include <string.h>

#include "ir/eval.h"

/* ---- types ---- */

static Status elem_of(Infer *cx, const Node *n, int input, const Type **out)
{
    const Type *t = in_type(n, input);

    if (t->kind != TYPE_SEQUENCE || !t->elem)
        return op_error(n, cx->diag, NULL, "%s: input %d is no sequence", n->op->name, input);
    *out = t->elem;
    return OK;
}

static Status infer_sequence(Infer *cx, Node *n, const Type *elem)
{
    n->out[0]->type =
        (Type){.kind = TYPE_SEQUENCE, .elem = arena_copy(cx->module->arena, elem, sizeof *elem)};
    return OK;
}

/* The elements of a sequence have one type together with these inputs. */
static Status join_inputs(Infer *cx, Node *n, Type elem, int first, int last)
{
    for (int i = first; i <= last; i++) {
        Type both;
        if (in_type(n, i)->kind == TYPE_UNKNOWN || in_type(n, i)->dtype == DT_NONE) return OK;
        if (!type_join(&cx->module->dims, cx->module->arena, &elem, in_type(n, i), &both))
            return op_error(n, cx->diag, NULL, "%s: input %d is of another type than the elements",
                            n->op->name, i);
        elem = both;
    }
    return infer_sequence(cx, n, &elem);
}

static Status infer_construct(Infer *cx, Node *n)
{
    return join_inputs(cx, n, *in_type(n, 0), 1, n->n_in - 1);
}

static Status infer_empty(Infer *cx, Node *n)
{
    DType t = dtype_from_onnx((int)attr_int(n, "dtype", 1));
    Type elem = type_tensor(t, RANK_NONE, NULL);

    if (t == DT_NONE) return op_error(n, cx->diag, "dtype", "SequenceEmpty: not a dtype");
    return infer_sequence(cx, n, &elem);
}

static Status infer_insert(Infer *cx, Node *n)
{
    const Type *elem = NULL;

    TRY(elem_of(cx, n, 0, &elem));
    return join_inputs(cx, n, *elem, 1, 1);
}

static Status infer_erase(Infer *cx, Node *n)
{
    const Type *elem = NULL;

    TRY(elem_of(cx, n, 0, &elem));
    return infer_sequence(cx, n, elem);
}

/* Do all parts have one extent that is known? A list of them may be open itself: one for each row.
 */
static bool parts_alike(Infer *cx, const Node *n, Dim whole, int64_t *each)
{
    const int64_t *given;
    int count = 0;

    *each = 1;
    if (!has_in(n, 1)) return true;
    bool listed = in_type(n, 1)->rank == 1;
    if (listed && filled_with(n->in[1], each)) return *each >= 0;
    if (!const_ints(n->in[1], cx->module->arena, &given, &count) || count < 1) return false;
    for (int i = 1; i < count; i++)
        if (given[i] != given[0]) return false;
    *each = given[0];
    if (listed) return *each >= 0;
    return *each > 0 && dim_is_const(whole) &&
           whole->value % *each == 0; /* else the last is short */
}

static Status infer_split(Infer *cx, Node *n)
{
    const Type *x = in_type(n, 0);
    DimTable *t = &cx->module->dims;
    Dim dim[MAX_RANK];
    bool keep = has_in(n, 1) || attr_int(n, "keepdims", 1) != 0, alike;
    int64_t each;
    Type elem;
    int axis, rank = 0;

    TRY(infer_ranked(cx, n, 0));
    TRY(infer_axis(n, cx->diag, "axis", attr_int(n, "axis", 0), x->rank, &axis));
    alike = parts_alike(cx, n, x->dim[axis], &each);
    for (int i = 0; i < x->rank; i++) {
        if (i != axis)
            dim[rank++] = x->dim[i];
        else if (keep)
            dim[rank++] = alike ? dim_const(t, each) : dim_fresh(t, "any", 0, INT32_MAX);
    }
    elem = type_tensor(x->dtype, rank, arena_copy(cx->module->arena, dim, sizeof(Dim) * MAX_RANK));
    return infer_sequence(cx, n, &elem);
}

/* ---- who makes a sequence ---- */

/* The name of the call, and what it is told, where the run alone knows the elements. */
typedef struct MakeRow {
    const char *op, *call;
} MakeRow;

static const MakeRow make_rows[] = {{"SequenceInsert", "list_insert"},
                                    {"SequenceErase", "list_erase"},
                                    {"SplitToSequence", "list_split"}};

static Status lower_maker(Build *b, const Node *n, Value **out)
{
    const Type *type = &n->out[0]->type;
    int64_t ints[2] = {0};
    Parts p;

    if (parts_made(b, n, &p)) {
        out[0] = make_list(b, type, p.n, p.v);
        return b->status;
    }
    TRY(b->status);
    if (in_type(n, 0)->kind == TYPE_TENSOR) {
        int axis;
        TRY(infer_axis(n, b->diag, "axis", attr_int(n, "axis", 0), in_type(n, 0)->rank, &axis));
        ints[0] = axis;
        ints[1] = has_in(n, 1) || attr_int(n, "keepdims", 1) != 0;
    }
    for (size_t i = 0; i < sizeof make_rows / sizeof *make_rows; i++)
        if (strcmp(n->op->name, make_rows[i].op) == 0)
            out[0] = call_list(b, make_rows[i].call, n->n_in, n->in, type, 2, ints);
    return b->status;
}

/* ---- who reads one ---- */

/* The element that is read, where that is known while compiling. */
static Value *known_element(Build *b, const Node *n)
{
    const int64_t *at;
    Parts p;
    int count;

    if (!parts_known(b, n->in[0], &p)) return NULL;
    if (!const_ints(n->in[1], b->module->arena, &at, &count) || count != 1) return NULL;
    if (at[0] < -p.n || at[0] >= p.n) return NULL; /* if this node runs, it fails then */
    return p.v[at[0] < 0 ? at[0] + p.n : at[0]];
}

static Status infer_at(Infer *cx, Node *n)
{
    Build b = build_aside(cx, n);
    Value *v = known_element(&b, n);
    const Type *elem = NULL;

    TRY(elem_of(cx, n, 0, &elem));
    if (v)
        n->out[0]->type = v->type;
    else
        infer_element(cx, n, 0, elem);
    return OK;
}

static Status lower_at(Build *b, const Node *n, Value **out)
{
    Value *v = known_element(b, n);

    /* else a symbol that inference made wants its value */
    if (v && type_equal(&v->type, &n->out[0]->type))
        out[0] = v;
    else
        out[0] = call_list(b, "list_at", 2, n->in, &n->out[0]->type, 0, NULL);
    return b->status;
}

static Status infer_length(Infer *cx, Node *n)
{
    Build b = build_aside(cx, n);
    const Type *elem = NULL;
    Parts p;

    TRY(elem_of(cx, n, 0, &elem));
    infer_out(cx, n, 0, DT_I64, 0, NULL);
    if (parts_known(&b, n->in[0], &p)) {
        Dim count = dim_const(&cx->module->dims, p.n);
        infer_contents(cx, n, 0, 1, &count);
    }
    return OK;
}

static Status lower_length(Build *b, const Node *n, Value **out)
{
    Parts p;

    if (parts_known(b, n->in[0], &p))
        out[0] = build_scalar(b, DT_I64, p.n);
    else
        out[0] = list_length(b, n->in[0]);
    return b->status;
}

/* ---- ConcatFromSequence ---- */

static Value *known_concat(Build *b, const Node *n)
{
    int64_t axis = attr_int(n, "axis", 0);
    Value **v;
    Parts p;

    if (!parts_known(b, n->in[0], &p) || p.n == 0) return NULL;
    v = ARENA_ARRAY(b->module->arena, Value *, p.n);
    for (int i = 0; i < p.n; i++) {
        if (type_is_boxed(&p.v[i]->type)) return NULL;
        v[i] = attr_int(n, "new_axis", 0) ? make_unsqueeze(b, p.v[i], axis) : p.v[i];
    }
    return make_concat(b, p.n, v, axis);
}

static Status concat_axis(const Node *n, Diag *d, const Type *elem, int *axis)
{
    return infer_axis(n, d, "axis", attr_int(n, "axis", 0),
                      elem->rank + (attr_int(n, "new_axis", 0) != 0), axis);
}

static Status infer_concat(Infer *cx, Node *n)
{
    Build b = build_aside(cx, n);
    Value *v = known_concat(&b, n);
    const Type *elem = NULL;
    Dim dim[MAX_RANK + 1];
    bool fresh = attr_int(n, "new_axis", 0) != 0;
    int axis;

    TRY(elem_of(cx, n, 0, &elem));
    if (v) {
        n->out[0]->type = v->type;
        return OK;
    }
    TRY(b.status);
    if (elem->rank < 0)
        return op_unsupported(n, cx->diag, "a sequence whose elements have no rank that is known");
    TRY(concat_axis(n, cx->diag, elem, &axis));
    if (elem->rank + fresh > MAX_RANK)
        return op_unsupported(n, cx->diag, "a rank of more than %d", MAX_RANK);
    for (int i = 0, j = 0; i < elem->rank + fresh; i++) {
        Dim d = fresh && i == axis ? NULL : elem->dim[j++];
        dim[i] = i != axis && dim_is_const(d) ? d : dim_fresh(&cx->module->dims, "e", 0, INT32_MAX);
    }
    infer_out(cx, n, 0, elem->dtype, elem->rank + fresh, dim);
    return OK;
}

static Status lower_concat(Build *b, const Node *n, Value **out)
{
    Value *v = known_concat(b, n);
    int axis;

    if (v && type_equal(&v->type, &n->out[0]->type)) {
        out[0] = v;
        return b->status;
    }
    TRY(b->status);
    TRY(concat_axis(n, b->diag, in_type(n, 0)->elem, &axis));
    out[0] = call_list(b, "list_concat", 1, n->in, &n->out[0]->type, 2,
                       (int64_t[]){axis, attr_int(n, "new_axis", 0) != 0});
    return b->status;
}

/* ---- evaluation ---- */

static Status eval_place(Eval *cx, const Node *n, const Tensor *list, const Tensor *position,
                         int64_t most, int64_t absent, int64_t *at)
{
    *at = absent;
    if (position && position->count != 1)
        return op_error(n, cx->diag, "position", "%s: %lld positions", n->op->name,
                        (long long)position->count);
    if (position) *at = tensor_int(position, 0);
    if (*at < -list->count || *at > most || (*at < 0 && !position))
        return op_error(n, cx->diag, "position", "%s: %lld, but the sequence has %lld elements",
                        n->op->name, (long long)*at, (long long)list->count);
    if (*at < 0) *at += list->count;
    return OK;
}

static Status eval_construct(Eval *cx, const Node *n, const Tensor *const *in, Tensor **out)
{
    return eval_list(cx, n, TYPE_SEQUENCE, n->n_in, (Tensor *const *)(uintptr_t)in, &out[0]);
}

static Status eval_insert(Eval *cx, const Node *n, const Tensor *const *in, Tensor **out)
{
    int64_t count = in[0]->count, at;
    Tensor **item = ARENA_ARRAY(cx->arena, Tensor *, count + 1);

    TRY(eval_place(cx, n, in[0], n->n_in > 2 ? in[2] : NULL, count, count, &at));
    for (int64_t i = 0; i <= count; i++)
        item[i] = i == at ? (Tensor *)(uintptr_t)in[1] : tensor_items(in[0])[i < at ? i : i - 1];
    return eval_list(cx, n, TYPE_SEQUENCE, count + 1, item, &out[0]);
}

static Status eval_erase(Eval *cx, const Node *n, const Tensor *const *in, Tensor **out)
{
    int64_t count = in[0]->count, at;
    Tensor **item = ARENA_ARRAY(cx->arena, Tensor *, count + 1);

    TRY(eval_place(cx, n, in[0], n->n_in > 1 ? in[1] : NULL, count - 1, count - 1, &at));
    for (int64_t i = 0; i < count - 1; i++)
        item[i] = tensor_items(in[0])[i < at ? i : i + 1];
    return eval_list(cx, n, TYPE_SEQUENCE, count - 1, item, &out[0]);
}

static Status eval_at(Eval *cx, const Node *n, const Tensor *const *in, Tensor **out)
{
    int64_t at;

    TRY(eval_place(cx, n, in[0], in[1], in[0]->count - 1, 0, &at));
    out[0] = tensor_items(in[0])[at];
    return OK;
}

static Status eval_length(Eval *cx, const Node *n, const Tensor *const *in, Tensor **out)
{
    TRY(eval_out(cx, n, &out[0], DT_I64, 0, NULL));
    tensor_set_int(out[0], 0, in[0]->count);
    return OK;
}

/* x[..., from : from + extent, ...] on `axis`. */
static Status eval_part(Eval *cx, const Node *n, const Tensor *x, int axis, int64_t from,
                        int64_t extent, bool keep, Tensor **out)
{
    int64_t dims[MAX_RANK], offset, stride[MAX_RANK], kept[MAX_RANK];
    Tensor *part;
    int rank = 0;

    memcpy(dims, x->dim, sizeof *dims * (size_t)x->rank);
    dims[axis] = extent;
    TRY(eval_out(cx, n, &part, x->dtype, x->rank, dims));
    eval_strides(x->rank, x->dim, stride);
    offset = from * stride[axis];
    eval_copy_strided(part, x, offset, stride);
    for (int i = 0; i < x->rank; i++)
        if (i != axis || keep) kept[rank++] = dims[i];
    *out = tensor_reshape(cx->arena, part, rank, kept);
    return OK;
}

static Status eval_split(Eval *cx, const Node *n, const Tensor *const *in, Tensor **out)
{
    const Tensor *x = in[0], *split = n->n_in > 1 ? in[1] : NULL;
    bool listed = split && split->rank == 1, keep = split || attr_int(n, "keepdims", 1) != 0;
    int64_t each = split && !listed ? tensor_int(split, 0) : 1, count, at = 0;
    Tensor **item;
    int axis;

    TRY(infer_axis(n, cx->diag, "axis", attr_int(n, "axis", 0), x->rank, &axis));
    if (each < 1)
        return op_error(n, cx->diag, "split", "SplitToSequence: parts of %lld", (long long)each);
    count = listed ? split->count : (x->dim[axis] + each - 1) / each;
    item = arena_try(cx->arena, (size_t)count + 1, sizeof *item);
    if (!item) return diag(cx->diag, ERR_LIMIT, node_where(n), "SplitToSequence: no memory");
    for (int64_t i = 0; i < count; i++) {
        int64_t left = x->dim[axis] - at, size = listed ? tensor_int(split, i) : each;
        if (!listed && size > left) size = left;
        if (size < 0 || size > left)
            return op_error(n, cx->diag, "split", "SplitToSequence: a part of %lld, %lld are left",
                            (long long)size, (long long)left);
        TRY(eval_part(cx, n, x, axis, at, size, keep, &item[i]));
        at += size;
    }
    if (at != x->dim[axis])
        return op_error(n, cx->diag, "split", "SplitToSequence: the parts have %lld of %lld",
                        (long long)at, (long long)x->dim[axis]);
    return eval_list(cx, n, TYPE_SEQUENCE, count, item, &out[0]);
}

static Status eval_concat(Eval *cx, const Node *n, const Tensor *const *in, Tensor **out)
{
    Module *m = module_new(cx->arena, n->parent->module->file);
    Build b = build_at(m->main, NULL, n->origin, cx->diag);
    Value **v = ARENA_ARRAY(cx->arena, Value *, in[0]->count);
    int64_t axis = attr_int(n, "axis", 0);

    if (in[0]->count == 0)
        return op_error(n, cx->diag, "input_sequence", "ConcatFromSequence: it is empty");
    for (int64_t i = 0; i < in[0]->count; i++) {
        v[i] = module_constant(m, tensor_items(in[0])[i], NULL);
        if (attr_int(n, "new_axis", 0)) v[i] = make_unsqueeze(&b, v[i], axis);
    }
    Value *all = make_concat(&b, (int)in[0]->count, v, axis);
    if (!all) return b.status;
    region_add_result(m->main, all);
    return eval_module(m, cx->arena, NULL, NULL, out, cx->diag);
}

/* ---- the table ---- */

#define ROW(infer_, eval_, low)                                                                    \
    .traits = OP_PURE | OP_ANY_RANK, .infer = infer_, .eval = eval_, .lower = low
#define T_PLACE (DT_BIT(DT_I32) | DT_BIT(DT_I64))

const OpDef sequence_ops[] = {
    {.name = "SequenceConstruct",
     .since = 11,
     .calls = CALL_BIT(list),
     .about = "a sequence of tensors",
     ROW_IN({"inputs", 0, NULL, false, true}),
     ROW_OUT({"output_sequence", 0}),
     ROW(infer_construct, eval_construct, lower_maker)},
    {.name = "SequenceEmpty",
     .since = 11,
     .calls = CALL_BIT(list),
     .about = "a sequence without elements",
     .in = (const PortDef[]){{0}},
     ROW_OUT({"output", 0}),
     ROW_ATTRS(ATTR_I("dtype", 1)),
     ROW(infer_empty, eval_construct, lower_maker)},
    {.name = "SequenceInsert",
     .since = 11,
     .calls = CALL_BIT(list) | CALL_BIT(list_insert),
     .about = "a sequence with one more element",
     ROW_IN({"input_sequence", 0}, {"tensor", T_ANY}, {"position", T_PLACE, NULL, true}),
     ROW_OUT({"output_sequence", 0}),
     ROW(infer_insert, eval_insert, lower_maker)},
    {.name = "SequenceErase",
     .since = 11,
     .calls = CALL_BIT(list) | CALL_BIT(list_erase),
     .about = "a sequence without one of its elements",
     ROW_IN({"input_sequence", 0}, {"position", T_PLACE, NULL, true}),
     ROW_OUT({"output_sequence", 0}),
     ROW(infer_erase, eval_erase, lower_maker)},
    {.name = "SplitToSequence",
     .since = 24,
     .calls = CALL_BIT(list) | CALL_BIT(list_split),
     .about = "the parts of a tensor along an axis",
     ROW_IN({"input", T_ANY}, {"split", T_PLACE, NULL, true}),
     ROW_OUT({"output_sequence", 0}),
     ROW_ATTRS(ATTR_I("axis", 0), ATTR_I("keepdims", 1)),
     ROW(infer_split, eval_split, lower_maker)},
    {.name = "SequenceAt",
     .since = 11,
     .calls = CALL_BIT(list_at),
     .about = "an element of a sequence",
     ROW_IN({"input_sequence", 0}, {"position", T_PLACE}),
     ROW_OUT({"tensor", T_ANY}),
     ROW(infer_at, eval_at, lower_at)},
    {.name = "SequenceLength",
     .since = 11,
     .calls = CALL_BIT(list_length),
     .about = "how many elements a sequence has",
     ROW_IN({"input_sequence", 0}),
     ROW_OUT({"length", DT_BIT(DT_I64)}),
     ROW(infer_length, eval_length, lower_length)},
    {.name = "ConcatFromSequence",
     .since = 11,
     .calls = CALL_BIT(list_concat),
     .about = "the elements of a sequence one behind the other",
     ROW_IN({"input_sequence", 0}),
     ROW_OUT({"concat_result", T_ANY}),
     ROW_ATTRS(ATTR_REQ("axis", ATTR_INT), ATTR_I("new_axis", 0)),
     ROW(infer_concat, eval_concat, lower_concat)},
    {0},
};
