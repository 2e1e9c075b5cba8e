/* cpu_kernel_test.c: kernels through LLVM at every level of this machine, and through plain C, give
 * the bits of kernel_interpret. */
#include "tests/unit/kernel_run.h"

#define T    (r->b.sx)
#define D(v) dim_const(&r->module->dims, v)
#define I(k) sx_index(T, k)
#define K(v) sx_const_int(T, DT_I64, v)
#define F(v) sx_const(T, DT_F32, v)

static Dim *dims_of(Run *r, int n, const int64_t *v)
{
    Dim *d = ARENA_ARRAY(r->arena, Dim, n);

    for (int i = 0; i < n; i++)
        d[i] = v[i] < 0 ? dim_symbol(&r->module->dims, "n", 1, 4096) : D(v[i]);
    return d;
}
#define DIMS(...)                                                                                  \
    (int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)),                                     \
        dims_of(r, (int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)),                      \
                (int64_t[]){__VA_ARGS__})

static Value *arg(Run *r, DType t, int rank, const Dim *d)
{
    return run_arg(r, t, rank, d);
}

static const Sx *at(Run *r, int src, const Value *v, int n, const Sx *const *idx)
{
    (void)n;
    return sx_at(&r->b, src, v, idx);
}
#define AT(src, v, ...)                                                                            \
    at(r, src, v, (int)(sizeof((const Sx *[]){__VA_ARGS__}) / sizeof(Sx *)),                       \
       (const Sx *[]){__VA_ARGS__})

/* ---- Maps and movement */

static void add_bias(Run *r, const char *name, int rank, const Dim *d, DType t, bool across)
{
    Value *in[2];
    const Dim row[] = {d[rank - 1]}, column[] = {d[rank - 2], D(1)};
    const Sx *e;

    in[0] = arg(r, t, rank, d);
    in[1] = across ? arg(r, t, 2, column) : arg(r, t, 1, row);
    e = sx_add(T, sx_operand(&r->b, 0, in[0], rank, d), sx_operand(&r->b, 1, in[1], rank, d));
    run_add_value(r, name, build_map(&r->b, "map", 2, in, t, rank, d, e))->special = true;
}

static void add_unary(Run *r, const char *name, int rank, const Dim *d)
{
    Value *x = arg(r, DT_F32, rank, d);
    const Sx *e = sx_operand(&r->b, 0, x, rank, d);

    e = sx_mul(T, sx_max(T, e, F(0)), sx_add(T, sx_min(T, e, F(6)), sx_sqrt(T, sx_abs(T, e))));
    run_add_value(r, name, build_map(&r->b, "unary", 1, &x, DT_F32, rank, d, e))->special = true;
}

static void add_transpose(Run *r, const char *name, DType t, int rank, const Dim *d,
                          const int *perm)
{
    Value *x = arg(r, t, rank, d);

    run_add_value(r, name, build_transpose(&r->b, x, perm));
}

/* x + y transposed: one load of two is turned. */
static void add_turned(Run *r, const char *name, DType t, int64_t m, int64_t n)
{
    Value *in[] = {run_value(r, t, 2, (int64_t[]){m, n}), run_value(r, t, 2, (int64_t[]){n, m})};
    Dim d[] = {D(m), D(n)};
    const Sx *e = sx_add(T, AT(0, in[0], I(0), I(1)), AT(1, in[1], I(1), I(0)));

    run_add_value(r, name, build_map(&r->b, "turned", 2, in, t, 2, d, e));
}

/* Planes to pixels, less what belongs to the channel, times what belongs to the pixel. */
static void add_pixels(Run *r, const char *name, DType t, int64_t channels, int64_t n)
{
    Value *in[] = {run_value(r, t, 3, (int64_t[]){2, channels, n}),
                   run_value(r, t, 1, (int64_t[]){channels}), run_value(r, t, 1, (int64_t[]){n})};
    Dim d[] = {D(2), D(n), D(channels)};
    const Sx *e = sx_sub(T, AT(0, in[0], I(0), I(2), I(1)), AT(1, in[1], I(2)));

    e = sx_mul(T, e, AT(2, in[2], I(1)));
    run_add_value(r, name, build_map(&r->b, "pixels", 3, in, t, 3, d, e))->special = true;
}

/* Planes to pixels where pixel and channel have one number, or differ by two; else what belongs to
 * the channel. */
