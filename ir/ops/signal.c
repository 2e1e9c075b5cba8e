/* signal.c: DFT, STFT, windows and MelWeightMatrix.
 *
 * A transform of a known length is a fast one where the length falls into small factors (fft.c),
 * else a product with a matrix of cosines and sines, made here in double from angles reduced modulo
 * the length. Of a length that only the run knows, they are computed at each term. */
#include <math.h>
#include <string.h>

#include "ir/mathd.h"
#include "ir/ops/compose.h"
#include "ir/ops/dot.h"
#include "ir/ops/fft.h"
#include "ir/ops/ops_common.h"

#define PI 3.14159265358979323846
enum { LENGTH_MAX = 1 << 20, TABLE_MAX = 1 << 24 };

/* ---- DFT: [..., n, ..., 1 or 2] along `axis`; real results where a one-sided one is inverted ----
 */

/* Whether a dim can count the parts of numbers: 1 or 2. */
static bool may_be_parts(Dim d)
{
    return d->lo <= 2 && d->hi >= 1;
}

typedef struct Dft {
    int axis, rank;
    bool inverse, onesided, complex_in, complex_out;
    Dim symbol; /* the axis, where only the run knows it; then `axis` is -1 */
    Dim n;      /* points of the transform */
    Dim have;   /* of the input along the axis */
    Dim out;
} Dft;

static Status dft_axis(Infer *cx, Node *n, int rank, Dft *f)
{
    AxisList axes;

    if (rank < 2) return op_error(n, cx->diag, "input", "DFT: rank below 2");
    f->axis = rank - 2;
    if (!has_in(n, 2)) return OK;
    TRY(infer_axes(cx, n, 2, rank, 0, &axes));
    if (axes.n != 1) return op_error(n, cx->diag, "axis", "DFT: %d axes, expected 1", axes.n);
    f->axis = axes.known ? axes.axis[0] : -1;
    f->symbol = axes.known ? NULL : axes.dim[0];
    if (f->axis == rank - 1)
        return op_error(n, cx->diag, "axis", "DFT: the last axis holds the parts of numbers");
    return OK;
}

/* The extent along the axis. */
static Dim dft_extent(Infer *cx, const Dft *f, const Type *x)
{
    SxTable *t = &cx->module->sx;
    const Sx *e;

    if (f->axis >= 0) return x->dim[f->axis];
    e = sx_dim(t, x->dim[0]);
    for (int i = 1; i < f->rank - 1; i++)
        e = sx_select(t, sx_names_axis(cx->build, f->symbol, i, f->rank), sx_dim(t, x->dim[i]), e);
    return dim_of_sx(cx->build, 0, NULL, e, 0, LENGTH_MAX);
}

/* x, or y on the axis of the transform. */
static Dim dft_choose(Infer *cx, const Dft *f, int i, Dim x, Dim y)
{
    SxTable *t = &cx->module->sx;

    if (f->axis >= 0 || x == y || i == f->rank - 1) return i == f->axis ? y : x;
    if (y == f->have) return x; /* as long as it was, whichever it is */
    return dim_of_sx(
        cx->build, 0, NULL,
        sx_select(t, sx_names_axis(cx->build, f->symbol, i, f->rank), sx_dim(t, y), sx_dim(t, x)),
        0, x->hi > y->hi ? x->hi : y->hi);
}

static Status dft_read(Infer *cx, Node *n, Dft *f)
{
    DimTable *t = &cx->module->dims;
    const Type *x = in_type(n, 0);
    const Dim *length;
    int count;

    TRY(infer_ranked(cx, n, 0));
    memset(f, 0, sizeof *f);
    f->rank = x->rank;
    TRY(dft_axis(cx, n, x->rank, f));
    f->inverse = attr_int(n, "inverse", 0) != 0;
    f->onesided = attr_int(n, "onesided", 0) != 0;
    if (!may_be_parts(x->dim[f->rank - 1]))
        return op_error(n, cx->diag, "input", "DFT: the last dim must be 1 or 2");
    f->complex_in = !dim_is(x->dim[f->rank - 1], 1);
    f->complex_out = !(f->inverse && f->onesided);
    f->have = dft_extent(cx, f, x);
    TRY(infer_elements(cx, n, 1, 1, LENGTH_MAX, &length, &count));
    if (length && count != 1) return op_error(n, cx->diag, "dft_length", "DFT: one number");
    f->n = length ? length[0] : f->have;
    if (!length && f->inverse && f->onesided) f->n = dim_mul_c(t, dim_add_c(t, f->have, -1), 2);
    f->out = f->n;
    if (f->onesided && !f->inverse) f->out = dim_add_c(t, dim_div(t, f->n, dim_const(t, 2)), 1);
    if (dim_is_const(f->n) && (f->n->value < 1 || f->n->value > LENGTH_MAX))
        return op_error(n, cx->diag, "dft_length", "DFT: a length of %lld", (long long)f->n->value);
    return OK;
}

