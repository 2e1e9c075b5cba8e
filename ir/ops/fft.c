/* fft.c: the fast Fourier transform, a kernel for each factor of the length (Stockham's form: no
 * reordering at the end).
 *
 * With l points done and r = n / l to do, A[k][j] holds for each residue j the transform of x[j],
 * x[j + r], ...: at first A[0][j] = x[j]. A factor p takes it to
 *
 *     A'[k + l t][j'] = sum over i < p of (w_lp^(i k) A[k][i r' + j']) w_p^(i t),    r' = r / p
 *
 * The inner factor is multiplied where A is made, as part of the stage before. Rows of A' are
 * numbered t l + k, so that a stage's domain [t, k, i', j''] is the next one's operand as it lies
 * in memory. Factors of 4, then those that are left, the smallest first; of real numbers the other
 * way around: the middle term of an even length is then a difference of two sums, real to the last
 * bit. Products are rounded on their own, not fused, so that a transform gives the same bits on
 * every target. */
#include "ir/ops/fft.h"

#include "ir/mathd.h"

/* DEARER: a product within a transform costs as much as so many within a matrix product, which runs
 * on register tiles (measured: even at 256 to 400 points, 1.6 times as fast at 512, 6 at 2048).
 * Where WIDE numbers or more lie side by side for each point, the operand of the product would have
 * to be turned, and a stage is straight vector code (measured: 4 times as fast at 8 points, 9 at
 * 32). */
enum { LARGEST = 13, DEARER = 6, WIDE = 8, FACTORS = 64 };
#define PI 3.14159265358979323846

void fft_turn(int64_t k, int64_t n, double *c, double *s)
{
    int64_t eighths;
    double angle;

    k %= n;
    eighths = 8 * k / n;
    if (4 * k % n == 0) { /* whole quarters */
        static const double cosine[4] = {1, 0, -1, 0}, sine[4] = {0, 1, 0, -1};
        *c = cosine[eighths / 2];
        *s = sine[eighths / 2];
        return;
    }
    angle = 2 * PI * (double)k / (double)n;
    *c = mathd_cos(angle);
    *s = mathd_sin(angle);
}

/* The factors of n in the order of the stages; 0 when one is too large. */
static int factors(int64_t n, bool real, int *p)
{
    int count = 0, fours = 0;

    for (; n % 4 == 0; n /= 4)
        fours++;
    for (int f = 2; f <= LARGEST; f++) {
        for (; f == 4 && fours; fours--)
            p[count++] = 4;
        for (; n % f == 0; n /= f)
            p[count++] = f;
    }
    for (int i = 0; real && i < count / 2; i++) {
        int other = p[count - 1 - i];
        p[count - 1 - i] = p[i];
        p[i] = other;
    }
    return n == 1 ? count : 0;
}

bool fft_suits(int64_t n, int64_t matrix, Dim inner)
{
    int p[FACTORS], count = factors(n, false, p), sum = 0;

    for (int i = 0; i < count; i++)
        sum += p[i];
    if (!dim_is_const(inner) || inner->value >= WIDE) return count > 0;
    return count > 0 && matrix > DEARER * 4 * n * sum;
}

typedef struct Fft {
    Build *b;
    DType dtype;
    double sign;
    Dim outer, inner;
} Fft;

/* Cosines and sines of i k / n for i < rows and k < columns. */
static void turns(const Fft *f, int64_t rows, int64_t columns, int64_t n, Value *out[2])
{
    int64_t dims[2] = {rows, columns};

    for (int part = 0; part < 2; part++) {
        Tensor *t = tensor_new(f->b->module->arena, f->dtype, 2, dims);
        for (int64_t i = 0; t && i < rows; i++)
            for (int64_t k = 0; k < columns; k++) {
                double c, s;
                fft_turn(i * k, n, &c, &s);
                tensor_set_double(t, i * columns + k, part ? f->sign * s : c);
            }
        out[part] = build_tensor(f->b, t);
    }
}

typedef struct Complex {
    const Sx *re, *im; /* im NULL: 0 */
} Complex;

static Complex times(SxTable *t, Complex x, const Sx *c, const Sx *s)
{
    if (!x.im) return (Complex){sx_mul(t, x.re, c), sx_mul(t, x.re, s)};
    return (Complex){sx_sub(t, sx_mul(t, x.re, c), sx_mul(t, x.im, s)),
                     sx_add(t, sx_mul(t, x.re, s), sx_mul(t, x.im, c))};
}

static Complex plus(SxTable *t, Complex x, Complex y)
{
    return (Complex){sx_add(t, x.re, y.re), sx_add(t, x.im, y.im)};
}

/* One stage: a factor p behind l points, and the factor p2 of the next one (1: none). */
typedef struct FftStage {
    int64_t l, p, p2, rest; /* l * p * p2 * rest = n */
    Value *in[6];           /* A (re, im), w_p (c, s), twiddles (c, s) */
    Value *x;               /* the first stage reads this: [outer, have, inner, parts] */
    int64_t have;
} FftStage;

/* Domain: outer, t, k, i2, j, inner */
enum { OUTER, T, K, I2, J, INNER, RANK };

