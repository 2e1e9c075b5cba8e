/* sequence.c: sequences and optionals that are known while compiling.
 *
 * A sequence has no form at run time: whoever makes one is lowered to a list of tensors, kept as an
 * unlinked SequenceConstruct behind the value, and whoever reads one takes the tensors from there.
 * So the length and positions must be constants, and no sequence may cross the edge of the model or
 * of a branch or loop. An optional is the value itself: one that only the run could know to be
 * empty is unsupported. */
#include <string.h>

#include "ir/ops/compose.h"
#include "ir/ops/ops_common.h"

typedef struct Parts {
    int n;
    Value **v;
} Parts;

static bool made_by(const Value *v, const char *op)
{
    return v->def && v->def->op && strcmp(v->def->op->name, op) == 0;
}

static Parts parts_room(Build *b, int n)
{
    return (Parts){0, ARENA_ARRAY(b->module->arena, Value *, n + 1)};
}

/* A constant position, counted from the end when negative, in [0, limit]. Absent: `absent`. */
static Status position(Build *b, const Node *n, int input, int limit, int absent, int *at)
{
    const int64_t *v;
    int count;

    *at = absent;
    if (!has_in(n, input)) return OK;
    if (!const_ints(n->in[input], b->module->arena, &v, &count) || count != 1)
        return op_unsupported(n, b->diag, "a position that only the run knows");
    if (v[0] < -limit || v[0] > limit)
        return op_error(n, b->diag, "position", "%s: %lld, but the sequence has %d elements",
                        n->op->name, (long long)v[0], limit);
    *at = (int)(v[0] < 0 ? v[0] + limit : v[0]);
    return OK;
}

/* ---- SplitToSequence ---- */

/* Sizes of the parts: one each, of one size, or listed. */
static Status split_sizes(Build *b, const Node *n, int64_t extent, int *parts, const int64_t **size)
{
    const int64_t *given = NULL;
    int64_t *list, each = 1, sum = 0;
    int count = 0;

    if (has_in(n, 1) && !const_ints(n->in[1], b->module->arena, &given, &count))
        return op_unsupported(n, b->diag, "a split that only the run knows");
    if (given && in_type(n, 1)->rank == 1) {
        for (int i = 0; i < count; i++) {
            if (given[i] < 0 || given[i] > extent - sum) sum = extent + 1;
            if (sum <= extent) sum += given[i];
        }
        *parts = count;
        *size = given;
        if (sum == extent) return OK;
        return op_error(n, b->diag, "split", "SplitToSequence: the sum is not %lld",
                        (long long)extent);
    }
    if (given) each = count == 1 ? given[0] : 0;
    if (each < 1 || extent / each > 100000)
        return op_error(n, b->diag, "split", "SplitToSequence: parts of %lld", (long long)each);
    *parts = (int)((extent + each - 1) / each);
    list = ARENA_ARRAY(b->module->arena, int64_t, *parts + 1);
    for (int i = 0; i < *parts; i++)
        list[i] = i + 1 < *parts ? each : extent - each * i;
    *size = list;
    return OK;
}

static Status split_parts(Build *b, const Node *n, Parts *p)
{
    const Type *x = in_type(n, 0);
    const int64_t *size = NULL;
    int64_t at = 0;
    int axis, count = 0;

    if (x->rank == RANK_UNKNOWN) return op_unsupported(n, b->diag, "an input of unknown rank");
    TRY(infer_axis(n, b->diag, "axis", attr_int(n, "axis", 0), x->rank, &axis));
    if (!dim_is_const(x->dim[axis]))
        return op_unsupported(n, b->diag, "an axis whose extent only the run knows");
    TRY(split_sizes(b, n, x->dim[axis]->value, &count, &size));
    *p = parts_room(b, count);
    for (; p->n < count && b->status == OK; at += size[p->n++]) {
        Value *v = make_slice(b, n->in[0], axis, at, at + size[p->n], 1);
        if (!has_in(n, 1) && attr_int(n, "keepdims", 1) == 0)
            v = build_op2(b, "Squeeze", v, build_i64(b, 1, (int64_t[]){axis}));
        p->v[p->n] = v;
    }
    return b->status;
}

/* ---- the elements of a sequence ---- */

static Status parts_of(Build *b, const Node *reader, const Value *v, Parts *p);

static Status insert_parts(Build *b, const Node *n, Parts *p)
{
    Parts old;
    int at;

    TRY(parts_of(b, n, n->in[0], &old));
    TRY(position(b, n, 2, old.n, old.n, &at));
    *p = parts_room(b, old.n + 1);
    for (int i = 0; i <= old.n; i++)
        p->v[p->n++] = i == at ? n->in[1] : old.v[i < at ? i : i - 1];
    return OK;
}

