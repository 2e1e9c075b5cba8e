/* ml.c: the operators of ai.onnx.ml on vectors of features: encoders, scalers, linear models. Trees
 * are in trees.c. All are formulas of operators of ai.onnx. */
#include "ir/ops/ml.h"

#include <string.h>

#include "ir/ops/ops_common.h"

/* ---- constants ---- */

Value *ml_strings(Build *b, int n, const StringRef *v)
{
    Tensor *t = tensor_new(b->module->arena, DT_STRING, 1, (int64_t[]){n});

    if (!t) {
        build_fail(b, diag(b->diag, ERR_LIMIT, (Where){0}, "too many strings"));
        return NULL;
    }
    memcpy(t->data, v, sizeof *v * (size_t)n);
    return build_tensor(b, t);
}

static Value *vector(Build *b, DType type, int n, const int64_t *ints, const double *floats)
{
    Tensor *t = tensor_new(b->module->arena, type, 1, (int64_t[]){n});

    if (!t) {
        build_fail(b, diag(b->diag, ERR_LIMIT, (Where){0}, "too many values"));
        return NULL;
    }
    for (int i = 0; i < n; i++)
        if (ints)
            tensor_set_int(t, i, ints[i]);
        else
            tensor_set_double(t, i, floats[i]);
    return build_tensor(b, t);
}

static const Attr *filled(const Node *n, const char *name)
{
    const Attr *a = attr_find(n, name);

    return a && a->n > 0 ? a : NULL;
}

/* A list attribute as a constant vector; NULL when it is not there. */
static Value *attr_vector(Build *b, const Node *n, const char *name, DType type)
{
    const Attr *a = filled(n, name);

    if (!a) return NULL;
    if (a->kind == ATTR_STRINGS) return ml_strings(b, a->n, a->strings);
    return vector(b, type, a->n, a->kind == ATTR_INTS ? a->ints : NULL, a->floats);
}

Value *ml_labels(Build *b, const Node *n, const char *ints, const char *strings, int *count)
{
    const Attr *a = filled(n, strings) ? filled(n, strings) : filled(n, ints);

    if (!a) {
        build_fail(b, op_error(n, b->diag, ints, "%s: no class labels", n->op->name));
        return NULL;
    }
    *count = a->n;
    return attr_vector(b, n, a->name, DT_I64);
}

/* ---- post_transform ---- */

static Value *with_constant(Build *b, const char *op, Value *v, double c)
{
    return build_op2(b, op, v, make_scalar(b, v, c));
}

/* sqrt 2 times the inverse error function of 2v - 1, as the reference approximates it. */
static Value *probit(Build *b, Value *v)
{
    Value *x = with_constant(b, "Sub", with_constant(b, "Mul", v, 2), 1), *log, *u, *w;

    log = make_sub(b, make_scalar(b, x, 1), make_mul(b, x, x));
    log = make_unary(b, "Log", log);
    u = with_constant(b, "Add", with_constant(b, "Mul", log, 0.5), 2 / (3.14159265358979 * 0.147));
    w = make_sub(b, make_mul(b, u, u), with_constant(b, "Mul", log, 1 / 0.147));
    w = make_unary(b, "Sqrt", make_sub(b, make_unary(b, "Sqrt", w), u));
    return with_constant(b, "Mul", make_mul(b, make_unary(b, "Sign", x), w), 1.41421356);
}

/* Softmax in which what is 0 stays out. */
static Value *softmax_zero(Build *b, Value *v)
{
    Value *top = make_reduce(b, "ReduceMax", v, 1, true), *none, *sum;
    Value *e = make_unary(b, "Exp", make_sub(b, v, top));

    none = build_op2(b, "Less", make_unary(b, "Abs", v), make_scalar(b, v, 1e-7));
    v = make_mul(b, v, make_unary(b, "Exp", make_unary(b, "Neg", top)));
    v = make_where(b, none, v, e);
    sum = make_reduce(b, "ReduceSum", v, 1, true);
    none = build_op2(b, "Equal", sum, make_scalar(b, v, 0));
    return make_where(b, none, make_scalar(b, v, 0.5), make_div(b, v, sum));
}

