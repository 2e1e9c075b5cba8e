/* qdq.c: quantised integers instead of the floats between DequantizeLinear and QuantizeLinear.
 *
 *     Conv(DQ(x), DQ(w), DQ(b))   ->   DQ(ConvInteger(x, w) + b)            scale sx * sw
 *     Q(DQ(i32))                  ->   Requantize                           factor s / sy
 *     Q(Relu(v))                  ->   Q(v)           where every level passes Relu unchanged
 *     Q(Relu(DQ(i32)))            ->   Max(Q(DQ(i32)), zero)   where not
 *     Q(MaxPool(DQ(x)))           ->   MaxPool(x)     of one scale and zero point
 *
 * A product of known weights sums integers, exactly, and is scaled once, in f32; what only moves
 * elements moves bytes. What none of the forms fits stays as it is: floats between two kernels'
 * bytes cost registers, not memory. Against the floats a result may differ by one step, where a sum
 * lies within their rounding of the middle between two.
 *
 * Stands in front of `fold`, which would make floats of the weights. Ends: each change removes a
 * reader of a dequantised value, or of a float in front of a quantisation. */
#include <math.h>

#include "ir/eval.h"
#include "passes/pass.h"

typedef struct Qdq {
    PassContext *cx;
    Module *m;
    bool changed;
} Qdq;

/* A dequantised value, or a quantisation. */
typedef struct Scaled {
    Value *q, *zero; /* zero NULL: 0 */
    const Tensor *scale, *zero_data;
    int axis; /* of the scales; -1: one for the whole tensor */
} Scaled;

/* Scales and zero points that are known, one for the tensor or one for each index of an axis. */
static bool read_scaled(Node *n, Scaled *s)
{
    Value *scale = n->in[1], *zero = n->n_in > 2 ? n->in[2] : NULL;
    int rank = n->in[0]->type.rank;
    int64_t axis = attr_int(n, "axis", 1);

    if (!scale->data || scale->data->dtype != DT_F32 || (zero && !zero->data)) return false;
    if (rank == RANK_UNKNOWN || attr_int(n, "block_size", 0) || scale->data->rank > 1) return false;
    if (axis < 0) axis += rank;
    *s = (Scaled){.q = n->in[0], .zero = zero, .scale = scale->data, .axis = -1};
    s->zero_data = zero ? zero->data : NULL;
    if (scale->data->count != 1) s->axis = rank == 1 ? 0 : (int)axis;
    return true;
}

static bool is_byte(DType t)
{
    return t == DT_U8 || t == DT_I8;
}

static bool dequantised(const Value *v, Scaled *s)
{
    return v && plays(v->def, QUANT_DEQUANTISE) && v->type.dtype == DT_F32 &&
           read_scaled(v->def, s);
}

static bool all_zero(const Tensor *t)
{
    for (int64_t i = 0; t && i < t->count; i++)
        if (tensor_int(t, i)) return false;
    return true;
}

static float scale_at(const Scaled *s, int64_t i)
{
    return (float)tensor_double(s->scale, s->scale->count == 1 ? 0 : i);
}

static void replace(Qdq *x, Node *n, Value *v)
{
    if (!v->name) v->name = n->out[0]->name;
    value_replace(n->out[0], v);
    node_unlink(n);
    x->changed = true;
}

/* ---- products ---- */

typedef struct Product {
    Scaled x, w, bias;
    bool has_bias;
    Tensor *whole; /* the bias in units of the product's scale, or NULL */
    Tensor *scale; /* of the sum */
} Product;

static Tensor *product_scale(Qdq *x, const Product *p)
{
    int64_t n = p->w.scale->count;
    Tensor *t = tensor_new(x->m->arena, DT_F32, n == 1 ? 0 : 1, &n);

    for (int64_t i = 0; t && i < n; i++)
        tensor_set_double(t, i, (double)(scale_at(&p->x, 0) * scale_at(&p->w, i)));
    return t;
}

/* The floats of a bias that is known. */
static double bias_at(const Product *p, const Value *bias, int64_t i)
{
    return bias->data ? tensor_double(bias->data, i)
                      : (double)((float)tensor_int(p->bias.q->data, i) * scale_at(&p->bias, i));
}

/* A bias in units of the product's scale, NULL where its elements are no whole numbers of them, but
 * for rounding. (It may be a constant float: importing computes small constants.) */