static void add_diagonal(Run *r, const char *name, int64_t channels, int64_t n)
{
    Value *in[] = {run_value(r, DT_F32, 3, (int64_t[]){2, channels, n}),
                   run_value(r, DT_F32, 1, (int64_t[]){channels})};
    Dim d[] = {D(2), D(n), D(channels)};
    const Sx *on = sx_eq(T, I(1), I(2)), *off = sx_eq(T, I(2), sx_sub(T, I(1), K(2)));
    const Sx *e =
        sx_select(T, sx_or(T, on, off), AT(0, in[0], I(0), I(2), I(1)), AT(1, in[1], I(2)));

    run_add_value(r, name, build_map(&r->b, "diagonal", 2, in, DT_F32, 3, d, e));
}

/* `rest`: elements behind the last one that is read. */
static void add_strided(Run *r, const char *name, DType t, int64_t first, int64_t stride, int64_t n,
                        int64_t rest)
{
    Value *x = run_value(r, t, 2, (int64_t[]){3, first + (n - 1) * stride + 1 + rest});
    Dim d[] = {D(3), D(n)};
    const Sx *j = sx_add(T, sx_mul(T, I(1), K(stride)), K(first));

    run_add_value(r, name, build_map(&r->b, "strided", 1, &x, t, 2, d, AT(0, x, I(0), j)));
}

/* Read at j / by or j % by: a resized or a tiled row. */
static void add_period(Run *r, const char *name, DType t, bool rem, int64_t by, int64_t n)
{
    Value *x = run_value(r, t, 2, (int64_t[]){3, rem ? by : (n + by - 1) / by});
    Dim d[] = {D(3), D(n)};
    const Sx *j = rem ? sx_rem(T, I(1), K(by)) : sx_div(T, I(1), K(by));

    run_add_value(r, name, build_map(&r->b, "period", 1, &x, t, 2, d, AT(0, x, I(0), j)));
}

static void add_pad(Run *r, const char *name, DType t)
{
    int rank;
    Value *x = run_value(r, t, 2, (int64_t[]){13, 41});
    const Sx *i = sx_sub(T, I(0), K(2)), *j = sx_sub(T, I(1), K(3)), *g;
    Dim d[] = {D(17), D(50)};

    rank = 2;
    g = sx_and(T, sx_and(T, sx_le(T, K(0), i), sx_lt(T, i, K(13))),
               sx_and(T, sx_le(T, K(0), j), sx_lt(T, j, K(41))));
    run_add_value(r, name,
                  build_map(&r->b, "pad", 1, &x, t, rank, d,
                            sx_at_guarded(&r->b, 0, x, (const Sx *[]){i, j}, g)));
}

static void add_casts(Run *r)
{
    static const DType types[] = {DT_F32, DT_F64, DT_I8,  DT_U8,  DT_I16, DT_U16,
                                  DT_I32, DT_U32, DT_I64, DT_U64, DT_BOOL};
    Dim d[] = {D(77)};

    for (int i = 0; i < 11; i++)
        for (int j = 0; j < 11; j++) {
            Value *x;
            const Sx *e;
            if (i == j || r->n > RUN_CASES - 30) continue;
            if ((i * 11 + j) % 4) continue;
            x = arg(r, types[i], 1, d);
            e = AT(0, x, I(0));
            if (types[i] == DT_F32 && (j & 1)) e = sx_mul(T, e, F(1e9));
            if (types[i] == DT_F64 && (j & 1)) e = sx_mul(T, e, sx_const(T, DT_F64, 1e19));
            RunCase *c = run_add_value(
                r, "cast",
                build_map(&r->b, "cast", 1, &x, types[j], 1, d, sx_cast(T, e, types[j])));
            c->special = true;
            c->lo = -3000000000;
            c->hi = 3000000000;
        }
}

static void add_integers(Run *r, const char *name, DType t)
{
    Dim d[] = {D(205)};
    Value *in[] = {arg(r, t, 1, d), arg(r, t, 1, d)};
    const Sx *a = AT(0, in[0], I(0)), *b = AT(1, in[1], I(0)), *e;

    e = sx_xor(T, sx_div(T, a, b), sx_rem(T, a, b));
    e = sx_add(T, e, sx_xor(T, sx_shl(T, a, b), sx_shr(T, a, sx_sub(T, b, sx_const_int(T, t, 3)))));
    e = sx_xor(T, e, sx_mul(T, sx_min(T, a, b), sx_max(T, a, b)));
    e = sx_add(T, e, sx_op1(T, SX_CTLZ, a));
    e = sx_sub(T, e, sx_op1(T, SX_POPCNT, b));
    e = sx_select(T, sx_lt(T, a, b), e, sx_neg(T, e));
    e = sx_add(T, e, sx_div(T, a, sx_const_int(T, t, 7)));
    RunCase *c = run_add_value(r, name, build_map(&r->b, "int", 2, in, t, 1, d, e));
    c->lo = -2;
    c->hi = 40;
}

