/* cost.c: work of kernels. Arithmetic of indices is not counted: it is no work of the model's. */
#include "cli/cost.h"

typedef struct Arithmetic {
    int count;
} Arithmetic;

static bool is_work(const Sx *e)
{
    if (e->op == SX_CONST || e->op == SX_INDEX || e->op == SX_DIM || e->op == SX_ACC ||
        e->op == SX_LOAD || e->op == SX_CHECK)
        return false;
    return dtype_is_float(e->dtype) && e->op != SX_SELECT && e->op != SX_CAST &&
           e->op != SX_BITCAST;
}

static void count_one(void *context, const Sx *e)
{
    Arithmetic *a = context;

    a->count += is_work(e) * (e->op == SX_FMA ? 2 : 1);
}

static int arithmetic(const Module *m, const Sx *e)
{
    Arithmetic a = {0};

    if (e) sx_visit((SxTable *)(uintptr_t)&m->sx, e, count_one, &a);
    return a.count;
}

static double product(int n, const Dim *dim, DimBinding binding, void *context, bool *exact)
{
    double p = 1;

    for (int i = 0; i < n; i++) {
        int64_t v;
        if (!dim_eval(dim[i], binding, context, &v)) {
            *exact = false;
            v = 1;
        }
        p *= (double)v;
    }
    return p;
}

/* Of an operand of a sum: once for each of its elements, however many products have it. */
static double work_of_operand(const Module *m, const Stage *s, const Sx *e, DimBinding binding,
                              void *context, bool *exact)
{
    double n = e ? arithmetic(m, e) : 0;

    for (int i = 0; n > 0 && i < s->rank + s->n_reduce; i++) {
        const Dim *d = i < s->rank ? &s->extent[i] : &s->reduce[i - s->rank];
        if (sx_uses_index((SxTable *)(uintptr_t)&m->sx, e, i))
            n *= product(1, d, binding, context, exact);
    }
    return n;
}

static double work_of_stage(const Module *m, const Stage *s, DimBinding binding, void *context,
                            bool *exact)
{
    double points = product(s->rank, s->extent, binding, context, exact);
    double reduced = points * product(s->n_reduce, s->reduce, binding, context, exact), sum = 0;

    for (int i = 0; i < s->n_acc; i++) {
        const Acc *a = &s->acc[i];
        int own = dtype_is_float(a->dtype) ? (a->monoid == MONOID_DOT ? 2 : 1) : 0;
        sum += reduced * own + work_of_operand(m, s, a->body, binding, context, exact) +
               work_of_operand(m, s, a->body2, binding, context, exact);
    }
    for (int i = 0; i < s->n_out; i++)
        sum += points * arithmetic(m, s->out[i].value);
    return sum;
}

static double bytes_of(const Value *v, DimBinding binding, void *context, bool *exact)
{
    if (!v || v->type.kind != TYPE_TENSOR || v->type.rank < 0) return 0;
    return dtype_bytes(v->type.dtype) * product(v->type.rank, v->type.dim, binding, context, exact);
}

Cost cost_of_kernel(const Module *m, const Node *n, DimBinding binding, void *context)
{
    Cost c = {.exact = n->parent->holder == NULL};

    for (int i = 0; i < n->kernel->n_stage; i++)
        c.flops += work_of_stage(m, &n->kernel->stage[i], binding, context, &c.exact);
    for (int i = 0; i < n->n_in; i++)
        c.bytes += bytes_of(n->in[i], binding, context, &c.exact);
    for (int i = 0; i < n->n_out; i++)
        c.bytes += bytes_of(n->out[i], binding, context, &c.exact);
    return c;
}

typedef struct Sum {
    const Module *m;
    DimBinding binding;
    void *context;
    Cost cost;
} Sum;

static Status add(void *context, Node *n)
{
    Sum *s = context;
    Cost c;

    if (n->kind == NODE_CALL) s->cost.exact = false;
    if (n->kind != NODE_KERNEL) return OK;
    c = cost_of_kernel(s->m, n, s->binding, s->context);
    s->cost.flops += c.flops;
    s->cost.bytes += c.bytes;
    s->cost.exact = s->cost.exact && c.exact;
    return OK;
}

Cost cost_of_module(Module *m, DimBinding binding, void *context)
{
    Sum s = {.m = m, .binding = binding, .context = context, .cost = {.exact = true}};

    if (module_visit(m, add, &s) != OK) s.cost.exact = false;
    return s.cost;
}
