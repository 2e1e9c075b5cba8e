/* loss.c: NegativeLogLikelihoodLoss and SoftmaxCrossEntropyLoss, as formulas: the score of each
 * target's class is gathered, weighted and reduced. A target that is ignored weighs nothing. */
#include <string.h>

#include "ir/ops/compose.h"
#include "ir/ops/ops_common.h"

static bool is_softmax(const Node *n)
{
    return n->op->name[0] == 'S';
}

static Status infer_loss(Infer *cx, Node *n)
{
    const Type *x = in_type(n, 0), *target = in_type(n, 1);
    const char *how = attr_string(n, "reduction", "mean");

    TRY(infer_ranked(cx, n, 0));
    TRY(infer_ranked(cx, n, 1));
    if (strcmp(how, "mean") != 0 && strcmp(how, "sum") != 0 && strcmp(how, "none") != 0)
        return op_error(n, cx->diag, "reduction", "%s: unknown reduction '%s'", n->op->name, how);
    if (x->rank < 2 || target->rank != x->rank - 1)
        return op_error(n, cx->diag, NULL, "%s: scores of rank %d and targets of rank %d",
                        n->op->name, x->rank, target->rank);
    infer_out(cx, n, 0, x->dtype, how[0] == 'n' ? target->rank : 0, target->dim);
    if (is_softmax(n)) infer_same(cx, n, 1, 0);
    return OK;
}

/* Where targets count: bool, or NULL when all do. The rest of the formula reads class 0 there. */
static Value *ignored_targets(Build *b, const Node *n, Value *target)
{
    if (!attr_find(n, "ignore_index")) return NULL;
    return build_op2(b, "Equal", target,
                     make_scalar(b, target, (double)attr_int(n, "ignore_index", 0)));
}

static Status lower_loss(Build *b, const Node *n, Value **out)
{
    Value *x = n->in[0], *target = n->in[1], *ignored, *picked, *weight = NULL, *loss;
    char how = attr_string(n, "reduction", "mean")[0];
    Attr axis = attr_of_int("axis", 1);

    if (is_softmax(n)) x = make_axis(b, "LogSoftmax", x, 1);
    if (has_out(n, 1)) out[1] = x;
    ignored = ignored_targets(b, n, target);
    if (ignored) target = make_where(b, ignored, make_scalar(b, target, 0), target);
    if (b->status != OK) return b->status;
    picked =
        build_op(b, "GatherElements", 2, (Value *[]){x, make_unsqueeze(b, target, 1)}, 1, &axis);
    if (!picked) return b->status;
    loss = make_unary(b, "Neg", make_reshape(b, picked, n->in[1]->type.rank, n->in[1]->type.dim));
    if (has_in(n, 2)) weight = make_gather(b, n->in[2], target, 0);
    if (ignored && !weight) weight = make_scalar(b, x, 1);
    if (ignored) weight = make_where(b, ignored, make_scalar(b, x, 0), weight);
    if (ignored) loss = make_where(b, ignored, make_scalar(b, x, 0), loss);
    if (weight) loss = make_mul(b, loss, weight);
    if (how == 'm' && weight)
        loss = make_div(b, make_reduce_all(b, "ReduceSum", loss),
                        make_reduce_all(b, "ReduceSum", weight));
    else if (how != 'n')
        loss = make_reduce_all(b, how == 'm' ? "ReduceMean" : "ReduceSum", loss);
    out[0] = loss;
    return b->status;
}

#define T_TARGET (DT_BIT(DT_I32) | DT_BIT(DT_I64))

const OpDef loss_ops[] = {
    {.name = "NegativeLogLikelihoodLoss",
     .since = 22,
     .about = "minus the score of the target's class",
     ROW_IN({"input", T_FLOAT, "T"}, {"target", T_TARGET}, {"weight", T_FLOAT, "T", true}),
     ROW_OUT({"loss", T_FLOAT, "T"}),
     ROW_ATTRS(ATTR_OPT("ignore_index", ATTR_INT), ATTR_S("reduction", "mean")),
     .traits = OP_PURE,
     .infer = infer_loss,
     .eval = compose_eval,
     .lower = lower_loss},
    {.name = "SoftmaxCrossEntropyLoss",
     .since = 13,
     .about = "minus the log softmax of the target's class",
     ROW_IN({"scores", T_FLOAT, "T"}, {"labels", T_TARGET}, {"weights", T_FLOAT, "T", true}),
     ROW_OUT({"output", T_FLOAT, "T"}, {"log_prob", T_FLOAT, "T", true}),
     ROW_ATTRS(ATTR_OPT("ignore_index", ATTR_INT), ATTR_S("reduction", "mean")),
     .traits = OP_PURE,
     .infer = infer_loss,
     .eval = compose_eval,
     .lower = lower_loss},
    {0},
};
