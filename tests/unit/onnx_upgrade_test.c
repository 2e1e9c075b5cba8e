/* onnx_upgrade_test.c: older forms of operators have their own meaning still: each case is a model
 * of one node on constants, loaded, evaluated, and held against values worked out by hand. */
#include "frontend/frontend.h"

#include <math.h>
#include <stdlib.h>

#include "ir/eval.h"
#include "tests/unit/check.h"
#include "tests/unit/onnx_bytes.h"

typedef struct Case {
    const char *op;
    int opset;
    const char *attrs; /* "name=kind:values ...", kind i f s, I F lists; values by commas */
    const char *in[6]; /* "f 2,2: 1 2 3 4"; kinds f i b (f32, i64, bool); "-" is left out */
    const char *out[2];
} Case;

static const Case cases[] = {
    /* broadcast along an axis */
    {"Add", 6, "broadcast=i:1 axis=i:0", {"f 2,2: 1 2 3 4", "f 2: 10 20"}, {"f 2,2: 11 12 23 24"}},
    {"Mul", 1, "broadcast=i:1", {"f 2,2: 1 2 3 4", "f 2: 10 20"}, {"f 2,2: 10 40 30 80"}},
    {"Sub", 6, "broadcast=i:1 axis=i:-1", {"f 2,2: 1 2 3 4", "f 2: 1 2"}, {"f 2,2: 0 0 2 2"}},
    {"Less", 1, "broadcast=i:1 axis=i:0", {"f 2,2: 1 2 3 4", "f 2: 2 4"}, {"b 2,2: 1 0 1 0"}},
    {"PRelu", 6, "", {"f 1,2,2: -1 -2 -3 4", "f 2: 2 10"}, {"f 1,2,2: -2 -4 -30 4"}},
    /* attributes that became inputs */
    {"Clip", 6, "min=f:0 max=f:2", {"f 3: -1 1 3"}, {"f 3: 0 1 2"}},
    {"Clip", 1, "max=f:2", {"f 3: -1 1 3"}, {"f 3: -1 1 2"}},
    {"Reshape", 1, "shape=I:0,-1", {"f 2,1,2: 1 2 3 4"}, {"f 2,2: 1 2 3 4"}},
    {"Pad", 1, "paddings=I:1,0 value=f:7", {"f 2: 1 2"}, {"f 3: 7 1 2"}},
    {"Pad", 2, "pads=I:0,1 mode=s:edge", {"f 2: 1 2"}, {"f 3: 1 2 2"}},
    {"Slice", 1, "starts=I:1 ends=I:-1 axes=I:1", {"f 1,4: 1 2 3 4"}, {"f 1,2: 2 3"}},
    {"Split", 2, "split=I:1,2", {"f 3: 1 2 3"}, {"f 1: 1", "f 2: 2 3"}},
    {"Split", 11, "axis=i:1", {"f 1,4: 1 2 3 4"}, {"f 1,2: 1 2", "f 1,2: 3 4"}},
    {"Split", 13, "", {"f 4: 1 2 3 4"}, {"f 2: 1 2", "f 2: 3 4"}},
    {"Squeeze", 1, "axes=I:0", {"f 1,1,2: 1 2"}, {"f 1,2: 1 2"}},
    {"Squeeze", 11, "", {"f 1,1,2: 1 2"}, {"f 2: 1 2"}},
    {"Unsqueeze", 11, "axes=I:0,-1", {"f 2: 1 2"}, {"f 1,2,1: 1 2"}},
    {"ReduceSum", 11, "axes=I:0 keepdims=i:0", {"f 2,2: 1 2 3 4"}, {"f 2: 4 6"}},
    {"ReduceMax", 1, "axes=I:-1", {"f 2,2: 1 2 3 4"}, {"f 2,1: 2 4"}},
    {"ReduceMean", 13, "keepdims=i:0", {"f 2,2: 1 2 3 4"}, {"f : 2.5"}},
    /* names and defaults */
    {"Cast", 1, "to=s:INT64", {"f 2: 1.5 -2.5"}, {"i 2: 1 -2"}},
    {"Concat", 1, "", {"f 1,1: 1", "f 1,1: 2"}, {"f 1,2: 1 2"}},
    {"Tile", 1, "", {"f 2: 1 2", "f : 2", "f : 0"}, {"f 4: 1 2 1 2"}},
    {"Scatter", 9, "axis=i:1", {"f 1,3: 1 2 3", "i 1,1: 1", "f 1,1: 9"}, {"f 1,3: 1 9 3"}},
    {"DynamicSlice", 7, "", {"f 3: 1 2 3", "i 1: 1", "i 1: 3"}, {"f 2: 2 3"}},
    {"Dropout", 1, "ratio=f:0.9", {"f 2: 1 2"}, {"f 2: 1 2", "f 2: 1 1"}},
    {"Dropout", 10, "", {"f 2: 1 2"}, {"f 2: 1 2", "b 2: 1 1"}},
    /* the matrix that softmax once saw */
    {"Softmax", 9, "", {"f 1,2,2: 0 0 0 0"}, {"f 1,2,2: 0.25 0.25 0.25 0.25"}},
    {"Softmax", 9, "axis=i:2", {"f 1,2,2: 0 0 0 0"}, {"f 1,2,2: 0.5 0.5 0.5 0.5"}},
    {"Softmax", 13, "axis=i:1", {"f 1,2,2: 0 0 0 0"}, {"f 1,2,2: 0.5 0.5 0.5 0.5"}},
    {"Hardmax", 11, "axis=i:0", {"f 2,2: 1 4 3 2"}, {"f 2,2: 0 1 0 0"}},
    {"Resize", 10, "", {"f 1,4: 1 2 3 4", "f 2: 1 0.6"}, {"f 1,2: 1 3"}},
    {"Resize", 10, "", {"f 1,2: 1 2", "f 2: 1 2.5"}, {"f 1,5: 1 1 1 2 2"}},
    /* normalisations */
    {"BatchNormalization",
     7,
     "spatial=i:0 epsilon=f:0",
     {"f 1,2: 3 5", "f 2: 1 2", "f 2: 0 1", "f 2: 1 1", "f 2: 4 4"},
     {"f 1,2: 1 5"}},
    {"BatchNormalization",
     6,
     "is_test=i:1 epsilon=f:0 consumed_inputs=I:0,0,0,1,1",
     {"f 1,2,1: 3 5", "f 2: 1 2", "f 2: 0 1", "f 2: 1 1", "f 2: 4 4"},
     {"f 1,2,1: 1 5"}},
    {"GroupNormalization",
     18,
     "num_groups=i:1 epsilon=f:0",
     {"f 1,2,1: 1 3", "f 1: 2", "f 1: 5"},
     {"f 1,2,1: 3 7"}},
    /* operators that were taken out */
    {"Affine", 6, "alpha=f:2 beta=f:1", {"f 2: 1 2"}, {"f 2: 3 5"}},
    {"Scale", 1, "scale=f:3", {"f 2: 1 2"}, {"f 2: 3 6"}},
    {"ScaledTanh", 1, "alpha=f:2 beta=f:1", {"f 1: 0"}, {"f 1: 0"}},
    {"ParametricSoftplus", 1, "alpha=f:2 beta=f:1", {"f 1: 100"}, {"f 1: 200"}},
    {"ImageScaler", 1, "scale=f:2 bias=F:1,10", {"f 1,2,1,1: 1 2"}, {"f 1,2,1,1: 3 14"}},
    {"Crop", 1, "border=I:1,0,0,1", {"f 1,1,2,2: 1 2 3 4"}, {"f 1,1,1,1: 2"}},
    {"Crop", 1, "border=I:0,1,0,0 scale=I:1,1", {"f 1,1,2,2: 1 2 3 4"}, {"f 1,1,1,1: 3"}},
    {"ConstantFill", 1, "value=f:3 shape=I:2", {NULL}, {"f 2: 3 3"}},
    {"ConstantFill", 1, "value=f:3 input_as_shape=i:1 dtype=i:7", {"i 1: 2"}, {"i 2: 3 3"}},
    {"GivenTensorFill", 1, "values=F:1,2 shape=I:2,1", {NULL}, {"f 2,1: 1 2"}},
};