Value *ml_transform(Build *b, const Node *n, Value *v, const char *kind)
{
    if (!v || strcmp(kind, "NONE") == 0) return v;
    if (strcmp(kind, "SOFTMAX") == 0) return make_axis(b, "Softmax", v, 1);
    if (strcmp(kind, "LOGISTIC") == 0) return make_unary(b, "Sigmoid", v);
    if (strcmp(kind, "SOFTMAX_ZERO") == 0) return softmax_zero(b, v);
    if (strcmp(kind, "PROBIT") == 0) return probit(b, v);
    build_fail(b, op_error(n, b->diag, "post_transform", "%s: found \"%s\"", n->op->name, kind));
    return NULL;
}

Value *ml_two_columns(Build *b, Value *v, bool complement)
{
    Value *other = complement ? make_sub(b, make_scalar(b, v, 1), v)
                   : v        ? make_unary(b, "Neg", v)
                              : NULL;

    return make_concat(b, 2, (Value *[]){other, v}, 1);
}

/* ---- lookups: LabelEncoder, OneHotEncoder ---- */

/* x == each key, along a new last axis. NaN is a key like others. */
static Value *equal_keys(Build *b, Value *x, Value *keys)
{
    Value *column = make_unsqueeze(b, x, -1), *same = build_op2(b, "Equal", column, keys), *nan;

    if (!keys || !dtype_is_float(keys->type.dtype)) return same;
    nan = build_op2(b, "And", make_unary(b, "IsNaN", column), make_unary(b, "IsNaN", keys));
    return build_op2(b, "Or", same, nan);
}

/* A tensor attribute, or a list; as a vector. */
static Value *either(Build *b, const Node *n, const char *const *names)
{
    static const DType types[] = {DT_F32, DT_I64, DT_STRING};
    const Tensor *t = attr_tensor(n, names[3]);

    if (t) {
        t = tensor_reshape(b->module->arena, t, 1, &t->count);
        return t ? build_tensor(b, t) : NULL;
    }
    for (int i = 0; i < 3; i++)
        if (filled(n, names[i])) return attr_vector(b, n, names[i], types[i]);
    return NULL;
}

static Value *encoder_default(Build *b, const Node *n, const Value *values)
{
    const Tensor *t = attr_tensor(n, "default_tensor");
    DType type = values->type.dtype;
    const Attr *a;

    if (t && t->count == 1 && t->dtype == type)
        return build_tensor(b, tensor_reshape(b->module->arena, t, 0, NULL));
    if (type == DT_STRING) {
        a = attr_find(n, "default_string");
        Value *v = ml_strings(b, 1, a ? &a->s : &(StringRef){"_Unused", 7});
        return v ? make_reshape(b, v, 0, NULL) : NULL;
    }
    return build_scalar(b, type,
                        dtype_is_float(type) ? attr_float(n, "default_float", -0.0)
                                             : (double)attr_int(n, "default_int64", -1));
}

/* A LabelEncoder between strings and numbers, one way or the other by the input's dtype. */
static Status string_number(Build *b, const Node *n, const Attr *strings, const Attr *numbers,
                            Value **out)
{
    bool text = in_type(n, 0)->dtype == DT_STRING;
    const Attr *other = attr_find(n, text ? "default_int64" : "default_string");
    Attr attr[3];
    Node *y;

    attr[0] = *strings;
    attr[0].name = text ? "keys_strings" : "values_strings";
    attr[1] = *numbers;
    attr[1].name = text ? "values_int64s" : "keys_int64s";
    if (other) attr[2] = *other;
    y = build_op_node(b, "ai.onnx.ml", "LabelEncoder", 1, n->in, 1, other ? 3 : 2, attr);
    out[0] = y ? y->out[0] : NULL;
    return b->status;
}

