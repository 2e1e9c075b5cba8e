/* onnx_legacy.c: older forms whose newest form is several nodes, and operators that were taken out.
 * Rows of the table in onnx_upgrade.c; each function's comment states the old meaning. */
#include <string.h>

#include "frontend/onnx/onnx_import.h"

static Status bad_input(Importer *im, const Draft *x, const char *what)
{
    const Origin *o = x->origin;
    Where where = {.file = o->file, .node = *o->node ? o->node : o->op, .index = o->index};

    return diag(im->diag, ERR_MODEL, where, "%s of version %lld: %s", x->op, (long long)x->version,
                what);
}

static bool has_inputs(const Draft *x, int n)
{
    for (int i = 0; i < n; i++)
        if (i >= x->n_in || !x->in[i]) return false;
    return true;
}

static int known_rank(const Value *v)
{
    return v->type.kind == TYPE_TENSOR ? v->type.rank : RANK_UNKNOWN;
}

/* v with `n` dims of 1 behind its own. */
static Value *pad_dims(Build *b, Value *v, int n)
{
    int64_t axes[MAX_RANK];
    int rank = known_rank(v);

    for (int i = 0; i < n; i++)
        axes[i] = rank + i;
    return build_op2(b, "Unsqueeze", v, build_i64(b, n, axes));
}

static Value *ints1(Build *b, int64_t v)
{
    return build_i64(b, 1, &v);
}

/* broadcast = 1, axis = k: dim 0 of the second input is dim k of the first; without axis the last
 * dims agree, as today. */
Status legacy_broadcast(Importer *im, Draft *x, const UpgradeRow *row)
{
    const Attr *a = draft_attr(x, "axis");

    (void)row;
    if (a && draft_int(x, "broadcast", 0) && has_inputs(x, 2)) {
        int rank = known_rank(x->in[0]), inner = known_rank(x->in[1]);
        if (rank == RANK_UNKNOWN || inner == RANK_UNKNOWN)
            return draft_unsupported(im, x, "broadcast along an axis of unknown rank");
        int64_t axis = a->i < 0 ? a->i + rank : a->i;
        if (axis < 0 || axis > rank || axis + inner > rank)
            return bad_input(im, x, "the axis to broadcast along lies outside the dims");
        int behind = rank - inner - (int)axis;
        if (behind > 0) x->in[1] = pad_dims(x->build, x->in[1], behind);
    }
    draft_drop(x, "axis");
    draft_drop(x, "broadcast");
    return OK;
}

/* A slope of rank 1 belongs to the channels, dim 1. */
Status legacy_slope(Importer *im, Draft *x, const UpgradeRow *row)
{
    (void)row;
    if (!has_inputs(x, 2) || known_rank(x->in[1]) != 1) return OK;
    int rank = known_rank(x->in[0]);
    if (rank == RANK_UNKNOWN) return draft_unsupported(im, x, "slope for a value of unknown rank");
    if (rank > 2 && !dim_is(x->in[1]->type.dim[0], 1))
        x->in[1] = pad_dims(x->build, x->in[1], rank - 2);
    return OK;
}

/* The input is taken as a matrix: dims before the axis are rows, all others a row. */
Status legacy_softmax(Importer *im, Draft *x, const UpgradeRow *row)
{
    int64_t axis = draft_int(x, "axis", 1);
    Build *b = x->build;
    int rank;

    (void)row;
    if (!has_inputs(x, 1)) return OK;
    rank = known_rank(x->in[0]);
    Attr last = attr_of_int("axis", -1), split = attr_of_int("axis", axis);
    if (rank != RANK_UNKNOWN && (axis < 0 ? axis + rank : axis) == rank - 1) {
        draft_set(x, last);
        return OK;
    }
    Value *matrix = build_op(b, "Flatten", 1, x->in, 1, &split);
    Value *soft = build_op(b, x->op, 1, &matrix, 1, &last);
    Value *back[2] = {soft, build_op1(b, "Shape", x->in[0])};
    Attr zero = attr_of_int("allowzero", 1); /* a dim of 0 is one, not to be copied */
    return draft_result(im, x, build_op(b, "Reshape", 2, back, 1, &zero));
}

