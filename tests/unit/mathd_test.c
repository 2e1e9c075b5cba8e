/* Mathematics on double against values rounded from 300 bits; special cases; and the expansions of
 * f64, pow and fmod against them. */
#include "ir/sx_impl.h"

#include <math.h>

#include "check.h"
#include "ir/mathd.h"

typedef struct Value {
    const char *name;
    double (*f)(double);
    double x, want;
} Value;

static const Value value[] = {
    {"exp", mathd_exp, -0x1.7480000000000p+9, 0x0.0000000000001p-1022},
    {"exp", mathd_exp, -0x1.5e26666666666p+9, 0x1.9a5615b10648ap-1011},
    {"exp", mathd_exp, -0x1.8000000000000p+0, 0x1.c8f87724b5c1dp-3},
    {"exp", mathd_exp, -0x1.12e0be826d695p-30, 0x1.fffffff768fa1p-1},
    {"exp", mathd_exp, 0x1.3333333333333p-2, 0x1.599058c8c1a96p+0},
    {"exp", mathd_exp, 0x1.0000000000000p+0, 0x1.5bf0a8b145769p+1},
    {"exp", mathd_exp, 0x1.62ccccccccccdp+6, 0x1.f4705bbffae5cp+127},
    {"exp", mathd_exp, 0x1.62e3d70a3d70ap+9, 0x1.fe9ce5c4c52b4p+1023},
    {"expm1", mathd_expm1, -0x1.e800000000000p+4, -0x1.ffffffffffe01p-1},
    {"expm1", mathd_expm1, -0x1.6666666666666p-1, -0x1.01bf92311555fp-1},
    {"expm1", mathd_expm1, -0x1.19799812dea11p-40, -0x1.19799812de065p-40},
    {"expm1", mathd_expm1, 0x1.5c28f5c28f5c3p-2, 0x1.9eaa94c8422f5p-2},
    {"expm1", mathd_expm1, 0x1.6666666666666p-2, 0x1.ad200b20177b2p-2},
    {"expm1", mathd_expm1, 0x1.199999999999ap+0, 0x1.008883244d593p+1},
    {"expm1", mathd_expm1, 0x1.5e00000000000p+9, 0x1.d945df4f8ec8ep+1009},
    {"log", mathd_log, 0x0.0000000000001p-1022, -0x1.74385446d71c3p+9},
    {"log", mathd_log, 0x0.012688b70e62bp-1022, -0x1.64e69394d9508p+9},
    {"log", mathd_log, 0x1.999999999999ap-4, -0x1.26bb1bbb55515p+1},
    {"log", mathd_log, 0x1.6666666666666p-1, -0x1.6d3c324e13f50p-2},
    {"log", mathd_log, 0x1.6a161e4f765fep-1, -0x1.62c1a17840101p-2},
    {"log", mathd_log, 0x1.ffffde7210be9p-1, -0x1.0c6f82d74d230p-20},
    {"log", mathd_log, 0x1.000001ad7f29bp+0, 0x1.ad7f2847b6492p-24},
    {"log", mathd_log, 0x1.69fbe76c8b439p+0, 0x1.62bc98f798642p-2},
    {"log", mathd_log, 0x1.6a3d70a3d70a4p+0, 0x1.6375ec7e1e6a8p-2},
    {"log", mathd_log, 0x1.4000000000000p+3, 0x1.26bb1bbb55516p+1},
    {"log", mathd_log, 0x1.1ccf385ebc8a0p+1023, 0x1.62991d5d62a5ep+9},
    {"log1p", mathd_log1p, -0x1.ffffde7210be9p-1, -0x1.ba18a998fc064p+3},
    {"log1p", mathd_log1p, -0x1.3333333333333p-2, -0x1.6d3c324e13f4ep-2},
    {"log1p", mathd_log1p, -0x1.b7cdfd9d7bdbbp-34, -0x1.b7cdfd9dda4e3p-34},
    {"log1p", mathd_log1p, 0x1.56e1fc2f8f359p-997, 0x1.56e1fc2f8f359p-997},
    {"log1p", mathd_log1p, 0x1.fb49140a1644fp-54, 0x1.fb49140a1644fp-54},
    {"log1p", mathd_log1p, 0x1.4f8b588e368f1p-17, 0x1.4f8aea9ae7317p-17},
    {"log1p", mathd_log1p, 0x1.a8240b780346ep-2, 0x1.62e1ac5b1d182p-2},
    {"log1p", mathd_log1p, 0x1.a83e425aee632p-2, 0x1.62f4358c03e8bp-2},
    {"log1p", mathd_log1p, 0x1.4000000000000p+1, 0x1.40b512eb53d60p+0},
    {"log1p", mathd_log1p, 0x1.7e43c8800759cp+996, 0x1.5963447f87fb5p+9},
    {"sin", mathd_sin, 0x1.999999999999ap-4, 0x1.98eaecb8bcb2cp-4},
    {"sin", mathd_sin, 0x1.91eb851eb851fp-1, 0x1.69e4fd79ac743p-1},
    {"sin", mathd_sin, 0x1.926e978d4fdf4p-1, 0x1.6a41a99fd55b2p-1},
    {"sin", mathd_sin, 0x1.0000000000000p+1, 0x1.d18f6ead1b446p-1},
    {"sin", mathd_sin, 0x1.921fb54442d18p+1, 0x1.1a62633145c07p-53},
    {"sin", mathd_sin, 0x1.6000000000000p+4, -0x1.220a29f6eb9f4p-7},
    {"sin", mathd_sin, 0x1.86a0000000000p+16, 0x1.24daa9c527e96p-5},
    {"sin", mathd_sin, 0x1.0f0cf064dd592p+73, -0x1.b453ab76bf397p-1},
    {"sin", mathd_sin, 0x1.6ac5b262ca1ffp+849, 0x1.0000000000000p+0},
    {"sin", mathd_sin, 0x1.fffffffffffffp+1023, 0x1.452fc98b34e97p-8},
    {"cos", mathd_cos, 0x1.999999999999ap-4, 0x1.fd712f9a817c1p-1},
    {"cos", mathd_cos, 0x1.91eb851eb851fp-1, 0x1.6a2ecb934b59ap-1},
    {"cos", mathd_cos, 0x1.926e978d4fdf4p-1, 0x1.69d21a9805fb3p-1},
    {"cos", mathd_cos, 0x1.921fb54442d18p+0, 0x1.1a62633145c07p-54},
    {"cos", mathd_cos, 0x1.0000000000000p+1, -0x1.aa22657537205p-2},
    {"cos", mathd_cos, 0x1.6000000000000p+3, 0x1.220ae41ee2fdfp-8},
    {"cos", mathd_cos, 0x1.86a0000000000p+16, -0x1.ffac3841b3da7p-1},
    {"cos", mathd_cos, 0x1.0f0cf064dd592p+73, 0x1.0be2cef01c8f4p-1},
    {"cos", mathd_cos, 0x1.6ac5b262ca1ffp+849, -0x1.14ae72e6ba22fp-61},
    {"cos", mathd_cos, 0x1.fffffffffffffp+1023, -0x1.fffe62ecfab75p-1},
    {"tan", mathd_tan, 0x1.999999999999ap-4, 0x1.9af8877430b80p-4},
    {"tan", mathd_tan, 0x1.91eb851eb851fp-1, 0x1.ff97aa571156ep-1},
    {"tan", mathd_tan, 0x1.926e978d4fdf4p-1, 0x1.004eee72e2f47p+0},
    {"tan", mathd_tan, 0x1.921fb54442d18p+0, 0x1.d02967c31cdb5p+53},
    {"tan", mathd_tan, 0x1.0000000000000p+1, -0x1.17af62e0950f8p+1},
    {"tan", mathd_tan, 0x1.6000000000000p+3, -0x1.c3e6d558b0924p+7},
    {"tan", mathd_tan, 0x1.86a0000000000p+16, -0x1.250a9d503313dp-5},
    {"tan", mathd_tan, 0x1.0f0cf064dd592p+73, -0x1.a0f79c1b6b257p+0},
    {"tan", mathd_tan, 0x1.6ac5b262ca1ffp+849, -0x1.d9ba9a7975636p+60},
    {"asin", mathd_asin, 0x1.b7cdfd9d7bdbbp-34, 0x1.b7cdfd9d7bdbbp-34},
    {"asin", mathd_asin, 0x1.3333333333333p-2, 0x1.380159e14f6ffp-2},
    {"asin", mathd_asin, 0x1.ffe5c91d14e3cp-2, 0x1.0c06011bb06b4p-1},
    {"asin", mathd_asin, 0x1.0000000000000p-1, 0x1.0c152382d7366p-1},
    {"asin", mathd_asin, 0x1.6666666666666p-1, 0x1.8d00e692afd95p-1},
    {"asin", mathd_asin, 0x1.fae147ae147aep-1, 0x1.6de3c6f33d51dp+0},
    {"asin", mathd_asin, 0x1.fffffffffffffp-1, 0x1.921fb50442d18p+0},
    {"acos", mathd_acos, -0x1.fffeb074a771dp-1, 0x1.918d2a3d6c3dfp+1},
    {"acos", mathd_acos, -0x1.3333333333333p-1, 0x1.1b6e192ebbe44p+1},
    {"acos", mathd_acos, -0x1.3333333333333p-2, 0x1.e0200bbc96ad8p+0},
    {"acos", mathd_acos, 0x1.b7cdfd9d7bdbbp-34, 0x1.921fb543d4de0p+0},
    {"acos", mathd_acos, 0x1.3333333333333p-2, 0x1.441f5ecbeef59p+0},
    {"acos", mathd_acos, 0x1.0000000000000p-1, 0x1.0c152382d7366p+0},
    {"acos", mathd_acos, 0x1.6666666666666p-1, 0x1.973e83f5d5c9bp-1},
    {"acos", mathd_acos, 0x1.fffffca501acbp-1, 0x1.d4effc851e7f2p-12},
    {"atan", mathd_atan, 0x1.b7cdfd9d7bdbbp-34, 0x1.b7cdfd9d7bdbbp-34},
    {"atan", mathd_atan, 0x1.b851eb851eb85p-2, 0x1.9fd82b5dc5e5fp-2},
    {"atan", mathd_atan, 0x1.c28f5c28f5c29p-2, 0x1.a8747d793c3dcp-2},
    {"atan", mathd_atan, 0x1.6147ae147ae14p-1, 0x1.353d41c5dfe67p-1},
    {"atan", mathd_atan, 0x1.2e147ae147ae1p+0, 0x1.bc4dac279b378p-1},
    {"atan", mathd_atan, 0x1.30a3d70a3d70ap+0, 0x1.be6ed93e2de0ap-1},
    {"atan", mathd_atan, 0x1.370a3d70a3d71p+1, 0x1.2e2e735918965p+0},
    {"atan", mathd_atan, 0x1.3851eb851eb85p+1, 0x1.2e8d07ac56862p+0},
    {"atan", mathd_atan, 0x1.2a05f20000000p+33, 0x1.921fb543d4de0p+0},
    {"sinh", mathd_sinh, 0x1.b7cdfd9d7bdbbp-34, 0x1.b7cdfd9d7bdbbp-34},
    {"sinh", mathd_sinh, 0x1.3333333333333p-2, 0x1.37d42af54b926p-2},
    {"sinh", mathd_sinh, 0x1.8000000000000p+0, 0x1.108c3aabd6a60p+1},
    {"sinh", mathd_sinh, 0x1.5e66666666666p+4, 0x1.82afcca727c17p+30},
    {"sinh", mathd_sinh, 0x1.619999999999ap+4, 0x1.d84cdb5ac2c90p+30},
    {"sinh", mathd_sinh, 0x1.6333333333333p+9, 0x1.da98a7371610bp+1023},
    {"cosh", mathd_cosh, 0x1.b7cdfd9d7bdbbp-34, 0x1.0000000000000p+0},
    {"cosh", mathd_cosh, 0x1.3333333333333p-2, 0x1.0b9b4e0b6ec4cp+0},
    {"cosh", mathd_cosh, 0x1.8000000000000p+0, 0x1.2d1bc21e22022p+1},
    {"cosh", mathd_cosh, 0x1.5e66666666666p+4, 0x1.82afcca727c17p+30},
    {"cosh", mathd_cosh, 0x1.6333333333333p+9, 0x1.da98a7371610bp+1023},
    {"tanh", mathd_tanh, 0x1.b7cdfd9d7bdbbp-34, 0x1.b7cdfd9d7bdbbp-34},
    {"tanh", mathd_tanh, 0x1.eb851eb851eb8p-3, 0x1.e24b9874eb398p-3},
    {"tanh", mathd_tanh, 0x1.0a3d70a3d70a4p-2, 0x1.04660c5098d54p-2},
    {"tanh", mathd_tanh, 0x1.0000000000000p-1, 0x1.d9353d7568af3p-2},
    {"tanh", mathd_tanh, 0x1.051eb851eb852p-1, 0x1.e139507151858p-2},
    {"tanh", mathd_tanh, 0x1.a666666666666p+1, 0x1.fe9bdf44f7c03p-1},
    {"tanh", mathd_tanh, 0x1.2e66666666666p+4, 0x1.fffffffffffffp-1},
    {"asinh", mathd_asinh, 0x1.b7cdfd9d7bdbbp-34, 0x1.b7cdfd9d7bdbbp-34},
    {"asinh", mathd_asinh, 0x1.3333333333333p-2, 0x1.2ec4ea565fcc1p-2},
    {"asinh", mathd_asinh, 0x1.4000000000000p+1, 0x1.a5b0f0be9dcf6p+0},
    {"asinh", mathd_asinh, 0x1.7d78400000000p+26, 0x1.31d23d3ad26e5p+4},
    {"asinh", mathd_asinh, 0x1.1e1a300000000p+28, 0x1.436627b57f716p+4},
    {"asinh", mathd_asinh, 0x1.7e43c8800759cp+996, 0x1.59bbfd8b83e44p+9},
    {"acosh", mathd_acosh, 0x1.0000000000001p+0, 0x1.6a09e667f3bccp-26},
    {"acosh", mathd_acosh, 0x1.004189374bc6ap+0, 0x1.6e53acbcdeba3p-5},
    {"acosh", mathd_acosh, 0x1.4000000000000p+1, 0x1.9119c13a31bb0p+0},
    {"acosh", mathd_acosh, 0x1.7d78400000000p+26, 0x1.31d23d3ad26e5p+4},
    {"acosh", mathd_acosh, 0x1.1e1a300000000p+28, 0x1.436627b57f716p+4},
    {"acosh", mathd_acosh, 0x1.7e43c8800759cp+996, 0x1.59bbfd8b83e44p+9},
    {"atanh", mathd_atanh, 0x1.b7cdfd9d7bdbbp-34, 0x1.b7cdfd9d7bdbbp-34},
    {"atanh", mathd_atanh, 0x1.999999999999ap-4, 0x1.9af93cd234412p-4},
    {"atanh", mathd_atanh, 0x1.0000000000000p-1, 0x1.193ea7aad030bp-1},
    {"atanh", mathd_atanh, 0x1.ccccccccccccdp-1, 0x1.78e360604b32dp+0},
    {"atanh", mathd_atanh, 0x1.fffffffffffffp-1, 0x1.2b708872320e2p+4},
    {"erf", mathd_erf, 0x1.b7cdfd9d7bdbbp-34, 0x1.f044332d68161p-34},
    {"erf", mathd_erf, 0x1.3333333333333p-2, 0x1.50838881dea0fp-2},
    {"erf", mathd_erf, 0x1.999999999999ap-1, 0x1.7bf4a85b7fb83p-1},
    {"erf", mathd_erf, 0x1.fae147ae147aep-1, 0x1.ad50ee005845bp-1},
    {"erf", mathd_erf, 0x1.028f5c28f5c29p+0, 0x1.b19125366b828p-1},
    {"erf", mathd_erf, 0x1.8000000000000p+0, 0x1.eea5557137ae0p-1},
    {"erf", mathd_erf, 0x1.8000000000000p+1, 0x1.fffd1ac4135f9p-1},
    {"erf", mathd_erf, 0x1.799999999999ap+2, 0x1.fffffffffffffp-1},
    {"sigmoid", mathd_sigmoid, -0x1.7480000000000p+9, 0x0.0000000000001p-1022},
    {"sigmoid", mathd_sigmoid, -0x1.e000000000000p+4, 0x1.a56e0c2ac7cbfp-44},
    {"sigmoid", mathd_sigmoid, -0x1.0000000000000p+0, 0x1.136561454ba86p-2},
    {"sigmoid", mathd_sigmoid, 0x1.999999999999ap-4, 0x1.0cca12729afb8p-1},
    {"sigmoid", mathd_sigmoid, 0x1.0000000000000p+0, 0x1.764d4f5d5a2bdp-1},
    {"sigmoid", mathd_sigmoid, 0x1.e000000000000p+4, 0x1.ffffffffffcb5p-1},
};

