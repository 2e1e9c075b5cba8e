/* kernel_interp.c: kernels run point by point, straight from kernel.h: the oracle of backends. Slow
 * on purpose. */
#include "ir/kernel.h"

#include <string.h>

#include "ir/op.h"

typedef struct Interp {
    SxTable *t;
    const Kernel *k;
    const Tensor *const *in;
    Tensor **local; /* [n_stage]: first result of each stage */
    DimBinding dim;
    void *context;
    Diag *diag;
    int64_t index[2 * MAX_RANK];
    Status failed;
} Interp;

static bool bind_dim(void *context, Dim symbol, int64_t *value)
{
    Interp *x = context;
    return x->dim(x->context, symbol, value);
}

static uint64_t load(void *context, const Sx *e, const int64_t *idx)
{
    Interp *x = context;
    const Tensor *t = e->src >= 0 ? x->in[e->src] : x->local[~e->src];
    int64_t at = 0, stride = 1;

    if (e->flat) {
        at = idx[0];
    } else {
        for (int i = t->rank - 1; i >= 0; i--) {
            if (idx[i] < 0 || idx[i] >= t->dim[i]) at = INT64_MIN / 2;
            at += idx[i] * stride;
            stride *= t->dim[i];
        }
    }
    if (at < 0 || at >= t->count) {
        x->failed = diag(x->diag, ERR_BUG, (Where){.node = x->k->label},
                         "a load of operand %d is out of bounds", e->src);
        return 0;
    }
    return dtype_is_int(e->dtype) ? (uint64_t)dtype_load_int(t->dtype, tensor_at(t, at))
                                  : dtype_load_bits(t->dtype, tensor_at(t, at));
}

static void data_error(void *context, const Sx *check, int64_t index, int64_t extent)
{
    Interp *x = context;

    x->failed = diag(x->diag, ERR_MODEL, (Where){.node = x->k->label},
                     "index %lld of operand %d is out of range for an axis of %lld",
                     (long long)index, check->src, (long long)extent);
}

static uint64_t value(Interp *x, const Sx *e, const uint64_t *acc)
{
    SxEnv env = {.index = x->index,
                 .acc = acc,
                 .dim = bind_dim,
                 .load = load,
                 .fail = data_error,
                 .context = x};
    return sx_eval(x->t, e, &env);
}

/* acc (+) x on bits, by the scalar expression of the monoid. */
static uint64_t combine(Interp *x, Monoid m, DType d, uint64_t acc, uint64_t v)
{
    const Sx *e = monoid_combine(x->t, m, sx_acc(x->t, 0, d), sx_acc(x->t, 1, d));
    return value(x, e, (uint64_t[]){acc, v});
}

static bool is_arg(Monoid m)
{
    return m >= MONOID_ARGMIN_FIRST;
}

/* Whether v beats best; NaN beats all, the first NaN stays unless `last`. */
static bool beats(Interp *x, Monoid m, DType d, uint64_t best, uint64_t v)
{
    const Sx *b = sx_acc(x->t, 0, d), *a = sx_acc(x->t, 1, d);
    bool last = m == MONOID_ARGMIN_LAST || m == MONOID_ARGMAX_LAST;
    bool least = m == MONOID_ARGMIN_FIRST || m == MONOID_ARGMIN_LAST;
    uint64_t acc[] = {best, v};
    const Sx *better = least ? sx_lt(x->t, a, b) : sx_lt(x->t, b, a);

    if (value(x, sx_ne(x->t, b, b), acc)) return last && value(x, sx_ne(x->t, a, a), acc);
    if (value(x, sx_ne(x->t, a, a), acc)) return true;
    if (value(x, better, acc)) return true;
    return last && value(x, sx_eq(x->t, a, b), acc);
}

typedef struct Running {
    uint64_t lane[64]; /* CHAIN uses lane 0 */
    uint64_t best;     /* ARG: the body's best value */
    bool any;
} Running;

static void running_start(const Acc *a, Running *r)
{
    for (int i = 0; i < 64; i++)
        r->lane[i] = monoid_identity(a->monoid, a->dtype);
    r->any = false;
}

static void running_add(Interp *x, const Acc *a, Running *r, int lane, int64_t point)
{
    uint64_t v = value(x, a->body, NULL);

    if (is_arg(a->monoid)) {
        if (!r->any || beats(x, a->monoid, a->body->dtype, r->best, v)) {
            r->best = v;
            r->lane[0] = (uint64_t)point;
        }
        r->any = true;
    } else if (a->monoid == MONOID_DOT) {
        uint64_t w = value(x, a->body2, NULL);
        const Sx *e = sx_fma(x->t, sx_acc(x->t, 0, a->dtype), sx_acc(x->t, 1, a->dtype),
                             sx_acc(x->t, 2, a->dtype));
        r->lane[lane] = value(x, e, (uint64_t[]){v, w, r->lane[lane]});
    } else {
        r->lane[lane] = combine(x, a->monoid, a->dtype, r->lane[lane], v);
    }
}