static Complex first_term(const Fft *f, const FftStage *s, int i)
{
    SxTable *t = f->b->sx;
    Complex v = {NULL, NULL};
    const Sx *at, *idx[4], *guard = NULL;

    at = sx_add(t, sx_mul(t, sx_index(t, I2), sx_i64(f->b, s->rest)), sx_index(t, J));
    at = sx_add(t, at, sx_i64(f->b, i * s->p2 * s->rest));
    if (s->have < s->l * s->p * s->p2 * s->rest) guard = sx_lt(t, at, sx_i64(f->b, s->have));
    idx[0] = sx_index(t, OUTER);
    idx[1] = at;
    idx[2] = sx_index(t, INNER);
    idx[3] = sx_i64(f->b, 0);
    v.re = sx_cast(t, sx_at_guarded(f->b, 0, s->x, idx, guard), f->dtype);
    if (dim_is(s->x->type.dim[3], 1)) return v;
    idx[3] = sx_i64(f->b, 1);
    v.im = sx_cast(t, sx_at_guarded(f->b, 0, s->x, idx, guard), f->dtype);
    return v;
}

/* A is [outer, l, p, p2, rest, inner] where it lies. */
static Complex later_term(const Fft *f, const FftStage *s, int i)
{
    SxTable *t = f->b->sx;
    const Sx *idx[RANK] = {sx_index(t, OUTER), sx_index(t, K), sx_i64(f->b, i),
                           sx_index(t, I2),    sx_index(t, J), sx_index(t, INNER)};

    return (Complex){sx_at(f->b, 0, s->in[0], idx), sx_at(f->b, 1, s->in[1], idx)};
}

static Complex stage_value(const Fft *f, const FftStage *s)
{
    SxTable *t = f->b->sx;
    Complex sum = {NULL, NULL};

    for (int i = 0; i < s->p; i++) {
        const Sx *at[2] = {sx_i64(f->b, i), sx_index(t, T)};
        Complex v = s->x ? first_term(f, s, i) : later_term(f, s, i);
        v = times(t, v, sx_at(f->b, 2, s->in[2], at), sx_at(f->b, 3, s->in[3], at));
        sum = i ? plus(t, sum, v) : v;
    }
    if (s->p2 > 1) { /* w_(l p p2)^(i2 (t l + k)) */
        const Sx *at[2] = {sx_index(t, I2), sx_add(t, sx_mul(t, sx_index(t, T), sx_i64(f->b, s->l)),
                                                   sx_index(t, K))};
        sum = times(t, sum, sx_at(f->b, 4, s->in[4], at), sx_at(f->b, 5, s->in[5], at));
    }
    return sum;
}

static void run_stage(const Fft *f, FftStage *s, Value *out[2])
{
    DimTable *d = f->b->dims;
    Dim dims[RANK] = {f->outer,
                      dim_const(d, s->p),
                      dim_const(d, s->l),
                      dim_const(d, s->p2),
                      dim_const(d, s->rest),
                      f->inner};
    int n_in = s->p2 > 1 ? 6 : 4;
    Complex v;

    turns(f, s->p, s->p, s->p, &s->in[2]);
    if (s->p2 > 1) turns(f, s->p2, s->l * s->p, s->l * s->p * s->p2, &s->in[4]);
    if (s->x) s->in[0] = s->in[1] = s->x;
    if (f->b->status != OK) return;
    v = stage_value(f, s);
    StageOut o[2] = {{.result = 0, .dtype = f->dtype, .value = v.re},
                     {.result = 1, .dtype = f->dtype, .value = v.im}};
    Stage stage = {.rank = RANK, .extent = dims, .scan_axis = -1, .n_out = 2, .out = o};
    Node *n = build_stage(f->b, "fft", n_in, s->in, &stage, 2, NULL);
    for (int part = 0; n && part < 2; part++)
        out[part] = n->out[part];
}

void build_fft(Build *b, Value *x, int64_t n, bool inverse, DType d, Value *out[2])
{
    Fft f = {.b = b, .dtype = d, .sign = inverse ? 1 : -1};
    int p[FACTORS], count;
    int64_t l = 1;
    Dim dims[RANK];

    if (!x || b->status != OK) return;
    count = factors(n, dim_is(x->type.dim[3], 1), p);
    f.outer = x->type.dim[0];
    f.inner = x->type.dim[2];
    for (int i = 0; i < count; l *= p[i++]) {
        FftStage s = {.l = l, .p = p[i], .p2 = i + 1 < count ? p[i + 1] : 1};
        s.rest = n / (l * s.p * s.p2);
        s.x = i ? NULL : x;
        s.have = x->type.dim[1]->value;
        for (int part = 0; part < 2 && i; part++) {
            Dim as[RANK] = {f.outer,
                            dim_const(b->dims, l),
                            dim_const(b->dims, s.p),
                            dim_const(b->dims, s.p2),
                            dim_const(b->dims, s.rest),
                            f.inner};
            s.in[part] = build_reshape(b, out[part], RANK, as);
        }
        run_stage(&f, &s, out);
        if (b->status != OK) return;
    }
    dims[0] = f.outer;
    dims[1] = dim_const(b->dims, n);
    dims[2] = f.inner;
    for (int part = 0; part < 2; part++)
        out[part] = build_reshape(b, out[part], 3, dims);
}