static Tensor *whole_bias(Qdq *x, Product *p, const Value *bias)
{
    bool known = bias->data && bias->data->dtype == DT_F32;
    int64_t n;
    Tensor *t;

    if (!known && (!dequantised(bias, &p->bias) || !p->bias.q->data ||
                   !dtype_is_int(p->bias.q->type.dtype) || !all_zero(p->bias.zero_data)))
        return NULL;
    n = known ? bias->data->count : p->bias.q->data->count;
    if (p->scale->count != 1 && p->scale->count != n) return NULL;
    t = tensor_new(x->m->arena, DT_I32, 1, &n);
    for (int64_t i = 0; t && i < n; i++) {
        double s = tensor_double(p->scale, p->scale->count == 1 ? 0 : i), b = bias_at(p, bias, i);
        double q = rint(b / s);
        if (!(fabs(q) < 0x1p31) || !(fabs(b - q * s) <= 1e-3 * s + 1e-6 * fabs(b))) return NULL;
        tensor_set_int(t, i, (int64_t)q);
    }
    return t;
}

static bool read_product(Qdq *x, const Node *n, Product *p)
{
    Value *bias = n->n_in > 2 ? n->in[2] : NULL;

    if (!n->op->integer || n->n_in < 2 || n->out[0]->type.dtype != DT_F32) return false;
    if (!dequantised(n->in[0], &p->x) || !dequantised(n->in[1], &p->w)) return false;
    if (!is_byte(p->x.q->type.dtype) || !is_byte(p->w.q->type.dtype) || !p->w.q->data) return false;
    if (p->x.axis >= 0 || n->out[0]->type.rank == RANK_UNKNOWN) return false;
    p->scale = product_scale(x, p);
    p->has_bias = bias != NULL;
    if (!p->scale || (bias && bias->type.rank != 1)) return false;
    if (bias) p->whole = whole_bias(x, p, bias);
    return true;
}

/* v, of rank 1, with its elements along `axis` of a result of that rank. */
static Value *along(Build *b, Value *v, int axis, int rank)
{
    int64_t shape[MAX_RANK];

    for (int i = 0; i < rank; i++)
        shape[i] = i == axis ? -1 : 1;
    return build_op2(b, "Reshape", v, build_i64(b, rank, shape));
}

static Value *dequantise(Build *b, Value *v, const Tensor *scale, int axis)
{
    Value *s = build_tensor(b, scale);

    return build_op(b, "DequantizeLinear", 2, (Value *[]){v, s}, 1,
                    (Attr[]){attr_of_int("axis", axis)});
}

static Status product(Qdq *x, Node *n)
{
    Build b = build_at(n->parent, n, n->origin, x->cx->diag);
    Product p = {0};
    Value *sum, *y, *in[2], *zero[2];
    int axis = 0, rank = n->out[0]->type.rank, w_axis;

    if (!read_product(x, n, &p)) return OK;
    in[0] = p.x.q;
    in[1] = p.w.q;
    zero[0] = all_zero(p.x.zero_data) ? NULL : p.x.zero;
    zero[1] = all_zero(p.w.zero_data) ? NULL : p.w.zero;
    if (!pass_accept(x->cx)) return OK;
    for (w_axis = p.w.axis < 0 ? 0 : p.w.axis, sum = NULL; !sum && b.status == OK; w_axis++) {
        sum = n->op->integer(&b, n, in, zero, w_axis, &axis);
        if (p.w.axis >= 0 || w_axis > 0) break; /* one scale: whichever axis fits */
    }
    TRY(b.status);
    if (!sum) return OK;
    if (p.whole) sum = build_op2(&b, "Add", sum, along(&b, build_tensor(&b, p.whole), axis, rank));
    y = dequantise(&b, sum, p.scale, axis);
    if (p.has_bias && !p.whole) y = build_op2(&b, "Add", y, along(&b, n->in[2], axis, rank));
    TRY(b.status);
    replace(x, n, y);
    return OK;
}

/* ---- in front of a quantisation ---- */

