/* onnx_upgrade.c: older forms of operators to the newest one.
 *
 * The op table knows one meaning for each operator: that of opset 28. A row here says what to do
 * with a node of an operator whose version lies below `before`. All rows that fit are applied, from
 * top to bottom, so a row need only bridge one change; a row may rename the operator, and rows
 * below it see the new name. Most changes are attributes that became inputs. Forms that become
 * several nodes are in onnx_legacy.c.
 *
 * An attribute that the newest form no longer has, and that says nothing there (consumed_inputs,
 * is_test), needs no row: see says_nothing in onnx_node.c. */
#include <string.h>

#include "frontend/onnx/onnx_import.h"

/* ---- drafts ---- */

const Attr *draft_attr(const Draft *x, const char *name)
{
    for (int i = 0; i < x->n_attr; i++)
        if (strcmp(x->attr[i].name, name) == 0) return &x->attr[i];
    return NULL;
}

int64_t draft_int(const Draft *x, const char *name, int64_t absent)
{
    const Attr *a = draft_attr(x, name);
    return a && a->kind == ATTR_INT ? a->i : absent;
}

double draft_float(const Draft *x, const char *name, double absent)
{
    const Attr *a = draft_attr(x, name);
    return a && a->kind == ATTR_FLOAT ? a->f : absent;
}

void draft_drop(Draft *x, const char *name)
{
    int kept = 0;

    for (int i = 0; i < x->n_attr; i++)
        if (strcmp(x->attr[i].name, name) != 0) x->attr[kept++] = x->attr[i];
    x->n_attr = kept;
}

/* A node's attributes have room for DRAFT_ATTRS more; no operator has as many rows that add one. */
void draft_set(Draft *x, Attr a)
{
    draft_drop(x, a.name);
    x->attr[x->n_attr++] = a;
}

void draft_set_input(Draft *x, int k, Value *v)
{
    while (x->n_in <= k)
        x->in[x->n_in++] = NULL;
    x->in[k] = v;
}

bool draft_wants(const Draft *x, int k)
{
    return k < x->n_out && x->wanted[k];
}

DType draft_dtype(const Draft *x)
{
    DType t = x->n_in > 0 && x->in[0] ? x->in[0]->type.dtype : DT_NONE;
    return t == DT_NONE ? DT_F32 : t;
}

static Where draft_where(const Draft *x)
{
    const Origin *o = x->origin;
    return (Where){.file = o->file, .node = *o->node ? o->node : o->op, .index = o->index};
}

Status draft_unsupported(Importer *im, const Draft *x, const char *what)
{
    return diag(im->diag, ERR_UNSUPPORTED, draft_where(x), "%s of version %lld: %s", x->op,
                (long long)x->version, what);
}

Status draft_result(Importer *im, Draft *x, Value *v)
{
    TRY(x->build->status);
    x->result = arena_try(im->scratch, (size_t)x->n_out, sizeof *x->result);
    if (!x->result) return import_limits(im);
    for (int i = 1; i < x->n_out; i++)
        if (x->wanted[i]) return draft_unsupported(im, x, "more than one output");
    if (x->n_out > 0) x->result[0] = v;
    return OK;
}

/* ---- attributes that became inputs ---- */

static Tensor *float_vector(Arena *a, int n, const double *v)
{
    int64_t dim = n;
    Tensor *t = tensor_new(a, DT_F32, 1, &dim);

    for (int i = 0; t && i < n; i++)
        tensor_set_double(t, i, v[i]);
    return t;
}

/* Attribute `name`, where there is one, becomes input `i`: lists i64[n] or f32[n], a float a scalar
 * of the first input's dtype, an int i64[1], or a scalar where the row says s = "scalar". */
static Status to_input(Importer *im, Draft *x, const UpgradeRow *row)
{
    const Attr *a = draft_attr(x, row->name);
    Value *v = NULL;

    if (!a) return OK;
    if (a->kind == ATTR_INTS)
        v = build_i64(x->build, a->n, a->ints);
    else if (a->kind == ATTR_FLOATS)
        v = build_tensor(x->build, float_vector(im->arena, a->n, a->floats));
    else if (a->kind == ATTR_FLOAT)
        v = build_scalar(x->build, draft_dtype(x), a->f);
    else if (a->kind == ATTR_INT && row->s)
        v = build_tensor(x->build, tensor_scalar_int(im->arena, DT_I64, a->i));
    else if (a->kind == ATTR_INT)
        v = build_i64(x->build, 1, &a->i);
    else
        return draft_unsupported(im, x, "an attribute of the wrong type");
    draft_drop(x, row->name);
    if (row->i < x->n_in && x->in[row->i]) return OK; /* given as an input all the same */
    draft_set_input(x, (int)row->i, v);
    return OK;
}

