/* cpu_host_dim.c: dims in the host program: evaluated as i64 with overflow noticed, symbols bound
 * and checked.
 *
 * Dims come from the data of whoever runs the model. So sums and products are the checked ones of
 * LLVM (unless operands are constants); what went wrong is gathered in h->overflow and ends the run
 * before a size is used. */
#include "codegen/cpu/cpu_host.h"

#include "support/vec.h"

static LLVMValueRef checked(Host *h, const char *name, LLVMValueRef a, LLVMValueRef b)
{
    LLVMBuilderRef b_ = h->m->b;
    LLVMValueRef pair =
        cpu_intrinsic(h->m, name, 1, (LLVMTypeRef[]){h->m->i64}, 2, (LLVMValueRef[]){a, b});
    LLVMValueRef bad = LLVMBuildExtractValue(b_, pair, 1, "");

    h->overflow = h->overflow ? LLVMBuildOr(b_, h->overflow, bad, "") : bad;
    return LLVMBuildExtractValue(b_, pair, 0, "");
}

static bool constant(LLVMValueRef v, int64_t *out)
{
    if (!LLVMIsAConstantInt(v)) return false;
    *out = (int64_t)LLVMConstIntGetSExtValue(v);
    return true;
}

LLVMValueRef host_mul(Host *h, LLVMValueRef a, LLVMValueRef b)
{
    int64_t x, y;

    if (constant(a, &x) && x == 1) return b;
    if (constant(b, &y) && y == 1) return a;
    if (constant(a, &x) && constant(b, &y) && !__builtin_mul_overflow(x, y, &x))
        return host_i64(h, x);
    return checked(h, "llvm.smul.with.overflow", a, b);
}

LLVMValueRef host_add(Host *h, LLVMValueRef a, LLVMValueRef b)
{
    int64_t x, y;

    if (constant(a, &x) && x == 0) return b;
    if (constant(b, &y) && y == 0) return a;
    if (constant(a, &x) && constant(b, &y) && !__builtin_add_overflow(x, y, &x))
        return host_i64(h, x);
    return checked(h, "llvm.sadd.with.overflow", a, b);
}

void host_check(Host *h, int origin)
{
    LLVMValueRef bad = h->overflow;

    h->overflow = NULL;
    if (bad) host_fail_if(h, bad, INGOT_ERR_LIMIT, origin, "a size is too large", NULL, NULL);
}

static LLVMValueRef compare(Host *h, LLVMIntPredicate p, LLVMValueRef a, LLVMValueRef b)
{
    return LLVMBuildICmp(h->m->b, p, a, b, "");
}

static LLVMValueRef choose(Host *h, LLVMValueRef c, LLVMValueRef a, LLVMValueRef b)
{
    return LLVMBuildSelect(h->m->b, c, a, b, "");
}

/* a / b toward minus infinity, and a - b * (a / b); by 0 both are 0. INT64_MIN / -1 does not come
 * up: -1 is divided by as a product. */
static LLVMValueRef floor_divide(Host *h, LLVMValueRef a, LLVMValueRef b, bool remainder)
{
    LLVMBuilderRef bu = h->m->b;
    LLVMValueRef zero = host_i64(h, 0), one = host_i64(h, 1);
    LLVMValueRef by_zero = compare(h, LLVMIntEQ, b, zero);
    LLVMValueRef by_minus = compare(h, LLVMIntEQ, b, host_i64(h, -1));
    LLVMValueRef safe = choose(h, LLVMBuildOr(bu, by_zero, by_minus, ""), one, b);
    LLVMValueRef q = LLVMBuildSDiv(bu, a, safe, ""), r = LLVMBuildSRem(bu, a, safe, "");
    LLVMValueRef odd = compare(h, LLVMIntNE, r, zero);
    LLVMValueRef unlike = compare(h, LLVMIntSLT, LLVMBuildXor(bu, r, safe, ""), zero);
    LLVMValueRef down = LLVMBuildAnd(bu, odd, unlike, "");

    if (remainder) {
        r = LLVMBuildAdd(bu, r, choose(h, down, safe, zero), "");
        return choose(h, by_zero, zero, r);
    }
    q = LLVMBuildSub(bu, q, LLVMBuildZExt(bu, down, h->m->i64, ""), "");
    q = choose(h, by_minus, LLVMBuildNeg(bu, a, ""), q);
    return choose(h, by_zero, zero, q);
}