static Status infer_dft(Infer *cx, Node *n)
{
    Dim dims[MAX_RANK];
    Dft f;

    TRY(dft_read(cx, n, &f));
    for (int i = 0; i < f.rank; i++)
        dims[i] = dft_choose(cx, &f, i, in_type(n, 0)->dim[i], f.out);
    dims[f.rank - 1] = dim_const(&cx->module->dims, f.complex_out ? 2 : 1);
    infer_out(cx, n, 0, in_type(n, 0)->dtype, f.rank, dims);
    return OK;
}

/* One line of a transform: x has `have` numbers, of which `most` count; step between them. */
typedef struct Line {
    const Tensor *x;
    int64_t at, step, have, n;
    int parts;
    bool inverse, onesided; /* of an inverse: the other half is conjugate */
} Line;

static void line_number(const Line *l, int64_t i, double *re, double *im)
{
    bool mirrored = l->inverse && l->onesided && i > l->n / 2;
    int64_t k = mirrored ? l->n - i : i;

    *re = *im = 0;
    if (k >= l->have) return;
    *re = tensor_double(l->x, l->at + k * l->step);
    if (l->parts == 2) *im = tensor_double(l->x, l->at + k * l->step + 1);
    if (mirrored) *im = -*im;
    if (l->inverse && l->onesided && (k == 0 || 2 * k == l->n)) *im = 0;
}

static void line_sum(const Line *l, int64_t k, double *re, double *im)
{
    *re = *im = 0;
    for (int64_t i = 0; i < l->n; i++) {
        double a, b, c, s;
        line_number(l, i, &a, &b);
        fft_turn(i * k, l->n, &c, &s);
        if (!l->inverse) s = -s;
        *re += a * c - b * s;
        *im += a * s + b * c;
    }
    if (l->inverse) {
        *re /= (double)l->n;
        *im /= (double)l->n;
    }
}

static Status eval_dft(Eval *cx, const Node *n, const Tensor *const *in, Tensor **out)
{
    const Tensor *x = in[0];
    int rank = x->rank, axis = rank - 2;
    int64_t dims[MAX_RANK], outer = 1, inner = 1, e = 0, count;
    bool onesided = attr_int(n, "onesided", 0) != 0, inverse = attr_int(n, "inverse", 0) != 0;
    Line l = {.x = x, .inverse = inverse, .onesided = onesided};

    if (n->n_in > 2 && in[2])
        TRY(infer_axis(n, cx->diag, "axis", tensor_int(in[2], 0), rank, &axis));
    if (rank < 2 || axis == rank - 1 || x->dim[rank - 1] < 1 || x->dim[rank - 1] > 2)
        return op_error(n, cx->diag, "axis", "DFT: the last dim must be 1 or 2");
    l.parts = (int)x->dim[rank - 1];
    l.have = x->dim[axis];
    l.n = n->n_in > 1 && in[1]  ? tensor_int(in[1], 0)
          : inverse && onesided ? 2 * (l.have - 1)
                                : l.have;
    if (l.n < 1 || l.n > LENGTH_MAX)
        return op_error(n, cx->diag, "dft_length", "DFT: a length of %lld", (long long)l.n);
    count = onesided && !inverse ? l.n / 2 + 1 : l.n;
    for (int i = 0; i < rank; i++) {
        dims[i] = i == axis ? count : x->dim[i];
        if (i < axis) outer *= x->dim[i];
        if (i > axis) inner *= x->dim[i];
    }
    dims[rank - 1] = onesided && inverse ? 1 : 2;
    l.step = inner;
    TRY(eval_out(cx, n, &out[0], x->dtype, rank, dims));
    for (int64_t o = 0; o < outer; o++)
        for (int64_t k = 0; k < count; k++)
            for (int64_t c = 0; c < inner; c += l.parts) {
                double re, im;
                l.at = o * l.have * inner + c;
                line_sum(&l, k, &re, &im);
                tensor_set_double(out[0], e++, re);
                if (dims[rank - 1] == 2) tensor_set_double(out[0], e++, im);
            }
    return OK;
}

/* cos and sin of 2 pi i k / n, as expressions: from tables in operands first and first + 1. */
typedef struct Angle {
    const Sx *c, *s;
    Value *tables[2];
    int n_tables;
} Angle;

