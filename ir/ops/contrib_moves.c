/* contrib_moves.c: operators of com.microsoft that move, cut out or look up: windows of a tensor,
 * boxes of images, rotary embeddings of several axes, the position bias of T5; and quantised
 * convolutions and LSTMs in the layout that quantisers write. */
#include <math.h>
#include <string.h>

#include "ir/mathd.h"
#include "ir/ops/compose.h"
#include "ir/ops/ops_common.h"

/* ---- UnfoldTensor: the windows along one axis, as a new last axis ---- */

static Status lower_unfold(Build *b, const Node *n, Value **out)
{
    SxTable *t = b->sx;
    const Type *x = in_type(n, 0);
    int64_t size = attr_int(n, "size", 0), step = attr_int(n, "step", 1);
    const Sx *idx[MAX_RANK];
    Dim dims[MAX_RANK + 1], one = dim_const(b->dims, 1), room;
    int axis;

    TRY(infer_axis(n, b->diag, "dim", attr_int(n, "dim", -1), x->rank, &axis));
    if (x->rank >= MAX_RANK) return op_unsupported(n, b->diag, "rank %d", x->rank);
    if (size < 1 || step < 1 || size > INT32_MAX || step > INT32_MAX ||
        (dim_is_const(x->dim[axis]) && x->dim[axis]->value < size))
        return op_error(n, b->diag, "size", "UnfoldTensor: windows of %lld, each %lld further",
                        (long long)size, (long long)step);
    for (int i = 0; i < x->rank; i++) {
        dims[i] = x->dim[i];
        idx[i] = sx_index(t, i);
    }
    room = dim_add(b->dims, x->dim[axis], dim_const(b->dims, -size));
    room = dim_add(b->dims, dim_div(b->dims, room, dim_const(b->dims, step)), one);
    dims[axis] = dim_max(b->dims, room, dim_const(b->dims, 0));
    dims[x->rank] = dim_const(b->dims, size);
    idx[axis] = sx_add(t, sx_mul(t, idx[axis], sx_i64(b, step)), sx_index(t, x->rank));
    out[0] =
        build_map(b, "unfold", 1, n->in, x->dtype, x->rank + 1, dims, sx_at(b, 0, n->in[0], idx));
    return b->status;
}

/* ---- CropAndResize ---- */

typedef struct Crop {
    bool nearest;
    Dim size[2]; /* height, width */
} Crop;

static Status crop_read(Infer *cx, Node *n, Crop *c)
{
    const char *mode = attr_string(n, "mode", "bilinear");
    const Dim *size;
    int count;

    c->nearest = strcmp(mode, "nearest") == 0;
    if (!c->nearest && strcmp(mode, "bilinear") != 0)
        return op_error(n, cx->diag, "mode",
                        "CropAndResize: found \"%s\", expected bilinear or nearest", mode);
    for (int k = 0; k < 4; k++)
        TRY(infer_ranked(cx, n, k));
    if (dim_is_const(in_type(n, 1)->dim[1]) && in_type(n, 1)->dim[1]->value != 4)
        return op_error(n, cx->diag, "rois", "CropAndResize: %lld numbers a box, expected 4",
                        (long long)in_type(n, 1)->dim[1]->value);
    TRY(infer_elements(cx, n, 3, 1, INT32_MAX, &size, &count));
    if (!size || count != 2)
        return op_error(n, cx->diag, "crop_size", "CropAndResize: %d numbers, expected 2", count);
    c->size[0] = size[0];
    c->size[1] = size[1];
    return OK;
}

static Status infer_crop(Infer *cx, Node *n)
{
    Crop c = {0};

    TRY(crop_read(cx, n, &c));
    infer_out(cx, n, 0, in_type(n, 0)->dtype, 4,
              (Dim[]){in_type(n, 1)->dim[0], in_type(n, 0)->dim[1], c.size[0], c.size[1]});
    return OK;
}

