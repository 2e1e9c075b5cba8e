/* ulp.h: how far the expansions of mathematics are from the reference, over many arguments.
 *
 * sx_eval would take minutes: here the expanded expression becomes a list of steps, each of which
 * runs over a block of lanes. What has no loop of its own below goes through sx_apply, lane by
 * lane. */
#ifndef INGOT_TESTS_ULP_H
#define INGOT_TESTS_ULP_H

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

#include "check.h"
#include "ir/mathd.h"
#include "ir/sx_impl.h"

enum { ULP_LANES = 256, ULP_MAX_STEPS = 4096 };

typedef struct UlpProgram {
    SxTable *t;
    SxWalk walk;
    int arg[ULP_MAX_STEPS][3];
    uint64_t (*lane)[ULP_LANES]; /* [steps] */
    bool no_fma;
} UlpProgram;

static inline float ulp_f32(uint64_t bits)
{
    uint32_t low = (uint32_t)bits;
    float v;

    memcpy(&v, &low, sizeof v);
    return v;
}

static inline uint64_t ulp_bits32(float v)
{
    uint32_t bits;

    memcpy(&bits, &v, sizeof bits);
    return bits;
}

static void ulp_start(UlpProgram *p, SxTable *t, const Sx *e, bool no_fma)
{
    *p = (UlpProgram){.t = t, .no_fma = no_fma};
    CHECK(sx_walk(t, e, &p->walk));
    if (p->walk.n > ULP_MAX_STEPS) {
        CHECK(false && "too many steps");
        exit(1);
    }
    p->lane = calloc(p->walk.n, sizeof *p->lane);
    for (size_t i = 0; i < p->walk.n; i++) {
        const Sx *n = p->walk.node[i];
        for (int k = 0; k < n->n; k++) {
            p->arg[i][k] = (int)sx_walk_at(&p->walk, n->arg[k]);
        }
        for (int l = 0; n->op == SX_CONST && l < ULP_LANES; l++) {
            p->lane[i][l] = n->bits;
        }
    }
}

static void ulp_free(UlpProgram *p)
{
    free(p->lane);
    sx_walk_free(&p->walk);
}

#define ULP_LOOP(expression)                                                                       \
    do {                                                                                           \
        for (int l = 0; l < ULP_LANES; l++)                                                        \
            r[l] = (expression);                                                                   \
        return true;                                                                               \
    } while (0)

static bool ulp_step_f32(SxOp op, uint64_t *restrict r, const uint64_t *a, const uint64_t *b)
{
    switch ((int)op) {
    case SX_ADD:
        ULP_LOOP(ulp_bits32(ulp_f32(a[l]) + ulp_f32(b[l])));
    case SX_SUB:
        ULP_LOOP(ulp_bits32(ulp_f32(a[l]) - ulp_f32(b[l])));
    case SX_MUL:
        ULP_LOOP(ulp_bits32(ulp_f32(a[l]) * ulp_f32(b[l])));
    case SX_DIV:
        ULP_LOOP(ulp_bits32(ulp_f32(a[l]) / ulp_f32(b[l])));
    case SX_LT:
        ULP_LOOP(ulp_f32(a[l]) < ulp_f32(b[l]));
    case SX_EQ:
        ULP_LOOP(ulp_f32(a[l]) == ulp_f32(b[l]));
    case SX_ABS:
        ULP_LOOP(a[l] & 0x7fffffff);
    case SX_NEG:
        ULP_LOOP(a[l] ^ 0x80000000);
    case SX_COPYSIGN:
        ULP_LOOP((a[l] & 0x7fffffff) | (b[l] & 0x80000000));
    default:
        return false;
    }
}