static const double power[][3] = {
    {0x1.0000000000000p+1, 0x1.0000000000000p-1, 0x1.6a09e667f3bcdp+0},
    {0x1.0000000000000p+1, -0x1.0c80000000000p+10, 0x0.0000000000001p-1022},
    {0x1.000001ad7f29bp+0, 0x1.dcd6500000000p+29, 0x1.349445c228792p+144},
    {0x1.fffffca501acbp-1, 0x1.dcd6500000000p+29, 0x1.a8c1679619156p-145},
    {0x1.4000000000000p+3, 0x1.3400000000000p+8, 0x1.1ccf385ebc8a0p+1023},
    {0x1.8000000000000p+0, -0x1.a900000000000p+10, 0x1.7a651722e2c13p-995},
    {0x1.56e1fc2f8f359p-997, 0x1.051eb851eb852p+0, 0x1.6789e3750f743p-1017},
    {0x1.c000000000000p+2, 0x1.8000000000000p+1, 0x1.5700000000000p+8},
    {0x0.0000000000001p-1022, 0x1.3333333333333p-2, 0x1.bdb8cdadbe161p-323},
    {0x1.6a09e65dc27dfp+0, 0x1.f400000000000p+10, 0x1.ffff8f63afa20p+999},
    {0x1.6a09e3ae90a1ap-1, -0x1.f3e0000000000p+10, 0x1.aea347e8f1ddcp+999},
};

