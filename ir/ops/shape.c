/* shape.c: tensors made from shapes and numbers: Shape, Size, Constant, ConstantOfShape, Range,
 * EyeLike. Their results carry contents, from which later dims are known. */
#include <string.h>

#include "ir/mathd.h"
#include "ir/ops/ops_common.h"
#include "support/checked.h"

enum { CONTENTS_MAX = 1024 };

/* ---- Shape, Size ---- */

/* Attributes start and end, clamped as in Python's slices. */
static void shape_window(const Node *n, int rank, int *from, int *to)
{
    int64_t start = attr_int(n, "start", 0), end = attr_int(n, "end", rank);

    if (start < 0) start = start < -rank ? 0 : start + rank;
    if (end < 0) end = end < -rank ? 0 : end + rank;
    *to = end > rank ? rank : (int)end;
    *from = start > *to ? *to : (int)start;
}

static Status infer_shape(Infer *cx, Node *n)
{
    const Type *x = in_type(n, 0);
    int from, to;
    Dim count;

    TRY(infer_ranked(cx, n, 0));
    shape_window(n, x->rank, &from, &to);
    count = dim_const(&cx->module->dims, to - from);
    infer_out(cx, n, 0, DT_I64, 1, &count);
    infer_contents(cx, n, 0, to - from, x->dim + from);
    return OK;
}

static Status eval_shape(Eval *cx, const Node *n, const Tensor *const *in, Tensor **out)
{
    int from, to;
    int64_t count;

    shape_window(n, in[0]->rank, &from, &to);
    count = to - from;
    TRY(eval_out(cx, n, &out[0], DT_I64, 1, &count));
    for (int i = from; i < to; i++)
        tensor_set_int(out[0], i - from, in[0]->dim[i]);
    return OK;
}

static Status lower_shape(Build *b, const Node *n, Value **out)
{
    int from, to;

    shape_window(n, in_type(n, 0)->rank, &from, &to);
    out[0] =
        to > from ? build_dims(b, to - from, in_type(n, 0)->dim + from) : build_i64(b, 0, NULL);
    return b->status;
}

static Status infer_size(Infer *cx, Node *n)
{
    Dim count;

    TRY(infer_ranked(cx, n, 0));
    count = type_count(&cx->module->dims, in_type(n, 0));
    infer_out(cx, n, 0, DT_I64, 0, NULL);
    infer_contents(cx, n, 0, 1, &count);
    return OK;
}

static Status eval_size(Eval *cx, const Node *n, const Tensor *const *in, Tensor **out)
{
    TRY(eval_out(cx, n, &out[0], DT_I64, 0, NULL));
    tensor_set_int(out[0], 0, in[0]->count);
    return OK;
}

static Status lower_size(Build *b, const Node *n, Value **out)
{
    Dim count = type_count(b->dims, in_type(n, 0));

    out[0] = build_dims(b, -1, &count);
    return b->status;
}

/* ---- Constant ---- */

static const Tensor *constant_strings(Arena *a, const Attr *v)
{
    bool list = v->kind == ATTR_STRINGS;
    int64_t count = v->n;
    Tensor *t = tensor_new(a, DT_STRING, list ? 1 : 0, &count);

    if (!t) return NULL;
    if (!list)
        ((StringRef *)t->data)[0] = v->s;
    else if (v->n)
        memcpy(t->data, v->strings, sizeof(StringRef) * (size_t)v->n);
    return t;
}

static const Tensor *constant_floats(Arena *a, const Attr *v)
{
    int64_t count = v->n;
    Tensor *t = tensor_new(a, DT_F32, 1, &count);

    for (int i = 0; t && i < v->n; i++)
        tensor_set_double(t, i, v->floats[i]);
    return t;
}

/* The one attribute that is given. */
static const Tensor *constant_value(const Node *n, Arena *a)
{
    for (int i = 0; i < n->n_attr; i++) {
        const Attr *v = &n->attr[i];

        if (strncmp(v->name, "value", 5) != 0) continue;
        switch (v->kind) {
        case ATTR_TENSOR:
            return v->tensor;
        case ATTR_INT:
            return tensor_scalar_int(a, DT_I64, v->i);
        case ATTR_FLOAT:
            return tensor_scalar_double(a, DT_F32, v->f);
        case ATTR_INTS:
            return tensor_i64s(a, v->n, v->ints);
        case ATTR_FLOATS:
            return constant_floats(a, v);
        case ATTR_STRING:
        case ATTR_STRINGS:
            return constant_strings(a, v);
        case ATTR_NONE:
        case ATTR_TENSORS:
        case ATTR_REGION:
            break;
        }
    }
    return NULL;
}