/* ---- defaults and names that changed ---- */

static Status default_int(Importer *im, Draft *x, const UpgradeRow *row)
{
    (void)im;
    if (!draft_attr(x, row->name)) draft_set(x, attr_of_int(row->name, row->i));
    return OK;
}

static Status default_float(Importer *im, Draft *x, const UpgradeRow *row)
{
    (void)im;
    if (!draft_attr(x, row->name)) draft_set(x, attr_of_float(row->name, row->f));
    return OK;
}

static Status default_string(Importer *im, Draft *x, const UpgradeRow *row)
{
    (void)im;
    if (!draft_attr(x, row->name)) draft_set(x, attr_of_string(row->name, row->s));
    return OK;
}

static Status rename_op(Importer *im, Draft *x, const UpgradeRow *row)
{
    (void)im;
    x->op = row->name;
    return OK;
}

static Status rename_attr(Importer *im, Draft *x, const UpgradeRow *row)
{
    const Attr *a = draft_attr(x, row->name);
    Attr renamed;

    (void)im;
    if (!a) return OK;
    renamed = *a;
    renamed.name = row->s;
    draft_drop(x, row->name);
    draft_set(x, renamed);
    return OK;
}

/* The strings of an attribute that were given other names: pairs of old and new. */
typedef struct Spelling {
    const char *name, *old, *now;
} Spelling;

static Status respell(Importer *im, Draft *x, const UpgradeRow *row)
{
    static const Spelling spelling[] = {{"mode", "bilinear", "linear"},
                                        {"mode", "bicubic", "cubic"},
                                        {"direction", "foward", "forward"}};
    const Attr *a = draft_attr(x, row->name);

    (void)im;
    if (!a || a->kind != ATTR_STRING) return OK;
    for (size_t i = 0; i < sizeof spelling / sizeof *spelling; i++) {
        if (strcmp(row->name, spelling[i].name) != 0 || strcmp(a->s.s, spelling[i].old) != 0)
            continue;
        draft_set(x, attr_of_string(row->name, spelling[i].now));
        return OK;
    }
    return OK;
}

static Status float_to_int(Importer *im, Draft *x, const UpgradeRow *row)
{
    const Attr *a = draft_attr(x, row->name);

    if (!a || a->kind != ATTR_FLOAT) return OK;
    if (!(a->f >= 0 && a->f <= 1000) || a->f != (double)(int)a->f)
        return draft_unsupported(im, x, "a norm that is not a small integer");
    draft_set(x, attr_of_int(row->name, (int64_t)a->f));
    return OK;
}

/* ---- single operators ---- */

/* `to` was the name of a type once. */
static Status cast_by_name(Importer *im, Draft *x, const UpgradeRow *row)
{
    static const char *const names[] = {
        [1] = "FLOAT",   [2] = "UINT8",   [3] = "INT8",   [4] = "UINT16", [5] = "INT16",
        [6] = "INT32",   [7] = "INT64",   [8] = "STRING", [9] = "BOOL",   [10] = "FLOAT16",
        [11] = "DOUBLE", [12] = "UINT32", [13] = "UINT64"};
    const Attr *a = draft_attr(x, row->name);

    if (!a || a->kind != ATTR_STRING) return OK;
    for (int i = 1; i < (int)(sizeof names / sizeof *names); i++) {
        if (strcasecmp(a->s.s, names[i]) != 0) continue;
        draft_set(x, attr_of_int(row->name, i));
        return OK;
    }
    return draft_unsupported(im, x, "a dtype that is not known");
}

/* Without sizes, as many equal parts as there are outputs. */
static Status split_evenly(Importer *im, Draft *x, const UpgradeRow *row)
{
    (void)im;
    if ((x->n_in < 2 || !x->in[1]) && !draft_attr(x, row->name))
        draft_set(x, attr_of_int(row->name, x->n_out));
    return OK;
}