static Arena *arena;
static DimTable dims;
static SxTable t;

static bool same(double a, double b)
{
    return mathd_bits(a) == mathd_bits(b) || (a != a && b != b);
}

/* In units of the last place of want. */
static double distance(double got, double want)
{
    if (same(got, want)) return 0;
    double unit = nextafter(fabs(want), HUGE_VAL) - fabs(want);
    return fabs(got - want) / unit;
}

static void near(const char *name, double x, double y, double got, double want, double most)
{
    if (distance(got, want) <= most) return;
    CHECK(false && "too far");
    fprintf(stderr, "%s(%a, %a) is %a, want %a\n", name, x, y, got, want);
}

static double run(const Sx *e, double x, double y, bool no_fma)
{
    SxShape up = {.op = SX_CAST, .dtype = DT_F64, .from = e->dtype};
    uint64_t acc[2] = {mathd_bits(x), mathd_bits(y)};
    SxEnv env = {.acc = acc, .no_fma = no_fma};

    if (e->dtype == DT_F32) {
        SxShape down = {.op = SX_CAST, .dtype = DT_F32, .from = DT_F64};
        acc[0] = sx_apply(&down, &acc[0]);
        acc[1] = sx_apply(&down, &acc[1]);
    }
    uint64_t bits = sx_eval(&t, e, &env);
    return mathd_of_bits(e->dtype == DT_F32 ? sx_apply(&up, &bits) : bits);
}