/* Cases for operators that other rows of the table lead to. */
static const Case resize_cases[] = {
    {"Upsample", 7, "scales=F:1,1,1,2", {"f 1,1,1,2: 1 2"}, {"f 1,1,1,4: 1 1 2 2"}},
    {"Upsample", 9, "", {"f 1,1,1,2: 1 2", "f 4: 1 1 1 2"}, {"f 1,1,1,4: 1 1 2 2"}},
    {"Upsample", 1, "height_scale=f:2 width_scale=f:1", {"f 1,1,1,2: 1 2"}, {"f 1,1,2,2: 1 2 1 2"}},
    {"Upsample", 7, "scales=F:1,1,1,2 mode=s:linear", {"f 1,1,1,2: 1 3"}, {"f 1,1,1,4: 1 2 3 3"}},
    {"Resize", 10, "", {"f 1,1,1,2: 1 2", "f 4: 1 1 1 1.5"}, {"f 1,1,1,3: 1 1 2"}},
};

static const Case topk_cases[] = {
    {"TopK", 1, "k=i:2", {"f 3: 1 3 2"}, {"f 2: 3 2", "i 2: 1 2"}},
};

/* ---- reading the cases ---- */

static Pb read_tensor(Arena *a, const char *name, const char *text)
{
    int64_t dims[8];
    int rank = 0;
    int dtype = *text == 'f' ? 1 : *text == 'i' ? 7 : 9;
    char *at = (char *)(uintptr_t)(text + 2);

    while (*at != ':') {
        dims[rank++] = strtol(at, &at, 10);
        if (*at == ',') at++;
    }
    Pb t = pb_tensor(a, name, dtype, rank, dims);
    for (at++; *at;) {
        double v = strtod(at, &at);
        if (dtype == 1)
            pb_float(&t, 4, (float)v);
        else
            pb_int(&t, dtype == 7 ? 7 : 5, (int64_t)v);
    }
    return t;
}