/* (x - mean) / sqrt(var + epsilon) * scale + b, all of them of the dims of one x. */
static Value *batchnorm_each(Draft *x)
{
    Build *b = x->build;
    Value **in = x->in;
    Value *eps = build_scalar(b, draft_dtype(x), draft_float(x, "epsilon", 1e-5f));
    Value *dev = build_op1(b, "Sqrt", build_op2(b, "Add", in[4], eps));
    Value *norm = build_op2(b, "Div", build_op2(b, "Sub", in[0], in[3]), dev);

    return build_op2(b, "Add", build_op2(b, "Mul", norm, in[1]), in[2]);
}

/* spatial = 0 (below version 9): statistics for each element, not for each channel. Outputs beyond
 * the first are those of training. */
Status legacy_batchnorm(Importer *im, Draft *x, const UpgradeRow *row)
{
    (void)row;
    for (int i = 1; i < x->n_out; i++)
        if (x->wanted[i]) return draft_unsupported(im, x, "outputs of training");
    if (x->n_out > 1) x->n_out = 1;
    if (x->version < 9 && draft_int(x, "spatial", 1) == 0 && has_inputs(x, 5))
        return draft_result(im, x, batchnorm_each(x));
    draft_drop(x, "spatial");
    return OK;
}

/* scale and bias had one element for each group. */
static Value *each_channel(Draft *x, Value *v, int64_t groups)
{
    Build *b = x->build;
    Attr range[2] = {attr_of_int("start", 1), attr_of_int("end", 2)};
    Attr axis = attr_of_int("axis", 0);
    Value *channels = build_op(b, "Shape", 1, x->in, 2, range);
    Value *dims[2] = {ints1(b, groups), build_op2(b, "Div", channels, ints1(b, groups))};
    Value *wide =
        build_op2(b, "Expand", pad_dims(b, v, 1), build_op(b, "Concat", 2, dims, 1, &axis));

    return build_op2(b, "Reshape", wide, channels);
}

Status legacy_groupnorm(Importer *im, Draft *x, const UpgradeRow *row)
{
    int64_t groups = draft_int(x, "num_groups", 0);

    (void)row;
    if (!has_inputs(x, 3) || known_rank(x->in[1]) != 1 || known_rank(x->in[2]) != 1)
        return bad_input(im, x, "scale and bias must have rank 1");
    if (groups < 1) return bad_input(im, x, "num_groups must be at least 1");
    x->in[1] = each_channel(x, x->in[1], groups);
    x->in[2] = each_channel(x, x->in[2], groups);
    return OK;
}

/* Over the dims behind the channels, or over these too. */
Status legacy_mvn(Importer *im, Draft *x, const UpgradeRow *row)
{
    bool across = draft_int(x, "across_channels", 0) != 0;
    static const int64_t axes[] = {1, 2, 3};

    (void)row;
    if (draft_attr(x, "axes")) return OK;
    if (draft_int(x, "normalize_variance", 1) == 0)
        return draft_unsupported(im, x, "normalize_variance = 0");
    draft_set(x, across ? attr_of_ints("axes", 3, axes) : attr_of_ints("axes", 2, axes + 1));
    return OK;
}

/* ratio was an attribute; below version 10 the mask had the dtype of the data. */
Status legacy_dropout(Importer *im, Draft *x, const UpgradeRow *row)
{
    Build *b = x->build;

    (void)row;
    if (!has_inputs(x, 1)) return OK;
    draft_set_input(x, 1, build_scalar(b, DT_F32, draft_float(x, "ratio", 0.5)));
    draft_drop(x, "ratio");
    if (x->version >= 10 || !draft_wants(x, 1)) return OK;
    Node *n = build_op_node(b, NULL, "Dropout", 2, x->in, 2, 0, NULL);
    x->result = arena_try(im->scratch, (size_t)x->n_out, sizeof *x->result);
    if (!n || !x->result) return b->status != OK ? b->status : import_limits(im);
    Attr to = attr_of_int("to", dtype_onnx(draft_dtype(x)));
    x->result[0] = n->out[0];
    x->result[1] = build_op(b, "Cast", 1, &n->out[1], 1, &to);
    return b->status;
}