/* Q(DQ(i32)), the latter without a zero point. */
static Status requantise(Qdq *x, Node *n, const Scaled *y)
{
    Build b = build_at(n->parent, n, n->origin, x->cx->diag);
    Scaled s;
    Value *zero = y->zero, *v;
    Tensor *factor;
    int64_t count;

    if (!dequantised(n->in[0], &s) || s.q->type.dtype != DT_I32 || !all_zero(s.zero_data))
        return OK;
    if (y->axis >= 0 || !is_byte(n->out[0]->type.dtype) || !pass_accept(x->cx)) return OK;
    count = s.scale->count;
    factor = tensor_new(x->m->arena, DT_F32, s.axis < 0 ? 0 : 1, &count);
    if (!factor) return diag(x->cx->diag, ERR_LIMIT, node_where(n), "no memory for scales");
    for (int64_t i = 0; i < count; i++)
        tensor_set_double(factor, i, (double)(scale_at(&s, i) / scale_at(y, 0)));
    if (!zero) zero = build_scalar(&b, n->out[0]->type.dtype, 0);
    Node *r = build_op_node(&b, "ingot", "Requantize", 3,
                            (Value *[]){s.q, build_tensor(&b, factor), zero}, 1, 1,
                            (Attr[]){attr_of_int("axis", s.axis < 0 ? 0 : s.axis)});
    TRY(b.status);
    v = r->out[0];
    replace(x, n, v);
    return OK;
}

/* The floats of all levels of y, as a tensor of the rank of v. */
static Tensor *levels_of(Arena *a, const Scaled *y, DType type, int rank)
{
    int64_t dims[MAX_RANK], zero = y->zero_data ? tensor_int(y->zero_data, 0) : 0;
    Tensor *t;

    for (int i = 0; i < rank; i++)
        dims[i] = i == rank - 1 ? 256 : 1;
    t = tensor_new(a, DT_F32, rank, dims);
    for (int64_t i = 0; t && i < 256; i++) {
        int64_t q = type == DT_U8 ? i : i - 128;
        tensor_set_double(t, i, (double)((float)(q - zero) * scale_at(y, 0)));
    }
    return t;
}

/* What a clamp in front of a quantisation does to the levels: those from `low` to `high` stay. */
typedef struct Clamped {
    int64_t low, high; /* 0 .. 255: numbers of levels */
} Clamped;

static int64_t nearest(const Tensor *levels, double v, double step)
{
    double i = rint((v - tensor_double(levels, 0)) / step);

    return i > 0 ? (i < 255 ? (int64_t)i : 255) : 0;
}

/* Whether f, monotone, does no more to levels than to clamp them: then clamping behind the
 * quantisation does the same. */
static bool clamps_levels(Qdq *x, const Node *f, const Scaled *y, DType type, Clamped *c)
{
    const Tensor *in[8] = {NULL};
    Tensor *out = NULL, *levels;
    double step = (double)scale_at(y, 0);

    if (f->n_in < 1 || f->n_in > 8 || f->n_out != 1 || f->in[0]->type.rank < 1) return false;
    levels = levels_of(x->cx->scratch, y, type, f->in[0]->type.rank);
    if (!levels) return false;
    in[0] = levels;
    for (int i = 1; i < f->n_in; i++) {
        if (f->in[i] && !f->in[i]->data) return false;
        in[i] = f->in[i] ? f->in[i]->data : NULL;
    }
    if (eval_node(f, x->cx->scratch, in, &out, x->cx->diag) != OK || out->count != levels->count)
        return false;
    if (!(tensor_double(out, 0) <= tensor_double(out, 255))) return false;
    c->low = nearest(levels, tensor_double(out, 0), step);
    c->high = nearest(levels, tensor_double(out, 255), step);
    for (int64_t i = 0; i < out->count; i++) {
        int64_t to = i < c->low ? c->low : i > c->high ? c->high : i;
        if (!(fabs(tensor_double(out, i) - tensor_double(levels, to)) < 0.5 * step)) return false;
    }
    return true;
}

static bool is_clamp(const Node *f)
{
    const unsigned clamp = OP_MONOTONE | OP_IDEMPOTENT | OP_PURE;

    return f && f->kind == NODE_OP && (f->op->traits & clamp) == clamp && !f->op->role &&
           f->in[0]->type.rank != RANK_UNKNOWN && type_equal(&f->in[0]->type, &f->out[0]->type);
}

/* Q(f(v)): Q(v), where f changes no level. Where it does, and v is a scaled sum of integers, which
 * a factor alone then quantises: that, clamped. Gives the quantisation that is left of n. */
