/* nest_affine.c: addresses as linear forms over loop indices, with Dims as coefficients. */
#include "codegen/nest_impl.h"

#include "support/vec.h"

typedef struct Walk {
    Nest *nest;
    NestStage *s;
    Map seen;
    bool *bare;  /* [NEST_INDICES] */
    int address; /* above 0: within an index */
} Walk;

static DimTable *dims_of(const Nest *n)
{
    return &n->module->dims;
}

#define FARTHEST ((int64_t)1 << 48) /* no address is beyond; numbers that are compared may be */

/* An i64 expression of constants and dims alone, as a Dim; else NULL. */
static Dim to_dim(DimTable *t, const Sx *e)
{
    int64_t v = (int64_t)e->bits;
    Dim a, b;

    if (e->dtype != DT_I64) return NULL;
    if (e->op == SX_CONST) return v >= -FARTHEST && v <= FARTHEST ? dim_const(t, v) : NULL;
    if (e->op == SX_DIM) return e->dim;
    if (e->op != SX_ADD && e->op != SX_SUB && e->op != SX_MUL) return NULL;
    a = to_dim(t, e->arg[0]);
    b = a ? to_dim(t, e->arg[1]) : NULL;
    if (!b) return NULL;
    return e->op == SX_ADD   ? dim_add(t, a, b)
           : e->op == SX_SUB ? dim_sub(t, a, b)
                             : dim_mul(t, a, b);
}

static void add_term(Nest *n, Affine *x, const Sx *e, Dim scale)
{
    for (int i = 0; i < x->n_term; i++) {
        if (x->term[i].e == e) {
            x->term[i].coef = dim_add(dims_of(n), x->term[i].coef, scale);
            return;
        }
    }
    VEC_PUSH(n->arena, x->term, x->n_term, x->cap_term, (AffineTerm){e, scale});
}

static void add_index(Nest *n, const Stage *s, Affine *x, int k, Dim scale)
{
    Dim extent = k < s->rank ? s->extent[k] : s->reduce[k - s->rank];

    if (dim_is(extent, 1)) return;
    x->coef[k] = x->coef[k] ? dim_add(dims_of(n), x->coef[k], scale) : scale;
}

static void affine_add(Nest *n, const Stage *s, Affine *x, const Sx *e, Dim scale)
{
    DimTable *t = dims_of(n);
    Dim d = to_dim(t, e);

    if (d) {
        x->base = dim_add(t, x->base, dim_mul(t, scale, d));
    } else if (e->op == SX_INDEX && e->index < s->rank + s->n_reduce) {
        add_index(n, s, x, e->index, scale);
    } else if (e->op == SX_ADD || e->op == SX_SUB) {
        affine_add(n, s, x, e->arg[0], scale);
        affine_add(n, s, x, e->arg[1], e->op == SX_ADD ? scale : dim_mul_c(t, scale, -1));
    } else if (e->op == SX_NEG) {
        affine_add(n, s, x, e->arg[0], dim_mul_c(t, scale, -1));
    } else if (e->op == SX_MUL && (d = to_dim(t, e->arg[1]))) {
        affine_add(n, s, x, e->arg[0], dim_mul(t, scale, d));
    } else if (e->op == SX_MUL && (d = to_dim(t, e->arg[0]))) {
        affine_add(n, s, x, e->arg[1], dim_mul(t, scale, d));
    } else {
        add_term(n, x, e, scale);
    }
}

static Affine *affine_new(Nest *n)
{
    Affine *x = ARENA_NEW(n->arena, Affine);

    x->base = dim_const(dims_of(n), 0);
    return x;
}

/* Sum of idx[i] * stride[i] for a row-major block of dims, the first `skip` of which do not count.
 */
static void affine_rows(Nest *n, const Stage *s, Affine *x, int rank, const Dim *dim, int skip,
                        const Sx *const *idx)
{
    Dim stride = dim_const(dims_of(n), 1);

    for (int i = rank - 1; i >= skip; i--) {
        affine_add(n, s, x, idx[i], stride);
        stride = dim_mul(dims_of(n), stride, dim[i]);
    }
}

/* Flat elements of a local count the whole domain of its stage: take the outer point off. */
static void affine_flat_local(Nest *n, const Stage *s, Affine *x, const Stage *of, const Sx *e)
{
    DimTable *t = dims_of(n);
    Dim stride = nest_inner_size(n, of);

    affine_add(n, s, x, e->arg[0], dim_const(t, 1));
    for (int i = n->kernel->n_outer - 1; i >= 0; i--) {
        add_index(n, s, x, i, dim_mul_c(t, stride, -1));
        stride = dim_mul(t, stride, of->extent[i]);
    }
}

