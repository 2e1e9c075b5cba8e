/* sequence_parts.c: lists whose elements are known while compiling, and lists at run time. */
#include <string.h>

#include "ir/ops/sequence.h"

enum { MOST_PARTS = 256 }; /* longer ones are made at run time */

static Parts parts_room(Build *b, int n)
{
    return (Parts){0, ARENA_ARRAY(b->module->arena, Value *, n + 1)};
}

/* A constant position in [-n, most], counted from the end when negative. Absent: the end. */
static bool place_known(Build *b, const Node *n, int input, int count, int most, int absent,
                        int *at)
{
    const int64_t *v;
    int found;

    *at = absent;
    if (!has_in(n, input)) return absent >= 0;
    if (!const_ints(n->in[input], b->module->arena, &v, &found) || found != 1) return false;
    if (v[0] < -count || v[0] > most) return false; /* if this node runs, it fails then */
    *at = (int)(v[0] < 0 ? v[0] + count : v[0]);
    return true;
}

/* ---- SplitToSequence ---- */

/* Sizes of the parts: one each, of one size, or listed. */
static bool split_sizes(Build *b, const Node *n, int64_t extent, int *parts, const int64_t **size)
{
    const int64_t *given = NULL;
    int64_t *list, each = 1, sum = 0;
    int count = 0;

    if (has_in(n, 1) && !const_ints(n->in[1], b->module->arena, &given, &count)) return false;
    if (given && in_type(n, 1)->rank == 1) {
        for (int i = 0; i < count; i++) {
            if (given[i] < 0 || given[i] > extent - sum) return false;
            sum += given[i];
        }
        *parts = count;
        *size = given;
        return sum == extent && count <= MOST_PARTS;
    }
    if (given) each = count == 1 ? given[0] : 0;
    if (each < 1 || extent / each >= MOST_PARTS) return false;
    *parts = (int)((extent + each - 1) / each);
    list = ARENA_ARRAY(b->module->arena, int64_t, *parts + 1);
    for (int i = 0; i < *parts; i++)
        list[i] = i + 1 < *parts ? each : extent - each * i;
    *size = list;
    return true;
}

static bool split_parts(Build *b, const Node *n, Parts *p)
{
    const Type *x = in_type(n, 0);
    const int64_t *size = NULL;
    int64_t at = 0, axis = attr_int(n, "axis", 0);
    int count = 0;

    if (x->rank < 1 || axis < -x->rank || axis >= x->rank) return false;
    if (axis < 0) axis += x->rank;
    if (!dim_is_const(x->dim[axis]) || !split_sizes(b, n, x->dim[axis]->value, &count, &size))
        return false;
    *p = parts_room(b, count);
    for (; p->n < count && b->status == OK; at += size[p->n++]) {
        Value *v = make_slice(b, n->in[0], (int)axis, at, at + size[p->n], 1);
        if (!has_in(n, 1) && attr_int(n, "keepdims", 1) == 0)
            v = build_op2(b, "Squeeze", v, build_i64(b, 1, &axis));
        p->v[p->n] = v;
    }
    return b->status == OK;
}

/* ---- the others ---- */

static bool insert_parts(Build *b, const Node *n, Parts *p)
{
    Parts old;
    int at;

    if (!parts_known(b, n->in[0], &old) || old.n >= MOST_PARTS) return false;
    if (!place_known(b, n, 2, old.n, old.n, old.n, &at)) return false;
    *p = parts_room(b, old.n + 1);
    for (int i = 0; i <= old.n; i++)
        p->v[p->n++] = i == at ? n->in[1] : old.v[i < at ? i : i - 1];
    return true;
}

static bool erase_parts(Build *b, const Node *n, Parts *p)
{
    Parts old;
    int at;

    if (!parts_known(b, n->in[0], &old)) return false;
    if (!place_known(b, n, 1, old.n, old.n - 1, old.n - 1, &at)) return false;
    *p = parts_room(b, old.n);
    for (int i = 0; i < old.n; i++)
        if (i != at) p->v[p->n++] = old.v[i];
    return true;
}