static uint64_t running_end(Interp *x, const Acc *a, Running *r, SumOrder order)
{
    Monoid m = a->monoid == MONOID_DOT ? MONOID_SUM : a->monoid;

    for (int half = 32; order == ORDER_LANES64 && !is_arg(m) && half; half /= 2)
        for (int i = 0; i < half; i++)
            r->lane[i] = combine(x, m, a->dtype, r->lane[i], r->lane[i + half]);
    return r->lane[0];
}

static bool extents(Interp *x, int n, const Dim *d, int64_t *out)
{
    for (int i = 0; i < n; i++)
        if (!dim_eval(d[i], bind_dim, x, &out[i])) {
            x->failed =
                diag(x->diag, ERR_BUG, (Where){.node = x->k->label}, "an extent is unknown");
            return false;
        }
    return true;
}

static bool none(int n, const int64_t *d)
{
    for (int i = 0; i < n; i++)
        if (d[i] <= 0) return true;
    return false;
}

static void reduce_point(Interp *x, const Stage *s, const int64_t *reduce, Running *run,
                         uint64_t *acc)
{
    int64_t point = 0;

    for (int a = 0; a < s->n_acc; a++)
        running_start(&s->acc[a], &run[a]);
    memset(x->index + s->rank, 0, sizeof(int64_t) * (size_t)s->n_reduce);
    if (!none(s->n_reduce, reduce)) do {
            int64_t last = s->n_reduce ? x->index[s->rank + s->n_reduce - 1] : 0;
            int lane = s->order == ORDER_LANES64 ? (int)(last % 64) : 0;

            for (int a = 0; a < s->n_acc; a++)
                running_add(x, &s->acc[a], &run[a], lane, point);
            point++;
        } while (eval_next(s->n_reduce, reduce, x->index + s->rank));
    for (int a = 0; a < s->n_acc; a++)
        acc[a] = running_end(x, &s->acc[a], &run[a], s->order);
}

static void store(Tensor *t, int64_t at, uint64_t bits)
{
    if (dtype_is_int(t->dtype))
        dtype_store_int(t->dtype, tensor_at(t, at), (int64_t)bits);
    else
        dtype_store_bits(t->dtype, tensor_at(t, at), bits);
}

static Monoid monoid_of(Combine c)
{
    switch (c) {
    case COMBINE_SET:
    case COMBINE_ADD:
    case COMBINE_PLACE:
        return MONOID_SUM;
    case COMBINE_MUL:
        return MONOID_PROD;
    case COMBINE_MIN:
        return MONOID_MIN;
    case COMBINE_MAX:
        return MONOID_MAX;
    }
    return MONOID_SUM;
}

static void scatter(Interp *x, const StageOut *o, Tensor *t, const uint64_t *acc)
{
    int64_t at = 0;
    uint64_t v;

    if (o->dst_guard && !value(x, o->dst_guard, acc)) return;
    for (int i = 0; i < o->n_dst; i++) {
        int64_t q = (int64_t)value(x, o->dst[i], acc) + (o->before ? o->before[i] : 0);
        if (q < 0 || q >= t->dim[i]) {
            x->failed =
                diag(x->diag, ERR_BUG, (Where){.node = x->k->label}, "a store is out of bounds");
            return;
        }
        at = at * t->dim[i] + q;
    }
    v = value(x, o->value, acc);
    if (o->combine != COMBINE_SET && o->combine != COMBINE_PLACE) {
        DType d = compute_dtype(t->dtype);
        uint64_t old = dtype_is_int(t->dtype) ? (uint64_t)dtype_load_int(t->dtype, tensor_at(t, at))
                                              : dtype_load_bits(t->dtype, tensor_at(t, at));
        const Sx *e =
            monoid_combine(x->t, monoid_of(o->combine), sx_cast(x->t, sx_acc(x->t, 0, t->dtype), d),
                           sx_cast(x->t, sx_acc(x->t, 1, t->dtype), d));
        v = value(x, sx_cast(x->t, e, t->dtype), (uint64_t[]){old, v});
    }
    store(t, at, v);
}

/* The element of a framed result that the current point is. */
static int64_t framed(const Interp *x, const StageOut *o, const Tensor *t)
{
    int64_t at = 0;

    for (int i = 0; i < t->rank; i++)
        at = at * t->dim[i] + x->index[i] + o->before[i];
    return at;
}

