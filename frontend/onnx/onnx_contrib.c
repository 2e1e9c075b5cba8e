/* onnx_contrib.c: operators of com.microsoft that are those of ai.onnx by another name: what was a
 * contribution there before the standard had it, and what optimisers still write. */
#include <string.h>

#include "frontend/onnx/onnx_import.h"

typedef struct ContribRow {
    const char *op, *now;                    /* its name there */
    Status (*apply)(Importer *im, Draft *x); /* NULL: nothing differs */
} ContribRow;

/* The step may be left out. */
static Status range_step(Importer *im, Draft *x)
{
    (void)im;
    if (x->n_in < 3 || !x->in[2]) draft_set_input(x, 2, build_scalar(x->build, draft_dtype(x), 1));
    return OK;
}

/* One axis, as a scalar. */
static Status expand_dims(Importer *im, Draft *x)
{
    const Tensor *axis = x->n_in > 1 && x->in[1] ? x->in[1]->data : NULL;
    int64_t at;

    if (!axis || axis->count != 1 || !dtype_is_int(axis->dtype))
        return draft_unsupported(im, x, "an axis that only the run knows");
    at = tensor_int(axis, 0);
    draft_set_input(x, 1, build_i64(x->build, 1, &at));
    x->op = "Unsqueeze";
    return OK;
}

/* In order of first occurrence; without the places, and with the inverse instead. */
static Status unique(Importer *im, Draft *x)
{
    static const int from[3] = {0, 2, 3};
    Attr sorted = attr_of_int("sorted", 0);
    Node *y =
        x->n_in == 1 ? build_op_node(x->build, NULL, "Unique", 1, x->in, 4, 1, &sorted) : NULL;

    if (x->n_in != 1 || x->n_out > 3) return draft_unsupported(im, x, "these inputs and outputs");
    if (!y) return x->build->status;
    x->result = arena_try(im->scratch, (size_t)x->n_out, sizeof *x->result);
    if (!x->result) return import_limits(im);
    for (int i = 0; i < x->n_out; i++)
        x->result[i] = y->out[from[i]];
    return OK;
}

/* The first name of FusedMatMul. */
static Status transpose_matmul(Importer *im, Draft *x)
{
    (void)im;
    x->domain = "com.microsoft";
    x->op = "FusedMatMul";
    return OK;
}

/* As it was first in ai.onnx. */
static Status grid_sample(Importer *im, Draft *x)
{
    const Attr *mode = draft_attr(x, "mode");

    (void)im;
    if (!mode || strcmp(mode->s.s, "bilinear") == 0)
        draft_set(x, attr_of_string("mode", "linear"));
    else if (strcmp(mode->s.s, "bicubic") == 0)
        draft_set(x, attr_of_string("mode", "cubic"));
    return OK;
}

static const ContribRow rows[] = {
    {"ExpandDims", "Unsqueeze", expand_dims},
    {"GatherND", "GatherND", NULL},
    {"GridSample", "GridSample", grid_sample},
    {"Pad", "Pad", NULL},
    {"Range", "Range", range_step},
    {"TransposeMatMul", "FusedMatMul", transpose_matmul},
    {"Trilu", "Trilu", NULL},
    {"Unique", "Unique", unique},
};

static const ContribRow *row_of(const char *domain, const char *op)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (strcmp(domain, "com.microsoft") == 0 && strcmp(op, rows[i].op) == 0) return &rows[i];
    return NULL;
}

bool contrib_form(int k, FrontendForm *out)
{
    if (k >= (int)(sizeof rows / sizeof *rows)) return false;
    *out = (FrontendForm){.domain = "com.microsoft", .name = rows[k].op, .now = rows[k].now};
    return true;
}

bool contrib_known(const char *domain, const char *op)
{
    return row_of(domain, op) != NULL;
}

Status contrib_upgrade(Importer *im, Draft *x)
{
    const ContribRow *row = row_of(x->domain, x->op);

    if (!row) return nchwc_upgrade(im, x);
    x->domain = "";
    return row->apply ? row->apply(im, x) : OK;
}