static Angle angle_of(Build *b, const Sx *i, const Sx *k, Dim n, DType d, int first)
{
    SxTable *t = b->sx;
    const Sx *turns = sx_rem(t, sx_mul(t, i, k), sx_dim(t, n)), *x;
    Angle a = {NULL};

    if (!dim_is_const(n)) {
        x = sx_div(t, sx_cast(t, turns, DT_F64), sx_cast(t, sx_dim(t, n), DT_F64));
        x = sx_mul(t, x, sx_const(t, DT_F64, 2 * PI));
        a.c = sx_cast(t, sx_op1(t, SX_COS, x), d);
        a.s = sx_cast(t, sx_op1(t, SX_SIN, x), d);
        return a;
    }
    a.n_tables = 2;
    for (int p = 0; p < 2; p++) {
        Tensor *v = tensor_new(b->module->arena, d, 1, &n->value);
        for (int64_t j = 0; v && j < n->value; j++) {
            double c, s;
            fft_turn(j, n->value, &c, &s);
            tensor_set_double(v, j, p ? s : c);
        }
        a.tables[p] = build_tensor(b, v);
    }
    a.c = sx_load(t, d, first, 1, &turns, NULL);
    a.s = sx_load(t, d, first + 1, 1, &turns, NULL);
    return a;
}

/* Matrix of a transform: [numbers in][parts in] -> [numbers out][parts out], so that the transform
 * is a plain contraction. NULL when it would be too large. */
static Value *dft_matrix(Build *b, const Dft *f, int64_t have, DType d)
{
    int64_t n = f->n->value, out = f->out->value;
    int64_t dims[4] = {have, f->complex_in ? 2 : 1, out, f->complex_out ? 2 : 1};
    Tensor *m;

    if (have * out > TABLE_MAX / 4) return NULL;
    m = tensor_new(b->module->arena, d, 4, dims);
    for (int64_t i = 0; m && i < have; i++)
        for (int64_t k = 0; k < out; k++) {
            int64_t at = (i * dims[1] * out + k) * dims[3], low = out * dims[3];
            double c, s, w = f->inverse ? 1 / (double)n : 1;
            bool pair = f->inverse && f->onesided && i != 0 && 2 * i != n;
            if (i >= n || (f->inverse && f->onesided && i > n / 2)) continue;
            fft_turn(i * k, n, &c, &s);
            if (!f->inverse) s = -s;
            if (pair) w *= 2; /* with its conjugate */
            bool real = f->inverse && f->onesided && !pair;
            tensor_set_double(m, at, w * c);
            if (f->complex_out) tensor_set_double(m, at + 1, w * s);
            if (!f->complex_in) continue;
            tensor_set_double(m, at + low, real ? 0 : -w * s);
            if (f->complex_out) tensor_set_double(m, at + low + 1, w * c);
        }
    return build_tensor(b, m);
}

/* The contraction with the matrix. x and its element are operand 0 at idx. */
static Value *dft_known(Build *b, const Dft *f, Value *x, Value *matrix, const Type *to)
{
    SxTable *t = b->sx;
    const Sx *idx[MAX_RANK], *at[4];
    Dim reduce[2] = {matrix->type.dim[0], matrix->type.dim[1]};
    int last = f->rank - 1;

    for (int i = 0; i < f->rank; i++)
        idx[i] = sx_index(t, i);
    at[2] = idx[f->axis];
    at[3] = idx[last];
    idx[f->axis] = at[0] = sx_index(t, f->rank);
    idx[last] = at[1] = sx_index(t, f->rank + 1);
    Dot d = {.label = "dft",
             .n_in = 2,
             .in = (Value *[]){x, matrix},
             .rank = f->rank,
             .n_reduce = 2,
             .dims = to->dim,
             .reduce = reduce,
             .a = sx_at(b, 0, x, idx),
             .b = sx_at(b, 1, matrix, at),
             .out = to->dtype};
    return build_dot(b, &d);
}