static void write_results(Interp *x, const Stage *s, Tensor *const *out, int64_t point, int stage,
                          const uint64_t *acc)
{
    for (int j = 0; j < s->n_out; j++) {
        const StageOut *o = &s->out[j];
        Tensor *t = o->result >= 0 ? out[o->result] : x->local[stage];

        if (o->dst)
            scatter(x, o, t, acc);
        else
            store(t, o->before ? framed(x, o, t) : point, value(x, o->value, acc));
        if (j == 0 && !o->dst && o->result >= 0 && x->local[stage] && x->local[stage] != t)
            store(x->local[stage], point, value(x, o->value, acc));
    }
}

/* Running value along the axis: the whole axis again for each point, up to it. */
static void scan_point(Interp *x, const Stage *s, Running *run, uint64_t *acc)
{
    int64_t own = x->index[s->scan_axis];

    for (int a = 0; a < s->n_acc; a++)
        running_start(&s->acc[a], &run[a]);
    for (int64_t i = 0; i <= own; i++) {
        x->index[s->scan_axis] = i;
        for (int a = 0; a < s->n_acc; a++)
            running_add(x, &s->acc[a], &run[a], 0, i);
    }
    x->index[s->scan_axis] = own;
    for (int a = 0; a < s->n_acc; a++)
        acc[a] = run[a].lane[0];
}

/* The border around the points, but along axes where others write. */
static void clear_frame(Interp *x, const Stage *s, const StageOut *o, Tensor *t)
{
    size_t size = (size_t)dtype_bytes(t->dtype);

    for (int64_t e = 0; e < t->count; e++) {
        int64_t left = e;
        bool border = false;
        for (int i = t->rank - 1; i >= 0; i--) {
            int64_t at = left % t->dim[i] - o->before[i], n = 0;
            left /= t->dim[i];
            if (o->open >> i & 1) continue;
            if (!dim_eval(s->extent[i], x->dim, x->context, &n)) continue;
            border |= at < 0 || at >= n;
        }
        if (border) memset((char *)t->data + (size_t)e * size, (uint8_t)o->border, size);
    }
}

static void run_stage(Interp *x, const Stage *s, int stage, Tensor *const *out, Arena *a)
{
    int64_t domain[MAX_RANK], reduce[MAX_RANK], point = 0;
    Running *run = ARENA_ARRAY(a, Running, s->n_acc);
    uint64_t *acc = ARENA_ARRAY(a, uint64_t, s->n_acc);

    if (!extents(x, s->rank, s->extent, domain) || !extents(x, s->n_reduce, s->reduce, reduce))
        return;
    for (int j = 0; j < s->n_out; j++)
        if (s->out[j].dst && s->out[j].init >= 0 && out[s->out[j].result]->bytes)
            memcpy(out[s->out[j].result]->data, x->in[s->out[j].init]->data,
                   out[s->out[j].result]->bytes);
    for (int j = 0; j < s->n_out; j++)
        if (s->out[j].before && s->out[j].dst)
            memset(out[s->out[j].result]->data, 0, out[s->out[j].result]->bytes);
        else if (s->out[j].before)
            clear_frame(x, s, &s->out[j], out[s->out[j].result]);
    x->local[stage] = s->out[0].result >= 0 && !s->out[0].dst
                          ? out[s->out[0].result]
                          : tensor_new(a, s->out[0].dtype, s->rank, domain);
    if (!x->local[stage]) {
        x->failed = diag(x->diag, ERR_LIMIT, (Where){0}, "out of memory");
        return;
    }
    if (none(s->rank, domain)) return;
    memset(x->index, 0, sizeof x->index);
    do {
        if (s->scan_axis >= 0)
            scan_point(x, s, run, acc);
        else
            reduce_point(x, s, reduce, run, acc);
        write_results(x, s, out, point++, stage, acc);
    } while (x->failed == OK && eval_next(s->rank, domain, x->index));
}

Status kernel_interpret(SxTable *t, const Kernel *k, const Tensor *const *in, Tensor *const *out,
                        DimBinding dim, void *context, Diag *d)
{
    Arena *a = arena_new(0);
    Interp x = {.t = t, .k = k, .in = in, .dim = dim, .context = context, .diag = d};

    if (!a) return diag(d, ERR_LIMIT, (Where){0}, "out of memory");
    x.local = ARENA_ARRAY(a, Tensor *, k->n_stage);
    for (int i = 0; i < k->n_stage && x.failed == OK; i++)
        run_stage(&x, &k->stage[i], i, out, a);
    arena_free(a);
    return x.failed;
}
