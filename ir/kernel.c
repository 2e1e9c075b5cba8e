/* kernel.c: what can be asked of a kernel: its class, its contraction, the monoids. */
#include "ir/kernel.h"

#include <string.h>

const char *monoid_text(Monoid m)
{
    static const char *const text[] = {
        [MONOID_SUM] = "sum",
        [MONOID_DOT] = "dot",
        [MONOID_PROD] = "prod",
        [MONOID_MIN] = "min",
        [MONOID_MAX] = "max",
        [MONOID_MAX_NUMBER] = "max_number",
        [MONOID_AND] = "and",
        [MONOID_OR] = "or",
        [MONOID_ARGMIN_FIRST] = "argmin",
        [MONOID_ARGMIN_LAST] = "argmin_last",
        [MONOID_ARGMAX_FIRST] = "argmax",
        [MONOID_ARGMAX_LAST] = "argmax_last",
    };
    return text[m];
}

const char *kernel_class_text(KernelClass c)
{
    static const char *const text[] = {
        [KERNEL_MAP] = "map",       [KERNEL_VIEW] = "view",       [KERNEL_GATHER] = "gather",
        [KERNEL_REDUCE] = "reduce", [KERNEL_WINDOW] = "window",   [KERNEL_CONTRACT] = "contract",
        [KERNEL_SCAN] = "scan",     [KERNEL_SCATTER] = "scatter", [KERNEL_ROW] = "row",
    };
    return text[c];
}

/* The least and greatest value of a dtype, as bits. */
static uint64_t extreme_bits(DType d, bool least)
{
    int bits = dtype_bits(d);

    if (d == DT_F32) return least ? 0xff800000u : 0x7f800000u;
    if (d == DT_F64) return least ? 0xfff0000000000000u : 0x7ff0000000000000u;
    if (d == DT_BOOL) return least ? 0 : 1;
    if (dtype_is_signed(d)) {
        int64_t top = (int64_t)(UINT64_MAX >> (65 - bits));
        return (uint64_t)(least ? -top - 1 : top);
    }
    return least ? 0 : UINT64_MAX >> (64 - bits);
}

uint64_t monoid_identity(Monoid m, DType d)
{
    switch (m) {
    case MONOID_SUM:
    case MONOID_DOT:
    case MONOID_OR:
    case MONOID_ARGMIN_FIRST:
    case MONOID_ARGMIN_LAST:
    case MONOID_ARGMAX_FIRST:
    case MONOID_ARGMAX_LAST:
        return 0;
    case MONOID_AND:
        return 1;
    case MONOID_PROD:
        return d == DT_F32 ? 0x3f800000u : d == DT_F64 ? 0x3ff0000000000000u : 1;
    case MONOID_MIN:
        return extreme_bits(d, false);
    case MONOID_MAX:
    case MONOID_MAX_NUMBER:
        return extreme_bits(d, true);
    }
    return 0;
}

const Sx *monoid_combine(SxTable *t, Monoid m, const Sx *acc, const Sx *x)
{
    switch (m) {
    case MONOID_SUM:
        return sx_add(t, acc, x);
    case MONOID_PROD:
        return sx_mul(t, acc, x);
    case MONOID_MIN:
        return sx_min(t, acc, x);
    case MONOID_MAX:
        return sx_max(t, acc, x);
    case MONOID_MAX_NUMBER:
        return sx_select(t, sx_lt(t, acc, x), x, acc);
    case MONOID_AND:
        return sx_and(t, acc, x);
    case MONOID_OR:
        return sx_or(t, acc, x);
    case MONOID_DOT:
    case MONOID_ARGMIN_FIRST:
    case MONOID_ARGMIN_LAST:
    case MONOID_ARGMAX_FIRST:
    case MONOID_ARGMAX_LAST:
        return NULL;
    }
    return NULL;
}

/* ---- classes ---- */