/* Lengths or an axis that only the run knows: terms computed one by one. */
static Status dft_open(Build *b, const Node *n, const Dft *f, Value **out)
{
    SxTable *t = b->sx;
    const Type *to = &n->out[0]->type;
    DType d = compute_dtype(to->dtype);
    const Sx *idx[MAX_RANK], *i = sx_index(t, f->rank), *k = sx_index(t, 0), *re, *im = NULL;
    const Sx *part = sx_index(t, f->rank - 1), *body, *value, *two, *edge = NULL;
    const Sx *zero = sx_const(t, d, 0);
    int last = f->rank - 1;
    bool real_out = f->inverse && f->onesided;
    Dim most = f->n, reduce;

    if (real_out) most = dim_add_c(b->dims, dim_div(b->dims, f->n, dim_const(b->dims, 2)), 1);
    reduce = dim_min(b->dims, most, f->have);
    for (int j = 0; j < last; j++) {
        const Sx *here = f->axis < 0 ? sx_names_axis(b, f->symbol, j, f->rank) : NULL;
        idx[j] = j == f->axis ? i : sx_index(t, j);
        if (here) idx[j] = sx_select(t, here, i, idx[j]);
        if (here && j > 0) k = sx_select(t, here, sx_index(t, j), k);
        if (j == f->axis) k = sx_index(t, j);
    }
    Angle a = angle_of(b, i, k, f->n, d, 1);
    Value *in[3] = {n->in[0], a.tables[0], a.tables[1]};
    idx[last] = sx_i64(b, 0);
    re = sx_cast(t, sx_at(b, 0, in[0], idx), d);
    idx[last] = sx_i64(b, 1);
    if (f->complex_in) im = sx_cast(t, sx_at(b, 0, in[0], idx), d);
    if (!f->inverse) a.s = sx_neg(t, a.s);
    if (real_out) { /* all but the first and the middle stand for a conjugate too */
        edge = sx_or(t, sx_eq(t, i, sx_i64(b, 0)),
                     sx_eq(t, sx_mul(t, i, sx_i64(b, 2)), sx_dim(t, f->n)));
        if (im) im = sx_select(t, edge, zero, im);
    }
    const Sx *real = sx_mul(t, re, a.c), *imaginary = sx_mul(t, re, a.s);
    if (im) real = sx_sub(t, real, sx_mul(t, im, a.s));
    if (im) imaginary = sx_add(t, imaginary, sx_mul(t, im, a.c));
    two = sx_mul(t, real, sx_const(t, d, 2));
    body = real_out ? sx_select(t, edge, real, two)
                    : sx_select(t, sx_eq(t, part, sx_i64(b, 0)), real, imaginary);
    Acc acc = {.monoid = MONOID_SUM, .dtype = d, .body = body};
    value = sx_acc(t, 0, d);
    if (f->inverse) value = sx_div(t, value, sx_cast(t, sx_dim(t, f->n), d));
    out[0] = build_reduce(b, "dft", 1 + a.n_tables, in, f->rank, to->dim, 1, &reduce, ORDER_CHAIN,
                          acc, to->dtype, sx_cast(t, value, to->dtype));
    return b->status;
}

/* Elements of the matrix of a transform. */
static int64_t dft_size(const Dft *f)
{
    return 2 * f->out->value * f->have->value * (f->complex_in ? 2 : 1);
}

/* [outer, have, inner, parts] of x. */
static void dft_flat(Build *b, const Dft *f, const Value *x, Dim *flat)
{
    flat[0] = flat[2] = dim_const(b->dims, 1);
    flat[1] = f->have;
    flat[3] = x->type.dim[f->rank - 1];
    for (int i = 0; i < f->rank - 1; i++)
        if (i != f->axis)
            flat[i < f->axis ? 0 : 2] = dim_mul(b->dims, flat[i < f->axis ? 0 : 2], x->type.dim[i]);
}

/* The parts of fast transforms, as far as they are wanted, side by side. */
static Value *dft_fast(Build *b, const Dft *f, Value *x, const Dim *flat, const Type *to)
{
    SxTable *t = b->sx;
    DType d = compute_dtype(to->dtype);
    Dim dims[4];
    const Sx *idx[3] = {sx_index(t, 0), sx_index(t, 1), sx_index(t, 2)}, *v;
    Value *part[2] = {NULL, NULL};

    build_fft(b, make_reshape(b, x, 4, flat), f->n->value, f->inverse, d, part);
    if (b->status != OK) return NULL;
    dims[0] = flat[0];
    dims[1] = f->out;
    dims[2] = flat[2];
    dims[3] = dim_const(b->dims, 2);
    v = sx_select(t, sx_eq(t, sx_index(t, 3), sx_i64(b, 0)), sx_at(b, 0, part[0], idx),
                  sx_at(b, 1, part[1], idx));
    if (f->inverse) v = sx_mul(t, v, sx_const(t, d, 1 / (double)f->n->value));
    x = build_map(b, "parts", 2, part, to->dtype, 4, dims, sx_cast(t, v, to->dtype));
    return make_reshape(b, x, f->rank, to->dim);
}

/* The transform along this axis, or the one behind it that the run names. */
static Value *dft_by_axis(Build *b, const Node *n, const Dft *f, int axis)
{
    Value *in[3] = {n->in[0], n->in[1], build_scalar(b, DT_I64, axis)};
    Value *here, *one;
    Node *choice;

    if (axis == f->rank - 2) return build_op(b, "DFT", 3, in, n->n_attr, n->attr);
    here =
        build_map(b, "axis", 0, NULL, DT_BOOL, 0, NULL, sx_names_axis(b, f->symbol, axis, f->rank));
    if (!here) return NULL;
    choice = node_new(b->region, b->before, NODE_IF, 1, &here, 1, b->origin);
    choice->op = op_find(NULL, "If");
    choice->out[0]->type = n->out[0]->type;
    for (int i = 0; i < 2; i++) {
        Build inner = build_at(node_add_region(choice), NULL, b->origin, b->diag);
        one = i ? dft_by_axis(&inner, n, f, axis + 1)
                : build_op(&inner, "DFT", 3, in, n->n_attr, n->attr);
        if (!one) {
            build_fail(b, inner.status);
            return NULL;
        }
        region_add_result(inner.region, one);
    }
    return choice->out[0];
}

