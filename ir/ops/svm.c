/* svm.c: SVMRegressor and SVMClassifier of ai.onnx.ml, as products with the support vectors.
 *
 *     K = kernel(x, support vectors)          [rows, vectors]
 *     one score for each pair of classes: K times the coefficients of both, plus rho
 *
 * A class gets a vote for each pair it wins. */
#include <string.h>

#include "ir/ops/ml.h"
#include "ir/ops/ops_common.h"
#include "ir/ops/svm_coupling.h"

enum { MOST_COEFFICIENTS = 1 << 26 };

typedef struct Svm {
    Value *x;
    int64_t vectors, features;
    const Attr *coefficients, *rho, *support;
    double gamma, coef0, degree;
} Svm;

static const Attr *filled(const Node *n, const char *name)
{
    const Attr *a = attr_find(n, name);

    return a && a->n > 0 ? a : NULL;
}

static Status svm_read(Build *b, const Node *n, int64_t vectors, Svm *s)
{
    const Attr *params = filled(n, "kernel_params");
    Dim features;

    *s = (Svm){.vectors = vectors,
               .coefficients = filled(n, "coefficients"),
               .rho = filled(n, "rho"),
               .support = filled(n, "support_vectors")};
    if (in_type(n, 0)->rank != 2)
        return op_error(n, b->diag, "X", "%s: rank %d, expected 2", n->op->name,
                        in_type(n, 0)->rank);
    features = in_type(n, 0)->dim[1];
    if (!s->coefficients || !s->rho)
        return op_error(n, b->diag, "coefficients", "%s: coefficients and rho are required",
                        n->op->name);
    if (vectors > 0 && (!s->support || s->support->n % vectors))
        return op_error(n, b->diag, "support_vectors", "%s: %d numbers for %lld vectors",
                        n->op->name, s->support ? s->support->n : 0, (long long)vectors);
    s->features = vectors > 0 ? s->support->n / vectors : 0;
    if (vectors > 0 && dim_is_const(features) && features->value != s->features)
        return op_error(n, b->diag, "support_vectors", "%s: %lld features, expected %lld",
                        n->op->name, (long long)s->features, (long long)features->value);
    s->gamma = params && params->n > 0 ? params->floats[0] : 0;
    s->coef0 = params && params->n > 1 ? params->floats[1] : 0;
    s->degree = params && params->n > 2 ? params->floats[2] : 0;
    s->x = make_cast(b, n->in[0], DT_F32);
    return b->status;
}

static Value *times(Build *b, Value *v, double factor)
{
    return make_mul(b, v, make_scalar(b, v, factor));
}

/* x times the transpose of w */
static Value *products(Build *b, Value *x, Value *w)
{
    return w ? build_op2(b, "MatMul", x, build_transpose(b, w, (const int[]){1, 0})) : NULL;
}

/* exp(-gamma |x - v|^2), from the differences themselves. */
static Value *rbf(Build *b, const Svm *s, Value *w)
{
    Value *d = make_sub(b, make_unsqueeze(b, s->x, 1), make_unsqueeze(b, w, 0));

    d = make_reduce(b, "ReduceSumSquare", d, 2, false);
    return make_unary(b, "Exp", times(b, d, -s->gamma));
}

static Value *kernel_values(Build *b, const Node *n, const Svm *s)
{
    const char *kind = attr_string(n, "kernel_type", "LINEAR");
    Value *w = make_matrix(b, s->vectors, s->features, s->support->floats), *v;

    if (strcmp(kind, "RBF") == 0) return rbf(b, s, w);
    v = products(b, s->x, w);
    if (strcmp(kind, "LINEAR") == 0) return v;
    v = times(b, v, s->gamma);
    v = make_add(b, v, make_scalar(b, v, s->coef0));
    if (strcmp(kind, "SIGMOID") == 0) return make_unary(b, "Tanh", v);
    if (strcmp(kind, "POLY") == 0) return build_op2(b, "Pow", v, make_scalar(b, v, s->degree));
    build_fail(b, op_error(n, b->diag, "kernel_type", "%s: found \"%s\"", n->op->name, kind));
    return NULL;
}