typedef struct LoadScan {
    SxTable *t;
    int rank;   /* of the domain */
    bool away;  /* a load whose indices are not domain indices or constants in order */
    bool mixed; /* a load with one index that uses domain and reduction indices */
} LoadScan;

static void scan_index(LoadScan *s, const Sx *e, int n_total)
{
    bool domain = false, reduction = false;

    for (int k = 0; k < n_total; k++)
        if (sx_uses_index(s->t, e, k)) {
            if (k < s->rank)
                domain = true;
            else
                reduction = true;
        }
    s->mixed |= domain && reduction;
}

static void scan_load(void *context, const Sx *e)
{
    LoadScan *s = context;
    int last = -1;

    if (e->op == SX_CHECK) s->away = true;
    if (e->op != SX_LOAD) return;
    if (e->flat || e->guarded) s->away = true;
    for (int i = 0; i < e->n - (e->guarded ? 1 : 0); i++) {
        const Sx *x = e->arg[i];
        if (x->op == SX_INDEX && x->index > last)
            last = x->index;
        else if (x->op != SX_CONST)
            s->away = true;
        scan_index(s, x, s->rank + MAX_RANK);
    }
}

KernelClass kernel_class(SxTable *t, const Kernel *k)
{
    const Stage *s = &k->stage[0];
    LoadScan scan = {.t = t, .rank = s->rank};

    if (k->n_stage > 1) return KERNEL_ROW;
    if (s->scan_axis >= 0) return KERNEL_SCAN;
    for (int i = 0; i < s->n_out; i++)
        if (s->out[i].dst) return KERNEL_SCATTER;
    if (s->n_acc) {
        if (s->n_acc == 1 && s->acc[0].monoid == MONOID_DOT) return KERNEL_CONTRACT;
        for (int i = 0; i < s->n_acc; i++)
            sx_visit(t, s->acc[i].body, scan_load, &scan);
        return scan.mixed ? KERNEL_WINDOW : KERNEL_REDUCE;
    }
    for (int i = 0; i < s->n_out; i++)
        sx_visit(t, s->out[i].value, scan_load, &scan);
    if (s->n_out == 1 && s->out[0].value->op == SX_LOAD) return KERNEL_VIEW;
    return scan.away ? KERNEL_GATHER : KERNEL_MAP;
}

/* ---- contraction ---- */

bool kernel_contraction(SxTable *t, const Stage *s, Contraction *out)
{
    uint32_t in_a = 0, in_b = 0;
    int n_side = -1;

    if (s->n_acc != 1 || s->acc[0].monoid != MONOID_DOT || s->scan_axis >= 0) return false;
    for (int i = 0; i < s->rank; i++) {
        in_a |= (uint32_t)sx_uses_index(t, s->acc[0].body, i) << i;
        in_b |= (uint32_t)sx_uses_index(t, s->acc[0].body2, i) << i;
    }
    for (int i = s->rank - 1; i >= 0 && n_side < 0; i--)
        if (dim_is(s->extent[i], 1))
            continue;
        else if ((in_a ^ in_b) >> i & 1)
            n_side = i;
    memset(out, 0, sizeof *out);
    out->swapped = n_side >= 0 && (in_a >> n_side & 1);
    for (int i = 0; i < s->rank; i++) {
        bool a = in_a >> i & 1, b = in_b >> i & 1;
        if (a == b)
            out->batch |= 1u << i;
        else if (a != out->swapped)
            out->m |= 1u << i;
        else
            out->n |= 1u << i;
    }
    out->size_batch = out->size_m = out->size_n = dim_const(t->dims, 1);
    for (int i = 0; i < s->rank; i++) {
        Dim *to = out->batch >> i & 1 ? &out->size_batch
                  : out->m >> i & 1   ? &out->size_m
                                      : &out->size_n;
        *to = dim_mul(t->dims, *to, s->extent[i]);
    }
    out->size_k = dim_product(t->dims, s->n_reduce, s->reduce);
    return true;
}