/* Whether the dims of the result are the same for each axis. */
static bool dft_any_axis(const Dft *f, const Node *n)
{
    const Type *x = in_type(n, 0), *y = &n->out[0]->type;

    for (int i = 0; i < f->rank - 1; i++)
        if (x->dim[i] != y->dim[i]) return false;
    return f->complex_out && !f->onesided;
}

/* x, whose last dim is 1 or 2 as only the run knows, with 2: the second part is 0 where there is
 * none. */
static Value *both_parts(Build *b, Value *x)
{
    SxTable *t = b->sx;
    int rank = x->type.rank;
    Dim dims[MAX_RANK], parts = x->type.dim[rank - 1];
    const Sx *idx[MAX_RANK], *there;

    memcpy(dims, x->type.dim, sizeof(Dim) * (size_t)rank);
    dims[rank - 1] = dim_const(b->dims, 2);
    build_require_equal(
        b, parts, dim_min(b->dims, dim_max(b->dims, parts, dim_const(b->dims, 1)), dims[rank - 1]));
    for (int i = 0; i < rank; i++)
        idx[i] = sx_index(t, i);
    there = sx_lt(t, idx[rank - 1], sx_dim(t, parts));
    return build_map(b, "parts", 1, &x, x->type.dtype, rank, dims,
                     sx_at_guarded(b, 0, x, idx, there));
}

static Status lower_dft(Build *b, const Node *n, Value **out)
{
    Infer cx = {.module = b->module, .build = b, .diag = b->diag};
    const Type *to = &n->out[0]->type;
    DType d = compute_dtype(to->dtype);
    Value *matrix = NULL;
    Dft f;

    TRY(dft_read(&cx, (Node *)(uintptr_t)n, &f));
    if (!dim_is_const(in_type(n, 0)->dim[f.rank - 1])) {
        Value *in[3] = {both_parts(b, n->in[0]), has_in(n, 1) ? n->in[1] : NULL,
                        has_in(n, 2) ? n->in[2] : NULL};
        out[0] = make_reshape(b, build_op(b, "DFT", 3, in, n->n_attr, n->attr), f.rank, to->dim);
        return b->status;
    }
    if (f.axis < 0 && dft_any_axis(&f, n)) {
        out[0] = dft_by_axis(b, n, &f, 0);
        return b->status;
    }
    if (f.axis >= 0 && dim_is_const(f.n) && dim_is_const(f.have) && f.complex_out) {
        Dim flat[4];
        dft_flat(b, &f, n->in[0], flat);
        if (fft_suits(f.n->value, dft_size(&f), flat[2])) {
            out[0] = dft_fast(b, &f, n->in[0], flat, to);
            return b->status;
        }
    }
    if (dim_is_const(f.n) && dim_is_const(f.have)) matrix = dft_matrix(b, &f, f.have->value, d);
    if (!matrix) return dft_open(b, n, &f, out);
    out[0] = dft_known(b, &f, n->in[0], matrix, to);
    return b->status;
}

/* ---- STFT: frames of the signal, windowed, transformed ---- */

typedef struct Stft {
    Dim step, length, frames, bins, parts;
    bool onesided;
} Stft;

static Status stft_read(Infer *cx, Node *n, Stft *f)
{
    DimTable *t = &cx->module->dims;
    const Type *x = in_type(n, 0);
    const Dim *step, *length;
    int n_step, n_length;

    TRY(infer_ranked(cx, n, 0));
    if (x->rank != 2 && x->rank != 3)
        return op_error(n, cx->diag, "signal", "STFT: rank %d, expected 3", x->rank);
    memset(f, 0, sizeof *f);
    if (x->rank == 3 && !may_be_parts(x->dim[2]))
        return op_error(n, cx->diag, "signal", "STFT: the last dim must be 1 or 2");
    f->parts = x->rank == 3 ? x->dim[2] : dim_const(t, 1);
    f->onesided = attr_int(n, "onesided", 1) != 0;
    TRY(infer_elements(cx, n, 1, 1, DIM_TOP, &step, &n_step));
    TRY(infer_elements(cx, n, 3, 1, LENGTH_MAX, &length, &n_length));
    if (n_step != 1 || n_length > 1) return op_error(n, cx->diag, "frame_step", "STFT: one number");
    if (has_in(n, 2) && in_type(n, 2)->rank != 1)
        return op_error(n, cx->diag, "window", "STFT: a window has rank 1");
    f->step = step[0];
    f->length = n_length ? length[0] : has_in(n, 2) ? in_type(n, 2)->dim[0] : x->dim[1];
    f->frames = dim_add_c(t, dim_div(t, dim_sub(t, x->dim[1], f->length), f->step), 1);
    f->bins = f->onesided ? dim_add_c(t, dim_div(t, f->length, dim_const(t, 2)), 1) : f->length;
    if (dim_is(f->step, 0) || (dim_is_const(f->length) && f->length->value > LENGTH_MAX) ||
        dim_lt(t, x->dim[1], f->length))
        return op_error(n, cx->diag, "frame_length", "STFT: no frame fits");
    return OK;
}

