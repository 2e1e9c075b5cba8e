/* cpu_winograd_test.c: convolutions as the pass winograd leaves them (both sizes of tiles, tiles
 * that reach beyond the image, frames, residuals, open batch): compiled kernels at every level of
 * this machine, and plain C, give the bits of kernel_interpret; and that comes near to the
 * evaluator of the operators. */
#include "ir/eval.h"
#include "tests/unit/graph_run.h"

static int count_labels(const Module *m, const char *label)
{
    int n = 0;

    for (const Node *k = m->main->first; k; k = k->next)
        n += k->kind == NODE_KERNEL && k->kernel->label && strstr(k->kernel->label, label) != NULL;
    return n;
}

/* `taken`: convolutions that the pass takes. */
static void add(Run *r, const char *name, int taken, const char *text)
{
    int n = r->n;

    graph_add_as(r, name, MATH_WINOGRAD, text);
    if (r->n > n) CHECK_EQ(count_labels(r->cases[n].module, "winograd products"), taken);
}

#define ADD(name, taken, ...) add(r, name, taken, arena_printf(r->arena, DIMS __VA_ARGS__))

static void conv(Run *r, const char *name, int taken, const char *x, const char *w,
                 const char *attrs)
{
    ADD(name, taken,
        "input %%x : f32[%s]\nconst %%w : f32[%s] {0 ...}\n%%y = Conv(%%x, %%w) {%s}\noutput %%y",
        x, w, attrs);
}

static void convolutions(Run *r)
{
    conv(r, "tiles of 4", 1, "1,8,12,12", "24,8,3,3", "pads=ints [1,1,1,1]");
    conv(r, "tiles of 2", 1, "1,36,6,6", "36,36,3,3", "pads=ints [1,1,1,1]");
    conv(r, "beyond the image", 1, "1,9,13,14", "17,9,3,3", "pads=ints [1,1,1,1]");
    conv(r, "no padding", 1, "1,8,14,13", "20,8,3,3", "");
    conv(r, "uneven padding", 1, "1,8,11,14", "20,8,3,3", "pads=ints [0,1,2,0]");
    conv(r, "open batch", 1, "b,12,13,14", "12,12,3,3", "pads=ints [1,1,1,1]");
    conv(r, "stride", 0, "1,8,12,12", "24,8,3,3", "strides=ints [2,2]");
    conv(r, "dilated", 0, "1,8,12,12", "24,8,3,3", "dilations=ints [2,2]");
    conv(r, "groups", 0, "1,8,12,12", "24,4,3,3", "group=2");
    conv(r, "few channels", 0, "1,2,12,12", "24,2,3,3", "");
    ADD("framed, with residual", 2,
        "input %%x : f32[b,12,13,13]\nconst %%w : f32[12,12,3,3] {0 ...}\n"
        "const %%c : f32[12] {0 ...}\nconst %%v : f32[12,12,3,3] {0 ...}\n"
        "%%h = Conv(%%x, %%w, %%c) {pads=ints [1,1,1,1]}\n%%g = Relu(%%h)\n"
        "%%i = Conv(%%g, %%v, %%c) {pads=ints [1,1,1,1]}\n"
        "%%j = Add(%%i, %%g)\n%%y = Sigmoid(%%j)\noutput %%y");
}

/* ---- near to the evaluator ---- */

static bool no_dim(void *context, Dim symbol, int64_t *value)
{
    (void)context, (void)symbol, (void)value;
    return false;
}

static Tensor *random_tensor(Arena *a, const Type *t, uint64_t *state)
{
    int64_t dim[MAX_RANK];

    for (int i = 0; i < t->rank; i++)
        dim[i] = t->dim[i]->value;
    Tensor *x = tensor_new(a, t->dtype, t->rank, dim);
    for (int64_t i = 0; i < x->count; i++)
        tensor_set_double(x, i, (double)(run_random(state) >> 40) / (1 << 23) - 1);
    return x;
}

/* The main region's result, kernel by kernel. */
static const Tensor *interpreted(Arena *a, Module *m, Tensor *x, Diag *d)
{
    const Tensor **value = ARENA_ARRAY(a, const Tensor *, m->next_id);
    uint64_t state = 1;

    value[m->main->arg[0]->id] = x;
    for (Node *n = m->main->first; n; n = n->next) {
        const Tensor *in[8];
        Tensor *out = random_tensor(a, &n->out[0]->type, &state);
        CHECK(n->kind == NODE_KERNEL && n->n_in <= 8);
        for (int i = 0; i < n->n_in; i++)
            in[i] = n->in[i]->data ? n->in[i]->data : value[n->in[i]->id];
        CHECK_EQ(kernel_interpret(&m->sx, n->kernel, in, &out, no_dim, NULL, d), OK);
        value[n->out[0]->id] = out;
    }
    return value[m->main->result[0]->id];
}

static double farthest(int channels, int size, double *largest)
{
    Run *r = run_new();
    uint64_t state = 5, other = 9;
    Module *m[2];
    const Tensor *y[2];
    double most = 0;

    for (int i = 0; i < 2; i++) {
        MathRule rule = {.how = i ? MATH_WINOGRAD : MATH_EXACT};
        PassOptions o = {.level = 2, .bisect = -1, .math = &rule, .n_math = 1};
        const char *text =
            arena_printf(r->arena,
                         "input %%x : f32[1,%d,%d,%d]\nconst %%w : f32[%d,%d,3,3] {0 ...}\n"
                         "%%y = Conv(%%x, %%w) {pads=ints [1,1,1,1]}\noutput %%y",
                         channels, size, size, channels, channels);
        CHECK_EQ(graph_parse(r->arena, text, "near", &m[i], &r->diag), OK);
        state = 5;
        Node *n = m[i]->main->first;
        n->in[1]->data = random_tensor(r->arena, &n->in[1]->type, &state);
        CHECK_EQ(pass_run_all(m[i], &o, &r->diag), OK);
        CHECK_EQ(count_labels(m[i], "winograd products"), i);
        other = 9;
        y[i] = interpreted(r->arena, m[i],
                           random_tensor(r->arena, &m[i]->main->arg[0]->type, &other), &r->diag);
    }
    *largest = 0;
    for (int64_t i = 0; i < y[0]->count; i++) {
        double a = tensor_double(y[0], i), apart = fabs(a - tensor_double(y[1], i));
        if (apart > most) most = apart;
        if (fabs(a) > *largest) *largest = fabs(a);
    }
    arena_free(r->arena);
    return most;
}

static void near_to_exact(void)
{
    double largest, apart = farthest(16, 12, &largest);

    CHECK(apart > 0 && apart < 1e-5 * largest);
    CHECK(farthest(36, 6, &largest) < 1e-5 * largest);
}

int main(void)
{
    static void (*const groups[])(Run *) = {convolutions};

    graph_run_groups(1, groups, 8, false);
    near_to_exact();
    return check_result();
}