static Status lower_category_mapper(Build *b, const Node *n, Value **out)
{
    const Attr *strings = attr_find(n, "cats_strings"), *numbers = attr_find(n, "cats_int64s");

    if (!strings || !numbers || strings->n != numbers->n)
        return op_error(n, b->diag, "cats_strings",
                        "CategoryMapper: not as many strings as numbers");
    return string_number(b, n, strings, numbers, out);
}

/* Of version 1: a string's number is its place in the list. */
static Status encode_classes(Build *b, const Node *n, const Attr *classes, Value **out)
{
    int64_t *places = ARENA_ARRAY(b->module->arena, int64_t, classes->n);
    DType t = in_type(n, 0)->dtype;
    Attr numbers;

    if (t != DT_STRING && t != DT_I64)
        return op_error(n, b->diag, "classes_strings",
                        "LabelEncoder: an input of %s, expected strings or i64", dtype_text(t));
    for (int i = 0; i < classes->n; i++)
        places[i] = i;
    numbers = attr_of_ints("values_int64s", classes->n, places);
    return string_number(b, n, classes, &numbers, out);
}

static Status lower_label_encoder(Build *b, const Node *n, Value **out)
{
    static const char *const key_names[] = {"keys_floats", "keys_int64s", "keys_strings",
                                            "keys_tensor"};
    static const char *const value_names[] = {"values_floats", "values_int64s", "values_strings",
                                              "values_tensor"};
    const Attr *classes = attr_find(n, "classes_strings");
    Value *keys, *values, *same, *at, *any;

    if (classes && classes->n) return encode_classes(b, n, classes, out);
    keys = either(b, n, key_names);
    values = either(b, n, value_names);
    if (b->status != OK) return b->status;
    if (!keys || !values || keys->type.dim[0] != values->type.dim[0])
        return op_error(n, b->diag, "keys", "LabelEncoder: not as many keys as values");
    if (keys->type.dtype != in_type(n, 0)->dtype)
        return op_error(n, b->diag, "keys", "LabelEncoder: keys of %s for an input of %s",
                        dtype_text(keys->type.dtype), dtype_text(in_type(n, 0)->dtype));
    same = make_cast(b, equal_keys(b, n->in[0], keys), DT_I32);
    if (!same) return b->status;
    Attr attr[2] = {attr_of_int("axis", -1), attr_of_int("keepdims", 0)};
    at = build_op(b, "ArgMax", 1, &same, 2, attr);
    any = make_cast(b, make_reduce(b, "ReduceMax", same, -1, false), DT_BOOL);
    out[0] = make_where(b, any, make_gather(b, values, at, 0), encoder_default(b, n, values));
    return b->status;
}

static Status lower_one_hot(Build *b, const Node *n, Value **out)
{
    DType type = in_type(n, 0)->dtype;
    Value *x = n->in[0], *keys;

    keys = attr_vector(b, n, type == DT_STRING ? "cats_strings" : "cats_int64s", DT_I64);
    if (b->status == OK && !keys)
        return op_error(n, b->diag, "cats_int64s", "OneHotEncoder: no categories");
    if (type != DT_STRING) x = make_cast(b, x, DT_I64);
    out[0] = make_cast(b, equal_keys(b, x, keys), DT_F32);
    return b->status;
}

/* ---- element by element ---- */

static Value *as_float(Build *b, Value *v)
{
    return make_cast(b, v, DT_F32);
}

static Status lower_scaler(Build *b, const Node *n, Value **out)
{
    Value *x = as_float(b, n->in[0]), *offset = attr_vector(b, n, "offset", DT_F32);
    Value *scale = attr_vector(b, n, "scale", DT_F32);

    if (offset) x = make_sub(b, x, offset);
    out[0] = scale ? make_mul(b, x, scale) : x;
    return b->status;
}