static const Sx *expanded(SxOp op, DType d)
{
    const Sx *a = sx_acc(&t, 0, d), *b = sx_acc(&t, 1, d);

    return sx_expand(&t, op == SX_POW || op == SX_REM ? sx_op2(&t, op, a, b) : sx_op1(&t, op, a),
                     (SxHas){.f16 = true});
}

static const Sx *fused_rem(void)
{
    return sx_expand(&t, sx_rem(&t, sx_acc(&t, 0, DT_F32), sx_acc(&t, 1, DT_F32)),
                     (SxHas){.fma = true});
}

static const Sx *by_name(const char *name)
{
    for (int op = SX_EXP; op < SX_COUNT; op++) {
        if (strcmp(name, sx_op_text((SxOp)op)) == 0) return expanded((SxOp)op, DT_F64);
    }
    return NULL;
}

static void test_values(void)
{
    for (size_t i = 0; i < sizeof value / sizeof *value; i++) {
        const Value *v = &value[i];
        const Sx *e = by_name(v->name);
        near(v->name, v->x, 0, v->f(v->x), v->want, 2);
        CHECK(same(run(e, v->x, 0, true),
                   v->f(v->x))); /* one algorithm, but for fused multiply-adds */
        near(v->name, v->x, 0, run(e, v->x, 0, false), v->want, 2);
    }
    for (size_t i = 0; i < sizeof power / sizeof *power; i++) {
        double x = power[i][0], y = power[i][1];
        near("pow", x, y, mathd_pow(x, y), power[i][2], 1);
        near("pow", x, y, run(expanded(SX_POW, DT_F64), x, y, false), power[i][2], 1);
    }
}