static Status infer_constant(Infer *cx, Node *n)
{
    const Tensor *t = constant_value(n, cx->module->arena);
    Dim dims[MAX_RANK];

    if (!t) return op_error(n, cx->diag, NULL, "Constant: no value is given");
    for (int i = 0; i < t->rank; i++)
        dims[i] = dim_const(&cx->module->dims, t->dim[i]);
    infer_out(cx, n, 0, t->dtype, t->rank, dims);
    if (t->rank > 1 || t->count > CONTENTS_MAX || !(dtype_is_int(t->dtype) || t->dtype == DT_BOOL))
        return OK;
    Dim *all = ARENA_ARRAY(cx->module->arena, Dim, t->count);
    for (int64_t i = 0; i < t->count; i++)
        all[i] = dim_const(&cx->module->dims, tensor_int(t, i));
    infer_contents(cx, n, 0, (int)t->count, all);
    return OK;
}

static Status eval_constant(Eval *cx, const Node *n, const Tensor *const *in, Tensor **out)
{
    const Tensor *t = constant_value(n, cx->arena);

    (void)in;
    if (!t) return op_error(n, cx->diag, NULL, "Constant: no value is given");
    TRY(eval_out(cx, n, &out[0], t->dtype, t->rank, t->dim));
    if (t->bytes) memcpy(out[0]->data, t->data, t->bytes);
    return OK;
}

static Status lower_constant(Build *b, const Node *n, Value **out)
{
    out[0] = build_tensor(b, constant_value(n, b->module->arena));
    return b->status;
}

/* ---- ConstantOfShape ---- */

/* The one element; f32 zero when it is not given. */
static Status fill_value(const Node *n, Diag *d, Arena *a, const Tensor **out)
{
    *out = attr_tensor(n, "value");
    if (!*out) *out = tensor_scalar_double(a, DT_F32, 0);
    if ((*out)->count == 1) return OK;
    return op_error(n, d, "value", "ConstantOfShape: %lld elements, expected one",
                    (long long)(*out)->count);
}

static Status infer_constant_of_shape(Infer *cx, Node *n)
{
    const Tensor *fill;
    const Dim *dims;
    int rank;

    TRY(fill_value(n, cx->diag, cx->module->arena, &fill));
    TRY(infer_elements(cx, n, 0, 0, DIM_TOP, &dims, &rank));
    if (rank > MAX_RANK)
        return op_error(n, cx->diag, NULL, "ConstantOfShape: rank %d, at most %d is allowed", rank,
                        MAX_RANK);
    infer_out(cx, n, 0, fill->dtype, rank, dims);
    if (rank > 1 || !(dtype_is_int(fill->dtype) || fill->dtype == DT_BOOL)) return OK;
    if (rank == 1 && (!dim_is_const(dims[0]) || dims[0]->value > CONTENTS_MAX)) return OK;
    int count = rank ? (int)dims[0]->value : 1;
    Dim *all = ARENA_ARRAY(cx->module->arena, Dim, count);
    for (int i = 0; i < count; i++)
        all[i] = dim_const(&cx->module->dims, tensor_int(fill, 0));
    infer_contents(cx, n, 0, count, all);
    return OK;
}

bool filled_with(const Value *v, int64_t *each)
{
    const Node *n = v->def;
    const Tensor *fill;

    if (!n || n->kind != NODE_OP || n->op->infer != infer_constant_of_shape) return false;
    fill = attr_tensor(n, "value");
    if (!fill || fill->count != 1 || !dtype_is_int(fill->dtype)) return false;
    *each = tensor_int(fill, 0);
    return true;
}