/* (x, how often, along which axis) */
Status legacy_tile(Importer *im, Draft *x, const UpgradeRow *row)
{
    const double *times, *axis;
    int64_t repeats[MAX_RANK];
    int n;

    (void)row;
    if (!has_inputs(x, 3)) return OK;
    int rank = known_rank(x->in[0]);
    if (rank == RANK_UNKNOWN || !const_doubles(x->in[1], im->arena, &times, &n) || n != 1 ||
        !const_doubles(x->in[2], im->arena, &axis, &n) || n != 1)
        return draft_unsupported(im, x, "tiles and axis that are not constant");
    if (!(axis[0] >= 0 && axis[0] < rank) || !(times[0] >= 0 && times[0] < 1e9))
        return bad_input(im, x, "tiles or axis out of range");
    for (int i = 0; i < rank; i++)
        repeats[i] = i == (int)axis[0] ? (int64_t)times[0] : 1;
    x->in[1] = build_i64(x->build, rank, repeats);
    x->n_in = 2;
    return OK;
}

/* ---- Scan of version 8: all inputs and outputs have a first dim, the batch ---- */

static Type without_first(Importer *im, const Type *t)
{
    Type inner = *t;

    (void)im;
    if (t->kind != TYPE_TENSOR || t->rank < 1) return inner;
    inner.rank--;
    inner.dim = t->dim + 1;
    return inner;
}

/* The first `length` elements, an i64 scalar, of v. */
static Value *first_elements(Build *b, Value *v, Value *length)
{
    Value *first = build_i64(b, 1, (int64_t[]){0});
    Value *in[4] = {v, first, build_op2(b, "Unsqueeze", length, first), first};

    return build_op(b, "Slice", 4, in, 0, NULL);
}

/* v, made of as many steps as `cut` has, with zeros behind it to those of `whole`. */
static Value *filled_up(Build *b, Value *v, Value *cut, Value *whole)
{
    Attr end = attr_of_int("end", 1), axis = attr_of_int("axis", 0);
    Value *zero = build_i64(b, 1, (int64_t[]){0}), *pads[2] = {zero},
          *in[4] = {v, NULL, NULL, zero};

    pads[1] = build_op2(b, "Sub", build_op(b, "Shape", 1, &whole, 1, &end),
                        build_op(b, "Shape", 1, &cut, 1, &end));
    in[1] = build_op(b, "Concat", 2, pads, 1, &axis);
    return build_op(b, "Pad", 4, in, 0, NULL);
}

/* The scan of one element of the batch, in the region of the scan over the batch. Where sequences
 * have lengths, its own is the first argument. */
static Status inner_scan(Importer *im, Draft *x, Node *outer)
{
    Region *r = node_add_region(outer);
    Build b = build_at(r, NULL, x->origin, im->diag);
    Draft inner = *x;
    Value **out = arena_try(im->scratch, (size_t)x->n_out, sizeof *out);
    Value **arg = arena_try(im->scratch, (size_t)outer->n_in, sizeof *arg);
    bool lengths = x->in[0] != NULL;
    int64_t states = x->n_in - 1 - draft_int(x, "num_scan_inputs", 0);

    inner.in = arena_try(im->scratch, (size_t)outer->n_in + DRAFT_INPUTS, sizeof *inner.in);
    if (!out || !arg || !inner.in) return import_limits(im);
    if (states < 0 || states >= x->n_in - 1) return bad_input(im, x, "num_scan_inputs");
    for (int i = 0; i < outer->n_in; i++)
        arg[i] = region_add_arg(r, outer->in[i]->name, without_first(im, &outer->in[i]->type));
    inner.n_in = x->n_in - 1;
    for (int i = 0; i < inner.n_in; i++)
        inner.in[i] =
            lengths && i >= states ? first_elements(&b, arg[1 + i], arg[0]) : arg[lengths + i];
    TRY(b.status);
    inner.version = 9;
    inner.build = &b;
    TRY(import_draft(im, r, &inner, out));
    for (int i = 0; i < x->n_out; i++) {
        if (out[i] && lengths && i >= states)
            out[i] = filled_up(&b, out[i], inner.in[states], arg[1 + states]);
        region_add_result(r, out[i] ? out[i] : im->poison);
    }
    return b.status;
}