static void test_special(void)
{
    static const struct {
        double (*f)(double);
        double zero, minus_zero, inf, minus_inf; /* values there */
    } row[] = {
        {mathd_exp, 1, 1, INFINITY, 0},
        {mathd_expm1, 0, -0.0, INFINITY, -1},
        {mathd_log, -INFINITY, -INFINITY, INFINITY, NAN},
        {mathd_log1p, 0, -0.0, INFINITY, NAN},
        {mathd_sin, 0, -0.0, NAN, NAN},
        {mathd_cos, 1, 1, NAN, NAN},
        {mathd_tan, 0, -0.0, NAN, NAN},
        {mathd_asin, 0, -0.0, NAN, NAN},
        {mathd_atan, 0, -0.0, M_PI_2, -M_PI_2},
        {mathd_acos, M_PI_2, M_PI_2, NAN, NAN},
        {mathd_sinh, 0, -0.0, INFINITY, -INFINITY},
        {mathd_cosh, 1, 1, INFINITY, INFINITY},
        {mathd_tanh, 0, -0.0, 1, -1},
        {mathd_asinh, 0, -0.0, INFINITY, -INFINITY},
        {mathd_acosh, NAN, NAN, INFINITY, NAN},
        {mathd_atanh, 0, -0.0, NAN, NAN},
        {mathd_erf, 0, -0.0, 1, -1},
        {mathd_sigmoid, 0.5, 0.5, 1, 0},
    };

    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        CHECK(same(row[i].f(0.0), row[i].zero));
        CHECK(same(row[i].f(-0.0), row[i].minus_zero));
        CHECK(same(row[i].f(INFINITY), row[i].inf));
        CHECK(same(row[i].f(-INFINITY), row[i].minus_inf));
        CHECK(row[i].f(NAN) != row[i].f(NAN));
    }
    CHECK(same(mathd_atanh(1), INFINITY) && same(mathd_atanh(-1), -INFINITY));
    CHECK(same(mathd_log1p(-1), -INFINITY) && same(mathd_acosh(1), 0));
    CHECK(same(mathd_acos(1), 0) && mathd_asin(1.0000001) != mathd_asin(1.0000001));
}