static bool ulp_step_f64(SxOp op, uint64_t *restrict r, const uint64_t *a, const uint64_t *b)
{
    const uint64_t sign = (uint64_t)1 << 63;

    switch ((int)op) {
    case SX_ADD:
        ULP_LOOP(mathd_bits(mathd_of_bits(a[l]) + mathd_of_bits(b[l])));
    case SX_SUB:
        ULP_LOOP(mathd_bits(mathd_of_bits(a[l]) - mathd_of_bits(b[l])));
    case SX_MUL:
        ULP_LOOP(mathd_bits(mathd_of_bits(a[l]) * mathd_of_bits(b[l])));
    case SX_DIV:
        ULP_LOOP(mathd_bits(mathd_of_bits(a[l]) / mathd_of_bits(b[l])));
    case SX_LT:
        ULP_LOOP(mathd_of_bits(a[l]) < mathd_of_bits(b[l]));
    case SX_EQ:
        ULP_LOOP(mathd_of_bits(a[l]) == mathd_of_bits(b[l]));
    case SX_ABS:
        ULP_LOOP(a[l] & ~sign);
    case SX_NEG:
        ULP_LOOP(a[l] ^ sign);
    case SX_COPYSIGN:
        ULP_LOOP((a[l] & ~sign) | (b[l] & sign));
    default:
        return false;
    }
}

static bool ulp_step_u64(SxOp op, uint64_t *restrict r, const uint64_t *a, const uint64_t *b)
{
    switch ((int)op) {
    case SX_ADD:
        ULP_LOOP(a[l] + b[l]);
    case SX_SUB:
        ULP_LOOP(a[l] - b[l]);
    case SX_MUL:
        ULP_LOOP(a[l] * b[l]);
    case SX_AND:
        ULP_LOOP(a[l] & b[l]);
    case SX_OR:
        ULP_LOOP(a[l] | b[l]);
    case SX_XOR:
        ULP_LOOP(a[l] ^ b[l]);
    case SX_SHL:
        ULP_LOOP(b[l] < 64 ? a[l] << (b[l] & 63) : 0);
    case SX_SHR:
        ULP_LOOP(b[l] < 64 ? a[l] >> (b[l] & 63) : 0);
    case SX_NE:
        ULP_LOOP(a[l] != b[l]);
    default:
        return false;
    }
}

static bool ulp_step_any(const Sx *n, bool no_fma, uint64_t *restrict r, const uint64_t *a,
                         const uint64_t *b, const uint64_t *c)
{
    DType from = n->n ? n->arg[n->n - 1]->dtype : DT_NONE;

    if (n->op == SX_BITCAST && !dtype_is_signed(n->dtype) && !dtype_is_signed(from)) ULP_LOOP(a[l]);
    if (n->op == SX_BITCAST && dtype_bytes(n->dtype) == 8) ULP_LOOP(a[l]);
    if (n->op == SX_SELECT) ULP_LOOP(a[l] ? b[l] : c[l]);
    if (n->op == SX_FMA && from == DT_F64) {
        if (!no_fma)
            ULP_LOOP(mathd_bits(
                mathd_fma(mathd_of_bits(a[l]), mathd_of_bits(b[l]), mathd_of_bits(c[l]))));
        ULP_LOOP(mathd_bits(mathd_of_bits(a[l]) * mathd_of_bits(b[l]) + mathd_of_bits(c[l])));
    }
    if (n->op == SX_FMA && from == DT_F32) {
        if (!no_fma) ULP_LOOP(ulp_bits32(mathd_fmaf(ulp_f32(a[l]), ulp_f32(b[l]), ulp_f32(c[l]))));
        ULP_LOOP(ulp_bits32(ulp_f32(a[l]) * ulp_f32(b[l]) + ulp_f32(c[l])));
    }
    if (n->op == SX_CAST && from == DT_F32 && n->dtype == DT_F64)
        ULP_LOOP(mathd_bits((double)ulp_f32(a[l])));
    if (n->op == SX_CAST && from == DT_F64 && n->dtype == DT_F32)
        ULP_LOOP(ulp_bits32((float)mathd_of_bits(a[l])));
    if (from == DT_F32) return ulp_step_f32(n->op, r, a, b);
    if (from == DT_F64) return ulp_step_f64(n->op, r, a, b);
    return from == DT_U64 ? ulp_step_u64(n->op, r, a, b) : false;
}

/* Runs over the block whose arguments x (of ACC 0) and y (of ACC 1) are given; the results' bits.
 */