/* Where row (axis 0) or column (1) `at` of a crop lies in the image, in pixels. */
static const Sx *crop_place(Build *b, const Value *rois, int axis, const Sx *at, Dim size,
                            Dim extent)
{
    SxTable *t = b->sx;
    DType type = compute_dtype(rois->type.dtype);
    const Sx *box = sx_index(t, 0), *from, *to, *last, *steps, *more, *one = sx_i64(b, 1);

    from = sx_compute(b, sx_at(b, 1, rois, (const Sx *[]){box, sx_i64(b, axis)}));
    to = sx_compute(b, sx_at(b, 1, rois, (const Sx *[]){box, sx_i64(b, 2 + axis)}));
    last = sx_cast(t, sx_sub(t, sx_dim(t, extent), one), type);
    steps = sx_sub(t, sx_dim(t, size), one);
    more = sx_div(t, sx_mul(t, sx_sub(t, to, from), last), sx_cast(t, steps, type));
    more = sx_add(t, sx_mul(t, from, last), sx_mul(t, sx_cast(t, at, type), more));
    return sx_select(t, sx_lt(t, sx_i64(b, 0), steps), more,
                     sx_mul(t, sx_const(t, type, 0.5), sx_mul(t, sx_add(t, from, to), last)));
}

static const Sx *crop_pixel(Build *b, const Node *n, const Sx *image, const Sx *inside, const Sx *y,
                            const Sx *x)
{
    SxTable *t = b->sx;
    const Sx *idx[4] = {image, sx_index(t, 1), sx_cast(t, y, DT_I64), sx_cast(t, x, DT_I64)};

    return sx_compute(b, sx_at_guarded(b, 0, n->in[0], idx, inside));
}

static Status lower_crop(Build *b, const Node *n, Value **out)
{
    SxTable *t = b->sx;
    const Type *x = in_type(n, 0), *to = &n->out[0]->type;
    const Sx *image, *guard, *place[2], *low[2], *high[2], *e, *inside, *row = sx_index(t, 0),
                                                                        *zero;
    bool nearest = strcmp(attr_string(n, "mode", "bilinear"), "nearest") == 0;
    DType type = compute_dtype(x->dtype);

    build_require_equal(b, in_type(n, 1)->dim[1], dim_const(b->dims, 4));
    build_require_equal(b, in_type(n, 2)->dim[0], in_type(n, 1)->dim[0]);
    zero = sx_const(t, type, 0);
    image = sx_data_index(b, 2, sx_at(b, 2, n->in[2], &row), x->dim[0], &guard);
    inside = guard;
    for (int i = 0; i < 2; i++) {
        const Sx *last = sx_cast(t, sx_sub(t, sx_dim(t, x->dim[2 + i]), sx_i64(b, 1)), type);
        place[i] = crop_place(b, n->in[1], i, sx_index(t, 2 + i), to->dim[2 + i], x->dim[2 + i]);
        inside = sx_both(b, inside, sx_and(t, sx_le(t, zero, place[i]), sx_le(t, place[i], last)));
        low[i] = nearest ? sx_floor(t, sx_add(t, place[i], sx_const(t, type, 0.5)))
                         : sx_floor(t, place[i]);
        high[i] = sx_ceil(t, place[i]);
    }
    e = crop_pixel(b, n, image, inside, low[0], low[1]);
    if (!nearest) {
        const Sx *dx = sx_sub(t, place[1], low[1]), *dy = sx_sub(t, place[0], low[0]), *top,
                 *bottom;
        const Sx *right = crop_pixel(b, n, image, inside, low[0], high[1]);
        top = sx_add(t, e, sx_mul(t, sx_sub(t, right, e), dx));
        bottom = crop_pixel(b, n, image, inside, high[0], low[1]);
        right = crop_pixel(b, n, image, inside, high[0], high[1]);
        bottom = sx_add(t, bottom, sx_mul(t, sx_sub(t, right, bottom), dx));
        e = sx_add(t, top, sx_mul(t, sx_sub(t, bottom, top), dy));
    }
    e = sx_select(t, inside, e, sx_const(t, type, attr_float(n, "extrapolation_value", 0)));
    out[0] = build_map(b, "crop", 3, n->in, x->dtype, 4, to->dim, sx_cast(t, e, x->dtype));
    return b->status;
}

/* ---- convolutions ---- */

static const char *const window_attrs[] = {"auto_pad", "dilations", "group", "kernel_shape",
                                           "pads",     "strides",   NULL};

