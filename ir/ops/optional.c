/* optional.c: values that may be absent: a list of at most one element (see sequence.h). */
#include "ir/ops/sequence.h"

/* Nothing is there: of a rank that the type does not say, whatever joins it says it. */
static void nothing_yet(Arena *a, Type *t)
{
    if (t->kind == TYPE_TENSOR && t->rank == RANK_UNKNOWN) t->rank = RANK_NONE;
    if (t->kind == TYPE_TENSOR || !t->elem) return;
    Type *elem = arena_copy(a, t->elem, sizeof *elem);
    nothing_yet(a, elem);
    t->elem = elem;
}

static Status infer_optional(Infer *cx, Node *n)
{
    const char *text = attr_string(n, "type", NULL);
    Type *elem = ARENA_NEW(cx->module->arena, Type);

    if (has_in(n, 0))
        *elem = *in_type(n, 0);
    else if (!text || !type_parse(&cx->module->dims, cx->module->arena, text, elem))
        return op_error(n, cx->diag, "type", "Optional: without an element it needs a type");
    if (!has_in(n, 0)) nothing_yet(cx->module->arena, elem);
    n->out[0]->type = (Type){.kind = TYPE_OPTIONAL, .elem = elem};
    return OK;
}

static Status eval_optional(Eval *cx, const Node *n, const Tensor *const *in, Tensor **out)
{
    int64_t count = n->n_in > 0 && in[0];

    return eval_list(cx, n, TYPE_OPTIONAL, count, (Tensor *const *)(uintptr_t)in, &out[0]);
}

static Status lower_optional(Build *b, const Node *n, Value **out)
{
    out[0] = make_list(b, &n->out[0]->type, has_in(n, 0), n->in);
    return b->status;
}

/* ---- OptionalGetElement: of what is no optional, itself ---- */

static Value *known_element(Build *b, const Node *n)
{
    Parts p;

    if (in_type(n, 0)->kind != TYPE_OPTIONAL) return n->in[0];
    return parts_known(b, n->in[0], &p) && p.n == 1 ? p.v[0] : NULL;
}

static Status infer_get(Infer *cx, Node *n)
{
    Build b = build_aside(cx, n);
    Value *v = known_element(&b, n);
    const Type *t = in_type(n, 0);

    if (v)
        n->out[0]->type = v->type;
    else if (!t->elem)
        return op_error(n, cx->diag, NULL, "OptionalGetElement: an optional of no type");
    else
        infer_element(cx, n, 0, t->elem);
    return OK;
}

static Status eval_get(Eval *cx, const Node *n, const Tensor *const *in, Tensor **out)
{
    if (in[0] && in[0]->kind != TYPE_OPTIONAL) {
        out[0] = (Tensor *)(uintptr_t)in[0];
        return OK;
    }
    if (!in[0] || in[0]->count == 0)
        return op_error(n, cx->diag, "input", "OptionalGetElement: there is no element");
    out[0] = tensor_items(in[0])[0];
    return OK;
}

static Status lower_get(Build *b, const Node *n, Value **out)
{
    Value *v = known_element(b, n);

    if (v && type_equal(&v->type, &n->out[0]->type))
        out[0] = v;
    else
        out[0] = call_list(b, "list_element", 1, n->in, &n->out[0]->type, 0, NULL);
    return b->status;
}

/* ---- OptionalHasElement ---- */

/* 0, 1, or -1 where only the run knows. */
static int known_presence(Build *b, const Node *n)
{
    Parts p;

    if (!has_in(n, 0)) return 0;
    if (in_type(n, 0)->kind != TYPE_OPTIONAL) return 1;
    return parts_known(b, n->in[0], &p) ? p.n : -1;
}

static Status infer_has(Infer *cx, Node *n)
{
    Build b = build_aside(cx, n);
    int present = known_presence(&b, n);

    infer_out(cx, n, 0, DT_BOOL, 0, NULL);
    if (present >= 0) {
        Dim d = dim_const(&cx->module->dims, present);
        infer_contents(cx, n, 0, 1, &d);
    }
    return OK;
}

static Status eval_has(Eval *cx, const Node *n, const Tensor *const *in, Tensor **out)
{
    const Tensor *x = n->n_in > 0 ? in[0] : NULL;

    TRY(eval_out(cx, n, &out[0], DT_BOOL, 0, NULL));
    tensor_set_int(out[0], 0, x && (x->kind != TYPE_OPTIONAL || x->count > 0));
    return OK;
}

static Status lower_has(Build *b, const Node *n, Value **out)
{
    int present = known_presence(b, n);

    if (present >= 0)
        out[0] = build_scalar(b, DT_BOOL, present);
    else
        out[0] = make_cast(b, list_length(b, n->in[0]), DT_BOOL);
    return b->status;
}

const OpDef optional_ops[] = {
    {.name = "Optional",
     .since = 28,
     .calls = CALL_BIT(list),
     .about = "a value that may be absent",
     ROW_IN({"input", 0, NULL, true}),
     ROW_OUT({"output", 0}),
     ROW_ATTRS(ATTR_OPT("type", ATTR_STRING)),
     .traits = OP_PURE | OP_ANY_RANK,
     .infer = infer_optional,
     .eval = eval_optional,
     .lower = lower_optional},
    {.name = "OptionalGetElement",
     .since = 28,
     .calls = CALL_BIT(list_element),
     .about = "the element of an optional",
     ROW_IN({"input", 0}),
     ROW_OUT({"output", 0}),
     .traits = OP_PURE | OP_ANY_RANK,
     .infer = infer_get,
     .eval = eval_get,
     .lower = lower_get},
    {.name = "OptionalHasElement",
     .since = 28,
     .calls = CALL_BIT(list_length),
     .about = "whether an optional has an element",
     ROW_IN({"input", 0, NULL, true}),
     ROW_OUT({"output", T_BOOL}),
     .traits = OP_PURE | OP_ANY_RANK,
     .infer = infer_has,
     .eval = eval_has,
     .lower = lower_has},
    {0},
};