/* Of numbers of all lengths side by side, and where `moved` is 0, of short ones alone. */
static void add_division(Run *r, DType t, int moved)
{
    Dim d[] = {D(205)};
    Value *in[] = {arg(r, t, 1, d), arg(r, t, 1, d)};
    const Sx *a = AT(0, in[0], I(0)), *b = AT(1, in[1], I(0)), *by = sx_const_int(T, t, moved), *e;
    const Sx *x = sx_shl(T, a, sx_mul(T, b, by)), *y = sx_shl(T, b, sx_mul(T, a, by));

    e = sx_xor(T, sx_div(T, x, y), sx_rem(T, x, b));
    e = sx_add(T, e, sx_xor(T, sx_div(T, x, a), sx_rem(T, y, x)));
    RunCase *c = run_add_value(r, "divide", build_map(&r->b, "divide", 2, in, t, 1, d, e));
    c->lo = -3;
    c->hi = 40;
}

static void add_rounding(Run *r, const char *name, DType t)
{
    Dim d[] = {D(205)};
    Value *in[] = {arg(r, t, 1, d), arg(r, t, 1, d)};
    const Sx *a = AT(0, in[0], I(0)), *b = AT(1, in[1], I(0)), *e;

    e = sx_add(T, sx_floor(T, a), sx_mul(T, sx_ceil(T, b), sx_trunc(T, a)));
    e = sx_max(T, sx_min(T, e, b), sx_rint(T, a));
    e = sx_copysign(T, sx_div(T, e, b), b);
    e = sx_select(T, sx_ne(T, a, a), sx_neg(T, e), sx_max(T, sx_const(T, t, 1), e));
    run_add_value(r, name, build_map(&r->b, "round", 2, in, t, 1, d, e))->special = true;
}

static void add_mathematics(Run *r)
{
    static const SxOp ops[] = {SX_EXP, SX_LOG,     SX_TANH, SX_ERF, SX_SIN,
                               SX_EXP, SX_SIGMOID, SX_ATAN, SX_LOG};
    Dim d[] = {D(210)};

    for (int i = 0; i < 9; i++) {
        Value *x = arg(r, i == 3 || i == 8 ? DT_F64 : DT_F32, 1, d);
        const Sx *e = sx_op1(T, ops[i], AT(0, x, I(0)));
        RunCase *c = run_add_value(r, sx_op_text(ops[i]),
                                   build_map(&r->b, "math", 1, &x, x->type.dtype, 1, d, e));
        c->rounds = c->special = true;
    }
    Value *in[] = {arg(r, DT_F32, 1, d), arg(r, DT_F32, 1, d)};
    const Sx *e = sx_pow(T, AT(0, in[0], I(0)), AT(1, in[1], I(0)));
    RunCase *c = run_add_value(r, "pow", build_map(&r->b, "pow", 2, in, DT_F32, 1, d, e));
    c->rounds = c->special = true;
    e = sx_rem(T, AT(0, in[0], I(0)), AT(1, in[1], I(0)));
    c = run_add_value(r, "fmod", build_map(&r->b, "fmod", 2, in, DT_F32, 1, d, e));
    c->rounds = c->special = true;
}

static void add_narrow_floats(Run *r)
{
    static const DType types[] = {DT_F16,        DT_BF16,   DT_F8E4M3FN, DT_F8E4M3FNUZ, DT_F8E5M2,
                                  DT_F8E5M2FNUZ, DT_F4E2M1, DT_F6E2M3,   DT_F6E3M2};
    Dim d[] = {D(300)};

    for (int i = 0; i < 7; i++) {
        Value *x = arg(r, types[i], 1, d), *y = arg(r, DT_F32, 1, d);
        const Sx *wide = sx_cast(T, AT(0, x, I(0)), DT_F32);
        run_add_value(r, "widen", build_map(&r->b, "cast", 1, &x, DT_F32, 1, d, wide))->special =
            true;
        run_add_value(
            r, "narrow",
            build_map(&r->b, "cast", 1, &y, types[i], 1, d, sx_cast(T, AT(0, y, I(0)), types[i])))
            ->special = true;
    }
}

static void add_index_math(Run *r)
{
    Dim d[] = {D(5), D(70)};
    const Sx *e = sx_add(T, sx_mul(T, sx_index(T, 0), K(100)), I(1));

    e = sx_mul(T, sx_cast(T, e, DT_F32), F(0.25));
    run_add_value(r, "range", build_map(&r->b, "range", 0, NULL, DT_F32, 2, d, e));
}