/* Of channels last as well. */
static Status lower_qlinear_conv(Build *b, const Node *n, Value **out)
{
    bool last = attr_int(n, "channels_last", 0) != 0;
    Value *in[9], *v;

    for (int k = 0; k < 9; k++)
        in[k] = in_value(n, k);
    if (last) in[0] = make_moved_channels(b, in[0], false);
    v = make_like(b, n, "QLinearConv", 9, in, window_attrs);
    out[0] = last ? make_moved_channels(b, v, true) : v;
    return b->status;
}

static Status lower_dynamic_pads(Build *b, const Node *n, Value **out)
{
    static const char *const names[] = {"auto_pad",     "dilations",      "group",
                                        "kernel_shape", "output_padding", "strides"};
    const int64_t *pads = NULL;
    Attr attr[8];
    int count = 0, n_pads = 0;

    if (has_in(n, 2) && !const_ints(n->in[2], b->module->arena, &pads, &n_pads))
        return op_unsupported(n, b->diag, "pads that only the run knows");
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (attr_find(n, names[i])) attr[count++] = *attr_find(n, names[i]);
    if (pads) attr[count++] = attr_of_ints("pads", n_pads, pads);
    out[0] = build_op(b, "ConvTranspose", 3, (Value *[]){n->in[0], n->in[1], in_value(n, 3)}, count,
                      attr);
    return b->status;
}

/* ---- DynamicQuantizeLSTM ---- */

/* Weights [directions, inputs, 4 * hidden], with scales for all or for each column, as LSTM has
 * them: [directions, 4 * hidden, inputs] of f32. */
static Value *lstm_weights(Build *b, const Node *n, int w, int scale)
{
    Value *part[2] = {n->in[scale], n->in[scale + 1]}, *v;

    for (int i = 0; i < 2; i++) {
        part[i] = make_cast(b, part[i], DT_F32);
        if (part[i] && part[i]->type.rank == 1) part[i] = make_unsqueeze(b, part[i], 1);
        if (part[i] && part[i]->type.rank == 2) part[i] = make_unsqueeze(b, part[i], 1);
    }
    v = make_mul(b, make_sub(b, make_cast(b, n->in[w], DT_F32), part[1]), part[0]);
    if (v && v->type.rank != 3) /* scales of several rows */
        build_fail(b, op_error(n, b->diag, n->op->in[scale].name,
                               "%s: scales that are not [directions] or [directions, columns]",
                               n->op->name));
    return v && b->status == OK ? build_transpose(b, v, (const int[]){0, 2, 1}) : NULL;
}

/* The input sequence is rounded to bytes by its range, as the name says; the state is not. */
static Status lower_quantised_lstm(Build *b, const Node *n, Value **out)
{
    static const char *const names[] = {
        "activation_alpha", "activation_beta", "activations", "clip",
        "direction",        "hidden_size",     "input_forget"};
    Node *q = build_op_node(b, NULL, "DynamicQuantizeLinear", 1, n->in, 3, 0, NULL), *y;
    Value *in[8];
    Attr attr[8];
    int count = 0;

    if (!q) return b->status;
    in[0] =
        build_op(b, "DequantizeLinear", 3, (Value *[]){q->out[0], q->out[1], q->out[2]}, 0, NULL);
    in[1] = lstm_weights(b, n, 1, 8);
    in[2] = lstm_weights(b, n, 2, 10);
    for (int k = 3; k < 8; k++)
        in[k] = in_value(n, k);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (attr_find(n, names[i])) attr[count++] = *attr_find(n, names[i]);
    if (b->status != OK) return b->status;
    y = build_op_node(b, NULL, "LSTM", 8, in, 3, count, attr);
    for (int k = 0; y && k < n->n_out && k < 3; k++)
        out[k] = y->out[k];
    return b->status;
}

/* ---- NGramRepeatBlock: -infinity for what would repeat an n-gram ---- */