static LLVMValueRef symbol_value(Host *h, Dim d)
{
    LLVMValueRef slot = map_get(&h->symbols, d);

    if (slot) return host_load(h, h->m->i64, slot);
    host_bug(h, NULL, arena_printf(h->arena, "dim '%s' is read before it is known", d->name));
    return host_i64(h, 0);
}

static LLVMValueRef polynomial(Host *h, Dim d)
{
    LLVMValueRef sum = host_i64(h, 0);

    for (int i = 0; i < d->n_term; i++) {
        LLVMValueRef product = host_i64(h, d->term[i].coef);
        for (int k = 0; k < d->term[i].n; k++)
            product = host_mul(h, product, host_dim(h, d->term[i].atom[k]));
        sum = host_add(h, sum, product);
    }
    return sum;
}

LLVMValueRef host_dim(Host *h, Dim d)
{
    LLVMValueRef a, b;

    switch (d->kind) {
    case DIM_CONST:
        return host_i64(h, d->value);
    case DIM_SYM:
        return symbol_value(h, d);
    case DIM_POLY:
        return polynomial(h, d);
    case DIM_DIV:
    case DIM_MOD:
        a = host_dim(h, d->a);
        b = host_dim(h, d->b);
        return floor_divide(h, a, b, d->kind == DIM_MOD);
    case DIM_MIN:
    case DIM_MAX:
        a = host_dim(h, d->a);
        b = host_dim(h, d->b);
        return choose(h, compare(h, d->kind == DIM_MIN ? LLVMIntSLT : LLVMIntSGT, a, b), a, b);
    }
    return host_i64(h, 0);
}

bool host_is_bound(const Host *h, Dim symbol)
{
    return map_has(&h->symbols, symbol);
}

void host_bind(Host *h, Dim symbol, LLVMValueRef value, int code, int origin, const char *text)
{
    LLVMValueRef slot = map_get(&h->symbols, symbol);
    LLVMValueRef bad = NULL, low, high;
    int64_t known;

    if (!slot) {
        slot = host_slot(h, h->m->i64, 1);
        map_set(&h->symbols, symbol, slot);
    }
    if (constant(value, &known) && known >= symbol->lo && known <= symbol->hi) {
        host_store(h, value, slot);
        return;
    }
    if (symbol->lo > INT64_MIN) bad = compare(h, LLVMIntSLT, value, host_i64(h, symbol->lo));
    if (symbol->hi < INT64_MAX) {
        high = compare(h, LLVMIntSGT, value, host_i64(h, symbol->hi));
        bad = bad ? LLVMBuildOr(h->m->b, bad, high, "") : high;
    }
    if (bad) {
        low = compare(h, LLVMIntSLT, value, host_i64(h, symbol->lo));
        host_fail_if(h, bad, code, origin, text, value,
                     choose(h, low, host_i64(h, symbol->lo), host_i64(h, symbol->hi)));
    }
    host_store(h, value, slot);
}

void host_require(Host *h, Dim expected, LLVMValueRef found, int code, int origin, const char *text)
{
    LLVMValueRef want = host_dim(h, expected);

    if (want == found) return;
    host_check(h, origin);
    host_fail_if(h, compare(h, LLVMIntNE, want, found), code, origin, text, found, want);
}

void host_require_dims(Host *h, const Value *v, int origin)
{
    for (int i = 0; i < v->type.rank; i++) {
        LLVMValueRef x;
        if (v->type.dim[i]->lo >= 0) continue;
        x = host_dim(h, v->type.dim[i]);
        host_check(h, origin);
        host_fail_if(h, compare(h, LLVMIntSLT, x, host_i64(h, 0)), INGOT_ERR_DATA, origin,
                     "dim %lld of a result would be %lld", host_i64(h, i), x);
    }
}

/* ---- symbols of the inputs ---- */