/* ---- Reductions */

static void add_reduce(Run *r, const char *name, Monoid m, DType t, SumOrder order, int rank,
                       const Dim *d, int axis, bool square)
{
    Value *x = arg(r, t, rank, d);
    Dim out[MAX_RANK], red[] = {d[axis]};
    const Sx *idx[MAX_RANK], *body;
    int k = 0;

    for (int i = 0; i < rank; i++) {
        if (i != axis) out[k] = d[i];
        idx[i] = i == axis ? I(rank - 1) : I(k);
        if (i != axis) k++;
    }
    body = sx_at(&r->b, 0, x, idx);
    Acc acc = {.monoid = m, .dtype = t, .body = body, .body2 = square ? body : NULL};
    if (m >= MONOID_ARGMIN_FIRST) acc.dtype = DT_I64;
    if (t == DT_F16) acc.dtype = DT_F32, acc.body = sx_cast(T, body, DT_F32);
    RunCase *c = run_add_value(
        r, name,
        build_reduce(&r->b, "reduce", 1, &x, rank - 1, out, 1, red, order, acc, acc.dtype, NULL));
    c->rounds = m == MONOID_DOT && dtype_is_float(t);
    c->special = m >= MONOID_MIN;
    if (m >= MONOID_ARGMIN_FIRST && !dtype_is_float(t)) c->lo = 0, c->hi = 3;
}

static void add_matmul(Run *r, const char *name, int64_t m, int64_t n, int64_t k, SumOrder order,
                       bool transposed)
{
    Value *in[2];
    Dim out[] = {dims_of(r, 1, &m)[0], dims_of(r, 1, &n)[0]}, red[] = {dims_of(r, 1, &k)[0]};
    Dim a[] = {out[0], red[0]}, b[] = {red[0], out[1]}, bt[] = {out[1], red[0]};

    in[0] = arg(r, DT_F32, 2, a);
    in[1] = arg(r, DT_F32, 2, transposed ? bt : b);
    Acc acc = {.monoid = MONOID_DOT,
               .dtype = DT_F32,
               .body = AT(0, in[0], I(0), I(2)),
               .body2 = transposed ? AT(1, in[1], I(1), I(2)) : AT(1, in[1], I(2), I(1))};
    run_add_value(r, name,
                  build_reduce(&r->b, "matmul", 2, in, 2, out, 1, red, order, acc, DT_F32, NULL))
        ->rounds = true;
}

static void add_pool(Run *r, const char *name, bool max, int64_t stride)
{
    int64_t h = 14, w = 37;
    Value *x = run_value(r, DT_F32, 3, (int64_t[]){3, h, w});
    Dim out[] = {D(3), D((h + 1) / stride), D((w + 1) / stride)}, red[] = {D(3), D(3)};
    const Sx *i = sx_sub(T, sx_add(T, sx_mul(T, I(1), K(stride)), I(3)), K(1));
    const Sx *j = sx_sub(T, sx_add(T, sx_mul(T, I(2), K(stride)), I(4)), K(1)), *g, *e;

    g = sx_and(T, sx_and(T, sx_le(T, K(0), i), sx_lt(T, i, K(h))),
               sx_and(T, sx_le(T, K(0), j), sx_lt(T, j, K(w))));
    e = sx_at_guarded(&r->b, 0, x, (const Sx *[]){I(0), i, j}, g);
    if (max) e = sx_select(T, g, e, F(-INFINITY));
    Acc acc = {.monoid = max ? MONOID_MAX : MONOID_SUM, .dtype = DT_F32, .body = e};
    run_add_value(
        r, name,
        build_reduce(&r->b, "pool", 1, &x, 3, out, 2, red, ORDER_CHAIN, acc, DT_F32, NULL));
}

static void add_lane_compares(Run *r, const char *name, int64_t columns)
{
    Dim *d = dims_of(r, 2, (int64_t[]){23, columns});
    Value *x = run_value(r, DT_I64, 1, (int64_t[]){23});
    const Sx *data = AT(0, x, I(0)), *hit = sx_eq(T, I(1), data), *e;

    hit = sx_or(T, hit, sx_eq(T, sx_sub(T, K(30), I(1)), I(0)));
    e = sx_cast(T, sx_op2(T, SX_NE, sx_add(T, I(1), K(7)), data), DT_F32);
    e = sx_add(T, e, sx_mul(T, sx_cast(T, hit, DT_F32), F(2)));
    run_add_value(r, name, build_map(&r->b, "compares", 1, &x, DT_F32, 2, d, e));
}

