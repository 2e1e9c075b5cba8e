/* onnx_known.c: small values that are known while importing.
 *
 * Exporters compute shapes, pads and axes by nodes, and write an If where the source asked for a
 * rank or a length. What follows from constants and from dims that are known is worked out at once,
 * by the reference evaluation, if it has no more than KNOWN_COUNT elements: inference of all that
 * comes behind then sees constants. Of an If whose condition is known only the branch taken is
 * imported; the results of the two often differ in rank, so that everything behind it has a rank
 * then. */
#include <string.h>

#include "frontend/onnx/onnx_import.h"
#include "ir/eval.h"

enum { KNOWN_COUNT = 256 }; /* elements of a value that is looked into */

/* The elements of an integer value that are all constant dims. */
static const Tensor *from_contents(Importer *im, const Value *v)
{
    const Type *t = &v->type;
    int64_t dim[1] = {1};

    if (t->kind != TYPE_TENSOR || t->rank < 0 || t->rank > 1 || !v->contents) return NULL;
    if (t->rank == 1 && (!dim_is_const(t->dim[0]) || t->dim[0]->value > KNOWN_COUNT)) return NULL;
    if (t->rank == 1) dim[0] = t->dim[0]->value;
    for (int64_t i = 0; i < dim[0]; i++)
        if (!dim_is_const(v->contents[i])) return NULL;
    Tensor *r = tensor_new(im->arena, t->dtype, t->rank, dim);
    for (int64_t i = 0; r && i < r->count; i++)
        tensor_set_int(r, i, v->contents[i]->value);
    return r;
}

/* What v is known to hold, if that is little; or NULL. */
static const Tensor *known_tensor(Importer *im, const Value *v)
{
    if (v->data) return v->data->count <= KNOWN_COUNT ? v->data : NULL;
    return from_contents(im, v);
}

/* Numbers as they make up shapes and conditions. */
static bool is_small(const Type *t)
{
    int64_t count = 1;

    if (!type_is_static(t) || t->dtype == DT_STRING) return false;
    for (int i = 0; i < t->rank; i++) {
        if (t->dim[i]->value > KNOWN_COUNT) return false;
        count *= t->dim[i]->value;
        if (count > KNOWN_COUNT) return false;
    }
    return true;
}

Value *known_result(Importer *im, const Node *n)
{
    Diag quiet;
    Tensor *out = NULL;

    if (n->kind != NODE_OP || !(n->op->traits & OP_PURE) || n->n_region || n->n_out != 1)
        return NULL;
    if (n->n_in == 0 || n->n_in > KNOWN_COUNT || !n->out[0] || !is_small(&n->out[0]->type))
        return NULL;
    for (int i = 0; i < n->n_in; i++)
        if (n->in[i] && !n->in[i]->data && !n->in[i]->contents) return NULL;
    const Tensor **in = ARENA_ARRAY(im->scratch, const Tensor *, n->n_in);
    for (int i = 0; i < n->n_in; i++) {
        in[i] = n->in[i] ? known_tensor(im, n->in[i]) : NULL;
        if (n->in[i] && !in[i]) return NULL;
    }
    diag_init(&quiet, im->scratch);
    if (eval_node(n, im->arena, in, &out, &quiet) != OK || !out) return NULL;
    return module_constant(im->module, out, NULL);
}

/* The IR has the branch for true first; a file has them in any order. */
static void order_branches(Draft *x)
{
    Attr *then = (Attr *)(uintptr_t)draft_attr(x, "then_branch");
    Attr *other = (Attr *)(uintptr_t)draft_attr(x, "else_branch");

    if (x->n_graph != 2 || !then || !other || then->kind != ATTR_REGION ||
        other->kind != ATTR_REGION || then->i == 0)
        return;
    GraphArg first = x->graph[0];
    x->graph[0] = x->graph[1];
    x->graph[1] = first;
    then->i = 0;
    other->i = 1;
}

int known_branch(Importer *im, Draft *x)
{
    if (*x->domain || strcmp(x->op, "If") != 0 || x->n_in != 1 || !x->in[0]) return -1;
    order_branches(x);
    const Tensor *t = x->n_graph == 2 ? known_tensor(im, x->in[0]) : NULL;
    if (!t || t->count != 1 || t->dtype != DT_BOOL) return -1;
    return tensor_int(t, 0) ? 0 : 1;
}