typedef struct InputDim {
    Dim dim;
    LLVMValueRef found;
    const char *input;
    int axis;
    bool done;
} InputDim;

typedef struct Unbound {
    const Host *host;
    Dim symbol;
    int count; /* distinct unbound symbols: 0, 1, or 2 for more */
} Unbound;

static void look_unbound(void *context, Dim symbol)
{
    Unbound *u = context;

    if (host_is_bound(u->host, symbol) || symbol == u->symbol) return;
    u->symbol = symbol;
    u->count++;
}

static void look_for(void *context, Dim symbol)
{
    Unbound *u = context;

    if (symbol == u->symbol) u->count++;
}

/* d = coef * symbol + rest with rest free of the symbol: the coefficient, or 0. */
static int64_t linear_in(Host *h, Dim d, Dim symbol, Dim *rest)
{
    Unbound u = {.symbol = symbol};

    if (d->kind != DIM_POLY) return 0;
    for (int i = 0; i < d->n_term; i++) {
        if (d->term[i].n != 1 || d->term[i].atom[0] != symbol) continue;
        *rest = dim_sub(&h->graph->dims, d, dim_mul_c(&h->graph->dims, symbol, d->term[i].coef));
        dim_symbols(*rest, look_for, &u);
        return u.count ? 0 : d->term[i].coef;
    }
    return 0;
}

static const char *message(Host *h, const InputDim *x, const char *what)
{
    Text t;

    text_init(&t, h->arena);
    text_put(&t, "input '");
    for (const char *s = x->input ? x->input : ""; *s; s++) {
        if (*s == '%') text_char(&t, '%');
        text_char(&t, *s);
    }
    text_f(&t, "': dim %d is %%lld, %s %%lld", x->axis, what);
    return t.s;
}

/* True when this dim needs no second look. */
static bool settle(Host *h, InputDim *x)
{
    Unbound u = {.host = h};
    Dim rest = NULL;
    int64_t coef;

    dim_symbols(x->dim, look_unbound, &u);
    if (u.count == 0) {
        host_require(h, x->dim, x->found, INGOT_ERR_USAGE, -1, message(h, x, "expected"));
        return true;
    }
    if (x->dim->kind == DIM_SYM) {
        host_bind(h, x->dim, x->found, INGOT_ERR_USAGE, -1, message(h, x, "the limit is"));
        return true;
    }
    coef = u.count == 1 ? linear_in(h, x->dim, u.symbol, &rest) : 0;
    if (!coef) return false;
    LLVMValueRef left = host_add(h, x->found, host_mul(h, host_dim(h, rest), host_i64(h, -1)));
    host_check(h, -1);
    host_bind(h, u.symbol, floor_divide(h, left, host_i64(h, coef), false), INGOT_ERR_USAGE, -1,
              message(h, x, "the limit is"));
    host_require(h, x->dim, x->found, INGOT_ERR_USAGE, -1, message(h, x, "expected"));
    return true;
}

void host_bind_inputs(Host *h)
{
    const Region *r = h->graph->main;
    InputDim *list = ARENA_ARRAY(h->arena, InputDim, r->n_arg * MAX_RANK);
    int n = 0;
    bool progress = true;

    for (int i = 0; i < r->n_arg; i++)
        for (int k = 0; k < r->arg[i]->type.rank; k++) {
            Dim d = r->arg[i]->type.dim[k];
            LLVMValueRef at;
            if (dim_is_const(d)) continue;
            at = host_gep_c(h, h->inputs, (int64_t)i * TENSOR_SIZE + TENSOR_DIMS + 8 * k);
            list[n++] = (InputDim){d, host_load(h, h->m->i64, at), r->arg[i]->name, k, false};
        }
    while (progress) {
        progress = false;
        for (int i = 0; i < n; i++)
            if (!list[i].done) progress |= list[i].done = settle(h, &list[i]);
    }
    for (int i = 0; i < n; i++)
        if (!list[i].done)
            host_unsupported(h, NULL,
                             arena_printf(h->arena,
                                          "input '%s': dim %d cannot be solved for its symbols",
                                          list[i].input, list[i].axis));
}