static Status eval_constant_of_shape(Eval *cx, const Node *n, const Tensor *const *in, Tensor **out)
{
    const Tensor *fill;
    int64_t dims[MAX_RANK];

    TRY(fill_value(n, cx->diag, cx->arena, &fill));
    if (in[0]->count > MAX_RANK)
        return op_error(n, cx->diag, NULL, "ConstantOfShape: the rank is too large");
    for (int64_t i = 0; i < in[0]->count; i++)
        dims[i] = tensor_int(in[0], i);
    TRY(eval_out(cx, n, &out[0], fill->dtype, (int)in[0]->count, dims));
    for (int64_t i = 0; i < out[0]->count; i++)
        eval_copy_element(out[0], i, fill, 0);
    return OK;
}

static Status lower_constant_of_shape(Build *b, const Node *n, Value **out)
{
    const Type *to = &n->out[0]->type;
    const Tensor *fill;
    uint64_t bits;

    TRY(fill_value(n, b->diag, b->module->arena, &fill));
    TRY(lower_movable(b, n, to->dtype));
    bits = dtype_is_int(fill->dtype) ? (uint64_t)tensor_int(fill, 0)
                                     : dtype_load_bits(fill->dtype, fill->data);
    out[0] = build_map(b, "fill", 0, NULL, to->dtype, to->rank, to->dim,
                       sx_const_bits(b->sx, to->dtype, bits));
    return b->status;
}

/* ---- Range: start + i * delta, for max(ceil((limit - start) / delta), 0) values of i ---- */

/* Bounded so that no double or int64_t overflows on the way. */
static int64_t range_count(const Tensor *const *in)
{
    double count;

    if (!dtype_is_float(in[0]->dtype)) {
        int64_t start = tensor_int(in[0], 0), delta = tensor_int(in[2], 0), span;
        if (!checked_sub_i64(tensor_int(in[1], 0), start, &span) || delta == 0) return -1;
        if ((span > 0) != (delta > 0) || span == 0) return 0;
        return span / delta + (span % delta != 0);
    }
    count =
        mathd_ceil((tensor_double(in[1], 0) - tensor_double(in[0], 0)) / tensor_double(in[2], 0));
    if (count != count || count > (double)DIM_TOP) return -1;
    return count > 0 ? (int64_t)count : 0;
}

static bool range_constant(const Node *n, const Tensor **t)
{
    for (int k = 0; k < 3; k++) {
        t[k] = n->in[k]->data;
        if (!t[k] || t[k]->count != 1) return false;
    }
    return true;
}

/* The count as a scalar expression over the three inputs. */
static const Sx *range_count_sx(Build *b, const Node *n)
{
    SxTable *t = b->sx;
    DType d = in_type(n, 0)->dtype;
    const Sx *x[3], *zero = sx_i64(b, 0);

    for (int k = 0; k < 3; k++)
        x[k] = sx_cast(t, sx_scalar(b, k, n->in[k]), dtype_is_float(d) ? DT_F64 : DT_I64);
    if (dtype_is_float(d)) {
        const Sx *q = sx_ceil(t, sx_div(t, sx_sub(t, x[1], x[0]), x[2]));
        return sx_max(t, sx_cast(t, q, DT_I64), zero);
    }
    return sx_max(t, sx_neg(t, sx_floor_div(t, sx_sub(t, x[0], x[1]), x[2])), zero);
}

/* The count from contents, where the sign of delta is known; NULL otherwise. */
static Dim range_count_dim(Infer *cx, const Node *n)
{
    DimTable *t = &cx->module->dims;
    Dim x[3], span, step, zero = dim_const(t, 0);

    for (int k = 0; k < 3; k++) {
        int count;
        const Dim *c = contents_of(cx, n->in[k], &count);
        if (!c || count != 1) return NULL;
        x[k] = c[0];
    }
    if (x[2]->lo > 0) {
        span = dim_sub(t, x[1], x[0]);
        step = x[2];
    } else if (x[2]->hi < 0) {
        span = dim_sub(t, x[0], x[1]);
        step = dim_mul_c(t, x[2], -1);
    } else {
        return NULL;
    }
    return dim_max(t, dim_is(step, 1) ? span : dim_ceil_div(t, span, step), zero);
}