static Status lower_repeat_block(Build *b, const Node *n, Value **out)
{
    SxTable *t = b->sx;
    const Type *ids = in_type(n, 0);
    int64_t size = attr_int(n, "ngram_size", 0);
    Attr attr[2] = {attr_of_int("axis", 1), attr_of_string("reduction", "min")};
    const Sx *row = sx_index(t, 0), *at = sx_index(t, 1), *last, *same, *e;
    Value *places, *v;

    if (size < 1 || size > 4096)
        return op_error(n, b->diag, "ngram_size",
                        "NGramRepeatBlock: found %lld, expected 1 or more", (long long)size);
    places = make_slice(b, n->in[0], 1, size - 1, INT64_MAX, 1); /* the ends of all n-grams */
    if (!places) return b->status;
    last = sx_sub(t, sx_dim(t, ids->dim[1]), sx_i64(b, size - 1));
    e = sx_const_int(t, DT_BOOL, 1);
    for (int64_t k = 0; k + 1 < size; k++) {
        const Sx *there[2] = {row, sx_add(t, at, sx_i64(b, k))};
        const Sx *here[2] = {row, sx_add(t, last, sx_i64(b, k))};
        same = sx_eq(t, sx_at(b, 0, n->in[0], there), sx_at(b, 0, n->in[0], here));
        e = sx_and(t, e, same);
    }
    e = sx_select(t, e, sx_const(t, DT_F32, -INFINITY), sx_const(t, DT_F32, INFINITY));
    v = build_map(b, "repeated", 1, n->in, DT_F32, 2, places->type.dim, e);
    out[0] = build_op(b, "ScatterElements", 3, (Value *[]){n->in[1], places, v}, 2, attr);
    return b->status;
}

/* ---- RelativePositionBias of T5 ---- */

typedef struct Position {
    int64_t buckets, heads, most;
    bool both;
    Dim length[2]; /* of the query, of the key */
} Position;

static Status position_read(Infer *cx, Node *n, Position *p)
{
    const Type *table = in_type(n, 0);

    TRY(infer_ranked(cx, n, 0));
    if (!dim_is_const(table->dim[0]) || !dim_is_const(table->dim[1]))
        return op_unsupported(n, cx->diag, "a table of open sizes");
    *p = (Position){.buckets = table->dim[0]->value,
                    .heads = table->dim[1]->value,
                    .most = attr_int(n, "max_distance", 0),
                    .both = attr_int(n, "is_bidirectional", 0) != 0};
    if (p->most < 1 || p->buckets < 2 || p->buckets / (p->both ? 4 : 2) >= p->most)
        return op_error(n, cx->diag, "max_distance", "%s: %lld for %lld buckets", n->op->name,
                        (long long)p->most, (long long)p->buckets);
    for (int i = 0; i < 2; i++) {
        const Dim *length;
        int count;
        TRY(infer_elements(cx, n, 1 + i, 0, INT32_MAX, &length, &count));
        if (!length || count != 1)
            return op_error(n, cx->diag, n->op->in[1 + i].name, "%s: %d numbers, expected 1",
                            n->op->name, count);
        p->length[i] = length[0];
    }
    return OK;
}

static Status infer_position(Infer *cx, Node *n)
{
    DimTable *t = &cx->module->dims;
    Position p = {0};

    TRY(position_read(cx, n, &p));
    infer_out(cx, n, 0, in_type(n, 0)->dtype, 4,
              (Dim[]){dim_const(t, 1), dim_const(t, p.heads), p.length[0], p.length[1]});
    return OK;
}

/* The bucket of key index 3 seen from query index 2: each of the near ones has its own, the others
 * share in steps that grow with the logarithm of the distance. */
static const Sx *bucket_of(Build *b, const Position *p)
{
    SxTable *t = b->sx;
    int64_t count = p->both ? p->buckets / 2 : p->buckets, near = count / 2;
    const Sx *apart = sx_sub(t, sx_index(t, 3), sx_index(t, 2)), *zero = sx_i64(b, 0), *far, *side;

    side = p->both ? sx_select(t, sx_lt(t, zero, apart), sx_i64(b, count), zero) : zero;
    apart = p->both ? sx_max(t, apart, sx_neg(t, apart)) : sx_neg(t, sx_min(t, apart, zero));
    far = sx_div(t, sx_cast(t, sx_max(t, apart, sx_i64(b, 1)), DT_F32),
                 sx_const(t, DT_F32, (double)near));
    far = sx_div(t, sx_log(t, far), sx_const(t, DT_F32, mathd_log((double)p->most / (double)near)));
    far = sx_mul(t, far, sx_const(t, DT_F32, (double)(count - near)));
    far = sx_add(t, sx_i64(b, near), sx_cast(t, far, DT_I64));
    far = sx_min(t, far, sx_i64(b, count - 1));
    return sx_add(t, side, sx_select(t, sx_lt(t, apart, sx_i64(b, near)), apart, far));
}