static Status lower_binarizer(Build *b, const Node *n, Value **out)
{
    DType t = in_type(n, 0)->dtype; /* the threshold of integers may lie between them */
    Value *x = dtype_is_float(t) ? n->in[0] : make_cast(b, n->in[0], DT_F64);
    Value *at = make_scalar(b, x, attr_float(n, "threshold", 0));

    out[0] = make_cast(b, build_op2(b, "Greater", x, at), t);
    return b->status;
}

static Status lower_normalizer(Build *b, const Node *n, Value **out)
{
    const char *norm = attr_string(n, "norm", "MAX");
    Value *x = as_float(b, n->in[0]), *size;
    int64_t axis = in_type(n, 0)->rank - 1;

    if (strcmp(norm, "MAX") == 0)
        size = make_reduce(b, "ReduceMax", make_unary(b, "Abs", x), axis, true);
    else if (strcmp(norm, "L1") == 0)
        size = make_reduce(b, "ReduceL1", x, axis, true);
    else if (strcmp(norm, "L2") == 0)
        size = make_reduce(b, "ReduceL2", x, axis, true);
    else
        return op_error(n, b->diag, "norm", "Normalizer: found \"%s\"", norm);
    out[0] = make_div(b, x, build_op2(b, "Max", size, make_scalar(b, size, 1e-30)));
    return b->status;
}

static Status lower_imputer(Build *b, const Node *n, Value **out)
{
    DType type = in_type(n, 0)->dtype;
    bool floats = dtype_is_float(type);
    Value *x = n->in[0], *with, *old, *hit;
    double replaced = attr_float(n, "replaced_value_float", 0);

    with = attr_vector(b, n, floats ? "imputed_value_floats" : "imputed_value_int64s", type);
    if (!with) return op_error(n, b->diag, "imputed_value_floats", "Imputer: no values");
    if (floats && replaced != replaced) {
        hit = make_unary(b, "IsNaN", x);
    } else {
        old = floats
                  ? make_scalar(b, x, replaced)
                  : make_cast(
                        b,
                        make_reshape(
                            b, build_i64(b, 1, (int64_t[]){attr_int(n, "replaced_value_int64", 0)}),
                            0, NULL),
                        type);
        hit = build_op2(b, "Equal", x, old);
    }
    out[0] = make_where(b, hit, with, x);
    return b->status;
}

static Status lower_feature_vectorizer(Build *b, const Node *n, Value **out)
{
    int count;
    const int64_t *dims = attr_ints(n, "inputdimensions", &count);
    Value **v = ARENA_ARRAY(b->module->arena, Value *, n->n_in);

    for (int i = 0; i < n->n_in; i++) {
        const Type *t = in_type(n, i);
        if (t->rank != 1 && t->rank != 2)
            return op_error(n, b->diag, "X", "FeatureVectorizer: input %d has rank %d", i, t->rank);
        v[i] = as_float(b, n->in[i]);
        if (t->rank == 1) v[i] = make_unsqueeze(b, v[i], 1);
        if (!v[i] || i >= count || dim_is(v[i]->type.dim[1], dims[i])) continue;
        if (!dim_is_const(v[i]->type.dim[1]))
            build_require_equal(b, v[i]->type.dim[1], dim_const(b->dims, dims[i]));
        else if (v[i]->type.dim[1]->value < dims[i])
            return op_unsupported(n, b->diag, "input %d narrower than inputdimensions", i);
        v[i] = make_slice(b, v[i], 1, 0, dims[i], 1);
    }
    out[0] = make_concat(b, n->n_in, v, 1);
    return b->status;
}

/* ---- linear models ---- */