static void read_attr(Pb *node, const char *name, char kind, char *values)
{
    Pb a = {.arena = node->arena};
    char *at = values;

    pb_text(&a, 1, name);
    if (kind == 's') pb_text(&a, 4, values);
    if (kind == 'i') pb_int(&a, 3, strtol(values, NULL, 10));
    if (kind == 'f') pb_float(&a, 2, strtof(values, NULL));
    for (; (kind == 'I' || kind == 'F') && *at; at += *at == ',') {
        if (kind == 'I')
            pb_int(&a, 8, strtol(at, &at, 10));
        else
            pb_float(&a, 7, strtof(at, &at));
    }
    pb_int(&a, 20, kind == 'f' ? 1 : kind == 'i' ? 2 : kind == 's' ? 3 : kind == 'F' ? 6 : 7);
    pb_message(node, 5, a);
}

static Pb build_case(Arena *a, const Case *c)
{
    Pb g = {.arena = a}, node = {.arena = a};
    char name[32], kind, values[64];

    for (int i = 0; i < 6 && c->in[i]; i++) {
        snprintf(name, sizeof name, "i%d", i);
        bool absent = *c->in[i] == '-';
        pb_text(&node, 1, absent ? "" : name);
        if (!absent) pb_message(&g, 5, read_tensor(a, name, c->in[i]));
    }
    pb_text(&node, 4, c->op);
    int used = 0;
    for (const char *s = c->attrs; sscanf(s, " %31[^=]=%c:%63s%n", name, &kind, values, &used) == 3;
         s += used)
        read_attr(&node, name, kind, values);
    for (int i = 0; i < 2 && c->out[i]; i++) {
        snprintf(name, sizeof name, "o%d", i);
        pb_text(&node, 2, name);
        pb_port(&g, 12, name, 1, NULL);
    }
    pb_message(&g, 1, node);
    return pb_model(g, c->opset);
}

static bool same(const Tensor *t, const char *text)
{
    char *at = (char *)(uintptr_t)(text + 2);
    DType want = *text == 'f' ? DT_F32 : *text == 'i' ? DT_I64 : DT_BOOL;

    if (t->dtype != want) return false;
    for (int i = 0; i < t->rank; i++) {
        if (*at == ':' || strtol(at, &at, 10) != t->dim[i]) return false;
        if (*at == ',') at++;
    }
    if (*at != ':') return false;
    at++;
    for (int64_t i = 0; i < t->count; i++) {
        double v = want == DT_F32 ? tensor_double(t, i) : (double)tensor_int(t, i);
        if (!(fabs(v - strtod(at, &at)) < 1e-5)) return false;
    }
    return *at == 0;
}

static void check_case(const Case *c)
{
    Arena *a = arena_new(0);
    Pb m = build_case(a, c);
    Tensor *out[2] = {NULL};
    Loaded l;
    Diag d;

    diag_init(&d, a);
    Status s = frontend_load_bytes(m.b, m.n, "", NULL, a, &l, &d);
    if (s == OK) s = eval_module(l.module, a, NULL, NULL, out, &d);
    bool good = s == OK;
    for (int i = 0; i < 2 && good && c->out[i]; i++)
        good = same(out[i], c->out[i]);
    if (!good) fprintf(stderr, "%s of opset %d {%s}:\n", c->op, c->opset, c->attrs);
    for (const DiagItem *i = d.first; i && !good; i = i->next)
        fprintf(stderr, "    %s\n", diag_format(i, a));
    CHECK(good);
    if (s == OK) frontend_close(&l);
    arena_free(a);
}

int main(void)
{
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        check_case(&cases[i]);
    for (size_t i = 0; i < sizeof resize_cases / sizeof *resize_cases; i++)
        if (op_find(NULL, "Resize")) check_case(&resize_cases[i]);
    for (size_t i = 0; i < sizeof topk_cases / sizeof *topk_cases; i++)
        if (op_find(NULL, "TopK")) check_case(&topk_cases[i]);
    return check_result();
}