static Status erase_parts(Build *b, const Node *n, Parts *p)
{
    Parts old;
    int at;

    TRY(parts_of(b, n, n->in[0], &old));
    TRY(position(b, n, 1, old.n, old.n - 1, &at));
    if (at < 0 || at >= old.n)
        return op_error(n, b->diag, "position", "SequenceErase: %d of %d elements", at, old.n);
    *p = parts_room(b, old.n);
    for (int i = 0; i < old.n; i++)
        if (i != at) p->v[p->n++] = old.v[i];
    return OK;
}

/* Of a node that makes a sequence. */
static Status made_parts(Build *b, const Node *n, const Value *v, Parts *p)
{
    if (made_by(v, "SequenceConstruct")) {
        *p = (Parts){n->n_in, n->in};
        return OK;
    }
    if (made_by(v, "SequenceEmpty")) {
        *p = (Parts){0};
        return OK;
    }
    if (made_by(v, "SequenceInsert")) return insert_parts(b, n, p);
    if (made_by(v, "SequenceErase")) return erase_parts(b, n, p);
    if (made_by(v, "Optional") || made_by(v, "OptionalGetElement") || made_by(v, "Identity"))
        return parts_of(b, n, n->in[0], p);
    return split_parts(b, n, p);
}

static Status parts_of(Build *b, const Node *reader, const Value *v, Parts *p)
{
    static const char *const makers[] = {
        "SequenceConstruct", "SequenceEmpty",      "SequenceInsert",
        "SequenceErase",     "SplitToSequence",    "Optional",
        "Identity",          "OptionalGetElement", NULL};

    for (int i = 0; makers[i]; i++)
        if (made_by(v, makers[i])) return made_parts(b, v->def, v, p);
    return op_unsupported(reader, b->diag, "a sequence that only the run knows");
}

/* ---- who makes a sequence ---- */

static Status own_parts(Build *b, const Node *n, Parts *p)
{
    return made_parts(b, n, n->out[0], p);
}

static Status infer_maker(Infer *cx, Node *n)
{
    Build b = build_at(region_new(cx->module, NULL), NULL, n->origin, cx->diag);
    Type *elem = ARENA_NEW(cx->module->arena, Type);
    Parts p;

    TRY(own_parts(&b, n, &p));
    *elem = p.n ? p.v[0]->type : type_tensor(DT_F32, RANK_UNKNOWN, NULL);
    for (int i = 1; i < p.n; i++)
        if (!type_equal(&p.v[i]->type, elem)) *elem = type_tensor(elem->dtype, RANK_UNKNOWN, NULL);
    n->out[0]->type = (Type){.kind = TYPE_SEQUENCE, .elem = elem};
    return OK;
}

static Status lower_maker(Build *b, const Node *n, Value **out)
{
    Parts p;
    Node *held;

    TRY(own_parts(b, n, &p));
    for (int i = 0; i < p.n; i++)
        p.v[i] = value_resolve(p.v[i]);
    held = node_new(b->region, b->before, NODE_OP, p.n, p.v, 1, b->origin);
    held->op = op_find(NULL, "SequenceConstruct");
    held->out[0]->type = n->out[0]->type;
    node_unlink(held);
    out[0] = held->out[0];
    return OK;
}

static Status eval_none(Eval *cx, const Node *n, const Tensor *const *in, Tensor **out)
{
    (void)in;
    (void)out;
    return op_unsupported(n, cx->diag, "the evaluation of sequences");
}

/* ---- who reads one ---- */

static Status lower_at(Build *b, const Node *n, Value **out)
{
    Parts p;
    int at;

    TRY(parts_of(b, n, n->in[0], &p));
    TRY(position(b, n, 1, p.n, 0, &at));
    if (at >= p.n)
        return op_error(n, b->diag, "position", "SequenceAt: %d of %d elements", at, p.n);
    out[0] = value_resolve(p.v[at]);
    return OK;
}

static Status lower_length(Build *b, const Node *n, Value **out)
{
    Parts p;

    TRY(parts_of(b, n, n->in[0], &p));
    out[0] = build_scalar(b, DT_I64, p.n);
    return b->status;
}

static Status lower_concat(Build *b, const Node *n, Value **out)
{
    int64_t axis = attr_int(n, "axis", 0);
    Parts p, all;

    TRY(parts_of(b, n, n->in[0], &p));
    if (p.n == 0) return op_error(n, b->diag, "input_sequence", "ConcatFromSequence: it is empty");
    all = parts_room(b, p.n);
    for (int i = 0; i < p.n; i++) {
        Value *v = value_resolve(p.v[i]);
        all.v[i] = attr_int(n, "new_axis", 0) ? make_unsqueeze(b, v, axis) : v;
    }
    out[0] = make_concat(b, p.n, all.v, axis);
    return b->status;
}

/* ---- optionals ---- */

static Status infer_optional(Infer *cx, Node *n)
{
    if (!has_in(n, 0)) return op_unsupported(n, cx->diag, "an optional without an element");
    if (in_type(n, 0)->kind == TYPE_OPTIONAL)
        return op_unsupported(n, cx->diag, "an optional that only the run knows");
    n->out[0]->type = *in_type(n, 0);
    return OK;
}