static bool given_parts(Build *b, const Node *n, Parts *p)
{
    (void)b;
    *p = (Parts){has_in(n, 0) ? n->n_in : 0, n->in};
    return true;
}

/* The list in an optional that is known to hold one; or the list itself. */
static bool element_parts(Build *b, const Node *n, Parts *p)
{
    Parts held;

    if (in_type(n, 0)->kind != TYPE_OPTIONAL) return parts_known(b, n->in[0], p);
    return parts_known(b, n->in[0], &held) && held.n == 1 && parts_known(b, held.v[0], p);
}

static bool same_parts(Build *b, const Node *n, Parts *p)
{
    return parts_known(b, n->in[0], p);
}

typedef struct MakerRow {
    const char *op;
    bool (*parts)(Build *b, const Node *n, Parts *p);
} MakerRow;

static const MakerRow makers[] = {
    {"SequenceConstruct", given_parts},    {"SequenceEmpty", given_parts},
    {"SequenceInsert", insert_parts},      {"SequenceErase", erase_parts},
    {"SplitToSequence", split_parts},      {"Optional", given_parts},
    {"OptionalGetElement", element_parts}, {"Identity", same_parts},
};

bool parts_made(Build *b, const Node *n, Parts *p)
{
    if (n->kind == NODE_CALL) return strcmp(n->call->name, "list") == 0 && given_parts(b, n, p);
    for (size_t i = 0; n->kind == NODE_OP && i < sizeof makers / sizeof *makers; i++)
        if (strcmp(n->op->name, makers[i].op) == 0) return makers[i].parts(b, n, p);
    return false;
}

bool parts_known(Build *b, Value *list, Parts *p)
{
    Parts seen;

    list = value_resolve(list);
    if (!list->def || !parts_made(b, list->def, &seen)) return false;
    *p = parts_room(b, seen.n);
    for (; p->n < seen.n; p->n++)
        p->v[p->n] = value_resolve(seen.v[p->n]);
    return true;
}

Build build_aside(Infer *cx, const Node *n)
{
    return build_at(region_new(cx->module, NULL), NULL, n->origin, cx->diag);
}

/* ---- at run time ---- */

Value *call_list(Build *b, const char *name, int n_in, Value *const *in, const Type *out,
                 int n_ints, const int64_t *ints)
{
    Node *n = build_call(b, name, n_in, in, 1, out, n_ints, ints, 0, NULL);

    if (!n) return NULL;
    for (int i = 0; out->kind == TYPE_TENSOR && i < out->rank; i++)
        if (out->dim[i]->kind == DIM_SYM) node_define(n, out->dim[i]);
    return n->out[0];
}

static int list_code(const Type *t)
{
    return t->kind == TYPE_OPTIONAL;
}

Value *make_list(Build *b, const Type *type, int n, Value *const *v)
{
    return call_list(b, "list", n, v, type, 1, (int64_t[]){list_code(type)});
}

Value *list_length(Build *b, Value *list)
{
    Type scalar = type_tensor(DT_I64, 0, NULL);

    return call_list(b, "list_length", 1, &list, &scalar, 0, NULL);
}

void infer_element(Infer *cx, Node *n, int k, const Type *elem)
{
    Dim dim[MAX_RANK];

    if (!has_out(n, k)) return;
    if (elem->kind != TYPE_TENSOR || elem->rank < 0) {
        n->out[k]->type =
            elem->kind == TYPE_TENSOR ? type_tensor(elem->dtype, RANK_UNKNOWN, NULL) : *elem;
        return;
    }
    for (int i = 0; i < elem->rank; i++)
        dim[i] = dim_is_const(elem->dim[i]) ? elem->dim[i]
                                            : dim_fresh(&cx->module->dims, "e", 0, INT32_MAX);
    infer_out(cx, n, k, elem->dtype, elem->rank, dim);
}

Status eval_list(Eval *cx, const Node *n, TypeKind kind, int64_t count, Tensor *const *item,
                 Tensor **out)
{
    *out = tensor_list(cx->arena, kind, count, item);
    if (*out) return OK;
    return diag(cx->diag, ERR_LIMIT, node_where(n), "%s: no memory for %lld elements",
                node_op_name(n), (long long)count);
}