static Status lower_regressor(Build *b, const Node *n, Value **out)
{
    int64_t vectors = attr_int(n, "n_supports", 0);
    Value *v, *positive;
    Svm s;

    TRY(svm_read(b, n, vectors, &s));
    if (vectors > 0 && s.coefficients->n != vectors)
        return op_error(n, b->diag, "coefficients", "SVMRegressor: %d for %lld vectors",
                        s.coefficients->n, (long long)vectors);
    v = vectors > 0 ? kernel_values(b, n, &s) : s.x;
    v = products(b, v, make_matrix(b, 1, s.coefficients->n, s.coefficients->floats));
    v = make_add(b, v, make_scalar(b, v, s.rho->floats[0]));
    if (attr_int(n, "one_class", 0)) {
        positive = build_op2(b, "Greater", v, make_scalar(b, v, 0));
        v = make_where(b, positive, make_scalar(b, v, 1), make_scalar(b, v, -1));
    }
    out[0] = ml_transform(b, n, v, attr_string(n, "post_transform", "NONE"));
    return b->status;
}

/* ---- SVMClassifier ---- */

/* Coefficients by pair of classes: [pairs, vectors], 0 for the vectors of other classes: larger
 * than the file by half the number of classes. */
static Status pair_matrix(Build *b, const Node *n, const Svm *s, int classes, Value **out)
{
    const Attr *per = filled(n, "vectors_per_class");
    int64_t pairs = (int64_t)classes * (classes - 1) / 2, at = 0, begin_i = 0, begin_j;
    Tensor *w;

    if (s->coefficients->n != (classes - 1) * s->vectors || s->rho->n != pairs)
        return op_error(n, b->diag, "coefficients",
                        "SVMClassifier: %d coefficients and %d rho for %d classes",
                        s->coefficients->n, s->rho->n, classes);
    w = pairs * s->vectors <= MOST_COEFFICIENTS
            ? tensor_new(b->module->arena, DT_F32, 2, (int64_t[]){pairs, s->vectors})
            : NULL;
    if (!w)
        return diag(b->diag, ERR_LIMIT, node_where(n),
                    "SVMClassifier: %lld pairs of classes by %lld vectors, at most %d together",
                    (long long)pairs, (long long)s->vectors, MOST_COEFFICIENTS);
    for (int i = 0; i < classes; begin_i += per->ints[i++]) {
        begin_j = begin_i + per->ints[i];
        for (int j = i + 1; j < classes; begin_j += per->ints[j++], at++) {
            for (int64_t k = begin_i; k < begin_i + per->ints[i]; k++)
                tensor_set_double(w, at * s->vectors + k,
                                  s->coefficients->floats[(j - 1) * s->vectors + k]);
            for (int64_t k = begin_j; k < begin_j + per->ints[j]; k++)
                tensor_set_double(w, at * s->vectors + k,
                                  s->coefficients->floats[i * s->vectors + k]);
        }
    }
    *out = build_tensor(b, w);
    return b->status;
}

/* Votes of the pairs: [rows, classes]. */
static Value *votes(Build *b, Value *scores, int classes)
{
    Value *won = build_op2(b, "Greater", scores, make_scalar(b, scores, 0));

    return make_reduce(b, "ReduceSum", svm_both_ways(b, make_cast(b, won, DT_F32), classes), 2,
                       false);
}

/* Probabilities of the pairs, by Platt's sigmoid of their scores; from them those of the classes.
 */
static Value *probabilities(Build *b, const Node *n, Value *scores, int classes)
{
    const Attr *a = filled(n, "prob_a"), *c = filled(n, "prob_b");
    int pairs = filled(n, "rho")->n; /* pair_matrix has compared */
    Value *p;

    if (a->n != pairs || (c && c->n != pairs)) {
        build_fail(b, op_error(n, b->diag, a->n != pairs ? "prob_a" : "prob_b",
                               "SVMClassifier: %d and %d numbers for %d pairs of classes", a->n,
                               c ? c->n : 0, pairs));
        return NULL;
    }
    p = build_op2(b, "Mul", scores, make_matrix(b, 1, pairs, a->floats));
    if (c) p = make_add(b, p, make_matrix(b, 1, pairs, c->floats));
    p = make_unary(b, "Sigmoid", make_unary(b, "Neg", p));
    p = build_op(b, "Clip", 3, (Value *[]){p, make_scalar(b, p, 1e-7), make_scalar(b, p, 1 - 1e-7)},
                 0, NULL);
    return svm_coupled(b, p, classes);
}

