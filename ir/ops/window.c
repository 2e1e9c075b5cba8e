/* window.c: the geometry of sliding windows. See window.h. */
#include "ir/ops/window.h"

#include <string.h>

Status window_ints(const Node *n, Diag *d, const char *attr, int count, int64_t absent,
                   int64_t least, int64_t *out)
{
    int given;
    const int64_t *v = attr_ints(n, attr, &given);

    if (v && given != count && given != 0)
        return op_error(n, d, attr, "%s: %d values, expected %d", node_op_name(n), given, count);
    for (int i = 0; i < count; i++) {
        out[i] = v && given ? v[i] : absent;
        if (out[i] < least || out[i] > INT32_MAX)
            return op_error(n, d, attr, "%s: %lld is not allowed", node_op_name(n),
                            (long long)out[i]);
    }
    return OK;
}

typedef enum AutoPad { PAD_EXPLICIT, PAD_VALID, PAD_SAME_UPPER, PAD_SAME_LOWER } AutoPad;

static Status auto_pad_of(const Node *n, Diag *d, AutoPad *out)
{
    static const struct {
        const char *text;
        AutoPad pad;
    } table[] = {{"NOTSET", PAD_EXPLICIT},
                 {"", PAD_EXPLICIT},
                 {"VALID", PAD_VALID},
                 {"SAME_UPPER", PAD_SAME_UPPER},
                 {"SAME_LOWER", PAD_SAME_LOWER}};
    const char *text = attr_string(n, "auto_pad", "NOTSET");

    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (strcmp(table[i].text, text) == 0) {
            *out = table[i].pad;
            return OK;
        }
    return op_error(n, d, "auto_pad", "%s: unknown value '%s'", node_op_name(n), text);
}

/* Padding and output extent of axis i. */
static void place_axis(DimTable *t, Window *w, int i, AutoPad pad, const int64_t *pads, bool ceil)
{
    Dim one = dim_const(t, 1), stride = dim_const(t, w->stride[i]);
    Dim extent = dim_add_c(t, dim_mul_c(t, dim_add_c(t, w->kernel[i], -1), w->dilation[i]), 1);
    Dim room;

    w->before[i] = w->after[i] = dim_const(t, 0);
    if (pad == PAD_SAME_UPPER || pad == PAD_SAME_LOWER) {
        Dim total, half;
        w->out[i] = dim_ceil_div(t, w->in[i], stride);
        total = dim_add(t, dim_mul(t, dim_sub(t, w->out[i], one), stride), extent);
        total = dim_max(t, dim_sub(t, total, w->in[i]), dim_const(t, 0));
        half = dim_div(t, total, dim_const(t, 2));
        w->before[i] = pad == PAD_SAME_UPPER ? half : dim_sub(t, total, half);
        w->after[i] = dim_sub(t, total, w->before[i]);
        return;
    }
    if (pad == PAD_EXPLICIT) {
        w->before[i] = dim_const(t, pads[i]);
        w->after[i] = dim_const(t, pads[w->n + i]);
    }
    room = dim_sub(t, dim_add(t, w->in[i], dim_add(t, w->before[i], w->after[i])), extent);
    if (!ceil) {
        w->out[i] = dim_add(t, dim_div(t, room, stride), one);
        return;
    }
    /* Rounded up, but no window may start in the padding behind the input. */
    Dim up = dim_add(t, dim_ceil_div(t, room, stride), one);
    Dim starts =
        dim_add(t, dim_div(t, dim_sub(t, dim_add(t, w->in[i], w->before[i]), one), stride), one);
    w->out[i] = dim_min(t, up, starts);
}

Status window_read(Module *m, const Node *n, int n_spatial, const Dim *in, const Dim *kernel,
                   Diag *d, Window *w)
{
    int64_t pads[2 * MAX_RANK], size[MAX_RANK];
    AutoPad pad = PAD_EXPLICIT;

    memset(w, 0, sizeof *w);
    w->n = n_spatial;
    if (n_spatial < 1 || n_spatial > MAX_RANK - 2)
        return op_error(n, d, NULL, "%s: the input needs at least one spatial axis",
                        node_op_name(n));
    TRY(auto_pad_of(n, d, &pad));
    if (!kernel) TRY(window_ints(n, d, "kernel_shape", n_spatial, 1, 1, size));
    for (int i = 0; i < n_spatial; i++)
        w->kernel[i] = kernel ? kernel[i] : dim_const(&m->dims, size[i]);
    TRY(window_ints(n, d, "strides", n_spatial, 1, 1, w->stride));
    TRY(window_ints(n, d, "dilations", n_spatial, 1, 1, w->dilation));
    TRY(window_ints(n, d, "pads", 2 * n_spatial, 0, 0, pads));
    for (int i = 0; i < n_spatial; i++) {
        w->in[i] = in[i];
        place_axis(&m->dims, w, i, pad, pads, attr_int(n, "ceil_mode", 0) != 0);
        if (w->out[i]->hi < 0 || (dim_is_const(w->out[i]) && w->out[i]->value < 0))
            return op_error(n, d, "kernel_shape", "%s: the window is larger than the padded input",
                            node_op_name(n));
    }
    return OK;
}

const Sx *window_position(Build *b, const Window *w, int i, const Sx *o, const Sx *r)
{
    const Sx *p = sx_add(b->sx, sx_mul(b->sx, o, sx_i64(b, w->stride[i])),
                         sx_mul(b->sx, r, sx_i64(b, w->dilation[i])));

    return sx_sub(b->sx, p, sx_dim(b->sx, w->before[i]));
}

static bool no_symbols(void *context, Dim symbol, int64_t *value)
{
    (void)context;
    (void)symbol;
    (void)value;
    return false;
}

Status window_eval(Eval *cx, const Node *n, int n_spatial, const int64_t *in, const int64_t *kernel,
                   WindowEval *w)
{
    Arena *a = arena_new(0);
    Module m = {.arena = a};
    Dim dims[MAX_RANK] = {0}, size[MAX_RANK] = {0};
    Window x;
    Status s;

    if (!a) return diag(cx->diag, ERR_LIMIT, node_where(n), "out of memory");
    dims_init(&m.dims, a);
    for (int i = 0; i < n_spatial; i++) {
        dims[i] = dim_const(&m.dims, in[i]);
        if (kernel) size[i] = dim_const(&m.dims, kernel[i]);
    }
    s = window_read(&m, n, n_spatial, dims, kernel ? size : NULL, cx->diag, &x);
    memset(w, 0, sizeof *w);
    w->n = n_spatial;
    for (int i = 0; s == OK && i < n_spatial; i++) {
        w->in[i] = in[i];
        w->kernel[i] = x.kernel[i]->value;
        w->stride[i] = x.stride[i];
        w->dilation[i] = x.dilation[i];
        dim_eval(x.out[i], no_symbols, NULL, &w->out[i]);
        dim_eval(x.before[i], no_symbols, NULL, &w->before[i]);
        dim_eval(x.after[i], no_symbols, NULL, &w->after[i]);
    }
    arena_free(a);
    return s;
}