/* The table is column-major: all buckets of a head, then those of the next. */
static Status lower_position(Build *b, const Node *n, Value **out)
{
    SxTable *t = b->sx;
    const Type *to = &n->out[0]->type;
    Position p = {.buckets = in_type(n, 0)->dim[0]->value,
                  .most = attr_int(n, "max_distance", 0),
                  .both = attr_int(n, "is_bidirectional", 0) != 0};
    const Sx *at = sx_mul(t, sx_index(t, 1), sx_i64(b, p.buckets));

    at = sx_load_flat(t, to->dtype, 0, sx_add(t, at, bucket_of(b, &p)), NULL);
    out[0] = build_map(b, "bias", 1, n->in, to->dtype, 4, to->dim, at);
    return b->status;
}

/* ---- MRotaryEmbedding: each section of the angles has its own position ---- */

/* Which of the three streams of positions angle `at` follows. */
static const Sx *stream_of(Build *b, const int64_t *section, bool interleaved, const Sx *at)
{
    SxTable *t = b->sx;
    const Sx *e = sx_i64(b, 0), *third = sx_floor_mod(t, at, sx_i64(b, 3));

    for (int i = 1; i < 3; i++) {
        const Sx *mine;
        if (interleaved)
            mine =
                sx_and(t, sx_eq(t, third, sx_i64(b, i)), sx_lt(t, at, sx_i64(b, 3 * section[i])));
        else
            mine = sx_le(t, sx_i64(b, section[0] + (i == 2 ? section[1] : 0)), at);
        e = sx_select(t, mine, sx_i64(b, i), e);
    }
    return e;
}

static Status lower_mrotary(Build *b, const Node *n, Value **out)
{
    SxTable *t = b->sx;
    const Type *x = in_type(n, 0), *place = in_type(n, 1), *cache = in_type(n, 2);
    int64_t layout = attr_int(n, "mrope_layout", 0);
    int count;
    const int64_t *section = attr_ints(n, "mrope_section", &count);
    const Sx *stream, *at, *guard, *idx[3];
    Value *in[4] = {n->in[0]};
    Attr attr[3];

    if (attr_int(n, "is_packed_batching", 0) || attr_float(n, "scale", 1) != 1)
        return op_unsupported(n, b->diag, "is_packed_batching or scale");
    if (!section || count != 3 || section[0] < 0 || section[1] < 0 || section[2] < 0)
        return op_error(n, b->diag, "mrope_section", "%s: %d numbers, expected 3", n->op->name,
                        count);
    if (!dim_is_const(cache->dim[1]) ||
        section[0] + section[1] + section[2] != cache->dim[1]->value)
        return op_error(n, b->diag, "cos_cache", "%s: caches that are not [positions, %lld]",
                        n->op->name, (long long)(section[0] + section[1] + section[2]));
    build_require_equal(b, place->dim[0], dim_const(b->dims, 3));
    for (int i = 0; i < 2; i++)
        build_require_equal(b, in_type(n, 3)->dim[i], cache->dim[i]);
    stream = stream_of(b, section, layout == 1, sx_index(t, 2));
    idx[0] = stream;
    idx[1] = sx_index(t, 0);
    idx[2] = sx_index(t, 1);
    at = sx_data_index(b, 1, sx_at(b, 1, n->in[1], idx), cache->dim[0], &guard);
    for (int i = 0; i < 2; i++)
        in[1 + i] =
            build_map(b, "angles", 2, (Value *[]){n->in[2 + i], n->in[1]}, cache->dtype, 3,
                      (Dim[]){place->dim[1], place->dim[2], cache->dim[1]},
                      sx_at_guarded(b, 0, n->in[2 + i], (const Sx *[]){at, sx_index(t, 2)}, guard));
    attr[0] = attr_of_int("interleaved", attr_int(n, "interleaved", 0));
    attr[1] = attr_of_int("num_heads", attr_int(n, "num_heads", 0));
    attr[2] = attr_of_int("rotary_embedding_dim", attr_int(n, "rotary_embedding_dim", 0));
    if (x->rank == 3 && attr[1].i == 0 && dim_is_const(x->dim[2]) && cache->dim[1]->value > 0)
        attr[1].i = x->dim[2]->value / (2 * cache->dim[1]->value);
    out[0] = build_op(b, "RotaryEmbedding", 3, in, 3, attr);
    return b->status;
}