static Status classes_and_vectors(const Node *n, Diag *d, int classes, int64_t *vectors)
{
    const Attr *per = filled(n, "vectors_per_class");

    *vectors = 0;
    if (classes < 2) return op_unsupported(n, d, "one class label");
    if (!per) return OK;
    if (per->n != classes)
        return op_error(n, d, "vectors_per_class", "SVMClassifier: %d for %d classes", per->n,
                        classes);
    for (int i = 0; i < classes; i++) {
        if (per->ints[i] < 0 || per->ints[i] > 1 << 26)
            return op_error(n, d, "vectors_per_class", "SVMClassifier: found %lld",
                            (long long)per->ints[i]);
        *vectors += per->ints[i];
    }
    return OK;
}

static Status lower_classifier(Build *b, const Node *n, Value **out)
{
    const char *kind = attr_string(n, "post_transform", "NONE");
    Attr attr[2] = {attr_of_int("axis", 1), attr_of_int("keepdims", 0)};
    int classes = 0;
    int64_t vectors;
    Value *labels = ml_labels(b, n, "classlabels_ints", "classlabels_strings", &classes), *v;
    Value *w = NULL;
    Value *won;
    Svm s;

    if (b->status != OK) return b->status;
    TRY(classes_and_vectors(n, b->diag, classes, &vectors));
    TRY(svm_read(b, n, vectors, &s));
    if (vectors == 0) { /* one linear score for each class */
        if (s.coefficients->n % classes)
            return op_error(n, b->diag, "coefficients", "SVMClassifier: %d for %d classes",
                            s.coefficients->n, classes);
        w = make_matrix(b, classes, s.coefficients->n / classes, s.coefficients->floats);
        v = products(b, s.x, w);
        v = won = make_add(b, v, make_scalar(b, v, s.rho->floats[0]));
    } else {
        TRY(pair_matrix(b, n, &s, classes, &w));
        v = products(b, kernel_values(b, n, &s), w);
        v = make_add(b, v, make_matrix(b, 1, s.rho->n, s.rho->floats));
        won = votes(b, v, classes);
        if (filled(n, "prob_a"))
            v = probabilities(b, n, v, classes);
        else if (classes == 2)
            v = ml_two_columns(b, v, false);
    }
    out[0] = make_gather(b, labels, build_op(b, "ArgMax", 1, &won, 2, attr), 0);
    if (has_out(n, 1)) out[1] = ml_transform(b, n, v, kind);
    return b->status;
}

#define ML(version, low)                                                                           \
    .domain = "ai.onnx.ml", .since = version, .traits = OP_PURE, .infer = compose_infer,           \
    .eval = compose_eval, .lower = low
#define T_ML (DT_BIT(DT_F32) | DT_BIT(DT_F64) | DT_BIT(DT_I32) | DT_BIT(DT_I64))

const OpDef svm_ops[] = {
    {.name = "SVMRegressor",
     .about = "value of a support vector machine",
     ROW_IN({"X", T_ML}),
     ROW_OUT({"Y", T_F32}),
     ROW_ATTRS(ATTR_OPT("coefficients", ATTR_FLOATS), ATTR_OPT("kernel_params", ATTR_FLOATS),
               ATTR_S("kernel_type", "LINEAR"), ATTR_I("n_supports", 0), ATTR_I("one_class", 0),
               ATTR_S("post_transform", "NONE"), ATTR_OPT("rho", ATTR_FLOATS),
               ATTR_OPT("support_vectors", ATTR_FLOATS)),
     ML(1, lower_regressor)},
    {.name = "SVMClassifier",
     .about = "label and scores of a support vector machine",
     ROW_IN({"X", T_ML}),
     ROW_OUT({"Y", T_STRING | DT_BIT(DT_I64)}, {"Z", T_F32}),
     ROW_ATTRS(ATTR_OPT("classlabels_ints", ATTR_INTS),
               ATTR_OPT("classlabels_strings", ATTR_STRINGS), ATTR_OPT("coefficients", ATTR_FLOATS),
               ATTR_OPT("kernel_params", ATTR_FLOATS), ATTR_S("kernel_type", "LINEAR"),
               ATTR_S("post_transform", "NONE"), ATTR_OPT("prob_a", ATTR_FLOATS),
               ATTR_OPT("prob_b", ATTR_FLOATS), ATTR_OPT("rho", ATTR_FLOATS),
               ATTR_OPT("support_vectors", ATTR_FLOATS), ATTR_OPT("vectors_per_class", ATTR_INTS)),
     ML(1, lower_classifier)},
    {0},
};