static Status infer_stft(Infer *cx, Node *n)
{
    Stft f;

    TRY(stft_read(cx, n, &f));
    infer_out(cx, n, 0, in_type(n, 0)->dtype, 4,
              (Dim[]){in_type(n, 0)->dim[0], f.frames, f.bins, dim_const(&cx->module->dims, 2)});
    return OK;
}

static Status lower_stft(Build *b, const Node *n, Value **out)
{
    SxTable *t = b->sx;
    Infer cx = {.module = b->module, .build = b, .diag = b->diag};
    const Type *x = in_type(n, 0);
    Dim dims[4];
    const Sx *idx[3], *e;
    Value *in[2] = {n->in[0], has_in(n, 2) ? n->in[2] : NULL}, *frames, *length;
    Attr sided;
    Stft f;

    TRY(stft_read(&cx, (Node *)(uintptr_t)n, &f));
    dims[0] = x->dim[0];
    dims[1] = f.frames;
    dims[2] = f.length;
    dims[3] = f.parts;
    idx[0] = sx_index(t, 0);
    idx[1] = sx_add(t, sx_mul(t, sx_index(t, 1), sx_dim(t, f.step)), sx_index(t, 2));
    idx[2] = sx_index(t, 3);
    e = sx_compute(b, sx_at(b, 0, n->in[0], idx));
    if (in[1]) {
        const Sx *at = sx_index(t, 2);
        build_require_equal(b, in[1]->type.dim[0], f.length);
        e = sx_mul(t, e, sx_compute(b, sx_at(b, 1, in[1], &at)));
    }
    frames = build_map(b, "frames", in[1] ? 2 : 1, in, x->dtype, 4, dims, sx_cast(t, e, x->dtype));
    length = build_dims(b, -1, &f.length);
    sided = attr_of_int("onesided", f.onesided);
    out[0] = build_op(b, "DFT", 2, (Value *[]){frames, length}, 1, &sided);
    return b->status;
}

/* ---- windows ---- */

static Status infer_window(Infer *cx, Node *n)
{
    const Dim *size;
    int count;
    DType type = dtype_from_onnx((int)attr_int(n, "output_datatype", 1));

    TRY(infer_elements(cx, n, 0, 0, DIM_TOP, &size, &count));
    if (count != 1) return op_error(n, cx->diag, "size", "%s: one size", n->op->name);
    if (!(T_NUMBER & DT_BIT(type)))
        return op_error(n, cx->diag, "output_datatype", "%s: not a number", n->op->name);
    infer_out(cx, n, 0, type, 1, size);
    return OK;
}

/* a0 - a1 cos(x) + a2 cos(2x) */
static const double *window_terms(const Node *n)
{
    static const double hann[3] = {0.5, 0.5, 0}, blackman[3] = {0.42, 0.5, 0.08};
    static const double hamming[3] = {25.0 / 46, 1 - 25.0 / 46, 0};

    return n->op->name[0] == 'B' ? blackman : n->op->name[2] == 'm' ? hamming : hann;
}

static Status eval_window(Eval *cx, const Node *n, const Tensor *const *in, Tensor **out)
{
    int64_t size = tensor_int(in[0], 0);
    double over = (double)size - (attr_int(n, "periodic", 1) ? 0 : 1);
    const double *a = window_terms(n);

    TRY(eval_out(cx, n, &out[0], dtype_from_onnx((int)attr_int(n, "output_datatype", 1)), 1,
                 &size));
    for (int64_t i = 0; i < size; i++) {
        double x = over > 0 ? 2 * PI * (double)i / over : 0;
        double v = a[0] - a[1] * mathd_cos(x) + a[2] * mathd_cos(2 * x);
        tensor_set_double(out[0], i, over > 0 ? v : 1);
    }
    return OK;
}