/* C's own pow knows the special cases; where it is not special, it is near. */
static void test_pow(void)
{
    static const double v[] = {0.0,    -0.0,     1,         -1,   0.5,      -0.5,   2,
                               -2,     3,        -3,        -2.5, 1e30,     -1e30,  1e300,
                               -1e300, INFINITY, -INFINITY, NAN,  0x1p-149, 0x1p53, 9e15};
    const Sx *e = expanded(SX_POW, DT_F64), *e32 = expanded(SX_POW, DT_F32);
    const int n = sizeof v / sizeof *v;

    for (int i = 0; i < n * n; i++) {
        double x = v[i / n], y = v[i % n], want = pow(x, y);
        near("mathd_pow", x, y, mathd_pow(x, y), want, 1);
        near("f64 pow", x, y, run(e, x, y, false), want, 1);
        double fx = (double)(float)x, fy = (double)(float)y;
        near("f32 pow", fx, fy, run(e32, fx, fy, true), (double)(float)pow(fx, fy), 0x1p29);
    }
}

static uint64_t random_state = 9;

static uint64_t random_bits(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    return random_state ^= random_state << 17;
}

static float random_float(void)
{
    uint32_t bits = (uint32_t)random_bits();
    float v;

    memcpy(&v, &bits, sizeof v);
    return v;
}