/* Of two results; computed in `acc_t`. */
static void add_scan(Run *r, const char *name, DType t, DType acc_t, int rank, Dim *d, int axis)
{
    Value *x = arg(r, t, rank, d);
    const Sx *v = sx_acc(T, 0, acc_t), *body = sx_cast(T, AT(0, x, I(0), I(1), I(2)), acc_t);
    Acc acc = {.monoid = MONOID_SUM, .dtype = acc_t, .body = body};
    StageOut o[] = {{.dtype = t, .value = sx_cast(T, v, t)},
                    {.dtype = acc_t, .value = sx_sub(T, v, body), .result = 1}};
    Stage s = {.rank = rank,
               .extent = d,
               .n_acc = 1,
               .acc = &acc,
               .scan_axis = axis,
               .n_out = 2,
               .out = o};

    run_add(r, name, build_stage(&r->b, "scan", 1, &x, &s, 2, NULL));
}

/* A reduction of rows [i, n[i]), of which the body says so itself. */
static void add_ends(Run *r, const char *name, Monoid m, int64_t rows)
{
    Value *x = run_value(r, DT_F32, 3, (int64_t[]){7, 9, 40}), *ends;
    Dim *d = dims_of(r, 2, (int64_t[]){7, 40}), *red = dims_of(r, 1, (int64_t[]){rows});
    const Sx *end, *e = AT(0, x, I(0), sx_min(T, I(2), K(8)), I(1));

    ends = run_value(r, DT_I64, 1, (int64_t[]){7});
    end = AT(1, ends, I(0));
    e = sx_select(T, sx_lt(T, I(2), end), e, F(m == MONOID_MAX ? -INFINITY : 0));
    Acc acc = {.monoid = m, .dtype = DT_F32, .body = e};
    run_add_value(r, name,
                  build_reduce(&r->b, "ends", 2, (Value *[]){x, ends}, 2, d, 1, red, ORDER_CHAIN,
                               acc, DT_F32, NULL));
    r->cases[r->n - 1].lo = -2;
    r->cases[r->n - 1].hi = rows > 0 ? rows + 2 : 40;
}

/* ---- Data-dependent places */

static void add_gather(Run *r, const char *name, bool scalar_rows, bool bad)
{
    Value *in[2];
    Dim d[] = {D(9), D(35)}, table[] = {D(50), D(35)}, flat[] = {D(300)}, n[] = {D(9)};
    const Sx *i, *g;
    RunCase *c;

    if (scalar_rows) {
        in[0] = arg(r, DT_F32, 2, table);
        in[1] = arg(r, DT_I64, 1, n);
        i = sx_check(T, 1, AT(1, in[1], I(0)), K(50));
        g = sx_le(T, K(0), i);
        c = run_add_value(r, name,
                          build_map(&r->b, "gather", 2, in, DT_F32, 2, d,
                                    sx_at_guarded(&r->b, 0, in[0], (const Sx *[]){i, I(1)}, g)));
    } else {
        in[0] = arg(r, DT_F32, 1, flat);
        in[1] = arg(r, DT_I64, 2, d);
        i = sx_check(T, 1, AT(1, in[1], I(0), I(1)), K(300));
        g = sx_le(T, K(0), i);
        c = run_add_value(r, name,
                          build_map(&r->b, "gather", 2, in, DT_F32, 2, d,
                                    sx_at_guarded(&r->b, 0, in[0], (const Sx *[]){i}, g)));
    }
    c->lo = -50;
    c->hi = bad ? 400 : 49;
    c->fails = bad;
}

static void add_scatter(Run *r, const char *name, DType t, Combine combine, bool rows)
{
    Dim table[] = {D(12), D(35)}, d[] = {D(20), D(35)}, n[] = {D(20)}, *out = table;
    Value *in[] = {arg(r, t, 2, table), arg(r, DT_I64, rows ? 1 : 2, rows ? n : d),
                   arg(r, t, 2, d)};
    const Sx *i = rows ? AT(1, in[1], I(0)) : AT(1, in[1], I(0), I(1));
    const Sx *dst[2];
    Type type = type_tensor(t, 2, out);

    i = sx_check(T, 1, i, K(12));
    dst[0] = i;
    dst[1] = I(1);
    StageOut o = {.dtype = t,
                  .value = AT(2, in[2], I(0), I(1)),
                  .n_dst = 2,
                  .dst = dst,
                  .dst_guard = sx_le(T, K(0), i),
                  .combine = combine,
                  .init = 0};
    Stage s = {.rank = 2, .extent = d, .scan_axis = -1, .n_out = 1, .out = &o};
    RunCase *c = run_add(r, name, build_stage(&r->b, "scatter", 3, in, &s, 1, &type));
    c->lo = -12;
    c->hi = 11;
}