/* Contents of an integer range of known length. */
static void range_contents(Infer *cx, Node *n, Dim count)
{
    DimTable *t = &cx->module->dims;
    int one, step;
    const Dim *start = contents_of(cx, n->in[0], &one), *delta = contents_of(cx, n->in[2], &step);
    Dim *all;

    if (!start || !delta || !dim_is_const(count) || count->value > CONTENTS_MAX) return;
    all = ARENA_ARRAY(cx->module->arena, Dim, count->value);
    for (int64_t i = 0; i < count->value; i++)
        all[i] = dim_add(t, start[0], dim_mul_c(t, delta[0], i));
    infer_contents(cx, n, 0, (int)count->value, all);
}

static Status infer_range(Infer *cx, Node *n)
{
    const Tensor *t[3];
    Dim count;

    for (int k = 0; k < 3; k++)
        TRY(infer_ranked(cx, n, k));
    if (range_constant(n, t)) {
        int64_t c = range_count(t);
        if (c < 0) return op_error(n, cx->diag, "delta", "Range: the number of steps is unbounded");
        count = dim_const(&cx->module->dims, c);
    } else {
        for (int k = 0; k < 3; k++)
            build_require_one(cx->build, n->in[k]);
        count = range_count_dim(cx, n);
        if (!count)
            count = dim_of_sx(cx->build, 3, n->in, range_count_sx(cx->build, n), 0, DIM_TOP);
    }
    infer_out(cx, n, 0, in_type(n, 0)->dtype, 1, &count);
    range_contents(cx, n, count);
    return cx->build->status;
}

static Status eval_range(Eval *cx, const Node *n, const Tensor *const *in, Tensor **out)
{
    int64_t count;

    for (int k = 0; k < 3; k++)
        if (in[k]->count != 1) return op_error(n, cx->diag, NULL, "Range: inputs must be scalars");
    count = range_count(in);
    if (count < 0) return op_error(n, cx->diag, "delta", "Range: the number of steps is unbounded");
    TRY(eval_out(cx, n, &out[0], in[0]->dtype, 1, &count));
    for (int64_t i = 0; i < count; i++)
        if (dtype_is_float(in[0]->dtype))
            tensor_set_double(out[0], i,
                              tensor_double(in[0], 0) + (double)i * tensor_double(in[2], 0));
        else
            tensor_set_int(out[0], i,
                           (int64_t)((uint64_t)tensor_int(in[0], 0) +
                                     (uint64_t)i * (uint64_t)tensor_int(in[2], 0)));
    return OK;
}

static Status lower_range(Build *b, const Node *n, Value **out)
{
    const Type *to = &n->out[0]->type;
    SxTable *t = b->sx;
    const Sx *start = sx_compute(b, sx_scalar(b, 0, n->in[0]));
    const Sx *delta = sx_compute(b, sx_scalar(b, 1, n->in[2]));
    const Sx *i = sx_cast(t, sx_index(t, 0), start->dtype);

    out[0] = build_map(b, "range", 2, (Value *[]){n->in[0], n->in[2]}, to->dtype, 1, to->dim,
                       sx_cast(t, sx_add(t, start, sx_mul(t, i, delta)), to->dtype));
    return b->status;
}

/* ---- EyeLike ---- */

static DType eye_dtype(const Node *n)
{
    const Attr *a = attr_find(n, "dtype");
    return a ? dtype_from_onnx((int)a->i) : in_type(n, 0)->dtype;
}

static Status infer_eye_like(Infer *cx, Node *n)
{
    TRY(infer_ranked(cx, n, 0));
    if (in_type(n, 0)->rank != 2)
        return op_error(n, cx->diag, NULL, "EyeLike: rank %d, expected 2", in_type(n, 0)->rank);
    if (!((T_NUMBER | T_BOOL) & DT_BIT(eye_dtype(n))))
        return op_error(n, cx->diag, "dtype", "EyeLike: not a dtype of numbers");
    infer_out(cx, n, 0, eye_dtype(n), 2, in_type(n, 0)->dim);
    return OK;
}

static Status eval_eye_like(Eval *cx, const Node *n, const Tensor *const *in, Tensor **out)
{
    int64_t k = attr_int(n, "k", 0);

    TRY(eval_out(cx, n, &out[0], eye_dtype(n), 2, in[0]->dim));
    for (int64_t i = 0; i < in[0]->dim[0]; i++)
        for (int64_t j = 0; j < in[0]->dim[1]; j++)
            tensor_set_double(out[0], i * in[0]->dim[1] + j, j - i == k);
    return OK;
}