static Status drop_clamp(Qdq *x, Node **n, const Scaled *y)
{
    Node *q = *n, *f = q->in[0]->def;
    DType type = q->out[0]->type.dtype;
    Build b = build_at(q->parent, q, q->origin, x->cx->diag);
    int64_t zero = type == DT_U8 ? 0 : -128;
    Value *v, *in[3];
    Clamped c;
    Scaled s;

    if (y->axis >= 0 || !is_byte(type) || !is_clamp(f)) return OK;
    if (!clamps_levels(x, f, y, type, &c)) return OK;
    if (c.low == 0 && c.high == 255) {
        if (!pass_accept(x->cx)) return OK;
        q->in[0] = f->in[0];
        x->changed = true;
        return OK;
    }
    if (!dequantised(f->in[0], &s) || s.q->type.dtype != DT_I32 || !all_zero(s.zero_data))
        return OK;
    if (!pass_accept(x->cx)) return OK;
    for (int i = 0; i < q->n_in; i++)
        in[i] = i ? q->in[i] : f->in[0];
    *n = build_op_node(&b, q->op->domain, q->op->name, q->n_in, in, 1, q->n_attr, q->attr);
    TRY(b.status);
    v = (*n)->out[0];
    if (c.low) v = build_op2(&b, "Max", v, build_scalar(&b, type, (double)(c.low + zero)));
    if (c.high < 255) v = build_op2(&b, "Min", v, build_scalar(&b, type, (double)(c.high + zero)));
    TRY(b.status);
    replace(x, q, v);
    return OK;
}

static bool same_scaled(const Scaled *a, const Scaled *b)
{
    int64_t za = a->zero_data ? tensor_int(a->zero_data, 0) : 0;
    int64_t zb = b->zero_data ? tensor_int(b->zero_data, 0) : 0;

    return a->axis < 0 && b->axis < 0 && za == zb && scale_at(a, 0) == scale_at(b, 0);
}

/* Q(move(DQ(x), ...)): the bytes themselves move. Operands that are no elements (shapes, indices)
 * stay. */
static Status move(Qdq *x, Node *n, const Scaled *y)
{
    Node *f = n->in[0]->def;
    Build b = build_at(n->parent, n, f ? f->origin : NULL, x->cx->diag);
    DType type = n->out[0]->type.dtype;
    Value **in;
    Scaled s;

    if (!f || f->kind != NODE_OP || f->op->quant != QUANT_MOVE || f->n_out != 1) return OK;
    if (!f->n_in || !(f->op->in[0].types & DT_BIT(type)) || f->n_region) return OK;
    /* what is put beside elements is 0: of floats, of bytes only where that is the zero point */
    if ((f->op->traits & OP_FILLS) && !all_zero(y->zero_data)) return OK;
    in = ARENA_ARRAY(x->m->arena, Value *, f->n_in);
    for (int i = 0; i < f->n_in; i++) {
        in[i] = f->in[i];
        if (!in[i] || (i && in[i]->type.dtype != DT_F32)) continue;
        if (!dequantised(in[i], &s) || s.q->type.dtype != type || !same_scaled(&s, y)) return OK;
        in[i] = s.q;
    }
    if (!pass_accept(x->cx)) return OK;
    Node *r = build_op_node(&b, f->op->domain, f->op->name, f->n_in, in, 1, f->n_attr, f->attr);
    TRY(b.status);
    replace(x, n, r->out[0]);
    return OK;
}

static Status qdq_node(void *context, Node *n)
{
    Qdq *x = context;
    Scaled y;

    for (int i = 0; i < n->n_in; i++)
        n->in[i] = value_resolve(n->in[i]);
    if (n->kind != NODE_OP) return OK;
    if (n->op->integer) return product(x, n);
    if (!plays(n, QUANT_QUANTISE) || n->in[0]->type.dtype != DT_F32 || !read_scaled(n, &y))
        return OK;
    TRY(drop_clamp(x, &n, &y));
    TRY(requantise(x, n, &y));
    return n->out[0]->forward ? OK : move(x, n, &y);
}

Status pass_qdq(PassContext *cx, Module *m, bool *changed)
{
    Qdq x = {.cx = cx, .m = m};

    TRY(module_visit(m, qdq_node, &x));
    module_resolve(m);
    *changed = x.changed;
    return OK;
}