/* ---- Several stages: softmax written without mathematics, so that expansion is not in question */

static void add_rows(Run *r, const char *name, int rank, const Dim *d)
{
    int o = rank - 1;
    Value *x = arg(r, DT_F32, rank, d);
    const Sx *idx[MAX_RANK], *one[MAX_RANK], *in_row[MAX_RANK];
    Dim outer[MAX_RANK];
    Type type = type_tensor(DT_F32, rank, d);

    for (int i = 0; i < rank; i++)
        idx[i] = in_row[i] = one[i] = I(i);
    for (int i = 0; i < o; i++)
        outer[i] = d[i];
    const Sx *v = sx_at(&r->b, 0, x, idx), *peak, *row, *sum;
    peak = sx_load(T, DT_F32, ~0, o, one, NULL);
    row = sx_load(T, DT_F32, ~1, rank, in_row, NULL);
    sum = sx_load(T, DT_F32, ~2, o, one, NULL);
    Acc top = {.monoid = MONOID_MAX, .dtype = DT_F32, .body = v};
    Acc add = {.monoid = MONOID_SUM, .dtype = DT_F32, .body = row};
    StageOut o0 = {.dtype = DT_F32, .value = sx_acc(T, 0, DT_F32), .result = -1};
    StageOut o1 = {.dtype = DT_F32, .value = sx_abs(T, sx_sub(T, v, peak)), .result = -1};
    StageOut o3 = {.dtype = DT_F32, .value = sx_div(T, row, sum), .result = 0};
    Dim red[] = {d[o]};
    Dim *all = arena_copy(r->arena, d, sizeof(Dim) * (size_t)rank);
    Stage s[] = {{.rank = o,
                  .extent = outer,
                  .n_reduce = 1,
                  .reduce = red,
                  .order = ORDER_LANES64,
                  .n_acc = 1,
                  .acc = &top,
                  .scan_axis = -1,
                  .n_out = 1,
                  .out = &o0},
                 {.rank = rank, .extent = all, .scan_axis = -1, .n_out = 1, .out = &o1},
                 {.rank = o,
                  .extent = outer,
                  .n_reduce = 1,
                  .reduce = red,
                  .order = ORDER_LANES64,
                  .n_acc = 1,
                  .acc = &add,
                  .scan_axis = -1,
                  .n_out = 1,
                  .out = &o0},
                 {.rank = rank, .extent = all, .scan_axis = -1, .n_out = 1, .out = &o3}};

    run_add(r, name, build_rows(&r->b, "rows", 1, &x, o, 4, s, 1, &type));
}

static void movement(Run *r)
{
    add_bias(r, "bias", DIMS(7, 33), DT_F32, false);
    add_bias(r, "bias of columns", DIMS(7, 33), DT_F32, true);
    add_bias(r, "bias f64", DIMS(3, 5, 17), DT_F64, false);
    add_bias(r, "bias u8", DIMS(3, 5, 130), DT_U8, false);
    add_bias(r, "bias i64 open", DIMS(5, -1), DT_I64, false);
    add_bias(r, "bias open", DIMS(-1, 6), DT_F32, false);
    add_unary(r, "flat", DIMS(3, 1, 11, 7));
    add_unary(r, "flat large", DIMS(70, 331));
    add_unary(r, "flat tiny", DIMS(3));
    add_unary(r, "flat one", DIMS(1, 1));
    add_unary(r, "flat open", DIMS(4, -1, 3));
    for (int64_t channels = 2; channels < 6; channels++) {
        add_transpose(r, "planes of bytes", DT_U8, DIMS(2, channels, 83), (int[]){0, 2, 1});
        add_transpose(r, "planes, open", DT_F32, DIMS(channels, -1), (int[]){1, 0});
        add_pixels(r, "pixels", DT_F32, channels, channels == 3 ? 64 : 71);
        add_pixels(r, "pixels f64", DT_F64, channels, 19);
        add_diagonal(r, "diagonal", channels, 40);
    }
    add_transpose(r, "transpose", DT_F32, DIMS(17, 23), (int[]){1, 0});
    add_transpose(r, "transpose u8", DT_U8, DIMS(5, 17, 23), (int[]){0, 2, 1});
    add_transpose(r, "transpose 4", DT_F32, DIMS(2, 5, 9, 40), (int[]){0, 2, 1, 3});
    add_transpose(r, "transpose bool", DT_BOOL, DIMS(9, 40), (int[]){1, 0});
    add_transpose(r, "transpose c128", DT_C128, DIMS(9, 4), (int[]){1, 0});
    add_turned(r, "turned f32", DT_F32, 50, 70);
    add_turned(r, "turned i64", DT_I64, 32, 19);
    add_turned(r, "turned in place", DT_F32, 37, 64);
    r->cases[r->n - 1].in_place = true;
    add_bias(r, "bias in place", DIMS(7, 97), DT_F32, false);
    r->cases[r->n - 1].in_place = true;
    add_strided(r, "every second", DT_F32, 0, 2, 50, 0);
    add_strided(r, "every second of pairs", DT_F32, 0, 2, 50, 1);
    add_strided(r, "every other of pairs", DT_F32, 1, 2, 50, 0);
    add_strided(r, "every other, and more", DT_F32, 7, 2, 35, 2);
    add_strided(r, "every third", DT_F32, 0, 3, 77, 0);
    add_strided(r, "the middle of three", DT_I32, 1, 3, 77, 1);
    add_strided(r, "the last of three", DT_F32, 2, 3, 64, 0);
    add_strided(r, "every fourth", DT_F64, 0, 4, 33, 0);
    add_strided(r, "every fourth, and more", DT_F64, 2, 4, 33, 1);
    add_strided(r, "every fifth", DT_I32, 0, 5, 33, 0);
    add_period(r, "each twice", DT_F32, false, 2, 75);
    add_period(r, "each four times", DT_U8, false, 4, 132);
    add_period(r, "each 64 times", DT_F32, false, 64, 200);
    add_period(r, "each three times", DT_F32, false, 3, 50);
    add_period(r, "tiled 4", DT_F32, true, 4, 79);
    add_period(r, "tiled 64", DT_I64, true, 64, 150);
    add_period(r, "tiled 20", DT_F32, true, 20, 60);
    add_pad(r, "pad", DT_F32);
    add_pad(r, "pad u8", DT_U8);
    add_pad(r, "pad f16", DT_F16);
    add_index_math(r);
}