/* x (rows of `coefficients`)' + intercepts: [rows, outputs] */
static Value *linear(Build *b, const Node *n, int64_t outputs)
{
    const Attr *c = filled(n, "coefficients"), *i = filled(n, "intercepts");
    Value *x = as_float(b, n->in[0]), *w, *v;
    Dim dims[2];

    if (!x) return NULL;
    if (x->type.rank == 1) x = make_unsqueeze(b, x, 0);
    if (!c || outputs < 1 || c->n % outputs || (i && i->n != outputs && i->n != 1)) {
        build_fail(b, op_error(n, b->diag, "coefficients", "%s: %d coefficients for %lld outputs",
                               n->op->name, c ? c->n : 0, (long long)outputs));
        return NULL;
    }
    dims[0] = dim_const(b->dims, outputs);
    dims[1] = dim_const(b->dims, c->n / outputs);
    w = make_reshape(b, attr_vector(b, n, "coefficients", DT_F32), 2, dims);
    v = w ? build_op2(b, "MatMul", x, build_transpose(b, w, (const int[]){1, 0})) : NULL;
    return i ? make_add(b, v, attr_vector(b, n, "intercepts", DT_F32)) : v;
}

static Status lower_linear_regressor(Build *b, const Node *n, Value **out)
{
    Value *v = linear(b, n, attr_int(n, "targets", 1));

    out[0] = ml_transform(b, n, v, attr_string(n, "post_transform", "NONE"));
    return b->status;
}

static Value *greatest(Build *b, Value *scores)
{
    Attr attr[2] = {attr_of_int("axis", 1), attr_of_int("keepdims", 0)};

    return build_op(b, "ArgMax", 1, &scores, 2, attr);
}

static Status lower_linear_classifier(Build *b, const Node *n, Value **out)
{
    const Attr *i = filled(n, "intercepts");
    int classes = 0;
    Value *labels = ml_labels(b, n, "classlabels_ints", "classlabels_strings", &classes), *v;
    const char *kind = attr_string(n, "post_transform", "NONE");
    int64_t outputs = i ? i->n : classes;

    if (b->status != OK) return b->status;
    v = linear(b, n, outputs);
    if (outputs == 1 && classes == 2)
        v = ml_two_columns(b, v, false);
    else if (outputs != classes)
        return op_unsupported(n, b->diag, "%lld scores for %d labels", (long long)outputs, classes);
    out[0] = make_gather(b, labels, greatest(b, v), 0);
    if (has_out(n, 1)) out[1] = ml_transform(b, n, v, kind);
    return b->status;
}

/* ---- the table ---- */

#define ML(version, low)                                                                           \
    .domain = "ai.onnx.ml", .since = version, .traits = OP_PURE, .infer = compose_infer,           \
    .eval = compose_eval, .lower = low
#define T_ML (DT_BIT(DT_F32) | DT_BIT(DT_F64) | DT_BIT(DT_I32) | DT_BIT(DT_I64))