static Status lower_window(Build *b, const Node *n, Value **out)
{
    SxTable *t = b->sx;
    const Type *to = &n->out[0]->type;
    const double *a = window_terms(n);
    const Sx *over = sx_cast(t, sx_dim(t, to->dim[0]), DT_F64), *x, *v, *zero;
#define C(v) sx_const(t, DT_F64, v)
    if (!attr_int(n, "periodic", 1)) over = sx_sub(t, over, C(1));
    zero = sx_lt(t, C(0), over);
    x = sx_div(t, sx_mul(t, C(2 * PI), sx_cast(t, sx_index(t, 0), DT_F64)), over);
    v = sx_sub(t, C(a[0]), sx_mul(t, C(a[1]), sx_op1(t, SX_COS, x)));
    v = sx_add(t, v, sx_mul(t, C(a[2]), sx_op1(t, SX_COS, sx_mul(t, C(2), x))));
    v = sx_select(t, zero, v, C(1));
#undef C
    out[0] = build_map(b, "window", 0, NULL, to->dtype, 1, to->dim, sx_cast(t, v, to->dtype));
    return b->status;
}

/* ---- MelWeightMatrix: triangles over the bins of a spectrum ---- */

typedef struct Mel {
    int64_t bands, bins, length, rate;
    double low, high;
} Mel;

static double mel_of(double hertz)
{
    return 2595 * mathd_log(1 + hertz / 700) / mathd_log(10);
}

static int64_t mel_point(const Mel *m, int64_t k)
{
    double low = mel_of(m->low), step = (mel_of(m->high) - low) / (double)(m->bands + 2);
    double hertz = 700 * (mathd_pow(10, (low + (double)k * step) / 2595) - 1);

    return (int64_t)mathd_floor((double)(m->length + 1) * hertz / (double)m->rate);
}

static double mel_weight(int64_t bin, int64_t low, int64_t centre, int64_t high)
{
    if (centre == low ? bin == centre && high <= centre
                      : bin >= low && bin <= centre && !(bin == centre && high > centre))
        return centre == low ? 1 : (double)(bin - low) / (double)(centre - low);
    if (bin >= centre && bin < high) return (double)(high - bin) / (double)(high - centre);
    return 0;
}

static Status mel_fill(const Node *n, Diag *d, const Mel *m, Tensor *t)
{
    for (int64_t k = 0; k < m->bands; k++) {
        int64_t low = mel_point(m, k), centre = mel_point(m, k + 1), high = mel_point(m, k + 2);
        if (low < 0 || centre >= m->bins || high > m->bins)
            return op_error(n, d, "upper_edge_hertz", "MelWeightMatrix: beyond the spectrum");
        for (int64_t i = 0; i < m->bins; i++)
            tensor_set_double(t, i * m->bands + k, mel_weight(i, low, centre, high));
    }
    return OK;
}

static Status mel_check(const Node *n, Diag *d, Mel *m)
{
    if (m->bands < 1 || m->length < 1 || m->rate < 1 || m->bands > 1 << 16 || m->length > 1 << 24 ||
        m->bands * (m->length / 2 + 1) > 1 << 26 || !(m->low >= 0) || !(m->high >= m->low))
        return op_error(n, d, NULL, "MelWeightMatrix: impossible sizes or frequencies");
    m->bins = m->length / 2 + 1;
    return OK;
}

static Status eval_mel(Eval *cx, const Node *n, const Tensor *const *in, Tensor **out)
{
    Mel m = {.bands = tensor_int(in[0], 0),
             .length = tensor_int(in[1], 0),
             .rate = tensor_int(in[2], 0),
             .low = tensor_double(in[3], 0),
             .high = tensor_double(in[4], 0)};

    TRY(mel_check(n, cx->diag, &m));
    TRY(eval_out(cx, n, &out[0], dtype_from_onnx((int)attr_int(n, "output_datatype", 1)), 2,
                 (int64_t[]){m.bins, m.bands}));
    return mel_fill(n, cx->diag, &m, out[0]);
}

static Status infer_mel(Infer *cx, Node *n)
{
    DimTable *t = &cx->module->dims;
    const Dim *bands, *length;
    int one, other;
    DType type = dtype_from_onnx((int)attr_int(n, "output_datatype", 1));
    Dim dims[2];

    TRY(infer_elements(cx, n, 0, 1, 1 << 16, &bands, &one));
    TRY(infer_elements(cx, n, 1, 1, 1 << 24, &length, &other));
    if (!(T_NUMBER & DT_BIT(type)))
        return op_error(n, cx->diag, "output_datatype", "MelWeightMatrix: no type of numbers");
    dims[0] = dim_add_c(t, dim_div(t, length[0], dim_const(t, 2)), 1);
    dims[1] = bands[0];
    infer_out(cx, n, 0, type, 2, dims);
    return OK;
}