static Status eval_optional(Eval *cx, const Node *n, const Tensor *const *in, Tensor **out)
{
    if (!in[0]) return op_unsupported(n, cx->diag, "an optional without an element");
    TRY(eval_out(cx, n, &out[0], in[0]->dtype, in[0]->rank, in[0]->dim));
    memcpy(out[0]->data, in[0]->data, in[0]->bytes);
    return OK;
}

static Status lower_optional(Build *b, const Node *n, Value **out)
{
    (void)b;
    out[0] = n->in[0];
    return OK;
}

static Status infer_has(Infer *cx, Node *n)
{
    if (has_in(n, 0) && in_type(n, 0)->kind == TYPE_OPTIONAL)
        return op_unsupported(n, cx->diag, "an optional that only the run knows");
    infer_out(cx, n, 0, DT_BOOL, 0, NULL);
    return OK;
}

static Status eval_has(Eval *cx, const Node *n, const Tensor *const *in, Tensor **out)
{
    TRY(eval_out(cx, n, &out[0], DT_BOOL, 0, NULL));
    tensor_set_int(out[0], 0, n->n_in > 0 && in[0]);
    return OK;
}

static Status lower_has(Build *b, const Node *n, Value **out)
{
    out[0] = build_scalar(b, DT_BOOL, has_in(n, 0));
    return b->status;
}

/* ---- the table ---- */

#define MAKER       .traits = OP_PURE, .infer = infer_maker, .eval = eval_none, .lower = lower_maker
#define READER(low) .traits = OP_PURE, .infer = compose_infer, .eval = eval_none, .lower = low
#define T_PLACE     (DT_BIT(DT_I32) | DT_BIT(DT_I64))

const OpDef sequence_ops[] = {
    {.name = "SequenceConstruct",
     .since = 11,
     .about = "a sequence of tensors",
     ROW_IN({"inputs", 0, NULL, true, true}),
     ROW_OUT({"output_sequence", 0}),
     MAKER},
    {.name = "SequenceEmpty",
     .since = 11,
     .about = "a sequence without elements",
     .in = (const PortDef[]){{0}},
     ROW_OUT({"output", 0}),
     ROW_ATTRS(ATTR_I("dtype", 1)),
     MAKER},
    {.name = "SequenceInsert",
     .since = 11,
     .about = "a sequence with one more element",
     ROW_IN({"input_sequence", 0}, {"tensor", T_ANY}, {"position", T_PLACE, NULL, true}),
     ROW_OUT({"output_sequence", 0}),
     MAKER},
    {.name = "SequenceErase",
     .since = 11,
     .about = "a sequence without one of its elements",
     ROW_IN({"input_sequence", 0}, {"position", T_PLACE, NULL, true}),
     ROW_OUT({"output_sequence", 0}),
     MAKER},
    {.name = "SplitToSequence",
     .since = 11,
     .about = "the parts of a tensor along an axis",
     ROW_IN({"input", T_ANY}, {"split", T_PLACE, NULL, true}),
     ROW_OUT({"output_sequence", 0}),
     ROW_ATTRS(ATTR_I("axis", 0), ATTR_I("keepdims", 1)),
     MAKER},
    {.name = "SequenceAt",
     .since = 11,
     .about = "an element of a sequence",
     ROW_IN({"input_sequence", 0}, {"position", T_PLACE}),
     ROW_OUT({"tensor", T_ANY}),
     READER(lower_at)},
    {.name = "SequenceLength",
     .since = 11,
     .about = "how many elements a sequence has",
     ROW_IN({"input_sequence", 0}),
     ROW_OUT({"length", DT_BIT(DT_I64)}),
     READER(lower_length)},
    {.name = "ConcatFromSequence",
     .since = 11,
     .about = "the elements of a sequence one behind the other",
     ROW_IN({"input_sequence", 0}),
     ROW_OUT({"concat_result", T_ANY}),
     ROW_ATTRS(ATTR_REQ("axis", ATTR_INT), ATTR_I("new_axis", 0)),
     READER(lower_concat)},
    {.name = "Optional",
     .since = 15,
     .about = "its element",
     ROW_IN({"input", 0, NULL, true}),
     ROW_OUT({"output", 0}),
     .traits = OP_PURE,
     .infer = infer_optional,
     .eval = eval_optional,
     .lower = lower_optional},
    {.name = "OptionalGetElement",
     .since = 18,
     .about = "the element of an optional",
     ROW_IN({"input", 0}),
     ROW_OUT({"output", 0}),
     .traits = OP_PURE,
     .infer = infer_optional,
     .eval = eval_optional,
     .lower = lower_optional},
    {.name = "OptionalHasElement",
     .since = 18,
     .about = "whether an optional has an element",
     ROW_IN({"input", 0, NULL, true}),
     ROW_OUT({"output", T_BOOL}),
     .traits = OP_PURE,
     .infer = infer_has,
     .eval = eval_has,
     .lower = lower_has},
    {0},
};
