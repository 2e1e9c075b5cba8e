/* onnx_peel.c: a Loop that carries values whose ranks the first round changes.
 *
 * Exporters start such a value as anything (a scalar for what becomes a table), or give it a dim
 * along the way. The first round then stands before the loop, and the loop begins with the ranks
 * that it leaves behind:
 *
 *     v = Loop(m, c, v0) { body }     ->     v1 = body(0, c, v0)
 *                                            v = Loop(m - 1, c1, v1) { body }
 *
 * where the rounds of the loop that is left are counted from 1. When it is not known that there is
 * a round at all, both are the one branch of an If, and v0 is the other. */
#include "frontend/onnx/onnx_import.h"
#include "ir/build.h"

enum { MOST_ROUNDS = 2 }; /* that are put before one loop */

static const Tensor *constant_of(const Value *v)
{
    return v && v->data && v->data->count == 1 ? v->data : NULL;
}

/* Exact, as build_scalar is not: a Loop without end has 2^63 - 1 rounds. */
static Value *constant(Importer *im, DType t, int64_t v)
{
    return module_constant(im->module, tensor_scalar_int(im->arena, t, v), NULL);
}

bool loop_peels(const Draft *x, const Region *body)
{
    const GraphArg *g = x->graph;
    int carried = x->n_in - 2;

    if (x->n_graph != 1 || carried < 1 || g->first >= MOST_ROUNDS) return false;
    if (g->graph->n_input != (size_t)x->n_in || body->n_result <= carried) return false;
    for (int i = 0; i < carried; i++)
        if (!x->in[2 + i]) return false;
    for (int i = 0; i < carried; i++) {
        const Type *was = &x->in[2 + i]->type, *is = &body->result[1 + i]->type;
        if (was->kind == TYPE_TENSOR && is->kind == TYPE_TENSOR && was->rank >= 0 &&
            is->rank >= 0 && was->rank != is->rank)
            return true;
    }
    return false;
}

/* Of the first round: 1 it is known to be, 0 it is known not to be, -1 the run decides. */
static int first_round(const Draft *x)
{
    const Tensor *count = constant_of(x->in[0]), *go = constant_of(x->in[1]);

    if ((count && tensor_int(count, 0) < 1) || (go && !tensor_int(go, 0))) return 0;
    return (count || !x->in[0]) && (go || !x->in[1]) ? 1 : -1;
}

/* The first round and the loop of the others at the end of r. */
static Status round_and_loop(Importer *im, Region *r, Draft *x, Value **out)
{
    GraphArg *g = &x->graph[0];
    int carried = x->n_in - 2, n = (int)g->graph->n_output;
    Value **in = arena_try(im->scratch, (size_t)x->n_in + DRAFT_INPUTS, sizeof *in);
    Value **round = arena_try(im->scratch, (size_t)n, sizeof *round);
    Build b = build_at(r, NULL, x->origin, im->diag);
    Draft rest = *x;
    GraphArg body = *g;

    if (!in || !round) return import_limits(im);
    in[0] = constant(im, DT_I64, g->first);
    in[1] = x->in[1] ? x->in[1] : constant(im, DT_BOOL, 1);
    for (int i = 0; i < carried; i++)
        in[2 + i] = x->in[2 + i];
    TRY(import_inline(im, g, r, x->n_in, in, n, round));
    for (int i = 0; i < n; i++)
        if (round[i] == im->poison) {
            for (int k = 0; k < x->n_out; k++)
                out[k] = im->poison;
            return OK;
        }
    body.first++;
    rest.graph = &body;
    rest.in = in;
    if (!x->in[0])
        in[0] = NULL;
    else if (constant_of(x->in[0]))
        in[0] = constant(im, DT_I64, tensor_int(x->in[0]->data, 0) - 1);
    else
        in[0] = build_op2(&b, "Sub", x->in[0], constant(im, DT_I64, 1));
    for (int i = 0; i <= carried; i++)
        in[1 + i] = round[i];
    TRY(b.status);
    TRY(import_draft(im, r, &rest, out));
    b = build_at(r, NULL, x->origin, im->diag);
    for (int k = carried; k < x->n_out; k++) {
        if (!out[k] || out[k] == im->poison) continue;
        Attr axis = attr_of_int("axis", 0);
        Value *first = build_op2(&b, "Unsqueeze", round[1 + k], build_i64(&b, 1, (int64_t[]){0}));
        out[k] = build_op(&b, "Concat", 2, (Value *[]){first, out[k]}, 1, &axis);
    }
    return b.status;
}

/* Whether there is a first round, as the run sees it. */
static Value *condition(Build *b, Importer *im, const Draft *x)
{
    Value *counted = x->in[0] ? build_op2(b, "Greater", x->in[0], constant(im, DT_I64, 0)) : NULL;

    if (!counted || !x->in[1] || constant_of(x->in[1])) return counted ? counted : x->in[1];
    return build_op2(b, "And", counted, x->in[1]);
}

static Status round_or_none(Importer *im, Region *r, Draft *x, Value **out)
{
    Build b = build_at(r, NULL, x->origin, im->diag);
    Value *go = condition(&b, im, x);
    int n_out = x->n_out < x->n_in - 2 ? x->n_out : x->n_in - 2;

    TRY(b.status);
    Node *n = import_if(im, r, go, n_out, x->origin);
    Region *then = n->region[0], *none = n->region[1];
    TRY(round_and_loop(im, then, x, out));
    for (int k = 0; k < n_out; k++) {
        region_add_result(then, out[k] ? out[k] : x->in[2 + k]);
        region_add_result(none, x->in[2 + k]);
    }
    if (region_poisoned(im, then)) {
        node_unlink(n);
        return OK;
    }
    for (int k = 0; k < n_out; k++)
        out[k] = n->out[k];
    return import_joined(im, n);
}

/* Of stacks there would have to be empty ones, of rounds that never were. */
static bool wants_stacks(const Draft *x)
{
    for (int k = x->n_in - 2; k < x->n_out; k++)
        if (x->wanted[k]) return true;
    return false;
}

Status import_peeled(Importer *im, Region *r, Draft *x, Value **out)
{
    int first = first_round(x);

    x->peel = false;
    if (first == 1) return round_and_loop(im, r, x, out);
    x->whole = wants_stacks(x);
    if (x->whole) return import_draft(im, r, x, out);
    if (first < 0) return round_or_none(im, r, x, out);
    for (int k = 0; k < x->n_out && k < x->n_in - 2; k++)
        out[k] = x->in[2 + k];
    return OK;
}