Status legacy_scan(Importer *im, Draft *x, const UpgradeRow *row)
{
    const OpDef *op = op_find(NULL, "Scan");
    Build *b = x->build;

    (void)row;
    for (int i = 1; i < x->n_in; i++)
        if (!x->in[i]) return bad_input(im, x, "an input is left out");
    for (int i = 0; i < x->n_out; i++)
        if (!x->wanted[i]) return draft_unsupported(im, x, "outputs that are left out");
    if (!op || x->n_in < 2) return draft_unsupported(im, x, "no inputs");
    const Attr *directions = draft_attr(x, "directions");
    if (directions) {
        Attr renamed = *directions;
        renamed.name = "scan_input_directions";
        draft_drop(x, "directions");
        draft_set(x, renamed);
    }
    int from = x->in[0] ? 0 : 1; /* sequence_lens may be left out */
    Node *n =
        node_new(b->region, b->before, NODE_OP, x->n_in - from, x->in + from, x->n_out, x->origin);
    n->op = op;
    Attr *attr = ARENA_ARRAY(im->arena, Attr, 2);
    attr[0] = attr_of_int("num_scan_inputs", n->n_in);
    attr[1] = (Attr){.name = "body", .kind = ATTR_REGION, .i = 0};
    n->attr = attr;
    n->n_attr = 2;
    Status s = inner_scan(im, x, n);
    if (s == OK && region_poisoned(im, n->region[0])) s = draft_unsupported(im, x, "its body");
    Build before = build_at(b->region, n, x->origin, im->diag);
    Infer cx = {.module = im->module, .build = &before, .diag = im->diag};
    if (s == OK) s = op_infer(&cx, n);
    if (s != OK) node_unlink(n);
    x->result = n->out;
    return s;
}

/* ---- operators that were taken out ---- */

/* Affine: alpha x + beta. Scale: scale x. */
Status legacy_affine(Importer *im, Draft *x, const UpgradeRow *row)
{
    Build *b = x->build;
    DType t = draft_dtype(x);
    bool scale = strcmp(x->op, "Scale") == 0;

    (void)row;
    if (!has_inputs(x, 1)) return bad_input(im, x, "no input");
    Value *v = build_scalar(b, t, draft_float(x, scale ? "scale" : "alpha", 1));
    v = build_op2(b, "Mul", x->in[0], v);
    if (!scale) v = build_op2(b, "Add", v, build_scalar(b, t, draft_float(x, "beta", 0)));
    return draft_result(im, x, v);
}

/* alpha f(beta x), where f is the row's operator. */
Status legacy_scaled(Importer *im, Draft *x, const UpgradeRow *row)
{
    Build *b = x->build;
    DType t = draft_dtype(x);

    if (!has_inputs(x, 1)) return bad_input(im, x, "no input");
    Value *v = build_op2(b, "Mul", x->in[0], build_scalar(b, t, draft_float(x, "beta", row->f)));
    v = build_op1(b, row->name, v);
    v = build_op2(b, "Mul", v, build_scalar(b, t, draft_float(x, "alpha", row->f)));
    return draft_result(im, x, v);
}

/* scale x + bias[channel] */
Status legacy_image_scaler(Importer *im, Draft *x, const UpgradeRow *row)
{
    const Attr *bias = draft_attr(x, "bias");
    Build *b = x->build;
    DType t = draft_dtype(x);

    (void)row;
    if (!has_inputs(x, 1)) return bad_input(im, x, "no input");
    Value *v = build_op2(b, "Mul", x->in[0], build_scalar(b, t, draft_float(x, "scale", 1)));
    if (bias && bias->kind == ATTR_FLOATS) {
        int64_t dims[] = {bias->n, 1, 1};
        Tensor *c = tensor_new(im->arena, t, 3, dims);
        for (int i = 0; c && i < bias->n; i++)
            tensor_set_double(c, i, bias->floats[i]);
        v = build_op2(b, "Add", v, build_tensor(b, c));
    }
    return draft_result(im, x, v);
}