static Affine *load_address(Nest *n, const Stage *s, const Sx *e)
{
    Affine *x = affine_new(n);
    int n_idx = e->n - (e->guarded ? 1 : 0);

    if (e->src < 0) {
        const Stage *of = &n->kernel->stage[~e->src];
        bool local = n->stage[~e->src].local != LOCAL_NONE;

        if (e->flat && local)
            affine_flat_local(n, s, x, of, e);
        else if (e->flat)
            affine_add(n, s, x, e->arg[0], dim_const(dims_of(n), 1));
        else
            affine_rows(n, s, x, of->rank, of->extent, local ? n->kernel->n_outer : 0, e->arg);
    } else if (e->flat) {
        affine_add(n, s, x, e->arg[0], dim_const(dims_of(n), 1));
    } else {
        const Type *type = &n->node->in[e->src]->type;
        affine_rows(n, s, x, n_idx, type->dim, 0, e->arg);
    }
    return x;
}

static void walk(Walk *w, const Sx *e);

static void count_node(NestStage *s, const Sx *e, bool in_address)
{
    int bytes = dtype_bytes(e->dtype);
    bool memory = e->op == SX_LOAD && !in_address;
    bool index = bytes == 8 && e->dtype != DT_F64 && !memory && e->op != SX_ACC;

    s->n_node++;
    if (!index && bytes > s->widest) s->widest = bytes;
}

static void keep_address(Walk *w, const Sx *e, Affine *x)
{
    map_set(&w->s->address, e, x);
    w->address++;
    for (int i = 0; i < x->n_term; i++)
        walk(w, x->term[i].e);
    w->address--;
}

static void walk(Walk *w, const Sx *e)
{
    if (map_has(&w->seen, e)) return;
    map_set(&w->seen, e, (void *)e);
    count_node(w->s, e, w->address > 0);
    if (e->op == SX_LOAD) {
        keep_address(w, e, load_address(w->nest, w->s->stage, e));
        if (e->guarded) walk(w, e->arg[e->n - 1]);
        return;
    }
    if (e->op == SX_INDEX && e->index < NEST_INDICES) w->bare[e->index] = true;
    if (e->op == SX_DIM) nest_need(w->nest, e->dim);
    w->address += e->op == SX_CHECK;
    for (int i = 0; i < e->n; i++)
        walk(w, e->arg[i]);
    w->address -= e->op == SX_CHECK;
    if (nest_compares(e)) {
        Affine *x = affine_new(w->nest);
        DimTable *t = dims_of(w->nest);

        affine_add(w->nest, w->s->stage, x, e->arg[0], dim_const(t, 1));
        affine_add(w->nest, w->s->stage, x, e->arg[1], dim_const(t, -1));
        keep_address(w, e, x);
    }
    if (e->op == SX_CHECK) w->nest->abi.fails = true;
}

NestPeriod nest_period(const Nest *n, const NestStage *s, int index, const Sx *load,
                       const Affine *x)
{
    NestPeriod r = {0};
    Dim extent =
        index < s->stage->rank ? s->stage->extent[index] : s->stage->reduce[index - s->stage->rank];

    if (load->op != SX_LOAD || load->guarded || x->coef[index] || !dim_is_const(extent)) return r;
    for (int i = 0; i < x->n_term; i++) {
        const Sx *e = x->term[i].e;
        if (!sx_uses_index(&n->module->sx, e, index)) continue;
        if (r.by || (e->op != SX_DIV && e->op != SX_REM) || e->arg[0]->op != SX_INDEX ||
            e->arg[1]->op != SX_CONST || !dim_is(x->term[i].coef, 1) ||
            (int64_t)e->arg[1]->bits < 1 || (int64_t)e->arg[1]->bits > extent->value)
            return (NestPeriod){0};
        r = (NestPeriod){(int64_t)e->arg[1]->bits, e->op == SX_REM};
    }
    return r;
}

Dim nest_inner_size(Nest *n, const Stage *s)
{
    return dim_product(dims_of(n), s->rank - n->kernel->n_outer, s->extent + n->kernel->n_outer);
}

static Affine *store_address(Walk *w, int j)
{
    Nest *n = w->nest;
    const Stage *s = w->s->stage;
    const StageOut *o = &s->out[j];
    Affine *x = affine_new(n);
    Dim stride = dim_const(dims_of(n), 1);

    if (o->dst) {
        const Dim *dim = n->node->out[o->result]->type.dim;
        affine_rows(n, s, x, o->n_dst, dim, 0, o->dst);
        for (int i = o->n_dst - 1; o->before && i >= 0; i--) {
            x->base = dim_add(dims_of(n), x->base, dim_mul_c(dims_of(n), stride, o->before[i]));
            stride = dim_mul(dims_of(n), stride, dim[i]);
        }
        for (int i = 0; i < x->n_term; i++)
            walk(w, x->term[i].e);
        return x;
    }
    for (int i = s->rank - 1; o->before && i >= 0; i--) {
        add_index(n, s, x, i, stride);
        x->base = dim_add(dims_of(n), x->base, dim_mul_c(dims_of(n), stride, o->before[i]));
        stride = dim_mul(dims_of(n), stride, n->node->out[o->result]->type.dim[i]);
    }
    if (o->before) return x;
    for (int i = s->rank - 1; i >= (o->result < 0 ? n->kernel->n_outer : 0); i--) {
        add_index(n, s, x, i, stride);
        stride = dim_mul(dims_of(n), stride, s->extent[i]);
    }
    return x;
}