static void reductions(Run *r)
{
    add_reduce(r, "sum lanes", MONOID_SUM, DT_F32, ORDER_LANES64, DIMS(5, 197), 1, false);
    add_reduce(r, "sum lanes whole", MONOID_SUM, DT_F32, ORDER_LANES64, DIMS(3, 256), 1, false);
    add_reduce(r, "sum lanes short", MONOID_SUM, DT_F32, ORDER_LANES64, DIMS(9, 7), 1, false);
    add_reduce(r, "sum lanes open", MONOID_SUM, DT_F32, ORDER_LANES64, DIMS(9, -1), 1, false);
    add_reduce(r, "sum lanes f64", MONOID_SUM, DT_F64, ORDER_LANES64, DIMS(4, 150), 1, false);
    add_reduce(r, "sum lanes f16", MONOID_SUM, DT_F16, ORDER_LANES64, DIMS(4, 150), 1, false);
    add_reduce(r, "squares lanes", MONOID_DOT, DT_F32, ORDER_LANES64, DIMS(4, 333), 1, true);
    add_reduce(r, "max lanes", MONOID_MAX, DT_F32, ORDER_LANES64, DIMS(5, 99), 1, false);
    add_reduce(r, "min u8", MONOID_MIN, DT_U8, ORDER_LANES64, DIMS(5, 199), 1, false);
    add_reduce(r, "sum chain", MONOID_SUM, DT_F32, ORDER_CHAIN, DIMS(3, 19, 37), 1, false);
    add_reduce(r, "sum chain 2", MONOID_SUM, DT_F32, ORDER_CHAIN, DIMS(70, 37), 0, false);
    add_reduce(r, "sum chain open", MONOID_SUM, DT_F32, ORDER_CHAIN, DIMS(-1, 5), 0, false);
    add_reduce(r, "max of numbers", MONOID_MAX_NUMBER, DT_F32, ORDER_LANES64, DIMS(5, 99), 1,
               false);
    add_reduce(r, "max chain", MONOID_MAX, DT_F32, ORDER_CHAIN, DIMS(3, 19, 37), 1, false);
    add_reduce(r, "sum i32", MONOID_SUM, DT_I32, ORDER_CHAIN, DIMS(3, 1009), 1, false);
    add_reduce(r, "prod i64", MONOID_PROD, DT_I64, ORDER_CHAIN, DIMS(3, 19), 1, false);
    add_reduce(r, "and", MONOID_AND, DT_BOOL, ORDER_CHAIN, DIMS(40, 3), 1, false);
    add_reduce(r, "or lanes", MONOID_OR, DT_BOOL, ORDER_LANES64, DIMS(40, 67), 1, false);
    add_reduce(r, "argmax", MONOID_ARGMAX_FIRST, DT_F32, ORDER_LANES64, DIMS(7, 67), 1, false);
    add_reduce(r, "argmin last", MONOID_ARGMIN_LAST, DT_F32, ORDER_CHAIN, DIMS(67, 40), 0, false);
    add_reduce(r, "argmax i32", MONOID_ARGMAX_LAST, DT_I32, ORDER_CHAIN, DIMS(5, 9, 40), 1, false);
    add_reduce(r, "argmin u8", MONOID_ARGMIN_FIRST, DT_U8, ORDER_CHAIN, DIMS(9, 40), 0, false);
    add_matmul(r, "matmul", 13, 41, 29, ORDER_CHAIN, false);
    add_matmul(r, "matmul open", -1, 41, -1, ORDER_CHAIN, false);
    add_matmul(r, "matmul lanes", 6, 5, 290, ORDER_LANES64, true);
    add_pool(r, "maxpool", true, 1);
    add_pool(r, "maxpool 2", true, 2);
    add_pool(r, "sumpool", false, 1);
    add_ends(r, "sums that end", MONOID_SUM, 40);
    add_ends(r, "maxima that end", MONOID_MAX, 60);
    add_scan(r, "cumsum last", DT_F32, DT_F32, DIMS(6, 29, 35), 2);
    add_scan(r, "cumsum middle", DT_F32, DT_F32, DIMS(6, 29, 35), 1);
    add_scan(r, "cumsum i64", DT_I64, DT_I64, DIMS(6, 29, 35), 0);
    add_scan(r, "cumsum last i64", DT_I64, DT_I64, DIMS(3, 19, 40), 2);
    add_scan(r, "cumsum last f64", DT_F64, DT_F64, DIMS(1, 16, 37), 2);
    add_scan(r, "cumsum last f16", DT_F16, DT_F32, DIMS(1, 21, 33), 2);
    add_scan(r, "cumsum last u8", DT_U8, DT_I32, DIMS(3, 17, 64), 2);
    add_scan(r, "cumsum last of open rows", DT_F32, DT_F32, DIMS(1, -1, 29), 2);
    add_scan(r, "cumsum last, open", DT_F32, DT_F32, DIMS(2, 21, -1), 2);
    add_lane_compares(r, "indices alike", 45);
    add_lane_compares(r, "indices alike, open", -1);
    add_rows(r, "rows", DIMS(6, 100));
    add_rows(r, "rows long", DIMS(3, 8203));
    add_rows(r, "rows short", DIMS(3, 5, 9));
    add_rows(r, "rows of two vectors", DIMS(21, 37));
    add_rows(r, "rows of an open number", DIMS(-1, 20));
    add_rows(r, "rows open", DIMS(4, -1));
}