/* border = left, top, right, bottom are cut off dims 2 and 3; with scale = height, width the result
 * has that size. */
Status legacy_crop(Importer *im, Draft *x, const UpgradeRow *row)
{
    const Attr *border = draft_attr(x, "border"), *scale = draft_attr(x, "scale");
    int64_t starts[2], ends[2], axes[2] = {2, 3};

    (void)row;
    if (!has_inputs(x, 1) || !border || border->kind != ATTR_INTS || border->n != 4)
        return bad_input(im, x, "border must have four elements");
    for (int i = 0; i < 2; i++) {
        int64_t first = border->ints[1 - i], last = border->ints[3 - i];
        if (first < 0 || last < 0 || first > INT32_MAX || last > INT32_MAX)
            return bad_input(im, x, "border out of range");
        starts[i] = first;
        ends[i] = last == 0 ? INT64_MAX : -last;
        if (!scale || scale->kind != ATTR_INTS || scale->n != 2) continue;
        if (scale->ints[i] < 0 || scale->ints[i] > INT32_MAX)
            return bad_input(im, x, "scale out of range");
        ends[i] = first + scale->ints[i];
    }
    Build *b = x->build;
    Value *in[4] = {x->in[0], build_i64(b, 2, starts), build_i64(b, 2, ends),
                    build_i64(b, 2, axes)};
    return draft_result(im, x, build_op(b, "Slice", 4, in, 0, NULL));
}

/* `value` everywhere, in the dims of: the attribute shape, the elements of the input
 * (input_as_shape), or the input. */
Status legacy_fill(Importer *im, Draft *x, const UpgradeRow *row)
{
    const Attr *shape = draft_attr(x, "shape"), *extra = draft_attr(x, "extra_shape");
    DType t = dtype_from_onnx((int)draft_int(x, "dtype", 1));
    int64_t one = 1;
    Build *b = x->build;
    Value *dims;

    (void)row;
    if (t == DT_NONE || t == DT_STRING) return bad_input(im, x, "a dtype that is not known");
    if (shape && shape->kind == ATTR_INTS)
        dims = build_i64(b, shape->n, shape->ints);
    else if (!has_inputs(x, 1))
        return bad_input(im, x, "neither a shape nor an input");
    else if (draft_int(x, "input_as_shape", 0))
        dims = x->in[0];
    else
        dims = build_op1(b, "Shape", x->in[0]);
    if (extra && extra->kind == ATTR_INTS && extra->n > 0) {
        Value *both[2] = {dims, build_i64(b, extra->n, extra->ints)};
        Attr axis = attr_of_int("axis", 0);
        dims = build_op(b, "Concat", 2, both, 1, &axis);
    }
    Tensor *v = tensor_new(im->arena, t, 1, &one);
    if (!v) return import_limits(im);
    tensor_set_double(v, 0, draft_float(x, "value", 0));
    Attr value = {.name = "value", .kind = ATTR_TENSOR, .tensor = v};
    return draft_result(im, x, build_op(b, "ConstantOfShape", 1, &dims, 1, &value));
}

/* A constant: values in the dims `shape`. */
Status legacy_given(Importer *im, Draft *x, const UpgradeRow *row)
{
    const Attr *shape = draft_attr(x, "shape"), *values = draft_attr(x, "values");

    (void)row;
    if (!values || values->kind != ATTR_FLOATS) return bad_input(im, x, "no values");
    int64_t flat = values->n;
    bool shaped = shape && shape->kind == ATTR_INTS;
    int64_t count;
    size_t bytes;
    if (shaped && (!tensor_size(DT_F32, shape->n, shape->ints, &count, &bytes) || count != flat))
        return bad_input(im, x, "the values do not fill the shape");
    Tensor *t = shaped ? tensor_new(im->arena, DT_F32, shape->n, shape->ints)
                       : tensor_new(im->arena, DT_F32, 1, &flat);
    if (!t) return import_limits(im);
    for (int i = 0; i < values->n; i++)
        tensor_set_double(t, i, values->floats[i]);
    return draft_result(im, x, build_tensor(x->build, t));
}