static const uint64_t *ulp_run(UlpProgram *p, const uint64_t *x, const uint64_t *y)
{
    for (size_t i = 0; i < p->walk.n; i++) {
        const Sx *n = p->walk.node[i];
        uint64_t *r = p->lane[i];
        const uint64_t *a = p->lane[p->arg[i][0]], *b = p->lane[p->arg[i][1]],
                       *c = p->lane[p->arg[i][2]];
        SxShape s = {
            .op = n->op, .dtype = n->dtype, .saturate = n->index != 0, .no_fma = p->no_fma};
        if (n->op == SX_CONST) continue;
        if (n->op == SX_ACC) {
            memcpy(r, n->index ? y : x, sizeof *p->lane);
            continue;
        }
        if (ulp_step_any(n, p->no_fma, r, a, b, c)) continue;
        s.from = n->arg[n->n - 1]->dtype;
        for (int l = 0; l < ULP_LANES; l++) {
            r[l] = sx_apply(&s, (uint64_t[]){a[l], b[l], c[l]});
        }
    }
    return p->lane[p->walk.n - 1];
}

/* Distance of the float `got` from the real `want`, in units of the last place of floats there. NaN
 * against NaN, infinity against infinity, and a zero of the right sign are at 0. */
static double ulp_distance32(float got, double want)
{
    double magnitude = want < 0 ? -want : want, unit, gap;
    float nearest = (float)want;

    if (want != want || got != got) return want != want && got != got ? 0 : 1e9;
    if (want == 0) return got == 0 && !__builtin_signbit(got) == !__builtin_signbit(want) ? 0 : 1e9;
    if (nearest - nearest != 0) { /* beyond the largest: half a unit of doubt at the threshold */
        if (got == nearest) return 0;
        magnitude = 3.4e38;
        if (got - got != 0) return 1e9;
    } else if (got - got != 0) {
        return magnitude > 0x1.fffffdp127 ? 1 : 1e9;
    }
    int exponent = (int)(mathd_bits(magnitude) >> 52) - 1023;
    unit = mathd_scale(1.0, (exponent < -126 ? -126 : exponent) - 23);
    gap = (double)got - want;
    return (gap < 0 ? -gap : gap) / unit;
}

typedef struct UlpRow {
    SxOp op;
    double (*reference)(double);
    double most, most_no_fma; /* ulp */
    double zero_below;        /* 0, or: may be 0 below it, and is never subnormal */
} UlpRow;

static double ulp_of_row(const UlpRow *row, float x, float y)
{
    double wanted = row->reference((double)x);

    if (row->zero_below > 0 && fpclassify(y) == FP_SUBNORMAL) return INFINITY;
    if (fabs(wanted) < row->zero_below && y == 0 && !signbit(y)) return 0;
    return ulp_distance32(y, wanted);
}

static void ulp_block(UlpProgram *p, const UlpRow *row, const uint64_t *x, double most,
                      double *worst)
{
    const uint64_t *r = ulp_run(p, x, x);

    for (int l = 0; l < ULP_LANES; l++) {
        double d = ulp_of_row(row, ulp_f32(x[l]), ulp_f32(r[l]));
        if (d <= *worst) continue;
        *worst = d;
        if (d > most) {
            fprintf(stderr, "%s(%a) is %a, %g ulp from %a\n", sx_op_text(row->op),
                    (double)ulp_f32(x[l]), (double)ulp_f32(r[l]), d,
                    row->reference((double)ulp_f32(x[l])));
        }
    }
}

/* Arguments that often go wrong: zeros, ones, least and largest, thresholds, and their neighbours.
 */