/* Point number k of the edges, as an expression. */
static const Sx *mel_point_sx(Build *b, const Node *n, const Sx *k, const Sx *const *v)
{
    SxTable *t = b->sx;
#define C(x) sx_const(t, DT_F64, x)
    const Sx *mel[2], *step, *hertz;

    (void)n;
    for (int i = 0; i < 2; i++)
        mel[i] = sx_mul(t, sx_op1(t, SX_LOG, sx_add(t, C(1), sx_div(t, v[3 + i], C(700)))),
                        C(2595 / mathd_log(10)));
    step = sx_div(t, sx_sub(t, mel[1], mel[0]), sx_add(t, v[0], C(2)));
    hertz = sx_add(t, mel[0], sx_mul(t, sx_cast(t, k, DT_F64), step));
    hertz = sx_mul(t, C(700), sx_sub(t, sx_pow(t, C(10), sx_div(t, hertz, C(2595))), C(1)));
    return sx_floor(t, sx_div(t, sx_mul(t, sx_add(t, v[1], C(1)), hertz), v[2]));
#undef C
}

static Status lower_mel(Build *b, const Node *n, Value **out)
{
    SxTable *t = b->sx;
    const Type *to = &n->out[0]->type;
    const Sx *v[5], *bin = sx_cast(t, sx_index(t, 0), DT_F64), *p[3], *up, *down, *e;
    const Sx *zero = sx_const(t, DT_F64, 0), *one = sx_const(t, DT_F64, 1);

    for (int k = 0; k < 5; k++)
        v[k] = sx_cast(t, sx_scalar(b, k, n->in[k]), DT_F64);
    for (int k = 0; k < 3; k++)
        p[k] = mel_point_sx(b, n, sx_add(t, sx_index(t, 1), sx_i64(b, k)), v);
    up = sx_div(t, sx_sub(t, bin, p[0]), sx_sub(t, p[1], p[0]));
    up = sx_select(t, sx_eq(t, p[0], p[1]), one, up);
    up = sx_select(t, sx_and(t, sx_le(t, p[0], bin), sx_le(t, bin, p[1])), up, zero);
    down = sx_div(t, sx_sub(t, p[2], bin), sx_sub(t, p[2], p[1]));
    e = sx_select(t, sx_and(t, sx_le(t, p[1], bin), sx_lt(t, bin, p[2])), down, up);
    out[0] = build_map(b, "mel", 5, n->in, to->dtype, 2, to->dim, sx_cast(t, e, to->dtype));
    return b->status;
}

#define WINDOW_ROW(NAME, ABOUT)                                                                    \
    {                                                                                              \
        .name = NAME, .since = 17, .about = ABOUT, ROW_IN({"size", T_IDS, .single = true}),        \
        ROW_OUT({"output", T_NUMBER}),                                                             \
        ROW_ATTRS(ATTR_I("output_datatype", 1), ATTR_I("periodic", 1)), .traits = OP_PURE,         \
        .infer = infer_window, .eval = eval_window, .lower = lower_window                          \
    }

const OpDef signal_ops[] = {
    {.name = "DFT",
     .since = 20,
     .about = "the discrete Fourier transform along an axis",
     ROW_IN({"input", T_FLOAT, "T1"}, {"dft_length", T_IDS, "T2", true, .single = true},
            {"axis", DT_BIT(DT_I64), NULL, true, .single = true}),
     ROW_OUT({"output", T_FLOAT, "T1"}),
     ROW_ATTRS(ATTR_I("inverse", 0), ATTR_I("onesided", 0)),
     .traits = OP_PURE,
     .infer = infer_dft,
     .eval = eval_dft,
     .lower = lower_dft},
    {.name = "STFT",
     .since = 17,
     .about = "Fourier transforms of the frames of a signal",
     ROW_IN({"signal", T_FLOAT, "T1"}, {"frame_step", T_IDS, "T2"}, {"window", T_FLOAT, "T1", true},
            {"frame_length", T_IDS, "T2", true}),
     ROW_OUT({"output", T_FLOAT, "T1"}),
     ROW_ATTRS(ATTR_I("onesided", 1)),
     .traits = OP_PURE,
     .infer = infer_stft,
     .eval = compose_eval,
     .lower = lower_stft},
    WINDOW_ROW("HannWindow", "half a cosine above zero"),
    WINDOW_ROW("HammingWindow", "a raised cosine"),
    WINDOW_ROW("BlackmanWindow", "two cosines"),
    {.name = "MelWeightMatrix",
     .since = 17,
     .about = "triangles over the bins of a spectrum",
     ROW_IN({"num_mel_bins", T_IDS, "T1", .single = true},
            {"dft_length", T_IDS, "T1", .single = true},
            {"sample_rate", T_IDS, "T1", .single = true},
            {"lower_edge_hertz", T_FLOAT, "T2", .single = true},
            {"upper_edge_hertz", T_FLOAT, "T2", .single = true}),
     ROW_OUT({"output", T_NUMBER, "T3"}),
     ROW_ATTRS(ATTR_I("output_datatype", 1)),
     .traits = OP_PURE,
     .infer = infer_mel,
     .eval = eval_mel,
     .lower = lower_mel},
    {0},
};