static void exact(const char *name, double x, double y, double got, double want)
{
    if (same(got, want)) return;
    CHECK(false && "not exact");
    fprintf(stderr, "%s(%a, %a) is %a, want %a\n", name, x, y, got, want);
}

static void exact_f32(const Sx *const *e, float x, float y)
{
    double want = (double)fmodf(x, y);

    exact("f32 rem", (double)x, (double)y, run(e[0], (double)x, (double)y, true), want);
    exact("f32 rem, fused", (double)x, (double)y, run(e[1], (double)x, (double)y, false), want);
}

/* Whole multiples of y, their neighbours, and quotients of all lengths. */
static void test_fmod_near(const Sx *const *e)
{
    for (int i = 0; i < 4000; i++) {
        float y = (float)ldexp(1 + (double)(random_bits() >> 41) * 0x1p-23,
                               (int)(random_bits() % 277) - 149);
        float x = (float)((double)y * (double)(random_bits() >> (random_bits() % 60 + 4)));

        if (i % 2)
            x = y * (float)ldexp(1 + (double)(random_bits() % 9), (int)(random_bits() % 200));
        exact_f32(e, x, y);
        exact_f32(e, nextafterf(x, 0), y);
        exact_f32(e, nextafterf(x, INFINITY), -y);
    }
}

static void test_fmod(void)
{
    static const double v[] = {0.0,
                               -0.0,
                               1,
                               -1,
                               5.5,
                               -5.5,
                               2,
                               3,
                               0x1p-1074,
                               0x1p-149,
                               0x1p-1022,
                               1e30,
                               -1e300,
                               INFINITY,
                               -INFINITY,
                               NAN,
                               0x1.fffffep127,
                               0x1.fffffffffffffp1023,
                               0x1.fffffffffffffp-1};
    const Sx *e = expanded(SX_REM, DT_F64);
    const Sx *const e32[] = {expanded(SX_REM, DT_F32), fused_rem()};
    const int n = sizeof v / sizeof *v;

    for (int i = 0; i < n * n; i++) {
        double x = v[i / n], y = v[i % n];
        exact("fmod", x, y, mathd_fmod(x, y), fmod(x, y));
        exact("f64 rem", x, y, run(e, x, y, false), fmod(x, y));
        exact_f32(e32, (float)x, (float)y);
    }
    for (int i = 0; i < 2000; i++) {
        double x = mathd_of_bits(random_bits()), y = mathd_of_bits(random_bits());
        if (i % 2)
            y = x * mathd_scale(1.0 + (double)(random_bits() >> 12) * 0x1p-52,
                                -(int)(random_bits() % 60));
        exact("fmod", x, y, mathd_fmod(x, y), fmod(x, y));
        exact("f64 rem", x, y, run(e, x, y, i % 4 > 1), fmod(x, y));
        exact_f32(e32, random_float(), random_float());
    }
    test_fmod_near(e32);
}

static void test_fma(void)
{
    for (int i = 0; i < 100000; i++) {
        double a = mathd_of_bits(random_bits()), b = mathd_of_bits(random_bits()), c;
        c = i % 2 ? mathd_of_bits(random_bits()) : -a * b * (1.0 + (double)(i % 5) * 0x1p-52);
        exact("fma", a, b, mathd_fma(a, b, c), fma(a, b, c));
        float x = random_float(), y = random_float(), z = i % 2 ? random_float() : -x * y;
        exact("fmaf", (double)x, (double)y, (double)mathd_fmaf(x, y, z), (double)fmaf(x, y, z));
        double r = mathd_scale(1.0 + (double)(random_bits() >> 12) * 0x1p-52,
                               (int)(random_bits() % 70) - 10);
        r = i % 2 ? r : -r;
        CHECK(same(mathd_floor(r), floor(r)) && same(mathd_ceil(r), ceil(r)));
        CHECK(same(mathd_trunc(r), trunc(r)) && same(mathd_rint(r), rint(r)));
    }
}

int main(void)
{
    arena = arena_new(0);
    dims_init(&dims, arena);
    sx_init(&t, arena, &dims);
    test_values();
    test_special();
    test_pow();
    test_fmod();
    test_fma();
    arena_free(arena);
    return check_result();
}