static void ulp_edges(UlpProgram *p, const UlpRow *row, double most, double *worst)
{
    static const float edge[] = {
        0.0f,       1.0f,     0.5f,      2.0f,       0x1p-149f,  0x1p-126f,      0x1.fffffep127f,
        88.722839f, 87.33f,   103.9721f, 104.0f,     89.0f,      9.01f,          17.32f,
        3.92f,      4.0f,     6.0f,      1.5707964f, 0.7853982f, 3.1415927f,     16.635532f,
        0x1p-12f,   0x1p-24f, 0x1p12f,   0x1p24f,    1e10f,      0x1.47d0fep34f, 0.4375f,
        0.6875f,    1.1875f,  2.4375f,   0.84375f,   1.4142135f, 0.70710677f,    89.4159f};
    uint64_t x[ULP_LANES];
    int n = 0;

    for (size_t i = 0; i <= sizeof edge / sizeof *edge; i++) {
        for (int k = -3; k <= 3; k++) {
            uint64_t bits = i < sizeof edge / sizeof *edge ? ulp_bits32(edge[i]) : 0x7f800000;
            x[n++] = (bits + (uint64_t)(int64_t)k) & 0x7fffffff;
            if (n == ULP_LANES / 2) {
                for (int l = 0; l < n; l++) {
                    x[n + l] = x[l] | 0x80000000;
                }
                ulp_block(p, row, x, most, worst);
                n = 0;
            }
        }
    }
    while (n < ULP_LANES / 2) {
        x[n++] = 0x7f800000;
    }
    for (int l = 0; l < n; l++) {
        x[n + l] = x[l] | 0x80000000;
    }
    ulp_block(p, row, x, most, worst);
}

/* A target's own SCALE changes no bit. */
static void ulp_same(UlpProgram *p, UlpProgram *q, const UlpRow *row, const uint64_t *x)
{
    const uint64_t *a = ulp_run(p, x, x), *b = ulp_run(q, x, x);

    for (int l = 0; l < ULP_LANES; l++) {
        float u = ulp_f32(a[l]), v = ulp_f32(b[l]);
        if (a[l] == b[l] || (u != u && v != v)) continue;
        fprintf(stderr, "%s(%a) is %a, or %a by SCALE\n", sx_op_text(row->op),
                (double)ulp_f32(x[l]), (double)u, (double)v);
        CHECK(false && "SCALE changes a result");
    }
}

static void ulp_sweep(SxTable *t, const UlpRow *row, bool no_fma, uint64_t step)
{
    const Sx *e = sx_op1(t, row->op, sx_acc(t, 0, DT_F32));
    double worst = 0, most = no_fma ? row->most_no_fma : row->most;
    uint64_t x[ULP_LANES];
    UlpProgram p, scaled;

    ulp_start(&p, t, sx_expand(t, e, (SxHas){.f16 = true}), no_fma);
    ulp_start(&scaled, t, sx_expand(t, e, (SxHas){.f16 = true, .scale = true}), no_fma);
    ulp_edges(&p, row, most, &worst);
    for (uint64_t from = 0; from < (uint64_t)1 << 32; from += step * ULP_LANES) {
        for (int l = 0; l < ULP_LANES; l++) {
            x[l] = (from + step * (uint64_t)l) & 0xffffffff;
        }
        ulp_block(&p, row, x, most, &worst);
        if (scaled.walk.n != p.walk.n) ulp_same(&p, &scaled, row, x);
    }
    CHECK(worst <= most);
    if (getenv("INGOT_ULP_REPORT")) {
        printf("%-8s %s %4zu steps, worst %.3f ulp\n", sx_op_text(row->op),
               no_fma ? "mul, add" : "fma     ", p.walk.n, worst);
    }
    ulp_free(&p);
    ulp_free(&scaled);
}

/* Every 4099th argument, or every INGOT_ULP_STEP-th; 1 takes all. */
static inline int ulp_main(const UlpRow *row, int n)
{
    const char *every = getenv("INGOT_ULP_STEP");
    uint64_t step = every ? strtoull(every, NULL, 10) : 4099;
    Arena *arena = arena_new(0);
    DimTable dims;
    SxTable t;

    dims_init(&dims, arena);
    sx_init(&t, arena, &dims);
    for (int i = 0; i < n; i++) {
        ulp_sweep(&t, &row[i], false, step ? step : 1);
        ulp_sweep(&t, &row[i], true, every ? step : step * 16 + 1);
    }
    arena_free(arena);
    return check_result();
}

#endif
