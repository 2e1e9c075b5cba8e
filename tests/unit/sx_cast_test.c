/* Conversions of f16, bf16, f8 and f4 as plain operations, against dtype.c: every code of every
 * narrow type, and f32, f64 and integers at and around every value and tie of each. */
#include "ir/sx_impl.h"

#include "check.h"
#include "ir/mathd.h"

static const DType narrow[] = {DT_F16,        DT_BF16,   DT_F8E4M3FN, DT_F8E4M3FNUZ, DT_F8E5M2,
                               DT_F8E5M2FNUZ, DT_F8E8M0, DT_F4E2M1,   DT_F6E2M3,     DT_F6E3M2};
enum { N_NARROW = sizeof narrow / sizeof *narrow };

static Arena *arena;
static DimTable dims;
static SxTable t;

static bool is_nan(DType d, uint64_t bits)
{
    SxShape s = {.op = SX_CAST, .dtype = DT_F64, .from = d};
    double v = dtype_is_float(d) ? mathd_of_bits(sx_apply(&s, &bits)) : 0;

    return v != v;
}

/* A conversion as it is, and as plain operations, to be compared at many values. */
typedef struct Cast {
    SxShape shape;
    const Sx *node[256]; /* of the plain one: arguments before users */
    int arg[256][3], n;
} Cast;

static void add_node(void *context, const Sx *e)
{
    Cast *c = context;

    for (int k = 0; k < e->n; k++) {
        for (int i = 0; i < c->n; i++) {
            if (c->node[i] == e->arg[k]) c->arg[c->n][k] = i;
        }
    }
    c->node[c->n++] = e;
    /* What a backend must not be asked for. */
    uint32_t odd = T_FLOAT_NARROW | DT_BIT(DT_BF16) | DT_BIT(DT_F16);
    bool cast = e->op == SX_CAST && (odd & (DT_BIT(e->dtype) | DT_BIT(e->arg[0]->dtype)));
    CHECK(!cast && c->n < 256);
}

static void cast_start(Cast *c, DType from, DType to, bool saturate)
{
    const Sx *e = sx_expand(&t, sx_cast_to(&t, sx_acc(&t, 0, from), to, saturate), (SxHas){0});

    *c = (Cast){.shape = {.op = SX_CAST, .dtype = to, .from = from, .saturate = saturate}};
    sx_visit(&t, e, add_node, c);
}

static uint64_t cast_run(const Cast *c, uint64_t x)
{
    uint64_t value[256];

    for (int i = 0; i < c->n; i++) {
        const Sx *e = c->node[i];
        SxShape s = {.op = e->op, .dtype = e->dtype, .saturate = e->index != 0};
        if (e->n) s.from = e->arg[e->n - 1]->dtype;
        uint64_t arg[3] = {value[c->arg[i][0]], value[c->arg[i][1]], value[c->arg[i][2]]};
        value[i] = e->op == SX_CONST ? e->bits : e->op == SX_ACC ? x : sx_apply(&s, arg);
    }
    return value[c->n - 1];
}

static void cast_compare(const Cast *c, uint64_t x)
{
    uint64_t got = cast_run(c, x), want = sx_apply(&c->shape, &x);

    if (got == want || (is_nan(c->shape.dtype, got) && is_nan(c->shape.dtype, want))) return;
    CHECK(false && "casts differ");
    fprintf(stderr, "%s 0x%llx to %s%s: 0x%llx, want 0x%llx\n", dtype_text(c->shape.from),
            (unsigned long long)x, dtype_text(c->shape.dtype), c->shape.saturate ? "" : " nosat",
            (unsigned long long)got, (unsigned long long)want);
}

static void test_decode(void)
{
    static const DType to[] = {DT_F32, DT_F64, DT_I32, DT_U8, DT_I64, DT_BOOL};
    static Cast c;

    for (int i = 0; i < N_NARROW; i++) {
        for (int k = 0; k < 6; k++) {
            cast_start(&c, narrow[i], to[k], true);
            for (uint64_t code = 0;
                 code < (uint64_t)1 << dtype_bits(narrow[i]) && check_failures < 20; code++) {
                cast_compare(&c, code);
            }
        }
    }
}

static void compare_around(const Cast *c, double v)
{
    SxShape from = {.op = SX_CAST, .dtype = c->shape.from, .from = DT_F64, .saturate = true};
    uint64_t bits = mathd_bits(v);

    if (c->shape.from != DT_F64) bits = sx_apply(&from, &bits);
    for (int k = -1; k <= 1; k++) {
        cast_compare(c, sx_normal_bits(c->shape.from, bits + (uint64_t)(int64_t)k));
    }
}

/* Around every value, and every middle of two. */
static void test_encode(DType from)
{
    static Cast c;

    for (int i = 0; i < 2 * N_NARROW; i++) {
        DType d = narrow[i / 2];
        SxShape decode = {.op = SX_CAST, .dtype = DT_F64, .from = d};
        uint64_t n = (uint64_t)1 << dtype_bits(d), step = n > 256 ? 7 : 1;
        cast_start(&c, from, d, i % 2);
        for (uint64_t code = 0; code < n && check_failures < 20; code += step) {
            uint64_t next = code + 1 < n ? code + 1 : code;
            double v = mathd_of_bits(sx_apply(&decode, &code)),
                   w = mathd_of_bits(sx_apply(&decode, &next));
            compare_around(&c, v);
            compare_around(&c, v / 2 + w / 2);
            compare_around(&c, -v);
        }
        compare_around(&c, __builtin_inf());
        compare_around(&c, -__builtin_inf());
        compare_around(&c, 0x1p-128 * 1.5);
    }
}

static void test_integers(DType from)
{
    static Cast c;

    for (int i = 0; i < N_NARROW; i++) {
        cast_start(&c, from, narrow[i], true);
        for (int shift = 0; shift < dtype_bits(from); shift++) {
            for (uint64_t high = 0; high < 1024 && check_failures < 20; high += 3) {
                uint64_t v = high << shift;
                for (int k = -1; k <= 1; k++) {
                    cast_compare(&c, sx_normal_bits(from, v + (uint64_t)(int64_t)k));
                }
            }
        }
    }
}

/* With f16 hardware that conversion alone stays. */
static void test_has_f16(void)
{
    const Sx *x = sx_acc(&t, 0, DT_F32), *h = sx_acc(&t, 1, DT_F16);

    CHECK(sx_expand(&t, sx_cast(&t, x, DT_F16), (SxHas){.f16 = true})->op == SX_CAST);
    CHECK(sx_expand(&t, sx_cast(&t, x, DT_F16), (SxHas){0})->op == SX_BITCAST);
    const Sx *e = sx_expand(&t, sx_cast(&t, h, DT_F64), (SxHas){.f16 = true});
    CHECK(e->op == SX_CAST && e->arg[0]->op == SX_CAST && e->arg[0]->dtype == DT_F32);
}

int main(void)
{
    arena = arena_new(0);
    dims_init(&dims, arena);
    sx_init(&t, arena, &dims);
    test_decode();
    test_encode(DT_F32);
    test_encode(DT_F64);
    test_integers(DT_I64);
    test_integers(DT_U64);
    test_integers(DT_I32);
    test_integers(DT_U8);
    test_has_f16();
    arena_free(arena);
    return check_result();
}