static Status upsample_scales(Importer *im, Draft *x, const UpgradeRow *row)
{
    double *scales = ARENA_ARRAY(im->arena, double, 4);

    scales[0] = scales[1] = 1;
    scales[2] = draft_float(x, "height_scale", 1);
    scales[3] = draft_float(x, "width_scale", 1);
    draft_drop(x, "height_scale");
    draft_drop(x, "width_scale");
    draft_set(x, (Attr){.name = row->name, .kind = ATTR_FLOATS, .n = 4, .floats = scales});
    return OK;
}

/* Upsample and the first Resize: (x, scales), pixels at their corners, the nearest one below; of a
 * smaller result the one above. */
static Status resize_corners(Importer *im, Draft *x, const UpgradeRow *row)
{
    (void)im;
    (void)row;
    if (x->n_in == 2) {
        draft_set_input(x, 2, x->in[1]);
        x->in[1] = NULL;
    }
    draft_set(x, attr_of_string("coordinate_transformation_mode", "asymmetric"));
    draft_set(x, attr_of_string("nearest_mode", "floor_or_ceil"));
    x->op = "Resize";
    return OK;
}

static bool is_empty(const Value *v)
{
    const Type *t = &v->type;

    if (t->kind != TYPE_TENSOR) return false;
    for (int i = 0; i < t->rank; i++)
        if (dim_is(t->dim[i], 0)) return true;
    return false;
}

/* Inputs that could not be left out were given without elements. */
static Status resize_empty(Importer *im, Draft *x, const UpgradeRow *row)
{
    (void)im;
    (void)row;
    for (int i = 1; i < x->n_in; i++)
        if (x->in[i] && is_empty(x->in[i])) x->in[i] = NULL;
    while (x->n_in > 1 && !x->in[x->n_in - 1])
        x->n_in--;
    return OK;
}

/* ---- the table ---- */

#define BROADCAST(op)                                                                              \
    {                                                                                              \
        op, 7, legacy_broadcast, NULL, 0, 0, NULL                                                  \
    }
#define AXES(op, since)                                                                            \
    {                                                                                              \
        op, since, to_input, "axes", 1, 0, NULL                                                    \
    }

