/* sequence_map.c: SequenceMap: a graph for each element of a sequence.
 *
 *     y = SequenceMap(x, ...) {body}    ->    y = Loop(length of x, y = []) { y = y + body(x[i]) }
 */
#include <string.h>

#include "ir/ops/sequence.h"

static Status map_read(const Node *n, Diag *d, const Region **body)
{
    *body = n->n_region == 1 ? n->region[0] : NULL;
    if (!*body || (*body)->n_arg != n->n_in || n->n_out > (*body)->n_result)
        return op_error(n, d, "body", "SequenceMap: the body takes %d values, %d are given",
                        *body ? (*body)->n_arg : 0, n->n_in);
    if (n->n_in < 1 || in_type(n, 0)->kind != TYPE_SEQUENCE)
        return op_error(n, d, "input_sequence", "SequenceMap: input 0 is no sequence");
    return OK;
}

static Status infer_sequence_map(Infer *cx, Node *n)
{
    const Region *body;

    TRY(map_read(n, cx->diag, &body));
    for (int k = 0; k < n->n_out; k++) {
        if (!n->out[k]) continue;
        if (body->result[k]->type.kind != TYPE_TENSOR)
            return op_error(n, cx->diag, "body", "SequenceMap: result %d is no tensor", k);
        n->out[k]->type = (Type){.kind = TYPE_SEQUENCE, .elem = &body->result[k]->type};
    }
    return OK;
}

static Status eval_sequence_map(Eval *cx, const Node *n, const Tensor *const *in, Tensor **out)
{
    const Region *body;
    int64_t count = in[0]->count;
    Tensor **arg, **result, **item;

    TRY(map_read(n, cx->diag, &body));
    arg = ARENA_ARRAY(cx->arena, Tensor *, body->n_arg);
    result = ARENA_ARRAY(cx->arena, Tensor *, body->n_result);
    item = arena_try(cx->arena, (size_t)(count * n->n_out) + 1, sizeof *item);
    if (!item) return diag(cx->diag, ERR_LIMIT, node_where(n), "SequenceMap: no memory");
    for (int k = 0; k < n->n_in; k++)
        if (in[k]->kind == TYPE_SEQUENCE && in[k]->count != count)
            return op_error(n, cx->diag, NULL, "SequenceMap: sequences of %lld and %lld elements",
                            (long long)count, (long long)in[k]->count);
    for (int64_t i = 0; i < count; i++) {
        for (int k = 0; k < n->n_in; k++)
            arg[k] =
                in[k]->kind == TYPE_SEQUENCE ? tensor_items(in[k])[i] : (Tensor *)(uintptr_t)in[k];
        TRY(cx->region(cx, body, arg, result));
        for (int k = 0; k < n->n_out; k++)
            item[k * count + i] = result[k];
    }
    for (int k = 0; k < n->n_out; k++)
        if (n->out[k]) TRY(eval_list(cx, n, TYPE_SEQUENCE, count, item + k * count, &out[k]));
    return OK;
}

/* All sequences have the length of the first. */
static Value *common_length(Build *b, const Node *n)
{
    Value *length = build_op1(b, "SequenceLength", n->in[0]);
    Dim first = NULL;

    for (int k = 1; k < n->n_in; k++) {
        if (in_type(n, k)->kind != TYPE_SEQUENCE) continue;
        if (!first) first = build_bind(b, length, 0, "length", 0, INT32_MAX);
        build_require_equal(
            b, first,
            build_bind(b, build_op1(b, "SequenceLength", n->in[k]), 0, "length", 0, INT32_MAX));
    }
    return length;
}

static void move_nodes(Region *from, Region *to)
{
    for (Node *n = from->first, *next; n; n = next) {
        next = n->next;
        node_unlink(n);
        n->parent = to;
        n->prev = to->last;
        *(to->last ? &to->last->next : &to->first) = n;
        to->last = n;
    }
}

/* What the body takes: the element of this turn, in the type that the body has been given; or the
 * tensor that all turns take. */
static Value *argument(Build *b, const Node *n, int k, Value *turn)
{
    if (in_type(n, k)->kind != TYPE_SEQUENCE) return n->in[k];
    return call_list(b, "list_at", 2, (Value *[]){n->in[k], turn}, &n->region[0]->arg[k]->type, 0,
                     NULL);
}

static Status lower_sequence_map(Build *b, const Node *n, Value **out)
{
    Region *body = n->region[0], *r;
    Value **in = ARENA_ARRAY(b->module->arena, Value *, n->n_out + 2), *turn, *yes;
    Node *loop;

    in[0] = common_length(b, n);
    in[1] = NULL;
    for (int k = 0; k < n->n_out; k++)
        in[k + 2] =
            make_list(b, &(Type){.kind = TYPE_SEQUENCE, .elem = &body->result[k]->type}, 0, NULL);
    TRY(b->status);
    loop = node_new(b->region, b->before, NODE_LOOP, n->n_out + 2, in, n->n_out, b->origin);
    loop->op = op_find(NULL, "Loop");
    r = node_add_region(loop);
    turn = region_add_arg(r, NULL, type_tensor(DT_I64, 0, NULL));
    yes = region_add_arg(r, NULL, type_tensor(DT_BOOL, 0, NULL));
    Build inner = build_at(r, NULL, b->origin, b->diag);
    for (int k = 0; k < n->n_in; k++)
        value_replace(body->arg[k], argument(&inner, n, k, turn));
    move_nodes(body, r);
    region_add_result(r, yes);
    for (int k = 0; k < n->n_out; k++) {
        Value *list = region_add_arg(r, NULL, in[k + 2]->type);
        region_add_result(r, call_list(&inner, "list_insert", 2, (Value *[]){list, body->result[k]},
                                       &list->type, 0, NULL));
        loop->out[k]->type = list->type;
        out[k] = loop->out[k];
    }
    return inner.status;
}

const OpDef sequence_map_ops[] = {
    {.name = "SequenceMap",
     .since = 17,
     .calls = CALL_BIT(list) | CALL_BIT(list_at) | CALL_BIT(list_insert) | CALL_BIT(list_length),
     .about = "a graph for each element of a sequence",
     ROW_IN({"input_sequence", 0}, {"additional_inputs", 0, NULL, true, true}),
     ROW_OUT({"out_sequence", 0, NULL, true, true}),
     ROW_ATTRS(ATTR_REQ("body", ATTR_REGION)),
     .traits = OP_ANY_RANK,
     .infer = infer_sequence_map,
     .eval = eval_sequence_map,
     .lower = lower_sequence_map},
    {0},
};
