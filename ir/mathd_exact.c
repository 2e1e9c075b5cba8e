/* mathd_exact.c: the operations of IEEE-754 that instruction sets lack or that C leaves to its
 * library. */
#include "ir/mathd.h"

__extension__ typedef unsigned __int128 U128;

/* x = m * 2^e with the top bit of m at bit 52; x finite, not 0. */
static uint64_t split(double x, int *e)
{
    uint64_t bits = mathd_bits(x), m = bits & (((uint64_t)1 << 52) - 1);
    int exponent = (int)(bits >> 52 & 0x7ff);

    if (exponent) {
        *e = exponent - 1075;
        return m | (uint64_t)1 << 52;
    }
    int up = __builtin_clzll(m) - 11;
    *e = -1074 - up;
    return m << up;
}

/* m * 2^e rounded to nearest even; m is not 0, and its lowest bit may stand for more bits below. */
static double round_bits(U128 m, int e, uint64_t sign)
{
    uint64_t high = (uint64_t)(m >> 64);
    int zeros = high ? __builtin_clzll(high) : 64 + __builtin_clzll((uint64_t)m);
    int top = e + 127 - zeros; /* exponent of the leading bit */

    m <<= zeros;
    if (top > 1023) return mathd_of_bits(sign | (uint64_t)0x7ff << 52);
    int shift = top >= -1022 ? 75 : 75 - 1022 - top;
    if (shift > 128) return mathd_of_bits(sign);
    uint64_t kept = shift == 128 ? 0 : (uint64_t)(m >> shift);
    U128 rest = shift == 128 ? m : m & (((U128)1 << shift) - 1), half = (U128)1 << (shift - 1);
    if (rest > half || (rest == half && (kept & 1))) kept++;
    /* The leading bit of a normal number adds one to the exponent field, as does a carry. */
    uint64_t field = top >= -1022 ? (uint64_t)(top + 1022) << 52 : 0;
    return mathd_of_bits(sign | (field + kept));
}

static U128 shift_sticky(U128 m, int n)
{
    if (n == 0) return m;
    if (n > 127) return m != 0;
    return m >> n | ((m & (((U128)1 << n) - 1)) != 0);
}

double mathd_fma(double a, double b, double c)
{
    const uint64_t infinity = (uint64_t)0x7ff << 52, sign_bit = (uint64_t)1 << 63;
    uint64_t ua = mathd_bits(a), ub = mathd_bits(b), uc = mathd_bits(c);
    int ea, eb, ec;

    if ((ua & infinity) == infinity || (ub & infinity) == infinity) return a * b + c;
    if ((uc & infinity) == infinity) return c;
    if (a == 0 || b == 0) return a * b + c;
    if (c == 0) return a * b;
    /* Both with the leading bit near bit 125: what is shifted out lies far below the rounding. */
    U128 p = (U128)split(a, &ea) * split(b, &eb) << 20;
    U128 q = (U128)split(c, &ec) << 72;
    int ep = ea + eb - 20, eq = ec - 72, e = ep > eq ? ep : eq;
    uint64_t sp = (ua ^ ub) & sign_bit, sq = uc & sign_bit;
    p = shift_sticky(p, e - ep);
    q = shift_sticky(q, e - eq);
    if (sp == sq) return round_bits(p + q, e, sp);
    if (p == q) return 0.0;
    return p > q ? round_bits(p - q, e, sp) : round_bits(q - p, e, sq);
}

/* The product is exact in double; the sum is rounded to odd, so that rounding again to float is
 * right. */
float mathd_fmaf(float a, float b, float c)
{
    double p = (double)a * (double)b, s = p + (double)c, t = s - p;
    double error = (p - (s - t)) + ((double)c - t);

    if (s - s == 0 && error != 0 && (mathd_bits(s) & 1) == 0) {
        s = mathd_of_bits((error > 0) == (s > 0) ? mathd_bits(s) + 1 : mathd_bits(s) - 1);
    }
    return (float)s;
}

double mathd_sqrt(double x)
{
    return __builtin_sqrt(x); /* an instruction wherever this is built */
}

double mathd_trunc(double x)
{
    uint64_t bits = mathd_bits(x);
    int exponent = (int)(bits >> 52 & 0x7ff) - 1023;

    if (exponent >= 52) return x;
    if (exponent < 0) return mathd_of_bits(bits & (uint64_t)1 << 63);
    return mathd_of_bits(bits & ~((((uint64_t)1 << 52) - 1) >> exponent));
}

double mathd_floor(double x)
{
    double t = mathd_trunc(x);

    return t > x ? t - 1.0 : t;
}

double mathd_ceil(double x)
{
    double t = mathd_trunc(x);
    /* From below 0 up to -0. */
    return t < x ? t + 1.0 : t;
}

double mathd_rint(double x)
{
    const double big = 4503599627370496.0; /* 2^52: the sum has no bits below 1 */
    uint64_t sign = mathd_bits(x) & (uint64_t)1 << 63;
    double magnitude = mathd_of_bits(mathd_bits(x) ^ sign);

    if (!(magnitude < big)) return x;
    magnitude = (magnitude + big) - big;
    return mathd_of_bits(mathd_bits(magnitude) | sign);
}

double mathd_fmod(double x, double y)
{
    uint64_t sign = mathd_bits(x) & (uint64_t)1 << 63;
    double ax = mathd_of_bits(mathd_bits(x) ^ sign), ay = y < 0 ? -y : y;
    int ex, ey;

    if (x != x || y != y || ax - ax != 0 || y == 0) return mathd_of_bits((uint64_t)0x7ff8 << 48);
    if (ax < ay || x == 0) return x;
    uint64_t m = split(ax, &ex), n = split(ay, &ey);
    m %= n;
    for (int left = ex - ey; left > 0 && m; left -= 11) {
        m = (m << (left < 11 ? left : 11)) % n;
    }
    return m ? round_bits(m, ey, sign) : mathd_of_bits(sign);
}

double mathd_scale(double x, int n)
{
    uint64_t sign = mathd_bits(x) & (uint64_t)1 << 63;
    int e;

    if (x == 0 || x - x != 0) return x;
    uint64_t m = split(x, &e);
    n = n > 5000 ? 5000 : n < -5000 ? -5000 : n;
    return round_bits(m, e + n, sign);
}
