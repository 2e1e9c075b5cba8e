/* training.c: Adagrad, Adam and Momentum of ai.onnx.preview.training: one step of an optimiser for
 * any number of tensors. Inputs behind R and T and the outputs stand in groups: all tensors, all
 * gradients, all first states, ... */
#include <string.h>

#include "ir/ops/compose.h"
#include "ir/ops/ops_common.h"

/* What the formulas of one tensor share. */
typedef struct Step {
    Build *b;
    const Node *n;
    int count;             /* tensors */
    Value *rate, *updates; /* R and T, in the dtype of the tensors */
} Step;

static double number(const Step *s, const char *attr)
{
    return attr_float(s->n, attr, 0);
}

static Value *times(Build *b, Value *v, double factor)
{
    return make_mul(b, v, make_scalar(b, v, factor));
}

static Value *plus_number(Build *b, Value *v, double c)
{
    return make_add(b, v, make_scalar(b, v, c));
}

static Value *group(const Step *s, int which, int i)
{
    return s->n->in[2 + which * s->count + i];
}

static Status step_read(Build *b, const Node *n, int groups, Step *s)
{
    *s = (Step){.b = b, .n = n, .count = (n->n_in - 2) / groups};
    if (n->n_in < 2 + groups || (n->n_in - 2) % groups || n->n_out != s->count * (groups - 1))
        return op_error(n, b->diag, "inputs", "%s: %d inputs and %d outputs", n->op->name, n->n_in,
                        n->n_out);
    for (int i = 0; i < n->n_in; i++)
        if (!n->in[i])
            return op_error(n, b->diag, "inputs", "%s: input %d is left out", n->op->name, i);
    s->rate = make_cast(b, n->in[0], in_type(n, 2)->dtype);
    s->updates = make_cast(b, n->in[1], in_type(n, 2)->dtype);
    return OK;
}

/* G + norm_coefficient X */
static Value *gradient(const Step *s, int i)
{
    double norm = number(s, "norm_coefficient");

    if (norm == 0) return group(s, 1, i);
    return make_add(s->b, times(s->b, group(s, 0, i), norm), group(s, 1, i));
}

static Value *begun(const Step *s)
{
    return build_op2(s->b, "Greater", s->updates, make_scalar(s->b, s->updates, 0));
}

static Value *root_of(const Step *s, Value *square)
{
    return plus_number(s->b, make_unary(s->b, "Sqrt", square), number(s, "epsilon"));
}

static Status lower_adagrad(Build *b, const Node *n, Value **out)
{
    Step s;
    Value *rate;

    TRY(step_read(b, n, 3, &s));
    rate = plus_number(b, times(b, s.updates, number(&s, "decay_factor")), 1);
    rate = make_div(b, s.rate, rate);
    for (int i = 0; i < s.count; i++) {
        Value *g = gradient(&s, i), *h = make_add(b, group(&s, 2, i), make_mul(b, g, g));
        Value *step = make_div(b, make_mul(b, rate, g), root_of(&s, h));
        out[i] = make_sub(b, group(&s, 0, i), step);
        out[s.count + i] = h;
    }
    return b->status;
}

/* R sqrt(1 - beta^T) / (1 - alpha^T), from the first update on. */
static Value *adam_rate(const Step *s)
{
    Build *b = s->b;
    Value *one = make_scalar(b, s->updates, 1), *a, *z;

    a = build_op2(b, "Pow", make_scalar(b, s->updates, number(s, "alpha")), s->updates);
    z = build_op2(b, "Pow", make_scalar(b, s->updates, number(s, "beta")), s->updates);
    z = make_unary(b, "Sqrt", make_sub(b, one, z));
    a = make_div(b, make_mul(b, s->rate, z), make_sub(b, one, a));
    return make_where(b, begun(s), a, s->rate);
}

/* old * keep + v * (1 - keep) */
static Value *blend(Build *b, Value *old, Value *v, double keep)
{
    return make_add(b, times(b, old, keep), times(b, v, 1 - keep));
}

static Status lower_adam(Build *b, const Node *n, Value **out)
{
    Step s;
    Value *rate;

    TRY(step_read(b, n, 4, &s));
    rate = adam_rate(&s);
    for (int i = 0; i < s.count; i++) {
        Value *g = gradient(&s, i), *x;
        Value *v = blend(b, group(&s, 2, i), g, number(&s, "alpha"));
        Value *h = blend(b, group(&s, 3, i), make_mul(b, g, g), number(&s, "beta"));
        x = make_div(b, make_mul(b, rate, v), root_of(&s, h));
        x = make_sub(b, group(&s, 0, i), x);
        out[i] = times(b, x, 1 - number(&s, "norm_coefficient_post"));
        out[s.count + i] = v;
        out[2 * s.count + i] = h;
    }
    return b->status;
}

static Status lower_momentum(Build *b, const Node *n, Value **out)
{
    const char *mode = attr_string(n, "mode", "standard");
    bool nesterov = strcmp(mode, "nesterov") == 0;
    Step s;
    Value *beta, *one;

    TRY(step_read(b, n, 3, &s));
    if (!nesterov && strcmp(mode, "standard") != 0)
        return op_error(n, b->diag, "mode", "Momentum: found \"%s\"", mode);
    one = make_scalar(b, s.updates, 1);
    beta = make_where(b, begun(&s), make_scalar(b, s.updates, number(&s, "beta")), one);
    for (int i = 0; i < s.count; i++) {
        Value *g = gradient(&s, i), *v, *step;
        v = make_add(b, times(b, group(&s, 2, i), number(&s, "alpha")), make_mul(b, beta, g));
        step = nesterov ? make_add(b, g, times(b, v, number(&s, "alpha"))) : v;
        out[i] = make_sub(b, group(&s, 0, i), make_mul(b, s.rate, step));
        out[s.count + i] = v;
    }
    return b->status;
}

#define TRAINING(low)                                                                              \
    .domain = "ai.onnx.preview.training", .since = 1,                                              \
    ROW_IN({"R", T_FLOAT}, {"T", DT_BIT(DT_I64)}, {"inputs", T_FLOAT, NULL, false, true}),         \
    ROW_OUT({"outputs", T_FLOAT, NULL, false, true}), .traits = OP_PURE, .infer = compose_infer,   \
    .eval = compose_eval, .lower = low

const OpDef training_ops[] = {
    {.name = "Adagrad",
     .about = "a step of Adagrad",
     TRAINING(lower_adagrad),
     ROW_ATTRS(ATTR_F("decay_factor", 0), ATTR_F("epsilon", (double)1e-6f),
               ATTR_F("norm_coefficient", 0))},
    {.name = "Adam",
     .about = "a step of Adam",
     TRAINING(lower_adam),
     ROW_ATTRS(ATTR_F("alpha", (double)0.9f), ATTR_F("beta", (double)0.999f),
               ATTR_F("epsilon", (double)1e-6f), ATTR_F("norm_coefficient", 0),
               ATTR_F("norm_coefficient_post", 0))},
    {.name = "Momentum",
     .about = "a step of gradient descent with momentum",
     TRAINING(lower_momentum),
     ROW_ATTRS(ATTR_REQ("alpha", ATTR_FLOAT), ATTR_REQ("beta", ATTR_FLOAT),
               ATTR_REQ("mode", ATTR_STRING), ATTR_REQ("norm_coefficient", ATTR_FLOAT))},
    {0},
};