void nest_addresses(Nest *n, int stage, bool *bare)
{
    NestStage *s = &n->stage[stage];
    Walk w = {.nest = n, .s = s, .bare = bare};

    map_init(&w.seen, n->arena, false);
    map_init(&s->address, n->arena, false);
    s->store = ARENA_ARRAY(n->arena, Affine *, s->stage->n_out);
    s->widest = 1;
    for (int a = 0; a < s->stage->n_acc; a++) {
        if (dtype_bytes(s->stage->acc[a].dtype) > s->widest &&
            !nest_is_arg(s->stage->acc[a].monoid))
            s->widest = dtype_bytes(s->stage->acc[a].dtype);
        walk(&w, s->stage->acc[a].body);
        if (s->stage->acc[a].body2) walk(&w, s->stage->acc[a].body2);
    }
    for (int j = 0; j < s->stage->n_out; j++) {
        walk(&w, s->value[j]);
        if (s->stage->out[j].dst_guard) walk(&w, s->stage->out[j].dst_guard);
        s->store[j] = store_address(&w, j);
    }
}

/* i + a constant, of index i. */
static bool is_shifted(const Sx *e, int index, int64_t *shift)
{
    *shift = 0;
    if (e->op == SX_ADD && e->arg[1]->op == SX_CONST) {
        *shift = (int64_t)e->arg[1]->bits;
        e = e->arg[0];
    }
    return e->op == SX_INDEX && e->index == index && *shift >= 0;
}

NestLace nest_lace(const Nest *n, int index, const Sx *load, const Affine *x)
{
    const Sx *quotient = NULL, *rest = NULL;
    NestLace r = {0};

    if (load->op != SX_LOAD || load->guarded || x->coef[index]) return r;
    for (int i = 0; i < x->n_term; i++) {
        const Sx *e = x->term[i].e;
        if (!sx_uses_index(&n->module->sx, e, index)) continue;
        if (e->op == SX_DIV && !quotient && dim_is(x->term[i].coef, 1)) {
            quotient = e;
        } else if (e->op == SX_REM && !rest) {
            rest = e;
            r.apart = x->term[i].coef;
        } else {
            return (NestLace){0};
        }
    }
    if (!quotient || !rest || quotient->arg[0] != rest->arg[0] || quotient->arg[1] != rest->arg[1])
        return (NestLace){0};
    if (!is_shifted(rest->arg[0], index, &r.shift) || rest->arg[1]->op != SX_CONST)
        return (NestLace){0};
    r.by = (int64_t)rest->arg[1]->bits > 1 ? (int64_t)rest->arg[1]->bits : 0;
    return r;
}

/* ---- Rows ---- */

static bool is_by_rows(Nest *n, const NestStage *s, const Affine *x, int n_loop, const int *loop,
                       Dim columns)
{
    DimTable *t = dims_of(n);
    Dim step = columns;
    bool rows[NEST_INDICES] = {false};

    if (x->n_term || !dim_is(x->base, 0)) return false;
    for (int l = n_loop - 1; l >= 0; l--) {
        const NestLoop *r = &s->loop[loop[l]];
        if (x->coef[r->last] != step) return false;
        step = dim_mul(t, step, r->extent);
        rows[loop[l]] = true;
    }
    for (int l = 0; l < s->n_loop; l++) {
        if (rows[l] || affine_is_coef(x, s->loop[l].last, 0)) continue;
        if (!affine_is_coef(x, s->loop[l].last, 1) || s->loop[l].extent != columns) return false;
    }
    return true;
}

bool nest_reads(const NestStage *s, int operand)
{
    size_t i = 0;
    const void *key;
    void *x;

    while (map_next(&s->address, &i, &key, &x))
        if (((const Sx *)key)->op == SX_LOAD && ((const Sx *)key)->src == operand) return true;
    return false;
}

bool nest_goes_by_rows(Nest *n, const NestStage *s, int operand, int n_loop, const int *loop,
                       Dim columns)
{
    size_t i = 0;
    const void *key;
    void *x;

    if (operand < 0)
        return !s->stage->out[0].dst && !s->stage->out[0].before &&
               is_by_rows(n, s, s->store[0], n_loop, loop, columns);
    while (map_next(&s->address, &i, &key, &x)) {
        const Sx *e = key;
        if (e->op != SX_LOAD || e->src != operand) continue;
        if (e->guarded || e->flat || !is_by_rows(n, s, x, n_loop, loop, columns)) return false;
    }
    return true;
}