static Status lower_eye_like(Build *b, const Node *n, Value **out)
{
    const Type *to = &n->out[0]->type;
    SxTable *t = b->sx;
    const Sx *on =
        sx_eq(t, sx_sub(t, sx_index(t, 1), sx_index(t, 0)), sx_i64(b, attr_int(n, "k", 0)));

    out[0] = build_map(b, "eye", 0, NULL, to->dtype, 2, to->dim, sx_cast(t, on, to->dtype));
    return b->status;
}

/* ---- the table ---- */

#define IN_ANY(n)                                                                                  \
    .in = (const PortDef[])                                                                        \
    {                                                                                              \
        {.name = n, .types = T_ANY},                                                               \
        {                                                                                          \
            0                                                                                      \
        }                                                                                          \
    }
#define OUT_I64(n)                                                                                 \
    .out = (const PortDef[])                                                                       \
    {                                                                                              \
        {.name = n, .types = DT_BIT(DT_I64)},                                                      \
        {                                                                                          \
            0                                                                                      \
        }                                                                                          \
    }
#define OUT_ANY                                                                                    \
    .out = (const PortDef[])                                                                       \
    {                                                                                              \
        {.name = "output", .types = T_ANY},                                                        \
        {                                                                                          \
            0                                                                                      \
        }                                                                                          \
    }
#define ATTRS(...)                                                                                 \
    .attr = (const AttrDef[])                                                                      \
    {                                                                                              \
        __VA_ARGS__,                                                                               \
        {                                                                                          \
            0                                                                                      \
        }                                                                                          \
    }
#define ROW(f)  .infer = infer_##f, .eval = eval_##f, .lower = lower_##f, .traits = OP_PURE
#define T_RANGE (T_FLOAT | DT_BIT(DT_I16) | DT_BIT(DT_I32) | DT_BIT(DT_I64))

const OpDef shape_ops[] = {
    {.name = "Shape",
     .since = 25,
     .about = "the dims, from start to end",
     IN_ANY("data"),
     OUT_I64("shape"),
     ATTRS(ATTR_I("start", 0), ATTR_OPT("end", ATTR_INT)),
     ROW(shape)},
    {.name = "Size",
     .since = 25,
     .about = "the number of elements",
     IN_ANY("data"),
     OUT_I64("size"),
     ROW(size)},
    {.name = "Constant",
     .since = 25,
     .about = "a value that the model holds",
     .in = (const PortDef[]){{0}},
     OUT_ANY,
     ATTRS(ATTR_OPT("value", ATTR_TENSOR), ATTR_OPT("value_int", ATTR_INT),
           ATTR_OPT("value_ints", ATTR_INTS), ATTR_OPT("value_float", ATTR_FLOAT),
           ATTR_OPT("value_floats", ATTR_FLOATS), ATTR_OPT("value_string", ATTR_STRING),
           ATTR_OPT("value_strings", ATTR_STRINGS)),
     ROW(constant)},
    {.name = "ConstantOfShape",
     .since = 25,
     .about = "one value in given dims",
     .in = (const PortDef[]){{.name = "input", .types = DT_BIT(DT_I64)}, {0}},
     OUT_ANY,
     ATTRS(ATTR_OPT("value", ATTR_TENSOR)),
     ROW(constant_of_shape)},
    {.name = "Range",
     .since = 27,
     .about = "start, start + delta, ... below limit",
     .in = (const PortDef[]){{.name = "start", .types = T_RANGE, .var = "T", .single = true},
                             {.name = "limit", .types = T_RANGE, .var = "T", .single = true},
                             {.name = "delta", .types = T_RANGE, .var = "T", .single = true},
                             {0}},
     .out = OUT_T("output"),
     ATTRS(ATTR_I("stash_type", 1)),
     ROW(range)},
    {.name = "EyeLike",
     .since = 22,
     .about = "ones on a diagonal",
     .in = (const PortDef[]){{.name = "input", .types = T_NUMBER | T_BOOL}, {0}},
     OUT_ANY,
     ATTRS(ATTR_I("k", 0), ATTR_OPT("dtype", ATTR_INT)),
     ROW(eye_like)},
    {0},
};