/* ---- GemmaRotaryEmbedding ---- */

static Status lower_gemma(Build *b, const Node *n, Value **out)
{
    Value *angle[2] = {make_unary(b, "Cos", n->in[0]), make_unary(b, "Sin", n->in[0])};

    for (int i = 0; i < 2; i++)
        angle[i] = make_unsqueeze(b, make_cast(b, angle[i], in_type(n, 1)->dtype), 1);
    for (int k = 0; k < 2; k++)
        out[k] = make_add(b, make_mul(b, n->in[1 + 2 * k], angle[0]),
                          make_mul(b, n->in[2 + 2 * k], angle[1]));
    return b->status;
}

/* ---- the table ---- */

#define WINDOW_ATTRS                                                                               \
    ATTR_S("auto_pad", "NOTSET"), ATTR_OPT("dilations", ATTR_INTS), ATTR_I("group", 1),            \
        ATTR_OPT("kernel_shape", ATTR_INTS), ATTR_OPT("strides", ATTR_INTS)

const OpDef contrib_moves_ops[] = {
    {.name = "UnfoldTensor",
     .about = "the windows along one axis, as a new last axis",
     ROW_IN({"input", T_PLAIN, "T"}),
     ROW_OUT({"output", T_PLAIN, "T"}),
     ROW_ATTRS(ATTR_I("dim", -1), ATTR_REQ("size", ATTR_INT), ATTR_I("step", 1)),
     MICROSOFT_ROW(lower_unfold)},
    {.name = "CropAndResize",
     .domain = "com.microsoft",
     .since = 1,
     .about = "boxes of images, at one size",
     ROW_IN({"X", T_FLOAT, "T1", .ranks = RANK(4)}, {"rois", T_FLOAT, "T1", .ranks = RANK(2)},
            {"batch_indices", T_I32, .ranks = RANK(1)}, {"crop_size", T_I32, .ranks = RANK(1)}),
     ROW_OUT({"Y", T_FLOAT, "T1"}),
     ROW_ATTRS(ATTR_S("mode", "bilinear"), ATTR_F("extrapolation_value", 0)),
     .traits = OP_PURE,
     .infer = infer_crop,
     .eval = compose_eval,
     .lower = lower_crop},
    {.name = "QLinearConv",
     .about = "QLinearConv, of channels last as well",
     ROW_IN({"x", T_BYTE, "T1"}, {"x_scale", T_F32}, {"x_zero_point", T_BYTE, "T1"},
            {"w", T_BYTE, "T2"}, {"w_scale", T_F32}, {"w_zero_point", T_BYTE, "T2"},
            {"y_scale", T_F32}, {"y_zero_point", T_BYTE, "T3"}, {"B", T_I32, NULL, true}),
     ROW_OUT({"y", T_BYTE, "T3"}),
     ROW_ATTRS(WINDOW_ATTRS, ATTR_OPT("pads", ATTR_INTS), ATTR_I("channels_last", 0)),
     MICROSOFT_ROW(lower_qlinear_conv)},
    {.name = "ConvTransposeWithDynamicPads",
     .about = "ConvTranspose with pads as an input",
     ROW_IN({"X", T_FLOAT, "T"}, {"W", T_FLOAT, "T"}, {"Pads", DT_BIT(DT_I64), NULL, true},
            {"B", T_FLOAT, "T", true}),
     ROW_OUT({"Y", T_FLOAT, "T"}),
     ROW_ATTRS(WINDOW_ATTRS, ATTR_OPT("output_padding", ATTR_INTS)),
     MICROSOFT_ROW(lower_dynamic_pads)},
    {.name = "DynamicQuantizeLSTM",
     .about = "LSTM with quantised weights, of a sequence quantised by its range",
     ROW_IN({"X", T_F32, .ranks = RANK(3)}, {"W", T_BYTE, "T2", .ranks = RANK(3)},
            {"R", T_BYTE, "T2", .ranks = RANK(3)}, {"B", T_F32, NULL, true, .ranks = RANK(2)},
            {"sequence_lens", T_I32, NULL, true, .ranks = RANK(1)},
            {"initial_h", T_F32, NULL, true, .ranks = RANK(3)},
            {"initial_c", T_F32, NULL, true, .ranks = RANK(3)},
            {"P", T_F32, NULL, true, .ranks = RANK(2)},
            {"W_scale", T_F32, .ranks = RANK(1) | RANK(2)},
            {"W_zero_point", T_BYTE, "T2", .ranks = RANK(1) | RANK(2)},
            {"R_scale", T_F32, .ranks = RANK(1) | RANK(2)},
            {"R_zero_point", T_BYTE, "T2", .ranks = RANK(1) | RANK(2)}),
     ROW_OUT({"Y", T_F32, NULL, true}, {"Y_h", T_F32, NULL, true}, {"Y_c", T_F32, NULL, true}),
     ROW_ATTRS(ATTR_OPT("activation_alpha", ATTR_FLOATS), ATTR_OPT("activation_beta", ATTR_FLOATS),
               ATTR_OPT("activations", ATTR_STRINGS), ATTR_OPT("clip", ATTR_FLOAT),
               ATTR_S("direction", "forward"), ATTR_OPT("hidden_size", ATTR_INT),
               ATTR_I("input_forget", 0)),
     MICROSOFT_ROW(lower_quantised_lstm)},
    {.name = "NGramRepeatBlock",
     .about = "scores, -infinity for tokens that would repeat an n-gram",
     ROW_IN({"input_ids", DT_BIT(DT_I64), .ranks = RANK(2)}, {"scores", T_F32, .ranks = RANK(2)}),
     ROW_OUT({"scores_out", T_F32}),
     ROW_ATTRS(ATTR_REQ("ngram_size", ATTR_INT)),
     MICROSOFT_ROW(lower_repeat_block)},
    {.name = "RelativePositionBias",
     .domain = "com.microsoft",
     .since = 1,
     .about = "the position bias of T5: a number for each bucket of distances",
     ROW_IN({"bias_table", T_FLOAT, "T", .ranks = RANK(2)},
            {"query_length", DT_BIT(DT_I64), .ranks = RANK(0) | RANK(1)},
            {"key_length", DT_BIT(DT_I64), .ranks = RANK(0) | RANK(1)}),
     ROW_OUT({"output", T_FLOAT, "T"}),
     ROW_ATTRS(ATTR_REQ("max_distance", ATTR_INT), ATTR_I("is_bidirectional", 0)),
     .traits = OP_PURE,
     .infer = infer_position,
     .eval = compose_eval,
     .lower = lower_position},
    {.name = "MRotaryEmbedding",
     .about = "RotaryEmbedding by positions in time, height and width",
     ROW_IN({"input", T_FLOAT, "T", .ranks = RANK(3) | RANK(4)},
            {"position_ids", DT_BIT(DT_I64), .ranks = RANK(3)},
            {"cos_cache", T_FLOAT, "T", .ranks = RANK(2)},
            {"sin_cache", T_FLOAT, "T", .ranks = RANK(2)}),
     ROW_OUT({"output", T_FLOAT, "T"}),
     ROW_ATTRS(ATTR_REQ("mrope_section", ATTR_INTS), ATTR_I("mrope_layout", 0),
               ATTR_I("interleaved", 0), ATTR_I("is_packed_batching", 0), ATTR_I("num_heads", 0),
               ATTR_I("rotary_embedding_dim", 0), ATTR_F("scale", 1)),
     MICROSOFT_ROW(lower_mrotary)},
    {.name = "GemmaRotaryEmbedding",
     .about = "queries and keys turned by angles",
     ROW_IN({"emb", T_F32}, {"q", T_FLOAT, "T"}, {"q_rot", T_FLOAT, "T"}, {"k", T_FLOAT, "T"},
            {"k_rot", T_FLOAT, "T"}),
     ROW_OUT({"output1", T_FLOAT, "T"}, {"output2", T_FLOAT, "T"}),
     MICROSOFT_ROW(lower_gemma)},
    {0},
};