static void places(Run *r)
{
    add_gather(r, "gather rows", true, false);
    add_gather(r, "gather rows badly", true, true);
    add_gather(r, "gather elements", false, false);
    add_gather(r, "gather elements badly", false, true);
    add_scatter(r, "scatter rows", DT_F32, COMBINE_SET, true);
    add_scatter(r, "scatter add", DT_F32, COMBINE_ADD, false);
    add_scatter(r, "scatter add rows", DT_F32, COMBINE_ADD, true);
    add_scatter(r, "scatter max f16", DT_F16, COMBINE_MAX, true);
    add_scatter(r, "scatter mul i32", DT_I32, COMBINE_MUL, false);
    add_integers(r, "i32", DT_I32);
    add_integers(r, "i64", DT_I64);
    add_integers(r, "u8", DT_U8);
    add_integers(r, "u16", DT_U16);
    add_integers(r, "i4", DT_I4);
    for (int moved = 0; moved < 3; moved++) {
        add_division(r, DT_I32, moved);
        add_division(r, DT_U32, moved);
        add_division(r, DT_I64, moved);
        add_division(r, DT_U64, moved);
    }
    add_rounding(r, "f32", DT_F32);
    add_rounding(r, "f64", DT_F64);
}

int main(void)
{
    static const char *const levels[] = {"x86-64-v4", "x86-64-v3", "x86-64-v2", "scalar"};
    Run *groups[] = {run_new(), run_new()};

    movement(groups[0]);
    reductions(groups[0]);
    places(groups[0]);
    add_casts(groups[1]);
    add_mathematics(groups[0]);
    add_narrow_floats(groups[0]);
    for (int g = 0; g < 2; g++) {
        for (int i = 0; i < 4; i++)
            run_level(groups[g], levels[i]);
        run_c(groups[g]);
        arena_free(groups[g]->arena);
    }
    return check_result();
}