const OpDef ml_ops[] = {
    {.name = "LabelEncoder",
     .calls = CALL_BIT(string_equal),
     .about = "keys to values, what is no key to a default",
     ROW_IN({"X", T_ANY}),
     ROW_OUT({"Y", T_ANY}),
     ROW_ATTRS(ATTR_OPT("classes_strings", ATTR_STRINGS), ATTR_OPT("default_float", ATTR_FLOAT),
               ATTR_OPT("default_int64", ATTR_INT), ATTR_OPT("default_string", ATTR_STRING),
               ATTR_OPT("default_tensor", ATTR_TENSOR), ATTR_OPT("keys_floats", ATTR_FLOATS),
               ATTR_OPT("keys_int64s", ATTR_INTS), ATTR_OPT("keys_strings", ATTR_STRINGS),
               ATTR_OPT("keys_tensor", ATTR_TENSOR), ATTR_OPT("values_floats", ATTR_FLOATS),
               ATTR_OPT("values_int64s", ATTR_INTS), ATTR_OPT("values_strings", ATTR_STRINGS),
               ATTR_OPT("values_tensor", ATTR_TENSOR)),
     ML(4, lower_label_encoder)},
    {.name = "CategoryMapper",
     .calls = CALL_BIT(string_equal),
     .about = "strings to numbers, or numbers to strings",
     ROW_IN({"X", T_STRING | DT_BIT(DT_I64)}),
     ROW_OUT({"Y", T_STRING | DT_BIT(DT_I64)}),
     ROW_ATTRS(ATTR_OPT("cats_int64s", ATTR_INTS), ATTR_OPT("cats_strings", ATTR_STRINGS),
               ATTR_I("default_int64", -1), ATTR_S("default_string", "_Unused")),
     ML(1, lower_category_mapper)},
    {.name = "OneHotEncoder",
     .calls = CALL_BIT(string_equal),
     .about = "1 at the place of the category, along a new last axis",
     ROW_IN({"X", T_ML | T_STRING}),
     ROW_OUT({"Y", T_F32}),
     ROW_ATTRS(ATTR_OPT("cats_int64s", ATTR_INTS), ATTR_OPT("cats_strings", ATTR_STRINGS),
               ATTR_I("zeros", 1)),
     ML(1, lower_one_hot)},
    {.name = "Scaler",
     .about = "(x - offset) * scale",
     ROW_IN({"X", T_ML}),
     ROW_OUT({"Y", T_F32}),
     ROW_ATTRS(ATTR_OPT("offset", ATTR_FLOATS), ATTR_OPT("scale", ATTR_FLOATS)),
     ML(1, lower_scaler)},
    {.name = "Binarizer",
     .about = "1 where x > threshold, else 0",
     ROW_IN({"X", T_ML, "T"}),
     ROW_OUT({"Y", T_ML, "T"}),
     ROW_ATTRS(ATTR_F("threshold", 0)),
     ML(1, lower_binarizer)},
    {.name = "Normalizer",
     .about = "rows of norm 1",
     ROW_IN({"X", T_ML}),
     ROW_OUT({"Y", T_F32}),
     ROW_ATTRS(ATTR_S("norm", "MAX")),
     ML(1, lower_normalizer)},
    {.name = "Imputer",
     .about = "another value in place of the missing one",
     ROW_IN({"X", T_ML, "T"}),
     ROW_OUT({"Y", T_ML, "T"}),
     ROW_ATTRS(ATTR_OPT("imputed_value_floats", ATTR_FLOATS),
               ATTR_OPT("imputed_value_int64s", ATTR_INTS), ATTR_F("replaced_value_float", 0),
               ATTR_I("replaced_value_int64", 0)),
     ML(1, lower_imputer)},
    {.name = "FeatureVectorizer",
     .about = "columns side by side",
     ROW_IN({"X", T_ML, NULL, false, true}),
     ROW_OUT({"Y", T_F32}),
     ROW_ATTRS(ATTR_OPT("inputdimensions", ATTR_INTS)),
     ML(1, lower_feature_vectorizer)},
    {.name = "LinearRegressor",
     .about = "coefficients times features, and intercepts",
     ROW_IN({"X", T_ML}),
     ROW_OUT({"Y", T_F32}),
     ROW_ATTRS(ATTR_OPT("coefficients", ATTR_FLOATS), ATTR_OPT("intercepts", ATTR_FLOATS),
               ATTR_S("post_transform", "NONE"), ATTR_I("targets", 1)),
     ML(1, lower_linear_regressor)},
    {.name = "LinearClassifier",
     .about = "the label of the greatest linear score, and the scores",
     ROW_IN({"X", T_ML}),
     ROW_OUT({"Y", T_STRING | DT_BIT(DT_I64)}, {"Z", T_F32}),
     ROW_ATTRS(ATTR_OPT("classlabels_ints", ATTR_INTS),
               ATTR_OPT("classlabels_strings", ATTR_STRINGS), ATTR_REQ("coefficients", ATTR_FLOATS),
               ATTR_OPT("intercepts", ATTR_FLOATS), ATTR_I("multi_class", 0),
               ATTR_S("post_transform", "NONE")),
     ML(1, lower_linear_classifier)},
    {0},
};