static const UpgradeRow rows[] = {
    BROADCAST("Add"),
    BROADCAST("And"),
    BROADCAST("Div"),
    BROADCAST("Equal"),
    BROADCAST("Greater"),
    BROADCAST("Less"),
    BROADCAST("Mul"),
    BROADCAST("Or"),
    BROADCAST("Pow"),
    BROADCAST("Sub"),
    BROADCAST("Xor"),
    {"PRelu", 7, legacy_slope, NULL, 0, 0, NULL},
    {"Cast", 6, cast_by_name, "to", 0, 0, NULL},
    {"Concat", 4, default_int, "axis", 1, 0, NULL},
    {"Clip", 11, to_input, "min", 1, 0, NULL},
    {"Clip", 11, to_input, "max", 2, 0, NULL},
    {"Selu", 6, default_float, "alpha", 0, 1.6732, NULL},
    {"Selu", 6, default_float, "gamma", 0, 1.0507, NULL},
    {"Reshape", 5, to_input, "shape", 1, 0, NULL},
    {"Tile", 6, legacy_tile, NULL, 0, 0, NULL},
    {"Pad", 2, rename_attr, "paddings", 0, 0, "pads"},
    {"Pad", 11, to_input, "pads", 1, 0, NULL},
    {"Pad", 11, to_input, "value", 2, 0, NULL},
    {"DynamicSlice", ALWAYS, rename_op, "Slice", 0, 0, NULL},
    {"Slice", 10, to_input, "starts", 1, 0, NULL},
    {"Slice", 10, to_input, "ends", 2, 0, NULL},
    {"Slice", 10, to_input, "axes", 3, 0, NULL},
    {"Split", 13, to_input, "split", 1, 0, NULL},
    {"Split", ALWAYS, split_evenly, "num_outputs", 0, 0, NULL},
    AXES("Squeeze", 13),
    AXES("Unsqueeze", 13),
    AXES("ReduceSum", 13),
    AXES("ReduceL1", 18),
    AXES("ReduceL2", 18),
    AXES("ReduceLogSum", 18),
    AXES("ReduceLogSumExp", 18),
    AXES("ReduceMax", 18),
    AXES("ReduceMean", 18),
    AXES("ReduceMin", 18),
    AXES("ReduceProd", 18),
    AXES("ReduceSumSquare", 18),
    {"TopK", 10, to_input, "k", 1, 0, NULL},
    {"Scatter", ALWAYS, rename_op, "ScatterElements", 0, 0, NULL},

    {"Softmax", 13, legacy_softmax, NULL, 0, 0, NULL},
    {"LogSoftmax", 13, legacy_softmax, NULL, 0, 0, NULL},
    {"Hardmax", 13, legacy_softmax, NULL, 0, 0, NULL},
    {"BatchNormalization", 14, legacy_batchnorm, NULL, 0, 0, NULL},
    {"GroupNormalization", 21, legacy_groupnorm, NULL, 0, 0, NULL},
    {"MeanVarianceNormalization", 9, legacy_mvn, NULL, 0, 0, NULL},
    {"Dropout", 12, legacy_dropout, NULL, 0, 0, NULL},
    {"LpPool", 2, float_to_int, "p", 0, 0, NULL},
    {"GlobalLpPool", 2, float_to_int, "p", 0, 0, NULL},
    {"GRU", 3, respell, "direction", 0, 0, NULL},
    {"RNN", 7, respell, "direction", 0, 0, NULL},

    {"Upsample", 7, upsample_scales, "scales", 0, 0, NULL},
    {"Upsample", 9, to_input, "scales", 1, 0, NULL},
    {"Upsample", 9, respell, "mode", 0, 0, NULL},
    {"Upsample", ALWAYS, resize_corners, NULL, 0, 0, NULL},
    {"Resize", 11, resize_corners, NULL, 0, 0, NULL},
    {"Resize", ALWAYS, resize_empty, NULL, 0, 0, NULL},
    {"GridSample", 20, respell, "mode", 0, 0, NULL},
    {"RoiAlign", 16, default_string, "coordinate_transformation_mode", 0, 0, "output_half_pixel"},
    {"DFT", 20, default_int, "axis", 1, 0, NULL},
    {"DFT", 20, to_input, "axis", 2, 0, "scalar"},
    {"Scan", 9, legacy_scan, NULL, 0, 0, NULL},

    /* experimental operators of the first opsets, which some exporters kept writing */
    {"Affine", ALWAYS, legacy_affine, NULL, 0, 0, NULL},
    {"ConstantFill", ALWAYS, legacy_fill, NULL, 0, 0, NULL},
    {"Crop", ALWAYS, legacy_crop, NULL, 0, 0, NULL},
    {"GivenTensorFill", ALWAYS, legacy_given, NULL, 0, 0, NULL},
    {"ImageScaler", ALWAYS, legacy_image_scaler, NULL, 0, 0, NULL},
    {"ParametricSoftplus", ALWAYS, legacy_scaled, "Softplus", 0, 1, NULL},
    {"Scale", ALWAYS, legacy_affine, NULL, 0, 0, NULL},
    {"ScaledTanh", ALWAYS, legacy_scaled, "Tanh", 0, 1, NULL},
};

enum { N_ROWS = sizeof rows / sizeof *rows };

bool frontend_form(int k, FrontendForm *out)
{
    const UpgradeRow *r = &rows[k];

    if (k >= N_ROWS) return contrib_form(k - N_ROWS, out);
    *out = (FrontendForm){.domain = "", .name = r->op, .now = r->op, .before = r->before};
    if (r->before == ALWAYS) out->before = 0;
    if (r->apply == rename_op) out->now = r->name;
    if (r->apply == resize_corners) out->now = "Resize";
    if (!op_find(NULL, r->op) && out->now == r->op) out->now = NULL;
    return true;
}

int frontend_newest(void)
{
    return ONNX_NEWEST;
}

bool upgrade_known(const char *domain, const char *op, int64_t version)
{
    if (op_find(domain, op)) return true;
    if (*domain) return contrib_known(domain, op);
    if (strcmp(op, "Constant") == 0) return true;
    for (int i = 0; i < N_ROWS; i++) {
        const UpgradeRow *r = &rows[i];
        if (r->before != ALWAYS || strcmp(r->op, op) != 0) continue;
        if (r->apply == resize_empty || r->apply == split_evenly) continue;
        const char *now = r->apply == resize_corners ? "Resize" : r->name;
        if (!now || op_find(domain, now)) return version > 0;
    }
    return false;
}

Status upgrade(Importer *im, Draft *x)
{
    if (*x->domain) return contrib_upgrade(im, x);
    for (int i = 0; i < N_ROWS && !x->result; i++) {
        if (x->version >= rows[i].before || strcmp(rows[i].op, x->op) != 0) continue;
        TRY(rows[i].apply(im, x, &rows[i]));
        TRY(x->build->status);
    }
    return OK;
}
