/* cpu_bf16_test.c: sums of products of bf16 as the pass bf16 leaves them (matrices, windows,
 * frames, residuals, second results, operands that a target cannot take in pairs): compiled kernels
 * at every level of this machine, and plain C, give the bits of kernel_interpret. Where pairs are
 * added at once, in an order of the target's own, numbers are small and whole: no sum rounds. */
#include "tests/unit/graph_run.h"

/* Sums that read bf16. */
static int count_sums(const Module *m)
{
    int n = 0;

    for (const Node *k = m->main->first; k; k = k->next) {
        const Stage *s = k->kernel ? &k->kernel->stage[0] : NULL;
        const Sx *e = s && s->n_acc ? s->acc[0].body : NULL;
        n += e && e->op == SX_CAST && e->arg[0]->dtype == DT_BF16;
    }
    return n;
}

/* `taken`: sums that the pass takes. */
static void add(Run *r, const char *name, int taken, const char *text)
{
    int n = r->n;

    graph_add_as(r, name, MATH_BF16, text);
    if (r->n > n) CHECK_EQ(count_sums(r->cases[n].module), taken);
}

#define ADD(name, taken, ...) add(r, name, taken, arena_printf(r->arena, DIMS __VA_ARGS__))

static void matrices(Run *r)
{
    r->pairs = true;
    ADD("matmul", 1,
        "input %%x : f32[33,64]\nconst %%w : f32[64,50] {0 ...}\n"
        "%%y = MatMul(%%x, %%w)\noutput %%y");
    ADD("open rows", 1,
        "input %%x : f32[m,64]\nconst %%w : f32[64,70] {0 ...}\n"
        "%%y = MatMul(%%x, %%w)\noutput %%y");
    ADD("odd k", 0,
        "input %%x : f32[33,65]\nconst %%w : f32[65,50] {0 ...}\n"
        "%%y = MatMul(%%x, %%w)\noutput %%y");
    ADD("short k", 0,
        "input %%x : f32[33,16]\nconst %%w : f32[16,50] {0 ...}\n"
        "%%y = MatMul(%%x, %%w)\noutput %%y");
    ADD("inputs alone", 0,
        "input %%x : f32[33,64]\ninput %%w : f32[64,50]\n"
        "%%y = MatMul(%%x, %%w)\noutput %%y");
    ADD("two layers and a residual", 2,
        "input %%x : f32[m,64]\nconst %%w : f32[64,64] {0 ...}\nconst %%v : f32[64,64] {0 ...}\n"
        "const %%c : f32[64] {0 ...}\n"
        "%%h = MatMul(%%x, %%w)\n%%i = Add(%%h, %%c)\n%%j = Relu(%%i)\n"
        "%%k = MatMul(%%j, %%v)\n%%y = Add(%%k, %%x)\noutput %%y\noutput %%j");
}

static void windows(Run *r)
{
    ADD("3x3", 1,
        "input %%x : f32[1,8,9,11]\nconst %%w : f32[20,8,3,3] {0 ...}\n"
        "%%y = Conv(%%x, %%w) {pads=ints [1,1,1,1]}\noutput %%y");
    ADD("3x3 of odd channels", 0,
        "input %%x : f32[1,9,9,11]\nconst %%w : f32[20,9,3,3] {0 ...}\n"
        "%%y = Conv(%%x, %%w) {pads=ints [1,1,1,1]}\noutput %%y");
    ADD("framed, by 2, with residual", 2,
        "input %%x : f32[b,16,9,11]\nconst %%w : f32[16,16,3,3] {0 ...}\n"
        "const %%c : f32[16] {0 ...}\nconst %%v : f32[16,16,3,3] {0 ...}\n"
        "%%h = Conv(%%x, %%w, %%c) {pads=ints [1,1,1,1]}\n%%g = Relu(%%h)\n"
        "%%i = Conv(%%g, %%v, %%c) {pads=ints [1,1,1,1], strides=ints [2,2]}\n"
        "%%y = Relu(%%i)\n%%z = Add(%%g, %%x)\noutput %%y\noutput %%z");
}

int main(void)
{
    static void (*const groups[])(Run *) = {matrices, windows};

    graph_run_groups(2, groups, 9, true);
    return check_result();
}
